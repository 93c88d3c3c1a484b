// Samples between the 32-bit planes of codec libraries and the bytes of frames (PS3.5 8.1.1).
#ifndef GANTRY_CODEC_SAMPLES_H
#define GANTRY_CODEC_SAMPLES_H

#include "base/arena.h"
#include "base/err.h"
#include "pixel/frame.h"

// One component as a library decoded it. Sample (x, y) of the grid is data[(y / dy - y0) * w + x / dx - x0], the nearest one at the borders.
struct codec_plane {
    const int32_t *data;
    uint32_t w, h, x0, y0, dx, dy;
};

// What the codestream says of its samples. Where it and the data set disagree about the sign, the data set decides, as in GDCM and pydicom: the low
// precision bits are the sample, extended by its sign when the data set says that it has one.
struct codec_depth {
    unsigned precision; // 1..31
    bool is_signed;
};

// The frame as native bytes, colour by pixel. image: columns, rows, samples, bits and sign as declared; (x0, y0): where the image begins on the grid.
// out->image: Bits Stored stays as declared while every value fits in it; else it and High Bit, and Bits Allocated when need be, are the codestream's.
bool codec_pack(struct arena *a, const struct px_image *image, const struct codec_plane *planes, struct codec_depth depth, uint32_t x0, uint32_t y0,
                struct px_frame *out, struct err *e);

// Sets the bits of out as codec_pack does. excess: values that were too large for the declared Bits Stored, as one number with all of their bits.
void codec_settle_bits(struct px_image *out, unsigned precision, bool excess);
// Bytes of a sample that holds precision bits where the data set declares image.
unsigned codec_sample_bytes(const struct px_image *image, unsigned precision);

// The samples of one component, sign extended, from native bytes (Bits Allocated 1, 8, 16 or 32, by pixel or by plane). to: rows * columns of them.
void codec_unpack(const struct px_frame *in, unsigned sample, int32_t *to);

#endif
