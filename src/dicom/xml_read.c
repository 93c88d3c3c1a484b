// Native DICOM Model in: the tree of text/xml becomes a data set.
#include "dicom/xml.h"

#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "dicom/value.h"
#include "text/base64.h"
#include "text/xml.h"

enum { TREE_BYTES_MAX = 3 * DCM_HEADER_BYTES_MAX, XML_LEVELS_PER_SEQUENCE = 2, VALUES_MAX = 1 << 20, BLOCK_FIRST = 0x10, BLOCK_LAST = 0xFF };

struct reader {
    struct arena *a;
    dcm_on_bulk *on_bulk;
    void *ctx;
    struct buf value; // text values joined with backslashes
    unsigned depth, elements;
    bool beyond_ascii;
    struct err *e;
};

// One attribute on its way in.
struct incoming {
    const struct xml *x;
    uint32_t tag;
    uint16_t vr;
};

static bool fail(const struct reader *r, const struct incoming *in, const char *why) {
    return err_set(r->e, ERR_BAD_INPUT, "dicom", "DicomAttribute (%04X,%04X) %s", DCM_GROUP(in->tag), DCM_ELEMENT(in->tag), why);
}

static bool parse_hex8(struct str s, uint32_t *out) {
    *out = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0) return false;
        *out = *out << 4 | (uint32_t)d;
    }
    return s.n == 8;
}

static void note_characters(struct reader *r, uint16_t vr, struct str text) {
    for (size_t i = 0; i < text.n && dcm_vr_find(vr)->charset; i++) r->beyond_ascii |= (unsigned char)text.p[i] >= 0x80;
}

// ---- private blocks ----

// The element that reserves a block for the creator, in which this attribute is not there yet; a free one is taken when there is none.
static bool find_block(struct reader *r, struct dcm_dataset *ds, uint32_t tag, struct str creator, unsigned *block) {
    uint16_t group = DCM_GROUP(tag);
    unsigned unused = 0;
    for (unsigned b = BLOCK_FIRST; b <= BLOCK_LAST; b++) {
        struct str there = dcm_text(ds, DCM_TAG(group, b));
        *block = b;
        if (there.n && str_eq(there, creator) && !dcm_find(ds, tag | b << 8)) return true;
        if (!there.n && !unused) unused = b;
    }
    *block = unused;
    // A broken object may have one of several values; none is made here.
    if (str_find(creator, '\\', 0) < creator.n) return err_set(r->e, ERR_BAD_INPUT, "dicom", "a privateCreator is one value, without a backslash");
    if (!unused) return err_set(r->e, ERR_BAD_INPUT, "dicom", "group %04X has no room for another private creator", group);
    note_characters(r, DCM_VR_LO, creator);
    return dcm_put_text(ds, DCM_TAG(group, unused), DCM_VR_LO, creator, r->e);
}

static bool place_private(struct reader *r, struct dcm_dataset *ds, struct incoming *in) {
    struct str creator = str_trim(xml_attribute(in->x, "privateCreator"));
    unsigned block;
    if (!creator.n || !dcm_tag_is_private(in->tag) || DCM_ELEMENT(in->tag) > BLOCK_LAST) return true;
    if (!find_block(r, ds, in->tag, creator, &block)) return false;
    in->tag |= (uint32_t)block << 8;
    return true;
}

// ---- values ----

static bool number_of(const struct xml *value, unsigned next, unsigned *number) {
    struct str text = xml_attribute(value, "number");
    uint64_t n = next;
    if (text.n && (!str_to_u64(text, &n) || n < next || n > VALUES_MAX)) return false;
    *number = (unsigned)n;
    return true;
}

// Text inside, its spaces kept: they count in some VRs.
static bool content(struct reader *r, const struct xml *x, struct str *out) {
    if (x->first && !x->first->next && !x->first->name.p) {
        *out = x->first->text;
        return true;
    }
    return xml_content(r->a, x, out, r->e);
}

// last: a third "=" stays with it, as in JSON.
static bool add_group(struct reader *r, const struct incoming *in, const struct xml *group, bool last) {
    static const char *const PARTS[] = {"FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"};
    unsigned written = 0;
    for (unsigned i = 0; i < 5; i++) {
        const struct xml *part = xml_child(group, PARTS[i]);
        struct str text = {NULL, 0};
        if (part && !content(r, part, &text)) return false;
        text = str_trim(text);
        if (text.n == 0) continue;
        if (str_find(text, '\\', 0) < text.n || (!last && str_find(text, '=', 0) < text.n) || str_find(text, '^', 0) < text.n)
            return fail(r, in, "has a name with a delimiter inside a component");
        for (; written < i; written++) buf_addc(&r->value, '^');
        buf_add_str(&r->value, text);
    }
    return true;
}

static bool add_name(struct reader *r, const struct incoming *in, const struct xml *name) {
    static const char *const GROUPS[] = {"Alphabetic", "Ideographic", "Phonetic"};
    unsigned written = 0;
    for (unsigned g = 0; g < 3; g++) {
        const struct xml *group = xml_child(name, GROUPS[g]);
        if (!group) continue;
        for (; written < g; written++) buf_addc(&r->value, '=');
        if (!add_group(r, in, group, g == 2)) return false;
    }
    return true;
}

static bool add_value(struct reader *r, const struct incoming *in, const struct xml *v) {
    struct str text;
    if (in->vr == DCM_VR_PN) return add_name(r, in, v);
    if (!content(r, v, &text)) return false;
    if (dcm_vr_find(in->vr)->multi && str_find(text, '\\', 0) < text.n) return fail(r, in, "has a backslash inside one value");
    buf_add_str(&r->value, text);
    return true;
}

// The values, in their places, with backslashes between.
static bool join_values(struct reader *r, const struct incoming *in, const struct xml *first, unsigned *count) {
    unsigned next = 1, last = 1;
    buf_clear(&r->value);
    for (const struct xml *v = first; v; v = xml_again(v)) {
        unsigned number;
        if (!number_of(v, next, &number)) return fail(r, in, "has values whose numbers do not rise");
        for (; last < number; last++) buf_addc(&r->value, '\\');
        if (!add_value(r, in, v)) return false;
        next = number + 1;
    }
    *count = next - 1;
    return buf_ok(&r->value, r->e);
}

static bool put_text(struct reader *r, struct dcm_dataset *ds, const struct incoming *in, const struct xml *first) {
    unsigned count = 0;
    if (!join_values(r, in, first, &count)) return false;
    if (count > 1 && !dcm_vr_find(in->vr)->multi) return fail(r, in, "has several values; its vr takes one");
    struct str text = buf_str(&r->value);
    note_characters(r, in->vr, text);
    return text.n ? dcm_put_text(ds, in->tag, in->vr, text, r->e) : dcm_put_empty(ds, in->tag, in->vr, r->e);
}

static bool to_integer(uint16_t vr, struct str text, int64_t *out) {
    uint32_t tag;
    uint64_t wide;
    if (vr == DCM_VR_AT) {
        if (!parse_hex8(text, &tag)) return false;
        *out = tag;
        return true;
    }
    if (vr != DCM_VR_UV) return str_to_i64(text, out);
    if (!str_to_u64(text, &wide)) return false;
    *out = (int64_t)wide;
    return true;
}

static bool to_double(struct str text, double *out) {
    bool minus = str_starts(text, STR_LIT("-"));
    struct str bare = str_sub(text, minus, text.n);
    if (str_to_f64(text, out)) return true;
    if (str_eqz(text, "NaN"))
        *out = (double)NAN;
    else if (str_eq_nocase(bare, STR_LIT("INF")) || str_eq_nocase(bare, STR_LIT("Infinity")))
        *out = minus ? -(double)INFINITY : (double)INFINITY;
    else
        return false;
    return true;
}

static bool put_numbers(struct reader *r, struct dcm_dataset *ds, const struct incoming *in, const struct xml *first) {
    bool real = in->vr == DCM_VR_FL || in->vr == DCM_VR_FD;
    unsigned n = 0, count = 0;
    for (const struct xml *v = first; v; v = xml_again(v)) count++;
    int64_t *list = arena_alloc(r->a, (count + 1) * sizeof *list, r->e);
    double *reals = arena_alloc(r->a, (count + 1) * sizeof *reals, r->e);
    if (!list || !reals) return false;
    for (const struct xml *v = first; v; v = xml_again(v), n++) {
        struct str text;
        if (!xml_content(r->a, v, &text, r->e)) return false;
        if (!(real ? to_double(text, &reals[n]) : to_integer(in->vr, text, &list[n])))
            return fail(r, in, "has a value that is no number within its vr's range");
    }
    struct err why = {0};
    if (real ? dcm_put_doubles(ds, in->tag, in->vr, reals, n, &why) : dcm_put_ints(ds, in->tag, in->vr, list, n, &why)) return true;
    return why.kind == ERR_NOMEM ? err_nomem(r->e, "dicom") : fail(r, in, "has a value that is no number within its vr's range");
}

static bool put_binary(struct reader *r, struct dcm_dataset *ds, const struct incoming *in, const struct xml *inline_binary) {
    struct str text, bytes;
    if (dcm_vr_find(in->vr)->text || in->vr == DCM_VR_SQ || dcm_value_is_number(in->vr)) return fail(r, in, "has InlineBinary, which its vr does not take");
    if (!xml_content(r->a, inline_binary, &text, r->e)) return false;
    if (!base64_decode(r->a, text, &bytes, r->e)) return err_wrap(r->e, "(%04X,%04X)", DCM_GROUP(in->tag), DCM_ELEMENT(in->tag));
    return bytes.n ? dcm_put_bytes(ds, in->tag, in->vr, bytes.p, bytes.n, r->e) : dcm_put_empty(ds, in->tag, in->vr, r->e);
}

static bool put_bulk(struct reader *r, struct dcm_dataset *ds, const struct incoming *in, const struct xml *bulk) {
    struct str uri = str_trim(xml_attribute(bulk, "uri"));
    if (!dcm_put_empty(ds, in->tag, in->vr, r->e)) return false;
    if (uri.n == 0) return fail(r, in, "has BulkData without a uri");
    if (r->on_bulk) r->on_bulk(r->ctx, ds, in->tag, uri);
    return true;
}

// ---- elements ----

static bool read_dataset(struct reader *r, const struct xml *parent, struct dcm_dataset *ds);

static bool put_sequence(struct reader *r, struct dcm_dataset *ds, const struct incoming *in) {
    if (r->depth == DCM_DEPTH_MAX) return fail(r, in, "is nested deeper than is allowed");
    if (!dcm_put_empty(ds, in->tag, DCM_VR_SQ, r->e)) return false;
    r->depth++;
    for (const struct xml *x = xml_child(in->x, "Item"); x; x = xml_again(x)) {
        struct dcm_dataset *item = dcm_put_item(ds, in->tag, r->e);
        if (!item || !read_dataset(r, x, item)) return false;
    }
    r->depth--;
    return true;
}

static bool put_element(struct reader *r, struct dcm_dataset *ds, const struct incoming *in) {
    const struct xml *bulk = xml_child(in->x, "BulkData"), *binary = xml_child(in->x, "InlineBinary");
    if (in->vr == DCM_VR_SQ) return put_sequence(r, ds, in);
    if (bulk) return put_bulk(r, ds, in, bulk);
    if (binary) return put_binary(r, ds, in, binary);
    const struct xml *first = xml_child(in->x, in->vr == DCM_VR_PN ? "PersonName" : "Value");
    if (!first) return dcm_put_empty(ds, in->tag, in->vr, r->e);
    if (dcm_vr_find(in->vr)->text) return put_text(r, ds, in, first);
    if (dcm_value_is_number(in->vr)) return put_numbers(r, ds, in, first);
    return fail(r, in, "has a Value; its vr takes InlineBinary or BulkData");
}

static bool read_vr(const struct reader *r, struct incoming *in) {
    struct str name = xml_attribute(in->x, "vr");
    const struct dcm_dict_entry *d = dcm_dict_find(in->tag);
    if (!name.p && d) in->vr = d->vr[0];
    if (name.p && name.n == 2) in->vr = DCM_VR_CODE((uint8_t)name.p[0], (uint8_t)name.p[1]);
    return dcm_vr_find(in->vr) || fail(r, in, "has no vr that DICOM knows");
}

// first: attributes that stand by themselves; then those that belong to a private creator, whose blocks are known by now.
static bool read_element(struct reader *r, const struct xml *x, struct dcm_dataset *ds, bool first) {
    struct incoming in = {.x = x};
    bool owned = xml_attribute(x, "privateCreator").n > 0;
    if (owned == first) return true;
    if (!parse_hex8(xml_attribute(x, "tag"), &in.tag))
        return err_set(r->e, ERR_BAD_INPUT, "dicom", "a DicomAttribute whose tag is not eight hexadecimal digits: '%.*s'",
                       STR_FMT(str_sub(xml_attribute(x, "tag"), 0, 40)));
    if (++r->elements > DCM_ELEMENTS_MAX) return fail(r, &in, "is one element more than is allowed");
    if (!read_vr(r, &in) || !place_private(r, ds, &in)) return false;
    if (DCM_ELEMENT(in.tag) == 0 || (r->depth == 0 && (DCM_GROUP(in.tag) == 0 || DCM_GROUP(in.tag) == 2))) return true;
    if (DCM_GROUP(in.tag) == 0xFFFE || DCM_GROUP(in.tag) == 0xFFFF) return fail(r, &in, "cannot stand in a data set");
    if (dcm_find(ds, in.tag)) return fail(r, &in, "stands twice");
    return put_element(r, ds, &in);
}

static bool read_dataset(struct reader *r, const struct xml *parent, struct dcm_dataset *ds) {
    const struct xml *first = xml_child(parent, "DicomAttribute");
    for (const struct xml *x = first; x; x = xml_again(x))
        if (!read_element(r, x, ds, true)) return false;
    for (const struct xml *x = first; x; x = xml_again(x))
        if (!read_element(r, x, ds, false)) return false;
    if (r->depth) dcm_remove(ds, DCM_SpecificCharacterSet); // all text is UTF-8 now: the top level says so
    return true;
}

static const struct xml *read_tree(struct arena *tree, struct str text, struct err *e) {
    const struct xml *root = xml_read(tree, text, DCM_DEPTH_MAX * XML_LEVELS_PER_SEQUENCE + 8, e);
    if (!root || str_eqz(root->name, "NativeDicomModel")) return root;
    err_set(e, ERR_BAD_INPUT, "dicom", "the document is a <%.*s>, not a <NativeDicomModel>", STR_FMT(str_sub(root->name, 0, 60)));
    return NULL;
}

static bool read_root(struct reader *r, const struct xml *root, struct dcm_dataset *ds) {
    if (!read_dataset(r, root, ds)) return false;
    return !r->beyond_ascii || dcm_put_text(ds, DCM_SpecificCharacterSet, DCM_VR_CS, STR_LIT("ISO_IR 192"), r->e);
}

bool dcm_xml_read(struct arena *a, struct str xml, dcm_on_bulk *on_bulk, void *ctx, struct dcm_dataset **out, struct err *e) {
    struct err ours = {.kind = ERR_NONE};
    struct reader r = {.a = a, .on_bulk = on_bulk, .ctx = ctx, .e = e ? e : &ours};
    struct arena tree;
    arena_init(&tree, TREE_BYTES_MAX);
    buf_init(&r.value, DCM_HEADER_BYTES_MAX);
    *out = dcm_dataset_new(a, r.e);
    const struct xml *root = *out ? read_tree(&tree, xml, r.e) : NULL;
    bool ok = root && read_root(&r, root, *out);
    buf_deinit(&r.value);
    arena_deinit(&tree);
    return ok;
}

bool dcm_xml_check(struct str xml, struct err *e) {
    struct arena tree;
    arena_init(&tree, TREE_BYTES_MAX);
    bool ok = read_tree(&tree, xml, e) != NULL;
    arena_deinit(&tree);
    return ok;
}
