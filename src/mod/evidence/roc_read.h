// Cases of a ROC analysis from a table: which column is the truth, which are scores, what is left out.
#ifndef GANTRY_MOD_EVIDENCE_ROC_READ_H
#define GANTRY_MOD_EVIDENCE_ROC_READ_H

#include "mod/evidence/roc.h"
#include "text/csv.h"

// The column whose name says that it is the truth, or a score; -1: none.
int ev_truth_column(const struct csv *t);
int ev_score_column(const struct csv *t);
// Which of two levels is positive: the one named (ASCII case matters not), else a word as "positive" or "malignant", else the greater; -1: no level has that name.
int ev_positive_level(const struct csv_levels *l, struct str named);
// The truth's two levels; refuses another number of them, and a name that none has. NULL or absent: as above.
bool ev_truth_levels(const struct csv *t, unsigned column, const char *positive, struct csv_levels *l, int *level, struct err *e);

// Names of columns; NULL: found by their names, or not wanted.
struct ev_roc_columns {
    const char *truth, *positive; // positive: the truth's value
    const char *cluster;          // cases of one value belong together
    const char *by;               // groups of cases to be compared
    const char *score[EV_TESTS_MAX];
    unsigned scores; // 0: the score by its name, else every column of numbers
    const char *lower[EV_TESTS_MAX];
    unsigned lowers; // of the scores: their small values speak for the condition
};

struct ev_roc_table {
    size_t n, left_out; // left out: no truth, or no score
    uint8_t *positive;
    struct str positive_name;
    unsigned tests;
    struct str name[EV_TESTS_MAX];
    bool lower[EV_TESTS_MAX]; // the scores are negated
    double *score[EV_TESTS_MAX];
    int32_t *cluster; // NULL: each case for itself
    int32_t *by;      // NULL: one group
    struct str *by_name;
    unsigned by_count;
};
bool ev_roc_read(struct arena *a, const struct csv *t, const struct ev_roc_columns *c, struct ev_roc_table *out, struct err *e);

#endif
