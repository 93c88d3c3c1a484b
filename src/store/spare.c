// Background chores: the next volume made ready ahead of need, finished volumes cut to size.
//
// A flush into blocks that were written before carries data only; into blocks that are merely reserved it also commits metadata; an append
// also allocates. Pre-writing costs the disk each byte twice, so it happens only while the writer leaves the disk idle half of the time: a spare
// may be taken at any moment, pre-written or not.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/directory.h"

enum {
    PACE_US = 2500,    // at least this long for STORE_PREPARE_BYTES: 400 MB/s
    BACK_OFF_MS = 20,  // while the writer needs the disk
    BUSY_PERCENT = 50, // of the time in writes and flushes: above it the writer needs the disk
};

// The spare and what is open of it; the caller holds the lock, or is the last thread.
static void spare_drop(struct vol_set *vs) {
    struct spare *sp = &vs->dir->spare;
    sys_close(vs->files, sp->direct_fd);
    sys_close(vs->files, sp->fd);
    if (sp->fd >= 0) sys_unlink(vs->files, sp->path, NULL);
    sp->fd = sp->direct_fd = -1;
}

bool spare_take(struct vol_set *vs, uint64_t need, int *fd, uint64_t *size, char path[STORE_PATH_MAX]) {
    struct spare *sp = &vs->dir->spare;
    pthread_mutex_lock(&vs->lock);
    while (sp->busy) pthread_cond_wait(&vs->dir->chore, &vs->lock);
    if (sp->fd >= 0 && sp->size < need) spare_drop(vs);
    bool taken = sp->fd >= 0;
    if (taken) {
        *fd = sp->fd;
        *size = sp->size;
        snprintf(path, STORE_PATH_MAX, "%s", sp->path);
        sys_close(vs->files, sp->direct_fd);
        sp->fd = sp->direct_fd = -1;
    }
    pthread_mutex_unlock(&vs->lock);
    return taken;
}

void spare_retire(struct vol_set *vs, struct segment s) {
    struct retired *r = vs->dir->preparer_runs ? malloc(sizeof *r) : NULL;
    if (!r) {
        segment_seal(vs, &s, NULL);
        return;
    }
    pthread_mutex_lock(&vs->lock);
    *r = (struct retired){.segment = s, .next = vs->dir->retired};
    vs->dir->retired = r;
    pthread_cond_broadcast(&vs->dir->chore);
    pthread_mutex_unlock(&vs->lock);
}

static void chore_seal(struct vol_set *vs) {
    struct err e = {0};
    struct retired *r = vs->dir->retired;
    vs->dir->retired = r->next;
    pthread_mutex_unlock(&vs->lock);
    // Its entries are flushed: whatever fails here is only tidiness, done again at the next start.
    if (!segment_seal(vs, &r->segment, &e)) log_err(&e, "cut volume %u to its entries", r->segment.number);
    free(r);
    pthread_mutex_lock(&vs->lock);
}

static void chore_create(struct vol_set *vs) {
    struct spare *sp = &vs->dir->spare;
    struct err e = {0};
    int fd = -1;
    uint64_t size = 0;
    sp->wanted = false;
    sp->busy = true;
    pthread_mutex_unlock(&vs->lock);
    // Without room there is no spare; the writer tells whoever needs one.
    bool ok = segment_create(vs, sp->path, vs->dir->volume_bytes / 2, &fd, &size, &e);
    int direct_fd = -1;
    if (ok && !sys_open(vs->files, sp->path, O_WRONLY | O_DIRECT, 0, &direct_fd, NULL)) direct_fd = -1;
    pthread_mutex_lock(&vs->lock);
    sp->busy = false;
    if (ok) {
        sp->fd = fd;
        sp->direct_fd = direct_fd;
        sp->size = size;
        sp->written = 0;
    }
    pthread_cond_broadcast(&vs->dir->chore);
}

static void chore_wait(struct vol_set *vs, int64_t us) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(us % 1000000) * 1000;
    until.tv_sec += us / 1000000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&vs->dir->chore, &vs->lock, &until);
}

static bool write_zeros(struct vol_set *vs, int fd, int direct_fd, uint64_t at, size_t n) {
    if (direct_fd >= 0 && n % STORE_PAGE == 0 && sys_write_at(vs->files, direct_fd, vs->zeros, n, at, NULL)) return true;
    if (!sys_write_at(vs->files, fd, vs->zeros, n, at, NULL) || !sys_flush(vs->files, fd, NULL)) return false;
    sys_drop_cache(fd, at, n);
    return true;
}

// A pause as long as the piece took, and longer while the writer needs the disk.
static void pause_after(struct vol_set *vs, int64_t began, uint64_t busy_before) {
    int64_t took = clock_mono_us() - began, wait = took > PACE_US ? took : PACE_US;
    for (;;) {
        chore_wait(vs, wait);
        if (vs->closing || vs->dir->retired || vs->dir->spare.fd < 0) return;
        if ((int64_t)(vs->dir->busy_us - busy_before) * 100 < (clock_mono_us() - began) * BUSY_PERCENT) return;
        busy_before = vs->dir->busy_us;
        began = clock_mono_us();
        wait = BACK_OFF_MS * 1000;
    }
}

// One piece, then a pause. A failure ends the pre-writing; the writer will meet the same disk and tell.
static void chore_write(struct vol_set *vs) {
    struct spare *sp = &vs->dir->spare;
    uint64_t at = sp->written, left = sp->size - at, busy_before = vs->dir->busy_us;
    size_t n = left < STORE_PREPARE_BYTES ? (size_t)left : STORE_PREPARE_BYTES;
    int fd = sp->fd, direct_fd = sp->direct_fd;
    int64_t began = clock_mono_us();
    sp->busy = true;
    pthread_mutex_unlock(&vs->lock);
    bool ok = write_zeros(vs, fd, direct_fd, at, n) && (n < left || sys_flush(vs->files, fd, NULL));
    pthread_mutex_lock(&vs->lock);
    sp->busy = false;
    sp->written = ok ? at + n : sp->size;
    pthread_cond_broadcast(&vs->dir->chore);
    pause_after(vs, began, busy_before);
}

static void *spare_run(void *arg) {
    struct vol_set *vs = arg;
    struct spare *sp = &vs->dir->spare;
    sys_be_background();
    pthread_mutex_lock(&vs->lock);
    for (;;) {
        if (vs->dir->retired)
            chore_seal(vs);
        else if (vs->closing)
            break;
        else if (sp->wanted && sp->fd < 0)
            chore_create(vs);
        else if (sp->fd >= 0 && sp->written < sp->size)
            chore_write(vs);
        else
            pthread_cond_wait(&vs->dir->chore, &vs->lock);
    }
    spare_drop(vs);
    pthread_mutex_unlock(&vs->lock);
    return NULL;
}

bool spare_start(struct vol_set *vs, struct err *e) {
    vs->dir->spare.wanted = vs->dir->open.fd < 0;
    vs->dir->preparer_runs = thread_start(&vs->dir->preparer, "vol-prepare", spare_run, vs, e);
    return vs->dir->preparer_runs;
}

void spare_stop(struct vol_set *vs) {
    if (vs->dir->preparer_runs) pthread_join(vs->dir->preparer, NULL);
    vs->dir->preparer_runs = false;
}
