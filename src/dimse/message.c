// Fragments to messages and back.
#include "dimse/message.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "net/iobuf.h"

enum { HEADERS_BYTES = PDU_HEADER_BYTES + PDV_HEADER_BYTES, COMMAND_KEPT_BYTES = 4096, BATCH = 32 };

void dimse_init(struct dimse *d) {
    memset(d, 0, sizeof *d);
    buf_init(&d->command, DIMSE_COMMAND_BYTES_MAX);
}

static void end_stream(struct dimse *d) {
    net_iobuf_put(d->out);
    d->out = NULL;
    d->out_n = 0;
}

void dimse_deinit(struct dimse *d, bool hurry) {
    end_stream(d);
    buf_deinit(&d->command);
    ul_deinit(&d->ul, hurry);
}

uint16_t dimse_next_id(struct dimse *d) {
    if (++d->next_id == 0) d->next_id = 1;
    return d->next_id;
}

struct dimse_command dimse_store_request(struct dimse *d, const struct ul_context *c, const char *sop_instance_uid, const char *originator,
                                         uint16_t originator_id) {
    struct dimse_command rq = dimse_request(DIMSE_C_STORE, dimse_next_id(d), c->abstract_syntax);
    snprintf(rq.affected_instance, sizeof rq.affected_instance, "%s", sop_instance_uid);
    rq.has |= DIMSE_HAS_AFFECTED_INSTANCE;
    if (originator) {
        snprintf(rq.originator, sizeof rq.originator, "%s", originator);
        rq.originator_id = originator_id;
        rq.has |= DIMSE_HAS_ORIGINATOR | DIMSE_HAS_ORIGINATOR_ID;
    }
    return rq;
}

const struct ul_context *dimse_context(const struct dimse *d, const char *abstract_syntax, const char *transfer_syntax, bool as_scp) {
    for (unsigned i = 0; i < d->ul.context_count; i++) {
        const struct ul_context *c = &d->ul.contexts[i];
        bool requestor_is_scp = d->ul.requestor ? as_scp : !as_scp;
        if (c->result != PDU_CONTEXT_ACCEPTED || !(requestor_is_scp ? c->scp : c->scu)) continue;
        if (strcmp(c->abstract_syntax, abstract_syntax) == 0 && (!transfer_syntax || strcmp(c->transfer_syntax, transfer_syntax) == 0)) return c;
    }
    return NULL;
}

// ---- receiving ----

static enum dimse_got broken(struct dimse *d) {
    ul_protocol_error(&d->ul, PDU_ABORT_INVALID_PARAMETER);
    return DIMSE_OVER;
}

static enum dimse_got from_ul(enum ul_got got) {
    switch (got) {
    case UL_RELEASE:
        return DIMSE_RELEASE;
    case UL_WOKEN:
        return DIMSE_WOKEN;
    case UL_IDLE:
        return DIMSE_IDLE;
    default:
        return DIMSE_OVER;
    }
}

static bool gather(struct dimse *d, struct err *e) {
    const uint8_t *p;
    size_t n;
    do {
        if (!ul_bytes(&d->ul, &p, &n, e)) return false;
        buf_add(&d->command, p, n);
    } while (n);
    if (buf_ok(&d->command, e)) return true;
    err_set(e, ERR_TOO_LARGE, "dimse", "a command set of more than %d bytes", DIMSE_COMMAND_BYTES_MAX);
    broken(d);
    return false;
}

// Gathers a command set's fragments; UL_PDV when it is whole.
static enum ul_got gather_command(struct dimse *d, int64_t deadline_ms, bool wakeable, uint8_t *context_id, struct err *e) {
    struct ul_pdv pdv;
    buf_clear(&d->command);
    if (d->command.cap > COMMAND_KEPT_BYTES) buf_deinit(&d->command);
    for (bool first = true;; first = false) {
        enum ul_got got = ul_next(&d->ul, deadline_ms, wakeable && first, &pdv, e);
        if (got == UL_IDLE && !first) ul_abort(&d->ul);
        if (got == UL_RELEASE && !first) got = UL_OVER;
        if (got != UL_PDV) return got;
        if (!(pdv.flags & PDV_COMMAND) || (!first && pdv.context_id != *context_id)) {
            err_set(e, ERR_PEER, "dimse", "%s comes where a command set %s", pdv.flags & PDV_COMMAND ? "another presentation context" : "a data set fragment",
                    first ? "should begin" : "is not complete");
            return broken(d), UL_OVER;
        }
        *context_id = pdv.context_id;
        if (!gather(d, e)) return UL_OVER;
        if (pdv.flags & PDV_LAST) return UL_PDV;
        deadline_ms = clock_mono_ms() + d->ul.timers.pdu;
    }
}

enum dimse_got dimse_receive(struct dimse *d, int64_t deadline_ms, bool wakeable, struct dimse_command *c, uint8_t *context_id, struct err *e) {
    if (d->held) {
        d->held = false;
        *c = d->held_command;
        *context_id = d->held_context;
        return DIMSE_MESSAGE;
    }
    if (!dimse_data_skip(d, e)) return DIMSE_OVER;
    enum ul_got got = gather_command(d, deadline_ms, wakeable, context_id, e);
    if (got != UL_PDV) return from_ul(got);
    if (!dimse_command_decode(buf_str(&d->command), c, e)) return broken(d);
    d->data_left = c->has & DIMSE_HAS_DATA_SET && c->data_set != DIMSE_NO_DATA_SET;
    d->data_context = *context_id;
    d->pdv_open = d->pdv_last = false;
    return DIMSE_MESSAGE;
}

static bool next_data_pdv(struct dimse *d, struct err *e) {
    struct ul_pdv pdv;
    enum ul_got got = ul_next(&d->ul, clock_mono_ms() + d->ul.timers.pdu, false, &pdv, e);
    if (got == UL_IDLE) {
        ul_abort(&d->ul);
        return err_set(e, ERR_TIMEOUT, "dimse", "%s stopped in the middle of a data set", d->ul.conn.address);
    }
    if (got == UL_RELEASE) {
        ul_abort(&d->ul);
        return err_set(e, ERR_PEER, "dimse", "%s asked for release in the middle of a data set", d->ul.conn.address);
    }
    if (got != UL_PDV) return false;
    if (pdv.flags & PDV_COMMAND || pdv.context_id != d->data_context) {
        err_set(e, ERR_PEER, "dimse", "%s comes in the middle of a data set", pdv.flags & PDV_COMMAND ? "a command set" : "another presentation context");
        return broken(d), false;
    }
    d->pdv_open = true;
    d->pdv_last = pdv.flags & PDV_LAST;
    return true;
}

bool dimse_data(struct dimse *d, const uint8_t **p, size_t *n, struct err *e) {
    *n = 0;
    while (d->data_left) {
        if (!d->pdv_open && !next_data_pdv(d, e)) return false;
        if (!ul_bytes(&d->ul, p, n, e)) return false;
        if (*n) return true;
        d->pdv_open = false;
        d->data_left = !d->pdv_last;
    }
    return true;
}

bool dimse_data_all(struct dimse *d, struct buf *to, bool *over, struct err *e) {
    const uint8_t *p;
    size_t n;
    *over = true;
    do {
        if (!dimse_data(d, &p, &n, e)) return false;
        buf_add(to, p, n);
    } while (n);
    *over = false;
    return buf_ok(to, e);
}

bool dimse_data_skip(struct dimse *d, struct err *e) {
    const uint8_t *p;
    size_t n;
    do {
        if (!dimse_data(d, &p, &n, e)) return false;
    } while (n);
    return true;
}

enum dimse_got dimse_poll(struct dimse *d, uint16_t message_id, struct err *e) {
    if (d->held) return DIMSE_WOKEN;
    while (ul_readable(&d->ul)) {
        if (d->data_left) { // of one that was passed over: when it has come, nothing may come behind it
            if (!dimse_data_skip(d, e)) return DIMSE_OVER;
            continue;
        }
        enum dimse_got got = dimse_receive(d, clock_mono_ms() + d->ul.timers.pdu, false, &d->held_command, &d->held_context, e);
        if (got != DIMSE_MESSAGE) return got;
        if (d->held_command.field != DIMSE_C_CANCEL) {
            d->held = true;
            return DIMSE_WOKEN;
        }
        if (d->held_command.responded_id == message_id) return DIMSE_MESSAGE;
    }
    return DIMSE_IDLE;
}

// ---- sending ----

// A run of P-DATA-TF PDUs that goes out in few writes.
struct batch {
    struct iovec iov[2 * BATCH];
    uint8_t headers[BATCH][HEADERS_BYTES];
    int count;
    int headers_count;
};

static bool flush_batch(struct dimse *d, struct batch *b, bool more, struct err *e) {
    bool ok = b->count == 0 || ul_send(&d->ul, b->iov, b->count, more, e);
    b->count = b->headers_count = 0;
    return ok;
}

// Cuts n bytes into PDUs of one PDV each; last: the message's part (command or data set) ends here.
static bool add_fragments(struct dimse *d, struct batch *b, uint8_t context_id, uint8_t flags, const void *p, size_t n, bool last, struct err *e) {
    const uint8_t *at = p;
    do {
        size_t k = n < d->ul.fragment_max ? n : d->ul.fragment_max;
        if (b->headers_count == BATCH && !flush_batch(d, b, true, e)) return false;
        uint8_t *h = b->headers[b->headers_count++];
        pdu_data_header(h, (uint32_t)k, context_id, (uint8_t)(flags | (last && k == n ? PDV_LAST : 0)));
        b->iov[b->count++] = (struct iovec){h, HEADERS_BYTES};
        if (k) b->iov[b->count++] = (struct iovec){(void *)at, k};
        at += k;
        n -= k;
    } while (n);
    return true;
}

static bool add_command(struct dimse *d, struct batch *b, uint8_t context_id, const struct dimse_command *c, struct buf *bytes, struct err *e) {
    dimse_command_encode(c, bytes);
    return buf_ok(bytes, e) && add_fragments(d, b, context_id, PDV_COMMAND, bytes->p, bytes->n, true, e);
}

bool dimse_send(struct dimse *d, uint8_t context_id, struct dimse_command *c, const void *data, size_t n, struct err *e) {
    struct batch b;
    struct buf bytes;
    b.count = b.headers_count = 0;
    buf_init(&bytes, DIMSE_COMMAND_BYTES_MAX);
    c->has |= DIMSE_HAS_DATA_SET;
    c->data_set = data ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET;
    bool ok = add_command(d, &b, context_id, c, &bytes, e) && (!data || add_fragments(d, &b, context_id, 0, data, n, true, e)) && flush_batch(d, &b, false, e);
    buf_deinit(&bytes);
    return ok;
}

bool dimse_stream_begin(struct dimse *d, uint8_t context_id, struct dimse_command *c, struct err *e) {
    struct batch b;
    struct buf bytes;
    b.count = b.headers_count = 0;
    buf_init(&bytes, DIMSE_COMMAND_BYTES_MAX);
    c->has |= DIMSE_HAS_DATA_SET;
    c->data_set = DIMSE_DATA_SET;
    bool ok = add_command(d, &b, context_id, c, &bytes, e) && flush_batch(d, &b, true, e);
    buf_deinit(&bytes);
    d->out_context = context_id;
    d->out_n = 0;
    d->out_marked = false;
    return ok;
}

static bool flush_stream(struct dimse *d, bool last, struct err *e) {
    struct batch b;
    b.count = b.headers_count = 0;
    bool ok = add_fragments(d, &b, d->out_context, 0, d->out, d->out_n, last, e) && flush_batch(d, &b, !last, e);
    d->out_n = 0;
    return ok;
}

// The last bytes are kept until it is known whether more follow: a last fragment must be marked.
bool dimse_stream_write(struct dimse *d, const void *p, size_t n, struct err *e) {
    const uint8_t *at = p;
    if (!d->out && !(d->out = net_iobuf_get())) return err_nomem(e, "dimse");
    while (n) {
        if (d->out_n == NET_IOBUF_BYTES && !flush_stream(d, false, e)) return false;
        size_t room = NET_IOBUF_BYTES - d->out_n, k = n < room ? n : room;
        memcpy(d->out + d->out_n, at, k);
        d->out_n += k;
        at += k;
        n -= k;
    }
    return true;
}

bool dimse_stream_file(struct dimse *d, int fd, uint64_t offset, uint64_t n, bool last, struct err *e) {
    if (d->out_n && !flush_stream(d, false, e)) return false;
    while (n) {
        uint32_t k = n < d->ul.fragment_max ? (uint32_t)n : d->ul.fragment_max;
        uint8_t header[HEADERS_BYTES];
        d->out_marked = last && k == n;
        pdu_data_header(header, k, d->out_context, d->out_marked ? PDV_LAST : 0);
        struct iovec iov = {header, sizeof header};
        if (!ul_send(&d->ul, &iov, 1, true, e) || !ul_sendfile(&d->ul, fd, offset, k, e)) return false;
        offset += k;
        n -= k;
    }
    return true;
}

bool dimse_stream_end(struct dimse *d, struct err *e) {
    bool ok = d->out_marked || flush_stream(d, true, e);
    end_stream(d);
    return ok;
}
