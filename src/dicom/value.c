// Value bytes.
#include "dicom/value.h"

#include <string.h>

#include "dicom/charset.h"

uint64_t dcm_value_load(const uint8_t *p, unsigned unit, bool big_endian) {
    uint64_t v = 0;
    for (unsigned i = 0; i < unit; i++) v |= (uint64_t)p[i] << 8 * (big_endian ? unit - 1 - i : i);
    return v;
}

float dcm_value_float(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

double dcm_value_double(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void dcm_value_swap(uint8_t *p, size_t n, unsigned unit) {
    for (size_t at = 0; at + unit <= n; at += unit) {
        for (unsigned i = 0; i < unit / 2; i++) {
            uint8_t t = p[at + i];
            p[at + i] = p[at + unit - 1 - i];
            p[at + unit - 1 - i] = t;
        }
    }
}

bool dcm_value_is_number(uint16_t vr) {
    switch (vr) {
    case DCM_VR_US:
    case DCM_VR_SS:
    case DCM_VR_UL:
    case DCM_VR_SL:
    case DCM_VR_UV:
    case DCM_VR_SV:
    case DCM_VR_FL:
    case DCM_VR_FD:
    case DCM_VR_AT:
        return true;
    default:
        return false;
    }
}

struct str dcm_value_trim(uint16_t vr, struct str value) {
    while (value.n && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\0')) value.n--;
    if (vr != DCM_VR_AE && vr != DCM_VR_DS && vr != DCM_VR_IS) return value;
    while (value.n && value.p[0] == ' ') value.p++, value.n--;
    return value;
}

// The same characters in every character set that DICOM defines: ASCII without escapes, and without the tilde, which is an overline in ISO_IR 14.
static bool is_plain(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x7E || c == 0x1B) return false;
    }
    return true;
}

bool dcm_value_utf8(struct arena *a, const struct dcm_dataset *ds, uint16_t vr, struct str raw, bool repair, struct str *out, struct err *e) {
    struct dcm_charset cs;
    unsigned flags;
    *out = raw;
    if (is_plain(raw)) return true;
    dcm_charset_of(ds, &cs);
    return dcm_charset_decode(a, &cs, vr, raw, repair, out, &flags, e);
}
