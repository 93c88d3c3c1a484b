// Rows in the target for the entries of a volume that was copied, as the source's index has them.
#include <stdlib.h>

#include "core/hold.h"
#include "core/migrate_part.h"

enum { BATCH = 512, READ_BYTES = 64 * 1024, ENTRY_BYTES_MAX = 512 << 20 };

struct rows {
    struct migrate *m;
    struct index *ix;
    struct db *w;
    uint32_t volume;
    const struct roles *source;
    struct roles target; // whole: what is there
    bool whole, stopped, begun;
    unsigned batch;
    uint64_t seen;      // end of the last entry that was visited
    struct arena arena; // of one entry
    char *chunk;
};

struct entry_source {
    struct vol_set *vs;
    struct vol_loc loc;
};

static bool read_entry(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct entry_source *s = ctx;
    return vol_read_at(s->vs, s->loc, offset, p, n, e);
}

// ---- making room ----

// Whatever lives at this place is no more; of what becomes of the place its own entry tells.
static bool evict(struct rows *r, struct vol_loc loc, struct str sop, struct err *e) {
    return kill_missing(r->ix, r->w, loc, sop, e) &&
           sql_run(r->w, "DELETE FROM records WHERE volume = ?1 AND \"offset\" = ?2", SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), e);
}

// ---- one entry ----

// The same SOP Instance UID elsewhere in the target: the entry was moved since, or other bytes were first there and died.
static bool settle_name(struct rows *r, const struct vol_entry *en, struct str sop, bool *moved, struct err *e) {
    int64_t row[4] = {0};
    bool found;
    *moved = false;
    if (!sql_one(r->w, "SELECT volume, \"offset\", length, CASE WHEN digest = ?2 AND state = 0 THEN 1 ELSE 0 END FROM instances WHERE sop_instance_uid = ?1",
                 SQL_VALUES(SQL_T(sop), SQL_B(en->digest, VOL_DIGEST_BYTES)), row, 4, &found, e))
        return false;
    if (!found) return true;
    struct vol_loc from = {(uint32_t)row[0], (uint64_t)row[1], (uint64_t)row[2]};
    *moved = row[3] != 0;
    return *moved ? kill_moved(r->ix, r->w, en, from, e) : evict(r, from, sop, e) && rows_dead(r->w, from, sop, "replaced", e);
}

static bool add_row(struct rows *r, const struct vol_entry *en, enum role role, struct index_put *p, struct err *e) {
    bool moved = false;
    if (role == ROLE_CONFLICT) return rows_conflict(r->ix, r->w, en, p, e);
    return settle_name(r, en, p->facts.sop_uid, &moved, e) && (moved || rows_object(r->ix, r->w, en, p, e));
}

// What the source could read once and cannot be read now is kept where it can be looked at, as replay does.
static bool set_aside(struct rows *r, const struct vol_entry *en, const struct err *why, struct err *e) {
    r->m->lost++;
    migrate_note(r->m, "volume %u at byte %llu: %s; it is in quarantine in the target", en->loc.volume, (unsigned long long)en->loc.offset, why->message);
    return rows_quarantine(r->ix, r->w, en, str_of(why->message), e);
}

static bool add_dicom(struct rows *r, const struct vol_entry *en, enum role role, bool damaged, struct err *e) {
    struct entry_source from = {r->m->headers, en->loc};
    struct dcm_source source = {read_entry, &from};
    struct dcm_object o = {0};
    struct index_put p = {.damaged = damaged};
    struct err why = {0};
    bool read = index_read_object(&r->arena, r->m->headers, en->loc, r->chunk, READ_BYTES, &o, &why) &&
                index_prepare(r->m->to, &r->arena, &o, 0, &source, en->loc.length, &p, &why);
    bool momentary = !read && why.kind != ERR_BAD_INPUT && why.kind != ERR_UNSUPPORTED && why.kind != ERR_TOO_LARGE && why.kind != ERR_CORRUPT;
    bool ok = read ? add_row(r, en, role, &p, e) : !momentary && set_aside(r, en, &why, e);
    if (momentary && e) *e = why;
    index_put_deinit(&p);
    return ok;
}

static bool add_quarantined(struct rows *r, const struct vol_entry *en, const struct role_row *row, struct err *e) {
    struct vol_entry as = *en;
    int64_t other[3] = {0};
    bool found;
    memcpy(as.digest, row->digest, sizeof as.digest);
    if (!as.source.p) as.source = STR_LIT("job:replay"); // bytes that are no entry
    if (!sql_one(r->w, "SELECT volume, \"offset\", length FROM quarantine WHERE digest = ?1", SQL_VALUES(SQL_B(row->digest, DIGEST_BYTES)), other, 3, &found,
                 e))
        return false;
    struct vol_loc from = {(uint32_t)other[0], (uint64_t)other[1], (uint64_t)other[2]};
    bool room = !found || (evict(r, from, STR_LIT(""), e) && rows_dead(r->w, from, STR_LIT(""), "moved", e));
    return room && rows_quarantine(r->ix, r->w, &as, row->text, e);
}

static bool add_record(struct rows *r, const struct vol_entry *en, struct err *e) {
    bool stale;
    char *p = arena_alloc(&r->arena, en->loc.length, e);
    if (!p || (en->loc.length && !vol_read_at(r->m->headers, en->loc, 0, p, en->loc.length, e))) return false;
    const struct str json = {p, en->loc.length};
    return en->kind == VOL_TOMBSTONE ? kill_tombstone(r->ix, r->w, en, json, e) : hold_record(r->ix, r->w, en, json, &stale, e);
}

static bool add_dead(struct rows *r, const struct vol_entry *en, const struct role_row *row, struct err *e) {
    const char *why = arena_strz(&r->arena, row->text, e);
    return why && rows_dead(r->w, en->loc, row->name, why, e);
}

static bool add_entry(struct rows *r, const struct vol_entry *en, const struct role_row *row, bool damaged, struct err *e) {
    switch (row->role) {
    case ROLE_INSTANCE:
    case ROLE_CONFLICT:
        return add_dicom(r, en, row->role, damaged, e);
    case ROLE_QUARANTINE:
        return add_quarantined(r, en, row, e);
    case ROLE_RECORD:
        return add_record(r, en, e);
    case ROLE_DEAD:
        return add_dead(r, en, row, e);
    case ROLE_NONE:
        break;
    }
    return true;
}

// ---- walking ----

static bool end_batch(struct rows *r, struct err *e) {
    if (!r->begun) return true;
    bool ok = places_flush(r->ix, r->w, e) && figures_flush(r->ix, r->w, e) && index_set_position(r->w, r->volume, r->seen, e) && db_commit(r->w, e);
    r->begun = false;
    r->batch = 0;
    if (ok) return index_settle(r->ix), true;
    db_rollback(r->w);
    index_forget(r->ix);
    return false;
}

static void note_damage(struct rows *r, const struct vol_entry *en, enum role role) {
    if (!role_lives(role)) return;
    r->m->damaged++;
    migrate_note(r->m, "volume %u at byte %llu: damaged in the source, and copied as it is", en->loc.volume, (unsigned long long)en->loc.offset);
}

static bool note_unknown(struct rows *r, const struct vol_entry *en) {
    r->m->unknown++;
    migrate_note(r->m, "volume %u at byte %llu: the source's index does not know it, and the target's does not either", en->loc.volume,
                 (unsigned long long)en->loc.offset);
    return true;
}

// Another copy of the bytes from the source tells whether they were damaged there.
static bool same_damage(struct rows *r, const struct vol_entry *en, struct err *e) {
    struct err why = {0};
    if (!vol_verify(r->m->from->volumes, en, &why)) return why.kind == ERR_CORRUPT || (e && (*e = why, false));
    return err_set(e, ERR_CORRUPT, "migrate", "the entry at byte %llu was damaged on its way", (unsigned long long)en->loc.offset);
}

static bool visit_row(struct rows *r, const struct vol_entry *en, const struct role_row *row, bool damaged, struct err *e) {
    const struct role_row *there = roles_find(&r->target, en->loc.offset);
    enum role now = there ? there->role : ROLE_NONE;
    if (r->whole && now == row->role) return true;
    if (!r->begun && !index_begin(r->ix, r->w, e)) return false;
    r->begun = true;
    arena_reset(&r->ix->scratch);
    if (role_lives(now) && !evict(r, en->loc, en->sop, e)) return false;
    if (damaged && role_lives(row->role)) note_damage(r, en, row->role);
    if (!add_entry(r, en, row, damaged, e)) return false;
    r->m->progress.entries++;
    return true;
}

static bool visit_known(struct rows *r, const struct vol_entry *en, struct role_row *row, bool damaged, struct err *e) {
    row->visited = true;
    if (!visit_row(r, en, row, damaged, e)) return err_wrap(e, "volume %u at byte %llu", r->volume, (unsigned long long)en->loc.offset);
    r->seen = en->end;
    return ++r->batch < BATCH || end_batch(r, e);
}

static bool visit(void *ctx, const struct vol_entry *en, bool damaged, struct err *e) {
    struct rows *r = ctx;
    struct role_row *row = roles_find(r->source, en->loc.offset);
    arena_reset(&r->arena);
    if (damaged && en->sop.n && !same_damage(r, en, e)) return false;
    if (row) return visit_known(r, en, row, damaged, e);
    r->stopped = !r->m->last && en->end > r->source->indexed_end;
    if (r->stopped) return false;
    r->seen = en->end;
    return r->whole || note_unknown(r, en);
}

static bool walk(struct rows *r, uint64_t from, bool *all, struct err *e) {
    *all = vol_scan(r->m->to->volumes, r->volume, from, true, visit, r, NULL, e);
    return (*all || r->stopped) && end_batch(r, e);
}

static void give_up(struct rows *r) {
    if (!r->begun) return;
    db_rollback(r->w);
    index_forget(r->ix);
}

bool migrate_rows(struct migrate *m, uint32_t volume, const struct roles *source, bool whole, bool *all, struct err *e) {
    struct rows r = {.m = m, .ix = m->to->index, .volume = volume, .source = source, .whole = whole};
    *all = false;
    if (!roles_read(m->to, &m->arena, volume, &r.target, e)) return false;
    arena_init(&r.arena, ENTRY_BYTES_MAX);
    r.chunk = malloc(READ_BYTES);
    r.w = db_writer(m->to->db, e);
    bool ok = r.w && (r.chunk || err_nomem(e, "migrate"));
    m->to->index->silent = true;
    ok = ok && walk(&r, whole ? 0 : r.target.indexed_end, all, e);
    m->to->index->silent = false;
    if (!ok && r.w) give_up(&r);
    if (r.w) db_return(m->to->db, r.w);
    free(r.chunk);
    arena_deinit(&r.arena);
    return ok;
}
