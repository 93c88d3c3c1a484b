// What the words of a row of reference values ask of a reader study.
#include "mod/evidence/question.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "mod/evidence/factor.h"

struct words {
    const struct ev_question *q;
    const struct str *treatment, *reader;
    unsigned treatments, readers;
    struct ev_asked *out;
};

// A modality by its name, by "trt" and its name, by a letter for its place, or by the one name that ends so.
static int treatment_named(const struct words *w, struct str x) {
    int at = ev_factor_find(w->treatment, w->treatments, x);
    if (at >= 0 || x.n == 0) return at;
    if (x.n > 3 && str_eq_nocase(str_sub(x, 0, 3), STR_LIT("trt"))) at = ev_factor_find(w->treatment, w->treatments, str_sub(x, 3, x.n));
    if (at >= 0) return at;
    unsigned found = 0;
    for (unsigned i = 0; i < w->treatments; i++) {
        if (!str_ends(w->treatment[i], x)) continue;
        at = (int)i;
        found++;
    }
    if (found == 1) return at;
    return x.n == 1 && x.p[0] >= 'A' && (unsigned)(x.p[0] - 'A') < w->treatments ? x.p[0] - 'A' : -1;
}

// "1-2", "BT-DM", "A.B", "AB": two modalities.
static bool two_treatments(const struct words *w, struct str x, int *i, int *k) {
    for (size_t c = 1; c + 1 < x.n; c++) {
        if (!strchr("-./,", x.p[c])) continue;
        *i = treatment_named(w, str_sub(x, 0, c));
        *k = treatment_named(w, str_sub(x, c + 1, x.n));
        if (*i >= 0 && *k >= 0) return true;
    }
    if (x.n != 2 || !isupper((unsigned char)x.p[0]) || !isupper((unsigned char)x.p[1])) return false;
    *i = treatment_named(w, str_sub(x, 0, 1));
    *k = treatment_named(w, str_sub(x, 1, 1));
    return *i >= 0 && *k >= 0 && *i != *k;
}

static bool take_treatment(const struct words *w, struct str x) {
    int i, k;
    if (w->out->treatment >= 0) return false;
    if (ev_factor_find(w->treatment, w->treatments, x) < 0 && two_treatments(w, x, &i, &k)) {
        w->out->treatment = i;
        w->out->other = k;
        return w->out->difference = true;
    }
    w->out->treatment = treatment_named(w, x);
    return w->out->treatment >= 0;
}

static bool take_reader(const struct words *w, struct str x) {
    static const char *const BEFORE[] = {"reader", "rdr"};
    int at = ev_factor_find(w->reader, w->readers, x);
    for (unsigned i = 0; at < 0 && i < 2; i++) {
        struct str before = str_of(BEFORE[i]);
        if (x.n > before.n && str_eq_nocase(str_sub(x, 0, before.n), before)) at = ev_factor_find(w->reader, w->readers, str_sub(x, before.n, x.n));
    }
    if (at >= 0) w->out->reader = at;
    return at >= 0;
}

static bool is_key(struct str key, const char *const *names) {
    for (; *names; names++)
        if (str_eq_nocase(key, str_of(*names))) return true;
    return false;
}

static bool take_pair(const struct words *w, struct str key, struct str value, struct err *e) {
    static const char *const MODALITY[] = {"mod", "modality", "modalityID", "treatment", "trt", "test", NULL}, *const READER[] = {"reader", "rdr", "readerID",
                                                                                                                                  NULL};
    double x;
    if (is_key(key, MODALITY)) {
        w->out->treatment = -1;
        return take_treatment(w, value) || err_set(e, ERR_BAD_INPUT, "evidence", "the data has no modality \"%.*s\"", STR_FMT(value));
    }
    if (is_key(key, READER)) {
        w->out->reader = ev_factor_find(w->reader, w->readers, value);
        return w->out->reader >= 0 || take_reader(w, value) || err_set(e, ERR_BAD_INPUT, "evidence", "the data has no reader \"%.*s\"", STR_FMT(value));
    }
    if (str_eq_nocase(key, STR_LIT("level")) && str_to_f64(value, &x)) w->out->level = x > 1 ? x / 100 : x;
    if (str_eq_nocase(key, STR_LIT("alpha")) && str_to_f64(value, &x)) w->out->level = 1 - x;
    return true;
}

// Words that are names go to their places, the others make the quantity.
static void take_word(const struct words *w, struct str x) {
    struct ev_asked *out = w->out;
    if (str_eq_nocase(x, STR_LIT("diff")) || str_eq_nocase(x, STR_LIT("difference")) || str_eq_nocase(x, STR_LIT("delta"))) {
        out->difference = true;
        return;
    }
    if (take_reader(w, x)) return;
    bool one_letter = x.n == 1 && strchr("FNDRTPZfndrtpz", x.p[0]); // of a quantity rather than of a place, unless it is a name
    if ((!one_letter || ev_factor_find(w->treatment, w->treatments, x) >= 0) && take_treatment(w, x)) return;
    size_t n = strlen(out->quantity);
    for (size_t i = 0; i < x.n && n + 1 < sizeof out->quantity; i++)
        if (isalnum((unsigned char)x.p[i]) || x.p[i] == '+') out->quantity[n++] = (char)tolower((unsigned char)x.p[i]);
    out->quantity[n] = 0;
}

static bool each_word(const struct words *w, bool pairs, struct err *e) {
    struct str rest = w->q->parameters;
    while (rest.p) {
        struct str piece = str_trim(str_split(&rest, ';'));
        size_t eq = str_find(piece, '=', 0);
        if (eq < piece.n) {
            if (pairs && !take_pair(w, str_trim(str_sub(piece, 0, eq)), str_trim(str_sub(piece, eq + 1, piece.n)), e)) return false;
            continue;
        }
        while (!pairs && piece.p) {
            struct str word = str_trim(str_split(&piece, ' '));
            if (word.n) take_word(w, word);
        }
    }
    return true;
}

bool ev_asked_of(const struct ev_question *q, const struct str *treatment, unsigned treatments, const struct str *reader, unsigned readers,
                 struct ev_asked *out, struct err *e) {
    *out = (struct ev_asked){.treatment = -1, .other = -1, .reader = -1, .level = 0.95};
    struct words w = {q, treatment, reader, treatments, readers, out};
    if (!each_word(&w, true, e) || !each_word(&w, false, e)) return false;
    if (!(out->level > 0 && out->level < 1)) return err_set(e, ERR_BAD_INPUT, "evidence", "a confidence level lies between 0 and 1");
    if (out->difference && out->treatment < 0) {
        out->treatment = 0;
        out->other = 1;
    }
    if (out->difference && (unsigned)out->other >= treatments) return err_set(e, ERR_BAD_INPUT, "evidence", "a difference needs two modalities: there is one");
    return true;
}

static bool has_word(struct str text, const char *word) {
    struct str w = str_of(word);
    for (size_t i = 0; i + w.n <= text.n; i++)
        if (str_eq_nocase(str_sub(text, i, w.n), w)) return true;
    return false;
}

enum ev_generalise ev_generalise_of(const struct ev_question *q) {
    if (has_word(q->statistic, "FRRC") || has_word(q->parameters, "FRRC")) return EV_FRRC;
    if (has_word(q->statistic, "RRFC") || has_word(q->parameters, "RRFC")) return EV_RRFC;
    return EV_RRRC;
}

static bool is_one_of(const char *word, const char *list) {
    size_t n = strlen(word);
    for (const char *at = list; n && (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0)) return true;
    return false;
}

static bool of_estimate(const struct ev_estimate *x, const char *what, double *value) {
    if (!*what ||
        is_one_of(what, "auc mean meanauc avg estimate theta fom sens spec meansens meanspec sensitivity specificity meansensitivity meanspecificity"))
        *value = x->value;
    else if (is_one_of(what, "se stderr stderror std"))
        *value = x->se;
    else if (is_one_of(what, "var variance"))
        *value = x->se * x->se;
    else if (is_one_of(what, "t z tstat zstat stat statistic"))
        *value = x->statistic;
    else if (is_one_of(what, "df ddf"))
        *value = x->df;
    else if (is_one_of(what, "p pvalue pval"))
        *value = x->p;
    else if (is_one_of(what, "cilo cilow cilower lo lower lcl ci95lo"))
        *value = x->lo;
    else if (is_one_of(what, "cihi cihigh ciupper hi upper ucl ci95hi"))
        *value = x->hi;
    else
        return false;
    return true;
}

static bool of_reader(const struct ev_or *o, const struct ev_asked *a, double *value) {
    unsigned j = (unsigned)a->reader;
    if (is_one_of(a->quantity, "var varerror error")) return *value = o->reader_var[j], true;
    if (is_one_of(a->quantity, "cov1")) return *value = o->reader_cov1[j], true;
    bool single = (a->treatment >= 0 && !a->difference) || o->merit->treatments == 1;
    struct ev_estimate x =
        single ? ev_or_reader(o, j, a->treatment >= 0 ? (unsigned)a->treatment : 0, a->level)
               : ev_or_reader_difference(o, j, a->treatment >= 0 ? (unsigned)a->treatment : 0, a->other >= 0 ? (unsigned)a->other : 1, a->level);
    return of_estimate(&x, a->quantity, value);
}

static bool of_treatment(const struct ev_or *o, enum ev_generalise g, const struct ev_asked *a, double *value) {
    unsigned i = a->treatment >= 0 ? (unsigned)a->treatment : 0;
    if (is_one_of(a->quantity, "msr")) return *value = o->treatment_ms_r[i], true;
    if (is_one_of(a->quantity, "cov2")) return *value = o->treatment_cov2[i], true;
    if (is_one_of(a->quantity, "var varerror error")) return *value = o->treatment_var[i], true;
    struct ev_estimate x = ev_or_treatment(o, g, i, a->level);
    return of_estimate(&x, a->quantity, value);
}

static bool of_components(const struct ev_or *o, const char *what, bool constrained, double *value) {
    double raise = constrained && o->cov2 < o->cov3 ? o->cov3 - o->cov2 : 0, t = o->merit->treatments;
    const struct {
        const char *names;
        double value;
    } table[] = {
        {"mst", o->ms_t},
        {"msr", o->ms_r},
        {"mstr msrt", o->ms_tr},
        {"varr", o->var_r - raise / t},
        {"vartr varrt", o->var_tr + raise},
        {"varerror error var vareps varerr errorvar", o->var_error},
        {"cov1", o->cov1},
        {"cov2", o->cov2},
        {"cov3", o->cov3},
        {"rho1 r1 corr1", o->cov1 / o->var_error},
        {"rho2 r2 corr2", o->cov2 / o->var_error},
        {"rho3 r3 corr3", o->cov3 / o->var_error},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (is_one_of(what, table[i].names)) return *value = table[i].value, true;
    return false;
}

static bool of_equality(const struct ev_or *o, enum ev_generalise g, const char *what, double *value) {
    struct ev_or_test x = ev_or_equality(o, g);
    if (is_one_of(what, "f fstat fvalue"))
        *value = g == EV_FRRC ? x.statistic / x.df1 : x.statistic;
    else if (g == EV_FRRC && is_one_of(what, "chi2 x2 chisq chisquare"))
        *value = x.statistic;
    else if (is_one_of(what, "df1 ndf") || (g == EV_FRRC && is_one_of(what, "df")))
        *value = x.df1;
    else if (is_one_of(what, "df2 ddf df"))
        *value = x.df2;
    else if (is_one_of(what, "p pvalue pval"))
        *value = x.p;
    else if (is_one_of(what, "denominator den denom msden"))
        *value = x.denominator;
    else
        return false;
    return true;
}

bool ev_or_answer(const struct ev_or *o, enum ev_generalise g, const struct ev_asked *a, bool constrained, double *value, struct err *e) {
    bool found, one = o->merit->treatments == 1;
    if (a->reader >= 0) {
        found = of_reader(o, a, value);
    } else if (a->treatment >= 0 && !a->difference) {
        found = of_treatment(o, g, a, value);
    } else {
        found = !a->difference && (of_components(o, a->quantity, constrained, value) || (!one && of_equality(o, g, a->quantity, value)));
        if (!found && one) found = of_treatment(o, g, a, value);
        if (!found && !one) {
            struct ev_estimate x = ev_or_difference(o, g, a->treatment >= 0 ? (unsigned)a->treatment : 0, a->other >= 0 ? (unsigned)a->other : 1, a->level);
            found = of_estimate(&x, a->quantity, value);
        }
    }
    return found || err_set(e, ERR_UNSUPPORTED, "evidence", "\"%s\" is no quantity of this analysis", a->quantity);
}

// J=, K=, effect=, power=: what a plan is asked; a number that is not told keeps its fallback.
static bool number_or(const struct ev_question *q, const char *key, double fallback, double *out, struct err *e) {
    struct str text;
    *out = fallback;
    return !ev_parameter(q, key, &text) || ev_parameter_number(q, key, out, e);
}

bool ev_power_answer(const struct ev_question *q, const struct ev_or *o, double *value, struct err *e) {
    double j, k, effect, alpha, power;
    struct ev_asked a;
    struct ev_or_plan plan = ev_or_plan_of(o);
    enum ev_generalise g = ev_generalise_of(q);
    if (!ev_asked_of(q, NULL, 0, NULL, 0, &a, e) || !number_or(q, "J", o->merit->readers, &j, e) || !number_or(q, "K", o->merit->cases, &k, e) ||
        !number_or(q, "effect", o->treatment_mean[0] - o->treatment_mean[o->merit->treatments > 1], &effect, e) || !number_or(q, "alpha", 0.05, &alpha, e) ||
        !number_or(q, "power", 0.8, &power, e))
        return false;
    struct ev_power x = ev_or_power(&plan, g, j, k, effect, alpha);
    struct str what = str_of(a.quantity);
    if (has_word(what, "ncp"))
        *value = x.ncp;
    else if (has_word(what, "ddf") || has_word(what, "df2"))
        *value = x.df2;
    else if (has_word(what, "cases"))
        *value = ev_or_cases(&plan, g, j, effect, alpha, power);
    else if (has_word(what, "readers"))
        *value = ev_or_readers(&plan, g, k, effect, alpha, power);
    else if (has_word(what, "power"))
        *value = x.power;
    else if (has_word(what, "f"))
        *value = x.critical;
    else
        return err_set(e, ERR_UNSUPPORTED, "evidence", "\"%s\" is no quantity of a power analysis: power, ncp, ddf, F, cases, readers", a.quantity);
    return true;
}
