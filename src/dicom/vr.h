// Value representations (PS3.5 6.2): their codes and what a reader or writer must know of each.
#ifndef GANTRY_DICOM_VR_H
#define GANTRY_DICOM_VR_H

#include <stdbool.h>
#include <stdint.h>

#define DCM_VR_CODE(a, b) ((uint16_t)((a) << 8 | (b)))

// The value is the two characters as they stand in an explicit VR stream, first character in the high byte.
enum dcm_vr {
    DCM_VR_NONE = 0,
    DCM_VR_AE = 0x4145,
    DCM_VR_AS = 0x4153,
    DCM_VR_AT = 0x4154,
    DCM_VR_CS = 0x4353,
    DCM_VR_DA = 0x4441,
    DCM_VR_DS = 0x4453,
    DCM_VR_DT = 0x4454,
    DCM_VR_FD = 0x4644,
    DCM_VR_FL = 0x464C,
    DCM_VR_IS = 0x4953,
    DCM_VR_LO = 0x4C4F,
    DCM_VR_LT = 0x4C54,
    DCM_VR_OB = 0x4F42,
    DCM_VR_OD = 0x4F44,
    DCM_VR_OF = 0x4F46,
    DCM_VR_OL = 0x4F4C,
    DCM_VR_OV = 0x4F56,
    DCM_VR_OW = 0x4F57,
    DCM_VR_PN = 0x504E,
    DCM_VR_SH = 0x5348,
    DCM_VR_SL = 0x534C,
    DCM_VR_SQ = 0x5351,
    DCM_VR_SS = 0x5353,
    DCM_VR_ST = 0x5354,
    DCM_VR_SV = 0x5356,
    DCM_VR_TM = 0x544D,
    DCM_VR_UC = 0x5543,
    DCM_VR_UI = 0x5549,
    DCM_VR_UL = 0x554C,
    DCM_VR_UN = 0x554E,
    DCM_VR_UR = 0x5552,
    DCM_VR_US = 0x5553,
    DCM_VR_UT = 0x5554,
    DCM_VR_UV = 0x5556,
};

struct dcm_vr_info {
    uint16_t vr;         // enum dcm_vr
    char name[3];        // "PN"
    uint8_t unit;        // bytes of one binary value, and what is swapped between byte orders; 1 for text and bytes; 4 (2+2) for AT
    bool text;           // characters rather than binary
    bool charset;        // governed by Specific Character Set (SH LO ST LT UC UT PN)
    bool multi;          // text values are separated by backslash (false for ST LT UT UR)
    bool long_length;    // explicit VR: 2 reserved bytes and a 32-bit length (PS3.5 7.1.2)
    char pad;            // ' ' or '\0'
    uint32_t max_length; // of one value: characters (bytes where charset is false); 0 is no bound
};

// NULL when vr is none of the standard's.
const struct dcm_vr_info *dcm_vr_find(uint16_t vr);

#endif
