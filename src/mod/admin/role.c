// gantry role: sets of permissions, those that ship with the program and an administrator's own.
#include "core/accounts_manage.h"
#include "mod/admin/tables.h"

static bool list(struct admin_call *c, struct err *e) {
    return account_roles_json(c->accounts, c->out, e);
}

static bool permissions(struct admin_call *c, struct err *e) {
    (void)e;
    json_begin_array(c->out);
    for (unsigned i = 1; i < ACCESS_PERMISSIONS; i++)
        if (i != ACCESS_OPEN && i != ACCESS_SELF && i != ACCESS_LOCAL) json_strz(c->out, access_permission_name((enum permission)i));
    json_end_array(c->out);
    return true;
}

static bool set(struct admin_call *c, struct err *e) {
    const struct str *names;
    unsigned count;
    return admin_list(c, "permission", &names, &count, e) &&
           admin_done(c, account_role_set(c->accounts, c->who, admin_text(c, "name"), names, count, admin_text(c, "summary"), e));
}

static bool remove_role(struct admin_call *c, struct err *e) {
    return admin_done(c, account_role_remove(c->accounts, c->who, admin_text(c, "name"), e));
}

#define NAME \
    { .name = "name", .type = ADMIN_TEXT, .required = true, .positional = true, .help = "the role's name", .help_zh = "角色名" }

static const struct admin_field SET[] = {
    NAME,
    {.name = "permission",
     .type = ADMIN_LIST,
     .required = true,
     .help = "what it permits, see 'gantry role permissions'",
     .help_zh = "权限，见“gantry role permissions”"},
    {.name = "summary", .type = ADMIN_TEXT, .help = "what it is for", .help_zh = "用途说明"},
    {.name = NULL},
};
static const struct admin_field ONE[] = {NAME, {.name = NULL}};

const struct admin_operation ADMIN_ROLE[] = {
    {"role", "list", ACCESS_USER_READ, true, "List the roles and what they permit", "列出角色及其权限", NULL, list, .scoped = true},
    {"role", "permissions", ACCESS_USER_READ, true, "List the permissions that roles are made of", "列出全部权限", NULL, permissions, .scoped = true},
    {"role", "set", ACCESS_ROLE_WRITE, false, "Make or change a role of one's own", "新建或修改自定义角色", SET, set},
    {"role", "remove", ACCESS_ROLE_WRITE, false, "Remove a role of one's own", "删除自定义角色", ONE, remove_role},
    {.noun = NULL},
};
