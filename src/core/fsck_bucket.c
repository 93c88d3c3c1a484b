// fsck of a bucket: volumes that no row knows.
#include <stdlib.h>

#include "base/clock.h"
#include "core/fsck_part.h"
#include "core/merge.h"
#include "core/nodes.h"

struct strangers {
    struct archive *ar;
    struct db *d;
    const uint32_t *known; // by number
    size_t n;
    int64_t before_ms;
    void (*on_stranger)(void *ctx, const struct vol_info *v);
    void *ctx;
};

// What a node has put and not committed yet is younger; where none is at work there is no such thing.
static bool youngest(struct archive *ar, int64_t *before_ms, struct err *e) {
    struct merge_options o = {0};
    char name[NODE_NAME_MAX];
    unsigned living;
    merge_defaults(&o);
    if (!cluster_living(ar, &living, name, e)) return false;
    *before_ms = living ? clock_wall_ms() - o.orphan_ms : INT64_MAX;
    return true;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// One that the list at the beginning did not have may have come since.
static bool meet(void *ctx, const struct vol_info *v, struct err *e) {
    struct strangers *s = ctx;
    int64_t one;
    bool found;
    if (v->place != VOL_IN_BUCKET || v->created_ms >= s->before_ms) return true;
    if (s->n && bsearch(&v->volume, s->known, s->n, sizeof *s->known, by_number)) return true;
    if (!sql_one(s->d, "SELECT 1 FROM volumes WHERE volume = ?1", SQL_VALUES(SQL_I(v->volume)), &one, 1, &found, e)) return false;
    if (!found) s->on_stranger(s->ctx, v);
    return true;
}

static bool add_number(uint32_t **list, size_t *n, size_t *cap, uint32_t volume, struct err *e) {
    if (*n == *cap) {
        size_t grown = *cap ? 2 * *cap : 1024;
        uint32_t *p = realloc(*list, grown * sizeof *p);
        if (!p) return err_nomem(e, "fsck");
        *list = p;
        *cap = grown;
    }
    (*list)[(*n)++] = volume;
    return true;
}

bool fsck_volumes(struct archive *ar, uint32_t **out, size_t *n, struct err *e) {
    size_t cap = 0;
    *out = NULL;
    *n = 0;
    if (!ar->remote) return vol_list(ar->volumes, out, n, e);
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT volume FROM volumes WHERE removed_ms IS NULL ORDER BY volume", e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = add_number(out, n, &cap, (uint32_t)db_int(s, 0), e);
    db_done(s);
    db_return(ar->db, d);
    return ok && step == DB_END;
}

bool fsck_strangers(struct archive *ar, const uint32_t *known, size_t n, void (*on_stranger)(void *ctx, const struct vol_info *v), void *ctx, struct err *e) {
    struct strangers s = {.ar = ar, .known = known, .n = n, .on_stranger = on_stranger, .ctx = ctx};
    if (!ar->remote) return true;
    if (!youngest(ar, &s.before_ms, e)) return false;
    s.d = db_reader(ar->db, e);
    bool ok = s.d && vol_each(ar->volumes, meet, &s, e);
    db_return(ar->db, s.d);
    return ok;
}

bool fsck_adopt(struct archive *ar, struct err *e) {
    struct merge_options o = {0};
    int64_t before_ms;
    unsigned found;
    if (!ar->remote) return true;
    if (!youngest(ar, &before_ms, e)) return false;
    merge_defaults(&o);
    if (before_ms == INT64_MAX) o.orphan_ms = 1;
    return orphans_find(ar, &o, &found, e);
}
