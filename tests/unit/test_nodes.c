// Behaviour of nodes, leases and jobs: one at a time, taken over when it runs out, with effect once. With GANTRY_TEST_POSTGRES two archives share one
// schema; else both are the same one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/events.h"
#include "core/jobs.h"
#include "core/nodes.h"
#include "core/state.h"
#include "db/migrate.h"

struct cluster {
    const char *url; // of PostgreSQL; NULL: SQLite
    char dir[64], schema[48];
    struct archive *a, *b;
    struct arena arena;
    struct err err;
};

static struct archive *open_one(struct cluster *c, const char *node) {
    struct archive *ar = NULL;
    char dir[80];
    snprintf(dir, sizeof dir, "%s/%s", c->dir, c->url ? node : "archive");
    const struct archive_options o = {.dir = dir, .node = node, .database_url = c->url, .database_schema = c->url ? c->schema : NULL, .volume_bytes = 4 << 20};
    if (!archive_open(&o, &ar, &c->err)) fail_msg("%s", c->err.message);
    return ar;
}

static int setup(void **state) {
    struct cluster *c = calloc(1, sizeof *c);
    c->url = getenv("GANTRY_TEST_POSTGRES");
    snprintf(c->dir, sizeof c->dir, "%s/gantry-nodes-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(c->dir)) return -1;
    snprintf(c->schema, sizeof c->schema, "nodes_%ld_%lld", (long)getpid(), (long long)clock_mono_us());
    arena_init(&c->arena, 64 << 20);
    c->a = open_one(c, "a");
    c->b = c->url ? open_one(c, "b") : c->a;
    *state = c;
    return 0;
}

// One statement without rows, beside everything.
static void run_sql_by(struct archive *ar, const char *sql) {
    struct err e = {0};
    struct db *d = db_side(archive_db(ar), &e);
    struct db_stmt *s = d ? db_prepare(d, sql, &e) : NULL;
    if (!s || db_next(s, &e) != DB_END) fail_msg("%s: %s", sql, e.message);
    db_done(s);
    db_return(archive_db(ar), d);
}

static void run_sql(struct cluster *c, const char *sql) {
    run_sql_by(c->a, sql);
}

static int64_t number(struct cluster *c, const char *sql) {
    struct err e = {0};
    struct db *d = db_reader(archive_db(c->a), &e);
    struct db_stmt *s = d ? db_prepare(d, sql, &e) : NULL;
    if (!s || db_next(s, &e) != DB_ROW) fail_msg("%s: %s", sql, e.message);
    int64_t v = db_int(s, 0);
    db_done(s);
    db_return(archive_db(c->a), d);
    return v;
}

static int teardown(void **state) {
    struct cluster *c = *state;
    char command[128];
    if (c->url) {
        archive_close(c->b);
        snprintf(command, sizeof command, "DROP SCHEMA %s CASCADE", c->schema);
        struct db *d = db_side(archive_db(c->a), &c->err);
        if (!d || !db_exec(d, command, &c->err)) fprintf(stderr, "%s: %s\n", command, c->err.message);
        db_return(archive_db(c->a), d);
    }
    archive_close(c->a);
    snprintf(command, sizeof command, "rm -rf %s", c->dir);
    arena_deinit(&c->arena);
    free(c);
    return system(command);
}

// ---- leases ----

static bool take(struct cluster *c, struct archive *ar, const char *name, struct lease *l) {
    bool taken;
    if (!lease_take(ar, name, l, &taken, &c->err)) fail_msg("%s", c->err.message);
    return taken;
}

// Of a lease that has run out. Its holder's keeper may come between once in a while.
static bool take_over(struct cluster *c, struct archive *ar, const char *name, struct lease *l) {
    char sql[96];
    snprintf(sql, sizeof sql, "UPDATE leases SET until_ms = {now} - 1 WHERE name = '%s'", name);
    for (int i = 0; i < 20; i++) {
        run_sql(c, sql);
        if (take(c, ar, name, l)) return true;
    }
    return false;
}

static bool checks(struct cluster *c, struct archive *ar, const struct lease *l) {
    struct db *w = db_writer(archive_db(ar), &c->err);
    err_clear(&c->err);
    assert_true(w && db_begin(w, &c->err));
    bool ours = lease_check(w, l, &c->err);
    db_rollback(w);
    db_return(archive_db(ar), w);
    if (!ours) assert_int_equal(c->err.kind, ERR_CONFLICT);
    return ours;
}

static void one_node_at_a_time_has_a_lease(void **state) {
    struct cluster *c = *state;
    struct lease first = {0}, second = {0}, other = {0};
    assert_true(take(c, c->a, "sweep", &first));
    assert_true(lease_held(&first) && checks(c, c->a, &first));
    assert_false(take(c, c->b, "sweep", &second));
    assert_false(lease_held(&second));
    assert_true(take(c, c->b, "another thing", &other));
    lease_drop(c->a, &first);
    assert_false(lease_held(&first) || checks(c, c->a, &first));
    assert_true(take(c, c->b, "sweep", &second));
    assert_true(second.token > first.token);
    lease_drop(c->b, &second);
    lease_drop(c->b, &other);
}

static void what_a_former_holder_does_has_no_effect(void **state) {
    struct cluster *c = *state;
    struct lease late = {0}, now = {0};
    assert_true(take(c, c->a, "merge", &late));
    run_sql(c, "UPDATE leases SET until_ms = {now} - 1 WHERE name = 'merge'");
    assert_true(checks(c, c->a, &late)); // run out, but nobody has taken it: still its holder's, for as long again
    assert_true(take_over(c, c->b, "merge", &now));
    assert_false(checks(c, c->a, &late));
    assert_true(checks(c, c->b, &now));
    int64_t until = clock_mono_ms() + 60 * 1000;
    while (lease_held(&late) && clock_mono_ms() < until) usleep(20 * 1000);
    assert_false(lease_held(&late)); // its keeper noticed
    assert_true(lease_held(&now));
    lease_drop(c->a, &late); // takes nothing from who has it now
    assert_true(checks(c, c->b, &now));
    lease_drop(c->b, &now);
}

// ---- jobs ----

static void put(struct cluster *c, const char *subject, int64_t delay_ms) {
    struct db *d = db_side(archive_db(c->a), &c->err);
    if (!d || !db_begin(d, &c->err) || !job_put(d, "test", str_of(subject), delay_ms, &c->err) || !db_commit(d, &c->err)) fail_msg("%s", c->err.message);
    db_return(archive_db(c->a), d);
}

static bool take_job(struct cluster *c, struct archive *ar, struct job *j) {
    bool found;
    if (!job_take(ar, "test", j, &found, &c->err)) fail_msg("%s", c->err.message);
    return found;
}

static bool job_checks(struct cluster *c, struct archive *ar, const struct job *j) {
    struct db *w = db_writer(archive_db(ar), &c->err);
    err_clear(&c->err);
    assert_true(w && db_begin(w, &c->err));
    bool ours = job_check(w, j, &c->err);
    db_rollback(w);
    db_return(archive_db(ar), w);
    if (!ours) assert_int_equal(c->err.kind, ERR_CONFLICT);
    return ours;
}

static void a_job_is_taken_once_and_goes_when_it_is_done(void **state) {
    struct cluster *c = *state;
    struct job j, k;
    assert_false(take_job(c, c->a, &j));
    put(c, "later", 60 * 1000);
    put(c, "1.2.3", 0);
    put(c, "1.2.3", 0); // one and the same
    assert_int_equal(number(c, "SELECT count(*) FROM jobs"), 2);
    assert_true(take_job(c, c->a, &j));
    assert_string_equal(j.subject, "1.2.3");
    assert_int_equal(j.attempts, 1);
    assert_false(take_job(c, c->b, &k));
    assert_true(job_keep(c->a, &j, &c->err) && job_checks(c, c->a, &j));
    assert_true(job_done(c->a, &j, &c->err));
    assert_int_equal(number(c, "SELECT count(*) FROM jobs"), 1);
    run_sql(c, "DELETE FROM jobs");
}

static void what_is_put_while_it_is_done_is_done_again(void **state) {
    struct cluster *c = *state;
    struct job j;
    put(c, "again", 0);
    assert_true(take_job(c, c->a, &j));
    put(c, "again", 0);
    assert_true(job_done(c->a, &j, &c->err));
    assert_true(take_job(c, c->b, &j));
    assert_true(job_done(c->b, &j, &c->err));
    assert_false(take_job(c, c->a, &j));
}

static void a_job_whose_node_died_is_taken_over(void **state) {
    struct cluster *c = *state;
    struct job lost, j;
    put(c, "lost", 0);
    assert_true(take_job(c, c->a, &lost));
    run_sql(c, "UPDATE jobs SET until_ms = {now} - 1");
    assert_true(take_job(c, c->b, &j));
    assert_int_equal(j.attempts, 2);
    assert_false(job_checks(c, c->a, &lost));
    assert_true(job_checks(c, c->b, &j));
    assert_true(job_done(c->a, &lost, &c->err)); // changes nothing
    assert_int_equal(number(c, "SELECT count(*) FROM jobs"), 1);
    assert_true(job_done(c->b, &j, &c->err));
    assert_int_equal(number(c, "SELECT count(*) FROM jobs"), 0);
}

static void a_job_that_always_fails_is_kept_aside_and_told(void **state) {
    struct cluster *c = *state;
    struct job j = {0};
    struct err why = {0};
    struct str json;
    err_set(&why, ERR_NET, "test", "the \"peer\" is away");
    put(c, "hopeless", 0);
    for (int i = 1; i <= JOB_ATTEMPTS_MAX; i++) {
        assert_true(take_job(c, c->a, &j));
        assert_int_equal(j.attempts, i);
        assert_true(job_failed(c->a, &j, &why, &c->err));
        assert_false(take_job(c, c->b, &j)); // not at once
        run_sql(c, "UPDATE jobs SET due_ms = {now}");
    }
    assert_false(take_job(c, c->a, &j));
    struct event *list;
    unsigned n;
    assert_true(events_after(c->a, &c->arena, 0, 100, &list, &n, &c->err) && n > 0);
    assert_true(str_eqz(list[n - 1].type, "job.dead"));
    const struct json *told = json_read(&c->arena, list[n - 1].detail, 0, &c->err);
    assert_true(str_eqz(json_text(json_get(told, "trouble")), why.message));
    assert_true(jobs_dead_json(c->a, &c->arena, 10, &json, &c->err));
    assert_non_null(strstr(json.p, "hopeless"));
    assert_true(job_retry(c->a, number(c, "SELECT id FROM jobs"), &c->err));
    assert_true(take_job(c, c->b, &j));
    assert_int_equal(j.attempts, 1);
    assert_true(job_done(c->b, &j, &c->err));
    assert_false(job_retry(c->a, j.id, &c->err));
    assert_int_equal(c->err.kind, ERR_NOT_FOUND);
}

static void a_job_that_ends_every_node_is_not_taken_for_ever(void **state) {
    struct cluster *c = *state;
    struct job j;
    put(c, "poison", 0);
    for (int i = 0; i < JOB_ATTEMPTS_MAX; i++) {
        assert_true(take_job(c, c->a, &j));
        run_sql(c, "UPDATE jobs SET until_ms = 0");
    }
    assert_false(take_job(c, c->a, &j));
    assert_int_equal(number(c, "SELECT count(*) FROM jobs WHERE dead = 1"), 1);
    run_sql(c, "DELETE FROM jobs");
}

struct counted {
    _Atomic unsigned runs, refusals;
};

static bool count_run(void *ctx, const struct job *j, struct err *e) {
    struct counted *n = ctx;
    if (strcmp(j->subject, "refused") == 0 && n->refusals++ == 0) return err_set(e, ERR_BUSY, "test", "not yet");
    n->runs++;
    return true;
}

static void workers_of_two_nodes_do_each_job_once(void **state) {
    enum { JOBS = 40 };
    struct cluster *c = *state;
    struct counted n = {0};
    struct job_worker *first, *second;
    char subject[16];
    const struct job_kind kind = {.name = "test", .run = count_run, .ctx = &n};
    for (int i = 0; i < JOBS; i++) {
        snprintf(subject, sizeof subject, "1.2.%d", i);
        put(c, subject, 0);
    }
    assert_true(job_worker_start(c->a, &kind, &first, &c->err) && job_worker_start(c->b, &kind, &second, &c->err));
    int64_t until = clock_mono_ms() + 60 * 1000;
    while (number(c, "SELECT count(*) FROM jobs") > 0 && clock_mono_ms() < until) usleep(20 * 1000);
    job_worker_stop(first);
    job_worker_stop(second);
    assert_int_equal(number(c, "SELECT count(*) FROM jobs"), 0);
    assert_int_equal(n.runs, JOBS);
}

// ---- nodes ----

static struct node *join(struct cluster *c, struct archive *ar, const char *name) {
    struct node *n = NULL;
    const struct node_options o = {.name = name, .dicom = "127.0.0.1:11112", .http = "127.0.0.1:8080", .version = "1.2"};
    if (!node_join(ar, &o, &n, &c->err)) fail_msg("%s", c->err.message);
    return n;
}

static const struct json *status(struct cluster *c) {
    struct str json;
    if (!cluster_status_json(c->a, &c->arena, &json, &c->err)) fail_msg("%s", c->err.message);
    const struct json *v = json_read(&c->arena, json, 0, &c->err);
    if (!v) fail_msg("%s", c->err.message);
    return v;
}

static struct str state_of(struct cluster *c, const char *name) {
    const struct json *nodes = json_get(status(c), "nodes");
    for (const struct json *n = nodes->first; n; n = n->next)
        if (str_eqz(json_text(json_get(n, "name")), name)) return json_text(json_get(n, "state"));
    return STR_LIT("none");
}

static bool is_state(struct cluster *c, const char *name, const char *expected) {
    int64_t until = clock_mono_ms() + 60 * 1000;
    while (!str_eqz(state_of(c, name), expected) && clock_mono_ms() < until) usleep(10 * 1000);
    return str_eqz(state_of(c, name), expected);
}

// A busy machine may let the database's answer wait for longer than a node waits for it: it is asked again.
static void wait_ready(struct cluster *c, struct node *n, bool ready) {
    int64_t until = clock_mono_ms() + 60 * 1000;
    bool is;
    do {
        err_clear(&c->err);
        is = node_is_ready(n, &c->err);
        if (is != ready || c->err.kind == ERR_TIMEOUT) usleep(10 * 1000);
    } while ((is != ready || c->err.kind == ERR_TIMEOUT) && clock_mono_ms() < until);
    if (is != ready) fail_msg("%s", c->err.message);
}

static void a_node_is_ready_until_it_drains(void **state) {
    struct cluster *c = *state;
    struct err why = {0};
    unsigned living;
    char name[NODE_NAME_MAX];
    struct node *n = join(c, c->a, "a");
    assert_false(node_is_ready(n, &why));
    assert_string_equal(why.message, "starting");
    node_set_state(n, NODE_READY);
    wait_ready(c, n, true);
    assert_true(is_state(c, "a", "ready"));
    assert_true(cluster_living(c->b, &living, name, &c->err));
    assert_int_equal(living, 1);
    assert_string_equal(name, "a");
    node_set_state(n, NODE_DRAINING);
    assert_false(node_is_ready(n, &why));
    struct buf b;
    buf_init(&b, 4096);
    const struct json *told = NULL;
    for (int i = 0; i < 100 && (!told || json_get(told, "reasons")->count != 1); i++) {
        buf_clear(&b);
        assert_false(node_ready_json(n, true, &b));
        told = json_read(&c->arena, buf_str(&b), 0, &c->err);
    }
    assert_true(told && json_get(told, "reasons")->count == 1 && str_eqz(json_text(json_get(told, "state")), "draining"));
    buf_deinit(&b);
    assert_true(is_state(c, "a", "draining"));
    node_leave(n);
    assert_true(is_state(c, "a", "stopped"));
    assert_true(cluster_living(c->b, &living, name, &c->err) && living == 0);
}

static void a_node_that_leaves_or_starts_again_gives_back_what_it_had(void **state) {
    struct cluster *c = *state;
    struct job j, k;
    struct lease l = {0}, m = {0};
    put(c, "held", 0);
    assert_true(take_job(c, c->a, &j));
    assert_true(take(c, c->a, "held", &l));
    struct node *n = join(c, c->a, "a");
    assert_true(take_job(c, c->b, &k)); // the same name and directory: whoever had them before is no more
    assert_true(take(c, c->b, "held", &m));
    if (!c->url) { // both are "a" there: given back again
        node_leave(n);
        run_sql(c, "DELETE FROM jobs");
        lease_drop(c->a, &l);
        lease_drop(c->b, &m);
        return;
    }
    lease_drop(c->a, &l);
    lease_drop(c->b, &m);
    assert_true(job_done(c->b, &k, &c->err));
    node_leave(n);
}

static void a_name_belongs_to_one_living_node(void **state) {
    struct cluster *c = *state;
    if (!c->url) return; // one process at a time has the directory
    struct node *n = join(c, c->a, "same"), *other = NULL;
    const struct node_options o = {.name = "same", .dicom = "", .http = "", .version = "1.2"};
    assert_false(node_join(c->b, &o, &other, &c->err));
    assert_int_equal(c->err.kind, ERR_CONFLICT);
    node_leave(n);
    n = join(c, c->b, "same"); // free again
    node_leave(n);
}

static void dead_nodes_and_jobs_are_warned_of(void **state) {
    struct cluster *c = *state;
    struct node *n = join(c, c->a, "a");
    node_set_state(n, NODE_READY);
    assert_int_equal(json_get(status(c), "warnings")->count, 0);
    run_sql(c, "INSERT INTO nodes (name, identity, state, version, dicom, http, started_ms, seen_ms, figures) "
               "SELECT 'gone', 'x', 'ready', '1', '', '', started_ms, seen_ms - 60000, figures FROM nodes WHERE name = 'a'");
    run_sql(c, "INSERT INTO jobs (kind, subject, due_ms, dead) VALUES ('merge', 'x', 0, 1)");
    assert_true(str_eqz(state_of(c, "gone"), "dead"));
    assert_int_equal(json_get(status(c), "warnings")->count, 2);
    assert_false(cluster_forget(c->b, STR_LIT("a"), &c->err));
    assert_int_equal(c->err.kind, ERR_CONFLICT);
    assert_true(cluster_forget(c->b, STR_LIT("gone"), &c->err));
    assert_false(cluster_forget(c->b, STR_LIT("gone"), &c->err));
    assert_int_equal(c->err.kind, ERR_NOT_FOUND);
    run_sql(c, "DELETE FROM jobs");
    node_leave(n);
}

static void a_forgotten_node_that_lives_is_there_again(void **state) {
    struct cluster *c = *state;
    struct node *n = join(c, c->a, "a");
    node_set_state(n, NODE_READY);
    assert_true(is_state(c, "a", "ready"));
    run_sql(c, "DELETE FROM nodes WHERE name = 'a'");
    node_set_doors(n, "127.0.0.1:1", "127.0.0.1:2");
    assert_true(is_state(c, "a", "ready"));
    node_leave(n);
}

static void one_schema_version_ahead_is_worked_with_and_two_are_not(void **state) {
    struct cluster *c = *state;
    char sql[128];
    struct node *n = join(c, c->a, "a");
    node_set_state(n, NODE_READY);
    for (unsigned ahead = 1; ahead <= 2; ahead++) {
        snprintf(sql, sizeof sql, "INSERT INTO migrations VALUES (%u, 'of a newer program', 0)", DB_MIGRATION_COUNT + ahead);
        run_sql(c, sql);
        usleep(1100 * 1000); // beyond what was answered a moment ago
        wait_ready(c, n, ahead == 1);
    }
    assert_non_null(strstr(c->err.message, "upgrade this node"));
    snprintf(sql, sizeof sql, "DELETE FROM migrations WHERE number > %u", DB_MIGRATION_COUNT);
    run_sql(c, sql);
    node_leave(n);
}

static void nobody_joins_while_a_command_works_alone(void **state) {
    struct cluster *c = *state;
    struct lease alone = {0};
    struct node *n = NULL;
    const struct node_options o = {.name = "a", .dicom = "", .http = "", .version = "1.2"};
    assert_true(take(c, c->b, LEASE_ALONE, &alone));
    assert_false(node_join(c->a, &o, &n, &c->err));
    assert_int_equal(c->err.kind, ERR_BUSY);
    lease_drop(c->b, &alone);
    node_leave(join(c, c->a, "a"));
}

static bool append(struct cluster *c, struct archive *ar) {
    struct event ev = {.type = STR_LIT("test.event"), .actor = STR_LIT("test"), .detail = STR_LIT("{}")};
    err_clear(&c->err);
    struct db *w = db_writer(archive_db(ar), &c->err);
    bool ok = w && archive_begin(ar, w, &c->err) && event_append(ar, w, &ev, &c->err) && db_commit(w, &c->err);
    events_settle(ar, ok);
    db_return(archive_db(ar), w);
    return ok;
}

// A beat that had begun before it was so is heard all the same: until one has begun after it, and was refused.
static void not_heard_for_long(struct cluster *c, struct node *n) {
    bool refused = false;
    for (int64_t until = clock_mono_ms() + 60 * 1000; !refused && clock_mono_ms() < until; usleep(10 * 1000)) {
        c->a->heard_ms = 1;
        err_clear(&c->err);
        refused = !node_is_ready(n, &c->err) && strstr(c->err.message, "works on this archive alone");
    }
    assert_true(refused);
}

// It stood still, the others took it for dead, and a command began to work alone.
static void a_node_that_comes_back_beside_a_lone_command_writes_nothing(void **state) {
    struct cluster *c = *state;
    if (!c->url) return; // one process at a time has the directory
    struct lease alone = {0};
    struct job j;
    bool found;
    struct node *n = join(c, c->a, "a");
    node_set_state(n, NODE_READY);
    wait_ready(c, n, true);
    assert_true(append(c, c->a));
    put(c, "waiting", 0);
    assert_true(take(c, c->b, LEASE_ALONE, &alone));
    not_heard_for_long(c, n);
    run_sql_by(c->b, "UPDATE nodes SET seen_ms = 7 WHERE name = 'a'");
    assert_false(append(c, c->a));
    assert_int_equal(c->err.kind, ERR_BUSY);
    assert_true(err_class_of(c->err.kind)->retry);
    assert_false(job_take(c->a, "test", &j, &found, &c->err));
    wait_ready(c, n, false);
    assert_non_null(strstr(c->err.message, "works on this archive alone"));
    assert_int_equal(number(c, "SELECT seen_ms FROM nodes WHERE name = 'a'"), 7);
    assert_true(append(c, c->b)); // who works alone does
    lease_drop(c->b, &alone);
    wait_ready(c, n, true);
    assert_true(append(c, c->a));
    node_leave(n);
    run_sql(c, "DELETE FROM jobs");
}

// What a process had begun to write before anybody worked alone counts before anything is done alone.
static void a_command_works_alone_when_nobody_lives_and_nothing_is_being_written(void **state) {
    struct cluster *c = *state;
    if (!c->url) return;
    struct lease alone = {0};
    struct node *n = join(c, c->a, "a");
    assert_false(lease_take_alone(c->b, &alone, &c->err));
    assert_int_equal(c->err.kind, ERR_BUSY);
    assert_true(append(c, c->a)); // nothing is left of the attempt
    node_leave(n);
    err_clear(&c->err);
    if (!lease_take_alone(c->b, &alone, &c->err)) fail_msg("%s", c->err.message);
    assert_false(append(c, c->a));
    lease_drop(c->b, &alone);
    assert_true(append(c, c->a));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_node_at_a_time_has_a_lease),
        cmocka_unit_test(what_a_former_holder_does_has_no_effect),
        cmocka_unit_test(a_job_is_taken_once_and_goes_when_it_is_done),
        cmocka_unit_test(what_is_put_while_it_is_done_is_done_again),
        cmocka_unit_test(a_job_whose_node_died_is_taken_over),
        cmocka_unit_test(a_job_that_always_fails_is_kept_aside_and_told),
        cmocka_unit_test(a_job_that_ends_every_node_is_not_taken_for_ever),
        cmocka_unit_test(workers_of_two_nodes_do_each_job_once),
        cmocka_unit_test(a_node_is_ready_until_it_drains),
        cmocka_unit_test(a_node_that_leaves_or_starts_again_gives_back_what_it_had),
        cmocka_unit_test(a_name_belongs_to_one_living_node),
        cmocka_unit_test(dead_nodes_and_jobs_are_warned_of),
        cmocka_unit_test(a_forgotten_node_that_lives_is_there_again),
        cmocka_unit_test(one_schema_version_ahead_is_worked_with_and_two_are_not),
        cmocka_unit_test(nobody_joins_while_a_command_works_alone),
        cmocka_unit_test(a_node_that_comes_back_beside_a_lone_command_writes_nothing),
        cmocka_unit_test(a_command_works_alone_when_nobody_lives_and_nothing_is_being_written),
    };
    return cmocka_run_group_tests_name("nodes", tests, setup, teardown);
}
