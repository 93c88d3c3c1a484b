// The graphic annotations of a presentation state as data: layers of objects (PS3.3 C.10.5, C.10.7).
#ifndef GANTRY_PIXEL_GRAPHIC_H
#define GANTRY_PIXEL_GRAPHIC_H

#include "base/arena.h"
#include "dicom/dataset.h"

enum { PX_GRAPHICS_MAX = 2048, PX_GRAPHIC_LAYERS_MAX = 64, PX_GRAPHIC_POINTS_MAX = 32768 }; // of one picture in all

enum px_units { PX_UNITS_PIXEL, PX_UNITS_DISPLAY };
enum px_align { PX_ALIGN_LEFT, PX_ALIGN_CENTER, PX_ALIGN_RIGHT };
enum px_graphic_kind { PX_GRAPHIC_POINT, PX_GRAPHIC_POLYLINE, PX_GRAPHIC_INTERPOLATED, PX_GRAPHIC_CIRCLE, PX_GRAPHIC_ELLIPSE, PX_GRAPHIC_TEXT };

struct px_graphic {
    enum px_graphic_kind kind;
    enum px_units units;
    unsigned points;     // TEXT: 2 for a box, 1 for an anchor
    const double *point; // x, y; finite
    bool filled;
    enum px_align align;
    struct str text; // UTF-8
};

struct px_graphic_layer {
    struct str name;
    int64_t order;
    uint8_t rgb[3];
    struct px_graphic *graphics;
    unsigned count;
};

// Layers by their order, with the objects that are for the image. Objects that cannot be (too few points, no numbers) and what is beyond the ceilings is left out.
bool px_graphics_of(struct arena *a, const struct dcm_dataset *ps, struct str sop_instance_uid, uint32_t frame, struct px_graphic_layer **out, unsigned *n,
                    struct err *e);

#endif
