// Tokens that others sign: the good ones are taken, and each of many bad kinds is refused for its own reason.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
// cmocka needs the four above first
#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "http/jwt.h"
#include "sys/digest.h"
#include "text/base64url.h"
#include "text/json.h"

#define ISSUER "https://sso.example.org"
#define NOW 1800000000
#define AFTER "1800000300"
#define BEFORE "1799999000"

enum signer { RSA_A, RSA_B, EC_A, EC_B, RSA_WEAK, SIGNERS };
enum sign_how { RS256, PS256, ES256, HS256_BY_PUBLIC_KEY, PS256_LONG_SALT, DER, RS512, NOTHING, ZEROES };

static struct arena arena;
static EVP_PKEY *keys[SIGNERS];
static struct jwks *set;

// ---- making tokens ----

static void add_number(struct buf *b, const char *name, const BIGNUM *n, int bytes) {
    uint8_t raw[1024];
    int size = bytes ? bytes : BN_num_bytes(n);
    assert_int_equal(BN_bn2binpad(n, raw, size), size);
    buf_addf(b, ",\"%s\":\"", name);
    base64url_encode(raw, (size_t)size, b);
    buf_addc(b, '"');
}

static void add_param(struct buf *b, const char *name, EVP_PKEY *key, const char *param, int bytes) {
    BIGNUM *n = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, param, &n), 1);
    add_number(b, name, n, bytes);
    BN_free(n);
}

static void add_jwk(struct buf *b, const char *kid, EVP_PKEY *key, const char *more) {
    bool rsa = EVP_PKEY_is_a(key, "RSA");
    buf_addf(b, "%s{\"kid\":\"%s\"%s,\"kty\":\"%s\"", b->p[b->n - 1] == '[' ? "" : ",", kid, more, rsa ? "RSA" : "EC");
    if (!rsa) buf_addz(b, ",\"crv\":\"P-256\"");
    add_param(b, rsa ? "n" : "x", key, rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_EC_PUB_X, rsa ? 0 : 32);
    add_param(b, rsa ? "e" : "y", key, rsa ? OSSL_PKEY_PARAM_RSA_E : OSSL_PKEY_PARAM_EC_PUB_Y, rsa ? 0 : 32);
    buf_addc(b, '}');
}

static struct str sign_with(EVP_PKEY *key, const EVP_MD *md, int padding, int salt, struct str text) {
    size_t n = 1024;
    char *out = arena_alloc(&arena, n, NULL);
    EVP_PKEY_CTX *of;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, &of, md, NULL, key), 1);
    if (padding) assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(of, padding), 1);
    if (salt) assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(of, salt), 1);
    assert_int_equal(EVP_DigestSign(ctx, (uint8_t *)out, &n, (const uint8_t *)text.p, text.n), 1);
    EVP_MD_CTX_free(ctx);
    return (struct str){out, n};
}

static struct str raw_pair(struct str der) {
    const uint8_t *at = (const uint8_t *)der.p;
    uint8_t *out = arena_alloc(&arena, 64, NULL);
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der.n);
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + 32, 32);
    ECDSA_SIG_free(pair);
    return (struct str){(char *)out, 64};
}

// The classic confusion: the public key, which everybody has, taken for the secret of a MAC.
static struct str mac(EVP_PKEY *key, struct str text) {
    BIGNUM *n = NULL;
    uint8_t raw[512], *out = arena_alloc(&arena, DIGEST_BYTES, NULL);
    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n);
    assert_true(digest_hmac(raw, (size_t)BN_bn2bin(n, raw), text.p, text.n, out, NULL));
    BN_free(n);
    return (struct str){(char *)out, DIGEST_BYTES};
}

static struct str signature_of(EVP_PKEY *key, enum sign_how how, struct str text) {
    switch (how) {
    case RS256:
        return sign_with(key, EVP_sha256(), RSA_PKCS1_PADDING, 0, text);
    case RS512:
        return sign_with(key, EVP_sha512(), RSA_PKCS1_PADDING, 0, text);
    case PS256:
        return sign_with(key, EVP_sha256(), RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST, text);
    case PS256_LONG_SALT:
        return sign_with(key, EVP_sha256(), RSA_PKCS1_PSS_PADDING, 64, text);
    case ES256:
        return raw_pair(sign_with(key, EVP_sha256(), 0, 0, text));
    case DER:
        return sign_with(key, EVP_sha256(), 0, 0, text);
    case HS256_BY_PUBLIC_KEY:
        return mac(key, text);
    case ZEROES:
        return (struct str){arena_zero(&arena, 1, 64, NULL), 64};
    default:
        return (struct str){"", 0};
    }
}

static struct str make(const char *header, const char *claims, enum signer by, enum sign_how how) {
    struct buf b;
    struct str out = {0};
    buf_init(&b, 64 * 1024);
    base64url_encode(header, strlen(header), &b);
    buf_addc(&b, '.');
    base64url_encode(claims, strlen(claims), &b);
    struct str signature = signature_of(keys[by], how, buf_str(&b));
    buf_addc(&b, '.');
    base64url_encode(signature.p, signature.n, &b);
    assert_true(buf_ok(&b, NULL) && arena_dup(&arena, buf_str(&b), &out, NULL));
    buf_deinit(&b);
    return out;
}

static int set_up(void **state) {
    (void)state;
    struct buf b;
    struct err e = {0};
    arena_init(&arena, 16 * 1024 * 1024);
    for (int i = 0; i < SIGNERS; i++) keys[i] = i == EC_A || i == EC_B ? EVP_EC_gen("P-256") : EVP_RSA_gen(i == RSA_WEAK ? 1024 : 2048);
    buf_init(&b, 64 * 1024);
    buf_addz(&b, "{\"keys\":[");
    add_jwk(&b, "rsa", keys[RSA_A], ",\"use\":\"sig\"");
    add_jwk(&b, "rs-only", keys[RSA_A], ",\"alg\":\"RS256\",\"key_ops\":[\"verify\"]");
    add_jwk(&b, "ec", keys[EC_A], "");
    add_jwk(&b, "enc", keys[RSA_B], ",\"use\":\"enc\"");
    add_jwk(&b, "weak", keys[RSA_WEAK], "");
    buf_addz(&b, ",{\"kid\":\"oct\",\"kty\":\"oct\",\"k\":\"AAAA\"}]}");
    assert_true(jwks_read(buf_str(&b), &set, &e));
    buf_deinit(&b);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    jwks_free(set);
    for (int i = 0; i < SIGNERS; i++) EVP_PKEY_free(keys[i]);
    arena_deinit(&arena);
    return 0;
}

// ---- good ones ----

static struct jwt_rules rules_of(enum jwt_use use) {
    return (struct jwt_rules){.use = use,
                              .algorithms = JWT_ALL,
                              .issuer = STR_LIT(ISSUER),
                              .audience = use == JWT_ACCESS_TOKEN ? STR_LIT("gantry-api") : STR_LIT("gantry"),
                              .nonce = use == JWT_ID_TOKEN ? STR_LIT("n-1") : (struct str){0},
                              .now_s = NOW,
                              .skew_s = JWT_SKEW_S};
}

#define CLAIMS(more) "{\"iss\":\"" ISSUER "\",\"sub\":\"li.wei\",\"iat\":" BEFORE ",\"exp\":" AFTER more "}"
#define ID CLAIMS(",\"aud\":\"gantry\",\"nonce\":\"n-1\"")
#define ACCESS CLAIMS(",\"aud\":[\"other\",\"gantry-api\"]")
#define EVENT ",\"events\":{\"http://schemas.openid.net/event/backchannel-logout\":{}}"

static void a_genuine_token_of_each_algorithm_is_taken(void **state) {
    (void)state;
    static const struct {
        const char *header, *claims;
        enum signer by;
        enum sign_how how;
        enum jwt_use use;
    } GOOD[] = {
        {"{\"alg\":\"RS256\",\"kid\":\"rsa\"}", ID, RSA_A, RS256, JWT_ID_TOKEN},
        {"{\"alg\":\"RS256\",\"kid\":\"rs-only\",\"typ\":\"JWT\"}", ID, RSA_A, RS256, JWT_ID_TOKEN},
        {"{\"alg\":\"PS256\",\"kid\":\"rsa\"}", ID, RSA_A, PS256, JWT_ID_TOKEN},
        {"{\"alg\":\"ES256\",\"kid\":\"ec\"}", ID, EC_A, ES256, JWT_ID_TOKEN},
        {"{\"alg\":\"ES256\"}", ID, EC_A, ES256, JWT_ID_TOKEN}, // the only key of its kind need not be named
        {"{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"at+jwt\"}", ACCESS, EC_A, ES256, JWT_ACCESS_TOKEN},
        {"{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"application/at+jwt\"}", ACCESS, EC_A, ES256, JWT_ACCESS_TOKEN},
        {"{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"logout+jwt\"}", CLAIMS(",\"aud\":\"gantry\",\"sid\":\"s1\",\"jti\":\"j\"" EVENT), EC_A, ES256,
         JWT_LOGOUT_TOKEN},
    };
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        struct jwt t;
        struct err e = {0};
        struct jwt_rules r = rules_of(GOOD[i].use);
        struct str token = make(GOOD[i].header, GOOD[i].claims, GOOD[i].by, GOOD[i].how);
        assert_true(jwt_looks(token));
        if (!jwt_verify(&arena, set, token, &r, &t, &e)) fail_msg("%s: %s", GOOD[i].header, e.message);
        assert_true(str_eqz(t.subject, "li.wei") && t.expires_s == NOW + 300);
    }
}

static void clocks_may_differ_by_the_skew_and_no_more(void **state) {
    (void)state;
    struct jwt t;
    struct jwt_rules r = rules_of(JWT_ID_TOKEN);
    struct str token = make("{\"alg\":\"ES256\"}", ID, EC_A, ES256);
    r.now_s = NOW + 300 + JWT_SKEW_S - 1;
    assert_true(jwt_verify(&arena, set, token, &r, &t, NULL));
    r.now_s++;
    assert_false(jwt_verify(&arena, set, token, &r, &t, NULL));
    r.now_s = 1799999000 - JWT_SKEW_S; // iat
    assert_true(jwt_verify(&arena, set, token, &r, &t, NULL));
    r.now_s--;
    assert_false(jwt_verify(&arena, set, token, &r, &t, NULL));
}

// ---- bad ones ----

#define RS "{\"alg\":\"RS256\",\"kid\":\"rsa\"}"
#define ES "{\"alg\":\"ES256\",\"kid\":\"ec\"}"
#define LONG_KID                                                                                                                                        \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234" \
    "5678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"

static const struct bad {
    const char *what, *header, *claims;
    enum signer by;
    enum sign_how how;
    enum jwt_use use;
    const char *why; // part of the message
} BAD[] = {
    // algorithms
    {"alg none", "{\"alg\":\"none\"}", ID, RSA_A, NOTHING, JWT_ID_TOKEN, "algorithm"},
    {"alg NoNe", "{\"alg\":\"NoNe\"}", ID, RSA_A, NOTHING, JWT_ID_TOKEN, "algorithm"},
    {"alg none and a signature", "{\"alg\":\"none\",\"kid\":\"rsa\"}", ID, RSA_A, RS256, JWT_ID_TOKEN, "algorithm"},
    {"no alg", "{\"kid\":\"rsa\"}", ID, RSA_A, RS256, JWT_ID_TOKEN, "algorithm"},
    {"alg a list", "{\"alg\":[\"RS256\"],\"kid\":\"rsa\"}", ID, RSA_A, RS256, JWT_ID_TOKEN, "algorithm"},
    {"HS256 by the public key", "{\"alg\":\"HS256\",\"kid\":\"rsa\"}", ID, RSA_A, HS256_BY_PUBLIC_KEY, JWT_ID_TOKEN, "algorithm"},
    {"HS256 by a key of the set", "{\"alg\":\"HS256\",\"kid\":\"oct\"}", ID, RSA_A, HS256_BY_PUBLIC_KEY, JWT_ID_TOKEN, "algorithm"},
    {"RS512", "{\"alg\":\"RS512\",\"kid\":\"rsa\"}", ID, RSA_A, RS512, JWT_ID_TOKEN, "algorithm"},
    {"RS512 that says RS256", RS, ID, RSA_A, RS512, JWT_ID_TOKEN, "signature"},
    {"PS256 by a key that is for RS256", "{\"alg\":\"PS256\",\"kid\":\"rs-only\"}", ID, RSA_A, PS256, JWT_ID_TOKEN, "does not publish"},
    {"PS256 that says RS256", RS, ID, RSA_A, PS256, JWT_ID_TOKEN, "signature"},
    {"PS256 with a salt of another length", "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", ID, RSA_A, PS256_LONG_SALT, JWT_ID_TOKEN, "signature"},
    {"ES256 that names an RSA key", "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "does not publish"},
    {"RS256 that names a curve's key", "{\"alg\":\"RS256\",\"kid\":\"ec\"}", ID, RSA_A, RS256, JWT_ID_TOKEN, "does not publish"},
    // signatures
    {"no signature", RS, ID, RSA_A, NOTHING, JWT_ID_TOKEN, "malformed"},
    {"another RSA key", RS, ID, RSA_B, RS256, JWT_ID_TOKEN, "signature"},
    {"another key on the curve", ES, ID, EC_B, ES256, JWT_ID_TOKEN, "signature"},
    {"a signature of zeroes (CVE-2022-21449)", ES, ID, EC_A, ZEROES, JWT_ID_TOKEN, "signature"},
    {"ES256 in DER", ES, ID, EC_A, DER, JWT_ID_TOKEN, "signature"},
    // keys
    {"a key that is not published", "{\"alg\":\"RS256\",\"kid\":\"stranger\"}", ID, RSA_B, RS256, JWT_ID_TOKEN, "does not publish"},
    {"a key for encryption", "{\"alg\":\"RS256\",\"kid\":\"enc\"}", ID, RSA_B, RS256, JWT_ID_TOKEN, "does not publish"},
    {"a key that is too short", "{\"alg\":\"RS256\",\"kid\":\"weak\"}", ID, RSA_WEAK, RS256, JWT_ID_TOKEN, "does not publish"},
    {"no kid where several keys fit", "{\"alg\":\"RS256\"}", ID, RSA_A, RS256, JWT_ID_TOKEN, "by which key"},
    {"an empty kid", "{\"alg\":\"ES256\",\"kid\":\"\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "key's name"},
    {"a kid that is a number", "{\"alg\":\"ES256\",\"kid\":1}", ID, EC_A, ES256, JWT_ID_TOKEN, "key's name"},
    {"a kid that is a path", "{\"alg\":\"ES256\",\"kid\":\"../../../dev/null\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "does not publish"},
    {"a kid that is SQL", "{\"alg\":\"ES256\",\"kid\":\"x' UNION SELECT 'ec\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "does not publish"},
    {"a kid with a NUL behind a good one", "{\"alg\":\"ES256\",\"kid\":\"ec\\u0000x\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "does not publish"},
    {"a kid without an end", "{\"alg\":\"ES256\",\"kid\":\"" LONG_KID "\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "key's name"},
    {"a key of its own", "{\"alg\":\"ES256\",\"kid\":\"ec\",\"jwk\":{\"kty\":\"EC\"}}", ID, EC_A, ES256, JWT_ID_TOKEN, "'jwk'"},
    {"a place of its key", "{\"alg\":\"ES256\",\"kid\":\"ec\",\"jku\":\"https://evil.example/k\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "'jku'"},
    {"a place of its certificate", "{\"alg\":\"ES256\",\"kid\":\"ec\",\"x5u\":\"https://evil.example/c\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "'x5u'"},
    {"a certificate of its own", "{\"alg\":\"ES256\",\"kid\":\"ec\",\"x5c\":[\"AA\"]}", ID, EC_A, ES256, JWT_ID_TOKEN, "'x5c'"},
    {"an extension", "{\"alg\":\"ES256\",\"kid\":\"ec\",\"crit\":[\"exp\"]}", ID, EC_A, ES256, JWT_ID_TOKEN, "'crit'"},
    {"a payload that is not encoded", "{\"alg\":\"ES256\",\"kid\":\"ec\",\"b64\":false}", ID, EC_A, ES256, JWT_ID_TOKEN, "'b64'"},
    // form
    {"a header that says alg twice", "{\"alg\":\"none\",\"alg\":\"ES256\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "twice"},
    {"claims that say sub twice", ES,
     "{\"sub\":\"a\","
     "\"iss\":\"" ISSUER "\",\"sub\":\"b\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":" BEFORE ",\"exp\":" AFTER "}",
     EC_A, ES256, JWT_ID_TOKEN, "twice"},
    {"a header that is a list", "[\"ES256\"]", ID, EC_A, ES256, JWT_ID_TOKEN, "malformed"},
    {"claims that are no JSON", ES, "sub=li.wei", EC_A, ES256, JWT_ID_TOKEN, "malformed"},
    {"claims of a bottomless depth", ES, "{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}", EC_A, ES256, JWT_ID_TOKEN, "malformed"},
    {"a type of another use", "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"at+jwt\"}", ID, EC_A, ES256, JWT_ID_TOKEN, "type"},
    {"a logout token for an access token", "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"logout+jwt\"}", ACCESS, EC_A, ES256, JWT_ACCESS_TOKEN, "type"},
    // who and for whom
    {"another issuer", ES, "{\"iss\":\"https://evil.example\",\"sub\":\"li.wei\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":" BEFORE ",\"exp\":" AFTER "}",
     EC_A, ES256, JWT_ID_TOKEN, "another issuer"},
    {"the issuer with a slash", ES, "{\"iss\":\"" ISSUER "/\",\"sub\":\"li.wei\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":" BEFORE ",\"exp\":" AFTER "}",
     EC_A, ES256, JWT_ID_TOKEN, "another issuer"},
    {"no issuer", ES, "{\"sub\":\"li.wei\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":" BEFORE ",\"exp\":" AFTER "}", EC_A, ES256, JWT_ID_TOKEN,
     "another issuer"},
    {"no audience", ES, CLAIMS(",\"nonce\":\"n-1\""), EC_A, ES256, JWT_ID_TOKEN, "somebody else"},
    {"another audience", ES, CLAIMS(",\"aud\":\"other\",\"nonce\":\"n-1\""), EC_A, ES256, JWT_ID_TOKEN, "somebody else"},
    {"an audience that begins like ours", ES, CLAIMS(",\"aud\":\"gantry-2\",\"nonce\":\"n-1\""), EC_A, ES256, JWT_ID_TOKEN, "somebody else"},
    {"an audience that is an object", ES, CLAIMS(",\"aud\":{\"gantry\":true},\"nonce\":\"n-1\""), EC_A, ES256, JWT_ID_TOKEN, "somebody else"},
    {"several audiences and no authorised party", ES, CLAIMS(",\"aud\":[\"gantry\",\"other\"],\"nonce\":\"n-1\""), EC_A, ES256, JWT_ID_TOKEN, "somebody else"},
    {"another authorised party", ES, CLAIMS(",\"aud\":\"gantry\",\"azp\":\"other\",\"nonce\":\"n-1\""), EC_A, ES256, JWT_ID_TOKEN, "somebody else"},
    {"an ID token as an access token", ES, ID, EC_A, ES256, JWT_ACCESS_TOKEN, "somebody else"},
    {"an ID token for the programs' audience", ES, CLAIMS(",\"aud\":\"gantry-api\",\"nonce\":\"n-1\""), EC_A, ES256, JWT_ACCESS_TOKEN, "ID token"},
    {"nobody", ES, "{\"iss\":\"" ISSUER "\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":" BEFORE ",\"exp\":" AFTER "}", EC_A, ES256, JWT_ID_TOKEN, "whose"},
    {"a subject with a line's end", ES,
     "{\"iss\":\"" ISSUER "\",\"sub\":\"li\\nwei\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":" BEFORE ",\"exp\":" AFTER "}", EC_A, ES256, JWT_ID_TOKEN,
     "name"},
    // when
    {"expired", ES, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":1799990000,\"exp\":1799999000}", EC_A, ES256,
     JWT_ID_TOKEN, "expired"},
    {"without an end", ES, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":" BEFORE "}", EC_A, ES256, JWT_ID_TOKEN,
     "'exp'"},
    {"an end that is text", ES, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":" BEFORE ",\"exp\":\"" AFTER "\"}", EC_A,
     ES256, JWT_ID_TOKEN, "'exp'"},
    {"an end beyond all time", ES, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":" BEFORE ",\"exp\":1e300}", EC_A, ES256,
     JWT_ID_TOKEN, "'exp'"},
    {"not yet valid", ES, CLAIMS(",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"nbf\":1800000200"), EC_A, ES256, JWT_ID_TOKEN, "not valid yet"},
    {"issued in the future", ES, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"iat\":1800000200,\"exp\":" AFTER "}", EC_A,
     ES256, JWT_ID_TOKEN, "future"},
    {"issued nobody knows when", ES, "{\"iss\":\"" ISSUER "\",\"sub\":\"a\",\"aud\":\"gantry\",\"nonce\":\"n-1\",\"exp\":" AFTER "}", EC_A, ES256, JWT_ID_TOKEN,
     "'iat'"},
    // which sign-in
    {"no nonce", ES, CLAIMS(",\"aud\":\"gantry\""), EC_A, ES256, JWT_ID_TOKEN, "another sign-in"},
    {"the nonce of another sign-in", ES, CLAIMS(",\"aud\":\"gantry\",\"nonce\":\"n-2\""), EC_A, ES256, JWT_ID_TOKEN, "another sign-in"},
    {"a logout token for an ID token", ES, CLAIMS(",\"aud\":\"gantry\",\"nonce\":\"n-1\"" EVENT), EC_A, ES256, JWT_ID_TOKEN, "event"},
    // logout
    {"an ID token for a logout token", ES, ID, EC_A, ES256, JWT_LOGOUT_TOKEN, "logout"},
    {"a logout token with a nonce", ES, CLAIMS(",\"aud\":\"gantry\",\"nonce\":\"n-1\"" EVENT), EC_A, ES256, JWT_LOGOUT_TOKEN, "logout"},
    {"a logout of nobody", ES, "{\"iss\":\"" ISSUER "\",\"aud\":\"gantry\",\"iat\":" BEFORE ",\"exp\":" AFTER EVENT "}", EC_A, ES256, JWT_LOGOUT_TOKEN,
     "logout"},
};

static void every_bad_kind_is_refused_for_its_reason(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        const struct bad *b = &BAD[i];
        struct jwt t;
        struct err e = {0};
        struct jwt_rules r = rules_of(b->use);
        if (jwt_verify(&arena, set, make(b->header, b->claims, b->by, b->how), &r, &t, &e)) fail_msg("%s is taken", b->what);
        if (e.kind != ERR_UNAUTHORIZED && e.kind != ERR_NOT_FOUND) fail_msg("%s: kind %d", b->what, e.kind);
        if (!strstr(e.message, b->why)) fail_msg("%s: refused for another reason: %s", b->what, e.message);
    }
}

static void what_is_cut_or_changed_is_refused(void **state) {
    (void)state;
    struct jwt t;
    struct jwt_rules r = rules_of(JWT_ID_TOKEN);
    struct str good = make(ES, ID, EC_A, ES256);
    assert_true(jwt_verify(&arena, set, good, &r, &t, NULL));
    for (size_t n = 0; n < good.n; n++) assert_false(jwt_verify(&arena, set, str_sub(good, 0, n), &r, &t, NULL));
    for (size_t i = 0; i < good.n; i++) {
        char *changed = arena_strz(&arena, good, NULL);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        if (jwt_verify(&arena, set, str_of(changed), &r, &t, NULL)) fail_msg("changed at %zu", i);
    }
    const char *const around[] = {" ", "=", ".", ".AAAA", "\n"};
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        char *more = arena_printf(&arena, NULL, "%.*s%s", STR_FMT(good), around[i]);
        assert_false(jwt_verify(&arena, set, str_of(more), &r, &t, NULL));
    }
}

static void an_algorithm_that_is_not_allowed_here_is_refused(void **state) {
    (void)state;
    struct jwt t;
    struct err e = {0};
    struct jwt_rules r = rules_of(JWT_ID_TOKEN);
    r.algorithms = JWT_ES256;
    assert_false(jwt_verify(&arena, set, make(RS, ID, RSA_A, RS256), &r, &t, &e));
    assert_non_null(strstr(e.message, "not allowed"));
}

static void other_tokens_do_not_look_like_one(void **state) {
    (void)state;
    assert_false(jwt_looks(STR_LIT("0123456789abcdef")));
    assert_false(jwt_looks(STR_LIT("a.b")));
    assert_false(jwt_looks(STR_LIT("a.b.c.d.e"))); // encrypted
    assert_false(jwt_looks(STR_LIT("..")));
    assert_false(jwt_looks((struct str){0}));
}

#define ONE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"
#define OFF_THE_CURVE "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" ONE "\",\"y\":\"" ONE "\"}]}"

static void sets_of_keys_are_read_with_care(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", // 17 bits
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"!\",\"e\":\"AQAB\"}]}",
        OFF_THE_CURVE,
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct jwks *k = NULL;
        struct err e = {0};
        if (jwks_read(str_of(bad[i]), &k, &e)) fail_msg("%s is taken", bad[i]);
    }
    assert_int_equal(set->count, 3);
    assert_int_equal(set->skipped, 3); // for encryption, too short, symmetric
}

// RFC 8032 7.1, TEST 2.
static void ed25519_is_that_of_the_standard(void **state) {
    (void)state;
    uint8_t seed[32], public_key[32], wanted[64], got[64];
    assert_true(hex_decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", 32, seed));
    assert_true(hex_decode("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
                           64, wanted));
    assert_true(sign_ed25519_public(seed, public_key, NULL) && sign_ed25519(seed, "\x72", 1, got, NULL));
    assert_memory_equal(got, wanted, 64);
    assert_true(sign_ed25519_is_of(public_key, "\x72", 1, got));
    assert_false(sign_ed25519_is_of(public_key, "\x73", 1, got));
}

static void base64url_has_one_form(void **state) {
    (void)state;
    struct str out;
    struct buf b;
    buf_init(&b, 1024);
    base64url_encode("\xfb\xff\xfe\x01", 4, &b);
    assert_true(str_eqz(buf_str(&b), "-__-AQ"));
    assert_true(base64url_decode(&arena, buf_str(&b), &out, NULL) && out.n == 4 && memcmp(out.p, "\xfb\xff\xfe\x01", 4) == 0);
    buf_deinit(&b);
    const char *const bad[] = {"-__-AR", "-__-AQ==", "-__-A", "+//+", "AA A", "AA\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(base64url_decode(&arena, str_of(bad[i]), &out, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_genuine_token_of_each_algorithm_is_taken),
        cmocka_unit_test(clocks_may_differ_by_the_skew_and_no_more),
        cmocka_unit_test(every_bad_kind_is_refused_for_its_reason),
        cmocka_unit_test(what_is_cut_or_changed_is_refused),
        cmocka_unit_test(an_algorithm_that_is_not_allowed_here_is_refused),
        cmocka_unit_test(other_tokens_do_not_look_like_one),
        cmocka_unit_test(sets_of_keys_are_read_with_care),
        cmocka_unit_test(ed25519_is_that_of_the_standard),
        cmocka_unit_test(base64url_has_one_form),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
