// Ratings of the same subjects by several raters, as categories, and the weights of partial agreement between categories.
#ifndef GANTRY_MOD_EVIDENCE_RATINGS_H
#define GANTRY_MOD_EVIDENCE_RATINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "text/csv.h"

enum {
    EV_CATEGORIES_MAX = 2048, // tables of categories are its square
    EV_RATERS_MAX = 1024,
};

struct ev_ratings {
    size_t subjects;
    unsigned raters, categories;
    bool numeric;            // every category is a number
    const int32_t *of;       // subject * raters + rater: index of the category, -1 where missing
    const struct str *names; // of the categories: ascending numbers, else in the order of their bytes
    const double *scores;    // their numbers; 1, 2, ... when they are words
};

// The columns of a table, one per rater, one row per subject. "1" and "1.0" are one category. Refuses fewer than two raters or no subject.
bool ev_ratings_read(struct arena *a, const struct csv *t, const unsigned *columns, unsigned raters, struct ev_ratings *out, struct err *e);

// Those subjects that every one of the chosen raters rated, and the categories that occur among them.
bool ev_ratings_complete(struct arena *a, const struct ev_ratings *r, const unsigned *raters, unsigned count, struct ev_ratings *out, struct err *e);

// The square table of two raters: count[first * categories + second]; subjects that one of them did not rate are left out.
bool ev_ratings_table(struct arena *a, const struct ev_ratings *r, unsigned first, unsigned second, double **table, struct err *e);

// Weights of agreement, 1 on the diagonal (Gwet KL. Handbook of Inter-Rater Reliability, 4th ed., 2014, ch. 3).
enum ev_weighting {
    EV_WEIGHT_IDENTITY,
    EV_WEIGHT_LINEAR,    // Cicchetti and Allison 1971
    EV_WEIGHT_QUADRATIC, // Fleiss and Cohen 1973
    EV_WEIGHT_ORDINAL,
    EV_WEIGHT_RADICAL,
    EV_WEIGHT_RATIO,
    EV_WEIGHT_CIRCULAR,
    EV_WEIGHT_BIPOLAR,
    EV_WEIGHT_COUNT
};

// By the name that programs use: unweighted, equal, linear, squared, quadratic, ...
bool ev_weighting_named(struct str name, enum ev_weighting *out);
const char *ev_weighting_name(enum ev_weighting w);
// w: q x q. scores ascend; NULL is 1, 2, ... q.
void ev_weights(enum ev_weighting kind, const double *scores, unsigned q, double *w);

#endif
