// Text and graphics over a picture: the graphic annotations of presentation states and burnt-in demographics.
#ifndef GANTRY_PIXEL_DRAW_H
#define GANTRY_PIXEL_DRAW_H

#include "pixel/render.h"

// The graphic and text objects of a presentation state that are for the image (PS3.3 C.10.5), in the order of its layers. Objects that cannot be are left
// out; what is drawn in all is bounded. The picture may become RGB.
bool px_draw_graphics(struct arena *a, const struct px_view *v, const struct dcm_dataset *ps, struct str sop_instance_uid, uint32_t frame,
                      struct px_picture *picture, struct err *e);

// Lines of UTF-8 in a corner, as large as the picture lets them be read.
enum px_corner { PX_TOP_LEFT, PX_TOP_RIGHT, PX_BOTTOM_LEFT, PX_BOTTOM_RIGHT };
bool px_draw_lines(struct px_picture *picture, enum px_corner corner, struct str text, struct err *e);

// Burns patient or technique (enum px_annotation) of a data set in.
bool px_annotate(struct arena *a, const struct dcm_dataset *ds, uint32_t frame, unsigned what, struct px_picture *picture, struct err *e);

#endif
