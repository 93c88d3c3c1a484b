// Requests, and their responses to the last.
#include "dimse/scu.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "dicom/read.h"
#include "dicom/uid.h"
#include "dicom/write.h"

enum { DEFAULT_PORT = 11112, ANSWER_ARENA_BYTES = 16 * 1024 * 1024 };

const char *const SCU_TS_PLAIN[2] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"};

bool scu_target_parse(struct str text, struct scu_target *out, struct err *e) {
    size_t at = str_find(text, '@', 0);
    struct str aet = str_sub(text, 0, at), where = str_sub(text, at + 1, text.n), port = {NULL, 0};
    int64_t number = DEFAULT_PORT;
    if (at == text.n || !pdu_ae_valid(aet))
        return err_set(e, ERR_USAGE, "dimse", "'%.*s' is not AET@HOST:PORT: an AE title of 1 to 16 characters comes before the @", STR_FMT(text));
    if (str_starts(where, STR_LIT("["))) { // [::1]:104
        size_t close = str_find(where, ']', 0);
        if (close == where.n) return err_set(e, ERR_USAGE, "dimse", "'%.*s': the address begins with [ and has no ]", STR_FMT(text));
        port = str_sub(where, close + 1, where.n);
        if (str_starts(port, STR_LIT(":"))) port = str_sub(port, 1, port.n);
        where = str_sub(where, 1, close - 1);
    } else {
        size_t colon = str_find(where, ':', 0);
        if (colon < where.n) port = str_sub(where, colon + 1, where.n);
        where = str_sub(where, 0, colon);
    }
    if (port.n && (!str_to_i64(port, &number) || number < 1 || number > 65535))
        return err_set(e, ERR_USAGE, "dimse", "'%.*s': the port is a number from 1 to 65535", STR_FMT(text));
    if (where.n == 0 || where.n >= sizeof out->host) return err_set(e, ERR_USAGE, "dimse", "'%.*s': a host is missing after the @", STR_FMT(text));
    snprintf(out->aet, sizeof out->aet, "%.*s", STR_FMT(aet));
    snprintf(out->host, sizeof out->host, "%.*s", STR_FMT(where));
    out->port = (uint16_t)number;
    out->tls = NULL;
    out->tls_name = NULL;
    return true;
}

void scu_proposal_init(struct scu_proposal *p, struct arena *a) {
    p->arena = a;
    p->context_count = p->role_count = p->extended_count = 0;
}

bool scu_propose(struct scu_proposal *p, const char *abstract_syntax, const char *const *ts, unsigned n, struct err *e) {
    if (p->context_count == UL_CONTEXTS_MAX) return err_set(e, ERR_TOO_LARGE, "dimse", "an association has %d presentation contexts at most", UL_CONTEXTS_MAX);
    struct str *list = arena_zero(p->arena, n, sizeof *list, e);
    if (!list) return false;
    for (unsigned i = 0; i < n; i++) list[i] = str_of(ts[i]);
    p->contexts[p->context_count] =
        (struct pdu_context){.id = (uint8_t)(2 * p->context_count + 1), .abstract_syntax = str_of(abstract_syntax), .ts = list, .ts_count = n};
    p->context_count++;
    return true;
}

bool scu_propose_role(struct scu_proposal *p, const char *abstract_syntax, bool scu, bool scp, struct err *e) {
    for (unsigned i = 0; i < p->role_count; i++)
        if (str_eqz(p->roles[i].uid, abstract_syntax)) return true;
    if (p->role_count == UL_CONTEXTS_MAX) return err_set(e, ERR_TOO_LARGE, "dimse", "too many role selection items");
    p->roles[p->role_count++] = (struct pdu_role){str_of(abstract_syntax), scu, scp};
    return true;
}

void scu_propose_extended(struct scu_proposal *p, const char *abstract_syntax, struct str info) {
    if (p->extended_count < sizeof p->extended / sizeof *p->extended) p->extended[p->extended_count++] = (struct pdu_extended){str_of(abstract_syntax), info};
}

bool scu_open(struct dimse *d, const struct scu_target *to, const char *calling, const struct scu_proposal *p, const struct ul_timers *timers, struct err *e) {
    struct pdu_associate rq = {.called = str_of(to->aet),
                               .calling = str_of(calling),
                               .contexts = (struct pdu_context *)p->contexts,
                               .context_count = p->context_count,
                               .roles = (struct pdu_role *)p->roles,
                               .role_count = p->role_count,
                               .extended = (struct pdu_extended *)p->extended,
                               .extended_count = p->extended_count};
    dimse_init(d);
    const struct ul_address where = {.host = to->host, .port = to->port, .tls = to->tls, .tls_name = to->tls_name, .guard = to->guard};
    return ul_connect(&d->ul, &where, &rq, timers, e);
}

void scu_close(struct dimse *d) {
    if (d->ul.state == UL_STA6) ul_release(&d->ul, NULL);
    dimse_deinit(d, true);
}

const struct ul_context *scu_context(struct dimse *d, const char *abstract_syntax, struct err *e) {
    static const char *const RESULTS[] = {"accepted for another role only", "user rejection", "no reason given", "its SOP class is not supported",
                                          "none of the transfer syntaxes is supported"};
    const struct ul_context *c = dimse_context(d, abstract_syntax, NULL, false);
    if (c) return c;
    const char *why = "it was not proposed";
    for (unsigned i = 0; i < d->ul.context_count; i++) {
        const struct ul_context *x = &d->ul.contexts[i];
        if (strcmp(x->abstract_syntax, abstract_syntax) == 0) why = x->result < 5 ? RESULTS[x->result] : "reserved result";
    }
    const struct dcm_uid_entry *entry = dcm_uid_find(str_of(abstract_syntax));
    err_set(e, ERR_UNSUPPORTED, "dimse", "%s did not accept %s: %s", d->ul.called, entry ? entry->name : abstract_syntax, why);
    return NULL;
}

// ---- data sets ----

bool dimse_decode(struct arena *a, const char *transfer_syntax, struct str bytes, struct dcm_dataset **out, struct err *e) {
    const struct dcm_ts *ts = dcm_ts_find(str_of(transfer_syntax));
    struct dcm_object object = {0};
    if (!ts) return err_set(e, ERR_UNSUPPORTED, "dimse", "transfer syntax %s is not known", transfer_syntax);
    if (!dcm_read_memory(a, bytes.p, bytes.n, ts, DCM_STOP_NOWHERE, &object, e)) return err_wrap(e, "the data set of the message");
    *out = object.dataset;
    return true;
}

bool dimse_encode(const struct dcm_dataset *ds, const char *transfer_syntax, struct buf *to, struct err *e) {
    const struct dcm_ts *ts = dcm_ts_find(str_of(transfer_syntax));
    if (!ts || ts->deflated) return err_set(e, ERR_UNSUPPORTED, "dimse", "identifiers are not written in transfer syntax %s", transfer_syntax);
    return dcm_write_dataset(ds, ts, NULL, dcm_sink_buf(to), e) && buf_ok(to, e);
}

// ---- requests ----

bool scu_send(struct dimse *d, const struct ul_context *c, struct dimse_command *rq, const struct dcm_dataset *data, uint16_t *id, struct err *e) {
    struct buf bytes;
    buf_init(&bytes, DIMSE_IDENTIFIER_BYTES_MAX);
    rq->message_id = *id = dimse_next_id(d);
    bool ok = (!data || dimse_encode(data, c->transfer_syntax, &bytes, e)) && dimse_send(d, c->id, rq, data ? (bytes.p ? bytes.p : "") : NULL, bytes.n, e);
    buf_deinit(&bytes);
    return ok;
}

bool scu_cancel(struct dimse *d, const struct ul_context *c, uint16_t message_id, struct err *e) {
    struct dimse_command rq = {.has = DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID, .field = DIMSE_C_CANCEL, .responded_id = message_id};
    return dimse_send(d, c->id, &rq, NULL, 0, e);
}

static bool receive(struct dimse *d, struct dimse_command *c, uint8_t *context_id, struct err *e) {
    switch (dimse_receive(d, clock_mono_ms() + d->ul.timers.idle, false, c, context_id, e)) {
    case DIMSE_MESSAGE:
        return true;
    case DIMSE_RELEASE:
        return err_set(e, ERR_PEER, "dimse", "%s asked for release where a response was due", d->ul.called);
    case DIMSE_IDLE:
        return err_set(e, ERR_TIMEOUT, "dimse", "%s did not respond within %d s", d->ul.called, d->ul.timers.idle / 1000);
    default:
        return false;
    }
}

bool scu_response(struct dimse *d, uint16_t message_id, struct dimse_command *rsp, struct buf *data, struct err *e) {
    uint8_t id;
    bool over;
    if (!receive(d, rsp, &id, e)) return false;
    if (!dimse_is_response(rsp) || rsp->responded_id != message_id) {
        ul_abort(&d->ul);
        return err_set(e, ERR_PEER, "dimse", "%s sent %s%s for message %u where the response to message %u was due", d->ul.called, dimse_field_name(rsp->field),
                       dimse_is_response(rsp) ? "-RSP" : "-RQ", rsp->responded_id, message_id);
    }
    return data ? dimse_data_all(d, data, &over, e) : dimse_data_skip(d, e);
}

bool scu_echo(struct dimse *d, uint16_t *status, struct err *e) {
    const struct ul_context *c = scu_context(d, "1.2.840.10008.1.1", e);
    if (!c) return false;
    struct dimse_command rq = dimse_request(DIMSE_C_ECHO, 0, c->abstract_syntax), rsp;
    uint16_t id;
    if (!scu_send(d, c, &rq, NULL, &id, e) || !scu_response(d, id, &rsp, NULL, e)) return false;
    *status = rsp.status;
    return true;
}

bool scu_store_file(struct dimse *d, const struct ul_context *c, const char *sop_instance_uid, const char *originator, uint16_t originator_id, int fd,
                    uint64_t offset, uint64_t n, uint16_t *status, struct err *e) {
    struct dimse_command rq = dimse_store_request(d, c, sop_instance_uid, originator, originator_id), rsp;
    if (!dimse_stream_begin(d, c->id, &rq, e) || !dimse_stream_file(d, fd, offset, n, true, e) || !dimse_stream_end(d, e)) return false;
    if (!scu_response(d, rq.message_id, &rsp, NULL, e)) return false;
    *status = rsp.status;
    return true;
}

// ---- operations with many responses ----

static bool serve_store(struct dimse *d, const struct scu_events *events, const struct dimse_command *rq, uint8_t context_id, struct err *e) {
    const struct ul_context *c = ul_context_by_id(&d->ul, context_id);
    uint16_t status = DIMSE_UNRECOGNIZED_OPERATION;
    if (rq->field == DIMSE_C_STORE && events->on_store && !events->on_store(events->ctx, d, c, rq, &status, e)) return false;
    if (!dimse_data_skip(d, e)) return false;
    struct dimse_command rsp = dimse_response(rq, status);
    return dimse_send(d, context_id, &rsp, NULL, 0, e);
}

// The identifier of a response (NULL when it has none), handed to on_pending.
static bool pending(struct dimse *d, const char *ts, const struct dimse_command *rsp, const struct scu_events *events, struct scu_result *out, bool *go_on,
                    struct err *e) {
    struct buf bytes;
    struct arena a;
    struct dcm_dataset *ds = NULL;
    bool over;
    buf_init(&bytes, DIMSE_IDENTIFIER_BYTES_MAX);
    arena_init(&a, ANSWER_ARENA_BYTES);
    bool ok = dimse_data_all(d, &bytes, &over, e) && (bytes.n == 0 || dimse_decode(&a, ts, buf_str(&bytes), &ds, e));
    if (ds) out->answers++;
    if (ok && events->on_pending) *go_on = events->on_pending(events->ctx, rsp, ds, e);
    arena_deinit(&a);
    buf_deinit(&bytes);
    return ok;
}

static void take_result(struct scu_result *out, const struct dimse_command *rsp) {
    out->status = rsp->status;
    if (rsp->has & DIMSE_HAS_ERROR_COMMENT) snprintf(out->comment, sizeof out->comment, "%s", rsp->error_comment);
    if (rsp->has & DIMSE_HAS_REMAINING) out->remaining = rsp->remaining;
    if (rsp->has & DIMSE_HAS_COMPLETED) out->completed = rsp->completed;
    if (rsp->has & DIMSE_HAS_FAILED) out->failed = rsp->failed;
    if (rsp->has & DIMSE_HAS_WARNING) out->warning = rsp->warning;
}

bool scu_run(struct dimse *d, const struct ul_context *c, uint16_t message_id, const struct scu_events *events, struct scu_result *out, struct err *e) {
    bool cancelled = false;
    *out = (struct scu_result){0};
    for (;;) {
        struct dimse_command m;
        uint8_t id;
        bool go_on = true;
        if (!receive(d, &m, &id, e)) return false;
        if (!dimse_is_response(&m)) {
            if (!serve_store(d, events, &m, id, e)) return false;
            continue;
        }
        if (m.responded_id != message_id) return err_set(e, ERR_PEER, "dimse", "%s answers message %u instead of %u", d->ul.called, m.responded_id, message_id);
        take_result(out, &m);
        if (!dimse_is_pending(m.status)) return dimse_data_skip(d, e);
        if (!pending(d, c->transfer_syntax, &m, events, out, &go_on, e)) return false;
        if (go_on || cancelled) continue;
        cancelled = true;
        if (!scu_cancel(d, c, message_id, e)) return false;
    }
}
