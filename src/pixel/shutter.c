// Display shutters, and drawing of overlays and shutters over rows.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pixel/overlay.h"
#include "pixel/tint.h"

static bool finite_at(const struct dcm_dataset *ds, uint32_t tag, unsigned i, double *out) {
    return dcm_f64(ds, tag, i, out) && isfinite(*out) && fabs(*out) < 1e6;
}

static bool has_shape(const struct dcm_dataset *ds, const char *shape) {
    for (unsigned i = 0; i < 3; i++)
        if (str_eqz(dcm_text_at(ds, DCM_ShutterShape, i), shape)) return true;
    return false;
}

static bool polygon_of(struct arena *a, const struct dcm_dataset *ds, struct px_shutter *out, struct err *e) {
    unsigned n = dcm_vm(ds, DCM_VerticesOfThePolygonalShutter) / 2;
    if (n < 3 || n > PX_SHUTTER_POINTS_MAX) return true;
    double *point = arena_alloc(a, n * 2 * sizeof *point, e);
    if (!point) return false;
    for (unsigned i = 0; i < n; i++) // row\column pairs
        if (!finite_at(ds, DCM_VerticesOfThePolygonalShutter, 2 * i, &point[2 * i + 1]) ||
            !finite_at(ds, DCM_VerticesOfThePolygonalShutter, 2 * i + 1, &point[2 * i]))
            return true;
    out->polygon = true;
    out->points = n;
    out->point = point;
    return true;
}

static void circle_of(const struct dcm_dataset *ds, double ratio, struct px_shutter *out) {
    out->circle = finite_at(ds, DCM_CenterOfCircularShutter, 0, &out->center_y) && finite_at(ds, DCM_CenterOfCircularShutter, 1, &out->center_x) &&
                  finite_at(ds, DCM_RadiusOfCircularShutter, 0, &out->radius) && out->radius >= 0;
    out->vertical_radius = out->radius / ratio; // in columns; a circle on the body is an ellipse of pixels that are not square
}

static void colour_of(const struct dcm_dataset *ds, struct px_shutter *out) {
    int64_t gray;
    if (dcm_i64(ds, DCM_ShutterPresentationValue, 0, &gray) && gray >= 0 && gray <= 0xFFFF) out->gray = (uint8_t)(gray >> 8);
    memset(out->rgb, out->gray, 3);
    px_cielab_of(ds, DCM_ShutterPresentationColorCIELabValue, out->rgb);
}

bool px_shutter_of(struct arena *a, const struct dcm_dataset *ds, double ratio, struct px_shutter *out, struct err *e) {
    *out = (struct px_shutter){.has_overlay = false};
    colour_of(ds, out);
    out->rectangle = has_shape(ds, "RECTANGULAR") && finite_at(ds, DCM_ShutterLeftVerticalEdge, 0, &out->left) &&
                     finite_at(ds, DCM_ShutterRightVerticalEdge, 0, &out->right) && finite_at(ds, DCM_ShutterUpperHorizontalEdge, 0, &out->upper) &&
                     finite_at(ds, DCM_ShutterLowerHorizontalEdge, 0, &out->lower);
    if (has_shape(ds, "CIRCULAR")) circle_of(ds, ratio, out);
    return !has_shape(ds, "POLYGONAL") || polygon_of(a, ds, out, e);
}

bool px_layers_any(const struct px_layers *l) {
    const struct px_shutter *s = &l->shutter;
    return l->overlay_count || s->rectangle || s->circle || s->polygon || s->has_overlay;
}

// ---- rows ----

static void put(uint8_t *row, unsigned channels, uint32_t x, uint8_t gray, const uint8_t *rgb) {
    if (channels == 1)
        row[x] = gray;
    else
        memcpy(row + (size_t)x * 3, rgb, 3);
}

static bool bit_at(const struct px_overlay *o, const struct px_frame *f, uint32_t x, uint32_t y) {
    if (o->bits) {
        uint64_t bit = o->first_bit + (uint64_t)y * o->columns + x;
        return o->bits[bit / 8] >> (bit % 8) & 1;
    }
    const struct px_image *image = &f->image;
    uint64_t at = ((uint64_t)y * image->columns + x) * (image->bits_allocated / 8) + o->bit / 8;
    return at < f->n && f->bytes[at] >> (o->bit % 8) & 1;
}

static void overlay_row(const struct px_overlay *o, const struct px_frame *f, uint32_t y, unsigned channels, uint8_t *row, uint8_t gray, const uint8_t *rgb) {
    int64_t inside = (int64_t)y - o->y;
    uint32_t columns = f->image.columns;
    if (inside < 0 || inside >= o->rows) return;
    if (!o->bits && (inside >= f->image.rows || f->image.bits_allocated <= o->bit)) return;
    uint32_t width = o->bits || o->columns < columns ? o->columns : columns;
    for (uint32_t i = 0; i < width; i++) {
        int64_t x = o->x + i;
        if (x >= 0 && x < columns && bit_at(o, f, i, (uint32_t)inside)) put(row, channels, (uint32_t)x, gray, rgb);
    }
}

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

// Where the polygon's outline crosses the middle of the row, from left to right.
static unsigned crossings(const struct px_shutter *s, double y, double *x) {
    unsigned n = 0;
    for (unsigned i = 0; i < s->points; i++) {
        const double *p = &s->point[2 * i], *q = &s->point[2 * ((i + 1) % s->points)];
        if ((p[1] <= y) == (q[1] <= y)) continue;
        x[n++] = p[0] + (y - p[1]) / (q[1] - p[1]) * (q[0] - p[0]);
    }
    qsort(x, n, sizeof *x, by_value);
    return n;
}

// hidden[x] becomes 1 outside of [from, to], in pixels from 1.
static void hide_outside(uint8_t *hidden, uint32_t columns, double from, double to) {
    for (uint32_t i = 0; i < columns; i++)
        if (i + 1.0 < from || i + 1.0 > to) hidden[i] = 1;
}

static void hide_polygon(const struct px_shutter *s, uint32_t y, uint32_t columns, uint8_t *hidden, double *x) {
    unsigned n = crossings(s, y + 1.0, x), next = 0;
    bool inside = false;
    for (uint32_t i = 0; i < columns; i++) {
        for (; next < n && x[next] <= i + 1.0; next++) inside = !inside;
        bool on_edge = next > 0 && x[next - 1] == i + 1.0;
        if (!inside && !on_edge) hidden[i] = 1;
    }
}

static bool shutter_row(struct arena *a, const struct px_shutter *s, uint32_t y, uint32_t columns, unsigned channels, uint8_t *row, struct err *e) {
    uint8_t *hidden = arena_zero(a, columns, 1, e);
    if (!hidden) return false;
    if (s->rectangle) {
        bool out = y + 1.0 < s->upper || y + 1.0 > s->lower;
        hide_outside(hidden, columns, out ? 1e9 : s->left, s->right);
    }
    if (s->circle) {
        double dy = s->vertical_radius > 0 ? (y + 1.0 - s->center_y) / s->vertical_radius : 2, half = dy * dy <= 1 ? s->radius * sqrt(1 - dy * dy) : -1;
        hide_outside(hidden, columns, half < 0 ? 1e9 : s->center_x - half, s->center_x + half);
    }
    if (s->polygon) {
        double *x = arena_alloc(a, s->points * sizeof *x, e);
        if (!x) return false;
        hide_polygon(s, y, columns, hidden, x);
    }
    for (uint32_t i = 0; i < columns; i++)
        if (hidden[i]) put(row, channels, i, s->gray, s->rgb);
    return true;
}

bool px_layers_row(struct arena *scratch, const struct px_layers *l, const struct px_frame *frame, uint32_t y, unsigned channels, uint8_t *row, struct err *e) {
    static const uint8_t white[3] = {255, 255, 255};
    const struct px_shutter *s = &l->shutter;
    for (unsigned i = 0; i < l->overlay_count; i++) overlay_row(&l->overlays[i], frame, y, channels, row, 255, white);
    if (s->has_overlay) overlay_row(&s->overlay, frame, y, channels, row, s->gray, s->rgb);
    if (!s->rectangle && !s->circle && !s->polygon) return true;
    struct arena_mark mark = arena_mark(scratch);
    bool ok = shutter_row(scratch, s, y, frame->image.columns, channels, row, e);
    arena_rewind(scratch, mark);
    return ok;
}
