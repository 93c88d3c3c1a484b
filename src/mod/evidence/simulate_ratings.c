// Raters who agree to a known degree, and marks of the radiological search model.
#include <math.h>

#include "math/dist.h"
#include "math/special.h"
#include "mod/evidence/simulate.h"

static bool size_ok(unsigned subjects, unsigned raters, struct err *e) {
    if (subjects >= 1 && raters >= 1 && raters <= EV_SIM_READERS_MAX && (uint64_t)subjects * raters <= EV_SIM_CASES_MAX) return true;
    return err_set(e, ERR_USAGE, "evidence", "at least one subject and from 1 to %d raters are simulated, and at most %d ratings", EV_SIM_READERS_MAX,
                   EV_SIM_CASES_MAX);
}

bool ev_sim_ratings_check(const struct ev_sim_ratings *m, struct err *e) {
    if (!size_ok(m->subjects, m->raters, e)) return false;
    const double v[] = {m->var_subject, m->var_rater, m->var_error};
    for (int i = 0; i < 3; i++)
        if (!(v[i] >= 0 && v[i] < 1e100)) return err_set(e, ERR_USAGE, "evidence", "a variance is negative");
    return v[0] + v[1] + v[2] > 0 || err_set(e, ERR_USAGE, "evidence", "there is no variance");
}

bool ev_sim_ratings_draw(struct arena *scratch, const struct ev_sim_ratings *m, struct rng *r, double *value, struct err *e) {
    struct arena_mark mark = arena_mark(scratch);
    double *rater = arena_alloc(scratch, m->raters * sizeof *rater, e);
    if (!rater) return false;
    for (unsigned j = 0; j < m->raters; j++) rater[j] = sqrt(m->var_rater) * rng_normal(r);
    for (unsigned i = 0; i < m->subjects; i++) {
        double subject = m->mean + sqrt(m->var_subject) * rng_normal(r);
        for (unsigned j = 0; j < m->raters; j++) value[(size_t)i * m->raters + j] = subject + rater[j] + sqrt(m->var_error) * rng_normal(r);
    }
    arena_rewind(scratch, mark);
    return true;
}

bool ev_sim_categories_check(const struct ev_sim_categories *m, struct err *e) {
    if (!size_ok(m->subjects, m->raters, e)) return false;
    if (m->categories < 2 || m->categories > EV_SIM_CATEGORIES_MAX)
        return err_set(e, ERR_USAGE, "evidence", "from 2 to %d categories are simulated", EV_SIM_CATEGORIES_MAX);
    double sum = 0;
    for (unsigned k = 0; k < m->categories; k++) {
        if (!(m->share[k] >= 0)) return err_set(e, ERR_USAGE, "evidence", "the share of category %u is negative", k + 1);
        sum += m->share[k];
    }
    if (!(fabs(sum - 1) < 1e-6)) return err_set(e, ERR_USAGE, "evidence", "the shares of the categories add to %g, not to 1", sum);
    return (m->sure >= 0 && m->sure <= 1) || err_set(e, ERR_USAGE, "evidence", "the probability to see the true category is not from 0 to 1");
}

static unsigned draw_category(const struct ev_sim_categories *m, struct rng *r) {
    double u = rng_uniform(r);
    for (unsigned k = 0; k + 1 < m->categories; k++) {
        if (u < m->share[k]) return k + 1;
        u -= m->share[k];
    }
    return m->categories;
}

void ev_sim_categories_draw(const struct ev_sim_categories *m, struct rng *r, unsigned *category) {
    for (unsigned i = 0; i < m->subjects; i++) {
        unsigned seen = draw_category(m, r);
        for (unsigned j = 0; j < m->raters; j++) category[(size_t)i * m->raters + j] = rng_uniform(r) < m->sure ? seen : draw_category(m, r);
    }
}

// ---- marks ----

bool ev_sim_froc_check(const struct ev_sim_froc *m, struct err *e) {
    if (m->treatments < 1 || m->treatments > EV_SIM_TREATMENTS_MAX || m->readers < 1 || m->readers > EV_SIM_READERS_MAX)
        return err_set(e, ERR_USAGE, "evidence", "from 1 to %d modalities and from 1 to %d readers are simulated", EV_SIM_TREATMENTS_MAX, EV_SIM_READERS_MAX);
    if (m->normals < 1 || m->diseased < 1 || (uint64_t)m->treatments * m->readers * ((uint64_t)m->normals + m->diseased) > EV_SIM_CASES_MAX)
        return err_set(e, ERR_USAGE, "evidence", "at least one normal and one diseased case are simulated, and at most %d readings", EV_SIM_CASES_MAX);
    if (m->lesions_max < 1 || m->lesions_max > EV_SIM_LESIONS_MAX)
        return err_set(e, ERR_USAGE, "evidence", "a diseased case has from 1 to %d lesions", EV_SIM_LESIONS_MAX);
    if (!(m->noise >= 0 && m->noise <= 100)) return err_set(e, ERR_USAGE, "evidence", "noise marks per case are not from 0 to 100");
    if (!(m->found >= 0 && m->found <= 1)) return err_set(e, ERR_USAGE, "evidence", "the share of lesions that are found is not from 0 to 1");
    for (unsigned i = 0; i < m->treatments; i++)
        if (!(fabs(m->mu[i]) <= 100)) return err_set(e, ERR_USAGE, "evidence", "the separation of modality %u is beyond 100", i + 1);
    return (m->reader_sd >= 0 && m->reader_sd <= 100) || err_set(e, ERR_USAGE, "evidence", "the deviation of readers is not from 0 to 100");
}

struct lesion {
    double mu, sd, noise;
};

// Density of a lesion's rating times the chance that a normal case's highest noise mark is below it, exp(-noise P(Z > x)).
static double above_noise(double z, void *with) {
    const struct lesion *l = with;
    return dist_norm_density(z) * exp(-l->noise * dist_norm(l->mu + l->sd * z, true));
}

void ev_sim_froc_truth(const struct ev_sim_froc *m, struct ev_sim_froc_truth *out) {
    *out = (struct ev_sim_froc_truth){.llf = m->found, .nlf = m->noise, .hr_specificity = exp(-m->noise)};
    for (unsigned i = 0; i < m->treatments; i++) {
        struct lesion l = {m->mu[i], sqrt(1 + m->reader_sd * m->reader_sd), m->noise};
        double p = 0;
        for (int k = -9; k < 9; k++) p += special_integral(above_noise, &l, k, k + 1, 40);
        out->wafroc[i] = m->found * p + (1 - m->found) * exp(-m->noise) / 2; // neither marked: a tie at minus infinity
    }
    for (unsigned n = 1; n <= m->lesions_max; n++) out->hr_sensitivity += (1 - pow(1 - m->found, n) * exp(-m->noise)) / m->lesions_max;
}
