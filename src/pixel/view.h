// Which part of an image is shown, how it is turned and how large: from image coordinates to those of the picture (PS3.3 C.10.4, C.10.6; PS3.18 8.3.5.1.4).
#ifndef GANTRY_PIXEL_VIEW_H
#define GANTRY_PIXEL_VIEW_H

#include "base/arena.h"
#include "base/err.h"

struct px_picture;

// In pixels of the image, 0,0 being the top left corner of the first pixel (PS3.3 C.10.5.1.1). May reach beyond the image: that is black.
struct px_region {
    double x, y, width, height;
};

struct px_view {
    uint32_t columns, rows; // of the image
    struct px_region region;
    double pixel_ratio; // height of a pixel by its width
    unsigned rotation;  // clockwise, 0, 90, 180 or 270, before the flips
    bool flip_x, flip_y;
    double magnification;   // of the natural size; 0: 1
    uint32_t width, height; // viewport; 0: as large as it comes
    // found by px_view_fit
    uint32_t unturned_width, unturned_height; // of the picture before it is turned
    uint32_t out_width, out_height;
};

// The picture's size: as large as the viewport lets it be in its own proportions, with square pixels. ERR_USAGE: a viewport beyond PX_VIEWPORT_MAX.
bool px_view_fit(struct px_view *v, struct err *e);
// A point of the image in the picture.
void px_view_point(const struct px_view *v, double x, double y, double *to_x, double *to_y);
// Turns a picture that was drawn unturned; it then has out_width and out_height.
bool px_view_turn(struct arena *a, const struct px_view *v, struct px_picture *picture, struct err *e);

#endif
