// Description of pixel data, checked against what can be, and reading of native frames.
#include "pixel/frame.h"

#include "base/limits.h"
#include "dicom/value.h"

static bool wrong(struct err *e, const char *attribute, int64_t value, const char *allowed) {
    return err_set(e, ERR_UNDECODABLE, "pixel", "%s is %lld; %s", attribute, (long long)value, allowed);
}

// A whole number within bounds. absent: what it is when missing or empty (below min: it must be there).
static bool number(const struct dcm_dataset *ds, uint32_t tag, const char *name, int64_t min, int64_t max, int64_t absent, int64_t *out, struct err *e) {
    const struct dcm_element *el = dcm_find(ds, tag);
    if (!el || el->length == 0) {
        *out = absent;
        return absent >= min || err_set(e, ERR_UNDECODABLE, "pixel", "%s is missing", name);
    }
    if (!dcm_i64(ds, tag, 0, out)) return err_set(e, ERR_UNDECODABLE, "pixel", "%s is no number", name);
    if (*out >= min && *out <= max) return true;
    return err_set(e, ERR_UNDECODABLE, "pixel", "%s is %lld; it may be %lld to %lld", name, (long long)*out, (long long)min, (long long)max);
}

static const struct {
    const char *name;
    enum px_photometric photometric;
    unsigned samples;
} PHOTOMETRIC[] = {
    {"MONOCHROME1", PX_MONOCHROME1, 1},
    {"MONOCHROME2", PX_MONOCHROME2, 1},
    {"PALETTE COLOR", PX_PALETTE_COLOR, 1},
    {"RGB", PX_RGB, 3},
    {"YBR_FULL", PX_YBR_FULL, 3},
    {"YBR_FULL_422", PX_YBR_FULL_422, 3},
    {"YBR_ICT", PX_YBR_ICT, 3},
    {"YBR_RCT", PX_YBR_RCT, 3},
    {"YBR_PARTIAL_420", PX_YBR_PARTIAL_420, 3},
    {"YBR_PARTIAL_422", PX_YBR_PARTIAL_422, 3},
    {"XYB", PX_XYB, 3},
};

const char *px_photometric_name(enum px_photometric p) {
    for (size_t i = 0; i < sizeof PHOTOMETRIC / sizeof PHOTOMETRIC[0]; i++)
        if (PHOTOMETRIC[i].photometric == p) return PHOTOMETRIC[i].name;
    return "";
}

static bool read_photometric(const struct dcm_dataset *ds, struct px_image *image, struct err *e) {
    struct str text = dcm_text_at(ds, DCM_PhotometricInterpretation, 0);
    if (!text.n) {
        image->photometric = image->samples == 3 ? PX_RGB : PX_MONOCHROME2;
        return true;
    }
    for (size_t i = 0; i < sizeof PHOTOMETRIC / sizeof PHOTOMETRIC[0]; i++) {
        if (!str_eqz(text, PHOTOMETRIC[i].name)) continue;
        image->photometric = PHOTOMETRIC[i].photometric;
        if (PHOTOMETRIC[i].samples == image->samples) return true;
        return err_set(e, ERR_UNDECODABLE, "pixel", "Photometric Interpretation %s goes with %u samples per pixel, not %u", PHOTOMETRIC[i].name,
                       PHOTOMETRIC[i].samples, image->samples);
    }
    return err_set(e, ERR_UNDECODABLE, "pixel", "Photometric Interpretation '%.*s' is not known", STR_FMT(text));
}

static bool read_bits(const struct dcm_dataset *ds, struct px_image *image, struct err *e) {
    int64_t allocated, stored, high, representation;
    int64_t whole = image->kind == PX_FLOAT ? 32 : image->kind == PX_DOUBLE ? 64 : 0;
    if (!number(ds, DCM_BitsAllocated, "Bits Allocated", 1, 64, whole, &allocated, e)) return false;
    if (whole && allocated != whole) return wrong(e, "Bits Allocated", allocated, "float pixel data takes 32, double 64");
    if (!whole && allocated != 1 && allocated != 8 && allocated != 16 && allocated != 32)
        return wrong(e, "Bits Allocated", allocated, "it may be 1, 8, 16 or 32");
    if (!number(ds, DCM_BitsStored, "Bits Stored", 1, allocated, allocated, &stored, e)) return false;
    if (!number(ds, DCM_HighBit, "High Bit", stored - 1, allocated - 1, stored - 1, &high, e)) return false;
    if (!number(ds, DCM_PixelRepresentation, "Pixel Representation", 0, 1, 0, &representation, e)) return false;
    image->bits_allocated = (unsigned)allocated;
    image->bits_stored = (unsigned)stored;
    image->high_bit = (unsigned)high;
    image->is_signed = representation == 1;
    return true;
}

static bool read_shape(const struct dcm_dataset *ds, struct px_image *image, struct err *e) {
    int64_t rows, columns, frames, samples, planar;
    if (!number(ds, DCM_Rows, "Rows", 1, 65535, 0, &rows, e) || !number(ds, DCM_Columns, "Columns", 1, 65535, 0, &columns, e)) return false;
    if (!number(ds, DCM_NumberOfFrames, "Number of Frames", 1, INT32_MAX, 1, &frames, e)) return false;
    if (!number(ds, DCM_SamplesPerPixel, "Samples per Pixel", 1, 3, 1, &samples, e)) return false;
    if (samples == 2) return wrong(e, "Samples per Pixel", samples, "it may be 1 or 3");
    if (!number(ds, DCM_PlanarConfiguration, "Planar Configuration", 0, 1, 0, &planar, e)) return false;
    image->rows = (uint32_t)rows;
    image->columns = (uint32_t)columns;
    image->frames = (uint32_t)frames;
    image->samples = (unsigned)samples;
    image->planar = samples > 1 && planar == 1;
    return true;
}

static void find_pixels(const struct dcm_dataset *ds, struct px_image *image) {
    static const struct {
        uint32_t tag;
        enum px_samples kind;
    } places[] = {{DCM_PixelData, PX_INTEGER}, {DCM_FloatPixelData, PX_FLOAT}, {DCM_DoubleFloatPixelData, PX_DOUBLE}};
    for (size_t i = 0; i < sizeof places / sizeof places[0] && !image->pixels; i++) {
        image->pixels = dcm_find(ds, places[i].tag);
        image->kind = places[i].kind;
    }
}

// Two chrominance samples serve two pixels.
static bool halves_chrominance(const struct px_image *image) {
    return image->photometric == PX_YBR_FULL_422 || image->photometric == PX_YBR_PARTIAL_422;
}

// What the pipeline cannot show although each attribute may be.
static bool check_together(const struct px_image *image, struct err *e) {
    if (image->samples == 3 && (image->bits_allocated == 1 || image->kind != PX_INTEGER))
        return wrong(e, "Bits Allocated", image->bits_allocated, "colour takes 8, 16 or 32");
    if (halves_chrominance(image) && image->columns % 2 && !image->encapsulated)
        return wrong(e, "Columns", image->columns, "YBR_FULL_422 and YBR_PARTIAL_422 need an even number");
    if (image->photometric == PX_PALETTE_COLOR && (image->kind != PX_INTEGER || image->bits_allocated > 16))
        return wrong(e, "Bits Allocated", image->bits_allocated, "palette colour takes 8 or 16");
    uint64_t bytes = px_frame_bits(image) / 8;
    if (bytes <= PX_FRAME_BYTES_MAX) return true;
    return err_set(e, ERR_UNDECODABLE, "pixel", "a frame of %u x %u pixels takes %llu bytes, more than the %d that are allowed", image->columns, image->rows,
                   (unsigned long long)bytes, PX_FRAME_BYTES_MAX);
}

bool px_image_of(const struct dcm_dataset *ds, struct px_image *out, struct err *e) {
    *out = (struct px_image){.big_endian = ds->big_endian};
    find_pixels(ds, out);
    if (!out->pixels) return err_set(e, ERR_NOT_FOUND, "pixel", "the object has no pixel data");
    out->encapsulated = out->pixels->flags & (DCM_FRAGMENTS | DCM_UNDEFINED_LENGTH);
    return read_shape(ds, out, e) && read_bits(ds, out, e) && read_photometric(ds, out, e) && check_together(out, e);
}

uint64_t px_frame_bits(const struct px_image *image) {
    uint64_t pixels = (uint64_t)image->rows * image->columns;
    unsigned samples = halves_chrominance(image) ? 2 : image->samples;
    return pixels * samples * image->bits_allocated;
}

// ---- native frames ----

// Bytes [begin, end) of the value that hold the frame.
struct span {
    uint64_t begin, end;
    unsigned bit_offset;
};

static bool span_of(const struct px_image *image, uint32_t frame, struct span *out, struct err *e) {
    uint64_t bits = px_frame_bits(image), first, last;
    if (__builtin_mul_overflow(bits, (uint64_t)frame, &first) || __builtin_add_overflow(first, bits, &last) || last > UINT64_MAX - 7)
        return wrong(e, "Number of Frames", image->frames, "so many frames cannot be in one object");
    *out = (struct span){first / 8, (last + 7) / 8, (unsigned)(first % 8)};
    if (out->end <= image->pixels->length) return true;
    return err_set(e, ERR_UNDECODABLE, "pixel", "frame %llu of %u x %u pixels would end at byte %llu of the pixel data, which has %llu",
                   (unsigned long long)frame + 1, image->columns, image->rows, (unsigned long long)out->end, (unsigned long long)image->pixels->length);
}

// PS3.5 7.3: OW is swapped by words of two bytes even where pixels are bytes; wider pixels by their own width, as everybody writes them.
static unsigned swap_unit(const struct px_image *image) {
    if (!image->big_endian) return 1;
    if (image->bits_allocated > 8) return image->bits_allocated / 8;
    return image->pixels->vr == DCM_VR_OW ? 2 : 1;
}

static bool read_value(const struct dcm_source *source, const struct dcm_element *el, uint64_t at, uint8_t *p, size_t n, struct err *e) {
    if (el->value) {
        memcpy(p, el->value + at, n);
        return true;
    }
    if (!source) return err_set(e, ERR_INTERNAL, "pixel", "the pixel data is by reference and no source was given");
    if (source->read_at(source->ctx, el->offset + at, p, n, e)) return true;
    if (e && e->kind == ERR_BAD_INPUT) e->kind = ERR_UNDECODABLE; // the file ends before the pixel data does
    return err_wrap(e, "reading pixel data");
}

static bool read_native(void *ctx, struct arena *a, const struct px_image *image, uint32_t frame, struct px_frame *out, struct err *e) {
    struct span s = {0};
    if (image->encapsulated) return err_set(e, ERR_UNSUPPORTED, "pixel", "the pixel data is compressed, and no decoder for its transfer syntax is there");
    if (!span_of(image, frame, &s, e)) return false;
    unsigned unit = swap_unit(image);
    uint64_t begin = s.begin / unit * unit, end = (s.end + unit - 1) / unit * unit;
    if (end > image->pixels->length) end = image->pixels->length;
    uint8_t *p = arena_alloc(a, end - begin, e);
    if (!p || !read_value(ctx, image->pixels, begin, p, end - begin, e)) return false;
    if (unit > 1) dcm_value_swap(p, end - begin, unit);
    *out = (struct px_frame){.image = *image, .bytes = p + (s.begin - begin), .n = s.end - s.begin, .bit_offset = s.bit_offset};
    return true;
}

struct px_reader px_reader_native(const struct dcm_source *source) {
    return (struct px_reader){.read = read_native, .ctx = (void *)(uintptr_t)source};
}
