// Answers of an S3 service: nothing in them is trusted to be there, to be short or to be text.
#include "http/s3_xml.h"

#include <stdio.h>
#include <time.h>

#include "base/limits.h"
#include "http/uri.h"
#include "text/xml.h"

static bool not_that(struct err *e, const char *root) {
    return err_set(e, ERR_PEER, "s3", "the service's answer is not a %s", root);
}

static const struct xml *root_named(struct arena *a, struct str document, const char *name, struct err *e) {
    struct err why;
    const struct xml *root = xml_read(a, str_trim(document), S3_ANSWER_DEPTH_MAX, &why); // blanks come first while the service is at work
    if (!root) return err_set(e, why.kind == ERR_NOMEM ? ERR_NOMEM : ERR_PEER, "s3", "the service's answer is not XML: %s", why.message), NULL;
    if (!str_eqz(root->name, name)) return not_that(e, name), NULL;
    return root;
}

static struct str text_of(struct arena *a, const struct xml *parent, const char *name) {
    struct str s = {0};
    const struct xml *x = xml_child(parent, name);
    return x && xml_content(a, x, &s, NULL) ? s : (struct str){NULL, 0};
}

// What fits, without control characters.
static void copy_text(char *to, size_t n, struct str s) {
    size_t k = s.n < n - 1 ? s.n : n - 1;
    for (size_t i = 0; i < k; i++) to[i] = (unsigned char)s.p[i] < ' ' ? ' ' : s.p[i];
    to[k] = 0;
}

bool s3_xml_error(struct str document, struct s3_error *out) {
    struct arena a;
    *out = (struct s3_error){0};
    arena_init(&a, S3_ANSWER_ARENA_MAX);
    const struct xml *root = document.n ? xml_read(&a, str_trim(document), S3_ANSWER_DEPTH_MAX, NULL) : NULL;
    const struct xml *error = root && str_eqz(root->name, "ErrorResponse") ? xml_child(root, "Error") : root; // STS wraps it
    bool is = error && str_eqz(error->name, "Error");
    if (is) {
        copy_text(out->code, sizeof out->code, text_of(&a, error, "Code"));
        copy_text(out->message, sizeof out->message, text_of(&a, error, "Message"));
        copy_text(out->region, sizeof out->region, text_of(&a, error, "Region"));
        copy_text(out->endpoint, sizeof out->endpoint, text_of(&a, error, "Endpoint"));
    }
    arena_deinit(&a);
    return is;
}

bool s3_time_parse(struct str text, int64_t *unix_ms) {
    char z[40];
    struct tm tm = {0};
    text = str_trim(text);
    if (text.n < 20 || text.n >= sizeof z) return false;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    const char *end = strptime(z, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || (*end != '.' && *end != 'Z' && *end != '+')) return false;
    int64_t ms = 0;
    if (*end == '.')
        for (int i = 0, unit = 100; i < 3 && end[1 + i] >= '0' && end[1 + i] <= '9'; i++, unit /= 10) ms += (end[1 + i] - '0') * unit;
    *unix_ms = (int64_t)timegm(&tm) * 1000 + ms;
    return true;
}

void s3_time_format(int64_t unix_s, char out[32]) {
    time_t t = (time_t)unix_s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm)) out[0] = 0;
}

bool s3_class_archived(struct str storage_class) {
    return str_eqz(storage_class, "GLACIER") || str_eqz(storage_class, "DEEP_ARCHIVE");
}

struct list {
    struct arena *a;
    bool encoded; // keys are percent-encoded
    s3_visit *visit;
    void *ctx;
    struct s3_page *page;
};

static bool key_of(struct arena *a, bool encoded, struct str raw, struct str *out, struct err *e) {
    if (!encoded) return *out = raw, true;
    if (uri_decode(a, raw, true, out, e)) return true;
    return err_set(e, ERR_PEER, "s3", "the service names a key that is not percent-encoded as it says");
}

static bool visit_one(struct list *l, const struct xml *contents, struct err *e) {
    struct s3_object o = {0};
    struct str key;
    if (!key_of(l->a, l->encoded, text_of(l->a, contents, "Key"), &key, e)) return false;
    const char *z = arena_strz(l->a, key, e);
    if (!z) return false;
    if (!key.n || key.n > S3_KEY_MAX || strlen(z) != key.n) return err_set(e, ERR_PEER, "s3", "the service names a key that cannot be one");
    if (!str_to_u64(text_of(l->a, contents, "Size"), &o.size)) return err_set(e, ERR_PEER, "s3", "the service does not say how long %s is", z);
    s3_time_parse(text_of(l->a, contents, "LastModified"), &o.modified_ms);
    struct str storage_class = text_of(l->a, contents, "StorageClass");
    copy_text(o.etag, sizeof o.etag, text_of(l->a, contents, "ETag"));
    if (!str_eqz(storage_class, "STANDARD")) copy_text(o.storage_class, sizeof o.storage_class, storage_class);
    o.archived = s3_class_archived(storage_class);
    l->page->last_key = key;
    l->page->count++;
    if (l->visit(l->ctx, z, &o, e)) return true;
    l->page->stopped = true;
    return false;
}

bool s3_xml_list(struct arena *a, struct str document, s3_visit *visit, void *ctx, struct s3_page *page, struct err *e) {
    *page = (struct s3_page){0};
    const struct xml *root = root_named(a, document, "ListBucketResult", e);
    if (!root) return false;
    struct list l = {.a = a, .encoded = str_eqz(text_of(a, root, "EncodingType"), "url"), .visit = visit, .ctx = ctx, .page = page};
    page->more = str_eqz(text_of(a, root, "IsTruncated"), "true");
    page->next = text_of(a, root, "NextContinuationToken"); // is not encoded
    if (!page->next.n && !key_of(a, l.encoded, text_of(a, root, "NextMarker"), &page->next, e)) return false;
    for (const struct xml *x = xml_child(root, "Contents"); x; x = xml_again(x))
        if (!visit_one(&l, x, e)) return false;
    return true;
}

static bool upload_of(struct arena *a, const struct xml *x, bool encoded, s3_upload_visit *visit, void *ctx, struct err *e) {
    struct str key;
    int64_t begun;
    if (!key_of(a, encoded, text_of(a, x, "Key"), &key, e)) return false;
    const char *z = arena_strz(a, key, e), *id = arena_strz(a, text_of(a, x, "UploadId"), e);
    if (!z || !id) return false;
    if (!z[0] || !id[0] || key.n > S3_KEY_MAX || !s3_time_parse(text_of(a, x, "Initiated"), &begun))
        return err_set(e, ERR_PEER, "s3", "the service lists an upload without key, identifier or time");
    return visit(ctx, z, id, begun, e);
}

static bool next_upload(struct arena *a, const struct xml *root, bool encoded, struct s3_uploads *page, struct err *e) {
    struct str key, id = text_of(a, root, "NextUploadIdMarker");
    page->more = str_eqz(text_of(a, root, "IsTruncated"), "true");
    if (!key_of(a, encoded, text_of(a, root, "NextKeyMarker"), &key, e)) return false;
    if (key.n >= sizeof page->next_key || id.n >= sizeof page->next_id) return err_set(e, ERR_PEER, "s3", "the service's marker is too long");
    copy_text(page->next_key, sizeof page->next_key, key);
    copy_text(page->next_id, sizeof page->next_id, id);
    return true;
}

bool s3_xml_uploads(struct str document, s3_upload_visit *visit, void *ctx, struct s3_uploads *page, struct err *e) {
    struct arena a;
    arena_init(&a, S3_ANSWER_ARENA_MAX);
    const struct xml *root = root_named(&a, document, "ListMultipartUploadsResult", e);
    bool encoded = root && str_eqz(text_of(&a, root, "EncodingType"), "url");
    bool ok = root && next_upload(&a, root, encoded, page, e);
    for (const struct xml *x = ok ? xml_child(root, "Upload") : NULL; ok && x; x = xml_again(x)) ok = upload_of(&a, x, encoded, visit, ctx, e);
    arena_deinit(&a);
    return ok;
}

bool s3_xml_is(struct str document, const char *root, struct err *e) {
    struct arena a;
    arena_init(&a, S3_ANSWER_ARENA_MAX);
    bool is = root_named(&a, document, root, e) != NULL;
    arena_deinit(&a);
    return is;
}

bool s3_xml_value(struct str document, const char *root, const char *name, char *out, size_t n, struct err *e) {
    struct arena a;
    arena_init(&a, S3_ANSWER_ARENA_MAX);
    const struct xml *x = root_named(&a, document, root, e);
    struct str s = x ? text_of(&a, x, name) : (struct str){NULL, 0};
    bool ok = x != NULL;
    if (ok && s.n >= n) ok = err_set(e, ERR_PEER, "s3", "%s of the service's answer is too long", name);
    if (ok) copy_text(out, n, s);
    arena_deinit(&a);
    return ok;
}
