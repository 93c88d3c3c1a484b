// Intraclass correlation: the six forms of Shrout and Fleiss (Psychological Bulletin 1979;86:420-428), intervals of McGraw and Wong (Psychological Methods 1996;1:30-46).
#ifndef GANTRY_MOD_EVIDENCE_ICC_H
#define GANTRY_MOD_EVIDENCE_ICC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum ev_icc_form {
    EV_ICC_1_1, // each subject has raters of its own
    EV_ICC_2_1, // raters are a sample; absolute agreement; ICC(A,1)
    EV_ICC_3_1, // these raters only; consistency; ICC(C,1)
    EV_ICC_1_K, // the mean of the k raters of each
    EV_ICC_2_K,
    EV_ICC_3_K,
    EV_ICC_COUNT
};

struct ev_icc {
    double value, lo, hi;
    double f, df1, df2, p; // of value = 0
};

struct ev_icc_study {
    size_t subjects;
    unsigned raters;
    double ms_subjects, ms_within, ms_raters, ms_error; // in the square of `unit`
    double unit;                                        // a power of two that keeps the squares finite
    double sem; // standard error of one measurement for absolute agreement, in the units of the values: sqrt of raters' + error variance
    struct ev_icc form[EV_ICC_COUNT];
};

// values[subject * raters + rater], all finite. Refuses fewer than two subjects or raters, and values that do not vary at all.
// A negative estimate is what it is: the subjects differ less than chance would have them. The interval of ICC(2,*) is Satterthwaite's.
bool ev_icc(const double *values, size_t subjects, unsigned raters, double level, struct ev_icc_study *out, struct err *e);

// "ICC(2,1)", "ICC2", "ICC2k", "ICC(A,1)", "ICC(C,k)", "ICC3k"; spaces and case do not matter.
bool ev_icc_form_named(struct str name, enum ev_icc_form *out);
const char *ev_icc_form_name(enum ev_icc_form f);

#endif
