// Reading of graphic annotations.
#include "pixel/graphic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/charset.h"
#include "pixel/presentation.h"
#include "pixel/tint.h"

struct reading {
    struct arena *arena;
    struct px_graphic_layer *layers;
    unsigned layer_count, objects, points; // taken so far
};

static enum px_units units_of(const struct dcm_dataset *ds, uint32_t tag) {
    return str_eqz(dcm_text_at(ds, tag, 0), "DISPLAY") ? PX_UNITS_DISPLAY : PX_UNITS_PIXEL;
}

// ---- layers ----

static void colour_of(const struct dcm_dataset *item, uint8_t rgb[3]) {
    int64_t v;
    memset(rgb, 255, 3);
    if (dcm_i64(item, DCM_GraphicLayerRecommendedDisplayGrayscaleValue, 0, &v) && v >= 0 && v <= 0xFFFF) memset(rgb, (int)(v >> 8), 3);
    for (unsigned i = 0; i < 3; i++)
        if (dcm_i64(item, DCM_GraphicLayerRecommendedDisplayRGBValue, i, &v) && v >= 0 && v <= 0xFFFF) rgb[i] = (uint8_t)(v >> 8);
    px_cielab_of(item, DCM_GraphicLayerRecommendedDisplayCIELabValue, rgb);
}

static int by_order(const void *a, const void *b) {
    const struct px_graphic_layer *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

static bool read_layers(struct reading *r, const struct dcm_dataset *ps, struct err *e) {
    const struct dcm_dataset *item;
    r->layers = arena_zero(r->arena, PX_GRAPHIC_LAYERS_MAX, sizeof *r->layers, e);
    if (!r->layers) return false;
    for (unsigned i = 0; i + 1 < PX_GRAPHIC_LAYERS_MAX && (item = dcm_item(ps, DCM_GraphicLayerSequence, i)); i++) {
        struct px_graphic_layer *l = &r->layers[r->layer_count++];
        l->name = dcm_text(item, DCM_GraphicLayer);
        if (!dcm_i64(item, DCM_GraphicLayerOrder, 0, &l->order)) l->order = i;
        colour_of(item, l->rgb);
    }
    qsort(r->layers, r->layer_count, sizeof *r->layers, by_order);
    struct px_graphic_layer *rest = &r->layers[r->layer_count++]; // of objects whose layer is not declared
    memset(rest->rgb, 255, 3);
    return true;
}

static struct px_graphic_layer *layer_of(struct reading *r, struct str name) {
    for (unsigned i = 0; i + 1 < r->layer_count; i++)
        if (str_eq(r->layers[i].name, name)) return &r->layers[i];
    return &r->layers[r->layer_count - 1];
}

static bool add(struct reading *r, struct px_graphic_layer *l, const struct px_graphic *g, struct err *e) {
    if (l->count % 64 == 0) {
        struct px_graphic *grown = arena_grow(r->arena, l->graphics, l->count * sizeof *g, (l->count + 64) * sizeof *g, e);
        if (!grown) return false;
        l->graphics = grown;
    }
    l->graphics[l->count++] = *g;
    r->objects++;
    return true;
}

// ---- objects ----

static const struct {
    const char *name;
    enum px_graphic_kind kind;
    unsigned min, max; // points
} KINDS[] = {
    {"POINT", PX_GRAPHIC_POINT, 1, 1},
    {"MULTIPOINT", PX_GRAPHIC_POINT, 1, PX_GRAPHIC_POINTS_MAX},
    {"POLYLINE", PX_GRAPHIC_POLYLINE, 2, PX_GRAPHIC_POINTS_MAX},
    {"INTERPOLATED", PX_GRAPHIC_INTERPOLATED, 2, PX_GRAPHIC_POINTS_MAX},
    {"CIRCLE", PX_GRAPHIC_CIRCLE, 2, 2},
    {"ELLIPSE", PX_GRAPHIC_ELLIPSE, 4, 4},
};

// NULL without *e: they cannot be.
static double *points_of(struct reading *r, const struct dcm_dataset *ds, uint32_t tag, unsigned n, struct err *e) {
    const struct dcm_element *el = dcm_find(ds, tag);
    bool text = el && el->vr != DCM_VR_FL && el->vr != DCM_VR_FD && n > 64; // text is looked through for each of its values
    if (!el || !el->value || text || dcm_vm(ds, tag) < 2 * n || n > PX_GRAPHIC_POINTS_MAX - r->points) return NULL;
    double *p = arena_alloc(r->arena, (size_t)n * 2 * sizeof *p, e);
    for (unsigned i = 0; p && i < 2 * n; i++)
        if (!dcm_f64(ds, tag, i, &p[i]) || !isfinite(p[i]) || fabs(p[i]) > 1e7) return NULL;
    if (p) r->points += n;
    return p;
}

static bool read_graphic(struct reading *r, struct px_graphic_layer *l, const struct dcm_dataset *ds, struct err *e) {
    struct str type = dcm_text_at(ds, DCM_GraphicType, 0);
    struct px_graphic g = {.units = units_of(ds, DCM_GraphicAnnotationUnits), .filled = str_eqz(dcm_text_at(ds, DCM_GraphicFilled, 0), "Y")};
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (!str_eqz(type, KINDS[i].name)) continue;
        struct err why;
        err_clear(&why);
        g.kind = KINDS[i].kind;
        g.points = dcm_vm(ds, DCM_GraphicData) / 2;
        if (g.points > KINDS[i].max) g.points = KINDS[i].max;
        g.point = g.points >= KINDS[i].min ? points_of(r, ds, DCM_GraphicData, g.points, &why) : NULL;
        if (g.point) return add(r, l, &g, e);
        if (why.kind != ERR_NONE && e) *e = why;
        return why.kind == ERR_NONE;
    }
    return true;
}

static bool read_text(struct reading *r, struct px_graphic_layer *l, const struct dcm_dataset *ds, struct err *e) {
    static const char *const aligns[] = {[PX_ALIGN_LEFT] = "LEFT", [PX_ALIGN_CENTER] = "CENTER", [PX_ALIGN_RIGHT] = "RIGHT"};
    struct px_graphic g = {.kind = PX_GRAPHIC_TEXT};
    unsigned flags;
    struct str align = dcm_text_at(ds, DCM_BoundingBoxTextHorizontalJustification, 0);
    if (!dcm_text_utf8(r->arena, ds, DCM_UnformattedTextValue, true, &g.text, &flags, e)) return false;
    if (!g.text.n || PX_GRAPHIC_POINTS_MAX - r->points < 2) return true;
    for (unsigned i = 0; i < 3; i++)
        if (str_eqz(align, aligns[i])) g.align = (enum px_align)i;
    double *p = arena_alloc(r->arena, 4 * sizeof *p, e);
    if (!p) return false;
    bool box = dcm_f64(ds, DCM_BoundingBoxTopLeftHandCorner, 0, &p[0]) && dcm_f64(ds, DCM_BoundingBoxTopLeftHandCorner, 1, &p[1]) &&
               dcm_f64(ds, DCM_BoundingBoxBottomRightHandCorner, 0, &p[2]) && dcm_f64(ds, DCM_BoundingBoxBottomRightHandCorner, 1, &p[3]);
    bool anchor = !box && dcm_f64(ds, DCM_AnchorPoint, 0, &p[0]) && dcm_f64(ds, DCM_AnchorPoint, 1, &p[1]);
    if (!box && !anchor) return true;
    g.units = units_of(ds, box ? DCM_BoundingBoxAnnotationUnits : DCM_AnchorPointAnnotationUnits);
    g.points = box ? 2 : 1;
    g.point = p;
    for (unsigned i = 0; i < 2 * g.points; i++)
        if (!isfinite(p[i]) || fabs(p[i]) > 1e7) return true;
    r->points += 2;
    return add(r, l, &g, e);
}

static bool read_annotation(struct reading *r, const struct dcm_dataset *annotation, struct err *e) {
    struct px_graphic_layer *l = layer_of(r, dcm_text(annotation, DCM_GraphicLayer));
    const struct dcm_dataset *item;
    for (unsigned i = 0; r->objects < PX_GRAPHICS_MAX && (item = dcm_item(annotation, DCM_GraphicObjectSequence, i)); i++)
        if (!read_graphic(r, l, item, e)) return false;
    for (unsigned i = 0; r->objects < PX_GRAPHICS_MAX && (item = dcm_item(annotation, DCM_TextObjectSequence, i)); i++)
        if (!read_text(r, l, item, e)) return false;
    return true;
}

bool px_graphics_of(struct arena *a, const struct dcm_dataset *ps, struct str sop_instance_uid, uint32_t frame, struct px_graphic_layer **out, unsigned *n,
                    struct err *e) {
    struct reading r = {.arena = a};
    const struct dcm_dataset *item;
    if (!read_layers(&r, ps, e)) return false;
    for (unsigned i = 0; r.objects < PX_GRAPHICS_MAX && (item = dcm_item(ps, DCM_GraphicAnnotationSequence, i)); i++)
        if (px_item_applies(item, sop_instance_uid, frame) && !read_annotation(&r, item, e)) return false;
    *out = r.layers;
    *n = r.layer_count;
    return true;
}
