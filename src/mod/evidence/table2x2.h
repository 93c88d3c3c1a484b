// The table of a test against the truth: its measures with their intervals, at the study's and at a stated prevalence, and its correction when not everybody was verified.
#ifndef GANTRY_MOD_EVIDENCE_TABLE2X2_H
#define GANTRY_MOD_EVIDENCE_TABLE2X2_H

#include "mod/evidence/proportion.h"

struct ev_table2x2 {
    double tp, fp, fn, tn; // counts, >= 0
};

enum ev_measure {
    EV_SENSITIVITY,
    EV_SPECIFICITY,
    EV_PPV,
    EV_NPV,
    EV_ACCURACY,
    EV_PREVALENCE,
    EV_APPARENT_PREVALENCE, // share of positive tests
    EV_LR_POSITIVE,         // likelihood ratios: logarithmic interval; Simel, Samsa and Matchar, J Clin Epidemiol 1991;44:763
    EV_LR_NEGATIVE,
    EV_DOR,    // diagnostic odds ratio: Woolf, Ann Hum Genet 1955;19:251
    EV_YOUDEN, // sensitivity + specificity - 1; limits are the sums of theirs (as epi.tests), so wider than the level
    EV_NND,    // number needed to diagnose: 1 / Youden
    EV_BALANCED_ACCURACY,
    EV_F1,
    EV_MCC, // Matthews' correlation
    EV_KAPPA,
    EV_FALSE_DISCOVERY, // 1 - PPV
    EV_FALSE_OMISSION,  // 1 - NPV
    EV_MEASURES
};

// "se", "sp", "ppv", "npv", "accuracy", "tp" (true prevalence), "ap", "lr+", "lr-", "dor", "youden", "nnd", ...: how tables of reference values call them; false when unknown.
bool ev_measure_of(struct str name, enum ev_measure *out);
const char *ev_measure_name(enum ev_measure m); // a term: "Sensitivity"

// A value that is not defined (an empty margin) is NaN, a ratio over 0 infinite; limits that a zero cell takes away are NaN. Measures without an interval have NaN limits.
struct ev_interval ev_table2x2_measure(const struct ev_table2x2 *t, enum ev_measure m, enum ev_proportion_method method, double level);
// Score interval of a likelihood ratio (Koopman, Biometrics 1984;40:513): stands with zero cells too.
struct ev_interval ev_likelihood_ratio_score(const struct ev_table2x2 *t, bool positive, double level);
// Predictive value at a prevalence in (0, 1): logit interval; Mercaldo, Lau and Zhou, Stat Med 2007;26:2170.
struct ev_interval ev_predictive_value(const struct ev_table2x2 *t, bool positive, double prevalence, double level);

// Verification bias: sensitivity and specificity when only some were verified, by whom the test alone decided (Begg and Greenes, Biometrics 1983;39:207; logit intervals by the
// delta method, Zhou, Obuchowski and McClish, Statistical Methods in Diagnostic Medicine, 10.1). verified: the table of the verified; unverified counts by test result.
struct ev_begg_greenes {
    struct ev_interval sensitivity, specificity;
    double se_sensitivity, se_specificity;
};
bool ev_begg_greenes(const struct ev_table2x2 *verified, double unverified_positive, double unverified_negative, double level, struct ev_begg_greenes *out,
                     struct err *e);

#endif
