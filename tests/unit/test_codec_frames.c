// Behaviour of frame tables: whichever way the frames of encapsulated pixel data are told, whole or streaming, they are the same runs of bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdlib.h>

#include "base/limits.h"
#include "codec/frames.h"
#include "codec/reader.h"
#include "dicom/read.h"
#include "dicom/uids.h"

enum { RLE_HEADER_BYTES = 64 };

static struct arena arena;

static int setup(void **state) {
    arena_init(&arena, 1 << 30);
    *state = &arena;
    return 0;
}

static int teardown(void **state) {
    arena_deinit(*state);
    return 0;
}

// ---- pixel data, item by item, as a stream: some bytes that are not of it, the items, the delimiter ----

enum { BEFORE = 100 };
static struct buf stream;

static void put32(uint32_t v) {
    uint8_t p[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    buf_add(&stream, p, sizeof p);
}

static void begin(void) {
    buf_deinit(&stream);
    buf_init(&stream, 1 << 28);
    for (int i = 0; i < BEFORE; i++) buf_addc(&stream, 'x');
}

static void item(const void *p, size_t n) {
    put32(0xE000FFFE);
    put32((uint32_t)n);
    buf_add(&stream, p, n);
}

static void table(unsigned n, const uint32_t *offsets) {
    put32(0xE000FFFE);
    put32(4 * n);
    for (unsigned i = 0; i < n; i++) put32(offsets[i]);
}

static void end(void) {
    put32(0xE0DDFFFE);
    put32(0);
}

#define JPEG "\xFF\xD8\xFF\xE0"
#define J2K "\xFF\x4F\xFF\x51"
#define ITEM(s) item(s, sizeof(s) - 1)

// ---- both ways of finding out ----

struct header {
    int frames;
    const uint64_t *extended, *lengths; // frames of them
};

static struct dcm_dataset *header_of(struct header h) {
    struct dcm_dataset *ds = dcm_dataset_new(&arena, NULL);
    size_t n = (size_t)h.frames * 8;
    if (h.frames) assert_true(dcm_put_int(ds, DCM_NumberOfFrames, h.frames, NULL));
    if (h.extended) assert_true(dcm_put_bytes(ds, DCM_ExtendedOffsetTable, DCM_VR_OV, h.extended, n, NULL));
    if (h.lengths) assert_true(dcm_put_bytes(ds, DCM_ExtendedOffsetTableLengths, DCM_VR_OV, h.lengths, n, NULL));
    return ds;
}

static const struct dcm_ts *ts_of(const char *uid) {
    return dcm_ts_find(str_of(uid));
}

static bool scan(struct header h, const struct dcm_ts *ts, size_t piece, struct codec_frames *out, struct err *e) {
    struct codec_scan *s = codec_scan_new(header_of(h), ts, BEFORE, NULL);
    assert_non_null(s);
    for (size_t at = BEFORE; at < stream.n; at += piece) codec_scan_feed(s, stream.p + at, piece < stream.n - at ? piece : stream.n - at);
    bool ok = codec_scan_end(s, &arena, out, e);
    codec_scan_free(s);
    return ok;
}

// The fragments as the reader of data sets finds them.
static struct dcm_dataset *whole(struct header h) {
    struct dcm_dataset *ds = header_of(h);
    struct dcm_fragment *list = arena_zero(&arena, stream.n / 8, sizeof *list, NULL);
    uint32_t n = 0;
    for (size_t at = BEFORE; at + 8 <= stream.n;) {
        uint32_t head[2];
        memcpy(head, stream.p + at, sizeof head);
        if (head[0] != 0xE000FFFE) break;
        list[n++] = (struct dcm_fragment){at + 8, head[1]};
        at += 8 + head[1];
    }
    struct dcm_element el = {.tag = DCM_PixelData, .vr = DCM_VR_OB, .flags = DCM_FRAGMENTS | DCM_UNDEFINED_LENGTH, .fragments = list, .item_count = n};
    assert_true(dcm_put_element(ds, &el, NULL));
    return ds;
}

static bool of_dataset(struct header h, const struct dcm_ts *ts, struct codec_frames *out, struct err *e) {
    struct str bytes = buf_str(&stream);
    struct dcm_source source = dcm_source_memory(&bytes);
    return codec_frames_of(&arena, whole(h), ts, (uint32_t)h.frames, &source, out, e);
}

static void same_tables(const struct codec_frames *a, const struct codec_frames *b) {
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->first, b->first, (a->count + 1) * sizeof *a->first);
    assert_memory_equal(a->runs, b->runs, a->first[a->count] * sizeof *a->runs);
}

static void survives_packing(const struct codec_frames *f) {
    struct codec_frames back;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_true(codec_frames_pack(f, &b, NULL));
    assert_true(codec_frames_unpack(&arena, buf_str(&b), &back, NULL));
    same_tables(f, &back);
    for (size_t n = 0; n < b.n; n++) { // cut short anywhere it is refused
        struct err e = {0};
        assert_false(codec_frames_unpack(&arena, str_sub(buf_str(&b), 0, n), &back, &e));
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
    buf_deinit(&b);
}

static struct codec_frames found(struct header h, const char *uid) {
    struct codec_frames f, again;
    struct err e = {0};
    if (!of_dataset(h, ts_of(uid), &f, &e)) fail_msg("data set: %s", e.message);
    for (size_t piece = 1; piece < 300; piece = piece * 3 + 1) {
        if (!scan(h, ts_of(uid), piece, &again, &e)) fail_msg("stream by %zu: %s", piece, e.message);
        same_tables(&f, &again);
    }
    survives_packing(&f);
    return f;
}

static void refused(struct header h, const char *uid) {
    struct codec_frames f;
    struct err e = {0}, other = {0};
    assert_false(of_dataset(h, ts_of(uid), &f, &e));
    assert_int_equal(e.kind, ERR_UNDECODABLE);
    assert_false(scan(h, ts_of(uid), 7, &f, &other));
    assert_int_equal(other.kind, ERR_UNDECODABLE);
}

static void frame_is(const struct codec_frames *f, uint32_t frame, const char *text) {
    struct str bytes = buf_str(&stream), out;
    struct dcm_source source = dcm_source_memory(&bytes);
    struct codec_object o = {.source = &source, .frames = f};
    struct err e = {0};
    if (!codec_read_frame(&arena, &o, frame, &out, &e)) fail_msg("frame %u: %s", frame, e.message);
    if (!str_eqz(out, text)) fail_msg("frame %u is '%.*s', not '%s'", frame, STR_FMT(out), text);
}

// ---- the ways to tell ----

static void as_many_fragments_as_frames_are_one_each(void **state) {
    (void)state;
    static const uint32_t wrong[] = {0, 4, 4};
    for (int with_table = 0; with_table < 3; with_table++) {
        begin();
        table(with_table == 1 ? 3 : with_table == 2 ? 2 : 0, wrong);
        ITEM("one "), ITEM("second"), ITEM("threee");
        end();
        struct codec_frames f = found((struct header){.frames = 3}, DCM_UID_DeflatedImageFrameCompression);
        assert_int_equal(f.count, 3);
        frame_is(&f, 0, "one "), frame_is(&f, 1, "second"), frame_is(&f, 2, "threee");
    }
}

static void a_single_frame_takes_all_fragments(void **state) {
    (void)state;
    begin();
    table(0, NULL);
    ITEM(JPEG "aa"), ITEM(""), ITEM("bb"), ITEM("cc");
    end();
    struct codec_frames f = found((struct header){0}, DCM_UID_JPEGBaseline8Bit);
    assert_int_equal(f.count, 1);
    frame_is(&f, 0, JPEG "aabbcc");
    struct err e = {0};
    struct str out;
    assert_false(codec_read_frame(&arena, &(struct codec_object){.frames = &f}, 1, &out, &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void the_basic_offset_table_tells_when_it_is_right(void **state) {
    (void)state;
    static const uint32_t offsets[] = {0, 22};
    begin();
    table(2, offsets);
    ITEM("ab"), ITEM("cdef"), ITEM("gh"), ITEM("ij");
    end();
    struct codec_frames f = found((struct header){.frames = 2}, DCM_UID_JPEG2000);
    frame_is(&f, 0, "abcdef"), frame_is(&f, 1, "ghij");
}

static void an_offset_table_that_lies_is_not_followed(void **state) {
    (void)state;
    static const uint32_t wrong[][2] = {{0, 0}, {0, 21}, {0, 4000000000}, {22, 0}, {10, 22}, {8, 30}, {0xFFFFFFFF, 22}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        begin();
        table(2, wrong[i]);
        ITEM("ab"), ITEM("cdef"), ITEM("gh"), ITEM("ij");
        end();
        refused((struct header){.frames = 2}, DCM_UID_JPEG2000); // nothing else tells
        begin();
        table(2, wrong[i]);
        ITEM(J2K), ITEM("cdef"), ITEM("gh"), ITEM(J2K "ij");
        end();
        struct codec_frames f = found((struct header){.frames = 2}, DCM_UID_JPEG2000);
        frame_is(&f, 0, J2K "cdefgh"), frame_is(&f, 1, J2K "ij");
    }
}

static void the_extended_offset_table_tells_too_and_trims_the_padding(void **state) {
    (void)state;
    static const uint64_t offsets[] = {0, 12}, lengths[] = {3, 2};
    begin();
    table(0, NULL);
    ITEM("abc\0"), ITEM("de");
    end();
    struct codec_frames f = found((struct header){.frames = 2, .extended = offsets, .lengths = lengths}, DCM_UID_JPEG2000);
    frame_is(&f, 0, "abc"), frame_is(&f, 1, "de");
    static const uint64_t split[] = {0, 20};
    begin();
    table(0, NULL);
    ITEM("ab"), ITEM("cd"), ITEM("ef");
    end();
    f = found((struct header){.frames = 2, .extended = split}, DCM_UID_JPEG2000);
    frame_is(&f, 0, "abcd"), frame_is(&f, 1, "ef");
    static const uint64_t wild[] = {0, UINT64_MAX - 7};
    refused((struct header){.frames = 2, .extended = wild}, DCM_UID_JPEG2000);
}

static void codestreams_are_found_by_their_first_bytes(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } starts[] = {{JPEG, 4}, {J2K, 4}, {"\0\0\0\x0CjP  \r\n\x87\n", 12}, {"\xFF\x0A", 2}};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        begin();
        table(0, NULL);
        item(starts[i].bytes, starts[i].n), ITEM("aa"), item(starts[i].bytes, starts[i].n), ITEM("bb"), ITEM("cc");
        end();
        struct codec_frames f = found((struct header){.frames = 2}, DCM_UID_JPEG2000);
        assert_int_equal(f.first[1], 2);
        assert_int_equal(f.first[2], 5);
    }
}

static void an_rle_header_begins_a_frame(void **state) {
    (void)state;
    uint8_t header[RLE_HEADER_BYTES + 6] = {2, 0, 0, 0, 64, 0, 0, 0, 66};
    begin();
    table(0, NULL);
    item(header, sizeof header), ITEM("\2\0\0\0 looks like one"), item(header, sizeof header), ITEM("more");
    end();
    struct codec_frames f = found((struct header){.frames = 2}, DCM_UID_RLELossless);
    assert_int_equal(f.first[1], 2);
    header[8] = 60; // the second segment would lie before the first
    begin();
    table(0, NULL);
    item(header, sizeof header), ITEM("more"), item(header, sizeof header), ITEM("more");
    end();
    refused((struct header){.frames = 2}, DCM_UID_RLELossless);
}

static void frames_that_are_not_there_are_not_counted(void **state) {
    (void)state;
    begin();
    table(0, NULL);
    ITEM(JPEG "a"), ITEM("bb"), ITEM(JPEG "c");
    end();
    struct codec_frames f = found((struct header){.frames = 5}, DCM_UID_JPEGBaseline8Bit);
    assert_int_equal(f.count, 2);
    begin();
    table(0, NULL);
    ITEM(JPEG "a"), ITEM(JPEG "b"), ITEM(JPEG "c"), ITEM(JPEG "d");
    end();
    refused((struct header){.frames = 3}, DCM_UID_JPEGBaseline8Bit); // whose is the fourth?
}

static void video_is_one_run_of_bytes(void **state) {
    (void)state;
    begin();
    table(0, NULL);
    ITEM("abcd"), ITEM("ef");
    end();
    for (int frames = 1; frames < 4; frames++) {
        struct codec_frames f = found((struct header){.frames = frames}, DCM_UID_MPEG4HP41);
        assert_int_equal(f.count, 1);
        frame_is(&f, 0, "abcdef");
    }
}

// ---- hostile ----

static void scan_fails(struct header h) {
    struct codec_frames f;
    struct err e = {0};
    assert_false(scan(h, ts_of(DCM_UID_JPEG2000), 5, &f, &e));
    assert_int_equal(e.kind, ERR_UNDECODABLE);
    assert_true(e.message[0] != 0);
}

static void an_item_beyond_the_end_is_told(void **state) {
    (void)state;
    begin();
    table(0, NULL);
    ITEM("ab");
    put32(0xE000FFFE);
    put32(0xFFFFFFFE);
    buf_addz(&stream, "cd");
    scan_fails((struct header){.frames = 2});
    begin();
    put32(0xE000FFFE);
    put32(0xFFFFFFF0); // an offset table without end
    buf_addz(&stream, "cd");
    scan_fails((struct header){.frames = 2});
}

static void what_is_no_item_is_told(void **state) {
    (void)state;
    begin();
    table(0, NULL);
    ITEM("ab");
    buf_addz(&stream, "no item at all");
    scan_fails((struct header){.frames = 1});
    begin();
    table(0, NULL);
    put32(0xE000FFFE);
    put32(0xFFFFFFFF);
    scan_fails((struct header){.frames = 1});
    begin();
    table(0, NULL);
    end();
    refused((struct header){.frames = 1}, DCM_UID_JPEG2000);
    begin();
    scan_fails((struct header){.frames = 1});
}

static void a_stream_that_ends_with_the_last_fragment_is_whole(void **state) {
    (void)state;
    struct codec_frames f;
    begin();
    table(0, NULL);
    ITEM("ab");
    assert_true(scan((struct header){.frames = 1}, ts_of(DCM_UID_JPEG2000), 64, &f, NULL));
    frame_is(&f, 0, "ab");
}

static void more_fragments_than_are_bearable_are_refused_in_bounded_memory(void **state) {
    (void)state;
    static uint8_t empty[8 * 1024];
    for (size_t i = 0; i < sizeof empty; i += 8) memcpy(empty + i, "\xFE\xFF\x00\xE0\0\0\0\0", 8);
    struct codec_scan *s = codec_scan_new(header_of((struct header){.frames = 2}), ts_of(DCM_UID_JPEG2000), 0, NULL);
    struct codec_frames f;
    struct err e = {0};
    for (size_t n = 0; n < DCM_FRAGMENTS_MAX + 4096u; n += sizeof empty / 8) codec_scan_feed(s, empty, sizeof empty);
    assert_false(codec_scan_end(s, &arena, &f, &e));
    assert_int_equal(e.kind, ERR_UNDECODABLE);
    codec_scan_free(s);
}

static void a_frame_larger_than_any_is_not_read(void **state) {
    (void)state;
    static const uint32_t first[] = {0, 2};
    const struct codec_run runs[] = {{0, PX_FRAME_BYTES_MAX}, {1ull << 40, UINT64_MAX - 100}};
    const struct codec_frames f = {1, first, runs};
    struct str out;
    struct err e = {0};
    assert_false(codec_read_frame(&arena, &(struct codec_object){.frames = &f}, 0, &out, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
}

static void what_is_no_packed_table_is_refused(void **state) {
    (void)state;
    static const char *const damaged[] = {"",
                                          "\1",
                                          "\2\1\1\1\1",
                                          "\1\2\1\1\1",
                                          "\1\1\1\1\1\1",
                                          "\1\1\2\3\1\1\1\1",
                                          "\1\xFF\xFF\xFF\xFF\x0F\xFF\xFF\xFF\xFF\x0F\1\1",
                                          "\1\1\1\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1\1",
                                          "\1\1\1\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\1"};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct codec_frames f;
        struct err e = {0};
        if (codec_frames_unpack(&arena, str_of(damaged[i]), &f, &e)) fail_msg("%zu is taken", i);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_fragments_as_frames_are_one_each),
        cmocka_unit_test(a_single_frame_takes_all_fragments),
        cmocka_unit_test(the_basic_offset_table_tells_when_it_is_right),
        cmocka_unit_test(an_offset_table_that_lies_is_not_followed),
        cmocka_unit_test(the_extended_offset_table_tells_too_and_trims_the_padding),
        cmocka_unit_test(codestreams_are_found_by_their_first_bytes),
        cmocka_unit_test(an_rle_header_begins_a_frame),
        cmocka_unit_test(frames_that_are_not_there_are_not_counted),
        cmocka_unit_test(video_is_one_run_of_bytes),
        cmocka_unit_test(an_item_beyond_the_end_is_told),
        cmocka_unit_test(what_is_no_item_is_told),
        cmocka_unit_test(a_stream_that_ends_with_the_last_fragment_is_whole),
        cmocka_unit_test(more_fragments_than_are_bearable_are_refused_in_bounded_memory),
        cmocka_unit_test(a_frame_larger_than_any_is_not_read),
        cmocka_unit_test(what_is_no_packed_table_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    buf_deinit(&stream);
    return failed;
}
