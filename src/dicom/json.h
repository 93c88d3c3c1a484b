// The DICOM JSON model (PS3.18 Annex F), out and in.
#ifndef GANTRY_DICOM_JSON_H
#define GANTRY_DICOM_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "dicom/dataset.h"

struct dcm_source;

// What is written, beyond what Annex F says in so many words:
//   at the top level group 0002 and commands are not written (F.2), and group lengths nowhere;
//   text keeps its leading spaces (but AE, DS and IS) and loses trailing spaces and NULs;
//   empty values among several are null; component groups of a name that are empty are left out;
//   DS and IS are numbers with the digits that stand in the object, or strings when they are no numbers;
//   SV and UV beyond 2^53, NaN and infinities are strings;
//   InlineBinary is in little endian whatever the object's byte order; encapsulated pixel data is its items without the sequence delimiter.
struct dcm_json_options {
    bool repair; // text as dcm_charset_decode repairs it, declared as ISO_IR 192; false shows what is declared
    bool pretty;
    // A value of an O* VR or UN longer than this becomes a BulkDataURI (0: every one is inline, by reference ones need source).
    size_t inline_max;
    // "/dicom-web/studies/1/series/2/instances/3/bulkdata": "/00420011" or "/<tag>/<item from 1>/<tag>" is appended. NULL: what is by reference and has no
    // source is written without a value.
    const char *bulk_uri_prefix;
    const struct dcm_source *source; // for inline by-reference values; may be NULL
    // Called when to has grown past some hundred kilobytes: takes the bytes elsewhere and clears the buffer, so that memory does not grow with the
    // object. NULL: everything stays in the buffer.
    bool (*drain)(void *ctx, struct buf *to, struct err *e);
    void *drain_ctx;
};

// Appends one JSON object. Failure of the buffer is left in to (buf_ok); other errors return false. scratch is rewound to where it was.
bool dcm_json_write(const struct dcm_dataset *ds, const struct dcm_json_options *o, struct arena *scratch, struct buf *to, struct err *e);

// A value that is elsewhere: the element is in ds (an item when nested), empty. uri is borrowed until the call returns.
typedef void dcm_on_bulk(void *ctx, struct dcm_dataset *ds, uint32_t tag, struct str uri);

// One DICOM JSON object to a data set in UTF-8, declared as ISO_IR 192 where any text is beyond ASCII. Everything is copied into a; InlineBinary is
// decoded; a BulkDataURI is left as an empty element of its VR, reported by on_bulk when given. What dcm_json_write leaves out is left out. Errors
// are ERR_BAD_INPUT with line and column.
bool dcm_json_read(struct arena *a, struct str json, dcm_on_bulk *on_bulk, void *ctx, struct dcm_dataset **out, struct err *e);
// One object of a tree that is read already: document is its text, for messages.
struct json;
bool dcm_json_read_object(struct arena *a, struct str document, const struct json *object, dcm_on_bulk *on_bulk, void *ctx, struct dcm_dataset **out,
                          struct err *e);

#endif
