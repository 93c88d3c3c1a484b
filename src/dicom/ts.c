// Transfer syntaxes (PS3.5 10 and Annex A) and what each means for a reader or writer.
#include "dicom/uid.h"
#include "dicom/uids.h"

// Compressed frames: explicit VR little endian, pixel data as a sequence of fragments (PS3.5 A.4).
#define COMPRESSED(keyword, name_, lossy_) \
    { DCM_UID_##keyword, name_, .explicit_vr = true, .encapsulated = true, .lossy = (lossy_) }
#define VIDEO(keyword, name_) \
    { DCM_UID_##keyword, name_, .explicit_vr = true, .encapsulated = true, .lossy = true, .video = true }

enum { IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE };

static const struct dcm_ts table[] = {
    [IMPLICIT_LE] = {DCM_UID_ImplicitVRLittleEndian, "Implicit VR Little Endian"},
    [EXPLICIT_LE] = {DCM_UID_ExplicitVRLittleEndian, "Explicit VR Little Endian", .explicit_vr = true},
    [EXPLICIT_BE] = {DCM_UID_ExplicitVRBigEndian, "Explicit VR Big Endian", .explicit_vr = true, .big_endian = true},
    {DCM_UID_DeflatedExplicitVRLittleEndian, "Deflated Explicit VR Little Endian", .explicit_vr = true, .deflated = true},
    COMPRESSED(EncapsulatedUncompressedExplicitVRLittleEndian, "Encapsulated Uncompressed Explicit VR Little Endian", false),
    COMPRESSED(JPEGBaseline8Bit, "JPEG Baseline (Process 1)", true),
    COMPRESSED(JPEGExtended12Bit, "JPEG Extended (Process 2 and 4)", true),
    COMPRESSED(JPEGExtended35, "JPEG Extended (Process 3 and 5)", true),
    COMPRESSED(JPEGSpectralSelectionNonHierarchical68, "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", true),
    COMPRESSED(JPEGSpectralSelectionNonHierarchical79, "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)", true),
    COMPRESSED(JPEGFullProgressionNonHierarchical1012, "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", true),
    COMPRESSED(JPEGFullProgressionNonHierarchical1113, "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)", true),
    COMPRESSED(JPEGLossless, "JPEG Lossless, Non-Hierarchical (Process 14)", false),
    COMPRESSED(JPEGLosslessNonHierarchical15, "JPEG Lossless, Non-Hierarchical (Process 15)", false),
    COMPRESSED(JPEGExtendedHierarchical1618, "JPEG Extended, Hierarchical (Process 16 and 18)", true),
    COMPRESSED(JPEGExtendedHierarchical1719, "JPEG Extended, Hierarchical (Process 17 and 19)", true),
    COMPRESSED(JPEGSpectralSelectionHierarchical2022, "JPEG Spectral Selection, Hierarchical (Process 20 and 22)", true),
    COMPRESSED(JPEGSpectralSelectionHierarchical2123, "JPEG Spectral Selection, Hierarchical (Process 21 and 23)", true),
    COMPRESSED(JPEGFullProgressionHierarchical2426, "JPEG Full Progression, Hierarchical (Process 24 and 26)", true),
    COMPRESSED(JPEGFullProgressionHierarchical2527, "JPEG Full Progression, Hierarchical (Process 25 and 27)", true),
    COMPRESSED(JPEGLosslessHierarchical28, "JPEG Lossless, Hierarchical (Process 28)", false),
    COMPRESSED(JPEGLosslessHierarchical29, "JPEG Lossless, Hierarchical (Process 29)", false),
    COMPRESSED(JPEGLosslessSV1, "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])", false),
    COMPRESSED(JPEGLSLossless, "JPEG-LS Lossless Image Compression", false),
    COMPRESSED(JPEGLSNearLossless, "JPEG-LS Lossy (Near-Lossless) Image Compression", true),
    COMPRESSED(JPEG2000Lossless, "JPEG 2000 Image Compression (Lossless Only)", false),
    COMPRESSED(JPEG2000, "JPEG 2000 Image Compression", true),
    COMPRESSED(JPEG2000MCLossless, "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)", false),
    COMPRESSED(JPEG2000MC, "JPEG 2000 Part 2 Multi-component Image Compression", true),
    {DCM_UID_JPIPReferenced, "JPIP Referenced", .explicit_vr = true},
    {DCM_UID_JPIPReferencedDeflate, "JPIP Referenced Deflate", .explicit_vr = true, .deflated = true},
    VIDEO(MPEG2MPML, "MPEG2 Main Profile / Main Level"),
    VIDEO(MPEG2MPMLF, "Fragmentable MPEG2 Main Profile / Main Level"),
    VIDEO(MPEG2MPHL, "MPEG2 Main Profile / High Level"),
    VIDEO(MPEG2MPHLF, "Fragmentable MPEG2 Main Profile / High Level"),
    VIDEO(MPEG4HP41, "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    VIDEO(MPEG4HP41F, "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    VIDEO(MPEG4HP41BD, "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    VIDEO(MPEG4HP41BDF, "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    VIDEO(MPEG4HP422D, "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    VIDEO(MPEG4HP422DF, "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    VIDEO(MPEG4HP423D, "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    VIDEO(MPEG4HP423DF, "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    VIDEO(MPEG4HP42STEREO, "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    VIDEO(MPEG4HP42STEREOF, "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    VIDEO(HEVCMP51, "HEVC/H.265 Main Profile / Level 5.1"),
    VIDEO(HEVCM10P51, "HEVC/H.265 Main 10 Profile / Level 5.1"),
    COMPRESSED(JPEGXLLossless, "JPEG XL Lossless", false),
    COMPRESSED(JPEGXLJPEGRecompression, "JPEG XL JPEG Recompression", true),
    COMPRESSED(JPEGXL, "JPEG XL", true),
    COMPRESSED(HTJ2KLossless, "High-Throughput JPEG 2000 Image Compression (Lossless Only)", false),
    COMPRESSED(HTJ2KLosslessRPCL, "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)", false),
    COMPRESSED(HTJ2K, "High-Throughput JPEG 2000 Image Compression", true),
    {DCM_UID_JPIPHTJ2KReferenced, "JPIP HTJ2K Referenced", .explicit_vr = true},
    {DCM_UID_JPIPHTJ2KReferencedDeflate, "JPIP HTJ2K Referenced Deflate", .explicit_vr = true, .deflated = true},
    COMPRESSED(RLELossless, "RLE Lossless", false),
    COMPRESSED(DeflatedImageFrameCompression, "Deflated Image Frame Compression", false),
    {DCM_UID_SMPTEST211020UncompressedProgressiveActiveVideo, "SMPTE ST 2110-20 Uncompressed Progressive Active Video", .explicit_vr = true, .video = true},
    {DCM_UID_SMPTEST211020UncompressedInterlacedActiveVideo, "SMPTE ST 2110-20 Uncompressed Interlaced Active Video", .explicit_vr = true, .video = true},
    {DCM_UID_SMPTEST211030PCMDigitalAudio, "SMPTE ST 2110-30 PCM Digital Audio", .explicit_vr = true, .video = true},
    {DCM_UID_Papyrus3ImplicitVRLittleEndian, "Papyrus 3 Implicit VR Little Endian"},
    // GE private: implicit little endian whose pixel data alone is big endian.
    {"1.2.840.113619.5.2", "Implicit VR Little Endian with Big Endian Pixel Data (GE private)"},
};

const struct dcm_ts *const dcm_ts_implicit_le = &table[IMPLICIT_LE];
const struct dcm_ts *const dcm_ts_explicit_le = &table[EXPLICIT_LE];
const struct dcm_ts *const dcm_ts_explicit_be = &table[EXPLICIT_BE];

const struct dcm_ts *dcm_ts_find(struct str uid) {
    uid = dcm_uid_trim(uid);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (str_eqz(uid, table[i].uid)) return &table[i];
    }
    return NULL;
}
