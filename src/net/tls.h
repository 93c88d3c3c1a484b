// TLS 1.2 and 1.3 over a connection of net/socket.h: contexts with certificates that are read anew when their files change, handshakes with deadlines, and
// failures told in words. The one includer of OpenSSL's ssl.h is tls.c.
//
// A struct net_tls is made once for a listener or for the calls that a program makes, and is shared by all threads. After net_tls_accept or
// net_tls_connect the struct net_conn is used as before; everything in net/socket.h works on it, its waits and deadlines too.
#ifndef GANTRY_NET_TLS_H
#define GANTRY_NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "net/socket.h"

// What may be negotiated. All refuse SSL, TLS 1.0 and 1.1, renegotiation, compression, keys under 112 bits of security, and do not resume sessions, so that
// every connection is checked against the certificates of its day.
enum net_tls_profile {
    NET_TLS_BCP195,          // PS3.15 B.12: BCP 195 with RFC 8996 and RFC 9325
    NET_TLS_BCP195_MODIFIED, // PS3.15 B.13: its cipher suites as far as OpenSSL has them
    NET_TLS_GM,              // RFC 8998: SM2, SM3, SM4 in TLS 1.3; refused where OpenSSL does not offer them
    NET_TLS_PROFILE_COUNT
};
// "bcp195", "bcp195-modified", "gm". false: none of them.
bool net_tls_profile_find(struct str name, enum net_tls_profile *out);

// Whether a server asks those who connect for a certificate.
enum net_tls_clients {
    NET_TLS_CLIENTS_NONE,    // not asked
    NET_TLS_CLIENTS_ASKED,   // one that is shown must be good
    NET_TLS_CLIENTS_REQUIRED // and without one there is no connection
};

struct net_tls_options {
    bool server;
    const char *cert;         // PEM: the own certificate and those between it and the authority. A client may have none (NULL).
    const char *key;          // PEM
    const char *key_password; // NULL: the key is not encrypted
    const char *ca;           // PEM: the authorities whose certificates are taken from the other side. A client without: the system's.
    const char *crl;          // PEM: revocation lists of these authorities, which are then asked for; NULL: none
    enum net_tls_clients clients;
    enum net_tls_profile profile;
    const char *ciphers; // instead of the profile's, in OpenSSL's words: of TLS 1.2; "" leaves TLS 1.2 out
    const char *suites;  // of TLS 1.3
    const char *groups;
    const char *alpn; // the one application protocol, "http/1.1"; NULL: none is named
};

struct net_tls;

// Reads everything that o names; borrows nothing. ERR_USAGE says which file or word is wrong and why.
bool net_tls_open(const struct net_tls_options *o, struct net_tls **out, struct err *e);
// Connections that were made with it go on.
void net_tls_close(struct net_tls *t); // NULL is fine
// Reads the files again; what fails leaves the old ones in use. The files are also looked at, once in a second at most, when a connection is made, and read
// when they have changed: a renewed certificate needs neither restart nor signal.
bool net_tls_reload(struct net_tls *t, struct err *e);
// When the own certificate ends, in seconds since 1970; 0 when there is none.
int64_t net_tls_own_end(struct net_tls *t);

// ---- connections ----

enum { NET_TLS_HANDSHAKE_MS = 10 * 1000, NET_TLS_TEXT_MAX = 256, NET_TLS_NAMES_MAX = 1024, NET_TLS_FINGERPRINT_HEX = 64 };

// What was negotiated and who is on the other side.
struct net_tls_info {
    char protocol[16];                             // "TLSv1.3"
    char cipher[64];                               // "TLS_AES_256_GCM_SHA384", as IANA names it
    char group[32];                                // "x25519"; "" when not known
    bool certified;                                // the other side showed a certificate and it was verified; else what follows is empty
    char subject[NET_TLS_TEXT_MAX];                // RFC 2253: "CN=CT1,O=St. Mary", UTF-8
    char issuer[NET_TLS_TEXT_MAX];                 // likewise
    char names[NET_TLS_NAMES_MAX];                 // subject alternative names that are hosts or addresses, a blank between them
    char serial[64];                               // hexadecimal
    char fingerprint[NET_TLS_FINGERPRINT_HEX + 1]; // SHA-256 of the certificate (DER), lower-case hexadecimal
    int64_t until_s;                               // the certificate's end, since 1970
};

// Why a handshake failed, for who acts on it; *e has the words.
enum net_tls_fault {
    NET_TLS_OK,
    NET_TLS_PLAIN_DICOM, // the other side speaks DICOM without TLS
    NET_TLS_PLAIN_HTTP,  // HTTP without TLS
    NET_TLS_PLAIN_OTHER, // something else that is no TLS
    NET_TLS_CLOSED,      // it closed the connection before a handshake was done
    NET_TLS_LATE,        // the deadline passed
    NET_TLS_VERSION,     // no version in common
    NET_TLS_CIPHER,      // no cipher suite, group or signature in common
    NET_TLS_UNTRUSTED,   // its certificate is not good, or not for the name that was called
    NET_TLS_MISSING,     // it shows no certificate
    NET_TLS_REFUSED,     // it refuses this side: an alert
    NET_TLS_OTHER
};

// Handshake as the server on an accepted connection. On failure c is still open and as it was (the caller closes it), *fault (may be NULL) says why.
// c->wake and c->halt end it: a server that stops waits for no handshake.
bool net_tls_accept(struct net_tls *t, struct net_conn *c, int64_t deadline_ms, enum net_tls_fault *fault, struct err *e);
// Handshake as the client; name is the host or address that must stand in the certificate, as the caller was told it. NET_TLS_ANY_NAME: any certificate of a
// trusted authority will do, as many DICOM devices have it.
#define NET_TLS_ANY_NAME "*"
bool net_tls_connect(struct net_tls *t, struct net_conn *c, const char *name, int64_t deadline_ms, enum net_tls_fault *fault, struct err *e);
// NULL: c is plain. It lives as long as the connection.
const struct net_tls_info *net_tls_info(const struct net_conn *c);
// What poll(2) should wait for when a read (or a write) said that it would block: TLS sometimes writes in order to read.
short net_tls_events(const struct net_conn *c, bool writable);
// Tells the other side that no more will be sent (close_notify).
void net_tls_shutdown(struct net_conn *c);

// ---- looking at a peer ----

// A handshake that verifies nothing and only tells what is there. Never for traffic.
struct net_tls_probe_ask {
    unsigned version_min, version_max; // 0x0301 (TLS 1.0) to 0x0304 (TLS 1.3); the old ones with old ciphers, so that an old peer can be named
    const char *cert, *key;            // PEM; NULL: none
    const char *server_name;           // NULL: none is sent
    const char *ciphers;               // of TLS 1.2 and older; NULL: all
};

enum { NET_TLS_PROBE_CHAIN_MAX = 8, NET_TLS_PROBE_FIRST_MAX = 16 };

struct net_tls_probe {
    bool done; // the handshake was complete
    unsigned version;
    char cipher[64], group[32];
    bool asked_certificate;                    // the peer sent a CertificateRequest
    struct str chain[NET_TLS_PROBE_CHAIN_MAX]; // DER as presented, its own first; also when the handshake failed after it came
    unsigned chain_count;
    int alert;      // received; -1: none
    int alert_sent; // -1: none
    enum {
        NET_TLS_PROBE_OK,
        NET_TLS_PROBE_NOT_TLS,
        NET_TLS_PROBE_CLOSED,
        NET_TLS_PROBE_RESET,
        NET_TLS_PROBE_TIMEOUT,
        NET_TLS_PROBE_ALERT,
        NET_TLS_PROBE_OTHER
    } how;
    struct str first; // the first bytes of an answer that is no TLS
};

// c is connected and plain. false only when this side cannot (ERR_NOMEM, ERR_USAGE for its own certificate). When *out is done c is a TLS connection. A server
// of TLS 1.3 that wants a certificate refuses after the handshake: that is waited for, a moment (then done and NET_TLS_PROBE_ALERT are both there).
bool net_tls_probe(struct net_conn *c, const struct net_tls_probe_ask *ask, int64_t deadline_ms, struct arena *a, struct net_tls_probe *out, struct err *e);
// "unknown ca" for an alert's number (RFC 8446 6, RFC 5246 7.2); "unknown alert" else.
const char *net_tls_alert_text(int alert);

#endif
