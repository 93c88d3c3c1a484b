// Special functions under the distributions: incomplete beta and gamma; root finding and quadrature.
#ifndef GANTRY_MATH_SPECIAL_H
#define GANTRY_MATH_SPECIAL_H

#include <stdbool.h>

double special_log_beta(double a, double b);
double special_log_choose(double n, double k);
// Regularised: P(a, x) = 1 - Q(a, x); I_x(a, b).
double special_gamma_p(double a, double x);
double special_gamma_q(double a, double x);
double special_beta_i(double a, double b, double x, bool upper);
// The same where y = 1 - x is known better than x, or as well: near x = 1 the digits are in y.
double special_beta_xy(double a, double b, double x, double y, bool upper);
// x^a e^-x / Gamma(a + 1): the Poisson probability of a (a >= 0, not only whole).
double special_poisson_term(double a, double x);
// Gamma(a + b + 1) / (Gamma(a + 1) Gamma(b + 1)) x^a y^b: the binomial probability of a among a + b (not only whole).
double special_binomial_term(double a, double b, double x, double y);

// The root of f between lo and hi, where f changes its sign (Brent's method), to within tolerance. NaN when it does not change.
double special_root(double (*f)(double x, void *with), void *with, double lo, double hi, double tolerance);
// The integral of f over [lo, hi] by n-point Gauss-Legendre (nodes and weights are made once per n, n <= 512).
double special_integral(double (*f)(double x, void *with), void *with, double lo, double hi, unsigned n);
// Nodes in (-1, 1) ascending and weights.
void special_gauss_legendre(unsigned n, double *node, double *weight);

#endif
