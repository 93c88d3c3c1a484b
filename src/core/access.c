// The decision: grants against permission and place.
#include "core/access.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/archive.h"
#include "text/utf8.h"

static const struct access_grant EVERYTHING = {.role = {"administrator", 13}, .permissions = ACCESS_ALL_BITS, .scope = {.kind = SCOPE_ALL}};

const struct principal PRINCIPAL_OF_SYSTEM = {.kind = PRINCIPAL_SYSTEM, .name = {"system", 6}, .grants = &EVERYTHING, .grant_count = 1};
const struct principal PRINCIPAL_OF_LOCAL = {.kind = PRINCIPAL_LOCAL, .name = {"local", 5}, .grants = &EVERYTHING, .grant_count = 1};

// ---- realms ----

static bool part_valid(struct str part) {
    static const char NONE[] = "/\\*:\"'<>,;";
    if (part.n > REALM_PART_BYTES || !utf8_valid(part) || !str_eq(part, str_trim(part))) return false;
    for (size_t i = 0; i < part.n; i++)
        if ((unsigned char)part.p[i] < 0x20 || part.p[i] == 0x7f || memchr(NONE, part.p[i], sizeof NONE - 1)) return false;
    return true;
}

bool realm_parse(struct str text, struct realm *out, struct err *e) {
    struct str rest = text, *const parts[] = {&out->tenant, &out->site, &out->department};
    *out = (struct realm){{"", 0}, {"", 0}, {"", 0}};
    for (unsigned i = 0; i < 3 && rest.n; i++) {
        *parts[i] = str_split(&rest, '/');
        if (!part_valid(*parts[i])) rest = STR_LIT("?"), i = 3;
    }
    if (rest.n || (out->department.n && !out->site.n))
        return err_set(e, ERR_BAD_INPUT, "access",
                       "'%.*s' is no place: it is written tenant/site/department, parts of at most %d bytes without / \\ * : , ; and quotes",
                       STR_FMT(str_sub(text, 0, REALM_BYTES)), REALM_PART_BYTES);
    return true;
}

bool realm_format(const struct realm *r, char out[REALM_BYTES], struct err *e) {
    int n = snprintf(out, REALM_BYTES, "%.*s/%.*s/%.*s", STR_FMT(r->tenant), STR_FMT(r->site), STR_FMT(r->department));
    if (n >= REALM_BYTES) return err_set(e, ERR_TOO_LARGE, "access", "the names of a place are longer than %d bytes", REALM_PART_BYTES);
    while (n > 0 && out[n - 1] == '/') out[--n] = '\0';
    return true;
}

// ---- scopes ----

static const char *const SCOPE_NAMES[] = {[SCOPE_ALL] = "*",        [SCOPE_TENANT] = "tenant:",   [SCOPE_SITE] = "site:", [SCOPE_DEPARTMENT] = "department:",
                                          [SCOPE_LABEL] = "label:", [SCOPE_ASSIGNED] = "assigned"};

static bool no_scope(struct str text, struct err *e) {
    return err_set(e, ERR_BAD_INPUT, "access", "'%.*s' is no scope: *, tenant:T, site:T/S, department:T/S/D, label:T/L or assigned",
                   STR_FMT(str_sub(text, 0, REALM_BYTES)));
}

// How many parts a realm of this kind names, the tenant included.
static bool realm_fits(const struct access_scope *s) {
    const struct realm *r = &s->realm;
    if (s->kind == SCOPE_TENANT) return !r->site.n && !r->department.n;
    if (s->kind == SCOPE_SITE) return r->site.n && !r->department.n;
    return r->site.n && r->department.n;
}

bool access_scope_parse(struct str text, struct access_scope *out, struct err *e) {
    *out = (struct access_scope){0};
    if (str_eqz(text, "*") || str_eqz(text, "assigned")) {
        out->kind = text.n == 1 ? SCOPE_ALL : SCOPE_ASSIGNED;
        return true;
    }
    for (out->kind = SCOPE_TENANT; out->kind < SCOPE_ASSIGNED; out->kind++) {
        struct str name = str_of(SCOPE_NAMES[out->kind]), rest;
        if (!str_starts(text, name)) continue;
        rest = str_sub(text, name.n, text.n);
        if (out->kind == SCOPE_LABEL) {
            out->realm.tenant = str_split(&rest, '/');
            out->label = rest;
            return (part_valid(out->realm.tenant) && rest.n && part_valid(rest)) || no_scope(text, e);
        }
        return realm_parse(rest, &out->realm, e) && (realm_fits(out) || no_scope(text, e));
    }
    return no_scope(text, e);
}

bool access_scope_format(struct arena *a, const struct access_scope *s, struct str *out, struct err *e) {
    char place[REALM_BYTES];
    const char *text = SCOPE_NAMES[s->kind];
    if (!realm_format(&s->realm, place, e)) return false;
    if (s->kind == SCOPE_LABEL) text = arena_printf(a, e, "label:%.*s/%.*s", STR_FMT(s->realm.tenant), STR_FMT(s->label));
    if (s->kind == SCOPE_TENANT || s->kind == SCOPE_SITE || s->kind == SCOPE_DEPARTMENT) text = arena_printf(a, e, "%s%s", SCOPE_NAMES[s->kind], place);
    *out = str_of(text ? text : "");
    return text != NULL;
}

bool access_scope_key(struct arena *a, const struct access_scope *s, struct str user, struct str *out, struct err *e) {
    const struct realm *r = &s->realm;
    const char *text = "";
    switch (s->kind) {
    case SCOPE_ALL:
        break;
    case SCOPE_TENANT:
        text = arena_printf(a, e, "t:%.*s", STR_FMT(r->tenant));
        break;
    case SCOPE_SITE:
        text = arena_printf(a, e, "s:%.*s/%.*s", STR_FMT(r->tenant), STR_FMT(r->site));
        break;
    case SCOPE_DEPARTMENT:
        text = arena_printf(a, e, "d:%.*s/%.*s/%.*s", STR_FMT(r->tenant), STR_FMT(r->site), STR_FMT(r->department));
        break;
    case SCOPE_LABEL:
        text = arena_printf(a, e, "l:%.*s/%.*s", STR_FMT(r->tenant), STR_FMT(s->label));
        break;
    case SCOPE_ASSIGNED:
        text = arena_printf(a, e, "u:%.*s", STR_FMT(user));
        break;
    }
    *out = str_of(text ? text : "");
    return text != NULL;
}

// ---- the decision ----

static bool has(const struct str *all, unsigned n, struct str one) {
    for (unsigned i = 0; i < n; i++)
        if (str_eq(all[i], one)) return true;
    return false;
}

static bool reaches(const struct principal *p, const struct access_scope *s, const struct access_object *o) {
    switch (s->kind) {
    case SCOPE_ALL:
        return true;
    case SCOPE_TENANT:
        return str_eq(s->realm.tenant, o->realm.tenant);
    case SCOPE_SITE:
        return str_eq(s->realm.tenant, o->realm.tenant) && str_eq(s->realm.site, o->realm.site);
    case SCOPE_DEPARTMENT:
        return str_eq(s->realm.tenant, o->realm.tenant) && str_eq(s->realm.site, o->realm.site) && str_eq(s->realm.department, o->realm.department);
    case SCOPE_LABEL:
        return str_eq(s->realm.tenant, o->realm.tenant) && has(o->labels, o->label_count, s->label);
    case SCOPE_ASSIGNED:
        return has(o->assignees, o->assignee_count, p->name);
    }
    return false;
}

static enum access_verdict verdict(enum access_verdict v, const char **reason, const char *why) {
    if (reason) *reason = why;
    return v;
}

static bool counts(const struct access_grant *g, enum permission what, int64_t now_ms) {
    return (g->permissions & ACCESS_BIT(what)) && (g->until_ms == 0 || g->until_ms > now_ms);
}

enum access_verdict access_decide(const struct principal *p, enum permission what, const struct access_object *object, int64_t now_ms, const char **reason) {
    bool permitted = false;
    if (what == ACCESS_UNDECLARED || what >= ACCESS_PERMISSIONS) return verdict(ACCESS_FORBIDDEN, reason, "no permission is declared for this");
    if (what == ACCESS_OPEN) return verdict(ACCESS_ALLOWED, reason, "open to anybody");
    if (!p) return verdict(ACCESS_UNKNOWN, reason, "nobody is signed in");
    if (what == ACCESS_SELF) return verdict(ACCESS_ALLOWED, reason, "about the asker alone");
    for (unsigned i = 0; i < p->grant_count; i++) {
        const struct access_grant *g = &p->grants[i];
        if (!counts(g, what, now_ms)) continue;
        permitted = true;
        if (!object || reaches(p, &g->scope, object)) return verdict(ACCESS_ALLOWED, reason, "granted");
    }
    return permitted ? verdict(ACCESS_HIDDEN, reason, "no grant reaches this study") : verdict(ACCESS_FORBIDDEN, reason, "no grant has this permission");
}

// ---- what is within what ----

static bool same_realm(const struct realm *a, const struct realm *b, unsigned parts) {
    return str_eq(a->tenant, b->tenant) && (parts < 2 || str_eq(a->site, b->site)) && (parts < 3 || str_eq(a->department, b->department));
}

bool access_scope_holds(const struct access_scope *outer, const struct access_scope *inner) {
    bool placed = inner->kind == SCOPE_TENANT || inner->kind == SCOPE_SITE || inner->kind == SCOPE_DEPARTMENT;
    switch (outer->kind) {
    case SCOPE_ALL:
        return true;
    case SCOPE_TENANT:
        return (placed || inner->kind == SCOPE_LABEL) && same_realm(&outer->realm, &inner->realm, 1);
    case SCOPE_SITE:
        return placed && inner->kind != SCOPE_TENANT && same_realm(&outer->realm, &inner->realm, 2);
    case SCOPE_DEPARTMENT:
        return inner->kind == SCOPE_DEPARTMENT && same_realm(&outer->realm, &inner->realm, 3);
    case SCOPE_LABEL:
        return inner->kind == SCOPE_LABEL && same_realm(&outer->realm, &inner->realm, 1) && str_eq(outer->label, inner->label);
    case SCOPE_ASSIGNED:
        return false; // to another they are other studies
    }
    return false;
}

enum access_verdict access_decide_within(const struct principal *p, enum permission what, const struct access_scope *within, int64_t now_ms) {
    static const struct access_scope EVERYWHERE = {.kind = SCOPE_ALL};
    enum access_verdict v = access_decide(p, what, NULL, now_ms, NULL);
    if (v != ACCESS_ALLOWED) return v;
    for (unsigned i = 0; i < p->grant_count; i++)
        if (counts(&p->grants[i], what, now_ms) && access_scope_holds(&p->grants[i].scope, within ? within : &EVERYWHERE)) return ACCESS_ALLOWED;
    return ACCESS_HIDDEN;
}

// ---- for services ----

const struct principal *access_principal(const struct actor *who) {
    if (who->principal) return who->principal;
    return who->door == DOOR_COMMAND || who->door == DOOR_JOB ? &PRINCIPAL_OF_SYSTEM : NULL;
}

bool access_require(const struct actor *who, enum permission what, struct err *e) {
    switch (access_decide(access_principal(who), what, NULL, clock_wall_ms(), NULL)) {
    case ACCESS_ALLOWED:
        return true;
    case ACCESS_UNKNOWN:
        return err_set(e, ERR_UNAUTHORIZED, "access", "nobody is signed in: sign in, or send a token");
    default:
        break;
    }
    const char *name = access_permission_name(what);
    return err_set(e, ERR_FORBIDDEN, "access", "this needs the permission %s, which none of your roles has: ask an administrator",
                   name ? name : "(undeclared)");
}

bool access_reach_of(const struct actor *who, enum permission what, struct arena *a, struct access_reach *out, struct err *e) {
    const struct principal *p = access_principal(who);
    int64_t now_ms = clock_wall_ms();
    *out = (struct access_reach){0};
    for (unsigned i = 0; p && i < p->grant_count && out->count < ACCESS_KEYS_MAX; i++) {
        const struct access_grant *g = &p->grants[i];
        struct str key;
        if (!counts(g, what, now_ms)) continue;
        out->everywhere |= g->scope.kind == SCOPE_ALL;
        if (!access_scope_key(a, &g->scope, p->name, &key, e)) return false;
        if (!has(out->keys, out->count, key)) out->keys[out->count++] = key;
    }
    if (out->everywhere) out->count = 0;
    return true;
}
