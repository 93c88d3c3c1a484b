// Monitoring: control charts and their run lengths, Kolmogorov-Smirnov, stability index, alpha spending.
//
// Figures: R 4.2 with spc 0.6.7 (xcusum.arl, xewma.arl, xcusum.crit, xewma.crit; 100 nodes) and ks.test; DeMets DL, Lan KKG. Stat Med 1994;13:1341-1352 (boundaries).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "math/dist.h"
#include "math/rng.h"
#include "mod/evidence/charts.h"
#include "mod/evidence/drift.h"

static struct arena arena;
static struct err e;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, 256 << 20);
    e = (struct err){0};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void is_near(double ours, double theirs, double tolerance) {
    if (fabs(ours - theirs) <= tolerance || (isnan(ours) && isnan(theirs)) || ours == theirs) return;
    fail_msg("%.15g instead of %.15g", ours, theirs);
}

// ---- charts ----

static void a_cusum_adds_what_lies_beyond_its_slack(void **state) {
    (void)state;
    static const double X[] = {10, 11, 12.5, 9, 14, 7, 3};
    struct ev_cusum c = {.target = 10, .k = 0.5, .h = 4};
    assert_true(ev_cusum(&arena, X, 7, &c, &e));
    static const double HI[] = {0, 0.5, 2.5, 1, 4.5, 1, 0}, LO[] = {0, 0, 0, 0.5, 0, 2.5, 9};
    for (int i = 0; i < 7; i++) {
        is_near(c.hi[i], HI[i], 1e-15);
        is_near(c.lo[i], LO[i], 1e-15);
    }
    assert_int_equal(c.first_signal, 5);
    assert_true(c.first_is_hi);
    assert_int_equal(c.signals, 2);
    assert_false(ev_cusum(&arena, (double[]){1, NAN}, 2, &c, &e));
    assert_non_null(strstr(e.message, "point 2"));
    c.h = 0;
    assert_false(ev_cusum(&arena, X, 7, &c, &e));
}

static void an_ewma_forgets_and_its_limits_widen(void **state) {
    (void)state;
    static const double X[] = {52, 47, 53, 70};
    struct ev_ewma c = {.lambda = 0.3, .start = 50, .sd = 2, .width = 3, .widening = true};
    assert_true(ev_ewma(&arena, X, 4, &c, &e));
    is_near(c.z[0], 50.6, 1e-13);
    is_near(c.z[1], 0.3 * 47 + 0.7 * 50.6, 1e-13);
    is_near(c.hi[0], 50 + 3 * 0.3 * 2, 1e-13); // the first point's own deviation
    is_near(c.ucl, 50 + 6 * sqrt(0.3 / 1.7), 1e-13);
    assert_true(c.hi[3] < c.ucl);
    assert_int_equal(c.first_signal, 4);
    c.lambda = 1.5;
    assert_false(ev_ewma(&arena, X, 4, &c, &e));
}

static void run_lengths_are_those_of_spc(void **state) {
    (void)state;
    static const double CUSUM[][6] = {{.5, 4, 0, 0, 335.3675776, 167.6837888},
                                      {.25, 8, 0, 0, 736.7877465, 368.3938733},
                                      {.5, 5, 2.5, 1, 6.347965827, NAN},
                                      {.75, 3, 0, .5, 39.47161021, 39.31020294}};
    static const double EWMA[][4] = {
        {.2, 2.962, 0, 499.7351222}, {.1, 2.7, .5, 28.19053962}, {.05, 2.5, 0, 379.0909063}, {.4, 3.054, 1, 14.26276426}, {.02, 2.2, .25, 70.18588076}};
    double arl;
    for (size_t i = 0; i < 4; i++) {
        const double *c = CUSUM[i];
        assert_true(ev_cusum_arl(&arena, EV_ONE_SIDED, c[0], c[1], c[2], c[3], &arl, &e));
        is_near(arl, c[4], 1e-6 * c[4]);
        assert_true(ev_cusum_arl(&arena, EV_TWO_SIDED, c[0], c[1], c[2], c[3], &arl, &e));
        if (!isnan(c[5])) is_near(arl, c[5], 1e-6 * c[5]);
    }
    for (size_t i = 0; i < 5; i++) {
        assert_true(ev_ewma_arl(&arena, EWMA[i][0], EWMA[i][1], 0, EWMA[i][2], &arl, &e));
        is_near(arl, EWMA[i][3], 1e-6 * EWMA[i][3]);
    }
    // lambda = 1 is Shewhart's chart
    assert_true(ev_ewma_arl(&arena, 1, 3, 0, 0, &arl, &e));
    is_near(arl, 1 / (2 * dist_norm(3, true)), 1e-6);
}

static void charts_are_designed_for_their_run_lengths(void **state) {
    (void)state;
    double h, arl;
    assert_true(ev_cusum_design(&arena, EV_TWO_SIDED, 0.5, 370.4, &h, &e));
    is_near(h, 4.774897045, 1e-7);
    assert_true(ev_ewma_design(&arena, 0.1, 500, &h, &e));
    is_near(h, 2.814309995, 1e-7);
    for (int i = 0; i < 4; i++) {
        double k = i * 0.5;
        assert_true(ev_cusum_design(&arena, EV_ONE_SIDED, k, 1000, &h, &e));
        assert_true(ev_cusum_arl(&arena, EV_ONE_SIDED, k, h, 0, 0, &arl, &e));
        is_near(arl, 1000, 1e-5);
    }
    assert_false(ev_cusum_design(&arena, EV_ONE_SIDED, 0.5, 1.2, &h, &e));
    assert_false(ev_cusum_arl(&arena, EV_ONE_SIDED, 0.5, -1, 0, 0, &arl, &e));
    assert_false(ev_cusum_arl(&arena, EV_ONE_SIDED, 2, 100, 0, 0, &arl, &e)); // beyond 1e12
}

static void simulated_charts_run_as_long_as_computed_ones(void **state) {
    (void)state;
    enum { RUNS = 2000 };
    struct rng r;
    double sum = 0, squares = 0, arl;
    rng_seed(&r, 5);
    for (int run = 0; run < RUNS; run++) {
        double hi = 2, lo = 2, n = 0;
        do {
            double x = 0.3 + rng_normal(&r);
            hi = fmax(0, hi + x - 0.5);
            lo = fmax(0, lo - x - 0.5);
            n++;
        } while (hi <= 4 && lo <= 4);
        sum += n;
        squares += n * n;
    }
    assert_true(ev_cusum_arl(&arena, EV_TWO_SIDED, 0.5, 4, 2, 0.3, &arl, &e));
    double mean = sum / RUNS, se = sqrt((squares / RUNS - mean * mean) / RUNS);
    is_near(arl, mean, 3 * se);
}

// ---- Kolmogorov-Smirnov ----

static void two_samples_with_ties_have_the_exact_p_of_r(void **state) {
    (void)state;
    static const double X[] = {.11, .35, .35, .52, .68, .7, .91, 1.2}, Y[] = {.35, .52, .8, .95, 1.2, 1.2, 1.5, 1.7, 2.2, 2.4};
    struct ev_ks k;
    assert_true(ev_ks_two(&arena, X, 8, Y, 10, &k, &e));
    is_near(k.d, 0.575, 1e-15);
    is_near(k.p, 0.0595319712967, 1e-12);
    assert_true(k.exact && k.ties);
    assert_true(ev_ks_two(&arena, X, 8, X, 8, &k, &e));
    is_near(k.d, 0, 0);
    is_near(k.p, 1, 0);
    assert_false(ev_ks_two(&arena, X, 0, Y, 10, &k, &e));
    assert_false(ev_ks_two(&arena, (double[]){INFINITY}, 1, Y, 10, &k, &e));
}

static void three_against_three_apart_is_one_in_ten(void **state) {
    (void)state;
    struct ev_ks k;
    assert_true(ev_ks_two(&arena, (double[]){1, 2, 3}, 3, (double[]){4, 5, 6}, 3, &k, &e));
    is_near(k.p, 2.0 / 20, 1e-15); // of the 20 ways to choose three
    assert_true(ev_ks_two(&arena, (double[]){5, 5, 5}, 3, (double[]){5, 5}, 2, &k, &e));
    is_near(k.p, 1, 0);
}

static void great_samples_have_the_limiting_p(void **state) {
    (void)state;
    enum { N = 30000 };
    struct rng r;
    struct ev_ks k;
    double *x = arena_alloc(&arena, 2 * N * sizeof *x, &e);
    assert_non_null(x);
    rng_seed(&r, 21);
    for (int i = 0; i < 2 * N; i++) x[i] = rng_normal(&r) + (i >= N ? 0.02 : 0);
    assert_true(ev_ks_two(&arena, x, N, x + N, N, &k, &e));
    assert_false(k.exact);
    double lambda = k.d * sqrt(N / 2.0), p = 0;
    for (int j = 1; j < 100; j++) p += (j % 2 ? 2 : -2) * exp(-2.0 * j * j * lambda * lambda);
    is_near(k.p, p, 1e-9);
}

static void one_sample_has_the_exact_p_of_r(void **state) {
    (void)state;
    static const double X[] = {.03, .18, .22, .41, .47, .59, .6, .77, .93};
    struct ev_ks k;
    assert_true(ev_ks_one(&arena, X, 9, EV_LAW_UNIFORM, 0, 1, &k, &e));
    is_near(k.d, 0.177777777778, 1e-12);
    is_near(k.p, 0.893599773236, 1e-11);
    assert_true(ev_ks_one(&arena, (double[]){3.1, 2.9, 4.2, 5.5, 3.6}, 5, EV_LAW_NORMAL, 1, 1, &k, &e));
    is_near(k.d, 0.971283440184, 1e-12);
    is_near(k.p, 2 * pow(1 - k.d, 5), 1e-20); // exact so near to 1; R, from 1 less the rest, has 3.90563854591e-08
    assert_false(ev_ks_one(&arena, X, 9, EV_LAW_NORMAL, 0, -1, &k, &e));
}

// Marsaglia, Tsang and Wang 2003: P(D10 < 0.274) = 0.6284796154565043, P(D < 0.04) of 2000 beyond the far tail is 0.99676943191713676985.
static void tails_of_d_are_those_of_the_paper(void **state) {
    (void)state;
    double p;
    assert_true(ev_ks_tail(&arena, 10, 0.274, &p, &e));
    is_near(p, 1 - 0.6284796154565043, 1e-14);
    assert_true(ev_ks_tail(&arena, 2000, 0.04, &p, &e));
    is_near(p, 1 - 0.99676943191713676985, 1e-11);
    assert_true(ev_ks_tail(&arena, 1, 0.7, &p, &e));
    is_near(p, 0.6, 1e-14); // of one value: 2 (1 - d)
}

static void the_two_ways_to_a_tail_meet(void **state) {
    (void)state;
    double before, after;
    for (size_t n = 20; n <= 1280; n *= 4) {
        double d = 2 / sqrt((double)n);
        assert_true(ev_ks_tail(&arena, n, d * (1 - 1e-9), &before, &e));
        assert_true(ev_ks_tail(&arena, n, d * (1 + 1e-9), &after, &e));
        is_near(before, after, 2e-9 * (double)n);
    }
}

// ---- stability index ----

static void the_stability_index_is_its_sum(void **state) {
    (void)state;
    struct ev_psi p;
    assert_true(ev_psi_counts(&arena, (double[]){30, 50, 20}, (double[]){25, 45, 30}, 3, &p, &e));
    is_near(p.psi, -0.05 * log(25.0 / 30) - 0.05 * log(0.9) + 0.1 * log(1.5), 1e-15);
    is_near(p.p, exp(-p.psi / (2.0 / 100) / 2), 1e-12); // chi-square of 2 degrees
    assert_false(p.empty);
    assert_true(ev_psi_counts(&arena, (double[]){50, 50, 0}, (double[]){50, 40, 10}, 3, &p, &e));
    assert_true(p.empty && isfinite(p.psi));
    assert_false(ev_psi_counts(&arena, (double[]){1}, (double[]){1}, 1, &p, &e));
}

static void bins_of_the_index_follow_the_reference(void **state) {
    (void)state;
    double x[1000], y[500];
    struct ev_psi p;
    for (int i = 0; i < 1000; i++) x[i] = i;
    for (int i = 0; i < 500; i++) y[i] = 2 * i + 0.5;
    assert_true(ev_psi(&arena, x, 1000, y, 500, 10, &p, &e));
    assert_int_equal(p.bins, 10);
    for (int k = 0; k < 10; k++) is_near(p.then[k], 0.1, 1e-15);
    is_near(p.psi, 0, 1e-3);
    for (int i = 0; i < 1000; i++) x[i] = i % 2; // two values: two bins
    assert_true(ev_psi(&arena, x, 1000, x, 1000, 10, &p, &e));
    assert_int_equal(p.bins, 2);
    is_near(p.psi, 0, 0);
    for (int i = 0; i < 1000; i++) x[i] = 4;
    assert_false(ev_psi(&arena, x, 1000, x, 1000, 10, &p, &e));
    assert_non_null(strstr(e.message, "one value"));
}

// ---- alpha spending ----

static void boundaries_are_those_of_demets_and_lan(void **state) {
    (void)state;
    static const double OBF[] = {4.8769, 3.3569, 2.6803, 2.2898, 2.0310}, POCOCK[] = {2.4380, 2.4268, 2.4101, 2.3966, 2.3859};
    struct ev_look look[5];
    for (int i = 0; i < 5; i++) look[i].t = (i + 1) / 5.0;
    assert_true(ev_sequential(&arena, EV_SPEND_OBRIEN_FLEMING, 0, 0.05, 2, 0, look, 5, &e));
    for (int i = 0; i < 5; i++) is_near(look[i].z, OBF[i], 0.00015);
    is_near(look[4].spent, 0.05, 1e-12);
    is_near(look[1].z, 3.357011921574642, 1e-8); // scipy: quad over the normal density, brentq
    assert_true(ev_sequential(&arena, EV_SPEND_POCOCK, 0, 0.05, 2, 0, look, 5, &e));
    for (int i = 0; i < 5; i++) is_near(look[i].z, POCOCK[i], 0.00015);
}

static void one_look_at_the_end_is_the_plain_test(void **state) {
    (void)state;
    struct ev_look look = {.t = 1};
    double z = dist_norm_quantile(0.025, true);
    for (int s = EV_SPEND_OBRIEN_FLEMING; s <= EV_SPEND_GAMMA; s++) {
        assert_true(ev_sequential(&arena, (enum ev_spending)s, 2, 0.05, 2, z + dist_norm_quantile(0.1, true), &look, 1, &e));
        is_near(look.z, z, 1e-9);
        is_near(look.stop_drift, 0.9, 1e-5); // and the other side
    }
}

static void what_is_spent_is_what_is_stopped(void **state) {
    (void)state;
    struct ev_look look[8];
    static const double T[] = {0.05, 0.06, 0.2, 0.21, 0.5, 0.502, 0.9, 1};
    for (int s = EV_SPEND_OBRIEN_FLEMING; s <= EV_SPEND_GAMMA; s++) {
        for (unsigned sides = 1; sides <= 2; sides++) {
            for (int i = 0; i < 8; i++) look[i].t = T[i];
            if (!ev_sequential(&arena, (enum ev_spending)s, 1.5, 0.05, sides, 0, look, 8, &e)) fail_msg("%s", e.message);
            is_near(look[7].stop_null, 0.05, 1e-8);
            is_near(look[7].stop_drift, look[7].stop_null, 1e-9);
        }
    }
    look[1].t = look[0].t;
    assert_false(ev_sequential(&arena, EV_SPEND_POCOCK, 0, 0.05, 2, 0, look, 8, &e));
    assert_non_null(strstr(e.message, "look 2"));
}

static void simulated_trials_stop_as_often_as_computed(void **state) {
    (void)state;
    enum { TRIALS = 20000 };
    struct ev_look look[4] = {{.t = 0.25}, {.t = 0.5}, {.t = 0.75}, {.t = 1}};
    struct rng r;
    int stopped[2] = {0, 0};
    assert_true(ev_sequential(&arena, EV_SPEND_POCOCK, 0, 0.05, 2, 2.8, look, 4, &e));
    rng_seed(&r, 8);
    for (int i = 0; i < TRIALS; i++) {
        for (int drift = 0; drift < 2; drift++) {
            double score = 0;
            bool out = false;
            for (int k = 0; k < 4; k++) {
                score += 0.5 * rng_normal(&r) + drift * 2.8 * 0.25;
                out = out || fabs(score) / sqrt(look[k].t) >= look[k].z;
            }
            stopped[drift] += out;
        }
    }
    is_near((double)stopped[0] / TRIALS, 0.05, 0.0047);
    is_near((double)stopped[1] / TRIALS, look[3].stop_drift, 0.011);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_cusum_adds_what_lies_beyond_its_slack),
        TEST(an_ewma_forgets_and_its_limits_widen),
        TEST(run_lengths_are_those_of_spc),
        TEST(charts_are_designed_for_their_run_lengths),
        TEST(simulated_charts_run_as_long_as_computed_ones),
        TEST(two_samples_with_ties_have_the_exact_p_of_r),
        TEST(three_against_three_apart_is_one_in_ten),
        TEST(great_samples_have_the_limiting_p),
        TEST(one_sample_has_the_exact_p_of_r),
        TEST(tails_of_d_are_those_of_the_paper),
        TEST(the_two_ways_to_a_tail_meet),
        TEST(the_stability_index_is_its_sum),
        TEST(bins_of_the_index_follow_the_reference),
        TEST(boundaries_are_those_of_demets_and_lan),
        TEST(one_look_at_the_end_is_the_plain_test),
        TEST(what_is_spent_is_what_is_stopped),
        TEST(simulated_trials_stop_as_often_as_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
