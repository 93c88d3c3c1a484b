// Pairs of objects that are near enough, their assignment one to one, and the measures of a detector.
#include "mod/evidence/detect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math/rank.h"
#include "math/sums.h"

const double DETECT_RATE[DETECT_RATES] = {0.125, 0.25, 0.5, 1, 2, 4, 8};

// ---- pairs ----

static double distance(const double a[3], const double b[3]) {
    return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]));
}

// Extent of a box, and of what two boxes share; an axis on which neither has any extent counts not (boxes of a plane).
static double shared(const struct detect_object *a, const struct detect_object *b) {
    double product = 1;
    bool any = false;
    for (unsigned i = 0; i < 3; i++) {
        if (a->hi[i] == a->lo[i] && b->hi[i] == b->lo[i] && a->lo[i] == b->lo[i]) continue;
        any = true;
        product *= fmax(fmin(a->hi[i], b->hi[i]) - fmax(a->lo[i], b->lo[i]), 0);
    }
    return any ? product : 0;
}

static bool enough(double share, double threshold) {
    return threshold > 0 ? share >= threshold : share > 0;
}

static bool near_enough(const struct detect_object *r, const struct detect_object *p, enum detect_rule rule, double threshold, double *nearness) {
    double away = distance(r->centre, p->centre), both;
    bool in = true;
    switch (rule) {
    case DETECT_IOU:
    case DETECT_COVERED:
        both = shared(r, p);
        *nearness = both / (rule == DETECT_IOU ? shared(r, r) + shared(p, p) - both : shared(r, r));
        return enough(*nearness, threshold); // NaN of two points is not
    case DETECT_CENTRE:
        for (unsigned i = 0; i < 3; i++) in = in && p->centre[i] >= r->lo[i] && p->centre[i] <= r->hi[i];
        *nearness = -away;
        return in;
    case DETECT_DISTANCE:
        break;
    }
    *nearness = -away;
    return away <= threshold;
}

// Objects in the order of their cases.
static bool by_case(struct arena *a, const struct detect_object *o, uint32_t n, uint32_t **order, struct err *e) {
    double *key = arena_alloc(a, n * sizeof *key, e);
    for (uint32_t i = 0; key && i < n; i++) key[i] = o[i].case_index;
    return key && rank_order(a, key, n, order, e);
}

static bool add_pair(struct arena *a, struct detect_pairs *out, size_t *room, struct detect_pair pair, struct err *e) {
    if (out->n == *room) {
        size_t more = *room ? 2 * *room : 256;
        if (more > (size_t)DETECT_PAIRS_MAX)
            return err_set(e, ERR_TOO_LARGE, "detect", "more than %lld pairs are near enough: the rule takes too much", DETECT_PAIRS_MAX / 2);
        struct detect_pair *grown = arena_grow(a, out->pair, *room * sizeof *grown, more * sizeof *grown, e);
        if (!grown) return false;
        out->pair = grown;
        *room = more;
    }
    out->pair[out->n++] = pair;
    return true;
}

bool detect_find_pairs(struct arena *a, const struct detect_object *reference, uint32_t references, const struct detect_object *predicted, uint32_t predictions,
                       enum detect_rule rule, double threshold, struct detect_pairs *out, struct err *e) {
    uint32_t *r, *p, first = 0;
    size_t room = 0;
    *out = (struct detect_pairs){NULL, 0};
    if (!by_case(a, reference, references, &r, e) || !by_case(a, predicted, predictions, &p, e)) return false;
    for (uint32_t i = 0; i < references; i++) {
        const struct detect_object *ref = &reference[r[i]];
        while (first < predictions && predicted[p[first]].case_index < ref->case_index) first++;
        for (uint32_t k = first; k < predictions && predicted[p[k]].case_index == ref->case_index; k++) {
            double nearness;
            if (!near_enough(ref, &predicted[p[k]], rule, threshold, &nearness)) continue;
            if (!add_pair(a, out, &room, (struct detect_pair){r[i], p[k], nearness}, e)) return false;
        }
    }
    return true;
}

// ---- assignment ----

// The order in which pairs are taken: by falling score, then falling nearness, then their own order.
static bool pair_order(struct arena *a, const struct detect_pairs *pairs, const double *score, uint32_t **order, struct err *e) {
    size_t n = pairs->n;
    uint32_t *near, *then;
    double *key = arena_alloc(a, n * sizeof *key, e);
    if (!key) return false;
    for (size_t i = 0; i < n; i++) key[i] = -pairs->pair[i].nearness;
    if (!rank_order(a, key, n, &near, e)) return false;
    *order = near;
    if (!score) return true;
    // Equal scores: all pairs of one object come together, in the order of objects.
    double *second = arena_alloc(a, n * sizeof *second, e);
    uint32_t *object;
    if (!second) return false;
    for (size_t i = 0; i < n; i++) key[i] = pairs->pair[near[i]].predicted;
    if (!rank_order(a, key, n, &object, e)) return false;
    for (size_t i = 0; i < n; i++) second[i] = -score[pairs->pair[near[object[i]]].predicted];
    if (!rank_order(a, second, n, &then, e)) return false;
    *order = arena_alloc(a, n * sizeof **order, e);
    for (size_t i = 0; *order && i < n; i++) (*order)[i] = near[object[then[i]]];
    return *order != NULL;
}

bool detect_match(struct arena *a, const struct detect_pairs *pairs, uint32_t references, uint32_t predictions, uint32_t cases, const double *score,
                  bool ignore_again, struct detect_matches *out, struct err *e) {
    *out = (struct detect_matches){.references = references, .predictions = predictions, .cases = cases};
    bool *taken = arena_zero(a, references, sizeof *taken, e);
    out->match = taken ? arena_alloc(a, predictions * sizeof *out->match, e) : NULL;
    out->nearness = out->match ? arena_alloc(a, predictions * sizeof *out->nearness, e) : NULL;
    uint32_t *order;
    if (!out->nearness || !pair_order(a, pairs, score, &order, e)) return false;
    for (uint32_t i = 0; i < predictions; i++) {
        out->match[i] = DETECT_FALSE;
        out->nearness[i] = NAN;
    }
    for (size_t i = 0; i < pairs->n; i++) {
        const struct detect_pair *p = &pairs->pair[order[i]];
        if (out->match[p->predicted] >= 0) continue;
        if (taken[p->reference]) {
            out->match[p->predicted] = DETECT_AGAIN; // unless it finds a free one later
            continue;
        }
        taken[p->reference] = true;
        out->match[p->predicted] = p->reference;
        out->nearness[p->predicted] = p->nearness;
        out->found++;
    }
    for (uint32_t i = 0; i < predictions; i++) out->again += out->match[i] == DETECT_AGAIN;
    out->wrong = predictions - out->found - (ignore_again ? out->again : 0);
    return true;
}

// ---- measures ----

struct curve {
    size_t n;
    double *true_ones, *false_ones; // at each distinct score, falling
};

static bool curve_of(struct arena *a, const struct detect_matches *m, const double *score, bool ignore_again, struct curve *c, struct err *e) {
    uint32_t *order;
    double *falling = arena_alloc(a, m->predictions * sizeof *falling, e);
    c->n = 0;
    c->true_ones = falling ? arena_alloc(a, m->predictions * sizeof *c->true_ones, e) : NULL;
    c->false_ones = c->true_ones ? arena_alloc(a, m->predictions * sizeof *c->false_ones, e) : NULL;
    if (!c->false_ones) return false;
    for (uint32_t i = 0; i < m->predictions; i++) falling[i] = -score[i];
    if (!rank_order(a, falling, m->predictions, &order, e)) return false;
    double right = 0, wrong = 0;
    for (uint32_t i = 0; i < m->predictions; i++) {
        int64_t match = m->match[order[i]];
        if (match >= 0)
            right++;
        else if (match == DETECT_FALSE || !ignore_again)
            wrong++;
        if (i + 1 < m->predictions && falling[order[i]] == falling[order[i + 1]]) continue;
        c->true_ones[c->n] = right;
        c->false_ones[c->n++] = wrong;
    }
    return true;
}

static double average_precision(const struct curve *c, double references) {
    double area = 0, best = 0;
    for (size_t i = c->n; i-- > 0;) {
        double all = c->true_ones[i] + c->false_ones[i];
        if (all > 0) best = fmax(best, c->true_ones[i] / all);
        area += best * (c->true_ones[i] - (i ? c->true_ones[i - 1] : 0));
    }
    return area / references;
}

static double at_rate(const struct curve *c, double references, double most) {
    double found = 0;
    for (size_t i = 0; i < c->n && c->false_ones[i] <= most; i++) found = c->true_ones[i];
    return found / references;
}

bool detect_measure(struct arena *a, const struct detect_matches *m, const double *score, bool ignore_again, struct detect_measures *out, struct err *e) {
    double found = m->found, sum = 0;
    for (uint32_t i = 0; i < m->predictions; i++) sum += m->match[i] >= 0 ? m->nearness[i] : 0;
    *out = (struct detect_measures){.sensitivity = m->references ? found / m->references : NAN,
                                    .precision = m->found + m->wrong ? found / (found + m->wrong) : NAN,
                                    .f1 = m->references + m->found + m->wrong ? 2 * found / (m->references + found + m->wrong) : NAN,
                                    .wrong_per_case = m->cases ? (double)m->wrong / m->cases : NAN,
                                    .mean_nearness = m->found ? sum / found : NAN,
                                    .average_precision = NAN,
                                    .mean_at_rates = NAN};
    for (unsigned i = 0; i < DETECT_RATES; i++) out->at_rate[i] = NAN;
    if (!score || !m->references) return true;
    struct curve c;
    if (!curve_of(a, m, score, ignore_again, &c, e)) return false;
    out->average_precision = average_precision(&c, m->references);
    for (unsigned i = 0; m->cases && i < DETECT_RATES; i++) out->at_rate[i] = at_rate(&c, m->references, DETECT_RATE[i] * m->cases);
    out->mean_at_rates = sums_mean(out->at_rate, DETECT_RATES);
    return true;
}
