// A check of an object against PS3.5, PS3.6, PS3.10 and the unconditional part of PS3.3, naming each fault and its place.
#ifndef GANTRY_DICOM_VALIDATE_H
#define GANTRY_DICOM_VALIDATE_H

#include "base/arena.h"
#include "base/err.h"
#include "dicom/read.h"

struct dcm_source;

enum dcm_severity {
    DCM_SEVERITY_WARNING, // allowed but wrong in spirit, or harmless in practice
    DCM_SEVERITY_ERROR,   // against the standard
};

struct dcm_finding {
    enum dcm_severity severity;
    const char *code;    // one of a fixed few, for machines: "vr-wrong", "vm", "charset-bytes", ...
    const char *place;   // "(0040,A730)[2].(0008,0100)", items from 1; "" for the object as a whole
    uint64_t offset;     // of the value, or of where it should be, in the source
    const char *message; // one sentence without its full stop; UTF-8, no control characters
};

struct dcm_validate_options {
    const struct dcm_source *source; // the bytes that o was read from: for by-reference values and for what a data set does not keep (order, duplicates,
                                     // group lengths). NULL: those are not checked. Of a deflated object the inflated data set
    uint64_t size;                   // of the source
    bool repair;                     // a text that detection repairs is a warning rather than an error: the archive would answer it repaired
    void (*report)(void *ctx, const struct dcm_finding *f);
    void *ctx;
};

// Calls report for each finding, in the order of the file as far as may be; what it is given lasts for the call. false only when the check itself could not be
// done (memory, reading the source).
bool dcm_validate(const struct dcm_object *o, const struct dcm_validate_options *options, struct arena *scratch, struct err *e);

// What is wrong with one value of a text VR, trimmed of padding, undecoded: a static phrase ("is not a date: YYYYMMDD"), or NULL. *severity
// is set with it. Character sets and lengths in characters are not its business.
const char *dcm_value_fault(uint16_t vr, struct str value, enum dcm_severity *severity);

#endif
