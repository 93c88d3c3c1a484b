// From claims to grants: groups, and the roles that the configuration gives them.
#include "core/oidc_part.h"

const struct json *claim_get(const struct json *claims, const char *name) {
    const struct json *at = json_get(claims, name);
    struct str rest = str_of(name);
    if (at || str_find(rest, '.', 0) == rest.n) return at;
    at = claims;
    while (at && rest.p) {
        struct str part = str_split(&rest, '.');
        const struct json *next = NULL;
        for (const struct json *m = at->kind == JSON_OBJECT ? at->first : NULL; m; m = m->next)
            if (str_eq(m->key, part)) next = m;
        at = next;
    }
    return at;
}

// A list of names, or one.
static bool is_in(const struct json *groups, const char *group) {
    if (str_eqz(STR_LIT("*"), group)) return true;
    if (groups && groups->kind == JSON_STRING) return str_eqz(groups->text, group);
    for (const struct json *one = groups && groups->kind == JSON_ARRAY ? groups->first : NULL; one; one = one->next)
        if (one->kind == JSON_STRING && str_eqz(one->text, group)) return true;
    return false;
}

bool claims_grants(const struct oidc *o, struct arena *a, const struct json *claims, struct access_grant **out, unsigned *count, struct err *e) {
    const struct json *groups = claim_get(claims, o->o.groups_claim);
    struct access_grant *list = arena_zero(a, PRINCIPAL_GRANTS_MAX, sizeof *list, e);
    *out = list;
    *count = 0;
    if (!list) return false;
    for (unsigned i = 0; i < o->o.role_count; i++) {
        if (!is_in(groups, o->o.roles[i].group)) continue;
        if (*count == PRINCIPAL_GRANTS_MAX) return err_set(e, ERR_TOO_LARGE, "oidc", "the groups of one person give more than %d roles", PRINCIPAL_GRANTS_MAX);
        list[(*count)++] = o->mapped[i];
    }
    return true;
}
