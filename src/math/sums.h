// Sums, means and variances that keep their digits (Neumaier; two passes about the mean).
#ifndef GANTRY_MATH_SUMS_H
#define GANTRY_MATH_SUMS_H

#include <stddef.h>

double sums_total(const double *x, size_t n);
double sums_mean(const double *x, size_t n);     // safe at 1e300
double sums_variance(const double *x, size_t n); // n - 1 below; NaN when n < 2
double sums_covariance(const double *x, const double *y, size_t n);
double sums_correlation(const double *x, const double *y, size_t n);
// Of sorted values, Hyndman and Fan's types 1 to 9 (R's quantile); p in [0, 1].
double sums_quantile(const double *sorted, size_t n, double p, int type);

#endif
