// SHA-256, HMAC and MD5 through OpenSSL: an includer of openssl/evp.h.
#include "sys/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

// Looked up once: a lookup by name costs more than the digest of a small block.
static EVP_MD *sha256;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void) {
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static bool refused(struct err *e) {
    return err_set(e, ERR_INTERNAL, "digest", "the SHA-256 of the OpenSSL library is not usable");
}

bool digest_reset(struct digest *d, struct err *e) {
    d->failed = !d->ctx || EVP_DigestInit_ex2(d->ctx, sha256, NULL) != 1;
    return !d->failed || refused(e);
}

bool digest_init(struct digest *d, struct err *e) {
    *d = (struct digest){0};
    pthread_once(&fetched, fetch);
    if (!sha256) return refused(e);
    d->ctx = EVP_MD_CTX_new();
    if (!d->ctx) return err_nomem(e, "digest");
    return digest_reset(d, e);
}

void digest_add(struct digest *d, const void *p, size_t n) {
    if (n && EVP_DigestUpdate(d->ctx, p, n) != 1) d->failed = true;
}

bool digest_final(struct digest *d, uint8_t out[DIGEST_BYTES], struct err *e) {
    if (d->failed || EVP_DigestFinal_ex(d->ctx, out, NULL) != 1) return refused(e);
    return true;
}

void digest_deinit(struct digest *d) {
    EVP_MD_CTX_free(d->ctx);
    d->ctx = NULL;
}

bool digest_of(const void *p, size_t n, uint8_t out[DIGEST_BYTES], struct err *e) {
    struct digest d;
    if (!digest_init(&d, e)) return false;
    digest_add(&d, p, n);
    bool ok = digest_final(&d, out, e);
    digest_deinit(&d);
    return ok;
}

// Two digests, over the key with a pad before what is inside (RFC 2104 2): no allocation but the context, and no second API of OpenSSL.
bool digest_hmac(const void *key, size_t key_n, const void *p, size_t n, uint8_t out[DIGEST_BYTES], struct err *e) {
    enum { BLOCK = 64 };
    uint8_t short_key[BLOCK] = {0}, inner[BLOCK], outer[BLOCK], inside[DIGEST_BYTES];
    struct digest d;
    if (key_n > BLOCK ? !digest_of(key, key_n, short_key, e) : key_n && !memcpy(short_key, key, key_n)) return false;
    for (int i = 0; i < BLOCK; i++) {
        inner[i] = short_key[i] ^ 0x36;
        outer[i] = short_key[i] ^ 0x5c;
    }
    bool ok = digest_init(&d, e);
    if (ok) {
        digest_add(&d, inner, BLOCK);
        digest_add(&d, p, n);
        ok = digest_final(&d, inside, e) && digest_reset(&d, e);
    }
    if (ok) {
        digest_add(&d, outer, BLOCK);
        digest_add(&d, inside, sizeof inside);
        ok = digest_final(&d, out, e);
    }
    digest_deinit(&d);
    explicit_bzero(short_key, sizeof short_key);
    explicit_bzero(inner, sizeof inner);
    explicit_bzero(outer, sizeof outer);
    return ok;
}

bool hmac_sha1(const void *key, size_t key_n, const void *p, size_t n, uint8_t out[SHA1_BYTES], struct err *e) {
    static char name[] = "SHA1";
    size_t written;
    return EVP_Q_mac(NULL, "HMAC", NULL, name, NULL, key, key_n, p, n, out, SHA1_BYTES, &written) || err_nomem(e, "digest");
}

static bool no_md5(struct err *e) {
    return err_set(e, ERR_INTERNAL, "digest", "the MD5 of the OpenSSL library is not usable (FIPS mode?)");
}

bool md5_init(struct digest *d, struct err *e) {
    *d = (struct digest){.ctx = EVP_MD_CTX_new()};
    if (!d->ctx) return err_nomem(e, "digest");
    d->failed = EVP_DigestInit_ex(d->ctx, EVP_md5(), NULL) != 1;
    return !d->failed || no_md5(e);
}

bool md5_final(struct digest *d, uint8_t out[MD5_BYTES], struct err *e) {
    if (d->failed || EVP_DigestFinal_ex(d->ctx, out, NULL) != 1) return no_md5(e);
    return true;
}

void hex_encode(const uint8_t *p, size_t n, char *out) {
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[p[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
    }
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool hex_decode(const char *p, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(p[2 * i]), low = hex_value(p[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
