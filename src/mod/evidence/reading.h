// One reader in one modality, ready for the sums of successes over pairs of a normal and a diseased case.
#ifndef GANTRY_MOD_EVIDENCE_READING_H
#define GANTRY_MOD_EVIDENCE_READING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "mod/evidence/pairs.h"
#include "mod/evidence/study.h"

struct ev_reading {
    const struct ev_study *study;
    struct ev_pairs pairs;   // f: normal cases, t: diseased ones
    double *sum;             // by case: of psi over the cases of the other class; 0: not read
    uint32_t *order, *level; // cases read, ascending by score; by case its score's place among the different ones, from 1; 0: not read
    unsigned read, levels;
};

bool ev_reading_of(struct arena *a, const struct ev_study *s, unsigned treatment, unsigned reader, struct ev_reading *out, struct err *e);

// Cases of either class that both have read, and what the unbiased moments of two readings need: sums over pairs of pairs of cases that share both, the diseased one, the normal one, whatever.
struct ev_products {
    double both, diseased, normal, any;
};
// Of successes, in O(n log n).
bool ev_reading_products(struct arena *a, const struct ev_reading *x, const struct ev_reading *y, struct ev_products *out, struct err *e);
// Of "was read": how many terms each of those sums has.
struct ev_products ev_reading_counts(const struct ev_reading *x, const struct ev_reading *y);

#endif
