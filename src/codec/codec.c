// The table of families: which decoder and encoder a transfer syntax has.
#include "codec/codec.h"

#include <string.h>

#include "codec/families.h"
#include "codec/jpeg.h"
#include "codec/htj2k.h"
#include "codec/jpeg2000.h"
#include "codec/jpegls.h"
#include "dicom/uids.h"

static const struct {
    const char *uid;
    const struct codec_family *family;
} TABLE[] = {
    {DCM_UID_JPEGBaseline8Bit, &codec_jpeg},
    {DCM_UID_JPEGExtended12Bit, &codec_jpeg},
    {DCM_UID_JPEGSpectralSelectionNonHierarchical68, &codec_jpeg},
    {DCM_UID_JPEGFullProgressionNonHierarchical1012, &codec_jpeg},
    {DCM_UID_JPEGLossless, &codec_jpeg},
    {DCM_UID_JPEGLosslessSV1, &codec_jpeg},
    {DCM_UID_HTJ2KLossless, &codec_htj2k},
    {DCM_UID_HTJ2KLosslessRPCL, &codec_htj2k},
    {DCM_UID_HTJ2K, &codec_htj2k},
    {DCM_UID_JPEGLSLossless, &codec_jpegls},
    {DCM_UID_JPEGLSNearLossless, &codec_jpegls},
    {DCM_UID_JPEG2000Lossless, &codec_jpeg2000},
    {DCM_UID_JPEG2000, &codec_jpeg2000},
    {DCM_UID_JPEG2000MCLossless, &codec_jpeg2000_part2},
    {DCM_UID_JPEG2000MC, &codec_jpeg2000_part2},
    {DCM_UID_RLELossless, &codec_rle},
    {DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian, &codec_plain},
    {DCM_UID_DeflatedImageFrameCompression, &codec_deflated},
    {NULL, NULL},
};

const struct codec_family *codec_of(const struct dcm_ts *ts) {
    for (size_t i = 0; ts && TABLE[i].uid; i++)
        if (strcmp(TABLE[i].uid, ts->uid) == 0) return TABLE[i].family;
    return NULL;
}

// JPIP and SMPTE ST 2110 have their pixels somewhere else.
static bool is_native(const struct dcm_ts *ts) {
    return ts && !ts->encapsulated && !ts->video && strncmp(ts->uid, "1.2.840.10008.1.2.4.", 20) != 0 && strncmp(ts->uid, "1.2.840.10008.1.2.7.", 20) != 0;
}

bool codec_can_decode(const struct dcm_ts *ts) {
    return is_native(ts) || codec_of(ts);
}

bool codec_can_encode(const struct dcm_ts *ts) {
    const struct codec_family *f = codec_of(ts);
    return is_native(ts) || (f && f->encode);
}
