// Reader studies: Obuchowski-Rockette, pseudovalues, U-statistics and power, against published figures and against the plain definitions.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "math/rng.h"
#include "mod/evidence/mrmc.h"
#include "mod/evidence/ustat.h"
#include "mod/evidence/verify.h"

enum { MOST = 64 };

static void close_to(double ours, double wanted, double tolerance) {
    if (!(fabs(ours - wanted) <= tolerance)) fail_msg("%.15g is not %.15g within %g", ours, wanted, tolerance);
}

static struct arena arena;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, (size_t)1 << 28);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

// ---- a study made of random numbers, with ties and holes ----

static struct ev_study random_study(struct rng *r, unsigned treatments, unsigned readers, unsigned normal, unsigned diseased, double holes) {
    struct ev_study s = {.treatments = treatments, .readers = readers, .cases = normal + diseased, .diseased_count = diseased, .design = EV_DESIGN_CROSSED};
    size_t n = (size_t)treatments * readers * s.cases;
    s.diseased = arena_zero(&arena, s.cases, 1, NULL);
    s.score = arena_zero(&arena, n, sizeof *s.score, NULL);
    s.treatment = arena_zero(&arena, treatments, sizeof *s.treatment, NULL);
    s.reader = arena_zero(&arena, readers, sizeof *s.reader, NULL);
    for (unsigned c = 0; c < diseased; c++) s.diseased[c * s.cases / diseased] = 1;
    for (size_t i = 0; i < n; i++) s.score[i] = floor(rng_uniform(r) * 5 + s.diseased[i % s.cases]);
    for (size_t i = 0; i < n; i++) { // at least two of each class stay
        unsigned same = 0;
        for (size_t k = i / s.cases * s.cases; k < (i / s.cases + 1) * s.cases; k++)
            same += !isnan(s.score[k]) && s.diseased[k % s.cases] == s.diseased[i % s.cases];
        if (same > 2 && rng_uniform(r) < holes) s.score[i] = NAN;
    }
    return s;
}

static double area(const double *x, const uint8_t *diseased, unsigned n, unsigned without) {
    double hits = 0, pairs = 0;
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < n; k++) {
            if (i == without || k == without || !diseased[i] || diseased[k] || isnan(x[i]) || isnan(x[k])) continue;
            pairs++;
            hits += x[i] > x[k] ? 1 : x[i] == x[k] ? 0.5 : 0;
        }
    }
    return hits / pairs;
}

static struct ev_merit merit_of(const struct ev_study *s, enum ev_covariance how) {
    struct ev_merit m = {0};
    struct err e = {0};
    if (!ev_merit_of(&arena, s, &(struct ev_merit_options){.covariance = how}, &m, &e)) fail_msg("%s", e.message);
    return m;
}

static struct ev_or analysis_of(const struct ev_merit *m) {
    struct ev_or o;
    struct err e = {0};
    if (!ev_or_analyse(&arena, m, &o, &e)) fail_msg("%s", e.message);
    return o;
}

// ---- covariances ----

static void jackknife_is_what_leaving_each_case_out_gives(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 11);
    for (unsigned round = 0; round < 20; round++) {
        struct ev_study s = random_study(&r, 2, 3, 6 + round % 4, 5 + round % 3, round % 2 ? 0.2 : 0);
        struct ev_merit m = merit_of(&s, EV_COV_JACKKNIFE);
        double v[MOST][6], mean[6] = {0};
        for (unsigned c = 0; c < s.cases; c++)
            for (unsigned g = 0; g < 6; g++) mean[g] += (v[c][g] = area(s.score + (size_t)g * s.cases, s.diseased, s.cases, c)) / s.cases;
        for (unsigned g = 0; g < 6; g++) {
            close_to(m.theta[g], area(s.score + (size_t)g * s.cases, s.diseased, s.cases, s.cases), 1e-14);
            for (unsigned h = 0; h < 6; h++) {
                double sum = 0;
                for (unsigned c = 0; c < s.cases; c++) sum += (v[c][g] - mean[g]) * (v[c][h] - mean[h]);
                close_to(m.cov[g * 6 + h], sum * (s.cases - 1) / s.cases, 1e-13);
            }
        }
    }
}

static double psi_of(const double *x, unsigned f, unsigned t) {
    if (isnan(x[f]) || isnan(x[t])) return NAN;
    return x[t] > x[f] ? 1 : x[t] == x[f] ? 0.5 : 0;
}

// The mean of products of successes that share as told: -1 no matter, 0 no, 1 yes.
static double mean_product(const struct ev_study *s, const double *x, const double *y, bool same_f, bool same_t, double *count) {
    double sum = 0;
    for (unsigned f = 0; f < s->cases; f++) {
        for (unsigned t = 0; t < s->cases; t++) {
            if (s->diseased[f] || !s->diseased[t] || isnan(psi_of(x, f, t))) continue;
            for (unsigned g = 0; g < s->cases; g++) {
                for (unsigned u = 0; u < s->cases; u++) {
                    if (s->diseased[g] || !s->diseased[u] || (f == g) != same_f || (t == u) != same_t || isnan(psi_of(y, g, u))) continue;
                    sum += psi_of(x, f, t) * psi_of(y, g, u);
                    ++*count;
                }
            }
        }
    }
    return sum;
}

static void unbiased_covariance_is_the_product_less_that_of_pairs_without_a_common_case(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 12);
    for (unsigned round = 0; round < 6; round++) {
        struct ev_study s = random_study(&r, 2, 2, 5, 6, round % 2 ? 0.2 : 0);
        struct ev_merit m = merit_of(&s, EV_COV_UNBIASED);
        for (unsigned g = 0; g < 4; g++) {
            for (unsigned h = 0; h < 4; h++) {
                double count = 0, sum = mean_product(&s, s.score + (size_t)g * s.cases, s.score + (size_t)h * s.cases, false, false, &count);
                close_to(m.cov[g * 4 + h], m.theta[g] * m.theta[h] - sum / count, 1e-13);
            }
        }
    }
}

static void delong_differs_from_the_jackknife_by_the_classes_own_denominators(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 13);
    struct ev_study s = random_study(&r, 1, 1, 9, 7, 0);
    struct ev_merit m = merit_of(&s, EV_COV_DELONG);
    double v10 = 0, v01 = 0;
    for (unsigned c = 0; c < s.cases; c++) {
        double sum = 0;
        for (unsigned k = 0; k < s.cases; k++)
            if (s.diseased[c] != s.diseased[k]) sum += s.diseased[c] ? psi_of(s.score, k, c) : psi_of(s.score, c, k);
        double mean = sum / (s.diseased[c] ? 9 : 7);
        if (s.diseased[c])
            v10 += pow(mean - m.theta[0], 2) / 6;
        else
            v01 += pow(mean - m.theta[0], 2) / 8;
    }
    close_to(m.cov[0], v10 / 7 + v01 / 9, 1e-14);
}

static void delong_refuses_what_not_all_have_read(void **state) {
    (void)state;
    struct rng r;
    struct err e = {0};
    struct ev_merit m = {0};
    rng_seed(&r, 14);
    struct ev_study s = random_study(&r, 2, 2, 6, 6, 0.3);
    assert_false(ev_merit_of(&arena, &s, &(struct ev_merit_options){.covariance = EV_COV_DELONG}, &m, &e));
    assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

// ---- Obuchowski-Rockette, published figures ----

// Van Dyke 1993 as OR-DBM MRMC 2.51 (University of Iowa) prints it: 2 modalities, 5 readers, 114 cases.
static struct ev_or van_dyke(struct ev_merit *m) {
    static double theta[10];
    static double means[2] = {0.89703704, 0.94083736}, squares[2] = {0.00308263, 0.00130460}, variances[2] = {0.00101410, 0.00059047},
                  cov2[2] = {0.00048396, 0.00020419};
    *m = (struct ev_merit){.treatments = 2, .readers = 5, .cases = 114, .design = EV_DESIGN_CROSSED, .theta = theta};
    return (struct ev_or){.merit = m,
                          .ms_t = 0.00479617,
                          .ms_r = 0.00383620,
                          .ms_tr = 0.00055103,
                          .var_error = 0.0008022883,
                          .cov1 = 0.0003466137,
                          .cov2 = 0.0003440748,
                          .cov3 = 0.0002390284,
                          .treatment_mean = means,
                          .treatment_ms_r = squares,
                          .treatment_var = variances,
                          .treatment_cov2 = cov2};
}

static void random_readers_and_cases_are_tested_as_hillis_has_it(void **state) {
    (void)state;
    struct ev_merit m = {0};
    struct ev_or o = van_dyke(&m);
    struct ev_or_test x = ev_or_equality(&o, EV_RRRC);
    close_to(x.statistic, 4.4563, 5e-5);
    close_to(x.df2, 15.26, 5e-3);
    close_to(x.p, 0.0516657, 2e-6);
    struct ev_estimate d = ev_or_difference(&o, EV_RRRC, 0, 1, 0.95);
    close_to(d.se, 0.02075, 5e-6);
    close_to(d.lo, -0.08796, 5e-6);
    close_to(d.hi, 0.00036, 5e-6);
    struct ev_estimate one = ev_or_treatment(&o, EV_RRRC, 0, 0.95);
    close_to(one.se, 0.0331736, 5e-6);
    close_to(one.df, 12.74, 5e-3);
    close_to(one.lo, 0.8252236, 2e-5);
}

static void fixed_readers_are_tested_by_chi_square_and_z(void **state) {
    (void)state;
    struct ev_merit m = {0};
    struct ev_or o = van_dyke(&m);
    struct ev_or_test x = ev_or_equality(&o, EV_FRRC);
    close_to(x.statistic, 5.475953, 2e-5);
    close_to(x.p, 0.01927984, 1e-6);
    close_to(ev_or_difference(&o, EV_FRRC, 0, 1, 0.95).se, 0.01871748, 1e-7);
    close_to(ev_or_treatment(&o, EV_FRRC, 0, 0.95).se, 0.02428971, 1e-6);
}

static void fixed_cases_are_tested_against_the_interaction(void **state) {
    (void)state;
    struct ev_merit m = {0};
    struct ev_or o = van_dyke(&m);
    struct ev_or_test x = ev_or_equality(&o, EV_RRFC);
    close_to(x.statistic, 8.704, 1e-3);
    close_to(x.df2, 4, 0);
    close_to(x.p, 0.04195875, 1e-6);
}

static void power_is_that_of_hillis_2011(void **state) {
    (void)state;
    struct ev_merit m = {0};
    struct ev_or o = van_dyke(&m);
    struct ev_or_plan p = ev_or_plan_of(&o);
    struct ev_power x = ev_or_power(&p, EV_RRRC, 10, 165, -0.043800322, 0.05); // RJafroc's test values
    close_to(x.power, 0.80541995, 2e-6);
    close_to(x.ncp, 8.209597033, 5e-5);
    close_to(ev_or_power(&p, EV_RRFC, 10, 53, -0.043800322, 0.05).power, 0.80496663, 2e-5);
    unsigned k = ev_or_cases(&p, EV_RRRC, 10, 0.0438, 0.05, 0.8);
    assert_true(ev_or_power(&p, EV_RRRC, 10, k, 0.0438, 0.05).power >= 0.8);
    assert_true(ev_or_power(&p, EV_RRRC, 10, k - 1, 0.0438, 0.05).power < 0.8);
    assert_int_equal(ev_or_cases(&p, EV_RRRC, 2, 1e-6, 0.05, 0.8), 0);
}

// ---- Obuchowski-Rockette, properties ----

static void pseudovalues_give_the_same_mean_squares(void **state) {
    (void)state;
    enum { T = 2, R = 3, K = 13 };
    struct rng r;
    rng_seed(&r, 15);
    struct ev_study s = random_study(&r, T, R, 6, 7, 0);
    struct ev_merit m = merit_of(&s, EV_COV_JACKKNIFE);
    struct ev_or o = analysis_of(&m);
    struct ev_dbm d = ev_dbm_of(&o);
    double y[T][R][K], mean = 0, tk[T][K] = {{0}}, rk[R][K] = {{0}}, k_[K] = {0}, tr[T][R] = {{0}}, t_[T] = {0}, r_[R] = {0};
    for (unsigned i = 0; i < T; i++)
        for (unsigned j = 0; j < R; j++)
            for (unsigned c = 0; c < K; c++) {
                const double *x = ev_study_scores(&s, i, j);
                double v = y[i][j][c] = K * area(x, s.diseased, K, K) - (K - 1) * area(x, s.diseased, K, c);
                mean += v / (T * R * K), tk[i][c] += v / R, rk[j][c] += v / T, k_[c] += v / (T * R), tr[i][j] += v / K, t_[i] += v / (R * K),
                    r_[j] += v / (T * K);
            }
    double ms_t = 0, ms_tc = 0, ms_rc = 0, ms_c = 0, ms_trc = 0;
    for (unsigned i = 0; i < T; i++) ms_t += R * K * pow(t_[i] - mean, 2) / (T - 1);
    for (unsigned c = 0; c < K; c++) {
        ms_c += T * R * pow(k_[c] - mean, 2) / (K - 1);
        for (unsigned i = 0; i < T; i++) ms_tc += R * pow(tk[i][c] - t_[i] - k_[c] + mean, 2) / ((T - 1) * (K - 1));
        for (unsigned j = 0; j < R; j++) ms_rc += T * pow(rk[j][c] - r_[j] - k_[c] + mean, 2) / ((R - 1) * (K - 1));
        for (unsigned i = 0; i < T; i++)
            for (unsigned j = 0; j < R; j++)
                ms_trc += pow(y[i][j][c] - tr[i][j] - tk[i][c] - rk[j][c] + t_[i] + r_[j] + k_[c] - mean, 2) / ((T - 1) * (R - 1) * (K - 1));
    }
    close_to(d.ms_t, ms_t, 1e-12);
    close_to(d.ms_c, ms_c, 1e-12);
    close_to(d.ms_tc, ms_tc, 1e-12);
    close_to(d.ms_rc, ms_rc, 1e-12);
    close_to(d.ms_trc, ms_trc, 1e-12);
}

static void a_difference_turns_its_sign_with_the_modalities(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 16);
    struct ev_study s = random_study(&r, 3, 4, 12, 10, 0);
    struct ev_merit m = merit_of(&s, EV_COV_JACKKNIFE);
    struct ev_or o = analysis_of(&m);
    for (int g = 0; g < 3; g++) {
        struct ev_estimate a = ev_or_difference(&o, (enum ev_generalise)g, 0, 2, 0.9), b = ev_or_difference(&o, (enum ev_generalise)g, 2, 0, 0.9);
        close_to(a.value, -b.value, 1e-15);
        close_to(a.lo, -b.hi, 1e-15);
        close_to(a.p, b.p, 1e-15);
    }
}

static void two_modalities_have_one_p_value_by_f_and_by_t(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 17);
    struct ev_study s = random_study(&r, 2, 4, 15, 15, 0);
    struct ev_merit m = merit_of(&s, EV_COV_UNBIASED);
    struct ev_or o = analysis_of(&m);
    for (int g = 0; g < 3; g++) close_to(ev_or_equality(&o, (enum ev_generalise)g).p, ev_or_difference(&o, (enum ev_generalise)g, 0, 1, 0.95).p, 1e-12);
}

static void cases_of_their_own_are_independent(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 18);
    struct ev_study s = random_study(&r, 2, 3, 12, 12, 0);
    for (unsigned i = 0; i < 2; i++)
        for (unsigned j = 0; j < 3; j++)
            for (unsigned c = 0; c < s.cases; c++)
                if (c % 3 != j) s.score[(i * 3 + j) * s.cases + c] = NAN;
    s.design = EV_DESIGN_CASES_IN_READER;
    struct ev_merit m = merit_of(&s, EV_COV_JACKKNIFE);
    struct ev_or o = analysis_of(&m);
    assert_true(o.cov2 == 0 && o.cov3 == 0 && o.cov1 != 0);
    close_to(ev_or_equality(&o, EV_RRRC).p, ev_or_equality(&o, EV_RRFC).p, 0);
}

static void readers_of_one_modality_each_are_compared_between_modalities(void **state) {
    (void)state;
    double theta[6] = {0.8, 0.84, NAN, NAN, NAN, NAN}, cov[36];
    theta[3 + 0] = NAN, theta[3 + 1] = NAN, theta[3 + 2] = 0.7;
    for (unsigned i = 0; i < 36; i++) cov[i] = i % 7 == 0 ? 0.0010 : 0.0004;
    struct ev_merit m = {.treatments = 2, .readers = 3, .cases = 100, .design = EV_DESIGN_READERS_IN_TREATMENT, .theta = theta, .cov = cov};
    struct ev_or o = analysis_of(&m);
    close_to(o.ms_tr, 0.0008, 1e-15); // one pair of readers: half the square of 0.04
    struct ev_estimate d = ev_or_difference(&o, EV_RRFC, 0, 1, 0.95);
    close_to(d.value, 0.12, 1e-15);
    close_to(d.se, sqrt(0.0008 * 1.5), 1e-15);
    close_to(d.df, 1, 0);
}

static void a_reader_who_misses_a_modality_is_refused_by_name(void **state) {
    (void)state;
    struct rng r;
    struct err e = {0};
    struct ev_merit m = {0};
    rng_seed(&r, 19);
    struct ev_study s = random_study(&r, 2, 2, 5, 5, 0);
    s.reader[1] = STR_LIT("Dr. Li");
    s.treatment[1] = STR_LIT("CT");
    for (unsigned c = 0; c < s.cases; c++) s.score[3 * s.cases + c] = NAN;
    assert_false(ev_merit_of(&arena, &s, &(struct ev_merit_options){0}, &m, &e));
    assert_non_null(strstr(e.message, "\"Dr. Li\" in modality \"CT\" has read no case"));
}

static void constant_ratings_have_an_area_of_a_half_and_no_test(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 20);
    struct ev_study s = random_study(&r, 2, 3, 5, 5, 0);
    for (unsigned i = 0; i < 6 * s.cases; i++) s.score[i] = 3;
    struct ev_merit m = merit_of(&s, EV_COV_JACKKNIFE);
    struct ev_or o = analysis_of(&m);
    close_to(o.mean, 0.5, 0);
    for (int g = 0; g < 3; g++) assert_true(isnan(ev_or_equality(&o, (enum ev_generalise)g).p));
}

static void scores_of_any_size_are_only_compared(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 21);
    struct ev_study s = random_study(&r, 2, 2, 6, 6, 0);
    struct ev_merit before = merit_of(&s, EV_COV_UNBIASED);
    for (unsigned i = 0; i < 4 * s.cases; i++) s.score[i] = (s.score[i] - 2.5) * 1e300 * 1e7;
    struct ev_merit after = merit_of(&s, EV_COV_UNBIASED);
    for (unsigned i = 0; i < 16; i++) close_to(after.cov[i], before.cov[i], 0);
}

// ---- U-statistics ----

// Moments by their definition: sums over all pairs of readings that share exactly what is told.
static double moment_of(const struct ev_study *s, unsigned a, unsigned b, unsigned which, double *count) {
    bool same_reader = which < 4, same_f = which % 4 == 0 || which % 4 == 2, same_t = which % 4 <= 1;
    double sum = 0;
    *count = 0;
    for (unsigned j = 0; j < s->readers; j++)
        for (unsigned l = 0; l < s->readers; l++)
            if ((j == l) == same_reader) sum += mean_product(s, ev_study_scores(s, a, j), ev_study_scores(s, b, l), same_f, same_t, count);
    return sum;
}

static void moments_are_means_over_readings_that_share_what_they_must(void **state) {
    (void)state;
    struct rng r;
    struct err e = {0};
    rng_seed(&r, 22);
    for (unsigned round = 0; round < 4; round++) {
        struct ev_study s = random_study(&r, 2, 3, 4, 5, round % 2 ? 0.25 : 0);
        for (unsigned b = 0; b < 2; b++) {
            struct ev_ustat x;
            double counts = 0, count[8], m[8], variance = 0;
            assert_true(ev_ustat_pair(&arena, &s, 0, b, &x, &e));
            for (unsigned i = 0; i < 8; i++) {
                m[i] = moment_of(&s, 0, b, i, &count[i]) / count[i];
                counts += count[i];
                if (count[i] > 0) close_to(x.moment[i], m[i], 1e-13);
            }
            for (unsigned i = 0; i < 8; i++)
                if (count[i] > 0) variance += (count[i] / counts - (i == 7)) * m[i];
            close_to(x.variance, variance, 1e-13);
            close_to(x.component[EV_BCK_R], m[3] - m[7], 1e-13);
        }
    }
}

static void components_with_their_coefficients_make_the_variance(void **state) {
    (void)state;
    struct rng r;
    struct err e = {0};
    struct ev_ustat x;
    rng_seed(&r, 23);
    struct ev_study s = random_study(&r, 1, 4, 8, 9, 0.2);
    assert_true(ev_ustat_pair(&arena, &s, 0, 0, &x, &e));
    double sum = 0;
    for (unsigned i = 0; i < EV_BCK_COUNT; i++) sum += x.component[i] * x.component_coefficient[i];
    close_to(sum, x.variance, 1e-14);
}

static void constant_ratings_have_no_variance_and_no_test(void **state) {
    (void)state;
    struct rng r;
    struct err e = {0};
    struct ev_ustat x;
    rng_seed(&r, 25);
    struct ev_study s = random_study(&r, 1, 3, 50, 41, 0);
    for (unsigned i = 0; i < 3 * s.cases; i++) s.score[i] = 1e300;
    assert_true(ev_ustat_pair(&arena, &s, 0, 0, &x, &e));
    close_to(x.auc[0], 0.5, 0);
    close_to(x.variance, 0, 0);
    assert_true(isnan(ev_ustat_single(&x, false, 0.95).p));
}

static void one_reader_has_no_variance_over_readers(void **state) {
    (void)state;
    struct rng r;
    struct err e = {0};
    struct ev_ustat x;
    rng_seed(&r, 24);
    struct ev_study s = random_study(&r, 1, 1, 8, 9, 0);
    assert_true(ev_ustat_pair(&arena, &s, 0, 0, &x, &e));
    assert_true(isnan(x.variance));
    struct ev_ustat_result y = ev_ustat_single(&x, false, 0.95);
    assert_true(isnan(y.p) && isnan(y.lo));
}

static void a_negative_variance_is_told_and_not_tested(void **state) {
    (void)state;
    struct ev_ustat x = {.auc = {0.8, 0.8}, .variance = 0.001, .df_n = 10, .df_d = 10, .df_r = 3},
                    y = {.auc = {0.7, 0.7}, .variance = 0.001, .df_n = 10, .df_d = 10, .df_r = 3};
    struct ev_ustat xy = {.variance = 0.0012};
    struct ev_ustat_result d = ev_ustat_difference(&x, &y, &xy, false, 0.95);
    close_to(d.variance, -0.0004, 1e-15);
    close_to(d.value, 0.1, 1e-15);
    assert_true(isnan(d.p) && isnan(d.p_normal) && isnan(d.df));
}

static void degrees_of_freedom_are_rounded_down_for_the_test_and_shown_as_they_are(void **state) {
    (void)state;
    struct ev_ustat x = {.auc = {0.75, 0.75}, .variance = 0.002, .df_n = 20, .df_d = 20, .df_r = 4};
    x.component_mle[EV_BCK_R] = 0.0055;
    struct ev_ustat_result s = ev_ustat_single(&x, false, 0.95);
    close_to(s.df, 0.002 * 0.002 / (0.0055 * 0.0055 / 64), 1e-12); // 8.46
    close_to(s.hi - s.value, 2.306004135 * sqrt(0.002), 1e-10);    // t of 8, 97.5 %
}

// ---- reading ----

static bool read_text(const char *text, enum ev_design design, struct ev_study *s, struct err *e) {
    struct csv t;
    *e = (struct err){0};
    return csv_read(&arena, str_of(text), &t, e) && ev_study_read(&arena, &t, NULL, design, s, e);
}

static void both_forms_of_table_hold_the_same_study(void **state) {
    (void)state;
    struct ev_study a = {0}, b = {0};
    struct err e;
    assert_true(read_text("reader,treatment,case,truth,rating\n2,1,7,1,4\n1,1,7,1,5\n1,1,3,0,2\n2,1,3,0,NA\n", EV_DESIGN_DETECT, &a, &e));
    assert_true(read_text("readerID,caseID,modalityID,score\n1,7,1,5\ntruth,7,truth,1\n2,7,1,4\ntruth,3,truth,0\ntruth,9,truth,0\n1,3,1,2\n", EV_DESIGN_DETECT,
                          &b, &e));
    assert_int_equal(a.cases, 2);
    assert_int_equal(b.cases, 2);
    assert_int_equal(a.readers, 2);
    assert_int_equal(b.readers, 2);
    for (unsigned i = 0; i < 4; i++) assert_true(a.score[i] == b.score[i] || (isnan(a.score[i]) && isnan(b.score[i])));
    assert_true(isnan(ev_study_scores(&a, 0, 1)[0]));
}

static void levels_stand_in_order_of_value_whatever_the_rows(void **state) {
    (void)state;
    struct ev_study s = {0};
    struct err e;
    assert_true(read_text("reader,treatment,case,truth,rating\n10,b,1,0,1\n9,a,2,1,2\n", EV_DESIGN_CROSSED, &s, &e));
    assert_true(str_eqz(s.reader[0], "9") && str_eqz(s.treatment[0], "a"));
}

static void words_of_truth_are_understood(void **state) {
    (void)state;
    struct ev_study s = {0};
    struct err e;
    assert_true(read_text("reader,case,truth,rating\n1,1,Normal,1\n1,2,abnormal,2\n", EV_DESIGN_DETECT, &s, &e));
    assert_true(str_eqz(s.positive, "abnormal") && s.diseased[1] == 1 && s.treatments == 1);
    assert_true(read_text("reader,case,truth,rating\n1,1,10,1\n1,2,9,2\n", EV_DESIGN_DETECT, &s, &e));
    assert_true(str_eqz(s.positive, "10"));
}

static void the_same_name_under_two_readers_is_two_cases_when_cases_are_nested(void **state) {
    (void)state;
    struct ev_study s = {0};
    struct err e;
    const char *text = "reader,treatment,case,truth,rating\n1,1,1,0,1\n1,1,2,1,2\n2,1,1,1,3\n2,1,2,0,1\n";
    assert_false(read_text(text, EV_DESIGN_CROSSED, &s, &e));
    assert_non_null(strstr(e.message, "line 4: case \"1\" has the truth \"1\" here and another one before"));
    assert_true(read_text(text, EV_DESIGN_CASES_IN_READER, &s, &e));
    assert_int_equal(s.cases, 4);
}

static void designs_are_seen_from_the_data(void **state) {
    (void)state;
    struct ev_study s = {0};
    struct err e;
    assert_true(read_text("reader,treatment,case,truth,rating\n1,1,1,0,1\n1,1,2,1,2\n2,1,3,1,3\n2,1,4,0,1\n", EV_DESIGN_DETECT, &s, &e));
    assert_int_equal(s.design, EV_DESIGN_CASES_IN_READER);
    assert_true(read_text("reader,treatment,case,truth,rating\n1,1,1,0,1\n1,1,2,1,2\n2,2,2,1,3\n2,2,1,0,1\n", EV_DESIGN_DETECT, &s, &e));
    assert_int_equal(s.design, EV_DESIGN_READERS_IN_TREATMENT);
    assert_true(read_text("reader,treatment,case,truth,rating\n1,1,1,0,1\n1,1,2,1,2\n1,2,3,1,3\n1,2,4,0,1\n", EV_DESIGN_DETECT, &s, &e));
    assert_int_equal(s.design, EV_DESIGN_CASES_IN_TREATMENT);
}

static void faults_of_a_table_are_named_with_their_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *said;
    } FAULTS[] = {
        {"reader,treatment,case,truth,rating\n1,1,1,0,1\n1,1,2,0,2\n", "every case has the truth \"0\""},
        {"reader,treatment,case,truth,rating\n1,1,1,0,1\n1,1,2,1,2\n1,1,2,1,3\n", "line 4: reader \"1\" has read case \"2\" in this modality before"},
        {"reader,treatment,case,truth,rating\n1,1,1,0,1\n1,1,2,1,2\n1,1,3,2,3\n", "line 4: \"2\" is a third truth"},
        {"reader,treatment,case,truth,rating\n1,1,1,0,1\n1,1,2,1,high\n", "line 3"},
        {"reader,treatment,case,truth,rating\n1,1,1,0,1\n,1,2,1,2\n", "line 3: the reader is missing"},
        {"readerID,caseID,modalityID,score\ntruth,1,truth,0\ntruth,2,truth,1\nr,1,A,1\nr,2,A,1\nr,3,A,1\n", "line 6: no truth is told for case \"3\""},
        {"reader,treatment,case,rating\n1,1,1,1\n", "neither a column of truth nor rows of a reader named \"truth\""},
    };
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++) {
        struct ev_study s = {0};
        struct err e;
        assert_false(read_text(FAULTS[i].text, EV_DESIGN_CROSSED, &s, &e));
        if (!strstr(e.message, FAULTS[i].said)) fail_msg("\"%s\" does not say \"%s\"", e.message, FAULTS[i].said);
    }
}

// ---- rows of reference values ----

static bool answer(const struct csv *t, const char *statistic, const char *parameters, double *value, struct err *e) {
    struct ev_question q = {.arena = &arena, .data = t, .dataset = STR_LIT("x.csv"), .statistic = str_of(statistic), .parameters = str_of(parameters)};
    *e = (struct err){0};
    for (const struct ev_statistic *s = EV_STATISTICS_MRMC; s->name; s++) {
        size_t n = strlen(s->name) - (s->name[strlen(s->name) - 1] == '*');
        if (strncmp(s->name, statistic, n) == 0) return s->answer(&q, value, e);
    }
    fail_msg("nothing answers %s", statistic);
    return false;
}

static const char SMALL[] = "reader,treatment,case,truth,rating\n"
                            "1,CT,1,0,1\n1,CT,2,0,3\n1,CT,3,1,2\n1,CT,4,1,4\n2,CT,1,0,1\n2,CT,2,0,2\n2,CT,3,1,3\n2,CT,4,1,3\n"
                            "1,MR,1,0,2\n1,MR,2,0,1\n1,MR,3,1,2\n1,MR,4,1,5\n2,MR,1,0,1\n2,MR,2,0,4\n2,MR,3,1,2\n2,MR,4,1,3\n";

static void words_of_a_row_find_their_quantity(void **state) {
    (void)state;
    static const struct {
        const char *statistic, *parameters;
        double value;
    } ROWS[] = {
        {"mrmc_OR_RRRC_jackknife", "AUC trtCT reader1", 0.75},
        {"mrmc_OR_RRRC_jackknife", "reader=2;treatment=MR", 0.5},
        {"mrmc_OR_RRRC_jackknife", "trtCT mean", 0.875},
        {"mrmc_OR_FRRC_jackknife", "diff CT-MR", 0.1875},
        {"mrmc_OR_FRRC_jackknife", "diff MR-CT", -0.1875},
        {"mrmc_OR_RRFC", "diff", 0.1875},
        {"mrmc_OR_RRFC", "df2", 1},
        {"mrmc_OR_RRRC_jackknife", "MS(T)", 2 * 0.1875 * 0.1875 / 2},
        {"mrmc_OR_RRRC_jackknife", "reader2 diff", 0.5},
        {"mrmc_OR_RRRC_binary_sens(rating>=3)", "trtCT", 0.75},
        {"mrmc_OR_RRRC_binary_spec(rating>3)", "mean spec trtMR", 0.75},
        {"mrmc_Ustat_BDG", "AUC B", 0.6875},
        {"mrmc_Ustat_BDG", "AUCAminusAUCB", 0.1875},
        {"mrmc_MLE", "mod=CT", 0.875},
    };
    struct csv t;
    struct err e;
    assert_true(csv_read(&arena, str_of(SMALL), &t, &e));
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        double x = NAN;
        if (!answer(&t, ROWS[i].statistic, ROWS[i].parameters, &x, &e)) fail_msg("%s: %s", ROWS[i].parameters, e.message);
        if (!(fabs(x - ROWS[i].value) < 1e-14)) fail_msg("%s %s: %.15g is not %.15g", ROWS[i].statistic, ROWS[i].parameters, x, ROWS[i].value);
    }
}

static void words_that_ask_nothing_known_are_refused(void **state) {
    (void)state;
    static const char *const ROWS[][2] = {{"mrmc_OR_RRRC_jackknife", "kurtosis"}, {"mrmc_OR_RRRC_jackknife", "trtCT MS(T)"},
                                          {"mrmc_OR_RRRC_jackknife", "mod=PET"},  {"mrmc_OR_RRRC_jackknife", "reader=9"},
                                          {"mrmc_Ustat_BDG", "median"},           {"BCK_component_Ustat", "mod=CT;X"},
                                          {"mrmc_power_OR", "beauty;J=3;K=9"},    {"mrmc_OR_RRRC_binary_sens", "F"},
                                          {"mrmc_power_OR", "power;J=many"}};
    struct csv t;
    struct err e;
    assert_true(csv_read(&arena, str_of(SMALL), &t, &e));
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        double x = NAN;
        if (answer(&t, ROWS[i][0], ROWS[i][1], &x, &e)) fail_msg("%s %s is answered with %g", ROWS[i][0], ROWS[i][1], x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jackknife_is_what_leaving_each_case_out_gives),
        cmocka_unit_test(unbiased_covariance_is_the_product_less_that_of_pairs_without_a_common_case),
        cmocka_unit_test(delong_differs_from_the_jackknife_by_the_classes_own_denominators),
        cmocka_unit_test(delong_refuses_what_not_all_have_read),
        cmocka_unit_test(random_readers_and_cases_are_tested_as_hillis_has_it),
        cmocka_unit_test(fixed_readers_are_tested_by_chi_square_and_z),
        cmocka_unit_test(fixed_cases_are_tested_against_the_interaction),
        cmocka_unit_test(power_is_that_of_hillis_2011),
        cmocka_unit_test(pseudovalues_give_the_same_mean_squares),
        cmocka_unit_test(a_difference_turns_its_sign_with_the_modalities),
        cmocka_unit_test(two_modalities_have_one_p_value_by_f_and_by_t),
        cmocka_unit_test(cases_of_their_own_are_independent),
        cmocka_unit_test(readers_of_one_modality_each_are_compared_between_modalities),
        cmocka_unit_test(a_reader_who_misses_a_modality_is_refused_by_name),
        cmocka_unit_test(constant_ratings_have_an_area_of_a_half_and_no_test),
        cmocka_unit_test(scores_of_any_size_are_only_compared),
        cmocka_unit_test(moments_are_means_over_readings_that_share_what_they_must),
        cmocka_unit_test(components_with_their_coefficients_make_the_variance),
        cmocka_unit_test(constant_ratings_have_no_variance_and_no_test),
        cmocka_unit_test(one_reader_has_no_variance_over_readers),
        cmocka_unit_test(a_negative_variance_is_told_and_not_tested),
        cmocka_unit_test(degrees_of_freedom_are_rounded_down_for_the_test_and_shown_as_they_are),
        cmocka_unit_test(both_forms_of_table_hold_the_same_study),
        cmocka_unit_test(levels_stand_in_order_of_value_whatever_the_rows),
        cmocka_unit_test(words_of_truth_are_understood),
        cmocka_unit_test(the_same_name_under_two_readers_is_two_cases_when_cases_are_nested),
        cmocka_unit_test(designs_are_seen_from_the_data),
        cmocka_unit_test(faults_of_a_table_are_named_with_their_line),
        cmocka_unit_test(words_of_a_row_find_their_quantity),
        cmocka_unit_test(words_that_ask_nothing_known_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
