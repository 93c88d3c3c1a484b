// The value representations of PS3.5 table 6.2-1.
#include "dicom/vr.h"

#include <stddef.h>

#define TEXT(v, charset_, multi_, long_, max) \
    { DCM_VR_##v, #v, .unit = 1, .text = true, .charset = (charset_), .multi = (multi_), .long_length = (long_), .pad = ' ', .max_length = (max) }
#define BINARY(v, unit_, long_) \
    { DCM_VR_##v, #v, .unit = (unit_), .long_length = (long_), .pad = '\0' }

static const struct dcm_vr_info vrs[] = {
    TEXT(AE, false, true, false, 16),
    TEXT(AS, false, true, false, 4),
    {DCM_VR_AT, "AT", .unit = 4, .pad = '\0'},
    TEXT(CS, false, true, false, 16),
    TEXT(DA, false, true, false, 8),
    TEXT(DS, false, true, false, 16),
    TEXT(DT, false, true, false, 26),
    BINARY(FD, 8, false),
    BINARY(FL, 4, false),
    TEXT(IS, false, true, false, 12),
    TEXT(LO, true, true, false, 64),
    TEXT(LT, true, false, false, 10240),
    BINARY(OB, 1, true),
    BINARY(OD, 8, true),
    BINARY(OF, 4, true),
    BINARY(OL, 4, true),
    BINARY(OV, 8, true),
    BINARY(OW, 2, true),
    TEXT(PN, true, true, false, 64), // of each component group
    TEXT(SH, true, true, false, 16),
    BINARY(SL, 4, false),
    BINARY(SQ, 1, true),
    BINARY(SS, 2, false),
    TEXT(ST, true, false, false, 1024),
    BINARY(SV, 8, true),
    TEXT(TM, false, true, false, 14), // hhmmss.ffffff and one space
    TEXT(UC, true, true, true, 0),
    {DCM_VR_UI, "UI", .unit = 1, .text = true, .multi = true, .pad = '\0', .max_length = 64},
    BINARY(UL, 4, false),
    BINARY(UN, 1, true),
    TEXT(UR, false, false, true, 0),
    BINARY(US, 2, false),
    TEXT(UT, true, false, true, 0),
    BINARY(UV, 8, true),
};

const struct dcm_vr_info *dcm_vr_find(uint16_t vr) {
    size_t low = 0, high = sizeof vrs / sizeof vrs[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (vrs[middle].vr == vr) return &vrs[middle];
        if (vrs[middle].vr < vr)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
