// The audit trail: what is noted is in the chain once, whatever ends the process.
#include "core_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/access.h"
#include "core/audit.h"
#include "core/audit_part.h"
#include "db/db.h"
#include "text/json.h"

static const struct audit_options DEFAULTS = {.elsewhere = NULL};

static const struct actor NURSE = {
    .door = DOOR_PAGE, .address = STR_LIT("10.1.2.3"), .user = STR_LIT("wang.fang"), .purpose = STR_LIT("emergency"), .trace = STR_LIT("0123456789abcdef")};

static void start(struct fixture *f) {
    struct err e = {0};
    if (!audit_start(f->ar, &DEFAULTS, &e)) fail_msg("%s", e.message);
}

static void note(struct fixture *f, const char *study, uint64_t count) {
    struct err e = {0};
    const struct audit_note n = {.type = "study.read",
                                 .study_uid = str_of(study),
                                 .patient_id = STR_LIT("P1"),
                                 .issuer = STR_LIT("医院"),
                                 .count = count,
                                 .detail = STR_LIT("\"route\":\"/studies\"")};
    if (!audit_note(f->ar, &NURSE, &n, &e)) fail_msg("%s", e.message);
}

static const struct event *last_event(struct fixture *f, int64_t *seq) {
    struct event *list;
    unsigned n;
    struct err e = {0};
    int64_t last = count_rows(f, "SELECT coalesce(max(seq), 0) FROM events");
    assert_true(events_after(f->ar, &f->arena, last - 1, 1, &list, &n, &e));
    if (seq) *seq = last;
    return n ? &list[0] : NULL;
}

static int64_t reads(struct fixture *f) {
    return count_rows(f, "SELECT count(*) FROM events WHERE type = 'study.read'");
}

static void verify(struct fixture *f) {
    int64_t checked;
    struct err e = {0};
    if (!events_verify(f->ar, &checked, &e)) fail_msg("%s", e.message);
}

static void says_who_did_what(struct fixture *f) {
    const struct event *ev = last_event(f, NULL);
    const struct json *o = json_read(&f->arena, ev->detail, 0, NULL);
    assert_true(str_eqz(ev->type, "study.read"));
    assert_true(str_eqz(ev->actor, "page:wang.fang@10.1.2.3"));
    assert_true(str_eqz(ev->study_uid, "1.2.3"));
    static const struct {
        const char *key, *value;
    } said[] = {{"user", "wang.fang"},  {"address", "10.1.2.3"}, {"purpose", "emergency"}, {"trace", "0123456789abcdef"},
                {"outcome", "success"}, {"patient", "P1"},       {"issuer", "医院"},       {"route", "/studies"}};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) assert_true(str_eqz(json_text(json_get(o, said[i].key)), said[i].value));
    int64_t count;
    assert_true(json_to_i64(json_get(o, "count"), &count) && count == 7);
}

static void a_note_of_a_command_is_in_the_chain_when_it_returns(void **state) {
    struct fixture *f = *state;
    note(f, "1.2.3", 7);
    says_who_did_what(f);
    verify(f);
}

static void a_note_of_a_server_is_in_the_chain_soon_and_says_the_same(void **state) {
    struct fixture *f = *state;
    start(f);
    int64_t before = events_last(f->ar);
    note(f, "1.2.3", 7);
    assert_true(events_wait(f->ar, before, 20 * 1000));
    says_who_did_what(f);
    verify(f);
}

static void closing_brings_every_note_into_the_chain(void **state) {
    struct fixture *f = *state;
    start(f);
    for (int i = 0; i < 1000; i++) note(f, "1.2.3", 1);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(reads(f), 1000);
    verify(f);
}

// A process of its own: it notes and is killed at once.
static void note_and_die(struct fixture *f, int notes) {
    fixture_close(f);
    pid_t child = fork();
    if (child == 0) {
        fixture_open(f);
        struct err e = {0};
        if (!audit_start(f->ar, &DEFAULTS, &e)) _exit(2);
        for (int i = 0; i < notes; i++) note(f, "1.2.3", (uint64_t)i + 1);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture_open(f);
}

static void killed_each_note_is_in_the_chain_once_after_the_next_start(void **state) {
    struct fixture *f = *state;
    int64_t expected = 0;
    for (int round = 0; round < 3; round++) {
        int notes = 1 + round * 700;
        note_and_die(f, notes);
        expected += notes;
        start(f);
        assert_int_equal(reads(f), expected);
    }
    verify(f);
}

// As if it had been killed between the commit and the emptying of the spool, or the emptying had been lost.
static void a_spool_that_comes_back_is_not_taken_twice(void **state) {
    struct fixture *f = *state;
    char command[256];
    note_and_die(f, 5);
    snprintf(command, sizeof command, "cp %s/audit/spool %s/spool.before", f->dir, f->dir);
    assert_int_equal(system(command), 0);
    start(f);
    assert_int_equal(reads(f), 5);
    fixture_close(f);
    snprintf(command, sizeof command, "cp %s/spool.before %s/audit/spool", f->dir, f->dir);
    assert_int_equal(system(command), 0);
    fixture_open(f);
    start(f);
    assert_int_equal(reads(f), 5);
    note(f, "1.2.3", 1);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(reads(f), 6);
    verify(f);
}

static void a_torn_end_of_the_spool_is_cut_and_the_rest_counts(void **state) {
    struct fixture *f = *state;
    char path[128];
    note_and_die(f, 4);
    fixture_close(f);
    snprintf(path, sizeof path, "%s/audit/spool", f->dir);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fwrite("torn", 1, 4, file);
    fclose(file);
    fixture_open(f);
    start(f);
    note(f, "1.2.3", 1);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(reads(f), 5);
    verify(f);
}

static bool is_moved(struct audit_spool *s) {
    pthread_mutex_lock(&s->lock);
    bool moved = s->read == s->end;
    pthread_mutex_unlock(&s->lock);
    return moved;
}

// The file begins anew once the log has its records: what lies behind the new ones is old.
static void a_spool_that_began_anew_and_was_killed_gives_each_record_once(void **state) {
    struct fixture *f = *state;
    fixture_close(f);
    pid_t child = fork();
    if (child == 0) {
        fixture_open(f);
        struct err e = {0};
        if (!audit_start(f->ar, &DEFAULTS, &e)) _exit(2);
        for (int i = 0; i < 50; i++) note(f, "1.2.3", 1);
        while (!is_moved(&f->ar->audit->spool)) usleep(1000);
        if (!audit_spool_empty(&f->ar->audit->spool, &e)) _exit(3);
        for (int i = 0; i < 7; i++) note(f, "1.2.3", 1);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    for (int i = 0; i < 2; i++) {
        fixture_open(f);
        start(f);
        assert_int_equal(reads(f), 57);
        if (i == 0) fixture_close(f);
    }
    verify(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_note_of_a_command_is_in_the_chain_when_it_returns, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_note_of_a_server_is_in_the_chain_soon_and_says_the_same, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(closing_brings_every_note_into_the_chain, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(killed_each_note_is_in_the_chain_once_after_the_next_start, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_spool_that_comes_back_is_not_taken_twice, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_spool_that_began_anew_and_was_killed_gives_each_record_once, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_torn_end_of_the_spool_is_cut_and_the_rest_counts, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
