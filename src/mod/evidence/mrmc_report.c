// What the analyses of reader studies found, in entries, sentences and warnings.
#include "mod/evidence/mrmc_report.h"

#include <math.h>

enum { FEW_READERS = 4, FEW_CASES = 10 };

// What both kinds of study have.
struct telling {
    struct arena *a;
    struct ev_report *r;
    const struct ev_mrmc_request *request;
    const struct str *treatment, *reader;
    const struct ev_or *o;
    struct err *e;
    unsigned least; // cases of the smaller class
};

// A number as text that stays alive; of no memory the report fails itself.
static const char *number(struct telling *t, double x) {
    const char *text = arena_printf(t->a, NULL, "%.6g", x);
    if (!text) t->r->failed = true;
    return text ? text : "";
}

static void tell_estimate(struct telling *t, const char *name, const struct ev_estimate *x) {
    ev_report_estimate(t->r, name, x->value, x->se, x->lo, x->hi);
}

static void tell_merits(struct telling *t) {
    for (unsigned i = 0; i < t->o->merit->treatments; i++) {
        for (unsigned j = 0; j < t->o->merit->readers; j++) {
            struct ev_estimate x = ev_or_reader(t->o, j, i, t->request->level);
            if (isnan(x.value)) continue; // readers within modalities
            ev_report_group(t->r, "%.*s / %.*s", STR_FMT(t->treatment[i]), STR_FMT(t->reader[j]));
            tell_estimate(t, "Figure of merit", &x);
        }
    }
}

static void tell_value(struct telling *t, const char *name, double x, const char *why) {
    if (isnan(x))
        ev_report_none(t->r, name, why);
    else
        ev_report_value(t->r, name, x);
}

static void tell_components(struct telling *t) {
    static const char *const ONE = "one modality or one reader only", *const NESTED = "readers and modalities are not crossed";
    const struct ev_or *o = t->o;
    const char *why = o->merit->design == EV_DESIGN_READERS_IN_TREATMENT ? NESTED : ONE;
    ev_report_group(t->r, "ANOVA");
    tell_value(t, "MS(T)", o->ms_t, why);
    tell_value(t, "MS(R)", o->ms_r, why);
    tell_value(t, o->merit->design == EV_DESIGN_READERS_IN_TREATMENT ? "MS(R(T))" : "MS(T*R)", o->ms_tr, why);
    tell_value(t, "Var(R)", o->var_r, why);
    tell_value(t, "Var(T*R)", o->var_tr, why);
    ev_report_value(t->r, "Var(Error)", o->var_error);
    bool several = o->merit->treatments > 1, readers = o->merit->readers > 1;
    tell_value(t, "Cov1", several && o->merit->design != EV_DESIGN_READERS_IN_TREATMENT ? o->cov1 : NAN, why);
    tell_value(t, "Cov2", readers ? o->cov2 : NAN, why);
    tell_value(t, "Cov3", several && readers ? o->cov3 : NAN, why);
}

static const char *const KINDS[3] = {[EV_RRRC] = "RRRC", [EV_FRRC] = "FRRC", [EV_RRFC] = "RRFC"};

static void tell_equality(struct telling *t, enum ev_generalise g) {
    struct ev_or_test x = ev_or_equality(t->o, g);
    ev_report_group(t->r, "%s", KINDS[g]);
    if (isnan(x.p)) {
        ev_report_none(t->r, "p-value", "no variance to test against");
        return;
    }
    ev_report_value(t->r, g == EV_FRRC ? "Chi-square" : "F", x.statistic);
    ev_report_value(t->r, "df1", x.df1);
    if (g != EV_FRRC) ev_report_value(t->r, "df2", x.df2);
    ev_report_value(t->r, "p-value", x.p);
}

static void tell_test(struct telling *t, const struct ev_estimate *x) {
    if (isfinite(x->df)) ev_report_value(t->r, "df", x->df);
    if (!isnan(x->p)) ev_report_value(t->r, "p-value", x->p);
}

static void tell_differences(struct telling *t, enum ev_generalise g) {
    for (unsigned i = 0; i < t->o->merit->treatments; i++) {
        for (unsigned k = i + 1; k < t->o->merit->treatments; k++) {
            struct ev_estimate x = ev_or_difference(t->o, g, i, k, t->request->level);
            ev_report_group(t->r, "%s: %.*s - %.*s", KINDS[g], STR_FMT(t->treatment[i]), STR_FMT(t->treatment[k]));
            tell_estimate(t, "Difference", &x);
            tell_test(t, &x);
            for (unsigned j = 0; g == EV_FRRC && t->o->merit->design != EV_DESIGN_READERS_IN_TREATMENT && j < t->o->merit->readers; j++) {
                x = ev_or_reader_difference(t->o, j, i, k, t->request->level);
                ev_report_group(t->r, "%s: %.*s - %.*s / %.*s", KINDS[g], STR_FMT(t->treatment[i]), STR_FMT(t->treatment[k]), STR_FMT(t->reader[j]));
                tell_estimate(t, "Difference", &x);
                tell_test(t, &x);
            }
        }
    }
}

static void tell_analysis(struct telling *t, enum ev_generalise g) {
    if (t->o->merit->treatments > 1) {
        tell_equality(t, g);
        tell_differences(t, g);
    }
    for (unsigned i = 0; i < t->o->merit->treatments; i++) {
        struct ev_estimate x = ev_or_treatment(t->o, g, i, t->request->level);
        ev_report_group(t->r, "%s: %.*s", KINDS[g], STR_FMT(t->treatment[i]));
        tell_estimate(t, "Mean figure of merit", &x);
        if (isfinite(x.df)) ev_report_value(t->r, "df", x.df);
    }
}

static void say_analysis(struct telling *t, enum ev_generalise g) {
    static const char *const SAID[3] = {
        [EV_RRRC] = "RRRC: readers and cases are random; F test with the denominator MS(T*R) + r max(Cov2 - Cov3, 0) and Hillis' degrees of freedom.",
        [EV_FRRC] = "FRRC: these readers, random cases; chi-square and z tests.",
        [EV_RRFC] = "RRFC: random readers, these cases; F test of MS(T) against MS(T*R).",
    };
    ev_report_method(t->r, SAID[g], NULL);
}

// As simulated studies by Roe and Metz's model show (3 to 10 readers, 25 to 200 cases of each class, areas of 0.7 to 0.95).
static bool falls_short_alone(const struct telling *t) {
    bool above = false;
    for (unsigned i = 0; i < t->o->merit->treatments; i++) above |= t->o->treatment_mean[i] > 0.9;
    return above || t->o->merit->readers < 10 || t->least < 100;
}

static void warn_components(struct telling *t) {
    const struct ev_or *o = t->o;
    if (o->merit->readers > 1 && o->cov2 < o->cov3) ev_report_warn(t->r, "Cov2 is less than Cov3: their difference counts as 0, as Hillis has it.", NULL);
    if (o->var_tr < 0) ev_report_warn(t->r, "The estimate of Var(T*R) is negative ({0}); it is shown as it is and enters no test.", number(t, o->var_tr), NULL);
    if (o->var_r < 0) ev_report_warn(t->r, "The estimate of Var(R) is negative ({0}); it is shown as it is and enters no test.", number(t, o->var_r), NULL);
    if (t->request->generalise[EV_RRRC] && o->merit->readers < FEW_READERS)
        ev_report_warn(
            t->r,
            "{0} readers are few to speak of all readers: expect wide intervals and little power. With three readers and a hundred or more cases of each "
            "class, tests rejected up to 8 of 100 true equalities at 0.05 in our simulations.",
            number(t, o->merit->readers), NULL);
    if (t->request->generalise[EV_RRRC] && falls_short_alone(t))
        ev_report_warn(t->r,
                       "The interval of one modality alone is symmetric: with fewer than 10 readers, fewer than 100 cases of a class or a figure above 0.9, it "
                       "covered in 86 "
                       "to 94 of 100 simulated studies instead of 95. Differences are not concerned.",
                       NULL);
    for (size_t g = 0, groups = (size_t)o->merit->treatments * o->merit->readers; g < groups; g++) {
        if (isnan(o->merit->theta[g]) || o->merit->cov[g * groups + g] > 0) continue;
        ev_report_warn(t->r, "A figure of merit has no variance (perfect or constant ratings): its interval is no interval.", NULL);
        return;
    }
}

static void tell_analyses(struct telling *t) {
    for (unsigned g = 0; g < 3; g++) {
        if (!t->request->generalise[g]) continue;
        tell_analysis(t, (enum ev_generalise)g);
        say_analysis(t, (enum ev_generalise)g);
    }
    warn_components(t);
}

static void say_design(struct telling *t) {
    static const char *const SAID[] = {
        [EV_DESIGN_DETECT] = NULL,
        [EV_DESIGN_CROSSED] = "Readers work in every modality (crossed design).",
        [EV_DESIGN_CASES_IN_READER] = "Each reader has cases of his own: Cov2 = Cov3 = 0.",
        [EV_DESIGN_CASES_IN_TREATMENT] = "Each modality has cases of its own: Cov1 = Cov3 = 0.",
        [EV_DESIGN_READERS_IN_TREATMENT] = "Each reader works in one modality: readers are nested within modalities.",
    };
    if (SAID[t->o->merit->design]) ev_report_method(t->r, SAID[t->o->merit->design], NULL);
    if (t->o->merit->design != EV_DESIGN_CROSSED) ev_report_source(t->r, "Hillis SL. Stat Med 2014;33:330-360");
}

static void tell_rockette(struct telling *t) {
    ev_report_method(t->r, "Obuchowski and Rockette's analysis of {0} readers in {1} modalities.", number(t, t->o->merit->readers),
                     number(t, t->o->merit->treatments), NULL);
    say_design(t);
    tell_merits(t);
    tell_components(t);
    tell_analyses(t);
    ev_report_source(t->r, "Obuchowski NA, Rockette HE. Commun Stat Simul Comput 1995;24:285-308");
    ev_report_source(t->r, "Hillis SL. Stat Med 2007;26:596-619");
}

static void tell_dbm(struct telling *t) {
    struct ev_dbm d = ev_dbm_of(t->o);
    const struct {
        const char *name;
        double value;
    } table[] = {{"MS(T)", d.ms_t},      {"MS(R)", d.ms_r},       {"MS(C)", d.ms_c},          {"MS(T*R)", d.ms_tr}, {"MS(T*C)", d.ms_tc},
                 {"MS(R*C)", d.ms_rc},   {"MS(T*R*C)", d.ms_trc}, {"Var(R)", d.var_r},        {"Var(C)", d.var_c},  {"Var(T*R)", d.var_tr},
                 {"Var(T*C)", d.var_tc}, {"Var(R*C)", d.var_rc},  {"Var(Error)", d.var_error}};
    ev_report_group(t->r, "DBM");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) tell_value(t, table[i].name, table[i].value, "one modality or one reader only");
    ev_report_method(
        t->r, "Dorfman, Berbaum and Metz' analysis of variance of pseudovalues; with jackknife covariances its tests are those of Obuchowski and Rockette.",
        NULL);
    if (!t->request->rockette) tell_analyses(t);
    ev_report_source(t->r, "Hillis SL, Obuchowski NA, Schartz KM, Berbaum KS. Stat Med 2005;24:1579-1607");
}

static void tell_plan(struct telling *t) {
    const struct ev_plan_request *p = &t->request->plan;
    struct ev_or_plan plan = ev_or_plan_of(t->o);
    double readers = p->readers > 0 ? p->readers : t->o->merit->readers, cases = p->cases > 0 ? p->cases : t->o->merit->cases;
    double effect = isnan(p->effect) ? t->o->treatment_mean[0] - t->o->treatment_mean[t->o->merit->treatments > 1] : p->effect;
    for (unsigned g = 0; g < 3; g++) {
        if (!t->request->generalise[g]) continue;
        struct ev_power x = ev_or_power(&plan, (enum ev_generalise)g, readers, cases, effect, p->alpha);
        ev_report_group(t->r, "%s, J = %g, K = %g", KINDS[g], readers, cases);
        tell_value(t, "Power", x.power, "no variance to test against");
        tell_value(t, "Noncentrality", x.ncp, "no variance to test against");
        tell_value(t, "df2", x.df2, "no variance to test against");
        unsigned need = ev_or_cases(&plan, (enum ev_generalise)g, readers, effect, p->alpha, p->power);
        tell_value(t, "Cases needed", need ? (double)need : (double)NAN, "no number of cases gives that power");
        need = ev_or_readers(&plan, (enum ev_generalise)g, cases, effect, p->alpha, p->power);
        tell_value(t, "Readers needed", need ? (double)need : (double)NAN, "no number of readers gives that power");
    }
    ev_report_method(t->r, "Power for a difference of {0} at a significance level of {1}; the numbers needed are for a power of {2}.", number(t, effect),
                     number(t, p->alpha), number(t, p->power), NULL);
    ev_report_source(t->r, "Hillis SL, Obuchowski NA, Berbaum KS. Acad Radiol 2011;18:129-142");
}

// ---- U-statistics ----

static void tell_ustat_result(struct telling *t, const char *name, const struct ev_ustat_result *x) {
    if (!(x->variance > 0)) {
        ev_report_value(t->r, name, x->value);
        if (isnan(x->variance))
            ev_report_none(t->r, "Variance", "one reader or one case of a class only");
        else
            ev_report_value(t->r, "Variance", x->variance);
        ev_report_none(t->r, "p-value", x->variance == 0 ? "no variance to test against" : "the variance is negative or not known");
        return;
    }
    ev_report_estimate(t->r, name, x->value, sqrt(x->variance), x->lo, x->hi);
    ev_report_value(t->r, "Variance", x->variance);
    ev_report_value(t->r, "df", x->df);
    ev_report_value(t->r, "p-value", x->p);
    ev_report_value(t->r, "p-value, normal", x->p_normal);
}

static void tell_ustat_components(struct telling *t, const struct ev_ustat *x) {
    static const char *const NAMES[EV_BCK_COUNT] = {"BCK N", "BCK D", "BCK ND", "BCK R", "BCK NR", "BCK DR", "BCK RND"};
    for (unsigned i = 0; i < EV_BCK_COUNT; i++) tell_value(t, NAMES[i], x->component[i], "no two readings share this");
}

// components: of one modality; NULL: of a difference.
static void tell_both(struct telling *t, const char *heading, const struct ev_ustat *components, const struct ev_ustat_result *u,
                      const struct ev_ustat_result *m) {
    const char *name = components ? "AUC" : "Difference";
    ev_report_group(t->r, "U: %s", heading);
    tell_ustat_result(t, name, u);
    if (components) tell_ustat_components(t, components);
    if (u->variance < 0)
        ev_report_warn(
            t->r, "{0}: the unbiased variance is negative ({1}); no test is made of it. The MLE variance below is never negative, but too large on average.",
            heading, number(t, u->variance), NULL);
    ev_report_group(t->r, "MLE: %s", heading);
    tell_ustat_result(t, name, m);
}

static bool tell_ustat_difference(struct telling *t, const struct ev_study *s, const struct ev_ustat *all, unsigned i, unsigned k) {
    struct ev_ustat both;
    if (!ev_ustat_pair(t->a, s, i, k, &both, t->e)) return false;
    struct ev_ustat_result u = ev_ustat_difference(&all[i], &all[k], &both, false, t->request->level);
    struct ev_ustat_result m = ev_ustat_difference(&all[i], &all[k], &both, true, t->request->level);
    const char *heading = arena_printf(t->a, t->e, "%.*s - %.*s", STR_FMT(s->treatment[i]), STR_FMT(s->treatment[k]));
    if (heading) tell_both(t, heading, NULL, &u, &m);
    return heading;
}

static bool tell_ustats(struct telling *t, const struct ev_study *s) {
    struct ev_ustat *all = arena_zero(t->a, s->treatments, sizeof *all, t->e);
    if (!all) return false;
    for (unsigned i = 0; i < s->treatments; i++) {
        if (!ev_ustat_pair(t->a, s, i, i, &all[i], t->e)) return false;
        struct ev_ustat_result u = ev_ustat_single(&all[i], false, t->request->level), m = ev_ustat_single(&all[i], true, t->request->level);
        const char *heading = arena_strz(t->a, s->treatment[i], t->e);
        if (!heading) return false;
        tell_both(t, heading, &all[i], &u, &m);
    }
    for (unsigned i = 0; i < s->treatments; i++)
        for (unsigned k = i + 1; k < s->treatments; k++)
            if (!tell_ustat_difference(t, s, all, i, k)) return false;
    ev_report_method(t->r, "U-statistics over readers, diseased and normal cases; any pattern of who read what is taken.", NULL);
    ev_report_method(
        t->r, "Their t tests have degrees of freedom rounded down (BDG), above 50 the normal distribution. MLE: variances of the empirical distribution.",
        NULL);
    if (!ev_study_complete(s) && s->design == EV_DESIGN_CROSSED)
        ev_report_warn(
            t->r, "Readings are missing: where they miss at random, U-statistics rejected up to 9 of 100 true equalities at 0.05 in our simulations.", NULL);
    ev_report_source(t->r, "Gallas BD, Bandos A, Samuelson FW, Wagner RF. Commun Stat Theory Methods 2009;38:2586-2603");
    ev_report_source(t->r, "Gallas BD, Brown DG. Neural Networks 2008;21:387-397");
    return true;
}

// ---- both kinds ----

static void say_metric(struct telling *t, const struct ev_study *s, const struct ev_merit_options *m) {
    static const char *const SAID[] = {[EV_COV_JACKKNIFE] = "Covariances by the jackknife over cases.",
                                       [EV_COV_DELONG] = "Covariances by DeLong's method.",
                                       [EV_COV_UNBIASED] = "Unbiased covariances by U-statistics."};
    const char *truth = arena_strz(t->a, s->positive, NULL);
    if (m->metric == EV_METRIC_AUC)
        ev_report_method(t->r, "Figure of merit: area under the empirical ROC curve; the truth {0} means diseased, greater ratings speak for it.",
                         truth ? truth : "", NULL);
    else
        ev_report_method(t->r,
                         m->metric == EV_METRIC_SENSITIVITY ? "Figure of merit: sensitivity at ratings of {0} and above."
                                                            : "Figure of merit: specificity at ratings below {0}.",
                         number(t, m->cut), NULL);
    ev_report_method(t->r, SAID[m->covariance], NULL);
    if (m->covariance == EV_COV_DELONG) ev_report_source(t->r, "DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 1988;44:837-845");
    if (m->covariance == EV_COV_UNBIASED) ev_report_source(t->r, "Gallas BD, Pennello GA, Myers KJ. J Opt Soc Am A 2007;24:B70-B80");
}

static void tell_size(struct telling *t, unsigned readers, unsigned modalities, unsigned diseased, unsigned normal) {
    t->least = diseased < normal ? diseased : normal;
    ev_report_value(t->r, "Readers", readers);
    ev_report_value(t->r, "Modalities", modalities);
    ev_report_value(t->r, "Cases with disease", diseased);
    ev_report_value(t->r, "Cases without disease", normal);
    if (diseased < FEW_CASES || normal < FEW_CASES)
        ev_report_warn(t->r, "Fewer than {0} cases of one class: intervals may not cover as they say.", number(t, FEW_CASES), NULL);
}

static bool rockette_or_dbm(struct telling *t, const struct ev_merit *m) {
    struct ev_or o;
    if (!ev_or_analyse(t->a, m, &o, t->e)) return false;
    t->o = &o;
    if (t->request->rockette) tell_rockette(t);
    if (t->request->dbm) tell_dbm(t);
    if (t->request->plan.wanted) tell_plan(t);
    t->o = NULL;
    return true;
}

bool ev_mrmc_report(struct arena *a, const struct ev_study *s, const struct ev_merit_options *merit, const struct ev_mrmc_request *request, struct ev_report *r,
                    struct err *e) {
    struct telling t = {.a = a, .r = r, .request = request, .treatment = s->treatment, .reader = s->reader, .e = e};
    ev_report_init(r, a, "Multi-reader multi-case analysis", request->level);
    tell_size(&t, s->readers, s->treatments, s->diseased_count, s->cases - s->diseased_count);
    if (request->rockette || request->dbm || request->plan.wanted) {
        struct ev_merit m;
        if (request->dbm && (merit->covariance != EV_COV_JACKKNIFE || !ev_study_complete(s)))
            return err_set(e, ERR_USAGE, "evidence", "the analysis of pseudovalues (DBM) is for complete crossed studies with jackknife covariances");
        say_metric(&t, s, merit);
        if (!ev_study_complete(s) && s->design == EV_DESIGN_CROSSED)
            ev_report_warn(
                r, "Not every reader read every case in every modality: each figure of merit is over the cases that were read; U-statistics are made for this.",
                NULL);
        if (!ev_merit_of(a, s, merit, &m, e) || !rockette_or_dbm(&t, &m)) return false;
    }
    if (request->ustat && !tell_ustats(&t, s)) return false;
    return ev_report_ok(r, e);
}

static const char *said_of_froc(enum ev_froc_merit m) {
    static const char *const SAID[EV_FROC_MERITS] = {
        [EV_FROC_WAFROC] = "Figure of merit: wAFROC, lesions by weight against the highest mark off lesions of each normal case.",
        [EV_FROC_WAFROC1] = "Figure of merit: wAFROC1, lesions by weight against the highest mark off lesions of each case.",
        [EV_FROC_AFROC] = "Figure of merit: AFROC, lesions alike against the highest mark off lesions of each normal case.",
        [EV_FROC_AFROC1] = "Figure of merit: AFROC1, lesions alike against the highest mark off lesions of each case.",
        [EV_FROC_HRAUC] = "Figure of merit: area under the ROC curve inferred from the highest rating of each case.",
        [EV_FROC_HRSE] = "Figure of merit: share of diseased cases with a mark.",
        [EV_FROC_HRSP] = "Figure of merit: share of normal cases without a mark.",
        [EV_FROC_MAXLLF] = "Figure of merit: share of lesions that are marked.",
        [EV_FROC_MAXNLF] = "Figure of merit: marks off lesions per normal case.",
        [EV_FROC_MAXNLF_ALL] = "Figure of merit: marks off lesions per case.",
    };
    return SAID[m];
}

bool ev_froc_report(struct arena *a, const struct ev_froc *f, enum ev_froc_merit merit, const struct ev_mrmc_request *request, struct ev_report *r,
                    struct err *e) {
    struct telling t = {.a = a, .r = r, .request = request, .treatment = f->treatment, .reader = f->reader, .e = e};
    struct ev_merit m;
    ev_report_init(r, a, "Free-response analysis", request->level);
    tell_size(&t, f->readers, f->treatments, f->diseased, f->cases - f->diseased);
    ev_report_value(r, "Lesions", f->lesions);
    ev_report_method(r, said_of_froc(merit), NULL);
    ev_report_method(r, "A case without a mark has the rating minus infinity. Covariances by the jackknife over cases.", NULL);
    ev_report_source(r, "Chakraborty DP, Berbaum KS. Med Phys 2004;31:2313-2330");
    ev_report_source(r, "Chakraborty DP. Observer Performance Methods for Diagnostic Imaging. CRC Press 2017");
    return ev_froc_merits(a, f, merit, &m, e) && rockette_or_dbm(&t, &m) && ev_report_ok(r, e);
}
