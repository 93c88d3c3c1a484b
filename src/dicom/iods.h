// What the mandatory modules of each storage IOD ask for (PS3.3): generated at build from data/iods.tsv.
#ifndef GANTRY_DICOM_IODS_H
#define GANTRY_DICOM_IODS_H

#include <stdint.h>

struct dcm_iod_attribute {
    uint32_t sequence; // the attribute is asked for in every item of this one; 0: at the top level
    uint32_t tag;
    uint8_t type; // 1: must be there with a value; 2: must be there
};

struct dcm_iod_module {
    const char *name; // "ct-image"
    const struct dcm_iod_attribute *attributes;
    uint16_t count;
};

struct dcm_iod {
    const char *sop_class_uid;
    const struct dcm_iod_module *const *modules;
    uint16_t count;
};

extern const struct dcm_iod dcm_iods[];
extern const unsigned dcm_iod_count;

#endif
