// Passwords as they are kept: argon2id (RFC 9106), with the second recommended set of its section 4: 64 MiB, three passes, four lanes.
#ifndef GANTRY_SYS_PASSWORD_H
#define GANTRY_SYS_PASSWORD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum {
    PASSWORD_ENCODED_BYTES = 160,
    PASSWORD_AT_ONCE = 2,       // computed side by side; others wait, so that memory is bounded
    PASSWORD_WAIT_MS = 5 * 1000 // and then are told to come again (ERR_BUSY)
};

// "$argon2id$v=19$m=65536,t=3,p=4$salt$tag".
bool password_hash(struct str password, char out[PASSWORD_ENCODED_BYTES], struct err *e);
// encoded: NUL-terminated, by whatever parameters it says.
bool password_verify(const char *encoded, struct str password, bool *matches, struct err *e);

// Test seam: memory of what is computed from now on. Not for production code.
void password_cost_kib(unsigned kib);

#endif
