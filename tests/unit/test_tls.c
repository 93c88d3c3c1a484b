// Behaviour of TLS over real sockets: who is let in, what each side is told, certificates that change, peers that do not speak it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the four above first
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/relay.h"
#include "net/tls.h"
#include "tls_files.h"

enum { LONG_MS = 60 * 1000, MUCH = 3 * 1000 * 1000 };

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

static struct net_tls_options server_options(void) {
    return (struct net_tls_options){
        .server = true, .cert = files.server_cert, .key = files.server_key, .ca = files.ca, .clients = NET_TLS_CLIENTS_REQUIRED, .alpn = "http/1.1"};
}

static struct net_tls_options client_options(void) {
    return (struct net_tls_options){.cert = files.client_cert, .key = files.client_key, .ca = files.ca};
}

// ---- one server that answers one connection ----

struct side {
    struct net_tls *tls;
    int listener;
    uint16_t port;
    int handshake_ms;
    pthread_t thread;
    // what became of it
    bool ok;
    enum net_tls_fault fault;
    struct net_tls_info info;
    struct err e;
    char first[8];
};

// Says in plain what a plain peer would say.
static void *answer(void *arg) {
    struct side *s = arg;
    struct net_conn c;
    size_t got;
    assert_int_equal(net_accept(s->listener, -1, &c, &s->e), NET_OK);
    s->ok = net_tls_accept(s->tls, &c, clock_mono_ms() + s->handshake_ms, &s->fault, &s->e);
    if (s->ok) {
        s->info = *net_tls_info(&c);
        enum net_status st = net_read(&c, s->first, sizeof s->first - 1, false, tls_late(), &got, &s->e);
        if (st == NET_OK) net_write(&c, "pong", 4, tls_late(), &s->e);
    } else {
        net_linger(&c, clock_mono_ms() + 2000);
    }
    net_close(&c);
    return NULL;
}

static void begin(struct side *s, const struct net_tls_options *o) {
    *s = (struct side){.tls = tls_open(o), .handshake_ms = LONG_MS};
    s->listener = net_listen("127.0.0.1", 0, &s->port, &s->e);
    assert_true(s->listener >= 0);
    assert_int_equal(pthread_create(&s->thread, NULL, answer, s), 0);
}

static void end(struct side *s) {
    pthread_join(s->thread, NULL);
    close(s->listener);
    net_tls_close(s->tls);
}

static void call_plain(const struct side *s, struct net_conn *c) {
    struct err e = {0};
    if (!net_connect(c, "127.0.0.1", s->port, tls_late(), &e)) fail_msg("%s", e.message);
}

// A client that shakes hands, says "ping" and hears "pong".
static void call(struct side *to, const struct net_tls_options *o, const char *name, struct side *me) {
    struct net_conn c;
    char heard[8] = "";
    size_t got;
    *me = (struct side){.tls = tls_open(o)};
    call_plain(to, &c);
    me->ok = net_tls_connect(me->tls, &c, name, tls_late(), &me->fault, &me->e);
    if (me->ok) {
        me->info = *net_tls_info(&c);
        me->ok = net_write(&c, "ping", 4, tls_late(), &me->e) && net_read(&c, heard, 4, false, tls_late(), &got, &me->e) == NET_OK;
        if (me->ok) assert_string_equal(heard, "pong");
    }
    net_close(&c);
    net_tls_close(me->tls);
}

static void meet(const struct net_tls_options *server, const struct net_tls_options *client, const char *name, struct side *s, struct side *c) {
    begin(s, server);
    call(s, client, name, c);
    end(s);
}

// ---- who is let in ----

static void two_sides_with_certificates_of_one_authority_know_each_other(void **state) {
    struct net_tls_options so = server_options(), co = client_options();
    struct side s, c;
    (void)state;
    meet(&so, &co, "localhost", &s, &c);
    assert_true(s.ok && c.ok);
    assert_string_equal(s.first, "ping");
    assert_string_equal(s.info.protocol, "TLSv1.3");
    assert_string_equal(s.info.cipher, "TLS_AES_256_GCM_SHA384");
    assert_true(s.info.certified && c.info.certified);
    assert_non_null(strstr(s.info.subject, "CN=CT1"));
    assert_non_null(strstr(s.info.issuer, "CN=Hospital CA"));
    assert_int_equal(strlen(s.info.fingerprint), 64);
    assert_string_equal(c.info.names, "localhost 127.0.0.1 ::1");
    assert_true(c.info.until_s * 1000 > clock_wall_ms());
}

static void a_peer_of_tls_1_2_is_let_in_with_the_suites_of_rfc_9325(void **state) {
    struct net_tls_options so = server_options(), co = client_options();
    struct side s, c;
    (void)state;
    co.suites = "";
    meet(&so, &co, "127.0.0.1", &s, &c);
    assert_true(s.ok && c.ok);
    assert_string_equal(s.info.protocol, "TLSv1.2");
    assert_string_equal(s.info.cipher, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
}

static void who_shows_no_certificate_is_refused_where_one_is_required(void **state) {
    struct net_tls_options so = server_options(), co = client_options();
    struct side s, c;
    (void)state;
    co.cert = co.key = NULL;
    meet(&so, &co, "localhost", &s, &c);
    assert_false(s.ok || c.ok);
    assert_int_equal(s.fault, NET_TLS_MISSING);
    assert_non_null(strstr(s.e.message, "shows no certificate"));
    assert_non_null(strstr(c.e.message, "certificate required"));
}

static void who_shows_no_certificate_is_let_in_where_one_is_asked_for_but_not_certified(void **state) {
    struct net_tls_options so = server_options(), co = client_options();
    struct side s, c;
    (void)state;
    so.clients = NET_TLS_CLIENTS_ASKED;
    co.cert = co.key = NULL;
    meet(&so, &co, "localhost", &s, &c);
    assert_true(s.ok && c.ok);
    assert_false(s.info.certified);
    assert_string_equal(s.info.subject, "");
    assert_string_equal(s.info.fingerprint, "");
}

static void a_certificate_of_another_authority_is_refused_even_where_none_is_required(void **state) {
    struct net_tls_options so = server_options(), co = client_options();
    struct side s, c;
    (void)state;
    co.cert = files.stranger_cert;
    co.key = files.stranger_key;
    for (int i = 0; i < 2; i++) {
        so.clients = i ? NET_TLS_CLIENTS_ASKED : NET_TLS_CLIENTS_REQUIRED;
        meet(&so, &co, "localhost", &s, &c);
        assert_false(s.ok || c.ok);
        assert_int_equal(s.fault, NET_TLS_UNTRUSTED);
        assert_non_null(strstr(s.e.message, "CN=CT1"));
        assert_non_null(strstr(c.e.message, "unknown ca"));
    }
}

static void a_server_of_another_authority_is_not_called(void **state) {
    struct net_tls_options so = server_options(), co = client_options();
    struct side s, c;
    (void)state;
    co.ca = files.stranger_ca;
    meet(&so, &co, "localhost", &s, &c);
    assert_false(s.ok || c.ok);
    assert_int_equal(c.fault, NET_TLS_UNTRUSTED);
    assert_int_equal(s.fault, NET_TLS_REFUSED);
}

static void a_certificate_counts_for_the_names_that_stand_in_it_only(void **state) {
    struct net_tls_options so = server_options(), co = client_options();
    struct side s, c;
    (void)state;
    meet(&so, &co, "127.0.0.1", &s, &c);
    assert_true(c.ok);
    meet(&so, &co, "pacs", &s, &c); // its common name is no host
    assert_false(c.ok);
    assert_int_equal(c.fault, NET_TLS_UNTRUSTED);
    assert_non_null(strstr(c.e.message, "but for localhost 127.0.0.1"));
    meet(&so, &co, "127.0.0.2", &s, &c);
    assert_false(c.ok);
    meet(&so, &co, NET_TLS_ANY_NAME, &s, &c);
    assert_true(c.ok);
}

static void a_client_s_certificate_is_no_server_s(void **state) {
    struct net_tls_options so = server_options(), co = client_options();
    struct side s, c;
    (void)state;
    so.cert = files.client_cert;
    so.key = files.client_key;
    meet(&so, &co, NET_TLS_ANY_NAME, &s, &c);
    assert_false(c.ok);
    assert_int_equal(c.fault, NET_TLS_UNTRUSTED);
}

// ---- who does not speak it ----

static enum net_tls_fault fault_of_words(const char *words, size_t n) {
    struct net_tls_options so = server_options();
    struct net_conn c;
    struct side s;
    begin(&s, &so);
    call_plain(&s, &c);
    assert_true(net_write(&c, words, n, tls_late(), NULL));
    shutdown(c.fd, SHUT_WR);
    end(&s);
    net_close(&c);
    assert_false(s.ok);
    return s.fault;
}

static void a_plain_peer_is_recognised_by_what_it_says_first(void **state) {
    static const char REQUEST[] = "\1\0\0\0\0\316\0\1\0\0ARCHIVE         MODALITY        ";
    (void)state;
    assert_int_equal(fault_of_words(REQUEST, sizeof REQUEST - 1), NET_TLS_PLAIN_DICOM);
    assert_int_equal(fault_of_words("GET / HTTP/1.1\r\n\r\n", 18), NET_TLS_PLAIN_HTTP);
    assert_int_equal(fault_of_words("SSH-2.0-OpenSSH_9.2\r\n", 21), NET_TLS_PLAIN_OTHER);
    assert_int_equal(fault_of_words("", 0), NET_TLS_CLOSED);
}

// A server without TLS: it answers the first bytes with words of its own, or closes.
struct plain {
    int listener;
    uint16_t port;
    struct str words;
};

static void *answer_plain(void *arg) {
    const struct plain *p = arg;
    struct net_conn c;
    char in[512];
    size_t got;
    assert_int_equal(net_accept(p->listener, -1, &c, NULL), NET_OK);
    assert_int_equal(net_read(&c, in, sizeof in, false, tls_late(), &got, NULL), NET_OK);
    if (p->words.n) assert_true(net_write(&c, p->words.p, p->words.n, tls_late(), NULL));
    net_linger(&c, tls_late());
    net_close(&c);
    return NULL;
}

static enum net_tls_fault fault_of_server(struct str words, struct err *e) {
    struct net_tls_options co = client_options();
    struct plain p = {.words = words};
    struct net_conn c;
    pthread_t thread;
    enum net_tls_fault fault;
    struct net_tls *t = tls_open(&co);
    p.listener = net_listen("127.0.0.1", 0, &p.port, NULL);
    assert_int_equal(pthread_create(&thread, NULL, answer_plain, &p), 0);
    assert_true(net_connect(&c, "127.0.0.1", p.port, tls_late(), NULL));
    assert_false(net_tls_connect(t, &c, "localhost", tls_late(), &fault, e));
    net_close(&c);
    pthread_join(thread, NULL);
    close(p.listener);
    net_tls_close(t);
    return fault;
}

static void a_server_without_tls_is_recognised_by_its_answer(void **state) {
    struct err e = {0};
    (void)state;
    assert_int_equal(fault_of_server((struct str){"\7\0\0\0\0\4\0\0\2\1", 10}, &e), NET_TLS_PLAIN_DICOM);
    assert_non_null(strstr(e.message, "A-ABORT came where TLS was expected"));
    assert_int_equal(fault_of_server(STR_LIT("HTTP/1.1 400 Bad Request\r\n\r\n"), &e), NET_TLS_PLAIN_HTTP);
    assert_int_equal(fault_of_server((struct str){NULL, 0}, &e), NET_TLS_CLOSED);
    assert_non_null(strstr(e.message, "may speak none on this port"));
}

static void who_says_nothing_is_let_go_at_the_deadline(void **state) {
    struct net_tls_options so = server_options();
    struct net_conn c, accepted;
    struct err e = {0};
    enum net_tls_fault fault;
    uint16_t port;
    struct net_tls *t = tls_open(&so);
    int listener = net_listen("127.0.0.1", 0, &port, NULL);
    (void)state;
    assert_true(net_connect(&c, "127.0.0.1", port, tls_late(), NULL));
    assert_int_equal(net_accept(listener, -1, &accepted, NULL), NET_OK);
    assert_false(net_tls_accept(t, &accepted, clock_mono_ms() + 20, &fault, &e));
    assert_int_equal(fault, NET_TLS_LATE);
    assert_int_equal(e.kind, ERR_TIMEOUT);
    // a server that stops waits for nobody
    for (unsigned i = 0; i < 2; i++) {
        int *wake = i ? &accepted.halt : &accepted.wake;
        *wake = net_wake_open(NULL);
        net_wake(*wake);
        assert_false(net_tls_accept(t, &accepted, tls_late(), &fault, &e));
        close(*wake);
        *wake = -1;
    }
    net_close(&accepted);
    net_close(&c);
    close(listener);
    net_tls_close(t);
}

// ---- looking ----

static void look_at(const struct net_tls_probe_ask *ask, struct arena *a, struct net_tls_probe *out) {
    struct net_tls_options so = server_options();
    struct net_conn c;
    struct err e = {0};
    struct side s;
    begin(&s, &so);
    call_plain(&s, &c);
    if (!net_tls_probe(&c, ask, tls_late(), a, out, &e)) fail_msg("%s", e.message);
    net_close(&c);
    end(&s);
}

static void a_look_tells_versions_chain_and_what_is_asked_for(void **state) {
    struct net_tls_probe p;
    struct arena a;
    (void)state;
    arena_init(&a, 1 << 20);
    look_at(&(struct net_tls_probe_ask){.version_min = 0x0301, .version_max = 0x0304}, &a, &p);
    assert_true(p.done && p.asked_certificate);
    assert_int_equal(p.version, 0x0304);
    assert_int_equal(p.how, NET_TLS_PROBE_ALERT); // it wanted a certificate
    assert_int_equal(p.alert, 116);
    assert_true(p.chain_count >= 1);
    struct cert leaf;
    assert_true(cert_from_der(&a, p.chain[0], &leaf, NULL));
    assert_string_equal(leaf.common_name, "pacs");
    look_at(&(struct net_tls_probe_ask){.version_min = 0x0301, .version_max = 0x0304, .cert = files.client_cert, .key = files.client_key}, &a, &p);
    assert_int_equal(p.how, NET_TLS_PROBE_OK);
    look_at(&(struct net_tls_probe_ask){.version_min = 0x0301, .version_max = 0x0302}, &a, &p);
    assert_false(p.done);
    assert_int_equal(p.how, NET_TLS_PROBE_ALERT);
    assert_int_equal(p.alert, 70);
    arena_deinit(&a);
}

// ---- certificates that change ----

static void fingerprint_of_server(struct net_tls *server, char to[65]) {
    struct net_tls_options co = client_options();
    struct side s = {.tls = server, .handshake_ms = LONG_MS}, c;
    s.listener = net_listen("127.0.0.1", 0, &s.port, NULL);
    assert_int_equal(pthread_create(&s.thread, NULL, answer, &s), 0);
    call(&s, &co, "localhost", &c);
    pthread_join(s.thread, NULL);
    close(s.listener);
    assert_true(s.ok && c.ok);
    memcpy(to, c.info.fingerprint, 65);
}

static void a_renewed_certificate_is_shown_without_a_restart(void **state) {
    struct net_tls_options so = server_options();
    struct net_tls *t = tls_open(&so);
    char before[65], after[65], last[65];
    struct err e = {0};
    (void)state;
    tls_files_renew_server(&files); // before the first connection, which looks at the files
    fingerprint_of_server(t, before);
    tls_files_renew_server(&files);
    assert_true(net_tls_reload(t, &e));
    fingerprint_of_server(t, after);
    assert_string_not_equal(before, after);
    struct net_tls *fresh = tls_open(&so);
    fingerprint_of_server(fresh, last);
    assert_string_equal(after, last);
    net_tls_close(fresh);
    net_tls_close(t);
}

static void a_broken_file_leaves_the_old_certificate_in_use(void **state) {
    struct net_tls_options so = server_options();
    struct net_tls *t = tls_open(&so);
    char before[65], after[65];
    struct err e = {0};
    (void)state;
    fingerprint_of_server(t, before);
    tls_files_write(files.server_cert, STR_LIT("half a certifi"));
    log_set_level(LOG_ERROR);
    assert_false(net_tls_reload(t, &e));
    fingerprint_of_server(t, after);
    assert_string_equal(before, after);
    tls_files_renew_server(&files);
    assert_true(net_tls_reload(t, &e));
    net_tls_close(t);
}

// ---- what is wrong with options ----

static void assert_refused(const struct net_tls_options *o, const char *words) {
    struct net_tls *t;
    struct err e = {0};
    assert_false(net_tls_open(o, &t, &e));
    assert_int_equal(e.kind, ERR_USAGE);
    if (!strstr(e.message, words)) fail_msg("'%s' does not say '%s'", e.message, words);
}

static void what_is_wrong_with_the_options_is_told(void **state) {
    struct net_tls_options o = server_options();
    (void)state;
    o.key = files.client_key;
    assert_refused(&o, "is not the key of certificate");
    o.key = "/nowhere/server.key";
    assert_refused(&o, "key /nowhere/server.key: No such file or directory");
    o.key = files.server_cert;
    assert_refused(&o, "key ");
    o = server_options();
    o.ca = NULL;
    assert_refused(&o, "no authority (ca)");
    o = server_options();
    o.ciphers = "ECDHE-RSA-AES128-GCM-SHA256:NO-SUCH-CIPHER";
    assert_refused(&o, "ciphers: 'NO-SUCH-CIPHER' is not offered by this machine's OpenSSL");
    o = server_options();
    o.groups = "X25519:sect9r1";
    assert_refused(&o, "groups: 'sect9r1'");
    o = server_options();
    o.ciphers = o.suites = "";
    assert_refused(&o, "nothing is left");
}

static void the_gm_profile_is_offered_where_openssl_has_it_and_else_refused_with_words(void **state) {
    struct net_tls_options o = server_options();
    struct net_tls *t = NULL;
    struct err e = {0};
    (void)state;
    o.profile = NET_TLS_GM;
    if (net_tls_open(&o, &t, &e)) return net_tls_close(t);
    assert_non_null(strstr(e.message, "profile gm: suites: 'TLS_SM4_GCM_SM3' is not offered by this machine's OpenSSL"));
}

// ---- bytes ----

struct flood {
    struct net_conn c;
    uint8_t *p;
};

static void *send_much(void *arg) {
    struct flood *f = arg;
    FILE *file = tmpfile();
    struct iovec head[2] = {{f->p, 12}, {f->p + 12, 1000}};
    assert_true(net_writev(&f->c, head, 2, true, tls_late(), NULL)); // short, and more follows
    assert_int_equal(fwrite(f->p, 1, MUCH, file), MUCH);
    fflush(file);
    assert_true(net_sendfile(&f->c, fileno(file), 1012, MUCH / 2 - 1012, tls_late(), NULL));
    assert_true(net_write(&f->c, f->p + MUCH / 2, MUCH - MUCH / 2, tls_late(), NULL));
    fclose(file);
    net_close(&f->c);
    return NULL;
}

// A pair of TLS connections.
static void pair_up(struct net_conn *a, struct net_conn *b, struct net_tls **at, struct net_tls **bt);

struct accepting {
    struct net_tls *tls;
    struct net_conn *c;
};

static void *accept_one(void *arg) {
    const struct accepting *x = arg;
    assert_true(net_tls_accept(x->tls, x->c, tls_late(), NULL, NULL));
    return NULL;
}

static void pair_up(struct net_conn *a, struct net_conn *b, struct net_tls **at, struct net_tls **bt) {
    struct net_tls_options so = server_options(), co = client_options();
    uint16_t port;
    pthread_t thread;
    int listener = net_listen("127.0.0.1", 0, &port, NULL);
    *at = tls_open(&so);
    *bt = tls_open(&co);
    assert_true(net_connect(b, "127.0.0.1", port, tls_late(), NULL));
    assert_int_equal(net_accept(listener, -1, a, NULL), NET_OK);
    close(listener);
    assert_int_equal(pthread_create(&thread, NULL, accept_one, &(struct accepting){*at, a}), 0);
    assert_true(net_tls_connect(*bt, b, "localhost", tls_late(), NULL, NULL));
    pthread_join(thread, NULL);
}

static uint8_t *much(void) {
    uint8_t *p = malloc(MUCH);
    uint32_t x = 7;
    for (size_t i = 0; i < MUCH; i++) p[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    return p;
}

static void all_bytes_arrive_in_order_whatever_the_reader_takes_at_a_time(void **state) {
    struct flood f = {.p = much()};
    struct net_tls *at, *bt;
    struct net_conn b;
    pthread_t thread;
    uint8_t *in = malloc(MUCH);
    size_t at_in = 0, got = 0, step = 1;
    enum net_status st;
    (void)state;
    pair_up(&f.c, &b, &at, &bt);
    assert_int_equal(pthread_create(&thread, NULL, send_much, &f), 0);
    while ((st = net_read(&b, in + at_in, step < MUCH - at_in ? step : MUCH - at_in, false, tls_late(), &got, NULL)) == NET_OK && at_in + got < MUCH) {
        at_in += got;
        step = step * 3 % 70001 + 1;
    }
    assert_int_equal(st, NET_OK);
    assert_memory_equal(in, f.p, MUCH);
    assert_int_equal(net_read(&b, in, 1, false, tls_late(), &got, NULL), NET_EOF);
    pthread_join(thread, NULL);
    net_close(&b);
    free(in);
    free(f.p);
    net_tls_close(at);
    net_tls_close(bt);
}

struct relaying {
    struct net_conn c;
    int inner;
};

static void *relay(void *arg) {
    struct relaying *r = arg;
    net_relay(&r->c, r->inner, LONG_MS);
    close(r->inner);
    return NULL;
}

static void a_relay_passes_bytes_both_ways_and_the_end_of_either(void **state) {
    struct relaying r;
    struct flood f = {.p = much()};
    struct net_tls *at, *bt;
    int local[2];
    pthread_t relaying, sending;
    uint8_t *in = malloc(MUCH);
    size_t n = 0;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, local), 0);
    pair_up(&r.c, &f.c, &at, &bt);
    r.inner = local[0];
    assert_int_equal(pthread_create(&relaying, NULL, relay, &r), 0);
    assert_int_equal(pthread_create(&sending, NULL, send_much, &f), 0); // and closes
    for (ssize_t k; (k = read(local[1], in + n, MUCH - n < 5000 ? MUCH - n : 5000)) > 0;) n += (size_t)k;
    assert_int_equal(n, MUCH);
    assert_memory_equal(in, f.p, MUCH);
    char c;
    assert_int_equal(read(local[1], &c, 1), 0);
    close(local[1]);
    pthread_join(sending, NULL);
    pthread_join(relaying, NULL);
    free(in);
    free(f.p);
    net_tls_close(at);
    net_tls_close(bt);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_sides_with_certificates_of_one_authority_know_each_other),
        cmocka_unit_test(a_peer_of_tls_1_2_is_let_in_with_the_suites_of_rfc_9325),
        cmocka_unit_test(who_shows_no_certificate_is_refused_where_one_is_required),
        cmocka_unit_test(who_shows_no_certificate_is_let_in_where_one_is_asked_for_but_not_certified),
        cmocka_unit_test(a_certificate_of_another_authority_is_refused_even_where_none_is_required),
        cmocka_unit_test(a_server_of_another_authority_is_not_called),
        cmocka_unit_test(a_certificate_counts_for_the_names_that_stand_in_it_only),
        cmocka_unit_test(a_client_s_certificate_is_no_server_s),
        cmocka_unit_test(a_plain_peer_is_recognised_by_what_it_says_first),
        cmocka_unit_test(a_server_without_tls_is_recognised_by_its_answer),
        cmocka_unit_test(who_says_nothing_is_let_go_at_the_deadline),
        cmocka_unit_test(a_look_tells_versions_chain_and_what_is_asked_for),
        cmocka_unit_test(a_renewed_certificate_is_shown_without_a_restart),
        cmocka_unit_test(a_broken_file_leaves_the_old_certificate_in_use),
        cmocka_unit_test(what_is_wrong_with_the_options_is_told),
        cmocka_unit_test(the_gm_profile_is_offered_where_openssl_has_it_and_else_refused_with_words),
        cmocka_unit_test(all_bytes_arrive_in_order_whatever_the_reader_takes_at_a_time),
        cmocka_unit_test(a_relay_passes_bytes_both_ways_and_the_end_of_either),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
