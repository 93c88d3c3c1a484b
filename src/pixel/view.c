// Geometry of the picture.
#include "pixel/view.h"

#include <math.h>

#include "base/limits.h"
#include "pixel/render.h"
#include "pixel/scale.h"

static uint32_t side(double v) {
    return v < 1 ? 1 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)(v + 0.5);
}

static bool turned_aside(const struct px_view *v) {
    return v->rotation == 90 || v->rotation == 270;
}

static void swap_sides(uint32_t *a, uint32_t *b) {
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

bool px_view_fit(struct px_view *v, struct err *e) {
    if (v->width > PX_VIEWPORT_MAX || v->height > PX_VIEWPORT_MAX)
        return err_set(e, ERR_USAGE, "pixel", "a picture of %u x %u is asked for; at most %d each way", v->width, v->height, PX_VIEWPORT_MAX);
    double ratio = v->pixel_ratio, scale = v->magnification > 0 ? v->magnification : 1;
    double w = v->region.width * scale * (ratio < 1 ? 1 / ratio : 1), h = v->region.height * scale * (ratio > 1 ? ratio : 1);
    uint32_t width = side(w), height = side(h), max_width = v->width, max_height = v->height;
    if (turned_aside(v)) swap_sides(&max_width, &max_height);
    if (max_width || max_height) px_fit(width, height, max_width ? max_width : PX_VIEWPORT_MAX, max_height ? max_height : PX_VIEWPORT_MAX, &width, &height);
    v->unturned_width = v->out_width = width;
    v->unturned_height = v->out_height = height;
    if (turned_aside(v)) swap_sides(&v->out_width, &v->out_height);
    if ((uint64_t)width * height * 3 <= PX_OUTPUT_BYTES_MAX) return true;
    return err_set(e, ERR_TOO_LARGE, "pixel", "a picture of %u x %u would take too much; ask for a smaller size", v->out_width, v->out_height);
}

void px_view_point(const struct px_view *v, double x, double y, double *to_x, double *to_y) {
    double w = v->unturned_width, h = v->unturned_height;
    double px = (x - v->region.x) * w / v->region.width, py = (y - v->region.y) * h / v->region.height;
    double tx = px, ty = py;
    if (v->rotation == 90) tx = h - py, ty = px;
    if (v->rotation == 180) tx = w - px, ty = h - py;
    if (v->rotation == 270) tx = py, ty = w - px;
    *to_x = v->flip_x ? v->out_width - tx : tx;
    *to_y = v->flip_y ? v->out_height - ty : ty;
}

// Where in the unturned picture a pixel of the turned one comes from.
static void source_of(const struct px_view *v, uint32_t x, uint32_t y, uint32_t *from_x, uint32_t *from_y) {
    uint32_t w = v->unturned_width, h = v->unturned_height;
    if (v->flip_x) x = v->out_width - 1 - x;
    if (v->flip_y) y = v->out_height - 1 - y;
    *from_x = x;
    *from_y = y;
    if (v->rotation == 90) *from_x = y, *from_y = h - 1 - x;
    if (v->rotation == 180) *from_x = w - 1 - x, *from_y = h - 1 - y;
    if (v->rotation == 270) *from_x = w - 1 - y, *from_y = x;
}

bool px_view_turn(struct arena *a, const struct px_view *v, struct px_picture *picture, struct err *e) {
    if (!v->rotation && !v->flip_x && !v->flip_y) return true;
    unsigned n = picture->channels;
    uint8_t *to = arena_alloc(a, (size_t)v->out_width * v->out_height * n, e), *p = to;
    if (!to) return false;
    for (uint32_t y = 0; y < v->out_height; y++)
        for (uint32_t x = 0; x < v->out_width; x++) {
            uint32_t from_x, from_y;
            source_of(v, x, y, &from_x, &from_y);
            const uint8_t *from = picture->pixels + ((size_t)from_y * picture->width + from_x) * n;
            for (unsigned c = 0; c < n; c++) *p++ = from[c];
        }
    picture->pixels = to;
    picture->width = v->out_width;
    picture->height = v->out_height;
    return true;
}
