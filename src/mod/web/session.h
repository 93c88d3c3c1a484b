// Who is asking over HTTP: a session's cookie or a bearer token, both looked up in core/accounts.
#ifndef GANTRY_MOD_WEB_SESSION_H
#define GANTRY_MOD_WEB_SESSION_H

#include "core/accounts.h"
#include "http/server.h"

struct sessions;
struct principal;

// required false: nobody is asked for anything, everybody is PRINCIPAL_OF_LOCAL. accounts outlives it.
bool sessions_open(struct accounts *accounts, bool required, struct sessions **out, struct err *e);
void sessions_close(struct sessions *s); // NULL is fine
bool sessions_required(const struct sessions *s);

// For bearer tokens that are no API tokens of ours (signed ones of an identity provider): asked first. *out NULL: none of its kind or nobody's. At most one.
typedef bool session_bearer(void *context, struct http_request *rq, struct str token, const struct principal **out, struct err *e);
void sessions_set_bearer(struct sessions *s, session_bearer *ask, void *context);

// The server's authorise callback; context is the struct sessions. Who it is stands in rq->principal and rq->user, also where nobody is asked for.
bool sessions_authorise(void *context, struct http_request *rq, unsigned permission, struct err *e);

// The secret of the request's cookie; empty when it has none.
struct str session_secret(const struct http_request *rq);
// The Set-Cookie value that makes a browser keep a session, and the one that makes it forget; in the request's arena. NULL on failure.
const char *session_cookie(struct http_request *rq, const char *secret, struct err *e);
const char *session_cookie_end(struct http_request *rq, struct err *e);
// Who acts, for services.
struct actor session_actor(const struct http_request *rq);

#endif
