// Driver of volumes in a directory: groups appended to the volume that grows, with one flush for all; reading, listing and removing.
#include "store/directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

void directory_path(const struct vol_set *vs, uint32_t volume, char out[STORE_PATH_MAX]) {
    snprintf(out, STORE_PATH_MAX, "%.4000s/v%08u.tar", vs->dir->volumes, volume);
}

bool number_take(struct vol_set *vs, uint32_t *out, struct err *e) {
    pthread_mutex_lock(&vs->lock);
    *out = vs->dir->next_number;
    bool ok = *out < UINT32_MAX;
    vs->dir->next_number += ok;
    pthread_mutex_unlock(&vs->lock);
    return ok || err_set(e, ERR_INTERNAL, "store", "volume numbers are used up");
}

void number_give_back(struct vol_set *vs, uint32_t number) {
    pthread_mutex_lock(&vs->lock);
    if (vs->dir->next_number == number + 1) vs->dir->next_number = number;
    pthread_mutex_unlock(&vs->lock);
}

// ---- life ----

static bool make_dirs(struct vol_set *vs, const char *dir, struct err *e) {
    return sys_mkdir(vs->dir->volumes, e) && sys_mkdir(vs->staging, e) && sys_flush_dir(vs->files, dir, e) && set_sweep(vs, vs->staging, e);
}

static bool start(struct vol_set *vs, const struct vol_options *o, struct err *e) {
    struct directory *d = vs->dir = calloc(1, sizeof *d);
    pthread_condattr_t monotonic;
    if (!d) return err_nomem(e, "store");
    snprintf(d->volumes, sizeof d->volumes, "%.3000s/volumes", o->dir);
    snprintf(d->lost, sizeof d->lost, "%.3000s/lost", o->dir);
    snprintf(d->spare.path, sizeof d->spare.path, "%.3000s/staging/spare.tar", o->dir);
    snprintf(vs->home, sizeof vs->home, "%s", d->volumes);
    d->volume_bytes = o->volume_bytes ? o->volume_bytes : STORE_VOLUME_BYTES;
    d->open.fd = d->spare.fd = d->spare.direct_fd = -1;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->chore, &monotonic);
    pthread_condattr_destroy(&monotonic);
    snprintf(d->keys, sizeof d->keys, "%.3000s/keys", o->dir);
    fds_init(vs);
    if (!keys_open(vs, &directory_keys, o->encryption, e)) return false;
    if (o->read_only) return true;
    if (!keys_known(vs, e) || !make_dirs(vs, o->dir, e) || !segment_resume(vs, o->known_end, e)) return false;
    return spare_start(vs, e) && writers_start(vs, 1, e);
}

static void stop(struct vol_set *vs) {
    struct directory *d = vs->dir;
    if (!d) return;
    pthread_mutex_lock(&vs->lock);
    pthread_cond_broadcast(&d->chore);
    pthread_mutex_unlock(&vs->lock);
    spare_stop(vs);
    sys_close(vs->files, d->open.fd); // all its entries are flushed
    for (struct retired *r = d->abandoned, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    fds_deinit(vs);
    pthread_cond_destroy(&d->chore);
    free(d);
}

// ---- writing ----

static bool ensure_room(struct vol_set *vs, const struct group *g, struct err *e) {
    uint64_t need = group_need(g);
    if (vs->dir->open.fd >= 0 && vs->dir->open.end + need + TAR_EOF_BYTES <= vs->dir->open.size) return true;
    return segment_roll(vs, need, e);
}

static bool write_all(struct vol_set *vs, struct group *g, struct err *e) {
    int n = group_iov(vs, g);
    return sys_writev_at(vs->files, vs->dir->open.fd, g->iov, n, g->at, e);
}

// The bytes without their headers; the disk begins with them.
static bool write_ahead(struct vol_set *vs, struct group *g, struct err *e) {
    for (size_t i = 0; i < g->n; i++) {
        const struct vol_put *p = g->puts[i];
        if (p->outcome == VOL_KNOWN) continue;
        uint64_t begin = p->entry_at + p->head_bytes;
        if (!sys_writev_at(vs->files, vs->dir->open.fd, g->iov, group_add_bytes(vs, p, g->iov, 0), begin, e)) return false;
        sys_start_writeback(vs->dir->open.fd, begin, p->entry.end - begin);
    }
    return true;
}

static bool write_heads(struct vol_set *vs, struct group *g, struct err *e) {
    for (size_t i = 0; i < g->n; i++) {
        const struct vol_put *p = g->puts[i];
        if (p->outcome == VOL_KNOWN) continue;
        if (!sys_write_at(vs->files, vs->dir->open.fd, g->heads.p + p->head_at, p->head_bytes, p->entry_at, e)) return false;
    }
    return true;
}

static void count(struct vol_set *vs, const struct group *g, int64_t busy_us) {
    struct directory *d = vs->dir;
    uint64_t end = g->written.end;
    pthread_mutex_lock(&vs->lock);
    d->open.end = end;
    d->failures = 0;
    d->busy_us += (uint64_t)busy_us;
    vs->stats.flushes++;
    vs->stats.objects += g->stored;
    vs->stats.bytes_used += end - g->at;
    // The next volume is made ready when a quarter of this one is used.
    bool want = !d->spare.wanted && !d->spare.busy && d->spare.fd < 0 && end > d->open.size / 4;
    if (want) {
        d->spare.wanted = true;
        pthread_cond_broadcast(&d->chore);
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
    return err_wrap(e, "volume %u", g->written.volume);
}

static bool write_group(struct vol_set *vs, struct group *g, struct err *e) {
    if (!ensure_room(vs, g, e)) {
        not_begun(vs, e);
        return false;
    }
    group_place(g, vs->dir->open.number, vs->dir->open.end);
    // Nothing was written yet: that a key cannot be made is no failure of the disk.
    if (!group_wrap(vs, g, e)) return false;
    bool ahead = !group_digested(vs, g);
    int64_t began = clock_mono_us();
    if (ahead && !written(vs, g, write_ahead(vs, g, e), e)) return false;
    int64_t busy_us = clock_mono_us() - began;
    if (!group_await_digests(vs, g, e) || !group_encode(vs, g, e)) return ahead ? written(vs, g, false, e) : false;
    began = clock_mono_us();
    bool ok = (ahead ? write_heads(vs, g, e) : write_all(vs, g, e)) && sys_flush(vs->files, vs->dir->open.fd, e);
    if (!written(vs, g, ok, e)) return false;
    count(vs, g, busy_us + clock_mono_us() - began);
    return true;
}

// A flush (its bytes were flushed before, so it is a short one), the name.
static bool keep(struct vol_set *vs, uint32_t number, int fd, const char *from, uint64_t size, struct err *e) {
    char path[STORE_PATH_MAX];
    (void)size;
    directory_path(vs, number, path);
    if (!sys_mark_read_only(fd, e) || !sys_flush(vs->files, fd, e) || !sys_rename(vs->files, from, path, e)) return false;
    if (!sys_flush_dir(vs->files, vs->dir->volumes, e)) {
        sys_unlink(vs->files, path, NULL);
        return false;
    }
    pthread_mutex_lock(&vs->lock);
    if (number > vs->dir->highest) vs->dir->highest = number;
    if (number >= vs->dir->next_number) vs->dir->next_number = number + 1;
    pthread_mutex_unlock(&vs->lock);
    return true;
}

// A staging file becomes a volume.
static bool adopt(struct vol_set *vs, struct group *g, struct err *e) {
    struct vol_spool *s = g->puts[0]->spool;
    uint32_t number;
    if (!number_take(vs, &number, e)) return false;
    if (!group_adopt(vs, g, number, e) || !keep(vs, number, s->fd, s->path, 0, e)) {
        number_give_back(vs, number);
        return false;
    }
    s->path[0] = '\0'; // the name is the volume's now
    set_count(vs, 1, g->written.end, 1);
    return true;
}

static bool store(struct vol_set *vs, struct group *g, struct err *e) {
    if (!g->puts[0]->spool) return write_group(vs, g, e);
    if (adopt(vs, g, e)) return true;
    not_begun(vs, e);
    return false;
}

// ---- reading ----

static bool get_fd(struct vol_set *vs, struct vol_loc loc, int *fd, struct err *e) {
    return fds_get(vs, loc.volume, fd, e);
}

static bool read_at(struct vol_set *vs, struct vol_loc loc, uint64_t from, void *p, size_t n, struct err *e) {
    int fd;
    if (!fds_get(vs, loc.volume, &fd, e)) return false;
    bool ok = sys_read_at(vs->files, fd, p, n, loc.offset + from, e) || err_wrap(e, "volume %u", loc.volume);
    fds_release(vs, loc.volume, fd);
    return ok;
}

static bool refetch(struct vol_set *vs, struct vol_loc loc) {
    (void)vs, (void)loc;
    return false;
}

static bool stat_volume(struct vol_set *vs, uint32_t volume, struct sys_stat *st, struct err *e) {
    int fd;
    if (!fds_get(vs, volume, &fd, e)) return false;
    bool ok = sys_stat_fd(fd, st, e);
    fds_release(vs, volume, fd);
    return ok;
}

static bool state(struct vol_set *vs, uint32_t volume, struct vol_state *out, struct err *e) {
    struct sys_stat st;
    if (!stat_volume(vs, volume, &st, e)) return false;
    *out = (struct vol_state){.size = st.size, .growing = st.writable, .stamp = st.mtime_ns};
    return true;
}

static void limit_to(struct volume_reader *r, const struct retired *list) {
    for (; list; list = list->next)
        if (list->segment.number == r->volume) r->size = list->segment.end;
}

// The volume that grows is looked at up to its last flushed entry.
static bool reader_open(struct volume_reader *r, struct err *e) {
    const struct directory *d = r->vs->dir;
    struct sys_stat st;
    if (!fds_get(r->vs, r->volume, &r->fd, e)) return false;
    if (!sys_stat_fd(r->fd, &st, e)) {
        fds_release(r->vs, r->volume, r->fd);
        return false;
    }
    r->size = st.size;
    r->growing = st.writable;
    pthread_mutex_lock(&r->vs->lock);
    if (d->open.fd >= 0 && d->open.number == r->volume) r->size = d->open.end;
    limit_to(r, d->retired);
    limit_to(r, d->abandoned);
    pthread_mutex_unlock(&r->vs->lock);
    return true;
}

static bool reader_read(struct volume_reader *r, void *p, size_t n, uint64_t at, size_t *got, struct err *e) {
    return sys_read_upto(r->vs->files, r->fd, p, n, at, got, e);
}

static void reader_past(struct volume_reader *r, uint64_t at, uint64_t n) {
    sys_drop_cache(r->fd, at, n);
}

static void reader_close(struct volume_reader *r) {
    fds_release(r->vs, r->volume, r->fd);
}

// ---- listing and removing ----

static bool list_one(void *ctx, const char *name, struct err *e) {
    uint32_t number = set_number_of(str_of(name), STR_LIT(".tar"));
    return number == 0 || numbers_add(ctx, number, e); // what is not ours is left alone
}

static bool list(struct vol_set *vs, struct numbers *out, struct err *e) {
    return sys_list_dir(vs->dir->volumes, list_one, out, e);
}

static bool each(struct vol_set *vs, uint32_t after, vol_each_visit *visit, void *ctx, struct err *e) {
    (void)after; // no number is given out twice here
    struct numbers l = {0};
    bool ok = list(vs, &l, e);
    numbers_sort(&l);
    for (size_t i = 0; ok && i < l.n; i++) {
        struct sys_stat st;
        struct err own = {0};
        if (!stat_volume(vs, l.p[i], &st, &own)) {
            ok = own.kind == ERR_NOT_FOUND; // removed meanwhile
            if (!ok && e) *e = own;
            continue;
        }
        struct vol_info info = {.volume = l.p[i], .place = VOL_IN_DIRECTORY, .size = st.size, .created_ms = st.mtime_ns / 1000000};
        ok = visit(ctx, &info, e);
    }
    free(l.p);
    return ok;
}

// The highest number goes to an empty archive before its volume goes: a number is never given to two volumes. Under the lock.
static bool keep_number(struct vol_set *vs, struct err *e) {
    struct directory *d = vs->dir;
    struct segment s = {.fd = -1};
    char from[STORE_PATH_MAX], to[STORE_PATH_MAX];
    snprintf(from, sizeof from, "%.4000s/empty.tar", vs->staging);
    directory_path(vs, d->next_number, to);
    if (!sys_open(vs->files, from, O_RDWR | O_CREAT | O_TRUNC, 0640, &s.fd, e) || !segment_seal(vs, &s, e)) return false;
    if (!sys_rename(vs->files, from, to, e) || !sys_flush_dir(vs->files, d->volumes, e)) return false;
    d->highest = d->next_number++;
    vs->stats.volumes++;
    return true;
}

static bool remove_volume(struct vol_set *vs, uint32_t volume, struct err *e) {
    struct directory *d = vs->dir;
    char path[STORE_PATH_MAX];
    struct sys_stat st = {0};
    if (!stat_volume(vs, volume, &st, e)) return false;
    directory_path(vs, volume, path);
    pthread_mutex_lock(&vs->lock);
    bool busy = d->open.fd >= 0 && d->open.number == volume;
    for (struct retired *r = d->retired; r; r = r->next) busy |= r->segment.number == volume;
    bool ok = !busy || err_set(e, ERR_BUSY, "store", "volume %u is being written", volume);
    // Under the lock: the next number must not change meanwhile.
    if (ok && volume >= d->highest) ok = keep_number(vs, e);
    if (ok) ok = sys_unlink(vs->files, path, e);
    if (ok) vs->stats.volumes--;
    if (ok) vs->stats.bytes_used -= st.size < vs->stats.bytes_used ? st.size : vs->stats.bytes_used;
    pthread_mutex_unlock(&vs->lock);
    fds_forget(vs, volume);
    return ok && sys_flush_dir(vs->files, d->volumes, e);
}

const struct set_driver directory_driver = {
    .durable_files = true,
    .start = start,
    .stop = stop,
    .store = store,
    .number = number_take,
    .keep = keep,
    .fd = get_fd,
    .fd_release = fds_release,
    .read = read_at,
    .refetch = refetch,
    .state = state,
    .reader_open = reader_open,
    .reader_read = reader_read,
    .reader_past = reader_past,
    .reader_close = reader_close,
    .list = list,
    .each = each,
    .remove = remove_volume,
};
