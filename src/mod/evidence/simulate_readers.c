// Roe and Metz's readers: scores with variance of readers, cases and their interactions, and the true areas and errors.
#include <math.h>

#include "math/dist.h"
#include "math/special.h"
#include "mod/evidence/simulate.h"

bool ev_sim_readers_check(const struct ev_sim_readers *m, struct err *e) {
    const double variances[] = {m->var_r, m->var_tr, m->var_c, m->var_tc, m->var_rc, m->var_e};
    if (m->treatments < 1 || m->treatments > EV_SIM_TREATMENTS_MAX || m->readers < 1 || m->readers > EV_SIM_READERS_MAX)
        return err_set(e, ERR_USAGE, "evidence", "from 1 to %d modalities and from 1 to %d readers are simulated", EV_SIM_TREATMENTS_MAX, EV_SIM_READERS_MAX);
    if (m->normals < 1 || m->diseased < 1 || (uint64_t)m->treatments * m->readers * ((uint64_t)m->normals + m->diseased) > EV_SIM_CASES_MAX)
        return err_set(e, ERR_USAGE, "evidence", "at least one normal and one diseased case are simulated, and at most %d readings", EV_SIM_CASES_MAX);
    if (m->categories == 1 || m->categories > EV_SIM_CATEGORIES_MAX)
        return err_set(e, ERR_USAGE, "evidence", "from 2 to %d categories are simulated", EV_SIM_CATEGORIES_MAX);
    for (unsigned i = 0; i < m->treatments; i++)
        if (!(m->auc[i] > 0 && m->auc[i] < 1)) return err_set(e, ERR_USAGE, "evidence", "the true area of modality %u is not between 0 and 1", i + 1);
    for (unsigned i = 0; i < 6; i++)
        if (!(variances[i] >= 0 && variances[i] < 1e100)) return err_set(e, ERR_USAGE, "evidence", "a variance is negative");
    if (!(m->var_c + m->var_tc + m->var_rc + m->var_e > 0)) return err_set(e, ERR_USAGE, "evidence", "cases have no variance");
    return (m->ratio > 1e-3 && m->ratio < 1e3) || err_set(e, ERR_USAGE, "evidence", "the ratio of deviations is not between 0.001 and 1000");
}

static double reader_variance(const struct ev_sim_readers *m) {
    return m->var_r + m->var_tr;
}

static double case_variance(const struct ev_sim_readers *m) {
    return m->var_c + m->var_tc + m->var_rc + m->var_e;
}

// What divides the variances of diseased cases.
static double diseased_factor(const struct ev_sim_readers *m) {
    return 1 / (m->ratio * m->ratio);
}

// Of a diseased less a normal score.
static double difference_variance(const struct ev_sim_readers *m) {
    return 2 * reader_variance(m) + case_variance(m) * (1 + diseased_factor(m));
}

// Probability that two pairs of a normal and a diseased case are both in order; what they share is the same reader, normal case, diseased case.
static double both_in_order(const struct ev_sim_readers *m, const double *separation, unsigned i, unsigned k, const bool same[3]) {
    double v = difference_variance(m), cov = same[0] ? 2 * m->var_r : 0;
    double shared = m->var_c + (same[0] ? m->var_rc : 0);
    if (i == k) {
        cov += same[0] ? 2 * m->var_tr : 0;
        shared += m->var_tc + (same[0] ? m->var_e : 0);
    }
    cov += (same[1] ? shared : 0) + (same[2] ? shared * diseased_factor(m) : 0);
    return dist_norm2(separation[i] / sqrt(v), separation[k] / sqrt(v), fmin(1, cov / v));
}

// Covariance of areas averaged over readers: a mean over pairs of pairs, by what they share (Gallas 2006, Acad Radiol 13:353-362; Gallas and Hillis 2014, J Med Imaging 1:031006).
static double area_covariance(const struct ev_sim_readers *m, const struct ev_sim_readers_truth *t, unsigned i, unsigned k) {
    const double count[3] = {m->readers, m->normals, m->diseased};
    double sum = 0;
    for (unsigned pattern = 0; pattern < 8; pattern++) {
        bool same[3];
        double weight = 1;
        for (unsigned f = 0; f < 3; f++) {
            same[f] = pattern >> f & 1;
            weight *= (same[f] ? 1 : count[f] - 1) / count[f];
        }
        if (weight > 0) sum += weight * (both_in_order(m, t->separation, i, k, same) - m->auc[i] * m->auc[k]);
    }
    return sum;
}

// ---- categories ----

struct mixture {
    double separation, deviation[2], share;
};

static double mixture_at(double x, void *with) {
    const struct mixture *m = with;
    return (dist_norm(x / m->deviation[0], false) + dist_norm((x - m->separation) / m->deviation[1], false)) / 2 - m->share;
}

static void make_cuts(const struct ev_sim_readers *m, struct ev_sim_readers_truth *t) {
    struct mixture x = {t->separation[0], {t->deviation[0], t->deviation[1]}, 0};
    double far = 50 * (x.deviation[0] + x.deviation[1]) + fabs(x.separation);
    for (unsigned k = 1; k < m->categories; k++) {
        x.share = (double)k / m->categories;
        t->cut[k - 1] = special_root(mixture_at, &x, -far, far, 0);
    }
}

static double category_area(const struct ev_sim_readers *m, const struct ev_sim_readers_truth *t, unsigned i) {
    double area = 0, below0 = 0, below1 = 0;
    for (unsigned k = 0; k < m->categories; k++) {
        bool last = k + 1 == m->categories;
        double upto0 = last ? 1 : dist_norm(t->cut[k] / t->deviation[0], false);
        double upto1 = last ? 1 : dist_norm((t->cut[k] - t->separation[i]) / t->deviation[1], false);
        area += (upto1 - below1) * (below0 + upto0) / 2;
        below0 = upto0;
        below1 = upto1;
    }
    return area;
}

void ev_sim_readers_truth(const struct ev_sim_readers *m, struct ev_sim_readers_truth *out) {
    *out = (struct ev_sim_readers_truth){0};
    out->deviation[0] = sqrt(reader_variance(m) + case_variance(m));
    out->deviation[1] = sqrt(reader_variance(m) + case_variance(m) * diseased_factor(m));
    for (unsigned i = 0; i < m->treatments; i++) out->separation[i] = dist_norm_quantile(m->auc[i], false) * sqrt(difference_variance(m));
    if (m->categories) make_cuts(m, out);
    for (unsigned i = 0; i < m->treatments; i++) {
        out->auc[i] = m->categories ? category_area(m, out, i) : m->auc[i];
        for (unsigned k = 0; k < m->treatments; k++) out->cov[i][k] = m->categories ? NAN : area_covariance(m, out, i, k);
    }
}

// ---- drawing ----

static double category_of(const struct ev_sim_readers *m, const struct ev_sim_readers_truth *t, double x) {
    unsigned lo = 0, hi = m->categories - 1; // cuts below x
    while (lo < hi) {
        unsigned middle = (lo + hi) / 2;
        if (t->cut[middle] <= x)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo + 1;
}

// One case of all readers in all modalities. reader[treatment * readers + reader]: what readers add for this truth; factor: of case effects.
static void draw_case(const struct ev_sim_readers *m, struct rng *r, const double *reader, double factor, double *of_reader, double *score, size_t cases) {
    double of_case = sqrt(m->var_c) * rng_normal(r), tc = sqrt(m->var_tc), rc = sqrt(m->var_rc), rest = sqrt(m->var_e);
    for (unsigned j = 0; j < m->readers; j++) of_reader[j] = rc * rng_normal(r);
    for (unsigned i = 0; i < m->treatments; i++) {
        double both = of_case + tc * rng_normal(r);
        for (unsigned j = 0; j < m->readers; j++) {
            size_t cell = (size_t)i * m->readers + j;
            score[cell * cases] = reader[cell] + factor * (both + of_reader[j] + rest * rng_normal(r));
        }
    }
}

static void draw_readers(const struct ev_sim_readers *m, struct rng *r, const double *mean, double *reader) {
    for (unsigned j = 0; j < m->readers; j++) {
        double own = sqrt(m->var_r) * rng_normal(r);
        for (unsigned i = 0; i < m->treatments; i++) reader[(size_t)i * m->readers + j] = (mean ? mean[i] : 0) + own + sqrt(m->var_tr) * rng_normal(r);
    }
}

bool ev_sim_readers_draw(struct arena *scratch, const struct ev_sim_readers *m, const struct ev_sim_readers_truth *truth, struct rng *r, double *score,
                         struct err *e) {
    struct arena_mark mark = arena_mark(scratch);
    size_t cells = (size_t)m->treatments * m->readers, cases = (size_t)m->normals + m->diseased;
    double *reader = arena_alloc(scratch, (cells + m->readers) * sizeof *reader, e);
    if (!reader) return false;
    draw_readers(m, r, NULL, reader);
    for (size_t k = 0; k < m->normals; k++) draw_case(m, r, reader, 1, reader + cells, score + k, cases);
    draw_readers(m, r, truth->separation, reader);
    for (size_t k = m->normals; k < cases; k++) draw_case(m, r, reader, 1 / m->ratio, reader + cells, score + k, cases);
    for (size_t i = 0; m->categories && i < cells * cases; i++) score[i] = category_of(m, truth, score[i]);
    arena_rewind(scratch, mark);
    return true;
}
