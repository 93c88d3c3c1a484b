// A volume set: opening and closing, and what both of its drivers have in common.
#include "store/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/seal.h"
#include "store/set.h"

void set_alarm(struct vol_set *vs, const struct err *e) {
    log_err(e, "store alarm");
    if (vs->alarm) vs->alarm(vs->index.ctx, e);
}

static bool find_room(struct vol_set *vs, uint64_t need, uint64_t *room, struct err *e) {
    uint64_t available, total;
    if (!sys_room(vs->files, vs->home, &available, &total, e)) return false;
    uint64_t reserve = total / 16 < STORE_RESERVE_BYTES_MAX ? total / 16 : STORE_RESERVE_BYTES_MAX;
    *room = available > reserve ? available - reserve : 0;
    if (*room >= need) return true;
    return err_set(e, ERR_FULL, "store", "no room on the disk of %s: %llu bytes are free, %llu of them are kept for the index; make room", vs->home,
                   (unsigned long long)available, (unsigned long long)reserve);
}

bool set_room(struct vol_set *vs, uint64_t need, uint64_t *room, struct err *e) {
    struct err own = {0};
    if (find_room(vs, need, room, &own)) return true;
    if (own.kind == ERR_FULL && vs->driver->make_room && vs->driver->make_room(vs, need - *room)) return find_room(vs, need, room, e);
    if (e) *e = own;
    return false;
}

void set_count(struct vol_set *vs, uint64_t objects, uint64_t bytes, uint64_t volumes) {
    pthread_mutex_lock(&vs->lock);
    vs->stats.volumes += volumes;
    vs->stats.flushes++;
    vs->stats.objects += objects;
    vs->stats.bytes_used += bytes;
    pthread_mutex_unlock(&vs->lock);
}

static bool sweep_one(void *ctx, const char *name, struct err *e) {
    const struct set_folder *f = ctx;
    char path[STORE_PATH_MAX];
    snprintf(path, sizeof path, "%.3800s/%.255s", f->path, name);
    return sys_unlink(f->files, path, e);
}

bool set_sweep(struct vol_set *vs, const char *dir, struct err *e) {
    struct set_folder f = {vs->files, dir};
    return sys_list_dir(dir, sweep_one, &f, e);
}

uint32_t set_number_of(struct str name, struct str suffix) {
    uint64_t v;
    if (name.n < 9 + suffix.n || name.p[0] != 'v' || !str_ends(name, suffix)) return 0;
    if (!str_to_u64(str_sub(name, 1, name.n - 1 - suffix.n), &v) || v == 0 || v >= UINT32_MAX) return 0;
    char again[32];
    snprintf(again, sizeof again, "v%08u", (unsigned)v);
    return str_eqz(str_sub(name, 0, name.n - suffix.n), again) ? (uint32_t)v : 0;
}

// ---- life ----

static bool set_init(struct vol_set *vs, const struct vol_options *o, struct err *e) {
    pthread_condattr_t monotonic;
    vs->driver = o->remote ? &remote_driver : &directory_driver;
    snprintf(vs->staging, sizeof vs->staging, "%.3000s/staging", o->dir);
    vs->files = o->files;
    vs->own_volume_bytes = o->own_volume_bytes ? o->own_volume_bytes : STORE_OWN_VOLUME_BYTES;
    if (vs->own_volume_bytes > STORE_OWN_VOLUME_BYTES) vs->own_volume_bytes = STORE_OWN_VOLUME_BYTES;
    vs->opened_read_only = o->read_only;
    vs->index = o->index;
    vs->alarm = o->alarm;
    pthread_mutex_init(&vs->turn, NULL);
    pthread_mutex_init(&vs->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&vs->gather, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&vs->work, NULL);
    pthread_cond_init(&vs->digests, NULL);
    pthread_cond_init(&vs->alone_done, NULL);
    pthread_mutex_init(&vs->keys.lock, NULL);
    vs->zeros = aligned_alloc(STORE_PAGE, STORE_PREPARE_BYTES);
    vs->entry_keys = calloc(1, sizeof *vs->entry_keys);
    if (!vs->zeros || !vs->entry_keys) return err_nomem(e, "store");
    pthread_mutex_init(&vs->entry_keys->lock, NULL);
    memset(vs->zeros, 0, STORE_PREPARE_BYTES);
    return true;
}

bool vol_open(const struct vol_options *o, struct vol_set **out, struct err *e) {
    *out = NULL;
    if (strlen(o->dir) > 3000) return err_set(e, ERR_USAGE, "store", "the data directory's path is too long");
    struct vol_set *vs = calloc(1, sizeof *vs);
    if (!vs) return err_nomem(e, "store");
    if (set_init(vs, o, e) && (o->read_only || sys_mkdir(o->dir, e)) && vs->driver->start(vs, o, e)) {
        *out = vs;
        return true;
    }
    vol_close(vs);
    return err_wrap(e, "open the volumes of %s", o->dir);
}

void vol_close(struct vol_set *vs) {
    if (!vs) return;
    pthread_mutex_lock(&vs->lock);
    vs->closing = true;
    pthread_cond_broadcast(&vs->work);
    pthread_cond_broadcast(&vs->gather);
    pthread_mutex_unlock(&vs->lock);
    if (vs->driver->closing) vs->driver->closing(vs);
    writers_stop(vs);
    vs->driver->stop(vs);
    pthread_cond_destroy(&vs->work);
    pthread_cond_destroy(&vs->gather);
    pthread_cond_destroy(&vs->digests);
    pthread_cond_destroy(&vs->alone_done);
    pthread_mutex_destroy(&vs->lock);
    pthread_mutex_destroy(&vs->turn);
    keys_close(vs);
    pthread_mutex_destroy(&vs->keys.lock);
    if (vs->entry_keys) {
        pthread_mutex_destroy(&vs->entry_keys->lock);
        cipher_wipe(vs->entry_keys, sizeof *vs->entry_keys);
    }
    free(vs->entry_keys);
    free(vs->zeros);
    free(vs);
}

// ---- listing ----

bool numbers_add(struct numbers *l, uint32_t number, struct err *e) {
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        uint32_t *p = realloc(l->p, cap * sizeof *p);
        if (!p) return err_nomem(e, "store");
        l->p = p;
        l->cap = cap;
    }
    l->p[l->n++] = number;
    return true;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void numbers_sort(struct numbers *l) {
    if (l->n) qsort(l->p, l->n, sizeof *l->p, by_number);
}

bool vol_list(struct vol_set *vs, uint32_t **out, size_t *n, struct err *e) {
    struct numbers l = {0};
    *out = NULL;
    *n = 0;
    if (!vs->driver->list(vs, &l, e)) {
        free(l.p);
        return false;
    }
    numbers_sort(&l);
    *out = l.p;
    *n = l.n;
    return true;
}

bool vol_each(struct vol_set *vs, vol_each_visit *visit, void *ctx, struct err *e) {
    return vs->driver->each(vs, 0, visit, ctx, e);
}

bool vol_beyond(struct vol_set *vs, uint32_t after, vol_each_visit *visit, void *ctx, struct err *e) {
    return !vs->remote || vs->driver->each(vs, after, visit, ctx, e);
}

// ---- reading ----

static bool place_ok(struct vol_loc loc, struct err *e) {
    if (loc.length <= (uint64_t)STORE_OBJECT_BYTES_MAX && loc.offset <= INT64_MAX / 2) return true;
    return err_set(e, ERR_CORRUPT, "store", "impossible location");
}

bool vol_fd(struct vol_set *vs, struct vol_loc loc, int *fd, struct err *e) {
    return place_ok(loc, e) && vs->driver->fd(vs, loc, fd, e);
}

void vol_fd_release(struct vol_set *vs, uint32_t volume, int fd) {
    vs->driver->fd_release(vs, volume, fd);
}

bool vol_encrypts(const struct vol_set *vs) {
    return vs->keys.writes;
}

bool vol_state_get(struct vol_set *vs, uint32_t volume, struct vol_state *out, struct err *e) {
    return vs->driver->state(vs, volume, out, e);
}

bool vol_read_at(struct vol_set *vs, struct vol_loc loc, uint64_t from, void *p, size_t n, struct err *e) {
    if (from > loc.length || n > loc.length - from) return err_set(e, ERR_BAD_INPUT, "store", "read past the end of an object");
    return place_ok(loc, e) && (vol_is_encrypted(loc) ? sealed_read : vs->driver->read)(vs, loc, from, p, n, e);
}

bool vol_refetch(struct vol_set *vs, struct vol_loc loc) {
    return vs->driver->refetch(vs, loc);
}

// ---- what is there ----

bool set_writable(const struct vol_set *vs, struct err *e) {
    return !vs->opened_read_only || err_set(e, ERR_FORBIDDEN, "store", "the archive was opened for reading only");
}

// Its key goes with it: copies that others may have made of it are nobody's any more.
bool vol_remove(struct vol_set *vs, uint32_t volume, struct err *e) {
    return set_writable(vs, e) && vs->driver->remove(vs, volume, e) && keys_destroy(vs, volume, e);
}

static bool no_classes(struct err *e) {
    return err_set(e, ERR_UNSUPPORTED, "store", "volumes of a directory have no storage classes");
}

bool vol_set_class(struct vol_set *vs, uint32_t volume, const char *storage_class, struct err *e) {
    if (!vs->driver->set_class) return no_classes(e);
    return set_writable(vs, e) && vs->driver->set_class(vs, volume, storage_class, e);
}

bool vol_restore(struct vol_set *vs, uint32_t volume, unsigned days, struct err *e) {
    if (!vs->driver->restore) return no_classes(e);
    return vs->driver->restore(vs, volume, days, e);
}

bool vol_legal_hold(struct vol_set *vs, uint32_t volume, bool on, struct err *e) {
    if (!vs->driver->legal_hold) return err_set(e, ERR_UNSUPPORTED, "store", "volumes of a directory cannot be locked");
    return set_writable(vs, e) && vs->driver->legal_hold(vs, volume, on, e);
}

bool vol_abort_stale(struct vol_set *vs, int64_t before_ms, unsigned *aborted, struct err *e) {
    *aborted = 0;
    return !vs->driver->abort_stale || (set_writable(vs, e) && vs->driver->abort_stale(vs, before_ms, aborted, e));
}

void vol_stats_get(struct vol_set *vs, struct vol_stats *out) {
    uint64_t total;
    pthread_mutex_lock(&vs->lock);
    *out = vs->stats;
    pthread_mutex_unlock(&vs->lock);
    if (!sys_room(vs->files, vs->home, &out->bytes_free_disk, &total, NULL)) out->bytes_free_disk = 0;
    out->read_only |= vs->opened_read_only;
    if (vs->driver->stats) vs->driver->stats(vs, out);
}
