// Figures: what is told stands in the file, whatever the values are.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mod/evidence/plot.h"
#include "mod/evidence/plot_part.h"

static struct arena arena;
static struct ev_plot plot;
static struct buf out;

static int begin(void **state) {
    (void)state;
    arena_init(&arena, 1 << 28);
    buf_init(&out, 1 << 26);
    ev_plot_init(&plot, &arena, "ROC", "x", "y");
    return 0;
}

static int end(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&out);
    return 0;
}

static const char *draw(enum px_page_kind kind) {
    struct err e = {0};
    buf_clear(&out);
    if (!ev_plot_draw(&plot, EV_EN, kind, &out, &e)) fail_msg("%s", e.message);
    buf_addc(&out, '\0');
    return out.p;
}

static unsigned count_of(const char *text, const char *what) {
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what)) n++;
    return n;
}

// Lines of series have this width and the first colour of the palette.
#define LINE "stroke-width:1.8;"

static void add(enum ev_series_kind kind, const double *x, const double *y, size_t n) {
    ev_plot_add(&plot, &(struct ev_series){.kind = kind, .x = x, .y = y, .n = n});
}

static void each_kind_of_file_begins_as_its_format_does(void **state) {
    (void)state;
    static const double x[] = {0, 1}, y[] = {0, 1};
    add(EV_SERIES_LINE, x, y, 2);
    assert_memory_equal(draw(PX_PAGE_PDF), "%PDF-", 5);
    assert_memory_equal(draw(PX_PAGE_PNG), "\x89PNG", 4);
    const char *svg = draw(PX_PAGE_SVG);
    assert_non_null(strstr(svg, "<svg"));
    assert_non_null(strstr(svg, "</svg>"));
}

static void a_title_is_told_to_readers_of_the_file(void **state) {
    (void)state;
    ev_plot_init(&plot, &arena, "读者 <1> & 2", "x", "y");
    const char *svg = draw(PX_PAGE_SVG), *title = strstr(svg, "<title>读者 &lt;1&gt; &amp; 2</title>");
    assert_non_null(title);
    assert_true(title < strstr(svg, "<defs>"));
}

static void a_value_that_is_none_interrupts_the_line(void **state) {
    (void)state;
    static const double x[] = {0, 1, 2, 3, 4}, whole[] = {0, 1, 2, 1, 0}, torn[] = {0, 1, NAN, 1, 0};
    add(EV_SERIES_LINE, x, whole, 5);
    unsigned lines = count_of(draw(PX_PAGE_SVG), LINE);
    ev_plot_init(&plot, &arena, "ROC", "x", "y");
    add(EV_SERIES_LINE, x, torn, 5);
    assert_int_equal(count_of(draw(PX_PAGE_SVG), LINE), lines + 1);
}

static void ten_million_points_make_no_large_file(void **state) {
    (void)state;
    enum { N = 10 * 1000 * 1000 };
    double *x = arena_alloc(&arena, N * sizeof *x, NULL), *y = arena_alloc(&arena, N * sizeof *y, NULL);
    assert_true(x && y);
    for (size_t i = 0; i < N; i++) {
        x[i] = (double)i;
        y[i] = (double)(i * 2654435761u % 1000);
    }
    y[N / 2] = 5000; // one that stands out is still seen: the line reaches the upper edge of the frame, 44 points from the top
    add(EV_SERIES_LINE, x, y, N);
    add(EV_SERIES_DOTS, x, y, 1000 * 1000);
    const char *line = strstr(draw(PX_PAGE_SVG), LINE);
    assert_true(out.n < 32 << 20);
    assert_non_null(line);
    assert_non_null(strstr(line, " 44 L "));
}

static void values_at_the_ends_of_doubles_are_drawn(void **state) {
    (void)state;
    static const double cases[][3] = {{1e300, -1e300, 1e300}, {1e-300, 2e-300, 3e-300}, {5, 5, 5}, {0, 0, 0}, {NAN, NAN, NAN},
                                      {INFINITY, 1, 2},       {-1.7e308, 1.7e308, 0}};
    static const double x[] = {1, 2, 3};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        ev_plot_init(&plot, &arena, "ROC", NULL, NULL);
        add(EV_SERIES_LINE, x, cases[i], 3);
        add(EV_SERIES_DOTS, cases[i], x, 3);
        add(EV_SERIES_STEP, x, cases[i], 3);
        ev_plot_add(&plot, &(struct ev_series){.kind = EV_SERIES_BAND, .x = x, .y = cases[i], .y2 = x, .n = 3});
        assert_non_null(strstr(draw(PX_PAGE_SVG), "</svg>"));
        assert_null(strstr(out.p, "nan"));
        assert_null(strstr(out.p, "inf"));
    }
}

static void an_empty_figure_is_a_frame(void **state) {
    (void)state;
    assert_non_null(strstr(draw(PX_PAGE_SVG), "</svg>"));
}

static void ticks_are_whole_steps_within_the_axis(void **state) {
    (void)state;
    struct ev_axis axis = {0};
    double v;
    char text[64];
    ev_axis_fit(&axis, -0.13, 0.04, false, false, 6);
    assert_true(axis.step == 0.05 && fabs(axis.lo + 0.15) < 1e-12 && fabs(axis.hi - 0.05) < 1e-12);
    assert_true(ev_axis_tick(&axis, 0, &v, text));
    assert_string_equal(text, "\xE2\x88\x92"
                              "0.15");
    assert_true(ev_axis_tick(&axis, 3, &v, text));
    assert_string_equal(text, "0.00");
    assert_true(ev_axis_tick(&axis, 4, &v, text));
    assert_false(ev_axis_tick(&axis, 5, &v, text));
}

static void an_end_that_is_told_is_kept(void **state) {
    (void)state;
    struct ev_axis axis = {0};
    ev_axis_fit(&axis, 0, 0.97, true, true, 5);
    assert_true(axis.lo == 0 && axis.hi == 0.97);
    ev_axis_fit(&axis, 3, 3, false, false, 5);
    assert_true(axis.lo < 3 && axis.hi > 3);
}

static void a_report_with_intervals_becomes_a_forest(void **state) {
    (void)state;
    struct ev_report r;
    ev_report_init(&r, &arena, "ROC", 0.95);
    ev_report_group(&r, "读者 %d", 1);
    ev_report_estimate(&r, "AUC", 0.9, 0.02, 0.86, 0.94);
    ev_report_value(&r, "cases", 100);
    ev_report_in(&r, "time", 3, "min");
    ev_report_group(&r, "读者 %d", 2);
    ev_report_estimate(&r, "AUC", 0.8, 0.02, 0.76, 0.84);
    assert_true(ev_plot_of_report(&plot, &arena, &r));
    assert_int_equal(plot.row_count, 2); // a line for each reader
    assert_true(str_eqz(plot.rows[1].label, "读者 2") && plot.rows[0].value == 0.9 && plot.rows[1].hi == 0.84);
    assert_string_equal(plot.x_label, "AUC");
    assert_true(isnan(plot.reference));
    assert_non_null(strstr(draw(PX_PAGE_SVG), "</svg>"));
}

static void values_of_different_names_are_a_forest_under_their_groups(void **state) {
    (void)state;
    struct ev_report r;
    ev_report_init(&r, &arena, "ROC", 0.95);
    ev_report_group(&r, "at 3");
    ev_report_estimate(&r, "Sensitivity", 0.9, 0.02, 0.86, 0.94);
    ev_report_estimate(&r, "Specificity", 0.8, 0.02, 0.76, 0.84);
    ev_report_none(&r, "AUC", "one class only");
    assert_true(ev_plot_of_report(&plot, &arena, &r));
    assert_int_equal(plot.row_count, 3);
    assert_true(plot.rows[0].heading && plot.rows[2].value == 0.8);
}

static void a_forest_of_differences_has_its_line_at_zero(void **state) {
    (void)state;
    struct ev_report r;
    ev_report_init(&r, &arena, "ROC", 0.95);
    ev_report_estimate(&r, "AUC", 0.02, 0.02, -0.02, 0.06);
    assert_true(ev_plot_of_report(&plot, &arena, &r));
    assert_true(plot.reference == 0);
    ev_report_init(&r, &arena, "ROC", 0.95);
    ev_report_value(&r, "cases", 100);
    assert_false(ev_plot_of_report(&plot, &arena, &r));
}

static void a_forest_too_long_for_a_page_is_refused(void **state) {
    (void)state;
    struct err e = {0};
    for (unsigned i = 0; i < 1000; i++) ev_plot_row(&plot, &(struct ev_forest_row){.label = STR_LIT("A"), .value = i, .lo = i, .hi = i});
    assert_false(ev_plot_draw(&plot, EV_EN, PX_PAGE_SVG, &out, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
}

static void memory_that_ends_shows_in_the_drawing(void **state) {
    (void)state;
    struct arena small;
    struct err e = {0};
    arena_init(&small, 64);
    ev_plot_init(&plot, &small, "ROC", NULL, NULL);
    for (unsigned i = 0; i < 10; i++) ev_plot_level(&plot, "x", i, 0, false);
    assert_false(ev_plot_draw(&plot, EV_EN, PX_PAGE_SVG, &out, &e));
    assert_int_equal(e.kind, ERR_NOMEM);
    arena_deinit(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_of_file_begins_as_its_format_does, begin, end),
        cmocka_unit_test_setup_teardown(a_title_is_told_to_readers_of_the_file, begin, end),
        cmocka_unit_test_setup_teardown(a_value_that_is_none_interrupts_the_line, begin, end),
        cmocka_unit_test_setup_teardown(ten_million_points_make_no_large_file, begin, end),
        cmocka_unit_test_setup_teardown(values_at_the_ends_of_doubles_are_drawn, begin, end),
        cmocka_unit_test_setup_teardown(an_empty_figure_is_a_frame, begin, end),
        cmocka_unit_test_setup_teardown(ticks_are_whole_steps_within_the_axis, begin, end),
        cmocka_unit_test_setup_teardown(an_end_that_is_told_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(a_report_with_intervals_becomes_a_forest, begin, end),
        cmocka_unit_test_setup_teardown(values_of_different_names_are_a_forest_under_their_groups, begin, end),
        cmocka_unit_test_setup_teardown(a_forest_of_differences_has_its_line_at_zero, begin, end),
        cmocka_unit_test_setup_teardown(a_forest_too_long_for_a_page_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(memory_that_ends_shows_in_the_drawing, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
