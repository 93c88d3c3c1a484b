// Behaviour of the upper layer and of DIMSE messages: PDUs, the state table, negotiation, fragments.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "dimse/message.h"
#include "tests/unit/fake_conn.h"

// PS3.8 Table 9-10 as it is printed, one line per event: the actions in Sta1 ... Sta13 ("." is a blank cell).
static const char *const TABLE_9_10[] = {
    "AE-1 . . . . . . . . . . . .",                                  // 1 A-ASSOCIATE request
    ". . . AE-2 . . . . . . . . .",                                  // 2 transport connect confirm
    ". AA-1 AA-8 . AE-3 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",    // 3 A-ASSOCIATE-AC
    ". AA-1 AA-8 . AE-4 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",    // 4 A-ASSOCIATE-RJ
    "AE-5 . . . . . . . . . . . .",                                  // 5 transport connection indication
    ". AE-6 AA-8 . AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-7",    // 6 A-ASSOCIATE-RQ
    ". . AE-7 . . . . . . . . . .",                                  // 7 accept
    ". . AE-8 . . . . . . . . . .",                                  // 8 reject
    ". . . . . DT-1 . AR-7 . . . . .",                               // 9 P-DATA request
    ". AA-1 AA-8 . AA-8 DT-2 AR-6 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",    // 10 P-DATA-TF
    ". . . . . AR-1 . . . . . . .",                                  // 11 A-RELEASE request
    ". AA-1 AA-8 . AA-8 AR-2 AR-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",    // 12 A-RELEASE-RQ
    ". AA-1 AA-8 . AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6",   // 13 A-RELEASE-RP
    ". . . . . . . AR-4 AR-9 . . AR-4 .",                            // 14 A-RELEASE response
    ". . AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1 .",       // 15 A-ABORT request
    ". AA-2 AA-3 . AA-3 AA-3 AA-3 AA-3 AA-3 AA-3 AA-3 AA-3 AA-2",    // 16 A-ABORT
    ". AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AR-5", // 17 transport closed
    ". AA-2 . . . . . . . . . . AA-2",                               // 18 ARTIM expired
    ". AA-1 AA-8 . AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-7",    // 19 unrecognised or invalid PDU
};

static void the_state_table_is_that_of_the_standard(void **state) {
    (void)state;
    for (int event = 1; event < UL_EVT_COUNT; event++) {
        struct str rest = str_of(TABLE_9_10[event - 1]);
        for (int sta = 1; sta < UL_STA_COUNT; sta++) {
            struct str cell = str_split(&rest, ' ');
            const char *ours = ul_action_name(ul_fsm_action((enum ul_state)sta, (enum ul_event)event));
            if (str_eqz(cell, ".")) ours = strcmp(ours, "none") == 0 ? "." : ours;
            if (!str_eqz(cell, ours)) fail_msg("event %d in Sta%d: %s, the standard says %.*s", event, sta, ours, STR_FMT(cell));
        }
        assert_null(rest.p);
    }
}

static void a_release_collision_depends_on_who_asked_for_the_association(void **state) {
    (void)state;
    assert_int_equal(ul_fsm_next(UL_AR8, 1), UL_STA9);
    assert_int_equal(ul_fsm_next(UL_AR8, 0), UL_STA10);
    assert_int_equal(ul_fsm_next(UL_AA8, 0), UL_STA13);
    assert_int_equal(ul_fsm_next(UL_AR10, 0), UL_STA12);
}

static struct str TS[] = {{"1.2.840.10008.1.2", 17}, {"1.2.840.10008.1.2.1", 19}};
#define VERIFICATION "1.2.840.10008.1.1"
#define CT "1.2.840.10008.5.1.4.1.1.2"

static struct pdu_associate a_request(struct pdu_context *contexts, unsigned n) {
    return (struct pdu_associate){.version = 1,
                                  .called = STR_LIT("GANTRY"),
                                  .calling = STR_LIT("PEER"),
                                  .application_context = STR_LIT(PDU_APPLICATION_CONTEXT),
                                  .contexts = contexts,
                                  .context_count = n,
                                  .max_length = 16384,
                                  .implementation_uid = STR_LIT("1.2.3"),
                                  .implementation_version = STR_LIT("PEER_1")};
}

static void an_associate_pdu_comes_back_as_it_was(void **state) {
    (void)state;
    struct arena a;
    struct buf b;
    struct err e = {0};
    struct pdu_associate out;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    struct pdu_context contexts[] = {{.id = 1, .abstract_syntax = STR_LIT(VERIFICATION), .ts = TS, .ts_count = 2},
                                     {.id = 255, .abstract_syntax = STR_LIT(CT), .ts = TS + 1, .ts_count = 1}};
    struct pdu_role role = {STR_LIT(CT), false, true};
    struct pdu_extended extended = {STR_LIT("1.2.840.10008.5.1.4.1.2.2.1"), STR_LIT("\1\1\1")};
    struct str related[] = {STR_LIT("1.2.3.4"), STR_LIT("1.2.3.5")};
    struct pdu_common_extended common = {STR_LIT("1.2.3"), STR_LIT("1.2.840.10008.4.2"), related, 2};
    struct pdu_associate rq = a_request(contexts, 2);
    rq.roles = &role, rq.role_count = 1, rq.extended = &extended, rq.extended_count = 1, rq.common = &common, rq.common_count = 1;
    rq.async = true, rq.async_invoked = 8, rq.async_performed = 2;
    rq.identity_type = PDU_IDENTITY_PASSCODE, rq.identity_wants_response = true;
    rq.identity_primary = STR_LIT("dr.chen"), rq.identity_secondary = STR_LIT("secret");
    assert_true(pdu_associate_encode(&rq, false, &b, &e));
    assert_int_equal(pdu_u32((uint8_t *)b.p + 2), b.n - 6);
    assert_true(pdu_associate_decode(&a, str_sub(buf_str(&b), 6, b.n), false, &out, &e));
    assert_true(str_eqz(out.called, "GANTRY") && str_eqz(out.calling, "PEER") && out.version == 1 && out.max_length == 16384);
    assert_int_equal(out.context_count, 2);
    assert_true(out.contexts[1].id == 255 && str_eqz(out.contexts[1].abstract_syntax, CT) && str_eq(out.contexts[0].ts[1], TS[1]));
    assert_true(out.role_count == 1 && !out.roles[0].scu && out.roles[0].scp && str_eqz(out.roles[0].uid, CT));
    assert_true(out.extended_count == 1 && str_eqz(out.extended[0].info, "\1\1\1"));
    assert_true(out.common_count == 1 && out.common[0].related_count == 2 && str_eqz(out.common[0].related[1], "1.2.3.5"));
    assert_true(out.async && out.async_invoked == 8 && out.async_performed == 2);
    assert_true(out.identity_type == 2 && str_eqz(out.identity_primary, "dr.chen") && str_eqz(out.identity_secondary, "secret"));
    buf_deinit(&b);
    arena_deinit(&a);
}

static void what_is_wrong_with_a_request_is_said(void **state) {
    (void)state;
    struct pdu_context even[] = {{.id = 2, .abstract_syntax = STR_LIT(VERIFICATION), .ts = TS, .ts_count = 1}};
    struct pdu_context twice[] = {{.id = 1, .abstract_syntax = STR_LIT(VERIFICATION), .ts = TS, .ts_count = 1},
                                  {.id = 1, .abstract_syntax = STR_LIT(CT), .ts = TS, .ts_count = 1}};
    struct pdu_context no_ts[] = {{.id = 1, .abstract_syntax = STR_LIT(VERIFICATION)}};
    static struct pdu_context many[UL_CONTEXTS_MAX + 1];
    for (unsigned i = 0; i <= UL_CONTEXTS_MAX; i++)
        many[i] = (struct pdu_context){.id = (uint8_t)(2 * i + 1), .abstract_syntax = STR_LIT(CT), .ts = TS, .ts_count = 1};
    const struct {
        struct pdu_associate rq;
        const char *says;
    } cases[] = {{a_request(even, 1), "is even"},
                 {a_request(twice, 2), "comes twice"},
                 {a_request(no_ts, 1), "no transfer syntax"},
                 {a_request(many, UL_CONTEXTS_MAX + 1), "128 are taken at most"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a;
        struct buf b;
        struct err e = {0};
        struct pdu_associate out;
        arena_init(&a, 1 << 20);
        buf_init(&b, 1 << 20);
        assert_true(pdu_associate_encode(&cases[i].rq, false, &b, &e));
        assert_false(pdu_associate_decode(&a, str_sub(buf_str(&b), 6, b.n), false, &out, &e));
        if (!strstr(e.message, cases[i].says)) fail_msg("'%s' does not say '%s'", e.message, cases[i].says);
        buf_deinit(&b);
        arena_deinit(&a);
    }
}

static void every_cut_of_a_request_is_refused_without_harm(void **state) {
    (void)state;
    struct pdu_context contexts[] = {{.id = 1, .abstract_syntax = STR_LIT(VERIFICATION), .ts = TS, .ts_count = 2}};
    struct pdu_associate rq = a_request(contexts, 1), out;
    struct buf b;
    struct err e = {0};
    buf_init(&b, 1 << 20);
    assert_true(pdu_associate_encode(&rq, false, &b, &e));
    for (size_t n = 0; n + 6 < b.n; n++) {
        struct arena a;
        arena_init(&a, 1 << 20);
        char *exact = malloc(n ? n : 1); // its end is guarded by the sanitizer
        memcpy(exact, b.p + 6, n);
        pdu_associate_decode(&a, (struct str){exact, n}, false, &out, &e);
        free(exact);
        arena_deinit(&a);
    }
    buf_deinit(&b);
}

static void a_command_set_comes_back_as_it_was(void **state) {
    (void)state;
    struct dimse_command c = dimse_request(DIMSE_C_STORE, 7, CT), out;
    struct buf b;
    struct err e = {0};
    snprintf(c.affected_instance, sizeof c.affected_instance, "1.2.3");
    snprintf(c.originator, sizeof c.originator, "MOVER");
    c.originator_id = 9;
    c.has |= DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_ORIGINATOR | DIMSE_HAS_ORIGINATOR_ID;
    buf_init(&b, 1 << 16);
    dimse_command_encode(&c, &b);
    assert_true(b.n % 2 == 0);
    assert_true(dimse_command_decode(buf_str(&b), &out, &e));
    assert_memory_equal(&c, &out, sizeof c);
    struct dimse_command rsp = dimse_response(&c, 0xA700);
    assert_int_equal(rsp.field, 0x8001);
    assert_int_equal(rsp.responded_id, 7);
    assert_string_equal(rsp.affected_instance, "1.2.3");
    b.p[8]++; // a group length that lies is not trusted
    assert_true(dimse_command_decode(buf_str(&b), &out, &e));
    assert_false(dimse_command_decode(str_sub(buf_str(&b), 0, b.n - 1), &out, &e));
    buf_deinit(&b);
}

// PS3.7 9.3, 10.3: N-GET, N-SET, N-ACTION and N-DELETE name what they ask for as requested, the others as affected; C- operations but echo have a priority.
static void each_operation_names_its_sop_class_where_the_standard_says(void **state) {
    (void)state;
    static const struct {
        enum dimse_field field;
        const char *name;
        bool requested, priority;
    } ALL[] = {{DIMSE_C_STORE, "C-STORE", false, true},    {DIMSE_C_GET, "C-GET", false, true},      {DIMSE_C_FIND, "C-FIND", false, true},
               {DIMSE_C_MOVE, "C-MOVE", false, true},      {DIMSE_C_ECHO, "C-ECHO", false, false},   {DIMSE_N_EVENT_REPORT, "N-EVENT-REPORT", false, false},
               {DIMSE_N_GET, "N-GET", true, false},        {DIMSE_N_SET, "N-SET", true, false},      {DIMSE_N_ACTION, "N-ACTION", true, false},
               {DIMSE_N_CREATE, "N-CREATE", false, false}, {DIMSE_N_DELETE, "N-DELETE", true, false}};
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        struct dimse_command c = dimse_request(ALL[i].field, 3, CT);
        assert_string_equal(ALL[i].requested ? c.requested_class : c.affected_class, CT);
        assert_int_equal(!!(c.has & DIMSE_HAS_REQUESTED_CLASS), ALL[i].requested);
        assert_int_equal(!!(c.has & DIMSE_HAS_AFFECTED_CLASS), !ALL[i].requested);
        assert_int_equal(!!(c.has & DIMSE_HAS_PRIORITY), ALL[i].priority);
        struct dimse_command rsp = dimse_response(&c, DIMSE_SUCCESS);
        assert_string_equal(rsp.affected_class, CT);
        assert_string_equal(dimse_field_name(c.field), ALL[i].name);
        assert_string_equal(dimse_field_name(rsp.field), ALL[i].name);
    }
    assert_string_equal(dimse_field_name(0x7777), "unknown operation");
}

static void every_status_has_words(void **state) {
    (void)state;
    for (unsigned status = 0; status <= 0xFFFF; status++) assert_true(strlen(dimse_status_text((uint16_t)status)) > 0);
    assert_string_equal(dimse_status_text(0xA7FF), "out of resources");
    assert_string_equal(dimse_status_text(0xFF01), "pending");
    assert_string_equal(dimse_status_text(0xC123), "cannot understand or unable to process");
}

// Error Comment is LO: 64 characters, no backslash, nothing beyond the default repertoire.
static void a_comment_fits_its_vr(void **state) {
    (void)state;
    struct dimse_command c = dimse_request(DIMSE_C_ECHO, 1, VERIFICATION), out;
    struct buf b;
    struct err e = {0};
    char longest[100];
    memset(longest, 'y', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memcpy(longest, "a\\b\n\xE4", 5);
    dimse_comment(&c, longest);
    assert_int_equal(strlen(c.error_comment), 64);
    assert_memory_equal(c.error_comment, "a?b??y", 6);
    buf_init(&b, 4096);
    dimse_command_encode(&c, &b);
    assert_true(dimse_command_decode(buf_str(&b), &out, &e));
    assert_string_equal(out.error_comment, c.error_comment);
    buf_deinit(&b);
    buf_init(&b, 10);
    dimse_command_encode(&c, &b); // too long for where it goes: the buffer remembers
    assert_false(buf_ok(&b, &e));
    buf_deinit(&b);
}

// ---- an association over two ends of a socket pair is in test_scp; here the acceptor alone reads bytes ----

static void accept_all(void *ctx, const struct pdu_associate *rq, const struct pdu_context *proposed, const struct pdu_role *role, struct str extended,
                       struct ul_choice *out) {
    (void)ctx, (void)rq, (void)proposed, (void)extended;
    out->result = PDU_CONTEXT_ACCEPTED;
    out->scp = role && role->scp;
}

// Runs an acceptor over the bytes; the error of what ended it, and how many messages it took.
static unsigned run_acceptor(const struct buf *in, size_t step, struct fake_conn *f, struct err *e) {
    struct dimse d;
    struct arena scratch;
    struct pdu_associate rq;
    const struct ul_timers timers = {.artim = 50, .pdu = 50, .idle = 50};
    const struct ul_acceptor how = {.choose = accept_all, .async_max = 4};
    unsigned messages = 0;
    fake_conn_init(f, in->p, in->n, step);
    arena_init(&scratch, 4 << 20);
    dimse_init(&d);
    ul_init_acceptor(&d.ul, &f->conn, &timers);
    if (ul_receive_request(&d.ul, &scratch, &rq, e) && ul_accept(&d.ul, &rq, &how, e)) {
        struct dimse_command c;
        uint8_t id;
        while (dimse_receive(&d, INT64_MAX, false, &c, &id, e) == DIMSE_MESSAGE) messages++;
        if (d.ul.state == UL_STA8) ul_release(&d.ul, e);
    }
    dimse_deinit(&d, false);
    arena_deinit(&scratch);
    return messages;
}

static void put_request(struct buf *b, uint32_t max_length) {
    struct pdu_context contexts[] = {{.id = 1, .abstract_syntax = STR_LIT(VERIFICATION), .ts = TS, .ts_count = 2}};
    struct pdu_associate rq = a_request(contexts, 1);
    struct err e = {0};
    rq.max_length = max_length;
    assert_true(pdu_associate_encode(&rq, false, b, &e));
}

static void put_echo(struct buf *b, size_t fragment) {
    struct dimse_command c = dimse_request(DIMSE_C_ECHO, 1, VERIFICATION);
    struct buf bytes;
    buf_init(&bytes, 4096);
    dimse_command_encode(&c, &bytes);
    for (size_t at = 0; at < bytes.n; at += fragment) {
        size_t n = bytes.n - at < fragment ? bytes.n - at : fragment;
        uint8_t h[12];
        pdu_data_header(h, (uint32_t)n, 1, at + n == bytes.n ? PDV_COMMAND | PDV_LAST : PDV_COMMAND);
        buf_add(b, h, sizeof h);
        buf_add(b, bytes.p + at, n);
    }
    buf_deinit(&bytes);
}

static void messages_are_read_however_they_are_cut(void **state) {
    (void)state;
    for (size_t step = 1; step < 400; step += 13) {
        struct buf in;
        struct fake_conn f;
        struct err e = {0};
        uint8_t release[10];
        buf_init(&in, 1 << 20);
        put_request(&in, 0);
        put_echo(&in, 1000);
        put_echo(&in, 2);
        put_echo(&in, 1);
        pdu_short_encode(release, PDU_RELEASE_RQ, 0, 0, 0);
        buf_add(&in, release, sizeof release);
        assert_int_equal(run_acceptor(&in, step, &f, &e), 3);
        assert_int_equal((uint8_t)f.out.p[0], PDU_ASSOCIATE_AC);
        assert_int_equal((uint8_t)f.out.p[f.out.n - 10], PDU_RELEASE_RP);
        buf_deinit(&f.out);
        buf_deinit(&in);
    }
}

// A peer that takes so many writes and is gone then.
static int writes_left;
static ssize_t write_until_gone(struct net_conn *c, const struct iovec *iov, int count, bool more) {
    if (writes_left-- > 0) return fake_writev(c, iov, count, more);
    errno = EPIPE;
    return -1;
}

// An echo, a data set of many fragments, and one in pieces from memory and a file.
static bool send_all_kinds(struct dimse *d, int fd, struct err *e) {
    static char data[300 * 1024];
    struct dimse_command c = dimse_request(DIMSE_C_ECHO, 1, VERIFICATION);
    if (!dimse_send(d, 1, &c, NULL, 0, e)) return false;
    c = dimse_request(DIMSE_C_STORE, 2, CT);
    if (!dimse_send(d, 1, &c, data, sizeof data, e)) return false;
    if (!dimse_stream_begin(d, 1, &c, e) || !dimse_stream_write(d, data, sizeof data, e) || !dimse_stream_write(d, data, 1000, e)) return false;
    if (!dimse_stream_file(d, fd, 0, 50000, false, e) || !dimse_stream_write(d, data, 10, e)) return false;
    return dimse_stream_end(d, e);
}

static bool send_to_a_peer_that_takes(int writes, int fd, size_t *sent, struct err *e) {
    static const struct net_ops GONE = {.read = fake_read, .writev = write_until_gone, .wait = fake_wait, .close = fake_close};
    const struct ul_timers timers = {.artim = 50, .pdu = 50, .idle = 50};
    const struct ul_acceptor how = {.choose = accept_all, .async_max = 4};
    struct buf in;
    struct fake_conn f;
    struct dimse d;
    struct arena scratch;
    struct pdu_associate rq;
    buf_init(&in, 1 << 20);
    put_request(&in, 4096);
    fake_conn_init(&f, in.p, in.n, 4096);
    f.conn.ops = &GONE;
    writes_left = writes;
    arena_init(&scratch, 4 << 20);
    dimse_init(&d);
    ul_init_acceptor(&d.ul, &f.conn, &timers);
    bool ok = ul_receive_request(&d.ul, &scratch, &rq, e) && ul_accept(&d.ul, &rq, &how, e) && send_all_kinds(&d, fd, e);
    *sent = f.out.n;
    dimse_deinit(&d, false);
    arena_deinit(&scratch);
    buf_deinit(&f.out);
    buf_deinit(&in);
    return ok;
}

static void a_peer_that_goes_at_any_write_is_an_error_and_nothing_else(void **state) {
    (void)state;
    size_t sent = 0;
    struct err e = {0};
    FILE *file = tmpfile();
    assert_true(file && ftruncate(fileno(file), 50000) == 0);
    int writes = 0;
    while (!send_to_a_peer_that_takes(writes, fileno(file), &sent, &e)) {
        assert_true(e.kind != ERR_NONE && e.message[0]);
        e = (struct err){0};
        assert_true(++writes < 1000);
    }
    assert_true(writes > 5 && sent > 650 * 1024);
    fclose(file);
}

// A peer that sends what it has and then the same PDU for ever.
static ssize_t read_for_ever(struct net_conn *c, void *p, size_t n) {
    static const uint8_t data[] = {PDU_DATA_TF, 0, 0, 0, 0, 8, 0, 0, 0, 4, 1, 0, 'x', 'y'};
    struct fake_conn *f = c->layer;
    uint8_t *to = p;
    if (f->in_at < f->in_n) return fake_read(c, p, n);
    for (size_t i = 0; i < n; i++) to[i] = data[(f->in_at++ - f->in_n) % sizeof data];
    return (ssize_t)n;
}

static void a_flood_holds_up_neither_release_nor_the_end_after_an_abort(void **state) {
    (void)state;
    static const struct net_ops FLOOD = {.read = read_for_ever, .writev = fake_writev, .wait = fake_wait, .close = fake_close};
    const struct ul_timers timers = {.artim = 50, .pdu = 50, .idle = 50};
    const struct ul_acceptor how = {.choose = accept_all, .async_max = 4};
    for (int aborting = 0; aborting < 2; aborting++) {
        struct buf in;
        struct fake_conn f;
        struct ul_assoc a;
        struct arena scratch;
        struct pdu_associate rq;
        struct err e = {0};
        buf_init(&in, 1 << 20);
        put_request(&in, 0);
        fake_conn_init(&f, in.p, in.n, 4096);
        f.conn.ops = &FLOOD;
        arena_init(&scratch, 4 << 20);
        int64_t begin = clock_mono_ms();
        ul_init_acceptor(&a, &f.conn, &timers);
        assert_true(ul_receive_request(&a, &scratch, &rq, &e) && ul_accept(&a, &rq, &how, &e));
        if (!aborting) assert_false(ul_release(&a, &e));
        if (!aborting) assert_int_equal(e.kind, ERR_TIMEOUT);
        ul_deinit(&a, false);                             // aborts, and waits for the peer to close
        assert_true(clock_mono_ms() - begin < 60 * 1000); // which it never does
        buf_deinit(&f.out);
        buf_deinit(&in);
        arena_deinit(&scratch);
    }
}

// What the acceptor sends last, and what its error says, for bytes given after an (optional) good request.
static void expect_end(bool associated, const void *bytes, size_t n, uint8_t last_type, uint8_t reason, const char *says) {
    struct buf in;
    struct fake_conn f;
    struct err e = {0};
    buf_init(&in, 1 << 20);
    if (associated) put_request(&in, 0);
    buf_add(&in, bytes, n);
    run_acceptor(&in, 4096, &f, &e);
    if (!strstr(e.message, says)) fail_msg("'%s' does not say '%s'", e.message, says);
    if (last_type) {
        assert_true(f.out.n >= 10);
        const uint8_t *p = (const uint8_t *)f.out.p + f.out.n - 10;
        assert_int_equal(p[0], last_type);
        assert_int_equal(p[9], reason);
    }
    buf_deinit(&f.out);
    buf_deinit(&in);
}

static void what_is_not_dicom_is_named(void **state) {
    (void)state;
    expect_end(false, "GET / HTTP/1.1\r\n\r\n", 18, PDU_ABORT, 0, "an HTTP request");
    expect_end(false, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11, PDU_ABORT, 0, "one side uses TLS");
    expect_end(false, "\x99\0\0\0\0\4xxxx", 10, PDU_ABORT, 0, "none of the standard's");
    expect_end(false, "\1\0\xff\xff\xff\xff", 6, PDU_ABORT, 0, "declares a length of 4294967295");
}

static void broken_fragments_end_the_association_with_the_reason(void **state) {
    (void)state;
    expect_end(true, "\4\0\0\0\0\6\0\0\0\1\1\3", 12, PDU_ABORT, PDU_ABORT_INVALID_PARAMETER, "a PDV declares 1 bytes");
    expect_end(true, "\4\0\0\0\0\6\0\0\0\3\1\3", 12, PDU_ABORT, PDU_ABORT_INVALID_PARAMETER, "a PDV declares 3 bytes");
    expect_end(true, "\4\0\0\0\0\6\0\0\0\2\3\3", 12, PDU_ABORT, PDU_ABORT_INVALID_PARAMETER, "not accepted");
    expect_end(true, "\4\0\0\0\0\6\0\0\0\2\1\2", 12, PDU_ABORT, PDU_ABORT_INVALID_PARAMETER, "a data set fragment comes where a command set should begin");
    expect_end(true, "\6\0\0\0\0\4\0\0\0\0", 10, PDU_ABORT, PDU_ABORT_UNEXPECTED_PDU, "A-RELEASE-RP in Sta6");
    expect_end(true, "\7\0\0\0\0\4\0\0\2\6", 10, 0, 0, "invalid PDU parameter");
    expect_end(true, "\5\0\0\0\0\5\0\0\0\0", 10, PDU_ABORT, PDU_ABORT_INVALID_PARAMETER, "declares a length of 5");
}

static void a_peer_that_takes_no_pdv_is_rejected(void **state) {
    (void)state;
    for (uint32_t max = 1; max < 10; max++) {
        struct buf in;
        struct fake_conn f;
        struct err e = {0};
        buf_init(&in, 1 << 20);
        put_request(&in, max);
        run_acceptor(&in, 4096, &f, &e);
        assert_int_equal((uint8_t)f.out.p[0], max < UL_LEAST_PDU_BYTES ? PDU_ASSOCIATE_RJ : PDU_ASSOCIATE_AC);
        buf_deinit(&f.out);
        buf_deinit(&in);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_table_is_that_of_the_standard),
        cmocka_unit_test(a_release_collision_depends_on_who_asked_for_the_association),
        cmocka_unit_test(an_associate_pdu_comes_back_as_it_was),
        cmocka_unit_test(what_is_wrong_with_a_request_is_said),
        cmocka_unit_test(every_cut_of_a_request_is_refused_without_harm),
        cmocka_unit_test(a_command_set_comes_back_as_it_was),
        cmocka_unit_test(each_operation_names_its_sop_class_where_the_standard_says),
        cmocka_unit_test(every_status_has_words),
        cmocka_unit_test(a_comment_fits_its_vr),
        cmocka_unit_test(a_peer_that_goes_at_any_write_is_an_error_and_nothing_else),
        cmocka_unit_test(messages_are_read_however_they_are_cut),
        cmocka_unit_test(a_flood_holds_up_neither_release_nor_the_end_after_an_abort),
        cmocka_unit_test(what_is_not_dicom_is_named),
        cmocka_unit_test(broken_fragments_end_the_association_with_the_reason),
        cmocka_unit_test(a_peer_that_takes_no_pdv_is_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
