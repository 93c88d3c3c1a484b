// Metadata of instances as DICOM JSON (PS3.18 10.4.1.1.2): series and studies as they were prepared, an instance by itself.
#include "base/limits.h"
#include "core/retrieve.h"
#include "dicom/json.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/resource.h"
#include "sys/digest.h"

// As prepared series have it: the same instance reads the same everywhere.
enum { INLINE_MAX = 1024, METADATA_BYTES_MAX = 1024 * 1024 * 1024 };

static bool reply(struct http_request *rq, struct http_response *rs, const char *type, struct buf *b, bool gzip, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    if (!digest_of(b->p, b->n, digest, e)) return false;
    http_setz(rs, "Vary", "Accept, Accept-Encoding");
    if (dw_not_modified(rq, rs, digest)) return true;
    http_reply_buf(rs, 200, type, b);
    if (gzip) http_setz(rs, "Content-Encoding", "gzip");
    rs->compress = !gzip;
    return true;
}

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

bool dw_metadata(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct buf b;
    const char *type;
    bool gzip = false, ok;
    if (!dw_wants_json(rq, &type, e) || !dw_target_of(rq, &t, e)) return false;
    buf_init(&b, METADATA_BYTES_MAX);
    if (t.instance.p)
        ok = dw_list(&t, rq->arena, &list, e) && add_instance(&t, rq->arena, &list.refs[0], &b, e);
    else if (t.series.p)
        ok = retrieve_series_metadata(t.archive, t.study, t.series, http_takes_gzip(rq), &b, &gzip, e);
    else
        ok = retrieve_study_metadata(t.archive, t.study, http_takes_gzip(rq), &b, &gzip, e);
    ok = ok && reply(rq, rs, type, &b, gzip, e);
    buf_deinit(&b);
    return ok;
}
