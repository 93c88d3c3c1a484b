// Calibration: scores, bins, Hosmer and Lemeshow, logistic regression.
//
// Figures: R 4.2 (glm to epsilon 1e-14, quantile, pchisq) and statsmodels 0.13 (Logit, standard errors) run on these data.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "math/rng.h"
#include "mod/evidence/calibration.h"
#include "mod/evidence/logistic.h"

static struct arena arena;
static struct err e;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, 64 << 20);
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

static const double P[] = {.08, .15, .22, .31, .35, .44, .52, .58, .66, .71, .83, .94}, Y[] = {0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1};

static void scores_are_their_means(void **state) {
    (void)state;
    struct ev_calibration c;
    assert_true(ev_calibration(&arena, P, Y, 12, EV_BINS_WIDTH, 5, 0.95, &c, &e));
    is_near(c.brier, 0.189041666667, 1e-12);
    is_near(c.log_loss, 0.546928879418, 1e-12);
    is_near(c.oe, 6 / 5.79, 1e-14);
    is_near(c.brier_scaled, 1 - c.brier / 0.25, 1e-14);
    // Bins of 0.2: {.08 .15} {.22 .31 .35} {.44 .52 .58} {.66 .71} {.83 .94}
    double gap[] = {0.115, 0.88 / 3 - 1.0 / 3, 1.54 / 3 - 2.0 / 3, 0.685 - 0.5, 0.885 - 1}, share[] = {2, 3, 3, 2, 2}, ece = 0;
    for (int k = 0; k < 5; k++) ece += share[k] / 12 * fabs(gap[k]);
    is_near(c.ece, ece, 1e-14);
    is_near(c.mce, 0.185, 1e-14);
}

static void the_decomposition_adds_up_whatever_the_bins(void **state) {
    (void)state;
    double p[500], y[500];
    struct rng r;
    rng_seed(&r, 3);
    for (int i = 0; i < 500; i++) {
        p[i] = i % 7 == 0 ? 0.3 : rng_uniform(&r);
        y[i] = rng_uniform(&r) < p[i] * p[i];
    }
    for (unsigned bins = 1; bins < 40; bins += 3) {
        for (int by = EV_BINS_WIDTH; by <= EV_BINS_COUNT; by++) {
            struct ev_calibration c;
            assert_true(ev_calibration(&arena, p, y, 500, (enum ev_binning)by, bins, 0.95, &c, &e));
            is_near(c.reliability - c.resolution + c.uncertainty + c.within_variance - c.within_covariance, c.brier, 1e-14);
        }
    }
}

static void ends_of_bins_belong_below(void **state) {
    (void)state;
    static const double p[] = {0, 0.1, 0.2, 0.3, 0.30000000000000004, 0.7, 1}, y[] = {0, 0, 0, 0, 0, 1, 1};
    struct ev_bin bin[10];
    assert_true(ev_bins(&arena, p, y, 7, EV_BINS_WIDTH, 10, bin, &e));
    assert_int_equal(bin[0].n, 2);
    assert_int_equal(bin[1].n, 1);
    assert_int_equal(bin[2].n + bin[3].n, 2); // 3 / 10 as it is in floating point is 0.3 itself
    assert_int_equal(bin[2].n, 1);
    assert_int_equal(bin[6].n, 1);
    assert_int_equal(bin[9].n, 1);
    assert_true(isnan(bin[5].mean));
}

static void bins_of_equal_count_keep_equal_values_together(void **state) {
    (void)state;
    static const double p[] = {.5, .1, .5, .5, .2, .5, .9, .8}, y[] = {1, 0, 0, 1, 0, 1, 1, 1};
    struct ev_bin bin[4];
    assert_true(ev_bins(&arena, p, y, 8, EV_BINS_COUNT, 4, bin, &e));
    assert_int_equal(bin[0].n, 2);
    assert_int_equal(bin[1].n, 4);
    assert_int_equal(bin[2].n, 0);
    assert_int_equal(bin[3].n, 2);
    is_near(bin[1].rate, 0.75, 0);
}

static void certainty_that_was_wrong_costs_everything(void **state) {
    (void)state;
    static const double p[] = {0, 0.5, 1}, y[] = {1, 0, 1};
    struct ev_calibration c;
    struct ev_recalibration r;
    assert_true(ev_calibration(&arena, p, y, 3, EV_BINS_WIDTH, 10, 0.95, &c, &e));
    assert_true(isinf(c.log_loss));
    assert_false(ev_recalibration(&arena, p, y, 3, 0.95, &r, &e));
    assert_non_null(strstr(e.message, "row 1"));
}

static void what_is_no_probability_or_outcome_is_refused_with_its_row(void **state) {
    (void)state;
    static const double p[] = {0.2, 1.5, 0.1, NAN}, y[] = {0, 1, 2, 1};
    struct ev_calibration c;
    assert_false(ev_calibration(&arena, p, y, 4, EV_BINS_WIDTH, 10, 0.95, &c, &e));
    assert_non_null(strstr(e.message, "row 2"));
    assert_false(ev_calibration(&arena, p + 2, y + 2, 1, EV_BINS_WIDTH, 10, 0.95, &c, &e));
    assert_non_null(strstr(e.message, "outcome"));
    assert_false(ev_calibration(&arena, p, y, 1, EV_BINS_WIDTH, 0, 0.95, &c, &e));
    assert_false(ev_calibration(&arena, p, y, 0, EV_BINS_WIDTH, 10, 0.95, &c, &e));
}

static void slope_and_intercept_are_those_of_other_programs(void **state) {
    (void)state;
    struct ev_recalibration r;
    assert_true(ev_recalibration(&arena, P, Y, 12, 0.95, &r, &e));
    is_near(r.slope, 0.974519513608539, 1e-11);
    is_near(r.slope_se, 0.6360930799869418, 1e-12);
    is_near(r.intercept, 0.092978120810148, 1e-11);
    is_near(r.intercept_se, 0.6770887770510445, 1e-12);
    is_near(r.large, 0.096136459466129, 1e-11);
    is_near(r.large_se, 0.67627527350715, 1e-11);
}

static void a_logistic_model_is_that_of_other_programs_in_any_units(void **state) {
    (void)state;
    static const double X2[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8}, B[] = {-7.375150264555887, 0.0852639070876103, 1.622171978461394},
                        SE[] = {4.504917587355926, 0.3124627457641446, 1.0405696326710545};
    static const double UNIT[] = {1, 1e-9, 1e200};
    for (int u = 0; u < 3; u++) {
        struct ev_logistic fit;
        double x[36];
        for (int i = 0; i < 12; i++) {
            x[3 * i] = 1;
            x[3 * i + 1] = (i + 1) * UNIT[u];
            x[3 * i + 2] = X2[i] / UNIT[u];
        }
        if (!ev_logistic(&arena, x, Y, NULL, 12, 3, &fit, &e)) fail_msg("%s", e.message);
        is_near(fit.coefficient[0], B[0], 1e-9);
        is_near(fit.coefficient[1] * UNIT[u], B[1], 1e-9);
        is_near(fit.coefficient[2] / UNIT[u], B[2], 1e-9);
        is_near(fit.se[0], SE[0], 1e-10);
        is_near(fit.se[1] * UNIT[u], SE[1], 1e-10);
        is_near(fit.se[2] / UNIT[u], SE[2], 1e-10);
        is_near(fit.log_likelihood, -3.2094800481, 1e-9);
    }
}

static void models_without_a_maximum_are_refused(void **state) {
    (void)state;
    static const double separated[] = {1, 1, 1, 2, 1, 3, 1, 4, 1, 5, 1, 6}, y[] = {0, 0, 0, 1, 1, 1}, ones[] = {1, 1, 1, 1, 1, 1};
    static const double twice[] = {1, 1, 2, 1, 3, 6, 1, 2, 4, 1, 5, 10, 1, 4, 8, 1, 7, 14}, mixed[] = {0, 1, 0, 1, 1, 0};
    struct ev_logistic fit;
    assert_false(ev_logistic(&arena, separated, y, NULL, 6, 2, &fit, &e));
    assert_non_null(strstr(e.message, "separate"));
    static const double partly[] = {1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1}, some[] = {0, 1, 0, 1, 1, 1}; // everyone of the second group
    assert_false(ev_logistic(&arena, partly, some, NULL, 6, 2, &fit, &e));
    assert_non_null(strstr(e.message, "separate"));
    assert_false(ev_logistic(&arena, twice, mixed, NULL, 6, 3, &fit, &e));
    assert_non_null(strstr(e.message, "determine each other"));
    assert_false(ev_logistic(&arena, separated, ones, NULL, 6, 2, &fit, &e));
    assert_non_null(strstr(e.message, "both outcomes"));
    assert_false(ev_logistic(&arena, (double[]){1, NAN, 1, 2, 1, 3}, y + 2, NULL, 3, 2, &fit, &e));
    assert_non_null(strstr(e.message, "row 1"));
}

static void hosmer_and_lemeshow_by_quantiles_is_that_of_r(void **state) {
    (void)state;
    struct ev_hosmer h;
    assert_true(ev_hosmer(&arena, P, Y, 12, EV_GROUPS_QUANTILE, 4, NULL, &h, &e));
    is_near(h.chi2, 1.4203627747, 1e-9);
    is_near(h.p, 0.49155502751, 1e-9);
    is_near(h.df, 2, 0);
    // Twelve in four groups of three, however they are told.
    struct ev_hosmer counts, sizes;
    assert_true(ev_hosmer(&arena, P, Y, 12, EV_GROUPS_COUNT, 4, NULL, &counts, &e));
    assert_true(ev_hosmer(&arena, P, Y, 12, EV_GROUPS_COUNT, 4, (size_t[]){3, 3, 3, 3}, &sizes, &e));
    is_near(counts.chi2, h.chi2, 1e-14);
    is_near(sizes.chi2, h.chi2, 1e-14);
    assert_false(ev_hosmer(&arena, P, Y, 12, EV_GROUPS_COUNT, 4, (size_t[]){3, 3, 3, 4}, &sizes, &e));
    assert_false(ev_hosmer(&arena, P, Y, 12, EV_GROUPS_COUNT, 2, NULL, &sizes, &e));
}

static void equal_probabilities_stay_in_one_group_whatever_their_order(void **state) {
    (void)state;
    double p[60], y[60];
    struct ev_hosmer one, other;
    struct rng r;
    rng_seed(&r, 11);
    for (int i = 0; i < 60; i++) {
        p[i] = (double)(1 + rng_below(&r, 9)) / 10;
        y[i] = rng_uniform(&r) < p[i];
    }
    assert_true(ev_hosmer(&arena, p, y, 60, EV_GROUPS_COUNT, 7, NULL, &one, &e));
    for (int i = 0; i < 60; i++) {
        int j = (int)rng_below(&r, 60);
        double a = p[i], b = y[i];
        p[i] = p[j];
        y[i] = y[j];
        p[j] = a;
        y[j] = b;
    }
    assert_true(ev_hosmer(&arena, p, y, 60, EV_GROUPS_COUNT, 7, NULL, &other, &e));
    is_near(other.chi2, one.chi2, 1e-12);
    assert_int_equal(other.groups, one.groups);
    for (int i = 0; i < 60; i++) p[i] = 0.5;
    assert_false(ev_hosmer(&arena, p, y, 60, EV_GROUPS_COUNT, 10, NULL, &other, &e));
    assert_non_null(strstr(e.message, "equal probabilities"));
}

// Over studies of forecasts that are right, tests reject and intervals miss as often as they say.
static void good_forecasts_are_seldom_rejected(void **state) {
    (void)state;
    enum { STUDIES = 2000, CASES = 400 };
    struct rng r;
    int slope = 0, large = 0, spiegelhalter = 0, oe = 0;
    rng_seed(&r, 99);
    for (int s = 0; s < STUDIES; s++) {
        double p[CASES], y[CASES];
        struct ev_calibration c;
        struct ev_recalibration k;
        arena_reset(&arena);
        for (int i = 0; i < CASES; i++) {
            p[i] = 1 / (1 + exp(0.5 - 1.2 * rng_normal(&r)));
            y[i] = rng_uniform(&r) < p[i];
        }
        assert_true(ev_calibration(&arena, p, y, CASES, EV_BINS_WIDTH, 10, 0.95, &c, &e));
        assert_true(ev_recalibration(&arena, p, y, CASES, 0.95, &k, &e));
        slope += k.slope_lo <= 1 && 1 <= k.slope_hi;
        large += k.large_lo <= 0 && 0 <= k.large_hi;
        spiegelhalter += c.spiegelhalter_p < 0.05;
        oe += c.oe_lo <= 1 && 1 <= c.oe_hi;
    }
    is_near((double)slope / STUDIES, 0.95, 0.0146);
    is_near((double)large / STUDIES, 0.95, 0.0146);
    is_near((double)spiegelhalter / STUDIES, 0.05, 0.0146);
    // Its variance is that of a binomial number of one probability: wider than needed when the probabilities differ.
    assert_true((double)oe / STUDIES > 0.95 - 0.0146);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(scores_are_their_means),
        TEST(the_decomposition_adds_up_whatever_the_bins),
        TEST(ends_of_bins_belong_below),
        TEST(bins_of_equal_count_keep_equal_values_together),
        TEST(certainty_that_was_wrong_costs_everything),
        TEST(what_is_no_probability_or_outcome_is_refused_with_its_row),
        TEST(slope_and_intercept_are_those_of_other_programs),
        TEST(a_logistic_model_is_that_of_other_programs_in_any_units),
        TEST(models_without_a_maximum_are_refused),
        TEST(hosmer_and_lemeshow_by_quantiles_is_that_of_r),
        TEST(equal_probabilities_stay_in_one_group_whatever_their_order),
        TEST(good_forecasts_are_seldom_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
