// Reports: the table, the JSON and the methods paragraph say the same, in English and in Chinese.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mod/evidence/report.h"
#include "mod/evidence/terms.h"
#include "text/json.h"

static struct arena arena;
static struct buf out;
static struct ev_report r;
static struct err err;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1 << 24);
    buf_init(&out, 1 << 24);
    err_clear(&err);
    ev_report_init(&r, &arena, "Methods", 0.95);
    ev_report_group(&r, "reader %d", 1);
    ev_report_estimate(&r, "Value", 0.875, 0.0625, 0.75, 1);
    ev_report_in(&r, "Lower", 1e-12, "mm");
    ev_report_group(&r, "%s", "读者乙");
    ev_report_none(&r, "Upper", "Not available");
    ev_report_value(&r, "Name", -INFINITY);
    ev_report_method(&r, "Confidence level: {0}", "90%", (const char *)NULL);
    ev_report_warn(&r, "Confidence level: {0}", "x", (const char *)NULL);
    ev_report_source(&r, "A");
    ev_report_source(&r, "B");
    ev_report_source(&r, "A");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&out);
    return 0;
}

static void assert_out(const char *expected) {
    assert_true(buf_ok(&out, NULL));
    buf_addc(&out, '\0');
    assert_string_equal(out.p, expected);
}

static void the_table_fits_its_columns(void **state) {
    (void)state;
    assert_true(ev_report_ok(&r, &err));
    ev_report_table(&r, EV_EN, &out);
    assert_out("Methods\n"
               "Confidence level: 95%\n"
               "\n"
               "  Name      Value      SE  Lower  Upper  Unit\n"
               "\n"
               "reader 1\n"
               "  Value     0.875  0.0625   0.75      1\n"
               "  Lower     1e-12                        mm\n"
               "\n"
               "读者乙\n"
               "  Upper  Not available\n"
               "  Name   -inf\n"
               "\n"
               "Warnings\n"
               "  Confidence level: x\n");
}

static void points_stand_under_one_another_and_readers_in_one_list(void **state) {
    (void)state;
    ev_report_init(&r, &arena, "Methods", 0.95);
    for (int reader = 1; reader <= 2; reader++) {
        ev_report_group(&r, "reader %d", reader);
        ev_report_value(&r, "Value", reader == 1 ? 0.25 : -12.5);
    }
    ev_report_group(&r, "all");
    ev_report_value(&r, "Value", 100);
    ev_report_value(&r, "SE", 1.125);
    ev_report_table(&r, EV_EN, &out);
    assert_out("Methods\n"
               "\n"
               "  Name        Value\n"
               "\n"
               "Value\n"
               "  reader 1    0.25\n"
               "  reader 2  -12.5\n"
               "\n"
               "all\n"
               "  Value     100\n"
               "  SE          1.125\n");
}

static void wide_characters_count_two(void **state) {
    (void)state;
    ev_report_table(&r, EV_ZH, &out);
    assert_true(buf_ok(&out, NULL));
    buf_addc(&out, '\0');
    assert_non_null(strstr(out.p, "\n  项目        值  标准误  下限  上限  单位\n"));
    assert_non_null(strstr(out.p, "\n  值       0.875  0.0625  0.75     1\n"));
    assert_non_null(strstr(out.p, "\n  上限  不可用\n"));
    assert_non_null(strstr(out.p, "置信水平：95%\n"));
}

static void json_has_every_digit(void **state) {
    (void)state;
    ev_report_in(&r, "SE", 1.0 / 3, "mm");
    ev_report_json(&r, EV_ZH, &out);
    assert_true(buf_ok(&out, NULL));
    const struct json *j = json_read(&arena, buf_str(&out), 0, &err);
    assert_non_null(j);
    const struct json *entries = json_get(j, "entries");
    assert_int_equal(entries->count, 5);
    assert_true(str_eqz(json_text(json_get(entries->first, "group")), "reader 1"));
    double v;
    assert_true(json_to_f64(json_get(entries->first, "hi"), &v) && v == 1);
    assert_null(json_get(entries->first, "unit"));
    const struct json *none = entries->first->next->next;
    assert_true(str_eqz(json_text(json_get(none, "text")), "Not available"));
    assert_null(json_get(none, "value"));
    assert_true(str_eqz(json_text(json_get(none->next, "value")), "-Infinity"));
    assert_true(json_to_f64(json_get(none->next->next, "value"), &v) && v == 1.0 / 3);
    assert_true(str_eqz(json_text(json_get(j, "methods")->first), "置信水平：90%"));
    assert_int_equal(json_get(j, "sources")->count, 2);
    assert_true(json_text(json_get(j, "version")).n > 0);
}

static void the_methods_paragraph_names_program_and_sources(void **state) {
    (void)state;
    char expected[256];
    ev_report_methods(&r, EV_EN, &out);
    snprintf(
        expected, sizeof expected,
        "Methods\n\nConfidence level: 90%% Confidence intervals are at the 95%% level. The computation was done with Gantry %s.\n\nSources\n\n1. A\n2. B\n",
        EV_VERSION);
    assert_out(expected);
}

static void many_entries_are_all_kept(void **state) {
    (void)state;
    for (int i = 0; i < 1000; i++) ev_report_value(&r, "SE", i);
    assert_true(ev_report_ok(&r, &err));
    assert_int_equal(r.entry_count, 1004);
    for (unsigned i = 0; i < 1000; i++) assert_true(r.entries[i + 4].value == i);
}

static void memory_that_ends_is_told(void **state) {
    (void)state;
    struct arena little;
    arena_init(&little, 512);
    ev_report_init(&r, &little, "Methods", 0.95);
    ev_report_value(&r, "SE", 1);
    ev_report_text(&r, "SE", "%01000d", 1);
    assert_false(ev_report_ok(&r, &err));
    arena_deinit(&little);
}

static void every_term_has_its_chinese(void **state) {
    (void)state;
    for (unsigned i = 0; i < EV_TERM_COUNT; i++) {
        assert_ptr_equal(ev_term(EV_TERMS[i].key, EV_ZH), EV_TERMS[i].zh);
        for (char c = '0'; c <= '9'; c++) {
            char hole[] = {'{', c, '}', 0};
            assert_true(!strstr(EV_TERMS[i].key, hole) == !strstr(EV_TERMS[i].zh, hole));
        }
    }
    assert_string_equal(ev_term("no such key", EV_ZH), "no such key");
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(the_table_fits_its_columns),
        T(points_stand_under_one_another_and_readers_in_one_list),
        T(wide_characters_count_two),
        T(json_has_every_digit),
        T(the_methods_paragraph_names_program_and_sources),
        T(many_entries_are_all_kept),
        T(memory_that_ends_is_told),
        T(every_term_has_its_chinese),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
