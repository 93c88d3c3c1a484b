// ICC profiles of colour images (PS3.3 C.11.15; iccprofile of PS3.18 8.3.5.1.5).
#ifndef GANTRY_PIXEL_COLOR_H
#define GANTRY_PIXEL_COLOR_H

#include "dicom/write.h"
#include "pixel/render.h"

// Gives a colour picture its profile: the object's own (sRGB where it has none), or sRGB with the pixels converted to it. Gray pictures have none.
// ERR_UNDECODABLE: the object's profile is none that colours can be converted by.
bool px_color_profile(struct arena *a, const struct dcm_dataset *ds, uint32_t frame, enum px_icc how, const struct dcm_source *source,
                      struct px_picture *picture, struct err *e);

#endif
