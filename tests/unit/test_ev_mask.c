// Masks of files: NumPy, NIfTI and DICOM segmentations give the same voxels in the same places.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena_fixture.h"
#include "base/buf.h"
#include "dicom/uids.h"
#include "math/rng.h"
#include "mod/evidence/mask.h"
#include "text/gzip.h"

static const char *DATA; // folder of DICOM objects of others, or NULL

static void assert_near(double a, double b, double tolerance) {
    if (a != b && !(fabs(a - b) <= tolerance)) fail_msg("%.10g is not %.10g", a, b);
}

// ---- NumPy ----

static struct str npy(const char *descr, const char *order, const char *shape, const void *data, size_t n) {
    char header[200], *bytes;
    int length = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr, order, shape);
    bytes = arena_zero(&arena, 1, 10 + (size_t)length + n, NULL);
    memcpy(bytes, (const char[8]){'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0}, 8);
    bytes[8] = (char)length;
    memcpy(bytes + 10, header, (size_t)length);
    memcpy(bytes + 10 + length, data, n);
    return (struct str){bytes, 10 + (size_t)length + n};
}

static struct mask read_bytes(struct str bytes) {
    struct mask m;
    if (!mask_read(&arena, bytes, &m, &why)) fail_msg("%s", why.message);
    return m;
}

static void test_arrays_of_every_type_and_order_are_one_mask(void **state) {
    (void)state;
    // index (i, j, k) of 2 x 3 x 2 holds 1 + 6 i + 2 j + k
    const uint8_t bytes[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, fortran[12] = {1, 7, 3, 9, 5, 11, 2, 8, 4, 10, 6, 12};
    uint8_t big[24];
    int64_t wide[12];
    float real[12];
    for (unsigned i = 0; i < 12; i++) {
        big[2 * i] = 0;
        big[2 * i + 1] = bytes[i];
        wide[i] = bytes[i];
        real[i] = bytes[i];
    }
    struct str all[] = {npy("|u1", "False", "(2, 3, 2)", bytes, 12), npy("|u1", "True", "(2, 3, 2)", fortran, 12), npy(">u2", "False", "(2, 3, 2)", big, 24),
                        npy("<i8", "False", "(2, 3, 2)", wide, 96), npy("<f4", "False", "(2, 3, 2)", real, 48)};
    for (unsigned f = 0; f < 5; f++) {
        struct mask m = read_bytes(all[f]);
        assert_int_equal(m.grid.dims, 3);
        assert_true(m.grid.n[0] == 2 && m.grid.n[1] == 3 && m.grid.n[2] == 2 && !m.placed);
        for (unsigned i = 0; i < 12; i++) assert_int_equal(m.labels[i], i + 1);
    }
    struct mask plane = read_bytes(npy("|b1", "False", "(3, 4)", bytes, 12));
    assert_true(plane.grid.dims == 2 && plane.grid.n[0] == 1 && plane.grid.n[1] == 3 && plane.grid.n[2] == 4);
}

static void test_arrays_that_are_no_masks_are_refused(void **state) {
    (void)state;
    const double half[4] = {0, 0.5, 1, 1}, nothing[4] = {0, NAN, 1, 1};
    const int8_t negative[4] = {0, -1, 1, 1};
    struct str bad[] = {npy("<f8", "False", "(2, 2)", half, 32),
                        npy("<f8", "False", "(2, 2)", nothing, 32),
                        npy("|i1", "False", "(2, 2)", negative, 4),
                        npy("|u1", "False", "(2, 3)", half, 5),
                        npy("|u1", "False", "(4,)", half, 4),
                        npy("|O", "False", "(2, 2)", half, 32),
                        npy("|u1", "False", "(2, 99999)", half, 32),
                        npy("|u1", "False", "(1, 1, 1, 4)", half, 32),
                        npy("<c16", "False", "(2, 2)", half, 32),
                        str_sub(npy("|u1", "False", "(2, 2)", half, 4), 0, 30),
                        STR_LIT("P5 2 2 255 ...."),
                        {NULL, 0}};
    struct mask m;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(mask_read(&arena, bad[i], &m, &why));
}

// ---- NIfTI ----

static void put(uint8_t *p, const void *value, unsigned size, bool big) {
    for (unsigned i = 0; i < size; i++) p[i] = ((const uint8_t *)value)[big ? size - 1 - i : i];
}

static void put16(uint8_t *p, int16_t v, bool big) {
    put(p, &v, 2, big);
}

static void putf(uint8_t *p, float v, bool big) {
    put(p, &v, 4, big);
}

// 4 x 3 x 2 voxels (first index fastest) of uint8, number 1 on, with an sform.
static struct str nifti(const float srow[3][4], bool big) {
    uint8_t *p = arena_zero(&arena, 1, 352 + 24, NULL);
    static const int16_t DIM[8] = {3, 4, 3, 2, 1, 1, 1, 1};
    int32_t size = 348;
    put(p, &size, 4, big);
    for (unsigned i = 0; i < 8; i++) put16(p + 40 + 2 * i, DIM[i], big);
    put16(p + 70, 2, big); // uint8
    putf(p + 108, 352, big);
    p[123] = 2; // mm
    put16(p + 254, 1, big);
    for (unsigned r = 0; r < 3; r++) {
        for (unsigned c = 0; c < 4; c++) putf(p + 280 + 16 * r + 4 * c, srow[r][c], big);
    }
    memcpy(p + 344, "n+1", 4);
    for (unsigned i = 0; i < 24; i++) p[352 + i] = (uint8_t)(i + 1);
    return (struct str){(char *)p, 352 + 24};
}

static const float STRAIGHT[3][4] = {{-2, 0, 0, 30}, {0, -2, 0, 40}, {0, 0, 5, -10}}; // LPS axes, as most series have them

static void test_nifti_tells_where_its_voxels_lie(void **state) {
    (void)state;
    for (unsigned big = 0; big < 2; big++) {
        struct mask m = read_bytes(nifti(STRAIGHT, big));
        assert_true(m.placed && m.grid.n[0] == 2 && m.grid.n[1] == 3 && m.grid.n[2] == 4);
        assert_near(m.grid.spacing[0], 5, 1e-6);
        assert_near(m.grid.spacing[2], 2, 1e-6);
        assert_near(m.axis[2][0], 1, 1e-9); // to the left
        assert_near(m.axis[0][2], 1, 1e-9); // to the head
        assert_near(m.origin[0], -30, 1e-6);
        assert_near(m.origin[1], -40, 1e-6);
        assert_near(m.origin[2], -10, 1e-6);
        for (unsigned i = 0; i < 24; i++) assert_int_equal(m.labels[i], i + 1);
    }
}

static void test_gzip_is_taken_off(void **state) {
    (void)state;
    struct buf packed;
    buf_init(&packed, 1 << 20);
    assert_true(gzip_pack(nifti(STRAIGHT, false), GZIP_FAST, &packed, &why));
    struct mask m = read_bytes(buf_str(&packed));
    assert_int_equal(m.labels[23], 24);
    buf_deinit(&packed);
}

// A quaternion of half a turn about the head's axis and the same as an sform: nifti1.h.
static void test_qform_and_sform_agree(void **state) {
    (void)state;
    struct str bytes = nifti(STRAIGHT, false);
    uint8_t *p = (uint8_t *)(uintptr_t)bytes.p;
    put16(p + 254, 0, false);
    put16(p + 252, 1, false);
    const float pixdim[4] = {1, 2, 2, 5}, quaternion[3] = {0, 0, 1}, offset[3] = {30, 40, -10};
    for (unsigned i = 0; i < 4; i++) putf(p + 76 + 4 * i, pixdim[i], false);
    for (unsigned i = 0; i < 3; i++) {
        putf(p + 256 + 4 * i, quaternion[i], false);
        putf(p + 268 + 4 * i, offset[i], false);
    }
    struct mask q = read_bytes(bytes), s = read_bytes(nifti(STRAIGHT, false));
    for (unsigned i = 0; i < 3; i++) {
        assert_near(q.origin[i], s.origin[i], 1e-6);
        assert_near(q.grid.spacing[i], s.grid.spacing[i], 1e-6);
        for (unsigned k = 0; k < 3; k++) assert_near(q.axis[i][k], s.axis[i][k], 1e-6);
    }
}

static void test_damaged_nifti_is_refused(void **state) {
    (void)state;
    struct mask m;
    struct rng r;
    rng_seed(&r, 4);
    struct str good = nifti(STRAIGHT, false);
    for (size_t n = 0; n < good.n; n += 7) assert_false(mask_read(&arena, str_sub(good, 0, n), &m, &why));
    for (unsigned i = 0; i < 3000; i++) { // never more than an error
        struct arena_mark mark = arena_mark(&arena);
        struct str bytes = nifti(STRAIGHT, false);
        ((char *)(uintptr_t)bytes.p)[rng_below(&r, 352)] = (char)rng_u64(&r);
        mask_read(&arena, bytes, &m, &why);
        arena_rewind(&arena, mark);
    }
}

// ---- one grid ----

static size_t differences(const struct mask *a, const struct mask *b) {
    size_t n = 0;
    for (size_t i = 0; i < seg_voxels(&a->grid); i++) n += a->labels[i] != b->labels[i];
    return n;
}

static void test_axes_in_another_order_and_direction_come_onto_one_grid(void **state) {
    (void)state;
    // the same voxels written with the first axis towards the right: x runs backwards
    struct str turned = nifti((const float[3][4]){{2, 0, 0, 24}, {0, -2, 0, 40}, {0, 0, 5, -10}}, false);
    uint8_t *p = (uint8_t *)(uintptr_t)turned.p + 352;
    for (unsigned row = 0; row < 6; row++) {
        for (unsigned x = 0; x < 4; x++) p[4 * row + x] = (uint8_t)(4 * row + 3 - x + 1);
    }
    struct mask a = read_bytes(nifti(STRAIGHT, false)), b = read_bytes(turned);
    assert_true(differences(&a, &b) > 0);
    assert_true(mask_align(&arena, &a, &b, &why));
    assert_int_equal(differences(&a, &b), 0);
}

static void test_extents_that_differ_are_joined(void **state) {
    (void)state;
    // one slice further to the head and two columns to the right
    struct mask a = read_bytes(nifti(STRAIGHT, false)), b = read_bytes(nifti((const float[3][4]){{-2, 0, 0, 34}, {0, -2, 0, 40}, {0, 0, 5, -5}}, false));
    assert_true(mask_align(&arena, &a, &b, &why));
    assert_true(a.grid.n[0] == 3 && a.grid.n[1] == 3 && a.grid.n[2] == 6);
    assert_int_equal(a.labels[2], 1);      // moved by two columns
    assert_int_equal(b.labels[1 * 18], 1); // by one slice
    assert_int_equal(a.labels[2 * 18], 0);
    assert_int_equal(memcmp(a.grid.n, b.grid.n, sizeof a.grid.n), 0);
}

static void test_grids_that_do_not_meet_are_refused(void **state) {
    (void)state;
    static const float BAD[][3][4] = {
        {{-2, 0, 0, 31}, {0, -2, 0, 40}, {0, 0, 5, -10}},                // half a voxel
        {{-2.1F, 0, 0, 30}, {0, -2, 0, 40}, {0, 0, 5, -10}},             // another spacing
        {{-1.9F, 0.62F, 0, 30}, {-0.62F, -1.9F, 0, 40}, {0, 0, 5, -10}}, // at an angle
        {{-2, 0, 0, 3e5F}, {0, -2, 0, 40}, {0, 0, 5, -10}},              // far away
    };
    for (unsigned i = 0; i < 4; i++) {
        struct mask a = read_bytes(nifti(STRAIGHT, false)), b = read_bytes(nifti(BAD[i], false));
        assert_false(mask_align(&arena, &a, &b, &why));
    }
    const uint8_t four[4] = {0};
    struct mask a = read_bytes(nifti(STRAIGHT, false)), b = read_bytes(npy("|u1", "False", "(2, 2)", four, 4));
    assert_false(mask_align(&arena, &a, &b, &why));
    assert_non_null(strstr(why.message, "shapes differ"));
}

static void test_an_array_takes_the_spacing_of_the_other_file(void **state) {
    (void)state;
    uint8_t data[24] = {0};
    struct mask a = read_bytes(npy("|u1", "False", "(2, 3, 4)", data, 24)), b = read_bytes(nifti(STRAIGHT, false));
    assert_true(mask_align(&arena, &a, &b, &why));
    assert_near(a.grid.spacing[0], 5, 1e-6);
}

// ---- DICOM segmentations ----

enum { ROWS = 3, COLUMNS = 4 };

static void put_group(struct dcm_dataset *item, uint32_t macro, uint32_t tag, uint16_t vr, const double *values, unsigned n) {
    struct dcm_dataset *group = dcm_put_item(item, macro, &why);
    assert_non_null(group);
    assert_true(vr == DCM_VR_US ? dcm_put_int(group, tag, (int64_t)values[0], &why) : dcm_put_doubles(group, tag, vr, values, n, &why));
}

// Frames at z, of segments; one bit a pixel.
static struct dcm_object segmentation(unsigned frames, const double *z, const unsigned *segment, const uint8_t *bits, size_t n) {
    struct dcm_dataset *ds = dcm_dataset_new(&arena, &why);
    bool ok = dcm_putz(ds, DCM_SOPClassUID, DCM_UID_SegmentationStorage, &why) && dcm_putz(ds, DCM_SegmentationType, "BINARY", &why) &&
              dcm_putz(ds, DCM_PhotometricInterpretation, "MONOCHROME2", &why) && dcm_put_int(ds, DCM_Rows, ROWS, &why) &&
              dcm_put_int(ds, DCM_Columns, COLUMNS, &why) && dcm_put_int(ds, DCM_NumberOfFrames, frames, &why) &&
              dcm_put_int(ds, DCM_SamplesPerPixel, 1, &why) && dcm_put_int(ds, DCM_BitsAllocated, 1, &why) && dcm_put_int(ds, DCM_BitsStored, 1, &why) &&
              dcm_put_int(ds, DCM_HighBit, 0, &why) && dcm_put_int(ds, DCM_PixelRepresentation, 0, &why) &&
              dcm_put_bytes(ds, DCM_PixelData, DCM_VR_OB, bits, n, &why);
    assert_true(ok);
    struct dcm_dataset *shared = dcm_put_item(ds, DCM_SharedFunctionalGroupsSequence, &why);
    put_group(shared, DCM_PlaneOrientationSequence, DCM_ImageOrientationPatient, DCM_VR_DS, (const double[6]){1, 0, 0, 0, 1, 0}, 6);
    put_group(shared, DCM_PixelMeasuresSequence, DCM_PixelSpacing, DCM_VR_DS, (const double[2]){2, 2}, 2);
    assert_true(dcm_put_double((struct dcm_dataset *)(uintptr_t)dcm_item(shared, DCM_PixelMeasuresSequence, 0), DCM_SliceThickness, 5, &why));
    for (unsigned f = 0; f < frames; f++) {
        struct dcm_dataset *item = dcm_put_item(ds, DCM_PerFrameFunctionalGroupsSequence, &why);
        put_group(item, DCM_PlanePositionSequence, DCM_ImagePositionPatient, DCM_VR_DS, (const double[3]){-30, -40, z[f]}, 3);
        put_group(item, DCM_SegmentIdentificationSequence, DCM_ReferencedSegmentNumber, DCM_VR_US, (const double[1]){segment[f]}, 1);
    }
    return (struct dcm_object){.dataset = ds};
}

static void test_frames_of_a_segmentation_are_laid_by_their_places(void **state) {
    (void)state;
    // 12 bits a frame, least significant first: frame 1 at z = 0 (segment 2), frame 2 at z = -10 (segment 1): a slice between them is empty
    static const uint8_t BITS[4] = {0x03, 0x10, 0x80, 0};
    struct dcm_object o = segmentation(2, (const double[]){0, -10}, (const unsigned[]){2, 1}, BITS, 4);
    // with SliceThickness alone, the distance is the least between two frames
    struct mask m;
    if (!mask_read_seg(&arena, &o, NULL, 0, &m, &why)) fail_msg("%s", why.message);
    assert_true(m.grid.n[0] == 2 && m.grid.n[1] == ROWS && m.grid.n[2] == COLUMNS);
    assert_near(m.grid.spacing[0], 10, 1e-9);
    assert_near(m.origin[2], -10, 1e-9);
    assert_int_equal(m.labels[0], 1);      // bit 12
    assert_int_equal(m.labels[11], 1);     // bit 23
    assert_int_equal(m.labels[12 + 0], 2); // bits 0 and 1 of the first frame
    assert_int_equal(m.labels[12 + 1], 2);
    assert_int_equal(m.labels[12 + 2], 0);
}

static void test_segments_that_overlap_are_asked_for_one_by_one(void **state) {
    (void)state;
    static const uint8_t BITS[4] = {0x03, 0x10, 0, 0};
    struct dcm_object o = segmentation(2, (const double[]){0, 0}, (const unsigned[]){1, 2}, BITS, 4);
    struct mask m;
    assert_false(mask_read_seg(&arena, &o, NULL, 0, &m, &why));
    assert_non_null(strstr(why.message, "segments 1 and 2 overlap"));
    assert_true(mask_read_seg(&arena, &o, NULL, 1, &m, &why));
    assert_true(m.labels[0] == 1 && m.labels[1] == 1);
    assert_true(mask_read_seg(&arena, &o, NULL, 2, &m, &why));
    assert_true(m.labels[0] == 2 && m.labels[1] == 0);
}

static void test_a_segmentation_meets_nifti_of_the_same_place(void **state) {
    (void)state;
    static const uint8_t BITS[4] = {0x01, 0x00, 0, 0};
    struct dcm_object o = segmentation(1, (const double[]){-5}, (const unsigned[]){7}, BITS, 2);
    struct mask seg, volume = read_bytes(nifti(STRAIGHT, false));
    assert_true(mask_read_seg(&arena, &o, NULL, 0, &seg, &why));
    if (!mask_align(&arena, &volume, &seg, &why)) fail_msg("%s", why.message);
    assert_true(seg.grid.n[0] == 2);
    assert_int_equal(seg.labels[12], 7); // the second slice of the volume
    assert_int_equal(seg.labels[0], 0);
}

static void test_other_objects_are_no_segmentations(void **state) {
    (void)state;
    struct mask m;
    struct dcm_object o = {.dataset = dcm_dataset_new(&arena, &why)};
    assert_true(dcm_putz(o.dataset, DCM_SOPClassUID, DCM_UID_CTImageStorage, &why));
    assert_false(mask_read_seg(&arena, &o, NULL, 0, &m, &why));
    assert_non_null(strstr(why.message, "no segmentation"));
    assert_false(mask_read_seg(&arena, &(struct dcm_object){0}, NULL, 0, &m, &why));
}

// Objects of dcmqi, dcmjs, highdicom and others; the figures are the voxels that pydicom 2.3 counts in their frames.
static const struct {
    const char *path;
    unsigned segment;
    size_t inside;
} OBJECTS[] = {
    {"Enet4__dicom-test-files/pydicom/liver_expb.dcm", 0, 107098}, // big endian
    {"pydicom__pydicom-data/liver_j2k.dcm", 0, 107098},
    {"ImagingDataCommons__highdicom/test_files/seg_image_ct_binary_single_frame.dcm", 0, 1832},
    {"ImagingDataCommons__highdicom/test_files/seg_image_ct_binary_fractional.dcm", 0, 638},
    {"ImagingDataCommons__highdicom/test_files/seg_image_ct_true_fractional.dcm", 0, 638}, // 661 above 0
    {"QIICR__dcmqi/sr-example/seg.dcm", 0, 795},
    {"oncoray__mirp/dce_seg_br06/1-1.dcm", 0, 82527},
};

static void read_object(const char *path, unsigned segment, size_t inside) {
    char whole[1000];
    snprintf(whole, sizeof whole, "%s/%s", DATA, path);
    FILE *f = fopen(whole, "rb");
    if (!f) fail_msg("%s is not there", whole);
    char *bytes = arena_alloc(&arena, 1 << 24, &why);
    struct str text = {bytes, bytes ? fread(bytes, 1, 1 << 24, f) : 0};
    fclose(f);
    struct dcm_object o;
    struct dcm_source source = dcm_source_memory(&text);
    struct mask m = {0};
    if (!dcm_read_memory(&arena, text.p, text.n, NULL, DCM_STOP_NOWHERE, &o, &why) || !mask_read_seg(&arena, &o, &source, segment, &m, &why))
        fail_msg("%s: %s", path, why.message);
    size_t n = 0;
    for (size_t i = 0; i < seg_voxels(&m.grid); i++) n += m.labels[i] != 0;
    if (n != inside) fail_msg("%s: %zu voxels, not %zu", path, n, inside);
}

static void test_segmentations_of_other_programs_are_read(void **state) {
    (void)state;
    char path[1000];
    snprintf(path, sizeof path, "%s/index.tsv", DATA ? DATA : "");
    FILE *f = fopen(path, "r");
    if (!f) skip();
    fclose(f);
    for (size_t i = 0; i < sizeof OBJECTS / sizeof *OBJECTS; i++) {
        struct arena_mark mark = arena_mark(&arena);
        read_object(OBJECTS[i].path, OBJECTS[i].segment, OBJECTS[i].inside);
        arena_rewind(&arena, mark);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) DATA = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays_of_every_type_and_order_are_one_mask),
        cmocka_unit_test(test_arrays_that_are_no_masks_are_refused),
        cmocka_unit_test(test_nifti_tells_where_its_voxels_lie),
        cmocka_unit_test(test_gzip_is_taken_off),
        cmocka_unit_test(test_qform_and_sform_agree),
        cmocka_unit_test(test_damaged_nifti_is_refused),
        cmocka_unit_test(test_axes_in_another_order_and_direction_come_onto_one_grid),
        cmocka_unit_test(test_extents_that_differ_are_joined),
        cmocka_unit_test(test_grids_that_do_not_meet_are_refused),
        cmocka_unit_test(test_an_array_takes_the_spacing_of_the_other_file),
        cmocka_unit_test(test_frames_of_a_segmentation_are_laid_by_their_places),
        cmocka_unit_test(test_segments_that_overlap_are_asked_for_one_by_one),
        cmocka_unit_test(test_a_segmentation_meets_nifti_of_the_same_place),
        cmocka_unit_test(test_other_objects_are_no_segmentations),
        cmocka_unit_test(test_segmentations_of_other_programs_are_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
