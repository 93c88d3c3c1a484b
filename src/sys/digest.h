// SHA-256, streaming: the digest of an entry while its bytes arrive; and what else requests to others need, HMAC and MD5.
#ifndef GANTRY_SYS_DIGEST_H
#define GANTRY_SYS_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { DIGEST_BYTES = 32, DIGEST_HEX = 2 * DIGEST_BYTES };

// Owned by the caller: init, any number of adds, final, deinit (deinit also alone; a zeroed struct may be deinited).
struct digest {
    void *ctx;
    bool failed;
};

bool digest_init(struct digest *d, struct err *e);
void digest_add(struct digest *d, const void *p, size_t n); // a failure shows in final
bool digest_final(struct digest *d, uint8_t out[DIGEST_BYTES], struct err *e);
void digest_deinit(struct digest *d);
// Starts again without a new allocation.
bool digest_reset(struct digest *d, struct err *e);

bool digest_of(const void *p, size_t n, uint8_t out[DIGEST_BYTES], struct err *e);

// HMAC-SHA-256 (RFC 2104).
bool digest_hmac(const void *key, size_t key_n, const void *p, size_t n, uint8_t out[DIGEST_BYTES], struct err *e);

// HMAC-SHA-1, for one-time passwords (RFC 6238) alone.
enum { SHA1_BYTES = 20 };
bool hmac_sha1(const void *key, size_t key_n, const void *p, size_t n, uint8_t out[SHA1_BYTES], struct err *e);

// MD5, where a protocol asks for it against torn bytes (Content-MD5); never for anything that somebody may forge.
enum { MD5_BYTES = 16 };
bool md5_init(struct digest *d, struct err *e); // then digest_add, md5_final, digest_deinit
bool md5_final(struct digest *d, uint8_t out[MD5_BYTES], struct err *e);

// Lower-case hexadecimal; out takes 2 * n bytes and gets no NUL.
void hex_encode(const uint8_t *p, size_t n, char *out);
// n bytes from 2 * n lower-case digits; false on anything else.
bool hex_decode(const char *p, size_t n, uint8_t *out);

#endif
