// Multi-reader multi-case analysis by Obuchowski and Rockette's model, with Hillis' degrees of freedom, and by Dorfman, Berbaum and Metz' (the same test on pseudovalues).
//
// Sources: Obuchowski NA, Rockette HE. Commun Stat Simul Comput 1995;24:285-308. Hillis SL. Stat Med 2007;26:596-619 (degrees of freedom). Hillis SL. Stat Med 2014;33:330-360 (nested designs). Hillis SL et al. Stat Med
// 2005;24:1579-1607 (DBM and OR give the same with jackknife covariances). Hillis SL, Obuchowski NA, Berbaum KS. Acad Radiol 2011;18:129-142 (power).
#ifndef GANTRY_MOD_EVIDENCE_MRMC_H
#define GANTRY_MOD_EVIDENCE_MRMC_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "mod/evidence/study.h"

enum ev_metric { EV_METRIC_AUC, EV_METRIC_SENSITIVITY, EV_METRIC_SPECIFICITY };
enum ev_covariance { EV_COV_JACKKNIFE, EV_COV_DELONG, EV_COV_UNBIASED };

// What an analysis generalises to: readers and cases, the cases only (these readers), the readers only (these cases).
enum ev_generalise { EV_RRRC, EV_FRRC, EV_RRFC };

// Figures of merit of each reader in each modality, and their covariances: what every analysis below starts from.
struct ev_merit {
    unsigned treatments, readers, cases; // cases: as the jackknife counts them
    enum ev_design design;
    double *theta; // treatment * readers + reader; NaN: this reader was not in this modality
    double *cov;   // square, of treatments * readers
};

struct ev_merit_options {
    enum ev_metric metric;
    double cut; // a rating at or above it is positive; for sensitivity and specificity
    enum ev_covariance covariance;
};

// Refused, naming reader and modality: one without cases of either class (AUC), a covariance that needs more. DeLong's wants every reader to have read every case; the unbiased one (Gallas 2007) takes any pattern. Sensitivity and
// specificity know the jackknife only, over the cases of their class.
bool ev_merit_of(struct arena *a, const struct ev_study *s, const struct ev_merit_options *o, struct ev_merit *out, struct err *e);
// Covariances from jackknife values, value[case * groups + group]: (n-1)/n times the sum of outer products about their means.
bool ev_jackknife_covariance(struct arena *a, const double *value, unsigned cases, unsigned groups, double *cov, struct err *e);

// Mean squares and variance components. NaN where there is none (one modality, one reader).
struct ev_or {
    const struct ev_merit *merit;
    double mean;
    double ms_t, ms_r, ms_tr;                                                 // of design readers-in-treatment ms_tr is that of readers within modalities
    double var_error, cov1, cov2, cov3;                                       // Cov1: same reader; Cov2: same modality; Cov3: neither
    double var_r, var_tr;                                                     // unconstrained: may be negative
    double *treatment_mean, *treatment_ms_r, *treatment_var, *treatment_cov2; // each modality alone
    double *reader_var, *reader_cov1;                                         // each reader alone
};

struct ev_estimate {
    double value, se;
    double statistic, df, p; // t (z when df is infinite), two-sided against 0
    double lo, hi;
};

// Of the equality of all modalities. F with df1 and df2; of fixed readers chi-square with df1 (statistic) and F = chi-square / df1.
struct ev_or_test {
    double statistic, df1, df2, p, denominator;
};

bool ev_or_analyse(struct arena *a, const struct ev_merit *m, struct ev_or *out, struct err *e);
struct ev_or_test ev_or_equality(const struct ev_or *o, enum ev_generalise g);
// Differences of modalities i - k; a modality alone; of one reader alone (fixed readers).
struct ev_estimate ev_or_difference(const struct ev_or *o, enum ev_generalise g, unsigned i, unsigned k, double level);
struct ev_estimate ev_or_treatment(const struct ev_or *o, enum ev_generalise g, unsigned i, double level);
struct ev_estimate ev_or_reader_difference(const struct ev_or *o, unsigned reader, unsigned i, unsigned k, double level);
struct ev_estimate ev_or_reader(const struct ev_or *o, unsigned reader, unsigned i, double level);

// The three-way analysis of variance of the (normalised) pseudovalues, which the jackknife covariances hold wholly. Crossed designs.
struct ev_dbm {
    double ms_t, ms_r, ms_c, ms_tr, ms_tc, ms_rc, ms_trc;
    double var_r, var_c, var_tr, var_tc, var_rc, var_error; // unconstrained
};
struct ev_dbm ev_dbm_of(const struct ev_or *o);

// Planning: a pilot's components, in a study of so many readers and cases of the same mix.
struct ev_or_plan {
    double var_tr, var_error, cov1, cov2, cov3; // var_tr may be negative: then 0
    double cases;                               // that the components were estimated on
};
struct ev_or_plan ev_or_plan_of(const struct ev_or *o);
struct ev_power {
    double power, ncp, df1, df2, critical; // of the F test
};
// Of two modalities that differ by effect; two-sided at alpha. NaN when readers < 2 (fixed readers: < 1) or cases < 2.
struct ev_power ev_or_power(const struct ev_or_plan *p, enum ev_generalise g, double readers, double cases, double effect, double alpha);
// The smallest number of cases with that power, at most 10 million; 0: no number gives it.
unsigned ev_or_cases(const struct ev_or_plan *p, enum ev_generalise g, double readers, double effect, double alpha, double power);
unsigned ev_or_readers(const struct ev_or_plan *p, enum ev_generalise g, double cases, double effect, double alpha, double power);

#endif
