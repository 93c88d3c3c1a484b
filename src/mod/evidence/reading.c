// Sums over pairs of cases for one reading, and over pairs of pairs for two, by sorting instead of by walking them all.
#include "mod/evidence/reading.h"

#include <math.h>

#include "math/rank.h"

static void count(const struct ev_study *s, const double *x, unsigned *f, unsigned *t) {
    *f = *t = 0;
    for (unsigned c = 0; c < s->cases; c++) {
        if (isnan(x[c])) continue;
        if (s->diseased[c])
            ++*t;
        else
            ++*f;
    }
}

static bool fill_pairs(struct arena *a, const struct ev_study *s, const double *x, struct ev_pairs *p, struct err *e) {
    unsigned f, t;
    count(s, x, &f, &t);
    if (!ev_pairs_make(a, f, t, false, p, e)) return false;
    f = t = 0;
    for (unsigned c = 0; c < s->cases; c++) {
        if (isnan(x[c])) continue;
        if (s->diseased[c]) {
            p->t[t] = x[c];
            p->t_case[t++] = c;
        } else {
            p->f[f] = x[c];
            p->f_case[f++] = c;
        }
    }
    return ev_pairs_sum(a, p, e);
}

// The cases that were read in the order of their scores, and the scores' levels.
static bool rank_cases(struct arena *a, const double *x, struct ev_reading *r, struct err *e) {
    unsigned n = r->study->cases;
    double *read = arena_zero(a, n, sizeof *read, e);
    uint32_t *cases = arena_zero(a, n, sizeof *cases, e);
    r->level = arena_zero(a, n, sizeof *r->level, e);
    if (!read || !cases || !r->level) return false;
    for (unsigned c = 0; c < n; c++) {
        if (isnan(x[c])) continue;
        read[r->read] = x[c];
        cases[r->read++] = c;
    }
    if (!rank_order(a, read, r->read, &r->order, e)) return false;
    for (unsigned i = 0; i < r->read; i++) {
        if (i == 0 || read[r->order[i]] > read[r->order[i - 1]]) r->levels++;
        r->level[cases[r->order[i]]] = r->levels;
    }
    for (unsigned i = 0; i < r->read; i++) r->order[i] = cases[r->order[i]];
    return true;
}

bool ev_reading_of(struct arena *a, const struct ev_study *s, unsigned treatment, unsigned reader, struct ev_reading *out, struct err *e) {
    const double *x = ev_study_scores(s, treatment, reader);
    *out = (struct ev_reading){.study = s};
    if (!fill_pairs(a, s, x, &out->pairs, e) || !rank_cases(a, x, out, e) || !(out->sum = arena_zero(a, s->cases, sizeof *out->sum, e))) return false;
    for (unsigned i = 0; i < out->pairs.f_count; i++) out->sum[out->pairs.f_case[i]] = out->pairs.f_sum[i];
    for (unsigned i = 0; i < out->pairs.t_count; i++) out->sum[out->pairs.t_case[i]] = out->pairs.t_sum[i];
    return true;
}

// Counts of normal cases by their level in y, summed from below (Fenwick's tree); at most its size.
struct tree {
    uint32_t *count;
    unsigned size;
};

static void tree_add(struct tree *t, unsigned at) {
    for (; at <= t->size; at += at & -at) t->count[at]++;
}

static double tree_upto(const struct tree *t, unsigned at) {
    uint32_t sum = 0;
    for (; at > 0; at -= at & -at) sum += t->count[at];
    return sum;
}

// Of the diseased cases in order[from .. to): their successes in y against the normal cases in the tree.
static double successes(const struct ev_reading *x, const struct ev_reading *y, unsigned from, unsigned to, const struct tree *t) {
    double sum = 0;
    for (unsigned i = from; i < to; i++) {
        unsigned c = x->order[i], level = y->level[c];
        if (level && x->study->diseased[c]) sum += 0.5 * (tree_upto(t, level - 1) + tree_upto(t, level));
    }
    return sum;
}

// The sum of psi of x times psi of y over pairs of cases: upwards through x, the normal cases that are below in x stand in a tree by y. Of equal scores in x the half counts, which is the mean of before and after.
static bool product_of_both(struct arena *a, const struct ev_reading *x, const struct ev_reading *y, double *out, struct err *e) {
    struct arena_mark m = arena_mark(a);
    struct tree t = {arena_zero(a, y->levels + 1u, sizeof *t.count, e), y->levels};
    if (!t.count) return false;
    *out = 0;
    for (unsigned from = 0, to; from < x->read; from = to) {
        for (to = from + 1; to < x->read && x->level[x->order[to]] == x->level[x->order[from]];) to++;
        double before = successes(x, y, from, to, &t);
        for (unsigned i = from; i < to; i++) {
            unsigned c = x->order[i];
            if (!x->study->diseased[c] && y->level[c]) tree_add(&t, y->level[c]);
        }
        *out += 0.5 * (before + successes(x, y, from, to, &t));
    }
    arena_rewind(a, m);
    return true;
}

bool ev_reading_products(struct arena *a, const struct ev_reading *x, const struct ev_reading *y, struct ev_products *out, struct err *e) {
    *out = (struct ev_products){.any = x->pairs.total * y->pairs.total};
    for (unsigned c = 0; c < x->study->cases; c++) {
        double both = x->sum[c] * y->sum[c];
        if (x->study->diseased[c])
            out->diseased += both;
        else
            out->normal += both;
    }
    return product_of_both(a, x, y, &out->both, e);
}

struct ev_products ev_reading_counts(const struct ev_reading *x, const struct ev_reading *y) {
    double f = 0, t = 0;
    for (unsigned c = 0; c < x->study->cases; c++) {
        if (!x->level[c] || !y->level[c]) continue;
        if (x->study->diseased[c])
            t++;
        else
            f++;
    }
    double xf = x->pairs.f_count, xt = x->pairs.t_count, yf = y->pairs.f_count, yt = y->pairs.t_count;
    return (struct ev_products){.both = f * t, .diseased = t * xf * yf, .normal = f * xt * yt, .any = xf * xt * yf * yt};
}
