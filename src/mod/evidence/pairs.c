// Sums over pairs of ratings: both sides sorted once, then walked together.
#include "mod/evidence/pairs.h"

#include <math.h>
#include <string.h>

#include "math/rank.h"

bool ev_pairs_make(struct arena *a, unsigned f_count, unsigned t_count, bool weighted, struct ev_pairs *out, struct err *e) {
    *out = (struct ev_pairs){.f_count = f_count, .t_count = t_count};
    return (out->f = arena_zero(a, f_count, sizeof(double), e)) && (out->t = arena_zero(a, t_count, sizeof(double), e)) &&
           (!weighted || (out->weight = arena_zero(a, t_count, sizeof(double), e))) && (out->f_case = arena_zero(a, f_count, sizeof(uint32_t), e)) &&
           (out->t_case = arena_zero(a, t_count, sizeof(uint32_t), e)) && (out->f_sum = arena_zero(a, f_count, sizeof(double), e)) &&
           (out->t_sum = arena_zero(a, t_count, sizeof(double), e));
}

static double weight_of(const struct ev_pairs *p, unsigned i) {
    return p->weight ? p->weight[i] : 1;
}

// For each t in ascending order: the f below it, and half of those that equal it.
static void sum_true(struct ev_pairs *p, const uint32_t *fo, const uint32_t *to) {
    unsigned below = 0, upto = 0;
    p->total = 0;
    for (unsigned i = 0; i < p->t_count; i++) {
        double x = p->t[to[i]];
        while (below < p->f_count && p->f[fo[below]] < x) below++;
        if (upto < below) upto = below;
        while (upto < p->f_count && p->f[fo[upto]] <= x) upto++;
        p->t_sum[to[i]] = 0.5 * ((double)below + upto);
        p->total += weight_of(p, to[i]) * p->t_sum[to[i]];
    }
}

// For each f in descending order: the weight above it, and half of the weight that equals it.
static void sum_false(struct ev_pairs *p, const uint32_t *fo, const uint32_t *to) {
    unsigned above = p->t_count, from = p->t_count;
    double weight_above = 0, weight_from = 0;
    for (unsigned i = p->f_count; i-- > 0;) {
        double x = p->f[fo[i]];
        while (above > 0 && p->t[to[above - 1]] > x) weight_above += weight_of(p, to[--above]);
        while (from > 0 && p->t[to[from - 1]] >= x) weight_from += weight_of(p, to[--from]);
        p->f_sum[fo[i]] = 0.5 * (weight_above + weight_from);
    }
    p->weight_total = 0;
    for (unsigned i = 0; i < p->t_count; i++) p->weight_total += weight_of(p, i);
}

bool ev_pairs_sum(struct arena *a, struct ev_pairs *p, struct err *e) {
    struct arena_mark m = arena_mark(a);
    uint32_t *fo, *to;
    if (!rank_order(a, p->f, p->f_count, &fo, e) || !rank_order(a, p->t, p->t_count, &to, e)) return false;
    sum_true(p, fo, to);
    sum_false(p, fo, to);
    arena_rewind(a, m);
    return true;
}

double ev_pairs_area(const struct ev_pairs *p) {
    double n = p->weight_total * p->f_count;
    return n > 0 ? p->total / n : NAN;
}

// What a case takes with it: its share of the total, of the weight and of the false ratings.
struct share {
    double sum, weight, both;
    uint32_t f; // one more than the index of its false rating; 0: none
    uint32_t f_count;
};

static void collect(const struct ev_pairs *p, struct share *s) {
    for (unsigned i = 0; i < p->f_count; i++) {
        struct share *c = &s[p->f_case[i]];
        c->sum += p->f_sum[i];
        c->f_count++;
        c->f = i + 1;
    }
    for (unsigned i = 0; i < p->t_count; i++) {
        struct share *c = &s[p->t_case[i]];
        double w = weight_of(p, i);
        c->sum += w * p->t_sum[i];
        c->weight += w;
        if (c->f == 0) continue; // a case has at most one false rating: the highest
        double f = p->f[c->f - 1];
        c->both += w * (p->t[i] > f ? 1 : p->t[i] == f ? 0.5 : 0);
    }
}

bool ev_pairs_jackknife(struct arena *a, const struct ev_pairs *p, unsigned cases, double *out, unsigned stride, struct err *e) {
    struct arena_mark m = arena_mark(a);
    struct share *s = arena_zero(a, cases, sizeof *s, e);
    if (!s) return false;
    collect(p, s);
    double whole = ev_pairs_area(p);
    for (unsigned k = 0; k < cases; k++) {
        double n = (p->weight_total - s[k].weight) * (double)(p->f_count - s[k].f_count);
        bool absent = s[k].f_count == 0 && s[k].weight == 0;
        out[(size_t)k * stride] = absent ? whole : n > 0 ? (p->total - s[k].sum + s[k].both) / n : NAN;
    }
    arena_rewind(a, m);
    return true;
}
