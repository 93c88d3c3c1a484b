// Rows of reference tables that ask for calibration: scores, bins, goodness of fit, coefficients of a logistic model.
#include <ctype.h>
#include <math.h>

#include "mod/evidence/agreement_columns.h"
#include "mod/evidence/ask.h"
#include "mod/evidence/calibration.h"
#include "mod/evidence/logistic.h"
#include "mod/evidence/roc.h"
#include "mod/evidence/spread.h"
#include "mod/evidence/verify.h"

enum { CODES_MAX = 6 };

// ---- probabilities and outcomes ----

struct forecast {
    size_t n;
    unsigned classes; // 0: p is the probability of outcome 1; else p is n x classes
    double *p, *y;
};

// The numbers of a parameter: "p=.22 .48", "p=[.2 .8][.4 .6]".
static bool list_of(const struct ev_question *q, const char *key, double **out, unsigned *n, struct str *text, struct err *e) {
    if (!ev_parameter(q, key, text)) return ev_ask_lacks(q, key, e);
    *out = arena_alloc(q->arena, (text->n + 1) * sizeof **out, e);
    if (!*out) return false;
    *n = ev_ask_numbers(*text, *out, (unsigned)text->n);
    return true;
}

static bool inline_forecast(const struct ev_question *q, struct forecast *f, struct err *e) {
    struct str ptext, ytext;
    unsigned np = 0, ny = 0;
    if (!list_of(q, "p", &f->p, &np, &ptext, e) || !list_of(q, "y", &f->y, &ny, &ytext, e)) return false;
    bool rows = ptext.n && str_find(ptext, '[', 0) < ptext.n;
    f->n = ny;
    f->classes = rows && ny ? np / ny : 0;
    if (ny == 0 || (rows ? np % ny != 0 || f->classes < 2 : np != ny)) return err_set(e, ERR_BAD_INPUT, "evidence", "%u probabilities for %u outcomes", np, ny);
    return true;
}

static bool column_within(const struct ev_question *q, unsigned column, bool outcomes) {
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < q->data->rows; i++) {
        double v;
        if (!csv_number(q->data, i, column, &v, NULL) || !(v >= 0 && v <= 1) || (outcomes && v != 0 && v != 1)) return false;
        least = fmin(least, v);
        most = fmax(most, v);
    }
    return least < most;
}

// A column: the one of that parameter, or the first whose values are outcomes (0 and 1), or probabilities besides.
static bool column_of(const struct ev_question *q, const char *key, bool outcomes, unsigned *column, struct err *e) {
    struct str name;
    if (ev_parameter(q, key, &name)) {
        char *word = arena_strz(q->arena, name, e);
        return word && csv_column(q->data, word, column, e);
    }
    for (unsigned j = 0; j < q->data->columns; j++) {
        if (!column_within(q, j, outcomes) || (!outcomes && column_within(q, j, true))) continue;
        *column = j;
        return true;
    }
    return err_set(e, ERR_BAD_INPUT, "evidence", "no column holds %s", outcomes ? "outcomes of 0 and 1" : "probabilities");
}

static bool forecast_of(const struct ev_question *q, struct forecast *f, struct err *e) {
    unsigned pair[2];
    *f = (struct forecast){0};
    if (!q->data) return inline_forecast(q, f, e);
    return column_of(q, "predicted", false, &pair[0], e) && column_of(q, "outcome", true, &pair[1], e) &&
           ev_complete_pair(q->arena, q->data, pair, &f->p, &f->y, &f->n, e);
}

static bool binary(const struct ev_question *q, struct forecast *f, struct err *e) {
    if (!forecast_of(q, f, e)) return false;
    if (f->classes > 2) return err_set(e, ERR_BAD_INPUT, "evidence", "%.*s is of two classes, not %u", STR_FMT(q->statistic), f->classes);
    for (size_t i = 0; f->classes == 2 && i < f->n; i++) f->p[i] = f->p[2 * i + 1];
    f->classes = 0;
    return true;
}

// ---- scores ----

static bool binned(const struct ev_question *q, const struct forecast *f, struct ev_calibration *c, struct err *e) {
    double bins = 10;
    if (!ev_ask_number(q->parameters, "bins", &bins)) ev_ask_number(q->parameters, "M", &bins);
    if (!(bins >= 1 && bins <= 1e6)) return err_set(e, ERR_BAD_INPUT, "evidence", "%g bins", bins);
    bool by_count = ev_holds(q->parameters, "equal-count") || ev_holds(q->parameters, "equal count") || ev_holds(q->parameters, "quantile");
    return ev_calibration(q->arena, f->p, f->y, f->n, by_count ? EV_BINS_COUNT : EV_BINS_WIDTH, (unsigned)bins, ev_ask_level(q->parameters), c, e);
}

static bool ece(const struct ev_question *q, double *value, struct err *e) {
    struct forecast f;
    struct ev_calibration c;
    if (!binary(q, &f, e) || !binned(q, &f, &c, e)) return false;
    *value = str_eq_nocase(q->statistic, STR_LIT("mce")) ? c.mce : c.ece;
    return true;
}

// Of any number of classes: the sum over classes of squares (brier), or the logarithm of what was given to the class that came.
static bool over_classes(const struct ev_question *q, bool brier, double *value, struct err *e) {
    struct forecast f;
    struct ev_sum sum = {0};
    if (!forecast_of(q, &f, e)) return false;
    unsigned classes = f.classes ? f.classes : 2;
    for (size_t i = 0; i < f.n; i++) {
        if (!(f.y[i] >= 0 && f.y[i] < classes) || f.y[i] != floor(f.y[i]))
            return err_set(e, ERR_BAD_INPUT, "evidence", "outcome %zu is %g; classes are 0 to %u", i + 1, f.y[i], classes - 1);
        for (unsigned k = 0; k < classes; k++) {
            double p = f.classes ? f.p[i * classes + k] : k ? f.p[i] : 1 - f.p[i];
            bool came = f.y[i] == k;
            if (!(p >= 0 && p <= 1)) return err_set(e, ERR_BAD_INPUT, "evidence", "row %zu: a probability lies in 0 to 1, not %g", i + 1, p);
            if (brier) ev_add(&sum, (p - came) * (p - came));
            if (!brier && came) ev_add(&sum, log(p));
        }
    }
    *value = ev_total(&sum) / (double)f.n;
    return true;
}

static bool brier_sum(const struct ev_question *q, double *value, struct err *e) {
    return over_classes(q, true, value, e);
}

static bool log_score(const struct ev_question *q, double *value, struct err *e) {
    return over_classes(q, false, value, e);
}

static bool area(const struct ev_question *q, const struct forecast *f, double *value, struct err *e) {
    struct ev_delong d;
    uint8_t *positive = arena_alloc(q->arena, f->n, e);
    if (!positive) return false;
    for (size_t i = 0; i < f->n; i++) positive[i] = f->y[i] != 0;
    const double *score = f->p;
    if (!ev_delong(q->arena, 1, &score, positive, f->n, &d, e)) return false;
    struct ev_auc auc = ev_auc_of(d.auc[0], d.covariance[0], EV_AUC_WALD, ev_ask_level(q->parameters));
    *value = ev_ask_word(q->parameters, "lo") ? auc.lo : ev_ask_word(q->parameters, "hi") ? auc.hi : ev_ask_word(q->parameters, "se") ? auc.se : auc.auc;
    return true;
}

static bool recalibrated(const struct ev_question *q, const struct forecast *f, double *value, struct err *e) {
    struct ev_recalibration r;
    struct str text = q->parameters;
    bool lo = ev_ask_word(text, "lo"), hi = ev_ask_word(text, "hi"), se = ev_ask_word(text, "se");
    if (!ev_recalibration(q->arena, f->p, f->y, f->n, ev_ask_level(text), &r, e)) return false;
    if (ev_holds(text, "slope"))
        *value = lo ? r.slope_lo : hi ? r.slope_hi : se ? r.slope_se : r.slope;
    else if (ev_holds(text, "large") || ev_holds(text, "citl"))
        *value = lo ? r.large_lo : hi ? r.large_hi : se ? r.large_se : r.large;
    else
        *value = se ? r.intercept_se : r.intercept;
    return true;
}

static bool calibration(const struct ev_question *q, double *value, struct err *e) {
    struct forecast f;
    struct ev_calibration c;
    struct str text = q->parameters;
    if (!binary(q, &f, e)) return false;
    if (ev_holds(text, "slope") || ev_holds(text, "intercept") || ev_holds(text, "large") || ev_holds(text, "citl")) return recalibrated(q, &f, value, e);
    if (ev_ask_word(text, "auc") || ev_ask_word(text, "c-statistic")) return area(q, &f, value, e);
    if (!binned(q, &f, &c, e)) return false;
    const struct {
        const char *word;
        double value;
    } ANSWERS[] = {{"reliability", c.reliability},
                   {"resolution", c.resolution},
                   {"uncertainty", c.uncertainty},
                   {"scaled", c.brier_scaled},
                   {"skill", c.brier_scaled},
                   {"spiegelhalter p", c.spiegelhalter_p},
                   {"spiegelhalter", c.spiegelhalter_z},
                   {"brier", c.brier},
                   {"logloss", c.log_loss},
                   {"log loss", c.log_loss},
                   {"log_loss", c.log_loss},
                   {"ece", c.ece},
                   {"mce", c.mce},
                   {"o/e", c.oe},
                   {"o:e", c.oe}};
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++)
        if (ev_holds(text, ANSWERS[i].word)) return *value = ANSWERS[i].value, true;
    return ev_ask_lacks(q, "what is asked: brier, logloss, auc, calibration slope, calibration intercept, calibration in the large, ece, mce, ...", e);
}

// ---- Hosmer and Lemeshow ----

// "(19x9,18)": sizes of the groups. *sizes stays NULL when the row has none.
static bool sizes_of(const struct ev_question *q, struct str text, size_t n, size_t **sizes, unsigned *groups, struct err *e) {
    size_t open = str_find(text, '(', 0), close = str_find(text, ')', open);
    struct str list = close < text.n ? str_sub(text, open + 1, close - open - 1) : (struct str){NULL, 0};
    unsigned count = 0;
    *sizes = NULL;
    for (size_t i = 0; i < list.n; i++)
        if (!isdigit((unsigned char)list.p[i]) && !strchr("x*, ", list.p[i])) return true; // words: no sizes
    size_t *out = list.n ? arena_alloc(q->arena, (n + 1) * sizeof *out, e) : NULL;
    if (!out) return list.n == 0;
    while (list.p) {
        struct str part = str_split(&list, ',');
        double number[2] = {0, 1};
        ev_ask_numbers(part, number, 1);
        size_t times = str_find(part, 'x', 0);
        if (times < part.n) ev_ask_numbers(str_sub(part, times + 1, part.n), number + 1, 1);
        if (!(number[1] <= (double)(n - count))) return err_set(e, ERR_BAD_INPUT, "evidence", "more groups than rows");
        for (size_t k = 0; k < (size_t)number[1]; k++) out[count++] = (size_t)number[0];
    }
    *sizes = out;
    *groups = count;
    return true;
}

static unsigned groups_of(const struct ev_question *q) {
    struct str text[] = {q->parameters, q->earlier};
    double number;
    for (int i = 0; i < 2; i++) {
        if (ev_ask_number(text[i], "groups", &number) || ev_ask_number(text[i], "g", &number)) return number >= 0 && number <= 1e6 ? (unsigned)number : 0;
        for (size_t at = 0; at + 1 < text[i].n; at++) { // "10 equal-count groups", "8 groups"
            struct str rest = str_sub(text[i], at, text[i].n);
            if (!isdigit((unsigned char)rest.p[0]) || (at && isalnum((unsigned char)text[i].p[at - 1]))) continue;
            size_t after = 0;
            while (after < rest.n && isdigit((unsigned char)rest.p[after])) after++;
            struct str word = str_trim(str_sub(rest, after, rest.n));
            if ((str_starts(word, STR_LIT("equal")) || str_starts(word, STR_LIT("group")) || str_starts(word, STR_LIT("bins"))) &&
                ev_ask_numbers(rest, &number, 1))
                return (unsigned)number;
        }
        if (ev_ask_number(text[i], "df", &number)) return number >= 0 && number <= 1e6 ? (unsigned)number + 2 : 0;
    }
    return 10;
}

static bool hosmer(const struct ev_question *q, double *value, struct err *e) {
    struct forecast f;
    struct ev_hosmer h;
    size_t *sizes, *above;
    unsigned groups = groups_of(q), of_above = 0;
    if (!binary(q, &f, e) || !sizes_of(q, q->parameters, f.n, &sizes, &groups, e)) return false;
    if (!sizes && !sizes_of(q, q->earlier, f.n, &above, &of_above, e)) return false;
    if (!sizes && above && of_above == groups) sizes = above; // the p-value of the row above
    bool type7 = ev_holds(q->statistic, "type7") || ev_holds(q->parameters, "type 7") || ev_holds(q->parameters, "ResourceSelection");
    if (!ev_hosmer(q->arena, f.p, f.y, f.n, type7 ? EV_GROUPS_QUANTILE : EV_GROUPS_COUNT, groups, sizes, &h, e)) return false;
    bool p = ev_ask_word(q->parameters, "p") || str_ends(q->statistic, STR_LIT("_p"));
    *value = p && !ev_holds(q->parameters, "chi2") ? h.p : ev_ask_word(q->parameters, "df") && !p ? h.df : h.chi2;
    return true;
}

// ---- a logistic model of all columns ----

// Codes 1, 2, ... to 6 at most are a category; counts begin with 0, measurements have more values.
static bool looks_like_codes(const struct csv *t, unsigned column) {
    bool seen[CODES_MAX + 1] = {0};
    unsigned most = 0;
    for (size_t i = 0; i < t->rows; i++) {
        double v;
        if (csv_missing(csv_at(t, i, column))) continue;
        if (!csv_number(t, i, column, &v, NULL)) return true; // words
        if (v < 1 || v > CODES_MAX || v != floor(v)) return false;
        seen[(unsigned)v] = true;
        if ((unsigned)v > most) most = (unsigned)v;
    }
    for (unsigned v = 1; v <= most; v++)
        if (!seen[v]) return false;
    return most >= 3;
}

// The coefficient asked for: a column ("age"), or a column and the level of it ("race2"). level: {NULL, 0} when none.
static bool wanted_of(const struct ev_question *q, unsigned *column, struct str *level) {
    struct str name = ev_piece(q, 0);
    size_t end = 0;
    for (unsigned i = 0; ev_piece(q, i).p; i++)
        if (str_find(ev_piece(q, i), '=', 0) == ev_piece(q, i).n && str_find(ev_piece(q, i), '~', 0) == ev_piece(q, i).n) name = ev_piece(q, i);
    while (end < name.n && name.p[end] != ' ') end++;
    name = str_sub(name, 0, end);
    size_t best = 0;
    for (unsigned j = 0; j < q->data->columns; j++) {
        struct str c = str_trim(q->data->names[j]);
        if (c.n <= best || c.n > name.n || !str_eq_nocase(str_sub(name, 0, c.n), c)) continue;
        best = c.n;
        *column = j;
        *level = str_sub(name, c.n, name.n);
    }
    if (best && level->n == 0) level->p = NULL;
    return best > 0;
}

struct model {
    unsigned columns; // of the matrix
    unsigned first;   // of a variable under way
    double *x, *y;
    unsigned width; // room per row
    int wanted;     // column of the matrix that was asked for
};

// The columns of one variable; the first level of a category is its reference.
static bool add_variable(const struct ev_question *q, struct model *m, unsigned column, bool category, bool wanted, struct str level, struct err *e) {
    const struct csv *t = q->data;
    struct csv_levels levels = {0};
    if (category && !csv_levels(t, column, &levels, e)) return false;
    unsigned added = category ? levels.count - 1 : 1;
    if (m->columns + added > m->width) return err_set(e, ERR_TOO_LARGE, "evidence", "more than %u predictors", m->width);
    for (size_t i = 0; i < t->rows; i++) {
        double *row = m->x + i * m->width + m->columns;
        if (!category && !csv_number(t, i, column, row, e)) return false;
        for (unsigned k = 1; category && k < levels.count; k++) row[k - 1] = levels.of[i] < 0 ? NAN : levels.of[i] == (int32_t)k;
    }
    for (unsigned k = 1; wanted && category && k < levels.count; k++)
        if (str_eq_nocase(levels.names[k], level)) m->wanted = (int)(m->columns + k - 1);
    if (wanted && !category) m->wanted = (int)m->columns;
    m->columns += added;
    return true;
}

// Rows that have every value, packed; the number of them.
static size_t pack(struct model *m, size_t rows) {
    size_t n = 0;
    for (size_t i = 0; i < rows; i++) {
        bool whole = !isnan(m->y[i]);
        for (unsigned j = 0; j < m->columns; j++) {
            double v = m->x[i * m->width + j];
            m->x[n * m->columns + j] = v;
            whole = whole && !isnan(v);
        }
        m->y[n] = m->y[i];
        n += whole;
    }
    return n;
}

static bool build(const struct ev_question *q, struct model *m, unsigned outcome, struct err *e) {
    unsigned column = 0, named[EV_PREDICTORS_MAX] = {0}, count = 0;
    struct str level = {NULL, 0}, formula;
    bool found = wanted_of(q, &column, &level);
    if (ev_parameter(q, "model", &formula)) count = ev_named_columns(q->data, str_sub(formula, str_find(formula, '~', 0), formula.n), named, EV_PREDICTORS_MAX);
    for (size_t i = 0; i < q->data->rows; i++) m->x[i * m->width] = 1;
    m->columns = 1;
    m->wanted = found ? -1 : 0;
    for (unsigned j = 0; j < q->data->columns; j++) {
        bool in = count == 0 && !ev_is_identifier(q->data->names[j]);
        for (unsigned k = 0; k < count; k++) in = in || named[k] == j;
        if (j == outcome || !in) continue;
        bool asked = found && j == column, category = asked ? level.p != NULL : looks_like_codes(q->data, j);
        if (!add_variable(q, m, j, category, asked, level, e)) return err_wrap(e, "column %.*s", STR_FMT(q->data->names[j]));
    }
    if (m->wanted < 0 || (!found && !ev_ask_word(q->parameters, "intercept") && !ev_ask_word(q->parameters, "constant")))
        return err_set(e, ERR_BAD_INPUT, "evidence", "the model has no coefficient '%.*s'", STR_FMT(q->parameters));
    return true;
}

static bool logit(const struct ev_question *q, double *value, struct err *e) {
    struct model m = {.width = EV_PREDICTORS_MAX};
    struct ev_logistic fit;
    unsigned outcome;
    if (!q->data) return ev_ask_lacks(q, "a data set", e);
    if (!column_of(q, "outcome", true, &outcome, e)) return false;
    if (q->data->columns < m.width / 10) m.width = 10 * q->data->columns;
    m.x = arena_zero(q->arena, q->data->rows, m.width * sizeof *m.x, e);
    if (!m.x || !csv_numbers(q->data, outcome, &m.y, e) || !build(q, &m, outcome, e)) return false;
    if (!ev_logistic(q->arena, m.x, m.y, NULL, pack(&m, q->data->rows), m.columns, &fit, e)) return false;
    bool se = ev_ask_word(q->parameters, "se") || str_ends(q->statistic, STR_LIT("_se"));
    *value = se ? fit.se[m.wanted] : ev_ask_word(q->parameters, "or") ? exp(fit.coefficient[m.wanted]) : fit.coefficient[m.wanted];
    if (ev_ask_word(q->parameters, "z")) *value = fit.coefficient[m.wanted] / fit.se[m.wanted];
    return true;
}

const struct ev_statistic EV_STATISTICS_CALIBRATION[] = {
    {"calibration", calibration}, {"ece", ece},           {"mce", ece}, {"brier_two_class_sum", brier_sum}, {"brier_sum", brier_sum}, {"log_score", log_score},
    {"hosmer_lemeshow*", hosmer}, {"logit_coef*", logit}, {0},
};
