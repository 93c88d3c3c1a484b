// Stored headers for queries.
#include "core/query_header.h"

#include "core/retrieve.h"
#include "dicom/charset.h"

static bool read_ref(struct db *d, struct arena *a, int64_t instance, struct instance_ref *ref, bool *found, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT ts_uid, volume, offset, length, dataset_offset, pixel_offset, pixel_length FROM instances WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, instance);
    enum db_step step = db_next(s, e);
    bool ok = step != DB_FAIL;
    *found = step == DB_ROW;
    if (*found) {
        ok = arena_dup(a, db_text(s, 0), &ref->ts_uid, e);
        ref->id = instance;
        ref->loc = (struct vol_loc){(uint32_t)db_int(s, 1), (uint64_t)db_int(s, 2), (uint64_t)db_int(s, 3)};
        ref->dataset_offset = (uint64_t)db_int(s, 4);
        ref->pixel_offset = (uint64_t)db_int(s, 5);
        ref->pixel_length = (uint64_t)db_int(s, 6);
    }
    db_done(s);
    return ok;
}

bool query_header(struct archive *ar, struct db *d, struct arena *a, int64_t instance, struct dcm_dataset **out, struct err *e) {
    struct instance_ref ref = {0};
    struct dcm_dataset *stored = NULL;
    unsigned flags;
    bool found;
    *out = NULL;
    if (!read_ref(d, a, instance, &ref, &found, e)) return false;
    if (!found) return true;
    struct err why = {0};
    if (!retrieve_header(ar, a, &ref, &stored, &why)) {
        if (why.kind == ERR_NOT_FOUND || why.kind == ERR_CORRUPT) return true; // fsck tells; the columns still answer
        if (e) *e = why;
        return false;
    }
    return dcm_dataset_to_utf8(a, stored, true, out, &flags, e);
}
