// Sums and spreads of measurements of any size: no square overflows, no small term is lost.
#ifndef GANTRY_MOD_EVIDENCE_SPREAD_H
#define GANTRY_MOD_EVIDENCE_SPREAD_H

#include <math.h>
#include <stddef.h>

// A running sum with its rounding error (Neumaier 1974).
struct ev_sum {
    double sum, lost;
};

static inline void ev_add(struct ev_sum *s, double x) {
    double t = s->sum + x;
    s->lost += fabs(s->sum) >= fabs(x) ? (s->sum - t) + x : (x - t) + s->sum;
    s->sum = t;
}

static inline double ev_total(const struct ev_sum *s) {
    return s->sum + s->lost;
}

// A power of two of the size of the largest value, 1 when all are zero: values divided by it have squares that neither overflow nor vanish.
static inline double ev_unit(const double *x, size_t n) {
    double most = 0;
    int exponent;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
    if (most == 0 || !isfinite(most)) return 1;
    frexp(most, &exponent);
    return ldexp(1, exponent > 1020 ? 1020 : exponent < -1000 ? -1000 : exponent);
}

// The mean and the sum of squares about it, the squares in units of unit^2.
static inline void ev_about_mean(const double *x, size_t n, double unit, double *mean, double *squares) {
    struct ev_sum sum = {0}, square = {0};
    for (size_t i = 0; i < n; i++) ev_add(&sum, x[i] / unit);
    double middle = ev_total(&sum) / (double)n;
    for (size_t i = 0; i < n; i++) ev_add(&square, (x[i] / unit - middle) * (x[i] / unit - middle));
    *mean = middle * unit;
    *squares = ev_total(&square);
}

// Standard deviation, n - 1 below; NaN when n < 2.
static inline double ev_sd(const double *x, size_t n) {
    double unit = ev_unit(x, n), mean, squares;
    if (n < 2) return NAN;
    ev_about_mean(x, n, unit, &mean, &squares);
    return unit * sqrt(squares / (double)(n - 1));
}

#endif
