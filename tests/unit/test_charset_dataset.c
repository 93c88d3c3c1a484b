// Behaviour of whole data sets between character sets: what an asker gets, and the repaired copy in UTF-8.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>

#include "dicom/charset.h"
#include "dicom/vr.h"

static int setup(void **state) {
    static struct arena a;
    arena_init(&a, 1 << 20);
    *state = &a;
    return 0;
}

static int teardown(void **state) {
    arena_deinit(*state);
    return 0;
}

static struct dcm_dataset *answer(struct arena *a, const char *name) {
    struct dcm_dataset *ds = dcm_dataset_new(a, NULL);
    assert_true(dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 192", NULL));
    assert_true(dcm_putz(ds, DCM_PatientName, name, NULL));
    assert_true(dcm_putz(ds, DCM_PatientID, "1", NULL));
    struct dcm_dataset *item = dcm_put_item(ds, DCM_RequestAttributesSequence, NULL);
    assert_true(dcm_putz(item, DCM_RequestedProcedureDescription, name, NULL));
    return ds;
}

static void expect_answer(struct arena *a, const char *asker, const char *name, const char *charset, const char *bytes) {
    struct dcm_dataset *out;
    assert_true(dcm_dataset_for_asker(a, answer(a, name), str_of(asker), &out, NULL));
    struct str declared = dcm_text(out, DCM_SpecificCharacterSet), got = dcm_text(out, DCM_PatientName);
    if (!str_eqz(declared, charset) || !str_eqz(got, bytes)) fail_msg("%s asked in '%s': declared '%.*s'", name, asker, STR_FMT(declared));
    assert_true(str_eqz(dcm_text(out, DCM_PatientID), "1"));
    assert_null(dcm_find(dcm_item(out, DCM_RequestAttributesSequence, 0), DCM_SpecificCharacterSet));
    for (uint32_t i = 0; i < out->count; i++) assert_true(out->elements[i].length % 2 == 0);
}

static void an_asker_gets_its_own_set_when_everything_fits(void **state) {
    expect_answer(*state, "ISO_IR 100", "Müller^Jürgen", "ISO_IR 100", "M\xfcller^J\xfcrgen");
    expect_answer(*state, "GB18030", "王^小东", "GB18030", "\xcd\xf5^\xd0\xa1\xb6\xab");
    expect_answer(*state, "ISO 2022 IR 6\\ISO2022 IR 58", "王^小东", "ISO 2022 IR 6\\ISO 2022 IR 58", "\x1b$)A\xcd\xf5^\x1b$)A\xd0\xa1\xb6\xab");
    expect_answer(*state, "ISO_IR 192", "王^小东", "ISO_IR 192", "王^小东");
    expect_answer(*state, "", "Smith^John", "", "Smith^John");
}

static void what_does_not_fit_comes_in_utf8_and_says_so(void **state) {
    expect_answer(*state, "ISO_IR 100", "王^小东", "ISO_IR 192", "王^小东");
    expect_answer(*state, "", "Müller", "ISO_IR 192", "Müller");
    expect_answer(*state, "NO SUCH SET", "Müller", "ISO_IR 192", "Müller");
    expect_answer(*state, "NO SUCH SET", "Miller", "", "Miller");
}

static void the_utf8_copy_is_repaired_and_in_little_endian(void **state) {
    struct arena *a = *state;
    struct dcm_dataset *ds = dcm_dataset_new(a, NULL), *out;
    unsigned flags;
    ds->big_endian = true;
    assert_true(dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 100", NULL));
    assert_true(dcm_put_text(ds, DCM_PatientName, DCM_VR_PN, STR_LIT("\xcd\xf5^\xd0\xa1\xb6\xab"), NULL));
    assert_true(dcm_put_int(ds, DCM_Rows, 513, NULL));
    struct dcm_dataset *item = dcm_put_item(ds, DCM_RequestAttributesSequence, NULL);
    assert_true(dcm_putz(item, DCM_SpecificCharacterSet, "ISO_IR 144", NULL));
    assert_true(dcm_put_text(item, DCM_RequestedProcedureDescription, DCM_VR_LO, STR_LIT("\xb8\xd2\xd0\xdd"), NULL));
    assert_true(dcm_dataset_to_utf8(a, ds, true, &out, &flags, NULL));
    assert_int_equal(flags, DCM_DECODE_DETECTED);
    assert_true(str_eqz(dcm_text(out, DCM_PatientName), "王^小东"));
    assert_true(str_eqz(dcm_text(dcm_item(out, DCM_RequestAttributesSequence, 0), DCM_RequestedProcedureDescription), "Иван"));
    assert_true(str_eqz(dcm_text(out, DCM_SpecificCharacterSet), "ISO_IR 192"));
    int64_t rows;
    assert_true(!out->big_endian && dcm_i64(out, DCM_Rows, 0, &rows) && rows == 513);
    struct str text;
    assert_true(dcm_text_utf8(a, ds, DCM_PatientName, false, &text, &flags, NULL));
    assert_true(str_eqz(text, "Íõ^Ð¡¶«"));
    assert_true(dcm_text_utf8(a, ds, DCM_StudyDescription, true, &text, &flags, NULL));
    assert_null(text.p);
}

static void a_copy_can_grow_without_touching_the_original(void **state) {
    struct dcm_dataset *ds = answer(*state, "王^小东"), *out;
    unsigned flags;
    for (int i = 0; i < 2; i++) assert_non_null(dcm_put_item(ds, DCM_RequestAttributesSequence, NULL));
    assert_true(dcm_dataset_to_utf8(*state, ds, true, &out, &flags, NULL));
    for (int i = 0; i < 40; i++) {
        struct dcm_dataset *item = dcm_put_item(out, DCM_RequestAttributesSequence, NULL);
        assert_true(item && dcm_putz(out, DCM_PatientName, "x", NULL) && dcm_putz(item, DCM_RequestedProcedureID, "1", NULL));
    }
    assert_int_equal(dcm_vm(ds, DCM_RequestAttributesSequence), 3);
    assert_int_equal(dcm_vm(out, DCM_RequestAttributesSequence), 43);
    assert_true(str_eqz(dcm_text(ds, DCM_PatientName), "王^小东"));
}

static void plain_data_sets_declare_nothing(void **state) {
    struct dcm_dataset *ds = dcm_dataset_new(*state, NULL), *out;
    unsigned flags;
    assert_true(dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 100", NULL));
    assert_true(dcm_putz(ds, DCM_PatientName, "Smith^John", NULL));
    assert_true(dcm_dataset_to_utf8(*state, ds, true, &out, &flags, NULL));
    assert_null(dcm_find(out, DCM_SpecificCharacterSet));
    assert_int_equal(flags, DCM_DECODE_CLEAN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_asker_gets_its_own_set_when_everything_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_comes_in_utf8_and_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(the_utf8_copy_is_repaired_and_in_little_endian, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_can_grow_without_touching_the_original, setup, teardown),
        cmocka_unit_test_setup_teardown(plain_data_sets_declare_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
