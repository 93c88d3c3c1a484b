// Replay: the transaction in which a batch of entries that were read becomes rows.
#include <stdio.h>

#include "base/log.h"
#include "core/graves.h"
#include "core/hold.h"
#include "core/realm.h"
#include "core/replay_part.h"
#include "sys/digest.h"

enum { TRIES_MAX = 4 }; // what others changed is read between two tries

static const char IS_TAKEN[] =
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM instances WHERE volume = ?1 AND \"offset\" = ?2) OR EXISTS (SELECT 1 FROM dead WHERE volume = ?1 AND "
    "\"offset\" = ?2) OR EXISTS (SELECT 1 FROM conflicts WHERE volume = ?1 AND \"offset\" = ?2) OR EXISTS (SELECT 1 FROM quarantine WHERE volume = ?1 "
    "AND \"offset\" = ?2) OR EXISTS (SELECT 1 FROM records WHERE volume = ?1 AND \"offset\" = ?2)";

static bool is_free(struct db *d, struct vol_loc loc, bool *is_new, struct err *e) {
    int64_t one;
    bool taken;
    if (!sql_one(d, IS_TAKEN, SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), &one, 1, &taken, e)) return false;
    *is_new = !taken;
    return true;
}

bool index_is_place_free(struct archive *ar, struct vol_loc loc, bool *is_new, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    bool ok = d && is_free(d, loc, is_new, e);
    db_return(ar->db, d);
    return ok;
}

// ---- what is kept under the same name, in a volume that is no more ----

// Where others wait only what was asked before counts.
static bool is_gone(struct replay *r, struct replay_entry *n, uint32_t volume, bool *gone, struct err *e) {
    *gone = false;
    if (!r->apart) return replay_is_gone(r, volume, gone, e);
    if (n->asked != volume) {
        n->asked = volume;
        return n->later = true;
    }
    *gone = n->gone;
    return true;
}

static bool kept_is_gone(struct replay *r, struct replay_entry *n, const char *sql, const struct sql_value *values, int count, int64_t *volume, bool *gone,
                         struct err *e) {
    bool found;
    *gone = false;
    if (!sql_one(r->w, sql, values, count, volume, 1, &found, e)) return false;
    return !found || is_gone(r, n, (uint32_t)*volume, gone, e);
}

// Each tenant has copies of its own.
#define OF_TENANT(parameter) " AND realm IN (SELECT id FROM realms WHERE tenant = " parameter ")"

static bool take_place(struct replay *r, const char *sql, int parameters, const struct vol_entry *en, int64_t volume, struct err *e) {
    const struct sql_value values[] = {SQL_I(en->loc.volume), SQL_I(en->loc.offset),         SQL_I(en->loc.length), SQL_B(en->digest, VOL_DIGEST_BYTES),
                                       SQL_I(volume),         SQL_T(realm_tenant(en->realm))};
    return sql_run(r->w, sql, values, parameters, e);
}

// The same as what is kept, which is gone: this one is kept.
static bool replace_gone(struct replay *r, struct replay_entry *n, enum index_kept *kept, bool *replaced, struct err *e) {
    const struct vol_entry *en = &n->en;
    int64_t volume;
    bool gone;
    if (*kept == INDEX_SAME) {
        if (!kept_is_gone(r, n, "SELECT volume FROM instances WHERE sop_instance_uid = ?1", SQL_VALUES(SQL_T(en->sop)), &volume, &gone, e)) return false;
        if (gone) *kept = INDEX_SAME_DAMAGED;
        return !gone || sql_run(r->w, "UPDATE instances SET state = 1 WHERE sop_instance_uid = ?1", SQL_VALUES(SQL_T(en->sop)), e);
    }
    if (*kept != INDEX_SAME_CONFLICT) return true;
    if (!kept_is_gone(r, n, "SELECT volume FROM conflicts WHERE sop_instance_uid = ?1 AND digest = ?2 AND kind = 'bytes'" OF_TENANT("?3"),
                      SQL_VALUES(SQL_T(en->sop), SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_T(realm_tenant(en->realm))), &volume, &gone, e))
        return false;
    *replaced = gone;
    return !gone ||
           take_place(r, "UPDATE conflicts SET volume = ?1, \"offset\" = ?2, length = ?3 WHERE digest = ?4 AND volume = ?5" OF_TENANT("?6"), 6, en, volume, e);
}

// ---- one entry ----

static bool add_quarantine(struct replay *r, struct replay_entry *n, struct err *e) {
    const struct vol_entry *en = &n->en;
    int64_t volume;
    bool gone;
    if (!kept_is_gone(r, n, "SELECT volume FROM quarantine WHERE digest = ?1", SQL_VALUES(SQL_B(en->digest, VOL_DIGEST_BYTES)), &volume, &gone, e))
        return false;
    if (n->later) return true;
    if (gone) return take_place(r, "UPDATE quarantine SET volume = ?1, \"offset\" = ?2, length = ?3 WHERE digest = ?4 AND volume = ?5", 5, en, volume, e);
    return rows_quarantine(r->ix, r->w, en, en->note, e);
}

static bool add_object(struct replay *r, struct replay_entry *n, struct err *e) {
    struct index_put *p = &n->put;
    const struct vol_entry *en = &n->en;
    enum index_kept kept;
    bool replaced = false;
    p->in_order = r->apart;
    p->must_read = false;
    bool ok = index_compare(r->ix, r->w, en, p, &kept, e);
    p->in_order = false;
    n->later = p->must_read;
    if (!ok || n->later || !replace_gone(r, n, &kept, &replaced, e)) return ok && n->later;
    if (n->later || replaced) return true;
    p->heals = kept == INDEX_SAME_DAMAGED || kept == INDEX_LOST_CONFLICT;
    p->taken = kept != INDEX_NEW;
    bool duplicate = kept == INDEX_SAME || kept == INDEX_SAME_CONFLICT || (p->heals && p->damaged);
    if (duplicate) return rows_dead(r->w, en->loc, p->facts.sop_uid, "duplicate", e);
    if (!index_pack(r->ix->ar, p, e)) return false;
    if (!p->heals && !realm_is_foreign(r->ix, r->w, en, p, &p->apart, e)) return false;
    if (en->kind == VOL_CONFLICT || kept == INDEX_OTHER || kept == INDEX_LOST_CONFLICT || p->apart) return rows_conflict(r->ix, r->w, en, p, e);
    return rows_object(r->ix, r->w, en, p, e);
}

static bool add_dicom(struct replay *r, struct replay_entry *n, struct err *e) {
    bool dead = false;
    if (!grave_of(r->w, &n->en, &dead, e)) return false;
    if (dead) return rows_dead(r->w, n->en.loc, n->en.sop, "deleted", e);
    if (n->why.kind) return *e = n->why, false;
    return add_object(r, n, e);
}

// Bytes that are no entry, or an entry whose headers are broken: listed where they lie, so that somebody looks at them.
static bool add_gap(struct replay *r, const struct vol_entry *en, struct err *e) {
    struct vol_entry gap = *en;
    const uint64_t key[2] = {en->loc.volume, en->loc.offset};
    if (!digest_of(key, sizeof key, gap.digest, e)) return false;
    gap.source = STR_LIT("job:replay");
    return rows_quarantine(r->ix, r->w, &gap, STR_LIT("damaged: bytes in the volume that are no entry"), e);
}

static bool add_entry(struct replay *r, struct replay_entry *n, struct err *e) {
    bool stale;
    if (n->damaged && n->en.sop.n == 0) return add_gap(r, &n->en, e);
    switch (n->en.kind) {
    case VOL_OBJECT:
    case VOL_CONFLICT:
        return add_dicom(r, n, e);
    case VOL_QUARANTINE:
        return add_quarantine(r, n, e);
    case VOL_TOMBSTONE:
        return n->why.kind ? (*e = n->why, false) : kill_tombstone(r->ix, r->w, &n->en, n->json, e);
    case VOL_RECORD:
        return n->why.kind ? (*e = n->why, false) : hold_record(r->ix, r->w, &n->en, n->json, &stale, e);
    }
    return true;
}

// One entry that cannot be indexed must not keep all others out: it is listed as quarantined where it lies.
static bool set_aside(struct replay *r, const struct replay_entry *n, const struct err *why, struct err *e) {
    char reason[INDEX_REASON_MAX];
    if (!db_exec(r->w, "ROLLBACK TO entry", e)) return false;
    index_forget(r->ix);
    events_settle(r->ix->ar, false);
    snprintf(reason, sizeof reason, "%s%.180s", n->damaged ? "damaged: the bytes do not match their digest; " : "", why->message);
    log_line(LOG_WARN, "index", "volume %u at %llu: %s", n->en.loc.volume, (unsigned long long)n->en.loc.offset, reason);
    return rows_quarantine(r->ix, r->w, &n->en, str_of(reason), e);
}

static bool write_entry(struct replay *r, struct replay_entry *n, struct err *e) {
    struct err why = {0};
    if (!is_free(r->w, n->en.loc, &n->is_new, e)) return false;
    if (!n->is_new) return true;
    n->later = false;
    arena_reset(&r->ix->scratch);
    if (!db_exec(r->w, "SAVEPOINT entry", e)) return false;
    if (!add_entry(r, n, &why)) {
        if (replay_is_of_the_moment(why.kind)) return *e = why, false;
        if (!set_aside(r, n, &why, e)) return false;
    }
    r->again |= n->later;
    return n->later || (places_flush(r->ix, r->w, e) && figures_flush(r->ix, r->w, e) && db_exec(r->w, "RELEASE entry", e));
}

// ---- the batch ----

static bool write_entries(struct replay *r, uint64_t end, struct err *e) {
    if (!index_begin(r->ix, r->w, e)) return false;
    // All, even when it is to be tried again: so it is known of each what must be read.
    for (struct replay_entry *n = r->first; n; n = n->next)
        if (!write_entry(r, n, e)) return false;
    return r->again || (index_set_position(r->w, r->volume, end, e) && db_commit(r->w, e));
}

static bool try_batch(struct replay *r, uint64_t end, struct err *e) {
    r->again = false;
    r->w = db_writer(r->ix->ar->db, e);
    bool ok = r->w && write_entries(r, end, e), committed = ok && !r->again;
    if (committed) {
        index_settle(r->ix);
    } else {
        if (r->w) db_rollback(r->w);
        index_forget(r->ix);
    }
    events_settle(r->ix->ar, committed);
    db_return(r->ix->ar->db, r->w);
    r->w = NULL;
    return ok;
}

// What the order had no time for: nobody waits now.
static bool look_apart(struct replay *r, struct err *e) {
    struct db *d = db_reader(r->ix->ar->db, e);
    bool ok = d;
    for (struct replay_entry *n = r->first; ok && n; n = n->next) {
        enum index_kept kept;
        if (n->put.must_read) ok = index_compare(r->ix, d, &n->en, &n->put, &kept, e);
        if (ok && n->asked) ok = replay_is_gone(r, n->asked, &n->gone, e);
    }
    db_return(r->ix->ar->db, d);
    return ok;
}

static void count_new(struct replay *r) {
    for (struct replay_entry *n = r->first; n; n = n->next) r->count += n->is_new;
}

bool replay_write(struct replay *r, uint64_t end, struct err *e) {
    for (int i = 0; i < TRIES_MAX; i++) {
        if (!try_batch(r, end, e)) return false;
        if (!r->again) return count_new(r), true;
        if (!look_apart(r, e)) return false;
    }
    return err_set(e, ERR_BUSY, "index", "what is stored under the same UIDs keeps changing: try again");
}
