// gantry evidence roc: areas under ROC curves and their comparison.
#include <math.h>
#include <string.h>

#include "app/evidence.h"
#include "mod/evidence/roc_plot.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"truth", "COLUMN", "the truth (default: truth, outcome, status, ...)"},
    {"positive", "VALUE", "the truth that means the condition (default: the greater of the two)"},
    {"score", "COLUMN", "a score; several are compared (default: score, rating, ...; else every column of numbers)", true},
    {"lower", "COLUMN", "a score whose small values speak for the condition", true},
    {"cluster", "COLUMN", "rows of one value belong together (lesions of a patient)"},
    {"by", "COLUMN", "groups of different cases, compared by one score"},
    {"interval", "delong|logit|bootstrap", "intervals of areas (default: delong)"},
    {"replicates", "N", "of the bootstrap (default: 2000)"},
    {"seed", "N", "of the bootstrap (default: 1)"},
    {"partial", "FROM-TO", "partial area, also corrected, over that range of specificity or sensitivity"},
    {"focus", "specificity|sensitivity", "of the partial area (default: specificity)"},
    {"at-specificity", "S", "sensitivity at that specificity"},
    {"at-sensitivity", "S", "specificity at that sensitivity"},
    {"best", "youden|closest", "what makes a threshold the best (default: youden)"},
    {"margin", "M", "noninferiority and equivalence to the first score"},
    {"curve", NULL, "every point of the curves"},
    {0},
};

static bool take_columns(const struct cli_args *args, struct ev_roc_columns *c, struct err *e) {
    const char *text;
    *c = (struct ev_roc_columns){.truth = cli_text(args, "truth", NULL),
                                 .positive = cli_text(args, "positive", NULL),
                                 .cluster = cli_text(args, "cluster", NULL),
                                 .by = cli_text(args, "by", NULL)};
    while ((text = cli_text_at(args, "score", c->scores))) {
        if (c->scores == EV_TESTS_MAX) return err_set(e, ERR_USAGE, "evidence", "--score: at most %d", EV_TESTS_MAX);
        c->score[c->scores++] = text;
    }
    while ((text = cli_text_at(args, "lower", c->lowers))) {
        if (c->lowers == EV_TESTS_MAX) return err_set(e, ERR_USAGE, "evidence", "--lower: at most %d", EV_TESTS_MAX);
        c->lower[c->lowers++] = text;
    }
    return true;
}

static bool one_of(const struct cli_args *args, const char *option, const char *const *words, int *out, struct err *e) {
    const char *word = cli_text(args, option, words[0]);
    for (*out = 0; words[*out]; ++*out)
        if (strcmp(words[*out], word) == 0) return true;
    return err_set(e, ERR_USAGE, "evidence", "--%s: no such choice as \"%s\"", option, word);
}

static bool take_range(const struct cli_args *args, struct ev_roc_request *w, struct err *e) {
    const char *text = cli_text(args, "partial", NULL);
    struct str rest = str_of(text), first;
    if (!text) return true;
    first = str_split(&rest, '-');
    w->partial = w->corrected = true;
    if (!str_to_f64(first, &w->from) || !str_to_f64(rest, &w->to) || !(fmin(w->from, w->to) >= 0) || !(fmax(w->from, w->to) <= 1) || w->from == w->to)
        return err_set(e, ERR_USAGE, "evidence", "--partial takes a range within 0 and 1, as 0.9-1, not '%s'", text);
    double low = fmin(w->from, w->to);
    w->to = fmax(w->from, w->to);
    w->from = low;
    return true;
}

static bool take_request(const struct cli_args *args, struct ev_roc_request *w, struct err *e) {
    static const char *const INTERVALS[] = {"delong", "logit", "bootstrap", NULL}, *const FOCUS[] = {"specificity", "sensitivity", NULL},
                             *const BEST[] = {"youden", "closest", NULL};
    int interval, focus, best;
    int64_t replicates, seed;
    *w = (struct ev_roc_request){.weight = 1, .curve = cli_flag(args, "curve")};
    if (!one_of(args, "interval", INTERVALS, &interval, e) || !one_of(args, "focus", FOCUS, &focus, e) || !one_of(args, "best", BEST, &best, e)) return false;
    if (!cli_int(args, "replicates", 2000, 100, 1000000, &replicates) || !cli_int(args, "seed", 1, 0, INT64_MAX, &seed))
        return err_set(e, ERR_USAGE, "evidence", "--replicates takes 100 to 1000000, --seed a whole number");
    w->interval = (enum ev_roc_interval)interval;
    w->focus = focus ? EV_SENSITIVITY_FOCUS : EV_SPECIFICITY_FOCUS;
    w->best = best ? EV_BEST_CLOSEST : EV_BEST_YOUDEN;
    w->replicates = (unsigned)replicates;
    w->seed = (uint64_t)seed;
    return evidence_level(args, &w->level, e) && take_range(args, w, e) && evidence_number(args, "at-specificity", NAN, 0, 1, &w->at_specificity, e) &&
           evidence_number(args, "at-sensitivity", NAN, 0, 1, &w->at_sensitivity, e) && evidence_number(args, "margin", NAN, 1e-9, 1, &w->margin, e);
}

static bool report(struct cli_args *args, struct ev_roc_table *t, struct ev_roc_request *w, struct ev_report *r, struct err *e) {
    struct ev_roc_columns c;
    struct csv csv;
    if (!take_columns(args, &c, e) || !take_request(args, w, e) || !evidence_read(args, args->positional[0], &csv, e)) return false;
    if (!ev_roc_read(args->arena, &csv, &c, t, e)) return false;
    return c.by ? ev_roc_groups_report(args->arena, t, w, r, e) : ev_roc_report(args->arena, t, w, r, e);
}

static int run(struct cli_args *args) {
    struct ev_report r = {0};
    struct ev_roc_table t;
    struct ev_roc_request w;
    struct err e = {0};
    struct ev_plot plot;
    if (!report(args, &t, &w, &r, &e)) return cli_fail(args, &e);
    if (!evidence_plots(args) || t.by) return evidence_print(args, &r);
    if (!ev_roc_plot(args->arena, &t, &w, &plot, &e)) return cli_fail(args, &e);
    return evidence_print_plot(args, &r, &plot);
}

const struct cli_command EVIDENCE_ROC = {
    .name = "roc",
    .synopsis = "[options] FILE",
    .summary = "ROC curves: areas, comparisons, partial areas, thresholds",
    .permission = ACCESS_LOCAL,
    .group = "Accuracy",
    .details =
        "A row of FILE is one case: its truth and one or more scores. Scores of the same cases are compared pairwise (DeLong); with --by, one score in groups "
        "of\n"
        "different cases. A greater score speaks for the condition, unless --lower says otherwise. Rows without the truth or a score are left out and counted.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};
