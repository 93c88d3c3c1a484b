// Keeping the marks of a chain: the head as events come, checkpoints now and then, and the comparison with them when the archive is opened. Private to core/.
#ifndef GANTRY_CORE_AUDIT_WATCH_H
#define GANTRY_CORE_AUDIT_WATCH_H

#include <pthread.h>

#include "core/audit_mark.h"

enum { AUDIT_CHECKPOINT_S = 3600, AUDIT_ELSEWHERE_MAX = 8 };

struct audit_watch {
    pthread_mutex_t lock; // of marks: the thread of the trail and administrators write them
    char dir[1024];       // audit/ of the data directory
    bool kept;            // it has a key: marks are written
    bool rebuilding;
    struct audit_key key;
    unsigned turn;
    int64_t soft_seq, flushed_seq, checkpoint_seq, flushed_ms, checkpoint_ms, checkpoint_every_ms; // times: monotonic
    int64_t marked_ms;                                                                             // of the last head, wall clock
    int64_t opened_seq;                                                                            // of the head that was there
    int64_t witnessed;                                                                             // the last event whose sum is in the file of witnesses
    const char *elsewhere[AUDIT_ELSEWHERE_MAX];
    unsigned elsewhere_count;
    char trouble[400]; // what was found when it was opened; empty: the chain fits its marks
    struct audit_mark broken;
};

// Where the directory has a key: compares the chain with its head. What does not fit is logged and becomes an event; opening goes on. rebuilding: the index
// is being made anew, and only a head that was closed is opened.
bool audit_watch_open(struct archive *ar, bool rebuilding, struct err *e);
// Makes the directory and the key where there is none.
bool audit_watch_start(struct archive *ar, struct err *e);
// Brings the marks up to where the log is. flush: what is marked is made to survive a power cut now, else when that is due.
bool audit_watch_step(struct archive *ar, bool flush, struct err *e);
// A checkpoint of the last event, in every directory; *out (may be NULL) is it.
bool audit_watch_checkpoint(struct archive *ar, struct audit_mark *out, struct err *e);
// The same for services; the line that was written goes to line, too.
bool audit_checkpoint(struct archive *ar, struct audit_mark *out, struct buf *line, struct err *e);
void audit_watch_close(struct archive *ar);

// The mark of an event that is there; *found false: it is not.
bool audit_mark_of(struct archive *ar, int64_t seq, struct audit_mark *out, bool *found, struct err *e);

#endif
