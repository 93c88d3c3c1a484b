// Figures of analyses: curves with bands, points, limits, forests of intervals; as SVG, PDF or PNG.
//
// A figure is told as data; where everything stands is this file's business. Titles, axes and labels are keys of data/evidence_terms.tsv (a label may also be anybody's own
// name, as of a reader: what is no key stays as it is).
#ifndef GANTRY_MOD_EVIDENCE_PLOT_H
#define GANTRY_MOD_EVIDENCE_PLOT_H

#include "base/arena.h"
#include "base/buf.h"
#include "mod/evidence/report.h"
#include "pixel/draw.h"

enum ev_series_kind {
    EV_SERIES_LINE,
    EV_SERIES_STEP, // level until the next x
    EV_SERIES_BAND, // between y and y2
    EV_SERIES_DOTS,
    EV_SERIES_BARS,  // dots with their interval from y2[2i] to y2[2i + 1]
    EV_SERIES_ZONE,  // all across, from y[0] to y2[0]
    EV_SERIES_LEVEL, // a horizontal line at y[0], with its name and value at its end
};

struct ev_series {
    enum ev_series_kind kind;
    struct str label; // in the legend (of a level: at its end); {NULL, 0}: none
    const double *x, *y, *y2;
    size_t n;
    unsigned colour; // 0, 1, 2, ...; EV_COLOUR_GREY, EV_COLOUR_ALARM, EV_COLOUR_INK
    bool dashed;
};
enum { EV_COLOUR_GREY = 100, EV_COLOUR_ALARM = 101, EV_COLOUR_INK = 102 };

struct ev_forest_row {
    struct str label;
    double value, lo, hi; // lo, hi NaN: no interval
    bool heading;         // label alone, in bold
    bool total;           // a diamond
};

struct ev_plot {
    struct arena *arena;
    const char *title, *x_label, *y_label;
    double x_lo, x_hi, y_lo, y_hi; // NaN: as the data need
    bool square;                   // both axes as long as each other: ROC, calibration
    bool diagonal;                 // a grey line from corner to corner
    struct ev_series *series;
    unsigned series_count;
    struct ev_forest_row *rows; // a forest instead of series
    unsigned row_count;
    double reference; // of a forest: a line there; NaN: none
    bool failed;      // memory; ev_plot_draw says so
};

void ev_plot_init(struct ev_plot *p, struct arena *a, const char *title, const char *x_label, const char *y_label);
// The arrays stay alive until the drawing. Values that are not finite interrupt a line and are left out of the rest.
void ev_plot_add(struct ev_plot *p, const struct ev_series *s);
void ev_plot_level(struct ev_plot *p, const char *label, double y, unsigned colour, bool dashed);
void ev_plot_zone(struct ev_plot *p, double lo, double hi, unsigned colour); // nothing when lo or hi is not finite
// The points above hi or below lo, once more, as alarms.
void ev_plot_signals(struct ev_plot *p, const double *x, const double *y, size_t n, double lo, double hi);
void ev_plot_row(struct ev_plot *p, const struct ev_forest_row *row);
// A forest of the report's entries of that name, a line for each group; false (no error) when none has an interval.
bool ev_plot_of_entries(struct ev_plot *p, struct arena *a, const struct ev_report *r, const char *name);
// A forest of what the report has first: entries of one name where groups share it, else all that have intervals.
bool ev_plot_of_report(struct ev_plot *p, struct arena *a, const struct ev_report *r);

bool ev_plot_draw(const struct ev_plot *p, enum ev_language language, enum px_page_kind kind, struct buf *out, struct err *e);

#endif
