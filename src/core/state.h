// What an open archive holds; private to core/.
#ifndef GANTRY_CORE_STATE_H
#define GANTRY_CORE_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "core/archive.h"
#include "core/audit_watch.h"
#include "core/keeper.h"
#include "core/moved.h"
#include "core/parts.h"
#include "db/db.h"
#include "store/volume.h"
#include "sys/digest.h"

struct audit;
struct index;
struct lease_keeper;

// The end of the event log, so that appending reads nothing. Guarded by the writer connection; last_seq also read by waiters.
struct event_tail {
    bool known; // false: read it from the log first (at start, and after a rollback)
    int64_t seq, time_ms;
    uint8_t hash[32];
    struct digest digest; // of the events that are appended
    // Of a shared archive, where it is read anew in each transaction.
    uint64_t transaction; // of which it was read
    int64_t now_ms;       // the database's clock in it
    bool told;            // the transaction wakes those who wait for events
    int64_t seen;         // the last event that what this process remembers of the index accounts for; INT64_MAX: it remembers nothing
    bool outdated;        // an event after that one may have made it wrong
    int64_t declared;     // searchable attributes
    bool realms;          // there are others than the own
    struct db_listener *listener;
    pthread_mutex_t lock; // of what waiters see
    pthread_cond_t grew;
    int64_t committed; // last seq that is committed
};

// Objects lately checked whole and found good (core/verify.c).
enum { VERIFIED_MAX = 1024 };
struct verified {
    pthread_mutex_t lock;
    struct verified_entry {
        uint32_t volume;
        uint64_t offset;
        int64_t mtime_ns; // of the volume when it was read
        int64_t at_ms;    // monotonic
    } entries[VERIFIED_MAX];
};

// Memory that objects under way may take together, and buffers kept for the next ones.
enum { INGEST_BUFFERS_KEPT = 8 };
struct ingest_memory {
    pthread_mutex_t lock;
    struct buf kept[INGEST_BUFFERS_KEPT];
    unsigned kept_count;
    _Atomic size_t bytes;
    _Atomic unsigned open;
};

// Where an index had seen a volume to.
struct known_end {
    uint32_t volume;
    uint64_t end;
};

struct archive {
    char *dir;
    char node[64]; // this process's name among those that work on the archive
    struct lease_keeper *leases;
    bool keeps_small; // volumes that are small need no bucket
    int lock_fd;
    bool read_only;
    _Atomic int64_t heard_ms; // of a node: when the others last heard of it, monotonic; 0: it is none
    bool shared;              // other processes may write to the same index
    _Atomic bool many_realms; // there is, or was, another realm than the own
    bool remote;              // the volumes are in a bucket: none of them grows
    struct db_pool *db;
    struct vol_set *volumes;
    struct index *index;
    struct audit *audit; // of a server: what is noted goes through a spool
    struct audit_watch watch;
    struct event_tail tail;
    struct verified verified;
    struct part_cache parts;
    struct moved moved;
    pthread_mutex_t kept_lock;
    struct keeper_figures kept; // what this process did to volumes
    struct ingest_memory memory;
    struct known_end *old_ends; // rebuilding: of the index before, for the volumes that may still grow
    size_t old_end_count;
    pthread_mutex_t alarm_lock;
    struct err alarm;                                               // the store's last alarm: written as an event by the next commit that succeeds
    unsigned alarms;                                                // how many there were
    _Atomic uint64_t stored, known, conflicts, quarantined, failed; // since start
};

// Opens with an index file of this name. fresh: what is there under that name is removed first, and nothing is replayed yet.
bool archive_open_index(const struct archive_options *o, const char *index_name, bool fresh, struct archive **out, struct err *e);
void archive_unlock(int lock_fd);
// Finishes the swap of a rebuilt index that a crash cut short.
bool reindex_settle(const char *dir, struct err *e);
// Before the volumes are opened for a rebuild: what the old index had seen was acknowledged, so that a break in it is damage to be told and no
// torn end to be cleared. An old index that cannot be read knows nothing.
bool reindex_old_ends(struct archive *ar, struct err *e);

// "dimse:AET@10.0.0.5": as events and volumes name who did something. out takes 256 bytes.
void actor_text(const struct actor *who, char out[256]);

// The writing transaction: of a shared archive refused (ERR_BUSY) while a command works on it alone, however long this process was not heard of.
bool archive_begin(struct archive *ar, struct db *w, struct err *e);

// What is noted from now on waits for the chain; what was noted is in it, or stays in the spool.
void audit_stop(struct archive *ar);

void events_init(struct archive *ar);
void events_deinit(struct archive *ar);
// Wakes waiters for what other processes append, too, from now on.
bool events_listen(struct archive *ar, struct err *e);
void events_unlisten(struct archive *ar);
// The tail as the open transaction of w sees it: one statement, once in each transaction of a shared archive.
bool events_tail(struct archive *ar, struct db *w, struct err *e);
// After the writer's transaction: committed makes the appended events visible to waiters, else they never were.
void events_settle(struct archive *ar, bool committed);

// Whether a node that was not heard of for long may write: none may while a command works alone (nodes.c).
bool node_may_write(void *archive, struct err *e);

bool leases_init(struct archive *ar, struct err *e);
void leases_deinit(struct archive *ar);

void ingest_memory_init(struct archive *ar);
void ingest_memory_deinit(struct archive *ar);

#endif
