// DICOM JSON out: straight from the elements' bytes into the buffer.
#include "dicom/json.h"

#include <math.h>
#include <stdio.h>

#include "base/limits.h"
#include "dicom/charset.h"
#include "dicom/name.h"
#include "dicom/value.h"
#include "dicom/write.h"
#include "text/base64.h"
#include "text/json.h"

enum { DRAIN_BYTES = 256 * 1024, PIECE_BYTES = 96 * 1024, PATH_MAX_BYTES = DCM_DEPTH_MAX * 24 };

struct writer {
    struct json_writer json;
    const struct dcm_json_options *o;
    struct arena *scratch;
    struct err *e;
    char path[PATH_MAX_BYTES]; // "/00400275/1" of the items that are open
    size_t path_n;
    unsigned depth;
};

static bool drain(struct writer *w) {
    if (!w->o->drain || w->json.to->n < DRAIN_BYTES || !buf_ok(w->json.to, NULL)) return true;
    return w->o->drain(w->o->drain_ctx, w->json.to, w->e);
}

static void hex8(char *to, uint32_t v) {
    static const char HEX[] = "0123456789ABCDEF";
    for (int i = 7; i >= 0; i--, v >>= 4) to[i] = HEX[v & 15];
}

// "00100010":{"vr":"PN": the one thing that every element has goes out as one piece.
static void begin_element(struct writer *w, uint32_t tag, const char *vr) {
    struct json_writer *j = &w->json;
    char piece[] = ",\"00000000\":{\"vr\":\"__\"";
    hex8(piece + 2, tag);
    if (j->pretty) {
        json_key_str(j, (struct str){piece + 2, 8});
        json_begin_object(j);
        json_put_strz(j, "vr", vr);
        return;
    }
    memcpy(piece + 19, vr, 2);
    unsigned skip = j->comma ? 0 : 1;
    buf_add(j->to, piece + skip, sizeof piece - 1 - skip);
    j->depth++;
    j->comma = true;
}

// ---- numbers ----

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t digits_at(struct str s, size_t i) {
    size_t n = 0;
    while (i + n < s.n && is_digit(s.p[i + n])) n++;
    return n;
}

// A decimal string as a JSON number with the same digits ("+01.50" is 1.50, ".5" is 0.5). 0 when it is none that a double holds.
static size_t decimal_as_json(struct str s, char to[64]) {
    size_t n = 0, i = 0, exponent = 0;
    if (s.n == 0 || s.n > 40) return 0;
    if (s.p[0] == '-') to[n++] = '-';
    if (s.p[0] == '-' || s.p[0] == '+') i++;
    size_t whole = digits_at(s, i), from = i;
    i += whole;
    while (whole > 1 && s.p[from] == '0') from++, whole--;
    if (whole) memcpy(to + n, s.p + from, whole);
    if (!whole) to[n] = '0';
    n += whole ? whole : 1;
    size_t fraction = i < s.n && s.p[i] == '.' ? digits_at(s, i + 1) : 0;
    if (whole + fraction == 0) return 0;
    if (fraction) memcpy(to + n, s.p + i, fraction + 1);
    n += fraction ? fraction + 1 : 0;
    if (i < s.n && s.p[i] == '.') i += 1 + fraction;
    if (i == s.n) return n;
    if (s.p[i] != 'e' && s.p[i] != 'E') return 0;
    to[n++] = s.p[i++];
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-')) to[n++] = s.p[i++];
    exponent = digits_at(s, i);
    if (exponent == 0 || exponent > 3 || i + exponent != s.n) return 0;
    memcpy(to + n, s.p + i, exponent);
    double v;
    return exponent < 3 || str_to_f64((struct str){to, n + exponent}, &v) ? n + exponent : 0;
}

static void add_decimal(struct json_writer *j, uint16_t vr, struct str s) {
    char number[64];
    size_t n = decimal_as_json(s, number);
    if (vr == DCM_VR_IS && n > dcm_vr_find(vr)->max_length) n = 0; // what no IS can hold
    if (n)
        json_raw(j, (struct str){number, n});
    else
        json_str(j, s);
}

static void add_double(struct json_writer *j, double v) {
    if (isfinite(v))
        json_double(j, v);
    else
        json_strz(j, isnan(v) ? "NaN" : v < 0 ? "-Infinity" : "Infinity");
}

// JSON numbers are doubles to many readers: beyond 2^53 the digits go as a string (PS3.18 table F.2.3-1 allows it).
static void add_wide(struct json_writer *j, bool exact, const char *digits) {
    if (exact)
        json_raw(j, str_of(digits));
    else
        json_strz(j, digits);
}

static void add_binary_number(struct json_writer *j, uint16_t vr, const uint8_t *p, bool big) {
    static const uint64_t EXACT = 1ULL << 53;
    char text[JSON_NUMBER_MAX];
    uint64_t v = dcm_value_load(p, dcm_vr_find(vr)->unit, big);
    switch (vr) {
    case DCM_VR_US:
    case DCM_VR_UL:
        json_uint(j, v);
        return;
    case DCM_VR_SS:
        json_int(j, (int16_t)v);
        return;
    case DCM_VR_SL:
        json_int(j, (int32_t)v);
        return;
    case DCM_VR_FL:
        add_double(j, dcm_value_float((uint32_t)v));
        return;
    case DCM_VR_FD:
        add_double(j, dcm_value_double(v));
        return;
    case DCM_VR_UV:
        snprintf(text, sizeof text, "%llu", (unsigned long long)v);
        add_wide(j, v <= EXACT, text);
        return;
    case DCM_VR_SV:
        snprintf(text, sizeof text, "%lld", (long long)v);
        add_wide(j, (int64_t)v <= (int64_t)EXACT && (int64_t)v >= -(int64_t)EXACT, text);
        return;
    default: // AT: two 16-bit numbers
        hex8(text, (uint32_t)(dcm_value_load(p, 2, big) << 16 | dcm_value_load(p + 2, 2, big)));
        json_str(j, (struct str){text, 8});
    }
}

static bool write_numbers(struct writer *w, const struct dcm_element *el, const uint8_t *p, bool big) {
    unsigned unit = dcm_vr_find(el->vr)->unit;
    if (el->length < unit) return true;
    json_key(&w->json, "Value");
    json_begin_array(&w->json);
    for (uint64_t at = 0; at + unit <= el->length; at += unit) {
        add_binary_number(&w->json, el->vr, p + at, big);
        if (!drain(w)) return false;
    }
    json_end_array(&w->json);
    return true;
}

// ---- text ----

static void add_name(struct json_writer *j, struct str value) {
    static const char *const KEYS[PN_GROUPS] = {"Alphabetic", "Ideographic", "Phonetic"};
    json_begin_object(j);
    for (unsigned g = 0; value.p && g < PN_GROUPS; g++) {
        // What stands behind a third "=" is nothing that PS3.5 6.2.1 knows: it stays with the last group.
        struct str group = g + 1 < PN_GROUPS ? str_split(&value, '=') : value;
        group = dcm_value_trim(DCM_VR_PN, group);
        if (group.n) json_put_str(j, KEYS[g], group);
    }
    json_end_object(j);
}

static void add_text_value(struct json_writer *j, uint16_t vr, struct str value) {
    value = dcm_value_trim(vr, value);
    if (value.n == 0)
        json_null(j);
    else if (vr == DCM_VR_DS || vr == DCM_VR_IS)
        add_decimal(j, vr, value);
    else if (vr == DCM_VR_PN)
        add_name(j, value);
    else
        json_str(j, value);
}

static bool write_text(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el, struct str raw) {
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    struct str text = raw;
    if (w->o->repair && el->tag == DCM_SpecificCharacterSet) text = STR_LIT("ISO_IR 192");
    if (info->charset && !dcm_value_utf8(w->scratch, ds, el->vr, raw, w->o->repair, &text, w->e)) return false;
    if (dcm_value_trim(el->vr, text).n == 0) return true;
    json_key(&w->json, "Value");
    json_begin_array(&w->json);
    if (!info->multi) {
        json_str(&w->json, dcm_value_trim(el->vr, text));
    } else {
        while (text.p) add_text_value(&w->json, el->vr, str_split(&text, '\\'));
    }
    json_end_array(&w->json);
    return true;
}

// ---- bytes ----

// n bytes of the value from at: borrowed, or read into piece and turned to little endian.
static bool load_piece(struct writer *w, const struct dcm_element *el, bool big, uint64_t at, size_t n, uint8_t *piece) {
    unsigned unit = dcm_vr_find(el->vr)->unit;
    if (el->value)
        memcpy(piece, el->value + at, n);
    else if (!w->o->source->read_at(w->o->source->ctx, el->offset + at, piece, n, w->e))
        return false;
    if (big) dcm_value_swap(piece, n, unit);
    return true;
}

static bool write_inline(struct writer *w, const struct dcm_element *el, bool big, uint64_t length) {
    struct base64_stream s = {.held_count = 0};
    uint8_t *piece = NULL;
    bool copies = !el->value || big;
    if (copies && !(piece = arena_alloc(w->scratch, PIECE_BYTES, w->e))) return false;
    json_key(&w->json, "InlineBinary");
    json_str_open(&w->json);
    for (uint64_t at = 0; at < length; at += PIECE_BYTES) {
        size_t n = (size_t)(length - at < PIECE_BYTES ? length - at : PIECE_BYTES);
        if (copies && !load_piece(w, el, big, at, n, piece)) return false;
        base64_feed(&s, copies ? piece : el->value + at, n, w->json.to);
        if (!drain(w)) return false;
    }
    base64_end(&s, w->json.to);
    json_str_close(&w->json);
    return true;
}

static void write_uri(struct writer *w, uint32_t tag) {
    char last[9] = "/";
    struct json_writer *j = &w->json;
    hex8(last + 1, tag);
    json_key(j, "BulkDataURI");
    json_str_open(j);
    buf_addz(j->to, w->o->bulk_uri_prefix);
    buf_add(j->to, w->path, w->path_n);
    buf_add(j->to, last, sizeof last);
    json_str_close(j);
}

// Of encapsulated pixel data: from the first item tag to the end of the last fragment.
static uint64_t fragments_length(const struct dcm_element *el) {
    if (el->item_count == 0) return 0;
    const struct dcm_fragment *last = &el->fragments[el->item_count - 1];
    return last->offset + last->length - el->offset;
}

static bool write_bytes(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el) {
    bool fragments = el->flags & DCM_FRAGMENTS;
    uint64_t length = fragments ? fragments_length(el) : el->length;
    bool big = ds->big_endian && dcm_vr_find(el->vr)->unit > 1 && !fragments;
    if (length == 0) return true;
    bool readable = el->value || w->o->source;
    bool large = (w->o->inline_max && length > w->o->inline_max) || fragments;
    if (w->o->bulk_uri_prefix && (large || !readable)) return write_uri(w, el->tag), true;
    return !readable || write_inline(w, el, big, length);
}

// ---- elements ----

// The bytes of a text or number element, loaded when they are by reference; *p stays NULL when they cannot be had.
static bool load_value(struct writer *w, const struct dcm_element *el, const uint8_t **p) {
    *p = el->value;
    if (el->value || !w->o->source) return true;
    if (el->length > DCM_HEADER_BYTES_MAX)
        return err_set(w->e, ERR_TOO_LARGE, "dicom", "(%04X,%04X) has %llu bytes of text or numbers; at most %d are taken", DCM_GROUP(el->tag),
                       DCM_ELEMENT(el->tag), (unsigned long long)el->length, DCM_HEADER_BYTES_MAX);
    uint8_t *to = arena_alloc(w->scratch, (size_t)el->length, w->e);
    *p = to;
    return to && w->o->source->read_at(w->o->source->ctx, el->offset, to, (size_t)el->length, w->e);
}

static bool write_plain(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el) {
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    const uint8_t *p;
    if (el->length == 0) return true;
    if (!info->text && !dcm_value_is_number(el->vr)) return write_bytes(w, ds, el);
    if (!load_value(w, el, &p)) return false;
    if (!p) {
        if (w->o->bulk_uri_prefix) write_uri(w, el->tag);
        return true;
    }
    if (info->text) return write_text(w, ds, el, (struct str){(const char *)p, (size_t)el->length});
    return write_numbers(w, el, p, ds->big_endian);
}

static bool write_dataset(struct writer *w, const struct dcm_dataset *ds);

static bool write_sequence(struct writer *w, const struct dcm_element *el) {
    size_t path_n = w->path_n;
    if (el->item_count == 0) return true;
    if (w->depth == DCM_DEPTH_MAX) return err_set(w->e, ERR_TOO_LARGE, "dicom", "sequences nested deeper than %d", DCM_DEPTH_MAX);
    w->depth++;
    json_key(&w->json, "Value");
    json_begin_array(&w->json);
    for (uint32_t i = 0; i < el->item_count; i++) {
        w->path_n = path_n + (size_t)snprintf(w->path + path_n, sizeof w->path - path_n, "/%08X/%u", el->tag, i + 1);
        if (!write_dataset(w, el->items[i])) return false;
    }
    json_end_array(&w->json);
    w->path_n = path_n;
    w->depth--;
    return true;
}

static bool write_element(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el) {
    struct arena_mark mark = arena_mark(w->scratch);
    struct dcm_element known = *el;
    if (!dcm_vr_find(el->vr)) known.vr = DCM_VR_UN;
    begin_element(w, el->tag, dcm_vr_find(known.vr)->name);
    bool ok = el->vr == DCM_VR_SQ ? write_sequence(w, el) : write_plain(w, ds, &known);
    json_end_object(&w->json);
    arena_rewind(w->scratch, mark);
    return ok && drain(w);
}

// Group 0002 inside items is content: some writers put a transfer syntax into references.
static bool is_written(const struct writer *w, uint32_t tag) {
    if (DCM_ELEMENT(tag) == 0 || DCM_GROUP(tag) == 0xFFFE) return false;
    return w->depth > 0 || (DCM_GROUP(tag) != 0 && DCM_GROUP(tag) != 2);
}

static bool write_dataset(struct writer *w, const struct dcm_dataset *ds) {
    json_begin_object(&w->json);
    for (uint32_t i = 0; i < ds->count; i++)
        if (is_written(w, ds->elements[i].tag) && !write_element(w, ds, &ds->elements[i])) return false;
    json_end_object(&w->json);
    return true;
}

bool dcm_json_write(const struct dcm_dataset *ds, const struct dcm_json_options *o, struct arena *scratch, struct buf *to, struct err *e) {
    struct writer w = {.o = o, .scratch = scratch, .e = e};
    json_init(&w.json, to, o->pretty);
    return write_dataset(&w, ds);
}
