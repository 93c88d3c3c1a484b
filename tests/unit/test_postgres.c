// Behaviour of the PostgreSQL driver when things break: lost connections, deadlines, failures of what was not waited for, notifications.
// Skipped without GANTRY_TEST_POSTGRES.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/db.h"
#include "db_engine.h"

static struct db_options options;
static struct db_pool *pool;
static struct err e;

static struct db_pool *open_pool(const char *node) {
    struct db_pool *p = NULL;
    struct db_options o = options;
    o.node = node;
    if (!db_pool_open(&o, &p, &e)) fail_msg("%s", e.message);
    return p;
}

static int make(void **state) {
    (void)state;
    options = engine_make(DB_POSTGRES);
    pool = open_pool("of-test-postgres");
    e = (struct err){0};
    return 0;
}

static int forget(void **state) {
    (void)state;
    db_pool_close(pool);
    engine_remove();
    return 0;
}

static int64_t one(struct db *d, const char *sql) {
    struct db_stmt *s = db_prepare(d, sql, &e);
    if (!s || db_next(s, &e) != DB_ROW) fail_msg("%s", e.message);
    int64_t v = db_int(s, 0);
    db_done(s);
    return v;
}

static int64_t count_settings(struct db_pool *p) {
    struct db *r = db_reader(p, &e);
    assert_non_null(r);
    int64_t n = one(r, "SELECT count(*) FROM settings");
    db_return(p, r);
    return n;
}

static bool insert(struct db *d, const char *name) {
    struct db_stmt *s = db_prepare(d, "INSERT INTO settings VALUES (?1, '')", &e);
    if (!s) return false;
    db_bind_text(s, 1, str_of(name));
    bool ok = db_next(s, &e) == DB_END;
    db_done(s);
    return ok;
}

// Every connection of pool but those of the one that says so.
static void end_connections(void) {
    struct db_pool *other = open_pool("killer");
    struct db *w = db_writer(other, &e);
    // those that are there now: who listens comes back soon
    assert_int_equal(one(w, "SELECT CASE WHEN set_config('gantry.moment', clock_timestamp()::text, false) <> '' THEN 1 END"), 1);
    one(w, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'gantry of-test-postgres%'");
    while (one(w, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'gantry of-test-postgres%' AND backend_start < "
                  "current_setting('gantry.moment')::timestamptz") > 0)
        usleep(1000);
    db_return(other, w);
    db_pool_close(other);
}

static void connections_that_were_ended_while_idle_are_made_anew_unseen(void **state) {
    (void)state;
    struct db *r = db_reader(pool, &e), *w = db_writer(pool, &e), *s = db_side(pool, &e);
    assert_true(one(r, "SELECT 1") && one(w, "SELECT 1") && one(s, "SELECT 1"));
    db_return(pool, r), db_return(pool, w), db_return(pool, s);
    end_connections();
    assert_int_equal(count_settings(pool), 0);
    w = db_writer(pool, &e);
    assert_true(db_begin(w, &e) && insert(w, "x") && db_commit(w, &e));
    db_return(pool, w);
    s = db_side(pool, &e);
    assert_true(insert(s, "y"));
    db_return(pool, s);
    assert_int_equal(count_settings(pool), 2);
}

static void one_that_is_lost_in_use_is_told_and_the_next_is_whole(void **state) {
    (void)state;
    struct db *r = db_reader(pool, &e);
    assert_int_equal(one(r, "SELECT 1"), 1);
    assert_false(db_lost(r));
    end_connections();
    struct db_stmt *s = db_prepare(r, "SELECT 1", &e);
    assert_int_equal(db_next(s, &e), DB_FAIL);
    assert_int_equal(e.kind, ERR_NET);
    assert_true(err_class_of(e.kind)->retry);
    assert_true(db_lost(r));
    db_done(s);
    assert_null(db_prepare(r, "SELECT 'never asked before'", &e)); // and does not crash
    db_return(pool, r);
    assert_int_equal(count_settings(pool), 0);
}

static void a_transaction_whose_connection_is_lost_leaves_nothing(void **state) {
    (void)state;
    struct db *w = db_writer(pool, &e);
    assert_true(db_begin(w, &e) && insert(w, "x"));
    end_connections();
    assert_true(!insert(w, "y") || !db_commit(w, &e));
    assert_int_equal(e.kind, ERR_NET);
    assert_false(db_exec(w, "SAVEPOINT s", &e));
    assert_false(db_commit(w, &e));
    db_rollback(w);
    assert_true(db_lost(w));
    db_return(pool, w);
    assert_int_equal(count_settings(pool), 0);
    w = db_writer(pool, &e);
    assert_true(db_begin(w, &e) && insert(w, "x") && db_commit(w, &e));
    db_return(pool, w);
    assert_int_equal(count_settings(pool), 1);
}

static void a_statement_has_a_deadline(void **state) {
    (void)state;
    options.statement_ms = 5000; // all that opening says is done in it, on a busy machine too
    struct db_pool *hasty = open_pool("hasty");
    struct db *r = db_reader(hasty, &e);
    int64_t begun = clock_mono_ms();
    assert_false(db_exec(r, "SELECT pg_sleep(120)", &e));
    assert_int_equal(e.kind, ERR_TIMEOUT);
    assert_true(clock_mono_ms() - begun < 90 * 1000);
    assert_int_equal(one(r, "SELECT 7"), 7); // the connection is as good as before
    db_return(hasty, r);
    db_pool_close(hasty);
}

static void a_failure_that_was_not_waited_for_is_told_by_what_waits(void **state) {
    (void)state;
    struct db *w = db_writer(pool, &e);
    assert_true(db_begin(w, &e) && insert(w, "x") && insert(w, "x") && insert(w, "y"));
    assert_false(db_commit(w, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_false(insert(w, "z")); // lost with the transaction
    assert_int_equal(e.kind, ERR_CONFLICT);
    db_rollback(w);
    assert_int_equal(count_settings(pool), 0);
    assert_true(db_begin(w, &e) && insert(w, "x") && insert(w, "x"));
    struct db_stmt *s = db_prepare(w, "SELECT 1", &e);
    assert_true(!s || db_next(s, &e) == DB_FAIL);
    db_done(s);
    assert_int_equal(e.kind, ERR_CONFLICT);
    db_rollback(w);
    assert_true(db_begin(w, &e) && insert(w, "x") && insert(w, "z") && db_commit(w, &e)); // what was prepared is prepared again
    db_return(pool, w);
    assert_int_equal(count_settings(pool), 2);
}

static void a_savepoint_takes_back_what_failed_behind_it(void **state) {
    (void)state;
    struct db *w = db_writer(pool, &e);
    assert_true(db_begin(w, &e) && insert(w, "x"));
    for (int round = 0; round < 2; round++) {
        assert_true(db_exec(w, "SAVEPOINT entry", &e));
        assert_true(insert(w, "y") && insert(w, "x")); // the second fails, later
        if (round == 0) assert_false(db_exec(w, "RELEASE entry", &e));
        assert_true(db_exec(w, "ROLLBACK TO entry", &e));
    }
    assert_true(insert(w, "z") && db_commit(w, &e));
    db_return(pool, w);
    assert_int_equal(count_settings(pool), 2);
}

// ---- one writing order ----

struct second {
    struct db_pool *pool;
    atomic_bool inside;
    int64_t seen;
};

static void *write_second(void *arg) {
    struct second *s = arg;
    struct err own = {0};
    struct db *w = db_writer(s->pool, &own);
    if (w && db_begin(w, &own)) {
        struct db_stmt *q = db_prepare(w, "SELECT count(*) FROM settings", &own);
        if (q && db_next(q, &own) == DB_ROW) s->seen = db_int(q, 0);
        s->inside = true;
        db_done(q);
        db_commit(w, &own);
    }
    db_return(s->pool, w);
    return NULL;
}

static void of_two_processes_one_writes_at_a_time_and_sees_what_the_other_wrote(void **state) {
    (void)state;
    struct second s = {.pool = open_pool("b")};
    struct db *w = db_writer(pool, &e);
    pthread_t thread;
    assert_true(db_begin(w, &e));
    assert_int_equal(one(w, "SELECT count(*) FROM settings"), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_second, &s), 0);
    usleep(200 * 1000);
    assert_false(s.inside);
    struct db *side = db_side(s.pool, &e); // does not wait
    assert_true(db_begin(side, &e) && insert(side, "side") && db_commit(side, &e));
    db_return(s.pool, side);
    assert_true(insert(w, "writer") && db_commit(w, &e));
    db_return(pool, w);
    pthread_join(thread, NULL);
    assert_true(s.inside);
    assert_int_equal(s.seen, 2);
    db_pool_close(s.pool);
}

static void settings_of_the_server_change_neither_what_a_writer_sees_nor_what_it_writes(void **state) {
    (void)state;
    setenv("PGOPTIONS", "-c default_transaction_isolation=serializable -c standard_conforming_strings=off -c synchronous_commit=off", 1);
    struct db_pool *strict = open_pool("strict");
    of_two_processes_one_writes_at_a_time_and_sees_what_the_other_wrote(state); // "b" is such a one
    struct db *w = db_writer(strict, &e);
    assert_int_equal(one(w, "SELECT CASE WHEN current_setting('synchronous_commit') = 'on' THEN 1 ELSE 0 END"), 1);
    assert_int_equal(one(w, "SELECT length('\\\\')"), 2);
    db_return(strict, w);
    db_pool_close(strict);
    unsetenv("PGOPTIONS");
}

static void archives_in_two_schemas_do_not_wait_for_each_other(void **state) {
    (void)state;
    struct db_options first = options;
    options = engine_make(DB_POSTGRES);
    struct db_pool *other = open_pool("other");
    struct db *a = db_writer(pool, &e), *b = db_writer(other, &e);
    assert_true(db_begin(a, &e) && db_begin(b, &e));
    assert_int_equal(one(a, "SELECT 1") + one(b, "SELECT 1"), 2);
    db_return(pool, a);
    db_return(other, b);
    db_pool_close(other);
    engine_remove();
    options = first;
}

static void a_node_that_stalls_in_a_transaction_loses_it(void **state) {
    (void)state;
    struct second s = {.pool = open_pool("b")};
    struct db *w = db_writer(pool, &e);
    assert_true(db_begin(w, &e) && insert(w, "stalled") && db_exec(w, "SET idle_in_transaction_session_timeout = 300", &e)); // it has a long one
    write_second(&s);
    assert_true(s.inside);
    assert_false(db_commit(w, &e));
    assert_int_equal(e.kind, ERR_NET);
    db_return(pool, w);
    assert_int_equal(count_settings(pool), 0);
    db_pool_close(s.pool);
}

// ---- notifications and servers that do not answer ----

static void count_news(void *ctx) {
    atomic_fetch_add((atomic_int *)ctx, 1);
}

// Takes connections and says nothing. *port: where.
static int black_hole(int *port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 16) == 0 && getsockname(fd, (struct sockaddr *)&at, &n) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

// The address of the tests' server with another host before it.
static void address_behind(int port, char out[512]) {
    const char *url = options.url, *at = strchr(url, '@'), *host = at ? at + 1 : strstr(url, "://") + 3;
    snprintf(out, 512, "%.*s127.0.0.1:%d,%s", (int)(host - url), url, port, host);
}

static void a_server_that_takes_connections_and_says_nothing_is_given_up_in_time(void **state) {
    (void)state;
    char url[64];
    int port, fd = black_hole(&port);
    struct db_pool *p = NULL;
    snprintf(url, sizeof url, "postgresql://x@127.0.0.1:%d/x", port);
    int64_t start = clock_mono_ms();
    assert_false(db_pool_open(&(struct db_options){.url = url}, &p, &e));
    assert_int_equal(e.kind, ERR_NET);
    assert_true(clock_mono_ms() - start < 60 * 1000);
    close(fd);
}

static void one_of_several_that_says_nothing_keeps_nobody_from_the_others(void **state) {
    (void)state;
    char url[512];
    int port, fd = black_hole(&port);
    struct db_options o = options;
    struct db_pool *p = NULL;
    address_behind(port, url);
    o.url = url;
    if (!db_pool_open(&o, &p, &e)) fail_msg("%s", e.message);
    assert_int_equal(count_settings(p), 0);
    db_pool_close(p);
    close(fd);
}

struct waiting {
    struct db_pool *pool;
    _Atomic bool begun, ended;
    bool good;
    struct err why;
};

static void *wait_long(void *arg) {
    struct waiting *w = arg;
    struct db *d = db_side(w->pool, &w->why);
    w->begun = true;
    w->good = d && db_exec(d, "SELECT pg_sleep(60)", &w->why);
    db_return(w->pool, d);
    w->ended = true;
    return NULL;
}

static void whoever_waits_is_woken_when_the_process_ends(void **state) {
    (void)state;
    struct waiting w = {.pool = open_pool("c")};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, wait_long, &w), 0);
    while (!w.begun) usleep(1000);
    usleep(100 * 1000);
    assert_false(w.ended);
    int64_t start = clock_mono_ms();
    db_pool_hurry(w.pool);
    pthread_join(t, NULL);
    assert_false(w.good);
    assert_int_equal(w.why.kind, ERR_NET);
    assert_true(clock_mono_ms() - start < 40 * 1000); // of the statement's 50 s
    // what answers is still asked
    struct db *d = db_writer(w.pool, &e);
    if (!d || !db_begin(d, &e) || !insert(d, "last words") || !db_commit(d, &e)) fail_msg("%s", e.message);
    db_return(w.pool, d);
    db_pool_close(w.pool);
}

static void a_listener_that_hears_nothing_ends_at_once(void **state) {
    (void)state;
    atomic_int news = 0;
    struct db_listener *l = NULL;
    char url[512];
    int port, fd = black_hole(&port);
    struct db_options o = options;
    struct db_pool *p = NULL;
    address_behind(port, url);
    o.url = url;
    if (!db_pool_open(&o, &p, &e)) fail_msg("%s", e.message);
    assert_true(db_listen(p, "news", count_news, &news, &l, &e));
    usleep(100 * 1000); // it tries the first
    int64_t start = clock_mono_ms();
    db_unlisten(l);
    assert_true(clock_mono_ms() - start < 4000); // of 5 s
    db_pool_close(p);
    close(fd);
}

static bool grows(atomic_int *news, int from, int ms) {
    for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end; usleep(2000))
        if (*news > from) return true;
    return false;
}

static void news_come_with_the_commit_and_after_what_may_have_been_missed(void **state) {
    (void)state;
    atomic_int news = 0;
    struct db_listener *l = NULL;
    assert_true(db_listen(pool, "news", count_news, &news, &l, &e));
    assert_true(grows(&news, 0, 30000)); // at the start
    struct db *w = db_writer(pool, &e);
    bool early = true, soon = false; // it looks by itself, too, every 5 s: each must be so once
    for (int i = 0; i < 5 && (early || !soon); i++) {
        int before = news;
        assert_true(db_begin(w, &e) && db_notify(w, "news", &e) && insert(w, "x"));
        early &= grows(&news, before, 300);
        before = news;
        assert_true(db_commit(w, &e));
        soon |= grows(&news, before, 2000);
        db_exec(w, "DELETE FROM settings", &e);
    }
    assert_true(!early && soon);
    db_return(pool, w);
    int before = news;
    end_connections();
    assert_true(grows(&news, before, 30000)); // reconnected
    struct db *s = db_side(pool, &e);
    soon = false;
    for (int i = 0; i < 5 && !soon; i++) {
        before = news;
        assert_true(db_notify(s, "news", &e)); // without a transaction of its own
        soon = grows(&news, before, 2000);
    }
    assert_true(soon);
    db_return(pool, s);
    db_unlisten(l);
}

// ---- addresses ----

static void nothing_said_has_the_password(void **state) {
    (void)state;
    static const char *const urls[] = {"postgresql://u:hush-hush@127.0.0.1:1/x", "postgresql://u:hush-hush@[bad/x", "hosst=a password=hush-hush"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct db_pool *p = NULL;
        struct err why = {0};
        assert_false(db_pool_open(&(struct db_options){.url = urls[i]}, &p, &why));
        assert_int_equal(why.kind, i == 0 ? ERR_NET : ERR_USAGE);
        assert_null(strstr(why.message, "hush"));
    }
}

static void the_password_comes_from_a_file(void **state) {
    (void)state;
    char path[] = "/tmp/gantry-password-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "unneeded\n", 9), 9);
    close(fd);
    options.password_file = path;
    db_pool_close(open_pool("p"));
    unlink(path);
    struct db_pool *p = NULL;
    assert_false(db_pool_open(&options, &p, &e));
    assert_non_null(strstr(e.message, path));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, forget)
    const struct CMUnitTest tests[] = {
        TEST(connections_that_were_ended_while_idle_are_made_anew_unseen),
        TEST(one_that_is_lost_in_use_is_told_and_the_next_is_whole),
        TEST(a_transaction_whose_connection_is_lost_leaves_nothing),
        TEST(a_statement_has_a_deadline),
        TEST(a_failure_that_was_not_waited_for_is_told_by_what_waits),
        TEST(a_savepoint_takes_back_what_failed_behind_it),
        TEST(of_two_processes_one_writes_at_a_time_and_sees_what_the_other_wrote),
        TEST(settings_of_the_server_change_neither_what_a_writer_sees_nor_what_it_writes),
        TEST(archives_in_two_schemas_do_not_wait_for_each_other),
        TEST(a_node_that_stalls_in_a_transaction_loses_it),
        TEST(news_come_with_the_commit_and_after_what_may_have_been_missed),
        TEST(a_server_that_takes_connections_and_says_nothing_is_given_up_in_time),
        TEST(one_of_several_that_says_nothing_keeps_nobody_from_the_others),
        TEST(whoever_waits_is_woken_when_the_process_ends),
        TEST(a_listener_that_hears_nothing_ends_at_once),
        TEST(nothing_said_has_the_password),
        TEST(the_password_comes_from_a_file),
    };
    if (engine_there(DB_POSTGRES)) return cmocka_run_group_tests(tests, NULL, NULL);
    printf("SKIP no GANTRY_TEST_POSTGRES\n");
    return 77;
}
