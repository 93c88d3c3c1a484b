// CSV: what is read, in which character set, and what is refused with its line.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "text/csv.h"

static struct arena arena;
static struct csv t;
static struct err err;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1 << 24);
    err_clear(&err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void reads(const char *text) {
    if (csv_read(&arena, str_of(text), &t, &err)) return;
    print_error("%s\n", err.message);
    fail();
}

static void refuses(const char *text, const char *message) {
    assert_false(csv_read(&arena, str_of(text), &t, &err));
    if (!strstr(err.message, message)) print_error("%s\n", err.message);
    assert_non_null(strstr(err.message, message));
}

static void assert_field(size_t row, unsigned column, const char *expected) {
    assert_true(str_eqz(csv_at(&t, row, column), expected));
}

static void quotes_and_line_ends_are_those_of_rfc_4180(void **state) {
    (void)state;
    reads("\"a\",b , c\r\n1,\"x, \"\"y\"\"\r\nz\",\r\n\r\n2,  q  ,\"\"\n3,,\"\"\"\"");
    assert_int_equal(t.columns, 3);
    assert_int_equal(t.rows, 3);
    assert_true(str_eqz(t.names[1], "b"));
    assert_field(0, 1, "x, \"y\"\r\nz");
    assert_field(0, 2, "");
    assert_field(1, 1, "q");
    assert_field(2, 2, "\"");
    assert_int_equal(t.line[0], 2);
    assert_int_equal(t.line[1], 5);
    assert_int_equal(t.line[2], 6);
    reads("a,b\r1,2\r3,4\r");
    assert_int_equal(t.rows, 2);
}

static void semicolons_and_tabs_part_too(void **state) {
    (void)state;
    reads("\xEF\xBB\xBFname;score\nx,y;2\n");
    assert_int_equal(t.columns, 2);
    assert_true(str_eqz(t.names[0], "name"));
    assert_field(0, 0, "x,y");
    reads("name\tscore\n\t2\n");
    assert_field(0, 0, "");
    assert_field(0, 1, "2");
    reads("only\n1\n2\n");
    assert_int_equal(t.columns, 1);
    reads("a,b\n");
    assert_int_equal(t.rows, 0);
}

static void chinese_is_read_from_utf8_and_gb18030(void **state) {
    (void)state;
    reads("\xE8\xAF\xBB\xE8\x80\x85,\xE5\x88\x86\n1,2\n");
    assert_int_equal(csv_find(&t, "读者"), 0);
    reads("\xB6\xC1\xD5\xDF,\xB7\xD6\n1,2\n");
    assert_int_equal(csv_find(&t, "读者"), 0);
    assert_int_equal(csv_find(&t, "分"), 1);
    refuses("a,b\n\xFF\xFF,2\n", "neither UTF-8 nor GB18030");
}

static void what_is_no_table_is_refused_with_its_line(void **state) {
    (void)state;
    refuses("", "empty");
    refuses("\n \n", "empty");
    refuses("a,b\n1,2\n\n1,2,3\n", "line 4: 3 fields where the line of names has 2");
    refuses("a,b\n1\n", "line 2: 1 field where");
    refuses("a,b\n1,\"2\n3,4\n", "line 2: a quote is opened");
    refuses("a,b\n1,\"2\"x\n", "line 2: text behind a closing quote");
    refuses("a,b,A\n", "two columns are named");
    reads("a,,\n1,2,3\n"); // columns without a name are no double
}

static void numbers_say_line_and_column(void **state) {
    (void)state;
    double x, *all;
    reads("case,score\n1,0.5\n\n2,NA\n3, -1e-3 \n4,n/a\n5,high\n6,inf\n");
    assert_true(csv_number(&t, 0, 1, &x, &err) && x == 0.5);
    assert_true(csv_number(&t, 1, 1, &x, &err) && isnan(x));
    assert_true(csv_number(&t, 2, 1, &x, &err) && x == -1e-3);
    assert_true(csv_number(&t, 3, 1, &x, &err) && isnan(x));
    assert_false(csv_numbers(&t, 1, &all, &err));
    assert_non_null(strstr(err.message, "line 7, column \"score\": \"high\" is no number"));
    assert_false(csv_number(&t, 5, 1, &x, &err));
    unsigned column;
    assert_true(csv_column(&t, "SCORE", &column, &err) && column == 1);
    assert_false(csv_column(&t, "truth", &column, &err));
    assert_non_null(strstr(err.message, "no column \"truth\"; the table has: case, score"));
}

static void categories_are_numbered(void **state) {
    (void)state;
    struct csv_levels l;
    reads("word,number\nb,10\na,9\nb,NA\n,9.0\nc,-1\n");
    assert_true(csv_levels(&t, 0, &l, &err));
    assert_int_equal(l.count, 3);
    assert_true(str_eqz(l.names[0], "b") && str_eqz(l.names[2], "c"));
    assert_int_equal(l.of[2], 0);
    assert_int_equal(l.of[3], -1);
    assert_true(csv_levels(&t, 1, &l, &err));
    assert_int_equal(l.count, 3);
    assert_true(str_eqz(l.names[0], "-1") && str_eqz(l.names[1], "9") && str_eqz(l.names[2], "10"));
    assert_int_equal(l.of[0], 2);
    assert_int_equal(l.of[3], 1);
    assert_int_equal(l.of[2], -1);
}

static void memory_ends_at_the_arena(void **state) {
    (void)state;
    struct arena little;
    arena_init(&little, 4096);
    char text[8192];
    memset(text, '\n', sizeof text);
    for (size_t i = 0; i + 1 < sizeof text; i += 2) text[i] = '1';
    assert_false(csv_read(&little, (struct str){text, sizeof text}, &t, &err));
    assert_int_equal(err.kind, ERR_TOO_LARGE);
    arena_deinit(&little);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(quotes_and_line_ends_are_those_of_rfc_4180),
        T(semicolons_and_tabs_part_too),
        T(chinese_is_read_from_utf8_and_gb18030),
        T(what_is_no_table_is_refused_with_its_line),
        T(numbers_say_line_and_column),
        T(categories_are_numbered),
        T(memory_ends_at_the_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
