// Accounts: people and programs that sign in, their sessions and tokens. Only digests of secrets are kept.
//
// One struct accounts per server. What other nodes change counts here within ACCOUNTS_BELIEVE_MS; what this one changes, at once.
#ifndef GANTRY_CORE_ACCOUNTS_H
#define GANTRY_CORE_ACCOUNTS_H

#include "core/access.h"
#include "core/archive.h"

enum { ACCOUNTS_BELIEVE_MS = 5 * 1000, ACCOUNT_NAME_BYTES = 64, ACCOUNT_SECRET_HEX = 64, ACCOUNT_PASSWORD_MAX = 1024 };

struct accounts;

struct accounts_options { // 0: the default
    unsigned session_idle_s, session_absolute_s;
    unsigned password_least;   // characters; default 12
    const char *breached_file; // further passwords that nobody may take, one a line; NULL: none
};
bool accounts_open(struct archive *ar, const struct accounts_options *o, struct accounts **out, struct err *e);
void accounts_close(struct accounts *a); // NULL is fine

// Of an archive without any user: makes the administrator "admin" with a one-time secret, to be shown on the terminal once and changed at the first
// sign-in. *made false, and secret empty, when there is a user already or another node was quicker.
bool accounts_first(struct accounts *a, char secret[ACCOUNT_SECRET_HEX + 1], bool *made, struct err *e);

// ---- signing in ----

struct sign_in {
    struct str name, password, code; // code: TOTP or a recovery code; empty when not given
    struct str address, agent;       // where from, for the log and the list of sessions
};
enum sign_in_outcome {
    SIGN_IN_DONE,
    SIGN_IN_REFUSED,     // name, password or code: one answer for all of them, in the same time
    SIGN_IN_CODE_NEEDED, // the password was right: the second factor is asked for
    SIGN_IN_WAIT,        // too many failures: wait_s
};
struct signed_in {
    enum sign_in_outcome outcome;
    char secret[ACCOUNT_SECRET_HEX + 1]; // of the session: goes into the cookie
    unsigned wait_s;
    bool must_change; // the password, before anything else
};
// false: ERR_NET and the like. Every outcome is noted in the audit trail.
bool account_sign_in(struct accounts *a, const struct sign_in *in, struct signed_in *out, struct err *e);

// A session for somebody whom another authority has identified (OpenID Connect): the user (issuer, subject) is made when it is not there, its grants set to
// those given. ERR_FORBIDDEN: the account is switched off, or there is no grant.
struct account_external {
    struct str issuer, subject, name, display, address, agent;
    const struct access_grant *grants;
    unsigned grant_count;
    struct str sid;      // of the provider's session, for its logout; may be empty
    struct str id_token; // to be shown at its logout; may be empty
};
bool account_external_sign_in(struct accounts *a, const struct account_external *x, char secret[ACCOUNT_SECRET_HEX + 1], struct err *e);
// The provider says that a session of its own, or all of a subject's, are over.
bool account_external_end(struct accounts *a, struct str issuer, struct str subject, struct str sid, struct err *e);

// ---- who is it? ----

struct account_session {
    const struct principal *principal;
    bool must_change;
    int64_t until_ms;                 // wall clock: the earlier of its limits
    struct str issuer, id_token_hint; // of an external one, else empty
};
// By the secret of a session's cookie, or of an API token. *out->principal NULL: nobody's. In arena. A session's idle time begins anew.
bool account_by_session(struct accounts *a, struct arena *arena, struct str secret, struct account_session *out, struct err *e);
bool account_by_token(struct accounts *a, struct arena *arena, struct str token, const struct principal **out, struct err *e);
// Whether a user that another authority vouches for is still one here, and switched on. Whoever is no user: always.
bool account_is_on(struct accounts *a, const struct principal *p, bool *on, struct err *e);
// Something that accounts are made of was changed beside them (a broken glass): what is believed of sessions and tokens counts no more.
void accounts_forget(struct accounts *a);
bool account_session_end(struct accounts *a, struct str secret, struct err *e);
// A session that stands for an API token, for pages that programs drive. ERR_UNAUTHORIZED when the token is nobody's.
bool account_token_session(struct accounts *a, struct str token, struct str address, struct str agent, char secret[ACCOUNT_SECRET_HEX + 1], struct err *e);

#endif
