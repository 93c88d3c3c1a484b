// Reading sets of keys.
#include "http/jwks.h"

#include <stdlib.h>

#include "base/limits.h"
#include "text/base64url.h"
#include "text/json.h"

static bool number(struct arena *a, const struct json *jwk, const char *name, struct str *out, struct err *e) {
    struct str text = json_text(json_get(jwk, name));
    return text.n ? base64url_decode(a, text, out, e) : err_set(e, ERR_BAD_INPUT, "jwks", "a key lacks its '%s'", name);
}

static bool read_rsa(struct arena *a, const struct json *jwk, struct sign_key *out, struct err *e) {
    struct str n, exponent;
    return number(a, jwk, "n", &n, e) && number(a, jwk, "e", &exponent, e) && sign_key_rsa(n, exponent, out, e);
}

static bool read_p256(struct arena *a, const struct json *jwk, struct sign_key *out, struct err *e) {
    struct str x, y;
    return number(a, jwk, "x", &x, e) && number(a, jwk, "y", &y, e) && sign_key_p256(x, y, out, e);
}

// "use" and "key_ops" (RFC 7517 4.2, 4.3): absent, or they allow it.
static bool for_verifying(const struct json *jwk) {
    const struct json *use = json_get(jwk, "use"), *ops = json_get(jwk, "key_ops");
    if (use && !str_eqz(json_text(use), "sig")) return false;
    if (!ops) return true;
    for (const struct json *op = ops->kind == JSON_ARRAY ? ops->first : NULL; op; op = op->next)
        if (str_eqz(json_text(op), "verify")) return true;
    return false;
}

static bool read_key(struct jwks *k, const struct json *jwk, struct jwk *out, struct err *e) {
    struct str kty = json_text(json_get(jwk, "kty"));
    *out = (struct jwk){0};
    if (!for_verifying(jwk)) return false;
    if (!arena_dup(&k->arena, json_text(json_get(jwk, "kid")), &out->kid, e) || !arena_dup(&k->arena, json_text(json_get(jwk, "alg")), &out->alg, e))
        return false;
    if (out->kid.n > JWKS_KID_MAX) return false;
    if (str_eqz(kty, "RSA")) return read_rsa(&k->arena, jwk, &out->key, e);
    return str_eqz(kty, "EC") && str_eqz(json_text(json_get(jwk, "crv")), "P-256") && read_p256(&k->arena, jwk, &out->key, e);
}

static bool read_set(struct jwks *k, const struct json *root, struct err *e) {
    const struct json *keys = json_get(root, "keys");
    if (!keys || keys->kind != JSON_ARRAY) return err_set(e, ERR_BAD_INPUT, "jwks", "the set of keys has no list 'keys'");
    for (const struct json *jwk = keys->first; jwk; jwk = jwk->next) {
        if (k->count == JWKS_KEYS_MAX) return err_set(e, ERR_TOO_LARGE, "jwks", "the set has more than %d keys", JWKS_KEYS_MAX);
        if (read_key(k, jwk, &k->keys[k->count], NULL))
            k->count++;
        else
            k->skipped++;
    }
    return k->count > 0 || err_set(e, ERR_BAD_INPUT, "jwks", "none of the %u keys of the set verifies RS256, PS256 or ES256", k->skipped);
}

bool jwks_read(struct str json, struct jwks **out, struct err *e) {
    struct jwks *k = calloc(1, sizeof *k);
    if (!k) return err_nomem(e, "jwks");
    arena_init(&k->arena, JWKS_ARENA_BYTES);
    const struct json *root = json.n > JWKS_BYTES_MAX ? (err_set(e, ERR_TOO_LARGE, "jwks", "the set of keys is longer than %d bytes", JWKS_BYTES_MAX), NULL)
                                                      : json_read(&k->arena, json, JWT_DEPTH_MAX, e);
    if (root && read_set(k, root, e)) {
        *out = k;
        return true;
    }
    jwks_free(k);
    return false;
}

void jwks_free(struct jwks *k) {
    if (!k) return;
    for (unsigned i = 0; i < k->count; i++) sign_key_deinit(&k->keys[i].key);
    arena_deinit(&k->arena);
    free(k);
}
