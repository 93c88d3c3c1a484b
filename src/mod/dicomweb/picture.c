// Headers of JPEG, JPEG-LS, JPEG 2000, HTJ2K and PNG: only what a data set must say of the codestream.
#include "mod/dicomweb/picture.h"

#include "dicom/uids.h"

enum { MARKERS_MAX = 4096, BOXES_MAX = 4096, FRAME_HEADER_MAX = 64 };
enum kind { KIND_JPEG, KIND_JLS, KIND_J2K, KIND_JP2, KIND_RLE, KIND_PNG, KIND_FILM, KIND_MPEG2 };

static const struct {
    const char *type;
    enum kind kind;
} TYPES[] = {
    {"image/jpeg", KIND_JPEG},  {"image/jpg", KIND_JPEG},    {"image/jls", KIND_JLS},       {"image/x-jls", KIND_JLS},       {"image/jp2", KIND_JP2},
    {"image/jpx", KIND_JP2},    {"image/j2c", KIND_J2K},     {"image/j2k", KIND_J2K},       {"image/jph", KIND_JP2},         {"image/jphc", KIND_J2K},
    {"image/png", KIND_PNG},    {"video/mp4", KIND_FILM},    {"video/mpeg4", KIND_FILM},    {"video/H264", KIND_FILM},       {"video/quicktime", KIND_FILM},
    {"video/mpeg", KIND_MPEG2}, {"video/mpeg2", KIND_MPEG2}, {"image/dicom-rle", KIND_RLE}, {"image/x-dicom-rle", KIND_RLE},
};

static bool kind_of(struct str type, enum kind *kind) {
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++) {
        if (!str_eq_nocase(type, str_of(TYPES[i].type))) continue;
        *kind = TYPES[i].kind;
        return true;
    }
    return false;
}

bool dw_picture_is(struct str media_type) {
    enum kind kind;
    return kind_of(media_type, &kind);
}

struct reading {
    const struct dcm_source *source;
    uint64_t end; // of the bytes
    struct err *e;
};

static bool get(const struct reading *r, uint64_t at, uint8_t *p, size_t n) {
    if (at > r->end || n > r->end - at) return err_set(r->e, ERR_BAD_INPUT, "dicomweb", "the picture ends in the middle of its header");
    return r->source->read_at(r->source->ctx, at, p, n, r->e);
}

static unsigned be16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// ---- JPEG and JPEG-LS (ITU-T T.81, T.87): marker segments ----

struct jpeg_facts {
    uint8_t sof;       // marker of the frame header
    bool adobe_rgb;    // APP14 says that the components are not transformed
    unsigned selector; // predictor of a lossless scan
    unsigned near_lossless;
};

static bool read_frame_header(const struct reading *r, uint64_t at, struct dw_picture *p) {
    uint8_t b[8];
    if (!get(r, at + 4, b, 6)) return false;
    p->bits = b[0];
    p->rows = be16(b + 1);
    p->columns = be16(b + 3);
    p->samples = b[5];
    return true;
}

static bool read_scan_header(const struct reading *r, uint64_t at, struct jpeg_facts *f) {
    uint8_t n, tail[3];
    if (!get(r, at + 4, &n, 1) || !get(r, at + 5 + 2 * (uint64_t)n, tail, 3)) return false;
    f->selector = f->near_lossless = tail[0]; // Ss; NEAR in JPEG-LS
    return true;
}

static bool read_adobe(const struct reading *r, uint64_t at, unsigned length, struct jpeg_facts *f) {
    uint8_t b[12];
    if (length < 14) return true;
    if (!get(r, at + 4, b, 12)) return false;
    if (memcmp(b, "Adobe", 5) == 0) f->adobe_rgb = b[11] == 0;
    return true;
}

static bool is_frame_marker(uint8_t m) {
    return (m >= 0xC0 && m <= 0xCF && m != 0xC4 && m != 0xC8 && m != 0xCC) || m == 0xF7;
}

// From SOI to the first SOS.
static bool walk_jpeg(const struct reading *r, uint64_t at, struct dw_picture *p, struct jpeg_facts *f) {
    uint8_t b[4];
    if (!get(r, at, b, 2)) return false;
    if (b[0] != 0xFF || b[1] != 0xD8) return err_set(r->e, ERR_BAD_INPUT, "dicomweb", "the picture is no JPEG stream: it does not begin with SOI");
    at += 2;
    for (unsigned i = 0; i < MARKERS_MAX; i++) {
        if (!get(r, at, b, 4)) return false;
        if (b[0] != 0xFF) break;
        if (b[1] == 0xFF) { // fill byte
            at++;
            continue;
        }
        unsigned length = be16(b + 2);
        if (length < 2) break;
        if (is_frame_marker(b[1])) {
            f->sof = b[1];
            if (!read_frame_header(r, at, p)) return false;
        }
        if (b[1] == 0xEE && !read_adobe(r, at, length, f)) return false;
        if (b[1] == 0xDA)
            return f->sof ? read_scan_header(r, at, f) : err_set(r->e, ERR_BAD_INPUT, "dicomweb", "the picture has a scan before its frame header");
        at += 2 + length;
    }
    return err_set(r->e, ERR_BAD_INPUT, "dicomweb", "the picture's JPEG markers do not lead to a scan");
}

static const char *jpeg_ts(const struct jpeg_facts *f) {
    switch (f->sof) {
    case 0xC0:
        return DCM_UID_JPEGBaseline8Bit;
    case 0xC1:
        return DCM_UID_JPEGExtended12Bit;
    case 0xC2:
        return DCM_UID_JPEGFullProgressionNonHierarchical1012;
    case 0xC3:
        return f->selector == 1 ? DCM_UID_JPEGLosslessSV1 : DCM_UID_JPEGLossless;
    case 0xF7:
        return f->near_lossless ? DCM_UID_JPEGLSNearLossless : DCM_UID_JPEGLSLossless;
    default:
        return NULL;
    }
}

static bool read_jpeg(const struct reading *r, uint64_t at, struct dw_picture *p) {
    struct jpeg_facts f = {0};
    if (!walk_jpeg(r, at, p, &f)) return false;
    bool lossless = f.sof == 0xC3 || (f.sof == 0xF7 && !f.near_lossless);
    p->ts_uid = jpeg_ts(&f);
    if (!p->ts_uid) return err_set(r->e, ERR_UNSUPPORTED, "dicomweb", "no transfer syntax holds a JPEG process of marker FF%02X", f.sof);
    if (!lossless) p->lossy_method = f.sof == 0xF7 ? "ISO_14495_1" : "ISO_10918_1";
    p->photometric = p->samples == 1 ? "MONOCHROME2" : lossless || f.sof == 0xF7 || f.adobe_rgb ? "RGB" : "YBR_FULL_422";
    return true;
}

// ---- JPEG 2000 and HTJ2K (ITU-T T.800, T.814) ----

struct j2k_facts {
    bool high_throughput, reversible, transformed, seen_size, seen_style;
};

static bool read_j2k_size(const struct reading *r, uint64_t at, struct dw_picture *p) {
    uint8_t b[39];
    if (!get(r, at + 4, b, sizeof b - 2)) return false;
    uint32_t x1 = be32(b + 2), y1 = be32(b + 6), x0 = be32(b + 10), y0 = be32(b + 14);
    if (x1 <= x0 || y1 <= y0) return err_set(r->e, ERR_BAD_INPUT, "dicomweb", "the JPEG 2000 picture has no area");
    p->columns = x1 - x0;
    p->rows = y1 - y0;
    p->samples = be16(b + 34);
    p->bits = (b[36] & 0x7Fu) + 1;
    return true;
}

static bool read_j2k_style(const struct reading *r, uint64_t at, struct j2k_facts *f) {
    uint8_t b[10];
    if (!get(r, at + 4, b, sizeof b)) return false;
    f->transformed = b[4] == 1;
    f->reversible = b[9] == 1;
    return true;
}

static bool walk_j2k(const struct reading *r, uint64_t at, struct dw_picture *p, struct j2k_facts *f) {
    uint8_t b[4];
    if (!get(r, at, b, 2)) return false;
    if (be16(b) != 0xFF4F) return err_set(r->e, ERR_BAD_INPUT, "dicomweb", "the picture is no JPEG 2000 codestream: it does not begin with SOC");
    at += 2;
    for (unsigned i = 0; i < MARKERS_MAX && !(f->seen_size && f->seen_style); i++) {
        if (!get(r, at, b, 4)) return false;
        unsigned marker = be16(b), length = be16(b + 2);
        if (marker == 0xFF90 || length < 2) break; // the first tile part
        if (marker == 0xFF50) f->high_throughput = true;
        if (marker == 0xFF51 && !(f->seen_size = read_j2k_size(r, at, p))) return false;
        if (marker == 0xFF52 && !(f->seen_style = read_j2k_style(r, at, f))) return false;
        at += 2 + length;
    }
    return (f->seen_size && f->seen_style) || err_set(r->e, ERR_BAD_INPUT, "dicomweb", "the JPEG 2000 picture has no size or coding style");
}

static bool read_j2k(const struct reading *r, uint64_t at, struct dw_picture *p) {
    struct j2k_facts f = {0};
    if (!walk_j2k(r, at, p, &f)) return false;
    if (f.high_throughput)
        p->ts_uid = f.reversible ? DCM_UID_HTJ2KLossless : DCM_UID_HTJ2K;
    else
        p->ts_uid = f.reversible ? DCM_UID_JPEG2000Lossless : DCM_UID_JPEG2000;
    if (!f.reversible) p->lossy_method = f.high_throughput ? "ISO_15444_15" : "ISO_15444_1";
    p->photometric = p->samples == 1 ? "MONOCHROME2" : !f.transformed ? "RGB" : f.reversible ? "YBR_RCT" : "YBR_ICT";
    return true;
}

// The codestream inside the boxes of a JP2 or JPH file; a bare codestream is taken too.
static bool find_codestream(const struct reading *r, struct dw_picture *p) {
    uint8_t b[16];
    uint64_t at = p->offset;
    if (!get(r, at, b, 2)) return false;
    if (be16(b) == 0xFF4F) return true;
    for (unsigned i = 0; i < BOXES_MAX && r->end - at >= 8; i++) {
        if (!get(r, at, b, 8)) return false;
        uint64_t size = be32(b), head = 8;
        if (size == 1) {
            if (!get(r, at + 8, b + 8, 8)) return false;
            size = (uint64_t)be32(b + 8) << 32 | be32(b + 12);
            head = 16;
        }
        if (size == 0) size = r->end - at;
        if (size < head || size > r->end - at) break;
        if (memcmp(b + 4, "jp2c", 4) == 0) {
            p->offset = at + head;
            p->length = size - head;
            return true;
        }
        at += size;
    }
    return err_set(r->e, ERR_BAD_INPUT, "dicomweb", "the picture has no JPEG 2000 codestream in it");
}

// ---- PNG (RFC 2083): unpacked later ----

static bool read_png(const struct reading *r, struct dw_picture *p) {
    uint8_t b[26];
    if (!get(r, p->offset, b, sizeof b)) return false;
    if (memcmp(b, "\x89PNG\r\n\x1a\n", 8) != 0 || memcmp(b + 12, "IHDR", 4) != 0) return err_set(r->e, ERR_BAD_INPUT, "dicomweb", "the picture is no PNG file");
    p->columns = be32(b + 16);
    p->rows = be32(b + 20);
    p->bits = b[24] == 16 ? 16 : 8;
    p->samples = b[25] == 0 || b[25] == 4 ? 1 : 3;
    p->photometric = p->samples == 1 ? "MONOCHROME2" : "RGB";
    p->ts_uid = DCM_UID_ExplicitVRLittleEndian;
    p->png = true;
    return true;
}

static bool read_kind(struct arena *scratch, const struct reading *r, enum kind kind, struct dw_picture *p) {
    switch (kind) {
    case KIND_JPEG:
    case KIND_JLS:
        return read_jpeg(r, p->offset, p);
    case KIND_JP2:
    case KIND_J2K:
        return find_codestream(r, p) && read_j2k(r, p->offset, p);
    case KIND_RLE: // says nothing of itself
        p->ts_uid = DCM_UID_RLELossless;
        return true;
    case KIND_PNG:
        return read_png(r, p);
    default:
        return dw_film_read(scratch, r->source, p, kind == KIND_MPEG2, r->e);
    }
}

bool dw_picture_read(struct arena *scratch, const struct dcm_source *source, uint64_t offset, uint64_t length, struct str media_type, struct dw_picture *out,
                     struct err *e) {
    enum kind kind;
    struct reading r = {source, offset + length, e};
    *out = (struct dw_picture){.offset = offset, .length = length};
    if (!kind_of(media_type, &kind)) return err_set(e, ERR_UNSUPPORTED, "dicomweb", "pixels as %.*s are not taken", STR_FMT(str_sub(media_type, 0, 80)));
    if (!read_kind(scratch, &r, kind, out)) return false;
    bool bits_fit = kind == KIND_RLE || (out->bits >= 1 && out->bits <= 38 && (out->samples == 1 || out->samples == 3));
    bool sized = kind == KIND_RLE || (out->rows > 0 && out->rows <= UINT16_MAX && out->columns > 0 && out->columns <= UINT16_MAX);
    return (bits_fit && sized) || err_set(e, ERR_UNSUPPORTED, "dicomweb", "a picture of %u x %u pixels with %u samples of %u bits fits no DICOM image",
                                          out->columns, out->rows, out->samples, out->bits);
}
