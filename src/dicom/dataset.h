// A data set in memory: elements in tag order over borrowed bytes; large values stay where they are, by reference.
#ifndef GANTRY_DICOM_DATASET_H
#define GANTRY_DICOM_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "dicom/dict.h"
#include "dicom/tags.h" // generated: DCM_PatientName and all the others
#include "dicom/vr.h"

struct dcm_dataset;

enum dcm_element_flag {
    DCM_UNDEFINED_LENGTH = 1,   // SQ, encapsulated pixel data or UN as it stood in the stream
    DCM_BY_REFERENCE = 2,       // value is NULL: the bytes are at [offset, offset + length) of the source
    DCM_FRAGMENTS = 4,          // encapsulated: fragments[0] is the basic offset table item
    DCM_VR_FROM_DICTIONARY = 8, // the stream was implicit VR, or said UN and the dictionary knew better
    DCM_VR_ODD = 16,            // the stream said something that is no VR (stream_vr): vr is UN or the dictionary's
    DCM_VR_ODD_SHORT = 32,      // and it had a 16-bit length
    DCM_ITEMS_SHARED = 128,     // the array of items belongs to the element that this one was copied from
    DCM_VR_US_OR_SS = 64,       // implicit VR left it to Pixel Representation (PS3.5 A.1): vr is resolved
};

// One item of encapsulated pixel data (PS3.5 A.4).
struct dcm_fragment {
    uint64_t offset; // of the fragment's first value byte in the source
    uint32_t length;
};

struct dcm_element {
    uint32_t tag;
    uint16_t vr;                // enum dcm_vr
    uint16_t flags;             // enum dcm_element_flag
    uint64_t length;            // bytes of the value; for DCM_FRAGMENTS the bytes from the first item tag to the end of the sequence delimiter
    uint64_t offset;            // of the value's first byte in the source; 0 for elements that were put
    const uint8_t *value;       // in the data set's byte order, padding included; NULL when empty, by reference, SQ or fragments
    struct dcm_dataset **items; // SQ
    const struct dcm_fragment *fragments;
    uint32_t item_count; // SQ items, or fragments
    uint16_t stream_vr;  // the two characters as they stood, also when vr says better; 0 when read from implicit VR or put
};

struct dcm_dataset {
    struct arena *arena;
    struct dcm_element *elements; // ascending tags, each once
    uint32_t count;
    uint32_t capacity;
    bool big_endian;                  // byte order of binary values
    bool explicit_vr;                 // as read; a new data set is explicit
    bool undefined_length;            // of the item, as it stood
    const struct dcm_dataset *parent; // the data set that holds the sequence that holds this item, or NULL
};

// An empty little endian data set; everything in it lives in a. NULL on ERR_NOMEM.
struct dcm_dataset *dcm_dataset_new(struct arena *a, struct err *e);

// The element, or NULL.
const struct dcm_element *dcm_find(const struct dcm_dataset *ds, uint32_t tag);
// Private element by creator: group odd, element the low byte (PS3.5 7.8.1).
const struct dcm_element *dcm_find_private(const struct dcm_dataset *ds, uint16_t group, struct str creator, uint8_t element);
// The creator that owns a private element, or {NULL, 0}.
struct str dcm_private_creator(const struct dcm_dataset *ds, uint32_t tag);

// Raw value bytes as text, trailing padding trimmed (spaces and NULs; leading spaces too unless the VR is ST LT UT UC UR).
// {NULL, 0} when absent or by reference. Undecoded: see dicom/charset.h.
struct str dcm_text(const struct dcm_dataset *ds, uint32_t tag);
// The i-th value of a multi-valued text element (from 0), trimmed; {NULL, 0} when there is none. A backslash inside a
// multi-byte character is not a separator: the declared character set is honoured.
struct str dcm_text_at(const struct dcm_dataset *ds, uint32_t tag, unsigned i);
// Number of values: text by separators, binary by unit size, SQ items; 0 when absent or empty.
unsigned dcm_vm(const struct dcm_dataset *ds, uint32_t tag);

// The i-th value as a number, whatever VR carries it: IS DS US SS UL SL UV SV FL FD (and OB OW OF OD OL OV by unit).
// false when absent, out of range or not a number.
bool dcm_i64(const struct dcm_dataset *ds, uint32_t tag, unsigned i, int64_t *out);
bool dcm_f64(const struct dcm_dataset *ds, uint32_t tag, unsigned i, double *out);
// The i-th item of a sequence, or NULL.
const struct dcm_dataset *dcm_item(const struct dcm_dataset *ds, uint32_t tag, unsigned i);

// Putting replaces an element of the same tag. Text is copied and padded to even length; numbers are written in the data set's byte
// order. vr DCM_VR_NONE takes the dictionary's first. All return false with ERR_NOMEM / ERR_TOO_LARGE.
bool dcm_put_text(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, struct str text, struct err *e);
bool dcm_putz(struct dcm_dataset *ds, uint32_t tag, const char *text, struct err *e); // dictionary VR
bool dcm_putf(struct dcm_dataset *ds, uint32_t tag, struct err *e, const char *format, ...) __attribute__((format(printf, 4, 5)));
bool dcm_put_ints(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, const int64_t *values, unsigned n, struct err *e); // US SS UL SL UV SV AT IS
bool dcm_put_int(struct dcm_dataset *ds, uint32_t tag, int64_t value, struct err *e);
bool dcm_put_doubles(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, const double *values, unsigned n, struct err *e); // DS FL FD OF OD
bool dcm_put_double(struct dcm_dataset *ds, uint32_t tag, double value, struct err *e);
// Borrowed bytes: must outlive the data set. n odd is padded by copying.
bool dcm_put_bytes(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, const void *p, size_t n, struct err *e);
bool dcm_put_empty(struct dcm_dataset *ds, uint32_t tag, uint16_t vr, struct err *e);
// A new empty item appended to a sequence (made when absent), or NULL.
struct dcm_dataset *dcm_put_item(struct dcm_dataset *ds, uint32_t tag, struct err *e);
// Shallow copy of an element (value bytes and items borrowed) from a data set of the same byte order.
bool dcm_put_element(struct dcm_dataset *ds, const struct dcm_element *from, struct err *e);
void dcm_remove(struct dcm_dataset *ds, uint32_t tag);

#endif
