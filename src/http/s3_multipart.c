// Objects in parts: put, copied onto themselves, and what was begun and never finished.
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "http/s3_wire.h"
#include "text/xml.h"

#define MIB (1024 * 1024ULL)
#define COPY_WHOLE_MAX (5 * 1024 * MIB) // CopyObject takes no more at once; nor does UploadPartCopy
#define COPY_PART (1024 * MIB)

enum { PART_LINE_BYTES = 256 };

struct upload {
    struct s3 *c;
    const char *key;
    char id[1024];
    struct s3_put_texts texts;
    struct buf list; // CompleteMultipartUpload, as it grows
    struct xml_writer xml;
};

// ---- an upload's life ----

static bool upload_begin(struct upload *u, const char *storage_class, struct err *e) {
    struct s3_request r = {.op = S3_OP_OTHER, .method = "POST", .key = u->key};
    struct s3_answer a;
    s3_param(&r, "uploads", (struct str){"", 0});
    if (!s3_put_headers(u->c, &r, storage_class, &u->texts, e)) return false;
    s3_answer_init(&a);
    bool ok = s3_do(u->c, &r, &a, e) && s3_xml_value(buf_str(&a.text), "InitiateMultipartUploadResult", "UploadId", u->id, sizeof u->id, e);
    if (ok && !u->id[0]) ok = err_set(e, ERR_PEER, "s3", "POST %s: the service does not name the upload", u->key);
    s3_answer_deinit(&a);
    buf_init(&u->list, S3_PARTS_MAX * PART_LINE_BYTES);
    xml_init(&u->xml, &u->list, false);
    xml_begin(&u->xml, "CompleteMultipartUpload");
    xml_attrz(&u->xml, "xmlns", "http://s3.amazonaws.com/doc/2006-03-01/");
    return ok;
}

static void note_part(struct upload *u, const char *number, const char *etag) {
    xml_begin(&u->xml, "Part");
    xml_put(&u->xml, "PartNumber", str_of(number));
    xml_put(&u->xml, "ETag", str_of(etag));
    xml_end(&u->xml);
}

static bool send_part(struct upload *u, unsigned part, struct s3_request *r, bool copied, struct err *e) {
    char number[12], etag[S3_ETAG_MAX] = "";
    struct s3_answer a;
    snprintf(number, sizeof number, "%u", part);
    s3_param(r, "partNumber", str_of(number));
    s3_param(r, "uploadId", str_of(u->id));
    s3_answer_init(&a);
    bool ok = s3_do(u->c, r, &a, e);
    if (ok && copied) ok = s3_xml_value(buf_str(&a.text), "CopyPartResult", "ETag", etag, sizeof etag, e);
    if (ok && !copied) snprintf(etag, sizeof etag, "%s", a.etag);
    if (ok && !etag[0]) ok = err_set(e, ERR_PEER, "s3", "PUT %s: the service gives no ETag for part %u", u->key, part);
    if (ok) note_part(u, number, etag);
    s3_answer_deinit(&a);
    return ok;
}

static bool upload_end(struct upload *u, uint64_t size, bool create, bool *lacks, struct err *e) {
    struct s3_memory m;
    struct s3_answer a;
    struct err why = {0};
    s3_memory(&m, buf_str(&u->list));
    struct s3_request r = {.op = S3_OP_OTHER,
                           .method = "POST",
                           .key = u->key,
                           .body = &m.body,
                           .body_n = u->list.n,
                           .wants = "CompleteMultipartUploadResult",
                           .slow_ms = S3_SLOW_MS};
    s3_param(&r, "uploadId", str_of(u->id));
    if (create) s3_header(&r, "If-None-Match", "*");
    s3_answer_init(&a);
    bool ok = s3_do(u->c, &r, &a, &why);
    *lacks = create && s3_lacks(&a);
    // An answer that was lost, or the end of one: what was wanted is done when the object lies there.
    if (!ok && (a.doubtful || a.tries > 1) && (why.kind == ERR_NOT_FOUND || why.kind == ERR_CONFLICT)) ok = s3_was_put(u->c, u->key, u->texts.mark, size);
    if (!ok && e) *e = why;
    s3_answer_deinit(&a);
    return ok;
}

static bool abort_upload(struct s3 *c, const char *key, const char *id, struct err *e) {
    struct s3_request r = {.op = S3_OP_OTHER, .method = "DELETE", .key = key};
    struct s3_answer a;
    struct err why = {0};
    s3_param(&r, "uploadId", str_of(id));
    s3_answer_init(&a);
    bool ok = s3_do(c, &r, &a, &why) || why.kind == ERR_NOT_FOUND;
    if (!ok && e) *e = why;
    s3_answer_deinit(&a);
    return ok;
}

static void give_up(struct upload *u) {
    struct err why;
    if (!u->id[0] || abort_upload(u->c, u->key, u->id, &why)) return;
    log_line(LOG_WARN, "s3", "an upload of %s that failed could not be aborted either, it takes room until it is: %s", u->key, why.message);
}

// Closes the list of parts and completes; where the service lacks If-None-Match, without.
static bool finish(struct upload *u, uint64_t size, bool create, struct err *e) {
    bool lacks;
    xml_end(&u->xml);
    if (!buf_ok(&u->list, e)) return false;
    create = create && !atomic_load(&u->c->no_if_none_parts);
    if (upload_end(u, size, create, &lacks, e)) return true;
    if (!lacks) return false;
    atomic_store(&u->c->no_if_none_parts, true);
    return upload_end(u, size, false, &lacks, e);
}

// ---- put ----

// Parts of 16 MiB, or larger ones where there would be too many.
static uint64_t part_bytes(uint64_t size, uint64_t least) {
    uint64_t n = (size + S3_PARTS_MAX - 1) / S3_PARTS_MAX;
    n = (n + MIB - 1) / MIB * MIB;
    return n > least ? n : least;
}

static bool send_parts(struct upload *u, const struct s3_body *body, struct err *e) {
    uint64_t bytes = part_bytes(body->size, S3_PART_BYTES);
    unsigned part = 0;
    for (uint64_t at = 0; at < body->size; at += bytes) {
        struct s3_request r = {.op = S3_OP_PUT,
                               .method = "PUT",
                               .key = u->key,
                               .body = body,
                               .body_at = at,
                               .body_n = body->size - at < bytes ? body->size - at : bytes,
                               .md5 = u->c->o.lock_mode != NULL};
        if (!send_part(u, ++part, &r, false, e)) return err_wrap(e, "part %u", part);
    }
    return true;
}

bool s3_put_parts(struct s3 *c, const char *key, const struct s3_body *body, bool create, struct err *e) {
    struct upload u = {.c = c, .key = key};
    if (body->size > STORE_OBJECT_BYTES_MAX) return err_set(e, ERR_TOO_LARGE, "s3", "PUT %s: %llu bytes are too many", key, (unsigned long long)body->size);
    bool ok = upload_begin(&u, c->o.storage_class, e) && send_parts(&u, body, e) && finish(&u, body->size, create, e);
    if (!ok) give_up(&u);
    buf_deinit(&u.list);
    return ok;
}

// ---- another storage class ----

static bool copy_parts(struct upload *u, const char *source, const struct s3_object *o, struct err *e) {
    uint64_t bytes = part_bytes(o->size, COPY_PART);
    unsigned part = 0;
    for (uint64_t at = 0; at < o->size; at += bytes) {
        char range[64];
        uint64_t n = o->size - at < bytes ? o->size - at : bytes;
        struct s3_request r = {.op = S3_OP_OTHER, .method = "PUT", .key = u->key, .wants = "CopyPartResult", .slow_ms = S3_SLOW_MS};
        snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)at, (unsigned long long)(at + n - 1));
        s3_header(&r, "x-amz-copy-source", source);
        s3_header(&r, "x-amz-copy-source-range", range);
        if (o->etag[0]) s3_header(&r, "x-amz-copy-source-if-match", o->etag);
        if (!send_part(u, ++part, &r, true, e)) return err_wrap(e, "part %u", part);
    }
    return true;
}

static bool copy_large(struct s3 *c, const char *key, const char *source, const struct s3_object *o, const char *storage_class, struct err *e) {
    struct upload u = {.c = c, .key = key};
    bool ok = upload_begin(&u, storage_class, e) && copy_parts(&u, source, o, e) && finish(&u, o->size, false, e);
    if (!ok) give_up(&u);
    buf_deinit(&u.list);
    return ok;
}

static bool copy_whole(struct s3 *c, const char *key, const char *source, const struct s3_object *o, const char *storage_class, struct err *e) {
    struct s3_request r = {.op = S3_OP_OTHER, .method = "PUT", .key = key, .wants = "CopyObjectResult", .slow_ms = S3_SLOW_MS};
    struct s3_put_texts texts;
    struct s3_answer a;
    if (!s3_put_headers(c, &r, storage_class, &texts, e)) return false;
    s3_header(&r, "x-amz-metadata-directive", "REPLACE");
    s3_header(&r, "x-amz-copy-source", source);
    if (o->etag[0]) s3_header(&r, "x-amz-copy-source-if-match", o->etag);
    s3_answer_init(&a);
    bool ok = s3_do(c, &r, &a, e);
    s3_answer_deinit(&a);
    return ok;
}

bool s3_set_class(struct s3 *c, const char *key, const char *storage_class, struct err *e) {
    struct s3_object o;
    struct buf source;
    if (!s3_head(c, key, &o, e)) return false;
    if (strcmp(o.storage_class[0] ? o.storage_class : "STANDARD", storage_class) == 0) return true;
    buf_init(&source, 4 * S3_KEY_MAX);
    buf_addf(&source, "/%s/", c->o.bucket);
    sigv4_encode(&source, str_of(key), true);
    buf_addc(&source, 0);
    bool ok = buf_ok(&source, e) && (o.size > COPY_WHOLE_MAX ? copy_large : copy_whole)(c, key, source.p, &o, storage_class, e);
    buf_deinit(&source);
    return ok;
}

// ---- what was begun and never finished ----

struct stale {
    struct s3 *c;
    int64_t before_ms;
    unsigned *aborted;
};

static bool abort_old(void *ctx, const char *key, const char *id, int64_t begun_ms, struct err *e) {
    struct stale *s = ctx;
    if (begun_ms >= s->before_ms) return true;
    if (!abort_upload(s->c, key, id, e)) return false;
    ++*s->aborted;
    return true;
}

static bool uploads_page(struct stale *s, const char *prefix, struct s3_uploads *page, struct err *e) {
    struct s3_request r = {.op = S3_OP_LIST, .method = "GET"};
    struct s3_answer a;
    s3_param(&r, "uploads", (struct str){"", 0});
    s3_param(&r, "encoding-type", STR_LIT("url"));
    if (prefix && prefix[0]) s3_param(&r, "prefix", str_of(prefix));
    if (page->more) s3_param(&r, "key-marker", str_of(page->next_key));
    if (page->more && page->next_id[0]) s3_param(&r, "upload-id-marker", str_of(page->next_id));
    s3_answer_init(&a);
    bool ok = s3_do(s->c, &r, &a, e) && s3_xml_uploads(buf_str(&a.text), abort_old, s, page, e);
    s3_answer_deinit(&a);
    return ok;
}

bool s3_abort_stale(struct s3 *c, const char *prefix, int64_t before_ms, unsigned *aborted, struct err *e) {
    enum { PAGES_MAX = 10 * 1000 };
    unsigned pages = 0;
    struct s3_uploads page = {0}, last;
    struct stale s = {.c = c, .before_ms = before_ms, .aborted = aborted};
    *aborted = 0;
    do {
        last = page;
        if (!uploads_page(&s, prefix, &page, e)) return false;
        bool stuck = page.more && last.more && strcmp(page.next_key, last.next_key) == 0 && strcmp(page.next_id, last.next_id) == 0;
        if (page.more && (stuck || !page.next_key[0]))
            return err_set(e, ERR_PEER, "s3", "the service says that there are more uploads but not where they begin");
        if (++pages > PAGES_MAX) return err_set(e, ERR_PEER, "s3", "the service's list of uploads has no end");
    } while (page.more);
    return true;
}
