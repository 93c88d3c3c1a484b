// DICOM JSON: every VR out as PS3.18 Annex F says, in again as the same data set, and precise errors for what it is not.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "dicom/json.h"
#include "dicom/write.h"

static struct arena arena, scratch;
static struct buf out;
static struct err err;
static struct dcm_dataset *ds;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1 << 24);
    arena_init(&scratch, 1 << 24);
    buf_init(&out, 1 << 24);
    err_clear(&err);
    ds = dcm_dataset_new(&arena, &err);
    return ds ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    arena_deinit(&scratch);
    buf_deinit(&out);
    return 0;
}

static void assert_written(const struct dcm_dataset *from, const struct dcm_json_options *o, const char *expected) {
    buf_clear(&out);
    if (!dcm_json_write(from, o, &scratch, &out, &err)) fail_msg("%s", err.message);
    buf_addc(&out, '\0');
    assert_true(buf_ok(&out, NULL));
    assert_string_equal(out.p, expected);
}

static void assert_json(const char *expected) {
    assert_written(ds, &(struct dcm_json_options){0}, expected);
}

static void put(uint32_t tag, uint16_t vr, const char *bytes, size_t n) {
    assert_true(dcm_put_bytes(ds, tag, vr, bytes, n, &err));
}

static const struct dcm_dataset *read_json(const char *text) {
    struct dcm_dataset *in;
    if (!dcm_json_read(&arena, str_of(text), NULL, NULL, &in, &err)) fail_msg("%s", err.message);
    return in;
}

// ---- out ----

static void decimal_strings_keep_their_digits(void **state) {
    (void)state;
    dcm_put_text(ds, DCM_PixelSpacing, DCM_VR_DS, STR_LIT("+01.50\\.5 \\-0\\1.e3\\1E-05\\ 7"), &err);
    assert_json("{\"00280030\":{\"vr\":\"DS\",\"Value\":[1.50,0.5,-0,1e3,1E-05,7]}}");
}

static void what_is_no_number_stays_a_string(void **state) {
    (void)state;
    dcm_put_text(ds, DCM_PixelSpacing, DCM_VR_DS, STR_LIT("1,5\\-\\1e\\1e999\\nan\\"), &err);
    dcm_put_text(ds, DCM_SeriesNumber, DCM_VR_IS, STR_LIT("4x"), &err);
    assert_json("{\"00200011\":{\"vr\":\"IS\",\"Value\":[\"4x\"]},\"00280030\":{\"vr\":\"DS\",\"Value\":[\"1,5\",\"-\",\"1e\",\"1e999\",\"nan\",null]}}");
}

static void names_are_objects_of_their_groups(void **state) {
    (void)state;
    dcm_put_text(ds, DCM_PatientName, DCM_VR_PN, STR_LIT("Wang^XiaoDong=\xE7\x8E\x8B^\xE5\xB0\x8F\xE4\xB8\x9C\\==p\\\\x"), &err);
    dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 192", &err);
    assert_json("{\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 192\"]},\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"Wang^XiaoDong\","
                "\"Ideographic\":\"王^小东\"},{\"Phonetic\":\"p\"},null,{\"Alphabetic\":\"x\"}]}}");
}

static void empty_values_among_several_are_null_and_empty_elements_have_no_value(void **state) {
    (void)state;
    dcm_put_text(ds, DCM_ImageType, DCM_VR_CS, STR_LIT("A\\\\B\\"), &err);
    dcm_put_empty(ds, DCM_PatientID, DCM_VR_LO, &err);
    dcm_put_empty(ds, DCM_ReferencedImageSequence, DCM_VR_SQ, &err);
    put(DCM_AccessionNumber, DCM_VR_SH, "  ", 2);
    assert_json("{\"00080008\":{\"vr\":\"CS\",\"Value\":[\"A\",null,\"B\",null]},\"00080050\":{\"vr\":\"SH\"},\"00081140\":{\"vr\":\"SQ\"},"
                "\"00100020\":{\"vr\":\"LO\"}}");
}

static void text_without_values_is_not_split(void **state) {
    (void)state;
    dcm_put_text(ds, DCM_ImageComments, DCM_VR_LT, STR_LIT(" a\\b\r\n"), &err);
    assert_json("{\"00204000\":{\"vr\":\"LT\",\"Value\":[\" a\\\\b\\r\\n\"]}}");
}

static void numbers_of_every_binary_vr(void **state) {
    (void)state;
    put(DCM_TAG(0x0028, 0x0010), DCM_VR_US, "\xFF\xFF", 2);
    put(DCM_TAG(0x0028, 0x0106), DCM_VR_SS, "\xFF\xFF\x02\x00", 4);
    put(DCM_TAG(0x0008, 0x1161), DCM_VR_UL, "\xFF\xFF\xFF\xFF", 4);
    put(DCM_TAG(0x0018, 0x6020), DCM_VR_SL, "\xFE\xFF\xFF\xFF", 4);
    put(DCM_TAG(0x0028, 0x0009), DCM_VR_AT, "\x18\x00\x63\x10\xE0\x7F\x10\x00", 8);
    put(DCM_TAG(0x0008, 0x040C), DCM_VR_UV, "\x00\x00\x00\x00\x00\x00\x20\x00\x01\x00\x00\x00\x00\x00\x20\x00", 16);
    put(DCM_TAG(0x0072, 0x0082), DCM_VR_SV, "\x00\x00\x00\x00\x00\x00\x00\x80", 8);
    assert_json("{\"0008040C\":{\"vr\":\"UV\",\"Value\":[9007199254740992,\"9007199254740993\"]},\"00081161\":{\"vr\":\"UL\",\"Value\":[4294967295]},"
                "\"00186020\":{\"vr\":\"SL\",\"Value\":[-2]},\"00280009\":{\"vr\":\"AT\",\"Value\":[\"00181063\",\"7FE00010\"]},"
                "\"00280010\":{\"vr\":\"US\",\"Value\":[65535]},\"00280106\":{\"vr\":\"SS\",\"Value\":[-1,2]},"
                "\"00720082\":{\"vr\":\"SV\",\"Value\":[\"-9223372036854775808\"]}}");
}

static void floats_read_back_as_the_same_bits(void **state) {
    (void)state;
    static const double VALUES[] = {0.1, -0.0, 1.0 / 3, 5e-324, 1.7976931348623157e308, 1e22, 123456789};
    unsigned n = sizeof VALUES / sizeof *VALUES;
    assert_true(dcm_put_doubles(ds, DCM_TAG(0x0018, 0x9219), DCM_VR_FD, VALUES, n, &err));
    assert_true(dcm_json_write(ds, &(struct dcm_json_options){0}, &scratch, &out, &err));
    buf_addc(&out, '\0');
    const struct dcm_dataset *in = read_json(out.p);
    for (unsigned i = 0; i < n; i++) {
        double v;
        assert_true(dcm_f64(in, DCM_TAG(0x0018, 0x9219), i, &v));
        assert_memory_equal(&v, &VALUES[i], sizeof v);
    }
}

static void values_that_json_has_no_number_for_are_strings(void **state) {
    (void)state;
    put(DCM_TAG(0x0018, 0x9219), DCM_VR_FL, "\x00\x00\xC0\x7F\x00\x00\x80\x7F\x00\x00\x80\xFF", 12);
    assert_json("{\"00189219\":{\"vr\":\"FL\",\"Value\":[\"NaN\",\"Infinity\",\"-Infinity\"]}}");
}

static void binary_is_little_endian_whatever_the_object_is(void **state) {
    (void)state;
    ds->big_endian = true;
    put(DCM_PixelData, DCM_VR_OW, "\x01\x02\x03\x04", 4);
    put(DCM_TAG(0x0009, 0x1001), DCM_VR_UN, "\x01\x02", 2);
    put(DCM_TAG(0x0066, 0x0016), DCM_VR_OF, "\x01\x02\x03\x04", 4);
    put(DCM_TAG(0x0028, 0x0010), DCM_VR_US, "\x01\x02", 2);
    assert_json("{\"00091001\":{\"vr\":\"UN\",\"InlineBinary\":\"AQI=\"},\"00280010\":{\"vr\":\"US\",\"Value\":[258]},"
                "\"00660016\":{\"vr\":\"OF\",\"InlineBinary\":\"BAMCAQ==\"},\"7FE00010\":{\"vr\":\"OW\",\"InlineBinary\":\"AgEEAw==\"}}");
}

static void commands_meta_and_group_lengths_are_left_out(void **state) {
    (void)state;
    dcm_put_int(ds, DCM_TAG(0x0008, 0x0000), 10, &err);
    dcm_putz(ds, DCM_TransferSyntaxUID, "1.2.840.10008.1.2", &err);
    dcm_putz(ds, DCM_Modality, "CT", &err);
    assert_json("{\"00080060\":{\"vr\":\"CS\",\"Value\":[\"CT\"]}}");
}

static void items_nest(void **state) {
    (void)state;
    struct dcm_dataset *item = dcm_put_item(ds, DCM_ReferencedImageSequence, &err);
    dcm_putz(item, DCM_ReferencedSOPInstanceUID, "1.2", &err);
    dcm_put_item(ds, DCM_ReferencedImageSequence, &err);
    assert_json("{\"00081140\":{\"vr\":\"SQ\",\"Value\":[{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2\"]}},{}]}}");
}

static bool read_counting(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    (void)ctx, (void)e;
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = (uint8_t)(offset + i);
    return true;
}

static void large_values_become_uris_and_by_reference_ones_are_read_when_inline(void **state) {
    (void)state;
    struct dcm_source source = {read_counting, NULL};
    put(DCM_TAG(0x0009, 0x1001), DCM_VR_OB, "\1\2\3\4", 4);
    struct dcm_dataset *item = dcm_put_item(ds, DCM_ReferencedImageSequence, &err);
    struct dcm_element el = {.tag = DCM_PixelData, .vr = DCM_VR_OB, .flags = DCM_BY_REFERENCE, .length = 4, .offset = 65};
    assert_true(dcm_put_element(item, &el, &err));
    assert_written(ds, &(struct dcm_json_options){.inline_max = 3, .bulk_uri_prefix = "/b"},
                   "{\"00081140\":{\"vr\":\"SQ\",\"Value\":[{\"7FE00010\":{\"vr\":\"OB\",\"BulkDataURI\":\"/b/00081140/1/7FE00010\"}}]},"
                   "\"00091001\":{\"vr\":\"OB\",\"BulkDataURI\":\"/b/00091001\"}}");
    assert_written(ds, &(struct dcm_json_options){.source = &source},
                   "{\"00081140\":{\"vr\":\"SQ\",\"Value\":[{\"7FE00010\":{\"vr\":\"OB\",\"InlineBinary\":\"QUJDRA==\"}}]},"
                   "\"00091001\":{\"vr\":\"OB\",\"InlineBinary\":\"AQIDBA==\"}}");
    assert_written(ds, &(struct dcm_json_options){0},
                   "{\"00081140\":{\"vr\":\"SQ\",\"Value\":[{\"7FE00010\":{\"vr\":\"OB\"}}]},"
                   "\"00091001\":{\"vr\":\"OB\",\"InlineBinary\":\"AQIDBA==\"}}");
}

static bool discard(void *ctx, struct buf *b, struct err *e) {
    (void)e;
    *(uint64_t *)ctx += b->n;
    buf_clear(b);
    return true;
}

static void memory_does_not_grow_with_a_drained_value(void **state) {
    (void)state;
    struct dcm_source source = {read_counting, NULL};
    uint64_t drained = 0;
    struct dcm_element el = {.tag = DCM_PixelData, .vr = DCM_VR_OB, .flags = DCM_BY_REFERENCE, .length = 64 << 20, .offset = 0};
    assert_true(dcm_put_element(ds, &el, &err));
    buf_deinit(&out);
    buf_init(&out, 1 << 20);
    assert_true(dcm_json_write(ds, &(struct dcm_json_options){.source = &source, .drain = discard, .drain_ctx = &drained}, &scratch, &out, &err));
    assert_true(buf_ok(&out, &err));
    assert_true(drained + out.n > (uint64_t)(64 << 20) / 3 * 4);
}

static void repaired_text_is_shown_repaired_and_declared_so(void **state) {
    (void)state;
    dcm_putz(ds, DCM_SpecificCharacterSet, "ISO_IR 100", &err);
    put(DCM_PatientName, DCM_VR_PN, "Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB", 21);
    assert_written(ds, &(struct dcm_json_options){.repair = true},
                   "{\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 192\"]},\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"Wang^XiaoDong\","
                   "\"Ideographic\":\"王^小东\"}]}}");
}

// ---- in ----

static void assert_round_trip(const char *json) {
    assert_written(read_json(json), &(struct dcm_json_options){0}, json);
}

static void what_was_written_reads_back_as_the_same(void **state) {
    (void)state;
    assert_round_trip("{}");
    assert_round_trip("{\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 192\"]},\"00080008\":{\"vr\":\"CS\",\"Value\":[\"A\",null,\"B\"]},"
                      "\"0008040C\":{\"vr\":\"UV\",\"Value\":[\"18446744073709551615\"]},"
                      "\"00081140\":{\"vr\":\"SQ\",\"Value\":[{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2\"]}},{}]},"
                      "\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"A^B\",\"Phonetic\":\"小\"},null]},\"00100020\":{\"vr\":\"LO\"},"
                      "\"00189219\":{\"vr\":\"FD\",\"Value\":[0.1,\"NaN\"]},\"00200011\":{\"vr\":\"IS\",\"Value\":[-3]},\"00280009\":{\"vr\":\"AT\",\"Value\":["
                      "\"00181063\"]},"
                      "\"00280030\":{\"vr\":\"DS\",\"Value\":[1.50,null,0.5]},"
                      "\"7FE00010\":{\"vr\":\"OW\",\"InlineBinary\":\"AgEEAw==\"}}");
}

static void long_decimals_are_shortened_to_sixteen_characters(void **state) {
    (void)state;
    const struct dcm_dataset *in = read_json("{\"00280030\":{\"vr\":\"DS\",\"Value\":[0.30000000000000004,-1.2345678901234567e-100]}}");
    assert_true(str_eqz(dcm_text_at(in, DCM_PixelSpacing, 0), "0.3"));
    assert_true(str_eqz(dcm_text_at(in, DCM_PixelSpacing, 1), "-1.23456789e-100"));
}

static void text_beyond_ascii_is_declared(void **state) {
    (void)state;
    const struct dcm_dataset *in = read_json("{\"00080005\":{\"vr\":\"CS\",\"Value\":[\"GB18030\"]},\"00100020\":{\"vr\":\"LO\",\"Value\":[\"编号\"]}}");
    assert_true(str_eqz(dcm_text(in, DCM_SpecificCharacterSet), "ISO_IR 192"));
}

static uint32_t bulk_tag;
static void on_bulk(void *ctx, struct dcm_dataset *to, uint32_t tag, struct str uri) {
    (void)ctx;
    assert_non_null(dcm_find(to, tag));
    bulk_tag = tag;
    assert_true(str_eqz(uri, "http://x/1"));
}

static void bulk_data_is_reported_and_left_empty(void **state) {
    (void)state;
    struct dcm_dataset *in;
    assert_true(dcm_json_read(&arena, STR_LIT("{\"7FE00010\":{\"vr\":\"OW\",\"BulkDataURI\":\"http://x/1\"}}"), on_bulk, NULL, &in, &err));
    assert_int_equal(bulk_tag, DCM_PixelData);
    assert_int_equal(dcm_find(in, DCM_PixelData)->length, 0);
}

static void errors_say_what_and_where(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"[]", "line 1, column 1: a DICOM JSON data set is an object"},
        {"{\n \"0010001\":{\"vr\":\"LO\"}}", "line 2, column 12: a member's name is no tag"},
        {"{\"00100020\":1}", "(0010,0020) is no object"},
        {"{\"00100020\":{\"vr\":\"XX\"}}", "that DICOM has not"},
        {"{\"00091001\":{\"Value\":[]}}", "has no \"vr\""},
        {"{\"00100020\":{\"vr\":\"LO\",\"Value\":\"x\"}}", "no array"},
        {"{\"00100020\":{\"vr\":\"LO\",\"Value\":[1]}}", "of a kind that its vr does not take"},
        {"{\"00100020\":{\"vr\":\"LO\",\"Value\":[\"a\\\\b\"]}}", "backslash"},
        {"{\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"a=b\"}]}}", "component group"},
        {"{\"00100020\":{\"vr\":\"LO\"},\"00100020\":{\"vr\":\"LO\"}}", "stands twice"},
        {"{\"00280010\":{\"vr\":\"US\",\"Value\":[65536]}}", "within its vr's range"},
        {"{\"00200011\":{\"vr\":\"IS\",\"Value\":[12345678901234]}}", "its vr cannot hold"},
        {"{\"7FE00010\":{\"vr\":\"OW\",\"Value\":[1]}}", "InlineBinary"},
        {"{\"7FE00010\":{\"vr\":\"OW\",\"InlineBinary\":\"A\"}}", "base64"},
        {"{\"00100020\":{\"vr\":\"LO\",\"InlineBinary\":\"AA==\"}}", "does not take"},
        {"{\"00100020\":{\"vr\":\"LO\",\"Value\":[],\"BulkDataURI\":\"x\"}}", "more than one of"},
        {"{\"00081140\":{\"vr\":\"SQ\",\"Value\":[1]}}", "an item that is no object"},
        {"{\"FFFEE000\":{\"vr\":\"LO\"}}", "cannot stand"},
        {"{\"00204000\":{\"vr\":\"LT\",\"Value\":[\"a\",\"b\"]}}", "takes one"},
        {"{\"00100020\":{\"vr\":\"LOX\"}}", "that DICOM has not"},
        {"{\"00100020\":{\"vr\":7}}", "that DICOM has not"},
        {"{\"FFFF0010\":{\"vr\":\"LO\"}}", "cannot stand"},
        {"{\"7FE00010\":{\"vr\":\"OW\",\"BulkDataURI\":7}}", "no string"},
        {"{\"7FE00010\":{\"vr\":\"OW\",\"InlineBinary\":7}}", "no string"},
        {"{\"00081140\":{\"vr\":\"SQ\",\"InlineBinary\":\"AA==\"}}", "does not take"},
        {"{\"00280010\":{\"vr\":\"US\",\"InlineBinary\":\"AA==\"}}", "does not take"},
        {"{\"00280030\":{\"vr\":\"DS\",\"Value\":[123456789012345678e999]}}", "its vr cannot hold"},
        {"{\"00189219\":{\"vr\":\"FD\",\"Value\":[\"x\"]}}", "no number"},
        {"{\"00280009\":{\"vr\":\"AT\",\"Value\":[\"0018106\"]}}", "its vr's range"},
        {"{\"00280009\":{\"vr\":\"AT\",\"Value\":[5]}}", "its vr's range"},
    };
    for (unsigned i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct dcm_dataset *in;
        if (dcm_json_read(&arena, str_of(CASES[i][0]), NULL, NULL, &in, &err)) fail_msg("%s is taken", CASES[i][0]);
        assert_int_equal(err.kind, ERR_BAD_INPUT);
        if (!strstr(err.message, CASES[i][1])) fail_msg("'%s' does not say '%s'", err.message, CASES[i][1]);
    }
}

// PS3.5 6.2: what each VR of whole numbers holds, and one beyond at either end.
static void whole_numbers_keep_to_the_range_of_their_vr(void **state) {
    (void)state;
    static const struct {
        const char *vr, *least, *most, *under, *over;
    } RANGES[] = {
        {"US", "0", "65535", "-1", "65536"},
        {"SS", "-32768", "32767", "-32769", "32768"},
        {"UL", "0", "4294967295", "-1", "4294967296"},
        {"SL", "-2147483648", "2147483647", "-2147483649", "2147483648"},
        {"UV", "0", "\"18446744073709551615\"", "-1", "\"18446744073709551616\""},
        {"SV", "\"-9223372036854775808\"", "\"9223372036854775807\"", "\"-9223372036854775809\"", "\"9223372036854775808\""},
        {"UV", "1", "2", "true", "null"},
    };
    for (size_t i = 0; i < sizeof RANGES / sizeof *RANGES; i++) {
        const char *const values[] = {RANGES[i].least, RANGES[i].most, RANGES[i].under, RANGES[i].over};
        for (unsigned k = 0; k < 4; k++) {
            struct dcm_dataset *in;
            char text[128];
            snprintf(text, sizeof text, "{\"00091001\":{\"vr\":\"%s\",\"Value\":[%s]}}", RANGES[i].vr, values[k]);
            bool taken = dcm_json_read(&arena, str_of(text), NULL, NULL, &in, &err);
            if (taken != (k < 2)) fail_msg("%s: %s", text, taken ? "is taken" : err.message);
        }
    }
}

static void infinities_and_empty_values_read_back(void **state) {
    (void)state;
    const struct dcm_dataset *in =
        read_json("{\"00189219\":{\"vr\":\"FD\",\"Value\":[\"Infinity\",\"-Infinity\"]},\"00091001\":{\"vr\":\"OB\",\"InlineBinary\":\"\"},"
                  "\"00100020\":{\"vr\":\"LO\",\"Value\":[]}}");
    double d;
    assert_true(dcm_f64(in, 0x00189219, 0, &d) && d > 1e308);
    assert_true(dcm_f64(in, 0x00189219, 1, &d) && d < -1e308);
    assert_int_equal(dcm_find(in, 0x00091001)->length, 0);
    assert_int_equal(dcm_find(in, DCM_PatientID)->length, 0);
}

static void deep_nesting_is_refused(void **state) {
    (void)state;
    struct buf b;
    struct dcm_dataset *in;
    buf_init(&b, 1 << 20);
    for (unsigned i = 0; i < 70; i++) buf_addz(&b, "{\"00081140\":{\"vr\":\"SQ\",\"Value\":[");
    for (unsigned i = 0; i < 70; i++) buf_addz(&b, "]}}");
    assert_false(dcm_json_read(&arena, buf_str(&b), NULL, NULL, &in, &err));
    assert_non_null(strstr(err.message, "deeper"));
    buf_deinit(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(decimal_strings_keep_their_digits),
        T(what_is_no_number_stays_a_string),
        T(names_are_objects_of_their_groups),
        T(empty_values_among_several_are_null_and_empty_elements_have_no_value),
        T(text_without_values_is_not_split),
        T(numbers_of_every_binary_vr),
        T(floats_read_back_as_the_same_bits),
        T(values_that_json_has_no_number_for_are_strings),
        T(binary_is_little_endian_whatever_the_object_is),
        T(commands_meta_and_group_lengths_are_left_out),
        T(items_nest),
        T(large_values_become_uris_and_by_reference_ones_are_read_when_inline),
        T(memory_does_not_grow_with_a_drained_value),
        T(repaired_text_is_shown_repaired_and_declared_so),
        T(what_was_written_reads_back_as_the_same),
        T(long_decimals_are_shortened_to_sixteen_characters),
        T(text_beyond_ascii_is_declared),
        T(bulk_data_is_reported_and_left_empty),
        T(errors_say_what_and_where),
        T(whole_numbers_keep_to_the_range_of_their_vr),
        T(infinities_and_empty_values_read_back),
        T(deep_nesting_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
