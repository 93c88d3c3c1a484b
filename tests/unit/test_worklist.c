// Behaviour of the list of studies: what people type finds, pages follow each other without gaps, counts are true.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/worklist.h"
#include "query_fixture.h"

static void add(struct archive *ar, int n, const char *date, const char *time, const char *name, const char *description, const char *modality) {
    struct fx_study s = {.series_count = 1};
    snprintf(s.uid, sizeof s.uid, "1.2.%d", n);
    snprintf(s.patient_id, sizeof s.patient_id, "PAT-%d", n);
    snprintf(s.accession, sizeof s.accession, "Acc%d", n);
    snprintf(s.date, sizeof s.date, "%s", date);
    snprintf(s.time, sizeof s.time, "%s", time);
    snprintf(s.name, sizeof s.name, "%s", name);
    snprintf(s.description, sizeof s.description, "%s", description);
    snprintf(s.series[0].uid, sizeof s.series[0].uid, "1.2.%d.1", n);
    snprintf(s.series[0].modality, sizeof s.series[0].modality, "%s", modality);
    fx_add(ar, &s);
}

static int open_archive(void **state) {
    struct archive *ar = fx_open();
    *state = ar;
    add(ar, 1, "20260101", "0800", "王^小明", "胸部CT平扫", "CT");
    add(ar, 2, "20260301", "0900", "Wang^Fang=王^芳", "HEAD MR", "MR");
    add(ar, 3, "20251201", "", "Müller^Hans", "CHEST PA", "DX");
    add(ar, 4, "20260301", "1000", "Smith^John", "ABDOMEN CT", "CT");
    add(ar, 5, "", "", "No^Date", "", "US");
    return 0;
}

static int close_archive(void **state) {
    fx_close(*state);
    return 0;
}

// The numbers of the studies listed, and the total, as text: "4 2 | 2".
static const char *listed(struct archive *ar, const struct worklist_filter *f) {
    static char out[512];
    struct arena a;
    struct err e;
    struct worklist_page page;
    size_t at = 0;
    arena_init(&a, 8 << 20);
    if (!worklist_read(ar, &(struct actor){.door = DOOR_COMMAND}, &a, f, STR_LIT(""), 100, &page, &e)) fail_msg("%s", e.message);
    assert_string_equal(page.next, "");
    for (unsigned i = 0; i < page.count; i++) at += (size_t)snprintf(out + at, sizeof out - at, "%.*s ", STR_FMT(str_sub(page.rows[i].study_uid, 4, 99)));
    snprintf(out + at, sizeof out - at, "| %d", (int)page.total);
    assert_true(page.counted && !page.more);
    arena_deinit(&a);
    return out;
}

#define TYPED(t) listed(*state, &(struct worklist_filter){.text = STR_LIT(t)})

static void the_newest_come_first_and_all_are_counted(void **state) {
    assert_string_equal(TYPED(""), "4 2 1 3 5 | 5");
}

static void what_is_typed_finds_names_ids_accessions_and_descriptions(void **state) {
    assert_string_equal(TYPED("wang"), "2 1 | 2");
    assert_string_equal(TYPED("王"), "2 1 | 2");
    assert_string_equal(TYPED("小明"), "1 | 1");
    assert_string_equal(TYPED("xiaom"), "1 | 1");
    assert_string_equal(TYPED("WXM"), "1 | 1");
    assert_string_equal(TYPED("muller"), "3 | 1");
    assert_string_equal(TYPED("pat-4"), "4 | 1");
    assert_string_equal(TYPED("acc2"), "2 | 1");
    assert_string_equal(TYPED("chest"), "3 | 1");
    assert_string_equal(TYPED("平扫"), "1 | 1");
    assert_string_equal(TYPED("nothing"), "| 0");
    assert_string_equal(TYPED("ct"), "4 1 | 2");
}

static void every_word_must_be_found(void **state) {
    assert_string_equal(TYPED("wang fang"), "2 | 1");
    assert_string_equal(TYPED("john smith"), "4 | 1");
    assert_string_equal(TYPED("王　平扫"), "1 | 1"); // a full-width space
    assert_string_equal(TYPED("wang john"), "| 0");
}

static void dates_and_modalities_restrict(void **state) {
    assert_string_equal(listed(*state, &(struct worklist_filter){.date_from = STR_LIT("20260101")}), "4 2 1 | 3");
    assert_string_equal(listed(*state, &(struct worklist_filter){.date_to = STR_LIT("20260101")}), "1 3 | 2");
    assert_string_equal(listed(*state, &(struct worklist_filter){.modality = STR_LIT("CT")}), "4 1 | 2");
    assert_string_equal(listed(*state, &(struct worklist_filter){.modality = STR_LIT("CT\\MR"), .text = STR_LIT("wang")}), "2 1 | 2");
    assert_string_equal(listed(*state, &(struct worklist_filter){.modality = STR_LIT("CT"), .date_from = STR_LIT("20260201")}), "4 | 1");
}

// All pages of a search, from the newest; *counted: what the first one says of all.
static unsigned walk_pages(struct archive *ar, const char *text, unsigned limit, struct worklist_page *counted, char last[FX_TEXT]) {
    struct arena a;
    struct err e;
    unsigned seen = 0;
    char cursor[WORKLIST_CURSOR_BYTES] = "";
    *last = '\0';
    arena_init(&a, 32 << 20);
    do {
        struct worklist_page page;
        struct worklist_filter f = {.text = str_of(text)};
        arena_reset(&a);
        if (!worklist_read(ar, &(struct actor){.door = DOOR_COMMAND}, &a, &f, str_of(cursor), limit, &page, &e)) fail_msg("%s", e.message);
        assert_int_equal(page.counted, *cursor == 0);
        if (page.counted) *counted = page;
        for (unsigned i = 0; i < page.count; i++) assert_false(str_eqz(page.rows[i].study_uid, last));
        seen += page.count;
        snprintf(last, FX_TEXT, "%.*s", STR_FMT(page.rows[page.count - 1].study_uid));
        memcpy(cursor, page.next, sizeof cursor);
    } while (*cursor);
    arena_deinit(&a);
    return seen;
}

static void pages_follow_each_other_without_gap_or_repeat(void **state) {
    struct archive *ar = *state;
    for (int i = 0; i < 1200; i++) { // many of the same second
        char day[16];
        snprintf(day, sizeof day, "202404%02d", 1 + i / 100);
        add(ar, 100 + i, day, "", i % 40 ? "Zhou^Many" : "Zhou^Few", "", "CT");
    }
    for (unsigned limit = 70; limit > 3; limit /= 4) {
        struct worklist_page page;
        char last[FX_TEXT];
        assert_int_equal(walk_pages(ar, "zhou", limit, &page, last), 1200);
        assert_string_equal(last, "1.2.100");
        assert_true(page.total == WORKLIST_COUNT_MAX && page.more);
        assert_int_equal(walk_pages(ar, "zhou few", limit, &page, last), 30);
        assert_string_equal(last, "1.2.100");
        assert_true(page.total == 30 && !page.more);
    }
}

static void what_cannot_be_is_refused(void **state) {
    struct arena a;
    struct err e;
    struct worklist_page page;
    arena_init(&a, 8 << 20);
    assert_false(worklist_read(*state, &(struct actor){.door = DOOR_COMMAND}, &a, &(struct worklist_filter){.date_from = STR_LIT("yesterday")}, STR_LIT(""), 10,
                               &page, &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
    assert_false(
        worklist_read(*state, &(struct actor){.door = DOOR_COMMAND}, &a, &(struct worklist_filter){.text = STR_LIT("")}, STR_LIT("1;drop"), 10, &page, &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
    arena_deinit(&a);
}

#define WORKLIST_TEST(f) cmocka_unit_test_setup_teardown(f, open_archive, close_archive)

int main(void) {
    const struct CMUnitTest tests[] = {
        WORKLIST_TEST(the_newest_come_first_and_all_are_counted),
        WORKLIST_TEST(what_is_typed_finds_names_ids_accessions_and_descriptions),
        WORKLIST_TEST(every_word_must_be_found),
        WORKLIST_TEST(dates_and_modalities_restrict),
        WORKLIST_TEST(pages_follow_each_other_without_gap_or_repeat),
        WORKLIST_TEST(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
