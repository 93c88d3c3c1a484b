// A volume set: opening, closing, listing, reading and removing volumes.
#include "store/volume.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "store/set.h"

void set_path(const struct vol_set *vs, uint32_t volume, char out[STORE_PATH_MAX]) {
    snprintf(out, STORE_PATH_MAX, "%.4000s/v%08u.tar", vs->volumes, volume);
}

void set_alarm(struct vol_set *vs, const struct err *e) {
    log_err(e, "store alarm");
    if (vs->alarm) vs->alarm(vs->index.ctx, e);
}

bool set_room(struct vol_set *vs, uint64_t need, uint64_t *room, struct err *e) {
    uint64_t available, total;
    if (!sys_room(vs->files, vs->volumes, &available, &total, e)) return false;
    uint64_t reserve = total / 16 < STORE_RESERVE_BYTES_MAX ? total / 16 : STORE_RESERVE_BYTES_MAX;
    *room = available > reserve ? available - reserve : 0;
    if (*room >= need) return true;
    return err_set(e, ERR_FULL, "store", "no room on the disk of %s: %llu bytes are free, %llu of them are kept for the index; make room", vs->volumes,
                   (unsigned long long)available, (unsigned long long)reserve);
}

static bool sweep_one(void *ctx, const char *name, struct err *e) {
    struct vol_set *vs = ctx;
    char path[STORE_PATH_MAX];
    snprintf(path, sizeof path, "%.3800s/%.255s", vs->staging, name);
    return sys_unlink(vs->files, path, e);
}

static bool make_dirs(struct vol_set *vs, const char *dir, struct err *e) {
    if (!sys_mkdir(dir, e) || !sys_mkdir(vs->volumes, e) || !sys_mkdir(vs->staging, e)) return false;
    return sys_flush_dir(vs->files, dir, e) && sys_list_dir(vs->staging, sweep_one, vs, e);
}

static bool set_init(struct vol_set *vs, const struct vol_options *o, struct err *e) {
    pthread_condattr_t monotonic;
    snprintf(vs->volumes, sizeof vs->volumes, "%.3000s/volumes", o->dir);
    snprintf(vs->staging, sizeof vs->staging, "%.3000s/staging", o->dir);
    snprintf(vs->lost, sizeof vs->lost, "%.3000s/lost", o->dir);
    snprintf(vs->spare.path, sizeof vs->spare.path, "%.3000s/staging/spare.tar", o->dir);
    vs->files = o->files;
    vs->volume_bytes = o->volume_bytes ? o->volume_bytes : STORE_VOLUME_BYTES;
    vs->own_volume_bytes = o->own_volume_bytes ? o->own_volume_bytes : STORE_OWN_VOLUME_BYTES;
    if (vs->own_volume_bytes > STORE_OWN_VOLUME_BYTES) vs->own_volume_bytes = STORE_OWN_VOLUME_BYTES;
    vs->opened_read_only = o->read_only;
    vs->index = o->index;
    vs->alarm = o->alarm;
    vs->open.fd = vs->spare.fd = vs->spare.direct_fd = -1;
    pthread_mutex_init(&vs->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&vs->work, &monotonic);
    pthread_cond_init(&vs->chore, &monotonic);
    pthread_condattr_destroy(&monotonic);
    fds_init(vs);
    vs->zeros = aligned_alloc(STORE_PAGE, STORE_PREPARE_BYTES);
    if (!vs->zeros) return err_nomem(e, "store");
    memset(vs->zeros, 0, STORE_PREPARE_BYTES);
    return true;
}

static bool set_start(struct vol_set *vs, const struct vol_options *o, struct err *e) {
    if (o->read_only) return true;
    if (!make_dirs(vs, o->dir, e) || !segment_resume(vs, o->known_end, e)) return false;
    return spare_start(vs, e) && writer_start(vs, e);
}

bool vol_open(const struct vol_options *o, struct vol_set **out, struct err *e) {
    *out = NULL;
    if (strlen(o->dir) > 3000) return err_set(e, ERR_USAGE, "store", "the data directory's path is too long");
    struct vol_set *vs = calloc(1, sizeof *vs);
    if (!vs) return err_nomem(e, "store");
    if (set_init(vs, o, e) && set_start(vs, o, e)) {
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
    pthread_cond_broadcast(&vs->chore);
    pthread_mutex_unlock(&vs->lock);
    writer_stop(vs);
    spare_stop(vs);
    sys_close(vs->files, vs->open.fd); // all its entries are flushed
    for (struct retired *r = vs->abandoned, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    fds_deinit(vs);
    pthread_cond_destroy(&vs->work);
    pthread_cond_destroy(&vs->chore);
    pthread_mutex_destroy(&vs->lock);
    free(vs->zeros);
    free(vs);
}

struct numbers {
    uint32_t *p;
    size_t n, cap;
};

static bool volume_number(const char *name, uint32_t *out) {
    struct str s = str_of(name);
    uint64_t v;
    if (s.n < 13 || s.p[0] != 'v' || !str_ends(s, STR_LIT(".tar"))) return false;
    if (!str_to_u64(str_sub(s, 1, s.n - 5), &v) || v == 0 || v >= UINT32_MAX) return false;
    char again[32];
    snprintf(again, sizeof again, "v%08u.tar", (unsigned)v);
    *out = (uint32_t)v;
    return strcmp(again, name) == 0;
}

static bool list_one(void *ctx, const char *name, struct err *e) {
    struct numbers *l = ctx;
    uint32_t number;
    if (!volume_number(name, &number)) return true; // not ours: left alone
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

bool vol_list(struct vol_set *vs, uint32_t **out, size_t *n, struct err *e) {
    struct numbers l = {0};
    *out = NULL;
    *n = 0;
    if (!sys_list_dir(vs->volumes, list_one, &l, e)) {
        free(l.p);
        return false;
    }
    if (l.n) qsort(l.p, l.n, sizeof *l.p, by_number);
    *out = l.p;
    *n = l.n;
    return true;
}

bool vol_fd(struct vol_set *vs, struct vol_loc loc, int *fd, struct err *e) {
    return fds_get(vs, loc.volume, fd, e);
}

bool vol_state_get(struct vol_set *vs, uint32_t volume, struct vol_state *out, struct err *e) {
    struct sys_stat st;
    int fd;
    if (!fds_get(vs, volume, &fd, e)) return false;
    bool ok = sys_stat_fd(fd, &st, e);
    vol_fd_release(vs, volume);
    if (ok) *out = (struct vol_state){.size = st.size, .growing = st.writable, .stamp = st.mtime_ns};
    return ok;
}

bool vol_read_at(struct vol_set *vs, struct vol_loc loc, uint64_t from, void *p, size_t n, struct err *e) {
    int fd;
    if (from > loc.length || n > loc.length - from) return err_set(e, ERR_BAD_INPUT, "store", "read past the end of an object");
    if (!vol_fd(vs, loc, &fd, e)) return false;
    bool ok = sys_read_at(vs->files, fd, p, n, loc.offset + from, e) || err_wrap(e, "volume %u", loc.volume);
    vol_fd_release(vs, loc.volume);
    return ok;
}

// The highest number goes to an empty archive before its volume goes: a number is never given to two volumes.
static bool keep_number(struct vol_set *vs, struct err *e) {
    struct segment s = {.fd = -1};
    char from[STORE_PATH_MAX], to[STORE_PATH_MAX];
    snprintf(from, sizeof from, "%.4000s/empty.tar", vs->staging);
    set_path(vs, vs->next_number, to);
    if (!sys_open(vs->files, from, O_RDWR | O_CREAT | O_TRUNC, 0640, &s.fd, e) || !segment_seal(vs, &s, e)) return false;
    if (!sys_rename(vs->files, from, to, e) || !sys_flush_dir(vs->files, vs->volumes, e)) return false;
    vs->next_number++;
    vs->stats.volumes++;
    return true;
}

bool vol_remove(struct vol_set *vs, uint32_t volume, struct err *e) {
    char path[STORE_PATH_MAX];
    struct sys_stat st = {0};
    int fd;
    if (vs->opened_read_only) return err_set(e, ERR_FORBIDDEN, "store", "the archive was opened for reading only");
    if (!fds_get(vs, volume, &fd, e)) return false;
    bool known = sys_stat_fd(fd, &st, e);
    vol_fd_release(vs, volume);
    if (!known) return false;
    set_path(vs, volume, path);
    pthread_mutex_lock(&vs->lock);
    bool busy = vs->open.fd >= 0 && vs->open.number == volume;
    for (struct retired *r = vs->retired; r; r = r->next) busy |= r->segment.number == volume;
    bool ok = !busy || err_set(e, ERR_BUSY, "store", "volume %u is being written", volume);
    // Under the lock: the next number must not change meanwhile.
    if (ok && volume + 1 == vs->next_number) ok = keep_number(vs, e);
    if (ok) ok = sys_unlink(vs->files, path, e);
    if (ok) vs->stats.volumes--;
    if (ok) vs->stats.bytes_used -= st.size < vs->stats.bytes_used ? st.size : vs->stats.bytes_used;
    pthread_mutex_unlock(&vs->lock);
    fds_forget(vs, volume);
    return ok && sys_flush_dir(vs->files, vs->volumes, e);
}

void vol_stats_get(struct vol_set *vs, struct vol_stats *out) {
    uint64_t total;
    pthread_mutex_lock(&vs->lock);
    *out = vs->stats;
    pthread_mutex_unlock(&vs->lock);
    if (!sys_room(vs->files, vs->volumes, &out->bytes_free_disk, &total, NULL)) out->bytes_free_disk = 0;
    out->read_only |= vs->opened_read_only;
}
