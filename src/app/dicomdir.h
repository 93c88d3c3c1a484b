// The files that a DICOMDIR lists (PS3.3 F, PS3.10 8).
#ifndef GANTRY_APP_DICOMDIR_H
#define GANTRY_APP_DICOMDIR_H

#include <stdbool.h>

#include "base/err.h"

// Whether the file is a media directory; what cannot be read is none.
bool dicomdir_is(const char *path);
// Visits every file that the directory's records name, in their order; none lies outside the directory's own folder. A name that may not be, and a file that
// is not there, are told to failed. false: the directory cannot be read, or visit stopped.
bool dicomdir_files(const char *path, bool (*visit)(void *ctx, const char *file, struct err *e),
                    void (*failed)(void *ctx, const char *file, const struct err *why), void *ctx, struct err *e);

#endif
