// Behaviour of the HTTP server behind TLS: whose certificate a request came with, whatever else comes at the same time; ceilings and pace of connections.
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
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/server.h"
#include "net/pace.h"
#include "net/tls.h"
#include "tls_files.h"

enum { THREADS = 4, ROUNDS = 40, ANSWER_MAX = 4096 };

static struct tls_files files;

static int set_up(void **state) {
    (void)state;
    log_set_level(LOG_ERROR);
    tls_files_make(&files);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tls_files_remove(&files);
    return 0;
}

// ---- a server that says who asks ----

static bool who(struct http_request *rq, struct http_response *rs, struct err *e) {
    const char *subject = !rq->tls ? "plain" : rq->tls->certified ? rq->tls->subject : "nobody";
    char *text = arena_printf(rq->arena, e, "<%s %.*s %.*s>", subject, STR_FMT(rq->address), STR_FMT(http_base(rq)));
    if (text) http_reply_text(rs, 200, "text/plain", str_of(text));
    return text;
}

static const struct http_route ROUTES[] = {{.method = HTTP_GET, .permission = 1, .pattern = "/who", .handle = who}, {.pattern = NULL}};
static const struct http_mount MOUNTS[] = {{"", ROUTES, NULL}, {.routes = NULL}};

struct served {
    struct net_tls *tls, *client, *nobody;
    struct http_server *http;
};

static void serve(struct served *s, struct http_options o) {
    struct err e = {0};
    s->tls = tls_open(&(struct net_tls_options){
        .server = true, .cert = files.server_cert, .key = files.server_key, .ca = files.ca, .clients = NET_TLS_CLIENTS_ASKED, .alpn = "http/1.1"});
    s->client = tls_open(&(struct net_tls_options){.cert = files.client_cert, .key = files.client_key, .ca = files.ca});
    s->nobody = tls_open(&(struct net_tls_options){.ca = files.ca});
    o.address = "127.0.0.1";
    o.mounts = MOUNTS;
    o.tls = s->tls;
    if (!http_server_start(&o, &s->http, &e)) fail_msg("%s", e.message);
}

static void stop(struct served *s) {
    http_server_stop(s->http, 1000);
    net_tls_close(s->tls);
    net_tls_close(s->client);
    net_tls_close(s->nobody);
}

// tls NULL: in plain. false: the server did not answer.
static bool ask(uint16_t port, struct net_tls *tls, char answer[ANSWER_MAX]) {
    static const char REQUEST[] = "GET /who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct net_conn c;
    size_t n = 0, got;
    *answer = '\0';
    if (!net_connect(&c, "127.0.0.1", port, tls_late(), NULL)) return false;
    bool ok = (!tls || net_tls_connect(tls, &c, "localhost", tls_late(), NULL, NULL)) && net_write(&c, REQUEST, sizeof REQUEST - 1, tls_late(), NULL);
    while (ok && n < ANSWER_MAX - 1 && net_read(&c, answer + n, ANSWER_MAX - 1 - n, false, tls_late(), &got, NULL) == NET_OK) n += got;
    answer[n] = '\0';
    net_close(&c);
    return n > 0;
}

static void a_request_comes_with_its_client_s_certificate_and_address(void **state) {
    struct served s;
    char answer[ANSWER_MAX];
    (void)state;
    serve(&s, (struct http_options){.plain_too = true});
    assert_true(ask(http_server_port(s.http), s.client, answer));
    assert_non_null(strstr(answer, "<CN=CT1"));
    assert_non_null(strstr(answer, " 127.0.0.1 https://localhost>"));
    assert_true(ask(http_server_port(s.http), s.nobody, answer));
    assert_non_null(strstr(answer, "<nobody 127.0.0.1 https://localhost>"));
    assert_true(ask(http_server_plain_port(s.http), NULL, answer));
    assert_non_null(strstr(answer, "<plain 127.0.0.1 http://localhost>"));
    stop(&s);
}

struct asker {
    struct served *server;
    unsigned kind;
    atomic_uint wrong, right;
};

static void *ask_often(void *arg) {
    struct asker *a = arg;
    static const char *const WANT[] = {"<CN=CT1", "<nobody", "<plain"};
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned kind = (a->kind + i) % 3;
        char answer[ANSWER_MAX];
        uint16_t port = kind == 2 ? http_server_plain_port(a->server->http) : http_server_port(a->server->http);
        bool ok = ask(port, kind == 0 ? a->server->client : kind == 1 ? a->server->nobody : NULL, answer) && strstr(answer, WANT[kind]);
        ++*(ok ? &a->right : &a->wrong);
    }
    return NULL;
}

static void no_request_is_ever_taken_for_another_s(void **state) {
    struct served s;
    struct asker all[THREADS] = {0};
    pthread_t threads[THREADS];
    (void)state;
    serve(&s, (struct http_options){.plain_too = true});
    for (unsigned i = 0; i < THREADS; i++) {
        all[i].server = &s;
        all[i].kind = i;
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &all[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(all[i].wrong, 0);
        assert_int_equal(all[i].right, ROUNDS);
    }
    stop(&s);
}

static void an_address_has_no_more_connections_than_it_may(void **state) {
    enum { MOST = 3 };
    struct served s;
    struct net_conn held[MOST], more;
    size_t got;
    char c;
    (void)state;
    serve(&s, (struct http_options){.per_address_max = MOST, .plain_too = true});
    for (unsigned kind = 0; kind < 2; kind++) {
        uint16_t port = kind ? http_server_plain_port(s.http) : http_server_port(s.http);
        for (unsigned i = 0; i < MOST; i++) {
            assert_true(net_connect(&held[i], "127.0.0.1", port, tls_late(), NULL));
            if (!kind) assert_true(net_tls_connect(s.client, &held[i], "localhost", tls_late(), NULL, NULL));
        }
        struct http_figures f = {0};
        for (http_server_figures(s.http, &f); f.connections < MOST; http_server_figures(s.http, &f))
            usleep(1000); // the plain ones are taken by a thread of its own
        assert_true(net_connect(&more, "127.0.0.1", port, tls_late(), NULL));
        assert_int_equal(net_read(&more, &c, 1, false, tls_late(), &got, NULL), NET_EOF);
        net_close(&more);
        for (unsigned i = 0; i < MOST; i++) net_close(&held[i]);
        for (http_server_figures(s.http, &f); f.connections > 0; http_server_figures(s.http, &f)) usleep(1000);
        assert_int_equal(f.refused_total, kind + 1);
    }
    stop(&s);
}

static void a_proxy_for_many_may_have_all(void **state) {
    static const char *const PROXIES[] = {"127.0.0.0/8"};
    struct served s;
    struct net_conn held[4];
    (void)state;
    serve(&s, (struct http_options){.per_address_max = 1, .trusted_proxies = PROXIES, .trusted_proxy_count = 1});
    for (unsigned i = 0; i < 4; i++) {
        assert_true(net_connect(&held[i], "127.0.0.1", http_server_port(s.http), tls_late(), NULL));
        assert_true(net_tls_connect(s.client, &held[i], "localhost", tls_late(), NULL, NULL));
    }
    for (unsigned i = 0; i < 4; i++) net_close(&held[i]);
    stop(&s);
}

// The client is done with the handshake before the server is: some are brought to it while it goes down.
static void a_server_goes_down_while_connections_come(void **state) {
    enum { TIMES = 10, AT_ONCE = 6 };
    (void)state;
    for (unsigned i = 0; i < TIMES; i++) {
        struct served s;
        struct net_conn held[AT_ONCE];
        serve(&s, (struct http_options){.per_address_max = AT_ONCE});
        for (unsigned k = 0; k < AT_ONCE; k++) {
            assert_true(net_connect(&held[k], "127.0.0.1", http_server_port(s.http), tls_late(), NULL));
            assert_true(net_tls_connect(s.client, &held[k], "localhost", tls_late(), NULL, NULL));
        }
        http_server_stop(s.http, 0);
        for (unsigned k = 0; k < AT_ONCE; k++) net_close(&held[k]);
        net_tls_close(s.tls);
        net_tls_close(s.client);
        net_tls_close(s.nobody);
    }
}

// ---- pace ----

static unsigned taken_of(struct net_pace *p, const char *address, unsigned tries, unsigned *told) {
    unsigned taken = 0;
    *told = 0;
    for (unsigned i = 0; i < tries; i++) {
        bool tell;
        taken += net_pace_take(p, address, &tell);
        *told += tell;
    }
    return taken;
}

static void each_address_has_its_own_pace_and_is_told_of_once(void **state) {
    struct net_pace *p;
    unsigned told;
    (void)state;
    assert_true(net_pace_open(2, &p, NULL));
    const int64_t start_ms = clock_mono_ms();
    unsigned taken = taken_of(p, "192.0.2.1", 1000, &told);
    const int64_t most = 2 * NET_PACE_BURST_S + 2 * (clock_mono_ms() - start_ms + 1000) / 1000 + 1;
    assert_true(taken >= 2 * NET_PACE_BURST_S && taken <= most);
    assert_int_equal(told, 1);
    assert_true(taken_of(p, "192.0.2.2", 1, &told) == 1); // another's does not suffer
    assert_true(taken_of(p, "2001:db8:1:2::1", 1000, &told) < 1000);
    assert_true(taken_of(p, "2001:db8:1:2:ffff::9", 1000, &told) < 100); // the same /64
    assert_true(taken_of(p, "2001:db8:1:3::1", 1, &told) == 1);
    assert_true(taken_of(p, "127.0.0.1", 1000, &told) < 1000); // told to count, it counts everybody
    net_pace_close(p);
}

static void this_machine_is_spared_when_nobody_has_set_a_pace(void **state) {
    struct net_pace *p;
    unsigned told;
    (void)state;
    assert_true(net_pace_open(0, &p, NULL));
    assert_int_equal(taken_of(p, "127.0.0.1", 100000, &told), 100000);
    assert_int_equal(taken_of(p, "::1", 100000, &told), 100000);
    assert_true(taken_of(p, "192.0.2.1", 100000, &told) < 100000);
    net_pace_close(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_with_its_client_s_certificate_and_address),
        cmocka_unit_test(no_request_is_ever_taken_for_another_s),
        cmocka_unit_test(an_address_has_no_more_connections_than_it_may),
        cmocka_unit_test(a_proxy_for_many_may_have_all),
        cmocka_unit_test(a_server_goes_down_while_connections_come),
        cmocka_unit_test(each_address_has_its_own_pace_and_is_told_of_once),
        cmocka_unit_test(this_machine_is_spared_when_nobody_has_set_a_pace),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
