// A JPEG 2000 or HTJ2K codestream, or a JP2 file, decodes to a frame of the declared image or to an error. Byte 0: rows, 1: columns, 2: samples, depth and sign as declared.
#include <stdint.h>

#include "codec/j2k_head.h"
#include "codec/jpeg2000.h"

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
    struct j2k_head head;
    // Debian's OpenJPEG ends the process by assert() on damaged HT code-blocks (ht_dec.c), which is what the workers' sandbox is for: of these, the headers only
    if (!j2k_head_read(data + 3, size - 3, &image, &head, NULL) || head.high_throughput) return 0;
    struct px_frame frame;
    struct arena a;
    arena_init(&a, 64 << 20);
    if (codec_jpeg2000.decode(&a, NULL, &image, data + 3, size - 3, NULL, &frame, NULL)) {
        volatile uint8_t sum = 0;
        for (size_t i = 0; i < frame.n; i++) sum = (uint8_t)(sum + frame.bytes[i]); // every byte of it is there
        (void)sum;
    }
    arena_deinit(&a);
    return 0;
}
