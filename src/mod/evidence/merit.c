// Figures of merit of a reader study and their covariances: jackknife, DeLong, unbiased.
#include <math.h>

#include "math/sums.h"
#include "mod/evidence/mrmc.h"
#include "mod/evidence/reading.h"

struct work {
    struct arena *a;
    const struct ev_study *s;
    const struct ev_merit_options *o;
    struct ev_merit *out;
    unsigned groups;
    struct ev_reading *reading; // by group
    struct err *e;
};

static const double *scores_of(const struct work *w, unsigned group) {
    return w->s->score + (size_t)group * w->s->cases;
}

static bool refuse_group(const struct work *w, unsigned group, const char *what) {
    return err_set(w->e, ERR_BAD_INPUT, "evidence", "reader \"%.*s\" in modality \"%.*s\" %s", STR_FMT(w->s->reader[group % w->s->readers]),
                   STR_FMT(w->s->treatment[group / w->s->readers]), what);
}

static bool all_areas(struct work *w) {
    if (!(w->reading = arena_zero(w->a, w->groups, sizeof *w->reading, w->e))) return false;
    for (unsigned g = 0; g < w->groups; g++) {
        if (!ev_reading_of(w->a, w->s, g / w->s->readers, g % w->s->readers, &w->reading[g], w->e)) return false;
        const struct ev_pairs *p = &w->reading[g].pairs;
        w->out->theta[g] = ev_pairs_area(p);
        if (p->f_count + p->t_count == 0 && w->out->design == EV_DESIGN_READERS_IN_TREATMENT) continue;
        if (p->f_count + p->t_count == 0) return refuse_group(w, g, "has read no case");
        if (p->f_count == 0 || p->t_count == 0) return refuse_group(w, g, p->f_count ? "has read no case with disease" : "has read no case without disease");
    }
    return true;
}

bool ev_jackknife_covariance(struct arena *a, const double *value, unsigned cases, unsigned groups, double *cov, struct err *e) {
    if (cases < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "the jackknife needs two cases at least");
    struct arena_mark m = arena_mark(a);
    double *mean = arena_zero(a, groups, sizeof *mean, e), *d = arena_zero(a, groups, sizeof *d, e);
    if (!mean || !d) return false;
    for (size_t k = 0; k < cases; k++)
        for (unsigned g = 0; g < groups; g++) mean[g] += value[k * groups + g];
    for (unsigned g = 0; g < groups; g++) mean[g] /= cases;
    for (size_t g = 0; g < (size_t)groups * groups; g++) cov[g] = 0;
    for (size_t k = 0; k < cases; k++) {
        for (unsigned g = 0; g < groups; g++) d[g] = value[k * groups + g] - mean[g];
        for (unsigned g = 0; g < groups; g++)
            for (unsigned h = g; h < groups; h++) cov[(size_t)g * groups + h] += d[g] * d[h];
    }
    double factor = (cases - 1.0) / cases;
    for (unsigned g = 0; g < groups; g++)
        for (unsigned h = g; h < groups; h++) cov[(size_t)h * groups + g] = cov[(size_t)g * groups + h] *= factor;
    arena_rewind(a, m);
    return true;
}

static bool jackknife_areas(struct work *w) {
    unsigned n = w->s->cases;
    double *value = arena_zero(w->a, (size_t)n * w->groups, sizeof *value, w->e);
    if (!value) return false;
    for (unsigned g = 0; g < w->groups; g++) {
        const struct ev_pairs *p = &w->reading[g].pairs;
        if (p->f_count == 1 || p->t_count == 1)
            return refuse_group(w, g, p->f_count == 1 ? "has read one case without disease: two are needed" : "has read one case with disease: two are needed");
        if (!ev_pairs_jackknife(w->a, p, n, value + g, w->groups, w->e)) return false;
    }
    return ev_jackknife_covariance(w->a, value, n, w->groups, w->out->cov, w->e);
}

// DeLong et al. 1988, equations 4 to 6: covariances of the placement values of each class.
static bool delong(struct work *w) {
    if (!ev_study_complete(w->s))
        return err_set(w->e, ERR_UNSUPPORTED, "evidence",
                       "DeLong's covariances need every reader to have read every case in every modality: use jackknife or unbiased");
    const struct ev_pairs *first = &w->reading[0].pairs;
    double f = first->f_count, t = first->t_count;
    if (f < 2 || t < 2) return err_set(w->e, ERR_BAD_INPUT, "evidence", "two cases of each class are needed");
    for (unsigned g = 0; g < w->groups; g++) {
        for (unsigned h = g; h < w->groups; h++) {
            const struct ev_pairs *p = &w->reading[g].pairs, *q = &w->reading[h].pairs;
            double v10 = sums_covariance(p->t_sum, q->t_sum, p->t_count) / (f * f), v01 = sums_covariance(p->f_sum, q->f_sum, p->f_count) / (t * t);
            w->out->cov[(size_t)g * w->groups + h] = w->out->cov[(size_t)h * w->groups + g] = v10 / t + v01 / f;
        }
    }
    return true;
}

// The covariance of two areas without bias: their product less its estimate from pairs that share no case (Gallas, Pennello and Myers 2007; here for any pattern of who read what).
static bool unbiased_pair(const struct work *w, unsigned g, unsigned h, double *out) {
    struct ev_products hits, n = ev_reading_counts(&w->reading[g], &w->reading[h]);
    if (!ev_reading_products(w->a, &w->reading[g], &w->reading[h], &hits, w->e)) return false;
    double apart = hits.both - hits.diseased - hits.normal + hits.any, pairs = n.both - n.diseased - n.normal + n.any;
    *out = pairs > 0 ? w->out->theta[g] * w->out->theta[h] - apart / pairs : NAN;
    if (pairs > 0 || isnan(w->out->theta[g]) || isnan(w->out->theta[h])) return true;
    return refuse_group(w, g, "has read too few cases: two of each class are needed");
}

static bool unbiased(struct work *w) {
    for (unsigned g = 0; g < w->groups; g++) {
        for (unsigned h = g; h < w->groups; h++) {
            double *at = &w->out->cov[(size_t)g * w->groups + h];
            if (!unbiased_pair(w, g, h, at)) return false;
            w->out->cov[(size_t)h * w->groups + g] = *at;
        }
    }
    return true;
}

// A share of one class: the jackknife is over the cases of that class, and deleting a case that the group has not read changes nothing.
static void share(const struct work *w, unsigned g, bool diseased, double *value, double *theta, unsigned *read) {
    const double *x = scores_of(w, g);
    double hits = 0, n = 0;
    for (unsigned c = 0; c < w->s->cases; c++) {
        if (w->s->diseased[c] != diseased || isnan(x[c])) continue;
        n++;
        hits += (x[c] >= w->o->cut) == diseased;
    }
    *theta = n > 0 ? hits / n : NAN;
    *read = (unsigned)n;
    size_t k = 0;
    for (unsigned c = 0; c < w->s->cases; c++) {
        if (w->s->diseased[c] != diseased) continue;
        value[k++ * w->groups + g] = isnan(x[c]) ? *theta : (hits - ((x[c] >= w->o->cut) == diseased)) / (n - 1);
    }
}

static bool shares(struct work *w) {
    if (w->o->covariance != EV_COV_JACKKNIFE)
        return err_set(w->e, ERR_UNSUPPORTED, "evidence", "sensitivity and specificity are analysed with jackknife covariances only");
    bool diseased = w->o->metric == EV_METRIC_SENSITIVITY;
    unsigned n = diseased ? w->s->diseased_count : w->s->cases - w->s->diseased_count;
    double *value = arena_zero(w->a, (size_t)n * w->groups, sizeof *value, w->e);
    if (!value) return false;
    for (unsigned g = 0; g < w->groups; g++) {
        unsigned read;
        share(w, g, diseased, value, &w->out->theta[g], &read);
        if (read == 0 && w->out->design == EV_DESIGN_READERS_IN_TREATMENT) continue;
        if (read < 2) return refuse_group(w, g, diseased ? "has read fewer than two cases with disease" : "has read fewer than two cases without disease");
    }
    w->out->cases = n;
    return ev_jackknife_covariance(w->a, value, n, w->groups, w->out->cov, w->e);
}

bool ev_merit_of(struct arena *a, const struct ev_study *s, const struct ev_merit_options *o, struct ev_merit *out, struct err *e) {
    *out = (struct ev_merit){.treatments = s->treatments, .readers = s->readers, .cases = s->cases, .design = s->design};
    struct work w = {.a = a, .s = s, .o = o, .out = out, .groups = s->treatments * s->readers, .e = e};
    out->theta = arena_zero(a, w.groups, sizeof *out->theta, e);
    out->cov = arena_zero(a, (size_t)w.groups * w.groups, sizeof *out->cov, e);
    if (!out->theta || !out->cov) return false;
    if (o->metric != EV_METRIC_AUC) return shares(&w);
    if (!all_areas(&w)) return false;
    switch (o->covariance) {
    case EV_COV_DELONG:
        return delong(&w);
    case EV_COV_UNBIASED:
        return unbiased(&w);
    default:
        return jackknife_areas(&w);
    }
}
