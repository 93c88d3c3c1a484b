// Runs of keys of a remote set: in the index, where every node finds them, and in the bucket beside the volumes.
#include <stdlib.h>
#include <string.h>

#include "store/remote.h"

enum { IN_INDEX, IN_BUCKET };

static bool no_index(struct err *e) {
    return err_set(e, ERR_UNSUPPORTED, "keys", "the index keeps no keys");
}

static bool note_last(void *ctx, uint32_t first, struct err *e) {
    uint32_t *both = ctx; // the last so far, the volume
    (void)e;
    if (first <= both[1]) both[0] = first;
    return first <= both[1];
}

static bool note_any(void *ctx, uint32_t first, struct err *e) {
    (void)first, (void)e;
    *(bool *)ctx = true;
    return false;
}

// Whether the bucket has keys. That it has none is asked once: those that any node makes are in the index first, and an archive in the open would ask for every
// volume that is copied or removed.
static bool has_keys(struct vol_set *vs, bool *any, struct err *e) {
    struct err why = {0};
    *any = !vs->remote->no_keys;
    if (!*any) return true;
    *any = false;
    bool ok = bucket_each_keys(&vs->remote->bucket, 0, note_any, any, &why) || *any;
    vs->remote->no_keys = ok && !*any;
    if (!ok && e) *e = why;
    return ok;
}

// What the index does not know, the bucket may: after it was made anew.
static bool run_of(struct vol_set *vs, uint32_t volume, uint32_t *first, struct err *e) {
    const struct vol_key_index *k = vs->index.keys;
    uint32_t both[2] = {0, volume};
    struct err why = {0};
    bool any;
    *first = 0;
    if (k && !k->run_of(vs->index.ctx, volume, first, e)) return false;
    if (*first && volume - *first < KEYS_RUN) return true;
    if (!has_keys(vs, &any, e)) return false;
    if (!any) return true;
    bool ok = bucket_each_keys(&vs->remote->bucket, volume > KEYS_RUN ? volume - KEYS_RUN : 0, note_last, both, &why);
    *first = both[0];
    if (ok || why.kind == ERR_NONE) return true;
    if (e) *e = why;
    return false;
}

// As far as the index knows: the bucket is not asked, it may be away.
static bool last(struct vol_set *vs, uint32_t *first, struct err *e) {
    *first = 0;
    return !vs->index.keys || vs->index.keys->run_of(vs->index.ctx, UINT32_MAX, first, e);
}

static bool get(struct vol_set *vs, uint32_t first, int copy, struct buf *out, struct err *e) {
    size_t n = 0;
    if (copy == IN_INDEX && !vs->index.keys) return no_index(e);
    if (copy == IN_INDEX) return vs->index.keys->get(vs->index.ctx, first, out, e);
    char *to = buf_reserve(out, KEYS_TEXT_MAX);
    if (!to) return buf_ok(out, e);
    if (!bucket_get_keys(&vs->remote->bucket, first, to, KEYS_TEXT_MAX, &n, e)) return false;
    out->n += n;
    return true;
}

static bool read_text(void *ctx, uint64_t at, void *p, size_t n, struct err *e) {
    const struct str *text = ctx;
    if (at > text->n || n > text->n - at) return err_set(e, ERR_INTERNAL, "keys", "a read past the end of the keys");
    memcpy(p, text->p + at, n);
    return true;
}

static bool put(struct vol_set *vs, uint32_t first, int copy, struct str text, struct err *e) {
    if (copy == IN_BUCKET) return bucket_put_keys(&vs->remote->bucket, first, &(struct s3_body){.read_at = read_text, .ctx = &text, .size = text.n}, e);
    return vs->index.keys ? vs->index.keys->put(vs->index.ctx, first, text, e) : no_index(e);
}

static bool remove_run(struct vol_set *vs, uint32_t first, int copy, struct err *e) {
    if (copy == IN_BUCKET) return bucket_remove_keys(&vs->remote->bucket, first, e);
    return !vs->index.keys || vs->index.keys->put(vs->index.ctx, first, (struct str){NULL, 0}, e);
}

static bool note(void *ctx, uint32_t first, struct err *e) {
    return numbers_add(ctx, first, e);
}

static bool each(struct vol_set *vs, bool (*visit)(void *ctx, uint32_t first, struct err *e), void *ctx, struct err *e) {
    struct numbers l = {0};
    bool ok = (!vs->index.keys || vs->index.keys->each(vs->index.ctx, note, &l, e)) && bucket_each_keys(&vs->remote->bucket, 0, note, &l, e);
    numbers_sort(&l);
    for (size_t i = 0; ok && i < l.n; i++)
        if (i == 0 || l.p[i] != l.p[i - 1]) ok = visit(ctx, l.p[i], e);
    free(l.p);
    return ok;
}

// New numbers have their keys with their reservation (keys_make_run): this is of a volume that is copied.
static bool end_of(struct vol_set *vs, uint32_t volume, uint32_t *end, struct err *e) {
    (void)vs, (void)e;
    *end = volume + 1;
    return true;
}

const struct key_place remote_keys = {
    .run_of = run_of, .get = get, .put = put, .remove = remove_run, .each = each, .end_of = end_of, .last = last, .later = true};
