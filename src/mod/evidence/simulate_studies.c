// Simulated studies through the same functions that analyse real ones.
#include "mod/evidence/simulate_studies.h"

#include <math.h>

#include "math/dist.h"
#include "mod/evidence/roc.h"
#include "mod/evidence/ustat.h"

// One design, drawn again and again into the same arrays.
struct bench {
    struct arena *arena;
    const struct ev_sim_readers *model;
    const struct ev_sim_studies *plan;
    struct ev_sim_readers_truth truth;
    double *score;
    uint8_t *diseased;
    size_t cases;
    struct ev_study study;
    struct ev_sim_tally *tally;
};

static bool bench_init(struct bench *b, struct arena *a, const struct ev_sim_readers *m, const struct ev_sim_studies *s, struct err *e) {
    *b = (struct bench){.arena = a, .model = m, .plan = s, .cases = (size_t)m->normals + m->diseased};
    size_t names = b->cases > m->readers ? b->cases : m->readers;
    struct str *name = arena_zero(a, names + EV_SIM_TREATMENTS_MAX, sizeof *name, e);
    b->score = arena_alloc(a, m->treatments * m->readers * b->cases * sizeof *b->score, e);
    b->diseased = arena_zero(a, b->cases, 1, e);
    if (!name || !b->score || !b->diseased) return false;
    for (size_t k = m->normals; k < b->cases; k++) b->diseased[k] = 1;
    for (size_t i = 0; i < names + EV_SIM_TREATMENTS_MAX; i++) name[i] = STR_LIT("simulated");
    ev_sim_readers_truth(m, &b->truth);
    b->study = (struct ev_study){.treatments = m->treatments,
                                 .readers = m->readers,
                                 .cases = (unsigned)b->cases,
                                 .treatment = name,
                                 .reader = name,
                                 .subject = name,
                                 .diseased = b->diseased,
                                 .diseased_count = m->diseased,
                                 .score = b->score,
                                 .positive = STR_LIT("1"),
                                 .negative = STR_LIT("0"),
                                 .design = EV_DESIGN_CROSSED};
    return true;
}

static bool wants(const struct bench *b, enum ev_sim_analysis from, enum ev_sim_analysis to) {
    for (int i = from; i <= (int)to; i++)
        if (b->plan->wanted[i]) return true;
    return false;
}

static bool of_difference(enum ev_sim_analysis which) {
    return which == EV_SIM_PAIRED || which == EV_SIM_RRRC || which == EV_SIM_FRRC || which == EV_SIM_RRFC || which == EV_SIM_USTAT;
}

static double truth_of(const struct ev_sim_readers_truth *t, enum ev_sim_analysis which) {
    return of_difference(which) ? t->auc[0] - t->auc[1] : t->auc[0];
}

static double true_variance_of(const struct ev_sim_readers_truth *t, enum ev_sim_analysis which) {
    return of_difference(which) ? t->cov[0][0] + t->cov[1][1] - 2 * t->cov[0][1] : t->cov[0][0];
}

// p NaN: there is no test (an area alone).
static void note(struct bench *b, enum ev_sim_analysis which, double value, double variance, double lo, double hi, double p) {
    struct ev_sim_tally *t = &b->tally[which];
    double truth = truth_of(&b->truth, which);
    if (!b->plan->wanted[which]) return;
    t->estimate += value; // sums until the end
    t->variance += variance;
    if (isnan(lo) || isnan(hi)) return;
    t->studies++;
    t->covered += lo <= truth && truth <= hi;
    t->rejected += p < 1 - b->plan->level;
}

static bool analyse_tests(struct bench *b, struct err *e) {
    const double *score[EV_SIM_TREATMENTS_MAX];
    struct ev_delong d;
    unsigned tests = b->model->treatments;
    if (!wants(b, EV_SIM_AUC_WALD, EV_SIM_PAIRED)) return true;
    for (unsigned i = 0; i < tests; i++) score[i] = b->score + i * b->cases;
    if (!ev_delong(b->arena, tests, score, b->diseased, b->cases, &d, e)) return false;
    struct ev_auc w = ev_auc_of(d.auc[0], d.covariance[0], EV_AUC_WALD, b->plan->level), l = ev_auc_of(d.auc[0], d.covariance[0], EV_AUC_LOGIT, b->plan->level);
    note(b, EV_SIM_AUC_WALD, w.auc, d.covariance[0], w.lo, w.hi, NAN);
    note(b, EV_SIM_AUC_LOGIT, l.auc, d.covariance[0], l.lo, l.hi, NAN);
    if (tests < 2 || !b->plan->wanted[EV_SIM_PAIRED]) return true;
    struct ev_auc_test p = ev_auc_paired(&d, 0, 1, b->plan->level);
    note(b, EV_SIM_PAIRED, p.difference, p.se * p.se, p.lo, p.hi, p.p);
    return true;
}

static bool analyse_rockette(struct bench *b, struct err *e) {
    const struct ev_merit_options options = {.metric = EV_METRIC_AUC, .covariance = b->plan->covariance};
    struct ev_merit merit;
    struct ev_or o;
    if (!wants(b, EV_SIM_RRRC, EV_SIM_RRRC_FIRST)) return true;
    if (!ev_merit_of(b->arena, &b->study, &options, &merit, e) || !ev_or_analyse(b->arena, &merit, &o, e)) return false;
    for (int g = 0; g < 3 && b->model->treatments > 1; g++) {
        struct ev_estimate d = ev_or_difference(&o, (enum ev_generalise)g, 0, 1, b->plan->level);
        note(b, (enum ev_sim_analysis)(EV_SIM_RRRC + g), d.value, d.se * d.se, d.lo, d.hi, d.p);
    }
    struct ev_estimate first = ev_or_treatment(&o, EV_RRRC, 0, b->plan->level);
    note(b, EV_SIM_RRRC_FIRST, first.value, first.se * first.se, first.lo, first.hi, NAN);
    return true;
}

static bool analyse_ustat(struct bench *b, struct err *e) {
    struct ev_ustat x, y, xy;
    if (!wants(b, EV_SIM_USTAT, EV_SIM_USTAT_FIRST)) return true;
    if (!ev_ustat_pair(b->arena, &b->study, 0, 0, &x, e)) return false;
    struct ev_ustat_result first = ev_ustat_single(&x, false, b->plan->level);
    note(b, EV_SIM_USTAT_FIRST, first.value, first.variance, first.lo, first.hi, NAN);
    if (!b->plan->wanted[EV_SIM_USTAT] || b->model->treatments < 2) return true;
    if (!ev_ustat_pair(b->arena, &b->study, 1, 1, &y, e) || !ev_ustat_pair(b->arena, &b->study, 0, 1, &xy, e)) return false;
    struct ev_ustat_result d = ev_ustat_difference(&x, &y, &xy, false, b->plan->level);
    note(b, EV_SIM_USTAT, d.value, d.variance, d.lo, d.hi, d.p);
    return true;
}

static bool check(const struct ev_sim_readers *m, const struct ev_sim_studies *s, struct err *e) {
    if (!ev_sim_readers_check(m, e)) return false;
    if (s->studies < 1 || s->studies > EV_SIM_STUDIES_MAX) return err_set(e, ERR_USAGE, "evidence", "from 1 to %d studies are simulated", EV_SIM_STUDIES_MAX);
    for (int i = 0; i < EV_SIM_ANALYSES; i++) {
        if (!s->wanted[i]) continue;
        if (i <= EV_SIM_PAIRED && m->readers != 1) return err_set(e, ERR_USAGE, "evidence", "an analysis of tests needs data without readers");
        if (i > EV_SIM_PAIRED && m->readers < 2) return err_set(e, ERR_USAGE, "evidence", "an analysis of readers needs two of them");
        if (of_difference((enum ev_sim_analysis)i) && m->treatments < 2) return err_set(e, ERR_USAGE, "evidence", "a difference needs two modalities or tests");
    }
    return true;
}

bool ev_sim_studies_run(struct arena *a, const struct ev_sim_readers *m, const struct ev_sim_studies *s, struct ev_sim_tally tally[EV_SIM_ANALYSES],
                        struct err *e) {
    struct arena_mark start = arena_mark(a);
    struct bench b;
    struct rng r;
    for (int i = 0; i < EV_SIM_ANALYSES; i++) tally[i] = (struct ev_sim_tally){0};
    if (!check(m, s, e) || !bench_init(&b, a, m, s, e)) return false;
    b.tally = tally;
    rng_seed(&r, s->seed);
    for (unsigned k = 0; k < s->studies; k++) {
        struct arena_mark mark = arena_mark(a);
        if (!ev_sim_readers_draw(a, m, &b.truth, &r, b.score, e) || !analyse_tests(&b, e) || !analyse_rockette(&b, e) || !analyse_ustat(&b, e)) return false;
        arena_rewind(a, mark);
    }
    for (int i = 0; i < EV_SIM_ANALYSES; i++) {
        tally[i].estimate /= s->studies;
        tally[i].variance /= s->studies;
        tally[i].truth = truth_of(&b.truth, (enum ev_sim_analysis)i);
        tally[i].true_variance = true_variance_of(&b.truth, (enum ev_sim_analysis)i);
    }
    arena_rewind(a, start);
    return true;
}

// ---- the report ----

static const char *const NAMES[EV_SIM_ANALYSES] = {
    [EV_SIM_AUC_WALD] = "AUC, DeLong, symmetric interval",
    [EV_SIM_AUC_LOGIT] = "AUC, DeLong, logit interval",
    [EV_SIM_PAIRED] = "Paired difference, DeLong",
    [EV_SIM_RRRC] = "Difference, Obuchowski-Rockette, random readers and cases",
    [EV_SIM_FRRC] = "Difference, Obuchowski-Rockette, these readers",
    [EV_SIM_RRFC] = "Difference, Obuchowski-Rockette, these cases",
    [EV_SIM_RRRC_FIRST] = "AUC of the first modality, Obuchowski-Rockette",
    [EV_SIM_USTAT] = "Difference, U-statistics",
    [EV_SIM_USTAT_FIRST] = "AUC of the first modality, U-statistics",
};

// Wilson 1927: of the simulation itself, at 95 %.
static void add_share(struct ev_report *r, const char *name, unsigned of, unsigned n) {
    double z = dist_norm_quantile(0.975, false), p = (double)of / n, middle = (p + z * z / (2.0 * n)) / (1 + z * z / n);
    double half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4.0 * n * n));
    ev_report_estimate(r, name, p, sqrt(p * (1 - p) / n), middle - half, middle + half);
}

static bool off(unsigned of, unsigned n, double nominal) {
    return fabs((double)of / n - nominal) > 3 * sqrt(nominal * (1 - nominal) / n);
}

static void report_one(struct ev_report *r, const char *name, const struct ev_sim_tally *t, unsigned studies, double level, bool test) {
    ev_report_group(r, "%s", name);
    ev_report_value(r, "True value", t->truth);
    ev_report_value(r, "Mean of estimates", t->estimate);
    ev_report_value(r, "Root of the mean variance", sqrt(fmax(0, t->variance)));
    if (!isnan(t->true_variance)) ev_report_value(r, "True standard error", sqrt(t->true_variance));
    if (t->studies < studies) ev_report_value(r, "Studies without an interval", studies - t->studies);
    if (!t->studies) return;
    add_share(r, "Coverage", t->covered, t->studies);
    if (test) add_share(r, "Rejections", t->rejected, t->studies);
    if (off(t->covered, t->studies, level)) ev_report_warn(r, "{0}: the intervals do not keep their level in this design.", name, (const char *)NULL);
    if (test && t->truth == 0 && off(t->rejected, t->studies, 1 - level))
        ev_report_warn(r, "{0}: the test does not keep its level in this design.", name, (const char *)NULL);
}

void ev_sim_studies_report(struct ev_report *r, const struct ev_sim_readers *m, const struct ev_sim_studies *s,
                           const struct ev_sim_tally tally[EV_SIM_ANALYSES]) {
    const char *count = arena_printf(r->arena, NULL, "%u", s->studies);
    for (int i = 0; i < EV_SIM_ANALYSES; i++)
        if (s->wanted[i]) report_one(r, NAMES[i], &tally[i], s->studies, s->level, of_difference((enum ev_sim_analysis)i));
    ev_report_group(r, "%s", "");
    ev_report_method(r, "{0} studies were drawn from the model of Roe and Metz and analysed each.", count ? count : "", (const char *)NULL);
    ev_report_method(r, "Intervals of shares are Wilson's at 95%, of the simulation.", (const char *)NULL);
    if (m->categories) ev_report_method(r, "Scores were cut into categories; the true areas are those of the categories.", (const char *)NULL);
    ev_report_source(r, "Roe CA, Metz CE. Acad Radiol 1997;4:298-303");
}
