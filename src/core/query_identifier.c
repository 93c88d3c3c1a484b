// A C-FIND identifier as a query: levels, keys, sequences, any character set.
#include <stdio.h>

#include "base/buf.h"
#include "base/limits.h"
#include "core/query.h"
#include "core/query_match.h"
#include "dicom/charset.h"

enum { NUMBER_BYTES = 40 };

struct keys {
    struct arena *a;
    struct query_key *list;
    unsigned count, capacity;
};

static struct query_key *add(struct keys *k, const uint32_t *path, unsigned path_n, struct err *e) {
    if (k->count == k->capacity) {
        unsigned more = k->capacity ? k->capacity * 2 : 32;
        struct query_key *grown = arena_grow(k->a, k->list, k->capacity * sizeof *grown, more * sizeof *grown, e);
        if (!grown) return NULL;
        k->list = grown;
        k->capacity = more;
    }
    struct query_key *key = &k->list[k->count++];
    *key = (struct query_key){.path_n = path_n, .value = {"", 0}};
    for (unsigned i = 0; i < path_n; i++) key->path[i] = path[i];
    return key;
}

// Binary values as numbers between backslashes.
static bool numbers(struct arena *a, const struct dcm_dataset *ds, const struct dcm_element *el, struct str *out, struct err *e) {
    struct buf b;
    buf_init(&b, DIMSE_IDENTIFIER_BYTES_MAX);
    unsigned n = el->value ? dcm_vm(ds, el->tag) : 0;
    for (unsigned i = 0; i < n; i++) {
        int64_t v;
        double d;
        if (i > 0) buf_addc(&b, '\\');
        if (el->vr == DCM_VR_AT && el->length / 4 > i) {
            const uint8_t *p = el->value + (size_t)i * 4;
            buf_addf(&b, "%02X%02X%02X%02X", p[1], p[0], p[3], p[2]);
        } else if (el->vr != DCM_VR_FL && el->vr != DCM_VR_FD && dcm_i64(ds, el->tag, i, &v)) {
            buf_addf(&b, "%lld", (long long)v);
        } else if (dcm_f64(ds, el->tag, i, &d)) {
            buf_addf(&b, "%.17g", d);
        }
    }
    bool ok = buf_ok(&b, e) && arena_dup(a, b.p ? buf_str(&b) : (struct str){"", 0}, out, e);
    buf_deinit(&b);
    return ok;
}

static bool is_left_out(uint32_t tag) {
    return tag == DCM_SpecificCharacterSet || tag == DCM_QueryRetrieveLevel || DCM_ELEMENT(tag) == 0;
}

// Depth is bounded by QUERY_PATH_MAX: what lies deeper is asked for with its sequence.
static bool add_dataset(struct keys *k, const struct dcm_dataset *ds, uint32_t *path, unsigned depth, struct err *e) {
    for (uint32_t i = 0; i < ds->count; i++) {
        const struct dcm_element *el = &ds->elements[i];
        if (is_left_out(el->tag)) continue;
        path[depth] = el->tag;
        const struct dcm_dataset *item = el->vr == DCM_VR_SQ ? dcm_item(ds, el->tag, 0) : NULL;
        if (item && item->count > 0 && depth + 1 < QUERY_PATH_MAX) {
            if (!add_dataset(k, item, path, depth + 1, e)) return false;
            continue;
        }
        struct query_key *key = add(k, path, depth + 1, e);
        const struct dcm_vr_info *vr = dcm_vr_find(el->vr);
        if (!key) return false;
        if (el->vr == DCM_VR_SQ || !vr) continue;
        if (vr->text || el->vr == DCM_VR_UN)
            key->value = dcm_text(ds, el->tag);
        else if (!numbers(k->a, ds, el, &key->value, e))
            return false;
    }
    return true;
}

static bool level_of(struct str text, enum query_level *out, struct err *e) {
    static const char *const names[] = {"PATIENT", "STUDY", "SERIES", "IMAGE"};
    for (unsigned i = 0; i < 4; i++)
        if (str_eqz(text, names[i])) {
            *out = (enum query_level)i;
            return true;
        }
    if (text.n == 0) return err_set(e, ERR_BAD_INPUT, "query", "the identifier has no QueryRetrieveLevel (0008,0052)");
    return err_set(e, ERR_BAD_INPUT, "query", "QueryRetrieveLevel (0008,0052) is \"%.*s\"; PATIENT, STUDY, SERIES and IMAGE are known", STR_FMT(text));
}

bool query_from_identifier(struct arena *a, const struct dcm_dataset *identifier, struct query *out, struct err *e) {
    struct keys keys = {.a = a};
    struct dcm_dataset *utf8;
    uint32_t path[QUERY_PATH_MAX];
    unsigned flags;
    *out = (struct query){0};
    if (!dcm_dataset_to_utf8(a, identifier, true, &utf8, &flags, e)) return false;
    if (!level_of(dcm_text(utf8, DCM_QueryRetrieveLevel), &out->level, e) || !add_dataset(&keys, utf8, path, 0, e)) return false;
    out->keys = keys.list;
    out->key_count = keys.count;
    return true;
}
