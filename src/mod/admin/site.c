// gantry site and gantry session: places with their names, and who is signed in.
#include "core/accounts_manage.h"
#include "mod/admin/tables.h"

static bool list_sites(struct admin_call *c, struct err *e) {
    return account_sites_json(c->accounts, c->who, c->out, e);
}

static bool set_site(struct admin_call *c, struct err *e) {
    return admin_done(c, account_site_set(c->accounts, c->who, admin_text(c, "place"), admin_text(c, "display"), e));
}

static bool list_sessions(struct admin_call *c, struct err *e) {
    return account_sessions_json(c->accounts, c->who, admin_text(c, "name"), (struct str){0}, c->out, e);
}

static bool end_session(struct admin_call *c, struct err *e) {
    return admin_done(c, account_sessions_end(c->accounts, c->who, admin_text(c, "name"), admin_text(c, "id"), (struct str){0}, e));
}

static const struct admin_field SITE[] = {
    {.name = "place",
     .type = ADMIN_TEXT,
     .required = true,
     .positional = true,
     .help = "TENANT/SITE/DEPARTMENT, parts from the end on left out",
     .help_zh = "租户/院区/科室，可省略后面的部分"},
    {.name = "display", .type = ADMIN_TEXT, .help = "the name that is shown", .help_zh = "显示名"},
    {.name = NULL},
};
static const struct admin_field OF_USER[] = {{.name = "name", .type = ADMIN_TEXT, .positional = true, .help = "of one user", .help_zh = "某个用户"},
                                             {.name = NULL}};
static const struct admin_field END[] = {
    {.name = "name", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "whose", .help_zh = "用户"},
    {.name = "id", .type = ADMIN_TEXT, .help = "one session, as the list has it (default: all)", .help_zh = "列表中的会话编号（默认：全部）"},
    {.name = NULL},
};

const struct admin_operation ADMIN_SITE[] = {
    {"site", "list", ACCESS_USER_READ, true, "List tenants, sites and departments", "列出租户、院区与科室", NULL, list_sites, .scoped = true},
    {"site", "set", ACCESS_SITE_WRITE, false, "Name a tenant, a site or a department", "登记租户、院区或科室", SITE, set_site, .scoped = true},
    {.noun = NULL},
};

const struct admin_operation ADMIN_SESSION[] = {
    {"session", "list", ACCESS_USER_READ, true, "List who is signed in", "列出在线会话", OF_USER, list_sessions, .scoped = true},
    {"session", "end", ACCESS_USER_WRITE, false, "End a user's sessions", "结束用户会话", END, end_session, .scoped = true},
    {.noun = NULL},
};
