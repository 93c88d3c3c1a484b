// Waiting for a radiologist: closed forms, the theory of several readers against the whole chain, and the simulator against both.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena_fixture.h"
#include "mod/evidence/queue.h"
#include "mod/evidence/queue_chain.h"
#include "mod/evidence/verify.h"

static const char *DATA; // folder of reference tables, or NULL

static void assert_near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) fail_msg("%.10g is not %.10g within %g", a, b, tolerance);
}

// ---- closed forms ----

static void test_erlang_c_waits(void **state) {
    (void)state;
    assert_near(queue_mmc_wait(1, 0.05, 0.1), 10, 1e-12);       // rho/(mu - lambda)
    assert_near(queue_mmc_wait(2, 0.1, 0.1), 10.0 / 3, 1e-12);  // C(2, 1) = 1/3
    assert_near(queue_mmc_wait(10, 8, 1), 0.4091801 / 2, 1e-7); // C(10, 8 erlang) = 0.40918
    assert_near(queue_mmc_wait(64, 1e-9, 1), 0, 1e-300);
    assert_true(isnan(queue_mmc_wait(2, 0.2, 0.1)));
}

// Work does not depend on the order of classes that interrupt each other (Kleinrock 3.4): the sum of load times time in system is that of no priority, for exponential times of one rate.
static void test_priority_moves_waits_and_keeps_their_mean(void **state) {
    (void)state;
    double arrivals[3] = {0.01, 0.02, 0.04}, mean[3] = {10, 10, 10}, second[3] = {200, 200, 200}, one[3], same[3];
    queue_one_server_waits(3, arrivals, mean, second, one);
    queue_same_rate_waits(1, 3, arrivals, 0.1, same);
    for (unsigned i = 0; i < 3; i++) assert_near(one[i], same[i], 1e-9);
    assert_near((one[0] + 2 * one[1] + 4 * one[2]) / 7, queue_mmc_wait(1, 0.07, 0.1), 1e-9);
    assert_true(one[0] < one[1] && one[1] < one[2]);
}

static void test_phases_have_the_moments_that_they_were_fitted_to(void **state) {
    (void)state;
    static const double MOMENTS[][3] = {
        {1, 2, 6}, {1, 3, 20}, {2, 9, 70}, {1, 1.45, 3}, {1, 1.21, 1.73}, {10.337240229708543, 159.79500610031496, 3478.1607935885486}, {1, 3, 14}};
    for (unsigned i = 0; i < sizeof MOMENTS / sizeof *MOMENTS; i++) {
        struct queue_phases p;
        assert_true(queue_phases_fit(MOMENTS[i], &p));
        // moments of the Coxian part, then those of the Erlang stages before it
        double a = 1 / p.first, b = p.on > 0 ? 1 / p.second : 0,
               m[4] = {1, a + p.on * b, 2 * (a * a + p.on * (a * b + b * b)), 6 * (a * a * a + p.on * (a * a * b + a * b * b + b * b * b))};
        for (unsigned k = 0; k < p.erlang; k++) {
            double c = 1 / p.erlang_rate;
            m[3] += 3 * m[2] * c + 6 * m[1] * c * c + 6 * c * c * c;
            m[2] += 2 * m[1] * c + 2 * c * c;
            m[1] += c;
        }
        for (unsigned k = 0; k < 3; k++) assert_near(p.enter * m[k + 1], MOMENTS[i][k], 1e-8 * MOMENTS[i][k]);
    }
    struct queue_phases p;
    assert_false(queue_phases_fit((const double[3]){1, 1, 1}, &p)); // a constant has no phases
    assert_false(queue_phases_fit((const double[3]){1, 0.5, 1}, &p));
}

// ---- several readers against the whole chain ----

enum { H = 9, M = 14, L = 70 };

// Rates out of (h, m, l) of three classes, cut off where the chain is practically never.
static void rates_at(unsigned c, const struct queue_class *k, unsigned h, unsigned m, unsigned l, double out[6]) {
    unsigned sh = h < c ? h : c, sm = m < c - sh ? m : c - sh, sl = l < c - sh - sm ? l : c - sh - sm;
    out[0] = h + 1 < H ? k[0].arrivals : 0;
    out[1] = m + 1 < M ? k[1].arrivals : 0;
    out[2] = l + 1 < L ? k[2].arrivals : 0;
    out[3] = sh * k[0].service;
    out[4] = sm * k[1].service;
    out[5] = sl * k[2].service;
}

static double whole_chain(unsigned c, const struct queue_class *k) {
    static double p[H][M][L];
    for (unsigned i = 0; i < H * M * L; i++) (&p[0][0][0])[i] = 1.0 / (H * M * L);
    double before = -1, mean = 0;
    for (unsigned sweep = 1; sweep < 4000 && fabs(mean - before) > 1e-10; sweep++) { // Gauss-Seidel
        double total = 0, number = 0;
        for (unsigned h = 0; h < H; h++) {
            for (unsigned m = 0; m < M; m++) {
                for (unsigned l = 0; l < L; l++) {
                    double out[6], in[6], flow = 0;
                    rates_at(c, k, h, m, l, out);
                    if (h) {
                        rates_at(c, k, h - 1, m, l, in);
                        flow += p[h - 1][m][l] * in[0];
                    }
                    if (m) {
                        rates_at(c, k, h, m - 1, l, in);
                        flow += p[h][m - 1][l] * in[1];
                    }
                    if (l) {
                        rates_at(c, k, h, m, l - 1, in);
                        flow += p[h][m][l - 1] * in[2];
                    }
                    if (h + 1 < H) {
                        rates_at(c, k, h + 1, m, l, in);
                        flow += p[h + 1][m][l] * in[3];
                    }
                    if (m + 1 < M) {
                        rates_at(c, k, h, m + 1, l, in);
                        flow += p[h][m + 1][l] * in[4];
                    }
                    if (l + 1 < L) {
                        rates_at(c, k, h, m, l + 1, in);
                        flow += p[h][m][l + 1] * in[5];
                    }
                    p[h][m][l] = flow / (out[0] + out[1] + out[2] + out[3] + out[4] + out[5]);
                    total += p[h][m][l];
                    number += l * p[h][m][l];
                }
            }
        }
        for (unsigned i = 0; i < H * M * L; i++) (&p[0][0][0])[i] /= total;
        if (sweep % 8) continue;
        before = mean;
        mean = number / total;
    }
    return mean / k[2].arrivals - 1 / k[2].service;
}

static void test_the_lowest_of_three_classes_waits_as_in_the_whole_chain(void **state) {
    (void)state;
    static const struct queue_class K[][3] = {
        {{0.02, 0.2}, {0.02, 0.1}, {0.06, 0.1}},
        {{0.06, 0.2}, {0.01, 0.1}, {0.07, 0.1}}, // its fits want two Erlang stages
        {{0.04, 0.25}, {0.05, 0.08}, {0.05, 0.15}},
    };
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned c = 2; c <= 3; c++) {
            double ours = NAN;
            assert_true(queue_lowest_wait(&arena, c, K[i], 3, QUEUE_FIT_FULL, &ours, &why));
            assert_near(ours, whole_chain(c, K[i]), 1e-4 * ours + 2e-6);
        }
    }
}

static void test_equal_rates_need_no_reduction(void **state) {
    (void)state;
    static const struct queue_class K[3] = {{0.05, 0.1}, {0.04, 0.1}, {0.09, 0.1}};
    double arrivals[3] = {0.05, 0.04, 0.09}, same[3], two = NAN, three = NAN;
    for (unsigned c = 2; c <= 6; c++) {
        queue_same_rate_waits(c, 3, arrivals, 0.1, same);
        assert_true(queue_lowest_wait(&arena, c, K, 2, QUEUE_FIT_FULL, &two, &why) && queue_lowest_wait(&arena, c, K, 3, QUEUE_FIT_FULL, &three, &why));
        assert_near(two, same[1], 1e-6 + 1e-5 * same[1]);
        assert_near(three, same[2], 1e-6 + 1e-4 * same[2]);
    }
}

// ---- triage ----

static struct queue_triage setting(unsigned radiologists, double interrupting, double traffic, double diseased_minutes, double others_minutes) {
    return (struct queue_triage){radiologists, interrupting, traffic, 0.1, 0.9, 0.9, diseased_minutes, others_minutes, 5};
}

// QuCAD user manual, listing 9.
static void test_the_manual_of_the_published_program(void **state) {
    (void)state;
    struct queue_triage t = setting(2, 0.1, 0.8, 10, 10);
    struct queue_waits w, full;
    assert_true(queue_triage_theory(&arena, &t, QUEUE_FIT_AS_PUBLISHED, &w, &why));
    assert_near(w.without, 18.29, 0.005);
    assert_near(w.diseased, 2.57, 0.005);
    assert_near(queue_change(&w, w.diseased), -15.72, 0.005);
    assert_near(queue_change(&w, w.nondiseased), 1.70, 0.005);
    assert_near(queue_change(&w, w.positive), -17.90, 0.005);
    assert_near(queue_change(&w, w.negative), 3.87, 0.005);
    assert_true(queue_triage_theory(&arena, &t, QUEUE_FIT_FULL, &full, &why)); // differs in what that program leaves out
    assert_near(full.negative, w.negative, 0.06);
    assert_near(full.positive, w.positive, 1e-12);
}

static void test_groups_that_nobody_is_in_have_no_wait(void **state) {
    (void)state;
    struct queue_waits w;
    struct queue_triage t = setting(2, 0, 0.5, 10, 10);
    t.prevalence = 0;
    t.specificity = 1;
    assert_true(queue_triage_theory(&arena, &t, QUEUE_FIT_FULL, &w, &why));
    assert_true(isnan(w.interrupting) && isnan(w.positive) && isnan(w.diseased));
    assert_near(w.negative, w.without, 1e-12);
    assert_near(w.nondiseased, w.without, 1e-12);
    t.prevalence = t.sensitivity = 1;
    assert_true(queue_triage_theory(&arena, &t, QUEUE_FIT_FULL, &w, &why));
    assert_true(isnan(w.negative) && isnan(w.nondiseased));
    assert_near(w.diseased, w.without, 1e-12);
}

static void test_settings_out_of_range_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        struct queue_triage t;
        const char *says;
    } BAD[] = {
        {{0, 0, 0.5, 0.1, 0.9, 0.9, 10, 10, 5}, "radiologists"},
        {{2, 0, 1, 0.1, 0.9, 0.9, 10, 10, 5}, "traffic"},
        {{2, 1, 0.5, 0.1, 0.9, 0.9, 10, 10, 5}, "interrupting"},
        {{2, 0, 0.5, NAN, 0.9, 0.9, 10, 10, 5}, "prevalence"},
        {{2, 0, 0.5, 0.1, 90, 0.9, 10, 10, 5}, "sensitivity"},
        {{2, 0, 0.5, 0.1, 0.9, -1, 10, 10, 5}, "specificity"},
        {{2, 0, 0.5, 0.1, 0.9, 0.9, 0, 10, 5}, "reading time of the dis"},
        {{2, 0.1, 0.5, 0.1, 0.9, 0.9, 1, 1, INFINITY}, "interrupting"},
    };
    struct queue_waits w;
    for (unsigned i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_false(queue_triage_theory(&arena, &BAD[i].t, QUEUE_FIT_FULL, &w, &why));
        assert_non_null(strstr(why.message, BAD[i].says));
    }
    struct queue_triage many = setting(9, 0.1, 0.5, 10, 10);
    assert_false(queue_triage_theory(&arena, &many, QUEUE_FIT_FULL, &w, &why));
    assert_int_equal(why.kind, ERR_UNSUPPORTED);
}

// ---- simulation ----

static struct queue_simulated simulate(const struct queue_triage *t, struct queue_plan plan) {
    struct queue_simulated s;
    if (!queue_triage_simulate(&arena, t, &plan, &s, &why)) fail_msg("%s", why.message);
    return s;
}

// Within 4.5 errors: with fixed seeds this either holds or does not.
static void assert_simulated(const struct queue_estimate *s, double theory) {
    if (!(fabs(s->mean - theory) <= 4.5 * s->se + 1e-4 * theory)) fail_msg("%.5g +- %.2g is not %.5g", s->mean, s->se, theory);
}

static void test_simulation_meets_the_theory_of_its_own_assumption(void **state) {
    (void)state;
    static const double CASES[][5] = {{1, 0, 0.5, 10, 10},   {1, 0.3, 0.8, 15, 8}, {2, 0, 0.8, 15, 8},
                                      {2, 0.1, 0.8, 10, 10}, {2, 0.3, 0.5, 15, 8}, {4, 0.2, 0.7, 20, 6}};
    for (unsigned i = 0; i < 6; i++) {
        struct queue_triage t = setting((unsigned)CASES[i][0], CASES[i][1], CASES[i][2], CASES[i][3], CASES[i][4]);
        struct queue_simulated s = simulate(&t, (struct queue_plan){.patients = 300000, .seed = 11 + i, .reading = QUEUE_READING_BY_CLASS});
        struct queue_waits w;
        assert_true(queue_triage_theory(&arena, &t, QUEUE_FIT_FULL, &w, &why));
        assert_simulated(&s.without, w.without);
        assert_simulated(&s.positive, w.positive);
        assert_simulated(&s.negative, w.negative);
        assert_simulated(&s.change_positive, queue_change(&w, w.positive));
        assert_simulated(&s.change_negative, queue_change(&w, w.negative));
        if (t.interrupting > 0) assert_simulated(&s.interrupting, w.interrupting);
    }
}

static void test_simulation_by_truth_meets_the_exact_waits_of_one_reader(void **state) {
    (void)state;
    struct queue_triage t = setting(1, 0.1, 0.8, 25, 6);
    struct queue_simulated s = simulate(&t, (struct queue_plan){.patients = 1000000, .seed = 3});
    struct queue_waits w;
    queue_triage_one_reader(&t, &w);
    assert_simulated(&s.without, w.without);
    assert_simulated(&s.positive, w.positive);
    assert_simulated(&s.negative, w.negative);
    assert_simulated(&s.diseased, w.diseased);
    assert_simulated(&s.nondiseased, w.nondiseased);
}

static void test_a_device_that_calls_nobody_changes_nothing(void **state) {
    (void)state;
    struct queue_triage t = setting(3, 0.1, 0.9, 10, 10);
    t.sensitivity = 0;
    t.specificity = 1;
    struct queue_simulated s = simulate(&t, (struct queue_plan){.patients = 20000, .seed = 1});
    assert_int_equal(s.positive.n, 0);
    assert_true(isnan(s.positive.mean) && isnan(s.change_positive.mean));
    assert_near(s.change_negative.mean, 0, 1e-9);
    assert_near(s.change_negative.se, 0, 1e-9);
}

static void test_every_patient_is_counted_once_and_a_seed_repeats(void **state) {
    (void)state;
    struct queue_triage t = setting(2, 0.2, 0.8, 10, 10);
    struct queue_plan plan = {.patients = 50000, .seed = 99};
    struct queue_simulated a = simulate(&t, plan), b = simulate(&t, plan);
    assert_int_equal(a.interrupting.n + a.positive.n + a.negative.n, 50000);
    assert_int_equal(a.without.n, a.diseased.n + a.nondiseased.n);
    assert_int_equal(a.events, 2 * 2 * 55000 + a.interruptions);
    assert_true(a.without.mean == b.without.mean && a.events == b.events);
    assert_true(a.without.lo <= a.without.mean && a.without.mean <= a.without.hi);
    plan.seed = 100;
    b = simulate(&t, plan);
    assert_true(a.without.mean != b.without.mean);
}

static void test_waiting_for_the_end_of_a_reading_costs_the_first_class(void **state) {
    (void)state;
    struct queue_triage t = setting(1, 0.1, 0.7, 10, 10);
    struct queue_plan plan = {.patients = 200000, .seed = 5};
    struct queue_simulated interrupts = simulate(&t, plan);
    plan.wait_for_end = true;
    struct queue_simulated waits = simulate(&t, plan);
    assert_int_equal(waits.interruptions, 0);
    assert_true(waits.interrupting.mean > interrupts.interrupting.mean + 5);
    // Cobham 1954: W = residual work / (1 - load of the class), residual = sum of load times mean
    double rate = 0.7 / (0.1 * 5 + 0.9 * 10), residual = rate * (0.1 * 25 + 0.9 * 100);
    assert_simulated(&waits.interrupting, residual / (1 - rate * 0.1 * 5));
}

static void test_given_arrivals_are_followed(void **state) {
    (void)state;
    double arrivals[2000];
    for (unsigned i = 0; i < 2000; i++) arrivals[i] = 10000.0 * i; // nobody meets anybody
    struct queue_triage t = setting(1, 0.1, 0.5, 10, 10);
    struct queue_plan plan = {.patients = 2000, .seed = 5, .arrivals = arrivals};
    struct queue_simulated s = simulate(&t, plan);
    assert_near(s.without.mean, 0, 1e-6);
    for (unsigned i = 0; i < 2000; i++) arrivals[i] = 0; // all at once
    s = simulate(&t, plan);
    assert_true(s.interrupting.mean < s.positive.mean && s.positive.mean < s.negative.mean);
    arrivals[7] = -1;
    assert_false(queue_triage_simulate(&arena, &t, &plan, &s, &why));
    assert_non_null(strstr(why.message, "arrival 8"));
}

// ---- the reference table, where it lies beside the tree ----

static void test_the_table_of_settings_is_met_in_all_columns(void **state) {
    (void)state;
    char path[1000], line[1000];
    snprintf(path, sizeof path, "%s/qucad_theory.csv", DATA ? DATA : "");
    FILE *f = fopen(path, "r");
    if (!f) skip();
    assert_non_null(fgets(line, sizeof line, f));
    unsigned checked = 0;
    while (fgets(line, sizeof line, f)) {
        double v[16];
        char *at = line;
        for (unsigned i = 0; i < 16; i++, at += *at == ',') v[i] = strtod(at, &at);
        struct queue_triage t = {(unsigned)v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]};
        struct queue_waits w;
        assert_true(queue_triage_theory(&arena, &t, QUEUE_FIT_AS_PUBLISHED, &w, &why));
        double ours[7] = {w.without, w.positive, w.negative, w.diseased, w.nondiseased, queue_change(&w, w.diseased), queue_change(&w, w.nondiseased)};
        for (unsigned i = 0; i < 7; i++, checked++) assert_near(ours[i], v[9 + i], 1.1e-6);
    }
    fclose(f);
    assert_int_equal(checked, 62 * 7);
}

static bool answer(const char *statistic, const char *parameters, double *value) {
    struct ev_question q = {.arena = &arena, .dataset = STR_LIT("inline"), .statistic = str_of(statistic), .parameters = str_of(parameters)};
    for (const struct ev_statistic *s = EV_STATISTICS_QUEUE; s->name; s++) {
        size_t n = strlen(s->name) - 1;
        if (s->name[n] == '*' ? strncmp(s->name, statistic, n) == 0 : strcmp(s->name, statistic) == 0) return s->answer(&q, value, &why);
    }
    return false;
}

static void test_rows_tell_their_setting_in_any_order(void **state) {
    (void)state;
    double a = NAN, b = NAN;
    assert_true(answer("cadt_wait_minutes", "traffic=.8;Se=.9;FPF=.1;prev=.1;radiologists=2;interrupting fraction=.1;read 10/10/5 min;saving diseased", &a));
    assert_true(answer("cadt_wait_minutes",
                       "saving diseased; read 10/10/5 min; radiologists=2; prev=0.1; specificity=0.9; sens=0.9; fraction_interrupting=0.1; traffic=0.8", &b));
    assert_near(a, -15.72, 0.005);
    assert_near(a, b, 1e-9); // 1 - 0.1 and 0.9 differ in their last digit
    assert_false(answer("cadt_wait_minutes", "traffic=.8;Se=.9;FPF=.1;prev=.1;read 10/10/5 min;saving diseased", &a));
    assert_false(answer("cadt_wait_minutes", "traffic=x;Se=.9;FPF=.1;prev=.1;radiologists=2;read 10/10/5 min;saving diseased", &a));
    assert_false(answer("cadt_wait_minutes", "traffic=.8;Se=.9;FPF=.1;prev=.1;radiologists=2;read 10/10/5 min;saving nobody", &a));
}

int main(int argc, char **argv) {
    if (argc > 1) DATA = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_erlang_c_waits),
        cmocka_unit_test(test_priority_moves_waits_and_keeps_their_mean),
        cmocka_unit_test(test_phases_have_the_moments_that_they_were_fitted_to),
        cmocka_unit_test(test_the_lowest_of_three_classes_waits_as_in_the_whole_chain),
        cmocka_unit_test(test_equal_rates_need_no_reduction),
        cmocka_unit_test(test_the_manual_of_the_published_program),
        cmocka_unit_test(test_groups_that_nobody_is_in_have_no_wait),
        cmocka_unit_test(test_settings_out_of_range_are_refused_by_name),
        cmocka_unit_test(test_simulation_meets_the_theory_of_its_own_assumption),
        cmocka_unit_test(test_simulation_by_truth_meets_the_exact_waits_of_one_reader),
        cmocka_unit_test(test_a_device_that_calls_nobody_changes_nothing),
        cmocka_unit_test(test_every_patient_is_counted_once_and_a_seed_repeats),
        cmocka_unit_test(test_waiting_for_the_end_of_a_reading_costs_the_first_class),
        cmocka_unit_test(test_given_arrivals_are_followed),
        cmocka_unit_test(test_the_table_of_settings_is_met_in_all_columns),
        cmocka_unit_test(test_rows_tell_their_setting_in_any_order),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
