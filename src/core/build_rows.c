// The transactions of a batch: rows follow the entries to their new places.
#include "base/clock.h"
#include "core/build.h"
#include "core/graves.h"
#include "core/index.h"

enum { KEEP_MS = JOB_LEASE_MS / 4 };

bool build_keep(struct build *b, struct err *e) {
    int64_t now = clock_mono_ms();
    if (b->options->stopping && *b->options->stopping) return err_set(e, ERR_CANCELLED, "merge", "this process is ending");
    if (!b->job || now - b->kept_ms < KEEP_MS) return true;
    b->kept_ms = now;
    return job_keep(b->ar, b->job, e);
}

static bool is_ours(struct build *b, struct db *w, struct err *e) {
    return !b->job || job_check(w, b->job, e);
}

// ---- beforehand ----

static bool note_rows(struct build *b, struct db *d, size_t from, size_t to, struct err *e) {
    for (size_t i = from; i < to; i++) {
        const struct build_entry *n = &b->entries[i];
        struct str sop = n->en.kind <= VOL_CONFLICT ? n->en.sop : STR_LIT("");
        if (n->copied &&
            !sql_run(d, "INSERT INTO moves (to_volume, to_offset, volume, \"offset\", length, sop_instance_uid, batch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                     SQL_VALUES(SQL_I(n->to.volume), SQL_I(n->to.offset), SQL_I(n->en.loc.volume), SQL_I(n->en.loc.offset), SQL_I(n->en.loc.length), SQL_T(sop),
                                SQL_I(b->batch)),
                     e))
            return false;
    }
    return true;
}

// Not in the writing order, so that the transaction that is has a few statements only.
bool build_note(struct build *b, size_t from, size_t to, struct err *e) {
    struct db *d = db_side(b->ar->db, e);
    bool ok = d && db_begin(d, e) && note_rows(b, d, from, to, e) && db_commit(d, e);
    if (d && !ok) db_rollback(d);
    db_return(b->ar->db, d);
    return ok;
}

bool build_forget(struct build *b, struct err *e) {
    struct db *d = db_side(b->ar->db, e);
    bool ok = d && sql_run(d, "DELETE FROM moves WHERE batch = ?1", SQL_VALUES(SQL_I(b->batch)), e);
    db_return(b->ar->db, d);
    return ok;
}

void build_forget_moves(struct build *b, uint32_t volume) {
    struct db *d = db_side(b->ar->db, NULL);
    if (d) sql_run(d, "DELETE FROM moves WHERE to_volume = ?1", SQL_VALUES(SQL_I(volume)), NULL);
    db_return(b->ar->db, d);
}

bool build_sweep(struct archive *ar, struct err *e) {
    struct db *d = db_side(ar->db, e);
    bool ok = d && sql_run(d,
                           "DELETE FROM moves WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE kind IN ('" MERGE_JOB "', '" COMPACT_JOB
                           "') AND subject = CAST(moves.batch AS TEXT))",
                           NULL, 0, e);
    db_return(ar->db, d);
    return ok;
}

// ---- a volume that is there ----

#define FOLLOW(table, and)                                                                                                                               \
    "UPDATE " table " SET volume = m.to_volume, \"offset\" = m.to_offset FROM moves m WHERE m.to_volume = ?1 AND " table ".volume = m.volume AND " table \
    ".\"offset\" = m.\"offset\"" and

// Whoever is not at the new place was deleted, or moved by another, while it was copied: the copy is dead. It is not called deleted, so that a
// later deletion of the same object names it again.
static const char DEAD_COPIES[] =
    "INSERT INTO dead (volume, \"offset\", length, sop_instance_uid, why) SELECT m.to_volume, m.to_offset, m.length, m.sop_instance_uid, 'duplicate' FROM "
    "moves m "
    "WHERE m.to_volume = ?1 AND NOT EXISTS (SELECT 1 FROM instances x WHERE x.volume = m.to_volume AND x.\"offset\" = m.to_offset) AND NOT EXISTS (SELECT 1 "
    "FROM "
    "conflicts x WHERE x.volume = m.to_volume AND x.\"offset\" = m.to_offset) AND NOT EXISTS (SELECT 1 FROM quarantine x WHERE x.volume = m.to_volume AND "
    "x.\"offset\" = m.to_offset) AND NOT EXISTS (SELECT 1 FROM records x WHERE x.volume = m.to_volume AND x.\"offset\" = m.to_offset)";

static const char DEAD_PLACES[] =
    "INSERT INTO dead (volume, \"offset\", length, sop_instance_uid, why) SELECT m.volume, m.\"offset\", m.length, m.sop_instance_uid, 'moved' FROM moves m "
    "WHERE "
    "m.to_volume = ?1 AND NOT EXISTS (SELECT 1 FROM instances x WHERE x.volume = m.volume AND x.\"offset\" = m.\"offset\") ON CONFLICT DO NOTHING";

#define EMPTY                                                                                                                                                 \
    "removed_ms IS NULL AND NOT EXISTS (SELECT 1 FROM instances x WHERE x.volume = volumes.volume) AND NOT EXISTS (SELECT 1 FROM conflicts x WHERE x.volume " \
    "= "                                                                                                                                                      \
    "volumes.volume) AND NOT EXISTS (SELECT 1 FROM quarantine x WHERE x.volume = volumes.volume) AND NOT EXISTS (SELECT 1 FROM records x WHERE x.volume = "   \
    "volumes.volume)"
// What is not indexed to its end may have more in it; of a directory's volumes all but the one that grows are.
static const char NOTHING_ALIVE[] = "UPDATE volumes SET removed_ms = {now} WHERE batch = ?1 AND (finished = 1 OR place = 0) AND " EMPTY;

bool build_remove_empty(struct archive *ar, uint32_t volume, struct err *e) {
    struct db *w = db_writer(ar->db, e);
    bool ok = w && archive_begin(ar, w, e) && sql_run(w, "UPDATE volumes SET removed_ms = {now} WHERE volume = ?1 AND " EMPTY, SQL_VALUES(SQL_I(volume)), e) &&
              db_commit(w, e);
    if (w && !ok) db_rollback(w);
    db_return(ar->db, w);
    return ok;
}

static bool move_rows(struct db *w, const struct sql_value *volume, struct err *e) {
    static const char *const steps[] = {
        FOLLOW("instances", " AND instances.state = 0"), FOLLOW("conflicts", ""), FOLLOW("quarantine", ""), FOLLOW("records", ""), DEAD_COPIES, DEAD_PLACES,
        "DELETE FROM moves WHERE to_volume = ?1"};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (!sql_run(w, steps[i], volume, 1, e)) return false;
    return true;
}

// As old as what is in it, for tiers. That the number is taken by now, by whoever found the volume and indexed it, fails here.
static bool add_volume(struct db *w, const struct vol_info *v, int64_t batch, struct err *e) {
    return sql_run(w,
                   "INSERT INTO volumes (volume, indexed_end, finished, place, size, created_ms, batch) SELECT ?1, ?2, 1, ?3, ?2, coalesce(max(created_ms), "
                   "{now}), -1 FROM volumes WHERE batch = ?4 AND "
                   "created_ms > 0",
                   SQL_VALUES(SQL_I(v->volume), SQL_I(v->size), SQL_I(v->place), SQL_I(batch)), e);
}

bool build_commit(struct build *b, const struct vol_info *v, struct err *e) {
    const struct sql_value volume = SQL_I(v->volume), batch = SQL_I(b->batch);
    struct db *w = db_writer(b->ar->db, e);
    bool ok = w && archive_begin(b->ar, w, e) && is_ours(b, w, e) && add_volume(w, v, b->batch, e) && move_rows(w, &volume, e) &&
              sql_run(w, NOTHING_ALIVE, &batch, 1, e) && db_commit(w, e);
    if (w && !ok) db_rollback(w);
    db_return(b->ar->db, w);
    return ok;
}

// ---- the end of the batch ----

static bool tell_damaged(struct build *b, struct db *w, const struct vol_entry *en, struct err *e) {
    if (!sql_run(w, "UPDATE instances SET state = 1 WHERE volume = ?1 AND \"offset\" = ?2 AND state = 0",
                 SQL_VALUES(SQL_I(en->loc.volume), SQL_I(en->loc.offset)), e))
        return false;
    if (db_changes(w) == 0) return true;
    struct event ev = {.type = STR_LIT("instance.damaged"), .actor = STR_LIT("job:merge"), .sop_instance_uid = en->sop, .detail = STR_LIT("{}")};
    return event_append(b->ar, w, &ev, e);
}

static bool drop_tombstone(struct db *w, const struct build_drop *d, struct err *e) {
    for (size_t i = 0; i < d->grave_count; i++)
        if (!grave_forget(w, &d->graves[i], e)) return false;
    return sql_run(w, "DELETE FROM records WHERE volume = ?1 AND \"offset\" = ?2", SQL_VALUES(SQL_I(d->loc.volume), SQL_I(d->loc.offset)), e) &&
           rows_dead(w, d->loc, STR_LIT(""), "deleted", e);
}

static bool settle(struct build *b, struct db *w, struct err *e) {
    const struct sql_value batch = SQL_I(b->batch);
    for (const struct build_drop *d = b->drops; d; d = d->next)
        if (!drop_tombstone(w, d, e)) return false;
    for (size_t i = 0; i < b->count; i++)
        if (b->entries[i].damaged && !tell_damaged(b, w, &b->entries[i].en, e)) return false;
    return build_tell_left(b, w, e) && sql_run(w, NOTHING_ALIVE, &batch, 1, e) &&
           sql_run(w, "UPDATE volumes SET batch = -2 WHERE batch = ?1 AND removed_ms IS NULL", &batch, 1, e);
}

bool build_settle(struct build *b, struct err *e) {
    struct db *w = db_writer(b->ar->db, e);
    bool ok = w && archive_begin(b->ar, w, e) && is_ours(b, w, e) && settle(b, w, e) && db_commit(w, e);
    if (w && !ok) db_rollback(w);
    if (w) events_settle(b->ar, ok);
    db_return(b->ar->db, w);
    return ok;
}

bool build_is_there(struct build *b, uint32_t volume, bool *there, struct err *e) {
    int64_t one;
    struct db *d = db_reader(b->ar->db, e);
    bool ok = d && sql_one(d, "SELECT 1 FROM volumes WHERE volume = ?1", SQL_VALUES(SQL_I(volume)), &one, 1, there, e);
    db_return(b->ar->db, d);
    return ok;
}
