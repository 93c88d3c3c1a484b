// Simulators: what is drawn has the truth that is told, and the same seed draws the same.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "math/rank.h"
#include "math/sums.h"
#include "mod/evidence/simulate.h"
#include "text/csv.h"

static struct arena arena;
static struct buf out, second;
static struct err err;

static int set_up(void **state) {
    (void)state;
    arena_init(&arena, (size_t)1 << 29);
    buf_init(&out, 1 << 28);
    buf_init(&second, 1 << 28);
    err_clear(&err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_deinit(&arena);
    buf_deinit(&out);
    buf_deinit(&second);
    return 0;
}

static void assert_near(double got, double expected, double absolute) {
    if (fabs(got - expected) <= absolute) return;
    print_error("%.17g is not %.17g\n", got, expected);
    fail();
}

// Mann-Whitney by ranks; the first normals scores are of cases without the condition.
static double area_of(const double *score, unsigned normals, unsigned diseased) {
    struct arena_mark mark = arena_mark(&arena);
    double *rank = arena_alloc(&arena, (normals + diseased) * sizeof *rank, &err);
    assert_true(rank_mid(&arena, score, normals + diseased, rank, &err));
    double area = (sums_mean(rank + normals, diseased) - (diseased + 1) / 2.0) / normals;
    arena_rewind(&arena, mark);
    return area;
}

static double *drawn_areas(const struct ev_sim_readers *m, unsigned studies) {
    size_t cases = m->normals + m->diseased;
    struct ev_sim_readers_truth t;
    ev_sim_readers_truth(m, &t);
    double *area = arena_alloc(&arena, (size_t)m->treatments * studies * sizeof *area, &err);
    double *score = arena_alloc(&arena, m->treatments * m->readers * cases * sizeof *score, &err);
    struct rng r;
    rng_seed(&r, 4);
    for (unsigned s = 0; s < studies; s++) {
        assert_true(ev_sim_readers_draw(&arena, m, &t, &r, score, &err));
        for (unsigned i = 0; i < m->treatments; i++) {
            double sum = 0;
            for (unsigned j = 0; j < m->readers; j++) sum += area_of(score + ((size_t)i * m->readers + j) * cases, m->normals, m->diseased);
            area[(size_t)i * studies + s] = sum / m->readers;
        }
    }
    return area;
}

// Within four standard errors of 4000 studies.
static void check_readers(const struct ev_sim_readers *m) {
    enum { STUDIES = 4000 };
    struct ev_sim_readers_truth t;
    assert_true(ev_sim_readers_check(m, &err));
    ev_sim_readers_truth(m, &t);
    double *area = drawn_areas(m, STUDIES);
    for (unsigned i = 0; i < m->treatments; i++) {
        double v = sums_variance(area + (size_t)i * STUDIES, STUDIES);
        assert_near(sums_mean(area + (size_t)i * STUDIES, STUDIES), t.auc[i], 4 * sqrt(v / STUDIES));
        for (unsigned k = 0; k < m->treatments && !m->categories; k++) {
            double c = sums_covariance(area + (size_t)i * STUDIES, area + (size_t)k * STUDIES, STUDIES);
            assert_near(c, t.cov[i][k], 4 * sqrt(2.0 / STUDIES) * sqrt(t.cov[i][i] * t.cov[k][k]) * 1.2);
        }
    }
}

static void readers_have_their_true_areas_and_errors(void **state) {
    (void)state;
    check_readers(&(struct ev_sim_readers){2, 3, 12, 15, {0.8, 0.9}, 0.05, 0.02, 0.3, 0.3, 0.2, 0.2, 1, 0});
}

static void unequal_variances_and_categories_have_theirs(void **state) {
    (void)state;
    check_readers(&(struct ev_sim_readers){2, 2, 20, 10, {0.7, 0.85}, 0.1, 0.1, 0.4, 0.1, 0.2, 0.3, 0.7, 0});
    check_readers(&(struct ev_sim_readers){1, 2, 20, 10, {0.85}, 0.1, 0.1, 0.4, 0.1, 0.2, 0.3, 1.5, 5});
}

// Var of the Mann-Whitney area under no difference: (n0 + n1 + 1) / (12 n0 n1), Mann and Whitney 1947.
static void the_error_without_difference_is_mann_and_whitney_s(void **state) {
    (void)state;
    struct ev_sim_readers m = {1, 1, 13, 29, {0.5}, 0, 0, 0.5, 0.1, 0.2, 0.2, 1, 0};
    struct ev_sim_readers_truth t;
    ev_sim_readers_truth(&m, &t);
    assert_near(t.cov[0][0], 43.0 / (12 * 13 * 29), 1e-12);
}

static void models_that_cannot_be_are_refused(void **state) {
    (void)state;
    struct ev_sim_readers m = {1, 1, 13, 29, {1}, 0, 0, 0.5, 0.1, 0.2, 0.2, 1, 0};
    assert_false(ev_sim_readers_check(&m, &err));
    m.auc[0] = 0.7;
    m.categories = 1;
    assert_false(ev_sim_readers_check(&m, &err));
    m.categories = 0;
    m.var_c = -1;
    assert_false(ev_sim_readers_check(&m, &err));
    assert_false(ev_sim_drift_check(&(struct ev_sim_drift){.cases = 1, .prevalence = {0.1, 2}, .auc = {0.8, 0.8}, .specificity = 0.9}, &err));
    assert_false(ev_sim_categories_check(&(struct ev_sim_categories){10, 2, 2, {0.5, 0.6}, 0.5}, &err));
    assert_false(ev_sim_froc_check(&(struct ev_sim_froc){.treatments = 1, .readers = 1, .normals = 1, .diseased = 1}, &err));
}

static void drift_moves_what_is_said(void **state) {
    (void)state;
    enum { N = 200000 };
    struct ev_sim_drift m = {.cases = 2 * N, .before = N, .prevalence = {0.2, 0.3}, .auc = {0.9, 0.8}, .shift = 0.5, .specificity = 0.9};
    struct ev_sim_drift_truth t;
    assert_true(ev_sim_drift_check(&m, &err));
    ev_sim_drift_truth(&m, &t);
    struct rng r;
    rng_seed(&r, 9);
    for (int w = 0; w < 2; w++) {
        double cases = 0, hits = 0, alarms = 0, sum = 0;
        for (size_t i = 0; i < N; i++) {
            bool truth;
            double score;
            ev_sim_drift_draw(&m, w * N + i, &r, &truth, &score);
            cases += truth;
            hits += truth && score > t.threshold;
            alarms += !truth && score > t.threshold;
            sum += score;
        }
        assert_near(cases / N, m.prevalence[w], 0.005);
        assert_near(hits / cases, t.sensitivity[w], 0.01);
        assert_near(1 - alarms / (N - cases), t.specificity[w], 0.005);
        assert_near((hits + alarms) / N, t.positive[w], 0.005);
        assert_near(sum / N, t.mean[w], 5 * t.sd[w] / sqrt(N));
    }
    assert_near(t.specificity[0], 0.9, 1e-12);
}

// Two normal distributions a shift apart: KS distance 2 Phi(shift / 2) - 1.
static void distances_of_a_pure_shift_are_known(void **state) {
    (void)state;
    struct ev_sim_drift m = {.cases = 10, .prevalence = {0, 0}, .auc = {0.9, 0.9}, .shift = 0.5, .specificity = 0.9};
    struct ev_sim_drift_truth t;
    ev_sim_drift_truth(&m, &t);
    assert_near(t.ks, erf(0.25 / sqrt(2)), 1e-7);
    m.shift = 0;
    ev_sim_drift_truth(&m, &t);
    assert_near(t.ks, 0, 1e-15);
    assert_near(t.psi, 0, 1e-15);
}

static void a_gradual_change_passes_through_the_middle(void **state) {
    (void)state;
    struct ev_sim_drift m = {.cases = 100, .before = 10, .over = 9, .prevalence = {0, 1}, .auc = {0.5, 0.5}, .specificity = 0.9};
    struct rng r;
    rng_seed(&r, 1);
    unsigned middle = 0;
    for (int k = 0; k < 4000; k++) {
        bool truth;
        double score;
        ev_sim_drift_draw(&m, 9, &r, &truth, &score);
        assert_false(truth);
        ev_sim_drift_draw(&m, 19, &r, &truth, &score);
        assert_true(truth);
        ev_sim_drift_draw(&m, 14, &r, &truth, &score);
        middle += truth;
    }
    assert_near(middle / 4000.0, 0.5, 0.04);
}

static void calibration_has_its_true_scores(void **state) {
    (void)state;
    enum { N = 200000 };
    struct ev_sim_calibration m = {.cases = N, .intercept = -0.3, .slope = 0.7, .mean = -1, .sd = 1.5};
    struct ev_sim_calibration_truth t;
    assert_true(ev_sim_calibration_check(&m, &err));
    ev_sim_calibration_truth(&m, &t);
    struct rng r;
    rng_seed(&r, 12);
    double cases = 0, brier = 0, loss = 0, ece = 0;
    double *score = arena_alloc(&arena, N * sizeof *score, &err);
    size_t lo = 0, hi = N;
    for (size_t i = 0; i < N; i++) {
        bool truth;
        double p;
        ev_sim_calibration_draw(&m, &r, &truth, &p);
        cases += truth;
        brier += (p - truth) * (p - truth);
        loss -= log(truth ? p : 1 - p);
        ece += fabs(p - 1 / (1 + exp(0.3 - 0.7 * log(p / (1 - p)))));
        score[truth ? --hi : lo++] = p;
    }
    assert_near(cases / N, t.prevalence, 0.005);
    assert_near(brier / N, t.brier, 0.003);
    assert_near(loss / N, t.log_loss, 0.01);
    assert_near(ece / N, t.ece, 0.001);
    assert_near(area_of(score, (unsigned)lo, (unsigned)(N - lo)), t.auc, 0.006);
}

static void raters_agree_as_said(void **state) {
    (void)state;
    struct ev_sim_categories m = {50000, 2, 3, {0.5, 0.3, 0.2}, 0.8};
    struct rng r;
    rng_seed(&r, 13);
    unsigned *c = arena_alloc(&arena, 2 * m.subjects * sizeof *c, &err);
    ev_sim_categories_draw(&m, &r, c);
    double agree = 0, first = 0;
    for (unsigned i = 0; i < m.subjects; i++) {
        agree += c[2 * i] == c[2 * i + 1];
        first += c[2 * i] == 1;
    }
    assert_near(first / m.subjects, 0.5, 0.01);
    assert_near((agree / m.subjects - 0.38) / 0.62, 0.64, 0.015);
    struct ev_sim_ratings g = {4000, 3, 10, 1, 0, 0.5};
    double *v = arena_alloc(&arena, 12000 * sizeof *v, &err), *x = arena_alloc(&arena, 4000 * sizeof *x, &err),
           *y = arena_alloc(&arena, 4000 * sizeof *y, &err);
    assert_true(ev_sim_ratings_draw(&arena, &g, &r, v, &err));
    for (int i = 0; i < 4000; i++) {
        x[i] = v[3 * i];
        y[i] = v[3 * i + 2];
    }
    assert_near(sums_covariance(x, y, 4000), 1, 0.12);
    assert_near(sums_variance(x, 4000), 1.5, 0.15);
    assert_near(sums_mean(x, 4000), 10, 0.1);
}

static void marks_have_their_true_area(void **state) {
    (void)state;
    struct ev_sim_froc m = {.treatments = 2, .readers = 1, .normals = 3000, .diseased = 3000, .lesions_max = 2, .mu = {1, 2}, .noise = 0.8, .found = 0.7};
    struct ev_sim_froc_truth t;
    struct csv marks, lesions;
    double *rating, *kind;
    assert_true(ev_sim_froc_check(&m, &err));
    ev_sim_froc_truth(&m, &t);
    ev_sim_froc_table(&m, 3, &out, &second);
    assert_true(csv_read(&arena, buf_str(&out), &marks, &err) && csv_read(&arena, buf_str(&second), &lesions, &err));
    assert_true(csv_numbers(&marks, 6, &rating, &err) && csv_numbers(&marks, 5, &kind, &err));
    assert_int_equal(lesions.rows, 6000);
    double *x = arena_zero(&arena, 20000, sizeof *x, &err), *count;
    assert_true(csv_numbers(&lesions, 1, &count, &err));
    for (int modality = 1; modality <= 2; modality++) {
        unsigned normals = 3000, all = (unsigned)sums_total(count, 6000), lesion = normals;
        for (unsigned i = 0; i < normals + all; i++) x[i] = -1e9; // unmarked
        for (size_t i = 0; i < marks.rows; i++) {
            double mod, subject;
            assert_true(csv_number(&marks, i, 0, &mod, &err) && csv_number(&marks, i, 2, &subject, &err));
            if (mod != modality) continue;
            if (kind[i] > 0) x[lesion++] = rating[i];
            if (subject <= 3000) x[(unsigned)subject - 1] = fmax(x[(unsigned)subject - 1], rating[i]);
        }
        assert_near(area_of(x, normals, all), t.wafroc[modality - 1], 0.025);
        assert_near((double)(lesion - normals) / all, 0.7, 0.03);
    }
}

static void tables_are_the_same_for_the_same_seed(void **state) {
    (void)state;
    struct ev_sim_readers m = {2, 3, 4, 5, {0.8, 0.9}, 0.05, 0.02, 0.3, 0.3, 0.2, 0.2, 1, 5};
    struct csv t;
    double *v;
    assert_true(ev_sim_readers_table(&arena, &m, 7, &out, &err) && ev_sim_readers_table(&arena, &m, 7, &second, &err));
    assert_true(str_eq(buf_str(&out), buf_str(&second)));
    assert_true(csv_read(&arena, buf_str(&out), &t, &err));
    assert_int_equal(t.rows, 2 * 3 * 9);
    assert_true(csv_numbers(&t, 4, &v, &err));
    for (size_t i = 0; i < t.rows; i++) assert_true(v[i] >= 1 && v[i] <= 5 && v[i] == floor(v[i]));
    buf_clear(&second);
    assert_true(ev_sim_readers_table(&arena, &m, 8, &second, &err));
    assert_false(str_eq(buf_str(&out), buf_str(&second)));
}

static void reports_tell_the_truth(void **state) {
    (void)state;
    struct ev_report r;
    ev_report_init(&r, &arena, "Simulated data", 0.95);
    ev_sim_categories_report(&r, &(struct ev_sim_categories){10, 2, 3, {0.5, 0.3, 0.2}, 0.8});
    assert_string_equal(r.entries[1].name, "True kappa");
    assert_near(r.entries[1].value, 0.64, 1e-15);
    assert_near(r.entries[0].value, 0.64 + 0.36 * 0.38, 1e-15);
    ev_sim_readers_report(&r, &(struct ev_sim_readers){2, 3, 12, 15, {0.8, 0.9}, 0.05, 0.02, 0.3, 0.3, 0.2, 0.2, 1, 0});
    assert_string_equal(r.entries[r.entry_count - 1].name, "True difference");
    assert_near(r.entries[r.entry_count - 1].value, -0.1, 1e-15);
    assert_true(r.entries[r.entry_count - 1].se > 0);
    for (unsigned i = 0; i < r.entry_count; i++) assert_true(ev_term(r.entries[i].name, EV_ZH) != r.entries[i].name);
    assert_true(ev_report_ok(&r, &err));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(readers_have_their_true_areas_and_errors),
        T(unequal_variances_and_categories_have_theirs),
        T(the_error_without_difference_is_mann_and_whitney_s),
        T(models_that_cannot_be_are_refused),
        T(drift_moves_what_is_said),
        T(distances_of_a_pure_shift_are_known),
        T(a_gradual_change_passes_through_the_middle),
        T(calibration_has_its_true_scores),
        T(raters_agree_as_said),
        T(marks_have_their_true_area),
        T(tables_are_the_same_for_the_same_seed),
        T(reports_tell_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
