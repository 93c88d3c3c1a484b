// Requests for volumes of a bucket, and a circuit that opens when it does not answer.
#include "store/bucket.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/set.h"

enum {
    PROBE_MS = 500,           // after the first failure; twice as long after each more ...
    PROBE_MS_MAX = 15 * 1000, // ... up to this
    CLOSING_MS = 10 * 1000,   // for what is under way when the set is closed
    RETRY_MS = 20 * 1000,     // a sender waits for a call: it is told within half a minute
    ALIVE_MS = 2000,          // one request that fails among others that are answered is not the bucket's silence
};

// Of the client's message for an object that must be restored first; a key or a prefix may have the word alone.
#define ARCHIVED "it is archived"

// ---- the S3 client ----

static bool client_put(void *ctx, const char *key, const struct s3_body *body, bool create, struct err *e) {
    return s3_put(ctx, key, body, create, e);
}

static bool client_get(void *ctx, const char *key, uint64_t at, void *p, size_t n, struct err *e) {
    return s3_get(ctx, key, at, p, n, NULL, e);
}

static bool client_head(void *ctx, const char *key, struct s3_object *out, struct err *e) {
    return s3_head(ctx, key, out, e);
}

static bool client_remove(void *ctx, const char *key, struct err *e) {
    return s3_delete(ctx, key, e);
}

static bool client_list(void *ctx, const char *prefix, const char *after, s3_visit *visit, void *visit_ctx, struct err *e) {
    return s3_list(ctx, prefix, after, visit, visit_ctx, e);
}

static bool client_set_class(void *ctx, const char *key, const char *storage_class, struct err *e) {
    return s3_set_class(ctx, key, storage_class, e);
}

static bool client_restore(void *ctx, const char *key, unsigned days, struct err *e) {
    return s3_restore(ctx, key, days, e);
}

static bool client_legal_hold(void *ctx, const char *key, bool on, struct err *e) {
    return s3_legal_hold(ctx, key, on, e);
}

static bool client_abort_stale(void *ctx, const char *prefix, int64_t before_ms, unsigned *aborted, struct err *e) {
    return s3_abort_stale(ctx, prefix, before_ms, aborted, e);
}

static void client_stats(void *ctx, struct s3_stats *out) {
    s3_stats_get(ctx, out);
}

static void client_cancel(void *ctx) {
    s3_cancel(ctx);
}

static const struct bucket_ops CLIENT = {
    .put = client_put,
    .get = client_get,
    .head = client_head,
    .remove = client_remove,
    .list = client_list,
    .set_class = client_set_class,
    .restore = client_restore,
    .legal_hold = client_legal_hold,
    .abort_stale = client_abort_stale,
    .stats = client_stats,
    .cancel = client_cancel,
};

// ---- the circuit ----

static void key_of(const struct bucket *b, uint32_t volume, char out[S3_KEY_MAX]) {
    snprintf(out, S3_KEY_MAX, "%svolumes/v%08u.tar", b->prefix, volume);
}

static int64_t pause_after(unsigned failures) {
    int64_t ms = failures > 5 ? PROBE_MS_MAX : (int64_t)PROBE_MS << failures;
    return ms < PROBE_MS_MAX ? ms : PROBE_MS_MAX;
}

static bool is_silence(enum err_kind kind) {
    return kind == ERR_NET || kind == ERR_TIMEOUT || kind == ERR_BUSY;
}

static bool may_ask(struct bucket *b, bool put, struct err *e) {
    pthread_mutex_lock(&b->lock);
    bool ok = !b->away && (!put || clock_mono_ms() >= b->puts_ms);
    pthread_mutex_unlock(&b->lock);
    return ok || err_set(e, ERR_BUSY, "store", "the bucket does not answer, or refuses: it is tried again by itself, send this again later");
}

bool bucket_takes(struct bucket *b) {
    return may_ask(b, true, NULL);
}

static void note_answer(struct bucket *b, bool put) {
    pthread_mutex_lock(&b->lock);
    b->away = false;
    b->answered_ms = clock_mono_ms();
    if (put) b->failures = 0;
    pthread_mutex_unlock(&b->lock);
}

static void note_failure(struct bucket *b, bool silent, const struct err *e) {
    pthread_mutex_lock(&b->lock);
    bool first = !b->away && b->failures == 0;
    int64_t now_ms = clock_mono_ms(), next_ms = now_ms + pause_after(b->failures++);
    if (silent && now_ms - b->answered_ms > ALIVE_MS) b->away = true;
    b->next_ms = b->puts_ms = next_ms;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    if (first) log_err(e, "the bucket");
}

// Of a request that was made; e is as the client set it. False.
static bool failed(struct bucket *b, bool put, const struct err *why, struct err *e) {
    bool silent = is_silence(why->kind) && !strstr(why->message, ARCHIVED);
    bool refused = put && why->kind != ERR_CONFLICT && why->kind != ERR_NOMEM;
    if (silent || refused)
        note_failure(b, silent, why);
    else
        note_answer(b, false);
    if (!e) return false;
    *e = *why;
    // Whatever keeps a put from the bucket is nothing that its sender did wrong.
    if (silent || (refused && why->kind != ERR_FULL)) e->kind = ERR_BUSY;
    return false;
}

static bool ended(struct bucket *b, bool ok, bool put, const struct err *why, struct err *e) {
    if (!ok) return failed(b, put, why, e);
    note_answer(b, put);
    return true;
}

static void probe(struct bucket *b) {
    char key[S3_KEY_MAX];
    struct s3_object o;
    struct err e = {0};
    key_of(b, 0, key); // there is no such volume
    bool answers = b->ops.head(b->ops.ctx, key, &o, &e) || !is_silence(e.kind);
    pthread_mutex_lock(&b->lock);
    b->away = !answers;
    b->next_ms = clock_mono_ms() + pause_after(b->failures);
    if (answers) b->puts_ms = clock_mono_ms();
    pthread_mutex_unlock(&b->lock);
    if (answers) log_line(LOG_INFO, "store", "the bucket answers again");
}

// Until a time of the monotonic clock, or a signal.
static bool wait_until(struct bucket *b, int64_t ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    return pthread_cond_timedwait(&b->wake, &b->lock, &t) == 0;
}

static void *prober_run(void *arg) {
    struct bucket *b = arg;
    pthread_mutex_lock(&b->lock);
    while (!b->closing) {
        if (!b->away) {
            pthread_cond_wait(&b->wake, &b->lock);
            continue;
        }
        if (clock_mono_ms() < b->next_ms) {
            wait_until(b, b->next_ms);
            continue;
        }
        pthread_mutex_unlock(&b->lock);
        probe(b);
        pthread_mutex_lock(&b->lock);
    }
    int64_t until = clock_mono_ms() + CLOSING_MS;
    while (!b->closed && wait_until(b, until)) continue;
    bool hangs = !b->closed;
    pthread_mutex_unlock(&b->lock);
    if (hangs) b->ops.cancel(b->ops.ctx);
    return NULL;
}

bool bucket_open(struct bucket *b, const struct vol_remote *o, struct err *e) {
    pthread_condattr_t monotonic;
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&b->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    snprintf(b->prefix, sizeof b->prefix, "%s", o->prefix ? o->prefix : "");
    b->ops = o->bucket ? *o->bucket : CLIENT;
    if (!o->bucket) {
        b->options = *o->s3;
        if (!b->options.retry_ms) b->options.retry_ms = RETRY_MS;
        if (!s3_open(&b->options, &b->client, e)) return false;
        b->ops.ctx = b->client;
    }
    b->prober_runs = thread_start(&b->prober, "vol-bucket", prober_run, b, e);
    return b->prober_runs;
}

void bucket_closing(struct bucket *b) {
    pthread_mutex_lock(&b->lock);
    b->closing = true;
    bool away = b->away;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    if (away) b->ops.cancel(b->ops.ctx);
}

void bucket_close(struct bucket *b) {
    pthread_mutex_lock(&b->lock);
    b->closing = b->closed = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    if (b->prober_runs) pthread_join(b->prober, NULL);
    s3_close(b->client);
    pthread_cond_destroy(&b->wake);
    pthread_mutex_destroy(&b->lock);
}

// ---- requests ----

bool bucket_put(struct bucket *b, uint32_t volume, const struct s3_body *body, struct err *e) {
    char key[S3_KEY_MAX];
    struct err why = {0};
    key_of(b, volume, key);
    if (!may_ask(b, true, e)) return false;
    return ended(b, b->ops.put(b->ops.ctx, key, body, true, &why), true, &why, e) || err_wrap(e, "put volume %u", volume);
}

bool bucket_get(struct bucket *b, uint32_t volume, uint64_t at, void *p, size_t n, bool *archived, struct err *e) {
    char key[S3_KEY_MAX];
    struct err why = {0};
    *archived = false;
    key_of(b, volume, key);
    if (!may_ask(b, false, e)) return false;
    bool ok = b->ops.get(b->ops.ctx, key, at, p, n, &why);
    *archived = !ok && why.kind == ERR_BUSY && strstr(why.message, ARCHIVED);
    return ended(b, ok, false, &why, e) || err_wrap(e, "volume %u", volume);
}

bool bucket_head(struct bucket *b, uint32_t volume, struct s3_object *out, struct err *e) {
    char key[S3_KEY_MAX];
    struct err why = {0};
    key_of(b, volume, key);
    if (!may_ask(b, false, e)) return false;
    return ended(b, b->ops.head(b->ops.ctx, key, out, &why), false, &why, e) || err_wrap(e, "volume %u", volume);
}

bool bucket_remove(struct bucket *b, uint32_t volume, struct err *e) {
    char key[S3_KEY_MAX];
    struct err why = {0};
    key_of(b, volume, key);
    if (!may_ask(b, false, e)) return false;
    return ended(b, b->ops.remove(b->ops.ctx, key, &why), false, &why, e) || err_wrap(e, "remove volume %u", volume);
}

bool bucket_set_class(struct bucket *b, uint32_t volume, const char *storage_class, struct err *e) {
    char key[S3_KEY_MAX];
    struct err why = {0};
    key_of(b, volume, key);
    if (!may_ask(b, false, e)) return false;
    return ended(b, b->ops.set_class(b->ops.ctx, key, storage_class, &why), false, &why, e) || err_wrap(e, "volume %u to %s", volume, storage_class);
}

bool bucket_restore(struct bucket *b, uint32_t volume, unsigned days, struct err *e) {
    char key[S3_KEY_MAX];
    struct err why = {0};
    key_of(b, volume, key);
    if (!may_ask(b, false, e)) return false;
    bool ok = b->ops.restore(b->ops.ctx, key, days, &why) || why.kind == ERR_CONFLICT;
    return ended(b, ok, false, &why, e) || err_wrap(e, "restore volume %u", volume);
}

bool bucket_legal_hold(struct bucket *b, uint32_t volume, bool on, struct err *e) {
    char key[S3_KEY_MAX];
    struct err why = {0};
    key_of(b, volume, key);
    if (!may_ask(b, false, e)) return false;
    return ended(b, b->ops.legal_hold(b->ops.ctx, key, on, &why), false, &why, e) || err_wrap(e, "legal hold of volume %u", volume);
}

bool bucket_abort_stale(struct bucket *b, int64_t before_ms, unsigned *aborted, struct err *e) {
    char prefix[S3_KEY_MAX];
    struct err why = {0};
    snprintf(prefix, sizeof prefix, "%svolumes/", b->prefix);
    if (!may_ask(b, false, e)) return false;
    return ended(b, b->ops.abort_stale(b->ops.ctx, prefix, before_ms, aborted, &why), false, &why, e) || err_wrap(e, "uploads that were never finished");
}

// ---- keys of volumes, beside them ----

static void run_key(const struct bucket *b, uint32_t first, char out[S3_KEY_MAX]) {
    snprintf(out, S3_KEY_MAX, "%skeys/v%08u.key", b->prefix, first);
}

bool bucket_put_keys(struct bucket *b, uint32_t first, const struct s3_body *body, struct err *e) {
    char key[S3_KEY_MAX];
    struct err why = {0};
    run_key(b, first, key);
    if (!may_ask(b, true, e)) return false;
    return ended(b, b->ops.put(b->ops.ctx, key, body, false, &why), true, &why, e) || err_wrap(e, "put the keys of volume %u", first);
}

bool bucket_get_keys(struct bucket *b, uint32_t first, char *p, size_t max, size_t *n, struct err *e) {
    char key[S3_KEY_MAX];
    struct s3_object o;
    struct err why = {0};
    run_key(b, first, key);
    if (!may_ask(b, false, e)) return false;
    bool ok = b->ops.head(b->ops.ctx, key, &o, &why) && (o.size <= max || err_set(&why, ERR_CORRUPT, "store", "keys of volumes are smaller"));
    *n = ok ? (size_t)o.size : 0;
    ok = ok && b->ops.get(b->ops.ctx, key, 0, p, *n, &why);
    return ended(b, ok, false, &why, e) || err_wrap(e, "the keys of volume %u", first);
}

bool bucket_remove_keys(struct bucket *b, uint32_t first, struct err *e) {
    char key[S3_KEY_MAX];
    struct err why = {0};
    run_key(b, first, key);
    if (!may_ask(b, false, e)) return false;
    return ended(b, b->ops.remove(b->ops.ctx, key, &why), false, &why, e) || err_wrap(e, "remove the keys of volume %u", first);
}

struct keys_walk {
    struct str prefix;
    bool (*visit)(void *ctx, uint32_t first, struct err *e);
    void *ctx;
    bool stopped;
};

static bool walk_keys(void *ctx, const char *key, const struct s3_object *o, struct err *e) {
    struct keys_walk *w = ctx;
    struct str name = str_of(key);
    (void)o;
    uint32_t first = name.n > w->prefix.n ? set_number_of(str_sub(name, w->prefix.n, name.n - w->prefix.n), STR_LIT(".key")) : 0;
    if (first == 0) return true; // not ours
    w->stopped = !w->visit(w->ctx, first, e);
    return !w->stopped;
}

bool bucket_each_keys(struct bucket *b, uint32_t after, bool (*visit)(void *ctx, uint32_t first, struct err *e), void *ctx, struct err *e) {
    char prefix[S3_KEY_MAX], key[S3_KEY_MAX];
    struct err why = {0};
    snprintf(prefix, sizeof prefix, "%skeys/", b->prefix);
    struct keys_walk w = {.prefix = str_of(prefix), .visit = visit, .ctx = ctx};
    run_key(b, after, key);
    if (!may_ask(b, false, e)) return false;
    bool ok = b->ops.list(b->ops.ctx, prefix, after ? key : NULL, walk_keys, &w, &why);
    if (!w.stopped) return ended(b, ok, false, &why, e) || err_wrap(e, "list the keys of the bucket");
    if (e) *e = why;
    return false;
}

// ---- listing ----

struct walk {
    struct str prefix;
    vol_each_visit *visit;
    void *ctx;
    bool stopped;
};

static bool walk_one(void *ctx, const char *key, const struct s3_object *o, struct err *e) {
    struct walk *w = ctx;
    struct str name = str_of(key);
    uint32_t volume = name.n > w->prefix.n ? set_number_of(str_sub(name, w->prefix.n, name.n - w->prefix.n), STR_LIT(".tar")) : 0;
    if (volume == 0) return true; // not ours
    struct vol_info info = {.volume = volume, .place = VOL_IN_BUCKET, .size = o->size, .created_ms = o->modified_ms};
    w->stopped = !w->visit(w->ctx, &info, e);
    return !w->stopped;
}

bool bucket_each(struct bucket *b, uint32_t after, vol_each_visit *visit, void *ctx, struct err *e) {
    char prefix[S3_KEY_MAX], key[S3_KEY_MAX];
    struct err why = {0};
    snprintf(prefix, sizeof prefix, "%svolumes/", b->prefix);
    struct walk w = {.prefix = str_of(prefix), .visit = visit, .ctx = ctx};
    key_of(b, after, key);
    if (!may_ask(b, false, e)) return false;
    bool ok = b->ops.list(b->ops.ctx, prefix, after ? key : NULL, walk_one, &w, &why);
    if (!w.stopped) return ended(b, ok, false, &why, e) || err_wrap(e, "list the volumes of the bucket");
    if (e) *e = why;
    return false;
}

void bucket_stats(struct bucket *b, struct vol_stats *out) {
    struct s3_stats s = {0};
    b->ops.stats(b->ops.ctx, &s);
    out->requests = s.puts + s.gets + s.heads + s.deletes + s.lists + s.others;
    out->retries = s.retries;
    out->puts = s.puts, out->gets = s.gets, out->heads = s.heads, out->deletes = s.deletes, out->lists = s.lists, out->others = s.others;
    pthread_mutex_lock(&b->lock);
    out->bucket_away = b->away;
    pthread_mutex_unlock(&b->lock);
}
