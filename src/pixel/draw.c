// Drawing by cairo and pango: coverage is drawn into masks, which are then laid over the picture.
#include "pixel/draw.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pixel/graphic.h"

enum { TEXT_BYTES_MAX = 10240, TEXT_LINES_MAX = 200, COORDINATE_MAX = 100000 };

// ---- masks ----

struct mask {
    cairo_surface_t *surface;
    cairo_t *cairo;
    uint32_t width, height;
};

static bool mask_open(struct mask *m, uint32_t width, uint32_t height, struct err *e) {
    *m = (struct mask){.width = width, .height = height};
    m->surface = cairo_image_surface_create(CAIRO_FORMAT_A8, (int)width, (int)height);
    m->cairo = cairo_create(m->surface);
    if (cairo_status(m->cairo) == CAIRO_STATUS_SUCCESS) return true;
    cairo_destroy(m->cairo);
    cairo_surface_destroy(m->surface);
    return err_nomem(e, "pixel");
}

static void mask_close(struct mask *m) {
    cairo_destroy(m->cairo);
    cairo_surface_destroy(m->surface);
}

static uint8_t mix(uint8_t below, uint8_t above, unsigned cover) {
    return (uint8_t)((below * (255 - cover) + above * cover + 127) / 255);
}

// Lays the colour over the picture where the mask covers; x, y: where the mask's corner is in the picture.
static void mask_lay(const struct mask *m, int64_t x, int64_t y, const uint8_t rgb[3], struct px_picture *p) {
    cairo_surface_flush(m->surface);
    const uint8_t *cover = cairo_image_surface_get_data(m->surface);
    size_t stride = (size_t)cairo_image_surface_get_stride(m->surface);
    for (uint32_t j = 0; cover && j < m->height; j++) {
        if (y + j < 0 || y + j >= p->height) continue;
        for (uint32_t i = 0; i < m->width; i++) {
            unsigned c = cover[j * stride + i];
            if (!c || x + i < 0 || x + i >= p->width) continue;
            uint8_t *to = p->pixels + ((size_t)(y + j) * p->width + (size_t)(x + i)) * p->channels;
            for (unsigned k = 0; k < p->channels && k < 3; k++) to[k] = mix(to[k], rgb[k], c);
        }
    }
}

static bool make_rgb(struct arena *a, struct px_picture *p, struct err *e) {
    size_t n = (size_t)p->width * p->height;
    if (p->channels == 3) return true;
    uint8_t *rgb = arena_alloc(a, n * 3, e);
    if (!rgb) return false;
    for (size_t i = 0; i < n; i++) memset(rgb + 3 * i, p->pixels[i], 3);
    p->pixels = rgb;
    p->channels = 3;
    return true;
}

// ---- text ----

// Fonts are looked for once, and used by one thread at a time.
static struct {
    pthread_mutex_t lock;
    PangoFontMap *map;
} fonts = {PTHREAD_MUTEX_INITIALIZER, NULL};

#ifdef __SANITIZE_ADDRESS__
// What fontconfig keeps until the process ends is no leak of ours, nor is what cairo 1.16 forgets of each subset of a font in a PDF.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig\nleak:libpango\nleak:libcairo";
}
#endif

static PangoLayout *layout_of(struct str text, double size) {
    if (!fonts.map) fonts.map = pango_cairo_font_map_new();
    PangoContext *context = pango_font_map_create_context(fonts.map);
    pango_context_set_language(context, pango_language_from_string("zh-cn")); // Han characters in the shapes of the mainland
    PangoLayout *layout = pango_layout_new(context);
    g_object_unref(context);
    PangoFontDescription *font = pango_font_description_from_string("Noto Sans, Noto Sans CJK SC, sans-serif");
    pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    while (text.n > TEXT_BYTES_MAX || (text.n && (text.p[text.n - 1] & 0xC0) == 0x80 && text.n >= TEXT_BYTES_MAX)) text.n--; // between characters
    if (text.n && (unsigned char)text.p[text.n - 1] >= 0xC0) text.n--;
    pango_layout_set_text(layout, text.p ? text.p : "", (int)text.n);
    return layout;
}

// Text white with a dark edge, so that it can be read on anything. x, y: of the text's corner in the picture.
static bool lay_text(PangoLayout *layout, double size, double x, double y, const uint8_t rgb[3], struct px_picture *p, struct err *e) {
    static const uint8_t dark[3] = {0, 0, 0};
    int width, height, edge = size > 20 ? 2 : 1;
    struct mask m;
    pango_layout_get_pixel_size(layout, &width, &height);
    width = width > (int)p->width ? (int)p->width : width;
    height = height > (int)p->height ? (int)p->height : height;
    if (!mask_open(&m, (uint32_t)(width + 2 * edge), (uint32_t)(height + 2 * edge), e)) return false;
    cairo_move_to(m.cairo, edge, edge);
    pango_cairo_layout_path(m.cairo, layout);
    cairo_set_line_width(m.cairo, 2 * edge);
    cairo_set_line_join(m.cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_stroke_preserve(m.cairo);
    bool bright = rgb[0] + rgb[1] + rgb[2] > 150;
    if (bright) mask_lay(&m, (int64_t)x - edge, (int64_t)y - edge, dark, p);
    cairo_set_operator(m.cairo, CAIRO_OPERATOR_CLEAR);
    cairo_path_t *path = cairo_copy_path(m.cairo);
    cairo_paint(m.cairo);
    cairo_set_operator(m.cairo, CAIRO_OPERATOR_OVER);
    cairo_new_path(m.cairo);
    cairo_append_path(m.cairo, path);
    cairo_path_destroy(path);
    cairo_fill(m.cairo);
    mask_lay(&m, (int64_t)x - edge, (int64_t)y - edge, rgb, p);
    mask_close(&m);
    return true;
}

bool px_draw_lines(struct px_picture *p, enum px_corner corner, struct str text, struct err *e) {
    static const uint8_t white[3] = {255, 255, 255};
    double side = p->width < p->height ? p->width : p->height, size = fmin(fmax(side / 32, 9), 48), margin = size / 2;
    int width, height;
    pthread_mutex_lock(&fonts.lock);
    PangoLayout *layout = layout_of(text, size);
    pango_layout_set_width(layout, (int)(fmax(p->width - 2 * margin, 1) * PANGO_SCALE));
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
    if (corner == PX_TOP_RIGHT || corner == PX_BOTTOM_RIGHT) pango_layout_set_alignment(layout, PANGO_ALIGN_RIGHT);
    pango_layout_get_pixel_size(layout, &width, &height);
    bool bottom = corner == PX_BOTTOM_LEFT || corner == PX_BOTTOM_RIGHT;
    bool ok = lay_text(layout, size, margin, bottom ? fmax(p->height - margin - height, 0) : margin, white, p, e);
    g_object_unref(layout);
    pthread_mutex_unlock(&fonts.lock);
    return ok;
}

// ---- graphics ----

static double bounded(double v) {
    return isfinite(v) ? fmin(fmax(v, -COORDINATE_MAX), COORDINATE_MAX) : 0;
}

static void point_of(const struct px_view *v, enum px_units units, const double *xy, double *x, double *y) {
    if (units == PX_UNITS_DISPLAY) {
        *x = xy[0] * v->out_width;
        *y = xy[1] * v->out_height;
    } else {
        px_view_point(v, xy[0], xy[1], x, y);
    }
    *x = bounded(*x);
    *y = bounded(*y);
}

static void trace_line(cairo_t *c, const double *p, unsigned n) {
    for (unsigned i = 0; i < n; i++) cairo_line_to(c, p[2 * i], p[2 * i + 1]);
    if (n > 2 && p[0] == p[2 * n - 2] && p[1] == p[2 * n - 1]) cairo_close_path(c);
}

// A curve through all points (C.10.5.1.2 leaves open which): Catmull-Rom as Bezier pieces.
static void trace_curve(cairo_t *c, const double *p, unsigned n) {
    bool closed = n > 2 && p[0] == p[2 * n - 2] && p[1] == p[2 * n - 1];
    cairo_move_to(c, p[0], p[1]);
    for (unsigned i = 0; i + 1 < n; i++) {
        const double *b = &p[2 * i], *d = &p[2 * i + 2];
        const double *a = i > 0 ? b - 2 : closed ? &p[2 * n - 4] : b, *f = i + 2 < n ? d + 2 : closed ? &p[2] : d;
        cairo_curve_to(c, b[0] + (d[0] - a[0]) / 6, b[1] + (d[1] - a[1]) / 6, d[0] - (f[0] - b[0]) / 6, d[1] - (f[1] - b[1]) / 6, d[0], d[1]);
    }
    if (closed) cairo_close_path(c);
}

// Through the ends of its two axes: major, then minor.
static void trace_ellipse(cairo_t *c, const double *p) {
    double x = (p[0] + p[2]) / 2, y = (p[1] + p[3]) / 2, ax = (p[2] - p[0]) / 2, ay = (p[3] - p[1]) / 2, bx = (p[6] - p[4]) / 2, by = (p[7] - p[5]) / 2;
    cairo_matrix_t before, axes = {.xx = ax, .yx = ay, .xy = bx, .yy = by, .x0 = x, .y0 = y};
    if (fabs(ax * by - ay * bx) < 1e-6) return;
    cairo_get_matrix(c, &before);
    cairo_transform(c, &axes);
    cairo_new_sub_path(c);
    cairo_arc(c, 0, 0, 1, 0, 2 * M_PI);
    cairo_close_path(c);
    cairo_set_matrix(c, &before);
}

// Image pixels need not be square in the picture's units, so a circle is traced as the ellipse that it is there.
static void trace_circle(cairo_t *c, const struct px_view *v, const struct px_graphic *g) {
    double dx = g->point[2] - g->point[0], dy = (g->point[3] - g->point[1]), ratio = g->units == PX_UNITS_DISPLAY ? 1 : v->pixel_ratio, r, p[8];
    if (g->units == PX_UNITS_DISPLAY) ratio = (double)v->out_height / v->out_width;
    r = sqrt(dx * dx + dy * dy * ratio * ratio);
    const double ends[8] = {g->point[0] - r,         g->point[1], g->point[0] + r,        g->point[1], g->point[0],
                            g->point[1] - r / ratio, g->point[0], g->point[1] + r / ratio};
    for (unsigned i = 0; i < 4; i++) point_of(v, g->units, &ends[2 * i], &p[2 * i], &p[2 * i + 1]);
    trace_ellipse(c, p);
}

static void trace_dots(cairo_t *c, const double *p, unsigned n, double width) {
    for (unsigned i = 0; i < n; i++) {
        cairo_new_sub_path(c);
        cairo_arc(c, p[2 * i], p[2 * i + 1], 1.5 * width, 0, 2 * M_PI);
        cairo_close_path(c);
    }
}

static bool trace(struct arena *a, cairo_t *c, const struct px_view *v, const struct px_graphic *g, double width, struct err *e) {
    double *p = arena_alloc(a, (size_t)g->points * 2 * sizeof *p, e);
    bool filled = g->filled;
    if (!p) return false;
    for (unsigned i = 0; i < g->points; i++) point_of(v, g->units, &g->point[2 * i], &p[2 * i], &p[2 * i + 1]);
    cairo_new_path(c);
    if (g->kind == PX_GRAPHIC_POINT) trace_dots(c, p, g->points, width), filled = true;
    if (g->kind == PX_GRAPHIC_POLYLINE) trace_line(c, p, g->points);
    if (g->kind == PX_GRAPHIC_INTERPOLATED) trace_curve(c, p, g->points);
    if (g->kind == PX_GRAPHIC_CIRCLE) trace_circle(c, v, g);
    if (g->kind == PX_GRAPHIC_ELLIPSE) trace_ellipse(c, p);
    if (filled) cairo_fill_preserve(c);
    cairo_stroke(c);
    return true;
}

// The box that the text has to be in, else where it begins.
static bool draw_text(const struct px_view *v, const struct px_graphic *g, const uint8_t rgb[3], struct px_picture *picture, struct err *e) {
    double x, y, right, bottom, size = fmin(fmax(fmin(picture->width, picture->height) / 32.0, 10), 48);
    point_of(v, g->units, g->point, &x, &y);
    pthread_mutex_lock(&fonts.lock);
    PangoLayout *layout = layout_of(g->text, size);
    if (g->points == 2) {
        point_of(v, g->units, g->point + 2, &right, &bottom);
        double left = fmin(x, right), width = fabs(right - x);
        x = left;
        y = fmin(y, bottom);
        pango_layout_set_width(layout, (int)(fmin(fmax(width, 4 * size), picture->width) * PANGO_SCALE));
        pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
        pango_layout_set_alignment(layout, g->align == PX_ALIGN_CENTER  ? PANGO_ALIGN_CENTER
                                           : g->align == PX_ALIGN_RIGHT ? PANGO_ALIGN_RIGHT
                                                                        : PANGO_ALIGN_LEFT);
    }
    pango_layout_set_height(layout, -TEXT_LINES_MAX);
    pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
    bool ok = lay_text(layout, size, x, y, rgb, picture, e);
    g_object_unref(layout);
    pthread_mutex_unlock(&fonts.lock);
    return ok;
}

static bool draw_layer(struct arena *a, const struct px_view *v, const struct px_graphic_layer *layer, struct px_picture *picture, struct err *e) {
    double width = fmax(1, fmin(picture->width, picture->height) / 500.0);
    struct mask m;
    if (!layer->count) return true;
    if ((layer->rgb[0] != layer->rgb[1] || layer->rgb[1] != layer->rgb[2]) && !make_rgb(a, picture, e)) return false;
    if (!mask_open(&m, picture->width, picture->height, e)) return false;
    cairo_set_line_width(m.cairo, width);
    bool ok = true;
    for (unsigned i = 0; ok && i < layer->count; i++)
        if (layer->graphics[i].kind != PX_GRAPHIC_TEXT) ok = trace(a, m.cairo, v, &layer->graphics[i], width, e);
    mask_lay(&m, 0, 0, layer->rgb, picture);
    mask_close(&m);
    for (unsigned i = 0; ok && i < layer->count; i++)
        if (layer->graphics[i].kind == PX_GRAPHIC_TEXT) ok = draw_text(v, &layer->graphics[i], layer->rgb, picture, e);
    return ok;
}

bool px_draw_graphics(struct arena *a, const struct px_view *v, const struct dcm_dataset *ps, struct str sop_instance_uid, uint32_t frame,
                      struct px_picture *picture, struct err *e) {
    struct px_graphic_layer *layers;
    unsigned n;
    if (!px_graphics_of(a, ps, sop_instance_uid, frame, &layers, &n, e)) return false;
    for (unsigned i = 0; i < n; i++)
        if (!draw_layer(a, v, &layers[i], picture, e)) return false;
    return true;
}

// ---- pages ----

struct px_page {
    enum px_page_kind kind;
    cairo_surface_t *surface;
    cairo_t *cairo;
    struct buf *out;
    size_t begin; // of our bytes in out
    char *title;  // of an SVG
    double scale; // pixels of a point
};

static cairo_status_t take_bytes(void *to, const unsigned char *p, unsigned n) {
    struct buf *out = to;
    buf_add(out, p, n);
    return out->failed ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static cairo_surface_t *surface_of(struct px_page *page, double width, double height, const char *title) {
    enum { PNG_PIXELS_PER_POINT = 2 };
    cairo_surface_t *s;
    page->scale = 1;
    if (page->kind == PX_PAGE_SVG) {
        s = cairo_svg_surface_create_for_stream(take_bytes, page->out, width, height);
        if (cairo_surface_status(s) == CAIRO_STATUS_SUCCESS) cairo_svg_surface_set_document_unit(s, CAIRO_SVG_UNIT_PT);
    } else if (page->kind == PX_PAGE_PDF) {
        s = cairo_pdf_surface_create_for_stream(take_bytes, page->out, width, height);
        if (cairo_surface_status(s) == CAIRO_STATUS_SUCCESS) {
            cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_TITLE, title);
            cairo_pdf_surface_set_metadata(s, CAIRO_PDF_METADATA_CREATOR, "Gantry");
        }
    } else {
        page->scale = PNG_PIXELS_PER_POINT;
        s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(width * page->scale), (int)ceil(height * page->scale));
    }
    return s;
}

static void page_free(struct px_page *page) {
    cairo_destroy(page->cairo);
    cairo_surface_destroy(page->surface);
    free(page->title);
    free(page);
}

// cairo writes no title into an SVG: it is put after the first tag.
static void add_title(struct px_page *page) {
    struct buf *out = page->out, title;
    const char *svg = out->failed ? NULL : memmem(out->p + page->begin, out->n - page->begin, "<svg", 4);
    const char *end = svg ? memchr(svg, '>', out->n - (size_t)(svg - out->p)) : NULL;
    if (!end) return;
    size_t at = (size_t)(end + 1 - out->p), rest = out->n - at;
    buf_init(&title, 1 << 16);
    buf_addz(&title, "\n<title>");
    for (const char *p = page->title; *p; p++) {
        if (*p == '<' || *p == '>' || *p == '&')
            buf_addz(&title, *p == '<' ? "&lt;" : *p == '>' ? "&gt;" : "&amp;");
        else
            buf_addc(&title, *p);
    }
    buf_addz(&title, "</title>");
    if (!title.failed && buf_reserve(out, title.n)) {
        memmove(out->p + at + title.n, out->p + at, rest);
        memcpy(out->p + at, title.p, title.n);
        out->n += title.n;
    }
    buf_deinit(&title);
}

struct px_page *px_page_open(enum px_page_kind kind, double width, double height, const char *title, struct buf *out, struct err *e) {
    if (!(width >= 1 && height >= 1 && width <= PX_PAGE_POINTS_MAX && height <= PX_PAGE_POINTS_MAX)) {
        err_set(e, ERR_TOO_LARGE, "pixel", "a page of %.0f by %.0f points; %d at most", width, height, PX_PAGE_POINTS_MAX);
        return NULL;
    }
    struct px_page *page = calloc(1, sizeof *page);
    if (!page) {
        err_nomem(e, "pixel");
        return NULL;
    }
    page->kind = kind;
    page->out = out;
    page->begin = out->n;
    page->title = strdup(title);
    if (!page->title) {
        free(page);
        err_nomem(e, "pixel");
        return NULL;
    }
    page->surface = surface_of(page, width, height, title);
    page->cairo = cairo_create(page->surface);
    if (cairo_status(page->cairo) != CAIRO_STATUS_SUCCESS) {
        err_set(e, ERR_NOMEM, "pixel", "a page could not be begun: %s", cairo_status_to_string(cairo_status(page->cairo)));
        page_free(page);
        return NULL;
    }
    cairo_scale(page->cairo, page->scale, page->scale);
    cairo_set_source_rgb(page->cairo, 1, 1, 1);
    cairo_paint(page->cairo);
    cairo_set_line_join(page->cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_save(page->cairo); // what px_page_clip goes back to
    return page;
}

bool px_page_close(struct px_page *page, struct err *e) {
    if (!page) return false;
    cairo_status_t status = cairo_status(page->cairo);
    if (page->kind == PX_PAGE_PNG && status == CAIRO_STATUS_SUCCESS) status = cairo_surface_write_to_png_stream(page->surface, take_bytes, page->out);
    cairo_surface_finish(page->surface);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(page->surface);
    if (page->kind == PX_PAGE_SVG && status == CAIRO_STATUS_SUCCESS) add_title(page);
    page_free(page);
    return status == CAIRO_STATUS_SUCCESS || err_set(e, ERR_IO, "pixel", "a page could not be drawn: %s", cairo_status_to_string(status));
}

static void set_colour(cairo_t *c, uint32_t rgb, double alpha) {
    cairo_set_source_rgba(c, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0, alpha);
}

static void trace_points(cairo_t *c, const double *xy, size_t n) {
    cairo_new_path(c);
    for (size_t i = 0; i < n; i++) cairo_line_to(c, bounded(xy[2 * i]), bounded(xy[2 * i + 1]));
}

void px_page_line(struct px_page *page, const double *xy, size_t n, const struct px_stroke *stroke) {
    set_colour(page->cairo, stroke->rgb, stroke->alpha);
    cairo_set_line_width(page->cairo, stroke->width);
    cairo_set_dash(page->cairo, &stroke->dash, stroke->dash > 0, 0);
    trace_points(page->cairo, xy, n);
    cairo_stroke(page->cairo);
}

void px_page_area(struct px_page *page, const double *xy, size_t n, uint32_t rgb, double alpha) {
    set_colour(page->cairo, rgb, alpha);
    trace_points(page->cairo, xy, n);
    cairo_fill(page->cairo);
}

void px_page_dot(struct px_page *page, double x, double y, double radius, uint32_t rgb, double alpha) {
    set_colour(page->cairo, rgb, alpha);
    cairo_new_path(page->cairo);
    cairo_arc(page->cairo, bounded(x), bounded(y), radius, 0, 2 * M_PI);
    cairo_fill(page->cairo);
}

void px_page_clip(struct px_page *page, double x, double y, double width, double height) {
    cairo_restore(page->cairo);
    cairo_save(page->cairo);
    if (width <= 0) return;
    cairo_rectangle(page->cairo, x, y, width, height);
    cairo_clip(page->cairo);
}

// With fonts.lock held.
static PangoLayout *line_of(struct str text, const struct px_type *type) {
    PangoLayout *layout = layout_of(text, type->size);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF); // spaces as wide as the font has them: pages have no pixels
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    pango_cairo_context_set_font_options(pango_layout_get_context(layout), options);
    cairo_font_options_destroy(options);
    pango_layout_context_changed(layout);
    pango_layout_set_single_paragraph_mode(layout, TRUE);
    if (!type->bold) return layout;
    PangoFontDescription *font = pango_font_description_copy(pango_layout_get_font_description(layout));
    pango_font_description_set_weight(font, PANGO_WEIGHT_BOLD);
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    return layout;
}

void px_page_text(struct px_page *page, double x, double y, struct str text, const struct px_type *type) {
    int width, height;
    pthread_mutex_lock(&fonts.lock);
    PangoLayout *layout = line_of(text, type);
    pango_layout_get_size(layout, &width, &height);
    cairo_save(page->cairo);
    set_colour(page->cairo, type->rgb, 1);
    cairo_translate(page->cairo, bounded(x), bounded(y));
    cairo_rotate(page->cairo, type->turn * M_PI / 180);
    cairo_move_to(page->cairo, -type->anchor * width / PANGO_SCALE, -(double)pango_layout_get_baseline(layout) / PANGO_SCALE);
    pango_cairo_show_layout(page->cairo, layout);
    cairo_restore(page->cairo);
    g_object_unref(layout);
    pthread_mutex_unlock(&fonts.lock);
}

double px_page_text_width(struct px_page *page, struct str text, const struct px_type *type) {
    int width, height;
    (void)page;
    pthread_mutex_lock(&fonts.lock);
    PangoLayout *layout = line_of(text, type);
    pango_layout_get_size(layout, &width, &height);
    g_object_unref(layout);
    pthread_mutex_unlock(&fonts.lock);
    return (double)width / PANGO_SCALE;
}
