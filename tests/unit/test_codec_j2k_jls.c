// JPEG-LS, JPEG 2000 and HTJ2K: what is encoded comes back; what is damaged, cut off or made to explode is refused with a reason.
#include "codec_frame.h"

#include <malloc.h>
#include <math.h>

#include <charls/charls.h>

#include "base/limits.h"
#include "codec/j2k_head.h"
#include "codec/samples.h"

#define JLS "1.2.840.10008.1.2.4.80"
#define JLS_NEAR "1.2.840.10008.1.2.4.81"
#define J2K "1.2.840.10008.1.2.4.90"
#define J2K_LOSSY "1.2.840.10008.1.2.4.91"
#define HTJ2K "1.2.840.10008.1.2.4.201"
#define HTJ2K_RPCL "1.2.840.10008.1.2.4.202"
#define HTJ2K_LOSSY "1.2.840.10008.1.2.4.203"

static struct arena arena;
static struct buf stream;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1 << 28);
    buf_init(&stream, 1 << 26);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&stream);
    return 0;
}

static struct px_image encoded(const char *uid, const struct px_frame *in, const struct codec_options *o) {
    struct px_image image;
    struct err e = {0};
    buf_clear(&stream);
    if (!family_of(uid)->encode(in, dcm_ts_find(str_of(uid)), o, &stream, &image, &e)) fail_msg("%s: %s", uid, e.message);
    return image;
}

static struct px_frame decoded(const char *uid, const struct px_image *image) {
    struct px_frame out;
    struct err e = {0};
    arena_reset(&arena);
    if (!decode_copy(&arena, uid, image, stream.p, stream.n, &out, &e)) fail_msg("%s: %s", uid, e.message);
    return out;
}

static void comes_back(const char *uid, struct px_image image, enum content content, int64_t within, const struct codec_options *o) {
    struct px_frame in = frame_for(image, content);
    struct px_image declared = encoded(uid, &in, o);
    struct px_frame out = decoded(uid, &declared);
    int64_t d = greatest_difference(&in, &out);
    unsigned stored = within ? declared.bits_stored : image.bits_stored; // near-lossless values may need more, which is declared then
    if (out.image.photometric != image.photometric || out.image.bits_stored != stored || declared.bits_stored != stored || stored < image.bits_stored ||
        out.image.bits_allocated != image.bits_allocated || d > within)
        fail_msg("%s: %u x %u x %u, %u bits%s, content %d: differs by %lld", uid, image.columns, image.rows, image.samples, image.bits_stored,
                 image.is_signed ? " signed" : "", content, (long long)d);
    free((void *)(uintptr_t)in.bytes);
}

static const uint32_t SIZES[][2] = {{1, 1}, {1, 2}, {2, 1}, {1, 37}, {37, 1}, {3, 5}, {33, 31}, {65, 70}};

static void lossless_of_every_depth_sign_and_size(void **state) {
    static const char *const uids[] = {JLS, J2K, HTJ2K, HTJ2K_RPCL};
    (void)state;
    for (size_t u = 0; u < 4; u++)
        for (unsigned stored = 1; stored <= 16; stored++)
            for (int is_signed = 0; is_signed < 2; is_signed++)
                for (size_t z = 0; z < sizeof SIZES / sizeof SIZES[0]; z++) {
                    if (stored < 2 && (u == 0 || is_signed)) continue; // has no place there
                    comes_back(uids[u], image_for(SIZES[z][0], SIZES[z][1], 1, stored, is_signed), (stored + z) % CONTENTS, 0, NULL);
                    if (stored > 1 && !is_signed) comes_back(uids[u], image_for(SIZES[z][0], SIZES[z][1], 3, stored, false), (stored + z) % CONTENTS, 0, NULL);
                }
    for (unsigned stored = 17; stored <= 24; stored++) comes_back(J2K, image_for(19, 23, 1, stored, stored % 2), stored % CONTENTS, 0, NULL);
}

static void near_lossless_differs_by_near_at_most(void **state) {
    (void)state;
    for (unsigned stored = 2; stored <= 16; stored++)
        for (unsigned near = 1; near <= 255 && near <= ((1u << stored) - 1) / 2; near += 63)
            for (int content = 0; content < CONTENTS; content++)
                comes_back(JLS_NEAR, image_for(20, 33, 1, stored, false), content, near, &(struct codec_options){.near = near});
    comes_back(JLS_NEAR, image_for(30, 40, 3, 8, false), SLOPE, 2, NULL); // the default
}

static void signed_samples_that_near_lossless_would_turn_round_are_refused(void **state) {
    (void)state;
    struct px_frame in = frame_for(image_for(4, 4, 1, 12, true), NOISE);
    int16_t lowest = -2047;
    memcpy((uint8_t *)(uintptr_t)in.bytes, &lowest, 2);
    struct px_image image;
    struct err e = {0};
    assert_false(family_of(JLS_NEAR)->encode(&in, dcm_ts_find(str_of(JLS_NEAR)), NULL, &stream, &image, &e));
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    free((void *)(uintptr_t)in.bytes);
}

static double ratio_db(const struct px_frame *a, const struct px_frame *b) {
    double squares = 0, low = INFINITY, high = -INFINITY;
    size_t n = (size_t)a->image.rows * a->image.columns * a->image.samples;
    for (size_t i = 0; i < n; i++) {
        double x = (double)sample_at(a, i), d = x - (double)sample_at(b, i);
        squares += d * d;
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    return 20 * log10((high - low) / sqrt(squares / (double)n + 1e-12));
}

// The encoders reckon in wavelets what the test does in pixels: 4.5 dB between them at the lowest quality of a small picture.
static void lossy_quality_is_a_signal_to_noise_ratio(void **state) {
    static const char *const uids[] = {J2K_LOSSY, HTJ2K_LOSSY};
    (void)state;
    for (size_t u = 0; u < 2; u++)
        for (unsigned stored = 8; stored <= 16; stored += 4)
            for (int quality = 10; quality <= 90; quality += 40) {
                struct px_frame in = frame_for(image_for(128, 200, stored == 12 ? 1 : 3, stored, false), SLOPE);
                struct px_image image = encoded(uids[u], &in, &(struct codec_options){.quality = quality});
                assert_int_equal(image.photometric, stored == 12 ? PX_MONOCHROME2 : PX_YBR_ICT);
                struct px_frame out = decoded(uids[u], &image);
                double db = ratio_db(&in, &out), wanted = 25 + quality / 4.0;
                if (db < wanted - 4.5) fail_msg("%s at quality %d: %.1f dB, not %.1f", uids[u], quality, db, wanted);
                assert_true(stream.n < in.n / 2);
                free((void *)(uintptr_t)in.bytes);
            }
}

static void colour_says_which_transform_it_had(void **state) {
    (void)state;
    struct px_frame in = frame_for(image_for(9, 9, 3, 8, false), SLOPE);
    assert_int_equal(encoded(J2K, &in, NULL).photometric, PX_YBR_RCT);
    assert_int_equal(encoded(HTJ2K, &in, NULL).photometric, PX_YBR_RCT);
    assert_int_equal(encoded(JLS, &in, NULL).photometric, PX_RGB);
    in.image.photometric = PX_YBR_FULL; // is not transformed twice
    struct px_image image = encoded(J2K, &in, NULL);
    assert_int_equal(image.photometric, PX_YBR_FULL);
    struct px_frame out = decoded(J2K, &image);
    assert_int_equal(out.image.photometric, PX_YBR_FULL);
    assert_int_equal(greatest_difference(&in, &out), 0);
    in.image.photometric = PX_PALETTE_COLOR;
    in.image.samples = 1;
    struct err e = {0};
    assert_false(family_of(J2K_LOSSY)->encode(&in, dcm_ts_find(str_of(J2K_LOSSY)), NULL, &stream, &image, &e)); // indices are no gray levels
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    free((void *)(uintptr_t)in.bytes);
}

static void planar_frames_are_encoded_by_pixel(void **state) {
    (void)state;
    struct px_frame in = frame_for(image_for(11, 13, 3, 8, false), NOISE), planar = in;
    size_t n = 11 * 13;
    uint8_t bytes[3 * 11 * 13];
    for (size_t i = 0; i < 3 * n; i++) bytes[i % 3 * n + i / 3] = in.bytes[i];
    planar.bytes = bytes;
    planar.image.planar = true;
    static const char *const uids[] = {JLS, J2K, HTJ2K};
    for (size_t u = 0; u < 3; u++) {
        struct px_image image = encoded(uids[u], &planar, NULL);
        assert_false(image.planar);
        struct px_frame out = decoded(uids[u], &image);
        assert_int_equal(greatest_difference(&in, &out), 0);
    }
    free((void *)(uintptr_t)in.bytes);
}

// PS3.5 10.18: RPCL, TLM, a thumbnail of at most 64 x 64.
static void rpcl_has_what_the_standard_wants_of_it(void **state) {
    (void)state;
    struct px_frame in = frame_for(image_for(700, 3000, 1, 12, false), SLOPE);
    struct px_image image = encoded(HTJ2K_RPCL, &in, NULL);
    const uint8_t *p = (const uint8_t *)stream.p;
    struct j2k_head h;
    struct err e = {0};
    assert_true(j2k_head_read(p, stream.n, &image, &h, &e));
    assert_true(h.high_throughput);
    assert_true(3000 >> h.levels <= 64);
    bool rpcl = false;
    size_t tlm = 0;
    for (size_t at = 2; at < h.header_size; at += 2 + (size_t)(p[at + 2] << 8 | p[at + 3])) {
        if (p[at + 1] == 0x55) tlm = at;
        rpcl |= p[at + 1] == 0x52 && p[at + 5] == 2;
    }
    assert_true(tlm);
    assert_int_equal(p[tlm + 2] << 8 | p[tlm + 3], 4 + 6 * (h.levels + 1)); // a tile-part for each resolution
    size_t part = h.header_size;
    for (unsigned i = 0; i <= h.levels; i++) {
        assert_memory_equal(p + tlm + 8 + 6 * i, p + part + 6, 4); // the length of it
        assert_int_equal(p[part + 10], i);
        part += (size_t)(p[part + 6] << 24 | p[part + 7] << 16 | p[part + 8] << 8 | p[part + 9]);
    }
    assert_int_equal(part, stream.n - 2); // then EOC
    assert_true(rpcl);
    free((void *)(uintptr_t)in.bytes);
}

// ---- what codestream and data set say ----

static void the_data_set_decides_about_the_sign(void **state) {
    (void)state;
    struct px_frame in = frame_for(image_for(8, 8, 1, 12, true), NOISE), out;
    struct px_image image = encoded(J2K, &in, NULL);
    image.is_signed = false; // the codestream is of signed samples
    out = decoded(J2K, &image);
    for (size_t i = 0; i < 64; i++) assert_int_equal(sample_at(&out, i), sample_at(&in, i) & 0xfff);
    struct px_frame positive = frame_for(image_for(8, 8, 1, 12, false), NOISE);
    image = encoded(J2K, &positive, NULL);
    image.is_signed = true;
    out = decoded(J2K, &image);
    for (size_t i = 0; i < 64; i++) assert_int_equal(sample_at(&out, i), (int32_t)((uint32_t)sample_at(&positive, i) << 20) >> 20);
    free((void *)(uintptr_t)in.bytes);
    free((void *)(uintptr_t)positive.bytes);
}

static void bits_stored_grows_when_values_need_it_and_only_then(void **state) {
    static const char *const uids[] = {JLS, J2K, HTJ2K};
    (void)state;
    for (size_t u = 0; u < 3; u++) {
        struct px_frame in = frame_for(image_for(8, 8, 1, 16, false), NOISE);
        struct px_image image = encoded(uids[u], &in, NULL);
        image.bits_stored = 12;
        image.high_bit = 11;
        struct px_frame out = decoded(uids[u], &image);
        assert_int_equal(out.image.bits_stored, 16);
        assert_int_equal(out.image.high_bit, 15);
        for (size_t i = 0; i < 64; i++) ((uint8_t *)(uintptr_t)in.bytes)[2 * i + 1] &= 15;
        image = encoded(uids[u], &in, NULL);
        image.bits_stored = 12;
        image.high_bit = 11;
        out = decoded(uids[u], &image);
        assert_int_equal(out.image.bits_stored, 12);
        image.bits_allocated = image.bits_stored = 8; // the codestream needs more
        image.high_bit = 7;
        out = decoded(uids[u], &image);
        assert_int_equal(out.image.bits_allocated, 16);
        assert_int_equal(greatest_difference(&in, &out), 0);
        free((void *)(uintptr_t)in.bytes);
    }
}

static void cells_of_32_bits_take_what_the_codestream_has(void **state) {
    static const char *const uids[] = {JLS, J2K, HTJ2K};
    (void)state;
    for (size_t u = 0; u < 3; u++)
        for (int is_signed = 0; is_signed < 2; is_signed++) {
            struct px_frame in = frame_for(image_for(8, 9, 1, 13, is_signed), NOISE);
            struct px_image image = encoded(uids[u], &in, NULL);
            image.bits_allocated = image.bits_stored = 32;
            image.high_bit = 31;
            struct px_frame out = decoded(uids[u], &image);
            assert_int_equal(out.image.bits_allocated, 32);
            assert_int_equal(greatest_difference(&in, &out), 0);
            struct px_frame none;
            struct err e = {0};
            image.kind = PX_FLOAT;
            assert_false(decode_copy(&arena, uids[u], &image, stream.p, stream.n, &none, &e));
            assert_int_equal(e.kind, ERR_UNDECODABLE);
            free((void *)(uintptr_t)in.bytes);
        }
}

static void another_size_than_the_declared_one_is_refused(void **state) {
    static const char *const uids[] = {JLS, J2K, HTJ2K};
    (void)state;
    for (size_t u = 0; u < 3; u++) {
        struct px_frame in = frame_for(image_for(8, 9, 1, 8, false), NOISE), out;
        struct px_image image = encoded(uids[u], &in, NULL);
        struct err e = {0};
        image.rows = 9;
        assert_false(decode_copy(&arena, uids[u], &image, stream.p, stream.n, &out, &e));
        assert_int_equal(e.kind, ERR_UNDECODABLE);
        assert_non_null(strstr(e.message, "9 x 8 pixels, and the data set declares 9 x 9"));
        free((void *)(uintptr_t)in.bytes);
    }
}

static void boxes_around_a_codestream_are_passed_over(void **state) {
    static const uint8_t head[] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', 13, 10, 0x87, 10, 0, 0, 0, 8, 'f', 'r', 'e', 'e', 0, 0, 0, 0, 'j', 'p', '2', 'c'};
    (void)state;
    struct px_frame in = frame_for(image_for(8, 9, 1, 8, false), NOISE), out;
    struct px_image image = encoded(J2K, &in, NULL);
    uint8_t *boxed = malloc(sizeof head + stream.n);
    memcpy(boxed, head, sizeof head);
    memcpy(boxed + sizeof head, stream.p, stream.n);
    assert_true(decode_copy(&arena, J2K, &image, boxed, sizeof head + stream.n, &out, NULL));
    assert_int_equal(greatest_difference(&in, &out), 0);
    struct err e = {0};
    assert_false(decode_copy(&arena, J2K, &image, boxed, sizeof head - 8, &out, &e)); // no codestream in them
    free(boxed);
    free((void *)(uintptr_t)in.bytes);
}

// ---- CharLS judges our decoder ----

static void charls_encode(const struct px_frame *in, charls_interleave_mode mode, charls_color_transformation transform, int near,
                          const charls_jpegls_pc_parameters *preset) {
    charls_jpegls_encoder *c = charls_jpegls_encoder_create();
    charls_frame_info info = {in->image.columns, in->image.rows, (int)in->image.bits_stored, (int)in->image.samples};
    size_t room = in->n * 3 + 1024;
    buf_clear(&stream);
    char *p = buf_reserve(&stream, room);
    assert_int_equal(charls_jpegls_encoder_set_frame_info(c, &info), 0);
    assert_int_equal(charls_jpegls_encoder_set_interleave_mode(c, mode), 0);
    assert_int_equal(charls_jpegls_encoder_set_color_transformation(c, transform), 0);
    assert_int_equal(charls_jpegls_encoder_set_near_lossless(c, near), 0);
    if (preset) assert_int_equal(charls_jpegls_encoder_set_preset_coding_parameters(c, preset), 0);
    assert_int_equal(charls_jpegls_encoder_set_destination_buffer(c, p, room), 0);
    assert_int_equal(charls_jpegls_encoder_encode_from_buffer(c, in->bytes, in->n, 0), 0);
    assert_int_equal(charls_jpegls_encoder_get_bytes_written(c, &stream.n), 0);
    charls_jpegls_encoder_destroy(c);
}

static void charls_agrees(const struct px_frame *in) {
    uint8_t *theirs = malloc(in->n);
    charls_jpegls_decoder *c = charls_jpegls_decoder_create();
    assert_int_equal(charls_jpegls_decoder_set_source_buffer(c, stream.p, stream.n), 0);
    assert_int_equal(charls_jpegls_decoder_read_header(c), 0);
    assert_int_equal(charls_jpegls_decoder_decode_to_buffer(c, theirs, in->n, 0), 0);
    charls_interleave_mode mode;
    assert_int_equal(charls_jpegls_decoder_get_interleave_mode(c, &mode), 0);
    charls_jpegls_decoder_destroy(c);
    struct px_frame out = decoded(JLS, &in->image);
    size_t pixels = (size_t)in->image.rows * in->image.columns, bytes = in->image.bits_allocated / 8;
    bool by_plane = mode == CHARLS_INTERLEAVE_MODE_NONE && in->image.samples == 3;
    for (size_t i = 0; i < pixels * in->image.samples; i++) {
        size_t there = by_plane ? i % 3 * pixels + i / 3 : i;
        assert_memory_equal(out.bytes + i * bytes, theirs + there * bytes, bytes);
    }
    free(theirs);
}

static void every_interleaving_and_transform_decodes_as_by_charls(void **state) {
    (void)state;
    for (unsigned stored = 8; stored <= 16; stored += 8)
        for (int content = 0; content < CONTENTS; content++) {
            struct px_frame in = frame_for(image_for(37, 53, 3, stored, false), content);
            for (int mode = 0; mode <= 2; mode++)
                for (int near = 0; near <= 5; near += 5)
                    for (int transform = 0; transform <= 3; transform++) {
                        if (transform && (!mode || near)) continue; // CharLS has no such
                        charls_encode(&in, (charls_interleave_mode)mode, (charls_color_transformation)transform, near, NULL);
                        charls_agrees(&in);
                    }
            free((void *)(uintptr_t)in.bytes);
        }
}

static void preset_coding_parameters_are_followed(void **state) {
    static const charls_jpegls_pc_parameters presets[] = {{4095, 10, 100, 1000, 3}, {4095, 1, 2, 3, 255}, {4095, 4, 4, 4, 31}, {4095, 0, 0, 0, 17}};
    (void)state;
    struct px_frame in = frame_for(image_for(41, 50, 1, 12, false), SLOPE);
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        charls_encode(&in, CHARLS_INTERLEAVE_MODE_NONE, CHARLS_COLOR_TRANSFORMATION_NONE, 0, &presets[i]);
        charls_agrees(&in);
    }
    free((void *)(uintptr_t)in.bytes);
}

// Restart intervals begin anew with everything: strips that were encoded alone, joined by restart markers, are one codestream.
static void restart_intervals_are_strips_of_lines(void **state) {
    enum { LINES = 4, STRIPS = 10, COLUMNS = 29 };
    (void)state;
    struct px_frame in = frame_for(image_for(LINES * STRIPS, COLUMNS, 1, 8, false), SLOPE), strip = in;
    struct buf joined;
    buf_init(&joined, 1 << 20);
    strip.image.rows = LINES;
    strip.n = LINES * COLUMNS;
    for (unsigned i = 0; i < STRIPS; i++) {
        strip.bytes = in.bytes + i * strip.n;
        charls_encode(&strip, CHARLS_INTERLEAVE_MODE_NONE, CHARLS_COLOR_TRANSFORMATION_NONE, 0, NULL);
        size_t sos = 2;
        while ((uint8_t)stream.p[sos + 1] != 0xda) sos += 2 + (size_t)((uint8_t)stream.p[sos + 2] << 8 | (uint8_t)stream.p[sos + 3]);
        if (i == 0) {
            stream.p[8] = LINES * STRIPS; // rows, low byte, of SOF55 at byte 2
            buf_add(&joined, stream.p, sos);
            buf_add(&joined, "\xff\xdd\0\4\0\4", 6); // DRI: 4 lines
            buf_add(&joined, stream.p + sos, 10);
        } else {
            buf_addc(&joined, (char)0xff);
            buf_addc(&joined, (char)(0xd0 + (i - 1) % 8));
        }
        buf_add(&joined, stream.p + sos + 10, stream.n - 2 - sos - 10);
    }
    buf_add(&joined, "\xff\xd9", 2);
    buf_clear(&stream);
    buf_add(&stream, joined.p, joined.n);
    struct px_frame out = decoded(JLS, &in.image);
    assert_int_equal(greatest_difference(&in, &out), 0);
    charls_agrees(&in);
    struct px_frame none;
    struct err e = {0};
    size_t rst = 0;
    for (size_t i = 0; i + 1 < stream.n; i++)
        if ((uint8_t)stream.p[i] == 0xff && (uint8_t)stream.p[i + 1] == 0xd3) rst = i;
    stream.p[rst + 1] = (char)0xd9; // a strip ends the image
    assert_false(decode_copy(&arena, JLS, &in.image, stream.p, stream.n, &none, &e));
    assert_non_null(strstr(e.message, "line 16"));
    buf_deinit(&joined);
    free((void *)(uintptr_t)in.bytes);
}

// One sample for 2 x 2 points, of an image that begins at (1, 1) of the grid (T.800 B.2).
static void subsampled_components_are_spread(void **state) {
    static const int32_t luma[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, chroma[4] = {10, 20, 30, 40};
    static const uint8_t expected[9] = {10, 20, 20, 30, 40, 40, 30, 40, 40};
    (void)state;
    struct codec_plane planes[3] = {{luma, 3, 3, 1, 1, 1, 1}, {chroma, 2, 2, 0, 0, 2, 2}, {chroma, 2, 2, 0, 0, 2, 2}};
    struct px_image image = image_for(3, 3, 3, 8, false);
    struct px_frame out;
    assert_true(codec_pack(&arena, &image, planes, (struct codec_depth){8, false}, 1, 1, &out, NULL));
    for (size_t i = 0; i < 9; i++) {
        assert_int_equal(out.bytes[3 * i], luma[i]);
        assert_int_equal(out.bytes[3 * i + 1], expected[i]);
        assert_int_equal(out.bytes[3 * i + 2], expected[i]);
    }
}

// ---- damage ----

static void a_codestream_cut_anywhere_is_refused_or_whole(void **state) {
    static const char *const uids[] = {JLS, JLS_NEAR, J2K, J2K_LOSSY, HTJ2K, HTJ2K_LOSSY};
    (void)state;
    for (size_t u = 0; u < 6; u++) {
        struct px_frame in = frame_for(image_for(23, 17, u % 2 ? 3 : 1, 8, false), SLOPE), out;
        struct px_image image = encoded(uids[u], &in, NULL);
        struct px_frame whole = decoded(uids[u], &image);
        uint8_t *kept = malloc(whole.n);
        memcpy(kept, whole.bytes, whole.n);
        for (size_t n = 0; n < stream.n; n++) {
            struct err e = {0};
            arena_reset(&arena);
            if (!decode_copy(&arena, uids[u], &image, stream.p, n, &out, &e))
                assert_int_equal(e.kind, ERR_UNDECODABLE);
            else
                assert_memory_equal(out.bytes, kept, out.n); // only the end marker, or padding, is gone
        }
        free(kept);
        free((void *)(uintptr_t)in.bytes);
    }
}

// Not of HT code-blocks: Debian's OpenJPEG reads memory that it has not set of damaged ones, and may end the process by an assert() (ht_dec.c: mel_init),
// depending on what was there. That costs a worker in its box, and would end this test.
static void flipped_bits_do_no_harm(void **state) {
    static const char *const uids[] = {JLS, JLS_NEAR, J2K, J2K_LOSSY};
    (void)state;
    for (size_t u = 0; u < 4; u++) {
        struct px_frame in = frame_for(image_for(12, 17, u % 2 ? 3 : 1, 8, false), SLOPE), out;
        struct px_image image = encoded(uids[u], &in, NULL);
        for (size_t bit = 0; bit < stream.n * 8; bit++) {
            struct err e = {0};
            arena_reset(&arena);
            stream.p[bit / 8] = (char)(stream.p[bit / 8] ^ 1 << bit % 8);
            if (!decode_copy(&arena, uids[u], &image, stream.p, stream.n, &out, &e)) assert_int_equal(e.kind, ERR_UNDECODABLE);
            stream.p[bit / 8] = (char)(stream.p[bit / 8] ^ 1 << bit % 8);
        }
        free((void *)(uintptr_t)in.bytes);
    }
}

static void put32(size_t at, uint32_t v) {
    for (size_t i = 0; i < 4; i++) stream.p[at + i] = (char)(v >> 8 * (3 - i));
}

static void refused(const char *uid, const struct px_image *image, const char *why) {
    struct px_frame out;
    struct err e = {0};
    arena_reset(&arena);
    assert_false(decode_copy(&arena, uid, image, stream.p, stream.n, &out, &e));
    assert_int_equal(e.kind, ERR_UNDECODABLE);
    if (!strstr(e.message, why)) fail_msg("'%s' says nothing of '%s'", e.message, why);
    assert_true(arena.used < 1 << 20);
}

// SIZ is at byte 2: Rsiz at 6, Xsiz 8, Ysiz 12, offsets 16 and 20, tiles 24 and 28, their offsets 32 and 36, Csiz 40 (T.800 A.5.1).
static void headers_that_would_explode_are_refused_before_memory_is_taken(void **state) {
    (void)state;
    struct px_frame in = frame_for(image_for(16, 16, 1, 8, false), NOISE);
    struct px_image image = encoded(J2K, &in, NULL), huge = image;
    put32(8, 0x80000000), put32(12, 0x80000000);
    refused(J2K, &image, "2^31");
    put32(8, 65535), put32(12, 65535), put32(24, 65535), put32(28, 65535);
    refused(J2K, &image, "declares 16 x 16");
    huge.rows = huge.columns = 65535;
    put32(24, 1), put32(28, 1);
    refused(J2K, &huge, "tiles");
    put32(24, 65535), put32(28, 65535);
    refused(J2K, &huge, "samples");
    put32(8, 16), put32(12, 16), put32(24, 0);
    refused(J2K, &image, "tiles of 0");
    put32(24, 16), put32(28, 16);
    stream.p[40] = 0x40;
    refused(J2K, &image, "components");
    stream.p[40] = 0;
    put32(24, 8);
    refused(J2K, &image, "tiles are missing");
    encoded(JLS, &in, NULL);
    memset(stream.p + 7, 0xff, 4); // the size in SOF55
    refused(JLS, &image, "declares 16 x 16");
    free((void *)(uintptr_t)in.bytes);
}

static void code_blocks_and_packets_without_end_are_refused(void **state) {
    (void)state;
    struct px_frame in = frame_for(image_for(16, 16, 1, 8, false), FLAT);
    struct px_image image = encoded(J2K, &in, NULL), large = image;
    size_t cod = 2;
    while ((uint8_t)stream.p[cod + 1] != 0x52) cod += 2 + (size_t)((uint8_t)stream.p[cod + 2] << 8 | (uint8_t)stream.p[cod + 3]);
    large.rows = large.columns = 8192;
    put32(8, 8192), put32(12, 8192), put32(24, 8192), put32(28, 8192);
    stream.p[cod + 10] = stream.p[cod + 11] = 0; // code-blocks of 4 x 4
    refused(J2K, &large, "code-blocks");
    stream.p[cod + 6] = stream.p[cod + 7] = (char)0xff; // layers
    refused(J2K, &large, "packets");
    free((void *)(uintptr_t)in.bytes);
}

int main(void) {
    mallopt(M_PERTURB, 0xA5); // as the workers do for HT code-blocks: what OpenJPEG reads unset is the same in each run
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lossless_of_every_depth_sign_and_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(near_lossless_differs_by_near_at_most, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signed_samples_that_near_lossless_would_turn_round_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lossy_quality_is_a_signal_to_noise_ratio, set_up, tear_down),
        cmocka_unit_test_setup_teardown(colour_says_which_transform_it_had, set_up, tear_down),
        cmocka_unit_test_setup_teardown(planar_frames_are_encoded_by_pixel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rpcl_has_what_the_standard_wants_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_data_set_decides_about_the_sign, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bits_stored_grows_when_values_need_it_and_only_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cells_of_32_bits_take_what_the_codestream_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_size_than_the_declared_one_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(boxes_around_a_codestream_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_interleaving_and_transform_decodes_as_by_charls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(preset_coding_parameters_are_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(restart_intervals_are_strips_of_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(subsampled_components_are_spread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_codestream_cut_anywhere_is_refused_or_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flipped_bits_do_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(headers_that_would_explode_are_refused_before_memory_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(code_blocks_and_packets_without_end_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
