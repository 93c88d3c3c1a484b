// The way of a frame to a picture: read, map row by row, lay overlays and shutters over, cut, scale and turn, draw annotations.
#include "pixel/render.h"

#include <math.h>

#include "base/limits.h"
#include "pixel/color.h"
#include "pixel/draw.h"
#include "pixel/overlay.h"
#include "pixel/presentation.h"
#include "pixel/rows.h"
#include "pixel/scale.h"

struct rendering {
    struct arena *scratch;
    const struct dcm_dataset *ds;
    const struct px_options *options;
    uint32_t number;
    struct str uid;
    struct px_image image; // as declared
    struct px_frame frame;
    struct px_rows rows;
    struct px_layers layers;
    struct px_view view;
};

// ---- geometry ----

static bool pair_of(const struct dcm_dataset *ds, uint32_t tag, double *ratio) {
    double vertical, horizontal;
    if (!ds || !dcm_f64(ds, tag, 0, &vertical) || !dcm_f64(ds, tag, 1, &horizontal)) return false;
    if (!(vertical > 0 && vertical < 1e6 && horizontal > 0 && horizontal < 1e6)) return false;
    *ratio = vertical / horizontal;
    return true;
}

// Height of a pixel by its width (PS3.3 C.7.6.3.1.7, 10.7.1.3): spacing goes before the aspect ratio, which is only there without it.
static double pixel_ratio(const struct dcm_dataset *ds, uint32_t frame) {
    double ratio = 1;
    const struct dcm_dataset *measures = px_functional_group(ds, frame, DCM_PixelMeasuresSequence);
    if (!pair_of(measures, DCM_PixelSpacing, &ratio) && !pair_of(ds, DCM_PixelSpacing, &ratio) && !pair_of(ds, DCM_ImagerPixelSpacing, &ratio) &&
        !pair_of(ds, DCM_NominalScannedPixelSpacing, &ratio))
        pair_of(ds, DCM_PixelAspectRatio, &ratio);
    if (fabs(ratio - 1) < 0.005) return 1; // rounding of square pixels
    return fmin(fmax(ratio, 0.01), 100);
}

static bool take_region(const struct px_options *o, struct px_view *v, struct err *e) {
    struct px_region r = o->region;
    if (o->relative_region) r = (struct px_region){r.x * v->columns, r.y * v->rows, r.width * v->columns, r.height * v->rows};
    // What lies outside of the image is not shown (PS3.18 8.3.5.1.4).
    double left = fmax(r.x, 0), top = fmax(r.y, 0), right = fmin(r.x + r.width, v->columns), bottom = fmin(r.y + r.height, v->rows);
    if (!(right - left >= 1e-3) || !(bottom - top >= 1e-3))
        return err_set(e, ERR_USAGE, "pixel", "the region asked for is not in the image of %u x %u pixels", v->columns, v->rows);
    v->region = (struct px_region){left, top, right - left, bottom - top};
    return true;
}

static bool view_of(struct rendering *r, struct err *e) {
    const struct px_options *o = r->options;
    const struct px_image *image = &r->frame.image;
    struct px_view *v = &r->view;
    *v = (struct px_view){.columns = image->columns, .rows = image->rows, .region = {0, 0, image->columns, image->rows}, .pixel_ratio = 1};
    v->width = o->width;
    v->height = o->height;
    if (!o->stored_pixels) v->pixel_ratio = pixel_ratio(r->ds, r->number);
    if (o->presentation) px_presentation_view(o->presentation, r->uid, r->number, v);
    if (o->has_region && !take_region(o, v, e)) return false;
    v->flip_x ^= o->flip_x;
    v->flip_y ^= o->flip_y;
    return px_view_fit(v, e);
}

// ---- what lies over the image ----

static bool layers_of(struct rendering *r, struct err *e) {
    const struct px_options *o = r->options;
    struct px_layers *l = &r->layers;
    const struct dcm_dataset *ps = o->presentation;
    const struct px_image *native = r->frame.image.bits_allocated == r->image.bits_allocated ? &r->image : NULL; // else unused bits are gone
    int64_t group;
    if (!ps) {
        if (o->no_overlays) return true;
        return px_overlays_of(r->scratch, r->ds, o->source, native, r->number, NULL, l, e) &&
               px_shutter_of(r->scratch, r->ds, pixel_ratio(r->ds, r->number), &l->shutter, e);
    }
    if (!px_overlays_of(r->scratch, r->ds, o->source, native, r->number, ps, l, e) ||
        !px_overlays_of(r->scratch, ps, o->presentation_source, NULL, r->number, ps, l, e) ||
        !px_shutter_of(r->scratch, ps, r->view.pixel_ratio, &l->shutter, e))
        return false;
    if (dcm_i64(ps, DCM_ShutterOverlayGroup, 0, &group) && group >= 0x6000 && group <= 0x601E)
        l->shutter.has_overlay = px_overlay_of(r->scratch, ps, o->presentation_source, NULL, (unsigned)group, r->number, &l->shutter.overlay, NULL);
    return true;
}

// ---- drawing ----

static bool row_of(struct rendering *r, uint32_t y, uint8_t *to, struct err *e) {
    px_row(&r->rows, y, to);
    return !px_layers_any(&r->layers) || px_layers_row(r->scratch, &r->layers, &r->frame, y, r->rows.channels, to, e);
}

// The part of the picture that shows pixels: all of it, unless the displayed area reaches beyond the image.
struct place {
    uint32_t left, top, right, bottom;
};

static uint32_t edge(double image_edge, double from, double length, uint32_t out) {
    double at = (image_edge - from) * out / length;
    return at <= 0 ? 0 : at >= out ? out : (uint32_t)(at + 0.5);
}

static struct place place_of(const struct px_view *v) {
    const struct px_region *g = &v->region;
    return (struct place){edge(0, g->x, g->width, v->unturned_width), edge(0, g->y, g->height, v->unturned_height),
                          edge(v->columns, g->x, g->width, v->unturned_width), edge(v->rows, g->y, g->height, v->unturned_height)};
}

static bool draw_scaled(struct rendering *r, const struct place *p, struct px_picture *out, struct err *e) {
    const struct px_view *v = &r->view;
    unsigned channels = r->rows.channels;
    double step_x = v->region.width / v->unturned_width, step_y = v->region.height / v->unturned_height;
    const struct px_part part = {v->region.x + p->left * step_x, v->region.y + p->top * step_y, step_x, step_y};
    size_t stride = (size_t)out->width * channels;
    uint8_t *row = arena_alloc(r->scratch, (size_t)v->columns * channels, e);
    if (!row) return false;
    struct px_scaler *s = px_scaler_part(r->scratch, channels, v->columns, v->rows, &part, p->right - p->left, p->bottom - p->top,
                                         out->pixels + p->top * stride + (size_t)p->left * channels, stride, e);
    if (!s) return false;
    for (uint32_t y = px_scaler_first(s); y < v->rows && !px_scaler_done(s); y++) {
        if (!row_of(r, y, row, e)) return false;
        px_scaler_row(s, row);
    }
    return true;
}

static bool is_whole(const struct px_view *v) {
    return v->region.x == 0 && v->region.y == 0 && v->region.width == v->columns && v->region.height == v->rows && v->unturned_width == v->columns &&
           v->unturned_height == v->rows;
}

static bool draw(struct arena *a, struct rendering *r, struct px_picture *out, struct err *e) {
    const struct px_view *v = &r->view;
    *out = (struct px_picture){.width = v->unturned_width, .height = v->unturned_height, .channels = r->rows.channels};
    size_t row_bytes = (size_t)out->width * out->channels;
    out->pixels = arena_alloc(a, row_bytes * out->height, e);
    if (!out->pixels) return false;
    if (is_whole(v)) {
        for (uint32_t y = 0; y < v->rows; y++)
            if (!row_of(r, y, out->pixels + y * row_bytes, e)) return false;
        return px_view_turn(a, v, out, e);
    }
    const struct place p = place_of(v);
    if (p.left > 0 || p.top > 0 || p.right < out->width || p.bottom < out->height) memset(out->pixels, 0, row_bytes * out->height);
    if (p.right > p.left && p.bottom > p.top && !draw_scaled(r, &p, out, e)) return false;
    return px_view_turn(a, v, out, e);
}

// ---- all of it ----

static bool check(const struct rendering *r, struct err *e) {
    const struct px_options *o = r->options;
    if (r->number >= r->image.frames)
        return err_set(e, ERR_NOT_FOUND, "pixel", "there is no frame %llu of %u", (unsigned long long)r->number + 1, r->image.frames);
    if (o->window && !px_window_valid(o->window))
        return err_set(e, ERR_USAGE, "pixel", "a window of width %g cannot be: LINEAR takes at least 1, the others more than 0", o->window->width);
    return true;
}

static bool render_in(struct arena *a, struct rendering *r, const struct px_reader *reader, struct px_picture *out, struct err *e) {
    const struct px_options *o = r->options;
    if (!px_image_of(r->ds, &r->image, e) || !check(r, e)) return false;
    r->uid = dcm_text(r->ds, DCM_SOPInstanceUID);
    struct px_choice choice = {.window = o->window, .voi = o->voi, .presentation = o->presentation};
    if (o->presentation) choice.softcopy_voi = px_item_for(o->presentation, DCM_SoftcopyVOILUTSequence, r->uid, r->number);
    if (!reader->read(reader->ctx, r->scratch, &r->image, r->number, &r->frame, e) ||
        !px_rows_init(r->scratch, r->ds, &r->frame, r->number, &choice, &r->rows, e) || !view_of(r, e) || !layers_of(r, e) || !draw(a, r, out, e))
        return false;
    if (!px_color_profile(a, r->ds, r->number, o->icc, o->source, out, e)) return false;
    if (o->presentation && !px_draw_graphics(a, &r->view, o->presentation, r->uid, r->number, out, e)) return false;
    return !o->annotation || px_annotate(a, r->ds, r->number, o->annotation, out, e);
}

bool px_render(struct arena *a, const struct dcm_dataset *ds, const struct px_reader *reader, uint32_t frame, const struct px_options *options,
               struct px_picture *out, struct err *e) {
    struct arena own;
    arena_init(&own, (size_t)PX_FRAME_BYTES_MAX + PX_SCRATCH_BYTES_MAX);
    struct rendering r = {.scratch = options->scratch ? options->scratch : &own, .ds = ds, .options = options, .number = frame};
    bool ok = render_in(a, &r, reader, out, e);
    if (options->scratch) arena_reset(options->scratch);
    arena_deinit(&own);
    return ok;
}
