// C-GET (PS3.4 C.4.3): sub-operations on the same association, in the contexts for which the asker took the SCP role.
#include "base/clock.h"
#include "base/log.h"
#include "mod/dicom/internal.h"

// One object; false: the association is over.
static bool send_one(const struct dicom_module *m, struct scp_request *rq, struct suboperations *s, struct err *e) {
    struct dimse *d = &rq->session->d;
    struct err why = {0};
    struct dimse_command rsp;
    struct send_report report;
    const struct instance_ref *ref = s->queue[s->at];
    switch (instance_send(m->archive, d, ref, NULL, 0, &report, &why)) {
    case SEND_DONE:
        if (!scp_await_response(rq, report.message_id, clock_mono_ms() + d->ul.timers.idle, &rsp, e)) return false;
        suboperations_count(s, true, rsp.status, NULL);
        suboperations_converted(s, report.converted_to);
        return true;
    case SEND_IMPOSSIBLE:
        log_err(&why, "C-GET: %.*s", STR_FMT(ref->sop_instance_uid));
        suboperations_count(s, false, 0, why.message);
        return true;
    default:
        if (e) *e = why;
        return false;
    }
}

static bool get(const struct dicom_module *m, struct scp_request *rq, struct arena *a, struct err *e) {
    struct suboperations s;
    bool ok = true;
    if (!suboperations_plan(m, rq, a, &s, &ok, e)) return ok;
    while (s.at < s.queued && !scp_cancelled(rq) && !scp_stopping(rq->session))
        if (!send_one(m, rq, &s, e) || (s.at < s.queued && !suboperations_pending(rq, &s, e))) return false;
    return suboperations_finish(rq, &s, a, e);
}

bool dicom_get(void *ctx, struct scp_request *rq, struct err *e) {
    struct arena a;
    arena_init(&a, DICOM_REQUEST_ARENA_BYTES);
    bool ok = get(ctx, rq, &a, e);
    arena_deinit(&a);
    return ok;
}
