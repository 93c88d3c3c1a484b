// Writing: byte for byte what was read, converted where asked, and files that others can open.
#include "dicom_bytes.h"

#include "dicom/uids.h"
#include "dicom/write.h"

#define NAME_EXPLICIT            \
    "\x10\x00\x10\x00PN\x08\x00" \
    "Doe^John"
#define ITEM(length) "\xFE\xFF\x00\xE0" length
#define UNDEFINED "\xFF\xFF\xFF\xFF"
#define ITEM_END "\xFE\xFF\x0D\xE0\x00\x00\x00\x00"
#define SEQUENCE_END "\xFE\xFF\xDD\xE0\x00\x00\x00\x00"

enum { WRITTEN_BYTES = 1 << 20 };

static struct arena arena;
static struct buf written;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, TEST_ARENA_BYTES);
    buf_init(&written, WRITTEN_BYTES);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&written);
    return 0;
}

static void write_to_buf(const struct dcm_dataset *ds, const struct dcm_ts *ts, const struct str *from) {
    struct err e = {0};
    struct dcm_source source = from ? dcm_source_memory(from) : (struct dcm_source){0};
    buf_clear(&written);
    if (!dcm_write_dataset(ds, ts, &source, dcm_sink_buf(&written), &e)) fail_msg("%s", e.message);
}

static void assert_written(struct str expected) {
    assert_int_equal(written.n, expected.n);
    assert_memory_equal(written.p, expected.p, expected.n);
}

static void round_trip(struct str bytes, const struct dcm_ts *ts) {
    struct dcm_object o = read_well(&arena, bytes, ts);
    write_to_buf(o.dataset, ts, &bytes);
    assert_written(bytes);
}

static void what_was_read_is_written_byte_for_byte(void **state) {
    (void)state;
    round_trip(B(NAME_EXPLICIT "\x28\x00\x10\x00US\x02\x00\x04\x01"), dcm_ts_explicit_le);
    round_trip(B("\x10\x00\x10\x00\x08\x00\x00\x00"
                 "Doe^John"),
               dcm_ts_implicit_le);
    round_trip(B("\x00\x10\x00\x10PN\x00\x08"
                 "Doe^John\x00\x28\x00\x10US\x00\x02\x01\x04"),
               dcm_ts_explicit_be);
    round_trip(B(NAME_EXPLICIT "\x10\x00\x20\x00LO\x03\x00"
                               "odd"),
               dcm_ts_explicit_le);
}

static void undefined_and_defined_lengths_stay_as_they_stood(void **state) {
    (void)state;
    round_trip(B("\x40\x00\x75\x02SQ\x00\x00" UNDEFINED ITEM(UNDEFINED) "\x40\x00\x08\x00SQ\x00\x00\x12\x00\x00\x00" ITEM(
                   "\x0A\x00\x00\x00") "\x08\x00\x00\x01SH\x02\x00"
                                       "C1" ITEM_END ITEM("\x00\x00\x00\x00") SEQUENCE_END),
               dcm_ts_explicit_le);
    round_trip(B("\x40\x00\x75\x02SQ\x00\x00\x10\x00\x00\x00" ITEM("\x00\x00\x00\x00") ITEM("\x00\x00\x00\x00")), dcm_ts_explicit_le);
    round_trip(B("\xE0\x7F\x10\x00OB\x00\x00" UNDEFINED ITEM("\x00\x00\x00\x00") ITEM("\x04\x00\x00\x00") "\xFF\xD8\xFF\xD9" SEQUENCE_END), dcm_ts_explicit_le);
}

static void unknown_vrs_stay_as_they_stood(void **state) {
    (void)state;
    round_trip(B("\x10\x00\x10\x00UN\x00\x00\x08\x00\x00\x00"
                 "Doe^John"),
               dcm_ts_explicit_le);
    round_trip(B("\x08\x00\x30\x10ZZ\x04\x00"
                 "abcd" NAME_EXPLICIT),
               dcm_ts_explicit_le);
    round_trip(B("\x08\x00\x30\x10ZZ\x00\x00\x04\x00\x00\x00"
                 "abcd" NAME_EXPLICIT),
               dcm_ts_explicit_le);
    round_trip(B("\x09\x00\x10\x10UN\x00\x00" UNDEFINED ITEM(UNDEFINED) "\x08\x00\x60\x00\x02\x00\x00\x00MR" ITEM_END SEQUENCE_END NAME_EXPLICIT),
               dcm_ts_explicit_le);
}

static void vr_form_and_byte_order_are_converted(void **state) {
    (void)state;
    struct str le = B("\x28\x00\x09\x00"
                      "AT\x04\x00\x18\x00\x63\x10\x28\x00\x10\x00US\x02\x00\x04\x01\x40\x00\x75\x02SQ\x00\x00\x12\x00\x00\x00" ITEM(
                          "\x0A\x00\x00\x00") "\x08\x00\x60\x00"
                                              "CS\x02\x00MR\xE0\x7F\x10\x00OW\x00\x00\x04\x00\x00\x00\x01\x02\x03\x04");
    struct str be = B("\x00\x28\x00\x09"
                      "AT\x00\x04\x00\x18\x10\x63\x00\x28\x00\x10US\x00\x02\x01\x04\x00\x40\x02\x75SQ\x00\x00\x00\x00\x00\x12"
                      "\xFF\xFE\xE0\x00\x00\x00\x00\x0A\x00\x08\x00\x60"
                      "CS\x00\x02MR\x7F\xE0\x00\x10OW\x00\x00\x00\x00\x00\x04\x02\x01\x04\x03");
    struct str implicit = B("\x28\x00\x09\x00\x04\x00\x00\x00\x18\x00\x63\x10\x28\x00\x10\x00\x02\x00\x00\x00\x04\x01\x40\x00\x75\x02\x12\x00\x00\x00" ITEM(
        "\x0A\x00\x00\x00") "\x08\x00\x60\x00\x02\x00\x00\x00MR\xE0\x7F\x10\x00\x04\x00\x00\x00\x01\x02\x03\x04");
    const struct {
        struct str bytes;
        const struct dcm_ts *ts;
    } forms[] = {{le, dcm_ts_explicit_le}, {be, dcm_ts_explicit_be}, {implicit, dcm_ts_implicit_le}};
    for (size_t from = 0; from < 3; from++) {
        struct dcm_object o = read_well(&arena, forms[from].bytes, forms[from].ts);
        for (size_t to = 0; to < 3; to++) {
            write_to_buf(o.dataset, forms[to].ts, NULL);
            assert_written(forms[to].bytes);
        }
    }
}

static void a_value_too_long_for_its_explicit_vr_goes_as_un(void **state) {
    (void)state; // PS3.5 6.2.2
    struct err e = {0};
    struct dcm_dataset *ds = dcm_dataset_new(&arena, &e);
    char *text = arena_zero(&arena, 1, 70000, &e);
    memset(text, 'x', 70000);
    assert_true(dcm_put_text(ds, DCM_PatientComments, DCM_VR_NONE, (struct str){text, 70000}, &e));
    write_to_buf(ds, dcm_ts_explicit_le, NULL);
    assert_memory_equal(written.p, "\x10\x00\x00\x40UN\x00\x00\x70\x11\x01\x00", 12);
    assert_int_equal(written.n, 70012);
}

static void group_lengths_go_when_they_would_lie(void **state) {
    (void)state;
    struct str bytes = B("\x10\x00\x00\x00UL\x04\x00\x10\x00\x00\x00" NAME_EXPLICIT);
    round_trip(bytes, dcm_ts_explicit_le);
    struct dcm_object o = read_well(&arena, bytes, dcm_ts_explicit_le);
    write_to_buf(o.dataset, dcm_ts_implicit_le, NULL);
    assert_written(B("\x10\x00\x10\x00\x08\x00\x00\x00"
                     "Doe^John"));
}

static void by_reference_without_a_source_is_an_error(void **state) {
    (void)state;
    struct str bytes = B("\xE0\x7F\x10\x00OB\x00\x00" UNDEFINED ITEM("\x04\x00\x00\x00") "\xFF\xD8\xFF\xD9" SEQUENCE_END);
    struct dcm_object o = read_well(&arena, bytes, dcm_ts_explicit_le);
    struct err e = {0};
    assert_false(dcm_write_dataset(o.dataset, dcm_ts_explicit_le, NULL, dcm_sink_buf(&written), &e));
    struct str cut = str_sub(bytes, 0, 21);
    struct dcm_source source = dcm_source_memory(&cut);
    buf_clear(&written);
    assert_false(dcm_write_dataset(o.dataset, dcm_ts_explicit_le, &source, dcm_sink_buf(&written), &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
}

static void a_full_sink_stops_the_writing(void **state) {
    (void)state;
    struct err e = {0};
    struct dcm_object o = read_well(&arena, B(NAME_EXPLICIT), dcm_ts_explicit_le);
    struct buf small;
    buf_init(&small, 8);
    assert_false(dcm_write_dataset(o.dataset, dcm_ts_explicit_le, NULL, dcm_sink_buf(&small), &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    buf_deinit(&small);
}

static struct dcm_dataset *small_object(void) {
    struct err e = {0};
    struct dcm_dataset *ds = dcm_dataset_new(&arena, &e);
    assert_true(dcm_putz(ds, DCM_SOPClassUID, DCM_UID_SecondaryCaptureImageStorage, &e));
    assert_true(dcm_putz(ds, DCM_SOPInstanceUID, "2.25.1", &e));
    assert_true(dcm_putz(ds, DCM_PatientName, "Doe^John", &e));
    assert_true(dcm_putz(dcm_put_item(ds, DCM_RequestAttributesSequence, &e), DCM_AccessionNumber, "A1", &e));
    return ds;
}

static void a_written_file_reads_back(void **state) {
    (void)state;
    static const char *const syntaxes[] = {DCM_UID_ImplicitVRLittleEndian, DCM_UID_ExplicitVRLittleEndian, DCM_UID_ExplicitVRBigEndian,
                                           DCM_UID_DeflatedExplicitVRLittleEndian};
    struct dcm_dataset *ds = small_object();
    for (size_t i = 0; i < 4; i++) {
        const struct dcm_ts *ts = dcm_ts_find(str_of(syntaxes[i]));
        struct err e = {0};
        buf_clear(&written);
        assert_true(dcm_write_part10(ds, ts, NULL, dcm_sink_buf(&written), &e));
        assert_int_equal(written.n % 2, 0);
        struct dcm_object o = read_well(&arena, buf_str(&written), NULL);
        assert_true(o.preamble);
        assert_ptr_equal(o.ts, ts);
        assert_text(o.meta, DCM_MediaStorageSOPInstanceUID, "2.25.1");
        assert_text(o.meta, DCM_ImplementationClassUID, GANTRY_IMPLEMENTATION_CLASS_UID);
        int64_t length = 0;
        assert_true(dcm_i64(o.meta, DCM_FileMetaInformationGroupLength, 0, &length));
        assert_int_equal(132 + 12 + length, o.dataset_offset);
        assert_text(o.dataset, DCM_PatientName, "Doe^John");
        assert_text(dcm_item(o.dataset, DCM_RequestAttributesSequence, 0), DCM_AccessionNumber, "A1");
    }
}

static void a_deflated_object_that_is_cut_or_damaged_says_so(void **state) {
    (void)state;
    struct err e = {0};
    struct dcm_object o;
    assert_true(dcm_write_part10(small_object(), dcm_ts_find(STR_LIT(DCM_UID_DeflatedExplicitVRLittleEndian)), NULL, dcm_sink_buf(&written), &e));
    assert_false(dcm_read_memory(&arena, written.p, written.n - 20, NULL, DCM_STOP_NOWHERE, &o, &e));
    assert_true(o.truncated);
    written.p[written.n - 60] ^= 0x55;
    assert_false(dcm_read_memory(&arena, written.p, written.n - 20, NULL, DCM_STOP_NOWHERE, &o, &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_was_read_is_written_byte_for_byte),
        T(undefined_and_defined_lengths_stay_as_they_stood),
        T(unknown_vrs_stay_as_they_stood),
        T(vr_form_and_byte_order_are_converted),
        T(a_value_too_long_for_its_explicit_vr_goes_as_un),
        T(group_lengths_go_when_they_would_lie),
        T(by_reference_without_a_source_is_an_error),
        T(a_full_sink_stops_the_writing),
        T(a_written_file_reads_back),
        T(a_deflated_object_that_is_cut_or_damaged_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
