// Charge: which accounts (users, tokens, peers) and places are in an asker's hands. Administration asks here before it tells or changes anything of one.
//
// An account lies where its grants reach: every one of them, also those that have ended; a token also where its owner lies, a peer also in its realm. It is in
// the hands of who has the permission within all of that (access_decide_within); one without any grant lies nowhere, and is in the hands of who has the
// permission everywhere. What is in other hands is not there: services answer as about what is missing.
#ifndef GANTRY_CORE_CHARGE_H
#define GANTRY_CORE_CHARGE_H

#include "core/archive.h"
#include "core/grants.h"

// Whether the asker has the permission everywhere: then everything is in its hands, and nothing is asked of the database.
bool charge_all(const struct actor *who, enum permission what);
bool charge_account(struct db *d, const struct actor *who, enum permission what, struct grant_holder account, bool *in, struct err *e);
// Of a tenant, a site or a department.
bool charge_realm(const struct actor *who, enum permission what, const struct realm *r);
// Of one grant.
bool charge_scope(const struct actor *who, enum permission what, const struct access_scope *s);
// Of a user to whom the asker may give work: one who has a grant in a tenant where the asker has the permission, or who works for any (`assigned`, `*`).
bool charge_colleague(struct db *d, const struct actor *who, enum permission what, int64_t user, bool *in, struct err *e);
// ERR_FORBIDDEN when the account is the asker itself, or that of which the asker is a token: roles, password and state of one's own are in other hands.
// Not for who has the permission everywhere, whom nobody else could serve.
bool charge_not_self(struct db *d, const struct actor *who, enum permission what, struct grant_holder account, struct err *e);
// Of a new account: with no grant it would be in nobody's hands but those of who has the permission everywhere. ERR_USAGE.
bool charge_needs_role(const struct actor *who, enum permission what, struct str role, struct err *e);
// ERR_CONFLICT about a name that is taken: in other hands or not, in the same words, for names are of the whole server.
bool charge_not_free(const char *kind, struct str name, struct err *e);
// The scope that is meant when none is said: everywhere, else the first that the asker has the permission within. In a.
bool charge_own_scope(struct arena *a, const struct actor *who, enum permission what, struct str *out, struct err *e);

#endif
