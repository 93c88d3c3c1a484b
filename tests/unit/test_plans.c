// Every statement of the ways that must stay fast (storing, finding, fetching, deleting, working in the background) goes by an index, on both engines.
// PostgreSQL when GANTRY_TEST_POSTGRES names a server.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/query.h"
#include "core/worklist.h"
#include "core_fixture.h"
#include "db/dialect.h"
#include "db/driver.h"

enum { STATEMENTS_MAX = 512, PLAN_BYTES_MAX = 64 * 1024 };

// Small whatever the archive's size, or read from one end.
static const char *const FEW[] = {"figures", "counters", "settings", "migrations", "searchable_attributes", "nodes", "leases", "study_months", "audit_cuts"};
// What may read a whole table all the same, by how it begins.
static const char *const WHOLE[] = {"SELECT DISTINCT study_uid"};

struct texts {
    char *sql[STATEMENTS_MAX];
    unsigned count;
};

static void collect(void *ctx, const char *sql) {
    struct texts *t = ctx;
    for (unsigned i = 0; i < t->count; i++)
        if (strcmp(t->sql[i], sql) == 0) return;
    assert_true(t->count < STATEMENTS_MAX);
    t->sql[t->count++] = strdup(sql);
}

static bool is_planned(const char *sql) {
    static const char *const verbs[] = {"SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "};
    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE; i++)
        if (strncmp(sql, WHOLE[i], strlen(WHOLE[i])) == 0) return false;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strncmp(sql, verbs[i], strlen(verbs[i])) == 0) return true;
    return false;
}

// EXPLAIN in the words of the engine; as many parameters as the text has.
static void put_explain(struct db *d, const char *sql, unsigned number, struct buf *out) {
    struct err e = {0};
    unsigned parameters = 0;
    if (d->driver->engine == DB_SQLITE) {
        buf_addf(out, "EXPLAIN QUERY PLAN %s", sql);
        buf_addc(out, '\0');
        return;
    }
    buf_addf(out, "PREPARE plan%u AS ", number);
    if (!dialect_statement(DB_POSTGRES, sql, out, &e)) fail_msg("%s", e.message);
    for (const char *p = out->p; (p = strchr(p, '$')); p++)
        if ((unsigned)atoi(p + 1) > parameters) parameters = (unsigned)atoi(p + 1);
    if (!d->driver->exec(d, out->p, &e)) fail_msg("%s: %s", sql, e.message);
    buf_clear(out);
    buf_addf(out, "EXPLAIN EXECUTE plan%u", number);
    for (unsigned i = 0; i < parameters; i++) buf_addz(out, i ? ", NULL" : "(NULL");
    buf_add(out, parameters ? ")" : "", parameters ? 2 : 1);
}

static void explain(struct db *d, const char *sql, unsigned number, struct buf *plan) {
    struct err e = {0};
    struct buf text;
    buf_init(&text, PLAN_BYTES_MAX);
    put_explain(d, sql, number, &text);
    struct db_stmt *s = db_prepare(d, text.p, &e);
    if (!s) fail_msg("%s: %s", text.p, e.message);
    enum db_step step;
    while ((step = db_next(s, &e)) == DB_ROW) {
        buf_add_str(plan, db_text(s, d->driver->engine == DB_SQLITE ? 3 : 0));
        buf_addc(plan, '\n');
    }
    if (step == DB_FAIL) fail_msg("%s: %s", text.p, e.message);
    buf_addc(plan, '\0');
    db_done(s);
    buf_deinit(&text);
}

static bool line_has(const char *line, const char *text) {
    const char *at = line ? strstr(line, text) : NULL;
    return at && (size_t)(at - line) < strcspn(line, "\n");
}

static const char *next_line(const char *line) {
    const char *end = strchr(line, '\n');
    return end ? end + 1 : NULL;
}

static const char *table_behind(const char *line, const char *text) {
    return line_has(line, text) ? strstr(line, text) + strlen(text) : NULL;
}

// The table whose whole is read in this line of a plan; {NULL, 0} when none is. An index that is walked from its end, as far as a limit goes, is not.
static struct str scanned(const char *plan, const char *line) {
    const char *name = strncmp(line, "SCAN ", 5) == 0 ? line + 5 : table_behind(line, "Seq Scan on ");
    if (line_has(line, "Index Scan") || line_has(line, "Index Only Scan"))
        if (!line_has(line, "Bitmap") && !line_has(next_line(line), "Index Cond:") && !strstr(plan, "Limit ")) name = table_behind(line, " on ");
    return name ? (struct str){name, strcspn(name, " \n")} : (struct str){NULL, 0};
}

static bool is_few(struct str table) {
    static const char *const made[] = {"json_each", "CONSTANT", "(subquery", "q", "m", "o", "u"};
    for (size_t i = 0; i < sizeof FEW / sizeof *FEW; i++)
        if (str_eqz(table, FEW[i])) return true;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (str_eqz(table, made[i])) return true;
    return false;
}

static unsigned check_plan(const char *sql, const char *plan) {
    unsigned faults = 0;
    for (const char *line = plan; line && *line; line = next_line(line)) {
        struct str table = scanned(plan, line);
        if (!table.p || is_few(table)) continue;
        fprintf(stderr, "reads all of %.*s: %s\n%s\n", STR_FMT(table), sql, plan);
        faults++;
    }
    return faults;
}

// ---- what the archive does ----

static void store_some(struct fixture *f) {
    store_sample(f, &(struct sample){0}, INGEST_STORED);
    store_sample(f, &(struct sample){0}, INGEST_KNOWN);
    store_sample(f, &(struct sample){.fill = 1}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.sop = "1.2.3.4.2", .modality = "MR", .series = "1.2.3.5"}, INGEST_STORED);
    store_sample(f, &(struct sample){.sop = "1.2.9.4.2", .study = "1.2.9", .series = "1.2.9.5", .patient_id = "other"}, INGEST_STORED);
}

static void ask(struct fixture *f, const struct actor *who, enum query_level level, uint32_t tag, const char *value, uint32_t tag2, const char *value2) {
    struct query_key keys[2] = {{{tag}, 1, str_of(value)}, {{tag2}, 1, str_of(value2)}};
    struct query q = {.level = level, .keys = keys, .key_count = tag2 ? 2 : 1, .limit = 100};
    struct query_cursor *c;
    struct dcm_dataset *match;
    struct err e = {0};
    if (!query_open(f->ar, who, &f->arena, &q, &c, &e)) fail_msg("%s", e.message);
    while (query_next(c, &f->arena, &match, &e) == QUERY_ROW) continue;
    query_close(c);
}

static void find_some(struct fixture *f, const struct actor *who) {
    for (enum query_level level = QUERY_PATIENT; level <= QUERY_INSTANCE; level++) {
        ask(f, who, level, DCM_PatientName, "T*", 0, NULL);
        ask(f, who, level, DCM_PatientID, "other", DCM_StudyDate, "19000101-");
        ask(f, who, level, DCM_ModalitiesInStudy, "CT\\MR", DCM_PatientName, "T*\\W*");
        ask(f, who, level, DCM_StudyInstanceUID, "1.2.3", DCM_SeriesInstanceUID, "1.2.3.5");
        ask(f, who, level, DCM_SOPInstanceUID, "1.2.3.4.2", 0, NULL);
        ask(f, who, level, DCM_NumberOfPatientRelatedStudies, "", DCM_SeriesInstanceUID, "1.2.3.5");
    }
    static const char *const texts[] = {"", "t", "test other", "qqq"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct worklist_page page;
        struct err e = {0};
        struct worklist_filter filter = {.text = str_of(texts[i]), .modality = STR_LIT("CT")};
        if (!worklist_read(f->ar, who, &f->arena, &filter, STR_LIT(""), 50, &page, &e)) fail_msg("%s", e.message);
    }
}

static void fetch_as(struct fixture *f, const struct actor *who) {
    struct err e = {0};
    struct instance_list list;
    struct buf metadata;
    bool gzip;
    const struct retrieve_query queries[] = {
        {.study_uids = STR_LIT("1.2.3")}, {.series_uids = STR_LIT("1.2.3.5")}, {.sop_instance_uids = STR_LIT("1.2.3.4.2")}, {.patient_id = STR_LIT("other")}};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        if (!retrieve_list(f->ar, who, &f->arena, &queries[i], &list, &e)) fail_msg("%s", e.message);
    buf_init(&metadata, 1 << 20);
    if (!retrieve_study_metadata(f->ar, who, STR_LIT("1.2.3"), false, &metadata, &gzip, &e)) fail_msg("%s", e.message);
    buf_deinit(&metadata);
}

// Somebody who sees part of the archive, by every kind of scope.
static void ask_within_a_scope(struct fixture *f) {
    static const struct access_grant grants[] = {
        {.permissions = ACCESS_ALL_BITS, .scope = {.kind = SCOPE_TENANT}},
        {.permissions = ACCESS_ALL_BITS, .scope = {.kind = SCOPE_LABEL, .realm = {.tenant = {"T", 1}}, .label = {"L", 1}}},
        {.permissions = ACCESS_ALL_BITS, .scope = {.kind = SCOPE_ASSIGNED}}};
    static const struct principal p = {.kind = PRINCIPAL_USER, .name = {"li", 2}, .grants = grants, .grant_count = 3};
    const struct actor who = {.door = DOOR_PAGE, .principal = &p};
    find_some(f, &who);
    fetch_as(f, &who);
}

static void fetch_some(struct fixture *f) {
    size_t count;
    struct err e = {0};
    struct buf metadata;
    bool gzip;
    list_study(f, "1.2.3");
    fetch(f, "1.2.3.4.1", &count);
    buf_init(&metadata, 1 << 20);
    if (!retrieve_study_metadata(f->ar, &TESTER, STR_LIT("1.2.3"), false, &metadata, &gzip, &e)) fail_msg("%s", e.message);
    buf_deinit(&metadata);
}

static void delete_some(struct fixture *f) {
    struct err e = {0};
    uint64_t deleted;
    if (!archive_delete(f->ar, &TESTER, STR_LIT("1.2.3"), STR_LIT("1.2.3.5"), (struct str){NULL, 0}, STR_LIT("test"), &deleted, &e)) fail_msg("%s", e.message);
    if (!archive_delete(f->ar, &TESTER, STR_LIT("1.2.9"), (struct str){NULL, 0}, (struct str){NULL, 0}, STR_LIT("test"), &deleted, &e))
        fail_msg("%s", e.message);
}

// PostgreSQL reads a table of three rows whole when looking at a row costs something, as a scope's filter does: there are many, and it knows that.
static void fill_tables(struct fixture *f) {
    if (db_pool_engine(archive_db(f->ar)) != DB_POSTGRES) return;
    run_sql(f, "INSERT INTO patients (patient_id, issuer, name, birth_date, sex) SELECT 'p' || n, '', '', '', '' FROM generate_series(1, 20000) n");
    run_sql(f,
            "INSERT INTO studies (patient, study_uid, study_date, study_time, accession_number, study_id, description, referring_physician, institution, "
            "patient_id, issuer, patient_name, birth_date, sex, patient_age, timezone, charset, text_flags, modalities, sop_classes, created_ms, changed_ms) "
            "SELECT id, '9.' || id, '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', 0, '', '', 0, 0 FROM patients");
    run_sql(f,
            "INSERT INTO series (study, series_uid, modality, series_date, series_time, description, body_part, laterality, protocol, station, manufacturer, "
            "model, department, performing_physician, operators, pps_start_date, pps_start_time, requested_procedure_id, scheduled_step_id, text_flags, "
            "sop_classes, created_ms, changed_ms) SELECT id, '8.' || id, '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', 0, '', 0, 0 FROM "
            "studies");
    run_sql(f, "ANALYZE patients");
    run_sql(f, "ANALYZE studies");
    run_sql(f, "ANALYZE series");
}

static void every_statement_goes_by_an_index(void **state) {
    struct fixture *f = *state;
    struct texts texts = {0};
    struct err e = {0};
    unsigned faults = 0;
    store_some(f);
    find_some(f, &TESTER);
    fetch_some(f);
    ask_within_a_scope(f);
    delete_some(f);
    fill_tables(f);
    db_pool_statements(archive_db(f->ar), collect, &texts);
    assert_true(texts.count > 60);
    struct db *d = db_writer(archive_db(f->ar), &e);
    for (unsigned i = 0; i < texts.count; i++) {
        struct buf plan;
        buf_init(&plan, PLAN_BYTES_MAX);
        if (is_planned(texts.sql[i])) {
            explain(d, texts.sql[i], i, &plan);
            if (getenv("SHOW_PLANS")) printf("%s\n%s\n", texts.sql[i], plan.p);
            faults += check_plan(texts.sql[i], plan.p);
        }
        buf_deinit(&plan);
        free(texts.sql[i]);
    }
    db_return(archive_db(f->ar), d);
    assert_int_equal(faults, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(every_statement_goes_by_an_index, fixture_setup, fixture_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
