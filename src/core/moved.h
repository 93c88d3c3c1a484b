// Reading where an object lies now: whoever holds an instance_ref may find that its volume is no more, since volumes are built anew in the background.
//
// The object is then looked up again by its row, once, and where it lies now is remembered for the next read by the same reference.
#ifndef GANTRY_CORE_MOVED_H
#define GANTRY_CORE_MOVED_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/retrieve.h"

enum { MOVED_SLOTS = 4096 };
struct moved_slot {
    int64_t id; // 0: free
    uint8_t digest[VOL_DIGEST_BYTES];
    struct vol_loc from, to;
};
struct moved {
    pthread_mutex_t lock;
    struct moved_slot *slots; // MOVED_SLOTS; NULL until the first one is there
    _Atomic bool any;
};
void moved_init(struct moved *m);
void moved_deinit(struct moved *m);

// Where it lies, as far as is known without looking.
struct vol_loc moved_place(struct archive *ar, const struct instance_ref *ref);
// vol_read_at, vol_state_get and vol_fd of the object's bytes; at (may be NULL): where they were found. ERR_NOT_FOUND: it was deleted meanwhile.
bool moved_read(struct archive *ar, const struct instance_ref *ref, uint64_t from, void *p, size_t n, struct err *e);
bool moved_state(struct archive *ar, const struct instance_ref *ref, struct vol_loc *at, struct vol_state *out, struct err *e);
bool moved_fd(struct archive *ar, const struct instance_ref *ref, uint64_t from, uint64_t n, struct vol_loc *at, int *fd, struct err *e);
bool moved_verify(struct archive *ar, const struct instance_ref *ref, struct err *e);

#endif
