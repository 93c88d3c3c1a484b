// Certificates (X.509, RFC 5280): read, checked, and made by a private authority of one's own.
//
// Nothing here needs a connection: what a peer presents is given as DER, what lies in files as PEM. Texts are UTF-8; names of subjects and issuers are
// in the form of RFC 2253 ("CN=CT1,O=St. Mary"), which is the one form by which peers are told apart.
#ifndef GANTRY_NET_CERT_H
#define GANTRY_NET_CERT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

// ---- reading ----

enum { CERT_FINGERPRINT_HEX = 64 };

// What a certificate says. All of it is in the arena that it was read with.
struct cert {
    struct str der;
    const char *subject, *issuer; // RFC 2253
    const char *common_name;      // the last of the subject; "" when there is none
    const char **names;           // subject alternative names that are hosts: "pacs.example.org", "10.0.0.5", "::1"
    unsigned name_count;
    int64_t from_ms, until_ms;                  // validity, since 1970
    const char *serial;                         // hexadecimal
    char fingerprint[CERT_FINGERPRINT_HEX + 1]; // SHA-256 of the DER, lower-case hexadecimal
    const char *key;                            // "EC P-256", "RSA 2048"
    const char *signature;                      // "ecdsa-with-SHA256"
    bool authority;                             // may sign certificates
    bool own_issuer;                            // its subject is its issuer
    bool for_server, for_client;                // what its extended key usage leaves
    bool weak;                                  // MD5 or SHA-1 signature, or a key that is too short for today
};

bool cert_from_der(struct arena *a, struct str der, struct cert *out, struct err *e);
// Every certificate of a text in PEM, in its order; ERR_BAD_INPUT when there is none, ERR_TOO_LARGE above CERT_FILE_MAX. *out is an array in a.
bool cert_from_pem(struct arena *a, struct str pem, struct cert **out, unsigned *count, struct err *e);
bool cert_read_file(struct arena *a, const char *path, struct cert **out, unsigned *count, struct err *e);

// Whether the private key (PEM, without a passphrase) is the one of the certificate. ERR_BAD_INPUT when the key cannot be read, ERR_CONFLICT when it is another's.
bool cert_key_fits(const struct cert *c, struct str key_pem, struct err *e);
// A file in PEM as it lies: a key, a request.
bool cert_read_pem(struct arena *a, const char *path, struct str *pem, struct err *e);

// ---- checking ----

enum cert_fault {
    CERT_EXPIRED = 1 << 0,
    CERT_NOT_YET = 1 << 1,
    CERT_OTHER_NAME = 1 << 2,     // none of its names is the host's
    CERT_UNKNOWN_ISSUER = 1 << 3, // no trusted certificate signed it, nor one that came with it
    CERT_SELF_SIGNED = 1 << 4,    // it signed itself and is not trusted as it is
    CERT_BAD_SIGNATURE = 1 << 5,
    CERT_OTHER_USE = 1 << 6, // not made for a server (or a client)
    CERT_WEAK = 1 << 7,
    CERT_ISSUER_TIME = 1 << 8,      // an authority above it is out of its time
    CERT_NOT_AUTHORITY = 1 << 9,    // what signed it may not sign
    CERT_REFUSED = 1 << 10,         // for another reason: see why
    CERT_AUTHORITY_ABSENT = 1 << 11 // nothing was given that could be trusted
};

struct cert_question {
    const struct cert *chain; // as it was presented, the certificate itself first
    unsigned count;
    const struct cert *trusted; // authorities (or the certificate itself)
    unsigned trusted_count;
    bool system;      // and those that this system trusts
    const char *host; // a name or an address that must be among its names; NULL: any
    bool client;      // it is a client's
    int64_t at_ms;    // now
};

// Every fault at once (enum cert_fault), so that a person mends them in one go; 0 when all is well. why (may be NULL): the library's words for CERT_REFUSED, a
// static text.
unsigned cert_check(const struct cert_question *q, const char **why);
// Whether one of its names covers a host or an address (RFC 6125: wildcards of one label; a name without alternatives counts by its common name no more).
bool cert_names_host(const struct cert *c, const char *host);

// ---- making ----

enum cert_key_kind { CERT_KEY_EC, CERT_KEY_RSA, CERT_KEY_SM2 };
enum cert_use {
    CERT_FOR_AUTHORITY,
    CERT_FOR_SERVER, // and as a client: an archive also calls its peers
    CERT_FOR_CLIENT, // with names: as a server, too, for a peer that is called back
};

struct cert_order {
    enum cert_use use;
    enum cert_key_kind key; // P-256, RSA of 3072 bits, SM2
    const char *common_name;
    const char *organisation; // may be NULL
    const char *const *names; // hosts and addresses
    unsigned name_count;
    unsigned days;
};

struct cert_pair {
    struct str cert, key; // PEM; the key PKCS#8 without a passphrase
};

// Whether a name may stand in a certificate: an address, or a host name in ASCII, perhaps with "*." before it. ERR_USAGE says what is wrong.
bool cert_name_valid(const char *name, struct err *e);

// by: the authority; NULL: self-signed. A validity that outlasts the authority's ends with it.
bool cert_make(struct arena *a, const struct cert_order *o, const struct cert_pair *by, struct cert_pair *out, struct err *e);
// The same subject, names, uses and key, valid for so many days from now. by NULL: an authority renews itself.
bool cert_renew(struct arena *a, const struct cert_pair *old, const struct cert_pair *by, unsigned days, struct str *out, struct err *e);
// For a request (PKCS#10, PEM) that a machine made with a key of its own: its subject and the order's names (none: the request's), use and days.
bool cert_sign_request(struct arena *a, struct str request, const struct cert_order *o, const struct cert_pair *by, struct str *out, struct err *e);
// Certificate, key and authority as one PKCS#12 file, for machines that take nothing else.
bool cert_pkcs12(struct arena *a, const struct cert_pair *pair, struct str authority, const char *name, const char *password, struct str *out, struct err *e);

#endif
