// Walking a volume's entries: replay, verification, and the search for its end after a crash.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/directory.h"
#include "store/seal.h"
#include "sys/digest.h"

enum { SCAN_BYTES = 1 << 18 }; // read at a time

struct scan {
    struct volume_reader reader;
    uint64_t limit;     // nothing is looked at from here on
    uint64_t gap_limit; // how far behind a break an entry is searched for
    bool verify;
    struct digest digest;
    char *buffer; // SCAN_BYTES
    char head[TAR_HEAD_MAX];
    struct vol_key key; // of the volume, when it was needed
    char text[TAR_HEAD_MAX];
};

static bool scan_init(struct scan *s, struct err *e) {
    s->buffer = malloc(SCAN_BYTES);
    if (!s->buffer) return err_nomem(e, "store");
    return digest_init(&s->digest, e);
}

static void scan_deinit(struct scan *s) {
    cipher_wipe(&s->key, sizeof s->key);
    digest_deinit(&s->digest);
    free(s->buffer);
}

static bool read_upto(struct scan *s, void *p, size_t n, uint64_t at, size_t *got, struct err *e) {
    return s->reader.vs->driver->reader_read(&s->reader, p, n, at, got, e);
}

// Headers that are whole but do not open were written under another key: no damage, and nothing that may be cleared.
static bool unseal(struct scan *s, enum tar_result *result, struct tar_head *head, struct err *e) {
    uint32_t volume = s->reader.volume;
    if (s->key.volume != volume && !keys_find(s->reader.vs, volume, &s->key, e)) return false;
    if (!tar_unseal(&s->key, head, s->text, result, e)) return false;
    if (*result == TAR_ENTRY) return true;
    return err_set(e, ERR_BUSY, "store", "volume %u was encrypted under another key than the one that is kept for it", volume);
}

static bool read_any_head(struct scan *s, uint64_t at, enum tar_result *result, struct tar_head *head, struct err *e) {
    size_t got, n = s->limit - at < TAR_HEAD_MAX ? (size_t)(s->limit - at) : TAR_HEAD_MAX;
    if (!read_upto(s, s->head, n, at, &got, e)) return false;
    *result = tar_decode(s->head, got, at, head);
    return true;
}

static bool read_head(struct scan *s, uint64_t at, enum tar_result *result, struct tar_head *head, struct err *e) {
    return read_any_head(s, at, result, head, e) && (*result != TAR_SEALED || unseal(s, result, head, e));
}

// In the midst of other bytes, where a sender of objects may have put what looks like an encrypted entry: it is one when its key is there, and an error
// only in a volume that begins with one.
static bool read_found_head(struct scan *s, uint64_t at, enum tar_result *result, struct tar_head *head, struct err *e) {
    struct err why = {0};
    struct tar_head first;
    enum tar_result begins;
    if (!read_any_head(s, at, result, head, e)) return false;
    if (*result != TAR_SEALED || unseal(s, result, head, &why)) return true;
    if (!read_any_head(s, 0, &begins, &first, e)) return false;
    bool of_the_moment = why.kind != ERR_BUSY && why.kind != ERR_NOT_FOUND;
    *result = TAR_BAD;
    if (begins != TAR_SEALED && !of_the_moment) return true;
    if (e) *e = why;
    return false;
}

static bool all_zero(const char *p, size_t n) {
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

// The object's bytes into the digest. *whole: all of them were there, and those that are encrypted are what was written.
static bool digest_data(struct scan *s, const struct vol_entry *en, bool *whole, struct err *e) {
    struct payload p;
    struct err why = {0};
    *whole = true;
    bool ok = payload_open(&p, &s->reader, en->loc, &why);
    for (uint64_t at = 0; ok && *whole && at < en->loc.length;) {
        size_t got, n = en->loc.length - at < SCAN_BYTES ? (size_t)(en->loc.length - at) : SCAN_BYTES;
        ok = payload_read(&p, at, s->buffer, n, &got, &why);
        *whole = ok && got == n;
        if (*whole) digest_add(&s->digest, s->buffer, n);
        at += n;
    }
    payload_close(&p);
    bool damaged = !ok && why.kind == ERR_CORRUPT;
    *whole &= !damaged;
    if (!ok && !damaged && e) *e = why;
    return ok || damaged;
}

// *same: the bytes have the entry's digest, and zeros fill up to its end. A file that ends before is not the same either.
static bool verify_data(struct scan *s, const struct vol_entry *en, bool *same, struct err *e) {
    uint8_t found[VOL_DIGEST_BYTES];
    uint64_t data_end = en->loc.offset + (en->sealed ? seal_bytes(en->loc.length) : en->loc.length);
    size_t got, padding = (size_t)(en->end - data_end);
    bool whole;
    *same = false;
    if (en->end > s->limit) return true;
    if (!digest_reset(&s->digest, e) || !digest_data(s, en, &whole, e) || !digest_final(&s->digest, found, e)) return false;
    if (!whole || memcmp(found, en->digest, sizeof found) != 0) return true;
    if (!read_upto(s, s->buffer, padding, data_end, &got, e)) return false;
    *same = got == padding && all_zero(s->buffer, padding);
    return true;
}

// Looks for the next entry of ours after a break at `at`. *next: where it lies, or gap_limit; *clean: there are only zeros up to there. min_durable: an entry
// counts only when what lies before that offset was flushed when it was written.
static bool find_next(struct scan *s, uint64_t at, uint64_t min_durable, uint64_t *next, bool *clean, struct err *e) {
    uint64_t stop = s->limit - at < s->gap_limit ? s->limit : at + s->gap_limit;
    struct tar_head head;
    enum tar_result result = TAR_BAD;
    *clean = true;
    *next = stop;
    for (uint64_t from = at; from < stop; from += SCAN_BYTES) {
        size_t got, n = stop - from < SCAN_BYTES ? (size_t)(stop - from) : SCAN_BYTES;
        if (!read_upto(s, s->buffer, n, from, &got, e)) return false;
        if (all_zero(s->buffer, got)) continue;
        *clean = false;
        for (size_t i = 0; i + TAR_BLOCK <= got; i += TAR_BLOCK) {
            if (from + i == at || memcmp(s->buffer + i + 257, "ustar", 6) != 0 || s->buffer[i + 156] != 'x') continue;
            if (!read_found_head(s, from + i, &result, &head, e)) return false;
            if (result != TAR_ENTRY || head.durable < min_durable) continue;
            *next = from + i;
            return true;
        }
    }
    return true;
}

// What cannot be read as an entry, or cannot be read at all.
static bool visit_gap(uint32_t volume, uint64_t at, uint64_t end, vol_visit *visit, void *ctx, struct err *e) {
    struct vol_entry gap = {.loc = {.volume = volume, .offset = at, .length = end - at}, .end = end};
    return visit(ctx, &gap, true, e);
}

// *at moves behind what was visited; *last behind the last entry. False also when visit stops the scan.
static bool scan_step(struct scan *s, uint32_t volume, uint64_t *at, uint64_t *last, bool *done, vol_visit *visit, void *ctx, struct err *e) {
    enum tar_result result;
    struct tar_head head;
    bool same = true, clean;
    uint64_t next;
    if (!read_head(s, *at, &result, &head, e)) return false;
    if (result == TAR_ENTRY) {
        if (s->verify && !verify_data(s, &head.entry, &same, e)) return false;
        head.entry.loc.volume = volume;
        same = same && head.entry.end <= s->limit;
        *last = *at = head.entry.end < s->limit ? head.entry.end : s->limit;
        return visit(ctx, &head.entry, !same, e);
    }
    if (!find_next(s, *at, 0, &next, &clean, e)) return false;
    *done = next == s->limit || next - *at == s->gap_limit;
    uint64_t from = *at;
    *at = next;
    if (clean && *done) return true;
    return visit_gap(volume, from, next, visit, ctx, e);
}

bool vol_scan(struct vol_set *vs, uint32_t volume, uint64_t from, bool verify, vol_visit *visit, void *ctx, uint64_t *end, struct err *e) {
    struct scan s = {.reader = {.vs = vs, .volume = volume}, .verify = verify};
    uint64_t last = from;
    if (end) *end = from;
    if (from % TAR_BLOCK) return err_set(e, ERR_BAD_INPUT, "store", "no entry begins at %llu", (unsigned long long)from);
    if (!vs->driver->reader_open(&s.reader, e)) return false;
    s.limit = s.reader.size;
    s.gap_limit = s.reader.growing ? STORE_TORN_BYTES : UINT64_MAX;
    bool done = false, ok = scan_init(&s, e);
    for (uint64_t at = from; ok && !done && at < s.limit;) ok = scan_step(&s, volume, &at, &last, &done, visit, ctx, e);
    scan_deinit(&s);
    vs->driver->reader_close(&s.reader);
    if (end) *end = last;
    return ok;
}

// True when a whole entry of ours lies behind the break at `at`.
static bool whole_behind(struct scan *s, uint64_t at, bool *found, struct err *e) {
    enum tar_result result;
    struct tar_head head;
    uint64_t next = at, limit = s->limit - at < STORE_TORN_BYTES ? s->limit : at + STORE_TORN_BYTES;
    bool clean;
    for (*found = false; !*found;) {
        if (!find_next(s, next, 0, &next, &clean, e)) return false;
        if (next >= limit) return true;
        if (!read_head(s, next, &result, &head, e)) return false;
        if (result == TAR_ENTRY && !verify_data(s, &head.entry, found, e)) return false;
    }
    return true;
}

// A power cut may leave whole entries of the last flush behind a torn one, and so may a bit that flipped in a flush that the index has not seen:
// the first were never acknowledged, the others were. They are copied to lost/ before they are cleared, and told.
static bool keep_aside(struct scan *s, uint32_t volume, uint64_t from, struct err *e) {
    struct vol_set *vs = s->reader.vs;
    char path[STORE_PATH_MAX];
    struct err told = {0};
    bool found = false;
    int fd = -1;
    uint64_t n = s->limit - from < STORE_TORN_BYTES ? s->limit - from : STORE_TORN_BYTES;
    if (!whole_behind(s, from, &found, e)) return false;
    if (!found) return true;
    snprintf(path, sizeof path, "%.3900s/v%08u-%llu.bin", vs->dir->lost, volume, (unsigned long long)from);
    bool ok = sys_mkdir(vs->dir->lost, e) && sys_open(vs->files, path, O_RDWR | O_CREAT | O_TRUNC, 0640, &fd, e) &&
              sys_copy_range(vs->files, s->reader.fd, from, fd, 0, n, e) && sys_flush(vs->files, fd, e) && sys_flush_dir(vs->files, vs->dir->lost, e);
    sys_close(vs->files, fd);
    if (!ok) return err_wrap(e, "keep aside what lies behind the torn end: nothing is cleared before that can be done");
    err_set(&told, ERR_CORRUPT, "store", "objects behind a torn end of volume %u were never indexed and are kept aside in %s", volume, path);
    set_alarm(vs, &told);
    return true;
}

// Overwrites what is torn with zeros, so that it can never be taken for entries when whole ones lie before it again.
static bool clear_torn(struct scan *s, uint64_t from, struct err *e) {
    const struct vol_set *vs = s->reader.vs;
    uint64_t stop = s->limit - from < STORE_TORN_BYTES ? s->limit : from + STORE_TORN_BYTES;
    for (uint64_t at = from; at < stop; at += SCAN_BYTES) {
        size_t got, n = stop - at < SCAN_BYTES ? (size_t)(stop - at) : SCAN_BYTES;
        if (!read_upto(s, s->buffer, n, at, &got, e)) return false;
        if (!all_zero(s->buffer, got) && !sys_write_at(vs->files, s->reader.fd, vs->zeros, got, at, e)) return false;
    }
    return true;
}

// Moves *end over whole entries. A break with a later flush's entry behind it is damage, not a torn end: it is passed over.
static bool recover_walk(struct scan *s, uint64_t *end, bool *damaged, struct err *e) {
    enum tar_result result;
    struct tar_head head;
    uint64_t at = *end, next;
    bool whole, clean;
    while (at < s->limit) {
        if (!read_head(s, at, &result, &head, e)) return false;
        whole = false;
        if (result == TAR_ENTRY && !verify_data(s, &head.entry, &whole, e)) return false;
        if (whole) {
            *end = at = head.entry.end;
            continue;
        }
        if (!find_next(s, at, at + 1, &next, &clean, e)) return false;
        bool later = next < s->limit && next - at < s->gap_limit;
        if (!later) return true;
        *damaged = true;
        at = next;
    }
    return true;
}

bool scan_recover(struct vol_set *vs, const struct segment *g, uint64_t *end, bool *damaged, struct err *e) {
    uint64_t size = g->size;
    int fd = g->fd;
    struct scan s = {.reader = {.vs = vs, .volume = g->number, .fd = fd}, .limit = size, .gap_limit = STORE_TORN_BYTES, .verify = true};
    if (*end > size || *end % TAR_BLOCK) {
        // The index knows more than there is: the file was cut or changed by another hand. Begin again.
        *damaged = true;
        *end = 0;
    }
    bool ok = sys_flush(vs->files, fd, e) && scan_init(&s, e) && recover_walk(&s, end, damaged, e);
    ok = ok && keep_aside(&s, g->number, *end, e) && clear_torn(&s, *end, e) && sys_flush(vs->files, fd, e);
    scan_deinit(&s);
    return ok;
}

bool vol_verify(struct vol_set *vs, const struct vol_entry *entry, struct err *e) {
    struct scan s = {.reader = {.vs = vs, .volume = entry->loc.volume}, .limit = UINT64_MAX, .verify = true};
    struct vol_entry en = *entry;
    bool same = false;
    en.sealed = vol_is_encrypted(en.loc);
    uint64_t begin = en.loc.offset - (en.sealed ? TAR_ENVELOPE : 0);
    en.end = begin + tar_round(tar_stored(&en));
    if (en.loc.length > (uint64_t)STORE_OBJECT_BYTES_MAX || en.loc.offset > INT64_MAX / 2) return err_set(e, ERR_CORRUPT, "store", "impossible location");
    if (!vs->driver->reader_open(&s.reader, e)) return false;
    if (vs->driver->reader_past) vs->driver->reader_past(&s.reader, begin, en.end - begin);
    bool ok = scan_init(&s, e) && verify_data(&s, &en, &same, e);
    scan_deinit(&s);
    vs->driver->reader_close(&s.reader);
    if (!ok || same) return ok;
    return err_set(e, ERR_CORRUPT, "store", "the bytes at %llu of volume %u are not those that were stored", (unsigned long long)en.loc.offset, en.loc.volume);
}
