// Figures of analyses, as data.
#include "mod/evidence/figures.h"

#include <math.h>

#include "mod/evidence/proportion.h"

// ---- limits of agreement ----

static bool add_zone(struct ev_plot *p, const struct ev_limits *l, unsigned colour, struct err *e) {
    double *at = arena_alloc(p->arena, 2 * sizeof *at, e);
    if (!at) return false;
    at[0] = l->lo;
    at[1] = l->hi;
    if (isfinite(l->lo) && isfinite(l->hi)) ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_ZONE, .y = at, .y2 = at + 1, .n = 1, .colour = colour});
    return true;
}

bool ev_figure_limits(struct ev_plot *p, struct arena *a, const double *x, const double *y, size_t n, const struct ev_limits *bias,
                      const struct ev_limits *lower, const struct ev_limits *upper, struct err *e) {
    double *mean = arena_alloc(a, n * sizeof *mean, e), *difference = mean ? arena_alloc(a, n * sizeof *difference, e) : NULL;
    if (!difference) return false;
    for (size_t i = 0; i < n; i++) {
        mean[i] = x[i] / 2 + y[i] / 2;
        difference[i] = x[i] - y[i];
    }
    ev_plot_init(p, a, "Limits of agreement", "Mean of both", "Difference");
    if (!add_zone(p, bias, 0, e) || !add_zone(p, lower, 1, e) || !add_zone(p, upper, 1, e)) return false;
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_DOTS, .x = mean, .y = difference, .n = n, .colour = EV_COLOUR_INK});
    ev_plot_level(p, "Upper limit", upper->value, 1, true);
    ev_plot_level(p, "Bias", bias->value, 0, false);
    ev_plot_level(p, "Lower limit", lower->value, 1, true);
    return true;
}

// ---- control charts ----

static double limit_at(const double *of, double fixed, size_t i) {
    return of ? of[i] : fixed;
}

// The points beyond their limit, again, in red.
static bool add_signals(struct ev_plot *p, const struct ev_chart *c, const double *x, const double *y, const double *upper_of, double upper,
                        const double *lower_of, double lower, struct err *e) {
    double *at = arena_alloc(p->arena, c->n * 2 * sizeof *at, e);
    size_t n = 0;
    if (!at) return false;
    for (size_t i = 0; i < c->n; i++) {
        if (!(y[i] > limit_at(upper_of, upper, i)) && !(y[i] < limit_at(lower_of, lower, i))) continue;
        at[n] = x[i];
        at[c->n + n++] = y[i];
    }
    if (n) ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_DOTS, .x = at, .y = at + c->n, .n = n, .colour = EV_COLOUR_ALARM, .label = STR_LIT("Signal")});
    return true;
}

static void add_limit(struct ev_plot *p, const struct ev_chart *c, const double *x, const double *of, double fixed) {
    if (of)
        ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_LINE, .x = x, .y = of, .n = c->n, .colour = EV_COLOUR_ALARM, .dashed = true});
    else if (!isnan(fixed))
        ev_plot_level(p, "Limit", fixed, EV_COLOUR_ALARM, true);
}

bool ev_figure_chart(struct ev_plot *p, struct arena *a, const struct ev_chart *c, struct err *e) {
    double *x = arena_alloc(a, c->n * sizeof *x, e);
    bool both = c->lower_side != NULL;
    if (!x) return false;
    for (size_t i = 0; i < c->n; i++) x[i] = (double)i + 1;
    ev_plot_init(p, a, c->title, "Point", c->y_label);
    ev_plot_add(p, &(struct ev_series){
                       .kind = EV_SERIES_LINE, .x = x, .y = c->upper_side, .n = c->n, .colour = 0, .label = both ? STR_LIT("Upwards") : (struct str){NULL, 0}});
    if (both) ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_LINE, .x = x, .y = c->lower_side, .n = c->n, .colour = 1, .label = STR_LIT("Downwards")});
    add_limit(p, c, x, c->upper_of, c->upper);
    add_limit(p, c, x, c->lower_of, c->lower);
    if (isfinite(c->target)) ev_plot_level(p, "", c->target, EV_COLOUR_GREY, false);
    if (both)
        return add_signals(p, c, x, c->upper_side, c->upper_of, c->upper, NULL, NAN, e) &&
               add_signals(p, c, x, c->lower_side, NULL, NAN, c->lower_of, c->lower, e);
    return add_signals(p, c, x, c->upper_side, c->upper_of, c->upper, c->lower_of, c->lower, e);
}

// ---- calibration ----

bool ev_figure_calibration(struct ev_plot *p, struct arena *a, const double *mean, const double *share, const double *count, size_t bins, double level,
                           struct err *e) {
    double *x = arena_alloc(a, bins * sizeof *x, e), *y = arena_alloc(a, bins * sizeof *y, e), *ends = arena_alloc(a, 2 * bins * sizeof *ends, e);
    size_t n = 0;
    if (!x || !y || !ends) return false;
    for (size_t i = 0; i < bins; i++) {
        if (!(count[i] > 0)) continue;
        struct ev_interval w = ev_proportion(round(share[i] * count[i]), count[i], EV_WILSON, level);
        x[n] = mean[i];
        y[n] = share[i];
        ends[2 * n] = w.lo;
        ends[2 * n + 1] = w.hi;
        n++;
    }
    ev_plot_init(p, a, "Calibration", "Predicted probability", "Observed share");
    p->square = p->diagonal = true;
    p->x_lo = p->y_lo = 0;
    p->x_hi = p->y_hi = 1;
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_LINE, .x = x, .y = y, .n = n, .colour = 0});
    ev_plot_add(p, &(struct ev_series){.kind = EV_SERIES_BARS, .x = x, .y = y, .y2 = ends, .n = n, .colour = 0});
    return true;
}
