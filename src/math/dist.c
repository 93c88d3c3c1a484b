// The usual distributions over the incomplete beta and gamma functions, and their quantiles.
#include "math/dist.h"

#include <float.h>
#include <math.h>

#include "math/special.h"

// ---- normal ----

double dist_norm(double z, bool upper) {
    return 0.5 * erfc((upper ? z : -z) * M_SQRT1_2);
}

double dist_norm_density(double z) {
    return exp(-0.5 * z * z) / sqrt(2 * M_PI);
}

static double ratio(const double num[8], const double den[8], double x) {
    double a = num[7], b = den[7];
    for (int i = 6; i >= 0; i--) {
        a = a * x + num[i];
        b = b * x + den[i];
    }
    return a / b;
}

// Wichura 1988, "Algorithm AS 241", PPND16: coefficients in ascending order; p in (0, 0.5].
static double norm_quantile_start(double p) {
    static const double a[8] = {3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
                                4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static const double b[8] = {1.0,
                                4.2313330701600911252e+1,
                                6.8718700749205790830e+2,
                                5.3941960214247511077e+3,
                                2.1213794301586595867e+4,
                                3.9307895800092710610e+4,
                                2.8729085735721942674e+4,
                                5.2264952788528545610e+3};
    static const double c[8] = {1.42343711074968357734e0, 4.63033784615654529590e0,  5.76949722146069140550e0,  3.64784832476320460504e0,
                                1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[8] = {1.0,
                                2.05319162663775882187e0,
                                1.67638483018380384940e0,
                                6.89767334985100004550e-1,
                                1.48103976427480074590e-1,
                                1.51986665636164571966e-2,
                                5.47593808499534494600e-4,
                                1.05075007164441684324e-9};
    static const double e[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,  2.96560571828504891230e-1,
                                2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[8] = {1.0,
                                5.99832206555887937690e-1,
                                1.36929880922735805310e-1,
                                1.48753612908506148525e-2,
                                7.86869131145613259100e-4,
                                1.84631831751005468180e-5,
                                1.42151175831644588870e-7,
                                2.04426310338993978564e-15};
    double q = p - 0.5;
    if (fabs(q) <= 0.425) return q * ratio(a, b, 0.180625 - q * q);
    double r = sqrt(-log(p));
    return r <= 5 ? -ratio(c, d, r - 1.6) : -ratio(e, f, r - 5);
}

double dist_norm_quantile(double p, bool upper) {
    if (!(p >= 0 && p <= 1)) return NAN;
    if (p == 0 || p == 1) return (p == 1) != upper ? HUGE_VAL : -HUGE_VAL;
    if (p > 0.5) return -dist_norm_quantile(1 - p, upper);
    double z = norm_quantile_start(p);
    // One step of Halley's method gives the last digit.
    double density = dist_norm_density(z);
    if (density > DBL_MIN) {
        double step = (dist_norm(z, false) - p) / density;
        z -= step / (1 + 0.5 * z * step);
    }
    return upper ? -z : z;
}

double dist_norm_two_sided(double level) {
    return dist_norm_quantile((1 - level) / 2, true);
}

// ---- beta, and with it t, F and the binomial ----

// Quantiles are sought along u = log(x / (1 - x)) for the logarithm of the tail, which is nearly a line far out on both sides.
struct search {
    double a, b; // shapes; b is 0 for the gamma distribution, and then u = log(x)
    double log_p;
    bool upper;
};

// The tail's logarithm less the wanted one; *slope by u.
static double search_at(const struct search *s, double u, double *slope) {
    double tail, density;
    if (s->b > 0) {
        double x = 1 / (1 + exp(-u)), y = 1 / (1 + exp(u));
        tail = special_beta_xy(s->a, s->b, x, y, s->upper);
        density = s->a / (s->a + s->b) * s->b * special_binomial_term(s->a, s->b, x, y);
    } else {
        double x = exp(u);
        tail = s->upper ? special_gamma_q(s->a, x) : special_gamma_p(s->a, x);
        density = s->a * special_poisson_term(s->a, x);
    }
    *slope = (s->upper ? -density : density) / tail;
    return log(tail) - s->log_p;
}

// Newton's method inside a bracket that closes from both sides.
static double search_quantile(const struct search *s, double u) {
    double lo = -HUGE_VAL, hi = HUGE_VAL, reach = 1, slope;
    for (int i = 0; i < 400; i++) {
        double g = search_at(s, u, &slope);
        if (g == 0) break;
        if ((g > 0) != s->upper)
            hi = u;
        else
            lo = u;
        double next = isfinite(g) && slope != 0 ? u - g / slope : NAN;
        if (!(next > lo && next < hi)) {
            if (isinf(hi))
                next = lo + (reach *= 2);
            else if (isinf(lo))
                next = hi - (reach *= 2);
            else
                next = lo + (hi - lo) / 2;
        }
        bool done = fabs(next - u) <= 2 * DBL_EPSILON * fmax(fabs(next), 0.25) || hi - lo <= DBL_EPSILON * fabs(u);
        u = next;
        if (done || fabs(u) > 745) break;
    }
    return u;
}

// log(x / (1 - x)) at the quantile; p in (0, 1).
static double beta_quantile_logit(double p, double a, double b, bool upper) {
    if (p > 0.5) {
        p = 1 - p;
        upper = !upper;
    }
    return search_quantile(&(struct search){a, b, log(p), upper}, log(a / b));
}

double dist_beta(double x, double a, double b, bool upper) {
    if (isnan(x)) return NAN;
    return special_beta_i(a, b, fmin(fmax(x, 0), 1), upper);
}

double dist_beta_quantile(double p, double a, double b, bool upper) {
    if (!(p >= 0 && p <= 1) || !(a > 0) || !(b > 0) || isinf(a) || isinf(b)) return NAN;
    if (p == 0 || p == 1) return (p == 1) != upper ? 1 : 0;
    return 1 / (1 + exp(-beta_quantile_logit(p, a, b, upper)));
}

double dist_t(double t, double df, bool upper) {
    if (!(df > 0) || isnan(t)) return NAN;
    if (isinf(df) || isinf(t)) return dist_norm(t, upper);
    double square = t * t, y = isinf(square) ? 1 : square / (df + square), x = isinf(square) ? df / t / t : df / (df + square);
    bool far = (t > 0) == upper; // away from the middle
    if (t == 0) return 0.5;
    if (far) return 0.5 * special_beta_xy(df / 2, 0.5, x, y, false);
    return 0.5 + 0.5 * special_beta_xy(df / 2, 0.5, x, y, true);
}

double dist_t_quantile(double p, double df, bool upper) {
    if (!(df > 0) || !(p >= 0 && p <= 1)) return NAN;
    if (isinf(df) || p == 0 || p == 1) return dist_norm_quantile(p, upper);
    if (p > 0.5) return -dist_t_quantile(1 - p, df, upper);
    if (p == 0.5) return 0;
    // t^2 / df is distributed as x / (1 - x) with shapes 1/2 and df/2.
    double u = p < 0.25 ? beta_quantile_logit(2 * p, 0.5, df / 2, true) : beta_quantile_logit(1 - 2 * p, 0.5, df / 2, false);
    double t = sqrt(df) * exp(u / 2);
    return upper ? t : -t;
}

double dist_f(double x, double df1, double df2, bool upper) {
    if (!(df1 > 0) || !(df2 > 0) || isnan(x)) return NAN;
    if (x <= 0) return upper ? 1 : 0;
    if (isinf(x)) return upper ? 0 : 1;
    if (isinf(df2)) return isinf(df1) ? NAN : dist_chi2(x * df1, df1, upper);
    if (isinf(df1)) return dist_chi2(df2 / x, df2, !upper);
    double r = df1 / df2 * x;
    return special_beta_xy(df1 / 2, df2 / 2, isinf(r) ? 1 : r / (1 + r), 1 / (1 + r), upper);
}

double dist_f_quantile(double p, double df1, double df2, bool upper) {
    if (!(df1 > 0) || !(df2 > 0) || !(p >= 0 && p <= 1)) return NAN;
    if (p == 0 || p == 1) return (p == 1) != upper ? HUGE_VAL : 0;
    if (isinf(df2)) return isinf(df1) ? NAN : dist_chi2_quantile(p, df1, upper) / df1;
    if (isinf(df1)) return df2 / dist_chi2_quantile(p, df2, !upper);
    return df2 / df1 * exp(beta_quantile_logit(p, df1 / 2, df2 / 2, upper));
}

double dist_binom_density(double k, double n, double p) {
    if (!(n >= 0) || !(p >= 0 && p <= 1) || isnan(k)) return NAN;
    if (k < 0 || k > n || k != floor(k)) return 0;
    return special_binomial_term(k, n - k, p, 1 - p);
}

double dist_binom(double k, double n, double p, bool upper) {
    if (!(n >= 0) || !(p >= 0 && p <= 1) || isnan(k) || isinf(n)) return NAN;
    k = floor(k);
    if (k < 0) return upper ? 1 : 0;
    if (k >= n) return upper ? 0 : 1;
    return special_beta_xy(k + 1, n - k, p, 1 - p, !upper);
}

// ---- gamma, and with it chi-squared and Poisson ----

double dist_gamma(double x, double shape, double scale, bool upper) {
    if (!(shape > 0) || !(scale > 0) || isnan(x)) return NAN;
    x = fmax(x, 0) / scale;
    return upper ? special_gamma_q(shape, x) : special_gamma_p(shape, x);
}

double dist_gamma_quantile(double p, double shape, double scale, bool upper) {
    if (!(p >= 0 && p <= 1) || !(shape > 0) || !(scale > 0) || isinf(shape)) return NAN;
    if (p == 0 || p == 1) return (p == 1) != upper ? HUGE_VAL : 0;
    if (p > 0.5) {
        p = 1 - p;
        upper = !upper;
    }
    return scale * exp(search_quantile(&(struct search){shape, 0, log(p), upper}, log(shape)));
}

double dist_chi2(double x, double df, bool upper) {
    return dist_gamma(x, df / 2, 2, upper);
}

double dist_chi2_quantile(double p, double df, bool upper) {
    return dist_gamma_quantile(p, df / 2, 2, upper);
}

double dist_poisson(double k, double mean, bool upper) {
    if (!(mean >= 0) || isnan(k)) return NAN;
    k = floor(k);
    if (k < 0) return upper ? 1 : 0;
    if (isinf(k)) return upper ? 0 : 1;
    return upper ? special_gamma_p(k + 1, mean) : special_gamma_q(k + 1, mean);
}
