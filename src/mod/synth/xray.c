// Projection radiographs of the chest: attenuation along the beam through ellipsoids, chord by chord.
#include <math.h>
#include <stdio.h>

#include "dicom/uids.h"
#include "mod/synth/kinds.h"
#include "mod/synth/study.h"

enum { XRAY_MAX = 4095 };

// Ellipsoid seen along the patient's y axis; mu: attenuation added to what is already there, per mm.
struct absorber {
    double x, z, rx, ry, rz, mu;
};

static const struct absorber CHEST[] = {
    {0, 0, 165, 110, 400, 0.0180},   // soft tissue
    {-72, 20, 58, 78, 130, -0.0165}, // right lung
    {72, 20, 55, 76, 128, -0.0165},  // left lung
    {25, -35, 55, 45, 60, 0.0150},   // heart
    {0, 40, 25, 30, 120, 0.0140},    // mediastinum
    {0, 0, 18, 18, 400, 0.0220},     // spine
    {-70, -150, 85, 85, 60, 0.0150}, // right dome
    {70, -160, 80, 80, 55, 0.0140},  // left dome
    {-75, 135, 70, 6, 7, 0.0300},    // clavicles
    {75, 135, 70, 6, 7, 0.0300},
};

static double chord(const struct absorber *a, double x, double z) {
    double u = (x - a->x) / a->rx, v = (z - a->z) / a->rz;
    double q = 1 - u * u - v * v;
    return q > 0 ? 2 * a->ry * sqrt(q) : 0;
}

// Ribs: bright arcs falling from the spine outward.
static double rib_mu(double x, double z) {
    double along = fabs(x) - 18;
    if (along < 0 || along > 118) return 0;
    double bow = z + along * 0.28 + along * along * 0.0012;
    double phase = bow / 27 - floor(bow / 27);
    return phase < 0.3 ? 0.16 * sin(phase / 0.3 * 3.14159265) : 0;
}

static void project(unsigned rows, unsigned columns, double spacing_mm, const double nodule[4], struct synth_random *random, uint16_t *out) {
    for (unsigned row = 0; row < rows; row++) {
        double z = ((rows - 1) / 2.0 - row) * spacing_mm;
        for (unsigned column = 0; column < columns; column++) {
            double x = (column - (columns - 1) / 2.0) * spacing_mm;
            double mu = rib_mu(x, z);
            for (size_t i = 0; i < sizeof CHEST / sizeof *CHEST; i++) mu += CHEST[i].mu * chord(&CHEST[i], x, z);
            struct absorber n = {nodule[0], nodule[1], nodule[2], nodule[2], nodule[2], nodule[3]};
            mu += n.mu * chord(&n, x, z);
            double value = 700 * mu + 9 * synth_random_normal(random); // the logarithm of the exposure, bone bright
            out[(size_t)row * columns + column] = (uint16_t)(value < 0 ? 0 : value > XRAY_MAX ? XRAY_MAX : value);
        }
    }
}

static bool put_code(struct dcm_dataset *ds, uint32_t sequence, const char *value, const char *scheme, const char *meaning, struct err *e) {
    struct dcm_dataset *item = dcm_put_item(ds, sequence, e);
    return item && dcm_putz(item, DCM_CodeValue, value, e) && dcm_putz(item, DCM_CodingSchemeDesignator, scheme, e) &&
           dcm_putz(item, DCM_CodeMeaning, meaning, e);
}

static bool put_dx(struct dcm_dataset *ds, double spacing_mm, struct err *e) {
    double spacing[2] = {spacing_mm, spacing_mm};
    return dcm_put_empty(ds, DCM_AcquisitionContextSequence, DCM_VR_SQ, e) && dcm_putz(ds, DCM_PresentationIntentType, "FOR PRESENTATION", e) &&
           dcm_putz(ds, DCM_ImageLaterality, "U", e) && put_code(ds, DCM_AnatomicRegionSequence, "51185008", "SCT", "Chest", e) &&
           put_code(ds, DCM_ViewCodeSequence, "399348003", "SCT", "antero-posterior", e) &&
           dcm_put_doubles(ds, DCM_ImagerPixelSpacing, DCM_VR_DS, spacing, 2, e) && dcm_putz(ds, DCM_PixelIntensityRelationship, "LOG", e) &&
           dcm_put_int(ds, DCM_PixelIntensityRelationshipSign, -1, e) && dcm_put_double(ds, DCM_RescaleIntercept, 0, e) &&
           dcm_put_double(ds, DCM_RescaleSlope, 1, e) && dcm_putz(ds, DCM_RescaleType, "US", e) && dcm_putz(ds, DCM_PresentationLUTShape, "IDENTITY", e) &&
           dcm_putz(ds, DCM_LossyImageCompression, "00", e) && dcm_putz(ds, DCM_BurnedInAnnotation, "NO", e) && dcm_putz(ds, DCM_DetectorType, "DIRECT", e) &&
           dcm_put_empty(ds, DCM_AcquisitionDeviceProcessingDescription, DCM_VR_LO, e) && dcm_putz(ds, DCM_PositionerType, "NONE", e) &&
           dcm_put_double(ds, DCM_KVP, 110, e);
}

static bool put_cr(struct dcm_dataset *ds, double spacing_mm, struct err *e) {
    double spacing[2] = {spacing_mm, spacing_mm};
    return dcm_put_doubles(ds, DCM_ImagerPixelSpacing, DCM_VR_DS, spacing, 2, e) && dcm_put_double(ds, DCM_KVP, 90, e) && dcm_putz(ds, DCM_PlateID, "P1", e) &&
           dcm_putz(ds, DCM_RescaleType, "US", e) && dcm_put_double(ds, DCM_RescaleIntercept, 0, e) && dcm_put_double(ds, DCM_RescaleSlope, 1, e);
}

static bool write_radiograph(struct synth_series *s, bool (*put)(struct dcm_dataset *, double, struct err *), struct err *e) {
    enum { ROWS = 1024, COLUMNS = 896 };
    const double spacing_mm = 0.42;
    double side = synth_random_below(&s->c->random, 2) ? 1 : -1;
    double nodule[4] = {side * (60 + 25 * synth_random_unit(&s->c->random)), 60 * synth_random_unit(&s->c->random), 6 + 6 * synth_random_unit(&s->c->random),
                        0.02};
    uint16_t *pixels = arena_zero(s->c->arena, (size_t)ROWS * COLUMNS, sizeof *pixels, e);
    if (!pixels) return false;
    project(ROWS, COLUMNS, spacing_mm, nodule, &s->c->random, pixels);
    synth_truth_series(s);
    buf_addf(&s->c->truth, "\"nodules\":[{\"number\":1,\"column\":%.2f,\"row\":%.2f,\"diameter_mm\":%.3f,\"side\":\"%s\"}]}",
             nodule[0] / spacing_mm + (COLUMNS - 1) / 2.0, (ROWS - 1) / 2.0 - nodule[1] / spacing_mm, 2 * nodule[2], side > 0 ? "left" : "right");
    struct dcm_dataset *ds = synth_instance(s, e);
    struct synth_pixels p = {ROWS, COLUMNS, 1, 1, 16, 12, false, "MONOCHROME2", pixels, (size_t)ROWS * COLUMNS * 2};
    return ds && dcm_putz(ds, DCM_ImageType, "ORIGINAL\\PRIMARY", e) && dcm_putz(ds, DCM_ViewPosition, "AP", e) &&
           dcm_putz(ds, DCM_PatientOrientation, "L\\F", e) && dcm_putz(ds, DCM_AcquisitionNumber, "1", e) && dcm_put_double(ds, DCM_WindowCenter, 2200, e) &&
           dcm_put_double(ds, DCM_WindowWidth, 3300, e) && put(ds, spacing_mm, e) && synth_put_pixels(ds, &p, e) && synth_store(s, ds, e);
}

static bool make(struct arena *a, const struct synth_options *o, struct synth_series s, bool (*put)(struct dcm_dataset *, double, struct err *),
                 const char *kind, struct err *e) {
    struct synth_case c;
    if (!synth_case_begin(&c, a, o, kind, e)) return false;
    s.c = &c;
    bool ok = write_radiograph(&s, put, e) && synth_case_end(&c, e);
    if (!ok) synth_case_drop(&c);
    return ok;
}

bool synth_cr_chest(struct arena *a, const struct synth_options *o, struct err *e) {
    struct synth_series s = {.study = 1,
                             .number = 1,
                             .sop_class_uid = DCM_UID_ComputedRadiographyImageStorage,
                             .modality = "CR",
                             .body_part = "CHEST",
                             .study_description = "Chest AP 胸部正位",
                             .description = "AP",
                             .protocol = "Chest bedside",
                             .date = "20250418",
                             .time = "071500"};
    return make(a, o, s, put_cr, "cr", e);
}

bool synth_dx_chest(struct arena *a, const struct synth_options *o, struct err *e) {
    struct synth_series s = {.study = 1,
                             .number = 1,
                             .sop_class_uid = DCM_UID_DigitalXRayImageStorageForPresentation,
                             .modality = "DX",
                             .body_part = "CHEST",
                             .study_description = "Chest AP 胸部正位",
                             .description = "AP",
                             .protocol = "Chest",
                             .date = "20250421",
                             .time = "101500"};
    return make(a, o, s, put_dx, "dx", e);
}
