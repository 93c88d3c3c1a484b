// The check of every element by itself.
#include "dicom/validate_part.h"

#include <inttypes.h>
#include <stdio.h>

#include "dicom/charset.h"
#include "dicom/value.h"
#include "dicom/write.h"
#include "text/utf8.h"

enum { SHOWN_BYTES = 32, TEXT_BYTES_MAX = 4 * 1024 * 1024 };

// A value as it may stand in a message: printable ASCII, cut.
static const char *shown(struct str v, char to[SHOWN_BYTES + 4]) {
    size_t n = v.n < SHOWN_BYTES ? v.n : SHOWN_BYTES;
    for (size_t i = 0; i < n; i++) to[i] = v.p[i] >= 0x20 && v.p[i] < 0x7F ? v.p[i] : '?';
    memcpy(to + n, v.n > n ? "..." : "", v.n > n ? 4 : 1);
    return to;
}

// ---- VR ----

static bool is_allowed(const struct dcm_dict_entry *d, uint16_t vr) {
    for (unsigned i = 0; i < 3; i++)
        if (d->vr[i] == vr) return true;
    return false;
}

static void check_vr(struct dcm_check *c, const struct dcm_element *el) {
    const struct dcm_dict_entry *d = dcm_dict_find(el->tag);
    char a = (char)(el->stream_vr >> 8), b = (char)(el->stream_vr & 0xFF), text[SHOWN_BYTES + 4];
    if (!d && !dcm_tag_is_private(el->tag)) {
        dcm_report(c, DCM_SEVERITY_WARNING, "tag-unknown", el->tag, el->offset, "is not in the data dictionary");
        return;
    }
    if (el->flags & DCM_VR_ODD)
        dcm_report(c, DCM_SEVERITY_ERROR, "vr-unknown", el->tag, el->offset, "has '%s' where a VR should be", shown((struct str){(char[]){a, b}, 2}, text));
    else if (el->stream_vr == DCM_VR_UN && d && el->vr != DCM_VR_UN)
        dcm_report(c, DCM_SEVERITY_WARNING, "vr-un", el->tag, el->offset, "is UN although the dictionary knows it as %s", dcm_vr_find(d->vr[0])->name);
    else if (el->stream_vr && el->stream_vr != DCM_VR_UN && d && d->vr[0] && !is_allowed(d, el->stream_vr))
        dcm_report(c, DCM_SEVERITY_ERROR, "vr-wrong", el->tag, el->offset, "is %c%c; the dictionary says %s", a, b, dcm_vr_find(d->vr[0])->name);
}

static void check_length(struct dcm_check *c, const struct dcm_element *el) {
    if (el->flags & DCM_FRAGMENTS) return;
    unsigned unit = dcm_vr_find(el->vr)->unit;
    if (el->length % 2)
        dcm_report(c, DCM_SEVERITY_ERROR, "length-odd", el->tag, el->offset, "has an odd length, %" PRIu64, el->length);
    else if (el->length % unit)
        dcm_report(c, DCM_SEVERITY_ERROR, "length-unit", el->tag, el->offset, "has %" PRIu64 " bytes, which are no multiple of the %u of its VR", el->length,
                   unit);
}

// ---- VM ----

static void check_vm(struct dcm_check *c, const struct dcm_element *el, uint64_t vm) {
    const struct dcm_dict_entry *d = dcm_dict_find(el->tag);
    if (!d || vm == 0 || el->vr == DCM_VR_SQ) return;
    unsigned step = d->vm_step ? d->vm_step : 1;
    bool right = vm >= d->vm_min && (d->vm_max == 0 || vm <= d->vm_max) && (d->vm_max != 0 || vm % step == 0);
    if (right) return;
    char max[16] = "n";
    if (d->vm_max) snprintf(max, sizeof max, "%u", d->vm_max);
    dcm_report(c, DCM_SEVERITY_ERROR, "vm", el->tag, el->offset, "has %" PRIu64 " values; the dictionary asks for %u to %s", vm, d->vm_min, max);
}

// ---- text ----

static uint64_t characters(struct str utf8) {
    uint64_t n = 0;
    for (size_t i = 0; i < utf8.n; i++) n += ((unsigned char)utf8.p[i] & 0xC0) != 0x80;
    return n;
}

static uint64_t longest_group(struct str name) {
    uint64_t most = 0;
    while (name.p) {
        uint64_t n = characters(str_split(&name, '='));
        most = n > most ? n : most;
    }
    return most;
}

static void check_value_text(struct dcm_check *c, const struct dcm_element *el, struct str v) {
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    char text[SHOWN_BYTES + 4];
    enum dcm_severity severity;
    uint64_t n = el->vr == DCM_VR_PN ? longest_group(v) : info->charset ? characters(v) : v.n;
    const char *fault = v.n ? dcm_value_fault(el->vr, v, &severity) : NULL;
    if (info->max_length && n > info->max_length)
        dcm_report(c, DCM_SEVERITY_ERROR, "value-too-long", el->tag, el->offset, "has %" PRIu64 " characters in '%s'; %s takes %u", n, shown(v, text),
                   info->name, info->max_length);
    if (fault) dcm_report(c, severity, "value-syntax", el->tag, el->offset, "'%s' %s", shown(v, text), fault);
}

static uint64_t check_values(struct dcm_check *c, const struct dcm_element *el, struct str text) {
    if (!dcm_vr_find(el->vr)->multi) {
        check_value_text(c, el, dcm_value_trim(el->vr, text));
        return 1;
    }
    uint64_t vm = 0;
    for (; text.p; vm++) check_value_text(c, el, dcm_value_trim(el->vr, str_split(&text, '\\')));
    return vm;
}

// PS3.5 6.1.3: of the control characters only ESC, and in multi-line text TAB, LF, FF and CR.
static void check_controls(struct dcm_check *c, const struct dcm_element *el, struct str raw) {
    bool lines = el->vr == DCM_VR_ST || el->vr == DCM_VR_LT || el->vr == DCM_VR_UT;
    raw = dcm_value_trim(DCM_VR_NONE, raw);
    for (size_t i = 0; i < raw.n; i++) {
        unsigned char ch = (unsigned char)raw.p[i];
        if (ch >= 0x20 || ch == 0x1B || (lines && (ch == '\t' || ch == '\n' || ch == '\f' || ch == '\r'))) continue;
        dcm_report(c, DCM_SEVERITY_ERROR, "control-character", el->tag, el->offset + i, "has the control character %02X", ch);
        return;
    }
}

static void check_padding(struct dcm_check *c, const struct dcm_element *el, struct str raw) {
    if (raw.n == 0 || el->length != raw.n) return;
    char last = raw.p[raw.n - 1], pad = dcm_vr_find(el->vr)->pad;
    if ((last == ' ' && pad == '\0') || (last == '\0' && pad == ' '))
        dcm_report(c, DCM_SEVERITY_WARNING, "padding", el->tag, el->offset + raw.n - 1, "is padded with a %s; %s takes a %s", last ? "space" : "NUL",
                   dcm_vr_find(el->vr)->name, last ? "NUL" : "space");
}

// Bytes that are not in the declared character set; then *text is what detection makes of them.
static bool check_characters(struct dcm_check *c, const struct dcm_dataset *ds, const struct dcm_element *el, struct str raw, struct str *text) {
    struct dcm_charset cs;
    unsigned declared = 0, repaired = 0;
    struct str as_repaired;
    dcm_charset_of(ds, &cs);
    if (!dcm_charset_decode(c->scratch, &cs, el->vr, raw, false, text, &declared, c->e)) return false;
    if (!dcm_charset_decode(c->scratch, &cs, el->vr, raw, true, &as_repaired, &repaired, c->e)) return false;
    if (repaired & DCM_DECODE_DETECTED) {
        dcm_report(c, c->options->repair ? DCM_SEVERITY_WARNING : DCM_SEVERITY_ERROR, "charset-mislabelled", el->tag, el->offset,
                   "is not in its declared character set; it reads as '%.*s'", STR_FMT(str_sub(as_repaired, 0, as_repaired.n < 120 ? as_repaired.n : 0)));
        *text = as_repaired;
    } else if (declared & DCM_DECODE_REPLACED) {
        dcm_report(c, DCM_SEVERITY_ERROR, "charset-bytes", el->tag, el->offset, "has bytes that are not in its declared character set");
    }
    return true;
}

static void check_charset_terms(struct dcm_check *c, const struct dcm_element *el, struct str raw) {
    struct dcm_charset cs;
    char text[SHOWN_BYTES + 4];
    if (el->tag != DCM_SpecificCharacterSet) return;
    dcm_charset_parse(raw, &cs);
    if (cs.unknown) dcm_report(c, DCM_SEVERITY_ERROR, "charset-term", el->tag, el->offset, "'%s' is not a defined term of PS3.3 C.12.1.1.2", shown(raw, text));
}

static bool check_text(struct dcm_check *c, const struct dcm_dataset *ds, const struct dcm_element *el, struct str raw) {
    struct str text = raw;
    check_controls(c, el, raw);
    check_padding(c, el, raw);
    check_charset_terms(c, el, raw);
    if (dcm_vr_find(el->vr)->charset && !check_characters(c, ds, el, raw, &text)) return false;
    check_vm(c, el, check_values(c, el, text));
    return true;
}

// The value's bytes; NULL in *p when they are too many or cannot be had.
static bool load(struct dcm_check *c, const struct dcm_element *el, const char **p) {
    *p = (const char *)el->value;
    if (*p || !c->options->source || el->length > TEXT_BYTES_MAX) return true;
    char *to = arena_alloc(c->scratch, (size_t)el->length, c->e);
    *p = to;
    return to && c->options->source->read_at(c->options->source->ctx, el->offset, to, (size_t)el->length, c->e);
}

static bool check_value(struct dcm_check *c, const struct dcm_dataset *ds, const struct dcm_element *el) {
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    const char *p = NULL;
    if (el->length == 0 || (el->flags & DCM_FRAGMENTS)) return true;
    if (!info->text) {
        if (dcm_value_is_number(el->vr)) check_vm(c, el, el->length / info->unit);
        return true;
    }
    struct arena_mark mark = arena_mark(c->scratch);
    bool ok = load(c, el, &p) && (!p || check_text(c, ds, el, (struct str){p, (size_t)el->length}));
    arena_rewind(c->scratch, mark);
    return ok;
}

// ---- places ----

// PS3.5 7.1 and 7.8.
static void check_tag(struct dcm_check *c, const struct dcm_dataset *ds, const struct dcm_element *el) {
    uint16_t group = DCM_GROUP(el->tag), element = DCM_ELEMENT(el->tag);
    if (group == 1 || group == 3 || group == 5 || group == 7 || group == 0xFFFF) {
        dcm_report(c, DCM_SEVERITY_ERROR, "group-illegal", el->tag, el->offset, "is in a group that shall not be used");
    } else if (group == 0) {
        dcm_report(c, DCM_SEVERITY_ERROR, "group-illegal", el->tag, el->offset, "is a command element: it does not belong into an object");
    } else if ((group & 1) && element > 0 && (element < 0x10 || (element > 0xFF && element < 0x1000))) {
        dcm_report(c, DCM_SEVERITY_ERROR, "private-number", el->tag, el->offset, "is a private element whose number belongs to no block");
    } else if ((group & 1) && element >= 0x1000 && dcm_private_creator(ds, el->tag).n == 0) {
        dcm_report(c, DCM_SEVERITY_ERROR, "private-creator", el->tag, el->offset, "is in a private block without creator: (%04X,%04X) is missing", group,
                   element >> 8);
    }
}

static bool check_items(struct dcm_check *c, const struct dcm_element *el) {
    if (c->depth >= DCM_DEPTH_MAX) return true;
    for (uint32_t i = 0; i < el->item_count; i++) {
        size_t before = dcm_check_enter(c, el->tag, i);
        bool ok = dcm_check_elements(c, el->items[i]);
        dcm_check_leave(c, before);
        if (!ok) return false;
    }
    return true;
}

bool dcm_check_elements(struct dcm_check *c, const struct dcm_dataset *ds) {
    for (uint32_t i = 0; i < ds->count; i++) {
        struct dcm_element el = ds->elements[i];
        if (!dcm_vr_find(el.vr)) el.vr = DCM_VR_UN;
        check_tag(c, ds, &el);
        check_vr(c, &el);
        check_length(c, &el);
        if (el.vr == DCM_VR_SQ ? !check_items(c, &el) : !check_value(c, ds, &el)) return false;
    }
    return true;
}
