// The routes of single sign-on.
#include "mod/web/oidc.h"

#include "base/limits.h"
#include "base/log.h"
#include "core/audit.h"
#include "mod/web/session.h"
#include "text/json.h"

// The secret of one sign-in lies with the browser that began it. Lax: it must come along when the provider sends the browser back.
#define FLOW_COOKIE "gantry_sso"

enum { FLOW_S = 10 * 60 };

static bool there(const struct web_oidc *w, struct err *e) {
    return w->oidc != NULL || err_set(e, ERR_NOT_FOUND, "web", "this server has no single sign-on (oidc: issuer)");
}

// The prefix __Host- lets no neighbour under the same domain put a cookie in the place of ours (RFC 6265bis 4.1.3.2).
static const char *flow_cookie(const struct http_request *rq) {
    return str_starts(http_base(rq), STR_LIT("https://")) ? "__Host-" FLOW_COOKIE : FLOW_COOKIE;
}

static bool set_flow(struct http_request *rq, struct http_response *rs, const char *secret, int seconds, struct err *e) {
    const char *name = flow_cookie(rq);
    char *text = arena_printf(rq->arena, e, "%s=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d%s", name, secret, seconds, name[0] == '_' ? "; Secure" : "");
    if (text) http_add(rs, "Set-Cookie", str_of(text));
    return text != NULL;
}

static bool own_url(struct http_request *rq, const char *path, struct str *out, struct err *e) {
    *out = str_of(arena_printf(rq->arena, e, "%.*s%s", STR_FMT(http_base(rq)), path));
    return out->p != NULL;
}

static void go(struct http_response *rs, struct str where) {
    http_set(rs, "Location", where);
    http_setz(rs, "Referrer-Policy", "no-referrer"); // what the provider answered with stands in the address that is left
    http_reply_status(rs, 303);
}

// To the page, never to where a parameter says. view: "" or "#/..." of the page's own.
static bool go_home(struct http_request *rq, struct http_response *rs, const char *view, struct err *e) {
    char *where = arena_printf(rq->arena, e, "%.*s/%s", STR_FMT(http_prefix(rq)), view);
    if (where) go(rs, str_of(where));
    return where != NULL;
}

// ---- who ----

static bool tell(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web_oidc *w = rq->context;
    struct buf b;
    struct json_writer j;
    (void)e;
    buf_init(&b, 4096);
    json_init(&j, &b, false);
    json_begin_object(&j);
    json_put_bool(&j, "enabled", w->oidc != NULL);
    json_put_strz(&j, "title", w->oidc ? oidc_title(w->oidc) : "");
    json_end_object(&j);
    http_reply_buf(rs, 200, "application/json", &b);
    return true;
}

static bool sign_in(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web_oidc *w = rq->context;
    char secret[OIDC_SECRET_HEX + 1];
    struct str redirect, url;
    struct err why = {0};
    if (!there(w, e)) return false;
    if (!oidc_secret(secret, e) || !own_url(rq, "/api/oidc/callback", &redirect, e)) return false;
    if (!oidc_begin(w->oidc, rq->arena, str_of(secret), redirect, &url, &why)) {
        log_err(&why, "a sign-in by the identity provider");
        return go_home(rq, rs, "#/sso/unreachable", e);
    }
    if (!set_flow(rq, rs, secret, FLOW_S, e)) return false;
    go(rs, url);
    return true;
}

// Who was refused before an account was known.
static void note_refusal(const struct web_oidc *w, const struct http_request *rq, const struct err *why) {
    const struct actor who = {.door = DOOR_PAGE, .address = rq->address};
    const struct audit_note n = {.type = "session.refused", .outcome = AUDIT_DENIED, .detail = STR_LIT("\"by\":\"oidc\"")};
    struct err e = {0};
    log_line(LOG_WARN, "oidc", "a sign-in was refused: %s", why->message);
    if (!audit_note(w->archive, &who, &n, &e)) log_err(&e, "the audit trail");
}

static bool finish(struct http_request *rq, const char **cookie, bool *noted, struct err *e) {
    const struct web_oidc *w = rq->context;
    const struct oidc_answer answer = {http_query(rq, "state"), http_query(rq, "code"), http_query(rq, "iss"), http_query(rq, "error")};
    struct oidc_identity id;
    struct str redirect;
    char secret[ACCOUNT_SECRET_HEX + 1];
    if (!own_url(rq, "/api/oidc/callback", &redirect, e)) return false;
    if (!oidc_finish(w->oidc, rq->arena, http_cookie(rq, flow_cookie(rq)), redirect, &answer, &id, e)) return false;
    const struct account_external x = {.issuer = str_of(oidc_issuer(w->oidc)),
                                       .subject = id.subject,
                                       .name = id.name,
                                       .display = id.display,
                                       .address = rq->address,
                                       .agent = http_header(rq, "User-Agent"),
                                       .grants = id.grants,
                                       .grant_count = id.grant_count,
                                       .sid = id.sid,
                                       .id_token = id.id_token};
    if (account_external_sign_in(w->accounts, &x, secret, e)) return (*cookie = session_cookie(rq, secret, e)) != NULL;
    *noted = e->kind == ERR_FORBIDDEN;
    return false;
}

static bool come_back(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web_oidc *w = rq->context;
    struct err why = {0};
    const char *cookie;
    bool noted = false;
    if (!there(w, e) || !set_flow(rq, rs, "", 0, e)) return false;
    if (finish(rq, &cookie, &noted, &why)) {
        http_add(rs, "Set-Cookie", str_of(cookie));
        return go_home(rq, rs, "", e);
    }
    if (!noted) note_refusal(w, rq, &why);
    bool unreachable = why.kind == ERR_NET || why.kind == ERR_TIMEOUT;
    return go_home(rq, rs, noted ? "#/sso/forbidden" : unreachable ? "#/sso/unreachable" : "#/sso/refused", e);
}

// ---- out ----

// Where the provider's own session is ended; empty when this one is not of its making.
static bool way_out(struct http_request *rq, struct str secret, struct str *url, struct err *e) {
    const struct web_oidc *w = rq->context;
    struct account_session s = {0};
    struct str home;
    struct err why = {0};
    *url = (struct str){0};
    if (!own_url(rq, "/", &home, e) || (secret.n && !account_by_session(w->accounts, rq->arena, secret, &s, e))) return false;
    if (!s.principal || !str_eqz(s.issuer, oidc_issuer(w->oidc))) return true;
    if (!oidc_logout_url(w->oidc, rq->arena, s.id_token_hint, home, url, &why)) log_err(&why, "the provider's own session goes on");
    return true;
}

// Ends the session here, and tells where the provider's own can be ended.
static bool sign_out(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web_oidc *w = rq->context;
    struct str url, secret = session_secret(rq);
    const char *cookie = session_cookie_end(rq, e);
    struct buf b;
    struct json_writer j;
    if (!cookie || !there(w, e) || !way_out(rq, secret, &url, e)) return false;
    if (secret.n && !account_session_end(w->accounts, secret, e)) return false;
    buf_init(&b, HTTP_JSON_BYTES_MAX);
    json_init(&j, &b, false);
    json_begin_object(&j);
    json_put_str(&j, "url", url);
    json_end_object(&j);
    http_setz(rs, "Set-Cookie", cookie);
    http_setz(rs, "Clear-Site-Data", "\"cache\""); // pictures that the browser kept for turning pages
    http_reply_buf(rs, 200, "application/json", &b);
    return true;
}

// The provider itself tells that somebody is gone (Back-Channel Logout 1.0, 2.5 and 2.8).
static bool told_out(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web_oidc *w = rq->context;
    struct uri_param *form;
    unsigned n;
    struct str token = {0}, subject, sid;
    if (!there(w, e) || !uri_parse_query(rq->arena, rq->body, &form, &n, e)) return false;
    for (unsigned i = 0; i < n; i++)
        if (str_eqz(form[i].name, "logout_token")) token = form[i].value;
    if (!oidc_logout_token(w->oidc, rq->arena, token, &subject, &sid, e)) {
        if (e->kind == ERR_UNAUTHORIZED) e->kind = ERR_BAD_INPUT; // as the standard has it
        return false;
    }
    if (!account_external_end(w->accounts, str_of(oidc_issuer(w->oidc)), subject, sid, e)) return false;
    http_reply_status(rs, 200);
    return true;
}

const struct http_route WEB_OIDC_ROUTES[] = {
    {HTTP_GET, ACCESS_OPEN, "/api/oidc", tell},
    {HTTP_GET, ACCESS_OPEN, "/api/oidc/login", sign_in},
    {HTTP_GET, ACCESS_OPEN, "/api/oidc/callback", come_back},
    {HTTP_POST, ACCESS_OPEN, "/api/oidc/logout", sign_out},
    {HTTP_POST, ACCESS_OPEN, "/api/oidc/backchannel-logout", told_out},
    {.pattern = NULL},
};

// ---- programs ----

bool web_oidc_bearer(void *context, struct http_request *rq, struct str token, const struct principal **out, struct err *e) {
    const struct web_oidc *w = context;
    *out = NULL;
    return !w->oidc || !jwt_looks(token) || oidc_bearer(w->oidc, rq->arena, token, out, e);
}
