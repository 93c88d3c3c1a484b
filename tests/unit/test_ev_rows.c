// Rows of reference tables about agreement, calibration and monitoring: what their words mean.
//
// Figures: as in test_ev_agree.c, test_ev_calib.c and test_ev_drift.c (R, psych, epiR, spc, statsmodels), or by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mod/evidence/verify.h"

static const struct {
    const char *file, *text;
} DATA[] = {
    {"scores.csv", "subject,a,b,c\n1,7,9,6\n2,4,5,5\n3,8,8,9\n4,2,4,1\n5,6,7,7\n6,9,9,8\n7,3,2,4\n8,5,8,6\n9,,1,2\n"},
    {"words.csv", "case,first,second,third\nu,x,x,y\nv,y,y,y\nw,x,y,x\nz,y,y,y\nq,x,x,x\n"},
    {"pairs.csv", "id,old1,old2,new1,new2\n1,10.2,10.0,10.9,11.1\n2,11.5,11.7,11.2,11.0\n3,9.8,9.9,10.4,10.4\n4,14.1,14.0,13.2,13.5\n5,13.3,13.1,13.9,13.6\n"
                  "6,8.7,8.9,9.6,9.2\n7,12.9,12.7,12.1,12.2\n8,15.6,15.9,15.0,15.3\n9,10.9,10.8,11.8,11.5\n10,11.1,11.4,10.7,10.6\n"},
    {"forecast.csv", "died,risk\n0,.08\n0,.15\n1,.22\n0,.31\n0,.35\n1,.44\n0,.52\n1,.58\n1,.66\n0,.71\n1,.83\n1,.94\n"},
    {"points.csv", "i,x\n1,10\n2,11\n3,12.5\n4,9\n5,14\n6,7\n7,3\n"},
    {"model.csv", "ill,dose,site\n0,1,1\n0,2,2\n1,3,3\n0,4,1\n1,5,2\n1,6,3\n0,7,1\n1,8,2\n0,2,3\n1,4,1\n0,5,2\n1,7,3\n0,3,1\n1,6,1\n0,1,3\n"},
};

static bool read_data(void *ctx, const char *file, struct arena *a, struct str *text, struct err *e) {
    (void)ctx;
    (void)a;
    for (size_t i = 0; i < sizeof DATA / sizeof *DATA; i++)
        if (strcmp(DATA[i].file, file) == 0) return *text = str_of(DATA[i].text), true;
    return err_set(e, ERR_NOT_FOUND, "test", "%s is not there", file);
}

struct seen {
    char words[4096];
    size_t n;
};

static void each(void *ctx, const struct ev_verdict *v) {
    struct seen *s = ctx;
    if (v->pass || s->n >= sizeof s->words) return;
    s->n +=
        (size_t)snprintf(s->words + s->n, sizeof s->words - s->n, "%.*s | %.*s: %.12g, %s\n", STR_FMT(v->statistic), STR_FMT(v->parameters), v->ours, v->words);
}

// Every row passes.
static void pass(const char *rows) {
    static char text[16384];
    struct arena a;
    struct csv table;
    struct err e = {0};
    struct seen seen = {.n = 0};
    struct ev_verification v = {.read = read_data, .each = each, .ctx = &seen};
    snprintf(text, sizeof text, "dataset,statistic,parameters,value,abs_tolerance\n%s", rows);
    arena_init(&a, 64 << 20);
    if (!csv_read(&a, str_of(text), &table, &e) || !ev_verify(&a, &table, &v, &e)) fail_msg("%s", e.message);
    arena_deinit(&a);
    if (v.passed != v.rows) fail_msg("%zu of %zu rows fail:\n%s", v.rows - v.passed, v.rows, seen.words);
}

// The row is refused, for a reason that holds the words.
static void refused(const char *row, const char *words) {
    static char text[4096];
    struct arena a;
    struct csv table;
    struct err e = {0};
    struct seen seen = {.n = 0};
    struct ev_verification v = {.read = read_data, .each = each, .ctx = &seen};
    snprintf(text, sizeof text, "dataset,statistic,parameters,value,abs_tolerance\n%s,0,1e300\n", row);
    arena_init(&a, 64 << 20);
    if (!csv_read(&a, str_of(text), &table, &e) || !ev_verify(&a, &table, &v, &e)) fail_msg("%s", e.message);
    arena_deinit(&a);
    if (v.unanswered != 1 || !strstr(seen.words, words)) fail_msg("%s: %s", row, seen.words);
}

static void a_table_in_brackets_is_two_raters(void **state) {
    (void)state;
    pass("inline,cohen_kappa,\"3x3 [22,3,1;4,18,5;0,6,21]\",0.643694327239,1e-11\n"
         "inline,cohen_kappa_se,\"eyes: [22, 3, 1; 4, 18, 5; 0, 6, 21];weights=unweighted\",0.071476669812,1e-11\n"
         "inline,cohen_kappa_z,\"[22,3,1;4,18,5;0,6,21]\",8.14150853,1e-7\n"
         "inline,cohen_kappa,\"[22,3,1;4,18,5;0,6,21];weights=linear\",0.717813051146,1e-11\n"
         "inline,cohen_kappa,\"[22,3,1;4,18,5;0,6,21];weights=equal\",0.717813051146,1e-11\n"
         "inline,cohen_kappa,\"[22,3,1;4,18,5;0,6,21];weights=squared\",0.792403868837,1e-11\n"
         "inline,brennan_prediger,\"[22,3,1;4,18,5;0,6,21]\",0.64375,1e-12\n"
         "inline,krippendorff,\"[22,3,1;4,18,5;0,6,21]\",0.645921238,1e-9\n");
    refused("inline,cohen_kappa,\"[22,3,1;4,18;0,6,21]\"", "no square table");
    refused("inline,cohen_kappa,raters 1", "table in brackets");
    refused("inline,cohen_kappa,\"[9,0;0,0]\"", "one category");
    refused("inline,gwet_ac1_z,\"[9,1;2,4]\"", "not defined");
}

static void raters_are_columns_by_number_name_or_all(void **state) {
    (void)state;
    pass("words.csv,cohen_kappa,\"raters 1,2\",0.615384615385,1e-11\n"
         "words.csv,cohen_kappa,\"first, second\",0.615384615385,1e-11\n"
         "words.csv,light_kappa,3 raters,0.465811965812,1e-11\n"
         "words.csv,fleiss_kappa,3 raters,0.464285714286,1e-11\n"
         "words.csv,fleiss_kappa_by_category,y,0.464285714286,1e-11\n"
         "words.csv,percent_agreement,3 raters,0.733333333333,1e-11\n");
    refused("words.csv,cohen_kappa,\"raters 1,4\"", "raters 1 to 3");
    refused("words.csv,cohen_kappa,3 raters", "two raters");
    refused("words.csv,fleiss_kappa_by_category,t", "no category 't'");
    refused("words.csv,krippendorff_alpha,interval", "is a word");
}

static void forms_of_icc_leave_incomplete_subjects_out(void **state) {
    (void)state;
    pass("scores.csv,icc,\"ICC(1,1)\",0.816479400749,1e-11\n"
         "scores.csv,icc_ci_lo,\"ICC(2,1)\",0.535642657236,1e-10\n"
         "scores.csv,icc_ci_hi,\"ICC(3,k)\",0.986691650808,1e-10\n"
         "scores.csv,icc,ICC2k,0.930888575458,1e-11\n");
    refused("scores.csv,icc,\"ICC(7,1)\"", "a form");
}

static void methods_are_pairs_of_columns_and_rows_remember_them(void **state) {
    (void)state;
    pass("pairs.csv,bland_altman,mean_diff old1-new1,-0.07,1e-12\n"
         "pairs.csv,bland_altman,sd_diff,0.733409087,1e-8\n"
         "pairs.csv,bland_altman,loa_hi 2sd,1.396818174,1e-8\n"
         "pairs.csv,bland_altman,mean_diff old1-old2,-0.03,1e-12\n"
         "pairs.csv,bland_altman,sd_diff,0.21108187,1e-8\n" // of the row above
         "pairs.csv,bland_altman,within-subject sd old,0.143178210633,1e-11\n"
         "pairs.csv,bland_altman,repeatability coeff old (2*sd of diffs),0.404969135,1e-8\n"
         "pairs.csv,lin_ccc,ccc,0.926592007686,1e-11\n"
         "pairs.csv,lin_ccc,ccc ci lo z-transform,0.792405316481,1e-10\n"
         "pairs.csv,lin_ccc,ccc ci hi asymptotic,1.00520780306,1e-10\n"
         "pairs.csv,lin_ccc,scale shift,0.79595038747,1e-10\n");
    refused("pairs.csv,bland_altman,nonsense", "what is asked");
    refused("pairs.csv,bland_altman,within-subject sd", "a method with two columns");
}

static void calibration_finds_outcomes_and_probabilities(void **state) {
    (void)state;
    pass("forecast.csv,calibration,brier,0.189041666667,1e-11\n"
         "forecast.csv,calibration,logloss,0.546928879418,1e-11\n"
         "forecast.csv,calibration,calibration slope,0.974519513609,1e-10\n"
         "forecast.csv,calibration,calibration intercept,0.092978120810,1e-10\n"
         "forecast.csv,calibration,calibration in the large se,0.676275273507,1e-9\n"
         "forecast.csv,calibration,auc,0.777777777778,1e-11\n"
         "forecast.csv,hosmer_lemeshow_type7,\"chi2, g=4\",1.4203627747,1e-9\n"
         "forecast.csv,hosmer_lemeshow,\"HL chi2, 4 equal-count groups (3x4)\",1.4203627747,1e-9\n"
         "forecast.csv,hosmer_lemeshow,HL p df=2,0.49155502751,1e-9\n"
         "inline,ece,p=.1 .3 .8;y=0 1 1;bins=2,0.266666666667,1e-11\n" // (0.2 - 0.5) 2/3, (0.8 - 1) 1/3
         "inline,mce,p=.1 .3 .8;y=0 1 1;bins=2,0.3,1e-12\n"
         "inline,brier_two_class_sum,p=[.2 .8][.4 .6];y=1 0,0.4,1e-12\n"
         "inline,log_score,p=[.2 .8][.5 .5];y=1 0,-0.458145365937,1e-11\n");
    refused("forecast.csv,calibration,beauty", "what is asked");
    refused("forecast.csv,hosmer_lemeshow,\"4 groups (3x5)\"", "do not come to");
    refused("inline,ece,p=.1 .3;y=0 1 1;bins=2", "2 probabilities for 3 outcomes");
    refused("inline,ece,p=.1 1.3 .2;y=0 1 1;bins=2", "row 2");
}

// glm(ill ~ dose + factor(site), binomial): codes 1 to 3 are a category.
static void a_models_codes_are_categories(void **state) {
    (void)state;
    pass("model.csv,logit_coef,intercept,-4.622892052,1e-6\n"
         "model.csv,logit_coef,dose,0.850811042,1e-6\n"
         "model.csv,logit_coef,site2,0.368836843,1e-6\n"
         "model.csv,logit_coef,site3,2.286978178,1e-6\n"
         "model.csv,logit_coef,dose se,0.454610260,1e-6\n");
    refused("model.csv,logit_coef,site4", "no coefficient 'site4'");
    refused("model.csv,logit_coef,age", "no coefficient 'age'");
}

static void charts_and_run_lengths_are_asked_by_their_letters(void **state) {
    (void)state;
    pass("points.csv,cusum_tabular,target=10;k=.5;h=4;first signal index,5,0\n"
         "points.csv,cusum_tabular,s_hi i=3,2.5,1e-12\n" // the chart of the row above
         "points.csv,cusum_tabular,s_lo i=7,9,1e-12\n"
         "points.csv,ewma_limits,lambda=.3;EWMA0=10;s=2;UCL,12.5205041,1e-7\n"
         "points.csv,ewma_limits,LCL,7.4794959,1e-7\n"
         "points.csv,ewma_limits,ewma i=2,10.3,1e-12\n"
         "inline,cusum_arl_one_sided,k=.25;h=8;shift=0,736.7877465,1e-3\n"
         "inline,cusum_arl_two_sided,k=.75;h=3;shift=0.5 sigma,39.31020294,1e-4\n"
         "inline,cusum_arl_one_sided_FIR_h/2,k=.5;h=5;shift=1,6.347965827,1e-5\n"
         "inline,ewma_arl_two_sided,lambda=.1;L=2.7;shift=.5,28.19053962,1e-4\n"
         "inline,sequential_bound,spending=pocock;alpha=.05;sides=2;t=.2 .4 .6 .8 1;look=1,2.4380,1e-4\n");
    refused("inline,cusum_arl_one_sided,k=.5;shift=0", "lack h");
    refused("inline,ewma_limits,lambda=.3;UCL", "lack mean");
    refused("points.csv,cusum_tabular,target=10;k=.5;h=4;s_hi i=9", "point 9 of 7");
}

static void samples_are_lists_or_columns(void **state) {
    (void)state;
    pass("inline,ks_two_sample_D,x=1 2 3;y=4 5 6,1,0\n"
         "inline,ks_two_sample_p_exact_ties,x=1 2 3;y=4 5 6,0.1,1e-12\n"
         "inline,ks_one_sample_D,\"x=.5 vs U(0,1)\",0.5,0\n"
         "inline,ks_one_sample_p_exact,\"x=.2 vs U(0,1)\",0.4,1e-12\n"
         "inline,ks_one_sample_D,\"x=3 vs N(3,2)\",0.5,1e-12\n"
         "inline,ks_one_sample_D,x=2 vs Exp(.5),0.632120558829,1e-11\n"
         "inline,psi,x=30 50 20;y=25 45 30;counts,0.0549306144334,1e-12\n");
    refused("inline,ks_one_sample_D,x=1 2 3", "the distribution");
    refused("inline,ks_two_sample_D,x=1 2 3", "lack y");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_in_brackets_is_two_raters),
        cmocka_unit_test(raters_are_columns_by_number_name_or_all),
        cmocka_unit_test(forms_of_icc_leave_incomplete_subjects_out),
        cmocka_unit_test(methods_are_pairs_of_columns_and_rows_remember_them),
        cmocka_unit_test(calibration_finds_outcomes_and_probabilities),
        cmocka_unit_test(a_models_codes_are_categories),
        cmocka_unit_test(charts_and_run_lengths_are_asked_by_their_letters),
        cmocka_unit_test(samples_are_lists_or_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
