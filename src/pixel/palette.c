// Palette colour look-up tables, plain and segmented (PS3.3 C.7.9).
#include "base/limits.h"
#include "pixel/lut.h"

static const struct channel {
    uint32_t descriptor, data, segmented;
    const char *name;
} CHANNELS[3] = {
    {DCM_RedPaletteColorLookupTableDescriptor, DCM_RedPaletteColorLookupTableData, DCM_SegmentedRedPaletteColorLookupTableData, "Red Palette Color LUT"},
    {DCM_GreenPaletteColorLookupTableDescriptor, DCM_GreenPaletteColorLookupTableData, DCM_SegmentedGreenPaletteColorLookupTableData,
     "Green Palette Color LUT"},
    {DCM_BluePaletteColorLookupTableDescriptor, DCM_BluePaletteColorLookupTableData, DCM_SegmentedBluePaletteColorLookupTableData, "Blue Palette Color LUT"},
};

// Segmented data as units of 8 or 16 bits, and the entries that came of it.
struct segments {
    const uint16_t *unit;
    size_t units;
    size_t at;
    unsigned bits;
    uint16_t *entry;
    uint32_t count, capacity;
    uint32_t work; // units taken so far: indirect segments may point at the same ones again and again
};

enum { SEGMENT_WORK_MAX = 1 << 22 };
enum { SEGMENT_DISCRETE, SEGMENT_LINEAR, SEGMENT_INDIRECT };

static bool take(struct segments *s, uint16_t *out) {
    if (s->at >= s->units || ++s->work > SEGMENT_WORK_MAX) return false;
    *out = s->unit[s->at++];
    return true;
}

static void put(struct segments *s, uint32_t value) {
    if (s->count < s->capacity) s->entry[s->count++] = (uint16_t)value;
}

// One discrete or linear segment, its opcode already taken.
static bool expand_plain(struct segments *s, uint16_t opcode) {
    uint16_t length, value;
    if (!take(s, &length)) return false;
    if (opcode == SEGMENT_DISCRETE) {
        for (unsigned i = 0; i < length; i++) {
            if (!take(s, &value)) return false;
            put(s, value);
        }
        return true;
    }
    if (opcode != SEGMENT_LINEAR || s->count == 0 || !take(s, &value)) return false;
    double from = s->entry[s->count - 1];
    for (unsigned i = 1; i <= length; i++) put(s, (uint32_t)(from + (value - from) * i / length + 0.5));
    return true;
}

// Copies of segments that stand elsewhere: a count, then the offset of the first in bytes, low part first. They may not be indirect themselves.
static bool expand_indirect(struct segments *s) {
    uint16_t copies, part, opcode;
    uint64_t offset = 0;
    if (!take(s, &copies)) return false;
    for (unsigned i = 0; i < 32 / s->bits; i++) {
        if (!take(s, &part)) return false;
        offset |= (uint64_t)part << i * s->bits;
    }
    size_t back = s->at;
    s->at = offset / (s->bits / 8);
    for (unsigned i = 0; i < copies; i++)
        if (!take(s, &opcode) || opcode == SEGMENT_INDIRECT || !expand_plain(s, opcode)) return false;
    s->at = back;
    return true;
}

static bool expand(struct segments *s) {
    uint16_t opcode;
    while (s->count < s->capacity && take(s, &opcode)) {
        bool ok = opcode == SEGMENT_INDIRECT ? expand_indirect(s) : expand_plain(s, opcode);
        if (!ok) return false;
    }
    return s->count == s->capacity;
}

static const uint16_t *units_of(struct arena *a, const uint16_t *words, size_t n, unsigned bits, size_t *units, struct err *e) {
    *units = n;
    if (bits == 16) return words;
    *units = n * 2;
    uint16_t *unit = arena_alloc(a, *units * sizeof *unit, e);
    for (size_t i = 0; unit && i < *units; i++) unit[i] = (uint16_t)(words[i / 2] >> (i % 2 ? 8 : 0) & 0xFF);
    return unit;
}

static bool segmented_of(struct arena *a, const struct dcm_dataset *ds, const struct channel *c, bool is_signed, struct px_lut *out, struct err *e) {
    size_t words, units;
    struct px_lut lut;
    if (!px_lut_descriptor(ds, c->descriptor, is_signed, c->name, &lut, e)) return false;
    uint16_t *word = px_words_of(a, ds, c->segmented, c->name, &words, e);
    const uint16_t *unit = word ? units_of(a, word, words, lut.bits == 8 ? 8 : 16, &units, e) : NULL;
    uint16_t *entry = unit ? arena_alloc(a, lut.count * sizeof *entry, e) : NULL;
    if (!entry) return false;
    struct segments s = {.unit = unit, .units = units, .bits = lut.bits == 8 ? 8 : 16, .entry = entry, .capacity = lut.count};
    if (!expand(&s)) return err_set(e, ERR_UNDECODABLE, "pixel", "Segmented %s Data gives %u of %u entries", c->name, s.count, lut.count);
    lut.entry = entry;
    *out = lut;
    return true;
}

// Entries of 16 bits whose high bytes are all empty were meant as 8 bits.
static unsigned shift_of(const struct px_lut *lut) {
    for (uint32_t i = 0; i < lut->count; i++)
        if (lut->entry[i] > 0xFF) return lut->bits > 8 ? lut->bits - 8 : 0;
    return 0;
}

bool px_palette_of(struct arena *a, const struct dcm_dataset *ds, const struct px_image *image, struct px_palette *out, struct err *e) {
    struct px_lut lut[3];
    unsigned shift = 0;
    for (unsigned c = 0; c < 3; c++) {
        const struct channel *ch = &CHANNELS[c];
        bool segmented = !dcm_find(ds, ch->data) && dcm_find(ds, ch->segmented);
        bool ok = segmented ? segmented_of(a, ds, ch, image->is_signed, &lut[c], e)
                            : px_lut_of(a, ds, ch->descriptor, ch->data, image->is_signed, ch->name, &lut[c], e);
        if (!ok) return false;
        if (shift_of(&lut[c]) > shift) shift = shift_of(&lut[c]);
        if (lut[c].count != lut[0].count || lut[c].first != lut[0].first)
            return err_set(e, ERR_UNDECODABLE, "pixel", "the descriptors of the palette's red, green and blue tables differ");
    }
    uint8_t *rgb = arena_alloc(a, (size_t)lut[0].count * 3, e);
    if (!rgb) return false;
    for (uint32_t i = 0; i < lut[0].count; i++)
        for (unsigned c = 0; c < 3; c++) rgb[3 * i + c] = (uint8_t)(lut[c].entry[i] >> shift);
    *out = (struct px_palette){.count = lut[0].count, .first = lut[0].first, .rgb = rgb};
    return true;
}
