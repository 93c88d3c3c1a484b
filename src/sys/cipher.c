// AES-256-GCM and SM4-GCM through OpenSSL: the one includer of openssl/evp.h for encryption.
#include "sys/cipher.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sys/ghash.h"

enum { BLOCK = 16, STEP_BYTES = 1 << 30 }; // OpenSSL counts in int

// Looked up once. OpenSSL has SM4-GCM from 3.1 on; before, it is made of SM4 in counter mode and GHASH.
static EVP_CIPHER *aes_gcm, *sm4_gcm, *sm4_ctr;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void) {
    aes_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    sm4_gcm = EVP_CIPHER_fetch(NULL, "SM4-GCM", NULL);
    if (!sm4_gcm) sm4_ctr = EVP_CIPHER_fetch(NULL, "SM4-CTR", NULL);
}

struct cipher {
    EVP_CIPHER_CTX *ctx;
    bool encrypts, joined; // joined: counter mode here, GHASH apart
    uint8_t key[CIPHER_KEY_MAX];
    struct ghash hash;
    uint8_t mask[BLOCK]; // of the tag of this message
};

static const struct {
    const char *name;
    size_t key_bytes;
} KINDS[CIPHER_KIND_COUNT] = {[CIPHER_AES_256_GCM] = {"aes-256-gcm", 32}, [CIPHER_SM4_GCM] = {"sm4-gcm", 16}};

const char *cipher_name(enum cipher_kind kind) {
    return KINDS[kind].name;
}

bool cipher_of_name(const char *name, enum cipher_kind *out) {
    for (int i = 0; i < CIPHER_KIND_COUNT; i++) {
        if (strcmp(name, KINDS[i].name) != 0) continue;
        *out = (enum cipher_kind)i;
        return true;
    }
    return false;
}

static bool refused(struct err *e) {
    return err_set(e, ERR_INTERNAL, "cipher", "the OpenSSL library refuses to encrypt (a provider is missing?)");
}

// GCM by hand: the key of GHASH is the zero block, encrypted (SP 800-38D 7.1).
static bool join_init(struct cipher *c) {
    static const uint8_t zero[BLOCK];
    uint8_t h[BLOCK];
    int n;
    bool ok = EVP_EncryptInit_ex2(c->ctx, sm4_ctr, c->key, zero, NULL) == 1 && EVP_EncryptUpdate(c->ctx, h, &n, zero, BLOCK) == 1;
    if (ok) ghash_init(&c->hash, h);
    cipher_wipe(h, sizeof h);
    return ok;
}

static bool init(struct cipher *c, enum cipher_kind kind, const uint8_t *key) {
    const EVP_CIPHER *gcm = kind == CIPHER_AES_256_GCM ? aes_gcm : sm4_gcm;
    c->joined = kind == CIPHER_SM4_GCM && !sm4_gcm;
    if (c->joined) {
        memcpy(c->key, key, KINDS[kind].key_bytes);
        return sm4_ctr && join_init(c);
    }
    if (!gcm) return false;
    return (c->encrypts ? EVP_EncryptInit_ex2 : EVP_DecryptInit_ex2)(c->ctx, gcm, key, NULL, NULL) == 1;
}

struct cipher *cipher_new(enum cipher_kind kind, const uint8_t *key, bool encrypts, struct err *e) {
    pthread_once(&fetched, fetch);
    struct cipher *c = calloc(1, sizeof *c);
    if (c) c->ctx = EVP_CIPHER_CTX_new();
    if (!c || !c->ctx) {
        free(c);
        return err_nomem(e, "cipher"), NULL;
    }
    c->encrypts = encrypts;
    if (init(c, kind, key)) return c;
    cipher_free(c);
    return refused(e), NULL;
}

void cipher_free(struct cipher *c) {
    if (!c) return;
    EVP_CIPHER_CTX_free(c->ctx); // wipes its key
    cipher_wipe(c, sizeof *c);
    free(c);
}

// Counter 1 masks the tag, the message begins with counter 2 (SP 800-38D 7.1).
static bool join_begin(struct cipher *c, const uint8_t *nonce, const void *aad, size_t aad_n) {
    static const uint8_t zero[BLOCK];
    uint8_t counter[BLOCK] = {0};
    int n;
    memcpy(counter, nonce, CIPHER_NONCE_BYTES);
    counter[BLOCK - 1] = 1;
    ghash_begin(&c->hash, aad, aad_n);
    return EVP_EncryptInit_ex2(c->ctx, NULL, NULL, counter, NULL) == 1 && EVP_EncryptUpdate(c->ctx, c->mask, &n, zero, BLOCK) == 1;
}

bool cipher_begin(struct cipher *c, const uint8_t nonce[CIPHER_NONCE_BYTES], const void *aad, size_t aad_n, struct err *e) {
    int n;
    bool ok = c->joined ? join_begin(c, nonce, aad, aad_n)
                        : EVP_CipherInit_ex2(c->ctx, NULL, NULL, nonce, c->encrypts, NULL) == 1 &&
                              (aad_n == 0 || EVP_CipherUpdate(c->ctx, NULL, &n, aad, (int)aad_n) == 1);
    return ok || refused(e);
}

static bool add_step(struct cipher *c, const uint8_t *in, size_t n, uint8_t *out) {
    int done;
    if (c->joined && !c->encrypts) ghash_add(&c->hash, in, n);
    if (EVP_CipherUpdate(c->ctx, out, &done, in, (int)n) != 1 || (size_t)done != n) return false;
    if (c->joined && c->encrypts) ghash_add(&c->hash, out, n);
    return true;
}

bool cipher_add(struct cipher *c, const void *in, size_t n, void *out, struct err *e) {
    for (size_t at = 0, part; at < n; at += part) {
        part = n - at < STEP_BYTES ? n - at : STEP_BYTES;
        if (!add_step(c, (const uint8_t *)in + at, part, (uint8_t *)out + at)) return refused(e);
    }
    return true;
}

static bool other_tag(struct err *e) {
    return err_set(e, ERR_CORRUPT, "cipher", "the encrypted bytes are not those that were written, or of another key");
}

static bool join_end(struct cipher *c, uint8_t tag[CIPHER_TAG_BYTES], struct err *e) {
    uint8_t own[BLOCK];
    ghash_end(&c->hash, own);
    for (int i = 0; i < BLOCK; i++) own[i] ^= c->mask[i];
    if (c->encrypts) return memcpy(tag, own, BLOCK);
    return CRYPTO_memcmp(own, tag, BLOCK) == 0 || other_tag(e);
}

bool cipher_end(struct cipher *c, uint8_t tag[CIPHER_TAG_BYTES], struct err *e) {
    uint8_t rest[BLOCK];
    int n;
    if (c->joined) return join_end(c, tag, e);
    if (c->encrypts) {
        bool ok = EVP_EncryptFinal_ex(c->ctx, rest, &n) == 1 && EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, CIPHER_TAG_BYTES, tag) == 1;
        return ok || refused(e);
    }
    if (EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, CIPHER_TAG_BYTES, tag) != 1) return refused(e);
    return EVP_DecryptFinal_ex(c->ctx, rest, &n) == 1 || other_tag(e);
}

bool cipher_random(void *p, size_t n, struct err *e) {
    for (size_t at = 0; at < n;) {
        ssize_t got = getrandom((char *)p + at, n - at, 0);
        if (got < 0 && errno != EINTR) return err_errno(e, ERR_IO, "cipher", "random bytes from the system");
        if (got > 0) at += (size_t)got;
    }
    return true;
}

void cipher_wipe(void *p, size_t n) {
    OPENSSL_cleanse(p, n);
}
