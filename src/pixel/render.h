// Rendering: one frame of an object as an 8-bit gray or RGB picture, and that picture as PNG or JPEG.
#ifndef GANTRY_PIXEL_RENDER_H
#define GANTRY_PIXEL_RENDER_H

#include "base/buf.h"
#include "pixel/frame.h"
#include "pixel/lut.h"

struct px_options {
    const struct px_window *window; // in place of the object's own (gray images); NULL: the object's VOI LUT or window, else smallest to largest value
    uint32_t width, height;         // viewport that the picture fills in its own proportions; 0: its own size
};

struct px_picture {
    uint32_t width, height;
    unsigned channels; // 1 or 3
    uint8_t *pixels;   // width * height * channels bytes, no padding between rows
};

// frame counts from 0. The picture lives in a; the frame's own bytes do not outlive the call. ERR_NOT_FOUND: no such frame or no pixel data. ERR_UNDECODABLE:
// the pixel data is not what it is declared to be. ERR_UNSUPPORTED: reader has no decoder for it.
bool px_render(struct arena *a, const struct dcm_dataset *ds, const struct px_reader *reader, uint32_t frame, const struct px_options *options,
               struct px_picture *out, struct err *e);

// Appends to to; its failure is in *e too.
bool px_write_png(const struct px_picture *picture, struct buf *to, struct err *e);
// quality: 1..100.
bool px_write_jpeg(const struct px_picture *picture, int quality, struct buf *to, struct err *e);

#endif
