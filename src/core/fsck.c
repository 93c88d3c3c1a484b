// Volumes against index, both ways, with every digest read again.
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "core/damage.h"
#include "core/fsck_part.h"
#include "core/index.h"
#include "core/service.h"
#include "sys/digest.h"
#include "sys/file.h"

enum { CHUNK_BYTES = 64 * 1024 };

enum owner { OWNER_NONE, OWNER_INSTANCE, OWNER_CONFLICT, OWNER_QUARANTINE, OWNER_RECORD, OWNER_DEAD, OWNER_DAMAGED };

struct range {
    uint64_t at, end;
};

struct ranges {
    struct range *p;
    size_t n, cap;
};

struct fsck {
    struct archive *ar;
    struct db *d;
    bool repair;
    void (*on_finding)(void *ctx, const struct fsck_finding *f);
    void *ctx;
    struct fsck_report *report;
    uint32_t volume;
    struct ranges seen;     // entries of this volume, by offset
    struct ranges gaps;     // bytes that are no entry
    struct ranges orphaned; // numbers of the volumes with entries that no row knows
    unsigned strangers;     // volumes of the bucket that no row knows
    char *chunk;
};

static bool add_range(struct ranges *r, uint64_t at, uint64_t end, struct err *e) {
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 1024;
        struct range *p = realloc(r->p, cap * sizeof *p);
        if (!p) return err_nomem(e, "fsck");
        r->p = p;
        r->cap = cap;
    }
    r->p[r->n++] = (struct range){at, end};
    return true;
}

static int by_offset(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static bool was_seen(const struct fsck *f, uint64_t offset) {
    struct range key = {offset, 0};
    return f->seen.n && bsearch(&key, f->seen.p, f->seen.n, sizeof key, by_offset);
}

static void tell(struct fsck *f, const char *what, uint64_t *counter, struct str sop, struct vol_loc loc, const char *detail) {
    char text[512];
    int n = snprintf(text, sizeof text, "volume %u at byte %llu, %llu bytes: %s", loc.volume, (unsigned long long)loc.offset, (unsigned long long)loc.length,
                     detail);
    ++*counter;
    if (f->on_finding) f->on_finding(f->ctx, &(struct fsck_finding){what, sop, {text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1}});
}

// ---- repair ----

static bool event_of(struct fsck *f, struct db *w, const char *type, struct str sop, struct err *e) {
    struct event ev = {.type = str_of(type), .actor = STR_LIT("command:fsck"), .sop_instance_uid = sop, .detail = STR_LIT("{}")};
    return event_append(f->ar, w, &ev, e);
}

static bool end_repair(struct fsck *f, struct db *w, bool ok) {
    if (ok) index_settle(f->ar->index);
    if (!ok && w) db_rollback(w);
    if (!ok) index_forget(f->ar->index);
    events_settle(f->ar, ok);
    db_return(f->ar->db, w);
    return ok;
}

static bool mark_damaged(struct fsck *f, struct vol_loc loc, struct str sop, struct err *e) {
    struct db *w = f->repair ? db_writer(f->ar->db, e) : NULL;
    if (!f->repair) return true;
    bool ok =
        w && index_begin(f->ar->index, w, e) &&
        sql_run(w, "UPDATE instances SET state = 1 WHERE volume = ?1 AND \"offset\" = ?2 AND state = 0", SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), e);
    if (ok && db_changes(w) > 0) ok = event_of(f, w, "instance.damaged", sop, e);
    ok = ok && db_commit(w, e);
    return end_repair(f, w, ok);
}

// Bytes that were taken for damaged and are those that were stored.
static bool mark_whole(struct fsck *f, struct vol_loc loc, struct str sop, struct err *e) {
    struct db *w = f->repair ? db_writer(f->ar->db, e) : NULL;
    if (!f->repair) return true;
    bool ok =
        w && index_begin(f->ar->index, w, e) &&
        sql_run(w, "UPDATE instances SET state = 0 WHERE volume = ?1 AND \"offset\" = ?2 AND state = 1", SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), e);
    if (ok && db_changes(w) > 0) ok = event_of(f, w, "instance.restored", sop, e);
    ok = ok && db_commit(w, e);
    return end_repair(f, w, ok);
}

static bool drop_missing(struct fsck *f, struct vol_loc loc, struct str sop, struct err *e) {
    struct db *w = f->repair ? db_writer(f->ar->db, e) : NULL;
    if (!f->repair) return true;
    bool ok = w && index_begin(f->ar->index, w, e) && kill_missing(f->ar->index, w, loc, sop, e) && event_of(f, w, "instance.lost", sop, e) && db_commit(w, e);
    return end_repair(f, w, ok);
}

// ---- one entry ----

static bool owner_of(struct fsck *f, struct vol_loc loc, enum owner *owner, int64_t *length, struct err *e) {
    int64_t row[2] = {0};
    bool found;
    bool ok =
        sql_one(f->d,
                "SELECT CASE WHEN state = 1 THEN 6 ELSE 1 END, length FROM instances WHERE volume = ?1 AND \"offset\" = ?2 UNION ALL SELECT 2, length FROM "
                "conflicts WHERE volume = ?1 AND \"offset\" "
                "= ?2 UNION ALL SELECT 3, length FROM quarantine WHERE volume = ?1 AND \"offset\" = ?2 UNION ALL SELECT 4, length FROM records WHERE volume "
                "= ?1 AND \"offset\" = ?2 UNION ALL SELECT 5, length FROM dead WHERE volume = ?1 AND \"offset\" = ?2",
                SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), row, 2, &found, e);
    *owner = ok && found ? (enum owner)row[0] : OWNER_NONE;
    *length = row[1];
    return ok;
}

static bool check_entry(struct fsck *f, const struct fsck_entry *en, struct err *e) {
    enum owner owner;
    int64_t length;
    const struct str sop = str_of(en->sop);
    if (en->damaged && sop.n == 0) return add_range(&f->gaps, en->loc.offset, en->loc.offset + en->loc.length, e);
    if (!owner_of(f, en->loc, &owner, &length, e) || !add_range(&f->seen, en->loc.offset, en->end, e)) return false;
    f->report->objects += en->kind == VOL_OBJECT || en->kind == VOL_CONFLICT;
    f->report->bytes += en->loc.length;
    if (owner == OWNER_DEAD) return true;
    if (en->damaged) {
        tell(f, "damaged", &f->report->damaged, sop, en->loc, "the bytes do not match their digest");
        return mark_damaged(f, en->loc, sop, e);
    }
    if (owner == OWNER_NONE) {
        tell(f, "orphan", &f->report->orphans, sop, en->loc, "the index does not know it");
        bool first = f->orphaned.n == 0 || f->orphaned.p[f->orphaned.n - 1].at != f->volume;
        return !first || add_range(&f->orphaned, f->volume, 0, e);
    }
    if ((uint64_t)length != en->loc.length) {
        tell(f, "damaged", &f->report->damaged, sop, en->loc, "its length in the volume is not that in the index");
        return mark_damaged(f, en->loc, sop, e);
    }
    return owner != OWNER_DAMAGED || mark_whole(f, en->loc, sop, e);
}

// ---- rows without a whole entry ----

static bool read_digest(struct fsck *f, struct vol_loc loc, uint8_t out[DIGEST_BYTES], struct err *e) {
    struct digest d = {0};
    bool ok = digest_init(&d, e);
    for (uint64_t at = 0, n; ok && at < loc.length; at += n) {
        n = loc.length - at < CHUNK_BYTES ? loc.length - at : CHUNK_BYTES;
        ok = vol_read_at(f->ar->volumes, loc, at, f->chunk, n, e);
        if (ok) digest_add(&d, f->chunk, n);
    }
    ok = ok && digest_final(&d, out, e);
    digest_deinit(&d);
    return ok;
}

static bool check_row(struct fsck *f, struct vol_loc loc, struct str sop, struct str digest, struct err *e) {
    uint8_t found[DIGEST_BYTES];
    struct err why = {0};
    vol_refetch(f->ar->volumes, loc); // what a cache has wrong says nothing of the volume
    if (!read_digest(f, loc, found, &why)) {
        // No volume, or cut before the object's end. What is encrypted does not open when a bit of it is another.
        bool broken = why.kind == ERR_CORRUPT && vol_is_encrypted(loc);
        bool unreadable = why.kind == ERR_IO || broken, missing = why.kind == ERR_NOT_FOUND || (why.kind == ERR_CORRUPT && !broken);
        if (!unreadable && !missing) return *e = why, false;
        tell(f, missing ? "missing" : "damaged", missing ? &f->report->missing : &f->report->damaged, sop, loc, why.message);
        return missing ? drop_missing(f, loc, sop, e) : mark_damaged(f, loc, sop, e);
    }
    if (str_eq(digest, (struct str){(const char *)found, DIGEST_BYTES})) {
        tell(f, "damaged", &f->report->damaged, sop, loc, "its headers in the volume are broken; its own bytes are whole and still served");
        return true;
    }
    tell(f, "damaged", &f->report->damaged, sop, loc, "its headers in the volume are broken and its bytes do not match their digest");
    return mark_damaged(f, loc, sop, e);
}

// The SQL lists volume, offset, length, name and digest of the rows of a volume.
static bool check_rows(struct fsck *f, const char *sql, bool in_list, struct err *e) {
    struct db_stmt *s = db_prepare(f->d, sql, e);
    if (!s) return false;
    db_bind_int(s, 1, f->volume);
    enum db_step step = DB_END;
    bool ok = true;
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        struct vol_loc loc = {(uint32_t)db_int(s, 0), (uint64_t)db_int(s, 1), (uint64_t)db_int(s, 2)};
        if (in_list && was_seen(f, loc.offset)) continue;
        ok = check_row(f, loc, db_text(s, 3), db_blob(s, 4), e);
    }
    db_done(s);
    return ok && step == DB_END;
}

static const char *const ROWS[] = {
    "SELECT volume, \"offset\", length, sop_instance_uid, digest FROM instances WHERE volume = ?1 ORDER BY \"offset\"",
    "SELECT volume, \"offset\", length, sop_instance_uid, digest FROM conflicts WHERE volume = ?1 AND kind = 'bytes' ORDER BY \"offset\"",
    "SELECT volume, \"offset\", length, '', digest FROM quarantine WHERE volume = ?1 AND reason NOT LIKE 'damaged: bytes in the volume%' ORDER BY \"offset\"",
    "SELECT volume, \"offset\", length, name, digest FROM records WHERE volume = ?1 ORDER BY \"offset\"",
};
enum { ROW_KINDS = sizeof ROWS / sizeof *ROWS };

// A gap that no row lies in is told for itself.
static bool check_gaps(struct fsck *f, struct err *e) {
    for (size_t i = 0; i < f->gaps.n; i++) {
        int64_t one;
        bool found;
        const struct range *g = &f->gaps.p[i];
        if (!sql_one(f->d,
                     "SELECT 1 WHERE EXISTS (SELECT 1 FROM instances WHERE volume = ?1 AND \"offset\" >= ?2 AND \"offset\" < ?3) OR EXISTS (SELECT 1 FROM "
                     "conflicts WHERE "
                     "volume = ?1 AND \"offset\" >= ?2 AND \"offset\" < ?3) OR EXISTS (SELECT 1 FROM records WHERE volume = ?1 AND \"offset\" >= ?2 AND "
                     "\"offset\" < ?3) OR "
                     "EXISTS (SELECT 1 FROM quarantine WHERE volume = ?1 AND \"offset\" > ?2 AND \"offset\" < ?3) OR EXISTS (SELECT 1 FROM dead WHERE volume = "
                     "?1 AND "
                     "\"offset\" >= ?2 AND \"offset\" < ?3)",
                     SQL_VALUES(SQL_I(f->volume), SQL_I(g->at), SQL_I(g->end)), &one, 1, &found, e))
            return false;
        if (!found) tell(f, "volume", &f->report->other, STR_LIT(""), (struct vol_loc){f->volume, g->at, g->end - g->at}, "bytes that are no entry");
    }
    return true;
}

// Whether the index still counts on a volume: nodes build others of it and remove it meanwhile.
static bool is_wanted(struct fsck *f, bool *wanted, struct err *e) {
    int64_t one;
    *wanted = true;
    return !f->ar->remote || sql_one(f->d, "SELECT 1 FROM volumes WHERE volume = ?1 AND removed_ms IS NULL", SQL_VALUES(SQL_I(f->volume)), &one, 1, wanted, e);
}

// A volume that was missing is there.
static bool note_there(struct fsck *f, struct err *e) {
    int64_t one;
    bool told;
    if (!f->repair) return true;
    return sql_one(f->d, "SELECT 1 FROM volumes WHERE volume = ?1 AND batch = " VOLUME_MISSING, SQL_VALUES(SQL_I(f->volume)), &one, 1, &told, e) &&
           (!told || damage_found_again(f->ar, &f->volume, 1, e));
}

static bool check_all_rows(struct fsck *f, bool in_list, struct err *e) {
    for (int i = 0; i < ROW_KINDS; i++)
        if (!check_rows(f, ROWS[i], in_list, e)) return false;
    return true;
}

static bool check_volume(struct fsck *f, const struct fsck_scan *scan, struct err *e) {
    bool wanted;
    f->seen.n = f->gaps.n = 0;
    if (!is_wanted(f, &wanted, e)) return false;
    if (!wanted) return true;
    if (!scan->ok && scan->why.kind != ERR_NOT_FOUND) return *e = scan->why, false;
    if (!scan->ok) return is_wanted(f, &wanted, e) && (!wanted || check_all_rows(f, false, e));
    for (size_t i = 0; i < scan->n; i++)
        if (!check_entry(f, &scan->p[i], e)) return false;
    return check_all_rows(f, true, e) && check_gaps(f, e) && note_there(f, e);
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool list_referred(struct fsck *f, struct ranges *out, struct err *e) {
    struct db_stmt *s = db_prepare(f->d, "SELECT DISTINCT volume FROM instances", e);
    enum db_step step = DB_FAIL;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = add_range(out, (uint64_t)db_int(s, 0), 0, e);
    db_done(s);
    return ok && step == DB_END;
}

// Rows in volumes that are not there at all. Volumes are listed after what refers to them: other nodes may have made some since the beginning.
static bool check_lost_volumes(struct fsck *f, struct err *e) {
    struct ranges referred = {0};
    uint32_t *volumes = NULL;
    size_t n = 0;
    bool ok = list_referred(f, &referred, e) && vol_list(f->ar->volumes, &volumes, &n, e);
    for (size_t i = 0; ok && i < referred.n; i++) {
        f->volume = (uint32_t)referred.p[i].at;
        bool there = n && bsearch(&f->volume, volumes, n, sizeof *volumes, by_number);
        ok = there || check_rows(f, ROWS[0], false, e);
    }
    free(volumes);
    free(referred.p);
    return ok;
}

static bool check_chain(struct fsck *f, struct err *e) {
    struct err why = {0};
    int64_t checked;
    if (events_verify(f->ar, &checked, &why)) return true;
    if (why.kind != ERR_CORRUPT) return *e = why, false;
    f->report->other++;
    if (f->on_finding) f->on_finding(f->ctx, &(struct fsck_finding){"chain", STR_LIT(""), str_of(why.message)});
    return true;
}

static void on_stranger(void *ctx, const struct vol_info *v) {
    struct fsck *f = ctx;
    f->strangers++;
    tell(f, "orphan", &f->report->orphans, STR_LIT(""), (struct vol_loc){v->volume, 0, v->size}, "a volume of the bucket that the index does not know");
}

// Orphans become rows by the way in which entries that the index has not seen do: their volumes are looked at from the start again.
static bool index_orphans(struct fsck *f, struct err *e) {
    uint64_t count;
    for (size_t i = 0; i < f->orphaned.n; i++)
        if (!index_replay_volume(f->ar, (uint32_t)f->orphaned.p[i].at, &count, e)) return false;
    return f->strangers == 0 || fsck_adopt(f->ar, e);
}

bool archive_fsck(struct archive *ar, bool repair, void (*on_finding)(void *ctx, const struct fsck_finding *f),
                  void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct fsck_report *out, struct err *e) {
    struct err own = {0};
    *out = (struct fsck_report){0};
    struct fsck f = {.ar = ar, .repair = repair, .on_finding = on_finding, .ctx = ctx, .report = out, .chunk = malloc(CHUNK_BYTES)};
    uint32_t *volumes = NULL;
    size_t n = 0;
    struct fsck_ahead *ahead = NULL;
    f.d = db_reader(ar->db, &own);
    bool ok = f.d && (f.chunk || err_nomem(&own, "fsck")) && fsck_volumes(ar, &volumes, &n, &own) && fsck_ahead_start(ar, volumes, n, &ahead, &own);
    for (size_t i = 0; ok && i < n; i++) {
        f.volume = volumes[i];
        ok = check_volume(&f, fsck_ahead_next(ahead, i), &own) || err_wrap(&own, "volume %u", volumes[i]);
        if (on_progress) on_progress(ctx, i + 1, n);
    }
    fsck_ahead_stop(ahead);
    ok = ok && check_lost_volumes(&f, &own) && fsck_strangers(ar, volumes, n, on_stranger, &f, &own) && check_chain(&f, &own);
    db_return(ar->db, f.d);
    if (ok && repair && out->orphans) ok = index_orphans(&f, &own);
    free(volumes);
    free(f.chunk);
    free(f.seen.p);
    free(f.gaps.p);
    free(f.orphaned.p);
    if (!ok && e) *e = own;
    return ok;
}
