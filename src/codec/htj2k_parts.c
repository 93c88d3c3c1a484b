// Reading of packet headers (T.800 B.10) as far as their lengths, and writing of tile-parts.
#include "codec/htj2k_parts.h"

#include <stdlib.h>

enum {
    BLOCK = 64,           // samples of a code-block each way
    PRECINCT_MAX = 32768, // beyond it a resolution has several precincts
    PARTS_MAX = 33,       // resolutions
    SOT_BYTES = 12,
    SOD_BYTES = 2,
    SIDE_MAX = PRECINCT_MAX / BLOCK,
};

// ---- bits of a packet header: after FF comes a byte of seven ----

struct header_bits {
    const uint8_t *p;
    size_t n, at;
    unsigned left; // bits of the byte before at that are not read yet
    bool failed;
};

static unsigned next_bit(struct header_bits *b) {
    if (b->left == 0) {
        if (b->at >= b->n) {
            b->failed = true;
            return 0;
        }
        b->left = b->at && b->p[b->at - 1] == 0xff ? 7 : 8;
        b->at++;
    }
    return b->p[b->at - 1] >> --b->left & 1;
}

static uint32_t next_bits(struct header_bits *b, unsigned count) {
    uint32_t v = 0;
    while (count--) v = v << 1 | next_bit(b);
    return v;
}

// ---- tag trees (B.10.2) ----

struct node {
    uint16_t low, value; // value: UINT16_MAX while it is not known
};

struct tree {
    unsigned levels, width[12];
    size_t first[12]; // of a level in node; level 0 are the leaves
    struct node *node;
};

static size_t tree_shape(struct tree *t, unsigned width, unsigned height) {
    size_t n = 0;
    t->levels = 0;
    for (;;) {
        t->first[t->levels] = n;
        t->width[t->levels++] = width;
        n += (size_t)width * height;
        if (width * height == 1) return n;
        width = (width + 1) / 2;
        height = (height + 1) / 2;
    }
}

static void tree_begin(struct tree *t, struct node *room, size_t n) {
    t->node = room;
    for (size_t i = 0; i < n; i++) room[i] = (struct node){0, UINT16_MAX};
}

// Reads on until the leaf's value is known or known to be at least threshold.
static bool tree_below(struct tree *t, struct header_bits *b, unsigned x, unsigned y, unsigned threshold) {
    unsigned low = 0;
    struct node *n = NULL;
    for (unsigned level = t->levels; level-- > 0;) {
        n = &t->node[t->first[level] + (size_t)(y >> level) * t->width[level] + (x >> level)];
        low = n->low > low ? n->low : low;
        while (low < threshold && low < n->value) {
            if (next_bit(b))
                n->value = (uint16_t)low;
            else
                low++;
        }
        n->low = (uint16_t)low;
    }
    return n && n->value < threshold;
}

// ---- packets ----

// Code-blocks of a band, and where its trees are kept: room for the largest.
struct band {
    unsigned across, down;
};

static unsigned blocks_of(uint32_t size, uint32_t offset, unsigned shift) {
    uint64_t half = (uint64_t)offset << (shift ? shift - 1 : 0), samples = size <= half ? 0 : (size - half + (UINT64_C(1) << shift) - 1) >> shift;
    return (unsigned)((samples + BLOCK - 1) / BLOCK);
}

// Bytes of one code-block's data; 0 with b->failed for what our encoder does not write (more than the cleanup pass).
static uint32_t block_length(struct header_bits *b) {
    if (next_bit(b)) b->failed = true; // a second coding pass
    unsigned bits = 3;
    while (next_bit(b) && bits < 32) bits++;
    return next_bits(b, bits);
}

static uint64_t band_length(struct header_bits *b, struct band band, struct node *room) {
    struct tree included, planes;
    size_t n = tree_shape(&included, band.across, band.down);
    tree_shape(&planes, band.across, band.down);
    tree_begin(&included, room, n);
    tree_begin(&planes, room + n, n);
    uint64_t length = 0;
    for (unsigned y = 0; y < band.down; y++)
        for (unsigned x = 0; x < band.across && !b->failed; x++) {
            if (!tree_below(&included, b, x, y, 1)) continue;
            for (unsigned zeros = 1; !tree_below(&planes, b, x, y, zeros) && !b->failed;) zeros++;
            length += block_length(b);
        }
    return length;
}

// Bytes of the packet at p; 0 when it cannot be read.
static size_t packet_length(const uint8_t *p, size_t n, const struct band *bands, unsigned count, struct node *room) {
    struct header_bits b = {.p = p, .n = n};
    uint64_t body = 0;
    if (next_bit(&b))
        for (unsigned i = 0; i < count; i++)
            if (bands[i].across && bands[i].down) body += band_length(&b, bands[i], room);
    if (b.at && b.at < n && p[b.at - 1] == 0xff) b.at++; // a header does not end with FF
    return b.failed || body > n - b.at ? 0 : b.at + (size_t)body;
}

// The end of each resolution's packets in the tile's bytes.
static bool find_ends(const uint8_t *p, size_t n, const struct j2k_head *h, size_t *ends, struct node *room) {
    size_t at = 0;
    for (unsigned r = 0; r <= h->levels; r++) {
        unsigned shift = h->levels - r + (r > 0), count = r ? 3 : 1;
        struct band bands[3];
        for (unsigned i = 0; i < count; i++) {
            unsigned kind = r ? i + 1 : 0; // LL; HL, LH, HH
            bands[i] = (struct band){blocks_of(h->x1, kind & 1, shift), blocks_of(h->y1, kind >> 1, shift)};
        }
        for (unsigned c = 0; c < h->components; c++) {
            size_t length = packet_length(p + at, n - at, bands, count, room);
            if (!length) return false;
            at += length;
        }
        ends[r] = at;
    }
    return at == n;
}

// ---- writing ----

static void put_be(struct buf *to, uint32_t v, unsigned bytes) {
    while (bytes--) buf_addc(to, (char)(v >> 8 * bytes));
}

static void write_tlm(struct buf *to, const size_t *ends, unsigned parts) {
    put_be(to, 0xff55, 2);
    put_be(to, 4 + 6 * parts, 2);
    put_be(to, 0x0060, 2); // the first of such segments; two bytes for the tile, four for the length
    for (unsigned i = 0; i < parts; i++) {
        put_be(to, 0, 2);
        put_be(to, (uint32_t)(ends[i] - (i ? ends[i - 1] : 0)) + SOT_BYTES + SOD_BYTES, 4);
    }
}

static void write_parts(struct buf *to, const char *tile, const size_t *ends, unsigned parts) {
    for (unsigned i = 0; i < parts; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        put_be(to, 0xff90, 2);
        put_be(to, 10, 2);
        put_be(to, 0, 2);
        put_be(to, (uint32_t)(ends[i] - begin) + SOT_BYTES + SOD_BYTES, 4);
        put_be(to, i << 8 | parts, 2);
        put_be(to, 0xff93, 2);
        buf_add(to, tile + begin, ends[i] - begin);
    }
}

bool htj2k_cut(struct buf *stream, size_t begin, const struct j2k_head *h, struct err *e) {
    size_t ends[PARTS_MAX], tile = begin + h->header_size + SOT_BYTES + SOD_BYTES, end = stream->n - 2; // EOC
    unsigned parts = h->levels + 1;
    // both trees of the largest band: a third more nodes than leaves, and a few for odd sizes
    struct node *room = calloc((size_t)SIDE_MAX * SIDE_MAX * 3 + 64, sizeof *room);
    if (!room) return err_nomem(e, "htj2k");
    bool found =
        h->x1 <= PRECINCT_MAX && h->y1 <= PRECINCT_MAX && parts <= PARTS_MAX && find_ends((const uint8_t *)stream->p + tile, end - tile, h, ends, room);
    free(room);
    if (!found) {
        parts = 1;
        ends[0] = end - tile;
    }
    struct buf cut;
    buf_init(&cut, stream->ceiling);
    buf_add(&cut, stream->p + begin, h->header_size);
    write_tlm(&cut, ends, parts);
    write_parts(&cut, stream->p + tile, ends, parts);
    put_be(&cut, 0xffd9, 2);
    stream->n = begin;
    buf_add(stream, cut.p, cut.n);
    bool ok = buf_ok(&cut, e) && buf_ok(stream, e);
    buf_deinit(&cut);
    return ok;
}
