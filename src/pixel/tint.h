// Colours as presentation states give them: CIELab values of PS3.3 C.10.7.1.1 as sRGB.
#ifndef GANTRY_PIXEL_TINT_H
#define GANTRY_PIXEL_TINT_H

#include "dicom/dataset.h"

// False, and rgb untouched, when ds has no three values there.
bool px_cielab_of(const struct dcm_dataset *ds, uint32_t tag, uint8_t rgb[3]);

#endif
