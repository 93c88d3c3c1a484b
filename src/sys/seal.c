// Ed25519 through OpenSSL.
#include "sys/seal.h"

#include <openssl/evp.h>
#include <sys/random.h>

static bool refused(struct err *e) {
    return err_set(e, ERR_INTERNAL, "seal", "the Ed25519 of the OpenSSL library is not usable");
}

bool seal_make(uint8_t secret[SEAL_SECRET_BYTES], struct err *e) {
    return getrandom(secret, SEAL_SECRET_BYTES, 0) == SEAL_SECRET_BYTES || err_errno(e, ERR_IO, "seal", "no random bytes for a key");
}

bool seal_public(const uint8_t secret[SEAL_SECRET_BYTES], uint8_t out[SEAL_PUBLIC_BYTES], struct err *e) {
    size_t n = SEAL_PUBLIC_BYTES;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, SEAL_SECRET_BYTES);
    bool ok = key && EVP_PKEY_get_raw_public_key(key, out, &n) == 1;
    EVP_PKEY_free(key);
    return ok || refused(e);
}

bool seal_sign(const uint8_t secret[SEAL_SECRET_BYTES], const void *p, size_t n, uint8_t out[SEAL_BYTES], struct err *e) {
    size_t got = SEAL_BYTES;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, SEAL_SECRET_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = key && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 && EVP_DigestSign(ctx, out, &got, p, n) == 1 && got == SEAL_BYTES;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok || refused(e);
}

bool seal_holds(const uint8_t public_key[SEAL_PUBLIC_BYTES], const void *p, size_t n, const uint8_t signature[SEAL_BYTES]) {
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SEAL_PUBLIC_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 && EVP_DigestVerify(ctx, signature, SEAL_BYTES, p, n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}
