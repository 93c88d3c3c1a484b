// Storage Commitment Push Model (PS3.4 J): every object is re-read from the disk before "yes"; the result goes back on the same association when it is still
// open, else on a new one to the peer, with retries. What is owed to a peer is kept in the index from before its request is answered, so that it outlives
// the node, and any node delivers it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/commitments.h"
#include "core/jobs.h"
#include "core/nodes.h"
#include "core/peers.h"
#include "dicom/uid.h"
#include "dimse/scu.h"
#include "mod/dicom/internal.h"
#include "text/json.h"

enum {
    JOB_ARENA_BYTES = 64 * 1024 * 1024,
    ITEMS_MAX = 100 * 1000,
    WORKERS = 4,         // each with another peer: one that does not answer holds up its own results only
    HERE_MS = 60 * 1000, // what was asked on an association is delivered on it within, or by a job
    GONE_MS = 1000,      // the peer had it not on its own association: on another, a moment later
    SERVED_MS = 2000,    // another result is being delivered to the peer
    KEEP_MS = 15 * 1000, // checking many objects says so often that it goes on
    ANSWER_MS = 30 * 1000,
    KEPT_BYTES_MAX = 16 * 1024 * 1024,
    ACTION_REQUEST_COMMITMENT = 1, // PS3.4 J.3.2.1
    EVENT_ALL_COMMITTED = 1,
    EVENT_FAILURES = 2, // PS3.4 J.3.3.1
    REASON_PROCESSING = 0x0110,
    REASON_NO_SUCH_INSTANCE = 0x0112,
    REASON_CLASS_CONFLICT = 0x0119, // PS3.3 C.14.1.1
    REASON_UNKNOWN = 0xFFFF         // not looked at yet
};

struct item {
    struct str class_uid, instance_uid;
    uint16_t reason; // 0: committed
};

// A request and what came of it.
struct request {
    struct arena arena;
    int64_t id;                // in the index
    char peer[PDU_AE_MAX + 1]; // who asked
    char address[NET_ADDRESS_MAX];
    const struct principal *asker; // whose objects it may ask for; in arena, or the association's
    const struct principal *at;    // the peer that it asks from, as which it is looked at later
    struct str transaction_uid;
    struct item *items;
    unsigned count, checked;
};

struct commit_queue {
    struct dicom_module *m;
    struct job_worker *workers[WORKERS];
};

static void free_request(struct request *owed) {
    arena_deinit(&owed->arena);
    free(owed);
}

// ---- request ----

static bool take_items(struct request *owed, const struct dcm_dataset *ds, struct err *e) {
    const struct dcm_element *refs = dcm_find(ds, DCM_ReferencedSOPSequence);
    owed->count = refs ? refs->item_count : 0;
    if (owed->count == 0) return err_set(e, ERR_BAD_INPUT, "dicom", "the Referenced SOP Sequence is empty");
    if (owed->count > ITEMS_MAX) return err_set(e, ERR_TOO_LARGE, "dicom", "more than %d objects in one request", ITEMS_MAX);
    owed->items = arena_zero(&owed->arena, owed->count, sizeof *owed->items, e);
    if (!owed->items) return false;
    for (unsigned i = 0; i < owed->count; i++) {
        struct item *it = &owed->items[i];
        it->reason = REASON_UNKNOWN;
        if (!arena_dup(&owed->arena, dcm_text(refs->items[i], DCM_ReferencedSOPClassUID), &it->class_uid, e) ||
            !arena_dup(&owed->arena, dcm_text(refs->items[i], DCM_ReferencedSOPInstanceUID), &it->instance_uid, e))
            return false;
    }
    return true;
}

static struct request *new_request(const struct scp_request *rq, const struct dcm_dataset *ds, struct err *e) {
    struct request *owed = calloc(1, sizeof *owed);
    if (!owed) return err_nomem(e, "dicom"), NULL;
    arena_init(&owed->arena, JOB_ARENA_BYTES);
    owed->asker = dicom_principal(rq->session);
    owed->at = dicom_peer(rq->session);
    snprintf(owed->peer, sizeof owed->peer, "%s", rq->session->d.ul.calling);
    snprintf(owed->address, sizeof owed->address, "%s", rq->session->d.ul.conn.address);
    bool ok = arena_dup(&owed->arena, dcm_text(ds, DCM_TransactionUID), &owed->transaction_uid, e);
    if (ok && owed->transaction_uid.n == 0) ok = err_set(e, ERR_BAD_INPUT, "dicom", "the Transaction UID is missing");
    if (ok && take_items(owed, ds, e)) return owed;
    free_request(owed);
    return NULL;
}

// ---- check ----

static uint16_t find(struct dicom_module *m, const struct request *owed, const struct item *it, struct arena *a, struct instance_list *list, struct err *e) {
    const struct retrieve_query query = {.sop_instance_uids = it->instance_uid, .permission = ACCESS_STUDY_COMMIT};
    const struct actor who = {.door = DOOR_DIMSE,
                              .aet = str_of(owed->peer),
                              .called = str_of(m->config->aet),
                              .address = str_of(owed->address),
                              .user = {"", 0},
                              .principal = owed->asker};
    bool one = it->instance_uid.n && str_find(it->instance_uid, '\\', 0) == it->instance_uid.n;
    if (!one) return REASON_NO_SUCH_INSTANCE;
    if (!retrieve_list(m->archive, &who, a, &query, list, e)) return REASON_PROCESSING;
    if (list->count == 0) return REASON_NO_SUCH_INSTANCE;
    return str_eq(list->refs[0].sop_class_uid, it->class_uid) ? 0 : REASON_CLASS_CONFLICT;
}

static uint16_t check(struct dicom_module *m, const struct request *owed, const struct item *it) {
    struct arena a;
    struct instance_list list = {0};
    struct err e = {0};
    if (it->reason != REASON_UNKNOWN) return it->reason;
    arena_init(&a, JOB_ARENA_BYTES);
    uint16_t reason = find(m, owed, it, &a, &list, &e);
    if (reason == 0 && !retrieve_verify(m->archive, &list.refs[0], &e)) reason = REASON_PROCESSING;
    if (e.kind != ERR_NONE) log_err(&e, "storage commitment of %.*s", STR_FMT(it->instance_uid));
    arena_deinit(&a);
    return reason;
}

// What a user does not reach who is here now: later only the peer is known.
static void mark_hidden(struct dicom_module *m, struct request *owed) {
    struct arena a;
    if (owed->asker == owed->at) return;
    arena_init(&a, JOB_ARENA_BYTES);
    for (unsigned i = 0; i < owed->count; i++) {
        struct instance_list list = {0};
        struct err e = {0};
        uint16_t reason = find(m, owed, &owed->items[i], &a, &list, &e);
        if (reason == REASON_NO_SUCH_INSTANCE || reason == REASON_PROCESSING) owed->items[i].reason = reason;
        if (e.kind != ERR_NONE) log_err(&e, "storage commitment of %.*s", STR_FMT(owed->items[i].instance_uid));
        arena_reset(&a);
    }
    arena_deinit(&a);
}

// ---- result ----

static bool put_item(struct dcm_dataset *ds, const struct item *it, struct err *e) {
    struct dcm_dataset *item = dcm_put_item(ds, it->reason ? DCM_FailedSOPSequence : DCM_ReferencedSOPSequence, e);
    return item && dcm_put_text(item, DCM_ReferencedSOPClassUID, DCM_VR_UI, it->class_uid, e) &&
           dcm_put_text(item, DCM_ReferencedSOPInstanceUID, DCM_VR_UI, it->instance_uid, e) &&
           (it->reason == 0 || dcm_put_int(item, DCM_FailureReason, it->reason, e));
}

// N-EVENT-REPORT-RQ; the message ID is in *id.
static bool send_result(const struct dicom_module *m, struct dimse *d, const struct ul_context *c, const struct request *owed, uint16_t *id, struct err *e) {
    struct arena a;
    unsigned failed = 0;
    arena_init(&a, 4 * JOB_ARENA_BYTES);
    struct dcm_dataset *ds = dcm_dataset_new(&a, e);
    bool ok = ds && dcm_put_text(ds, DCM_TransactionUID, DCM_VR_UI, owed->transaction_uid, e) && dcm_putz(ds, DCM_RetrieveAETitle, m->config->aet, e);
    for (unsigned i = 0; ok && i < owed->count; i++) {
        if (owed->items[i].reason) failed++;
        ok = put_item(ds, &owed->items[i], e);
    }
    struct dimse_command rq = dimse_request(DIMSE_N_EVENT_REPORT, 0, UID_STORAGE_COMMITMENT);
    snprintf(rq.affected_instance, sizeof rq.affected_instance, "%s", UID_STORAGE_COMMITMENT_INSTANCE);
    rq.event_type = failed ? EVENT_FAILURES : EVENT_ALL_COMMITTED;
    rq.has |= DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_EVENT_TYPE;
    ok = ok && scu_send(d, c, &rq, ds, id, e);
    arena_deinit(&a);
    return ok;
}

// A peer that does not answer role selection takes the result all the same more often than not.
static const struct ul_context *result_context(struct dimse *d, struct err *e) {
    const struct ul_context *c = dimse_context(d, UID_STORAGE_COMMITMENT, NULL, true);
    return c ? c : scu_context(d, UID_STORAGE_COMMITMENT, e);
}

static bool deliver_anew(const struct dicom_module *m, const struct request *owed, struct err *e) {
    struct peer_destination to;
    if (!peer_destination(m->config->peers, NULL, str_of(owed->peer), &to, e)) return false;
    const struct scu_target target = dicom_target(m->config, &to);
    struct arena a;
    struct dimse d;
    struct dimse_command rsp;
    uint16_t id;
    arena_init(&a, 1 << 20);
    struct scu_proposal *p = arena_zero(&a, 1, sizeof *p, e);
    bool ok = p != NULL;
    if (ok) {
        scu_proposal_init(p, &a);
        ok = scu_propose(p, UID_STORAGE_COMMITMENT, SCU_TS_PLAIN, 2, e) && scu_propose_role(p, UID_STORAGE_COMMITMENT, false, true, e);
    }
    if (ok) {
        ok = scu_open(&d, &target, m->config->aet, p, &m->config->timers, e);
        const struct ul_context *c = ok ? result_context(&d, e) : NULL;
        ok = c && send_result(m, &d, c, owed, &id, e) && scu_response(&d, id, &rsp, NULL, e);
        if (ok && rsp.status != DIMSE_SUCCESS)
            ok = err_set(e, ERR_PEER, "dicom", "%s answered the result with %04X (%s)", owed->peer, rsp.status, dimse_status_text(rsp.status));
        scu_close(&d);
    }
    arena_deinit(&a);
    return ok;
}

// ---- kept in the index ----

static bool write_items(const struct request *owed, struct buf *to, struct err *e) {
    struct json_writer w;
    json_init(&w, to, false);
    json_begin_array(&w);
    for (unsigned i = 0; i < owed->count; i++) {
        json_str(&w, owed->items[i].class_uid);
        json_str(&w, owed->items[i].instance_uid);
        if (owed->items[i].reason != REASON_UNKNOWN) json_bool(&w, false); // it is not there for whoever asked
    }
    json_end_array(&w);
    return buf_ok(to, e);
}

// Before the request is answered: from then on the peer counts on its result.
static bool keep(struct dicom_module *m, struct request *owed, struct err *e) {
    struct buf items;
    buf_init(&items, KEPT_BYTES_MAX);
    struct commitment c = {.peer = str_of(owed->peer), .address = str_of(owed->address), .transaction_uid = owed->transaction_uid, .asker = owed->at->name};
    bool ok = write_items(owed, &items, e);
    c.items = buf_str(&items);
    ok = ok && commitment_keep(m->archive, &c, HERE_MS, e);
    owed->id = c.id;
    buf_deinit(&items);
    return ok;
}

static bool read_items(struct request *owed, struct str text, struct err *e) {
    const struct json *all = json_read(&owed->arena, text, 2, e);
    if (!all) return false;
    owed->items = arena_zero(&owed->arena, all->count / 2, sizeof *owed->items, e);
    const struct json *at = all->first;
    while (owed->items && at && at->next) {
        bool hidden = at->next->next && at->next->next->kind == JSON_FALSE;
        owed->items[owed->count++] = (struct item){json_text(at), json_text(at->next), hidden ? REASON_NO_SUCH_INSTANCE : REASON_UNKNOWN};
        at = hidden ? at->next->next->next : at->next->next;
    }
    return owed->items;
}

static bool read_kept(struct dicom_module *m, int64_t id, struct request *owed, struct err *e) {
    struct commitment c;
    owed->id = id;
    if (!commitment_read(m->archive, &owed->arena, id, &c, e)) return false;
    snprintf(owed->peer, sizeof owed->peer, "%.*s", STR_FMT(c.peer));
    snprintf(owed->address, sizeof owed->address, "%.*s", STR_FMT(c.address));
    owed->transaction_uid = c.transaction_uid;
    if (!peer_principal(m->config->peers, &owed->arena, c.asker, &owed->asker, e)) return false;
    return read_items(owed, c.items, e);
}

// ---- jobs ----

static bool check_kept(struct dicom_module *m, const struct job *j, struct request *owed, struct err *e) {
    int64_t said_ms = clock_mono_ms();
    for (; owed->checked < owed->count; owed->checked++) {
        owed->items[owed->checked].reason = check(m, owed, &owed->items[owed->checked]);
        if (clock_mono_ms() - said_ms < KEEP_MS) continue;
        said_ms = clock_mono_ms();
        if (!job_keep(m->archive, j, e)) return false;
    }
    return true;
}

// To one peer at a time, whichever node delivers.
static bool deliver_kept(struct dicom_module *m, const struct job *j, struct request *owed, struct err *e) {
    char name[64];
    struct lease lease = {.held = false};
    bool taken, ok = false;
    snprintf(name, sizeof name, "commitment %s", owed->peer);
    if (!lease_take(m->archive, name, &lease, &taken, e)) return false;
    if (!taken) return commitment_again(m->archive, owed->id, SERVED_MS, e);
    if (check_kept(m, j, owed, e) && job_keep(m->archive, j, e)) ok = deliver_anew(m, owed, e);
    bool hopeless = !ok && e->kind == ERR_NOT_FOUND;
    if (hopeless) log_err(e, "storage commitment result for %s is given up", owed->peer);
    if (ok || hopeless) ok = commitment_drop(m->archive, owed->id, e);
    lease_drop(m->archive, &lease);
    return ok;
}

static bool run(void *ctx, const struct job *j, struct err *e) {
    struct dicom_module *m = ctx;
    struct err own = {0};
    int64_t id;
    if (!str_to_i64(str_of(j->subject), &id)) return err_set(e, ERR_INTERNAL, "dicom", "'%s' is no result's number", j->subject);
    struct request *owed = calloc(1, sizeof *owed);
    if (!owed) return err_nomem(e, "dicom");
    arena_init(&owed->arena, JOB_ARENA_BYTES);
    bool there = read_kept(m, id, owed, &own);
    bool ok = there ? deliver_kept(m, j, owed, &own) : own.kind == ERR_NOT_FOUND; // delivered meanwhile
    if (!ok && e) *e = own;
    free_request(owed);
    return ok;
}

bool commit_queue_start(struct dicom_module *m, struct commit_queue **out, struct err *e) {
    struct commit_queue *q = calloc(1, sizeof *q);
    const struct job_kind kind = {.name = COMMITMENT_JOBS, .run = run, .ctx = m};
    if (!q) return err_nomem(e, "dicom");
    bool ok = true;
    for (unsigned i = 0; ok && i < WORKERS; i++) ok = job_worker_start(m->archive, &kind, &q->workers[i], e);
    if (ok)
        *out = q;
    else
        commit_queue_stop(q);
    return ok;
}

void commit_queue_stop(struct commit_queue *q) {
    for (unsigned i = 0; i < WORKERS; i++) job_worker_stop(q->workers[i]);
    free(q);
}

// ---- N-ACTION ----

// On the association of the request, as long as the peer says nothing else. *alive: it goes on. true: the result was taken.
static bool deliver_here(struct dicom_module *m, struct scp_request *rq, struct request *owed, bool *alive) {
    struct err e = {0};
    struct dimse_command rsp;
    uint16_t id;
    int64_t said_ms = clock_mono_ms();
    for (; owed->checked < owed->count; owed->checked++) {
        if (scp_interrupted(rq) || scp_stopping(rq->session)) return false;
        owed->items[owed->checked].reason = check(m, owed, &owed->items[owed->checked]);
        if (clock_mono_ms() - said_ms < KEEP_MS) continue;
        said_ms = clock_mono_ms();
        if (!commitment_again(m->archive, owed->id, HERE_MS, &e)) return false;
    }
    if (scp_interrupted(rq)) return false;
    if (send_result(m, &rq->session->d, rq->context, owed, &id, &e) && scp_await_response(rq, id, clock_mono_ms() + ANSWER_MS, &rsp, &e))
        return rsp.status == DIMSE_SUCCESS;
    *alive = rq->session->d.ul.state == UL_STA6 || rq->session->d.ul.state == UL_STA8; // asked for release meanwhile
    return false;
}

// Nothing is lost when this fails: the job comes in time, and a result that comes twice tells the same.
static void settle(struct dicom_module *m, const struct request *owed, bool delivered) {
    struct err e = {0};
    bool ok = delivered ? commitment_drop(m->archive, owed->id, &e) : commitment_again(m->archive, owed->id, GONE_MS, &e);
    if (!ok) log_err(&e, "storage commitment result for %s", owed->peer);
}

static bool commit(struct dicom_module *m, struct scp_request *rq, struct arena *a, struct err *e) {
    struct dcm_dataset *ds;
    struct err why = {0};
    bool alive = true;
    if (rq->command.action_type != ACTION_REQUEST_COMMITMENT) return scp_finish(rq, DIMSE_NO_SUCH_ACTION, "only Request Storage Commitment is offered", e);
    if (strcmp(rq->command.requested_instance, UID_STORAGE_COMMITMENT_INSTANCE) != 0)
        return scp_finish(rq, DIMSE_NO_SUCH_INSTANCE, "the instance is not the Storage Commitment Push Model's", e);
    if (!rq->identifier.p || !dimse_decode(a, rq->context->transfer_syntax, rq->identifier, &ds, &why))
        return scp_finish(rq, DIMSE_INVALID_ARGUMENT, why.kind ? why.message : "the action information is missing", e);
    struct request *owed = new_request(rq, ds, &why);
    if (!owed) return scp_finish(rq, why.kind == ERR_BAD_INPUT ? DIMSE_INVALID_ARGUMENT : DIMSE_PROCESSING_FAILURE, why.message, e);
    const struct dicom_noted noted = {.type = "study.verified", .count = owed->count};
    if (!dicom_note(m->archive, rq, &noted, &alive, e)) return free_request(owed), alive;
    mark_hidden(m, owed);
    if (!keep(m, owed, &why)) {
        log_err(&why, "a request for storage commitment of %s", owed->peer);
        free_request(owed);
        return scp_finish(rq, DIMSE_PROCESSING_FAILURE, why.message, e);
    }
    bool answered = scp_finish(rq, DIMSE_SUCCESS, NULL, e);
    settle(m, owed, answered && deliver_here(m, rq, owed, &alive));
    free_request(owed);
    return answered && alive;
}

bool dicom_commit(void *ctx, struct scp_request *rq, struct err *e) {
    struct arena a;
    arena_init(&a, DICOM_REQUEST_ARENA_BYTES);
    bool ok = commit(ctx, rq, &a, e);
    arena_deinit(&a);
    return ok;
}
