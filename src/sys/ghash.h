// GHASH (NIST SP 800-38D 6.4): the authenticating half of GCM, for ciphers that OpenSSL has in counter mode only.
#ifndef GANTRY_SYS_GHASH_H
#define GANTRY_SYS_GHASH_H

#include <stddef.h>
#include <stdint.h>

struct ghash {
    uint64_t high[16], low[16]; // multiples of H by each value of four bits
    uint64_t y[2];              // what was hashed so far
    uint64_t aad_n, n;
    uint8_t held[16]; // of a block that came in pieces
};

void ghash_init(struct ghash *g, const uint8_t h[16]);
void ghash_begin(struct ghash *g, const void *aad, size_t n);
void ghash_add(struct ghash *g, const void *p, size_t n);
void ghash_end(struct ghash *g, uint8_t out[16]);

#endif
