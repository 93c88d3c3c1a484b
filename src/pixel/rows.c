// Stored samples to 8 bits, row by row, so that nothing but the frame and the picture is in memory.
#include "pixel/rows.h"

#include <endian.h>
#include <math.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { TABLE_BITS_MAX = 16 };

// ---- samples ----

static uint32_t load(const uint8_t *p, unsigned bits) {
    if (bits == 8) return p[0];
    if (bits == 16) return (uint32_t)p[0] | (uint32_t)p[1] << 8;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t mask_of(const struct px_image *image) {
    return image->bits_stored == 32 ? UINT32_MAX : (1u << image->bits_stored) - 1;
}

// The stored bits of the pixel at index, of an image of one sample per pixel.
static uint32_t pattern_at(const struct px_frame *f, uint64_t index) {
    const struct px_image *image = &f->image;
    if (image->bits_allocated == 1) {
        uint64_t bit = index + f->bit_offset; // PS3.5 8.1.1: the first pixel in the least significant bit
        return f->bytes[bit / 8] >> (bit % 8) & 1;
    }
    unsigned shift = image->high_bit + 1 - image->bits_stored;
    return load(f->bytes + index * (image->bits_allocated / 8), image->bits_allocated) >> shift & mask_of(image);
}

static int64_t value_of(const struct px_image *image, uint32_t pattern) {
    bool negative = image->is_signed && pattern >> (image->bits_stored - 1) & 1;
    return negative ? (int64_t)pattern - ((int64_t)mask_of(image) + 1) : (int64_t)pattern;
}

static double stored_at(const struct px_frame *f, uint64_t index) {
    if (f->image.kind == PX_FLOAT) {
        uint32_t bits = load(f->bytes + index * 4, 32);
        float v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    if (f->image.kind == PX_DOUBLE) {
        uint64_t bits = load(f->bytes + index * 8, 32) | (uint64_t)load(f->bytes + index * 8 + 4, 32) << 32;
        double v;
        memcpy(&v, &bits, sizeof v);
        return v;
    }
    return (double)value_of(&f->image, pattern_at(f, index));
}

static bool has_table(const struct px_image *image) {
    return image->kind == PX_INTEGER && image->bits_stored <= TABLE_BITS_MAX;
}

// ---- smallest and largest ----

struct range {
    double min, max;
    bool any;
};

static void widen(struct range *r, double v) {
    if (!isfinite(v)) return;
    if (!r->any || v < r->min) r->min = v;
    if (!r->any || v > r->max) r->max = v;
    r->any = true;
}

// Modality values of the frame; padding left out unless there is nothing else.
static struct range range_of(const struct px_frame *f, const struct px_mapping *m, const uint8_t *seen) {
    struct range image = {0}, padding = {0};
    uint64_t n = seen ? (uint64_t)mask_of(&f->image) + 1 : (uint64_t)f->image.rows * f->image.columns;
    for (uint64_t i = 0; i < n; i++) {
        if (seen && !seen[i]) continue;
        double stored = seen ? (double)value_of(&f->image, (uint32_t)i) : stored_at(f, i);
        widen(px_is_padding(m, stored) ? &padding : &image, px_modality_value(m, stored));
    }
    return image.any ? image : padding;
}

static bool window_from_frame(const struct px_frame *f, struct px_mapping *m, const uint8_t *seen) {
    if (f->image.bits_allocated == 1) {
        m->window = px_window_over(0, 1); // a mask: never stretched
        return true;
    }
    struct range r = range_of(f, m, seen);
    m->window = px_window_over(r.min, r.max);
    if (r.any && r.min == r.max) m->window.center = r.min + 1; // all the same: black
    return true;
}

// ---- setting up ----

static bool plain_16(const struct px_image *image) {
    return image->kind == PX_INTEGER && image->bits_allocated == 16 && image->high_bit + 1 == image->bits_stored;
}

// Which patterns the frame holds: the table need not be worked out for others, which take as long as the pixels do.
static uint8_t *patterns_of(struct arena *a, const struct px_frame *f, struct err *e) {
    uint8_t *seen = arena_zero(a, (size_t)mask_of(&f->image) + 1, 1, e);
    uint64_t n = (uint64_t)f->image.rows * f->image.columns;
    if (!seen) return NULL;
    if (plain_16(&f->image)) {
        uint32_t mask = mask_of(&f->image);
        for (uint64_t i = 0; i < n; i++) seen[((uint32_t)f->bytes[2 * i] | (uint32_t)f->bytes[2 * i + 1] << 8) & mask] = 1;
        return seen;
    }
    for (uint64_t i = 0; i < n; i++) seen[pattern_at(f, i)] = 1;
    return seen;
}

// A line whose numbers are small enough that single precision is far below a gray level.
static bool straight_line(struct px_rows *r) {
    const struct px_mapping *m = &r->mapping;
    bool exact = m->window.function == PX_LINEAR_EXACT;
    double center = exact ? m->window.center : m->window.center - 0.5, width = exact ? m->window.width : m->window.width - 1;
    if (!plain_16(&r->frame->image) || m->modality.count || m->voi.count || m->presentation.count || m->window.function == PX_SIGMOID) return false;
    double gain = m->slope / width * 255, offset = ((m->intercept - center) / width + 0.5) * 255;
    if (!(width > 0) || !(fabs(gain) * 65536 + fabs(offset) < 65536)) return false;
    r->gain = (float)(m->invert ? -gain : gain);
    r->offset = (float)(m->invert ? 255 - offset : offset);
    r->straight = true;
    return true;
}

static bool init_gray(struct arena *a, const struct dcm_dataset *ds, uint32_t number, const struct px_choice *choice, struct px_rows *r, struct err *e) {
    const struct px_frame *f = r->frame;
    struct px_mapping *m = &r->mapping;
    uint8_t *seen = NULL;
    if (!px_mapping_of(a, ds, &f->image, number, choice, m, e)) return false;
    if (m->has_window && !r->supplemental && straight_line(r)) return true;
    if (has_table(&f->image) && !(seen = patterns_of(a, f, e))) return false;
    if (!m->has_window && !m->voi.count && !window_from_frame(f, m, seen)) return false;
    if (!seen) return true;
    size_t n = (size_t)mask_of(&f->image) + 1;
    r->gray = seen; // turned into its grays in place
    for (size_t i = 0; i < n; i++)
        if (seen[i]) seen[i] = px_gray(m, px_modality_value(m, (double)value_of(&f->image, (uint32_t)i)));
    return true;
}

static bool says_color(const struct dcm_dataset *ds) {
    return ds && str_eqz(dcm_text_at(ds, DCM_PixelPresentation, 0), "COLOR");
}

static bool has_supplemental(const struct dcm_dataset *ds, const struct px_image *image, uint32_t frame) {
    if (image->kind != PX_INTEGER || image->bits_allocated < 8 || image->bits_allocated > 16 || !dcm_find(ds, DCM_RedPaletteColorLookupTableDescriptor))
        return false;
    return says_color(ds) || says_color(px_functional_group(ds, frame, DCM_MRImageFrameTypeSequence)) ||
           says_color(px_functional_group(ds, frame, DCM_CTImageFrameTypeSequence)) || says_color(px_functional_group(ds, frame, DCM_PETFrameTypeSequence));
}

static bool init_monochrome(struct arena *a, const struct dcm_dataset *ds, uint32_t number, const struct px_choice *choice, struct px_rows *r, struct err *e) {
    if (!choice->presentation && has_supplemental(ds, &r->frame->image, number)) {
        if (!px_palette_of(a, ds, &r->frame->image, &r->palette, e)) return false;
        r->supplemental = true;
        r->channels = 3;
    }
    return init_gray(a, ds, number, choice, r, e);
}

bool px_rows_init(struct arena *a, const struct dcm_dataset *ds, const struct px_frame *frame, uint32_t number, const struct px_choice *choice,
                  struct px_rows *out, struct err *e) {
    uint64_t need = (px_frame_bits(&frame->image) + frame->bit_offset + 7) / 8;
    *out = (struct px_rows){.frame = frame, .channels = frame->image.samples};
    if (frame->n < need) return err_set(e, ERR_UNDECODABLE, "pixel", "the frame has %zu bytes, its description needs %llu", frame->n, (unsigned long long)need);
    switch (frame->image.photometric) {
    case PX_MONOCHROME1:
    case PX_MONOCHROME2:
        return init_monochrome(a, ds, number, choice, out, e);
    case PX_PALETTE_COLOR:
        out->channels = 3;
        return px_palette_of(a, ds, &frame->image, &out->palette, e);
    case PX_YBR_PARTIAL_420:
    case PX_YBR_ICT:
    case PX_YBR_RCT:
    case PX_XYB:
        return err_set(e, ERR_UNDECODABLE, "pixel", "Photometric Interpretation %s exists only in compressed pixel data",
                       px_photometric_name(frame->image.photometric));
    default:
        return true;
    }
}

// ---- rows ----

static void gray_row(const struct px_rows *r, uint64_t first, uint8_t *to) {
    for (uint32_t x = 0; x < r->frame->image.columns; x++)
        to[x] = r->gray ? r->gray[pattern_at(r->frame, first + x)] : px_gray(&r->mapping, px_modality_value(&r->mapping, stored_at(r->frame, first + x)));
}

// The common case without a branch or a table per pixel, so that compilers work on many at once.
static void straight_pixels(const struct px_rows *r, const uint8_t *restrict p, uint32_t from, uint8_t *restrict to) {
    const struct px_image *image = &r->frame->image;
    const uint32_t columns = image->columns, mask = mask_of(image), sign = image->is_signed ? 1u << (image->bits_stored - 1) : 0;
    const float gain = r->gain, offset = r->offset + 0.5f;
    for (uint32_t x = from; x < columns; x++) {
        uint16_t cell;
        memcpy(&cell, p + (size_t)2 * x, sizeof cell);
        int32_t value = (int32_t)(((le16toh(cell) & mask) ^ sign) - sign);
        int32_t gray = (int32_t)((float)value * gain + offset); // what is cut off below 0 does not show
        gray = gray > 0 ? gray : 0;
        to[x] = (uint8_t)(gray < 255 ? gray : 255);
    }
}

#ifdef __x86_64__
// The same where the processor has wider registers: 32 pixels at a time.
static __attribute__((target("avx2"))) __m256i eight_grays(const uint8_t *p, __m256i mask, __m256i sign, __m256 gain, __m256 offset) {
    __m256i value = _mm256_and_si256(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), mask);
    value = _mm256_sub_epi32(_mm256_xor_si256(value, sign), sign);
    return _mm256_cvttps_epi32(_mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(value), gain), offset));
}

static __attribute__((target("avx2"))) uint32_t straight_avx2(const struct px_rows *r, const uint8_t *p, uint8_t *to) {
    const struct px_image *image = &r->frame->image;
    const __m256i mask = _mm256_set1_epi32((int)mask_of(image)), sign = _mm256_set1_epi32(image->is_signed ? 1 << (image->bits_stored - 1) : 0);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256 gain = _mm256_set1_ps(r->gain), offset = _mm256_set1_ps(r->offset + 0.5f);
    uint32_t x = 0;
    for (; x + 32 <= image->columns; x += 32, p += 64) {
        __m256i a = _mm256_packs_epi32(eight_grays(p, mask, sign, gain, offset), eight_grays(p + 16, mask, sign, gain, offset));
        __m256i b = _mm256_packs_epi32(eight_grays(p + 32, mask, sign, gain, offset), eight_grays(p + 48, mask, sign, gain, offset));
        _mm256_storeu_si256((__m256i *)(to + x), _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order));
    }
    return x;
}
#endif

static void straight_row(const struct px_rows *r, uint64_t first, uint8_t *to) {
    const uint8_t *p = r->frame->bytes + first * 2;
    uint32_t done = 0;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) done = straight_avx2(r, p, to);
#endif
    straight_pixels(r, p, done, to);
}

static void gray_row_16(const struct px_rows *r, uint64_t first, uint8_t *to) {
    const uint8_t *p = r->frame->bytes + first * 2;
    uint32_t mask = mask_of(&r->frame->image);
    for (uint32_t x = 0; x < r->frame->image.columns; x++) to[x] = r->gray[((uint32_t)p[2 * x] | (uint32_t)p[2 * x + 1] << 8) & mask];
}

static void palette_row(const struct px_rows *r, uint64_t first, uint8_t *to) {
    const struct px_frame *f = r->frame;
    for (uint32_t x = 0; x < f->image.columns; x++) {
        int64_t value = value_of(&f->image, pattern_at(f, first + x));
        memcpy(to + 3 * x, r->palette.rgb + 3 * px_lut_index(value, r->palette.first, r->palette.count), 3);
    }
}

static void supplemental_row(const struct px_rows *r, uint64_t first, uint8_t *to) {
    const struct px_frame *f = r->frame;
    for (uint32_t x = 0; x < f->image.columns; x++) {
        uint32_t pattern = pattern_at(f, first + x);
        int64_t value = value_of(&f->image, pattern);
        if (value >= r->palette.first)
            memcpy(to + 3 * x, r->palette.rgb + 3 * px_lut_index(value, r->palette.first, r->palette.count), 3);
        else
            memset(to + 3 * x, r->gray[pattern], 3);
    }
}

static uint8_t clamp(double v) {
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5);
}

// PS3.3 C.7.6.3.1.2; of the partial range black is 16 and white 235.
static void ybr_to_rgb(uint8_t *p, bool partial) {
    double y = p[0], cb = p[1] - 128.0, cr = p[2] - 128.0;
    if (partial) {
        y = (y - 16) * 255 / 219;
        cb *= 255.0 / 224;
        cr *= 255.0 / 224;
    }
    p[0] = clamp(y + 1.402 * cr);
    p[1] = clamp(y - 0.344136 * cb - 0.714136 * cr);
    p[2] = clamp(y + 1.772 * cb);
}

// The highest 8 of the stored bits.
static uint8_t sample_at(const struct px_frame *f, uint64_t index) {
    const struct px_image *image = &f->image;
    uint32_t v = load(f->bytes + index * (image->bits_allocated / 8), image->bits_allocated) >> (image->high_bit + 1 - image->bits_stored) & mask_of(image);
    if (image->bits_stored >= 8) return (uint8_t)(v >> (image->bits_stored - 8));
    return (uint8_t)(v * 255 / mask_of(image));
}

static void color_row(const struct px_rows *r, uint64_t first, uint8_t *to) {
    const struct px_frame *f = r->frame;
    uint64_t pixels = (uint64_t)f->image.rows * f->image.columns;
    if (f->image.photometric == PX_RGB && !f->image.planar && f->image.bits_allocated == 8 && f->image.bits_stored == 8) {
        memcpy(to, f->bytes + first * 3, (size_t)f->image.columns * 3);
        return;
    }
    for (uint32_t x = 0; x < f->image.columns; x++) {
        for (unsigned c = 0; c < 3; c++) to[3 * x + c] = sample_at(f, f->image.planar ? c * pixels + first + x : 3 * (first + x) + c);
        if (f->image.photometric == PX_YBR_FULL) ybr_to_rgb(to + 3 * x, false);
    }
}

// Two pixels share their chrominance: Y1 Y2 CB CR (PS3.3 C.7.6.3.1.2).
static void ybr_422_row(const struct px_rows *r, uint64_t first, uint8_t *to) {
    const struct px_frame *f = r->frame;
    for (uint32_t x = 0; x < f->image.columns; x++) {
        uint64_t group = (first + x) / 2 * 4;
        to[3 * x] = sample_at(f, group + x % 2);
        to[3 * x + 1] = sample_at(f, group + 2);
        to[3 * x + 2] = sample_at(f, group + 3);
        ybr_to_rgb(to + 3 * x, f->image.photometric == PX_YBR_PARTIAL_422);
    }
}

void px_row(const struct px_rows *r, uint32_t y, uint8_t *to) {
    const struct px_image *image = &r->frame->image;
    uint64_t first = (uint64_t)y * image->columns;
    if (image->photometric == PX_PALETTE_COLOR)
        palette_row(r, first, to);
    else if (r->supplemental)
        supplemental_row(r, first, to);
    else if (image->photometric == PX_YBR_FULL_422 || image->photometric == PX_YBR_PARTIAL_422)
        ybr_422_row(r, first, to);
    else if (image->samples == 3)
        color_row(r, first, to);
    else if (r->straight)
        straight_row(r, first, to);
    else if (r->gray && plain_16(image))
        gray_row_16(r, first, to);
    else
        gray_row(r, first, to);
}
