// Multi-frame ultrasound: a beating chamber in speckle, its area known in every frame through the region calibration.
#include <math.h>

#include "dicom/uids.h"
#include "mod/synth/kinds.h"
#include "mod/synth/study.h"

#define PI 3.14159265358979323846

enum { US_ROWS = 240, US_COLUMNS = 320, US_FRAMES = 24 };
static const double US_SPACING_CM = 0.05;
static const double US_FRAME_MS = 40;

static double chamber_radius_cm(unsigned frame) {
    return 2.4 + 0.6 * cos(2 * PI * frame / US_FRAMES);
}

// A fan of speckle (darker with depth) with a dark chamber and its bright wall.
static uint8_t shade(unsigned row, unsigned column, double radius_cm, struct synth_random *random) {
    double x = (column - (US_COLUMNS - 1) / 2.0) * US_SPACING_CM, depth = row * US_SPACING_CM;
    double speckle = fabs(synth_random_normal(random));
    if (fabs(x) > 0.4 + depth * 0.7 || x * x + depth * depth > 11.6 * 11.6) return 0;
    double distance = sqrt(x * x + (depth - 6) * (depth - 6));
    double value = 70 - 3 * depth;
    if (distance < radius_cm)
        value = 8;
    else if (distance < radius_cm + 0.5)
        value = 150;
    value *= 0.4 + 0.6 * speckle;
    return (uint8_t)(value > 255 ? 255 : value);
}

static bool put_region(struct dcm_dataset *ds, struct err *e) {
    struct dcm_dataset *r = dcm_put_item(ds, DCM_SequenceOfUltrasoundRegions, e);
    double delta = US_SPACING_CM;
    return r && dcm_put_int(r, DCM_RegionSpatialFormat, 1, e) && dcm_put_int(r, DCM_RegionDataType, 1, e) && dcm_put_int(r, DCM_RegionFlags, 2, e) &&
           dcm_put_int(r, DCM_RegionLocationMinX0, 0, e) && dcm_put_int(r, DCM_RegionLocationMinY0, 0, e) &&
           dcm_put_int(r, DCM_RegionLocationMaxX1, US_COLUMNS - 1, e) && dcm_put_int(r, DCM_RegionLocationMaxY1, US_ROWS - 1, e) &&
           dcm_put_int(r, DCM_PhysicalUnitsXDirection, 3, e) && dcm_put_int(r, DCM_PhysicalUnitsYDirection, 3, e) && // 3: cm
           dcm_put_doubles(r, DCM_PhysicalDeltaX, DCM_VR_FD, &delta, 1, e) && dcm_put_doubles(r, DCM_PhysicalDeltaY, DCM_VR_FD, &delta, 1, e);
}

static bool put_cine(struct dcm_dataset *ds, struct err *e) {
    int64_t pointer = DCM_FrameTime;
    return dcm_putz(ds, DCM_ImageType, "ORIGINAL\\PRIMARY\\TTE", e) && dcm_put_double(ds, DCM_FrameTime, US_FRAME_MS, e) &&
           dcm_put_ints(ds, DCM_FrameIncrementPointer, DCM_VR_AT, &pointer, 1, e) && dcm_putz(ds, DCM_LossyImageCompression, "00", e) &&
           dcm_put_int(ds, DCM_CineRate, 25, e) && dcm_put_empty(ds, DCM_PatientOrientation, DCM_VR_CS, e) && put_region(ds, e);
}

bool synth_us_cine(struct arena *a, const struct synth_options *o, struct err *e) {
    struct synth_case c;
    if (!synth_case_begin(&c, a, o, "us", e)) return false;
    struct synth_series s = {.c = &c,
                             .study = 1,
                             .number = 1,
                             .sop_class_uid = DCM_UID_UltrasoundMultiFrameImageStorage,
                             .modality = "US",
                             .body_part = "HEART",
                             .study_description = "Echocardiography 心脏超声",
                             .description = "Apical cine",
                             .protocol = "Cardiac",
                             .date = "20250820",
                             .time = "160000"};
    size_t frame_bytes = (size_t)US_ROWS * US_COLUMNS;
    uint8_t *pixels = arena_zero(a, frame_bytes, US_FRAMES, e);
    synth_truth_series(&s);
    buf_addf(&c.truth, "\"frame_time_ms\":%.0f,\"areas_cm2\":[", US_FRAME_MS);
    for (unsigned f = 0; pixels && f < US_FRAMES; f++) {
        double radius = chamber_radius_cm(f);
        buf_addf(&c.truth, "%s%.4f", f ? "," : "", PI * radius * radius);
        for (unsigned row = 0; row < US_ROWS; row++)
            for (unsigned column = 0; column < US_COLUMNS; column++)
                pixels[f * frame_bytes + (size_t)row * US_COLUMNS + column] = shade(row, column, radius, &c.random);
    }
    buf_addz(&c.truth, "]}");
    struct dcm_dataset *ds = pixels ? synth_instance(&s, e) : NULL;
    struct synth_pixels p = {US_ROWS, US_COLUMNS, US_FRAMES, 1, 8, 8, false, "MONOCHROME2", pixels, frame_bytes * US_FRAMES};
    bool ok = ds && put_cine(ds, e) && synth_put_pixels(ds, &p, e) && synth_store(&s, ds, e) && synth_case_end(&c, e);
    if (!ok) synth_case_drop(&c);
    return ok;
}
