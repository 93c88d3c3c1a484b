// Whose hands an account is in: the scopes of its grants against those of the asker.
#include "core/charge.h"

#include <string.h>

#include "base/clock.h"
#include "core/index.h"

bool charge_all(const struct actor *who, enum permission what) {
    return access_decide_within(access_principal(who), what, NULL, clock_wall_ms()) == ACCESS_ALLOWED;
}

bool charge_scope(const struct actor *who, enum permission what, const struct access_scope *s) {
    return access_decide_within(access_principal(who), what, s, clock_wall_ms()) == ACCESS_ALLOWED;
}

bool charge_realm(const struct actor *who, enum permission what, const struct realm *r) {
    struct access_scope s = {.kind = SCOPE_TENANT, .realm = *r};
    if (r->site.n) s.kind = r->department.n ? SCOPE_DEPARTMENT : SCOPE_SITE;
    return charge_scope(who, what, &s);
}

// ---- accounts ----

// Every grant that there is, and that there is any.
static bool lies_within(struct db *d, const struct actor *who, enum permission what, struct grant_holder account, bool *in, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT scope FROM grants WHERE holder = ?1 AND holder_id = ?2", e);
    enum db_step step = DB_END;
    unsigned count = 0;
    bool ok = s;
    *in = true;
    if (!s) return false;
    db_bind_text(s, 1, str_of(account.kind));
    db_bind_int(s, 2, account.id);
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        struct access_scope scope;
        ok = access_scope_parse(db_text(s, 0), &scope, e) || err_wrap(e, "a grant in the index");
        *in = *in && ok && charge_scope(who, what, &scope);
        count++;
    }
    db_done(s);
    *in = *in && count > 0;
    return ok && step != DB_FAIL;
}

static bool owner_of(struct db *d, int64_t token, int64_t *owner, struct err *e) {
    bool there;
    *owner = 0;
    return sql_one(d, "SELECT owner FROM tokens WHERE id = ?1", SQL_VALUES(SQL_I(token)), owner, 1, &there, e);
}

static bool realm_within(struct db *d, const struct actor *who, enum permission what, int64_t peer, bool *in, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT realm FROM peers WHERE id = ?1", e);
    struct realm r;
    if (!s) return false;
    db_bind_int(s, 1, peer);
    enum db_step step = db_next(s, e);
    bool ok = step == DB_ROW ? realm_parse(db_text(s, 0), &r, e) : step == DB_END;
    *in = ok && step == DB_ROW && charge_realm(who, what, &r);
    db_done(s);
    return ok;
}

bool charge_account(struct db *d, const struct actor *who, enum permission what, struct grant_holder account, bool *in, struct err *e) {
    bool beside = true; // its owner, its realm
    int64_t owner = 0;
    *in = true;
    if (charge_all(who, what)) return true;
    if (strcmp(account.kind, "token") == 0 && !owner_of(d, account.id, &owner, e)) return false;
    if (owner && !lies_within(d, who, what, (struct grant_holder){"user", owner}, &beside, e)) return false;
    if (strcmp(account.kind, "peer") == 0 && !realm_within(d, who, what, account.id, &beside, e)) return false;
    if (!lies_within(d, who, what, account, in, e)) return false;
    *in = *in && beside;
    return true;
}

static bool works_in(const struct actor *who, enum permission what, struct str tenant) {
    const struct principal *p = access_principal(who);
    for (unsigned i = 0; p && i < p->grant_count; i++) {
        const struct access_scope *own = &p->grants[i].scope;
        bool placed = own->kind != SCOPE_ALL && own->kind != SCOPE_ASSIGNED && str_eq(own->realm.tenant, tenant);
        if (placed && charge_scope(who, what, own)) return true;
    }
    return false;
}

bool charge_colleague(struct db *d, const struct actor *who, enum permission what, int64_t user, bool *in, struct err *e) {
    *in = charge_all(who, what);
    struct db_stmt *s = db_prepare(d, "SELECT scope FROM grants WHERE holder = 'user' AND holder_id = ?1", e);
    enum db_step step = DB_END;
    bool ok = s;
    if (!s) return false;
    db_bind_int(s, 1, user);
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        struct access_scope scope;
        ok = access_scope_parse(db_text(s, 0), &scope, e) || err_wrap(e, "a grant in the index");
        *in = *in || (ok && (scope.kind == SCOPE_ALL || scope.kind == SCOPE_ASSIGNED || works_in(who, what, scope.realm.tenant)));
    }
    db_done(s);
    return ok && step != DB_FAIL;
}

bool charge_not_self(struct db *d, const struct actor *who, enum permission what, struct grant_holder account, struct err *e) {
    const struct principal *p = access_principal(who);
    bool self = p && p->kind == PRINCIPAL_USER && strcmp(account.kind, "user") == 0 && account.id == p->id;
    int64_t owner = 0;
    if (charge_all(who, what)) return true;
    if (p && p->kind == PRINCIPAL_TOKEN) {
        if (!owner_of(d, p->id, &owner, e)) return false;
        self = strcmp(account.kind, "token") == 0 ? account.id == p->id : strcmp(account.kind, "user") == 0 && owner && account.id == owner;
    }
    return !self || err_set(e, ERR_FORBIDDEN, "access",
                            "your own account is in other hands: password and second factor are changed under your name, all else by another administrator");
}

// ---- new ones ----

bool charge_needs_role(const struct actor *who, enum permission what, struct str role, struct err *e) {
    return role.n || charge_all(who, what) ||
           err_set(e, ERR_USAGE, "access", "say which role: an account without any is nowhere, and only an administrator of the whole server makes such");
}

bool charge_not_free(const char *kind, struct str name, struct err *e) {
    return err_set(e, ERR_CONFLICT, "access", "the name '%.*s' is not free: take another for this %s", STR_FMT(name), kind);
}

bool charge_own_scope(struct arena *a, const struct actor *who, enum permission what, struct str *out, struct err *e) {
    const struct principal *p = access_principal(who);
    int64_t now_ms = clock_wall_ms();
    *out = STR_LIT("*");
    if (charge_all(who, what)) return true;
    for (unsigned i = 0; p && i < p->grant_count; i++) {
        const struct access_grant *g = &p->grants[i];
        bool counts = (g->permissions & ACCESS_BIT(what)) && (g->until_ms == 0 || g->until_ms > now_ms);
        if (counts && g->scope.kind != SCOPE_ASSIGNED) return access_scope_format(a, &g->scope, out, e);
    }
    return true;
}
