// The queue of puts: senders wait in it, writers take all that wait, have it made durable, let the index commit it, and wake its senders.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"
#include "store/seal.h"
#include "store/set.h"

enum {
    CROWD_WAIT_US = 10000, // a group that takes longer counts as this
    CROWD_VAIN = 32,       // groups without a wait after one that was in vain
};

struct vol_waiter {
    pthread_cond_t wake;
    bool done;
    bool digested; // or failed to
    bool digest_failed;
    struct err digest_err;
};

static uint64_t put_length(const struct vol_put *p) {
    return (uint64_t)p->head_n + p->body_n + (p->spool ? vol_spool_size(p->spool) : 0);
}

void turn_take(struct vol_set *vs) {
    pthread_mutex_lock(&vs->turn);
}

void turn_give(struct vol_set *vs) {
    pthread_mutex_unlock(&vs->turn);
}

bool vol_await_digest(struct vol_set *vs, struct vol_put *put, struct err *e) {
    struct vol_waiter *w = put->waiter;
    if (!put->digest) return true;
    pthread_mutex_lock(&vs->lock);
    while (!w->digested) pthread_cond_wait(&vs->digests, &vs->lock);
    pthread_mutex_unlock(&vs->lock);
    if (w->digest_failed && e) *e = w->digest_err;
    return !w->digest_failed;
}

bool group_digested(struct vol_set *vs, const struct group *g) {
    bool all = true;
    pthread_mutex_lock(&vs->lock);
    for (size_t i = 0; i < g->n; i++) all &= !g->puts[i]->digest || g->puts[i]->waiter->digested;
    pthread_mutex_unlock(&vs->lock);
    return all;
}

bool group_await_digests(struct vol_set *vs, const struct group *g, struct err *e) {
    for (size_t i = 0; i < g->n; i++)
        if (!vol_await_digest(vs, g->puts[i], e)) return false;
    return true;
}

// Full: something was refused for want of room, the index's included. Only what was stored shows that there is room again.
static void note_room(struct vol_set *vs, const struct group *g, bool ok) {
    bool refused = false;
    for (const struct vol_put *p = g->first; p; p = p->next) refused |= p->failed && p->err.kind == ERR_FULL;
    pthread_mutex_lock(&vs->lock);
    vs->stats.full = refused || (vs->stats.full && !(ok && g->stored));
    pthread_mutex_unlock(&vs->lock);
}

static bool store(struct vol_set *vs, struct group *g, struct err *e) {
    pthread_mutex_lock(&vs->lock);
    bool read_only = vs->stats.read_only;
    pthread_mutex_unlock(&vs->lock);
    if (read_only) return err_set(e, ERR_IO, "store", "the archive is read-only after repeated disk failures: check the disk and restart");
    return vs->driver->store(vs, g, e);
}

// With the turn held.
static void run_group(struct vol_set *vs, struct group *g) {
    struct err e = {0};
    group_classify(vs, g);
    bool ok = g->stored == 0 || store(vs, g, &e);
    if (ok && g->n && vs->index.commit) ok = vs->index.commit(vs->index.ctx, g->puts, g->n, &g->written, &e);
    if (!ok) group_fail(g, &e);
    note_room(vs, g, ok);
}

// What waits, up to a group's ceilings. Under the lock.
static void take_group(struct vol_set *vs, struct group *g, uint64_t bytes_max) {
    struct vol_put *last = vs->first;
    uint64_t bytes = put_need(last);
    g->puts[0] = g->first = last;
    g->n = 1;
    while (last->next && g->n < STORE_GROUP_OBJECTS_MAX) {
        bytes += put_need(last->next);
        if (bytes > bytes_max) break;
        last = last->next;
        g->puts[g->n++] = last;
    }
    g->taken = g->n;
    vs->waiting -= (unsigned)g->n;
    vs->flying += (unsigned)g->n;
    vs->first = last->next;
    if (!vs->first) vs->last = NULL;
    last->next = NULL;
}

// A waiter's put and waiter are its own stack: not to be touched once done is set and the lock is let go.
static void wake(struct vol_put *first) {
    for (struct vol_put *p = first, *next; p; p = next) {
        next = p->next;
        p->waiter->done = true;
        pthread_cond_signal(&p->waiter->wake);
    }
}

// Senders in step fall into two halves that take turns, each flush carrying one half. So a group may wait a little for those whom the group before
// has just answered: at most half as long as that took, never when it had one sender and nobody else came, and not for a while after it was in vain.
static void gather_crowd(struct vol_set *vs, struct crowd *c) {
    int64_t until = clock_mono_us() + c->took_us / 2;
    struct timespec t = {.tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000};
    if (c->vain > 0) {
        c->vain--;
        return;
    }
    while (vs->waiting + vs->flying < c->expected && !vs->closing) {
        if (pthread_cond_timedwait(&vs->gather, &vs->lock, &t) == 0) continue;
        c->vain = CROWD_VAIN;
        return;
    }
}

static void note_group(struct vol_set *vs, struct crowd *c, const struct group *g, int64_t began) {
    int64_t took = clock_mono_us() - began;
    if (took > CROWD_WAIT_US) took = CROWD_WAIT_US;
    c->took_us = (7 * c->took_us + took) / 8;
    c->expected = vs->waiting + vs->flying;
    vs->flying -= (unsigned)g->taken;
}

static void fail_all(struct vol_set *vs) {
    struct vol_put *first = vs->first;
    for (struct vol_put *p = first; p; p = p->next) {
        p->failed = true;
        err_nomem(&p->err, "store");
    }
    vs->first = vs->last = NULL;
    vs->waiting = 0;
    wake(first);
}

// One group, from its taking to its senders' waking. Under the lock; one writer at a time is about to take.
static void serve(struct vol_set *vs, struct group *g) {
    vs->taking = true;
    gather_crowd(vs, &vs->crowd);
    pthread_mutex_unlock(&vs->lock);
    uint64_t bytes_max = vs->driver->group_bytes ? vs->driver->group_bytes(vs) : STORE_GROUP_BYTES_MAX;
    turn_take(vs);
    pthread_mutex_lock(&vs->lock);
    take_group(vs, g, bytes_max);
    vs->taking = false;
    if (vs->closing)
        pthread_cond_broadcast(&vs->work);
    else if (vs->first)
        pthread_cond_signal(&vs->work);
    pthread_mutex_unlock(&vs->lock);
    int64_t began = clock_mono_us();
    run_group(vs, g);
    turn_give(vs);
    pthread_mutex_lock(&vs->lock);
    note_group(vs, &vs->crowd, g, began);
    wake(g->first);
}

static struct group *group_new(void) {
    struct group *g = malloc(sizeof *g);
    if (g) group_init(g);
    return g;
}

static void group_free(struct group *g) {
    if (g) group_deinit(g);
    free(g);
}

static void *writer_run(void *arg) {
    struct vol_set *vs = arg;
    struct group *g = group_new();
    pthread_mutex_lock(&vs->lock);
    for (;;) {
        while (vs->taking || (!vs->first && !vs->closing)) pthread_cond_wait(&vs->work, &vs->lock);
        if (!vs->first) break;
        if (!g) g = group_new(); // memory may be there again
        if (g)
            serve(vs, g);
        else
            fail_all(vs);
    }
    pthread_mutex_unlock(&vs->lock);
    group_free(g);
    return NULL;
}

bool writers_start(struct vol_set *vs, unsigned n, struct err *e) {
    while (vs->writer_count < n && vs->writer_count < STORE_WRITERS_MAX) {
        if (!thread_start(&vs->writers[vs->writer_count], "vol-writer", writer_run, vs, e)) return false;
        vs->writer_count++;
    }
    return true;
}

void writers_stop(struct vol_set *vs) {
    while (vs->writer_count) pthread_join(vs->writers[--vs->writer_count], NULL);
    pthread_mutex_lock(&vs->lock);
    while (vs->alone) pthread_cond_wait(&vs->alone_done, &vs->lock);
    pthread_mutex_unlock(&vs->lock);
}

// ---- senders ----

// One in memory gets its segments here, on its sender's thread, so that the writer has nothing to encrypt.
static bool encrypt(struct vol_set *vs, struct vol_put *put, struct err *e) {
    struct iovec parts[] = {{(void *)(uintptr_t)put->head, put->head_n}, {(void *)(uintptr_t)put->body, put->body_n}};
    uint64_t length = put->entry.loc.length;
    put->sealing = calloc(1, sizeof *put->sealing);
    put->segments = malloc(seal_bytes(length) + 1);
    put->segments_owned = true;
    if (!put->sealing || !put->segments) return err_nomem(e, "store");
    return sealing_begin(put->sealing, vs->keys.kind, e) && sealing_all(put->sealing, parts, 2, length, put->segments, e);
}

static void end_encrypting(struct vol_put *put) {
    if (put->segments_owned) {
        if (put->sealing) sealing_end(put->sealing);
        free(put->sealing);
        free(put->segments);
    }
    put->sealing = NULL;
    put->segments = NULL;
    put->segments_owned = false;
}

// Segments with the meta header before them have to be made anew.
static bool whole_in_spool(struct vol_set *vs, struct vol_put *put, struct vol_spool **spool, struct err *e) {
    bool large = put->entry.loc.length >= vs->own_volume_bytes, sealed = put->entry.sealed;
    return put->head_n == 0 || !(large || sealed) || spool_prefix(spool, put->head, put->head_n, e);
}

// A spooled object that is not large goes the way of those in memory, mapped; a large one is flushed here, on its sender's thread, so that
// others do not wait for it.
static bool prepare_spool(struct vol_set *vs, struct vol_put *put, struct vol_spool **spool, struct err *e) {
    const void *mapped;
    bool large = put->entry.loc.length >= vs->own_volume_bytes;
    if (!whole_in_spool(vs, put, spool, e)) return false;
    if (large || put->entry.sealed) put->head_n = 0;
    put->sealing = (*spool)->sealing;
    if (!large) {
        if (!spool_map(*spool, &mapped, e)) return false;
        put->body = mapped;
        put->body_n = (size_t)vol_spool_size(*spool);
        put->segments = (void *)(uintptr_t)mapped;
        put->spool = NULL;
        return true;
    }
    put->spool = *spool;
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
    put->sealing = NULL;
    put->segments = NULL;
    put->segments_owned = false;
    put->entry.sealed = vs->keys.writes;
    put->entry.loc = (struct vol_loc){.length = put_length(put)};
    if (vs->opened_read_only) return err_set(e, ERR_FORBIDDEN, "store", "the archive was opened for reading only");
    if (put->spool && put->body_n) return err_set(e, ERR_INTERNAL, "store", "an object is either in memory or in a staging file");
    if (!tar_entry_check(&put->entry, e)) return false;
    if (!*spool && put_need(put) > STORE_GROUP_BYTES_MAX && !spill(vs, put, spool, e)) return false;
    if (*spool) return prepare_spool(vs, put, spool, e);
    return !put->entry.sealed || encrypt(vs, put, e);
}

// Under the lock. False when there is none to be made.
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

// Under the lock, which is let go while waiting.
static void enqueue_and_wait(struct vol_set *vs, struct vol_put *put) {
    if (vs->last)
        vs->last->next = put;
    else
        vs->first = put;
    vs->last = put;
    vs->waiting++;
    pthread_cond_signal(vs->taking ? &vs->gather : &vs->work);
    if (make_digest(vs, put)) pthread_cond_broadcast(&vs->digests);
    while (!put->waiter->done) pthread_cond_wait(&put->waiter->wake, &vs->lock);
}

// A put that is to become a volume of its own is a group of its own, run by its sender. Under the lock, likewise.
static void run_alone(struct vol_set *vs, struct vol_put *put) {
    vs->alone++;
    make_digest(vs, put);
    pthread_mutex_unlock(&vs->lock);
    struct group *g = group_new();
    if (g) {
        g->puts[0] = g->first = put;
        g->n = g->taken = 1;
        turn_take(vs);
        run_group(vs, g);
        turn_give(vs);
    } else {
        put->failed = true;
        err_nomem(&put->err, "store");
    }
    group_free(g);
    pthread_mutex_lock(&vs->lock);
    if (--vs->alone == 0) pthread_cond_broadcast(&vs->alone_done);
}

static bool commit_one(struct vol_set *vs, struct vol_put *put, struct err *e) {
    struct vol_waiter waiter = {.wake = PTHREAD_COND_INITIALIZER};
    put->waiter = &waiter;
    pthread_mutex_lock(&vs->lock);
    // Among others the processors have enough to do, and no flush is to wait for a digest. Alone, it is made while the writer is at the bytes.
    if (vs->crowd.expected > 1 || vs->driver->digest_first) make_digest(vs, put);
    bool open = !vs->closing;
    if (open && put->spool)
        run_alone(vs, put);
    else if (open)
        enqueue_and_wait(vs, put);
    pthread_mutex_unlock(&vs->lock);
    pthread_cond_destroy(&waiter.wake);
    put->waiter = NULL;
    if (!open) return err_set(e, ERR_BUSY, "store", "the archive is closing");
    if (put->failed && e) *e = put->err;
    return !put->failed;
}

bool vol_append(struct vol_set *vs, struct vol_put *put, struct err *e) {
    struct vol_spool *spool = put->spool;
    bool ok = prepare(vs, put, &spool, e) && commit_one(vs, put, e);
    end_encrypting(put);
    vol_spool_drop(spool);
    put->spool = NULL;
    return ok;
}
