// The listing.
#include "dicom/dump.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "dicom/value.h"
#include "dicom/write.h"
#include "text/json.h"
#include "text/utf8.h"

enum {
    DRAIN_BYTES = 256 * 1024,
    PIECE_BYTES = 64 * 1024,
    NAME_COLUMNS = 40,
    CUT_CHARACTERS = 64,
    CUT_TEXT_BYTES = 1024, // of the value that a line is made of
    CUT_BYTES = 16,
    CUT_NUMBERS = 8,
};

struct writer {
    struct buf *to;
    const struct dcm_dump_options *o;
    struct arena *scratch;
    struct err *e;
    unsigned depth;
};

static bool drain(struct writer *w) {
    if (!w->o->drain || w->to->n < DRAIN_BYTES || !buf_ok(w->to, NULL)) return true;
    return w->o->drain(w->o->drain_ctx, w->to, w->e);
}

static void indent(struct writer *w, uint64_t offset, unsigned columns) {
    if (w->o->offsets) buf_addf(w->to, "%10" PRIu64 " ", offset);
    for (unsigned i = 0; i < columns; i++) buf_addc(w->to, ' ');
}

// A private name is not ours to trust: no control characters, no runs of blanks.
static void add_name_text(struct buf *to, struct str s) {
    bool blank = false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == ' ' && blank) continue;
        buf_addc(to, c < 0x20 || c >= 0x7F ? '?' : (char)c);
        blank = c == ' ';
    }
}

static void add_private_name(struct buf *to, const struct dcm_dataset *ds, uint32_t tag) {
    struct str creator = dcm_private_creator(ds, tag);
    if (DCM_ELEMENT(tag) >= 0x10 && DCM_ELEMENT(tag) <= 0xFF) {
        buf_addz(to, "Private Creator");
        return;
    }
    if (creator.n == 0) {
        buf_addz(to, "Private, without creator");
        return;
    }
    const struct dcm_dict_entry *d = dcm_dict_find_private(creator, tag);
    buf_addz(to, "Private {");
    add_name_text(to, creator);
    buf_addz(to, d ? "} " : "}");
    if (d) buf_addz(to, d->name);
}

static void add_name(struct buf *to, const struct dcm_dataset *ds, uint32_t tag) {
    const struct dcm_dict_entry *d = dcm_dict_find(tag);
    size_t from = to->n;
    if (d)
        buf_addz(to, d->name);
    else if (dcm_tag_is_private(tag))
        add_private_name(to, ds, tag);
    else
        buf_addz(to, "Unknown");
    for (size_t n = to->n - from; n < NAME_COLUMNS; n++) buf_addc(to, ' ');
    buf_addz(to, "  ");
}

// ---- text ----

static void add_character(struct buf *to, const char *p, unsigned n, uint32_t cp) {
    if (n == 0)
        buf_addz(to, "\xEF\xBF\xBD");
    else if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0))
        buf_addf(to, "\\x%02X", cp);
    else
        buf_add(to, p, n);
}

static void add_characters(struct writer *w, struct str s, bool cut) {
    unsigned count = 0;
    buf_addc(w->to, '[');
    for (size_t i = 0; i < s.n; count++) {
        uint32_t cp = 0;
        unsigned n = utf8_next(s.p + i, s.n - i, &cp);
        cut |= !w->o->full && count == CUT_CHARACTERS;
        if (!w->o->full && count == CUT_CHARACTERS) break;
        add_character(w->to, s.p + i, n, cp);
        i += n ? n : 1;
    }
    buf_addz(w->to, cut ? "]..." : "]");
}

static void add_uid_name(struct buf *to, struct str uid) {
    const struct dcm_uid_entry *known = dcm_uid_find(uid);
    if (!known) return;
    buf_addc(to, ' ');
    buf_addz(to, known->keyword && known->keyword[0] ? known->keyword : known->name);
}

static bool add_text(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el, struct str raw, bool cut) {
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    struct str text = raw;
    if (info->charset && !dcm_value_utf8(w->scratch, ds, el->vr, raw, w->o->repair, &text, w->e)) return false;
    text = dcm_value_trim(DCM_VR_NONE, text);
    add_characters(w, text, cut);
    if (el->vr == DCM_VR_UI) add_uid_name(w->to, text);
    return true;
}

// ---- numbers and bytes ----

static void add_float(struct buf *to, float v) {
    char text[JSON_NUMBER_MAX];
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    buf_addz(to, text);
}

static void add_double(struct buf *to, double v) {
    char text[JSON_NUMBER_MAX];
    buf_add(to, text, json_format_double(text, v));
}

static void add_number(struct buf *to, uint16_t vr, const uint8_t *p, bool big) {
    uint64_t v = dcm_value_load(p, dcm_vr_find(vr)->unit, big);
    switch (vr) {
    case DCM_VR_SS:
        buf_addf(to, "%d", (int16_t)v);
        return;
    case DCM_VR_SL:
        buf_addf(to, "%" PRId32, (int32_t)v);
        return;
    case DCM_VR_SV:
        buf_addf(to, "%" PRId64, (int64_t)v);
        return;
    case DCM_VR_FL:
        add_float(to, dcm_value_float((uint32_t)v));
        return;
    case DCM_VR_FD:
        add_double(to, dcm_value_double(v));
        return;
    case DCM_VR_AT:
        buf_addf(to, "(%04X,%04X)", (unsigned)dcm_value_load(p, 2, big), (unsigned)dcm_value_load(p + 2, 2, big));
        return;
    default:
        buf_addf(to, "%" PRIu64, v);
        return;
    }
}

static void add_hex(struct buf *to, uint64_t v, unsigned unit) {
    static const char HEX[] = "0123456789abcdef";
    char digits[17];
    for (unsigned i = 0; i < unit * 2; i++) digits[i] = HEX[v >> (4 * (unit * 2 - 1 - i)) & 15];
    buf_add(to, digits, unit * 2);
}

// n bytes as numbers, or as words of the VR's unit; what is left over of a unit as bytes.
static void add_units(struct buf *to, uint16_t vr, const uint8_t *p, size_t n, bool big, bool first) {
    unsigned unit = dcm_vr_find(vr)->unit;
    for (size_t at = 0; at < n; first = false) {
        unsigned now = n - at >= unit ? unit : 1;
        if (!first) buf_addc(to, '\\');
        if (now == unit && dcm_value_is_number(vr))
            add_number(to, vr, p + at, big);
        else if (now == unit && (vr == DCM_VR_OF || vr == DCM_VR_OD))
            add_number(to, vr == DCM_VR_OF ? DCM_VR_FL : DCM_VR_FD, p + at, big);
        else
            add_hex(to, dcm_value_load(p + at, now, big), now);
        at += now;
    }
}

static bool read_value(struct writer *w, const struct dcm_element *el, uint64_t at, uint8_t *to, size_t n) {
    if (!el->value) return w->o->source->read_at(w->o->source->ctx, el->offset + at, to, n, w->e);
    memcpy(to, el->value + at, n);
    return true;
}

static bool add_binary(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el) {
    unsigned unit = dcm_vr_find(el->vr)->unit;
    uint64_t shown = el->length, cut = dcm_value_is_number(el->vr) ? (uint64_t)CUT_NUMBERS * unit : CUT_BYTES;
    if (!w->o->full && shown > cut) shown = cut;
    uint8_t *piece = arena_alloc(w->scratch, PIECE_BYTES, w->e);
    if (!piece) return false;
    for (uint64_t at = 0; at < shown; at += PIECE_BYTES) {
        size_t n = (size_t)(shown - at < PIECE_BYTES ? shown - at : PIECE_BYTES);
        if (!read_value(w, el, at, piece, n)) return false;
        add_units(w->to, el->vr, piece, n, ds->big_endian, at == 0);
        if (!drain(w)) return false;
    }
    if (shown < el->length) buf_addz(w->to, "...");
    return true;
}

// ---- elements ----

static bool add_plain(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *el) {
    if (el->length == 0) return buf_addz(w->to, "(no value)"), true;
    if (!el->value && !w->o->source) return buf_addz(w->to, "(not loaded)"), true;
    if (!dcm_vr_find(el->vr)->text) return add_binary(w, ds, el);
    uint64_t n = el->length;
    if (!w->o->full && n > CUT_TEXT_BYTES) n = CUT_TEXT_BYTES;
    if (n > DCM_HEADER_BYTES_MAX) return buf_addz(w->to, "(too large to show as text)"), true;
    if (el->value) return add_text(w, ds, el, (struct str){(const char *)el->value, (size_t)n}, n < el->length);
    uint8_t *p = arena_alloc(w->scratch, (size_t)n, w->e);
    return p && read_value(w, el, 0, p, (size_t)n) && add_text(w, ds, el, (struct str){(const char *)p, (size_t)n}, n < el->length);
}

static bool add_fragments(struct writer *w, const struct dcm_element *el) {
    buf_addf(w->to, "%" PRIu32 " fragment%s\n", el->item_count, el->item_count == 1 ? "" : "s");
    for (uint32_t i = 0; i < el->item_count; i++) {
        indent(w, el->fragments[i].offset, 2 + 4 * w->depth);
        buf_addf(w->to, "fragment %" PRIu32 "%s  %" PRIu32 " bytes\n", i, i ? "" : " (basic offset table)", el->fragments[i].length);
        if (!drain(w)) return false;
    }
    return true;
}

static bool add_dataset(struct writer *w, const struct dcm_dataset *ds);

static bool add_items(struct writer *w, const struct dcm_element *el) {
    buf_addf(w->to, "%" PRIu32 " item%s\n", el->item_count, el->item_count == 1 ? "" : "s");
    if (w->depth == DCM_DEPTH_MAX) return err_set(w->e, ERR_TOO_LARGE, "dicom", "sequences nested deeper than %d", DCM_DEPTH_MAX);
    for (uint32_t i = 0; i < el->item_count; i++) {
        indent(w, el->offset, 2 + 4 * w->depth);
        buf_addf(w->to, "item %" PRIu32 "\n", i + 1);
        w->depth++;
        if (!add_dataset(w, el->items[i])) return false;
        w->depth--;
    }
    return true;
}

static bool add_element(struct writer *w, const struct dcm_dataset *ds, const struct dcm_element *from) {
    struct arena_mark mark = arena_mark(w->scratch);
    struct dcm_element el = *from;
    if (!dcm_vr_find(el.vr)) el.vr = DCM_VR_UN;
    indent(w, el.offset, 4 * w->depth);
    buf_addf(w->to, "(%04X,%04X) %s ", DCM_GROUP(el.tag), DCM_ELEMENT(el.tag), dcm_vr_find(el.vr)->name);
    if (el.flags & DCM_UNDEFINED_LENGTH)
        buf_addz(w->to, "    u/l  ");
    else
        buf_addf(w->to, "%7" PRIu64 "  ", el.length);
    add_name(w->to, ds, el.tag);
    bool ok;
    if (el.vr == DCM_VR_SQ) {
        ok = add_items(w, &el);
    } else if (el.flags & DCM_FRAGMENTS) {
        ok = add_fragments(w, &el);
    } else {
        ok = add_plain(w, ds, &el);
        buf_addc(w->to, '\n');
    }
    arena_rewind(w->scratch, mark);
    return ok && drain(w);
}

static bool add_dataset(struct writer *w, const struct dcm_dataset *ds) {
    for (uint32_t i = 0; i < ds->count; i++)
        if (!add_element(w, ds, &ds->elements[i])) return false;
    return true;
}

bool dcm_dump_write(const struct dcm_object *o, const struct dcm_dump_options *options, struct arena *scratch, struct buf *to, struct err *e) {
    struct writer w = {.to = to, .o = options, .scratch = scratch, .e = e};
    if (o->meta && !add_dataset(&w, o->meta)) return false;
    return !o->dataset || add_dataset(&w, o->dataset);
}
