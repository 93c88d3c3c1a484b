// Single sign-on by OpenID Connect: an identity provider that the configuration names says who somebody is, and in which groups.
//
// OpenID Connect Core 1.0 with the authorisation code and PKCE (RFC 7636), Discovery 1.0, RP-Initiated and Back-Channel Logout 1.0, RFC 9207; access tokens of
// programs (RFC 9068). Metadata and keys of the provider are fetched when they are first needed, kept, and fetched anew when a token names a key that is not
// known. Whatever the provider's metadata lead to is held to its own origin's closeness (net/guard.h).
#ifndef GANTRY_CORE_OIDC_H
#define GANTRY_CORE_OIDC_H

#include "core/access.h"
#include "core/archive.h"
#include "http/jwt.h"
#include "net/guard.h"

// Who is in a group has a role. group "*": whoever the provider lets in.
struct oidc_role {
    const char *group, *role, *scope;
};

struct oidc_options { // strings are borrowed for its life; NULL or 0: the default
    const char *issuer;
    const char *client_id, *client_secret; // secret NULL: a public client, with PKCE alone
    const char *title;                     // of the button
    const char *scopes;                    // "openid profile"
    const char *groups_claim;              // "groups"; "realm_access.roles" leads into objects
    const char *name_claim;                // "preferred_username"
    const char *audience;                  // of programs' access tokens; NULL: none are taken
    const char *ca_file;                   // NULL: the system's authorities
    const char *proxy;                     // NULL: none. A proxy decides itself where it leads.
    unsigned algorithms;                   // JWT_ALL
    unsigned skew_s;                       // JWT_SKEW_S
    const struct oidc_role *roles;
    unsigned role_count;
    struct net_guard guard;
};

struct oidc;

// Checks what was given; asks nobody yet. ERR_USAGE names the key of the configuration.
bool oidc_open(struct archive *ar, const struct oidc_options *o, struct oidc **out, struct err *e);
void oidc_close(struct oidc *o); // NULL is fine
const char *oidc_title(const struct oidc *o);
const char *oidc_issuer(const struct oidc *o);

// ---- somebody signs in ----

// One sign-in, by a secret that only the browser has which began it: state, nonce and the verifier of PKCE come from it.
enum { OIDC_SECRET_HEX = 64 };
bool oidc_secret(char out[OIDC_SECRET_HEX + 1], struct err *e);

// Where the browser goes. redirect: where it comes back to, an absolute URL that the provider knows.
bool oidc_begin(struct oidc *o, struct arena *a, struct str secret, struct str redirect, struct str *url, struct err *e);

// What it comes back with; {NULL, 0} where absent.
struct oidc_answer {
    struct str state, code, issuer, error;
};
struct oidc_identity {
    struct str subject, name, display, sid, id_token;
    const struct access_grant *grants;
    unsigned grant_count;
};
// ERR_UNAUTHORIZED: this is not the answer to that sign-in, or the provider refused. ERR_NET, ERR_PEER: the provider does not answer as it should.
bool oidc_finish(struct oidc *o, struct arena *a, struct str secret, struct str redirect, const struct oidc_answer *answer, struct oidc_identity *out,
                 struct err *e);

// ---- and out ----

// Where the browser goes to end the provider's session too; empty when the provider offers none.
bool oidc_logout_url(struct oidc *o, struct arena *a, struct str id_token, struct str return_to, struct str *url, struct err *e);
// A logout token that the provider itself sends: whose sessions are over. One of the two may be empty.
bool oidc_logout_token(struct oidc *o, struct arena *a, struct str token, struct str *subject, struct str *sid, struct err *e);

// ---- programs ----

// The principal of an access token, in a. ERR_UNAUTHORIZED.
bool oidc_bearer(struct oidc *o, struct arena *a, struct str token, const struct principal **out, struct err *e);

#endif
