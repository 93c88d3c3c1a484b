// Packing of decoded planes into frames and unpacking of frames for encoders.
#include "codec/samples.h"

#include "base/limits.h"

unsigned codec_sample_bytes(const struct px_image *image, unsigned precision) {
    unsigned bits = image->bits_allocated > precision ? image->bits_allocated : precision;
    return bits <= 8 ? 1 : bits <= 16 ? 2 : 4;
}

void codec_settle_bits(struct px_image *out, unsigned precision, bool excess) {
    unsigned bytes = codec_sample_bytes(out, precision);
    out->bits_allocated = bytes * 8;
    if (excess && precision > out->bits_stored) out->bits_stored = precision;
    // a codestream of the whole cell keeps its unused low bits; any other is right-justified
    if (precision != out->high_bit + 1 || out->high_bit + 1 < out->bits_stored) out->high_bit = out->bits_stored - 1;
}

// How a sample becomes a value: the bits that count, and the one that is its sign (0: none).
struct reading {
    uint32_t mask, sign;
    unsigned shift; // of the bits that must be all alike when the value fits
};

static struct reading reading_of(const struct px_image *image, struct codec_depth depth) {
    struct reading r = {.mask = UINT32_MAX, .shift = image->is_signed ? image->high_bit : image->high_bit + 1};
    if (depth.is_signed != image->is_signed) {
        r.mask = (uint32_t)((UINT64_C(1) << depth.precision) - 1);
        r.sign = image->is_signed ? 1u << (depth.precision - 1) : 0;
    }
    return r;
}

static inline __attribute__((always_inline)) uint32_t pack_row(const int32_t *restrict in, size_t n, struct reading r, uint8_t *restrict to, unsigned bytes,
                                                               size_t step, bool is_signed) {
    uint32_t excess = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t v = (uint32_t)in[i] & r.mask;
        v = (v ^ r.sign) - r.sign;
        excess |= is_signed ? v ^ -(v >> 31) : v;
        if (bytes == 1)
            to[i * step] = (uint8_t)v;
        else if (bytes == 2)
            memcpy(to + i * step * 2, &(uint16_t){(uint16_t)v}, 2);
        else
            memcpy(to + i * step * 4, &v, 4);
    }
    return excess;
}

static uint32_t pack_any(const int32_t *in, size_t n, struct reading r, uint8_t *to, unsigned bytes, unsigned samples, bool is_signed) {
    if (bytes == 1) return samples == 1 ? pack_row(in, n, r, to, 1, 1, is_signed) : pack_row(in, n, r, to, 1, 3, is_signed);
    if (bytes == 2) return samples == 1 ? pack_row(in, n, r, to, 2, 1, is_signed) : pack_row(in, n, r, to, 2, 3, is_signed);
    return pack_row(in, n, r, to, 4, samples, is_signed);
}

// Line y of the grid, at full width: the plane's own samples, or each repeated as often as it stands for.
static const int32_t *row_of(const struct codec_plane *p, uint32_t columns, uint32_t x0, uint32_t y, int32_t *line) {
    uint32_t row = y / p->dy < p->y0 ? 0 : y / p->dy - p->y0;
    const int32_t *from = p->data + (size_t)(row < p->h ? row : p->h - 1) * p->w;
    if (p->dx == 1 && p->w >= columns) return from;
    for (uint32_t i = 0; i < columns; i++) {
        uint32_t at = (x0 + i) / p->dx < p->x0 ? 0 : (x0 + i) / p->dx - p->x0;
        line[i] = from[at < p->w ? at : p->w - 1];
    }
    return line;
}

bool codec_pack(struct arena *a, const struct px_image *image, const struct codec_plane *planes, struct codec_depth depth, uint32_t x0, uint32_t y0,
                struct px_frame *out, struct err *e) {
    unsigned bytes = codec_sample_bytes(image, depth.precision);
    size_t line = (size_t)image->columns * image->samples * bytes, n = line * image->rows;
    if (n > PX_FRAME_BYTES_MAX) return err_set(e, ERR_UNDECODABLE, "codec", "a frame of %zu bytes is larger than %d", n, PX_FRAME_BYTES_MAX);
    uint8_t *to = arena_alloc(a, n, e);
    int32_t *spread = arena_alloc(a, (size_t)image->columns * sizeof *spread, e);
    if (!to || !spread) return false;
    struct reading r = reading_of(image, depth);
    uint32_t excess = 0;
    for (unsigned s = 0; s < image->samples; s++)
        for (uint32_t y = 0; y < image->rows; y++) {
            const int32_t *in = row_of(&planes[s], image->columns, x0, y0 + y, spread);
            excess |= pack_any(in, image->columns, r, to + y * line + (size_t)s * bytes, bytes, image->samples, image->is_signed);
        }
    *out = (struct px_frame){.image = *image, .bytes = to, .n = n};
    out->image.planar = false;
    out->image.encapsulated = out->image.big_endian = false;
    codec_settle_bits(&out->image, depth.precision, r.shift < 32 && excess >> r.shift);
    return true;
}

// ---- the other way ----

static uint32_t cell(const uint8_t *p, size_t i, unsigned bytes) {
    uint16_t half;
    uint32_t word;
    if (bytes == 1) return p[i];
    if (bytes == 2) {
        memcpy(&half, p + i * 2, 2);
        return half;
    }
    memcpy(&word, p + i * 4, 4);
    return word;
}

static void unpack_bits(const struct px_frame *in, size_t n, int32_t *to) {
    for (size_t i = 0; i < n; i++) {
        size_t bit = i + in->bit_offset;
        to[i] = in->bytes[bit / 8] >> bit % 8 & 1;
    }
}

void codec_unpack(const struct px_frame *in, unsigned sample, int32_t *to) {
    const struct px_image *image = &in->image;
    size_t n = (size_t)image->rows * image->columns;
    if (image->bits_allocated == 1) {
        unpack_bits(in, n, to);
        return;
    }
    unsigned bytes = image->bits_allocated / 8, shift = 31 - image->high_bit, drop = 32 - image->bits_stored;
    size_t step = image->planar ? 1 : image->samples, first = image->planar ? sample * n : sample;
    for (size_t i = 0; i < n; i++) {
        uint32_t v = cell(in->bytes, first + i * step, bytes) << shift;
        to[i] = image->is_signed ? (int32_t)v >> drop : (int32_t)(v >> drop);
    }
}
