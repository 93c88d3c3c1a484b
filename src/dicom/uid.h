// Unique identifiers (PS3.5 9, PS3.6 A): the registry, transfer syntaxes, checks and making new ones.
#ifndef GANTRY_DICOM_UID_H
#define GANTRY_DICOM_UID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum dcm_uid_kind {
    DCM_UID_OTHER,
    DCM_UID_SOP_CLASS,
    DCM_UID_TRANSFER_SYNTAX,
    DCM_UID_META_SOP_CLASS,
    DCM_UID_WELL_KNOWN_INSTANCE,
    DCM_UID_CODING_SCHEME,
    DCM_UID_APPLICATION_CONTEXT,
    DCM_UID_APPLICATION_HOSTING,
    DCM_UID_LDAP,
    DCM_UID_CONTEXT_GROUP,
    DCM_UID_FRAME_OF_REFERENCE
};

struct dcm_uid_entry {
    const char *uid;
    const char *name;    // "CT Image Storage"
    const char *keyword; // "CTImageStorage"
    enum dcm_uid_kind kind;
    bool retired;
    bool storage; // a SOP class of the Storage Service (PS3.4 B.5)
};

// NULL when unregistered. Trailing NUL and space padding is not counted.
const struct dcm_uid_entry *dcm_uid_find(struct str uid);
const struct dcm_uid_entry *dcm_uid_find_keyword(struct str keyword);
// The whole registry, in UID order; *n is its size.
const struct dcm_uid_entry *dcm_uid_all(size_t *n);

struct dcm_ts {
    const char *uid;
    const char *name;
    bool explicit_vr;
    bool big_endian;
    bool deflated;
    bool encapsulated; // pixel data as a sequence of fragments (PS3.5 A.4)
    bool lossy;
    bool video; // fragments do not map to frames
};

// NULL when the transfer syntax is unknown.
const struct dcm_ts *dcm_ts_find(struct str uid);
extern const struct dcm_ts *const dcm_ts_implicit_le; // 1.2.840.10008.1.2
extern const struct dcm_ts *const dcm_ts_explicit_le; // 1.2.840.10008.1.2.1
extern const struct dcm_ts *const dcm_ts_explicit_be; // 1.2.840.10008.1.2.2

// A UID as PS3.5 9.1 wants it: 1..64 of [0-9.], no empty component, no leading zero. strict false lets leading zeros pass
// (they are common in the field and harm nothing).
bool dcm_uid_valid(struct str uid, bool strict);

// Value without the trailing NUL (or space) padding.
struct str dcm_uid_trim(struct str uid);

// A fresh UID under 2.25 (PS3.5 B.2) from 122 random bits; out holds 65 bytes, NUL-terminated.
bool dcm_uid_make(char out[65], struct err *e);
// The UID of a UUID.
void dcm_uid_of_uuid(const unsigned char uuid[16], char out[65]);

#define GANTRY_IMPLEMENTATION_CLASS_UID "2.25.140278862573263949412137562463498724077"
#define GANTRY_IMPLEMENTATION_VERSION "GANTRY_0_1"

#endif
