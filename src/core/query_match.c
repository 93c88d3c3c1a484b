// Attribute matching of PS3.4 C.2.2.2, compiled once per query.
#include "core/query_match.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "dicom/name.h"

enum { VALUES_MAX = 65536 }; // of one key: a list of UIDs may be long

const char *qmatch_attribute_name(uint32_t tag, char out[80]) {
    const struct dcm_dict_entry *d = dcm_dict_find(tag);
    snprintf(out, 80, "%s%s(%04X,%04X)", d && d->keyword ? d->keyword : "", d && d->keyword ? " " : "", DCM_GROUP(tag), DCM_ELEMENT(tag));
    return out;
}

uint16_t qmatch_vr(uint32_t tag) {
    const struct dcm_dict_entry *d = dcm_dict_find(tag);
    return d && d->vr[0] != DCM_VR_NONE ? d->vr[0] : DCM_VR_LO;
}

bool qmatch_is_multi(uint16_t vr) {
    return vr != DCM_VR_LT && vr != DCM_VR_ST && vr != DCM_VR_UT && vr != DCM_VR_UR;
}

// Where * and ? are wild (C.2.2.2.4).
static bool takes_wild_cards(uint16_t vr) {
    switch (vr) {
    case DCM_VR_AE:
    case DCM_VR_CS:
    case DCM_VR_LO:
    case DCM_VR_LT:
    case DCM_VR_PN:
    case DCM_VR_SH:
    case DCM_VR_ST:
    case DCM_VR_UC:
    case DCM_VR_UR:
    case DCM_VR_UT:
        return true;
    default:
        return false;
    }
}

static enum qmatch_kind kind_of(uint16_t vr, bool fuzzy) {
    switch (vr) {
    case DCM_VR_UI:
        return QMATCH_UID;
    case DCM_VR_DA:
    case DCM_VR_TM:
    case DCM_VR_DT:
        return QMATCH_RANGE;
    case DCM_VR_PN:
        return fuzzy ? QMATCH_FUZZY : QMATCH_NAME;
    case DCM_VR_SQ:
        return QMATCH_SEQUENCE;
    case DCM_VR_IS:
    case DCM_VR_DS:
    case DCM_VR_US:
    case DCM_VR_SS:
    case DCM_VR_UL:
    case DCM_VR_SL:
    case DCM_VR_UV:
    case DCM_VR_SV:
    case DCM_VR_FL:
    case DCM_VR_FD:
        return QMATCH_NUMBER;
    default:
        return QMATCH_TEXT;
    }
}

static bool all_stars(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '*') return false;
    return true;
}

static bool has_wild(struct str s) {
    return str_find(s, '*', 0) < s.n || str_find(s, '?', 0) < s.n;
}

// The values of a key, each trimmed; empty ones are left out.
static bool split_values(struct arena *a, struct str value, struct qattr *out, struct err *e) {
    size_t n = 1;
    bool multi = qmatch_is_multi(out->vr);
    for (size_t i = 0; multi && i < value.n; i++) n += value.p[i] == '\\';
    if (n > VALUES_MAX) return err_set(e, ERR_TOO_LARGE, "query", "a key has %zu values; the most is %d", n, VALUES_MAX);
    if (!(out->values = arena_zero(a, n, sizeof *out->values, e))) return false;
    struct str rest = value;
    while (rest.p) {
        struct str one = str_trim(multi ? str_split(&rest, '\\') : rest);
        if (!multi) rest.p = NULL;
        if (one.n == 0) continue;
        if (!arena_dup(a, one, &out->values[out->value_count], e)) return false;
        out->wild |= takes_wild_cards(out->vr) && has_wild(one);
        out->value_count++;
    }
    return true;
}

static int compare_values(const void *x, const void *y) {
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

bool qmatch_compile(struct arena *a, uint32_t tag, uint16_t vr, struct str value, unsigned flags, struct qattr *out, struct err *e) {
    char name[80];
    struct str v = str_trim(value);
    *out = (struct qattr){.tag = tag, .vr = vr ? vr : qmatch_vr(tag)};
    out->kind = (uint8_t)kind_of(out->vr, flags & QMATCH_FUZZY_NAMES);
    if (out->kind == QMATCH_SEQUENCE) return true; // what is asked of it are its children
    if (v.n == 0 || (all_stars(v) && out->kind != QMATCH_RANGE)) {
        out->kind = QMATCH_ANY;
        return true;
    }
    if (str_eqz(v, "\"\"")) {
        out->kind = QMATCH_EMPTY;
        return true;
    }
    if (out->kind == QMATCH_RANGE) {
        bool ok = qtime_range(out->vr, v, &out->range);
        if (ok && (!out->range.inverted || (out->vr == DCM_VR_TM && flags & QMATCH_INVERTED_TIMES))) return true;
        return err_set(e, ERR_BAD_INPUT, "query", "key %s: \"%.*s\" is neither a %s nor a range of them, earlier first", qmatch_attribute_name(tag, name),
                       STR_FMT(v),
                       out->vr == DCM_VR_DA   ? "date (YYYYMMDD)"
                       : out->vr == DCM_VR_TM ? "time (HHMMSS)"
                                              : "date-time (YYYYMMDDHHMMSS&ZZXX)");
    }
    if (!split_values(a, v, out, e)) return err_wrap(e, "key %s", qmatch_attribute_name(tag, name));
    if (out->value_count == 0) out->kind = QMATCH_ANY;
    if (out->kind == QMATCH_UID) qsort(out->values, out->value_count, sizeof *out->values, compare_values);
    return true;
}

bool qmatch_is_universal(const struct qattr *q) {
    if (q->kind == QMATCH_ANY) return true;
    if (q->kind != QMATCH_SEQUENCE) return false;
    for (unsigned i = 0; i < q->child_count; i++)
        if (!qmatch_is_universal(&q->children[i])) return false;
    return true;
}

static size_t char_bytes(struct str s, size_t at) {
    size_t n = 1;
    while (at + n < s.n && ((unsigned char)s.p[at + n] & 0xC0) == 0x80) n++;
    return n;
}

bool qmatch_glob(struct str pattern, struct str text) {
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.n && pattern.p[p] == '?') {
            p++;
            t += char_bytes(text, t);
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            star_text += char_bytes(text, star_text);
            t = star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}

// One end of a range against a moment; both moved to UTC when both know their offset.
static int64_t end_of(const struct qspan *end, int64_t value, const struct qspan *stored, struct qmatch_zone zone) {
    if (!end->zoned || (!stored->zoned && !zone.known)) return value;
    int64_t stored_min = stored->zoned ? stored->offset_min : zone.minutes;
    return value + (stored_min - end->offset_min) * 60 * INT64_C(1000000);
}

static bool match_range(const struct qattr *q, struct qmatch_zone zone, struct str stored) {
    struct qspan s;
    const struct qrange *r = &q->range;
    bool known = q->vr == DCM_VR_DA ? qtime_date(stored, &s) : q->vr == DCM_VR_TM ? qtime_time(stored, &s) : qtime_datetime(stored, &s);
    if (!known) return false;
    if (!r->open_from && s.lo < end_of(&r->from, r->from.lo, &s, zone)) return false;
    return r->open_to || s.lo <= end_of(&r->to, r->to.hi, &s, zone);
}

static bool match_number(struct str wanted, struct str stored) {
    double w, s;
    if (str_eq(wanted, stored)) return true;
    return str_to_f64(wanted, &w) && str_to_f64(stored, &s) && w <= s && w >= s;
}

// One stored value against the condition.
static bool match_value(const struct qattr *q, struct arena *scratch, struct qmatch_zone zone, struct str stored, bool *match, struct err *e) {
    *match = false;
    if (q->kind == QMATCH_RANGE) {
        *match = match_range(q, zone, stored);
        return true;
    }
    if (q->kind == QMATCH_UID) { // lists may be long: they are in order
        *match = bsearch(&stored, q->values, q->value_count, sizeof *q->values, compare_values);
        return true;
    }
    for (unsigned i = 0; i < q->value_count && !*match; i++) {
        struct str v = q->values[i];
        if (q->kind == QMATCH_NAME && !pn_match(scratch, v, stored, match, e)) return false;
        if (q->kind == QMATCH_FUZZY && !pn_match_fuzzy(scratch, v, stored, match, e)) return false;
        if (q->kind == QMATCH_NUMBER) *match = match_number(v, stored);
        if (q->kind == QMATCH_TEXT) *match = q->wild ? qmatch_glob(v, stored) : str_eq(v, stored);
    }
    return true;
}

bool qmatch_text(const struct qattr *q, struct arena *scratch, struct qmatch_zone zone, struct str stored, bool *match, struct err *e) {
    struct str rest = str_trim(stored);
    bool multi = qmatch_is_multi(q->vr);
    *match = q->kind == QMATCH_ANY || (q->kind == QMATCH_EMPTY && rest.n == 0);
    if (*match || q->kind == QMATCH_EMPTY || rest.n == 0) return true;
    while (rest.p && !*match) {
        struct str one = str_trim(multi ? str_split(&rest, '\\') : rest);
        if (!multi) rest.p = NULL;
        if (one.n > 0 && !match_value(q, scratch, zone, one, match, e)) return false;
    }
    return true;
}

// A binary element's i-th value as text.
static bool number_text(const struct dcm_dataset *ds, const struct dcm_element *el, unsigned i, char out[40]) {
    int64_t v;
    double d;
    if (el->vr == DCM_VR_AT) {
        if (!el->value || el->length / 4 <= i) return false;
        const uint8_t *p = el->value + (size_t)i * 4;
        snprintf(out, 40, "%02X%02X%02X%02X", p[1], p[0], p[3], p[2]);
        return true;
    }
    if (el->vr != DCM_VR_FL && el->vr != DCM_VR_FD && dcm_i64(ds, el->tag, i, &v)) return snprintf(out, 40, "%lld", (long long)v) > 0;
    return dcm_f64(ds, el->tag, i, &d) && snprintf(out, 40, "%.17g", d) > 0;
}

static bool match_binary(const struct qattr *q, struct arena *scratch, const struct dcm_dataset *ds, const struct dcm_element *el, bool *match, struct err *e) {
    char text[40];
    *match = q->kind == QMATCH_ANY || (q->kind == QMATCH_EMPTY && el->length == 0);
    unsigned n = el->value ? dcm_vm(ds, el->tag) : 0;
    for (unsigned i = 0; i < n && !*match && q->kind != QMATCH_EMPTY; i++)
        if (number_text(ds, el, i, text) && !match_value(q, scratch, (struct qmatch_zone){0}, str_of(text), match, e)) return false;
    return true;
}

static bool match_items(const struct qattr *q, struct arena *scratch, struct qmatch_zone zone, const struct dcm_element *el, bool *match, struct err *e) {
    *match = qmatch_is_universal(q);
    for (uint32_t i = 0; el && el->vr == DCM_VR_SQ && i < el->item_count && !*match; i++) {
        *match = true;
        for (unsigned k = 0; k < q->child_count && *match; k++)
            if (!qmatch_dataset(&q->children[k], scratch, zone, el->items[i], match, e)) return false;
    }
    return true;
}

bool qmatch_dataset(const struct qattr *q, struct arena *scratch, struct qmatch_zone zone, const struct dcm_dataset *header, bool *match, struct err *e) {
    const struct dcm_element *el = header ? dcm_find(header, q->tag) : NULL;
    if (q->kind == QMATCH_SEQUENCE) return match_items(q, scratch, zone, el, match, e);
    if (!el) return qmatch_text(q, scratch, zone, (struct str){NULL, 0}, match, e);
    const struct dcm_vr_info *vr = dcm_vr_find(el->vr);
    if (el->vr != DCM_VR_UN && vr && !vr->text) return match_binary(q, scratch, header, el, match, e);
    return qmatch_text(q, scratch, zone, dcm_text(header, q->tag), match, e);
}
