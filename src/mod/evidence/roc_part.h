// What the files of the ROC analysis share.
#ifndef GANTRY_MOD_EVIDENCE_ROC_PART_H
#define GANTRY_MOD_EVIDENCE_ROC_PART_H

#include "mod/evidence/roc.h"

// Numbers of the classes; refuses scores that are no finite numbers, and a class without cases.
bool ev_roc_check(const struct ev_roc_data *d, size_t *n0, size_t *n1, struct err *e);
// The curve's arrays with room for n distinct scores.
bool ev_roc_curve_room(struct arena *a, size_t n, struct ev_roc_curve *out, struct err *e);

#endif
