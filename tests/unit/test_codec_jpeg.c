// Behaviour of the JPEG family: made codestreams of every lossless predictor, depth and restart interval, 12-bit DCT, colour by markers, encoders, refusals, damage.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/codec.h"
#include "codec/jpeg.h"
#include "codec/jpeg_optimal.h"
#include "dicom/uids.h"
#include "jpeg_made.h"
#include "pixel/jpeg.h"

enum { MEMORY = 1 << 18 };

static struct arena arena;
static struct buf stream;
static const char *corpus;

// Memory that is full of a pattern, for the next decoding.
static void fill(int pattern) {
    arena_reset(&arena);
    void *all = arena_alloc(&arena, MEMORY, NULL);
    assert_non_null(all);
    memset(all, pattern, MEMORY);
    arena_reset(&arena);
    stream.failed = ERR_NONE;
}

static int setup(void **state) {
    (void)state;
    arena_init(&arena, 32 * MEMORY);
    buf_init(&stream, 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&stream);
    return 0;
}

static struct px_image image_of(unsigned rows, unsigned columns, unsigned samples, unsigned stored) {
    return (struct px_image){.rows = rows,
                             .columns = columns,
                             .frames = 1,
                             .samples = samples,
                             .bits_allocated = stored > 8 ? 16 : 8,
                             .bits_stored = stored,
                             .high_bit = stored - 1,
                             .photometric = samples == 3 ? PX_RGB : PX_MONOCHROME2,
                             .encapsulated = true};
}

static bool decode_bytes(const struct px_image *image, const void *p, size_t n, struct px_frame *out, struct err *e) {
    const struct codec_options o = {0};
    return codec_jpeg.decode(&arena, dcm_ts_find(str_of(DCM_UID_JPEGLossless)), image, p, n, &o, out, e);
}

static struct px_frame decode(const struct px_image *image) {
    struct px_frame f = {0};
    struct err e = {0};
    assert_true(buf_ok(&stream, NULL));
    if (!decode_bytes(image, stream.p, stream.n, &f, &e)) fail_msg("%s", e.message);
    assert_int_equal(f.n, px_frame_bits(&f.image) / 8);
    assert_false(f.image.planar);
    return f;
}

// The message of a refusal.
static const char *refusal(const struct px_image *image) {
    static struct err e;
    struct px_frame f;
    e = (struct err){0};
    assert_false(decode_bytes(image, stream.p, stream.n, &f, &e));
    assert_int_equal(e.kind, ERR_UNDECODABLE);
    return e.message;
}

static unsigned sample(const struct px_frame *f, size_t i) {
    return f->image.bits_allocated == 8 ? f->bytes[i] : (unsigned)f->bytes[2 * i] | (unsigned)f->bytes[2 * i + 1] << 8;
}

static uint32_t seed = 1;

static unsigned chance(unsigned n) {
    seed = seed * 1664525 + 1013904223;
    return (unsigned)((uint64_t)seed * n >> 32);
}

// Slopes, noise, and jumps from one end of the range to the other.
static void paint(uint16_t *p, unsigned rows, unsigned columns, unsigned components, unsigned bits) {
    unsigned all = (1u << bits) - 1;
    for (unsigned i = 0; i < rows * columns * components; i++) {
        unsigned x = i / components % columns, y = i / components / columns;
        unsigned v = (x * all / columns + y * all / rows) / 2 + chance(1 + all / 16) + i % components * all / 8;
        p[i] = (uint16_t)(chance(20) == 0 ? chance(2) * all : v > all ? all : v);
    }
}

static void check_lossless(const struct made *m) {
    const struct px_image image = image_of(m->rows, m->columns, m->components, m->precision);
    for (int pattern = 0x55; pattern <= 0xAA; pattern += 0x55) {
        fill(pattern);
        buf_clear(&stream);
        made_lossless(m, &stream);
        struct px_frame f = decode(&image);
        for (size_t i = 0; i < (size_t)m->rows * m->columns * m->components; i++)
            if (sample(&f, i) != (unsigned)(m->sample[i] >> m->point_transform << m->point_transform))
                fail_msg("predictor %u, %u bits, point transform %u, restart %u, %u components: sample %zu is %u, not %u", m->predictor, m->precision,
                         m->point_transform, m->restart_rows, m->components, i, sample(&f, i), m->sample[i]);
    }
}

static void test_lossless_of_every_predictor_and_depth(void **state) {
    uint16_t p[23 * 37];
    (void)state;
    for (unsigned bits = 2; bits <= 16; bits++)
        for (unsigned predictor = 1; predictor <= 7; predictor++) {
            paint(p, 23, 37, 1, bits);
            struct made m = {.rows = 23, .columns = 37, .components = 1, .precision = bits, .predictor = predictor, .sample = p};
            check_lossless(&m);
            m.restart_rows = 1 + predictor % 4;
            m.long_codes = bits % 2;
            check_lossless(&m);
            m.point_transform = bits / 3;
            check_lossless(&m);
        }
}

static void test_lossless_of_every_narrow_width(void **state) {
    uint16_t p[5 * 40];
    (void)state;
    for (unsigned columns = 1; columns <= 40; columns++) {
        paint(p, 5, columns, 1, 16);
        for (unsigned predictor = 1; predictor <= 7; predictor += 3) {
            const struct made m = {.rows = 5, .columns = columns, .components = 1, .precision = 16, .predictor = predictor, .sample = p};
            check_lossless(&m);
        }
    }
}

static void test_lossless_colour_together_and_apart(void **state) {
    uint16_t p[11 * 13 * 3];
    (void)state;
    for (unsigned predictor = 1; predictor <= 7; predictor++)
        for (unsigned kind = 0; kind < 8; kind++) {
            unsigned bits = kind & 4 ? 12 : 8;
            paint(p, 11, 13, 3, bits);
            const struct made m = {.rows = 11,
                                   .columns = 13,
                                   .components = 3,
                                   .precision = bits,
                                   .predictor = predictor,
                                   .apart = kind & 1,
                                   .tables_apart = kind & 2,
                                   .restart_rows = kind % 3,
                                   .sample = p};
            check_lossless(&m);
        }
}

// T.81 table H.2: category 16 is the one difference of 32768, without further bits.
static void test_a_difference_of_32768(void **state) {
    const uint16_t p[] = {0, 32768, 0, 65535, 32767, 65535, 0, 0, 32768, 1, 32769, 65535};
    (void)state;
    for (unsigned predictor = 1; predictor <= 7; predictor++) {
        const struct made m = {.rows = 3, .columns = 4, .components = 1, .precision = 16, .predictor = predictor, .sample = p};
        check_lossless(&m);
    }
}

static void test_rows_that_a_dnl_marker_tells(void **state) {
    uint16_t p[70];
    (void)state;
    paint(p, 7, 10, 1, 12);
    struct made m = {.rows = 7, .columns = 10, .components = 1, .precision = 12, .predictor = 4, .late_rows = true, .sample = p};
    check_lossless(&m);
    const struct px_image other = image_of(8, 10, 1, 12);
    assert_non_null(strstr(refusal(&other), "7 rows"));
}

// ---- 12 bits with the DCT ----

static void test_twelve_bits_come_back_within_one(void **state) {
    static uint16_t p[43 * 29];
    const unsigned one[] = {1};
    (void)state;
    for (unsigned restart = 0; restart < 4; restart++) {
        fill(0x55 * (int)restart);
        buf_clear(&stream);
        paint(p, 29, 43, 1, 12);
        const struct made m = {.rows = 29, .columns = 43, .components = 1, .precision = 12, .restart_rows = restart, .sample = p};
        made_dct12(&m, one, one, &stream);
        const struct px_image image = image_of(29, 43, 1, 12);
        struct px_frame f = decode(&image);
        for (size_t i = 0; i < 29 * 43; i++) assert_true(abs((int)sample(&f, i) - p[i]) <= 2);
    }
}

// A plane stays a plane when every other sample of it is dropped and the triangle filter puts it back, edges apart.
static void test_subsampled_twelve_bits_are_interpolated(void **state) {
    static uint16_t p[40 * 50 * 3];
    static const unsigned h[][3] = {{1, 1, 1}, {2, 1, 1}, {2, 1, 1}, {1, 1, 1}, {4, 1, 2}}, v[][3] = {{1, 1, 1}, {1, 1, 1}, {2, 1, 1}, {2, 1, 1}, {1, 1, 1}};
    (void)state;
    for (unsigned y = 0; y < 40; y++)
        for (unsigned x = 0; x < 50; x++)
            for (unsigned c = 0; c < 3; c++) p[(y * 50 + x) * 3 + c] = (uint16_t)(c ? 2048 + 8 * c : 100 + 30 * x + 20 * y);
    for (unsigned k = 0; k < 5; k++) {
        buf_clear(&stream);
        fill(0x33);
        const struct made m = {.rows = 40, .columns = 50, .components = 3, .precision = 12, .sample = p};
        made_dct12(&m, h[k], v[k], &stream);
        struct px_image image = image_of(40, 50, 3, 12);
        struct px_frame f = decode(&image);
        assert_int_equal(f.image.photometric, PX_RGB);
        for (size_t i = 0; i < 40 * 50; i++) {
            // of equal factors the data set's RGB counts, else it is YCbCr: T.871's conversion
            double y = p[3 * i], cb = 8, cr = 16;
            const double rgb[] = {y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb};
            for (unsigned c = 0; c < 3; c++) assert_true(fabs(sample(&f, 3 * i + c) - (k ? rgb[c] : p[3 * i + c])) <= 3);
        }
    }
}

// ---- colour ----

// Writes grey of (200, 200, 200) in RGB; with YCbCr's neutral chrominance kept as it is, blue and red would be 128.
static struct px_frame decode_grey(enum px_photometric declared, enum px_jpeg_colour colour, bool jfif, int adobe) {
    static const uint8_t grey[8 * 8 * 3] = {[0 ... 8 * 8 * 3 - 1] = 200};
    const struct px_jpeg shape = {.width = 8, .height = 8, .components = 3, .colour = colour};
    struct buf whole;
    buf_init(&whole, 1 << 16);
    fill(0x11);
    buf_clear(&stream);
    assert_true(px_encode_jpeg(grey, &shape, 95, PX_JPEG_444, &whole, NULL));
    unsigned skip = 4u + (uint8_t)whole.p[5]; // SOI and the one APP marker that the encoder writes
    assert_true((uint8_t)whole.p[3] == (colour == PX_JPEG_KEEP ? 0xEE : 0xE0));
    buf_add(&stream, "\xFF\xD8", 2);
    if (jfif) buf_add(&stream, "\xFF\xE0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", 18);
    if (adobe >= 0) {
        buf_add(&stream,
                "\xFF\xEE\0\x0E"
                "Adobe\0\x64\0\0\0\0",
                15);
        buf_addc(&stream, (char)adobe);
    }
    buf_add(&stream, whole.p + skip, whole.n - skip);
    buf_deinit(&whole);
    struct px_image image = image_of(8, 8, 3, 8);
    image.photometric = declared;
    return decode(&image);
}

static void test_the_codestream_tells_its_colours_before_the_data_set(void **state) {
    static const struct {
        enum px_photometric declared;
        enum px_jpeg_colour written;
        bool jfif;
        int adobe;
    } CASES[] = {
        {PX_RGB, PX_JPEG_KEEP, false, -1},         {PX_RGB, PX_JPEG_KEEP, false, 0},         {PX_YBR_FULL_422, PX_JPEG_KEEP, false, 0},
        {PX_YBR_FULL_422, PX_JPEG_YCC, false, -1}, {PX_YBR_FULL, PX_JPEG_YCC, true, -1},     {PX_RGB, PX_JPEG_YCC, true, -1},
        {PX_RGB, PX_JPEG_YCC, false, 1},           {PX_YBR_FULL_422, PX_JPEG_KEEP, true, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct px_frame f = decode_grey(CASES[i].declared, CASES[i].written, CASES[i].jfif, CASES[i].adobe);
        assert_int_equal(f.image.photometric, PX_RGB);
        for (size_t k = 0; k < f.n; k++)
            if (abs(f.bytes[k] - 200) > 2) fail_msg("case %zu: sample %zu is %u", i, k, f.bytes[k]);
    }
}

// ---- what the data set says, and what the codestream has ----

static void test_samples_take_the_room_that_was_declared(void **state) {
    const uint16_t p[] = {1, 200, 3, 255};
    const struct made m = {.rows = 2, .columns = 2, .components = 1, .precision = 8, .predictor = 1, .sample = p};
    (void)state;
    fill(0xFF);
    made_lossless(&m, &stream);
    struct px_image image = image_of(2, 2, 1, 12);
    struct px_frame f = decode(&image);
    assert_int_equal(f.image.bits_allocated, 16);
    assert_int_equal(f.image.bits_stored, 12);
    for (size_t i = 0; i < 4; i++) assert_int_equal(sample(&f, i), p[i]);
    image.bits_allocated = 32;
    f = decode(&image);
    assert_int_equal(f.n, 16);
    assert_memory_equal(f.bytes, "\1\0\0\0\310\0\0\0\3\0\0\0\377\0\0\0", 16);
}

static void test_a_deeper_codestream_than_declared_makes_room(void **state) {
    const uint16_t p[] = {1, 4000, 3, 255};
    const struct made m = {.rows = 2, .columns = 2, .components = 1, .precision = 12, .predictor = 1, .sample = p};
    const struct px_image image = image_of(2, 2, 1, 8);
    (void)state;
    made_lossless(&m, &stream);
    struct px_frame f = decode(&image);
    assert_int_equal(f.image.bits_allocated, 16);
    assert_int_equal(f.image.bits_stored, 12);
    assert_int_equal(f.image.high_bit, 11);
    assert_int_equal(sample(&f, 1), 4000);
}

static void test_another_shape_is_refused_by_name(void **state) {
    const uint16_t p[] = {1, 2, 3, 4, 5, 6};
    const struct made m = {.rows = 2, .columns = 3, .components = 1, .precision = 8, .predictor = 1, .sample = p};
    const struct px_image taller = image_of(3, 3, 1, 8), wider = image_of(2, 4, 1, 8), colour = image_of(2, 3, 3, 8);
    (void)state;
    made_lossless(&m, &stream);
    assert_string_equal(refusal(&taller), "the JPEG codestream has 2 rows and 3 columns, the data set says 3 and 3");
    assert_string_equal(refusal(&wider), "the JPEG codestream has 2 rows and 3 columns, the data set says 2 and 4");
    assert_string_equal(refusal(&colour), "the JPEG codestream has 1 components, the data set says 3 samples per pixel");
}

static void test_what_is_no_jpeg_says_so(void **state) {
    const struct px_image image = image_of(2, 3, 1, 8);
    (void)state;
    buf_add(&stream, "\xFF\x4F\xFF\x51\0\0", 6);
    assert_non_null(strstr(refusal(&image), "JPEG 2000"));
    buf_clear(&stream);
    buf_add(&stream, "\xFF\xD8\xFF\xF7\0\x0B\x08\0\2\0\3\1\1\x11\0", 15);
    assert_non_null(strstr(refusal(&image), "JPEG-LS"));
    buf_clear(&stream);
    buf_add(&stream, "\xFF\xD8\xFF\xD9", 4);
    assert_non_null(strstr(refusal(&image), "no frame header"));
}

static void test_scans_that_cannot_be_are_refused(void **state) {
    const uint16_t p[] = {1, 2, 3, 4};
    struct made m = {.rows = 2, .columns = 2, .components = 1, .precision = 8, .predictor = 9, .sample = p};
    const struct px_image image = image_of(2, 2, 1, 8);
    (void)state;
    uint16_t interval = 3;
    m.predictor = 1;
    m.restart_rows = 1;
    made_lossless(&m, &stream);
    char *dri = memmem(stream.p, stream.n, "\xFF\xDD\0\4\0\2", 6);
    assert_non_null(dri);
    dri[5] = (char)interval;
    assert_non_null(strstr(refusal(&image), "whole number of rows"));
    dri[5] = 2;
    stream.p[stream.n - 8] = 0; // somewhere in the entropy coded bytes and markers
    char *sos = memmem(stream.p, stream.n, "\xFF\xDA\0\x08", 4);
    assert_non_null(sos);
    sos[7] = 9;
    assert_non_null(strstr(refusal(&image), "predictor 9"));
    sos[7] = 1;
    sos[9] = 8;
    assert_non_null(strstr(refusal(&image), "point transform 8"));
}

// ---- encoding ----

static void encode(const struct px_image *image, const void *p, size_t n, const char *uid, struct px_image *result) {
    const struct px_frame in = {.image = *image, .bytes = p, .n = n};
    const struct codec_options o = {0};
    struct err e = {0};
    buf_clear(&stream);
    if (!codec_jpeg.encode(&in, dcm_ts_find(str_of(uid)), &o, &stream, result, &e)) fail_msg("%s", e.message);
}

static void test_lossless_comes_back_as_it_was(void **state) {
    static uint16_t p[31 * 33 * 3];
    static uint8_t bytes[31 * 33 * 3];
    struct px_image result;
    (void)state;
    for (unsigned stored = 1; stored <= 16; stored++)
        for (unsigned kind = 0; kind < 4; kind++) {
            struct px_image image = image_of(31, 33, kind & 1 ? 3 : 1, stored);
            size_t n = 31 * 33 * image.samples;
            paint(p, 31, 33, image.samples, stored);
            image.is_signed = kind & 2;
            for (size_t i = 0; i < n; i++) {
                if (image.is_signed) p[i] = (uint16_t)(p[i] - (1u << (stored - 1))); // with its sign in the bits above
                bytes[i] = (uint8_t)p[i];
            }
            const void *from = stored > 8 ? (const void *)p : bytes;
            fill(0x77);
            encode(&image, from, n * image.bits_allocated / 8, kind & 1 ? DCM_UID_JPEGLossless : DCM_UID_JPEGLosslessSV1, &result);
            assert_int_equal(result.photometric, image.photometric);
            struct px_frame f = decode(&result);
            assert_memory_equal(f.bytes, from, f.n);
        }
}

static void test_planar_colour_is_written_by_pixel(void **state) {
    const uint8_t planes[] = {1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24}, pixels[] = {1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24};
    struct px_image image = image_of(2, 2, 3, 8), result;
    (void)state;
    image.planar = true;
    encode(&image, planes, sizeof planes, DCM_UID_JPEGLosslessSV1, &result);
    assert_false(result.planar);
    struct px_frame f = decode(&result);
    assert_memory_equal(f.bytes, pixels, sizeof pixels);
}

static void test_bits_above_the_stored_ones_survive(void **state) {
    const uint16_t p[] = {0x8001, 0x0FFF, 0x1000, 0};
    struct px_image image = image_of(2, 2, 1, 12), result;
    (void)state;
    encode(&image, p, sizeof p, DCM_UID_JPEGLosslessSV1, &result);
    struct px_frame f = decode(&result);
    assert_memory_equal(f.bytes, p, sizeof p);
}

static void test_baseline_colour_is_ybr_full_422(void **state) {
    static uint8_t p[48 * 32 * 3];
    struct px_image image = image_of(32, 48, 3, 8), result;
    (void)state;
    for (size_t i = 0; i < sizeof p; i++) p[i] = (uint8_t)(i % 3 * 60 + i / 3 % 48 * 2 + i / 3 / 48);
    encode(&image, p, sizeof p, DCM_UID_JPEGBaseline8Bit, &result);
    assert_int_equal(result.photometric, PX_YBR_FULL_422);
    assert_false(result.planar);
    struct px_frame f = decode(&result);
    assert_int_equal(f.image.photometric, PX_RGB);
    for (size_t i = 0; i < sizeof p; i++) assert_true(abs(f.bytes[i] - p[i]) < 10);
    image.columns = 47; // no pairs of pixels
    image.rows = 30;
    encode(&image, p, 47 * 30 * 3, DCM_UID_JPEGBaseline8Bit, &result);
    assert_int_equal(result.photometric, PX_YBR_FULL);
}

static void test_twelve_bits_are_written_near_what_they_were(void **state) {
    static uint16_t p[45 * 61];
    struct px_image image = image_of(45, 61, 1, 12), result;
    (void)state;
    for (unsigned i = 0; i < 45 * 61; i++) p[i] = (uint16_t)(1000 + 30 * (i % 61) + 20 * (i / 61) - (i % 61 > 30) * 900);
    for (unsigned stored = 12; stored >= 9; stored--) {
        image.bits_stored = stored;
        image.high_bit = stored - 1;
        for (unsigned i = 0; i < 45 * 61; i++) p[i] = (uint16_t)(p[i] >> (stored < 12));
        encode(&image, p, sizeof p, DCM_UID_JPEGExtended12Bit, &result);
        assert_int_equal(result.bits_stored, stored);
        struct px_frame f = decode(&result);
        for (size_t i = 0; i < 45 * 61; i++) assert_true(abs((int)sample(&f, i) - p[i]) <= 12);
    }
}

// Y Y Cb Cr of four grey pixels and four red ones.
static void test_native_ybr_full_422_is_taken(void **state) {
    static uint8_t p[16 * 8 * 2], rgb[3];
    struct px_image image = image_of(8, 16, 3, 8), result;
    (void)state;
    image.photometric = PX_YBR_FULL_422;
    for (size_t i = 0; i < sizeof p; i += 4) memcpy(p + i, i % 32 < 16 ? "\x80\x80\x80\x80" : "\x4C\x4C\x55\xFF", 4);
    encode(&image, p, sizeof p, DCM_UID_JPEGBaseline8Bit, &result);
    struct px_frame f = decode(&result);
    memcpy(rgb, f.bytes + 3 * 2, 3);
    for (unsigned c = 0; c < 3; c++) assert_true(abs(rgb[c] - 128) < 12);
    memcpy(rgb, f.bytes + 3 * 13, 3);
    assert_true(rgb[0] > 240 && rgb[1] < 15 && rgb[2] < 15);
}

static void test_what_has_no_place_is_unsupported(void **state) {
    static const uint8_t p[64] = {0};
    static const struct {
        const char *uid;
        struct px_image image;
    } CASES[] = {
        {DCM_UID_JPEGBaseline8Bit, {.bits_allocated = 16, .bits_stored = 12}},
        {DCM_UID_JPEGBaseline8Bit, {.bits_allocated = 8, .bits_stored = 8, .is_signed = true}},
        {DCM_UID_JPEGBaseline8Bit, {.bits_allocated = 8, .bits_stored = 8, .photometric = PX_PALETTE_COLOR}},
        {DCM_UID_JPEGLosslessSV1, {.bits_allocated = 32, .bits_stored = 32}},
        {DCM_UID_JPEGLosslessSV1, {.bits_allocated = 1, .bits_stored = 1}},
        {DCM_UID_JPEGLosslessSV1, {.bits_allocated = 32, .bits_stored = 32, .kind = PX_FLOAT}},
        {DCM_UID_JPEGExtended12Bit, {.bits_allocated = 16, .bits_stored = 13}},
        {DCM_UID_JPEGExtended12Bit, {.bits_allocated = 16, .bits_stored = 12, .is_signed = true}},
        {DCM_UID_JPEGFullProgressionNonHierarchical1012, {.bits_allocated = 8, .bits_stored = 8}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct px_frame in = {.image = CASES[i].image, .bytes = p, .n = sizeof p};
        const struct codec_options o = {0};
        struct px_image result;
        struct err e = {0};
        in.image.rows = in.image.columns = 2;
        in.image.samples = 1;
        assert_false(codec_jpeg.encode(&in, dcm_ts_find(str_of(CASES[i].uid)), &o, &stream, &result, &e));
        assert_int_equal(e.kind, ERR_UNSUPPORTED);
    }
}

// Shares that fall by half each time want codes of ever more bits: there are none above 16, and they fill the room that codes have (Kraft).
static void test_no_code_is_longer_than_16_bits(void **state) {
    uint64_t count[256] = {0};
    struct jpeg_huffman_spec spec;
    (void)state;
    for (unsigned i = 0; i < 40; i++) count[i] = 1ull << i;
    jpeg_optimal(count, &spec);
    unsigned codes = 0, room = 0;
    for (unsigned l = 1; l <= 16; l++) {
        codes += spec.count[l];
        room += (unsigned)spec.count[l] << (16 - l);
    }
    assert_int_equal(codes, 40);
    assert_int_equal(spec.symbol[0], 39);
    assert_true(room < 1u << 16); // the code of ones stays free
}

// ---- damage ----

// Decodes twice in memory of different content: both fail, or both give the same.
static bool same_twice(const struct px_image *image, const uint8_t *p, size_t n) {
    struct px_frame one = {0}, two = {0};
    static uint8_t kept[MEMORY];
    fill(0x55);
    bool ok = decode_bytes(image, p, n, &one, NULL);
    if (ok) memcpy(kept, one.bytes, one.n);
    fill(0xAA);
    assert_int_equal(decode_bytes(image, p, n, &two, NULL), ok);
    if (ok) assert_memory_equal(kept, two.bytes, two.n);
    return ok;
}

// Seeds of the fuzz target: small pictures in every process.
static void for_each_seed(void (*check)(const struct px_image *image, uint8_t *p, size_t n)) {
    uint8_t data[4096];
    unsigned seeds = 0;
    DIR *dir = opendir(corpus);
    if (!dir) skip();
    for (struct dirent *d; (d = readdir(dir));) {
        char path[1024];
        if (!strstr(d->d_name, ".jpg")) continue;
        snprintf(path, sizeof path, "%s/%s", corpus, d->d_name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t n = fread(data, 1, sizeof data, f);
        fclose(f);
        struct px_image image = image_of((unsigned)(data[0] << 8 | data[1]), (unsigned)(data[2] << 8 | data[3]), data[4], data[6] + 1u);
        image.photometric = data[7];
        uint8_t *exact = malloc(n - 8); // so that a byte too many is seen
        assert_non_null(exact);
        memcpy(exact, data + 8, n - 8);
        check(&image, exact, n - 8);
        free(exact);
        seeds++;
    }
    closedir(dir);
    assert_true(seeds >= 15);
}

static void cut_everywhere(const struct px_image *image, uint8_t *p, size_t n) {
    assert_true(same_twice(image, p, n));
    size_t end = n;
    while (end && !(p[end - 2] == 0xFF && p[end - 1] == 0xD9)) end--;
    for (size_t i = 0; i < n; i++) {
        uint8_t *cut = malloc(i ? i : 1);
        assert_non_null(cut);
        memcpy(cut, p, i);
        bool ok = same_twice(image, cut, i);
        free(cut);
        if (ok && i + 4 < end) fail_msg("%zu of %zu bytes were taken for a whole picture", i, n);
    }
}

static void test_a_codestream_cut_anywhere_is_refused(void **state) {
    (void)state;
    for_each_seed(cut_everywhere);
}

static void flip_bits(const struct px_image *image, uint8_t *p, size_t n) {
    for (size_t i = 0; i < n * 8; i += 1 + chance(12)) {
        p[i / 8] ^= (uint8_t)(1 << i % 8);
        same_twice(image, p, n);
        p[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}

static void test_flipped_bits_leave_nothing_unwritten(void **state) {
    (void)state;
    for_each_seed(flip_bits);
}

static void repeat_the_first_scan(const struct px_image *image, uint8_t *p, size_t n) {
    const uint8_t *sof2 = memmem(p, n, "\xFF\xC2\0", 3), *begin = memmem(p, n, "\xFF\xDA", 2), *end;
    if (!sof2 || !begin) return;
    for (end = begin + 2; end < p + n && !(end[0] == 0xFF && end[1] != 0);) end++;
    buf_clear(&stream);
    buf_add(&stream, p, (size_t)(begin - p));
    for (unsigned i = 0; i < 400; i++) buf_add(&stream, begin, (size_t)(end - begin));
    buf_add(&stream, end, n - (size_t)(end - p));
    assert_non_null(strstr(refusal(image), image->bits_stored > 8 ? "one too many" : "rogression"));
}

static void test_hundreds_of_scans_are_not_worked_through(void **state) {
    (void)state;
    for_each_seed(repeat_the_first_scan);
}

int main(int argc, char **argv) {
    corpus = argc > 1 ? argv[1] : "tests/fuzz/corpus/jpeg";
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lossless_of_every_predictor_and_depth),
        TEST(test_lossless_of_every_narrow_width),
        TEST(test_lossless_colour_together_and_apart),
        TEST(test_a_difference_of_32768),
        TEST(test_rows_that_a_dnl_marker_tells),
        TEST(test_twelve_bits_come_back_within_one),
        TEST(test_subsampled_twelve_bits_are_interpolated),
        TEST(test_the_codestream_tells_its_colours_before_the_data_set),
        TEST(test_samples_take_the_room_that_was_declared),
        TEST(test_a_deeper_codestream_than_declared_makes_room),
        TEST(test_another_shape_is_refused_by_name),
        TEST(test_what_is_no_jpeg_says_so),
        TEST(test_scans_that_cannot_be_are_refused),
        TEST(test_lossless_comes_back_as_it_was),
        TEST(test_planar_colour_is_written_by_pixel),
        TEST(test_bits_above_the_stored_ones_survive),
        TEST(test_baseline_colour_is_ybr_full_422),
        TEST(test_twelve_bits_are_written_near_what_they_were),
        TEST(test_native_ybr_full_422_is_taken),
        TEST(test_what_has_no_place_is_unsupported),
        TEST(test_no_code_is_longer_than_16_bits),
        TEST(test_a_codestream_cut_anywhere_is_refused),
        TEST(test_flipped_bits_leave_nothing_unwritten),
        TEST(test_hundreds_of_scans_are_not_worked_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
