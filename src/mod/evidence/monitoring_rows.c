// Rows of reference tables that ask for monitoring: charts and their run lengths, Kolmogorov-Smirnov, stability index, boundaries.
#include <ctype.h>
#include <math.h>

#include "mod/evidence/agreement_columns.h"
#include "mod/evidence/ask.h"
#include "mod/evidence/charts.h"
#include "mod/evidence/drift.h"
#include "mod/evidence/verify.h"

// A number of this row, or of the rows above it about the same data.
static bool number_of(const struct ev_question *q, const char *key, double *out) {
    return ev_ask_number(q->parameters, key, out) || ev_ask_number(q->earlier, key, out);
}

static bool need(const struct ev_question *q, const char *key, double *out, struct err *e) {
    return number_of(q, key, out) || ev_ask_lacks(q, key, e);
}

// The points: "x=..." in the row, or the column x, value or y, or the first that is no index.
static bool points_of(const struct ev_question *q, double **x, size_t *n, struct err *e) {
    static const char *const NAMES[] = {"x", "value", "y"};
    struct str list;
    if (!q->data) {
        if (!ev_parameter(q, "x", &list)) return ev_ask_lacks(q, "x, the points", e);
        *x = arena_alloc(q->arena, (list.n + 1) * sizeof **x, e);
        if (*x) *n = ev_ask_numbers(list, *x, (unsigned)list.n);
        return *x != NULL;
    }
    int column = -1;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES && column < 0; i++) column = csv_find(q->data, NAMES[i]);
    for (unsigned j = 0; j < q->data->columns && column < 0; j++)
        if (!ev_is_identifier(q->data->names[j])) column = (int)j;
    if (column < 0) return err_set(e, ERR_BAD_INPUT, "evidence", "no column holds points");
    unsigned chosen = (unsigned)column;
    return ev_complete_rows(q->arena, q->data, &chosen, 1, x, n, e);
}

// The point that a row asks for: "index=14", "i=14", "at 14".
static bool point_of(const struct ev_question *q, size_t n, size_t *at, struct err *e) {
    double i;
    if (!ev_ask_number(q->parameters, "index", &i) && !ev_ask_number(q->parameters, "i", &i) && !ev_ask_number(q->parameters, "at", &i) &&
        !ev_ask_number(q->parameters, "point", &i))
        return ev_ask_lacks(q, "which point: i=1 or more", e);
    if (!(i >= 1 && i <= (double)n)) return err_set(e, ERR_BAD_INPUT, "evidence", "point %g of %zu", i, n);
    *at = (size_t)i - 1;
    return true;
}

static bool cusum(const struct ev_question *q, double *value, struct err *e) {
    struct ev_cusum c = {0};
    double *x;
    size_t n = 0, at = 0;
    if (!need(q, "target", &c.target, e) || !need(q, "k", &c.k, e) || !need(q, "h", &c.h, e) || !points_of(q, &x, &n, e)) return false;
    number_of(q, "head_start", &c.head_start);
    if (!ev_cusum(q->arena, x, n, &c, e)) return false;
    bool hi = ev_holds(q->parameters, "s_hi") || ev_holds(q->parameters, "S+"), lo = ev_holds(q->parameters, "s_lo") || ev_holds(q->parameters, "S-");
    if (hi || lo) {
        if (!point_of(q, n, &at, e)) return false;
        *value = hi ? c.hi[at] : c.lo[at];
    } else {
        *value = ev_holds(q->parameters, "count") || ev_holds(q->parameters, "signals") ? (double)c.signals : (double)c.first_signal;
    }
    return true;
}

static bool ewma(const struct ev_question *q, double *value, struct err *e) {
    struct ev_ewma c = {.width = 3};
    double *x = NULL;
    size_t n = 0, at = 0;
    struct str text = q->parameters;
    if (!need(q, "lambda", &c.lambda, e)) return false;
    if (!number_of(q, "EWMA0", &c.start) && !number_of(q, "target", &c.start) && !number_of(q, "start", &c.start) && !need(q, "mean", &c.start, e))
        return false;
    if (!number_of(q, "s", &c.sd) && !number_of(q, "sigma", &c.sd) && !need(q, "sd", &c.sd, e)) return false;
    if (!number_of(q, "L", &c.width) && !number_of(q, "width", &c.width)) number_of(q, "k", &c.width);
    bool limit = ev_ask_word(text, "UCL") || ev_ask_word(text, "LCL");
    if (!limit && !points_of(q, &x, &n, e)) return false;
    if (!ev_ewma(q->arena, x, n, &c, e)) return false;
    if (limit) return *value = ev_ask_word(text, "UCL") ? c.ucl : c.lcl, true;
    if (ev_holds(text, "signal")) return *value = ev_holds(text, "count") ? (double)c.signals : (double)c.first_signal, true;
    if (!point_of(q, n, &at, e)) return false;
    *value = c.z[at];
    return true;
}

static double shift_of(const struct ev_question *q) {
    double shift = 0;
    if (!number_of(q, "shift", &shift) && !number_of(q, "mu", &shift)) number_of(q, "delta", &shift);
    return shift;
}

static bool cusum_arl(const struct ev_question *q, double *value, struct err *e) {
    double k, h, start = 0, part = 2;
    if (!need(q, "k", &k, e) || !need(q, "h", &h, e)) return false;
    bool two = ev_holds(q->statistic, "two_sided") || ev_holds(q->parameters, "two-sided") || ev_holds(q->parameters, "two_sided");
    struct str where = ev_holds(q->statistic, "FIR") ? q->statistic : q->parameters;
    if (ev_holds(where, "FIR")) { // "FIR_h/2": a head start of h / 2
        size_t slash = str_find(where, '/', 0);
        if (slash < where.n) ev_ask_numbers(str_sub(where, slash + 1, where.n), &part, 1);
        start = h / part;
    }
    if (!number_of(q, "head_start", &start) && !number_of(q, "head start", &start)) number_of(q, "hs", &start);
    return ev_cusum_arl(q->arena, two ? EV_TWO_SIDED : EV_ONE_SIDED, k, h, start, shift_of(q), value, e);
}

static bool ewma_arl(const struct ev_question *q, double *value, struct err *e) {
    double lambda, width, start = 0;
    if (ev_holds(q->statistic, "one_sided")) return err_set(e, ERR_UNSUPPORTED, "evidence", "one-sided EWMA charts are not computed");
    if (!need(q, "lambda", &lambda, e)) return false;
    if (!number_of(q, "L", &width) && !number_of(q, "width", &width) && !need(q, "c", &width, e)) return false;
    if (!number_of(q, "start", &start)) number_of(q, "z0", &start);
    return ev_ewma_arl(q->arena, lambda, width, start, shift_of(q), value, e);
}

// ---- samples ----

static bool sample_of(const struct ev_question *q, const char *key, double **out, size_t *n, struct err *e) {
    struct str text;
    if (q->data && !ev_parameter(q, key, &text)) {
        unsigned column;
        return csv_column(q->data, key, &column, e) && ev_complete_rows(q->arena, q->data, &column, 1, out, n, e);
    }
    if (!ev_parameter(q, key, &text)) return ev_ask_lacks(q, key, e);
    for (size_t i = 0; i + 3 <= text.n; i++) // what it is compared with is no part of it
        if (str_eq_nocase(str_sub(text, i, 3), STR_LIT("vs "))) text.n = i;
    *out = arena_alloc(q->arena, (text.n + 1) * sizeof **out, e);
    if (*out) *n = ev_ask_numbers(text, *out, (unsigned)text.n);
    return *out != NULL;
}

static bool ks_answer(const struct ev_question *q, const struct ev_ks *k, double *value, struct err *e) {
    bool p = ev_holds(q->statistic, "_p");
    if (p && ev_holds(q->statistic, "exact") && !k->exact) return err_set(e, ERR_TOO_LARGE, "evidence", "the samples are too large for an exact p-value");
    *value = p ? k->p : k->d;
    return true;
}

static bool ks_two(const struct ev_question *q, double *value, struct err *e) {
    struct ev_ks k;
    double *x = NULL, *y = NULL;
    size_t n = 0, m = 0;
    return sample_of(q, "x", &x, &n, e) && sample_of(q, "y", &y, &m, e) && ev_ks_two(q->arena, x, n, y, m, &k, e) && ks_answer(q, &k, value, e);
}

// "vs N(0,1)", "vs U(0,1)", "vs Exp(1)".
static bool law_of(const struct ev_question *q, enum ev_law *law, double parameter[2]) {
    static const struct {
        const char *name;
        enum ev_law law;
        unsigned parameters;
    } LAWS[] = {{"N(", EV_LAW_NORMAL, 2},        {"norm(", EV_LAW_NORMAL, 2},  {"normal(", EV_LAW_NORMAL, 2},   {"U(", EV_LAW_UNIFORM, 2},
                {"uniform(", EV_LAW_UNIFORM, 2}, {"unif(", EV_LAW_UNIFORM, 2}, {"exp(", EV_LAW_EXPONENTIAL, 1}, {"exponential(", EV_LAW_EXPONENTIAL, 1}};
    for (size_t i = 0; i + 3 < q->parameters.n; i++) {
        if (!str_eq_nocase(str_sub(q->parameters, i, 3), STR_LIT("vs "))) continue;
        struct str rest = str_trim(str_sub(q->parameters, i + 3, q->parameters.n));
        for (size_t j = 0; j < sizeof LAWS / sizeof *LAWS; j++) {
            struct str name = str_of(LAWS[j].name);
            *law = LAWS[j].law;
            if (str_eq_nocase(str_sub(rest, 0, name.n), name)) return ev_ask_numbers(str_sub(rest, name.n, rest.n), parameter, 2) >= LAWS[j].parameters;
        }
    }
    return false;
}

static bool ks_one(const struct ev_question *q, double *value, struct err *e) {
    struct ev_ks k;
    enum ev_law law;
    double *x, parameter[2] = {0, 1};
    size_t n;
    if (!law_of(q, &law, parameter)) return ev_ask_lacks(q, "the distribution: vs N(mean,sd), U(min,max) or Exp(rate)", e);
    return sample_of(q, "x", &x, &n, e) && ev_ks_one(q->arena, x, n, law, parameter[0], parameter[1], &k, e) && ks_answer(q, &k, value, e);
}

static bool psi(const struct ev_question *q, double *value, struct err *e) {
    struct ev_psi p;
    double *x = NULL, *y = NULL, bins = 10;
    size_t n = 0, m = 0;
    if (!sample_of(q, "x", &x, &n, e) || !sample_of(q, "y", &y, &m, e)) return false;
    if (ev_holds(q->parameters, "counts")) {
        if (n != m || n > 100000) return err_set(e, ERR_BAD_INPUT, "evidence", "%zu and %zu counts", n, m);
        if (!ev_psi_counts(q->arena, x, y, (unsigned)n, &p, e)) return false;
    } else {
        ev_ask_number(q->parameters, "bins", &bins);
        if (!(bins >= 2 && bins <= 10000) || !ev_psi(q->arena, x, n, y, m, (unsigned)bins, &p, e)) return false;
    }
    *value = str_ends(q->statistic, STR_LIT("_p")) ? p.p : p.psi;
    return true;
}

// "spending=obrien-fleming;alpha=.05;sides=2;t=.2 .4 .6 .8 1;look=3"
static bool boundary(const struct ev_question *q, double *value, struct err *e) {
    struct ev_look look[EV_LOOKS_MAX] = {0};
    struct str told;
    enum ev_spending spending;
    double t[EV_LOOKS_MAX], alpha = 0.05, sides = 2, parameter = 1, at = 1, drift = 0;
    char *name = ev_parameter(q, "spending", &told) ? arena_strz(q->arena, told, e) : NULL;
    if (!name || !ev_spending_named(name, &spending)) return ev_ask_lacks(q, "spending: obrien-fleming, pocock, power or gamma", e);
    if (!ev_parameter(q, "t", &told)) return ev_ask_lacks(q, "t, the shares of information at the looks", e);
    unsigned looks = ev_ask_numbers(told, t, EV_LOOKS_MAX);
    for (unsigned i = 0; i < looks; i++) look[i].t = t[i];
    number_of(q, "alpha", &alpha);
    number_of(q, "sides", &sides);
    number_of(q, "parameter", &parameter);
    number_of(q, "look", &at);
    number_of(q, "drift", &drift);
    if (!(at >= 1 && at <= looks)) return err_set(e, ERR_BAD_INPUT, "evidence", "look %g of %u", at, looks);
    if (!ev_sequential(q->arena, spending, parameter, alpha, sides == 1 ? 1 : 2, drift, look, looks, e)) return false;
    const struct ev_look *l = &look[(unsigned)at - 1];
    *value = str_ends(q->statistic, STR_LIT("_spent")) ? l->spent : str_ends(q->statistic, STR_LIT("_power")) ? l->stop_drift : l->z;
    return true;
}

const struct ev_statistic EV_STATISTICS_MONITORING[] = {
    {"cusum_tabular", cusum},
    {"ewma_limits", ewma},
    {"cusum_arl*", cusum_arl},
    {"ewma_arl*", ewma_arl},
    {"ks_two_sample*", ks_two},
    {"ks_one_sample*", ks_one},
    {"psi", psi},
    {"psi_p", psi},
    {"sequential_bound*", boundary},
    {0},
};
