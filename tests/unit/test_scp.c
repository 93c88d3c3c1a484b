// Behaviour of service class users and providers over real sockets: operations, limits, cancel, sub-operations, orderly stop.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "dimse/scp.h"
#include "dimse/send.h"

#define VERIFICATION "1.2.840.10008.1.1"
#define CT "1.2.840.10008.5.1.4.1.1.2"
#define STUDY_FIND "1.2.840.10008.5.1.4.1.2.2.1"
#define STUDY_GET "1.2.840.10008.5.1.4.1.2.2.3"

static void pause_ms(int ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

// ---- a provider that counts ----

struct provider {
    struct scp_server *server;
    atomic_uint stored, aborted, answers;
    atomic_uint_fast64_t bytes;
    atomic_uint_fast32_t sum;
    enum err_kind fail_write;
    int commit_ms;
    uint16_t get_status; // what the asker of a C-GET answered to our C-STORE
};

static bool admit(void *ctx, struct scp_session *s, const struct pdu_associate *rq, struct pdu_reject *why, struct err *e) {
    (void)ctx, (void)s;
    *why = PDU_REJECT_CALLED;
    return str_eqz(rq->called, "TEST") || err_set(e, ERR_FORBIDDEN, "test", "not called TEST");
}

static bool sink_begin(void *ctx, struct scp_request *rq, void **object, struct err *e) {
    (void)rq, (void)e;
    *object = ctx;
    return true;
}

static bool sink_write(void *ctx, void *object, const void *p, size_t n, struct err *e) {
    struct provider *v = ctx;
    (void)object;
    if (v->fail_write) return err_set(e, v->fail_write, "test", "no room");
    for (size_t i = 0; i < n; i++) v->sum += ((const uint8_t *)p)[i];
    v->bytes += n;
    return true;
}

static uint16_t sink_commit(void *ctx, struct scp_request *rq, void *object, struct err *e) {
    struct provider *v = ctx;
    (void)rq, (void)object, (void)e;
    pause_ms(v->commit_ms);
    v->stored++;
    return DIMSE_SUCCESS;
}

static void sink_abort(void *ctx, void *object) {
    (void)object;
    ((struct provider *)ctx)->aborted++;
}

static bool find(void *ctx, struct scp_request *rq, struct err *e) {
    struct provider *v = ctx;
    static const char item[] = {0x10, 0, 0x20, 0, 2, 0, 0, 0, '1', ' '}; // (0010,0020) "1 " in implicit VR little endian
    for (unsigned i = 0; i < 1000000; i++) {
        struct dimse_command rsp = dimse_response(&rq->command, DIMSE_PENDING);
        if (scp_cancelled(rq)) return scp_finish(rq, DIMSE_CANCEL, NULL, e);
        if (!scp_respond(rq, &rsp, item, sizeof item, e)) return false;
        v->answers++;
    }
    return scp_finish(rq, DIMSE_SUCCESS, NULL, e);
}

static bool get(void *ctx, struct scp_request *rq, struct err *e) {
    struct provider *v = ctx;
    struct dimse *d = &rq->session->d;
    const struct ul_context *c = dimse_context(d, CT, NULL, false);
    struct dimse_command rsp = {0};
    if (!c) return scp_finish(rq, DIMSE_CANNOT_SUBOPERATE, "no context", e);
    struct dimse_command store = dimse_store_request(d, c, "1.2.3", NULL, 0);
    if (!dimse_send(d, c->id, &store, "0123456789", 10, e)) return false;
    if (!scp_await_response(rq, store.message_id, clock_mono_ms() + 30000, &rsp, e)) return false;
    v->get_status = rsp.status;
    return scp_finish(rq, DIMSE_SUCCESS, NULL, e);
}

static const struct scp_sink SINK = {sink_begin, sink_write, sink_commit, sink_abort};
static const struct scp_service SERVICE = {.name = "all", .store = &SINK, .find = find, .get = get};

static void choose(void *ctx, struct scp_session *s, const struct pdu_context *proposed, const struct pdu_role *role, struct str extended,
                   struct ul_choice *out) {
    (void)ctx, (void)s, (void)extended;
    if (str_eqz(proposed->abstract_syntax, "1.2.3.4.5")) return;
    out->result = PDU_CONTEXT_ACCEPTED;
    out->scp = role && role->scp;
    out->service = &SERVICE;
}

static void start(struct provider *v, struct scp_config config) {
    struct err e = {0};
    log_set_level(LOG_ERROR);
    config.bind = "127.0.0.1";
    config.handlers = (struct scp_handlers){.ctx = v, .admit = admit, .choose = choose};
    if (!scp_start(&config, &v->server, &e)) fail_msg("%s", e.message);
}

static struct scu_target target_of(const struct provider *v, const char *aet) {
    struct scu_target t = {.host = "127.0.0.1", .port = scp_port(v->server)};
    snprintf(t.aet, sizeof t.aet, "%s", aet);
    return t;
}

static bool open_to(const struct provider *v, struct dimse *d, const char *aet, const char *const *classes, bool as_scp, struct err *e) {
    static const char *const IMPLICIT = "1.2.840.10008.1.2";
    struct arena a;
    struct scu_proposal *p = malloc(sizeof *p);
    struct scu_target t = target_of(v, aet);
    arena_init(&a, 1 << 20);
    scu_proposal_init(p, &a);
    for (; *classes; classes++) {
        scu_propose(p, *classes, &IMPLICIT, 1, e);
        if (as_scp) scu_propose_role(p, *classes, true, true, e);
    }
    bool ok = scu_open(d, &t, "UNIT", p, NULL, e);
    arena_deinit(&a);
    free(p);
    return ok;
}

static const char *const ECHO[] = {VERIFICATION, NULL};
static const char *const STORE[] = {CT, NULL};

static uint16_t echo(const struct provider *v, struct err *e) {
    struct dimse d;
    uint16_t status = 0xFFFF;
    if (open_to(v, &d, "TEST", ECHO, false, e)) scu_echo(&d, &status, e);
    scu_close(&d);
    return status;
}

// A file of n bytes, byte i being i % 251; deleted already.
static int a_file(size_t n, uint32_t *sum) {
    FILE *f = tmpfile();
    *sum = 0;
    for (size_t i = 0; i < n; i++) {
        putc((int)(i % 251), f);
        *sum += (uint32_t)(i % 251);
    }
    fflush(f);
    int fd = dup(fileno(f));
    fclose(f);
    return fd;
}

// ---- tests ----

static void an_echo_is_answered_and_a_wrong_title_is_told(void **state) {
    struct provider v = {0};
    struct dimse d;
    struct err e = {0};
    (void)state;
    start(&v, (struct scp_config){0});
    assert_int_equal(echo(&v, &e), 0);
    assert_false(open_to(&v, &d, "OTHER", ECHO, false, &e));
    assert_non_null(strstr(e.message, "called AE title not recognised (rejected-permanent)"));
    scu_close(&d);
    scp_stop(v.server);
}

static void a_context_that_is_refused_says_why(void **state) {
    static const char *const STRANGE[] = {"1.2.3.4.5", NULL};
    struct provider v = {0};
    struct dimse d;
    struct err e = {0};
    (void)state;
    start(&v, (struct scp_config){0});
    assert_true(open_to(&v, &d, "TEST", STRANGE, false, &e));
    assert_null(scu_context(&d, "1.2.3.4.5", &e));
    assert_non_null(strstr(e.message, "its SOP class is not supported"));
    scu_close(&d);
    scp_stop(v.server);
}

static void an_object_of_any_size_arrives_whole(void **state) {
    static const size_t SIZES[] = {2, 65534, 65536, 262130, 262138, 262140, 3000000};
    struct provider v = {0};
    struct dimse d;
    struct err e = {0};
    (void)state;
    start(&v, (struct scp_config){0});
    assert_true(open_to(&v, &d, "TEST", STORE, false, &e));
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        uint32_t sum;
        uint16_t status = 0xFFFF;
        int fd = a_file(SIZES[i] + 100, &sum);
        v.bytes = 0;
        assert_true(scu_store_file(&d, scu_context(&d, CT, &e), "1.2.3", NULL, 0, fd, 100, SIZES[i], &status, &e));
        assert_int_equal(status, 0);
        assert_int_equal(v.bytes, SIZES[i]);
        close(fd);
    }
    assert_int_equal(v.stored, sizeof SIZES / sizeof *SIZES);
    scu_close(&d);
    scp_stop(v.server);
}

static void a_failed_write_is_answered_and_the_association_goes_on(void **state) {
    struct provider v = {.fail_write = ERR_FULL};
    struct dimse d;
    struct err e = {0};
    uint32_t sum;
    uint16_t status;
    int fd = a_file(1000000, &sum);
    (void)state;
    start(&v, (struct scp_config){0});
    log_set_level(LOG_ERROR + 1);
    assert_true(open_to(&v, &d, "TEST", STORE, false, &e));
    assert_true(scu_store_file(&d, scu_context(&d, CT, &e), "1.2.3", NULL, 0, fd, 0, 1000000, &status, &e));
    assert_int_equal(status, 0xA700);
    v.fail_write = ERR_NONE;
    assert_true(scu_store_file(&d, scu_context(&d, CT, &e), "1.2.3", NULL, 0, fd, 0, 1000000, &status, &e));
    assert_int_equal(status, 0);
    assert_true(v.sum == sum && v.aborted == 1 && v.stored == 1);
    scu_close(&d);
    scp_stop(v.server);
    close(fd);
}

static void an_object_cut_short_is_dropped(void **state) {
    struct provider v = {0};
    struct dimse d;
    struct err e = {0};
    (void)state;
    start(&v, (struct scp_config){0});
    assert_true(open_to(&v, &d, "TEST", STORE, false, &e));
    const struct ul_context *c = scu_context(&d, CT, &e);
    struct dimse_command rq = dimse_store_request(&d, c, "1.2.3", NULL, 0);
    char bytes[1000] = {0};
    assert_true(dimse_stream_begin(&d, c->id, &rq, &e));
    for (int i = 0; i < 1000; i++) assert_true(dimse_stream_write(&d, bytes, sizeof bytes, &e));
    dimse_deinit(&d, true);
    scp_stop(v.server);
    assert_true(v.stored == 0 && v.aborted == 1);
}

static bool stop_after_ten(void *ctx, const struct dimse_command *rsp, const struct dcm_dataset *data, struct err *e) {
    (void)rsp, (void)data, (void)e;
    return ++*(unsigned *)ctx < 10;
}

static void a_query_ends_within_a_second_of_its_cancel(void **state) {
    static const char *const FIND[] = {STUDY_FIND, NULL};
    struct provider v = {0};
    struct dimse d;
    struct err e = {0};
    struct scu_result result;
    uint16_t id;
    unsigned seen = 0;
    (void)state;
    start(&v, (struct scp_config){0});
    assert_true(open_to(&v, &d, "TEST", FIND, false, &e));
    const struct ul_context *c = scu_context(&d, STUDY_FIND, &e);
    struct dimse_command rq = dimse_request(DIMSE_C_FIND, 0, STUDY_FIND);
    assert_true(scu_send(&d, c, &rq, NULL, &id, &e));
    assert_true(scu_run(&d, c, id, &(struct scu_events){.on_pending = stop_after_ten, .ctx = &seen}, &result, &e));
    assert_int_equal(result.status, 0xFE00);
    assert_true(v.answers < 1000000); // all that there are take far longer than a second
    uint16_t status = 1;
    assert_false(scu_echo(&d, &status, &e)); // no context for it: the association is whole all the same
    scu_close(&d);
    scp_stop(v.server);
}

enum { MANY = 60000 }; // more than lie between the two ends

static bool once(void *ctx, const struct dimse_command *rsp, const struct dcm_dataset *data, struct err *e) {
    (void)rsp, (void)data, (void)e;
    return ++*(unsigned *)ctx < MANY;
}

// PS3.7 9.3.2.3 gives C-CANCEL no data set, and an operation to cancel: a peer that declares one, for another operation, disturbs nothing.
static void a_cancel_that_carries_data_for_another_operation_is_passed_over(void **state) {
    static const char *const FIND[] = {STUDY_FIND, NULL};
    struct provider v = {0};
    struct dimse d;
    struct err e = {0};
    struct scu_result result;
    uint16_t id;
    unsigned seen = 0;
    (void)state;
    const int for_ever = 3600 * 1000; // who waits for more than there is has the whole test wait
    start(&v, (struct scp_config){.timers = {.artim = for_ever, .pdu = for_ever, .idle = for_ever}});
    assert_true(open_to(&v, &d, "TEST", FIND, false, &e));
    const struct ul_context *c = scu_context(&d, STUDY_FIND, &e);
    struct dimse_command rq = dimse_request(DIMSE_C_FIND, 0, STUDY_FIND);
    struct dimse_command stray = {.has = DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID, .field = DIMSE_C_CANCEL, .responded_id = 77};
    assert_true(scu_send(&d, c, &rq, NULL, &id, &e));
    assert_true(dimse_stream_begin(&d, c->id, &stray, &e));
    pause_ms(200); // the provider looks for a cancel meanwhile, and finds one whose data has not come
    assert_true(dimse_stream_write(&d, "12345678", 8, &e) && dimse_stream_end(&d, &e));
    assert_true(scu_run(&d, c, id, &(struct scu_events){.on_pending = once, .ctx = &seen}, &result, &e));
    assert_int_equal(result.status, 0xFE00);
    assert_true(seen >= MANY); // until it was cancelled by its own
    scu_close(&d);
    scp_stop(v.server);
}

static bool take_object(void *ctx, struct dimse *d, const struct ul_context *c, const struct dimse_command *rq, uint16_t *status, struct err *e) {
    struct buf *b = ctx;
    bool over;
    assert_string_equal(c->abstract_syntax, CT);
    assert_string_equal(rq->affected_instance, "1.2.3");
    *status = 0xB000;
    return dimse_data_all(d, b, &over, e);
}

static void an_asker_that_takes_the_scp_role_gets_the_object(void **state) {
    static const char *const GET[] = {STUDY_GET, CT, NULL};
    struct provider v = {0};
    struct dimse d;
    struct err e = {0};
    struct scu_result result;
    struct buf b;
    uint16_t id;
    (void)state;
    start(&v, (struct scp_config){0});
    for (int as_scp = 0; as_scp < 2; as_scp++) {
        buf_init(&b, 1000);
        assert_true(open_to(&v, &d, "TEST", GET, as_scp, &e));
        const struct ul_context *c = scu_context(&d, STUDY_GET, &e);
        struct dimse_command rq = dimse_request(DIMSE_C_GET, 0, STUDY_GET);
        assert_true(scu_send(&d, c, &rq, NULL, &id, &e));
        assert_true(scu_run(&d, c, id, &(struct scu_events){.on_store = take_object, .ctx = &b}, &result, &e));
        assert_int_equal(result.status, as_scp ? 0 : 0xA702);
        assert_true(str_eqz(buf_str(&b), as_scp ? "0123456789" : ""));
        scu_close(&d);
        buf_deinit(&b);
    }
    assert_int_equal(v.get_status, 0xB000);
    scp_stop(v.server);
}

static void too_many_associations_are_told_so(void **state) {
    struct provider v = {0};
    struct dimse d[4];
    struct err e = {0};
    (void)state;
    start(&v, (struct scp_config){.associations_max = 3, .per_peer_max = 3});
    log_set_level(LOG_ERROR + 1);
    for (int i = 0; i < 3; i++) assert_true(open_to(&v, &d[i], "TEST", ECHO, false, &e));
    assert_false(open_to(&v, &d[3], "TEST", ECHO, false, &e));
    assert_non_null(strstr(e.message, "local limit exceeded (rejected-transient"));
    assert_int_equal(e.kind, ERR_BUSY);
    scu_close(&d[3]);
    scu_close(&d[0]);
    int status = -1;
    for (int i = 0; i < 1000 && status != 0; i++, pause_ms(status ? 20 : 0)) status = echo(&v, &e); // there is room again
    assert_int_equal(status, 0);
    scu_close(&d[1]);
    scu_close(&d[2]);
    scp_stop(v.server);
}

static void silent_and_slow_peers_are_let_go(void **state) {
    struct provider v = {0};
    struct dimse d;
    struct err e = {0};
    struct net_conn conn;
    char byte;
    size_t got;
    (void)state;
    start(&v, (struct scp_config){.timers = {.artim = 2000, .pdu = 2000, .idle = 2000}});
    log_set_level(LOG_ERROR + 1);
    assert_true(net_connect(&conn, "127.0.0.1", scp_port(v.server), clock_mono_ms() + 30000, &e)); // says nothing
    assert_int_equal(net_read(&conn, &byte, 1, false, clock_mono_ms() + 30000, &got, &e), NET_EOF);
    net_close(&conn);
    assert_true(net_connect(&conn, "127.0.0.1", scp_port(v.server), clock_mono_ms() + 30000, &e)); // half a header
    assert_true(net_write(&conn, "\1\0\0", 3, clock_mono_ms() + 30000, &e));
    assert_int_equal(net_read(&conn, &byte, 1, false, clock_mono_ms() + 30000, &got, &e), NET_EOF);
    net_close(&conn);
    bool open = false; // a busy machine may let the timers run out before
    for (int i = 0; i < 20 && !open; i++) {
        open = open_to(&v, &d, "TEST", ECHO, false, &e);
        if (!open) scu_close(&d);
    }
    assert_true(open); // associated, then silent
    assert_int_equal(net_read(&d.ul.conn, &byte, 1, false, clock_mono_ms() + 30000, &got, &e), NET_OK);
    assert_int_equal(byte, PDU_ABORT);
    scu_close(&d);
    scp_stop(v.server);
}

static void *stop_server(void *arg) {
    scp_stop(((struct provider *)arg)->server);
    return NULL;
}

static void stopping_finishes_what_is_under_way(void **state) {
    struct provider v = {.commit_ms = 500};
    struct dimse d, idle, late;
    struct err e = {0};
    pthread_t thread;
    uint32_t sum;
    uint16_t status = 0xFFFF;
    int fd = a_file(100000, &sum);
    (void)state;
    start(&v, (struct scp_config){0});
    assert_true(open_to(&v, &d, "TEST", STORE, false, &e));
    assert_true(open_to(&v, &idle, "TEST", ECHO, false, &e));
    const struct ul_context *c = scu_context(&d, CT, &e);
    struct dimse_command rq = dimse_store_request(&d, c, "1.2.3", NULL, 0), rsp;
    assert_true(dimse_stream_begin(&d, c->id, &rq, &e) && dimse_stream_file(&d, fd, 0, 100000, true, &e) && dimse_stream_end(&d, &e));
    pause_ms(100);
    pthread_create(&thread, NULL, stop_server, &v);
    bool refused = false;
    while (!refused) {
        assert_true(scu_echo(&idle, &status, &e) && status == 0); // at work: it goes on ...
        refused = !open_to(&v, &late, "TEST", ECHO, false, &e);   // ... but nothing new is begun
        scu_close(&late);
    }
    assert_true(scu_response(&d, rq.message_id, &rsp, NULL, &e)); // answered although the stop has begun
    assert_int_equal(rsp.status, 0);
    int rests = 0;
    do pause_ms(1500);
    while (scu_echo(&idle, &status, &e) && ++rests < 20);
    assert_true(rests < 20); // it rested
    scu_close(&idle);
    scu_close(&d);
    pthread_join(thread, NULL);
    assert_int_equal(v.stored, 1);
    close(fd);
}

static void a_target_is_read_or_refused_with_the_reason(void **state) {
    struct scu_target t;
    struct err e = {0};
    (void)state;
    assert_true(scu_target_parse(STR_LIT("PACS@host.example:104"), &t, &e) && t.port == 104 && strcmp(t.aet, "PACS") == 0 &&
                strcmp(t.host, "host.example") == 0);
    assert_true(scu_target_parse(STR_LIT("PACS@10.0.0.1"), &t, &e) && t.port == 11112);
    assert_true(scu_target_parse(STR_LIT("PACS@[::1]:4242"), &t, &e) && t.port == 4242 && strcmp(t.host, "::1") == 0);
    assert_false(scu_target_parse(STR_LIT("host:104"), &t, &e));
    assert_false(scu_target_parse(STR_LIT("A@b:0"), &t, &e));
    assert_false(scu_target_parse(STR_LIT("A@b:65536"), &t, &e));
    assert_false(scu_target_parse(STR_LIT("SEVENTEEN_LETTERS@b:1"), &t, &e));
    assert_false(scu_target_parse(STR_LIT("A@"), &t, &e));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_echo_is_answered_and_a_wrong_title_is_told),
        cmocka_unit_test(a_context_that_is_refused_says_why),
        cmocka_unit_test(an_object_of_any_size_arrives_whole),
        cmocka_unit_test(a_failed_write_is_answered_and_the_association_goes_on),
        cmocka_unit_test(an_object_cut_short_is_dropped),
        cmocka_unit_test(a_query_ends_within_a_second_of_its_cancel),
        cmocka_unit_test(a_cancel_that_carries_data_for_another_operation_is_passed_over),
        cmocka_unit_test(an_asker_that_takes_the_scp_role_gets_the_object),
        cmocka_unit_test(too_many_associations_are_told_so),
        cmocka_unit_test(silent_and_slow_peers_are_let_go),
        cmocka_unit_test(stopping_finishes_what_is_under_way),
        cmocka_unit_test(a_target_is_read_or_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
