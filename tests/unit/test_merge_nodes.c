// Small volumes of two nodes over one index and one bucket are built into large ones, whatever comes between.
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
#include "core/batches.h"
#include "core/hold.h"
#include "core/index.h"
#include "core/keeper.h"
#include "core/migrate.h"
#include "core/service.h"
#include "core_fixture.h"
#include "fake_bucket.h"

enum { A, B, NODES, PIXELS = 20000 };
#define DAY_MS (24LL * 3600 * 1000)

struct cluster {
    struct fixture *at[NODES];
    struct fake_bucket bucket;
    struct vol_remote remote;
    unsigned statement_ms; // 0: default
    // Called once by the next put, when the volume is in the bucket and its commit is still to come.
    void (*between)(struct cluster *c, uint32_t volume);
    bool (*put)(void *ctx, const char *key, const struct s3_body *body, bool create, struct err *e);
};
static struct cluster *cluster;

static bool put_and_act(void *ctx, const char *key, const struct s3_body *body, bool create, struct err *e) {
    void (*between)(struct cluster * c, uint32_t volume) = cluster->between;
    if (!cluster->put(ctx, key, body, create, e)) return false;
    const char *digits = strrchr(key, 'v');
    cluster->between = NULL;
    if (between) between(cluster, (uint32_t)strtoul(digits + 1, NULL, 10));
    return true;
}

static void open_node(struct cluster *c, int i) {
    struct err e = {0};
    char name[8];
    struct fixture *f = c->at[i];
    snprintf(name, sizeof name, "n%d", i);
    struct archive_options o = fixture_options(f);
    o.remote = &c->remote;
    o.node = name;
    o.database_statement_ms = c->statement_ms;
    c->bucket.cancelled = false; // by who had it before
    if (!archive_open(&o, &f->ar, &e)) fail_msg("%s", e.message);
}

static int setup(void **state) {
    struct cluster *c = calloc(1, sizeof *c);
    fake_bucket_init(&c->bucket);
    c->put = c->bucket.ops.put;
    c->bucket.ops.put = put_and_act;
    c->remote = (struct vol_remote){.prefix = "", .small_bytes = 8 << 20, .bucket = &c->bucket.ops};
    for (int i = 0; i < NODES; i++) {
        struct fixture *f = c->at[i] = calloc(1, sizeof *f);
        snprintf(f->dir, sizeof f->dir, "%s/gantry-merge-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(f->dir)) return -1;
        arena_init(&f->arena, 256 << 20);
        buf_init(&f->object, 64 << 20);
    }
    postgres_new_schema(c->at[A]->schema);
    memcpy(c->at[B]->schema, c->at[A]->schema, sizeof c->at[B]->schema);
    *state = cluster = c;
    for (int i = 0; i < NODES; i++) open_node(c, i);
    return 0;
}

static int teardown(void **state) {
    struct cluster *c = *state;
    char command[128];
    for (int i = 0; i < NODES; i++) fixture_close(c->at[i]);
    postgres_drop_schema(c->at[A]->schema);
    for (int i = 0; i < NODES; i++) {
        struct fixture *f = c->at[i];
        arena_deinit(&f->arena);
        buf_deinit(&f->object);
        snprintf(command, sizeof command, "rm -rf %s", f->dir);
        if (system(command) != 0) return -1;
        free(f);
    }
    fake_bucket_deinit(&c->bucket);
    free(c);
    return 0;
}

// ---- doing ----

static struct sample sample_of(int study, int i, char uids[3][64]) {
    snprintf(uids[0], 64, "1.2.%d", study);
    snprintf(uids[1], 64, "1.2.%d.1", study);
    snprintf(uids[2], 64, "1.2.%d.1.%d", study, i);
    return (struct sample){.study = uids[0], .series = uids[1], .sop = uids[2], .number = i, .pixel_bytes = PIXELS, .fill = (unsigned)i};
}

static void store(struct cluster *c, int node, int study, int from, int to) {
    char uids[3][64];
    for (int i = from; i < to; i++) {
        struct sample s = sample_of(study, i, uids);
        store_sample(c->at[node], &s, INGEST_STORED);
    }
}

// Of three studies, their objects mixed, from both nodes.
static void fill(struct cluster *c) {
    for (int i = 0; i < 12; i++)
        for (int study = 1; study <= 3; study++) store(c, i % NODES, study, i, i + 1);
}

static void delete_study(struct cluster *c, int node, const char *study) {
    struct err e = {0};
    uint64_t count;
    if (!archive_delete(c->at[node]->ar, &TESTER, str_of(study), STR_LIT(""), STR_LIT(""), STR_LIT("x"), &count, &e)) fail_msg("%s", e.message);
}

static void sql(struct cluster *c, const char *text) {
    struct err e = {0};
    struct db *d = db_side(archive_db(c->at[B]->ar), &e);
    if (!d || !db_exec(d, text, &e)) fail_msg("%s", e.message);
    db_return(archive_db(c->at[B]->ar), d);
}

// All that is small is merged, however young.
static const struct merge_options SOON = {.quiet_ms = 1, .age_ms = 1, .removed_ms = 1, .removed_bucket_ms = 1, .tombstone_ms = 1, .orphan_ms = 1};

static bool run_merges(struct cluster *c, int node, struct merge_report *all, struct err *e) {
    struct merge_report one;
    bool done = true, ok = true;
    while (ok && done) {
        ok = batch_run_one(c->at[node]->ar, &SOON, MERGE_JOB, &done, &one, e);
        if (!ok || !done) continue;
        all->volumes_in += one.volumes_in, all->volumes_out += one.volumes_out, all->entries += one.entries, all->left += one.left;
    }
    return ok;
}

static struct merge_report merge(struct cluster *c, int node) {
    struct err e = {0};
    struct merge_report all = {0};
    unsigned batches;
    usleep(5000);
    if (!merge_plan(c->at[node]->ar, &SOON, &batches, &e) || !run_merges(c, node, &all, &e)) fail_msg("%s", e.message);
    return all;
}

static unsigned reap(struct cluster *c, int node) {
    struct err e = {0};
    unsigned removed;
    uint64_t bytes;
    usleep(5000);
    if (!reap_volumes(c->at[node]->ar, &SOON, false, &removed, &bytes, &e)) fail_msg("%s", e.message);
    return removed;
}

static unsigned adopt(struct cluster *c, int node) {
    struct err e = {0};
    unsigned found;
    usleep(5000);
    if (!orphans_find(c->at[node]->ar, &SOON, &found, &e)) fail_msg("%s", e.message);
    return found;
}

// ---- seeing ----

static void expect_read(struct fixture *f, const struct instance_list *list) {
    struct err e = {0};
    for (size_t i = 0; i < list->count; i++) {
        char *p = arena_alloc(&f->arena, list->refs[i].loc.length, &e);
        if (!p || !retrieve_read(f->ar, &list->refs[i], 0, p, list->refs[i].loc.length, &e) || !retrieve_verify(f->ar, &list->refs[i], &e))
            fail_msg("%s", e.message);
    }
}

static void expect(struct cluster *c, size_t one, size_t two, size_t three) {
    const size_t counts[] = {one, two, three};
    for (int node = 0; node < NODES; node++) {
        for (int study = 1; study <= 3; study++) {
            char uid[32];
            snprintf(uid, sizeof uid, "1.2.%d", study);
            struct instance_list list = list_study(c->at[node], uid);
            assert_int_equal(list.count, counts[study - 1]);
            expect_read(c->at[node], &list);
        }
    }
    // rows and volumes name each other
    static const char *const none[] = {
        "SELECT count(*) FROM instances i WHERE NOT EXISTS (SELECT 1 FROM volumes WHERE volume = i.volume AND removed_ms IS NULL)",
        "SELECT count(*) FROM instances i WHERE EXISTS (SELECT 1 FROM dead d WHERE d.volume = i.volume AND d.\"offset\" = i.\"offset\")",
        "SELECT count(*) FROM records r WHERE NOT EXISTS (SELECT 1 FROM volumes WHERE volume = r.volume AND removed_ms IS NULL)",
        "SELECT count(*) FROM volume_pieces p WHERE NOT EXISTS (SELECT 1 FROM volumes WHERE volume = p.volume)",
        "SELECT count(*) FROM figures WHERE name = 'instances' AND value <> (SELECT count(*) FROM instances)",
    };
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++)
        if (count_rows(c->at[A], none[i]) != 0) fail_msg("%s", none[i]);
}

// From the bucket and what the index kept alone, as a rebuilt index has them: the index is lost but for the small volumes.
static void rebuild(struct cluster *c) {
    struct err e = {0};
    uint64_t count;
    sql(c,
        "DELETE FROM instances; DELETE FROM conflicts; DELETE FROM quarantine; DELETE FROM records; DELETE FROM dead; DELETE FROM graves; "
        "DELETE FROM series; DELETE FROM studies; DELETE FROM patients; DELETE FROM instance_parts; DELETE FROM header_bases; DELETE FROM study_keys; "
        "DELETE FROM study_months; DELETE FROM moves; DELETE FROM jobs; DELETE FROM holds; UPDATE figures SET value = 0; DELETE FROM volumes WHERE place = 1; "
        "UPDATE volumes SET indexed_end = 0, finished = 0, batch = 0, removed_ms = NULL");
    for (int i = 0; i < NODES; i++) {
        fixture_close(c->at[i]);
        open_node(c, i);
    }
    struct archive *ar = c->at[A]->ar;
    if (!index_collect_tombstones(ar, &e)) fail_msg("%s", e.message);
    adopt(c, A); // those of the bucket get their rows
    if (!index_replay(ar, NULL, NULL, &count, &e)) fail_msg("%s", e.message);
    fixture_close(c->at[B]);
    open_node(c, B);
}

// ---- behaviour ----

static void small_volumes_become_one_of_whole_series(void **state) {
    struct cluster *c = *state;
    fill(c);
    assert_int_equal(c->bucket.puts, 0); // all small: in the index
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volumes WHERE place = 2"), 36);
    struct instance_list held = list_study(c->at[B], "1.2.2");
    struct merge_report r = merge(c, A);
    assert_int_equal(r.volumes_in, 36);
    assert_int_equal(r.volumes_out, 1);
    assert_int_equal(r.entries, 36);
    assert_int_equal(c->bucket.puts, 1);
    expect(c, 12, 12, 12);
    // of each series the objects lie one after the other
    assert_int_equal(count_rows(c->at[A],
                                "SELECT count(*) FROM instances a JOIN instances b ON b.volume = a.volume AND b.\"offset\" > a.\"offset\" AND b.series = "
                                "a.series AND coalesce(b.number, 0) < coalesce(a.number, 0)"),
                     0);
    expect_read(c->at[B], &held);
    assert_int_equal(reap(c, B), 36);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volume_pieces"), 0);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM dead"), 0);
    expect_read(c->at[B], &held);
    expect(c, 12, 12, 12);
    assert_int_equal(merge(c, B).volumes_in, 0); // and that is that
    rebuild(c);
    expect(c, 12, 12, 12);
}

static void a_study_that_is_still_coming_waits(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    unsigned batches;
    const struct merge_options later = {.quiet_ms = DAY_MS, .age_ms = 2 * DAY_MS};
    fill(c);
    if (!merge_plan(c->at[A]->ar, &later, &batches, &e)) fail_msg("%s", e.message);
    assert_int_equal(batches, 0);
    // quiet, and enough for a volume
    sql(c, "UPDATE studies SET changed_ms = changed_ms - 172800001 WHERE study_uid = '1.2.1'; UPDATE volumes SET created_ms = created_ms - 1");
    const struct merge_options small = {.quiet_ms = DAY_MS, .age_ms = 2 * DAY_MS, .target_bytes = 100000};
    if (!merge_plan(c->at[A]->ar, &small, &batches, &e)) fail_msg("%s", e.message);
    assert_int_equal(batches, 1); // a study is not cut by it
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volumes WHERE batch > 0"), 12);
    // the index keeps more than it should: whatever is there
    const struct merge_options full = {.quiet_ms = DAY_MS, .age_ms = 2 * DAY_MS, .index_bytes_max = 1000000};
    if (!merge_plan(c->at[A]->ar, &full, &batches, &e)) fail_msg("%s", e.message);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volumes WHERE batch = 0"), 0);
}

static void delete_on_the_other(struct cluster *c, uint32_t volume) {
    (void)volume;
    delete_study(c, B, "1.2.2");
}

static void what_is_deleted_by_another_node_while_it_is_copied_is_deleted(void **state) {
    struct cluster *c = *state;
    fill(c);
    c->between = delete_on_the_other;
    merge(c, A);
    assert_null(c->between);
    expect(c, 12, 0, 12);
    rebuild(c);
    expect(c, 12, 0, 12);
    merge(c, B);
    reap(c, B);
    rebuild(c);
    expect(c, 12, 0, 12);
}

static void a_tombstone_stays_while_a_copy_that_it_does_not_name_lies_somewhere(void **state) {
    struct cluster *c = *state;
    fill(c);
    c->between = delete_on_the_other;
    merge(c, A);
    assert_true(reap(c, A) > 0); // all that the tombstone names
    merge(c, B);
    reap(c, B);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM records"), 1);
    rebuild(c);
    expect(c, 12, 0, 12);
}

static void empty_caches(struct cluster *c) {
    char command[128];
    for (int i = 0; i < NODES; i++) {
        fixture_close(c->at[i]);
        snprintf(command, sizeof command, "rm -rf %s/cache", c->at[i]->dir);
        assert_int_equal(system(command), 0);
    }
    for (int i = 0; i < NODES; i++) open_node(c, i);
}

static void a_volume_that_cannot_be_read_keeps_no_other_back(void **state) {
    static const enum err_kind kinds[] = {ERR_FORBIDDEN, ERR_PEER, ERR_NOT_FOUND};
    struct cluster *c = *state;
    c->remote.small_bytes = 0; // each group is put
    empty_caches(c);
    fill(c);
    empty_caches(c);
    for (int i = 0; i < 3; i++) c->bucket.objects[5 + 10 * i].refusal = (int)kinds[i];
    struct merge_report r = merge(c, A);
    assert_int_equal(r.left, 3);
    assert_int_equal(r.entries, 33);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM jobs"), 0);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM events WHERE type = 'store.alarm'"), 3);
    assert_int_equal(merge(c, B).volumes_in, 0); // nor is it tried for ever
    for (int i = 0; i < 3; i++) c->bucket.objects[5 + 10 * i].refusal = 0;
    adopt(c, B);
    expect(c, 12, 12, 12);
}

// B takes the job over, as when A's lease ran out, and is done before A is.
static void merge_on_the_other(struct cluster *c, uint32_t volume) {
    struct err e = {0};
    struct merge_report r = {0};
    (void)volume;
    sql(c, "UPDATE jobs SET until_ms = 0 WHERE kind = 'merge'");
    if (!run_merges(c, B, &r, &e)) fail_msg("%s", e.message);
    assert_int_equal(r.volumes_in, 36);
}

static void a_batch_that_two_nodes_work_on_counts_once(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct merge_report r = {0};
    unsigned batches;
    fill(c);
    usleep(5000);
    c->between = merge_on_the_other;
    assert_true(merge_plan(c->at[A]->ar, &SOON, &batches, &e));
    assert_false(run_merges(c, A, &r, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    expect(c, 12, 12, 12);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volumes WHERE place = 1"), 1);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM moves"), 0);
    assert_int_equal(adopt(c, B), 0); // what came to nothing was taken away again
    sql(c, "INSERT INTO moves (to_volume, to_offset, volume, \"offset\", length, sop_instance_uid, batch) VALUES (9, 9, 9, 9, 9, '', 1)"); // A was later yet
    reap(c, A);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM moves"), 0);
    rebuild(c);
    expect(c, 12, 12, 12);
}

// The connection breaks while the database commits: whether it does is not known.
static void a_build_of_which_nobody_knows_whether_it_counts_is_not_taken_away(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct merge_report r = {0};
    unsigned batches;
    fill(c);
    usleep(5000);
    assert_true(merge_plan(c->at[A]->ar, &SOON, &batches, &e));
    sql(c, "CREATE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'");
    sql(c, "CREATE CONSTRAINT TRIGGER ends AFTER INSERT ON volumes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION end_it()");
    assert_false(run_merges(c, A, &r, &e));
    assert_int_equal(e.kind, ERR_NET);
    assert_int_equal(c->bucket.removes, 0);
    sql(c, "DROP TRIGGER ends ON volumes");
    expect(c, 12, 12, 12);
    assert_int_equal(adopt(c, B), 1); // it did not
    expect(c, 12, 12, 12);
    reap(c, B);
    assert_int_equal(c->bucket.removes, 1);
    expect(c, 12, 12, 12);
}

// The node dies between its put and its transaction: nothing of it is heard again.
static void lose_the_job(struct cluster *c, uint32_t volume) {
    (void)volume;
    sql(c, "UPDATE jobs SET token = token + 1 WHERE kind = 'merge'");
    c->bucket.silent = true; // not even what it did can be taken back
}

static void a_build_that_never_counted_goes_again(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct merge_report r = {0};
    unsigned batches;
    fill(c);
    usleep(5000);
    c->between = lose_the_job;
    assert_true(merge_plan(c->at[A]->ar, &SOON, &batches, &e));
    assert_false(run_merges(c, A, &r, &e));
    c->bucket.silent = false;
    fixture_close(c->at[A]);
    c->bucket.cancelled = false;
    open_node(c, A);
    delete_study(c, B, "1.2.2"); // names none of its places
    assert_int_equal(adopt(c, B), 1);
    expect(c, 12, 0, 12);
    assert_int_equal(count_rows(c->at[B], "SELECT count(*) FROM volumes WHERE place = 1 AND removed_ms IS NOT NULL"), 1);
    rebuild(c);
    expect(c, 12, 0, 12);
    merge(c, B);
    reap(c, B);
    expect(c, 12, 0, 12);
    assert_int_equal(count_rows(c->at[B], "SELECT count(*) FROM moves"), 0);
}

static void fail_the_commit(struct cluster *c, uint32_t volume) {
    char text[128];
    snprintf(text, sizeof text, "INSERT INTO volumes (volume, indexed_end) VALUES (%u, 0)", volume);
    sql(c, text);
}

static void a_volume_of_the_bucket_that_nobody_knows_is_indexed(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct ingest_result r;
    char uids[3][64];
    fixture_close(c->at[A]);
    c->remote.small_bytes = 0; // each group is put
    open_node(c, A);
    struct sample s = sample_of(1, 1, uids);
    make_object(c->at[A], &s);
    c->between = fail_the_commit;
    assert_false(ingest_object(c->at[A], &r, &e));
    assert_true(err_class_of(e.kind)->retry);
    sql(c, "DELETE FROM volumes WHERE indexed_end = 0");
    assert_int_equal(list_study(c->at[B], "1.2.1").count, 0);
    assert_int_equal(adopt(c, B), 1);
    assert_int_equal(adopt(c, A), 0);
    expect(c, 1, 0, 0);
    // its sender sends again
    e = (struct err){0};
    assert_true(ingest_object(c->at[A], &r, &e));
    assert_int_equal(r.outcome, INGEST_KNOWN);
    expect(c, 1, 0, 0);
}

// Each read of the bucket asks whether the other node may write.
static struct {
    bool (*get)(void *ctx, const char *key, uint64_t at, void *p, size_t n, struct err *e);
    unsigned gets, kept_waiting;
} turns;

static bool get_and_write(void *ctx, const char *key, uint64_t at, void *p, size_t n, struct err *e) {
    struct db_pool *pool = archive_db(cluster->at[A]->ar);
    struct db *w = db_writer(pool, NULL);
    turns.gets++;
    turns.kept_waiting += !w || !db_begin(w, NULL) || !db_commit(w, NULL);
    db_return(pool, w);
    return turns.get(ctx, key, at, p, n, e);
}

// Objects whose group was put and not committed, and the same ones as they came again by another way.
static void put_without_commit(struct cluster *c, int from, int to) {
    char uids[3][64];
    for (int i = from; i < to; i++) {
        struct err e = {0};
        struct ingest_result r;
        struct sample s = sample_of(1, i, uids);
        make_object(c->at[A], &s);
        c->at[A]->object.p[0] ^= 1; // of its preamble
        c->between = fail_the_commit;
        assert_false(ingest_object(c->at[A], &r, &e));
    }
    sql(c, "DELETE FROM volumes WHERE indexed_end = 0");
}

static void nobody_waits_for_his_turn_while_a_found_volume_is_read(void **state) {
    struct cluster *c = *state;
    for (int i = 0; i < NODES; i++) fixture_close(c->at[i]);
    c->remote.small_bytes = 0;
    c->statement_ms = 8000; // what is kept waiting fails after it
    for (int i = 0; i < NODES; i++) open_node(c, i);
    put_without_commit(c, 0, 4);
    store(c, A, 1, 0, 2); // of these what is kept must be read to be compared
    turns.get = c->bucket.ops.get;
    turns.gets = turns.kept_waiting = 0;
    fixture_close(c->at[B]);
    c->bucket.ops.get = get_and_write;
    open_node(c, B);
    assert_int_equal(adopt(c, B), 4);
    assert_true(turns.gets >= 6);
    assert_int_equal(turns.kept_waiting, 0);
    expect(c, 4, 0, 0);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM conflicts"), 0);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM dead WHERE why = 'duplicate'"), 2);
}

// Of the next put: its sender dies, and so does the node that has found it, before it was looked into.
static void claim_and_die(struct cluster *c, uint32_t volume) {
    char text[256];
    snprintf(text, sizeof text, "INSERT INTO volumes (volume, indexed_end, place, created_ms) VALUES (%u, 0, 1, 1)", volume);
    sql(c, text);
}

static void a_volume_that_is_not_indexed_to_its_end_is_not_merged_away(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct ingest_result r;
    char uids[3][64];
    fixture_close(c->at[A]);
    c->remote.small_bytes = 0;
    open_node(c, A);
    struct sample s = sample_of(1, 1, uids);
    make_object(c->at[A], &s);
    c->between = claim_and_die;
    assert_false(ingest_object(c->at[A], &r, &e));
    merge(c, A);
    reap(c, A);
    adopt(c, B);
    expect(c, 1, 0, 0);
    assert_int_equal(merge(c, B).volumes_in, 1);
    expect(c, 1, 0, 0);
}

static void adopt_on_the_other(struct cluster *c, uint32_t volume) {
    (void)volume;
    assert_int_equal(adopt(c, B), 1);
}

static void a_put_that_was_only_slow_is_not_indexed_twice(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct ingest_result r;
    char uids[3][64];
    fixture_close(c->at[A]);
    c->remote.small_bytes = 0;
    open_node(c, A);
    struct sample s = sample_of(1, 1, uids);
    make_object(c->at[A], &s);
    c->between = adopt_on_the_other;
    assert_false(ingest_object(c->at[A], &r, &e));
    assert_true(err_class_of(e.kind)->retry);
    expect(c, 1, 0, 0);
    e = (struct err){0};
    assert_true(ingest_object(c->at[A], &r, &e));
    assert_int_equal(r.outcome, INGEST_KNOWN);
}

// Whether it is the same cannot be told while what is kept cannot be read: it is no conflict.
static void what_comes_by_another_way_while_the_bucket_is_away_is_asked_for_again(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct ingest_result r;
    char uids[3][64];
    fixture_close(c->at[A]);
    c->bucket.cancelled = false;
    c->remote.small_bytes = 0;
    open_node(c, A);
    store(c, A, 1, 1, 2);
    struct sample s = sample_of(1, 1, uids);
    make_object(c->at[B], &s);
    c->at[B]->object.p[0] ^= 1; // of its preamble
    c->bucket.silent = true;
    assert_false(ingest_object(c->at[B], &r, &e));
    assert_true(err_class_of(e.kind)->retry);
    c->bucket.silent = false;
    for (int64_t until = clock_mono_ms() + 60000; clock_mono_ms() < until; usleep(20 * 1000)) {
        e = (struct err){0};
        if (ingest_object(c->at[B], &r, &e)) break;
    }
    assert_int_equal(r.outcome, INGEST_KNOWN);
    assert_int_equal(count_rows(c->at[B], "SELECT count(*) FROM conflicts"), 0);
}

static struct fake_object *only_object(struct cluster *c) {
    for (unsigned i = 0; i < c->bucket.n; i++)
        if (c->bucket.objects[i].p) return &c->bucket.objects[i];
    return NULL;
}

static void a_volume_that_is_not_in_the_bucket_is_told_once(void **state) {
    struct cluster *c = *state;
    fill(c);
    merge(c, A);
    sql(c, "UPDATE volumes SET created_ms = created_ms - 1000");
    struct fake_object *o = only_object(c);
    free(o->p);
    o->p = NULL;
    adopt(c, B);
    adopt(c, A);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM events WHERE type = 'store.alarm'"), 1);
}

static void send_again(struct cluster *c, int node, int study, int from, int to, enum ingest_outcome expected) {
    char uids[3][64];
    for (int i = from; i < to; i++) {
        struct sample s = sample_of(study, i, uids);
        store_sample(c->at[node], &s, expected);
    }
}

static void what_lay_in_a_volume_that_the_bucket_lost_comes_back_with_its_sender(void **state) {
    struct cluster *c = *state;
    fill(c);
    merge(c, A);
    reap(c, A);
    sql(c, "UPDATE volumes SET created_ms = created_ms - 1000");
    struct fake_object *o = only_object(c);
    char *bytes = o->p;
    o->p = NULL;
    adopt(c, B);
    send_again(c, A, 1, 0, 6, INGEST_STORED);
    send_again(c, B, 1, 0, 6, INGEST_KNOWN);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM events WHERE type = 'instance.restored'"), 6);
    // the bucket finds it again: what was not sent is there, what was sent stays as it is
    o->p = bytes;
    adopt(c, B);
    send_again(c, B, 2, 0, 12, INGEST_KNOWN);
    expect(c, 12, 12, 12);
    o->p = NULL;
    adopt(c, A);
    for (int study = 1; study <= 3; study++) send_again(c, study % NODES, study, study == 1 ? 6 : 0, 12, INGEST_STORED);
    free(bytes);
    // nothing is left that hopes for it
    adopt(c, A);
    reap(c, A);
    merge(c, A);
    expect(c, 12, 12, 12);
    reap(c, A);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volumes WHERE batch = -3"), 0);
    rebuild(c);
    expect(c, 12, 12, 12);
}

// Another node removes it when the bucket has listed it already.
static void a_volume_that_goes_while_the_bucket_is_looked_through_keeps_nothing_back(void **state) {
    struct cluster *c = *state;
    fill(c);
    merge(c, A);
    sql(c, "INSERT INTO volumes (volume, indexed_end, finished, place, size, created_ms) VALUES (5000, 0, 0, 1, 4096, 1)");
    adopt(c, B);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volumes WHERE volume = 5000 AND removed_ms IS NOT NULL"), 1);
    reap(c, A);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volumes WHERE volume = 5000"), 0);
    expect(c, 12, 12, 12);
}

static struct skipping {
    s3_visit *visit;
    void *ctx;
    unsigned left; // that are told
    bool (*list)(void *ctx, const char *prefix, const char *after, s3_visit *visit, void *visit_ctx, struct err *e);
} skipping;

static bool tell_some(void *ctx, const char *key, const struct s3_object *o, struct err *e) {
    (void)ctx;
    return skipping.left == 0 || (skipping.left--, skipping.visit(skipping.ctx, key, o, e));
}

static bool list_one(void *ctx, const char *prefix, const char *after, s3_visit *visit, void *visit_ctx, struct err *e) {
    skipping.visit = visit, skipping.ctx = visit_ctx, skipping.left = 1;
    return skipping.list(ctx, prefix, after, tell_some, NULL, e);
}

static void an_archive_moves_whole_when_the_list_lacks_a_volume(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct migrate *m;
    struct migrate_report r;
    char dir[128], command[160];
    store(c, A, 1, 0, 6);
    merge(c, A);
    store(c, A, 1, 6, 12);
    merge(c, A);
    reap(c, A);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volumes"), 2); // of one series
    for (int i = 0; i < NODES; i++) fixture_close(c->at[i]);
    skipping.list = c->bucket.ops.list;
    c->bucket.ops.list = list_one;
    struct archive_options from = fixture_options(c->at[A]);
    from.remote = &c->remote;
    from.node = "mover";
    snprintf(dir, sizeof dir, "%s/moved", c->at[B]->dir);
    const struct migrate_options o = {.from = &from, .to = &(struct archive_options){.dir = dir}, .last = true};
    if (!migrate_open(&o, &m, &e) || !migrate_finish(m, &r, &e)) fail_msg("%s", e.message);
    migrate_close(m);
    assert_int_equal(r.to.objects, 12);
    assert_true(r.equal);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    for (int i = 0; i < NODES; i++) open_node(c, i);
}

// The index is of a time before the merge, whose old volumes the bucket has no more.
static void an_index_of_an_earlier_time_finds_what_was_merged_since(void **state) {
    struct cluster *c = *state;
    for (int i = 0; i < NODES; i++) fixture_close(c->at[i]);
    c->remote.small_bytes = 0; // each group is put
    for (int i = 0; i < NODES; i++) open_node(c, i);
    fill(c);
    sql(c, "CREATE TABLE old_instances AS SELECT id, volume, \"offset\" AS at FROM instances; CREATE TABLE old_volumes AS SELECT * FROM volumes");
    merge(c, A);
    assert_int_equal(reap(c, A), 36);
    sql(c, "UPDATE instances SET volume = o.volume, \"offset\" = o.at FROM old_instances o WHERE o.id = instances.id; DELETE FROM dead; "
           "DELETE FROM volumes; INSERT INTO volumes SELECT * FROM old_volumes");
    assert_int_equal(adopt(c, B), 1);
    reap(c, B);
    expect(c, 12, 12, 12);
}

static bool read_zeros(void *ctx, uint64_t at, void *p, size_t n, struct err *e) {
    (void)ctx, (void)at, (void)e;
    memset(p, 0, n);
    return true;
}

static void a_key_of_somebody_else_uses_no_numbers_up(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct bucket_ops *b = &c->bucket.ops;
    assert_true(b->put(b->ctx, "volumes/v4294967294.tar", &(struct s3_body){.read_at = read_zeros, .size = 1024}, true, &e));
    store(c, A, 1, 0, 3);
    adopt(c, B);
    for (int i = 0; i < NODES; i++) {
        fixture_close(c->at[i]); // with the numbers that it had
        open_node(c, i);
    }
    store(c, A, 1, 3, 6);
    expect(c, 6, 0, 0);
}

static unsigned strange;
static void count_strange(void *ctx, const struct fsck_finding *f) {
    (void)ctx;
    strange += strcmp(f->what, "orphan") == 0;
}

static void fsck_indexes_what_it_finds(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct fsck_report report;
    fill(c);
    merge(c, A);
    store(c, A, 1, 12, 14);
    reap(c, A);
    sql(c, "DELETE FROM instances WHERE id = (SELECT max(id) FROM instances); UPDATE figures SET value = value - 1 WHERE name = 'instances'");
    strange = 0;
    if (!archive_fsck(c->at[B]->ar, true, count_strange, NULL, NULL, &report, &e)) fail_msg("%s", e.message);
    assert_int_equal(strange, 1);
    expect(c, 14, 12, 12);
}

static struct {
    uint32_t volumes[64];
    unsigned n;
} told;
static void note_volume(void *ctx, const struct fsck_finding *f) {
    (void)ctx;
    if (strcmp(f->what, "damaged") == 0 && told.n < 64) told.volumes[told.n++] = (uint32_t)strtoul(f->detail.p + strlen("volume "), NULL, 10);
}

static void fsck_reads_volumes_side_by_side_and_tells_them_in_order(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    struct fsck_report report;
    for (int i = 0; i < NODES; i++) fixture_close(c->at[i]);
    c->remote.small_bytes = 0; // each group is put
    for (int i = 0; i < NODES; i++) open_node(c, i);
    fill(c);
    for (unsigned i = 0; i < c->bucket.n; i++) c->bucket.objects[i].p[c->bucket.objects[i].n / 2] ^= 1;
    fixture_close(c->at[B]);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/cache", c->at[B]->dir);
    assert_int_equal(system(command), 0);
    open_node(c, B);
    c->bucket.get_ms = 200; // long enough for several to be at it on one busy processor
    c->bucket.most_getting = 0;
    told.n = 0;
    if (!archive_fsck(c->at[B]->ar, false, note_volume, NULL, NULL, &report, &e)) fail_msg("%s", e.message);
    assert_in_range(c->bucket.most_getting, 3, 8);
    assert_int_equal(report.objects, 36);
    assert_int_equal(report.damaged, 36);
    assert_int_equal(told.n, 36);
    for (unsigned i = 1; i < told.n; i++) assert_true(told.volumes[i - 1] < told.volumes[i]);
}

static bool list_nothing(void *ctx, const char *prefix, const char *after, s3_visit *visit, void *visit_ctx, struct err *e) {
    (void)ctx, (void)prefix, (void)after, (void)visit, (void)visit_ctx, (void)e;
    return true;
}

static void a_list_that_lacks_a_volume_is_not_believed(void **state) {
    struct cluster *c = *state;
    fill(c);
    merge(c, A);
    sql(c, "UPDATE volumes SET created_ms = created_ms - 1000");
    fixture_close(c->at[B]);
    c->bucket.ops.list = list_nothing;
    open_node(c, B);
    adopt(c, B);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM events WHERE type = 'store.alarm'"), 0);
    expect(c, 12, 12, 12);
}

static void old_volumes_go_to_colder_classes_and_are_asked_back(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    unsigned moved, asked;
    const struct tier_rule rules[] = {{90 * DAY_MS, "STANDARD_IA", "CT"}, {730 * DAY_MS, "GLACIER", NULL}};
    const struct merge_options o = {.tiers = rules, .tier_count = 2};
    fill(c);
    merge(c, A);
    if (!tiers_apply(c->at[A]->ar, &o, &moved, &e)) fail_msg("%s", e.message);
    assert_int_equal(moved, 0);
    sql(c, "UPDATE volumes SET created_ms = created_ms - 100 * 86400000::bigint");
    if (!tiers_apply(c->at[A]->ar, &o, &moved, &e)) fail_msg("%s", e.message);
    assert_int_equal(moved, count_rows(c->at[A], "SELECT CASE WHEN count(*) = 0 THEN 1 ELSE 0 END FROM series WHERE modality <> 'CT'"));
    sql(c, "UPDATE volumes SET created_ms = created_ms - 1000 * 86400000::bigint");
    if (!tiers_apply(c->at[A]->ar, &o, &moved, &e)) fail_msg("%s", e.message);
    assert_int_equal(moved, 1);
    assert_int_equal(count_rows(c->at[A], "SELECT count(*) FROM volumes WHERE storage_class = 'GLACIER'"), 1);
    fixture_close(c->at[B]); // whose cache may have it
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/cache", c->at[B]->dir);
    assert_int_equal(system(command), 0);
    open_node(c, B);
    struct instance_list list = list_study(c->at[B], "1.2.1");
    char p[16];
    assert_false(retrieve_read(c->at[B]->ar, &list.refs[0], 0, p, sizeof p, &e));
    assert_int_equal(e.kind, ERR_BUSY); // come again later
    struct fake_object *object = only_object(c);
    assert_int_equal(object->restores, 1);
    if (!tiers_restore(c->at[A]->ar, STR_LIT("1.2.1"), 3, &asked, &e)) fail_msg("%s", e.message);
    assert_int_equal(asked, 1);
    object->archived = false; // it is back
    expect(c, 12, 12, 12);
}

// ---- legal hold ----

static unsigned held_objects(struct cluster *c) {
    unsigned n = 0;
    for (unsigned i = 0; i < c->bucket.n; i++) n += c->bucket.objects[i].p && c->bucket.objects[i].held;
    return n;
}

static void hold(struct cluster *c, int node, const char *study, bool on) {
    struct err e = {0};
    if (!hold_set(c->at[node]->ar, &TESTER, str_of(study), on, STR_LIT("case 7"), &e)) fail_msg("%s", e.message);
}

static struct hold_flags settle_flags(struct cluster *c, int node) {
    struct err e = {0};
    struct hold_flags flags;
    if (!hold_settle(c->at[node]->ar, &flags, &e)) fail_msg("%s", e.message);
    return flags;
}

static void expect_held(struct cluster *c, int node, const char *study) {
    struct err e = {0};
    uint64_t count;
    assert_false(archive_delete(c->at[node]->ar, &TESTER, str_of(study), STR_LIT(""), STR_LIT(""), STR_LIT("x"), &count, &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
}

static void compact_all(struct cluster *c, int node) {
    struct err e = {0};
    struct merge_report report;
    unsigned batches;
    bool done = true;
    if (!compact_plan(c->at[node]->ar, 10, &batches, &e)) fail_msg("%s", e.message);
    while (done)
        if (!batch_run_one(c->at[node]->ar, &SOON, COMPACT_JOB, &done, &report, &e)) fail_msg("%s", e.message);
}

static void volumes_of_a_held_study_are_flagged_wherever_its_objects_go(void **state) {
    struct cluster *c = *state;
    fill(c);
    hold(c, A, "1.2.2", true);
    expect_held(c, B, "1.2.2");
    merge(c, A);
    assert_int_equal(held_objects(c), 0);
    assert_int_equal(settle_flags(c, B).set, 1);
    assert_int_equal(held_objects(c), 1);
    assert_int_equal(settle_flags(c, A).set, 0); // once
    // built anew: the old one stays until the new one is flagged
    delete_study(c, A, "1.2.1");
    delete_study(c, B, "1.2.3");
    compact_all(c, B);
    uint64_t before = c->bucket.removes;
    reap(c, A);
    assert_int_equal(c->bucket.removes, before);
    struct hold_flags flags = settle_flags(c, A);
    assert_int_equal(flags.set, 1);
    assert_int_equal(flags.taken, 1);
    assert_int_equal(held_objects(c), 1);
    reap(c, A);
    assert_int_equal(c->bucket.removes, before + 1);
    expect(c, 0, 12, 0);
    // the bucket alone knows of it
    rebuild(c);
    expect_held(c, B, "1.2.2");
    hold(c, B, "1.2.2", false);
    assert_int_equal(settle_flags(c, A).set, 0);
    delete_study(c, A, "1.2.2");
    expect(c, 0, 0, 0);
}

static void flags_go_when_the_study_is_released(void **state) {
    struct cluster *c = *state;
    fill(c);
    merge(c, A);
    hold(c, A, "1.2.1", true);
    hold(c, B, "1.2.2", true); // in the same volume
    assert_int_equal(settle_flags(c, A).set, 1);
    hold(c, B, "1.2.1", false);
    assert_int_equal(settle_flags(c, A).taken, 0);
    assert_int_equal(held_objects(c), 1);
    hold(c, A, "1.2.2", false);
    assert_int_equal(settle_flags(c, B).taken, 1);
    assert_int_equal(held_objects(c), 0);
}

static void where_the_bucket_locks_nothing_our_hold_counts(void **state) {
    struct cluster *c = *state;
    fill(c);
    merge(c, A);
    c->bucket.no_locks = true;
    hold(c, A, "1.2.1", true);
    assert_true(settle_flags(c, A).lockless);
    expect_held(c, B, "1.2.1");
}

static void uploads_that_were_never_finished_are_aborted_after_a_day(void **state) {
    struct cluster *c = *state;
    struct err e = {0};
    unsigned aborted;
    c->bucket.uploads = 3;
    if (!orphans_abort(c->at[A]->ar, &aborted, &e)) fail_msg("%s", e.message);
    assert_int_equal(aborted, 3);
    int64_t age = clock_wall_ms() - c->bucket.stale_before_ms;
    assert_true(age >= DAY_MS && age < DAY_MS + 60 * 1000);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(small_volumes_become_one_of_whole_series),
        TEST(a_study_that_is_still_coming_waits),
        TEST(what_is_deleted_by_another_node_while_it_is_copied_is_deleted),
        TEST(a_tombstone_stays_while_a_copy_that_it_does_not_name_lies_somewhere),
        TEST(a_volume_that_cannot_be_read_keeps_no_other_back),
        TEST(a_batch_that_two_nodes_work_on_counts_once),
        TEST(a_build_of_which_nobody_knows_whether_it_counts_is_not_taken_away),
        TEST(a_build_that_never_counted_goes_again),
        TEST(a_volume_of_the_bucket_that_nobody_knows_is_indexed),
        TEST(nobody_waits_for_his_turn_while_a_found_volume_is_read),
        TEST(a_put_that_was_only_slow_is_not_indexed_twice),
        TEST(a_volume_that_is_not_indexed_to_its_end_is_not_merged_away),
        TEST(what_comes_by_another_way_while_the_bucket_is_away_is_asked_for_again),
        TEST(a_volume_that_is_not_in_the_bucket_is_told_once),
        TEST(what_lay_in_a_volume_that_the_bucket_lost_comes_back_with_its_sender),
        TEST(a_volume_that_goes_while_the_bucket_is_looked_through_keeps_nothing_back),
        TEST(an_index_of_an_earlier_time_finds_what_was_merged_since),
        TEST(a_key_of_somebody_else_uses_no_numbers_up),
        TEST(fsck_indexes_what_it_finds),
        TEST(fsck_reads_volumes_side_by_side_and_tells_them_in_order),
        TEST(a_list_that_lacks_a_volume_is_not_believed),
        TEST(an_archive_moves_whole_when_the_list_lacks_a_volume),
        TEST(old_volumes_go_to_colder_classes_and_are_asked_back),
        TEST(volumes_of_a_held_study_are_flagged_wherever_its_objects_go),
        TEST(flags_go_when_the_study_is_released),
        TEST(where_the_bucket_locks_nothing_our_hold_counts),
        TEST(uploads_that_were_never_finished_are_aborted_after_a_day),
    };
    if (postgres_url()) return cmocka_run_group_tests(tests, NULL, NULL);
    printf("SKIP GANTRY_TEST_POSTGRES names no server\n");
    return 77;
}
