// A whole volume of another set, byte for byte and under its own number.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/seal.h"
#include "store/set.h"

enum { COPY_BYTES = 1 << 20 };

static bool copy_bytes(struct volume_reader *r, struct vol_set *to, int fd, uint64_t n, struct err *e) {
    char *buffer = malloc(COPY_BYTES);
    if (!buffer) return err_nomem(e, "store");
    bool ok = true;
    for (uint64_t at = 0; ok && at < n;) {
        size_t got, some = n - at < COPY_BYTES ? (size_t)(n - at) : COPY_BYTES;
        ok = r->vs->driver->reader_read(r, buffer, some, at, &got, e) && (got > 0 || err_set(e, ERR_CORRUPT, "store", "volume %u ends too soon", r->volume)) &&
             sys_write_at(to->files, fd, buffer, got, at, e);
        at += got;
    }
    free(buffer);
    return ok;
}

static bool fill(struct volume_reader *r, struct vol_set *to, int fd, uint64_t end, uint64_t *size, struct err *e) {
    uint64_t room, n = end < r->size ? end : r->size;
    *size = end == VOL_WHOLE ? n : n + TAR_EOF_BYTES;
    return set_room(to, *size, &room, e) && copy_bytes(r, to, fd, n, e) && sys_resize(to->files, fd, *size, e);
}

// Nothing that is not whole gets a volume's name.
static bool place(struct volume_reader *r, struct vol_set *to, uint64_t end, struct vol_info *out, struct err *e) {
    char path[STORE_PATH_MAX];
    int fd = -1;
    snprintf(path, sizeof path, "%.4000s/copy-v%08u.tar", to->staging, r->volume);
    bool ok = sys_open(to->files, path, O_RDWR | O_CREAT | O_TRUNC, 0640, &fd, e) && fill(r, to, fd, end, &out->size, e) &&
              to->driver->keep(to, r->volume, fd, path, out->size, e);
    sys_close(to->files, fd);
    if (!ok) sys_unlink(to->files, path, NULL);
    return ok;
}

static bool begins_sealed(struct volume_reader *r, bool *sealed, struct err *e) {
    char head[TAR_HEAD_MAX];
    struct tar_head first;
    size_t got;
    if (!r->vs->driver->reader_read(r, head, sizeof head, 0, &got, e)) return false;
    *sealed = tar_decode(head, got, 0, &first) == TAR_SEALED;
    return true;
}

// Of an encrypted volume the key comes along, under the other set's master key. One that begins in the open may go on encrypted.
static bool copy_key(struct volume_reader *r, struct vol_set *to, struct err *e) {
    struct vol_key key;
    struct err why = {0};
    bool sealed;
    if (!begins_sealed(r, &sealed, e)) return false;
    if (!keys_find(r->vs, r->volume, &key, &why)) {
        if (!sealed) return true;
        if (e) *e = why;
        return false;
    }
    bool ok = keys_take(to, &key, e);
    cipher_wipe(&key, sizeof key);
    return ok;
}

bool vol_copy(struct vol_set *to, struct vol_set *from, uint32_t volume, uint64_t end, struct vol_info *out, struct err *e) {
    struct volume_reader r = {.vs = from, .volume = volume};
    *out = (struct vol_info){.volume = volume, .place = to->remote ? VOL_IN_BUCKET : VOL_IN_DIRECTORY};
    if (!set_writable(to, e) || !from->driver->reader_open(&r, e)) return false;
    bool ok = copy_key(&r, to, e) && place(&r, to, end, out, e);
    from->driver->reader_close(&r);
    if (ok) set_count(to, 0, out->size, 1);
    return ok || err_wrap(e, "copy volume %u", volume);
}
