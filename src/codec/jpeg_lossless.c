// JPEG lossless decoding (ITU-T T.81 H): differences row by row, then the predictor over the whole row.
#include "codec/jpeg_lossless.h"

#include "codec/jpeg_bits.h"

// One scan. Rows begin at index 0 of each component's array.
struct lossless {
    struct jpeg_stream *s;
    struct err *e;
    unsigned n; // components of the scan
    uint32_t columns;
    unsigned predictor, shift, precision;
    const struct jpeg_huffman *table[JPEG_COMPONENTS_MAX];
    uint16_t *row[JPEG_COMPONENTS_MAX], *above[JPEG_COMPONENTS_MAX];
    uint8_t *segment;
    struct jpeg_bits bits;
    uint8_t *out;
    unsigned bytes, stride; // of a sample, samples of a pixel
    bool done[JPEG_COMPONENTS_MAX];
};

// A difference whose bits the look-up does not hold (T.81 H.1.2.2). At least 32 bits are there, and 56 afterwards.
static __attribute__((noinline)) unsigned long_difference(const struct jpeg_huffman *h, struct jpeg_bits *b) {
    unsigned s = jpeg_symbol(h, b);
    int v = s == 16 ? 32768 : jpeg_extend(jpeg_take(b, s), s);
    jpeg_refill(b);
    return (unsigned)v;
}

JPEG_INLINE unsigned difference(const struct jpeg_huffman *h, struct jpeg_bits *b) {
    uint32_t t = h->entry[b->w >> (64 - JPEG_LOOK_BITS)];
    if (__builtin_expect(JPEG_ENTRY_LENGTH(t) != 0, 1)) {
        jpeg_skip(b, JPEG_ENTRY_LENGTH(t));
        return (unsigned)JPEG_ENTRY_VALUE(t);
    }
    struct jpeg_bits copy = *b; // so that b itself stays in registers
    jpeg_refill(&copy);
    unsigned v = long_difference(h, &copy);
    *b = copy;
    return v;
}

// Four look-ups take at most 48 bits: one refill serves them all.
static void differences_of_one(struct lossless *d) {
    struct jpeg_bits b = d->bits;
    const struct jpeg_huffman *h = d->table[0];
    uint16_t *row = d->row[0];
    uint32_t x = 0;
    for (; x + 4 <= d->columns; x += 4) {
        jpeg_refill(&b);
        row[x] = (uint16_t)difference(h, &b);
        row[x + 1] = (uint16_t)difference(h, &b);
        row[x + 2] = (uint16_t)difference(h, &b);
        row[x + 3] = (uint16_t)difference(h, &b);
    }
    jpeg_refill(&b);
    for (; x < d->columns; x++) row[x] = (uint16_t)difference(h, &b);
    d->bits = b;
}

static void differences_of_three(struct lossless *d) {
    struct jpeg_bits b = d->bits;
    const struct jpeg_huffman *h0 = d->table[0], *h1 = d->table[1], *h2 = d->table[2];
    for (uint32_t x = 0; x < d->columns; x++) {
        jpeg_refill(&b);
        d->row[0][x] = (uint16_t)difference(h0, &b);
        d->row[1][x] = (uint16_t)difference(h1, &b);
        d->row[2][x] = (uint16_t)difference(h2, &b);
    }
    d->bits = b;
}

static void differences(struct lossless *d) {
    if (d->n == 1) return differences_of_one(d);
    if (d->n == 3) return differences_of_three(d);
    for (uint32_t x = 0; x < d->columns; x++) {
        jpeg_refill(&d->bits);
        for (unsigned c = 0; c < d->n; c++) d->row[c][x] = (uint16_t)difference(d->table[c], &d->bits);
    }
}

// T.81 table H.1: Ra to the left, Rb above, Rc above to the left. Sums are modulo 2^16.
#define PREDICT(expression)                                    \
    for (uint32_t x = 1; x < n; x++) {                         \
        int ra = row[x - 1], rb = above[x], rc = above[x - 1]; \
        (void)ra, (void)rb, (void)rc;                          \
        row[x] = (uint16_t)(row[x] + (expression));            \
    }                                                          \
    break

// From differences to samples. above: NULL in the first row and after a restart (T.81 H.1.1).
static void undo(uint16_t *row, const uint16_t *above, uint32_t n, unsigned predictor, unsigned origin) {
    row[0] = (uint16_t)(row[0] + (above ? above[0] : origin));
    switch (above ? predictor : 1) {
    case 1:
        for (uint32_t x = 1; x < n; x++) row[x] = (uint16_t)(row[x] + row[x - 1]);
        break;
    case 2:
        for (uint32_t x = 1; x < n; x++) row[x] = (uint16_t)(row[x] + above[x]);
        break;
    case 3:
        for (uint32_t x = 1; x < n; x++) row[x] = (uint16_t)(row[x] + above[x - 1]);
        break;
    case 4:
        PREDICT(ra + rb - rc);
    case 5:
        PREDICT(ra + ((rb - rc) >> 1));
    case 6:
        PREDICT(rb + ((ra - rc) >> 1));
    default:
        PREDICT((ra + rb) >> 1);
    }
}

static void put_bytes(const struct lossless *d, const uint16_t *row, uint8_t *out) {
    unsigned shift = d->shift, stride = d->stride;
    if (stride == 1)
        for (uint32_t x = 0; x < d->columns; x++) out[x] = (uint8_t)(row[x] << shift);
    else
        for (uint32_t x = 0; x < d->columns; x++) out[(size_t)x * stride] = (uint8_t)(row[x] << shift);
}

static void put_words(const struct lossless *d, const uint16_t *row, uint8_t *out) {
    unsigned shift = d->shift;
    for (uint32_t x = 0; x < d->columns; x++) {
        uint16_t v = (uint16_t)(row[x] << shift);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
        v = __builtin_bswap16(v);
#endif
        memcpy(out + (size_t)x * d->stride * 2, &v, 2);
    }
}

static void row_done(struct lossless *d, uint32_t y, bool first) {
    for (unsigned c = 0; c < d->n; c++) {
        uint16_t *row = d->row[c];
        undo(row, first ? NULL : d->above[c], d->columns, d->predictor, 1u << (d->precision - d->shift - 1));
        uint8_t *out = d->out + ((size_t)y * d->columns * d->stride + d->s->scan.component[c]) * d->bytes;
        if (d->bytes == 1)
            put_bytes(d, row, out);
        else
            put_words(d, row, out);
        d->row[c] = d->above[c];
        d->above[c] = row;
    }
}

static bool next_segment(struct lossless *d, unsigned number) {
    if (number && !jpeg_restart(d->s, (number - 1) & 7, d->e)) return false;
    d->bits = jpeg_bits_of(d->segment, jpeg_segment(d->s, d->segment));
    return true;
}

static bool segment_good(const struct lossless *d, uint32_t y) {
    if (d->bits.bad) return err_set(d->e, ERR_UNDECODABLE, "codec", "JPEG lossless: a code that the Huffman table has not, in row %u", y + 1);
    if (jpeg_bits_over(&d->bits)) return err_set(d->e, ERR_UNDECODABLE, "codec", "JPEG lossless: the codestream ends in row %u of the image", y + 1);
    return true;
}

static bool decode_scan(struct lossless *d) {
    uint32_t interval = d->s->restart_interval / d->columns, rows = d->s->frame.rows;
    if (!interval) interval = rows;
    for (uint32_t y = 0; y < rows; y++) {
        bool first = y % interval == 0;
        if (first && !next_segment(d, y / interval)) return false;
        differences(d);
        if (!segment_good(d, y)) return false;
        row_done(d, y, first);
    }
    for (unsigned c = 0; c < d->n; c++) d->done[d->s->scan.component[c]] = true;
    return true;
}

static bool check_scan(const struct lossless *d) {
    const struct jpeg_scan *scan = &d->s->scan;
    if (scan->ss < 1 || scan->ss > 7) return err_set(d->e, ERR_UNDECODABLE, "codec", "JPEG lossless: predictor %u; it may be 1 to 7", scan->ss);
    if (scan->al >= d->precision)
        return err_set(d->e, ERR_UNDECODABLE, "codec", "JPEG lossless: point transform %u leaves nothing of %u bits", scan->al, d->precision);
    if (d->s->restart_interval % d->columns)
        return err_set(d->e, ERR_UNDECODABLE, "codec", "JPEG lossless: a restart interval of %u is no whole number of rows of %u", d->s->restart_interval,
                       d->columns);
    for (unsigned c = 0; c < scan->components; c++)
        if (d->done[scan->component[c]]) return err_set(d->e, ERR_UNDECODABLE, "codec", "JPEG lossless: a component is sent twice");
    return true;
}

static bool begin_scan(struct lossless *d, struct arena *a) {
    const struct jpeg_scan *scan = &d->s->scan;
    d->n = scan->components;
    d->predictor = scan->ss;
    d->shift = scan->al;
    if (!check_scan(d)) return false;
    for (unsigned c = 0; c < d->n; c++) {
        struct jpeg_huffman *h = arena_alloc(a, sizeof *h, d->e);
        if (!h || !jpeg_huffman_make(h, d->s->dc + scan->dc[c], JPEG_EXTRA_SYMBOL, 16, d->e)) return false;
        d->table[c] = h;
        d->row[c] = arena_alloc(a, d->columns * sizeof *d->row[c], d->e);
        d->above[c] = arena_alloc(a, d->columns * sizeof *d->above[c], d->e);
        if (!d->row[c] || !d->above[c]) return false;
    }
    d->segment = arena_alloc(a, jpeg_segment_room(d->s), d->e);
    return d->segment != NULL;
}

static bool check_frame(const struct jpeg_frame *f, struct err *e) {
    if (f->precision < 2 || f->precision > 16) return err_set(e, ERR_UNDECODABLE, "codec", "JPEG lossless: a precision of %u; it may be 2 to 16", f->precision);
    for (unsigned c = 0; c < f->components && f->components > 1; c++)
        if (f->component[c].h != 1 || f->component[c].v != 1)
            return err_set(e, ERR_UNDECODABLE, "codec", "JPEG lossless: subsampled components are not decoded");
    return true;
}

bool jpeg_lossless_decode(struct arena *a, struct jpeg_stream *s, uint8_t *out, unsigned bytes, struct err *e) {
    struct lossless d = {
        .s = s, .e = e, .columns = s->frame.columns, .precision = s->frame.precision, .out = out, .bytes = bytes, .stride = s->frame.components};
    if (!check_frame(&s->frame, e)) return false;
    for (unsigned missing = s->frame.components; missing;) {
        enum jpeg_event event = jpeg_next(s, e);
        if (event == JPEG_FAILED) return false;
        if (event != JPEG_SCAN) return err_set(e, ERR_UNDECODABLE, "codec", "JPEG lossless: the codestream ends before all components were sent");
        struct arena_mark mark = arena_mark(a);
        if (!begin_scan(&d, a) || !decode_scan(&d)) return false;
        arena_rewind(a, mark);
        missing -= d.n;
    }
    return true;
}
