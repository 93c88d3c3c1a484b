// The one door to OpenJPH, which is C++: encoding of one HTJ2K codestream (ITU-T T.814). No exception comes through it.
#ifndef GANTRY_CODEC_OPENJPH_H
#define GANTRY_CODEC_OPENJPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct openjph_image {
    uint32_t columns, rows;
    unsigned samples, bits;
    bool is_signed;
    const int32_t *planes[3]; // columns * rows each
    bool transform;           // RCT or ICT over the three components
    bool reversible;          // 5-3 wavelet, every bit
    float step;               // irreversible: quantization step, as a part of the range of the bits
    unsigned levels;          // of decomposition
    const char *progression;  // "RPCL"
};

// Takes the bytes as they come; false ends the work.
typedef bool openjph_write(void *ctx, const void *p, size_t n);

// false: message (size bytes, NUL-terminated) says why.
bool openjph_encode(const struct openjph_image *image, openjph_write *write, void *ctx, char *message, size_t size);

#ifdef __cplusplus
}
#endif

#endif
