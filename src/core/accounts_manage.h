// Changing accounts: what administration (mod/admin) and the page's own settings do. Every change is one event; nobody gives away more than he has.
//
// Who has the permission within a scope alone (the administrator of a tenant) reaches those accounts that lie in it wholly (core/charge.h). Any other is not
// there for him; what he may not do to one that is there is ERR_FORBIDDEN.
#ifndef GANTRY_CORE_ACCOUNTS_MANAGE_H
#define GANTRY_CORE_ACCOUNTS_MANAGE_H

#include "core/accounts.h"

struct json_writer;

// ---- users ----

struct account_user {
    struct str name, display;
    struct str password;    // empty: a one-time one is made
    bool external;          // no password: somebody else knows who it is
    struct str role, scope; // its first grant; empty: none yet
};
// one_time: empty when a password was given. A password that an administrator gives must be changed at the first sign-in, too.
bool account_user_add(struct accounts *a, const struct actor *who, const struct account_user *u, char one_time[ACCOUNT_SECRET_HEX + 1], struct err *e);
// {NULL, 0}: left as it is. state: "on" or "off"; switched off, its sessions end and its tokens open nothing.
bool account_user_set(struct accounts *a, const struct actor *who, struct str name, struct str display, struct str state, struct err *e);
// Sets a password (empty: a one-time one is made), which must be changed at the next sign-in; its sessions end, its waiting time too.
bool account_user_password(struct accounts *a, const struct actor *who, struct str name, struct str password, char one_time[ACCOUNT_SECRET_HEX + 1],
                           struct err *e);
// A lost second factor is taken off; failures are forgotten.
bool account_user_unlock(struct accounts *a, const struct actor *who, struct str name, bool second_factor, struct err *e);
bool account_user_remove(struct accounts *a, const struct actor *who, struct str name, struct err *e);
// The name of somebody to whom who may assign studies (core/charge.h), as it is kept; in arena. ERR_NOT_FOUND.
bool account_user_name(struct accounts *a, const struct actor *who, struct arena *arena, struct str name, struct str *out, struct err *e);
// One value: an array of all that are in the asker's hands, or the object of one. who NULL: whoever is named asks about itself.
bool account_users_json(struct accounts *a, const struct actor *who, struct json_writer *to, struct err *e);
bool account_user_json(struct accounts *a, const struct actor *who, struct str name, struct json_writer *to, struct err *e);

// ---- grants and roles ----

// holder: "user" or "token". until_ms 0: without end.
bool account_grant(struct accounts *a, const struct actor *who, const char *holder, struct str name, struct str role, struct str scope, int64_t until_ms,
                   struct err *e);
bool account_ungrant(struct accounts *a, const struct actor *who, const char *holder, struct str name, struct str role, struct str scope, struct err *e);
// permissions: names. A shipped role cannot be changed.
bool account_role_set(struct accounts *a, const struct actor *who, struct str name, const struct str *permissions, unsigned count, struct str summary,
                      struct err *e);
bool account_role_remove(struct accounts *a, const struct actor *who, struct str name, struct err *e);
bool account_roles_json(struct accounts *a, struct json_writer *to, struct err *e);

// ---- tokens ----

struct account_token {
    struct str name, owner; // owner: a user; empty: of no person
    struct str role, scope; // its first grant
    int64_t until_ms;       // 0: without end
};
bool account_token_add(struct accounts *a, const struct actor *who, const struct account_token *t, char token[ACCOUNT_SECRET_HEX + 1], struct err *e);
// Another secret under the same name and grants; the old one opens nothing any more.
bool account_token_renew(struct accounts *a, const struct actor *who, struct str name, char token[ACCOUNT_SECRET_HEX + 1], struct err *e);
bool account_token_revoke(struct accounts *a, const struct actor *who, struct str name, struct err *e);
// The same of one's own: ERR_NOT_FOUND of another's.
bool account_token_end(struct accounts *a, const struct actor *who, struct str name, struct err *e);
// owner NULL: all that are in the asker's hands. who NULL: the owner asks.
bool account_tokens_json(struct accounts *a, const struct actor *who, const struct str *owner, struct json_writer *to, struct err *e);

// Who the first start's token, or the taken-over one, is: made (again) with a new secret, of the first administrator. For `gantry cluster token`.
#define ACCOUNT_FIRST_TOKEN "admin"
// A token that is there keeps its end.
bool account_first_token(struct accounts *a, const struct actor *who, int64_t until_ms, char token[ACCOUNT_SECRET_HEX + 1], struct err *e);

// A token that is known by its digest (64 hexadecimal digits) counts as that one from now on; one that was taken over before is left as it is.
bool accounts_take_over(struct accounts *a, struct str digest_hex, struct err *e);

// ---- sessions ----

// name empty: everybody's who is in the asker's hands. who NULL: whoever is named asks.
bool account_sessions_json(struct accounts *a, const struct actor *who, struct str name, struct str own_secret, struct json_writer *to, struct err *e);
// id as the list has it; empty: all of this user. but: the secret of a session that stays; may be empty.
bool account_sessions_end(struct accounts *a, const struct actor *who, struct str name, struct str id, struct str but, struct err *e);

// ---- about oneself: who->principal is the user ----

// ERR_FORBIDDEN when old is not the password. The other sessions end.
bool account_password_change(struct accounts *a, const struct actor *who, struct str old, struct str next, struct str secret, struct err *e);
enum { TOTP_SECRET_TEXT = 40, RECOVERY_CODES = 10, RECOVERY_TEXT = 20 };
// A new secret, in base32, that counts once it is confirmed with a code of it.
bool account_totp_begin(char secret[TOTP_SECRET_TEXT], struct err *e);
bool account_totp_confirm(struct accounts *a, const struct actor *who, struct str secret, struct str code, char recovery[RECOVERY_CODES][RECOVERY_TEXT],
                          struct err *e);
bool account_totp_off(struct accounts *a, const struct actor *who, struct str password, struct err *e);

// ---- places ----

// A tenant, site or department by its path "T/S/D" gets a name to be shown; made when it is not there.
bool account_site_set(struct accounts *a, const struct actor *who, struct str path, struct str display, struct err *e);
bool account_sites_json(struct accounts *a, const struct actor *who, struct json_writer *to, struct err *e);

#endif
