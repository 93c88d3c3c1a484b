// Grants in the index.
#include "core/grants.h"

#include "base/clock.h"
#include "core/index.h"
#include "text/json.h"

static uint64_t bits_of(struct arena *a, struct str json) {
    const struct json *list = json_read(a, json, 0, NULL);
    uint64_t bits = 0;
    for (const struct json *one = list ? list->first : NULL; one; one = one->next) {
        enum permission p = access_permission_of(json_text(one));
        if (p != ACCESS_UNDECLARED) bits |= ACCESS_BIT(p);
    }
    return bits;
}

bool grants_role(struct db *d, struct arena *a, struct str role, uint64_t *permissions, struct err *e) {
    const struct access_role *shipped = access_role_find(role);
    *permissions = shipped ? shipped->permissions : 0;
    if (shipped) return true;
    struct db_stmt *s = db_prepare(d, "SELECT permissions FROM roles WHERE name = ?1", e);
    if (!s) return false;
    db_bind_text(s, 1, role);
    enum db_step step = db_next(s, e);
    if (step == DB_ROW) *permissions = bits_of(a, db_text(s, 0));
    db_done(s);
    if (step == DB_FAIL) return false;
    return step == DB_ROW || err_set(e, ERR_NOT_FOUND, "access", "there is no role '%.*s': 'gantry role list' shows those that are", STR_FMT(role));
}

static bool take_row(struct db_stmt *s, struct arena *a, struct access_grant *g, struct err *e) {
    struct str scope;
    if (!arena_dup(a, db_text(s, 0), &g->role, e) || !arena_dup(a, db_text(s, 1), &scope, e)) return false;
    if (!access_scope_parse(scope, &g->scope, e)) return err_wrap(e, "a grant in the index");
    const struct access_role *shipped = access_role_find(g->role);
    g->permissions = shipped ? shipped->permissions : bits_of(a, db_text(s, 3));
    g->until_ms = db_int(s, 2);
    g->lent = str_eqz(db_text(s, 4), "glass");
    return true;
}

bool grants_load(struct db *d, struct arena *a, struct grant_holder of, const struct access_grant **out, unsigned *count, struct err *e) {
    struct access_grant *all = arena_zero(a, PRINCIPAL_GRANTS_MAX, sizeof *all, e);
    *count = 0;
    *out = all;
    struct db_stmt *s =
        all ? db_prepare(d,
                         "SELECT g.role, g.scope, g.until_ms, r.permissions, g.granted_by FROM grants g LEFT JOIN roles r ON r.name = g.role WHERE g.holder = "
                         "?1 AND g.holder_id = ?2 AND (g.until_ms = 0 OR g.until_ms > ?3) ORDER BY g.id",
                         e)
            : NULL;
    if (!s) return false;
    db_bind_text(s, 1, str_of(of.kind));
    db_bind_int(s, 2, of.id);
    db_bind_int(s, 3, clock_wall_ms());
    enum db_step step = DB_END;
    bool ok = true;
    while (ok && *count < PRINCIPAL_GRANTS_MAX && (step = db_next(s, e)) == DB_ROW) ok = take_row(s, a, &all[(*count)++], e);
    db_done(s);
    return ok && step != DB_FAIL;
}

// ---- changing ----

static bool written(struct arena *a, struct str scope, struct str *out, struct err *e) {
    struct access_scope parsed;
    return access_scope_parse(scope, &parsed, e) && access_scope_format(a, &parsed, out, e);
}

bool grants_give(struct db *w, struct arena *a, struct grant_holder to, struct str role, struct str scope, const char *by, int64_t until_ms, struct err *e) {
    struct str kind = str_of(to.kind), text;
    uint64_t permissions;
    int64_t others = 0;
    bool found;
    if (!grants_role(w, a, role, &permissions, e) || !written(a, scope, &text, e)) return false;
    if (!sql_one(w, "SELECT count(*) FROM grants WHERE holder = ?1 AND holder_id = ?2", SQL_VALUES(SQL_T(kind), SQL_I(to.id)), &others, 1, &found, e))
        return false;
    if (others >= PRINCIPAL_GRANTS_MAX)
        return err_set(e, ERR_TOO_LARGE, "access", "one may hold %d grants: make a role that joins several, or take some away", PRINCIPAL_GRANTS_MAX);
    return sql_run(w,
                   "INSERT INTO grants (holder, holder_id, role, scope, granted_by, until_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (holder, holder_id, "
                   "role, scope, granted_by) DO UPDATE SET until_ms = excluded.until_ms",
                   SQL_VALUES(SQL_T(kind), SQL_I(to.id), SQL_T(role), SQL_T(text), SQL_T(str_of(by)), SQL_I(until_ms)), e);
}

bool grants_take(struct db *w, struct arena *a, struct grant_holder from, struct str role, struct str scope, const char *by, bool *taken, struct err *e) {
    struct str text;
    if (!written(a, scope, &text, e) || !sql_run(w, "DELETE FROM grants WHERE holder = ?1 AND holder_id = ?2 AND role = ?3 AND scope = ?4 AND granted_by = ?5",
                                                 SQL_VALUES(SQL_T(str_of(from.kind)), SQL_I(from.id), SQL_T(role), SQL_T(text), SQL_T(str_of(by))), e))
        return false;
    *taken = db_changes(w) > 0;
    return true;
}

bool grants_take_all(struct db *w, struct grant_holder from, const char *by, struct err *e) {
    return sql_run(w, "DELETE FROM grants WHERE holder = ?1 AND holder_id = ?2 AND (?3 = '' OR granted_by = ?3)",
                   SQL_VALUES(SQL_T(str_of(from.kind)), SQL_I(from.id), SQL_T(str_of(by ? by : ""))), e);
}

bool grants_changed(struct db *w, struct err *e) {
    return sql_run(w, "UPDATE counters SET value = value + 1 WHERE name = 'access'", NULL, 0, e);
}

// ---- what is within what ----

uint64_t grants_within(const struct access_grant *own, unsigned count, uint64_t permissions, const struct access_scope *scope, int64_t now_ms) {
    uint64_t left = 0;
    for (unsigned i = 0; i < count; i++) {
        bool over = own[i].until_ms && own[i].until_ms <= now_ms;
        if (!over && access_scope_holds(&own[i].scope, scope)) left |= own[i].permissions & permissions;
    }
    return left;
}

bool grants_cover(const struct principal *p, uint64_t permissions, const struct access_scope *scope, int64_t until_ms) {
    uint64_t covered = 0;
    int64_t now_ms = clock_wall_ms();
    for (unsigned i = 0; p && i < p->grant_count; i++) {
        const struct access_grant *own = &p->grants[i];
        bool lasts = own->until_ms == 0 || (own->until_ms > now_ms && until_ms && own->until_ms >= until_ms);
        if (lasts && !own->lent && access_scope_holds(&own->scope, scope)) covered |= own->permissions & permissions;
    }
    return p && covered == permissions;
}
