// Inside of the segmentation's reference values: masks told in words, as tables of such values have them.
#ifndef GANTRY_MOD_EVIDENCE_SEG_CASE_H
#define GANTRY_MOD_EVIDENCE_SEG_CASE_H

#include "base/str.h"
#include "mod/evidence/seg.h"

struct seg_case {
    struct seg_grid grid;
    uint8_t *masks[2]; // reference, predicted
};

// The words, in any order but that of the masks:
//   shape (40,48,56) | 128x128 | 100^3      voxels along each axis; two of them make a plane
//   spacing (2,1,1) | spacing 2,1,1         mm (default: 1)
//   gt ... pred ... | ... vs ...            what follows belongs to that mask (the first is the reference)
//   ball((c,c,c),R)                         voxels with sum(((i - c) spacing)^2) <= R^2
//   box((lo,lo,lo),(hi,hi,hi))              lo <= i < hi
//   one pixel (i,j) | one voxel (i,j,k)     that one, and each further bracket
//   gt[a:b,c:d] vs pred[a:b]                slices of the leading axes
//   empty                                   nothing
// spacing_given: in place of what the words say; may be empty. ERR_BAD_INPUT says which part is not understood.
bool seg_case_make(struct arena *a, struct str words, struct str spacing_given, struct seg_case *out, struct err *e);

// Balls and boxes; coordinates by axis of the grid's array (a plane has two).
void seg_draw_ball(const struct seg_grid *g, uint8_t *mask, const double center[3], double radius);
void seg_draw_box(const struct seg_grid *g, uint8_t *mask, const double lo[3], const double hi[3]);

#endif
