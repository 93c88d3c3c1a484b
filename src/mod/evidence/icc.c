// Intraclass correlation from the two-way analysis of variance.
#include "mod/evidence/icc.h"

#include <math.h>

#include "math/dist.h"
#include "mod/evidence/spread.h"

static const char *const NAMES[EV_ICC_COUNT] = {"ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)"};

const char *ev_icc_form_name(enum ev_icc_form f) {
    return NAMES[f];
}

bool ev_icc_form_named(struct str name, enum ev_icc_form *out) {
    static const char MODELS[] = "123AC"; // McGraw and Wong: A is absolute agreement, C consistency
    static const int FORM[] = {EV_ICC_1_1, EV_ICC_2_1, EV_ICC_3_1, EV_ICC_2_1, EV_ICC_3_1};
    char letters[8] = {0};
    unsigned n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '(' || c == ')' || c == ',' || c == ' ') continue;
        if (n == 5) return false;
        letters[n++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    if (n < 4 || memcmp(letters, "ICC", 3) != 0) return false;
    const char *model = strchr(MODELS, letters[3]);
    if (!model || (letters[4] && letters[4] != '1' && letters[4] != 'K')) return false;
    *out = (enum ev_icc_form)(FORM[model - MODELS] + (letters[4] == 'K' ? EV_ICC_1_K : EV_ICC_1_1));
    return true;
}

// Sums of squares about the means, in units of s->unit.
static void analyse(const double *v, struct ev_icc_study *s) {
    size_t n = s->subjects;
    unsigned k = s->raters;
    struct ev_sum grand = {0}, between = {0}, within = {0}, raters = {0};
    double middle = v[0];
    for (size_t i = 0; i < n * k; i++) ev_add(&grand, v[i] / s->unit - middle / s->unit);
    double mean = ev_total(&grand) / ((double)n * k);
    for (size_t i = 0; i < n; i++) {
        double row = 0;
        for (unsigned j = 0; j < k; j++) row += (v[i * k + j] / s->unit - middle / s->unit - mean) / k;
        ev_add(&between, k * row * row);
        for (unsigned j = 0; j < k; j++) {
            double d = v[i * k + j] / s->unit - middle / s->unit - mean - row;
            ev_add(&within, d * d);
        }
    }
    for (unsigned j = 0; j < k; j++) {
        struct ev_sum column = {0};
        for (size_t i = 0; i < n; i++) ev_add(&column, v[i * k + j] / s->unit - middle / s->unit - mean);
        double of = ev_total(&column) / (double)n;
        ev_add(&raters, (double)n * of * of);
    }
    s->ms_subjects = ev_total(&between) / (double)(n - 1);
    s->ms_within = ev_total(&within) / ((double)n * (k - 1));
    s->ms_raters = ev_total(&raters) / (k - 1);
    s->ms_error = fmax(0, ev_total(&within) - ev_total(&raters)) / ((double)(n - 1) * (k - 1));
    // What rounding leaves of exact agreement.
    if (s->ms_error < 1e-26 * (s->ms_subjects + s->ms_raters)) s->ms_error = 0;
}

// One-way and consistency: the F of subjects over noise tells all.
static void by_ratio(struct ev_icc *single, struct ev_icc *mean, double ms, double noise, double df1, double df2, double k, double alpha) {
    double f = ms / noise, lo = f / dist_f_quantile(alpha / 2, df1, df2, true), hi = f * dist_f_quantile(alpha / 2, df2, df1, true);
    single->value = (ms - noise) / (ms + (k - 1) * noise);
    mean->value = (ms - noise) / ms;
    single->lo = isinf(lo) ? 1 : (lo - 1) / (lo + k - 1);
    single->hi = isinf(hi) ? 1 : (hi - 1) / (hi + k - 1);
    mean->lo = 1 - 1 / lo;
    mean->hi = 1 - 1 / hi;
    single->f = mean->f = f;
    single->df1 = mean->df1 = df1;
    single->df2 = mean->df2 = df2;
    single->p = mean->p = isinf(f) ? 0 : dist_f(f, df1, df2, true);
}

// Absolute agreement: the noise is a sum of two mean squares, its degrees of freedom are Satterthwaite's.
static void by_agreement(struct ev_icc_study *s, double alpha) {
    struct ev_icc *one = &s->form[EV_ICC_2_1], *mean = &s->form[EV_ICC_2_K];
    double n = (double)s->subjects, k = s->raters, msr = s->ms_subjects, msc = s->ms_raters, mse = s->ms_error;
    *one = s->form[EV_ICC_3_1];
    one->value = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n);
    double a = k * one->value / (n * (1 - one->value)), b = 1 + k * one->value * (n - 1) / (n * (1 - one->value));
    double noise = a * msc + b * mse;
    double df = noise * noise / (a * msc * a * msc / (k - 1) + b * mse * b * mse / ((n - 1) * (k - 1)));
    double fl = dist_f_quantile(alpha / 2, n - 1, df, true), fu = dist_f_quantile(alpha / 2, df, n - 1, true);
    double rest = k * msc + (k * n - k - n) * mse;
    one->lo = n * (msr - fl * mse) / (fl * rest + n * msr);
    one->hi = n * (fu * msr - mse) / (rest + n * fu * msr);
    if (one->value >= 1) one->lo = one->hi = 1;
    *mean = *one;
    mean->value = (msr - mse) / (msr + (msc - mse) / n);
    mean->lo = k * one->lo / (1 + (k - 1) * one->lo);
    mean->hi = k * one->hi / (1 + (k - 1) * one->hi);
}

bool ev_icc(const double *values, size_t subjects, unsigned raters, double level, struct ev_icc_study *out, struct err *e) {
    *out = (struct ev_icc_study){.subjects = subjects, .raters = raters};
    if (subjects < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "%zu subjects: the intraclass correlation needs two at least", subjects);
    if (raters < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "%u rater: the intraclass correlation needs two at least", raters);
    for (size_t i = 0; i < subjects * raters; i++)
        if (!isfinite(values[i])) return err_set(e, ERR_BAD_INPUT, "evidence", "subject %zu has no value of rater %zu", i / raters + 1, i % raters + 1);
    out->unit = ev_unit(values, subjects * raters);
    analyse(values, out);
    if (out->ms_subjects <= 0 && out->ms_within <= 0) return err_set(e, ERR_BAD_INPUT, "evidence", "every value is the same: there is no variance to divide");
    double n = (double)subjects, k = raters, alpha = 1 - level;
    by_ratio(&out->form[EV_ICC_1_1], &out->form[EV_ICC_1_K], out->ms_subjects, out->ms_within, n - 1, n * (k - 1), k, alpha);
    by_ratio(&out->form[EV_ICC_3_1], &out->form[EV_ICC_3_K], out->ms_subjects, out->ms_error, n - 1, (n - 1) * (k - 1), k, alpha);
    by_agreement(out, alpha);
    double of_raters = fmax(0, (out->ms_raters - out->ms_error) / n);
    out->sem = out->unit * sqrt(of_raters + out->ms_error);
    return true;
}
