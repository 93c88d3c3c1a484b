// What the parts of the check share: the report, and the place in the object.
#ifndef GANTRY_DICOM_VALIDATE_PART_H
#define GANTRY_DICOM_VALIDATE_PART_H

#include "dicom/validate.h"

enum { DCM_PLACE_BYTES = (DCM_DEPTH_MAX + 1) * 24 + 16 };

struct dcm_check {
    const struct dcm_object *o;
    const struct dcm_validate_options *options;
    struct arena *scratch;
    struct err *e;
    char prefix[DCM_PLACE_BYTES]; // "(0040,A730)[2]." of the item that is being walked
    size_t prefix_n;
    unsigned depth;
};

// tag 0: the place is the item (or object) itself.
void dcm_report(struct dcm_check *c, enum dcm_severity severity, const char *code, uint32_t tag, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

// Enters item i (from 0) of a sequence; returns what dcm_check_leave takes back.
size_t dcm_check_enter(struct dcm_check *c, uint32_t sequence, uint32_t i);
void dcm_check_leave(struct dcm_check *c, size_t before);

void dcm_check_meta(struct dcm_check *c);
void dcm_check_iod(struct dcm_check *c);
void dcm_check_pixels(struct dcm_check *c);
// Every element by itself: VR, length, VM, syntax, characters, private blocks.
bool dcm_check_elements(struct dcm_check *c, const struct dcm_dataset *ds);
// Order, duplicates and group lengths, from the bytes.
bool dcm_check_stream(struct dcm_check *c);

#endif
