// Rows of objects, conflicting copies, quarantined bytes and records.
#include <stdio.h>

#include "base/limits.h"
#include "core/damage.h"
#include "core/index.h"
#include "core/realm.h"
#include "core/searchable.h"
#include "sys/zstd.h"

static void bind(struct db_stmt *s, int i, const struct sql_value *v) {
    switch (v->kind) {
    case SQL_INT:
        db_bind_int(s, i, v->i);
        break;
    case SQL_TEXT:
        db_bind_text(s, i, v->s.p ? v->s : STR_LIT(""));
        break;
    case SQL_BLOB:
        db_bind_blob(s, i, v->s.p ? v->s : STR_LIT(""));
        break;
    case SQL_NULL:
        break; // unbound is NULL
    }
}

bool sql_run(struct db *d, const char *sql, const struct sql_value *values, int n, struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    for (int i = 0; i < n; i++) bind(s, i + 1, &values[i]);
    bool ok = db_next(s, e) == DB_END;
    db_done(s);
    return ok;
}

bool sql_one(struct db *d, const char *sql, const struct sql_value *values, int n, int64_t *out, int n_out, bool *found, struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    for (int i = 0; i < n; i++) bind(s, i + 1, &values[i]);
    enum db_step step = db_next(s, e);
    *found = step == DB_ROW;
    for (int i = 0; *found && i < n_out; i++) out[i] = db_int(s, i);
    db_done(s);
    return step != DB_FAIL;
}

bool sql_insert(struct db *d, const char *sql, const struct sql_value *values, int n, int64_t *id, struct err *e) {
    bool there;
    return sql_one(d, sql, values, n, id, 1, &there, e) && (there || err_set(e, ERR_INTERNAL, "index", "no row was made by %.80s", sql));
}

bool index_describe(struct index_put *p, struct err *e) {
    if (p->described) return true;
    p->described = facts_study(p->arena, p->facts.ds, &p->study, e) && facts_series(p->arena, p->facts.ds, &p->series, e);
    return p->described;
}

bool index_event(struct index *ix, struct db *w, struct event *ev, struct err *e) {
    return ix->silent || event_append(ix->ar, w, ev, e);
}

// ---- objects ----

// The header as it goes into the row: compressed anew when what it was compressed against is not this series' base.
static bool settle_header(const struct place *at, struct index_put *p, int64_t *base_id, struct err *e) {
    bool based = p->base && p->base->id;
    bool fits = based && p->base->id == at->header_base && !p->base->stale;
    *base_id = fits ? at->header_base : 0;
    if (fits || !based) return true;
    buf_clear(&p->header);
    return zstd_compress(p->header_plain, (struct str){NULL, 0}, &p->header, e);
}

// The first header of a series becomes its base; a series without one is at least remembered as known.
static bool make_base(struct index *ix, struct db *w, struct place *at, const struct index_put *p, struct err *e) {
    if (at->header_base) return true;
    bool suits = p->header_kind == HEADER_AS_STORED && p->header_plain.n <= BASE_BYTES_MAX;
    if (suits) {
        if (!sql_insert(w, "INSERT INTO header_bases (data) VALUES (?1) RETURNING id", SQL_VALUES(SQL_B(p->header.p, p->header.n)), &at->header_base, e))
            return false;
        if (!sql_run(w, "UPDATE series SET header_base = ?2 WHERE id = ?1", SQL_VALUES(SQL_I(at->series), SQL_I(at->header_base)), e)) return false;
    }
    bases_put(&ix->bases, at->key, at->header_base, suits ? p->header_plain : (struct str){NULL, 0});
    return true;
}

static const char INSERT_INSTANCE[] =
    "INSERT INTO instances (series, sop_instance_uid, sop_class_uid, ts_uid, number, state, volume, \"offset\", length, dataset_offset, pixel_offset, "
    "pixel_length, frames, rows, columns, digest, source, received_ms, header_kind, header_base, header) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
    "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

static bool insert_instance(struct db *w, const struct vol_entry *en, const struct index_put *p, const struct place *at, int64_t base, struct err *e) {
    const struct facts *f = &p->facts;
    return sql_run(w, INSERT_INSTANCE,
                   SQL_VALUES(SQL_I(at->series), SQL_T(f->sop_uid), SQL_T(f->sop_class_uid), SQL_T(f->ts_uid), SQL_OPT(f->has_number, f->number),
                              SQL_I(p->damaged), SQL_I(en->loc.volume), SQL_I(en->loc.offset), SQL_I(en->loc.length), SQL_I(f->dataset_offset),
                              SQL_I(f->pixel_offset), SQL_I(f->pixel_length), SQL_I(f->frames), SQL_I(f->rows), SQL_I(f->columns),
                              SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_T(en->source), SQL_I(en->received_ms), SQL_I(p->header_kind), SQL_I(base),
                              SQL_B(p->header.p, p->header.n)),
                   e);
}

static bool object_event(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, const char *type, struct err *e) {
    char detail[256];
    int n = snprintf(detail, sizeof detail, "{\"bytes\":%llu,\"sop_class\":\"%.*s\",\"ts\":\"%.*s\"}", (unsigned long long)en->loc.length,
                     STR_FMT(p->facts.sop_class_uid), STR_FMT(p->facts.ts_uid));
    struct event ev = {.type = str_of(type),
                       .actor = en->source,
                       .study_uid = p->facts.study_uid,
                       .series_uid = p->facts.series_uid,
                       .sop_instance_uid = p->facts.sop_uid,
                       .detail = {detail, (size_t)n}};
    return index_event(ix, w, &ev, e);
}

bool rows_dead(struct db *w, struct vol_loc loc, struct str sop, const char *why, struct err *e) {
    return sql_run(w,
                   "INSERT INTO dead VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (volume, \"offset\") DO UPDATE SET length = excluded.length, "
                   "sop_instance_uid = excluded.sop_instance_uid, why = excluded.why",
                   SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset), SQL_I(loc.length), SQL_T(sop), SQL_T(str_of(why))), e);
}

// What reading its parts needs. Of an object that comes from a volume nothing is known yet: it is made when it is asked for.
static bool put_parts(struct index *ix, struct db *w, int64_t instance, const struct vol_entry *en, const struct index_put *p, struct err *e) {
    if (!p->parts.sums.n) return parts_forget(w, instance, e);
    return parts_put(w, instance, en->digest, &p->parts, &ix->packed, e);
}

// A good copy of an object whose first copy is damaged or missing takes its row's place; the damaged bytes are dead.
static bool heal(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, bool *healed, struct err *e) {
    int64_t row[5];
    *healed = false;
    if (!sql_one(
            w, "SELECT id, volume, \"offset\", length, series FROM instances WHERE sop_instance_uid = ?1 AND (state = 1 OR " IN_MISSING_VOLUME("instances") ")",
            SQL_VALUES(SQL_T(p->facts.sop_uid)), row, 5, healed, e))
        return false;
    if (!*healed) return true;
    struct vol_loc old = {(uint32_t)row[1], (uint64_t)row[2], (uint64_t)row[3]};
    return put_parts(ix, w, row[0], en, p, e) &&
           sql_run(w,
                   "UPDATE instances SET state = 0, volume = ?2, \"offset\" = ?3, length = ?4, dataset_offset = ?5, pixel_offset = ?6, digest = ?7, "
                   "received_ms = ?8 "
                   "WHERE id = ?1",
                   SQL_VALUES(SQL_I(row[0]), SQL_I(en->loc.volume), SQL_I(en->loc.offset), SQL_I(en->loc.length), SQL_I(p->facts.dataset_offset),
                              SQL_I(p->facts.pixel_offset), SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_I(en->received_ms)),
                   e) &&
           sql_run(w, "UPDATE series SET version = version + 1 WHERE id = ?1", SQL_VALUES(SQL_I(row[4])), e) &&
           rows_dead(w, old, p->facts.sop_uid, "replaced", e) && object_event(ix, w, en, p, "instance.restored", e);
}

bool rows_object(struct index *ix, struct db *w, const struct vol_entry *en, struct index_put *p, struct err *e) {
    bool healed = false;
    int64_t base;
    if (p->heals && !heal(ix, w, en, p, &healed, e)) return false;
    if (healed) return true;
    struct place *at = places_get(ix, w, en, p, e);
    if (!at || !settle_header(at, p, &base, e) || !make_base(ix, w, at, p, e) || !insert_instance(w, en, p, at, base, e)) return false;
    if (p->parts.sums.n && !parts_put(w, 0, en->digest, &p->parts, &ix->packed, e)) return false;
    at->instances++;
    at->bytes += (int64_t)en->loc.length;
    if (en->received_ms > at->changed_ms) at->changed_ms = en->received_ms;
    places_touch(ix, at);
    ix->figures[FIGURE_INSTANCES]++;
    ix->figures[FIGURE_BYTES] += (int64_t)en->loc.length;
    p->patient_conflict = at->patient_conflict;
    if (p->patient_conflict) snprintf(p->reason, sizeof p->reason, "Study Instance UID %.*s is also under another patient", STR_FMT(p->facts.study_uid));
    bool nothing_declared = ix->ar->shared && ix->ar->tail.declared == 0;
    return (nothing_declared || searchable_index_instance(w, &ix->searchable, &ix->scratch, at->study, p->facts.ds, e)) &&
           object_event(ix, w, en, p, p->damaged ? "instance.damaged" : "instance.stored", e);
}

// ---- the others ----

static bool is_there(struct db *w, const char *sql, struct vol_loc loc, bool *there, struct err *e) {
    int64_t one;
    return sql_one(w, sql, SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), &one, 1, there, e);
}

// The same for a conflicting copy whose volume is missing.
static bool heal_conflict(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, bool *healed, struct err *e) {
    int64_t row[4];
    if (!sql_one(w,
                 "SELECT id, volume, \"offset\", length FROM conflicts WHERE sop_instance_uid = ?1 AND digest = ?2 AND kind = 'bytes' AND realm IN (SELECT id "
                 "FROM realms WHERE tenant = ?3) AND " IN_MISSING_VOLUME("conflicts"),
                 SQL_VALUES(SQL_T(p->facts.sop_uid), SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_T(realm_tenant(en->realm))), row, 4, healed, e))
        return false;
    if (!*healed) return true;
    struct vol_loc old = {(uint32_t)row[1], (uint64_t)row[2], (uint64_t)row[3]};
    return sql_run(w, "UPDATE conflicts SET volume = ?2, \"offset\" = ?3, length = ?4, dataset_offset = ?5, received_ms = ?6 WHERE id = ?1",
                   SQL_VALUES(SQL_I(row[0]), SQL_I(en->loc.volume), SQL_I(en->loc.offset), SQL_I(en->loc.length), SQL_I(p->facts.dataset_offset),
                              SQL_I(en->received_ms)),
                   e) &&
           rows_dead(w, old, p->facts.sop_uid, "replaced", e) && object_event(ix, w, en, p, p->apart ? "copy.apart" : "instance.restored", e);
}

bool rows_conflict(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, struct err *e) {
    bool there, healed = false;
    const struct facts *f = &p->facts;
    static const char reason[] = "other bytes under a SOP Instance UID that is taken";
    int64_t realm;
    if (!is_there(w, "SELECT 1 FROM conflicts WHERE volume = ?1 AND \"offset\" = ?2", en->loc, &there, e)) return false;
    if (there) return true;
    if (p->heals && !heal_conflict(ix, w, en, p, &healed, e)) return false;
    if (healed) return true;
    if (!realm_row(ix, w, en->realm, &realm, e)) return false;
    if (!sql_run(w,
                 "INSERT INTO conflicts (kind, study_uid, series_uid, sop_instance_uid, sop_class_uid, ts_uid, patient_id, issuer, volume, \"offset\", length, "
                 "dataset_offset, digest, source, received_ms, reason, realm, apart) VALUES ('bytes', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
                 "?14, ?15, ?16, "
                 "?17)",
                 SQL_VALUES(SQL_T(f->study_uid), SQL_T(f->series_uid), SQL_T(f->sop_uid), SQL_T(f->sop_class_uid), SQL_T(f->ts_uid), SQL_T(f->patient_id),
                            SQL_T(f->issuer), SQL_I(en->loc.volume), SQL_I(en->loc.offset), SQL_I(en->loc.length), SQL_I(f->dataset_offset),
                            SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_T(en->source), SQL_I(en->received_ms),
                            SQL_T(p->apart ? STR_LIT(REALM_APART_REASON) : STR_LIT(reason)), SQL_I(realm), SQL_I(p->apart)),
                 e))
        return false;
    ix->figures[FIGURE_CONFLICTS]++;
    return object_event(ix, w, en, p, p->apart ? "copy.apart" : "instance.conflict", e);
}

static bool move_quarantine(struct db *w, const struct vol_entry *en, struct err *e) {
    return sql_run(w, "UPDATE quarantine SET volume = ?2, \"offset\" = ?3, length = ?4, received_ms = ?5 WHERE digest = ?1",
                   SQL_VALUES(SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_I(en->loc.volume), SQL_I(en->loc.offset), SQL_I(en->loc.length), SQL_I(en->received_ms)),
                   e);
}

bool rows_quarantine(struct index *ix, struct db *w, const struct vol_entry *en, struct str reason, struct err *e) {
    enum { HERE = 1, LOST };
    bool there;
    int64_t where;
    if (!sql_one(w,
                 "SELECT CASE WHEN volume = ?2 AND \"offset\" = ?3 THEN 1 WHEN " IN_MISSING_VOLUME(
                     "quarantine") " THEN 2 ELSE 0 END FROM quarantine WHERE digest = ?1",
                 SQL_VALUES(SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_I(en->loc.volume), SQL_I(en->loc.offset)), &where, 1, &there, e))
        return false;
    if (there && where == LOST) return move_quarantine(w, en, e);
    if (there) return where == HERE || rows_dead(w, en->loc, STR_LIT(""), "duplicate", e);
    int64_t realm;
    if (!realm_row(ix, w, en->realm, &realm, e)) return false;
    if (!sql_run(w, "INSERT INTO quarantine (volume, \"offset\", length, digest, source, received_ms, reason, realm) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                 SQL_VALUES(SQL_I(en->loc.volume), SQL_I(en->loc.offset), SQL_I(en->loc.length), SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_T(en->source),
                            SQL_I(en->received_ms), SQL_T(reason), SQL_I(realm)),
                 e))
        return false;
    ix->figures[FIGURE_QUARANTINED]++;
    char detail[64];
    int n = snprintf(detail, sizeof detail, "{\"bytes\":%llu}", (unsigned long long)en->loc.length);
    struct event ev = {.type = STR_LIT("object.quarantined"), .actor = en->source, .detail = {detail, (size_t)n}};
    return index_event(ix, w, &ev, e);
}

bool rows_record(struct db *w, const struct vol_entry *en, struct err *e) {
    return sql_run(w, "INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                   SQL_VALUES(SQL_I(en->loc.volume), SQL_I(en->loc.offset), SQL_I(en->loc.length), SQL_I(en->kind), SQL_T(en->sop),
                              SQL_B(en->digest, VOL_DIGEST_BYTES), SQL_T(en->source), SQL_I(en->received_ms)),
                   e);
}
