// What the targets of single codecs share: the declared image in the first bytes of the input, and a look at every byte of a frame.
#ifndef GANTRY_FUZZ_DECLARED_H
#define GANTRY_FUZZ_DECLARED_H

#include "pixel/frame.h"

enum { DECLARED_BYTES = 3 }; // rows, columns; then samples, depth and sign by bits

static inline struct px_image declared_image(const uint8_t *data) {
    bool wide = data[2] & 2;
    return (struct px_image){.rows = data[0] + 1u,
                             .columns = data[1] + 1u,
                             .frames = 1,
                             .samples = data[2] & 1 ? 3 : 1,
                             .bits_allocated = wide ? 16 : 8,
                             .bits_stored = wide ? 12 : 8,
                             .high_bit = wide ? 11 : 7,
                             .is_signed = data[2] & 4,
                             .photometric = data[2] & 1 ? PX_RGB : PX_MONOCHROME2};
}

static inline void look_at(const struct px_frame *frame) {
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < frame->n; i++) sum = (uint8_t)(sum + frame->bytes[i]);
    (void)sum;
}

#endif
