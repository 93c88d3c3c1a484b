// Listener, sessions and dispatch.
#include "dimse/scp.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/pace.h"

enum {
    DRAIN_MS = 20 * 1000,
    REFUSERS_MAX = 64, // sessions beyond the limit that live only to be told so
    POLL_MS = 20,
    REFUSE_MS = 500,   // for those that are just being told
    FINISH_MS = 2000,  // for the message under way when the time is over
    REST_MS = 1000,    // an association without a request for so long is not at work
    SHORT_OF_MS = 100, // pause when the system has no descriptors or threads left
    REQUEST_ARENA_BYTES = UL_ASSOCIATE_BYTES_MAX * 4,
};

struct listener {
    struct scp_server *server;
    int fd; // -1: not open
    uint16_t port;
    struct net_tls *tls;
    pthread_t thread;
    bool running;
};

enum { LISTENERS = 2 }; // the second one beside TLS, for peers that have none

struct scp_server {
    struct scp_config config;
    struct listener listeners[LISTENERS];
    struct net_pace *pace;
    int wake, rest, halt; // descriptors that wake the listeners, associations at rest, everybody
    atomic_bool stopping; // nothing new
    atomic_bool ending;   // and nothing more of what is there
    pthread_mutex_t lock; // sessions and figures
    pthread_cond_t ended;
    struct scp_session *sessions;
    struct thread_trail gone;
    unsigned count;   // of them
    unsigned serving; // but for those that are refused
    struct scp_figures figures;
};

// ---- for handlers ----

bool scp_respond(struct scp_request *rq, struct dimse_command *rsp, const void *data, size_t n, struct err *e) {
    return dimse_send(&rq->session->d, rq->context->id, rsp, data, n, e);
}

bool scp_finish(struct scp_request *rq, uint16_t status, const char *comment, struct err *e) {
    struct dimse_command rsp = dimse_response(&rq->command, status);
    if (comment) dimse_comment(&rsp, comment);
    return scp_respond(rq, &rsp, NULL, 0, e);
}

static void look(struct scp_request *rq) {
    if (rq->session->d.ul.state != UL_STA6) {
        rq->gone = true;
        return;
    }
    enum dimse_got got = dimse_poll(&rq->session->d, rq->command.message_id, NULL);
    if (got == DIMSE_MESSAGE) rq->cancelled = true;
    if (got == DIMSE_OVER || got == DIMSE_RELEASE) rq->gone = true;
}

bool scp_cancelled(struct scp_request *rq) {
    int64_t now_ms = clock_mono_ms();
    if (!rq->cancelled && !rq->gone && now_ms - rq->polled_ms >= POLL_MS) {
        rq->polled_ms = now_ms;
        look(rq);
    }
    return rq->cancelled || rq->gone;
}

bool scp_interrupted(struct scp_request *rq) {
    return rq->session->d.held || ul_readable(&rq->session->d.ul);
}

bool scp_stopping(const struct scp_session *s) {
    return atomic_load(&s->server->ending);
}

bool scp_await_response(struct scp_request *rq, uint16_t message_id, int64_t deadline_ms, struct dimse_command *rsp, struct err *e) {
    struct dimse *d = &rq->session->d;
    if (d->held) return err_set(e, ERR_PEER, "dimse", "%s sent another request where a response was due", d->ul.calling);
    for (;;) {
        uint8_t id;
        enum dimse_got got = dimse_receive(d, deadline_ms, false, rsp, &id, e);
        if (got == DIMSE_IDLE) err_set(e, ERR_TIMEOUT, "dimse", "%s did not respond in time", d->ul.calling);
        if (got == DIMSE_RELEASE) err_set(e, ERR_PEER, "dimse", "%s asked for release where a response was due", d->ul.calling);
        if (got != DIMSE_MESSAGE) return rq->gone = true, false;
        if (dimse_is_response(rsp) && rsp->responded_id == message_id) return dimse_data_skip(d, e);
        if (rsp->field == DIMSE_C_CANCEL) {
            if (rsp->responded_id == rq->command.message_id) rq->cancelled = true;
            continue;
        }
        ul_abort(&d->ul);
        return err_set(e, ERR_PEER, "dimse", "%s sent %s where a response was due", d->ul.calling, dimse_field_name(rsp->field));
    }
}

// ---- operations ----

static uint16_t failure_status(const struct err *e) {
    uint16_t status = err_class_of(e->kind)->dimse;
    return status ? status : DIMSE_PROCESSING_FAILURE;
}

// The bytes go to the sink as they lie in the receive buffer. After a failure the rest of the data set is read and thrown away, so that the answer can be given.
static bool serve_store(struct scp_server *sv, struct scp_request *rq, const struct scp_sink *sink, struct err *e) {
    void *ctx = sv->config.handlers.ctx, *object = NULL;
    struct err why = {0};
    bool good = sink->begin(ctx, rq, &object, &why);
    bool begun = good;
    for (;;) {
        const uint8_t *p;
        size_t n;
        if (!dimse_data(&rq->session->d, &p, &n, e)) {
            if (begun) sink->abort(ctx, object);
            return false;
        }
        if (n == 0) break;
        if (good) good = sink->write(ctx, object, p, n, &why);
    }
    if (begun && !good) sink->abort(ctx, object);
    uint16_t status = good ? sink->commit(ctx, rq, object, &why) : failure_status(&why);
    if (status != DIMSE_SUCCESS && !dimse_is_warning(status))
        log_err(&why, "C-STORE from %s at %s is answered with %04X", rq->session->d.ul.calling, rq->session->d.ul.conn.address, status);
    return scp_finish(rq, status, status == DIMSE_SUCCESS ? NULL : why.message, e);
}

static scp_handler *handler_of(const struct scp_service *service, uint16_t field) {
    switch (field) {
    case DIMSE_C_FIND:
        return service->find;
    case DIMSE_C_MOVE:
        return service->move;
    case DIMSE_C_GET:
        return service->get;
    case DIMSE_N_ACTION:
        return service->action;
    case DIMSE_N_EVENT_REPORT:
        return service->event_report;
    default:
        return NULL;
    }
}

// The data set is not looked at.
static bool answer_alone(struct scp_request *rq, uint16_t status, const char *comment, struct err *e) {
    if (!dimse_data_skip(&rq->session->d, e)) return false;
    return scp_finish(rq, status, comment, e);
}

static uint16_t permit(struct scp_server *sv, struct scp_request *rq, struct err *why) {
    const struct scp_handlers *h = &sv->config.handlers;
    uint16_t status = h->permit ? h->permit(h->ctx, rq, why) : DIMSE_SUCCESS;
    if (status != DIMSE_SUCCESS)
        log_err(why, "%s from %s at %s is answered with %04X", dimse_field_name(rq->command.field), rq->session->d.ul.calling, rq->session->d.ul.conn.address,
                status);
    return status;
}

static bool serve_identifier(struct scp_server *sv, struct scp_request *rq, scp_handler *handler, struct err *e) {
    struct buf identifier;
    struct err why = {0};
    bool over, ok;
    buf_init(&identifier, DIMSE_IDENTIFIER_BYTES_MAX);
    if (dimse_data_all(&rq->session->d, &identifier, &over, &why)) {
        if (identifier.n) rq->identifier = buf_str(&identifier);
        ok = handler(sv->config.handlers.ctx, rq, e);
    } else {
        if (over && e) *e = why;
        ok = !over && scp_finish(rq, DIMSE_OUT_OF_RESOURCES, "the identifier is larger than is taken", e);
    }
    buf_deinit(&identifier);
    return ok;
}

static bool dispatch(struct scp_server *sv, struct scp_request *rq, struct err *e) {
    const struct scp_service *service = rq->context->service;
    uint16_t field = rq->command.field;
    if (field & DIMSE_RESPONSE || field == DIMSE_C_CANCEL) return dimse_data_skip(&rq->session->d, e); // too late, nobody waits for it
    const struct scp_sink *sink = field == DIMSE_C_STORE && service ? service->store : NULL;
    scp_handler *handler = service ? handler_of(service, field) : NULL;
    if (field != DIMSE_C_ECHO && !sink && !handler) return answer_alone(rq, DIMSE_UNRECOGNIZED_OPERATION, "this operation is not offered for the SOP class", e);
    struct err why = {0};
    uint16_t status = permit(sv, rq, &why);
    if (status != DIMSE_SUCCESS) return answer_alone(rq, status, why.message, e);
    if (field == DIMSE_C_ECHO) return answer_alone(rq, DIMSE_SUCCESS, NULL, e);
    return sink ? serve_store(sv, rq, sink, e) : serve_identifier(sv, rq, handler, e);
}

// ---- sessions ----

static void choose(void *ctx, const struct pdu_associate *rq, const struct pdu_context *proposed, const struct pdu_role *role, struct str extended,
                   struct ul_choice *out) {
    struct scp_session *s = ctx;
    (void)rq;
    s->server->config.handlers.choose(s->server->config.handlers.ctx, s, proposed, role, extended, out);
}

static void count_one(struct scp_server *sv, uint64_t *figure) {
    pthread_mutex_lock(&sv->lock);
    ++*figure;
    pthread_mutex_unlock(&sv->lock);
}

static bool take_identity(struct scp_session *s, const struct pdu_associate *rq, struct err *e) {
    s->identity_type = rq->identity_type;
    return arena_dup(&s->d.ul.arena, rq->identity_primary, &s->identity_primary, e) &&
           arena_dup(&s->d.ul.arena, rq->identity_secondary, &s->identity_secondary, e);
}

static bool admitted(struct scp_session *s, const struct pdu_associate *rq, struct err *e) {
    struct scp_server *sv = s->server;
    struct pdu_reject why = PDU_REJECT_LIMIT;
    bool ok = false;
    if (s->refuse || atomic_load(&sv->stopping))
        err_set(e, ERR_BUSY, "dimse", s->refuse ? "too many associations at once, or asked for too fast" : "shutting down");
    else
        ok = take_identity(s, rq, e) && sv->config.handlers.admit(sv->config.handlers.ctx, s, rq, &why, e);
    if (!ok) ul_reject(&s->d.ul, why);
    return ok;
}

static bool establish(struct scp_session *s, struct err *e) {
    struct arena scratch;
    struct pdu_associate rq = {0};
    struct ul_acceptor how = {.choose = choose, .ctx = s, .async_max = s->server->config.async_max};
    arena_init(&scratch, REQUEST_ARENA_BYTES);
    bool asked = ul_receive_request(&s->d.ul, &scratch, &rq, e);
    s->admitted = asked && admitted(s, &rq, e);
    if (!s->identity_known) rq.identity_wants_response = false;
    bool ok = s->admitted && ul_accept(&s->d.ul, &rq, &how, e);
    if (asked && !ok)
        log_line(LOG_WARN, "dimse", "association of '%.*s' at %s to '%.*s' refused: %s", STR_FMT(rq.calling), s->d.ul.conn.address, STR_FMT(rq.called),
                 e->message);
    else if (!ok)
        log_err(e, "connection from %s", s->d.ul.conn.address);
    arena_deinit(&scratch);
    count_one(s->server, ok ? &s->server->figures.accepted : &s->server->figures.rejected);
    return ok;
}

// A peer that speaks no TLS understands a rejection in its own words.
static void tell_plain(struct net_conn *c, int64_t deadline_ms) {
    uint8_t p[10];
    pdu_short_encode(p, PDU_ASSOCIATE_RJ, PDU_REJECT_VERSION.result, PDU_REJECT_VERSION.source, PDU_REJECT_VERSION.reason);
    net_write(c, p, sizeof p, deadline_ms, NULL);
}

// The handshake, in the session's own time: nobody else waits for it.
static bool secure(struct scp_session *s, struct err *e) {
    struct net_conn *c = &s->d.ul.conn;
    enum net_tls_fault fault;
    if (!s->tls || net_tls_accept(s->tls, c, clock_mono_ms() + NET_TLS_HANDSHAKE_MS, &fault, e)) return true;
    const int64_t deadline_ms = clock_mono_ms() + REFUSE_MS;
    if (fault == NET_TLS_PLAIN_DICOM) tell_plain(c, deadline_ms);
    if (e->kind != ERR_BUSY) net_linger(c, deadline_ms);
    log_err(e, "connection");
    count_one(s->server, &s->server->figures.rejected);
    return false;
}

// When the server stops, an association at work has its next request within a moment.
static enum dimse_got next_request(struct scp_session *s, struct dimse_command *c, uint8_t *id, struct err *e) {
    struct dimse *d = &s->d;
    enum dimse_got got = dimse_receive(d, clock_mono_ms() + d->ul.timers.idle, true, c, id, e);
    if (got == DIMSE_IDLE) err_set(e, ERR_TIMEOUT, "dimse", "nothing came for %d s", d->ul.timers.idle / 1000);
    if (got != DIMSE_WOKEN) return got;
    got = dimse_receive(d, clock_mono_ms() + REST_MS, false, c, id, e);
    if (got == DIMSE_IDLE) err_set(e, ERR_BUSY, "dimse", "shutting down");
    return got;
}

// One message; false when the association is to end.
static bool serve_one(struct scp_session *s, struct err *e) {
    struct scp_request rq = {.session = s};
    uint8_t id;
    struct dimse *d = &s->d;
    if (d->ul.state == UL_STA8) return ul_release(&d->ul, e), false;
    enum dimse_got got = next_request(s, &rq.command, &id, e);
    if (got == DIMSE_RELEASE) return ul_release(&d->ul, e), false;
    if (got != DIMSE_MESSAGE) return false;
    rq.context = ul_context_by_id(&d->ul, id);
    return dispatch(s->server, &rq, e) && !atomic_load(&s->server->ending);
}

// Its work is over; the peer may still take its time to close.
static void end_serving(struct scp_session *s) {
    struct scp_server *sv = s->server;
    pthread_mutex_lock(&sv->lock);
    if (s->serving) sv->serving--;
    s->serving = false;
    pthread_cond_broadcast(&sv->ended);
    pthread_mutex_unlock(&sv->lock);
}

// With the lock held.
static void forget(struct scp_session *s) {
    struct scp_server *sv = s->server;
    if (s->prev) s->prev->next = s->next;
    if (s->next) s->next->prev = s->prev;
    if (sv->sessions == s) sv->sessions = s->next;
    sv->count--;
    pthread_cond_broadcast(&sv->ended);
    free(s);
}

// The last that its thread does.
static void leave(struct scp_session *s) {
    struct scp_server *sv = s->server;
    pthread_t before;
    pthread_mutex_lock(&sv->lock);
    forget(s);
    const bool any = thread_trail_pass(&sv->gone, &before);
    pthread_mutex_unlock(&sv->lock);
    if (any) pthread_join(before, NULL);
}

static void *session_main(void *arg) {
    struct scp_session *s = arg;
    struct scp_server *sv = s->server;
    struct err e = {0};
    if (secure(s, &e) && establish(s, &e)) {
        err_clear(&e);
        while (serve_one(s, &e)) err_clear(&e);
        if (e.kind != ERR_NONE) {
            log_err(&e, "association of %s at %s", s->d.ul.calling, s->d.ul.conn.address);
            count_one(sv, &sv->figures.failed);
        }
    }
    if (s->admitted && sv->config.handlers.ended) sv->config.handlers.ended(sv->config.handlers.ctx, s);
    end_serving(s);
    dimse_deinit(&s->d, atomic_load(&sv->stopping));
    leave(s);
    return NULL;
}

static unsigned count_of(const struct scp_server *sv, const char *address) {
    unsigned n = 0;
    for (const struct scp_session *s = sv->sessions; s; s = s->next)
        if (strcmp(s->d.ul.conn.address, address) == 0) n++;
    return n;
}

// false: even a refusal is too much.
static bool enter(struct scp_server *sv, struct scp_session *s, bool too_fast) {
    pthread_mutex_lock(&sv->lock);
    s->refuse = too_fast || sv->count >= sv->config.associations_max || count_of(sv, s->d.ul.conn.address) >= sv->config.per_peer_max;
    s->serving = !s->refuse && !atomic_load(&sv->stopping);
    bool ok = sv->count < sv->config.associations_max + REFUSERS_MAX;
    if (ok) {
        s->next = sv->sessions;
        if (s->next) s->next->prev = s;
        sv->sessions = s;
        sv->count++;
        if (s->serving) sv->serving++;
    }
    pthread_mutex_unlock(&sv->lock);
    return ok;
}

// Of an address that makes connections too fast, those without TLS are told so; a handshake would be more than it is worth.
static bool is_too_fast(struct scp_server *sv, const struct net_conn *conn) {
    bool tell;
    if (net_pace_take(sv->pace, conn->address, &tell)) return false;
    if (tell) log_line(LOG_WARN, "dimse", "%s makes connections faster than is taken: some are refused", conn->address);
    return true;
}

static void start(struct scp_session *s, const char *address) {
    struct scp_server *sv = s->server;
    pthread_t thread; // which is joined by the one that ends after it
    struct err e = {0};
    if (thread_start(&thread, "dimse", session_main, s, &e)) return;
    log_err(&e, "association from %s", address);
    end_serving(s);
    dimse_deinit(&s->d, true);
    pthread_mutex_lock(&sv->lock);
    forget(s);
    pthread_mutex_unlock(&sv->lock);
}

static void begin_session(const struct listener *l, struct net_conn *conn) {
    struct scp_server *sv = l->server;
    const bool too_fast = is_too_fast(sv, conn);
    struct scp_session *s = too_fast && l->tls ? NULL : calloc(1, sizeof *s);
    if (!s) {
        count_one(sv, &sv->figures.rejected);
        net_close(conn);
        return;
    }
    conn->wake = atomic_load(&sv->stopping) ? -1 : sv->rest; // one that is told off is not also woken
    conn->halt = sv->halt;
    dimse_init(&s->d);
    s->server = sv;
    s->tls = l->tls;
    ul_init_acceptor(&s->d.ul, conn, &sv->config.timers);
    if (enter(sv, s, too_fast)) {
        start(s, conn->address);
    } else {
        dimse_deinit(&s->d, true);
        free(s);
    }
}

static void *listener_main(void *arg) {
    const struct listener *l = arg;
    struct scp_server *sv = l->server;
    while (!atomic_load(&sv->ending)) {
        struct net_conn conn;
        struct err e = {0};
        enum net_status st = net_accept(l->fd, sv->wake, &conn, &e);
        if (st == NET_OK) begin_session(l, &conn);
        if (st == NET_FAIL) {
            log_err(&e, "the DICOM listener");
            nanosleep(&(struct timespec){.tv_nsec = SHORT_OF_MS * 1000000L}, NULL);
        }
    }
    return NULL;
}

// ---- server ----

// Waits until none is left of a count; false when deadline_ms passed (INT64_MAX: never).
static bool wait_none(struct scp_server *sv, const unsigned *count, int64_t deadline_ms) {
    struct timespec t = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    int code = 0;
    pthread_mutex_lock(&sv->lock);
    while (*count && code == 0) code = deadline_ms == INT64_MAX ? pthread_cond_wait(&sv->ended, &sv->lock) : pthread_cond_timedwait(&sv->ended, &sv->lock, &t);
    bool none = *count == 0;
    pthread_mutex_unlock(&sv->lock);
    return none;
}

static void end_listeners(struct scp_server *sv) {
    atomic_store(&sv->ending, true);
    net_wake(sv->wake);
    for (unsigned i = 0; i < LISTENERS; i++) {
        struct listener *l = &sv->listeners[i];
        if (l->running) pthread_join(l->thread, NULL);
        if (l->fd >= 0) close(l->fd);
        l->running = false;
        l->fd = -1;
    }
}

static bool open_listener(struct scp_server *sv, struct listener *l, uint16_t port, struct net_tls *tls, struct err *e) {
    l->server = sv;
    l->tls = tls;
    l->fd = net_listen(sv->config.bind, port, &l->port, e);
    return l->fd >= 0;
}

// Both ports are there before the first peer is answered.
static bool open_listeners(struct scp_server *sv, struct err *e) {
    const struct scp_config *c = &sv->config;
    bool ok = open_listener(sv, &sv->listeners[0], c->port, c->tls, e);
    if (ok && c->plain_too) ok = open_listener(sv, &sv->listeners[1], c->plain_port, NULL, e);
    for (unsigned i = 0; ok && i < LISTENERS; i++) {
        struct listener *l = &sv->listeners[i];
        ok = l->fd < 0 || (l->running = thread_start(&l->thread, "dicom-listen", listener_main, l, e));
    }
    if (ok) return true;
    end_listeners(sv);
    net_wake(sv->halt);
    wait_none(sv, &sv->count, INT64_MAX);
    return false;
}

static void free_server(struct scp_server *sv) {
    thread_trail_join(&sv->gone);
    if (sv->wake >= 0) close(sv->wake);
    if (sv->rest >= 0) close(sv->rest);
    if (sv->halt >= 0) close(sv->halt);
    net_pace_close(sv->pace);
    pthread_mutex_destroy(&sv->lock);
    pthread_cond_destroy(&sv->ended);
    free(sv);
}

bool scp_start(const struct scp_config *config, struct scp_server **out, struct err *e) {
    struct scp_server *sv = calloc(1, sizeof *sv);
    if (!sv) return err_nomem(e, "dimse");
    sv->config = *config;
    if (sv->config.associations_max == 0) sv->config.associations_max = UL_ASSOCIATIONS_MAX;
    if (sv->config.per_peer_max == 0) sv->config.per_peer_max = sv->config.associations_max - sv->config.associations_max / 4;
    if (sv->config.drain_ms == 0) sv->config.drain_ms = DRAIN_MS;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&sv->lock, NULL);
    pthread_cond_init(&sv->ended, &attr);
    pthread_condattr_destroy(&attr);
    for (unsigned i = 0; i < LISTENERS; i++) sv->listeners[i].fd = -1;
    sv->wake = net_wake_open(e);
    sv->rest = sv->wake < 0 ? -1 : net_wake_open(e);
    sv->halt = sv->rest < 0 ? -1 : net_wake_open(e);
    if (sv->halt < 0 || !net_pace_open(config->per_second, &sv->pace, e) || !open_listeners(sv, e)) {
        free_server(sv);
        return false;
    }
    *out = sv;
    return true;
}

uint16_t scp_port(const struct scp_server *server) {
    return server->listeners[0].port;
}

uint16_t scp_plain_port(const struct scp_server *server) {
    return server->listeners[1].port;
}

void scp_stop(struct scp_server *server) {
    const int64_t until_ms = clock_mono_ms() + server->config.drain_ms;
    atomic_store(&server->stopping, true); // the listener goes on, to reject: who is refused at the door cannot tell a stop from a fault
    net_wake(server->rest);
    bool done = wait_none(server, &server->serving, until_ms);
    end_listeners(server);
    if (!done) log_line(LOG_WARN, "dimse", "associations that did not end within %d ms are ended", server->config.drain_ms);
    if (!wait_none(server, &server->count, clock_mono_ms() + (done ? REFUSE_MS : FINISH_MS))) {
        net_wake(server->halt);
        wait_none(server, &server->count, INT64_MAX);
    }
    free_server(server);
}

void scp_figures_get(struct scp_server *server, struct scp_figures *out) {
    pthread_mutex_lock(&server->lock);
    *out = server->figures;
    out->active = server->count;
    pthread_mutex_unlock(&server->lock);
}
