// WADO-RS retrieval of studies, series and instances (PS3.18 10.4): stored bytes to the socket, in the encoding that the asker takes.
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "dicom/read.h"
#include "dicom/uid.h"
#include "dicom/write.h"
#include "http/media.h"
#include "http/multipart.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/resource.h"

enum {
    CONVERT_BYTES_MAX = 64 * 1024 * 1024, // an object that is rewritten in another VR form is made in memory
    CONVERT_STEP = 256 * 1024,
    PART_HEADER_MAX = 512,
};

// How one answer is given.
struct variant {
    bool multipart;
    struct str ts; // asked for; {NULL, 0}: as stored
    bool default_ts;
};

// ---- choosing ----

static bool is_native(struct str ts_uid) {
    const struct dcm_ts *ts = dcm_ts_find(ts_uid);
    return ts && !ts->encapsulated && !ts->deflated;
}

static bool needs_convert(const struct variant *v, const struct instance_ref *ref) {
    return v->ts.p && !str_eq(v->ts, ref->ts_uid);
}

// Without codecs one native form can be made of another; everything else goes as it is stored.
static bool can_serve(const struct variant *v, const struct instance_ref *ref) {
    if (!needs_convert(v, ref)) return true;
    return is_native(v->ts) && is_native(ref->ts_uid) && ref->loc.length <= CONVERT_BYTES_MAX;
}

static bool can_serve_all(const struct variant *v, const struct instance_list *list) {
    for (size_t i = 0; i < list->count; i++)
        if (!can_serve(v, &list->refs[i])) return false;
    return true;
}

// Whether a range of the Accept header asks for something that this resource has; fills v.
static bool variant_of(const struct http_media *range, bool one, struct variant *v) {
    *v = (struct variant){.multipart = true, .ts = http_media_param(range, "transfer-syntax")};
    struct str type = http_media_param(range, "type");
    bool dicom = !type.p || str_eq_nocase(type, STR_LIT("application/dicom"));
    bool any = str_eqz(range->type, "*/*") || str_eq_nocase(range->type, STR_LIT("multipart/*"));
    bool fits = any || (http_media_takes(range, "multipart/related") && dicom);
    if (!fits && one && http_media_takes(range, "application/dicom")) {
        v->multipart = false;
        fits = true;
    }
    // PS3.18 8.7.3.5.2: without the parameter it is Explicit VR Little Endian; where that cannot be made, the stored one.
    v->default_ts = fits && !v->ts.p && !any;
    if (v->default_ts) v->ts = str_of(dcm_ts_explicit_le->uid);
    if (v->ts.p && str_eqz(v->ts, "*")) v->ts = (struct str){0};
    return fits;
}

static bool choose(const struct http_request *rq, const struct instance_list *list, bool one, struct variant *out, struct err *e) {
    struct http_media *ranges;
    unsigned n;
    struct str accept = dw_accept(rq);
    *out = (struct variant){.multipart = true};
    if (str_trim(accept).n == 0) return true;
    if (!http_media_parse_list(rq->arena, accept, &ranges, &n, e)) return false;
    for (unsigned i = 0; i < n && ranges[i].q > 0; i++) {
        if (!variant_of(&ranges[i], one, out)) continue;
        if (can_serve_all(out, list)) return true;
        if (!out->default_ts) continue;
        out->ts = (struct str){0};
        return true;
    }
    return err_set(
        e, ERR_NOT_ACCEPTABLE, "dicomweb",
        "this can be had as multipart/related; type=\"application/dicom\"%s with transfer-syntax=* (as stored: %.*s) or an uncompressed one where it is "
        "stored uncompressed",
        one ? " or application/dicom" : "", STR_FMT(list->refs[0].ts_uid));
}

// ---- converting between native forms ----

static bool read_object(struct archive *ar, const struct instance_ref *ref, struct arena *a, struct dcm_object *out, struct err *e) {
    struct dcm_builder *b = dcm_builder_new(a, NULL, DCM_STOP_NOWHERE, e);
    char *block = b ? arena_alloc(a, CONVERT_STEP, e) : NULL;
    if (!block) return false;
    for (uint64_t at = 0; at < ref->loc.length; at += CONVERT_STEP) {
        uint64_t left = ref->loc.length - at;
        size_t n = left < CONVERT_STEP ? (size_t)left : CONVERT_STEP;
        if (!retrieve_read(ar, ref, at, block, n, e)) return false;
        if (dcm_builder_feed(b, block, n, e) == DCM_FAIL) return false;
    }
    return dcm_builder_end(b, out, e) == DCM_DONE;
}

struct whole_source {
    struct archive *archive;
    const struct instance_ref *ref;
};

static bool read_whole_at(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct whole_source *s = ctx;
    return retrieve_read(s->archive, s->ref, offset, p, n, e);
}

static bool convert(struct archive *ar, const struct instance_ref *ref, struct str ts_uid, struct buf *to, struct err *e) {
    struct arena a;
    struct dcm_object object;
    struct whole_source whole = {ar, ref};
    struct dcm_source source = {read_whole_at, &whole};
    arena_init(&a, CONVERT_BYTES_MAX + DCM_HEADER_BYTES_MAX);
    bool ok = read_object(ar, ref, &a, &object, e) && dcm_write_part10(object.dataset, dcm_ts_find(ts_uid), &source, dcm_sink_buf(to), e) && buf_ok(to, e);
    arena_deinit(&a);
    return ok;
}

// ---- many objects as one multipart stream ----

struct sending {
    struct archive *archive;
    struct instance_list list;
    struct variant variant;
    char boundary[MULTIPART_MADE_BOUNDARY];
    size_t next;      // object whose part begins next
    struct buf text;  // part header, the end, or a converted object
    size_t text_at;   // of it, what was sent
    bool object_open; // list.refs[next - 1] is being sent from the volume
    uint64_t object_at;
    bool ended;
    struct str urls[]; // Content-Location, by object
};

static void begin_part(struct sending *s) {
    const struct instance_ref *ref = &s->list.refs[s->next];
    char type[160];
    struct str ts = needs_convert(&s->variant, ref) ? s->variant.ts : ref->ts_uid;
    snprintf(type, sizeof type, "application/dicom; transfer-syntax=%.*s", STR_FMT(ts));
    multipart_write_begin(&s->text, s->boundary, s->next == 0, type, s->urls[s->next]);
}

// Fills s->text with what comes next, or opens an object. false: the stream ends, or *failed.
static bool advance(struct sending *s, bool *failed) {
    struct err e = {0};
    buf_clear(&s->text);
    s->text_at = 0;
    if (s->ended) return false;
    if (s->next == s->list.count) {
        multipart_write_end(&s->text, s->boundary);
        s->ended = true;
        return true;
    }
    const struct instance_ref *ref = &s->list.refs[s->next];
    begin_part(s);
    s->next++;
    s->object_open = !needs_convert(&s->variant, ref);
    s->object_at = 0;
    if (s->object_open || convert(s->archive, ref, s->variant.ts, &s->text, &e)) return true;
    log_err(&e, "retrieval of %.*s is cut off", STR_FMT(ref->sop_instance_uid));
    *failed = true;
    return false;
}

static int64_t send_some(struct sending *s, char *p, size_t n, bool *failed) {
    if (s->text_at < s->text.n) {
        size_t take = s->text.n - s->text_at < n ? s->text.n - s->text_at : n;
        memcpy(p, s->text.p + s->text_at, take);
        s->text_at += take;
        return (int64_t)take;
    }
    const struct instance_ref *ref = s->object_open ? &s->list.refs[s->next - 1] : NULL;
    uint64_t left = ref ? ref->loc.length - s->object_at : 0;
    if (left == 0) {
        s->object_open = false;
        return advance(s, failed) ? 0 : -1;
    }
    size_t take = left < n ? (size_t)left : n;
    struct err e = {0};
    if (!retrieve_read(s->archive, ref, s->object_at, p, take, &e)) {
        log_err(&e, "retrieval of %.*s is cut off", STR_FMT(ref->sop_instance_uid));
        *failed = true;
        return -1;
    }
    s->object_at += take;
    return (int64_t)take;
}

static int64_t generate(void *context, uint64_t position, void *p, size_t n) {
    size_t filled = 0;
    bool failed = false;
    (void)position;
    while (filled < n) {
        int64_t got = send_some(context, (char *)p + filled, n - filled, &failed);
        if (failed) return -1; // the connection is cut: nobody takes a part for the whole
        if (got < 0) break;
        filled += (size_t)got;
    }
    return (int64_t)filled;
}

static void end_sending(void *context) {
    struct sending *s = context;
    buf_deinit(&s->text);
}

// The length when every object goes as it is stored; else it is not known before.
static int64_t length_of(struct sending *s) {
    int64_t total = 0;
    for (s->next = 0; s->next < s->list.count; s->next++) {
        if (needs_convert(&s->variant, &s->list.refs[s->next])) total = INT64_MIN;
        buf_clear(&s->text);
        begin_part(s);
        if (total >= 0) total += (int64_t)(s->text.n + s->list.refs[s->next].loc.length);
    }
    buf_clear(&s->text);
    multipart_write_end(&s->text, s->boundary);
    total += (int64_t)s->text.n;
    buf_clear(&s->text);
    s->next = 0;
    return total < 0 ? HTTP_LENGTH_UNKNOWN : total;
}

static bool reply_multipart(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_list *list,
                            const struct variant *v, struct err *e) {
    struct sending *s = arena_zero(rq->arena, 1, sizeof *s + list->count * sizeof s->urls[0], e);
    if (!s) return false;
    s->archive = t->archive;
    s->list = *list;
    s->variant = *v;
    if (!multipart_make_boundary(s->boundary, e)) return false;
    for (size_t i = 0; i < list->count; i++) s->urls[i] = dw_url(rq->arena, list->refs[i].study_uid, list->refs[i].series_uid, list->refs[i].sop_instance_uid);
    char *type = arena_printf(rq->arena, e, "multipart/related; type=\"application/dicom\"; boundary=%s", s->boundary);
    if (!type) return false;
    buf_init(&s->text, CONVERT_BYTES_MAX + DCM_HEADER_BYTES_MAX + PART_HEADER_MAX);
    http_reply_stream(rs, 200, type, length_of(s), generate, s, end_sending);
    return true;
}

// ---- one object ----

static bool reply_file(struct http_response *rs, const struct dw_target *t, const struct instance_ref *ref, const char *type, struct err *e) {
    struct vol_set *volumes = archive_volumes(t->archive);
    int fd;
    if (!retrieve_check(t->archive, ref, e) || !vol_fd(volumes, ref->loc.volume, &fd, e)) return false;
    int own = dup(fd);
    vol_fd_release(volumes, ref->loc.volume);
    if (own < 0) return err_errno(e, ERR_IO, "dicomweb", "open the object");
    http_reply_file(rs, 200, type, own, ref->loc.offset, ref->loc.length);
    return true;
}

static bool reply_object(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_ref *ref, const struct variant *v,
                         struct err *e) {
    bool converting = needs_convert(v, ref);
    char *type = arena_printf(rq->arena, e, "application/dicom; transfer-syntax=%.*s", STR_FMT(converting ? v->ts : ref->ts_uid));
    char *name = arena_printf(rq->arena, e, "attachment; filename=\"%.*s.dcm\"", STR_FMT(ref->sop_instance_uid));
    if (!type || !name) return false;
    http_setz(rs, "Content-Disposition", name);
    if (!converting) return dw_not_modified(rq, rs, ref->digest) || reply_file(rs, t, ref, type, e);
    struct buf b;
    buf_init(&b, CONVERT_BYTES_MAX + DCM_HEADER_BYTES_MAX);
    bool ok = convert(t->archive, ref, v->ts, &b, e);
    if (ok) http_reply_buf(rs, 200, type, &b);
    buf_deinit(&b);
    return ok;
}

bool dw_retrieve(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct variant v;
    if (!dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    bool one = t.instance.p && list.count == 1;
    if (!choose(rq, &list, one, &v, e)) return false;
    http_setz(rs, "Vary", "Accept");
    return v.multipart ? reply_multipart(rq, rs, &t, &list, &v, e) : reply_object(rq, rs, &t, &list.refs[0], &v, e);
}
