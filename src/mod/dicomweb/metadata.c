// Metadata of instances as DICOM JSON (PS3.18 10.4.1.1.2): series as they were prepared, joined for a study, one by one for an instance.
#include <stdlib.h>

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

// One series of a list: the place of its first object.
struct place {
    struct str uid;
    size_t at;
};

static int by_uid(const void *x, const void *y) {
    const struct place *a = x, *b = y;
    int c = str_cmp(a->uid, b->uid);
    return c ? c : (a->at > b->at) - (a->at < b->at);
}

static int by_place(const void *x, const void *y) {
    const struct place *a = x, *b = y;
    return (a->at > b->at) - (a->at < b->at);
}

// The series in the list's order, each once: a study under several patients names one again for each of them.
static struct place *series_of(struct arena *a, const struct instance_list *list, size_t *count, struct err *e) {
    struct place *all = arena_alloc(a, (list->count + 1) * sizeof *all, e);
    size_t n = 0, kept = 0;
    if (!all) return NULL;
    for (size_t i = 0; i < list->count; i++)
        if (n == 0 || !str_eq(list->refs[i].series_uid, all[n - 1].uid)) all[n++] = (struct place){list->refs[i].series_uid, i};
    qsort(all, n, sizeof *all, by_uid);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !str_eq(all[i].uid, all[kept - 1].uid)) all[kept++] = all[i];
    qsort(all, kept, sizeof *all, by_place);
    *count = kept;
    return all;
}

// A study of one series is that series, as it lies.
static bool add_study(const struct dw_target *t, struct arena *a, const struct instance_list *list, bool want_gzip, struct buf *to, bool *packed,
                      struct err *e) {
    size_t n = 0;
    const struct place *series = series_of(a, list, &n, e);
    if (!series) return false;
    if (n == 1) return retrieve_series_metadata(t->archive, t->study, series[0].uid, want_gzip, to, packed, e);
    buf_addc(to, '[');
    for (size_t i = 0; i < n; i++) {
        struct buf one;
        bool gzip;
        buf_init(&one, METADATA_BYTES_MAX);
        bool ok = retrieve_series_metadata(t->archive, t->study, series[i].uid, false, &one, &gzip, e);
        struct str objects = str_trim(buf_str(&one));
        if (ok && objects.n > 2) {
            if (to->n > 1) buf_addc(to, ',');
            buf_add_str(to, str_sub(objects, 1, objects.n - 2)); // without its brackets
        }
        buf_deinit(&one);
        if (!ok) return false;
    }
    buf_addc(to, ']');
    return buf_ok(to, e);
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
        ok = dw_list(&t, rq->arena, &list, e) && add_study(&t, rq->arena, &list, http_takes_gzip(rq), &b, &gzip, e);
    ok = ok && reply(rq, rs, type, &b, gzip, e);
    buf_deinit(&b);
    return ok;
}
