// Draws ROC curves.
#include <math.h>

#include "mod/evidence/roc_plot.h"

enum { GRID = 101, POINTS_MAX = 4000, BANDS_MAX = 3, REPLICATES_MIN = 200 };
// What resampling for a band may come to: cases drawn.
#define DRAWS_MAX 3e7

// At most POINTS_MAX points of the curve, both ends among them.
static bool add_curve(struct arena *a, const struct ev_roc_table *t, unsigned which, struct ev_plot *p, struct err *e) {
    struct ev_roc_curve c;
    struct ev_roc_data d = {t->score[which], t->positive, t->n};
    if (!ev_roc_curve(a, &d, &c, e)) return false;
    size_t n = c.count < POINTS_MAX ? c.count : POINTS_MAX;
    double *x = arena_alloc(a, n * sizeof *x, e), *y = x ? arena_alloc(a, n * sizeof *y, e) : NULL;
    if (!y) return false;
    for (size_t i = 0; i < n; i++) {
        size_t at = n > 1 ? i * (c.count - 1) / (n - 1) : 0;
        x[i] = c.fp[at] / (double)c.n0;
        y[i] = c.tp[at] / (double)c.n1;
    }
    const char *label = arena_printf(a, e, "%.*s (AUC %.3f)", STR_FMT(t->name[which]), ev_roc_area(&c));
    if (!label) return false;
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_LINE, .label = str_of(label), .x = x, .y = y, .n = n, .colour = which});
    return true;
}

static bool add_band(struct arena *a, const struct ev_roc_request *w, const double *value, unsigned replicates, unsigned which, struct ev_plot *p,
                     struct err *e) {
    double *x = arena_alloc(a, 3 * (size_t)GRID * sizeof *x, e);
    if (!x) return false;
    double *lo = x + GRID, *hi = lo + GRID;
    for (unsigned k = 0; k < GRID; k++) {
        struct ev_resampled b;
        if (!ev_resampled(a, value + ((size_t)which * GRID + k) * replicates, replicates, w->level, &b, e)) return false;
        x[k] = (double)k / (GRID - 1);
        lo[k] = b.lo;
        hi[k] = b.hi;
    }
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_BAND, .x = x, .y = lo, .y2 = hi, .n = GRID, .colour = which});
    return true;
}

static bool add_bands(struct arena *a, const struct ev_roc_table *t, const struct ev_roc_request *w, struct ev_plot *p, struct err *e) {
    struct ev_wanted wanted[GRID];
    double *value, draws = DRAWS_MAX / (double)t->n / t->tests;
    unsigned replicates = draws < w->replicates ? (unsigned)draws : w->replicates;
    if (t->cluster || t->tests > BANDS_MAX || replicates < REPLICATES_MIN) return true;
    for (unsigned k = 0; k < GRID; k++) wanted[k] = (struct ev_wanted){.index = EV_INDEX_SENSITIVITY_AT, .lo = 1 - (double)k / (GRID - 1)};
    if (!ev_roc_bootstrap(a, t->tests, (const double *const *)t->score, t->positive, t->n, wanted, GRID, replicates, w->seed, &value, e)) return false;
    for (unsigned i = 0; i < t->tests; i++)
        if (!add_band(a, w, value, replicates, i, p, e)) return false;
    return true;
}

bool ev_roc_plot(struct arena *a, const struct ev_roc_table *t, const struct ev_roc_request *w, struct ev_plot *p, struct err *e) {
    ev_plot_init(p, a, "ROC curve", "False positive rate (1 - specificity)", "True positive rate (sensitivity)");
    p->square = p->diagonal = true;
    p->x_lo = p->y_lo = 0;
    p->x_hi = p->y_hi = 1;
    if (!add_bands(a, t, w, p, e)) return false;
    for (unsigned i = 0; i < t->tests; i++)
        if (!add_curve(a, t, i, p, e)) return false;
    return true;
}
