// Attribute matching of PS3.4 C.2.2.2: one compiled condition against a text of the index or an element of a stored header.
#ifndef GANTRY_CORE_QUERY_MATCH_H
#define GANTRY_CORE_QUERY_MATCH_H

#include "base/arena.h"
#include "core/query_time.h"
#include "dicom/dataset.h"

enum qmatch_kind {
    QMATCH_ANY,      // universal matching: nothing is asked (C.2.2.2.3)
    QMATCH_EMPTY,    // "" in quotes: the attribute is absent or empty (C.2.2.2.7)
    QMATCH_TEXT,     // single value and wild card, case-sensitive (C.2.2.2.1, C.2.2.2.4)
    QMATCH_UID,      // list of UID (C.2.2.2.2)
    QMATCH_NUMBER,   // IS DS and binary numbers: by value
    QMATCH_RANGE,    // DA TM DT (C.2.2.2.5)
    QMATCH_NAME,     // PN: case- and accent-insensitive in any group, by pinyin
    QMATCH_FUZZY,    // PN: fuzzy semantic matching
    QMATCH_SEQUENCE, // the children match within one item (C.2.2.2.6)
};

// One attribute of a query: what it must match, and whether it is asked for; a tree where there are sequences.
struct qattr {
    uint32_t tag;
    uint16_t vr; // of the dictionary; LO when it has none
    uint8_t kind;
    bool wild;          // some value has * or ?
    struct str *values; // TEXT, UID, NAME, FUZZY: any of them; NUMBER: as text
    unsigned value_count;
    struct qrange range;    // RANGE
    struct qattr *children; // SEQUENCE, and sequences asked for in part
    unsigned child_count;
};

enum qmatch_flag {
    QMATCH_FUZZY_NAMES = 1,
    QMATCH_INVERTED_TIMES = 2, // a time range may end before it begins: its date range makes it a range (C.2.2.2.5.1)
};
// vr 0: of the dictionary. Values are split at backslashes where the VR has several. ERR_BAD_INPUT names the attribute.
bool qmatch_compile(struct arena *a, uint32_t tag, uint16_t vr, struct str value, unsigned flags, struct qattr *out, struct err *e);

// Whether some child, however deep, asks for more than its presence.
bool qmatch_is_universal(const struct qattr *q);

// stored: UTF-8, backslash separated, empty when absent. zone_min: the offset from UTC of a stored DT without its own (known when zone_known).
struct qmatch_zone {
    bool known;
    int minutes;
};
bool qmatch_text(const struct qattr *q, struct arena *scratch, struct qmatch_zone zone, struct str stored, bool *match, struct err *e);
// header: its text in UTF-8 (dcm_dataset_to_utf8). Descends into sequences.
bool qmatch_dataset(const struct qattr *q, struct arena *scratch, struct qmatch_zone zone, const struct dcm_dataset *header, bool *match, struct err *e);

// * is any run of characters, ? any one; UTF-8.
bool qmatch_glob(struct str pattern, struct str text);
// "PatientName (0010,0010)" for messages.
const char *qmatch_attribute_name(uint32_t tag, char out[80]);
// The dictionary's first VR; LO when it has none.
uint16_t qmatch_vr(uint32_t tag);
// Whether values of the VR are separated by backslashes.
bool qmatch_is_multi(uint16_t vr);

#endif
