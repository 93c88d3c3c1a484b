// DICOM segmentations as label maps: frames of segments, each with its place, are laid into one grid.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/reader.h"
#include "dicom/uids.h"
#include "mod/evidence/mask.h"
#include "mod/evidence/mask_part.h"

struct seg_frame {
    double position[3];
    double along; // on the normal, mm
    unsigned segment;
    bool placed;
};

struct seg_read {
    struct arena *arena;
    const struct dcm_dataset *ds;
    struct px_image image;
    struct px_reader pixels;
    struct seg_frame *frames;
    uint32_t count;
    double row[3], column[3], normal[3]; // unit vectors: along a row, along a column, across
    double spacing[3];                   // across, between rows, between columns
    bool label_map, fractional;
    double half;      // of a fractional one
    unsigned segment; // wanted; 0: all
};

// ---- attributes of functional groups: of the frame, else shared ----

static const struct dcm_dataset *group_of(const struct dcm_dataset *ds, uint32_t frame, uint32_t macro) {
    const struct dcm_dataset *own = dcm_item(ds, DCM_PerFrameFunctionalGroupsSequence, frame), *shared = dcm_item(ds, DCM_SharedFunctionalGroupsSequence, 0);
    const struct dcm_dataset *item = own ? dcm_item(own, macro, 0) : NULL;
    return item || !shared ? item : dcm_item(shared, macro, 0);
}

static bool numbers(const struct dcm_dataset *ds, uint32_t tag, unsigned n, double *out) {
    for (unsigned i = 0; i < n; i++) {
        if (!ds || !dcm_f64(ds, tag, i, &out[i]) || !isfinite(out[i])) return false;
    }
    return true;
}

static void cross(const double a[3], const double b[3], double out[3]) {
    for (unsigned i = 0; i < 3; i++) out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
}

static bool orientation_of(struct seg_read *s, struct err *e) {
    double o[6];
    if (!numbers(group_of(s->ds, 0, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient, 6, o)) {
        return err_set(e, ERR_UNSUPPORTED, "mask", "the segmentation does not tell ImageOrientationPatient: those of slides are not taken");
    }
    for (uint32_t f = 1; f < s->count; f++) {
        double other[6];
        if (!numbers(group_of(s->ds, f, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient, 6, other)) continue;
        for (unsigned i = 0; i < 6; i++) {
            if (fabs(other[i] - o[i]) > 1e-4) return err_set(e, ERR_UNSUPPORTED, "mask", "frame %u has another orientation than the first", f + 1);
        }
    }
    memcpy(s->row, o, sizeof s->row);
    memcpy(s->column, o + 3, sizeof s->column);
    if (fabs(mask_dot(s->row, s->row) - 1) > 1e-3 || fabs(mask_dot(s->column, s->column) - 1) > 1e-3 || fabs(mask_dot(s->row, s->column)) > 1e-3) {
        return err_set(e, ERR_BAD_INPUT, "mask", "ImageOrientationPatient is no pair of unit vectors at right angles");
    }
    cross(s->row, s->column, s->normal);
    return true;
}

static bool frame_of(struct seg_read *s, uint32_t f, struct err *e) {
    struct seg_frame *to = &s->frames[f];
    int64_t segment = 0;
    const struct dcm_dataset *which = group_of(s->ds, f, DCM_SegmentIdentificationSequence);
    if (!numbers(group_of(s->ds, f, DCM_PlanePositionSequence), DCM_ImagePositionPatient, 3, to->position)) {
        return err_set(e, ERR_BAD_INPUT, "mask", "frame %u does not tell ImagePositionPatient", f + 1);
    }
    if (!s->label_map && (!which || !dcm_i64(which, DCM_ReferencedSegmentNumber, 0, &segment) || segment < 1 || segment > MASK_LABEL_MAX)) {
        return err_set(e, ERR_BAD_INPUT, "mask", "frame %u does not tell its ReferencedSegmentNumber", f + 1);
    }
    to->segment = (unsigned)segment;
    to->along = mask_dot(to->position, s->normal);
    return true;
}

// ---- the grid ----

static int by_place(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The distance of slices: as declared, else the least there is between two.
static bool distance_of(struct seg_read *s, struct err *e) {
    const struct dcm_dataset *measures = group_of(s->ds, 0, DCM_PixelMeasuresSequence);
    double *along = arena_alloc(s->arena, s->count * sizeof *along, e), least = HUGE_VAL;
    if (!along) return false;
    if (!numbers(measures, DCM_PixelSpacing, 2, s->spacing + 1)) return err_set(e, ERR_BAD_INPUT, "mask", "the segmentation does not tell PixelSpacing");
    for (uint32_t f = 0; f < s->count; f++) along[f] = s->frames[f].along;
    qsort(along, s->count, sizeof *along, by_place);
    for (uint32_t f = 1; f < s->count; f++) {
        if (along[f] - along[f - 1] > 1e-3) least = fmin(least, along[f] - along[f - 1]);
    }
    bool told = numbers(measures, DCM_SpacingBetweenSlices, 1, s->spacing) && s->spacing[0] > 0;
    if (!told && isfinite(least))
        s->spacing[0] = least;
    else if (!told && !numbers(measures, DCM_SliceThickness, 1, s->spacing))
        return err_set(e, ERR_BAD_INPUT, "mask", "the segmentation tells no distance of its slices");
    s->spacing[0] = fabs(s->spacing[0]);
    return true;
}

static void along_of(const struct seg_read *s, double *first, double *last) {
    *first = HUGE_VAL;
    *last = -HUGE_VAL;
    for (uint32_t f = 0; f < s->count; f++) {
        *first = fmin(*first, s->frames[f].along);
        *last = fmax(*last, s->frames[f].along);
    }
}

static bool grid_of(const struct seg_read *s, struct mask *out, struct err *e) {
    double first, last;
    along_of(s, &first, &last);
    double planes = (last - first) / s->spacing[0] + 1;
    if (!(planes < SEG_AXIS_MAX)) return err_set(e, ERR_TOO_LARGE, "mask", "%g slices of %g mm", planes, s->spacing[0]);
    out->grid = (struct seg_grid){.dims = 3, .n = {(uint32_t)lround(planes), s->image.rows, s->image.columns}};
    memcpy(out->grid.spacing, s->spacing, sizeof s->spacing);
    if (!seg_grid_check(&out->grid, e)) return false;
    memcpy(out->axis[0], s->normal, sizeof s->normal);
    memcpy(out->axis[1], s->column, sizeof s->column);
    memcpy(out->axis[2], s->row, sizeof s->row);
    for (uint32_t f = 0; f < s->count; f++) {
        if (s->frames[f].along == first) memcpy(out->origin, s->frames[f].position, sizeof out->origin);
    }
    out->placed = out->spaced = true;
    out->labels = arena_zero(s->arena, seg_voxels(&out->grid), sizeof *out->labels, e);
    return out->labels != NULL;
}

// The plane of a frame, which must be a whole one and not be shifted.
static bool plane_of(const struct seg_read *s, const struct mask *m, uint32_t f, size_t *plane, struct err *e) {
    double away[3];
    for (unsigned i = 0; i < 3; i++) away[i] = s->frames[f].position[i] - m->origin[i];
    double steps = mask_dot(away, s->normal) / s->spacing[0];
    if (fabs(steps - round(steps)) > 0.05)
        return err_set(e, ERR_UNSUPPORTED, "mask", "frame %u lies between slices: %.3f of %g mm", f + 1, steps, s->spacing[0]);
    if (fabs(mask_dot(away, s->row)) > 0.05 * s->spacing[2] || fabs(mask_dot(away, s->column)) > 0.05 * s->spacing[1]) {
        return err_set(e, ERR_UNSUPPORTED, "mask", "frame %u is shifted against the first: tiles are not taken", f + 1);
    }
    *plane = (size_t)lround(steps);
    return *plane < m->grid.n[0] || err_set(e, ERR_BAD_INPUT, "mask", "frame %u lies outside of the others", f + 1);
}

// ---- pixels ----

static unsigned pixel_at(const struct px_frame *f, size_t i) {
    unsigned bits = f->image.bits_allocated;
    if (bits == 1) return f->bytes[(f->bit_offset + i) / 8] >> ((f->bit_offset + i) % 8) & 1;
    return bits == 16 ? (unsigned)f->bytes[2 * i] | (unsigned)f->bytes[2 * i + 1] << 8 : f->bytes[i];
}

static unsigned label_of(const struct seg_read *s, const struct seg_frame *f, unsigned value) {
    if (s->label_map) return s->segment && value != s->segment ? 0 : value;
    return (s->fractional ? value >= s->half : value != 0) ? f->segment : 0;
}

static bool take_frame(const struct seg_read *s, struct mask *m, uint32_t f, struct err *e) {
    const struct seg_frame *frame = &s->frames[f];
    struct px_frame pixels;
    size_t plane, n = (size_t)s->image.rows * s->image.columns;
    if (s->segment && !s->label_map && frame->segment != s->segment) return true;
    struct arena_mark mark = arena_mark(s->arena);
    if (!plane_of(s, m, f, &plane, e) || !s->pixels.read(s->pixels.ctx, s->arena, &s->image, f, &pixels, e)) return false;
    if (pixels.image.bits_allocated > 16 || pixels.image.samples != 1)
        return err_set(e, ERR_UNSUPPORTED, "mask", "segments of %u bits", pixels.image.bits_allocated);
    uint16_t *to = m->labels + plane * n;
    for (size_t i = 0; i < n; i++) {
        unsigned label = label_of(s, frame, pixel_at(&pixels, i));
        if (!label) continue;
        if (to[i] && to[i] != label)
            return err_set(e, ERR_BAD_INPUT, "mask", "segments %u and %u overlap in frame %u: ask for one segment", to[i], label, f + 1);
        to[i] = (uint16_t)label;
    }
    arena_rewind(s->arena, mark);
    return true;
}

static bool kind_of(struct seg_read *s, struct err *e) {
    struct str class = dcm_text(s->ds, DCM_SOPClassUID), type = dcm_text(s->ds, DCM_SegmentationType);
    double most = 255;
    s->label_map = str_eqz(type, "LABELMAP");
    s->fractional = str_eqz(type, "FRACTIONAL");
    if (!s->label_map && !str_eqz(class, DCM_UID_SegmentationStorage))
        return err_set(e, ERR_UNSUPPORTED, "mask", "the object is no segmentation (%.*s)", STR_FMT(class));
    dcm_f64(s->ds, DCM_MaximumFractionalValue, 0, &most);
    s->half = most / 2;
    return true;
}

static bool frames_of(struct seg_read *s, const struct dcm_object *object, struct codec_object *codec, struct codec_frames *table, struct err *e) {
    if (!px_image_of(s->ds, &s->image, e)) return false;
    codec->ts = object->ts;
    if (s->image.encapsulated && !codec_frames_of(s->arena, s->ds, object->ts, s->image.frames, codec->source, table, e)) return false;
    codec->frames = table;
    s->pixels = s->image.encapsulated ? codec_reader(codec) : px_reader_native(codec->source);
    s->count = s->image.frames;
    if (s->count < 1) return err_set(e, ERR_BAD_INPUT, "mask", "the segmentation has no frames");
    s->frames = arena_zero(s->arena, s->count, sizeof *s->frames, e);
    return s->frames != NULL;
}

bool mask_read_seg(struct arena *a, const struct dcm_object *object, const struct dcm_source *source, unsigned segment, struct mask *out, struct err *e) {
    struct seg_read s = {.arena = a, .ds = object->dataset, .segment = segment};
    struct codec_frames table = {0};
    struct codec_object codec = {.source = source};
    *out = (struct mask){.format = "DICOM SEG"};
    if (!s.ds) return err_set(e, ERR_BAD_INPUT, "mask", "the object has no data set");
    if (!kind_of(&s, e) || !frames_of(&s, object, &codec, &table, e) || !orientation_of(&s, e)) return false;
    for (uint32_t f = 0; f < s.count; f++) {
        if (!frame_of(&s, f, e)) return false;
    }
    if (!distance_of(&s, e) || !grid_of(&s, out, e)) return false;
    for (uint32_t f = 0; f < s.count; f++) {
        if (!take_frame(&s, out, f, e)) return false;
    }
    return true;
}
