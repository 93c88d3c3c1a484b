// Values of elements as text and numbers, and putting new ones.
#include "dicom_bytes.h"

#include <math.h>

static struct arena arena;
static struct dcm_dataset *ds;
static struct err err;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, TEST_ARENA_BYTES);
    ds = dcm_dataset_new(&arena, &err);
    return ds ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void text_is_padded_and_comes_back_trimmed(void **state) {
    (void)state;
    assert_true(dcm_putz(ds, DCM_PatientID, "ABC", &err));
    assert_true(dcm_putz(ds, DCM_SOPInstanceUID, "1.2.3", &err));
    assert_memory_equal(dcm_find(ds, DCM_PatientID)->value, "ABC ", 4);
    assert_memory_equal(dcm_find(ds, DCM_SOPInstanceUID)->value, "1.2.3\0", 6);
    assert_text(ds, DCM_PatientID, "ABC");
    assert_text(ds, DCM_SOPInstanceUID, "1.2.3");
    assert_true(dcm_put_text(ds, DCM_PatientComments, DCM_VR_NONE, B("  indented  "), &err));
    assert_text(ds, DCM_PatientComments, "  indented"); // LT keeps leading spaces
    assert_true(dcm_put_text(ds, DCM_StudyDescription, DCM_VR_NONE, B("  desc "), &err));
    assert_text(ds, DCM_StudyDescription, "desc");
    assert_null(dcm_text(ds, DCM_PatientName).p);
    assert_true(dcm_put_empty(ds, DCM_PatientName, DCM_VR_NONE, &err));
    assert_non_null(dcm_text(ds, DCM_PatientName).p);
    assert_int_equal(dcm_text(ds, DCM_PatientName).n, 0);
}

static void values_are_split_at_backslashes(void **state) {
    (void)state;
    assert_true(dcm_putz(ds, DCM_ImageType, "ORIGINAL\\ PRIMARY \\\\AXIAL", &err));
    assert_int_equal(dcm_vm(ds, DCM_ImageType), 4);
    assert_true(str_eqz(dcm_text_at(ds, DCM_ImageType, 1), "PRIMARY"));
    assert_int_equal(dcm_text_at(ds, DCM_ImageType, 2).n, 0);
    assert_non_null(dcm_text_at(ds, DCM_ImageType, 2).p);
    assert_true(str_eqz(dcm_text_at(ds, DCM_ImageType, 3), "AXIAL"));
    assert_null(dcm_text_at(ds, DCM_ImageType, 4).p);
    assert_true(dcm_putz(ds, DCM_PatientComments, "a\\b", &err)); // LT has one value
    assert_int_equal(dcm_vm(ds, DCM_PatientComments), 1);
    assert_true(str_eqz(dcm_text_at(ds, DCM_PatientComments, 0), "a\\b"));
}

static void a_backslash_byte_inside_a_character_splits_nothing(void **state) {
    (void)state;
    // GB18030 0x8C5C is U+5DD2's neighbour in GBK's extension area: the second byte is a backslash.
    assert_true(dcm_putz(ds, DCM_SpecificCharacterSet, "GB18030", &err));
    assert_true(dcm_putz(ds, DCM_OtherPatientNames, "\x8C\x5C^A\\\xCD\xF5", &err));
    assert_int_equal(dcm_vm(ds, DCM_OtherPatientNames), 2);
    assert_true(str_eqz(dcm_text_at(ds, DCM_OtherPatientNames, 0), "\x8C\x5C^A"));
    // JIS X 0208 in G0: 0x2D5C between ESC $ B and ESC ( B.
    assert_true(dcm_putz(ds, DCM_SpecificCharacterSet, "\\ISO 2022 IR 87", &err));
    assert_true(dcm_putz(ds, DCM_OtherPatientNames, "A=\x1B$B\x2D\x5C\x1B(B\\C", &err));
    assert_int_equal(dcm_vm(ds, DCM_OtherPatientNames), 2);
    assert_true(str_eqz(dcm_text_at(ds, DCM_OtherPatientNames, 1), "C"));
    // An item is governed by what holds it.
    assert_true(dcm_putz(ds, DCM_SpecificCharacterSet, "GBK", &err));
    struct dcm_dataset *item = dcm_put_item(ds, DCM_RequestAttributesSequence, &err);
    assert_true(dcm_putz(item, DCM_OtherPatientNames, "\x8C\x5C", &err));
    assert_int_equal(dcm_vm(item, DCM_OtherPatientNames), 1);
}

static void numbers_come_from_every_vr_that_carries_them(void **state) {
    (void)state;
    int64_t i = 0;
    double d = 0;
    const int64_t tags[] = {0x00181063, 0x00200013};
    assert_true(dcm_put_int(ds, DCM_InstanceNumber, -12, &err));
    assert_text(ds, DCM_InstanceNumber, "-12");
    assert_true(dcm_i64(ds, DCM_InstanceNumber, 0, &i) && i == -12);
    assert_true(dcm_put_int(ds, DCM_Rows, 65535, &err));
    assert_true(dcm_i64(ds, DCM_Rows, 0, &i) && i == 65535);
    assert_true(dcm_put_ints(ds, DCM_SmallestImagePixelValue, DCM_VR_SS, (int64_t[]){-4}, 1, &err));
    assert_true(dcm_i64(ds, DCM_SmallestImagePixelValue, 0, &i) && i == -4);
    assert_true(dcm_put_ints(ds, DCM_FrameIncrementPointer, DCM_VR_AT, tags, 2, &err));
    assert_true(dcm_i64(ds, DCM_FrameIncrementPointer, 1, &i) && i == 0x00200013);
    assert_int_equal(dcm_vm(ds, DCM_FrameIncrementPointer), 2);
    assert_true(dcm_put_doubles(ds, DCM_PixelSpacing, DCM_VR_NONE, (double[]){0.5, 1.0 / 3}, 2, &err));
    assert_true(dcm_f64(ds, DCM_PixelSpacing, 1, &d) && fabs(d - 1.0 / 3) < 1e-12);
    assert_true(dcm_text_at(ds, DCM_PixelSpacing, 1).n <= 16); // PS3.5 6.2: DS
    assert_true(dcm_put_double(ds, DCM_DiffusionBValue, 1000.5, &err));
    assert_int_equal(dcm_find(ds, DCM_DiffusionBValue)->vr, DCM_VR_FD);
    assert_true(dcm_f64(ds, DCM_DiffusionBValue, 0, &d) && d == 1000.5);
    assert_false(dcm_i64(ds, DCM_DiffusionBValue, 0, &i)); // not whole
    assert_true(dcm_putz(ds, DCM_SliceThickness, "5.0", &err));
    assert_true(dcm_i64(ds, DCM_SliceThickness, 0, &i) && i == 5);
    assert_true(dcm_putz(ds, DCM_SliceThickness, "5 mm", &err));
    assert_false(dcm_f64(ds, DCM_SliceThickness, 0, &d));
    assert_false(dcm_i64(ds, DCM_Rows, 1, &i));
    assert_false(dcm_i64(ds, DCM_Columns, 0, &i));
}

static void numbers_that_do_not_fit_are_refused(void **state) {
    (void)state;
    assert_false(dcm_put_int(ds, DCM_Rows, 65536, &err));
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    assert_false(dcm_put_int(ds, DCM_Rows, -1, &err));
    assert_null(dcm_find(ds, DCM_Rows));
}

static void big_endian_data_sets_hold_big_endian_values(void **state) {
    (void)state;
    ds->big_endian = true;
    int64_t i = 0;
    assert_true(dcm_put_int(ds, DCM_Rows, 0x0102, &err));
    assert_memory_equal(dcm_find(ds, DCM_Rows)->value, "\x01\x02", 2);
    assert_true(dcm_i64(ds, DCM_Rows, 0, &i) && i == 0x0102);
    assert_true(dcm_put_ints(ds, DCM_FrameIncrementPointer, DCM_VR_AT, (int64_t[]){0x00181063}, 1, &err));
    assert_memory_equal(dcm_find(ds, DCM_FrameIncrementPointer)->value, "\x00\x18\x10\x63", 4);
}

static void elements_stay_in_tag_order_and_replace_their_like(void **state) {
    (void)state;
    static const uint32_t tags[] = {DCM_Rows, DCM_PatientName, DCM_StudyDate, DCM_Columns, DCM_PatientName};
    for (size_t k = 0; k < sizeof tags / sizeof tags[0]; k++) assert_true(dcm_put_empty(ds, tags[k], DCM_VR_NONE, &err));
    assert_int_equal(ds->count, 4);
    for (uint32_t k = 1; k < ds->count; k++) assert_true(ds->elements[k - 1].tag < ds->elements[k].tag);
    dcm_remove(ds, DCM_PatientName);
    dcm_remove(ds, DCM_PatientName);
    assert_int_equal(ds->count, 3);
    assert_null(dcm_find(ds, DCM_PatientName));
    assert_non_null(dcm_find(ds, DCM_Columns));
}

static void a_copied_sequence_grows_apart_from_its_origin(void **state) {
    (void)state;
    for (unsigned k = 0; k < 5; k++) assert_true(dcm_putf(dcm_put_item(ds, DCM_RequestAttributesSequence, &err), DCM_AccessionNumber, &err, "A%u", k));
    struct dcm_dataset *copy = dcm_dataset_new(&arena, &err);
    assert_true(dcm_put_element(copy, dcm_find(ds, DCM_RequestAttributesSequence), &err));
    assert_true(dcm_putz(dcm_put_item(copy, DCM_RequestAttributesSequence, &err), DCM_AccessionNumber, "C", &err));
    assert_true(dcm_putz(dcm_put_item(ds, DCM_RequestAttributesSequence, &err), DCM_AccessionNumber, "O", &err));
    assert_int_equal(dcm_vm(ds, DCM_RequestAttributesSequence), 6);
    assert_text(dcm_item(ds, DCM_RequestAttributesSequence, 5), DCM_AccessionNumber, "O");
    assert_text(dcm_item(copy, DCM_RequestAttributesSequence, 5), DCM_AccessionNumber, "C");
    assert_text(dcm_item(copy, DCM_RequestAttributesSequence, 4), DCM_AccessionNumber, "A4");
}

static void the_arena_bounds_what_can_be_put(void **state) {
    (void)state;
    struct arena small;
    arena_init(&small, 2048);
    struct dcm_dataset *little = dcm_dataset_new(&small, &err);
    char text[4096] = {0};
    assert_false(dcm_put_text(little, DCM_PatientComments, DCM_VR_NONE, (struct str){text, sizeof text}, &err));
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    assert_int_equal(little->count, 0);
    arena_deinit(&small);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(text_is_padded_and_comes_back_trimmed),
        T(values_are_split_at_backslashes),
        T(a_backslash_byte_inside_a_character_splits_nothing),
        T(numbers_come_from_every_vr_that_carries_them),
        T(numbers_that_do_not_fit_are_refused),
        T(big_endian_data_sets_hold_big_endian_values),
        T(elements_stay_in_tag_order_and_replace_their_like),
        T(a_copied_sequence_grows_apart_from_its_origin),
        T(the_arena_bounds_what_can_be_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
