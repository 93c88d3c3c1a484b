// Verifying tokens: header, key, signature, then what it claims.
#include "http/jwt.h"

#include "base/limits.h"
#include "text/base64url.h"
#include "text/json.h"

#define LOGOUT_EVENT "http://schemas.openid.net/event/backchannel-logout"

struct parts {
    struct str header, payload, signature; // as they came
    struct str signed_text;
};

static bool refuse(struct err *e, const char *why) {
    return err_set(e, ERR_UNAUTHORIZED, "token", "%s", why);
}

static bool split(struct str token, struct parts *p) {
    size_t first = str_find(token, '.', 0), second = str_find(token, '.', first + 1);
    if (token.n > JWT_BYTES_MAX || second >= token.n || str_find(token, '.', second + 1) < token.n) return false;
    *p =
        (struct parts){str_sub(token, 0, first), str_sub(token, first + 1, second - first - 1), str_sub(token, second + 1, token.n), str_sub(token, 0, second)};
    return p->header.n && p->payload.n;
}

bool jwt_looks(struct str token) {
    struct parts p;
    return split(token, &p);
}

// An object in which no name stands twice: readers would differ in which of them counts (RFC 8725 2.4).
static const struct json *read_object(struct arena *a, struct str part, struct err *e) {
    struct str text;
    const struct json *v = base64url_decode(a, part, &text, NULL) ? json_read(a, text, JWT_DEPTH_MAX, NULL) : NULL;
    if (!v || v->kind != JSON_OBJECT || v->count > JWT_MEMBERS_MAX) return refuse(e, "the token is malformed"), NULL;
    for (const struct json *m = v->first; m; m = m->next)
        for (const struct json *other = m->next; other; other = other->next)
            if (str_eq(m->key, other->key)) return refuse(e, "the token says something twice"), NULL;
    return v;
}

// ---- header and key ----

struct header {
    enum sign_scheme scheme;
    struct str alg, kid;
    bool has_kid;
};

static const char *const SCHEMES[] = {[SIGN_RS256] = "RS256", [SIGN_PS256] = "PS256", [SIGN_ES256] = "ES256"};

static bool take_algorithm(const struct json *h, unsigned allowed, struct header *out, struct err *e) {
    out->alg = json_text(json_get(h, "alg"));
    for (unsigned i = 0; i < sizeof SCHEMES / sizeof *SCHEMES; i++) {
        if (!str_eqz(out->alg, SCHEMES[i])) continue;
        out->scheme = (enum sign_scheme)i;
        return allowed >> i & 1 || refuse(e, "the token is signed by an algorithm that is not allowed");
    }
    return refuse(e, "the token is signed by an algorithm that is not taken");
}

// "at+jwt" and "application/at+jwt" are the same (RFC 7515 4.1.9).
static bool type_is(struct str typ, const char *name) {
    struct str prefix = STR_LIT("application/");
    if (str_eq_nocase(str_sub(typ, 0, prefix.n), prefix)) typ = str_sub(typ, prefix.n, typ.n);
    return str_eq_nocase(typ, str_of(name));
}

static bool type_fits(const struct json *h, enum jwt_use use) {
    static const char *const OWN[] = {[JWT_ID_TOKEN] = "JWT", [JWT_ACCESS_TOKEN] = "at+jwt", [JWT_LOGOUT_TOKEN] = "logout+jwt"};
    const struct json *typ = json_get(h, "typ");
    return !typ || type_is(json_text(typ), "JWT") || type_is(json_text(typ), OWN[use]);
}

static bool take_header(const struct json *h, const struct jwt_rules *r, struct header *out, struct err *e) {
    static const char *const NEVER[] = {"crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc"};
    *out = (struct header){0};
    for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
        if (json_get(h, NEVER[i])) return err_set(e, ERR_UNAUTHORIZED, "token", "a token with '%s' in its header is not taken", NEVER[i]);
    if (!take_algorithm(h, r->algorithms, out, e)) return false;
    if (!type_fits(h, r->use)) return refuse(e, "this token is of another type");
    const struct json *kid = json_get(h, "kid");
    out->has_kid = kid != NULL;
    out->kid = json_text(kid);
    return !kid || (out->kid.n > 0 && out->kid.n <= JWKS_KID_MAX) || refuse(e, "the key's name in the token is none");
}

static bool may_sign(const struct jwk *k, const struct header *h) {
    bool kind = (k->key.kind == SIGN_P256) == (h->scheme == SIGN_ES256);
    return kind && (k->alg.n == 0 || str_eq(k->alg, h->alg)) && (!h->has_kid || str_eq(k->kid, h->kid));
}

// A token that names no key is taken where only one could have signed it (OpenID Connect Core 1.0, 10.1).
static bool signature_fits(const struct jwks *keys, const struct header *h, const struct parts *p, struct str signature, struct err *e) {
    unsigned candidates = 0;
    bool fits = false;
    for (unsigned i = 0; i < keys->count; i++) candidates += may_sign(&keys->keys[i], h);
    if (candidates == 0) return err_set(e, ERR_NOT_FOUND, "token", "the token names a key that its issuer does not publish");
    if (candidates > 1 && !h->has_kid) return refuse(e, "the token does not say by which key it is signed");
    for (unsigned i = 0; i < keys->count && !fits; i++)
        fits = may_sign(&keys->keys[i], h) && sign_is_of(&keys->keys[i].key, h->scheme, p->signed_text, signature);
    return fits || refuse(e, "the signature of the token is wrong");
}

// ---- claims ----

// NumericDate (RFC 7519 2): a JSON number, perhaps with a fraction.
static bool take_time(const struct json *claims, const char *name, bool needed, int64_t *out, struct err *e) {
    const struct json *v = json_get(claims, name);
    double d;
    *out = 0;
    if (!v) return !needed || err_set(e, ERR_UNAUTHORIZED, "token", "the token has no '%s'", name);
    if (v->kind != JSON_NUMBER || !json_to_f64(v, &d) || d < 0 || d > 1e11) return err_set(e, ERR_UNAUTHORIZED, "token", "'%s' of the token is no time", name);
    *out = (int64_t)d;
    return true;
}

static bool times_fit(const struct json *claims, const struct jwt_rules *r, struct jwt *out, struct err *e) {
    int64_t not_before;
    if (!take_time(claims, "exp", true, &out->expires_s, e) || !take_time(claims, "nbf", false, &not_before, e) ||
        !take_time(claims, "iat", r->use != JWT_ACCESS_TOKEN, &out->issued_s, e))
        return false;
    if (r->now_s >= out->expires_s + r->skew_s) return refuse(e, "the token has expired");
    if (not_before > r->now_s + r->skew_s) return refuse(e, "the token is not valid yet");
    return out->issued_s <= r->now_s + r->skew_s || refuse(e, "the token was issued in the future: compare the clocks");
}

static bool audience_fits(const struct json *claims, const struct jwt_rules *r) {
    const struct json *aud = json_get(claims, "aud"), *azp = json_get(claims, "azp");
    bool many = aud && aud->kind == JSON_ARRAY, ours = false;
    for (const struct json *one = many ? aud->first : NULL; one; one = one->next) ours = ours || str_eq(json_text(one), r->audience);
    if (!many) ours = str_eq(json_text(aud), r->audience);
    if (!ours || r->audience.n == 0) return false;
    if (r->use != JWT_ID_TOKEN) return true;
    // Of an ID token for several, we must be the one that it was given to (OpenID Connect Core 1.0, 3.1.3.7).
    return azp ? str_eq(json_text(azp), r->audience) : !many || aud->count == 1;
}

// Printable, of a length that the index keeps: control characters would be nobody's.
static bool name_fits(struct str s, size_t most) {
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] < ' ' || s.p[i] == 0x7f) return false;
    return s.n <= most;
}

static bool is_logout(const struct json *claims) {
    const struct json *event = json_get(json_get(claims, "events"), LOGOUT_EVENT);
    return event && event->kind == JSON_OBJECT;
}

static bool use_fits(const struct json *claims, const struct jwt_rules *r, const struct jwt *t, struct err *e) {
    const struct json *nonce = json_get(claims, "nonce");
    if (r->use == JWT_LOGOUT_TOKEN) return (is_logout(claims) && !nonce && (t->subject.n || t->sid.n)) || refuse(e, "this is no logout token");
    if (json_get(claims, "events")) return refuse(e, "this token tells of an event, not of who asks");
    if (t->subject.n == 0) return refuse(e, "the token does not say whose it is");
    if (r->use == JWT_ACCESS_TOKEN) return !nonce || refuse(e, "this is an ID token: it tells who signed in, and opens nothing");
    if (r->nonce.n == 0 || !str_eq(json_text(nonce), r->nonce)) return refuse(e, "the token answers another sign-in than this one");
    return true;
}

static bool claims_fit(const struct json *claims, const struct jwt_rules *r, struct jwt *out, struct err *e) {
    *out = (struct jwt){
        .claims = claims, .subject = json_text(json_get(claims, "sub")), .sid = json_text(json_get(claims, "sid")), .id = json_text(json_get(claims, "jti"))};
    if (r->issuer.n == 0 || !str_eq(json_text(json_get(claims, "iss")), r->issuer)) return refuse(e, "the token is of another issuer");
    if (!audience_fits(claims, r)) return refuse(e, "the token is for somebody else");
    if (!times_fit(claims, r, out, e)) return false;
    if (!name_fits(out->subject, JWT_SUBJECT_MAX) || !name_fits(out->sid, JWT_SUBJECT_MAX)) return refuse(e, "the name in the token is none");
    return use_fits(claims, r, out, e);
}

bool jwt_verify(struct arena *a, const struct jwks *keys, struct str token, const struct jwt_rules *rules, struct jwt *out, struct err *e) {
    struct parts p;
    struct header h;
    struct str signature;
    if (!split(token, &p)) return refuse(e, "the token is malformed");
    const struct json *header = read_object(a, p.header, e);
    if (!header || !take_header(header, rules, &h, e)) return false;
    if (!base64url_decode(a, p.signature, &signature, NULL) || signature.n == 0) return refuse(e, "the signature of the token is malformed");
    if (!signature_fits(keys, &h, &p, signature, e)) return false;
    const struct json *claims = read_object(a, p.payload, e);
    return claims && claims_fit(claims, rules, out, e);
}
