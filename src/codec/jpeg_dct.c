// Coefficients of JPEG DCT processes: sequential and progressive scans (ITU-T T.81 F.2, G.2).
#include "codec/jpeg_dct.h"

#include "codec/jpeg_bits.h"

enum { SCANS_MAX = 256 };

const uint8_t JPEG_NATURAL[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
                                  41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
                                  30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

struct decoder {
    struct jpeg_stream *s;
    struct err *e;
    struct jpeg_image12 *image;
    const struct jpeg_huffman *dc[JPEG_COMPONENTS_MAX], *ac[JPEG_COMPONENTS_MAX]; // by place in the scan
    uint8_t *segment;
    struct jpeg_bits bits;
    unsigned previous[JPEG_COMPONENTS_MAX]; // DC
    uint32_t end_run;                       // blocks that are at their end (T.81 G.1.2.2)
    // How one block of the scan is read; c: place in the scan.
    void (*read)(struct decoder *d, unsigned c, int16_t *block);
};

static int difference(struct decoder *d, unsigned c) {
    jpeg_refill(&d->bits);
    unsigned size = jpeg_symbol(d->dc[c], &d->bits);
    return jpeg_extend(jpeg_take(&d->bits, size), size);
}

static int dc_value(struct decoder *d, unsigned c) {
    d->previous[c] += (unsigned)difference(d, c);
    return (int)d->previous[c];
}

static void read_sequential(struct decoder *d, unsigned c, int16_t *block) {
    const struct jpeg_huffman *ac = d->ac[c];
    block[0] = (int16_t)dc_value(d, c);
    for (unsigned k = 1; k < 64; k++) {
        jpeg_refill(&d->bits);
        unsigned symbol = jpeg_symbol(ac, &d->bits), size = symbol & 15;
        if (!size && symbol != 0xF0) break;
        k += symbol >> 4;
        if (k > 63) {
            d->bits.bad = true;
            break;
        }
        int v = jpeg_extend(jpeg_take(&d->bits, size), size);
        if (size) block[JPEG_NATURAL[k]] = (int16_t)v;
    }
}

static void read_dc_first(struct decoder *d, unsigned c, int16_t *block) {
    block[0] = (int16_t)((unsigned)dc_value(d, c) << d->s->scan.al);
}

static void read_dc_refinement(struct decoder *d, unsigned c, int16_t *block) {
    (void)c;
    jpeg_refill(&d->bits);
    block[0] = (int16_t)(block[0] | (int)(jpeg_take(&d->bits, 1) << d->s->scan.al));
}

static void begin_end_run(struct decoder *d, unsigned r) {
    d->end_run = (1u << r) + jpeg_take(&d->bits, r);
}

static void read_ac_first(struct decoder *d, unsigned c, int16_t *block) {
    (void)c;
    const struct jpeg_scan *scan = &d->s->scan;
    for (unsigned k = scan->ss; k <= scan->se && !d->end_run; k++) {
        jpeg_refill(&d->bits);
        unsigned symbol = jpeg_symbol(d->ac[0], &d->bits), size = symbol & 15, run = symbol >> 4;
        if (!size && run < 15) {
            begin_end_run(d, run);
            break;
        }
        k += run;
        if (k > scan->se && size) d->bits.bad = true;
        if (!size || k > scan->se) continue;
        block[JPEG_NATURAL[k]] = (int16_t)((unsigned)jpeg_extend(jpeg_take(&d->bits, size), size) << scan->al);
    }
    if (d->end_run) d->end_run--;
}

// Another bit of a coefficient that is not 0 already.
static void refine(struct decoder *d, int16_t *coefficient) {
    int bit = 1 << d->s->scan.al;
    jpeg_refill(&d->bits);
    if (!jpeg_take(&d->bits, 1) || (*coefficient & bit)) return;
    *coefficient = (int16_t)(*coefficient + (*coefficient > 0 ? bit : -bit));
}

// Passes over run coefficients that are 0, refining the others: the place of the one behind.
static unsigned pass(struct decoder *d, int16_t *block, unsigned k, unsigned run) {
    for (; k <= d->s->scan.se; k++) {
        int16_t *coefficient = block + JPEG_NATURAL[k];
        if (*coefficient)
            refine(d, coefficient);
        else if (run-- == 0)
            break;
    }
    return k;
}

static void read_ac_refinement(struct decoder *d, unsigned c, int16_t *block) {
    (void)c;
    const struct jpeg_scan *scan = &d->s->scan;
    unsigned k = scan->ss;
    for (; k <= scan->se && !d->end_run; k++) {
        jpeg_refill(&d->bits);
        unsigned symbol = jpeg_symbol(d->ac[0], &d->bits), size = symbol & 15, run = symbol >> 4;
        if (!size && run < 15) {
            begin_end_run(d, run);
            break;
        }
        int value = size ? (jpeg_take(&d->bits, 1) ? 1 : -1) * (1 << scan->al) : 0;
        if (size > 1) d->bits.bad = true; // T.81 G.1.2.3
        k = pass(d, block, k, run);
        if (k > scan->se && size) d->bits.bad = true;
        if (k <= scan->se && size) block[JPEG_NATURAL[k]] = (int16_t)value;
    }
    if (!d->end_run) return;
    pass(d, block, k, 64);
    d->end_run--;
}

// ---- scans ----

static bool wrong(const struct decoder *d, const char *what) {
    return err_set(d->e, ERR_UNDECODABLE, "codec", "JPEG of 12 bits: scan %u %s", d->s->scans, what);
}

static bool next_segment(struct decoder *d, uint32_t number) {
    if (number && !jpeg_restart(d->s, (number - 1) & 7, d->e)) return false;
    d->bits = jpeg_bits_of(d->segment, jpeg_segment(d->s, d->segment));
    memset(d->previous, 0, sizeof d->previous);
    d->end_run = 0;
    return true;
}

static void read_mcu(struct decoder *d, uint32_t x, uint32_t y) {
    const struct jpeg_scan *scan = &d->s->scan;
    for (unsigned c = 0; c < scan->components; c++) {
        const struct jpeg_grid *g = d->image->grid + scan->component[c];
        unsigned h = scan->components > 1 ? g->h : 1, v = scan->components > 1 ? g->v : 1;
        for (unsigned i = 0; i < h * v; i++) d->read(d, c, g->block + 64 * ((size_t)(y * v + i / h) * g->stride + x * h + i % h));
    }
}

static bool read_mcus(struct decoder *d) {
    const struct jpeg_grid *only = d->image->grid + d->s->scan.component[0];
    bool interleaved = d->s->scan.components > 1;
    uint32_t across = interleaved ? d->image->mcus_across : only->blocks_across, down = interleaved ? d->image->mcus_down : only->blocks_down;
    uint32_t interval = d->s->restart_interval ? d->s->restart_interval : UINT32_MAX, left = 0, segments = 0;
    for (uint32_t y = 0; y < down; y++) {
        for (uint32_t x = 0; x < across; x++) {
            if (left == 0 && !next_segment(d, segments++)) return false;
            left = left ? left - 1 : interval - 1;
            read_mcu(d, x, y);
            if (d->bits.bad) return wrong(d, "has codes that cannot be");
            if (left == 0 && jpeg_bits_over(&d->bits)) return wrong(d, "ends before the image does");
        }
        if (jpeg_bits_over(&d->bits)) return wrong(d, "ends before the image does");
    }
    return true;
}

// T.81 G.1.1.1. Sequential scans always have all of the coefficients, whatever their headers say (0 for the last is common).
static bool check_progression(const struct decoder *d) {
    const struct jpeg_scan *s = &d->s->scan;
    if (s->ss > s->se || s->se > 63 || s->al > 13 || (s->ah && s->ah != s->al + 1)) return wrong(d, "has parameters that cannot be");
    if (s->ss == 0 ? s->se != 0 : s->components != 1) return wrong(d, "mixes what progressive scans keep apart");
    for (unsigned c = 0; c < s->components && (s->ss || s->ah); c++)
        if (!d->image->grid[s->component[c]].has_dc) return wrong(d, "refines what was not sent");
    return true;
}

static const struct jpeg_huffman *table(struct decoder *d, struct arena *a, const struct jpeg_huffman_spec *spec, unsigned max) {
    struct jpeg_huffman *h = arena_alloc(a, sizeof *h, d->e);
    return h && jpeg_huffman_make(h, spec, JPEG_EXTRA_NONE, max, d->e) ? h : NULL;
}

static bool begin_component(struct decoder *d, struct arena *a, unsigned c, bool dc, bool ac) {
    const struct jpeg_scan *scan = &d->s->scan;
    struct jpeg_grid *g = d->image->grid + scan->component[c];
    if (dc && !(d->dc[c] = table(d, a, d->s->dc + scan->dc[c], 15))) return false;
    if (ac && !(d->ac[c] = table(d, a, d->s->ac + scan->ac[c], 255))) return false;
    if (dc) g->has_dc = true;
    if (g->begun) return true;
    unsigned tq = d->s->frame.component[scan->component[c]].tq;
    if (tq > 3 || !d->s->quant_seen[tq]) return wrong(d, "needs a quantisation table that was not sent");
    for (unsigned i = 0; i < 64; i++) g->quant[JPEG_NATURAL[i]] = d->s->quant[tq][i];
    return g->begun = true;
}

static bool read_scan(struct decoder *d, struct arena *a) {
    const struct jpeg_scan *s = &d->s->scan;
    bool progressive = d->s->frame.process == JPEG_SOF_PROGRESSIVE;
    if (d->s->scans > SCANS_MAX) return wrong(d, "is one too many");
    if (progressive && !check_progression(d)) return false;
    bool dc = !progressive || (s->ss == 0 && s->ah == 0), ac = !progressive || s->ss > 0;
    d->read = !progressive ? read_sequential : s->ss == 0 ? (s->ah ? read_dc_refinement : read_dc_first) : s->ah ? read_ac_refinement : read_ac_first;
    for (unsigned c = 0; c < s->components; c++) {
        if (!progressive && d->image->grid[s->component[c]].has_dc) return wrong(d, "sends a component again");
        if (!begin_component(d, a, c, dc, ac)) return false;
    }
    d->segment = arena_alloc(a, jpeg_segment_room(d->s), d->e);
    return d->segment && read_mcus(d);
}

// ---- the image ----

static uint32_t over(uint32_t n, uint32_t by) {
    return (n + by - 1) / by;
}

static bool lay_out(struct arena *a, const struct jpeg_frame *f, struct jpeg_image12 *image, struct err *e) {
    *image = (struct jpeg_image12){.width = f->columns, .height = f->rows, .components = f->components, .h_max = 1, .v_max = 1};
    for (unsigned c = 0; c < f->components; c++) {
        if (f->component[c].h > image->h_max) image->h_max = f->component[c].h;
        if (f->component[c].v > image->v_max) image->v_max = f->component[c].v;
    }
    image->mcus_across = over(f->columns, 8 * image->h_max);
    image->mcus_down = over(f->rows, 8 * image->v_max);
    for (unsigned c = 0; c < f->components; c++) {
        struct jpeg_grid *g = image->grid + c;
        g->h = f->component[c].h;
        g->v = f->component[c].v;
        if (image->h_max % g->h || image->v_max % g->v) return err_set(e, ERR_UNDECODABLE, "codec", "JPEG of 12 bits: sampling factors in no whole proportion");
        g->width = over(f->columns * g->h, image->h_max);
        g->height = over(f->rows * g->v, image->v_max);
        g->blocks_across = over(g->width, 8);
        g->blocks_down = over(g->height, 8);
        g->stride = image->mcus_across * g->h;
        g->lines = image->mcus_down * g->v;
        if (!(g->block = arena_zero(a, (size_t)g->stride * g->lines, 64 * sizeof *g->block, e))) return false;
    }
    return true;
}

static bool has_all(const struct jpeg_image12 *image) {
    for (unsigned c = 0; c < image->components; c++)
        if (!image->grid[c].has_dc) return false;
    return true;
}

// Behind a sequential image's last scan there may be anything; a progressive one goes on to its end.
static bool read_scans(struct decoder *d, struct arena *a) {
    while (d->s->frame.process == JPEG_SOF_PROGRESSIVE || !has_all(d->image)) {
        enum jpeg_event event = jpeg_next(d->s, d->e);
        if (event == JPEG_FAILED) return false;
        if (event != JPEG_SCAN) return has_all(d->image) || wrong(d, "is the last, and not all components were sent");
        struct arena_mark mark = arena_mark(a);
        if (!read_scan(d, a)) return false;
        arena_rewind(a, mark);
    }
    return true;
}

bool jpeg_dct_decode(struct arena *a, struct jpeg_stream *s, bool to_rgb, uint8_t *out, struct err *e) {
    struct jpeg_image12 image;
    struct decoder d = {.s = s, .e = e, .image = &image};
    if (!lay_out(a, &s->frame, &image, e) || !read_scans(&d, a)) return false;
    for (unsigned c = 0; c < image.components; c++) {
        struct jpeg_grid *g = image.grid + c;
        for (size_t i = 0; i < (size_t)g->stride * g->lines; i++) jpeg_idct12(g->block + 64 * i, g->quant);
    }
    return jpeg_write12(a, &image, to_rgb, out, e);
}
