// ROC analyses told as reports.
#ifndef GANTRY_MOD_EVIDENCE_ROC_REPORT_H
#define GANTRY_MOD_EVIDENCE_ROC_REPORT_H

#include "mod/evidence/report.h"
#include "mod/evidence/roc_read.h"

enum ev_roc_interval { EV_ROC_DELONG, EV_ROC_LOGIT, EV_ROC_BOOTSTRAP };

struct ev_roc_request {
    double level;
    enum ev_roc_interval interval; // of areas
    unsigned replicates;           // of the bootstrap: of those intervals, of partial areas and of points at fixed sensitivity or specificity
    uint64_t seed;
    bool partial, corrected;
    enum ev_focus focus;
    double from, to;                       // of the partial area
    double at_specificity, at_sensitivity; // NaN: not wanted
    double margin;                         // NaN: not wanted; the others against the first score
    enum ev_best best;
    double weight;
    bool curve; // every point of it
};

// Tests on the same cases: each area, their differences, and what else is wanted.
bool ev_roc_report(struct arena *a, const struct ev_roc_table *t, const struct ev_roc_request *w, struct ev_report *r, struct err *e);
// One score in groups of other cases (table.by): each group's area, and their differences.
bool ev_roc_groups_report(struct arena *a, const struct ev_roc_table *t, const struct ev_roc_request *w, struct ev_report *r, struct err *e);

#endif
