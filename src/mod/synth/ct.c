// CT phantoms: a chest with lung nodules at two dates, and a head with a hyperdense collection.
#include "mod/synth/kinds.h"

#include <math.h>
#include <stdio.h>

#include "dicom/uids.h"
#include "mod/synth/shapes.h"
#include "mod/synth/study.h"

#define PI 3.14159265358979323846

enum { SHAPES_MAX = 96 };

// Hounsfield units.
enum { HU_AIR = -1000, HU_LUNG = -850, HU_FAT = -100, HU_WATER = 0, HU_SOFT = 40, HU_BRAIN = 35, HU_CSF = 5, HU_BLOOD = 70, HU_NODULE = 30, HU_BONE = 700 };

struct scene {
    struct synth_shape shapes[SHAPES_MAX];
    size_t n;
};

static struct synth_shape *add(struct scene *s, double x, double y, double z, double rx, double ry, double rz, double value) {
    struct synth_shape *shape = &s->shapes[s->n++];
    *shape = (struct synth_shape){.centre = {x, y, z}, .radius = {rx, ry, rz}, .value = value};
    return shape;
}

// Patient axes: x to the left, y to the back, z to the head. The chest is centred on the origin.
static void draw_chest(struct scene *s) {
    add(s, 0, 0, 0, 170, 115, 400, HU_FAT);
    add(s, 0, 0, 0, 155, 100, 400, HU_SOFT);
    for (int rib = -4; rib <= 4; rib++) {
        struct synth_shape *shell = add(s, 0, 0, rib * 32, 148, 93, 7, HU_BONE - 300);
        shell->hollow = 0.93;
    }
    add(s, -72, -5, 0, 58, 78, 140, HU_LUNG);
    add(s, 72, -5, 0, 55, 76, 138, HU_LUNG);
    add(s, 22, -25, -40, 48, 42, 55, HU_SOFT);      // heart
    add(s, 0, -15, 60, 30, 30, 90, HU_SOFT);        // mediastinum
    add(s, 8, 35, 0, 12, 12, 300, HU_SOFT + 5);     // descending aorta
    add(s, 0, 10, 90, 9, 8, 70, HU_AIR);            // trachea
    add(s, -60, 0, -150, 85, 85, 60, HU_SOFT + 20); // liver under the right dome
    add(s, 0, 62, 0, 20, 18, 400, HU_BONE - 400);   // vertebral bodies
    add(s, 0, 80, 0, 9, 8, 400, HU_WATER + 10);     // canal
}

struct nodule {
    double centre[3];
    double diameter_mm;
};

// Nodules lie within the lungs, apart from one another, alternating right and left.
static void place_nodules(struct synth_case *c, struct nodule *out) {
    for (unsigned i = 0; i < c->o->nodule_count; i++) {
        double side = i % 2 ? 1 : -1;
        double angle = 2 * PI * synth_random_unit(&c->random);
        double reach = 15 + 15 * synth_random_unit(&c->random);
        double step = c->o->nodule_count > 1 ? 70.0 / (c->o->nodule_count - 1) : 0;
        out[i] = (struct nodule){{side * 88 + 0.6 * reach * cos(angle), reach * sin(angle), -25 + step * i}, c->o->nodule_mm[i]};
    }
}

struct ct_look {
    double kvp, exposure_ma, window_center, window_width, noise_hu, rescale_intercept;
    const char *kernel;
};

static bool put_ct_image(struct dcm_dataset *ds, const struct ct_look *look, struct err *e) {
    return dcm_putz(ds, DCM_ImageType, "ORIGINAL\\PRIMARY\\AXIAL", e) && dcm_put_int(ds, DCM_AcquisitionNumber, 1, e) &&
           dcm_putz(ds, DCM_PatientPosition, "HFS", e) && dcm_put_double(ds, DCM_KVP, look->kvp, e) &&
           dcm_put_int(ds, DCM_XRayTubeCurrent, (int64_t)look->exposure_ma, e) && dcm_putz(ds, DCM_ConvolutionKernel, look->kernel, e) &&
           dcm_put_double(ds, DCM_RescaleIntercept, look->rescale_intercept, e) && dcm_put_double(ds, DCM_RescaleSlope, 1, e) &&
           dcm_putz(ds, DCM_RescaleType, "HU", e) && dcm_put_double(ds, DCM_WindowCenter, look->window_center, e) &&
           dcm_put_double(ds, DCM_WindowWidth, look->window_width, e);
}

// Axial slices of a scene, centred on z_mm, as one series.
static bool write_slices(struct synth_series *s, const struct scene *scene, const struct ct_look *look, double field_mm, double thickness_mm, double z_mm,
                         struct err *e) {
    unsigned size = s->c->o->size, slices = s->c->o->slices;
    size_t voxels = (size_t)size * size;
    float *values = arena_zero(s->c->arena, voxels * 2, sizeof *values, e);
    if (!values) return false;
    struct synth_grid g = {.rows = size, .columns = size, .spacing_mm = field_mm / size, .thickness_mm = thickness_mm};
    g.origin_mm[0] = g.origin_mm[1] = -(double)(size - 1) * g.spacing_mm / 2;
    for (unsigned i = 0; i < slices; i++) {
        struct arena_mark mark = arena_mark(s->c->arena);
        g.origin_mm[2] = z_mm + (i - (slices - 1) / 2.0) * thickness_mm;
        synth_slice(&g, HU_AIR, scene->shapes, scene->n, values, values + voxels);
        synth_noise(values, voxels, look->noise_hu, &s->c->random);
        int16_t *pixels = arena_zero(s->c->arena, voxels, sizeof *pixels, e);
        if (!pixels) return false;
        synth_to_i16(values, voxels, 1, look->rescale_intercept, 0, 4095, pixels);
        struct dcm_dataset *ds = synth_instance(s, e);
        struct synth_pixels p = {size, size, 1, 1, 16, 12, false, "MONOCHROME2", pixels, voxels * 2};
        if (!ds || !put_ct_image(ds, look, e) || !synth_put_plane(s, ds, g.spacing_mm, thickness_mm, g.origin_mm, e) || !synth_put_pixels(ds, &p, e) ||
            !synth_store(s, ds, e))
            return false;
        arena_rewind(s->c->arena, mark);
    }
    return true;
}

static void add_truth_nodules(struct synth_case *c, const struct nodule *nodules, double growth) {
    buf_addz(&c->truth, "\"nodules\":[");
    for (unsigned i = 0; i < c->o->nodule_count; i++) {
        double d = nodules[i].diameter_mm * growth;
        buf_addf(&c->truth, "%s{\"number\":%u,\"centre_mm\":[%.3f,%.3f,%.3f],\"diameter_mm\":%.3f,\"volume_mm3\":%.3f,\"mean_hu\":%d}", i ? "," : "", i + 1,
                 nodules[i].centre[0], nodules[i].centre[1], nodules[i].centre[2], d, PI / 6 * d * d * d, HU_NODULE);
    }
    buf_addc(&c->truth, ']');
}

static bool chest_study(struct synth_case *c, unsigned study, const char *date, const struct nodule *nodules, double growth, struct err *e) {
    static const struct ct_look LOOK = {120, 200, -600, 1500, 14, -1024, "LUNG"};
    struct synth_series s = {.c = c,
                             .study = study,
                             .number = 1,
                             .sop_class_uid = DCM_UID_CTImageStorage,
                             .modality = "CT",
                             .body_part = "CHEST",
                             .study_description = "CT chest 胸部CT",
                             .description = "Lung 1.5 mm",
                             .protocol = "Chest routine",
                             .time = "093000"};
    snprintf(s.date, sizeof s.date, "%s", date);
    struct scene scene = {0};
    draw_chest(&scene);
    for (unsigned i = 0; i < c->o->nodule_count; i++) {
        double r = nodules[i].diameter_mm * growth / 2;
        add(&scene, nodules[i].centre[0], nodules[i].centre[1], nodules[i].centre[2], r, r, r, HU_NODULE);
    }
    synth_truth_series(&s);
    add_truth_nodules(c, nodules, growth);
    buf_addc(&c->truth, '}');
    return write_slices(&s, &scene, &LOOK, 360, 120.0 / c->o->slices, 10, e);
}

bool synth_chest_ct(struct arena *a, const struct synth_options *o, struct err *e) {
    struct synth_case c;
    struct nodule nodules[SYNTH_NODULES_MAX] = {0};
    if (!synth_case_begin(&c, a, o, "chest-ct", e)) return false;
    place_nodules(&c, nodules);
    bool ok = chest_study(&c, 1, "20250310", nodules, 1, e) && chest_study(&c, 2, "20250915", nodules, o->growth, e) && synth_case_end(&c, e);
    if (!ok) synth_case_drop(&c);
    return ok;
}

// A skull with brain, ventricles and a lens-shaped collection of blood under the right parietal bone.
static void draw_head(struct scene *s, double rx, double ry, double rz) {
    add(s, 0, 0, 0, 80, 98, 95, HU_SOFT);
    add(s, 0, 0, 0, 76, 94, 91, HU_BONE);
    add(s, 0, 0, 0, 69, 87, 84, HU_CSF);
    add(s, 0, 0, 0, 66, 84, 81, HU_BRAIN);
    add(s, -11, -8, 8, 5, 24, 12, HU_CSF);
    add(s, 11, -8, 8, 5, 24, 12, HU_CSF);
    add(s, 0, 12, -8, 2.5, 14, 8, HU_CSF);
    add(s, -54, 8, 12, rx, ry, rz, HU_BLOOD);
}

bool synth_head_ct(struct arena *a, const struct synth_options *o, struct err *e) {
    static const struct ct_look LOOK = {120, 280, 40, 80, 4, -1024, "HEAD"};
    struct synth_case c;
    if (!synth_case_begin(&c, a, o, "head-ct", e)) return false;
    struct synth_series s = {.c = &c,
                             .study = 1,
                             .number = 1,
                             .sop_class_uid = DCM_UID_CTImageStorage,
                             .modality = "CT",
                             .body_part = "HEAD",
                             .study_description = "CT head 头颅CT平扫",
                             .description = "Brain 5 mm",
                             .protocol = "Head routine",
                             .date = "20250602",
                             .time = "021500"};
    double rx = 8 + 4 * synth_random_unit(&c.random), ry = 24, rz = 20;
    struct scene scene = {0};
    draw_head(&scene, rx, ry, rz);
    synth_truth_series(&s);
    buf_addf(&c.truth, "\"collections\":[{\"centre_mm\":[-54,8,12],\"radii_mm\":[%.3f,%.3f,%.3f],\"volume_mm3\":%.3f,\"mean_hu\":%d,\"side\":\"right\"}]}", rx,
             ry, rz, 4.0 / 3 * PI * rx * ry * rz, HU_BLOOD);
    bool ok = write_slices(&s, &scene, &LOOK, 230, 150.0 / o->slices, 5, e) && synth_case_end(&c, e);
    if (!ok) synth_case_drop(&c);
    return ok;
}
