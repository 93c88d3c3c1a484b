// A JPEG-LS codestream decodes to a frame of the declared image or to an error. Byte 0: rows, 1: columns, 2: samples, depth and sign as declared.
#include <stdint.h>

#include "codec/jpegls.h"
#include "declared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < DECLARED_BYTES) return 0;
    struct px_image image = declared_image(data);
    struct px_frame frame;
    struct arena a;
    arena_init(&a, 16 << 20);
    if (codec_jpegls.decode(&a, NULL, &image, data + DECLARED_BYTES, size - DECLARED_BYTES, NULL, &frame, NULL)) look_at(&frame);
    arena_deinit(&a);
    return 0;
}
