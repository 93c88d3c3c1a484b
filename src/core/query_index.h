// The keys by which studies are found: written by ingest beside each study row, walked by queries (sql/0002_query.sql).
//
// Ingest, in the writer's transaction:
//   a new study          insert the row of studies, whole, then query_index_study
//   a row that changes   query_unindex_study, UPDATE studies, query_index_study (only when one of the columns below changes)
//                        (a change of its date or time moves it: then also searchable_index_instance for each of its headers)
//   a study that goes    query_unindex_study, then delete the row
//   every new instance   searchable_index_instance (core/searchable.h)
// Columns that are keys: study_date, study_time, accession_number, study_id, description, referring_physician, patient_id, patient_name,
// birth_date, modalities, realm; and what study_labels and study_assignments say of its UID. Counts and all the others may change freely.
#ifndef GANTRY_CORE_QUERY_INDEX_H
#define GANTRY_CORE_QUERY_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "db/db.h"

// Adds the keys of the study, read from its row. scratch is rewound.
bool query_index_study(struct db *writer, struct arena *scratch, int64_t study, struct err *e);
// Removes what query_index_study added; call it while the row still is as it was then.
bool query_unindex_study(struct db *writer, struct arena *scratch, int64_t study, struct err *e);

// Adds or removes one key of QUERY_KEY_SCOPE, text as access_scope_key writes it.
bool query_scope_change(struct db *writer, struct arena *scratch, int64_t study, struct str text, bool on, struct err *e);

// ---- for queries ----

// The first byte of a key says what it is of; the rest is folded text (dicom/name.h text_fold), at most QUERY_KEY_BYTES of it.
enum query_key_kind {
    QUERY_KEY_ALL = 0, // the empty key: every study
    QUERY_KEY_NAME = 'n',
    QUERY_KEY_REFERRING = 'r',
    QUERY_KEY_PATIENT_ID = 'i',
    QUERY_KEY_ACCESSION = 'a',
    QUERY_KEY_STUDY_ID = 's',
    QUERY_KEY_DESCRIPTION = 'd', // each word, and each place in a run of Chinese characters from which one may type on
    QUERY_KEY_MODALITY = 'm',
    QUERY_KEY_BIRTH_DATE = 'b',
    QUERY_KEY_SCOPE = 'g',     // then what access_scope_key writes, neither folded nor cut: where the study belongs, its labels, whom it is assigned to
    QUERY_KEY_ATTRIBUTE = 'x', // then the tag, 8 hexadecimal digits: a declared attribute's value
};
enum { QUERY_KEY_BYTES = 64, QUERY_KEYS_MAX = 160, STUDY_MARKS_MAX = 64 /* labels and assignments */ };

// YYYYMMDDHHMMSS from DA and TM texts; 0 without a date. Years of four digits only.
int64_t query_at(struct str date, struct str time);
// The bucket of an at: the month (YYYYMM) from 1970 to 2100, coarser outside, so that strange dates do not make many buckets.
int64_t query_month(int64_t at);

// A key of one kind: folded, without spaces where it is a name, cut to QUERY_KEY_BYTES at a character's end.
bool query_key_make(struct arena *a, enum query_key_kind kind, struct str text, struct str *out, struct err *e);
// Of QUERY_KEY_SCOPE: the whole text, or its digest when it is long.
bool query_scope_key(struct arena *a, struct str text, struct str *out, struct err *e);
// Every key of a name (both folded and cut), each once; at most max.
bool query_name_keys(struct arena *a, enum query_key_kind kind, struct str name, struct str *keys, unsigned max, unsigned *count, struct err *e);

#endif
