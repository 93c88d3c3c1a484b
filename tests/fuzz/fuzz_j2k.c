// A JPEG 2000 or HTJ2K codestream, or a JP2 file, decodes to a frame of the declared image or to an error. Byte 0: rows, 1: columns, 2: samples, depth and sign as declared.
#include <stdint.h>

#include "codec/j2k_head.h"
#include "codec/jpeg2000.h"
#include "declared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < DECLARED_BYTES) return 0;
    struct px_image image = declared_image(data);
    struct j2k_head head;
    // Debian's OpenJPEG ends the process by assert() on damaged HT code-blocks (ht_dec.c), which is what the workers' sandbox is for: of these, the headers only
    if (!j2k_head_read(data + DECLARED_BYTES, size - DECLARED_BYTES, &image, &head, NULL) || head.high_throughput) return 0;
    struct px_frame frame;
    struct arena a;
    arena_init(&a, 64 << 20);
    if (codec_jpeg2000.decode(&a, NULL, &image, data + DECLARED_BYTES, size - DECLARED_BYTES, NULL, &frame, NULL)) look_at(&frame);
    arena_deinit(&a);
    return 0;
}
