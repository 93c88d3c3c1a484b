// Patients, studies and series: found or made for an object, with their counts gathered over a transaction.
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "core/index.h"
#include "core/query_index.h"
#include "core/realm.h"
#include "sys/zstd.h"
#include "text/json.h"

const char *const FIGURE_NAMES[FIGURE_COUNT] = {"patients", "studies", "series", "instances", "bytes", "conflicts", "quarantined"};

static bool list_has(struct str list, struct str item) {
    while (list.p)
        if (str_eq(str_split(&list, '\\'), item)) return true;
    return false;
}

static bool write_place(struct db *w, struct place *p, struct err *e) {
    return sql_run(w,
                   "UPDATE series SET instance_count = instance_count + ?2, bytes = bytes + ?3, version = version + 1, changed_ms = {greatest}(changed_ms, ?4) "
                   "WHERE id = ?1",
                   SQL_VALUES(SQL_I(p->series), SQL_I(p->instances), SQL_I(p->bytes), SQL_I(p->changed_ms)), e) &&
           sql_run(w, "UPDATE studies SET instance_count = instance_count + ?2, bytes = bytes + ?3, changed_ms = {greatest}(changed_ms, ?4) WHERE id = ?1",
                   SQL_VALUES(SQL_I(p->study), SQL_I(p->instances), SQL_I(p->bytes), SQL_I(p->changed_ms)), e);
}

static bool flush_place(struct db *w, struct place *p, struct err *e) {
    if (p->dirty && !write_place(w, p, e)) return false;
    p->dirty = false;
    p->instances = p->bytes = 0;
    return true;
}

void places_touch(struct index *ix, struct place *place) {
    if (place->dirty) return;
    place->dirty = true;
    ix->dirty[ix->dirty_count++ % PLACES_MAX] = (unsigned)(place - ix->places);
}

bool places_flush(struct index *ix, struct db *w, struct err *e) {
    unsigned n = ix->dirty_count < PLACES_MAX ? ix->dirty_count : PLACES_MAX;
    bool all = ix->dirty_count > PLACES_MAX;
    for (unsigned i = 0; i < n; i++)
        if (!flush_place(w, &ix->places[all ? i : ix->dirty[i]], e)) return false;
    ix->dirty_count = 0;
    return true;
}

void places_clear(struct index *ix) {
    memset(ix->places, 0, sizeof ix->places);
    ix->dirty_count = 0;
}

bool figures_flush(struct index *ix, struct db *w, struct err *e) {
    for (int i = 0; i < FIGURE_COUNT; i++) {
        if (ix->figures[i] == 0) continue;
        if (!sql_run(w, "UPDATE figures SET value = value + ?2 WHERE name = ?1", SQL_VALUES(SQL_T(str_of(FIGURE_NAMES[i])), SQL_I(ix->figures[i])), e))
            return false;
        ix->figures[i] = 0;
    }
    return true;
}

// An object that names no issuer (workstations leave it out of what they derive) and the Patient ID of the one patient who has its study: that patient.
static bool find_unnamed(struct db *w, const struct facts *f, struct place *at, bool *found, struct err *e) {
    int64_t row[2] = {0};
    *found = false;
    if (f->issuer.n || f->patient_id.n == 0) return true;
    if (!sql_one(w, "SELECT max(p.id), count(*) FROM studies s JOIN patients p ON p.id = s.patient WHERE s.study_uid = ?1 AND p.patient_id = ?2",
                 SQL_VALUES(SQL_T(f->study_uid), SQL_T(f->patient_id)), row, 2, found, e))
        return false;
    *found = row[1] == 1;
    at->patient = row[0];
    return true;
}

static bool find_patient(struct index *ix, struct db *w, struct index_put *p, struct place *at, struct err *e) {
    bool found;
    const struct facts *f = &p->facts;
    if (!find_unnamed(w, f, at, &found, e)) return false;
    if (found) return true;
    if (!sql_one(w, "SELECT id FROM patients WHERE patient_id = ?1 AND issuer = ?2", SQL_VALUES(SQL_T(f->patient_id), SQL_T(f->issuer)), &at->patient, 1,
                 &found, e))
        return false;
    if (found) return true;
    if (!index_describe(p, e)) return false;
    if (!sql_insert(w, "INSERT INTO patients (patient_id, issuer, name, birth_date, sex) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id",
                    SQL_VALUES(SQL_T(f->patient_id), SQL_T(f->issuer), SQL_T(p->study.patient_name), SQL_T(p->study.birth_date), SQL_T(p->study.sex)),
                    &at->patient, e))
        return false;
    ix->figures[FIGURE_PATIENTS]++;
    return true;
}

static const char INSERT_STUDY[] =
    "INSERT INTO studies (patient, study_uid, study_date, study_time, accession_number, study_id, description, referring_physician, institution, patient_id, "
    "issuer, patient_name, patient_name_raw, birth_date, sex, patient_age, timezone, charset, text_flags, modalities, sop_classes, realm, created_ms, "
    "changed_ms) "
    "VALUES "
    "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, '', ?22, ?21, ?21) RETURNING id";

// The same Study Instance UID under another patient: both stay as they are, and it is said.
static bool note_patient_conflict(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, struct place *at, struct err *e) {
    int64_t others = 0;
    bool found;
    const struct facts *f = &p->facts;
    if (!sql_one(w, "SELECT count(*) FROM studies WHERE study_uid = ?1 AND id <> ?2", SQL_VALUES(SQL_T(f->study_uid), SQL_I(at->study)), &others, 1, &found, e))
        return false;
    if (others == 0) return true;
    at->patient_conflict = true;
    struct buf detail;
    struct json_writer j;
    buf_init(&detail, 64 * 1024);
    json_init(&j, &detail, false);
    json_begin_object(&j);
    json_put_str(&j, "patient_id", f->patient_id);
    json_put_str(&j, "issuer", f->issuer);
    json_put_int(&j, "other_patients", others);
    json_end_object(&j);
    struct event ev = {.type = STR_LIT("study.patient-conflict"), .actor = en->source, .study_uid = f->study_uid, .detail = buf_str(&detail)};
    bool ok =
        buf_ok(&detail, e) && sql_run(w, "UPDATE studies SET patient_conflict = 1 WHERE study_uid = ?1", SQL_VALUES(SQL_T(f->study_uid)), e) &&
        sql_run(
            w,
            "INSERT INTO conflicts (kind, study_uid, series_uid, sop_instance_uid, sop_class_uid, ts_uid, patient_id, issuer, study, volume, \"offset\", "
            "length, dataset_offset, digest, source, received_ms, reason, realm) SELECT 'patient', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, 0, 0, ?11, ?9, ?10, "
            "'this Study Instance UID is also under another patient', realm FROM studies WHERE id = ?8",
            SQL_VALUES(SQL_T(f->study_uid), SQL_T(f->series_uid), SQL_T(f->sop_uid), SQL_T(f->sop_class_uid), SQL_T(f->ts_uid), SQL_T(f->patient_id),
                       SQL_T(f->issuer), SQL_I(at->study), SQL_T(en->source), SQL_I(en->received_ms), SQL_B(NULL, 0)),
            e) &&
        index_event(ix, w, &ev, e);
    ix->figures[FIGURE_CONFLICTS]++;
    buf_deinit(&detail);
    return ok;
}

static bool make_study(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, struct place *at, struct err *e) {
    const struct study_facts *s = &p->study;
    const struct facts *f = &p->facts;
    int64_t realm;
    if (!realm_row(ix, w, en->realm, &realm, e)) return false;
    snprintf(at->realm, sizeof at->realm, "%.*s", STR_FMT(en->realm));
    struct sql_value raw = s->patient_name_raw.p ? SQL_B(s->patient_name_raw.p, s->patient_name_raw.n) : SQL_OPT(false, 0);
    if (!sql_insert(w, INSERT_STUDY,
                    SQL_VALUES(SQL_I(at->patient), SQL_T(f->study_uid), SQL_T(s->date), SQL_T(s->time), SQL_T(s->accession_number), SQL_T(s->study_id),
                               SQL_T(s->description), SQL_T(s->referring_physician), SQL_T(s->institution), SQL_T(f->patient_id), SQL_T(f->issuer),
                               SQL_T(s->patient_name), raw, SQL_T(s->birth_date), SQL_T(s->sex), SQL_T(s->patient_age), SQL_T(s->timezone), SQL_T(s->charset),
                               SQL_I(s->text_flags), SQL_T(p->series.modality), SQL_I(en->received_ms), SQL_I(realm)),
                    &at->study, e))
        return false;
    ix->figures[FIGURE_STUDIES]++;
    ix->searchable.study = 0; // an id that was another study's may come again
    return sql_run(w, "UPDATE patients SET study_count = study_count + 1 WHERE id = ?1", SQL_VALUES(SQL_I(at->patient)), e) &&
           query_index_study(w, &ix->scratch, at->study, e) && note_patient_conflict(ix, w, en, p, at, e);
}

static bool find_study(struct index *ix, struct db *w, const struct vol_entry *en, struct index_put *p, struct place *at, struct err *e) {
    bool found;
    int64_t row[3] = {0};
    if (!sql_one(w,
                 "SELECT id, CASE WHEN EXISTS (SELECT 1 FROM studies o WHERE o.study_uid = ?1 AND o.id < s.id) THEN 1 ELSE 0 END, realm FROM studies s WHERE "
                 "study_uid = ?1 AND patient = ?2",
                 SQL_VALUES(SQL_T(p->facts.study_uid), SQL_I(at->patient)), row, 3, &found, e))
        return false;
    at->study = row[0];
    at->patient_conflict = row[1] != 0;
    if (row[2] && !realm_text(w, row[2], at->realm, e)) return false;
    return found || (index_describe(p, e) && make_study(ix, w, en, p, at, e));
}

// A modality that the study did not have: the keys by which it is found change with it.
static bool add_modality(struct index *ix, struct db *w, int64_t study, struct str modality, struct err *e) {
    struct db_stmt *s = db_prepare(w, "SELECT modalities FROM studies WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, study);
    bool ok = db_next(s, e) == DB_ROW;
    bool has = ok && list_has(db_text(s, 0), modality);
    db_done(s);
    if (!ok || has || modality.n == 0) return ok;
    return query_unindex_study(w, &ix->scratch, study, e) &&
           sql_run(w, "UPDATE studies SET modalities = CASE WHEN modalities = '' THEN ?2 ELSE modalities || '\\' || ?2 END WHERE id = ?1",
                   SQL_VALUES(SQL_I(study), SQL_T(modality)), e) &&
           query_index_study(w, &ix->scratch, study, e);
}

static const char INSERT_SERIES[] =
    "INSERT INTO series (study, series_uid, modality, number, series_date, series_time, description, body_part, laterality, protocol, station, "
    "manufacturer, model, department, performing_physician, operators, pps_start_date, pps_start_time, requested_procedure_id, scheduled_step_id, "
    "text_flags, sop_classes, created_ms, changed_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "
    "?21, '', ?22, ?22) RETURNING id";

static bool make_series(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, struct place *at, struct err *e) {
    const struct series_facts *s = &p->series;
    if (!sql_insert(w, INSERT_SERIES,
                    SQL_VALUES(SQL_I(at->study), SQL_T(p->facts.series_uid), SQL_T(s->modality), SQL_OPT(s->has_number, s->number), SQL_T(s->date),
                               SQL_T(s->time), SQL_T(s->description), SQL_T(s->body_part), SQL_T(s->laterality), SQL_T(s->protocol), SQL_T(s->station),
                               SQL_T(s->manufacturer), SQL_T(s->model), SQL_T(s->department), SQL_T(s->performing_physician), SQL_T(s->operators),
                               SQL_T(s->pps_start_date), SQL_T(s->pps_start_time), SQL_T(s->requested_procedure_id), SQL_T(s->scheduled_step_id),
                               SQL_I(s->text_flags), SQL_I(en->received_ms)),
                    &at->series, e))
        return false;
    ix->figures[FIGURE_SERIES]++;
    return sql_run(w, "UPDATE studies SET series_count = series_count + 1 WHERE id = ?1", SQL_VALUES(SQL_I(at->study)), e) &&
           add_modality(ix, w, at->study, s->modality, e);
}

// The base's bytes for those who will send more of this series.
static bool load_base(struct index *ix, struct db *w, struct place *at, struct err *e) {
    struct base *there = bases_get(&ix->bases, at->key);
    bool has = there && there->id == at->header_base;
    bases_release(there);
    if (has || at->header_base == 0) return true;
    struct db_stmt *s = db_prepare(w, "SELECT data FROM header_bases WHERE id = ?1", e);
    if (!s) return false;
    struct buf b;
    buf_init(&b, BASE_BYTES_MAX);
    db_bind_int(s, 1, at->header_base);
    enum db_step step = db_next(s, e);
    if (step == DB_ROW && zstd_decompress(db_blob(s, 0), (struct str){NULL, 0}, &b, NULL)) bases_put(&ix->bases, at->key, at->header_base, buf_str(&b));
    db_done(s);
    buf_deinit(&b);
    return step != DB_FAIL;
}

static bool find_series(struct index *ix, struct db *w, const struct vol_entry *en, struct index_put *p, struct place *at, struct err *e) {
    struct db_stmt *s = db_prepare(w, "SELECT id, header_base, sop_classes FROM series WHERE study = ?1 AND series_uid = ?2", e);
    if (!s) return false;
    db_bind_int(s, 1, at->study);
    db_bind_text(s, 2, p->facts.series_uid);
    enum db_step step = db_next(s, e);
    if (step == DB_ROW) {
        struct str classes = str_sub(db_text(s, 2), 0, sizeof at->sop_classes - 1);
        at->series = db_int(s, 0);
        at->header_base = db_int(s, 1);
        if (classes.n) memcpy(at->sop_classes, classes.p, classes.n);
    }
    db_done(s);
    if (step == DB_FAIL) return false;
    if (step == DB_ROW) return load_base(ix, w, at, e);
    return index_describe(p, e) && make_series(ix, w, en, p, at, e);
}

// Adds a SOP class to a "sop_classes" column unless it is there.
static bool add_class(struct db *w, const char *sql, int64_t id, struct str class_uid, struct err *e) {
    return sql_run(w, sql, SQL_VALUES(SQL_I(id), SQL_T(class_uid)), e);
}

static bool note_class(struct db *w, struct place *at, struct str class_uid, struct err *e) {
    if (list_has(str_of(at->sop_classes), class_uid)) return true;
    size_t n = strlen(at->sop_classes);
    if (n + 1 + class_uid.n < sizeof at->sop_classes) {
        if (n) at->sop_classes[n++] = '\\';
        memcpy(at->sop_classes + n, class_uid.p, class_uid.n);
        at->sop_classes[n + class_uid.n] = '\0';
    }
#define ADD_CLASS(table)                                                                                        \
    "UPDATE " table " SET sop_classes = CASE WHEN sop_classes = '' THEN ?2 ELSE sop_classes || '\\' || ?2 END " \
    "WHERE id = ?1 AND replace('\\' || sop_classes || '\\', '\\' || ?2 || '\\', '') = '\\' || sop_classes || '\\' AND length(sop_classes) < 4096"
    return add_class(w, ADD_CLASS("series"), at->series, class_uid, e) && add_class(w, ADD_CLASS("studies"), at->study, class_uid, e);
}

struct place *places_get(struct index *ix, struct db *w, const struct vol_entry *en, struct index_put *p, struct err *e) {
    struct place *at = &ix->places[p->facts.place[0]];
    if (!at->used || memcmp(at->key, p->facts.place, sizeof at->key) != 0) {
        if (!flush_place(w, at, e)) return NULL;
        *at = (struct place){0};
        memcpy(at->key, p->facts.place, sizeof at->key);
        if (!find_patient(ix, w, p, at, e) || !find_study(ix, w, en, p, at, e) || !find_series(ix, w, en, p, at, e)) return NULL;
        at->used = true;
    }
    return note_class(w, at, p->facts.sop_class_uid, e) ? at : NULL;
}
