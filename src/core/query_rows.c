// The rows of the index as queries see them: which attribute is which column, and where the levels lie.
#include "core/query_rows.h"

#include <stdio.h>

#include "core/query_index.h"
#include "core/scope.h"

// In the order of the SELECT lists below.
static const struct qcolumn columns[] = {
    {DCM_StudyInstanceUID, QUERY_STUDY, QUERY_STUDY, QSTUDY_UID},
    {DCM_StudyDate, QUERY_STUDY, QUERY_STUDY, QSTUDY_DATE},
    {DCM_StudyTime, QUERY_STUDY, QUERY_STUDY, QSTUDY_TIME},
    {DCM_AccessionNumber, QUERY_STUDY, QUERY_STUDY, 3},
    {DCM_StudyID, QUERY_STUDY, QUERY_STUDY, 4},
    {DCM_StudyDescription, QUERY_STUDY, QUERY_STUDY, 5},
    {DCM_ReferringPhysicianName, QUERY_STUDY, QUERY_STUDY, 6},
    {DCM_PatientID, QUERY_PATIENT, QUERY_STUDY, 7},
    {DCM_IssuerOfPatientID, QUERY_PATIENT, QUERY_STUDY, 8},
    {DCM_PatientName, QUERY_PATIENT, QUERY_STUDY, 9},
    {DCM_PatientBirthDate, QUERY_PATIENT, QUERY_STUDY, 10},
    {DCM_PatientSex, QUERY_PATIENT, QUERY_STUDY, 11},
    {DCM_PatientAge, QUERY_STUDY, QUERY_STUDY, 12},
    {DCM_ModalitiesInStudy, QUERY_STUDY, QUERY_STUDY, 13},
    {DCM_SOPClassesInStudy, QUERY_STUDY, QUERY_STUDY, 14},
    {DCM_NumberOfStudyRelatedSeries, QUERY_STUDY, QUERY_STUDY, 15},
    {DCM_NumberOfStudyRelatedInstances, QUERY_STUDY, QUERY_STUDY, 16},
    {DCM_TimezoneOffsetFromUTC, QUERY_STUDY, QUERY_STUDY, QSTUDY_ZONE},
    {DCM_SeriesInstanceUID, QUERY_SERIES, QUERY_SERIES, QSERIES_UID},
    {DCM_Modality, QUERY_SERIES, QUERY_SERIES, 1},
    {DCM_SeriesNumber, QUERY_SERIES, QUERY_SERIES, 2},
    {DCM_SeriesDate, QUERY_SERIES, QUERY_SERIES, QSERIES_DATE},
    {DCM_SeriesTime, QUERY_SERIES, QUERY_SERIES, QSERIES_TIME},
    {DCM_SeriesDescription, QUERY_SERIES, QUERY_SERIES, 5},
    {DCM_BodyPartExamined, QUERY_SERIES, QUERY_SERIES, 6},
    {DCM_Laterality, QUERY_SERIES, QUERY_SERIES, 7},
    {DCM_ProtocolName, QUERY_SERIES, QUERY_SERIES, 8},
    {DCM_StationName, QUERY_SERIES, QUERY_SERIES, 9},
    {DCM_Manufacturer, QUERY_SERIES, QUERY_SERIES, 10},
    {DCM_ManufacturerModelName, QUERY_SERIES, QUERY_SERIES, 11},
    {DCM_InstitutionalDepartmentName, QUERY_SERIES, QUERY_SERIES, 12},
    {DCM_PerformingPhysicianName, QUERY_SERIES, QUERY_SERIES, 13},
    {DCM_OperatorsName, QUERY_SERIES, QUERY_SERIES, 14},
    {DCM_PerformedProcedureStepStartDate, QUERY_SERIES, QUERY_SERIES, 15},
    {DCM_PerformedProcedureStepStartTime, QUERY_SERIES, QUERY_SERIES, 16},
    {DCM_NumberOfSeriesRelatedInstances, QUERY_SERIES, QUERY_SERIES, 17},
    {DCM_SOPInstanceUID, QUERY_INSTANCE, QUERY_INSTANCE, QINSTANCE_UID},
    {DCM_SOPClassUID, QUERY_INSTANCE, QUERY_INSTANCE, 1},
    {DCM_InstanceNumber, QUERY_INSTANCE, QUERY_INSTANCE, 2},
    {DCM_AvailableTransferSyntaxUID, QUERY_INSTANCE, QUERY_INSTANCE, 3},
    {DCM_NumberOfFrames, QUERY_INSTANCE, QUERY_INSTANCE, 4},
    {DCM_Rows, QUERY_INSTANCE, QUERY_INSTANCE, 5},
    {DCM_Columns, QUERY_INSTANCE, QUERY_INSTANCE, 6},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

#define STUDY_LIST                                                                                                                      \
    "id, patient, study_uid, study_date, study_time, accession_number, study_id, description, referring_physician, patient_id, issuer," \
    " patient_name, birth_date, sex, patient_age, modalities, sop_classes, series_count, instance_count, timezone"
#define STUDY_COLUMNS "SELECT " STUDY_LIST " FROM studies"
#define SERIES_COLUMNS                                                                                                                               \
    "SELECT id, study, series_uid, modality, number, series_date, series_time, description, body_part, laterality, protocol, station, manufacturer," \
    " model, department, performing_physician, operators, pps_start_date, pps_start_time, instance_count FROM series"
// What is 0 in frames, rows and columns is absent in the object.
#define INSTANCE_COLUMNS \
    "SELECT id, series, sop_instance_uid, sop_class_uid, number, ts_uid, nullif(frames, 0), nullif(rows, 0), nullif(columns, 0), state FROM instances"
#define ONE " WHERE id = ?1"
#define MANY " WHERE id {in ?1}"
static const struct {
    const char *one, *many;
    unsigned texts;
} tables[] = {
    [QUERY_STUDY] = {STUDY_COLUMNS ONE, STUDY_COLUMNS MANY, 18},
    [QUERY_SERIES] = {SERIES_COLUMNS ONE, SERIES_COLUMNS MANY, 18},
    [QUERY_INSTANCE] = {INSTANCE_COLUMNS ONE, INSTANCE_COLUMNS MANY, 8},
};
enum { TEXT_FROM = 2 };

const struct qcolumn *qrow_column(uint32_t tag) {
    for (unsigned i = 0; i < COLUMNS; i++)
        if (columns[i].tag == tag) return &columns[i];
    return NULL;
}

const struct qcolumn *qrow_columns(enum query_level level, unsigned *n) {
    unsigned from = 0;
    while (from < COLUMNS && columns[from].table != level) from++;
    for (*n = 0; from + *n < COLUMNS && columns[from + *n].table == level; (*n)++) continue;
    return &columns[from];
}

// Attributes of the modules Patient Study, General Study, Patient Medical and Clinical Trial Study (PS3.3 C.7.2), of group 0008, 0010 and 0020.
static const uint32_t study_tags[] = {
    0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080061, 0x00080062, 0x00080090, 0x00080092, 0x00080094, 0x00080096, 0x0008009C, 0x0008009D,
    0x00080201, 0x00081030, 0x00081032, 0x00081048, 0x00081049, 0x00081060, 0x00081062, 0x00081080, 0x00081084, 0x00081110, 0x00101010, 0x00101020,
    0x00101021, 0x00101022, 0x00101023, 0x00101024, 0x00101030, 0x00102000, 0x00102110, 0x00102180, 0x001021A0, 0x001021B0, 0x001021C0, 0x001021D0,
    0x00102203, 0x00120050, 0x00120051, 0x00120052, 0x00120053, 0x0020000D, 0x00200010, 0x00201206, 0x00201208, 0x00401012, 0x00401400,
};

// General Series, Clinical Trial Series, Frame of Reference and General Equipment modules (PS3.3 C.7.3, C.7.4.1, C.7.5.1).
static const uint32_t series_tags[] = {
    0x00080021, 0x00080031, 0x00080060, 0x00080064, 0x00080068, 0x00080070, 0x00080080, 0x00080081, 0x00080082, 0x00081010, 0x0008103E, 0x0008103F, 0x00081040,
    0x00081041, 0x00081050, 0x00081052, 0x00081070, 0x00081072, 0x00081090, 0x00081111, 0x00081250, 0x00120060, 0x00120071, 0x00120072, 0x00180015, 0x00181000,
    0x00181020, 0x00181030, 0x00181050, 0x00181200, 0x00181201, 0x00185100, 0x0020000E, 0x00200011, 0x00200052, 0x00200060, 0x00201040, 0x00201209, 0x00280108,
    0x00280109, 0x00400244, 0x00400245, 0x00400250, 0x00400251, 0x00400253, 0x00400254, 0x00400260, 0x00400275, 0x00400280, 0x00400555, 0x00102210,
};

static bool is_in(const uint32_t *tags, size_t n, uint32_t tag) {
    for (size_t i = 0; i < n; i++)
        if (tags[i] == tag) return true;
    return false;
}

enum query_level qrow_attribute_level(uint32_t tag) {
    const struct qcolumn *c = qrow_column(tag);
    if (c) return c->level;
    if (is_in(study_tags, sizeof study_tags / sizeof *study_tags, tag)) return QUERY_STUDY;
    if (is_in(series_tags, sizeof series_tags / sizeof *series_tags, tag)) return QUERY_SERIES;
    switch (DCM_GROUP(tag)) {
    case 0x0010:
    case 0x0012:
        return QUERY_PATIENT;
    case 0x0032: // requested procedure
    case 0x0038: // visit
        return QUERY_STUDY;
    default:
        return tag == DCM_ReferencedPatientSequence || (tag >= DCM_NumberOfPatientRelatedStudies && tag <= DCM_NumberOfPatientRelatedInstances)
                   ? QUERY_PATIENT
                   : QUERY_INSTANCE;
    }
}

// From this column on.
static bool take(struct db_stmt *s, struct arena *a, enum query_level level, int column, struct qrow *out, struct err *e) {
    *out = (struct qrow){.id = db_int(s, column), .parent = db_int(s, column + 1)};
    for (unsigned i = 0; i < tables[level].texts; i++)
        if (!arena_dup(a, db_text(s, column + (int)(TEXT_FROM + i)), &out->text[i], e)) return false;
    if (level == QUERY_STUDY) out->at = query_at(out->text[QSTUDY_DATE], out->text[QSTUDY_TIME]);
    return true;
}

const char qrow_study_columns[] = STUDY_LIST;

bool qrow_take_study(struct db_stmt *s, struct arena *a, int column, struct qrow *out, struct err *e) {
    return take(s, a, QUERY_STUDY, column, out, e);
}

bool qrow_load(struct db *d, struct arena *a, enum query_level level, int64_t id, struct qrow *out, bool *found, struct err *e) {
    struct db_stmt *s = db_prepare(d, tables[level].one, e);
    if (!s) return false;
    db_bind_int(s, 1, id);
    enum db_step step = db_next(s, e);
    *found = step == DB_ROW;
    bool ok = step != DB_FAIL && (!*found || take(s, a, level, 0, out, e));
    if (!*found) *out = (struct qrow){.id = id};
    db_done(s);
    return ok;
}

struct str qrow_ids(const int64_t *ids, unsigned n, char out[QROW_IDS_BYTES]) {
    size_t at = 0;
    for (unsigned i = 0; i < n && i < QROW_MANY; i++) at += (size_t)snprintf(out + at, QROW_IDS_BYTES - at, "%c%lld", i ? ',' : '[', (long long)ids[i]);
    at += (size_t)snprintf(out + at, QROW_IDS_BYTES - at, "%s]", n ? "" : "[");
    return (struct str){out, at};
}

// Rows come in any order.
static bool put_row(struct db_stmt *s, struct arena *a, enum query_level level, const int64_t *ids, unsigned n, struct qrow *out, struct err *e) {
    int64_t id = db_int(s, 0);
    for (unsigned i = 0; i < n; i++)
        if (ids[i] == id && out[i].id == 0) return take(s, a, level, 0, &out[i], e);
    return true;
}

bool qrow_load_many(struct db *d, struct arena *a, enum query_level level, const int64_t *ids, unsigned n, struct qrow *out, struct err *e) {
    char json[QROW_IDS_BYTES];
    bool found;
    if (n == 1) return qrow_load(d, a, level, ids[0], out, &found, e) && (found || (out->id = 0, true));
    for (unsigned i = 0; i < n; i++) out[i].id = 0;
    struct db_stmt *s = db_prepare(d, tables[level].many, e);
    if (!s) return false;
    db_bind_text(s, 1, qrow_ids(ids, n, json));
    enum db_step step = DB_ROW;
    bool ok = true;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = put_row(s, a, level, ids, n, out, e);
    db_done(s);
    return ok && step == DB_END;
}

bool qrow_children(struct db *d, struct arena *a, enum query_level level, int64_t parent, int64_t **ids, size_t *count, struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   level == QUERY_SERIES ? "SELECT id FROM series WHERE study = ?1 ORDER BY number IS NULL, number, series_uid"
                                                         : "SELECT id FROM instances WHERE series = ?1 ORDER BY number IS NULL, number, sop_instance_uid",
                                   e);
    if (!s) return false;
    db_bind_int(s, 1, parent);
    size_t cap = 0;
    *ids = NULL;
    *count = 0;
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        if (*count == cap) {
            size_t more = cap ? cap * 2 : 32;
            int64_t *grown = arena_grow(a, *ids, cap * sizeof **ids, more * sizeof **ids, e);
            if (!grown) {
                step = DB_FAIL;
                break;
            }
            *ids = grown;
            cap = more;
        }
        (*ids)[(*count)++] = db_int(s, 0);
    }
    db_done(s);
    return step == DB_END;
}

bool qrow_child(struct db *d, struct arena *a, enum query_level level, int64_t parent, struct str uid, int64_t **ids, size_t *count, struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   level == QUERY_SERIES ? "SELECT id FROM series WHERE study = ?1 AND series_uid = ?2"
                                                         : "SELECT id FROM instances WHERE series = ?1 AND sop_instance_uid = ?2",
                                   e);
    if (!s) return false;
    db_bind_int(s, 1, parent);
    db_bind_text(s, 2, uid);
    enum db_step step = db_next(s, e);
    bool ok = step != DB_FAIL;
    *count = 0;
    *ids = NULL;
    if (step == DB_ROW) {
        *ids = arena_alloc(a, sizeof **ids, e);
        ok = *ids;
        if (ok) (*ids)[(*count)++] = db_int(s, 0);
    }
    db_done(s);
    return ok;
}

bool qrow_representative(struct db *d, enum query_level level, int64_t id, int64_t *instance, struct err *e) {
    struct db_stmt *s = db_prepare(d,
                                   level == QUERY_SERIES ? "SELECT id FROM instances WHERE series = ?1 ORDER BY number NULLS FIRST LIMIT 1"
                                                         : "SELECT i.id FROM series s JOIN instances i ON i.series = s.id WHERE s.study = ?1"
                                                           " ORDER BY s.id, i.number NULLS FIRST LIMIT 1",
                                   e);
    if (!s) return false;
    db_bind_int(s, 1, id);
    enum db_step step = db_next(s, e);
    *instance = step == DB_ROW ? db_int(s, 0) : 0;
    db_done(s);
    return step != DB_FAIL;
}

static struct db_stmt *prepare_counts(struct db *d, const struct scope *scope, struct err *e) {
    static const char COUNTS[] = "SELECT count(*), CAST(coalesce(sum(st.series_count), 0) AS BIGINT), CAST(coalesce(sum(st.instance_count), 0) AS BIGINT) FROM"
                                 " studies st WHERE st.patient = ?1";
    struct buf sql;
    if (!scope) return db_prepare(d, COUNTS, e);
    buf_init(&sql, SCOPE_SQL_BYTES + sizeof COUNTS);
    buf_addz(&sql, COUNTS);
    scope_filter(scope, &sql, "st", 2);
    buf_addc(&sql, '\0');
    struct db_stmt *s = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (s) db_bind_text(s, 2, scope->keys);
    return s;
}

bool qrow_patient_counts(struct db *d, const struct scope *scope, int64_t patient, struct qpatient_counts *out, struct err *e) {
    struct db_stmt *s = prepare_counts(d, scope, e);
    if (!s) return false;
    db_bind_int(s, 1, patient);
    enum db_step step = db_next(s, e);
    if (step == DB_ROW) *out = (struct qpatient_counts){db_int(s, 0), db_int(s, 1), db_int(s, 2)};
    db_done(s);
    return step == DB_ROW;
}
