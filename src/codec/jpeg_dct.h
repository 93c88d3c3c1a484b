// JPEG processes with the DCT and samples of 12 bits (ITU-T T.81 F and G), which no packaged library decodes.
//
// Accurate integer transform, triangle filter for chrominance of half the columns or half of both: the arithmetic of the Independent JPEG Group's decoder,
// built for 12 bits, so that pixels are those that DCMTK and GDCM give. One difference: coefficients that a progressive codestream never sent in full are not
// guessed from the neighbours.
#ifndef GANTRY_CODEC_JPEG_DCT_H
#define GANTRY_CODEC_JPEG_DCT_H

#include "base/buf.h"
#include "codec/jpeg_stream.h"

enum { JPEG_DCT_BITS = 12 };

// s: opened, its frame header (SOF1 or SOF2, 12 bits) just met and checked against the image that is expected. out: samples by pixel, of 2 little endian bytes
// each. to_rgb: the three components are YCbCr.
bool jpeg_dct_decode(struct arena *a, struct jpeg_stream *s, bool to_rgb, uint8_t *out, struct err *e);

// One grey component: 2 little endian bytes each, none above 4095. quality: 1..100.
bool jpeg_dct_encode(struct arena *a, uint32_t rows, uint32_t columns, const uint8_t *samples, int quality, struct buf *to, struct err *e);

// ---- between its parts ----

extern const uint8_t JPEG_NATURAL[64]; // place of each coefficient of the zigzag sequence (T.81 figure A.6)

// One component: blocks of 64 coefficients in natural order, later of 64 samples.
struct jpeg_grid {
    uint32_t width, height;              // samples
    uint32_t blocks_across, blocks_down; // that hold them
    uint32_t stride, lines;              // blocks that there are: whole MCUs
    int16_t *block;
    unsigned h, v;
    bool begun; // quant is set
    bool has_dc;
    uint16_t quant[64]; // natural order
};

struct jpeg_image12 {
    uint32_t width, height;
    unsigned components, h_max, v_max;
    uint32_t mcus_across, mcus_down;
    struct jpeg_grid grid[JPEG_COMPONENTS_MAX];
};

// Coefficients to samples, in place.
void jpeg_idct12(int16_t block[64], const uint16_t quant[64]);
// Samples of all components, upsampled and by pixel.
bool jpeg_write12(struct arena *a, const struct jpeg_image12 *image, bool to_rgb, uint8_t *out, struct err *e);

#endif
