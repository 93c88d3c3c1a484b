// Tabular CUSUM and EWMA.
#include "mod/evidence/charts.h"

#include <math.h>

static bool finite_points(const double *x, size_t n, struct err *e) {
    if (n == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "there are no points");
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return err_set(e, ERR_BAD_INPUT, "evidence", "point %zu is no finite number", i + 1);
    return true;
}

bool ev_cusum(struct arena *a, const double *x, size_t n, struct ev_cusum *c, struct err *e) {
    if (!isfinite(c->target) || !(c->k >= 0) || !(c->h > 0) || !(c->head_start >= 0 && c->head_start < c->h))
        return err_set(e, ERR_BAD_INPUT, "evidence", "a CUSUM needs a target, k of 0 or more, h above 0 and a head start below h, not %g, %g, %g, %g",
                       c->target, c->k, c->h, c->head_start);
    if (!finite_points(x, n, e)) return false;
    c->hi = arena_alloc(a, n * sizeof *c->hi, e);
    c->lo = c->hi ? arena_alloc(a, n * sizeof *c->lo, e) : NULL;
    if (!c->lo) return false;
    double hi = c->head_start, lo = c->head_start;
    c->first_signal = c->signals = 0;
    for (size_t i = 0; i < n; i++) {
        c->hi[i] = hi = fmax(0, hi + (x[i] - c->target - c->k));
        c->lo[i] = lo = fmax(0, lo + (c->target - c->k - x[i]));
        if (hi <= c->h && lo <= c->h) continue;
        if (c->signals++ > 0) continue;
        c->first_signal = i + 1;
        c->first_is_hi = hi > c->h;
    }
    return true;
}

bool ev_ewma(struct arena *a, const double *x, size_t n, struct ev_ewma *c, struct err *e) {
    if (!(c->lambda > 0 && c->lambda <= 1) || !isfinite(c->start) || !(c->sd > 0) || !(c->width > 0))
        return err_set(e, ERR_BAD_INPUT, "evidence", "an EWMA needs lambda above 0 to 1, a start, and a deviation and width above 0, not %g, %g, %g, %g",
                       c->lambda, c->start, c->sd, c->width);
    double reach = c->width * c->sd * sqrt(c->lambda / (2 - c->lambda));
    c->lcl = c->start - reach;
    c->ucl = c->start + reach;
    c->first_signal = c->signals = 0;
    if (n == 0) return true;
    if (!finite_points(x, n, e)) return false;
    double *memory = arena_alloc(a, 3 * n * sizeof *memory, e), z = c->start, forgotten = 1;
    if (!memory) return false;
    c->z = memory;
    c->lo = memory + n;
    c->hi = memory + 2 * n;
    for (size_t i = 0; i < n; i++) {
        c->z[i] = z = c->lambda * x[i] + (1 - c->lambda) * z;
        forgotten *= (1 - c->lambda) * (1 - c->lambda);
        double part = c->widening ? reach * sqrt(1 - forgotten) : reach;
        c->lo[i] = c->start - part;
        c->hi[i] = c->start + part;
        if (z >= c->lo[i] && z <= c->hi[i]) continue;
        if (c->signals++ == 0) c->first_signal = i + 1;
    }
    return true;
}
