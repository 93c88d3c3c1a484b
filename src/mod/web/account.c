// /api/account: what people do about their own account: password, second factor, sessions, tokens of their own.
#include "base/clock.h"
#include "core/accounts_manage.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "text/json.h"

enum { ANSWER_BYTES_MAX = 4 << 20, DAY_MS = 24 * 60 * 60 * 1000, TOKEN_DAYS = 90, TOKEN_DAYS_MAX = 3650 };

static bool is_user(const struct http_request *rq, struct err *e) {
    const struct principal *p = rq->principal;
    return (p && p->kind == PRINCIPAL_USER) || err_set(e, ERR_FORBIDDEN, "web", "only a user who signed in with a name has an account");
}

static struct str member(const struct json *body, const char *name) {
    return json_text(json_get(body, name));
}

bool web_account(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct buf b;
    struct json_writer w;
    if (!is_user(rq, e)) return false;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    return http_reply_json(rs, &b, account_user_json(web->accounts, NULL, rq->user, &w, e), e);
}

bool web_account_password(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const struct json *body = json_read(rq->arena, rq->body, 0, e);
    const struct actor who = session_actor(rq);
    if (!body || !account_password_change(web->accounts, &who, member(body, "old"), member(body, "new"), session_secret(rq), e)) return false;
    http_reply_status(rs, 204);
    return true;
}

// ---- second factor ----

bool web_account_factor(struct http_request *rq, struct http_response *rs, struct err *e) {
    char secret[TOTP_SECRET_TEXT];
    struct buf b;
    struct json_writer w;
    if (!is_user(rq, e) || !account_totp_begin(secret, e)) return false;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    json_begin_object(&w);
    json_put_strz(&w, "secret", secret);
    json_key(&w, "uri"); // the key URI that authenticators read
    json_str_open(&w);
    buf_addf(&b, "otpauth://totp/Gantry:");
    for (size_t i = 0; i < rq->user.n; i++) {
        unsigned char c = (unsigned char)rq->user.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr(".-_", c);
        buf_addf(&b, plain ? "%c" : "%%%02X", c);
    }
    buf_addf(&b, "?secret=%s&issuer=Gantry", secret);
    json_str_close(&w);
    json_end_object(&w);
    return http_reply_json(rs, &b, true, e);
}

bool web_account_factor_on(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const struct json *body = json_read(rq->arena, rq->body, 0, e);
    const struct actor who = session_actor(rq);
    char codes[RECOVERY_CODES][RECOVERY_TEXT];
    struct buf b;
    struct json_writer w;
    if (!body || !account_totp_confirm(web->accounts, &who, member(body, "secret"), member(body, "code"), codes, e)) return false;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    json_begin_object(&w);
    json_key(&w, "recovery");
    json_begin_array(&w);
    for (int i = 0; i < RECOVERY_CODES; i++) json_strz(&w, codes[i]);
    json_end_array(&w);
    json_end_object(&w);
    return http_reply_json(rs, &b, true, e);
}

bool web_account_factor_off(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const struct json *body = json_read(rq->arena, rq->body, 0, e);
    const struct actor who = session_actor(rq);
    if (!body || !account_totp_off(web->accounts, &who, member(body, "password"), e)) return false;
    http_reply_status(rs, 204);
    return true;
}

// ---- sessions ----

bool web_account_sessions(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct buf b;
    struct json_writer w;
    if (!is_user(rq, e)) return false;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    return http_reply_json(rs, &b, account_sessions_json(web->accounts, NULL, rq->user, session_secret(rq), &w, e), e);
}

static bool end_sessions(struct http_request *rq, struct http_response *rs, struct str id, struct err *e) {
    const struct web *web = rq->context;
    const struct actor who = session_actor(rq);
    if (!is_user(rq, e) || !account_sessions_end(web->accounts, &who, rq->user, id, session_secret(rq), e)) return false;
    http_reply_status(rs, 204);
    return true;
}

bool web_account_session_end(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct str id = http_capture(rq, "id");
    return id.n ? end_sessions(rq, rs, id, e) : err_set(e, ERR_USAGE, "web", "which session?");
}

bool web_account_sessions_end(struct http_request *rq, struct http_response *rs, struct err *e) {
    return end_sessions(rq, rs, (struct str){0}, e);
}

// ---- tokens of one's own: "name+token", so that people's names for them never meet ----

static struct str token_name(struct http_request *rq, struct str name, struct err *e) {
    const char *text = arena_printf(rq->arena, e, "%.*s+%.*s", STR_FMT(rq->user), STR_FMT(str_sub(name, 0, ACCOUNT_NAME_BYTES)));
    return text ? str_of(text) : (struct str){0};
}

bool web_account_tokens(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct buf b;
    struct json_writer w;
    if (!is_user(rq, e)) return false;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    return http_reply_json(rs, &b, account_tokens_json(web->accounts, NULL, &rq->user, &w, e), e);
}

bool web_account_token_add(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const struct json *body = json_read(rq->arena, rq->body, 0, e);
    const struct actor who = session_actor(rq);
    char token[ACCOUNT_SECRET_HEX + 1];
    int64_t days = TOKEN_DAYS;
    if (!body || !is_user(rq, e)) return false;
    if (json_get(body, "days") && (!json_to_i64(json_get(body, "days"), &days) || days < 1 || days > TOKEN_DAYS_MAX))
        return err_set(e, ERR_USAGE, "web", "days: 1 to %d", TOKEN_DAYS_MAX);
    const struct account_token t = {.name = token_name(rq, member(body, "name"), e),
                                    .owner = rq->user,
                                    .role = member(body, "role"),
                                    .scope = member(body, "scope").n ? member(body, "scope") : STR_LIT("*"),
                                    .until_ms = clock_wall_ms() + days * DAY_MS};
    if (!t.name.p || !account_token_add(web->accounts, &who, &t, token, e)) return false;
    struct buf b;
    struct json_writer w;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&w, &b, false);
    json_begin_object(&w);
    json_put_str(&w, "name", t.name);
    json_put_strz(&w, "token", token);
    json_put_int(&w, "until_ms", t.until_ms);
    json_end_object(&w);
    return http_reply_json(rs, &b, true, e);
}

bool web_account_token_end(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const struct actor who = session_actor(rq);
    if (!is_user(rq, e) || !account_token_end(web->accounts, &who, http_capture(rq, "name"), e)) return false;
    http_reply_status(rs, 204);
    return true;
}
