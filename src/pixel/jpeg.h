// JPEG of 8 bits by libjpeg-turbo.
#ifndef GANTRY_PIXEL_JPEG_H
#define GANTRY_PIXEL_JPEG_H

#include "base/buf.h"
#include "base/err.h"

enum px_jpeg_colour {
    PX_JPEG_KEEP,    // components as they are (upsampled where they are subsampled)
    PX_JPEG_YCC,     // three components: YCbCr in the codestream, RGB outside of it
    PX_JPEG_FROM_YCC // encoding only: YCbCr on both sides
};

// Chrominance of every pixel, of half the columns, of half the columns and rows.
enum px_jpeg_sampling { PX_JPEG_444, PX_JPEG_422, PX_JPEG_420 };

struct px_jpeg {
    uint32_t width, height;
    unsigned components; // 1 or 3
    enum px_jpeg_colour colour;
    struct str icc; // profile that goes along when encoding; {NULL, 0}: none
};

// A whole codestream of exactly this shape into out (width * height * components bytes, by pixel), all of which is written when it returns true.
// ERR_UNDECODABLE: another shape, or damaged: a codestream that ends early or has codes that cannot be is no picture.
bool px_decode_jpeg(const uint8_t *p, size_t n, const struct px_jpeg *shape, uint8_t *out, struct err *e);

// Baseline, appended to to. quality: 1..100.
bool px_encode_jpeg(const uint8_t *pixels, const struct px_jpeg *shape, int quality, enum px_jpeg_sampling sampling, struct buf *to, struct err *e);

#endif
