// Single sign-on of a server.
#include "app/serve_oidc.h"

#include "core/oidc.h"

bool serve_oidc_open(struct server *s, struct err *e) {
    struct oidc_options o = s->settings->oidc;
    o.guard = settings_guard(s->settings);
    return !o.issuer || oidc_open(s->archive, &o, &s->oidc, e);
}

void serve_oidc_close(struct server *s) {
    oidc_close(s->oidc);
    s->oidc = NULL;
}

bool serve_oidc_verify(void *context, struct arena *a, struct str jwt, const struct principal **out, struct err *e) {
    *out = NULL;
    return oidc_bearer(context, a, jwt, out, e);
}
