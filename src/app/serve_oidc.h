// Single sign-on of a server: opened before the doors, closed after them.
#ifndef GANTRY_APP_SERVE_OIDC_H
#define GANTRY_APP_SERVE_OIDC_H

#include "app/modules.h"

bool serve_oidc_open(struct server *s, struct err *e); // nothing where none is configured
void serve_oidc_close(struct server *s);

// Whose an access token is, for doors other than HTTP; context is the struct oidc.
bool serve_oidc_verify(void *context, struct arena *a, struct str jwt, const struct principal **out, struct err *e);

#endif
