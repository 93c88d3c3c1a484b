// Secrets of the configuration: a text with ${NAME} of the environment in it, or the content of a file. Never of the command line, which others see.
#ifndef GANTRY_APP_SECRET_H
#define GANTRY_APP_SECRET_H

#include "base/arena.h"
#include "base/err.h"

enum { SECRET_BYTES_MAX = 64 * 1024 };

// text or the file named by file, whichever is given; both NULL: *out is left as it is. key is named in messages, the secret never.
// In text ${NAME} is the environment's value (one that is not set is an error); what a file holds is taken as it is, without the line's end.
bool secret_read(struct arena *a, const char *key, const char *text, const char *file, const char **out, struct err *e);

#endif
