// Writing MP4 files (ISO/IEC 14496-12, -15): one track of H.264, its tables before its data, so that it plays while it comes.
#include <math.h>
#include <stdlib.h>

#include "pixel/video.h"

enum { SCALE = 90000, MOVIE_BYTES_MAX = 256 * 1024 * 1024 };

// ---- boxes ----

static void put8(struct buf *b, unsigned v) {
    buf_addc(b, (char)v);
}

static void put16(struct buf *b, unsigned v) {
    put8(b, v >> 8);
    put8(b, v & 255);
}

static void put32(struct buf *b, uint32_t v) {
    put16(b, v >> 16);
    put16(b, v & 0xFFFF);
}

static void put_zeros(struct buf *b, unsigned n) {
    while (n-- > 0) put8(b, 0);
}

static size_t open_box(struct buf *b, const char *kind) {
    size_t at = b->n;
    put32(b, 0);
    buf_add(b, kind, 4);
    return at;
}

static size_t open_full(struct buf *b, const char *kind, uint32_t flags) {
    size_t at = open_box(b, kind);
    put32(b, flags); // version 0
    return at;
}

static void close_box(struct buf *b, size_t at) {
    if (b->failed) return;
    uint32_t n = (uint32_t)(b->n - at);
    for (unsigned i = 0; i < 4; i++) b->p[at + i] = (char)(n >> (24 - 8 * i));
}

static void put_matrix(struct buf *b) {
    static const uint32_t unity[9] = {0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000};
    for (unsigned i = 0; i < 9; i++) put32(b, unity[i]);
}

// ---- what the boxes say ----

struct movie {
    const struct px_h264 *h;
    uint32_t width, height, duration; // of a picture
    uint32_t *shown;                  // place in the order of showing, by coded order
    uint32_t delay;                   // that the first picture waits
};

static int by_order(const void *a, const void *b) {
    const struct px_sample *x = *(const struct px_sample *const *)a, *y = *(const struct px_sample *const *)b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool find_order(struct arena *a, struct movie *m, struct err *e) {
    uint32_t n = m->h->sample_count;
    const struct px_sample **sorted = arena_alloc(a, n * sizeof(const struct px_sample *), e);
    m->shown = sorted ? arena_alloc(a, n * sizeof *m->shown, e) : NULL;
    if (!m->shown) return false;
    for (uint32_t i = 0; i < n; i++) sorted[i] = &m->h->samples[i];
    qsort(sorted, n, sizeof(const struct px_sample *), by_order);
    for (uint32_t i = 0; i < n; i++) m->shown[sorted[i] - m->h->samples] = i;
    for (uint32_t i = 0; i < n; i++)
        if (i > m->shown[i] && i - m->shown[i] > m->delay) m->delay = i - m->shown[i];
    return true;
}

static uint32_t total(const struct movie *m) {
    return (uint32_t)fmin((double)m->h->sample_count * m->duration, UINT32_MAX);
}

static void put_headers(const struct movie *m, struct buf *b) {
    size_t at = open_full(b, "mvhd", 0);
    put32(b, 0);
    put32(b, 0);
    put32(b, SCALE);
    put32(b, total(m));
    put32(b, 0x10000);
    put16(b, 0x100);
    put_zeros(b, 10);
    put_matrix(b);
    put_zeros(b, 24);
    put32(b, 2);
    close_box(b, at);
}

static void put_track_header(const struct movie *m, struct buf *b) {
    size_t at = open_full(b, "tkhd", 7);
    put32(b, 0);
    put32(b, 0);
    put32(b, 1);
    put32(b, 0);
    put32(b, total(m));
    put_zeros(b, 16);
    put_matrix(b);
    put32(b, m->width << 16);
    put32(b, m->height << 16);
    close_box(b, at);
}

static void put_configuration(const struct px_h264 *h, struct buf *b) {
    size_t at = open_box(b, "avcC");
    put8(b, 1);
    buf_add(b, h->sps.p + 1, 3);
    put8(b, 0xFF); // lengths of four bytes
    put8(b, 0xE1);
    put16(b, (unsigned)h->sps.n);
    buf_add_str(b, h->sps);
    put8(b, h->pps_count);
    for (unsigned i = 0; i < h->pps_count; i++) {
        put16(b, (unsigned)(h->pps[i].n & 0xFFFF));
        buf_add(b, h->pps[i].p, h->pps[i].n & 0xFFFF);
    }
    close_box(b, at);
}

static void put_description(const struct movie *m, struct buf *b) {
    size_t at = open_full(b, "stsd", 0);
    put32(b, 1);
    size_t entry = open_box(b, "avc1");
    put_zeros(b, 6);
    put16(b, 1);
    put_zeros(b, 16);
    put16(b, m->width);
    put16(b, m->height);
    put32(b, 0x480000);
    put32(b, 0x480000);
    put32(b, 0);
    put16(b, 1);
    put_zeros(b, 32);
    put16(b, 24);
    put16(b, 0xFFFF);
    put_configuration(m->h, b);
    close_box(b, entry);
    close_box(b, at);
}

static uint32_t sample_bytes(const struct px_h264 *h, uint32_t i) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < h->samples[i].count; k++) n += 4 + (uint32_t)h->nal[h->samples[i].first + k].n;
    return n;
}

static void put_times(const struct movie *m, struct buf *b) {
    const struct px_h264 *h = m->h;
    size_t at = open_full(b, "stts", 0);
    put32(b, 1);
    put32(b, h->sample_count);
    put32(b, m->duration);
    close_box(b, at);
    if (!m->delay) return;
    at = open_full(b, "ctts", 0);
    put32(b, h->sample_count);
    for (uint32_t i = 0; i < h->sample_count; i++) {
        put32(b, 1);
        put32(b, (m->shown[i] + m->delay - i) * m->duration);
    }
    close_box(b, at);
}

static void put_tables(const struct movie *m, uint32_t data_at, struct buf *b) {
    const struct px_h264 *h = m->h;
    uint32_t keys = 0;
    put_times(m, b);
    size_t at = open_full(b, "stss", 0), count_at = b->n;
    put32(b, 0);
    for (uint32_t i = 0; i < h->sample_count; i++)
        if (h->samples[i].key) put32(b, i + 1), keys++;
    if (!b->failed)
        for (unsigned i = 0; i < 4; i++) b->p[count_at + i] = (char)(keys >> (24 - 8 * i));
    close_box(b, at);
    at = open_full(b, "stsc", 0); // all in one chunk
    put32(b, 1);
    put32(b, 1);
    put32(b, h->sample_count);
    put32(b, 1);
    close_box(b, at);
    at = open_full(b, "stsz", 0);
    put32(b, 0);
    put32(b, h->sample_count);
    for (uint32_t i = 0; i < h->sample_count; i++) put32(b, sample_bytes(h, i));
    close_box(b, at);
    at = open_full(b, "stco", 0);
    put32(b, 1);
    put32(b, data_at);
    close_box(b, at);
}

static void put_media(const struct movie *m, uint32_t data_at, struct buf *b) {
    size_t media = open_box(b, "mdia"), at = open_full(b, "mdhd", 0);
    put32(b, 0);
    put32(b, 0);
    put32(b, SCALE);
    put32(b, total(m));
    put32(b, 0x55C40000); // und
    close_box(b, at);
    at = open_full(b, "hdlr", 0);
    put32(b, 0);
    buf_add(b, "vide", 4);
    put_zeros(b, 13);
    close_box(b, at);
    size_t info = open_box(b, "minf");
    at = open_full(b, "vmhd", 1);
    put_zeros(b, 8);
    close_box(b, at);
    at = open_box(b, "dinf");
    size_t references = open_full(b, "dref", 0);
    put32(b, 1);
    close_box(b, open_full(b, "url ", 1)); // in this file
    close_box(b, references);
    close_box(b, at);
    at = open_box(b, "stbl");
    put_description(m, b);
    put_tables(m, data_at, b);
    close_box(b, at);
    close_box(b, info);
    close_box(b, media);
}

static void put_movie(const struct movie *m, uint32_t data_at, struct buf *b) {
    size_t movie = open_box(b, "moov");
    put_headers(m, b);
    size_t track = open_box(b, "trak");
    put_track_header(m, b);
    put_media(m, data_at, b);
    close_box(b, track);
    close_box(b, movie);
}

static bool write_movie(const struct movie *m, struct buf *to, struct err *e) {
    static const char type[] = "\0\0\0\x18"
                               "ftypisom\0\0\2\0isomavc1";
    struct buf tables;
    buf_init(&tables, MOVIE_BYTES_MAX);
    put_movie(m, 0, &tables); // once for its length
    uint32_t data_at = (uint32_t)(sizeof type - 1 + tables.n + 8);
    buf_clear(&tables);
    put_movie(m, data_at, &tables);
    buf_add(to, type, sizeof type - 1);
    buf_add(to, tables.p, tables.n);
    bool ok = buf_ok(&tables, e);
    buf_deinit(&tables);
    size_t data = open_box(to, "mdat");
    for (uint32_t i = 0; i < m->h->nal_count; i++) {
        put32(to, (uint32_t)m->h->nal[i].n);
        buf_add_str(to, m->h->nal[i]);
    }
    close_box(to, data);
    return ok && buf_ok(to, e);
}

bool px_is_mp4(struct str stream) {
    return stream.n > 12 && memcmp(stream.p + 4, "ftyp", 4) == 0;
}

bool px_write_mp4(struct arena *a, struct str stream, uint32_t width, uint32_t height, double frame_ms, struct buf *to, struct err *e) {
    struct px_h264 h;
    if (px_is_mp4(stream)) { // as it was sent
        buf_add_str(to, stream);
        return buf_ok(to, e);
    }
    if (stream.n > 188 && stream.p[0] == 0x47 && stream.p[188] == 0x47 && !px_ts_h264(a, stream, &stream, e)) return false;
    if (!px_h264_parse(a, stream, &h, e)) return false;
    struct movie m = {.h = &h, .width = width & 0xFFFF, .height = height & 0xFFFF};
    m.duration = (uint32_t)(fmin(fmax(frame_ms, 1), 10000) * (SCALE / 1000.0) + 0.5);
    return find_order(a, &m, e) && write_movie(&m, to, e);
}
