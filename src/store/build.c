// A volume made aside of entries of others, for both kinds of sets: a staging file that becomes a volume when it is finished.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/seal.h"
#include "store/set.h"
#include "sys/digest.h"

enum { COPY_BYTES = 1 << 20 };

struct vol_build {
    struct vol_set *vs;
    int fd;
    uint32_t number; // 0: none yet
    uint64_t end;    // of the last entry
    bool finished;
    struct volume_reader reader; // of the volume that the last entry came from; vs NULL: none
    struct digest digest;
    char *chunk;       // COPY_BYTES
    uint8_t *segments; // the same, encrypted; NULL until it is needed
    char path[STORE_PATH_MAX];
};

bool vol_build_open(struct vol_set *vs, struct vol_build **out, struct err *e) {
    if (!set_writable(vs, e)) return false;
    struct vol_build *b = calloc(1, sizeof *b);
    if (!b) return err_nomem(e, "store");
    pthread_mutex_lock(&vs->lock);
    uint64_t name = vs->spools++;
    pthread_mutex_unlock(&vs->lock);
    b->vs = vs;
    b->fd = -1;
    snprintf(b->path, sizeof b->path, "%.4000s/b%llu.tar", vs->staging, (unsigned long long)name);
    b->chunk = malloc(COPY_BYTES);
    bool ok = b->chunk ? digest_init(&b->digest, e) : err_nomem(e, "store");
    if (ok && sys_open(vs->files, b->path, O_RDWR | O_CREAT | O_TRUNC, 0640, &b->fd, e)) {
        *out = b;
        return true;
    }
    b->path[0] = '\0';
    vol_build_drop(b);
    return false;
}

static void close_reader(struct vol_build *b) {
    if (b->reader.vs) b->vs->driver->reader_close(&b->reader);
    b->reader = (struct volume_reader){0};
}

void vol_build_drop(struct vol_build *b) {
    if (!b) return;
    close_reader(b);
    sys_close(b->vs->files, b->fd);
    if (b->path[0]) sys_unlink(b->vs->files, b->path, NULL);
    digest_deinit(&b->digest);
    free(b->chunk);
    free(b->segments);
    free(b);
}

// Stays open from entry to entry.
static bool open_reader(struct vol_build *b, uint32_t volume, bool cached, struct err *e) {
    if (b->reader.vs && b->reader.volume == volume && b->reader.cached == cached) return true;
    close_reader(b);
    struct volume_reader r = {.vs = b->vs, .volume = volume, .cached = cached};
    if (!b->vs->driver->reader_open(&r, e)) return false;
    b->reader = r;
    return true;
}

static bool read_exactly(struct vol_build *b, void *p, size_t n, uint64_t at, struct err *e) {
    size_t got;
    if (!b->vs->driver->reader_read(&b->reader, p, n, at, &got, e)) return false;
    return got == n || err_set(e, ERR_CORRUPT, "store", "volume %u ends within an entry", b->reader.volume);
}

static bool open_head(struct vol_build *b, enum tar_result *result, struct tar_head *head, char *text, struct err *e) {
    struct vol_key key;
    if (*result != TAR_SEALED) return true;
    bool ok = keys_find(b->vs, b->reader.volume, &key, e) && tar_unseal(&key, head, text, result, e);
    cipher_wipe(&key, sizeof key);
    return ok;
}

// The headers that end where the entry's bytes begin; how long they are is in themselves.
static bool find_head(struct vol_build *b, const struct vol_loc *loc, char *head, char *text, struct tar_head *out, struct err *e) {
    uint64_t end = loc->offset - (vol_is_encrypted(*loc) ? TAR_ENVELOPE : 0);
    size_t n = end < TAR_HEAD_MAX ? (size_t)end : TAR_HEAD_MAX;
    if (end % TAR_BLOCK) return err_set(e, ERR_BAD_INPUT, "store", "no entry's bytes begin at %llu", (unsigned long long)loc->offset);
    if (!read_exactly(b, head, n, end - n, e)) return false;
    for (size_t back = TAR_BLOCK; back <= n; back += TAR_BLOCK) {
        enum tar_result result = tar_decode(head + n - back, back, end - back, out);
        bool here = (result == TAR_ENTRY || result == TAR_SEALED) && out->entry.loc.offset == loc->offset && out->entry.loc.length == loc->length;
        if (!here) continue;
        if (!open_head(b, &result, out, text, e)) return false;
        if (result == TAR_ENTRY) return true;
    }
    return err_set(e, ERR_CORRUPT, "store", "volume %u has no whole headers before byte %llu", loc->volume, (unsigned long long)loc->offset);
}

// A chunk as it comes to lie, from an offset of the object on.
static bool write_chunk(struct vol_build *b, struct sealing *s, uint64_t length, uint64_t at, size_t n, uint64_t to, struct err *e) {
    if (!s) return sys_write_at(b->vs->files, b->fd, b->chunk, n, to + at, e);
    uint64_t first = at / SEAL_SEGMENT;
    uint8_t *out = b->segments;
    for (size_t done = 0, k; done < n; done += k) {
        k = n - done < SEAL_SEGMENT ? n - done : SEAL_SEGMENT;
        struct iovec part = {b->chunk + done, k};
        if (!sealing_add(s, &part, 1, at + done + k == length, out, e)) return false;
        out += k + CIPHER_TAG_BYTES;
    }
    return sys_write_at(b->vs->files, b->fd, b->segments, (size_t)(out - b->segments), to + first * SEAL_UNIT, e);
}

static bool copy_bytes(struct vol_build *b, const struct vol_entry *from, const struct vol_entry *en, struct sealing *s, uint64_t to, struct err *e) {
    uint64_t length = from->loc.length, padding = tar_round(tar_stored(en)) - tar_stored(en);
    struct payload p;
    bool ok = payload_open(&p, &b->reader, from->loc, e);
    for (uint64_t at = 0, n; ok && at < length; at += n) {
        size_t got;
        n = length - at < COPY_BYTES ? length - at : COPY_BYTES;
        ok = payload_read(&p, at, b->chunk, (size_t)n, &got, e) &&
             (got == n || err_set(e, ERR_CORRUPT, "store", "volume %u ends within an entry", b->reader.volume));
        if (ok) digest_add(&b->digest, b->chunk, (size_t)n);
        ok = ok && write_chunk(b, s, length, at, (size_t)n, to, e);
    }
    payload_close(&p);
    return ok && sys_write_at(b->vs->files, b->fd, b->vs->zeros, (size_t)padding, to + (s ? seal_bytes(length) : length), e);
}

static bool is_given(const uint8_t digest[VOL_DIGEST_BYTES]) {
    static const uint8_t none[VOL_DIGEST_BYTES];
    return memcmp(digest, none, sizeof none) != 0;
}

static bool check_digest(struct vol_build *b, const struct vol_entry *from, const struct vol_entry *entry, struct err *e) {
    uint8_t found[VOL_DIGEST_BYTES];
    if (!digest_final(&b->digest, found, e)) return false;
    bool same = memcmp(found, entry->digest, sizeof found) == 0 && (!is_given(from->digest) || memcmp(found, from->digest, sizeof found) == 0);
    if (same) return true;
    return err_set(e, ERR_CORRUPT, "store", "the bytes at %llu of volume %u are not those that were stored", (unsigned long long)from->loc.offset,
                   from->loc.volume);
}

// Headers, and of an encrypted entry the envelope.
static bool write_head(struct vol_build *b, const struct vol_entry *en, const struct sealing *s, size_t n, struct err *e) {
    char head[TAR_HEAD_MAX];
    uint8_t envelope[TAR_ENVELOPE];
    struct vol_key key = {0};
    bool ok = !s || keys_make(b->vs, b->number, &key, e);
    ok = ok && tar_encode_with(&key, en, b->end, 0, n, head, e) && sys_write_at(b->vs->files, b->fd, head, n, b->end, e);
    if (ok && s)
        ok = seal_envelope(&key, s, b->end + n + TAR_ENVELOPE, envelope, e) && sys_write_at(b->vs->files, b->fd, envelope, TAR_ENVELOPE, b->end + n, e);
    cipher_wipe(&key, sizeof key);
    return ok;
}

// en: as it is to lie there. Whatever it was, it is encrypted anew or not at all.
static bool write_entry(struct vol_build *b, const struct vol_entry *from, struct vol_entry *en, struct vol_loc *to, struct err *e) {
    struct sealing s = {0};
    en->sealed = b->vs->keys.writes;
    size_t n = tar_head_min(en), before = n + (en->sealed ? TAR_ENVELOPE : 0);
    if (en->sealed && !b->segments) b->segments = malloc(COPY_BYTES / SEAL_SEGMENT * SEAL_UNIT);
    if (en->sealed && !b->segments) return err_nomem(e, "store");
    bool ok = (!en->sealed || sealing_begin(&s, b->vs->keys.kind, e)) && write_head(b, en, en->sealed ? &s : NULL, n, e) &&
              copy_bytes(b, from, en, en->sealed ? &s : NULL, b->end + before, e);
    sealing_end(&s);
    *to = (struct vol_loc){b->number, b->end + before, from->loc.length};
    return ok;
}

static bool add_once(struct vol_build *b, const struct vol_entry *from, bool cached, struct vol_loc *to, struct err *e) {
    char old[TAR_HEAD_MAX], text[TAR_HEAD_MAX];
    struct tar_head head;
    if (!open_reader(b, from->loc.volume, cached, e) || !find_head(b, &from->loc, old, text, &head, e) || !digest_reset(&b->digest, e)) return false;
    if (!write_entry(b, from, &head.entry, to, e) || !check_digest(b, from, &head.entry, e)) return false;
    b->end = to->offset - (head.entry.sealed ? TAR_ENVELOPE : 0) + tar_round(tar_stored(&head.entry));
    return true;
}

bool vol_build_add(struct vol_build *b, const struct vol_entry *from, struct vol_loc *to, struct err *e) {
    uint64_t room;
    struct err why = {0};
    if (from->loc.length > (uint64_t)STORE_OBJECT_BYTES_MAX) return err_set(e, ERR_CORRUPT, "store", "impossible location");
    if (b->finished) return err_set(e, ERR_INTERNAL, "store", "the volume is finished");
    if (!set_room(b->vs, tar_round(TAR_ENVELOPE + seal_bytes(from->loc.length)) + TAR_HEAD_MAX, &room, e)) return false;
    if (!b->number && !b->vs->driver->number(b->vs, &b->number, e)) return false;
    if (add_once(b, from, true, to, &why)) return true;
    // What a cache has may be damaged: the volume itself is asked.
    if (why.kind == ERR_CORRUPT && b->vs->remote) {
        b->vs->driver->refetch(b->vs, from->loc);
        return add_once(b, from, false, to, e);
    }
    if (e) *e = why;
    return false;
}

bool vol_build_finish(struct vol_build *b, struct vol_info *out, struct err *e) {
    struct vol_set *vs = b->vs;
    uint64_t size = b->end + TAR_EOF_BYTES;
    close_reader(b);
    if (b->end == 0) return err_set(e, ERR_BAD_INPUT, "store", "a volume without entries");
    // Cut first: what an entry left behind that came to nothing is no part of it.
    if (!sys_resize(vs->files, b->fd, b->end, e) || !sys_resize(vs->files, b->fd, size, e)) return false;
    if (!vs->driver->keep(vs, b->number, b->fd, b->path, size, e)) return err_wrap(e, "volume %u", b->number);
    b->path[0] = '\0'; // the name is the volume's now
    b->finished = true;
    *out = (struct vol_info){.volume = b->number, .place = vs->dir ? VOL_IN_DIRECTORY : VOL_IN_BUCKET, .size = size, .created_ms = clock_wall_ms()};
    set_count(vs, 0, size, 1);
    return true;
}
