// The JPEG family (PS3.5 8.2.1, ITU-T T.81): which decoder and encoder a codestream and an image get.
#include "codec/jpeg.h"

#include <string.h>

#include "base/limits.h"
#include "codec/jpeg_dct.h"
#include "codec/jpeg_lossless.h"
#include "codec/jpeg_stream.h"
#include "dicom/uids.h"
#include "pixel/jpeg.h"

// What is known before the first sample is decoded.
struct plan {
    struct jpeg_stream stream;
    bool lossless;
    enum px_jpeg_colour colour;
    unsigned bytes; // of a decoded sample: 1 or 2
};

static bool same_shape(const struct jpeg_frame *f, const struct px_image *declared, struct err *e) {
    if (f->rows != declared->rows || f->columns != declared->columns)
        return err_set(e, ERR_UNDECODABLE, "codec", "the JPEG codestream has %u rows and %u columns, the data set says %u and %u", f->rows, f->columns,
                       declared->rows, declared->columns);
    if (f->components != declared->samples)
        return err_set(e, ERR_UNDECODABLE, "codec", "the JPEG codestream has %u components, the data set says %u samples per pixel", f->components,
                       declared->samples);
    return true;
}

// DNL (T.81 B.2.5): a frame header with 0 rows leaves their number to the marker behind the first scan. Inside of entropy coded bytes FF DC cannot be.
static bool rows_of(struct arena *a, struct plan *plan, struct err *e) {
    struct jpeg_stream *s = &plan->stream;
    if (s->frame.rows) return true;
    const uint8_t *dnl = memmem(s->p, (size_t)(s->end - s->p), "\xFF\xDC\x00\x04", 4);
    if (!dnl || s->end - dnl < 6) return err_set(e, ERR_UNDECODABLE, "codec", "the JPEG codestream does not say how many rows it has");
    size_t n = (size_t)(s->end - s->begin), at = (size_t)(s->p - s->begin);
    uint8_t *copy = arena_alloc(a, n, e);
    if (!copy) return false;
    memcpy(copy, s->begin, n);
    memcpy(copy + s->rows_at, dnl + 4, 2);
    s->frame.rows = (uint16_t)(dnl[4] << 8 | dnl[5]);
    s->begin = copy;
    s->p = copy + at;
    s->end = copy + n;
    return true;
}

// Whether three components of a DCT process are YCbCr. The codestream knows better than the data set, in which writers forget to say that they changed it: an
// Adobe marker tells, JFIF allows YCbCr only (ITU-T T.871), and nobody subsamples RGB. Without any of these the data set's word counts.
static enum px_jpeg_colour colour_of(const struct jpeg_stream *s, const struct px_image *declared) {
    const struct jpeg_frame *f = &s->frame;
    if (f->components != 3) return PX_JPEG_KEEP;
    if (s->adobe >= 0) return s->adobe == 0 ? PX_JPEG_KEEP : PX_JPEG_YCC;
    if (s->jfif || f->component[0].h != f->component[1].h || f->component[0].v != f->component[1].v) return PX_JPEG_YCC;
    return declared->photometric == PX_RGB ? PX_JPEG_KEEP : PX_JPEG_YCC;
}

static bool read_plan(struct arena *a, const struct px_image *declared, const uint8_t *p, size_t n, struct plan *plan, struct err *e) {
    struct jpeg_stream *s = &plan->stream;
    if (!jpeg_open(s, p, n, e)) return false;
    enum jpeg_event event = jpeg_next(s, e);
    if (event == JPEG_FAILED) return false;
    if (event != JPEG_FRAME) return err_set(e, ERR_UNDECODABLE, "codec", "the JPEG codestream has no frame header");
    if (!rows_of(a, plan, e) || !same_shape(&s->frame, declared, e)) return false;
    plan->lossless = s->frame.process == JPEG_SOF_LOSSLESS;
    plan->bytes = s->frame.precision > 8 ? 2 : 1;
    plan->colour = plan->lossless ? PX_JPEG_KEEP : colour_of(s, declared);
    return true;
}

// Decoders of the DCT make something of what was sent so far. s: a copy. A scan of each component must be there, and the end of a progressive codestream:
// nothing else tells that no scan is missing.
static bool is_whole(struct jpeg_stream s, struct err *e) {
    unsigned missing = (1u << s.frame.components) - 1;
    bool progressive = s.frame.process % 4 == JPEG_SOF_PROGRESSIVE;
    while (missing || progressive) {
        enum jpeg_event event = jpeg_next(&s, e);
        if (event == JPEG_FAILED) return false;
        if (event != JPEG_SCAN) break;
        for (unsigned c = 0; c < s.scan.components && (s.scan.ss == 0 || !progressive); c++) missing &= ~(1u << s.scan.component[c]);
    }
    if (!missing && (!progressive || s.ended)) return true;
    return err_set(e, ERR_UNDECODABLE, "codec", "the JPEG codestream ends after %u scans, before all of the image was sent", s.scans);
}

static bool decode_samples(struct arena *a, struct plan *plan, uint8_t *out, struct err *e) {
    struct jpeg_stream *s = &plan->stream;
    const struct jpeg_frame *f = &s->frame;
    if (plan->lossless) return jpeg_lossless_decode(a, s, out, plan->bytes, e);
    if (!is_whole(*s, e)) return false;
    if ((f->process == JPEG_SOF_EXTENDED || f->process == JPEG_SOF_PROGRESSIVE) && f->precision == JPEG_DCT_BITS)
        return jpeg_dct_decode(a, s, plan->colour == PX_JPEG_YCC, out, e);
    if (f->process > JPEG_SOF_PROGRESSIVE || f->precision != 8)
        return err_set(e, ERR_UNDECODABLE, "codec", "JPEG process SOF%u with %u bits is not decoded", f->process, f->precision);
    const struct px_jpeg shape = {.width = f->columns, .height = f->rows, .components = f->components, .colour = plan->colour};
    return px_decode_jpeg(s->begin, (size_t)(s->end - s->begin), &shape, out, e);
}

// From samples of from bytes to samples of to bytes, in place: from the last to the first.
static void widen(uint8_t *p, uint64_t samples, unsigned from, unsigned to) {
    for (uint64_t i = samples; from != to && i-- > 0;) {
        uint8_t sample[2] = {p[i * from], from == 2 ? p[i * from + 1] : 0};
        memset(p + i * to, 0, to);
        memcpy(p + i * to, sample, from);
    }
}

static struct px_image image_of(const struct plan *plan, const struct px_image *declared) {
    struct px_image image = *declared;
    unsigned bits = plan->bytes * 8;
    image.planar = image.big_endian = image.encapsulated = false;
    if (image.samples == 3 && plan->lossless)
        image.photometric = declared->photometric == PX_YBR_FULL || declared->photometric == PX_YBR_FULL_422 ? PX_YBR_FULL : PX_RGB;
    else if (image.samples == 3)
        image.photometric = PX_RGB;
    if (image.bits_allocated >= bits) return image;
    image.bits_allocated = bits;
    image.bits_stored = plan->stream.frame.precision;
    image.high_bit = image.bits_stored - 1;
    return image;
}

static bool decode(struct arena *a, const struct dcm_ts *ts, const struct px_image *declared, const uint8_t *p, size_t n, const struct codec_options *o,
                   struct px_frame *out, struct err *e) {
    (void)ts, (void)o; // the codestream says which process it is: transfer syntaxes are often wrong
    struct plan plan;
    if (!read_plan(a, declared, p, n, &plan, e)) return false;
    struct px_image image = image_of(&plan, declared);
    uint64_t samples = (uint64_t)image.rows * image.columns * image.samples, bytes = px_frame_bits(&image) / 8;
    if (bytes > PX_FRAME_BYTES_MAX) return err_set(e, ERR_UNDECODABLE, "codec", "a frame of %llu bytes is more than is allowed", (unsigned long long)bytes);
    uint8_t *to = arena_alloc(a, bytes, e);
    if (!to || !decode_samples(a, &plan, to, e)) return false;
    widen(to, samples, plan.bytes, image.bits_allocated / 8);
    *out = (struct px_frame){.image = image, .bytes = to, .n = bytes};
    return true;
}

// ---- encoding ----

static bool refuse(struct err *e, const struct dcm_ts *ts, const char *why) {
    return err_set(e, ERR_UNSUPPORTED, "codec", "%s has no place for %s", ts->name, why);
}

static bool check_samples(const struct px_frame *in, const struct dcm_ts *ts, struct err *e) {
    const struct px_image *i = &in->image;
    if (i->kind != PX_INTEGER) return refuse(e, ts, "float pixels");
    if (i->samples != 1 && i->samples != 3) return refuse(e, ts, "this number of samples per pixel");
    if (i->bits_allocated != 8 && i->bits_allocated != 16) return refuse(e, ts, "this many bits allocated: only 8 and 16");
    return in->n >= px_frame_bits(i) / 8 || err_set(e, ERR_INTERNAL, "codec", "the frame is shorter than its image");
}

// Samples by pixel, YBR_FULL_422 with its chrominance at every pixel. NULL with *e set.
static const uint8_t *by_pixel(struct arena *a, const struct px_frame *in, struct err *e) {
    const struct px_image *i = &in->image;
    size_t pixels = (size_t)i->rows * i->columns, bytes = i->bits_allocated / 8;
    bool halved = i->photometric == PX_YBR_FULL_422;
    if (!halved && !i->planar) return in->bytes;
    uint8_t *to = arena_alloc(a, pixels * i->samples * bytes, e);
    for (size_t p = 0; to && p < pixels; p++)
        for (size_t s = 0; s < i->samples; s++) {
            size_t from = !halved ? s * pixels + p : s ? p / 2 * 4 + 1 + s : p / 2 * 4 + p % 2; // Y Y Cb Cr
            memcpy(to + (p * i->samples + s) * bytes, in->bytes + from * bytes, bytes);
        }
    return to;
}

// Bits that hold every sample as it stands. Fewer than are allocated only where the data set says so, no bit above tells otherwise, and readers cannot take the
// samples for bytes; negative values keep the bits of their sign.
static unsigned precision_of(const struct px_image *i, const uint8_t *p) {
    if (i->bits_allocated == 8) return 8;
    size_t n = (size_t)i->rows * i->columns * i->samples;
    unsigned all = 0;
    if (i->is_signed || i->bits_stored <= 8 || i->high_bit + 1 != i->bits_stored) return 16;
    for (size_t k = 0; k < n; k++) all |= p[2 * k + 1];
    return all >> (i->bits_stored - 8) ? 16 : i->bits_stored;
}

static bool encode_lossless(struct arena *a, const struct px_frame *in, const struct dcm_ts *ts, struct buf *to, struct err *e) {
    const struct px_image *i = &in->image;
    if (i->photometric == PX_YBR_FULL_422) return refuse(e, ts, "chrominance of every other pixel");
    struct jpeg_plane plane = {.rows = i->rows, .columns = i->columns, .components = i->samples, .bytes = i->bits_allocated / 8};
    if (!(plane.p = by_pixel(a, in, e))) return false;
    plane.precision = precision_of(i, plane.p);
    plane.rgb = i->photometric == PX_RGB;
    return jpeg_lossless_encode(a, &plane, to, e);
}

static bool encode_baseline(struct arena *a, const struct px_frame *in, const struct dcm_ts *ts, int quality, struct buf *to, struct px_image *image,
                            struct err *e) {
    const struct px_image *i = &in->image;
    if (i->bits_allocated != 8 || i->bits_stored != 8) return refuse(e, ts, "pixels of other than 8 bits");
    if (i->is_signed) return refuse(e, ts, "signed pixels");
    if (i->photometric == PX_PALETTE_COLOR) return refuse(e, ts, "palette colour, whose indices cannot be nearly right");
    struct px_jpeg shape = {.width = i->columns, .height = i->rows, .components = i->samples};
    if (i->samples == 3) shape.colour = i->photometric == PX_RGB ? PX_JPEG_YCC : PX_JPEG_FROM_YCC;
    const uint8_t *pixels = by_pixel(a, in, e);
    bool even = i->columns % 2 == 0; // what YBR_FULL_422 is made for: pairs of pixels
    if (!pixels || !px_encode_jpeg(pixels, &shape, quality ? quality : CODEC_QUALITY_DEFAULT, even ? PX_JPEG_422 : PX_JPEG_444, to, e)) return false;
    if (i->samples == 3) image->photometric = even ? PX_YBR_FULL_422 : PX_YBR_FULL;
    return true;
}

// The one picture of 12 bits that is written: grey without a sign, of at most 12 bits stored. Bytes are baseline in this transfer syntax too.
static bool encode_extended(struct arena *a, const struct px_frame *in, const struct dcm_ts *ts, int quality, struct buf *to, struct px_image *image,
                            struct err *e) {
    const struct px_image *i = &in->image;
    if (i->bits_allocated == 8) return encode_baseline(a, in, ts, quality, to, image, e);
    if (i->samples != 1 || i->is_signed) return refuse(e, ts, "signed pixels, nor colour of more than 8 bits");
    if (i->photometric == PX_PALETTE_COLOR) return refuse(e, ts, "palette colour, whose indices cannot be nearly right");
    if (i->bits_stored > JPEG_DCT_BITS || precision_of(i, in->bytes) > JPEG_DCT_BITS) return refuse(e, ts, "more than 12 bits");
    return jpeg_dct_encode(a, i->rows, i->columns, in->bytes, quality ? quality : CODEC_QUALITY_DEFAULT, to, e);
}

static bool encode(const struct px_frame *in, const struct dcm_ts *ts, const struct codec_options *o, struct buf *to, struct px_image *image, struct err *e) {
    struct arena a;
    *image = in->image;
    image->planar = false;
    if (!check_samples(in, ts, e)) return false;
    arena_init(&a, 2 * (size_t)PX_FRAME_BYTES_MAX);
    bool ok = false;
    if (strcmp(ts->uid, DCM_UID_JPEGLossless) == 0 || strcmp(ts->uid, DCM_UID_JPEGLosslessSV1) == 0)
        ok = encode_lossless(&a, in, ts, to, e);
    else if (strcmp(ts->uid, DCM_UID_JPEGBaseline8Bit) == 0)
        ok = encode_baseline(&a, in, ts, o->quality, to, image, e);
    else if (strcmp(ts->uid, DCM_UID_JPEGExtended12Bit) == 0)
        ok = encode_extended(&a, in, ts, o->quality, to, image, e);
    else
        err_set(e, ERR_UNSUPPORTED, "codec", "%s is read, not written", ts->name);
    arena_deinit(&a);
    return ok;
}

const struct codec_family codec_jpeg = {.name = "JPEG", .decode = decode, .encode = encode};
