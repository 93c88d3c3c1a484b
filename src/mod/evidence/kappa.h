// Agreement beyond chance between two raters (a square table) or many (counts per subject): kappa, pi, AC1/AC2, Brennan-Prediger, alpha.
//
// Sources: Cohen 1960, 1968; Fleiss, Cohen and Everitt 1969 (variances); Scott 1955; Fleiss 1971; Fleiss, Nee and Landis 1979; Light 1971; Conger 1980;
// Brennan and Prediger 1981; Krippendorff 2011; Gwet 2008 and Handbook of Inter-Rater Reliability (4th ed., 2014).
#ifndef GANTRY_MOD_EVIDENCE_KAPPA_H
#define GANTRY_MOD_EVIDENCE_KAPPA_H

#include "mod/evidence/ratings.h"

enum ev_agreement_kind {
    EV_AGREE_PERCENT,      // raw agreement, chance 0
    EV_AGREE_COHEN,        // of many raters: Conger
    EV_AGREE_SCOTT,        // of many raters: Fleiss
    EV_AGREE_GWET,         // AC1; AC2 with weights
    EV_AGREE_BRENNAN,      // Brennan and Prediger; kappa_n, S, PABAK of two categories
    EV_AGREE_KRIPPENDORFF, // with its correction for small samples
    EV_AGREE_KIND_COUNT
};

struct ev_agreement {
    double n;                       // subjects that count: for two raters those both rated, for many those that anybody rated
    double value, observed, chance; // value = (observed - chance) / (1 - chance)
    double se;                      // of value, subjects sampled; NaN when n < 2
    double lo, hi;                  // t with n - 1 degrees of freedom, upper end at most 1
    double se_null, z, p;           // of value = 0: Cohen and Fleiss only (and only as their papers have it), else NaN
};

// Two raters: table[k * q + l] subjects were put into k by the first and l by the second rater; w is q x q.
// Refuses an empty table, and one whose chance agreement is 1 (every rating in one category): the coefficient is then 0/0.
bool ev_agreement_table(enum ev_agreement_kind kind, const double *table, const double *w, unsigned q, double level, struct ev_agreement *out, struct err *e);

// Many raters, some ratings missing: each pair of ratings of a subject counts. Krippendorff leaves out subjects with one rating; the others keep them for the chance.
bool ev_agreement_raters(struct arena *a, enum ev_agreement_kind kind, const struct ev_ratings *r, const double *w, double level, struct ev_agreement *out,
                         struct err *e);

// Fleiss 1971 with the null variance of Fleiss, Nee and Landis 1979, on complete ratings (refused otherwise), unweighted. by_category (may be NULL): kappa of each category.
bool ev_fleiss(struct arena *a, const struct ev_ratings *complete, double level, struct ev_agreement *out, double *by_category, struct err *e);

// The mean of Cohen's kappas of all pairs of raters (Light 1971), on complete ratings.
bool ev_light(struct arena *a, const struct ev_ratings *complete, const double *w, double *kappa, struct err *e);

// Levels of measurement of Krippendorff's alpha.
enum ev_level { EV_LEVEL_NOMINAL, EV_LEVEL_ORDINAL, EV_LEVEL_INTERVAL, EV_LEVEL_RATIO };

// Alpha at a level of measurement: the weights follow from the values (ordinal: from how often each occurs). The standard error takes the weights as given.
// Words have no interval or ratio: refused.
bool ev_krippendorff(struct arena *a, enum ev_level level_of_measurement, const struct ev_ratings *r, double level, struct ev_agreement *out, struct err *e);

#endif
