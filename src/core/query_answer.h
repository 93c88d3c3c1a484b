// Answers: the data set of one match, from rows and stored headers.
#ifndef GANTRY_CORE_QUERY_ANSWER_H
#define GANTRY_CORE_QUERY_ANSWER_H

#include "core/query_plan.h"

// One match with all that its answer needs, in the arena of its page.
struct qmatch_row {
    struct qrow study, series, instance;
    struct dcm_dataset *header; // of the level asked for, UTF-8; NULL when not needed or not there
    struct qpatient_counts counts;
};

// The answer in a: the attributes asked for, the unique keys of the level and above and the required keys of the level.
bool qanswer_make(struct arena *a, const struct qplan *p, const struct qmatch_row *m, struct dcm_dataset **out, struct err *e);

#endif
