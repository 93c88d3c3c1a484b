// Tells ROC analyses: areas, comparisons, partial areas, operating points.
#include <math.h>

#include "math/dist.h"
#include "mod/evidence/proportion.h"
#include "mod/evidence/roc_report.h"

struct telling {
    struct arena *a;
    const struct ev_roc_table *t;
    const struct ev_roc_request *w;
    struct ev_report *r;
    struct ev_delong d;
    struct err *e;
};

static const char *number(struct arena *a, double x) {
    const char *z = arena_printf(a, NULL, "%g", x);
    return z ? z : "";
}

// A warning without values, once.
static void warn_once(struct ev_report *r, const char *sentence) {
    for (unsigned i = 0; i < r->warning_count; i++)
        if (r->warnings[i].text == sentence) return;
    ev_report_warn(r, sentence, NULL);
}

static const struct str *name_of(const struct telling *x, unsigned t) {
    return &x->t->name[t];
}

static void tell_cases(struct telling *x) {
    struct ev_report *r = x->r;
    size_t n1 = x->d.n1, n0 = x->d.n0;
    ev_report_value(r, "Positive cases", (double)n1);
    ev_report_value(r, "Negative cases", (double)n0);
    if (x->t->left_out) ev_report_value(r, "Rows left out", (double)x->t->left_out);
    ev_report_method(r, "The score was related to the truth by the empirical ROC curve; equal scores count one half. Positive: {0}.",
                     arena_printf(x->a, NULL, "%.*s", STR_FMT(x->t->positive_name)), NULL);
    if (x->t->left_out) ev_report_warn(r, "{0} rows lack the truth or a score and were left out.", number(x->a, (double)x->t->left_out), NULL);
    if (n1 < 10 || n0 < 10) ev_report_warn(r, "A class has fewer than 10 cases: intervals and tests from large samples may not hold their level.", NULL);
}

// Standard errors and intervals of all areas by resampling; replicates stay for the differences.
static bool resample(struct telling *x, const struct ev_wanted *wanted, double **value) {
    const struct ev_roc_table *t = x->t;
    return ev_roc_bootstrap(x->a, t->tests, (const double *const *)t->score, t->positive, t->n, wanted, 1, x->w->replicates, x->w->seed, value, x->e);
}

static void tell_bootstrap(struct telling *x) {
    ev_report_method(x->r, "Bootstrap: {0} replicates drawn within the classes, percentile intervals, seed {1}.", number(x->a, x->w->replicates),
                     number(x->a, (double)x->w->seed), NULL);
    ev_report_source(x->r, "Efron B, Tibshirani RJ. An introduction to the bootstrap. Chapman & Hall 1993");
}

// By simulated studies (binormal, areas 0.6 to 0.97, 10 to 400 cases of each class): the symmetric interval covers within a hundredth of its level from about 15 cases on the wrong side of the
// smaller class on, the logit interval from 1.5.
static void warn_coverage(struct telling *x, double auc) {
    double least = (double)(x->d.n0 < x->d.n1 ? x->d.n0 : x->d.n1), beyond = least * fmin(auc, 1 - auc);
    if (beyond < 1.5)
        warn_once(x->r, "The cases of the smaller class times 1 - AUC are below 1.5: no interval of an area from large samples holds its level here.");
    else if (x->w->interval == EV_ROC_DELONG && (least < 20 || (beyond < 15 && fmax(auc, 1 - auc) > 0.65)))
        warn_once(x->r, "The cases of the smaller class times 1 - AUC are below 15, or the class below 20: the symmetric interval covers less than it says; "
                        "the logit interval "
                        "holds.");
}

static bool tell_areas(struct telling *x, double *const replicates) {
    unsigned tests = x->t->tests, n = x->w->replicates;
    for (unsigned t = 0; t < tests; t++) {
        double variance = x->d.covariance[(size_t)t * tests + t];
        struct ev_auc auc = ev_auc_of(x->d.auc[t], variance, x->w->interval == EV_ROC_LOGIT ? EV_AUC_LOGIT : EV_AUC_WALD, x->w->level);
        struct ev_resampled b;
        ev_report_group(x->r, "%.*s", STR_FMT(*name_of(x, t)));
        if (replicates) {
            if (!ev_resampled(x->a, replicates + (size_t)t * n, n, x->w->level, &b, x->e)) return false;
            auc = (struct ev_auc){x->d.auc[t], b.se, b.lo, b.hi};
        }
        ev_report_estimate(x->r, "AUC", auc.auc, auc.se, auc.lo, auc.hi);
        ev_report_value(x->r, "Hanley-McNeil SE", ev_hanley_mcneil_se(auc.auc, (double)x->d.n1, (double)x->d.n0));
        if (variance > 0) ev_report_value(x->r, "p against 0.5", 2 * dist_norm(fabs(auc.auc - 0.5) / sqrt(variance), true));
        if (variance == 0) warn_once(x->r, "The variance of an area is 0 (the score separates the classes): its interval says too much.");
        if (isnan(variance)) warn_once(x->r, "A class has one case only: an area has no variance.");
        warn_coverage(x, auc.auc);
        if (auc.auc < 0.5) warn_once(x->r, "An area is below 0.5: small values speak for the condition (--lower).");
        if (x->t->lower[t]) ev_report_text(x->r, "Direction", "%s", "<");
    }
    ev_report_group(x->r, "%s", "");
    return true;
}

static void tell_interval_method(struct telling *x) {
    struct ev_report *r = x->r;
    if (x->t->cluster) {
        ev_report_method(r, "Areas' covariances were estimated between clusters of cases.", NULL);
        ev_report_source(r, "Obuchowski NA. Biometrics 1997;53:567-578");
    } else {
        ev_report_method(r, "Areas' covariances were estimated by DeLong's method.", NULL);
        ev_report_source(r, "DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845");
        ev_report_source(r, "Sun X, Xu W. IEEE Signal Process Lett 2014;21:1389-1393");
    }
    if (x->w->interval == EV_ROC_LOGIT) ev_report_method(r, "Intervals of areas are on the logit scale.", NULL);
    if (x->w->interval == EV_ROC_BOOTSTRAP) tell_bootstrap(x);
}

static void tell_margin(struct telling *x, const struct ev_auc_test *t) {
    double difference = -t->difference; // the later score less the first
    struct ev_margin_test m = ev_margin(difference, t->se, x->w->margin, x->w->level);
    ev_report_value(x->r, "p of noninferiority", m.p_noninferior);
    ev_report_value(x->r, "p of equivalence", m.p_equivalent);
}

static bool tell_differences(struct telling *x) {
    unsigned tests = x->t->tests;
    double chi2, df, p;
    if (tests < 2) return true;
    for (unsigned i = 0; i < tests; i++)
        for (unsigned k = i + 1; k < tests; k++) {
            struct ev_auc_test t = ev_auc_paired(&x->d, i, k, x->w->level);
            ev_report_group(x->r, "%.*s - %.*s", STR_FMT(*name_of(x, i)), STR_FMT(*name_of(x, k)));
            ev_report_estimate(x->r, "Difference", t.difference, t.se, t.lo, t.hi);
            ev_report_value(x->r, "z", t.statistic);
            ev_report_value(x->r, "p-value", t.p);
            if (!isnan(x->w->margin) && i == 0) tell_margin(x, &t);
        }
    ev_report_group(x->r, "%s", "");
    if (tests > 2 && ev_auc_all_alike(x->a, &x->d, &chi2, &df, &p, NULL)) {
        ev_report_value(x->r, "Chi-square of equal areas", chi2);
        ev_report_value(x->r, "df", df);
        ev_report_value(x->r, "p of equal areas", p);
    }
    ev_report_method(x->r, "Scores of the same cases were compared by a normal test of the difference of their areas.", NULL);
    if (tests > 2) warn_once(x->r, "Several differences are tested: p-values are not adjusted for their number.");
    if (!isnan(x->w->margin)) {
        ev_report_method(x->r, "Noninferiority and equivalence to the first score were tested one-sided with a margin of {0}.", number(x->a, x->w->margin),
                         NULL);
        ev_report_source(x->r, "Zhou XH, Obuchowski NA, McClish DK. Statistical methods in diagnostic medicine. 2nd ed. Wiley 2011");
    }
    return true;
}

// An index of every curve with its bootstrap interval.
static bool tell_index(struct telling *x, const char *name, const struct ev_wanted *wanted) {
    double *value = NULL;
    if (!resample(x, wanted, &value)) return false;
    for (unsigned t = 0; t < x->t->tests; t++) {
        struct ev_roc_curve c;
        struct ev_resampled b;
        struct ev_roc_data d = {x->t->score[t], x->t->positive, x->t->n};
        if (!ev_roc_curve(x->a, &d, &c, x->e) || !ev_resampled(x->a, value + (size_t)t * x->w->replicates, x->w->replicates, x->w->level, &b, x->e))
            return false;
        double seen = ev_roc_index(&c, wanted);
        ev_report_group(x->r, "%.*s", STR_FMT(*name_of(x, t)));
        if (isnan(seen))
            ev_report_none(x->r, name, "the curve lies below the diagonal there");
        else
            ev_report_estimate(x->r, name, seen, b.se, b.lo, b.hi);
        if (b.undefined) ev_report_warn(x->r, "{0} bootstrap replicates had no value and were left out.", number(x->a, (double)b.undefined), NULL);
    }
    ev_report_group(x->r, "%s", "");
    return true;
}

static bool tell_partial(struct telling *x) {
    const struct ev_roc_request *w = x->w;
    struct ev_wanted wanted = {EV_INDEX_PARTIAL, w->focus, w->from, w->to, false};
    if (!w->partial) return true;
    if (w->focus == EV_SPECIFICITY_FOCUS)
        ev_report_method(x->r, "The partial area is over specificities from {0} to {1}.", number(x->a, w->from), number(x->a, w->to), NULL);
    else
        ev_report_method(x->r, "The partial area is over sensitivities from {0} to {1}.", number(x->a, w->from), number(x->a, w->to), NULL);
    if (!tell_index(x, "Partial AUC", &wanted)) return false;
    if (!w->corrected) return true;
    wanted.corrected = true;
    ev_report_method(x->r, "The corrected partial area is 0.5 by chance and 1 at best; below the diagonal it has no meaning.", NULL);
    ev_report_source(x->r, "McClish DK. Med Decis Making 1989;9:190-195");
    return tell_index(x, "Partial AUC, corrected", &wanted);
}

static bool tell_fixed(struct telling *x) {
    struct ev_wanted se = {.index = EV_INDEX_SENSITIVITY_AT, .lo = x->w->at_specificity}, sp = {.index = EV_INDEX_SPECIFICITY_AT, .lo = x->w->at_sensitivity};
    bool first = !isnan(x->w->at_specificity), second = !isnan(x->w->at_sensitivity);
    if (first) ev_report_method(x->r, "The specificity was fixed at {0}; the curve is straight between its points.", number(x->a, se.lo), NULL);
    if (second) ev_report_method(x->r, "The sensitivity was fixed at {0}; the curve is straight between its points.", number(x->a, sp.lo), NULL);
    return (!first || tell_index(x, "Sensitivity at fixed specificity", &se)) && (!second || tell_index(x, "Specificity at fixed sensitivity", &sp));
}

static void tell_share(struct telling *x, const char *name, double k, double n) {
    struct ev_interval p = ev_proportion(k, n, EV_WILSON, x->w->level);
    ev_report_estimate(x->r, name, p.value, NAN, p.lo, p.hi);
}

static void tell_best(struct telling *x, unsigned t, const struct ev_roc_curve *c) {
    size_t equals, at = ev_roc_best(c, x->w->best, x->w->weight, &equals);
    double tp = c->tp[at], fp = c->fp[at], n1 = (double)c->n1, n0 = (double)c->n0;
    ev_report_group(x->r, "%.*s", STR_FMT(*name_of(x, t)));
    ev_report_value(x->r, "Best threshold", x->t->lower[t] ? -c->threshold[at] : c->threshold[at]);
    tell_share(x, "Sensitivity", tp, n1);
    tell_share(x, "Specificity", n0 - fp, n0);
    ev_report_value(x->r, "Youden index", tp / n1 - fp / n0);
    if (equals > 1) warn_once(x->r, "Several thresholds are equally good; the strictest is shown.");
}

static void tell_curve(struct telling *x, unsigned t, const struct ev_roc_curve *c) {
    for (size_t k = 0; x->w->curve && k < c->count; k++) {
        ev_report_group(x->r, "%.*s %s %.15g", STR_FMT(*name_of(x, t)), x->t->lower[t] ? "<" : ">", x->t->lower[t] ? -c->threshold[k] : c->threshold[k]);
        ev_report_value(x->r, "Sensitivity", c->tp[k] / (double)c->n1);
        ev_report_value(x->r, "Specificity", 1 - c->fp[k] / (double)c->n0);
    }
}

static bool tell_points(struct telling *x) {
    if (x->w->best == EV_BEST_YOUDEN)
        ev_report_method(x->r,
                         "The best threshold has the greatest sum of sensitivity and specificity; its proportions have Wilson's intervals, as if it had been "
                         "chosen beforehand.",
                         NULL);
    else
        ev_report_method(
            x->r, "The best threshold is nearest to the upper left corner; its proportions have Wilson's intervals, as if it had been chosen beforehand.",
            NULL);
    warn_once(x->r, "A threshold that was chosen on these cases looks better here than it will on others.");
    for (unsigned t = 0; t < x->t->tests; t++) {
        struct ev_roc_curve c;
        struct ev_roc_data d = {x->t->score[t], x->t->positive, x->t->n};
        if (!ev_roc_curve(x->a, &d, &c, x->e)) return false;
        tell_best(x, t, &c);
        tell_curve(x, t, &c);
    }
    ev_report_group(x->r, "%s", "");
    return true;
}

static bool cases_enough(const struct telling *x) {
    if (x->t->n) return true;
    return err_set(x->e, ERR_BAD_INPUT, "evidence", "no row has the truth and all scores");
}

static bool not_constant(const struct ev_delong *d, const struct ev_roc_table *t, struct err *e) {
    for (unsigned i = 0; i < d->tests; i++)
        if (d->placed[i].equal == 1)
            return err_set(e, ERR_BAD_INPUT, "evidence", "the score %.*s is the same in all %zu cases: it tells nothing", STR_FMT(t->name[i]), t->n);
    return true;
}

bool ev_roc_report(struct arena *a, const struct ev_roc_table *t, const struct ev_roc_request *w, struct ev_report *r, struct err *e) {
    struct telling x = {.a = a, .t = t, .w = w, .r = r, .e = e};
    const double *const *score = (const double *const *)t->score;
    struct ev_wanted area = {.index = EV_INDEX_AUC};
    double *replicates = NULL;
    ev_report_init(r, a, "ROC analysis", w->level);
    if (!cases_enough(&x)) return false;
    if (t->cluster ? !ev_delong_clustered(a, t->tests, score, t->positive, t->cluster, t->n, &x.d, e)
                   : !ev_delong(a, t->tests, score, t->positive, t->n, &x.d, e))
        return false;
    if (!not_constant(&x.d, t, e)) return false;
    if (t->cluster && w->interval == EV_ROC_BOOTSTRAP)
        return err_set(e, ERR_USAGE, "evidence", "the bootstrap draws single cases: with clusters take --interval delong or logit");
    if (w->interval == EV_ROC_BOOTSTRAP && !resample(&x, &area, &replicates)) return false;
    tell_cases(&x);
    tell_interval_method(&x);
    bool resampled = w->partial || !isnan(w->at_sensitivity) || !isnan(w->at_specificity);
    if (resampled && w->interval != EV_ROC_BOOTSTRAP) tell_bootstrap(&x);
    if (resampled && t->cluster) ev_report_warn(r, "Bootstrap intervals take the cases as independent, not as clusters.", NULL);
    return tell_areas(&x, replicates) && tell_differences(&x) && tell_partial(&x) && tell_fixed(&x) && tell_points(&x);
}

// ---- groups of other cases ----

struct group {
    double auc, variance;
    size_t n;
};

static bool area_of_group(struct arena *a, const struct ev_roc_table *t, unsigned which, struct ev_roc_table *of, struct group *g, struct err *e) {
    struct ev_delong d;
    *of = *t;
    of->n = 0;
    of->positive = arena_alloc(a, t->n + 1, e);
    of->score[0] = of->positive ? arena_alloc(a, (t->n + 1) * sizeof(double), e) : NULL;
    of->cluster = of->score[0] && t->cluster ? arena_alloc(a, (t->n + 1) * sizeof(int32_t), e) : NULL;
    if (!of->score[0] || (t->cluster && !of->cluster)) return false;
    for (size_t i = 0; i < t->n; i++) {
        if (t->by[i] != (int32_t)which) continue;
        of->positive[of->n] = t->positive[i];
        if (t->cluster) of->cluster[of->n] = t->cluster[i];
        of->score[0][of->n++] = t->score[0][i];
    }
    const double *const score[1] = {of->score[0]};
    bool ok = of->cluster ? ev_delong_clustered(a, 1, score, of->positive, of->cluster, of->n, &d, e) : ev_delong(a, 1, score, of->positive, of->n, &d, e);
    if (!ok || !not_constant(&d, of, e)) return err_wrap(e, "group %.*s", STR_FMT(t->by_name[which]));
    *g = (struct group){d.auc[0], d.covariance[0], of->n};
    return true;
}

static bool tell_groups(struct arena *a, const struct ev_roc_table *t, const struct ev_roc_request *w, struct group *g, struct ev_report *r, struct err *e) {
    for (unsigned i = 0; i < t->by_count; i++) {
        struct ev_roc_table of;
        if (!area_of_group(a, t, i, &of, &g[i], e)) return false;
        struct ev_auc x = ev_auc_of(g[i].auc, g[i].variance, w->interval == EV_ROC_LOGIT ? EV_AUC_LOGIT : EV_AUC_WALD, w->level);
        ev_report_group(r, "%.*s", STR_FMT(t->by_name[i]));
        ev_report_value(r, "Cases", (double)g[i].n);
        ev_report_estimate(r, "AUC", x.auc, x.se, x.lo, x.hi);
    }
    for (unsigned i = 0; i < t->by_count; i++)
        for (unsigned k = i + 1; k < t->by_count; k++) {
            struct ev_auc_test x = ev_auc_unpaired(g[i].auc, g[i].variance, g[i].n, g[k].auc, g[k].variance, g[k].n, w->level);
            ev_report_group(r, "%.*s - %.*s", STR_FMT(t->by_name[i]), STR_FMT(t->by_name[k]));
            ev_report_estimate(r, "Difference", x.difference, x.se, x.lo, x.hi);
            ev_report_value(r, "t", x.statistic);
            ev_report_value(r, "df", x.df);
            ev_report_value(r, "p-value", x.p);
        }
    return true;
}

bool ev_roc_groups_report(struct arena *a, const struct ev_roc_table *t, const struct ev_roc_request *w, struct ev_report *r, struct err *e) {
    if (t->tests != 1) return err_set(e, ERR_USAGE, "evidence", "groups of cases are compared by one score: name it (--score COLUMN)");
    if (t->by_count < 2 || t->by_count > EV_TESTS_MAX)
        return err_set(e, ERR_BAD_INPUT, "evidence", "the column of groups has %u different values: from 2 to %d are compared", t->by_count, EV_TESTS_MAX);
    struct group *g = arena_zero(a, t->by_count, sizeof *g, e);
    if (!g) return false;
    ev_report_init(r, a, "ROC analysis", w->level);
    ev_report_method(r, "The score was related to the truth by the empirical ROC curve; equal scores count one half. Positive: {0}.",
                     arena_printf(a, NULL, "%.*s", STR_FMT(t->positive_name)), NULL);
    ev_report_method(r, "Groups of different cases were compared by a t test of the difference of their areas, degrees of freedom by Satterthwaite.", NULL);
    ev_report_source(r, "DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845");
    if (t->left_out) ev_report_warn(r, "{0} rows lack the truth or a score and were left out.", number(a, (double)t->left_out), NULL);
    return tell_groups(a, t, w, g, r, e);
}
