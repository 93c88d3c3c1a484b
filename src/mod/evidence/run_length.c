// Average run lengths of CUSUM and EWMA charts by their integral equations.
#include <math.h>

#include "math/dist.h"
#include "math/matrix.h"
#include "math/special.h"
#include "mod/evidence/charts.h"

enum { NODES_MAX = 512 };

// ---- CUSUM ----

// L(s) = 1 + L(0) Phi(k - shift - s) + integral over (0, h) of L(u) phi(u + k - shift - s): unknown at 0 and at the nodes.
static bool one_sided(struct arena *a, double k, double h, double shift, double *node, double *length, unsigned n, struct err *e) {
    double *weight = arena_alloc(a, n * sizeof *weight, e), *m = weight ? arena_zero(a, (size_t)(n + 1) * (n + 1), sizeof *m, e) : NULL;
    if (!m) return false;
    special_gauss_legendre(n, node + 1, weight);
    node[0] = 0;
    for (unsigned i = 1; i <= n; i++) {
        node[i] = (node[i] + 1) / 2 * h;
        weight[i - 1] *= h / 2;
    }
    for (unsigned i = 0; i <= n; i++) {
        double *row = m + (size_t)i * (n + 1), middle = k - shift - node[i];
        row[0] = -dist_norm(middle, false);
        for (unsigned j = 1; j <= n; j++) row[j] = -weight[j - 1] * dist_norm_density(node[j] + middle);
        row[i] += 1;
        length[i] = 1;
    }
    if (!matrix_solve(m, n + 1, length, 1)) return err_set(e, ERR_BAD_INPUT, "evidence", "the run length is beyond what can be computed (h %g)", h);
    return true;
}

// The length from head_start, and from 0.
static bool page(struct arena *a, double k, double h, double head_start, double shift, double *from_start, double *from_zero, struct err *e) {
    unsigned n = (unsigned)fmin(NODES_MAX - 2, 40 + 6 * h);
    double node[NODES_MAX], length[NODES_MAX], *weight = arena_alloc(a, n * sizeof *weight, e), *unit = weight ? arena_alloc(a, n * sizeof *unit, e) : NULL;
    if (!unit || !one_sided(a, k, h, shift, node, length, n, e)) return false;
    special_gauss_legendre(n, unit, weight);
    double middle = k - shift - head_start, sum = 1 + length[0] * dist_norm(middle, false);
    for (unsigned j = 1; j <= n; j++) sum += weight[j - 1] * h / 2 * length[j] * dist_norm_density(node[j] + middle);
    *from_start = sum;
    *from_zero = length[0];
    if (!(sum >= 1 && sum <= 1e12 && length[0] <= 1e12))
        return err_set(e, ERR_BAD_INPUT, "evidence", "the run length is beyond what can be computed (k %g, h %g)", k, h);
    return true;
}

bool ev_cusum_arl(struct arena *a, enum ev_sides sides, double k, double h, double head_start, double shift, double *arl, struct err *e) {
    double up, up0, down, down0;
    struct arena_mark mark = arena_mark(a);
    if (!(k >= 0 && k <= 20) || !(h > 0 && h <= 100) || !(head_start >= 0 && head_start <= h) || !(fabs(shift) <= 1000))
        return err_set(e, ERR_BAD_INPUT, "evidence",
                       "run lengths are computed for k 0 to 20, h above 0 to 100 and a head start of 0 to h, not k %g, h %g, head start %g", k, h, head_start);
    bool ok = page(a, k, h, head_start, shift, &up, &up0, e);
    *arl = up;
    // The other side sees the shift the other way; a side that never signals leaves the length to the first.
    if (ok && sides == EV_TWO_SIDED) {
        struct err beyond = {0};
        if (page(a, k, h, head_start, -shift, &down, &down0, &beyond))
            *arl = (up * down0 + down * up0 - up0 * down0) / (up0 + down0);
        else if (beyond.kind == ERR_NOMEM || beyond.kind == ERR_TOO_LARGE)
            ok = err_set(e, beyond.kind, "evidence", "%s", beyond.message);
    }
    arena_rewind(a, mark);
    return ok;
}

// ---- EWMA ----

// L(z) = 1 + 1/lambda integral over the limits of L(u) phi((u - (1 - lambda) z) / lambda - shift).
bool ev_ewma_arl(struct arena *a, double lambda, double width, double start, double shift, double *arl, struct err *e) {
    if (!(lambda >= 0.005 && lambda <= 1) || !(width > 0 && width <= 10) || !(fabs(shift) <= 1000))
        return err_set(e, ERR_BAD_INPUT, "evidence",
                       "run lengths are computed for lambda 0.005 to 1 and limits above 0 to 10 deviations, not lambda %g, limits %g", lambda, width);
    double h = width * sqrt(lambda / (2 - lambda));
    if (!(fabs(start) <= h)) return err_set(e, ERR_BAD_INPUT, "evidence", "the chart would begin outside its limits (%g, limits %g)", start, h);
    unsigned n = (unsigned)fmin(NODES_MAX, 40 + 8 * h / lambda);
    struct arena_mark mark = arena_mark(a);
    double *node = arena_alloc(a, n * sizeof *node, e), *weight = node ? arena_alloc(a, n * sizeof *weight, e) : NULL;
    double *length = weight ? arena_alloc(a, n * sizeof *length, e) : NULL, *m = length ? arena_alloc(a, (size_t)n * n * sizeof *m, e) : NULL;
    if (!m) return false;
    special_gauss_legendre(n, node, weight);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < n; j++)
            m[(size_t)i * n + j] = (i == j) - weight[j] * h / lambda * dist_norm_density(h * (node[j] - (1 - lambda) * node[i]) / lambda - shift);
        length[i] = 1;
    }
    bool ok = matrix_solve(m, n, length, 1);
    double sum = 1;
    for (unsigned j = 0; j < n && ok; j++) sum += weight[j] * h / lambda * length[j] * dist_norm_density((h * node[j] - (1 - lambda) * start) / lambda - shift);
    arena_rewind(a, mark);
    *arl = sum;
    if (!ok || !(sum >= 1 && sum <= 1e12))
        return err_set(e, ERR_BAD_INPUT, "evidence", "the run length is beyond what can be computed (lambda %g, limits %g)", lambda, width);
    return true;
}

// ---- design ----

struct wanted {
    struct arena *a;
    enum ev_sides sides;
    double k, lambda, arl; // lambda 0: a CUSUM
    struct err beyond;     // why a length could not be computed
};

// How far the logarithm of the length is from the one wanted; lengths that are too long to compute are too long.
static double too_long(double x, void *with) {
    struct wanted *w = with;
    double arl;
    bool ok = w->lambda > 0 ? ev_ewma_arl(w->a, w->lambda, x, 0, 0, &arl, &w->beyond) : ev_cusum_arl(w->a, w->sides, w->k, x, 0, 0, &arl, &w->beyond);
    return ok ? log(arl) - log(w->arl) : 30;
}

static bool design(struct wanted *w, double lo, double hi, double *out, struct err *e) {
    if (!(w->arl >= 2 && w->arl <= 1e9)) return err_set(e, ERR_BAD_INPUT, "evidence", "charts are designed for run lengths of 2 to 1e9, not %g", w->arl);
    // Close in on it first, so that few solutions of great systems are needed.
    while (hi - lo > 1 && too_long(lo + 1, w) < 0) lo++;
    if (hi > lo + 1) hi = lo + 1;
    *out = special_root(too_long, w, lo, hi, 1e-10);
    if (!isfinite(*out)) return err_set(e, ERR_BAD_INPUT, "evidence", "no chart of this kind has a run length of %g", w->arl);
    return true;
}

bool ev_cusum_design(struct arena *a, enum ev_sides sides, double k, double arl, double *h, struct err *e) {
    struct wanted w = {.a = a, .sides = sides, .k = k, .arl = arl};
    if (!(k >= 0 && k <= 20)) return err_set(e, ERR_BAD_INPUT, "evidence", "k lies in 0 to 20, not %g", k);
    return design(&w, 1e-6, 100, h, e);
}

bool ev_ewma_design(struct arena *a, double lambda, double arl, double *width, struct err *e) {
    struct wanted w = {.a = a, .lambda = lambda, .arl = arl};
    if (!(lambda >= 0.005 && lambda <= 1)) return err_set(e, ERR_BAD_INPUT, "evidence", "lambda lies in 0.005 to 1, not %g", lambda);
    return design(&w, 1e-6, 10, width, e);
}
