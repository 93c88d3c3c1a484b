// JPEG-LS frames: marker segments read and checked, scans decoded line by line, encoding by CharLS.
#include "codec/jpegls.h"

#include <charls/charls.h>

#include "base/limits.h"
#include "codec/jpegls_scan.h"
#include "codec/samples.h"

#define BAD(e, ...) err_set(e, ERR_UNDECODABLE, "jpeg-ls", __VA_ARGS__)

enum {
    M_SOF55 = 0xf7, // JPEG-LS frame
    M_LSE = 0xf8,
    M_RST0 = 0xd0,
    M_RST7 = 0xd7,
    M_SOI = 0xd8,
    M_EOI = 0xd9,
    M_SOS = 0xda,
    M_DRI = 0xdd,
    M_APP8 = 0xe8
};

struct stream {
    const uint8_t *p;
    size_t n, at;
    const struct px_image *declared;
    // the frame header
    unsigned precision, components;
    uint8_t id[3];
    // for the scans that follow
    struct jls_coding preset;
    uint32_t restart_lines;
    unsigned transform; // of HP: 0..3
    // what comes out
    uint8_t *out;
    unsigned bytes; // of a sample
    unsigned done;  // components, as bits
    bool excess;
    uint16_t *lines[2]; // two lines of up to three components, with the room around them
    uint16_t *spare;    // a line of three components
    struct jls_scan *scan;
};

static unsigned be16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

// ---- marker segments ----

static bool read_sof(struct stream *s, const uint8_t *p, size_t n, struct err *e) {
    const struct px_image *d = s->declared;
    if (s->components) return BAD(e, "a second frame header");
    if (n < 6 || n < 6 + 3 * (size_t)p[5]) return BAD(e, "a frame header of %zu bytes is too short", n);
    unsigned rows = be16(p + 1), columns = be16(p + 3);
    if (rows != d->rows || columns != d->columns)
        return BAD(e, "the codestream is of %u x %u pixels, and the data set declares %u x %u", columns, rows, d->columns, d->rows);
    if (p[5] != d->samples) return BAD(e, "the codestream has %u components, and the data set declares %u samples per pixel", p[5], d->samples);
    if (p[0] < 2 || p[0] > 16) return BAD(e, "samples of %u bits; JPEG-LS has 2 to 16", p[0]);
    for (unsigned i = 0; i < p[5]; i++) {
        if (p[7 + 3 * i] != 0x11) return BAD(e, "component %u is subsampled (%02x), which is not taken", i, p[7 + 3 * i]);
        s->id[i] = p[6 + 3 * i];
    }
    s->precision = p[0];
    s->components = p[5];
    return true;
}

static bool read_lse(struct stream *s, const uint8_t *p, size_t n, struct err *e) {
    if (n < 1) return BAD(e, "an empty LSE segment");
    if (p[0] == 2 || p[0] == 3) return BAD(e, "mapping tables are not taken");
    if (p[0] != 1) return true; // sizes beyond 65535 (4), and what came after the standard; the frame header's sizes hold
    if (n < 11) return BAD(e, "preset coding parameters of %zu bytes are too short", n);
    s->preset.maxval = be16(p + 1);
    s->preset.t1 = be16(p + 3);
    s->preset.t2 = be16(p + 5);
    s->preset.t3 = be16(p + 7);
    s->preset.reset = be16(p + 9);
    return true;
}

static bool read_segment(struct stream *s, unsigned marker, const uint8_t *p, size_t n, struct err *e) {
    if (marker == M_SOF55) return read_sof(s, p, n, e);
    if (marker == M_LSE) return read_lse(s, p, n, e);
    if ((marker & 0xf0) == 0xc0 && marker != 0xc4 && marker != 0xc8 && marker != 0xcc)
        return BAD(e, "a frame header ff%02x is of JPEG and not JPEG-LS", marker);
    if (marker == M_APP8 && n >= 5 && memcmp(p, "mrfx", 4) == 0) {
        if (p[4] > 3) return BAD(e, "the colour transform %u is not known", p[4]);
        s->transform = p[4];
    }
    if (marker == M_DRI && n >= 2 && n <= 4) {
        s->restart_lines = 0;
        for (size_t i = 0; i < n; i++) s->restart_lines = s->restart_lines << 8 | p[i];
    }
    return true;
}

// The next marker, with its segment in *p and *n. At the end of the bytes: EOI.
static bool next_marker(struct stream *s, unsigned *marker, const uint8_t **p, size_t *n, struct err *e) {
    while (s->at + 1 < s->n && s->p[s->at] == 0xff && s->p[s->at + 1] == 0xff) s->at++; // fill bytes
    *marker = M_EOI;
    if (s->n - s->at < 2) return true;
    if (s->p[s->at] != 0xff) return BAD(e, "no marker at byte %zu", s->at);
    *marker = s->p[s->at + 1];
    s->at += 2;
    if (*marker == M_EOI || *marker == M_SOI || (*marker >= M_RST0 && *marker <= M_RST7)) return true;
    size_t length = s->n - s->at < 2 ? 0 : be16(s->p + s->at);
    if (length < 2 || length > s->n - s->at) return BAD(e, "the marker segment ff%02x at byte %zu is longer than the codestream", *marker, s->at - 2);
    *p = s->p + s->at + 2;
    *n = length - 2;
    s->at += length;
    return true;
}

// ---- lines ----

// HP's transforms undone on n pixels: lossless colour decorrelation modulo the range.
static void undo_transform(unsigned kind, unsigned precision, uint16_t *p, size_t n) {
    int32_t range = 1 << precision, half = range / 2, mask = range - 1;
    for (size_t i = 0; i < n; i++, p += 3) {
        int32_t x = p[0], y = p[1], z = p[2], r, g, b;
        if (kind == 1) {
            g = y;
            r = x + y - half;
            b = z + y - half;
        } else if (kind == 2) {
            g = y;
            r = (x + y - half) & mask;
            b = z + ((r + g) >> 1) - half;
        } else {
            g = (x - ((z + y) >> 2) + range / 4) & mask;
            r = z + g - half;
            b = y + g - half;
        }
        p[0] = (uint16_t)(r & mask);
        p[1] = (uint16_t)(g & mask);
        p[2] = (uint16_t)(b & mask);
    }
}

static inline __attribute__((always_inline)) uint32_t put(const uint16_t *restrict in, size_t n, size_t in_step, uint8_t *restrict to, size_t step,
                                                          unsigned bytes, uint32_t sign) {
    uint32_t excess = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t v = (in[i * in_step] ^ sign) - sign;
        excess |= sign ? v ^ -(v >> 31) : v;
        if (bytes == 1)
            to[i * step] = (uint8_t)v;
        else if (bytes == 2)
            memcpy(to + i * step * 2, &(uint16_t){(uint16_t)v}, 2);
        else
            memcpy(to + i * step * 4, &v, 4);
    }
    return excess;
}

// n samples into line y of component at; step: from one to the next, in and out.
static void put_line(struct stream *s, uint32_t y, unsigned at, const uint16_t *in, size_t n, size_t in_step, size_t step) {
    const struct px_image *d = s->declared;
    uint32_t sign = d->is_signed ? 1u << (s->precision - 1) : 0, excess;
    uint8_t *to = s->out + ((size_t)y * d->columns * d->samples + at) * s->bytes;
    if (s->bytes == 1)
        excess = in_step == 1 && step == 1 ? put(in, n, 1, to, 1, 1, sign) : put(in, n, in_step, to, step, 1, sign);
    else if (s->bytes == 2)
        excess = in_step == 1 && step == 1 ? put(in, n, 1, to, 1, 2, sign) : put(in, n, in_step, to, step, 2, sign);
    else
        excess = put(in, n, in_step, to, step, 4, sign);
    s->excess |= (uint64_t)excess >> (d->is_signed ? d->high_bit : d->high_bit + 1) != 0;
}

// One scan's shape.
struct layout {
    unsigned first, count; // components of the frame
    unsigned interleave;   // 0: one component; 1: by line; 2: by pixel
};

static size_t pitch_of(const struct stream *s) {
    return (size_t)s->declared->columns + 2;
}

static void decode_line(struct stream *s, const struct layout *l, uint16_t *previous, uint16_t *current) {
    if (l->interleave == 2) {
        jls_scan_line3(s->scan, previous + 3, current + 3);
        return;
    }
    for (unsigned i = 0; i < l->count; i++) jls_scan_line(s->scan, previous + i * pitch_of(s) + 1, current + i * pitch_of(s) + 1, i);
}

static void emit_line(struct stream *s, const struct layout *l, uint32_t y, const uint16_t *current) {
    size_t columns = s->declared->columns, samples = s->declared->samples;
    if (l->interleave == 2 && !s->transform) {
        put_line(s, y, 0, current + 3, columns * 3, 1, 1);
    } else if (s->transform && l->count == 3) {
        for (unsigned i = 0; i < 3; i++)
            for (size_t x = 0; x < columns; x++) s->spare[x * 3 + i] = l->interleave == 2 ? current[3 + x * 3 + i] : current[i * pitch_of(s) + 1 + x];
        undo_transform(s->transform, s->precision, s->spare, columns);
        put_line(s, y, 0, s->spare, columns * 3, 1, 1);
    } else {
        for (unsigned i = 0; i < l->count; i++) put_line(s, y, l->first + i, current + i * pitch_of(s) + 1, columns, 1, samples);
    }
}

// ---- scans ----

static bool read_sos(struct stream *s, const uint8_t *p, size_t n, struct layout *l, struct jls_coding *c, struct err *e) {
    if (!s->components) return BAD(e, "a scan comes before the frame header");
    unsigned count = n ? p[0] : 0;
    if ((count != 1 && count != s->components) || n < 4 + 2 * (size_t)count) return BAD(e, "a scan of %u components of %u", count, s->components);
    *l = (struct layout){.count = count, .interleave = p[2 + 2 * count]};
    while (l->first < s->components && s->id[l->first] != p[1]) l->first++;
    if (l->first == s->components || l->first + count > s->components) return BAD(e, "a scan is of component %u, which the frame does not have", p[1]);
    for (unsigned i = 0; i < count; i++) {
        if (p[1 + 2 * i] != s->id[l->first + i]) return BAD(e, "the components of a scan are in another order than the frame's");
        if (s->done >> (l->first + i) & 1) return BAD(e, "component %u comes twice", l->first + i);
        if (p[2 + 2 * i]) return BAD(e, "mapping tables are not taken");
    }
    if (count == 1) l->interleave = 0;
    if (l->interleave > 2 || (count > 1 && !l->interleave)) return BAD(e, "the interleave mode %u cannot be", l->interleave);
    if (s->transform && count == 1 && s->components > 1) return BAD(e, "a colour transform over components in scans of their own is not taken");
    if (p[3 + 2 * count] & 15) return BAD(e, "a point transform is not taken");
    *c = s->preset;
    c->near = p[1 + 2 * count];
    c->precision = s->precision;
    c->width = s->declared->columns;
    return true;
}

// The entropy coded bytes from s->at to the next marker.
static struct str coded_bytes(struct stream *s) {
    size_t begin = s->at, at = begin;
    for (;;) {
        const uint8_t *ff = at < s->n ? memchr(s->p + at, 0xff, s->n - at) : NULL;
        at = ff ? (size_t)(ff - s->p) : s->n;
        if (!ff || at + 1 >= s->n || s->p[at + 1] >= 0x80) break;
        at += 2;
    }
    s->at = at;
    return (struct str){(const char *)s->p + begin, at - begin};
}

static bool begin_interval(struct stream *s, uint32_t y, struct err *e) {
    if (y) {
        if (s->n - s->at < 2 || s->p[s->at + 1] < M_RST0 || s->p[s->at + 1] > M_RST7) return BAD(e, "no restart marker before line %u", y);
        s->at += 2;
    }
    struct str bytes = coded_bytes(s);
    jls_scan_begin(s->scan, (const uint8_t *)bytes.p, bytes.n);
    for (unsigned i = 0; i < 2; i++) memset(s->lines[i], 0, pitch_of(s) * 3 * sizeof(uint16_t));
    return true;
}

static bool decode_scan(struct stream *s, struct arena *a, const struct layout *l, const struct jls_coding *c, struct err *e) {
    if (!jls_scan_init(s->scan, a, c, e)) return false;
    for (uint32_t y = 0; y < s->declared->rows; y++) {
        bool begins = y == 0 || (s->restart_lines && y % s->restart_lines == 0);
        if (begins && !begin_interval(s, y, e)) return false;
        uint16_t *current = s->lines[y & 1];
        decode_line(s, l, s->lines[~y & 1], current);
        if (!jls_scan_ok(s->scan)) return BAD(e, "the codestream is damaged or was cut off, at line %u", y);
        emit_line(s, l, y, current);
    }
    for (unsigned i = 0; i < l->count; i++) s->done |= 1u << (l->first + i);
    return true;
}

// ---- frames ----

static bool make_room(struct stream *s, struct arena *a, struct err *e) {
    const struct px_image *d = s->declared;
    s->bytes = codec_sample_bytes(d, s->precision);
    uint64_t n = (uint64_t)d->rows * d->columns * d->samples * s->bytes;
    if (n > PX_FRAME_BYTES_MAX) return BAD(e, "a frame of %llu bytes is larger than %d", (unsigned long long)n, PX_FRAME_BYTES_MAX);
    s->out = arena_alloc(a, n, e);
    for (unsigned i = 0; i < 2 && s->out; i++)
        if (!(s->lines[i] = arena_zero(a, pitch_of(s) * 3, sizeof(uint16_t), e))) return false;
    s->spare = arena_alloc(a, (size_t)d->columns * 3 * sizeof(uint16_t), e);
    s->scan = arena_alloc(a, sizeof *s->scan, e);
    return s->out && s->spare && s->scan;
}

static bool decode_all(struct stream *s, struct arena *a, struct err *e) {
    unsigned marker = 0;
    const uint8_t *p = NULL;
    size_t n = 0;
    struct layout l;
    struct jls_coding c;
    while (!s->components || s->done != (1u << s->components) - 1) {
        if (!next_marker(s, &marker, &p, &n, e)) return false;
        if (marker == M_EOI) return BAD(e, "the codestream ends before all components came");
        if (marker == M_SOI || (marker >= M_RST0 && marker <= M_RST7)) return BAD(e, "a marker ff%02x at byte %zu has no place there", marker, s->at - 2);
        if (marker != M_SOS) {
            if (!read_segment(s, marker, p, n, e)) return false;
            continue;
        }
        if (!read_sos(s, p, n, &l, &c, e) || (!s->out && !make_room(s, a, e)) || !decode_scan(s, a, &l, &c, e)) return false;
    }
    return true;
}

static bool decode(struct arena *a, const struct dcm_ts *ts, const struct px_image *declared, const uint8_t *p, size_t n, const struct codec_options *o,
                   struct px_frame *out, struct err *e) {
    (void)ts, (void)o; // the codestream says whether it is lossless; a frame is one thread's work
    struct stream s = {.p = p, .n = n, .at = 2, .declared = declared};
    if (declared->kind != PX_INTEGER) return BAD(e, "JPEG-LS holds no float pixel data");
    if (n < 2 || be16(p) != 0xffd8) return BAD(e, "no JPEG-LS codestream: it does not begin with SOI");
    if (!decode_all(&s, a, e)) return false;
    *out = (struct px_frame){.image = *declared, .bytes = s.out, .n = (size_t)declared->rows * declared->columns * declared->samples * s.bytes};
    struct px_image *image = &out->image;
    image->planar = image->encapsulated = image->big_endian = false;
    if (image->photometric == PX_YBR_RCT || image->photometric == PX_YBR_ICT) image->photometric = PX_RGB; // JPEG-LS has no such transform
    if (image->photometric == PX_YBR_FULL_422) image->photometric = PX_YBR_FULL;                           // nothing is subsampled
    codec_settle_bits(image, s.precision, s.excess);
    return true;
}

// ---- encoding ----

static bool can_encode(const struct px_image *in, bool lossy, struct err *e) {
    if (in->kind != PX_INTEGER) return err_set(e, ERR_UNSUPPORTED, "jpeg-ls", "float pixel data has no place in JPEG-LS");
    if (in->bits_stored < 2 || in->bits_stored > 16) return err_set(e, ERR_UNSUPPORTED, "jpeg-ls", "Bits Stored is %u; JPEG-LS has 2 to 16", in->bits_stored);
    if (in->photometric == PX_YBR_FULL_422) return err_set(e, ERR_UNSUPPORTED, "jpeg-ls", "YBR_FULL_422 pixels are subsampled already");
    if (lossy && in->photometric == PX_PALETTE_COLOR) return err_set(e, ERR_UNSUPPORTED, "jpeg-ls", "indices of a palette cannot be encoded with loss");
    if ((uint64_t)in->rows * in->columns * in->samples <= J2K_SAMPLES_MAX) return true;
    return err_set(e, ERR_TOO_LARGE, "jpeg-ls", "%u x %u pixels of %u samples are more than %d samples", in->columns, in->rows, in->samples, J2K_SAMPLES_MAX);
}

// The precision of the codestream. DCMTK and GDCM take it for that of the allocated cell: 8 bits or less fill one byte and more of them two, whatever the data
// set says, and DCMTK refuses less than 8. So it is 8 where a byte is allocated and at least 9 where two are.
static unsigned precision_of(const struct px_image *image) {
    unsigned least = image->bits_allocated > 8 ? 9 : 8;
    return image->bits_stored > least ? image->bits_stored : least;
}

// Two's complement jumps from the largest value to the smallest: a difference that is allowed would become one that is not.
static bool wraps(const int32_t *plane, size_t n, const struct px_image *image, unsigned near) {
    int32_t top = (int32_t)((1u << (precision_of(image) - 1)) - 1) - (int32_t)near;
    bool found = false;
    for (size_t i = 0; i < n; i++) found |= plane[i] > top || plane[i] < -top - 1;
    return found && near && image->is_signed;
}

// The samples as CharLS takes them, by pixel, in one byte or two.
static uint8_t *narrow(struct arena *a, const struct px_frame *in, unsigned bytes, unsigned near, struct err *e) {
    const struct px_image *image = &in->image;
    size_t n = (size_t)image->rows * image->columns, samples = image->samples;
    int32_t *plane = arena_alloc(a, n * sizeof *plane, e);
    uint8_t *to = arena_alloc(a, n * samples * bytes, e);
    uint32_t mask = (1u << precision_of(image)) - 1;
    if (!plane || !to) return NULL;
    for (unsigned s = 0; s < samples; s++) {
        codec_unpack(in, s, plane);
        if (wraps(plane, n, image, near)) {
            err_set(e, ERR_UNSUPPORTED, "jpeg-ls", "signed samples within %u of the ends of %u bits cannot be encoded near-lossless", near,
                    precision_of(image));
            return NULL;
        }
        for (size_t i = 0; i < n; i++) {
            uint16_t v = (uint16_t)((uint32_t)plane[i] & mask);
            if (bytes == 1)
                to[i * samples + s] = (uint8_t)v;
            else
                memcpy(to + (i * samples + s) * 2, &v, 2);
        }
    }
    return to;
}

static charls_jpegls_errc set_up(charls_jpegls_encoder *c, const struct px_image *image, unsigned near) {
    charls_frame_info info = {
        .width = image->columns, .height = image->rows, .bits_per_sample = (int32_t)precision_of(image), .component_count = (int32_t)image->samples};
    charls_jpegls_errc r = charls_jpegls_encoder_set_frame_info(c, &info);
    if (!r) r = charls_jpegls_encoder_set_near_lossless(c, (int32_t)near);
    if (!r && image->samples > 1) r = charls_jpegls_encoder_set_interleave_mode(c, CHARLS_INTERLEAVE_MODE_LINE);
    return r;
}

static charls_jpegls_errc write_all(charls_jpegls_encoder *c, const struct px_image *image, unsigned near, const uint8_t *from, size_t n, struct buf *to) {
    size_t room = 0, written = 0;
    charls_jpegls_errc r = set_up(c, image, near);
    if (!r) r = charls_jpegls_encoder_get_estimated_destination_size(c, &room);
    if (r) return r;
    room += room / 2; // noise takes more than it is
    char *p = buf_reserve(to, room);
    if (!p) return CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY;
    r = charls_jpegls_encoder_set_destination_buffer(c, p, room);
    if (!r) r = charls_jpegls_encoder_encode_from_buffer(c, from, n, 0);
    if (!r) r = charls_jpegls_encoder_get_bytes_written(c, &written);
    if (!r) to->n += written;
    return r;
}

static bool encode(const struct px_frame *in, const struct dcm_ts *ts, const struct codec_options *o, struct buf *to, struct px_image *image, struct err *e) {
    if (!can_encode(&in->image, ts->lossy, e)) return false;
    unsigned bytes = precision_of(&in->image) <= 8 ? 1 : 2, half = ((1u << in->image.bits_stored) - 1) / 2, near = o && o->near ? o->near : 2;
    if (!ts->lossy) near = 0;
    if (near > half) near = half;
    if (near > 255) near = 255;
    size_t n = (size_t)in->image.rows * in->image.columns * in->image.samples * bytes;
    struct arena a;
    arena_init(&a, 6 * (size_t)J2K_SAMPLES_MAX);
    uint8_t *from = narrow(&a, in, bytes, near, e);
    charls_jpegls_encoder *c = from ? charls_jpegls_encoder_create() : NULL;
    charls_jpegls_errc r = c ? write_all(c, &in->image, near, from, n, to) : CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY;
    if (c) charls_jpegls_encoder_destroy(c);
    arena_deinit(&a);
    *image = in->image;
    image->planar = false;
    if (near) image->bits_stored = precision_of(&in->image); // which values near the largest may need now
    image->high_bit = image->bits_stored - 1;
    if (!from) return false;
    if (!buf_ok(to, e) || r == CHARLS_JPEGLS_ERRC_SUCCESS) return buf_ok(to, e);
    if (r == CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY) return err_nomem(e, "jpeg-ls");
    return err_set(e, ERR_UNSUPPORTED, "jpeg-ls", "the encoder refuses: %s", charls_get_error_message(r));
}

const struct codec_family codec_jpegls = {.name = "JPEG-LS", .decode = decode, .encode = encode};
