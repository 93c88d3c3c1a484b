// Small dense matrices, row by row: what least squares, logistic regression, integral equations and Markov chains need.
#ifndef GANTRY_MATH_MATRIX_H
#define GANTRY_MATH_MATRIX_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

// a (n x n, symmetric, positive definite) becomes its lower Cholesky factor; false when it is not positive definite.
bool matrix_cholesky(double *a, unsigned n);
// Solves with the factor, in place of b.
void matrix_cholesky_solve(const double *l, unsigned n, double *b);
// The inverse of a symmetric positive definite matrix, in its place; false as above.
bool matrix_inverse_spd(struct arena *scratch, double *a, unsigned n, struct err *e);
// General linear system a x = b for columns right-hand sides (b is n x columns) by elimination with pivots; a and b are overwritten, b becomes x; false when a is
// singular to working precision.
bool matrix_solve(double *a, unsigned n, double *b, unsigned columns);
// The inverse into out; a is overwritten; false as above.
bool matrix_invert(double *a, unsigned n, double *out);
// out = a b, all n x n; out is neither a nor b.
void matrix_multiply(const double *a, const double *b, unsigned n, double *out);
// Eigenvalues (descending) and vectors (columns of v; may be NULL) of a symmetric matrix, by Jacobi's method; a is overwritten.
void matrix_eigen_symmetric(double *a, unsigned n, double *values, double *v);

#endif
