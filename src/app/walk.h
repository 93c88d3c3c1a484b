// Every regular file under the paths given, folders walked in name order.
#ifndef GANTRY_APP_WALK_H
#define GANTRY_APP_WALK_H

#include <stdbool.h>

#include "base/err.h"

// visit returns false to stop (*e is then its own). Links to folders are not followed below the paths given. ERR_NOT_FOUND for a path that is not there.
bool walk_files(char **paths, unsigned count, bool (*visit)(void *ctx, const char *path, struct err *e), void *ctx, struct err *e);
// The same, but what cannot be read is told to failed and the walk goes on.
bool walk_what_can_be_read(char **paths, unsigned count, bool (*visit)(void *ctx, const char *path, struct err *e),
                           void (*failed)(void *ctx, const char *path, const struct err *why), void *ctx, struct err *e);

#endif
