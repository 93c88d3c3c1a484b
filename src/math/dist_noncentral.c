// Noncentral distributions: central ones mixed by Poisson weights (Benton and Krishnamoorthy 2003, Computational Statistics and Data Analysis 43:249-267).
//
// Neighbours in the mixture differ by one simple term. Sums are run in the direction in which that term is added, never taken away, so that small tails keep their digits.
#include "math/dist.h"

#include <float.h>
#include <math.h>

#include "math/special.h"

enum { TERMS_MAX = 100 * 1000 * 1000 };
#define WEIGHT_MIN 1e-300 // what follows adds less

// Sum over j of w_j F(j), w_j the Poisson term of j + shift at mean, F the beta (b > 0) or gamma tail of shape a + j.
struct mixture {
    double mean, shift;
    double a, b;
    double x, y;
};

static double tail_at(const struct mixture *m, double j, bool upper) {
    if (m->b > 0) return special_beta_xy(m->a + j, m->b, m->x, m->y, upper);
    return upper ? special_gamma_q(m->a + j, m->x) : special_gamma_p(m->a + j, m->x);
}

// Lower tail of shape a + j less that of a + j + 1.
static double step_at(const struct mixture *m, double j) {
    double a = m->a + j;
    if (m->b > 0) return m->b / (a + m->b) * special_binomial_term(a, m->b, m->x, m->y);
    return special_poisson_term(a, m->x);
}

// From one shape to the next; anew where the running product has no digits left.
static double next_step(const struct mixture *m, double step, double j, bool up) {
    if (step < 1e-280) return step_at(m, j);
    double a = m->a + j;
    if (m->b > 0) return up ? step * m->x * (a + m->b - 1) / a : step * (a + 1) / ((a + m->b) * m->x);
    return up ? step * m->x / a : step * (a + 1) / m->x;
}

static double mixture_lower(const struct mixture *m) {
    double j = floor(m->mean + 12 * sqrt(m->mean) + 40), s = 0;
    double w = special_poisson_term(j + m->shift, m->mean), f = tail_at(m, j, false), step = step_at(m, j);
    for (;;) {
        double term = w * f;
        s += term;
        if (j == 0 || (j < m->mean && (term < s * 1e-17 || w < WEIGHT_MIN))) break;
        w *= (j + m->shift) / m->mean;
        j -= 1;
        step = next_step(m, step, j, false);
        f += step;
    }
    return s;
}

static double mixture_upper(const struct mixture *m) {
    double j = fmax(0, floor(m->mean - 12 * sqrt(m->mean) - 40)), s = 0, before = 0;
    double w = special_poisson_term(j + m->shift, m->mean), f = tail_at(m, j, true), step = step_at(m, j);
    for (int left = TERMS_MAX; left > 0; left--) {
        double term = w * f;
        s += term;
        if (j > m->mean && ((term <= before && term <= s * 1e-17) || w < WEIGHT_MIN)) break;
        before = term;
        f = fmin(1, f + step);
        j += 1;
        step = next_step(m, step, j, true);
        w *= m->mean / (j + m->shift);
    }
    return s;
}

static double mixture(const struct mixture *m, bool upper) {
    return fmin(1, upper ? mixture_upper(m) : mixture_lower(m));
}

enum { NCP_MAX = 1000 * 1000 * 1000 }; // beyond, a sum would take minutes

double dist_chi2_noncentral(double x, double df, double ncp, bool upper) {
    if (!(df > 0) || !(ncp >= 0) || ncp > NCP_MAX || isinf(df) || isnan(x)) return NAN;
    if (ncp == 0 || x <= 0 || isinf(x)) return dist_chi2(x, df, upper);
    return mixture(&(struct mixture){ncp / 2, 0, df / 2, 0, x / 2, 0}, upper);
}

double dist_f_noncentral(double x, double df1, double df2, double ncp, bool upper) {
    if (!(df1 > 0) || !(df2 > 0) || !(ncp >= 0) || ncp > NCP_MAX || isinf(df1) || isnan(x)) return NAN;
    if (isinf(df2)) return dist_chi2_noncentral(x * df1, df1, ncp, upper);
    if (ncp == 0 || x <= 0 || isinf(x)) return dist_f(x, df1, df2, upper);
    double r = df1 / df2 * x;
    return mixture(&(struct mixture){ncp / 2, 0, df1 / 2, df2 / 2, isinf(r) ? 1 : r / (1 + r), 1 / (1 + r)}, upper);
}

// ---- noncentral t ----

struct product {
    double t, df, ncp;
};

// P(Z > t s - ncp) times the density of s = sqrt(chi2 / df), by log s.
static double product_at(double log_s, void *with) {
    const struct product *p = with;
    double s = exp(log_s), half = p->df / 2;
    return 2 * half * special_poisson_term(half, half * s * s) * dist_norm(p->t * s - p->ncp, true);
}

// The mode of the integrand is sought, then panels go out from it on both sides until they add nothing.
static double upper_by_integral(double t, double df, double ncp) {
    struct product p = {t, df, ncp};
    double lo = -40, hi = 10;
    for (int i = 0; i < 100; i++) { // golden sections of a log-concave function
        double a = lo + (hi - lo) * 0.381966, b = lo + (hi - lo) * 0.618034, fa = product_at(a, &p), fb = product_at(b, &p);
        if (fa == 0 && fb == 0 ? a > 0 : fa > fb)
            hi = b;
        else
            lo = a;
    }
    double mode = (lo + hi) / 2, width = 1 / sqrt(1 + 2 * df + t * t), s = 0;
    for (int side = -1; side <= 1; side += 2) {
        double at = mode;
        for (int i = 0; i < 400; i++) {
            double part = special_integral(product_at, &p, fmin(at, at + side * width), fmax(at, at + side * width), 20);
            s += part;
            at += side * width;
            if (part <= s * 1e-16) break;
        }
    }
    return s;
}

// t > 0. P(T <= t) = P(T <= 0) + half the sum of two mixtures, with whole and with half indices (equations 2.1 and 2.2 there).
static double t_positive(double t, double df, double ncp, bool upper) {
    if (upper && ncp < 0) return upper_by_integral(t, df, ncp);
    double r = t / df * t, x = isinf(r) ? 1 : r / (1 + r), y = 1 / (1 + r), mean = ncp * ncp / 2;
    double even = mixture(&(struct mixture){mean, 0, 0.5, df / 2, x, y}, upper);
    double odd = mixture(&(struct mixture){mean, 0.5, 1, df / 2, x, y}, upper);
    if (upper) return fmin(1, 0.5 * (even + odd));
    return fmin(1, dist_norm(-ncp, false) + 0.5 * (even + (ncp > 0 ? odd : -odd)));
}

double dist_t_noncentral(double t, double df, double ncp, bool upper) {
    if (!(df > 0) || !(fabs(ncp) < 40000) || isnan(t)) return NAN;
    if (isinf(df)) return dist_norm(t - ncp, upper);
    if (ncp == 0 || isinf(t)) return dist_t(t, df, upper);
    if (t == 0) return dist_norm(-ncp, upper);
    return t > 0 ? t_positive(t, df, ncp, upper) : t_positive(-t, df, -ncp, !upper);
}
