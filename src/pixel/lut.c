// Modality and VOI transformations.
#include "pixel/lut.h"

#include <math.h>

#include "base/limits.h"

// ---- look-up tables ----

// US and SS share attributes: the VR that stands there may be of the wrong sign, or negative counts where 16 bits wrapped.
static int64_t as_unsigned16(int64_t v) {
    return v < 0 && v >= -32768 ? v + 65536 : v;
}

static int64_t as_signed16(int64_t v) {
    return v > 32767 && v <= 65535 ? v - 65536 : v;
}

bool px_lut_descriptor(const struct dcm_dataset *ds, uint32_t descriptor, bool is_signed, const char *name, struct px_lut *out, struct err *e) {
    int64_t count, first, bits;
    if (!dcm_i64(ds, descriptor, 0, &count) || !dcm_i64(ds, descriptor, 1, &first) || !dcm_i64(ds, descriptor, 2, &bits))
        return err_set(e, ERR_UNDECODABLE, "pixel", "%s Descriptor is missing or has not three values", name);
    count = as_unsigned16(count);
    if (count == 0) count = PX_LUT_ENTRIES_MAX;
    if (count < 1 || count > PX_LUT_ENTRIES_MAX || bits < 8 || bits > 16)
        return err_set(e, ERR_UNDECODABLE, "pixel", "%s Descriptor declares %lld entries of %lld bits; entries have 8 to 16", name, (long long)count,
                       (long long)bits);
    *out = (struct px_lut){.count = (uint32_t)count, .first = is_signed ? as_signed16(first) : as_unsigned16(first), .bits = (unsigned)bits};
    return true;
}

uint16_t *px_words_of(struct arena *a, const struct dcm_dataset *ds, uint32_t tag, const char *name, size_t *count, struct err *e) {
    const struct dcm_element *el = dcm_find(ds, tag);
    if (!el || !el->value || el->length < 2 || el->length > DCM_VALUE_IN_MEMORY_MAX) {
        err_set(e, ERR_UNDECODABLE, "pixel", "%s Data is missing", name);
        return NULL;
    }
    *count = el->length / 2;
    uint16_t *words = arena_alloc(a, *count * sizeof *words, e);
    for (size_t i = 0; words && i < *count; i++) {
        unsigned low = el->value[2 * i + ds->big_endian], high = el->value[2 * i + !ds->big_endian];
        words[i] = (uint16_t)(high << 8 | low);
    }
    return words;
}

bool px_lut_of(struct arena *a, const struct dcm_dataset *ds, uint32_t descriptor, uint32_t data, bool is_signed, const char *name, struct px_lut *out,
               struct err *e) {
    size_t words;
    struct px_lut lut;
    if (!px_lut_descriptor(ds, descriptor, is_signed, name, &lut, e)) return false;
    uint16_t *word = px_words_of(a, ds, data, name, &words, e);
    if (!word) return false;
    bool packed = lut.bits == 8 && words < lut.count; // two entries of 8 bits a word
    if (words < (packed ? (lut.count + 1) / 2 : lut.count))
        return err_set(e, ERR_UNDECODABLE, "pixel", "%s Data has %zu words, too few for %u entries", name, words, lut.count);
    uint16_t *entry = arena_alloc(a, lut.count * sizeof *entry, e);
    if (!entry) return false;
    for (uint32_t i = 0; i < lut.count; i++) {
        int value = packed ? word[i / 2] >> (i % 2 ? 8 : 0) & 0xFF : word[i];
        entry[i] = (uint16_t)value;
    }
    lut.entry = entry;
    *out = lut;
    return true;
}

// ---- what the data set says ----

static bool finite_at(const struct dcm_dataset *ds, uint32_t tag, unsigned i, double *out) {
    double v;
    if (!ds || !dcm_f64(ds, tag, i, &v) || !isfinite(v)) return false;
    *out = v;
    return true;
}

const struct dcm_dataset *px_functional_group(const struct dcm_dataset *ds, uint32_t frame, uint32_t macro) {
    const struct dcm_dataset *group = dcm_item(ds, DCM_PerFrameFunctionalGroupsSequence, frame);
    const struct dcm_dataset *item = group ? dcm_item(group, macro, 0) : NULL;
    if (item) return item;
    group = dcm_item(ds, DCM_SharedFunctionalGroupsSequence, 0);
    return group ? dcm_item(group, macro, 0) : NULL;
}

static bool read_modality(struct arena *a, const struct dcm_dataset *ds, const struct px_image *image, uint32_t frame, struct px_mapping *m, struct err *e) {
    const struct dcm_dataset *group = px_functional_group(ds, frame, DCM_PixelValueTransformationSequence);
    const struct dcm_dataset *lut = dcm_item(ds, DCM_ModalityLUTSequence, 0);
    m->slope = 1;
    if (!group && lut && image->kind == PX_INTEGER) return px_lut_of(a, lut, DCM_LUTDescriptor, DCM_LUTData, image->is_signed, "Modality LUT", &m->modality, e);
    const struct dcm_dataset *from = group ? group : ds;
    finite_at(from, DCM_RescaleIntercept, 0, &m->intercept);
    finite_at(from, DCM_RescaleSlope, 0, &m->slope);
    if (m->slope == 0) m->slope = 1; // would make every pixel the same
    return true;
}

bool px_window_valid(const struct px_window *w) {
    return isfinite(w->center) && isfinite(w->width) && (w->function == PX_LINEAR ? w->width >= 1 : w->width > 0);
}

static enum px_voi_function function_of(const struct dcm_dataset *ds) {
    struct str text = dcm_text_at(ds, DCM_VOILUTFunction, 0);
    if (str_eqz(text, "SIGMOID")) return PX_SIGMOID;
    return str_eqz(text, "LINEAR_EXACT") ? PX_LINEAR_EXACT : PX_LINEAR;
}

static bool read_window(const struct dcm_dataset *from, unsigned which, struct px_mapping *m) {
    struct px_window w = {.function = function_of(from)};
    m->has_window = finite_at(from, DCM_WindowCenter, which, &w.center) && finite_at(from, DCM_WindowWidth, which, &w.width) && px_window_valid(&w);
    if (m->has_window) m->window = w;
    return m->has_window;
}

// Windows and LUTs of one place: LUTs are counted first. A VOI LUT is the maker's own choice of contrast: it goes before a window.
static bool voi_of(struct arena *a, const struct dcm_dataset *from, const struct px_image *image, unsigned which, struct px_mapping *m, struct err *e) {
    unsigned luts = dcm_vm(from, DCM_VOILUTSequence);
    const struct dcm_dataset *lut = which < luts ? dcm_item(from, DCM_VOILUTSequence, which) : NULL;
    // PS3.3 C.11.2.1.1: the first value mapped is signed when the modality transformation can give negative values
    bool is_signed = m->modality.count == 0 && (image->is_signed || m->intercept < 0);
    if (lut) return px_lut_of(a, lut, DCM_LUTDescriptor, DCM_LUTData, is_signed, "VOI LUT", &m->voi, e);
    if (read_window(from, which - luts, m) || which == 0) return true;
    return err_set(e, ERR_NOT_FOUND, "pixel", "the object has no VOI transformation number %u", which + 1);
}

static bool read_voi(struct arena *a, const struct dcm_dataset *ds, const struct px_image *image, uint32_t frame, const struct px_choice *choice,
                     struct px_mapping *m, struct err *e) {
    if (choice->window) {
        m->window = *choice->window;
        m->has_window = true;
        return true;
    }
    const struct dcm_dataset *group = px_functional_group(ds, frame, DCM_FrameVOILUTSequence);
    if (choice->presentation) return !choice->softcopy_voi || voi_of(a, choice->softcopy_voi, image, choice->voi, m, e);
    if (!group) return voi_of(a, ds, image, choice->voi, m, e);
    return voi_of(a, group, image, choice->voi, m, e) && (m->has_window || m->voi.count || voi_of(a, ds, image, choice->voi, m, e));
}

// C.11.4 and C.11.6. Shape INVERSE of an image says of MONOCHROME1 what its Photometric Interpretation does: it counts once. A presentation state's says all.
static bool read_presentation(struct arena *a, const struct dcm_dataset *ds, bool monochrome1, struct px_mapping *m, struct err *e) {
    const struct dcm_dataset *lut = dcm_item(ds, DCM_PresentationLUTSequence, 0);
    if (lut) return px_lut_of(a, lut, DCM_LUTDescriptor, DCM_LUTData, false, "Presentation LUT", &m->presentation, e);
    m->invert = monochrome1 || str_eqz(dcm_text_at(ds, DCM_PresentationLUTShape, 0), "INVERSE");
    return true;
}

static void read_padding(const struct dcm_dataset *ds, const struct px_image *image, struct px_mapping *m) {
    int64_t value, limit;
    if (image->kind != PX_INTEGER) {
        m->has_padding = finite_at(ds, image->kind == PX_FLOAT ? DCM_FloatPixelPaddingValue : DCM_DoubleFloatPixelPaddingValue, 0, &m->padding_min);
        m->padding_max = m->padding_min;
        return;
    }
    m->has_padding = dcm_i64(ds, DCM_PixelPaddingValue, 0, &value);
    if (!m->has_padding) return;
    if (!dcm_i64(ds, DCM_PixelPaddingRangeLimit, 0, &limit)) limit = value;
    value = image->is_signed ? as_signed16(value) : as_unsigned16(value);
    limit = image->is_signed ? as_signed16(limit) : as_unsigned16(limit);
    m->padding_min = (double)(value < limit ? value : limit);
    m->padding_max = (double)(value < limit ? limit : value);
}

// Without a VOI transformation all that the modality transformation can give is shown (C.11.8).
static void window_over_all(const struct px_image *image, struct px_mapping *m) {
    double min = image->is_signed ? -ldexp(1, (int)image->bits_stored - 1) : 0, max = min + ldexp(1, (int)image->bits_stored) - 1;
    double from = min * m->slope + m->intercept, to = max * m->slope + m->intercept;
    if (m->modality.count) from = 0, to = ldexp(1, (int)m->modality.bits) - 1;
    m->window = px_window_over(fmin(from, to), fmax(from, to));
    m->has_window = true;
}

bool px_mapping_of(struct arena *a, const struct dcm_dataset *ds, const struct px_image *image, uint32_t frame, const struct px_choice *choice,
                   struct px_mapping *out, struct err *e) {
    const struct dcm_dataset *from = choice->presentation ? choice->presentation : ds;
    *out = (struct px_mapping){.slope = 1};
    read_padding(ds, image, out);
    if (!read_modality(a, from, image, frame, out, e) || !read_voi(a, ds, image, frame, choice, out, e)) return false;
    if (choice->presentation && !out->has_window && !out->voi.count && image->kind == PX_INTEGER) window_over_all(image, out);
    return read_presentation(a, from, !choice->presentation && image->photometric == PX_MONOCHROME1, out, e);
}

// ---- values ----

static int64_t whole(double v) {
    if (!(v > -9e15)) return INT64_MIN / 4;
    return v > 9e15 ? INT64_MAX / 4 : (int64_t)floor(v);
}

double px_modality_value(const struct px_mapping *m, double stored) {
    if (m->modality.count) return m->modality.entry[px_lut_index(whole(stored), m->modality.first, m->modality.count)];
    return stored * m->slope + m->intercept;
}

bool px_is_padding(const struct px_mapping *m, double stored) {
    return m->has_padding && stored >= m->padding_min && stored <= m->padding_max;
}

struct px_window px_window_over(double min, double max) {
    return (struct px_window){.center = min + (max - min) / 2, .width = max > min ? max - min : 1, .function = PX_LINEAR_EXACT};
}

// PS3.3 C.11.2.1.2 and C.11.2.1.3: 0 (black) to 1 (white).
static double through_window(const struct px_window *w, double x) {
    if (w->function == PX_SIGMOID) return 1 / (1 + exp(-4 * (x - w->center) / w->width));
    bool exact = w->function == PX_LINEAR_EXACT;
    double center = exact ? w->center : w->center - 0.5, width = exact ? w->width : w->width - 1;
    if (x <= center - width / 2) return 0;
    if (x > center + width / 2) return 1;
    return (x - center) / width + 0.5;
}

uint8_t px_gray(const struct px_mapping *m, double value) {
    double shown;
    if (m->voi.count)
        shown = m->voi.entry[px_lut_index(whole(value), m->voi.first, m->voi.count)] / (double)((1u << m->voi.bits) - 1);
    else
        shown = through_window(&m->window, value);
    if (!(shown > 0)) shown = 0; // not a number is black
    if (shown > 1) shown = 1;
    if (m->presentation.count) { // its entries are for the whole range before it, from the first
        uint32_t i = (uint32_t)(shown * (m->presentation.count - 1) + 0.5);
        shown = fmin(m->presentation.entry[i] / (double)((1u << m->presentation.bits) - 1), 1);
    }
    return (uint8_t)((m->invert ? 1 - shown : shown) * 255 + 0.5);
}
