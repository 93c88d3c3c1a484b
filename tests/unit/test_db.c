// Behaviour of SQL access: migrations once, snapshots, statements that survive nesting, errors by kind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/db.h"
#include "db/migrate.h"
#include "db_engine.h"

static enum db_engine engine;
static struct db_options options;

static struct db_pool *open_pool(void) {
    struct err e = {0};
    struct db_pool *p = NULL;
    if (!db_pool_open(&options, &p, &e)) fail_msg("%s", e.message);
    return p;
}

static int make(void **state) {
    (void)state;
    options = engine_make(engine);
    return 0;
}

static int forget(void **state) {
    (void)state;
    engine_remove();
    return 0;
}

static int64_t one(struct db *d, const char *sql) {
    struct err e = {0};
    struct db_stmt *s = db_prepare(d, sql, &e);
    assert_non_null(s);
    assert_int_equal(db_next(s, &e), DB_ROW);
    int64_t v = db_int(s, 0);
    db_done(s);
    return v;
}

static void migrations_are_applied_once(void **state) {
    (void)state;
    struct err e = {0};
    for (int round = 0; round < 2; round++) {
        struct db_pool *p = open_pool();
        struct db *d = db_reader(p, &e);
        assert_int_equal(one(d, "SELECT count(*) FROM migrations"), DB_MIGRATION_COUNT);
        assert_int_equal(one(d, "SELECT count(*) FROM studies"), 0);
        db_return(p, d);
        db_pool_close(p);
    }
}

static void a_newer_schema_is_refused_with_what_to_do(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *d = db_writer(p, &e);
    assert_true(db_exec(d, "INSERT INTO migrations VALUES (9999, 'future', 0)", &e));
    db_return(p, d);
    db_pool_close(p);
    assert_false(db_pool_open(&options, &p, &e));
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
    assert_non_null(strstr(e.message, "gantry reindex"));
}

static void a_reader_keeps_its_snapshot_while_the_writer_commits(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *r = db_reader(p, &e);
    struct db *w = db_writer(p, &e);
    assert_true(db_begin(r, &e));
    assert_int_equal(one(r, "SELECT count(*) FROM settings"), 0);
    assert_true(db_begin(w, &e) && db_exec(w, "INSERT INTO settings VALUES ('a', 'b')", &e) && db_commit(w, &e));
    assert_int_equal(one(r, "SELECT count(*) FROM settings"), 0);
    assert_true(db_commit(r, &e));
    assert_int_equal(one(r, "SELECT count(*) FROM settings"), 1);
    db_return(p, w);
    db_return(p, r);
    db_pool_close(p);
}

static void a_connection_returned_in_a_transaction_is_rolled_back(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_writer(p, &e);
    assert_true(db_begin(w, &e) && db_exec(w, "INSERT INTO settings VALUES ('a', 'b')", &e));
    db_return(p, w);
    struct db *r = db_reader(p, &e);
    assert_int_equal(one(r, "SELECT count(*) FROM settings"), 0);
    db_return(p, r);
    db_pool_close(p);
}

static void the_same_text_nests_and_many_texts_are_evicted(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *r = db_reader(p, &e);
    struct db_stmt *a = db_prepare(r, "SELECT 1 UNION SELECT 2", &e), *b = db_prepare(r, "SELECT 1 UNION SELECT 2", &e);
    assert_ptr_not_equal(a, b);
    assert_int_equal(db_next(a, &e), DB_ROW);
    for (int i = 0; i < 300; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT %d", i);
        assert_int_equal(one(r, sql), i);
    }
    assert_int_equal(db_next(a, &e), DB_ROW);
    assert_int_equal(db_int(a, 0), 2);
    db_done(a);
    db_done(b);
    db_return(p, r);
    db_pool_close(p);
}

static void absent_and_empty_text_differ_and_errors_have_their_kind(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_writer(p, &e);
    struct db_stmt *s = db_prepare(w, "SELECT ?1, ?2, nullif(?3, x'')", &e);
    db_bind_text(s, 1, (struct str){NULL, 0});
    db_bind_text(s, 2, STR_LIT(""));
    db_bind_blob(s, 3, STR_LIT("a\0b"));
    assert_int_equal(db_next(s, &e), DB_ROW);
    assert_true(db_is_null(s, 0) && !db_is_null(s, 1));
    assert_true(str_eq(db_blob(s, 2), STR_LIT("a\0b")));
    db_done(s);
    assert_true(db_exec(w, "INSERT INTO settings VALUES ('a', 'b')", &e));
    assert_false(db_exec(w, "INSERT INTO settings VALUES ('a', 'c')", &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    db_return(p, w);
    struct db *r = db_reader(p, &e);
    assert_false(db_exec(r, "DELETE FROM settings", &e)); // readers cannot write
    db_return(p, r);
    db_pool_close(p);
}

static void the_words_of_the_dialect_work(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_side(p, &e);
    assert_int_equal(one(w, "SELECT {greatest}(2, 7) * 10 + {least}(2, 7)"), 72);
    assert_int_equal(one(w, "SELECT count(*) FROM {each '[\"a\",\"b\"]'} a {join} {each '[\"b\",\"c\"]'} b ON a.value = b.value"), 1);
    const int64_t before = clock_wall_ms(), now = one(w, "SELECT {now}");
    assert_true(now > before - 2000 && now < clock_wall_ms() + 2000);
    assert_int_equal(one(w, "SELECT value FROM figures WHERE name = 'studies' {lock}"), 0);
    assert_false(db_exec(w, "SELECT {nonsense}", &e));
    db_return(p, w);
    db_pool_close(p);
}

// ---- both engines: values ----

static void values_are_read_as_what_they_are_asked_for(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_writer(p, &e);
    assert_true(db_exec(w, "CREATE TABLE v (n BIGINT, t TEXT, d DOUBLE PRECISION)", &e));
    struct db_stmt *s = db_prepare(w, "INSERT INTO v VALUES (?1, ?2, ?3)", &e);
    db_bind_int(s, 1, INT64_MIN);
    db_bind_int(s, 2, -17); // where text is kept
    db_bind_double(s, 3, 0.1);
    assert_int_equal(db_next(s, &e), DB_END);
    db_done(s);
    s = db_prepare(w, "SELECT n, t, d, n < 0, sum(n) OVER (), coalesce(t, 'x'), cast(t AS BIGINT) * 2, NULL FROM v WHERE t = ?1", &e);
    db_bind_text(s, 1, STR_LIT("-17"));
    assert_int_equal(db_next(s, &e), DB_ROW);
    assert_true(db_int(s, 0) == INT64_MIN && str_eqz(db_text(s, 0), "-9223372036854775808"));
    assert_true(db_int(s, 1) == -17 && str_eqz(db_text(s, 1), "-17"));
    assert_true(db_double(s, 2) == 0.1);
    assert_int_equal(db_int(s, 3), 1);
    assert_true(db_double(s, 4) < -9.2e18);
    assert_int_equal(db_int(s, 6), -34);
    assert_true(db_is_null(s, 7) && db_int(s, 7) == 0 && !db_text(s, 7).p && !db_is_null(s, 0));
    assert_int_equal(db_next(s, &e), DB_END);
    db_done(s);
    db_return(p, w);
    db_pool_close(p);
}

static void check_text(struct db *w, struct str given, const char *kept) {
    struct err e = {0};
    struct db_stmt *s = db_prepare(w, "INSERT INTO settings VALUES ('text', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1 RETURNING value", &e);
    db_bind_text(s, 1, given);
    assert_int_equal(db_next(s, &e), DB_ROW);
    assert_true(str_eqz(db_text(s, 0), kept));
    db_done(s);
}

// Neither engine is given what one of them refuses (PostgreSQL: 22021).
static void both_engines_keep_the_same_text(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_writer(p, &e);
    check_text(w, STR_LIT("\xE7\x8E\x8B^\xE5\xB0\x8F\xE6\x9D\xB1"), "\xE7\x8E\x8B^\xE5\xB0\x8F\xE6\x9D\xB1");
    check_text(w, STR_LIT("a\0b"),
               "a\xEF\xBF\xBD"
               "b");
    check_text(w, STR_LIT("eight bytes, then\0"), "eight bytes, then\xEF\xBF\xBD");
    check_text(w, STR_LIT("\xCD\xF5\xD0\xA1"), "\xEF\xBF\xBD\xEF\xBF\xBD\xD0\xA1"); // GBK
    check_text(w, STR_LIT("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"); // a surrogate
    check_text(w, STR_LIT(""), "");
    struct db_stmt *s = db_prepare(w, "SELECT count(*) FROM {each ?1} WHERE value = ?2", &e);
    db_bind_text(s, 1, STR_LIT("[\"a\\u0000\",\"b\\\\u0000\",\"c\"]"));
    db_bind_text(s, 2, STR_LIT("b\\u0000"));
    assert_int_equal(db_next(s, &e), DB_ROW);
    assert_int_equal(db_int(s, 0), 1);
    db_done(s);
    db_return(p, w);
    db_pool_close(p);
}

static int64_t numbers_among(struct db *d, const char *json) {
    struct err e = {0};
    struct db_stmt *s = db_prepare(
        d, "SELECT coalesce(sum(v), 0) FROM (SELECT -9000000000 AS v UNION ALL SELECT 0 UNION ALL SELECT 7 UNION ALL SELECT 8) n WHERE v {in ?1}", &e);
    if (!s) fail_msg("%s", e.message);
    db_bind_text(s, 1, str_of(json));
    if (db_next(s, &e) != DB_ROW) fail_msg("%s", e.message);
    int64_t sum = db_int(s, 0);
    db_done(s);
    return sum;
}

static void numbers_of_a_list_are_found(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_writer(p, &e);
    assert_int_equal(numbers_among(w, "[7,-9000000000]"), 7 - 9000000000);
    assert_int_equal(numbers_among(w, "[8, 0 ,3,9]"), 8);
    assert_int_equal(numbers_among(w, "[]"), 0);
    db_return(p, w);
    db_pool_close(p);
}

static void texts_are_ordered_by_their_bytes(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_writer(p, &e);
    assert_true(db_exec(w, "INSERT INTO settings VALUES ('b', ''), ('B', ''), ('a b', ''), ('ab', ''), ('\xC3\xA4', '')", &e));
    static const char *const order[] = {"B", "a b", "ab", "b", "\xC3\xA4"};
    struct db_stmt *s = db_prepare(w, "SELECT name FROM settings ORDER BY name", &e);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        assert_int_equal(db_next(s, &e), DB_ROW);
        assert_true(str_eqz(db_text(s, 0), order[i]));
    }
    db_done(s);
    assert_int_equal(one(w, "SELECT count(*) FROM settings WHERE name >= 'a' AND name < 'b'"), 2);
    db_return(p, w);
    db_pool_close(p);
}

static void a_large_blob_comes_back_whole(void **state) {
    (void)state;
    enum { BYTES = 20 * 1000 * 1000 };
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_writer(p, &e);
    char *bytes = malloc(BYTES);
    assert_non_null(bytes);
    for (size_t i = 0; i < BYTES; i++) bytes[i] = (char)(i * 7 + (i >> 9));
    assert_true(db_begin(w, &e));
    struct db_stmt *s = db_prepare(w, "INSERT INTO header_bases (data) VALUES (?1)", &e);
    db_bind_blob(s, 1, (struct str){bytes, BYTES});
    assert_int_equal(db_next(s, &e), DB_END);
    db_done(s);
    assert_true(db_commit(w, &e));
    db_return(p, w);
    struct db *r = db_reader(p, &e);
    s = db_prepare(r, "SELECT data FROM header_bases", &e);
    assert_int_equal(db_next(s, &e), DB_ROW);
    assert_true(str_eq(db_blob(s, 0), (struct str){bytes, BYTES}));
    db_done(s);
    db_return(p, r);
    free(bytes);
    db_pool_close(p);
}

static void thousands_of_rows_are_written_and_read_while_others_are_asked(void **state) {
    (void)state;
    enum { ROWS = 5000 };
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_writer(p, &e);
    assert_true(db_begin(w, &e));
    for (int i = 0; i < ROWS; i++) {
        struct db_stmt *s = db_prepare(w, "INSERT INTO study_months VALUES (?1, ?2)", &e);
        db_bind_int(s, 1, i);
        db_bind_int(s, 2, i * 3);
        assert_int_equal(db_next(s, &e), DB_END);
        db_done(s);
    }
    assert_int_equal(db_changes(w), 1);
    assert_true(db_exec(w, "UPDATE study_months SET studies = studies + 1", &e));
    assert_int_equal(db_changes(w), ROWS);
    assert_int_equal(one(w, "SELECT count(*) FROM study_months"), ROWS);
    assert_true(db_commit(w, &e));
    db_return(p, w);
    struct db *r = db_reader(p, &e);
    struct db_stmt *outer = db_prepare(r, "SELECT month FROM study_months ORDER BY month", &e);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(db_next(outer, &e), DB_ROW);
        if (i % 50 != 0) continue;
        struct db_stmt *inner = db_prepare(r, "SELECT studies FROM study_months WHERE month = ?1", &e);
        db_bind_int(inner, 1, db_int(outer, 0));
        assert_int_equal(db_next(inner, &e), DB_ROW);
        assert_int_equal(db_int(inner, 0), i * 3 + 1);
        db_done(inner);
    }
    assert_int_equal(db_next(outer, &e), DB_END);
    db_done(outer);
    db_return(p, r);
    db_pool_close(p);
}

// ---- both engines: migrations ----

static void *open_and_close(void *arg) {
    struct err e = {0};
    struct db_pool *p = NULL;
    bool *ok = arg;
    *ok = db_pool_open(&options, &p, &e);
    if (!*ok) fprintf(stderr, "%s\n", e.message);
    db_pool_close(p);
    return NULL;
}

static void of_many_that_start_at_once_one_migrates(void **state) {
    (void)state;
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    bool ok[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, &ok[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(ok[i]);
    }
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *r = db_reader(p, &e);
    assert_int_equal(one(r, "SELECT count(*) FROM migrations"), DB_MIGRATION_COUNT);
    db_return(p, r);
    db_pool_close(p);
}

static void a_schema_of_one_version_ahead_is_worked_with(void **state) {
    (void)state;
    struct err e = {0};
    struct db_pool *p = open_pool();
    struct db *w = db_writer(p, &e);
    struct db_stmt *s = db_prepare(w, "INSERT INTO migrations VALUES (?1, 'next', 0)", &e);
    db_bind_int(s, 1, DB_MIGRATION_COUNT + 1);
    assert_int_equal(db_next(s, &e), DB_END);
    db_done(s);
    db_return(p, w);
    db_pool_close(p);
    db_pool_close(open_pool());
}

static int64_t size_of(const char *name) {
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", engine_dir(), name);
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void write_megabytes(struct db_pool *p, int n) {
    struct err e = {0};
    for (int i = 0; i < n; i++) {
        struct db *w = db_writer(p, &e);
        assert_true(db_begin(w, &e) && db_exec(w, "INSERT INTO header_bases (data) VALUES (randomblob(1000000))", &e) && db_commit(w, &e));
        db_return(p, w);
    }
}

static void the_log_is_copied_beside_the_commits_and_begins_anew(void **state) {
    (void)state;
    struct db_pool *p = open_pool();
    write_megabytes(p, 15);
    assert_true(size_of("index.db-wal") > 15000000 && size_of("index.db") < 15000000); // not yet
    write_megabytes(p, 3);
    for (int i = 0; i < 6000 && size_of("index.db") < 16000000; i++) usleep(10000);
    assert_true(size_of("index.db") >= 16000000);
    bool began_anew = false;
    for (int i = 0; i < 100 && !began_anew; i++) {
        int64_t before = size_of("index.db-wal");
        usleep(10000);
        write_megabytes(p, 1);
        began_anew = size_of("index.db-wal") == before;
    }
    assert_true(began_anew);
    db_pool_close(p);
}

static unsigned mode_of(const char *suffix) {
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s%s", options.path, suffix);
    if (stat(path, &st) != 0) fail_msg("%s is not there", path);
    return st.st_mode & 0777;
}

static void let_all_read(const char *suffix) {
    char path[256];
    snprintf(path, sizeof path, "%s%s", options.path, suffix);
    assert_int_equal(chmod(path, 0644), 0);
}

static void the_index_is_its_owners_alone(void **state) {
    static const char *const FILES[] = {"", "-wal", "-shm"};
    (void)state;
    mode_t before = umask(022);
    struct db_pool *p = open_pool(), *again;
    for (unsigned i = 0; i < 3; i++) assert_int_equal(mode_of(FILES[i]), 0600);
    // One that was made by an earlier version, while it is in use.
    for (unsigned i = 0; i < 3; i++) let_all_read(FILES[i]);
    again = open_pool();
    for (unsigned i = 0; i < 3; i++) assert_int_equal(mode_of(FILES[i]), 0600);
    db_pool_close(again);
    db_pool_close(p);
    umask(before);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, forget)
    const struct CMUnitTest both[] = {
        TEST(migrations_are_applied_once),
        TEST(a_newer_schema_is_refused_with_what_to_do),
        TEST(a_reader_keeps_its_snapshot_while_the_writer_commits),
        TEST(a_connection_returned_in_a_transaction_is_rolled_back),
        TEST(the_same_text_nests_and_many_texts_are_evicted),
        TEST(absent_and_empty_text_differ_and_errors_have_their_kind),
        TEST(the_words_of_the_dialect_work),
        TEST(values_are_read_as_what_they_are_asked_for),
        TEST(both_engines_keep_the_same_text),
        TEST(numbers_of_a_list_are_found),
        TEST(texts_are_ordered_by_their_bytes),
        TEST(a_large_blob_comes_back_whole),
        TEST(thousands_of_rows_are_written_and_read_while_others_are_asked),
        TEST(of_many_that_start_at_once_one_migrates),
        TEST(a_schema_of_one_version_ahead_is_worked_with),
    };
    const struct CMUnitTest sqlite[] = {TEST(the_log_is_copied_beside_the_commits_and_begins_anew), TEST(the_index_is_its_owners_alone)};
    int failures = 0;
    for (engine = DB_SQLITE; engine <= DB_POSTGRES; engine++)
        if (engine_there(engine)) failures += cmocka_run_group_tests_name(engine == DB_SQLITE ? "sqlite" : "postgres", both, NULL, NULL);
    engine = DB_SQLITE;
    failures += cmocka_run_group_tests(sqlite, NULL, NULL);
    return failures;
}
