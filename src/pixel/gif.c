// GIF writing: quantisation by median cut, LZW.
#include "pixel/gif.h"

#include <math.h>
#include <stdlib.h>

enum { COLORS = 256, CELL_BITS = 5, CELLS = 1 << (3 * CELL_BITS), CODES = 4096, HASH = 1 << 14, BLOCK = 255 };
enum { VECTOR_MAX = 4096 }; // text values are looked through for each of them

struct box {
    uint16_t from, to; // cells of the order
    uint8_t low[3], high[3];
    uint64_t weight;
};

struct px_gif_work {
    uint32_t count[CELLS]; // pixels of a colour cell
    uint16_t order[CELLS]; // cells that are there, box by box
    uint8_t index[CELLS];  // palette entry of a cell
    struct box boxes[COLORS];
    uint8_t palette[COLORS][3];
    // LZW
    uint32_t key[HASH]; // prefix code and byte, plus 1; 0: free
    uint16_t code[HASH];
    uint8_t block[BLOCK];
    unsigned block_n;
    uint32_t bits;
    unsigned bit_n;
};

// ---- palette ----

static unsigned cell_of(const uint8_t *p) {
    return (unsigned)(p[0] >> 3) << 10 | (unsigned)(p[1] >> 3) << 5 | (unsigned)(p[2] >> 3);
}

static unsigned part_of(unsigned cell, unsigned channel) {
    return cell >> (2 - channel) * CELL_BITS & 31;
}

static void measure(const struct px_gif_work *w, struct box *b) {
    for (unsigned c = 0; c < 3; c++) b->low[c] = 31, b->high[c] = 0;
    b->weight = 0;
    for (unsigned i = b->from; i < b->to; i++)
        for (unsigned c = 0; c < 3; c++) {
            uint8_t v = (uint8_t)part_of(w->order[i], c);
            if (v < b->low[c]) b->low[c] = v;
            if (v > b->high[c]) b->high[c] = v;
            if (c == 0) b->weight += w->count[w->order[i]];
        }
}

static unsigned longest(const struct box *b) {
    unsigned best = 0;
    for (unsigned c = 1; c < 3; c++)
        if (b->high[c] - b->low[c] > b->high[best] - b->low[best]) best = c;
    return best;
}

// Cells of the box in order of one channel, by counting.
static void sort_box(struct px_gif_work *w, const struct box *b, unsigned channel, uint16_t *scratch) {
    unsigned start[33] = {0};
    for (unsigned i = b->from; i < b->to; i++) start[part_of(w->order[i], channel) + 1]++;
    for (unsigned v = 0; v < 32; v++) start[v + 1] += start[v];
    for (unsigned i = b->from; i < b->to; i++) scratch[start[part_of(w->order[i], channel)]++] = w->order[i];
    memcpy(w->order + b->from, scratch, (size_t)(b->to - b->from) * sizeof *scratch);
}

// Where half of the pixels lie on either side.
static void split(struct px_gif_work *w, struct box *b, struct box *rest, uint16_t *scratch) {
    uint64_t half = 0;
    unsigned at = b->from;
    sort_box(w, b, longest(b), scratch);
    while (at + 2 < b->to && half + w->count[w->order[at]] < b->weight / 2) half += w->count[w->order[at++]];
    *rest = (struct box){.from = (uint16_t)(at + 1), .to = b->to};
    b->to = (uint16_t)(at + 1);
    measure(w, b);
    measure(w, rest);
}

static int worst_box(const struct px_gif_work *w, unsigned n) {
    int worst = -1;
    double most = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct box *b = &w->boxes[i];
        unsigned c = longest(b);
        double error = b->to - b->from > 1 ? (double)(b->high[c] - b->low[c]) * sqrt((double)b->weight) : 0;
        if (error > most) most = error, worst = (int)i;
    }
    return worst;
}

static void color_boxes(struct px_gif_work *w, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        const struct box *b = &w->boxes[i];
        uint64_t sum[3] = {0};
        for (unsigned k = b->from; k < b->to; k++) {
            unsigned cell = w->order[k];
            w->index[cell] = (uint8_t)i;
            for (unsigned c = 0; c < 3; c++) sum[c] += (uint64_t)part_of(cell, c) * w->count[cell];
        }
        for (unsigned c = 0; c < 3; c++) w->palette[i][c] = (uint8_t)(b->weight ? (sum[c] * 255 + b->weight * 31 / 2) / (b->weight * 31) : 0);
    }
}

static void make_palette(struct px_gif_work *w, const struct px_picture *p) {
    size_t pixels = (size_t)p->width * p->height;
    static _Thread_local uint16_t scratch[CELLS];
    unsigned n = 0, boxes = 1;
    memset(w->palette, 0, sizeof w->palette);
    if (p->channels == 1) {
        for (unsigned i = 0; i < COLORS; i++) memset(w->palette[i], (int)i, 3);
        return;
    }
    memset(w->count, 0, sizeof w->count);
    for (size_t i = 0; i < pixels; i++) w->count[cell_of(p->pixels + 3 * i)]++;
    for (unsigned c = 0; c < CELLS; c++)
        if (w->count[c]) w->order[n++] = (uint16_t)c;
    w->boxes[0] = (struct box){.from = 0, .to = (uint16_t)n};
    measure(w, &w->boxes[0]);
    for (int worst; boxes < COLORS && (worst = worst_box(w, boxes)) >= 0; boxes++) split(w, &w->boxes[worst], &w->boxes[boxes], scratch);
    color_boxes(w, boxes);
}

// ---- LZW ----

static void flush_block(struct px_gif_work *w, struct buf *to) {
    if (!w->block_n) return;
    buf_addc(to, (char)w->block_n);
    buf_add(to, w->block, w->block_n);
    w->block_n = 0;
}

static void put_code(struct px_gif_work *w, unsigned code, unsigned size, struct buf *to) {
    w->bits |= code << w->bit_n;
    for (w->bit_n += size; w->bit_n >= 8; w->bit_n -= 8, w->bits >>= 8) {
        w->block[w->block_n++] = (uint8_t)w->bits;
        if (w->block_n == BLOCK) flush_block(w, to);
    }
}

static unsigned pixel_at(const struct px_gif_work *w, const struct px_picture *p, size_t i) {
    return p->channels == 1 ? p->pixels[i] : w->index[cell_of(p->pixels + 3 * i)];
}

// The slot of a string, which is free when it is not known.
static unsigned slot_of(const struct px_gif_work *w, uint32_t key) {
    unsigned i = (key * 2654435761u) >> 18;
    while (w->key[i] && w->key[i] != key) i = (i + 1) & (HASH - 1);
    return i;
}

static void write_pixels(struct px_gif_work *w, const struct px_picture *p, struct buf *to) {
    enum { CLEAR = COLORS, END, FIRST };
    size_t pixels = (size_t)p->width * p->height;
    unsigned next = FIRST, size = 9, prefix = pixel_at(w, p, 0);
    memset(w->key, 0, sizeof w->key);
    w->bits = w->bit_n = w->block_n = 0;
    buf_addc(to, 8);
    put_code(w, CLEAR, size, to);
    for (size_t i = 1; i < pixels; i++) {
        unsigned byte = pixel_at(w, p, i), slot = slot_of(w, (prefix << 8 | byte) + 1);
        if (w->key[slot]) {
            prefix = w->code[slot];
            continue;
        }
        put_code(w, prefix, size, to);
        if (next == CODES) {
            put_code(w, CLEAR, size, to);
            memset(w->key, 0, sizeof w->key);
            next = FIRST;
            size = 9;
        } else {
            if (next == 1u << size) size++;
            w->key[slot] = (prefix << 8 | byte) + 1;
            w->code[slot] = (uint16_t)next++;
        }
        prefix = byte;
    }
    put_code(w, prefix, size, to);
    if (next == 1u << size && size < 12) size++;
    put_code(w, END, size, to);
    if (w->bit_n) put_code(w, 0, 8 - w->bit_n, to);
    flush_block(w, to);
    buf_addc(to, 0);
}

// ---- blocks ----

static void add16(struct buf *to, unsigned v) {
    buf_addc(to, (char)(v & 0xFF));
    buf_addc(to, (char)(v >> 8));
}

static void write_header(const struct px_picture *p, bool moves, struct buf *to) {
    buf_add(to, "GIF89a", 6);
    add16(to, p->width);
    add16(to, p->height);
    buf_add(to, "\x70\0\0", 3);                                          // no palette for all, 8 bits a colour
    if (moves) buf_add(to, "\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0", 19); // for ever
}

bool px_gif_frame(struct px_gif *g, const struct px_picture *picture, double duration_ms, struct buf *to, struct err *e) {
    if (picture->width > 65535 || picture->height > 65535) return err_set(e, ERR_UNSUPPORTED, "pixel", "a GIF has at most 65535 pixels each way");
    if (g->begun && (picture->width != g->width || picture->height != g->height))
        return err_set(e, ERR_UNSUPPORTED, "pixel", "the frames of a GIF must be of one size");
    if (!g->work && !(g->work = malloc(sizeof *g->work))) return err_nomem(e, "pixel");
    if (!g->begun) write_header(picture, duration_ms > 0, to);
    g->begun = true;
    g->width = picture->width;
    g->height = picture->height;
    if (duration_ms > 0) {
        double hundredths = fmin(fmax(floor(duration_ms / 10 + 0.5), 2), 65535); // browsers take less than 2 for slow
        buf_add(to, "\x21\xF9\x04\x04", 4);
        add16(to, (unsigned)hundredths);
        add16(to, 0);
    }
    make_palette(g->work, picture);
    buf_addc(to, 0x2C);
    add16(to, 0);
    add16(to, 0);
    add16(to, picture->width);
    add16(to, picture->height);
    buf_addc(to, (char)0x87); // its own palette of 256
    buf_add(to, g->work->palette, sizeof g->work->palette);
    write_pixels(g->work, picture, to);
    return buf_ok(to, e);
}

bool px_gif_end(struct px_gif *g, struct buf *to, struct err *e) {
    if (g->begun) buf_addc(to, 0x3B);
    free(g->work);
    g->work = NULL;
    return buf_ok(to, e);
}

bool px_write_gif(const struct px_picture *picture, struct buf *to, struct err *e) {
    struct px_gif g = {0};
    bool ok = px_gif_frame(&g, picture, 0, to, e);
    return px_gif_end(&g, to, e) && ok;
}

static double number(const struct dcm_dataset *ds, uint32_t tag, unsigned i) {
    double v;
    return dcm_f64(ds, tag, i, &v) && v > 0 && v < 1e7 ? v : 0;
}

double px_frame_ms(const struct dcm_dataset *ds, uint32_t frame) {
    double time = number(ds, DCM_FrameTime, 0), vector = frame < VECTOR_MAX ? number(ds, DCM_FrameTimeVector, frame + 1) : 0;
    double rate = number(ds, DCM_RecommendedDisplayFrameRate, 0), cine = number(ds, DCM_CineRate, 0);
    if (vector > 0) return vector; // the time since the frame before: how long this one is shown stands with the next
    if (time > 0) return time;
    if (rate > 0) return 1000 / rate;
    return cine > 0 ? 1000 / cine : 100;
}
