// Finding elements and reading their values as text and numbers.
#include "dicom/dataset.h"

#include <math.h>

struct dcm_dataset *dcm_dataset_new(struct arena *a, struct err *e) {
    struct dcm_dataset *ds = arena_zero(a, 1, sizeof *ds, e);
    if (!ds) return NULL;
    ds->arena = a;
    ds->explicit_vr = true;
    return ds;
}

const struct dcm_element *dcm_find(const struct dcm_dataset *ds, uint32_t tag) {
    const struct dcm_element *base = ds->elements;
    uint32_t n = ds->count;
    while (n > 1) {
        uint32_t half = n / 2;
        base = base[half].tag <= tag ? base + half : base;
        n -= half;
    }
    return n && base->tag == tag ? base : NULL;
}

// ---- private blocks (PS3.5 7.8.1) ----

struct str dcm_private_creator(const struct dcm_dataset *ds, uint32_t tag) {
    if (!dcm_tag_is_private(tag) || DCM_ELEMENT(tag) < 0x1000) return (struct str){NULL, 0};
    return dcm_text(ds, DCM_TAG(DCM_GROUP(tag), DCM_ELEMENT(tag) >> 8));
}

const struct dcm_element *dcm_find_private(const struct dcm_dataset *ds, uint16_t group, struct str creator, uint8_t element) {
    for (uint16_t block = 0x10; block <= 0xFF; block++) {
        const struct dcm_element *el = dcm_find(ds, DCM_TAG(group, block));
        if (!el || !str_eq(dcm_text(ds, el->tag), creator)) continue;
        el = dcm_find(ds, DCM_TAG(group, block << 8 | element));
        if (el) return el;
    }
    return NULL;
}

// ---- text ----

static struct str trim_end(struct str s) {
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\0')) s.n--;
    return s;
}

static bool keeps_leading_spaces(uint16_t vr) {
    return vr == DCM_VR_ST || vr == DCM_VR_LT || vr == DCM_VR_UT || vr == DCM_VR_UC || vr == DCM_VR_UR;
}

static struct str trim_value(struct str s, uint16_t vr) {
    s = trim_end(s);
    if (keeps_leading_spaces(vr)) return s;
    while (s.n && s.p[0] == ' ') s = str_sub(s, 1, s.n);
    return s;
}

static struct str raw_text(const struct dcm_element *el) {
    if (!el || el->vr == DCM_VR_SQ || (el->flags & (DCM_BY_REFERENCE | DCM_FRAGMENTS))) return (struct str){NULL, 0};
    return (struct str){el->value ? (const char *)el->value : "", el->value ? (size_t)el->length : 0};
}

struct str dcm_text(const struct dcm_dataset *ds, uint32_t tag) {
    const struct dcm_element *el = dcm_find(ds, tag);
    struct str s = raw_text(el);
    return s.p ? trim_value(s, el->vr) : s;
}

// How bytes of text make characters, as far as a backslash byte may be the second half of one.
enum halves { SINGLE_BYTES, LEAD_BYTES, ESCAPES };

static enum halves halves_of(const struct dcm_dataset *ds) {
    for (; ds; ds = ds->parent) {
        struct str terms = dcm_text(ds, DCM_SpecificCharacterSet);
        if (!terms.n) continue;
        enum halves found = SINGLE_BYTES;
        while (terms.p) {
            struct str term = str_trim(str_split(&terms, '\\'));
            if (str_starts(term, STR_LIT("GB")) || str_eq_nocase(term, STR_LIT("BIG5")) || str_eq_nocase(term, STR_LIT("SHIFT_JIS"))) return LEAD_BYTES;
            if (str_ends(term, STR_LIT(" 87")) || str_ends(term, STR_LIT(" 159"))) found = ESCAPES; // ISO 2022: JIS X 0208 and 0212 in G0
        }
        return found;
    }
    return SINGLE_BYTES;
}

// Index of the first separator at or after from, or s.n.
static size_t find_separator(struct str s, size_t from, enum halves halves) {
    bool wide = false; // a two-byte set is in G0
    for (size_t i = from; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((halves == LEAD_BYTES && c >= 0x81 && c != 0xFF) || (wide && c > 0x20)) {
            i++;
        } else if (halves == ESCAPES && c == 0x1B && i + 2 < s.n) {
            bool two_bytes = s.p[i + 1] == '$', to_g1 = s.p[i + 1] == ')' || (two_bytes && s.p[i + 2] == ')');
            if (!to_g1) wide = two_bytes;
            i += two_bytes && (s.p[i + 2] == '(' || s.p[i + 2] == ')') ? 3 : 2;
        } else if (c == '\\') {
            return i;
        } else if (c < 0x20) {
            wide = false; // control characters reset the code extension (PS3.5 6.1.2.5.3)
        }
    }
    return s.n;
}

static enum halves halves_for(const struct dcm_dataset *ds, const struct dcm_element *el) {
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    return info && info->charset ? halves_of(ds) : SINGLE_BYTES;
}

static bool has_values(uint16_t vr) {
    const struct dcm_vr_info *info = dcm_vr_find(vr);
    return info && info->multi;
}

static struct str value_at(const struct dcm_dataset *ds, const struct dcm_element *el, unsigned i) {
    struct str s = raw_text(el);
    if (!s.p || !has_values(el->vr)) return s.p && i == 0 ? trim_value(s, el->vr) : (struct str){NULL, 0};
    enum halves halves = halves_for(ds, el);
    size_t from = 0;
    for (;; i--) {
        size_t end = find_separator(s, from, halves);
        if (i == 0) return trim_value(str_sub(s, from, end - from), el->vr);
        if (end >= s.n) return (struct str){NULL, 0};
        from = end + 1;
    }
}

struct str dcm_text_at(const struct dcm_dataset *ds, uint32_t tag, unsigned i) {
    const struct dcm_element *el = dcm_find(ds, tag);
    return el ? value_at(ds, el, i) : (struct str){NULL, 0};
}

static unsigned count_values(const struct dcm_dataset *ds, const struct dcm_element *el) {
    struct str s = raw_text(el);
    if (!s.p) return 1;
    enum halves halves = halves_for(ds, el);
    unsigned n = 1;
    for (size_t at = find_separator(s, 0, halves); at < s.n; at = find_separator(s, at + 1, halves)) n++;
    return n;
}

unsigned dcm_vm(const struct dcm_dataset *ds, uint32_t tag) {
    const struct dcm_element *el = dcm_find(ds, tag);
    if (!el) return 0;
    if (el->vr == DCM_VR_SQ) return el->item_count;
    if (el->length == 0) return 0;
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    if (!info || (el->flags & DCM_FRAGMENTS)) return 1;
    if (info->text) return info->multi ? count_values(ds, el) : 1;
    uint64_t n = el->length / info->unit;
    if (el->vr == DCM_VR_UN || el->vr == DCM_VR_OB || el->vr == DCM_VR_OW) return 1;
    return n > UINT32_MAX ? UINT32_MAX : (unsigned)n;
}

// ---- numbers ----

// The i-th unit of a binary value in the order of the machine, zero-extended.
static bool unit_at(const struct dcm_dataset *ds, const struct dcm_element *el, unsigned unit, unsigned i, uint64_t *out) {
    if (!el->value || (el->flags & DCM_FRAGMENTS) || ((uint64_t)i + 1) * unit > el->length) return false;
    const uint8_t *p = el->value + (size_t)i * unit;
    uint64_t v = 0;
    for (unsigned k = 0; k < unit; k++) v = v << 8 | p[ds->big_endian ? k : unit - 1 - k];
    *out = v;
    return true;
}

enum number_kind { NUMBER_NONE, NUMBER_TEXT, NUMBER_UNSIGNED, NUMBER_SIGNED, NUMBER_FLOAT, NUMBER_TAG };

static enum number_kind number_kind_of(uint16_t vr) {
    switch (vr) {
    case DCM_VR_IS:
    case DCM_VR_DS:
        return NUMBER_TEXT;
    case DCM_VR_US:
    case DCM_VR_UL:
    case DCM_VR_UV:
    case DCM_VR_OB:
    case DCM_VR_OW:
    case DCM_VR_OL:
    case DCM_VR_OV:
        return NUMBER_UNSIGNED;
    case DCM_VR_SS:
    case DCM_VR_SL:
    case DCM_VR_SV:
        return NUMBER_SIGNED;
    case DCM_VR_FL:
    case DCM_VR_FD:
    case DCM_VR_OF:
    case DCM_VR_OD:
        return NUMBER_FLOAT;
    case DCM_VR_AT:
        return NUMBER_TAG;
    default:
        return NUMBER_NONE;
    }
}

static double float_of(uint64_t bits, unsigned unit) {
    if (unit == 4) {
        uint32_t narrow = (uint32_t)bits;
        float f;
        memcpy(&f, &narrow, sizeof f);
        return (double)f;
    }
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static int64_t sign_extend(uint64_t v, unsigned unit) {
    unsigned shift = (64 - unit * 8) & 63;
    return (int64_t)(v << shift) >> shift;
}

struct number {
    bool exact; // i holds it; otherwise d does
    int64_t i;
    double d;
};

static bool text_number(struct str s, struct number *n) {
    n->exact = str_to_i64(s, &n->i);
    return n->exact || str_to_f64(s, &n->d);
}

static bool number_at(const struct dcm_dataset *ds, uint32_t tag, unsigned i, struct number *n) {
    const struct dcm_element *el = dcm_find(ds, tag);
    enum number_kind kind = el ? number_kind_of(el->vr) : NUMBER_NONE;
    if (kind == NUMBER_NONE) return false;
    if (kind == NUMBER_TEXT) return text_number(value_at(ds, el, i), n);
    unsigned unit = kind == NUMBER_TAG ? 2 : dcm_vr_find(el->vr)->unit;
    uint64_t v = 0, low = 0;
    if (!unit_at(ds, el, unit, kind == NUMBER_TAG ? 2 * i : i, &v)) return false;
    if (kind == NUMBER_TAG && !unit_at(ds, el, unit, 2 * i + 1, &low)) return false;
    n->exact = kind != NUMBER_FLOAT && !(kind == NUMBER_UNSIGNED && v > INT64_MAX);
    if (kind == NUMBER_FLOAT)
        n->d = float_of(v, unit);
    else if (!n->exact)
        n->d = (double)v;
    else if (kind == NUMBER_SIGNED)
        n->i = sign_extend(v, unit);
    else
        n->i = (int64_t)(kind == NUMBER_TAG ? v << 16 | low : v);
    return true;
}

bool dcm_i64(const struct dcm_dataset *ds, uint32_t tag, unsigned i, int64_t *out) {
    struct number n;
    if (!number_at(ds, tag, i, &n)) return false;
    if (!n.exact) {
        if (!(n.d >= -9223372036854775808.0 && n.d < 9223372036854775808.0) || n.d != floor(n.d)) return false;
        n.i = (int64_t)n.d;
    }
    *out = n.i;
    return true;
}

bool dcm_f64(const struct dcm_dataset *ds, uint32_t tag, unsigned i, double *out) {
    struct number n;
    if (!number_at(ds, tag, i, &n)) return false;
    *out = n.exact ? (double)n.i : n.d;
    return true;
}

const struct dcm_dataset *dcm_item(const struct dcm_dataset *ds, uint32_t tag, unsigned i) {
    const struct dcm_element *el = dcm_find(ds, tag);
    return el && el->vr == DCM_VR_SQ && i < el->item_count ? el->items[i] : NULL;
}
