// Putting elements into a data set.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dicom/assemble.h"

enum { NUMBERS_TEXT_MAX = 24 }; // of one IS or DS with its separator

static uint32_t place_of(const struct dcm_dataset *ds, uint32_t tag) {
    uint32_t low = 0, high = ds->count;
    if (high && ds->elements[high - 1].tag < tag) return high; // in order, as most are put
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (ds->elements[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The element of the tag, cleared; made when there is none.
static struct dcm_element *slot(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, struct err *e) {
    uint32_t at = place_of(ds, tag);
    if (at == ds->count || ds->elements[at].tag != tag) {
        if (ds->count == ds->capacity) {
            if (ds->count >= DCM_ELEMENTS_MAX) {
                err_set(e, ERR_TOO_LARGE, "dicom", "more than %d elements", DCM_ELEMENTS_MAX);
                return NULL;
            }
            uint32_t larger = ds->capacity ? ds->capacity * 2 : 16;
            void *p = arena_grow(ds->arena, ds->elements, (size_t)ds->capacity * sizeof *ds->elements, (size_t)larger * sizeof *ds->elements, e);
            if (!p) return NULL;
            ds->elements = p;
            ds->capacity = larger;
        }
        memmove(&ds->elements[at + 1], &ds->elements[at], (ds->count - at) * sizeof *ds->elements);
        ds->count++;
    }
    if (vr == DCM_VR_NONE) {
        const struct dcm_dict_entry *d = dcm_dict_find(tag);
        vr = d && d->vr[0] ? d->vr[0] : DCM_VR_UN;
    }
    ds->elements[at] = (struct dcm_element){.tag = tag, .vr = vr};
    return &ds->elements[at];
}

static uint16_t vr_or_dictionary(uint32_t tag, uint16_t vr) {
    const struct dcm_dict_entry *d = vr == DCM_VR_NONE ? dcm_dict_find(tag) : NULL;
    return d ? d->vr[0] : vr;
}

// Bytes are padded to even length with the VR's padding.
static bool put_copy(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, const void *p, size_t n, struct err *e) {
    vr = vr_or_dictionary(tag, vr);
    if (n >= 0xFFFFFFFE) return err_set(e, ERR_TOO_LARGE, "dicom", "a value of %zu bytes", n);
    uint8_t *copy = NULL;
    size_t padded = n + (n & 1);
    if (padded) {
        copy = arena_alloc(ds->arena, padded, e);
        if (!copy) return false;
        memcpy(copy, p, n);
        const struct dcm_vr_info *info = dcm_vr_find(vr);
        if (padded > n) copy[n] = (uint8_t)(info ? info->pad : '\0');
    }
    struct dcm_element *el = slot(ds, tag, vr, e);
    if (!el) return false;
    el->value = copy;
    el->length = padded;
    return true;
}

bool dcm_put_text(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, struct str text, struct err *e) {
    return put_copy(ds, tag, vr, text.p, text.n, e);
}

bool dcm_putz(struct dcm_dataset *ds, uint32_t tag, const char *text, struct err *e) {
    return put_copy(ds, tag, DCM_VR_NONE, text, strlen(text), e);
}

bool dcm_putf(struct dcm_dataset *ds, uint32_t tag, struct err *e, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0) return err_nomem(e, "dicom");
    bool ok = put_copy(ds, tag, DCM_VR_NONE, text, (size_t)n, e);
    free(text);
    return ok;
}

static void store_unit(const struct dcm_dataset *ds, uint8_t *p, uint64_t v, unsigned unit) {
    for (unsigned k = 0; k < unit; k++) p[ds->big_endian ? unit - 1 - k : k] = (uint8_t)(v >> (8 * k));
}

static bool fits(uint16_t vr, int64_t v) {
    switch (vr) {
    case DCM_VR_US:
        return v >= 0 && v <= UINT16_MAX;
    case DCM_VR_SS:
        return v >= INT16_MIN && v <= INT16_MAX;
    case DCM_VR_UL:
    case DCM_VR_AT:
        return v >= 0 && v <= UINT32_MAX;
    case DCM_VR_SL:
        return v >= INT32_MIN && v <= INT32_MAX;
    default:
        return true;
    }
}

static bool put_number_text(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, const int64_t *ints, const double *doubles, unsigned n, struct err *e) {
    char *text = arena_alloc(ds->arena, (size_t)n * NUMBERS_TEXT_MAX + 1, e);
    if (!text) return false;
    size_t used = 0;
    for (unsigned i = 0; i < n; i++) {
        if (i) text[used++] = '\\';
        char *at = text + used;
        if (ints) {
            used += (size_t)snprintf(at, NUMBERS_TEXT_MAX, "%lld", (long long)ints[i]);
            continue;
        }
        // A DS has at most 16 characters (PS3.5 6.2): as many digits as fit.
        int length = 17;
        for (int digits = 15; length > 16 && digits > 0; digits--) length = snprintf(at, NUMBERS_TEXT_MAX, "%.*g", digits, doubles[i]);
        used += (size_t)length;
    }
    return put_copy(ds, tag, vr, text, used, e);
}

bool dcm_put_ints(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, const int64_t *values, unsigned n, struct err *e) {
    vr = vr_or_dictionary(tag, vr);
    if (vr == DCM_VR_IS || vr == DCM_VR_DS) return put_number_text(ds, tag, vr, values, NULL, n, e);
    const struct dcm_vr_info *info = dcm_vr_find(vr);
    if (!info || info->text || info->unit < 2) return err_set(e, ERR_INTERNAL, "dicom", "(%04X,%04X) takes no integers", DCM_GROUP(tag), DCM_ELEMENT(tag));
    uint8_t *bytes = arena_alloc(ds->arena, (size_t)n * info->unit, e);
    if (!bytes) return false;
    for (unsigned i = 0; i < n; i++) {
        if (!fits(vr, values[i])) return err_set(e, ERR_TOO_LARGE, "dicom", "%lld does not fit VR %s", (long long)values[i], info->name);
        uint8_t *at = bytes + (size_t)i * info->unit;
        if (vr == DCM_VR_AT) {
            store_unit(ds, at, (uint64_t)values[i] >> 16, 2);
            store_unit(ds, at + 2, (uint64_t)values[i] & 0xFFFF, 2);
        } else {
            store_unit(ds, at, (uint64_t)values[i], info->unit);
        }
    }
    return dcm_put_bytes(ds, tag, vr, bytes, (size_t)n * info->unit, e);
}

bool dcm_put_int(struct dcm_dataset *ds, uint32_t tag, int64_t value, struct err *e) {
    return dcm_put_ints(ds, tag, DCM_VR_NONE, &value, 1, e);
}

bool dcm_put_doubles(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, const double *values, unsigned n, struct err *e) {
    vr = vr_or_dictionary(tag, vr);
    if (vr == DCM_VR_DS) return put_number_text(ds, tag, vr, NULL, values, n, e);
    bool narrow = vr == DCM_VR_FL || vr == DCM_VR_OF;
    if (!narrow && vr != DCM_VR_FD && vr != DCM_VR_OD)
        return err_set(e, ERR_INTERNAL, "dicom", "(%04X,%04X) takes no floating point numbers", DCM_GROUP(tag), DCM_ELEMENT(tag));
    unsigned unit = narrow ? 4 : 8;
    uint8_t *bytes = arena_alloc(ds->arena, (size_t)n * unit, e);
    if (!bytes) return false;
    for (unsigned i = 0; i < n; i++) {
        uint64_t bits = 0;
        if (narrow) {
            float f = (float)values[i];
            uint32_t b;
            memcpy(&b, &f, sizeof b);
            bits = b;
        } else {
            memcpy(&bits, &values[i], sizeof bits);
        }
        store_unit(ds, bytes + (size_t)i * unit, bits, unit);
    }
    return dcm_put_bytes(ds, tag, vr, bytes, (size_t)n * unit, e);
}

bool dcm_put_double(struct dcm_dataset *ds, uint32_t tag, double value, struct err *e) {
    return dcm_put_doubles(ds, tag, DCM_VR_NONE, &value, 1, e);
}

bool dcm_put_bytes(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, const void *p, size_t n, struct err *e) {
    if (n & 1) return put_copy(ds, tag, vr, p, n, e);
    struct dcm_element *el = slot(ds, tag, vr, e);
    if (!el) return false;
    el->value = n ? p : NULL;
    el->length = n;
    return true;
}

bool dcm_put_empty(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, struct err *e) {
    return slot(ds, tag, vr, e) != NULL;
}

// The sequence of the tag with room for one more item, or NULL.
static struct dcm_element *sequence_with_room(struct dcm_dataset *ds, uint32_t tag, struct err *e) {
    struct dcm_element *el = (struct dcm_element *)dcm_find(ds, tag);
    if (!el || el->vr != DCM_VR_SQ) el = slot(ds, tag, DCM_VR_SQ, e);
    if (!el) return NULL;
    bool shared = el->flags & DCM_ITEMS_SHARED;
    if (!shared && el->item_count < dcm_items_capacity(el->item_count)) return el;
    struct dcm_dataset **items = arena_alloc(ds->arena, (size_t)dcm_items_capacity(el->item_count + 1) * sizeof(struct dcm_dataset *), e);
    if (!items) return NULL;
    if (el->item_count) memcpy(items, el->items, el->item_count * sizeof(void *));
    el->items = items;
    el->flags &= (uint16_t)~DCM_ITEMS_SHARED;
    return el;
}

struct dcm_dataset *dcm_put_item(struct dcm_dataset *ds, uint32_t tag, struct err *e) {
    struct dcm_element *el = sequence_with_room(ds, tag, e);
    struct dcm_dataset *item = el ? dcm_dataset_new(ds->arena, e) : NULL;
    if (!item) return NULL;
    item->parent = ds;
    item->big_endian = ds->big_endian;
    el->items[el->item_count++] = item;
    return item;
}

bool dcm_put_element(struct dcm_dataset *ds, const struct dcm_element *from, struct err *e) {
    struct dcm_element *el = slot(ds, from->tag, from->vr, e);
    if (!el) return false;
    *el = *from;
    if (el->item_count && el->vr == DCM_VR_SQ) el->flags |= DCM_ITEMS_SHARED;
    return true;
}

void dcm_remove(struct dcm_dataset *ds, uint32_t tag) {
    uint32_t at = place_of(ds, tag);
    if (at == ds->count || ds->elements[at].tag != tag) return;
    ds->count--;
    memmove(&ds->elements[at], &ds->elements[at + 1], (ds->count - at) * sizeof *ds->elements);
}
