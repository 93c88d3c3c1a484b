// Control charts of a process that is watched: tabular CUSUM and EWMA, and how long they run until they signal.
#ifndef GANTRY_MOD_EVIDENCE_CHARTS_H
#define GANTRY_MOD_EVIDENCE_CHARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

// Page ES. Biometrika 1954;41:100-115; Montgomery DC. Introduction to Statistical Quality Control, ch. 9. target, k, h and head_start in the units of x.
struct ev_cusum {
    double target, k, h, head_start; // 0 <= head_start < h (fast initial response: h / 2)
    double *hi, *lo;                 // S+ and S- after each point; they run on after a signal
    size_t first_signal, signals;    // the index from 1 of the first point with S+ or S- above h, 0: none; how many there are
    bool first_is_hi;
};
bool ev_cusum(struct arena *a, const double *x, size_t n, struct ev_cusum *chart, struct err *e);

// Roberts SW. Technometrics 1959;1:239-250. Limits start + - width * sd * sqrt(lambda / (2 - lambda)), times sqrt(1 - (1 - lambda)^2i) when they widen with time.
struct ev_ewma {
    double lambda, start, sd, width; // 0 < lambda <= 1; width 3 by custom
    bool widening;
    double *z, *lo, *hi; // by point
    double lcl, ucl;     // of a long run
    size_t first_signal, signals;
};
bool ev_ewma(struct arena *a, const double *x, size_t n, struct ev_ewma *chart, struct err *e);

// ---- average run lengths ----
//
// Points are independent and normal with variance 1 and mean shift; k, h, limits in standard deviations of a point. The integral equations (Page 1954; Crowder SV. Technometrics 1987;29:401-407)
// by Gauss-Legendre quadrature, relative error below 1e-6. Where a length is beyond 1e12, or parameters out of range, it is an error.

enum ev_sides { EV_ONE_SIDED, EV_TWO_SIDED };

// 0 <= k <= 20, 0 < h <= 100, 0 <= head_start <= h. Two sides: both begin at head_start (Lucas JM, Crosier RB. Technometrics 1982;24:199-205).
bool ev_cusum_arl(struct arena *a, enum ev_sides sides, double k, double h, double head_start, double shift, double *arl, struct err *e);
// 0.005 <= lambda <= 1; width in standard deviations of a long run's EWMA, to 10; start in standard deviations of a point from the middle. Two-sided, limits fixed.
bool ev_ewma_arl(struct arena *a, double lambda, double width, double start, double shift, double *arl, struct err *e);

// The h (or width) whose run length without a shift is arl (2 .. 1e9).
bool ev_cusum_design(struct arena *a, enum ev_sides sides, double k, double arl, double *h, struct err *e);
bool ev_ewma_design(struct arena *a, double lambda, double arl, double *width, struct err *e);

#endif
