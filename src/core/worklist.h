// The list of studies that people look at: a page of it, newest first, by what they type, with counts.
#ifndef GANTRY_CORE_WORKLIST_H
#define GANTRY_CORE_WORKLIST_H

#include "base/arena.h"
#include "core/archive.h"

// Empty texts restrict nothing.
struct worklist_filter {
    // What was typed, words between spaces. A study is listed when each word is the beginning of a word of the patient's name (in any script, by pinyin
    // together, by syllable or by initials), of the PatientID, of the AccessionNumber, or of a word of the study's description. Case and accents do not count.
    struct str text;
    struct str date_from, date_to; // StudyDate YYYYMMDD, inclusive
    struct str modality;           // one, or several between backslashes of which any will do
};

// Texts are UTF-8, repaired; empty when unknown.
struct worklist_row {
    struct str study_uid, patient_id, issuer, patient_name, birth_date, sex, patient_age;
    struct str study_date, study_time, accession_number, study_id, description, modalities, referring_physician, institution;
    int64_t series_count, instance_count, bytes;
    int64_t received_ms, changed_ms; // of the first and the last object
    unsigned text_flags;             // enum dcm_decode_flag: the text was not what it declared
    bool patient_conflict;           // the Study Instance UID is also under another patient
};

enum { WORKLIST_PAGE_MAX = 500, WORKLIST_COUNT_MAX = 1000, WORKLIST_CURSOR_BYTES = 48 };

struct worklist_page {
    struct worklist_row *rows;
    unsigned count;
    char next[WORKLIST_CURSOR_BYTES]; // hand it back for the page after this one; "" at the end
    // How many match in all, only counted for the first page: exact unless more is set, then at least this many (WORKLIST_COUNT_MAX, or fewer when counting
    // took too long); exact, however many, when nothing is filtered.
    uint64_t total;
    bool counted, more;
};

// cursor: "" for the first page. limit: 1 to WORKLIST_PAGE_MAX. ERR_BAD_INPUT for a date or cursor that is none.
bool worklist_read(struct archive *ar, const struct actor *who, struct arena *a, const struct worklist_filter *f, struct str cursor, unsigned limit,
                   struct worklist_page *out, struct err *e);

#endif
