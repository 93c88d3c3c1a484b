// The volumes of a directory: the one that grows, the next one made ready, those that are finished, and descriptors for reading. Private to src/store.
#ifndef GANTRY_STORE_DIRECTORY_H
#define GANTRY_STORE_DIRECTORY_H

#include "store/set.h"

enum { STORE_TORN_BYTES = 1 << 25 }; // more than one flush can carry: what lies further behind a volume's end is zeros

// A volume that grows. fd -1: there is none.
struct segment {
    uint32_t number;
    int fd;
    uint64_t size; // reserved
    uint64_t end;  // of the last flushed entry
};

struct retired {
    struct segment segment;
    struct retired *next;
};

// The next volume, made ready in staging/.
struct spare {
    int fd;
    int direct_fd;    // the same file past the page cache, for pre-writing; -1 when the file system cannot
    uint64_t size;    // reserved
    uint64_t written; // pre-written up to here
    bool wanted, busy;
    char path[STORE_PATH_MAX];
};

struct open_volume {
    uint32_t volume;
    int fd;
    unsigned refs;
    uint64_t used; // tick of the last use
    bool gone;     // the volume was removed: to be closed with its last reference
    struct open_volume *next;
};

enum { FD_BUCKETS = 256 };

struct directory {
    char volumes[STORE_PATH_MAX], lost[STORE_PATH_MAX], keys[STORE_PATH_MAX];
    uint64_t volume_bytes;

    // Under the set's lock.
    pthread_cond_t chore; // there is something for the preparer, or it has let go of the spare
    pthread_t preparer;
    bool preparer_runs;
    struct segment open; // changed with the turn held only
    uint32_t next_number;
    uint32_t highest;          // number of which there is a file
    struct retired *retired;   // to be cut to their entries
    struct retired *abandoned; // could not be: what lies behind their ends means nothing
    struct spare spare;
    uint64_t busy_us;  // the writer's time in writes and flushes
    unsigned failures; // volumes sealed by failures since the last good flush

    pthread_mutex_t fds_lock;
    struct open_volume *fds[FD_BUCKETS];
    unsigned fds_count;
    uint64_t fds_tick;
};

// directory.c
void directory_path(const struct vol_set *vs, uint32_t volume, char out[STORE_PATH_MAX]);
// A number for a new volume; given back when it came to nothing and no later one was taken.
bool number_take(struct vol_set *vs, uint32_t *out, struct err *e);
void number_give_back(struct vol_set *vs, uint32_t number);

// segment.c: all with the turn held, or before the set runs
// Makes the open segment a volume with room for need bytes; the one before is retired.
bool segment_roll(struct vol_set *vs, uint64_t need, struct err *e);
// Counts and tells a failure of the disk; the set goes read-only when they do not end.
void segment_failed(struct vol_set *vs, const struct err *why);
// Ends the open volume at its last good entry after a failed write or flush.
void segment_abandon(struct vol_set *vs, const struct err *why);
// Cuts a finished volume to its entries and makes it read-only; closes it.
bool segment_seal(struct vol_set *vs, struct segment *s, struct err *e);
// A new file at path with need bytes at least; *size is what it got.
bool segment_create(struct vol_set *vs, const char *path, uint64_t need, int *fd, uint64_t *size, struct err *e);
// At start: recovers the volumes that may have been growing and goes on with the last that has room.
bool segment_resume(struct vol_set *vs, uint64_t (*known_end)(void *ctx, uint32_t volume), struct err *e);

// spare.c
bool spare_start(struct vol_set *vs, struct err *e);
void spare_stop(struct vol_set *vs);
// The spare with its name in staging when one is ready and has need bytes: the caller owns fd. False when there is none.
bool spare_take(struct vol_set *vs, uint64_t need, int *fd, uint64_t *size, char path[STORE_PATH_MAX]);
// Hands a finished volume over to be sealed in the background; at once when memory fails.
void spare_retire(struct vol_set *vs, struct segment s);

// fds.c
void fds_init(struct vol_set *vs);
void fds_deinit(struct vol_set *vs);
void fds_forget(struct vol_set *vs, uint32_t volume);
// A volume's descriptor, whatever of it is to be read; given back by fds_release.
bool fds_get(struct vol_set *vs, uint32_t volume, int *fd, struct err *e);
void fds_release(struct vol_set *vs, uint32_t volume, int fd);

// scan.c
// Finds the end of the whole entries from *end on, with their digests, and clears what is torn after it. damaged: something in the flushed part cannot
// be read, nothing was cleared after it that may be an entry.
bool scan_recover(struct vol_set *vs, const struct segment *g, uint64_t *end, bool *damaged, struct err *e);

#endif
