// Measures of a test's two by two table.
#include <math.h>

#include "math/dist.h"
#include "math/special.h"
#include "mod/evidence/table2x2.h"

static const struct {
    const char *key, *name;
} MEASURES[EV_MEASURES] = {
    [EV_SENSITIVITY] = {"se", "Sensitivity"},
    [EV_SPECIFICITY] = {"sp", "Specificity"},
    [EV_PPV] = {"ppv", "Positive predictive value"},
    [EV_NPV] = {"npv", "Negative predictive value"},
    [EV_ACCURACY] = {"accuracy", "Accuracy"},
    [EV_PREVALENCE] = {"tp", "Prevalence"},
    [EV_APPARENT_PREVALENCE] = {"ap", "Apparent prevalence"},
    [EV_LR_POSITIVE] = {"lr+", "Positive likelihood ratio"},
    [EV_LR_NEGATIVE] = {"lr-", "Negative likelihood ratio"},
    [EV_DOR] = {"dor", "Diagnostic odds ratio"},
    [EV_YOUDEN] = {"youden", "Youden index"},
    [EV_NND] = {"nnd", "Number needed to diagnose"},
    [EV_BALANCED_ACCURACY] = {"balanced_accuracy", "Balanced accuracy"},
    [EV_F1] = {"f1", "F1 score"},
    [EV_MCC] = {"mcc", "Matthews correlation"},
    [EV_KAPPA] = {"kappa", "Cohen's kappa"},
    [EV_FALSE_DISCOVERY] = {"fdr", "False discovery rate"},
    [EV_FALSE_OMISSION] = {"for", "False omission rate"},
};

static const struct {
    const char *other, *key;
} ALIASES[] = {
    {"sens", "se"},       {"sensitivity", "se"},
    {"recall", "se"},     {"tpr", "se"},
    {"spec", "sp"},       {"specificity", "sp"},
    {"tnr", "sp"},        {"pv.pos", "ppv"},
    {"precision", "ppv"}, {"pv.neg", "npv"},
    {"acc", "accuracy"},  {"diag.ac", "accuracy"},
    {"prevalence", "tp"}, {"prev", "tp"},
    {"lr.pos", "lr+"},    {"lrpos", "lr+"},
    {"plr", "lr+"},       {"lr.neg", "lr-"},
    {"lrneg", "lr-"},     {"nlr", "lr-"},
    {"diag.or", "dor"},   {"or", "dor"},
    {"j", "youden"},      {"nndx", "nnd"},
    {"f1_score", "f1"},   {"bacc", "balanced_accuracy"},
};

bool ev_measure_of(struct str name, enum ev_measure *out) {
    for (size_t i = 0; i < sizeof ALIASES / sizeof ALIASES[0]; i++)
        if (str_eq_nocase(name, str_of(ALIASES[i].other))) name = str_of(ALIASES[i].key);
    for (int i = 0; i < EV_MEASURES; i++)
        if (str_eq_nocase(name, str_of(MEASURES[i].key))) {
            *out = (enum ev_measure)i;
            return true;
        }
    return false;
}

const char *ev_measure_name(enum ev_measure m) {
    return MEASURES[m].name;
}

// value exp(-+ z sqrt(variance of its logarithm)); no limits when the logarithm has none.
static struct ev_interval logarithmic(double value, double variance, double level) {
    if (!isfinite(variance) || !(value > 0) || !isfinite(value)) return (struct ev_interval){value, NAN, NAN};
    double half = dist_norm_two_sided(level) * sqrt(variance);
    return (struct ev_interval){value, exp(log(value) - half), exp(log(value) + half)};
}

static struct ev_interval likelihood_ratio(const struct ev_table2x2 *t, bool positive, double level) {
    double n1 = t->tp + t->fn, n0 = t->fp + t->tn, a = positive ? t->tp : t->fn, b = positive ? t->fp : t->tn;
    return logarithmic((a / n1) / (b / n0), 1 / a - 1 / n1 + 1 / b - 1 / n0, level);
}

static struct ev_interval odds_ratio(const struct ev_table2x2 *t, double level) {
    return logarithmic((t->tp * t->tn) / (t->fp * t->fn), 1 / t->tp + 1 / t->fp + 1 / t->fn + 1 / t->tn, level);
}

static struct ev_interval youden(const struct ev_table2x2 *t, enum ev_proportion_method method, double level) {
    struct ev_interval se = ev_proportion(t->tp, t->tp + t->fn, method, level), sp = ev_proportion(t->tn, t->tn + t->fp, method, level);
    return (struct ev_interval){se.value + sp.value - 1, se.lo + sp.lo - 1, se.hi + sp.hi - 1};
}

// 1 / Youden; limits only while Youden's do not hold 0, where the reciprocal jumps.
static struct ev_interval needed(struct ev_interval j) {
    bool apart = j.lo > 0 || j.hi < 0;
    return (struct ev_interval){1 / j.value, apart ? 1 / j.hi : NAN, apart ? 1 / j.lo : NAN};
}

static double matthews(const struct ev_table2x2 *t) {
    double rows = sqrt(t->tp + t->fp) * sqrt(t->fn + t->tn), columns = sqrt(t->tp + t->fn) * sqrt(t->fp + t->tn);
    return (t->tp * t->tn - t->fp * t->fn) / (rows * columns);
}

static double kappa(const struct ev_table2x2 *t) {
    double n = t->tp + t->fp + t->fn + t->tn;
    double seen = (t->tp + t->tn) / n;
    double chance = (t->tp + t->fp) / n * ((t->tp + t->fn) / n) + (t->fn + t->tn) / n * ((t->fp + t->tn) / n);
    return (seen - chance) / (1 - chance);
}

static struct ev_interval plain(double value) {
    return (struct ev_interval){value, NAN, NAN};
}

// Measures that are k of n.
static bool proportion_of(const struct ev_table2x2 *t, enum ev_measure m, double *k, double *n) {
    double all = t->tp + t->fp + t->fn + t->tn;
    const struct {
        enum ev_measure m;
        double k, n;
    } of[] = {
        {EV_SENSITIVITY, t->tp, t->tp + t->fn},
        {EV_SPECIFICITY, t->tn, t->tn + t->fp},
        {EV_PPV, t->tp, t->tp + t->fp},
        {EV_NPV, t->tn, t->tn + t->fn},
        {EV_ACCURACY, t->tp + t->tn, all},
        {EV_PREVALENCE, t->tp + t->fn, all},
        {EV_APPARENT_PREVALENCE, t->tp + t->fp, all},
        {EV_FALSE_DISCOVERY, t->fp, t->tp + t->fp},
        {EV_FALSE_OMISSION, t->fn, t->tn + t->fn},
    };
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
        if (of[i].m == m) {
            *k = of[i].k;
            *n = of[i].n;
            return true;
        }
    return false;
}

struct ev_interval ev_table2x2_measure(const struct ev_table2x2 *t, enum ev_measure m, enum ev_proportion_method method, double level) {
    double k, n;
    if (!(t->tp >= 0) || !(t->fp >= 0) || !(t->fn >= 0) || !(t->tn >= 0)) return plain(NAN);
    if (proportion_of(t, m, &k, &n)) return ev_proportion(k, n, method, level);
    switch (m) {
    case EV_LR_POSITIVE:
    case EV_LR_NEGATIVE:
        return likelihood_ratio(t, m == EV_LR_POSITIVE, level);
    case EV_DOR:
        return odds_ratio(t, level);
    case EV_YOUDEN:
        return youden(t, method, level);
    case EV_NND:
        return needed(youden(t, method, level));
    case EV_BALANCED_ACCURACY:
        return plain((t->tp / (t->tp + t->fn) + t->tn / (t->tn + t->fp)) / 2);
    case EV_F1:
        return plain(2 * t->tp / (2 * t->tp + t->fp + t->fn));
    case EV_MCC:
        return plain(matthews(t));
    case EV_KAPPA:
        return plain(kappa(t));
    default:
        return plain(NAN);
    }
}

struct ratio {
    double a, m, b, n; // (a / m) / (b / n)
    double z;
};

// Koopman's score statistic for the ratio theta, with the sign of what was seen over what theta expects, less z.
static double ratio_score(double log_theta, void *with) {
    const struct ratio *r = with;
    double theta = exp(log_theta), events = r->a + r->b;
    double B = theta * (r->m + r->b) + r->a + r->n, root = sqrt(fmax(0, B * B - 4 * theta * (r->m + r->n) * events));
    double p1 = 2 * theta * events / (B + root); // the smaller root of the quadratic, written so that nothing cancels
    double gap = r->a - r->m * p1, variance = r->m * p1 * (1 - p1);
    if (variance <= 0) return (gap == 0 ? 0 : copysign(1e9, gap)) - r->z;
    return gap / sqrt(variance) * sqrt(fmax(0, 1 + r->m * (theta - p1) / (r->n * (1 - p1)))) - r->z;
}

struct ev_interval ev_likelihood_ratio_score(const struct ev_table2x2 *t, bool positive, double level) {
    double z = dist_norm_two_sided(level);
    struct ratio r = {positive ? t->tp : t->fn, t->tp + t->fn, positive ? t->fp : t->tn, t->fp + t->tn, z};
    struct ev_interval out = {(r.a / r.m) / (r.b / r.n), 0, INFINITY};
    if (!(r.m > 0) || !(r.n > 0) || (r.a == 0 && r.b == 0)) return (struct ev_interval){out.value, NAN, NAN};
    if (r.a > 0) out.lo = exp(special_root(ratio_score, &r, -60, r.b > 0 ? log(out.value) : 60, 1e-13));
    r.z = -z;
    if (r.b > 0) out.hi = exp(special_root(ratio_score, &r, r.a > 0 ? log(out.value) : -60, 60, 1e-13));
    return out;
}

struct ev_interval ev_predictive_value(const struct ev_table2x2 *t, bool positive, double prevalence, double level) {
    double n1 = t->tp + t->fn, n0 = t->fp + t->tn;
    double se = t->tp / n1, sp = t->tn / n0, odds = prevalence / (1 - prevalence);
    double logit = positive ? log(se / (1 - sp) * odds) : log(sp / (1 - se) / odds);
    double variance = positive ? (1 - se) / (se * n1) + sp / ((1 - sp) * n0) : se / ((1 - se) * n1) + (1 - sp) / (sp * n0);
    double half = dist_norm_two_sided(level) * sqrt(variance);
    struct ev_interval out = {1 / (1 + exp(-logit)), 1 / (1 + exp(half - logit)), 1 / (1 + exp(-half - logit))};
    if (!isfinite(variance) || !isfinite(logit)) out.lo = out.hi = NAN;
    return out;
}

static struct ev_interval logit_interval(double p, double variance_logit, double level) {
    double half = dist_norm_two_sided(level) * sqrt(variance_logit), l = log(p / (1 - p));
    if (!isfinite(l) || !isfinite(half)) return (struct ev_interval){p, NAN, NAN};
    return (struct ev_interval){p, 1 / (1 + exp(half - l)), 1 / (1 + exp(-half - l))};
}

bool ev_begg_greenes(const struct ev_table2x2 *v, double up, double un, double level, struct ev_begg_greenes *out, struct err *e) {
    double s1 = v->tp, r1 = v->fp, s2 = v->fn, r2 = v->tn, n1 = s1 + r1 + up, n2 = s2 + r2 + un, n = n1 + n2;
    if (!(up >= 0) || !(un >= 0)) return err_set(e, ERR_USAGE, "evidence", "numbers of unverified cases must be 0 or more");
    if (!(s1 + r1 > 0) || !(s2 + r2 > 0))
        return err_set(e, ERR_BAD_INPUT, "evidence", "verification bias: nobody with a %s test was verified, so nothing is known of those",
                       s1 + r1 > 0 ? "negative" : "positive");
    double d1 = n1 * s1 / (s1 + r1), d2 = n2 * s2 / (s2 + r2), h1 = n1 * r1 / (s1 + r1), h2 = n2 * r2 / (s2 + r2);
    double se = d1 / (d1 + d2), sp = h2 / (h1 + h2);
    // variance of logit(se) and logit(sp): n/(n1 n2) + (verified shares)
    double base = n / (n1 * n2), vse = base + r1 / (s1 * (s1 + r1)) + r2 / (s2 * (s2 + r2)), vsp = base + s1 / (r1 * (s1 + r1)) + s2 / (r2 * (s2 + r2));
    out->sensitivity = logit_interval(se, vse, level);
    out->specificity = logit_interval(sp, vsp, level);
    out->se_sensitivity = se * (1 - se) * sqrt(vse);
    out->se_specificity = sp * (1 - sp) * sqrt(vsp);
    return true;
}
