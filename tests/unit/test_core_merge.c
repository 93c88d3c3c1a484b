// Behaviour of volumes after ingest: built anew while the archive is read, written to and deleted from, and given back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/keeper.h"
#include "core_fixture.h"
#include "db/db.h"
#include "encrypted.h"
#include "sys/file.h"

enum { PIXELS = 20000 };

static void name_object(int study, int i, char uids[3][64]) {
    snprintf(uids[0], 64, "1.2.%d", study);
    snprintf(uids[1], 64, "1.2.%d.1", study);
    snprintf(uids[2], 64, "1.2.%d.1.%d", study, i);
}

static void store_many(struct fixture *f, int study, int from, int to) {
    char u[3][64];
    for (int i = from; i < to; i++) {
        name_object(study, i, u);
        store_sample(f, &(struct sample){.study = u[0], .series = u[1], .sop = u[2], .number = i, .pixel_bytes = PIXELS, .fill = (unsigned)i}, INGEST_STORED);
    }
}

static void delete_study(struct fixture *f, const char *study) {
    struct err e = {0};
    uint64_t count;
    if (!archive_delete(f->ar, &TESTER, str_of(study), STR_LIT(""), STR_LIT(""), STR_LIT("x"), &count, &e)) fail_msg("%s", e.message);
}

static struct str read_whole(struct fixture *f, const struct instance_ref *ref) {
    struct err e = {0};
    char *p = arena_alloc(&f->arena, ref->loc.length, &e);
    if (!p || !retrieve_read(f->ar, ref, 0, p, ref->loc.length, &e)) fail_msg("%s", e.message);
    return (struct str){p, ref->loc.length};
}

static void who_holds_a_reference_reads_on_after_the_volume_is_gone(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct vol_loc at;
    uint64_t freed;
    int fd;
    store_many(f, 1, 0, 150);
    store_many(f, 2, 0, 100); // in the same first volume, and the next
    struct instance_list held = list_study(f, "1.2.2");
    struct str before = read_whole(f, &held.refs[0]);
    delete_study(f, "1.2.1");
    fixture_close(f);
    fixture_open(f); // the first volume is sealed
    if (!archive_compact(f->ar, 0.3, &freed, &e)) fail_msg("%s", e.message);
    assert_true(freed > 0);
    assert_true(str_eq(read_whole(f, &held.refs[0]), before));
    assert_true(retrieve_check(f->ar, &held.refs[0], &e) && retrieve_verify(f->ar, &held.refs[0], &e));
    if (encrypted()) {
        assert_false(retrieve_fd(f->ar, &held.refs[0], 128, 4, &at, &fd, &e));
        assert_int_equal(e.kind, ERR_UNSUPPORTED);
        e = (struct err){0};
    } else {
        assert_true(retrieve_fd(f->ar, &held.refs[0], 128, 4, &at, &fd, &e));
        char magic[4];
        assert_int_equal(pread(fd, magic, 4, (off_t)at.offset), 4);
        assert_memory_equal(magic, "DICM", 4);
        assert_int_not_equal(at.volume, held.refs[0].loc.volume);
        vol_fd_release(archive_volumes(f->ar), at.volume, fd);
    }
    // one that was deleted is gone for them as well
    delete_study(f, "1.2.2");
    fixture_close(f);
    fixture_open(f);
    if (!archive_compact(f->ar, 0.3, &freed, &e)) fail_msg("%s", e.message);
    assert_false(retrieve_verify(f->ar, &held.refs[0], &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

// ---- what comes between ----

// Called once, just when the next volume that is built gets its name: it is there, and no row refers to it yet.
static struct {
    struct fixture *f;
    void (*run)(struct fixture *f);
} between;

static int rename_and_act(void *ctx, const char *from, const char *to) {
    int r = sys_files.rename(ctx, from, to);
    void (*run)(struct fixture * f) = between.run;
    if (r == 0 && run && strstr(from, "/staging/b")) {
        between.run = NULL;
        run(between.f);
    }
    return r;
}

static uint64_t volume_bytes = 4 << 20;

static void reopen(struct fixture *f) {
    static struct sys_file_ops files;
    struct err e = {0};
    if (f->ar) archive_close(f->ar); // whose threads use the functions
    files = sys_files;
    files.rename = rename_and_act;
    between.f = f;
    if (!archive_open(&(struct archive_options){.dir = f->dir, .encryption = encrypted(), .volume_bytes = volume_bytes, .files = &files}, &f->ar, &e))
        fail_msg("%s", e.message);
}

// A first volume of which most is dead: all of study 1; some of study 2 live.
static void fill(struct fixture *f) {
    store_many(f, 1, 0, 150);
    store_many(f, 2, 0, 30);
    store_many(f, 3, 0, 200); // fills further ones
    delete_study(f, "1.2.1");
    reopen(f);
}

static void compact(struct fixture *f) {
    struct err e = {0};
    uint64_t freed;
    if (!archive_compact(f->ar, 0.3, &freed, &e)) fail_msg("%s", e.message);
}

static void expect_sound(struct fixture *f) {
    struct err e = {0};
    struct fsck_report report;
    if (!archive_fsck(f->ar, false, NULL, NULL, NULL, &report, &e)) fail_msg("%s", e.message);
    assert_int_equal(report.damaged + report.missing + report.orphans + report.other, 0);
}

static void rebuild(struct fixture *f) {
    struct err e = {0};
    uint64_t count;
    archive_close(f->ar);
    f->ar = NULL;
    if (!archive_reindex(f->dir, encrypted(), NULL, NULL, &count, &e)) fail_msg("%s", e.message);
    reopen(f);
}

static size_t served(struct fixture *f, int study) {
    char u[3][64];
    name_object(study, 0, u);
    struct instance_list list = list_study(f, u[0]);
    for (size_t i = 0; i < list.count; i++) read_whole(f, &list.refs[i]);
    return list.count;
}

static void expect(struct fixture *f, size_t one, size_t two, size_t three) {
    assert_int_equal(served(f, 1), one);
    assert_int_equal(served(f, 2), two);
    assert_int_equal(served(f, 3), three);
    expect_sound(f);
}

static void delete_two(struct fixture *f) {
    delete_study(f, "1.2.2");
}

static void what_is_deleted_while_it_is_copied_is_deleted(void **state) {
    struct fixture *f = *state;
    fill(f);
    between.run = delete_two;
    compact(f);
    assert_null(between.run);
    expect(f, 0, 0, 200);
    assert_true(count_rows(f, "SELECT count(*) FROM dead WHERE why = 'duplicate'") > 0);
    rebuild(f); // the tombstone names places that are gone, and what the copies are
    expect(f, 0, 0, 200);
    compact(f);
    expect(f, 0, 0, 200);
}

static void take_image(struct fixture *f) {
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s.crash && cp -a %s %s.crash && rm -f %s.crash/lock", f->dir, f->dir, f->dir, f->dir);
    assert_int_equal(system(command), 0);
}

static void take_image_and_delete(struct fixture *f) {
    delete_study(f, "1.2.2");
    take_image(f);
}

// Goes on with what a kill would have left at that moment.
static void go_on_with_image(struct fixture *f) {
    char command[512];
    archive_close(f->ar);
    f->ar = NULL;
    snprintf(command, sizeof command, "rm -rf %s && mv %s.crash %s", f->dir, f->dir, f->dir);
    assert_int_equal(system(command), 0);
    reopen(f);
}

static void a_volume_whose_making_never_counted_brings_nothing_back(void **state) {
    struct fixture *f = *state;
    SQLITE_ONLY(); // the image of a moment has the index in it
    for (int deleted = 0; deleted < 2; deleted++) {
        for (int lost = 0; lost < 2; lost++) {
            if (deleted || lost) {
                fixture_close(f);
                char command[128];
                snprintf(command, sizeof command, "rm -rf %s/*", f->dir);
                assert_int_equal(system(command), 0);
                fixture_open(f);
            }
            fill(f);
            between.run = deleted ? take_image_and_delete : take_image;
            compact(f);
            go_on_with_image(f);
            if (lost) rebuild(f);
            size_t two = deleted ? 0 : 30;
            expect(f, 0, two, 200);
            // the job is still there, or the work is found again
            compact(f);
            expect(f, 0, two, 200);
            rebuild(f);
            expect(f, 0, two, 200);
            arena_reset(&f->arena);
        }
    }
}

static void compact_again(struct fixture *f) {
    // Another has the same batch, as when the lease ran out.
    struct err e = {0};
    struct db *w = db_writer(archive_db(f->ar), &e);
    assert_true(db_exec(w, "UPDATE jobs SET until_ms = 0 WHERE kind = 'compact'", &e));
    db_return(archive_db(f->ar), w);
    compact(f);
}

static void a_batch_that_two_work_on_counts_once(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    uint64_t freed;
    fill(f);
    between.run = compact_again;
    assert_false(archive_compact(f->ar, 0.3, &freed, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    expect(f, 0, 30, 200);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM moves"), 0);
    rebuild(f);
    expect(f, 0, 30, 200);
}

static void what_is_sent_again_after_its_deletion_stays(void **state) {
    struct fixture *f = *state;
    fill(f);
    store_many(f, 1, 0, 5);
    compact(f);
    expect(f, 5, 30, 200);
    rebuild(f);
    expect(f, 5, 30, 200);
    delete_study(f, "1.2.1");
    reopen(f);
    compact(f);
    rebuild(f);
    expect(f, 0, 30, 200);
}

static void an_index_older_than_a_removal_finds_what_was_moved(void **state) {
    struct fixture *f = *state;
    char command[256];
    fill(f);
    store_sample(f, &(struct sample){.study = "1.2.3", .series = "1.2.3.1", .sop = "1.2.3.1.7", .fill = 99}, INGEST_CONFLICT);
    store_sample(f, &(struct sample){.no_study = true}, INGEST_QUARANTINED);
    store_many(f, 4, 0, 170); // the volume with these is full
    delete_study(f, "1.2.4");
    fixture_close(f);
    snprintf(command, sizeof command, "cd %s && cp index.db older.db", f->dir);
    assert_int_equal(system(command), 0);
    reopen(f);
    compact(f);
    expect(f, 0, 30, 200);
    archive_close(f->ar);
    f->ar = NULL;
    snprintf(command, sizeof command, "cd %s && rm index.db* && mv older.db index.db", f->dir);
    assert_int_equal(system(command), 0);
    reopen(f);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts"), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM quarantine"), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances WHERE state = 1"), 0);
    expect(f, 0, 30, 200);
}

static void a_damaged_object_stays_where_it_is_and_is_told(void **state) {
    struct fixture *f = *state;
    char path[128];
    fill(f);
    struct instance_list list = list_study(f, "1.2.2");
    volume_path(f, list.refs[3].loc.volume, path);
    flip_bit(path, list.refs[3].loc.offset + 9000, 3);
    assert_int_equal(chmod(path, 0440), 0); // still a finished one
    compact(f);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM instances WHERE state = 1"), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'instance.damaged'"), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM volumes WHERE batch = -2"), 1);
    assert_int_equal(access(path, F_OK), 0);
    compact(f); // and is not gone over again and again
    assert_int_equal(access(path, F_OK), 0);
    store_many(f, 2, 3, 4); // sent again it is whole, and nothing keeps the old volume
    compact(f);
    assert_int_not_equal(access(path, F_OK), 0);
    expect(f, 0, 30, 200);
}

// ---- whatever happens, in whatever order ----

enum { MODEL_STUDIES = 5, MODEL_OBJECTS = 12, STEPS = 60 };

struct model {
    struct fixture *f;
    bool stored[MODEL_STUDIES][MODEL_OBJECTS];
    uint64_t random;
    bool older; // a copy of the index of an earlier time lies beside
};
static struct model *model_now;

static unsigned pick(struct model *m, unsigned n) {
    m->random = m->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(m->random >> 33) % n;
}

static void step_store(struct model *m) {
    int study = (int)pick(m, MODEL_STUDIES), from = (int)pick(m, MODEL_OBJECTS);
    for (int i = from; i < MODEL_OBJECTS && i < from + 6; i++) {
        if (!m->stored[study][i]) store_many(m->f, study, i, i + 1);
        m->stored[study][i] = true;
    }
}

static void step_delete(struct model *m) {
    struct err e = {0};
    uint64_t count;
    char u[3][64];
    unsigned study = pick(m, MODEL_STUDIES), i = pick(m, MODEL_OBJECTS);
    bool one = pick(m, 2);
    name_object((int)study, (int)i, u);
    if (!archive_delete(m->f->ar, &TESTER, str_of(u[0]), one ? str_of(u[1]) : STR_LIT(""), one ? str_of(u[2]) : STR_LIT(""), STR_LIT("x"), &count, &e))
        assert_int_equal(e.kind, ERR_NOT_FOUND);
    for (unsigned k = 0; k < MODEL_OBJECTS; k++) m->stored[study][k] &= one && k != i;
}

static void step_delete_between(struct fixture *f) {
    (void)f;
    step_delete(model_now);
}

static void image_between(struct fixture *f) {
    if (pick(model_now, 2)) step_delete(model_now);
    take_image(f);
}

static void compact_hard(struct model *m) {
    struct err e = {0};
    uint64_t freed;
    if (!archive_compact(m->f->ar, 0.01, &freed, &e)) fail_msg("%s", e.message);
}

static void step_compact(struct model *m) {
    reopen(m->f);
    if (pick(m, 2)) between.run = step_delete_between;
    compact_hard(m);
    between.run = NULL;
}

static void step_crash(struct model *m) {
    struct model before;
    reopen(m->f);
    between.run = image_between;
    compact_hard(m);
    if (between.run) { // there was nothing to build
        between.run = NULL;
        return;
    }
    before = *m; // nothing happened after the image was taken
    go_on_with_image(m->f);
    *m = before;
}

static void in_directory(struct fixture *f, const char *what) {
    char command[256];
    archive_close(f->ar);
    f->ar = NULL;
    snprintf(command, sizeof command, "cd %s && %s", f->dir, what);
    assert_int_equal(system(command), 0);
    reopen(f);
}

static void step_older(struct model *m) {
    in_directory(m->f, m->older ? "rm index.db* && mv older.db index.db" : "cp index.db older.db");
    m->older = !m->older;
}

static void step_rebuild(struct model *m) {
    rebuild(m->f);
}

static void expect_model(struct model *m) {
    for (int study = 0; study < MODEL_STUDIES; study++) {
        size_t n = 0;
        for (int i = 0; i < MODEL_OBJECTS; i++) n += m->stored[study][i];
        assert_int_equal(served(m->f, study), n);
        char u[3][64];
        name_object(study, 0, u);
        struct instance_list list = list_study(m->f, u[0]);
        for (size_t i = 0; i < list.count; i++) {
            uint64_t number;
            struct str sop = list.refs[i].sop_instance_uid;
            assert_true(str_to_u64(str_sub(sop, strlen(u[1]) + 1, sop.n), &number) && m->stored[study][number]);
        }
    }
    expect_sound(m->f);
}

static void what_is_served_is_what_was_stored_and_not_deleted(void **state) {
    struct fixture *f = *state;
    static void (*const steps[])(struct model * m) = {step_store,  step_store,   step_store, step_store, step_delete,
                                                      step_delete, step_compact, step_crash, step_older, step_rebuild};
    volume_bytes = 256 << 10;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct model m = {.f = f, .random = seed * 7919};
        in_directory(f, "rm -rf volumes staging lost index.db* older.db");
        model_now = &m;
        for (int i = 0; i < STEPS; i++) {
            unsigned step = pick(&m, sizeof steps / sizeof *steps);
            steps[step](&m);
            if (step < 4) continue;
            expect_model(&m);
            arena_reset(&f->arena);
        }
    }
    volume_bytes = 4 << 20;
}

// ---- while the archive is at work ----

enum { STUDIES = 6, PER_STUDY = 25 };

struct reader {
    struct fixture *f;
    _Atomic bool *stop;
    uint64_t objects;
    char trouble[512];
};

static bool read_study(struct archive *ar, struct arena *a, const struct instance_list *held, uint64_t *objects, struct err *e) {
    for (size_t i = 0; i < held->count; i++) {
        const struct instance_ref *ref = &held->refs[i];
        struct err why = {0};
        char *p = arena_alloc(a, ref->loc.length, e);
        // Deleted since it was listed is the one thing that may keep it back.
        bool ok = p && (i % 2 ? retrieve_check(ar, ref, &why) : retrieve_read(ar, ref, 0, p, ref->loc.length, &why));
        if (!ok && why.kind != ERR_NOT_FOUND) return *e = why, false;
        *objects += ok;
    }
    return true;
}

static void *read_on(void *arg) {
    struct reader *r = arg;
    struct arena a;
    struct err e = {0};
    unsigned round = 0;
    arena_init(&a, 64 << 20);
    while (!*r->stop && !e.kind) {
        char uid[32];
        struct instance_list held;
        arena_reset(&a);
        snprintf(uid, sizeof uid, "1.2.%u", ++round % STUDIES);
        bool ok = retrieve_list(r->f->ar, &TESTER, &a, &(struct retrieve_query){.study_uids = str_of(uid)}, &held, &e);
        usleep(2000 * (round % 20)); // long enough for the volumes to be built anew, and removed
        if (!ok || !read_study(r->f->ar, &a, &held, &r->objects, &e)) break;
    }
    snprintf(r->trouble, sizeof r->trouble, "%s", e.message);
    arena_deinit(&a);
    return NULL;
}

static void who_reads_stores_and_deletes_does_not_notice_compaction(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    struct keeper *k;
    struct keeper_figures figures = {0};
    _Atomic bool stop = false;
    struct reader readers[2] = {{f, &stop, 0, ""}, {f, &stop, 0, ""}};
    pthread_t threads[2];
    size_t stored[STUDIES] = {0};
    fixture_close(f);
    if (!archive_open(&(struct archive_options){.dir = f->dir, .encryption = encrypted(), .volume_bytes = 1 << 20}, &f->ar, &e)) fail_msg("%s", e.message);
    const struct merge_options o = {.compact_ms = 20, .removed_ms = 40, .dead_percent = 10, .tombstone_ms = 1};
    if (!keeper_start(f->ar, &o, &k, &e)) fail_msg("%s", e.message);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    uint64_t random = 7;
    for (int64_t until = clock_mono_ms() + 60000; clock_mono_ms() < until && (figures.volumes_in < 12 || figures.reaped < 6);) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        int study = (int)(random >> 33) % STUDIES;
        char uid[32];
        snprintf(uid, sizeof uid, "1.2.%d", study);
        if (stored[study] == PER_STUDY) {
            delete_study(f, uid);
            stored[study] = 0;
        } else {
            store_many(f, study, (int)stored[study], (int)stored[study] + 5);
            stored[study] += 5;
        }
        arena_reset(&f->arena);
        keeper_figures_get(f->ar, &figures);
    }
    stop = true;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    keeper_stop(k);
    print_message("%llu volumes built anew, %llu removed, %llu objects read meanwhile\n", (unsigned long long)figures.volumes_in,
                  (unsigned long long)figures.reaped, (unsigned long long)(readers[0].objects + readers[1].objects));
    assert_true(figures.volumes_in > 0 && figures.reaped > 0);
    assert_int_equal(figures.failures, 0);
    for (int i = 0; i < 2; i++) assert_string_equal(readers[i].trouble, "");
    assert_true(readers[0].objects > 0 && readers[1].objects > 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < STUDIES; i++) assert_int_equal(served(f, i), stored[i]);
        expect_sound(f);
        rebuild(f);
    }
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_holds_a_reference_reads_on_after_the_volume_is_gone),
        TEST(what_is_deleted_while_it_is_copied_is_deleted),
        TEST(a_volume_whose_making_never_counted_brings_nothing_back),
        TEST(a_batch_that_two_work_on_counts_once),
        TEST(what_is_sent_again_after_its_deletion_stays),
        TEST(an_index_older_than_a_removal_finds_what_was_moved),
        TEST(what_is_served_is_what_was_stored_and_not_deleted),
        TEST(who_reads_stores_and_deletes_does_not_notice_compaction),
        TEST(a_damaged_object_stays_where_it_is_and_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
