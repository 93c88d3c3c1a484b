// Sums with a running correction, and the first moments on them.
#include "math/sums.h"

#include <math.h>
#include <stdbool.h>

// Neumaier 1974: what each addition loses is summed apart.
struct sum {
    double s, lost;
};

static void sum_add(struct sum *a, double x) {
    double t = a->s + x;
    a->lost += fabs(a->s) >= fabs(x) ? (a->s - t) + x : (x - t) + a->s;
    a->s = t;
}

static double sum_value(const struct sum *a) {
    return isfinite(a->s) ? a->s + a->lost : a->s;
}

double sums_total(const double *x, size_t n) {
    struct sum a = {0};
    for (size_t i = 0; i < n; i++) sum_add(&a, x[i]);
    return sum_value(&a);
}

static double scaled_total(const double *x, size_t n, double scale) {
    struct sum a = {0};
    for (size_t i = 0; i < n; i++) sum_add(&a, x[i] * scale);
    return sum_value(&a);
}

double sums_mean(const double *x, size_t n) {
    if (n == 0) return NAN;
    double total = sums_total(x, n);
    if (isfinite(total)) return total / (double)n;
    double scale = 0x1p-64; // n < 2^64 values then sum up below the largest double
    return scaled_total(x, n, scale) / (double)n / scale;
}

// Sum of (x - mx)(y - my) f^2, less what the rounding of the means has added.
static double products(const double *x, double mx, const double *y, double my, size_t n, double fx, double fy) {
    struct sum a = {0}, dx = {0}, dy = {0};
    for (size_t i = 0; i < n; i++) {
        double u = (x[i] - mx) * fx, v = (y[i] - my) * fy;
        sum_add(&a, u * v);
        sum_add(&dx, u);
        sum_add(&dy, v);
    }
    return sum_value(&a) - sum_value(&dx) * sum_value(&dy) / (double)n;
}

double sums_variance(const double *x, size_t n) {
    if (n < 2) return NAN;
    double m = sums_mean(x, n);
    return fmax(0, products(x, m, x, m, n, 1, 1)) / (double)(n - 1);
}

double sums_covariance(const double *x, const double *y, size_t n) {
    if (n < 2) return NAN;
    return products(x, sums_mean(x, n), y, sums_mean(y, n), n, 1, 1) / (double)(n - 1);
}

// One over the largest distance from the mean, so that squares neither overflow nor vanish; 0 for a constant.
static double spread_scale(const double *x, double mean, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(x[i] / 2 - mean / 2));
    return most > 0 ? 0.5 / most : 0;
}

double sums_correlation(const double *x, const double *y, size_t n) {
    if (n < 2) return NAN;
    double mx = sums_mean(x, n), my = sums_mean(y, n), fx = spread_scale(x, mx, n), fy = spread_scale(y, my, n);
    double xx = products(x, mx, x, mx, n, fx, fx), yy = products(y, my, y, my, n, fy, fy);
    if (!(xx > 0) || !(yy > 0)) return NAN;
    double r = products(x, mx, y, my, n, fx, fy) / sqrt(xx) / sqrt(yy);
    return fmin(1, fmax(-1, r));
}

static double at_index(const double *sorted, size_t n, double i) { // from 1, held at the ends
    if (i < 1) return sorted[0];
    if (i >= (double)n) return sorted[n - 1];
    return sorted[(size_t)i - 1];
}

// Hyndman and Fan 1996, The American Statistician 50:361-365: types 1 to 3 are steps, 4 to 9 lines between order statistics at position a + p (n + 1 - a - b).
double sums_quantile(const double *sorted, size_t n, double p, int type) {
    static const double a[] = {0, 0.5, 0, 1, 1.0 / 3, 3.0 / 8}, b[] = {1, 0.5, 0, 1, 1.0 / 3, 3.0 / 8};
    if (n == 0 || !(p >= 0 && p <= 1) || type < 1 || type > 9) return NAN;
    double fuzz = 4 * 0x1p-52, count = (double)n;
    if (type <= 3) {
        double m = type == 3 ? count * p - 0.5 : count * p, j = floor(m + fuzz), g = m - j;
        bool up = type == 3 ? g > fuzz || fmod(j, 2) == 1 : g > fuzz;
        if (type == 2 && !up) return (at_index(sorted, n, j) + at_index(sorted, n, j + 1)) / 2;
        return at_index(sorted, n, up ? j + 1 : j);
    }
    double m = a[type - 4] + p * (count + 1 - a[type - 4] - b[type - 4]), j = floor(m + fuzz), g = m - j;
    if (fabs(g) < fuzz) g = 0;
    double lo = at_index(sorted, n, j), hi = at_index(sorted, n, j + 1);
    return g == 0 || lo == hi ? lo : (1 - g) * lo + g * hi;
}
