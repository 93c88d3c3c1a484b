// C-MOVE (PS3.4 C.4.2): sub-operations on associations to a known peer, proposing what is stored and, for uncompressed objects, what else they can become.
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/scu.h"
#include "mod/dicom/internal.h"

static bool propose_for(struct scu_proposal *p, const struct instance_ref *ref, struct err *e) {
    char class[DCM_UID_MAX + 1], ts[DCM_UID_MAX + 1];
    snprintf(class, sizeof class, "%.*s", STR_FMT(ref->sop_class_uid));
    snprintf(ts, sizeof ts, "%.*s", STR_FMT(ref->ts_uid));
    return send_propose(p, class, ts, e);
}

// Proposes for as many of the objects from s->at on as fit one association; their count.
static size_t plan_association(struct scu_proposal *p, const struct suboperations *s, struct err *e) {
    size_t n = 0;
    while (s->at + n < s->list.count && propose_for(p, &s->list.refs[s->at + n], e)) n++;
    return n;
}

// One object to the destination; false: its association is over.
static bool send_one(const struct dicom_module *m, struct scp_request *rq, struct dimse *to, struct suboperations *s) {
    struct err why = {0};
    struct dimse_command rsp;
    uint16_t id;
    enum send_result r = instance_send(m->archive, to, &s->list.refs[s->at], rq->session->d.ul.calling, rq->command.message_id, &id, &why);
    bool answered = r == SEND_DONE && scu_response(to, id, &rsp, NULL, &why);
    if (!answered) log_err(&why, "C-MOVE to %s: %.*s", rq->command.move_destination, STR_FMT(s->list.refs[s->at].sop_instance_uid));
    suboperations_count(s, answered, answered ? rsp.status : 0, why.message);
    return answered || r == SEND_IMPOSSIBLE;
}

// Sends count objects on one association. *alive: the asker's association goes on.
static void send_some(const struct dicom_module *m, struct scp_request *rq, struct dimse *to, struct suboperations *s, size_t count, bool *alive,
                      struct err *e) {
    size_t end = s->at + count;
    bool open = true;
    while (open && *alive && s->at < end && !scp_cancelled(rq) && !scp_stopping(rq->session)) {
        open = send_one(m, rq, to, s);
        if (s->at < s->list.count) *alive = suboperations_pending(rq, s, e);
    }
    while (!open && s->at < end) suboperations_count(s, false, 0, "the association to the destination was lost");
}

static bool send_all(const struct dicom_module *m, struct scp_request *rq, const struct scu_target *target, struct arena *a, struct suboperations *s,
                     bool *alive, struct err *why, struct err *e) {
    while (*alive && s->at < s->list.count && !scp_cancelled(rq) && !scp_stopping(rq->session)) {
        struct dimse to;
        struct scu_proposal *p = arena_zero(a, 1, sizeof *p, why);
        if (!p) return false;
        scu_proposal_init(p, a);
        size_t n = plan_association(p, s, why);
        if (n == 0) return false;
        bool ok = scu_open(&to, target, m->config->aet, p, &m->config->timers, why);
        if (ok) send_some(m, rq, &to, s, n, alive, e);
        scu_close(&to);
        if (!ok) return false;
    }
    return true;
}

static bool move(const struct dicom_module *m, struct scp_request *rq, struct arena *a, struct err *e) {
    const struct dicom_peer *peer = dicom_peer_find(m->config, rq->command.move_destination);
    struct suboperations s;
    struct err why = {0};
    bool alive = true;
    if (!peer) return scp_finish(rq, DIMSE_DESTINATION_UNKNOWN, "the move destination is not a known peer (--peer)", e);
    if (!suboperations_plan(rq, a, &s, &alive, e)) return alive;
    struct scu_target target = {.port = peer->port};
    snprintf(target.aet, sizeof target.aet, "%s", peer->aet);
    snprintf(target.host, sizeof target.host, "%s", peer->host);
    if (!send_all(m, rq, &target, a, &s, &alive, &why, e)) {
        log_err(&why, "C-MOVE to %s", target.aet);
        suboperations_refuse(&s, why.message);
    }
    return alive && suboperations_finish(rq, &s, a, e);
}

bool dicom_move(void *ctx, struct scp_request *rq, struct err *e) {
    struct arena a;
    rq->session->own = ctx;
    arena_init(&a, DICOM_REQUEST_ARENA_BYTES);
    bool ok = move(ctx, rq, &a, e);
    arena_deinit(&a);
    return ok;
}
