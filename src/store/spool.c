// Bytes of a large object on their way: a file in staging/ that can become a volume by getting its headers and a new name.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/set.h"

enum { WRITEBACK_BYTES = 8 << 20 }; // how far the disk is behind before it is asked to begin

bool vol_spool_open(struct vol_set *vs, struct vol_spool **out, struct err *e) {
    if (vs->opened_read_only) return err_set(e, ERR_FORBIDDEN, "store", "the archive was opened for reading only");
    struct vol_spool *s = calloc(1, sizeof *s);
    if (!s) return err_nomem(e, "store");
    pthread_mutex_lock(&vs->lock);
    uint64_t name = vs->spools++;
    pthread_mutex_unlock(&vs->lock);
    s->vs = vs;
    snprintf(s->path, sizeof s->path, "%.4000s/s%llu.tar", vs->staging, (unsigned long long)name);
    uint64_t room;
    if (!set_room(vs, STORE_SPOOL_BYTES, &room, e) || !sys_open(vs->files, s->path, O_RDWR | O_CREAT | O_TRUNC, 0640, &s->fd, e)) {
        free(s);
        return false;
    }
    *out = s;
    return true;
}

// The disk writes while more bytes arrive, so that the flush at the end is short. Not before it is clear that the file will become a volume.
static void writeback(struct vol_spool *s) {
    if (s->size < s->vs->own_volume_bytes || s->size - s->started < WRITEBACK_BYTES) return;
    sys_start_writeback(s->fd, STORE_SPOOL_HEAD + s->started, s->size - s->started);
    s->started = s->size;
}

bool vol_spool_write(struct vol_spool *s, const void *p, size_t n, struct err *e) {
    uint64_t room;
    if (n > (uint64_t)STORE_OBJECT_BYTES_MAX - s->size) return err_set(e, ERR_TOO_LARGE, "store", "object above %lld bytes", STORE_OBJECT_BYTES_MAX);
    bool ask = (s->size + n) / WRITEBACK_BYTES != s->size / WRITEBACK_BYTES;
    if (ask && !set_room(s->vs, n, &room, e)) return false;
    if (!sys_write_at(s->vs->files, s->fd, p, n, STORE_SPOOL_HEAD + s->size, e)) return err_wrap(e, "staging file");
    s->size += n;
    writeback(s);
    return true;
}

bool vol_spool_read_at(struct vol_spool *s, uint64_t offset, void *p, size_t n, struct err *e) {
    if (offset > s->size || n > s->size - offset) return err_set(e, ERR_BAD_INPUT, "store", "read past the end of a staging file");
    return sys_read_at(s->vs->files, s->fd, p, n, STORE_SPOOL_HEAD + offset, e);
}

uint64_t vol_spool_size(const struct vol_spool *s) {
    return s->size;
}

void vol_spool_drop(struct vol_spool *s) {
    if (!s) return;
    sys_unmap(s->map, s->map_n);
    sys_close(s->vs->files, s->fd);
    if (s->path[0]) sys_unlink(s->vs->files, s->path, NULL); // swept at the next start when this fails
    free(s);
}

bool spool_map(struct vol_spool *s, const void **p, struct err *e) {
    s->map_n = s->size ? (size_t)s->size + STORE_SPOOL_HEAD : 0;
    if (!sys_map(s->fd, s->map_n, &s->map, e)) return false;
    *p = s->map ? (const char *)s->map + STORE_SPOOL_HEAD : NULL;
    return true;
}

uint64_t spool_volume_size(const struct vol_spool *s) {
    return STORE_SPOOL_HEAD + tar_round(s->size) + TAR_EOF_BYTES;
}

bool spool_finish(struct vol_spool *s, struct err *e) {
    uint64_t size = spool_volume_size(s);
    return sys_resize(s->vs->files, s->fd, size, e) && (!s->vs->driver->durable_files || sys_flush(s->vs->files, s->fd, e));
}

bool spool_prefix(struct vol_spool **s, const void *head, size_t n, struct err *e) {
    struct vol_spool *old = *s, *fresh;
    uint64_t room;
    if (!set_room(old->vs, old->size + n, &room, e) || !vol_spool_open(old->vs, &fresh, e)) return false;
    bool ok = vol_spool_write(fresh, head, n, e) && sys_copy_range(old->vs->files, old->fd, STORE_SPOOL_HEAD, fresh->fd, STORE_SPOOL_HEAD + n, old->size, e);
    fresh->size += ok ? old->size : 0;
    *s = ok ? fresh : old;
    vol_spool_drop(ok ? old : fresh);
    return ok;
}
