// DICOM JSON in: the tree of text/json becomes a data set.
#include "dicom/json.h"

#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "dicom/value.h"
#include "text/base64.h"
#include "text/json.h"

enum { TREE_BYTES_MAX = 2 * DCM_HEADER_BYTES_MAX, JSON_LEVELS_PER_SEQUENCE = 3 };

struct reader {
    struct str text; // the document
    dcm_on_bulk *on_bulk;
    void *ctx;
    struct buf value; // text values joined with backslashes
    unsigned depth;
    unsigned elements;
    bool beyond_ascii;
    struct err *e;
};

// One element on its way in.
struct incoming {
    uint32_t tag;
    uint16_t vr;
    const struct json *value, *binary, *uri;
};

static bool fail(const struct reader *r, const struct json *at, const struct incoming *in, const char *why) {
    return json_fail(r->text, at, r->e, "(%04X,%04X) %s", DCM_GROUP(in->tag), DCM_ELEMENT(in->tag), why);
}

static bool parse_tag(struct str key, uint32_t *tag) {
    *tag = 0;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                            : 16;
        if (d == 16) return false;
        *tag = *tag << 4 | d;
    }
    return key.n == 8;
}

static uint16_t dictionary_vr(uint32_t tag) {
    const struct dcm_dict_entry *d = dcm_dict_find(tag);
    return d ? d->vr[0] : DCM_VR_NONE;
}

static bool read_vr(const struct reader *r, const struct json *member, struct incoming *in) {
    const struct json *vr = json_get(member, "vr");
    struct str name = json_text(vr);
    if (!vr) {
        in->vr = dictionary_vr(in->tag);
        return in->vr != DCM_VR_NONE || fail(r, member, in, "has no \"vr\" and is not in the dictionary");
    }
    in->vr = DCM_VR_NONE;
    if (name.n == 2) in->vr = DCM_VR_CODE((uint8_t)name.p[0], (uint8_t)name.p[1]);
    return dcm_vr_find(in->vr) || fail(r, vr, in, "has a \"vr\" that DICOM has not");
}

// ---- text ----

static void note_characters(struct reader *r, uint16_t vr, struct str s) {
    if (!dcm_vr_find(vr)->charset) return;
    for (size_t i = 0; i < s.n && !r->beyond_ascii; i++) r->beyond_ascii = (unsigned char)s.p[i] >= 0x80;
}

static bool add_name(struct reader *r, const struct incoming *in, const struct json *v) {
    static const char *const KEYS[] = {"Alphabetic", "Ideographic", "Phonetic"};
    unsigned written = 0;
    for (unsigned g = 0; g < 3; g++) {
        struct str group = json_text(json_get(v, KEYS[g]));
        if (group.n == 0) continue;
        // a third "=" is nothing that PS3.5 6.2.1 knows; broken objects have it, and it stays with the last group
        if (str_find(group, '\\', 0) < group.n || (g < 2 && str_find(group, '=', 0) < group.n))
            return fail(r, v, in, "has a name with a backslash or \"=\" inside a component group");
        for (; written < g; written++) buf_addc(&r->value, '=');
        buf_add_str(&r->value, group);
    }
    return true;
}

// A number too long for a DS is shortened to what fits in 16 bytes. What is no whole number stays as it is in an IS: broken objects have them.
static bool add_decimal(struct reader *r, const struct incoming *in, const struct json *v) {
    const struct dcm_vr_info *info = dcm_vr_find(in->vr);
    char text[JSON_NUMBER_MAX];
    int64_t i;
    double d;
    if (in->vr == DCM_VR_IS && json_to_i64(v, &i) && i <= INT32_MAX && i >= INT32_MIN) {
        buf_addf(&r->value, "%lld", (long long)i);
        return true;
    }
    if (v->text.n <= info->max_length) {
        buf_add_str(&r->value, v->text);
        return true;
    }
    if (in->vr == DCM_VR_IS || !json_to_f64(v, &d)) return fail(r, v, in, "has a number that its vr cannot hold");
    int n = 0;
    for (int precision = 15; precision > 0; precision--) {
        n = snprintf(text, sizeof text, "%.*g", precision, d);
        if (n > 0 && (uint32_t)n <= info->max_length) break;
    }
    buf_add(&r->value, text, (size_t)n);
    return true;
}

static bool add_text_value(struct reader *r, const struct incoming *in, const struct json *v) {
    const struct dcm_vr_info *info = dcm_vr_find(in->vr);
    if (v->kind == JSON_NULL) return true;
    if (v->kind == JSON_OBJECT && in->vr == DCM_VR_PN) return add_name(r, in, v);
    if (v->kind == JSON_NUMBER && (in->vr == DCM_VR_DS || in->vr == DCM_VR_IS)) return add_decimal(r, in, v);
    if (v->kind != JSON_STRING) return fail(r, v, in, "has a value of a kind that its vr does not take");
    if (info->multi && str_find(v->text, '\\', 0) < v->text.n) return fail(r, v, in, "has a backslash inside one value");
    buf_add_str(&r->value, v->text);
    return true;
}

static bool put_text(struct reader *r, struct dcm_dataset *ds, const struct incoming *in) {
    buf_clear(&r->value);
    if (!dcm_vr_find(in->vr)->multi && in->value->count > 1) return fail(r, in->value, in, "has several values; its vr takes one");
    for (const struct json *v = in->value->first; v; v = v->next) {
        if (v != in->value->first) buf_addc(&r->value, '\\');
        if (!add_text_value(r, in, v)) return false;
    }
    if (!buf_ok(&r->value, r->e)) return false;
    struct str text = buf_str(&r->value);
    note_characters(r, in->vr, text);
    return text.n ? dcm_put_text(ds, in->tag, in->vr, text, r->e) : dcm_put_empty(ds, in->tag, in->vr, r->e);
}

// ---- numbers ----

static bool in_range(uint16_t vr, int64_t v) {
    switch (vr) {
    case DCM_VR_US:
        return v >= 0 && v <= UINT16_MAX;
    case DCM_VR_SS:
        return v >= INT16_MIN && v <= INT16_MAX;
    case DCM_VR_UL:
        return v >= 0 && v <= UINT32_MAX;
    case DCM_VR_SL:
        return v >= INT32_MIN && v <= INT32_MAX;
    default:
        return vr == DCM_VR_SV;
    }
}

static bool to_integer(uint16_t vr, const struct json *v, int64_t *out) {
    uint64_t wide;
    uint32_t tag;
    if (vr == DCM_VR_AT) {
        if (!parse_tag(json_text(v), &tag)) return false;
        *out = tag;
        return true;
    }
    if (vr != DCM_VR_UV) return json_to_i64(v, out) && in_range(vr, *out);
    if ((v->kind != JSON_NUMBER && v->kind != JSON_STRING) || !str_to_u64(v->text, &wide)) return false;
    *out = (int64_t)wide;
    return true;
}

static bool put_integers(struct reader *r, struct arena *a, struct dcm_dataset *ds, const struct incoming *in) {
    int64_t *list = arena_alloc(a, in->value->count * sizeof *list, r->e);
    unsigned n = 0;
    if (!list) return false;
    for (const struct json *v = in->value->first; v; v = v->next)
        if (!to_integer(in->vr, v, &list[n++])) return fail(r, v, in, "has a value that is no number within its vr's range");
    return dcm_put_ints(ds, in->tag, in->vr, list, n, r->e);
}

static bool to_double(const struct json *v, double *out) {
    struct str s = json_text(v);
    if (json_to_f64(v, out)) return true;
    if (str_eqz(s, "NaN"))
        *out = (double)NAN;
    else if (str_eqz(s, "Infinity") || str_eqz(s, "-Infinity"))
        *out = s.p[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    else
        return false;
    return true;
}

static bool put_doubles(struct reader *r, struct arena *a, struct dcm_dataset *ds, const struct incoming *in) {
    double *list = arena_alloc(a, in->value->count * sizeof *list, r->e);
    unsigned n = 0;
    if (!list) return false;
    for (const struct json *v = in->value->first; v; v = v->next)
        if (!to_double(v, &list[n++])) return fail(r, v, in, "has a value that is no number");
    return dcm_put_doubles(ds, in->tag, in->vr, list, n, r->e);
}

// ---- elements ----

static bool read_dataset(struct reader *r, struct arena *a, const struct json *object, struct dcm_dataset *ds);

static bool put_sequence(struct reader *r, struct arena *a, struct dcm_dataset *ds, const struct incoming *in) {
    if (r->depth == DCM_DEPTH_MAX) return fail(r, in->value, in, "is nested deeper than is allowed");
    if (!dcm_put_empty(ds, in->tag, DCM_VR_SQ, r->e)) return false;
    r->depth++;
    for (const struct json *v = in->value->first; v; v = v->next) {
        if (v->kind != JSON_OBJECT && v->kind != JSON_NULL) return fail(r, v, in, "has an item that is no object");
        struct dcm_dataset *item = dcm_put_item(ds, in->tag, r->e);
        if (!item || (v->kind == JSON_OBJECT && !read_dataset(r, a, v, item))) return false;
    }
    r->depth--;
    return true;
}

static bool put_binary(struct reader *r, struct arena *a, struct dcm_dataset *ds, const struct incoming *in) {
    const struct dcm_vr_info *info = dcm_vr_find(in->vr);
    struct str bytes;
    struct err why;
    if (info->text || in->vr == DCM_VR_SQ || dcm_value_is_number(in->vr)) return fail(r, in->binary, in, "has InlineBinary, which its vr does not take");
    if (in->binary->kind != JSON_STRING) return fail(r, in->binary, in, "has InlineBinary that is no string");
    if (!base64_decode(a, in->binary->text, &bytes, &why)) {
        if (why.kind != ERR_BAD_INPUT) return *r->e = why, false;
        return fail(r, in->binary, in, why.message);
    }
    return bytes.n ? dcm_put_bytes(ds, in->tag, in->vr, bytes.p, bytes.n, r->e) : dcm_put_empty(ds, in->tag, in->vr, r->e);
}

static bool put_value(struct reader *r, struct arena *a, struct dcm_dataset *ds, const struct incoming *in) {
    if (in->value->kind != JSON_ARRAY) return fail(r, in->value, in, "has a \"Value\" that is no array");
    if (in->vr == DCM_VR_SQ) return put_sequence(r, a, ds, in);
    if (in->value->count == 0) return dcm_put_empty(ds, in->tag, in->vr, r->e);
    if (dcm_vr_find(in->vr)->text) return put_text(r, ds, in);
    if (in->vr == DCM_VR_FL || in->vr == DCM_VR_FD) return put_doubles(r, a, ds, in);
    if (dcm_value_is_number(in->vr)) return put_integers(r, a, ds, in);
    return fail(r, in->value, in, "has a \"Value\"; its vr takes InlineBinary or BulkDataURI");
}

static bool read_element(struct reader *r, struct arena *a, const struct json *member, struct dcm_dataset *ds) {
    struct incoming in = {.value = json_get(member, "Value"), .binary = json_get(member, "InlineBinary"), .uri = json_get(member, "BulkDataURI")};
    if (!parse_tag(member->key, &in.tag)) return json_fail(r->text, member, r->e, "a member's name is no tag of eight hexadecimal digits");
    if (member->kind != JSON_OBJECT) return fail(r, member, &in, "is no object");
    if (++r->elements > DCM_ELEMENTS_MAX) return fail(r, member, &in, "is one element more than is allowed");
    if (DCM_ELEMENT(in.tag) == 0 || (r->depth == 0 && (DCM_GROUP(in.tag) == 0 || DCM_GROUP(in.tag) == 2))) return true;
    if (DCM_GROUP(in.tag) == 0xFFFE || DCM_GROUP(in.tag) == 0xFFFF) return fail(r, member, &in, "cannot stand in a data set");
    if (dcm_find(ds, in.tag)) return fail(r, member, &in, "stands twice");
    if (!read_vr(r, member, &in)) return false;
    if (!!in.value + !!in.binary + !!in.uri > 1) return fail(r, member, &in, "has more than one of Value, InlineBinary and BulkDataURI");
    if (in.binary) return put_binary(r, a, ds, &in);
    if (in.value) return put_value(r, a, ds, &in);
    if (in.uri && in.uri->kind != JSON_STRING) return fail(r, in.uri, &in, "has a BulkDataURI that is no string");
    if (!dcm_put_empty(ds, in.tag, in.vr, r->e)) return false;
    if (in.uri && r->on_bulk) r->on_bulk(r->ctx, ds, in.tag, in.uri->text);
    return true;
}

static bool read_dataset(struct reader *r, struct arena *a, const struct json *object, struct dcm_dataset *ds) {
    for (const struct json *m = object->first; m; m = m->next)
        if (!read_element(r, a, m, ds)) return false;
    // All text is UTF-8 now: the top level says so.
    if (r->depth) dcm_remove(ds, DCM_SpecificCharacterSet);
    return true;
}

static bool read_root(struct reader *r, struct arena *a, const struct json *root, struct dcm_dataset *ds) {
    if (root->kind != JSON_OBJECT) return json_fail(r->text, root, r->e, "a DICOM JSON data set is an object");
    if (!read_dataset(r, a, root, ds)) return false;
    return !r->beyond_ascii || dcm_put_text(ds, DCM_SpecificCharacterSet, DCM_VR_CS, STR_LIT("ISO_IR 192"), r->e);
}

bool dcm_json_read_object(struct arena *a, struct str document, const struct json *object, dcm_on_bulk *on_bulk, void *ctx, struct dcm_dataset **out,
                          struct err *e) {
    struct err ours = {.kind = ERR_NONE};
    struct reader r = {.text = document, .on_bulk = on_bulk, .ctx = ctx, .e = e ? e : &ours};
    buf_init(&r.value, DCM_HEADER_BYTES_MAX);
    *out = dcm_dataset_new(a, r.e);
    bool ok = *out && read_root(&r, a, object, *out);
    buf_deinit(&r.value);
    return ok;
}

bool dcm_json_read(struct arena *a, struct str json, dcm_on_bulk *on_bulk, void *ctx, struct dcm_dataset **out, struct err *e) {
    struct arena tree;
    arena_init(&tree, TREE_BYTES_MAX);
    const struct json *root = json_read(&tree, json, DCM_DEPTH_MAX * JSON_LEVELS_PER_SEQUENCE + 4, e);
    bool ok = root && dcm_json_read_object(a, json, root, on_bulk, ctx, out, e);
    arena_deinit(&tree);
    return ok;
}
