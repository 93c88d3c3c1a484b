// Inside of the surface metrics: a surface as marked places of a lattice, and exact distances to it.
#ifndef GANTRY_MOD_EVIDENCE_SEG_FIELD_H
#define GANTRY_MOD_EVIDENCE_SEG_FIELD_H

#include "mod/evidence/seg.h"

// The part of a grid that holds both masks: lo .. hi - 1.
struct seg_box {
    uint32_t lo[3], hi[3];
    bool empty;
};
void seg_box(const struct seg_grid *g, const uint8_t *const masks[2], struct seg_box *out);

// Places of the lattice: 0 is none of the surface; else the code of the neighbourhood (surfels), or 1.
struct seg_field {
    uint32_t n[3];
    double spacing[3];
    uint8_t *code;
};
bool seg_field_surfels(struct arena *a, const struct seg_grid *g, const uint8_t *mask, const struct seg_box *box, struct seg_field *out, struct err *e);
bool seg_field_borders(struct arena *a, const struct seg_grid *g, const uint8_t *mask, const struct seg_box *box, struct seg_field *out, struct err *e);

// For every place of `from`, in some order, the distance to the nearest place of `to` (infinite: none) and its code. Room for all is the arena's.
// Exact: the nearest place is found as such and its distance computed from whole steps (Felzenszwalb and Huttenlocher, Theory of Computing 2012;8:415-428).
bool seg_field_distances(struct arena *a, const struct seg_field *from, const struct seg_field *to, size_t *count, double **distance, uint8_t **code,
                         struct err *e);

#endif
