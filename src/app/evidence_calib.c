// gantry evidence calib: does a probability say what happens?
#include <math.h>
#include <string.h>

#include "app/evidence.h"
#include "mod/evidence/agreement_columns.h"
#include "mod/evidence/calibration_report.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"outcome", "COLUMN", "what happened, 0 or 1 (default: outcome, truth, y, label, or the first column of 0 and 1)"},
    {"predicted", "COLUMN", "its probability (default: predicted, probability, p, score, or the first other column within 0 to 1)"},
    {"positive", "VALUE", "the outcome that counts as 1, when outcomes are words"},
    {"bins", "10", "bins of the calibration errors and of the decomposition"},
    {"binning", "width|count", "bins of equal width or of equal count (default: width)"},
    {"groups", "10", "groups of Hosmer and Lemeshow's test"},
    {"grouping", "count|quantile", "groups of equal count (Stata) or cut at quantiles of type 7 (R's ResourceSelection) (default: count)"},
    {0},
};

static bool within(const struct csv *t, unsigned column, bool outcomes) {
    double least = INFINITY, most = -INFINITY, v;
    for (size_t i = 0; i < t->rows; i++) {
        if (csv_missing(csv_at(t, i, column))) continue;
        if (!csv_number(t, i, column, &v, NULL) || !(v >= 0 && v <= 1) || (outcomes && v != 0 && v != 1)) return false;
        least = fmin(least, v);
        most = fmax(most, v);
    }
    return least < most;
}

// The option's column, one of the usual name, or the first that looks like it; other: not this one (-1: any).
static bool column_of(const struct cli_args *args, const struct csv *t, const char *option, bool outcomes, int other, unsigned *out, struct err *e) {
    static const char *const OUTCOMES[] = {"outcome", "truth", "y", "label", NULL}, *const PREDICTED[] = {"predicted", "probability", "p", "score", NULL};
    const char *told = cli_text(args, option, NULL);
    if (told) return csv_column(t, told, out, e);
    for (const char *const *name = outcomes ? OUTCOMES : PREDICTED; *name; name++) {
        int found = csv_find(t, *name);
        if (found >= 0 && found != other) return *out = (unsigned)found, true;
    }
    for (unsigned j = 0; j < t->columns; j++)
        if ((int)j != other && within(t, j, outcomes)) return *out = j, true;
    return err_set(e, ERR_BAD_INPUT, "evidence", "no column looks like %s; name it by --%s", outcomes ? "outcomes of 0 and 1" : "probabilities", option);
}

static bool outcome_at(const struct cli_args *args, const struct csv *t, size_t row, unsigned column, double *y, struct err *e) {
    const char *positive = cli_text(args, "positive", NULL);
    struct str field = str_trim(csv_at(t, row, column));
    if (!positive) return csv_number(t, row, column, y, e);
    *y = csv_missing(field) ? NAN : str_eqz(field, positive);
    return true;
}

struct cases {
    double *p, *y;
    size_t n;
};

// A value that is no probability is refused here, with its line of the file.
static bool read_cases(struct cli_args *args, struct cases *c, size_t *left_out, struct err *e) {
    struct csv t;
    unsigned outcome, predicted;
    if (!evidence_read(args, args->positional[0], &t, e) || !column_of(args, &t, "outcome", true, -1, &outcome, e) ||
        !column_of(args, &t, "predicted", false, (int)outcome, &predicted, e))
        return false;
    c->p = arena_alloc(args->arena, (t.rows + 1) * sizeof *c->p, e);
    c->y = c->p ? arena_alloc(args->arena, (t.rows + 1) * sizeof *c->y, e) : NULL;
    if (!c->y) return false;
    for (size_t i = 0; i < t.rows; i++) {
        double p, y;
        if (!csv_number(&t, i, predicted, &p, e) || !outcome_at(args, &t, i, outcome, &y, e)) return false;
        if (isnan(p) || isnan(y)) continue;
        if (!(p >= 0 && p <= 1)) return err_set(e, ERR_BAD_INPUT, "evidence", "line %u: a probability lies in 0 to 1, not %g", t.line[i], p);
        if (y != 0 && y != 1) return err_set(e, ERR_BAD_INPUT, "evidence", "line %u: an outcome is 0 or 1, not %g; name the other by --positive", t.line[i], y);
        c->p[c->n] = p;
        c->y[c->n++] = y;
    }
    *left_out = t.rows - c->n;
    if (c->n == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "no row has an outcome and a probability");
    return true;
}

static bool choice(const struct cli_args *args, const char *option, const char *first, const char *second, bool *is_second, struct err *e) {
    const char *word = cli_text(args, option, first);
    *is_second = strcmp(word, second) == 0;
    return *is_second || strcmp(word, first) == 0 || err_set(e, ERR_USAGE, "app", "--%s takes %s or %s, not '%s'", option, first, second, word);
}

static bool report(struct cli_args *args, struct ev_report *r, struct ev_plot *plot, struct err *e) {
    struct ev_calibration_request q = {0};
    struct cases c = {0};
    double level, bins, groups;
    bool by_count, quantile;
    if (!evidence_level(args, &level, e) || !evidence_number(args, "bins", 10, 1, 10000, &bins, e) ||
        !evidence_number(args, "groups", 10, 3, 10000, &groups, e) || !choice(args, "binning", "width", "count", &by_count, e) ||
        !choice(args, "grouping", "count", "quantile", &quantile, e) || !read_cases(args, &c, &q.left_out, e))
        return false;
    q.binning = by_count ? EV_BINS_COUNT : EV_BINS_WIDTH;
    q.grouping = quantile ? EV_GROUPS_QUANTILE : EV_GROUPS_COUNT;
    q.bins = (unsigned)bins;
    q.groups = (unsigned)groups;
    return ev_calibration_report(args->arena, c.p, c.y, c.n, &q, level, r, plot, e);
}

static int run(struct cli_args *args) {
    struct ev_report r;
    struct ev_plot plot;
    struct err e = {0};
    bool plotted = evidence_plots(args);
    if (!report(args, &r, plotted ? &plot : NULL, &e)) return cli_fail(args, &e);
    return plotted ? evidence_print_plot(args, &r, &plot) : evidence_print(args, &r);
}

const struct cli_command EVIDENCE_CALIB = {
    .name = "calib",
    .synopsis = "[options] FILE",
    .summary = "Calibration of probabilities",
    .permission = ACCESS_LOCAL,
    .group = "In use",
    .details = "A row of FILE is a case: what happened (0 or 1) and the probability that was given for it. Brier score and its decomposition, log loss, "
               "calibration errors,\n"
               "slope and intercept, Hosmer and Lemeshow's test, and each bin. --plot draws observed against predicted.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};
