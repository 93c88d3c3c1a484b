// Parts of remote volumes as they were read, in sparse files of this node's disk. Private to src/store.
//
// A file is written into once where it was empty and is otherwise only unlinked: a descriptor of it stays good. Each has a name of its own, so that
// what is fetched for one never gets into another. When the disk takes nothing more, a file lies in memory instead; so do the small groups that were
// just written, since making and removing a file of the disk costs more than storing them. Nothing is ever flushed: what a file of the disk has is good
// as long as the system runs, so that a restart of the program keeps the cache and one of the machine empties it.
#ifndef GANTRY_STORE_CACHE_H
#define GANTRY_STORE_CACHE_H

#include <pthread.h>
#include <sys/uio.h>

#include "store/volume.h"

enum { CACHE_BUCKETS = 4096, REFETCHES_NOTED = 64 };

struct cache_file {
    struct cache_file *next;          // of its hash
    struct cache_file *older, *newer; // by use, of those that lie where this one does; of the volume's only
    struct cache_file *next_doomed;
    struct vol_info info;
    uint64_t stamp; // when it was begun, in ns; no two have the same
    int fd;         // -1: closed
    unsigned refs;
    bool gone; // no longer the volume's: goes with its last reference
    bool in_memory;
    uint64_t bytes;           // that are there
    uint64_t ahead_at, ahead; // where the last fetch ended, and how far the next goes when it begins there
    size_t block_count;
    uint8_t blocks[]; // enum block
};

struct cache {
    char dir[4096];
    bool memory_only;
    uint64_t limit;

    pthread_mutex_t lock; // all below
    pthread_cond_t fetched;
    struct cache_file *files[CACHE_BUCKETS];
    struct {
        struct cache_file *oldest, *newest;
        unsigned count;
    } uses[2];                 // of the disk, in memory
    struct cache_file *doomed; // to be unlinked
    uint64_t bytes, memory_bytes, hits, misses;
    uint64_t stamp;          // the last
    unsigned open, fetching; // open: descriptors of files of the disk
    struct {
        uint32_t volume;
        int64_t at_ms;
    } refetches[REFETCHES_NOTED];
};

// For cache_load: a file of an earlier run, and which of its blocks are there. Not the lock's yet.
struct cache_file *cache_take_file(struct cache *c, const struct vol_info *v, uint64_t stamp);
void cache_take_block(struct cache *c, struct cache_file *f, size_t block);
void cache_path(const struct cache *c, const struct cache_file *f, char out[4096]);
// cache_load.c: what an earlier run of the program left there, when the system has not been started anew since; else nothing is left there.
bool cache_load(struct vol_set *vs, struct cache *c, struct err *e);

bool cache_open(struct vol_set *vs, const char *dir, uint64_t limit, bool memory_only, struct err *e);
void cache_close(struct vol_set *vs);

// The contract of volume.h.
bool cache_fd(struct vol_set *vs, struct vol_loc loc, int *fd, struct err *e);
void cache_release(struct vol_set *vs, uint32_t volume, int fd);
bool cache_read(struct vol_set *vs, struct vol_loc loc, uint64_t from, void *p, size_t n, struct err *e);
bool cache_state(struct vol_set *vs, uint32_t volume, struct vol_state *out, struct err *e);
bool cache_refetch(struct vol_set *vs, struct vol_loc loc);
void cache_stats(struct vol_set *vs, struct vol_stats *out);

// Bytes that are there already; false: not all of them.
bool cache_peek(struct vol_set *vs, uint32_t volume, void *p, size_t n, uint64_t at);
// A whole volume that was just written, or its file; when the disk takes it not, it is not cached. The iovecs are used up; the file's name is gone.
void cache_add(struct vol_set *vs, const struct vol_info *v, struct iovec *iov, int n);
void cache_adopt(struct vol_set *vs, const struct vol_info *v, const char *path);
void cache_forget(struct vol_set *vs, uint32_t volume);
// Gives so many bytes of the disk back if it can.
bool cache_shrink(struct vol_set *vs, uint64_t need);

#endif
