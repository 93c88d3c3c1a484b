// Logistic regression by maximum likelihood: the model of a calibration, and one of its own.
#ifndef GANTRY_MOD_EVIDENCE_LOGISTIC_H
#define GANTRY_MOD_EVIDENCE_LOGISTIC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

enum { EV_PREDICTORS_MAX = 200 };

struct ev_logistic {
    unsigned columns, iterations;
    double *coefficient, *se, *covariance; // covariance: columns x columns
    double log_likelihood, null_log_likelihood;
    bool extreme; // some fitted probability is 0 or 1 to 1e-9: the predictors may separate the outcomes
};

// P(y = 1) = 1 / (1 + exp(-(x b + offset))); x is n x columns, row by row, with its column of ones where an intercept is wanted; y is 0 or 1; offset may be NULL.
// Refuses one outcome only, values that are not finite, predictors that determine each other, and outcomes that the predictors separate (no maximum).
bool ev_logistic(struct arena *a, const double *x, const double *y, const double *offset, size_t n, unsigned columns, struct ev_logistic *out, struct err *e);

#endif
