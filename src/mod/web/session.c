// Cookies, bearer tokens, and the decision on a route.
#include "mod/web/session.h"

#include <stdlib.h>

#include "base/clock.h"
#include "core/access.h"

#define COOKIE "gantry_session"
#define COOKIE_TLS "__Host-gantry_session" // browsers take it from this very host over TLS alone (RFC 6265bis 4.1.3.2)
#define ATTRIBUTES "; Path=/; HttpOnly; SameSite=Strict"

struct sessions {
    bool required;
    struct accounts *accounts;
    session_bearer *bearer;
    void *bearer_context;
};

bool sessions_open(struct accounts *accounts, bool required, struct sessions **out, struct err *e) {
    struct sessions *s = calloc(1, sizeof *s);
    if (!s) return err_nomem(e, "web");
    *s = (struct sessions){.required = required, .accounts = accounts};
    *out = s;
    return true;
}

void sessions_close(struct sessions *s) {
    free(s);
}

bool sessions_required(const struct sessions *s) {
    return s->required;
}

void sessions_set_bearer(struct sessions *s, session_bearer *ask, void *context) {
    s->bearer = ask;
    s->bearer_context = context;
}

static bool is_tls(const struct http_request *rq) {
    return str_starts(http_base(rq), STR_LIT("https://"));
}

struct str session_secret(const struct http_request *rq) {
    return http_cookie(rq, is_tls(rq) ? COOKIE_TLS : COOKIE);
}

static struct str bearer_of(const struct http_request *rq) {
    struct str header = http_header(rq, "Authorization");
    if (!str_eq_nocase(str_sub(header, 0, 7), STR_LIT("Bearer "))) return (struct str){0};
    return str_trim(str_sub(header, 7, header.n));
}

static bool by_bearer(struct sessions *s, struct http_request *rq, struct str token, const struct principal **out, struct err *e) {
    *out = NULL;
    if (s->bearer && !s->bearer(s->bearer_context, rq, token, out, e)) return false;
    return *out || account_by_token(s->accounts, rq->arena, token, out, e);
}

// A token that is none is not made up for by a cookie: whoever sends one means it.
static bool find(struct sessions *s, struct http_request *rq, bool *must_change, struct err *e) {
    struct str token = bearer_of(rq);
    struct account_session session = {0};
    const struct principal *p = &PRINCIPAL_OF_LOCAL;
    if (s->required && token.n && !by_bearer(s, rq, token, &p, e)) return false;
    if (s->required && !token.n) {
        if (!account_by_session(s->accounts, rq->arena, session_secret(rq), &session, e)) return false;
        p = session.principal;
    }
    *must_change = session.must_change;
    rq->principal = p;
    if (p) rq->user = p->name;
    return true;
}

bool sessions_authorise(void *context, struct http_request *rq, unsigned permission, struct err *e) {
    struct sessions *s = context;
    bool must_change = false;
    if (!find(s, rq, &must_change, e)) return permission == ACCESS_OPEN; // health tells of a database that does not answer, too
    const struct actor who = session_actor(rq);
    if (access_decide(rq->principal, permission, NULL, clock_wall_ms(), NULL) == ACCESS_ALLOWED) return true;
    if (!rq->principal && bearer_of(rq).n) return err_set(e, ERR_UNAUTHORIZED, "web", "this token is nobody's, or it is over");
    if (must_change) return err_set(e, ERR_FORBIDDEN, "web", "this password was given by somebody else: change it first");
    return access_require(&who, permission, e);
}

static const char *cookie(struct http_request *rq, const char *secret, const char *more, struct err *e) {
    bool tls = is_tls(rq);
    return arena_printf(rq->arena, e, "%s=%s" ATTRIBUTES "%s%s", tls ? COOKIE_TLS : COOKIE, secret, tls ? "; Secure" : "", more);
}

const char *session_cookie(struct http_request *rq, const char *secret, struct err *e) {
    return cookie(rq, secret, "", e);
}

const char *session_cookie_end(struct http_request *rq, struct err *e) {
    return cookie(rq, "", "; Max-Age=0", e);
}

struct actor session_actor(const struct http_request *rq) {
    return (struct actor){.door = DOOR_PAGE, .address = rq->address, .user = rq->user, .principal = rq->principal, .trace = rq->trace};
}
