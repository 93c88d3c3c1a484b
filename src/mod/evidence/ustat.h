// Reader studies by U-statistics: unbiased variances of reader-averaged areas for any pattern of who read what.
//
// Sources: Gallas BD. Acad Radiol 2006;13:353-362. Gallas BD, Pennello GA, Myers KJ. J Opt Soc Am A 2007;24:B70-B80. Gallas BD, Bandos A, Samuelson FW, Wagner RF. Commun Stat Theory Methods 2009;38:2586-2603 (moments BDG, components BCK, equation 19).
// Gallas BD, Brown DG. Neural Networks 2008;21:387-397 (any design).
#ifndef GANTRY_MOD_EVIDENCE_USTAT_H
#define GANTRY_MOD_EVIDENCE_USTAT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "mod/evidence/study.h"

// Of the moments: products of two successes that share ... M1 both cases and the reader, M2 reader and diseased case, M3 reader and normal case, M4 the reader only, M5 to M8 the same of two readers.
enum { EV_BDG_MOMENTS = 8 };
// Components of variance: normal cases, diseased cases, their interaction, readers, and the interactions with readers.
enum ev_bck { EV_BCK_N, EV_BCK_D, EV_BCK_ND, EV_BCK_R, EV_BCK_NR, EV_BCK_DR, EV_BCK_RND, EV_BCK_COUNT };

// Of one modality with itself, or of two with each other: covariance instead of variance.
struct ev_ustat {
    double auc[2];                                               // pairs of cases pooled over readers, of both modalities
    double moment[EV_BDG_MOMENTS], moment_mle[EV_BDG_MOMENTS];   // without bias; of the empirical distribution
    double coefficient[EV_BDG_MOMENTS];                          // covariance = sum of coefficient * moment
    double component[EV_BCK_COUNT], component_mle[EV_BCK_COUNT]; // Barrett, Clarkson and Kundel's
    double component_coefficient[EV_BCK_COUNT];
    double variance, variance_mle;
    double df_n, df_d, df_r; // whole numbers: effective cases and readers less one
    unsigned readers, normals, diseased;
};

// An area or a difference of two, tested.
struct ev_ustat_result {
    double value, variance; // the variance may be negative, or zero of constant ratings: then no test
    double df;              // NaN then; at least the least of the parts' (Gaylor and Hopper 1969)
    double p_normal, lo_normal, hi_normal;
    double p, lo, hi; // Student's t with df rounded down; above 50 the normal distribution
};

bool ev_ustat_pair(struct arena *a, const struct ev_study *s, unsigned modality, unsigned other, struct ev_ustat *out, struct err *e);
// One modality against 1/2. mle: with the variance of the empirical distribution (V-statistic), which is positive and biased upwards.
struct ev_ustat_result ev_ustat_single(const struct ev_ustat *x, bool mle, double level);
// x - y, given also their covariance xy.
struct ev_ustat_result ev_ustat_difference(const struct ev_ustat *x, const struct ev_ustat *y, const struct ev_ustat *xy, bool mle, double level);

#endif
