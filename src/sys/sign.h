// Signatures: verifying RSA and ECDSA by keys of others, and Ed25519 both ways. With sys/digest.c and others an includer of openssl/evp.h, for this purpose.
#ifndef GANTRY_SYS_SIGN_H
#define GANTRY_SYS_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

// ---- keys of others (RFC 7518 3.3, 3.4, 3.5) ----

enum sign_kind { SIGN_RSA, SIGN_P256 };
enum sign_scheme {
    SIGN_RS256, // RSASSA-PKCS1-v1_5 with SHA-256
    SIGN_PS256, // RSASSA-PSS with SHA-256, MGF1 of the same, salt of 32 bytes
    SIGN_ES256, // ECDSA on P-256 with SHA-256; the signature is R and S, 32 bytes each
};

enum { SIGN_RSA_BITS_MIN = 2048, SIGN_RSA_BITS_MAX = 8192, SIGN_P256_BYTES = 32 };

// A public key. Immutable once made: any number of threads verify by it.
struct sign_key {
    enum sign_kind kind;
    void *pkey;
};

// Of numbers, most significant byte first. ERR_BAD_INPUT: too short or too long a modulus, an exponent that is even or beyond 32 bits, a point that is
// not on the curve.
bool sign_key_rsa(struct str modulus, struct str exponent, struct sign_key *out, struct err *e);
bool sign_key_p256(struct str x, struct str y, struct sign_key *out, struct err *e);
void sign_key_deinit(struct sign_key *k); // a zeroed one may be deinited

// Whether signature is that of text. A scheme that is not of the key's kind is no signature.
bool sign_is_of(const struct sign_key *k, enum sign_scheme scheme, struct str text, struct str signature);

// ---- our own (RFC 8032) ----

enum { SIGN_ED25519_SEED = 32, SIGN_ED25519_PUBLIC = 32, SIGN_ED25519_BYTES = 64 };

bool sign_ed25519_make(uint8_t seed[SIGN_ED25519_SEED], struct err *e);
bool sign_ed25519_public(const uint8_t seed[SIGN_ED25519_SEED], uint8_t public_key[SIGN_ED25519_PUBLIC], struct err *e);
bool sign_ed25519(const uint8_t seed[SIGN_ED25519_SEED], const void *p, size_t n, uint8_t out[SIGN_ED25519_BYTES], struct err *e);
// false also where the library refuses.
bool sign_ed25519_is_of(const uint8_t public_key[SIGN_ED25519_PUBLIC], const void *p, size_t n, const uint8_t signature[SIGN_ED25519_BYTES]);

#endif
