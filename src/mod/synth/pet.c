// PET phantom: a body with hot spheres whose standardised uptake values are known.
#include <math.h>

#include "dicom/uids.h"
#include "mod/synth/kinds.h"
#include "mod/synth/shapes.h"
#include "mod/synth/study.h"

// Fluorine-18: half-life 6586.2 s, positron fraction 0.967 (MIRD, as in the DICOM standard's own example).
static const double HALF_LIFE_S = 6586.2;
static const double DOSE_BQ = 370e6;
static const double WEIGHT_G = 70000;
static const double UPTAKE_S = 3600;

static const struct {
    const char *name;
    double centre[3], diameter_mm, suv;
} SPHERE[] = {{"right lung", {-75, 0, 20}, 22, 8}, {"mediastinum", {0, -10, 0}, 18, 5}, {"left lung", {75, 5, -20}, 15, 10}};

enum { SPHERES = sizeof SPHERE / sizeof *SPHERE };

// Body-weight SUV to activity concentration, with the dose decayed to the start of the series (Decay Correction START).
static double bqml_of_suv(double suv) {
    return suv * DOSE_BQ * pow(2, -UPTAKE_S / HALF_LIFE_S) / WEIGHT_G;
}

static bool put_isotope(struct dcm_dataset *ds, struct err *e) {
    struct dcm_dataset *r = dcm_put_item(ds, DCM_RadiopharmaceuticalInformationSequence, e);
    struct dcm_dataset *code = r ? dcm_put_item(r, DCM_RadionuclideCodeSequence, e) : NULL;
    return code && dcm_putz(code, DCM_CodeValue, "77004003", e) && dcm_putz(code, DCM_CodingSchemeDesignator, "SCT", e) &&
           dcm_putz(code, DCM_CodeMeaning, "^18^Fluorine", e) && dcm_putz(r, DCM_Radiopharmaceutical, "Fluorodeoxyglucose", e) &&
           dcm_putz(r, DCM_RadiopharmaceuticalStartTime, "090000", e) && dcm_putz(r, DCM_RadiopharmaceuticalStartDateTime, "20250905090000", e) &&
           dcm_put_double(r, DCM_RadionuclideTotalDose, DOSE_BQ, e) && dcm_put_double(r, DCM_RadionuclideHalfLife, HALF_LIFE_S, e) &&
           dcm_put_double(r, DCM_RadionuclidePositronFraction, 0.967, e);
}

static bool put_pet_series(struct dcm_dataset *ds, unsigned slices, struct err *e) {
    return dcm_putz(ds, DCM_Units, "BQML", e) && dcm_putz(ds, DCM_CountsSource, "EMISSION", e) && dcm_putz(ds, DCM_SeriesType, "STATIC\\IMAGE", e) &&
           dcm_put_int(ds, DCM_NumberOfSlices, slices, e) && dcm_putz(ds, DCM_CorrectedImage, "DECY\\ATTN\\SCAT\\RAN", e) &&
           dcm_putz(ds, DCM_DecayCorrection, "START", e) && dcm_putz(ds, DCM_CollimatorType, "NONE", e) &&
           dcm_putz(ds, DCM_RandomsCorrectionMethod, "DLYD", e) && dcm_putz(ds, DCM_AttenuationCorrectionMethod, "CT", e) &&
           dcm_putz(ds, DCM_ScatterCorrectionMethod, "Model based", e) && dcm_putz(ds, DCM_ReconstructionMethod, "Analytic", e) &&
           dcm_put_empty(ds, DCM_PatientOrientationCodeSequence, DCM_VR_SQ, e) && dcm_put_empty(ds, DCM_PatientGantryRelationshipCodeSequence, DCM_VR_SQ, e);
}

static bool put_pet_image(struct dcm_dataset *ds, unsigned index, double slope, struct err *e) {
    return dcm_putz(ds, DCM_ImageType, "ORIGINAL\\PRIMARY", e) && dcm_put_int(ds, DCM_ImageIndex, index, e) && dcm_put_double(ds, DCM_RescaleIntercept, 0, e) &&
           dcm_put_double(ds, DCM_RescaleSlope, slope, e) && dcm_put_double(ds, DCM_FrameReferenceTime, 0, e) &&
           dcm_put_int(ds, DCM_ActualFrameDuration, 180000, e) && dcm_putz(ds, DCM_AcquisitionDate, "20250905", e) &&
           dcm_putz(ds, DCM_AcquisitionTime, "100000", e) && dcm_put_double(ds, DCM_DecayFactor, 1, e) && dcm_put_int(ds, DCM_AcquisitionNumber, 1, e) &&
           dcm_put_double(ds, DCM_WindowCenter, bqml_of_suv(2.5), e) && dcm_put_double(ds, DCM_WindowWidth, bqml_of_suv(5), e) &&
           dcm_putz(ds, DCM_LossyImageCompression, "00", e);
}

static size_t draw_body(struct synth_shape *out) {
    size_t n = 0;
    out[n++] = (struct synth_shape){{0, 0, 0}, {170, 115, 400}, bqml_of_suv(0.9), 0};
    out[n++] = (struct synth_shape){{-72, -5, 0}, {58, 78, 140}, bqml_of_suv(0.4), 0};
    out[n++] = (struct synth_shape){{72, -5, 0}, {55, 76, 138}, bqml_of_suv(0.4), 0};
    out[n++] = (struct synth_shape){{22, -25, -40}, {48, 42, 55}, bqml_of_suv(2.5), 0};
    for (size_t i = 0; i < SPHERES; i++) {
        double r = SPHERE[i].diameter_mm / 2;
        out[n++] = (struct synth_shape){{SPHERE[i].centre[0], SPHERE[i].centre[1], SPHERE[i].centre[2]}, {r, r, r}, bqml_of_suv(SPHERE[i].suv), 0};
    }
    return n;
}

static void add_truth(struct synth_series *s) {
    struct buf *t = &s->c->truth;
    synth_truth_series(s);
    buf_addf(t, "\"dose_bq\":%.0f,\"half_life_s\":%.1f,\"weight_kg\":70,\"uptake_s\":%.0f,\"spheres\":[", DOSE_BQ, HALF_LIFE_S, UPTAKE_S);
    for (size_t i = 0; i < SPHERES; i++)
        buf_addf(t, "%s{\"name\":\"%s\",\"centre_mm\":[%.1f,%.1f,%.1f],\"diameter_mm\":%.1f,\"suv_bw\":%.2f,\"bqml\":%.2f}", i ? "," : "", SPHERE[i].name,
                 SPHERE[i].centre[0], SPHERE[i].centre[1], SPHERE[i].centre[2], SPHERE[i].diameter_mm, SPHERE[i].suv, bqml_of_suv(SPHERE[i].suv));
    buf_addz(t, "]}");
}

bool synth_pet(struct arena *a, const struct synth_options *o, struct err *e) {
    enum { SIZE = 128, MAX = 32767 };
    struct synth_case c;
    if (!synth_case_begin(&c, a, o, "pet", e)) return false;
    struct synth_series s = {.c = &c,
                             .study = 1,
                             .number = 1,
                             .sop_class_uid = DCM_UID_PositronEmissionTomographyImageStorage,
                             .modality = "PT",
                             .body_part = "CHEST",
                             .study_description = "PET FDG 全身代谢显像",
                             .description = "AC static",
                             .protocol = "FDG",
                             .date = "20250905",
                             .time = "100000"};
    struct synth_shape shapes[16];
    size_t n = draw_body(shapes), voxels = (size_t)SIZE * SIZE;
    add_truth(&s);
    double slope = bqml_of_suv(12) / MAX;
    struct synth_grid g = {SIZE, SIZE, 4, {-(SIZE - 1) * 2.0, -(SIZE - 1) * 2.0, 0}, 4};
    float *values = arena_zero(a, voxels * 2, sizeof *values, e);
    bool ok = values != NULL;
    for (unsigned i = 0; ok && i < o->slices; i++) {
        struct arena_mark mark = arena_mark(a);
        g.origin_mm[2] = (i - (o->slices - 1) / 2.0) * 4;
        synth_slice(&g, 0, shapes, n, values, values + voxels);
        synth_noise(values, voxels, bqml_of_suv(0.05), &c.random);
        int16_t *pixels = arena_zero(a, voxels, sizeof *pixels, e);
        if (pixels) synth_to_i16(values, voxels, slope, 0, 0, MAX, pixels);
        struct dcm_dataset *ds = pixels ? synth_instance(&s, e) : NULL;
        struct synth_pixels p = {SIZE, SIZE, 1, 1, 16, 16, false, "MONOCHROME2", pixels, voxels * 2};
        ok = ds && put_isotope(ds, e) && put_pet_series(ds, o->slices, e) && put_pet_image(ds, i + 1, slope, e) &&
             synth_put_plane(&s, ds, 4, 4, g.origin_mm, e) && synth_put_pixels(ds, &p, e) && synth_store(&s, ds, e);
        arena_rewind(a, mark);
    }
    ok = ok && synth_case_end(&c, e);
    if (!ok) synth_case_drop(&c);
    return ok;
}
