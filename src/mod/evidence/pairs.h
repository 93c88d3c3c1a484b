// Ratings of false findings against ratings of true ones: the sums that areas under curves, their jackknife and DeLong's components are made of.
#ifndef GANTRY_MOD_EVIDENCE_PAIRS_H
#define GANTRY_MOD_EVIDENCE_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

// One reader in one modality. psi(f, t) = 1 when t > f, 1/2 when equal, else 0; minus infinity stands for "no mark".
struct ev_pairs {
    unsigned f_count, t_count;
    double *f, *t;              // ratings
    double *weight;             // of t; NULL: 1 each
    uint32_t *f_case, *t_case;  // of which case
    double *f_sum;              // of f[i]: sum over t of weight * psi
    double *t_sum;              // of t[i]: sum over f of psi, without its weight
    double total, weight_total; // sum of everything
};

// Room for so many; the caller fills f, t, weight and the cases.
bool ev_pairs_make(struct arena *a, unsigned f_count, unsigned t_count, bool weighted, struct ev_pairs *out, struct err *e);
// Fills the sums, in O(n log n).
bool ev_pairs_sum(struct arena *a, struct ev_pairs *p, struct err *e);
// total / (weight_total * f_count); NaN when one side is empty.
double ev_pairs_area(const struct ev_pairs *p);
// The area without each case in turn: out[case * stride], cases of them. Cases without a rating here leave it as it is.
bool ev_pairs_jackknife(struct arena *a, const struct ev_pairs *p, unsigned cases, double *out, unsigned stride, struct err *e);

#endif
