// Receiver operating characteristic: the curve, its area with DeLong's covariances, partial areas, operating points, resampling, and comparisons of tests.
//
// The greater score speaks for the condition; a test whose small values do so is given with its scores negated. Scores are finite numbers. Everything is exact in ties: equal scores
// count one half. Levels are two-sided confidence levels. What is not defined is NaN and its reason is the caller's to tell; what cannot be done is an error that says why.
#ifndef GANTRY_MOD_EVIDENCE_ROC_H
#define GANTRY_MOD_EVIDENCE_ROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { EV_TESTS_MAX = 64 }; // of one comparison

// One test on n cases.
struct ev_roc_data {
    const double *score;
    const uint8_t *positive; // 1: has the condition, 0: has it not
    size_t n;
};

// How each case stands among those of the other class, in O(n log n) (Sun and Xu, IEEE Signal Process Lett 2014;21:1389).
struct ev_placements {
    size_t n0, n1;
    double *negative; // by negative in their order: the share of positives above it, equal ones half
    double *positive; // by positive in their order: the share of negatives below it
    double auc;       // the mean of either (Mann-Whitney)
    double equal;     // the share of pairs of a positive and a negative that are equal
};
bool ev_placements(struct arena *a, const struct ev_roc_data *d, struct ev_placements *out, struct err *e);

// Areas of several tests on the same cases and the covariances of their estimates (DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837). With one case in a class covariances are NaN.
struct ev_delong {
    unsigned tests;
    size_t n0, n1;
    double *auc;
    double *covariance;           // tests x tests
    double *of_positive;          // S10, S01 of the paper: covariance = S10 / n1 + S01 / n0
    double *of_negative;          //
    struct ev_placements *placed; // by test
};
// score[t][i]; positive as above.
bool ev_delong(struct arena *a, unsigned tests, const double *const *score, const uint8_t *positive, size_t n, struct ev_delong *out, struct err *e);
// The same when cases come in clusters (lesions, sides, visits of a patient): variance between clusters; Obuchowski, Biometrics 1997;53:567. cluster[i] >= 0.
bool ev_delong_clustered(struct arena *a, unsigned tests, const double *const *score, const uint8_t *positive, const int32_t *cluster, size_t n,
                         struct ev_delong *out, struct err *e);

struct ev_auc {
    double auc, se, lo, hi;
};
enum ev_auc_interval {
    EV_AUC_WALD,  // auc -+ z se, cut to [0, 1]
    EV_AUC_LOGIT, // on the logit scale: never beyond [0, 1], nearer to its level when the area is near 1
};
struct ev_auc ev_auc_of(double auc, double variance, enum ev_auc_interval method, double level);
// Standard error from the area alone (Hanley and McNeil, Radiology 1982;143:29).
double ev_hanley_mcneil_se(double auc, double n1, double n0);
// Variance without bias from the moments of the U-statistic (Gallas, Acad Radiol 2006;13:353, one reader); may be negative in small samples. NaN with one case in a class.
double ev_auc_variance_unbiased(const struct ev_placements *p);

// A difference of areas: statistic is standard normal (df infinite) or Student's.
struct ev_auc_test {
    double difference, se, statistic, df, p, lo, hi;
};
// Of tests a and b on the same cases.
struct ev_auc_test ev_auc_paired(const struct ev_delong *d, unsigned a, unsigned b, double level);
// On different cases; degrees of freedom by Satterthwaite from the numbers of cases (Wald with infinite ones when either variance is 0).
struct ev_auc_test ev_auc_unpaired(double auc1, double variance1, size_t n1, double auc2, double variance2, size_t n2, double level);
// All tests alike: chi-square with tests - 1 degrees of freedom (DeLong et al., section 3); false when their covariance is singular.
bool ev_auc_all_alike(struct arena *a, const struct ev_delong *d, double *chi2, double *df, double *p, struct err *e);

// Against a margin > 0. noninferior: p of "difference <= -margin", one-sided; equivalent: the larger p of the two one-sided tests (Schuirmann 1987; Chen, Zhou et al. 2012 for areas).
struct ev_margin_test {
    double z_lower, p_noninferior, z_upper, p_equivalent;
    double lo, hi; // interval at 1 - 2 alpha, alpha = (1 - level) / 2: noninferior when lo > -margin
};
struct ev_margin_test ev_margin(double difference, double se, double margin, double level);

// The empirical curve: every way to call a case positive when its score exceeds a threshold.
struct ev_roc_curve {
    size_t count; // distinct scores + 1
    size_t n0, n1;
    double *threshold; // descending from infinity to -infinity, halfway between neighbours
    double *fp, *tp;   // counts, ascending from 0 to n0, n1
};
bool ev_roc_curve(struct arena *a, const struct ev_roc_data *d, struct ev_roc_curve *out, struct err *e);
double ev_roc_area(const struct ev_roc_curve *c);

enum ev_focus { EV_SPECIFICITY_FOCUS, EV_SENSITIVITY_FOCUS };
// Area over specificities (or sensitivities) lo..hi, 0 <= lo < hi <= 1, straight between points. corrected: McClish's standardisation to 0.5 (chance) .. 1 (Med Decis Making 1989;9:190),
// NaN below the diagonal, where it has no meaning.
double ev_roc_partial(const struct ev_roc_curve *c, enum ev_focus focus, double lo, double hi, bool corrected);
// Sensitivity where the curve crosses a specificity in [0, 1] (the greatest, straight between points), and the reverse.
double ev_roc_sensitivity_at(const struct ev_roc_curve *c, double specificity);
double ev_roc_specificity_at(const struct ev_roc_curve *c, double sensitivity);
enum ev_best { EV_BEST_YOUDEN, EV_BEST_CLOSEST }; // greatest sensitivity + specificity; nearest to the upper left corner
// The point that is best; the highest threshold of equals. equals: how many there are (may be NULL). weight: relative cost of a false negative times odds of the condition (1: plain).
size_t ev_roc_best(const struct ev_roc_curve *c, enum ev_best how, double weight, size_t *equals);

// What is resampled.
enum ev_index { EV_INDEX_AUC, EV_INDEX_PARTIAL, EV_INDEX_SENSITIVITY_AT, EV_INDEX_SPECIFICITY_AT };
struct ev_wanted {
    enum ev_index index;
    enum ev_focus focus; // partial area
    double lo, hi;       // partial area; lo alone: the fixed specificity or sensitivity
    bool corrected;
};
double ev_roc_index(const struct ev_roc_curve *c, const struct ev_wanted *w);

// Cases drawn with replacement within each class; value[(t * wanted + k) * replicates + r] is index k of test t in replicate r, the same cases for all tests. Same seed, same values.
bool ev_roc_bootstrap(struct arena *a, unsigned tests, const double *const *score, const uint8_t *positive, size_t n, const struct ev_wanted *w,
                      unsigned wanted, unsigned replicates, uint64_t seed, double **value, struct err *e);
// Percentile interval (Hyndman and Fan's type 7) and standard deviation of replicates; NaN replicates are left out and counted.
struct ev_resampled {
    double se, lo, hi;
    size_t undefined;
};
bool ev_resampled(struct arena *a, const double *value, size_t n, double level, struct ev_resampled *out, struct err *e);

#endif
