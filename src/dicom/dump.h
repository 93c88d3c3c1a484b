// A listing of an object for people: one line per element, with names from the dictionary.
#ifndef GANTRY_DICOM_DUMP_H
#define GANTRY_DICOM_DUMP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "dicom/read.h"

struct dcm_source;

struct dcm_dump_options {
    bool repair;                     // text as dcm_charset_decode repairs it
    bool full;                       // whole values; else what fits a line
    bool offsets;                    // each line begins with the byte offset of the value
    const struct dcm_source *source; // for by-reference values; may be NULL
    // As in dcm_json_options.
    bool (*drain)(void *ctx, struct buf *to, struct err *e);
    void *drain_ctx;
};

// Appends lines such as
//   (0010,0010) PN      10  Patient's Name                            [Doe^John]
//   (0008,1140) SQ     u/l  Referenced Image Sequence                 1 item
//     item 1
//       (0008,1150) UI      26  Referenced SOP Class UID              [1.2.840.10008.5.1.4.1.1.2] CTImageStorage
// Text is UTF-8 with control characters as \x1B; numbers are separated by backslashes, bytes and words are hexadecimal ("00\ff", "00ff\1234"). A
// name and its value are at least two blanks apart, and no name has two. Values that were cut end in "...".
bool dcm_dump_write(const struct dcm_object *o, const struct dcm_dump_options *options, struct arena *scratch, struct buf *to, struct err *e);

#endif
