// Behaviour of volumes after ingest: built anew while the archive is read, written to and deleted from, and given back.
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

#include "core_fixture.h"
#include "db/db.h"

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
    assert_true(retrieve_fd(f->ar, &held.refs[0], 128, 4, &at, &fd, &e));
    char magic[4];
    assert_int_equal(pread(fd, magic, 4, (off_t)at.offset), 4);
    assert_memory_equal(magic, "DICM", 4);
    assert_int_not_equal(at.volume, held.refs[0].loc.volume);
    vol_fd_release(archive_volumes(f->ar), at.volume, fd);
    // one that was deleted is gone for them as well
    delete_study(f, "1.2.2");
    fixture_close(f);
    fixture_open(f);
    if (!archive_compact(f->ar, 0.3, &freed, &e)) fail_msg("%s", e.message);
    assert_false(retrieve_verify(f->ar, &held.refs[0], &e));
    assert_int_equal(e.kind, ERR_NOT_FOUND);
}

int main(void) {
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_holds_a_reference_reads_on_after_the_volume_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
