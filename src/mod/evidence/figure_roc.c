// ROC curves with bands.
#include <math.h>

#include "math/rank.h"
#include "math/rng.h"
#include "math/sums.h"
#include "mod/evidence/figures.h"

enum { GRID = 101, REPLICATES_MAX = 1000, REPLICATES_MIN = 100, DRAWS_MAX = 100 * 1000 * 1000 };

void ev_figure_roc(struct ev_plot *p, struct arena *a, double level) {
    ev_plot_init(p, a, "ROC curves", "1 - specificity", "Sensitivity");
    p->square = p->diagonal = true;
    p->x_lo = p->y_lo = 0;
    p->x_hi = p->y_hi = 1;
    p->level = level;
}

// ---- the band ----

// One set of cases drawn anew: counts at each step of the curve, of one class.
static void redraw(struct rng *rng, const uint32_t *step_of, size_t steps, size_t n, double *out) {
    memset(out, 0, steps * sizeof *out);
    for (size_t i = 0; i < n; i++) out[step_of[rng_below(rng, n)]]++;
    for (size_t k = 1; k < steps; k++) out[k] += out[k - 1];
}

// By case of a class: at which step of the curve it is called positive.
static uint32_t *steps_of(struct arena *a, const double *cumulative, size_t steps, size_t n, struct err *e) {
    uint32_t *of = arena_alloc(a, n * sizeof *of, e);
    size_t i = 0;
    for (size_t k = 0; of && k < steps; k++)
        while (i < n && (double)i < cumulative[k]) of[i++] = (uint32_t)k;
    return of;
}

// Sensitivities of a curve at the grid of 1 - specificity: the greatest, straight between its points.
static void at_grid(const struct ev_roc_curve *c, double *out, size_t stride) {
    size_t k = 0;
    for (size_t g = 0; g < GRID; g++) {
        double fp = (double)g * (double)c->n0 / (GRID - 1);
        while (k + 1 < c->count && c->fp[k + 1] <= fp) k++;
        double tp = c->tp[k];
        if (k + 1 < c->count) tp += (c->tp[k + 1] - tp) * (fp - c->fp[k]) / (c->fp[k + 1] - c->fp[k]);
        out[g * stride] = tp / (double)c->n1;
    }
}

struct band {
    double *x, *lo, *hi;
};

static bool resample(struct arena *a, const struct ev_roc_curve *c, size_t replicates, uint64_t seed, double *value, struct err *e) {
    struct ev_roc_curve drawn = *c;
    struct rng rng;
    uint32_t *of_positive = steps_of(a, c->tp, c->count, c->n1, e), *of_negative = steps_of(a, c->fp, c->count, c->n0, e);
    drawn.tp = arena_alloc(a, c->count * sizeof *drawn.tp, e);
    drawn.fp = arena_alloc(a, c->count * sizeof *drawn.fp, e);
    if (!of_positive || !of_negative || !drawn.tp || !drawn.fp) return false;
    rng_seed(&rng, seed);
    for (size_t r = 0; r < replicates; r++) {
        redraw(&rng, of_positive, c->count, c->n1, drawn.tp);
        redraw(&rng, of_negative, c->count, c->n0, drawn.fp);
        at_grid(&drawn, value + r, replicates);
    }
    return true;
}

static bool make_band(struct arena *a, const struct ev_roc_curve *c, double level, uint64_t seed, struct band *b, struct err *e) {
    size_t n = c->n0 + c->n1, replicates = (size_t)DRAWS_MAX / n;
    replicates = replicates > REPLICATES_MAX ? REPLICATES_MAX : replicates < REPLICATES_MIN ? REPLICATES_MIN : replicates;
    double *value = arena_alloc(a, GRID * replicates * sizeof *value, e);
    b->x = arena_alloc(a, GRID * sizeof *b->x, e);
    b->lo = arena_alloc(a, GRID * sizeof *b->lo, e);
    b->hi = arena_alloc(a, GRID * sizeof *b->hi, e);
    if (!value || !b->x || !b->lo || !b->hi || !resample(a, c, replicates, seed, value, e)) return false;
    for (size_t g = 0; g < GRID; g++) {
        double *at = value + g * replicates;
        if (!rank_sort(a, at, replicates, e)) return false;
        b->x[g] = (double)g / (GRID - 1);
        b->lo[g] = sums_quantile(at, replicates, (1 - level) / 2, 7);
        b->hi[g] = sums_quantile(at, replicates, (1 + level) / 2, 7);
    }
    return true;
}

// ---- the curve ----

static bool add_band(struct ev_plot *p, const struct ev_roc_curve *c, unsigned colour, uint64_t seed, struct err *e) {
    struct band b;
    if (c->n0 < 2 || c->n1 < 2 || c->count > UINT32_MAX) return true;
    if (!make_band(p->arena, c, p->level, seed, &b, e)) return false;
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_BAND, .x = b.x, .y = b.lo, .y2 = b.hi, .n = GRID, .colour = colour});
    return true;
}

bool ev_figure_roc_curve(struct ev_plot *p, const struct ev_roc_data *d, struct str name, unsigned colour, bool band, uint64_t seed, struct err *e) {
    struct ev_roc_curve c;
    if (!ev_roc_curve(p->arena, d, &c, e) || (band && !add_band(p, &c, colour, seed, e))) return false;
    double *x = arena_alloc(p->arena, c.count * sizeof *x, e), *y = x ? arena_alloc(p->arena, c.count * sizeof *y, e) : NULL;
    char *label = y ? arena_printf(p->arena, e, "%.*s: AUC %.3f", STR_FMT(name), ev_roc_area(&c)) : NULL;
    if (!label) return false;
    for (size_t i = 0; i < c.count; i++) {
        x[i] = c.fp[i] / (double)c.n0;
        y[i] = c.tp[i] / (double)c.n1;
    }
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_LINE, .x = x, .y = y, .n = c.count, .colour = colour, .label = str_of(label)});
    return true;
}
