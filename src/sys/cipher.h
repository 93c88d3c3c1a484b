// Authenticated encryption with GCM (NIST SP 800-38D; RFC 8998 for SM4) and random bytes: what is kept encrypted on a disk is made and opened here.
#ifndef GANTRY_SYS_CIPHER_H
#define GANTRY_SYS_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum cipher_kind { CIPHER_AES_256_GCM, CIPHER_SM4_GCM, CIPHER_KIND_COUNT };
enum { CIPHER_KEY_MAX = 32, CIPHER_NONCE_BYTES = 12, CIPHER_TAG_BYTES = 16 };

// "aes-256-gcm", "sm4-gcm".
const char *cipher_name(enum cipher_kind kind);
bool cipher_of_name(const char *name, enum cipher_kind *out);

// One key made ready for one direction; one thread at a time.
struct cipher;
struct cipher *cipher_new(enum cipher_kind kind, const uint8_t *key, bool encrypts, struct err *e);
void cipher_free(struct cipher *c); // NULL is fine; the key is wiped

// One message: begin, any number of adds (in and out may be the same), end. No nonce twice under one key.
bool cipher_begin(struct cipher *c, const uint8_t nonce[CIPHER_NONCE_BYTES], const void *aad, size_t aad_n, struct err *e);
bool cipher_add(struct cipher *c, const void *in, size_t n, void *out, struct err *e);
// Of one that encrypts: gives the tag. Of one that decrypts: compares it; ERR_CORRUPT when it is another (then nothing of what came out may be used).
bool cipher_end(struct cipher *c, uint8_t tag[CIPHER_TAG_BYTES], struct err *e);

// From the system, anew for each call, so that no two processes or copies of a machine share a state that could repeat.
bool cipher_random(void *p, size_t n, struct err *e);
void cipher_wipe(void *p, size_t n);

#endif
