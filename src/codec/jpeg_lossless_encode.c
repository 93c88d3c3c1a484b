// JPEG lossless encoding (ITU-T T.81 H) with selection value 1: differences are counted, a Huffman table is made for them, then they are written.
#include "codec/jpeg_lossless.h"
#include "codec/jpeg_optimal.h"
#include "codec/jpeg_writer.h"

enum { WORST_BYTES = 8 }; // of a sample: 32 bits, each byte stuffed

static unsigned sample(const struct jpeg_plane *image, size_t i) {
    return image->bytes == 1 ? image->p[i] : (unsigned)image->p[2 * i] | (unsigned)image->p[2 * i + 1] << 8;
}

static void read_row(const struct jpeg_plane *image, uint32_t y, uint16_t *row) {
    size_t width = (size_t)image->columns * image->components, at = width * y;
    if (image->bytes == 1)
        for (size_t i = 0; i < width; i++) row[i] = image->p[at + i];
    else
        for (size_t i = 0; i < width; i++) row[i] = (uint16_t)sample(image, at + i);
}

// Differences of row y: modulo 2^16 (H.1.2.1), from the left, at the left edge from above, at the corner from the middle (H.1.1).
static void differences(const struct jpeg_plane *image, uint32_t y, uint16_t *row, int16_t *to) {
    size_t n = image->components, width = n * image->columns;
    read_row(image, y, row);
    for (size_t c = 0; c < n; c++) to[c] = (int16_t)(row[c] - (y ? sample(image, width * (y - 1) + c) : 1u << (image->precision - 1)));
    for (size_t i = n; i < width; i++) to[i] = (int16_t)(row[i] - row[i - n]);
}

// How many bits a difference takes behind its code.
static inline unsigned category(int d) {
    return d ? 32 - (unsigned)__builtin_clz((unsigned)(d < 0 ? -d : d)) : 0;
}

static void put_row(struct jpeg_bit_writer *b, const struct jpeg_codes *codes, const int16_t *d, size_t n) {
    struct jpeg_bit_writer w = *b;
    for (size_t i = 0; i < n; i++) {
        unsigned s = category(d[i]), bits = s == 16 ? 0 : s; // of -32768 there is only one
        uint32_t extra = (uint32_t)(d[i] - (d[i] < 0)) & ((1u << bits) - 1);
        jpeg_put_bits(&w, (uint32_t)codes->code[s] << bits | extra, codes->length[s] + bits);
    }
    *b = w;
}

static void put_headers(const struct jpeg_plane *image, const struct jpeg_huffman_spec *spec, struct buf *to) {
    struct jpeg_frame f = {
        .precision = (uint8_t)image->precision, .rows = (uint16_t)image->rows, .columns = (uint16_t)image->columns, .components = image->components};
    struct jpeg_scan scan = {.components = image->components, .ss = 1};
    for (unsigned c = 0; c < image->components; c++) {
        f.component[c] = (struct jpeg_component){.id = (uint8_t)(image->rgb ? (uint8_t) "RGB"[c] : c + 1), .h = 1, .v = 1};
        scan.component[c] = (uint8_t)c;
    }
    jpeg_put_marker(to, 0xD8);
    jpeg_put_frame(to, JPEG_SOF_LOSSLESS, &f);
    jpeg_put_table(to, 0, 0, spec);
    jpeg_put_scan(to, &f, &scan);
}

static bool put_image(const struct jpeg_plane *image, const struct jpeg_codes *codes, uint16_t *row, int16_t *d, struct buf *to) {
    struct jpeg_bit_writer b = {0};
    size_t width = (size_t)image->columns * image->components;
    for (uint32_t y = 0; y <= image->rows; y++) {
        char *room = buf_reserve(to, WORST_BYTES * width + 2 * sizeof b.w);
        if (!room) return false;
        b.p = (uint8_t *)room;
        if (y < image->rows) {
            differences(image, y, row, d);
            put_row(&b, codes, d, width);
        } else
            jpeg_flush_bits(&b);
        to->n += (size_t)((char *)b.p - room);
    }
    return true;
}

bool jpeg_lossless_encode(struct arena *a, const struct jpeg_plane *image, struct buf *to, struct err *e) {
    size_t width = (size_t)image->columns * image->components;
    uint16_t *row = arena_alloc(a, width * sizeof *row, e);
    int16_t *d = arena_alloc(a, width * sizeof *d, e);
    uint64_t count[256] = {0};
    struct jpeg_huffman_spec spec;
    struct jpeg_codes codes;
    if (!row || !d) return false;
    for (uint32_t y = 0; y < image->rows; y++) {
        differences(image, y, row, d);
        for (size_t i = 0; i < width; i++) count[category(d[i])]++;
    }
    jpeg_optimal(count, &spec);
    jpeg_codes(&spec, &codes);
    put_headers(image, &spec, to);
    if (put_image(image, &codes, row, d, to)) jpeg_put_marker(to, 0xD9);
    return buf_ok(to, e);
}
