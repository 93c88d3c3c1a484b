// A connection's bytes through the acceptor: negotiation, messages, data sets, answers, release, abort.
#include <stdint.h>
#include <stdlib.h>

#include "base/clock.h"
#include "dimse/message.h"
#include "tests/unit/fake_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void choose(void *ctx, const struct pdu_associate *rq, const struct pdu_context *proposed, const struct pdu_role *role, struct str extended,
                   struct ul_choice *out) {
    (void)ctx, (void)rq;
    out->result = proposed->id % 4 == 3 ? PDU_CONTEXT_ABSTRACT_SYNTAX : PDU_CONTEXT_ACCEPTED;
    out->ts = proposed->id; // often beyond the list
    if (out->ts >= proposed->ts_count) out->ts = 0;
    out->scp = role && role->scp;
    out->extended = extended;
}

static bool answer(struct dimse *d, const struct dimse_command *c, uint8_t id, struct err *e) {
    const uint8_t *p;
    size_t n;
    struct dimse_command rsp = dimse_response(c, DIMSE_SUCCESS);
    if (dimse_is_response(c)) return true;
    if (c->field == DIMSE_C_FIND) {
        if (!dimse_data_skip(d, e)) return false;
        enum dimse_got got = dimse_poll(d, c->message_id, e);
        if (got == DIMSE_OVER || got == DIMSE_RELEASE) return false;
        return dimse_send(d, id, &rsp, "0123456789", 10, e);
    }
    do {
        if (!dimse_data(d, &p, &n, e)) return false;
    } while (n);
    return dimse_send(d, id, &rsp, NULL, 0, e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fake_conn f;
    struct dimse d;
    struct arena scratch;
    struct pdu_associate rq;
    struct err e = {0};
    const struct ul_timers timers = {.artim = 1000, .pdu = 1000, .idle = 1000};
    const struct ul_acceptor how = {.choose = choose, .async_max = 4};
    if (size < 1) return 0;
    fake_conn_init(&f, data + 1, size - 1, data[0] + 1u); // the first byte is how much one read gives
    arena_init(&scratch, 4 << 20);
    dimse_init(&d);
    ul_init_acceptor(&d.ul, &f.conn, &timers);
    if (ul_receive_request(&d.ul, &scratch, &rq, &e) && ul_accept(&d.ul, &rq, &how, &e)) {
        struct dimse_command c;
        uint8_t id;
        enum dimse_got got;
        while ((got = dimse_receive(&d, INT64_MAX, false, &c, &id, &e)) == DIMSE_MESSAGE)
            if (!answer(&d, &c, id, &e)) break;
        if (d.ul.state == UL_STA8) ul_release(&d.ul, &e);
    }
    dimse_deinit(&d, false);
    arena_deinit(&scratch);
    buf_deinit(&f.out);
    return 0;
}
