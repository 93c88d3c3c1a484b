// Draws a forest: a line for each estimate, with its interval and its figures.
#include <math.h>
#include <stdio.h>

#include "mod/evidence/plot_part.h"

enum { MARGIN = 18, TITLE_HIGH = 30, ROW_HIGH = 19, AXIS_HIGH = 38, LABEL_MIN = 80, LABEL_MAX = 300, FRAME_WIDE = 300, FIGURES_WIDE = 160, ROWS_MAX = 600 };

static const struct px_type TITLE = {.size = 14, .rgb = EV_INK, .bold = true}, NAME = {.size = 10.5, .rgb = EV_INK},
                            HEADING = {.size = 10.5, .rgb = EV_INK, .bold = true}, TICK = {.size = 9.5, .rgb = EV_FAINT, .anchor = 0.5},
                            FIGURES = {.size = 10, .rgb = EV_INK};

struct forest {
    const struct ev_plot *plot;
    enum ev_language language;
    struct px_page *page;
    struct ev_axis x;
    double left, top, bottom; // of the frame
    unsigned rows;
    int decimals;
};

static void fit(struct forest *f) {
    const struct ev_plot *p = f->plot;
    double lo = NAN, hi = NAN;
    for (unsigned i = 0; i < f->rows; i++) {
        const double v[3] = {p->rows[i].value, p->rows[i].lo, p->rows[i].hi};
        for (int k = 0; k < 3 && !p->rows[i].heading; k++) {
            if (!isfinite(v[k])) continue;
            if (!(v[k] >= lo)) lo = v[k];
            if (!(v[k] <= hi)) hi = v[k];
        }
    }
    if (isfinite(p->reference)) {
        lo = fmin(lo, p->reference);
        hi = fmax(hi, p->reference);
    }
    if (!isfinite(lo)) lo = 0, hi = 1;
    if (!isnan(p->x_lo)) lo = p->x_lo;
    if (!isnan(p->x_hi)) hi = p->x_hi;
    ev_axis_fit(&f->x, lo, hi, !isnan(p->x_lo), !isnan(p->x_hi), 6);
}

static double label_width(struct forest *f) {
    double most = LABEL_MIN;
    for (unsigned i = 0; i < f->rows; i++) {
        const struct ev_forest_row *r = &f->plot->rows[i];
        double w = px_page_text_width(NULL, ev_plot_words(f->plot->arena, r->label, f->language), r->heading ? &HEADING : &NAME);
        if (!r->heading) most = fmax(most, w + 10);
    }
    return fmin(most, LABEL_MAX);
}

static void draw_axis(struct forest *f) {
    static const struct px_stroke grid = {.rgb = EV_GRID, .alpha = 1, .width = 0.75}, axis = {.rgb = EV_FAINT, .alpha = 1, .width = 1},
                                  reference = {.rgb = EV_FAINT, .alpha = 1, .width = 1, .dash = 3};
    struct px_type name = NAME;
    double v;
    char text[64];
    for (unsigned i = 0; ev_axis_tick(&f->x, i, &v, text); i++) {
        double at = ev_axis_at(&f->x, v);
        px_page_line(f->page, (double[]){at, f->top, at, f->bottom}, 2, &grid);
        px_page_text(f->page, at, f->bottom + 13, str_of(text), &TICK);
    }
    px_page_line(f->page, (double[]){f->left, f->bottom, f->left + FRAME_WIDE, f->bottom}, 2, &axis);
    double at = ev_axis_at(&f->x, f->plot->reference);
    if (isfinite(at)) px_page_line(f->page, (double[]){at, f->top, at, f->bottom}, 2, &reference);
    name.anchor = 0.5;
    if (f->plot->x_label) px_page_text(f->page, f->left + FRAME_WIDE / 2.0, f->bottom + 30, str_of(ev_term(f->plot->x_label, f->language)), &name);
}

// As many decimals as the widest interval has meaning for.
static int decimals_of(const struct forest *f) {
    double widest = 0;
    for (unsigned i = 0; i < f->rows; i++) {
        double width = f->plot->rows[i].heading ? NAN : f->plot->rows[i].hi - f->plot->rows[i].lo;
        if (isfinite(width)) widest = fmax(widest, width);
    }
    int decimals = widest > 0 ? (int)ceil(2 - log10(widest)) : 3;
    return decimals < 0 ? 0 : decimals > 6 ? 6 : decimals;
}

static void figures_of(const struct ev_forest_row *r, int decimals, char out[256]) {
    const double v[3] = {r->value, r->lo, r->hi};
    bool large = fabs(r->value) >= 1e9;
    char plain[32], text[3][64];
    for (int i = 0; i < 3; i++) {
        if (large)
            snprintf(plain, sizeof plain, "%.4g", v[i]);
        else
            snprintf(plain, sizeof plain, "%.*f", decimals, v[i]);
        ev_plot_minus(plain, text[i]);
    }
    if (isfinite(r->lo) && isfinite(r->hi))
        snprintf(out, 256, "%s  (%s, %s)", text[0], text[1], text[2]);
    else
        snprintf(out, 256, "%s", text[0]);
}

static void draw_mark(struct forest *f, const struct ev_forest_row *r, double y) {
    const struct px_stroke stroke = {.rgb = ev_plot_colour(0), .alpha = 1, .width = 1.5};
    double at = ev_axis_at(&f->x, r->value), lo = ev_axis_at(&f->x, r->lo), hi = ev_axis_at(&f->x, r->hi);
    bool interval = isfinite(lo) && isfinite(hi);
    if (r->total && interval) {
        px_page_area(f->page, (double[]){lo, y, at, y - 5, hi, y, at, y + 5}, 4, stroke.rgb, 1);
        return;
    }
    if (interval) {
        px_page_line(f->page, (double[]){lo, y, hi, y}, 2, &stroke);
        px_page_line(f->page, (double[]){lo, y - 3, lo, y + 3}, 2, &stroke);
        px_page_line(f->page, (double[]){hi, y - 3, hi, y + 3}, 2, &stroke);
    }
    px_page_area(f->page, (double[]){at - 3.2, y - 3.2, at + 3.2, y - 3.2, at + 3.2, y + 3.2, at - 3.2, y + 3.2}, 4, stroke.rgb, 1);
}

static void draw_row(struct forest *f, unsigned i) {
    const struct ev_forest_row *r = &f->plot->rows[i];
    double y = f->top + (i + 0.5) * ROW_HIGH;
    char text[256];
    struct str label = ev_plot_words(f->plot->arena, r->label, f->language);
    px_page_text(f->page, r->heading ? MARGIN : MARGIN + 10, y + 3.5, label, r->heading || r->total ? &HEADING : &NAME);
    if (r->heading || !isfinite(r->value)) return;
    px_page_clip(f->page, f->left - 4, f->top, FRAME_WIDE + 8, f->bottom - f->top);
    draw_mark(f, r, y);
    px_page_clip(f->page, 0, 0, 0, 0);
    figures_of(r, f->decimals, text);
    px_page_text(f->page, f->left + FRAME_WIDE + 14, y + 3.5, str_of(text), &FIGURES);
}

bool ev_plot_draw_forest(const struct ev_plot *p, enum ev_language language, enum px_page_kind kind, struct buf *out, struct err *e) {
    struct forest f = {.plot = p, .language = language, .rows = p->row_count};
    if (p->row_count > ROWS_MAX) return err_set(e, ERR_TOO_LARGE, "evidence", "a forest of %u rows; a figure takes %d", p->row_count, ROWS_MAX);
    f.decimals = decimals_of(&f);
    f.left = MARGIN + label_width(&f) + 8;
    f.top = MARGIN + TITLE_HIGH;
    f.bottom = f.top + f.rows * ROW_HIGH + 4;
    fit(&f);
    f.x.from = f.left;
    f.x.length = FRAME_WIDE;
    f.page = px_page_open(kind, f.left + FRAME_WIDE + FIGURES_WIDE + MARGIN, f.bottom + AXIS_HIGH + MARGIN / 2.0, ev_term(p->title, language), out, e);
    if (!f.page) return false;
    px_page_text(f.page, MARGIN, MARGIN + 12, str_of(ev_term(p->title, language)), &TITLE);
    draw_axis(&f);
    for (unsigned i = 0; i < f.rows; i++) draw_row(&f, i);
    return px_page_close(f.page, e) && buf_ok(out, e);
}
