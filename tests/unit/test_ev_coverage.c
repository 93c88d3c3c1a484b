// Two thousand studies of known truth each: intervals cover and tests reject as often as they say, for small and for large designs.
//
// A share counts as right within three of its own standard errors (0.0146 at 0.95 and 2,000 studies); seeds are fixed.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mod/evidence/simulate_studies.h"

enum { STUDIES = 2000 };

static _Alignas(64) char memory[1 << 24];
static struct arena arena;
static struct err err;
static struct ev_sim_tally tally[EV_SIM_ANALYSES];

static int set_up(void **state) {
    (void)state;
    arena_init_in(&arena, (size_t)1 << 28, memory, sizeof memory); // studies come and go without the allocator
    err_clear(&err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void run(const struct ev_sim_readers *m, uint64_t seed, const enum ev_sim_analysis *wanted, unsigned count) {
    struct ev_sim_studies s = {.studies = STUDIES, .seed = seed, .level = 0.95, .covariance = EV_COV_JACKKNIFE};
    for (unsigned i = 0; i < count; i++) s.wanted[wanted[i]] = true;
    if (ev_sim_studies_run(&arena, m, &s, tally, &err)) return;
    print_error("%s\n", err.message);
    fail();
}
#define RUN(model, seed, ...)                                     \
    do {                                                          \
        const enum ev_sim_analysis wanted[] = {__VA_ARGS__};      \
        run(model, seed, wanted, sizeof wanted / sizeof *wanted); \
    } while (0)

static double share(unsigned of) {
    return (double)of / STUDIES;
}

static void assert_share(const char *what, unsigned of, double nominal) {
    if (fabs(share(of) - nominal) <= 3 * sqrt(nominal * (1 - nominal) / STUDIES)) return;
    print_error("%s: %.4f instead of %.4f\n", what, share(of), nominal);
    fail();
}

static void assert_covers(enum ev_sim_analysis which) {
    assert_int_equal(tally[which].studies, STUDIES);
    assert_share("coverage", tally[which].covered, 0.95);
}

// At most its level; a test may be stricter in a small study, not loose.
static void assert_holds_level(enum ev_sim_analysis which) {
    double p = share(tally[which].rejected), nominal = 0.05;
    if (p <= nominal + 3 * sqrt(nominal * (1 - nominal) / STUDIES) && p >= 0.03) return;
    print_error("type I error %.4f\n", p);
    fail();
}

static struct ev_sim_readers tests_of(double a, double b, unsigned normals, unsigned diseased) {
    return (struct ev_sim_readers){2, 1, normals, diseased, {a, b}, 0, 0, 0.5, 0.5, 0, 0, 1, 0};
}

// ---- areas of single tests ----

static void delong_intervals_cover_in_a_large_study(void **state) {
    (void)state;
    struct ev_sim_readers m = tests_of(0.8, 0.8, 200, 200);
    RUN(&m, 1, EV_SIM_AUC_WALD, EV_SIM_AUC_LOGIT, EV_SIM_PAIRED);
    assert_covers(EV_SIM_AUC_WALD);
    assert_covers(EV_SIM_AUC_LOGIT);
    assert_covers(EV_SIM_PAIRED);
    assert_share("type I error", tally[EV_SIM_PAIRED].rejected, 0.05);
}

static void delong_intervals_cover_in_a_small_study(void **state) {
    (void)state;
    struct ev_sim_readers m = tests_of(0.7, 0.7, 30, 30);
    RUN(&m, 2, EV_SIM_AUC_WALD, EV_SIM_AUC_LOGIT, EV_SIM_PAIRED);
    assert_covers(EV_SIM_AUC_LOGIT);
    assert_covers(EV_SIM_PAIRED);
    assert_share("type I error", tally[EV_SIM_PAIRED].rejected, 0.05);
    assert_true(share(tally[EV_SIM_AUC_WALD].covered) > 0.92); // it falls short a little, see below
}

// The symmetric interval is known to fall short where few cases lie on the wrong side (Newcombe 2006, Stat Med 25:559-573): n (1 - AUC) is 2 here. Reports warn of it below 15 and name the logit interval.
static void the_symmetric_interval_falls_short_near_one_and_the_logit_one_does_not(void **state) {
    (void)state;
    struct ev_sim_readers m = tests_of(0.95, 0.95, 40, 40);
    RUN(&m, 3, EV_SIM_AUC_WALD, EV_SIM_AUC_LOGIT);
    assert_true(share(tally[EV_SIM_AUC_WALD].covered) < 0.92);
    assert_share("coverage", tally[EV_SIM_AUC_LOGIT].covered, 0.95);
}

static void areas_of_categories_with_ties_are_covered(void **state) {
    (void)state;
    struct ev_sim_readers m = tests_of(0.8, 0.85, 100, 100);
    m.categories = 5;
    RUN(&m, 4, EV_SIM_AUC_LOGIT, EV_SIM_PAIRED);
    assert_covers(EV_SIM_AUC_LOGIT);
    assert_covers(EV_SIM_PAIRED);
}

// ---- readers; components as in Roe and Metz 1997, table 1 ----

static struct ev_sim_readers readers_of(unsigned readers, unsigned cases, double a, double b, double reader) {
    return (struct ev_sim_readers){2, readers, cases, cases, {a, b}, reader, reader, 0.3, 0.3, 0.2, 0.2, 1, 0};
}

static void reader_studies_hold_in_a_small_design(void **state) {
    (void)state;
    struct ev_sim_readers m = readers_of(3, 25, 0.702, 0.702, 0.011);
    RUN(&m, 5, EV_SIM_RRRC, EV_SIM_USTAT);
    assert_covers(EV_SIM_RRRC);
    assert_covers(EV_SIM_USTAT);
    assert_holds_level(EV_SIM_RRRC);
    assert_holds_level(EV_SIM_USTAT);
}

static void reader_studies_hold_in_a_middle_design(void **state) {
    (void)state;
    struct ev_sim_readers m = readers_of(5, 50, 0.855, 0.855, 0.0055);
    RUN(&m, 6, EV_SIM_RRRC, EV_SIM_USTAT);
    assert_covers(EV_SIM_RRRC);
    assert_covers(EV_SIM_USTAT);
    assert_holds_level(EV_SIM_RRRC);
    assert_holds_level(EV_SIM_USTAT);
}

static void reader_studies_hold_in_a_large_design(void **state) {
    (void)state;
    struct ev_sim_readers m = readers_of(10, 100, 0.855, 0.855, 0.03);
    RUN(&m, 7, EV_SIM_RRRC);
    assert_covers(EV_SIM_RRRC);
    assert_holds_level(EV_SIM_RRRC);
}

// Three readers are too few for Hillis' degrees of freedom once the cases are many: the test is a little loose, and the report says so (FEW_READERS).
static void three_readers_and_many_cases_reject_too_often(void **state) {
    (void)state;
    struct ev_sim_readers m = readers_of(3, 100, 0.8, 0.8, 0.02);
    RUN(&m, 3, EV_SIM_RRRC, EV_SIM_RRRC_FIRST);
    assert_true(share(tally[EV_SIM_RRRC].rejected) > 0.05 && share(tally[EV_SIM_RRRC].rejected) < 0.08);
    assert_true(share(tally[EV_SIM_RRRC_FIRST].covered) > 0.9 && share(tally[EV_SIM_RRRC_FIRST].covered) < 0.94);
}

static void true_differences_are_covered(void **state) {
    (void)state;
    struct ev_sim_readers m = readers_of(5, 50, 0.8, 0.9, 0.03);
    RUN(&m, 8, EV_SIM_RRRC, EV_SIM_USTAT);
    assert_covers(EV_SIM_RRRC);
    assert_covers(EV_SIM_USTAT);
    assert_true(share(tally[EV_SIM_RRRC].rejected) > 0.5); // and found
}

// What is held fixed must not differ between modalities but by the modality: then the narrower tests keep their level.
static void fixed_readers_and_fixed_cases_hold_where_they_may(void **state) {
    (void)state;
    struct ev_sim_readers m = readers_of(4, 50, 0.8, 0.8, 0.03);
    m.var_tr = 0;
    RUN(&m, 9, EV_SIM_FRRC);
    assert_covers(EV_SIM_FRRC);
    assert_share("type I error", tally[EV_SIM_FRRC].rejected, 0.05);
    m = readers_of(6, 50, 0.8, 0.8, 0.03);
    m.var_e += m.var_tc;
    m.var_tc = 0;
    RUN(&m, 10, EV_SIM_RRFC);
    assert_holds_level(EV_SIM_RRFC);
}

// The estimated variances have the true one for their mean: within four standard errors, an estimate's deviation being below 60 % of it here.
static void variances_of_u_statistics_are_without_bias(void **state) {
    (void)state;
    struct ev_sim_readers m = readers_of(4, 20, 0.8, 0.85, 0.03);
    m.ratio = 0.8;
    RUN(&m, 11, EV_SIM_USTAT, EV_SIM_USTAT_FIRST);
    for (int i = EV_SIM_USTAT; i <= EV_SIM_USTAT_FIRST; i++) {
        double ratio = tally[i].variance / tally[i].true_variance;
        if (fabs(ratio - 1) > 4 * 0.6 / sqrt(STUDIES)) print_error("%.4f of the true variance\n", ratio);
        assert_true(fabs(ratio - 1) <= 4 * 0.6 / sqrt(STUDIES));
        assert_true(fabs(tally[i].estimate - tally[i].truth) < 4 * sqrt(tally[i].true_variance / STUDIES));
    }
}

// ---- the command's answer ----

static void the_report_warns_where_a_level_is_not_kept(void **state) {
    (void)state;
    struct ev_sim_readers m = tests_of(0.95, 0.95, 20, 20);
    struct ev_sim_studies s = {.studies = 500, .seed = 1, .level = 0.95, .wanted = {[EV_SIM_AUC_WALD] = true, [EV_SIM_AUC_LOGIT] = true}};
    struct ev_report r;
    assert_true(ev_sim_studies_run(&arena, &m, &s, tally, &err));
    ev_report_init(&r, &arena, "Simulated studies", 0.95);
    ev_sim_studies_report(&r, &m, &s, tally);
    assert_true(ev_report_ok(&r, &err));
    assert_int_equal(r.warning_count, 1);
    assert_true(str_eqz(r.warnings[0].values[0], "AUC, DeLong, symmetric interval"));
    for (unsigned i = 0; i < r.entry_count; i++) assert_ptr_not_equal(ev_term(r.entries[i].name, EV_ZH), r.entries[i].name);
}

static void analyses_that_do_not_fit_the_design_are_refused(void **state) {
    (void)state;
    struct ev_sim_readers m = tests_of(0.9, 0.9, 20, 20);
    struct ev_sim_studies s = {.studies = 5, .level = 0.95, .wanted = {[EV_SIM_RRRC] = true}};
    assert_false(ev_sim_studies_run(&arena, &m, &s, tally, &err));
    m.treatments = 1;
    s = (struct ev_sim_studies){.studies = 5, .level = 0.95, .wanted = {[EV_SIM_PAIRED] = true}};
    assert_false(ev_sim_studies_run(&arena, &m, &s, tally, &err));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(delong_intervals_cover_in_a_large_study),
        T(delong_intervals_cover_in_a_small_study),
        T(the_symmetric_interval_falls_short_near_one_and_the_logit_one_does_not),
        T(areas_of_categories_with_ties_are_covered),
        T(reader_studies_hold_in_a_small_design),
        T(reader_studies_hold_in_a_middle_design),
        T(reader_studies_hold_in_a_large_design),
        T(three_readers_and_many_cases_reject_too_often),
        T(true_differences_are_covered),
        T(fixed_readers_and_fixed_cases_hold_where_they_may),
        T(variances_of_u_statistics_are_without_bias),
        T(the_report_warns_where_a_level_is_not_kept),
        T(analyses_that_do_not_fit_the_design_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
