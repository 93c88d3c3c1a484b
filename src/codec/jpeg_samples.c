// From 12-bit JPEG coefficients to samples: inverse transform, upsampling, colour.
#include <string.h>

#include "codec/jpeg_dct.h"

// ---- the inverse transform ----
//
// Loeffler, Ligtenberg and Moschytz, Practical fast 1-D DCT algorithms with 11 multiplications (ICASSP 1989), with constants of 13 bits; one bit is kept
// between the passes. 64-bit sums: no coefficient overflows them.

enum { CONSTANT_BITS = 13, PASS_BITS = 1 };
#define CONSTANT(x) ((int64_t)((x) * (1 << CONSTANT_BITS) + 0.5))

// Eight values to eight sums, scaled by 2^CONSTANT_BITS.
static inline void transform(const int64_t in[8], int64_t out[8]) {
    int64_t even = (in[2] + in[6]) * CONSTANT(0.541196100);
    int64_t e2 = even - in[6] * CONSTANT(1.847759065), e3 = even + in[2] * CONSTANT(0.765366865);
    int64_t e0 = (in[0] + in[4]) * (1 << CONSTANT_BITS), e1 = (in[0] - in[4]) * (1 << CONSTANT_BITS);
    const int64_t sum[4] = {e0 + e3, e1 + e2, e1 - e2, e0 - e3};

    int64_t z1 = -(in[7] + in[1]) * CONSTANT(0.899976223), z2 = -(in[5] + in[3]) * CONSTANT(2.562915447);
    int64_t z3 = in[7] + in[3], z4 = in[5] + in[1], z5 = (z3 + z4) * CONSTANT(1.175875602);
    z3 = z5 - z3 * CONSTANT(1.961570560);
    z4 = z5 - z4 * CONSTANT(0.390180644);
    const int64_t odd[4] = {in[1] * CONSTANT(1.501321110) + z1 + z4, in[3] * CONSTANT(3.072711026) + z2 + z3, in[5] * CONSTANT(2.053119869) + z2 + z4,
                            in[7] * CONSTANT(0.298631336) + z1 + z3};
    for (unsigned i = 0; i < 4; i++) {
        out[i] = sum[i] + odd[i];
        out[7 - i] = sum[i] - odd[i];
    }
}

static inline int64_t descale(int64_t v, unsigned bits) {
    return (v + ((int64_t)1 << (bits - 1))) >> bits;
}

static inline int clamp(int64_t v) {
    return v < 0 ? 0 : v > (1 << JPEG_DCT_BITS) - 1 ? (1 << JPEG_DCT_BITS) - 1 : (int)v;
}

// What comes out of the range of two more bits wraps around, as in the table that the reference decoder looks it up in.
static inline int16_t sample_of(int64_t v) {
    int64_t wrapped = (int64_t)((uint64_t)v << (64 - JPEG_DCT_BITS - 2)) >> (64 - JPEG_DCT_BITS - 2);
    return (int16_t)clamp(wrapped + (1 << (JPEG_DCT_BITS - 1)));
}

void jpeg_idct12(int16_t block[64], const uint16_t quant[64]) {
    int64_t between[64], in[8], out[8];
    for (unsigned x = 0; x < 8; x++) {
        for (unsigned y = 0; y < 8; y++) in[y] = (int64_t)block[8 * y + x] * quant[8 * y + x];
        transform(in, out);
        for (unsigned y = 0; y < 8; y++) between[8 * y + x] = descale(out[y], CONSTANT_BITS - PASS_BITS);
    }
    for (unsigned y = 0; y < 8; y++) {
        transform(between + 8 * y, out);
        for (unsigned x = 0; x < 8; x++) block[8 * y + x] = sample_of(descale(out[x], CONSTANT_BITS + PASS_BITS + 3));
    }
}

// ---- upsampling ----

// Row y of a component, the nearest one where there is none.
static void fetch(const struct jpeg_grid *g, int64_t y, int32_t *row) {
    y = y < 0 ? 0 : y >= g->height ? g->height - 1 : y;
    const int16_t *p = g->block + 64 * (size_t)(y / 8) * g->stride + 8 * (y % 8);
    for (uint32_t x = 0; x < g->blocks_across * 8; x++) row[x] = p[64 * (size_t)(x / 8) + x % 8];
}

// Twice the columns: three parts of the nearer one, one of the further. bits: that the sums have too many (4 after a triangle over rows); what is added for
// rounding alternates, so that nothing drifts.
static void widen_row(const int32_t *row, uint32_t n, unsigned bits, int32_t left, int32_t right, int32_t *to) {
    to[0] = (row[0] * 4 + left) >> bits;
    to[2 * n - 1] = (row[n - 1] * 4 + right) >> bits;
    for (uint32_t x = 1; x < n; x++) {
        to[2 * x - 1] = (row[x - 1] * 3 + row[x] + right) >> bits;
        to[2 * x] = (row[x] * 3 + row[x - 1] + left) >> bits;
    }
}

static void repeat(const struct jpeg_image12 *image, const struct jpeg_grid *g, const int32_t *row, int32_t *to) {
    unsigned times = image->h_max / g->h;
    for (uint32_t x = 0; x < image->width; x++) to[x] = row[x / times];
}

// Row y of the image. spare: room for two rows.
static void upsample(const struct jpeg_image12 *image, unsigned c, uint32_t y, int32_t *spare[2], int32_t *to) {
    const struct jpeg_grid *g = image->grid + c;
    unsigned h = image->h_max / g->h, v = image->v_max / g->v;
    fetch(g, y / v, spare[0]);
    if (h != 2 || v > 2 || g->width <= 2) return repeat(image, g, spare[0], to);
    if (v == 1) return widen_row(spare[0], g->width, 2, 1, 2, to);
    fetch(g, y % 2 ? (int64_t)y / 2 + 1 : (int64_t)y / 2 - 1, spare[1]);
    for (uint32_t x = 0; x < g->width; x++) spare[0][x] = 3 * spare[0][x] + spare[1][x];
    widen_row(spare[0], g->width, 4, 8, 7, to);
}

// ---- colour ----

// ITU-T T.871, with constants of 16 bits.
static void to_rgb_row(int32_t *line[JPEG_COMPONENTS_MAX], uint32_t n) {
    const int32_t middle = 1 << (JPEG_DCT_BITS - 1), half = 1 << 15;
    for (uint32_t x = 0; x < n; x++) {
        int32_t y = line[0][x], cb = line[1][x] - middle, cr = line[2][x] - middle;
        line[0][x] = clamp(y + ((91881 * cr + half) >> 16));
        line[1][x] = clamp(y + ((-22554 * cb - 46802 * cr + half) >> 16));
        line[2][x] = clamp(y + ((116130 * cb + half) >> 16));
    }
}

static void put_row(int32_t *const line[JPEG_COMPONENTS_MAX], unsigned components, uint32_t n, uint8_t *out) {
    for (uint32_t x = 0; x < n; x++)
        for (unsigned c = 0; c < components; c++, out += 2) {
            out[0] = (uint8_t)line[c][x];
            out[1] = (uint8_t)(line[c][x] >> 8);
        }
}

bool jpeg_write12(struct arena *a, const struct jpeg_image12 *image, bool to_rgb, uint8_t *out, struct err *e) {
    int32_t *line[JPEG_COMPONENTS_MAX + 2];
    size_t room = (size_t)image->mcus_across * image->h_max * 8 + 2;
    for (unsigned i = 0; i < JPEG_COMPONENTS_MAX + 2; i++)
        if (!(line[i] = arena_zero(a, room, sizeof *line[i], e))) return false;
    for (uint32_t y = 0; y < image->height; y++) {
        for (unsigned c = 0; c < image->components; c++) upsample(image, c, y, line + JPEG_COMPONENTS_MAX, line[c]);
        if (to_rgb) to_rgb_row(line, image->width);
        put_row(line, image->components, image->width, out);
        out += (size_t)image->width * image->components * 2;
    }
    return true;
}
