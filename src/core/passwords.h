// What a new password must be: long enough, and none of those that everybody tries first (NIST SP 800-63B 5.1.1.2).
#ifndef GANTRY_CORE_PASSWORDS_H
#define GANTRY_CORE_PASSWORDS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum { PASSWORD_LEAST = 12 }; // characters

struct password_rules {
    unsigned least;            // characters; 0: PASSWORD_LEAST
    const char *breached_file; // further passwords that nobody may take, one a line; NULL: none
};

// ERR_USAGE with what is wrong; the password itself is never told. user: its words may not carry the password.
bool password_fits(const struct password_rules *r, struct str password, struct str user, struct err *e);
// Whether it is a common one: words that everybody takes, their repetition, walks over the keyboard, runs and dates, however decorated. Pure.
bool password_is_common(struct str password, struct str user);

#endif
