// Removed volumes go when their time is over: first what is stored, then the rows that keep it from being taken for something new.
#include <stdlib.h>

#include "base/log.h"
#include "core/build.h"
#include "core/index.h"
#include "core/merge.h"
#include "core/state.h"

enum { ROUND = 512 }; // volumes at a time

struct doomed {
    uint32_t volume;
    enum vol_place place;
};

struct reaping {
    struct archive *ar;
    int64_t after_ms, bucket_after_ms;
    struct doomed list[ROUND];
    size_t n;
    uint32_t last; // volumes up to here were looked at
    uint64_t bytes;
    unsigned removed;
};

// Those under the bucket's legal hold wait until they are released (core/hold.c).
static bool list_round(struct reaping *r, struct err *e) {
    struct db *d = db_reader(r->ar->db, e);
    struct db_stmt *s =
        d ? db_prepare(
                d,
                "SELECT volume, place FROM volumes WHERE removed_ms IS NOT NULL AND removed_ms <= {now} - CASE WHEN place = 1 THEN CAST(?2 AS BIGINT) ELSE "
                "CAST(?1 AS BIGINT) END AND volume > ?3 AND held = 0 ORDER BY volume LIMIT ?4",
                e)
          : NULL;
    enum db_step step = DB_FAIL;
    r->n = 0;
    if (s) {
        db_bind_int(s, 1, r->after_ms);
        db_bind_int(s, 2, r->bucket_after_ms);
        db_bind_int(s, 3, r->last);
        db_bind_int(s, 4, ROUND);
        while (r->n < ROUND && (step = db_next(s, e)) == DB_ROW) r->list[r->n++] = (struct doomed){(uint32_t)db_int(s, 0), (enum vol_place)db_int(s, 1)};
        db_done(s);
    }
    db_return(r->ar->db, d);
    return step != DB_FAIL;
}

// What came to life again, of whatever hand, is not removed.
static bool revive(struct reaping *r, uint32_t volume, bool *alive, struct err *e) {
    int64_t one;
    struct db *d = db_side(r->ar->db, e);
    bool ok =
        d && sql_one(d,
                     "UPDATE volumes SET removed_ms = NULL, batch = -1 WHERE volume = ?1 AND (EXISTS (SELECT 1 FROM instances WHERE volume = ?1) OR EXISTS "
                     "(SELECT 1 FROM conflicts WHERE volume = ?1) OR EXISTS (SELECT 1 FROM quarantine WHERE volume = ?1)) RETURNING 1",
                     SQL_VALUES(SQL_I(volume)), &one, 1, alive, e);
    db_return(r->ar->db, d);
    return ok;
}

static bool drop_rows(struct archive *ar, uint32_t volume, struct err *e) {
    static const char *const steps[] = {"DELETE FROM volume_pieces WHERE volume = ?1", "DELETE FROM dead WHERE volume = ?1",
                                        "DELETE FROM records WHERE volume = ?1", "DELETE FROM volumes WHERE volume = ?1 AND removed_ms IS NOT NULL"};
    const struct sql_value v = SQL_I(volume);
    struct db *d = db_side(ar->db, e);
    bool ok = d && db_begin(d, e);
    for (size_t i = 0; ok && i < sizeof steps / sizeof *steps; i++) ok = sql_run(d, steps[i], &v, 1, e);
    ok = ok && db_commit(d, e);
    if (d && !ok) db_rollback(d);
    db_return(ar->db, d);
    return ok;
}

// Its rows go last: what is stored and has no row would be indexed again. *gone false: it is still being written, or locked.
static bool remove_stored(struct reaping *r, const struct doomed *v, bool *gone, struct err *e) {
    struct vol_state st = {0};
    struct err why = {0};
    *gone = true;
    if (v->place == VOL_IN_INDEX) return true;
    bool known = vol_state_get(r->ar->volumes, v->volume, &st, NULL);
    if (vol_remove(r->ar->volumes, v->volume, &why)) {
        r->bytes += known ? st.size : 0;
        return true;
    }
    if (why.kind == ERR_NOT_FOUND) return true;
    *gone = false;
    if (why.kind == ERR_BUSY) return true;
    if (e) *e = why;
    return false;
}

static bool reap_one(struct reaping *r, const struct doomed *v, struct err *e) {
    bool alive, gone;
    if (!revive(r, v->volume, &alive, e)) return false;
    if (alive) return log_line(LOG_WARN, "merge", "volume %u was to be removed, but is referred to: it stays", v->volume), true;
    if (!remove_stored(r, v, &gone, e)) return false;
    r->removed += gone;
    return !gone || drop_rows(r->ar, v->volume, e);
}

bool reap_volumes(struct archive *ar, const struct merge_options *o, bool at_once, unsigned *removed, uint64_t *bytes, struct err *e) {
    struct merge_options options = *o;
    struct reaping *r = calloc(1, sizeof *r);
    if (!r) return err_nomem(e, "merge");
    merge_defaults(&options);
    r->ar = ar;
    if (!at_once) r->after_ms = options.removed_ms, r->bucket_after_ms = options.removed_bucket_ms;
    bool ok = build_sweep(ar, e);
    while (ok) {
        ok = list_round(r, e);
        for (size_t i = 0; ok && i < r->n; i++) {
            r->last = r->list[i].volume;
            ok = reap_one(r, &r->list[i], e) || err_wrap(e, "remove volume %u", r->last);
        }
        if (r->n < ROUND) break;
    }
    *removed = r->removed;
    *bytes = r->bytes;
    free(r);
    return ok;
}
