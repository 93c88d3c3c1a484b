// Bytes of a large object on their way: a file in staging/ that can become a volume by getting its headers and a new name.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/seal.h"
#include "store/set.h"

enum { WRITEBACK_BYTES = 8 << 20 }; // how far the disk is behind before it is asked to begin

// What waits here is encrypted as it will lie in a volume, under a key that nobody but this process knows until then.
static bool begin_sealing(struct vol_spool *s, struct err *e) {
    s->sealing = calloc(1, sizeof *s->sealing);
    s->pending = malloc(SEAL_SEGMENT);
    if (!s->sealing || !s->pending) return err_nomem(e, "store");
    return sealing_begin(s->sealing, s->vs->keys.kind, e);
}

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
    s->fd = -1;
    bool ok = (!vs->keys.writes || begin_sealing(s, e)) && set_room(vs, STORE_SPOOL_BYTES, &room, e) &&
              sys_open(vs->files, s->path, O_RDWR | O_CREAT | O_TRUNC, 0640, &s->fd, e);
    if (ok) {
        *out = s;
        return true;
    }
    s->path[0] = '\0';
    vol_spool_drop(s);
    return false;
}

// The disk writes while more bytes arrive, so that the flush at the end is short. Not before it is clear that the file will become a volume.
static void writeback(struct vol_spool *s) {
    if (s->size < s->vs->own_volume_bytes || s->size - s->started < WRITEBACK_BYTES) return;
    sys_start_writeback(s->fd, STORE_SPOOL_HEAD + s->started, s->size - s->started);
    s->started = s->size;
}

static uint64_t unit_at(uint64_t number) {
    return STORE_SPOOL_HEAD + TAR_ENVELOPE + number * SEAL_UNIT;
}

static bool write_segment(struct vol_spool *s, const void *p, size_t n, bool last, struct err *e) {
    uint8_t unit[SEAL_UNIT]; // of THREAD_STACK_BYTES
    struct iovec part = {(void *)(uintptr_t)p, n};
    uint64_t at = unit_at(s->sealing->next);
    return sealing_add(s->sealing, &part, 1, last, unit, e) && sys_write_at(s->vs->files, s->fd, unit, n + CIPHER_TAG_BYTES, at, e);
}

// A whole segment waits until more comes: the last one is marked.
static bool write_sealed(struct vol_spool *s, const char *p, size_t n, struct err *e) {
    if (s->sealed) return err_set(e, ERR_INTERNAL, "store", "a staging file is finished");
    while (n) {
        if (s->pending_n == SEAL_SEGMENT) {
            if (!write_segment(s, s->pending, SEAL_SEGMENT, false, e)) return false;
            s->pending_n = 0;
        }
        if (s->pending_n == 0 && n > SEAL_SEGMENT) {
            if (!write_segment(s, p, SEAL_SEGMENT, false, e)) return false;
            p += SEAL_SEGMENT, n -= SEAL_SEGMENT;
            continue;
        }
        size_t room = SEAL_SEGMENT - s->pending_n, k = n < room ? n : room;
        memcpy(s->pending + s->pending_n, p, k);
        s->pending_n += k;
        p += k, n -= k;
    }
    return true;
}

bool spool_seal(struct vol_spool *s, struct err *e) {
    if (!s->sealing || s->sealed) return true;
    s->sealed = s->pending_n == 0 || write_segment(s, s->pending, s->pending_n, true, e);
    return s->sealed;
}

bool vol_spool_write(struct vol_spool *s, const void *p, size_t n, struct err *e) {
    uint64_t room;
    if (n > (uint64_t)STORE_OBJECT_BYTES_MAX - s->size) return err_set(e, ERR_TOO_LARGE, "store", "object above %lld bytes", STORE_OBJECT_BYTES_MAX);
    bool ask = (s->size + n) / WRITEBACK_BYTES != s->size / WRITEBACK_BYTES;
    if (ask && !set_room(s->vs, n, &room, e)) return false;
    bool ok = s->sealing ? write_sealed(s, p, n, e) : sys_write_at(s->vs->files, s->fd, p, n, STORE_SPOOL_HEAD + s->size, e);
    if (!ok) return err_wrap(e, "staging file");
    s->size += n;
    writeback(s);
    return true;
}

// From the file, or what waits to be written.
static bool read_segment(struct vol_spool *s, struct cipher *c, uint64_t number, uint8_t *unit, uint8_t *out, struct err *e) {
    bool waits = !s->sealed && number == s->sealing->next;
    // The length counts for the mark of the last segment only: of what was written so far, none is marked before the end.
    uint64_t length = s->sealed ? s->size : UINT64_MAX / 2;
    size_t n = seal_segment_bytes(length, number);
    if (waits) memcpy(out, s->pending, s->pending_n);
    if (waits) return true;
    return sys_read_at(s->vs->files, s->fd, unit, n + CIPHER_TAG_BYTES, unit_at(number), e) && unseal_segment(c, length, number, unit, out, e);
}

static bool read_sealed(struct vol_spool *s, uint64_t offset, char *p, size_t n, struct err *e) {
    uint8_t *unit = malloc(SEAL_UNIT), *plain = malloc(SEAL_SEGMENT);
    struct cipher *c = unit && plain ? cipher_new(s->sealing->kind, s->sealing->key, false, e) : NULL;
    bool ok = c || (!(unit && plain) && err_nomem(e, "store"));
    for (size_t k; ok && n; p += k, offset += k, n -= k) {
        size_t skip = (size_t)(offset % SEAL_SEGMENT);
        k = SEAL_SEGMENT - skip < n ? SEAL_SEGMENT - skip : n;
        ok = read_segment(s, c, offset / SEAL_SEGMENT, unit, plain, e);
        if (ok) memcpy(p, plain + skip, k);
    }
    cipher_free(c);
    free(plain);
    free(unit);
    return ok;
}

bool vol_spool_read_at(struct vol_spool *s, uint64_t offset, void *p, size_t n, struct err *e) {
    if (offset > s->size || n > s->size - offset) return err_set(e, ERR_BAD_INPUT, "store", "read past the end of a staging file");
    if (s->sealing) return read_sealed(s, offset, p, n, e);
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
    if (s->sealing) sealing_end(s->sealing);
    free(s->sealing);
    free(s->pending);
    free(s);
}

static uint64_t stored_bytes(const struct vol_spool *s) {
    return s->sealing ? TAR_ENVELOPE + seal_bytes(s->size) : s->size;
}

bool spool_map(struct vol_spool *s, const void **p, struct err *e) {
    size_t before = STORE_SPOOL_HEAD + (s->sealing ? TAR_ENVELOPE : 0);
    if (!spool_seal(s, e)) return false;
    s->map_n = s->size ? (size_t)stored_bytes(s) + STORE_SPOOL_HEAD : 0;
    if (!sys_map(s->fd, s->map_n, &s->map, e)) return false;
    *p = s->map ? (const char *)s->map + before : NULL;
    return true;
}

uint64_t spool_volume_size(const struct vol_spool *s) {
    return STORE_SPOOL_HEAD + tar_round(stored_bytes(s)) + TAR_EOF_BYTES;
}

bool spool_finish(struct vol_spool *s, struct err *e) {
    uint64_t size = spool_volume_size(s);
    return spool_seal(s, e) && sys_resize(s->vs->files, s->fd, size, e) && (!s->vs->driver->durable_files || sys_flush(s->vs->files, s->fd, e));
}

static bool copy_all(struct vol_spool *from, struct vol_spool *to, struct err *e) {
    enum { CHUNK = 4 * SEAL_SEGMENT };
    char *chunk = malloc(CHUNK);
    if (!chunk) return err_nomem(e, "store");
    bool ok = true;
    for (uint64_t at = 0, n; ok && at < from->size; at += n) {
        n = from->size - at < CHUNK ? from->size - at : CHUNK;
        ok = vol_spool_read_at(from, at, chunk, (size_t)n, e) && vol_spool_write(to, chunk, (size_t)n, e);
    }
    free(chunk);
    return ok;
}

static bool copy_plain(struct vol_spool *from, struct vol_spool *to, struct err *e) {
    if (!sys_copy_range(from->vs->files, from->fd, STORE_SPOOL_HEAD, to->fd, STORE_SPOOL_HEAD + to->size, from->size, e)) return false;
    to->size += from->size;
    return true;
}

bool spool_prefix(struct vol_spool **s, const void *head, size_t n, struct err *e) {
    struct vol_spool *old = *s, *fresh;
    uint64_t room;
    if (!set_room(old->vs, old->size + n, &room, e) || !vol_spool_open(old->vs, &fresh, e)) return false;
    bool ok = vol_spool_write(fresh, head, n, e) && (old->sealing ? copy_all : copy_plain)(old, fresh, e);
    *s = ok ? fresh : old;
    vol_spool_drop(ok ? old : fresh);
    return ok;
}
