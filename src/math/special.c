// Incomplete beta and gamma by continued fractions and series, over prefactors that keep their digits; roots and quadrature.
#include "math/special.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { ITERATIONS_MAX = 20 * 1000 * 1000, NODES_MAX = 512 };

// ---- prefactors ----

// log(Gamma(x + 1)) - Stirling's formula. By the asymptotic series where seven terms reach 1e-17 (DLMF 5.11.1).
static double stirling_error(double x) {
    if (x < 16) {
        int sign;
        return x > 0 ? lgamma_r(x + 1, &sign) - (x + 0.5) * log(x) + x - 0.5 * log(2 * M_PI) : 0;
    }
    static const double c[] = {1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680, 1.0 / 1188, -691.0 / 360360, 1.0 / 156};
    double z = 1 / (x * x), s = 0;
    for (unsigned i = sizeof c / sizeof *c; i-- > 0;) s = s * z + c[i];
    return s / x;
}

// x log(x / m) + m - x without cancellation (Loader 2000, "Fast and accurate computation of binomial probabilities", equation 5). d = x - m, which the caller may know better.
static double deviance(double x, double m, double d) {
    if (x == 0) return m;
    if (fabs(d) >= 0.1 * (x + m)) return x * log(x / m) - d;
    double v = d / (x + m), s = d * v, term = 2 * x * v;
    for (int j = 3; j < 200; j += 2) {
        term *= v * v;
        double next = s + term / j;
        if (next == s) break;
        s = next;
    }
    return s;
}

double special_poisson_term(double a, double x) {
    if (!(x >= 0) || !(a >= 0) || isinf(a)) return NAN;
    if (x == 0) return a == 0 ? 1 : 0;
    if (isinf(x)) return 0;
    if (a == 0) return exp(-x);
    if (a < 16) { // few digits to lose, and none to a Stirling formula that is far off
        int sign;
        return exp(a * log(x) - x - lgamma_r(a + 1, &sign));
    }
    return exp(-stirling_error(a) - deviance(a, x, a - x)) / sqrt(2 * M_PI * a);
}

double special_binomial_term(double a, double b, double x, double y) {
    if (!(a >= 0) || !(b >= 0) || !(x >= 0) || !(y >= 0)) return NAN;
    if (x == 0) return a == 0 ? 1 : 0;
    if (y == 0) return b == 0 ? 1 : 0;
    if (a == 0) return exp(b * (y < 0.5 ? log(y) : log1p(-x)));
    if (b == 0) return exp(a * (x < 0.5 ? log(x) : log1p(-y)));
    double n = a + b, d = a * y - b * x; // a - n x, from the exact parts
    double s = stirling_error(n) - stirling_error(a) - stirling_error(b) - deviance(a, n * x, d) - deviance(b, n * y, -d);
    return exp(s) * sqrt(n / (2 * M_PI * a)) / sqrt(b);
}

double special_log_beta(double a, double b) {
    if (!(a > 0) || !(b > 0)) return NAN;
    int sign;
    if (a + b < 16) return lgamma_r(a, &sign) + lgamma_r(b, &sign) - lgamma_r(a + b, &sign);
    double small = fmin(a, b), large = fmax(a, b), n = a + b;
    double tail = stirling_error(small) + stirling_error(large) - stirling_error(n);
    return 0.5 * log(2 * M_PI) + tail + (small - 0.5) * log(small / n) - large * log1p(small / large) - 0.5 * log(large);
}

double special_log_choose(double n, double k) {
    if (!(k >= 0) || !(k <= n)) return NAN;
    if (k == 0 || k == n) return 0;
    return -log(n + 1) - special_log_beta(k + 1, n - k + 1);
}

// ---- incomplete gamma ----

// P by its series (DLMF 8.11.4), where x < a + 1.
static double gamma_series(double a, double x) {
    double term = 1, s = 1;
    for (int i = 1; i < ITERATIONS_MAX && term > s * DBL_EPSILON * 0.1; i++) {
        term *= x / (a + i);
        s += term;
    }
    return s * special_poisson_term(a, x);
}

// Q by Legendre's continued fraction (DLMF 8.9.2), evaluated as Lentz and Thompson do.
static double gamma_fraction(double a, double x) {
    double b = x + 1 - a, c = HUGE_VAL, d = 1 / b, f = d;
    for (int i = 1; i < ITERATIONS_MAX; i++) {
        double t = i * (a - i);
        b += 2;
        d = 1 / (b + t * d);
        c = b + t / c;
        double step = c * d;
        f *= step;
        if (fabs(step - 1) < DBL_EPSILON) break;
    }
    return f * a * special_poisson_term(a, x);
}

enum { SHAPE_LARGE = 100 * 1000 * 1000 }; // series and fraction take steps as many as the root of the shape

// Temme's uniform expansion (1979, SIAM J Math Anal 10:757-766; DLMF 8.12.3 to 8.12.11): of large shapes its first terms have all digits, wherever the tail does not vanish.
static double gamma_large(double a, double x, bool upper) {
    static const double c[] = {-1.0 / 3, 1.0 / 12, -2.0 / 135, 1.0 / 864, 1.0 / 2835};
    double d = deviance(a, x, a - x), eta = copysign(sqrt(2 * d / a), x - a), s = 0;
    if (fabs(eta) > 0.1) return (x > a) == upper ? 0 : 1;
    for (int i = 4; i >= 0; i--) s = s * eta + c[i];
    double rest = s * exp(-d) / sqrt(2 * M_PI * a);
    double q = 0.5 * erfc((upper ? 1 : -1) * copysign(sqrt(d), eta));
    return fmin(1, fmax(0, upper ? q + rest : q - rest));
}

static double gamma_tail(double a, double x, bool upper) {
    if (!(a > 0) || !(x >= 0) || isinf(a)) return NAN;
    if (x == 0) return upper ? 1 : 0;
    if (isinf(x)) return upper ? 0 : 1;
    if (a > SHAPE_LARGE) return gamma_large(a, x, upper);
    if (x < a + 1) {
        double p = gamma_series(a, x);
        return upper ? 1 - p : p;
    }
    double q = gamma_fraction(a, x);
    return upper ? q : 1 - q;
}

double special_gamma_p(double a, double x) {
    return gamma_tail(a, x, false);
}

double special_gamma_q(double a, double x) {
    return gamma_tail(a, x, true);
}

// ---- incomplete beta ----

// The continued fraction of DiDonato and Morris (1992, "Algorithm 708", equation 9), whose terms lose no digits near the mean; x at most a little beyond it.
static double beta_fraction(double a, double b, double x, double y) {
    double lambda = a * y - b * x, beta = a / (a + 1) * (lambda + 1);
    double c = HUGE_VAL, d = 1 / beta, f = d;
    for (int n = 1; n < ITERATIONS_MAX; n++) {
        double w = a + 2.0 * n - 1;
        double alpha = (a + n - 1) / w * ((a + b + n - 1) / w) * n * (b - n) * x * x;
        beta = n + n * (b - n) * x / w + (a + n) / (w + 2) * (lambda + 1 + n * (1 + y));
        d = beta + alpha * d;
        c = beta + alpha / c;
        d = 1 / (fabs(d) < DBL_MIN ? DBL_MIN : d);
        if (fabs(c) < DBL_MIN) c = DBL_MIN;
        double step = c * d;
        f *= step;
        if (fabs(step - 1) < DBL_EPSILON) break;
    }
    // x^a y^b / B(a, b)
    return f * (a / (a + b)) * b * special_binomial_term(a, b, x, y);
}

// The series about 0 (DLMF 8.17.7 by 8.17.8): few terms when b x is small.
static double beta_series(double a, double b, double x, double y) {
    double term = 1, s = 1;
    for (int n = 0; n < 1000 && term > s * DBL_EPSILON * 0.1; n++) {
        term *= (a + b + n) / (a + 1 + n) * x;
        s += term;
    }
    return s * (b / (a + b)) * special_binomial_term(a, b, x, y);
}

static double beta_lower(double a, double b, double x, double y) {
    if ((a + b) * x < 0.7 * (a + 1) && x < 0.7) return beta_series(a, b, x, y);
    return beta_fraction(a, b, x, y);
}

double special_beta_xy(double a, double b, double x, double y, bool upper) {
    if (!(a > 0) || !(b > 0) || !(x >= 0) || !(y >= 0) || isinf(a) || isinf(b)) return NAN;
    if (x == 0) return upper ? 1 : 0;
    if (y == 0) return upper ? 0 : 1;
    double p;
    if (x * (a + b + 2) <= a + 1) {
        p = beta_lower(a, b, x, y);
        return upper ? 1 - p : p;
    }
    p = beta_lower(b, a, y, x);
    return upper ? p : 1 - p;
}

double special_beta_i(double a, double b, double x, bool upper) {
    if (!(x >= 0) || !(x <= 1)) return NAN;
    return special_beta_xy(a, b, x, 1 - x, upper);
}

// ---- roots (Brent 1973, "Algorithms for Minimization without Derivatives", chapter 4) ----

struct bracket {
    double a, fa; // the point before
    double b, fb; // the best so far
    double c, fc; // on the other side of the root
    double step, before;
};

static void rename_ends(struct bracket *k) {
    if ((k->fb > 0) == (k->fc > 0)) {
        k->c = k->a;
        k->fc = k->fa;
        k->step = k->before = k->b - k->a;
    }
    if (fabs(k->fc) >= fabs(k->fb)) return;
    k->a = k->b;
    k->b = k->c;
    k->c = k->a;
    k->fa = k->fb;
    k->fb = k->fc;
    k->fc = k->fa;
}

// A secant or inverse quadratic step when it stays inside and shrinks fast enough, else the middle.
static void choose_step(struct bracket *k, double half, double tolerance) {
    double before = k->before;
    k->before = k->step;
    if (fabs(before) >= tolerance && fabs(k->fa) > fabs(k->fb)) {
        double p, q, s = k->fb / k->fa;
        if (k->a == k->c) {
            p = 2 * half * s;
            q = 1 - s;
        } else {
            double u = k->fa / k->fc, r = k->fb / k->fc;
            p = s * (2 * half * u * (u - r) - (k->b - k->a) * (r - 1));
            q = (u - 1) * (r - 1) * (s - 1);
        }
        if (p > 0) q = -q;
        p = fabs(p);
        if (2 * p < fmin(3 * half * q - fabs(tolerance * q), fabs(before * q))) {
            k->step = p / q;
            return;
        }
    }
    k->step = k->before = half;
}

double special_root(double (*f)(double x, void *with), void *with, double lo, double hi, double tolerance) {
    struct bracket k = {.a = lo, .fa = f(lo, with), .b = hi, .fb = f(hi, with)};
    if (k.fa == 0) return lo;
    if (k.fb == 0) return hi;
    if (isnan(k.fa) || isnan(k.fb) || (k.fa > 0) == (k.fb > 0)) return NAN;
    k.c = k.a;
    k.fc = k.fa;
    k.step = k.before = hi - lo;
    for (int i = 0; i < 500; i++) {
        rename_ends(&k);
        double near = 2 * DBL_EPSILON * fabs(k.b) + tolerance / 2, half = (k.c - k.b) / 2;
        if (fabs(half) <= near || k.fb == 0) return k.b;
        choose_step(&k, half, near);
        k.a = k.b;
        k.fa = k.fb;
        k.b += fabs(k.step) > near ? k.step : copysign(near, half);
        k.fb = f(k.b, with);
        if (isnan(k.fb)) return NAN;
    }
    return k.b;
}

// ---- quadrature ----

// P_n at x and its derivative, by the recurrence (DLMF 18.9.1).
static double legendre(unsigned n, double x, double *derivative) {
    double p = 1, before = 0;
    for (unsigned k = 1; k <= n; k++) {
        double next = ((2.0 * k - 1) * x * p - (k - 1.0) * before) / k;
        before = p;
        p = next;
    }
    *derivative = n * (before - x * p) / ((1 - x) * (1 + x));
    return p;
}

void special_gauss_legendre(unsigned n, double *node, double *weight) {
    for (unsigned i = 0; i < (n + 1) / 2; i++) {
        double x = cos(M_PI * (i + 0.75) / (n + 0.5)), d = 1;
        for (int k = 0; k < 20; k++) {
            double step = legendre(n, x, &d) / d;
            x -= step;
            if (fabs(step) < 1e-16) break;
        }
        if (2 * i + 1 == n) x = 0;
        legendre(n, x, &d);
        node[i] = -x;
        node[n - 1 - i] = x;
        weight[i] = weight[n - 1 - i] = 2 / ((1 - x) * (1 + x) * d * d);
    }
}

static const double *rules[NODES_MAX + 1]; // nodes, then weights; made once and kept
static pthread_mutex_t rules_lock = PTHREAD_MUTEX_INITIALIZER;

static const double *rule_of(unsigned n) {
    pthread_mutex_lock(&rules_lock);
    if (!rules[n]) {
        double *made = calloc(2 * (size_t)n, sizeof *made);
        if (made) special_gauss_legendre(n, made, made + n);
        rules[n] = made;
    }
    const double *rule = rules[n];
    pthread_mutex_unlock(&rules_lock);
    return rule;
}

double special_integral(double (*f)(double x, void *with), void *with, double lo, double hi, unsigned n) {
    if (n == 0 || n > NODES_MAX) return NAN;
    const double *rule = rule_of(n);
    if (!rule) return NAN;
    double middle = (lo + hi) / 2, half = (hi - lo) / 2, s = 0;
    for (unsigned i = 0; i < n; i++) s += rule[n + i] * f(middle + half * rule[i], with);
    return s * half;
}
