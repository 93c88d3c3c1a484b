// Signatures through OpenSSL: an includer of openssl/evp.h.
#include "sys/sign.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>
#include <sys/random.h>

// ---- keys ----

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *build) {
    EVP_PKEY *made = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_PUBLIC_KEY, params) != 1) made = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return made;
}

static EVP_PKEY *rsa_from(const BIGNUM *n, const BIGNUM *exponent) {
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *made = NULL;
    if (build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
        made = key_from("RSA", build);
    OSSL_PARAM_BLD_free(build);
    return made;
}

static bool rsa_fits(const BIGNUM *n, const BIGNUM *exponent, struct err *e) {
    int bits = BN_num_bits(n), small = BN_num_bits(exponent);
    if (bits < SIGN_RSA_BITS_MIN || bits > SIGN_RSA_BITS_MAX)
        return err_set(e, ERR_BAD_INPUT, "sign", "an RSA key of %d bits is not taken: %d to %d are", bits, SIGN_RSA_BITS_MIN, SIGN_RSA_BITS_MAX);
    if (!BN_is_odd(n)) return err_set(e, ERR_BAD_INPUT, "sign", "the modulus of an RSA key is even");
    if (!BN_is_odd(exponent) || small < 2 || small > 32) return err_set(e, ERR_BAD_INPUT, "sign", "the exponent of an RSA key is none that is taken");
    return true;
}

bool sign_key_rsa(struct str modulus, struct str exponent, struct sign_key *out, struct err *e) {
    *out = (struct sign_key){.kind = SIGN_RSA};
    if (modulus.n > SIGN_RSA_BITS_MAX / 8 || exponent.n > SIGN_RSA_BITS_MAX / 8)
        return err_set(e, ERR_BAD_INPUT, "sign", "an RSA key of more than %d bits is not taken", SIGN_RSA_BITS_MAX);
    BIGNUM *n = BN_bin2bn((const uint8_t *)modulus.p, (int)modulus.n, NULL), *x = BN_bin2bn((const uint8_t *)exponent.p, (int)exponent.n, NULL);
    bool ok = n && x ? rsa_fits(n, x, e) : err_nomem(e, "sign");
    if (ok && !(out->pkey = rsa_from(n, x))) ok = err_set(e, ERR_BAD_INPUT, "sign", "this is no RSA key");
    BN_free(n);
    BN_free(x);
    return ok;
}

// What fromdata takes may yet lie off the curve.
static bool on_curve(EVP_PKEY *pkey) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool ok = ctx && EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

bool sign_key_p256(struct str x, struct str y, struct sign_key *out, struct err *e) {
    uint8_t point[1 + 2 * SIGN_P256_BYTES] = {4}; // uncompressed (SEC 1, 2.3.3)
    *out = (struct sign_key){.kind = SIGN_P256};
    if (x.n != SIGN_P256_BYTES || y.n != SIGN_P256_BYTES) return err_set(e, ERR_BAD_INPUT, "sign", "a coordinate on P-256 has 32 bytes");
    memcpy(point + 1, x.p, SIGN_P256_BYTES);
    memcpy(point + 1 + SIGN_P256_BYTES, y.p, SIGN_P256_BYTES);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point))
        out->pkey = key_from("EC", build);
    OSSL_PARAM_BLD_free(build);
    if (out->pkey && on_curve(out->pkey)) return true;
    sign_key_deinit(out);
    return err_set(e, ERR_BAD_INPUT, "sign", "this is no point on P-256");
}

void sign_key_deinit(struct sign_key *k) {
    EVP_PKEY_free(k->pkey);
    k->pkey = NULL;
}

// ---- verifying ----

static bool set_scheme(EVP_PKEY_CTX *ctx, enum sign_scheme scheme) {
    if (scheme == SIGN_RS256) return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    if (scheme != SIGN_PS256) return true;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool verify(EVP_PKEY *pkey, enum sign_scheme scheme, struct str text, const uint8_t *signature, size_t n) {
    EVP_PKEY_CTX *of; // the context's own
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestVerifyInit(ctx, &of, EVP_sha256(), NULL, pkey) == 1 && set_scheme(of, scheme) &&
              EVP_DigestVerify(ctx, signature, n, (const uint8_t *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

// OpenSSL has a signature as DER; JWS has the two numbers (RFC 7518 3.4).
static bool verify_pair(EVP_PKEY *pkey, struct str text, struct str signature) {
    uint8_t *der = NULL;
    if (signature.n != 2 * SIGN_P256_BYTES) return false;
    const uint8_t *raw = (const uint8_t *)signature.p;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, SIGN_P256_BYTES, NULL), *s = BN_bin2bn(raw + SIGN_P256_BYTES, SIGN_P256_BYTES, NULL);
    bool ok = pair && r && s && !BN_is_zero(r) && !BN_is_zero(s) && ECDSA_SIG_set0(pair, r, s) == 1;
    if (!ok) {
        BN_free(r);
        BN_free(s);
    }
    int n = ok ? i2d_ECDSA_SIG(pair, &der) : 0;
    ok = n > 0 && verify(pkey, SIGN_ES256, text, der, (size_t)n);
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return ok;
}

bool sign_is_of(const struct sign_key *k, enum sign_scheme scheme, struct str text, struct str signature) {
    if (!k->pkey || (k->kind == SIGN_P256) != (scheme == SIGN_ES256)) return false;
    if (scheme == SIGN_ES256) return verify_pair(k->pkey, text, signature);
    return verify(k->pkey, scheme, text, (const uint8_t *)signature.p, signature.n);
}

// ---- Ed25519 ----

static bool refused(struct err *e) {
    return err_set(e, ERR_INTERNAL, "sign", "the Ed25519 of the OpenSSL library is not usable");
}

bool sign_ed25519_make(uint8_t seed[SIGN_ED25519_SEED], struct err *e) {
    return getrandom(seed, SIGN_ED25519_SEED, 0) == SIGN_ED25519_SEED || err_errno(e, ERR_IO, "sign", "no random bytes for a key");
}

bool sign_ed25519_public(const uint8_t seed[SIGN_ED25519_SEED], uint8_t public_key[SIGN_ED25519_PUBLIC], struct err *e) {
    size_t n = SIGN_ED25519_PUBLIC;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SIGN_ED25519_SEED);
    bool ok = key && EVP_PKEY_get_raw_public_key(key, public_key, &n) == 1;
    EVP_PKEY_free(key);
    return ok || refused(e);
}

bool sign_ed25519(const uint8_t seed[SIGN_ED25519_SEED], const void *p, size_t n, uint8_t out[SIGN_ED25519_BYTES], struct err *e) {
    size_t got = SIGN_ED25519_BYTES;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SIGN_ED25519_SEED);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = key && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 && EVP_DigestSign(ctx, out, &got, p, n) == 1 && got == SIGN_ED25519_BYTES;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok || refused(e);
}

bool sign_ed25519_is_of(const uint8_t public_key[SIGN_ED25519_PUBLIC], const void *p, size_t n, const uint8_t signature[SIGN_ED25519_BYTES]) {
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SIGN_ED25519_PUBLIC);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 && EVP_DigestVerify(ctx, signature, SIGN_ED25519_BYTES, p, n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}
