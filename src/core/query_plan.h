// The plan of a query: its attributes as a tree, which level and source each has, and what to walk to find candidates.
#ifndef GANTRY_CORE_QUERY_PLAN_H
#define GANTRY_CORE_QUERY_PLAN_H

#include "core/query.h"
#include "core/query_match.h"
#include "core/query_rows.h"
#include "core/query_stream.h"

// Answered by counting or by what the archive is, not by a column or a header.
enum qcomputed { QCOMPUTED_NO, QCOMPUTED_PATIENT_STUDIES, QCOMPUTED_PATIENT_SERIES, QCOMPUTED_PATIENT_INSTANCES, QCOMPUTED_AVAILABILITY };

// One top-level attribute of the query.
struct qterm {
    struct qattr attr;
    enum query_level level;       // at which it is an attribute
    const struct qcolumn *column; // or NULL
    enum qcomputed computed;
    bool asks;     // it restricts, rather than only asks for the value
    bool declared; // searchable: every instance's value counts
};

// StudyDate and StudyTime (or another such pair) as one range (PS3.4 C.2.2.2.5.1): both are matched by it, not on their own.
struct qcombined {
    enum query_level level;
    unsigned date_column, time_column;
    int64_t from, to; // qtime micros
};
enum { QCOMBINED_MAX = 4 };

struct qplan {
    const struct query *q;
    struct qterm *terms;
    unsigned term_count;
    bool asks_of[4];     // some term of that level restricts
    bool header_of[4];   // some term (restricting or asked for) of that level needs a header
    bool patient_counts; // asked for or matched
    bool zoned;          // the asker's offset from UTC is known
    int zone_min;
    struct qcombined combined[QCOMBINED_MAX];
    unsigned combined_count;
    int64_t at_from, at_to;    // bounds that StudyDate gives
    const struct scope *scope; // of the asker; NULL: everything
};

// Reads the declared attributes with d. Everything lives in a.
bool qplan_make(struct arena *a, struct db *d, const struct query *q, struct qplan *out, struct err *e);
// Opens the stream of candidates that is likely the shortest.
bool qplan_stream(struct arena *a, struct db *d, const struct qplan *p, struct qplace after, struct qstream *out, struct err *e);

#endif
