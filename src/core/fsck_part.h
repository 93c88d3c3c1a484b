// What the files of fsck share. Private to core/fsck*.c.
#ifndef GANTRY_CORE_FSCK_PART_H
#define GANTRY_CORE_FSCK_PART_H

#include "core/index.h"

// The volumes to be looked at, ascending: those that lie in the directory; of a bucket those that the index counts on.
bool fsck_volumes(struct archive *ar, uint32_t **out, size_t *n, struct err *e);
// Tells of each volume that lies in the bucket and that no row knows; known: the numbers of those that are, ascending. Of a directory: nothing.
bool fsck_strangers(struct archive *ar, const uint32_t *known, size_t n, void (*on_stranger)(void *ctx, const struct vol_info *v), void *ctx, struct err *e);
// Indexes them.
bool fsck_adopt(struct archive *ar, struct err *e);

#endif
