// Hosmer and Lemeshow's test of goodness of fit.
#include <math.h>

#include "math/dist.h"
#include "math/rank.h"
#include "math/sums.h"
#include "mod/evidence/calibration.h"

enum { GROUPS_MAX = 10000 };

struct sorted {
    size_t n;
    double *p, *y;
};

static bool sort(struct arena *a, const double *p, const double *y, size_t n, struct sorted *out, struct err *e) {
    uint32_t *order;
    for (size_t i = 0; i < n; i++) {
        if (!(p[i] >= 0 && p[i] <= 1)) return err_set(e, ERR_BAD_INPUT, "evidence", "row %zu: a probability lies in 0 to 1, not %g", i + 1, p[i]);
        if (y[i] != 0 && y[i] != 1) return err_set(e, ERR_BAD_INPUT, "evidence", "row %zu: an outcome is 0 or 1, not %g", i + 1, y[i]);
    }
    if (!rank_order(a, p, n, &order, e)) return false;
    *out = (struct sorted){.n = n, .p = arena_alloc(a, n * sizeof *p, e)};
    out->y = out->p ? arena_alloc(a, n * sizeof *y, e) : NULL;
    if (!out->y) return false;
    for (size_t i = 0; i < n; i++) {
        out->p[i] = p[order[i]];
        out->y[i] = y[order[i]];
    }
    return true;
}

// Where the group ends that begins at `from`.
static size_t end_of(const struct sorted *s, enum ev_grouping grouping, unsigned k, unsigned groups, const size_t *sizes, size_t from) {
    if (sizes) return from + sizes[k];
    size_t end = from;
    if (k + 1 == groups) return s->n;
    if (grouping == EV_GROUPS_QUANTILE) {
        double cut = sums_quantile(s->p, s->n, (k + 1.0) / groups, 7);
        while (end < s->n && s->p[end] <= cut) end++;
        return end;
    }
    size_t wanted = (size_t)(((unsigned __int128)s->n * (k + 1) + groups - 1) / groups);
    if (end < wanted) end = wanted;
    while (end > from && end < s->n && s->p[end] == s->p[end - 1]) end++;
    return end;
}

static struct ev_hosmer_group sum(const struct sorted *s, size_t from, size_t end) {
    struct ev_hosmer_group g = {.n = end - from, .lo = s->p[from], .hi = s->p[end - 1]};
    g.expected = sums_total(s->p + from, g.n);
    g.observed = sums_total(s->y + from, g.n);
    return g;
}

bool ev_hosmer(struct arena *a, const double *p, const double *y, size_t n, enum ev_grouping grouping, unsigned groups, const size_t *sizes,
               struct ev_hosmer *out, struct err *e) {
    struct sorted s;
    *out = (struct ev_hosmer){0};
    if (groups < 3 || groups > GROUPS_MAX || n < groups)
        return err_set(e, ERR_BAD_INPUT, "evidence", "%u groups of %zu rows: 3 to %d groups are taken, and a row for each", groups, n, GROUPS_MAX);
    size_t told = 0;
    for (unsigned k = 0; sizes && k < groups; k++) told = sizes[k] == 0 || sizes[k] > n - told ? n + 1 : told + sizes[k];
    if (sizes && told != n) return err_set(e, ERR_BAD_INPUT, "evidence", "the sizes of the groups do not come to the %zu rows", n);
    out->group = arena_zero(a, groups, sizeof *out->group, e);
    if (!out->group || !sort(a, p, y, n, &s, e)) return false;
    size_t from = 0;
    for (unsigned k = 0; k < groups; k++) {
        size_t end = end_of(&s, grouping, k, groups, sizes, from);
        if (end == from) continue;
        out->group[out->groups++] = sum(&s, from, end);
        from = end;
    }
    for (unsigned k = 0; k < out->groups; k++) {
        const struct ev_hosmer_group *g = &out->group[k];
        double d = g->observed - g->expected, rest = (double)g->n - g->expected;
        if (d != 0) out->chi2 += d * d / g->expected + d * d / rest;
    }
    if (out->groups < 3) return err_set(e, ERR_BAD_INPUT, "evidence", "equal probabilities leave %u groups; the test needs three at least", out->groups);
    out->df = out->groups - 2.0;
    out->p = isinf(out->chi2) ? 0 : dist_chi2(out->chi2, out->df, true);
    return true;
}
