// A handshake that only looks: what a peer offers, shows and says when it refuses.
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "net/tls_part.h"

enum { AFTER_MS = 500 };

// What is gathered in one probe.
struct look {
    struct arena *arena;
    struct net_tls_probe *out;
};

static int look_index = -1;

static struct look *look_of(const SSL *ssl) {
    return SSL_get_ex_data(ssl, look_index);
}

// The chain as it came, before anybody judges it.
static int on_chain(X509_STORE_CTX *store, void *ignored) {
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct look *l = look_of(ssl);
    STACK_OF(X509) *all = X509_STORE_CTX_get0_untrusted(store);
    (void)ignored;
    for (int i = 0; i < sk_X509_num(all) && l->out->chain_count < NET_TLS_PROBE_CHAIN_MAX; i++) {
        unsigned char *der = NULL;
        int n = i2d_X509(sk_X509_value(all, i), &der);
        if (n > 0 && arena_dup(l->arena, (struct str){(const char *)der, (size_t)n}, &l->out->chain[l->out->chain_count], NULL)) l->out->chain_count++;
        OPENSSL_free(der);
    }
    return 1;
}

static int on_asked(SSL *ssl, void *ignored) {
    (void)ignored;
    look_of(ssl)->out->asked_certificate = true;
    return 1;
}

static SSL_CTX *make(const struct net_tls_probe_ask *ask, struct err *e) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx) return err_nomem(e, "tls"), NULL;
    SSL_CTX_set_security_level(ctx, 0); // to name what is weak it must be let in
    SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_cert_verify_callback(ctx, on_chain, NULL);
    SSL_CTX_set_cert_cb(ctx, on_asked, NULL);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    bool ok = SSL_CTX_set_min_proto_version(ctx, (int)ask->version_min) == 1 && SSL_CTX_set_max_proto_version(ctx, (int)ask->version_max) == 1 &&
              SSL_CTX_set_cipher_list(ctx, ask->ciphers ? ask->ciphers : "ALL:@SECLEVEL=0") == 1;
    if (!ok) err_set(e, ERR_USAGE, "tls", "this machine's %s does not offer what is to be asked for", OpenSSL_version(OPENSSL_VERSION));
    if (ok && ask->cert) ok = tls_context_own(ctx, ask->cert, ask->key, NULL, e);
    ERR_clear_error();
    if (ok) return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

// In TLS 1.3 a server answers a client's certificate only after the client is done: a refusal comes as the first thing that is read.
static void hear(struct tls_session *s, int64_t deadline_ms) {
    int64_t until_ms = clock_mono_ms() + AFTER_MS;
    if (until_ms > deadline_ms) until_ms = deadline_ms;
    for (;;) {
        char c;
        size_t n;
        ERR_clear_error();
        int result = SSL_peek_ex(s->ssl, &c, 1, &n);
        if (result == 1 || SSL_get_error(s->ssl, result) != SSL_ERROR_WANT_READ) break;
        if (s->raw.ops->wait(&s->raw, false, until_ms, false) != NET_OK) break;
    }
    s->broken = s->alert_in >= 0;
    ERR_clear_error();
}

static void tell(struct tls_session *s, enum net_status st, int ssl_error, struct look *l) {
    struct net_tls_probe *out = l->out;
    enum net_tls_fault fault;
    out->done = st == NET_OK;
    out->alert = s->alert_in;
    out->alert_sent = s->alert_out;
    out->how = NET_TLS_PROBE_OK;
    if (tls_foreign(s, &fault)) {
        out->how = NET_TLS_PROBE_NOT_TLS;
        arena_dup(l->arena, (struct str){(const char *)s->first, s->first_n}, &out->first, NULL);
    } else if (s->alert_in >= 0) {
        out->how = NET_TLS_PROBE_ALERT;
    } else if (st == NET_TIMEOUT) {
        out->how = NET_TLS_PROBE_TIMEOUT;
    } else if (st != NET_OK) {
        out->how = s->over ? NET_TLS_PROBE_CLOSED : ssl_error == SSL_ERROR_SYSCALL && s->code ? NET_TLS_PROBE_RESET : NET_TLS_PROBE_OTHER;
    }
}

static void tell_negotiated(const struct tls_session *s, struct net_tls_probe *out) {
    const char *cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(s->ssl));
    int number = (int)SSL_get_negotiated_group(s->ssl);
    const char *group = number ? SSL_group_to_name(s->ssl, number) : NULL;
    out->version = (unsigned)SSL_version(s->ssl);
    snprintf(out->cipher, sizeof out->cipher, "%s", cipher ? cipher : "");
    snprintf(out->group, sizeof out->group, "%s", group ? group : "");
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_index(void) {
    look_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

bool net_tls_probe(struct net_conn *c, const struct net_tls_probe_ask *ask, int64_t deadline_ms, struct arena *a, struct net_tls_probe *out, struct err *e) {
    struct look l = {.arena = a, .out = out};
    *out = (struct net_tls_probe){.alert = -1, .alert_sent = -1};
    pthread_once(&once, make_index);
    SSL_CTX *ctx = make(ask, e);
    if (!ctx) return false;
    struct tls_session *s = tls_session_new(ctx, c, e);
    SSL_CTX_free(ctx);
    if (!s) return false;
    int ssl_error = SSL_ERROR_NONE;
    SSL_set_ex_data(s->ssl, look_index, &l);
    SSL_set_connect_state(s->ssl);
    if (ask->server_name) SSL_set_tlsext_host_name(s->ssl, ask->server_name);
    enum net_status st = tls_session_shake(s, false, deadline_ms, &ssl_error);
    if (st == NET_OK) tell_negotiated(s, out);
    if (st == NET_OK && out->asked_certificate && out->version == TLS1_3_VERSION) hear(s, deadline_ms);
    tell(s, st, ssl_error, &l);
    ERR_clear_error();
    SSL_set_ex_data(s->ssl, look_index, NULL);
    if (st == NET_OK)
        tls_session_take(s, c);
    else
        tls_session_free(s);
    return true;
}
