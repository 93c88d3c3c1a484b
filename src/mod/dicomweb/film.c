// Films: what MP4 boxes (ISO/IEC 14496-12) and MPEG-2 sequence headers (ISO/IEC 13818-2) say of size, frames and profile.
#include "base/limits.h"
#include "dicom/uids.h"
#include "mod/dicomweb/picture.h"

enum { MOVIE_BYTES_MAX = 16 * 1024 * 1024, BOXES_MAX = 4096, SEARCH_BYTES = 1024 * 1024, SAMPLE_ENTRY_BYTES = 86 };

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

struct box {
    const uint8_t *p; // content
    size_t n;
};

// The first box of the type among those that lie one after the other; *rest is what follows it.
static bool find_box(struct box in, const char type[5], struct box *out, struct box *rest) {
    for (unsigned i = 0; i < BOXES_MAX && in.n >= 8; i++) {
        size_t size = be32(in.p);
        if (size == 0) size = in.n;
        if (size < 8 || size > in.n) return false;
        *out = (struct box){in.p + 8, size - 8};
        struct box next = {in.p + size, in.n - size};
        bool found = memcmp(in.p + 4, type, 4) == 0;
        if (rest) *rest = next;
        if (found) return true;
        in = next;
    }
    return false;
}

static bool descend(struct box in, const char *const *path, struct box *out) {
    for (; *path; path++) {
        if (!find_box(in, *path, out, NULL)) return false;
        in = *out;
    }
    return true;
}

// The whole movie box, read into memory.
static bool load_movie(struct arena *a, const struct dcm_source *source, const struct dw_picture *p, struct box *out, struct err *e) {
    uint64_t at = p->offset, end = p->offset + p->length;
    uint8_t b[16];
    for (unsigned i = 0; i < BOXES_MAX && end - at >= 16; i++) {
        if (!source->read_at(source->ctx, at, b, sizeof b, e)) return false;
        uint64_t size = be32(b), head = 8;
        if (size == 1) {
            size = (uint64_t)be32(b + 8) << 32 | be32(b + 12);
            head = 16;
        }
        if (size == 0) size = end - at;
        if (size < head || size > end - at) break;
        if (memcmp(b + 4, "moov", 4) == 0) {
            if (size > MOVIE_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "dicomweb", "the film's index is larger than %d bytes", MOVIE_BYTES_MAX);
            uint8_t *to = arena_alloc(a, (size_t)size, e);
            *out = (struct box){to, (size_t)(size - head)};
            return to && source->read_at(source->ctx, at + head, to, out->n, e);
        }
        at += size;
    }
    return err_set(e, ERR_BAD_INPUT, "dicomweb", "the film has no movie box: it is not a whole MP4 file");
}

// H.264 by profile and level, HEVC by profile (PS3.5 10.11 to 10.15).
static const char *film_ts(const uint8_t *entry, size_t n) {
    struct box inside = {entry + SAMPLE_ENTRY_BYTES, n - SAMPLE_ENTRY_BYTES}, config;
    if (memcmp(entry + 4, "hvc1", 4) == 0 || memcmp(entry + 4, "hev1", 4) == 0) {
        bool ten = find_box(inside, "hvcC", &config, NULL) && config.n > 1 && (config.p[1] & 0x1F) == 2;
        return ten ? DCM_UID_HEVCM10P51 : DCM_UID_HEVCMP51;
    }
    if (memcmp(entry + 4, "avc1", 4) != 0 && memcmp(entry + 4, "avc3", 4) != 0) return NULL;
    bool known = find_box(inside, "avcC", &config, NULL) && config.n > 3;
    return known && config.p[3] > 41 ? DCM_UID_MPEG4HP422D : DCM_UID_MPEG4HP41;
}

static void read_times(struct box media, struct dw_picture *p) {
    struct box head;
    if (!find_box(media, "mdhd", &head, NULL) || head.n < 24) return;
    bool wide = head.p[0] == 1;
    if (wide && head.n < 36) return;
    double scale = (double)be32(head.p + (wide ? 20 : 12));
    double duration = wide ? (double)be32(head.p + 24) * 4294967296.0 + (double)be32(head.p + 28) : (double)be32(head.p + 16);
    if (scale > 0 && duration > 0 && p->frames > 0) p->frame_ms = duration * 1000 / scale / (double)p->frames;
}

// One track; false when it is not a picture's.
static bool read_track(struct box track, struct dw_picture *p) {
    static const char *const MEDIA[] = {"mdia", NULL}, *const TABLE[] = {"minf", "stbl", NULL};
    struct box media, table, entries, sizes;
    if (!descend(track, MEDIA, &media) || !descend(media, TABLE, &table) || !find_box(table, "stsd", &entries, NULL)) return false;
    if (entries.n < 8 + SAMPLE_ENTRY_BYTES) return false;
    const uint8_t *entry = entries.p + 8;
    size_t n = be32(entry);
    if (n < SAMPLE_ENTRY_BYTES || n > entries.n - 8) return false;
    p->ts_uid = film_ts(entry, n);
    if (!p->ts_uid) return false;
    p->columns = be32(entry + 32) >> 16;
    p->rows = be32(entry + 32) & 0xFFFF;
    if (find_box(table, "stsz", &sizes, NULL) && sizes.n >= 12) p->frames = be32(sizes.p + 8);
    read_times(media, p);
    return p->frames > 0;
}

static bool read_mp4(struct arena *a, const struct dcm_source *source, struct dw_picture *p, struct err *e) {
    struct box movie, track;
    if (!load_movie(a, source, p, &movie, e)) return false;
    while (find_box(movie, "trak", &track, &movie))
        if (read_track(track, p)) return true;
    return err_set(e, ERR_UNSUPPORTED, "dicomweb", "the film has no track in H.264 or HEVC");
}

static bool read_mpeg2(struct arena *a, const struct dcm_source *source, struct dw_picture *p, struct err *e) {
    size_t n = p->length < SEARCH_BYTES ? (size_t)p->length : SEARCH_BYTES;
    uint8_t *b = arena_alloc(a, n, e);
    if (!b || !source->read_at(source->ctx, p->offset, b, n, e)) return false;
    const uint8_t *head = memmem(b, n, "\0\0\1\xB3", 4);
    if (!head || (size_t)(head - b) + 8 > n) return err_set(e, ERR_BAD_INPUT, "dicomweb", "the film has no MPEG-2 sequence header");
    p->columns = (uint32_t)head[4] << 4 | head[5] >> 4;
    p->rows = (head[5] & 15u) << 8 | head[6];
    p->ts_uid = p->columns > 720 ? DCM_UID_MPEG2MPHL : DCM_UID_MPEG2MPML;
    return true;
}

bool dw_film_read(struct arena *scratch, const struct dcm_source *source, struct dw_picture *p, bool mpeg2, struct err *e) {
    if (!(mpeg2 ? read_mpeg2 : read_mp4)(scratch, source, p, e)) return false;
    bool hevc = !mpeg2 && (strcmp(p->ts_uid, DCM_UID_HEVCMP51) == 0 || strcmp(p->ts_uid, DCM_UID_HEVCM10P51) == 0);
    p->samples = 3;
    p->bits = hevc && strcmp(p->ts_uid, DCM_UID_HEVCM10P51) == 0 ? 10 : 8;
    p->photometric = "YBR_PARTIAL_420";
    p->lossy_method = mpeg2 ? "ISO_13818_2" : hevc ? "ISO_23008_2" : "ISO_14496_10";
    return true;
}
