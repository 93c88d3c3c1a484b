// General dense matrices, row by row: products and linear systems with many right-hand sides, as Markov chains need them.
#ifndef GANTRY_MATH_DENSE_H
#define GANTRY_MATH_DENSE_H

#include <stdbool.h>

// out (n x n) = a b; out is neither a nor b.
void dense_multiply(const double *a, const double *b, unsigned n, double *out);
// a x = b for columns right-hand sides, by elimination with row pivots; a and b (n x columns) are overwritten, b becomes x. False when a is singular to working precision.
bool dense_solve(double *a, unsigned n, double *b, unsigned columns);
// The inverse into out; a is overwritten.
bool dense_invert(double *a, unsigned n, double *out);

#endif
