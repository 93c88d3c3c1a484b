// The check of objects: each kind of fault is found, named and placed; a good object has none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "dicom/uid.h"
#include "dicom/validate.h"
#include "dicom/write.h"

static struct arena arena, scratch;
static struct buf file;
static struct dcm_dataset *ds;
static struct err err;
static char found[65536];

static bool read_file(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    (void)ctx;
    if (offset + n > file.n) return err_set(e, ERR_IO, "test", "beyond the end");
    memcpy(p, file.p + offset, n);
    return true;
}

static void on_finding(void *ctx, const struct dcm_finding *f) {
    (void)ctx;
    size_t n = strlen(found);
    snprintf(found + n, sizeof found - n, "%s %s %s: %s\n", f->severity == DCM_SEVERITY_ERROR ? "E" : "W", f->code, f->place, f->message);
}

// Reads what is in file and checks it.
static void check_file(void) {
    struct dcm_object o;
    struct dcm_source source = {read_file, NULL};
    struct dcm_validate_options options = {.source = &source, .size = file.n, .report = on_finding};
    found[0] = '\0';
    dcm_read_memory(&arena, file.p, file.n, NULL, DCM_STOP_NOWHERE, &o, &err);
    if (!dcm_validate(&o, &options, &scratch, &err)) fail_msg("%s", err.message);
}

static void write_file(void) {
    buf_clear(&file);
    if (!dcm_write_part10(ds, dcm_ts_explicit_le, NULL, dcm_sink_buf(&file), &err)) fail_msg("%s", err.message);
}

static void check(void) {
    write_file();
    check_file();
}

static void assert_found(const char *line) {
    if (!strstr(found, line)) fail_msg("not found: %s\nbut:\n%s", line, found);
}

// A whole secondary capture image.
static int set_up(void **state) {
    (void)state;
    static const struct {
        uint32_t tag;
        const char *text;
    } TEXTS[] = {{DCM_SOPClassUID, "1.2.840.10008.5.1.4.1.1.7"},
                 {DCM_SOPInstanceUID, "1.2.3.4"},
                 {DCM_StudyDate, "20260228"},
                 {DCM_StudyTime, "120000.5"},
                 {DCM_AccessionNumber, "A1"},
                 {DCM_Modality, "OT"},
                 {DCM_TAG(0x0008, 0x0064), "WSD"},
                 {DCM_ReferringPhysicianName, "Doc^A"},
                 {DCM_PatientName, "Doe^John"},
                 {DCM_PatientID, "1"},
                 {DCM_PatientBirthDate, "20000229"},
                 {DCM_PatientSex, "O"},
                 {DCM_StudyInstanceUID, "1.2.3"},
                 {DCM_SeriesInstanceUID, "1.2.3.1"},
                 {DCM_StudyID, "1"},
                 {DCM_SeriesNumber, "1"},
                 {DCM_InstanceNumber, "1"},
                 {DCM_PhotometricInterpretation, "MONOCHROME2"}};
    static const struct {
        uint32_t tag;
        int64_t value;
    } NUMBERS[] = {{DCM_SamplesPerPixel, 1},    {DCM_Rows, 4}, {DCM_Columns, 4}, {DCM_BitsAllocated, 8}, {DCM_BitsStored, 8}, {DCM_HighBit, 7},
                   {DCM_PixelRepresentation, 0}};
    arena_init(&arena, 1 << 24);
    arena_init(&scratch, 1 << 24);
    buf_init(&file, 1 << 24);
    ds = dcm_dataset_new(&arena, &err);
    for (unsigned i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) dcm_putz(ds, TEXTS[i].tag, TEXTS[i].text, &err);
    for (unsigned i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++) dcm_put_int(ds, NUMBERS[i].tag, NUMBERS[i].value, &err);
    dcm_put_bytes(ds, DCM_PixelData, DCM_VR_OB, "0123456789abcdef", 16, &err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    arena_deinit(&scratch);
    buf_deinit(&file);
    return 0;
}

static void a_good_object_has_no_findings(void **state) {
    (void)state;
    check();
    assert_string_equal(found, "");
}

static void syntax_of_each_vr(void **state) {
    (void)state;
    static const struct {
        uint16_t vr;
        const char *good, *bad; // alternatives separated by blanks
    } CASES[] = {
        {DCM_VR_DA, "20240229 19000101", "20230229 2024 20241301 20240100 2024-01-01 202401011"},
        {DCM_VR_TM, "00 2359 235960 120000.123456", "24 1260 120061 120000. 120000.1234567 1 12000"},
        {DCM_VR_DT, "2024 202402 20240229120000.5+0800 2024-1200", "202413 20240230 20240101250000 20240101+2400 2024+08"},
        {DCM_VR_IS, "0 -1 +2147483647", "1.0 2147483648 - 1e3 0x1"},
        {DCM_VR_DS, "1 -1.5e-10 .5 +3. 1E5", ". 1,5 1e 1e+ -"},
        {DCM_VR_AS, "001D 018M 030Y 004W", "1Y 0030 030y 30Y"},
        {DCM_VR_CS, "ABC_1", "abc A-B"},
        {DCM_VR_UI, "1.2.0.3", "1..2 .1 1. a.b"},
        {DCM_VR_UR, "http://x/y?z#1", "a{b \xE9"},
        {DCM_VR_PN, "A^B^C^D^E A=B=C", "A^B^C^D^E^F A=B=C=D"},
    };
    enum dcm_severity severity;
    for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct str good = str_of(CASES[i].good), bad = str_of(CASES[i].bad);
        while (good.p) {
            struct str v = str_split(&good, ' ');
            if (dcm_value_fault(CASES[i].vr, v, &severity)) fail_msg("%.*s is taken for bad", STR_FMT(v));
        }
        while (bad.p) {
            struct str v = str_split(&bad, ' ');
            if (!dcm_value_fault(CASES[i].vr, v, &severity)) fail_msg("%.*s is taken for good", STR_FMT(v));
        }
    }
}

static void values_are_named_with_their_place(void **state) {
    (void)state;
    dcm_putz(ds, DCM_StudyDate, "20230229", &err);
    struct dcm_dataset *item = dcm_put_item(ds, DCM_TAG(0x0040, 0xA730), &err);
    item = dcm_put_item(ds, DCM_TAG(0x0040, 0xA730), &err);
    dcm_putz(item, DCM_TAG(0x0008, 0x0100), "0123456789ABCDEFG", &err);
    dcm_put_text(ds, DCM_PixelSpacing, DCM_VR_DS, STR_LIT("1\\2\\3"), &err);
    check();
    assert_found("E value-syntax (0008,0020): '20230229' is not a date: YYYYMMDD\n");
    assert_found("E value-too-long (0040,A730)[2].(0008,0100): has 17 characters in '0123456789ABCDEFG'; SH takes 16\n");
    assert_found("E vm (0028,0030): has 3 values; the dictionary asks for 2 to 2\n");
}

static void text_outside_its_character_set_is_named(void **state) {
    (void)state;
    dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 100", &err);
    dcm_put_bytes(ds, DCM_PatientName, DCM_VR_PN, "Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB ", 22, &err);
    dcm_put_bytes(ds, DCM_PatientID, DCM_VR_LO, "a\x07", 2, &err);
    check();
    assert_found("E charset-mislabelled (0010,0010): is not in its declared character set; it reads as 'Wang^XiaoDong=王^小东");
    assert_found("E control-character (0010,0020): has the control character 07\n");
    dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 999", &err);
    check();
    assert_found("E charset-term (0008,0005): 'ISO_IR 999");
}

static void what_the_iod_asks_for_is_missed(void **state) {
    (void)state;
    dcm_remove(ds, DCM_StudyID);
    dcm_put_empty(ds, DCM_Modality, DCM_VR_CS, &err);
    check();
    assert_found("E type-2 (0020,0010): is missing: Type 2 in module general-study\n");
    assert_found("E type-1 (0008,0060): has no value: Type 1 in module general-series\n");
}

static void pixel_data_must_fit_the_image_attributes(void **state) {
    (void)state;
    dcm_put_int(ds, DCM_Rows, 5, &err);
    dcm_put_int(ds, DCM_BitsStored, 12, &err);
    check();
    assert_found("E pixel-length (7FE0,0010): has 16 bytes; the image attributes ask for 20\n");
    assert_found("E image (0028,0101): is 12, more than the 8 allocated\n");
}

static void private_blocks_need_their_creator(void **state) {
    (void)state;
    dcm_put_text(ds, DCM_TAG(0x0009, 0x1001), DCM_VR_LO, STR_LIT("x"), &err);
    dcm_put_text(ds, DCM_TAG(0x0011, 0x0010), DCM_VR_LO, STR_LIT("GANTRY TEST"), &err);
    dcm_put_text(ds, DCM_TAG(0x0011, 0x1001), DCM_VR_LO, STR_LIT("x"), &err);
    dcm_put_text(ds, DCM_TAG(0x0013, 0x0200), DCM_VR_LO, STR_LIT("x"), &err);
    check();
    assert_found("E private-creator (0009,1001): is in a private block without creator: (0009,0010) is missing\n");
    assert_found("E private-number (0013,0200)");
    assert_null(strstr(found, "(0011,"));
}

static void wrong_vr_and_odd_length_show(void **state) {
    (void)state;
    dcm_put_text(ds, DCM_PatientID, DCM_VR_SH, STR_LIT("12"), &err);
    dcm_put_bytes(ds, DCM_PatientSex, DCM_VR_UN, "M ", 2, &err);
    write_file();
    // The value of (0020,0010) "1 " becomes one byte long: what follows moves up.
    char *at = memmem(file.p, file.n, "\x20\x00\x10\x00SH\x02\x00", 8);
    assert_non_null(at);
    at[6] = 1;
    memmove(at + 9, at + 10, (size_t)(file.p + file.n - at - 10));
    file.n--;
    check_file();
    assert_found("E vr-wrong (0010,0020): is SH; the dictionary says LO\n");
    assert_found("W vr-un (0010,0040)");
    assert_found("E length-odd (0020,0010): has an odd length, 1\n");
}

static void order_duplicates_and_group_lengths_are_seen_in_the_bytes(void **state) {
    (void)state;
    dcm_put_int(ds, DCM_TAG(0x0008, 0x0000), 10, &err);
    write_file();
    char *id = memmem(file.p, file.n,
                      "\x10\x00\x40\x00"
                      "CS",
                      6);
    assert_non_null(id);
    id[2] = 0x30; // Patient's Sex becomes a second birth date
    char *series = memmem(file.p, file.n, "\x20\x00\x13\x00IS", 6);
    assert_non_null(series);
    series[2] = 0x01;
    check_file();
    assert_found("E duplicate (0010,0030): stands twice\n");
    assert_found("E order (0020,0001): stands behind (0020,0011): tags shall ascend\n");
    assert_found("E group-length (0008,0000): says 10 bytes;");
}

static void meta_header_is_held_against_the_data_set(void **state) {
    (void)state;
    write_file();
    char *uid = memmem(file.p, file.n, "1.2.3.4", 7);
    assert_non_null(uid);
    uid[6] = '5';
    check_file();
    assert_found("E meta-differs (0002,0003): is '1.2.3.5' but (0008,0018) is '1.2.3.4'\n");
    buf_drop(&file, 132);
    check_file();
    assert_found("E preamble : has no preamble");
}

static void an_object_cut_short_says_so(void **state) {
    (void)state;
    write_file();
    file.n -= 10;
    check_file();
    assert_found("E truncated : ends too early");
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_good_object_has_no_findings),
        T(syntax_of_each_vr),
        T(values_are_named_with_their_place),
        T(text_outside_its_character_set_is_named),
        T(what_the_iod_asks_for_is_missed),
        T(pixel_data_must_fit_the_image_attributes),
        T(private_blocks_need_their_creator),
        T(wrong_vr_and_odd_length_show),
        T(order_duplicates_and_group_lengths_are_seen_in_the_bytes),
        T(meta_header_is_held_against_the_data_set),
        T(an_object_cut_short_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
