// The committing writer: takes every put that waits, writes them in one go, flushes once, lets the index commit, wakes all.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/thread.h"
#include "store/set.h"

enum { IOV_PER_PUT = 4 }; // headers, head, body, padding

enum {
    CROWD_WAIT_US = 10000, // a flush that takes longer counts as this
    CROWD_VAIN = 32,       // groups without a wait after one that was in vain
};

struct vol_waiter {
    pthread_cond_t wake;
    bool done;
    bool digested; // or failed to
    bool digest_failed;
    struct err digest_err;
};

// The puts of one round; big enough that it is the writer's own memory, not its stack's.
struct group {
    struct vol_put *puts[STORE_GROUP_OBJECTS_MAX];
    struct iovec iov[STORE_GROUP_OBJECTS_MAX * IOV_PER_PUT];
    struct vol_put *first; // of the round, linked
    size_t taken;          // how many
    size_t n;              // puts that are still part of the commit
    size_t stored;         // of them, with something to write
    uint32_t volume;
    uint64_t at, end;
    size_t heads_bytes;
};

static uint64_t put_length(const struct vol_put *p) {
    return (uint64_t)p->head_n + p->body_n + (p->spool ? vol_spool_size(p->spool) : 0);
}

// Upper bound of what the put takes in a volume.
static uint64_t put_need(const struct vol_put *p) {
    return tar_round(p->entry.loc.length) + TAR_HEAD_MAX;
}

static void fail(struct vol_put *p, const struct err *e) {
    p->failed = true;
    p->err = *e;
}

static void fail_group(struct group *g, const struct err *e) {
    for (size_t i = 0; i < g->n; i++) fail(g->puts[i], e);
}

// The index says of each put what it is. One that it cannot judge fails alone.
static void classify(struct vol_set *vs, struct group *g) {
    size_t kept = 0;
    for (size_t i = 0; i < g->n; i++) {
        struct vol_put *p = g->puts[i];
        struct err e = {0};
        p->outcome = VOL_STORED;
        bool ok = !vs->index.classify || vs->index.classify(vs->index.ctx, p, g->puts, kept, &e);
        if (ok && p->outcome != VOL_KNOWN) ok = tar_entry_check(&p->entry, &e);
        if (!ok) {
            fail(p, &e);
            continue;
        }
        g->stored += p->outcome != VOL_KNOWN;
        g->puts[kept++] = p;
    }
    g->n = kept;
}

static uint64_t group_need(const struct group *g) {
    uint64_t need = STORE_PAGE;
    for (size_t i = 0; i < g->n; i++) need += g->puts[i]->outcome == VOL_KNOWN ? 0 : put_need(g->puts[i]);
    return need;
}

static bool ensure_room(struct vol_set *vs, const struct group *g, struct err *e) {
    uint64_t need = group_need(g);
    if (vs->open.fd >= 0 && vs->open.end + need + TAR_EOF_BYTES <= vs->open.size) return true;
    return segment_roll(vs, need, e);
}

// Where each put's headers and bytes will lie. The last entry's headers are long enough for the group to end with a page.
static void place(struct vol_set *vs, struct group *g) {
    size_t left = g->stored;
    g->volume = vs->open.number;
    g->at = g->end = vs->open.end;
    g->heads_bytes = 0;
    for (size_t i = 0; i < g->n; i++) {
        struct vol_put *p = g->puts[i];
        if (p->outcome == VOL_KNOWN) continue;
        uint64_t data = tar_round(p->entry.loc.length);
        p->entry_at = g->end;
        p->head_at = g->heads_bytes;
        p->head_bytes = tar_head_min(&p->entry);
        if (--left == 0) p->head_bytes += (STORE_PAGE - (g->end + p->head_bytes + data) % STORE_PAGE) % STORE_PAGE;
        g->heads_bytes += p->head_bytes;
        p->entry.loc.volume = g->volume;
        p->entry.loc.offset = p->entry_at + p->head_bytes;
        p->entry.end = g->end = p->entry.loc.offset + data;
    }
}

static bool encode(struct vol_set *vs, struct group *g, struct err *e) {
    buf_clear(&vs->heads);
    char *out = buf_reserve(&vs->heads, g->heads_bytes);
    if (!out) return buf_ok(&vs->heads, e);
    for (size_t i = 0; i < g->n; i++) {
        const struct vol_put *p = g->puts[i];
        if (p->outcome != VOL_KNOWN && !tar_encode(&p->entry, p->entry_at, g->at, p->head_bytes, out + p->head_at, e)) return false;
    }
    vs->heads.n = g->heads_bytes;
    return true;
}

static int add_iov(struct iovec *iov, int n, const void *p, size_t bytes) {
    if (bytes == 0) return n;
    iov[n] = (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = bytes};
    return n + 1;
}

static int add_bytes(const struct vol_set *vs, const struct vol_put *p, struct iovec *iov, int n) {
    n = add_iov(iov, n, p->head, p->head_n);
    n = add_iov(iov, n, p->body, p->body_n);
    return add_iov(iov, n, vs->zeros, (size_t)(tar_round(p->entry.loc.length) - p->entry.loc.length));
}

static bool write_all(struct vol_set *vs, struct group *g, struct err *e) {
    int n = 0;
    for (size_t i = 0; i < g->n; i++) {
        const struct vol_put *p = g->puts[i];
        if (p->outcome == VOL_KNOWN) continue;
        n = add_iov(g->iov, n, vs->heads.p + p->head_at, p->head_bytes);
        n = add_bytes(vs, p, g->iov, n);
    }
    return sys_writev_at(vs->files, vs->open.fd, g->iov, n, g->at, e);
}

// The bytes without their headers; the disk begins with them.
static bool write_ahead(struct vol_set *vs, struct group *g, struct err *e) {
    for (size_t i = 0; i < g->n; i++) {
        const struct vol_put *p = g->puts[i];
        if (p->outcome == VOL_KNOWN) continue;
        if (!sys_writev_at(vs->files, vs->open.fd, g->iov, add_bytes(vs, p, g->iov, 0), p->entry.loc.offset, e)) return false;
        sys_start_writeback(vs->open.fd, p->entry.loc.offset, p->entry.end - p->entry.loc.offset);
    }
    return true;
}

static bool write_heads(struct vol_set *vs, struct group *g, struct err *e) {
    for (size_t i = 0; i < g->n; i++) {
        const struct vol_put *p = g->puts[i];
        if (p->outcome == VOL_KNOWN) continue;
        if (!sys_write_at(vs->files, vs->open.fd, vs->heads.p + p->head_at, p->head_bytes, p->entry_at, e)) return false;
    }
    return true;
}

bool vol_await_digest(struct vol_set *vs, struct vol_put *put, struct err *e) {
    struct vol_waiter *w = put->waiter;
    if (!put->digest) return true;
    pthread_mutex_lock(&vs->lock);
    while (!w->digested) pthread_cond_wait(&vs->work, &vs->lock);
    pthread_mutex_unlock(&vs->lock);
    if (w->digest_failed && e) *e = w->digest_err;
    return !w->digest_failed;
}

static bool await_digests(struct vol_set *vs, struct group *g, struct err *e) {
    for (size_t i = 0; i < g->n; i++)
        if (!vol_await_digest(vs, g->puts[i], e)) return false;
    return true;
}

static bool all_digested(struct vol_set *vs, const struct group *g) {
    bool all = true;
    pthread_mutex_lock(&vs->lock);
    for (size_t i = 0; i < g->n; i++) all &= !g->puts[i]->digest || g->puts[i]->waiter->digested;
    pthread_mutex_unlock(&vs->lock);
    return all;
}

static void count(struct vol_set *vs, const struct group *g, int64_t busy_us) {
    pthread_mutex_lock(&vs->lock);
    vs->open.end = g->end;
    vs->failures = 0;
    vs->busy_us += (uint64_t)busy_us;
    vs->stats.flushes++;
    vs->stats.objects += g->stored;
    vs->stats.bytes_used += g->end - g->at;
    // The next volume is made ready when a quarter of this one is used.
    bool want = !vs->spare.wanted && !vs->spare.busy && vs->spare.fd < 0 && g->end > vs->open.size / 4;
    if (want) {
        vs->spare.wanted = true;
        pthread_cond_broadcast(&vs->chore);
    }
    pthread_mutex_unlock(&vs->lock);
}

// Nothing was written. A want of room, memory or descriptors passes and is no failure of the disk.
static void not_begun(struct vol_set *vs, const struct err *e) {
    if (!err_class_of(e->kind)->retry) segment_failed(vs, e);
}

// What was written behind the volume's end must not stay there.
static bool written(struct vol_set *vs, const struct group *g, bool ok, struct err *e) {
    if (ok) return true;
    segment_abandon(vs, e);
    return err_wrap(e, "volume %u", g->volume);
}

static bool write_group(struct vol_set *vs, struct group *g, struct err *e) {
    if (!ensure_room(vs, g, e)) {
        not_begun(vs, e);
        return false;
    }
    place(vs, g);
    bool ahead = !all_digested(vs, g);
    int64_t began = clock_mono_us();
    if (ahead && !written(vs, g, write_ahead(vs, g, e), e)) return false;
    int64_t busy_us = clock_mono_us() - began;
    if (!await_digests(vs, g, e) || !encode(vs, g, e)) return ahead ? written(vs, g, false, e) : false;
    began = clock_mono_us();
    bool ok = (ahead ? write_heads(vs, g, e) : write_all(vs, g, e)) && sys_flush(vs->files, vs->open.fd, e);
    if (!written(vs, g, ok, e)) return false;
    count(vs, g, busy_us + clock_mono_us() - began);
    return true;
}

// A staging file becomes a volume: headers in front, a flush (its bytes were flushed by its sender's thread), the name.
static bool adopt(struct vol_set *vs, struct group *g, struct err *e) {
    struct vol_put *p = g->puts[0];
    struct vol_spool *s = p->spool;
    char head[STORE_SPOOL_HEAD], path[STORE_PATH_MAX];
    g->volume = vs->next_number;
    if (g->volume == UINT32_MAX) return err_set(e, ERR_INTERNAL, "store", "volume numbers are used up");
    set_path(vs, g->volume, path);
    if (!tar_encode(&p->entry, 0, 0, sizeof head, head, e)) return false;
    if (!sys_write_at(vs->files, s->fd, head, sizeof head, 0, e) || !sys_mark_read_only(s->fd, e) || !sys_flush(vs->files, s->fd, e)) return false;
    if (!sys_rename(vs->files, s->path, path, e)) return false;
    if (!sys_flush_dir(vs->files, vs->volumes, e)) {
        sys_unlink(vs->files, path, NULL);
        return false;
    }
    s->path[0] = '\0'; // the name is the volume's now
    p->entry.loc = (struct vol_loc){.volume = g->volume, .offset = sizeof head, .length = p->entry.loc.length};
    p->entry.end = g->end = sizeof head + tar_round(p->entry.loc.length);
    pthread_mutex_lock(&vs->lock);
    vs->next_number++;
    vs->stats.volumes++;
    vs->stats.flushes++;
    vs->stats.objects++;
    vs->stats.bytes_used += g->end;
    pthread_mutex_unlock(&vs->lock);
    return true;
}

static bool store(struct vol_set *vs, struct group *g, struct err *e) {
    if (g->stored == 0) return true;
    if (vs->stats.read_only) return err_set(e, ERR_IO, "store", "the archive is read-only after repeated disk failures: check the disk and restart");
    if (!g->puts[0]->spool) return write_group(vs, g, e);
    if (adopt(vs, g, e)) return true;
    not_begun(vs, e);
    return false;
}

// Full: something was refused for want of room, the index's included. Only what was stored shows that there is room again.
static void note_room(struct vol_set *vs, const struct group *g, bool ok) {
    bool refused = false;
    for (const struct vol_put *p = g->first; p; p = p->next) refused |= p->failed && p->err.kind == ERR_FULL;
    pthread_mutex_lock(&vs->lock);
    vs->stats.full = refused || (vs->stats.full && !(ok && g->stored));
    pthread_mutex_unlock(&vs->lock);
}

static void run_group(struct vol_set *vs, struct group *g) {
    struct err e = {0};
    g->volume = 0;
    g->stored = 0;
    g->end = 0;
    classify(vs, g);
    bool ok = g->n == 0 || store(vs, g, &e);
    if (ok && g->n && vs->index.commit) ok = vs->index.commit(vs->index.ctx, g->puts, g->n, &(struct vol_written){.volume = g->volume, .end = g->end}, &e);
    if (!ok) fail_group(g, &e);
    note_room(vs, g, ok);
}

// What waits, up to a group's ceilings. A put that is to become a volume of its own is a group of its own.
static struct vol_put *take_group(struct vol_set *vs, struct group *g) {
    struct vol_put *first = vs->first, *last = first;
    uint64_t bytes = put_need(first);
    g->puts[0] = g->first = first;
    g->n = 1;
    while (!first->spool && last->next && !last->next->spool && g->n < STORE_GROUP_OBJECTS_MAX) {
        bytes += put_need(last->next);
        if (bytes > STORE_GROUP_BYTES_MAX) break;
        last = last->next;
        g->puts[g->n++] = last;
    }
    g->taken = g->n;
    vs->waiting -= (unsigned)g->n;
    vs->first = last->next;
    if (!vs->first) vs->last = NULL;
    last->next = NULL;
    return first;
}

// A waiter's put and waiter are its own stack: not to be touched once done is set and the lock is let go.
static void wake(struct vol_put *first) {
    for (struct vol_put *p = first, *next; p; p = next) {
        next = p->next;
        p->waiter->done = true;
        pthread_cond_signal(&p->waiter->wake);
    }
}

// Senders in step fall into two halves that take turns, each flush carrying one half. So a group may wait a little for those whom the flush before
// has just answered: at most half a flush, never when that flush had one sender and nobody else came, and not for a while after it was in vain.
static void gather_crowd(struct vol_set *vs, struct crowd *c) {
    int64_t until = clock_mono_us() + c->flush_us / 2;
    struct timespec t = {.tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000};
    if (c->vain > 0) {
        c->vain--;
        return;
    }
    while (vs->waiting < c->expected && !vs->closing) {
        if (pthread_cond_timedwait(&vs->work, &vs->lock, &t) == 0) continue;
        c->vain = CROWD_VAIN;
        return;
    }
}

static void note_flush(struct vol_set *vs, struct crowd *c, const struct group *g, int64_t began) {
    int64_t took = clock_mono_us() - began;
    if (took > CROWD_WAIT_US) took = CROWD_WAIT_US;
    c->flush_us = (7 * c->flush_us + took) / 8;
    c->expected = vs->waiting + (unsigned)g->taken;
}

static void *writer_run(void *arg) {
    struct vol_set *vs = arg;
    struct group *g = malloc(sizeof *g);
    struct err nomem = {0};
    err_nomem(&nomem, "store");
    pthread_mutex_lock(&vs->lock);
    for (;;) {
        while (!vs->first && !vs->closing) pthread_cond_wait(&vs->work, &vs->lock);
        if (!vs->first) break;
        if (!g) g = malloc(sizeof *g); // memory may be there again
        struct vol_put *first = vs->first;
        if (g) {
            gather_crowd(vs, &vs->crowd);
            first = take_group(vs, g);
            pthread_mutex_unlock(&vs->lock);
            int64_t began = clock_mono_us();
            run_group(vs, g);
            pthread_mutex_lock(&vs->lock);
            note_flush(vs, &vs->crowd, g, began);
        } else {
            for (struct vol_put *p = first; p; p = p->next) fail(p, &nomem);
            vs->first = vs->last = NULL;
            vs->waiting = 0;
        }
        wake(first);
    }
    pthread_mutex_unlock(&vs->lock);
    free(g);
    return NULL;
}

bool writer_start(struct vol_set *vs, struct err *e) {
    buf_init(&vs->heads, (size_t)STORE_GROUP_OBJECTS_MAX * TAR_HEAD_MAX);
    vs->writer_runs = thread_start(&vs->writer, "vol-writer", writer_run, vs, e);
    return vs->writer_runs;
}

void writer_stop(struct vol_set *vs) {
    if (vs->writer_runs) pthread_join(vs->writer, NULL);
    vs->writer_runs = false;
    buf_deinit(&vs->heads);
}

// A spooled object that is not large goes the way of those in memory, mapped; a large one is flushed here, on its sender's thread, so that
// others do not wait for it.
static bool prepare_spool(struct vol_set *vs, struct vol_put *put, struct vol_spool **spool, struct err *e) {
    const void *mapped;
    if (put->entry.loc.length < vs->own_volume_bytes) {
        if (!spool_map(*spool, &mapped, e)) return false;
        put->body = mapped;
        put->body_n = (size_t)vol_spool_size(*spool);
        put->spool = NULL;
        return true;
    }
    if (put->head_n && !spool_prefix(spool, put->head, put->head_n, e)) return false;
    put->spool = *spool;
    put->head_n = 0;
    return spool_finish(*spool, e);
}

// An object in memory that is too long for a group.
static bool spill(struct vol_set *vs, struct vol_put *put, struct vol_spool **spool, struct err *e) {
    if (!vol_spool_open(vs, spool, e)) return false;
    if (!vol_spool_write(*spool, put->head, put->head_n, e) || !vol_spool_write(*spool, put->body, put->body_n, e)) return false;
    put->head_n = put->body_n = 0;
    return true;
}

static bool prepare(struct vol_set *vs, struct vol_put *put, struct vol_spool **spool, struct err *e) {
    put->failed = false;
    put->next = NULL;
    put->entry.loc = (struct vol_loc){.length = put_length(put)};
    if (vs->opened_read_only) return err_set(e, ERR_FORBIDDEN, "store", "the archive was opened for reading only");
    if (put->spool && put->body_n) return err_set(e, ERR_INTERNAL, "store", "an object is either in memory or in a staging file");
    if (!tar_entry_check(&put->entry, e)) return false;
    if (!*spool && put_need(put) > STORE_GROUP_BYTES_MAX && !spill(vs, put, spool, e)) return false;
    return !*spool || prepare_spool(vs, put, spool, e);
}

// False when there is none to be made.
static bool make_digest(struct vol_set *vs, struct vol_put *put) {
    struct vol_waiter *w = put->waiter;
    if (!put->digest || w->digested) return false;
    pthread_mutex_unlock(&vs->lock);
    bool ok = put->digest(put->digest_ctx, put->entry.digest, &w->digest_err);
    pthread_mutex_lock(&vs->lock);
    w->digest_failed = !ok;
    w->digested = true;
    return true;
}

static bool enqueue_and_wait(struct vol_set *vs, struct vol_put *put, struct err *e) {
    struct vol_waiter waiter = {.wake = PTHREAD_COND_INITIALIZER};
    put->waiter = &waiter;
    pthread_mutex_lock(&vs->lock);
    // Among others the processors have enough to do, and no flush is to wait for a digest. Alone, it is made while the writer is at the bytes.
    if (vs->crowd.expected > 1) make_digest(vs, put);
    bool open = !vs->closing;
    if (open) {
        if (vs->last)
            vs->last->next = put;
        else
            vs->first = put;
        vs->last = put;
        vs->waiting++;
        pthread_cond_signal(&vs->work);
        if (make_digest(vs, put)) pthread_cond_signal(&vs->work);
        while (!waiter.done) pthread_cond_wait(&waiter.wake, &vs->lock);
    }
    pthread_mutex_unlock(&vs->lock);
    pthread_cond_destroy(&waiter.wake);
    put->waiter = NULL;
    if (!open) return err_set(e, ERR_BUSY, "store", "the archive is closing");
    if (put->failed && e) *e = put->err;
    return !put->failed;
}

bool vol_append(struct vol_set *vs, struct vol_put *put, struct err *e) {
    struct vol_spool *spool = put->spool;
    bool ok = prepare(vs, put, &spool, e) && enqueue_and_wait(vs, put, e);
    vol_spool_drop(spool);
    put->spool = NULL;
    return ok;
}
