// Tells tables of tests against the truth.
#include <math.h>

#include "math/dist.h"
#include "mod/evidence/diagnostic.h"

struct telling {
    struct arena *a;
    const struct ev_diagnostic_request *w;
    struct ev_report *r;
    struct err *e;
};

static const char *number(struct arena *a, double x) {
    const char *z = arena_printf(a, NULL, "%g", x);
    return z ? z : "";
}

static void tell_interval(struct telling *x, const char *name, struct ev_interval v) {
    if (isnan(v.value))
        ev_report_none(x->r, name, "nobody is in the group that it is a share of");
    else
        ev_report_estimate(x->r, name, v.value, NAN, v.lo, v.hi);
}

static void tell_counts(struct telling *x, const struct ev_table2x2 *t) {
    ev_report_value(x->r, "True positives", t->tp);
    ev_report_value(x->r, "False positives", t->fp);
    ev_report_value(x->r, "False negatives", t->fn);
    ev_report_value(x->r, "True negatives", t->tn);
}

static void tell_every(struct telling *x, const struct ev_table2x2 *t) {
    for (int m = 0; x->w->every && m < EV_PROPORTION_METHODS; m++) {
        enum ev_proportion_method method = (enum ev_proportion_method)m;
        ev_report_group(x->r, "%s", ev_proportion_method_name(method));
        tell_interval(x, "Sensitivity", ev_table2x2_measure(t, EV_SENSITIVITY, method, x->w->level));
        tell_interval(x, "Specificity", ev_table2x2_measure(t, EV_SPECIFICITY, method, x->w->level));
    }
}

static void tell_predictive(struct telling *x, const struct ev_table2x2 *t) {
    double p = x->w->prevalence;
    if (isnan(p)) return;
    tell_interval(x, "PPV at the stated prevalence", ev_predictive_value(t, true, p, x->w->level));
    tell_interval(x, "NPV at the stated prevalence", ev_predictive_value(t, false, p, x->w->level));
}

static void tell_table(struct telling *x, const struct ev_table2x2 *t) {
    tell_counts(x, t);
    for (int m = 0; m < EV_MEASURES; m++)
        tell_interval(x, ev_measure_name((enum ev_measure)m), ev_table2x2_measure(t, (enum ev_measure)m, x->w->method, x->w->level));
    tell_interval(x, "Positive likelihood ratio, score interval", ev_likelihood_ratio_score(t, true, x->w->level));
    tell_interval(x, "Negative likelihood ratio, score interval", ev_likelihood_ratio_score(t, false, x->w->level));
    tell_predictive(x, t);
}

static void tell_methods(struct telling *x) {
    struct ev_report *r = x->r;
    ev_report_method(r, "Proportions have {0} intervals.", ev_term(ev_proportion_method_name(x->w->method), EV_EN), NULL);
    ev_report_method(r, "Likelihood ratios have logarithmic intervals, and score intervals where these are named; the odds ratio has Woolf's.", NULL);
    if (!isnan(x->w->prevalence)) {
        ev_report_method(r, "Predictive values at a prevalence of {0} were computed by Bayes' theorem, with logit intervals.", number(x->a, x->w->prevalence),
                         NULL);
        ev_report_source(r, "Mercaldo ND, Lau KF, Zhou XH. Stat Med 2007;26:2170-2183");
    }
    ev_report_source(r, "Newcombe RG. Stat Med 1998;17:857-872");
    ev_report_source(r, "Simel DL, Samsa GP, Matchar DB. J Clin Epidemiol 1991;44:763-770");
    ev_report_source(r, "Koopman PAR. Biometrics 1984;40:513-517");
    if (x->w->method == EV_WALD) ev_report_warn(r, "Wald intervals cover less than they say when a proportion is near 0 or 1 or the cases are few.", NULL);
}

static bool whole_table(const struct ev_table2x2 *t, struct err *e) {
    if (!(t->tp >= 0) || !(t->fp >= 0) || !(t->fn >= 0) || !(t->tn >= 0)) return err_set(e, ERR_USAGE, "evidence", "counts are 0 or more");
    if (t->tp + t->fn > 0 || t->fp + t->tn > 0) return true;
    return err_set(e, ERR_BAD_INPUT, "evidence", "the table is empty: all four counts are 0");
}

static void warn_one_class(struct telling *x, const struct ev_table2x2 *t) {
    if (t->tp + t->fn == 0) ev_report_warn(x->r, "Nobody has the condition: there is no sensitivity.", NULL);
    if (t->fp + t->tn == 0) ev_report_warn(x->r, "Everybody has the condition: there is no specificity.", NULL);
}

bool ev_table_report(struct arena *a, const struct ev_table2x2 *t, const struct ev_diagnostic_request *w, struct ev_report *r, struct err *e) {
    struct telling x = {a, w, r, e};
    ev_report_init(r, a, "Diagnostic accuracy", w->level);
    if (!whole_table(t, e)) return false;
    tell_methods(&x);
    warn_one_class(&x, t);
    tell_table(&x, t);
    tell_every(&x, t);
    return true;
}

// ---- from cases ----

static struct ev_table2x2 table_of(const struct ev_calls *c, unsigned k) {
    struct ev_table2x2 t = {0, 0, 0, 0};
    for (size_t i = 0; i < c->n; i++) *(c->positive[i] ? (c->call[k][i] ? &t.tp : &t.fn) : (c->call[k][i] ? &t.fp : &t.tn)) += 1;
    return t;
}

// Sensitivity (truth 1) or specificity (truth 0) of clustered cases.
static bool tell_clustered(struct telling *x, const struct ev_calls *c, unsigned k, uint8_t truth) {
    struct ev_clustered_proportion p;
    uint8_t *hit = arena_alloc(x->a, c->n + 1, x->e);
    int32_t *cluster = hit ? arena_alloc(x->a, (c->n + 1) * sizeof *cluster, x->e) : NULL;
    size_t n = 0;
    if (!cluster) return false;
    for (size_t i = 0; i < c->n; i++) {
        if (c->positive[i] != truth) continue;
        hit[n] = c->call[k][i] == truth;
        cluster[n++] = c->cluster[i];
    }
    if (n == 0) return true;
    if (!ev_proportion_clustered(x->a, hit, cluster, n, x->w->level, &p, x->e)) return false;
    ev_report_estimate(x->r, truth ? "Sensitivity, clustered" : "Specificity, clustered", p.interval.value, p.se, p.interval.lo, p.interval.hi);
    ev_report_value(x->r, "Design effect", p.design_effect);
    return true;
}

static bool tell_corrected(struct telling *x, const struct ev_calls *c, unsigned k, const struct ev_table2x2 *t) {
    struct ev_begg_greenes b;
    if (!ev_begg_greenes(t, c->unverified[k][1], c->unverified[k][0], x->w->level, &b, x->e)) return false;
    ev_report_value(x->r, "Not verified, test positive", c->unverified[k][1]);
    ev_report_value(x->r, "Not verified, test negative", c->unverified[k][0]);
    ev_report_estimate(x->r, "Sensitivity, corrected", b.sensitivity.value, b.se_sensitivity, b.sensitivity.lo, b.sensitivity.hi);
    ev_report_estimate(x->r, "Specificity, corrected", b.specificity.value, b.se_specificity, b.specificity.lo, b.specificity.hi);
    return true;
}

// p that the difference of paired proportions is -margin or less, by Tango's score.
static void tell_noninferior(struct telling *x, double b, double c, double n) {
    if (isnan(x->w->margin)) return;
    double lower = dist_norm(ev_tango_z(b, c, n, -x->w->margin), true), upper = dist_norm(ev_tango_z(b, c, n, x->w->margin), false);
    ev_report_value(x->r, "p of noninferiority", lower);
    ev_report_value(x->r, "p of equivalence", fmax(lower, upper));
}

// Tests i and k where the truth is so: discordant calls, each counted when it is right.
static void tell_pair(struct telling *x, const struct ev_calls *c, unsigned i, unsigned k, uint8_t truth) {
    double first = 0, second = 0, n = 0;
    for (size_t at = 0; at < c->n; at++) {
        if (c->positive[at] != truth) continue;
        bool right1 = c->call[i][at] == truth, right2 = c->call[k][at] == truth;
        n++;
        first += right1 && !right2;
        second += right2 && !right1;
    }
    struct ev_mcnemar m = ev_mcnemar(first, second);
    struct ev_interval d = ev_proportion_difference_paired(first, second, n, x->w->level);
    tell_interval(x, truth ? "Sensitivity difference" : "Specificity difference", d);
    ev_report_value(x->r, "Right by the first only", first);
    ev_report_value(x->r, "Right by the second only", second);
    if (first + second > 0) ev_report_value(x->r, "McNemar p", m.p);
    if (first + second > 0) ev_report_value(x->r, "McNemar p, corrected", m.p_cc);
    ev_report_value(x->r, "McNemar p, exact", m.p_exact);
    ev_report_value(x->r, "McNemar p, mid-p", m.p_mid);
    tell_noninferior(x, second, first, n);
}

static void tell_pairs(struct telling *x, const struct ev_calls *c) {
    if (c->tests < 2) return;
    ev_report_method(x->r, "Tests of the same cases were compared by McNemar's test; differences of paired proportions have Tango's score intervals.", NULL);
    ev_report_source(x->r, "McNemar Q. Psychometrika 1947;12:153-157");
    ev_report_source(x->r, "Tango T. Stat Med 1998;17:891-908");
    if (!isnan(x->w->margin))
        ev_report_method(x->r, "Noninferiority and equivalence to the first test were tested one-sided by Tango's score with a margin of {0}.",
                         number(x->a, x->w->margin), NULL);
    if (c->tests > 2) ev_report_warn(x->r, "Several differences are tested: p-values are not adjusted for their number.", NULL);
    if (c->cluster) ev_report_warn(x->r, "McNemar's test takes the cases as independent, not as clusters.", NULL);
    for (unsigned i = 0; i < c->tests; i++)
        for (unsigned k = i + 1; k < c->tests; k++) {
            ev_report_group(x->r, "%.*s - %.*s", STR_FMT(c->name[i]), STR_FMT(c->name[k]));
            tell_pair(x, c, i, k, 1);
            tell_pair(x, c, i, k, 0);
        }
}

static void tell_case_methods(struct telling *x, const struct ev_calls *c) {
    tell_methods(x);
    ev_report_method(x->r, "Positive: {0}.", arena_printf(x->a, NULL, "%.*s", STR_FMT(c->positive_name)), NULL);
    if (c->left_out) ev_report_warn(x->r, "{0} rows lack the truth or a test and were left out.", number(x->a, (double)c->left_out), NULL);
    if (c->cluster) {
        ev_report_method(x->r, "Clustered proportions have the variance between clusters and Wilson's interval with the effective number of cases.", NULL);
        ev_report_source(x->r, "Rao JNK, Scott AJ. Biometrics 1992;48:577-585");
    }
    if (!x->w->unverified) return;
    ev_report_method(x->r, "Corrected values assume that who was verified depended on the test's result alone.", NULL);
    ev_report_source(x->r, "Begg CB, Greenes RA. Biometrics 1983;39:207-215");
}

bool ev_calls_report(struct arena *a, const struct ev_calls *c, const struct ev_diagnostic_request *w, struct ev_report *r, struct err *e) {
    struct telling x = {a, w, r, e};
    ev_report_init(r, a, "Diagnostic accuracy", w->level);
    tell_case_methods(&x, c);
    for (unsigned k = 0; k < c->tests; k++) {
        struct ev_table2x2 t = table_of(c, k);
        if (k == 0) warn_one_class(&x, &t);
        ev_report_group(r, "%.*s", STR_FMT(c->name[k]));
        tell_table(&x, &t);
        if (c->cluster && (!tell_clustered(&x, c, k, 1) || !tell_clustered(&x, c, k, 0))) return false;
        if (w->unverified && !tell_corrected(&x, c, k, &t)) return false;
        if (c->tests == 1) tell_every(&x, &t);
    }
    tell_pairs(&x, c);
    return true;
}
