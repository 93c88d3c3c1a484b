// Character sets of whole data sets: to UTF-8, and to what an asker takes.
#include "base/limits.h"
#include "dicom/assemble.h"
#include "dicom/charset.h"
#include "dicom/value.h"
#include "dicom/vr.h"
#include "text/utf8.h"

static const struct dcm_element *own_charset(const struct dcm_dataset *ds) {
    const struct dcm_element *el = dcm_find(ds, DCM_SpecificCharacterSet);
    return el && el->value && el->length ? el : NULL;
}

void dcm_charset_of(const struct dcm_dataset *ds, struct dcm_charset *cs) {
    for (unsigned depth = 0; ds && depth <= DCM_DEPTH_MAX; ds = ds->parent, depth++) {
        const struct dcm_element *el = own_charset(ds);
        if (!el) continue;
        dcm_charset_parse((struct str){(const char *)el->value, el->length}, cs);
        return;
    }
    dcm_charset_parse((struct str){0}, cs);
}

bool dcm_text_utf8(struct arena *a, const struct dcm_dataset *ds, uint32_t tag, bool repair, struct str *out, unsigned *flags, struct err *e) {
    struct dcm_charset cs;
    const struct dcm_element *el = dcm_find(ds, tag);
    struct str raw = dcm_text(ds, tag);
    *out = (struct str){NULL, 0};
    *flags = DCM_DECODE_CLEAN;
    if (!el || !raw.p) return true;
    dcm_charset_of(ds, &cs);
    return dcm_charset_decode(a, &cs, el->vr, raw, repair, out, flags, e);
}

// One conversion of a data set with everything in it.
struct conversion {
    struct arena *a;
    const struct dcm_charset *encode_to; // NULL: decode to UTF-8
    bool repair;
    bool fits;         // encoding: every text so far is in the set
    bool beyond_ascii; // a text has characters beyond the default repertoire
    unsigned flags;    // decoding: enum dcm_decode_flag of all texts
    struct err *e;
};

static bool put_even(struct conversion *c, struct str text, struct dcm_element *el) {
    uint8_t *p = arena_alloc(c->a, text.n + 2, c->e);
    if (!p) return false;
    if (text.n) memcpy(p, text.p, text.n);
    p[text.n] = ' ';
    p[text.n + 1] = '\0';
    el->value = p;
    el->length = text.n + (text.n & 1);
    el->offset = 0;
    return true;
}

static bool convert_text(struct conversion *c, const struct dcm_dataset *ds, struct dcm_element *el) {
    struct str raw = {(const char *)el->value, el->length}, text;
    while (raw.n && (raw.p[raw.n - 1] == '\0' || raw.p[raw.n - 1] == ' ')) raw.n--;
    if (utf8_is_ascii(raw) && str_find(raw, 0x1B, 0) == raw.n) return true;
    unsigned flags = DCM_DECODE_CLEAN;
    bool fits = true;
    struct dcm_charset cs;
    if (c->encode_to) {
        if (!dcm_charset_encode(c->a, c->encode_to, el->vr, raw, &text, &fits, c->e)) return false;
        c->beyond_ascii = true;
    } else {
        dcm_charset_of(ds, &cs);
        if (!dcm_charset_decode(c->a, &cs, el->vr, raw, c->repair, &text, &flags, c->e)) return false;
        if (!utf8_is_ascii(text)) c->beyond_ascii = true;
    }
    c->flags |= flags;
    c->fits = c->fits && fits;
    return !fits || put_even(c, text, el);
}

// PS3.5 7.3: values of more than a byte change their order; AT is two values of two bytes.
static bool swap_value(struct conversion *c, struct dcm_element *el, unsigned unit) {
    if (el->vr == DCM_VR_AT) unit = 2;
    if (unit < 2 || el->length < unit) return true;
    uint8_t *p = arena_alloc(c->a, el->length, c->e);
    if (!p) return false;
    memcpy(p, el->value, el->length);
    dcm_value_swap(p, el->length, unit);
    el->value = p;
    return true;
}

static bool copy_dataset(struct conversion *c, const struct dcm_dataset *ds, const struct dcm_dataset *parent, unsigned depth, struct dcm_dataset **out);

static bool copy_items(struct conversion *c, const struct dcm_dataset *copy, struct dcm_element *el, unsigned depth) {
    struct dcm_dataset **items = arena_zero(c->a, dcm_items_capacity(el->item_count) + 1, sizeof(struct dcm_dataset *), c->e);
    if (!items) return false;
    el->flags &= (uint16_t)~DCM_ITEMS_SHARED; // items may be added to the copy
    for (uint32_t i = 0; i < el->item_count; i++)
        if (!copy_dataset(c, el->items[i], copy, depth + 1, &items[i])) return false;
    el->items = items;
    return true;
}

static bool copy_element(struct conversion *c, const struct dcm_dataset *ds, const struct dcm_dataset *copy, struct dcm_element *el, unsigned depth) {
    if (el->items) return copy_items(c, copy, el, depth);
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    if (!el->value || !info) return true;
    if (info->text) return convert_text(c, ds, el);
    return !ds->big_endian || swap_value(c, el, info->unit);
}

// Recursion is bounded by DCM_DEPTH_MAX. The copy has no Specific Character Set of its own, the top level gets one at the end,
// and no group lengths, which would lie.
static bool copy_dataset(struct conversion *c, const struct dcm_dataset *ds, const struct dcm_dataset *parent, unsigned depth, struct dcm_dataset **out) {
    if (depth > DCM_DEPTH_MAX) return err_set(c->e, ERR_TOO_LARGE, "charset", "sequences nested deeper than %d", DCM_DEPTH_MAX);
    struct dcm_dataset *copy = arena_alloc(c->a, sizeof *copy, c->e);
    struct dcm_element *elements = arena_zero(c->a, (size_t)ds->count + 1, sizeof *elements, c->e);
    if (!copy || !elements) return false;
    *copy = *ds;
    copy->arena = c->a;
    copy->elements = elements;
    copy->count = 0;
    copy->capacity = ds->count + 1;
    copy->big_endian = false;
    copy->parent = parent;
    for (uint32_t i = 0; i < ds->count; i++) {
        if (ds->elements[i].tag == DCM_SpecificCharacterSet || DCM_ELEMENT(ds->elements[i].tag) == 0) continue;
        struct dcm_element *el = &elements[copy->count++];
        *el = ds->elements[i];
        if (!copy_element(c, ds, copy, el, depth)) return false;
    }
    *out = copy;
    return true;
}

static bool declare(struct dcm_dataset *ds, struct str name, struct err *e) {
    return name.n == 0 || dcm_put_text(ds, DCM_SpecificCharacterSet, DCM_VR_CS, name, e);
}

bool dcm_dataset_for_asker(struct arena *a, const struct dcm_dataset *ds, struct str asker_charset, struct dcm_dataset **out, struct err *e) {
    struct dcm_charset cs;
    dcm_charset_parse(asker_charset, &cs);
    if (cs.unknown) dcm_charset_parse((struct str){0}, &cs);
    struct conversion c = {.a = a, .encode_to = &cs, .fits = true, .e = e};
    struct arena_mark before = arena_mark(a);
    if (!copy_dataset(&c, ds, NULL, 0, out)) return false;
    if (c.fits) {
        char *name = dcm_charset_name(a, &cs, e);
        return name && declare(*out, str_of(name), e);
    }
    arena_rewind(a, before);
    dcm_charset_parse(STR_LIT("ISO_IR 192"), &cs);
    c = (struct conversion){.a = a, .encode_to = &cs, .fits = true, .e = e};
    return copy_dataset(&c, ds, NULL, 0, out) && declare(*out, STR_LIT("ISO_IR 192"), e);
}

bool dcm_dataset_to_utf8(struct arena *a, const struct dcm_dataset *ds, bool repair, struct dcm_dataset **out, unsigned *flags, struct err *e) {
    struct conversion c = {.a = a, .repair = repair, .fits = true, .e = e};
    if (!copy_dataset(&c, ds, ds->parent, 0, out)) return false;
    *flags = c.flags;
    return !c.beyond_ascii || declare(*out, STR_LIT("ISO_IR 192"), e);
}
