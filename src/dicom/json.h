// The DICOM JSON model (PS3.18 Annex F): out by our own streaming writer, in by jansson.
#ifndef GANTRY_DICOM_JSON_H
#define GANTRY_DICOM_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "dicom/dataset.h"

struct dcm_json_options {
    bool repair; // text as dcm_charset_decode repairs it; false shows what is declared
    bool pretty;
    // A value of an O* VR or UN longer than this becomes a BulkDataURI (0: every one is inline, by reference ones need source).
    size_t inline_max;
    const char *
        bulk_uri_prefix; // "/dicom-web/studies/1/series/2/instances/3/bulkdata": "/00420011" or "/<tag>/<item>/<tag>" is appended; NULL: by-reference values are left out
    const struct dcm_source *source; // for inline by-reference values; may be NULL
};

// Appends one JSON object. Failure of the buffer is left in to (buf_ok); other errors return false.
bool dcm_json_write(const struct dcm_dataset *ds, const struct dcm_json_options *o, struct arena *scratch, struct buf *to, struct err *e);

// One DICOM JSON object to a data set in UTF-8 (InlineBinary decoded; BulkDataURI left as an empty element of its VR, reported by on_bulk when given).
bool dcm_json_read(struct arena *a, struct str json, void (*on_bulk)(void *ctx, uint32_t tag, struct str uri), void *ctx, struct dcm_dataset **out,
                   struct err *e);

#endif
