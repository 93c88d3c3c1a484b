// Tables of cases read for ROC analysis and for tests that say yes or no; what their reports tell, and what is refused.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "math/dist.h"
#include "math/rng.h"
#include "mod/evidence/ask.h"
#include "mod/evidence/diagnostic.h"
#include "mod/evidence/roc_report.h"

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

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.16g is not %.16g within %g", got, want, tolerance);
}

static struct csv table(const char *text) {
    struct csv t;
    struct err e = {0};
    if (!csv_read(&arena, str_of(text), &t, &e)) fail_msg("%s", e.message);
    return t;
}

static const struct ev_entry *entry(const struct ev_report *r, const char *group, const char *name) {
    for (unsigned i = 0; i < r->entry_count; i++)
        if (strcmp(r->entries[i].name, name) == 0 && str_eqz(r->entries[i].group, group)) return &r->entries[i];
    fail_msg("no entry %s of %s", name, group);
    return NULL;
}

static bool warned(const struct ev_report *r, const char *part) {
    for (unsigned i = 0; i < r->warning_count; i++)
        if (strstr(r->warnings[i].text, part)) return true;
    return false;
}

static const char CASES[] = "id,outcome,a,b,site\n"
                            "1,Good,1,9,x\n2,Good,2,8,x\n3,Good,3,4,y\n4,Good,2,7,y\n5,,4,4,x\n"
                            "6,Poor,3,5,x\n7,Poor,4,2,x\n8,Poor,5,1,y\n9,Poor,NA,3,y\n10,Poor,2,3,y\n";

static const struct ev_roc_request PLAIN = {
    .level = 0.95, .replicates = 200, .seed = 1, .at_specificity = NAN, .at_sensitivity = NAN, .margin = NAN, .weight = 1};

static void cases_are_read_by_the_names_of_their_columns(void **state) {
    (void)state;
    struct csv t = table(CASES);
    struct ev_roc_table cases;
    struct ev_roc_columns c = {.score = {"a", "b"}, .scores = 2, .lower = {"b"}, .lowers = 1};
    assert_true(ev_roc_read(&arena, &t, &c, &cases, NULL));
    assert_true(cases.n == 8 && cases.left_out == 2 && str_eqz(cases.positive_name, "Poor"));
    assert_true(cases.score[1][0] == -9 && cases.score[0][7] == 2);
    c = (struct ev_roc_columns){.positive = "good"};
    assert_true(ev_roc_read(&arena, &t, &c, &cases, NULL)); // the scores: columns of numbers, without the identifier
    assert_true(cases.tests == 2 && str_eqz(cases.name[0], "a") && str_eqz(cases.name[1], "b") && cases.positive[0] == 1);
}

static void what_is_wrong_with_a_table_is_named(void **state) {
    (void)state;
    static const struct {
        const char *text;
        struct ev_roc_columns c;
        const char *said;
    } wrong[] = {
        {"truth,score\n0,1\n1,2\n2,3\n", {0}, "truth has 3 different values"},
        {"truth,score\n0,1\n0,2\n", {0}, "truth has 1 different value"},
        {"truth,score\n0,1\n1,high\n", {0}, "line 3"},
        {"truth,score\n0,1\n1,2\n", {.positive = "ill"}, "ill"},
        {"truth,score\n0,1\n1,2\n", {.truth = "gold"}, "gold"},
        {"truth,score\n0,1\n1,2\n", {.lower = {"truth"}, .lowers = 1}, "none of the scores"},
        {"kind,score\n0,1\n1,2\n", {0}, "--truth"},
        {"truth,name\n0,a\n1,b\n", {0}, "no score"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct ev_roc_table cases;
        struct err e = {0};
        struct csv t = table(wrong[i].text);
        assert_false(ev_roc_read(&arena, &t, &wrong[i].c, &cases, &e));
        if (!strstr(e.message, wrong[i].said)) fail_msg("\"%s\" does not say \"%s\"", e.message, wrong[i].said);
    }
}

static void a_class_without_cases_and_a_constant_score_are_refused(void **state) {
    (void)state;
    struct csv t = table("truth,score\n0,1\n0,2\n1,NA\n");
    struct ev_roc_table cases;
    struct ev_report r;
    struct err e = {0};
    assert_true(ev_roc_read(&arena, &t, &(struct ev_roc_columns){0}, &cases, NULL));
    assert_false(ev_roc_report(&arena, &cases, &PLAIN, &r, &e));
    assert_non_null(strstr(e.message, "of one class (negative)"));
    t = table("truth,score\n0,7\n0,7\n1,7\n");
    assert_true(ev_roc_read(&arena, &t, &(struct ev_roc_columns){0}, &cases, NULL));
    assert_false(ev_roc_report(&arena, &cases, &PLAIN, &r, &e));
    assert_non_null(strstr(e.message, "score is the same in all 3 cases"));
}

static void a_report_of_scores_has_areas_differences_and_thresholds(void **state) {
    (void)state;
    struct csv t = table(CASES);
    struct ev_roc_table cases;
    struct ev_report r;
    struct ev_roc_request w = PLAIN;
    struct ev_roc_columns c = {.score = {"a", "b"}, .scores = 2, .lower = {"b"}, .lowers = 1};
    w.partial = w.corrected = true;
    w.from = 0.5;
    w.to = 1;
    w.at_specificity = 0.75;
    w.margin = 0.2;
    assert_true(ev_roc_read(&arena, &t, &c, &cases, NULL) && ev_roc_report(&arena, &cases, &w, &r, NULL) && ev_report_ok(&r, NULL));
    near(entry(&r, "a", "AUC")->value, 13.5 / 16, 1e-15); // 3, 4, 5, 2 against 1, 2, 3, 2: three and a half, four, four, two
    near(entry(&r, "b", "AUC")->value, 15.0 / 16, 1e-15);
    near(entry(&r, "a - b", "Difference")->value, -1.5 / 16, 1e-15);
    near(entry(&r, "b", "Best threshold")->value, 3.5, 1e-15); // small values speak for the condition; the strictest of two that are equally good
    assert_true(entry(&r, "a", "Partial AUC")->value > 0 && entry(&r, "a", "Sensitivity at fixed specificity")->lo >= 0);
    assert_true(warned(&r, "left out") && warned(&r, "fewer than 10"));
}

static void groups_of_different_cases_are_compared_unpaired(void **state) {
    (void)state;
    struct csv t = table(CASES);
    struct ev_roc_table cases;
    struct ev_report r;
    struct err e = {0};
    struct ev_roc_columns c = {.score = {"a"}, .scores = 1, .by = "site"};
    assert_true(ev_roc_read(&arena, &t, &c, &cases, NULL) && ev_roc_groups_report(&arena, &cases, &PLAIN, &r, NULL));
    near(entry(&r, "x", "AUC")->value, 1, 0);
    near(entry(&r, "y", "AUC")->value, (1 + 0.25) / 2, 1e-15); // 5 and 2 against 3 and 2
    assert_true(isfinite(entry(&r, "x - y", "t")->value));
    c.score[1] = "b";
    c.scores = 2;
    assert_true(ev_roc_read(&arena, &t, &c, &cases, NULL));
    assert_false(ev_roc_groups_report(&arena, &cases, &PLAIN, &r, &e));
}

static const char CALLS[] = "truth,test1,test2,patient\n"
                            "1,1,1,a\n1,1,0,a\n1,0,1,b\n1,1,0,b\n1,1,0,c\n0,0,0,c\n0,0,1,d\n0,1,0,d\n0,0,0,e\n,1,1,e\n,0,0,f\n,0,1,f\n";

static void calls_are_counted_compared_and_corrected(void **state) {
    (void)state;
    struct csv t = table(CALLS);
    struct ev_calls calls;
    struct ev_report r;
    struct ev_diagnostic_request w = {.level = 0.95, .prevalence = 0.2, .margin = 0.1, .unverified = true};
    struct ev_call_columns c = {.test = {"test1", "test2"}, .tests = 2, .cut = NAN, .cluster = "patient", .unverified = true};
    assert_true(ev_calls_read(&arena, &t, &c, &calls, NULL));
    assert_true(calls.n == 9 && calls.left_out == 0 && calls.unverified[0][1] == 1 && calls.unverified[0][0] == 2 && calls.unverified[1][1] == 2);
    assert_true(ev_calls_report(&arena, &calls, &w, &r, NULL));
    near(entry(&r, "test1", "Sensitivity")->value, 0.8, 1e-15);
    near(entry(&r, "test2", "Specificity")->value, 0.75, 1e-15);
    near(entry(&r, "test1 - test2", "Sensitivity difference")->value, 0.4, 1e-15);
    near(entry(&r, "test1 - test2", "Right by the first only")->value, 3, 0);
    // five with a positive test verified (4 ill), one not; four with a negative one (1 ill), two not
    double ill1 = 6 * 4.0 / 5, ill0 = 6 * 1.0 / 4;
    near(entry(&r, "test1", "Sensitivity, corrected")->value, ill1 / (ill1 + ill0), 1e-15);
    assert_true(isfinite(entry(&r, "test1", "Design effect")->value));
}

static void numbers_become_calls_at_a_cut_and_others_are_refused(void **state) {
    (void)state;
    struct csv t = table("truth,test\n1,7\n1,3\n0,5\n0,2\n");
    struct ev_calls calls;
    struct err e = {0};
    struct ev_call_columns c = {.cut = 5};
    assert_true(ev_calls_read(&arena, &t, &c, &calls, NULL));
    assert_true(calls.call[0][0] == 1 && calls.call[0][1] == 0 && calls.call[0][2] == 1 && calls.call[0][3] == 0);
    c.cut = NAN;
    assert_false(ev_calls_read(&arena, &t, &c, &calls, &e));
    assert_non_null(strstr(e.message, "--cut"));
    t = table("truth,test\n1,no\n0,no\n"); // a test that never says yes has no positive call
    assert_true(ev_calls_read(&arena, &t, &c, &calls, NULL));
    assert_true(calls.call[0][0] == 0 && calls.call[0][1] == 0);
}

static void an_empty_table_is_refused_and_one_class_warned_of(void **state) {
    (void)state;
    struct ev_report r;
    struct err e = {0};
    struct ev_diagnostic_request w = {.level = 0.95, .prevalence = NAN, .margin = NAN, .every = true};
    assert_false(ev_table_report(&arena, &(struct ev_table2x2){0, 0, 0, 0}, &w, &r, &e));
    assert_true(ev_table_report(&arena, &(struct ev_table2x2){8, 0, 2, 0}, &w, &r, &e));
    assert_true(warned(&r, "no specificity") && isnan(entry(&r, "", "Specificity")->value));
    near(entry(&r, "", "Sensitivity")->value, 0.8, 1e-15);
}

// ---- half-sentences of reference tables ----

static void half_sentences_are_understood(void **state) {
    (void)state;
    double x, many[4];
    struct str p = STR_LIT("TP670 FP202;alpha=.05 one-sided;power .9;90%;range=1-0.9;kappa=-2e1");
    assert_true(ev_ask_number(p, "tp", &x) && x == 670);
    assert_true(ev_ask_number(p, "alpha", &x) && x == 0.05);
    assert_true(ev_ask_number(p, "power", &x) && x == 0.9);
    assert_true(ev_ask_number(p, "kappa", &x) && x == -20);
    assert_false(ev_ask_number(p, "P", &x)); // no part of a word
    assert_true(ev_ask_word(p, "one-sided") && !ev_ask_word(p, "sided-one"));
    assert_true(ev_ask_bare(STR_LIT("power;auc=.7"), "power") && !ev_ask_bare(STR_LIT("power=.8"), "power"));
    assert_true(ev_ask_level(p) == 0.9 && ev_ask_level(STR_LIT("k/n")) == 0.95);
    assert_true(ev_ask_numbers(STR_LIT("1-0.9"), many, 4) == 2 && many[0] == 1 && many[1] == 0.9);
    assert_true(ev_ask_numbers(STR_LIT("(794,86,150,-5)"), many, 4) == 4 && many[3] == -5);
    assert_false(ev_ask_number(STR_LIT("power=e"), "power", &x));
    assert_true(ev_ask_numbers(STR_LIT(""), many, 4) == 0);
}

// ---- do intervals cover? ----

// Of 2,000 studies, the number that hold the truth: within four standard deviations of the level.
static void covers(unsigned held, double level, double below, double above) {
    double sd = sqrt(level * (1 - level) / 2000), share = held / 2000.0;
    if (share < level - 4 * sd - below || share > level + 4 * sd + above) fail_msg("%.4f of the intervals cover, not %.2f", share, level);
}

// Clusters of 1 to 4 that share an effect; their area is known: difference of means over the standard deviation of a difference.
static void clustered_intervals_cover_where_plain_ones_do_not(void **state) {
    (void)state;
    enum { CLUSTERS = 80, MOST = 4 };
    double x[CLUSTERS * MOST], truth = dist_norm(1 / M_SQRT2, false);
    uint8_t positive[CLUSTERS * MOST];
    int32_t cluster[CLUSTERS * MOST];
    const double *tests[1] = {x};
    unsigned held = 0, plain_held = 0;
    struct rng r;
    rng_seed(&r, 17);
    for (int study = 0; study < 2000; study++) {
        struct ev_delong d, plain;
        size_t n = 0;
        for (int c = 0; c < CLUSTERS; c++) {
            double shared = sqrt(0.8) * rng_normal(&r);
            for (uint64_t k = 1 + rng_below(&r, MOST); k > 0; k--, n++) {
                positive[n] = (uint8_t)(c % 2); // all of a cluster alike: what plain intervals suffer from most
                cluster[n] = c;
                x[n] = shared + sqrt(0.2) * rng_normal(&r) + positive[n];
            }
        }
        assert_true(ev_delong_clustered(&arena, 1, tests, positive, cluster, n, &d, NULL) && ev_delong(&arena, 1, tests, positive, n, &plain, NULL));
        struct ev_auc a = ev_auc_of(d.auc[0], d.covariance[0], EV_AUC_WALD, 0.95), b = ev_auc_of(plain.auc[0], plain.covariance[0], EV_AUC_WALD, 0.95);
        held += a.lo <= truth && truth <= a.hi;
        plain_held += b.lo <= truth && truth <= b.hi;
        arena_reset(&arena);
    }
    covers(held, 0.95, 0.01, 0); // of 40 clusters a class: a little short
    assert_true(plain_held < 1800);
}

static double coverage(enum ev_proportion_method m, int n, double p) {
    double sum = 0;
    for (int k = 0; k <= n; k++) {
        struct ev_interval x = ev_proportion(k, n, m, 0.95);
        if (x.lo <= p && p <= x.hi) sum += dist_binom_density(k, n, p);
    }
    return sum;
}

static void proportions_are_covered_as_their_papers_say(void **state) {
    (void)state;
    double mean[EV_PROPORTION_METHODS] = {0}, least[EV_PROPORTION_METHODS];
    for (int m = 0; m < EV_PROPORTION_METHODS; m++) {
        least[m] = 1;
        for (int i = 1; i < 200; i++) {
            double c = coverage((enum ev_proportion_method)m, 40, i / 200.0);
            mean[m] += c / 199;
            least[m] = fmin(least[m], c);
        }
    }
    near(mean[EV_WILSON], 0.95, 0.005); // exactly computed, n = 40
    near(mean[EV_JEFFREYS], 0.95, 0.005);
    near(mean[EV_MID_P], 0.955, 0.008);
    assert_true(least[EV_CLOPPER_PEARSON] >= 0.95 && least[EV_AGRESTI_COULL] > 0.93 && least[EV_WILSON_CC] > 0.945);
    assert_true(least[EV_WALD] < 0.5 && mean[EV_WALD] < 0.93); // why it comes with a warning
}

// Type I error of the paired test of two areas that are alike.
static void alike_tests_are_called_different_as_often_as_the_level_says(void **state) {
    (void)state;
    static const size_t sizes[2] = {60, 400};
    struct rng r;
    double x[400], y[400];
    uint8_t positive[400];
    const double *tests[2] = {x, y};
    rng_seed(&r, 18);
    for (int s = 0; s < 2; s++) {
        unsigned held = 0;
        for (int study = 0; study < 2000; study++) {
            struct ev_delong d;
            for (size_t i = 0; i < sizes[s]; i++) {
                double shared = rng_normal(&r);
                positive[i] = i % 2;
                x[i] = shared + rng_normal(&r) + 1.2 * positive[i];
                y[i] = shared + rng_normal(&r) + 1.2 * positive[i];
            }
            assert_true(ev_delong(&arena, 2, tests, positive, sizes[s], &d, NULL));
            held += ev_auc_paired(&d, 0, 1, 0.95).p >= 0.05;
            arena_reset(&arena);
        }
        covers(held, 0.95, 0, 0);
    }
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        T(cases_are_read_by_the_names_of_their_columns),
        T(what_is_wrong_with_a_table_is_named),
        T(a_class_without_cases_and_a_constant_score_are_refused),
        T(a_report_of_scores_has_areas_differences_and_thresholds),
        T(groups_of_different_cases_are_compared_unpaired),
        T(calls_are_counted_compared_and_corrected),
        T(numbers_become_calls_at_a_cut_and_others_are_refused),
        T(an_empty_table_is_refused_and_one_class_warned_of),
        T(half_sentences_are_understood),
        T(clustered_intervals_cover_where_plain_ones_do_not),
        T(proportions_are_covered_as_their_papers_say),
        T(alike_tests_are_called_different_as_often_as_the_level_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
