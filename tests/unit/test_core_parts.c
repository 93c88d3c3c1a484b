// Parts of objects: read and checked without the rest, with their frames known from the day they came.
#include "core_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"
#include "dicom/write.h"
#include "sys/sums.h"

#define JPEG_LOSSLESS "1.2.840.10008.1.2.4.70"
#define DEFLATED "1.2.840.10008.1.2.1.99"

static void header_of(struct fixture *f, struct dcm_dataset *ds, const char *frames) {
    struct err e = {0};
    (void)f;
    bool ok = dcm_putz(ds, DCM_SOPClassUID, "1.2.840.10008.5.1.4.1.1.7", &e) && dcm_putz(ds, DCM_SOPInstanceUID, "1.2.3.4.1", &e) &&
              dcm_putz(ds, DCM_StudyInstanceUID, "1.2.3", &e) && dcm_putz(ds, DCM_SeriesInstanceUID, "1.2.3.4", &e) && dcm_putz(ds, DCM_PatientID, "P1", &e) &&
              dcm_putz(ds, DCM_NumberOfFrames, frames, &e) && dcm_put_int(ds, DCM_Rows, 4, &e) && dcm_put_int(ds, DCM_Columns, 4, &e) &&
              dcm_put_int(ds, DCM_BitsAllocated, 8, &e) && dcm_put_int(ds, DCM_SamplesPerPixel, 1, &e);
    if (!ok) fail_msg("%s", e.message);
}

static void add_item(struct buf *b, const void *p, uint32_t n) {
    buf_add(b, "\xFE\xFF\x00\xE0", 4);
    buf_add(b, &n, 4);
    buf_add(b, p, n);
}

// Fragments of 100, 200, 300... bytes, the k-th filled with k.
static void make_encapsulated(struct fixture *f, const char *frames, unsigned fragments) {
    struct err e = {0};
    struct dcm_dataset *ds = dcm_dataset_new(&f->arena, &e);
    uint8_t bytes[4096];
    header_of(f, ds, frames);
    buf_clear(&f->object);
    bool ok = dcm_write_meta(STR_LIT("1.2.840.10008.5.1.4.1.1.7"), STR_LIT("1.2.3.4.1"), STR_LIT(JPEG_LOSSLESS), (struct str){0}, &f->object, &e) &&
              dcm_write_dataset(ds, dcm_ts_explicit_le, NULL, dcm_sink_buf(&f->object), &e);
    if (!ok) fail_msg("%s", e.message);
    buf_add(&f->object, "\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF", 12);
    add_item(&f->object, "", 0);
    for (unsigned i = 0; i < fragments; i++) {
        memset(bytes, (int)(i + 1), sizeof bytes);
        add_item(&f->object, bytes, 100 * (i + 1));
    }
    buf_add(&f->object, "\xFE\xFF\xDD\xE0\0\0\0\0", 8);
}

static void store(struct fixture *f) {
    struct ingest_result r;
    struct err e = {0};
    if (!ingest_object(f, &r, &e)) fail_msg("%s", e.message);
    assert_int_equal(r.outcome, INGEST_STORED);
}

static const struct instance_ref *the_object(struct fixture *f) {
    struct instance_list list = list_study(f, "1.2.3");
    assert_int_equal(list.count, 1);
    return &list.refs[0];
}

static void check_frames(struct fixture *f, const struct instance_ref *ref, unsigned count) {
    struct err e = {0};
    struct retrieve_object o;
    uint8_t bytes[4096];
    if (!retrieve_open(f->ar, &f->arena, ref, &o, &e)) fail_msg("%s", e.message);
    assert_int_equal(o.frames.count, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(o.frames.first[i + 1] - o.frames.first[i], 1);
        struct codec_run run = o.frames.runs[o.frames.first[i]];
        assert_int_equal(run.length, 100 * (i + 1));
        assert_true(o.source.read_at(o.source.ctx, run.offset, bytes, run.length, &e));
        for (uint64_t k = 0; k < run.length; k++) assert_int_equal(bytes[k], i + 1);
    }
    retrieve_close(&o);
}

static void frames_are_known_from_ingest_and_made_when_they_are_not(void **state) {
    struct fixture *f = *state;
    make_encapsulated(f, "5", 5);
    store(f);
    const struct instance_ref *ref = the_object(f);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instance_parts WHERE length(frames) > 0 AND length(sums) > 0"), 1);
    check_frames(f, ref, 5);
    run_sql(f, "DELETE FROM instance_parts"); // as those stored before have it
    fixture_close(f);
    fixture_open(f);
    check_frames(f, ref, 5);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instance_parts WHERE length(frames) > 0 AND length(sums) > 0"), 1);
    check_frames(f, ref, 5);
    run_sql(f, "UPDATE instance_parts SET frames = x'00112233', sums = x'0011223344556677'"); // rot in the index
    fixture_close(f);
    fixture_open(f);
    check_frames(f, ref, 5);
}

static void why_frames_cannot_be_told_is_kept(void **state) {
    struct fixture *f = *state;
    make_encapsulated(f, "3", 2);
    store(f);
    const struct instance_ref *ref = the_object(f);
    for (int i = 0; i < 2; i++) {
        struct retrieve_object o;
        struct err e = {0};
        if (!retrieve_open(f->ar, &f->arena, ref, &o, &e)) fail_msg("%s", e.message);
        assert_int_equal(o.frames.count, 0);
        assert_int_equal(o.frames_err.kind, ERR_UNDECODABLE);
        retrieve_close(&o);
        assert_int_equal(count_rows(f, "SELECT count(*) FROM instance_parts WHERE frames_trouble <> ''"), 1);
        run_sql(f, "UPDATE instance_parts SET frames = NULL, frames_trouble = ''");
    }
}

static void the_whole_data_set_points_into_the_source(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct retrieve_object o;
    struct dcm_dataset *ds;
    make_encapsulated(f, "5", 5);
    store(f);
    if (!retrieve_open(f->ar, &f->arena, the_object(f), &o, &e) || !retrieve_dataset(&o, &f->arena, &ds, &e)) fail_msg("%s", e.message);
    const struct dcm_element *el = dcm_find(ds, DCM_PixelData);
    assert_int_equal(el->item_count, 6);
    for (unsigned i = 0; i < 5; i++) assert_int_equal(el->fragments[i + 1].offset, o.frames.runs[o.frames.first[i]].offset);
    retrieve_close(&o);
}

// Large native pixels are pointed at, and what stands behind them is there.
static void large_native_pixels_are_not_read_to_be_pointed_at(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct retrieve_object o;
    struct dcm_dataset *ds = dcm_dataset_new(&f->arena, &e);
    uint8_t *pixels = arena_zero(&f->arena, 3 << 20, 1, &e), at[4];
    header_of(f, ds, "1");
    memcpy(pixels + (2 << 20), "here", 4);
    buf_clear(&f->object);
    bool ok = dcm_put_bytes(ds, DCM_PixelData, DCM_VR_OW, pixels, 3 << 20, &e) && dcm_put_bytes(ds, DCM_DataSetTrailingPadding, DCM_VR_OB, "padding!", 8, &e) &&
              dcm_write_part10(ds, dcm_ts_explicit_le, NULL, dcm_sink_buf(&f->object), &e);
    if (!ok) fail_msg("%s", e.message);
    store(f);
    if (!retrieve_open(f->ar, &f->arena, the_object(f), &o, &e) || !retrieve_dataset(&o, &f->arena, &ds, &e)) fail_msg("%s", e.message);
    const struct dcm_element *el = dcm_find(ds, DCM_PixelData);
    assert_true(el->flags & DCM_BY_REFERENCE);
    assert_true(o.source.read_at(o.source.ctx, el->offset + (2 << 20), at, 4, &e));
    assert_memory_equal(at, "here", 4);
    assert_true(dcm_find(ds, DCM_DataSetTrailingPadding));
    assert_false(o.source.read_at(o.source.ctx, el->offset + el->length, at, 1 << 20, &e));
    retrieve_close(&o);
}

static void open_deflated(struct fixture *f, unsigned pixel_bytes) {
    struct err e = {0};
    struct retrieve_object o;
    struct dcm_dataset *ds = dcm_dataset_new(&f->arena, &e);
    uint8_t *pixels = arena_alloc(&f->arena, pixel_bytes, &e), *back = arena_alloc(&f->arena, pixel_bytes, &e);
    for (unsigned i = 0; i < pixel_bytes; i++) pixels[i] = (uint8_t)(i / 7 * 31);
    header_of(f, ds, "1");
    buf_clear(&f->object);
    if (!dcm_put_bytes(ds, DCM_PixelData, DCM_VR_OW, pixels, pixel_bytes, &e) ||
        !dcm_write_part10(ds, dcm_ts_find(STR_LIT(DEFLATED)), NULL, dcm_sink_buf(&f->object), &e))
        fail_msg("%s", e.message);
    store(f);
    if (!retrieve_open(f->ar, &f->arena, the_object(f), &o, &e)) fail_msg("%s", e.message);
    assert_ptr_equal(o.ts, dcm_ts_explicit_le);
    const struct dcm_element *el = dcm_find(o.header, DCM_PixelData);
    assert_int_equal(el->length, pixel_bytes);
    if (!o.source.read_at(o.source.ctx, el->offset, back, pixel_bytes, &e)) fail_msg("%s", e.message);
    assert_memory_equal(back, pixels, pixel_bytes);
    retrieve_close(&o);
}

static void a_small_deflated_object_is_inflated_in_memory(void **state) {
    open_deflated(*state, 10000);
}

static void a_large_one_in_a_file(void **state) {
    open_deflated(*state, 9 << 20);
}

// Random runs of a damaged object: each is served as it was stored, or not at all; those in undamaged blocks are served.
static void check_runs(struct fixture *f, const struct instance_ref *ref, const char *good, uint64_t flipped, unsigned *random) {
    struct err e = {0};
    char *back = arena_alloc(&f->arena, f->object.n, &e);
    for (int i = 0; i < 60; i++) {
        *random = *random * 1664525u + 1013904223u;
        uint64_t from = *random % ref->loc.length;
        *random = *random * 1664525u + 1013904223u;
        size_t n = (size_t)((*random >> 8) % 200000);
        if (n > ref->loc.length - from) n = (size_t)(ref->loc.length - from);
        bool touches = n && from / SUMS_BLOCK_BYTES <= flipped / SUMS_BLOCK_BYTES && flipped / SUMS_BLOCK_BYTES <= (from + n - 1) / SUMS_BLOCK_BYTES;
        bool served = retrieve_read(f->ar, ref, from, back, n, &e);
        assert_true(served == !touches);
        if (served) assert_memory_equal(back, good + from, n);
        if (!served) assert_int_equal(e.kind, ERR_CORRUPT);
        assert_true(retrieve_check_range(f->ar, ref, from, n, &e) == !touches);
    }
    assert_false(retrieve_check(f->ar, ref, &e));
    assert_false(retrieve_read(f->ar, ref, 0, back, ref->loc.length, &e));
}

static void damage_is_not_served_and_what_is_whole_still_is(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    char path[128];
    unsigned random = 12345;
    make_object(f, &(struct sample){.pixel_bytes = 1 << 20, .fill = 7});
    store(f);
    const struct instance_ref *ref = the_object(f);
    struct str good;
    assert_true(arena_dup(&f->arena, buf_str(&f->object), &good, &e));
    volume_path(f, ref->loc.volume, path);
    for (int i = 0; i < 40; i++) {
        random = random * 1664525u + 1013904223u;
        uint64_t at = i == 0 ? 0 : i == 1 ? ref->loc.length - 1 : random % ref->loc.length;
        unsigned bit = random >> 29;
        flip_bit(path, ref->loc.offset + at, bit);
        check_runs(f, ref, good.p, at, &random);
        flip_bit(path, ref->loc.offset + at, bit);
        size_t n;
        assert_true(str_eq(fetch(f, "1.2.3.4.1", &n), good));
    }
}

static void sums_are_not_made_of_damaged_bytes(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    char path[128], byte;
    make_object(f, &(struct sample){.pixel_bytes = 1 << 20, .fill = 7});
    store(f);
    const struct instance_ref *ref = the_object(f);
    run_sql(f, "DELETE FROM instance_parts");
    volume_path(f, ref->loc.volume, path);
    flip_bit(path, ref->loc.offset + 500000, 1);
    assert_false(retrieve_read(f->ar, ref, 0, &byte, 1, &e)); // nothing is known of any part of it
    assert_int_equal(e.kind, ERR_CORRUPT);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instance_parts"), 0);
    flip_bit(path, ref->loc.offset + 500000, 1);
    assert_true(retrieve_read(f->ar, ref, 0, &byte, 1, &e));
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instance_parts WHERE length(sums) > 100"), 1);
}

static void sums_do_not_depend_on_how_bytes_came(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    size_t n = 5 * SUMS_BLOCK_BYTES + 77;
    uint8_t *p = arena_alloc(&f->arena, n, &e);
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(i * i >> 5);
    for (size_t step = 1; step < n; step = step * 5 + 1) {
        struct sums s;
        struct str list;
        sums_init(&s);
        for (size_t at = 0; at < n; at += step) sums_add(&s, p + at, n - at < step ? n - at : step);
        assert_true(sums_final(&s, &list, &e));
        assert_int_equal(list.n, 6 * 8);
        for (size_t i = 0; i < 6; i++) {
            uint64_t sum, want = sum_of(p + i * SUMS_BLOCK_BYTES, i < 5 ? SUMS_BLOCK_BYTES : 77);
            memcpy(&sum, list.p + 8 * i, 8);
            assert_true(sum == want);
        }
        sums_deinit(&s);
    }
}

#if defined(__x86_64__)
// The upper halves of the sixteen registers that 128-bit instructions use.
__attribute__((target("avx"))) static bool upper_halves_are_clear(void) {
    static const uint8_t zero[16 * 16];
    uint8_t upper[16 * 16];
#define HALF(n) "vextractf128 $1, %%ymm" #n ", 16*" #n "(%0)\n\t"
    __asm__ volatile(HALF(0) HALF(1) HALF(2) HALF(3) HALF(4) HALF(5) HALF(6) HALF(7) HALF(8) HALF(9) HALF(10) HALF(11) HALF(12) HALF(13) HALF(14) HALF(15)
                     :
                     : "r"(upper)
                     : "memory");
#undef HALF
    return memcmp(upper, zero, sizeof upper) == 0;
}
#endif

static void a_sum_leaves_no_wide_vectors_in_use(void **state) {
    (void)state;
#if defined(__x86_64__)
    uint8_t bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
    if (!__builtin_cpu_supports("avx")) skip();
    for (size_t n = 1; n <= sizeof bytes; n *= 2) {
        uint64_t sum = sum_of(bytes, n);
        bool clear = upper_halves_are_clear();
        assert_true(sum != 0);
        assert_true(clear);
    }
#endif
}

static void what_is_deleted_leaves_no_parts(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    uint64_t count;
    make_encapsulated(f, "5", 5);
    store(f);
    if (!archive_delete(f->ar, &TESTER, STR_LIT("1.2.3"), (struct str){0}, (struct str){0}, STR_LIT("test"), &count, &e)) fail_msg("%s", e.message);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instance_parts"), 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(frames_are_known_from_ingest_and_made_when_they_are_not),
        TEST(why_frames_cannot_be_told_is_kept),
        TEST(the_whole_data_set_points_into_the_source),
        TEST(large_native_pixels_are_not_read_to_be_pointed_at),
        TEST(a_small_deflated_object_is_inflated_in_memory),
        TEST(a_large_one_in_a_file),
        TEST(damage_is_not_served_and_what_is_whole_still_is),
        TEST(sums_are_not_made_of_damaged_bytes),
        TEST(sums_do_not_depend_on_how_bytes_came),
        cmocka_unit_test(a_sum_leaves_no_wide_vectors_in_use),
        TEST(what_is_deleted_leaves_no_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
