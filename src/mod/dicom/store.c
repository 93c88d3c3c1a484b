// C-STORE into the archive (PS3.4 B).
#include <stdio.h>
#include <stdlib.h>

#include "core/ingest.h"
#include "mod/dicom/internal.h"

// An object on its way in.
struct coming {
    struct scp_request *rq;
    struct ingest *ingest;
    bool refused;
};

static void note_refused(const struct dicom_module *m, struct scp_request *rq, const struct err *why) {
    const struct actor who = dicom_actor(rq);
    struct ingest_result of = {0};
    snprintf(of.sop_class_uid, sizeof of.sop_class_uid, "%s", rq->command.affected_class);
    snprintf(of.sop_instance_uid, sizeof of.sop_instance_uid, "%s", rq->command.affected_instance);
    ingest_note_refused(m->archive, &who, &of, why);
}

static bool begin(void *ctx, struct scp_request *rq, void **object, struct err *e) {
    const struct dicom_module *m = ctx;
    const struct actor who = dicom_actor(rq);
    const struct ingest_hint hint = {.sop_class_uid = str_of(rq->command.affected_class),
                                     .sop_instance_uid = str_of(rq->command.affected_instance),
                                     .ts_uid = str_of(rq->context->transfer_syntax)};
    struct coming *c = calloc(1, sizeof *c);
    if (c) *c = (struct coming){.rq = rq, .ingest = ingest_begin(m->archive, &who, &hint, e)};
    if (c && c->ingest) {
        *object = c;
        return true;
    }
    if (!c) err_nomem(e, "dicom");
    free(c);
    note_refused(m, rq, e);
    return false;
}

static bool write(void *ctx, void *object, const void *p, size_t n, struct err *e) {
    struct coming *c = object;
    if (ingest_write(c->ingest, p, n, e)) return true;
    if (!c->refused) note_refused(ctx, c->rq, e);
    c->refused = true;
    return false;
}

static uint16_t commit(void *ctx, struct scp_request *rq, void *object, struct err *e) {
    struct ingest_result result = {0};
    struct coming *c = object;
    (void)ctx, (void)rq;
    bool ok = ingest_commit(c->ingest, &result, e);
    free(c);
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
    struct coming *c = object;
    ingest_abort(c->ingest);
    free(c);
}

const struct scp_sink DICOM_STORE_SINK = {.begin = begin, .write = write, .commit = commit, .abort = drop};
