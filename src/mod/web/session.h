// Who is asking: the administrator's token, kept only as its digest, and the sessions of browsers that have shown it.
#ifndef GANTRY_MOD_WEB_SESSION_H
#define GANTRY_MOD_WEB_SESSION_H

#include "core/archive.h"
#include "http/server.h"

enum { TOKEN_HEX = 64, SESSIONS_MAX = 256, SESSION_S = 12 * 60 * 60 };

struct sessions;

// Reads dir/admin-token.sha256; where there is none, makes a token, keeps its digest there, and gives the token in made (else made[0] is NUL).
// Of an archive of several nodes the digest and the sessions are in the index: whichever node comes first makes the token.
// required false: nobody is asked for anything.
bool sessions_open(struct archive *ar, const char *dir, bool required, char made[TOKEN_HEX + 1], struct sessions **out, struct err *e);
void sessions_close(struct sessions *s);
bool sessions_required(const struct sessions *s);

// A new token in place of the old one, of an archive of several nodes.
bool sessions_new_token(struct archive *ar, char made[TOKEN_HEX + 1], struct err *e);

// The server's authorise callback; context is the struct sessions.
bool sessions_authorise(void *context, struct http_request *rq, unsigned permission, struct err *e);

// Exchanges the token for a session. *cookie: the Set-Cookie value, in the request's arena. ERR_UNAUTHORIZED when the token is not it.
bool sessions_sign_in(struct sessions *s, struct http_request *rq, struct str token, struct str *cookie, struct err *e);
// Ends the session of the request's cookie.
void sessions_sign_out(struct sessions *s, struct http_request *rq, struct str *cookie);

#endif
