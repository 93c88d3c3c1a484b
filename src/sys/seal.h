// Ed25519 signatures (RFC 8032): who holds the key said these bytes.
#ifndef GANTRY_SYS_SEAL_H
#define GANTRY_SYS_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { SEAL_SECRET_BYTES = 32, SEAL_PUBLIC_BYTES = 32, SEAL_BYTES = 64 };

bool seal_make(uint8_t secret[SEAL_SECRET_BYTES], struct err *e);
bool seal_public(const uint8_t secret[SEAL_SECRET_BYTES], uint8_t out[SEAL_PUBLIC_BYTES], struct err *e);
bool seal_sign(const uint8_t secret[SEAL_SECRET_BYTES], const void *p, size_t n, uint8_t out[SEAL_BYTES], struct err *e);
// false also where the library refuses.
bool seal_holds(const uint8_t public_key[SEAL_PUBLIC_BYTES], const void *p, size_t n, const uint8_t signature[SEAL_BYTES]);

#endif
