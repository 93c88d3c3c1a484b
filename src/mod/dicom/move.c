// C-MOVE (PS3.4 C.4.2): sub-operations on associations to a known peer, proposing what is stored and then what else the objects can become without loss.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "core/peers.h"
#include "dicom/uid.h"
#include "dimse/scu.h"
#include "mod/dicom/internal.h"

enum { CONNECT_TRIES = 6, CONNECT_PAUSE_MS = 200 };

// One round of a C-MOVE: everything as it lies; then, uncompressed, what the destination did not take so; then compressed what it still did not. Rounds on
// associations of their own, since some destinations (GDCM's) take the transfer syntax of the last presentation context for that of all.
struct round {
    unsigned how;                         // enum send_how
    const struct instance_ref **deferred; // for the next round; NULL when there is none
    size_t deferred_count;
};

static void ts_of(const struct instance_ref *ref, char out[DCM_UID_MAX + 1]) {
    snprintf(out, DCM_UID_MAX + 1, "%.*s", STR_FMT(ref->ts_uid));
}

static bool propose_for(struct scu_proposal *p, const struct instance_ref *ref, unsigned how, struct err *e) {
    char class[DCM_UID_MAX + 1], ts[DCM_UID_MAX + 1];
    snprintf(class, sizeof class, "%.*s", STR_FMT(ref->sop_class_uid));
    ts_of(ref, ts);
    return send_propose_how(p, class, ts, how, e);
}

// Proposes for as many of the objects from s->at on as fit one association; their count.
static size_t plan_association(struct scu_proposal *p, const struct suboperations *s, unsigned how, struct err *e) {
    size_t n = 0;
    while (s->at + n < s->queued && propose_for(p, s->queue[s->at + n], how, e)) n++;
    return n;
}

// One object to the destination; false: its association is over.
static bool send_one(const struct dicom_module *m, struct scp_request *rq, struct dimse *to, struct suboperations *s, struct round *r) {
    struct err why = {0};
    struct dimse_command rsp;
    struct send_report report;
    char ts[DCM_UID_MAX + 1];
    const struct instance_ref *ref = s->queue[s->at];
    enum send_result result = instance_send(m->archive, to, ref, rq->session->d.ul.calling, rq->command.message_id, &report, &why);
    ts_of(ref, ts);
    if (result == SEND_IMPOSSIBLE && send_may_propose_more(&why) && r->deferred && send_convertible(ts)) {
        suboperations_defer(s, r->deferred, &r->deferred_count);
        return true;
    }
    bool answered = result == SEND_DONE && scu_response(to, report.message_id, &rsp, NULL, &why);
    if (!answered) log_err(&why, "C-MOVE to %s: %.*s", rq->command.move_destination, STR_FMT(ref->sop_instance_uid));
    suboperations_count(s, answered, answered ? rsp.status : 0, why.message);
    if (answered) suboperations_converted(s, report.converted_to);
    return answered || result == SEND_IMPOSSIBLE;
}

static bool go_on(struct scp_request *rq, bool alive) {
    return alive && !scp_cancelled(rq) && !scp_stopping(rq->session);
}

// Sends count objects on one association. *alive: the asker's association goes on.
static void send_some(const struct dicom_module *m, struct scp_request *rq, struct dimse *to, struct suboperations *s, struct round *r, size_t count,
                      bool *alive, struct err *e) {
    size_t end = s->at + count;
    bool open = true;
    while (open && s->at < end && go_on(rq, *alive)) {
        open = send_one(m, rq, to, s, r);
        if (suboperations_remaining(s)) *alive = suboperations_pending(rq, s, e);
    }
    while (!open && s->at < end) suboperations_count(s, false, 0, "the association to the destination was lost");
}

// Some askers (GDCM's) begin to listen only after they have sent C-MOVE-RQ: a refused connection is tried again for a moment.
static bool open_patiently(const struct dicom_module *m, struct scp_request *rq, const struct scu_target *target, const struct scu_proposal *p,
                           struct dimse *to, struct err *why) {
    for (unsigned i = 0; i < CONNECT_TRIES; i++) {
        if (scu_open(to, target, m->config->aet, p, &m->config->timers, why)) return true;
        if (why->kind != ERR_NET || i + 1 == CONNECT_TRIES || scp_cancelled(rq)) return false;
        scu_close(to);
        nanosleep(&(struct timespec){.tv_nsec = CONNECT_PAUSE_MS * 1000000L}, NULL);
    }
    return false;
}

static bool send_round(const struct dicom_module *m, struct scp_request *rq, const struct scu_target *target, struct arena *a, struct suboperations *s,
                       struct round *r, bool *alive, struct err *why, struct err *e) {
    while (s->at < s->queued && go_on(rq, *alive)) {
        struct dimse to;
        struct scu_proposal *p = arena_zero(a, 1, sizeof *p, why);
        if (!p) return false;
        scu_proposal_init(p, a);
        size_t n = plan_association(p, s, r->how, why);
        if (n == 0) return false;
        bool ok = open_patiently(m, rq, target, p, &to, why);
        if (ok) send_some(m, rq, &to, s, r, n, alive, e);
        scu_close(&to);
        if (!ok) return false;
    }
    return true;
}

static bool send_all(const struct dicom_module *m, struct scp_request *rq, const struct scu_target *target, struct arena *a, struct suboperations *s,
                     bool *alive, struct err *why, struct err *e) {
    static const unsigned HOW[] = {SEND_AS_IT_LIES, SEND_CONVERTED, SEND_COMPRESSED};
    enum { ROUNDS = sizeof HOW / sizeof *HOW };
    for (unsigned i = 0; i < ROUNDS && s->queued && go_on(rq, *alive); i++) {
        struct round r = {.how = HOW[i]};
        if (i + 1 < ROUNDS) r.deferred = arena_zero(a, s->queued, sizeof(void *), why);
        bool ok = (r.deferred || i + 1 == ROUNDS) && send_round(m, rq, target, a, s, &r, alive, why, e);
        if (!ok) suboperations_refuse(s, why->message);
        if (!go_on(rq, *alive)) return ok;
        s->queue = r.deferred;
        s->queued = r.deferred_count;
        s->at = 0;
        if (!ok) suboperations_refuse(s, why->message);
        if (!ok) return false;
    }
    return true;
}

static bool move(const struct dicom_module *m, struct scp_request *rq, struct arena *a, struct err *e) {
    struct peer_destination to;
    struct suboperations s;
    struct err why = {0};
    bool alive = true;
    const struct dicom_noted unknown = {.type = "study.sent", .status = DIMSE_DESTINATION_UNKNOWN};
    if (!peer_destination(m->config->peers, dicom_principal(rq->session), str_of(rq->command.move_destination), &to, &why))
        return dicom_note(m->archive, rq, &unknown, &alive, e) ? scp_finish(rq, DIMSE_DESTINATION_UNKNOWN, why.message, e) : alive;
    if (!suboperations_plan(m, rq, a, &s, &alive, e)) return alive;
    const struct scu_target target = dicom_target(m->config, &to);
    if (!send_all(m, rq, &target, a, &s, &alive, &why, e)) log_err(&why, "C-MOVE to %s", target.aet);
    return alive && suboperations_finish(rq, &s, a, e);
}

bool dicom_move(void *ctx, struct scp_request *rq, struct err *e) {
    struct arena a;
    arena_init(&a, DICOM_REQUEST_ARENA_BYTES);
    bool ok = move(ctx, rq, &a, e);
    arena_deinit(&a);
    return ok;
}
