// Any bytes in any family decode to a whole frame or an error, whatever memory held before; what was decoded survives each lossless encoder that takes it.
// Input: transfer syntax, encoder, rows, columns, shape (1: colour, 2: planar, 4: signed, and bits allocated), bits stored, photometric interpretation.
#include <stdint.h>
#include <stdlib.h>

#include "codec/perform.h"
#include "dicom/uids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 7, MEMORY = 1 << 20 };

static const char *const SYNTAXES[] = {
    DCM_UID_RLELossless,
    DCM_UID_DeflatedImageFrameCompression,
    DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian,
    DCM_UID_JPEGBaseline8Bit,
    DCM_UID_JPEGExtended12Bit,
    DCM_UID_JPEGLossless,
    DCM_UID_JPEGLosslessSV1,
    DCM_UID_JPEGLSLossless,
    DCM_UID_JPEGLSNearLossless,
    DCM_UID_JPEG2000Lossless,
    DCM_UID_JPEG2000,
    DCM_UID_JPEG2000MC,
    DCM_UID_HTJ2KLossless,
    DCM_UID_HTJ2KLosslessRPCL,
    DCM_UID_HTJ2K,
};
static const char *const LOSSLESS[] = {
    DCM_UID_RLELossless,
    DCM_UID_DeflatedImageFrameCompression,
    DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian,
    DCM_UID_JPEGLosslessSV1,
    DCM_UID_JPEGLSLossless,
    DCM_UID_JPEG2000Lossless,
    DCM_UID_HTJ2KLossless,
    DCM_UID_HTJ2KLosslessRPCL,
};

static bool decode(struct codec_job *job, int pattern, struct arena *a) {
    arena_init(a, MEMORY);
    void *all = arena_alloc(a, MEMORY - 4096, NULL);
    if (all) memset(all, pattern, MEMORY - 4096);
    arena_reset(a);
    return codec_job_run(job, a, NULL);
}

static void encode(const struct px_frame *frame, const char *uid) {
    struct codec_job job = {.task = CODEC_ENCODE,
                            .to = dcm_ts_find(str_of(uid)),
                            .image = frame->image,
                            .input = {(const char *)frame->bytes, frame->n},
                            .bit_offset = frame->bit_offset};
    struct arena a;
    struct err e = {0};
    arena_init(&a, 64 << 20);
    if (!codec_job_run(&job, &a, &e) && e.kind != ERR_UNSUPPORTED) abort();
    arena_deinit(&a);
}

static struct px_image image_of(const uint8_t *p) {
    static const unsigned bits[] = {8, 16, 1, 32};
    struct px_image image = {.rows = p[2] % 64 + 1u,
                             .columns = p[3] % 64 + 1u,
                             .frames = 1,
                             .samples = p[4] & 1 ? 3 : 1,
                             .planar = (p[4] & 3) == 3,
                             .is_signed = p[4] & 4,
                             .bits_allocated = bits[p[4] >> 3 & 3],
                             .encapsulated = true};
    if (image.samples == 3 && image.bits_allocated == 1) image.bits_allocated = 8;
    image.bits_stored = 1 + p[5] % image.bits_allocated;
    image.high_bit = image.bits_stored - 1;
    image.photometric = image.samples == 3 ? PX_RGB + p[6] % (PX_YBR_RCT - PX_RGB + 1) : PX_MONOCHROME1 + p[6] % 2;
    return image;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEADER) return 0;
    struct codec_job one = {.task = CODEC_DECODE,
                            .from = dcm_ts_find(str_of(SYNTAXES[data[0] % (sizeof SYNTAXES / sizeof *SYNTAXES)])),
                            .image = image_of(data),
                            .input = {(const char *)data + HEADER, size - HEADER}};
    struct codec_job two = one;
    struct arena a, b;
    bool ok = decode(&one, 0x55, &a);
    if (decode(&two, 0xAA, &b) != ok) abort();
    if (ok) {
        if (one.frame.n != two.frame.n || memcmp(one.frame.bytes, two.frame.bytes, one.frame.n) != 0) abort();
        encode(&one.frame, LOSSLESS[data[1] % (sizeof LOSSLESS / sizeof *LOSSLESS)]);
    }
    arena_deinit(&a);
    arena_deinit(&b);
    return 0;
}
