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

// 1 + place in vrs, by the two letters.
#define SLOT(vr) ((((vr) >> 8) - 'A') * 26 + (((vr)&0xFF) - 'A'))
static const uint8_t places[26 * 26] = {
    [SLOT(DCM_VR_AE)] = 1,  [SLOT(DCM_VR_AS)] = 2,  [SLOT(DCM_VR_AT)] = 3,  [SLOT(DCM_VR_CS)] = 4,  [SLOT(DCM_VR_DA)] = 5,  [SLOT(DCM_VR_DS)] = 6,
    [SLOT(DCM_VR_DT)] = 7,  [SLOT(DCM_VR_FD)] = 8,  [SLOT(DCM_VR_FL)] = 9,  [SLOT(DCM_VR_IS)] = 10, [SLOT(DCM_VR_LO)] = 11, [SLOT(DCM_VR_LT)] = 12,
    [SLOT(DCM_VR_OB)] = 13, [SLOT(DCM_VR_OD)] = 14, [SLOT(DCM_VR_OF)] = 15, [SLOT(DCM_VR_OL)] = 16, [SLOT(DCM_VR_OV)] = 17, [SLOT(DCM_VR_OW)] = 18,
    [SLOT(DCM_VR_PN)] = 19, [SLOT(DCM_VR_SH)] = 20, [SLOT(DCM_VR_SL)] = 21, [SLOT(DCM_VR_SQ)] = 22, [SLOT(DCM_VR_SS)] = 23, [SLOT(DCM_VR_ST)] = 24,
    [SLOT(DCM_VR_SV)] = 25, [SLOT(DCM_VR_TM)] = 26, [SLOT(DCM_VR_UC)] = 27, [SLOT(DCM_VR_UI)] = 28, [SLOT(DCM_VR_UL)] = 29, [SLOT(DCM_VR_UN)] = 30,
    [SLOT(DCM_VR_UR)] = 31, [SLOT(DCM_VR_US)] = 32, [SLOT(DCM_VR_UT)] = 33, [SLOT(DCM_VR_UV)] = 34,
};

const struct dcm_vr_info *dcm_vr_find(uint16_t vr) {
    unsigned first = (vr >> 8) - 'A', second = (vr & 0xFF) - 'A';
    if (first >= 26 || second >= 26) return NULL;
    unsigned place = places[first * 26 + second];
    return place ? &vrs[place - 1] : NULL;
}
