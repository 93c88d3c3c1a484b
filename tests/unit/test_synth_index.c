// Behaviour of a synthetic index: the same seed gives the same studies, and all of them are found.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <string.h>

#include "core/synth_index.h"
#include "core/worklist.h"
#include "query_fixture.h"

enum { STUDIES = 3000 };

static void count_progress(void *ctx, uint64_t done, uint64_t total) {
    assert_true(done <= total);
    *(uint64_t *)ctx = done;
}

static void every_study_of_a_filled_index_is_found_by_its_keys(void **state) {
    (void)state;
    struct archive *ar = fx_open();
    struct err e;
    struct arena a;
    uint64_t done = 0;
    if (!synth_index_fill(ar, STUDIES, 7, count_progress, &done, &e)) fail_msg("%s", e.message);
    assert_true(done == STUDIES);
    arena_init(&a, 64 << 20);
    for (uint64_t i = 0; i < STUDIES; i += 97) {
        struct synth_index_study s;
        char uid[70];
        assert_true(synth_index_study(&a, STUDIES, 7, i, &s, &e));
        struct query_key keys[] = {{{DCM_AccessionNumber}, 1, s.accession_number}, {{DCM_PatientName}, 1, s.patient_name}, {{DCM_StudyDate}, 1, s.date}};
        struct query q = {.level = QUERY_STUDY, .keys = keys, .key_count = 3};
        unsigned n;
        struct dcm_dataset **got = fx_query(ar, &a, &q, &n);
        assert_int_equal(n, 1);
        assert_true(str_eq(dcm_text(got[0], DCM_StudyInstanceUID), s.study_uid));
        assert_true(fx_find(ar, QUERY_STUDY, uid, sizeof uid, DCM_AccessionNumber, s.accession_number.p, DCM_PatientID, s.patient_id.p, 0) == 1);
        assert_true(str_eqz(s.study_uid, uid));
        arena_reset(&a);
    }
    struct worklist_page page;
    assert_true(worklist_read(ar, &(struct actor){.door = DOOR_COMMAND}, &a, &(struct worklist_filter){.text = STR_LIT("")}, STR_LIT(""), 10, &page, &e));
    assert_true(page.count == 10 && page.total == STUDIES && !page.more);
    // Again with the same seed is refused, and changes nothing.
    assert_false(synth_index_fill(ar, STUDIES, 7, NULL, NULL, &e));
    assert_int_equal(e.kind, ERR_CONFLICT);
    assert_true(worklist_read(ar, &(struct actor){.door = DOOR_COMMAND}, &a, &(struct worklist_filter){.text = STR_LIT("")}, STR_LIT(""), 10, &page, &e));
    assert_true(page.total == STUDIES);
    arena_deinit(&a);
    fx_close(ar);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_study_of_a_filled_index_is_found_by_its_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
