// The volumes of a bucket and of the index, read through a cache on this node's disk. Private to src/store.
#ifndef GANTRY_STORE_REMOTE_H
#define GANTRY_STORE_REMOTE_H

#include "store/bucket.h"
#include "store/cache.h"
#include "store/set.h"

enum { RESTORES_NOTED = 64 };

struct remote {
    struct bucket bucket;
    struct cache cache;
    uint64_t small_bytes, index_bytes_max;
    unsigned slots; // groups that may be on their way to the bucket at once

    pthread_mutex_t lock;
    pthread_cond_t slot;
    unsigned putting;    // slots in use
    uint32_t next, last; // numbers that are ours, last included; next 0: none
    uint32_t highest;    // that was ever ours
    bool no_keys;        // the bucket had none when this process first asked; under the lock of the keys
    bool unsure;         // the index may have been set back: volumes may lie in the bucket under numbers that it gives
    uint64_t kept;       // by the index, as far as we know
    int64_t kept_ms;     // when it was asked; 0: never
    struct {
        uint32_t volume;
        int64_t at_ms;
    } restores[RESTORES_NOTED]; // lately asked for
};

// What is known of a volume: by the index, or by the bucket of one that the index does not know.
bool remote_find(struct vol_set *vs, uint32_t volume, struct vol_info *out, struct err *e);
// Bytes of it from where it lies.
bool remote_fetch(struct vol_set *vs, const struct vol_info *v, uint64_t at, void *p, size_t n, struct err *e);

#endif
