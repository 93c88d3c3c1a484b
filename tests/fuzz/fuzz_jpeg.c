// Any bytes decode as JPEG to a whole frame or an error; what is written does not depend on what memory held before.
// Input: rows and columns (two bytes each, big endian), samples, bits allocated, bits stored (128: signed), photometric interpretation, then the codestream.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/jpeg.h"
#include "dicom/uids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 8, MEMORY = 1 << 20, PIXELS_MAX = 1 << 15 };

// Decodes in memory that is full of a pattern.
static bool decode(const struct px_image *image, const uint8_t *p, size_t n, int pattern, struct arena *a, struct px_frame *out) {
    const struct codec_options o = {0};
    arena_init(a, MEMORY);
    void *all = arena_alloc(a, MEMORY, NULL);
    if (all) memset(all, pattern, MEMORY);
    arena_reset(a);
    return codec_jpeg.decode(a, dcm_ts_find(str_of(DCM_UID_JPEGLossless)), image, p, n, &o, out, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEADER) return 0;
    struct px_image image = {.rows = (uint32_t)(data[0] << 8 | data[1]),
                             .columns = (uint32_t)(data[2] << 8 | data[3]),
                             .frames = 1,
                             .samples = data[4] == 3 ? 3 : 1,
                             .bits_allocated = data[5] > 8 ? 16 : 8,
                             .is_signed = data[6] >> 7,
                             .photometric = data[7] % (PX_XYB + 1),
                             .encapsulated = true};
    image.bits_stored = 1 + (data[6] & 127u) % image.bits_allocated;
    image.high_bit = image.bits_stored - 1;
    if (!image.rows || !image.columns || image.rows * image.columns > PIXELS_MAX) return 0;
    struct px_frame one, two;
    struct arena a, b;
    bool ok = decode(&image, data + HEADER, size - HEADER, 0x55, &a, &one), again = decode(&image, data + HEADER, size - HEADER, 0xAA, &b, &two);
    if (ok != again || (ok && (one.n != two.n || memcmp(one.bytes, two.bytes, one.n) != 0))) abort();
    arena_deinit(&a);
    arena_deinit(&b);
    return 0;
}
