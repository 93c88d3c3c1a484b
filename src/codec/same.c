// Comparing a frame with what its codestream gives back.
#include <math.h>

#include "codec/perform.h"

// Samples of a frame, whatever the layout.
struct samples {
    const uint8_t *p;
    uint64_t pixels;
    size_t pixel_step, sample_step; // bytes
    unsigned bytes, bit_offset;     // bytes 0: one bit a pixel
    unsigned shift, stored;
    bool is_signed, subsampled;
};

static struct samples samples_of(const struct px_frame *f) {
    const struct px_image *i = &f->image;
    unsigned bytes = i->bits_allocated / 8;
    struct samples s = {.p = f->bytes,
                        .pixels = (uint64_t)i->rows * i->columns,
                        .pixel_step = i->planar ? bytes : (size_t)bytes * i->samples,
                        .bytes = bytes,
                        .bit_offset = f->bit_offset,
                        .shift = i->high_bit + 1 - i->bits_stored,
                        .stored = i->bits_stored,
                        .is_signed = i->is_signed};
    s.sample_step = i->planar ? (size_t)s.pixels * bytes : bytes;
    s.subsampled = i->photometric == PX_YBR_FULL_422;
    return s;
}

static uint64_t raw(const struct samples *s, uint64_t pixel, unsigned sample) {
    if (!s->bytes) return s->p[(pixel + s->bit_offset) / 8] >> (pixel + s->bit_offset) % 8 & 1;
    const uint8_t *p = s->p + pixel * s->pixel_step + sample * s->sample_step;
    if (s->subsampled) p = s->p + (sample ? pixel / 2 * 4 + 1 + sample : pixel / 2 * 4 + pixel % 2) * s->bytes; // Y Y Cb Cr
    uint64_t v = 0;
    memcpy(&v, p, s->bytes);
    return v;
}

static int64_t value(const struct samples *s, uint64_t bits) {
    uint64_t v = bits >> s->shift;
    unsigned up = 64 - s->stored;
    return s->is_signed ? (int64_t)(v << up) >> up : (int64_t)(v << up >> up);
}

// Bits above and below the stored ones carry nothing when they are 0 or go on with the sign.
static bool is_plain(const struct samples *s, uint64_t bits) {
    unsigned width = s->bytes ? s->bytes * 8 : 1, up = 64 - width;
    if (s->shift && bits & ((1ull << s->shift) - 1)) return false;
    uint64_t v = bits >> s->shift;
    int64_t extended = (int64_t)(bits << up) >> up >> s->shift;
    return s->stored == 64 || v >> s->stored == 0 || extended == value(s, bits);
}

static bool same_shape(const struct px_image *a, const struct px_image *b) {
    return a->bits_allocated == b->bits_allocated && a->planar == b->planar && a->photometric == b->photometric && a->samples == b->samples;
}

static bool same_exactly(const struct px_frame *in, const struct px_frame *again, struct err *e) {
    struct samples x = samples_of(in), y = samples_of(again);
    if (same_shape(&in->image, &again->image) && !in->bit_offset && !again->bit_offset && x.bytes &&
        memcmp(in->bytes, again->bytes, (size_t)(px_frame_bits(&in->image) / 8)) == 0)
        return true;
    if (in->image.photometric != again->image.photometric && in->image.samples > 1)
        return err_set(e, ERR_UNDECODABLE, "codec", "its colours are %s, not %s", px_photometric_name(again->image.photometric),
                       px_photometric_name(in->image.photometric));
    for (uint64_t i = 0; i < x.pixels; i++)
        for (unsigned s = 0; s < in->image.samples; s++) {
            uint64_t a = raw(&x, i, s), b = raw(&y, i, s);
            if (value(&x, a) != value(&y, b))
                return err_set(e, ERR_UNDECODABLE, "codec", "pixel %llu differs: %lld was %lld", (unsigned long long)i, (long long)value(&y, b),
                               (long long)value(&x, a));
            if (a != b && !is_plain(&x, a))
                return err_set(
                    e, ERR_UNSUPPORTED, "codec",
                    "bits outside the %u stored ones hold something (an overlay?) that this coding has no place for; RLE Lossless, Deflated Image Frame "
                    "Compression, Encapsulated Uncompressed and the native transfer syntaxes keep them",
                    x.stored);
        }
    return true;
}

// ---- lossy ----

struct difference {
    double squares, count;
    int64_t greatest;
    double min, max, again_min, again_max;
};

// PS3.3 C.7.6.3.1.2, full range.
static void to_rgb(const double ycc[3], double half, double rgb[3]) {
    double y = ycc[0], cb = ycc[1] - half, cr = ycc[2] - half;
    rgb[0] = y + 1.402 * cr;
    rgb[1] = y - 0.344136 * cb - 0.714136 * cr;
    rgb[2] = y + 1.772 * cb;
}

static void pixel_of(const struct samples *s, const struct px_image *image, uint64_t i, bool rgb, double out[3]) {
    double v[3] = {0};
    for (unsigned k = 0; k < image->samples; k++) v[k] = (double)value(s, raw(s, i, k));
    if (rgb && image->photometric != PX_RGB)
        to_rgb(v, (double)(1ull << (image->bits_stored - 1)), out);
    else
        memcpy(out, v, sizeof v);
}

static void widen(double *min, double *max, double v) {
    if (v < *min) *min = v;
    if (v > *max) *max = v;
}

static struct difference compare(const struct px_frame *in, const struct px_frame *again) {
    struct samples x = samples_of(in), y = samples_of(again);
    struct difference d = {.min = INFINITY, .max = -INFINITY, .again_min = INFINITY, .again_max = -INFINITY};
    bool rgb = in->image.samples == 3 && in->image.photometric != again->image.photometric;
    for (uint64_t i = 0; i < x.pixels; i++) {
        double a[3], b[3];
        pixel_of(&x, &in->image, i, rgb, a);
        pixel_of(&y, &again->image, i, rgb, b);
        for (unsigned s = 0; s < in->image.samples; s++) {
            double v = a[s] - b[s];
            d.squares += v * v;
            if ((int64_t)fabs(v) > d.greatest) d.greatest = (int64_t)fabs(v);
            widen(&d.min, &d.max, a[s]);
            widen(&d.again_min, &d.again_max, b[s]);
        }
    }
    d.count = (double)x.pixels * in->image.samples;
    return d;
}

// What may be lost at a quality: a part of the picture's range, and two levels of 256 whatever the range. Colour loses more, chrominance being halved.
static double allowed(const struct px_frame *in, const struct difference *d, int quality) {
    if (quality == 0) quality = CODEC_QUALITY_DEFAULT;
    double part = quality >= 75 ? 0.05 : quality >= 50 ? 0.1 : 0.25;
    if (in->image.samples == 3) part *= 2;
    return part * (d->max - d->min) + ldexp(1, (int)in->image.bits_stored) / 128;
}

static bool nearly_same(const struct px_frame *in, const struct px_frame *again, const struct codec_tolerance *t, struct err *e) {
    struct difference d = compare(in, again);
    double rms = sqrt(d.squares / d.count);
    if (d.max > d.min && !(d.again_max > d.again_min)) return err_set(e, ERR_UNDECODABLE, "codec", "it is blank");
    if (t->near ? d.greatest <= t->near : rms <= allowed(in, &d, t->quality)) return true;
    return err_set(e, ERR_UNDECODABLE, "codec", "it differs by %lld at most and %.1f on the average, more than is allowed", (long long)d.greatest, rms);
}

bool codec_same(const struct px_frame *in, const struct px_frame *again, const struct codec_tolerance *t, struct err *e) {
    return t->exact ? same_exactly(in, again, e) : nearly_same(in, again, t, e);
}
