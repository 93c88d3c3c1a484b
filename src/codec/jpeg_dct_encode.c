// Encoding of grey samples of 12 bits with the DCT, sequentially (ITU-T T.81 F.1), with Huffman tables made for the image.
#include <math.h>

#include "codec/jpeg_dct.h"
#include "codec/jpeg_optimal.h"
#include "codec/jpeg_writer.h"

enum { WORST_BYTES = 8 }; // of a coefficient: 32 bits, each byte stuffed
enum { END_OF_BLOCK = 0x00, SIXTEEN_ZEROS = 0xF0 };

// T.81 table K.1, in natural order.
static const uint8_t LUMINANCE[64] = {16, 11,  10,  16, 24, 40, 51, 61, 12,  12,  14,  19,  26, 58, 60, 55,  14,  13,  16,  24, 40, 57,
                                      69, 56,  14,  17, 22, 29, 51, 87, 80,  62,  18,  22,  37, 56, 68, 109, 103, 77,  24,  35, 55, 64,
                                      81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98,  112, 100, 103, 99};

// What to do with symbols: first they are counted, then written.
struct coder {
    bool writing;
    uint64_t count[2][256]; // DC, AC
    struct jpeg_codes codes[2];
    struct jpeg_bit_writer bits;
};

struct encoder {
    uint32_t rows, columns, across, down; // across, down: blocks
    const uint8_t *samples;
    uint16_t quant[64];
    double cosine[8][8]; // [frequency][place]
    int16_t *block;      // coefficients in zigzag order
};

// The scale of the Independent JPEG Group: 50 is the table itself.
static void make_quant(struct encoder *g, int quality) {
    int percent = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    for (unsigned i = 0; i < 64; i++) {
        int q = (LUMINANCE[i] * percent + 50) / 100;
        g->quant[i] = (uint16_t)(q < 1 ? 1 : q > 255 ? 255 : q);
    }
    for (unsigned k = 0; k < 8; k++)
        for (unsigned x = 0; x < 8; x++) g->cosine[k][x] = cos((2 * x + 1) * k * M_PI / 16) / 2 * (k ? 1 : M_SQRT1_2);
}

// The block at (bx, by), beyond the edges the last row and column again, around 0.
static void fetch(const struct encoder *g, uint32_t bx, uint32_t by, double out[64]) {
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t x = 8 * bx + i % 8, y = 8 * by + i / 8;
        if (x >= g->columns) x = g->columns - 1;
        if (y >= g->rows) y = g->rows - 1;
        const uint8_t *p = g->samples + 2 * ((size_t)y * g->columns + x);
        out[i] = (p[0] | p[1] << 8) - (1 << (JPEG_DCT_BITS - 1));
    }
}

// T.81 A.3.3 and A.3.4.
static void transform(const struct encoder *g, const double in[64], int16_t out[64]) {
    double rows[64];
    for (unsigned y = 0; y < 8; y++)
        for (unsigned k = 0; k < 8; k++) {
            rows[8 * y + k] = 0;
            for (unsigned x = 0; x < 8; x++) rows[8 * y + k] += in[8 * y + x] * g->cosine[k][x];
        }
    for (unsigned i = 0; i < 64; i++) {
        unsigned at = JPEG_NATURAL[i];
        double sum = 0;
        for (unsigned y = 0; y < 8; y++) sum += rows[8 * y + at % 8] * g->cosine[at / 8][y];
        out[i] = (int16_t)lrint(sum / g->quant[at]);
    }
}

static unsigned size_of(int v) {
    return v ? 32 - (unsigned)__builtin_clz((unsigned)(v < 0 ? -v : v)) : 0;
}

static void put(struct coder *c, unsigned table, unsigned symbol, int v, unsigned size) {
    if (!c->writing) {
        c->count[table][symbol]++;
        return;
    }
    uint32_t extra = (uint32_t)(v - (v < 0)) & ((1u << size) - 1);
    jpeg_put_bits(&c->bits, (uint32_t)c->codes[table].code[symbol] << size | extra, c->codes[table].length[symbol] + size);
}

// T.81 F.1.2.1 and F.1.2.2.
static void put_block(struct coder *c, const int16_t *block, int previous) {
    int difference = block[0] - previous;
    unsigned run = 0;
    put(c, 0, size_of(difference), difference, size_of(difference));
    for (unsigned i = 1; i < 64; i++) {
        if (!block[i]) {
            run++;
            continue;
        }
        for (; run > 15; run -= 16) put(c, 1, SIXTEEN_ZEROS, 0, 0);
        put(c, 1, run << 4 | size_of(block[i]), block[i], size_of(block[i]));
        run = 0;
    }
    if (run) put(c, 1, END_OF_BLOCK, 0, 0);
}

// All blocks; to is written to only when the coder writes.
static bool put_blocks(const struct encoder *g, struct coder *c, struct buf *to) {
    int previous = 0;
    const int16_t *block = g->block;
    bool writing = c->writing && to;
    for (uint32_t y = 0; y < g->down; y++) {
        char *room = writing ? buf_reserve(to, (size_t)g->across * 64 * WORST_BYTES + 16) : NULL;
        if (writing && !room) return false;
        c->bits.p = (uint8_t *)room;
        for (uint32_t x = 0; x < g->across; x++, block += 64) {
            put_block(c, block, previous);
            previous = block[0];
        }
        if (writing && y + 1 == g->down) jpeg_flush_bits(&c->bits);
        if (writing) to->n += (size_t)((char *)c->bits.p - room);
    }
    return true;
}

static void put_headers(const struct encoder *g, struct coder *c, struct buf *to) {
    const struct jpeg_frame f = {
        .precision = JPEG_DCT_BITS, .rows = (uint16_t)g->rows, .columns = (uint16_t)g->columns, .components = 1, .component = {{1, 1, 1, 0}}};
    const struct jpeg_scan scan = {.components = 1, .se = 63};
    jpeg_put_marker(to, 0xD8);
    jpeg_put_marker(to, 0xDB);
    jpeg_put16(to, 67);
    buf_addc(to, 0);
    for (unsigned i = 0; i < 64; i++) buf_addc(to, (char)g->quant[JPEG_NATURAL[i]]);
    jpeg_put_frame(to, JPEG_SOF_EXTENDED, &f);
    for (unsigned i = 0; i < 2; i++) {
        struct jpeg_huffman_spec spec;
        jpeg_optimal(c->count[i], &spec);
        jpeg_codes(&spec, &c->codes[i]);
        jpeg_put_table(to, i, 0, &spec);
    }
    jpeg_put_scan(to, &f, &scan);
}

bool jpeg_dct_encode(struct arena *a, uint32_t rows, uint32_t columns, const uint8_t *samples, int quality, struct buf *to, struct err *e) {
    struct encoder g = {.rows = rows, .columns = columns, .across = (columns + 7) / 8, .down = (rows + 7) / 8, .samples = samples};
    struct coder *c = arena_zero(a, 1, sizeof *c, e);
    if (!c || !(g.block = arena_alloc(a, (size_t)g.across * g.down * 64 * sizeof *g.block, e))) return false;
    make_quant(&g, quality);
    for (uint32_t y = 0; y < g.down; y++)
        for (uint32_t x = 0; x < g.across; x++) {
            double in[64];
            fetch(&g, x, y, in);
            transform(&g, in, g.block + 64 * ((size_t)y * g.across + x));
        }
    put_blocks(&g, c, NULL);
    put_headers(&g, c, to);
    c->writing = true;
    if (put_blocks(&g, c, to)) jpeg_put_marker(to, 0xD9);
    return buf_ok(to, e);
}
