// JPEG lossless processes (ITU-T T.81 H): decoding and encoding of the samples.
#ifndef GANTRY_CODEC_JPEG_LOSSLESS_H
#define GANTRY_CODEC_JPEG_LOSSLESS_H

#include "base/buf.h"
#include "codec/jpeg_stream.h"

// s: opened, its frame header (SOF3) just met and checked against the image that is expected. out: samples by pixel, of bytes (1 or 2, little endian) each:
// every byte is written when it returns true.
bool jpeg_lossless_decode(struct arena *a, struct jpeg_stream *s, uint8_t *out, unsigned bytes, struct err *e);

// What is to be encoded: samples by pixel, of bytes (1 or 2, little endian) each, none of them of more than precision bits.
struct jpeg_plane {
    uint32_t rows, columns;
    unsigned components, precision, bytes;
    bool rgb; // components are named so
    const uint8_t *p;
};

// Selection value 1, one interleaved scan, Huffman tables made for the image.
bool jpeg_lossless_encode(struct arena *a, const struct jpeg_plane *image, struct buf *to, struct err *e);

#endif
