// TLS in the place of a plain connection, and the contexts that connections share.
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/cert.h"
#include "net/tls_part.h"

enum { RECORD_BYTES = 16 * 1024, LOOK_MS = 1000, OPTIONS_BYTES = 64 * 1024, CERTIFICATE_BYTES = 1024 * 1024 };

// ---- contexts ----

enum { FILES = 4 };

struct net_tls {
    struct net_tls_options o; // in the arena
    struct arena arena;
    pthread_mutex_t lock;
    SSL_CTX *ctx; // connections hold references of their own
    struct stat seen[FILES];
    int64_t looked_ms;
    _Atomic int64_t own_end_s;
};

static const char *const *files_of(const struct net_tls_options *o, const char *to[FILES]) {
    to[0] = o->cert;
    to[1] = o->key;
    to[2] = o->ca;
    to[3] = o->crl;
    return to;
}

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// Whether a file is another one than when it was last looked at. One that is not there keeps what was seen.
static bool look(struct net_tls *t) {
    const char *paths[FILES];
    bool changed = false;
    files_of(&t->o, paths);
    for (int i = 0; i < FILES; i++) {
        struct stat now;
        if (!paths[i] || stat(paths[i], &now) != 0 || is_same(&now, &t->seen[i])) continue;
        t->seen[i] = now;
        changed = true;
    }
    return changed;
}

static int64_t time_of(const ASN1_TIME *at) {
    struct tm tm;
    return ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void tell_own(struct net_tls *t, SSL_CTX *ctx) {
    const X509 *own = SSL_CTX_get0_certificate(ctx);
    t->own_end_s = own ? time_of(X509_get0_notAfter(own)) : 0;
    if (own && t->own_end_s * 1000 < clock_wall_ms())
        log_line(LOG_WARN, "tls", "the certificate %s has ended: others will refuse it until it is renewed", t->o.cert);
}

static bool load(struct net_tls *t, struct err *e) {
    look(t);
    SSL_CTX *ctx = tls_context_make(&t->o, e);
    if (!ctx) return false;
    tell_own(t, ctx);
    SSL_CTX_free(t->ctx);
    t->ctx = ctx;
    return true;
}

static bool keep(struct arena *a, const char **text, struct err *e) {
    return !*text || (*text = arena_strz(a, str_of(*text), e)) != NULL;
}

bool net_tls_open(const struct net_tls_options *o, struct net_tls **out, struct err *e) {
    struct net_tls *t = calloc(1, sizeof *t);
    if (!t) return err_nomem(e, "tls");
    t->o = *o;
    arena_init(&t->arena, OPTIONS_BYTES);
    pthread_mutex_init(&t->lock, NULL);
    bool ok = true;
    const char **texts[] = {&t->o.cert, &t->o.key, &t->o.key_password, &t->o.ca, &t->o.crl, &t->o.ciphers, &t->o.suites, &t->o.groups, &t->o.alpn};
    for (size_t i = 0; ok && i < sizeof texts / sizeof *texts; i++) ok = keep(&t->arena, texts[i], e);
    if (!ok || !load(t, e)) {
        net_tls_close(t);
        return false;
    }
    *out = t;
    return true;
}

void net_tls_close(struct net_tls *t) {
    if (!t) return;
    SSL_CTX_free(t->ctx);
    if (t->o.key_password) explicit_bzero((char *)(uintptr_t)t->o.key_password, strlen(t->o.key_password));
    pthread_mutex_destroy(&t->lock);
    arena_deinit(&t->arena);
    free(t);
}

static void tell_reload(struct net_tls *t, bool ok, const struct err *e) {
    if (ok) log_line(LOG_INFO, "tls", "certificates were read anew (%s)", t->o.cert ? t->o.cert : t->o.ca ? t->o.ca : "the system's");
    if (!ok) log_err(e, "certificates cannot be read anew, those of before are kept");
}

bool net_tls_reload(struct net_tls *t, struct err *e) {
    struct err why = {0};
    pthread_mutex_lock(&t->lock);
    bool ok = load(t, &why);
    pthread_mutex_unlock(&t->lock);
    tell_reload(t, ok, &why);
    if (!ok && e) *e = why;
    return ok;
}

int64_t net_tls_own_end(struct net_tls *t) {
    return t->own_end_s;
}

// The context of the moment, with a reference for the caller.
static SSL_CTX *borrow(struct net_tls *t) {
    struct err e = {0};
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&t->lock);
    if (now_ms - t->looked_ms >= LOOK_MS) {
        t->looked_ms = now_ms;
        if (look(t)) tell_reload(t, load(t, &e), &e);
    }
    SSL_CTX *ctx = t->ctx;
    SSL_CTX_up_ref(ctx);
    pthread_mutex_unlock(&t->lock);
    return ctx;
}

// ---- bytes to and from the plain connection ----

static int under_read(BIO *b, char *p, int n) {
    struct tls_session *s = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    ssize_t k = s->raw.ops->read(&s->raw, p, (size_t)n);
    s->code = k < 0 ? errno : 0;
    if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_read(b);
    if (k == 0) s->over = true;
    for (ssize_t i = 0; i < k && s->first_n < TLS_FIRST_MAX; i++) s->first[s->first_n++] = (uint8_t)p[i];
    return (int)k;
}

static int under_write(BIO *b, const char *p, int n) {
    struct tls_session *s = BIO_get_data(b);
    struct iovec iov = {.iov_base = (char *)(uintptr_t)p, .iov_len = (size_t)n};
    BIO_clear_retry_flags(b);
    ssize_t k = s->raw.ops->writev(&s->raw, &iov, 1, false);
    s->code = k < 0 ? errno : 0;
    if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_write(b);
    return (int)k;
}

static long under_control(BIO *b, int what, long n, void *p) {
    const struct tls_session *s = BIO_get_data(b);
    (void)n, (void)p;
    if (what == BIO_CTRL_EOF) return s && s->over;
    return what == BIO_CTRL_FLUSH;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *under;

static void make_under(void) {
    under = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "net_conn");
    if (!under) return;
    BIO_meth_set_read(under, under_read);
    BIO_meth_set_write(under, under_write);
    BIO_meth_set_ctrl(under, under_control);
}

// ---- sessions ----

static const struct net_ops TLS;

static void on_info(const SSL *ssl, int where, int value) {
    struct tls_session *s = SSL_get_app_data(ssl);
    if (!(where & SSL_CB_ALERT) || (value & 0xFF) == SSL_AD_CLOSE_NOTIFY) return;
    *(where & SSL_CB_READ ? &s->alert_in : &s->alert_out) = value & 0xFF;
}

static bool start_session(struct tls_session *s, SSL_CTX *ctx) {
    pthread_once(&once, make_under);
    BIO *b = under ? BIO_new(under) : NULL;
    s->ssl = SSL_new(ctx);
    if (!b || !s->ssl) {
        BIO_free(b);
        return false;
    }
    BIO_set_data(b, s);
    BIO_set_init(b, 1);
    SSL_set_bio(s->ssl, b, b);
    SSL_set_app_data(s->ssl, s);
    SSL_set_info_callback(s->ssl, on_info);
    return true;
}

struct tls_session *tls_session_new(SSL_CTX *ctx, const struct net_conn *c, struct err *e) {
    struct tls_session *s = calloc(1, sizeof *s);
    if (s) {
        s->raw = *c;
        s->read_events = POLLIN;
        s->write_events = POLLOUT;
        s->alert_in = s->alert_out = -1;
        if (start_session(s, ctx)) return s;
        tls_session_free(s);
    }
    err_nomem(e, "tls");
    return NULL;
}

void tls_session_free(struct tls_session *s) {
    SSL_free(s->ssl);
    free(s);
}

enum net_status tls_session_shake(struct tls_session *s, bool wakeable, int64_t deadline_ms, int *ssl_error) {
    for (;;) {
        ERR_clear_error();
        int done = SSL_do_handshake(s->ssl);
        *ssl_error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(s->ssl, done);
        if (done == 1) return NET_OK;
        if (*ssl_error != SSL_ERROR_WANT_READ && *ssl_error != SSL_ERROR_WANT_WRITE) return NET_FAIL;
        enum net_status st = s->raw.ops->wait(&s->raw, *ssl_error == SSL_ERROR_WANT_WRITE, deadline_ms, wakeable);
        if (st != NET_OK) return st;
    }
}

// What a read or write that did not succeed comes to, in the words of the system calls.
static ssize_t unfinished(struct tls_session *s, int result, short *events) {
    int what = SSL_get_error(s->ssl, result);
    if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
        *events = what == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        errno = EAGAIN;
        return -1;
    }
    if (what == SSL_ERROR_ZERO_RETURN) return 0;
    char reason[TLS_WHY_MAX];
    tls_reason(reason, sizeof reason);
    s->broken = true;
    if (s->alert_in >= 0) snprintf(s->why, sizeof s->why, "it ended the TLS connection: %s", net_tls_alert_text(s->alert_in));
    if (s->alert_in < 0 && what == SSL_ERROR_SSL) snprintf(s->why, sizeof s->why, "TLS: %.200s", *reason ? reason : "protocol error");
    errno = what == SSL_ERROR_SYSCALL && s->code ? s->code : what == SSL_ERROR_SYSCALL ? ECONNRESET : EPROTO;
    return -1;
}

static ssize_t tls_read(struct net_conn *c, void *p, size_t n) {
    struct tls_session *s = c->layer;
    size_t got = 0;
    ERR_clear_error();
    if (s->broken) return errno = ENOTCONN, -1;
    int result = SSL_read_ex(s->ssl, p, n, &got);
    s->drained = result != 1;
    return result == 1 ? (ssize_t)got : unfinished(s, result, &s->read_events);
}

// Everything up to a record's worth in one piece: what was held back, then the caller's.
static size_t gather(const struct tls_session *s, const struct iovec *iov, int count, uint8_t to[RECORD_BYTES]) {
    size_t n = s->held_n;
    if (n) memcpy(to, s->held, n);
    for (int i = 0; i < count && n < RECORD_BYTES; i++) {
        size_t k = iov[i].iov_len < RECORD_BYTES - n ? iov[i].iov_len : RECORD_BYTES - n;
        if (k) memcpy(to + n, iov[i].iov_base, k);
        n += k;
    }
    return n;
}

static size_t total_of(const struct iovec *iov, int count) {
    size_t n = 0;
    for (int i = 0; i < count; i++) n += iov[i].iov_len;
    return n;
}

// Short pieces are put together, so that a header and what it announces go in one record.
static ssize_t tls_writev(struct net_conn *c, const struct iovec *iov, int count, bool more) {
    struct tls_session *s = c->layer;
    uint8_t record[RECORD_BYTES];
    size_t done = 0, n = total_of(iov, count);
    if (s->broken) return errno = ENOTCONN, -1;
    if (more && n < TLS_HELD_MAX - s->held_n) {
        s->held_n = gather(s, iov, count, record);
        memcpy(s->held, record, s->held_n);
        return (ssize_t)n;
    }
    bool direct = s->held_n == 0 && iov[0].iov_len >= RECORD_BYTES;
    n = direct ? iov[0].iov_len : gather(s, iov, count, record);
    ERR_clear_error();
    int result = SSL_write_ex(s->ssl, direct ? iov[0].iov_base : record, n, &done);
    if (result != 1) {
        ssize_t k = unfinished(s, result, &s->write_events);
        return k == 0 ? (errno = EPIPE, -1) : k;
    }
    done -= s->held_n; // a record goes out whole
    s->held_n = 0;
    return (ssize_t)done;
}

static enum net_status tls_wait(struct net_conn *c, bool writable, int64_t deadline_ms, bool wakeable) {
    struct tls_session *s = c->layer;
    if (!writable && !s->drained && SSL_has_pending(s->ssl)) return NET_OK;
    return s->raw.ops->wait(c, ((writable ? s->write_events : s->read_events) & POLLOUT) != 0, deadline_ms, wakeable);
}

void net_tls_shutdown(struct net_conn *c) {
    struct tls_session *s = c->ops == &TLS ? c->layer : NULL;
    if (!s || s->broken) return;
    ERR_clear_error();
    SSL_shutdown(s->ssl); // what does not fit into the socket's buffer is not worth waiting for
    ERR_clear_error();
}

static void tls_close(struct net_conn *c) {
    struct tls_session *s = c->layer;
    net_tls_shutdown(c);
    s->raw.ops->close(c);
    c->layer = NULL;
    tls_session_free(s);
}

static const char *tls_why(const struct net_conn *c) {
    const struct tls_session *s = c->layer;
    return *s->why ? s->why : NULL;
}

static const struct net_ops TLS = {.read = tls_read, .writev = tls_writev, .wait = tls_wait, .close = tls_close, .why = tls_why};

void tls_session_take(struct tls_session *s, struct net_conn *c) {
    c->ops = &TLS;
    c->layer = s;
}

const struct net_tls_info *net_tls_info(const struct net_conn *c) {
    return c->ops == &TLS ? &((const struct tls_session *)c->layer)->info : NULL;
}

short net_tls_events(const struct net_conn *c, bool writable) {
    const struct tls_session *s = c->ops == &TLS ? c->layer : NULL;
    if (!s) return writable ? POLLOUT : POLLIN;
    return writable ? s->write_events : s->read_events;
}

// ---- who is there ----

static void keep_names(const struct cert *c, char *to, size_t n) {
    size_t at = 0;
    *to = '\0';
    for (unsigned i = 0; i < c->name_count; i++)
        if (at + strlen(c->names[i]) + 2 < n) at += (size_t)snprintf(to + at, n - at, "%s%s", at ? " " : "", c->names[i]);
}

// Half a name is no name.
static void keep_text(char *to, size_t n, const char *text) {
    snprintf(to, n, "%s", strlen(text) < n ? text : "");
}

static bool read_certificate(const X509 *x, struct arena *a, struct cert *out, struct err *e) {
    unsigned char *der = NULL;
    int n = i2d_X509(x, &der);
    bool ok = n > 0 ? cert_from_der(a, (struct str){(const char *)der, (size_t)n}, out, e) : err_nomem(e, "tls");
    OPENSSL_free(der);
    return ok;
}

static bool describe_peer(const X509 *x, struct net_tls_info *i, struct err *e) {
    struct arena a;
    struct cert c;
    arena_init(&a, CERTIFICATE_BYTES);
    bool ok = read_certificate(x, &a, &c, e);
    if (ok) {
        keep_text(i->subject, sizeof i->subject, c.subject);
        keep_text(i->issuer, sizeof i->issuer, c.issuer);
        keep_text(i->serial, sizeof i->serial, c.serial);
        keep_names(&c, i->names, sizeof i->names);
        memcpy(i->fingerprint, c.fingerprint, sizeof i->fingerprint);
        i->until_s = c.until_ms / 1000;
    }
    arena_deinit(&a);
    return ok;
}

static bool describe(struct tls_session *s, struct err *e) {
    struct net_tls_info *i = &s->info;
    const char *cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(s->ssl));
    int group = (int)SSL_get_negotiated_group(s->ssl);
    const char *group_name = group ? SSL_group_to_name(s->ssl, group) : NULL;
    X509 *x = SSL_get1_peer_certificate(s->ssl);
    snprintf(i->protocol, sizeof i->protocol, "%s", SSL_get_version(s->ssl));
    snprintf(i->cipher, sizeof i->cipher, "%s", cipher ? cipher : "");
    snprintf(i->group, sizeof i->group, "%s", group_name ? group_name : "");
    bool ok = true;
    i->certified = x && SSL_get_verify_result(s->ssl) == X509_V_OK;
    if (i->certified) ok = describe_peer(x, i, e);
    X509_free(x);
    return ok;
}

// ---- failures in words ----

const char *net_tls_alert_text(int alert) {
    static const struct {
        int number;
        const char *text;
    } ALERTS[] = {{0, "close notify"},
                  {10, "unexpected message"},
                  {20, "bad record"},
                  {22, "record overflow"},
                  {40, "handshake failure: no cipher suite, group or signature in common, or a certificate is wanted"},
                  {42, "bad certificate"},
                  {43, "unsupported certificate"},
                  {44, "certificate revoked"},
                  {45, "certificate expired"},
                  {46, "certificate unknown"},
                  {47, "illegal parameter"},
                  {48, "unknown ca: the authority of the certificate is not trusted there"},
                  {49, "access denied"},
                  {50, "decode error"},
                  {51, "decrypt error"},
                  {70, "protocol version: no version of TLS in common"},
                  {71, "insufficient security"},
                  {80, "internal error"},
                  {86, "inappropriate fallback"},
                  {90, "user cancelled"},
                  {100, "no renegotiation"},
                  {109, "missing extension"},
                  {110, "unsupported extension"},
                  {112, "unrecognized name"},
                  {113, "bad certificate status"},
                  {115, "unknown pre-shared key"},
                  {116, "certificate required: this side showed none"},
                  {120, "no application protocol in common"}};
    for (size_t i = 0; i < sizeof ALERTS / sizeof *ALERTS; i++)
        if (ALERTS[i].number == alert) return ALERTS[i].text;
    return "unknown alert";
}

const char *tls_foreign(const struct tls_session *s, enum net_tls_fault *fault) {
    static const char *const METHODS[] = {"GET ", "HEAD", "POST", "PUT ", "DELE", "OPTI", "PATC", "CONN", "TRAC", "PRI "};
    const uint8_t *p = s->first;
    struct str first = {(const char *)p, s->first_n};
    *fault = NET_TLS_PLAIN_OTHER;
    if (s->first_n == 0 || (p[0] >= 20 && p[0] <= 24 && (s->first_n < 2 || p[1] == 3))) return NULL;
    if (s->first_n >= 2 && p[0] >= 1 && p[0] <= 7 && p[1] == 0) {
        static const char *const PDUS[] = {"A-ASSOCIATE-RQ", "A-ASSOCIATE-AC", "A-ASSOCIATE-RJ", "P-DATA-TF", "A-RELEASE-RQ", "A-RELEASE-RP", "A-ABORT"};
        *fault = NET_TLS_PLAIN_DICOM;
        return PDUS[p[0] - 1];
    }
    if (str_starts(first, STR_LIT("SSH-"))) return "an SSH greeting";
    *fault = NET_TLS_PLAIN_HTTP;
    if (str_starts(first, STR_LIT("HTTP"))) return "an HTTP response";
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (str_starts(first, str_of(METHODS[i]))) return "an HTTP request";
    *fault = NET_TLS_PLAIN_OTHER;
    return "bytes that are no TLS";
}

// What OpenSSL's reasons mean to whoever has to mend it.
static const struct {
    int reason;
    enum net_tls_fault fault;
    const char *text;
} REASONS[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, NET_TLS_VERSION, "no version of TLS in common: this side takes 1.2 and 1.3"},
    {SSL_R_VERSION_TOO_LOW, NET_TLS_VERSION, "no version of TLS in common: this side takes 1.2 and 1.3"},
    {SSL_R_WRONG_SSL_VERSION, NET_TLS_VERSION, "no version of TLS in common: this side takes 1.2 and 1.3"},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, NET_TLS_VERSION, "no version of TLS in common"},
    {SSL_R_NO_SHARED_CIPHER, NET_TLS_CIPHER, "no cipher suite in common (or none that fits the kind of the certificate's key)"},
    {SSL_R_NO_SHARED_GROUPS, NET_TLS_CIPHER, "no group (elliptic curve) in common"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, NET_TLS_CIPHER, "no group (elliptic curve) in common"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, NET_TLS_CIPHER, "no signature algorithm in common that fits the certificate's key"},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, NET_TLS_CIPHER, "no signature algorithm in common"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, NET_TLS_MISSING, "it shows no certificate, and one is asked for here"},
};

static enum net_tls_fault fault_of_alert(int alert) {
    if (alert == SSL_AD_PROTOCOL_VERSION) return NET_TLS_VERSION;
    if (alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_INSUFFICIENT_SECURITY) return NET_TLS_CIPHER;
    return NET_TLS_REFUSED;
}

static bool explain_error(struct tls_session *s, enum net_tls_fault *fault, struct err *e) {
    char reason[TLS_WHY_MAX];
    int code = ERR_GET_REASON(ERR_peek_last_error());
    const char *foreign = tls_foreign(s, fault);
    tls_reason(reason, sizeof reason);
    if (foreign) return err_set(e, ERR_PEER, "tls", "%s came where TLS was expected: one side uses TLS, the other does not", foreign);
    if (s->alert_in >= 0) {
        *fault = fault_of_alert(s->alert_in);
        return err_set(e, ERR_PEER, "tls", "it refuses: %s (alert %d)", net_tls_alert_text(s->alert_in), s->alert_in);
    }
    *fault = NET_TLS_UNTRUSTED;
    if (code == SSL_R_CERTIFICATE_VERIFY_FAILED) return err_set(e, ERR_PEER, "tls", "its certificate is not good: %s", s->doubt);
    for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++) {
        *fault = REASONS[i].fault;
        if (REASONS[i].reason == code) return err_set(e, ERR_PEER, "tls", "%s", REASONS[i].text);
    }
    *fault = s->over ? NET_TLS_CLOSED : NET_TLS_OTHER;
    if (s->over && s->first_n == 0) return err_set(e, ERR_PEER, "tls", "it closed the connection without a word of TLS: it may speak none on this port");
    if (s->over) return err_set(e, ERR_PEER, "tls", "it closed the connection in the middle of the handshake");
    return err_set(e, ERR_PEER, "tls", "%s", *reason ? reason : "protocol error");
}

static bool explain(struct tls_session *s, const struct net_conn *c, enum net_status st, int ssl_error, enum net_tls_fault *fault, struct err *e) {
    if (st == NET_TIMEOUT) {
        *fault = NET_TLS_LATE;
        err_set(e, ERR_TIMEOUT, "tls", "it %s", s->first_n ? "did not finish the handshake in time" : "sent nothing in time: it may wait for plain bytes");
    } else if (st == NET_WOKEN) {
        *fault = NET_TLS_OTHER;
        err_set(e, ERR_BUSY, "tls", "shutting down");
    } else if (!s->over && ssl_error != SSL_ERROR_SSL) {
        *fault = NET_TLS_CLOSED;
        if (ssl_error == SSL_ERROR_SYSCALL) errno = s->code ? s->code : ECONNRESET;
        err_errno(e, ERR_NET, "tls", "the connection broke");
    } else {
        explain_error(s, fault, e);
    }
    return err_wrap(e, "TLS with %s port %u", c->address, c->port);
}

// ---- handshakes ----

// Keeps what OpenSSL doubts about a certificate of the chain, with its name.
static int on_verify(int good, X509_STORE_CTX *store) {
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_session *s = ssl ? SSL_get_app_data(ssl) : NULL;
    const X509 *x = X509_STORE_CTX_get_current_cert(store);
    int code = X509_STORE_CTX_get_error(store);
    bool other_name = code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH;
    char names[128] = "";
    struct arena a;
    struct cert c = {.subject = ""};
    if (good || !s) return good;
    arena_init(&a, CERTIFICATE_BYTES);
    if (x && read_certificate(x, &a, &c, NULL)) keep_names(&c, names, sizeof names);
    if (other_name)
        snprintf(s->doubt, sizeof s->doubt, "it is not for the name that was called, but for %s", *names ? names : "no name at all");
    else
        snprintf(s->doubt, sizeof s->doubt, "%s (%.150s)", X509_verify_cert_error_string(code), c.subject);
    arena_deinit(&a);
    return good;
}

static bool shake(struct net_tls *t, struct net_conn *c, bool (*prepare)(struct tls_session *s, const struct net_tls *t, const char *name), const char *name,
                  int64_t deadline_ms, enum net_tls_fault *fault, struct err *e) {
    enum net_tls_fault ignored;
    int ssl_error = SSL_ERROR_NONE;
    SSL_CTX *ctx = borrow(t);
    struct tls_session *s = tls_session_new(ctx, c, e);
    SSL_CTX_free(ctx);
    if (!fault) fault = &ignored;
    *fault = NET_TLS_OTHER;
    if (!s) return false;
    bool ok = prepare(s, t, name) || err_set(e, ERR_USAGE, "tls", "'%s' cannot be looked for in a certificate", name ? name : "");
    if (ok) {
        enum net_status st = tls_session_shake(s, t->o.server, deadline_ms, &ssl_error);
        ok = st == NET_OK ? describe(s, e) : explain(s, c, st, ssl_error, fault, e);
    }
    if (!ok) {
        tls_session_free(s);
        return false;
    }
    *fault = NET_TLS_OK;
    tls_session_take(s, c);
    return true;
}

static bool prepare_server(struct tls_session *s, const struct net_tls *t, const char *name) {
    static const int MODES[] = {[NET_TLS_CLIENTS_NONE] = SSL_VERIFY_NONE,
                                [NET_TLS_CLIENTS_ASKED] = SSL_VERIFY_PEER,
                                [NET_TLS_CLIENTS_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT};
    (void)name;
    SSL_set_verify(s->ssl, MODES[t->o.clients], on_verify);
    SSL_set_accept_state(s->ssl);
    return true;
}

static bool prepare_client(struct tls_session *s, const struct net_tls *t, const char *name) {
    struct in6_addr any;
    (void)t;
    SSL_set_verify(s->ssl, SSL_VERIFY_PEER, on_verify);
    SSL_set_connect_state(s->ssl);
    if (strcmp(name, NET_TLS_ANY_NAME) == 0) return true;
    if (inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), name) == 1;
    // RFC 9525: the common name is no host; a wildcard stands for a whole label
    SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(s->ssl, name) == 1 && SSL_set_tlsext_host_name(s->ssl, name) == 1;
}

bool net_tls_accept(struct net_tls *t, struct net_conn *c, int64_t deadline_ms, enum net_tls_fault *fault, struct err *e) {
    return shake(t, c, prepare_server, NULL, deadline_ms, fault, e);
}

bool net_tls_connect(struct net_tls *t, struct net_conn *c, const char *name, int64_t deadline_ms, enum net_tls_fault *fault, struct err *e) {
    return shake(t, c, prepare_client, name, deadline_ms, fault, e);
}
