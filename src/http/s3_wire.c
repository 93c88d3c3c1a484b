// Signing and sending one request, as often as it takes.
#include "http/s3_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "http/condition.h"
#include "text/base64.h"

enum { READ_BYTES = 256 * 1024, BYTES_PER_MS = 256, SKEW_MS = 60 * 1000, ARENA_MAX = 1024 * 1024, REST_MS = 100 };

// Fields of the answer that matter, by place.
enum { F_ETAG, F_MODIFIED, F_LENGTH, F_RANGE, F_RETRY, F_DATE, F_CLASS, F_RESTORE, F_REGION, F_MARK, F_COUNT };
static const char *const FIELDS[F_COUNT] = {
    [F_ETAG] = "ETag", [F_MODIFIED] = "Last-Modified",    [F_LENGTH] = "Content-Length", [F_RANGE] = "Content-Range",        [F_RETRY] = "Retry-After",
    [F_DATE] = "Date", [F_CLASS] = "x-amz-storage-class", [F_RESTORE] = "x-amz-restore", [F_REGION] = "x-amz-bucket-region", [F_MARK] = S3_MARK,
};

struct try {
    struct s3 *c;
    struct s3_request *r;
    struct s3_answer *a;
    struct arena *arena;
    struct http_field fields[F_COUNT + 1];
    struct s3_keys keys;
    char time[SIGV4_TIME_BYTES];
    char payload[SIGV4_HEX_BYTES];
    char md5[32];
    uint64_t sent;  // of the body
    uint64_t came;  // of the answer's
    bool into;      // the answer's body is what was asked for
    struct err own; // of a callback
};

void s3_param(struct s3_request *r, const char *name, struct str value) {
    if (r->param_count < S3_PARAMS_MAX) r->params[r->param_count++] = (struct sigv4_pair){str_of(name), value};
}

void s3_header(struct s3_request *r, const char *name, const char *value) {
    if (r->header_count < S3_HEADERS_MAX) r->headers[r->header_count++] = (struct sigv4_pair){str_of(name), str_of(value)};
}

void s3_answer_init(struct s3_answer *a) {
    *a = (struct s3_answer){0};
    buf_init(&a->text, S3_ANSWER_BYTES_MAX);
}

void s3_answer_deinit(struct s3_answer *a) {
    buf_deinit(&a->text);
}

bool s3_lacks(const struct s3_answer *a) {
    return a->status == 501 || strcmp(a->error.code, "NotImplemented") == 0;
}

static bool read_memory(void *ctx, uint64_t at, void *p, size_t n, struct err *e) {
    const struct s3_memory *m = ctx;
    if (at > m->text.n || n > m->text.n - at) return err_set(e, ERR_INTERNAL, "s3", "a read behind the end of a body");
    memcpy(p, m->text.p + at, n);
    return true;
}

void s3_memory(struct s3_memory *m, struct str text) {
    m->text = text;
    m->body = (struct s3_body){.read_at = read_memory, .ctx = m, .size = text.n};
}

// ---- the body ----

// Digest of what will be sent, and its MD5 where it is wanted: the body is read once more for them.
static bool sum_body(struct s3_request *r, uint8_t sha[DIGEST_BYTES], uint8_t md5[MD5_BYTES], struct err *e) {
    struct digest d = {0}, m = {0};
    char *block = malloc(READ_BYTES);
    bool ok = block && digest_init(&d, e) && (!r->md5 || md5_init(&m, e));
    if (!block) err_nomem(e, "s3");
    for (uint64_t at = 0; ok && at < r->body_n;) {
        size_t n = r->body_n - at < READ_BYTES ? (size_t)(r->body_n - at) : READ_BYTES;
        ok = r->body->read_at(r->body->ctx, r->body_at + at, block, n, e);
        if (ok) digest_add(&d, block, n);
        if (ok && r->md5) digest_add(&m, block, n);
        at += n;
    }
    ok = ok && digest_final(&d, sha, e) && (!r->md5 || md5_final(&m, md5, e));
    digest_deinit(&d);
    digest_deinit(&m);
    free(block);
    return ok;
}

static bool name_body(struct try *t, struct err *e) {
    struct s3_request *r = t->r;
    uint8_t sha[DIGEST_BYTES], md5[MD5_BYTES];
    struct buf text;
    if (!r->body || r->body_n == 0) return memcpy(t->payload, SIGV4_EMPTY, sizeof SIGV4_EMPTY), true;
    bool known = r->body->sha256 && !r->md5 && r->body_at == 0 && r->body_n == r->body->size;
    if (known) memcpy(sha, r->body->sha256, sizeof sha);
    if (!known && !sum_body(r, sha, md5, e)) return false;
    hex_encode(sha, sizeof sha, t->payload);
    t->payload[DIGEST_HEX] = 0;
    if (!r->md5) return true;
    buf_init(&text, sizeof t->md5 - 1);
    base64_encode(md5, sizeof md5, &text);
    bool ok = buf_ok(&text, e);
    if (ok) snprintf(t->md5, sizeof t->md5, "%.*s", STR_FMT(buf_str(&text)));
    buf_deinit(&text);
    return ok;
}

static int64_t send_body(void *context, void *p, size_t n) {
    struct try *t = context;
    uint64_t left = t->r->body_n - t->sent;
    if (n > left) n = (size_t)left;
    if (n && !t->r->body->read_at(t->r->body->ctx, t->r->body_at + t->sent, p, n, &t->own)) return -1;
    t->sent += n;
    return (int64_t)n;
}

// A kept connection died while the body went up it: the service may have got all of it.
static bool rewind_body(void *context) {
    struct try *t = context;
    t->sent = 0;
    t->a->doubtful = true;
    return true;
}

// ---- the answer ----

// "bytes 5-9/100" (RFC 9110 14.4)
static bool content_range(struct str value, uint64_t *from, uint64_t *to, uint64_t *size) {
    if (!str_starts(value, STR_LIT("bytes "))) return false;
    struct str rest = str_sub(value, 6, value.n), first = str_split(&rest, '-'), last = str_split(&rest, '/');
    return str_to_u64(first, from) && str_to_u64(last, to) && str_to_u64(rest, size);
}

// The answer is the range that was asked for, perhaps cut at the object's end.
static bool range_fits(struct try *t, struct err *e) {
    uint64_t from, to, size, want = t->r->at + t->a->got;
    if (!content_range(str_of(t->fields[F_RANGE].value), &from, &to, &size))
        return err_set(e, ERR_PEER, "s3", "GET %s: the service answered without a usable Content-Range", t->r->key);
    t->a->size = size;
    if (from == want && to == t->r->at + t->r->into_n - 1 && to < size) return true;
    if (from == want && to + 1 == size && size < t->r->at + t->r->into_n)
        return err_set(e, ERR_CORRUPT, "s3", "GET %s: the object ends after %llu bytes, before what was asked of it", t->r->key, (unsigned long long)size);
    return err_set(e, ERR_PEER, "s3", "GET %s: the service answered bytes %llu-%llu of %llu, not those that were asked for", t->r->key,
                   (unsigned long long)from, (unsigned long long)to, (unsigned long long)size);
}

// The whole object, of a service that gives no ranges or was asked for all.
static bool whole_fits(struct try *t, struct err *e) {
    uint64_t size;
    if (!str_to_u64(str_of(t->fields[F_LENGTH].value), &size))
        return err_set(e, ERR_PEER, "s3", "GET %s: the service does not say how long the answer is", t->r->key);
    t->a->size = size;
    if (t->r->at == 0 && size == t->r->into_n) {
        t->a->got = 0; // it begins again
        return true;
    }
    if (size < t->r->at + t->r->into_n)
        return err_set(e, ERR_CORRUPT, "s3", "GET %s: the object ends after %llu bytes, before what was asked of it", t->r->key, (unsigned long long)size);
    return err_set(e, ERR_UNSUPPORTED, "s3", "GET %s: the service gives no ranges of an object", t->r->key);
}

static bool on_begin(void *context, unsigned status) {
    struct try *t = context;
    t->into = t->r->into && (status == 206 || status == 200);
    if (!t->into) return true;
    return status == 206 ? range_fits(t, &t->own) : whole_fits(t, &t->own);
}

static bool on_bytes(void *context, const void *p, size_t n) {
    struct try *t = context;
    t->came += n;
    if (!t->into) {
        buf_add(&t->a->text, p, n);
        return buf_ok(&t->a->text, &t->own);
    }
    if (n > t->r->into_n - t->a->got) return err_set(&t->own, ERR_PEER, "s3", "GET %s: the service sent more than was asked for", t->r->key);
    memcpy(t->r->into + t->a->got, p, n);
    t->a->got += n;
    return true;
}

static void keep_answer(struct try *t, unsigned status) {
    struct s3_answer *a = t->a;
    a->status = status;
    if (status < 300) snprintf(a->etag, sizeof a->etag, "%.79s", t->fields[F_ETAG].value);
    snprintf(a->modified, sizeof a->modified, "%.63s", t->fields[F_MODIFIED].value);
    snprintf(a->length, sizeof a->length, "%.23s", t->fields[F_LENGTH].value);
    snprintf(a->storage_class, sizeof a->storage_class, "%.31s", t->fields[F_CLASS].value);
    snprintf(a->restore, sizeof a->restore, "%.127s", t->fields[F_RESTORE].value);
    snprintf(a->mark, sizeof a->mark, "%.39s", t->fields[F_MARK].value);
    a->error = (struct s3_error){0};
    if (status >= 300 || (t->r->wants && status == 200)) s3_xml_error(buf_str(&a->text), &a->error);
    if (!a->error.region[0] && status >= 300) snprintf(a->error.region, sizeof a->error.region, "%.63s", status < 400 ? t->fields[F_REGION].value : "");
}

// ---- signing ----

static bool signing_key(struct try *t, const struct sigv4_scope *scope, uint8_t key[DIGEST_BYTES], struct err *e) {
    struct s3 *c = t->c;
    pthread_mutex_lock(&c->mutex);
    bool have = c->key_version == t->keys.version && memcmp(c->key_day, scope->time, SIGV4_DAY) == 0;
    if (have) memcpy(key, c->key, DIGEST_BYTES);
    pthread_mutex_unlock(&c->mutex);
    if (have) return true;
    if (!sigv4_key(t->keys.secret, scope, key, e)) return false;
    pthread_mutex_lock(&c->mutex);
    memcpy(c->key, key, DIGEST_BYTES);
    memcpy(c->key_day, scope->time, SIGV4_DAY);
    c->key_version = t->keys.version;
    pthread_mutex_unlock(&c->mutex);
    return true;
}

struct lines {
    struct sigv4_pair pairs[SIGV4_HEADERS_MAX];
    unsigned count;
};

static void add_line(struct lines *l, const char *name, struct str value) {
    if (l->count < SIGV4_HEADERS_MAX - 1) l->pairs[l->count++] = (struct sigv4_pair){str_of(name), value};
}

static bool all_headers(struct try *t, struct lines *l, struct err *e) {
    struct s3_request *r = t->r;
    add_line(l, "Host", str_of(t->c->host));
    add_line(l, "x-amz-content-sha256", str_of(t->payload));
    add_line(l, "x-amz-date", str_of(t->time));
    if (t->keys.token[0]) add_line(l, "x-amz-security-token", str_of(t->keys.token));
    if (t->md5[0]) add_line(l, "Content-MD5", str_of(t->md5));
    for (unsigned i = 0; i < r->header_count; i++) add_line(l, str_trim(r->headers[i].name).p, r->headers[i].value);
    if (!r->into) return true;
    uint64_t from = r->at + t->a->got;
    const char *range = arena_printf(t->arena, e, "bytes=%llu-%llu", (unsigned long long)from, (unsigned long long)(r->at + r->into_n - 1));
    if (!range) return false;
    add_line(l, "Range", str_of(range));
    if (t->a->got && t->a->etag[0]) add_line(l, "If-Match", str_of(t->a->etag)); // the rest of the same object
    return true;
}

static bool to_lines(struct try *t, const struct lines *l, const char *authorization, struct http_call *call, struct err *e) {
    unsigned n = 0;
    call->headers[n] = arena_printf(t->arena, e, "Authorization: %s", authorization);
    if (!call->headers[n++]) return false;
    call->headers[n++] = "Accept:";
    if (t->r->body) call->headers[n++] = "Content-Type: application/octet-stream";
    for (unsigned i = 0; i < l->count && n < HTTP_CLIENT_HEADERS_MAX; i++) {
        call->headers[n] = arena_printf(t->arena, e, "%.*s: %.*s", STR_FMT(l->pairs[i].name), STR_FMT(l->pairs[i].value));
        if (!call->headers[n++]) return false;
    }
    return true;
}

static bool sign(struct try *t, struct http_call *call, struct err *e) {
    struct buf path, query, authorization;
    struct lines l = {0};
    uint8_t key[DIGEST_BYTES];
    const struct s3_options *o = &t->c->o;
    struct sigv4_scope scope = {.region = o->region, .service = "s3"};
    sigv4_time((clock_wall_ms() + atomic_load(&t->c->skew_ms)) / 1000, scope.time);
    memcpy(t->time, scope.time, sizeof t->time);
    buf_init(&path, 8 * S3_KEY_MAX);
    buf_init(&query, 64 * 1024);
    buf_init(&authorization, 8 * 1024);
    buf_addc(&path, '/');
    if (o->style == S3_PATH) buf_addf(&path, "%s%s", o->bucket, t->r->key ? "/" : "");
    if (t->r->key) sigv4_encode(&path, str_of(t->r->key), true);
    bool ok = buf_ok(&path, e) && sigv4_query(&query, t->r->params, t->r->param_count, e) && all_headers(t, &l, e);
    struct sigv4_request s = {.method = t->r->method,
                              .path = buf_str(&path),
                              .params = t->r->params,
                              .param_count = t->r->param_count,
                              .headers = l.pairs,
                              .header_count = l.count,
                              .payload = t->payload};
    ok = ok && signing_key(t, &scope, key, e) && sigv4_authorization(&authorization, &s, &scope, t->keys.access, key, e);
    if (ok) buf_addc(&authorization, 0);
    if (ok) call->url = arena_printf(t->arena, e, "%s%.*s%s%.*s", t->c->base, STR_FMT(buf_str(&path)), query.n ? "?" : "", STR_FMT(buf_str(&query)));
    ok = ok && buf_ok(&authorization, e) && call->url && to_lines(t, &l, authorization.p, call, e);
    explicit_bzero(key, sizeof key);
    buf_deinit(&path);
    buf_deinit(&query);
    buf_deinit(&authorization);
    return ok;
}

// ---- once ----

static void count(struct s3 *c, enum s3_op op) {
    pthread_mutex_lock(&c->mutex);
    uint64_t *const counters[] = {[S3_OP_PUT] = &c->stats.puts,       [S3_OP_GET] = &c->stats.gets,   [S3_OP_HEAD] = &c->stats.heads,
                                  [S3_OP_DELETE] = &c->stats.deletes, [S3_OP_LIST] = &c->stats.lists, [S3_OP_OTHER] = &c->stats.others};
    ++*counters[op];
    pthread_mutex_unlock(&c->mutex);
}

static void count_outcome(struct try *t, bool good) {
    struct s3 *c = t->c;
    pthread_mutex_lock(&c->mutex);
    c->stats.bytes_out += t->sent;
    c->stats.bytes_in += t->came;
    *(good ? &c->stats.last_good_ms : &c->stats.last_bad_ms) = clock_mono_ms();
    pthread_mutex_unlock(&c->mutex);
}

// Bytes that a slow line may take longer for.
static int64_t allowance_ms(const struct s3_request *r) {
    return (int64_t)((r->body_n + r->into_n) / BYTES_PER_MS) + r->slow_ms;
}

// The service's time where ours is not it: seen by the Date of the answer. false: the clocks agree, or were set already.
static bool take_time(struct try *t, struct s3_tries *tries) {
    int64_t theirs;
    if (tries->clocked || !http_date_parse(str_of(t->fields[F_DATE].value), &theirs)) return false;
    int64_t skew = theirs * 1000 - clock_wall_ms(), change = skew - atomic_load(&t->c->skew_ms);
    if (change > -SKEW_MS && change < SKEW_MS) return false;
    atomic_store(&t->c->skew_ms, skew);
    tries->clocked = true;
    log_line(LOG_WARN, "s3", "this machine's clock is %lld s from the service's: requests are signed with the service's time", (long long)(-skew / 1000));
    return true;
}

// An answer without a body names no code: whether keys or clock are the reason is tried.
static enum s3_again wordless(const struct try *t, unsigned status, enum s3_again again) {
    bool maybe = again == S3_FAIL && t->r->op == S3_OP_HEAD && (status == 403 || status == 400);
    return maybe ? S3_CLOCK : again;
}

static enum s3_again after_answer(struct try *t, struct s3_tries *tries, unsigned status, struct err *e) {
    char what[S3_KEY_MAX / 4 + 32];
    keep_answer(t, status);
    snprintf(what, sizeof what, "%s %.200s%s", t->r->method, t->r->key ? t->r->key : t->c->o.bucket, t->r->key && strlen(t->r->key) > 200 ? "..." : "");
    enum s3_again again = s3_meaning(status, &t->a->error, what, e);
    count_outcome(t, status < 500);
    if (again == S3_LATER && status >= 500) t->a->doubtful = true; // a balancer gives up before those behind it do
    if (again == S3_DONE && t->r->into && !t->into) return err_set(e, ERR_PEER, "s3", "%s: the service answered %u without bytes", what, status), S3_LATER;
    if (again == S3_DONE && t->r->into && t->a->got < t->r->into_n) return err_set(e, ERR_NET, "s3", "%s: the answer ended early", what), S3_LATER;
    if (status == 412 && t->r->into && t->a->got) { // it is another object by now: from its beginning
        t->a->got = 0;
        return S3_LATER;
    }
    if (status == 404 && !t->a->error.code[0] && t->r->op != S3_OP_HEAD) // a balancer's own: it tells nothing of the object
        return err_set(e, ERR_PEER, "s3", "%s: what answered 404 is not an S3 service", what), S3_LATER;
    // Neither an error nor what was wanted (cut, or no memory to read it): nobody knows whether it was done.
    if (again == S3_DONE && t->r->wants && !s3_xml_is(buf_str(&t->a->text), t->r->wants, e)) return err_wrap(e, "%s", what), t->a->doubtful = true, S3_LATER;
    again = wordless(t, status, again);
    if (again == S3_CLOCK) again = take_time(t, tries) ? S3_CLOCK : t->a->error.code[0] ? S3_FAIL : S3_RENEW;
    if (again == S3_RENEW && (tries->renewed || !s3_source_refused(t->c->source, t->keys.version))) again = S3_FAIL;
    if (again == S3_RENEW) tries->renewed = true;
    return again;
}

static bool is_cancelled(void *context) {
    return atomic_load(&((struct try *)context)->c->cancelled);
}

static enum s3_again send_once(struct try *t, struct s3_tries *tries, struct err *e) {
    const struct s3_options *o = &t->c->o;
    const bool sends = t->r->body || strcmp(t->r->method, "PUT") == 0 || strcmp(t->r->method, "POST") == 0;
    int64_t left = tries->until_ms - clock_mono_ms(), most = (int64_t)o->request_ms + allowance_ms(t->r);
    size_t before = t->a->got;
    struct http_result result;
    struct http_call call = {.method = t->r->method,
                             .fields = t->fields,
                             .read = sends ? send_body : NULL,
                             .rewind = rewind_body,
                             .body_length = (int64_t)t->r->body_n,
                             .begin = on_begin,
                             .write = on_bytes,
                             .cancelled = is_cancelled,
                             .context = t,
                             .connect_ms = (int)o->connect_ms,
                             .stall_s = (int)((o->stall_ms + t->r->slow_ms + 999) / 1000),
                             .whole_ms = left < most ? (left > 100 ? left : 100) : most,
                             .pool = t->c->pool};
    if (!sign(t, &call, e)) return S3_FAIL;
    buf_clear(&t->a->text);
    t->sent = t->came = 0;
    count(t->c, t->r->op);
    if (http_call(&call, &result, e)) return after_answer(t, tries, result.status, e);
    if (t->a->got > before) snprintf(t->a->etag, sizeof t->a->etag, "%.79s", t->fields[F_ETAG].value);
    if (t->own.kind) {
        if (e) *e = t->own;
        return t->own.kind == ERR_PEER ? S3_LATER : S3_FAIL;
    }
    t->a->doubtful = true;
    count_outcome(t, false);
    return e->kind == ERR_NET || e->kind == ERR_TIMEOUT ? S3_LATER : S3_FAIL;
}

static enum s3_again once(struct try *t, struct s3_tries *tries, struct err *e) {
    struct arena_mark mark = arena_mark(t->arena);
    t->own.kind = ERR_NONE;
    t->into = false;
    if (is_cancelled(t)) return err_set(e, ERR_CANCELLED, "s3", "the client is stopping"), S3_FAIL;
    bool have = s3_source_get(t->c->source, &t->keys, e);
    enum s3_again again = have ? send_once(t, tries, e) : err_class_of(e->kind)->retry ? S3_LATER : S3_FAIL;
    t->a->tries = ++tries->made;
    s3_keys_wipe(&t->keys);
    arena_rewind(t->arena, mark);
    return again;
}

// ---- again ----

static void rest(const struct s3 *c, int64_t ms) {
    for (int64_t until = clock_mono_ms() + ms; ms > 0 && !atomic_load(&c->cancelled); ms = until - clock_mono_ms()) {
        int64_t slice = ms < REST_MS ? ms : REST_MS;
        nanosleep(&(struct timespec){.tv_nsec = slice * 1000000}, NULL);
    }
}

// Waits for the next try, or says that there is none.
static bool goes_on(struct try *t, const struct s3_tries *tries, enum s3_again again) {
    if (again == S3_FAIL || tries->made >= tries->most || atomic_load(&t->c->cancelled)) return false;
    int64_t pause = again == S3_LATER ? s3_pause_ms(tries, s3_retry_after_ms(t->fields[F_RETRY].value)) : 0;
    if (pause < 0 || !s3_budget_take(&t->c->budget)) return false;
    rest(t->c, pause);
    pthread_mutex_lock(&t->c->mutex);
    t->c->stats.retries++;
    pthread_mutex_unlock(&t->c->mutex);
    return true;
}

static bool fail(struct try *t, const struct err *why, struct err *e) {
    bool asked = why->kind == ERR_NOT_FOUND || why->kind == ERR_CONFLICT; // an answer, not a failure
    pthread_mutex_lock(&t->c->mutex);
    t->c->stats.failures += !asked;
    pthread_mutex_unlock(&t->c->mutex);
    if (e) *e = *why;
    if (!asked && t->a->tries > 1) err_wrap(e, "after %u tries", t->a->tries);
    return false;
}

static bool try_all(struct try *t, struct err *e) {
    struct err why = {0};
    if (!name_body(t, &why)) return fail(t, &why, e);
    const int64_t now = clock_mono_ms();
    struct s3_tries tries = {.began_ms = now, .until_ms = now + t->c->o.retry_ms + allowance_ms(t->r), .most = t->c->o.attempts};
    enum s3_again again;
    do {
        again = once(t, &tries, &why);
        if (again == S3_DONE) {
            s3_budget_give(&t->c->budget);
            return true;
        }
    } while (goes_on(t, &tries, again));
    return fail(t, &why, e);
}

bool s3_do(struct s3 *c, struct s3_request *r, struct s3_answer *a, struct err *e) {
    struct arena arena;
    struct try t = {.c = c, .r = r, .a = a, .arena = &arena};
    for (unsigned i = 0; i < F_COUNT; i++) t.fields[i].name = FIELDS[i];
    arena_init(&arena, ARENA_MAX);
    a->got = 0;
    a->etag[0] = 0;
    bool ok = try_all(&t, e);
    arena_deinit(&arena);
    return ok;
}
