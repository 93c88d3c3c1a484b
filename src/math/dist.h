// Distributions: probabilities and quantiles, to the last digits that a double holds.
//
// Arguments outside a parameter's range give NaN; tails are computed as tails (upper = true), so that small p-values keep their digits. Relative error is at most 1e-12 where nothing else is said.
#ifndef GANTRY_MATH_DIST_H
#define GANTRY_MATH_DIST_H

#include <stdbool.h>

double dist_norm(double z, bool upper);
double dist_norm_density(double z);
double dist_norm_quantile(double p, bool upper); // p in (0, 1); 0 and 1 give infinities
double dist_norm_two_sided(double level);        // z such that -z to z holds the level: 1.96 for 0.95
// P(X <= h and Y <= k) of two standard normal variables with correlation rho in [-1, 1]; absolute error below 1e-13 for |rho| <= 0.99, below 1e-9 beyond.
double dist_norm2(double h, double k, double rho);

double dist_t(double t, double df, bool upper); // df > 0, not only whole; INFINITY is the normal distribution
double dist_t_quantile(double p, double df, bool upper);
double dist_chi2(double x, double df, bool upper);
double dist_chi2_quantile(double p, double df, bool upper);
double dist_f(double x, double df1, double df2, bool upper); // df2 may be INFINITY
double dist_f_quantile(double p, double df1, double df2, bool upper);
double dist_beta(double x, double a, double b, bool upper);
double dist_beta_quantile(double p, double a, double b, bool upper);
double dist_gamma(double x, double shape, double scale, bool upper);
double dist_gamma_quantile(double p, double shape, double scale, bool upper);
double dist_binom(double k, double n, double p, bool upper); // P(X <= k), upper: P(X > k)
double dist_binom_density(double k, double n, double p);
double dist_poisson(double k, double mean, bool upper);

// Noncentral; to 1e-10.
double dist_t_noncentral(double t, double df, double ncp, bool upper);
double dist_f_noncentral(double x, double df1, double df2, double ncp, bool upper);
double dist_chi2_noncentral(double x, double df, double ncp, bool upper);

#endif
