// Makes small JPEG codestreams: no look-ups, no tables but those of the standard's text, one bit at a time.
#include "jpeg_made.h"

#include <math.h>

#include "codec/jpeg_optimal.h"
#include "codec/jpeg_writer.h"

struct bits {
    struct buf *to;
    unsigned byte, n;
};

static void put(struct bits *b, unsigned v, unsigned n) {
    while (n--) {
        b->byte = b->byte << 1 | (v >> n & 1);
        if (++b->n % 8) continue;
        buf_addc(b->to, (char)b->byte);
        if ((b->byte & 255) == 255) buf_addc(b->to, 0);
    }
}

static void flush(struct bits *b) {
    while (b->n % 8) put(b, 1, 1);
}

static unsigned size_of(int v) {
    unsigned s = 0;
    for (unsigned m = (unsigned)(v < 0 ? -v : v); m; m >>= 1) s++;
    return s;
}

static void put_value(struct bits *b, const struct jpeg_codes *codes, unsigned symbol, unsigned size, int v) {
    put(b, codes->code[symbol], codes->length[symbol]);
    put(b, (unsigned)(v < 0 ? v - 1 : v) & ((1u << size) - 1), size);
}

static void restart(struct bits *b, unsigned *number) {
    flush(b);
    jpeg_put_marker(b->to, 0xD0 + (*number)++ % 8);
}

// Symbols 0 to 16 with codes of 1 to 16 bits, or all of 5.
static struct jpeg_huffman_spec lossless_table(bool long_codes) {
    struct jpeg_huffman_spec spec = {.seen = true, .symbols = 17};
    for (unsigned i = 0; i < 17; i++) spec.symbol[i] = (uint8_t)(long_codes ? 16 - i : i);
    if (!long_codes) spec.count[5] = 17;
    for (unsigned l = 1; long_codes && l <= 16; l++) spec.count[l] = l < 16 ? 1 : 2;
    return spec;
}

static void put_headers(const struct made *m, unsigned process, const unsigned *h, const unsigned *v, struct jpeg_frame *f, struct buf *to) {
    *f = (struct jpeg_frame){.precision = (uint8_t)m->precision, .rows = (uint16_t)(m->late_rows ? 0 : m->rows), .columns = (uint16_t)m->columns};
    f->components = m->components;
    for (unsigned c = 0; c < m->components; c++)
        f->component[c] = (struct jpeg_component){.id = (uint8_t)(10 + c), .h = (uint8_t)(h ? h[c] : 1), .v = (uint8_t)(v ? v[c] : 1)};
    jpeg_put_marker(to, 0xD8);
    jpeg_put_frame(to, process, f);
}

static void put_interval(struct buf *to, unsigned mcus) {
    jpeg_put_marker(to, 0xDD);
    jpeg_put16(to, 4);
    jpeg_put16(to, mcus);
}

// ---- lossless ----

static int shifted(const struct made *m, unsigned y, unsigned x, unsigned c) {
    return m->sample[((size_t)y * m->columns + x) * m->components + c] >> m->point_transform;
}

// T.81 H.1.1 and table H.1.
static int predicted(const struct made *m, unsigned y, unsigned x, unsigned c, bool first_row) {
    if (first_row) return x ? shifted(m, y, x - 1, c) : 1 << (m->precision - m->point_transform - 1);
    if (!x) return shifted(m, y - 1, x, c);
    int ra = shifted(m, y, x - 1, c), rb = shifted(m, y - 1, x, c), rc = shifted(m, y - 1, x - 1, c);
    const int by[] = {0, ra, rb, rc, ra + rb - rc, ra + ((rb - rc) >> 1), rb + ((ra - rc) >> 1), (ra + rb) >> 1};
    return by[m->predictor];
}

static void put_lossless_scan(const struct made *m, const struct jpeg_frame *f, unsigned from, unsigned to_component, struct buf *to) {
    struct jpeg_scan scan = {.components = to_component - from, .ss = (uint8_t)m->predictor, .al = (uint8_t)m->point_transform};
    struct jpeg_huffman_spec spec = lossless_table(m->long_codes);
    struct jpeg_codes codes;
    struct bits b = {.to = to};
    unsigned number = 0;
    jpeg_codes(&spec, &codes);
    for (unsigned i = 0; i < scan.components; i++) {
        scan.component[i] = (uint8_t)(from + i);
        scan.dc[i] = (uint8_t)(m->tables_apart ? from + i : 0);
        jpeg_put_table(to, 0, scan.dc[i], &spec);
    }
    jpeg_put_scan(to, f, &scan);
    for (unsigned y = 0; y < m->rows; y++) {
        bool first = y == 0 || (m->restart_rows && y % m->restart_rows == 0);
        if (first && y) restart(&b, &number);
        for (unsigned x = 0; x < m->columns; x++)
            for (unsigned c = from; c < to_component; c++) {
                int d = (int16_t)(shifted(m, y, x, c) - predicted(m, y, x, c, first));
                put_value(&b, &codes, size_of(d), d == -32768 ? 0 : size_of(d), d);
            }
    }
    flush(&b);
}

void made_lossless(const struct made *m, struct buf *to) {
    struct jpeg_frame f;
    put_headers(m, 3, NULL, NULL, &f, to);
    if (m->restart_rows) put_interval(to, m->restart_rows * m->columns);
    for (unsigned c = 0; c < m->components; c += m->apart ? 1 : m->components) {
        put_lossless_scan(m, &f, c, m->apart ? c + 1 : m->components, to);
        if (c || !m->late_rows) continue;
        jpeg_put_marker(to, 0xDC);
        jpeg_put16(to, 4);
        jpeg_put16(to, m->rows);
    }
    jpeg_put_marker(to, 0xD9);
}

// ---- DCT ----

static const uint8_t ZIGZAG[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
                                   41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
                                   30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

// T.81 A.3.3, for the block at (x0, y0) of a component of which every sx-th and sy-th sample is taken.
static void forward(const struct made *m, unsigned c, unsigned x0, unsigned y0, unsigned sx, unsigned sy, int out[64]) {
    double s[64];
    for (unsigned i = 0; i < 64; i++) {
        unsigned x = (x0 + i % 8) * sx, y = (y0 + i / 8) * sy;
        if (x >= m->columns) x = m->columns - 1;
        if (y >= m->rows) y = m->rows - 1;
        s[i] = m->sample[((size_t)y * m->columns + x) * m->components + c] - 2048.0;
    }
    for (unsigned k = 0; k < 64; k++) {
        double sum = 0;
        for (unsigned i = 0; i < 64; i++) sum += s[i] * cos((2 * (i % 8) + 1) * (k % 8) * M_PI / 16) * cos((2 * (i / 8) + 1) * (k / 8) * M_PI / 16);
        out[k] = (int)lround(sum / 4 * (k % 8 ? 1 : M_SQRT1_2) * (k / 8 ? 1 : M_SQRT1_2));
    }
}

static void put_block(struct bits *b, const struct jpeg_codes *dc, const struct jpeg_codes *ac, const int k[64], int *previous) {
    int d = k[0] - *previous;
    unsigned run = 0;
    *previous = k[0];
    put_value(b, dc, size_of(d), size_of(d), d);
    for (unsigned i = 1; i < 64; i++) {
        int v = k[ZIGZAG[i]];
        if (!v && ++run) continue;
        for (; run > 15; run -= 16) put(b, ac->code[0xF0], ac->length[0xF0]);
        put_value(b, ac, run << 4 | size_of(v), size_of(v), v);
        run = 0;
    }
    if (run) put(b, ac->code[0], ac->length[0]);
}

// Codes of 9 bits for every symbol there may be.
static struct jpeg_huffman_spec table_of_all(void) {
    struct jpeg_huffman_spec spec = {.seen = true, .symbols = 255};
    for (unsigned i = 0; i < 255; i++) spec.symbol[i] = (uint8_t)i;
    spec.count[9] = 255;
    return spec;
}

static void put_dct_tables(struct buf *to, struct jpeg_codes *dc, struct jpeg_codes *ac) {
    struct jpeg_huffman_spec spec = {.seen = true, .symbols = 16, .count = {[5] = 16}}, all = table_of_all();
    for (unsigned i = 0; i < 16; i++) spec.symbol[i] = (uint8_t)i;
    jpeg_codes(&spec, dc);
    jpeg_codes(&all, ac);
    jpeg_put_table(to, 0, 0, &spec);
    jpeg_put_table(to, 1, 0, &all);
    jpeg_put_marker(to, 0xDB);
    jpeg_put16(to, 67);
    buf_addc(to, 0);
    for (unsigned i = 0; i < 64; i++) buf_addc(to, 1);
}

void made_dct12(const struct made *m, const unsigned *h, const unsigned *v, struct buf *to) {
    struct jpeg_frame f;
    struct jpeg_scan scan = {.components = m->components, .se = 63};
    struct jpeg_codes dc, ac;
    struct bits b = {.to = to};
    unsigned h_max = h[0], v_max = v[0], number = 0, across = (m->columns + 8 * h_max - 1) / (8 * h_max), down = (m->rows + 8 * v_max - 1) / (8 * v_max);
    int previous[JPEG_COMPONENTS_MAX] = {0}, k[64];
    put_headers(m, 1, h, v, &f, to);
    put_dct_tables(to, &dc, &ac);
    if (m->restart_rows) put_interval(to, m->restart_rows * across);
    for (unsigned c = 0; c < m->components; c++) scan.component[c] = (uint8_t)c;
    jpeg_put_scan(to, &f, &scan);
    for (unsigned i = 0; i < across * down; i++) {
        if (i && m->restart_rows && i % (m->restart_rows * across) == 0) {
            restart(&b, &number);
            memset(previous, 0, sizeof previous);
        }
        for (unsigned c = 0; c < m->components; c++)
            for (unsigned j = 0; j < h[c] * v[c]; j++) {
                forward(m, c, (i % across * h[c] + j % h[c]) * 8, (i / across * v[c] + j / h[c]) * 8, h_max / h[c], v_max / v[c], k);
                put_block(&b, &dc, &ac, k, previous + c);
            }
    }
    flush(&b);
    jpeg_put_marker(to, 0xD9);
}
