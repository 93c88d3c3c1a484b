// Distributions and special functions against figures of 50 digits, at their edges, and against each other.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "math/dist.h"
#include "math/rng.h"
#include "math/special.h"

#define assert_within(got, expected, relative) check_within(got, expected, relative, __FILE__, __LINE__)

static void check_within(double got, double expected, double relative, const char *file, int line) {
    if (fabs(got - expected) <= relative * fabs(expected)) return;
    print_error("%.17g is not %.17g\n", got, expected);
    _fail(file, line);
}

// Figures computed with mpmath 1.2.1 at 50 digits from the definitions (ncdf, and 2F1 and incomplete gamma series).
static void normal_probabilities_keep_their_digits_far_out(void **state) {
    (void)state;
    assert_within(dist_norm(0.5, true), 0.3085375387259869, 1e-15);
    assert_within(dist_norm(8, true), 6.2209605742717841e-16, 1e-13);
    assert_within(dist_norm(-3, true), 0.99865010196836991, 1e-15);
    assert_within(dist_norm(37, true), 5.7255712225245768e-300, 1e-12);
    assert_within(dist_norm_quantile(0.975, false), 1.9599639845400539, 1e-15);
    assert_within(dist_norm_quantile(1e-10, true), 6.3613409024040562, 1e-15);
    assert_within(dist_norm_quantile(0.5000001, false), 2.5066282733116483e-7, 1e-9); // the argument's own rounding
    assert_within(dist_norm_quantile(1e-300, false), -37.047096299361199, 1e-15);
}

// mpmath: the integral of the density times ncdf, 30 digits.
static void two_correlated_normal_variables_match(void **state) {
    (void)state;
    assert_within(dist_norm2(1, 0.5, 0.3), 0.60930867779999558, 1e-13);
    assert_within(dist_norm2(-1, -2, 0.8), 0.020859583932255541, 1e-12);
    assert_within(dist_norm2(2, -0.7, -0.6), 0.22354111556593166, 1e-13);
    assert_within(dist_norm2(1.5, 1.4, 0.99), 0.91646409914814242, 1e-13);
    assert_within(dist_norm2(0.2, 0.1, 0.999), 0.53975005725895122, 1e-9);
    assert_within(dist_norm2(0, 0, 0.5), 1.0 / 3, 1e-14); // Sheppard 1899: 1/4 + asin(rho) / 2 pi
    assert_within(dist_norm2(0.3, 1.1, 1), dist_norm(0.3, false), 0);
    assert_true(dist_norm2(-1, 0.5, -1) == 0 && isnan(dist_norm2(0, 0, 1.1)) && dist_norm2(INFINITY, 8, 0.5) <= 1);
}

static void student_s_t_holds_for_every_degree_of_freedom(void **state) {
    (void)state;
    assert_within(dist_t(2, 10, true), 0.036694017385370183, 1e-13);
    assert_within(dist_t(12.706204736174698, 1, true), 0.025000000000000014, 1e-13);
    assert_within(dist_t(1.5, 0.5, true), 0.25395089532405422, 1e-13);
    assert_within(dist_t(50, 3.7, true), 1.1266795364491626e-6, 1e-13);
    assert_within(dist_t(2, 1e6, true), 0.022750266925659604, 1e-13);
    assert_within(dist_t(0.001, 5, true), 0.49962039338609883, 1e-14);
    assert_within(dist_t_quantile(0.025, 10, true), 2.2281388519862747, 1e-14);
    assert_within(dist_t_quantile(0.025, 2.8, false), -3.3149906990060302, 1e-14);
    assert_within(dist_t_quantile(1e-12, 4, true), 1316.0727465592565, 1e-13);
    assert_within(dist_t_quantile(0.49, 7, true), 0.02597794156951689, 1e-13);
    assert_within(dist_t(1.5, INFINITY, true), dist_norm(1.5, true), 0);
}

static void f_chi_squared_and_beta_match(void **state) {
    (void)state;
    assert_within(dist_f(4.1028210151304032, 2, 10, true), 0.049999999999999948, 1e-13);
    assert_within(dist_f(30, 3.5, 12.25, true), 4.2801237367626317e-6, 1e-13);
    assert_within(dist_f(0.01, 5, 200, true), 0.99997025450796524, 1e-14);
    assert_within(dist_f(2, 3, INFINITY, true), dist_chi2(6, 3, true), 1e-15);
    assert_within(dist_chi2(3.841458820694124, 1, true), 0.050000000000000057, 1e-13);
    assert_within(dist_chi2(100, 50, true), 3.4549313829848639e-5, 1e-13);
    assert_within(dist_chi2(1e-3, 2.5, true), 0.99993402782908102, 1e-14);
    assert_within(dist_beta(0.3, 2, 3, false), 0.3483, 1e-14);
    assert_within(dist_beta(1e-5, 0.01, 5, false), 0.9099486514594585, 1e-14);
    assert_within(dist_beta(0.999, 200, 0.5, false), 0.52724410702523517, 1e-13);
    assert_within(dist_beta(0.48, 5000, 5000, false), 3.1470916320309822e-5, 1e-13);
}

// mpmath: the integral of the density.
static void huge_shapes_keep_their_digits_and_take_no_time(void **state) {
    (void)state;
    assert_within(special_gamma_q(1e10, 10000500000.0), 2.8677052963671239e-7, 1e-13);
    assert_within(special_gamma_p(1e14, 99999998000000.0), 0.42074030307426324, 1e-13);
    assert_within(special_gamma_q(2e8, 2e8), 0.49999059684027394, 1e-14);
    assert_within(dist_chi2(2 * 0.999e8, 2 * 0.999e8, true), dist_chi2(2 * 1.001e8, 2 * 1.001e8, true), 1e-7); // on both sides of where the method changes
    assert_true(special_gamma_q(1e12, 5e11) == 1 && special_gamma_p(1e12, 2e12) == 1 && special_gamma_q(1e300, 2e300) == 0);
    assert_true(dist_f_noncentral(3, 2, 30, 1e8, false) == 0 && dist_chi2_noncentral(1e9, 2, 1e3, true) == 0);
    assert_within(dist_t(2, 1e12, true), dist_norm(2, true), 1e-11);
}

static void counts_have_their_sums(void **state) {
    (void)state;
    assert_within(dist_binom(3, 10, 0.2, false), 0.8791261184, 1e-14);
    assert_within(dist_binom_density(3, 10, 0.2), 0.201326592, 1e-14);
    assert_within(dist_binom(40, 100, 0.5, false), 0.028443966820490396, 1e-13);
    assert_within(dist_binom(0, 1000, 0.001, false), 0.36769542477096404, 1e-13);
    assert_within(dist_poisson(7, 3.5, false), 0.97326107790868031, 1e-14);
    assert_within(special_log_choose(1000000, 12345), 66513.015547130372, 1e-14);
    assert_within(special_log_beta(0.001, 1e8), 6.8887582046448963, 1e-14);
    double sum = 0;
    for (int k = 0; k <= 30; k++) sum += dist_binom_density(k, 30, 0.37);
    assert_within(sum, 1, 1e-14);
    assert_true(dist_binom_density(2.5, 10, 0.5) == 0);
    assert_true(dist_binom(-1, 10, 0.5, false) == 0 && dist_binom(10, 10, 0.5, false) == 1 && dist_binom(10, 10, 0.5, true) == 0);
}

// mpmath again: the integral over the chi distribution, and sums of 200 terms.
static void noncentral_tails_match(void **state) {
    (void)state;
    assert_within(dist_t_noncentral(2, 10, 1, true), 0.19238843746962474, 1e-12);
    assert_within(dist_t_noncentral(2.2281388519649385, 10, 3, true), 0.77140021860035756, 1e-12);
    assert_within(dist_t_noncentral(3, 5.5, -2, true), 5.290358115823778e-5, 1e-12);
    assert_within(dist_t_noncentral(-3, 5.5, 2, false), 5.290358115823778e-5, 1e-12);
    assert_within(dist_t_noncentral(-1, 20, 1.5, true), 0.99301346261468235, 1e-12);
    assert_within(dist_t_noncentral(60, 8, 40, true), 0.10576877163825194, 1e-12);
    assert_within(dist_f_noncentral(4, 1, 10, 8, true), 0.78928363068477855, 1e-12);
    assert_within(dist_f_noncentral(3, 2.5, 17.3, 20, true), 0.96335420154473051, 1e-12);
    assert_within(dist_f_noncentral(0.5, 3, 8, 30, true), 0.99999457735963544, 1e-12);
    assert_within(dist_chi2_noncentral(10, 3, 5, true), 0.29335135222254826, 1e-12);
    assert_within(dist_chi2_noncentral(300, 2, 50, true), 9.3498772155090552e-25, 1e-11);
}

static void a_squared_noncentral_t_is_a_noncentral_f(void **state) {
    (void)state;
    for (double t = 0.5; t < 6; t += 0.7)
        for (double ncp = -3; ncp < 5; ncp += 1.3) {
            double two_tails = dist_t_noncentral(t, 9.5, ncp, true) + dist_t_noncentral(-t, 9.5, ncp, false);
            assert_within(two_tails, dist_f_noncentral(t * t, 1, 9.5, ncp * ncp, true), 1e-11);
        }
}

static void both_tails_make_one(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 7);
    for (int i = 0; i < 300; i++) {
        double a = exp(6 * rng_uniform(&r) - 2), b = exp(6 * rng_uniform(&r) - 2), x = rng_uniform(&r), ncp = 10 * rng_uniform(&r);
        assert_within(dist_beta(x, a, b, false) + dist_beta(x, a, b, true), 1, 1e-14);
        assert_within(dist_beta(x, a, b, false), dist_beta(1 - x, b, a, true), 1e-11);
        assert_within(dist_gamma(x * a, a, 1, false) + dist_gamma(x * a, a, 1, true), 1, 1e-14);
        assert_within(dist_t_noncentral(x * 4, a, ncp, false) + dist_t_noncentral(x * 4, a, ncp, true), 1, 1e-11);
        assert_within(dist_f_noncentral(x * 4, a, b, ncp, false) + dist_f_noncentral(x * 4, a, b, ncp, true), 1, 1e-11);
    }
}

static void quantiles_undo_probabilities(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 8);
    for (int i = 0; i < 300; i++) {
        double a = exp(6 * rng_uniform(&r) - 1), b = exp(6 * rng_uniform(&r) - 1), p = i % 3 ? rng_uniform(&r) : exp(-40 * rng_uniform(&r));
        bool upper = i & 1;
        assert_within(dist_norm(dist_norm_quantile(p, upper), upper), p, 1e-13);
        assert_within(dist_t(dist_t_quantile(p, a, upper), a, upper), p, 1e-11);
        assert_within(dist_chi2(dist_chi2_quantile(p, a, upper), a, upper), p, 1e-11);
        assert_within(dist_f(dist_f_quantile(p, a, b, upper), a, b, upper), p, 1e-11);
        double x = dist_beta_quantile(p, a, b, upper);
        if (x < 0.99) assert_within(dist_beta(x, a, b, upper), p, 1e-10);
    }
}

static void arguments_outside_the_range_give_no_number(void **state) {
    (void)state;
    assert_true(isnan(dist_norm_quantile(1.5, false)) && isnan(dist_norm_quantile(NAN, false)) && isnan(dist_norm(NAN, true)));
    assert_true(dist_norm_quantile(0, false) == -INFINITY && dist_norm_quantile(0, true) == INFINITY);
    assert_true(isnan(dist_t(1, 0, true)) && isnan(dist_t(NAN, 3, true)) && isnan(dist_t_quantile(0.1, -1, true)));
    assert_true(isnan(dist_f(1, -1, 2, true)) && isnan(dist_chi2(1, 0, true)) && isnan(dist_beta(0.5, 0, 1, true)));
    assert_true(isnan(dist_binom(1, 10, 1.5, true)) && isnan(dist_poisson(1, -1, true)) && isnan(dist_f_noncentral(1, 2, 3, -1, true)));
    assert_true(dist_t(INFINITY, 3, true) == 0 && dist_t(-INFINITY, 3, true) == 1 && dist_t(1e300, 3, true) == 0);
    assert_true(dist_f(-1, 2, 3, true) == 1 && dist_f(INFINITY, 2, 3, true) == 0 && dist_f(1e308, 2, 3, true) >= 0);
    assert_true(dist_beta(2, 1, 1, true) == 0 && dist_beta(-1, 1, 1, true) == 1 && dist_chi2_quantile(0, 3, true) == INFINITY);
    assert_true(dist_chi2(1e300, 3, true) == 0 && dist_beta_quantile(0, 1, 2, false) == 0 && dist_beta_quantile(1, 1, 2, false) == 1);
}

static double cubic(double x, void *with) {
    return x * x * x - *(double *)with;
}

static double bell(double x, void *with) {
    (void)with;
    return dist_norm_density(x);
}

static void roots_and_integrals_are_found(void **state) {
    (void)state;
    double two = 2;
    assert_within(special_root(cubic, &two, 0, 10, 0), cbrt(2), 1e-15);
    assert_true(isnan(special_root(cubic, &two, 5, 10, 0)));
    assert_within(special_integral(bell, NULL, -1, 2, 40), dist_norm(2, false) - dist_norm(-1, false), 1e-15);
    // x^5 over [0, 2] is exact by three nodes, of Gauss's own: 0, +-sqrt(3/5); weights 8/9 and 5/9.
    double node[3], weight[3];
    special_gauss_legendre(3, node, weight);
    assert_within(node[2], sqrt(0.6), 1e-15);
    assert_within(weight[1], 8.0 / 9, 1e-15);
    assert_true(node[1] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_probabilities_keep_their_digits_far_out),
        cmocka_unit_test(two_correlated_normal_variables_match),
        cmocka_unit_test(student_s_t_holds_for_every_degree_of_freedom),
        cmocka_unit_test(f_chi_squared_and_beta_match),
        cmocka_unit_test(huge_shapes_keep_their_digits_and_take_no_time),
        cmocka_unit_test(counts_have_their_sums),
        cmocka_unit_test(noncentral_tails_match),
        cmocka_unit_test(a_squared_noncentral_t_is_a_noncentral_f),
        cmocka_unit_test(both_tails_make_one),
        cmocka_unit_test(quantiles_undo_probabilities),
        cmocka_unit_test(arguments_outside_the_range_give_no_number),
        cmocka_unit_test(roots_and_integrals_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
