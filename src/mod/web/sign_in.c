// /api/session: who is signed in, signing in and out.
#include "base/clock.h"
#include "core/access.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "text/json.h"

enum { ANSWER_BYTES_MAX = 64 * 1024 };

static void put_principal(struct json_writer *w, const struct principal *p) {
    uint64_t all = 0;
    json_put_str(w, "display", p->display.n ? p->display : p->name);
    json_put_strz(w, "kind", p->kind == PRINCIPAL_USER ? "user" : p->kind == PRINCIPAL_TOKEN ? "token" : "local");
    json_key(w, "roles");
    json_begin_array(w);
    for (unsigned i = 0; i < p->grant_count; i++) {
        if (p->grants[i].until_ms && p->grants[i].until_ms <= clock_wall_ms()) continue;
        all |= p->grants[i].permissions;
        json_str(w, p->grants[i].role);
    }
    json_end_array(w);
    json_key(w, "permissions");
    json_begin_array(w);
    for (unsigned i = 1; i < ACCESS_PERMISSIONS; i++)
        if (all & ACCESS_BIT(i)) json_strz(w, access_permission_name((enum permission)i));
    json_end_array(w);
    if (p->glass.n) json_put_str(w, "glass", p->glass);
}

static bool put_session(struct http_request *rq, struct json_writer *w, struct str secret, struct err *e) {
    const struct web *web = rq->context;
    struct account_session s = {0};
    const struct principal *p = rq->principal;
    if (secret.n && !account_by_session(web->accounts, rq->arena, secret, &s, e)) return false;
    if (s.principal) p = s.principal;
    json_put_bool(w, "token_required", sessions_required(web->sessions));
    json_put_str(w, "user", p ? p->name : STR_LIT(""));
    if (p) put_principal(w, p);
    json_put_bool(w, "must_change", s.must_change);
    if (s.principal) json_put_int(w, "until_ms", s.until_ms);
    if (s.issuer.n) json_put_str(w, "issuer", s.issuer);
    return true;
}

static bool reply_session(struct http_request *rq, struct http_response *rs, struct str secret, struct err *e) {
    struct buf b;
    struct json_writer w;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    json_begin_object(&w);
    bool ok = put_session(rq, &w, secret, e);
    json_end_object(&w);
    return http_reply_json(rs, &b, ok, e);
}

bool web_session(struct http_request *rq, struct http_response *rs, struct err *e) {
    bool by_cookie = !http_header(rq, "Authorization").n;
    return reply_session(rq, rs, by_cookie ? session_secret(rq) : (struct str){0}, e);
}

static bool begun(struct http_request *rq, struct http_response *rs, const char *secret, struct err *e) {
    const char *cookie = session_cookie(rq, secret, e);
    struct str copy;
    if (!cookie || !arena_dup(rq->arena, str_of(secret), &copy, e)) return false;
    http_set(rs, "Set-Cookie", str_of(cookie));
    return reply_session(rq, rs, copy, e);
}

static bool wait(struct http_request *rq, struct http_response *rs, unsigned wait_s, struct err *e) {
    struct err why = {0};
    const char *seconds = arena_printf(rq->arena, e, "%u", wait_s);
    if (!seconds) return false;
    err_set(&why, ERR_BUSY, "web", "too many failures: wait %u seconds", wait_s);
    http_reply_problem(rq, rs, 429, &why);
    http_set(rs, "Retry-After", str_of(seconds));
    return true;
}

static bool by_password(struct http_request *rq, struct http_response *rs, const struct json *body, struct err *e) {
    const struct web *web = rq->context;
    const struct sign_in in = {.name = json_text(json_get(body, "name")),
                               .password = json_text(json_get(body, "password")),
                               .code = json_text(json_get(body, "code")),
                               .address = rq->address,
                               .agent = http_header(rq, "User-Agent")};
    struct signed_in out;
    if (!account_sign_in(web->accounts, &in, &out, e)) return false;
    switch (out.outcome) {
    case SIGN_IN_DONE:
        return begun(rq, rs, out.secret, e);
    case SIGN_IN_CODE_NEEDED:
        http_reply_text(rs, 200, "application/json", STR_LIT("{\"token_required\":true,\"user\":\"\",\"code_needed\":true}"));
        return true;
    case SIGN_IN_WAIT:
        return wait(rq, rs, out.wait_s, e);
    case SIGN_IN_REFUSED:
        break;
    }
    return err_set(e, ERR_UNAUTHORIZED, "web", "name, password or code are not right");
}

bool web_sign_in(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const struct json *body = json_read(rq->arena, rq->body, 0, e);
    char secret[ACCOUNT_SECRET_HEX + 1];
    if (!body) return false;
    if (!sessions_required(web->sessions)) return err_set(e, ERR_USAGE, "web", "this server asks nobody who it is");
    struct str token = str_trim(json_text(json_get(body, "token")));
    if (!token.p) return by_password(rq, rs, body, e);
    return account_token_session(web->accounts, token, rq->address, http_header(rq, "User-Agent"), secret, e) && begun(rq, rs, secret, e);
}

bool web_sign_out(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const char *cookie = session_cookie_end(rq, e);
    if (!cookie || !account_session_end(web->accounts, session_secret(rq), e)) return false;
    http_set(rs, "Set-Cookie", str_of(cookie));
    http_reply_status(rs, 204);
    return true;
}
