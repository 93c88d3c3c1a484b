// What the files of the store share: the state of a volume set. Private to src/store.
#ifndef GANTRY_STORE_SET_H
#define GANTRY_STORE_SET_H

#include <pthread.h>

#include "base/buf.h"
#include "store/tar.h"
#include "store/volume.h"
#include "sys/file.h"

enum {
    STORE_PAGE = 4096,          // a flush's entries begin and end at a multiple
    STORE_SPOOL_HEAD = 4096,    // room for the headers before a spooled object
    STORE_PATH_MAX = 4096,      // of the directory's path with all below it
    STORE_TORN_BYTES = 1 << 25, // more than one flush can carry: what lies further behind a volume's end is zeros
};

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

struct cached_fd {
    uint32_t volume;
    int fd;
    unsigned refs;
    uint64_t used; // tick of the last use
    bool gone;     // the volume was removed: to be closed with its last reference
    struct cached_fd *next;
};

enum { FD_BUCKETS = 256 };

// How many senders are likely to come together, and whether it paid to wait for them.
struct crowd {
    unsigned expected, vain;
    int64_t flush_us;
};

struct vol_set {
    char volumes[STORE_PATH_MAX], staging[STORE_PATH_MAX], lost[STORE_PATH_MAX];
    const struct sys_file_ops *files;
    uint64_t volume_bytes, own_volume_bytes;
    bool opened_read_only;
    struct vol_index index;
    void (*alarm)(void *ctx, const struct err *e);
    char *zeros; // STORE_PREPARE_BYTES of them, page aligned

    pthread_mutex_t lock; // all below
    pthread_cond_t work;  // there is something for the writer
    pthread_cond_t chore; // there is something for the preparer, or it has let go of the spare
    pthread_t writer, preparer;
    bool writer_runs, preparer_runs, closing;
    struct vol_put *first, *last; // waiting puts
    unsigned waiting;             // how many
    struct crowd crowd;
    struct segment open; // changed by the writer only
    uint32_t next_number;
    struct retired *retired;   // to be cut to their entries
    struct retired *abandoned; // could not be: what lies behind their ends means nothing
    struct spare spare;
    struct vol_stats stats;
    uint64_t busy_us;  // the writer's time in writes and flushes
    unsigned failures; // volumes sealed by failures since the last good flush
    uint64_t spools;   // names given out

    pthread_mutex_t fds_lock;
    struct cached_fd *fds[FD_BUCKETS];
    unsigned fds_count;
    uint64_t fds_tick;

    struct buf heads; // writer's: headers of the group
};

enum { STORE_PREPARE_BYTES = 1 << 20 }; // pre-written at a time

void set_path(const struct vol_set *vs, uint32_t volume, char out[STORE_PATH_MAX]);
void set_alarm(struct vol_set *vs, const struct err *e);
// Room that objects may take: what is available less the reserve. ERR_FULL when that is less than need.
bool set_room(struct vol_set *vs, uint64_t need, uint64_t *room, struct err *e);

// writer.c
bool writer_start(struct vol_set *vs, struct err *e);
void writer_stop(struct vol_set *vs);

// segment.c: all on the writer's thread, or before it runs
// Makes vs->open a volume with room for need bytes; the one before is retired.
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

// spool.c
struct vol_spool {
    struct vol_set *vs;
    int fd;
    uint64_t size;
    uint64_t started; // write-back was asked for up to here
    void *map;
    size_t map_n;
    char path[STORE_PATH_MAX];
};
// The spooled bytes, mapped; valid until vol_spool_drop. They lie STORE_SPOOL_HEAD into the file.
bool spool_map(struct vol_spool *s, const void **p, struct err *e);
// Gives the file the shape of a volume (end of archive) and flushes it; the headers are still to be written.
bool spool_finish(struct vol_spool *s, struct err *e);
// A new spool with head before the bytes of the old one, which is dropped.
bool spool_prefix(struct vol_spool **s, const void *head, size_t n, struct err *e);

// fds.c
void fds_init(struct vol_set *vs);
void fds_deinit(struct vol_set *vs);
void fds_forget(struct vol_set *vs, uint32_t volume);
// A volume's descriptor, whatever of it is to be read; given back by vol_fd_release.
bool fds_get(struct vol_set *vs, uint32_t volume, int *fd, struct err *e);

// scan.c
// Finds the end of the whole entries from *end on, with their digests, and clears what is torn after it. damaged: something in the flushed part cannot
// be read, nothing was cleared after it that may be an entry.
bool scan_recover(struct vol_set *vs, const struct segment *g, uint64_t *end, bool *damaged, struct err *e);

#endif
