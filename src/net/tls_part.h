// What the files of net/tls*.c share, and the one place where OpenSSL's TLS is included. Private to them.
#ifndef GANTRY_NET_TLS_PART_H
#define GANTRY_NET_TLS_PART_H

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "net/tls.h"

enum { TLS_FIRST_MAX = NET_TLS_PROBE_FIRST_MAX, TLS_HELD_MAX = 512, TLS_WHY_MAX = 256 };

// One connection. struct net_conn may be copied by its owner: what OpenSSL needs of it is kept here as it was.
struct tls_session {
    SSL *ssl;
    struct net_conn raw; // the connection beneath
    short read_events, write_events;
    bool drained; // the last read wanted more than had come
    bool over;    // the connection beneath ended
    bool broken;  // nothing more can be said on it
    int code;     // errno of the connection beneath
    int alert_in, alert_out;
    size_t first_n;
    uint8_t first[TLS_FIRST_MAX]; // that came
    char why[TLS_WHY_MAX];        // of the failure
    char doubt[TLS_WHY_MAX];      // about a certificate
    struct net_tls_info info;
    size_t held_n;
    uint8_t held[TLS_HELD_MAX]; // a short write that more follows
};

// ---- tls_context.c ----

SSL_CTX *tls_context_make(const struct net_tls_options *o, struct err *e);
// The own certificate and key of files into ctx; password may be NULL.
bool tls_context_own(SSL_CTX *ctx, const char *cert, const char *key, const char *password, struct err *e);
// OpenSSL's last reason, "" when it gives none; clears its queue.
const char *tls_reason(char *to, size_t n);

// ---- tls.c ----

// A session on c that is not shaken hands on. c is unchanged. NULL: no memory.
struct tls_session *tls_session_new(SSL_CTX *ctx, const struct net_conn *c, struct err *e);
void tls_session_free(struct tls_session *s);
// Puts the session in the place of the plain connection.
void tls_session_take(struct tls_session *s, struct net_conn *c);
// One handshake until it is done or fails.
enum net_status tls_session_shake(struct tls_session *s, bool wakeable, int64_t deadline_ms, int *ssl_error);
// Whether what came first is no TLS, and what it is instead.
const char *tls_foreign(const struct tls_session *s, enum net_tls_fault *fault);

#endif
