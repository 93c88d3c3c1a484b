// gantry evidence drift: has a process changed? Control charts, their design, two samples, repeated looks.
#include <math.h>
#include <string.h>

#include "app/evidence.h"
#include "mod/evidence/agreement_columns.h"
#include "mod/evidence/monitoring_report.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"method", "NAME", "cusum, ewma, compare, design or sequential (default: cusum; compare with --group or --reference)"},
    {"value", "COLUMN", "the values, in the order of time (default: value, x, score, or the first column of numbers)"},
    {"baseline", "N", "the first N points tell target and standard deviation; compare: they are the reference"},
    {"target", "MEAN", "the process in control"},
    {"sd", "SD", "its standard deviation"},
    {"k", "0.5", "cusum: slack, in standard deviations"},
    {"h", "SD", "cusum: decision interval, in standard deviations (default: by --arl)"},
    {"head-start", "SD", "cusum: fast initial response, in standard deviations; h / 2 by custom (default: 0)"},
    {"lambda", "0.2", "ewma: weight of a point"},
    {"width", "SD", "ewma: limits, in standard deviations of the chart (default: by --arl)"},
    {"widening", NULL, "ewma: limits widen with the variance of the first points"},
    {"arl", "370.4", "average run length without a change, when h or width is not given"},
    {"one-sided", NULL, "design: one side only; sequential: one-sided test"},
    {"group", "COLUMN", "compare: the sample of each row; two values, the first one is the reference"},
    {"reference", "FILE", "compare: the reference's table, with the same column of values"},
    {"bins", "10", "compare: bins of the stability index"},
    {"looks", "N|T,T,...", "sequential: number of looks, or the share of the information at each"},
    {"spending", "NAME", "sequential: obrien-fleming, pocock, power or gamma (default: obrien-fleming)"},
    {"parameter", "P", "sequential: of power (default: 2) or gamma (default: -4)"},
    {"alpha", "0.05", "sequential: probability of an error of the first kind, over all looks"},
    {"drift", "D", "sequential: mean of Z with all of the information, for the probability to stop"},
    {"z", "Z,Z,...", "sequential: what was observed at the first looks"},
    {0},
};

struct run {
    struct cli_args *args;
    struct csv table;
    struct ev_report report;
    struct ev_plot plot;
};

static struct ev_plot *plot_of(struct run *r) {
    return evidence_plots(r->args) ? &r->plot : NULL;
}

// ---- values ----

static bool value_column(const struct cli_args *args, const struct csv *t, unsigned *out, struct err *e) {
    static const char *const NAMES[] = {"value", "x", "score"};
    const char *told = cli_text(args, "value", NULL);
    double v;
    if (told) return csv_column(t, told, out, e);
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (csv_find(t, NAMES[i]) >= 0) return *out = (unsigned)csv_find(t, NAMES[i]), true;
    for (unsigned j = 0; j < t->columns; j++)
        if (!ev_is_identifier(t->names[j]) && t->rows && csv_number(t, 0, j, &v, NULL)) return *out = j, true;
    return err_set(e, ERR_BAD_INPUT, "evidence", "no column holds numbers; name it by --value");
}

// Values in order, those that are missing left out; group (may be NULL): of each that is kept.
static bool values_of(struct cli_args *args, const struct csv *t, const int32_t *group, double **x, int32_t *kept_group, size_t *n, struct err *e) {
    unsigned column;
    if (!value_column(args, t, &column, e)) return false;
    *x = arena_alloc(args->arena, (t->rows + 1) * sizeof **x, e);
    *n = 0;
    for (size_t i = 0; *x && i < t->rows; i++) {
        if (!csv_number(t, i, column, &(*x)[*n], e)) return false;
        if (isnan((*x)[*n]) || (group && group[i] < 0)) continue;
        if (group) kept_group[*n] = group[i];
        (*n)++;
    }
    return *x != NULL;
}

static bool need_file(struct run *r, struct err *e) {
    if (r->args->positional_count == 0) return err_set(e, ERR_USAGE, "app", "a FILE with the values is needed");
    return evidence_read(r->args, r->args->positional[0], &r->table, e);
}

static bool process_of(struct run *r, struct ev_process *p, struct err *e) {
    double *x, baseline;
    size_t n;
    *p = (struct ev_process){0};
    if (!need_file(r, e) || !values_of(r->args, &r->table, NULL, &x, NULL, &n, e)) return false;
    if (!evidence_number(r->args, "target", NAN, -INFINITY, INFINITY, &p->target, e) || !evidence_number(r->args, "sd", NAN, 0, INFINITY, &p->sd, e) ||
        !evidence_number(r->args, "baseline", 0, 2, 1e9, &baseline, e))
        return false;
    p->x = x;
    p->n = n;
    p->left_out = r->table.rows - n;
    double target = p->target, sd = p->sd;
    if (baseline > 0 && !ev_process_baseline(p, (size_t)baseline, e)) return false;
    if (!isnan(target)) p->target = target; // what is told goes before what was estimated
    if (!isnan(sd)) p->sd = sd;
    if (isnan(p->target) || isnan(p->sd))
        return err_set(e, ERR_USAGE, "app", "a chart needs --target and --sd, or --baseline N to take them from the first N points");
    return true;
}

// ---- charts ----

struct design {
    double k, h, head_start, lambda, width;
    enum ev_sides sides;
};

static bool cusum_design(struct run *r, struct design *d, struct err *e) {
    double arl;
    if (!evidence_number(r->args, "k", 0.5, 0, 20, &d->k, e) || !evidence_number(r->args, "h", NAN, 1e-6, 100, &d->h, e) ||
        !evidence_number(r->args, "arl", 370.4, 2, 1e9, &arl, e) || !evidence_number(r->args, "head-start", 0, 0, 100, &d->head_start, e))
        return false;
    return !isnan(d->h) || ev_cusum_design(r->args->arena, d->sides, d->k, arl, &d->h, e);
}

static bool ewma_design(struct run *r, struct design *d, struct err *e) {
    double arl;
    if (!evidence_number(r->args, "lambda", 0.2, 0.005, 1, &d->lambda, e) || !evidence_number(r->args, "width", NAN, 1e-6, 10, &d->width, e) ||
        !evidence_number(r->args, "arl", 370.4, 2, 1e9, &arl, e))
        return false;
    return !isnan(d->width) || ev_ewma_design(r->args->arena, d->lambda, arl, &d->width, e);
}

static bool cusum(struct run *r, struct err *e) {
    struct ev_process p;
    struct design d = {.sides = EV_TWO_SIDED};
    return cusum_design(r, &d, e) && process_of(r, &p, e) && ev_cusum_report(r->args->arena, &p, d.k, d.h, d.head_start, &r->report, plot_of(r), e);
}

static bool ewma(struct run *r, struct err *e) {
    struct ev_process p;
    struct design d = {0};
    return ewma_design(r, &d, e) && process_of(r, &p, e) &&
           ev_ewma_report(r->args->arena, &p, d.lambda, d.width, cli_flag(r->args, "widening"), &r->report, plot_of(r), e);
}

static bool design(struct run *r, struct err *e) {
    struct design d = {.sides = cli_flag(r->args, "one-sided") ? EV_ONE_SIDED : EV_TWO_SIDED, .k = NAN, .lambda = NAN};
    bool of_ewma = cli_text(r->args, "lambda", NULL) || cli_text(r->args, "width", NULL);
    if (of_ewma && d.sides == EV_ONE_SIDED) return err_set(e, ERR_USAGE, "app", "run lengths of one-sided EWMA charts are not computed");
    if (of_ewma ? !ewma_design(r, &d, e) : !cusum_design(r, &d, e)) return false;
    return ev_run_length_report(r->args->arena, d.sides, d.k, d.h, d.head_start, d.lambda, d.width, &r->report, plot_of(r), e);
}

// ---- two samples ----

struct samples {
    double *then, *now;
    size_t n, m, left_out;
};

static bool by_group(struct run *r, struct samples *s, struct err *e) {
    struct csv_levels levels;
    unsigned column;
    double *x;
    size_t n, reference = 0;
    int32_t *group = arena_alloc(r->args->arena, (r->table.rows + 1) * sizeof *group, e);
    if (!group || !csv_column(&r->table, cli_text(r->args, "group", NULL), &column, e) || !csv_levels(&r->table, column, &levels, e)) return false;
    if (levels.count != 2) return err_set(e, ERR_BAD_INPUT, "evidence", "--group has %u values; two samples are compared", levels.count);
    if (!values_of(r->args, &r->table, levels.of, &x, group, &n, e)) return false;
    s->then = arena_alloc(r->args->arena, (n + 1) * sizeof *s->then, e);
    s->now = s->then ? arena_alloc(r->args->arena, (n + 1) * sizeof *s->now, e) : NULL;
    if (!s->now) return false;
    // The first one that occurs, whatever its value.
    while (reference < r->table.rows && levels.of[reference] < 0) reference++;
    for (size_t i = 0; i < n; i++) {
        if (group[i] == levels.of[reference])
            s->then[s->n++] = x[i];
        else
            s->now[s->m++] = x[i];
    }
    s->left_out = r->table.rows - n;
    return true;
}

static bool samples_of(struct run *r, struct samples *s, struct err *e) {
    const char *reference = cli_text(r->args, "reference", NULL);
    double baseline;
    if (!need_file(r, e)) return false;
    if (cli_text(r->args, "group", NULL)) return by_group(r, s, e);
    if (!values_of(r->args, &r->table, NULL, &s->now, NULL, &s->m, e)) return false;
    s->left_out = r->table.rows - s->m;
    if (reference) {
        struct csv other;
        if (!evidence_read(r->args, reference, &other, e) || !values_of(r->args, &other, NULL, &s->then, NULL, &s->n, e)) return false;
        s->left_out += other.rows - s->n;
        return true;
    }
    if (!evidence_number(r->args, "baseline", 0, 1, 1e9, &baseline, e)) return false;
    if (baseline == 0) return err_set(e, ERR_USAGE, "app", "compare needs --group COLUMN, --reference FILE or --baseline N");
    if (baseline >= (double)s->m) return err_set(e, ERR_BAD_INPUT, "evidence", "a baseline of %g of %zu values leaves none to compare", baseline, s->m);
    s->n = (size_t)baseline;
    s->m -= s->n;
    s->then = s->now;
    s->now += s->n;
    return true;
}

static bool compare(struct run *r, struct err *e) {
    struct samples s = {0};
    double bins;
    if (!evidence_number(r->args, "bins", 10, 2, 10000, &bins, e) || !samples_of(r, &s, e)) return false;
    return ev_change_report(r->args->arena, s.then, s.n, s.now, s.m, (unsigned)bins, s.left_out, &r->report, plot_of(r), e);
}

// ---- looks ----

static bool list_of(const char *option, const char *text, double *out, unsigned *count, struct err *e) {
    struct str rest = str_of(text);
    for (*count = 0; rest.p; (*count)++) {
        struct str part = str_trim(str_split(&rest, ','));
        if (*count == EV_LOOKS_MAX) return err_set(e, ERR_USAGE, "app", "--%s: more than %d looks", option, EV_LOOKS_MAX);
        if (!str_to_f64(part, &out[*count])) return err_set(e, ERR_USAGE, "app", "--%s takes numbers parted by commas, not '%.*s'", option, STR_FMT(part));
    }
    return true;
}

static bool sequential(struct run *r, struct err *e) {
    struct ev_sequential_request q = {.sides = cli_flag(r->args, "one-sided") ? 1 : 2};
    const char *looks = cli_text(r->args, "looks", "5"), *name = cli_text(r->args, "spending", "obrien-fleming"), *z = cli_text(r->args, "z", NULL);
    if (!ev_spending_named(name, &q.spending)) return err_set(e, ERR_USAGE, "app", "--spending takes obrien-fleming, pocock, power or gamma, not '%s'", name);
    if (!list_of("looks", looks, q.t, &q.looks, e) || (z && !list_of("z", z, q.z, &q.observed, e))) return false;
    if (q.looks == 1 && q.t[0] > 1) { // a number of looks
        double n = q.t[0];
        if (n != floor(n) || n > EV_LOOKS_MAX) return err_set(e, ERR_USAGE, "app", "--looks takes a number of looks up to %d, or their shares", EV_LOOKS_MAX);
        q.looks = (unsigned)n;
        for (unsigned i = 0; i < q.looks; i++) q.t[i] = (i + 1) / n;
    }
    if (q.observed > q.looks) return err_set(e, ERR_USAGE, "app", "--z has %u values for %u looks", q.observed, q.looks);
    return evidence_number(r->args, "parameter", q.spending == EV_SPEND_GAMMA ? -4 : 2, -40, 40, &q.parameter, e) &&
           evidence_number(r->args, "alpha", 0.05, 1e-7, 0.49, &q.alpha, e) && evidence_number(r->args, "drift", 0, -20, 20, &q.drift, e) &&
           ev_sequential_report(r->args->arena, &q, &r->report, plot_of(r), e);
}

static bool analyse(struct run *r, struct err *e) {
    static const struct {
        const char *name;
        bool (*run)(struct run *r, struct err *e);
    } METHODS[] = {{"cusum", cusum}, {"ewma", ewma}, {"compare", compare}, {"design", design}, {"sequential", sequential}};
    bool two = cli_text(r->args, "group", NULL) || cli_text(r->args, "reference", NULL);
    const char *name = cli_text(r->args, "method", two ? "compare" : "cusum");
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (strcmp(METHODS[i].name, name) == 0) return METHODS[i].run(r, e);
    return err_set(e, ERR_USAGE, "app", "--method takes cusum, ewma, compare, design or sequential, not '%s'", name);
}

static int run(struct cli_args *args) {
    struct run r = {.args = args};
    struct err e = {0};
    double level;
    if (!evidence_level(args, &level, &e) || !analyse(&r, &e)) return cli_fail(args, &e);
    return evidence_plots(args) ? evidence_print_plot(args, &r.report, &r.plot) : evidence_print(args, &r.report);
}

const struct cli_command EVIDENCE_DRIFT = {
    .name = "drift",
    .synopsis = "[options] [FILE]",
    .summary = "Monitoring: control charts, changes between samples, repeated looks",
    .permission = ACCESS_LOCAL,
    .group = "In use",
    .details =
        "cusum and ewma watch the values of FILE in their order; compare tests whether two samples have one distribution; design tells run lengths of a chart "
        "and\n"
        "sequential boundaries for repeated looks: they need no FILE. Values are of any kind: a daily share of positives, a mean score, minutes to a report.",
    .options = OPTIONS,
    .positional_max = 1,
    .run = run,
};
