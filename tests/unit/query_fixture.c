// A small index for tests of queries.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "on_postgres.h"
#include "query_fixture.h"

struct archive {
    struct db_pool *db;
    char path[64];
    char schema[POSTGRES_SCHEMA_BYTES];
    struct fx_study *studies;
    unsigned count, capacity;
    unsigned headers_read;
    struct {
        unsigned study, series, instance;
    } at[1 << 16]; // by instance row
};

// Stand-ins for the archive's own.
struct db_pool *archive_db(struct archive *a) {
    return a->db;
}

static void put(struct dcm_dataset *ds, uint32_t tag, const char *text) {
    struct err e;
    if (*text) assert_true(dcm_putz(ds, tag, text, &e));
}

static void put_requests(struct dcm_dataset *ds, const struct fx_series *r) {
    struct err e;
    for (int i = 0; i < 2; i++) {
        if (!*r->step_id[i]) continue;
        struct dcm_dataset *item = dcm_put_item(ds, DCM_RequestAttributesSequence, &e);
        assert_non_null(item);
        put(item, DCM_ScheduledProcedureStepID, r->step_id[i]);
        put(item, DCM_RequestedProcedureID, r->procedure_id[i]);
    }
}

static void put_study(struct dcm_dataset *ds, const struct fx_study *s) {
    put(ds, DCM_SpecificCharacterSet, "ISO_IR 192");
    put(ds, DCM_StudyInstanceUID, s->uid);
    put(ds, DCM_PatientName, s->name);
    put(ds, DCM_PatientID, s->patient_id);
    put(ds, DCM_StudyDate, s->date);
    put(ds, DCM_OtherPatientIDs, s->other_ids);
    put(ds, DCM_TimezoneOffsetFromUTC, s->zone);
    put(ds, DCM_AdmittingDiagnosesDescription, s->diagnosis);
}

void header_cache_init(struct header_cache *c) {
    *c = (struct header_cache){0};
}

void header_cache_deinit(struct header_cache *c) {
    (void)c;
}

bool header_read(struct archive *ar, struct db *d, struct arena *a, int64_t instance, struct header_cache *c, struct dcm_dataset **out, struct err *e) {
    (void)d;
    (void)c;
    const struct fx_study *s = &ar->studies[ar->at[instance].study];
    const struct fx_series *r = &s->series[ar->at[instance].series];
    const struct fx_instance *i = &r->instances[ar->at[instance].instance];
    struct dcm_dataset *ds = dcm_dataset_new(a, e);
    assert_non_null(ds);
    ar->headers_read++;
    put_study(ds, s);
    put_requests(ds, r);
    put(ds, DCM_Modality, r->modality);
    put(ds, DCM_BodyPartExamined, r->body_part);
    put(ds, DCM_OperatorsName, r->operators);
    put(ds, DCM_SOPInstanceUID, i->uid);
    put(ds, DCM_ImageType, i->image_type);
    put(ds, DCM_AcquisitionDateTime, i->acquired);
    assert_true(dcm_put_int(ds, DCM_AcquisitionNumber, i->acquisition, e));
    *out = ds;
    return true;
}

struct archive *fx_open(void) {
    struct archive *ar = calloc(1, sizeof *ar);
    struct err e;
    assert_non_null(ar);
    snprintf(ar->path, sizeof ar->path, "/tmp/gantry-query-%ld.db", (long)getpid());
    unlink(ar->path);
    struct db_options o = {.path = ar->path, .cache_kib = 2048, .connections = 4};
    if (postgres_url()) {
        postgres_new_schema(ar->schema);
        o.url = postgres_url();
        o.schema = ar->schema;
    }
    if (!db_pool_open(&o, &ar->db, &e)) fail_msg("%s", e.message);
    return ar;
}

void fx_close(struct archive *ar) {
    char side[80];
    db_pool_close(ar->db);
    if (ar->schema[0]) postgres_drop_schema(ar->schema);
    unlink(ar->path);
    snprintf(side, sizeof side, "%s-wal", ar->path);
    unlink(side);
    snprintf(side, sizeof side, "%s-shm", ar->path);
    unlink(side);
    free(ar->studies);
    free(ar);
}

// One INSERT that says RETURNING id, with texts and numbers as the format says: t for text, i for integer, n for an integer that is NULL when negative.
static int64_t insert(struct db *d, const char *sql, const char *format, ...) {
    struct err e;
    struct db_stmt *s = db_prepare(d, sql, &e);
    if (!s) fail_msg("%s", e.message);
    va_list args;
    va_start(args, format);
    for (int i = 1; format[i - 1]; i++) {
        if (format[i - 1] == 't') {
            db_bind_text(s, i, str_of(va_arg(args, const char *)));
        } else {
            int64_t v = va_arg(args, int64_t);
            if (format[i - 1] == 'i' || v >= 0) db_bind_int(s, i, v);
        }
    }
    va_end(args);
    if (db_next(s, &e) != DB_ROW) fail_msg("%s", e.message);
    int64_t id = db_int(s, 0);
    db_done(s);
    return id;
}

static int64_t patient_row(struct db *d, const struct fx_study *s) {
    return insert(d,
                  "INSERT INTO patients (patient_id, issuer, name, birth_date, sex) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (patient_id, issuer) DO UPDATE SET "
                  "name = patients.name RETURNING id",
                  "ttttt", s->patient_id, s->issuer, s->name, s->birth_date, s->sex);
}

static int64_t study_row(struct db *d, const struct fx_study *s, int64_t patient, int instances) {
    return insert(d,
                  "INSERT INTO studies (patient, study_uid, study_date, study_time, accession_number, study_id, description, referring_physician, institution,"
                  " patient_id, issuer, patient_name, birth_date, sex, patient_age, timezone, charset, text_flags, modalities, sop_classes, series_count,"
                  " instance_count, created_ms, changed_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', ?9, ?10, ?11, ?12, ?13, ?14, ?15, 'ISO_IR 192', 0, ?16,"
                  " '1.2.840.10008.5.1.4.1.1.2', ?17, ?18, 1, 1) RETURNING id",
                  "itttttttttttttttii", patient, s->uid, s->date, s->time, s->accession, s->study_id, s->description, s->referring, s->patient_id, s->issuer,
                  s->name, s->birth_date, s->sex, s->age, s->zone, s->modalities, (int64_t)s->series_count, (int64_t)instances);
}

static int64_t series_row(struct db *d, const struct fx_series *r, int64_t study) {
    return insert(d,
                  "INSERT INTO series (study, series_uid, modality, number, series_date, series_time, description, body_part, laterality, protocol, station,"
                  " manufacturer, model, department, performing_physician, operators, pps_start_date, pps_start_time, requested_procedure_id,"
                  " scheduled_step_id, text_flags, sop_classes, instance_count, created_ms, changed_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', '', '',"
                  " '', '', '', '', ?9, '', '', ?10, ?11, 0, '', ?12, 1, 1) RETURNING id",
                  "ittnttttttti", study, r->uid, r->modality, (int64_t)r->number, r->date, r->time, r->description, r->body_part, r->operators,
                  r->procedure_id[0], r->step_id[0], (int64_t)r->instance_count);
}

static int64_t instance_row(struct db *d, const struct fx_instance *i, int64_t series) {
    static int64_t place;
    place += 1000;
    return insert(d,
                  "INSERT INTO instances (series, sop_instance_uid, sop_class_uid, ts_uid, number, volume, \"offset\", length, dataset_offset, pixel_offset,"
                  " pixel_length, frames, rows, columns, digest, source, received_ms, header_kind, header_base, header) VALUES (?1, ?2, ?3,"
                  " '1.2.840.10008.1.2.1', ?4, 1, ?5, 1000, 400, 500, 500, 0, 512, 256, x'00', 'test', 1, 0, 0, x'') RETURNING id",
                  "ittni", series, i->uid, i->sop_class, (int64_t)i->number, place);
}

static void add_modality(struct fx_study *s, const char *modality) {
    if (strstr(s->modalities, modality)) return; // the fixture's modalities are none the beginning of another
    size_t n = strlen(s->modalities);
    snprintf(s->modalities + n, sizeof s->modalities - n, "%s%s", n ? "\\" : "", modality);
}

static void remember(struct archive *ar, struct fx_study *s) {
    if (ar->count == ar->capacity) {
        ar->capacity = ar->capacity ? ar->capacity * 2 : 64;
        ar->studies = realloc(ar->studies, ar->capacity * sizeof *ar->studies);
        assert_non_null(ar->studies);
    }
    ar->studies[ar->count++] = *s;
}

static void add_instances(struct archive *ar, struct db *d, const struct fx_series *r, unsigned series, int64_t row) {
    for (int i = 0; i < r->instance_count; i++) {
        int64_t id = instance_row(d, &r->instances[i], row);
        assert_true(id < (1 << 16));
        ar->at[id].study = ar->count;
        ar->at[id].series = series;
        ar->at[id].instance = (unsigned)i;
    }
}

void fx_add(struct archive *ar, struct fx_study *s) {
    struct err e;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct db *d = db_writer(ar->db, &e);
    assert_non_null(d);
    assert_true(db_begin(d, &e));
    int instances = 0;
    s->modalities[0] = 0;
    for (int i = 0; i < s->series_count; i++) {
        add_modality(s, s->series[i].modality);
        instances += s->series[i].instance_count;
    }
    s->row = study_row(d, s, patient_row(d, s), instances);
    for (int i = 0; i < s->series_count; i++) add_instances(ar, d, &s->series[i], (unsigned)i, series_row(d, &s->series[i], s->row));
    if (!query_index_study(d, &a, s->row, &e)) fail_msg("%s", e.message);
    assert_true(db_commit(d, &e));
    db_return(ar->db, d);
    remember(ar, s);
    arena_deinit(&a);
}

void fx_remove(struct archive *ar, int64_t row) {
    struct err e;
    struct arena a;
    char sql[256];
    arena_init(&a, 1 << 20);
    struct db *d = db_writer(ar->db, &e);
    assert_non_null(d);
    assert_true(db_begin(d, &e));
    if (!query_unindex_study(d, &a, row, &e)) fail_msg("%s", e.message);
    snprintf(sql, sizeof sql,
             "DELETE FROM instances WHERE series IN (SELECT id FROM series WHERE study = %lld); DELETE FROM series WHERE study = %lld;"
             "DELETE FROM studies WHERE id = %lld",
             (long long)row, (long long)row, (long long)row);
    if (!db_exec(d, sql, &e)) fail_msg("%s", e.message);
    assert_true(db_commit(d, &e));
    db_return(ar->db, d);
    arena_deinit(&a);
}

struct fx_study *fx_studies(struct archive *ar, unsigned *count) {
    *count = ar->count;
    return ar->studies;
}

unsigned fx_headers_read(struct archive *ar) {
    return ar->headers_read;
}

struct dcm_dataset **fx_query(struct archive *ar, struct arena *a, const struct query *q, unsigned *count) {
    struct err e = {0};
    struct query_cursor *c;
    struct dcm_dataset **list = arena_alloc(a, 4096 * sizeof *list, &e);
    assert_non_null(list);
    if (!query_open(ar, &(struct actor){.door = DOOR_COMMAND}, a, q, &c, &e)) fail_msg("%s", e.message);
    *count = 0;
    enum query_step step;
    while ((step = query_next(c, a, &list[*count], &e)) == QUERY_ROW) {
        (*count)++;
        assert_true(*count < 4096);
    }
    if (step == QUERY_FAIL) fail_msg("%s", e.message);
    query_close(c);
    return list;
}

unsigned fx_find(struct archive *ar, enum query_level level, char *uids, size_t uids_n, ...) {
    static const uint32_t unique[] = {DCM_PatientID, DCM_StudyInstanceUID, DCM_SeriesInstanceUID, DCM_SOPInstanceUID};
    struct query_key keys[16];
    struct query q = {.level = level, .keys = keys};
    va_list args;
    va_start(args, uids_n);
    for (uint32_t tag; (tag = va_arg(args, uint32_t)) != 0;)
        keys[q.key_count++] = (struct query_key){.path = {tag}, .path_n = 1, .value = str_of(va_arg(args, const char *))};
    va_end(args);
    struct arena a;
    unsigned n;
    size_t at = 0;
    arena_init(&a, 64 << 20);
    struct dcm_dataset **found = fx_query(ar, &a, &q, &n);
    if (uids) uids[0] = 0;
    for (unsigned i = 0; uids && i < n; i++) {
        struct str uid = dcm_text(found[i], unique[level]);
        at += (size_t)snprintf(uids + at, uids_n - at, "%s%.*s", i ? " " : "", STR_FMT(uid));
    }
    arena_deinit(&a);
    return n;
}
