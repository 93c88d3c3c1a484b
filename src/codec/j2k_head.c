// Reading of JPEG 2000 headers: boxes, main header and tile-part headers, each size checked before anybody allocates for it.
#include "codec/j2k_head.h"

#include "base/limits.h"

enum {
    J2K_SOC = 0xff4f,
    J2K_CAP = 0xff50,
    J2K_SIZ = 0xff51,
    J2K_COD = 0xff52,
    J2K_COC = 0xff53,
    J2K_SOT = 0xff90,
    J2K_SOD = 0xff93,
    J2K_EOC = 0xffd9,
};

#define BAD(e, ...) err_set(e, ERR_UNDECODABLE, "jpeg 2000", __VA_ARGS__)

static uint32_t be16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p) {
    return be16(p) << 16 | be16(p + 2);
}

static uint64_t ceil_div(uint64_t a, uint64_t b) {
    return (a + b - 1) / b;
}

// ---- boxes (T.800 Annex I) ----

static const uint8_t SIGNATURE[12] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', 13, 10, 0x87, 10};

struct box {
    uint32_t type;
    size_t begin, end; // of its content
};

static bool next_box(const uint8_t *p, size_t n, size_t at, struct box *out) {
    if (n - at < 8) return false;
    uint64_t length = be32(p + at);
    size_t head = 8;
    out->type = be32(p + at + 4);
    if (length == 1) {
        if (n - at < 16) return false;
        length = (uint64_t)be32(p + at + 8) << 32 | be32(p + at + 12);
        head = 16;
    }
    if (length == 0 || length > n - at) length = n - at; // to the end, or beyond it: tile-parts will tell what is missing
    if (length < head) return false;
    out->begin = at + head;
    out->end = at + length;
    return true;
}

// Whether the header box holds a palette.
static bool has_palette(const uint8_t *p, struct box header) {
    struct box b;
    for (size_t at = header.begin; at < header.end && next_box(p, header.end, at, &b); at = b.end)
        if (b.type == 0x70636c72) return true; // "pclr"
    return false;
}

static bool open_boxes(const uint8_t *p, size_t n, struct j2k_head *h, struct err *e) {
    struct box b;
    h->boxed = n >= sizeof SIGNATURE && memcmp(p, SIGNATURE, sizeof SIGNATURE) == 0;
    if (!h->boxed) {
        h->stream = (struct str){(const char *)p, n};
        return true;
    }
    for (size_t at = 0; at < n && next_box(p, n, at, &b); at = b.end) {
        if (b.type == 0x6a703268) h->palette = has_palette(p, b); // "jp2h"
        if (b.type != 0x6a703263) continue;                       // "jp2c"
        h->stream = (struct str){(const char *)p + b.begin, b.end - b.begin};
        return true;
    }
    return BAD(e, "the JP2 file in this frame has no codestream box");
}

// ---- marker segments ----

static bool check_grid(struct j2k_head *h, struct err *e) {
    if (h->x1 <= h->x0 || h->y1 <= h->y0) return BAD(e, "SIZ: the image ends at %u, %u before it begins at %u, %u", h->x1, h->y1, h->x0, h->y0);
    if (h->x1 > INT32_MAX || h->y1 > INT32_MAX) return BAD(e, "SIZ: a grid of %u x %u points is more than 2^31", h->x1, h->y1);
    if (h->tile_dx == 0 || h->tile_dy == 0 || h->tile_x0 > h->x0 || h->tile_y0 > h->y0 || (uint64_t)h->tile_x0 + h->tile_dx <= h->x0 ||
        (uint64_t)h->tile_y0 + h->tile_dy <= h->y0)
        return BAD(e, "SIZ: tiles of %u x %u from %u, %u do not cover an image from %u, %u", h->tile_dx, h->tile_dy, h->tile_x0, h->tile_y0, h->x0, h->y0);
    uint64_t tiles = ceil_div(h->x1 - h->tile_x0, h->tile_dx) * ceil_div(h->y1 - h->tile_y0, h->tile_dy);
    if (tiles > J2K_TILES_MAX) return BAD(e, "SIZ: %llu tiles are more than the %d that are taken", (unsigned long long)tiles, J2K_TILES_MAX);
    h->tiles = (uint32_t)tiles;
    return true;
}

static bool check_declared(const struct j2k_head *h, struct err *e) {
    const struct px_image *d = h->declared;
    uint32_t columns = h->x1 - h->x0, rows = h->y1 - h->y0;
    if (d->kind != PX_INTEGER) return BAD(e, "JPEG 2000 holds no float pixel data");
    if (columns != d->columns || rows != d->rows)
        return BAD(e, "the codestream is of %u x %u pixels, and the data set declares %u x %u", columns, rows, d->columns, d->rows);
    bool by_palette = h->palette && h->components == 1 && d->samples == 3;
    if (h->components != d->samples && !by_palette)
        return BAD(e, "the codestream has %u components, and the data set declares %u samples per pixel", h->components, d->samples);
    uint64_t samples = (uint64_t)columns * rows * d->samples;
    if (samples <= J2K_SAMPLES_MAX) return true;
    return BAD(e, "%u x %u pixels of %u samples are more than the %d samples that are taken", columns, rows, d->samples, J2K_SAMPLES_MAX);
}

static bool read_components(const uint8_t *p, struct j2k_head *h, struct err *e) {
    for (unsigned i = 0; i < h->components; i++, p += 3) {
        struct j2k_component *c = &h->component[i];
        *c = (struct j2k_component){.precision = (p[0] & 127u) + 1, .is_signed = p[0] >> 7, .dx = p[1], .dy = p[2]};
        if (c->precision > 31) return BAD(e, "SIZ: component %u has %u bits; at most 31 are taken", i, c->precision);
        if (c->dx == 0 || c->dy == 0) return BAD(e, "SIZ: component %u is subsampled by %u x %u", i, c->dx, c->dy);
    }
    return true;
}

static bool read_siz(const uint8_t *p, size_t n, struct j2k_head *h, struct err *e) {
    if (n < 36) return BAD(e, "SIZ of %zu bytes is too short", n);
    h->x1 = be32(p + 2);
    h->y1 = be32(p + 6);
    h->x0 = be32(p + 10);
    h->y0 = be32(p + 14);
    h->tile_dx = be32(p + 18);
    h->tile_dy = be32(p + 22);
    h->tile_x0 = be32(p + 26);
    h->tile_y0 = be32(p + 30);
    h->components = be16(p + 34);
    if (h->components < 1 || h->components > 4 || n < 36 + 3 * (size_t)h->components)
        return BAD(e, "SIZ of %zu bytes has %u components; an image of the data set has 1 or 3", n, h->components);
    return check_grid(h, e) && check_declared(h, e) && read_components(p + 36, h, e);
}

// Precincts and code-blocks of one tile-component: a decoder keeps a record of each of them.
struct cost {
    uint64_t precincts, blocks;
};

// size: of the precincts as log2 (4 bits each way), 15 each when the marker leaves them out.
static struct cost cost_of(uint64_t width, uint64_t height, unsigned levels, unsigned block_x, unsigned block_y, const uint8_t *sizes) {
    struct cost c = {0};
    for (unsigned r = 0; r <= levels; r++) {
        unsigned shift = levels - r, px = sizes ? sizes[r] & 15u : 15, py = sizes ? sizes[r] >> 4 : 15;
        uint64_t w = (width >> shift) + 1, h = (height >> shift) + 1;
        c.precincts += ceil_div(w, 1u << px) * ceil_div(h, 1u << py);
        unsigned half = r > 0, bands = r > 0 ? 3 : 1; // a precinct of resolutions above the lowest covers half of it in each band
        unsigned bx = px < half ? 0 : px - half, by = py < half ? 0 : py - half;
        if (bx > block_x) bx = block_x;
        if (by > block_y) by = block_y;
        c.blocks += bands * ceil_div((w >> half) + 1, 1u << bx) * ceil_div((h >> half) + 1, 1u << by);
    }
    return c;
}

// The SPcod and SPcoc parameters (T.800 table A.15); whole: precinct sizes follow.
static bool check_coding(struct j2k_head *h, const uint8_t *p, size_t n, bool precincts, struct err *e) {
    if (n < 5) return BAD(e, "a coding style of %zu bytes is too short", n);
    unsigned levels = p[0], bx = (p[1] & 15u) + 2, by = (p[2] & 15u) + 2;
    if (levels > 32 || bx > 10 || by > 10 || bx + by > 12)
        return BAD(e, "a coding style of %u levels with code-blocks of 2^%u x 2^%u cannot be", levels, bx, by);
    if (precincts && n < 6 + (size_t)levels) return BAD(e, "a coding style lacks the sizes of precincts");
    h->high_throughput |= (p[3] & 0x40) != 0; // T.814 A.4: HT code-blocks, whether a CAP marker owns up to them or not
    uint64_t width = h->tile_dx < h->x1 - h->x0 ? h->tile_dx : h->x1 - h->x0, height = h->tile_dy < h->y1 - h->y0 ? h->tile_dy : h->y1 - h->y0;
    struct cost c = cost_of(width, height, levels, bx, by, precincts ? p + 5 : NULL);
    // the least packet takes a byte; sizes were rounded up, at most to the fourfold
    uint64_t packets = c.precincts * h->components * h->layers / 4;
    if (packets > h->stream.n) return BAD(e, "%u layers would make %llu packets of %zu bytes", h->layers, (unsigned long long)packets, h->stream.n);
    if (c.precincts * h->components <= J2K_PRECINCTS_MAX && c.blocks * h->components <= J2K_BLOCKS_MAX) return true;
    return BAD(e, "%llu precincts and %llu code-blocks per tile are more than the %d and %d that are taken", (unsigned long long)c.precincts * h->components,
               (unsigned long long)c.blocks * h->components, J2K_PRECINCTS_MAX, J2K_BLOCKS_MAX);
}

static bool read_cod(const uint8_t *p, size_t n, struct j2k_head *h, struct err *e) {
    if (n < 10) return BAD(e, "COD of %zu bytes is too short", n);
    h->layers = be16(p + 2);
    h->transformed = p[4] == 1;
    h->levels = p[5];
    h->irreversible = p[9] == 0;
    return check_coding(h, p + 5, n - 5, p[0] & 1, e);
}

static bool read_segment(uint32_t marker, const uint8_t *p, size_t n, struct j2k_head *h, struct err *e) {
    switch (marker) {
    case J2K_SIZ:
        return read_siz(p, n, h, e);
    case J2K_COD:
        return read_cod(p, n, h, e);
    case J2K_COC: // at most 4 components: the index takes one byte
        return n >= 7 ? check_coding(h, p + 2, n - 2, p[1] & 1, e) : BAD(e, "COC of %zu bytes is too short", n);
    case J2K_CAP:
        if (n >= 4 && be32(p) & 1u << 17) h->high_throughput = true; // Pcap15
        return true;
    default:
        return true;
    }
}

// Marker segments from *at up to the marker end, which is left in *at.
static bool read_segments(const uint8_t *p, size_t n, size_t *at, uint32_t end, struct j2k_head *h, struct err *e) {
    for (;;) {
        if (n - *at < 2) return BAD(e, "the codestream ends in a header, at byte %zu", *at);
        uint32_t marker = be16(p + *at);
        if (marker == end) return true;
        if (marker < 0xff00 || n - *at < 4) return BAD(e, "no marker at byte %zu", *at);
        size_t length = be16(p + *at + 2);
        if (length < 2 || length > n - *at - 2) return BAD(e, "the marker segment %04x at byte %zu is longer than the codestream", marker, *at);
        if (h->components == 0 && marker != J2K_SIZ) return BAD(e, "SIZ does not come first");
        if (!read_segment(marker, p + *at + 4, length - 2, h, e)) return false;
        *at += 2 + length;
    }
}

// ---- tile-parts ----

static bool ends_with_eoc(const uint8_t *p, size_t n) {
    while (n > 2 && p[n - 1] == 0) n--; // padding of the fragment
    return n >= 2 && be16(p + n - 2) == J2K_EOC;
}

// One tile-part at *at; its tile is marked in seen.
static bool read_part(const uint8_t *p, size_t n, size_t *at, uint8_t *seen, uint32_t *count, struct j2k_head *h, struct err *e) {
    if (n - *at < 12 || be16(p + *at + 2) != 10) return BAD(e, "the codestream ends in the header of a tile-part, at byte %zu", *at);
    uint32_t tile = be16(p + *at + 4), length = be32(p + *at + 6);
    if (tile >= h->tiles) return BAD(e, "a tile-part at byte %zu is of tile %u, and there are %u", *at, tile, h->tiles);
    if (length == 0 && !ends_with_eoc(p, n)) return BAD(e, "the last tile-part has no length and no end: the codestream was cut off");
    if (length > n - *at) return BAD(e, "the tile-part at byte %zu has %u bytes, and %zu are left: the codestream was cut off", *at, length, n - *at);
    size_t end = length ? *at + length : n, header = *at + 12;
    if (!(end == *at + 12 && length) && !read_segments(p, end < header ? header : end, &header, J2K_SOD, h, e)) return false;
    if (!(seen[tile / 8] >> tile % 8 & 1)) ++*count;
    seen[tile / 8] |= (uint8_t)(1u << tile % 8);
    *at = end < header ? header : end;
    return true;
}

static bool read_parts(const uint8_t *p, size_t n, size_t at, struct j2k_head *h, struct err *e) {
    uint8_t seen[(J2K_TILES_MAX + 7) / 8] = {0};
    uint32_t count = 0;
    struct j2k_head main_header = *h; // what a tile's header says is checked, not kept
    while (n - at >= 2 && be16(p + at) == J2K_SOT)
        if (!read_part(p, n, &at, seen, &count, h, e)) return false;
    main_header.high_throughput |= h->high_throughput;
    *h = main_header;
    if (count == h->tiles) return true;
    return BAD(e, "%u of %u tiles are missing", h->tiles - count, h->tiles);
}

bool j2k_head_read(const uint8_t *p, size_t n, const struct px_image *declared, struct j2k_head *out, struct err *e) {
    *out = (struct j2k_head){.declared = declared};
    if (!open_boxes(p, n, out, e)) return false;
    const uint8_t *s = (const uint8_t *)out->stream.p;
    size_t at = 2, size = out->stream.n;
    if (size < 4 || be16(s) != J2K_SOC) return BAD(e, "no JPEG 2000 codestream: it does not begin with SOC and SIZ");
    if (!read_segments(s, size, &at, J2K_SOT, out, e)) return false;
    if (out->components == 0 || out->layers == 0) return BAD(e, "the main header lacks SIZ or COD");
    out->header_size = at;
    return read_parts(s, size, at, out, e);
}
