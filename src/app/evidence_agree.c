// gantry evidence agree: do raters, or methods of measurement, agree?
#include <math.h>
#include <string.h>

#include "app/evidence.h"
#include "mod/evidence/agreement_columns.h"
#include "mod/evidence/agreement_report.h"

static const struct cli_option OPTIONS[] = {
    EVIDENCE_OPTIONS,
    {"method", "NAME", "kappa, icc, bland-altman, ccc, repeatability or tost (default: kappa for categories, bland-altman for two measurements, icc for more)"},
    {"columns", "A,B,...", "the raters or methods, one column each (default: all but identifiers)"},
    {"weights", "NAME", "kappa: unweighted, linear, quadratic, ordinal, radical, ratio, circular or bipolar (default: unweighted)"},
    {"measured", "LEVEL", "Krippendorff's alpha: nominal, ordinal, interval or ratio (default: nominal)"},
    {"x", "A[,B,...]", "the first method: a column, or its replicates"},
    {"y", "C[,D,...]", "the second method"},
    {"subject", "COLUMN", "the subject of each row, when subjects have several"},
    {"multiplier", "1.96", "bland-altman: standard deviations from the bias to the limits"},
    {"margin", "M", "tost: equivalent when the mean difference lies within -M to M"},
    {"lower", "L", "tost: the lower margin"},
    {"upper", "U", "tost: the upper margin"},
    {0},
};

enum { CATEGORIES_AT_MOST = 12 }; // of a column that is taken for categories by itself

struct run {
    struct cli_args *args;
    struct csv table;
    double level;
    struct ev_report report;
    struct ev_plot plot;
    bool plotted;
};

// "a,b,c" into columns; the names' number.
static bool list_of(const struct run *r, const char *text, unsigned **columns, unsigned *count, struct err *e) {
    struct str rest = str_of(text);
    *columns = arena_alloc(r->args->arena, (rest.n + 1) * sizeof **columns, e);
    if (!*columns) return false;
    *count = 0;
    while (rest.p) {
        char *name = arena_strz(r->args->arena, str_trim(str_split(&rest, ',')), e);
        if (!name || !csv_column(&r->table, name, &(*columns)[(*count)++], e)) return false;
    }
    return true;
}

// --columns, or every column of values.
static bool raters_of(const struct run *r, unsigned **columns, unsigned *count, struct err *e) {
    const char *told = cli_text(r->args, "columns", NULL);
    int subject = cli_text(r->args, "subject", NULL) ? csv_find(&r->table, cli_text(r->args, "subject", NULL)) : -1;
    if (told) return list_of(r, told, columns, count, e);
    *columns = arena_alloc(r->args->arena, (r->table.columns + 1) * sizeof **columns, e);
    if (!*columns) return false;
    unsigned all = ev_value_columns(&r->table, *columns);
    *count = 0;
    for (unsigned i = 0; i < all; i++)
        if ((int)(*columns)[i] != subject) (*columns)[(*count)++] = (*columns)[i];
    return true;
}

static bool subjects_of(const struct run *r, struct csv_levels *levels, struct err *e) {
    unsigned column;
    return csv_column(&r->table, cli_text(r->args, "subject", NULL), &column, e) && csv_levels(&r->table, column, levels, e);
}

// ---- methods ----

static bool kappa(struct run *r, struct err *e) {
    static const char *const LEVELS[] = {"nominal", "ordinal", "interval", "ratio"};
    const char *weights = cli_text(r->args, "weights", "unweighted"), *measured = cli_text(r->args, "measured", "nominal");
    enum ev_weighting weighting;
    struct ev_ratings ratings;
    unsigned *columns, count, level = 0;
    while (level < 4 && strcmp(measured, LEVELS[level]) != 0) level++;
    if (level == 4) return err_set(e, ERR_USAGE, "app", "--measured takes nominal, ordinal, interval or ratio, not '%s'", measured);
    if (!ev_weighting_named(str_of(weights), &weighting)) return err_set(e, ERR_USAGE, "app", "--weights: there are no weights '%s'", weights);
    return raters_of(r, &columns, &count, e) && ev_ratings_read(r->args->arena, &r->table, columns, count, &ratings, e) &&
           ev_kappa_report(r->args->arena, &ratings, weighting, (enum ev_level)level, r->level, &r->report, e);
}

static bool icc(struct run *r, struct err *e) {
    unsigned *columns, count;
    double *values;
    size_t n;
    if (!raters_of(r, &columns, &count, e)) return false;
    if (count < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "%u column of measurements: agreement needs two at least", count);
    return ev_complete_rows(r->args->arena, &r->table, columns, count, &values, &n, e) &&
           ev_icc_report(r->args->arena, values, n, count, r->table.rows - n, r->level, &r->report, e);
}

// Numbers of one method, row by row, NaN where missing.
static bool numbers_of(const struct run *r, const unsigned *columns, unsigned count, double **out, struct err *e) {
    *out = arena_alloc(r->args->arena, (r->table.rows * count + 1) * sizeof **out, e);
    for (size_t i = 0; *out && i < r->table.rows * count; i++)
        if (!csv_number(&r->table, i / count, columns[i % count], &(*out)[i], e)) return false;
    return *out != NULL;
}

static bool has_value(const double *x, unsigned count) {
    for (unsigned j = 0; j < count; j++)
        if (!isnan(x[j])) return true;
    return false;
}

// Rows that have a value of both methods, packed.
static void pack(struct run *r, struct ev_two_methods *m, double *x, double *y, uint32_t *subject) {
    for (size_t i = 0; i < r->table.rows; i++) {
        const double *from_x = x + i * m->x_count, *from_y = y + i * m->y_count;
        if (!has_value(from_x, m->x_count) || !has_value(from_y, m->y_count)) continue;
        memmove(x + m->n * m->x_count, from_x, m->x_count * sizeof *x);
        memmove(y + m->n * m->y_count, from_y, m->y_count * sizeof *y);
        if (subject) subject[m->n] = subject[i];
        m->n++;
    }
    m->left_out = r->table.rows - m->n;
    m->x = x;
    m->y = y;
}

// Numbers of subjects as they occur among the rows that are left, without gaps.
static bool number_subjects(struct run *r, struct ev_two_methods *m, uint32_t *subject, const struct csv_levels *levels, struct err *e) {
    uint32_t *place = arena_zero(r->args->arena, (size_t)levels->count + 1, sizeof *place, e);
    if (!place) return false;
    for (size_t i = 0; i < m->n; i++) {
        if (place[subject[i]] == 0) place[subject[i]] = (uint32_t)++m->subjects;
        subject[i] = place[subject[i]] - 1;
    }
    m->subject = m->subjects < m->n ? subject : NULL; // one row each: plain pairs
    return true;
}

static bool two_methods(struct run *r, struct ev_two_methods *m, struct err *e) {
    const char *first = cli_text(r->args, "x", NULL), *second = cli_text(r->args, "y", NULL);
    unsigned pair[2], *xs = &pair[0], *ys = &pair[1];
    double *x, *y;
    *m = (struct ev_two_methods){.x_count = 1, .y_count = 1, .multiplier = 1.96};
    if (!first != !second) return err_set(e, ERR_USAGE, "app", "--x and --y go together");
    if (first && (!list_of(r, first, &xs, &m->x_count, e) || !list_of(r, second, &ys, &m->y_count, e))) return false;
    if (!first) {
        unsigned *columns, count;
        if (!raters_of(r, &columns, &count, e)) return false;
        if (count != 2 && !ev_default_pair(&r->table, pair, e)) return false;
        if (count == 2) memcpy(pair, columns, sizeof pair);
    }
    if (!numbers_of(r, xs, m->x_count, &x, e) || !numbers_of(r, ys, m->y_count, &y, e)) return false;
    m->x_name = m->x_count > 1 ? ev_method_of(r->table.names[xs[0]]) : str_trim(r->table.names[xs[0]]);
    m->y_name = m->y_count > 1 ? ev_method_of(r->table.names[ys[0]]) : str_trim(r->table.names[ys[0]]);
    if (!cli_text(r->args, "subject", NULL)) return pack(r, m, x, y, NULL), true;
    struct csv_levels levels;
    if (!subjects_of(r, &levels, e)) return false;
    uint32_t *subject = arena_alloc(r->args->arena, (r->table.rows + 1) * sizeof *subject, e);
    if (!subject) return false;
    for (size_t i = 0; i < r->table.rows; i++) {
        if (levels.of[i] < 0) return err_set(e, ERR_BAD_INPUT, "evidence", "line %u: the subject is missing", r->table.line[i]);
        subject[i] = (uint32_t)levels.of[i];
    }
    pack(r, m, x, y, subject);
    return number_subjects(r, m, subject, &levels, e);
}

static bool bland_altman(struct run *r, struct err *e) {
    struct ev_two_methods m;
    if (!two_methods(r, &m, e) || !evidence_number(r->args, "multiplier", 1.96, 0.01, 100, &m.multiplier, e)) return false;
    if (m.subject && (m.x_count > 1 || m.y_count > 1))
        return err_set(e, ERR_USAGE, "app", "replicates in columns and subjects with several rows do not go together");
    r->plotted = evidence_plots(r->args);
    return ev_bland_altman_report(r->args->arena, &m, r->level, &r->report, r->plotted ? &r->plot : NULL, e);
}

static bool single_pairs(struct run *r, struct ev_two_methods *m, struct err *e) {
    if (!two_methods(r, m, e)) return false;
    if (m->x_count > 1 || m->y_count > 1 || m->subject) return err_set(e, ERR_USAGE, "app", "this method takes one pair of measurements per subject");
    return true;
}

static bool concordance(struct run *r, struct err *e) {
    struct ev_two_methods m;
    return single_pairs(r, &m, e) && ev_concordance_report(r->args->arena, &m, r->level, &r->report, e);
}

static bool tost(struct run *r, struct err *e) {
    struct ev_two_methods m;
    double margin, lower, upper;
    if (!evidence_number(r->args, "margin", NAN, 0, INFINITY, &margin, e) || !evidence_number(r->args, "lower", -margin, -INFINITY, INFINITY, &lower, e) ||
        !evidence_number(r->args, "upper", margin, -INFINITY, INFINITY, &upper, e))
        return false;
    if (isnan(lower) || isnan(upper)) return err_set(e, ERR_USAGE, "app", "tost needs --margin M, or --lower L and --upper U");
    return single_pairs(r, &m, e) && ev_tost_report(r->args->arena, &m, lower, upper, r->level, &r->report, e);
}

// Replicates in columns, or rows of a subject.
static bool repeatability(struct run *r, struct err *e) {
    unsigned *columns, count;
    double *values;
    struct csv_levels levels = {.count = (unsigned)r->table.rows};
    bool by_rows = cli_text(r->args, "subject", NULL) != NULL;
    if (by_rows && !subjects_of(r, &levels, e)) return false;
    if (!raters_of(r, &columns, &count, e) || !numbers_of(r, columns, count, &values, e)) return false;
    size_t n = r->table.rows * count;
    uint32_t *subject = arena_alloc(r->args->arena, (n + 1) * sizeof *subject, e);
    if (!subject) return false;
    for (size_t i = 0; i < n; i++) {
        if (by_rows && levels.of[i / count] < 0) return err_set(e, ERR_BAD_INPUT, "evidence", "line %u: the subject is missing", r->table.line[i / count]);
        subject[i] = by_rows ? (uint32_t)levels.of[i / count] : (uint32_t)(i / count);
    }
    return ev_repeatability_report(r->args->arena, values, subject, n, levels.count, r->level, &r->report, e);
}

// ---- choice ----

// Words, or few different numbers.
static bool looks_like_categories(const struct run *r, const unsigned *columns, unsigned count) {
    double seen[CATEGORIES_AT_MOST];
    unsigned n = 0;
    for (size_t i = 0; i < r->table.rows * count; i++) {
        double v;
        unsigned k = 0;
        if (!csv_number(&r->table, i / count, columns[i % count], &v, NULL)) return true;
        if (isnan(v)) continue;
        while (k < n && seen[k] != v) k++;
        if (k == CATEGORIES_AT_MOST || v != floor(v)) return false;
        if (k == n) seen[n++] = v;
    }
    return true;
}

static bool by_data(struct run *r, struct err *e) {
    unsigned *columns, count;
    if (cli_text(r->args, "x", NULL)) return bland_altman(r, e);
    if (!raters_of(r, &columns, &count, e)) return false;
    if (looks_like_categories(r, columns, count)) return kappa(r, e);
    return count == 2 ? bland_altman(r, e) : icc(r, e);
}

static bool analyse(struct run *r, struct err *e) {
    static const struct {
        const char *name;
        bool (*run)(struct run *r, struct err *e);
    } METHODS[] = {{"kappa", kappa}, {"icc", icc}, {"bland-altman", bland_altman}, {"ccc", concordance}, {"repeatability", repeatability}, {"tost", tost}};
    const char *name = cli_text(r->args, "method", NULL);
    if (!evidence_level(r->args, &r->level, e) || !evidence_read(r->args, r->args->positional[0], &r->table, e)) return false;
    if (!name) return by_data(r, e);
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (strcmp(METHODS[i].name, name) == 0) return METHODS[i].run(r, e);
    return err_set(e, ERR_USAGE, "app", "--method takes kappa, icc, bland-altman, ccc, repeatability or tost, not '%s'", name);
}

static int run(struct cli_args *args) {
    struct run r = {.args = args};
    struct err e = {0};
    if (!analyse(&r, &e)) return cli_fail(args, &e);
    return r.plotted ? evidence_print_plot(args, &r.report, &r.plot) : evidence_print(args, &r.report);
}

const struct cli_command EVIDENCE_AGREE = {
    .name = "agree",
    .synopsis = "[options] FILE",
    .summary = "Agreement of raters and of methods of measurement",
    .permission = ACCESS_LOCAL,
    .group = "Agreement",
    .details = "A row of FILE is a subject, a column a rater or a method; empty fields and NA are missing. Columns named id, subject, case and the like are "
               "identifiers.\n"
               "kappa takes categories (words or numbers); icc, bland-altman, ccc, repeatability and tost take measurements. Repeated pairs of a subject are "
               "rows of the same\n"
               "--subject; replicates are columns: --x wright1,wright2 --y mini1,mini2.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};
