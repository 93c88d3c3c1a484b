// Monitoring told as reports.
#ifndef GANTRY_MOD_EVIDENCE_MONITORING_REPORT_H
#define GANTRY_MOD_EVIDENCE_MONITORING_REPORT_H

#include "mod/evidence/charts.h"
#include "mod/evidence/drift.h"
#include "mod/evidence/plot.h"
#include "mod/evidence/report.h"

// A process: its points, and where its target and deviation come from.
struct ev_process {
    const double *x;
    size_t n, left_out; // rows without a value are left out
    double target, sd;
    size_t baseline; // target and deviation were estimated from so many first points; 0: they were given
};
// From the first `baseline` points, which then are no longer watched. Refuses fewer than two, and ones that do not vary.
bool ev_process_baseline(struct ev_process *p, size_t baseline, struct err *e);

// k, h and head_start in deviations; run lengths of the design are told with it. plot may be NULL.
bool ev_cusum_report(struct arena *a, const struct ev_process *p, double k, double h, double head_start, struct ev_report *out, struct ev_plot *plot,
                     struct err *e);
bool ev_ewma_report(struct arena *a, const struct ev_process *p, double lambda, double width, bool widening, struct ev_report *out, struct ev_plot *plot,
                    struct err *e);
// Run lengths alone, over shifts of 0 to 4 deviations. k or lambda is NaN for the other chart.
bool ev_run_length_report(struct arena *a, enum ev_sides sides, double k, double h, double head_start, double lambda, double width, struct ev_report *out,
                          struct ev_plot *plot, struct err *e);

// Two samples: Kolmogorov-Smirnov and the stability index. left_out: rows without a value.
bool ev_change_report(struct arena *a, const double *then, size_t n, const double *now, size_t m, unsigned bins, size_t left_out, struct ev_report *out,
                      struct ev_plot *plot, struct err *e);

struct ev_sequential_request {
    enum ev_spending spending;
    double parameter, alpha, drift;
    unsigned sides, looks;
    double t[EV_LOOKS_MAX];
    unsigned observed; // Z of so many first looks
    double z[EV_LOOKS_MAX];
};
bool ev_sequential_report(struct arena *a, const struct ev_sequential_request *q, struct ev_report *out, struct ev_plot *plot, struct err *e);

#endif
