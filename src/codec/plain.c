// Frames as plain bytes, and the transfer syntax that encapsulates them so.
#include "base/limits.h"
#include "codec/families.h"

size_t codec_plain_bytes(const struct px_image *image) {
    return (size_t)((px_frame_bits(image) + 7) / 8);
}

const uint8_t *codec_plain_begin(const struct px_frame *in, struct buf *room, struct err *e) {
    size_t n = codec_plain_bytes(&in->image);
    unsigned shift = in->bit_offset, over = (unsigned)(px_frame_bits(&in->image) % 8);
    if (!shift && !over) return in->bytes;
    uint8_t *to = (uint8_t *)buf_reserve(room, n);
    if (!to) return buf_ok(room, e), NULL;
    for (size_t i = 0; i < n; i++) {
        unsigned two = in->bytes[i] | (i + 1 < in->n ? (unsigned)in->bytes[i + 1] << 8 : 0);
        to[i] = (uint8_t)(two >> shift);
    }
    if (over) to[n - 1] &= (uint8_t)((1u << over) - 1);
    room->n += n;
    return to;
}

// Sample by sample into pixel by pixel.
static uint8_t *by_pixel(struct arena *a, const struct px_image *image, const uint8_t *p, struct err *e) {
    size_t pixels = (size_t)image->rows * image->columns, bytes = image->bits_allocated / 8, step = bytes * image->samples;
    uint8_t *out = arena_alloc(a, pixels * step, e);
    for (unsigned s = 0; out && s < image->samples; s++)
        for (size_t i = 0; i < pixels; i++) memcpy(out + i * step + s * bytes, p + (s * pixels + i) * bytes, bytes);
    return out;
}

// PS3.3 C.7.6.3.1.2: Y Y Cb Cr for two pixels; the chrominance stands for both.
static uint8_t *widen(struct arena *a, const struct px_image *image, const uint8_t *p, struct err *e) {
    size_t pairs = (size_t)image->rows * image->columns / 2, bytes = image->bits_allocated / 8;
    uint8_t *out = arena_alloc(a, pairs * 6 * bytes, e), *to = out;
    for (size_t i = 0; out && i < pairs; i++, p += 4 * bytes)
        for (unsigned k = 0; k < 2; k++, to += 3 * bytes) {
            memcpy(to, p + k * bytes, bytes);
            memcpy(to + bytes, p + 2 * bytes, 2 * bytes);
        }
    return out;
}

enum px_photometric codec_plain_photometric(const struct px_image *declared) {
    if (declared->photometric == PX_YBR_FULL_422) return PX_YBR_FULL;
    bool transformed = declared->photometric == PX_YBR_ICT || declared->photometric == PX_YBR_RCT;
    return transformed ? PX_RGB : declared->photometric;
}

bool codec_plain_frame(struct arena *a, const struct px_image *declared, const uint8_t *bytes, struct px_frame *out, struct err *e) {
    *out = (struct px_frame){.image = *declared, .bytes = bytes};
    if (declared->photometric == PX_YBR_PARTIAL_422 || declared->photometric == PX_YBR_PARTIAL_420)
        return err_set(e, ERR_UNDECODABLE, "codec", "%s is of video, not of plain frames", px_photometric_name(declared->photometric));
    if (declared->photometric == PX_YBR_FULL_422) {
        if (declared->columns % 2) return err_set(e, ERR_UNDECODABLE, "codec", "YBR_FULL_422 needs an even number of columns, not %u", declared->columns);
        out->bytes = widen(a, declared, bytes, e);
    } else if (declared->planar) {
        out->bytes = by_pixel(a, declared, bytes, e);
    }
    out->image.photometric = codec_plain_photometric(declared);
    out->image.planar = false;
    out->image.encapsulated = false;
    out->n = codec_plain_bytes(&out->image);
    return out->bytes;
}

static bool decode(struct arena *a, const struct dcm_ts *ts, const struct px_image *declared, const uint8_t *p, size_t n, const struct codec_options *o,
                   struct px_frame *out, struct err *e) {
    (void)ts, (void)o;
    size_t wanted = codec_plain_bytes(declared);
    if (n < wanted) return err_set(e, ERR_UNDECODABLE, "codec", "the frame has %zu bytes, %zu are needed", n, wanted);
    uint8_t *bytes = arena_alloc(a, wanted, e);
    if (!bytes) return false;
    memcpy(bytes, p, wanted);
    return codec_plain_frame(a, declared, bytes, out, e);
}

static bool encode(const struct px_frame *in, const struct dcm_ts *ts, const struct codec_options *o, struct buf *to, struct px_image *image, struct err *e) {
    (void)ts, (void)o, (void)image; // the layout stays as it is
    struct buf room;
    buf_init(&room, PX_FRAME_BYTES_MAX);
    const uint8_t *p = codec_plain_begin(in, &room, e);
    if (p) buf_add(to, p, codec_plain_bytes(&in->image));
    buf_deinit(&room);
    return p && buf_ok(to, e);
}

const struct codec_family codec_plain = {"Encapsulated Uncompressed", decode, encode};
