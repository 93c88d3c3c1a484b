// Reading: every encoding, what others write against the rules, and what ends too early.
#include "dicom_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dicom/uids.h"

#define NAME_EXPLICIT            \
    "\x10\x00\x10\x00PN\x08\x00" \
    "Doe^John"
#define ITEM(length) "\xFE\xFF\x00\xE0" length
#define UNDEFINED "\xFF\xFF\xFF\xFF"
#define ITEM_END "\xFE\xFF\x0D\xE0\x00\x00\x00\x00"
#define SEQUENCE_END "\xFE\xFF\xDD\xE0\x00\x00\x00\x00"

static struct arena arena;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, TEST_ARENA_BYTES);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void fails_with(struct str bytes, const struct dcm_ts *ts, const char *words, struct dcm_object *o) {
    struct err e = {0};
    assert_false(dcm_read_memory(&arena, bytes.p, bytes.n, ts, DCM_STOP_NOWHERE, o, &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
    if (!strstr(e.message, words)) fail_msg("'%s' does not say '%s'", e.message, words);
}

// ---- encodings ----

static void the_same_elements_come_from_every_encoding(void **state) {
    (void)state;
    const struct {
        struct str bytes;
        const struct dcm_ts *ts;
    } forms[] = {
        {B(NAME_EXPLICIT "\x28\x00\x10\x00US\x02\x00\x04\x01"), dcm_ts_explicit_le},
        {B("\x10\x00\x10\x00\x08\x00\x00\x00"
           "Doe^John\x28\x00\x10\x00\x02\x00\x00\x00\x04\x01"),
         dcm_ts_implicit_le},
        {B("\x00\x10\x00\x10PN\x00\x08"
           "Doe^John\x00\x28\x00\x10US\x00\x02\x01\x04"),
         dcm_ts_explicit_be},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct dcm_object o = read_well(&arena, forms[i].bytes, forms[i].ts);
        assert_int_equal(o.dataset->count, 2);
        assert_text(o.dataset, DCM_PatientName, "Doe^John");
        assert_int_equal(dcm_find(o.dataset, DCM_PatientName)->vr, DCM_VR_PN);
        int64_t rows = 0;
        assert_true(dcm_i64(o.dataset, DCM_Rows, 0, &rows));
        assert_int_equal(rows, 0x104);
        assert_ptr_equal(o.ts, forms[i].ts);
    }
}

static void values_in_memory_are_borrowed(void **state) {
    (void)state;
    struct str bytes = B(NAME_EXPLICIT);
    struct dcm_object o = read_well(&arena, bytes, dcm_ts_explicit_le);
    assert_ptr_equal(dcm_find(o.dataset, DCM_PatientName)->value, bytes.p + 8);
    assert_int_equal(dcm_find(o.dataset, DCM_PatientName)->offset, 8);
}

static void another_encoding_than_the_declared_one_is_seen(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena, B(NAME_EXPLICIT), dcm_ts_implicit_le);
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
    assert_ptr_equal(o.ts, dcm_ts_explicit_le);
    o = read_well(&arena,
                  B("\x10\x00\x10\x00\x08\x00\x00\x00"
                    "Doe^John"),
                  dcm_ts_explicit_le);
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
    assert_ptr_equal(o.ts, dcm_ts_implicit_le);
    o = read_well(&arena, B(NAME_EXPLICIT), dcm_ts_explicit_be);
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
    assert_ptr_equal(o.ts, dcm_ts_explicit_le);
}

static void an_encoding_that_nobody_declares_is_guessed(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena, B(NAME_EXPLICIT), NULL);
    assert_ptr_equal(o.ts, dcm_ts_explicit_le);
    assert_null(o.meta);
    o = read_well(&arena,
                  B("\x00\x10\x00\x10PN\x00\x08"
                    "Doe^John"),
                  NULL);
    assert_ptr_equal(o.ts, dcm_ts_explicit_be);
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
    o = read_well(&arena,
                  B("\x10\x00\x10\x00\x08\x00\x00\x00"
                    "Doe^John"),
                  NULL);
    assert_ptr_equal(o.ts, dcm_ts_implicit_le);
    fails_with(B("%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1 0 obj"), NULL, "not a DICOM object", &o);
    fails_with(B("PK\x03\x04\x14\x00\x00\x00\x08\x00"), NULL, "not a DICOM object", &o);
    fails_with(B(""), NULL, "not a DICOM object", &o);
}

// ---- sequences ----

static void sequences_nest_with_defined_and_undefined_lengths(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena,
                                    B("\x40\x00\x75\x02SQ\x00\x00" UNDEFINED ITEM(UNDEFINED) "\x40\x00\x08\x00SQ\x00\x00\x12\x00\x00\x00" ITEM(
                                        "\x0A\x00\x00\x00") "\x08\x00\x00\x01SH\x02\x00"
                                                            "C1" ITEM_END ITEM("\x00\x00\x00\x00") SEQUENCE_END "\x40\x00\x53\x02SH\x02\x00P1"),
                                    dcm_ts_explicit_le);
    assert_int_equal(dcm_vm(o.dataset, DCM_RequestAttributesSequence), 2);
    const struct dcm_dataset *item = dcm_item(o.dataset, DCM_RequestAttributesSequence, 0);
    assert_true(item->undefined_length);
    assert_ptr_equal(item->parent, o.dataset);
    const struct dcm_dataset *code = dcm_item(item, DCM_ScheduledProtocolCodeSequence, 0);
    assert_text(code, DCM_CodeValue, "C1");
    assert_false(code->undefined_length);
    assert_int_equal(dcm_item(o.dataset, DCM_RequestAttributesSequence, 1)->count, 0);
    assert_null(dcm_item(o.dataset, DCM_RequestAttributesSequence, 2));
    assert_text(o.dataset, DCM_PerformedProcedureStepID, "P1");
}

static void unknown_of_undefined_length_is_an_implicit_sequence(void **state) {
    (void)state; // PS3.5 6.2.2 note 4
    struct dcm_object o =
        read_well(&arena, B("\x09\x00\x10\x10UN\x00\x00" UNDEFINED ITEM(UNDEFINED) "\x08\x00\x60\x00\x02\x00\x00\x00MR" ITEM_END SEQUENCE_END NAME_EXPLICIT),
                  dcm_ts_explicit_le);
    const struct dcm_element *el = dcm_find(o.dataset, 0x00091010);
    assert_int_equal(el->vr, DCM_VR_SQ);
    assert_int_equal(el->stream_vr, DCM_VR_UN);
    assert_text(dcm_item(o.dataset, 0x00091010, 0), DCM_Modality, "MR");
    assert_false(el->items[0]->explicit_vr);
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
}

static void private_sequences_are_known_by_their_creator_in_implicit_vr(void **state) {
    (void)state;
    struct str bytes = B("\x05\x20\x10\x00\x1A\x00\x00\x00Philips MR Imaging DD 001 \x05\x20\x80\x10\x12\x00\x00\x00" ITEM(
        "\x0A\x00\x00\x00") "\x08\x00\x60\x00\x02\x00\x00\x00MR");
    struct dcm_object o = read_well(&arena, bytes, dcm_ts_implicit_le);
    assert_int_equal(dcm_find(o.dataset, 0x20050010)->vr, DCM_VR_LO);
    assert_int_equal(dcm_find(o.dataset, 0x20051080)->vr, DCM_VR_SQ);
    assert_text(dcm_item(o.dataset, 0x20051080, 0), DCM_Modality, "MR");
    assert_true(str_eqz(dcm_private_creator(o.dataset, 0x20051080), "Philips MR Imaging DD 001"));
    assert_ptr_equal(dcm_find_private(o.dataset, 0x2005, B("Philips MR Imaging DD 001"), 0x80), dcm_find(o.dataset, 0x20051080));
    assert_null(dcm_find_private(o.dataset, 0x2005, B("Philips MR Imaging DD 002"), 0x80));
}

static void nesting_is_bounded_with_a_precise_error(void **state) {
    (void)state;
    static const char level[] = "\x40\x00\x30\xA7SQ\x00\x00" UNDEFINED ITEM(UNDEFINED);
    size_t one = sizeof level - 1;
    char *bytes = malloc((DCM_DEPTH_MAX + 1) * one);
    assert_non_null(bytes);
    for (size_t i = 0; i <= DCM_DEPTH_MAX; i++) memcpy(bytes + i * one, level, one);
    struct dcm_object o;
    fails_with((struct str){bytes, (DCM_DEPTH_MAX + 1) * one}, dcm_ts_explicit_le, "nested deeper than 64", &o);
    free(bytes);
}

// ---- encapsulated pixel data ----

static void fragments_are_places_in_the_stream(void **state) {
    (void)state; // PS3.5 A.4, the basic offset table first
    struct str bytes = B("\xE0\x7F\x10\x00OB\x00\x00" UNDEFINED ITEM("\x00\x00\x00\x00") ITEM("\x04\x00\x00\x00") "\xFF\xD8\xFF\xD9" SEQUENCE_END);
    struct dcm_object o = read_well(&arena, bytes, dcm_ts_find(B(DCM_UID_JPEGBaseline8Bit)));
    const struct dcm_element *el = dcm_find(o.dataset, DCM_PixelData);
    assert_true(el->flags & DCM_FRAGMENTS);
    assert_int_equal(el->item_count, 2);
    assert_int_equal(el->fragments[0].length, 0);
    assert_int_equal(el->fragments[1].length, 4);
    assert_memory_equal(bytes.p + el->fragments[1].offset, "\xFF\xD8\xFF\xD9", 4);
    assert_int_equal(el->offset, 12);
    assert_int_equal(el->length, bytes.n - 12);
}

static void reading_stops_at_the_pixels_when_asked(void **state) {
    (void)state;
    struct str bytes = B(NAME_EXPLICIT "\xE0\x7F\x01\x00OV\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xE0\x7F\x10\x00OW\x00\x00\x00\x00\x10\x00");
    struct dcm_object o;
    struct err e = {0};
    assert_true(dcm_read_memory(&arena, bytes.p, bytes.n, dcm_ts_explicit_le, DCM_STOP_AT_PIXELS, &o, &e));
    assert_int_equal(o.dataset->count, 3);
    assert_non_null(dcm_find(o.dataset, DCM_ExtendedOffsetTable)->value);
    const struct dcm_element *el = dcm_find(o.dataset, DCM_PixelData);
    assert_true(el->flags & DCM_BY_REFERENCE);
    assert_null(el->value);
    assert_int_equal(el->length, 0x100000);
    assert_int_equal(el->offset, bytes.n);
}

// ---- VRs that the stream leaves open ----

static void us_or_ss_follows_pixel_representation(void **state) {
    (void)state; // PS3.3 C.7.6.3.1.2
    struct dcm_object o = read_well(&arena, B("\x28\x00\x03\x01\x02\x00\x00\x00\x01\x00\x28\x00\x06\x01\x02\x00\x00\x00\xFC\xFF"), dcm_ts_implicit_le);
    int64_t v = 0;
    assert_int_equal(dcm_find(o.dataset, DCM_SmallestImagePixelValue)->vr, DCM_VR_SS);
    assert_true(dcm_i64(o.dataset, DCM_SmallestImagePixelValue, 0, &v));
    assert_int_equal(v, -4);
    o = read_well(&arena, B("\x28\x00\x03\x01\x02\x00\x00\x00\x00\x00\x28\x00\x06\x01\x02\x00\x00\x00\xFC\xFF"), dcm_ts_implicit_le);
    assert_int_equal(dcm_find(o.dataset, DCM_SmallestImagePixelValue)->vr, DCM_VR_US);
}

static void un_of_a_known_attribute_is_what_the_dictionary_says(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena,
                                    B("\x10\x00\x10\x00UN\x00\x00\x08\x00\x00\x00"
                                      "Doe^John"),
                                    dcm_ts_explicit_le);
    const struct dcm_element *el = dcm_find(o.dataset, DCM_PatientName);
    assert_int_equal(el->vr, DCM_VR_PN);
    assert_int_equal(el->stream_vr, DCM_VR_UN);
    assert_true(el->flags & DCM_VR_FROM_DICTIONARY);
}

static void a_vr_that_nobody_knows_does_not_derail(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena,
                                    B("\x08\x00\x30\x10ZZ\x04\x00"
                                      "abcd" NAME_EXPLICIT),
                                    dcm_ts_explicit_le);
    assert_text(o.dataset, DCM_StudyDescription, "abcd");
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
    assert_true(dcm_find(o.dataset, DCM_StudyDescription)->flags & DCM_VR_ODD);
    o = read_well(&arena,
                  B("\x08\x00\x30\x10ZZ\x00\x00\x04\x00\x00\x00"
                    "abcd" NAME_EXPLICIT),
                  dcm_ts_explicit_le);
    assert_text(o.dataset, DCM_StudyDescription, "abcd");
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
    o = read_well(&arena,
                  B("\x08\x00\x60\x00"
                    "CS\x02\x00MR\x08\x00\x30\x10\x04\x00\x00\x00"
                    "abcd" NAME_EXPLICIT),
                  dcm_ts_explicit_le); // implicit in between
    assert_text(o.dataset, DCM_StudyDescription, "abcd");
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
}

// ---- order ----

static void elements_come_out_in_tag_order_and_the_first_of_two_stays(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena, B("\x10\x00\x20\x00LO\x02\x00I1" NAME_EXPLICIT "\x10\x00\x20\x00LO\x02\x00I2"), dcm_ts_explicit_le);
    assert_int_equal(o.dataset->count, 2);
    assert_int_equal(o.dataset->elements[0].tag, DCM_PatientName);
    assert_text(o.dataset, DCM_PatientID, "I1");
}

static void stray_delimiters_and_trailing_zeros_are_skipped(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena, B(ITEM_END NAME_EXPLICIT SEQUENCE_END "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), dcm_ts_explicit_le);
    assert_int_equal(o.dataset->count, 1);
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
}

// ---- what ends too early ----

static void what_is_whole_is_there_when_an_object_is_cut_short(void **state) {
    (void)state;
    struct dcm_object o;
    fails_with(B(NAME_EXPLICIT "\x10\x00\x20\x00LO\x0A\x00"
                               "123"),
               dcm_ts_explicit_le, "7 bytes of (0010,0020) are missing", &o);
    assert_true(o.truncated);
    assert_string_equal(o.truncated_where, "(0010,0020) declares 10 bytes, 3 are there");
    assert_int_equal(o.dataset->count, 1);
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
    fails_with(B(NAME_EXPLICIT "\x10\x00\x20"), dcm_ts_explicit_le, "cut short at byte 16", &o);
    assert_true(o.truncated);
}

static void whole_elements_of_an_open_item_are_salvaged(void **state) {
    (void)state;
    struct dcm_object o;
    fails_with(B("\x40\x00\x75\x02SQ\x00\x00" UNDEFINED ITEM(UNDEFINED) "\x40\x00\x09\x00SH\x02\x00S1\x40\x00"), dcm_ts_explicit_le, "cut short", &o);
    assert_true(o.truncated);
    assert_text(dcm_item(o.dataset, DCM_RequestAttributesSequence, 0), DCM_ScheduledProcedureStepID, "S1");
}

static void a_value_larger_than_its_item_is_refused(void **state) {
    (void)state;
    struct dcm_object o;
    fails_with(B("\x40\x00\x75\x02SQ\x00\x00\x12\x00\x00\x00" ITEM("\x0A\x00\x00\x00") "\x40\x00\x09\x00SH\x20\x00S1" NAME_EXPLICIT NAME_EXPLICIT),
               dcm_ts_explicit_le, "more than the 2 that are left in its item", &o);
    assert_false(o.truncated);
}

// ---- Part 10 ----

#define META_BODY(ts) "\x02\x00\x10\x00UI" ts
#define META             \
    META_BODY("\x14\x00" \
              "1.2.840.10008.1.2.1\x00")

static struct str with_preamble(const char *prefix, struct str rest) {
    struct err e;
    char *p = arena_zero(&arena, 1, 132 + rest.n, &e);
    assert_non_null(p);
    memcpy(p + 128, prefix, 4);
    memcpy(p + 132, rest.p, rest.n);
    return (struct str){p, 132 + rest.n};
}

static void a_file_has_its_meta_header_apart(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena, with_preamble("DICM", B("\x02\x00\x00\x00UL\x04\x00\xFF\xFF\xFF\x7F" META NAME_EXPLICIT)), NULL);
    assert_true(o.preamble);
    assert_text(o.meta, DCM_TransferSyntaxUID, DCM_UID_ExplicitVRLittleEndian); // the group length lies, and is not believed
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
    assert_int_equal(o.dataset_offset, 132 + 12 + 28);
    assert_int_equal(o.bytes, o.dataset_offset + 16);
}

static void files_without_preamble_or_prefix_are_read(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena, B(META NAME_EXPLICIT), NULL);
    assert_false(o.preamble);
    assert_text(o.meta, DCM_TransferSyntaxUID, DCM_UID_ExplicitVRLittleEndian);
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
    o = read_well(&arena, with_preamble("DCIM", B(META NAME_EXPLICIT)), NULL);
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
}

static void an_unregistered_transfer_syntax_is_read_as_explicit_little_endian(void **state) {
    (void)state;
    struct dcm_object o = read_well(&arena,
                                    with_preamble("DICM", B(META_BODY("\x08\x00"
                                                                      "1.2.3.4\x00") NAME_EXPLICIT)),
                                    NULL);
    assert_string_equal(o.ts->uid, "1.2.3.4");
    assert_text(o.dataset, DCM_PatientName, "Doe^John");
}

// ---- streams ----

static void pieces_of_any_size_give_the_same_data_set(void **state) {
    (void)state;
    struct str bytes = with_preamble("DICM", B(META "\x40\x00\x75\x02SQ\x00\x00" UNDEFINED ITEM(UNDEFINED) NAME_EXPLICIT ITEM_END SEQUENCE_END
                                               "\xE0\x7F\x10\x00OW\x00\x00\x04\x00\x00\x00\x01\x02\x03\x04"));
    for (size_t piece = 1; piece < 40; piece++) {
        struct err e = {0};
        struct dcm_object o;
        struct dcm_builder *b = dcm_builder_new(&arena, NULL, DCM_STOP_NOWHERE, &e);
        assert_non_null(b);
        for (size_t at = 0; at < bytes.n; at += piece) {
            size_t n = bytes.n - at < piece ? bytes.n - at : piece;
            assert_int_equal(dcm_builder_feed(b, bytes.p + at, n, &e), DCM_MORE);
        }
        assert_int_equal(dcm_builder_end(b, &o, &e), DCM_DONE);
        assert_text(dcm_item(o.dataset, DCM_RequestAttributesSequence, 0), DCM_PatientName, "Doe^John");
        assert_memory_equal(dcm_find(o.dataset, DCM_PixelData)->value, "\x01\x02\x03\x04", 4);
        assert_int_equal(o.bytes, bytes.n);
    }
}

static void long_values_of_a_file_stay_in_the_file(void **state) {
    (void)state;
    char path[] = "/tmp/gantry-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    static const char head[] = META NAME_EXPLICIT "\xE0\x7F\x10\x00OW\x00\x00\x02\x00\x10\x00";
    static const char tail[] = "\xFC\xFF\xFC\xFFOB\x00\x00\x02\x00\x00\x00zz";
    size_t pixels = 0x100002;
    assert_int_equal(write(fd, head, sizeof head - 1), sizeof head - 1);
    assert_int_equal(ftruncate(fd, (off_t)(sizeof head - 1 + pixels)), 0);
    assert_int_equal(pwrite(fd, tail, sizeof tail - 1, (off_t)(sizeof head - 1 + pixels)), sizeof tail - 1);
    lseek(fd, 0, SEEK_SET);
    struct dcm_object o;
    struct err e = {0};
    assert_true(dcm_read_fd(&arena, fd, DCM_STOP_NOWHERE, &o, &e));
    close(fd);
    const struct dcm_element *el = dcm_find(o.dataset, DCM_PixelData);
    assert_true(el->flags & DCM_BY_REFERENCE);
    assert_int_equal(el->length, pixels);
    assert_int_equal(el->offset, sizeof head - 1);
    assert_memory_equal(dcm_find(o.dataset, DCM_DataSetTrailingPadding)->value, "zz", 2);
    assert_int_equal(o.bytes, sizeof head - 1 + pixels + sizeof tail - 1);
    assert_true(arena.used < 256 * 1024);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_same_elements_come_from_every_encoding),
        T(values_in_memory_are_borrowed),
        T(another_encoding_than_the_declared_one_is_seen),
        T(an_encoding_that_nobody_declares_is_guessed),
        T(sequences_nest_with_defined_and_undefined_lengths),
        T(unknown_of_undefined_length_is_an_implicit_sequence),
        T(private_sequences_are_known_by_their_creator_in_implicit_vr),
        T(nesting_is_bounded_with_a_precise_error),
        T(fragments_are_places_in_the_stream),
        T(reading_stops_at_the_pixels_when_asked),
        T(us_or_ss_follows_pixel_representation),
        T(un_of_a_known_attribute_is_what_the_dictionary_says),
        T(a_vr_that_nobody_knows_does_not_derail),
        T(elements_come_out_in_tag_order_and_the_first_of_two_stays),
        T(stray_delimiters_and_trailing_zeros_are_skipped),
        T(what_is_whole_is_there_when_an_object_is_cut_short),
        T(whole_elements_of_an_open_item_are_salvaged),
        T(a_value_larger_than_its_item_is_refused),
        T(a_file_has_its_meta_header_apart),
        T(files_without_preamble_or_prefix_are_read),
        T(an_unregistered_transfer_syntax_is_read_as_explicit_little_endian),
        T(pieces_of_any_size_give_the_same_data_set),
        T(long_values_of_a_file_stay_in_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
