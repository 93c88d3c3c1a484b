// Walks over the markers of a JPEG codestream and keeps what the headers and tables say.
#include "codec/jpeg_stream.h"

#include <string.h>

enum {
    M_SOF0 = 0xC0,
    M_DHT = 0xC4,
    M_JPG = 0xC8,
    M_DAC = 0xCC,
    M_SOF15 = 0xCF,
    M_RST0 = 0xD0,
    M_RST7 = 0xD7,
    M_SOI = 0xD8,
    M_EOI = 0xD9,
    M_SOS = 0xDA,
    M_DQT = 0xDB,
    M_DNL = 0xDC,
    M_DRI = 0xDD,
    M_APP0 = 0xE0,
    M_APP14 = 0xEE,
    M_JPEG_LS = 0xF7,
    M_TEM = 0x01
};

// A marker segment's parameters.
struct segment {
    const uint8_t *p;
    size_t n;
};

static unsigned u16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static bool wrong(struct jpeg_stream *s, struct err *e, const char *what) {
    return err_set(e, ERR_UNDECODABLE, "codec", "JPEG: %s, near byte %zu of %zu", what, (size_t)(s->p - s->begin), (size_t)(s->end - s->begin));
}

bool jpeg_open(struct jpeg_stream *s, const uint8_t *p, size_t n, struct err *e) {
    *s = (struct jpeg_stream){.begin = p, .p = p, .end = p + n, .adobe = -1};
    if (n >= 4 && p[0] == 0xFF && p[1] == 0x4F && p[2] == 0xFF && p[3] == 0x51) return wrong(s, e, "the codestream is JPEG 2000");
    if (n < 4 || p[0] != 0xFF || p[1] != M_SOI) return wrong(s, e, "the codestream does not begin with an SOI marker");
    s->p += 2;
    return true;
}

static bool read_frame(struct jpeg_stream *s, unsigned process, struct segment g, struct err *e) {
    struct jpeg_frame *f = &s->frame;
    if (f->seen) return wrong(s, e, "a second frame header");
    if (g.n < 6 || g.n != 6 + 3 * (size_t)g.p[5]) return wrong(s, e, "a frame header of a wrong length");
    *f = (struct jpeg_frame){.seen = true, .process = (uint8_t)process, .precision = g.p[0], .rows = (uint16_t)u16(g.p + 1), .columns = (uint16_t)u16(g.p + 3)};
    f->components = g.p[5];
    s->rows_at = (size_t)(g.p + 1 - s->begin);
    if (f->components < 1 || f->components > JPEG_COMPONENTS_MAX) return wrong(s, e, "a number of components that is not 1 to 4");
    for (unsigned i = 0; i < f->components; i++) {
        const uint8_t *c = g.p + 6 + 3 * i;
        f->component[i] = (struct jpeg_component){.id = c[0], .h = c[1] >> 4, .v = c[1] & 15, .tq = c[2]};
        if (f->component[i].h < 1 || f->component[i].h > 4 || f->component[i].v < 1 || f->component[i].v > 4)
            return wrong(s, e, "a sampling factor that is not 1 to 4");
    }
    return true;
}

static bool read_scan(struct jpeg_stream *s, struct segment g, struct err *e) {
    if (!s->frame.seen) return wrong(s, e, "a scan without a frame header");
    unsigned n = g.n ? g.p[0] : 0;
    if (n < 1 || n > JPEG_COMPONENTS_MAX || g.n != 4 + 2 * (size_t)n) return wrong(s, e, "a scan header of a wrong length");
    struct jpeg_scan scan = {.components = n};
    for (unsigned i = 0; i < n; i++) {
        unsigned c = 0;
        while (c < s->frame.components && s->frame.component[c].id != g.p[1 + 2 * i]) c++;
        if (c == s->frame.components) return wrong(s, e, "a scan of a component that the frame has not");
        if (i && scan.component[i - 1] >= c) return wrong(s, e, "a scan that names its components out of their order");
        scan.component[i] = (uint8_t)c;
        scan.dc[i] = g.p[2 + 2 * i] >> 4;
        scan.ac[i] = g.p[2 + 2 * i] & 15;
        if (scan.dc[i] > 3 || scan.ac[i] > 3) return wrong(s, e, "a scan with a table that is not 0 to 3");
    }
    const uint8_t *last = g.p + 1 + 2 * n;
    scan.ss = last[0];
    scan.se = last[1];
    scan.ah = last[2] >> 4;
    scan.al = last[2] & 15;
    s->scan = scan;
    s->scans++;
    return true;
}

static bool read_huffman(struct jpeg_stream *s, struct segment g, struct err *e) {
    while (g.n) {
        if (g.n < 17 || (g.p[0] & 0xEC)) return wrong(s, e, "a damaged Huffman table");
        struct jpeg_huffman_spec *t = (g.p[0] >> 4 ? s->ac : s->dc) + (g.p[0] & 3);
        *t = (struct jpeg_huffman_spec){.seen = true};
        for (unsigned l = 1; l <= 16; l++) t->symbols += t->count[l] = g.p[l];
        if (t->symbols > 256 || g.n < 17 + t->symbols) return wrong(s, e, "a damaged Huffman table");
        memcpy(t->symbol, g.p + 17, t->symbols);
        g.p += 17 + t->symbols;
        g.n -= 17 + t->symbols;
    }
    return true;
}

static bool read_quantisation(struct jpeg_stream *s, struct segment g, struct err *e) {
    while (g.n) {
        unsigned wide = g.p[0] >> 4, number = g.p[0] & 15;
        size_t bytes = wide ? 128 : 64;
        if (wide > 1 || number > 3 || g.n < 1 + bytes) return wrong(s, e, "a damaged quantisation table");
        for (unsigned i = 0; i < 64; i++) s->quant[number][i] = (uint16_t)(wide ? u16(g.p + 1 + 2 * i) : g.p[1 + i]);
        s->quant_seen[number] = true;
        g.p += 1 + bytes;
        g.n -= 1 + bytes;
    }
    return true;
}

static bool read_restart(struct jpeg_stream *s, struct segment g, struct err *e) {
    if (g.n != 2) return wrong(s, e, "a restart interval of a wrong length");
    s->restart_interval = u16(g.p);
    return true;
}

static bool is_frame_header(unsigned m) {
    return m >= M_SOF0 && m <= M_SOF15 && m != M_DHT && m != M_JPG && m != M_DAC;
}

static bool read_segment(struct jpeg_stream *s, unsigned marker, struct segment g, struct err *e) {
    if (is_frame_header(marker)) return read_frame(s, marker - M_SOF0, g, e);
    if (marker == M_SOS) return read_scan(s, g, e);
    if (marker == M_DHT) return read_huffman(s, g, e);
    if (marker == M_DQT) return read_quantisation(s, g, e);
    if (marker == M_DRI) return read_restart(s, g, e);
    if (marker == M_JPEG_LS) return wrong(s, e, "the codestream is JPEG-LS");
    if (marker == M_APP0 && g.n >= 5 && memcmp(g.p, "JFIF", 5) == 0) s->jfif = true;
    if (marker == M_APP14 && g.n >= 12 && memcmp(g.p, "Adobe", 5) == 0) s->adobe = g.p[11];
    return true;
}

// The next marker's second byte, 0 at the end. Anything between markers is passed over: entropy coded bytes, and what some writers leave behind.
static unsigned next_marker(struct jpeg_stream *s) {
    while (s->end - s->p >= 2) {
        const uint8_t *ff = memchr(s->p, 0xFF, (size_t)(s->end - s->p) - 1);
        if (!ff) break;
        s->p = ff + 1; // fill bytes: the last FF counts
        if (*s->p == 0xFF || *s->p == 0) continue;
        return *s->p++;
    }
    s->p = s->end;
    return 0;
}

enum jpeg_event jpeg_next(struct jpeg_stream *s, struct err *e) {
    for (;;) {
        unsigned m = next_marker(s);
        s->ended = m == M_EOI;
        if (m == 0 || m == M_EOI) return JPEG_END;
        if ((m >= M_RST0 && m <= M_SOI) || m == M_TEM) continue;
        if (s->end - s->p < 2 || u16(s->p) < 2 || (size_t)(s->end - s->p) < u16(s->p)) {
            wrong(s, e, "a marker segment that the codestream cuts short");
            return JPEG_FAILED;
        }
        struct segment g = {s->p + 2, u16(s->p) - 2};
        s->p += g.n + 2;
        if (!read_segment(s, m, g, e)) return JPEG_FAILED;
        if (is_frame_header(m)) return JPEG_FRAME;
        if (m == M_SOS) return JPEG_SCAN;
    }
}

size_t jpeg_segment_room(const struct jpeg_stream *s) {
    return (size_t)(s->end - s->p) + JPEG_SEGMENT_PAD;
}

size_t jpeg_segment(struct jpeg_stream *s, uint8_t *to) {
    uint8_t *out = to;
    while (s->p < s->end) {
        const uint8_t *ff = memchr(s->p, 0xFF, (size_t)(s->end - s->p));
        size_t n = (size_t)((ff ? ff : s->end) - s->p);
        memcpy(out, s->p, n);
        out += n;
        s->p += n;
        if (!ff || s->end - ff < 2 || ff[1] != 0) break; // at a marker
        *out++ = 0xFF;
        s->p += 2;
    }
    memset(out, 0, JPEG_SEGMENT_PAD);
    return (size_t)(out - to);
}

bool jpeg_restart(struct jpeg_stream *s, unsigned number, struct err *e) {
    unsigned m = next_marker(s);
    if (m == M_RST0 + number) return true;
    return wrong(s, e, m == 0 || m == M_EOI ? "the codestream ends before the image does" : "a restart marker is missing");
}
