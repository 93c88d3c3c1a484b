// Behaviour of SQL access: migrations once, snapshots, statements that survive nesting, errors by kind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
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
    assert_true(llabs(one(w, "SELECT {now}") - clock_wall_ms()) < 2000);
    assert_int_equal(one(w, "SELECT value FROM figures WHERE name = 'studies' {lock}"), 0);
    assert_false(db_exec(w, "SELECT {nonsense}", &e));
    db_return(p, w);
    db_pool_close(p);
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
    write_megabytes(p, 18);
    assert_true(size_of("index.db-wal") > 17000000);
    for (int i = 0; i < 3000 && size_of("index.db") < 16000000; i++) usleep(10000);
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
    };
    const struct CMUnitTest sqlite[] = {TEST(the_log_is_copied_beside_the_commits_and_begins_anew)};
    int failures = 0;
    for (engine = DB_SQLITE; engine <= DB_POSTGRES; engine++)
        if (engine_there(engine)) failures += cmocka_run_group_tests_name(engine == DB_SQLITE ? "sqlite" : "postgres", both, NULL, NULL);
    engine = DB_SQLITE;
    failures += cmocka_run_group_tests(sqlite, NULL, NULL);
    return failures;
}
