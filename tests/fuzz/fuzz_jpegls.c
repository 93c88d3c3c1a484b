// A JPEG-LS codestream decodes to a frame of the declared image or to an error. Byte 0: rows, 1: columns, 2: samples, depth and sign as declared.
#include <stdint.h>

#include "codec/jpegls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    bool wide = data[2] & 2;
    struct px_image image = {.rows = data[0] + 1u,
                             .columns = data[1] + 1u,
                             .frames = 1,
                             .samples = data[2] & 1 ? 3 : 1,
                             .bits_allocated = wide ? 16 : 8,
                             .bits_stored = wide ? 12 : 8,
                             .high_bit = wide ? 11 : 7,
                             .is_signed = data[2] & 4,
                             .photometric = data[2] & 1 ? PX_RGB : PX_MONOCHROME2};
    struct px_frame frame;
    struct arena a;
    arena_init(&a, 16 << 20);
    if (codec_jpegls.decode(&a, NULL, &image, data + 3, size - 3, NULL, &frame, NULL)) {
        volatile uint8_t sum = 0;
        for (size_t i = 0; i < frame.n; i++) sum = (uint8_t)(sum + frame.bytes[i]); // every byte of it is there
        (void)sum;
    }
    arena_deinit(&a);
    return 0;
}
