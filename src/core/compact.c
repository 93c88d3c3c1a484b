// Compaction: what lives in a mostly dead volume is appended anew, then the volume goes.
#include <stdlib.h>

#include "base/limits.h"
#include "core/index.h"
#include "core/service.h"
#include "text/json.h"

enum { COPY_CHUNK = 1 << 20, TOMBSTONE_BYTES_MAX = 512 << 20 };

struct compaction {
    struct archive *ar;
    struct db *d;
    uint32_t volume;
    struct arena arena;
    bool damaged; // something that lives is damaged: the volume stays
};

static bool lives(struct compaction *c, const struct vol_entry *en, bool *out, struct err *e) {
    int64_t one;
    return sql_one(
        c->d,
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM instances WHERE volume = ?1 AND \"offset\" = ?2) OR EXISTS (SELECT 1 FROM conflicts WHERE volume = ?1 AND "
        "\"offset\" = ?2) OR EXISTS (SELECT 1 FROM quarantine WHERE volume = ?1 AND \"offset\" = ?2) OR EXISTS (SELECT 1 FROM records WHERE volume = ?1 AND "
        "\"offset\" = ?2)",
        SQL_VALUES(SQL_I(en->loc.volume), SQL_I(en->loc.offset)), &one, 1, out, e);
}

// A tombstone is needed as long as anything that it names still lies in another volume.
static bool tombstone_needed(struct compaction *c, const struct vol_entry *en, bool *needed, struct err *e) {
    char *p = en->loc.length <= TOMBSTONE_BYTES_MAX ? arena_alloc(&c->arena, en->loc.length, e) : NULL;
    if (!p || !vol_read_at(c->ar->volumes, en->loc, 0, p, en->loc.length, e)) return false;
    const struct json *places = json_get(json_read(&c->arena, (struct str){p, en->loc.length}, 0, e), "places");
    *needed = !places;
    for (const struct json *v = places ? places->first : NULL; v && !*needed; v = v->next) {
        int64_t volume = 0, offset = 0, one;
        if (!json_to_i64(v->first, &volume) || !json_to_i64(v->first ? v->first->next : NULL, &offset))
            *needed = true;
        else if (volume != c->volume &&
                 !sql_one(c->d, "SELECT 1 FROM dead WHERE volume = ?1 AND \"offset\" = ?2", SQL_VALUES(SQL_I(volume), SQL_I(offset)), &one, 1, needed, e))
            return false;
    }
    return true;
}

static bool copy_to_spool(struct compaction *c, const struct vol_entry *en, struct vol_spool *s, struct err *e) {
    char *chunk = arena_alloc(&c->arena, COPY_CHUNK, e);
    bool ok = chunk;
    for (uint64_t at = 0, n; ok && at < en->loc.length; at += n) {
        n = en->loc.length - at < COPY_CHUNK ? en->loc.length - at : COPY_CHUNK;
        ok = vol_read_at(c->ar->volumes, en->loc, at, chunk, n, e) && vol_spool_write(s, chunk, n, e);
    }
    return ok;
}

static bool move_entry(struct compaction *c, const struct vol_entry *en, struct err *e) {
    struct index_put p = {.what = INDEX_MOVE, .arena = &c->arena, .from = en->loc};
    struct vol_put put = {.entry = *en, .user = &p};
    if (en->loc.length > STORE_SPOOL_BYTES) {
        if (!vol_spool_open(c->ar->volumes, &put.spool, e)) return false;
        if (!copy_to_spool(c, en, put.spool, e)) return vol_spool_drop(put.spool), false;
    } else {
        char *body = arena_alloc(&c->arena, en->loc.length, e);
        if (!body || !vol_read_at(c->ar->volumes, en->loc, 0, body, en->loc.length, e)) return false;
        put.body = body;
        put.body_n = en->loc.length;
    }
    return vol_append(c->ar->volumes, &put, e);
}

static bool visit(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    struct compaction *c = ctx;
    bool live = false, needed = true;
    arena_reset(&c->arena);
    if (!lives(c, en, &live, e)) return false;
    if (damaged && (live || en->sop.n == 0)) c->damaged = true;
    if (!live || damaged) return true;
    if (en->kind == VOL_TOMBSTONE && !tombstone_needed(c, en, &needed, e)) return false;
    return !needed || move_entry(c, en, e);
}

static bool drop_rows(struct compaction *c, struct err *e) {
    struct db *w = db_writer(c->ar->db, e);
    const struct sql_value v = SQL_I(c->volume);
    bool ok = w && db_begin(w, e) && sql_run(w, "DELETE FROM dead WHERE volume = ?1", &v, 1, e) &&
              sql_run(w, "DELETE FROM records WHERE volume = ?1", &v, 1, e) && sql_run(w, "DELETE FROM volumes WHERE volume = ?1", &v, 1, e) && db_commit(w, e);
    db_return(c->ar->db, w);
    return ok;
}

static bool compact_volume(struct compaction *c, uint64_t *freed, struct err *e) {
    uint64_t end;
    struct vol_state st;
    c->damaged = false;
    if (!vol_state_get(c->ar->volumes, c->volume, &st, e)) return false;
    if (st.growing) return true;
    if (!vol_scan(c->ar->volumes, c->volume, 0, true, visit, c, &end, e)) return false;
    if (c->damaged) return true; // fsck tells; nothing that may still be read is thrown away
    // The file goes first: rows that are left over name nothing, but a file without rows would be indexed again.
    if (!vol_remove(c->ar->volumes, c->volume, e)) return e->kind == ERR_BUSY;
    *freed += st.size;
    return drop_rows(c, e);
}

static bool is_mostly_dead(struct compaction *c, double share, bool *out, struct err *e) {
    int64_t dead = 0;
    bool found;
    struct vol_state st;
    if (!sql_one(c->d, "SELECT CAST(coalesce(sum(length), 0) AS BIGINT) FROM dead WHERE volume = ?1", SQL_VALUES(SQL_I(c->volume)), &dead, 1, &found, e))
        return false;
    bool ok = vol_state_get(c->ar->volumes, c->volume, &st, e);
    *out = ok && dead > 0 && (double)dead > share * (double)st.size;
    return ok;
}

bool archive_compact(struct archive *ar, double dead_share, uint64_t *bytes_freed, struct err *e) {
    struct err own = {0};
    struct compaction c = {.ar = ar, .d = db_reader(ar->db, &own)};
    uint32_t *volumes = NULL;
    size_t n = 0;
    *bytes_freed = 0;
    arena_init(&c.arena, 1UL << 30);
    bool ok = c.d && vol_list(ar->volumes, &volumes, &n, &own);
    for (size_t i = 0; ok && i < n; i++) {
        bool wanted = false;
        c.volume = volumes[i];
        ok = is_mostly_dead(&c, dead_share, &wanted, &own) && (!wanted || compact_volume(&c, bytes_freed, &own));
    }
    if (!ok && e) *e = own;
    free(volumes);
    arena_deinit(&c.arena);
    db_return(ar->db, c.d);
    return ok;
}
