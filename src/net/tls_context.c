// Contexts: profiles of PS3.15, certificates, keys and authorities from files.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "net/tls_part.h"

enum { WORD_MAX = 64 };

// What a profile leaves to be negotiated, in OpenSSL's words and in our order of preference.
static const struct profile {
    const char *name, *ciphers, *suites, *groups, *signatures;
    int version_min;
} PROFILES[NET_TLS_PROFILE_COUNT] = {
    // RFC 9325 4.2: the four suites of TLS 1.2 that are recommended; RFC 8446 9.1 and B.4 for TLS 1.3.
    [NET_TLS_BCP195] = {"bcp195", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
                        "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256", "X25519:P-256:P-384:P-521",
                        "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
                        "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512",
                        TLS1_2_VERSION},
    // PS3.15 B.13 without Camellia in GCM, which is optional and not in OpenSSL, and CCM_8, whose tag of 64 bits OpenSSL counts as less than 112 bits of security.
    [NET_TLS_BCP195_MODIFIED] = {"bcp195-modified",
                                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                                 "ECDHE-ECDSA-AES256-CCM:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-CCM",
                                 "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256",
                                 "P-256:P-384:P-521:X25519",
                                 "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
                                 "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512",
                                 TLS1_2_VERSION},
    // RFC 8998
    [NET_TLS_GM] = {"gm", "", "TLS_SM4_GCM_SM3:TLS_SM4_CCM_SM3", "curveSM2", "sm2sig_sm3", TLS1_3_VERSION},
};

bool net_tls_profile_find(struct str name, enum net_tls_profile *out) {
    for (int i = 0; i < NET_TLS_PROFILE_COUNT; i++)
        if (str_eqz(name, PROFILES[i].name)) return *out = (enum net_tls_profile)i, true;
    return false;
}

const char *tls_reason(char *to, size_t n) {
    unsigned long code = ERR_peek_last_error();
    const char *text = ERR_reason_error_string(code);
    snprintf(to, n, "%s", text ? text : ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : "");
    ERR_clear_error();
    return to;
}

static bool usage(struct err *e, const char *what, const char *path) {
    char reason[TLS_WHY_MAX];
    tls_reason(reason, sizeof reason);
    return err_set(e, ERR_USAGE, "tls", "%s %s: %s", what, path, *reason ? reason : "it cannot be read");
}

static bool readable(const char *what, const char *path, struct err *e) {
    return access(path, R_OK) == 0 || err_errno(e, ERR_USAGE, "tls", "%s %s", what, path);
}

// ---- what is negotiated ----

static bool offers(SSL_CTX *ctx, const char *word) {
    STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx);
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *c = sk_SSL_CIPHER_value(all, i);
        const char *standard = SSL_CIPHER_standard_name(c);
        if (strcmp(word, SSL_CIPHER_get_name(c)) == 0 || (standard && strcmp(word, standard) == 0)) return true;
    }
    return false;
}

static bool takes_ciphers(SSL_CTX *ctx, const char *word) {
    // "!aNULL", "ECDHE+AESGCM", "@STRENGTH": rules, which the library judges as a whole
    return *word == '-' || strpbrk(word, "!+@") || SSL_CTX_set_cipher_list(ctx, word) == 1;
}

static bool takes_suite(SSL_CTX *ctx, const char *word) {
    return SSL_CTX_set_ciphersuites(ctx, word) == 1 && offers(ctx, word);
}

static bool takes_group(SSL_CTX *ctx, const char *word) {
    return SSL_CTX_set1_groups_list(ctx, word) == 1;
}

// The library passes over words that it does not know: an operator who asked for one must learn that it is not there.
static bool check_words(SSL_CTX *ctx, const char *list, const char *what, bool (*takes)(SSL_CTX *ctx, const char *word), struct err *e) {
    struct str rest = str_of(list);
    while (rest.n) {
        char word[WORD_MAX];
        struct str s = str_trim(str_split(&rest, ':'));
        snprintf(word, sizeof word, "%.*s", STR_FMT(s));
        bool known = s.n > 0 && s.n < sizeof word && takes(ctx, word);
        ERR_clear_error();
        if (!known) return err_set(e, ERR_USAGE, "tls", "%s: '%.*s' is not offered by this machine's %s", what, STR_FMT(s), OpenSSL_version(OPENSSL_VERSION));
    }
    return true;
}

static bool negotiable(SSL_CTX *ctx, const struct net_tls_options *o, struct err *e) {
    const struct profile *p = &PROFILES[o->profile];
    const char *ciphers = o->ciphers ? o->ciphers : p->ciphers, *suites = o->suites ? o->suites : p->suites, *groups = o->groups ? o->groups : p->groups;
    if (!*ciphers && !*suites) return err_set(e, ERR_USAGE, "tls", "ciphers and suites are both empty: nothing is left to be negotiated");
    if (!check_words(ctx, suites, "suites", takes_suite, e) || !check_words(ctx, ciphers, "ciphers", takes_ciphers, e) ||
        !check_words(ctx, groups, "groups", takes_group, e))
        return err_wrap(e, "profile %s", p->name);
    bool ok = SSL_CTX_set_ciphersuites(ctx, suites) == 1 && (!*ciphers || SSL_CTX_set_cipher_list(ctx, ciphers) == 1) &&
              SSL_CTX_set1_groups_list(ctx, groups) == 1 && SSL_CTX_set1_sigalgs_list(ctx, p->signatures) == 1 &&
              SSL_CTX_set_min_proto_version(ctx, *ciphers ? p->version_min : TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(ctx, *suites ? TLS1_3_VERSION : TLS1_2_VERSION) == 1;
    return ok || usage(e, "profile", p->name);
}

static void limit(SSL_CTX *ctx) {
    SSL_CTX_set_security_level(ctx, 2); // 112 bits: RSA of 2048 and no SHA-1, in the whole chain
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF); // DICOM and HTTP tell their own ends; many peers send no close_notify
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    // A resumed session would outlive the certificates that it was made with.
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_read_ahead(ctx, 1);
}

// ---- files ----

struct password {
    const char *text;
    bool asked;
};

static int give_password(char *to, int size, int writing, void *ctx) {
    struct password *p = ctx;
    (void)writing;
    p->asked = true;
    size_t n = p->text ? strlen(p->text) : 0;
    if (n == 0 || n > (size_t)size) return 0;
    memcpy(to, p->text, n);
    return (int)n;
}

bool tls_context_own(SSL_CTX *ctx, const char *cert, const char *key, const char *password, struct err *e) {
    struct password p = {.text = password};
    if (!key) return err_set(e, ERR_USAGE, "tls", "the certificate %s needs its key", cert);
    if (!readable("certificate", cert, e) || !readable("key", key, e)) return false;
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) return usage(e, "certificate", cert);
    SSL_CTX_set_default_passwd_cb(ctx, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &p);
    bool ok = SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb(ctx, NULL);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    if (ok && SSL_CTX_check_private_key(ctx) == 1) return true;
    bool other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH || ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;
    if (p.asked && !password) return ERR_clear_error(), err_set(e, ERR_USAGE, "tls", "key %s is encrypted, and no password is given for it", key);
    if (other) return ERR_clear_error(), err_set(e, ERR_USAGE, "tls", "key %s is not the key of certificate %s", key, cert);
    return usage(e, "key", key);
}

static bool take_revoked(SSL_CTX *ctx, const char *crl, struct err *e) {
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (!readable("revocation list", crl, e)) return false;
    if (!lookup || X509_load_crl_file(lookup, crl, X509_FILETYPE_PEM) < 1) return usage(e, "revocation list", crl);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return true;
}

static bool take_authorities(SSL_CTX *ctx, const struct net_tls_options *o, struct err *e) {
    if (!o->ca) {
        if (!o->server) return SSL_CTX_set_default_verify_paths(ctx) == 1 || usage(e, "the system's", "authorities");
        return o->clients == NET_TLS_CLIENTS_NONE || err_set(e, ERR_USAGE, "tls", "certificates are asked for, and no authority (ca) says which are good");
    }
    if (!readable("authorities", o->ca, e)) return false;
    if (SSL_CTX_load_verify_file(ctx, o->ca) != 1) return usage(e, "authorities", o->ca);
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN); // whatever stands in the file is trusted as it is
    if (o->server && o->clients != NET_TLS_CLIENTS_NONE) {
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->ca); // so that a client with several certificates knows which to show
        if (!names) return usage(e, "authorities", o->ca);
        SSL_CTX_set_client_CA_list(ctx, names);
    }
    return !o->crl || take_revoked(ctx, o->crl, e);
}

// What came first of those that a client knows is as good as another: it is told the one that is spoken here, and goes on when it knows only others.
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned n, void *arg) {
    const char *own = arg;
    size_t own_n = strlen(own);
    (void)ssl;
    for (unsigned at = 0; at < n; at += in[at] + 1U) {
        if (in[at] != own_n || n - at - 1 < own_n || memcmp(in + at + 1, own, own_n) != 0) continue;
        *out = in + at + 1;
        *out_n = (unsigned char)own_n;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

SSL_CTX *tls_context_make(const struct net_tls_options *o, struct err *e) {
    SSL_CTX *ctx = SSL_CTX_new(o->server ? TLS_server_method() : TLS_client_method());
    if (!ctx) return err_nomem(e, "tls"), NULL;
    limit(ctx);
    bool ok = negotiable(ctx, o, e);
    if (ok && o->server && !o->cert) ok = err_set(e, ERR_USAGE, "tls", "a server needs a certificate and its key");
    ok = ok && (!o->cert || tls_context_own(ctx, o->cert, o->key, o->key_password, e)) && take_authorities(ctx, o, e);
    if (!ok) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    if (o->server && o->alpn) SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, (void *)(uintptr_t)o->alpn);
    return ctx;
}
