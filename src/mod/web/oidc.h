// Single sign-on at the web door: to the identity provider and back, out of both, and the programs that bring its access tokens.
#ifndef GANTRY_MOD_WEB_OIDC_H
#define GANTRY_MOD_WEB_OIDC_H

#include "core/accounts.h"
#include "core/oidc.h"
#include "http/server.h"

struct web_oidc {
    struct archive *archive;
    struct oidc *oidc; // NULL: there is no single sign-on
    struct accounts *accounts;
};

// Mounted at "" with a struct web_oidc as context.
extern const struct http_route WEB_OIDC_ROUTES[];

// A session_bearer (mod/web/session.h); context is a struct web_oidc.
bool web_oidc_bearer(void *context, struct http_request *rq, struct str token, const struct principal **out, struct err *e);

#endif
