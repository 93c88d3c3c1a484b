// Reference rows of ROC analysis: areas, DeLong's tests, partial areas, operating points, power.
#include <math.h>
#include <string.h>

#include "mod/evidence/ask.h"
#include "mod/evidence/power.h"

static bool unknown(const struct ev_question *q, struct err *e) {
    return err_set(e, ERR_UNSUPPORTED, "evidence", "%.*s: there is no such value of a ROC analysis", STR_FMT(q->statistic));
}

// What the row says of its numbers of cases must hold for the cases that were found.
static bool counts_agree(const struct ev_question *q, const struct ev_cases *c, struct err *e) {
    double n;
    const struct {
        const char *word;
        double found;
    } said[] = {{"n0", c->n0}, {"n1", c->n1}};
    for (size_t i = 0; i < 2; i++)
        if (ev_ask_number(q->parameters, said[i].word, &n) && n != said[i].found)
            return err_set(e, ERR_BAD_INPUT, "evidence", "the row says %s=%g, the data have %g", said[i].word, n, said[i].found);
    return true;
}

static bool one_test(const struct ev_question *q, struct ev_cases *c, struct ev_placements *p, struct err *e) {
    if (!ev_ask_cases(q, NULL, 0, c, e) || !counts_agree(q, c, e)) return false;
    struct ev_roc_data d = {c->score[0], c->positive, c->n};
    return ev_placements(q->arena, &d, p, e);
}

static bool auc(const struct ev_question *q, double *value, struct err *e) {
    struct ev_cases c;
    struct ev_placements p;
    if (!one_test(q, &c, &p, e)) return false;
    *value = p.auc;
    return true;
}

static bool unbiased_variance(const struct ev_question *q, double *value, struct err *e) {
    struct ev_cases c;
    struct ev_placements p;
    if (!one_test(q, &c, &p, e)) return false;
    *value = ev_auc_variance_unbiased(&p);
    return true;
}

static bool hanley_mcneil(const struct ev_question *q, double *value, struct err *e) {
    struct ev_cases c;
    struct ev_placements p;
    if (!one_test(q, &c, &p, e)) return false;
    double se = ev_hanley_mcneil_se(p.auc, c.n1, c.n0);
    *value = str_ends(q->statistic, STR_LIT("var")) ? se * se : se;
    return true;
}

// "y=0 0 1;p=.2 .3 .9"
static bool inline_auc(const struct ev_question *q, double *value, struct err *e) {
    struct str ys, ps;
    if (!ev_parameter(q, "y", &ys) || !ev_parameter(q, "p", &ps)) return ev_ask_lacks(q, "y=... or p=...", e);
    unsigned max = (unsigned)(ys.n / 2 + 1), k = (unsigned)(ps.n / 2 + 1);
    double *y = arena_alloc(q->arena, max * sizeof(double), e), *p = y ? arena_alloc(q->arena, k * sizeof(double), e) : NULL;
    uint8_t *positive = p ? arena_alloc(q->arena, max, e) : NULL;
    if (!positive) return false;
    unsigned n = ev_ask_numbers(ys, y, max);
    if (ev_ask_numbers(ps, p, k) != n) return err_set(e, ERR_BAD_INPUT, "evidence", "y and p have different numbers of values");
    for (unsigned i = 0; i < n; i++) positive[i] = y[i] > 0;
    struct ev_roc_data d = {p, positive, n};
    struct ev_placements placed;
    if (!ev_placements(q->arena, &d, &placed, e)) return false;
    *value = placed.auc;
    return true;
}

static bool delong_of(const struct ev_question *q, const struct str *names, unsigned tests, struct ev_delong *d, struct err *e) {
    struct ev_cases c;
    if (!ev_ask_cases(q, names, tests, &c, e) || !counts_agree(q, &c, e)) return false;
    return ev_delong(q->arena, c.tests, c.score, c.positive, c.n, d, e);
}

// delong_ci95_lo: the level stands in the name.
static double level_of(const struct ev_question *q) {
    double level;
    for (size_t i = 0; i + 4 <= q->statistic.n; i++) {
        if (memcmp(q->statistic.p + i, "_ci", 3) != 0) continue;
        struct str digits = str_sub(q->statistic, i + 3, 2);
        if (str_to_f64(digits, &level) && level > 50) return level / 100;
    }
    return ev_ask_level(q->parameters);
}

static bool delong_single(const struct ev_question *q, double *value, struct err *e) {
    struct ev_delong d;
    struct str name = str_sub(q->statistic, sizeof "delong_" - 1, q->statistic.n);
    if (!delong_of(q, NULL, 0, &d, e)) return false;
    bool logit = ev_ask_word(q->parameters, "logit");
    struct ev_auc x = ev_auc_of(d.auc[0], d.covariance[0], logit ? EV_AUC_LOGIT : EV_AUC_WALD, level_of(q));
    if (str_eqz(name, "var"))
        *value = d.covariance[0];
    else if (str_eqz(name, "se"))
        *value = x.se;
    else if (str_starts(name, STR_LIT("ci")) && str_ends(name, STR_LIT("_lo")))
        *value = x.lo;
    else if (str_starts(name, STR_LIT("ci")) && str_ends(name, STR_LIT("_hi")))
        *value = x.hi;
    else
        return unknown(q, e);
    return true;
}

static bool delong_covariance(const struct ev_question *q, double *value, struct err *e) {
    struct ev_delong d;
    struct str pair[2];
    if (!ev_ask_pair(q, pair, e) || !delong_of(q, pair, 2, &d, e)) return false;
    *value = d.covariance[1];
    return true;
}

static bool value_of_test(const struct ev_question *q, size_t prefix, const struct ev_auc_test *t, double *value, struct err *e) {
    struct str name = str_sub(q->statistic, prefix, q->statistic.n);
    const struct {
        const char *name;
        double value;
    } of[] = {{"Z", t->statistic},
              {"D", t->statistic},
              {"statistic", t->statistic},
              {"p", t->p},
              {"diff", t->difference},
              {"difference", t->difference},
              {"diff_ci_lo", t->lo},
              {"diff_ci_hi", t->hi},
              {"ci_lo", t->lo},
              {"ci_hi", t->hi},
              {"se", t->se},
              {"diff_se", t->se},
              {"diff_var", t->se * t->se},
              {"df_welch", t->df},
              {"df", t->df}};
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
        if (str_eqz(name, of[i].name)) {
            *value = of[i].value;
            return true;
        }
    return unknown(q, e);
}

static bool delong_paired(const struct ev_question *q, double *value, struct err *e) {
    struct ev_delong d;
    struct str pair[2];
    if (!ev_ask_pair(q, pair, e) || !delong_of(q, pair, 2, &d, e)) return false;
    struct ev_auc_test t = ev_auc_paired(&d, 0, 1, level_of(q));
    return value_of_test(q, sizeof "delong_paired_" - 1, &t, value, e);
}

// The two columns as if other cases had them: each with all cases that have it.
static bool delong_unpaired(const struct ev_question *q, double *value, struct err *e) {
    struct ev_delong x, y;
    struct str pair[2];
    if (!ev_ask_pair(q, pair, e) || !delong_of(q, pair, 1, &x, e) || !delong_of(q, pair + 1, 1, &y, e)) return false;
    struct ev_auc_test t = ev_auc_unpaired(x.auc[0], x.covariance[0], x.n0 + x.n1, y.auc[0], y.covariance[0], y.n0 + y.n1, level_of(q));
    return value_of_test(q, sizeof "delong_unpaired_" - 1, &t, value, e);
}

static bool curve_of(const struct ev_question *q, struct ev_cases *c, struct ev_roc_curve *curve, struct err *e) {
    if (!ev_ask_cases(q, NULL, 0, c, e) || !counts_agree(q, c, e)) return false;
    struct ev_roc_data d = {c->score[0], c->positive, c->n};
    return ev_roc_curve(q->arena, &d, curve, e);
}

static bool partial(const struct ev_question *q, double *value, struct err *e) {
    struct ev_cases c;
    struct ev_roc_curve curve;
    struct str focus = STR_LIT("sp"), range;
    double ends[2];
    if (!curve_of(q, &c, &curve, e)) return false;
    ev_parameter(q, "focus", &focus);
    if (!ev_parameter(q, "range", &range) || ev_ask_numbers(range, ends, 2) != 2) return ev_ask_lacks(q, "range=FROM-TO", e);
    bool corrected = str_eqz(q->statistic, "partial_auc_mcclish_corrected") || ev_ask_word(q->parameters, "corrected");
    enum ev_focus of = str_starts(focus, STR_LIT("se")) ? EV_SENSITIVITY_FOCUS : EV_SPECIFICITY_FOCUS;
    *value = ev_roc_partial(&curve, of, fmin(ends[0], ends[1]), fmax(ends[0], ends[1]), corrected);
    return true;
}

static bool youden(const struct ev_question *q, double *value, struct err *e) {
    struct ev_cases c;
    struct ev_roc_curve r;
    if (!curve_of(q, &c, &r, e)) return false;
    bool closest = ev_ask_word(q->parameters, "closest.topleft") || ev_ask_word(q->parameters, "closest");
    size_t at = ev_roc_best(&r, closest ? EV_BEST_CLOSEST : EV_BEST_YOUDEN, 1, NULL);
    double tp = r.tp[at], fp = r.fp[at], fn = c.n1 - tp, tn = c.n0 - fp;
    const struct {
        const char *name;
        double value;
    } of[] = {{"threshold", c.turned[0] ? -r.threshold[at] : r.threshold[at]},
              {"specificity", tn / c.n0},
              {"sensitivity", tp / c.n1},
              {"npv", tn / (tn + fn)},
              {"ppv", tp / (tp + fp)},
              {"accuracy", (tp + tn) / (c.n0 + c.n1)},
              {"youden", tp / c.n1 + tn / c.n0},
              {"tp", tp},
              {"fp", fp},
              {"fn", fn},
              {"tn", tn},
              {"precision", tp / (tp + fp)},
              {"recall", tp / c.n1},
              {"tpr", tp / c.n1},
              {"fpr", fp / c.n0},
              {"tnr", tn / c.n0},
              {"fnr", fn / c.n1},
              {"fdr", fp / (tp + fp)},
              {"closest.topleft", fn / c.n1 * (fn / c.n1) + fp / c.n0 * (fp / c.n0)}};
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
        if (ev_has_word(q, of[i].name)) {
            *value = of[i].value;
            return true;
        }
    return ev_ask_lacks(q, "the value of the best point that is asked (threshold, sensitivity, ...)", e);
}

static bool at_fixed(const struct ev_question *q, double *value, struct err *e) {
    struct ev_cases c;
    struct ev_roc_curve curve;
    double at;
    bool sensitivity = str_starts(q->statistic, STR_LIT("sensitivity")) || str_starts(q->statistic, STR_LIT("se_"));
    if (!curve_of(q, &c, &curve, e)) return false;
    if (!ev_ask_number(q->parameters, sensitivity ? "specificity" : "sensitivity", &at) && !ev_ask_number(q->parameters, sensitivity ? "sp" : "se", &at))
        return ev_ask_lacks(q, sensitivity ? "specificity=" : "sensitivity=", e);
    *value = sensitivity ? ev_roc_sensitivity_at(&curve, at) : ev_roc_specificity_at(&curve, at);
    return true;
}

enum target { TARGET_POWER, TARGET_CASES, TARGET_CONTROLS, TARGET_ALPHA, TARGET_AUC, TARGET_NONE };

struct study {
    enum target target;
    double power, alpha, n1, ratio; // NaN: not said
    int sides;
    struct ev_effect effect;
};

static enum target target_of(struct str p) {
    static const struct {
        const char *word;
        enum target target;
    } WORDS[] = {{"ncases", TARGET_CASES}, {"ncontrols", TARGET_CONTROLS}, {"sig.level", TARGET_ALPHA},
                 {"alpha", TARGET_ALPHA},  {"power", TARGET_POWER},        {"auc", TARGET_AUC}};
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
        if (ev_ask_bare(p, WORDS[i].word)) return WORDS[i].target;
    return TARGET_NONE;
}

static bool number_of_either(struct str p, const char *one, const char *other, double *out) {
    return ev_ask_number(p, one, out) || ev_ask_number(p, other, out);
}

static struct study study_of(struct str p) {
    struct study s = {.target = target_of(p), .power = NAN, .alpha = 0.05, .n1 = NAN, .ratio = NAN, .sides = 2};
    double n0 = NAN;
    ev_ask_number(p, "power", &s.power);
    number_of_either(p, "sig.level", "alpha", &s.alpha);
    number_of_either(p, "n1", "ncases", &s.n1);
    number_of_either(p, "n0", "ncontrols", &n0);
    if (!ev_ask_number(p, "kappa", &s.ratio)) s.ratio = n0 / s.n1;
    if (ev_ask_word(p, "one.sided") || ev_ask_word(p, "one-sided")) s.sides = 1;
    return s;
}

static void take_counts(struct study *s, double n1, double n0) {
    if (isnan(s->n1)) s->n1 = n1;
    if (isnan(s->ratio)) s->ratio = n0 / n1;
}

// The variance of Obuchowski and McClish, with the curves fitted to the study's.
static bool obuchowski_effect(const struct ev_question *q, const struct ev_cases *c, double difference, struct study *s, struct err *e) {
    struct ev_binormal fitted[2];
    for (unsigned t = 0; t < 2; t++) {
        struct ev_roc_curve curve;
        if (!ev_roc_curve(q->arena, &(struct ev_roc_data){c->score[t], c->positive, c->n}, &curve, e)) return false;
        fitted[t] = ev_binormal_fitted(&curve);
        if (isnan(fitted[t].b)) return err_set(e, ERR_BAD_INPUT, "evidence", "a curve has too few points to fit a binormal one to it");
    }
    double r1 = ev_correlation_within(c->score[0], c->score[1], c->positive, c->n, 1),
           r0 = ev_correlation_within(c->score[0], c->score[1], c->positive, c->n, 0);
    s->effect = ev_effect_binormal(&fitted[0], &fitted[1], difference, r1, r0, s->ratio, s->sides);
    return true;
}

static bool pair_effect(const struct ev_question *q, struct study *s, struct err *e) {
    struct str pair[2];
    struct ev_cases c;
    struct ev_delong d;
    if (!ev_ask_pair(q, pair, e) || !ev_ask_cases(q, pair, 2, &c, e) || !ev_delong(q->arena, 2, c.score, c.positive, c.n, &d, e)) return false;
    take_counts(s, c.n1, c.n0);
    s->effect = ev_effect_delong(&d, 0, 1, s->sides);
    return !ev_ask_word(q->parameters, "obuchowski") || obuchowski_effect(q, &c, d.auc[0] - d.auc[1], s, e);
}

// "A1=2.6;B1=1;A2=1.9;B2=1;rn=.6;ra=.6;FPR11=0;FPR12=.2;FPR21=0;FPR22=.2;delta=.037"
static bool binormal_effect(struct str p, struct study *s) {
    struct ev_binormal x = {.from = 0, .to = 1}, y = {.from = 0, .to = 1};
    double rn = 0, ra = 0, delta, one, other;
    if (!ev_ask_number(p, "A1", &x.a) || !ev_ask_number(p, "B1", &x.b) || !ev_ask_number(p, "A2", &y.a) || !ev_ask_number(p, "B2", &y.b)) return false;
    ev_ask_number(p, "rn", &rn);
    ev_ask_number(p, "ra", &ra);
    if (ev_ask_number(p, "FPR11", &one) && ev_ask_number(p, "FPR12", &other)) {
        x.from = fmin(one, other);
        x.to = fmax(one, other);
    }
    if (ev_ask_number(p, "FPR21", &one) && ev_ask_number(p, "FPR22", &other)) {
        y.from = fmin(one, other);
        y.to = fmax(one, other);
    }
    if (!ev_ask_number(p, "delta", &delta)) delta = ev_binormal_area(&x) - ev_binormal_area(&y);
    if (isnan(s->ratio)) s->ratio = 1;
    s->effect = ev_effect_binormal(&x, &y, delta, ra, rn, s->ratio, s->sides);
    return true;
}

// "auc=.8", "auc=s100b obs" (the area of that column), or predictor=s100b.
static bool single_effect(const struct ev_question *q, struct study *s, struct err *e) {
    double area = NAN;
    struct str said, name;
    if (!ev_ask_number(q->parameters, "auc", &area)) {
        bool by_auc = ev_parameter(q, "auc", &said);
        struct ev_cases c;
        struct ev_placements p;
        if (s->target == TARGET_AUC) return true;
        if (!by_auc && !ev_parameter(q, "predictor", &said)) return ev_ask_lacks(q, "auc=", e);
        name = str_split(&said, ' ');
        if (!ev_ask_cases(q, &name, 1, &c, e)) return false;
        struct ev_roc_data d = {c.score[0], c.positive, c.n};
        if (!ev_placements(q->arena, &d, &p, e)) return false;
        area = p.auc;
        take_counts(s, c.n1, c.n0);
    }
    if (isnan(s->ratio)) s->ratio = 1;
    s->effect = ev_effect_auc(area, 0.5, s->ratio, s->sides);
    return true;
}

static bool effect_of(const struct ev_question *q, struct study *s, struct err *e) {
    struct str p = q->parameters, ignored;
    double a1;
    if (ev_ask_number(p, "A1", &a1)) return binormal_effect(p, s) || ev_ask_lacks(q, "one of A1, B1, A2, B2", e);
    if (ev_ask_word(p, "paired") || ev_ask_word(p, "vs") || ev_parameter(q, "pair", &ignored)) return pair_effect(q, s, e);
    return single_effect(q, s, e);
}

static bool power(const struct ev_question *q, double *value, struct err *e) {
    struct study s = study_of(q->parameters);
    if (!effect_of(q, &s, e)) return false;
    if (s.target == TARGET_NONE) s.target = isnan(s.power) ? TARGET_POWER : TARGET_CASES;
    if (s.target != TARGET_POWER && isnan(s.power)) s.power = 0.8;
    if ((s.target == TARGET_POWER || s.target >= TARGET_ALPHA) && isnan(s.n1)) return ev_ask_lacks(q, "n1=, the number of cases with the condition", e);
    switch (s.target) {
    case TARGET_CASES:
    case TARGET_CONTROLS:
        *value = ev_effect_size(&s.effect, s.power, s.alpha) * (s.target == TARGET_CONTROLS ? s.ratio : 1);
        return true;
    case TARGET_ALPHA:
        *value = ev_effect_alpha(&s.effect, s.n1, s.power);
        return true;
    case TARGET_AUC:
        *value = ev_detectable_auc(0.5, s.n1, s.ratio, s.power, s.alpha, s.sides);
        return true;
    default:
        *value = ev_effect_power(&s.effect, s.n1, s.alpha);
        return true;
    }
}

const struct ev_statistic EV_STATISTICS_ROC[] = {
    {"auc", auc},
    {"auroc", inline_auc},
    {"var_auc_unbiased", unbiased_variance},
    {"hanley_mcneil_*", hanley_mcneil},
    {"delong_cov", delong_covariance},
    {"delong_paired_*", delong_paired},
    {"delong_unpaired_*", delong_unpaired},
    {"delong_var", delong_single},
    {"delong_se", delong_single},
    {"delong_ci*", delong_single},
    {"partial_auc", partial},
    {"partial_auc_mcclish_corrected", partial},
    {"youden_best", youden},
    {"sensitivity_at_specificity", at_fixed},
    {"specificity_at_sensitivity", at_fixed},
    {"roc_power", power},
    {0},
};
