// JSON Web Tokens (RFC 7519) that somebody else has signed: whether they are genuine, for us, of the right use and of this moment (RFC 8725).
//
// Taken are compact JWS (RFC 7515) with RS256, PS256 or ES256 by a key of the issuer's own set. Whatever a token says of where its key is to be found
// (jwk, jku, x5u, x5c) is refused, as is any extension that must be understood (crit).
#ifndef GANTRY_HTTP_JWT_H
#define GANTRY_HTTP_JWT_H

#include "http/jwks.h"

struct json;

enum jwt_use {
    JWT_ID_TOKEN,     // OpenID Connect Core 1.0, 2 and 3.1.3.7
    JWT_ACCESS_TOKEN, // RFC 9068, and those of providers that call them "JWT"
    JWT_LOGOUT_TOKEN, // OpenID Connect Back-Channel Logout 1.0, 2.4
};
enum { JWT_RS256 = 1 << SIGN_RS256, JWT_PS256 = 1 << SIGN_PS256, JWT_ES256 = 1 << SIGN_ES256, JWT_ALL = JWT_RS256 | JWT_PS256 | JWT_ES256 };
enum { JWT_SUBJECT_MAX = 255, JWT_SKEW_S = 60 };

struct jwt_rules {
    enum jwt_use use;
    unsigned algorithms; // JWT_RS256 | ...
    struct str issuer, audience;
    struct str nonce; // of an ID token: what was asked with
    int64_t now_s, skew_s;
};

struct jwt {
    struct str subject, sid, id; // "sub", "sid", "jti"; empty when absent
    int64_t expires_s, issued_s; // issued_s 0: not said
    const struct json *claims;
};

// Whether it looks like one: three parts between dots. What does not is another kind of token.
bool jwt_looks(struct str token);
// ERR_UNAUTHORIZED with what is wrong, never with the token; ERR_NOT_FOUND: it names a key that the set has not (any more, or not yet). Everything in a.
bool jwt_verify(struct arena *a, const struct jwks *keys, struct str token, const struct jwt_rules *rules, struct jwt *out, struct err *e);

#endif
