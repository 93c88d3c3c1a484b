// Power and sample size of studies of diagnostic accuracy. Numbers of cases come as fractions, as the formulas give them: round each group up.
//
// alpha is the level of the test, sides 1 or 2; power in (0, 1); a ratio is negatives per positive. Arguments outside their range give NaN.
#ifndef GANTRY_MOD_EVIDENCE_POWER_H
#define GANTRY_MOD_EVIDENCE_POWER_H

#include <stdbool.h>

#include "mod/evidence/roc.h"

// A normal test of an effect whose estimate has variance null / n without the effect and alternative / n with it. Each answers for one of the four, given the others.
struct ev_effect {
    double effect, null, alternative;
    int sides;
};
double ev_effect_power(const struct ev_effect *x, double n, double alpha);
double ev_effect_size(const struct ev_effect *x, double power, double alpha); // n
double ev_effect_alpha(const struct ev_effect *x, double n, double power);

// Variance of an area's estimate times the number of positives, from the area alone; Obuchowski, Lieber and Wians, Clin Chem 2004;50:1118 (binormal, equal variances;
// with the constants as they are printed: 1.414 and 0.0099).
double ev_auc_planning_variance(double auc, double ratio);
// One area against another of the null hypothesis (0.5: chance).
struct ev_effect ev_effect_auc(double auc, double null, double ratio, int sides);
// The smallest area above the null that n1 positives show with the power.
double ev_detectable_auc(double null, double n1, double ratio, double power, double alpha, int sides);

// Binormal curve: sensitivity = Phi(a + b Phi^-1(false positive rate)); area between two false positive rates, its variance and two curves' covariance times the number of positives
// (Obuchowski and McClish, Stat Med 1997;16:1529). r_positive, r_negative: correlation of the two tests' scores in either class.
struct ev_binormal {
    double a, b, from, to; // 0 and 1: the whole area
};
double ev_binormal_area(const struct ev_binormal *x);
// Fitted to the points of a curve by least squares of probits: specificity by sensitivity, whose a and b are those of the curve seen from the other class, as pROC 1.18 has it (its later
// versions turn them); NaN with fewer than two points inside.
struct ev_binormal ev_binormal_fitted(const struct ev_roc_curve *c);
// Pearson's correlation of two tests' scores within a class.
double ev_correlation_within(const double *x, const double *y, const uint8_t *positive, size_t n, uint8_t which);
// The whole curve of that area with b = 1.
struct ev_binormal ev_binormal_of_area(double auc);
double ev_binormal_variance(const struct ev_binormal *x, double ratio);
double ev_binormal_covariance(const struct ev_binormal *x, const struct ev_binormal *y, double r_positive, double r_negative, double ratio);

// Two areas on the same cases (correlations; both 0: on different cases). The first test's variance stands for both under the null hypothesis.
struct ev_effect ev_effect_binormal(const struct ev_binormal *x, const struct ev_binormal *y, double difference, double r_positive, double r_negative,
                                    double ratio, int sides);
// The same with variances seen in a study: tests a and b of d.
struct ev_effect ev_effect_delong(const struct ev_delong *d, unsigned a, unsigned b, int sides);

// Proportions. Cases in each group (or of the first, where there is a ratio).
double ev_size_two_proportions(double p1, double p2, double power, double alpha, int sides); // Fleiss; as R's power.prop.test
double ev_power_two_proportions(double p1, double p2, double n, double alpha, int sides);
double ev_size_one_proportion(double p, double null, double power, double alpha, int sides);
// An interval's half-width: cases in all, of whom `share` are those counted (prevalence for sensitivity); Buderer, Acad Emerg Med 1996;3:895.
double ev_size_precision(double p, double half_width, double share, double level);
// Treatment is no worse than control by delta; controls, treated are ratio times as many; Chow, Shao and Wang, Sample Size Calculations in Clinical Research, 4.2.
double ev_size_noninferior(double treated, double control, double delta, double power, double alpha, double ratio);
// Within -delta..delta (two one-sided tests).
double ev_size_equivalent(double treated, double control, double delta, double power, double alpha, double ratio);
// Pairs, of whom b are positive by the first only and c by the second only (McNemar); Connor, Biometrics 1987;43:207.
double ev_size_paired_proportions(double b, double c, double power, double alpha, int sides);
double ev_power_paired_proportions(double b, double c, double n, double alpha, int sides);

#endif
