// C-STORE into the archive (PS3.4 B).
#include <stdlib.h>

#include "core/ingest.h"
#include "mod/dicom/internal.h"

static bool begin(void *ctx, struct scp_request *rq, void **object, struct err *e) {
    const struct dicom_module *m = ctx;
    const struct actor who = dicom_actor(rq);
    const struct ingest_hint hint = {.sop_class_uid = str_of(rq->command.affected_class),
                                     .sop_instance_uid = str_of(rq->command.affected_instance),
                                     .ts_uid = str_of(rq->context->transfer_syntax)};
    *object = ingest_begin(m->archive, &who, &hint, e);
    return *object != NULL;
}

static bool write(void *ctx, void *object, const void *p, size_t n, struct err *e) {
    (void)ctx;
    return ingest_write(object, p, n, e);
}

static uint16_t commit(void *ctx, struct scp_request *rq, void *object, struct err *e) {
    struct ingest_result result = {0};
    (void)ctx, (void)rq;
    bool ok = ingest_commit(object, &result, e);
    if (ok) {
        // a warning's comment
        if (result.dimse_status != DIMSE_SUCCESS) err_set(e, ERR_NONE, "dicom", "%s", result.reason);
        return result.dimse_status;
    }
    uint16_t status = result.outcome == INGEST_QUARANTINED ? result.dimse_status : err_class_of(e->kind)->dimse;
    return status ? status : DIMSE_CANNOT_UNDERSTAND;
}

static void drop(void *ctx, void *object) {
    (void)ctx;
    ingest_abort(object);
}

const struct scp_sink DICOM_STORE_SINK = {.begin = begin, .write = write, .commit = commit, .abort = drop};
