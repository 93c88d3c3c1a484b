// The dictionary, the UID registry, transfer syntaxes and VRs answer as PS3.6 and PS3.5 say.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dicom/dict.h"
#include "dicom/tags.h"
#include "dicom/uid.h"
#include "dicom/uids.h"
#include "dicom/vr.h"

static void attributes_are_found_by_tag_and_by_keyword(void **state) {
    (void)state;
    const struct dcm_dict_entry *e = dcm_dict_find(DCM_PatientName);
    assert_non_null(e);
    assert_string_equal(e->keyword, "PatientName");
    assert_string_equal(e->name, "Patient's Name");
    assert_int_equal(e->vr[0], DCM_VR_PN);
    assert_int_equal(e->vm_min, 1);
    assert_int_equal(e->vm_max, 1);
    assert_ptr_equal(dcm_dict_find_keyword(STR_LIT("PatientName")), e);
    assert_null(dcm_dict_find_keyword(STR_LIT("patientname")));
    assert_null(dcm_dict_find(0x00100011));
    e = dcm_dict_find(DCM_SmallestImagePixelValue);
    assert_int_equal(e->vr[0], DCM_VR_US);
    assert_int_equal(e->vr[1], DCM_VR_SS);
    assert_int_equal(e->vr[2], DCM_VR_NONE);
    e = dcm_dict_find(DCM_ContourData);
    assert_int_equal(e->vm_min, 3);
    assert_int_equal(e->vm_max, 0);
    assert_int_equal(e->vm_step, 3);
    assert_int_equal(dcm_dict_find(DCM_ExtendedOffsetTable)->vr[0], DCM_VR_OV);
    assert_int_equal(dcm_dict_find(DCM_AffectedSOPClassUID)->vr[0], DCM_VR_UI);
}

static void repeating_groups_and_group_lengths_have_entries(void **state) {
    (void)state;
    assert_string_equal(dcm_dict_find(0x60023000)->keyword, "OverlayData");
    assert_string_equal(dcm_dict_find(0x50FE3000)->keyword, "CurveData");
    assert_null(dcm_dict_find(0x60033000)); // odd: private
    assert_int_equal(dcm_dict_find(0x00080000)->vr[0], DCM_VR_UL);
    assert_int_equal(dcm_dict_find(0x00290000)->vr[0], DCM_VR_UL);
    assert_string_equal(dcm_dict_find(0x00020000)->keyword, "FileMetaInformationGroupLength");
    assert_string_equal(dcm_dict_find(DCM_PixelData)->keyword, "PixelData");
}

static void private_attributes_are_found_by_creator_in_any_block(void **state) {
    (void)state;
    const struct dcm_dict_entry *e = dcm_dict_find_private(STR_LIT("SIEMENS CSA HEADER"), 0x00291010);
    assert_non_null(e);
    assert_int_equal(e->vr[0], DCM_VR_OB);
    assert_string_equal(e->name, "CSA Image Header Info");
    assert_ptr_equal(dcm_dict_find_private(STR_LIT("SIEMENS CSA HEADER"), 0x0029E310), e);
    assert_null(dcm_dict_find_private(STR_LIT("NOBODY"), 0x00291010));
}

static void tags_are_parsed_in_every_usual_form(void **state) {
    (void)state;
    static const char *const forms[] = {"PatientName", "00100010", "0010,0010", "(0010,0010)"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        uint32_t tag = 0;
        assert_true(dcm_tag_parse(str_of(forms[i]), &tag));
        assert_int_equal(tag, DCM_PatientName);
    }
    uint32_t tag = 0;
    assert_false(dcm_tag_parse(STR_LIT("0010:0010"), &tag));
    assert_false(dcm_tag_parse(STR_LIT("(0010,001G)"), &tag));
    assert_false(dcm_tag_parse(STR_LIT(""), &tag));
}

static void uids_are_found_with_their_padding(void **state) {
    (void)state;
    const struct dcm_uid_entry *u = dcm_uid_find((struct str){"1.2.840.10008.5.1.4.1.1.2\0", 26});
    assert_non_null(u);
    assert_string_equal(u->keyword, "CTImageStorage");
    assert_true(u->storage);
    assert_false(u->retired);
    assert_ptr_equal(dcm_uid_find_keyword(STR_LIT("CTImageStorage")), u);
    assert_false(dcm_uid_find(STR_LIT(DCM_UID_Verification))->storage);
    assert_true(dcm_uid_find(STR_LIT(DCM_UID_InventoryStorage))->storage);
    assert_true(dcm_uid_find(STR_LIT("1.2.840.10008.5.1.4.1.1.66.7"))->storage); // Label Map Segmentation, which today's segmenters write
    assert_null(dcm_uid_find(STR_LIT("1.2.3")));
    assert_int_equal(dcm_uid_find(STR_LIT(DCM_UID_JPEGXL))->kind, DCM_UID_TRANSFER_SYNTAX);
}

static void every_registered_transfer_syntax_is_readable(void **state) {
    (void)state;
    size_t n;
    const struct dcm_uid_entry *all = dcm_uid_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (all[i].kind != DCM_UID_TRANSFER_SYNTAX || str_starts(str_of(all[i].uid), STR_LIT("1.2.840.10008.1.2.6."))) continue; // MIME, XML
        const struct dcm_ts *ts = dcm_ts_find(str_of(all[i].uid));
        assert_non_null(ts);
        assert_string_equal(ts->name, all[i].name);
    }
    assert_true(dcm_ts_find(STR_LIT("1.2.840.10008.1.2.8.1"))->encapsulated);
    assert_true(dcm_ts_explicit_be->big_endian);
}

static void uids_are_checked_as_the_standard_wants(void **state) {
    (void)state;
    assert_true(dcm_uid_valid(STR_LIT("1.2.840.10008.1.2"), true));
    assert_true(dcm_uid_valid(STR_LIT("1.0.3"), true));
    assert_false(dcm_uid_valid(STR_LIT("1.02.3"), true));
    assert_true(dcm_uid_valid(STR_LIT("1.02.3"), false));
    assert_false(dcm_uid_valid(STR_LIT(""), false));
    assert_false(dcm_uid_valid(STR_LIT("1..2"), false));
    assert_false(dcm_uid_valid(STR_LIT("1.2."), false));
    assert_false(dcm_uid_valid(STR_LIT("../1.2"), false));
    assert_false(dcm_uid_valid(STR_LIT("1.2345678901234567890123456789012345678901234567890123456789.12345"), false));
}

static void new_uids_are_valid_and_differ(void **state) {
    (void)state;
    char a[65], b[65];
    struct err e = {0};
    assert_true(dcm_uid_make(a, &e));
    assert_true(dcm_uid_make(b, &e));
    assert_true(dcm_uid_valid(str_of(a), true));
    assert_string_not_equal(a, b);
    assert_true(str_starts(str_of(a), STR_LIT("2.25.")));
}

static void vrs_know_their_form(void **state) {
    (void)state;
    assert_true(dcm_vr_find(DCM_VR_UV)->long_length);
    assert_int_equal(dcm_vr_find(DCM_VR_SV)->unit, 8);
    assert_false(dcm_vr_find(DCM_VR_US)->long_length);
    assert_int_equal(dcm_vr_find(DCM_VR_UI)->pad, '\0');
    assert_true(dcm_vr_find(DCM_VR_PN)->charset);
    assert_false(dcm_vr_find(DCM_VR_UR)->charset);
    assert_false(dcm_vr_find(DCM_VR_LT)->multi);
    assert_null(dcm_vr_find(DCM_VR_CODE('Z', 'Z')));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_are_found_by_tag_and_by_keyword),
        cmocka_unit_test(repeating_groups_and_group_lengths_have_entries),
        cmocka_unit_test(private_attributes_are_found_by_creator_in_any_block),
        cmocka_unit_test(tags_are_parsed_in_every_usual_form),
        cmocka_unit_test(uids_are_found_with_their_padding),
        cmocka_unit_test(every_registered_transfer_syntax_is_readable),
        cmocka_unit_test(uids_are_checked_as_the_standard_wants),
        cmocka_unit_test(new_uids_are_valid_and_differ),
        cmocka_unit_test(vrs_know_their_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
