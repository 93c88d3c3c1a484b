// Grants given and taken, roles of an administrator's own making, and the names of places.
#include "base/clock.h"
#include "core/accounts_part.h"
#include "text/utf8.h"

enum { SUMMARY_BYTES_MAX = 500, ROLE_NAME_BYTES = 64, ROLE_JSON_MAX = 8192 };

// ---- grants ----

struct deal {
    struct accounts *a;
    const struct actor *who;
    struct arena arena;
    struct db *w;
    struct grant_holder holder;
    struct str name, role;
    struct access_scope scope;
    struct str scope_text;
    uint64_t permissions;
    enum permission what; // of the asker, over such holders
};

static bool find_holder(struct deal *d, const char *kind, struct str name, struct err *e) {
    d->holder.kind = kind;
    d->what = strcmp(kind, "user") == 0 ? ACCESS_USER_WRITE : ACCESS_TOKEN_WRITE;
    if (!account_name_fold(&d->arena, name, &d->name, e)) return false;
    bool found = d->what == ACCESS_USER_WRITE ? accounts_user_of(d->w, d->who, d->what, d->name, &d->holder.id, e)
                                              : accounts_token_of(d->w, d->who, d->what, d->name, &d->holder.id, e);
    return found && charge_not_self(d->w, d->who, d->what, d->holder, e);
}

static bool deal_begin(struct deal *d, struct accounts *a, const struct actor *who, const char *kind, struct str name, struct str role, struct str scope,
                       struct err *e) {
    *d = (struct deal){.a = a, .who = who, .role = role};
    arena_init(&d->arena, SCRATCH_BYTES_MAX);
    if (!access_scope_parse(scope, &d->scope, e) || !access_scope_format(&d->arena, &d->scope, &d->scope_text, e)) return false;
    d->w = accounts_begin(a, e);
    return d->w && find_holder(d, kind, name, e);
}

static bool deal_end(struct deal *d, bool ok, const char *type, struct err *e) {
    struct buf more;
    struct json_writer j;
    buf_init(&more, EVENT_DETAIL_MAX);
    if (ok) {
        json_init(&j, &more, false);
        json_put_strz(&j, "holder", d->holder.kind);
        json_put_str(&j, "name", d->name);
        json_put_str(&j, "role", d->role);
        json_put_str(&j, "scope", d->scope_text);
        ok = buf_ok(&more, e) && grants_changed(d->w, e) && accounts_tell(d->a, d->w, d->who, type, buf_str(&more), e);
    }
    buf_deinit(&more);
    if (d->w) ok = accounts_end(d->a, d->w, ok, e);
    arena_deinit(&d->arena);
    return ok;
}

bool account_grant(struct accounts *a, const struct actor *who, const char *holder, struct str name, struct str role, struct str scope, int64_t until_ms,
                   struct err *e) {
    struct deal d;
    bool ok = deal_begin(&d, a, who, holder, name, role, scope, e) && grants_role(d.w, &d.arena, role, &d.permissions, e);
    if (ok && !grants_cover(access_principal(who), d.permissions, &d.scope, until_ms))
        ok = err_set(e, ERR_FORBIDDEN, "accounts", "you cannot give '%.*s' within '%.*s': it is more than you have yourself", STR_FMT(role), STR_FMT(scope));
    ok = ok && grants_give(d.w, &d.arena, d.holder, role, scope, "admin", until_ms, e);
    return deal_end(&d, ok, "grant.given", e);
}

// Who has nothing more is nowhere: out of the asker's hands, and in nobody else's who is nearer than the administrator of the whole server.
static bool has_some_left(struct deal *d, struct err *e) {
    int64_t n = 0;
    bool found;
    return charge_all(d->who, d->what) ||
           (sql_one(d->w, "SELECT count(*) FROM grants WHERE holder = ?1 AND holder_id = ?2", SQL_VALUES(SQL_T(str_of(d->holder.kind)), SQL_I(d->holder.id)),
                    &n, 1, &found, e) &&
            (n > 0 || err_set(e, ERR_CONFLICT, "accounts", "'%.*s' would have no role and be nowhere: give another first, switch it off, or remove it",
                              STR_FMT(d->name))));
}

bool account_ungrant(struct accounts *a, const struct actor *who, const char *holder, struct str name, struct str role, struct str scope, struct err *e) {
    struct deal d;
    bool taken = false;
    bool ok = deal_begin(&d, a, who, holder, name, role, scope, e) && accounts_above(d.w, &d.arena, who, d.holder, false, e) &&
              grants_take(d.w, &d.arena, d.holder, role, scope, "admin", &taken, e);
    if (ok && !taken)
        ok = err_set(e, ERR_NOT_FOUND, "accounts", "'%.*s' was not given '%.*s' within '%.*s' by an administrator", STR_FMT(d.name), STR_FMT(role),
                     STR_FMT(d.scope_text));
    ok = ok && has_some_left(&d, e);
    if (ok && str_eqz(role, "administrator")) ok = accounts_one_is_left(d.w, e);
    return deal_end(&d, ok, "grant.taken", e);
}

// ---- roles ----

static bool role_name_fits(struct str name, struct err *e) {
    bool fits = name.n > 0 && name.n <= ROLE_NAME_BYTES && utf8_valid(name) && str_eq(name, str_trim(name));
    for (size_t i = 0; fits && i < name.n; i++) fits = (unsigned char)name.p[i] > 0x20 && !strchr("\"'\\/,;:*", name.p[i]);
    if (!fits) return err_set(e, ERR_USAGE, "accounts", "a role's name has 1 to %d bytes of letters, digits, - . and _", ROLE_NAME_BYTES);
    return !access_role_find(name) ||
           err_set(e, ERR_CONFLICT, "accounts", "'%.*s' ships with the program and stays as it is: make a role of another name", STR_FMT(name));
}

static bool gather(const struct str *names, unsigned count, uint64_t *bits, struct buf *json, struct err *e) {
    struct json_writer j;
    json_init(&j, json, false);
    json_begin_array(&j);
    *bits = ACCESS_BIT(ACCESS_OPEN) | ACCESS_BIT(ACCESS_SELF) | ACCESS_BIT(ACCESS_LOCAL); // whoever has a role at all
    for (unsigned i = 0; i < count; i++) {
        enum permission p = access_permission_of(names[i]);
        if (p == ACCESS_UNDECLARED)
            return err_set(e, ERR_USAGE, "accounts", "'%.*s' is no permission: 'gantry role permissions' lists them", STR_FMT(str_sub(names[i], 0, 64)));
        *bits |= ACCESS_BIT(p);
    }
    for (unsigned p = 1; p < ACCESS_PERMISSIONS; p++)
        if (*bits & ACCESS_BIT(p)) json_strz(&j, access_permission_name((enum permission)p));
    json_end_array(&j);
    return buf_ok(json, e);
}

static bool tell_role(struct accounts *a, struct db *w, const struct actor *who, const char *type, struct str name, struct str permissions, struct err *e) {
    struct buf more;
    struct json_writer j;
    buf_init(&more, EVENT_DETAIL_MAX);
    json_init(&j, &more, false);
    json_put_str(&j, "name", name);
    json_key(&j, "permissions");
    json_raw(&j, permissions);
    bool ok = buf_ok(&more, e) && grants_changed(w, e) && accounts_tell(a, w, who, type, buf_str(&more), e);
    buf_deinit(&more);
    return ok;
}

bool account_role_set(struct accounts *a, const struct actor *who, struct str name, const struct str *permissions, unsigned count, struct str summary,
                      struct err *e) {
    static const struct access_scope EVERYWHERE = {.kind = SCOPE_ALL};
    struct buf json;
    uint64_t bits;
    if (!role_name_fits(name, e)) return false;
    if (summary.n > SUMMARY_BYTES_MAX) return err_set(e, ERR_USAGE, "accounts", "a summary has at most %d bytes", SUMMARY_BYTES_MAX);
    buf_init(&json, ROLE_JSON_MAX);
    bool ok = gather(permissions, count, &bits, &json, e);
    if (ok && !grants_cover(access_principal(who), bits, &EVERYWHERE, 0))
        ok = err_set(e, ERR_FORBIDDEN, "accounts", "a role may permit only what you may do yourself, everywhere");
    struct db *w = ok ? accounts_begin(a, e) : NULL;
    ok = w &&
         sql_run(w,
                 "INSERT INTO roles (name, permissions, summary, changed_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET permissions = "
                 "excluded.permissions, summary = excluded.summary, changed_ms = excluded.changed_ms",
                 SQL_VALUES(SQL_T(name), SQL_T(buf_str(&json)), SQL_T(summary), SQL_I(clock_wall_ms())), e) &&
         tell_role(a, w, who, "role.changed", name, buf_str(&json), e);
    if (w) ok = accounts_end(a, w, ok, e);
    buf_deinit(&json);
    return ok;
}

static bool remove_role(struct accounts *a, struct db *w, const struct actor *who, struct str name, struct err *e) {
    int64_t n;
    bool found;
    if (!sql_one(w, "SELECT count(*) FROM grants WHERE role = ?1", SQL_VALUES(SQL_T(name)), &n, 1, &found, e)) return false;
    if (n) return err_set(e, ERR_CONFLICT, "accounts", "%lld grants name the role '%.*s': take them away first", (long long)n, STR_FMT(name));
    if (!sql_run(w, "DELETE FROM roles WHERE name = ?1", SQL_VALUES(SQL_T(name)), e)) return false;
    if (db_changes(w) == 0) return err_set(e, ERR_NOT_FOUND, "accounts", "there is no role '%.*s' of your own making", STR_FMT(name));
    return tell_role(a, w, who, "role.removed", name, STR_LIT("[]"), e);
}

bool account_role_remove(struct accounts *a, const struct actor *who, struct str name, struct err *e) {
    if (!role_name_fits(name, e)) return false;
    struct db *w = accounts_begin(a, e);
    bool ok = w && remove_role(a, w, who, name, e);
    if (w) ok = accounts_end(a, w, ok, e);
    return ok;
}

static void put_shipped(struct json_writer *j, const struct access_role *r) {
    json_begin_object(j);
    json_put_strz(j, "name", r->name);
    json_put_bool(j, "shipped", true);
    json_put_strz(j, "summary", r->summary);
    json_put_strz(j, "summary_zh", r->summary_zh);
    json_key(j, "permissions");
    json_begin_array(j);
    for (unsigned p = 1; p < ACCESS_PERMISSIONS; p++)
        if (r->permissions & ACCESS_BIT(p)) json_strz(j, access_permission_name((enum permission)p));
    json_end_array(j);
    json_end_object(j);
}

bool account_roles_json(struct accounts *a, struct json_writer *to, struct err *e) {
    struct db *d = db_reader(a->ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT name, summary, permissions FROM roles ORDER BY name", e) : NULL;
    enum db_step step = DB_FAIL;
    json_begin_array(to);
    for (unsigned i = 0; i < ACCESS_ROLE_COUNT; i++) put_shipped(to, &ACCESS_ROLES[i]);
    while (s && (step = db_next(s, e)) == DB_ROW) {
        json_begin_object(to);
        json_put_str(to, "name", db_text(s, 0));
        json_put_bool(to, "shipped", false);
        json_put_str(to, "summary", db_text(s, 1));
        json_key(to, "permissions");
        json_raw(to, db_text(s, 2));
        json_end_object(to);
    }
    json_end_array(to);
    db_done(s);
    db_return(a->ar->db, d);
    return step != DB_FAIL;
}

// ---- places ----

bool account_site_set(struct accounts *a, const struct actor *who, struct str path, struct str display, struct err *e) {
    struct realm r;
    struct buf more;
    struct json_writer j;
    if (!realm_parse(path, &r, e)) return false;
    if (!charge_realm(who, ACCESS_SITE_WRITE, &r)) return err_set(e, ERR_FORBIDDEN, "accounts", "the place '%.*s' is not yours to name", STR_FMT(path));
    if (display.n > SUMMARY_BYTES_MAX) return err_set(e, ERR_USAGE, "accounts", "a name to be shown has at most %d bytes", SUMMARY_BYTES_MAX);
    buf_init(&more, EVENT_DETAIL_MAX);
    json_init(&j, &more, false);
    json_put_str(&j, "place", path);
    json_put_str(&j, "display", display);
    struct db *w = buf_ok(&more, e) ? accounts_begin(a, e) : NULL;
    bool ok =
        w &&
        sql_run(w,
                "INSERT INTO realms (tenant, site, department, display, created_ms) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (tenant, site, department) DO "
                "UPDATE SET display = excluded.display",
                SQL_VALUES(SQL_T(r.tenant), SQL_T(r.site), SQL_T(r.department), SQL_T(display), SQL_I(clock_wall_ms())), e) &&
        grants_changed(w, e) && accounts_tell(a, w, who, "site.changed", buf_str(&more), e);
    if (w) ok = accounts_end(a, w, ok, e);
    buf_deinit(&more);
    return ok;
}

bool account_sites_json(struct accounts *a, const struct actor *who, struct json_writer *to, struct err *e) {
    struct db *d = db_reader(a->ar->db, e);
    struct db_stmt *s = d ? db_prepare(d, "SELECT tenant, site, department, display FROM realms ORDER BY tenant, site, department", e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = s;
    json_begin_array(to);
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        char path[REALM_BYTES];
        struct realm r = {db_text(s, 0), db_text(s, 1), db_text(s, 2)};
        if (!charge_realm(who, ACCESS_USER_READ, &r)) continue;
        ok = realm_format(&r, path, e);
        json_begin_object(to);
        json_put_strz(to, "place", path);
        json_put_str(to, "tenant", r.tenant);
        json_put_str(to, "site", r.site);
        json_put_str(to, "department", r.department);
        json_put_str(to, "display", db_text(s, 3));
        json_end_object(to);
    }
    json_end_array(to);
    db_done(s);
    db_return(a->ar->db, d);
    return ok && step != DB_FAIL;
}
