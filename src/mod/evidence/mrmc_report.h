// Reader studies told as reports.
#ifndef GANTRY_MOD_EVIDENCE_MRMC_REPORT_H
#define GANTRY_MOD_EVIDENCE_MRMC_REPORT_H

#include <stdbool.h>

#include "mod/evidence/froc.h"
#include "mod/evidence/mrmc.h"
#include "mod/evidence/report.h"
#include "mod/evidence/ustat.h"

// A study to plan from this one: numbers that are 0 are those of the study, an effect that is NaN is the observed difference of the first two modalities.
struct ev_plan_request {
    bool wanted;
    double readers, cases, effect, alpha, power;
};

struct ev_mrmc_request {
    bool rockette, dbm, ustat; // which analyses
    bool generalise[3];        // by enum ev_generalise
    double level;
    struct ev_plan_request plan;
};

// Of a study by its readings. merit says how Obuchowski and Rockette's analysis takes its figures of merit; U-statistics are of areas always.
bool ev_mrmc_report(struct arena *a, const struct ev_study *s, const struct ev_merit_options *merit, const struct ev_mrmc_request *request, struct ev_report *r,
                    struct err *e);
// Of free-response marks.
bool ev_froc_report(struct arena *a, const struct ev_froc *f, enum ev_froc_merit merit, const struct ev_mrmc_request *request, struct ev_report *r,
                    struct err *e);

#endif
