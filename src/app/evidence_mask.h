// The masks that `gantry evidence seg` and `detect` read.
#ifndef GANTRY_APP_EVIDENCE_MASK_H
#define GANTRY_APP_EVIDENCE_MASK_H

#include "app/cli.h"
#include "mod/evidence/mask.h"

#define EVIDENCE_MASK_BYTES_MAX (32LL << 30) // memory for two masks and what is made of them

// clang-format off
#define EVIDENCE_MASK_OPTIONS \
    {"spacing", "MM,MM,MM", "between voxels along each axis of the arrays, for files that do not tell it (default: 1)"}, \
    {"reference-segment", "N", "segment of a DICOM segmentation that is the reference (default: all)"}, \
    {"predicted-segment", "N", "segment of the predicted one (default: all)"}
// clang-format on

// Reads the two files and brings them onto one grid.
bool evidence_masks(struct cli_args *args, struct arena *a, char *const files[2], struct mask masks[2], struct err *e);

#endif
