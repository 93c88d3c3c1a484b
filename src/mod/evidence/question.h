// Words of a row's parameters, read as people write them: "trt1 CI lo", "diff BT-DM", "mod=A;reader=2".
#ifndef GANTRY_MOD_EVIDENCE_QUESTION_H
#define GANTRY_MOD_EVIDENCE_QUESTION_H

#include <stdbool.h>

#include "base/str.h"
#include "mod/evidence/mrmc.h"
#include "mod/evidence/ustat.h"
#include "mod/evidence/verify.h"

enum { EV_ASKED_WORD_MAX = 96 };

// What a row of a reader study asks, whatever its statistic.
struct ev_asked {
    char quantity[EV_ASKED_WORD_MAX]; // small letters, without spaces: "ms(tr)", "cilo", "sediff", "z"
    int treatment, other;             // indices; -1: not named. Of a difference both
    int reader;
    bool difference; // "diff" or two modalities are named
    double level;    // 0.95 unless "level=" or "alpha="
};

// Names of treatments and readers are those of the study; "A", "B", ... also stand for the first, the second ... modality, or for the one whose name ends so ("testA").
bool ev_asked_of(const struct ev_question *q, const struct str *treatment, unsigned treatments, const struct str *reader, unsigned readers,
                 struct ev_asked *out, struct err *e);
// Of an Obuchowski-Rockette analysis. constrained: Var(TR) with max(Cov2 - Cov3, 0), and Var(R) by it (RJafroc), else without (OR-DBM, MRMCaov).
bool ev_or_answer(const struct ev_or *o, enum ev_generalise g, const struct ev_asked *asked, bool constrained, double *value, struct err *e);
bool ev_power_answer(const struct ev_question *q, const struct ev_or *o, double *value, struct err *e);
// RRRC, FRRC or RRFC, where the statistic's name or a word of the parameters says so; else RRRC.
enum ev_generalise ev_generalise_of(const struct ev_question *q);

#endif
