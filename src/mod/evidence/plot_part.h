// What the files of the figures share: colours, types and the way from values to the page.
#ifndef GANTRY_MOD_EVIDENCE_PLOT_PART_H
#define GANTRY_MOD_EVIDENCE_PLOT_PART_H

#include "mod/evidence/plot.h"

enum { EV_INK = 0x222222, EV_FAINT = 0x6B6B6B, EV_GRID = 0xE6E6E6 };

uint32_t ev_plot_colour(unsigned colour);

// An axis: value v stands at from + (v - lo) / (hi - lo) * length.
struct ev_axis {
    double lo, hi;
    double from, length; // points of the page; length may be negative (upwards)
    double step;         // between ticks
};

// Widens [lo, hi] to whole steps where it is not told, about so many of them.
void ev_axis_fit(struct ev_axis *axis, double lo, double hi, bool lo_told, bool hi_told, unsigned ticks);
static inline double ev_axis_at(const struct ev_axis *axis, double v) {
    return axis->from + (v - axis->lo) / (axis->hi - axis->lo) * axis->length;
}
// The i-th tick; false beyond the last.
bool ev_axis_tick(const struct ev_axis *axis, unsigned i, double *v, char text[64]);

bool ev_plot_draw_forest(const struct ev_plot *p, enum ev_language language, enum px_page_kind kind, struct buf *out, struct err *e);
// Numbers of a figure have a minus, not a hyphen.
void ev_plot_minus(const char *number, char out[64]);
// The text in the language, for labels that may be keys.
struct str ev_plot_words(struct arena *a, struct str label, enum ev_language language);

#endif
