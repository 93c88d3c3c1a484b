// fsck reads several volumes at once, while what it finds is looked at in their order: a bucket answers many as fast as one.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "core/fsck_part.h"

enum {
    READERS_BUCKET = 8,
    READERS_DIRECTORY = 2,
    AHEAD = 2 * READERS_BUCKET, // volumes whose entries are in memory
    SCAN_BYTES_MAX = 512 << 20, // of the entries of one volume
};

struct slot {
    struct fsck_scan scan;
    struct arena arena;
    size_t cap;
    bool done;
};

struct fsck_ahead {
    struct archive *ar;
    const uint32_t *volumes;
    size_t n;
    pthread_t threads[READERS_BUCKET];
    unsigned started;
    pthread_mutex_t lock; // everything below
    pthread_cond_t read, taken;
    size_t begun, given; // volumes that a reader took; volumes that were handed out
    bool stopping;
    struct slot slots[AHEAD];
};

static bool note(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    struct slot *s = ctx;
    struct fsck_scan *scan = &s->scan;
    if (scan->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        struct fsck_entry *p = arena_grow(&s->arena, scan->p, s->cap * sizeof *p, cap * sizeof *p, e);
        if (!p) return false;
        scan->p = p;
        s->cap = cap;
    }
    struct fsck_entry *to = &scan->p[scan->n++];
    *to = (struct fsck_entry){.kind = en->kind, .loc = en->loc, .end = en->end, .damaged = damaged};
    snprintf(to->sop, sizeof to->sop, "%.*s", STR_FMT(en->sop));
    return true;
}

static void scan(struct fsck_ahead *a, struct slot *s, uint32_t volume) {
    uint64_t end;
    arena_reset(&s->arena);
    s->scan = (struct fsck_scan){.volume = volume};
    s->cap = 0;
    s->scan.ok = vol_scan(a->ar->volumes, volume, 0, true, note, s, &end, &s->scan.why);
}

static void *run(void *arg) {
    struct fsck_ahead *a = arg;
    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->stopping && a->begun < a->n && a->begun >= a->given + AHEAD) pthread_cond_wait(&a->taken, &a->lock);
        if (a->stopping || a->begun == a->n) break;
        size_t mine = a->begun++;
        struct slot *s = &a->slots[mine % AHEAD];
        pthread_mutex_unlock(&a->lock);
        scan(a, s, a->volumes[mine]);
        pthread_mutex_lock(&a->lock);
        s->done = true;
        pthread_cond_broadcast(&a->read);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

bool fsck_ahead_start(struct archive *ar, const uint32_t *volumes, size_t n, struct fsck_ahead **out, struct err *e) {
    struct fsck_ahead *a = calloc(1, sizeof *a);
    unsigned readers = ar->remote ? READERS_BUCKET : READERS_DIRECTORY;
    if (!a) return err_nomem(e, "fsck");
    a->ar = ar;
    a->volumes = volumes;
    a->n = n;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->read, NULL);
    pthread_cond_init(&a->taken, NULL);
    for (unsigned i = 0; i < AHEAD; i++) arena_init(&a->slots[i].arena, SCAN_BYTES_MAX);
    while (a->started < readers && a->started < n && thread_start(&a->threads[a->started], "fsck", run, a, e)) a->started++;
    *out = a;
    if (a->started || n == 0) return true;
    fsck_ahead_stop(a);
    *out = NULL;
    return false;
}

// The one before is given back first.
const struct fsck_scan *fsck_ahead_next(struct fsck_ahead *a, size_t i) {
    struct slot *s = &a->slots[i % AHEAD];
    pthread_mutex_lock(&a->lock);
    if (i > 0) a->slots[(i - 1) % AHEAD].done = false;
    a->given = i;
    pthread_cond_broadcast(&a->taken);
    while (!s->done) pthread_cond_wait(&a->read, &a->lock);
    pthread_mutex_unlock(&a->lock);
    return &s->scan;
}

void fsck_ahead_stop(struct fsck_ahead *a) {
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    a->stopping = true;
    pthread_cond_broadcast(&a->taken);
    pthread_mutex_unlock(&a->lock);
    for (unsigned i = 0; i < a->started; i++) pthread_join(a->threads[i], NULL);
    for (unsigned i = 0; i < AHEAD; i++) arena_deinit(&a->slots[i].arena);
    pthread_cond_destroy(&a->read);
    pthread_cond_destroy(&a->taken);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
