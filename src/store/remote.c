// Driver of volumes in a bucket: each group a volume of its own, put before its senders are answered or kept in the index with its rows.
#include "store/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    NUMBERS = 64,             // asked for at once
    PASSES_MAX = 1 << 20,     // of that many, over numbers that are taken
    CONFLICTS_MAX = 8,        // numbers that turn out to be taken, each the first of so many, before a group fails
    KEPT_MS = 5 * 1000,       // how old what we know of the index's volumes may be
    SLOT_WAIT_MS = 2000,      // for a group on its way to end, before only what the index takes is taken
    RESTORE_MS = 3600 * 1000, // an archived volume is asked for again after this
    RESTORE_DAYS = 7,
    WINDOW_BYTES = 256 * 1024, // first read of a volume that is read in order
    WRITERS = 4,
};

// ---- life ----

static bool start(struct vol_set *vs, const struct vol_options *o, struct err *e) {
    struct remote *r = vs->remote = calloc(1, sizeof *r);
    const struct vol_remote *m = o->remote;
    pthread_condattr_t monotonic;
    if (!r) return err_nomem(e, "store");
    snprintf(vs->home, sizeof vs->home, "%.3000s/cache", o->dir);
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->slot, &monotonic);
    pthread_condattr_destroy(&monotonic);
    r->small_bytes = m->small_bytes < STORE_GROUP_BYTES_MAX ? m->small_bytes : STORE_GROUP_BYTES_MAX;
    r->index_bytes_max = m->index_bytes_max ? m->index_bytes_max : (uint64_t)STORE_INDEX_BYTES;
    r->slots = m->writers ? m->writers : WRITERS;
    r->unsure = true; // until the bucket was listed
    bool ok = keys_open(vs, &remote_keys, o->encryption, e);
    ok = cache_open(vs, vs->home, m->cache_bytes, o->read_only, ok ? e : NULL) && ok;
    ok = bucket_open(&r->bucket, m, ok ? e : NULL) && ok;
    if (!ok || o->read_only) return ok;
    if (!keys_known(vs, e)) return false;
    // One more than may be at the bucket: there is always one for what the index takes.
    return sys_mkdir(vs->staging, e) && set_sweep(vs, vs->staging, e) && writers_start(vs, r->slots + 1, e);
}

static void closing(struct vol_set *vs) {
    if (vs->remote) bucket_closing(&vs->remote->bucket);
}

static void stop(struct vol_set *vs) {
    struct remote *r = vs->remote;
    if (!r) return;
    bucket_close(&r->bucket);
    cache_close(vs);
    pthread_cond_destroy(&r->slot);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

// ---- numbers ----

static bool number(struct vol_set *vs, uint32_t *out, struct err *e) {
    struct remote *r = vs->remote;
    uint32_t first = 0;
    pthread_mutex_lock(&r->lock);
    bool ok = r->next || vs->index.reserve(vs->index.ctx, NUMBERS, &first, e);
    if (ok && !r->next) {
        r->next = first;
        r->last = first + NUMBERS - 1;
        r->unsure |= first <= r->highest;
        r->highest = r->last > r->highest ? r->last : r->highest;
        // Without keys these numbers come to nothing: a gap among them harms nobody.
        ok = !vs->keys.writes || keys_make_run(vs, first, NUMBERS, e);
        if (!ok) r->next = 0;
    }
    if (ok) {
        *out = r->next;
        r->next = r->next == r->last ? 0 : r->next + 1;
    }
    pthread_mutex_unlock(&r->lock);
    return ok || err_wrap(e, "a number for a volume");
}

// After a volume was there under a number that nobody should have: the index was set back, and the numbers after it may be taken too.
static void skip_numbers(struct vol_set *vs) {
    pthread_mutex_lock(&vs->remote->lock);
    vs->remote->next = 0;
    pthread_mutex_unlock(&vs->remote->lock);
}

static bool note_highest(void *ctx, const struct vol_info *v, struct err *e) {
    uint32_t *highest = ctx;
    (void)e;
    if (v->volume > *highest && v->volume < VOL_NUMBER_BELIEVED) *highest = v->volume;
    return true;
}

// Those that are asked for next come after this one.
static bool pass_numbers(struct vol_set *vs, uint32_t highest, struct err *e) {
    uint32_t first = 0;
    for (unsigned i = 0; first <= highest; i++) {
        if (i == PASSES_MAX) return err_set(e, ERR_BUSY, "store", "the index counts volumes far below those of the bucket, up to %u", highest);
        if (!vs->index.reserve(vs->index.ctx, NUMBERS, &first, e)) return false;
    }
    return true;
}

// Not every service refuses to put what is there already: before the first put after the index may have been set back, the bucket is asked.
// ERR_CONFLICT: the number is taken, or may be.
static bool be_sure(struct vol_set *vs, uint32_t volume, struct err *e) {
    struct remote *r = vs->remote;
    uint32_t highest = volume - 1;
    pthread_mutex_lock(&r->lock);
    bool sure = !r->unsure;
    pthread_mutex_unlock(&r->lock);
    if (sure) return true;
    if (!bucket_each(&r->bucket, volume - 1, note_highest, &highest, e)) return false;
    if (highest >= volume && !pass_numbers(vs, highest, e)) return false;
    pthread_mutex_lock(&r->lock);
    r->unsure = false;
    r->highest = highest > r->highest ? highest : r->highest;
    pthread_mutex_unlock(&r->lock);
    return highest < volume || err_set(e, ERR_CONFLICT, "store", "the bucket has volumes up to %u, which the index does not count: it was set back", highest);
}

// For a volume that is built: it comes to lie in the bucket.
static bool number_of_bucket(struct vol_set *vs, uint32_t *out, struct err *e) {
    struct err why = {0};
    for (int i = 0; i < CONFLICTS_MAX; i++) {
        if (!number(vs, out, e)) return false;
        if (be_sure(vs, *out, &why)) return true;
        if (why.kind != ERR_CONFLICT) break;
        skip_numbers(vs);
    }
    if (e) *e = why;
    return false;
}

// ---- writing ----

// A group as it is put.
struct group_body {
    const struct iovec *iov;
    int n;
    int at_iov; // where the last read ended
    uint64_t at_bytes;
};

static bool read_body(void *ctx, uint64_t at, void *p, size_t n, struct err *e) {
    struct group_body *b = ctx;
    char *to = p;
    if (at < b->at_bytes) b->at_iov = 0, b->at_bytes = 0;
    while (n) {
        if (b->at_iov == b->n) return err_set(e, ERR_INTERNAL, "store", "a read past the end of a group");
        const struct iovec *v = &b->iov[b->at_iov];
        if (at - b->at_bytes >= v->iov_len) {
            b->at_bytes += v->iov_len;
            b->at_iov++;
            continue;
        }
        size_t skip = (size_t)(at - b->at_bytes), take = v->iov_len - skip < n ? v->iov_len - skip : n;
        memcpy(to, (const char *)v->iov_base + skip, take);
        to += take, at += take, n -= take;
    }
    return true;
}

static void slot_take(struct remote *r) {
    pthread_mutex_lock(&r->lock);
    while (r->putting >= r->slots) pthread_cond_wait(&r->slot, &r->lock);
    r->putting++;
    pthread_mutex_unlock(&r->lock);
}

static void slot_give(struct remote *r) {
    pthread_mutex_lock(&r->lock);
    r->putting--;
    pthread_cond_signal(&r->slot);
    pthread_mutex_unlock(&r->lock);
}

// Others classify and commit meanwhile.
static bool put_group(struct vol_set *vs, struct group *g, const struct vol_info *v, int n, struct err *e) {
    struct remote *r = vs->remote;
    struct group_body body = {.iov = g->iov, .n = n};
    turn_give(vs);
    slot_take(r);
    bool ok = be_sure(vs, v->volume, e) && keys_beside(vs, v->volume, e) &&
              bucket_put(&r->bucket, v->volume, &(struct s3_body){.read_at = read_body, .ctx = &body, .size = v->size}, e);
    slot_give(r);
    if (ok) cache_add(vs, v, g->iov, n);
    turn_take(vs);
    return ok;
}

// The whole tar file in pieces that live as long as the group's round.
static bool keep_in_index(struct vol_set *vs, struct group *g, const struct vol_info *v, int n, struct err *e) {
    struct group_body body = {.iov = g->iov, .n = n};
    size_t count = (size_t)((v->size + VOL_PIECE_BYTES - 1) / VOL_PIECE_BYTES);
    buf_clear(&g->pieces);
    struct str *list = (struct str *)(void *)buf_reserve(&g->pieces, count * sizeof *list + (size_t)v->size);
    if (!list) return buf_ok(&g->pieces, e);
    char *bytes = (char *)(list + count);
    if (!read_body(&body, 0, bytes, (size_t)v->size, e)) return false;
    for (size_t i = 0, at = 0; i < count; i++, at += VOL_PIECE_BYTES)
        list[i] = (struct str){bytes + at, v->size - at < VOL_PIECE_BYTES ? (size_t)v->size - at : VOL_PIECE_BYTES};
    g->written.contents = list;
    g->written.content_count = count;
    cache_add(vs, v, g->iov, n);
    return true;
}

// Whether the index takes a volume besides what all nodes keep there.
static bool index_takes(struct vol_set *vs, uint64_t size) {
    struct remote *r = vs->remote;
    uint64_t kept;
    int64_t now = clock_mono_ms();
    if (size > r->small_bytes) return false;
    pthread_mutex_lock(&r->lock);
    bool ask = vs->index.kept && (r->kept_ms == 0 || now - r->kept_ms > KEPT_MS);
    pthread_mutex_unlock(&r->lock);
    bool told = ask && vs->index.kept(vs->index.ctx, &kept, NULL);
    pthread_mutex_lock(&r->lock);
    if (told) r->kept = kept;
    if (told) r->kept_ms = now;
    bool takes = size <= r->index_bytes_max && r->kept <= r->index_bytes_max - size;
    if (takes && vs->index.kept) r->kept += size;
    pthread_mutex_unlock(&r->lock);
    return takes;
}

static bool write_once(struct vol_set *vs, struct group *g, struct err *e) {
    struct vol_info v = {.created_ms = clock_wall_ms()};
    if (!number(vs, &v.volume, e)) return false;
    group_place(g, v.volume, 0);
    if (!group_wrap(vs, g, e) || !group_encode(vs, g, e)) return false;
    int n = group_iov(vs, g);
    g->iov[n++] = (struct iovec){vs->zeros, TAR_EOF_BYTES};
    g->written.size = v.size = g->written.end + TAR_EOF_BYTES;
    g->written.place = v.place = index_takes(vs, v.size) ? VOL_IN_INDEX : VOL_IN_BUCKET;
    return v.place == VOL_IN_INDEX ? keep_in_index(vs, g, &v, n, e) : put_group(vs, g, &v, n, e);
}

static bool write_group(struct vol_set *vs, struct group *g, struct err *e) {
    struct err why = {0};
    if (!group_await_digests(vs, g, e)) return false;
    for (int i = 0; i < CONFLICTS_MAX; i++) {
        if (write_once(vs, g, &why)) {
            set_count(vs, g->stored, g->written.size, 1);
            return true;
        }
        if (why.kind != ERR_CONFLICT) break;
        log_err(&why, "the number of a volume is taken in the bucket: it gets another");
        skip_numbers(vs);
    }
    if (why.kind == ERR_CONFLICT) why.kind = ERR_BUSY;
    if (e) *e = why;
    return false;
}

static bool read_file(void *ctx, uint64_t at, void *p, size_t n, struct err *e) {
    return sys_read_at(NULL, *(const int *)ctx, p, n, at, e);
}

static bool keep(struct vol_set *vs, uint32_t volume, int fd, const char *path, uint64_t size, struct err *e) {
    struct vol_info v = {.volume = volume, .place = VOL_IN_BUCKET, .size = size, .created_ms = clock_wall_ms()};
    if (!keys_beside(vs, volume, e)) return false;
    if (!bucket_put(&vs->remote->bucket, volume, &(struct s3_body){.read_at = read_file, .ctx = &fd, .size = size}, e)) return false;
    cache_adopt(vs, &v, path);
    return true;
}

// A large object from its file, on its sender's thread.
static bool put_spool(struct vol_set *vs, struct group *g, struct err *e) {
    struct vol_spool *s = g->puts[0]->spool;
    uint32_t volume;
    if (!number(vs, &volume, e) || !group_adopt(vs, g, volume, e)) return false;
    g->written.place = VOL_IN_BUCKET;
    g->written.size = spool_volume_size(s);
    turn_give(vs);
    bool ok = be_sure(vs, volume, e) && keep(vs, volume, s->fd, s->path, g->written.size, e);
    turn_take(vs);
    if (!ok) {
        if (e && e->kind == ERR_CONFLICT) e->kind = ERR_BUSY;
        skip_numbers(vs);
        return false;
    }
    s->path[0] = '\0'; // the name is the cache's now
    set_count(vs, 1, g->written.size, 1);
    return true;
}

static bool store(struct vol_set *vs, struct group *g, struct err *e) {
    return g->puts[0]->spool ? put_spool(vs, g, e) : write_group(vs, g, e);
}

// While the bucket takes nothing, or as much as it may be given, groups are such as the index takes.
static uint64_t group_bytes(struct vol_set *vs) {
    struct remote *r = vs->remote;
    if (r->small_bytes == 0) return STORE_GROUP_BYTES_MAX;
    if (!bucket_takes(&r->bucket)) return r->small_bytes;
    int64_t until = clock_mono_ms() + SLOT_WAIT_MS;
    struct timespec t = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
    pthread_mutex_lock(&r->lock);
    while (r->putting >= r->slots && pthread_cond_timedwait(&r->slot, &r->lock, &t) == 0) continue;
    bool some = r->putting < r->slots;
    if (some) pthread_cond_signal(&r->slot); // it is not taken yet: another may wait for it
    pthread_mutex_unlock(&r->lock);
    return some ? STORE_GROUP_BYTES_MAX : r->small_bytes;
}

// ---- reading ----

bool remote_find(struct vol_set *vs, uint32_t volume, struct vol_info *out, struct err *e) {
    struct s3_object o;
    struct err why = {0};
    if (vs->index.find && vs->index.find(vs->index.ctx, volume, out, &why)) {
        if (out->size) return true;
    } else if (vs->index.find && why.kind != ERR_NOT_FOUND) {
        if (e) *e = why;
        return false;
    }
    if (!bucket_head(&vs->remote->bucket, volume, &o, e)) return false;
    *out = (struct vol_info){.volume = volume, .place = VOL_IN_BUCKET, .size = o.size, .created_ms = o.modified_ms};
    return true;
}

// An archived volume is asked for once in a while, whoever wants it meanwhile.
static bool ask_back(struct vol_set *vs, uint32_t volume, struct err *e) {
    struct remote *r = vs->remote;
    int64_t now = clock_mono_ms();
    unsigned slot = volume % RESTORES_NOTED;
    struct err why = {0};
    pthread_mutex_lock(&r->lock);
    bool asked = r->restores[slot].volume == volume && now - r->restores[slot].at_ms < RESTORE_MS;
    r->restores[slot].volume = volume;
    if (!asked) r->restores[slot].at_ms = now;
    pthread_mutex_unlock(&r->lock);
    if (!asked && !bucket_restore(&r->bucket, volume, RESTORE_DAYS, &why)) {
        pthread_mutex_lock(&r->lock);
        r->restores[slot].volume = 0;
        pthread_mutex_unlock(&r->lock);
        return err_set(e, ERR_BUSY, "store", "volume %u is archived and could not be asked back: %s", volume, why.message);
    }
    return err_set(e, ERR_BUSY, "store", "volume %u is archived: it was asked back and can be read in some hours", volume);
}

bool remote_fetch(struct vol_set *vs, const struct vol_info *v, uint64_t at, void *p, size_t n, struct err *e) {
    bool archived;
    if (at > v->size || n > v->size - at) return err_set(e, ERR_CORRUPT, "store", "volume %u ends before byte %llu", v->volume, (unsigned long long)(at + n));
    if (v->place == VOL_IN_INDEX) return vs->index.fetch(vs->index.ctx, v->volume, at, p, n, e) || err_wrap(e, "volume %u", v->volume);
    if (bucket_get(&vs->remote->bucket, v->volume, at, p, n, &archived, e)) return true;
    return archived && ask_back(vs, v->volume, e);
}

static bool reader_open(struct volume_reader *r, struct err *e) {
    struct vol_info info;
    if (!remote_find(r->vs, r->volume, &info, e)) return false;
    r->size = info.size;
    r->place = info.place;
    return true;
}

// Larger and larger pieces while they follow one another.
static bool fill_window(struct volume_reader *r, uint64_t at, size_t n, struct err *e) {
    bool in_order = r->window_n && at == r->window_at + r->window_n;
    size_t want = in_order ? 2 * r->window_n : WINDOW_BYTES;
    if (want > STORE_READER_BYTES) want = STORE_READER_BYTES;
    if (want < n) want = n;
    if (want > r->size - at) want = (size_t)(r->size - at);
    char *p = realloc(r->window, want);
    if (!p) return err_nomem(e, "store");
    r->window = p;
    r->window_n = 0;
    const struct vol_info v = {.volume = r->volume, .place = r->place, .size = r->size};
    if (!(r->cached && cache_peek(r->vs, r->volume, p, want, at)) && !remote_fetch(r->vs, &v, at, p, want, e)) return false;
    r->window_at = at;
    r->window_n = want;
    return true;
}

static bool reader_read(struct volume_reader *r, void *p, size_t n, uint64_t at, size_t *got, struct err *e) {
    char *to = p;
    *got = 0;
    if (at >= r->size) return true;
    if (n > r->size - at) n = (size_t)(r->size - at);
    while (*got < n) {
        bool inside = r->window_n && at >= r->window_at && at < r->window_at + r->window_n;
        if (!inside && !fill_window(r, at, n - *got, e)) return false;
        size_t skip = (size_t)(at - r->window_at), take = r->window_n - skip < n - *got ? r->window_n - skip : n - *got;
        memcpy(to + *got, r->window + skip, take);
        *got += take, at += take;
    }
    return true;
}

static void reader_close(struct volume_reader *r) {
    free(r->window);
}

// ---- listing and removing ----

struct kept_walk {
    vol_each_visit *visit;
    void *ctx;
};

static bool visit_kept(void *ctx, const struct vol_info *v, struct err *e) {
    const struct kept_walk *w = ctx;
    return v->place != VOL_IN_INDEX || w->visit(w->ctx, v, e);
}

static bool each(struct vol_set *vs, uint32_t after, vol_each_visit *visit, void *ctx, struct err *e) {
    struct kept_walk w = {visit, ctx};
    if (after == 0 && vs->index.each && !vs->index.each(vs->index.ctx, visit_kept, &w, e)) return false;
    if (!bucket_each(&vs->remote->bucket, after, visit, ctx, e)) return false;
    pthread_mutex_lock(&vs->remote->lock);
    if (!vs->remote->next) vs->remote->unsure = false; // whoever asks counts on from what was told
    pthread_mutex_unlock(&vs->remote->lock);
    return true;
}

static bool list_one(void *ctx, const struct vol_info *v, struct err *e) {
    return numbers_add(ctx, v->volume, e);
}

static bool list(struct vol_set *vs, struct numbers *out, struct err *e) {
    return each(vs, 0, list_one, out, e);
}

// Of what is kept in the index, the index forgets the bytes with the row.
static bool remove_volume(struct vol_set *vs, uint32_t volume, struct err *e) {
    struct vol_info v;
    struct err why = {0};
    bool known = vs->index.find && vs->index.find(vs->index.ctx, volume, &v, &why);
    if (!known && vs->index.find && why.kind != ERR_NOT_FOUND) {
        if (e) *e = why;
        return false;
    }
    cache_forget(vs, volume);
    return (known && v.place == VOL_IN_INDEX) || bucket_remove(&vs->remote->bucket, volume, e);
}

static bool in_bucket(struct vol_set *vs, uint32_t volume, struct err *e) {
    struct vol_info v;
    if (!remote_find(vs, volume, &v, e)) return false;
    return v.place == VOL_IN_BUCKET || err_set(e, ERR_UNSUPPORTED, "store", "volume %u is kept in the index", volume);
}

static bool set_class(struct vol_set *vs, uint32_t volume, const char *storage_class, struct err *e) {
    return in_bucket(vs, volume, e) && bucket_set_class(&vs->remote->bucket, volume, storage_class, e);
}

static bool restore(struct vol_set *vs, uint32_t volume, unsigned days, struct err *e) {
    return in_bucket(vs, volume, e) && bucket_restore(&vs->remote->bucket, volume, days, e);
}

static bool legal_hold(struct vol_set *vs, uint32_t volume, bool on, struct err *e) {
    return in_bucket(vs, volume, e) && bucket_legal_hold(&vs->remote->bucket, volume, on, e);
}

static bool abort_stale(struct vol_set *vs, int64_t before_ms, unsigned *aborted, struct err *e) {
    return bucket_abort_stale(&vs->remote->bucket, before_ms, aborted, e);
}

static void stats(struct vol_set *vs, struct vol_stats *out) {
    bucket_stats(&vs->remote->bucket, out);
    cache_stats(vs, out);
}

const struct set_driver remote_driver = {
    .digest_first = true,
    .start = start,
    .closing = closing,
    .stop = stop,
    .store = store,
    .group_bytes = group_bytes,
    .number = number_of_bucket,
    .keep = keep,
    .make_room = cache_shrink,
    .fd = cache_fd,
    .fd_release = cache_release,
    .read = cache_read,
    .refetch = cache_refetch,
    .state = cache_state,
    .reader_open = reader_open,
    .reader_read = reader_read,
    .reader_close = reader_close,
    .list = list,
    .each = each,
    .remove = remove_volume,
    .set_class = set_class,
    .restore = restore,
    .legal_hold = legal_hold,
    .abort_stale = abort_stale,
    .stats = stats,
};
