// Tests that say yes or no, against the truth: tables from counts or from cases, told as reports.
#ifndef GANTRY_MOD_EVIDENCE_DIAGNOSTIC_H
#define GANTRY_MOD_EVIDENCE_DIAGNOSTIC_H

#include "mod/evidence/report.h"
#include "mod/evidence/table2x2.h"
#include "text/csv.h"

enum { EV_CALLS_MAX = 16 }; // tests of one comparison

// Names of columns; NULL: found by their names, or not wanted.
struct ev_call_columns {
    const char *truth, *positive;
    const char *cluster;
    const char *test[EV_CALLS_MAX];
    unsigned tests;
    const char *call; // the value of a test that is a positive call; NULL: as for the truth
    double cut;       // a number from here on is a positive call; NaN: tests have two values
    bool unverified;  // rows without a truth are patients who were not verified
};

struct ev_calls {
    size_t n, left_out;
    uint8_t *positive;
    unsigned tests;
    struct str name[EV_CALLS_MAX], positive_name;
    uint8_t *call[EV_CALLS_MAX];
    int32_t *cluster;                   // NULL: none
    double unverified[EV_CALLS_MAX][2]; // by call: not verified
};
bool ev_calls_read(struct arena *a, const struct csv *t, const struct ev_call_columns *c, struct ev_calls *out, struct err *e);

struct ev_diagnostic_request {
    double level;
    enum ev_proportion_method method;
    double prevalence; // for predictive values; NaN: the study's
    double margin;     // of sensitivity and specificity, the others against the first test; NaN: none
    bool every;        // every interval of sensitivity and specificity
    bool unverified;   // correct for verification by the test's result
};
bool ev_table_report(struct arena *a, const struct ev_table2x2 *t, const struct ev_diagnostic_request *w, struct ev_report *r, struct err *e);
bool ev_calls_report(struct arena *a, const struct ev_calls *c, const struct ev_diagnostic_request *w, struct ev_report *r, struct err *e);

#endif
