// ROC curves as a figure, with bands where resampling is cheap enough.
#ifndef GANTRY_MOD_EVIDENCE_ROC_PLOT_H
#define GANTRY_MOD_EVIDENCE_ROC_PLOT_H

#include "mod/evidence/plot.h"
#include "mod/evidence/roc_report.h"

// Bands are bootstrap percentile intervals of the sensitivity at each specificity, each at the request's level; drawn for at most three scores of cases without clusters.
bool ev_roc_plot(struct arena *a, const struct ev_roc_table *t, const struct ev_roc_request *w, struct ev_plot *p, struct err *e);

#endif
