// What was noted and is not yet in the event log: a file of this node, written before the answer goes out. Private to core/audit*.c.
//
// A record has a number that grows by one within the spool's lineage (the life of its file); whoever moves records into the log keeps the number of the
// last one in the same transaction, so that each gets there once, however the process ends.
#ifndef GANTRY_CORE_AUDIT_SPOOL_H
#define GANTRY_CORE_AUDIT_SPOOL_H

#include <pthread.h>

#include "base/arena.h"
#include "core/events.h"

enum { AUDIT_LINEAGE_HEX = 32, AUDIT_RECORD_BYTES_MAX = 256 * 1024 };

struct audit_spool {
    pthread_mutex_t lock;
    pthread_cond_t grew;
    int fd;
    char lineage[AUDIT_LINEAGE_HEX + 1];
    uint64_t end;     // where the next record goes
    uint64_t read;    // up to where records were taken
    uint64_t next;    // the next record's number; never one that was taken
    bool kept_before; // records of an earlier process are in it
};

struct audit_record {
    uint64_t number;
    struct event event; // time_ms: when it was noted
};

// Opens or makes the file, with room for what is noted while the disk is full. A torn end does not count.
bool audit_spool_open(struct audit_spool *s, const char *path, struct err *e);
void audit_spool_close(struct audit_spool *s);
// Any thread. ERR_FULL, ERR_IO: it is not kept.
bool audit_spool_add(struct audit_spool *s, const struct event *ev, struct err *e);
// The next records, at most max, into a; none when all were taken. *to is said to audit_spool_taken once they are in the log.
bool audit_spool_next(struct audit_spool *s, struct arena *a, unsigned max, struct audit_record *out, unsigned *n, uint64_t *to, struct err *e);
void audit_spool_taken(struct audit_spool *s, uint64_t to);
// Whether there is something to take, waited for no longer than timeout.
bool audit_spool_wait(struct audit_spool *s, int timeout_ms);
void audit_spool_wake(struct audit_spool *s);
// All that it holds was taken and lies safe elsewhere: the file begins anew. Nothing happens where that is not so.
bool audit_spool_empty(struct audit_spool *s, struct err *e);

#endif
