// gantry user: people, their passwords and grants.
#include "base/clock.h"
#include "core/accounts_manage.h"
#include "mod/admin/tables.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, DAYS_MAX = 36500 };

// What a password that was made here is told in, once.
static bool tell_one_time(struct admin_call *c, const char *one_time, bool ok) {
    if (!ok) return false;
    json_begin_object(c->out);
    json_put_str(c->out, "name", admin_text(c, "name"));
    if (one_time[0]) json_put_strz(c->out, "one_time_password", one_time);
    json_put_bool(c->out, "must_change", true);
    json_end_object(c->out);
    return true;
}

static bool add(struct admin_call *c, struct err *e) {
    char one_time[ACCOUNT_SECRET_HEX + 1] = "";
    struct str scope;
    if (!admin_scope(c, ACCESS_USER_WRITE, &scope, e)) return false;
    const struct account_user u = {.name = admin_text(c, "name"),
                                   .display = admin_text(c, "display"),
                                   .password = admin_text(c, "password"),
                                   .role = admin_text(c, "role"),
                                   .scope = scope};
    return tell_one_time(c, one_time, account_user_add(c->accounts, c->who, &u, one_time, e));
}

static bool set(struct admin_call *c, struct err *e) {
    struct str display = admin_text(c, "display"), state = admin_text(c, "state");
    if (!display.p && !state.p) return err_set(e, ERR_USAGE, "admin", "say what changes: display or state");
    return admin_done(c, account_user_set(c->accounts, c->who, admin_text(c, "name"), display, state, e));
}

static bool password(struct admin_call *c, struct err *e) {
    char one_time[ACCOUNT_SECRET_HEX + 1] = "";
    return tell_one_time(c, one_time, account_user_password(c->accounts, c->who, admin_text(c, "name"), admin_text(c, "password"), one_time, e));
}

static bool unlock(struct admin_call *c, struct err *e) {
    return admin_done(c, account_user_unlock(c->accounts, c->who, admin_text(c, "name"), admin_flag(c, "second-factor"), e));
}

static bool remove_user(struct admin_call *c, struct err *e) {
    return admin_done(c, account_user_remove(c->accounts, c->who, admin_text(c, "name"), e));
}

static bool list(struct admin_call *c, struct err *e) {
    return account_users_json(c->accounts, c->who, c->out, e);
}

static bool show(struct admin_call *c, struct err *e) {
    return account_user_json(c->accounts, c->who, admin_text(c, "name"), c->out, e);
}

static bool grant(struct admin_call *c, struct err *e) {
    int64_t days = admin_number(c, "days", 0);
    struct str scope;
    if (days < 0 || days > DAYS_MAX) return err_set(e, ERR_USAGE, "admin", "days: 0 (without end) to %d", DAYS_MAX);
    return admin_scope(c, ACCESS_USER_WRITE, &scope, e) &&
           admin_done(c, account_grant(c->accounts, c->who, "user", admin_text(c, "name"), admin_text(c, "role"), scope,
                                       days ? clock_wall_ms() + days * DAY_MS : 0, e));
}

static bool ungrant(struct admin_call *c, struct err *e) {
    struct str scope;
    return admin_scope(c, ACCESS_USER_WRITE, &scope, e) &&
           admin_done(c, account_ungrant(c->accounts, c->who, "user", admin_text(c, "name"), admin_text(c, "role"), scope, e));
}

#define NAME \
    { .name = "name", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "what is typed at the sign-in", .help_zh = "登录名" }
#define ROLE \
    { .name = "role", .type = ADMIN_TEXT, .required = true, .help = "a role, see 'gantry role list'", .help_zh = "角色，见“gantry role list”" }
#define SCOPE                                                                                                                              \
    {                                                                                                                                      \
        .name = "scope", .type = ADMIN_TEXT, .help = "*, tenant:T, site:T/S, department:T/S/D, label:T/L or assigned (default: your own)", \
        .help_zh = "范围：*、tenant:T、site:T/S、department:T/S/D、label:T/L 或 assigned（默认：您自己的范围）"         \
    }
#define PASSWORD                                                                                                                             \
    {                                                                                                                                        \
        .name = "password", .type = ADMIN_SECRET, .help = "a first password, to be changed at the sign-in; left out, one is made and shown", \
        .help_zh = "初始密码，首次登录须更改；省略则自动生成并显示"                                                   \
    }

static const struct admin_field ADD[] = {
    NAME,
    {.name = "display", .type = ADMIN_TEXT, .help = "the name that is shown", .help_zh = "显示名"},
    {.name = "role", .type = ADMIN_TEXT, .help = "a first role, see 'gantry role list'", .help_zh = "初始角色，见“gantry role list”"},
    SCOPE,
    PASSWORD,
    {.name = NULL},
};
static const struct admin_field SET[] = {
    NAME,
    {.name = "display", .type = ADMIN_TEXT, .help = "the name that is shown", .help_zh = "显示名"},
    {.name = "state", .type = ADMIN_TEXT, .help = "on or off: switched off, nothing of it opens anything", .help_zh = "on 或 off：停用后一切凭证失效"},
    {.name = NULL},
};
static const struct admin_field ONE[] = {NAME, {.name = NULL}};
static const struct admin_field RESET[] = {NAME, PASSWORD, {.name = NULL}};
static const struct admin_field UNLOCK[] = {
    NAME, {.name = "second-factor", .type = ADMIN_FLAG, .help = "take a lost second factor off, too", .help_zh = "同时解除已丢失的第二因素"}, {.name = NULL}};
static const struct admin_field GRANT[] = {
    NAME,
    ROLE,
    SCOPE,
    {.name = "days", .type = ADMIN_NUMBER, .help = "how long it lasts (default: without end)", .help_zh = "有效天数（默认：无期限）"},
    {.name = NULL}};
static const struct admin_field UNGRANT[] = {NAME, ROLE, SCOPE, {.name = NULL}};

const struct admin_operation ADMIN_USER[] = {
    {"user", "list", ACCESS_USER_READ, true, "List who may sign in, with their roles", "列出用户及其角色", NULL, list, .scoped = true},
    {"user", "show", ACCESS_USER_READ, true, "Show one user", "查看一个用户", ONE, show, .scoped = true},
    {"user", "add", ACCESS_USER_WRITE, false, "Add a user", "添加用户", ADD, add, .scoped = true},
    {"user", "set", ACCESS_USER_WRITE, false, "Change a user's shown name, switch it off or on", "修改显示名、停用或启用用户", SET, set, .scoped = true},
    {"user", "password", ACCESS_USER_WRITE, false, "Give a user a new first password", "重置用户密码", RESET, password, .scoped = true},
    {"user", "unlock", ACCESS_USER_WRITE, false, "Forget a user's failed attempts", "解除登录锁定", UNLOCK, unlock, .scoped = true},
    {"user", "remove", ACCESS_USER_WRITE, false, "Remove a user, its grants, sessions and tokens", "删除用户及其授权、会话与令牌", ONE, remove_user,
     .scoped = true},
    {"user", "grant", ACCESS_USER_WRITE, false, "Give a user a role within a scope", "在某范围内授予角色", GRANT, grant, .scoped = true},
    {"user", "ungrant", ACCESS_USER_WRITE, false, "Take a role away", "收回角色", UNGRANT, ungrant, .scoped = true},
    {.noun = NULL},
};
