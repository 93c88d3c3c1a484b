// Stored headers for queries.
#include "core/query_header.h"

#include "dicom/charset.h"

bool query_header(struct archive *ar, struct db *d, struct arena *a, int64_t instance, struct header_cache *c, struct dcm_dataset **out, struct err *e) {
    struct dcm_dataset *stored = NULL;
    unsigned flags;
    struct err why = {0};
    *out = NULL;
    if (header_read(ar, d, a, instance, c, &stored, &why)) return dcm_dataset_to_utf8(a, stored, true, out, &flags, e);
    // Gone meanwhile, or broken, which fsck tells: what the columns know is still answered.
    if (why.kind == ERR_NOT_FOUND || why.kind == ERR_CORRUPT || why.kind == ERR_BAD_INPUT) return true;
    if (e) *e = why;
    return false;
}
