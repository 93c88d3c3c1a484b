// Does a probability say what happens? Scores, bins, Hosmer and Lemeshow's test, recalibration.
#ifndef GANTRY_MOD_EVIDENCE_CALIBRATION_H
#define GANTRY_MOD_EVIDENCE_CALIBRATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

// Everywhere: p in [0, 1], y 0 or 1, n of each; what is not is refused with its row.

enum ev_binning {
    EV_BINS_WIDTH, // of equal width: (lo, hi], the first one with 0
    EV_BINS_COUNT, // of equal count: bin i ends with the ceil(n i / bins)-th smallest value, equal values stay together
};

struct ev_bin {
    size_t n;
    double lo, hi;     // width: the bin's ends; count: its smallest and largest value
    double mean, rate; // of p, of y; NaN when empty
};

bool ev_bins(struct arena *a, const double *p, const double *y, size_t n, enum ev_binning binning, unsigned count, struct ev_bin *bin, struct err *e);

struct ev_calibration {
    size_t n;
    double events;
    // Brier GW. Mon Weather Rev 1950;78:1-3 (one class; of two classes it is twice that). Murphy AH. J Appl Meteorol 1973;12:595-600 by the bins, with the two terms
    // within bins of Stephenson DB et al. Weather Forecast 2008;23:752-757: brier = reliability - resolution + uncertainty + within_variance - within_covariance.
    double brier, reliability, resolution, uncertainty, within_variance, within_covariance;
    double brier_scaled;                     // 1 - brier / uncertainty
    double log_loss;                         // mean of -ln P(what happened); infinite when that was 0
    double ece, mce;                         // mean and largest |mean - rate| over the bins
    double oe, oe_lo, oe_hi;                 // observed over expected events; log normal
    double spiegelhalter_z, spiegelhalter_p; // Spiegelhalter DJ. Stat Med 1986;5:421-433
};

bool ev_calibration(struct arena *a, const double *p, const double *y, size_t n, enum ev_binning binning, unsigned bins, double level,
                    struct ev_calibration *out, struct err *e);

// Cox DR. Biometrika 1958;45:562-565: logit P(y) = intercept + slope logit p; at large: slope held at 1. Refuses p of 0 or 1 (no logit).
struct ev_recalibration {
    double slope, slope_se, slope_lo, slope_hi, intercept, intercept_se;
    double large, large_se, large_lo, large_hi;
};
bool ev_recalibration(struct arena *a, const double *p, const double *y, size_t n, double level, struct ev_recalibration *out, struct err *e);

// Hosmer DW, Lemeshow S. Commun Stat Theory Methods 1980;9:1043-1069. The statistic depends on how groups are made, so they are named.
enum ev_grouping {
    EV_GROUPS_COUNT,    // as EV_BINS_COUNT; Stata's estat gof
    EV_GROUPS_QUANTILE, // at the quantiles of type 7, (lo, hi]; R's ResourceSelection
};
struct ev_hosmer_group {
    size_t n;
    double lo, hi, observed, expected; // of p; events
};
struct ev_hosmer {
    unsigned groups; // those that came to be
    struct ev_hosmer_group *group;
    double chi2, df, p; // df = groups - 2
};
// sizes (may be NULL): as many as groups, for groups of the values in order, equal values in the order of the rows. Refuses fewer than 3 groups or fewer values than groups.
bool ev_hosmer(struct arena *a, const double *p, const double *y, size_t n, enum ev_grouping grouping, unsigned groups, const size_t *sizes,
               struct ev_hosmer *out, struct err *e);

#endif
