// The figures that analyses have of their own: ROC curves with bands, limits of agreement, control charts, calibration.
#ifndef GANTRY_MOD_EVIDENCE_FIGURES_H
#define GANTRY_MOD_EVIDENCE_FIGURES_H

#include "mod/evidence/plot.h"
#include "mod/evidence/roc.h"

// A frame for curves: 1 - specificity across, sensitivity upwards, the diagonal.
void ev_figure_roc(struct ev_plot *p, struct arena *a, double level);
// A curve with its name and area in the legend. band: of sensitivities at each specificity, by resampling cases within their class (percentiles; the same seed, the same band).
bool ev_figure_roc_curve(struct ev_plot *p, const struct ev_roc_data *d, struct str name, unsigned colour, bool band, uint64_t seed, struct err *e);
// The band's level is that of ev_figure_roc.

// Differences of pairs against their means, the bias and the limits, each with its interval (NaN: none).
struct ev_limits {
    double value, lo, hi;
};
bool ev_figure_limits(struct ev_plot *p, struct arena *a, const double *x, const double *y, size_t n, const struct ev_limits *bias,
                      const struct ev_limits *lower, const struct ev_limits *upper, struct err *e);

// A control chart: up to two statistics of n points, its limits (NaN: none), and the points that signal in red. x: 1, 2, ...
struct ev_chart {
    const char *title, *y_label;
    const double *upper_side, *lower_side; // cumulative sums of both directions; or upper_side alone: an average
    size_t n;
    double target, upper, lower;       // limits of a point; of upper_side and lower_side
    const double *upper_of, *lower_of; // limits that change with the point, instead; may be NULL
};
bool ev_figure_chart(struct ev_plot *p, struct arena *a, const struct ev_chart *c, struct err *e);

// Observed shares against mean probabilities, by bin: share[i] of count[i] cases, with Wilson's intervals.
bool ev_figure_calibration(struct ev_plot *p, struct arena *a, const double *mean, const double *share, const double *count, size_t bins, double level,
                           struct err *e);

#endif
