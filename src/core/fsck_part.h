// What the files of fsck share. Private to core/fsck*.c.
#ifndef GANTRY_CORE_FSCK_PART_H
#define GANTRY_CORE_FSCK_PART_H

#include "core/index.h"

// The volumes to be looked at, ascending: those that lie in the directory; of a bucket those that the index counts on.
bool fsck_volumes(struct archive *ar, uint32_t **out, size_t *n, struct err *e);
// Tells of each volume that lies in the bucket and that no row knows; known: the numbers of those that are, ascending. Of a directory: nothing.
bool fsck_strangers(struct archive *ar, const uint32_t *known, size_t n, void (*on_stranger)(void *ctx, const struct vol_info *v), void *ctx, struct err *e);
// What a scan of a volume found, every digest compared.
enum { FSCK_NAME_BYTES = 72 };
struct fsck_entry {
    enum vol_kind kind;
    char sop[FSCK_NAME_BYTES]; // empty: a gap
    struct vol_loc loc;
    uint64_t end;
    bool damaged;
};
struct fsck_scan {
    uint32_t volume;
    bool ok;
    struct err why;
    struct fsck_entry *p;
    size_t n;
};
// Reads volumes on threads of its own, in their order and not too far ahead; the list is borrowed until it is stopped.
struct fsck_ahead;
bool fsck_ahead_start(struct archive *ar, const uint32_t *volumes, size_t n, struct fsck_ahead **out, struct err *e);
// Waits for volume number i of the list, which are asked for one after another; borrowed until the next.
const struct fsck_scan *fsck_ahead_next(struct fsck_ahead *a, size_t i);
void fsck_ahead_stop(struct fsck_ahead *a); // NULL is fine

// Indexes them.
bool fsck_adopt(struct archive *ar, struct err *e);

#endif
