// Free-response studies: figures of merit by hand and against their plain definitions, and the refusals of tables.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/buf.h"
#include "math/rng.h"
#include "mod/evidence/froc.h"

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

static void close_to(double ours, double wanted, double tolerance) {
    if (!(fabs(ours - wanted) <= tolerance)) fail_msg("%.15g is not %.15g within %g", ours, wanted, tolerance);
}

static bool read_texts(const char *marks, const char *truth, struct ev_froc *f, struct err *e) {
    struct csv *m = arena_zero(&arena, 2, sizeof *m, NULL);
    *e = (struct err){0};
    return csv_read(&arena, str_of(marks), &m[0], e) && csv_read(&arena, str_of(truth), &m[1], e) && ev_froc_read(&arena, &m[0], &m[1], f, e);
}

// Two normal cases, a case of one lesion and a case of two (0.25 and 0.75).
static const char TRUTH[] = "case,n_lesions,weights\n1,0,\n2,0,\n3,1,1\n4,2,0.25;0.75\n";
static const char MARKS[] = "mod,rdr,case,truth,kind,lesion,rating\n"
                            "A,1,1,0,NL,0,2\nA,1,1,0,NL,0,1\n" // only the 2 counts
                            "A,1,3,1,LL,1,2\nA,1,3,1,NL,0,3\n"
                            "A,1,4,1,LL,2,1\n"; // lesion 1 of case 4 is not marked

static double merit(const struct ev_froc *f, enum ev_froc_merit m) {
    struct err e = {0};
    double x = ev_froc_merit(&arena, f, m, 0, 0, &e);
    assert_int_equal(e.kind, ERR_NONE);
    return x;
}

static void figures_of_merit_by_hand(void **state) {
    (void)state;
    struct ev_froc f = {0};
    struct err e;
    assert_true(read_texts(MARKS, TRUTH, &f, &e));
    // Highest NL: case 1: 2, case 2: none, case 3: 3, case 4: none. Lesions: 2 (weight 1), none (0.25), 1 (0.75).
    // Against case 1: 1/2, 0, 0; case 2: 1, 1/2, 1; case 3: 0, 0, 0; case 4: 1, 1/2, 1.
    close_to(merit(&f, EV_FROC_WAFROC), (0.5 + 1 + 0.125 + 0.75) / (2 * 2), 1e-15);
    close_to(merit(&f, EV_FROC_WAFROC1), (0.5 + 2 * (1 + 0.125 + 0.75)) / (2 * 4), 1e-15);
    close_to(merit(&f, EV_FROC_AFROC), (0.5 + 2.5) / (3 * 2), 1e-15);
    close_to(merit(&f, EV_FROC_AFROC1), (0.5 + 2 * 2.5) / (3 * 4), 1e-15);
    close_to(merit(&f, EV_FROC_HRAUC), (1 + 1 + 0 + 1) / 4.0, 1e-15); // 3 and 1 against 2 and none
    close_to(merit(&f, EV_FROC_HRSE), 1, 0);
    close_to(merit(&f, EV_FROC_HRSP), 0.5, 0);
    close_to(merit(&f, EV_FROC_MAXLLF), 2.0 / 3, 1e-15);
    close_to(merit(&f, EV_FROC_MAXNLF), 1, 0);
    close_to(merit(&f, EV_FROC_MAXNLF_ALL), 3.0 / 4, 0);
}

// ---- random studies against the definitions ----

enum { CASES = 12, READERS = 2, MODALITIES = 2 };

static void make_random(struct rng *r, struct buf *marks, struct buf *truth) {
    buf_addz(marks, "mod,rdr,case,kind,lesion,rating\n");
    buf_addz(truth, "case,n_lesions,weights\n");
    for (unsigned c = 0; c < CASES; c++) {
        unsigned lesions = c % 2 ? 1 + (unsigned)rng_below(r, 3) : 0;
        double first = lesions == 2 ? 0.25 + 0.5 * rng_uniform(r) : 0;
        if (lesions == 2)
            buf_addf(truth, "%u,2,%.17g;%.17g\n", c, first, 1 - first);
        else
            buf_addf(truth, "%u,%u,\n", c, lesions);
        for (unsigned g = 0; g < READERS * MODALITIES; g++) {
            for (unsigned i = (unsigned)rng_below(r, 3); i > 0; i--)
                buf_addf(marks, "%c,%u,%u,NL,0,%u\n", 'A' + (int)(g / READERS), g % READERS + 1, c, (unsigned)rng_below(r, 5));
            for (unsigned l = 1; l <= lesions; l++)
                if (rng_uniform(r) < 0.7)
                    buf_addf(marks, "%c,%u,%u,LL,%u,%u\n", 'A' + (int)(g / READERS), g % READERS + 1, c, l, 1 + (unsigned)rng_below(r, 6));
        }
    }
}

static double psi(double f, double t) {
    return t > f ? 1 : t == f ? 0.5 : 0;
}

// The merit without one case, from its definition.
static double plain(const struct ev_froc *f, enum ev_froc_merit m, unsigned group, unsigned without) {
    const double *nl = f->highest + (size_t)group * f->cases, *ll = f->rating + (size_t)group * f->lesions;
    bool weighted = m == EV_FROC_WAFROC || m == EV_FROC_WAFROC1, all = m == EV_FROC_WAFROC1 || m == EV_FROC_AFROC1;
    double hits = 0, pairs = 0;
    for (unsigned l = 0; l < f->lesions; l++) {
        if (f->lesion_case[l] == without) continue;
        for (unsigned c = 0; c < f->cases; c++) {
            if (c == without || (f->first[c + 1] > f->first[c] && !all)) continue;
            double w = weighted ? f->weight[l] : 1;
            hits += w * psi(nl[c], ll[l]);
            pairs += w;
        }
    }
    return hits / pairs;
}

static void jackknife_of_areas_is_what_leaving_each_case_out_gives(void **state) {
    (void)state;
    struct rng r;
    rng_seed(&r, 5);
    for (unsigned round = 0; round < 20; round++) {
        struct buf marks, truth;
        struct ev_froc f = {0};
        struct err e;
        buf_init(&marks, 1 << 20);
        buf_init(&truth, 1 << 20);
        make_random(&r, &marks, &truth);
        buf_addc(&marks, 0);
        buf_addc(&truth, 0);
        assert_true(read_texts(marks.p, truth.p, &f, &e));
        for (int m = EV_FROC_WAFROC; m <= EV_FROC_AFROC1; m++) {
            struct ev_merit out;
            assert_true(ev_froc_merits(&arena, &f, (enum ev_froc_merit)m, &out, &e));
            double v[CASES][4], mean[4] = {0};
            for (unsigned c = 0; c < CASES; c++)
                for (unsigned g = 0; g < 4; g++) mean[g] += (v[c][g] = plain(&f, (enum ev_froc_merit)m, g, c)) / CASES;
            for (unsigned g = 0; g < 4; g++) {
                close_to(out.theta[g], plain(&f, (enum ev_froc_merit)m, g, CASES), 1e-14);
                for (unsigned h = 0; h < 4; h++) {
                    double sum = 0;
                    for (unsigned c = 0; c < CASES; c++) sum += (v[c][g] - mean[g]) * (v[c][h] - mean[h]);
                    close_to(out.cov[g * 4 + h], sum * (CASES - 1) / CASES, 1e-13);
                }
            }
        }
        buf_deinit(&marks);
        buf_deinit(&truth);
    }
}

static void one_lesion_a_case_makes_weights_idle(void **state) {
    (void)state;
    struct ev_froc f = {0};
    struct err e;
    assert_true(read_texts("mod,rdr,case,kind,lesion,rating\nA,1,1,NL,0,2\nA,1,3,LL,1,2\nA,1,4,LL,1,5\n", "case,n_lesions,weights\n1,0,\n2,0,\n3,1,1\n4,1,1\n",
                           &f, &e));
    close_to(merit(&f, EV_FROC_WAFROC), merit(&f, EV_FROC_AFROC), 1e-15);
    close_to(merit(&f, EV_FROC_WAFROC), merit(&f, EV_FROC_HRAUC), 1e-15); // no marks off lesions on diseased cases
}

static void shares_are_jackknifed_over_their_own_cases(void **state) {
    (void)state;
    struct ev_froc f = {0};
    struct ev_merit m;
    struct err e;
    assert_true(read_texts(MARKS, TRUTH, &f, &e));
    assert_true(ev_froc_merits(&arena, &f, EV_FROC_HRSP, &m, &e));
    assert_int_equal(m.cases, 2);
    close_to(m.cov[0], 0.5 * (0.25 + 0.25), 1e-15); // 0 and 1 about their mean, times (2 - 1) / 2
}

static void faults_of_tables_are_named_with_their_line(void **state) {
    (void)state;
    static const char head[] = "mod,rdr,case,truth,kind,lesion,rating\nA,1,1,0,NL,0,2\n";
    static const struct {
        const char *mark, *truth, *said;
    } FAULTS[] = {
        {"A,1,9,0,NL,0,2\n", TRUTH, "line 3 of the marks: the truth has no case \"9\""},
        {"A,1,3,1,LL,2,2\n", TRUTH, "line 3 of the marks: case \"3\" has no lesion 2, but 1 of them"},
        {"A,1,2,1,NL,0,2\n", TRUTH, "line 3 of the marks: case \"2\" has 0 lesions by the truth"},
        {"A,1,2,0,FP,0,2\n", TRUTH, "line 3 of the marks: \"FP\" is neither NL nor LL"},
        {"A,1,2,0,NL,0,\n", TRUTH, "line 3 of the marks: the rating is missing"},
        {"", "case,n_lesions,weights\n1,0,\n1,1,1\n", "line 3 of the truth: case \"1\" stands there twice"},
        {"", "case,n_lesions,weights\n1,0,\n2,2,0.5;0.6\n", "line 3 of the truth: the weights of 2 lesions must add to 1"},
        {"", "case,n_lesions,weights\n1,0,\n2,2,0.5;-0.5\n", "none below 0"},
        {"", "case,n_lesions,weights\n1,0,\n2,1.5,1\n", "line 3: \"1.5\" is no whole number"},
    };
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++) {
        struct ev_froc f = {0};
        struct err e;
        char marks[512];
        snprintf(marks, sizeof marks, "%s%s", head, FAULTS[i].mark);
        assert_false(read_texts(marks, FAULTS[i].truth, &f, &e));
        if (!strstr(e.message, FAULTS[i].said)) fail_msg("\"%s\" does not say \"%s\"", e.message, FAULTS[i].said);
    }
}

static void too_few_cases_of_a_kind_are_refused(void **state) {
    (void)state;
    struct ev_froc f = {0};
    struct ev_merit m;
    struct err e;
    assert_true(read_texts("mod,rdr,case,kind,lesion,rating\nA,1,1,NL,0,2\n", "case,n_lesions,weights\n1,0,\n2,1,\n3,1,\n", &f, &e));
    assert_false(ev_froc_merits(&arena, &f, EV_FROC_WAFROC, &m, &e));
    assert_non_null(strstr(e.message, "2 cases with lesions and 1 without: two of each are needed"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_of_merit_by_hand),
        cmocka_unit_test(jackknife_of_areas_is_what_leaving_each_case_out_gives),
        cmocka_unit_test(one_lesion_a_case_makes_weights_idle),
        cmocka_unit_test(shares_are_jackknifed_over_their_own_cases),
        cmocka_unit_test(faults_of_tables_are_named_with_their_line),
        cmocka_unit_test(too_few_cases_of_a_kind_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
