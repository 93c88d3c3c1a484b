// Calibration told as a report.
#ifndef GANTRY_MOD_EVIDENCE_CALIBRATION_REPORT_H
#define GANTRY_MOD_EVIDENCE_CALIBRATION_REPORT_H

#include "mod/evidence/calibration.h"
#include "mod/evidence/plot.h"
#include "mod/evidence/report.h"

struct ev_calibration_request {
    enum ev_binning binning;
    unsigned bins;
    enum ev_grouping grouping;
    unsigned groups;
    size_t left_out; // rows that lack a value
};
// plot (may be NULL): observed against predicted, by bin.
bool ev_calibration_report(struct arena *a, const double *p, const double *y, size_t n, const struct ev_calibration_request *q, double level,
                           struct ev_report *out, struct ev_plot *plot, struct err *e);

#endif
