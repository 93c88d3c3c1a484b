// Ranges of bytes (RFC 9110 14) and bodies that are had in parts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/range.h"
#include "mod/dicomweb/body.h"
#include "mod/dicomweb/package.h"

// ---- the header field ----

static void ranges_are_read_as_rfc_9110_has_them(void **state) {
    (void)state;
    static const struct {
        const char *header;
        uint64_t length;
        enum http_range_kind kind;
        struct http_range ranges[3];
        unsigned n;
    } cases[] = {
        {"bytes=0-499", 10000, HTTP_RANGE_SOME, {{0, 500}}, 1}, // the examples of 14.1.2
        {"bytes=500-999", 10000, HTTP_RANGE_SOME, {{500, 500}}, 1},
        {"bytes=-500", 10000, HTTP_RANGE_SOME, {{9500, 500}}, 1},
        {"bytes=9500-", 10000, HTTP_RANGE_SOME, {{9500, 500}}, 1},
        {"bytes=0-0,-1", 10000, HTTP_RANGE_SOME, {{0, 1}, {9999, 1}}, 2},
        {"bytes= 0-999, 4500-5499, -1000", 10000, HTTP_RANGE_SOME, {{0, 1000}, {4500, 1000}, {9000, 1000}}, 3},
        {"BYTES=1-1", 10, HTTP_RANGE_SOME, {{1, 1}}, 1},
        {"bytes=5-18446744073709551615", 10, HTTP_RANGE_SOME, {{5, 5}}, 1},
        {"bytes=5-99999999999999999999999", 10, HTTP_RANGE_SOME, {{5, 5}}, 1},
        {"bytes=20-,3-4", 10, HTTP_RANGE_SOME, {{3, 2}}, 1}, // what lies outside is left out
        {"bytes=10-", 10, HTTP_RANGE_OUTSIDE, {{0, 0}}, 0},
        {"bytes=-0", 10, HTTP_RANGE_OUTSIDE, {{0, 0}}, 0},
        {"bytes=0-", 0, HTTP_RANGE_OUTSIDE, {{0, 0}}, 0},
        {"bytes=5-4", 10, HTTP_RANGE_WHOLE, {{0, 0}}, 0},
        {"bytes=+1-2", 10, HTTP_RANGE_WHOLE, {{0, 0}}, 0},
        {"bytes=1-2;3-4", 10, HTTP_RANGE_WHOLE, {{0, 0}}, 0},
        {"bytes=0-,0-", 10, HTTP_RANGE_WHOLE, {{0, 0}}, 0}, // more than the whole
        {"items=0-1", 10, HTTP_RANGE_WHOLE, {{0, 0}}, 0},
        {"bytes=,", 10, HTTP_RANGE_WHOLE, {{0, 0}}, 0},
        {"", 10, HTTP_RANGE_WHOLE, {{0, 0}}, 0},
        {NULL, 10, HTTP_RANGE_WHOLE, {{0, 0}}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_range got[HTTP_RANGES_MAX] = {{0, 0}};
        unsigned n;
        enum http_range_kind kind = http_range_parse(str_of(cases[i].header), cases[i].length, got, &n);
        if (kind != cases[i].kind) fail_msg("'%s' is read as %d", cases[i].header ? cases[i].header : "(absent)", kind);
        if (kind != HTTP_RANGE_SOME) continue;
        assert_int_equal(n, cases[i].n);
        for (unsigned k = 0; k < n; k++) {
            assert_int_equal(got[k].from, cases[i].ranges[k].from);
            assert_int_equal(got[k].length, cases[i].ranges[k].length);
        }
    }
}

static void too_many_ranges_are_the_whole(void **state) {
    (void)state;
    char text[4096] = "bytes=0-0";
    struct http_range got[HTTP_RANGES_MAX];
    unsigned n;
    for (int i = 1; i < HTTP_RANGES_MAX; i++) snprintf(text + strlen(text), sizeof text - strlen(text), ",%d-%d", i, i);
    assert_int_equal(http_range_parse(str_of(text), 1000, got, &n), HTTP_RANGE_SOME);
    assert_int_equal(n, HTTP_RANGES_MAX);
    strcat(text, ",900-900");
    assert_int_equal(http_range_parse(str_of(text), 1000, got, &n), HTTP_RANGE_WHOLE);
}

// ---- bodies ----

static bool make_letters(struct dw_body *b, size_t piece, char *to, size_t length, struct err *e) {
    (void)b, (void)e;
    for (size_t i = 0; i < length; i++) to[i] = (char)('a' + (piece + i) % 26);
    return true;
}

static void every_part_of_a_body_is_the_same_part_of_the_whole(void **state) {
    (void)state;
    struct arena a;
    struct dw_body inner, b;
    struct err e = {0};
    struct str words = STR_LIT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a");
    struct dcm_source source = dcm_source_memory(&words);
    char whole[64], part[64];
    arena_init(&a, 1 << 20);
    assert_true(dw_body_init(&inner, &a, NULL, 2, &e) && dw_body_init(&b, &a, NULL, 8, &e));
    dw_body_text(&inner, STR_LIT("inside"));
    dw_body_add(&inner, &(struct dw_piece){.kind = DW_SOURCE, .source = &source, .offset = 1, .length = 9});
    dw_body_text(&b, STR_LIT("head "));
    dw_body_add(&b, &(struct dw_piece){.kind = DW_MADE, .make = make_letters, .length = 7});
    dw_body_text(&b, STR_LIT("")); // takes no place
    dw_body_add(&b, &(struct dw_piece){.kind = DW_SOURCE, .source = &source, .length = 10, .swap = 4});
    dw_body_add(&b, &(struct dw_piece){.kind = DW_WINDOW, .body = &inner, .offset = 4, .length = 5});
    assert_true(dw_body_printf(&b, &e, "%d\r\n", 42));
    assert_int_equal(b.length, 5 + 7 + 10 + 5 + 4);
    assert_true(dw_body_read(&b, 0, whole, (size_t)b.length, &e));
    // four bytes at a time are turned round; what is no whole unit stays
    assert_memory_equal(whole,
                        "head bcdefgh\x04\x03\x02\x01\x08\x07\x06\x05\x09\x0a"
                        "de\x02\x03\x04"
                        "42\r\n",
                        31);
    for (uint64_t from = 0; from < b.length; from++)
        for (uint64_t n = 0; n <= b.length - from; n++) {
            assert_true(dw_body_read(&b, from, part, (size_t)n, &e));
            assert_memory_equal(part, whole + from, n);
        }
    assert_false(dw_body_read(&b, b.length, part, 1, &e));
    assert_false(dw_body_read(&b, UINT64_MAX, part, 2, &e));
    arena_deinit(&a);
}

static void a_version_is_that_of_its_objects_and_its_form(void **state) {
    (void)state;
    struct instance_ref refs[2] = {{.digest = {1}, .received_ms = 5000}, {.digest = {2}, .received_ms = 9000}};
    const struct instance_list one = {refs, 1}, both = {refs, 2};
    struct dw_version a, b, c, d;
    struct err e = {0};
    char first[DW_BOUNDARY], second[DW_BOUNDARY];
    assert_true(dw_version_of(&both, "x", &a, &e) && dw_version_of(&both, "x", &b, &e) && dw_version_of(&both, "y", &c, &e) &&
                dw_version_of(&one, "x", &d, &e));
    assert_memory_equal(a.digest, b.digest, sizeof a.digest);
    assert_memory_not_equal(a.digest, c.digest, sizeof a.digest);
    assert_memory_not_equal(a.digest, d.digest, sizeof a.digest);
    assert_int_equal(a.changed_ms, 9000);
    dw_boundary_of(&a, first);
    dw_boundary_of(&c, second);
    assert_int_equal(strlen(first), DW_BOUNDARY - 1);
    assert_string_not_equal(first, second);
}

// ---- archives that are too large for a test's disk: their places ----

static void large_archives_have_their_zip64_fields_and_blocks(void **state) {
    (void)state;
    enum { COUNT = 70000 };
    struct arena a;
    struct dw_body b;
    struct err e = {0};
    char end[98];
    arena_init(&a, 512 << 20);
    struct instance_ref *refs = arena_zero(&a, COUNT, sizeof *refs, &e);
    assert_non_null(refs);
    for (int i = 0; i < COUNT; i++) {
        refs[i].study_uid = refs[i].series_uid = refs[i].sop_instance_uid = STR_LIT("1.2");
        refs[i].loc.length = i == 1 ? 5000000000ULL : 1000;
    }
    const struct instance_list list = {refs, COUNT};
    assert_true(dw_zip_body(&b, &a, NULL, &list, &e));
    // APPNOTE 4.3.7, 4.3.12, 4.5.3: sizes in the second entry, offsets in all behind it
    uint64_t name = strlen("1.2/1.2/1.2.dcm"), locals = COUNT * (30 + name) + 20, bytes = (COUNT - 1) * 1000ULL + 5000000000ULL;
    uint64_t central = COUNT * (46 + name) + 20 + (COUNT - 2) * 12ULL;
    assert_int_equal(b.length, locals + bytes + central + 76 + 22);
    assert_true(dw_body_read(&b, b.length - 98, end, 98, &e));
    assert_memory_equal(end, "PK\x06\x06\x2c\0\0\0\0\0\0\0", 12);
    uint64_t count, size, from, at;
    memcpy(&count, end + 24, 8);
    memcpy(&size, end + 40, 8);
    memcpy(&from, end + 48, 8);
    memcpy(&at, end + 56 + 8, 8);
    assert_int_equal(count, COUNT);
    assert_int_equal(size, central);
    assert_int_equal(from, locals + bytes);
    assert_int_equal(at, b.length - 98);
    assert_memory_equal(end + 56, "PK\x06\x07", 4);
    assert_memory_equal(end + 76, "PK\x05\x06\0\0\0\0\xff\xff\xff\xff", 12);
    assert_true(dw_tar_body(&b, &a, NULL, &list, &e));
    assert_int_equal(b.length, (COUNT - 1) * (512 + 1024ULL) + 512 + 5000000000ULL + 1024);
    arena_deinit(&a);
}

static void an_entry_beyond_eleven_octal_digits_has_its_size_in_base_256(void **state) {
    (void)state;
    struct arena a;
    struct dw_body b;
    struct err e = {0};
    char header[512];
    struct instance_ref ref = {
        .study_uid = STR_LIT("1.2"), .series_uid = STR_LIT("1.3"), .sop_instance_uid = STR_LIT("1.4"), .loc.length = 0x0123456789ULL << 4};
    const struct instance_list list = {&ref, 1};
    arena_init(&a, 1 << 20);
    assert_true(dw_tar_body(&b, &a, NULL, &list, &e) && dw_body_read(&b, 0, header, 512, &e));
    assert_string_equal(header, "1.4.dcm");
    assert_string_equal(header + 345, "1.2/1.3");
    assert_memory_equal(header + 124, "\x80\0\0\0\0\0\0\x12\x34\x56\x78\x90", 12);
    ref.loc.length = 8589934591; // the last that eleven digits take
    assert_true(dw_body_read(&b, 0, header, 512, &e));
    assert_string_equal(header + 124, "77777777777");
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_read_as_rfc_9110_has_them),
        cmocka_unit_test(too_many_ranges_are_the_whole),
        cmocka_unit_test(every_part_of_a_body_is_the_same_part_of_the_whole),
        cmocka_unit_test(a_version_is_that_of_its_objects_and_its_form),
        cmocka_unit_test(large_archives_have_their_zip64_fields_and_blocks),
        cmocka_unit_test(an_entry_beyond_eleven_octal_digits_has_its_size_in_base_256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
