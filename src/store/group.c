// A group of puts on its way into a volume: what each is, where it lies, its headers, and all of it as one list of bytes.
#include <string.h>

#include "store/seal.h"
#include "store/set.h"

void group_init(struct group *g) {
    buf_init(&g->heads, (size_t)STORE_GROUP_OBJECTS_MAX * TAR_HEAD_MAX);
    buf_init(&g->pieces, 2 * (size_t)STORE_GROUP_BYTES_MAX);
}

void group_deinit(struct group *g) {
    buf_deinit(&g->heads);
    buf_deinit(&g->pieces);
}

uint64_t put_need(const struct vol_put *p) {
    return tar_round(tar_stored(&p->entry)) + TAR_HEAD_MAX;
}

uint64_t group_need(const struct group *g) {
    uint64_t need = STORE_PAGE;
    for (size_t i = 0; i < g->n; i++) need += g->puts[i]->outcome == VOL_KNOWN ? 0 : put_need(g->puts[i]);
    return need;
}

static void fail(struct vol_put *p, const struct err *e) {
    p->failed = true;
    p->err = *e;
}

void group_fail(struct group *g, const struct err *e) {
    for (size_t i = 0; i < g->n; i++) fail(g->puts[i], e);
}

void group_classify(struct vol_set *vs, struct group *g) {
    size_t kept = 0;
    g->stored = 0;
    g->written = (struct vol_written){0};
    if (vs->index.look) vs->index.look(vs->index.ctx, g->puts, g->n);
    for (size_t i = 0; i < g->n; i++) {
        struct vol_put *p = g->puts[i];
        struct err e = {0};
        p->outcome = VOL_STORED;
        bool ok = !vs->index.classify || vs->index.classify(vs->index.ctx, p, g->puts, kept, &e);
        if (ok && p->outcome != VOL_KNOWN) ok = tar_entry_check(&p->entry, &e);
        if (!ok) {
            fail(p, &e);
            continue;
        }
        g->stored += p->outcome != VOL_KNOWN;
        g->puts[kept++] = p;
    }
    g->n = kept;
}

void group_place(struct group *g, uint32_t volume, uint64_t at) {
    size_t left = g->stored, heads_bytes = 0;
    uint64_t end = at;
    for (size_t i = 0; i < g->n; i++) {
        struct vol_put *p = g->puts[i];
        if (p->outcome == VOL_KNOWN) continue;
        uint64_t data = tar_round(tar_stored(&p->entry)), begin;
        p->entry_at = end;
        p->head_at = heads_bytes;
        p->head_bytes = tar_head_min(&p->entry);
        if (--left == 0) p->head_bytes += (STORE_PAGE - (end + p->head_bytes + data) % STORE_PAGE) % STORE_PAGE;
        heads_bytes += p->head_bytes;
        p->entry.loc.volume = volume;
        begin = p->entry_at + p->head_bytes;
        p->entry.loc.offset = begin + (p->entry.sealed ? TAR_ENVELOPE : 0);
        p->entry.end = end = begin + data;
    }
    g->at = at;
    g->heads_bytes = heads_bytes;
    g->written.volume = volume;
    g->written.end = end;
}

static bool any_sealed(const struct group *g) {
    for (size_t i = 0; i < g->n; i++)
        if (g->puts[i]->outcome != VOL_KNOWN && g->puts[i]->entry.sealed) return true;
    return false;
}

bool group_wrap(struct vol_set *vs, struct group *g, struct err *e) {
    struct vol_key key;
    if (!any_sealed(g)) return true;
    bool ok = keys_make(vs, g->written.volume, &key, e);
    for (size_t i = 0; ok && i < g->n; i++) {
        struct vol_put *p = g->puts[i];
        if (p->outcome != VOL_KNOWN && p->entry.sealed) ok = seal_envelope(&key, p->sealing, p->entry.loc.offset, p->envelope, e);
    }
    cipher_wipe(&key, sizeof key);
    return ok;
}

bool group_encode(struct vol_set *vs, struct group *g, struct err *e) {
    struct vol_key key;
    buf_clear(&g->heads);
    char *out = buf_reserve(&g->heads, g->heads_bytes);
    if (!out) return buf_ok(&g->heads, e);
    bool ok = !any_sealed(g) || keys_make(vs, g->written.volume, &key, e);
    for (size_t i = 0; ok && i < g->n; i++) {
        const struct vol_put *p = g->puts[i];
        if (p->outcome != VOL_KNOWN) ok = tar_encode_with(&key, &p->entry, p->entry_at, g->at, p->head_bytes, out + p->head_at, e);
    }
    cipher_wipe(&key, sizeof key);
    g->heads.n = g->heads_bytes;
    return ok;
}

static int add_iov(struct iovec *iov, int n, const void *p, size_t bytes) {
    if (bytes == 0) return n;
    iov[n] = (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = bytes};
    return n + 1;
}

int group_add_bytes(const struct vol_set *vs, const struct vol_put *p, struct iovec *iov, int n) {
    uint64_t stored = tar_stored(&p->entry);
    if (p->entry.sealed) {
        n = add_iov(iov, n, p->envelope, sizeof p->envelope);
        n = add_iov(iov, n, p->segments, (size_t)stored - sizeof p->envelope);
    } else {
        n = add_iov(iov, n, p->head, p->head_n);
        n = add_iov(iov, n, p->body, p->body_n);
    }
    return add_iov(iov, n, vs->zeros, (size_t)(tar_round(stored) - stored));
}

int group_iov(const struct vol_set *vs, struct group *g) {
    int n = 0;
    for (size_t i = 0; i < g->n; i++) {
        const struct vol_put *p = g->puts[i];
        if (p->outcome == VOL_KNOWN) continue;
        n = add_iov(g->iov, n, g->heads.p + p->head_at, p->head_bytes);
        n = group_add_bytes(vs, p, g->iov, n);
    }
    return n;
}

bool group_adopt(struct vol_set *vs, struct group *g, uint32_t number, struct err *e) {
    struct vol_put *p = g->puts[0];
    char head[STORE_SPOOL_HEAD + TAR_ENVELOPE];
    struct vol_key key = {0};
    size_t n = STORE_SPOOL_HEAD;
    bool sealed = p->entry.sealed, ok = !sealed || keys_make(vs, number, &key, e);
    ok = ok && tar_encode_with(&key, &p->entry, 0, 0, STORE_SPOOL_HEAD, head, e);
    if (ok && sealed) {
        n += TAR_ENVELOPE;
        ok = seal_envelope(&key, p->sealing, n, (uint8_t *)head + STORE_SPOOL_HEAD, e);
    }
    cipher_wipe(&key, sizeof key);
    if (!ok || !sys_write_at(vs->files, p->spool->fd, head, n, 0, e)) return false;
    p->entry.loc = (struct vol_loc){.volume = number, .offset = n, .length = p->entry.loc.length};
    p->entry.end = STORE_SPOOL_HEAD + tar_round(tar_stored(&p->entry));
    g->written.volume = number;
    g->written.end = p->entry.end;
    return true;
}
