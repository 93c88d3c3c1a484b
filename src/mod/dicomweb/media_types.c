// The media types of compressed pixel data and their transfer syntaxes (PS3.18 Table 8.7.3-5), in the order in which they are offered.
#include "dicom/uids.h"
#include "mod/dicomweb/accept.h"

const struct dw_media_type DW_MEDIA_TYPES[] = {
    {"image/jpeg", DCM_UID_JPEGLosslessSV1, true},
    {"image/jpeg", DCM_UID_JPEGBaseline8Bit, false},
    {"image/jpeg", DCM_UID_JPEGExtended12Bit, false},
    {"image/jpeg", DCM_UID_JPEGLossless, false},
    {"image/jpeg", DCM_UID_JPEGSpectralSelectionNonHierarchical68, false},
    {"image/jpeg", DCM_UID_JPEGFullProgressionNonHierarchical1012, false},
    {"image/jls", DCM_UID_JPEGLSLossless, true},
    {"image/jls", DCM_UID_JPEGLSNearLossless, false},
    {"image/jp2", DCM_UID_JPEG2000Lossless, true},
    {"image/jp2", DCM_UID_JPEG2000, false},
    {"image/jpx", DCM_UID_JPEG2000MCLossless, true},
    {"image/jpx", DCM_UID_JPEG2000MC, false},
    {"image/jphc", DCM_UID_HTJ2KLossless, true},
    {"image/jphc", DCM_UID_HTJ2KLosslessRPCL, false},
    {"image/jphc", DCM_UID_HTJ2K, false},
    {"image/dicom-rle", DCM_UID_RLELossless, true},
    {"image/jxl", DCM_UID_JPEGXLLossless, true},
    {"image/jxl", DCM_UID_JPEGXLJPEGRecompression, false},
    {"image/jxl", DCM_UID_JPEGXL, false},
    {"application/x-deflate", DCM_UID_DeflatedImageFrameCompression, true},
    {"video/mpeg", DCM_UID_MPEG2MPML, true},
    {"video/mpeg", DCM_UID_MPEG2MPMLF, false},
    {"video/mpeg", DCM_UID_MPEG2MPHL, false},
    {"video/mpeg", DCM_UID_MPEG2MPHLF, false},
    {"video/mp4", DCM_UID_MPEG4HP41, true},
    {"video/mp4", DCM_UID_MPEG4HP41F, false},
    {"video/mp4", DCM_UID_MPEG4HP41BD, false},
    {"video/mp4", DCM_UID_MPEG4HP41BDF, false},
    {"video/mp4", DCM_UID_MPEG4HP422D, false},
    {"video/mp4", DCM_UID_MPEG4HP422DF, false},
    {"video/mp4", DCM_UID_MPEG4HP423D, false},
    {"video/mp4", DCM_UID_MPEG4HP423DF, false},
    {"video/mp4", DCM_UID_MPEG4HP42STEREO, false},
    {"video/mp4", DCM_UID_MPEG4HP42STEREOF, false},
    {"video/H265", DCM_UID_HEVCMP51, true},
    {"video/H265", DCM_UID_HEVCM10P51, false},
    {NULL, NULL, false},
};

const char *dw_media_of(const struct dcm_ts *ts) {
    for (const struct dw_media_type *t = DW_MEDIA_TYPES; ts && t->media; t++)
        if (str_eqz(str_of(ts->uid), t->ts)) return t->media;
    return NULL;
}

bool dw_ts_for_web(const struct dcm_ts *ts) {
    return ts && ts->explicit_vr && !ts->big_endian;
}
