// What the files of the store share: a volume set, its queue of puts, and what its two drivers do each in their own way. Private to src/store.
#ifndef GANTRY_STORE_SET_H
#define GANTRY_STORE_SET_H

#include <pthread.h>

#include "base/buf.h"
#include "base/limits.h"
#include "store/keys.h"
#include "store/tar.h"
#include "store/volume.h"
#include "sys/file.h"

enum {
    STORE_PAGE = 4096,                                               // a flush's entries begin and end at a multiple
    STORE_SPOOL_HEAD = 4096,                                         // room for the headers before a spooled object
    STORE_PATH_MAX = 4096,                                           // of the directory's path with all below it
    STORE_PREPARE_BYTES = 1 << 20,                                   // of zeros, always at hand
    STORE_READER_BYTES = 8 << 20,                                    // a window of a remote volume that is read in order
    GROUP_IOV_PER_PUT = 4,                                           // headers, head, body, padding
    GROUP_IOV_MAX = STORE_GROUP_OBJECTS_MAX * GROUP_IOV_PER_PUT + 1, // and the end of the archive
};

// The puts that are made durable together; too big for a stack. One per writer, used again and again.
struct group {
    struct vol_put *puts[STORE_GROUP_OBJECTS_MAX];
    struct iovec iov[GROUP_IOV_MAX];
    struct vol_put *first; // of the round, linked
    size_t taken;          // how many
    size_t n;              // puts that are still part of the commit
    size_t stored;         // of them, with something to write
    uint64_t at;           // where it begins in its volume
    struct buf heads;      // headers of all
    size_t heads_bytes;
    struct buf pieces; // what the index keeps of it
    struct vol_written written;
};

// How many senders are likely to come together, and whether it paid to wait for them.
struct crowd {
    unsigned expected, vain;
    int64_t took_us; // a group, from its taking to its end
};

// A volume read in order, past whatever is cached unless `cached`.
struct volume_reader {
    struct vol_set *vs;
    uint32_t volume;
    uint64_t size;
    int fd;               // of a directory
    bool growing;         // what lies far behind the last entry is zeros
    bool cached;          // what a cache has is good enough
    enum vol_place place; // of a remote set, from here on
    char *window;
    uint64_t window_at;
    size_t window_n;
};

struct numbers {
    uint32_t *p;
    size_t n, cap;
};

struct set_driver {
    bool digest_first;  // an entry's digest is needed before anything of it is written
    bool durable_files; // a staging file becomes the volume itself: its sender flushes it, so that others do not wait for that
    // After what is common was set up; stop also after a start that failed.
    bool (*start)(struct vol_set *vs, const struct vol_options *o, struct err *e);
    void (*closing)(struct vol_set *vs); // before what is queued and under way is awaited; NULL: nothing is to be done
    void (*stop)(struct vol_set *vs);
    // Makes what a group has to write durable, with the turn held: places and g->written. May give the turn away while it waits.
    bool (*store)(struct vol_set *vs, struct group *g, struct err *e);
    uint64_t (*group_bytes)(struct vol_set *vs); // how large the next group may be; NULL: STORE_GROUP_BYTES_MAX
    // A number for a volume that is made aside, and a whole staging file becoming that volume. The file's name is gone then.
    bool (*number)(struct vol_set *vs, uint32_t *out, struct err *e);
    bool (*keep)(struct vol_set *vs, uint32_t number, int fd, const char *path, uint64_t size, struct err *e);
    bool (*make_room)(struct vol_set *vs, uint64_t need); // of what may be thrown away; NULL: nothing may

    bool (*fd)(struct vol_set *vs, struct vol_loc loc, int *fd, struct err *e);
    void (*fd_release)(struct vol_set *vs, uint32_t volume, int fd);
    bool (*read)(struct vol_set *vs, struct vol_loc loc, uint64_t from, void *p, size_t n, struct err *e);
    bool (*refetch)(struct vol_set *vs, struct vol_loc loc);
    bool (*state)(struct vol_set *vs, uint32_t volume, struct vol_state *out, struct err *e);
    bool (*reader_open)(struct volume_reader *r, struct err *e); // vs and volume are set
    bool (*reader_read)(struct volume_reader *r, void *p, size_t n, uint64_t at, size_t *got, struct err *e);
    void (*reader_past)(struct volume_reader *r, uint64_t at, uint64_t n); // what is read there next comes from the disk; NULL: it does anyway
    void (*reader_close)(struct volume_reader *r);

    bool (*list)(struct vol_set *vs, struct numbers *out, struct err *e); // in any order
    bool (*each)(struct vol_set *vs, uint32_t after, vol_each_visit *visit, void *ctx, struct err *e);
    bool (*remove)(struct vol_set *vs, uint32_t volume, struct err *e);
    bool (*set_class)(struct vol_set *vs, uint32_t volume, const char *storage_class, struct err *e);
    bool (*restore)(struct vol_set *vs, uint32_t volume, unsigned days, struct err *e);
    bool (*legal_hold)(struct vol_set *vs, uint32_t volume, bool on, struct err *e);
    bool (*abort_stale)(struct vol_set *vs, int64_t before_ms, unsigned *aborted, struct err *e);
    void (*stats)(struct vol_set *vs, struct vol_stats *out); // what the driver knows besides
};
extern const struct set_driver directory_driver, remote_driver;

struct vol_set {
    const struct set_driver *driver;
    struct directory *dir;                              // of directory_driver
    struct remote *remote;                              // of remote_driver
    char home[STORE_PATH_MAX], staging[STORE_PATH_MAX]; // home: whose disk fills
    const struct sys_file_ops *files;
    uint64_t own_volume_bytes;
    bool opened_read_only;
    struct vol_index index;
    void (*alarm)(void *ctx, const struct err *e);
    char *zeros; // STORE_PREPARE_BYTES of them, page aligned
    struct keys keys;
    struct seal_cache *entry_keys;

    pthread_mutex_t turn;   // to classify and to commit; taken before lock
    pthread_mutex_t lock;   // all below, and the drivers' own
    pthread_cond_t work;    // there is something for a writer, and nobody is about to take it
    pthread_cond_t gather;  // more came for the one who is
    pthread_cond_t digests; // one was made
    pthread_cond_t alone_done;
    pthread_t writers[STORE_WRITERS_MAX];
    unsigned writer_count;
    bool closing;
    bool taking;                  // a writer is about to take a group
    struct vol_put *first, *last; // waiting puts
    unsigned waiting, flying;     // how many wait, and how many are being made durable
    unsigned alone;               // large objects under way, each on its sender's thread
    struct crowd crowd;
    struct vol_stats stats;
    uint64_t spools; // names given out
};

void set_alarm(struct vol_set *vs, const struct err *e);
// Room that objects may take: what is available less the reserve. ERR_FULL when that is less than need.
bool set_room(struct vol_set *vs, uint64_t need, uint64_t *room, struct err *e);
// Counts what was stored.
void set_count(struct vol_set *vs, uint64_t objects, uint64_t bytes, uint64_t volumes);
// ERR_FORBIDDEN when the set was opened for reading only.
bool set_writable(const struct vol_set *vs, struct err *e);
bool numbers_add(struct numbers *l, uint32_t number, struct err *e);
void numbers_sort(struct numbers *l);
// The number in a volume's name, v00000001 and a suffix; 0: it is none.
uint32_t set_number_of(struct str name, struct str suffix);
// Deletes what is in a directory of ours.
struct set_folder {
    const struct sys_file_ops *files;
    const char *path;
};
bool set_sweep(struct vol_set *vs, const char *dir, struct err *e);

// writer.c
bool writers_start(struct vol_set *vs, unsigned n, struct err *e);
void writers_stop(struct vol_set *vs);
// For a driver's store: others may classify and commit meanwhile.
void turn_give(struct vol_set *vs);
void turn_take(struct vol_set *vs);
bool group_digested(struct vol_set *vs, const struct group *g);
bool group_await_digests(struct vol_set *vs, const struct group *g, struct err *e);

// group.c
void group_init(struct group *g);
void group_deinit(struct group *g);
// Upper bound of what a put takes in a volume, and a group.
uint64_t put_need(const struct vol_put *p);
uint64_t group_need(const struct group *g);
void group_fail(struct group *g, const struct err *e);
// The index says of each put what it is. One that it cannot judge fails alone.
void group_classify(struct vol_set *vs, struct group *g);
// Where each put's headers and bytes will lie, from an offset of a volume on. The last entry's headers are long enough for the group to end with a page.
void group_place(struct group *g, uint32_t volume, uint64_t at);
// All headers; the digests must be there.
bool group_encode(struct vol_set *vs, struct group *g, struct err *e);
// A put's bytes and their padding to iov, from n on; how many there are then.
int group_add_bytes(const struct vol_set *vs, const struct vol_put *p, struct iovec *iov, int n);
// Of the encrypted ones, the envelopes for where they lie. Between group_place and what is written first.
bool group_wrap(struct vol_set *vs, struct group *g, struct err *e);
// The whole group, headers included.
int group_iov(const struct vol_set *vs, struct group *g);
// The headers of a spooled object into its file, which is a whole volume then.
bool group_adopt(struct vol_set *vs, struct group *g, uint32_t number, struct err *e);

// spool.c
struct vol_spool {
    struct vol_set *vs;
    int fd;
    uint64_t size;
    uint64_t started; // write-back was asked for up to here
    void *map;
    size_t map_n;
    struct sealing *sealing; // of one that is encrypted: its segments lie behind the room for an envelope ...
    uint8_t *pending;        // ... but for the last, which is not known to be that yet: SEAL_SEGMENT bytes
    size_t pending_n;
    bool sealed; // the last one was written too
    char path[STORE_PATH_MAX];
};
// Writes the last segment of an encrypted one.
bool spool_seal(struct vol_spool *s, struct err *e);
// The spooled bytes, mapped, of an encrypted one its segments; valid until vol_spool_drop.
bool spool_map(struct vol_spool *s, const void **p, struct err *e);
// Gives the file the shape of a volume (end of archive); the headers are still to be written.
bool spool_finish(struct vol_spool *s, struct err *e);
uint64_t spool_volume_size(const struct vol_spool *s);
// A new spool with head before the bytes of the old one, which is dropped. Copies in memory when it is encrypted.
bool spool_prefix(struct vol_spool **s, const void *head, size_t n, struct err *e);

#endif
