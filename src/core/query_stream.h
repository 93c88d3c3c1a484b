// Candidates: the studies that may match, newest first, from a list of rows or from ranges of study_keys: the newest month first, then the more months
// at once the fewer studies those before had, so that a rare key costs a few statements and a common one reads no more than it needs.
#ifndef GANTRY_CORE_QUERY_STREAM_H
#define GANTRY_CORE_QUERY_STREAM_H

#include "base/arena.h"
#include "core/query_index.h"
#include "db/db.h"

// Keys from lo (inclusive) to hi (exclusive); hi {NULL, 0}: lo alone.
struct qkey_range {
    struct str lo, hi;
};
// Every study that has a key in one of the ranges.
struct qprobe {
    struct qkey_range *ranges;
    unsigned count;
};
// All keys that begin with prefix.
bool qkey_prefix(struct arena *a, struct str prefix, struct qkey_range *out, struct err *e);

struct scope;
// The studies that a scope reaches, by their keys. It only finds them sooner: a stream keeps to its own scope.
bool qprobe_of_scope(struct arena *a, const struct scope *s, struct qprobe *out, struct err *e);

// A place in the order of answers. Studies are ordered by at and row, both descending: of the same second, the one that came last is first.
struct qplace {
    int64_t at, study;
};
#define QPLACE_FIRST ((struct qplace){INT64_MAX, INT64_MAX})

// Rows of the studies that a stream may bring along with their places, which spares a statement.
struct qcarry {
    const char *columns; // of studies
    // The statement stands on a row that has these columns from `column` on; of a study that is gone all are NULL.
    bool (*take)(void *ctx, struct db_stmt *s, int column, int64_t study, struct err *e);
    void *ctx;
    unsigned room; // how many may still be taken
};

enum { QSTREAM_ALSO_MAX = 8 };
struct qstream {
    struct qprobe probe;                  // count 0: places is the whole list
    struct qprobe also[QSTREAM_ALSO_MAX]; // a study must be in each of these too
    unsigned also_count;
    int64_t at_from;     // oldest
    struct qplace after; // only what comes after it is given
    int64_t *months;     // newest first
    size_t month_count, month;
    size_t span; // how many months are read at once
    bool started;
    // core/query_walk.h
    bool at_once;              // months are not read one after the other: a statement costs a trip to the server
    bool ended;                // nothing comes after what was read
    bool days;                 // the next statement reads some days alone
    int64_t count_by;          // rows that are looked at for one that is counted
    int64_t chunk;             // how many the next statement of several keys asks for; 0: it is the first
    struct qcarry *carry;      // may be NULL
    const struct scope *scope; // only what it reaches is given; NULL: all
    struct qplace *places;     // of the month, or the list
    size_t place_count, place, place_cap;
    struct arena arena; // of months and places
};

// at_from, at_to: inclusive bounds; 0 and INT64_MAX where open. after: QPLACE_FIRST to start.
void qstream_init(struct qstream *s, int64_t at_from, int64_t at_to, struct qplace after);
void qstream_deinit(struct qstream *s);
// Instead of a probe: the studies that sql gives as (id, study_date, study_time) for each of values, bound as ?1. *whole is false, and the stream as it was,
// when a value has more than max.
bool qstream_list(struct qstream *s, struct db *d, const char *sql, const struct str *values, unsigned count, size_t max, bool *whole, struct err *e);
// The next candidates, at most max; *n is 0 at the end. Each study once (but one that lies in two months: compare at with its row's).
bool qstream_next(struct qstream *s, struct db *d, struct qplace *out, unsigned max, unsigned *n, struct err *e);

// How many keys of the newest months with studies are in the ranges of each of n probes, counting no further than max or a little more.
bool qprobe_estimate(struct db *d, const struct qprobe *p, unsigned n, int64_t at_from, int64_t at_to, unsigned max, unsigned *counts, struct err *e);

// ---- for core/query_walk.c ----

// One key alone: its part of the table is in the order of answers.
bool qstream_is_ordered(const struct qstream *s);
// Adds to places what lies within the stream's bounds.
bool qstream_push(struct qstream *s, struct qplace p, struct err *e);

#endif
