// Behaviour of attribute matching (PS3.4 C.2.2.2), value by value.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>

#include "core/query_index.h"
#include "core/query_match.h"

static bool matches_zone(uint32_t tag, const char *key, const char *stored, struct qmatch_zone zone) {
    struct arena a;
    struct qattr q;
    struct err e;
    bool match;
    arena_init(&a, 1 << 20);
    if (!qmatch_compile(&a, tag, 0, str_of(key), 0, &q, &e)) fail_msg("%s", e.message);
    assert_true(qmatch_text(&q, &a, zone, str_of(stored), &match, &e));
    arena_deinit(&a);
    return match;
}

static bool matches(uint32_t tag, const char *key, const char *stored) {
    return matches_zone(tag, key, stored, (struct qmatch_zone){0});
}

static bool compiles(uint32_t tag, const char *key) {
    struct arena a;
    struct qattr q;
    struct err e;
    arena_init(&a, 1 << 20);
    bool ok = qmatch_compile(&a, tag, 0, str_of(key), 0, &q, &e);
    if (!ok) assert_int_equal(e.kind, ERR_BAD_INPUT);
    arena_deinit(&a);
    return ok;
}

static void single_values_match_exactly_but_for_padding(void **state) {
    (void)state;
    assert_true(matches(DCM_AccessionNumber, "A1", "A1 "));
    assert_true(matches(DCM_AccessionNumber, " A1", "A1"));
    assert_false(matches(DCM_AccessionNumber, "a1", "A1")); // case-sensitive but for PN: C.2.2.2.1
    assert_false(matches(DCM_AccessionNumber, "A1", "A10"));
    assert_false(matches(DCM_AccessionNumber, "A1", ""));
    assert_true(matches(DCM_StudyDescription, "胸部CT", "胸部CT"));
}

static void an_empty_key_or_a_star_matches_everything_even_nothing(void **state) {
    (void)state;
    assert_true(matches(DCM_AccessionNumber, "", ""));
    assert_true(matches(DCM_AccessionNumber, "*", ""));
    assert_true(matches(DCM_AccessionNumber, "**", "x"));
    assert_true(matches(DCM_StudyDate, "", ""));
    assert_true(matches(DCM_StudyInstanceUID, "", "1.2"));
}

static void wild_cards_take_runs_and_single_characters(void **state) {
    (void)state;
    assert_true(matches(DCM_StudyDescription, "CT*", "CT CHEST"));
    assert_true(matches(DCM_StudyDescription, "*CHEST", "CT CHEST"));
    assert_true(matches(DCM_StudyDescription, "C*E*T", "CT CHEST"));
    assert_true(matches(DCM_StudyDescription, "*a*b*c", "xaxbxbxc"));
    assert_false(matches(DCM_StudyDescription, "*a*b*c", "xaxbxbx"));
    assert_true(matches(DCM_Modality, "?T", "CT"));
    assert_false(matches(DCM_Modality, "?T", "T"));
    assert_true(matches(DCM_StudyDescription, "胸?CT", "胸部CT")); // a character, not a byte
    assert_false(matches(DCM_StudyDescription, "胸?CT", "胸CT"));
    assert_false(matches(DCM_StudyDescription, "?", ""));
}

static void wild_cards_mean_themselves_where_the_vr_has_none(void **state) {
    (void)state;
    assert_false(matches(DCM_StudyInstanceUID, "1.2.*", "1.2.3"));
    assert_false(matches(DCM_SeriesNumber, "1*", "12"));
}

static void lists_of_uids_match_any(void **state) {
    (void)state;
    assert_true(matches(DCM_StudyInstanceUID, "1.2\\1.3", "1.3"));
    assert_false(matches(DCM_StudyInstanceUID, "1.2\\1.3", "1.4"));
}

static void several_stored_values_match_by_any(void **state) {
    (void)state;
    assert_true(matches(DCM_ModalitiesInStudy, "PT", "CT\\PT"));
    assert_true(matches(DCM_ModalitiesInStudy, "MR\\PT", "CT\\PT"));
    assert_false(matches(DCM_ModalitiesInStudy, "MR", "CT\\PT"));
    assert_true(matches(DCM_PatientComments, "a\\b", "a\\b")); // LT has one value
    assert_false(matches(DCM_PatientComments, "a", "a\\b"));
}

static void dates_match_by_ranges_open_at_either_end(void **state) {
    (void)state;
    assert_true(matches(DCM_StudyDate, "20260101-20260131", "20260131"));
    assert_true(matches(DCM_StudyDate, "20260101-20260131", "20260101"));
    assert_false(matches(DCM_StudyDate, "20260101-20260131", "20260201"));
    assert_true(matches(DCM_StudyDate, "20260101-", "20991231"));
    assert_true(matches(DCM_StudyDate, "-20260101", "20260101"));
    assert_false(matches(DCM_StudyDate, "-20260101", "20260102"));
    assert_true(matches(DCM_StudyDate, "20240229", "20240229"));
    assert_true(matches(DCM_StudyDate, "20260115", "2026.01.15")); // ACR-NEMA's form
    assert_false(matches(DCM_StudyDate, "-20260101", ""));
    assert_false(matches(DCM_StudyDate, "-20260101", "garbage"));
}

static void times_match_in_the_precision_that_is_written(void **state) {
    (void)state;
    assert_true(matches(DCM_StudyTime, "1000-1030", "103059.999"));
    assert_false(matches(DCM_StudyTime, "1000-1030", "103100"));
    assert_true(matches(DCM_StudyTime, "10", "104500"));
    assert_true(matches(DCM_StudyTime, "101530", "10:15:30"));
    assert_true(matches(DCM_StudyTime, "101530.5", "101530.51"));
    assert_false(matches(DCM_StudyTime, "101530.5", "101530.6"));
    assert_true(matches(DCM_StudyTime, "-0800", "0759"));
}

static void date_times_match_with_offsets_and_any_precision(void **state) {
    (void)state;
    assert_true(matches(DCM_AcquisitionDateTime, "2026", "20260615120000"));
    assert_true(matches(DCM_AcquisitionDateTime, "202601-202602", "20260228235959"));
    assert_false(matches(DCM_AcquisitionDateTime, "202601-202602", "20260301"));
    // 08:00 in Shanghai is midnight in Greenwich.
    assert_true(matches(DCM_AcquisitionDateTime, "20260101080000+0800", "20260101000000+0000"));
    assert_false(matches(DCM_AcquisitionDateTime, "20260101080000+0800", "20260101080000+0000"));
    assert_true(matches(DCM_AcquisitionDateTime, "20260101-0500", "20260101050000+0000")); // one value with an offset, no range
    assert_true(matches(DCM_AcquisitionDateTime, "20260101-0500-20260102-0500", "20260103040000+0000"));
    assert_false(matches(DCM_AcquisitionDateTime, "20260101-0500-20260102-0500", "20260103050001+0000"));
    assert_true(matches(DCM_AcquisitionDateTime, "20260101-", "20270101"));
    assert_true(matches_zone(DCM_AcquisitionDateTime, "20260101080000+0800", "20260101000000", (struct qmatch_zone){.known = true, .minutes = 0}));
}

static void keys_that_cannot_be_are_refused_by_name(void **state) {
    (void)state;
    assert_false(compiles(DCM_StudyDate, "2026"));
    assert_false(compiles(DCM_StudyDate, "20260230"));
    assert_false(compiles(DCM_StudyDate, "20260102-20260101"));
    assert_false(compiles(DCM_StudyDate, "-"));
    assert_false(compiles(DCM_StudyTime, "2500"));
    assert_false(compiles(DCM_StudyTime, "2200-0100")); // ranges do not cross midnight: C.2.2.2.5
    assert_false(compiles(DCM_AcquisitionDateTime, "20261301"));
    assert_true(compiles(DCM_StudyDate, "19000101-"));
}

static void numbers_match_by_value(void **state) {
    (void)state;
    assert_true(matches(DCM_SeriesNumber, "7", "007"));
    assert_true(matches(DCM_SeriesNumber, "+7", "7"));
    assert_true(matches(DCM_SliceThickness, "2.5", "2.50E+0"));
    assert_false(matches(DCM_SeriesNumber, "7", "70"));
}

static void names_match_in_any_group_without_case_or_accent(void **state) {
    (void)state;
    assert_true(matches(DCM_PatientName, "müller*", "MULLER^Hans"));
    assert_true(matches(DCM_PatientName, "MULLER^hans", "Müller^Hans"));
    assert_true(matches(DCM_PatientName, "王*", "Wang^XiaoDong=王^小东"));
    assert_true(matches(DCM_PatientName, "Chen*", "陈^伟"));
    assert_false(matches(DCM_PatientName, "Li*", "陈^伟"));
}

static void two_quotes_ask_for_what_is_empty(void **state) {
    (void)state;
    assert_true(matches(DCM_AccessionNumber, "\"\"", ""));
    assert_false(matches(DCM_AccessionNumber, "\"\"", "A1"));
}

static struct dcm_dataset *item(struct dcm_dataset *ds, const char *step, const char *procedure) {
    struct err e;
    struct dcm_dataset *it = dcm_put_item(ds, DCM_RequestAttributesSequence, &e);
    assert_non_null(it);
    assert_true(dcm_putz(it, DCM_ScheduledProcedureStepID, step, &e) && dcm_putz(it, DCM_RequestedProcedureID, procedure, &e));
    return it;
}

static void what_is_asked_of_a_sequence_holds_within_one_item(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    bool match;
    arena_init(&a, 1 << 20);
    struct dcm_dataset *ds = dcm_dataset_new(&a, &e);
    item(ds, "S1", "P1");
    item(ds, "S2", "P2");
    struct qattr children[2], seq = {.tag = DCM_RequestAttributesSequence, .vr = DCM_VR_SQ, .kind = QMATCH_SEQUENCE, .children = children, .child_count = 2};
    const char *const wanted[][3] = {{"S1", "P1", "yes"}, {"S1", "P2", ""}, {"S*", "P2", "yes"}, {"", "", "yes"}, {"S3", "", ""}};
    for (unsigned i = 0; i < 5; i++) {
        assert_true(qmatch_compile(&a, DCM_ScheduledProcedureStepID, 0, str_of(wanted[i][0]), 0, &children[0], &e));
        assert_true(qmatch_compile(&a, DCM_RequestedProcedureID, 0, str_of(wanted[i][1]), 0, &children[1], &e));
        assert_true(qmatch_dataset(&seq, &a, (struct qmatch_zone){0}, ds, &match, &e));
        assert_int_equal(match, *wanted[i][2] != 0);
    }
    assert_true(qmatch_compile(&a, DCM_ScheduledProcedureStepID, 0, STR_LIT("S1"), 0, &children[0], &e));
    assert_true(qmatch_dataset(&seq, &a, (struct qmatch_zone){0}, dcm_dataset_new(&a, &e), &match, &e));
    assert_false(match); // no sequence at all
    arena_deinit(&a);
}

static void binary_values_match_numbers(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    struct qattr q;
    bool match;
    arena_init(&a, 1 << 20);
    struct dcm_dataset *ds = dcm_dataset_new(&a, &e);
    assert_true(dcm_put_int(ds, DCM_Rows, 512, &e));
    assert_true(qmatch_compile(&a, DCM_Rows, 0, STR_LIT("512"), 0, &q, &e));
    assert_true(qmatch_dataset(&q, &a, (struct qmatch_zone){0}, ds, &match, &e) && match);
    assert_true(qmatch_compile(&a, DCM_Rows, 0, STR_LIT("51"), 0, &q, &e));
    assert_true(qmatch_dataset(&q, &a, (struct qmatch_zone){0}, ds, &match, &e) && !match);
    arena_deinit(&a);
}

static void moments_have_a_place_and_a_month(void **state) {
    (void)state;
    assert_true(query_at(STR_LIT("20260115"), STR_LIT("093005.25")) == 20260115093005);
    assert_true(query_at(STR_LIT("20260115"), STR_LIT("")) == 20260115000000);
    assert_true(query_at(STR_LIT(""), STR_LIT("093005")) == 0);
    assert_true(query_at(STR_LIT("20261501"), STR_LIT("")) == 0);
    assert_true(query_month(20260115093005) == 202601);
    // Whatever dates come, buckets are few and in order.
    assert_true(query_month(0) < query_month(10101000000) && query_month(10101000000) == query_month(18991231235959));
    assert_true(query_month(18991231235959) < query_month(19000101000000) && query_month(19000101000000) == query_month(19001231000000));
    assert_true(query_month(19691231000000) < query_month(19700101000000) && query_month(21001231235959) < query_month(21010101000000));
    assert_true(query_month(21010101000000) == query_month(99991231235959));
    char date[9], time[16];
    assert_true(qtime_shift(STR_LIT("20260101"), STR_LIT("003000"), -60, date, time));
    assert_string_equal(date, "20251231");
    assert_string_equal(time, "233000");
}

static bool has_key(struct str *keys, unsigned n, const char *key) {
    for (unsigned i = 0; i < n; i++)
        if (str_starts(keys[i], str_of(key))) return true;
    return false;
}

static void a_name_is_found_by_the_beginning_of_each_of_its_words_and_syllables(void **state) {
    (void)state;
    struct arena a;
    struct err e;
    struct str keys[QUERY_KEYS_MAX];
    unsigned n;
    arena_init(&a, 1 << 20);
    assert_true(query_name_keys(&a, QUERY_KEY_NAME, STR_LIT("王^小明"), keys, QUERY_KEYS_MAX, &n, &e));
    const char *const found[] = {"nwang", "nwangxiaoming", "nxiaom", "nming", "n王小明", "n王", "n小明", "n明", "nwxm"};
    for (unsigned i = 0; i < sizeof found / sizeof *found; i++)
        if (!has_key(keys, n, found[i])) fail_msg("no key begins with %s", found[i]);
    for (unsigned i = 1; i < n; i++) assert_false(str_starts(keys[i], keys[i - 1])); // none is there that another finds
    assert_true(query_name_keys(&a, QUERY_KEY_NAME, STR_LIT("O'Brien-Müller^Mary Ann"), keys, QUERY_KEYS_MAX, &n, &e));
    const char *const western[] = {"nobrienmuller", "nmary", "nann"};
    for (unsigned i = 0; i < sizeof western / sizeof *western; i++)
        if (!has_key(keys, n, western[i])) fail_msg("no key begins with %s", western[i]);
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_values_match_exactly_but_for_padding),
        cmocka_unit_test(an_empty_key_or_a_star_matches_everything_even_nothing),
        cmocka_unit_test(wild_cards_take_runs_and_single_characters),
        cmocka_unit_test(wild_cards_mean_themselves_where_the_vr_has_none),
        cmocka_unit_test(lists_of_uids_match_any),
        cmocka_unit_test(several_stored_values_match_by_any),
        cmocka_unit_test(dates_match_by_ranges_open_at_either_end),
        cmocka_unit_test(times_match_in_the_precision_that_is_written),
        cmocka_unit_test(date_times_match_with_offsets_and_any_precision),
        cmocka_unit_test(keys_that_cannot_be_are_refused_by_name),
        cmocka_unit_test(numbers_match_by_value),
        cmocka_unit_test(names_match_in_any_group_without_case_or_accent),
        cmocka_unit_test(two_quotes_ask_for_what_is_empty),
        cmocka_unit_test(what_is_asked_of_a_sequence_holds_within_one_item),
        cmocka_unit_test(binary_values_match_numbers),
        cmocka_unit_test(moments_have_a_place_and_a_month),
        cmocka_unit_test(a_name_is_found_by_the_beginning_of_each_of_its_words_and_syllables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
