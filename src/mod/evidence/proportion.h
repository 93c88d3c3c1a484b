// Proportions: intervals for one, for the difference of two, paired and not, and of observations that come in clusters.
//
// Counts are doubles, whole or not (weighted tables). level is the confidence level in (0, 1), two-sided. What cannot be said is NaN.
#ifndef GANTRY_MOD_EVIDENCE_PROPORTION_H
#define GANTRY_MOD_EVIDENCE_PROPORTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct ev_interval {
    double value, lo, hi;
};

enum ev_proportion_method {
    EV_WILSON,          // score interval; Wilson, JASA 1927;22:209
    EV_WILSON_CC,       // the same with continuity correction; Newcombe, Stat Med 1998;17:857, method 4
    EV_CLOPPER_PEARSON, // exact; Biometrika 1934;26:404
    EV_AGRESTI_COULL,   // Am Stat 1998;52:119; may reach beyond [0, 1], and is cut there
    EV_JEFFREYS,        // quantiles of Beta(k + 1/2, n - k + 1/2), 0 and 1 at the ends; Brown, Cai and DasGupta, Stat Sci 2001;16:101
    EV_MID_P,           // Clopper and Pearson's with half of the observed count's probability; Newcombe 1998, method 6
    EV_WALD,            // p -+ z sqrt(p q / n), cut to [0, 1]: known to cover too little
    EV_PROPORTION_METHODS
};

// "wilson", "wilson_cc", "clopper_pearson" ("exact"), "agresti_coull", "jeffreys", "mid_p", "wald"; false when it is none of them.
bool ev_proportion_method(struct str name, enum ev_proportion_method *out);
const char *ev_proportion_method_name(enum ev_proportion_method m); // for sentences: "Wilson score"
// k of n, 0 <= k <= n; all NaN when that does not hold or n is 0 (with n = 0 nothing is known: 0 to 1 is not an estimate).
struct ev_interval ev_proportion(double k, double n, enum ev_proportion_method method, double level);

// k1/n1 - k2/n2 of independent groups: square-and-add of Wilson's limits; Newcombe, Stat Med 1998;17:873, method 10.
struct ev_interval ev_proportion_difference(double k1, double n1, double k2, double n2, double level);
// (b - c) / n of pairs, b only the first, c only the second: score interval; Tango, Stat Med 1998;17:891.
struct ev_interval ev_proportion_difference_paired(double b, double c, double n, double level);
// Its score statistic for the difference delta; NaN when n is 0.
double ev_tango_z(double b, double c, double n, double delta);

// McNemar's test of b against c discordant pairs (Psychometrika 1947;12:153): chi-square with one degree of freedom, with the correction of Edwards (1948), exact binomial
// and its mid-p (Fagerland, Lydersen and Laake, BMC Med Res Methodol 2013;13:91). No discordant pair: statistics NaN, exact p 1.
struct ev_mcnemar {
    double chi2, p, chi2_cc, p_cc, p_exact, p_mid;
};
struct ev_mcnemar ev_mcnemar(double b, double c);

// A proportion whose observations come in clusters (lesions of patients): ratio estimate, variance between clusters, Wilson's interval with the effective number
// (Rao and Scott, Biometrics 1992;48:577). cluster[i] >= 0; hit[i] 0 or 1. One cluster: the variance is NaN.
struct ev_clustered_proportion {
    struct ev_interval interval;
    double se, design_effect, effective_n;
    size_t clusters;
};
bool ev_proportion_clustered(struct arena *a, const uint8_t *hit, const int32_t *cluster, size_t n, double level, struct ev_clustered_proportion *out,
                             struct err *e);

#endif
