// Agreement: kappas, alpha, intraclass correlation, limits of agreement, concordance, repeatability, equivalence.
//
// Figures: R 4.2 with psych 2.2 (cohen.kappa, ICC), epiR 2.0 (epi.ccc), t.test, lm; statsmodels 0.13 (cohens_kappa, fleiss_kappa), run on these data; papers as named.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mod/evidence/icc.h"
#include "mod/evidence/kappa.h"
#include "mod/evidence/methods.h"
#include "math/rng.h"

static struct arena arena;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, 64 << 20);
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

static struct ev_ratings ratings_of(const char *text) {
    struct csv t;
    struct ev_ratings r;
    struct err e = {0};
    unsigned columns[64];
    if (!csv_read(&arena, str_of(text), &t, &e)) fail_msg("%s", e.message);
    for (unsigned j = 0; j < t.columns; j++) columns[j] = j;
    if (!ev_ratings_read(&arena, &t, columns, t.columns, &r, &e)) fail_msg("%s", e.message);
    return r;
}

static struct ev_agreement of_raters(const char *text, enum ev_agreement_kind kind, enum ev_weighting weighting) {
    struct ev_ratings r = ratings_of(text);
    struct ev_agreement out;
    struct err e = {0};
    double w[64];
    assert_true(r.categories <= 8);
    ev_weights(weighting, r.scores, r.categories, w);
    if (!ev_agreement_raters(&arena, kind, &r, w, 0.95, &out, &e)) fail_msg("%s", e.message);
    return out;
}

// ---- two raters ----

static const double TABLE[] = {22, 3, 1, 4, 18, 5, 0, 6, 21};

static struct ev_agreement of_table(enum ev_agreement_kind kind, enum ev_weighting weighting) {
    struct ev_agreement out;
    struct err e = {0};
    double w[9];
    ev_weights(weighting, NULL, 3, w);
    if (!ev_agreement_table(kind, TABLE, w, 3, 0.95, &out, &e)) fail_msg("%s", e.message);
    return out;
}

static void cohens_kappa_and_its_variances_are_those_of_other_programs(void **state) {
    (void)state;
    struct ev_agreement k = of_table(EV_AGREE_COHEN, EV_WEIGHT_IDENTITY);
    is_near(k.value, 0.643694327239, 1e-12);
    is_near(k.se, 0.071476669812, 1e-12);
    is_near(k.se_null, 0.079063274926, 1e-12);
    is_near(k.z, 0.643694327239 / 0.079063274926, 1e-9);
    k = of_table(EV_AGREE_COHEN, EV_WEIGHT_LINEAR);
    is_near(k.value, 0.717813051146, 1e-12);
    is_near(k.se, 0.060475784405, 1e-12);
    is_near(k.se_null, 0.088223844351, 1e-12);
    k = of_table(EV_AGREE_COHEN, EV_WEIGHT_QUADRATIC);
    is_near(k.value, 0.792403868837, 1e-12);
    is_near(k.se, 0.053054785629, 1e-12);
    is_near(k.se_null, 0.111803398875, 1e-12);
}

static void chance_alone_tells_the_coefficients_apart(void **state) {
    (void)state;
    // Observed agreement 61 of 80; margins 26 27 27 and 26 27 27: here Scott's chance is Cohen's.
    is_near(of_table(EV_AGREE_PERCENT, EV_WEIGHT_IDENTITY).value, 61.0 / 80, 1e-15);
    is_near(of_table(EV_AGREE_SCOTT, EV_WEIGHT_IDENTITY).value, of_table(EV_AGREE_COHEN, EV_WEIGHT_IDENTITY).value, 1e-15);
    is_near(of_table(EV_AGREE_BRENNAN, EV_WEIGHT_IDENTITY).value, (61.0 / 80 - 1.0 / 3) / (2.0 / 3), 1e-15);
    double pe = (26.0 / 80 * 54 / 80 + 2 * 27.0 / 80 * 53 / 80) / 2;
    is_near(of_table(EV_AGREE_GWET, EV_WEIGHT_IDENTITY).value, (61.0 / 80 - pe) / (1 - pe), 1e-15);
    // Krippendorff: 1 - (1 - pi) (1 - 1/2n)
    is_near(of_table(EV_AGREE_KRIPPENDORFF, EV_WEIGHT_IDENTITY).value, 1 - (1 - 0.643694327239) * (1 - 1.0 / 160), 1e-12);
}

static void a_table_and_its_ratings_one_by_one_say_the_same(void **state) {
    (void)state;
    static const char *const NAME[] = {"a", "b", "c"};
    char text[4096] = "first,second\n";
    size_t n = 13;
    for (int k = 0; k < 3; k++)
        for (int l = 0; l < 3; l++)
            for (int i = 0; i < (int)TABLE[3 * k + l]; i++) n += (size_t)snprintf(text + n, sizeof text - n, "%s,%s\n", NAME[k], NAME[l]);
    for (int kind = 0; kind < EV_AGREE_KIND_COUNT; kind++) {
        for (int w = 0; w < EV_WEIGHT_COUNT; w++) {
            struct ev_agreement one = of_table((enum ev_agreement_kind)kind, (enum ev_weighting)w),
                                many = of_raters(text, (enum ev_agreement_kind)kind, (enum ev_weighting)w);
            is_near(many.value, one.value, 1e-13);
            // The sample of subjects: n - 1 below where the table's formula has n.
            is_near(many.se * many.se * 79 / 80, one.se * one.se, 1e-13);
        }
    }
}

static void agreement_that_cannot_be_told_from_chance_is_refused(void **state) {
    (void)state;
    struct ev_agreement out;
    struct err e = {0};
    double one_category[] = {30, 0, 0, 0}, w[] = {1, 0, 0, 1}, none[4] = {0}, wrong[] = {3, -1, 0, 2};
    assert_false(ev_agreement_table(EV_AGREE_COHEN, one_category, w, 2, 0.95, &out, &e));
    assert_int_equal(e.kind, ERR_BAD_INPUT);
    assert_non_null(strstr(e.message, "one category"));
    assert_false(ev_agreement_table(EV_AGREE_COHEN, none, w, 2, 0.95, &out, &e));
    assert_false(ev_agreement_table(EV_AGREE_COHEN, wrong, w, 2, 0.95, &out, &e));
    assert_non_null(strstr(e.message, "row 1"));
    assert_true(ev_agreement_table(EV_AGREE_BRENNAN, one_category, w, 2, 0.95, &out, &e));
    is_near(out.value, 1, 0);
}

static void great_counts_lose_no_digits(void **state) {
    (void)state;
    double w[9], table[9];
    struct ev_agreement out, small = of_table(EV_AGREE_COHEN, EV_WEIGHT_LINEAR);
    struct err e = {0};
    ev_weights(EV_WEIGHT_LINEAR, NULL, 3, w);
    for (int i = 0; i < 9; i++) table[i] = TABLE[i] * 1e12;
    assert_true(ev_agreement_table(EV_AGREE_COHEN, table, w, 3, 0.95, &out, &e));
    is_near(out.value, small.value, 1e-14);
    is_near(out.se * 1e6, small.se, 1e-12);
}

// ---- many raters ----

static void fleisss_kappa_is_that_of_statsmodels(void **state) {
    (void)state;
    struct ev_ratings r = ratings_of("a,b,c\n1,1,2\n2,2,2\n3,3,3\n1,2,1\n2,2,3\n3,3,2\n1,1,1\n2,1,2\n3,3,3\n1,1,1\n");
    struct ev_agreement f;
    struct err e = {0};
    double by[3];
    assert_true(ev_fleiss(&arena, &r, 0.95, &f, by, &e));
    is_near(f.value, 0.498327759197, 1e-12);
    // The categories' kappas, weighted by p (1 - p), are the kappa.
    double p[] = {11.0 / 30, 10.0 / 30, 9.0 / 30}, sum = 0, weight = 0;
    for (int k = 0; k < 3; k++) {
        sum += by[k] * p[k] * (1 - p[k]);
        weight += p[k] * (1 - p[k]);
    }
    is_near(sum / weight, f.value, 1e-14);
}

static void two_raters_fleiss_is_scotts_pi_and_light_is_cohen(void **state) {
    (void)state;
    const char *text = "a,b\nx,x\ny,y\nx,y\ny,y\nx,x\ny,x\nz,z\nz,y\n";
    struct ev_ratings r = ratings_of(text);
    struct ev_agreement cohen = of_raters(text, EV_AGREE_COHEN, EV_WEIGHT_IDENTITY);
    struct err e = {0};
    double w[9], light;
    ev_weights(EV_WEIGHT_IDENTITY, NULL, 3, w);
    assert_true(ev_light(&arena, &r, w, &light, &e));
    is_near(light, cohen.value, 1e-15);
}

// Krippendorff K. Computing Krippendorff's alpha-reliability, 2011: examples A (two observers, binary) and B (nominal).
static void krippendorffs_own_examples_come_out(void **state) {
    (void)state;
    struct ev_ratings a = ratings_of("meg,owen\n0,1\n1,1\n0,1\n0,0\n0,0\n0,1\n0,0\n0,0\n1,0\n0,0\n");
    struct ev_ratings b = ratings_of("ben,gerry\na,b\na,a\nb,b\nb,b\nd,b\nc,c\nc,c\nc,c\ne,e\nd,d\nd,d\na,d\n");
    struct ev_agreement out;
    struct err e = {0};
    assert_true(ev_krippendorff(&arena, EV_LEVEL_NOMINAL, &a, 0.95, &out, &e));
    is_near(out.value, 0.095, 0.0005);
    assert_true(ev_krippendorff(&arena, EV_LEVEL_NOMINAL, &b, 0.95, &out, &e));
    is_near(out.value, 0.692, 0.0005);
    assert_false(ev_krippendorff(&arena, EV_LEVEL_INTERVAL, &b, 0.95, &out, &e));
    assert_non_null(strstr(e.message, "is a word"));
}

static void two_values_are_alike_at_every_level_of_measurement(void **state) {
    (void)state;
    struct ev_ratings r = ratings_of("a,b,c\n1,1,\n2,2,1\n1,2,NA\n2,2,2\n1,1,1\n,,2\n");
    struct ev_agreement nominal, other;
    struct err e = {0};
    assert_true(ev_krippendorff(&arena, EV_LEVEL_NOMINAL, &r, 0.95, &nominal, &e));
    is_near(nominal.n, 5, 0); // the last subject has one rating
    for (int level = EV_LEVEL_ORDINAL; level <= EV_LEVEL_RATIO; level++) {
        assert_true(ev_krippendorff(&arena, (enum ev_level)level, &r, 0.95, &other, &e));
        is_near(other.value, nominal.value, 1e-14);
    }
}

static void who_rated_first_does_not_matter(void **state) {
    (void)state;
    struct ev_agreement one, other;
    for (int kind = 0; kind < EV_AGREE_KIND_COUNT; kind++) {
        one = of_raters("a,b,c\n1,1,\n2,3,1\n1,2,NA\n4,4,3\n1,1,1\n,,2\n3,2,3\n", (enum ev_agreement_kind)kind, EV_WEIGHT_QUADRATIC);
        other = of_raters("c,a,b\n,1,1\n1,2,3\nNA,1,2\n3,4,4\n1,1,1\n2,,\n3,3,2\n", (enum ev_agreement_kind)kind, EV_WEIGHT_QUADRATIC);
        is_near(other.value, one.value, 1e-14);
        is_near(other.se, one.se, 1e-14);
    }
}

static void raters_that_never_meet_are_refused(void **state) {
    (void)state;
    struct ev_ratings r = ratings_of("a,b\n1,\n,2\n1,\n");
    struct ev_agreement out;
    struct err e = {0};
    double w[] = {1, 0, 0, 1};
    assert_false(ev_agreement_raters(&arena, EV_AGREE_GWET, &r, w, 0.95, &out, &e));
    assert_non_null(strstr(e.message, "two raters"));
}

// ---- intraclass correlation ----

static const double SCORES[] = {7, 9, 6, 4, 5, 5, 8, 8, 9, 2, 4, 1, 6, 7, 7, 9, 9, 8, 3, 2, 4, 5, 8, 6};

static void the_six_forms_of_icc_are_those_of_psych(void **state) {
    (void)state;
    static const double EXPECTED[EV_ICC_COUNT][6] = {
        [EV_ICC_1_1] = {0.816479400749, 0.535341757412, 0.955340879736, 14.3469387755, 16, 8.15935867588e-06},
        [EV_ICC_2_1] = {0.817843866171, 0.535642657236, 0.955701305885, 16.3488372093, 14, 9.62934772406e-06},
        [EV_ICC_3_1] = {0.836501901141, 0.561212991985, 0.961110073859, 16.3488372093, 14, 9.62934772406e-06},
        [EV_ICC_1_K] = {0.930298719772, 0.775601515508, 0.984656817902, 14.3469387755, 16, 8.15935867588e-06},
        [EV_ICC_2_K] = {0.930888575458, 0.775811985186, 0.984784414929, 16.3488372093, 14, 9.62934772406e-06},
        [EV_ICC_3_K] = {0.938833570413, 0.793261573628, 0.986691650808, 16.3488372093, 14, 9.62934772406e-06},
    };
    struct ev_icc_study s;
    struct err e = {0};
    assert_true(ev_icc(SCORES, 8, 3, 0.95, &s, &e));
    for (int f = 0; f < EV_ICC_COUNT; f++) {
        is_near(s.form[f].value, EXPECTED[f][0], 1e-11);
        is_near(s.form[f].lo, EXPECTED[f][1], 1e-10);
        is_near(s.form[f].hi, EXPECTED[f][2], 1e-10);
        is_near(s.form[f].f, EXPECTED[f][3], 1e-9);
        is_near(s.form[f].df2, EXPECTED[f][4], 0);
        is_near(s.form[f].p, EXPECTED[f][5], 1e-15);
    }
}

static void icc_does_not_depend_on_units_however_large(void **state) {
    (void)state;
    struct ev_icc_study plain, other;
    struct err e = {0};
    double moved[24];
    assert_true(ev_icc(SCORES, 8, 3, 0.9, &plain, &e));
    static const double SCALE[] = {1e300, -3e-300, 1, 1}, SHIFT[] = {0, 0, 1e7, -5};
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 24; j++) moved[j] = SCORES[j] * SCALE[i] + SHIFT[i];
        assert_true(ev_icc(moved, 8, 3, 0.9, &other, &e));
        for (int f = 0; f < EV_ICC_COUNT; f++) {
            is_near(other.form[f].value, plain.form[f].value, 1e-12);
            is_near(other.form[f].lo, plain.form[f].lo, 1e-11);
        }
    }
}

static void icc_refuses_what_has_no_variance_and_takes_perfect_agreement(void **state) {
    (void)state;
    struct ev_icc_study s;
    struct err e = {0};
    double same[] = {3, 3, 3, 3}, perfect[] = {1, 1, 2, 2, 5, 5}, missing[] = {1, 2, NAN, 4};
    assert_false(ev_icc(same, 2, 2, 0.95, &s, &e));
    assert_non_null(strstr(e.message, "every value is the same"));
    assert_false(ev_icc(missing, 2, 2, 0.95, &s, &e));
    assert_non_null(strstr(e.message, "subject 2"));
    assert_false(ev_icc(same, 1, 4, 0.95, &s, &e));
    assert_true(ev_icc(perfect, 3, 2, 0.95, &s, &e));
    for (int f = 0; f < EV_ICC_COUNT; f++) {
        is_near(s.form[f].value, 1, 1e-15);
        is_near(s.form[f].lo, 1, 1e-12);
        is_near(s.form[f].hi, 1, 1e-12);
    }
}

static void forms_of_icc_have_several_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum ev_icc_form form;
    } NAMES[] = {{"ICC(1,1)", EV_ICC_1_1}, {"icc2", EV_ICC_2_1},       {"ICC3k", EV_ICC_3_K},
                 {"ICC(A,1)", EV_ICC_2_1}, {"ICC (C, k)", EV_ICC_3_K}, {"ICC(2,k)", EV_ICC_2_K}};
    enum ev_icc_form f;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        assert_true(ev_icc_form_named(str_of(NAMES[i].name), &f));
        assert_int_equal(f, NAMES[i].form);
    }
    assert_false(ev_icc_form_named(STR_LIT("ICC(4,1)"), &f));
    assert_false(ev_icc_form_named(STR_LIT("ICC"), &f));
    assert_false(ev_icc_form_named(STR_LIT("ICC(2,1)x"), &f));
}

// ---- methods ----

static const double X[] = {10.2, 11.5, 9.8, 14.1, 13.3, 8.7, 12.9, 15.6, 10.9, 11.1}, Y[] = {10.9, 11.2, 10.4, 13.2, 13.9, 9.6, 12.1, 15.0, 11.8, 10.7};

static void concordance_is_that_of_epir(void **state) {
    (void)state;
    struct ev_concordance c;
    struct err e = {0};
    assert_true(ev_concordance(X, Y, 10, 0.95, &c, &e));
    is_near(c.ccc, 0.926592007686, 1e-12);
    is_near(c.lo, 0.792405316481, 1e-11);
    is_near(c.hi, 0.975240202028, 1e-11);
    is_near(c.plain_lo, 0.847976212315, 1e-11);
    is_near(c.plain_hi, 1.00520780306, 1e-10);
    is_near(c.scale_shift, 0.79595038747, 1e-11);
    is_near(c.location_shift, 0.0388683910142, 1e-12);
    is_near(c.bias_correction, 0.973794768037, 1e-12);
    is_near(c.pearson * c.bias_correction, c.ccc, 1e-15);
    assert_true(ev_concordance(X, X, 10, 0.95, &c, &e));
    is_near(c.ccc, 1, 1e-15);
    assert_false(ev_concordance(X, (double[]){2, 2, 2}, 3, 0.95, &c, &e));
    assert_non_null(strstr(e.message, "second"));
}

static void limits_of_agreement_and_their_intervals_are_those_of_the_formulas(void **state) {
    (void)state;
    struct ev_bland_altman b;
    struct err e = {0};
    assert_true(ev_bland_altman(X, Y, 10, 1.96, 0.95, &b, &e));
    is_near(b.bias, -0.07, 1e-14);
    // t.test(x - y): 90 % interval is -0.495143465179 to 0.355143465179
    is_near(b.sd, 0.425143465179 / 1.8331129326536335 * sqrt(10), 1e-9);
    is_near(b.loa_hi - b.loa_lo, 2 * 1.96 * b.sd, 1e-14);
    is_near(b.loa_hi_hi - b.loa_hi, 2.262157162798205 * b.sd * sqrt(0.1 + 1.96 * 1.96 / 18), 1e-12);
    is_near(b.slope, 0.232802500604105, 1e-13); // lm
    is_near(b.slope_se, 0.109967864889576, 1e-13);
    is_near(b.slope_p, 0.0671374461899907, 1e-12);
    assert_false(ev_bland_altman(X, Y, 1, 1.96, 0.95, &b, &e));
}

static void repeated_pairs_have_the_standard_deviation_of_epir(void **state) {
    (void)state;
    static const uint32_t SUBJECT[] = {0, 1, 0, 2, 3, 0, 2, 2, 3, 1};
    struct ev_bland_altman b;
    struct err e = {0};
    assert_true(ev_bland_altman_linked(&arena, X, Y, SUBJECT, 10, 4, 1.96, 0.95, &b, &e));
    is_near(b.bias, -0.07, 1e-14);
    is_near(b.sd, 0.805620272848, 1e-11);
    assert_true(b.loa_lo_lo < b.loa_lo && b.loa_lo < b.loa_lo_hi && b.loa_lo_hi < b.loa_hi_lo && b.loa_hi < b.loa_hi_hi);
    static const uint32_t ONCE[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_false(ev_bland_altman_linked(&arena, X, Y, ONCE, 10, 10, 1.96, 0.95, &b, &e));
    assert_non_null(strstr(e.message, "two pairs"));
}

static void single_replicates_are_plain_pairs(void **state) {
    (void)state;
    struct ev_bland_altman plain, replicates;
    struct err e = {0};
    assert_true(ev_bland_altman(X, Y, 10, 1.96, 0.95, &plain, &e));
    assert_true(ev_bland_altman_replicates(&arena, X, 1, Y, 1, 10, 1.96, 0.95, &replicates, &e));
    is_near(replicates.bias, plain.bias, 1e-14);
    is_near(replicates.sd, plain.sd, 1e-14);
    is_near(replicates.bias_lo, plain.bias_lo, 1e-13);
}

// The standard deviation of single differences is found again from replicates of known variance: 3 between, 1 and 2 within; coverage of the limits' intervals.
static void replicates_and_linked_pairs_find_the_variance_that_was_put_in(void **state) {
    (void)state;
    enum { STUDIES = 2000, SUBJECTS = 30 };
    struct rng r;
    double sum = 0, linked_sum = 0;
    int covered = 0, linked_covered = 0;
    const double truth = sqrt(3 + 1 + 2), limit = 0.5 + 1.96 * truth;
    rng_seed(&r, 20240611);
    for (int s = 0; s < STUDIES; s++) {
        double x[SUBJECTS * 2], y[SUBJECTS * 3], lx[SUBJECTS * 3], ly[SUBJECTS * 3];
        uint32_t subject[SUBJECTS * 3];
        struct ev_bland_altman b;
        struct err e = {0};
        arena_reset(&arena);
        for (int i = 0; i < SUBJECTS; i++) {
            double d = sqrt(3) * rng_normal(&r), level = 10 * rng_normal(&r);
            for (int j = 0; j < 2; j++) x[2 * i + j] = level + 0.5 + d + rng_normal(&r);
            for (int j = 0; j < 3; j++) y[3 * i + j] = level + sqrt(2) * rng_normal(&r);
            for (int j = 0; j < 3; j++) {
                subject[3 * i + j] = (uint32_t)i;
                ly[3 * i + j] = 10 * rng_normal(&r);
                lx[3 * i + j] = ly[3 * i + j] + 0.5 + d + sqrt(3) * rng_normal(&r);
            }
        }
        assert_true(ev_bland_altman_replicates(&arena, x, 2, y, 3, SUBJECTS, 1.96, 0.95, &b, &e));
        sum += b.sd * b.sd / STUDIES;
        covered += b.loa_hi_lo <= limit && limit <= b.loa_hi_hi;
        assert_true(ev_bland_altman_linked(&arena, lx, ly, subject, SUBJECTS * 3, SUBJECTS, 1.96, 0.95, &b, &e));
        linked_sum += b.sd * b.sd / STUDIES;
        linked_covered += b.loa_hi_lo <= limit && limit <= b.loa_hi_hi;
    }
    is_near(sum, 6, 0.1);
    is_near(linked_sum, 6, 0.1);
    // 95 % of 2,000, three standard errors (0.0146) and what the approximation takes.
    is_near((double)covered / STUDIES, 0.95, 0.02);
    is_near((double)linked_covered / STUDIES, 0.95, 0.02);
}

static void repeatability_pools_the_variance_within_subjects(void **state) {
    (void)state;
    static const double V[] = {10, 12, 20, 21, 22, 5, NAN, 30, 34};
    static const uint32_t S[] = {0, 0, 1, 1, 1, 2, 2, 3, 3};
    struct ev_repeatability r;
    struct err e = {0};
    assert_true(ev_repeatability(&arena, V, S, 9, 4, 0.95, &r, &e));
    assert_int_equal(r.subjects, 3); // the third has one measurement
    is_near(r.df, 4, 0);
    is_near(r.wsd, sqrt((2.0 + 2.0 + 8.0) / 4), 1e-14);
    is_near(r.rc, 1.96 * sqrt(2) * r.wsd, 1e-14);
    is_near(r.wsd_lo, r.wsd * sqrt(4 / 11.143286781877796), 1e-12); // qchisq(0.975, 4)
    is_near(r.wsd_hi, r.wsd * sqrt(4 / 0.4844185570879303), 1e-11);
    is_near(r.wcv, sqrt((2.0 / 121 + 1.0 / 441 + 8.0 / 1024) / 3), 1e-14);
    assert_false(ev_repeatability(&arena, V, (uint32_t[]){0, 1, 2}, 3, 3, 0.95, &r, &e));
}

static void two_one_sided_tests_are_those_of_t_test(void **state) {
    (void)state;
    struct ev_tost t;
    struct err e = {0};
    double moved[10];
    assert_true(ev_tost_paired(&arena, X, Y, 10, -0.8, 0.8, 0.95, &t, &e));
    is_near(t.p_lower, 0.00589169159251, 1e-13);
    is_near(t.p_upper, 0.0022730460066, 1e-13);
    is_near(t.lo, -0.495143465179, 1e-11);
    is_near(t.hi, 0.355143465179, 1e-11);
    assert_true(t.equivalent);
    for (int i = 0; i < 10; i++) moved[i] = Y[i] + 0.3;
    assert_true(ev_tost_groups(X, 10, moved, 10, -2, 2, 0.95, &t, &e));
    is_near(t.p_lower, 0.0375219618378, 1e-12);
    is_near(t.p_upper, 0.00671570136961, 1e-12);
    is_near(t.df, 17.1375177327, 1e-9);
    assert_false(ev_tost_paired(&arena, X, X, 10, -1, 1, 0.95, &t, &e)); // nothing varies
    assert_false(ev_tost_paired(&arena, X, Y, 10, 1, -1, 0.95, &t, &e));
}

static void the_interval_of_kappa_covers(void **state) {
    (void)state;
    // Two raters of 200 subjects, each right with 0.85 about three categories of known shares; the true kappa from the expected table.
    enum { STUDIES = 2000, SUBJECTS = 200 };
    static const double SHARE[] = {0.5, 0.3, 0.2};
    double expected[9] = {0}, w[9];
    struct ev_agreement truth, k;
    struct err e = {0};
    struct rng r;
    int covered = 0;
    ev_weights(EV_WEIGHT_IDENTITY, NULL, 3, w);
    for (int t = 0; t < 3; t++)
        for (int i = 0; i < 9; i++) expected[i] += SHARE[t] * (i / 3 == t ? 0.85 : 0.075) * (i % 3 == t ? 0.85 : 0.075);
    assert_true(ev_agreement_table(EV_AGREE_COHEN, expected, w, 3, 0.95, &truth, &e));
    rng_seed(&r, 7);
    for (int s = 0; s < STUDIES; s++) {
        double table[9] = {0};
        for (int i = 0; i < SUBJECTS; i++) {
            double u = rng_uniform(&r);
            int t = u < 0.5 ? 0 : u < 0.8 ? 1 : 2, a = t, b = t;
            if (rng_uniform(&r) > 0.85) a = (t + 1 + (int)rng_below(&r, 2)) % 3;
            if (rng_uniform(&r) > 0.85) b = (t + 1 + (int)rng_below(&r, 2)) % 3;
            table[3 * a + b]++;
        }
        assert_true(ev_agreement_table(EV_AGREE_COHEN, table, w, 3, 0.95, &k, &e));
        covered += k.lo <= truth.value && truth.value <= k.hi;
    }
    is_near((double)covered / STUDIES, 0.95, 0.0146);
}

// Subjects, raters and noise of known variance: the intervals of every form hold the correlation that follows from it.
static void the_intervals_of_icc_and_concordance_cover(void **state) {
    (void)state;
    enum { STUDIES = 2000, SUBJECTS = 20, RATERS = 3, PAIRS = 100 };
    struct rng r;
    struct ev_icc_study icc;
    struct ev_concordance c;
    struct err e = {0};
    int one_way = 0, agreement = 0, consistency = 0, concordance = 0;
    rng_seed(&r, 31);
    for (int s = 0; s < STUDIES; s++) {
        double v[SUBJECTS * RATERS], w[SUBJECTS * RATERS], x[PAIRS], y[PAIRS], rater[RATERS];
        for (int j = 0; j < RATERS; j++) rater[j] = 0.5 * rng_normal(&r);
        for (int i = 0; i < SUBJECTS; i++) {
            double of = 1.5 * rng_normal(&r);
            for (int j = 0; j < RATERS; j++) {
                double noise = rng_normal(&r);
                v[RATERS * i + j] = of + rater[j] + noise;
                w[RATERS * i + j] = of + noise;
            }
        }
        for (int i = 0; i < PAIRS; i++) {
            double of = rng_normal(&r);
            x[i] = of + 0.5 * rng_normal(&r);
            y[i] = 0.2 + of + 0.5 * rng_normal(&r);
        }
        assert_true(ev_icc(w, SUBJECTS, RATERS, 0.95, &icc, &e));
        one_way += icc.form[EV_ICC_1_1].lo <= 2.25 / 3.25 && 2.25 / 3.25 <= icc.form[EV_ICC_1_1].hi;
        assert_true(ev_icc(v, SUBJECTS, RATERS, 0.95, &icc, &e));
        consistency += icc.form[EV_ICC_3_1].lo <= 2.25 / 3.25 && 2.25 / 3.25 <= icc.form[EV_ICC_3_1].hi;
        agreement += icc.form[EV_ICC_2_1].lo <= 2.25 / 3.5 && 2.25 / 3.5 <= icc.form[EV_ICC_2_1].hi;
        assert_true(ev_concordance(x, y, PAIRS, 0.95, &c, &e));
        concordance += c.lo <= 2 / 2.54 && 2 / 2.54 <= c.hi; // 2 cov / (1.25 + 1.25 + 0.2^2)
    }
    is_near((double)one_way / STUDIES, 0.95, 0.0146);
    is_near((double)consistency / STUDIES, 0.95, 0.0146);
    is_near((double)agreement / STUDIES, 0.95, 0.02); // Satterthwaite's approximation with two degrees of freedom of raters
    is_near((double)concordance / STUDIES, 0.95, 0.0146);
}

static void too_many_categories_are_measurements(void **state) {
    (void)state;
    static char text[64 * 1024];
    size_t n = (size_t)snprintf(text, sizeof text, "a,b\n");
    struct csv t;
    struct ev_ratings r;
    struct err e = {0};
    for (int i = 0; i < EV_CATEGORIES_MAX; i++) n += (size_t)snprintf(text + n, sizeof text - n, "%d.5,%d\n", i, i);
    assert_true(csv_read(&arena, str_of(text), &t, &e));
    assert_false(ev_ratings_read(&arena, &t, (unsigned[]){0, 1}, 2, &r, &e));
    assert_int_equal(e.kind, ERR_TOO_LARGE);
    assert_false(ev_ratings_read(&arena, &t, (unsigned[]){0}, 1, &r, &e));
    assert_non_null(strstr(e.message, "2 to"));
    struct ev_ratings words = ratings_of("a,b\n1,1.0\n01,1\nNA,\n");
    assert_int_equal(words.categories, 1); // one number, however it is written
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(cohens_kappa_and_its_variances_are_those_of_other_programs),
        TEST(chance_alone_tells_the_coefficients_apart),
        TEST(a_table_and_its_ratings_one_by_one_say_the_same),
        TEST(agreement_that_cannot_be_told_from_chance_is_refused),
        TEST(great_counts_lose_no_digits),
        TEST(fleisss_kappa_is_that_of_statsmodels),
        TEST(two_raters_fleiss_is_scotts_pi_and_light_is_cohen),
        TEST(krippendorffs_own_examples_come_out),
        TEST(two_values_are_alike_at_every_level_of_measurement),
        TEST(who_rated_first_does_not_matter),
        TEST(raters_that_never_meet_are_refused),
        TEST(the_six_forms_of_icc_are_those_of_psych),
        TEST(icc_does_not_depend_on_units_however_large),
        TEST(icc_refuses_what_has_no_variance_and_takes_perfect_agreement),
        TEST(forms_of_icc_have_several_names),
        TEST(concordance_is_that_of_epir),
        TEST(limits_of_agreement_and_their_intervals_are_those_of_the_formulas),
        TEST(repeated_pairs_have_the_standard_deviation_of_epir),
        TEST(single_replicates_are_plain_pairs),
        TEST(replicates_and_linked_pairs_find_the_variance_that_was_put_in),
        TEST(repeatability_pools_the_variance_within_subjects),
        TEST(two_one_sided_tests_are_those_of_t_test),
        TEST(the_interval_of_kappa_covers),
        TEST(the_intervals_of_icc_and_concordance_cover),
        TEST(too_many_categories_are_measurements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
