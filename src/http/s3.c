// The operations on one bucket that are one request each, and the client itself.
#include "http/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/limits.h"
#include "http/base_url.h"
#include "http/condition.h"
#include "http/s3_wire.h"

enum { CONNECT_MS = 5000, STALL_MS = 15 * 1000, REQUEST_MS = 30 * 1000, RETRY_MS = 60 * 1000, ATTEMPTS = 8 };

// ---- open and close ----

static bool plain_name(const char *z, size_t most) {
    size_t n = z ? strspn(z, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") : 0;
    return n > 0 && n <= most && !z[n];
}

static bool place(struct s3 *c, struct err *e) {
    struct http_place p;
    const char *bucket = c->o.bucket;
    if (!c->o.endpoint || !http_base_parse(str_of(c->o.endpoint), &p, NULL) || p.prefix.n)
        return err_set(e, ERR_USAGE, "s3", "the endpoint must be http:// or https:// with a host and perhaps a port, not '%s'",
                       c->o.endpoint ? c->o.endpoint : "");
    bool tls = str_starts(p.base, STR_LIT("https://"));
    struct str scheme = tls ? STR_LIT("https://") : STR_LIT("http://"), host = str_sub(p.base, scheme.n, p.base.n),
               port = tls ? STR_LIT(":443") : STR_LIT(":80");
    if (str_ends(host, port) && !str_ends(host, STR_LIT("::80"))) host.n -= port.n;
    bool inside = c->o.style == S3_VIRTUAL_HOST;
    if (inside && host.n && host.p[0] == '[') return err_set(e, ERR_USAGE, "s3", "a bucket cannot be a host name before an address: use path style");
    int n = snprintf(c->host, sizeof c->host, "%s%s%.*s", inside ? bucket : "", inside ? "." : "", STR_FMT(host));
    if (n < 0 || (size_t)n >= sizeof c->host) return err_set(e, ERR_USAGE, "s3", "the endpoint's host name is too long");
    snprintf(c->base, sizeof c->base, "%.*s%s", STR_FMT(scheme), c->host);
    return true;
}

static bool take_options(struct s3 *c, const struct s3_options *o, struct err *e) {
    c->o = *o;
    if (!c->o.region || !c->o.region[0]) c->o.region = "us-east-1";
    if (!c->o.connect_ms) c->o.connect_ms = CONNECT_MS;
    if (!c->o.stall_ms) c->o.stall_ms = STALL_MS;
    if (!c->o.request_ms) c->o.request_ms = REQUEST_MS;
    if (!c->o.retry_ms) c->o.retry_ms = RETRY_MS;
    if (!c->o.attempts) c->o.attempts = ATTEMPTS;
    if (!plain_name(c->o.bucket, S3_NAME_MAX - 1)) return err_set(e, ERR_USAGE, "s3", "'%s' cannot be a bucket's name", c->o.bucket ? c->o.bucket : "");
    if (!plain_name(c->o.region, S3_NAME_MAX - 1)) return err_set(e, ERR_USAGE, "s3", "'%s' cannot be a region's name", c->o.region);
    if (c->o.storage_class && !plain_name(c->o.storage_class, S3_CLASS_MAX - 1))
        return err_set(e, ERR_USAGE, "s3", "'%s' cannot be a storage class", c->o.storage_class);
    const char *lock = c->o.lock_mode;
    if (lock && strcmp(lock, "GOVERNANCE") != 0 && strcmp(lock, "COMPLIANCE") != 0)
        return err_set(e, ERR_USAGE, "s3", "the lock mode must be GOVERNANCE or COMPLIANCE, not '%s'", lock);
    if (lock && !c->o.lock_days) return err_set(e, ERR_USAGE, "s3", "a lock mode needs a number of days");
    return place(c, e);
}

bool s3_open(const struct s3_options *o, struct s3 **out, struct err *e) {
    struct s3 *c = calloc(1, sizeof *c);
    if (!c) return err_nomem(e, "s3");
    pthread_mutex_init(&c->mutex, NULL);
    s3_budget_init(&c->budget);
    const struct http_pool_options p = {.ca_file = o->ca_file, .proxy = o->proxy};
    if (!take_options(c, o, e) || !http_pool_open(&p, &c->pool, e) || !s3_source_open(&c->o, c->pool, &c->source, e)) return s3_close(c), false;
    *out = c;
    return true;
}

void s3_close(struct s3 *c) {
    if (!c) return;
    s3_source_close(c->source);
    http_pool_close(c->pool);
    s3_budget_deinit(&c->budget);
    pthread_mutex_destroy(&c->mutex);
    explicit_bzero(c->key, sizeof c->key);
    free(c);
}

void s3_cancel(struct s3 *c) {
    atomic_store(&c->cancelled, true);
}

void s3_stats_get(struct s3 *c, struct s3_stats *out) {
    pthread_mutex_lock(&c->mutex);
    *out = c->stats;
    pthread_mutex_unlock(&c->mutex);
}

// Keys are text of at most 1024 bytes; a segment "." or ".." is lost on the way through some proxies.
bool s3_key_fits(const char *key, struct err *e) {
    size_t n = key ? strlen(key) : 0;
    if (n == 0 || n > S3_KEY_MAX) return err_set(e, ERR_USAGE, "s3", "a key has 1 to %d bytes, not %zu", S3_KEY_MAX, n);
    struct str rest = {key, n};
    while (rest.p) {
        struct str part = str_split(&rest, '/');
        if (str_eqz(part, ".") || str_eqz(part, "..")) return err_set(e, ERR_USAGE, "s3", "a key cannot have a '%.*s' segment", STR_FMT(part));
    }
    return true;
}

// ---- put ----

bool s3_put_headers(const struct s3 *c, struct s3_request *r, const char *storage_class, struct s3_put_texts *keep, struct err *e) {
    uint8_t random[(S3_MARK_BYTES - 1) / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return err_errno(e, ERR_IO, "s3", "no random bytes for a mark");
    hex_encode(random, sizeof random, keep->mark);
    keep->mark[S3_MARK_BYTES - 1] = 0;
    s3_header(r, S3_MARK, keep->mark);
    if (storage_class) s3_header(r, "x-amz-storage-class", storage_class);
    if (!c->o.lock_mode) return true;
    s3_time_format(clock_wall_ms() / 1000 + (int64_t)c->o.lock_days * 86400, keep->until);
    s3_header(r, "x-amz-object-lock-mode", c->o.lock_mode);
    s3_header(r, "x-amz-object-lock-retain-until-date", keep->until);
    return true;
}

bool s3_was_put(struct s3 *c, const char *key, const char *mark, uint64_t size) {
    struct s3_request r = {.op = S3_OP_HEAD, .method = "HEAD", .key = key};
    struct s3_answer a;
    uint64_t length;
    s3_answer_init(&a);
    bool is = s3_do(c, &r, &a, NULL) && strcmp(a.mark, mark) == 0 && str_to_u64(str_of(a.length), &length) && length == size;
    s3_answer_deinit(&a);
    return is;
}

// The service checks the bytes by the SHA-256 that is signed. Besides it nothing is sent or compared: an ETag is the MD5 only of what is not encrypted, and to
// know ours costs as much again; x-amz-checksum-* is refused by services that do not know it. What lies in a volume has its own digests.
static bool put_once(struct s3 *c, const char *key, const struct s3_body *body, bool create, bool *lacks, struct err *e) {
    struct s3_request r = {.op = S3_OP_PUT, .method = "PUT", .key = key, .body = body, .body_n = body->size, .md5 = c->o.lock_mode != NULL};
    struct s3_put_texts texts;
    struct s3_answer a;
    struct err why = {0};
    if (!s3_put_headers(c, &r, c->o.storage_class, &texts, e)) return false;
    if (create) s3_header(&r, "If-None-Match", "*");
    s3_answer_init(&a);
    bool ok = s3_do(c, &r, &a, &why);
    *lacks = create && s3_lacks(&a);
    if (!ok && a.doubtful && why.kind == ERR_CONFLICT && create) ok = s3_was_put(c, key, texts.mark, body->size);
    if (!ok && e) *e = why;
    s3_answer_deinit(&a);
    return ok;
}

bool s3_put(struct s3 *c, const char *key, const struct s3_body *body, bool create, struct err *e) {
    bool lacks = false;
    if (!s3_key_fits(key, e)) return false;
    if (c->o.lock_mode && !s3_needs_lock(c, e)) return false;
    if (body->size >= S3_PART_BYTES) return s3_put_parts(c, key, body, create, e);
    create = create && !atomic_load(&c->no_if_none);
    if (put_once(c, key, body, create, &lacks, e)) return true;
    if (!lacks) return false;
    atomic_store(&c->no_if_none, true);
    return put_once(c, key, body, false, &lacks, e);
}

// ---- get, head, delete ----

bool s3_head(struct s3 *c, const char *key, struct s3_object *out, struct err *e) {
    struct s3_request r = {.op = S3_OP_HEAD, .method = "HEAD", .key = key};
    struct s3_answer a;
    int64_t seconds;
    if (!s3_key_fits(key, e)) return false;
    s3_answer_init(&a);
    bool ok = s3_do(c, &r, &a, e);
    *out = (struct s3_object){0};
    if (ok && !str_to_u64(str_of(a.length), &out->size)) ok = err_set(e, ERR_PEER, "s3", "the service does not say how long %s is", key);
    if (ok && http_date_parse(str_of(a.modified), &seconds)) out->modified_ms = seconds * 1000;
    snprintf(out->etag, sizeof out->etag, "%s", a.etag);
    if (strcmp(a.storage_class, "STANDARD") != 0) snprintf(out->storage_class, sizeof out->storage_class, "%s", a.storage_class);
    out->restoring = strstr(a.restore, "ongoing-request=\"true\"") != NULL;
    out->archived = s3_class_archived(str_of(out->storage_class)) && !strstr(a.restore, "ongoing-request=\"false\"");
    s3_answer_deinit(&a);
    return ok;
}

bool s3_get(struct s3 *c, const char *key, uint64_t at, void *p, size_t n, uint64_t *size, struct err *e) {
    struct s3_request r = {.op = S3_OP_GET, .method = "GET", .key = key, .into = p, .at = at, .into_n = n};
    struct s3_answer a;
    struct s3_object o;
    if (!s3_key_fits(key, e)) return false;
    if (n == 0) { // there is no empty range
        if (!s3_head(c, key, &o, e)) return false;
        if (size) *size = o.size;
        return at <= o.size ||
               err_set(e, ERR_CORRUPT, "s3", "GET %s: the object ends after %llu bytes, before what was asked of it", key, (unsigned long long)o.size);
    }
    if (at > INT64_MAX || n > INT64_MAX - at) return err_set(e, ERR_USAGE, "s3", "GET %s: no object is that long", key);
    s3_answer_init(&a);
    bool ok = s3_do(c, &r, &a, e);
    if (ok && size) *size = a.size;
    s3_answer_deinit(&a);
    return ok;
}

bool s3_delete(struct s3 *c, const char *key, struct err *e) {
    struct s3_request r = {.op = S3_OP_DELETE, .method = "DELETE", .key = key};
    struct s3_answer a;
    struct err why = {0};
    if (!s3_key_fits(key, e)) return false;
    s3_answer_init(&a);
    bool ok = s3_do(c, &r, &a, &why) || why.kind == ERR_NOT_FOUND;
    if (!ok && e) *e = why;
    s3_answer_deinit(&a);
    return ok;
}

// ---- list ----

// A service that goes on for ever is not believed: pages in a row without a key, and pages in all (of 1,000 keys).
enum { EMPTY_PAGES_MAX = 1000, PAGES_MAX = 1 << 18 };

struct walk {
    const char *prefix, *after;
    struct str next; // where the next page begins, in one of two arenas
    bool begun;
    unsigned pages, empty; // empty: in a row
};

static void page_params(const struct walk *w, bool old, struct s3_request *r) {
    if (!old) s3_param(r, "list-type", STR_LIT("2"));
    s3_param(r, "encoding-type", STR_LIT("url"));
    s3_param(r, "max-keys", STR_LIT("1000"));
    if (w->prefix && w->prefix[0]) s3_param(r, "prefix", str_of(w->prefix));
    if (w->begun)
        s3_param(r, old ? "marker" : "continuation-token", w->next);
    else if (w->after && w->after[0])
        s3_param(r, old ? "marker" : "start-after", str_of(w->after));
}

static bool ask_page(struct s3 *c, const struct walk *w, struct s3_answer *a, bool *old, struct err *e) {
    struct err why = {0};
    *old = atomic_load(&c->old_list);
    for (;;) {
        struct s3_request r = {.op = S3_OP_LIST, .method = "GET"};
        page_params(w, *old, &r);
        if (s3_do(c, &r, a, &why)) return true;
        bool lacks = !*old && !w->begun && (s3_lacks(a) || strcmp(a->error.code, "InvalidArgument") == 0);
        if (!lacks) break;
        *old = true;
        atomic_store(&c->old_list, true);
    }
    if (e) *e = why;
    return false;
}

// One page; *more: there is another, which begins at w->next in the arena.
static bool list_page(struct s3 *c, struct walk *w, struct arena *arena, s3_visit *visit, void *ctx, bool *more, struct err *e) {
    struct s3_answer a;
    struct s3_page page = {0};
    bool old;
    s3_answer_init(&a);
    bool ok = ask_page(c, w, &a, &old, e) && s3_xml_list(arena, buf_str(&a.text), visit, ctx, &page, e);
    s3_answer_deinit(&a);
    *more = ok && page.more;
    if (!*more) return ok;
    w->empty = page.count ? 0 : w->empty + 1;
    if (++w->pages > PAGES_MAX || w->empty > EMPTY_PAGES_MAX) return err_set(e, ERR_PEER, "s3", "the service's list of keys has no end");
    struct str next = page.next.n ? page.next : old ? page.last_key : (struct str){NULL, 0};
    if (!next.n || (w->begun && str_eq(next, w->next))) return err_set(e, ERR_PEER, "s3", "the service says that there are more keys but not where they begin");
    w->next = next;
    w->begun = true;
    return true;
}

bool s3_list(struct s3 *c, const char *prefix, const char *after, s3_visit *visit, void *ctx, struct err *e) {
    struct arena arenas[2];
    struct walk w = {.prefix = prefix, .after = after};
    bool ok = true, more = true;
    for (int i = 0; i < 2; i++) arena_init(&arenas[i], S3_ANSWER_ARENA_MAX);
    for (unsigned i = 0; ok && more; i++) {
        arena_reset(&arenas[i & 1]);
        ok = list_page(c, &w, &arenas[i & 1], visit, ctx, &more, e);
    }
    for (int i = 0; i < 2; i++) arena_deinit(&arenas[i]);
    return ok;
}
