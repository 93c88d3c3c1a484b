// Reading of presentation states.
#include "pixel/presentation.h"

#include <math.h>

#include "base/limits.h"
#include "dicom/uid.h"

// Points of a screen that nobody told us of, in mm: 96 to the inch.
#define SCREEN_PITCH_MM (25.4 / 96)

bool px_is_presentation(struct str sop_class_uid) {
    static const char *const classes[] = {"1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.11.2", "1.2.840.10008.5.1.4.1.1.11.3"};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (str_eqz(sop_class_uid, classes[i])) return true;
    return false;
}

static bool names_frame(const struct dcm_dataset *reference, uint32_t frame) {
    struct str rest = dcm_text(reference, DCM_ReferencedFrameNumber); // IS: gone through once, however many
    if (!rest.n) return true;
    while (rest.p) {
        int64_t number;
        if (str_to_i64(str_split(&rest, '\\'), &number) && number == (int64_t)frame + 1) return true;
    }
    return false;
}

bool px_item_applies(const struct dcm_dataset *item, struct str sop_instance_uid, uint32_t frame) {
    unsigned n = dcm_vm(item, DCM_ReferencedImageSequence);
    for (unsigned i = 0; i < n; i++) {
        const struct dcm_dataset *reference = dcm_item(item, DCM_ReferencedImageSequence, i);
        if (reference && str_eq(dcm_text(reference, DCM_ReferencedSOPInstanceUID), sop_instance_uid) && names_frame(reference, frame)) return true;
    }
    return n == 0;
}

const struct dcm_dataset *px_item_for(const struct dcm_dataset *ps, uint32_t sequence, struct str sop_instance_uid, uint32_t frame) {
    const struct dcm_dataset *item;
    for (unsigned i = 0; (item = dcm_item(ps, sequence, i)); i++)
        if (px_item_applies(item, sop_instance_uid, frame)) return item;
    return NULL;
}

static bool pair_at(const struct dcm_dataset *ds, uint32_t tag, double *a, double *b) {
    return dcm_f64(ds, tag, 0, a) && dcm_f64(ds, tag, 1, b) && fabs(*a) < 1e6 && fabs(*b) < 1e6;
}

// Corners are pixels from 1, both shown; after a rotation or flip the first is not the smaller (C.10.4).
static void area_of(const struct dcm_dataset *item, struct px_view *v) {
    double left, top, right, bottom;
    if (!pair_at(item, DCM_DisplayedAreaTopLeftHandCorner, &left, &top) || !pair_at(item, DCM_DisplayedAreaBottomRightHandCorner, &right, &bottom)) return;
    v->region = (struct px_region){fmin(left, right) - 1, fmin(top, bottom) - 1, fabs(right - left) + 1, fabs(bottom - top) + 1};
}

static void size_of(const struct dcm_dataset *item, struct px_view *v) {
    double vertical, horizontal, ratio;
    struct str mode = dcm_text_at(item, DCM_PresentationSizeMode, 0);
    bool spacing = pair_at(item, DCM_PresentationPixelSpacing, &vertical, &horizontal) && vertical > 0 && horizontal > 0;
    if ((spacing || pair_at(item, DCM_PresentationPixelAspectRatio, &vertical, &horizontal)) && vertical > 0 && horizontal > 0)
        v->pixel_ratio = fmin(fmax(vertical / horizontal, 0.01), 100);
    // The larger side of a pixel keeps its size in a picture of natural size: see px_view_fit.
    if (str_eqz(mode, "TRUE SIZE") && spacing) v->magnification = fmin(vertical, horizontal) / SCREEN_PITCH_MM;
    if (str_eqz(mode, "MAGNIFY") && dcm_f64(item, DCM_PresentationPixelMagnificationRatio, 0, &ratio)) v->magnification = ratio;
    if (!(v->magnification > 0 && v->magnification < 1e4)) v->magnification = 0;
}

void px_presentation_view(const struct dcm_dataset *ps, struct str sop_instance_uid, uint32_t frame, struct px_view *v) {
    const struct dcm_dataset *item = px_item_for(ps, DCM_DisplayedAreaSelectionSequence, sop_instance_uid, frame);
    int64_t rotation;
    if (item) area_of(item, v);
    if (item) size_of(item, v);
    if (dcm_i64(ps, DCM_ImageRotation, 0, &rotation) && rotation % 90 == 0) v->rotation = (unsigned)((rotation % 360 + 360) % 360);
    v->flip_x = str_eqz(dcm_text_at(ps, DCM_ImageHorizontalFlip, 0), "Y");
}

static bool add_series(struct arena *a, const struct dcm_dataset *series, struct px_reference **out, size_t *n, struct err *e) {
    const struct dcm_dataset *image;
    for (unsigned i = 0; (image = dcm_item(series, DCM_ReferencedImageSequence, i)); i++) {
        int64_t frame = 1;
        struct px_reference *grown = arena_grow(a, *out, *n * sizeof **out, (*n + 1) * sizeof **out, e);
        if (!grown) return false;
        dcm_i64(image, DCM_ReferencedFrameNumber, 0, &frame);
        *out = grown;
        grown[(*n)++] = (struct px_reference){.series_uid = dcm_text(series, DCM_SeriesInstanceUID),
                                              .sop_instance_uid = dcm_text(image, DCM_ReferencedSOPInstanceUID),
                                              .frame = frame < 1 || frame > UINT32_MAX ? 0 : (uint32_t)(frame - 1)};
    }
    return true;
}

bool px_presentation_references(struct arena *a, const struct dcm_dataset *ps, struct px_reference **out, size_t *n, struct err *e) {
    const struct dcm_dataset *series;
    *out = NULL;
    *n = 0;
    for (unsigned i = 0; (series = dcm_item(ps, DCM_ReferencedSeriesSequence, i)); i++)
        if (!add_series(a, series, out, n, e)) return false;
    return true;
}
