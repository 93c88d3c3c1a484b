// GIF89a: still pictures and animations, each frame with the palette that suits it.
#ifndef GANTRY_PIXEL_GIF_H
#define GANTRY_PIXEL_GIF_H

#include "pixel/render.h"

// All zero to begin with; ended by px_gif_end also after a failure.
struct px_gif {
    uint32_t width, height; // of the first frame: the others are to be of the same size
    bool begun;
    struct px_gif_work *work;
};

// ERR_UNSUPPORTED: a side over 65535. duration_ms: how long it is shown; 0: it does not move.
bool px_gif_frame(struct px_gif *g, const struct px_picture *picture, double duration_ms, struct buf *to, struct err *e);
// Releases what it holds; writes the trailer when something was begun.
bool px_gif_end(struct px_gif *g, struct buf *to, struct err *e);

bool px_write_gif(const struct px_picture *picture, struct buf *to, struct err *e);

// How long a frame (from 0) of a cine is shown (PS3.3 C.7.6.5): Frame Time, its vector, Recommended Display Frame Rate, Cine Rate; else 100 ms.
double px_frame_ms(const struct dcm_dataset *ds, uint32_t frame);

#endif
