// Sums of an object's blocks (XXH3-64): a part of the object can be checked without reading the rest of it.
#ifndef GANTRY_SYS_SUMS_H
#define GANTRY_SYS_SUMS_H

#include "base/buf.h"
#include "base/err.h"

enum { SUMS_BLOCK_BYTES = 64 * 1024 };

uint64_t sum_of(const void *p, size_t n);

// Owned by the caller: init, any number of adds, final, deinit.
struct sums {
    void *state; // of a block that came in pieces
    size_t filled;
    struct buf list; // struct's result: 8 bytes for each block, in the machine's order
    bool failed;
};

void sums_init(struct sums *s);
void sums_add(struct sums *s, const void *p, size_t n); // a failure shows in final
// The last block counts as it is. *out is borrowed from s.
bool sums_final(struct sums *s, struct str *out, struct err *e);
void sums_deinit(struct sums *s);

#endif
