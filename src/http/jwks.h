// Sets of keys of those who sign tokens (JSON Web Key Set, RFC 7517): public keys by their identifiers.
#ifndef GANTRY_HTTP_JWKS_H
#define GANTRY_HTTP_JWKS_H

#include "base/arena.h"
#include "sys/sign.h"

enum { JWKS_KEYS_MAX = 64, JWKS_KID_MAX = 256 };

struct jwk {
    struct str kid; // empty: it has none
    struct str alg; // what it is for alone, "RS256"; empty: any of its kind
    struct sign_key key;
};

// Immutable once read.
struct jwks {
    struct arena arena;
    struct jwk keys[JWKS_KEYS_MAX];
    unsigned count;
    unsigned skipped; // for encryption, of other kinds, too weak, malformed
};

// Keys that are not for verifying by RSA or P-256 are left out: never is a symmetric one taken. ERR_BAD_INPUT: not a set, or none of its keys is left.
bool jwks_read(struct str json, struct jwks **out, struct err *e);
void jwks_free(struct jwks *k); // NULL is fine

#endif
