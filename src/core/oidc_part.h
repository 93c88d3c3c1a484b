// Inside of single sign-on: private to core/oidc*.c.
#ifndef GANTRY_CORE_OIDC_PART_H
#define GANTRY_CORE_OIDC_PART_H

#include <pthread.h>

#include "base/buf.h"
#include "core/oidc.h"
#include "http/client.h"
#include "text/json.h"

enum {
    OIDC_ANSWER_BYTES_MAX = 256 * 1024, // metadata, keys, tokens, claims
    OIDC_CALL_MS = 10 * 1000,
    OIDC_KEEP_MS = 10 * 60 * 1000,      // metadata and keys count so long without being asked for again
    OIDC_LAST_MS = 24 * 60 * 60 * 1000, // and at most so long while the provider does not answer
    OIDC_PAUSE_MS = 3 * 1000,           // between two askings, however many tokens name keys that nobody knows
};

// What the provider says of itself (Discovery 1.0, 3).
struct provider {
    struct arena arena;
    struct str authorization, token, userinfo, keys, end_session;
    bool answers_issuer; // RFC 9207
    bool secret_in_body; // client_secret_post and not client_secret_basic
    enum net_place place;
    struct jwks *jwks;
    int64_t at_ms; // monotonic
};

struct oidc {
    struct archive *archive;
    struct oidc_options o;
    struct access_grant *mapped; // one per rule of o.roles, their scopes parsed; in arena
    struct arena arena;
    struct http_pool *pool;
    bool plain;               // the issuer is of this machine and without TLS
    pthread_mutex_t fetching; // one asks the provider at a time
    int64_t asked_ms;         // under fetching
    pthread_rwlock_t lock;    // provider
    struct provider *provider;
};

// The provider as it is known, for reading: to be given back with provider_done. NULL with *e when it does not answer.
const struct provider *provider_get(struct oidc *o, struct err *e);
void provider_done(struct oidc *o);
void provider_free(struct provider *p);
// Asks it again, unless that was done moments ago. false: what is known did not become newer.
bool provider_renew(struct oidc *o, struct err *e);
// Verifies by the provider's keys, which are asked for again once when the token names another.
bool provider_verify(struct oidc *o, struct arena *a, struct str token, enum jwt_use use, struct str nonce, struct jwt *out, struct err *e);

// A JSON object from the provider. form: POSTed; NULL: GET. authorization: "Basic ..." or "Bearer ..."; empty: none.
struct provider_call {
    struct str url, form, authorization;
    enum net_place closest; // where it may lead
};
bool provider_ask(struct oidc *o, struct arena *a, const struct provider_call *c, const struct json **out, enum net_place *where, struct err *e);

// A claim by its whole name, else by the way that dots in it show.
const struct json *claim_get(const struct json *claims, const char *name);
// The grants of somebody with these claims, in a.
bool claims_grants(const struct oidc *o, struct arena *a, const struct json *claims, struct access_grant **out, unsigned *count, struct err *e);

#endif
