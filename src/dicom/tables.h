// The generated tables (scripts/gen_dicom_tables.py) as dict.c and uid.c see them.
#ifndef GANTRY_DICOM_TABLES_H
#define GANTRY_DICOM_TABLES_H

#include "dicom/dict.h"
#include "dicom/uid.h"
#include "dicom/vr.h"

enum { DCM_DICT_SLOTS_LOG2 = 14 };

// Single attributes in tag order, then the repeating ones (mask not all ones).
extern const struct dcm_dict_entry dcm_dict_entries[];
extern const uint32_t dcm_dict_count;
extern const uint32_t dcm_dict_repeating_count;
extern const uint32_t dcm_dict_tags[];       // tags of the single attributes, apart, so that probing touches few cache lines
extern const uint16_t dcm_dict_slots[];      // open addressing: index of an entry, or 0xFFFF
extern const uint16_t dcm_dict_by_keyword[]; // indexes in keyword order
extern const uint32_t dcm_dict_keyword_count;

struct dcm_private_creator_entry {
    const char *creator;
    uint32_t first; // of its attributes, which are in tag order (element: low byte)
    uint32_t count;
};
extern const struct dcm_private_creator_entry dcm_private_creators[]; // in byte order
extern const uint32_t dcm_private_creator_count;
extern const struct dcm_dict_entry dcm_private_entries[];

extern const struct dcm_uid_entry dcm_uid_entries[]; // by components
extern const uint32_t dcm_uid_count;
extern const uint16_t dcm_uid_by_text[]; // indexes in byte order of the text
extern const uint16_t dcm_uid_by_keyword[];
extern const uint32_t dcm_uid_keyword_count;

#endif
