// Inside of the readers of masks: numbers of any type become labels.
#ifndef GANTRY_MOD_EVIDENCE_MASK_PART_H
#define GANTRY_MOD_EVIDENCE_MASK_PART_H

#include "mod/evidence/mask.h"

enum mask_kind { MASK_UNSIGNED, MASK_SIGNED, MASK_FLOAT };

struct mask_values {
    struct str bytes;
    enum mask_kind kind;
    unsigned size; // bytes of a number: 1, 2, 4, 8
    bool big_endian;
    bool first_fastest; // the first index of n runs fastest
    unsigned dims;
    uint32_t n[3];
};

// Fills grid.dims, grid.n and labels. A value that is no whole number from 0 to MASK_LABEL_MAX is ERR_BAD_INPUT with its place.
bool mask_take_values(struct arena *a, const struct mask_values *v, struct mask *out, struct err *e);

static inline double mask_dot(const double a[3], const double b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

#endif
