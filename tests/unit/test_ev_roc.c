// ROC analysis: areas and DeLong's covariances against their definition and other programs, partial areas, operating points, resampling, clusters, power.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "math/rank.h"
#include "math/rng.h"
#include "mod/evidence/power.h"
#include "mod/evidence/roc.h"

static void near(double got, double want, double tolerance) {
    if (isnan(want) && isnan(got)) return;
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.16g is not %.16g within %g", got, want, tolerance);
}

static struct arena arena;

static int begin(void **state) {
    (void)state;
    arena_init(&arena, (size_t)1 << 30);
    return 0;
}

static int end(void **state) {
    (void)state;
    arena_deinit(&arena);
    return 0;
}

// Fourteen cases, two tests with ties; figures of pROC 1.18.0 (Debian r-cran-proc).
enum { SMALL = 14 };
static const uint8_t SMALL_TRUTH[SMALL] = {1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0};
static const double SMALL_A[SMALL] = {7, 3, 5, 9, 2, 5, 6, 4, 8, 5, 1, 3, 5, 6}, SMALL_B[SMALL] = {2.5, 1, 2.5, 4, 3, 1, 3.5, 2, 2, 0.5, 2.5, 3, 4, 2.5};
static const double *const SMALL_BOTH[2] = {SMALL_A, SMALL_B};

static void small_delong(struct ev_delong *d) {
    assert_true(ev_delong(&arena, 2, SMALL_BOTH, SMALL_TRUTH, SMALL, d, NULL));
}

static void hanley_and_mcneils_ratings_give_their_area_and_error(void **state) {
    (void)state;
    // Radiology 1982;143:29, table I: 58 normal and 51 abnormal CT; area 0.893, SE 0.032. DeLong's variance and interval: pROC 1.18.0.
    static const int normal[5] = {33, 6, 6, 11, 2}, abnormal[5] = {3, 2, 2, 11, 33};
    double score[109];
    uint8_t positive[109];
    size_t n = 0;
    for (int k = 0; k < 5; k++) {
        for (int i = 0; i < normal[k]; i++) score[n] = k + 1, positive[n++] = 0;
        for (int i = 0; i < abnormal[k]; i++) score[n] = k + 1, positive[n++] = 1;
    }
    const double *tests[1] = {score};
    struct ev_delong d;
    assert_true(ev_delong(&arena, 1, tests, positive, n, &d, NULL));
    near(d.auc[0], 0.8931710615281, 1e-12);
    near(d.covariance[0], 0.0009439892702629845, 1e-15);
    struct ev_auc x = ev_auc_of(d.auc[0], d.covariance[0], EV_AUC_WALD, 0.95);
    near(x.lo, 0.8329523276582, 1e-12);
    near(x.hi, 0.9533897953979, 1e-12);
    near(ev_hanley_mcneil_se(d.auc[0], 51, 58), 0.032, 0.0005);
}

static void two_tests_compare_as_in_proc(void **state) {
    (void)state;
    struct ev_delong d;
    small_delong(&d);
    near(d.auc[0], 0.8163265306122448, 1e-15);
    near(d.auc[1], 0.8367346938775510, 1e-15);
    near(d.covariance[0], 0.01305011800638623, 1e-16);
    near(d.covariance[3], 0.01103706788837984, 1e-16);
    near(d.covariance[1], -0.003314591142579481, 1e-16);
    assert_true(d.covariance[1] == d.covariance[2]);
    struct ev_auc_test t = ev_auc_paired(&d, 0, 1, 0.95);
    near(t.statistic, -0.11644450194792, 1e-12);
    near(t.p, 0.9073002678001, 1e-12);
    near(t.lo, -0.3639131319112651, 1e-12);
    near(t.hi, 0.3230968053806530, 1e-12);
    t = ev_auc_unpaired(d.auc[0], d.covariance[0], SMALL, d.auc[1], d.covariance[3], SMALL, 0.95);
    near(t.statistic, -0.13149549909567, 1e-12);
    near(t.df, 25.81966185567, 1e-10);
    near(t.p, 0.8964026379671, 1e-12);
}

static void the_test_of_all_areas_is_the_paired_one_when_there_are_two(void **state) {
    (void)state;
    struct ev_delong d;
    double chi2, df, p;
    small_delong(&d);
    struct ev_auc_test t = ev_auc_paired(&d, 0, 1, 0.95);
    assert_true(ev_auc_all_alike(&arena, &d, &chi2, &df, &p, NULL));
    near(chi2, t.statistic * t.statistic, 1e-13);
    near(p, t.p, 1e-12);
    assert_true(df == 1);
    const double *same[2] = {SMALL_A, SMALL_A};
    struct err e = {0};
    assert_true(ev_delong(&arena, 2, same, SMALL_TRUTH, SMALL, &d, NULL));
    assert_false(ev_auc_all_alike(&arena, &d, &chi2, &df, &p, &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
}

// ---- against the definitions, pair by pair ----

static double kernel(double x, double y) {
    return x > y ? 1 : x == y ? 0.5 : 0;
}

struct sample {
    size_t n;
    double score[2][60];
    uint8_t positive[60];
};

static void random_sample(struct rng *r, struct sample *s) {
    uint64_t levels = 2 + rng_below(r, 12); // few: many ties
    s->n = 6 + rng_below(r, 50);
    for (size_t i = 0; i < s->n; i++) {
        s->positive[i] = i < 2 ? 1 : i < 4 ? 0 : (uint8_t)rng_below(r, 2);
        for (int t = 0; t < 2; t++) s->score[t][i] = (double)rng_below(r, levels) + (double)(s->positive[i] * rng_below(r, 3)) / 2 - 3;
    }
}

// The covariance as DeLong et al. write it, from all pairs.
static double covariance_by_pairs(const struct sample *s, const double *a, const double *b, double *auc) {
    double v[2][2][60] = {0}, n[2] = {0, 0}, mean[2] = {0, 0};
    const double *of[2] = {a, b};
    for (size_t i = 0; i < s->n; i++) n[s->positive[i]]++;
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < s->n; i++)
            for (size_t j = 0; j < s->n; j++) {
                if (!s->positive[i] || s->positive[j]) continue;
                double k = kernel(of[t][i], of[t][j]);
                v[t][1][i] += k / n[0];
                v[t][0][j] += k / n[1];
                mean[t] += k / (n[0] * n[1]);
            }
    double sum[2] = {0, 0};
    for (size_t i = 0; i < s->n; i++) sum[s->positive[i]] += (v[0][s->positive[i]][i] - mean[0]) * (v[1][s->positive[i]][i] - mean[1]);
    *auc = mean[0];
    return sum[1] / (n[1] - 1) / n[1] + sum[0] / (n[0] - 1) / n[0];
}

static void areas_and_covariances_are_those_of_all_pairs(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 11);
    for (int i = 0; i < 400; i++) {
        struct sample s;
        struct ev_delong d;
        double auc;
        random_sample(&r, &s);
        const double *tests[2] = {s.score[0], s.score[1]};
        assert_true(ev_delong(&arena, 2, tests, s.positive, s.n, &d, NULL));
        near(d.covariance[0], covariance_by_pairs(&s, s.score[0], s.score[0], &auc), 1e-13);
        near(d.auc[0], auc, 1e-13);
        near(d.covariance[1], covariance_by_pairs(&s, s.score[0], s.score[1], &auc), 1e-13);
        arena_reset(&arena);
    }
}

// The mean of products of kernels over pairs that share no case, subtracted from the mean of squared areas: both without bias.
static double unbiased_by_pairs(const struct sample *s, const double *x) {
    double apart = 0, pairs_apart = 0, all = 0, pairs = 0;
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < s->n; j++) {
            if (!s->positive[i] || s->positive[j]) continue;
            all += kernel(x[i], x[j]);
            pairs++;
            for (size_t k = 0; k < s->n; k++)
                for (size_t l = 0; l < s->n; l++) {
                    if (!s->positive[k] || s->positive[l] || k == i || l == j) continue;
                    apart += kernel(x[i], x[j]) * kernel(x[k], x[l]);
                    pairs_apart++;
                }
        }
    return all / pairs * (all / pairs) - apart / pairs_apart;
}

// So many cases that the second of two tests goes to a thread of its own.
static void many_cases_are_placed_side_by_side_as_one_by_one(void **state) {
    (void)state;
    enum { N = 120000 };
    struct rng r;
    rng_seed(&r, 77);
    double *x = arena_alloc(&arena, 3 * N * sizeof *x, NULL);
    uint8_t *positive = arena_alloc(&arena, N, NULL);
    for (size_t i = 0; i < N; i++) {
        positive[i] = rng_below(&r, 3) == 0;
        for (size_t t = 0; t < 3; t++) x[t * N + i] = floor(20 * rng_normal(&r) + (positive[i] ? 15 : 0)) / (double)(t + 1);
    }
    const double *tests[] = {x, x + N, x + 2 * N};
    struct ev_delong d;
    assert_true(ev_delong(&arena, 3, tests, positive, N, &d, NULL));
    for (unsigned t = 0; t < 3; t++) {
        struct ev_placements p;
        assert_true(ev_placements(&arena, &(struct ev_roc_data){tests[t], positive, N}, &p, NULL));
        assert_true(p.auc == d.auc[t]);
        assert_memory_equal(p.positive, d.placed[t].positive, p.n1 * sizeof(double));
        assert_memory_equal(p.negative, d.placed[t].negative, p.n0 * sizeof(double));
    }
}

static void the_variance_without_bias_is_that_of_all_pairs(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 12);
    for (int i = 0; i < 30; i++) {
        struct sample s;
        struct ev_placements p;
        random_sample(&r, &s);
        struct ev_roc_data d = {s.score[0], s.positive, s.n};
        assert_true(ev_placements(&arena, &d, &p, NULL));
        near(ev_auc_variance_unbiased(&p), unbiased_by_pairs(&s, s.score[0]), 1e-13);
        arena_reset(&arena);
    }
}

static void a_monotone_change_of_scores_changes_nothing_and_a_reversal_mirrors(void **state) {
    (void)state;
    double turned[SMALL], grown[SMALL];
    for (int i = 0; i < SMALL; i++) {
        turned[i] = -SMALL_A[i];
        grown[i] = exp(70 * SMALL_A[i]) * 1e27; // to 1e300
    }
    const double *tests[3] = {SMALL_A, turned, grown};
    struct ev_delong d;
    assert_true(ev_delong(&arena, 3, tests, SMALL_TRUTH, SMALL, &d, NULL));
    near(d.auc[0] + d.auc[1], 1, 1e-15);
    near(d.covariance[4], d.covariance[0], 1e-16);
    assert_true(d.auc[2] == d.auc[0] && d.covariance[8] == d.covariance[0]);
    struct ev_auc_test t = ev_auc_paired(&d, 0, 2, 0.95);
    assert_true(t.difference == 0 && t.p == 1);
}

// A case's placement is its midrank among all less its midrank among its own, over the number of the others (Sun and Xu 2014, equation 12).
static void check_by_midranks(const double *x, const uint8_t *positive, size_t n, const struct ev_placements *p) {
    double *rank = arena_alloc(&arena, n * sizeof *rank, NULL), *own = arena_alloc(&arena, n * sizeof *own, NULL),
           *own_rank = arena_alloc(&arena, n * sizeof *own, NULL);
    size_t k = 0;
    assert_true(rank && own && own_rank && rank_mid(&arena, x, n, rank, NULL));
    for (size_t i = 0; i < n; i++)
        if (positive[i]) own[k++] = x[i];
    assert_int_equal(k, p->n1);
    assert_true(rank_mid(&arena, own, k, own_rank, NULL));
    k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!positive[i]) continue;
        if (p->positive[k] != (rank[i] - own_rank[k]) / (double)p->n0) fail_msg("positive %zu: %.17g", k, p->positive[k]);
        k++;
    }
}

// A score of a large set: normal, few levels, numbers alike but for the last bits of their fractions, and all of these signs and sizes together.
static double large_score(struct rng *r, int kind) {
    double near_one = 1 + (double)rng_below(r, 1 << 24) * 0x1p-52;
    if (kind == 0) return rng_normal(r);
    if (kind == 1) return (double)rng_below(r, 7) - 3;
    if (kind == 2) return near_one;
    return rng_below(r, 3) ? -near_one * (double)rng_below(r, 3) : rng_normal(r) * 1e300;
}

static void large_sets_are_placed_as_midranks_say(void **state) {
    (void)state;
    enum { N = 60000, KINDS = 4 }; // what sorting does with many
    const double *tests[KINDS];
    uint8_t *positive = arena_alloc(&arena, N, NULL);
    struct rng r;
    struct ev_delong d;
    rng_seed(&r, 16);
    assert_non_null(positive);
    for (int i = 0; i < N; i++) positive[i] = rng_below(&r, 3) == 0;
    for (int k = 0; k < KINDS; k++) {
        double *x = arena_alloc(&arena, N * sizeof *x, NULL);
        assert_non_null(x);
        for (int i = 0; i < N; i++) x[i] = large_score(&r, k);
        tests[k] = x;
    }
    assert_true(ev_delong(&arena, KINDS, tests, positive, N, &d, NULL));
    for (int k = 0; k < KINDS; k++) check_by_midranks(tests[k], positive, N, &d.placed[k]);
}

// ---- refusals and edges ----

static void what_has_no_area_is_refused_with_its_reason(void **state) {
    (void)state;
    static const uint8_t all[3] = {1, 1, 1}, none[3] = {0, 0, 0}, some[3] = {1, 0, 1};
    double x[3] = {1, 2, 3}, hole[3] = {1, NAN, 3}, far[3] = {1, INFINITY, 3};
    struct ev_placements p;
    struct err e = {0};
    assert_false(ev_placements(&arena, &(struct ev_roc_data){x, all, 3}, &p, &e));
    assert_non_null(strstr(e.message, "positive"));
    assert_false(ev_placements(&arena, &(struct ev_roc_data){x, none, 3}, &p, &e));
    assert_non_null(strstr(e.message, "negative"));
    assert_false(ev_placements(&arena, &(struct ev_roc_data){hole, some, 3}, &p, &e));
    assert_non_null(strstr(e.message, "case 2"));
    assert_false(ev_placements(&arena, &(struct ev_roc_data){far, some, 3}, &p, &e));
    assert_false(ev_placements(&arena, &(struct ev_roc_data){x, some, 0}, &p, &e));
}

static void one_case_of_a_class_has_an_area_but_no_variance(void **state) {
    (void)state;
    static const uint8_t truth[3] = {1, 0, 0};
    static const double x[3] = {2, 1, 3};
    const double *tests[1] = {x};
    struct ev_delong d;
    assert_true(ev_delong(&arena, 1, tests, truth, 3, &d, NULL));
    assert_true(d.auc[0] == 0.5 && isnan(d.covariance[0]) && isnan(ev_auc_variance_unbiased(&d.placed[0])));
    struct ev_auc a = ev_auc_of(d.auc[0], d.covariance[0], EV_AUC_WALD, 0.95);
    assert_true(isnan(a.lo) && isnan(a.hi));
}

static void constant_scores_are_chance_and_values_of_1e300_are_ordinary(void **state) {
    (void)state;
    static const uint8_t truth[6] = {1, 0, 1, 0, 1, 0};
    static const double same[6] = {4, 4, 4, 4, 4, 4}, huge[6] = {1e300, -1e300, 1.7e308, -1.7e308, 1e300, 0};
    const double *tests[2] = {same, huge};
    struct ev_delong d;
    struct ev_roc_curve c;
    assert_true(ev_delong(&arena, 2, tests, truth, 6, &d, NULL));
    assert_true(d.auc[0] == 0.5 && d.covariance[0] == 0 && d.auc[1] == 1);
    assert_true(ev_roc_curve(&arena, &(struct ev_roc_data){same, truth, 6}, &c, NULL));
    assert_int_equal(c.count, 2);
    assert_true(ev_roc_curve(&arena, &(struct ev_roc_data){huge, truth, 6}, &c, NULL));
    for (size_t k = 1; k + 1 < c.count; k++) assert_true(isfinite(c.threshold[k]) && c.threshold[k] < c.threshold[k - 1]);
    near(ev_roc_area(&c), 1, 0);
}

// ---- the curve ----

static void partial_areas_are_those_of_proc(void **state) {
    (void)state;
    struct ev_roc_curve c;
    assert_true(ev_roc_curve(&arena, &(struct ev_roc_data){SMALL_A, SMALL_TRUTH, SMALL}, &c, NULL));
    near(ev_roc_partial(&c, EV_SPECIFICITY_FOCUS, 0.6, 1, false), 0.2514285714285714, 1e-15); // pROC 1.18.0
    near(ev_roc_partial(&c, EV_SPECIFICITY_FOCUS, 0.6, 1, true), 0.7678571428571428, 1e-14);
    near(ev_roc_partial(&c, EV_SENSITIVITY_FOCUS, 0.6, 1, false), 0.2310204081632653, 1e-15);
    near(ev_roc_partial(&c, EV_SENSITIVITY_FOCUS, 0.6, 1, true), 0.7359693877551019, 1e-14);
    assert_true(isnan(ev_roc_partial(&c, EV_SPECIFICITY_FOCUS, 0.6, 0.6, false)));
    assert_true(isnan(ev_roc_partial(&c, EV_SPECIFICITY_FOCUS, -0.1, 0.6, false)));
}

static void parts_of_the_area_add_up_to_it(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 13);
    for (int i = 0; i < 200; i++) {
        struct sample s;
        struct ev_roc_curve c;
        random_sample(&r, &s);
        double cut = rng_uniform(&r);
        assert_true(ev_roc_curve(&arena, &(struct ev_roc_data){s.score[0], s.positive, s.n}, &c, NULL));
        for (int f = 0; f < 2; f++) {
            enum ev_focus focus = f ? EV_SENSITIVITY_FOCUS : EV_SPECIFICITY_FOCUS;
            near(ev_roc_partial(&c, focus, 0, cut, false) + ev_roc_partial(&c, focus, cut, 1, false), ev_roc_area(&c), 1e-14);
        }
        arena_reset(&arena);
    }
}

static void below_the_diagonal_the_correction_is_not_a_number(void **state) {
    (void)state;
    static const uint8_t truth[4] = {0, 0, 1, 1};
    static const double x[4] = {3, 4, 1, 2};
    struct ev_roc_curve c;
    assert_true(ev_roc_curve(&arena, &(struct ev_roc_data){x, truth, 4}, &c, NULL));
    assert_true(isnan(ev_roc_partial(&c, EV_SPECIFICITY_FOCUS, 0.5, 1, true)));
    near(ev_roc_partial(&c, EV_SPECIFICITY_FOCUS, 0.5, 1, false), 0, 0);
}

static void operating_points_are_found(void **state) {
    (void)state;
    struct ev_roc_curve c;
    size_t equals;
    assert_true(ev_roc_curve(&arena, &(struct ev_roc_data){SMALL_B, SMALL_TRUTH, SMALL}, &c, NULL));
    near(ev_roc_sensitivity_at(&c, 0.8), 0.6285714285714284, 1e-14); // pROC 1.18.0, coords()
    near(ev_roc_specificity_at(&c, 0.9), 0.5285714285714285, 1e-14);
    near(ev_roc_sensitivity_at(&c, 0), 1, 0);
    near(ev_roc_specificity_at(&c, 1), 0.4285714285714285, 1e-15);
    near(ev_roc_sensitivity_at(&c, 1), 0.4285714285714285, 1e-15);
    assert_true(isnan(ev_roc_sensitivity_at(&c, 1.1)));
    size_t at = ev_roc_best(&c, EV_BEST_YOUDEN, 1, &equals); // four points are equally good; the higher threshold stands
    assert_true(c.threshold[at] == 3.25 && c.tp[at] == 3 && c.fp[at] == 0);
    assert_int_equal(equals, 4);
}

static void a_point_above_its_threshold_is_what_the_curve_counts(void **state) {
    (void)state;
    struct ev_roc_curve c;
    assert_true(ev_roc_curve(&arena, &(struct ev_roc_data){SMALL_A, SMALL_TRUTH, SMALL}, &c, NULL));
    for (size_t k = 0; k < c.count; k++) {
        double tp = 0, fp = 0;
        for (int i = 0; i < SMALL; i++)
            if (SMALL_A[i] > c.threshold[k]) *(SMALL_TRUTH[i] ? &tp : &fp) += 1;
        assert_true(tp == c.tp[k] && fp == c.fp[k]);
    }
}

// ---- resampling, clusters, margins ----

static void the_bootstrap_repeats_itself_and_agrees_with_delong(void **state) {
    (void)state;
    enum { N = 300, R = 2000 };
    double x[N], *first, *second;
    uint8_t positive[N];
    struct rng r;
    struct ev_delong d;
    struct ev_resampled b;
    struct ev_wanted w = {.index = EV_INDEX_AUC};
    rng_seed(&r, 14);
    for (int i = 0; i < N; i++) {
        positive[i] = i % 3 == 0;
        x[i] = rng_normal(&r) + positive[i];
    }
    const double *tests[1] = {x};
    assert_true(ev_delong(&arena, 1, tests, positive, N, &d, NULL));
    assert_true(ev_roc_bootstrap(&arena, 1, tests, positive, N, &w, 1, R, 5, &first, NULL) &&
                ev_roc_bootstrap(&arena, 1, tests, positive, N, &w, 1, R, 5, &second, NULL));
    assert_memory_equal(first, second, R * sizeof *first);
    assert_true(ev_resampled(&arena, first, R, 0.95, &b, NULL));
    assert_int_equal(b.undefined, 0);
    near(b.se / sqrt(d.covariance[0]), 1, 0.06); // the standard deviation of 2,000 replicates is known to 1.6 %
    near(b.lo, d.auc[0] - 1.96 * sqrt(d.covariance[0]), 0.012);
    near(b.hi, d.auc[0] + 1.96 * sqrt(d.covariance[0]), 0.012);
}

static void clusters_of_one_case_leave_delongs_variance(void **state) {
    (void)state;
    enum { N = 500 };
    double x[N];
    uint8_t positive[N];
    int32_t cluster[N];
    struct rng r;
    struct ev_delong plain, clustered;
    rng_seed(&r, 15);
    for (int i = 0; i < N; i++) {
        positive[i] = (uint8_t)(i % 2);
        cluster[i] = i;
        x[i] = rng_normal(&r) + positive[i];
    }
    const double *tests[1] = {x};
    assert_true(ev_delong(&arena, 1, tests, positive, N, &plain, NULL) && ev_delong_clustered(&arena, 1, tests, positive, cluster, N, &clustered, NULL));
    near(clustered.covariance[0] / plain.covariance[0], 1, 1e-12); // no cluster has both classes, so nothing is crossed
    cluster[7] = -1;
    assert_false(ev_delong_clustered(&arena, 1, tests, positive, cluster, N, &clustered, NULL));
}

static void a_patient_told_twice_counts_once(void **state) {
    (void)state;
    // Every case doubled within its cluster: the variance between clusters is that of the cases told once; DeLong's would be half of it.
    double x[2 * SMALL];
    uint8_t positive[2 * SMALL];
    int32_t cluster[2 * SMALL];
    struct ev_delong once, twice;
    for (int i = 0; i < 2 * SMALL; i++) {
        x[i] = SMALL_A[i / 2];
        positive[i] = SMALL_TRUTH[i / 2];
        cluster[i] = i / 2;
    }
    const double *tests[1] = {x};
    small_delong(&once);
    assert_true(ev_delong_clustered(&arena, 1, tests, positive, cluster, 2 * (size_t)SMALL, &twice, NULL));
    near(twice.auc[0], once.auc[0], 1e-15);
    near(twice.covariance[0], once.covariance[0], 1e-15);
}

static void a_difference_within_its_margin_is_noninferior_and_equivalent(void **state) {
    (void)state;
    struct ev_margin_test t = ev_margin(-0.01, 0.02, 0.05, 0.95);
    near(t.z_lower, 2, 1e-12);
    near(t.p_noninferior, 0.02275013194817921, 1e-15); // Phi(-2)
    near(t.p_equivalent, 0.02275013194817921, 1e-15);
    near(t.lo, -0.01 - 1.959963984540054 * 0.02, 1e-12);
    t = ev_margin(0.04, 0.02, 0.05, 0.95);
    near(t.p_equivalent, 0.3085375387259869, 1e-14); // Phi(-0.5)
}

// ---- power ----

static void power_of_one_area_is_that_of_proc(void **state) {
    (void)state;
    // pROC 1.18.0, power.roc.test and its own tests.
    struct ev_effect x = ev_effect_auc(0.73, 0.5, 72.0 / 41, 2);
    near(ev_effect_power(&x, 41, 0.05), 0.9897453, 1e-6);
    near(ev_effect_alpha(&x, 41, 0.95), 0.0092385836338984, 1e-12);
    x = ev_effect_auc(0.731368563685637, 0.5, 1.7, 2);
    near(ev_effect_size(&x, 0.95, 0.05), 29.29764472095996, 1e-9);
    near(ev_effect_power(&x, ev_effect_size(&x, 0.95, 0.05), 0.05), 0.95, 1e-12);
    double auc = ev_detectable_auc(0.5, 41, 72.0 / 41, 0.95, 0.05, 2);
    x = ev_effect_auc(auc, 0.5, 72.0 / 41, 2);
    near(ev_effect_power(&x, 41, 0.05), 0.95, 1e-9);
}

static void fitted_curves_plan_as_in_proc(void **state) {
    (void)state;
    // The small data above: pROC 1.18.0, smooth(method = "binormal")$model and power.roc.test(method = "obuchowski", power = 0.8)
    struct ev_roc_curve c;
    struct ev_binormal fitted[2];
    for (int t = 0; t < 2; t++) {
        assert_true(ev_roc_curve(&arena, &(struct ev_roc_data){SMALL_BOTH[t], SMALL_TRUTH, SMALL}, &c, NULL));
        fitted[t] = ev_binormal_fitted(&c);
    }
    near(fitted[0].a, 1.284092561380199, 1e-10);
    near(fitted[0].b, 1.202817549435050, 1e-10);
    double r1 = ev_correlation_within(SMALL_A, SMALL_B, SMALL_TRUTH, SMALL, 1), r0 = ev_correlation_within(SMALL_A, SMALL_B, SMALL_TRUTH, SMALL, 0);
    struct ev_effect x = ev_effect_binormal(&fitted[0], &fitted[1], 1.0 / 49, r1, r0, 1, 2);
    near(ev_effect_size(&x, 0.8, 0.05) / 5373.245236655467, 1, 1e-9);
}

static void sizes_for_one_area_are_obuchowskis(void **state) {
    (void)state;
    // Obuchowski, Lieber and Wians, Clin Chem 2004;50:1118, table 4 (one-sided, power 0.9): positives for areas 0.6, 0.7, 0.8 with one negative each.
    static const double area[3] = {0.6, 0.7, 0.8}, cases[3] = {135, 33, 14};
    for (int i = 0; i < 3; i++) {
        struct ev_effect x = ev_effect_auc(area[i], 0.5, 1, 1);
        near(ceil(ev_effect_size(&x, 0.9, 0.05)), cases[i], 0);
    }
}

static void binormal_planning_is_obuchowski_and_mcclishs_example(void **state) {
    (void)state;
    // Stat Med 1997;16:1529, example 2: partial areas to a false positive rate of 0.2; the number by pROC 1.18.0.
    struct ev_binormal x = {2.6, 1, 0, 0.2}, y = {1.9, 1, 0, 0.2};
    struct ev_effect effect = ev_effect_binormal(&x, &y, 0.037, 0.6, 0.6, 1, 2);
    near(ev_effect_size(&effect, 0.8, 0.05), 107.0238, 1e-4);
    near(ev_effect_power(&effect, 107, 0.05), 0.7999286, 1e-7);
    near(ev_effect_alpha(&effect, 107, 0.8), 0.05004012, 1e-8);
    near(ev_binormal_area(&x), 0.172371764932428008, 1e-14); // mpmath, 30 digits
    near(ev_binormal_area(&y), 0.136032469857023065, 1e-14);
    struct ev_binormal whole = {2.6, 1, 0, 1}, most = {2.6, 1, 0, 1 - 1e-15};
    near(ev_binormal_area(&whole), ev_binormal_area(&most), 1e-12);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(hanley_and_mcneils_ratings_give_their_area_and_error),
        T(two_tests_compare_as_in_proc),
        T(the_test_of_all_areas_is_the_paired_one_when_there_are_two),
        T(areas_and_covariances_are_those_of_all_pairs),
        T(many_cases_are_placed_side_by_side_as_one_by_one),
        T(the_variance_without_bias_is_that_of_all_pairs),
        T(a_monotone_change_of_scores_changes_nothing_and_a_reversal_mirrors),
        T(large_sets_are_placed_as_midranks_say),
        T(what_has_no_area_is_refused_with_its_reason),
        T(one_case_of_a_class_has_an_area_but_no_variance),
        T(constant_scores_are_chance_and_values_of_1e300_are_ordinary),
        T(partial_areas_are_those_of_proc),
        T(parts_of_the_area_add_up_to_it),
        T(below_the_diagonal_the_correction_is_not_a_number),
        T(operating_points_are_found),
        T(a_point_above_its_threshold_is_what_the_curve_counts),
        T(the_bootstrap_repeats_itself_and_agrees_with_delong),
        T(clusters_of_one_case_leave_delongs_variance),
        T(a_patient_told_twice_counts_once),
        T(a_difference_within_its_margin_is_noninferior_and_equivalent),
        T(power_of_one_area_is_that_of_proc),
        T(fitted_curves_plan_as_in_proc),
        T(sizes_for_one_area_are_obuchowskis),
        T(binormal_planning_is_obuchowski_and_mcclishs_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
