// Rows of reference tables that ask for agreement: kappas, alpha, intraclass correlation, limits of agreement, concordance.
#include <math.h>
#include <stdlib.h>

#include "mod/evidence/agreement_columns.h"
#include "mod/evidence/ask.h"
#include "mod/evidence/icc.h"
#include "mod/evidence/kappa.h"
#include "mod/evidence/methods.h"
#include "mod/evidence/verify.h"

// ---- what is asked of a coefficient ----

// The statistic's name after its stem: "_se", "_ci_lo", ...
static bool field_of(const struct ev_question *q, const struct ev_agreement *v, double *value, struct err *e) {
    const struct {
        const char *end;
        double value;
    } FIELDS[] = {{"_ci_lo", v->lo}, {"_ci_hi", v->hi}, {"_se_null", v->se_null}, {"_se", v->se}, {"_z", v->z}, {"_p", v->p}, {"_n", v->n}, {"", v->value}};
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        if (!str_ends(q->statistic, str_of(FIELDS[i].end))) continue;
        *value = FIELDS[i].value;
        // "_n" and "_p" without a meaning here, a z that the coefficient does not have
        if (isnan(*value) && v->n >= 2) return err_set(e, ERR_UNSUPPORTED, "evidence", "%.*s is not defined for this coefficient", STR_FMT(q->statistic));
        return true;
    }
    return false;
}

static enum ev_weighting weighting_of(const struct ev_question *q) {
    enum ev_weighting w;
    struct str name;
    if ((ev_parameter(q, "weights", &name) || ev_parameter(q, "weight", &name)) && ev_weighting_named(name, &w)) return w;
    for (unsigned i = 0; ev_piece(q, i).p; i++)
        if (ev_weighting_named(ev_piece(q, i), &w)) return w;
    return EV_WEIGHT_IDENTITY;
}

static bool weights_of(const struct ev_question *q, const double *scores, unsigned categories, double **w, struct err *e) {
    *w = arena_alloc(q->arena, (size_t)categories * categories * sizeof **w, e);
    if (!*w) return false;
    ev_weights(weighting_of(q), scores, categories, *w);
    return true;
}

// ---- a table in the row: "3x3 [13,0,0;0,20,7;0,4,56]" ----

static bool inline_table(const struct ev_question *q, double **table, unsigned *categories, struct err *e) {
    size_t open = str_find(q->parameters, '[', 0), close = str_find(q->parameters, ']', open);
    if (close >= q->parameters.n) return ev_ask_lacks(q, "a table in brackets: [n,n;n,n]", e);
    struct str rest = str_sub(q->parameters, open + 1, close - open - 1);
    double *cells = arena_alloc(q->arena, (rest.n + 1) * sizeof *cells, e);
    unsigned rows = 0, count = 0;
    if (!cells) return false;
    while (rest.p) {
        struct str row = str_split(&rest, ';');
        count += ev_ask_numbers(row, cells + count, (unsigned)row.n);
        rows++;
    }
    if (rows < 2 || rows > EV_CATEGORIES_MAX || count != rows * rows)
        return err_set(e, ERR_BAD_INPUT, "evidence", "%u rows with %u numbers are no square table of ratings", rows, count);
    *table = cells;
    *categories = rows;
    return true;
}

static bool of_inline(const struct ev_question *q, enum ev_agreement_kind kind, double *value, struct err *e) {
    struct ev_agreement out;
    double *table = NULL, *w;
    unsigned n = 0;
    return inline_table(q, &table, &n, e) && weights_of(q, NULL, n, &w, e) && ev_agreement_table(kind, table, w, n, ev_ask_level(q->parameters), &out, e) &&
           field_of(q, &out, value, e);
}

// ---- columns of ratings ----

// "raters 2,3", "6 raters", names of columns, or all of them.
static bool raters_of(const struct ev_question *q, unsigned **columns, unsigned *count, struct err *e) {
    struct str text = q->parameters;
    *columns = arena_alloc(q->arena, ((size_t)q->data->columns + text.n + 1) * sizeof **columns, e);
    if (!*columns) return false;
    *count = ev_named_columns(q->data, text, *columns, (unsigned)text.n);
    if (*count >= 2) return true;
    unsigned all = ev_value_columns(q->data, *columns), named = 0;
    double *numbers = arena_alloc(q->arena, (text.n + 1) * sizeof *numbers, e), many = 0;
    if (!numbers) return false;
    for (size_t i = 0; i + 6 <= text.n && !named; i++) {
        if (!str_eq_nocase(str_sub(text, i, 5), STR_LIT("rater"))) continue;
        struct str rest = str_sub(text, i, str_find(text, ';', i) - i);
        named = ev_ask_numbers(rest, numbers, (unsigned)rest.n);
        if (!named && ev_ask_numbers(str_sub(text, 0, i), &many, 1) == 1 && many >= 2 && many < all) all = (unsigned)many;
    }
    unsigned *chosen = arena_alloc(q->arena, ((size_t)named + 1) * sizeof *chosen, e);
    if (!chosen) return false;
    for (unsigned i = 0; i < named; i++) {
        if (!(numbers[i] >= 1 && numbers[i] <= all)) return err_set(e, ERR_BAD_INPUT, "evidence", "rater %g: there are raters 1 to %u", numbers[i], all);
        chosen[i] = (*columns)[(unsigned)numbers[i] - 1];
    }
    *count = named ? named : all;
    if (named) *columns = chosen;
    return true;
}

static bool ratings_of(const struct ev_question *q, struct ev_ratings *out, struct err *e) {
    unsigned *columns, count;
    return raters_of(q, &columns, &count, e) && ev_ratings_read(q->arena, q->data, columns, count, out, e);
}

// Subjects that every rater rated.
static bool complete_ratings(const struct ev_question *q, struct ev_ratings *out, struct err *e) {
    struct ev_ratings all;
    if (!ratings_of(q, &all, e)) return false;
    unsigned *raters = arena_alloc(q->arena, all.raters * sizeof *raters, e);
    if (!raters) return false;
    for (unsigned j = 0; j < all.raters; j++) raters[j] = j;
    return ev_ratings_complete(q->arena, &all, raters, all.raters, out, e);
}

// Cohen and Scott: two raters, weights by the places of the categories that they used.
static bool of_two(const struct ev_question *q, enum ev_agreement_kind kind, double *value, struct err *e) {
    struct ev_ratings r;
    struct ev_agreement out;
    double *table, *w;
    if (!q->data) return of_inline(q, kind, value, e);
    if (!complete_ratings(q, &r, e)) return false;
    if (r.raters != 2) return err_set(e, ERR_BAD_INPUT, "evidence", "%.*s is of two raters; the row means %u", STR_FMT(q->statistic), r.raters);
    return ev_ratings_table(q->arena, &r, 0, 1, &table, e) && weights_of(q, NULL, r.categories, &w, e) &&
           ev_agreement_table(kind, table, w, r.categories, ev_ask_level(q->parameters), &out, e) && field_of(q, &out, value, e);
}

static bool of_many(const struct ev_question *q, enum ev_agreement_kind kind, double *value, struct err *e) {
    struct ev_ratings r;
    struct ev_agreement out;
    double *w;
    if (!q->data) return of_inline(q, kind, value, e);
    return ratings_of(q, &r, e) && weights_of(q, r.scores, r.categories, &w, e) &&
           ev_agreement_raters(q->arena, kind, &r, w, ev_ask_level(q->parameters), &out, e) && field_of(q, &out, value, e);
}

static bool cohen(const struct ev_question *q, double *value, struct err *e) {
    return of_two(q, EV_AGREE_COHEN, value, e);
}

static bool scott(const struct ev_question *q, double *value, struct err *e) {
    return of_two(q, EV_AGREE_SCOTT, value, e);
}

static bool gwet(const struct ev_question *q, double *value, struct err *e) {
    return of_many(q, EV_AGREE_GWET, value, e);
}

static bool brennan(const struct ev_question *q, double *value, struct err *e) {
    return of_many(q, EV_AGREE_BRENNAN, value, e);
}

static bool percent(const struct ev_question *q, double *value, struct err *e) {
    return of_many(q, EV_AGREE_PERCENT, value, e);
}

static bool conger(const struct ev_question *q, double *value, struct err *e) {
    return of_many(q, EV_AGREE_COHEN, value, e);
}

static bool fleiss_missing(const struct ev_question *q, double *value, struct err *e) {
    struct ev_question plain = *q;
    plain.statistic = STR_LIT("fleiss_kappa");
    if (str_ends(q->statistic, STR_LIT("_se"))) plain.statistic = STR_LIT("fleiss_kappa_se");
    return of_many(&plain, EV_AGREE_SCOTT, value, e);
}

static bool fleiss(const struct ev_question *q, double *value, struct err *e) {
    struct ev_ratings r;
    struct ev_agreement out;
    if (!q->data || weighting_of(q) != EV_WEIGHT_IDENTITY) return of_many(q, EV_AGREE_SCOTT, value, e);
    return complete_ratings(q, &r, e) && ev_fleiss(q->arena, &r, ev_ask_level(q->parameters), &out, NULL, e) && field_of(q, &out, value, e);
}

static bool fleiss_exact(const struct ev_question *q, double *value, struct err *e) {
    struct ev_ratings r;
    struct ev_agreement out;
    double *w;
    if (!q->data) return of_inline(q, EV_AGREE_COHEN, value, e);
    if (!complete_ratings(q, &r, e) || !weights_of(q, r.scores, r.categories, &w, e)) return false;
    if (!ev_agreement_raters(q->arena, EV_AGREE_COHEN, &r, w, 0.95, &out, e)) return false;
    *value = out.value;
    return true;
}

static bool fleiss_category(const struct ev_question *q, double *value, struct err *e) {
    struct ev_ratings r;
    struct ev_agreement out;
    struct str name = str_trim(q->parameters);
    double number, score;
    if (!q->data) return ev_ask_lacks(q, "a data set", e);
    ev_parameter(q, "category", &name);
    struct ev_question all = *q;
    all.parameters = (struct str){NULL, 0}; // the name of a category may hold anything
    if (!complete_ratings(&all, &r, e)) return false;
    double *by = arena_alloc(q->arena, r.categories * sizeof *by, e);
    if (!by || !ev_fleiss(q->arena, &r, 0.95, &out, by, e)) return false;
    for (unsigned k = 0; k < r.categories; k++) {
        bool same = str_eq_nocase(str_trim(r.names[k]), name) || (str_to_f64(name, &number) && str_to_f64(r.names[k], &score) && number == score);
        if (same) return *value = by[k], true;
    }
    return err_set(e, ERR_BAD_INPUT, "evidence", "there is no category '%.*s'", STR_FMT(name));
}

static bool light(const struct ev_question *q, double *value, struct err *e) {
    struct ev_ratings r;
    double *w;
    if (!q->data) return of_inline(q, EV_AGREE_COHEN, value, e);
    return complete_ratings(q, &r, e) && weights_of(q, NULL, r.categories, &w, e) && ev_light(q->arena, &r, w, value, e);
}

static bool krippendorff(const struct ev_question *q, double *value, struct err *e) {
    static const char *const LEVELS[] = {"nominal", "ordinal", "interval", "ratio"};
    struct ev_ratings r;
    struct ev_agreement out;
    struct str told;
    int level = -1;
    for (int i = 0; i < 4; i++)
        if (ev_ask_word(q->parameters, LEVELS[i])) level = i;
    // Weights by their names are Gwet's, the levels of measurement Krippendorff's.
    if (!q->data || ev_parameter(q, "weights", &told) || level < 0) return of_many(q, EV_AGREE_KRIPPENDORFF, value, e);
    return ratings_of(q, &r, e) && ev_krippendorff(q->arena, (enum ev_level)level, &r, ev_ask_level(q->parameters), &out, e) && field_of(q, &out, value, e);
}

// ---- measurements ----

static bool icc(const struct ev_question *q, double *value, struct err *e) {
    struct ev_icc_study s;
    enum ev_icc_form form = EV_ICC_COUNT;
    struct str told;
    unsigned *columns, count;
    double *values;
    size_t n;
    if (!q->data) return ev_ask_lacks(q, "a data set", e);
    for (unsigned i = 0; ev_piece(q, i).p && form == EV_ICC_COUNT; i++)
        if (!ev_icc_form_named(ev_piece(q, i), &form)) form = EV_ICC_COUNT;
    if (form == EV_ICC_COUNT && (!ev_parameter(q, "form", &told) || !ev_icc_form_named(told, &form))) return ev_ask_lacks(q, "a form, ICC(1,1) to ICC(3,k)", e);
    struct ev_question all = *q;
    if (!ev_holds(q->parameters, "rater")) all.parameters = (struct str){NULL, 0};
    if (!raters_of(&all, &columns, &count, e) || !ev_complete_rows(q->arena, q->data, columns, count, &values, &n, e)) return false;
    if (!ev_icc(values, n, count, ev_ask_level(q->parameters), &s, e)) return false;
    const struct ev_icc *f = &s.form[form];
    *value = str_ends(q->statistic, STR_LIT("_lo"))   ? f->lo
             : str_ends(q->statistic, STR_LIT("_hi")) ? f->hi
             : str_ends(q->statistic, STR_LIT("_p"))  ? f->p
             : str_ends(q->statistic, STR_LIT("_f"))  ? f->f
                                                      : f->value;
    return true;
}

// The two columns of a row: named there, named above it, or the first of each method.
static bool pair_of(const struct ev_question *q, unsigned pair[2], struct err *e) {
    unsigned named[64], n = ev_named_columns(q->data, q->parameters, named, 64);
    if (n < 2) n = ev_named_columns(q->data, q->earlier, named, 64);
    if (n < 2) return ev_default_pair(q->data, pair, e);
    pair[0] = named[0];
    pair[1] = named[1];
    return true;
}

// Within-subject spread of one method, whose name or replicates the row gives.
static bool within_subject(const struct ev_question *q, double *value, struct err *e) {
    struct ev_repeatability r;
    unsigned *columns = arena_alloc(q->arena, (q->parameters.n + q->data->columns + 1) * sizeof *columns, e);
    if (!columns) return false;
    unsigned n = ev_named_columns(q->data, q->parameters, columns, (unsigned)q->parameters.n);
    for (unsigned j = 0; j < q->data->columns && n < 2; j++) {
        struct str method = ev_method_of(q->data->names[j]);
        char *word = arena_strz(q->arena, method, e);
        if (!word) return false;
        if (ev_is_identifier(q->data->names[j]) || !ev_ask_word(q->parameters, word)) continue;
        n = 0;
        for (unsigned k = j; k < q->data->columns; k++)
            if (str_eq_nocase(ev_method_of(q->data->names[k]), method)) columns[n++] = k;
    }
    if (n < 2) return ev_ask_lacks(q, "a method with two columns of replicates", e);
    double *values = arena_alloc(q->arena, q->data->rows * n * sizeof *values, e);
    uint32_t *subject = values ? arena_alloc(q->arena, q->data->rows * n * sizeof *subject, e) : NULL;
    if (!subject) return false;
    for (size_t i = 0; i < q->data->rows * n; i++) {
        subject[i] = (uint32_t)(i / n);
        if (!csv_number(q->data, i / n, columns[i % n], &values[i], e)) return false;
    }
    if (!ev_repeatability(q->arena, values, subject, q->data->rows * n, q->data->rows, ev_ask_level(q->parameters), &r, e)) return false;
    // Bland and Altman's coefficient takes 2 where others take 1.96.
    bool two = ev_holds(q->parameters, "2*sd") || ev_holds(q->parameters, "2 sd") || ev_holds(q->parameters, "2sd");
    bool coefficient = ev_holds(q->parameters, "repeatability") || ev_ask_word(q->parameters, "rc");
    *value = ev_holds(q->parameters, "cv") ? r.wcv : !coefficient ? r.wsd : two ? 2 * sqrt(2) * r.wsd : r.rc;
    return true;
}

static bool bland_altman(const struct ev_question *q, double *value, struct err *e) {
    struct ev_bland_altman b;
    struct str text = q->parameters;
    unsigned pair[2];
    double *x, *y, multiplier = 1.96;
    size_t n;
    if (!q->data) return ev_ask_lacks(q, "a data set", e);
    if (ev_holds(text, "within") || ev_holds(text, "repeatability") || ev_ask_word(text, "wsd") || ev_ask_word(text, "rc")) return within_subject(q, value, e);
    if (!ev_ask_number(text, "loa_lo", &multiplier) && !ev_ask_number(text, "loa_hi", &multiplier)) ev_ask_number(text, "multiplier", &multiplier);
    if (!pair_of(q, pair, e) || !ev_complete_pair(q->arena, q->data, pair, &x, &y, &n, e) || !ev_bland_altman(x, y, n, multiplier, ev_ask_level(text), &b, e))
        return false;
    bool lo = ev_holds(text, "ci_lo") || ev_holds(text, "ci lo"), hi = ev_holds(text, "ci_hi") || ev_holds(text, "ci hi"), se = ev_ask_word(text, "se");
    if (ev_holds(text, "loa_lo"))
        *value = lo ? b.loa_lo_lo : hi ? b.loa_lo_hi : b.loa_lo;
    else if (ev_holds(text, "loa_hi"))
        *value = lo ? b.loa_hi_lo : hi ? b.loa_hi_hi : b.loa_hi;
    else if (ev_holds(text, "sd_diff") || ev_ask_word(text, "sd"))
        *value = b.sd;
    else if (ev_holds(text, "slope"))
        *value = b.slope;
    else if (se || ev_holds(text, "se_diff"))
        *value = b.bias_se;
    else if (ev_holds(text, "mean_diff") || ev_holds(text, "bias") || ev_holds(text, "mean diff"))
        *value = lo ? b.bias_lo : hi ? b.bias_hi : b.bias;
    else
        return ev_ask_lacks(q, "what is asked: mean_diff, sd_diff, loa_lo, loa_hi, within-subject sd or repeatability", e);
    return true;
}

static bool lin(const struct ev_question *q, double *value, struct err *e) {
    struct ev_concordance c;
    struct str text = q->parameters;
    unsigned pair[2];
    double *x, *y;
    size_t n;
    if (!q->data) return ev_ask_lacks(q, "a data set", e);
    if (!pair_of(q, pair, e) || !ev_complete_pair(q->arena, q->data, pair, &x, &y, &n, e) || !ev_concordance(x, y, n, ev_ask_level(text), &c, e)) return false;
    bool plain = ev_holds(text, "asymptotic");
    if (ev_holds(text, "scale"))
        *value = c.scale_shift;
    else if (ev_holds(text, "location"))
        *value = c.location_shift;
    else if (ev_holds(text, "C.b") || ev_holds(text, "bias correction") || ev_holds(text, "accuracy"))
        *value = c.bias_correction;
    else if (ev_holds(text, "pearson") || ev_holds(text, "precision") || ev_ask_word(text, "rho"))
        *value = c.pearson;
    else if (ev_ask_word(text, "lo") || ev_holds(text, "ci_lo"))
        *value = plain ? c.plain_lo : c.lo;
    else if (ev_ask_word(text, "hi") || ev_holds(text, "ci_hi"))
        *value = plain ? c.plain_hi : c.hi;
    else
        *value = ev_ask_word(text, "se") ? c.se : c.ccc;
    return true;
}

const struct ev_statistic EV_STATISTICS_AGREEMENT[] = {
    {"cohen_kappa*", cohen},
    {"scott_pi*", scott},
    {"gwet_ac*", gwet},
    {"brennan_prediger*", brennan},
    {"percent_agreement*", percent},
    {"conger_kappa*", conger},
    {"fleiss_exact_conger", fleiss_exact},
    {"fleiss_kappa_by_category", fleiss_category},
    {"fleiss_kappa_missing", fleiss_missing},
    {"fleiss_kappa_missing_se", fleiss_missing},
    {"fleiss_kappa*", fleiss},
    {"light_kappa", light},
    {"krippendorff*", krippendorff},
    {"icc", icc},
    {"icc_*", icc},
    {"bland_altman", bland_altman},
    {"lin_ccc", lin},
    {0},
};
