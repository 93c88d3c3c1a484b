// The actions of PS3.8 9.2.2 and the receive side of an association.
#include "dimse/assoc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "dimse/negotiate.h"
#include "net/iobuf.h"

enum {
    ASSOC_ARENA_BYTES = 512 * 1024, // 128 contexts with their UIDs, extended information
    REST_MS = 1000,                 // after so long without a byte the receive buffer goes back
    CONNECT_MS = 15 * 1000,
};

// ---- actions ----

static void start_artim(struct ul_assoc *a) {
    a->artim_ms = clock_mono_ms() + a->timers.artim;
}

static void close_transport(struct ul_assoc *a) {
    net_close(&a->conn);
    a->artim_ms = 0;
}

static bool send_bytes(struct ul_assoc *a, const void *p, size_t n, struct err *e) {
    return net_write(&a->conn, p, n, clock_mono_ms() + a->timers.pdu, e);
}

static bool send_short(struct ul_assoc *a, enum pdu_type type, uint8_t b7, uint8_t b8, uint8_t b9, struct err *e) {
    uint8_t p[10];
    pdu_short_encode(p, type, b7, b8, b9);
    return send_bytes(a, p, sizeof p, e);
}

static bool act_nothing(struct ul_assoc *a, struct err *e) {
    (void)a, (void)e;
    return true;
}

static bool act_connect(struct ul_assoc *a, struct err *e) {
    const struct ul_address *to = a->to;
    const int64_t deadline_ms = clock_mono_ms() + a->timers.connect;
    if (!net_connect_guarded(&a->conn, to->host, to->port, to->guard, deadline_ms, e)) return false;
    return !to->tls || net_tls_connect(to->tls, &a->conn, to->tls_name ? to->tls_name : to->host, deadline_ms, NULL, e);
}

static bool act_send_associate(struct ul_assoc *a, struct err *e) {
    return send_bytes(a, a->out->p, a->out->n, e);
}

static bool act_close(struct ul_assoc *a, struct err *e) {
    (void)e;
    close_transport(a);
    return true;
}

static bool act_start_artim(struct ul_assoc *a, struct err *e) {
    (void)e;
    start_artim(a);
    return true;
}

static bool act_stop_artim(struct ul_assoc *a, struct err *e) {
    (void)e;
    a->artim_ms = 0;
    return true;
}

static bool act_send_reject(struct ul_assoc *a, struct err *e) {
    start_artim(a);
    return send_short(a, PDU_ASSOCIATE_RJ, a->reject.result, a->reject.source, a->reject.reason, e);
}

static bool act_send_release_rq(struct ul_assoc *a, struct err *e) {
    return send_short(a, PDU_RELEASE_RQ, 0, 0, 0, e);
}

static bool act_send_release_rp(struct ul_assoc *a, struct err *e) {
    return send_short(a, PDU_RELEASE_RP, 0, 0, 0, e);
}

static bool act_send_release_rp_and_wait(struct ul_assoc *a, struct err *e) {
    start_artim(a);
    return send_short(a, PDU_RELEASE_RP, 0, 0, 0, e);
}

static bool act_abort_user(struct ul_assoc *a, struct err *e) {
    (void)e;
    start_artim(a);
    send_short(a, PDU_ABORT, 0, PDU_ABORT_USER, 0, NULL); // the peer may be gone
    return true;
}

static bool act_abort_provider(struct ul_assoc *a, struct err *e) {
    (void)e;
    start_artim(a);
    send_short(a, PDU_ABORT, 0, PDU_ABORT_PROVIDER, a->abort_reason, NULL);
    return true;
}

static bool act_abort_again(struct ul_assoc *a, struct err *e) {
    (void)e;
    send_short(a, PDU_ABORT, 0, PDU_ABORT_PROVIDER, a->abort_reason, NULL);
    return true;
}

static bool (*const ACTIONS[UL_ACTION_COUNT])(struct ul_assoc *a, struct err *e) = {
    [UL_AE1] = act_connect,         [UL_AE2] = act_send_associate, [UL_AE3] = act_nothing,        [UL_AE4] = act_close,
    [UL_AE5] = act_start_artim,     [UL_AE6] = act_stop_artim,     [UL_AE7] = act_send_associate, [UL_AE8] = act_send_reject,
    [UL_DT1] = act_nothing, // the bytes follow: ul_send
    [UL_DT2] = act_nothing, // the bytes follow: ul_bytes
    [UL_AR1] = act_send_release_rq, [UL_AR2] = act_nothing,        [UL_AR3] = act_close,          [UL_AR4] = act_send_release_rp_and_wait,
    [UL_AR5] = act_stop_artim,      [UL_AR6] = act_nothing,        [UL_AR7] = act_nothing,        [UL_AR8] = act_nothing,
    [UL_AR9] = act_send_release_rp, [UL_AR10] = act_nothing,       [UL_AA1] = act_abort_user,     [UL_AA2] = act_close,
    [UL_AA3] = act_close,           [UL_AA4] = act_close,          [UL_AA5] = act_stop_artim,     [UL_AA6] = act_nothing,
    [UL_AA7] = act_abort_again,     [UL_AA8] = act_abort_provider,
};

// One step of the table. false: the action failed (the state is the next one all the same), or the event cannot be now.
static bool step(struct ul_assoc *a, enum ul_event event, struct err *e) {
    enum ul_action action = ul_fsm_action(a->state, event);
    if (action == UL_NO_ACTION) return err_set(e, ERR_INTERNAL, "dimse", "event %d cannot happen in %s", event, ul_state_name(a->state));
    a->state = ul_fsm_next(action, a->requestor);
    return ACTIONS[action](a, e);
}

// ---- receiving ----

static void rest(struct ul_assoc *a) {
    net_iobuf_put(a->in);
    a->in = NULL;
    a->in_at = a->in_end = 0;
}

static bool lend(struct ul_assoc *a, struct err *e) {
    if (!a->conn.ops) return err_set(e, ERR_NET, "dimse", "the association is over");
    if (!a->in) a->in = net_iobuf_get();
    return a->in || err_nomem(e, "dimse");
}

// What the end of reading means to the table.
static enum ul_got over(struct ul_assoc *a, enum net_status s, struct err *e) {
    if (s == NET_EOF) err_set(e, ERR_NET, "dimse", "%s closed the connection in %s", a->conn.address, ul_state_name(a->state));
    if (s == NET_TIMEOUT && a->state == UL_STA6) step(a, UL_EVT15, NULL);
    if (s == NET_TIMEOUT && a->state != UL_STA13) step(a, a->state == UL_STA2 ? UL_EVT18 : UL_EVT15, NULL);
    if (s == NET_EOF || s == NET_FAIL) step(a, UL_EVT17, NULL);
    return UL_OVER;
}

// Waits for a first byte; the buffer goes back to the pool when the association rests.
static enum net_status wait_first(struct ul_assoc *a, int64_t deadline_ms, bool wakeable, struct err *e) {
    int64_t rest_ms = clock_mono_ms() + REST_MS;
    if (!lend(a, e)) return NET_FAIL;
    size_t got = 0;
    enum net_status s = net_read(&a->conn, a->in, NET_IOBUF_BYTES, wakeable, deadline_ms < rest_ms ? deadline_ms : rest_ms, &got, e);
    if (s == NET_TIMEOUT && deadline_ms > rest_ms) {
        rest(a);
        s = net_wait(&a->conn, wakeable, deadline_ms, e);
        if (s != NET_OK) return s;
        if (!lend(a, e)) return NET_FAIL;
        s = net_read(&a->conn, a->in, NET_IOBUF_BYTES, false, deadline_ms, &got, e);
    }
    a->in_at = 0;
    a->in_end = got;
    return s;
}

// At least n (small) bytes at in + in_at.
static enum net_status need(struct ul_assoc *a, size_t n, int64_t deadline_ms, struct err *e) {
    if (!lend(a, e)) return NET_FAIL;
    if (a->in_at == a->in_end) a->in_at = a->in_end = 0;
    if (NET_IOBUF_BYTES - a->in_at < n) {
        memmove(a->in, a->in + a->in_at, a->in_end - a->in_at);
        a->in_end -= a->in_at;
        a->in_at = 0;
    }
    while (a->in_end - a->in_at < n) {
        size_t got;
        enum net_status s = net_read(&a->conn, a->in + a->in_end, NET_IOBUF_BYTES - a->in_end, false, deadline_ms, &got, e);
        if (s != NET_OK) return s;
        a->in_end += got;
    }
    return NET_OK;
}

// Takes n bytes into to (NULL: thrown away).
static enum net_status take(struct ul_assoc *a, size_t n, struct buf *to, int64_t deadline_ms, struct err *e) {
    while (n) {
        enum net_status s = need(a, 1, deadline_ms, e);
        if (s != NET_OK) return s;
        size_t k = a->in_end - a->in_at < n ? a->in_end - a->in_at : n;
        if (to) buf_add(to, a->in + a->in_at, k);
        a->in_at += k;
        n -= k;
    }
    return NET_OK;
}

void ul_protocol_error(struct ul_assoc *a, uint8_t reason) {
    a->abort_reason = reason;
    if (ul_fsm_action(a->state, UL_EVT19) != UL_NO_ACTION) step(a, UL_EVT19, NULL);
    a->deaf = true;
}

static enum ul_got invalid(struct ul_assoc *a, uint8_t reason) {
    ul_protocol_error(a, reason);
    return UL_OVER;
}

// A PDU type that the table answers with an abort.
static enum ul_got unexpected(struct ul_assoc *a, enum ul_event event, const char *what, struct err *e) {
    err_set(e, ERR_PEER, "dimse", "%s sent %s in %s", a->conn.address, what, ul_state_name(a->state));
    a->abort_reason = PDU_ABORT_UNEXPECTED_PDU;
    step(a, event, NULL);
    return UL_OVER;
}

struct header {
    uint8_t type;
    uint32_t length;
};

// Recognises a PDU by its header; what is not one gets an error that says what it is.
static bool check_header(const struct ul_assoc *a, const struct header *h, struct err *e) {
    static const uint32_t LENGTHS[][2] = {{0, 0}, {68, UL_ASSOCIATE_BYTES_MAX}, {68, UL_ASSOCIATE_BYTES_MAX}, {4, 4}, {6, UL_PDU_BYTES_MAX}, {4, 4}, {4, 4},
                                          {4, 4}};
    const char *foreign = pdu_foreign(a->in + a->in_at, a->in_end - a->in_at);
    if (foreign && a->state <= UL_STA5)
        return err_set(e, ERR_PEER, "dimse", "%s came where a DICOM association was expected: %s", foreign,
                       foreign[2] == 'T' ? "one side uses TLS, the other does not" : "this is not a DICOM peer");
    if (h->type < PDU_ASSOCIATE_RQ || h->type > PDU_ABORT) return err_set(e, ERR_PEER, "dimse", "PDU type 0x%02X is none of the standard's", h->type);
    if (h->length >= LENGTHS[h->type][0] && h->length <= LENGTHS[h->type][1]) return true;
    return err_set(e, ERR_PEER, "dimse", "PDU type 0x%02X declares a length of %u bytes; from %u to %u are taken", h->type, h->length, LENGTHS[h->type][0],
                   LENGTHS[h->type][1]);
}

// The header of the next PDU; it is taken from the buffer. UL_PDV stands for "there is one".
static enum ul_got read_header(struct ul_assoc *a, int64_t deadline_ms, bool wakeable, struct header *h, struct err *e) {
    enum net_status s = NET_OK;
    if (a->in_at == a->in_end) s = wait_first(a, deadline_ms, wakeable, e);
    if (s == NET_WOKEN) return UL_WOKEN;
    if (s == NET_TIMEOUT) return UL_IDLE;
    a->pdu_ms = clock_mono_ms() + a->timers.pdu;
    if (s == NET_OK) s = need(a, PDU_HEADER_BYTES, a->pdu_ms, e);
    if (s != NET_OK) return over(a, s, e);
    const uint8_t *p = a->in + a->in_at;
    *h = (struct header){p[0], pdu_u32(p + 2)};
    if (!check_header(a, h, e)) return invalid(a, h->type < 1 || h->type > 7 ? PDU_ABORT_UNRECOGNIZED_PDU : PDU_ABORT_INVALID_PARAMETER);
    a->in_at += PDU_HEADER_BYTES;
    return UL_PDV;
}

static enum ul_got peer_aborted(struct ul_assoc *a, struct err *e) {
    uint8_t source = 0, reason = 0;
    if (need(a, 4, a->pdu_ms, NULL) == NET_OK) {
        source = a->in[a->in_at + 2];
        reason = a->in[a->in_at + 3];
    }
    err_set(e, ERR_PEER, "dimse", "%s aborted the association: %s", a->conn.address, pdu_abort_text(source, reason));
    step(a, UL_EVT16, NULL);
    return UL_OVER;
}

// The body of an A-ASSOCIATE PDU, in scratch.
static bool associate_body(struct ul_assoc *a, uint32_t n, struct arena *scratch, struct str *out, struct err *e) {
    struct buf b;
    buf_init(&b, UL_ASSOCIATE_BYTES_MAX);
    enum net_status s = take(a, n, &b, a->pdu_ms, e);
    bool ok = s == NET_OK && buf_ok(&b, e) && arena_dup(scratch, buf_str(&b), out, e);
    buf_deinit(&b);
    if (s != NET_OK) over(a, s, e);
    return ok;
}

// Waits for the PDU that answers, in Sta2 or Sta5: its type, or 0 with *e set.
static uint8_t await_associate(struct ul_assoc *a, int64_t deadline_ms, struct header *h, struct err *e) {
    enum ul_got got = read_header(a, deadline_ms, a->state == UL_STA2, h, e);
    if (got == UL_IDLE) {
        err_set(e, ERR_TIMEOUT, "dimse", "%s sent nothing for %d s in %s", a->conn.address, a->timers.artim / 1000, ul_state_name(a->state));
        over(a, NET_TIMEOUT, e);
    }
    if (got == UL_WOKEN) err_set(e, ERR_BUSY, "dimse", "shutting down");
    if (got != UL_PDV) return 0;
    if (h->type == PDU_ABORT) return (uint8_t)(peer_aborted(a, e), 0);
    static const struct {
        enum ul_event event;
        const char *what;
    } OF[] = {
        [PDU_ASSOCIATE_RQ] = {UL_EVT6, "A-ASSOCIATE-RQ"}, [PDU_ASSOCIATE_AC] = {UL_EVT3, "A-ASSOCIATE-AC"}, [PDU_ASSOCIATE_RJ] = {UL_EVT4, "A-ASSOCIATE-RJ"},
        [PDU_DATA_TF] = {UL_EVT10, "P-DATA-TF"},          [PDU_RELEASE_RQ] = {UL_EVT12, "A-RELEASE-RQ"},    [PDU_RELEASE_RP] = {UL_EVT13, "A-RELEASE-RP"}};
    bool wanted = a->state == UL_STA2 ? h->type == PDU_ASSOCIATE_RQ : h->type == PDU_ASSOCIATE_AC || h->type == PDU_ASSOCIATE_RJ;
    if (wanted) return h->type;
    unexpected(a, OF[h->type].event, OF[h->type].what, e);
    return 0;
}

static void set_timers(struct ul_assoc *a, const struct ul_timers *t) {
    a->timers.connect = t && t->connect ? t->connect : CONNECT_MS;
    a->timers.artim = t && t->artim ? t->artim : UL_ARTIM_MS;
    a->timers.pdu = t && t->pdu ? t->pdu : UL_PDU_MS;
    a->timers.idle = t && t->idle ? t->idle : UL_IDLE_MS;
}

void ul_init_acceptor(struct ul_assoc *a, const struct net_conn *conn, const struct ul_timers *timers) {
    *a = (struct ul_assoc){.conn = *conn, .state = UL_STA1};
    arena_init(&a->arena, ASSOC_ARENA_BYTES);
    set_timers(a, timers);
    step(a, UL_EVT5, NULL);
}

bool ul_receive_request(struct ul_assoc *a, struct arena *scratch, struct pdu_associate *rq, struct err *e) {
    struct header h = {0};
    struct str body;
    if (!await_associate(a, a->artim_ms, &h, e)) return false;
    if (!associate_body(a, h.length, scratch, &body, e)) return false;
    if (!pdu_associate_decode(scratch, body, false, rq, e)) {
        ul_protocol_error(a, PDU_ABORT_INVALID_PARAMETER);
        return false;
    }
    return step(a, UL_EVT6, e);
}

void ul_reject(struct ul_assoc *a, struct pdu_reject why) {
    a->reject = why;
    step(a, UL_EVT8, NULL);
}

bool ul_accept(struct ul_assoc *a, const struct pdu_associate *rq, const struct ul_acceptor *how, struct err *e) {
    struct pdu_reject why;
    if (!ul_request_acceptable(rq, &why, e)) {
        ul_reject(a, why);
        return false;
    }
    struct arena scratch;
    struct pdu_associate ac;
    struct buf out;
    arena_init(&scratch, ASSOC_ARENA_BYTES);
    buf_init(&out, UL_ASSOCIATE_BYTES_MAX);
    bool ok = ul_negotiate(a, rq, how, &scratch, &ac, e) && pdu_associate_encode(&ac, true, &out, e);
    a->out = &out;
    if (!ok)
        ul_reject(a, PDU_REJECT_CONGESTION);
    else
        ok = step(a, UL_EVT7, e);
    a->out = NULL;
    buf_deinit(&out);
    arena_deinit(&scratch);
    return ok;
}

// ---- requestor ----

static bool rejected(struct ul_assoc *a, struct err *e) {
    char text[96];
    if (need(a, 4, a->pdu_ms, e) != NET_OK) return over(a, NET_EOF, e), false;
    const uint8_t *p = a->in + a->in_at;
    a->rejected = (struct pdu_reject){p[1], p[2], p[3]};
    bool is_version = memcmp(&a->rejected, &PDU_REJECT_VERSION, sizeof a->rejected) == 0 && !net_tls_info(&a->conn);
    step(a, UL_EVT4, NULL);
    return err_set(e, p[1] == 2 ? ERR_BUSY : ERR_PEER, "dimse", "%s at %s port %u refused the association (calling AE title %s): %s%s", a->called,
                   a->conn.address, a->conn.port, a->calling, pdu_reject_text(a->rejected, text, sizeof text), is_version ? "; it may take TLS only" : "");
}

static bool await_answer(struct ul_assoc *a, const struct pdu_associate *rq, struct arena *scratch, struct err *e) {
    struct header h = {0};
    struct str body;
    struct pdu_associate ac;
    uint8_t type = await_associate(a, clock_mono_ms() + a->timers.artim, &h, e);
    if (type == 0) return false;
    if (type == PDU_ASSOCIATE_RJ) return rejected(a, e);
    if (!associate_body(a, h.length, scratch, &body, e)) return false;
    if (!pdu_associate_decode(scratch, body, true, &ac, e)) {
        ul_protocol_error(a, PDU_ABORT_INVALID_PARAMETER);
        return false;
    }
    if (!step(a, UL_EVT3, e)) return false;
    if (ul_take_answer(a, rq, &ac, e)) return true;
    ul_abort(a);
    return false;
}

bool ul_connect(struct ul_assoc *a, const struct ul_address *to, const struct pdu_associate *rq, const struct ul_timers *timers, struct err *e) {
    *a = (struct ul_assoc){.conn = {.fd = -1, .wake = -1, .halt = -1}, .state = UL_STA1, .requestor = true, .to = to};
    arena_init(&a->arena, ASSOC_ARENA_BYTES);
    set_timers(a, timers);
    snprintf(a->called, sizeof a->called, "%.*s", STR_FMT(rq->called));
    snprintf(a->calling, sizeof a->calling, "%.*s", STR_FMT(rq->calling));
    struct pdu_associate full = *rq;
    full.version = 1;
    full.application_context = STR_LIT(PDU_APPLICATION_CONTEXT);
    full.max_length = UL_OFFERED_PDU_BYTES;
    full.implementation_uid = STR_LIT(GANTRY_IMPLEMENTATION_CLASS_UID);
    full.implementation_version = STR_LIT(GANTRY_IMPLEMENTATION_VERSION);
    struct buf out;
    struct arena scratch;
    buf_init(&out, UL_ASSOCIATE_BYTES_MAX);
    arena_init(&scratch, 2 * UL_ASSOCIATE_BYTES_MAX + ASSOC_ARENA_BYTES);
    bool ok = pdu_associate_encode(&full, false, &out, e);
    a->out = &out;
    if (ok && !step(a, UL_EVT1, e)) ok = (step(a, UL_EVT17, NULL), false);
    ok = ok && step(a, UL_EVT2, e) && await_answer(a, rq, &scratch, e);
    a->out = NULL;
    a->to = NULL;
    buf_deinit(&out);
    arena_deinit(&scratch);
    return ok;
}

const struct ul_context *ul_context_by_id(const struct ul_assoc *a, uint8_t id) {
    for (unsigned i = 0; i < a->context_count; i++)
        if (a->contexts[i].id == id) return &a->contexts[i];
    return NULL;
}

// ---- data ----

static enum ul_got begin_pdv(struct ul_assoc *a, struct ul_pdv *pdv, struct err *e) {
    if (a->pdu_left < PDV_HEADER_BYTES) {
        err_set(e, ERR_PEER, "dimse", "%u bytes are left in a P-DATA-TF PDU after its last PDV", a->pdu_left);
        return invalid(a, PDU_ABORT_INVALID_PARAMETER);
    }
    enum net_status s = need(a, PDV_HEADER_BYTES, a->pdu_ms, e);
    if (s != NET_OK) return over(a, s, e);
    const uint8_t *p = a->in + a->in_at;
    uint32_t n = pdu_u32(p);
    if (n < 2 || n > a->pdu_left - 4) {
        err_set(e, ERR_PEER, "dimse", "a PDV declares %u bytes, its PDU holds %u more", n, a->pdu_left - 4);
        return invalid(a, PDU_ABORT_INVALID_PARAMETER);
    }
    *pdv = (struct ul_pdv){p[4], p[5], n - 2};
    a->in_at += PDV_HEADER_BYTES;
    a->pdu_left -= PDV_HEADER_BYTES;
    a->pdv_left = pdv->length;
    const struct ul_context *c = ul_context_by_id(a, pdv->context_id);
    if (c && c->result == PDU_CONTEXT_ACCEPTED) return UL_PDV;
    err_set(e, ERR_PEER, "dimse", "a PDV comes on presentation context %u, which was not accepted", pdv->context_id);
    return invalid(a, PDU_ABORT_INVALID_PARAMETER);
}

// A PDU that is not P-DATA, in Sta6 or while a release is under way. UL_PDV: nothing for the caller, go on.
static enum ul_got other_pdu(struct ul_assoc *a, const struct header *h, struct err *e) {
    if (h->type == PDU_ABORT) return peer_aborted(a, e);
    if (h->type == PDU_ASSOCIATE_RQ) return unexpected(a, UL_EVT6, "A-ASSOCIATE-RQ", e);
    if (h->type == PDU_ASSOCIATE_AC) return unexpected(a, UL_EVT3, "A-ASSOCIATE-AC", e);
    if (h->type == PDU_ASSOCIATE_RJ) return unexpected(a, UL_EVT4, "A-ASSOCIATE-RJ", e);
    enum net_status s = take(a, h->length, NULL, a->pdu_ms, e);
    if (s != NET_OK) return over(a, s, e);
    enum ul_event event = h->type == PDU_RELEASE_RQ ? UL_EVT12 : UL_EVT13;
    enum ul_action action = ul_fsm_action(a->state, event);
    if (action == UL_AA8) return unexpected(a, event, event == UL_EVT12 ? "A-RELEASE-RQ" : "A-RELEASE-RP", e);
    step(a, event, NULL);
    if (event == UL_EVT12) return UL_RELEASE;
    if (a->state == UL_STA12) return UL_PDV;
    err_set(e, ERR_NONE, "dimse", "released");
    return UL_OVER;
}

enum ul_got ul_next(struct ul_assoc *a, int64_t deadline_ms, bool wakeable, struct ul_pdv *pdv, struct err *e) {
    const uint8_t *p;
    for (size_t n = 1; a->pdv_left && n;)
        if (!ul_bytes(a, &p, &n, e)) return UL_OVER;
    while (a->state != UL_STA13 && a->state != UL_STA1) {
        if (a->pdu_left) return begin_pdv(a, pdv, e);
        struct header h = {0};
        enum ul_got got = read_header(a, deadline_ms, wakeable, &h, e);
        if (got != UL_PDV) return got;
        if (h.type != PDU_DATA_TF) {
            got = other_pdu(a, &h, e);
            if (got != UL_PDV || a->state == UL_STA12) return got == UL_PDV ? UL_RELEASE : got;
            continue;
        }
        if (ul_fsm_action(a->state, UL_EVT10) == UL_AA8) return unexpected(a, UL_EVT10, "P-DATA-TF", e);
        step(a, UL_EVT10, NULL);
        a->pdu_left = h.length;
    }
    err_set(e, ERR_NET, "dimse", "the association is over");
    return UL_OVER;
}

bool ul_bytes(struct ul_assoc *a, const uint8_t **p, size_t *n, struct err *e) {
    *n = 0;
    if (a->pdv_left == 0) return true;
    enum net_status s = need(a, 1, a->pdu_ms, e);
    if (s != NET_OK) return over(a, s, e), false;
    size_t there = a->in_end - a->in_at;
    *n = there < a->pdv_left ? there : a->pdv_left;
    *p = a->in + a->in_at;
    a->in_at += *n;
    a->pdv_left -= (uint32_t)*n;
    a->pdu_left -= (uint32_t)*n;
    return true;
}

bool ul_readable(struct ul_assoc *a) {
    if (a->in_at < a->in_end || a->state != UL_STA6) return true;
    if (!lend(a, NULL)) return true;
    size_t got;
    enum net_status s = net_read_now(&a->conn, a->in, NET_IOBUF_BYTES, &got, NULL);
    if (s == NET_OK) {
        a->in_at = 0;
        a->in_end = got;
    }
    return s != NET_TIMEOUT;
}

static bool may_send(struct ul_assoc *a, struct err *e) {
    return ul_fsm_action(a->state, UL_EVT9) != UL_NO_ACTION ? step(a, UL_EVT9, e)
                                                            : err_set(e, ERR_NET, "dimse", "the association with %s is over", a->conn.address);
}

// A write that failed leaves half a PDU behind: nothing can follow it.
static bool sent(struct ul_assoc *a, bool ok) {
    if (!ok) step(a, UL_EVT17, NULL);
    return ok;
}

bool ul_send(struct ul_assoc *a, struct iovec *iov, int count, bool more, struct err *e) {
    return may_send(a, e) && sent(a, net_writev(&a->conn, iov, count, more, clock_mono_ms() + a->timers.pdu, e));
}

bool ul_sendfile(struct ul_assoc *a, int fd, uint64_t offset, uint64_t n, struct err *e) {
    return may_send(a, e) && sent(a, net_sendfile(&a->conn, fd, offset, n, clock_mono_ms() + a->timers.pdu, e));
}

// ---- end ----

bool ul_release(struct ul_assoc *a, struct err *e) {
    struct ul_pdv pdv;
    struct err ignored;
    if (a->state == UL_STA8) return step(a, UL_EVT14, e);
    if (a->state != UL_STA6) return err_set(e, ERR_NET, "dimse", "the association with %s is over", a->conn.address);
    if (!step(a, UL_EVT11, e)) return false;
    int64_t deadline_ms = clock_mono_ms() + a->timers.artim;
    while (a->state != UL_STA1 && a->state != UL_STA13) {
        enum ul_got got = ul_next(a, deadline_ms, false, &pdv, e ? e : &ignored);
        if (got == UL_RELEASE && !step(a, UL_EVT14, e)) return false;                   // collision: Sta9 or Sta12
        bool late = got == UL_IDLE || (got == UL_PDV && clock_mono_ms() > deadline_ms); // it may go on sending data for ever
        if (late) return ul_abort(a), err_set(e, ERR_TIMEOUT, "dimse", "%s did not answer the release", a->conn.address);
        if (got == UL_OVER) return a->state == UL_STA1 || a->state == UL_STA13;
    }
    return true;
}

void ul_abort(struct ul_assoc *a) {
    if (ul_fsm_action(a->state, UL_EVT15) != UL_NO_ACTION) step(a, UL_EVT15, NULL);
}

// ARTIM counts for a peer that never stops sending too.
static bool lingers(const struct ul_assoc *a, enum net_status s) {
    return s == NET_OK && a->state == UL_STA13 && clock_mono_ms() < a->artim_ms;
}

static enum net_status pass_over(struct ul_assoc *a, uint32_t n) {
    enum net_status s = NET_OK;
    for (uint32_t k; n && lingers(a, s); n -= k) {
        k = n < NET_IOBUF_BYTES ? n : NET_IOBUF_BYTES;
        s = take(a, k, NULL, a->artim_ms, NULL);
    }
    return s;
}

// Sta13: reads on until the peer has closed or ARTIM has run out, so that what was sent last is not lost to a reset.
static void linger(struct ul_assoc *a) {
    enum net_status s = pass_over(a, a->pdu_left);
    while (lingers(a, s)) {
        struct header h = {0};
        if (!a->deaf) {
            s = need(a, PDU_HEADER_BYTES, a->artim_ms, NULL);
            if (s != NET_OK) break;
            h = (struct header){a->in[a->in_at], pdu_u32(a->in + a->in_at + 2)};
            a->in_at += PDU_HEADER_BYTES;
        }
        if (h.type == PDU_ABORT) {
            step(a, UL_EVT16, NULL);
        } else if (!a->deaf && (h.type < PDU_ASSOCIATE_RQ || h.type > PDU_ABORT)) {
            ul_protocol_error(a, PDU_ABORT_UNRECOGNIZED_PDU);
        } else if (a->deaf) {
            a->in_at = a->in_end;
            s = need(a, 1, a->artim_ms, NULL);
        } else {
            if (h.type == PDU_ASSOCIATE_RQ) step(a, UL_EVT6, NULL);
            s = pass_over(a, h.length);
        }
    }
    if (a->state == UL_STA13) step(a, s == NET_OK || s == NET_TIMEOUT ? UL_EVT18 : UL_EVT17, NULL);
}

void ul_deinit(struct ul_assoc *a, bool hurry) {
    ul_abort(a);
    if (a->state == UL_STA13 && !hurry) linger(a);
    if (a->conn.ops) net_close(&a->conn);
    a->state = UL_STA1;
    rest(a);
    arena_deinit(&a->arena);
}
