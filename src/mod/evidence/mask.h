// Masks as files have them: label maps of NumPy, NIfTI and DICOM segmentations, on one grid.
#ifndef GANTRY_MOD_EVIDENCE_MASK_H
#define GANTRY_MOD_EVIDENCE_MASK_H

#include "dicom/read.h"
#include "dicom/write.h"
#include "mod/evidence/seg.h"

enum { MASK_LABEL_MAX = 65535 };
#define MASK_BYTES_MAX (4LL * 1024 * 1024 * 1024) // of a file, unpacked

struct mask {
    const char *format; // "NIfTI-1"
    struct seg_grid grid;
    uint16_t *labels;  // 0: background
    bool placed;       // where it lies in the patient is known
    bool spaced;       // its spacing is known
    double origin[3];  // mm, patient coordinates of DICOM (to the left, to the back, to the head), of the voxel at index 0
    double axis[3][3]; // unit vector of each index
};

// NPY of format 1 to 3 (numpy.lib.format): 2 or 3 axes, C or Fortran order, bool, integers or floating point numbers that are whole. Spacing is 1 until it is told.
bool mask_read_npy(struct arena *a, struct str bytes, struct mask *out, struct err *e);
// NIfTI-1 and -2 in one file (nifti.nimh.nih.gov), unpacked: sform, else qform, else unplaced. Axes are turned so that the third index comes first. A fourth axis must be 1.
bool mask_read_nifti(struct arena *a, struct str bytes, struct mask *out, struct err *e);
// Either of them by its first bytes, gzip packed or not. ERR_UNSUPPORTED for anything else.
bool mask_read(struct arena *a, struct str bytes, struct mask *out, struct err *e);
// DICOM Segmentation Storage and Label Map Segmentation Storage (PS3.3 C.8.20): labels are segment numbers; of a fractional one, values from half of the maximum on. segment 0: all, where they do not
// overlap (ERR_BAD_INPUT names the two that do). source: of the data set's by-reference values.
bool mask_read_seg(struct arena *a, const struct dcm_object *object, const struct dcm_source *source, unsigned segment, struct mask *out, struct err *e);

// Brings two masks onto one grid that holds both. Where both are placed: axes may be in other order and direction and the extents may differ, but voxels must fall on voxels. Else their
// shapes must be equal. ERR_BAD_INPUT says what differs.
bool mask_align(struct arena *a, struct mask *reference, struct mask *predicted, struct err *e);

// Voxels of one label; label 0: of any.
uint8_t *mask_select(struct arena *a, const struct mask *m, unsigned label, struct err *e);
// Which labels there are, ascending.
bool mask_labels(struct arena *a, const struct mask *const *masks, unsigned count, uint16_t **labels, unsigned *n, struct err *e);

#endif
