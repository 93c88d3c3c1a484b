// Bulk data and frames (PS3.18 10.4.1.1.3, 10.4.1.1.5): values that metadata only names, and the frames of native pixel data.
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "core/retrieve.h"
#include "dicom/uid.h"
#include "dicom/vr.h"
#include "http/media.h"
#include "http/multipart.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/resource.h"

enum { RANGES_MAX = 4096 };

// A run of bytes of an object, sent as one part.
struct run {
    uint64_t offset, length; // in the Part 10 file
};

struct bulk {
    struct archive *archive;
    const struct instance_ref *ref;
    struct run *runs;
    size_t count;
    unsigned swap;        // bytes of a unit to be turned round (big endian objects), or 1
    const uint8_t *value; // when the value lies in memory: runs count from its start
    bool multipart;
    char boundary[MULTIPART_MADE_BOUNDARY];
    struct str url;
    // progress
    size_t next;
    struct buf text;
    size_t text_at;
    uint64_t at; // in runs[next - 1]
    bool ended;
};

// ---- sending ----

static bool read_run(const struct bulk *b, uint64_t offset, void *p, size_t n) {
    struct err e = {0};
    if (b->value) {
        memcpy(p, b->value + offset, n);
    } else if (!retrieve_read(b->archive, b->ref, offset, p, n, &e)) {
        log_err(&e, "bulk data of %.*s is cut off", STR_FMT(b->ref->sop_instance_uid));
        return false;
    }
    uint8_t *bytes = p;
    for (size_t i = 0; b->swap > 1 && i + b->swap <= n; i += b->swap)
        for (unsigned k = 0; k < b->swap / 2; k++) {
            uint8_t c = bytes[i + k];
            bytes[i + k] = bytes[i + b->swap - 1 - k];
            bytes[i + b->swap - 1 - k] = c;
        }
    return true;
}

static void next_text(struct bulk *b) {
    buf_clear(&b->text);
    b->text_at = 0;
    if (b->next < b->count) {
        if (b->multipart) multipart_write_begin(&b->text, b->boundary, b->next == 0, "application/octet-stream", b->url);
        b->next++;
        b->at = 0;
    } else {
        if (b->multipart) multipart_write_end(&b->text, b->boundary);
        b->ended = true;
    }
}

enum { NO_ROOM = -2 };

// 0: nothing this time, but more may come; -1: failed; NO_ROOM for a whole unit.
static int64_t some(struct bulk *b, char *p, size_t n) {
    if (b->text_at < b->text.n) {
        size_t take = b->text.n - b->text_at < n ? b->text.n - b->text_at : n;
        memcpy(p, b->text.p + b->text_at, take);
        b->text_at += take;
        return (int64_t)take;
    }
    const struct run *run = b->next ? &b->runs[b->next - 1] : NULL;
    uint64_t left = run && !b->ended ? run->length - b->at : 0;
    if (left == 0) {
        next_text(b);
        return 0;
    }
    size_t take = left < n ? (size_t)left : n;
    if (take < left) take -= take % b->swap;
    if (take == 0) return NO_ROOM;
    if (!read_run(b, run->offset + b->at, p, take)) return -1;
    b->at += take;
    return (int64_t)take;
}

static int64_t generate(void *context, uint64_t position, void *p, size_t n) {
    struct bulk *b = context;
    size_t filled = 0;
    (void)position;
    while (filled < n && !(b->ended && b->text_at == b->text.n)) {
        int64_t got = some(b, (char *)p + filled, n - filled);
        if (got == NO_ROOM && filled > 0) break;
        if (got < 0) return -1;
        filled += (size_t)got;
    }
    return (int64_t)filled;
}

static void end_bulk(void *context) {
    struct bulk *b = context;
    buf_deinit(&b->text);
}

// multipart/related with octet-stream parts, or the bytes alone where there is one run and the asker takes that.
static bool choose(const struct http_request *rq, struct bulk *b, struct err *e) {
    struct http_media *ranges;
    unsigned n;
    struct str accept = dw_accept(rq);
    b->multipart = true;
    if (str_trim(accept).n == 0) return true;
    if (!http_media_parse_list(rq->arena, accept, &ranges, &n, e)) return false;
    for (unsigned i = 0; i < n && ranges[i].q > 0; i++) {
        struct str type = http_media_param(&ranges[i], "type");
        bool octets = !type.p || str_eq_nocase(type, STR_LIT("application/octet-stream")) || str_eqz(type, "*/*");
        if (http_media_takes(&ranges[i], "multipart/related") && octets) return true;
        if (b->count != 1 || !http_media_takes(&ranges[i], "application/octet-stream")) continue;
        b->multipart = false;
        return true;
    }
    return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "these bytes can be had as multipart/related; type=\"application/octet-stream\"%s",
                   b->count == 1 ? " or application/octet-stream" : "");
}

// "bytes=a-b", one range, of a single run. false: there is none that counts (RFC 9110 14.2: the whole is then sent).
static bool parse_range(struct str header, uint64_t length, struct run *out) {
    if (!str_starts(header, STR_LIT("bytes=")) || str_find(header, ',', 0) < header.n) return false;
    struct str last = str_sub(header, 6, header.n);
    struct str first = str_split(&last, '-');
    uint64_t from = 0, to = length - 1;
    if (!last.p || (first.n == 0 && last.n == 0)) return false;
    if (last.n && !str_to_u64(last, &to)) return false;
    if (first.n && !str_to_u64(first, &from)) return false;
    if (first.n == 0) {
        from = to < length ? length - to : 0;
        to = length - 1;
    }
    if (to >= length) to = length - 1;
    *out = (struct run){from, from <= to ? to - from + 1 : 0};
    return true;
}

// Applies a Range header to a single run. false: it lies outside (416).
static bool apply_range(struct http_request *rq, struct http_response *rs, struct bulk *b, unsigned *status) {
    struct run part;
    struct run *run = &b->runs[0];
    if (b->multipart || run->length == 0) return true;
    http_setz(rs, "Accept-Ranges", "bytes");
    if (!parse_range(http_header(rq, "Range"), run->length, &part)) return true;
    bool fits = part.length > 0 && part.offset < run->length && part.offset % b->swap == 0;
    char *range = fits ? arena_printf(rq->arena, NULL, "bytes %llu-%llu/%llu", (unsigned long long)part.offset,
                                      (unsigned long long)(part.offset + part.length - 1), (unsigned long long)run->length)
                       : arena_printf(rq->arena, NULL, "bytes */%llu", (unsigned long long)run->length);
    http_setz(rs, "Content-Range", range);
    if (!fits) return false;
    *status = 206;
    *run = (struct run){run->offset + part.offset, part.length};
    return true;
}

// What an object declares may go beyond its end.
static bool runs_lie_within(const struct bulk *b, struct err *e) {
    uint64_t whole = b->ref->loc.length;
    for (size_t i = 0; !b->value && i < b->count; i++)
        if (b->runs[i].offset > whole || b->runs[i].length > whole - b->runs[i].offset)
            return err_set(e, ERR_UNDECODABLE, "dicomweb", "the object ends before the %llu bytes that it declares", (unsigned long long)b->runs[i].length);
    return true;
}

static bool send_bulk(struct http_request *rq, struct http_response *rs, struct bulk *b, struct err *e) {
    unsigned status = 200;
    const char *type = "application/octet-stream";
    if (!runs_lie_within(b, e)) return false;
    if (!choose(rq, b, e) || !multipart_make_boundary(b->boundary, e)) return false;
    if (b->multipart) type = arena_printf(rq->arena, e, "multipart/related; type=\"application/octet-stream\"; boundary=%s", b->boundary);
    if (!type) return false;
    if (!apply_range(rq, rs, b, &status)) {
        http_reply_status(rs, 416);
        return true;
    }
    http_setz(rs, "Vary", "Accept");
    if (!b->multipart) http_setz(rs, "Content-Disposition", "attachment");
    buf_init(&b->text, 4096);
    http_reply_stream(rs, status, type, b->multipart ? HTTP_LENGTH_UNKNOWN : (int64_t)b->runs[0].length, generate, b, end_bulk);
    return true;
}

static struct bulk *new_bulk(struct arena *a, const struct dw_target *t, const struct instance_ref *ref, size_t count, struct err *e) {
    struct bulk *b = arena_zero(a, 1, sizeof *b, e);
    if (!b) return NULL;
    *b = (struct bulk){.archive = t->archive, .ref = ref, .count = count, .swap = 1};
    b->runs = arena_zero(a, count, sizeof *b->runs, e);
    b->url = dw_url(a, ref->study_uid, ref->series_uid, ref->sop_instance_uid);
    return b->runs ? b : NULL;
}

// ---- bulk data ----

// "00420011", "00540016/0/00189346": the element that the path names.
static const struct dcm_element *find_element(const struct dcm_dataset *ds, struct str path) {
    struct str rest = path;
    for (unsigned depth = 0; ds && rest.p && depth <= DCM_DEPTH_MAX; depth++) {
        uint32_t tag;
        uint64_t item;
        if (!dcm_tag_parse(str_split(&rest, '/'), &tag)) return NULL;
        if (!rest.p) return dcm_find(ds, tag);
        if (!str_to_u64(str_split(&rest, '/'), &item) || item > UINT32_MAX) return NULL;
        ds = dcm_item(ds, tag, (unsigned)item);
    }
    return NULL;
}

static unsigned unit_of(const struct instance_ref *ref, uint16_t vr) {
    const struct dcm_ts *ts = dcm_ts_find(ref->ts_uid);
    const struct dcm_vr_info *info = dcm_vr_find(vr);
    return ts && ts->big_endian && info ? info->unit : 1;
}

static bool is_encapsulated(const struct instance_ref *ref) {
    const struct dcm_ts *ts = dcm_ts_find(ref->ts_uid);
    return !ts || ts->encapsulated;
}

static bool fill_from_element(struct bulk *b, const struct dcm_element *el, struct err *e) {
    if (!el || el->vr == DCM_VR_SQ) return err_set(e, ERR_NOT_FOUND, "dicomweb", "the object has no such bulk data");
    if (el->flags & DCM_FRAGMENTS) return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "compressed pixel data cannot be had uncompressed");
    b->swap = unit_of(b->ref, el->vr);
    b->value = el->flags & DCM_BY_REFERENCE ? NULL : el->value;
    b->runs[0] = (struct run){b->value ? 0 : b->ref->dataset_offset + el->offset, el->length};
    return true;
}

bool dw_bulkdata(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct dcm_dataset *header;
    struct str path = http_capture(rq, "path");
    if (!dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    const struct instance_ref *ref = &list.refs[0];
    struct bulk *b = new_bulk(rq->arena, &t, ref, 1, e);
    if (!b) return false;
    uint32_t tag;
    if (dcm_tag_parse(path, &tag) && tag >= DCM_FloatPixelData && tag <= DCM_PixelData && ref->pixel_offset) {
        if (is_encapsulated(ref)) return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "compressed pixel data cannot be had uncompressed");
        b->swap = unit_of(ref, DCM_VR_OW);
        b->runs[0] = (struct run){ref->pixel_offset, ref->pixel_length};
        return send_bulk(rq, rs, b, e);
    }
    if (!retrieve_header(t.archive, rq->arena, ref, &header, e) || !fill_from_element(b, find_element(header, path), e)) return false;
    return send_bulk(rq, rs, b, e);
}

// ---- frames ----

static int64_t number_of(const struct dcm_dataset *ds, uint32_t tag, int64_t fallback) {
    int64_t v;
    return dcm_i64(ds, tag, 0, &v) ? v : fallback;
}

// Bytes of one native frame; 0 when frames do not begin at whole bytes, or there are none.
static uint64_t frame_bytes(const struct instance_ref *ref, const struct dcm_dataset *header) {
    int64_t samples = number_of(header, DCM_SamplesPerPixel, 1), bits = number_of(header, DCM_BitsAllocated, 0);
    if (ref->rows <= 0 || ref->columns <= 0 || ref->rows > 65535 || ref->columns > 65535) return 0;
    if (samples < 1 || samples > 4 || bits < 1 || bits > 64) return 0;
    struct str photometric = dcm_text(header, DCM_PhotometricInterpretation);
    uint64_t frame_bits = (uint64_t)ref->rows * (uint64_t)ref->columns * (uint64_t)samples * (uint64_t)bits;
    if (str_eqz(photometric, "YBR_FULL_422")) frame_bits = frame_bits / 3 * 2; // two samples of chrominance for two pixels: PS3.3 C.7.6.3.1.2
    return frame_bits % 8 == 0 ? frame_bits / 8 : 0;
}

static bool parse_frames(struct str list, int64_t frames, uint64_t *numbers, size_t *count, struct err *e) {
    struct str rest = list;
    *count = 0;
    while (rest.p) {
        struct str one = str_split(&rest, ',');
        if (*count == RANGES_MAX) return err_set(e, ERR_TOO_LARGE, "dicomweb", "more than %d frames at once", RANGES_MAX);
        if (!str_to_u64(one, &numbers[*count]) || numbers[*count] == 0)
            return err_set(e, ERR_BAD_INPUT, "dicomweb", "'%.*s' is not a list of frame numbers from 1", STR_FMT(str_sub(list, 0, 80)));
        if (numbers[*count] > (uint64_t)frames)
            return err_set(e, ERR_NOT_FOUND, "dicomweb", "there is no frame %.*s: the object has %lld", STR_FMT(one), (long long)frames);
        ++*count;
    }
    return true;
}

bool dw_frames(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct dcm_dataset *header;
    size_t count;
    uint64_t *numbers = arena_alloc(rq->arena, RANGES_MAX * sizeof *numbers, e);
    if (!numbers || !dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    const struct instance_ref *ref = &list.refs[0];
    if (ref->pixel_offset == 0) return err_set(e, ERR_NOT_FOUND, "dicomweb", "the object has no pixel data");
    if (!parse_frames(http_capture(rq, "frames"), ref->frames > 0 ? ref->frames : 1, numbers, &count, e)) return false;
    if (is_encapsulated(ref)) return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "compressed frames cannot be had uncompressed");
    if (!retrieve_header(t.archive, rq->arena, ref, &header, e)) return false;
    uint64_t bytes = frame_bytes(ref, header);
    if (bytes == 0) return err_set(e, ERR_UNDECODABLE, "dicomweb", "frames of this object do not lie at whole bytes, or its size is not valid");
    struct bulk *b = new_bulk(rq->arena, &t, ref, count, e);
    if (!b) return false;
    b->swap = number_of(header, DCM_BitsAllocated, 8) > 8 ? unit_of(ref, DCM_VR_OW) : 1;
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] > ref->pixel_length / bytes)
            return err_set(e, ERR_UNDECODABLE, "dicomweb", "the pixel data is too short for frame %llu", (unsigned long long)numbers[i]);
        b->runs[i] = (struct run){ref->pixel_offset + (numbers[i] - 1) * bytes, bytes};
    }
    return send_bulk(rq, rs, b, e);
}
