// Proportions, two by two tables, McNemar's test, verification bias and sample sizes, against papers and other programs.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mod/evidence/power.h"
#include "mod/evidence/table2x2.h"

static void near(double got, double want, double tolerance) {
    if (isnan(want) && isnan(got)) return;
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.16g is not %.16g within %g", got, want, tolerance);
}

static void limits(struct ev_interval x, double lo, double hi, double tolerance) {
    near(x.lo, lo, tolerance);
    near(x.hi, hi, tolerance);
}

// The example of epi.tests (epiR 2.0.57): 670, 202, 74, 640.
static const struct ev_table2x2 TABLE = {670, 202, 74, 640};

static void every_interval_is_that_of_its_source(void **state) {
    (void)state;
    // 670 of 744: epiR 2.0.57 with each of its methods.
    limits(ev_proportion(670, 744, EV_CLOPPER_PEARSON, 0.95), 0.876746176795711, 0.921092299583694, 1e-12);
    limits(ev_proportion(670, 744, EV_WILSON, 0.95), 0.876931912503828, 0.920028449843373, 1e-12);
    limits(ev_proportion(670, 744, EV_AGRESTI_COULL, 0.95), 0.876834413639948, 0.920125948707253, 1e-12);
    limits(ev_proportion(670, 744, EV_JEFFREYS, 0.95), 0.877479778597459, 0.920487317478426, 1e-12);
    // Newcombe, Stat Med 1998;17:857, table I: methods 1, 3, 4, 5.
    limits(ev_proportion(81, 263, EV_WALD, 0.95), 0.2522, 0.3638, 5e-5);
    limits(ev_proportion(81, 263, EV_WILSON, 0.95), 0.2553, 0.3662, 5e-5);
    limits(ev_proportion(81, 263, EV_WILSON_CC, 0.95), 0.2535, 0.3682, 5e-5);
    limits(ev_proportion(81, 263, EV_CLOPPER_PEARSON, 0.95), 0.2527, 0.3676, 5e-5);
    limits(ev_proportion(0, 20, EV_WILSON, 0.95), 0, 0.1611, 5e-5);
    limits(ev_proportion(0, 20, EV_WILSON_CC, 0.95), 0, 0.2005, 5e-5);
    limits(ev_proportion(0, 20, EV_CLOPPER_PEARSON, 0.95), 0, 0.1684, 5e-5);
    limits(ev_proportion(0, 20, EV_MID_P, 0.95), 0, 0.1391, 5e-5);
    limits(ev_proportion(1, 29, EV_WILSON, 0.95), 0.0061, 0.1718, 5e-5);
    limits(ev_proportion(1, 29, EV_CLOPPER_PEARSON, 0.95), 0.0009, 0.1776, 5e-5);
}

static double binomial(int k, int n, double p) {
    return exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) + k * log(p) + (n - k) * log1p(-p));
}

static void mid_p_limits_leave_half_of_the_level_in_either_tail(void **state) {
    (void)state;
    for (int n = 2; n < 40; n += 7)
        for (int k = 1; k < n; k++) {
            struct ev_interval x = ev_proportion(k, n, EV_MID_P, 0.9);
            double above = binomial(k, n, x.lo) / 2, below = binomial(k, n, x.hi) / 2;
            for (int i = k + 1; i <= n; i++) above += binomial(i, n, x.lo);
            for (int i = 0; i < k; i++) below += binomial(i, n, x.hi);
            near(above, 0.05, 1e-11);
            near(below, 0.05, 1e-11);
        }
}

static void every_interval_is_a_mirror_and_holds_its_proportion(void **state) {
    (void)state;
    for (int m = 0; m < EV_PROPORTION_METHODS; m++)
        for (double n = 1; n < 300; n = n * 2 + 1)
            for (double k = 0; k <= n; k++) {
                struct ev_interval x = ev_proportion(k, n, (enum ev_proportion_method)m, 0.95), y = ev_proportion(n - k, n, (enum ev_proportion_method)m, 0.95);
                near(x.lo, 1 - y.hi, 1e-12);
                assert_true(x.lo <= x.value && x.value <= x.hi && x.lo >= 0 && x.hi <= 1);
            }
}

static void no_proportion_has_no_interval(void **state) {
    (void)state;
    static const double none[][2] = {{1, 0}, {-1, 5}, {6, 5}, {NAN, 5}, {1, NAN}, {1, INFINITY}};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct ev_interval x = ev_proportion(none[i][0], none[i][1], EV_WILSON, 0.95);
        assert_true(isnan(x.value) && isnan(x.lo) && isnan(x.hi));
    }
    assert_true(isnan(ev_proportion(1, 2, EV_WILSON, 1).lo));
    struct ev_interval large = ev_proportion(5e14, 1e15, EV_CLOPPER_PEARSON, 0.95);
    near(large.hi - large.lo, 2 * 1.959963984540054 * 0.5 / sqrt(1e15), 1e-12);
}

static void differences_are_newcombes(void **state) {
    (void)state;
    // Stat Med 1998;17:873, table II, method 10.
    limits(ev_proportion_difference(56, 70, 48, 80, 0.95), 0.0524, 0.3339, 5e-5);
    limits(ev_proportion_difference(9, 10, 3, 10, 0.95), 0.1705, 0.8090, 5e-5);
    limits(ev_proportion_difference(5, 56, 0, 29, 0.95), -0.0381, 0.1926, 5e-5);
    limits(ev_proportion_difference(10, 10, 0, 10, 0.95), 0.6075, 1, 5e-5);
}

static void paired_differences_are_where_tangos_score_is_the_quantile(void **state) {
    (void)state;
    static const double counts[][3] = {{8, 2, 30}, {0, 1, 44}, {5, 5, 10}, {12, 0, 12}, {0, 0, 20}, {40, 3, 1000}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        double b = counts[i][0], c = counts[i][1], n = counts[i][2];
        struct ev_interval x = ev_proportion_difference_paired(b, c, n, 0.95);
        assert_true(x.lo <= x.value && x.value <= x.hi && x.lo >= -1 && x.hi <= 1);
        if (x.lo > -1) near(ev_tango_z(b, c, n, x.lo), 1.959963984540054, 1e-8);
        if (x.hi < 1) near(ev_tango_z(b, c, n, x.hi), -1.959963984540054, 1e-8);
        if (b + c > 0) near(ev_tango_z(b, c, n, 0) * ev_tango_z(b, c, n, 0), ev_mcnemar(b, c).chi2, 1e-12); // at no difference it is McNemar's
    }
}

static void mcnemar_is_that_of_r(void **state) {
    (void)state;
    struct ev_mcnemar m = ev_mcnemar(86, 150); // R 4.2.2, mcnemar.test and binom.test
    near(m.chi2, 17.3559322034, 1e-9);
    near(m.chi2_cc, 16.8177966102, 1e-9);
    near(m.p_cc, 4.11456228135e-05, 1e-15);
    near(m.p_exact, 3.71593613957e-05, 1e-15);
    assert_true(m.p_mid < m.p_exact && m.p_mid > m.p / 2);
    m = ev_mcnemar(3, 3);
    assert_true(m.chi2 == 0 && m.p == 1 && m.p_exact == 1);
    near(m.p_mid, 1 - 20.0 / 64, 1e-14);
    m = ev_mcnemar(0, 0);
    assert_true(isnan(m.chi2) && m.p_exact == 1);
    assert_true(isnan(ev_mcnemar(-1, 2).p_exact));
}

static void measures_of_a_table_are_those_of_epi_tests(void **state) {
    (void)state;
    static const struct {
        const char *key;
        double value, lo, hi;
    } want[] = {
        {"ap", 0.5498108448928121, 0.5249373476563911, 0.574499625066228},     {"tp", 0.4691046658259773, 0.4443055382823994, 0.494018358894298},
        {"se", 0.9005376344086021, 0.8767461767957109, 0.921092299583694},     {"sp", 0.7600950118764845, 0.7297764632035549, 0.788580324575101},
        {"lr+", 3.7537261790695196, 3.3206884355074808, 4.243234648805133},    {"lr-", 0.1308551747311828, 0.1050643235119225, 0.162977080911631},
        {"dor", 28.6861118544286846, 21.5181916566351568, 38.241736408693704}, {"ppv", 0.7683486238532110, 0.7388926273797569, 0.795978429165360},
        {"npv", 0.8963585434173670, 0.8716392862901462, 0.917740174663071},    {"accuracy", 0.8259773013871374, 0.8064048880264241, 0.844334642377048},
        {"youden", 0.6606326462850867, 0.6065226399992658, 0.709672624158795}, {"nnd", 1.5137005499550564, 1.4091004301953196, 1.648743070829492},
        {"fdr", 0.2316513761467890, 0.2040215708346405, 0.261107372620243},    {"for", 0.1036414565826331, 0.0822598253369292, 0.128360713709854},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        enum ev_measure m;
        assert_true(ev_measure_of(str_of(want[i].key), &m));
        struct ev_interval x = ev_table2x2_measure(&TABLE, m, EV_CLOPPER_PEARSON, 0.95);
        near(x.value, want[i].value, 1e-13 * want[i].value);
        limits(x, want[i].lo, want[i].hi, 1e-11 * want[i].hi);
    }
    enum ev_measure m;
    assert_false(ev_measure_of(STR_LIT("luck"), &m));
}

static void empty_cells_leave_infinite_or_no_values_but_never_wrong_ones(void **state) {
    (void)state;
    static const struct ev_table2x2 perfect = {10, 0, 0, 6}, empty = {0, 0, 0, 0}, no_negatives = {5, 0, 3, 0};
    struct ev_interval lr = ev_table2x2_measure(&perfect, EV_LR_POSITIVE, EV_WILSON, 0.95);
    assert_true(isinf(lr.value) && isnan(lr.lo) && isnan(lr.hi));
    struct ev_interval score = ev_likelihood_ratio_score(&perfect, true, 0.95);
    assert_true(isinf(score.value) && score.lo > 1 && score.lo < 10 && isinf(score.hi));
    struct ev_interval negative = ev_likelihood_ratio_score(&perfect, false, 0.95);
    assert_true(negative.value == 0 && negative.lo == 0 && negative.hi > 0 && negative.hi < 1);
    for (int m = 0; m < EV_MEASURES; m++) assert_true(isnan(ev_table2x2_measure(&empty, (enum ev_measure)m, EV_WILSON, 0.95).value));
    assert_true(isnan(ev_table2x2_measure(&no_negatives, EV_SPECIFICITY, EV_WILSON, 0.95).value));
}

static void the_score_interval_of_a_ratio_is_koopmans(void **state) {
    (void)state;
    // Biometrics 1984;40:513: 36 of 40 against 16 of 80.
    static const struct ev_table2x2 t = {36, 16, 4, 64};
    struct ev_interval x = ev_likelihood_ratio_score(&t, true, 0.95);
    near(x.value, 4.5, 1e-14);
    limits(x, 2.94, 7.15, 0.005);
}

static void predictive_values_at_the_studys_prevalence_are_the_tables(void **state) {
    (void)state;
    double prevalence = 744.0 / 1586;
    near(ev_predictive_value(&TABLE, true, prevalence, 0.95).value, 670.0 / 872, 1e-14);
    near(ev_predictive_value(&TABLE, false, prevalence, 0.95).value, 640.0 / 714, 1e-14);
    struct ev_interval rare = ev_predictive_value(&TABLE, true, 0.01, 0.95);
    near(rare.value, 0.01 * (670.0 / 744) / (0.01 * (670.0 / 744) + 0.99 * (202.0 / 842)), 1e-14);
    assert_true(rare.lo < rare.value && rare.value < rare.hi);
}

static void verification_bias_is_corrected_as_by_begg_and_greenes(void **state) {
    (void)state;
    // Liver scans of Drum and Christacopoulos (J Nucl Med 1972;13:908) as in Begg and Greenes, Biometrics 1983;39:207: of 650, 344 verified; 0.84 and 0.74 instead of 0.90 and 0.63.
    static const struct ev_table2x2 verified = {231, 32, 27, 54};
    struct ev_begg_greenes b;
    struct err e = {0};
    assert_true(ev_begg_greenes(&verified, 166, 140, 0.95, &b, &e));
    near(b.sensitivity.value, 0.84, 0.005);
    near(b.specificity.value, 0.74, 0.005);
    assert_true(ev_begg_greenes(&verified, 0, 0, 0.95, &b, &e)); // all verified: the plain table, and its binomial errors
    near(b.sensitivity.value, 231.0 / 258, 1e-14);
    near(b.se_sensitivity, sqrt(231.0 / 258 * (27.0 / 258) / 258), 1e-12);
    near(b.se_specificity, sqrt(54.0 / 86 * (32.0 / 86) / 86), 1e-12);
    static const struct ev_table2x2 one_side = {231, 32, 0, 0};
    assert_false(ev_begg_greenes(&one_side, 10, 10, 0.95, &b, &e));
    assert_non_null(strstr(e.message, "negative"));
}

static void clusters_widen_a_proportion(void **state) {
    (void)state;
    enum { N = 40 };
    struct arena a;
    struct ev_clustered_proportion alone, pairs;
    uint8_t hit[2 * N];
    int32_t cluster[2 * N], own[2 * N];
    arena_init(&a, 1 << 20);
    for (int i = 0; i < 2 * N; i++) {
        hit[i] = i / 2 % 4 == 0;
        cluster[i] = i / 2;
        own[i] = i;
    }
    assert_true(ev_proportion_clustered(&a, hit, own, 2 * (size_t)N, 0.95, &alone, NULL));
    near(alone.design_effect, 2.0 * N / (2.0 * N - 1), 1e-13);
    assert_true(ev_proportion_clustered(&a, hit, cluster, 2 * (size_t)N, 0.95, &pairs, NULL)); // both of a pair alike: each pair is one observation
    near(pairs.se, sqrt(0.25 * 0.75 / (N - 1)), 1e-14);
    near(pairs.effective_n, N - 1, 1e-10);
    assert_true(pairs.clusters == N && pairs.interval.value == 0.25);
    assert_false(ev_proportion_clustered(&a, hit, cluster, 0, 0.95, &pairs, NULL));
    arena_deinit(&a);
}

static void sample_sizes_are_those_of_r_and_epir(void **state) {
    (void)state;
    near(ev_size_two_proportions(0.8, 0.9, 0.8, 0.05, 2), 198.963413283821, 1e-6); // R 4.2.2, power.prop.test
    near(ev_size_two_proportions(0.8, 0.9, 0.8, 0.05, 1), 156.605447911968, 1e-5);
    near(ev_power_two_proportions(0.8, 0.9, 150, 0.05, 2), 0.680830760472834, 1e-12);
    near(ev_size_precision(0.9, 0.05, 0.1, 0.95), 1382.92517544988, 1e-8);                // epiR 2.0.57, epi.ssdxsesp
    near(ev_size_noninferior(0.85, 0.65, 0.1, 0.8, 0.05, 1) * 2, 48.7735070526004, 1e-9); // epi.ssninfb
    near(ev_size_noninferior(0.85, 0.65, 0.1, 0.8, 0.05, 2) * 3, 60.0223264608586, 1e-9);
    near(ev_size_equivalent(0.9, 0.85, 0.1, 0.8, 0.05, 1) * 2, 1490.10943901623, 1e-8); // epi.ssequb
    near(ev_size_equivalent(0.9, 0.85, 0.1, 0.8, 0.05, 2) * 3, 1772.71640158827, 1e-8);
    assert_true(isnan(ev_size_equivalent(0.9, 0.7, 0.1, 0.8, 0.05, 1))); // the true difference is beyond the margin: no number suffices
    double n = ev_size_paired_proportions(0.15, 0.05, 0.9, 0.05, 2);
    near(ev_power_paired_proportions(0.15, 0.05, n, 0.05, 2), 0.9, 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interval_is_that_of_its_source),
        cmocka_unit_test(mid_p_limits_leave_half_of_the_level_in_either_tail),
        cmocka_unit_test(every_interval_is_a_mirror_and_holds_its_proportion),
        cmocka_unit_test(no_proportion_has_no_interval),
        cmocka_unit_test(differences_are_newcombes),
        cmocka_unit_test(paired_differences_are_where_tangos_score_is_the_quantile),
        cmocka_unit_test(mcnemar_is_that_of_r),
        cmocka_unit_test(measures_of_a_table_are_those_of_epi_tests),
        cmocka_unit_test(empty_cells_leave_infinite_or_no_values_but_never_wrong_ones),
        cmocka_unit_test(the_score_interval_of_a_ratio_is_koopmans),
        cmocka_unit_test(predictive_values_at_the_studys_prevalence_are_the_tables),
        cmocka_unit_test(verification_bias_is_corrected_as_by_begg_and_greenes),
        cmocka_unit_test(clusters_widen_a_proportion),
        cmocka_unit_test(sample_sizes_are_those_of_r_and_epir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
