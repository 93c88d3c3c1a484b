// MR phantom of the head: T1 and T2 weighted spin echo of tissues with known relaxation times.
#include <math.h>

#include "dicom/uids.h"
#include "mod/synth/kinds.h"
#include "mod/synth/shapes.h"
#include "mod/synth/study.h"

enum { MR_MAX = 4095, MR_SCALE = 3000 };

// Relaxation times at 1.5 T in ms, and proton density.
struct tissue {
    const char *name;
    double t1_ms, t2_ms, density;
};

enum { SCALP, GREY, WHITE, CSF, LESION, TISSUES };
static const struct tissue TISSUE[TISSUES] = {
    {"scalp", 260, 85, 0.9},     {"grey matter", 950, 100, 0.8}, {"white matter", 600, 80, 0.7}, {"cerebrospinal fluid", 4000, 2000, 1.0},
    {"lesion", 1100, 140, 0.85},
};

// Signal of a spin echo: density (1 - exp(-TR/T1)) exp(-TE/T2).
static double signal(const struct tissue *t, double tr_ms, double te_ms) {
    return MR_SCALE * t->density * (1 - exp(-tr_ms / t->t1_ms)) * exp(-te_ms / t->t2_ms);
}

static size_t draw_head(struct synth_shape *out, const double level[TISSUES], double lesion_mm) {
    const struct synth_shape shapes[] = {
        {{0, 0, 0}, {80, 98, 95}, level[SCALP], 0},
        {{0, 0, 0}, {74, 92, 89}, 0, 0},
        {{0, 0, 0}, {69, 87, 84}, level[CSF], 0},
        {{0, 0, 0}, {66, 84, 81}, level[GREY], 0},
        {{-29, 0, 0}, {28, 68, 62}, level[WHITE], 0},
        {{29, 0, 0}, {28, 68, 62}, level[WHITE], 0},
        {{-11, -8, 8}, {5, 24, 12}, level[CSF], 0},
        {{11, -8, 8}, {5, 24, 12}, level[CSF], 0},
        {{34, 20, 10}, {lesion_mm / 2, lesion_mm / 2, lesion_mm / 2}, level[LESION], 0},
    };
    size_t n = sizeof shapes / sizeof *shapes;
    for (size_t i = 0; i < n; i++) out[i] = shapes[i];
    return n;
}

static bool put_mr(struct dcm_dataset *ds, double tr_ms, double te_ms, struct err *e) {
    return dcm_putz(ds, DCM_ImageType, "ORIGINAL\\PRIMARY\\OTHER", e) && dcm_putz(ds, DCM_ScanningSequence, "SE", e) &&
           dcm_putz(ds, DCM_SequenceVariant, "NONE", e) && dcm_put_empty(ds, DCM_ScanOptions, DCM_VR_CS, e) && dcm_putz(ds, DCM_MRAcquisitionType, "2D", e) &&
           dcm_put_double(ds, DCM_RepetitionTime, tr_ms, e) && dcm_put_double(ds, DCM_EchoTime, te_ms, e) && dcm_put_int(ds, DCM_EchoTrainLength, 1, e) &&
           dcm_put_double(ds, DCM_MagneticFieldStrength, 1.5, e) && dcm_put_double(ds, DCM_FlipAngle, 90, e) && dcm_putz(ds, DCM_PatientPosition, "HFS", e) &&
           dcm_put_int(ds, DCM_AcquisitionNumber, 1, e) && dcm_put_double(ds, DCM_SpacingBetweenSlices, 5, e);
}

static bool write_weighting(struct synth_series *s, double tr_ms, double te_ms, double lesion_mm, struct err *e) {
    unsigned size = s->c->o->size / 2 < 64 ? 64 : s->c->o->size / 2, slices = s->c->o->slices / 2 + 1;
    size_t voxels = (size_t)size * size;
    struct synth_shape shapes[16];
    double level[TISSUES];
    for (int i = 0; i < TISSUES; i++) level[i] = signal(&TISSUE[i], tr_ms, te_ms);
    size_t n = draw_head(shapes, level, lesion_mm);
    float *values = arena_zero(s->c->arena, voxels * 2, sizeof *values, e);
    if (!values) return false;
    struct synth_grid g = {.rows = size, .columns = size, .spacing_mm = 230.0 / size, .thickness_mm = 5};
    g.origin_mm[0] = g.origin_mm[1] = -(double)(size - 1) * g.spacing_mm / 2;
    for (unsigned i = 0; i < slices; i++) {
        struct arena_mark mark = arena_mark(s->c->arena);
        g.origin_mm[2] = 5 + (i - (slices - 1) / 2.0) * 5;
        synth_slice(&g, 0, shapes, n, values, values + voxels);
        synth_noise(values, voxels, 18, &s->c->random);
        int16_t *pixels = arena_zero(s->c->arena, voxels, sizeof *pixels, e);
        if (!pixels) return false;
        synth_to_i16(values, voxels, 1, 0, 0, MR_MAX, pixels);
        struct dcm_dataset *ds = synth_instance(s, e);
        struct synth_pixels p = {size, size, 1, 1, 16, 12, false, "MONOCHROME2", pixels, voxels * 2};
        if (!ds || !put_mr(ds, tr_ms, te_ms, e) || !synth_put_plane(s, ds, g.spacing_mm, 5, g.origin_mm, e) || !synth_put_pixels(ds, &p, e) ||
            !synth_store(s, ds, e))
            return false;
        arena_rewind(s->c->arena, mark);
    }
    return true;
}

bool synth_mr_head(struct arena *a, const struct synth_options *o, struct err *e) {
    static const struct {
        const char *description;
        double tr_ms, te_ms;
    } WEIGHTING[] = {{"T1 SE", 500, 12}, {"T2 SE", 4000, 100}};
    struct synth_case c;
    if (!synth_case_begin(&c, a, o, "mr", e)) return false;
    double lesion_mm = 10 + 8 * synth_random_unit(&c.random);
    bool ok = true;
    for (unsigned i = 0; ok && i < 2; i++) {
        struct synth_series s = {.c = &c,
                                 .study = 1,
                                 .number = i + 1,
                                 .sop_class_uid = DCM_UID_MRImageStorage,
                                 .modality = "MR",
                                 .body_part = "HEAD",
                                 .study_description = "MR head 头颅MR平扫",
                                 .description = WEIGHTING[i].description,
                                 .protocol = "Head",
                                 .date = "20250711",
                                 .time = "143000"};
        synth_truth_series(&s);
        buf_addf(&c.truth, "\"repetition_time_ms\":%.0f,\"echo_time_ms\":%.0f,\"lesions\":[{\"centre_mm\":[34,20,10],\"diameter_mm\":%.3f}],\"tissues\":[",
                 WEIGHTING[i].tr_ms, WEIGHTING[i].te_ms, lesion_mm);
        for (int t = 0; t < TISSUES; t++)
            buf_addf(&c.truth, "%s{\"name\":\"%s\",\"t1_ms\":%.0f,\"t2_ms\":%.0f,\"signal\":%.2f}", t ? "," : "", TISSUE[t].name, TISSUE[t].t1_ms,
                     TISSUE[t].t2_ms, signal(&TISSUE[t], WEIGHTING[i].tr_ms, WEIGHTING[i].te_ms));
        buf_addz(&c.truth, "]}");
        ok = write_weighting(&s, WEIGHTING[i].tr_ms, WEIGHTING[i].te_ms, lesion_mm, e);
    }
    ok = ok && synth_case_end(&c, e);
    if (!ok) synth_case_drop(&c);
    return ok;
}
