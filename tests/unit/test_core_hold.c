// Behaviour of the legal hold: what it forbids, what it outlives, and who may change it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/hold.h"
#include "core/word.h"
#include "core_fixture.h"
#include "encrypted.h"

#define NOTHING STR_LIT("")

static void store_study(struct fixture *f, const char *study, const char *series, const char *sop) {
    store_sample(f, &(struct sample){.study = study, .series = series, .sop = sop}, INGEST_STORED);
}

static void change(struct fixture *f, const char *study, bool on) {
    struct err e = {0};
    if (!hold_set(f->ar, &TESTER, str_of(study), on, STR_LIT("case 7 \xe6\xa1\x88"), &e)) fail_msg("%s", e.message);
}

static enum err_kind change_error(struct fixture *f, const char *study, bool on, struct str reason) {
    struct err e = {0};
    assert_false(hold_set(f->ar, &TESTER, str_of(study), on, reason, &e));
    return e.kind;
}

static void expect_refused(struct fixture *f, struct str study, struct str series, struct str sop) {
    struct err e = {0};
    uint64_t count;
    assert_false(archive_delete(f->ar, &TESTER, study, series, sop, STR_LIT("x"), &count, &e));
    assert_int_equal(e.kind, ERR_FORBIDDEN);
    assert_non_null(strstr(e.message, "case 7 \xe6\xa1\x88"));
    assert_non_null(strstr(e.message, " since 2"));
}

static void expect_deleted(struct fixture *f, const char *study) {
    struct err e = {0};
    uint64_t count;
    if (!archive_delete(f->ar, &TESTER, str_of(study), NOTHING, NOTHING, STR_LIT("x"), &count, &e)) fail_msg("%s", e.message);
    assert_int_equal(list_study(f, study).count, 0);
}

static void lose_index(struct fixture *f) {
    fixture_close(f);
    fixture_lose_index(f);
    fixture_open(f);
}

static void nothing_of_a_held_study_is_deleted_until_it_is_released(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    int64_t checked;
    store_study(f, "1.2.1", "1.2.1.1", "1.2.1.1.1");
    store_study(f, "1.2.1", "1.2.1.2", "1.2.1.2.1");
    store_study(f, "1.2.2", "1.2.2.1", "1.2.2.1.1");
    change(f, "1.2.1", true);
    expect_refused(f, STR_LIT("1.2.1"), NOTHING, NOTHING);
    expect_refused(f, STR_LIT("1.2.1"), STR_LIT("1.2.1.2"), NOTHING);
    expect_refused(f, STR_LIT("1.2.1"), STR_LIT("1.2.1.2"), STR_LIT("1.2.1.2.1"));
    expect_refused(f, STR_LIT("1.2.1"), NOTHING, STR_LIT("1.2.1.2.1"));
    assert_int_equal(list_study(f, "1.2.1").count, 2);
    expect_deleted(f, "1.2.2");                      // which nobody holds
    store_study(f, "1.2.1", "1.2.1.2", "1.2.1.2.2"); // it may grow
    change(f, "1.2.1", false);
    expect_deleted(f, "1.2.1");
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'study.held' AND study_uid = '1.2.1'"), 1);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'study.released' AND study_uid = '1.2.1'"), 1);
    if (!events_verify(f->ar, &checked, &e)) fail_msg("%s", e.message);
}

static bool take(void *ctx, const struct hold *h, struct err *e) {
    struct buf *b = ctx;
    (void)e;
    buf_addf(b, "%.*s %.*s %d;", STR_FMT(h->study_uid), STR_FMT(h->reason), h->since_ms > 1600000000000);
    return true;
}

static void expect_list(struct fixture *f, const char *expected) {
    struct err e = {0};
    struct buf b;
    buf_init(&b, 4096);
    if (!hold_each(f->ar, &TESTER, take, &b, &e)) fail_msg("%s", e.message);
    assert_true(str_eqz(buf_str(&b), expected));
    buf_deinit(&b);
}

static void a_hold_and_its_release_outlive_the_index(void **state) {
    struct fixture *f = *state;
    store_study(f, "1.2.1", "1.2.1.1", "1.2.1.1.1");
    store_study(f, "1.2.2", "1.2.2.1", "1.2.2.1.1");
    store_study(f, "1.2.3", "1.2.3.1", "1.2.3.1.1");
    change(f, "1.2.1", true);
    change(f, "1.2.2", true);
    change(f, "1.2.2", false);
    for (int i = 0; i < 2; i++) {
        expect_list(f, "1.2.1 case 7 \xe6\xa1\x88 1;");
        expect_refused(f, STR_LIT("1.2.1"), NOTHING, NOTHING);
        lose_index(f);
    }
    expect_deleted(f, "1.2.2");
    change(f, "1.2.1", false);
    expect_deleted(f, "1.2.1");
}

static void a_rebuilt_archive_holds_and_keeps_its_log(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    uint64_t count;
    SQLITE_ONLY();
    store_study(f, "1.2.1", "1.2.1.1", "1.2.1.1.1");
    change(f, "1.2.1", true);
    fixture_close(f);
    if (!archive_reindex(f->dir, encrypted(), NULL, NULL, &count, &e)) fail_msg("%s", e.message);
    fixture_open(f);
    expect_refused(f, STR_LIT("1.2.1"), NOTHING, NOTHING);
    assert_int_equal(count_rows(f, "SELECT count(*) FROM events WHERE type = 'study.held'"), 1);
    change(f, "1.2.1", false);
    expect_deleted(f, "1.2.1");
}

static void a_hold_survives_the_compaction_of_its_volume(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    uint64_t freed;
    SQLITE_ONLY();
    store_study(f, "1.2.1", "1.2.1.1", "1.2.1.1.1");
    store_sample(f, &(struct sample){.study = "1.2.2", .series = "1.2.2.1", .sop = "1.2.2.1.1", .pixel_bytes = 1 << 20}, INGEST_STORED);
    change(f, "1.2.1", true);
    expect_deleted(f, "1.2.2");
    fixture_close(f);
    fixture_open(f);
    if (!archive_compact(f->ar, 0.1, &freed, &e)) fail_msg("%s", e.message);
    lose_index(f);
    expect_refused(f, STR_LIT("1.2.1"), NOTHING, NOTHING);
}

static void what_cannot_be_held_is_told(void **state) {
    struct fixture *f = *state;
    store_study(f, "1.2.1", "1.2.1.1", "1.2.1.1.1");
    assert_int_equal(change_error(f, "1.2.9", true, STR_LIT("x")), ERR_NOT_FOUND);
    assert_int_equal(change_error(f, "1.2.1", false, STR_LIT("x")), ERR_CONFLICT);
    assert_int_equal(change_error(f, "1.2.1", true, NOTHING), ERR_USAGE);
    change(f, "1.2.1", true);
    assert_int_equal(change_error(f, "1.2.1", true, STR_LIT("x")), ERR_CONFLICT);
}

// As one does who looked before the other had changed it.
static void a_change_that_comes_late_has_no_effect(void **state) {
    struct fixture *f = *state;
    struct err e = {0};
    store_study(f, "1.2.1", "1.2.1.1", "1.2.1.1.1");
    change(f, "1.2.1", true);
    const struct str late = STR_LIT("{\"record\":\"study.released\",\"study\":\"1.2.1\",\"number\":1,\"at_ms\":1700000000000,\"reason\":\"\"}");
    assert_false(word_append(f->ar, &TESTER, &(struct word){VOL_RECORD, late, STR_LIT("1.2.1"), 1}, &e));
    assert_int_equal(e.kind, ERR_BUSY);
    expect_refused(f, STR_LIT("1.2.1"), NOTHING, NOTHING);
    lose_index(f);
    expect_refused(f, STR_LIT("1.2.1"), NOTHING, NOTHING);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(nothing_of_a_held_study_is_deleted_until_it_is_released),
        TEST(a_hold_and_its_release_outlive_the_index),
        TEST(a_rebuilt_archive_holds_and_keeps_its_log),
        TEST(a_hold_survives_the_compaction_of_its_volume),
        TEST(what_cannot_be_held_is_told),
        TEST(a_change_that_comes_late_has_no_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
