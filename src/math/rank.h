// Order and ranks of large arrays of numbers.
#ifndef GANTRY_MATH_RANK_H
#define GANTRY_MATH_RANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

// Ascending in place; -0 equals 0; no NaN. Radix sort for large n, in scratch of the arena.
bool rank_sort(struct arena *a, double *x, size_t n, struct err *e);
// order[i]: index of the i-th smallest, equal values in their order of appearance (stable). n < 2^32.
bool rank_order(struct arena *a, const double *x, size_t n, uint32_t **order, struct err *e);
// The same, and with it same[i]: 1 when the value at i in the order equals the one before it, else 0.
bool rank_groups(struct arena *a, const double *x, size_t n, uint32_t **order, uint8_t **same, struct err *e);
// Midranks from 1: equal values share the mean of their ranks.
bool rank_mid(struct arena *a, const double *x, size_t n, double *rank, struct err *e);

#endif
