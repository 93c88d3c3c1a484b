// Tables of reference values, their parameters, and tables of data as CSV and JSON.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mod/evidence/table.h"
#include "mod/evidence/verify.h"

// ---- parameters ----

static struct ev_question question(const char *parameters) {
    return (struct ev_question){.parameters = str_of(parameters)};
}

#define assert_piece(q, i, text) assert_true(str_eqz(ev_piece(q, i), text))

static void parameters_are_parted_by_semicolons_outside_of_brackets(void **state) {
    (void)state;
    struct ev_question q = question("vision 4x4 table rows=right eye: [1520,266;234,1512]; weights=linear ;range (a;b)");
    struct str v;
    assert_piece(&q, 0, "vision 4x4 table rows=right eye: [1520,266;234,1512]");
    assert_piece(&q, 1, "weights=linear");
    assert_piece(&q, 2, "range (a;b)");
    assert_null(ev_piece(&q, 3).p);
    assert_true(ev_parameter(&q, "Weights", &v));
    assert_true(str_eqz(v, "linear"));
    assert_false(ev_parameter(&q, "weight", &v));
}

static void a_bracket_that_is_never_opened_parts_nothing(void **state) {
    (void)state;
    struct ev_question q = question("a);b=1];c=2");
    double c;
    struct err e = {0};
    assert_piece(&q, 0, "a)");
    assert_true(ev_parameter_number(&q, "c", &c, &e));
    assert_true(c == 2);
}

static void a_word_alone_is_found_whatever_its_case(void **state) {
    (void)state;
    struct ev_question q = question("predictor=s100b;Threshold");
    assert_true(ev_has_word(&q, "threshold"));
    assert_false(ev_has_word(&q, "s100b"));
    q = question("");
    assert_false(ev_has_word(&q, "threshold"));
    q.parameters = (struct str){NULL, 0};
    assert_null(ev_piece(&q, 0).p);
}

static void a_number_may_be_followed_by_its_unit(void **state) {
    (void)state;
    struct ev_question q = question("shift=0.5 sigma;alpha=.05 two-sided;k=abc;n=-3e2");
    struct err e = {0};
    double v;
    assert_true(ev_parameter_number(&q, "shift", &v, &e) && v == 0.5);
    assert_true(ev_parameter_number(&q, "alpha", &v, &e) && v == 0.05);
    assert_true(ev_parameter_number(&q, "n", &v, &e) && v == -300);
    assert_false(ev_parameter_number(&q, "k", &v, &e));
    assert_non_null(strstr(e.message, "'abc'"));
    assert_false(ev_parameter_number(&q, "h", &v, &e));
    assert_non_null(strstr(e.message, "'h' is missing"));
}

// ---- tables of data ----

static bool read_table(struct arena *a, const char *text, struct csv *t, struct err *e) {
    *e = (struct err){0};
    return ev_table_read(a, str_of(text), t, e);
}

static void csv_and_both_kinds_of_json_are_the_same_table(void **state) {
    (void)state;
    static const char *const same[] = {
        "reader,score\nA,0.5\n张,\n",
        "[{\"reader\":\"A\",\"score\":0.5},{\"reader\":\"张\",\"score\":null}]",
        " [{\"reader\":\"A\",\"score\":0.5},\n{\"reader\":\"\\u5f20\"}]",
        "\xEF\xBB\xBF{\"reader\":[\"A\",\"张\"],\"score\":[0.5,null]}",
    };
    for (unsigned i = 0; i < sizeof same / sizeof *same; i++) {
        struct arena a;
        struct csv t;
        struct err e;
        double score;
        arena_init(&a, 1 << 20);
        assert_true(read_table(&a, same[i], &t, &e));
        assert_int_equal(t.columns, 2);
        assert_int_equal(t.rows, 2);
        assert_int_equal(csv_find(&t, "Reader"), 0);
        assert_true(str_eqz(csv_at(&t, 1, 0), "张"));
        assert_true(csv_number(&t, 0, 1, &score, &e) && score == 0.5);
        assert_true(csv_number(&t, 1, 1, &score, &e) && isnan(score));
        arena_deinit(&a);
    }
}

static void rows_of_json_know_their_line(void **state) {
    (void)state;
    struct arena a;
    struct csv t;
    struct err e;
    double score;
    arena_init(&a, 1 << 20);
    assert_true(read_table(&a, "[\n{\"b\":1},\n\n{\"a\":true,\"b\":\"x\"}]", &t, &e));
    assert_int_equal(t.line[0], 2);
    assert_int_equal(t.line[1], 4);
    assert_true(csv_number(&t, 1, 1, &score, &e) && score == 1); // column a, which only the second row has
    assert_false(csv_number(&t, 1, 0, &score, &e));
    assert_non_null(strstr(e.message, "line 4"));
    arena_deinit(&a);
}

static void json_that_is_no_table_is_refused_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"[1,2]", "no object"},
        {"[{\"a\":[1]}]", "array or an object"},
        {"{\"a\":1}", "no array"},
        {"{\"a\":[1,2],\"b\":[1]}", "'b' has 1 values where the first column has 2"},
        {"{\"a\":[1],\"a\":[1]}", "twice"},
        {"{}", "no columns"},
        {"[]", "no columns"},
        {"[{\"a\":1}", "line 1"},
        {"[[[[[[1]]]]]]", ""},
    };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct arena a;
        struct csv t;
        struct err e;
        arena_init(&a, 1 << 20);
        assert_false(read_table(&a, bad[i].text, &t, &e));
        if (!strstr(e.message, bad[i].words)) fail_msg("%s: %s", bad[i].text, e.message);
        arena_deinit(&a);
    }
}

static void memory_that_ends_is_an_error_at_every_point(void **state) {
    (void)state;
    static const char text[] = "{\"reader\":[\"A\",\"B\\n\"],\"score\":[0.5,1]}";
    bool read = false;
    for (size_t ceiling = 0; !read && ceiling < 1 << 20; ceiling += 16) {
        struct arena a;
        struct csv t;
        struct err e;
        arena_init(&a, ceiling);
        read = read_table(&a, text, &t, &e);
        if (!read) assert_int_equal(e.kind, ERR_TOO_LARGE);
        arena_deinit(&a);
    }
    assert_true(read);
}

// ---- tables of reference values ----

static bool sum_of(const struct ev_question *q, double *value, struct err *e) {
    struct str name;
    unsigned column;
    double *x;
    if (!q->data) return err_set(e, EV_NOT_MINE, "test", "no data");
    if (!ev_parameter(q, "column", &name)) return err_set(e, ERR_BAD_INPUT, "test", "no column is named");
    const char *z = arena_strz(q->arena, name, e);
    if (!z || !csv_column(q->data, z, &column, e) || !csv_numbers(q->data, column, &x, e)) return false;
    *value = 0;
    for (size_t i = 0; i < q->data->rows; i++) *value += x[i];
    return true;
}

static bool inline_sum(const struct ev_question *q, double *value, struct err *e) {
    double a, b;
    if (!ev_parameter_number(q, "a", &a, e) || !ev_parameter_number(q, "b", &b, e)) return false;
    *value = a + b;
    return true;
}

static bool rows_of_marks(const struct ev_question *q, double *value, struct err *e) {
    const struct csv *t = q->table(q, "_marks", e);
    if (!t) return false;
    *value = (double)t->rows;
    return true;
}

static bool infinite(const struct ev_question *q, double *value, struct err *e) {
    (void)e;
    *value = ev_has_word(q, "nan") ? NAN : INFINITY;
    return true;
}

static bool anything(const struct ev_question *q, double *value, struct err *e) {
    (void)e;
    *value = (double)q->statistic.n;
    return true;
}

static const struct ev_statistic FIRST[] = {{"open_*", anything}, {"sum", sum_of}, {"marks", rows_of_marks}, {0}};
static const struct ev_statistic SECOND[] = {{"sum", inline_sum}, {"open_end", infinite}, {0}};
static const struct ev_statistic *const LISTS[] = {FIRST, SECOND, NULL};

struct outcome {
    unsigned count, reads;
    struct ev_verdict verdict[32];
    char words[32][200];
};

static bool read_file(void *ctx, const char *file, struct arena *a, struct str *text, struct err *e) {
    (void)a;
    ((struct outcome *)ctx)->reads++;
    if (strcmp(file, "x.csv") == 0) return *text = STR_LIT("x,y\n1,2\n3,4\n"), true;
    if (strcmp(file, "froc_marks.csv") == 0) return *text = STR_LIT("rating\n1\n2\n3\n"), true;
    if (strcmp(file, "bad.csv") == 0) return *text = STR_LIT("x,y\n1\n"), true;
    return err_set(e, ERR_NOT_FOUND, "test", "is not there");
}

static void keep(void *ctx, const struct ev_verdict *v) {
    struct outcome *o = ctx;
    snprintf(o->words[o->count], sizeof o->words[0], "%s", v->words ? v->words : "");
    o->verdict[o->count++] = *v;
}

static struct ev_verification run_rows(const char *rows, struct outcome *o) {
    struct ev_verification v = {.read = read_file, .each = keep, .ctx = o, .statistics = LISTS};
    char text[4096];
    struct arena a;
    struct csv t;
    struct err e = {0};
    *o = (struct outcome){0};
    snprintf(text, sizeof text, "dataset,statistic,parameters,value,abs_tolerance,source\n%s", rows);
    arena_init(&a, 1 << 24);
    assert_true(csv_read(&a, str_of(text), &t, &e));
    assert_true(ev_verify(&a, &t, &v, &e));
    arena_deinit(&a);
    return v;
}

static void a_row_passes_when_ours_is_within_its_tolerance(void **state) {
    (void)state;
    struct outcome o;
    struct ev_verification v = run_rows("x.csv,sum,column=x,4.0005,0.001,a book\nx.csv,sum,column=x,4.002,0.001,\nx.csv,sum,column=y,6,0,\n", &o);
    assert_int_equal(v.rows, 3);
    assert_int_equal(v.passed, 2);
    assert_true(o.verdict[0].pass && !o.verdict[1].pass && o.verdict[2].pass);
    assert_string_equal(o.words[1], "off by -0.002");
    assert_int_equal(o.verdict[1].line, 3);
    assert_int_equal(o.reads, 1); // the file is read once
}

static void a_row_that_cannot_be_answered_fails_with_the_reason(void **state) {
    (void)state;
    struct outcome o;
    struct ev_verification v = run_rows("x.csv,median,column=x,4,1,\nx.csv,sum,column=z,4,1,\ngone.csv,sum,column=x,4,1,\nbad.csv,sum,column=x,4,1,\n"
                                        "../x.csv,sum,column=x,4,1,\nx.csv,sum,column=x,four,1,\nx.csv,sum,column=x,4,,\nx.csv,sum,column=x,4,-1,\n"
                                        "froc,sum,column=x,4,1,\n",
                                        &o);
    static const char *const words[] = {
        "no statistic of the name 'median'",       "z",         "gone.csv: is not there", "bad.csv: ", "'../x.csv'", "expected value is no number: 'four'",
        "tolerance is no number of 0 or more: ''", "tolerance", "'a' is missing"};
    assert_int_equal(v.rows, 9);
    assert_int_equal(v.passed, 0);
    assert_int_equal(v.unanswered, 9);
    for (unsigned i = 0; i < 9; i++)
        if (!strstr(o.words[i], words[i])) fail_msg("row %u: %s", i, o.words[i]);
}

static void several_functions_of_one_name_are_asked_in_turn(void **state) {
    (void)state;
    struct outcome o;
    struct ev_verification v = run_rows("inline,sum,a=1;b=2,3,0,\nx.csv,sum,column=x,4,0,\n", &o);
    assert_int_equal(v.passed, 2);
}

static void a_whole_name_goes_before_an_open_one(void **state) {
    (void)state;
    struct outcome o;
    struct ev_verification v = run_rows("inline,open_end,,inf,0,\ninline,open_ended,,10,0,\ninline,OPEN_END,,9,0,\n", &o);
    assert_int_equal(v.passed, 2);
    assert_string_equal(o.words[2], "another kind of number");
}

static void what_is_no_number_passes_only_against_the_same(void **state) {
    (void)state;
    struct outcome o;
    struct ev_verification v = run_rows("inline,open_end,nan,nan,0,\ninline,open_end,nan,0,1e9,\ninline,open_end,,-inf,0,\ninline,open_end,,nan,0,\n", &o);
    assert_int_equal(v.passed, 1);
    assert_true(o.verdict[0].pass);
}

static void a_dataset_may_be_several_files(void **state) {
    (void)state;
    struct outcome o;
    struct ev_verification v = run_rows("froc,marks,,3,0,\nx.csv,marks,,3,0,\n", &o);
    assert_int_equal(v.passed, 1);
    assert_non_null(strstr(o.words[1], "x_marks.csv: is not there"));
}

static void a_table_of_other_columns_is_no_table_of_reference_values(void **state) {
    (void)state;
    struct ev_verification v = {.read = read_file, .each = keep, .statistics = LISTS};
    struct arena a;
    struct csv t;
    struct err e = {0};
    arena_init(&a, 1 << 24);
    assert_true(csv_read(&a, STR_LIT("dataset,statistic,value\nx,y,1\n"), &t, &e));
    assert_false(ev_verify(&a, &t, &v, &e));
    assert_non_null(strstr(e.message, "parameters"));
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_parted_by_semicolons_outside_of_brackets),
        cmocka_unit_test(a_bracket_that_is_never_opened_parts_nothing),
        cmocka_unit_test(a_word_alone_is_found_whatever_its_case),
        cmocka_unit_test(a_number_may_be_followed_by_its_unit),
        cmocka_unit_test(csv_and_both_kinds_of_json_are_the_same_table),
        cmocka_unit_test(rows_of_json_know_their_line),
        cmocka_unit_test(json_that_is_no_table_is_refused_with_its_place),
        cmocka_unit_test(memory_that_ends_is_an_error_at_every_point),
        cmocka_unit_test(a_row_passes_when_ours_is_within_its_tolerance),
        cmocka_unit_test(a_row_that_cannot_be_answered_fails_with_the_reason),
        cmocka_unit_test(several_functions_of_one_name_are_asked_in_turn),
        cmocka_unit_test(a_whole_name_goes_before_an_open_one),
        cmocka_unit_test(what_is_no_number_passes_only_against_the_same),
        cmocka_unit_test(a_dataset_may_be_several_files),
        cmocka_unit_test(a_table_of_other_columns_is_no_table_of_reference_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
