// Power and sample size.
#include <math.h>

#include "math/dist.h"
#include "math/special.h"
#include "mod/evidence/power.h"

static double z_alpha(double alpha, int sides) {
    return dist_norm_quantile(alpha / sides, true);
}

static double z_power(double power) {
    return dist_norm_quantile(power, false);
}

double ev_effect_power(const struct ev_effect *x, double n, double alpha) {
    return dist_norm((fabs(x->effect) * sqrt(n) - z_alpha(alpha, x->sides) * sqrt(x->null)) / sqrt(x->alternative), false);
}

double ev_effect_size(const struct ev_effect *x, double power, double alpha) {
    double root = (z_alpha(alpha, x->sides) * sqrt(x->null) + z_power(power) * sqrt(x->alternative)) / x->effect;
    return root * root;
}

double ev_effect_alpha(const struct ev_effect *x, double n, double power) {
    double z = (fabs(x->effect) * sqrt(n) - z_power(power) * sqrt(x->alternative)) / sqrt(x->null);
    return fmin(1, x->sides * dist_norm(z, true));
}

double ev_auc_planning_variance(double auc, double ratio) {
    double a = dist_norm_quantile(auc, false) * 1.414, a2 = a * a;
    return 0.0099 * exp(-a2 / 2) * ((5 * a2 + 8) + (a2 + 8) / ratio);
}

struct ev_effect ev_effect_auc(double auc, double null, double ratio, int sides) {
    return (struct ev_effect){auc - null, ev_auc_planning_variance(null, ratio), ev_auc_planning_variance(auc, ratio), sides};
}

struct detectable {
    double null, n1, ratio, power, alpha;
    int sides;
};

static double missing_power(double auc, void *with) {
    const struct detectable *d = with;
    struct ev_effect x = ev_effect_auc(auc, d->null, d->ratio, d->sides);
    return ev_effect_power(&x, d->n1, d->alpha) - d->power;
}

double ev_detectable_auc(double null, double n1, double ratio, double power, double alpha, int sides) {
    struct detectable d = {null, n1, ratio, power, alpha, sides};
    return special_root(missing_power, &d, null + 1e-12, 1 - 1e-12, 1e-12);
}

struct slopes {
    double a, b; // of the area
};

// The density of both kinds of cases along the curve is a normal one in z = Phi^-1(false positive rate): with s = 1 + b^2 it has its middle at -ab/s.
static struct slopes binormal_slopes(const struct ev_binormal *x) {
    double s = 1 + x->b * x->b, root = sqrt(s), shift = x->a * x->b / s, height = exp(-x->a * x->a / (2 * s));
    double u0 = x->from <= 0 ? -INFINITY : root * (dist_norm_quantile(x->from, false) + shift);
    double u1 = x->to >= 1 ? INFINITY : root * (dist_norm_quantile(x->to, false) + shift);
    double whole = height / sqrt(2 * M_PI * s);
    struct slopes f = {.a = whole * (dist_norm(u1, false) - dist_norm(u0, false))};
    f.b = height / (2 * M_PI * s) * (exp(-u0 * u0 / 2) - exp(-u1 * u1 / 2)) - shift * f.a;
    return f;
}

static double binormal_height(double z, void *with) {
    const struct ev_binormal *x = with;
    return dist_norm(x->a + x->b * z, false) * dist_norm_density(z);
}

double ev_binormal_area(const struct ev_binormal *x) {
    struct ev_binormal copy = *x;
    if (x->from <= 0 && x->to >= 1) return dist_norm(x->a / sqrt(1 + x->b * x->b), false);
    double from = x->from <= 0 ? -38 : dist_norm_quantile(x->from, false), to = x->to >= 1 ? 38 : dist_norm_quantile(x->to, false);
    double area = 0;
    for (int i = 0; i < 16; i++) area += special_integral(binormal_height, &copy, from + (to - from) * i / 16, from + (to - from) * (i + 1) / 16, 24);
    return area;
}

// Means, squares and products about them, as points come.
struct line {
    double n, x, y, xx, yy, xy;
};

static void add_point(struct line *l, double x, double y) {
    double dx = x - l->x, dy = y - l->y;
    l->n++;
    l->x += dx / l->n;
    l->y += dy / l->n;
    l->xx += dx * (x - l->x);
    l->yy += dy * (y - l->y);
    l->xy += dx * (y - l->y);
}

struct ev_binormal ev_binormal_fitted(const struct ev_roc_curve *c) {
    struct line l = {0};
    for (size_t k = 0; k < c->count; k++) {
        double se = dist_norm_quantile(c->tp[k] / (double)c->n1, false), sp = dist_norm_quantile(((double)c->n0 - c->fp[k]) / (double)c->n0, false);
        if (isfinite(se) && isfinite(sp)) add_point(&l, se, sp);
    }
    double slope = l.xy / l.xx;
    if (!(l.n > 1)) slope = NAN;
    return (struct ev_binormal){l.y - slope * l.x, -slope, 0, 1};
}

double ev_correlation_within(const double *x, const double *y, const uint8_t *positive, size_t n, uint8_t which) {
    struct line l = {0};
    for (size_t i = 0; i < n; i++)
        if (positive[i] == which) add_point(&l, x[i], y[i]);
    return l.xy / sqrt(l.xx) / sqrt(l.yy);
}

struct ev_binormal ev_binormal_of_area(double auc) {
    return (struct ev_binormal){dist_norm_quantile(auc, false) * M_SQRT2, 1, 0, 1};
}

double ev_binormal_variance(const struct ev_binormal *x, double ratio) {
    struct slopes f = binormal_slopes(x);
    double a = x->a, b = x->b;
    double va = 1 + b * b / ratio + a * a / 2, vb = b * b * (1 + ratio) / (2 * ratio);
    return f.a * f.a * va + f.b * f.b * vb; // without the covariance of a and b, which is negative in effect: as printed, and on the safe side
}

double ev_binormal_covariance(const struct ev_binormal *x, const struct ev_binormal *y, double rd, double rn, double ratio) {
    struct slopes f = binormal_slopes(x), g = binormal_slopes(y);
    double aa = rd + x->b * y->b * rn / ratio + rd * rd * x->a * y->a / 2;
    double bb = x->b * y->b * (rn * rn + ratio * rd * rd) / (2 * ratio);
    double ab = rd * rd * x->a * y->b / 2, ba = rd * rd * y->a * x->b / 2;
    return f.a * g.a * aa + f.b * g.b * bb + f.a * g.b * ab + f.b * g.a * ba;
}

struct ev_effect ev_effect_binormal(const struct ev_binormal *x, const struct ev_binormal *y, double difference, double rd, double rn, double ratio,
                                    int sides) {
    double c = ev_binormal_covariance(x, y, rd, rn, ratio), vx = ev_binormal_variance(x, ratio), vy = ev_binormal_variance(y, ratio);
    return (struct ev_effect){difference, 2 * vx - 2 * c, vx + vy - 2 * c, sides};
}

struct ev_effect ev_effect_delong(const struct ev_delong *d, unsigned a, unsigned b, int sides) {
    double n1 = (double)d->n1, va = d->covariance[(size_t)a * d->tests + a], vb = d->covariance[(size_t)b * d->tests + b],
           c = d->covariance[(size_t)a * d->tests + b];
    return (struct ev_effect){d->auc[a] - d->auc[b], n1 * (2 * va - 2 * c), n1 * (va + vb - 2 * c), sides};
}

static struct ev_effect two_proportions(double p1, double p2, int sides) {
    double p = (p1 + p2) / 2;
    return (struct ev_effect){p1 - p2, 2 * p * (1 - p), p1 * (1 - p1) + p2 * (1 - p2), sides};
}

double ev_size_two_proportions(double p1, double p2, double power, double alpha, int sides) {
    struct ev_effect x = two_proportions(p1, p2, sides);
    return ev_effect_size(&x, power, alpha);
}

double ev_power_two_proportions(double p1, double p2, double n, double alpha, int sides) {
    struct ev_effect x = two_proportions(p1, p2, sides);
    return ev_effect_power(&x, n, alpha);
}

double ev_size_one_proportion(double p, double null, double power, double alpha, int sides) {
    struct ev_effect x = {p - null, null * (1 - null), p * (1 - p), sides};
    return ev_effect_size(&x, power, alpha);
}

double ev_size_precision(double p, double half_width, double share, double level) {
    double z = dist_norm_two_sided(level);
    return z * z * p * (1 - p) / (half_width * half_width) / share;
}

static double per_control(double treated, double control, double ratio) {
    return treated * (1 - treated) / ratio + control * (1 - control);
}

double ev_size_noninferior(double treated, double control, double delta, double power, double alpha, double ratio) {
    double room = treated - control + delta, z = z_alpha(alpha, 1) + z_power(power);
    return room > 0 ? z * z * per_control(treated, control, ratio) / (room * room) : NAN;
}

double ev_size_equivalent(double treated, double control, double delta, double power, double alpha, double ratio) {
    double room = delta - fabs(treated - control), z = z_alpha(alpha, 1) + z_power((1 + power) / 2);
    return room > 0 ? z * z * per_control(treated, control, ratio) / (room * room) : NAN;
}

static struct ev_effect paired_proportions(double b, double c, int sides) {
    return (struct ev_effect){b - c, b + c, b + c - (b - c) * (b - c), sides};
}

double ev_size_paired_proportions(double b, double c, double power, double alpha, int sides) {
    struct ev_effect x = paired_proportions(b, c, sides);
    return ev_effect_size(&x, power, alpha);
}

double ev_power_paired_proportions(double b, double c, double n, double alpha, int sides) {
    struct ev_effect x = paired_proportions(b, c, sides);
    return ev_effect_power(&x, n, alpha);
}
