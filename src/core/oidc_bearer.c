// Programs that bring an access token of the identity provider.
#include "core/oidc_part.h"
#include "core/grants.h"

// Somebody who has signed in here before is that user, and stays out when that user is switched off.
static bool known_user(const struct oidc *o, struct db *d, struct arena *a, struct str subject, struct principal *p, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT id, name, display, state FROM users WHERE issuer = ?1 AND subject = ?2", e);
    if (!s) return false;
    db_bind_text(s, 1, str_of(o->o.issuer));
    db_bind_text(s, 2, subject);
    enum db_step step = db_next(s, e);
    bool ok = step != DB_FAIL, on = true;
    if (step == DB_ROW) {
        p->kind = PRINCIPAL_USER;
        p->id = db_int(s, 0);
        on = str_eqz(db_text(s, 3), "on");
        ok = arena_dup(a, db_text(s, 1), &p->name, e) && arena_dup(a, db_text(s, 2), &p->display, e);
    }
    db_done(s);
    return ok && (on || err_set(e, ERR_UNAUTHORIZED, "oidc", "this account is switched off"));
}

// Roles of this archive's own stand in its table; one that is no more permits nothing.
static bool own_roles(struct db *d, struct arena *a, struct access_grant *grants, unsigned count, struct err *e) {
    struct err why = {0};
    for (unsigned i = 0; i < count; i++) {
        if (grants[i].permissions || grants_role(d, a, grants[i].role, &grants[i].permissions, &why)) continue;
        if (why.kind != ERR_NOT_FOUND) {
            if (e) *e = why;
            return false;
        }
    }
    return true;
}

// Where what it sends in belongs: to the first place in particular to which it may send.
static struct realm home_of(const struct principal *p) {
    for (unsigned i = 0; i < p->grant_count; i++) {
        const struct access_grant *g = &p->grants[i];
        bool somewhere = g->scope.kind == SCOPE_TENANT || g->scope.kind == SCOPE_SITE || g->scope.kind == SCOPE_DEPARTMENT;
        if (somewhere && (g->permissions & ACCESS_BIT(ACCESS_STUDY_STORE))) return g->scope.realm;
    }
    return (struct realm){0};
}

static bool make(struct oidc *o, struct db *d, struct arena *a, const struct jwt *t, struct principal *p, struct err *e) {
    struct access_grant *grants;
    char *name = arena_printf(a, e, "oidc:%.*s", STR_FMT(t->subject));
    if (!name) return false;
    p->kind = PRINCIPAL_TOKEN;
    p->name = p->display = str_of(name);
    if (!claims_grants(o, a, t->claims, &grants, &p->grant_count, e) || !own_roles(d, a, grants, p->grant_count, e)) return false;
    // what is open for longer than the token, such as an association, ends with it
    for (unsigned i = 0; i < p->grant_count; i++) grants[i].until_ms = (t->expires_s + o->o.skew_s) * 1000;
    p->grants = grants;
    p->home = home_of(p);
    return known_user(o, d, a, t->subject, p, e);
}

bool oidc_bearer(struct oidc *o, struct arena *a, struct str token, const struct principal **out, struct err *e) {
    struct jwt t;
    struct principal *p = arena_zero(a, 1, sizeof *p, e);
    if (!o->o.audience) return err_set(e, ERR_UNAUTHORIZED, "oidc", "this server takes no access tokens (oidc: audience)");
    if (!p || !provider_verify(o, a, token, JWT_ACCESS_TOKEN, (struct str){0}, &t, e)) return false;
    struct db *d = db_side(archive_db(o->archive), e);
    bool ok = d && make(o, d, a, &t, p, e);
    db_return(archive_db(o->archive), d);
    if (ok) *out = p;
    return ok;
}
