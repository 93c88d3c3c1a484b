// gantry token: what programs sign in with.
#include "base/clock.h"
#include "core/accounts_manage.h"
#include "mod/admin/tables.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, DAYS = 365, DAYS_MAX = 36500 };

static bool tell(struct admin_call *c, const char *token, bool ok) {
    if (!ok) return false;
    json_begin_object(c->out);
    json_put_str(c->out, "name", admin_text(c, "name"));
    json_put_strz(c->out, "token", token);
    json_end_object(c->out);
    return true;
}

static bool add(struct admin_call *c, struct err *e) {
    char token[ACCOUNT_SECRET_HEX + 1];
    int64_t days = admin_number(c, "days", DAYS);
    struct str scope;
    if (days < 0 || days > DAYS_MAX) return err_set(e, ERR_USAGE, "admin", "days: 0 (without end) to %d", DAYS_MAX);
    if (!admin_scope(c, ACCESS_TOKEN_WRITE, &scope, e)) return false;
    const struct account_token t = {.name = admin_text(c, "name"),
                                    .owner = admin_text(c, "owner"),
                                    .role = admin_text(c, "role"),
                                    .scope = scope,
                                    .until_ms = days ? clock_wall_ms() + days * DAY_MS : 0};
    return tell(c, token, account_token_add(c->accounts, c->who, &t, token, e));
}

static bool renew(struct admin_call *c, struct err *e) {
    char token[ACCOUNT_SECRET_HEX + 1];
    return tell(c, token, account_token_renew(c->accounts, c->who, admin_text(c, "name"), token, e));
}

static bool revoke(struct admin_call *c, struct err *e) {
    return admin_done(c, account_token_revoke(c->accounts, c->who, admin_text(c, "name"), e));
}

static bool list(struct admin_call *c, struct err *e) {
    struct str owner = admin_text(c, "owner");
    return account_tokens_json(c->accounts, c->who, owner.n ? &owner : NULL, c->out, e);
}

static bool grant(struct admin_call *c, struct err *e) {
    struct str scope;
    return admin_scope(c, ACCESS_TOKEN_WRITE, &scope, e) &&
           admin_done(c, account_grant(c->accounts, c->who, "token", admin_text(c, "name"), admin_text(c, "role"), scope, 0, e));
}

static bool ungrant(struct admin_call *c, struct err *e) {
    struct str scope;
    return admin_scope(c, ACCESS_TOKEN_WRITE, &scope, e) &&
           admin_done(c, account_ungrant(c->accounts, c->who, "token", admin_text(c, "name"), admin_text(c, "role"), scope, e));
}

#define NAME \
    { .name = "name", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "the token's name", .help_zh = "令牌名" }
#define ROLE \
    { .name = "role", .type = ADMIN_TEXT, .required = true, .help = "what it may do, see 'gantry role list'", .help_zh = "角色，见“gantry role list”" }
#define SCOPE                                                                                                                    \
    {                                                                                                                            \
        .name = "scope", .type = ADMIN_TEXT, .help = "*, tenant:T, site:T/S, department:T/S/D or label:T/L (default: your own)", \
        .help_zh = "范围：*、tenant:T、site:T/S、department:T/S/D 或 label:T/L（默认：您自己的范围）"          \
    }

static const struct admin_field ADD[] = {
    NAME,
    ROLE,
    SCOPE,
    {.name = "owner", .type = ADMIN_TEXT, .help = "a user whose it is: it never has more than he has", .help_zh = "所属用户：权限不超过该用户"},
    {.name = "days", .type = ADMIN_NUMBER, .help = "how long it lasts, 0 without end (default: 365)", .help_zh = "有效天数，0 为无期限（默认：365）"},
    {.name = NULL},
};
static const struct admin_field ONE[] = {NAME, {.name = NULL}};
static const struct admin_field LIST[] = {{.name = "owner", .type = ADMIN_TEXT, .help = "those of one user", .help_zh = "仅列出某用户的令牌"}, {.name = NULL}};
static const struct admin_field GRANT[] = {NAME, ROLE, SCOPE, {.name = NULL}};

const struct admin_operation ADMIN_TOKEN[] = {
    {"token", "list", ACCESS_USER_READ, true, "List the API tokens", "列出 API 令牌", LIST, list, .scoped = true},
    {"token", "add", ACCESS_TOKEN_WRITE, false, "Make an API token and show it, once", "新建 API 令牌（仅显示一次）", ADD, add, .scoped = true},
    {"token", "renew", ACCESS_TOKEN_WRITE, false, "Give a token another secret; the old one ends", "更换令牌密钥，旧密钥失效", ONE, renew, .scoped = true},
    {"token", "revoke", ACCESS_TOKEN_WRITE, false, "End a token", "吊销令牌", ONE, revoke, .scoped = true},
    {"token", "grant", ACCESS_TOKEN_WRITE, false, "Give a token a further role", "为令牌增加角色", GRANT, grant, .scoped = true},
    {"token", "ungrant", ACCESS_TOKEN_WRITE, false, "Take a role from a token", "收回令牌的角色", GRANT, ungrant, .scoped = true},
    {.noun = NULL},
};
