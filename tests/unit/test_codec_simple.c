// Behaviour of RLE, encapsulated uncompressed and deflated frames: what goes in comes out, of every shape, and damaged frames are refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdlib.h>

#include "base/limits.h"
#include "codec/perform.h"
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

static const char *const SYNTAXES[] = {DCM_UID_RLELossless, DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian, DCM_UID_DeflatedImageFrameCompression};
enum { SYNTAX_COUNT = sizeof SYNTAXES / sizeof SYNTAXES[0] };

static const struct dcm_ts *ts_of(const char *uid) {
    return dcm_ts_find(str_of(uid));
}

struct shape {
    uint32_t rows, columns;
    unsigned samples, bits;
    bool planar;
};

static struct px_image image_of(struct shape s) {
    return (struct px_image){.rows = s.rows,
                             .columns = s.columns,
                             .frames = 1,
                             .samples = s.samples,
                             .bits_allocated = s.bits,
                             .bits_stored = s.bits,
                             .high_bit = s.bits - 1,
                             .planar = s.planar,
                             .photometric = s.samples == 3 ? PX_RGB : PX_MONOCHROME2};
}

// Noise, gradients and flat areas, so that runs of every length come.
static uint8_t *picture(size_t n, unsigned kind) {
    uint8_t *p = arena_alloc(&arena, n + 1, NULL);
    uint32_t r = kind + 1;
    for (size_t i = 0; i < n; i++) {
        r = r * 1664525 + 1013904223;
        unsigned step = kind % 4;
        p[i] = step == 0   ? (uint8_t)(r >> 24)
               : step == 1 ? (uint8_t)(r >> 30)
               : step == 2 ? (uint8_t)(i / 300)
                           : (uint8_t)((r >> 28) == 0 ? r >> 16 : p[i ? i - 1 : 0]);
    }
    return p;
}

static struct str encoded(const struct dcm_ts *ts, const struct px_image *image, const uint8_t *p, size_t n, unsigned bit_offset, struct px_image *result) {
    struct codec_job job = {.task = CODEC_ENCODE, .to = ts, .image = *image, .input = {(const char *)p, n}, .bit_offset = bit_offset};
    struct err e = {0};
    if (!codec_job_run(&job, &arena, &e)) fail_msg("%s: %s", ts->name, e.message);
    *result = job.result_image;
    return job.codestream;
}

static bool decoded(const struct dcm_ts *ts, const struct px_image *image, struct str codestream, struct px_frame *out, struct err *e) {
    // right behind the codestream nothing may be read: it is copied to where a sanitizer sees that
    char *copy = malloc(codestream.n + 1);
    if (codestream.n) memcpy(copy, codestream.p, codestream.n);
    char *exact = realloc(copy, codestream.n ? codestream.n : 1);
    struct codec_job job = {.task = CODEC_DECODE, .from = ts, .image = *image, .input = {exact, codestream.n}};
    bool ok = codec_job_run(&job, &arena, e);
    *out = job.frame;
    free(exact);
    return ok;
}

static void every_shape_comes_back_the_same(void **state) {
    (void)state;
    static const struct shape shapes[] = {{1, 1, 1, 8},      {1, 1, 3, 16},   {7, 5, 1, 8},     {64, 64, 1, 16},  {31, 129, 3, 8},
                                          {100, 300, 1, 16}, {33, 65, 1, 32}, {9, 17, 3, 32},   {5, 4099, 3, 16}, {40, 257, 1, 8},
                                          {3, 3, 1, 1},      {16, 24, 1, 1},  {300, 301, 1, 1}, {8, 10, 3, 8, 1}, {9, 11, 3, 16, 1}};
    for (unsigned k = 0; k < SYNTAX_COUNT * 4; k++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            const struct dcm_ts *ts = ts_of(SYNTAXES[k / 4]);
            struct px_image image = image_of(shapes[i]), result;
            size_t n = (size_t)((px_frame_bits(&image) + 7) / 8);
            uint8_t *p = picture(n, k);
            struct str codestream = encoded(ts, &image, p, n, 0, &result);
            struct px_frame back;
            struct err e = {0};
            if (!decoded(ts, &result, codestream, &back, &e)) fail_msg("%s, shape %zu: %s", ts->name, i, e.message);
            const struct px_frame in = {.image = image, .bytes = p, .n = n};
            assert_true(codec_same(&in, &back, &(struct codec_tolerance){.exact = true}, &e));
            assert_false(back.image.planar);
            arena_reset(&arena);
        }
}

static void pixels_of_one_bit_may_begin_within_a_byte(void **state) {
    (void)state;
    struct px_image image = image_of((struct shape){5, 7, 1, 1, 0}), result;
    static const uint8_t bits[] = {0xA8, 0x55, 0x0F, 0xF3, 0xFF};
    for (unsigned k = 0; k < SYNTAX_COUNT; k++) {
        struct px_frame back;
        struct str codestream = encoded(ts_of(SYNTAXES[k]), &image, bits, sizeof bits, 3, &result);
        assert_true(decoded(ts_of(SYNTAXES[k]), &result, codestream, &back, NULL));
        static const uint8_t wanted[] = {0xB5, 0xEA, 0x61, 0xFE, 0x07}; // the same bits from the third on, nothing behind the 35th
        assert_memory_equal(back.bytes, wanted, sizeof wanted);
    }
}

// The example of PS3.5 G.3.1's rules: a literal, a replicate, and a no-operation in between.
static void rle_packs_as_the_standard_says(void **state) {
    (void)state;
    static const uint8_t stream[RLE_HEADER_BYTES + 10] = {1, 0, 0, 0, 64, [64] = 2, 7, 8, 9, 0x80, (uint8_t)-3, 5, 0, 6, 0};
    struct px_image image = image_of((struct shape){2, 4, 1, 8, 0}), result;
    struct px_frame back;
    struct err e = {0};
    if (!decoded(ts_of(DCM_UID_RLELossless), &image, (struct str){(const char *)stream, sizeof stream}, &back, &e)) fail_msg("%s", e.message);
    static const uint8_t wanted[] = {7, 8, 9, 5, 5, 5, 5, 6};
    assert_memory_equal(back.bytes, wanted, sizeof wanted);
    // rows are packed each for itself, segments are even
    static const uint8_t flat[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct str codestream = encoded(ts_of(DCM_UID_RLELossless), &image, flat, sizeof flat, 0, &result);
    assert_int_equal(codestream.n, RLE_HEADER_BYTES + 4);
    assert_memory_equal(codestream.p + RLE_HEADER_BYTES, "\xFD\1\xFD\1", 4);
}

static void the_most_significant_byte_is_the_first_segment(void **state) {
    (void)state;
    struct px_image image = image_of((struct shape){1, 2, 1, 16, 0}), result;
    static const uint8_t pixels[] = {0x34, 0x12, 0x78, 0x56};
    struct str codestream = encoded(ts_of(DCM_UID_RLELossless), &image, pixels, sizeof pixels, 0, &result);
    assert_memory_equal(codestream.p, "\2\0\0\0\x40\0\0\0\x44\0\0\0", 12);
    assert_memory_equal(codestream.p + RLE_HEADER_BYTES, "\1\x12\x56\0\1\x34\x78\0", 8);
}

static void one_bit_rle_with_a_byte_a_pixel_is_read_too(void **state) {
    (void)state;
    uint8_t stream[RLE_HEADER_BYTES + 8] = {1, 0, 0, 0, 64, [64] = (uint8_t)-11, 1, (uint8_t)-11, 0};
    struct px_image image = image_of((struct shape){1, 24, 1, 1, 0});
    struct px_frame back;
    assert_true(decoded(ts_of(DCM_UID_RLELossless), &image, (struct str){(const char *)stream, RLE_HEADER_BYTES + 4}, &back, NULL));
    assert_memory_equal(back.bytes, "\xFF\x0F\0", 3);
}

static void refused(const char *uid, const struct px_image *image, const void *p, size_t n) {
    struct px_frame back;
    struct err e = {0};
    assert_false(decoded(ts_of(uid), image, (struct str){p, n}, &back, &e));
    assert_int_equal(e.kind, ERR_UNDECODABLE);
    assert_true(e.message[0] != 0);
}

static void damaged_frames_are_refused_wherever_they_are_cut(void **state) {
    (void)state;
    struct px_image image = image_of((struct shape){20, 30, 1, 16, 0}), result;
    size_t n = 20 * 30 * 2;
    uint8_t *p = picture(n, 3);
    for (unsigned k = 0; k < SYNTAX_COUNT; k++) {
        struct str codestream = encoded(ts_of(SYNTAXES[k]), &image, p, n, 0, &result);
        size_t needed = codestream.n - 2; // what makes it even does not count
        for (size_t cut = 0; cut < needed; cut += 1 + cut / 50) refused(SYNTAXES[k], &image, codestream.p, cut);
    }
}

static void rle_headers_that_lie_are_refused(void **state) {
    (void)state;
    static const uint32_t headers[][4] = {{0, 64, 0, 0},  {1, 64, 0, 0},  {3, 64, 70, 80},        {2, 64, 4000, 0}, {2, 63, 70, 0},
                                          {2, 70, 64, 0}, {2, 64, 64, 0}, {2, 64, 0xFFFFFFFF, 0}, {15, 64, 64, 64}, {0xFFFFFFFF, 64, 66, 0}};
    struct px_image image = image_of((struct shape){4, 4, 1, 16, 0});
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        uint8_t stream[100] = {0};
        memcpy(stream, headers[i], sizeof headers[i]);
        refused(DCM_UID_RLELossless, &image, stream, sizeof stream);
    }
}

static void a_bomb_takes_no_memory(void **state) {
    (void)state;
    uint8_t stream[200] = {1, 0, 0, 0, 64};
    struct px_image image = image_of((struct shape){65535, 8000, 1, 8, 0});
    size_t before = arena.used;
    refused(DCM_UID_RLELossless, &image, stream, sizeof stream);
    assert_true(arena.used - before < 1024);
    // deflate: twice what was declared
    struct px_image large = image_of((struct shape){1000, 1000, 1, 8, 0}), half = image_of((struct shape){500, 1000, 1, 8, 0}), result;
    struct str codestream = encoded(ts_of(DCM_UID_DeflatedImageFrameCompression), &large, arena_zero(&arena, 1000, 1000, NULL), 1000000, 0, &result);
    refused(DCM_UID_DeflatedImageFrameCompression, &half, codestream.p, codestream.n);
    large.rows = 2000;
    refused(DCM_UID_DeflatedImageFrameCompression, &large, codestream.p, codestream.n);
}

static void ybr_full_422_is_widened(void **state) {
    (void)state;
    struct px_image image = image_of((struct shape){1, 2, 3, 8, 0});
    struct px_frame back;
    image.photometric = PX_YBR_FULL_422;
    assert_true(decoded(ts_of(DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian), &image, STR_LIT("\1\2\3\4"), &back, NULL));
    assert_int_equal(back.image.photometric, PX_YBR_FULL);
    assert_memory_equal(back.bytes, "\1\3\4\2\3\4", 6);
    struct codec_job job = {.task = CODEC_ENCODE, .to = ts_of(DCM_UID_RLELossless), .image = image, .input = STR_LIT("\1\2\3\4")};
    struct err e = {0};
    assert_false(codec_job_run(&job, &arena, &e));
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

// ---- what counts as the same ----

static bool same(const void *a, const void *b, size_t n, struct px_image image, struct codec_tolerance t, enum err_kind *kind) {
    const struct px_frame x = {.image = image, .bytes = a, .n = n}, y = {.image = image, .bytes = b, .n = n};
    struct err e = {0};
    bool ok = codec_same(&x, &y, &t, &e);
    *kind = e.kind;
    return ok;
}

static void only_equal_pixels_are_lossless(void **state) {
    (void)state;
    static const uint16_t in[] = {0x0FFF, 0x0001}, sign[] = {0xFFFF, 0x0001}, other[] = {0x0FFE, 0x0001}, overlay[] = {0x8FFF, 0x0001};
    struct px_image image = image_of((struct shape){1, 2, 1, 16, 0});
    const struct codec_tolerance exact = {.exact = true};
    enum err_kind kind;
    image.bits_stored = 12, image.high_bit = 11, image.is_signed = true;
    assert_true(same(in, in, sizeof in, image, exact, &kind));
    assert_true(same(in, sign, sizeof in, image, exact, &kind)); // the same value, written with and without its sign
    assert_false(same(in, other, sizeof in, image, exact, &kind));
    assert_int_equal(kind, ERR_UNDECODABLE);
    assert_false(same(overlay, in, sizeof in, image, exact, &kind)); // the bit above the stored ones is lost
    assert_int_equal(kind, ERR_UNSUPPORTED);
}

static void lossy_pixels_stay_near_and_are_never_blank(void **state) {
    (void)state;
    struct px_image image = image_of((struct shape){1, 4, 1, 8, 0});
    enum err_kind kind;
    static const uint8_t in[] = {10, 20, 200, 250}, near[] = {12, 18, 201, 250}, blank[] = {120, 120, 120, 120}, inverse[] = {245, 235, 55, 5};
    assert_true(same(in, near, 4, image, (struct codec_tolerance){.near = 2}, &kind));
    assert_false(same(in, near, 4, image, (struct codec_tolerance){.near = 1}, &kind));
    assert_true(same(in, near, 4, image, (struct codec_tolerance){.quality = 90}, &kind));
    assert_false(same(in, blank, 4, image, (struct codec_tolerance){.quality = 1}, &kind));
    assert_false(same(in, inverse, 4, image, (struct codec_tolerance){.quality = 1}, &kind));
    assert_true(same(blank, blank, 4, image, (struct codec_tolerance){.quality = 90}, &kind));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_comes_back_the_same),
        cmocka_unit_test(pixels_of_one_bit_may_begin_within_a_byte),
        cmocka_unit_test(rle_packs_as_the_standard_says),
        cmocka_unit_test(the_most_significant_byte_is_the_first_segment),
        cmocka_unit_test(one_bit_rle_with_a_byte_a_pixel_is_read_too),
        cmocka_unit_test(damaged_frames_are_refused_wherever_they_are_cut),
        cmocka_unit_test(rle_headers_that_lie_are_refused),
        cmocka_unit_test(a_bomb_takes_no_memory),
        cmocka_unit_test(ybr_full_422_is_widened),
        cmocka_unit_test(only_equal_pixels_are_lossless),
        cmocka_unit_test(lossy_pixels_stay_near_and_are_never_blank),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
