// What a tombstone or a move does to the rows: objects go, empty series, studies and patients go with them.
#include "base/limits.h"
#include "core/graves.h"
#include "core/index.h"
#include "core/parts.h"
#include "core/query_index.h"
#include "core/realm.h"
#include "text/json.h"

enum { TOMBSTONE_TREE_BYTES_MAX = 1 << 30, MODALITIES_BYTES_MAX = 8 << 20 };

static bool kill_patient(struct index *ix, struct db *w, int64_t patient, struct err *e) {
    if (!sql_run(w, "UPDATE patients SET study_count = study_count - 1 WHERE id = ?1", SQL_VALUES(SQL_I(patient)), e) ||
        !sql_run(w, "DELETE FROM patients WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM studies WHERE patient = ?1)", SQL_VALUES(SQL_I(patient)), e))
        return false;
    ix->figures[FIGURE_PATIENTS] -= db_changes(w);
    return true;
}

// The last study under its UID is no conflict any more.
static bool settle_patient_conflict(struct index *ix, struct db *w, int64_t study, struct err *e) {
    if (!sql_run(w, "DELETE FROM conflicts WHERE kind = 'patient' AND study_uid = (SELECT study_uid FROM studies WHERE id = ?1) AND study = ?1",
                 SQL_VALUES(SQL_I(study)), e))
        return false;
    ix->figures[FIGURE_CONFLICTS] -= db_changes(w);
    if (!sql_run(w,
                 "UPDATE studies SET patient_conflict = 0 WHERE study_uid = (SELECT study_uid FROM studies WHERE id = ?1) AND id <> ?1 AND "
                 "(SELECT count(*) FROM studies o WHERE o.study_uid = studies.study_uid AND o.id <> ?1) = 1",
                 SQL_VALUES(SQL_I(study)), e))
        return false;
    if (!sql_run(w,
                 "DELETE FROM conflicts WHERE kind = 'patient' AND study_uid = (SELECT study_uid FROM studies WHERE id = ?1) AND "
                 "study IN (SELECT id FROM studies WHERE study_uid = conflicts.study_uid AND id <> ?1 AND patient_conflict = 0)",
                 SQL_VALUES(SQL_I(study)), e))
        return false;
    ix->figures[FIGURE_CONFLICTS] -= db_changes(w);
    return true;
}

// The audit trail's report of a patient names the study also when it is gone before a run of events is whole (core/audit_index.c).
static bool keep_patient(struct db *w, int64_t study, struct err *e) {
    return sql_run(w,
                   "INSERT INTO audit_studies (study_uid, patient_id, issuer) SELECT st.study_uid, p.patient_id, p.issuer FROM studies st {join} patients p ON "
                   "p.id = st.patient WHERE st.id = ?1 ON CONFLICT (study_uid, patient_id, issuer) DO NOTHING",
                   SQL_VALUES(SQL_I(study)), e);
}

static bool kill_study(struct index *ix, struct db *w, int64_t study, int64_t patient, struct err *e) {
    if (!settle_patient_conflict(ix, w, study, e) || !realm_keep_gone(w, study, e) || !keep_patient(w, study, e) ||
        !query_unindex_study(w, &ix->scratch, study, e))
        return false;
    if (!sql_run(w, "DELETE FROM studies WHERE id = ?1", SQL_VALUES(SQL_I(study)), e)) return false;
    ix->figures[FIGURE_STUDIES]--;
    return kill_patient(ix, w, patient, e);
}

static const char RECOUNT_STUDY[] = "UPDATE studies SET series_count = (SELECT count(*) FROM series WHERE study = ?1), "
                                    "instance_count = (SELECT CAST(coalesce(sum(instance_count), 0) AS BIGINT) FROM series WHERE study = ?1), "
                                    "bytes = (SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM series WHERE study = ?1), modalities = ?2 WHERE id = ?1";

// Modalities in Study, each once, in the order in which they came.
static bool list_modalities(struct db *w, int64_t study, struct buf *out, struct err *e) {
    struct db_stmt *s = db_prepare(w, "SELECT modality FROM series WHERE study = ?1 AND modality <> '' GROUP BY modality ORDER BY min(id)", e);
    if (!s) return false;
    db_bind_int(s, 1, study);
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        if (out->n) buf_add_str(out, STR_LIT("\\"));
        buf_add_str(out, db_text(s, 0));
    }
    db_done(s);
    return step == DB_END && buf_ok(out, e);
}

static bool recount_study(struct db *w, int64_t study, struct err *e) {
    struct buf modalities;
    buf_init(&modalities, MODALITIES_BYTES_MAX);
    bool ok = list_modalities(w, study, &modalities, e) && sql_run(w, RECOUNT_STUDY, SQL_VALUES(SQL_I(study), SQL_T(buf_str(&modalities))), e);
    buf_deinit(&modalities);
    return ok;
}

static bool settle_study(struct index *ix, struct db *w, int64_t study, struct err *e) {
    int64_t row[2];
    bool found;
    if (!sql_one(w, "SELECT patient, CASE WHEN EXISTS (SELECT 1 FROM series WHERE study = ?1) THEN 1 ELSE 0 END FROM studies WHERE id = ?1",
                 SQL_VALUES(SQL_I(study)), row, 2, &found, e))
        return false;
    if (!found) return true;
    if (row[1] == 0) return kill_study(ix, w, study, row[0], e);
    return query_unindex_study(w, &ix->scratch, study, e) && recount_study(w, study, e) && query_index_study(w, &ix->scratch, study, e);
}

static bool kill_series(struct index *ix, struct db *w, int64_t series, int64_t base, struct err *e) {
    bases_clear(&ix->bases);
    ix->figures[FIGURE_SERIES]--;
    return sql_run(w, "DELETE FROM header_bases WHERE id = ?1", SQL_VALUES(SQL_I(base)), e) &&
           sql_run(w, "DELETE FROM series_metadata WHERE series = ?1", SQL_VALUES(SQL_I(series)), e) &&
           sql_run(w, "DELETE FROM series WHERE id = ?1", SQL_VALUES(SQL_I(series)), e);
}

static const char RECOUNT_SERIES[] =
    "UPDATE series SET instance_count = (SELECT count(*) FROM instances WHERE series = ?1), "
    "bytes = (SELECT CAST(coalesce(sum(length), 0) AS BIGINT) FROM instances WHERE series = ?1), version = version + 1 WHERE id = ?1";

// After instances of a series went.
static bool settle_series(struct index *ix, struct db *w, int64_t series, struct err *e) {
    int64_t row[3];
    bool found;
    if (!sql_run(w, RECOUNT_SERIES, SQL_VALUES(SQL_I(series)), e)) return false;
    if (!sql_one(w, "SELECT study, instance_count, header_base FROM series WHERE id = ?1", SQL_VALUES(SQL_I(series)), row, 3, &found, e)) return false;
    if (!found) return true;
    if (row[1] == 0 && !kill_series(ix, w, series, row[2], e)) return false;
    return settle_study(ix, w, row[0], e);
}

struct touched {
    int64_t *series;
    size_t n, cap;
};

static bool touch(struct arena *a, struct touched *t, int64_t series, struct err *e) {
    for (size_t i = t->n; i > 0; i--)
        if (t->series[i - 1] == series) return true;
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        int64_t *p = arena_grow(a, t->series, t->cap * sizeof *p, cap * sizeof *p, e);
        if (!p) return false;
        t->series = p;
        t->cap = cap;
    }
    t->series[t->n++] = series;
    return true;
}

// Whatever lies at this place is no more.
static bool kill_place(struct index *ix, struct db *w, struct vol_loc loc, struct str sop, struct touched *t, struct err *e) {
    int64_t row[3];
    bool found;
    if (!sql_one(w, "SELECT id, series, length FROM instances WHERE volume = ?1 AND \"offset\" = ?2", SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), row, 3,
                 &found, e))
        return false;
    if (found) {
        if (!touch(&ix->scratch, t, row[1], e) || !sql_run(w, "DELETE FROM instances WHERE id = ?1", SQL_VALUES(SQL_I(row[0])), e) ||
            !parts_forget(w, row[0], e))
            return false;
        ix->figures[FIGURE_INSTANCES]--;
        ix->figures[FIGURE_BYTES] -= row[2];
        return rows_dead(w, loc, sop, "deleted", e);
    }
    if (!sql_run(w, "DELETE FROM conflicts WHERE volume = ?1 AND \"offset\" = ?2", SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), e)) return false;
    ix->figures[FIGURE_CONFLICTS] -= db_changes(w);
    if (!sql_run(w, "DELETE FROM quarantine WHERE volume = ?1 AND \"offset\" = ?2", SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), e)) return false;
    ix->figures[FIGURE_QUARANTINED] -= db_changes(w);
    return rows_dead(w, loc, sop, "deleted", e);
}

static bool kill_all(struct index *ix, struct db *w, const struct json *places, struct err *e) {
    struct touched t = {0};
    for (const struct json *v = places ? places->first : NULL; v; v = v->next) {
        struct grave g;
        struct vol_loc now;
        if (!grave_read(v, &g, e) || !grave_find(w, &g, &now, e)) return false;
        // It may have been moved since the tombstone was written: then it is dead in both places.
        bool moved = now.volume != g.loc.volume || now.offset != g.loc.offset;
        if (!kill_place(ix, w, g.loc, g.sop, &t, e) || (moved && !kill_place(ix, w, now, g.sop, &t, e)) || !grave_keep(w, &g, e)) return false;
    }
    for (size_t i = 0; i < t.n; i++)
        if (!settle_series(ix, w, t.series[i], e)) return false;
    return true;
}

static bool tombstone_event(struct index *ix, struct db *w, const struct vol_entry *en, const struct json *o, struct err *e) {
    struct str study = json_text(json_get(o, "study")), series = json_text(json_get(o, "series")), sop = json_text(json_get(o, "sop"));
    const char *type = sop.n ? "instance.deleted" : series.n ? "series.deleted" : study.n ? "study.deleted" : "object.discarded";

    struct arena_mark m = arena_mark(&ix->scratch);
    struct buf detail;
    struct json_writer j;
    buf_init(&detail, 64 * 1024);
    json_init(&j, &detail, false);
    json_begin_object(&j);
    json_put_str(&j, "reason", json_text(json_get(o, "reason")));
    if (json_get(o, "copies_of")) json_put_str(&j, "copies_of", json_text(json_get(o, "copies_of")));
    json_put_uint(&j, "objects", json_get(o, "places") ? json_get(o, "places")->count : 0);
    json_end_object(&j);
    struct event ev = {
        .type = str_of(type), .actor = en->source, .study_uid = study, .series_uid = series, .sop_instance_uid = sop, .detail = buf_str(&detail)};
    bool ok = buf_ok(&detail, e) && index_event(ix, w, &ev, e);
    buf_deinit(&detail);
    arena_rewind(&ix->scratch, m);
    return ok;
}

bool kill_tombstone(struct index *ix, struct db *w, const struct vol_entry *en, struct str json, struct err *e) {
    struct arena_mark m = arena_mark(&ix->scratch);
    struct arena tree;
    arena_init(&tree, TOMBSTONE_TREE_BYTES_MAX);
    const struct json *o = json_read(&tree, json, 0, e);
    bool ok = o && places_flush(ix, w, e) && kill_all(ix, w, json_get(o, "places"), e) && rows_record(w, en, e) && tombstone_event(ix, w, en, o, e);
    places_clear(ix);
    arena_deinit(&tree);
    arena_rewind(&ix->scratch, m);
    return ok;
}

bool kill_missing(struct index *ix, struct db *w, struct vol_loc loc, struct str sop, struct err *e) {
    struct touched t = {0};
    struct arena_mark m = arena_mark(&ix->scratch);
    bool ok = places_flush(ix, w, e) && kill_place(ix, w, loc, sop, &t, e) &&
              sql_run(w, "DELETE FROM dead WHERE volume = ?1 AND \"offset\" = ?2", SQL_VALUES(SQL_I(loc.volume), SQL_I(loc.offset)), e);
    for (size_t i = 0; ok && i < t.n; i++) ok = settle_series(ix, w, t.series[i], e);
    places_clear(ix);
    arena_rewind(&ix->scratch, m);
    return ok && figures_flush(ix, w, e);
}

bool kill_collect(struct db *w, struct str json, struct err *e) {
    struct arena tree;
    arena_init(&tree, TOMBSTONE_TREE_BYTES_MAX);
    const struct json *o = json_read(&tree, json, 0, e), *places = json_get(o, "places");
    bool ok = o;
    for (const struct json *v = ok && places ? places->first : NULL; ok && v; v = v->next) {
        struct grave g;
        if (grave_read(v, &g, NULL)) ok = rows_dead(w, g.loc, g.sop, "deleted", e) && grave_keep(w, &g, e);
    }
    arena_deinit(&tree);
    return ok;
}

static bool move_row(struct db *w, const char *sql, const struct vol_entry *en, struct vol_loc from, bool *moved, struct err *e) {
    if (!sql_run(w, sql, SQL_VALUES(SQL_I(from.volume), SQL_I(from.offset), SQL_I(en->loc.volume), SQL_I(en->loc.offset)), e)) return false;
    *moved |= db_changes(w) > 0;
    return true;
}

bool kill_moved(struct index *ix, struct db *w, const struct vol_entry *en, struct vol_loc from, struct err *e) {
    bool moved = false, object = en->kind == VOL_OBJECT || en->kind == VOL_CONFLICT;
    (void)ix;
    if (!move_row(w, "UPDATE instances SET volume = ?3, \"offset\" = ?4 WHERE volume = ?1 AND \"offset\" = ?2", en, from, &moved, e) ||
        !move_row(w, "UPDATE conflicts SET volume = ?3, \"offset\" = ?4 WHERE volume = ?1 AND \"offset\" = ?2", en, from, &moved, e) ||
        !move_row(w, "UPDATE quarantine SET volume = ?3, \"offset\" = ?4 WHERE volume = ?1 AND \"offset\" = ?2", en, from, &moved, e) ||
        !move_row(w, "UPDATE records SET volume = ?3, \"offset\" = ?4 WHERE volume = ?1 AND \"offset\" = ?2", en, from, &moved, e))
        return false;
    // Deleted while it was being copied: the copy dies too.
    struct str sop = object ? en->sop : STR_LIT("");
    return rows_dead(w, moved ? from : en->loc, sop, moved ? "moved" : "deleted", e);
}
