// A secret key that never leaves its token: AES-GCM by a PKCS #11 module (OASIS PKCS #11 Base Specification 2.40), which is loaded when it is named.
#ifndef GANTRY_SYS_PKCS11_H
#define GANTRY_SYS_PKCS11_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sys/cipher.h"

// What a PKCS #11 URI (RFC 7512) names; the PIN is read by the caller.
struct pkcs11_place {
    char module[1024]; // module-path: the library
    char token[33];    // its label
    char object[256];  // the key's label
    char pin[256];     // "": no login
};

// pkcs11:token=T;object=K?module-path=/usr/lib/m.so&pin-source=file:/etc/pin (or pin-source=env:NAME). A pin-value is refused: it would stand in a file that
// many read.
bool pkcs11_parse(const char *uri, struct pkcs11_place *out, struct err *e);

// One session; calls are made one after the other. ERR_NOT_FOUND: no such token or key; ERR_UNAUTHORIZED: the PIN; ERR_BUSY: the module fails.
struct pkcs11;
bool pkcs11_open(const struct pkcs11_place *place, struct pkcs11 **out, struct err *e);
void pkcs11_close(struct pkcs11 *p);

// out: n bytes and the tag; and back. ERR_CORRUPT: the tag is another.
bool pkcs11_encrypt(struct pkcs11 *p, const uint8_t nonce[CIPHER_NONCE_BYTES], const void *aad, size_t aad_n, const void *in, size_t n, uint8_t *out,
                    struct err *e);
bool pkcs11_decrypt(struct pkcs11 *p, const uint8_t nonce[CIPHER_NONCE_BYTES], const void *aad, size_t aad_n, const uint8_t *in, size_t n, void *out,
                    struct err *e);

#endif
