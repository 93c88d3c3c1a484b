// Grants and roles as their tables have them: shared by whoever holds grants (users, tokens, peers).
#ifndef GANTRY_CORE_GRANTS_H
#define GANTRY_CORE_GRANTS_H

#include "core/access.h"
#include "db/db.h"

struct grant_holder {
    const char *kind; // "user", "token", "peer"
    int64_t id;
};

// What a holder has at this moment: ended grants are left out, roles that are no more permit nothing. At most PRINCIPAL_GRANTS_MAX; in a.
bool grants_load(struct db *d, struct arena *a, struct grant_holder of, const struct access_grant **out, unsigned *count, struct err *e);
// The permissions of a role, shipped or of the table; ERR_NOT_FOUND.
bool grants_role(struct db *d, struct arena *a, struct str role, uint64_t *permissions, struct err *e);

// In the writer's transaction. by: "admin", "oidc", "glass". scope is checked and kept as access_scope_format writes it; until_ms 0: without end.
// ERR_TOO_LARGE when the holder has PRINCIPAL_GRANTS_MAX already. Given again, it gets the new end.
bool grants_give(struct db *w, struct arena *a, struct grant_holder to, struct str role, struct str scope, const char *by, int64_t until_ms, struct err *e);
bool grants_take(struct db *w, struct arena *a, struct grant_holder from, struct str role, struct str scope, const char *by, bool *taken, struct err *e);
// All of a holder; by NULL: whoever gave them.
bool grants_take_all(struct db *w, struct grant_holder from, const char *by, struct err *e);
// To be called in the transaction of each change of users, roles, grants, tokens and peers: who keeps answers in memory asks for the number.
bool grants_changed(struct db *w, struct err *e);

// Whether every one of these permissions is the principal's own everywhere within the scope until then (0: without end): nobody gives away more than he
// has, nor for longer. What a broken glass lends is nobody's own.
bool grants_cover(const struct principal *p, uint64_t permissions, const struct access_scope *scope, int64_t until_ms);
// What is left of permissions within scope when they are bounded by the grants of another.
uint64_t grants_within(const struct access_grant *own, unsigned count, uint64_t permissions, const struct access_scope *scope, int64_t now_ms);

#endif
