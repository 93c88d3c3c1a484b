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

// The root of f between lo and hi, where f changes its sign (Brent's method), to within tolerance. NaN when it does not change.
double special_root(double (*f)(double x, void *with), void *with, double lo, double hi, double tolerance);
// The integral of f over [lo, hi] by n-point Gauss-Legendre (nodes and weights are made once per n, n <= 512).
double special_integral(double (*f)(double x, void *with), void *with, double lo, double hi, unsigned n);
// Nodes in (-1, 1) ascending and weights.
void special_gauss_legendre(unsigned n, double *node, double *weight);

#endif
