// What is acknowledged outlives every failure: of writes, of flushes, of the index, of memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core_fixture.h"
#include "db/db.h"
#include "failing_memory.h"
#include "fake_disk.h"

// ---- a script of requests ----

enum { OBJECTS = 8 };

struct script {
    struct fixture *f;
    bool acknowledged[OBJECTS + 1], deleted;
    struct str bytes[OBJECTS + 1];
};

static void name_object(int i, char sop[32]) {
    snprintf(sop, 32, "1.2.3.4.%d", i);
}

// The last object is large, so that it goes through a staging file.
static void make_nth(struct script *s, int i) {
    char sop[32];
    name_object(i, sop);
    make_object(s->f, &(struct sample){.sop = sop, .number = i, .fill = (unsigned)i, .pixel_bytes = i == OBJECTS ? 5 << 20 : 3000});
    char *p = arena_alloc(&s->f->arena, s->f->object.n, NULL);
    memcpy(p, s->f->object.p, s->f->object.n);
    s->bytes[i] = (struct str){p, s->f->object.n};
}

static void run_script(struct script *s) {
    struct err e = {0};
    uint64_t count;
    for (int i = 1; i <= OBJECTS; i++) {
        struct ingest_result r;
        make_nth(s, i);
        s->acknowledged[i] = ingest_object(s->f, &r, &e);
        if (i == 4 && s->acknowledged[2])
            s->deleted = archive_delete(s->f->ar, &TESTER, STR_LIT("1.2.3"), STR_LIT("1.2.3.4"), STR_LIT("1.2.3.4.2"), STR_LIT("x"), &count, &e);
    }
}

static void check_script(struct script *s) {
    struct fsck_report report;
    struct err e = {0};
    size_t n;
    int64_t checked;
    char sop[32];
    for (int i = 1; i <= OBJECTS; i++) {
        name_object(i, sop);
        struct str back = fetch(s->f, sop, &n);
        if (i == 2 && s->deleted) {
            assert_int_equal(n, 0);
            continue;
        }
        if (s->acknowledged[i]) assert_true(back.p && str_eq(back, s->bytes[i]));
        if (back.p) assert_true(str_eq(back, s->bytes[i])); // never half of one
    }
    if (!archive_fsck(s->f->ar, false, NULL, NULL, NULL, &report, &e)) fail_msg("%s", e.message);
    assert_int_equal(report.damaged + report.missing + report.orphans + report.other, 0);
    assert_true(events_verify(s->f->ar, &checked, &e));
}

static void open_on(struct fixture *f, struct disk *d) {
    struct err e = {0};
    const struct archive_options o = {.dir = f->dir, .volume_bytes = 4 << 20, .files = d ? disk_ops(d) : NULL};
    if (!archive_open(&o, &f->ar, &e)) fail_msg("%s", e.message);
}

static void wipe(struct fixture *f) {
    char command[200];
    fixture_close(f);
    snprintf(command, sizeof command, "cd %s && rm -rf volumes staging index.db*", f->dir);
    assert_int_equal(system(command), 0);
}

enum { ROUNDS_MAX = 50 }; // the next volume is prepared beside: more calls than the script itself makes

static unsigned fail_each(struct fixture *f, unsigned kinds, int code, unsigned step) {
    for (unsigned n = 1;; n += step) {
        struct disk *d = disk_new(n);
        struct script s = {.f = f};
        wipe(f);
        open_on(f, d);
        disk_fail(d, n, kinds, code, false);
        run_script(&s);
        bool happened = disk_failed(d);
        disk_fail(d, 0, 0, 0, false);
        check_script(&s);
        fixture_close(f);
        open_on(f, NULL);
        check_script(&s);
        fixture_close(f);
        disk_free(d);
        if (!happened || n / step >= ROUNDS_MAX) return n;
        arena_reset(&f->arena);
    }
}

static void every_failed_write_keeps_what_was_acknowledged(void **state) {
    struct fixture *f = *state;
    log_set_level(LOG_ERROR + 1);
    assert_true(fail_each(f, DISK_WRITE, EIO, 1) > OBJECTS);
    assert_true(fail_each(f, DISK_WRITE, ENOSPC, 3) > OBJECTS / 3);
    fixture_open(f);
}

static void every_failed_flush_keeps_what_was_acknowledged(void **state) {
    struct fixture *f = *state;
    log_set_level(LOG_ERROR + 1);
    assert_true(fail_each(f, DISK_FLUSH, EIO, 1) > OBJECTS);
    fixture_open(f);
}

static void the_alarm_of_a_failed_flush_is_an_event(void **state) {
    struct fixture *f = *state;
    struct disk *d = disk_new(1);
    struct ingest_result r;
    struct err e = {0};
    log_set_level(LOG_ERROR + 1);
    wipe(f);
    open_on(f, d);
    store_sample(f, &(struct sample){.sop = "1.2.3.4.1"}, INGEST_STORED);
    char sop[32];
    bool refused = false;
    for (int i = 2; !refused && i < 20; i++) { // the thread that makes the next volume ready may meet the failure first
        snprintf(sop, sizeof sop, "1.2.3.4.%d", i);
        disk_fail(d, 1, DISK_FLUSH, EIO, false);
        make_object(f, &(struct sample){.sop = sop});
        refused = !ingest_object(f, &r, &e);
    }
    assert_true(refused);
    assert_int_equal(r.dimse_status, err_class_of(e.kind)->dimse);
    store_sample(f, &(struct sample){.sop = sop}, INGEST_STORED);
    assert_true(count_rows(f, "SELECT count(*) FROM events WHERE type = 'store.alarm'") >= 1);
    fixture_close(f);
    disk_free(d);
    fixture_open(f);
}

// On PostgreSQL its disk has no room for an instance.
static void index_room(struct fixture *f, bool some) {
    static const char *const none[] = {"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = ''53100''; END'",
                                       "CREATE TRIGGER refuse BEFORE INSERT ON instances FOR EACH ROW EXECUTE FUNCTION refuse()"};
    if (!postgres_url())
        run_sql(f, some ? "PRAGMA max_page_count = 1000000" : "PRAGMA max_page_count = 1"); // what it has and no more
    else if (some)
        run_sql(f, "DROP TRIGGER refuse ON instances");
    else
        for (int i = 0; i < 2; i++) run_sql(f, none[i]);
}

// The volume has taken the object, the index cannot: it is refused, and found when there is room again.
static void an_index_without_room_refuses_and_catches_up(void **state) {
    struct fixture *f = *state;
    struct ingest_result r;
    struct err e = {0};
    char sop[32];
    int refused = 0;
    log_set_level(LOG_ERROR + 1);
    store_sample(f, &(struct sample){.sop = "1.2.3.4.0"}, INGEST_STORED);
    index_room(f, false);
    for (int i = 1; i <= 40; i++) {
        name_object(i, sop);
        make_object(f, &(struct sample){.sop = sop, .number = i, .fill = (unsigned)i});
        if (ingest_object(f, &r, &e)) continue;
        refused++;
        assert_int_equal(e.kind, ERR_FULL);
        assert_int_equal(r.dimse_status, 0xA700);
    }
    assert_true(refused > 0);
    struct archive_figures figures;
    assert_true(archive_figures_get(f->ar, &TESTER, &figures, &e) && figures.full);
    index_room(f, true);
    for (int i = 1; i <= 40; i++) {
        name_object(i, sop);
        make_object(f, &(struct sample){.sop = sop, .number = i, .fill = (unsigned)i});
        if (!ingest_object(f, &r, &e)) fail_msg("%s", e.message);
        assert_true(r.outcome == INGEST_KNOWN || r.outcome == INGEST_STORED);
    }
    store_sample(f, &(struct sample){.sop = "1.2.3.4.41"}, INGEST_STORED);
    assert_true(archive_figures_get(f->ar, &TESTER, &figures, &e) && !figures.full);
    assert_int_equal(count_rows(f, "SELECT instance_count FROM studies"), 42);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM conflicts"), 0);
    struct fsck_report report;
    assert_true(archive_fsck(f->ar, false, NULL, NULL, NULL, &report, &e));
    assert_int_equal(report.orphans + report.damaged + report.missing + report.other, 0);
    log_set_level(LOG_INFO);
}

static void every_failed_allocation_is_survived(void **state) {
    struct fixture *f = *state;
    struct script s = {.f = f};
    log_set_level(LOG_ERROR + 1);
    for (int i = 1; i <= OBJECTS; i++) {
        bool more = true;
        const struct arena_mark before = arena_mark(&f->arena);
        for (int n = 1; more; n++) {
            struct ingest_result r;
            struct err e = {0};
            arena_rewind(&f->arena, before); // the same object once more: its room is enough for all tries
            make_nth(&s, i);
            failed = false;
            fail_in = n;
            bool ok = ingest_object(f, &r, &e);
            fail_in = 0;
            more = failed;
            s.acknowledged[i] |= ok;
            if (!ok) assert_int_equal(e.kind, ERR_NOMEM);
            if (i == 3 && n > 300) break;
        }
        assert_true(s.acknowledged[i]);
    }
    check_script(&s);
    struct arena a;
    for (int n = 1;; n++) { // and on the way out
        struct instance_list list;
        struct dcm_dataset *ds;
        struct err e = {0};
        struct buf b;
        bool gzip;
        arena_init(&a, 64 << 20);
        buf_init(&b, 1 << 20);
        failed = false;
        fail_in = n;
        bool ok = retrieve_list(f->ar, &TESTER, &a, &(struct retrieve_query){.study_uids = STR_LIT("1.2.3")}, &list, &e) &&
                  retrieve_header(f->ar, &a, &list.refs[0], &ds, &e) &&
                  retrieve_series_metadata(f->ar, &TESTER, STR_LIT("1.2.3"), STR_LIT("1.2.3.4"), n % 2, &b, &gzip, &e);
        fail_in = 0;
        if (!ok) assert_int_equal(e.kind, ERR_NOMEM);
        buf_deinit(&b);
        arena_deinit(&a);
        if (!failed) break;
    }
    log_set_level(LOG_INFO);
}

static void opening_survives_every_failed_allocation(void **state) {
    struct fixture *f = *state;
    store_sample(f, &(struct sample){0}, INGEST_STORED);
    log_set_level(LOG_ERROR + 1);
    for (int n = 1;; n++) {
        struct err e = {0};
        fixture_close(f);
        failed = false;
        fail_in = n;
        bool ok = archive_open(&(struct archive_options){.dir = f->dir, .volume_bytes = 4 << 20}, &f->ar, &e);
        fail_in = 0;
        if (!ok) assert_int_equal(e.kind, ERR_NOMEM);
        if (!failed) break;
    }
    log_set_level(LOG_INFO);
    assert_int_equal(list_study(f, "1.2.3").count, 1);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_failed_write_keeps_what_was_acknowledged),
        TEST(every_failed_flush_keeps_what_was_acknowledged),
        TEST(the_alarm_of_a_failed_flush_is_an_event),
        TEST(an_index_without_room_refuses_and_catches_up),
        TEST(every_failed_allocation_is_survived),
        TEST(opening_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
