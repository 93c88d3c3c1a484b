// HTJ2K frames: the decoder of JPEG 2000, the encoder of OpenJPH, and its codestreams cut at their resolutions.
#include "codec/htj2k.h"

#include <math.h>

#include "base/limits.h"
#include "codec/htj2k_parts.h"
#include "codec/j2k_head.h"
#include "codec/jpeg2000.h"
#include "codec/openjph.h"
#include "codec/samples.h"
#include "dicom/uids.h"

static bool can_encode(const struct px_image *in, bool lossy, struct err *e) {
    if (in->kind != PX_INTEGER) return err_set(e, ERR_UNSUPPORTED, "htj2k", "float pixel data has no place in HTJ2K");
    if (in->bits_stored > 16) return err_set(e, ERR_UNSUPPORTED, "htj2k", "Bits Stored is %u; at most 16 are encoded", in->bits_stored);
    if (in->bits_stored == 1 && (in->is_signed || in->samples > 1))
        return err_set(e, ERR_UNSUPPORTED, "htj2k", "samples of one bit take no sign and no colour");
    if (in->photometric == PX_YBR_FULL_422) return err_set(e, ERR_UNSUPPORTED, "htj2k", "YBR_FULL_422 pixels are subsampled already");
    if (lossy && in->photometric == PX_PALETTE_COLOR) return err_set(e, ERR_UNSUPPORTED, "htj2k", "indices of a palette cannot be encoded with loss");
    if ((uint64_t)in->rows * in->columns * in->samples <= J2K_SAMPLES_MAX) return true;
    return err_set(e, ERR_TOO_LARGE, "htj2k", "%u x %u pixels of %u samples are more than %d samples", in->columns, in->rows, in->samples, J2K_SAMPLES_MAX);
}

// Until the lowest resolution is a thumbnail.
static unsigned levels_of(const struct px_image *image) {
    uint32_t longer = image->rows > image->columns ? image->rows : image->columns;
    unsigned levels = 0;
    while (((longer - 1) >> levels) + 1 > 64) levels++;
    return levels < 5 && longer >= 32 ? 5 : levels;
}

// The uniform quantizer's error is its step over the root of 12; at low qualities, where most of the details vanish, it is less.
static float step_of(const struct px_image *image, int32_t low, int32_t high, int quality) {
    if (quality < 1 || quality > 100) quality = CODEC_QUALITY_DEFAULT;
    double span = high > low ? (double)high - low : 1, rms = span * pow(10, -(25 + quality / 4.0) / 20);
    double step = rms * sqrt(12) / ldexp(1, (int)image->bits_stored);
    return (float)(step < 0.00001 ? 0.00001 : step > 0.5 ? 0.5 : step);
}

static bool write_bytes(void *ctx, const void *p, size_t n) {
    buf_add(ctx, p, n);
    return !((struct buf *)ctx)->failed;
}

// The markers that OpenJPH leaves out.
static bool cut(struct buf *to, size_t begin, const struct px_image *image, struct err *e) {
    struct j2k_head h;
    return j2k_head_read((const uint8_t *)to->p + begin, to->n - begin, image, &h, e) && htj2k_cut(to, begin, &h, e);
}

static bool unpack(const struct px_frame *in, struct arena *a, struct openjph_image *image, int32_t *low, int32_t *high, struct err *e) {
    size_t n = (size_t)in->image.rows * in->image.columns;
    for (unsigned s = 0; s < in->image.samples; s++) {
        int32_t *plane = arena_alloc(a, n * sizeof *plane, e);
        if (!plane) return false;
        codec_unpack(in, s, plane);
        for (size_t i = 0; i < n; i++) {
            *low = plane[i] < *low ? plane[i] : *low;
            *high = plane[i] > *high ? plane[i] : *high;
        }
        image->planes[s] = plane;
    }
    return true;
}

static bool encode_planes(const struct px_frame *in, bool lossy, int quality, struct arena *a, struct buf *to, struct err *e) {
    const struct px_image *d = &in->image;
    struct openjph_image image = {.columns = d->columns,
                                  .rows = d->rows,
                                  .samples = d->samples,
                                  .bits = d->bits_stored,
                                  .is_signed = d->is_signed,
                                  .transform = d->photometric == PX_RGB,
                                  .reversible = !lossy,
                                  .levels = levels_of(d),
                                  .progression = "RPCL"};
    int32_t low = INT32_MAX, high = INT32_MIN;
    char message[200];
    size_t begin = to->n;
    if (!unpack(in, a, &image, &low, &high, e)) return false;
    image.step = step_of(d, low, high, quality);
    if (openjph_encode(&image, write_bytes, to, message, sizeof message)) return buf_ok(to, e) && cut(to, begin, d, e);
    return buf_ok(to, e) && err_set(e, ERR_UNSUPPORTED, "htj2k", "the encoder refuses: %s", message);
}

static bool encode(const struct px_frame *in, const struct dcm_ts *ts, const struct codec_options *o, struct buf *to, struct px_image *image, struct err *e) {
    if (!can_encode(&in->image, ts->lossy, e)) return false;
    struct arena a;
    arena_init(&a, 5 * (size_t)J2K_SAMPLES_MAX);
    bool ok = encode_planes(in, ts->lossy, o ? o->quality : 0, &a, to, e);
    arena_deinit(&a);
    *image = in->image;
    image->planar = false;
    image->high_bit = image->bits_stored - 1;
    if (image->photometric == PX_RGB) image->photometric = ts->lossy ? PX_YBR_ICT : PX_YBR_RCT;
    return ok;
}

const struct codec_family codec_htj2k = {.name = "HTJ2K", .decode = jpeg2000_decode, .encode = encode};
