// Overlay planes (PS3.3 C.9.2), also those in unused bits of the pixel cells, and display shutters (C.7.6.11, C.7.6.15): what lies over the rows of an image.
#ifndef GANTRY_PIXEL_OVERLAY_H
#define GANTRY_PIXEL_OVERLAY_H

#include "base/arena.h"
#include "base/err.h"
#include "dicom/dataset.h"
#include "dicom/write.h"
#include "pixel/frame.h"

enum { PX_OVERLAYS_MAX = 16, PX_SHUTTER_POINTS_MAX = 1024 };

struct px_overlay {
    uint32_t rows, columns;
    int64_t x, y;        // in the image, of its first pixel, from 0
    const uint8_t *bits; // NULL: in the pixel cells
    uint64_t first_bit;  // of the frame's plane
    unsigned bit;        // of the pixel cell
};

struct px_shutter {
    bool rectangle, circle, polygon;
    double left, right, upper, lower;  // what is between is shown: pixels from 1 (C.7.6.11)
    double center_x, center_y, radius; // of columns; vertical_radius follows the pixels' proportions
    double vertical_radius;
    unsigned points;
    const double *point; // x, y
    bool has_overlay;    // bitmap shutter
    struct px_overlay overlay;
    uint8_t gray; // what hides
    uint8_t rgb[3];
};

struct px_layers {
    struct px_overlay overlays[PX_OVERLAYS_MAX];
    unsigned overlay_count;
    struct px_shutter shutter;
};

// source: of values by reference; may be NULL. An overlay that cannot be (too little data, not in this frame) is left out.
// image: of ds; NULL when it has none (a presentation state).
bool px_overlay_of(struct arena *a, const struct dcm_dataset *ds, const struct dcm_source *source, const struct px_image *image, unsigned group, uint32_t frame,
                   struct px_overlay *out, struct err *e);
// All of 6000 to 601E; activated_by: only those that this data set's Overlay Activation Layer names (a presentation state), or NULL.
bool px_overlays_of(struct arena *a, const struct dcm_dataset *ds, const struct dcm_source *source, const struct px_image *image, uint32_t frame,
                    const struct dcm_dataset *activated_by, struct px_layers *to, struct err *e);
// ratio: height of a pixel by its width. Points beyond PX_SHUTTER_POINTS_MAX and numbers that are none make it no shutter.
bool px_shutter_of(struct arena *a, const struct dcm_dataset *ds, double ratio, struct px_shutter *out, struct err *e);

bool px_layers_any(const struct px_layers *l);
// Draws over row y (columns * channels bytes) of the frame.
bool px_layers_row(struct arena *scratch, const struct px_layers *l, const struct px_frame *frame, uint32_t y, unsigned channels, uint8_t *row, struct err *e);

#endif
