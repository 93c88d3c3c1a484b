// Native DICOM Model out.
#include "dicom/xml.h"

#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "dicom/charset.h"
#include "dicom/value.h"
#include "dicom/write.h"
#include "text/base64.h"
#include "text/json.h"
#include "text/xml.h"

enum { PIECE_BYTES = 96 * 1024, PATH_MAX_BYTES = DCM_DEPTH_MAX * 24, PRIVATE_BLOCK_MIN = 0x1000, NAME_PARTS = 5 };

struct writer {
    struct xml_writer xml;
    const struct dcm_json_options *o;
    struct arena *scratch;
    struct err *e;
    char path[PATH_MAX_BYTES]; // "/00400275/1" of the items that are open
    size_t path_n;
    unsigned depth;
};

static void begin_numbered(struct writer *w, const char *name, unsigned number) {
    char text[12];
    snprintf(text, sizeof text, "%u", number);
    xml_begin(&w->xml, name);
    xml_attrz(&w->xml, "number", text);
}

static void put_value(struct writer *w, unsigned number, struct str text) {
    begin_numbered(w, "Value", number);
    if (text.n) xml_text(&w->xml, text);
    xml_end(&w->xml);
}

// ---- text ----

static void put_group(struct writer *w, const char *name, struct str group) {
    static const char *const PARTS[NAME_PARTS] = {"FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"};
    size_t at = 0;
    while (at < group.n && (group.p[at] == '^' || group.p[at] == ' ')) at++;
    if (at == group.n) return; // nothing but delimiters
    xml_begin(&w->xml, name);
    for (unsigned i = 0; i < NAME_PARTS && group.p; i++) {
        struct str part = str_trim(i + 1 < NAME_PARTS ? str_split(&group, '^') : group);
        if (part.n) xml_put(&w->xml, PARTS[i], part);
    }
    xml_end(&w->xml);
}

static void put_name(struct writer *w, unsigned number, struct str value) {
    static const char *const GROUPS[] = {"Alphabetic", "Ideographic", "Phonetic"};
    begin_numbered(w, "PersonName", number);
    for (unsigned g = 0; g < 3 && value.p; g++) put_group(w, GROUPS[g], dcm_value_trim(DCM_VR_PN, g < 2 ? str_split(&value, '=') : value));
    xml_end(&w->xml);
}

static bool write_text(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el, struct str raw) {
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    struct str text = raw;
    if (w->o->repair && el->tag == DCM_SpecificCharacterSet) text = STR_LIT("ISO_IR 192");
    if (info->charset && !dcm_value_utf8(w->scratch, ds, el->vr, raw, w->o->repair, &text, w->e)) return false;
    text = dcm_value_trim(el->vr, text);
    if (text.n == 0) return true;
    if (!info->multi) {
        put_value(w, 1, text);
        return true;
    }
    for (unsigned i = 1; text.p; i++) {
        struct str one = dcm_value_trim(el->vr, str_split(&text, '\\'));
        if (el->vr == DCM_VR_PN)
            put_name(w, i, one);
        else
            put_value(w, i, one);
    }
    return true;
}

// ---- numbers ----

static unsigned format_double(char text[JSON_NUMBER_MAX], double v) {
    if (isfinite(v)) return json_format_double(text, v);
    return (unsigned)snprintf(text, JSON_NUMBER_MAX, "%s", isnan(v) ? "NaN" : v < 0 ? "-INF" : "INF");
}

// A float's own digits: the fewest that read back as the same float.
static unsigned format_float(char text[JSON_NUMBER_MAX], float v) {
    if (!isfinite(v)) return format_double(text, (double)v);
    for (int digits = 6; digits < 10; digits++) {
        int n = snprintf(text, JSON_NUMBER_MAX, "%.*g", digits, (double)v);
        double back;
        if (str_to_f64((struct str){text, (size_t)n}, &back) && fabs((double)((float)back - v)) <= 0) return (unsigned)n;
    }
    return format_double(text, (double)v);
}

static unsigned format_number(char text[JSON_NUMBER_MAX], uint16_t vr, const uint8_t *p, bool big) {
    uint64_t v = dcm_value_load(p, dcm_vr_find(vr)->unit, big);
    switch (vr) {
    case DCM_VR_SS:
        return (unsigned)snprintf(text, JSON_NUMBER_MAX, "%d", (int16_t)v);
    case DCM_VR_SL:
        return (unsigned)snprintf(text, JSON_NUMBER_MAX, "%d", (int32_t)v);
    case DCM_VR_SV:
        return (unsigned)snprintf(text, JSON_NUMBER_MAX, "%lld", (long long)v);
    case DCM_VR_FL:
        return format_float(text, dcm_value_float((uint32_t)v));
    case DCM_VR_FD:
        return format_double(text, dcm_value_double(v));
    case DCM_VR_AT:
        return (unsigned)snprintf(text, JSON_NUMBER_MAX, "%04X%04X", (unsigned)dcm_value_load(p, 2, big), (unsigned)dcm_value_load(p + 2, 2, big));
    default:
        return (unsigned)snprintf(text, JSON_NUMBER_MAX, "%llu", (unsigned long long)v);
    }
}

static void write_numbers(struct writer *w, const struct dcm_element *el, const uint8_t *p, bool big) {
    unsigned unit = dcm_vr_find(el->vr)->unit, number = 1;
    char text[JSON_NUMBER_MAX];
    for (uint64_t at = 0; at + unit <= el->length; at += unit, number++) {
        unsigned n = format_number(text, el->vr, p + at, big);
        begin_numbered(w, "Value", number);
        xml_plain(&w->xml, (struct str){text, n});
        xml_end(&w->xml);
    }
}

// ---- bytes ----

static void write_uri(struct writer *w, uint32_t tag) {
    struct buf uri;
    buf_init(&uri, HTTP_TARGET_BYTES_MAX);
    buf_addf(&uri, "%s%.*s/%08X", w->o->bulk_uri_prefix, (int)w->path_n, w->path, tag);
    xml_begin(&w->xml, "BulkData");
    xml_attr(&w->xml, "uri", buf_str(&uri));
    xml_end(&w->xml);
    if (uri.failed) w->xml.to->failed = uri.failed;
    buf_deinit(&uri);
}

static bool load_piece(struct writer *w, const struct dcm_element *el, bool big, uint64_t at, size_t n, uint8_t *piece) {
    if (el->value)
        memcpy(piece, el->value + at, n);
    else if (!w->o->source->read_at(w->o->source->ctx, el->offset + at, piece, n, w->e))
        return false;
    if (big) dcm_value_swap(piece, n, dcm_vr_find(el->vr)->unit);
    return true;
}

static bool write_inline(struct writer *w, const struct dcm_element *el, bool big, uint64_t length) {
    struct base64_stream s = {.held_count = 0};
    uint8_t *piece = arena_alloc(w->scratch, PIECE_BYTES, w->e);
    if (!piece) return false;
    xml_begin(&w->xml, "InlineBinary");
    xml_plain(&w->xml, STR_LIT(""));
    for (uint64_t at = 0; at < length; at += PIECE_BYTES) {
        size_t n = (size_t)(length - at < PIECE_BYTES ? length - at : PIECE_BYTES);
        if (!load_piece(w, el, big, at, n, piece)) return false;
        base64_feed(&s, piece, n, w->xml.to);
    }
    base64_end(&s, w->xml.to);
    xml_end(&w->xml);
    return true;
}

static bool write_bytes(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el) {
    bool fragments = el->flags & DCM_FRAGMENTS, readable = el->value || (w->o->source && !fragments);
    bool large = (w->o->inline_max && el->length > w->o->inline_max) || fragments;
    if (w->o->bulk_uri_prefix && (large || !readable)) return write_uri(w, el->tag), true;
    return !readable || write_inline(w, el, ds->big_endian && dcm_vr_find(el->vr)->unit > 1, el->length);
}

// ---- elements ----

static bool write_plain(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el) {
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    if (el->length == 0) return true;
    if (!info->text && !dcm_value_is_number(el->vr)) return write_bytes(w, ds, el);
    const uint8_t *p = el->value;
    if (!p && w->o->bulk_uri_prefix) return write_uri(w, el->tag), true;
    if (!p) return true;
    if (info->text) return write_text(w, ds, el, (struct str){(const char *)p, (size_t)el->length});
    write_numbers(w, el, p, ds->big_endian);
    return true;
}

static bool write_dataset(struct writer *w, const struct dcm_dataset *ds);

static bool write_sequence(struct writer *w, const struct dcm_element *el) {
    size_t path_n = w->path_n;
    if (w->depth == DCM_DEPTH_MAX) return err_set(w->e, ERR_TOO_LARGE, "dicom", "sequences nested deeper than %d", DCM_DEPTH_MAX);
    w->depth++;
    for (uint32_t i = 0; i < el->item_count; i++) {
        w->path_n = path_n + (size_t)snprintf(w->path + path_n, sizeof w->path - path_n, "/%08X/%u", el->tag, i + 1);
        begin_numbered(w, "Item", i + 1);
        if (!write_dataset(w, el->items[i])) return false;
        xml_end(&w->xml);
    }
    w->path_n = path_n;
    w->depth--;
    return true;
}

static bool begin_element(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el, uint16_t vr) {
    const struct dcm_dict_entry *d = dcm_dict_find(el->tag);
    bool block = dcm_tag_is_private(el->tag) && DCM_ELEMENT(el->tag) >= PRIVATE_BLOCK_MIN;
    struct str creator = block ? dcm_private_creator(ds, el->tag) : (struct str){NULL, 0};
    if (creator.n && !dcm_value_utf8(w->scratch, ds, DCM_VR_LO, creator, w->o->repair, &creator, w->e)) return false;
    char tag[9];
    snprintf(tag, sizeof tag, "%08X", creator.n ? el->tag & 0xFFFF00FF : el->tag);
    xml_begin(&w->xml, "DicomAttribute");
    xml_attrz(&w->xml, "tag", tag);
    xml_attrz(&w->xml, "vr", dcm_vr_find(vr)->name);
    if (d && d->keyword && !dcm_tag_is_private(el->tag)) xml_attrz(&w->xml, "keyword", d->keyword);
    if (creator.n) xml_attr(&w->xml, "privateCreator", creator);
    return true;
}

static bool write_element(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el) {
    struct arena_mark mark = arena_mark(w->scratch);
    struct dcm_element known = *el;
    if (!dcm_vr_find(el->vr)) known.vr = DCM_VR_UN;
    if (!begin_element(w, ds, el, known.vr)) return false;
    bool ok = el->vr == DCM_VR_SQ ? write_sequence(w, el) : write_plain(w, ds, &known);
    xml_end(&w->xml);
    arena_rewind(w->scratch, mark);
    return ok && buf_ok(w->xml.to, w->e);
}

// As in DICOM JSON: no group lengths, no group 0002 and no commands at the top level.
static bool is_written(const struct writer *w, uint32_t tag) {
    if (DCM_ELEMENT(tag) == 0 || DCM_GROUP(tag) == 0xFFFE) return false;
    return w->depth > 0 || (DCM_GROUP(tag) != 0 && DCM_GROUP(tag) != 2);
}

static bool write_dataset(struct writer *w, const struct dcm_dataset *ds) {
    for (uint32_t i = 0; i < ds->count; i++)
        if (is_written(w, ds->elements[i].tag) && !write_element(w, ds, &ds->elements[i])) return false;
    return true;
}

bool dcm_xml_write(const struct dcm_dataset *ds, const struct dcm_json_options *o, struct arena *scratch, struct buf *to, struct err *e) {
    struct writer w = {.o = o, .scratch = scratch, .e = e};
    xml_init(&w.xml, to, o->pretty);
    xml_begin(&w.xml, "NativeDicomModel");
    xml_attrz(&w.xml, "xmlns", DCM_XML_NAMESPACE);
    xml_attrz(&w.xml, "xml:space", "preserve");
    if (!write_dataset(&w, ds)) return false;
    xml_end(&w.xml);
    return true;
}
