// Query: the one search, for C-FIND and QIDO-RS (PS3.4 C.2.2.2, C.4.1; PS3.18 10.6).
#ifndef GANTRY_CORE_QUERY_H
#define GANTRY_CORE_QUERY_H

#include "base/arena.h"
#include "core/archive.h"
#include "dicom/dataset.h"

enum query_level { QUERY_PATIENT, QUERY_STUDY, QUERY_SERIES, QUERY_INSTANCE };

enum { QUERY_PATH_MAX = 4 };

// One key: an attribute (or a path through sequences) with the value to match, UTF-8. An empty value matches everything (universal matching)
// and asks for the attribute in the answer. Values: wild cards, ranges a-b, lists a\b, as PS3.4 C.2.2.2 has them for the VR.
struct query_key {
    uint32_t path[QUERY_PATH_MAX]; // from the outermost sequence; the attribute last
    unsigned path_n;
    struct str value;
};

struct query {
    enum query_level level;
    struct query_key *keys;
    unsigned key_count;
    bool fuzzy;             // fuzzy semantic matching of person names
    bool combined_datetime; // StudyDate and StudyTime ranges are one range (PS3.4 C.2.2.2.5.1)
    bool asked_only;        // answers hold what the keys ask for and nothing else (PS3.4 C.4.1.1.3.2)
    bool include_all;       // QIDO includefield=all: every attribute of the stored header at this level
    uint32_t limit;         // 0: no limit
    uint32_t offset;
    // Asked every few milliseconds of a long search; true ends it with ERR_CANCELLED. May be NULL.
    bool (*cancelled)(void *ctx);
    void *cancel_ctx;
};

// What is matched how: PS3.4 C.2.2.2 (core/query_match.h). Keys of any level may be given at any level (relational queries): a study matches when
// one series, and one instance in it, match what is asked of them. Patient attributes are those of each study's own objects.
// An attribute without a column is read from stored headers: of an instance in instance queries, else of the series' or study's first instance,
// unless it was declared searchable (core/searchable.h): then of every instance. TimezoneOffsetFromUTC is no key: it says in which zone the dates
// and times of the query are (C.2.2.2.5).

struct query_cursor;

// Builds the query from a C-FIND identifier (any character set; text becomes UTF-8 in a).
bool query_from_identifier(struct arena *a, const struct dcm_dataset *identifier, struct query *out, struct err *e);

// Answers come in a stable order: studies newest first (date, time, and of the same second the one that came last), series by number, instances by
// number, ties of these by UID; patients by their newest study that matches. Each page of up to QUERY_PAGE answers is read in one snapshot, and no
// snapshot or connection is held between calls: a query may be left waiting for as long as its asker likes.
// ERR_BAD_INPUT for a key that cannot be (a malformed date range) with its name. q and what it points to must outlive the cursor; a holds the cursor.
enum { QUERY_PAGE = 128 };
bool query_open(struct archive *ar, const struct actor *who, struct arena *a, const struct query *q, struct query_cursor **out, struct err *e);
enum query_step { QUERY_ROW, QUERY_END, QUERY_FAIL };
// *match: UTF-8 (ISO_IR 192), in scratch until the caller resets it: the requested attributes that are known (those unknown empty), the unique keys of
// the level and above, and the level's required ones (not when asked_only); QIDO and C-FIND add their own extras. Repaired text.
enum query_step query_next(struct query_cursor *c, struct arena *scratch, struct dcm_dataset **match, struct err *e);
void query_close(struct query_cursor *c);

#endif
