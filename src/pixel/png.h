// Reading PNG (RFC 2083): a picture that somebody sends to be kept.
#ifndef GANTRY_PIXEL_PNG_H
#define GANTRY_PIXEL_PNG_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct px_png {
    uint32_t width, height;
    unsigned channels; // 1 or 3
    unsigned bits;     // 8 or 16 a sample; 16: little endian
    uint8_t *pixels;   // without padding between rows
    size_t n;
};

// Palettes and fewer bits become 8; transparency is left out. Pixels live in a. ERR_UNDECODABLE, ERR_TOO_LARGE (PX_OUTPUT_BYTES_MAX).
bool px_read_png(struct arena *a, struct str bytes, struct px_png *out, struct err *e);

#endif
