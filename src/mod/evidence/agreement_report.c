// Agreement told as reports.
#include "mod/evidence/agreement_report.h"

#include <math.h>

#include "mod/evidence/icc.h"

enum { FEW_SUBJECTS = 30 };

// A number as text that stays alive; of no memory the report fails itself.
static const char *number(struct ev_report *r, double x) {
    const char *text = arena_printf(r->arena, NULL, "%.6g", x);
    if (!text) r->failed = true;
    return text ? text : "";
}

static const char *text_of(struct ev_report *r, struct str s) {
    const char *text = arena_strz(r->arena, s, NULL);
    if (!text) r->failed = true;
    return text ? text : "";
}

static void warn_few(struct ev_report *r, double subjects) {
    if (subjects < FEW_SUBJECTS) ev_report_warn(r, "Only {0} subjects: intervals from large-sample formulas may be too narrow.", number(r, subjects), NULL);
}

static void warn_left_out(struct ev_report *r, size_t left_out) {
    if (left_out) ev_report_warn(r, "{0} rows lack a value and were left out.", number(r, (double)left_out), NULL);
}

// ---- kappas ----

static const struct {
    enum ev_agreement_kind kind;
    const char *two, *many, *source;
} COEFFICIENTS[] = {
    {EV_AGREE_PERCENT, "Observed agreement", "Observed agreement", NULL},
    {EV_AGREE_COHEN, "Cohen's kappa", "Conger's kappa", "Cohen J. Educ Psychol Meas 1960;20:37-46"},
    {EV_AGREE_SCOTT, "Scott's pi", "Fleiss' kappa", "Fleiss JL. Psychol Bull 1971;76:378-382"},
    {EV_AGREE_GWET, "Gwet's AC1", "Gwet's AC1", "Gwet KL. Br J Math Stat Psychol 2008;61:29-48"},
    {EV_AGREE_BRENNAN, "Brennan-Prediger", "Brennan-Prediger", "Brennan RL, Prediger DJ. Educ Psychol Meas 1981;41:687-699"},
};

// The coefficient is told, or why there is none.
static bool tell_coefficient(struct arena *a, const struct ev_ratings *r, size_t which, const double *w, const double *table, double level,
                             struct ev_report *out, struct err *e) {
    struct ev_agreement x;
    struct err why = {0};
    bool two = table != NULL, weighted = which == 3 && r->categories > 1 && w[1] != 0;
    for (unsigned i = 0; i < r->categories * r->categories && !weighted; i++) weighted = which == 3 && w[i] != 0 && w[i] != 1;
    const char *name = weighted ? "Gwet's AC2" : two ? COEFFICIENTS[which].two : COEFFICIENTS[which].many;
    bool ok = two ? ev_agreement_table(COEFFICIENTS[which].kind, table, w, r->categories, level, &x, &why)
                  : ev_agreement_raters(a, COEFFICIENTS[which].kind, r, w, level, &x, &why);
    if (!ok && why.kind != ERR_BAD_INPUT) return err_set(e, why.kind, "evidence", "%s", why.message);
    if (!ok) {
        ev_report_none(out, name, "every rating falls into one category");
        return true;
    }
    ev_report_estimate(out, name, x.value, x.se, x.lo, x.hi);
    if (COEFFICIENTS[which].source) ev_report_source(out, COEFFICIENTS[which].source);
    if (two && COEFFICIENTS[which].kind == EV_AGREE_COHEN) {
        ev_report_value(out, "z", x.z);
        ev_report_value(out, "p-value", x.p);
    }
    return true;
}

static bool tell_krippendorff(struct arena *a, const struct ev_ratings *r, enum ev_level measured, double level, struct ev_report *out, struct err *e) {
    static const char *const NAMES[] = {"Krippendorff's alpha, nominal", "Krippendorff's alpha, ordinal", "Krippendorff's alpha, interval",
                                        "Krippendorff's alpha, ratio"};
    struct ev_agreement x;
    struct err why = {0};
    ev_report_source(out, "Krippendorff K. Computing Krippendorff's alpha-reliability. University of Pennsylvania, 2011");
    if (ev_krippendorff(a, measured, r, level, &x, &why)) {
        ev_report_estimate(out, NAMES[measured], x.value, x.se, x.lo, x.hi);
        return true;
    }
    if (why.kind != ERR_BAD_INPUT || measured >= EV_LEVEL_INTERVAL) return err_set(e, why.kind, "evidence", "%s", why.message);
    ev_report_none(out, NAMES[measured], "every rating falls into one category");
    return true;
}

// Tests of many raters that need every rating.
static bool tell_complete(struct arena *a, const struct ev_ratings *r, const double *w, bool weighted, double level, struct ev_report *out, struct err *e) {
    struct ev_agreement x;
    struct err why = {0};
    double light;
    for (size_t i = 0; i < r->subjects * r->raters; i++)
        if (r->of[i] < 0) return true;
    if (ev_light(a, r, w, &light, &why)) ev_report_value(out, "Light's kappa", light);
    if (why.kind && why.kind != ERR_BAD_INPUT) return err_set(e, why.kind, "evidence", "%s", why.message);
    double *by = arena_alloc(a, r->categories * sizeof *by, e);
    if (!by) return false;
    if (weighted || !ev_fleiss(a, r, level, &x, by, &why)) return true;
    ev_report_group(out, "Fleiss' kappa");
    ev_report_value(out, "z", x.z);
    ev_report_value(out, "p-value", x.p);
    for (unsigned k = 0; k < r->categories; k++) {
        ev_report_group(out, "%.*s", STR_FMT(r->names[k]));
        ev_report_value(out, "Kappa of the category", by[k]);
    }
    return true;
}

bool ev_kappa_report(struct arena *a, const struct ev_ratings *r, enum ev_weighting weighting, enum ev_level measured, double level, struct ev_report *out,
                     struct err *e) {
    double *table = NULL, *w = arena_alloc(a, (size_t)r->categories * r->categories * sizeof *w, e);
    size_t missing = 0;
    if (!w) return false;
    ev_weights(weighting, r->scores, r->categories, w);
    for (size_t i = 0; i < r->subjects * r->raters; i++) missing += r->of[i] < 0;
    if (r->raters == 2 && !ev_ratings_table(a, r, 0, 1, &table, e)) return false;
    ev_report_init(out, a, "Agreement of categories", level);
    ev_report_value(out, "Subjects", (double)r->subjects);
    ev_report_value(out, "Raters", r->raters);
    ev_report_value(out, "Categories", r->categories);
    for (size_t i = 0; i < sizeof COEFFICIENTS / sizeof *COEFFICIENTS; i++)
        if (!tell_coefficient(a, r, i, w, table, level, out, e)) return false;
    if (!tell_krippendorff(a, r, measured, level, out, e)) return false;
    if (!table && !tell_complete(a, r, w, weighting != EV_WEIGHT_IDENTITY, level, out, e)) return false;
    ev_report_method(out,
                     "Agreement beyond chance with {0} weights; standard errors by the delta method over subjects, intervals by Student's t with one degree of "
                     "freedom less than subjects.",
                     ev_weighting_name(weighting), NULL);
    ev_report_source(out, "Gwet KL. Handbook of Inter-Rater Reliability. 4th ed. Advanced Analytics, 2014");
    if (weighting != EV_WEIGHT_IDENTITY && !r->numeric)
        ev_report_warn(out, "The categories are words: weights follow their alphabetical order. Number them if that is not their order.", NULL);
    if (missing) ev_report_warn(out, "{0} ratings are missing; subjects count with the ratings that they have.", number(out, (double)missing), NULL);
    warn_few(out, (double)r->subjects);
    return ev_report_ok(out, e);
}

// ---- intraclass correlation ----

bool ev_icc_report(struct arena *a, const double *values, size_t subjects, unsigned raters, size_t left_out, double level, struct ev_report *out,
                   struct err *e) {
    struct ev_icc_study s;
    if (!ev_icc(values, subjects, raters, level, &s, e)) return false;
    ev_report_init(out, a, "Intraclass correlation", level);
    ev_report_value(out, "Subjects", (double)subjects);
    ev_report_value(out, "Raters", raters);
    for (int f = 0; f < EV_ICC_COUNT; f++) {
        const struct ev_icc *x = &s.form[f];
        ev_report_group(out, "%s", ev_icc_form_name((enum ev_icc_form)f));
        ev_report_estimate(out, "ICC", x->value, NAN, x->lo, x->hi);
        ev_report_value(out, "F", x->f);
        ev_report_value(out, "df1", x->df1);
        ev_report_value(out, "df2", x->df2);
        ev_report_value(out, "p-value", x->p);
    }
    ev_report_group(out, "ANOVA");
    ev_report_value(out, "Standard error of measurement", s.sem);
    ev_report_method(out, "Two-way analysis of variance; the six intraclass correlations of Shrout and Fleiss with the intervals of McGraw and Wong.", NULL);
    ev_report_source(out, "Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428");
    ev_report_source(out, "McGraw KO, Wong SP. Psychol Methods 1996;1:30-46");
    if (s.form[EV_ICC_1_1].value < 0)
        ev_report_warn(out, "A negative intraclass correlation: subjects differ less than the raters do about one of them.", NULL);
    warn_left_out(out, left_out);
    return ev_report_ok(out, e);
}

// ---- two methods ----

static void plot_pairs(struct arena *a, const struct ev_two_methods *m, const struct ev_bland_altman *b, struct ev_plot *plot) {
    double *mean = arena_alloc(a, (m->n + 1) * sizeof *mean, NULL), *d = mean ? arena_alloc(a, (m->n + 1) * sizeof *d, NULL) : NULL;
    ev_plot_init(plot, a, "Bland-Altman plot", "Mean of the two", "Difference");
    if (!d) {
        plot->failed = true;
        return;
    }
    for (size_t i = 0; i < m->n; i++) {
        double x = 0, y = 0, nx = 0, ny = 0; // the mean of each method's replicates
        for (unsigned j = 0; j < m->x_count; j++)
            if (!isnan(m->x[i * m->x_count + j])) x += (m->x[i * m->x_count + j] - x) / ++nx;
        for (unsigned j = 0; j < m->y_count; j++)
            if (!isnan(m->y[i * m->y_count + j])) y += (m->y[i * m->y_count + j] - y) / ++ny;
        mean[i] = x / 2 + y / 2;
        d[i] = x - y;
    }
    ev_plot_zone(plot, b->bias_lo, b->bias_hi, 0);
    ev_plot_zone(plot, b->loa_lo_lo, b->loa_lo_hi, 1);
    ev_plot_zone(plot, b->loa_hi_lo, b->loa_hi_hi, 1);
    ev_plot_add(plot, &(struct ev_series){.kind = EV_SERIES_DOTS, .x = mean, .y = d, .n = m->n, .colour = EV_COLOUR_INK});
    ev_plot_level(plot, "Bias", b->bias, 0, false);
    ev_plot_level(plot, "Upper limit", b->loa_hi, 1, true);
    ev_plot_level(plot, "Lower limit", b->loa_lo, 1, true);
}

static void tell_limits(struct ev_report *out, const struct ev_bland_altman *b) {
    ev_report_value(out, "Subjects", (double)b->subjects);
    if (b->pairs != b->subjects) ev_report_value(out, "Pairs", (double)b->pairs);
    ev_report_estimate(out, "Bias", b->bias, b->bias_se, b->bias_lo, b->bias_hi);
    ev_report_value(out, "SD of differences", b->sd);
    if (!isnan(b->within_sd)) {
        ev_report_value(out, "Within-subject SD of differences", b->within_sd);
        ev_report_value(out, "Between-subject SD of differences", b->between_sd);
    }
    ev_report_estimate(out, "Lower limit of agreement", b->loa_lo, NAN, b->loa_lo_lo, b->loa_lo_hi);
    ev_report_estimate(out, "Upper limit of agreement", b->loa_hi, NAN, b->loa_hi_lo, b->loa_hi_hi);
    if (isnan(b->slope)) return;
    ev_report_estimate(out, "Slope of difference on mean", b->slope, b->slope_se, NAN, NAN);
    if (!isnan(b->slope_p)) ev_report_value(out, "p-value of the slope", b->slope_p);
    if (b->slope_p < 0.05)
        ev_report_warn(out, "The difference changes with the size of the measurement (p = {0}): one pair of limits does not describe all sizes.",
                       number(out, b->slope_p), NULL);
}

bool ev_bland_altman_report(struct arena *a, const struct ev_two_methods *m, double level, struct ev_report *out, struct ev_plot *plot, struct err *e) {
    struct ev_bland_altman b;
    bool replicates = m->x_count > 1 || m->y_count > 1;
    if (replicates   ? !ev_bland_altman_replicates(a, m->x, m->x_count, m->y, m->y_count, m->n, m->multiplier, level, &b, e)
        : m->subject ? !ev_bland_altman_linked(a, m->x, m->y, m->subject, m->n, m->subjects, m->multiplier, level, &b, e)
                     : !ev_bland_altman(m->x, m->y, m->n, m->multiplier, level, &b, e))
        return false;
    ev_report_init(out, a, "Limits of agreement", level);
    ev_report_group(out, "%.*s - %.*s", STR_FMT(m->x_name), STR_FMT(m->y_name));
    tell_limits(out, &b);
    ev_report_method(out, "Bland-Altman analysis of {0} minus {1}: bias and limits of agreement at {2} standard deviations.", text_of(out, m->x_name),
                     text_of(out, m->y_name), number(out, m->multiplier), NULL);
    if (replicates)
        ev_report_method(
            out, "Replicates of each method with a constant true value: variances within subjects are added back; intervals of the limits by MOVER.", NULL);
    else if (m->subject)
        ev_report_method(
            out, "Repeated pairs of a subject: variance between and within subjects by one-way analysis of variance; intervals of the limits by MOVER.", NULL);
    ev_report_source(out, "Bland JM, Altman DG. Lancet 1986;327:307-310");
    ev_report_source(out, m->subject ? "Bland JM, Altman DG. J Biopharm Stat 2007;17:571-582" : "Bland JM, Altman DG. Stat Methods Med Res 1999;8:135-160");
    if (replicates || m->subject) ev_report_source(out, "Zou GY. Stat Methods Med Res 2013;22:630-642");
    warn_left_out(out, m->left_out);
    warn_few(out, (double)b.subjects);
    if (plot) plot_pairs(a, m, &b, plot);
    return ev_report_ok(out, e);
}

bool ev_concordance_report(struct arena *a, const struct ev_two_methods *m, double level, struct ev_report *out, struct err *e) {
    struct ev_concordance c;
    if (!ev_concordance(m->x, m->y, m->n, level, &c, e)) return false;
    ev_report_init(out, a, "Concordance", level);
    ev_report_group(out, "%.*s, %.*s", STR_FMT(m->x_name), STR_FMT(m->y_name));
    ev_report_value(out, "Pairs", (double)c.n);
    ev_report_estimate(out, "Lin's concordance correlation", c.ccc, c.se, c.lo, c.hi);
    ev_report_value(out, "Pearson correlation (precision)", c.pearson);
    ev_report_value(out, "Bias correction (accuracy)", c.bias_correction);
    ev_report_value(out, "Scale shift", c.scale_shift);
    ev_report_value(out, "Location shift", c.location_shift);
    ev_report_method(out, "Lin's concordance correlation coefficient with its interval by Fisher's z transform.", NULL);
    ev_report_source(out, "Lin LI. Biometrics 1989;45:255-268, corrected 2000;56:324-325");
    warn_left_out(out, m->left_out);
    warn_few(out, (double)c.n);
    return ev_report_ok(out, e);
}

bool ev_tost_report(struct arena *a, const struct ev_two_methods *m, double lower, double upper, double level, struct ev_report *out, struct err *e) {
    struct ev_tost t;
    if (!ev_tost_paired(a, m->x, m->y, m->n, lower, upper, level, &t, e)) return false;
    ev_report_init(out, a, "Equivalence of two methods", 2 * level - 1);
    ev_report_group(out, "%.*s - %.*s", STR_FMT(m->x_name), STR_FMT(m->y_name));
    ev_report_value(out, "Pairs", (double)m->n);
    ev_report_estimate(out, "Bias", t.estimate, t.se, t.lo, t.hi);
    ev_report_value(out, "Lower margin", lower);
    ev_report_value(out, "Upper margin", upper);
    ev_report_value(out, "p-value against the lower margin", t.p_lower);
    ev_report_value(out, "p-value against the upper margin", t.p_upper);
    ev_report_value(out, "p-value", t.p);
    ev_report_value(out, "Equivalent (1: yes)", t.equivalent);
    ev_report_method(out, "Two one-sided paired t tests of the mean difference against {0} and {1}, each at {2}.", number(out, lower), number(out, upper),
                     number(out, 1 - level), NULL);
    ev_report_source(out, "Schuirmann DJ. J Pharmacokinet Biopharm 1987;15:657-680");
    warn_left_out(out, m->left_out);
    return ev_report_ok(out, e);
}

// ---- repeatability ----

bool ev_repeatability_report(struct arena *a, const double *value, const uint32_t *subject, size_t n, size_t subjects, double level, struct ev_report *out,
                             struct err *e) {
    struct ev_repeatability r;
    if (!ev_repeatability(a, value, subject, n, subjects, level, &r, e)) return false;
    ev_report_init(out, a, "Repeatability", level);
    ev_report_value(out, "Subjects", (double)r.subjects);
    ev_report_value(out, "Degrees of freedom", r.df);
    ev_report_value(out, "Mean", r.mean);
    ev_report_estimate(out, "Within-subject SD", r.wsd, NAN, r.wsd_lo, r.wsd_hi);
    ev_report_estimate(out, "Repeatability coefficient", r.rc, NAN, r.rc_lo, r.rc_hi);
    if (isnan(r.wcv))
        ev_report_none(out, "Within-subject coefficient of variation", "a subject's mean is not above zero");
    else
        ev_report_estimate(out, "Within-subject coefficient of variation", r.wcv, NAN, r.wcv_lo, r.wcv_hi);
    ev_report_method(
        out, "Within-subject variance pooled over subjects; repeatability coefficient 1.96 sqrt(2) times its root; intervals by the chi-square distribution.",
        NULL);
    ev_report_source(out, "Raunig DL et al. Stat Methods Med Res 2015;24:27-67");
    if (r.df < 35)
        ev_report_warn(out, "Fewer than 35 degrees of freedom: QIBA asks for 35 subjects with a repeat each before a repeatability claim is made.", NULL);
    return ev_report_ok(out, e);
}
