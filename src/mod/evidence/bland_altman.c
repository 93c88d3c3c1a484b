// Limits of agreement of two methods: single pairs, repeated pairs, replicates.
#include <math.h>

#include "math/dist.h"
#include "mod/evidence/methods.h"
#include "mod/evidence/spread.h"

static bool usable(const double *x, const double *y, size_t n, struct err *e) {
    if (n < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "%zu pair%s: limits of agreement need two at least", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i] - y[i])) return err_set(e, ERR_BAD_INPUT, "evidence", "pair %zu: %g and %g have no finite difference", i + 1, x[i], y[i]);
    return true;
}

// Least squares of the difference on the mean: tells whether the bias depends on the size.
static void trend(const double *x, const double *y, size_t n, double unit, double bias, struct ev_bland_altman *out) {
    struct ev_sum sum = {0}, sxx = {0}, sxy = {0}, rest = {0};
    out->slope = out->slope_se = out->slope_p = NAN;
    for (size_t i = 0; i < n; i++) ev_add(&sum, x[i] / unit / 2 + y[i] / unit / 2);
    double middle = ev_total(&sum) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double m = x[i] / unit / 2 + y[i] / unit / 2 - middle, d = (x[i] - y[i] - bias) / unit;
        ev_add(&sxx, m * m);
        ev_add(&sxy, m * d);
    }
    if (n < 3 || ev_total(&sxx) <= 0) return;
    out->slope = ev_total(&sxy) / ev_total(&sxx);
    for (size_t i = 0; i < n; i++) {
        double m = x[i] / unit / 2 + y[i] / unit / 2 - middle, d = (x[i] - y[i] - bias) / unit - out->slope * m;
        ev_add(&rest, d * d);
    }
    out->slope_se = sqrt(ev_total(&rest) / (double)(n - 2) / ev_total(&sxx));
    if (out->slope_se > 0) out->slope_p = 2 * dist_t(fabs(out->slope / out->slope_se), (double)(n - 2), true);
}

static void limits(struct ev_bland_altman *out) {
    out->loa_lo = out->bias - out->multiplier * out->sd;
    out->loa_hi = out->bias + out->multiplier * out->sd;
}

bool ev_bland_altman(const double *x, const double *y, size_t n, double multiplier, double level, struct ev_bland_altman *out, struct err *e) {
    *out = (struct ev_bland_altman){.subjects = n, .pairs = n, .multiplier = multiplier, .within_sd = NAN, .between_sd = NAN};
    if (!usable(x, y, n, e)) return false;
    double unit = fmax(ev_unit(x, n), ev_unit(y, n)), t = dist_t_quantile((1 - level) / 2, (double)n - 1, true);
    struct ev_sum sum = {0}, squares = {0};
    for (size_t i = 0; i < n; i++) ev_add(&sum, (x[i] - y[i]) / unit);
    double mean = ev_total(&sum) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = (x[i] - y[i]) / unit - mean;
        ev_add(&squares, d * d);
    }
    out->bias = mean * unit;
    out->sd = unit * sqrt(ev_total(&squares) / (double)(n - 1));
    out->bias_se = out->sd / sqrt((double)n);
    out->bias_lo = out->bias - t * out->bias_se;
    out->bias_hi = out->bias + t * out->bias_se;
    limits(out);
    double wide = t * out->sd * sqrt(1 / (double)n + multiplier * multiplier / (2 * (double)(n - 1)));
    out->loa_lo_lo = out->loa_lo - wide;
    out->loa_lo_hi = out->loa_lo + wide;
    out->loa_hi_lo = out->loa_hi - wide;
    out->loa_hi_hi = out->loa_hi + wide;
    trend(x, y, n, unit, out->bias, out);
    return true;
}

// ---- repeated ----

// A variance that is a sum of mean squares with weights, and how far its interval reaches (MOVER: Zou 2013).
struct component {
    double weight, mean_square, df;
};

static double reach(const struct component *c, unsigned n, double alpha, bool up) {
    double sum = 0;
    for (unsigned i = 0; i < n; i++) {
        if (c[i].df <= 0 || c[i].mean_square <= 0) continue;
        // The end of the component that takes the sum the way asked for.
        double quantile = dist_chi2_quantile(alpha / 2, c[i].df, up != (c[i].weight >= 0));
        double d = c[i].weight * c[i].mean_square * (c[i].df / quantile - 1);
        sum += d * d;
    }
    return sqrt(sum);
}

// The intervals of the limits: that of the bias and that of the standard deviation, put together.
static void mover(struct ev_bland_altman *out, const struct component *c, unsigned n, double level) {
    double variance = out->sd * out->sd, alpha = 1 - level;
    double upper = sqrt(variance + reach(c, n, alpha, true)), lower = sqrt(fmax(0, variance - reach(c, n, alpha, false)));
    double half = out->bias_hi - out->bias, m = out->multiplier;
    double outward = sqrt(half * half + m * m * (upper - out->sd) * (upper - out->sd));
    double inward = sqrt(half * half + m * m * (out->sd - lower) * (out->sd - lower));
    limits(out);
    out->loa_lo_lo = out->loa_lo - outward;
    out->loa_lo_hi = out->loa_lo + inward;
    out->loa_hi_lo = out->loa_hi - inward;
    out->loa_hi_hi = out->loa_hi + outward;
}

static void set_bias(struct ev_bland_altman *out, double bias, double variance, double df, double level) {
    double t = dist_t_quantile((1 - level) / 2, df, true);
    out->bias = bias;
    out->bias_se = sqrt(variance);
    out->bias_lo = bias - t * out->bias_se;
    out->bias_hi = bias + t * out->bias_se;
}

static bool too_large(const double *x, size_t n, struct err *e) {
    if (ev_unit(x, n) > 0x1p500) return err_set(e, ERR_BAD_INPUT, "evidence", "values beyond 1e150 have no finite variance; use other units");
    return false;
}

bool ev_bland_altman_linked(struct arena *a, const double *x, const double *y, const uint32_t *subject, size_t n, size_t subjects, double multiplier,
                            double level, struct ev_bland_altman *out, struct err *e) {
    *out = (struct ev_bland_altman){.subjects = subjects, .pairs = n, .multiplier = multiplier, .slope = NAN, .slope_se = NAN, .slope_p = NAN};
    if (!usable(x, y, n, e) || too_large(x, n, e) || too_large(y, n, e)) return false;
    if (subjects < 2 || n <= subjects)
        return err_set(e, ERR_BAD_INPUT, "evidence", "%zu pairs of %zu subjects: repeated pairs need two subjects and one that has two pairs", n, subjects);
    double *mean = arena_zero(a, subjects, sizeof *mean, e), *count = mean ? arena_zero(a, subjects, sizeof *count, e) : NULL;
    if (!count) return false;
    double grand = 0, within = 0, between = 0, squares = 0, total = (double)n, k = (double)subjects;
    for (size_t i = 0; i < n; i++) {
        count[subject[i]]++;
        mean[subject[i]] += ((x[i] - y[i]) - mean[subject[i]]) / count[subject[i]];
    }
    for (size_t i = 0; i < subjects; i++) {
        if (count[i] == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "subject %zu has no pair", i + 1);
        grand += mean[i] * count[i] / total;
        squares += count[i] * count[i];
    }
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - y[i] - mean[subject[i]];
        within += d * d;
    }
    for (size_t i = 0; i < subjects; i++) between += count[i] * (mean[i] - grand) * (mean[i] - grand);
    double ms_between = between / (k - 1), ms_within = within / (total - k), m0 = (total - squares / total) / (k - 1);
    double of_subjects = fmax(0, (ms_between - ms_within) / m0);
    struct component c[] = {{1 / m0, ms_between, k - 1}, {1 - 1 / m0, ms_within, total - k}};
    out->sd = sqrt(of_subjects + ms_within);
    out->within_sd = sqrt(ms_within);
    out->between_sd = sqrt(of_subjects);
    set_bias(out, grand, of_subjects * squares / (total * total) + ms_within / total, k - 1, level);
    mover(out, c, 2, level);
    return true;
}

// Mean, and squares about it, of one subject's replicates; the number of them.
static double replicates(const double *v, unsigned count, double *mean, double *squares) {
    double m = 0;
    *mean = 0;
    for (unsigned j = 0; j < count; j++) {
        if (isnan(v[j])) continue;
        m++;
        *mean += (v[j] - *mean) / m;
    }
    for (unsigned j = 0; j < count; j++)
        if (!isnan(v[j])) *squares += (v[j] - *mean) * (v[j] - *mean);
    return m;
}

bool ev_bland_altman_replicates(struct arena *a, const double *x, unsigned x_count, const double *y, unsigned y_count, size_t subjects, double multiplier,
                                double level, struct ev_bland_altman *out, struct err *e) {
    *out = (struct ev_bland_altman){.subjects = subjects, .multiplier = multiplier, .slope = NAN, .slope_se = NAN, .slope_p = NAN};
    if (subjects < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "%zu subject: limits of agreement need two at least", subjects);
    if (too_large(x, subjects * x_count, e) || too_large(y, subjects * y_count, e)) return false;
    double *d = arena_alloc(a, subjects * sizeof *d, e), xs = 0, ys = 0, xn = 0, yn = 0, xi = 0, yi = 0, mx, my, k = (double)subjects;
    if (!d) return false;
    for (size_t i = 0; i < subjects; i++) {
        double nx = replicates(x + i * x_count, x_count, &mx, &xs), ny = replicates(y + i * y_count, y_count, &my, &ys);
        if (nx == 0 || ny == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "subject %zu lacks a measurement by one of the methods", i + 1);
        d[i] = mx - my;
        xn += nx;
        yn += ny;
        xi += 1 / nx / k;
        yi += 1 / ny / k;
    }
    double vx = xn > k ? xs / (xn - k) : 0, vy = yn > k ? ys / (yn - k) : 0, sd = ev_sd(d, subjects), mean, unused;
    ev_about_mean(d, subjects, 1, &mean, &unused);
    struct component c[] = {{1, sd * sd, k - 1}, {1 - xi, vx, xn - k}, {1 - yi, vy, yn - k}};
    out->pairs = subjects;
    out->sd = sqrt(sd * sd + (1 - xi) * vx + (1 - yi) * vy);
    out->within_sd = sqrt(vx + vy);
    out->between_sd = sqrt(fmax(0, sd * sd - xi * vx - yi * vy));
    set_bias(out, mean, sd * sd / k, k - 1, level);
    mover(out, c, 3, level);
    return true;
}
