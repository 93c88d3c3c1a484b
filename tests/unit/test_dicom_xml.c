// Behaviour of the Native DICOM Model's writer and reader (PS3.19 A.1).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>

#include "dicom/xml.h"

#define DOCUMENT(inside) "<?xml version=\"1.0\"?><NativeDicomModel xmlns=\"" DCM_XML_NAMESPACE "\">" inside "</NativeDicomModel>"

static struct arena arena;
static struct err err;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 64 * 1024 * 1024);
    err = (struct err){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static struct dcm_dataset *read_xml(const char *text) {
    struct dcm_dataset *ds;
    if (!dcm_xml_read(&arena, str_of(text), NULL, NULL, &ds, &err)) fail_msg("%s", err.message);
    return ds;
}

static struct str write_xml(const struct dcm_dataset *ds) {
    struct buf b;
    struct str out;
    buf_init(&b, 1 << 20);
    assert_true(dcm_xml_write(ds, &(struct dcm_json_options){0}, &arena, &b, &err) && buf_ok(&b, &err));
    assert_true(arena_dup(&arena, buf_str(&b), &out, NULL));
    buf_deinit(&b);
    return out;
}

static bool has(struct str text, const char *part) {
    return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

// The name of the example in PS3.5 H.3.1.
static void names_go_by_groups_and_components(void **state) {
    (void)state;
    const struct dcm_dataset *ds =
        read_xml(DOCUMENT("<DicomAttribute tag=\"00100010\" vr=\"PN\"><PersonName "
                          "number=\"1\"><Alphabetic><FamilyName>Yamada</FamilyName><GivenName>Tarou</GivenName></Alphabetic>"
                          "<Ideographic><FamilyName>山田</FamilyName><GivenName>太郎</GivenName></Ideographic></PersonName></DicomAttribute>"));
    assert_true(str_eqz(dcm_text(ds, DCM_PatientName), "Yamada^Tarou=山田^太郎"));
    assert_true(str_eqz(dcm_text(ds, DCM_SpecificCharacterSet), "ISO_IR 192"));
    struct str text = write_xml(ds);
    assert_true(has(text, "<Ideographic><FamilyName>山田</FamilyName><GivenName>太郎</GivenName></Ideographic>"));
    assert_true(has(text, "keyword=\"PatientName\""));
}

static void values_keep_their_places(void **state) {
    (void)state;
    const struct dcm_dataset *ds =
        read_xml(DOCUMENT("<DicomAttribute tag=\"00080008\" vr=\"CS\"><Value number=\"1\">ORIGINAL</Value><Value number=\"4\">AXIAL</Value></DicomAttribute>"
                          "<DicomAttribute tag=\"00280009\" vr=\"AT\"><Value number=\"1\">00181063</Value></DicomAttribute>"
                          "<DicomAttribute tag=\"00280010\" vr=\"US\"><Value number=\"1\">512</Value></DicomAttribute>"));
    int64_t rows;
    assert_true(str_eqz(dcm_text(ds, DCM_ImageType), "ORIGINAL\\\\\\AXIAL"));
    assert_true(dcm_i64(ds, DCM_Rows, 0, &rows) && rows == 512);
    assert_true(has(write_xml(ds), "<Value number=\"1\">00181063</Value>"));
}

static void private_attributes_find_the_block_of_their_creator(void **state) {
    (void)state;
    const struct dcm_dataset *ds =
        read_xml(DOCUMENT("<DicomAttribute tag=\"00090002\" vr=\"SH\" privateCreator=\"OURS\"><Value number=\"1\">x</Value></DicomAttribute>"
                          "<DicomAttribute tag=\"00090010\" vr=\"LO\"><Value number=\"1\">THEIRS</Value></DicomAttribute>"));
    assert_true(str_eqz(dcm_text(ds, 0x00090010), "THEIRS") && str_eqz(dcm_text(ds, 0x00090011), "OURS"));
    assert_true(str_eqz(dcm_text(ds, 0x00091102), "x"));
    assert_true(has(write_xml(ds), "tag=\"00090002\" vr=\"SH\" privateCreator=\"OURS\""));
}

static struct str bulk_uri;
static void on_bulk(void *ctx, struct dcm_dataset *ds, uint32_t tag, struct str uri) {
    assert_ptr_equal(ctx, &bulk_uri);
    assert_non_null(dcm_find(ds, tag));
    assert_true(arena_dup(&arena, uri, &bulk_uri, NULL));
}

static void bulk_data_is_told_also_inside_items(void **state) {
    (void)state;
    struct dcm_dataset *ds;
    const char *text = DOCUMENT(
        "<DicomAttribute tag=\"54000100\" vr=\"SQ\"><Item number=\"1\"><DicomAttribute tag=\"54001010\" vr=\"OW\"><BulkData uri=\"w/1\"/></DicomAttribute>"
        "</Item></DicomAttribute>");
    assert_true(dcm_xml_read(&arena, str_of(text), on_bulk, &bulk_uri, &ds, &err));
    assert_true(str_eqz(bulk_uri, "w/1"));
    assert_non_null(dcm_item(ds, 0x54000100, 0));
}

static void what_is_no_model_is_refused_with_the_reason(void **state) {
    (void)state;
    static const char *const BAD[][2] = {
        {"<html/>", "html"},
        {"<NativeDicomModel>", "line 1"},
        {"<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><NativeDicomModel>&b;</NativeDicomModel>", "line 1"},
        {DOCUMENT("<DicomAttribute tag=\"1234\" vr=\"CS\"/>"), "1234"},
        {DOCUMENT("<DicomAttribute tag=\"00100020\" vr=\"XX\"/>"), "(0010,0020)"},
        {DOCUMENT("<DicomAttribute tag=\"00100020\" vr=\"LO\"/><DicomAttribute tag=\"00100020\" vr=\"LO\"/>"), "twice"},
        {DOCUMENT("<DicomAttribute tag=\"00280010\" vr=\"US\"><Value number=\"1\">70000</Value></DicomAttribute>"), "(0028,0010)"},
        {DOCUMENT("<DicomAttribute tag=\"00280010\" vr=\"US\"><Value number=\"1\">many</Value></DicomAttribute>"), "(0028,0010)"},
        {DOCUMENT("<DicomAttribute tag=\"00080008\" vr=\"CS\"><Value number=\"2\">A</Value><Value number=\"1\">B</Value></DicomAttribute>"), "numbers"},
        {DOCUMENT("<DicomAttribute tag=\"00100020\" vr=\"LO\"><Value number=\"1\">a\\b</Value></DicomAttribute>"), "backslash"},
        {DOCUMENT("<DicomAttribute tag=\"FFFEE000\" vr=\"UN\"/>"), "(FFFE,E000)"},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct dcm_dataset *ds;
        err = (struct err){0};
        if (dcm_xml_read(&arena, str_of(BAD[i][0]), NULL, NULL, &ds, &err)) fail_msg("%s is taken", BAD[i][0]);
        assert_int_equal(err.kind, ERR_BAD_INPUT);
        if (!strstr(err.message, BAD[i][1])) fail_msg("'%s' does not say %s", err.message, BAD[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_go_by_groups_and_components, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_keep_their_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(private_attributes_find_the_block_of_their_creator, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bulk_data_is_told_also_inside_items, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_model_is_refused_with_the_reason, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
