// Metadata of instances (PS3.18 10.4.1.1.2): as DICOM JSON, series and studies as they were prepared; as XML, made part by part.
#include "base/limits.h"
#include "base/log.h"
#include "core/retrieve.h"
#include "dicom/json.h"
#include "dicom/xml.h"
#include "http/multipart.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/resource.h"
#include "sys/digest.h"
#include "text/gzip.h"

// As prepared series have it: the same instance reads the same everywhere.
enum { INLINE_MAX = 1024, METADATA_BYTES_MAX = 1024 * 1024 * 1024 };

// Behind a proxy that puts a prefix before our paths, bulk data URIs get it on the way out.
static void add_prefix(struct buf *b, struct str prefix) {
    static const char URI[] = "\"BulkDataURI\":\"" DICOMWEB_ROOT "/";
    const size_t before = sizeof "\"BulkDataURI\":\"" - 1;
    struct buf to;
    buf_init(&to, METADATA_BYTES_MAX);
    size_t from = 0;
    for (const char *at; (at = memmem(b->p + from, b->n - from, URI, sizeof URI - 1));) {
        size_t n = (size_t)(at - b->p) + before;
        buf_add(&to, b->p + from, n - from);
        buf_add_str(&to, prefix);
        from = n;
    }
    buf_add(&to, b->p + from, b->n - from);
    buf_deinit(b);
    *b = to;
}

// Of how it was found, packed or not, and of what becomes of it for this asker: packed it is a small part of what it unpacks to.
static bool digest_found(const struct http_request *rq, const struct buf *b, bool gzip, uint8_t out[DIGEST_BYTES], struct err *e) {
    struct digest d;
    bool ok = buf_ok(b, e) && digest_init(&d, e);
    if (!ok) return false;
    digest_add(&d, gzip ? "gzip" : "json", 4);
    digest_add(&d, http_prefix(rq).p, http_prefix(rq).n);
    digest_add(&d, b->p, b->n);
    ok = digest_final(&d, out, e);
    digest_deinit(&d);
    return ok;
}

static bool unpack(struct buf *b, struct err *e) {
    struct buf plain;
    buf_init(&plain, METADATA_BYTES_MAX);
    bool ok = gzip_unpack(buf_str(b), &plain, e);
    buf_deinit(b);
    *b = plain;
    return ok;
}

// packed: b is as it lies in the index; gzip: and goes out as that.
static bool reply(struct http_request *rq, struct http_response *rs, const char *type, struct buf *b, bool packed, bool gzip, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    if (!digest_found(rq, b, gzip, digest, e)) return false;
    http_setz(rs, "Vary", "Accept, Accept-Encoding");
    if (dw_not_modified(rq, rs, digest)) return true;
    if (packed && !gzip && !unpack(b, e)) return false;
    if (http_prefix(rq).n) add_prefix(b, http_prefix(rq));
    if (!buf_ok(b, e)) return false;
    http_reply_buf(rs, 200, type, b);
    if (gzip) http_setz(rs, "Content-Encoding", "gzip");
    rs->compress = !gzip;
    return true;
}

// ---- JSON ----

static bool add_instance(const struct dw_target *t, struct arena *a, const struct instance_ref *ref, struct buf *to, struct err *e) {
    struct dcm_dataset *header;
    struct str url = dw_url(a, ref->study_uid, ref->series_uid, ref->sop_instance_uid);
    char *prefix = arena_printf(a, e, "%.*s/bulkdata", STR_FMT(url));
    if (!prefix || !retrieve_header(t->archive, a, ref, &header, e)) return false;
    struct dcm_json_options o = {.repair = true, .inline_max = INLINE_MAX, .bulk_uri_prefix = prefix};
    buf_addc(to, '[');
    if (!dcm_json_write(header, &o, a, to, e)) return false;
    buf_addc(to, ']');
    return buf_ok(to, e);
}

static bool reply_json(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const char *type, struct err *e) {
    struct instance_list list;
    struct buf b;
    bool packed = false, ok, as_it_lies = http_takes_gzip(rq) && http_prefix(rq).n == 0;
    buf_init(&b, METADATA_BYTES_MAX);
    if (t->instance.p)
        ok = dw_list(t, rq->arena, &list, e) && add_instance(t, rq->arena, &list.refs[0], &b, e);
    else if (t->series.p)
        ok = retrieve_series_metadata(t->archive, &t->actor, t->study, t->series, true, &b, &packed, e);
    else
        ok = retrieve_study_metadata(t->archive, &t->actor, t->study, true, &b, &packed, e);
    ok = ok && reply(rq, rs, type, &b, packed, packed && as_it_lies, e);
    buf_deinit(&b);
    return ok;
}

// ---- XML: one part per instance, one in memory at a time ----

struct sending {
    struct http_request *rq;
    struct archive *archive;
    struct instance_list list;
    size_t next;
    bool ended;
    char boundary[MULTIPART_MADE_BOUNDARY];
    struct buf part;
    size_t part_at;
};

static bool make_part(struct sending *s, const struct instance_ref *ref, struct arena *a, struct err *e) {
    struct dcm_dataset *header;
    struct str url = dw_url(a, ref->study_uid, ref->series_uid, ref->sop_instance_uid);
    char *prefix = arena_printf(a, e, "%.*s%.*s/bulkdata", STR_FMT(http_prefix(s->rq)), STR_FMT(url));
    if (!prefix || !retrieve_header(s->archive, a, ref, &header, e)) return false;
    struct dcm_json_options o = {.repair = true, .inline_max = INLINE_MAX, .bulk_uri_prefix = prefix};
    multipart_write_begin(&s->part, s->boundary, s->next == 0, "application/dicom+xml", (struct str){NULL, 0});
    return dcm_xml_write(header, &o, a, &s->part, e) && buf_ok(&s->part, e);
}

// The next part, or the end. false: nothing is left.
static bool advance(struct sending *s, bool *failed) {
    struct arena a;
    struct err e = {0};
    buf_clear(&s->part);
    s->part_at = 0;
    if (s->ended) return false;
    if (s->next == s->list.count) {
        multipart_write_end(&s->part, s->boundary);
        s->ended = true;
        return true;
    }
    arena_init(&a, 4 * (size_t)DCM_HEADER_BYTES_MAX);
    *failed = !make_part(s, &s->list.refs[s->next], &a, &e);
    arena_deinit(&a);
    if (*failed) log_err(&e, "metadata of %.*s is cut off", STR_FMT(s->list.refs[s->next].sop_instance_uid));
    s->next++;
    return !*failed;
}

static int64_t generate(void *context, uint64_t position, void *p, size_t n) {
    struct sending *s = context;
    bool failed = false;
    (void)position;
    while (s->part_at == s->part.n)
        if (!advance(s, &failed)) return failed ? -1 : 0;
    size_t take = s->part.n - s->part_at < n ? s->part.n - s->part_at : n;
    memcpy(p, s->part.p + s->part_at, take);
    s->part_at += take;
    return (int64_t)take;
}

static void end_sending(void *context) {
    struct sending *s = context;
    buf_deinit(&s->part);
}

static bool reply_xml(struct http_request *rq, struct http_response *rs, const struct dw_target *t, struct err *e) {
    struct sending *s = arena_zero(rq->arena, 1, sizeof *s, e);
    if (!s || !dw_list(t, rq->arena, &s->list, e) || !multipart_make_boundary(s->boundary, e)) return false;
    char *type = arena_printf(rq->arena, e, "multipart/related; type=\"application/dicom+xml\"; boundary=%s", s->boundary);
    if (!type) return false;
    s->rq = rq;
    s->archive = t->archive;
    buf_init(&s->part, 4 * (size_t)DCM_HEADER_BYTES_MAX);
    http_setz(rs, "Vary", "Accept");
    http_setz(rs, "Cache-Control", "private, no-cache");
    http_reply_stream(rs, 200, type, HTTP_LENGTH_UNKNOWN, generate, s, end_sending);
    return true;
}

bool dw_metadata(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    const char *type;
    bool xml;
    if (!dw_wants_metadata(rq, &type, &xml, e) || !dw_target_of(rq, &t, e)) return false;
    return xml ? reply_xml(rq, rs, &t, e) : reply_json(rq, rs, &t, type, e);
}
