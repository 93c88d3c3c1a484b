// Reading zip and tar (plain or gzip) as a stream of entries: nothing is ever written to the disk. The adapter of libarchive.
#ifndef GANTRY_SYS_UNARCHIVE_H
#define GANTRY_SYS_UNARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// Ceilings against archives that are made to harm; all must be set.
struct unarchive_limits {
    uint64_t entries_max;
    uint64_t entry_bytes_max;
    unsigned ratio_max;  // inflated bytes to bytes of the file ...
    uint64_t ratio_free; // ... beyond this many, which any archive may have
};

// begin is called for each regular file in the archive; false in *take skips it. bytes as they come; end after the last. Returning false stops.
struct unarchive_visit {
    bool (*begin)(void *ctx, const char *name, bool *take, struct err *e);
    bool (*bytes)(void *ctx, const void *p, size_t n, struct err *e);
    bool (*end)(void *ctx, struct err *e);
    void *ctx;
};

// By its first bytes: a zip or a tar, or gzip (which may hold a tar).
bool unarchive_looks_like(const void *p, size_t n);
// ERR_UNSUPPORTED: not an archive. ERR_BAD_INPUT: broken or cut short. ERR_TOO_LARGE: a ceiling was met. What was visited before stays visited.
bool unarchive_read(const char *path, const struct unarchive_limits *limits, const struct unarchive_visit *visit, struct err *e);

#endif
