// Reading of overlay planes and of which of them are shown.
#include "pixel/overlay.h"

#include "base/limits.h"

enum { ELEMENT_ROWS = 0x10, ELEMENT_COLUMNS = 0x11, ELEMENT_FRAMES = 0x15, ELEMENT_ORIGIN = 0x50, ELEMENT_FIRST_FRAME = 0x51 };
enum { ELEMENT_BITS_ALLOCATED = 0x100, ELEMENT_BIT = 0x102, ELEMENT_ACTIVATION = 0x1001, ELEMENT_DATA = 0x3000 };

static uint32_t tag_of(unsigned group, unsigned element) {
    return DCM_TAG(group, element);
}

static int64_t number(const struct dcm_dataset *ds, unsigned group, unsigned element, unsigned i, int64_t absent) {
    int64_t v;
    return dcm_i64(ds, tag_of(group, element), i, &v) ? v : absent;
}

// Bytes [at, at + n) of the value, as bytes of the plane: OW of a big endian object is swapped (PS3.5 8.2, 7.3).
static const uint8_t *plane_bytes(struct arena *a, const struct dcm_dataset *ds, const struct dcm_element *el, const struct dcm_source *source, uint64_t at,
                                  size_t n, struct err *e) {
    bool swapped = ds->big_endian && el->vr == DCM_VR_OW;
    if (el->value && !swapped) return el->value + at;
    uint64_t begin = at & ~1ull, end = (at + n + 1) & ~1ull;
    if (end > el->length) end = el->length;
    uint8_t *p = arena_alloc(a, end - begin + 1, e);
    if (!p) return NULL;
    if (el->value)
        memcpy(p, el->value + begin, end - begin);
    else if (!source || !source->read_at(source->ctx, el->offset + begin, p, end - begin, NULL))
        return NULL;
    for (size_t i = 0; swapped && i + 2 <= end - begin; i += 2) {
        uint8_t t = p[i];
        p[i] = p[i + 1];
        p[i + 1] = t;
    }
    return p + (at - begin);
}

static bool plane_of(struct arena *a, const struct dcm_dataset *ds, const struct dcm_source *source, unsigned group, uint32_t plane, struct px_overlay *o,
                     struct err *e) {
    const struct dcm_element *el = dcm_find(ds, tag_of(group, ELEMENT_DATA));
    uint64_t bits = (uint64_t)o->rows * o->columns, first = bits * plane, begin = first / 8, end = (first + bits + 7) / 8;
    if (!el || end > el->length || end - begin > PX_FRAME_BYTES_MAX || (!el->value && !(el->flags & DCM_BY_REFERENCE))) return false;
    o->bits = plane_bytes(a, ds, el, source, begin, (size_t)(end - begin), e);
    o->first_bit = first % 8;
    return o->bits != NULL;
}

// In the pixel cells (retired, and still met): a bit that is none of the stored ones.
static bool embedded(const struct dcm_dataset *ds, const struct px_image *image, unsigned group, struct px_overlay *o) {
    int64_t bit = number(ds, group, ELEMENT_BIT, 0, -1), allocated = number(ds, group, ELEMENT_BITS_ALLOCATED, 0, 1);
    if (!image || image->encapsulated || image->kind != PX_INTEGER || image->samples != 1 || allocated != image->bits_allocated || allocated < 8) return false;
    if (bit < 0 || bit >= allocated) return false;
    if (bit <= image->high_bit && bit > (int64_t)image->high_bit - (int64_t)image->bits_stored) return false;
    o->bit = (unsigned)bit;
    return true;
}

bool px_overlay_of(struct arena *a, const struct dcm_dataset *ds, const struct dcm_source *source, const struct px_image *image, unsigned group, uint32_t frame,
                   struct px_overlay *out, struct err *e) {
    int64_t rows = number(ds, group, ELEMENT_ROWS, 0, 0), columns = number(ds, group, ELEMENT_COLUMNS, 0, 0);
    int64_t frames = number(ds, group, ELEMENT_FRAMES, 0, 1), first = number(ds, group, ELEMENT_FIRST_FRAME, 0, 1);
    bool has_data = dcm_find(ds, tag_of(group, ELEMENT_DATA));
    if (rows < 1 || rows > 65535 || columns < 1 || columns > 65535) return false;
    *out = (struct px_overlay){.rows = (uint32_t)rows, .columns = (uint32_t)columns};
    out->y = number(ds, group, ELEMENT_ORIGIN, 0, 1) - 1;
    out->x = number(ds, group, ELEMENT_ORIGIN, 1, 1) - 1;
    if (!has_data) return embedded(ds, image, group, out);
    // One plane serves all frames; several are those of the frames from Image Frame Origin on (C.9.2.1.4).
    bool one = frames <= 1 && !dcm_find(ds, tag_of(group, ELEMENT_FIRST_FRAME));
    int64_t plane = one ? 0 : (int64_t)frame + 1 - first;
    if (plane < 0 || plane >= (frames < 1 ? 1 : frames)) return false;
    return plane_of(a, ds, source, group, (uint32_t)plane, out, e);
}

bool px_overlays_of(struct arena *a, const struct dcm_dataset *ds, const struct dcm_source *source, const struct px_image *image, uint32_t frame,
                    const struct dcm_dataset *activated_by, struct px_layers *to, struct err *e) {
    struct err why;
    err_clear(&why);
    for (unsigned group = 0x6000; group <= 0x601E && to->overlay_count < PX_OVERLAYS_MAX; group += 2) {
        if (activated_by && !dcm_text(activated_by, tag_of(group, ELEMENT_ACTIVATION)).n) continue;
        if (px_overlay_of(a, ds, source, image, group, frame, &to->overlays[to->overlay_count], &why)) to->overlay_count++;
        if (why.kind == ERR_NOMEM || why.kind == ERR_TOO_LARGE) {
            if (e) *e = why;
            return false;
        }
    }
    return true;
}
