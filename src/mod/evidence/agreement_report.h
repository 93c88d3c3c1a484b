// What analyses of agreement found, as reports.
#ifndef GANTRY_MOD_EVIDENCE_AGREEMENT_REPORT_H
#define GANTRY_MOD_EVIDENCE_AGREEMENT_REPORT_H

#include "mod/evidence/kappa.h"
#include "mod/evidence/methods.h"
#include "mod/evidence/plot.h"
#include "mod/evidence/report.h"

// Kappas of categories: of two raters (Cohen and the rest) or many (Fleiss and the rest).
bool ev_kappa_report(struct arena *a, const struct ev_ratings *r, enum ev_weighting weighting, enum ev_level measured, double level, struct ev_report *out,
                     struct err *e);
// values: subject by subject; left_out: subjects that lack one.
bool ev_icc_report(struct arena *a, const double *values, size_t subjects, unsigned raters, size_t left_out, double level, struct ev_report *out,
                   struct err *e);

// The measurements of two methods; subject NULL: one pair of each.
struct ev_two_methods {
    const double *x, *y;     // n pairs; of replicates: subjects x x_count, subjects x y_count, NaN where missing
    const uint32_t *subject; // of each pair, when pairs repeat
    size_t n, subjects;
    unsigned x_count, y_count; // replicates: 2 or more of one of them; else 1
    size_t left_out;           // rows that lack a value
    double multiplier;
    struct str x_name, y_name;
};
// plot may be NULL.
bool ev_bland_altman_report(struct arena *a, const struct ev_two_methods *m, double level, struct ev_report *out, struct ev_plot *plot, struct err *e);
bool ev_concordance_report(struct arena *a, const struct ev_two_methods *m, double level, struct ev_report *out, struct err *e);
bool ev_tost_report(struct arena *a, const struct ev_two_methods *m, double lower, double upper, double level, struct ev_report *out, struct err *e);

bool ev_repeatability_report(struct arena *a, const double *value, const uint32_t *subject, size_t n, size_t subjects, double level, struct ev_report *out,
                             struct err *e);

#endif
