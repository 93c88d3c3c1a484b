// Reading and checking of certificates through OpenSSL's X.509.
#include "net/cert.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "sys/digest.h"
#include "sys/file.h"

// The identity that SM2 signatures are made with where nothing else is agreed on (GM/T 0009).
#define SM2_ID "1234567812345678"
// Nobody is asked for one: a server starts without people.
#define NO_PASSPHRASE ((void *)"")

enum { WEAK_RSA_BITS = 2048, WEAK_SECURITY_BITS = 112, NAME_BYTES_MAX = 4096 };

static X509 *parse(struct str der, struct err *e) {
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *x = der.n > 0 && der.n <= CERT_DER_BYTES_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;
    ERR_clear_error();
    if (x && (const char *)p == der.p + der.n) return x;
    X509_free(x);
    err_set(e, ERR_BAD_INPUT, "cert", "this is no certificate (X.509 in DER)");
    return NULL;
}

// ---- what it says ----

static const char *take_bio(struct arena *a, BIO *bio, struct err *e) {
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    return n >= 0 && n <= NAME_BYTES_MAX ? arena_strz(a, (struct str){p, (size_t)n}, e) : (err_set(e, ERR_TOO_LARGE, "cert", "a name is too long"), NULL);
}

// Control characters are escaped by the form itself, so that no certificate forges a line.
static const char *name_text(struct arena *a, const X509_NAME *name, struct err *e) {
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio) return err_nomem(e, "cert"), NULL;
    const char *text = NULL;
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
        err_set(e, ERR_BAD_INPUT, "cert", "a name that cannot be read");
    else
        text = take_bio(a, bio, e);
    BIO_free(bio);
    return text;
}

static const char *common_name(struct arena *a, const X509_NAME *name, struct err *e) {
    int last = -1, at;
    while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, last)) >= 0) last = at;
    if (last < 0) return "";
    unsigned char *utf8 = NULL;
    int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
    if (n < 0) return "";
    const char *text = arena_strz(a, (struct str){(char *)utf8, (size_t)n}, e);
    OPENSSL_free(utf8);
    return text;
}

static bool host_text(struct arena *a, const GENERAL_NAME *g, const char **out, struct err *e) {
    char text[INET6_ADDRSTRLEN];
    *out = NULL;
    if (g->type == GEN_DNS) {
        struct str s = {(const char *)ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName)};
        for (size_t i = 0; i < s.n; i++)
            if (s.p[i] <= ' ' || s.p[i] > '~') return true; // nobody's name
        return (*out = arena_strz(a, s, e)) != NULL;
    }
    if (g->type != GEN_IPADD) return true;
    int n = ASN1_STRING_length(g->d.iPAddress);
    if ((n != 4 && n != 16) || !inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(g->d.iPAddress), text, sizeof text)) return true;
    return (*out = arena_strz(a, str_of(text), e)) != NULL;
}

static bool read_names(struct arena *a, const X509 *x, struct cert *out, struct err *e) {
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    int n = all ? sk_GENERAL_NAME_num(all) : 0;
    if (n > CERT_NAMES_MAX) n = CERT_NAMES_MAX;
    out->names = arena_zero(a, (size_t)n + 1, sizeof *out->names, e);
    bool ok = out->names != NULL;
    for (int i = 0; ok && i < n; i++) {
        const char *host;
        ok = host_text(a, sk_GENERAL_NAME_value(all, i), &host, e);
        if (ok && host) out->names[out->name_count++] = host;
    }
    GENERAL_NAMES_free(all);
    return ok;
}

static int64_t time_ms(const ASN1_TIME *t) {
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static bool read_serial(struct arena *a, const X509 *x, struct cert *out, struct err *e) {
    BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *hex = bn ? BN_bn2hex(bn) : NULL;
    out->serial = hex ? arena_strz(a, str_of(hex), e) : "";
    OPENSSL_free(hex);
    BN_free(bn);
    return out->serial;
}

static bool read_key(struct arena *a, X509 *x, struct cert *out, struct err *e) {
    EVP_PKEY *key = X509_get0_pubkey(x);
    char group[64] = "";
    int bits = key ? EVP_PKEY_get_bits(key) : 0, kind = key ? EVP_PKEY_get_base_id(key) : 0;
    if (key) EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
    const char *curve = strcmp(group, "prime256v1") == 0  ? "P-256"
                        : strcmp(group, "secp384r1") == 0 ? "P-384"
                        : strcmp(group, "secp521r1") == 0 ? "P-521"
                                                          : group;
    bool sm2 = kind == EVP_PKEY_SM2 || strcmp(group, "SM2") == 0;
    if (!key)
        out->key = "of an unknown kind";
    else if (sm2)
        out->key = "SM2";
    else if (kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS)
        out->key = arena_printf(a, e, "RSA %d", bits);
    else if (kind == EVP_PKEY_EC)
        out->key = arena_printf(a, e, "EC %s", curve);
    else
        out->key = OBJ_nid2sn(kind) ? OBJ_nid2sn(kind) : "of an unknown kind";
    out->weak = key && (kind == EVP_PKEY_RSA ? bits < WEAK_RSA_BITS : EVP_PKEY_get_security_bits(key) < WEAK_SECURITY_BITS);
    ERR_clear_error();
    return out->key;
}

static void read_signature(X509 *x, struct cert *out) {
    int nid = X509_get_signature_nid(x), digest = NID_undef;
    const char *name = OBJ_nid2ln(nid);
    out->signature = name ? name : "unknown";
    bool known = OBJ_find_sigid_algs(nid, &digest, NULL) == 1;
    // what an authority at the top signed of itself proves nothing, whatever with
    if (!out->own_issuer && known && (digest == NID_md5 || digest == NID_sha1 || digest == NID_md2 || digest == NID_md4)) out->weak = true;
}

static void read_uses(X509 *x, struct cert *out) {
    uint32_t usage = X509_get_extended_key_usage(x); // all ones when the extension is not there
    out->authority = X509_check_ca(x) > 0;
    out->own_issuer = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
    out->for_server = usage & (XKU_SSL_SERVER | XKU_ANYEKU);
    out->for_client = usage & (XKU_SSL_CLIENT | XKU_ANYEKU);
}

static bool read_all(struct arena *a, X509 *x, struct cert *out, struct err *e) {
    uint8_t digest[DIGEST_BYTES];
    if (!digest_of(out->der.p, out->der.n, digest, e)) return false;
    hex_encode(digest, sizeof digest, out->fingerprint);
    out->from_ms = time_ms(X509_get0_notBefore(x));
    out->until_ms = time_ms(X509_get0_notAfter(x));
    out->subject = name_text(a, X509_get_subject_name(x), e);
    out->issuer = out->subject ? name_text(a, X509_get_issuer_name(x), e) : NULL;
    out->common_name = out->issuer ? common_name(a, X509_get_subject_name(x), e) : NULL;
    if (!out->common_name || !read_names(a, x, out, e) || !read_serial(a, x, out, e) || !read_key(a, x, out, e)) return false;
    read_uses(x, out);
    read_signature(x, out);
    return true;
}

bool cert_from_der(struct arena *a, struct str der, struct cert *out, struct err *e) {
    *out = (struct cert){0};
    X509 *x = parse(der, e);
    if (!x) return false;
    bool ok = arena_dup(a, der, &out->der, e) && read_all(a, x, out, e);
    X509_free(x);
    ERR_clear_error();
    return ok;
}

// ---- PEM ----

static bool add_one(struct arena *a, struct cert **all, unsigned *n, struct str der, struct err *e) {
    if (*n == CERT_FILE_MAX) return err_set(e, ERR_TOO_LARGE, "cert", "more than %d certificates in one file", CERT_FILE_MAX);
    if (*n % 16 == 0) { // grown in steps: earlier arrays stay in the arena
        struct cert *more = arena_zero(a, *n + 16, sizeof *more, e);
        if (!more) return false;
        if (*n) memcpy(more, *all, *n * sizeof *more);
        *all = more;
    }
    return cert_from_der(a, der, &(*all)[*n], e) && ++*n;
}

bool cert_from_pem(struct arena *a, struct str pem, struct cert **out, unsigned *count, struct err *e) {
    *out = NULL;
    *count = 0;
    BIO *bio = pem.n <= CERT_FILE_BYTES_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    if (!bio) return pem.n > CERT_FILE_BYTES_MAX ? err_set(e, ERR_TOO_LARGE, "cert", "too large for certificates") : err_nomem(e, "cert");
    char *name, *header;
    unsigned char *der;
    long n;
    bool ok = true;
    while (ok && PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
        if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) ok = add_one(a, out, count, (struct str){(char *)der, (size_t)n}, e);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)n);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (ok && *count == 0)
        return err_set(e, ERR_BAD_INPUT, "cert", "no certificate in it: '-----BEGIN CERTIFICATE-----' is missing (PEM is taken, not DER or PKCS#12)");
    return ok;
}

static bool read_text(struct arena *a, const char *path, size_t max, struct str *out, struct err *e) {
    int fd;
    size_t n = 0;
    struct sys_stat st;
    if (!sys_open(NULL, path, O_RDONLY, 0, &fd, e)) return false;
    char *p = NULL;
    bool ok = sys_stat_fd(fd, &st, e) && (st.size <= max || err_set(e, ERR_TOO_LARGE, "cert", "%s is too large", path));
    ok = ok && (p = arena_alloc(a, (size_t)st.size + 1, e)) && sys_read_upto(NULL, fd, p, (size_t)st.size, 0, &n, e);
    sys_close(NULL, fd);
    if (!ok) return false;
    p[n] = '\0';
    *out = (struct str){p, n};
    return true;
}

bool cert_read_file(struct arena *a, const char *path, struct cert **out, unsigned *count, struct err *e) {
    struct str pem;
    return read_text(a, path, CERT_FILE_BYTES_MAX, &pem, e) && (cert_from_pem(a, pem, out, count, e) || err_wrap(e, "%s", path));
}

bool cert_read_pem(struct arena *a, const char *path, struct str *pem, struct err *e) {
    return read_text(a, path, CERT_KEY_BYTES_MAX, pem, e);
}

bool cert_key_fits(const struct cert *c, struct str key_pem, struct err *e) {
    BIO *bio = BIO_new_mem_buf(key_pem.p, (int)(key_pem.n < CERT_KEY_BYTES_MAX ? key_pem.n : CERT_KEY_BYTES_MAX));
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NO_PASSPHRASE) : NULL;
    BIO_free(bio);
    X509 *x = key ? parse(c->der, e) : NULL;
    bool fits = x && X509_check_private_key(x, key) == 1;
    bool read = key != NULL;
    X509_free(x);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (!read) return err_set(e, ERR_BAD_INPUT, "cert", "no private key in PEM without a passphrase");
    return fits || err_set(e, ERR_CONFLICT, "cert", "the private key is not the one of the certificate '%s'", c->subject);
}

// ---- checking ----

bool cert_names_host(const struct cert *c, const char *host) {
    X509 *x = parse(c->der, NULL);
    bool ok = x && (X509_check_ip_asc(x, host, 0) == 1 ||
                    X509_check_host(x, host, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1);
    X509_free(x);
    ERR_clear_error();
    return ok;
}

static X509 *parse_for_check(const struct cert *c) {
    X509 *x = parse(c->der, NULL);
    if (!x || X509_get_signature_nid(x) != NID_SM2_with_SM3) return x;
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    if (id && ASN1_OCTET_STRING_set(id, (const unsigned char *)SM2_ID, sizeof SM2_ID - 1) == 1)
        X509_set0_distinguishing_id(x, id); // taken
    else
        ASN1_OCTET_STRING_free(id);
    return x;
}

static unsigned fault_of(int code) {
    switch (code) {
    case X509_V_OK:
        return 0;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return CERT_UNKNOWN_ISSUER;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return CERT_SELF_SIGNED;
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
    case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
        return CERT_BAD_SIGNATURE;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return CERT_WEAK;
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
        return CERT_NOT_AUTHORITY;
    default:
        return CERT_REFUSED;
    }
}

static bool push(STACK_OF(X509) * to, X509 *x) {
    if (x && sk_X509_push(to, x) > 0) return true;
    X509_free(x);
    return false;
}

static unsigned outcome(X509_STORE_CTX *ctx, const char **why) {
    if (X509_verify_cert(ctx) == 1) return 0;
    int code = X509_STORE_CTX_get_error(ctx);
    unsigned fault = fault_of(code);
    if (fault == CERT_REFUSED && why) *why = X509_verify_cert_error_string(code);
    return fault;
}

// Whether a chain leads to something trusted; its dates and uses are looked at by the caller, each for itself.
static unsigned check_chain(const struct cert_question *q, const char **why) {
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *between = sk_X509_new_null();
    X509 *leaf = parse_for_check(&q->chain[0]);
    bool ok = store && ctx && between && leaf;
    for (unsigned i = 0; ok && i < q->trusted_count; i++) {
        X509 *x = parse_for_check(&q->trusted[i]);
        ok = x && X509_STORE_add_cert(store, x) == 1;
        X509_free(x);
    }
    if (ok && q->system) X509_STORE_set_default_paths(store);
    for (unsigned i = 1; ok && i < q->count; i++) ok = push(between, parse_for_check(&q->chain[i]));
    ok = ok && X509_STORE_CTX_init(ctx, store, leaf, between) == 1;
    if (ok) X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
    unsigned fault = ok ? outcome(ctx, why) : CERT_REFUSED;
    if (!ok && why) *why = "it cannot be checked";
    X509_STORE_CTX_free(ctx);
    sk_X509_pop_free(between, X509_free);
    X509_free(leaf);
    X509_STORE_free(store);
    ERR_clear_error();
    return fault;
}

// An authority's dates: of what came with the certificate, and of the trusted one that signed the last of them.
static bool issuer_out_of_time(const struct cert_question *q) {
    const struct cert *last = &q->chain[0];
    for (unsigned i = 1; i < q->count; i++) {
        if (strcmp(q->chain[i].subject, last->issuer) != 0) continue;
        last = &q->chain[i];
        if (q->at_ms < last->from_ms || q->at_ms > last->until_ms) return true;
    }
    bool found = false, good = false;
    for (unsigned i = 0; i < q->trusted_count; i++) {
        const struct cert *t = &q->trusted[i];
        if (strcmp(t->subject, last->issuer) != 0) continue;
        found = true;
        good = good || (q->at_ms >= t->from_ms && q->at_ms <= t->until_ms);
    }
    return found && !good;
}

unsigned cert_check(const struct cert_question *q, const char **why) {
    const struct cert *c = &q->chain[0];
    unsigned faults = 0;
    if (why) *why = "";
    if (q->at_ms > c->until_ms) faults |= CERT_EXPIRED;
    if (q->at_ms < c->from_ms) faults |= CERT_NOT_YET;
    if (q->host && !cert_names_host(c, q->host)) faults |= CERT_OTHER_NAME;
    if (q->client ? !c->for_client : !c->for_server) faults |= CERT_OTHER_USE;
    if (c->weak) faults |= CERT_WEAK;
    if (issuer_out_of_time(q)) faults |= CERT_ISSUER_TIME;
    if (q->trusted_count == 0 && !q->system) return faults | CERT_AUTHORITY_ABSENT;
    return faults | check_chain(q, why);
}
