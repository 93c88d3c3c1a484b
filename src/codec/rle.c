// RLE Lossless (PS3.5 Annex G): every byte of a pixel is a plane of its own, the most significant first, packed row by row.
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/limits.h"
#include "codec/families.h"

enum {
    HEADER_BYTES = 64,
    PLANES_MAX = 12,    // 3 samples of 32 bits
    SEGMENTS_MAX = 15,  // G.5
    CHUNK_BYTES = 4096, // of a plane at a time: all planes of a chunk stay in the first-level cache
    RUN_MAX = 128,
    SLACK_BYTES = RUN_MAX // that whole runs may be written beyond the end
};

static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

// ---- decoding ----

// A segment on its way.
struct segment {
    const uint8_t *in, *end;
};

// Most runs are short: 16 bytes are written whatever the length, the rest only when there is one.
static inline void copy_run(uint8_t *to, const uint8_t *from, size_t n) {
    memcpy(to, from, 16);
    if (n > 16) memcpy(to + 16, from + 16, RUN_MAX - 16);
}

static inline void fill_run(uint8_t *to, uint8_t v, size_t n) {
    memset(to, v, 16);
    if (n > 16) memset(to + 16, v, RUN_MAX - 16);
}

// Runs near the end of the segment, where nothing may be read beyond. A literal that is cut short gives what is there.
static uint8_t *unpack_rest(struct segment *s, uint8_t *out, const uint8_t *until) {
    while (out < until && s->end - s->in >= 2) {
        uint8_t c = *s->in++;
        size_t n = c < RUN_MAX ? (size_t)c + 1 : 257 - (size_t)c, left = (size_t)(s->end - s->in);
        if (c == RUN_MAX) continue;
        if (c > RUN_MAX) {
            memset(out, *s->in++, n);
        } else {
            if (n > left) n = left;
            memcpy(out, s->in, n);
            s->in += n;
        }
        out += n;
    }
    return out;
}

// Whole runs until `until` is reached; up to SLACK_BYTES may be written beyond it. Returns where writing ended: before `until` when the segment is too short.
static uint8_t *unpack(struct segment *s, uint8_t *out, const uint8_t *until) {
    const uint8_t *in = s->in, *safe = s->end - s->in > RUN_MAX ? s->end - RUN_MAX - 1 : s->in;
    while (out < until && in < safe) {
        uint8_t c = *in++;
        if (c < RUN_MAX) {
            size_t n = (size_t)c + 1;
            copy_run(out, in, n);
            in += n;
            out += n;
        } else if (c > RUN_MAX) {
            size_t n = 257 - (size_t)c;
            fill_run(out, *in++, n);
            out += n;
        }
    }
    s->in = in;
    return out < until ? unpack_rest(s, out, until) : out;
}

struct header {
    unsigned count;
    struct segment segments[SEGMENTS_MAX];
};

// bytes: that each segment must give; two of its own give RUN_MAX at most, so that what cannot be is refused before there is memory for it.
static bool read_header(const uint8_t *p, size_t n, unsigned planes, uint64_t bytes, struct header *h, struct err *e) {
    if (n < HEADER_BYTES) return err_set(e, ERR_UNDECODABLE, "codec", "the frame has %zu bytes, less than an RLE header's %d", n, HEADER_BYTES);
    h->count = u32(p);
    if (h->count != planes) return err_set(e, ERR_UNDECODABLE, "codec", "the header tells of %u segments, the image of %u", h->count, planes);
    for (unsigned i = 0; i < planes; i++) {
        uint64_t begin = u32(p + 4 * (i + 1)), end = i + 1 < planes ? u32(p + 4 * (i + 2)) : n;
        if (begin < HEADER_BYTES || begin > n || end < begin || end > n)
            return err_set(e, ERR_UNDECODABLE, "codec", "segment %u lies from byte %llu to %llu of %zu", i + 1, (unsigned long long)begin,
                           (unsigned long long)end, n);
        if ((end - begin) / 2 * RUN_MAX + 1 < bytes)
            return err_set(e, ERR_UNDECODABLE, "codec", "segment %u has %llu bytes, which cannot give %llu", i + 1, (unsigned long long)(end - begin),
                           (unsigned long long)bytes);
        h->segments[i] = (struct segment){p + begin, p + end};
    }
    return true;
}

static bool too_short(unsigned segment, uint64_t there, uint64_t wanted, struct err *e) {
    return err_set(e, ERR_UNDECODABLE, "codec", "segment %u gives %llu bytes of %llu", segment + 1, (unsigned long long)there, (unsigned long long)wanted);
}

// One plane: unpacked where it stays.
static uint8_t *decode_plane(struct arena *a, struct segment *s, size_t n, struct err *e) {
    uint8_t *out = arena_alloc(a, n + SLACK_BYTES, e);
    if (!out) return NULL;
    uint8_t *end = unpack(s, out, out + n);
    if (end < out + n) {
        too_short(0, (uint64_t)(end - out), n, e);
        return NULL;
    }
    return out;
}

// A chunk of each plane, and what a run wrote beyond it.
struct lanes {
    uint8_t bytes[PLANES_MAX][CHUNK_BYTES + SLACK_BYTES];
    size_t beyond[PLANES_MAX];
};

static void weave2(uint8_t *restrict out, const uint8_t *restrict high, const uint8_t *restrict low, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = low[i];
        out[2 * i + 1] = high[i];
    }
}

#if defined(__x86_64__)
// Sixteen pixels at a time: each shuffle puts one plane's bytes where they belong in 16 of the 48, and nothing elsewhere.
__attribute__((target("ssse3"))) static size_t weave3_wide(uint8_t *restrict out, const uint8_t *restrict r, const uint8_t *restrict g,
                                                           const uint8_t *restrict b, size_t n) {
    __m128i place[3][3]; // [sample][third of the 48 bytes]
    for (int s = 0; s < 3; s++)
        for (int third = 0; third < 3; third++) {
            int8_t bytes[16];
            for (int k = 0; k < 16; k++) bytes[k] = (int8_t)((16 * third + k) % 3 == s ? (16 * third + k) / 3 : -1);
            place[s][third] = _mm_loadu_si128((const __m128i *)bytes);
        }
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m128i red = _mm_loadu_si128((const __m128i *)(r + i)), green = _mm_loadu_si128((const __m128i *)(g + i));
        __m128i blue = _mm_loadu_si128((const __m128i *)(b + i));
        for (int third = 0; third < 3; third++) {
            __m128i two = _mm_or_si128(_mm_shuffle_epi8(red, place[0][third]), _mm_shuffle_epi8(green, place[1][third]));
            _mm_storeu_si128((__m128i *)(out + 3 * i + 16 * third), _mm_or_si128(two, _mm_shuffle_epi8(blue, place[2][third])));
        }
    }
    return i;
}

static size_t weave3_start(uint8_t *out, const uint8_t *r, const uint8_t *g, const uint8_t *b, size_t n) {
    return __builtin_cpu_supports("ssse3") ? weave3_wide(out, r, g, b, n) : 0;
}
#else
static size_t weave3_start(uint8_t *out, const uint8_t *r, const uint8_t *g, const uint8_t *b, size_t n) {
    (void)out, (void)r, (void)g, (void)b, (void)n;
    return 0;
}
#endif

static void weave3(uint8_t *restrict out, const uint8_t *restrict r, const uint8_t *restrict g, const uint8_t *restrict b, size_t n) {
    for (size_t i = weave3_start(out, r, g, b, n); i < n; i++) {
        out[3 * i] = r[i];
        out[3 * i + 1] = g[i];
        out[3 * i + 2] = b[i];
    }
}

static void weave4(uint8_t *restrict out, const uint8_t *restrict p3, const uint8_t *restrict p2, const uint8_t *restrict p1, const uint8_t *restrict p0,
                   size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[4 * i] = p0[i];
        out[4 * i + 1] = p1[i];
        out[4 * i + 2] = p2[i];
        out[4 * i + 3] = p3[i];
    }
}

// Segment k is byte (bytes - 1 - k % bytes) of sample k / bytes (G.2).
static void weave(uint8_t *out, const struct lanes *l, unsigned planes, unsigned bytes, size_t n) {
    if (planes == 2) return weave2(out, l->bytes[0], l->bytes[1], n);
    if (planes == 3) return weave3(out, l->bytes[0], l->bytes[1], l->bytes[2], n);
    if (planes == 4) return weave4(out, l->bytes[0], l->bytes[1], l->bytes[2], l->bytes[3], n);
    for (unsigned k = 0; k < planes; k++) {
        uint8_t *to = out + k / bytes * bytes + (bytes - 1 - k % bytes);
        for (size_t i = 0; i < n; i++) to[i * planes] = l->bytes[k][i];
    }
}

// All planes side by side, a chunk at a time.
static bool decode_planes(struct header *h, struct lanes *l, unsigned bytes, uint64_t pixels, uint8_t *out, struct err *e) {
    memset(l->beyond, 0, sizeof l->beyond);
    for (uint64_t at = 0; at < pixels; at += CHUNK_BYTES) {
        size_t n = pixels - at < CHUNK_BYTES ? (size_t)(pixels - at) : CHUNK_BYTES;
        for (unsigned k = 0; k < h->count; k++) {
            uint8_t *lane = l->bytes[k];
            const uint8_t *end = unpack(&h->segments[k], lane + l->beyond[k], lane + n);
            if (end < lane + n) return too_short(k, at + (uint64_t)(end - lane), pixels, e);
            l->beyond[k] = (size_t)(end - (lane + n));
        }
        weave(out + at * h->count, l, h->count, bytes, n);
        for (unsigned k = 0; k < h->count; k++) memmove(l->bytes[k], l->bytes[k] + n, l->beyond[k]);
    }
    return true;
}

// Pixels of one bit come packed, eight in a byte; where G.2 is taken by the word, a byte each.
static bool decode_bits(struct arena *a, struct header *h, uint64_t pixels, struct px_frame *out, struct err *e) {
    struct segment packed = h->segments[0];
    size_t n = (size_t)((pixels + 7) / 8);
    uint8_t *bytes = decode_plane(a, &packed, n, e);
    if (!bytes) return false;
    uint8_t more[2 * RUN_MAX];
    *out = (struct px_frame){.bytes = bytes, .n = n};
    if (pixels <= 8 || pixels > PX_FRAME_BYTES_MAX || unpack_rest(&packed, more, more + 8) < more + 8) return true;
    const uint8_t *wide = decode_plane(a, &h->segments[0], (size_t)pixels, NULL);
    if (!wide) return true; // something odd behind the last row
    memset(bytes, 0, n);
    for (uint64_t i = 0; i < pixels; i++) bytes[i / 8] |= (uint8_t)((wide[i] & 1) << i % 8);
    return true;
}

static bool decode_frame(struct arena *a, struct header *h, const struct px_image *image, struct px_frame *out, struct err *e) {
    uint64_t pixels = (uint64_t)image->rows * image->columns;
    size_t n = (size_t)(pixels * h->count);
    if (image->bits_allocated == 1) return decode_bits(a, h, pixels, out, e);
    uint8_t *p;
    if (h->count == 1) {
        p = decode_plane(a, &h->segments[0], n, e);
        if (!p) return false;
    } else {
        struct lanes *l = arena_alloc(a, sizeof *l, e);
        p = l ? arena_alloc(a, n, e) : NULL;
        if (!p || !decode_planes(h, l, image->bits_allocated / 8, pixels, p, e)) return false;
    }
    *out = (struct px_frame){.bytes = p, .n = n};
    return true;
}

static unsigned planes_of(const struct px_image *image) {
    return image->bits_allocated == 1 ? 1 : image->samples * (image->bits_allocated / 8);
}

static bool decode(struct arena *a, const struct dcm_ts *ts, const struct px_image *declared, const uint8_t *p, size_t n, const struct codec_options *o,
                   struct px_frame *out, struct err *e) {
    struct header h;
    (void)ts, (void)o;
    unsigned planes = planes_of(declared);
    if (planes < 1 || planes > PLANES_MAX || (declared->bits_allocated == 1 && declared->samples != 1))
        return err_set(e, ERR_UNDECODABLE, "codec", "%u samples of %u bits cannot be in RLE", declared->samples, declared->bits_allocated);
    uint64_t pixels = (uint64_t)declared->rows * declared->columns, bytes = declared->bits_allocated == 1 ? (pixels + 7) / 8 : pixels;
    if (!read_header(p, n, planes, bytes, &h, e) || !decode_frame(a, &h, declared, out, e)) return false;
    out->image = *declared;
    out->image.planar = false;
    out->image.encapsulated = false;
    out->image.photometric = codec_plain_photometric(declared);
    return true;
}

// ---- encoding ----

static uint64_t u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

// 0x80 in every byte that is 0 (exactly those).
static uint64_t zero_bytes(uint64_t x) {
    const uint64_t low = 0x7F7F7F7F7F7F7F7Full;
    return ~(((x & low) + low) | x | low);
}

// How many bytes from p on equal the first, at most n.
static size_t run_length(const uint8_t *p, size_t n) {
    uint64_t all = p[0] * 0x0101010101010101ull;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t differ = u64(p + i) ^ all;
        if (differ) return i + (size_t)__builtin_ctzll(differ) / 8;
    }
    while (i < n && p[i] == p[0]) i++;
    return i;
}

// How many bytes pass before three that are equal, at most n.
static size_t literal_length(const uint8_t *p, size_t n) {
    size_t i = 0;
    for (; i + 9 <= n; i += 7) {
        uint64_t pairs = zero_bytes(u64(p + i) ^ u64(p + i + 1)), triples = pairs & pairs >> 8;
        if (triples) return i + (size_t)__builtin_ctzll(triples) / 8;
    }
    while (i + 2 < n && (p[i] != p[i + 1] || p[i] != p[i + 2])) i++;
    return i + 2 < n ? i : n;
}

// One row; to has room for row_bytes_max(n).
static uint8_t *pack_row(const uint8_t *p, size_t n, uint8_t *to) {
    while (n) {
        size_t run = run_length(p, n < RUN_MAX ? n : RUN_MAX);
        if (run >= 3 || (run == 2 && n == 2)) {
            *to++ = (uint8_t)(257 - run);
            *to++ = p[0];
        } else {
            run = literal_length(p, n < RUN_MAX ? n : RUN_MAX);
            *to++ = (uint8_t)(run - 1);
            memcpy(to, p, run);
            to += run;
        }
        p += run;
        n -= run;
    }
    return to;
}

static size_t row_bytes_max(size_t n) {
    return n + n / RUN_MAX + 2;
}

// Where a plane's bytes lie in the frame.
struct plane {
    const uint8_t *p;
    size_t step, row, rows; // bytes from one to the next, bytes of a row of the plane, rows
};

static void gather(uint8_t *restrict to, const uint8_t *restrict p, size_t step, size_t n) {
    if (step == 2)
        for (size_t i = 0; i < n; i++) to[i] = p[2 * i];
    else if (step == 3)
        for (size_t i = 0; i < n; i++) to[i] = p[3 * i];
    else
        for (size_t i = 0; i < n; i++) to[i] = p[step * i];
}

static bool pack_plane(const struct plane *plane, struct buf *to) {
    uint8_t row[65536];
    for (size_t y = 0; y < plane->rows; y++) {
        const uint8_t *p = plane->p + y * plane->row * plane->step;
        char *room = buf_reserve(to, row_bytes_max(plane->row));
        if (!room) return false;
        if (plane->step > 1) {
            gather(row, p, plane->step, plane->row);
            p = row;
        }
        to->n += (size_t)(pack_row(p, plane->row, (uint8_t *)room) - (uint8_t *)room);
    }
    if (to->n % 2) buf_addc(to, 0);
    return true;
}

// A row of packed bits is a row of bytes only when it ends at one; else the frame is taken as one.
static struct plane bit_plane(const struct px_image *image, const uint8_t *p) {
    if (image->columns % 8 == 0) return (struct plane){p, 1, image->columns / 8, image->rows};
    return (struct plane){p, 1, codec_plain_bytes(image), 1};
}

static struct plane plane_of(const struct px_image *image, const uint8_t *p, unsigned k) {
    if (image->bits_allocated == 1) return bit_plane(image, p);
    unsigned bytes = image->bits_allocated / 8, sample = k / bytes, byte = bytes - 1 - k % bytes;
    size_t pixels = (size_t)image->rows * image->columns;
    struct plane plane = {.row = image->columns, .rows = image->rows};
    plane.step = image->planar ? bytes : bytes * image->samples;
    plane.p = p + (image->planar ? sample * pixels * bytes : (size_t)sample * bytes) + byte;
    return plane;
}

static bool can_encode(const struct px_image *image, struct err *e) {
    if (image->kind != PX_INTEGER) return err_set(e, ERR_UNSUPPORTED, "codec", "floating point pixels have no place in RLE");
    if (image->photometric == PX_YBR_FULL_422) return err_set(e, ERR_UNSUPPORTED, "codec", "RLE has no place for YBR_FULL_422: whole planes are needed");
    unsigned bits = image->bits_allocated;
    bool fits = bits == 1 ? image->samples == 1 : (bits == 8 || bits == 16 || bits == 32) && (image->samples == 1 || image->samples == 3);
    return fits || err_set(e, ERR_UNSUPPORTED, "codec", "%u samples of %u bits have no place in RLE", image->samples, bits);
}

static bool encode_planes(const struct px_image *image, const uint8_t *p, struct buf *to) {
    size_t begin = to->n;
    uint32_t header[HEADER_BYTES / 4] = {planes_of(image)}; // little endian, as all machines that this is built for
    buf_add(to, header, sizeof header);
    for (unsigned k = 0; k < header[0]; k++) {
        struct plane plane = plane_of(image, p, k);
        header[k + 1] = (uint32_t)(to->n - begin);
        if (to->n - begin > UINT32_MAX || !pack_plane(&plane, to)) return false;
    }
    memcpy(to->p + begin, header, sizeof header);
    return true;
}

static bool encode(const struct px_frame *in, const struct dcm_ts *ts, const struct codec_options *o, struct buf *to, struct px_image *image, struct err *e) {
    struct buf room;
    (void)ts, (void)o;
    if (!can_encode(&in->image, e)) return false;
    buf_init(&room, PX_FRAME_BYTES_MAX);
    const uint8_t *p = codec_plain_begin(in, &room, e);
    bool ok = p && (encode_planes(&in->image, p, to) || buf_ok(to, e));
    buf_deinit(&room);
    image->planar = false;
    return ok;
}

const struct codec_family codec_rle = {"RLE Lossless", decode, encode};
