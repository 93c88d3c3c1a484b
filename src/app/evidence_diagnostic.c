// gantry evidence diagnostic: sensitivity, specificity and what follows, from counts or from cases.
#include <math.h>

#include "app/evidence.h"
#include "mod/evidence/diagnostic.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"tp", "N", "true positives; with --fp, --fn and --tn instead of FILE"},
    {"fp", "N", "false positives"},
    {"fn", "N", "false negatives"},
    {"tn", "N", "true negatives"},
    {"truth", "COLUMN", "the truth (default: truth, outcome, status, ...)"},
    {"positive", "VALUE", "the truth that means the condition (default: the greater of the two)"},
    {"test", "COLUMN", "a test that says yes or no; several are compared (default: test, call, result, ...)", true},
    {"call", "VALUE", "what a positive test says (default: as for the truth)"},
    {"cut", "NUMBER", "tests are numbers: from here on they are positive"},
    {"cluster", "COLUMN", "rows of one value belong together (lesions of a patient)"},
    {"unverified", NULL, "rows without a truth were not verified: correct for it (Begg and Greenes)"},
    {"interval", "METHOD", "of proportions: wilson (default), wilson_cc, clopper_pearson, agresti_coull, jeffreys, mid_p, wald or all"},
    {"prevalence", "P", "predictive values at that prevalence too"},
    {"margin", "M", "noninferiority and equivalence to the first test"},
    {0},
};

static bool take_request(const struct cli_args *args, struct ev_diagnostic_request *w, struct err *e) {
    struct str method = str_of(cli_text(args, "interval", "wilson"));
    *w = (struct ev_diagnostic_request){.every = str_eqz(method, "all"), .unverified = cli_flag(args, "unverified"), .method = EV_WILSON};
    if (!w->every && !ev_proportion_method(method, &w->method))
        return err_set(e, ERR_USAGE, "evidence", "--interval: no such choice as \"%.*s\"", STR_FMT(method));
    return evidence_level(args, &w->level, e) && evidence_number(args, "prevalence", NAN, 1e-9, 1 - 1e-9, &w->prevalence, e) &&
           evidence_number(args, "margin", NAN, 1e-9, 1, &w->margin, e);
}

static bool take_counts(const struct cli_args *args, struct ev_table2x2 *t, bool *given, struct err *e) {
    static const char *const NAMES[] = {"tp", "fp", "fn", "tn"};
    double *const cells[] = {&t->tp, &t->fp, &t->fn, &t->tn};
    unsigned count = 0;
    for (unsigned i = 0; i < 4; i++) {
        count += cli_text(args, NAMES[i], NULL) != NULL;
        if (!evidence_number(args, NAMES[i], 0, 0, 1e15, cells[i], e)) return false;
    }
    *given = count == 4;
    if (count > 0 && count < 4) return err_set(e, ERR_USAGE, "evidence", "a table has four counts: --tp, --fp, --fn and --tn");
    if (*given == (args->positional_count == 1)) return err_set(e, ERR_USAGE, "evidence", "give a FILE of cases, or the four counts");
    return true;
}

static bool take_columns(const struct cli_args *args, struct ev_call_columns *c, struct err *e) {
    const char *text;
    *c = (struct ev_call_columns){.truth = cli_text(args, "truth", NULL),
                                  .positive = cli_text(args, "positive", NULL),
                                  .cluster = cli_text(args, "cluster", NULL),
                                  .call = cli_text(args, "call", NULL),
                                  .unverified = cli_flag(args, "unverified")};
    while ((text = cli_text_at(args, "test", c->tests))) {
        if (c->tests == EV_CALLS_MAX) return err_set(e, ERR_USAGE, "evidence", "--test: at most %d", EV_CALLS_MAX);
        c->test[c->tests++] = text;
    }
    return evidence_number(args, "cut", NAN, -INFINITY, INFINITY, &c->cut, e);
}

static bool report(struct cli_args *args, struct ev_report *r, struct err *e) {
    struct ev_diagnostic_request w;
    struct ev_table2x2 t;
    struct ev_call_columns c;
    struct ev_calls calls;
    struct csv csv;
    bool counts;
    if (!take_request(args, &w, e) || !take_counts(args, &t, &counts, e)) return false;
    if (counts) return ev_table_report(args->arena, &t, &w, r, e);
    return take_columns(args, &c, e) && evidence_read(args, args->positional[0], &csv, e) && ev_calls_read(args->arena, &csv, &c, &calls, e) &&
           ev_calls_report(args->arena, &calls, &w, r, e);
}

static int run(struct cli_args *args) {
    struct ev_report r = {0};
    struct err e = {0};
    if (!report(args, &r, &e)) return cli_fail(args, &e);
    return evidence_print(args, &r);
}

const struct cli_command EVIDENCE_DIAGNOSTIC = {
    .name = "diagnostic",
    .synopsis = "[options] FILE | --tp N --fp N --fn N --tn N",
    .summary = "Sensitivity, specificity, predictive values, likelihood ratios",
    .permission = ACCESS_LOCAL,
    .group = "Accuracy",
    .details = "A row of FILE is one case: its truth and one or more tests that say yes or no (with --cut, numbers). Several tests are compared by McNemar's "
               "test, with\n"
               "score intervals of the differences. Rows without the truth or a test are left out and counted.",
    .options = OPTIONS,
    .positional_min = 0,
    .positional_max = 1,
    .run = run,
};
