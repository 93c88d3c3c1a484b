// Lin's concordance, repeatability, equivalence.
#include "mod/evidence/methods.h"

#include <math.h>

#include "math/dist.h"
#include "mod/evidence/spread.h"

// ---- concordance ----

bool ev_concordance(const double *x, const double *y, size_t n, double level, struct ev_concordance *out, struct err *e) {
    *out = (struct ev_concordance){.n = n};
    if (n < 3) return err_set(e, ERR_BAD_INPUT, "evidence", "%zu pairs: concordance needs three at least", n);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]) || !isfinite(y[i])) return err_set(e, ERR_BAD_INPUT, "evidence", "pair %zu is not two finite numbers", i + 1);
    double unit = fmax(ev_unit(x, n), ev_unit(y, n)), mx, my, sx, sy, count = (double)n;
    struct ev_sum cross = {0};
    ev_about_mean(x, n, unit, &mx, &sx);
    ev_about_mean(y, n, unit, &my, &sy);
    for (size_t i = 0; i < n; i++) ev_add(&cross, (x[i] / unit - mx / unit) * (y[i] / unit - my / unit));
    if (sx <= 0 || sy <= 0)
        return err_set(e, ERR_BAD_INPUT, "evidence", "every value of the %s method is the same: there is no concordance to measure",
                       sx <= 0 ? "first" : "second");
    double r = fmax(-1, fmin(1, ev_total(&cross) / sqrt(sx) / sqrt(sy))), scale = sqrt(sy / sx);
    double u = (my / unit - mx / unit) / sqrt(sqrt(sx / count) * sqrt(sy / count)), cb = 2 / (scale + 1 / scale + u * u), c = r * cb;
    // Written with cb = c / r, so that no correlation at all is no division by zero.
    double variance = ((1 - r * r) * cb * cb * (1 - c * c) + 2 * c * c * cb * (1 - c) * u * u - 0.5 * c * c * cb * cb * u * u * u * u) / (count - 2);
    double z = dist_norm_two_sided(level), se = sqrt(fmax(0, variance)), wide = c * c < 1 ? z * se / (1 - c * c) : 0;
    out->ccc = c;
    out->se = se;
    out->lo = c * c < 1 ? tanh(atanh(c) - wide) : c;
    out->hi = c * c < 1 ? tanh(atanh(c) + wide) : c;
    out->plain_lo = c - z * se;
    out->plain_hi = c + z * se;
    out->pearson = r;
    out->bias_correction = cb;
    out->scale_shift = scale;
    out->location_shift = u;
    return true;
}

// ---- repeatability ----

struct of_subject {
    double count, mean, squares; // squares about the mean, in units of unit^2
};

static struct of_subject *gather(struct arena *a, const double *value, const uint32_t *subject, size_t n, size_t subjects, double unit, struct err *e) {
    struct of_subject *s = arena_zero(a, subjects ? subjects : 1, sizeof *s, e);
    if (!s) return NULL;
    for (size_t i = 0; i < n; i++) {
        if (isnan(value[i])) continue;
        struct of_subject *o = &s[subject[i]];
        double d = value[i] / unit - o->mean;
        o->count++;
        o->mean += d / o->count;
        o->squares += d * (value[i] / unit - o->mean);
    }
    return s;
}

bool ev_repeatability(struct arena *a, const double *value, const uint32_t *subject, size_t n, size_t subjects, double level, struct ev_repeatability *out,
                      struct err *e) {
    *out = (struct ev_repeatability){0};
    for (size_t i = 0; i < n; i++)
        if (isinf(value[i])) return err_set(e, ERR_BAD_INPUT, "evidence", "measurement %zu is not finite", i + 1);
    double unit = 0, squares = 0, relative = 0, least = INFINITY, alpha = 1 - level;
    for (size_t i = 0; i < n; i++) unit = isnan(value[i]) ? unit : fmax(unit, ev_unit(&value[i], 1));
    if (unit == 0) unit = 1;
    struct of_subject *s = gather(a, value, subject, n, subjects, unit, e);
    if (!s) return false;
    for (size_t i = 0; i < subjects; i++) {
        if (s[i].count < 2) continue;
        double variance = s[i].squares / (s[i].count - 1);
        out->subjects++;
        out->df += s[i].count - 1;
        squares += s[i].squares;
        out->mean += s[i].mean * unit;
        relative += variance / (s[i].mean * s[i].mean);
        least = fmin(least, s[i].mean);
    }
    if (out->subjects == 0) return err_set(e, ERR_BAD_INPUT, "evidence", "no subject was measured twice: repeatability needs repeats");
    double lo = sqrt(out->df / dist_chi2_quantile(alpha / 2, out->df, true)), hi = sqrt(out->df / dist_chi2_quantile(alpha / 2, out->df, false));
    double k = 1.96 * sqrt(2);
    out->mean /= (double)out->subjects;
    out->wsd = unit * sqrt(squares / out->df);
    out->wcv = least > 0 ? sqrt(relative / (double)out->subjects) : NAN;
    out->wsd_lo = out->wsd * lo;
    out->wsd_hi = out->wsd * hi;
    out->rc = k * out->wsd;
    out->rc_lo = k * out->wsd_lo;
    out->rc_hi = k * out->wsd_hi;
    out->wcv_lo = out->wcv * lo;
    out->wcv_hi = out->wcv * hi;
    return true;
}

// ---- equivalence ----

static bool decide(struct ev_tost *out, double lower, double upper, double level, struct err *e) {
    if (!(lower < upper)) return err_set(e, ERR_BAD_INPUT, "evidence", "the margins %g and %g are no interval", lower, upper);
    if (!(out->se > 0) || !isfinite(out->se))
        return err_set(e, ERR_BAD_INPUT, "evidence", "the differences do not vary (standard error %g): there is nothing to test", out->se);
    double t = dist_t_quantile(1 - level, out->df, true);
    out->t_lower = (out->estimate - lower) / out->se;
    out->t_upper = (out->estimate - upper) / out->se;
    out->p_lower = dist_t(out->t_lower, out->df, true);
    out->p_upper = dist_t(out->t_upper, out->df, false);
    out->p = fmax(out->p_lower, out->p_upper);
    out->lo = out->estimate - t * out->se;
    out->hi = out->estimate + t * out->se;
    out->equivalent = out->lo > lower && out->hi < upper;
    return true;
}

bool ev_tost_paired(struct arena *a, const double *x, const double *y, size_t n, double lower, double upper, double level, struct ev_tost *out, struct err *e) {
    double unused;
    *out = (struct ev_tost){.df = (double)n - 1};
    if (n < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "%zu pairs: a test of equivalence needs two at least", n);
    double *d = arena_alloc(a, n * sizeof *d, e);
    if (!d) return false;
    for (size_t i = 0; i < n; i++) {
        d[i] = y ? x[i] - y[i] : x[i];
        if (!isfinite(d[i])) return err_set(e, ERR_BAD_INPUT, "evidence", "pair %zu has no finite difference", i + 1);
    }
    ev_about_mean(d, n, ev_unit(d, n), &out->estimate, &unused);
    out->se = ev_sd(d, n) / sqrt((double)n);
    return decide(out, lower, upper, level, e);
}

bool ev_tost_groups(const double *x, size_t nx, const double *y, size_t ny, double lower, double upper, double level, struct ev_tost *out, struct err *e) {
    double mx, my, unused;
    *out = (struct ev_tost){0};
    if (nx < 2 || ny < 2) return err_set(e, ERR_BAD_INPUT, "evidence", "groups of %zu and %zu: a test of equivalence needs two in each at least", nx, ny);
    ev_about_mean(x, nx, ev_unit(x, nx), &mx, &unused);
    ev_about_mean(y, ny, ev_unit(y, ny), &my, &unused);
    double ex = ev_sd(x, nx) / sqrt((double)nx), ey = ev_sd(y, ny) / sqrt((double)ny);
    out->estimate = mx - my;
    out->se = hypot(ex, ey);
    double px = ex / out->se, py = ey / out->se; // shares, so that fourth powers stay small
    out->df = 1 / (px * px * px * px / (double)(nx - 1) + py * py * py * py / (double)(ny - 1));
    return decide(out, lower, upper, level, e);
}
