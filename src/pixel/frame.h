// Pixel data of an object: what its data set says of it (PS3.3 C.7.6.3), and how one frame's bytes are got.
#ifndef GANTRY_PIXEL_FRAME_H
#define GANTRY_PIXEL_FRAME_H

#include "base/arena.h"
#include "base/err.h"
#include "dicom/dataset.h"
#include "dicom/write.h"

enum px_photometric {
    PX_MONOCHROME1,
    PX_MONOCHROME2,
    PX_PALETTE_COLOR,
    PX_RGB,
    PX_YBR_FULL,
    PX_YBR_FULL_422,
    // in compressed pixel data only
    PX_YBR_PARTIAL_420,
    PX_YBR_PARTIAL_422,
    PX_YBR_ICT,
    PX_YBR_RCT,
    PX_XYB
};
enum px_samples { PX_INTEGER, PX_FLOAT, PX_DOUBLE };

struct px_image {
    uint32_t rows, columns; // 1..65535
    uint32_t frames;        // as declared; frames beyond the data fail when they are read
    unsigned samples;       // per pixel: 1 or 3
    unsigned bits_allocated, bits_stored, high_bit;
    bool is_signed;
    bool planar; // planar configuration 1: all of one sample, then all of the next
    enum px_photometric photometric;
    enum px_samples kind;
    const struct dcm_element *pixels; // (7FE0,0010), (7FE0,0008) or (7FE0,0009)
    bool encapsulated;
    bool big_endian; // of the source; frames are handed on in little endian
};

// The defined term of PS3.3 C.7.6.3.1.2: "YBR_FULL_422".
const char *px_photometric_name(enum px_photometric p);

// Checks everything that rendering relies on. ERR_NOT_FOUND: no pixel data. ERR_UNDECODABLE: what is declared cannot be; the message names the attribute
// and its value.
bool px_image_of(const struct dcm_dataset *ds, struct px_image *out, struct err *e);

// Bits that one native frame takes.
uint64_t px_frame_bits(const struct px_image *image);

// One frame, uncompressed. image says how it lies (a decoder may give other bits, photometric interpretation or planar configuration than the
// data set declares); samples of more than one byte are little endian.
struct px_frame {
    struct px_image image;
    const uint8_t *bytes; // at least (bit_offset + px_frame_bits(&image) + 7) / 8
    size_t n;
    unsigned bit_offset; // 0..7: where the first pixel stands in the first byte (1 bit allocated only)
};

// Where frames come from: native ones below, decoded ones from the codec layer. frame counts from 0 and is below image->frames. Bytes live in a.
struct px_reader {
    bool (*read)(void *ctx, struct arena *a, const struct px_image *image, uint32_t frame, struct px_frame *out, struct err *e);
    void *ctx;
};

// Native frames: reads only the bytes of the frame. *source (may be NULL when the value is in memory) must outlive it; it is the one that the data set was
// read from. Encapsulated pixel data is ERR_UNSUPPORTED here.
struct px_reader px_reader_native(const struct dcm_source *source);

#endif
