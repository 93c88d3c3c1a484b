// Sums, ranks, matrices and random numbers.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "math/matrix.h"
#include "math/rank.h"
#include "math/rng.h"
#include "math/sums.h"

static struct arena arena;
static struct err err;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, 1 << 28);
    err_clear(&err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void assert_near(double got, double expected, double absolute) {
    if (fabs(got - expected) <= absolute) return;
    print_error("%.17g is not %.17g\n", got, expected);
    fail();
}

// ---- random numbers ----

// The first outputs from the state {1, 2, 3, 4}, as the authors' program prints them.
static void the_generator_is_xoshiro256_plus_plus(void **state) {
    (void)state;
    struct rng r = {.s = {1, 2, 3, 4}};
    static const uint64_t expected[] = {41943041,
                                        58720359,
                                        3588806011781223,
                                        3591011842654386,
                                        9228616714210784205u,
                                        9973669472204895162u,
                                        14011001112246962877u,
                                        12406186145184390807u,
                                        15849039046786891736u,
                                        10450023813501588000u};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) assert_true(rng_u64(&r) == expected[i]);
    // splitmix64 from 1234567
    rng_seed(&r, 1234567);
    assert_true(r.s[0] == 6457827717110365317u && r.s[1] == 3203168211198807973u && r.s[2] == 9817491932198370423u && r.s[3] == 4593380528125082431u);
}

static void streams_after_a_jump_differ_and_repeat(void **state) {
    (void)state;
    struct rng a, b, c;
    rng_seed(&a, 5);
    b = c = a;
    rng_jump(&b);
    rng_jump(&c);
    assert_true(rng_u64(&b) == rng_u64(&c));
    assert_true(rng_u64(&a) != rng_u64(&b));
}

// Mean and variance of n draws against the distribution's, within five standard errors.
static void check_moments(double (*draw)(struct rng *r), double mean, double variance, double fourth) {
    enum { N = 40000 };
    struct rng r;
    rng_seed(&r, 11);
    double *x = arena_alloc(&arena, N * sizeof *x, &err);
    assert_non_null(x);
    for (int i = 0; i < N; i++) x[i] = draw(&r);
    assert_near(sums_mean(x, N), mean, 5 * sqrt(variance / N));
    assert_near(sums_variance(x, N), variance, 5 * sqrt((fourth - variance * variance) / N));
}

static double gamma_third(struct rng *r) {
    return rng_gamma(r, 0.3);
}
static double gamma_seven(struct rng *r) {
    return rng_gamma(r, 7);
}
static double beta_two_three(struct rng *r) {
    return rng_beta(r, 2, 3);
}
static double poisson_four(struct rng *r) {
    return (double)rng_poisson(r, 4);
}
static double poisson_hundred(struct rng *r) {
    return (double)rng_poisson(r, 100);
}
static double binomial_small(struct rng *r) {
    return (double)rng_binomial(r, 12, 0.25);
}
static double binomial_large(struct rng *r) {
    return (double)rng_binomial(r, 1000, 0.8);
}

static void draws_have_the_moments_of_their_distributions(void **state) {
    (void)state;
    check_moments(rng_uniform, 0.5, 1.0 / 12, 1.0 / 80);
    check_moments(rng_normal, 0, 1, 3);
    check_moments(rng_exponential, 1, 1, 9);
    check_moments(gamma_third, 0.3, 0.3, 3 * 0.09 + 6 * 0.3);
    check_moments(gamma_seven, 7, 7, 3 * 49 + 6 * 7);
    check_moments(beta_two_three, 0.4, 0.04, 3.0 * 0.0016);
    check_moments(poisson_four, 4, 4, 3 * 16 + 4);
    check_moments(poisson_hundred, 100, 100, 3 * 1e4 + 100);
    check_moments(binomial_small, 3, 2.25, 3 * 2.25 * 2.25 + 2.25);
    check_moments(binomial_large, 800, 160, 3 * 160.0 * 160 + 160);
}

static void whole_numbers_below_a_bound_are_equally_likely(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 3);
    unsigned count[7] = {0};
    for (int i = 0; i < 70000; i++) count[rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++) assert_near(count[i], 10000, 500);
    assert_true(rng_below(&r, 1) == 0);
    assert_true(rng_binomial(&r, 10, 0) == 0 && rng_binomial(&r, 10, 1) == 10 && rng_poisson(&r, 0) == 0);
}

// ---- ranks ----

static int ascending(const void *a, const void *b) {
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void sorting_agrees_with_qsort_at_every_size(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 39, 41, 1000, 8192, 8193, 50000};
    struct rng r;
    rng_seed(&r, 21);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s];
        double *x = arena_alloc(&arena, n * sizeof *x, &err), *y = arena_alloc(&arena, n * sizeof *y, &err);
        for (size_t i = 0; i < n; i++) x[i] = y[i] = rng_below(&r, 3) ? exp(600 * rng_normal(&r)) * (rng_below(&r, 2) ? 1 : -1) : (double)rng_below(&r, 9) - 4;
        qsort(y, n, sizeof *y, ascending);
        assert_true(rank_sort(&arena, x, n, &err));
        for (size_t i = 0; i < n; i++) assert_true(x[i] == y[i]);
    }
}

static void equal_values_keep_their_order_and_share_their_rank(void **state) {
    (void)state;
    double x[] = {3, -0.0, 1e300, 0, -INFINITY, 3, 3}, rank[7];
    uint32_t *order;
    assert_true(rank_order(&arena, x, 7, &order, &err));
    static const uint32_t expected[] = {4, 1, 3, 0, 5, 6, 2};
    assert_memory_equal(order, expected, sizeof expected);
    assert_true(rank_mid(&arena, x, 7, rank, &err));
    static const double ranks[] = {5, 2.5, 7, 2.5, 1, 5, 5};
    assert_memory_equal(rank, ranks, sizeof ranks);
    x[2] = NAN;
    assert_false(rank_mid(&arena, x, 7, rank, &err));
    assert_non_null(strstr(err.message, "value 3 is no number"));
}

// Values that agree in the upper half of their bits, in runs short and long.
static void values_that_are_nearly_equal_are_told_apart(void **state) {
    (void)state;
    enum { N = 30000 };
    struct rng r;
    rng_seed(&r, 23);
    double *x = arena_alloc(&arena, N * sizeof *x, &err), *y = arena_alloc(&arena, N * sizeof *y, &err);
    uint32_t *order;
    uint8_t *same;
    for (size_t i = 0; i < N; i++) {
        double near = (double)rng_below(&r, i % 3 ? 400 : 20000);
        x[i] = y[i] = i % 3 == 0 ? 1 + near * 0x1p-52 : i % 3 == 1 ? near + 0x1p-40 * (double)rng_below(&r, 3) : -near;
    }
    assert_true(rank_groups(&arena, x, N, &order, &same, &err));
    assert_int_equal(same[0], 0);
    for (size_t i = 1; i < N; i++) {
        double before = x[order[i - 1]], now = x[order[i]];
        assert_true(before < now || (before == now && order[i - 1] < order[i]));
        assert_int_equal(same[i], before == now);
    }
    qsort(y, N, sizeof *y, ascending);
    assert_true(rank_sort(&arena, x, N, &err));
    for (size_t i = 0; i < N; i++) assert_true(x[i] == y[i]);
}

static void midranks_always_add_up(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 22);
    for (size_t n = 1; n < 3000; n = n * 3 + 1) {
        double *x = arena_alloc(&arena, n * sizeof *x, &err), *rank = arena_alloc(&arena, n * sizeof *rank, &err);
        for (size_t i = 0; i < n; i++) x[i] = (double)rng_below(&r, 1 + n / 4);
        assert_true(rank_mid(&arena, x, n, rank, &err));
        assert_true(sums_total(rank, n) == (double)n * (double)(n + 1) / 2);
    }
}

// ---- sums ----

static void sums_keep_what_plain_addition_loses(void **state) {
    (void)state;
    double x[] = {1, 1e100, 1, -1e100};
    assert_true(sums_total(x, 4) == 2);
    double large[] = {1.7e308, 1.7e308, 1.7e308};
    assert_near(sums_mean(large, 3) / 1.7e308, 1, 1e-15);
    double constant[] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    assert_true(sums_variance(constant, 6) <= 1e-33);
    assert_true(isnan(sums_variance(constant, 1)) && isnan(sums_mean(constant, 0)) && isnan(sums_correlation(constant, constant, 6)));
}

// NIST Statistical Reference Datasets, NumAcc4: 1001 values about 10000000.2; mean 10000000.2, standard deviation 0.1 exactly.
static void nist_s_hardest_standard_deviation_is_met(void **state) {
    (void)state;
    double x[1001];
    x[0] = 10000000.2;
    for (int i = 1; i < 1001; i++) x[i] = i % 2 ? 10000000.1 : 10000000.3;
    assert_near(sums_mean(x, 1001), 10000000.2, 2e-9);
    assert_near(sqrt(sums_variance(x, 1001)), 0.1, 1e-9);
}

// Anscombe 1973, The American Statistician 27:17-21, the first set: r = 0.816, covariance 5.501.
static void covariance_and_correlation_are_anscombe_s(void **state) {
    (void)state;
    double x[] = {10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}, y[] = {8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68};
    assert_near(sums_covariance(x, y, 11), 5.501, 1e-12);
    assert_near(sums_correlation(x, y, 11), 0.81642051634484, 1e-13);
    for (int i = 0; i < 11; i++) {
        x[i] *= 1e300;
        y[i] *= 1e-300;
    }
    assert_near(sums_correlation(x, y, 11), 0.81642051634484, 1e-13);
}

// R 4.2.2: quantile(c(1, 3, 4, 7, 11, 18), c(0.1, 0.5, 0.77), type = 1..9)
static void quantiles_are_those_of_r(void **state) {
    (void)state;
    double x[] = {1, 3, 4, 7, 11, 18};
    static const double expected[9][3] = {
        {1, 4, 11}, {1, 5.5, 11}, {1, 4, 11}, {1, 4, 9.48}, {1.2, 5.5, 11.84}, {1, 5.5, 13.73}, {2, 5.5, 10.4}, {1, 5.5, 12.47}, {1, 5.5, 12.3125},
    };
    static const double p[] = {0.1, 0.5, 0.77};
    for (int type = 1; type <= 9; type++)
        for (int i = 0; i < 3; i++) assert_near(sums_quantile(x, 6, p[i], type), expected[type - 1][i], 1e-13);
    assert_true(sums_quantile(x, 6, 0, 7) == 1 && sums_quantile(x, 6, 1, 6) == 18 && sums_quantile(x, 1, 0.3, 7) == 1);
    assert_true(isnan(sums_quantile(x, 6, 1.1, 7)) && isnan(sums_quantile(x, 0, 0.5, 7)));
}

// ---- matrices ----

static void positive_definite_systems_are_solved(void **state) {
    (void)state;
    // Hilbert's 4 x 4; its inverse is whole: 16, -120, 240, -140, ... (Choi 1983, American Mathematical Monthly 90:301-312).
    static const double inverse[16] = {16, -120, 240, -140, -120, 1200, -2700, 1680, 240, -2700, 6480, -4200, -140, 1680, -4200, 2800};
    double a[16], b[] = {1, 2, 3, 4}, x[] = {1, 2, 3, 4};
    for (int i = 0; i < 16; i++) a[i] = 1.0 / (i / 4 + i % 4 + 1);
    double l[16], g[16];
    memcpy(l, a, sizeof a);
    memcpy(g, a, sizeof a);
    assert_true(matrix_inverse_spd(&arena, a, 4, &err));
    for (int i = 0; i < 16; i++) assert_near(a[i] / inverse[i], 1, 1e-10);
    assert_true(matrix_cholesky(l, 4));
    matrix_cholesky_solve(l, 4, b);
    assert_true(matrix_solve(g, 4, x, 1));
    for (int i = 0; i < 4; i++) {
        double expected = 0;
        for (int k = 0; k < 4; k++) expected += inverse[i * 4 + k] * (k + 1);
        assert_near(b[i] / expected, 1, 1e-10);
        assert_near(x[i] / expected, 1, 1e-10);
    }
}

static void singular_matrices_are_refused(void **state) {
    (void)state;
    double a[] = {1, 2, 2, 4}, b[] = {1, 1}, zero[] = {0, 0, 0, 0};
    assert_false(matrix_inverse_spd(&arena, a, 2, &err));
    assert_false(matrix_solve(a, 2, b, 1));
    assert_false(matrix_solve(zero, 2, b, 1));
    double swapped[] = {0, 1, 1, 0}, x[] = {3, 5};
    assert_true(matrix_solve(swapped, 2, x, 1));
    assert_true(x[0] == 5 && x[1] == 3);
}

static void eigenvalues_come_in_descending_order_with_their_vectors(void **state) {
    (void)state;
    // The second difference matrix: eigenvalues 2 - 2 cos(k pi / (n + 1)).
    enum { N = 5 };
    double a[N * N] = {0}, keep[N * N], values[N], v[N * N];
    for (int i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i + 1 < N) a[i * N + i + 1] = a[(i + 1) * N + i] = -1;
    }
    memcpy(keep, a, sizeof a);
    matrix_eigen_symmetric(a, N, values, v);
    for (int k = 0; k < N; k++) {
        assert_near(values[k], 2 - 2 * cos((N - k) * M_PI / (N + 1)), 1e-14);
        for (int i = 0; i < N; i++) {
            double product = 0;
            for (int j = 0; j < N; j++) product += keep[i * N + j] * v[j * N + k];
            assert_near(product, values[k] * v[i * N + k], 1e-14);
        }
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(the_generator_is_xoshiro256_plus_plus),
        T(streams_after_a_jump_differ_and_repeat),
        T(draws_have_the_moments_of_their_distributions),
        T(whole_numbers_below_a_bound_are_equally_likely),
        T(sorting_agrees_with_qsort_at_every_size),
        T(equal_values_keep_their_order_and_share_their_rank),
        T(values_that_are_nearly_equal_are_told_apart),
        T(midranks_always_add_up),
        T(sums_keep_what_plain_addition_loses),
        T(nist_s_hardest_standard_deviation_is_met),
        T(covariance_and_correlation_are_anscombe_s),
        T(quantiles_are_those_of_r),
        T(positive_definite_systems_are_solved),
        T(singular_matrices_are_refused),
        T(eigenvalues_come_in_descending_order_with_their_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
