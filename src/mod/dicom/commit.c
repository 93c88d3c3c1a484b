// Storage Commitment Push Model (PS3.4 J): every object is re-read from the disk before "yes"; the result goes back on the same association when it is still
// open, else on a new one to the peer, with retries.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "dicom/uid.h"
#include "dimse/scu.h"
#include "mod/dicom/internal.h"

enum {
    JOB_ARENA_BYTES = 16 * 1024 * 1024,
    ITEMS_MAX = 100 * 1000,
    QUEUE_MAX = 4096, // jobs that wait for their peers
    WORKERS = 4,      // each with another peer: one that does not answer holds up its own results only
    ANSWER_MS = 30 * 1000,
    ACTION_REQUEST_COMMITMENT = 1, // PS3.4 J.3.2.1
    EVENT_ALL_COMMITTED = 1,
    EVENT_FAILURES = 2, // PS3.4 J.3.3.1
    REASON_PROCESSING = 0x0110,
    REASON_NO_SUCH_INSTANCE = 0x0112,
    REASON_CLASS_CONFLICT = 0x0119, // PS3.3 C.14.1.1
    REASON_UNKNOWN = 0xFFFF         // not looked at yet
};

static const int RETRY_S[] = {1, 5, 30, 120, 600, 1800, 3600, 7200};
enum { ATTEMPTS_MAX = sizeof RETRY_S / sizeof *RETRY_S };

struct item {
    struct str class_uid, instance_uid;
    uint16_t reason; // 0: committed
};

struct job {
    struct arena arena;
    char peer[PDU_AE_MAX + 1]; // who asked
    char address[NET_ADDRESS_MAX];
    struct str transaction_uid;
    struct item *items;
    unsigned count, checked;
    unsigned attempts;
    int64_t due_ms;
    struct job *next;
};

struct worker {
    struct commit_queue *q;
    pthread_t thread;
    char peer[PDU_AE_MAX + 1]; // whose job is under way; empty: nobody's. Under the queue's lock
};

struct commit_queue {
    struct dicom_module *m;
    struct worker workers[WORKERS];
    unsigned worker_count;
    pthread_mutex_t lock; // everything below
    pthread_cond_t changed;
    struct job *jobs;
    unsigned count;
    bool stopping;
};

static void free_job(struct job *j) {
    arena_deinit(&j->arena);
    free(j);
}

// ---- request ----

static bool take_items(struct job *j, const struct dcm_dataset *ds, struct err *e) {
    const struct dcm_element *refs = dcm_find(ds, DCM_ReferencedSOPSequence);
    j->count = refs ? refs->item_count : 0;
    if (j->count == 0) return err_set(e, ERR_BAD_INPUT, "dicom", "the Referenced SOP Sequence is empty");
    if (j->count > ITEMS_MAX) return err_set(e, ERR_TOO_LARGE, "dicom", "more than %d objects in one request", ITEMS_MAX);
    j->items = arena_zero(&j->arena, j->count, sizeof *j->items, e);
    if (!j->items) return false;
    for (unsigned i = 0; i < j->count; i++) {
        struct item *it = &j->items[i];
        it->reason = REASON_UNKNOWN;
        if (!arena_dup(&j->arena, dcm_text(refs->items[i], DCM_ReferencedSOPClassUID), &it->class_uid, e) ||
            !arena_dup(&j->arena, dcm_text(refs->items[i], DCM_ReferencedSOPInstanceUID), &it->instance_uid, e))
            return false;
    }
    return true;
}

static struct job *new_job(const struct scp_request *rq, const struct dcm_dataset *ds, struct err *e) {
    struct job *j = calloc(1, sizeof *j);
    if (!j) return err_nomem(e, "dicom"), NULL;
    arena_init(&j->arena, JOB_ARENA_BYTES);
    snprintf(j->peer, sizeof j->peer, "%s", rq->session->d.ul.calling);
    snprintf(j->address, sizeof j->address, "%s", rq->session->d.ul.conn.address);
    bool ok = arena_dup(&j->arena, dcm_text(ds, DCM_TransactionUID), &j->transaction_uid, e);
    if (ok && j->transaction_uid.n == 0) ok = err_set(e, ERR_BAD_INPUT, "dicom", "the Transaction UID is missing");
    if (ok && take_items(j, ds, e)) return j;
    free_job(j);
    return NULL;
}

// ---- check ----

static uint16_t check(struct dicom_module *m, const struct job *j, const struct item *it) {
    struct arena a;
    struct instance_list list = {0};
    struct err e = {0};
    const struct retrieve_query query = {.sop_instance_uids = it->instance_uid};
    const struct actor who = {.door = DOOR_DIMSE, .aet = str_of(j->peer), .called = str_of(m->config->aet), .address = str_of(j->address), .user = {"", 0}};
    uint16_t reason = 0;
    arena_init(&a, JOB_ARENA_BYTES);
    bool one = it->instance_uid.n && str_find(it->instance_uid, '\\', 0) == it->instance_uid.n;
    bool listed = one && retrieve_list(m->archive, &who, &a, &query, &list, &e);
    if (!one || (listed && list.count == 0))
        reason = REASON_NO_SUCH_INSTANCE;
    else if (listed && !str_eq(list.refs[0].sop_class_uid, it->class_uid))
        reason = REASON_CLASS_CONFLICT;
    else if (!listed || !retrieve_verify(m->archive, &list.refs[0], &e))
        reason = REASON_PROCESSING;
    if (e.kind != ERR_NONE) log_err(&e, "storage commitment of %.*s", STR_FMT(it->instance_uid));
    arena_deinit(&a);
    return reason;
}

// ---- result ----

static bool put_item(struct dcm_dataset *ds, const struct item *it, struct err *e) {
    struct dcm_dataset *item = dcm_put_item(ds, it->reason ? DCM_FailedSOPSequence : DCM_ReferencedSOPSequence, e);
    return item && dcm_put_text(item, DCM_ReferencedSOPClassUID, DCM_VR_UI, it->class_uid, e) &&
           dcm_put_text(item, DCM_ReferencedSOPInstanceUID, DCM_VR_UI, it->instance_uid, e) &&
           (it->reason == 0 || dcm_put_int(item, DCM_FailureReason, it->reason, e));
}

// N-EVENT-REPORT-RQ; the message ID is in *id.
static bool send_result(const struct dicom_module *m, struct dimse *d, const struct ul_context *c, const struct job *j, uint16_t *id, struct err *e) {
    struct arena a;
    unsigned failed = 0;
    arena_init(&a, 4 * JOB_ARENA_BYTES);
    struct dcm_dataset *ds = dcm_dataset_new(&a, e);
    bool ok = ds && dcm_put_text(ds, DCM_TransactionUID, DCM_VR_UI, j->transaction_uid, e) && dcm_putz(ds, DCM_RetrieveAETitle, m->config->aet, e);
    for (unsigned i = 0; ok && i < j->count; i++) {
        if (j->items[i].reason) failed++;
        ok = put_item(ds, &j->items[i], e);
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

static bool deliver_anew(const struct dicom_module *m, const struct job *j, struct err *e) {
    const struct dicom_peer *peer = dicom_peer_find(m->config, j->peer);
    if (!peer) return err_set(e, ERR_NOT_FOUND, "dicom", "%s is not a known peer: name it with --peer %s@HOST:PORT", j->peer, j->peer);
    struct scu_target target = {.port = peer->port};
    struct arena a;
    struct dimse d;
    struct dimse_command rsp;
    uint16_t id;
    snprintf(target.aet, sizeof target.aet, "%s", peer->aet);
    snprintf(target.host, sizeof target.host, "%s", peer->host);
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
        ok = c && send_result(m, &d, c, j, &id, e) && scu_response(&d, id, &rsp, NULL, e);
        if (ok && rsp.status != DIMSE_SUCCESS)
            ok = err_set(e, ERR_PEER, "dicom", "%s answered the result with %04X (%s)", j->peer, rsp.status, dimse_status_text(rsp.status));
        scu_close(&d);
    }
    arena_deinit(&a);
    return ok;
}

// ---- queue ----

static void enqueue(struct commit_queue *q, struct job *j, int64_t due_ms) {
    j->due_ms = due_ms;
    pthread_mutex_lock(&q->lock);
    bool room = q->count < QUEUE_MAX && !q->stopping;
    if (room) {
        struct job **at = &q->jobs;
        while (*at && (*at)->due_ms <= due_ms) at = &(*at)->next;
        j->next = *at;
        *at = j;
        q->count++;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    if (room) return;
    log_line(LOG_WARN, "dicom", "the storage commitment result %.*s for %s is given up: %s", STR_FMT(j->transaction_uid), j->peer,
             q->stopping ? "shutting down" : "too many wait");
    free_job(j);
}

static bool is_served(const struct commit_queue *q, const char *peer) {
    for (unsigned i = 0; i < WORKERS; i++)
        if (strcmp(q->workers[i].peer, peer) == 0) return true;
    return false;
}

// The first job that is due and whose peer nobody serves; else NULL, and when to look again.
static struct job **find_due(struct commit_queue *q, int64_t *again_ms) {
    int64_t now_ms = clock_mono_ms();
    *again_ms = INT64_MAX;
    for (struct job **at = &q->jobs; *at; at = &(*at)->next) {
        if ((*at)->due_ms > now_ms) {
            *again_ms = (*at)->due_ms;
            return NULL;
        }
        if (!is_served(q, (*at)->peer)) return at;
    }
    return NULL;
}

static void wait_until(struct commit_queue *q, int64_t ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (ms == INT64_MAX)
        pthread_cond_wait(&q->changed, &q->lock);
    else
        pthread_cond_timedwait(&q->changed, &q->lock, &t);
}

// The worker's next job, its last one being done; NULL when stopping.
static struct job *dequeue(struct worker *w) {
    struct commit_queue *q = w->q;
    struct job **at = NULL, *j = NULL;
    int64_t again_ms;
    pthread_mutex_lock(&q->lock);
    w->peer[0] = '\0';
    pthread_cond_broadcast(&q->changed);
    while (!q->stopping && !(at = find_due(q, &again_ms))) wait_until(q, again_ms);
    if (at && !q->stopping) {
        j = *at;
        *at = j->next;
        q->count--;
        memcpy(w->peer, j->peer, sizeof w->peer);
    }
    pthread_mutex_unlock(&q->lock);
    return j;
}

static bool is_stopping(struct commit_queue *q) {
    pthread_mutex_lock(&q->lock);
    bool stopping = q->stopping;
    pthread_mutex_unlock(&q->lock);
    return stopping;
}

static void work_on(struct commit_queue *q, struct job *j) {
    struct err e = {0};
    for (; j->checked < j->count && !is_stopping(q); j->checked++) j->items[j->checked].reason = check(q->m, j, &j->items[j->checked]);
    if (j->checked < j->count || deliver_anew(q->m, j, &e)) {
        free_job(j);
        return;
    }
    bool again = e.kind != ERR_NOT_FOUND && ++j->attempts < ATTEMPTS_MAX;
    log_err(&e, "storage commitment result for %s%s", j->peer, again ? " (will be tried again)" : " is given up");
    if (again)
        enqueue(q, j, clock_mono_ms() + RETRY_S[j->attempts] * 1000);
    else
        free_job(j);
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    for (struct job *j; (j = dequeue(w));) work_on(w->q, j);
    return NULL;
}

bool commit_queue_start(struct dicom_module *m, struct commit_queue **out, struct err *e) {
    struct commit_queue *q = calloc(1, sizeof *q);
    if (!q) return err_nomem(e, "dicom");
    q->m = m;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, &attr);
    pthread_condattr_destroy(&attr);
    bool ok = true;
    for (unsigned i = 0; ok && i < WORKERS; i++) {
        q->workers[i].q = q;
        ok = thread_start(&q->workers[i].thread, "commitment", worker_main, &q->workers[i], e);
        q->worker_count += ok;
    }
    if (ok)
        *out = q;
    else
        commit_queue_stop(q);
    return ok;
}

void commit_queue_stop(struct commit_queue *q) {
    pthread_mutex_lock(&q->lock);
    q->stopping = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    for (unsigned i = 0; i < q->worker_count; i++) pthread_join(q->workers[i].thread, NULL);
    if (q->count) log_line(LOG_WARN, "dicom", "%u storage commitment results were not delivered before the stop", q->count);
    while (q->jobs) {
        struct job *j = q->jobs;
        q->jobs = j->next;
        free_job(j);
    }
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->changed);
    free(q);
}

// ---- N-ACTION ----

// On the association of the request, as long as the peer says nothing else. *alive: it goes on. true: the result was taken.
static bool deliver_here(struct dicom_module *m, struct scp_request *rq, struct job *j, bool *alive) {
    struct err e = {0};
    struct dimse_command rsp;
    uint16_t id;
    for (; j->checked < j->count; j->checked++) {
        if (scp_interrupted(rq) || scp_stopping(rq->session)) return false;
        j->items[j->checked].reason = check(m, j, &j->items[j->checked]);
    }
    if (scp_interrupted(rq)) return false;
    if (send_result(m, &rq->session->d, rq->context, j, &id, &e) && scp_await_response(rq, id, clock_mono_ms() + ANSWER_MS, &rsp, &e))
        return rsp.status == DIMSE_SUCCESS;
    *alive = rq->session->d.ul.state == UL_STA6 || rq->session->d.ul.state == UL_STA8; // asked for release meanwhile
    return false;
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
    struct job *j = new_job(rq, ds, &why);
    if (!j) return scp_finish(rq, why.kind == ERR_BAD_INPUT ? DIMSE_INVALID_ARGUMENT : DIMSE_PROCESSING_FAILURE, why.message, e);
    if (!scp_finish(rq, DIMSE_SUCCESS, NULL, e)) {
        enqueue(m->commits, j, clock_mono_ms());
        return false;
    }
    if (deliver_here(m, rq, j, &alive))
        free_job(j);
    else
        enqueue(m->commits, j, clock_mono_ms() + RETRY_S[0] * 1000);
    return alive;
}

bool dicom_commit(void *ctx, struct scp_request *rq, struct err *e) {
    struct arena a;
    arena_init(&a, DICOM_REQUEST_ARENA_BYTES);
    bool ok = commit(ctx, rq, &a, e);
    arena_deinit(&a);
    return ok;
}
