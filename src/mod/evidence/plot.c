// Draws series in a frame with axes and a legend.
#include "mod/evidence/plot.h"

#include <math.h>
#include <stdio.h>

#include "mod/evidence/plot_part.h"

enum {
    MARGIN = 18,
    SQUARE = 330, // side of a square frame
    WIDE = 460,   // a frame that is not
    HIGH = 270,
    TITLE_HIGH = 26, // from the page's edge to the frame
    TICK_WIDE = 52,  // left of the frame: numbers and the axis's name
    TICK_HIGH = 40,  // below
    LEGEND_LINE = 16,
    LEGEND_KEY = 24,    // the line before its name
    LEVEL_WIDE = 96,    // right of the frame, for names of levels
    POINTS_MAX = 20000, // of a line; more cannot be told apart
};

static const struct px_type TITLE = {.size = 14, .rgb = EV_INK, .bold = true}, LABEL = {.size = 11, .rgb = EV_INK, .anchor = 0.5},
                            TICK = {.size = 9.5, .rgb = EV_FAINT, .anchor = 0.5}, LEGEND = {.size = 10, .rgb = EV_INK};

struct drawing {
    const struct ev_plot *plot;
    enum ev_language language;
    struct px_page *page;
    struct ev_axis x, y;
    double left, top, width, height; // of the frame
    double page_width, page_height;
};

// ---- extent ----

static void stretch(double *lo, double *hi, double v) {
    if (!isfinite(v)) return;
    if (!(v >= *lo)) *lo = v; // also from NaN
    if (!(v <= *hi)) *hi = v;
}

static void stretch_by_series(const struct ev_series *s, double x[2], double y[2]) {
    for (size_t i = 0; i < s->n; i++) {
        if (s->x) stretch(&x[0], &x[1], s->x[i]);
        stretch(&y[0], &y[1], s->y[i]);
        if (s->kind == EV_SERIES_BAND || s->kind == EV_SERIES_ZONE) stretch(&y[0], &y[1], s->y2[i]);
        if (s->kind != EV_SERIES_BARS) continue;
        stretch(&y[0], &y[1], s->y2[2 * i]);
        stretch(&y[0], &y[1], s->y2[2 * i + 1]);
    }
}

static void fit_axes(struct drawing *d) {
    const struct ev_plot *p = d->plot;
    double x[2] = {NAN, NAN}, y[2] = {NAN, NAN};
    for (unsigned i = 0; i < p->series_count; i++) stretch_by_series(&p->series[i], x, y);
    bool told[4] = {!isnan(p->x_lo), !isnan(p->x_hi), !isnan(p->y_lo), !isnan(p->y_hi)};
    double from[4] = {x[0], x[1], y[0], y[1]}, by[4] = {p->x_lo, p->x_hi, p->y_lo, p->y_hi};
    for (int i = 0; i < 4; i++) {
        if (told[i]) from[i] = by[i];
        if (!isfinite(from[i])) from[i] = i & 1;
    }
    ev_axis_fit(&d->x, from[0], from[1], told[0], told[1], p->square ? 5 : 8);
    ev_axis_fit(&d->y, from[2], from[3], told[2], told[3], p->square ? 5 : 6);
}

static bool has_levels(const struct ev_plot *p) {
    for (unsigned i = 0; i < p->series_count; i++)
        if (p->series[i].kind == EV_SERIES_LEVEL) return true;
    return false;
}

static unsigned legend_lines(const struct ev_plot *p) {
    unsigned n = 0;
    for (unsigned i = 0; i < p->series_count; i++) n += p->series[i].kind != EV_SERIES_LEVEL && p->series[i].label.n > 0;
    return n;
}

static void place(struct drawing *d) {
    const struct ev_plot *p = d->plot;
    d->left = MARGIN + TICK_WIDE;
    d->top = MARGIN + TITLE_HIGH;
    d->width = p->square ? SQUARE : WIDE;
    d->height = p->square ? SQUARE : HIGH;
    d->page_width = d->left + d->width + MARGIN + (has_levels(p) ? LEVEL_WIDE : 0);
    d->page_height = d->top + d->height + TICK_HIGH + MARGIN + legend_lines(p) * LEGEND_LINE;
    d->x.from = d->left;
    d->x.length = d->width;
    d->y.from = d->top + d->height;
    d->y.length = -d->height;
}

// ---- frame ----

static void draw_text(struct drawing *d, double x, double y, struct str text, const struct px_type *type) {
    px_page_text(d->page, x, y, text, type);
}

static void draw_ticks(struct drawing *d) {
    static const struct px_stroke grid = {.rgb = EV_GRID, .alpha = 1, .width = 0.75};
    struct px_type right = TICK;
    double v, bottom = d->top + d->height, edge = d->left + d->width;
    char text[64];
    right.anchor = 1;
    for (unsigned i = 0; ev_axis_tick(&d->x, i, &v, text); i++) {
        double at = ev_axis_at(&d->x, v);
        px_page_line(d->page, (double[]){at, d->top, at, bottom}, 2, &grid);
        draw_text(d, at, bottom + 13, str_of(text), &TICK);
    }
    for (unsigned i = 0; ev_axis_tick(&d->y, i, &v, text); i++) {
        double at = ev_axis_at(&d->y, v);
        px_page_line(d->page, (double[]){d->left, at, edge, at}, 2, &grid);
        draw_text(d, d->left - 6, at + 3.5, str_of(text), &right);
    }
}

static void draw_frame(struct drawing *d) {
    static const struct px_stroke axis = {.rgb = EV_FAINT, .alpha = 1, .width = 1}, diagonal = {.rgb = 0xB0B0B0, .alpha = 1, .width = 1, .dash = 3};
    double bottom = d->top + d->height, edge = d->left + d->width;
    struct px_type turned = LABEL;
    turned.turn = -90;
    draw_ticks(d);
    px_page_line(d->page, (double[]){d->left, d->top, d->left, bottom, edge, bottom}, 3, &axis);
    if (d->plot->diagonal) px_page_line(d->page, (double[]){d->left, bottom, edge, d->top}, 2, &diagonal);
    draw_text(d, d->left, MARGIN + 12, str_of(ev_term(d->plot->title, d->language)), &TITLE);
    if (d->plot->x_label) draw_text(d, d->left + d->width / 2, bottom + 31, str_of(ev_term(d->plot->x_label, d->language)), &LABEL);
    if (d->plot->y_label) draw_text(d, MARGIN + 9, d->top + d->height / 2, str_of(ev_term(d->plot->y_label, d->language)), &turned);
}

// ---- series ----

struct trail {
    double *xy;
    size_t n;
};

// Points to the trail, those left out that stand where the last one stands.
static void follow(struct trail *t, double x, double y) {
    const double near = 0.05;
    if (t->n && fabs(t->xy[2 * t->n - 2] - x) < near && fabs(t->xy[2 * t->n - 1] - y) < near) return;
    t->xy[2 * t->n] = x;
    t->xy[2 * t->n + 1] = y;
    t->n++;
}

// Of a long line, the lowest and the highest of each of many short stretches: what the eye would see of it.
static size_t stretch_of(const struct ev_series *s) {
    return s->n <= POINTS_MAX ? 1 : s->n / (POINTS_MAX / 4) + 1;
}

static void follow_stretch(struct drawing *d, const struct ev_series *s, size_t from, size_t to, struct trail *t) {
    size_t low = from, high = from;
    for (size_t i = from; i < to; i++) {
        if (s->y[i] < s->y[low]) low = i;
        if (s->y[i] > s->y[high]) high = i;
    }
    const size_t in_order[4] = {from, low < high ? low : high, low < high ? high : low, to - 1};
    for (int k = 0; k < 4; k++) follow(t, ev_axis_at(&d->x, s->x[in_order[k]]), ev_axis_at(&d->y, s->y[in_order[k]]));
}

static void end_line(struct drawing *d, const struct ev_series *s, struct trail *t) {
    struct px_stroke stroke = {.rgb = ev_plot_colour(s->colour), .alpha = 1, .width = 1.8, .dash = s->dashed ? 4 : 0};
    if (t->n > 1) px_page_line(d->page, t->xy, t->n, &stroke);
    if (t->n == 1) px_page_dot(d->page, t->xy[0], t->xy[1], 1.2, stroke.rgb, 1);
    t->n = 0;
}

static void draw_line(struct drawing *d, const struct ev_series *s, struct trail *t) {
    size_t step = stretch_of(s);
    for (size_t i = 0; i < s->n; i += step) {
        if (!isfinite(s->x[i]) || !isfinite(s->y[i])) {
            end_line(d, s, t);
            continue;
        }
        if (s->kind == EV_SERIES_STEP && i && t->n) follow(t, ev_axis_at(&d->x, s->x[i]), t->xy[2 * t->n - 1]);
        follow_stretch(d, s, i, i + step < s->n ? i + step : s->n, t);
    }
    end_line(d, s, t);
}

static void draw_band(struct drawing *d, const struct ev_series *s, struct trail *t) {
    size_t step = stretch_of(s), last = 0;
    for (size_t i = 0; i < s->n; i += step, last = i)
        if (isfinite(s->y[i])) follow(t, ev_axis_at(&d->x, s->x[i]), ev_axis_at(&d->y, s->y[i]));
    for (size_t i = last; i >= step; i -= step)
        if (isfinite(s->y2[i - step])) follow(t, ev_axis_at(&d->x, s->x[i - step]), ev_axis_at(&d->y, s->y2[i - step]));
    px_page_area(d->page, t->xy, t->n, ev_plot_colour(s->colour), 0.16);
    t->n = 0;
}

// Dots that would lie on one another are drawn once.
static void draw_dots(struct drawing *d, const struct ev_series *s, uint8_t *taken) {
    enum { CELLS = 2 }; // of a point
    double alpha = s->n > 400 ? 0.45 : 0.8, radius = s->n > 2000 ? 1.5 : 2.6;
    size_t across = (size_t)d->width * CELLS;
    for (size_t i = 0; i < s->n; i++) {
        if (!isfinite(s->x[i]) || !isfinite(s->y[i])) continue;
        double x = ev_axis_at(&d->x, s->x[i]), y = ev_axis_at(&d->y, s->y[i]);
        if (x < d->left || x > d->left + d->width || y < d->top || y > d->top + d->height) continue;
        size_t cell = (size_t)((y - d->top) * CELLS) * (across + 1) + (size_t)((x - d->left) * CELLS);
        if (s->n > POINTS_MAX && taken[cell]) continue;
        taken[cell] = 1;
        px_page_dot(d->page, x, y, radius, ev_plot_colour(s->colour), alpha);
    }
}

static void draw_bars(struct drawing *d, const struct ev_series *s) {
    struct px_stroke stroke = {.rgb = ev_plot_colour(s->colour), .alpha = 1, .width = 1.2};
    for (size_t i = 0; i < s->n; i++) {
        if (!isfinite(s->x[i]) || !isfinite(s->y[i])) continue;
        double x = ev_axis_at(&d->x, s->x[i]), lo = ev_axis_at(&d->y, s->y2[2 * i]), hi = ev_axis_at(&d->y, s->y2[2 * i + 1]);
        if (isfinite(lo) && isfinite(hi)) px_page_line(d->page, (double[]){x, lo, x, hi}, 2, &stroke);
        px_page_dot(d->page, x, ev_axis_at(&d->y, s->y[i]), 3, stroke.rgb, 1);
    }
}

static void draw_level(struct drawing *d, const struct ev_series *s) {
    struct px_stroke stroke = {.rgb = ev_plot_colour(s->colour), .alpha = 1, .width = 1.2, .dash = s->dashed ? 4 : 0};
    struct px_type type = {.size = 9.5, .rgb = stroke.rgb};
    double at = ev_axis_at(&d->y, s->y[0]), edge = d->left + d->width;
    if (!isfinite(at) || at < d->top - 1 || at > d->top + d->height + 1) return;
    px_page_line(d->page, (double[]){d->left, at, edge, at}, 2, &stroke);
    char number[32], text[64];
    snprintf(number, sizeof number, "%.4g", s->y[0]);
    ev_plot_minus(number, text);
    struct str name = ev_plot_words(d->plot->arena, s->label, d->language);
    const char *label = arena_printf(d->plot->arena, NULL, "%.*s%s%s", STR_FMT(name), name.n ? " " : "", text);
    draw_text(d, edge + 5, at + 3.5, str_of(label ? label : text), &type);
}

static void draw_zone(struct drawing *d, const struct ev_series *s) {
    double y = ev_axis_at(&d->y, s->y[0]), y2 = ev_axis_at(&d->y, s->y2[0]), edge = d->left + d->width;
    if (isfinite(y) && isfinite(y2)) px_page_area(d->page, (double[]){d->left, y, edge, y, edge, y2, d->left, y2}, 4, ev_plot_colour(s->colour), 0.13);
}

// In the order that lets lines be seen: bands, then dots, then lines; alarms above all.
static bool draw_series(struct drawing *d, struct err *e) {
    const struct ev_plot *p = d->plot;
    enum { ROOM = 2 * (4 * POINTS_MAX + 16) };
    struct trail t = {arena_alloc(p->arena, ROOM * sizeof *t.xy, e), 0};
    uint8_t *taken = t.xy ? arena_zero(p->arena, (size_t)(2 * WIDE + 2) * (2 * WIDE + 2), 1, e) : NULL;
    if (!taken) return false;
    for (int turn = 0; turn < 4; turn++) {
        for (unsigned i = 0; i < p->series_count; i++) {
            const struct ev_series *s = &p->series[i];
            if (turn == 0 && s->kind == EV_SERIES_BAND) draw_band(d, s, &t);
            if (turn == 0 && s->kind == EV_SERIES_ZONE) draw_zone(d, s);
            if (turn == (s->colour == EV_COLOUR_ALARM ? 3 : 1) && s->kind == EV_SERIES_DOTS) draw_dots(d, s, taken);
            if (turn == 2 && (s->kind == EV_SERIES_LINE || s->kind == EV_SERIES_STEP)) draw_line(d, s, &t);
            if (turn == 2 && s->kind == EV_SERIES_BARS) draw_bars(d, s);
        }
    }
    return true;
}

static void draw_levels(struct drawing *d) {
    for (unsigned i = 0; i < d->plot->series_count; i++)
        if (d->plot->series[i].kind == EV_SERIES_LEVEL) draw_level(d, &d->plot->series[i]);
}

static void draw_legend(struct drawing *d) {
    double y = d->top + d->height + TICK_HIGH + LEGEND_LINE;
    for (unsigned i = 0; i < d->plot->series_count; i++) {
        const struct ev_series *s = &d->plot->series[i];
        struct px_stroke stroke = {.rgb = ev_plot_colour(s->colour), .alpha = 1, .width = 1.8, .dash = s->dashed ? 4 : 0};
        const double x = d->left, box[8] = {x, y - 8, x + LEGEND_KEY - 6, y - 8, x + LEGEND_KEY - 6, y + 1, x, y + 1};
        if (s->kind == EV_SERIES_LEVEL || !s->label.n) continue;
        if (s->kind == EV_SERIES_BAND)
            px_page_area(d->page, box, 4, stroke.rgb, 0.16);
        else if (s->kind == EV_SERIES_DOTS || s->kind == EV_SERIES_BARS)
            px_page_dot(d->page, x + (LEGEND_KEY - 6) / 2.0, y - 3.5, 2.8, stroke.rgb, 0.9);
        else
            px_page_line(d->page, (double[]){x, y - 3.5, x + LEGEND_KEY - 6, y - 3.5}, 2, &stroke);
        draw_text(d, x + LEGEND_KEY, y, ev_plot_words(d->plot->arena, s->label, d->language), &LEGEND);
        y += LEGEND_LINE;
    }
}

bool ev_plot_draw(const struct ev_plot *p, enum ev_language language, enum px_page_kind kind, struct buf *out, struct err *e) {
    struct drawing d = {.plot = p, .language = language};
    if (p->failed) return err_nomem(e, "evidence");
    if (p->row_count) return ev_plot_draw_forest(p, language, kind, out, e);
    fit_axes(&d);
    place(&d);
    d.page = px_page_open(kind, d.page_width, d.page_height, ev_term(p->title, language), out, e);
    if (!d.page) return false;
    draw_frame(&d);
    draw_levels(&d);
    px_page_clip(d.page, d.left - 4, d.top - 4, d.width + 8, d.height + 8);
    bool ok = draw_series(&d, e);
    px_page_clip(d.page, 0, 0, 0, 0);
    draw_legend(&d);
    return px_page_close(d.page, ok ? e : NULL) && ok && buf_ok(out, e);
}
