// Making of certificates: keys, authorities, what they sign, requests, PKCS#12.
#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "net/cert.h"

// The identity that SM2 signatures are made with where nothing else is agreed on (GM/T 0009).
#define SM2_ID "1234567812345678"
// Nobody is asked for one: a server starts without people.
#define NO_PASSPHRASE ((void *)"")

enum {
    RSA_BITS = 3072,
    SERIAL_BITS = 127,     // positive, at most 20 octets (RFC 5280 4.1.2.2)
    EARLIER_S = 24 * 3600, // valid since yesterday: the clocks of machines differ
    HOST_MAX = 253,        // RFC 1035 2.3.4
    LABEL_MAX = 63,
    DAY_S = 24 * 3600,
    PKCS12_ROUNDS = 100 * 1000,
};

static bool failed(struct err *e, const char *what) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    err_set(e, ERR_INTERNAL, "cert", "%s: %s", what, reason ? reason : "OpenSSL refuses");
    ERR_clear_error();
    return false;
}

// ---- texts ----

static bool is_address(const char *name) {
    unsigned char raw[16];
    return inet_pton(AF_INET, name, raw) == 1 || inet_pton(AF_INET6, name, raw) == 1;
}

bool cert_name_valid(const char *name, struct err *e) {
    if (is_address(name)) return true;
    const char *host = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    size_t label = 0;
    bool good = *host && strlen(host) <= HOST_MAX;
    for (const char *p = host; good && *p; p++) {
        bool dot = *p == '.', hyphen = *p == '-';
        good = dot ? label > 0 && p[1] : (isalnum((unsigned char)*p) || hyphen || *p == '_') && (unsigned char)*p < 0x80 && ++label <= LABEL_MAX;
        if (dot) label = 0;
    }
    return good || err_set(e, ERR_USAGE, "cert", "'%s' is neither an address nor a host name in ASCII (a Chinese one is written as xn--...)", name);
}

static bool take(struct arena *a, BIO *bio, struct str *out, struct err *e) {
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    return n > 0 ? arena_dup(a, (struct str){p, (size_t)n}, out, e) : failed(e, "write");
}

static bool cert_text(struct arena *a, X509 *x, struct str *out, struct err *e) {
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio && PEM_write_bio_X509(bio, x) == 1 ? take(a, bio, out, e) : failed(e, "write the certificate");
    BIO_free(bio);
    return ok;
}

static bool key_text(struct arena *a, EVP_PKEY *key, struct str *out, struct err *e) {
    BIO *bio = BIO_new(BIO_s_secmem()); // wiped when freed
    bool ok = bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 ? take(a, bio, out, e) : failed(e, "write the key");
    BIO_free(bio);
    return ok;
}

static X509 *read_cert(struct str pem, struct err *e) {
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NO_PASSPHRASE) : NULL;
    BIO_free(bio);
    if (!x) failed(e, "no certificate in PEM");
    return x;
}

static EVP_PKEY *read_key(struct str pem, struct err *e) {
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NO_PASSPHRASE) : NULL;
    BIO_free(bio);
    if (!key) failed(e, "no private key in PEM without a passphrase");
    return key;
}

// ---- who signs ----

struct signer {
    X509 *cert; // NULL: what is signed signs itself
    EVP_PKEY *key;
};

static void signer_free(struct signer *s) {
    X509_free(s->cert);
    EVP_PKEY_free(s->key);
}

static bool signer_read(const struct cert_pair *by, struct signer *out, struct err *e) {
    *out = (struct signer){0};
    if (!by) return true;
    out->cert = read_cert(by->cert, e);
    out->key = out->cert ? read_key(by->key, e) : NULL;
    if (!out->key) err_wrap(e, "the authority");
    bool ok = out->key != NULL;
    if (ok && X509_check_ca(out->cert) <= 0) ok = err_set(e, ERR_USAGE, "cert", "the authority's certificate is none of an authority");
    if (ok && X509_check_private_key(out->cert, out->key) != 1) ok = err_set(e, ERR_CONFLICT, "cert", "the authority's key is not the one of its certificate");
    ERR_clear_error();
    if (!ok) signer_free(out);
    return ok;
}

static bool is_sm2(const EVP_PKEY *key) {
    char group[16] = "";
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_SM2) return true;
    EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
    return strcmp(group, "SM2") == 0;
}

static bool sign_sm2(X509 *x, EVP_PKEY *key) {
    EVP_PKEY_CTX *pctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestSignInit(ctx, &pctx, EVP_sm3(), NULL, key) == 1 && EVP_PKEY_CTX_set1_id(pctx, SM2_ID, sizeof SM2_ID - 1) == 1 &&
              X509_sign_ctx(x, ctx) > 0;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool sign(X509 *x, EVP_PKEY *key, struct err *e) {
    bool ok = is_sm2(key) ? sign_sm2(x, key) : X509_sign(x, key, EVP_sha256()) > 0;
    return ok || failed(e, "sign");
}

// ---- parts ----

static EVP_PKEY *make_key(enum cert_key_kind kind, struct err *e) {
    EVP_PKEY *key = NULL;
    switch (kind) {
    case CERT_KEY_EC:
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        break;
    case CERT_KEY_RSA:
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
        break;
    case CERT_KEY_SM2:
        key = EVP_PKEY_Q_keygen(NULL, NULL, "SM2");
        break;
    }
    if (!key) failed(e, "make a key");
    return key;
}

static bool set_serial(X509 *x) {
    BIGNUM *bn = BN_new();
    bool ok = bn && BN_rand(bn, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));
    BN_free(bn);
    return ok;
}

static bool set_subject(X509 *x, const struct cert_order *o, struct err *e) {
    X509_NAME *name = X509_get_subject_name(x);
    if (o->organisation && X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_UTF8, (const unsigned char *)o->organisation, -1, -1, 0) != 1)
        return failed(e, "the organisation (1 to 64 characters)");
    if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)o->common_name, -1, -1, 0) != 1)
        return failed(e, "the name (1 to 64 characters)");
    return true;
}

static bool set_times(X509 *x, unsigned days, const struct signer *by, struct err *e) {
    time_t now = (time_t)(clock_wall_ms() / 1000);
    bool ok = ASN1_TIME_set(X509_getm_notBefore(x), now - EARLIER_S) && ASN1_TIME_adj(X509_getm_notAfter(x), now, (int)days, 0);
    if (!ok) return failed(e, "the time");
    if (by->cert && ASN1_TIME_cmp_time_t(X509_get0_notAfter(by->cert), now) <= 0)
        return err_set(e, ERR_CONFLICT, "cert", "the authority has expired: renew it first ('gantry cert renew ca')");
    if (by->cert && ASN1_TIME_compare(X509_get0_notAfter(x), X509_get0_notAfter(by->cert)) > 0) ok = X509_set1_notAfter(x, X509_get0_notAfter(by->cert)) == 1;
    return ok || failed(e, "the time");
}

static bool add(X509 *x, const X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, (X509 *)issuer, x, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(x, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool add_uses(X509 *x, const X509 *issuer, enum cert_use use, bool named, bool rsa, struct err *e) {
    static const struct {
        const char *basic, *usage, *usage_rsa, *extended;
    } USES[] = {[CERT_FOR_AUTHORITY] = {"critical,CA:TRUE,pathlen:0", "critical,keyCertSign,cRLSign", "critical,keyCertSign,cRLSign", NULL},
                [CERT_FOR_SERVER] = {"critical,CA:FALSE", "critical,digitalSignature", "critical,digitalSignature,keyEncipherment", "serverAuth,clientAuth"},
                [CERT_FOR_CLIENT] = {"critical,CA:FALSE", "critical,digitalSignature", "critical,digitalSignature,keyEncipherment", "clientAuth"}};
    const char *extended = use == CERT_FOR_CLIENT && named ? USES[CERT_FOR_SERVER].extended : USES[use].extended;
    bool ok = add(x, issuer, NID_basic_constraints, USES[use].basic) && add(x, issuer, NID_key_usage, rsa ? USES[use].usage_rsa : USES[use].usage) &&
              (!extended || add(x, issuer, NID_ext_key_usage, extended)) && add(x, issuer, NID_subject_key_identifier, "hash") &&
              add(x, issuer, NID_authority_key_identifier, "keyid:always");
    return ok || failed(e, "an extension");
}

static GENERAL_NAME *general_name(const char *host) {
    GENERAL_NAME *g = GENERAL_NAME_new();
    if (!g) return NULL;
    if (is_address(host)) {
        ASN1_OCTET_STRING *ip = a2i_IPADDRESS(host);
        if (ip) GENERAL_NAME_set0_value(g, GEN_IPADD, ip);
        if (ip) return g;
    } else {
        ASN1_IA5STRING *dns = ASN1_IA5STRING_new();
        bool ok = dns && ASN1_STRING_set(dns, host, -1) == 1;
        if (ok) GENERAL_NAME_set0_value(g, GEN_DNS, dns);
        if (ok) return g;
        ASN1_IA5STRING_free(dns);
    }
    GENERAL_NAME_free(g);
    return NULL;
}

static bool add_names(X509 *x, const char *const *names, unsigned n, struct err *e) {
    if (n > CERT_NAMES_MAX) return err_set(e, ERR_TOO_LARGE, "cert", "more than %d names", CERT_NAMES_MAX);
    GENERAL_NAMES *all = n ? GENERAL_NAMES_new() : NULL;
    bool ok = n == 0 || all;
    for (unsigned i = 0; ok && i < n; i++) {
        if (!cert_name_valid(names[i], e)) {
            GENERAL_NAMES_free(all);
            return false;
        }
        GENERAL_NAME *g = general_name(names[i]);
        ok = g && sk_GENERAL_NAME_push(all, g) > 0;
        if (!ok) GENERAL_NAME_free(g);
    }
    if (ok && n) ok = X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, 0) == 1;
    GENERAL_NAMES_free(all);
    return ok || failed(e, "the names");
}

// ---- whole ----

// What all have in common: version, serial, issuer, times and key.
static X509 *begin(EVP_PKEY *key, const X509_NAME *subject, unsigned days, const struct signer *by, struct err *e) {
    X509 *x = X509_new();
    bool ok =
        x && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) && X509_set_pubkey(x, key) == 1 && (!subject || X509_set_subject_name(x, subject) == 1);
    if (!ok) failed(e, "make a certificate");
    if (ok && set_times(x, days, by, e)) return x;
    X509_free(x);
    return NULL;
}

static bool finish(struct arena *a, X509 *x, const struct signer *by, EVP_PKEY *own, struct str *out, struct err *e) {
    const X509_NAME *issuer = X509_get_subject_name(by->cert ? by->cert : x);
    return (X509_set_issuer_name(x, issuer) == 1 || failed(e, "the issuer")) && sign(x, by->key ? by->key : own, e) && cert_text(a, x, out, e);
}

static bool make_with(struct arena *a, EVP_PKEY *key, const struct cert_order *o, const struct signer *by, struct str *out, struct err *e) {
    X509 *x = begin(key, NULL, o->days, by, e);
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    bool ok = x && set_subject(x, o, e) && add_uses(x, by->cert ? by->cert : x, o->use, o->name_count > 0, rsa, e) &&
              add_names(x, o->names, o->name_count, e) && finish(a, x, by, key, out, e);
    X509_free(x);
    return ok;
}

bool cert_make(struct arena *a, const struct cert_order *o, const struct cert_pair *by, struct cert_pair *out, struct err *e) {
    struct signer s;
    if (!signer_read(by, &s, e)) return false;
    EVP_PKEY *key = make_key(o->key, e);
    bool ok = key && make_with(a, key, o, &s, &out->cert, e) && key_text(a, key, &out->key, e);
    EVP_PKEY_free(key);
    signer_free(&s);
    ERR_clear_error();
    return ok;
}

// All extensions but the authority's key identifier, which may be another's now.
static bool copy_extensions(X509 *to, const X509 *from, const X509 *issuer, struct err *e) {
    for (int i = 0; i < X509_get_ext_count(from); i++) {
        X509_EXTENSION *ext = X509_get_ext(from, i);
        if (OBJ_obj2nid(X509_EXTENSION_get_object(ext)) == NID_authority_key_identifier) continue;
        if (X509_add_ext(to, ext, -1) != 1) return failed(e, "an extension");
    }
    return add(to, issuer, NID_authority_key_identifier, "keyid:always") || failed(e, "an extension");
}

bool cert_renew(struct arena *a, const struct cert_pair *old, const struct cert_pair *by, unsigned days, struct str *out, struct err *e) {
    struct signer s;
    if (!signer_read(by, &s, e)) return false;
    X509 *was = read_cert(old->cert, e), *x = NULL;
    EVP_PKEY *key = was && !by ? read_key(old->key, e) : NULL;
    bool ok = was && (by || key);
    if (ok && key && X509_check_private_key(was, key) != 1) ok = err_set(e, ERR_CONFLICT, "cert", "the key is not the one of the certificate");
    if (ok) {
        x = begin(X509_get0_pubkey(was), X509_get_subject_name(was), days, &s, e);
        ok = x && copy_extensions(x, was, s.cert ? s.cert : x, e) && finish(a, x, &s, key, out, e);
    }
    X509_free(x);
    X509_free(was);
    EVP_PKEY_free(key);
    signer_free(&s);
    ERR_clear_error();
    return ok;
}

// The names that a request asks for; nothing else of its extensions is taken.
static bool copy_names(X509 *to, X509_REQ *request, struct err *e) {
    STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions(request);
    int at = all ? X509v3_get_ext_by_NID(all, NID_subject_alt_name, -1) : -1;
    bool ok = at < 0 || X509_add_ext(to, X509v3_get_ext(all, at), -1) == 1;
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    return ok || failed(e, "the names");
}

static bool request_names_any(X509_REQ *request) {
    STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions(request);
    bool any = all && X509v3_get_ext_by_NID(all, NID_subject_alt_name, -1) >= 0;
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    return any;
}

static bool sign_one(struct arena *a, X509_REQ *request, const struct cert_order *o, const struct signer *by, struct str *out, struct err *e) {
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    if (!key || X509_REQ_verify(request, key) != 1) return err_set(e, ERR_BAD_INPUT, "cert", "the request's signature is not that of its key");
    if (X509_NAME_entry_count(X509_REQ_get_subject_name(request)) == 0)
        return err_set(e, ERR_BAD_INPUT, "cert", "the request has no subject: its machine needs a name");
    bool named = o->name_count > 0 || request_names_any(request);
    X509 *x = begin(key, X509_REQ_get_subject_name(request), o->days, by, e);
    bool ok = x && add_uses(x, by->cert, o->use, named, EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA, e) &&
              (o->name_count ? add_names(x, o->names, o->name_count, e) : copy_names(x, request, e)) && finish(a, x, by, NULL, out, e);
    X509_free(x);
    return ok;
}

bool cert_sign_request(struct arena *a, struct str request, const struct cert_order *o, const struct cert_pair *by, struct str *out, struct err *e) {
    struct signer s;
    if (!signer_read(by, &s, e)) return false;
    BIO *bio = request.n <= CERT_FILE_BYTES_MAX ? BIO_new_mem_buf(request.p, (int)request.n) : NULL;
    X509_REQ *r = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NO_PASSPHRASE) : NULL;
    BIO_free(bio);
    bool ok = r ? sign_one(a, r, o, &s, out, e) : err_set(e, ERR_BAD_INPUT, "cert", "no certificate request in it ('-----BEGIN CERTIFICATE REQUEST-----')");
    X509_REQ_free(r);
    signer_free(&s);
    ERR_clear_error();
    return ok;
}

bool cert_pkcs12(struct arena *a, const struct cert_pair *pair, struct str authority, const char *name, const char *password, struct str *out, struct err *e) {
    X509 *x = read_cert(pair->cert, e), *ca = x ? read_cert(authority, e) : NULL;
    EVP_PKEY *key = ca ? read_key(pair->key, e) : NULL;
    STACK_OF(X509) *more = key ? sk_X509_new_null() : NULL;
    PKCS12 *p12 = more && sk_X509_push(more, ca) > 0 ? PKCS12_create(password, name, key, x, more, 0, 0, PKCS12_ROUNDS, PKCS12_ROUNDS, 0) : NULL;
    BIO *bio = p12 ? BIO_new(BIO_s_mem()) : NULL;
    bool ok = bio && i2d_PKCS12_bio(bio, p12) == 1 && take(a, bio, out, e);
    if (!ok && key) failed(e, "write PKCS#12");
    BIO_free(bio);
    PKCS12_free(p12);
    sk_X509_free(more);
    EVP_PKEY_free(key);
    X509_free(ca);
    X509_free(x);
    ERR_clear_error();
    return ok;
}
