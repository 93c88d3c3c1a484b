// Master keys, under which the keys of volumes are wrapped: in a file of their own, or in a token that never gives them out. Private to src/store.
#ifndef GANTRY_STORE_MASTER_H
#define GANTRY_STORE_MASTER_H

#include "sys/cipher.h"

enum { MASTER_ID = 16 }; // hexadecimal digits that name a master key without telling it

struct master;

// place: a path (the file is its owner's alone: 64 hexadecimal digits of an AES-256 key) or a PKCS #11 URI.
bool master_open(const char *place, struct master **out, struct err *e);
void master_close(struct master *m);
const char *master_id(const struct master *m);
const char *master_place(const struct master *m); // as it was named

// AES-256-GCM: n bytes and the tag, under a nonce that is made here. unwrap: ERR_CORRUPT when it was wrapped otherwise.
bool master_wrap(struct master *m, const void *aad, size_t aad_n, const uint8_t *in, size_t n, uint8_t nonce[CIPHER_NONCE_BYTES], uint8_t *out, struct err *e);
bool master_unwrap(struct master *m, const void *aad, size_t aad_n, const uint8_t nonce[CIPHER_NONCE_BYTES], const uint8_t *in, size_t n, uint8_t *out,
                   struct err *e);

#endif
