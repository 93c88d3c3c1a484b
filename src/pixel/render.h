// Rendering: one frame of an object as an 8-bit gray or RGB picture, and pictures as PNG, JPEG, GIF or MP4.
#ifndef GANTRY_PIXEL_RENDER_H
#define GANTRY_PIXEL_RENDER_H

#include "base/buf.h"
#include "pixel/frame.h"
#include "pixel/lut.h"
#include "pixel/view.h"

enum px_annotation { PX_ANNOTATE_PATIENT = 1, PX_ANNOTATE_TECHNIQUE = 2 };
enum px_icc { PX_ICC_NO, PX_ICC_YES, PX_ICC_SRGB };

// All zero: the object as it says itself.
struct px_options {
    const struct px_window *window; // in place of the object's own (gray images); NULL: the object's VOI LUT or window, else smallest to largest value
    unsigned voi;                   // which of several VOI LUTs and windows (in this order), from 0
    uint32_t width, height;         // viewport that the picture fills in its own proportions; 0: its own size
    bool has_region;                // show this part of the image
    struct px_region region;
    bool relative_region;                         // region in fractions of the image's width and height
    bool flip_x, flip_y;                          // after a presentation state's own
    bool stored_pixels;                           // do not make pixels square that are not
    bool no_overlays;                             // neither overlays nor shutters of the object
    unsigned annotation;                          // enum px_annotation: text burnt in
    enum px_icc icc;                              // profile that goes with a colour picture
    const struct dcm_dataset *presentation;       // a Grayscale (or other) Softcopy Presentation State, which then is all that there is
    const struct dcm_source *presentation_source; // of its values by reference; may be NULL
    struct arena *scratch;                        // for what does not outlive the call, reset at its end; NULL: one of its own
    const struct dcm_source *source;              // of the object's values by reference besides pixel data (overlays); may be NULL
};

struct px_picture {
    uint32_t width, height;
    unsigned channels; // 1 or 3
    uint8_t *pixels;   // width * height * channels bytes, no padding between rows
    struct str icc;    // profile of the colours, or {NULL, 0}
};

// frame counts from 0. The picture lives in a; the frame's own bytes do not outlive the call. ERR_NOT_FOUND: no such frame or no pixel data. ERR_UNDECODABLE:
// the pixel data is not what it is declared to be. ERR_UNSUPPORTED: reader has no decoder for it. ERR_USAGE: the options cannot be.
bool px_render(struct arena *a, const struct dcm_dataset *ds, const struct px_reader *reader, uint32_t frame, const struct px_options *options,
               struct px_picture *out, struct err *e);

// Appends to to; its failure is in *e too.
bool px_write_png(const struct px_picture *picture, struct buf *to, struct err *e);
// quality: 1..100.
bool px_write_jpeg(const struct px_picture *picture, int quality, struct buf *to, struct err *e);

#endif
