// Replay: entries of the volumes that the index has not seen become rows by the same code as at their commit.
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "core/graves.h"
#include "core/hold.h"
#include "core/index.h"
#include "sys/digest.h"

enum { BATCH = 512, READ_BYTES = 64 * 1024, ARENA_BYTES_MAX = 512 << 20, ASKED = 1024 };

struct replay {
    struct index *ix;
    struct db *w;
    struct arena arena;
    char *chunk;                        // READ_BYTES
    uint32_t gone[ASKED], there[ASKED]; // volumes of rows that were asked for, by their numbers
    unsigned batch;
    bool in_transaction;
    bool collect; // only tombstones, as dead places
    uint64_t count;
    void (*on_progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
};

struct entry_source {
    struct vol_set *vs;
    struct vol_loc loc;
};

static bool read_entry(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct entry_source *s = ctx;
    return vol_read_at(s->vs, s->loc, offset, p, n, e);
}

bool index_read_object(struct arena *a, struct vol_set *vs, struct vol_loc loc, char *chunk, size_t chunk_n, struct dcm_object *out, struct err *e) {
    struct dcm_builder *b = dcm_builder_new(a, NULL, DCM_STOP_AT_PIXELS, e);
    if (!b) return false;
    enum dcm_step step = DCM_MORE;
    for (uint64_t at = 0, n; step == DCM_MORE && at < loc.length; at += n) {
        n = loc.length - at < chunk_n ? loc.length - at : chunk_n;
        if (!vol_read_at(vs, loc, at, chunk, n, e)) return false;
        step = dcm_builder_feed(b, chunk, n, e);
    }
    if (step == DCM_MORE)
        step = dcm_builder_end(b, out, e);
    else if (step == DCM_DONE)
        *out = *dcm_builder_object(b);
    return step == DCM_DONE;
}

static bool is_there(struct db *w, struct vol_loc loc, bool *there, struct err *e) {
    int64_t one;
    return sql_one(
        w,
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM instances WHERE volume = ?1 AND \"offset\" = ?2) OR EXISTS (SELECT 1 FROM dead WHERE volume = ?1 AND "
        "\"offset\" = ?2) OR EXISTS (SELECT 1 FROM conflicts WHERE volume = ?1 AND \"offset\" = ?2) OR EXISTS (SELECT 1 FROM quarantine WHERE volume = ?1 "
        "AND \"offset\" = ?2) OR EXISTS (SELECT 1 FROM records WHERE volume = ?1 AND \"offset\" = ?2)",
        SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), &one, 1, there, e);
}

static bool stop_at_first(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    (void)ctx, (void)en, (void)damaged, (void)e;
    return false;
}

// Whether a volume that rows refer to is no more: it was built anew and removed, and the index is older than that (the power went, or it is a copy of
// an earlier time). What was in it is found again in the volume that was built.
// It is asked for its bytes: what the index says of it is of that time.
static bool is_gone(struct replay *r, uint32_t volume, bool *gone, struct err *e) {
    struct err why = {0};
    unsigned slot = volume % ASKED;
    *gone = volume == r->gone[slot];
    if (*gone || volume == r->there[slot]) return true;
    bool there = vol_scan(r->ix->ar->volumes, volume, 0, false, stop_at_first, NULL, NULL, &why) || why.kind == ERR_NONE || why.kind == ERR_CORRUPT;
    if (there) return r->there[slot] = volume, true;
    if (why.kind != ERR_NOT_FOUND) return *e = why, false;
    r->gone[slot] = volume;
    return *gone = true;
}

static bool kept_is_gone(struct replay *r, const char *sql, const struct sql_value *values, int n, int64_t *volume, bool *gone, struct err *e) {
    bool found;
    *gone = false;
    if (!sql_one(r->w, sql, values, n, volume, 1, &found, e)) return false;
    return !found || is_gone(r, (uint32_t)*volume, gone, e);
}

static bool take_place(struct replay *r, const char *sql, const struct vol_entry *en, int64_t volume, struct err *e) {
    return sql_run(r->w, sql,
                   SQL_VALUES(SQL_I(en->loc.volume), SQL_I(en->loc.offset), SQL_I(en->loc.length), SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_I(volume)), e);
}

// The same as what is kept, which is gone: this one is kept.
static bool replace_gone(struct replay *r, const struct vol_entry *en, enum index_kept *kept, bool *replaced, struct err *e) {
    int64_t volume;
    bool gone;
    if (*kept == INDEX_SAME) {
        if (!kept_is_gone(r, "SELECT volume FROM instances WHERE sop_instance_uid = ?1", SQL_VALUES(SQL_T(en->sop)), &volume, &gone, e)) return false;
        if (gone) *kept = INDEX_SAME_DAMAGED;
        return !gone || sql_run(r->w, "UPDATE instances SET state = 1 WHERE sop_instance_uid = ?1", SQL_VALUES(SQL_T(en->sop)), e);
    }
    if (*kept != INDEX_SAME_CONFLICT) return true;
    if (!kept_is_gone(r, "SELECT volume FROM conflicts WHERE sop_instance_uid = ?1 AND digest = ?2 AND kind = 'bytes'",
                      SQL_VALUES(SQL_T(en->sop), SQL_B(en->digest, VOL_DIGEST_BYTES)), &volume, &gone, e))
        return false;
    *replaced = gone;
    return !gone || take_place(r, "UPDATE conflicts SET volume = ?1, \"offset\" = ?2, length = ?3 WHERE digest = ?4 AND volume = ?5", en, volume, e);
}

static bool add_quarantine(struct replay *r, const struct vol_entry *en, struct err *e) {
    int64_t volume;
    bool gone;
    if (!kept_is_gone(r, "SELECT volume FROM quarantine WHERE digest = ?1", SQL_VALUES(SQL_B(en->digest, VOL_DIGEST_BYTES)), &volume, &gone, e)) return false;
    if (gone) return take_place(r, "UPDATE quarantine SET volume = ?1, \"offset\" = ?2, length = ?3 WHERE digest = ?4 AND volume = ?5", en, volume, e);
    return rows_quarantine(r->ix, r->w, en, en->note, e);
}

static bool add_object(struct replay *r, const struct vol_entry *en, struct index_put *p, struct err *e) {
    enum index_kept kept;
    bool replaced = false;
    if (!index_compare(r->ix, r->w, en, p, &kept, e) || !replace_gone(r, en, &kept, &replaced, e)) return false;
    if (replaced) return true;
    p->heals = kept == INDEX_SAME_DAMAGED;
    bool duplicate = kept == INDEX_SAME || kept == INDEX_SAME_CONFLICT || (kept == INDEX_SAME_DAMAGED && p->damaged);
    if (duplicate) return rows_dead(r->w, en->loc, p->facts.sop_uid, "duplicate", e);
    if (en->kind == VOL_CONFLICT || kept == INDEX_OTHER) return rows_conflict(r->ix, r->w, en, p, e);
    return rows_object(r->ix, r->w, en, p, e);
}

static bool add_dicom(struct replay *r, const struct vol_entry *en, bool damaged, struct err *e) {
    struct entry_source from = {r->ix->ar->volumes, en->loc};
    struct dcm_source source = {read_entry, &from};
    struct dcm_object o = {0};
    struct index_put p = {.damaged = damaged};
    bool dead = false;
    if (!grave_of(r->w, en, &dead, e)) return false;
    if (dead) return rows_dead(r->w, en->loc, en->sop, "deleted", e);
    bool ok = index_read_object(&r->arena, r->ix->ar->volumes, en->loc, r->chunk, READ_BYTES, &o, e) &&
              index_prepare(r->ix->ar, &r->arena, &o, 0, &source, en->loc.length, &p, e) && add_object(r, en, &p, e);
    index_put_deinit(&p);
    return ok;
}

static bool read_json(struct replay *r, const struct vol_entry *en, struct str *out, struct err *e) {
    char *p = arena_alloc(&r->arena, en->loc.length, e);
    *out = (struct str){p, en->loc.length};
    return p && (en->loc.length == 0 || vol_read_at(r->ix->ar->volumes, en->loc, 0, p, en->loc.length, e));
}

// What is said there counts only when these are its own words.
static bool read_words(struct replay *r, const struct vol_entry *en, struct str *json, const char *else_, struct err *e) {
    uint8_t digest[VOL_DIGEST_BYTES];
    if (!read_json(r, en, json, e) || !digest_of(json->p, json->n, digest, e)) return false;
    return memcmp(digest, en->digest, sizeof digest) == 0 || err_set(e, ERR_CORRUPT, "index", "%s", else_);
}

static bool add_record(struct replay *r, const struct vol_entry *en, struct err *e) {
    struct str json;
    bool stale;
    return read_words(r, en, &json, "damaged: what this record says does not count", e) && hold_record(r->ix, r->w, en, json, &stale, e);
}

static bool add_tombstone(struct replay *r, const struct vol_entry *en, struct err *e) {
    struct str json;
    if (!read_words(r, en, &json, "damaged: what this tombstone names is not deleted", e)) return false;
    return r->collect ? kill_collect(r->w, json, e) : kill_tombstone(r->ix, r->w, en, json, e);
}

// Bytes that are no entry, or an entry whose headers are broken: listed where they lie, so that somebody looks at them.
static bool add_gap(struct replay *r, const struct vol_entry *en, struct err *e) {
    struct vol_entry gap = *en;
    const uint64_t key[2] = {en->loc.volume, en->loc.offset};
    if (!digest_of(key, sizeof key, gap.digest, e)) return false;
    gap.source = STR_LIT("job:replay");
    return rows_quarantine(r->ix, r->w, &gap, STR_LIT("damaged: bytes in the volume that are no entry"), e);
}

static bool add_entry(struct replay *r, const struct vol_entry *en, bool damaged, struct err *e) {
    if (r->collect) return en->kind != VOL_TOMBSTONE || damaged || add_tombstone(r, en, e);
    if (damaged && en->sop.n == 0) return add_gap(r, en, e);
    switch (en->kind) {
    case VOL_OBJECT:
    case VOL_CONFLICT:
        return add_dicom(r, en, damaged, e);
    case VOL_QUARANTINE:
        return add_quarantine(r, en, e);
    case VOL_TOMBSTONE:
        return add_tombstone(r, en, e);
    case VOL_RECORD:
        return add_record(r, en, e);
    }
    return true;
}

// Failures that say nothing of the entry: another time it may go well.
static bool is_of_the_moment(enum err_kind kind) {
    static const enum err_kind kinds[] = {ERR_FULL,    ERR_NOMEM,     ERR_IO,   ERR_BUSY,      ERR_NET,
                                          ERR_TIMEOUT, ERR_CANCELLED, ERR_PEER, ERR_FORBIDDEN, ERR_UNAUTHORIZED};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kind == kinds[i]) return true;
    return false;
}

// One entry that cannot be indexed must not keep all others out: it is listed as quarantined where it lies.
static bool set_aside(struct replay *r, const struct vol_entry *en, bool damaged, const struct err *why, struct err *e) {
    char reason[INDEX_REASON_MAX];
    if (!db_exec(r->w, "ROLLBACK TO entry", e)) return false;
    index_forget(r->ix);
    events_settle(r->ix->ar, false);
    snprintf(reason, sizeof reason, "%s%.180s", damaged ? "damaged: the bytes do not match their digest; " : "", why->message);
    log_line(LOG_WARN, "index", "volume %u at %llu: %s", en->loc.volume, (unsigned long long)en->loc.offset, reason);
    return rows_quarantine(r->ix, r->w, en, str_of(reason), e);
}

static bool end_batch(struct replay *r, uint32_t volume, uint64_t end, struct err *e) {
    if (!r->in_transaction) return true;
    bool ok = (r->collect || index_set_position(r->w, volume, end, e)) && db_commit(r->w, e);
    if (ok) r->in_transaction = false;
    if (ok) index_settle(r->ix);
    r->batch = 0;
    events_settle(r->ix->ar, ok);
    return ok;
}

static bool visit_new(struct replay *r, const struct vol_entry *en, bool damaged, struct err *e) {
    struct err why = {0};
    if (!db_exec(r->w, "SAVEPOINT entry", e)) return false;
    if (!add_entry(r, en, damaged, &why)) {
        if (is_of_the_moment(why.kind) && e) *e = why;
        if (is_of_the_moment(why.kind) || !set_aside(r, en, damaged, &why, e)) return false;
    }
    return places_flush(r->ix, r->w, e) && figures_flush(r->ix, r->w, e) && db_exec(r->w, "RELEASE entry", e);
}

static bool visit(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    struct replay *r = ctx;
    bool there = false;
    if (r->collect && en->kind != VOL_TOMBSTONE) return true;
    arena_reset(&r->arena);
    arena_reset(&r->ix->scratch);
    if (!r->in_transaction && !index_begin(r->ix, r->w, e)) return false;
    r->in_transaction = true;
    if (!r->collect && !is_there(r->w, en->loc, &there, e)) return false;
    if (!there && !visit_new(r, en, damaged, e)) return false;
    r->count += !there;
    return ++r->batch < BATCH || end_batch(r, en->loc.volume, en->end, e);
}

static bool note_finished(struct replay *r, uint32_t volume, struct err *e) {
    struct vol_state st;
    return vol_state_get(r->ix->ar->volumes, volume, &st, e) &&
           (st.growing || sql_run(r->w, "UPDATE volumes SET finished = 1 WHERE volume = ?1", SQL_VALUES(SQL_I(volume)), e));
}

static bool replay_volume(struct replay *r, uint32_t volume, struct err *e) {
    int64_t row[2] = {0};
    bool found;
    uint64_t end;
    if (!r->collect && !sql_one(r->w, "SELECT indexed_end, finished FROM volumes WHERE volume = ?1", SQL_VALUES(SQL_I(volume)), row, 2, &found, e))
        return false;
    if (row[1]) return true;
    bool ok = vol_scan(r->ix->ar->volumes, volume, (uint64_t)row[0], !r->collect, visit, r, &end, e) && end_batch(r, volume, end, e);
    if (!ok && r->in_transaction) {
        db_rollback(r->w);
        index_forget(r->ix);
        events_settle(r->ix->ar, false);
    }
    return ok && (r->collect || note_finished(r, volume, e));
}

static bool run(struct archive *ar, bool collect, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *count, struct err *e) {
    struct replay r = {.ix = ar->index, .collect = collect, .on_progress = on_progress, .ctx = ctx};
    uint32_t *volumes = NULL;
    size_t n = 0;
    arena_init(&r.arena, ARENA_BYTES_MAX);
    r.chunk = malloc(READ_BYTES);
    r.w = db_writer(ar->db, e);
    bool ok = r.chunk ? r.w && vol_list(ar->volumes, &volumes, &n, e) : err_nomem(e, "index");
    for (size_t i = 0; ok && i < n; i++) {
        ok = replay_volume(&r, volumes[i], e) || err_wrap(e, "index volume %u", volumes[i]);
        if (on_progress) on_progress(ctx, i + 1, n);
    }
    db_return(ar->db, r.w);
    arena_deinit(&r.arena);
    free(r.chunk);
    free(volumes);
    *count = r.count;
    return ok;
}

bool index_replay(struct archive *ar, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *count, struct err *e) {
    return run(ar, false, on_progress, ctx, count, e);
}

// Reads the volume once before others are kept waiting for it.
static bool read_ahead(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    (void)ctx, (void)en, (void)damaged, (void)e;
    return true;
}

static bool replay_one(struct replay *r, uint32_t volume, struct err *e) {
    return sql_run(r->w, "UPDATE volumes SET indexed_end = 0, finished = 0 WHERE volume = ?1", SQL_VALUES(SQL_I(volume)), e) && replay_volume(r, volume, e);
}

bool index_replay_volume(struct archive *ar, uint32_t volume, uint64_t *count, struct err *e) {
    struct replay r = {.ix = ar->index};
    arena_init(&r.arena, ARENA_BYTES_MAX);
    r.chunk = malloc(READ_BYTES);
    vol_refetch(ar->volumes, (struct vol_loc){.volume = volume}); // a cache may have another volume of this number, of a later time than the index
    bool ok = (r.chunk || err_nomem(e, "index")) && vol_scan(ar->volumes, volume, 0, true, read_ahead, NULL, NULL, e);
    r.w = ok ? db_writer(ar->db, e) : NULL;
    ok = r.w && (replay_one(&r, volume, e) || err_wrap(e, "index volume %u", volume));
    db_return(ar->db, r.w);
    arena_deinit(&r.arena);
    free(r.chunk);
    *count = r.count;
    return ok;
}

bool index_collect_tombstones(struct archive *ar, struct err *e) {
    uint64_t count;
    return run(ar, true, NULL, NULL, &count, e);
}
