// Simulators with known truth: readings, scores and marks are drawn from models whose areas, errors and agreements are told exactly.
//
// The same seed gives the same data. Every truth is computed from the model by formula or quadrature, never from the drawn data.
#ifndef GANTRY_MOD_EVIDENCE_SIMULATE_H
#define GANTRY_MOD_EVIDENCE_SIMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "math/rng.h"
#include "mod/evidence/report.h"

enum { EV_SIM_TREATMENTS_MAX = 8, EV_SIM_CATEGORIES_MAX = 100, EV_SIM_READERS_MAX = 1000, EV_SIM_LESIONS_MAX = 20 };
#define EV_SIM_CASES_MAX 10000000

// ---- readers (and, with one reader, tests on the same cases) ----

// Roe and Metz 1997 (Acad Radiol 4:298-303): score = mean of modality and truth + reader + reader x modality (of each truth apart) + case + case x modality + case x reader + rest.
// Variances of the case parts of diseased cases are divided by ratio^2 (Hillis 2012).
struct ev_sim_readers {
    unsigned treatments, readers, normals, diseased;
    double auc[EV_SIM_TREATMENTS_MAX]; // expected over readers and cases, in (0, 1), of the scores before they become categories
    double var_r, var_tr, var_c, var_tc, var_rc, var_e;
    double ratio;        // standard deviation of normal over that of diseased cases; 1: equal
    unsigned categories; // 0: scores as drawn; else ratings 1 .. categories, cut at equal shares of an even mixture in the first modality
};

struct ev_sim_readers_truth {
    double auc[EV_SIM_TREATMENTS_MAX];                        // of what is drawn (of the categories when there are such)
    double cov[EV_SIM_TREATMENTS_MAX][EV_SIM_TREATMENTS_MAX]; // of the empirical areas averaged over the readers; NaN of categories
    double separation[EV_SIM_TREATMENTS_MAX], deviation[2];   // mean of the diseased; standard deviation of normal and diseased scores
    double cut[EV_SIM_CATEGORIES_MAX - 1];                    // between categories
};

bool ev_sim_readers_check(const struct ev_sim_readers *m, struct err *e);
void ev_sim_readers_truth(const struct ev_sim_readers *m, struct ev_sim_readers_truth *out);
// score[(treatment * readers + reader) * cases + case], normal cases first. truth: of m.
bool ev_sim_readers_draw(struct arena *scratch, const struct ev_sim_readers *m, const struct ev_sim_readers_truth *truth, struct rng *r, double *score,
                         struct err *e);

// ---- an algorithm that drifts ----

// Scores of the condition's absence are standard normal before the change.
struct ev_sim_drift {
    size_t cases, before, over;   // cases before the change, and over which it comes about evenly (0: at once)
    double prevalence[2], auc[2]; // before and after
    double shift;                 // of all scores, after
    double specificity;           // before: gives the threshold, which stays
};

struct ev_sim_drift_truth {
    double threshold;
    double sensitivity[2], specificity[2], positive[2]; // positive: share of calls
    double mean[2], sd[2];                              // of all scores
    double psi, ks;                                     // of the score's distribution, over the tenths of before; largest distance
};

bool ev_sim_drift_check(const struct ev_sim_drift *m, struct err *e);
void ev_sim_drift_truth(const struct ev_sim_drift *m, struct ev_sim_drift_truth *out);
// One case after the other, index from 0.
void ev_sim_drift_draw(const struct ev_sim_drift *m, size_t index, struct rng *r, bool *truth, double *score);

// ---- probabilities and their calibration ----

// logit(risk) = intercept + slope * logit(probability), logit(probability) normal.
struct ev_sim_calibration {
    size_t cases;
    double intercept, slope, mean, sd;
};
struct ev_sim_calibration_truth {
    double prevalence, brier, log_loss, ece, auc;
};
bool ev_sim_calibration_check(const struct ev_sim_calibration *m, struct err *e);
void ev_sim_calibration_truth(const struct ev_sim_calibration *m, struct ev_sim_calibration_truth *out);
void ev_sim_calibration_draw(const struct ev_sim_calibration *m, struct rng *r, bool *truth, double *probability);

// ---- agreement ----

// value = subject + rater + rest: two-way random effects.
struct ev_sim_ratings {
    unsigned subjects, raters;
    double mean, var_subject, var_rater, var_error;
};
// A rater sees a subject's true category with probability sure, and else draws one from the shares: every kappa with any weights is sure^2.
struct ev_sim_categories {
    unsigned subjects, raters, categories;
    double share[EV_SIM_CATEGORIES_MAX]; // of the categories; add to 1
    double sure;
};
bool ev_sim_ratings_check(const struct ev_sim_ratings *m, struct err *e);
bool ev_sim_categories_check(const struct ev_sim_categories *m, struct err *e);
// value[subject * raters + rater]
bool ev_sim_ratings_draw(struct arena *scratch, const struct ev_sim_ratings *m, struct rng *r, double *value, struct err *e);
void ev_sim_categories_draw(const struct ev_sim_categories *m, struct rng *r, unsigned *category); // from 1

// ---- marks ----

// Chakraborty's radiological search model (2006, Phys Med Biol 51:3449-3462): Poisson noise marks of standard normal ratings; each lesion is found with probability found, its rating normal about mu; a reader adds a
// normal deviation to mu. A diseased case has 1 .. lesions_max lesions, equally likely, of equal weights.
struct ev_sim_froc {
    unsigned treatments, readers, normals, diseased, lesions_max;
    double mu[EV_SIM_TREATMENTS_MAX], noise, found, reader_sd;
};
struct ev_sim_froc_truth {
    double wafroc[EV_SIM_TREATMENTS_MAX]; // highest NL of normal cases against lesions
    double llf, nlf, hr_sensitivity, hr_specificity;
};
bool ev_sim_froc_check(const struct ev_sim_froc *m, struct err *e);
void ev_sim_froc_truth(const struct ev_sim_froc *m, struct ev_sim_froc_truth *out);

// ---- tables (CSV) and their truths as entries of a report ----

bool ev_sim_readers_table(struct arena *a, const struct ev_sim_readers *m, uint64_t seed, struct buf *out, struct err *e); // reader,treatment,case,truth,rating
bool ev_sim_tests_table(struct arena *a, const struct ev_sim_readers *m, uint64_t seed, struct buf *out,
                        struct err *e);                                                            // case,truth,test1,test2,...; one reader
void ev_sim_drift_table(const struct ev_sim_drift *m, uint64_t seed, struct buf *out);             // i,truth,score,positive
void ev_sim_calibration_table(const struct ev_sim_calibration *m, uint64_t seed, struct buf *out); // case,truth,probability
bool ev_sim_ratings_table(struct arena *a, const struct ev_sim_ratings *m, uint64_t seed, struct buf *out, struct err *e); // rater1,rater2,...
bool ev_sim_categories_table(struct arena *a, const struct ev_sim_categories *m, uint64_t seed, struct buf *out, struct err *e);
void ev_sim_froc_table(const struct ev_sim_froc *m, uint64_t seed, struct buf *marks, struct buf *truth); // as evidence froc reads them

void ev_sim_readers_report(struct ev_report *r, const struct ev_sim_readers *m);
void ev_sim_drift_report(struct ev_report *r, const struct ev_sim_drift *m);
void ev_sim_calibration_report(struct ev_report *r, const struct ev_sim_calibration *m);
void ev_sim_ratings_report(struct ev_report *r, const struct ev_sim_ratings *m);
void ev_sim_categories_report(struct ev_report *r, const struct ev_sim_categories *m);
void ev_sim_froc_report(struct ev_report *r, const struct ev_sim_froc *m);

#endif
