// The data dictionary (PS3.6 6-9, PS3.7 E): generated at build from data/dictionary.tsv.
#ifndef GANTRY_DICOM_DICT_H
#define GANTRY_DICOM_DICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define DCM_TAG(group, element) ((uint32_t)(group) << 16 | (uint32_t)(element))
#define DCM_GROUP(tag) ((uint16_t)((tag) >> 16))
#define DCM_ELEMENT(tag) ((uint16_t)(tag))

// Item and delimiter tags (PS3.5 7.5).
#define DCM_ITEM DCM_TAG(0xFFFE, 0xE000)
#define DCM_ITEM_DELIMITATION DCM_TAG(0xFFFE, 0xE00D)
#define DCM_SEQUENCE_DELIMITATION DCM_TAG(0xFFFE, 0xE0DD)

struct dcm_dict_entry {
    uint32_t tag;
    uint32_t mask;  // bits that count: 0xFFFFFFFF, or fewer for repeating groups (60xx,3000)
    uint16_t vr[3]; // the VRs that the standard allows, DCM_VR_NONE after the last: "US or SS" gives two
    uint16_t vm_min;
    uint16_t vm_max;  // 0 is n
    uint16_t vm_step; // 2 in "2-2n"
    bool retired;
    const char *keyword; // "PatientName"
    const char *name;    // "Patient's Name"
};

// NULL when the standard has no such attribute (private ones never have). Group lengths (gggg,0000) are found as a generic entry.
const struct dcm_dict_entry *dcm_dict_find(uint32_t tag);
const struct dcm_dict_entry *dcm_dict_find_keyword(struct str keyword);

// Private attributes by creator and element (the low byte counts); data/private.tsv. NULL when unknown.
const struct dcm_dict_entry *dcm_dict_find_private(struct str creator, uint32_t tag);

// "PatientName", "00100010", "0010,0010" or "(0010,0010)". false when it is none of these.
bool dcm_tag_parse(struct str text, uint32_t *tag);

static inline bool dcm_tag_is_private(uint32_t tag) {
    return DCM_GROUP(tag) & 1;
}

#endif
