// Simulated data as the CSV tables that the analyses read.
#include <math.h>

#include "mod/evidence/simulate.h"
#include "text/json.h"

static void add_number(struct buf *out, double v) {
    char digits[JSON_NUMBER_MAX];
    buf_add(out, digits, json_format_double(digits, v));
}

// The model's scores with their truth; NULL: no memory.
static double *draw_readers(struct arena *a, const struct ev_sim_readers *m, uint64_t seed, struct err *e) {
    struct ev_sim_readers_truth truth;
    struct rng r;
    size_t n = (size_t)m->treatments * m->readers * ((size_t)m->normals + m->diseased);
    double *score = arena_alloc(a, n * sizeof *score, e);
    ev_sim_readers_truth(m, &truth);
    rng_seed(&r, seed);
    return score && ev_sim_readers_draw(a, m, &truth, &r, score, e) ? score : NULL;
}

bool ev_sim_readers_table(struct arena *a, const struct ev_sim_readers *m, uint64_t seed, struct buf *out, struct err *e) {
    size_t cases = (size_t)m->normals + m->diseased;
    const double *score = draw_readers(a, m, seed, e);
    if (!score) return false;
    buf_addz(out, "reader,treatment,case,truth,rating\n");
    for (size_t k = 0; k < cases; k++)
        for (unsigned j = 0; j < m->readers; j++)
            for (unsigned i = 0; i < m->treatments; i++) {
                buf_addf(out, "%u,%u,%zu,%d,", j + 1, i + 1, k + 1, k >= m->normals);
                add_number(out, score[((size_t)i * m->readers + j) * cases + k]);
                buf_addc(out, '\n');
            }
    return buf_ok(out, e);
}

bool ev_sim_tests_table(struct arena *a, const struct ev_sim_readers *m, uint64_t seed, struct buf *out, struct err *e) {
    size_t cases = (size_t)m->normals + m->diseased;
    const double *score = draw_readers(a, m, seed, e);
    if (!score) return false;
    buf_addz(out, "case,truth");
    for (unsigned i = 0; i < m->treatments; i++) buf_addf(out, ",test%u", i + 1);
    for (size_t k = 0; k < cases; k++) {
        buf_addf(out, "\n%zu,%d", k + 1, k >= m->normals);
        for (unsigned i = 0; i < m->treatments; i++) {
            buf_addc(out, ',');
            add_number(out, score[(size_t)i * m->readers * cases + k]);
        }
    }
    buf_addc(out, '\n');
    return buf_ok(out, e);
}

void ev_sim_drift_table(const struct ev_sim_drift *m, uint64_t seed, struct buf *out) {
    struct ev_sim_drift_truth t;
    struct rng r;
    ev_sim_drift_truth(m, &t);
    rng_seed(&r, seed);
    buf_addz(out, "i,truth,score,positive\n");
    for (size_t i = 0; i < m->cases; i++) {
        bool truth;
        double score;
        ev_sim_drift_draw(m, i, &r, &truth, &score);
        buf_addf(out, "%zu,%d,", i + 1, truth);
        add_number(out, score);
        buf_addz(out, score > t.threshold ? ",1\n" : ",0\n");
    }
}

void ev_sim_calibration_table(const struct ev_sim_calibration *m, uint64_t seed, struct buf *out) {
    struct rng r;
    rng_seed(&r, seed);
    buf_addz(out, "case,truth,probability\n");
    for (size_t i = 0; i < m->cases; i++) {
        bool truth;
        double probability;
        ev_sim_calibration_draw(m, &r, &truth, &probability);
        buf_addf(out, "%zu,%d,", i + 1, truth);
        add_number(out, probability);
        buf_addc(out, '\n');
    }
}

static void add_raters(struct buf *out, unsigned raters) {
    for (unsigned j = 0; j < raters; j++) buf_addf(out, "%srater%u", j ? "," : "", j + 1);
    buf_addc(out, '\n');
}

bool ev_sim_ratings_table(struct arena *a, const struct ev_sim_ratings *m, uint64_t seed, struct buf *out, struct err *e) {
    struct rng r;
    size_t n = (size_t)m->subjects * m->raters;
    double *value = arena_alloc(a, n * sizeof *value, e);
    rng_seed(&r, seed);
    if (!value || !ev_sim_ratings_draw(a, m, &r, value, e)) return false;
    add_raters(out, m->raters);
    for (size_t i = 0; i < n; i++) {
        add_number(out, value[i]);
        buf_addc(out, (i + 1) % m->raters ? ',' : '\n');
    }
    return buf_ok(out, e);
}

bool ev_sim_categories_table(struct arena *a, const struct ev_sim_categories *m, uint64_t seed, struct buf *out, struct err *e) {
    struct rng r;
    size_t n = (size_t)m->subjects * m->raters;
    unsigned *category = arena_alloc(a, n * sizeof *category, e);
    if (!category) return false;
    rng_seed(&r, seed);
    ev_sim_categories_draw(m, &r, category);
    add_raters(out, m->raters);
    for (size_t i = 0; i < n; i++) buf_addf(out, "%u%c", category[i], (i + 1) % m->raters ? ',' : '\n');
    return buf_ok(out, e);
}

// ---- marks ----

struct reading {
    unsigned treatment, reader;
    size_t subject; // from 1
    bool diseased;
};

static void add_mark(struct buf *out, const struct reading *g, unsigned lesion, double rating) {
    buf_addf(out, "%u,%u,%zu,%d,%s,%u,", g->treatment + 1, g->reader + 1, g->subject, g->diseased, lesion ? "LL" : "NL", lesion);
    add_number(out, rating);
    buf_addc(out, '\n');
}

static void add_reading(const struct ev_sim_froc *m, struct rng *r, const struct reading *g, unsigned lesions, double mu, struct buf *marks) {
    for (uint64_t n = rng_poisson(r, m->noise); n > 0; n--) add_mark(marks, g, 0, rng_normal(r));
    for (unsigned l = 1; l <= lesions; l++)
        if (rng_uniform(r) < m->found) add_mark(marks, g, l, mu + rng_normal(r));
}

void ev_sim_froc_table(const struct ev_sim_froc *m, uint64_t seed, struct buf *marks, struct buf *truth) {
    struct rng r, of_lesions;
    rng_seed(&r, seed);
    of_lesions = r;
    rng_jump(&of_lesions); // a stream of its own, run once more for each reader
    size_t cases = (size_t)m->normals + m->diseased;
    buf_addz(truth, "case,n_lesions,weights\n");
    buf_addz(marks, "mod,rdr,case,truth,kind,lesion,rating\n");
    for (unsigned j = 0; j < m->readers; j++) {
        double deviation = m->reader_sd * rng_normal(&r);
        for (unsigned i = 0; i < m->treatments; i++) {
            struct rng lesions = of_lesions;
            for (size_t k = 0; k < cases; k++) {
                struct reading g = {i, j, k + 1, k >= m->normals};
                unsigned n = g.diseased ? 1 + (unsigned)rng_below(&lesions, m->lesions_max) : 0;
                if (i == 0 && j == 0) buf_addf(truth, "%zu,%u,\n", g.subject, n);
                add_reading(m, &r, &g, n, m->mu[i] + deviation, marks);
            }
        }
    }
}
