// The bucket in memory and the index of the tests of remote sets.
#include "fake_bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void sleep_ms(unsigned ms) {
    if (ms) usleep(ms * 1000);
}

static bool take_one(_Atomic unsigned *n) {
    unsigned had = atomic_load(n);
    while (had && !atomic_compare_exchange_weak(n, &had, had - 1)) continue;
    return had;
}

static bool answers(struct fake_bucket *b, struct err *e) {
    if (b->cancelled) return err_set(e, ERR_CANCELLED, "fake", "cancelled");
    if (!b->silent) return true;
    for (unsigned ms = 0; ms < b->silent_ms && !b->cancelled; ms += 10) sleep_ms(10);
    return err_set(e, b->cancelled ? ERR_CANCELLED : ERR_NET, "fake", "no answer");
}

static struct fake_object *find(struct fake_bucket *b, const char *key) {
    for (unsigned i = 0; i < b->n; i++)
        if (b->objects[i].p && strcmp(b->objects[i].key, key) == 0) return &b->objects[i];
    return NULL;
}

static bool missing(struct err *e, const char *key) {
    return err_set(e, ERR_NOT_FOUND, "fake", "no %s", key);
}

static bool put(void *ctx, const char *key, const struct s3_body *body, bool create, struct err *e) {
    struct fake_bucket *b = ctx;
    b->puts++;
    unsigned now = ++b->putting, most = b->most_putting;
    while (now > most && !atomic_compare_exchange_weak(&b->most_putting, &most, now)) continue;
    sleep_ms(b->put_ms);
    while (b->hold_puts && !b->cancelled) sleep_ms(1);
    b->putting--;
    if (!answers(b, e)) return false;
    if (take_one(&b->refuse_puts)) return err_set(e, (enum err_kind)b->refusal, "fake", "refused");
    char *p = malloc(body->size);
    // in two reads, the first of them twice: as a client that tries again
    uint64_t half = body->size / 2;
    bool ok =
        body->read_at(body->ctx, 0, p, half, e) && body->read_at(body->ctx, 0, p, half, e) && body->read_at(body->ctx, half, p + half, body->size - half, e);
    pthread_mutex_lock(&b->lock);
    struct fake_object *o = find(b, key);
    if (ok && o && create && !b->ignores_create) ok = err_set(e, ERR_CONFLICT, "fake", "%s is there", key);
    if (ok && (!o || b->ignores_create)) {
        if (!o) o = &b->objects[b->n++];
        snprintf(o->key, sizeof o->key, "%s", key);
        free(o->p);
        o->p = p;
        o->n = body->size;
        p = NULL;
    }
    pthread_mutex_unlock(&b->lock);
    free(p);
    if (ok && take_one(&b->lose_answers)) return err_set(e, ERR_TIMEOUT, "fake", "the answer was lost");
    return ok;
}

static bool get(void *ctx, const char *key, uint64_t at, void *p, size_t n, struct err *e) {
    struct fake_bucket *b = ctx;
    b->gets++;
    unsigned now = ++b->getting, most = b->most_getting;
    while (now > most && !atomic_compare_exchange_weak(&b->most_getting, &most, now)) continue;
    sleep_ms(b->get_ms);
    b->getting--;
    if (!answers(b, e)) return false;
    pthread_mutex_lock(&b->lock);
    struct fake_object *o = find(b, key);
    bool ok = o ? true : missing(e, key);
    if (ok && o->refusal) ok = err_set(e, (enum err_kind)o->refusal, "fake", "refused");
    if (ok && o->archived) ok = err_set(e, ERR_BUSY, "fake", "it is archived");
    if (ok && (at > o->n || n > o->n - at)) ok = err_set(e, ERR_CORRUPT, "fake", "range");
    if (ok) memcpy(p, o->p + at, n);
    pthread_mutex_unlock(&b->lock);
    b->bytes_got += ok ? n : 0;
    if (ok && take_one(&b->flip_gets)) ((char *)p)[n / 2] ^= 4;
    return ok;
}

static bool head(void *ctx, const char *key, struct s3_object *out, struct err *e) {
    struct fake_bucket *b = ctx;
    b->heads++;
    if (!answers(b, e)) return false;
    pthread_mutex_lock(&b->lock);
    struct fake_object *o = find(b, key);
    if (o) *out = (struct s3_object){.size = o->n, .modified_ms = 1700000000000, .archived = o->archived};
    pthread_mutex_unlock(&b->lock);
    return o ? true : missing(e, key);
}

static bool remove_key(void *ctx, const char *key, struct err *e) {
    struct fake_bucket *b = ctx;
    b->removes++;
    if (!answers(b, e)) return false;
    pthread_mutex_lock(&b->lock);
    struct fake_object *o = find(b, key);
    bool held = o && o->held;
    if (o && !held) {
        free(o->p);
        o->p = NULL;
    }
    pthread_mutex_unlock(&b->lock);
    return !held || err_set(e, ERR_CONFLICT, "fake", "%s is held", key);
}

static bool list(void *ctx, const char *prefix, const char *after, s3_visit *visit, void *visit_ctx, struct err *e) {
    struct fake_bucket *b = ctx;
    b->lists++;
    if (!answers(b, e)) return false;
    for (unsigned i = 0; i < b->n; i++) {
        struct s3_object o = {.size = b->objects[i].n, .modified_ms = 1700000000000};
        if (!b->objects[i].p || strncmp(b->objects[i].key, prefix, strlen(prefix)) != 0) continue;
        if (after && strcmp(b->objects[i].key, after) <= 0) continue;
        if (!visit(visit_ctx, b->objects[i].key, &o, e)) return false;
    }
    return true;
}

static bool set_class(void *ctx, const char *key, const char *storage_class, struct err *e) {
    struct fake_bucket *b = ctx;
    struct fake_object *o = find(b, key);
    if (!answers(b, e)) return false;
    if (!o) return missing(e, key);
    o->archived = strcmp(storage_class, "GLACIER") == 0;
    return true;
}

static bool restore(void *ctx, const char *key, unsigned days, struct err *e) {
    struct fake_bucket *b = ctx;
    struct fake_object *o = find(b, key);
    (void)days;
    if (!answers(b, e)) return false;
    if (!o) return missing(e, key);
    return ++o->restores == 1 || err_set(e, ERR_CONFLICT, "fake", "under way already");
}

static bool legal_hold(void *ctx, const char *key, bool on, struct err *e) {
    struct fake_bucket *b = ctx;
    struct fake_object *o = find(b, key);
    if (!answers(b, e)) return false;
    if (b->no_locks) return err_set(e, ERR_UNSUPPORTED, "fake", "no object lock");
    if (!o) return missing(e, key);
    o->held = on;
    return true;
}

static bool abort_stale(void *ctx, const char *prefix, int64_t before_ms, unsigned *aborted, struct err *e) {
    struct fake_bucket *b = ctx;
    (void)prefix;
    if (!answers(b, e)) return false;
    b->stale_before_ms = before_ms;
    *aborted = b->uploads;
    b->uploads = 0;
    return true;
}

static void stats(void *ctx, struct s3_stats *out) {
    struct fake_bucket *b = ctx;
    *out = (struct s3_stats){.puts = b->puts, .gets = b->gets, .heads = b->heads, .deletes = b->removes, .lists = b->lists};
}

static void cancel(void *ctx) {
    ((struct fake_bucket *)ctx)->cancelled = true;
}

void fake_bucket_init(struct fake_bucket *b) {
    *b = (struct fake_bucket){.lock = PTHREAD_MUTEX_INITIALIZER};
    b->ops = (struct bucket_ops){put, get, head, remove_key, list, set_class, restore, legal_hold, abort_stale, stats, cancel, b};
}

void fake_bucket_deinit(struct fake_bucket *b) {
    for (unsigned i = 0; i < b->n; i++) free(b->objects[i].p);
}

struct fake_object *fake_bucket_find(struct fake_bucket *b, uint32_t volume) {
    char key[64];
    snprintf(key, sizeof key, "t/volumes/v%08u.tar", volume);
    return find(b, key);
}

// ---- the index ----

static struct fake_row *row_of(struct fake_index *x, struct str sop) {
    for (unsigned i = 0; i < x->row_count; i++)
        if (str_eqz(sop, x->rows[i].sop)) return &x->rows[i];
    return NULL;
}

static void judge(struct vol_put *p, const uint8_t *first) {
    bool same = memcmp(first, p->entry.digest, VOL_DIGEST_BYTES) == 0;
    p->outcome = same ? VOL_KNOWN : VOL_STORED_CONFLICT;
    if (!same) p->entry.kind = VOL_CONFLICT;
}

static bool gone(struct fake_index *x, struct err *e) {
    return x->away && !err_set(e, ERR_BUSY, "fake", "no database");
}

static bool classify(void *ctx, struct vol_put *p, struct vol_put *const *earlier, size_t n, struct err *e) {
    struct fake_index *x = ctx;
    if (gone(x, e)) return false;
    x->overlaps += ++x->inside > 1;
    pthread_mutex_lock(&x->lock);
    struct fake_row *row = row_of(x, p->entry.sop);
    if (row) judge(p, row->digest);
    for (size_t i = 0; !row && i < n; i++)
        if (str_eq(earlier[i]->entry.sop, p->entry.sop)) judge(p, earlier[i]->entry.digest);
    pthread_mutex_unlock(&x->lock);
    x->inside--;
    return true;
}

// What other nodes did since classify is seen here.
static void take(struct fake_index *x, struct vol_put *p) {
    if (p->outcome == VOL_KNOWN) return;
    struct fake_row *row = row_of(x, p->entry.sop);
    if (row) {
        judge(p, row->digest);
        return;
    }
    row = &x->rows[x->row_count++];
    snprintf(row->sop, sizeof row->sop, "%.*s", STR_FMT(p->entry.sop));
    memcpy(row->digest, p->entry.digest, VOL_DIGEST_BYTES);
    row->loc = p->entry.loc;
}

static void keep(struct fake_index *x, const struct vol_written *w) {
    struct fake_volume *v = &x->volumes[x->volume_count++];
    *v = (struct fake_volume){.volume = w->volume, .place = w->place, .size = w->size};
    if (w->place != VOL_IN_INDEX) return;
    v->p = malloc(w->size);
    for (size_t i = 0; i < w->content_count; i++) memcpy(v->p + i * VOL_PIECE_BYTES, w->contents[i].p, w->contents[i].n);
}

static bool commit(void *ctx, struct vol_put *const *puts, size_t n, const struct vol_written *w, struct err *e) {
    struct fake_index *x = ctx;
    if (gone(x, e)) return false;
    if (take_one(&x->refuse_commits)) return err_set(e, ERR_BUSY, "fake", "no commit");
    x->overlaps += ++x->inside > 1;
    pthread_mutex_lock(&x->lock);
    for (size_t i = 0; i < n; i++) take(x, puts[i]);
    if (w->volume) keep(x, w);
    pthread_mutex_unlock(&x->lock);
    x->commits++;
    x->inside--;
    return true;
}

static bool reserve(void *ctx, unsigned n, uint32_t *first, struct err *e) {
    struct fake_index *x = ctx;
    if (gone(x, e)) return false;
    pthread_mutex_lock(&x->lock);
    *first = x->counter + 1;
    x->counter += n;
    pthread_mutex_unlock(&x->lock);
    return true;
}

static struct fake_volume *volume_of(struct fake_index *x, uint32_t volume) {
    for (unsigned i = 0; i < x->volume_count; i++)
        if (x->volumes[i].volume == volume) return &x->volumes[i];
    return NULL;
}

static bool fetch(void *ctx, uint32_t volume, uint64_t at, void *p, size_t n, struct err *e) {
    struct fake_index *x = ctx;
    if (gone(x, e)) return false;
    x->fetches++;
    pthread_mutex_lock(&x->lock);
    struct fake_volume *v = volume_of(x, volume);
    bool ok = v && v->p && at <= v->size && n <= v->size - at;
    if (ok) memcpy(p, v->p + at, n);
    pthread_mutex_unlock(&x->lock);
    return ok || err_set(e, ERR_NOT_FOUND, "fake", "no volume %u", volume);
}

static bool find_volume(void *ctx, uint32_t volume, struct vol_info *out, struct err *e) {
    struct fake_index *x = ctx;
    if (gone(x, e)) return false;
    pthread_mutex_lock(&x->lock);
    struct fake_volume *v = volume_of(x, volume);
    if (v) *out = (struct vol_info){.volume = volume, .place = v->place, .size = v->size};
    pthread_mutex_unlock(&x->lock);
    return v || err_set(e, ERR_NOT_FOUND, "fake", "no volume %u", volume);
}

static bool each(void *ctx, bool (*visit)(void *visit_ctx, const struct vol_info *v, struct err *e), void *visit_ctx, struct err *e) {
    struct fake_index *x = ctx;
    for (unsigned i = 0; i < x->volume_count; i++) {
        struct vol_info v = {.volume = x->volumes[i].volume, .place = x->volumes[i].place, .size = x->volumes[i].size};
        if (!visit(visit_ctx, &v, e)) return false;
    }
    return true;
}

static bool kept(void *ctx, uint64_t *bytes, struct err *e) {
    if (gone(ctx, e)) return false;
    *bytes = fake_index_kept(ctx);
    return true;
}

uint64_t fake_index_kept(struct fake_index *x) {
    uint64_t sum = 0;
    pthread_mutex_lock(&x->lock);
    for (unsigned i = 0; i < x->volume_count; i++) sum += x->volumes[i].place == VOL_IN_INDEX ? x->volumes[i].size : 0;
    pthread_mutex_unlock(&x->lock);
    return sum;
}

void fake_index_init(struct fake_index *x) {
    *x = (struct fake_index){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void fake_index_deinit(struct fake_index *x) {
    fake_index_lose_keys(x);
    for (unsigned i = 0; i < x->volume_count; i++) free(x->volumes[i].p);
}

// ---- keys of encrypted volumes ----

static struct fake_keys *keys_of(struct fake_index *x, uint32_t first) {
    for (unsigned i = 0; i < x->key_count; i++)
        if (x->keys[i].first == first) return &x->keys[i];
    return NULL;
}

static bool key_run_of(void *ctx, uint32_t volume, uint32_t *first, struct err *e) {
    struct fake_index *x = ctx;
    (void)e;
    pthread_mutex_lock(&x->lock);
    *first = 0;
    for (unsigned i = 0; i < x->key_count; i++)
        if (x->keys[i].first <= volume && x->keys[i].first > *first) *first = x->keys[i].first;
    pthread_mutex_unlock(&x->lock);
    return true;
}

static bool key_get(void *ctx, uint32_t first, struct buf *out, struct err *e) {
    struct fake_index *x = ctx;
    pthread_mutex_lock(&x->lock);
    struct fake_keys *k = keys_of(x, first);
    if (k) buf_add(out, k->p, k->n);
    pthread_mutex_unlock(&x->lock);
    return k ? buf_ok(out, e) : err_set(e, ERR_NOT_FOUND, "fake", "no keys");
}

static bool key_put(void *ctx, uint32_t first, struct str text, struct err *e) {
    struct fake_index *x = ctx;
    (void)e;
    pthread_mutex_lock(&x->lock);
    struct fake_keys *k = keys_of(x, first);
    if (!k) k = &x->keys[x->key_count++];
    free(k->p);
    *k = (struct fake_keys){.first = first, .p = malloc(text.n + 1), .n = text.n};
    if (text.n) memcpy(k->p, text.p, text.n);
    pthread_mutex_unlock(&x->lock);
    return true;
}

static bool key_each(void *ctx, bool (*visit)(void *visit_ctx, uint32_t first, struct err *e), void *visit_ctx, struct err *e) {
    struct fake_index *x = ctx;
    for (unsigned i = 0; i < x->key_count; i++)
        if (!visit(visit_ctx, x->keys[i].first, e)) return false;
    return true;
}

static const struct vol_key_index KEYS = {.run_of = key_run_of, .get = key_get, .put = key_put, .each = key_each};

void fake_index_lose_keys(struct fake_index *x) {
    for (unsigned i = 0; i < x->key_count; i++) free(x->keys[i].p);
    memset(x->keys, 0, sizeof x->keys);
    x->key_count = 0;
}

struct vol_index fake_index_of(struct fake_index *x) {
    return (struct vol_index){
        .ctx = x, .classify = classify, .commit = commit, .reserve = reserve, .fetch = fetch, .kept = kept, .find = find_volume, .each = each, .keys = &KEYS};
}

bool fake_index_find(struct fake_index *x, const char *sop, struct fake_row *out) {
    pthread_mutex_lock(&x->lock);
    struct fake_row *row = row_of(x, str_of(sop));
    if (row) *out = *row;
    pthread_mutex_unlock(&x->lock);
    return row;
}
