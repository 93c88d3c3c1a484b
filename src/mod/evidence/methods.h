// Two methods of measurement compared: Bland and Altman's limits of agreement, Lin's concordance, repeatability, equivalence.
#ifndef GANTRY_MOD_EVIDENCE_METHODS_H
#define GANTRY_MOD_EVIDENCE_METHODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

// ---- Limits of agreement: Bland JM, Altman DG. Lancet 1986;327:307-310; Stat Methods Med Res 1999;8:135-160; J Biopharm Stat 2007;17:571-582.
struct ev_bland_altman {
    size_t subjects, pairs;
    double bias, bias_se, bias_lo, bias_hi; // mean of the differences
    double sd;                              // of the differences of single measurements
    double multiplier;
    double loa_lo, loa_hi;                             // bias -+ multiplier * sd
    double loa_lo_lo, loa_lo_hi, loa_hi_lo, loa_hi_hi; // their intervals
    double within_sd, between_sd;                      // repeated only: of differences within and between subjects; NaN otherwise
    double slope, slope_se, slope_p;                   // of difference on mean: 0 when the bias does not grow; NaN when repeated or it does not exist
};

// d = x - y of n subjects; multiplier 1.96 by custom (1986: 2). Intervals: t, and var(limit) = sd^2 (1/n + multiplier^2 / (2 (n - 1))) (1999, sect. 4). Refuses n < 2.
bool ev_bland_altman(const double *x, const double *y, size_t n, double multiplier, double level, struct ev_bland_altman *out, struct err *e);

// Several pairs per subject, taken while the true value changes (2007, sect. 3): variance between plus variance within subjects, of the one-way analysis of the differences.
// subject[i] in [0, subjects). Intervals of the limits by MOVER (Zou GY. Stat Methods Med Res 2013;22:630-642). A negative variance between is taken as 0.
bool ev_bland_altman_linked(struct arena *a, const double *x, const double *y, const uint32_t *subject, size_t n, size_t subjects, double multiplier,
                            double level, struct ev_bland_altman *out, struct err *e);

// Replicates of each method while the true value stays (1999, sect. 5.1): x[subject * x_count + replicate], NaN where missing; each subject needs one of each at least.
bool ev_bland_altman_replicates(struct arena *a, const double *x, unsigned x_count, const double *y, unsigned y_count, size_t subjects, double multiplier,
                                double level, struct ev_bland_altman *out, struct err *e);

// ---- Concordance: Lin LI. Biometrics 1989;45:255-268, with the correction of 2000;56:324-325. Moments with n below, as the paper has them.
struct ev_concordance {
    size_t n;
    double ccc, se, lo, hi;          // by the z transform
    double plain_lo, plain_hi;       // by the normal distribution as it is
    double pearson, bias_correction; // precision and accuracy (C.b): their product is ccc
    double scale_shift;              // sd(y) / sd(x)
    double location_shift;           // (mean y - mean x) / sqrt(sd(x) sd(y))
};

// Refuses n < 3 and a method that does not vary.
bool ev_concordance(const double *x, const double *y, size_t n, double level, struct ev_concordance *out, struct err *e);

// ---- Repeatability: Raunig DL et al. Stat Methods Med Res 2015;24:27-67; Obuchowski NA, Bullen J. Stat Methods Med Res 2018;27:3139-3162 (QIBA).
struct ev_repeatability {
    size_t subjects;            // with two measurements at least
    double df;                  // measurements less subjects
    double wsd, wsd_lo, wsd_hi; // within-subject standard deviation; chi-square
    double rc, rc_lo, rc_hi;    // repeatability coefficient 1.96 sqrt(2) wsd
    double wcv, wcv_lo, wcv_hi; // sqrt of the mean of (variance / mean^2); NaN when a mean is not above 0
    double mean;
};

// value[i] belongs to subject[i] in [0, subjects); NaN is passed over. Refuses when no subject has two.
bool ev_repeatability(struct arena *a, const double *value, const uint32_t *subject, size_t n, size_t subjects, double level, struct ev_repeatability *out,
                      struct err *e);

// ---- Equivalence by two one-sided tests: Schuirmann DJ. J Pharmacokinet Biopharm 1987;15:657-680.
struct ev_tost {
    double estimate, se, df;
    double t_lower, p_lower; // of estimate <= lower
    double t_upper, p_upper; // of estimate >= upper
    double p;                // the larger one
    double lo, hi;           // 1 - 2 alpha; equivalent when it lies between the margins
    bool equivalent;
};

// Mean of x - y against (lower, upper); level 1 - alpha. y NULL: mean of x.
bool ev_tost_paired(struct arena *a, const double *x, const double *y, size_t n, double lower, double upper, double level, struct ev_tost *out, struct err *e);
// Difference of the means of two groups, variances their own (Welch).
bool ev_tost_groups(const double *x, size_t nx, const double *y, size_t ny, double lower, double upper, double level, struct ev_tost *out, struct err *e);

#endif
