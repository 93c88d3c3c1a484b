// JPEG lossless decoding (ITU-T T.81 H): differences row by row, then the predictor over the whole row.
#include "codec/jpeg_lossless.h"

#include "codec/jpeg_bits.h"

// One scan. Rows hold the samples of its components by pixel.
struct lossless {
    struct jpeg_stream *s;
    struct err *e;
    unsigned n; // components of the scan
    uint32_t columns;
    size_t width; // samples of a row: n * columns
    unsigned predictor, shift, precision;
    const struct jpeg_huffman *table[JPEG_COMPONENTS_MAX];
    struct jpeg_runs *runs; // when all components have the same table
    uint16_t *difference;   // one row, and room for what a look-up gives too many
    uint16_t *row[2];       // this one and the one above, unless rows stand in out as they are
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

// As many differences as one look-up gives, up to three: how many. Writes four.
JPEG_INLINE size_t some_differences(const struct lossless *d, struct jpeg_bits *b, uint16_t *to) {
    uint64_t t = d->runs->entry[b->w >> (64 - JPEG_LOOK_BITS)], values = t >> 16;
    if (__builtin_expect(JPEG_ENTRY_LENGTH(t) == 0, 0)) {
        *to = (uint16_t)difference(d->table[0], b);
        return 1;
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(to, &values, sizeof values);
#else
    for (unsigned i = 0; i < 3; i++) to[i] = (uint16_t)(values >> 16 * i);
#endif
    jpeg_skip(b, JPEG_ENTRY_LENGTH(t));
    return JPEG_RUN_COUNT(t);
}

// Four look-ups take at most 48 bits: one refill serves them all.
static void differences_alike(struct lossless *d) {
    struct jpeg_bits b = d->bits;
    uint16_t *p = d->difference, *end = p + d->width;
    while (end - p >= 12) {
        jpeg_refill(&b);
        p += some_differences(d, &b, p);
        p += some_differences(d, &b, p);
        p += some_differences(d, &b, p);
        p += some_differences(d, &b, p);
    }
    for (; p < end; p++) {
        jpeg_refill(&b);
        *p = (uint16_t)difference(d->table[0], &b);
    }
    d->bits = b;
}

static void differences(struct lossless *d) {
    if (d->runs) return differences_alike(d);
    uint16_t *p = d->difference;
    for (uint32_t x = 0; x < d->columns; x++) {
        jpeg_refill(&d->bits);
        for (unsigned c = 0; c < d->n; c++) *p++ = (uint16_t)difference(d->table[c], &d->bits);
    }
}

// Predictor 1: every difference is added to all that follow, eight at a time.
static void undo_left(uint16_t *row, const uint16_t *difference, size_t width, int ra) {
    typedef uint16_t eight __attribute__((vector_size(16)));
    const eight zero = {0};
    size_t i = 1;
    for (; i + 8 <= width; i += 8) {
        eight v;
        memcpy(&v, difference + i, sizeof v);
        v += __builtin_shufflevector(zero, v, 7, 8, 9, 10, 11, 12, 13, 14);
        v += __builtin_shufflevector(zero, v, 6, 7, 8, 9, 10, 11, 12, 13);
        v += __builtin_shufflevector(zero, v, 4, 5, 6, 7, 8, 9, 10, 11);
        v += (uint16_t)ra;
        memcpy(row + i, &v, sizeof v);
        ra = v[7];
    }
    for (; i < width; i++) row[i] = (uint16_t)(ra += difference[i]);
}

// One component of a row, n samples apart. T.81 table H.1: ra to the left, rb above, rc above to the left. Sums are modulo 2^16.
#define PREDICT(expression)                            \
    for (size_t i = n; i < width; i += n) {            \
        int rb = above[i];                             \
        (void)rc;                                      \
        ra = (uint16_t)(difference[i] + (expression)); \
        row[i] = (uint16_t)ra;                         \
        rc = rb;                                       \
    }                                                  \
    break

// above: NULL in the first row and after a restart (T.81 H.1.1).
JPEG_INLINE void undo(uint16_t *row, const uint16_t *above, const uint16_t *difference, size_t width, size_t n, unsigned predictor, unsigned origin) {
    int ra = row[0] = (uint16_t)(difference[0] + (above ? above[0] : origin)), rc = above ? above[0] : 0;
    switch (above ? predictor : 1) {
    case 1:
        if (n == 1) return undo_left(row, difference, width, ra);
        for (size_t i = n; i < width; i += n) row[i] = (uint16_t)(ra += difference[i]);
        break;
    case 2:
        PREDICT(rb);
    case 3:
        PREDICT(rc);
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
    if (d->stride == d->n)
        for (size_t i = 0; i < d->width; i++) out[i] = (uint8_t)(row[i] << d->shift);
    else
        for (size_t i = 0; i < d->width; i++) out[i / d->n * d->stride + d->s->scan.component[i % d->n]] = (uint8_t)(row[i] << d->shift);
}

static void put_words(const struct lossless *d, const uint16_t *row, uint8_t *out) {
    for (size_t i = 0; i < d->width; i++) {
        unsigned v = (unsigned)row[i] << d->shift;
        uint8_t *to = out + 2 * (i / d->n * d->stride + d->s->scan.component[i % d->n]);
        to[0] = (uint8_t)v;
        to[1] = (uint8_t)(v >> 8);
    }
}

// Whether rows of samples are what out has to hold.
static bool is_direct(const struct lossless *d) {
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && d->bytes == 2 && d->shift == 0 && d->n == 1 && d->stride == 1;
}

static void row_done(struct lossless *d, uint32_t y, bool first) {
    uint8_t *out = d->out + (size_t)y * d->columns * d->stride * d->bytes;
    if (is_direct(d)) {
        d->row[1] = d->row[0];
        d->row[0] = (uint16_t *)(void *)out;
    }
    uint16_t *row = d->row[0];
    unsigned origin = 1u << (d->precision - d->shift - 1);
    if (d->n == 1)
        undo(row, first ? NULL : d->row[1], d->difference, d->width, 1, d->predictor, origin);
    else
        for (unsigned c = 0; c < d->n; c++) undo(row + c, first ? NULL : d->row[1] + c, d->difference + c, d->width - c, d->n, d->predictor, origin);
    if (is_direct(d)) return;
    if (d->bytes == 1)
        put_bytes(d, row, out);
    else
        put_words(d, row, out);
    d->row[0] = d->row[1];
    d->row[1] = row;
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

static bool make_tables(struct lossless *d, struct arena *a) {
    const struct jpeg_scan *scan = &d->s->scan;
    bool alike = true;
    for (unsigned c = 0; c < d->n; c++) {
        struct jpeg_huffman *h = arena_alloc(a, sizeof *h, d->e);
        if (!h || !jpeg_huffman_make(h, d->s->dc + scan->dc[c], JPEG_EXTRA_SYMBOL, 16, d->e)) return false;
        d->table[c] = h;
        alike = alike && scan->dc[c] == scan->dc[0];
    }
    d->runs = NULL;
    if (!alike) return true;
    if (!(d->runs = arena_alloc(a, sizeof *d->runs, d->e))) return false;
    jpeg_runs_make(d->runs, d->table[0]);
    return true;
}

static bool begin_scan(struct lossless *d, struct arena *a) {
    d->n = d->s->scan.components;
    d->width = (size_t)d->n * d->columns;
    d->predictor = d->s->scan.ss;
    d->shift = d->s->scan.al;
    if (!check_scan(d) || !make_tables(d, a)) return false;
    for (unsigned i = 0; i < 2; i++)
        if (!(d->row[i] = arena_alloc(a, d->width * sizeof *d->row[i], d->e))) return false;
    if (!(d->difference = arena_alloc(a, (d->width + 4) * sizeof *d->difference, d->e))) return false;
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
    struct lossless d = {.s = s, .e = e, .columns = s->frame.columns, .precision = s->frame.precision, .bytes = bytes, .stride = s->frame.components};
    d.out = out;
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
