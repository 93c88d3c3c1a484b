// Resampling of the ROC curve: cases drawn with replacement within each class.
#include <math.h>

#include "math/rank.h"
#include "math/rng.h"
#include "math/sums.h"
#include "mod/evidence/roc_part.h"

// One test made ready: each case's place among the distinct scores, the greatest first.
struct ready {
    uint32_t *place;
    size_t places;
    uint32_t *drawn0, *drawn1; // per place, in a replicate
    struct ev_roc_curve curve;
};

static bool make_ready(struct arena *a, const struct ev_roc_data *d, struct ready *out, struct err *e) {
    uint32_t *order = NULL;
    if (!rank_order(a, d->score, d->n, &order, e)) return false;
    out->place = arena_alloc(a, d->n * sizeof *out->place, e);
    if (!out->place) return false;
    for (size_t i = d->n; i-- > 0;) {
        if (i + 1 < d->n && d->score[order[i]] != d->score[order[i + 1]]) out->places++;
        out->place[order[i]] = (uint32_t)out->places;
    }
    out->places++;
    out->drawn0 = arena_zero(a, out->places, sizeof *out->drawn0, e);
    out->drawn1 = out->drawn0 ? arena_zero(a, out->places, sizeof *out->drawn1, e) : NULL;
    return out->drawn1 && ev_roc_curve_room(a, out->places, &out->curve, e);
}

static void curve_of_drawn(struct ready *t) {
    struct ev_roc_curve *c = &t->curve;
    double fp = 0, tp = 0;
    c->count = 1;
    c->fp[0] = c->tp[0] = 0;
    for (size_t k = 0; k < t->places; k++) {
        if (t->drawn0[k] + t->drawn1[k] == 0) continue;
        fp += t->drawn0[k];
        tp += t->drawn1[k];
        t->drawn0[k] = t->drawn1[k] = 0; // ready for the next replicate
        c->fp[c->count] = fp;
        c->tp[c->count++] = tp;
    }
}

struct classes {
    uint32_t *of[2];
    size_t n[2];
};

static bool split_classes(struct arena *a, const uint8_t *positive, size_t n, struct classes *c, struct err *e) {
    c->of[0] = arena_alloc(a, n * sizeof(uint32_t), e);
    c->of[1] = c->of[0] ? arena_alloc(a, n * sizeof(uint32_t), e) : NULL;
    for (size_t i = 0; c->of[1] && i < n; i++) {
        int k = positive[i] ? 1 : 0;
        c->of[k][c->n[k]++] = (uint32_t)i;
    }
    return c->of[1] != NULL;
}

static void draw(struct rng *r, const struct classes *c, struct ready *tests, unsigned count) {
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < c->n[k]; i++) {
            uint32_t at = c->of[k][rng_below(r, c->n[k])];
            for (unsigned t = 0; t < count; t++) (k ? tests[t].drawn1 : tests[t].drawn0)[tests[t].place[at]]++;
        }
}

static bool ready_tests(struct arena *a, unsigned tests, const double *const *score, const uint8_t *positive, size_t n, struct ready *ready, struct err *e) {
    for (unsigned t = 0; t < tests; t++) {
        struct ev_roc_data d = {score[t], positive, n};
        if (!ev_roc_check(&d, &ready[t].curve.n0, &ready[t].curve.n1, e) || !make_ready(a, &d, &ready[t], e)) return false;
    }
    return true;
}

bool ev_roc_bootstrap(struct arena *a, unsigned tests, const double *const *score, const uint8_t *positive, size_t n, const struct ev_wanted *w,
                      unsigned wanted, unsigned replicates, uint64_t seed, double **value, struct err *e) {
    struct ready ready[EV_TESTS_MAX] = {0};
    struct classes classes = {0};
    struct rng r;
    if (tests == 0 || tests > EV_TESTS_MAX)
        return err_set(e, ERR_TOO_LARGE, "evidence", "%u tests: between 1 and %d are compared at once", tests, EV_TESTS_MAX);
    *value = arena_zero(a, (size_t)tests * wanted * replicates, sizeof **value, e);
    if (!*value || !ready_tests(a, tests, score, positive, n, ready, e) || !split_classes(a, positive, n, &classes, e)) return false;
    rng_seed(&r, seed);
    for (unsigned i = 0; i < replicates; i++) {
        draw(&r, &classes, ready, tests);
        for (unsigned t = 0; t < tests; t++) {
            curve_of_drawn(&ready[t]);
            for (unsigned k = 0; k < wanted; k++) (*value)[((size_t)t * wanted + k) * replicates + i] = ev_roc_index(&ready[t].curve, &w[k]);
        }
    }
    return true;
}

bool ev_resampled(struct arena *a, const double *value, size_t n, double level, struct ev_resampled *out, struct err *e) {
    double *sorted = arena_alloc(a, n * sizeof *sorted, e);
    size_t count = 0;
    if (!sorted) return false;
    for (size_t i = 0; i < n; i++)
        if (!isnan(value[i])) sorted[count++] = value[i];
    *out = (struct ev_resampled){NAN, NAN, NAN, n - count};
    if (count < 2) return true;
    out->se = sqrt(sums_variance(sorted, count));
    if (!rank_sort(a, sorted, count, e)) return false;
    out->lo = sums_quantile(sorted, count, (1 - level) / 2, 7);
    out->hi = sums_quantile(sorted, count, 1 - (1 - level) / 2, 7);
    return true;
}
