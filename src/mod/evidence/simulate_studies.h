// Whole studies drawn and analysed again and again: how often intervals hold the truth, and how often tests reject.
#ifndef GANTRY_MOD_EVIDENCE_SIMULATE_STUDIES_H
#define GANTRY_MOD_EVIDENCE_SIMULATE_STUDIES_H

#include "mod/evidence/mrmc.h"
#include "mod/evidence/simulate.h"

enum { EV_SIM_STUDIES_MAX = 1000000 };

// What is analysed. Differences are of the first two modalities (tests), with the test that they are 0.
enum ev_sim_analysis {
    EV_SIM_AUC_WALD,   // area of the first test, DeLong's variance, symmetric interval
    EV_SIM_AUC_LOGIT,  // the same on the logit scale
    EV_SIM_PAIRED,     // DeLong's difference on the same cases
    EV_SIM_RRRC,       // Obuchowski and Rockette: difference, random readers and cases
    EV_SIM_FRRC,       // these readers
    EV_SIM_RRFC,       // these cases
    EV_SIM_RRRC_FIRST, // first modality alone
    EV_SIM_USTAT,      // U-statistics: difference, Student's t
    EV_SIM_USTAT_FIRST,
    EV_SIM_ANALYSES
};

struct ev_sim_tally {
    unsigned studies;  // that gave an answer; a variance that is not positive gives none
    unsigned covered;  // intervals that hold the truth
    unsigned rejected; // p < 1 - level
    double estimate;   // mean of the estimates
    double truth;
    double variance;      // mean of the estimated variances
    double true_variance; // of the model; NaN of categories
};

struct ev_sim_studies {
    unsigned studies;
    uint64_t seed;
    double level;
    enum ev_covariance covariance; // Obuchowski and Rockette
    bool wanted[EV_SIM_ANALYSES];  // those of tests need one reader; differences two modalities; those of readers two readers
};

// The truth of fixed readers is that of all readers: FRRC keeps its level where readers differ alike in both modalities (var_tr 0), RRFC where cases do (var_tc 0).
bool ev_sim_studies_run(struct arena *a, const struct ev_sim_readers *m, const struct ev_sim_studies *s, struct ev_sim_tally tally[EV_SIM_ANALYSES],
                        struct err *e);
// Shares with their Wilson intervals (of the simulation), and a warning where one is off its level by more than three standard errors.
void ev_sim_studies_report(struct ev_report *r, const struct ev_sim_readers *m, const struct ev_sim_studies *s,
                           const struct ev_sim_tally tally[EV_SIM_ANALYSES]);

#endif
