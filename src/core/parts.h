// What reading a part of an object needs beside its place: the sums of its blocks and the table of its frames, kept in the index (instance_parts).
//
// Sums are made at ingest, or when they are first asked for, after the whole object was checked against its digest once.
#ifndef GANTRY_CORE_PARTS_H
#define GANTRY_CORE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "core/retrieve.h"

struct db;

// The sums of one object; shared and counted.
struct part_sums {
    struct vol_loc loc;
    uint8_t digest[VOL_DIGEST_BYTES];
    _Atomic unsigned refs;
    size_t count;
    uint64_t sums[]; // of each SUMS_BLOCK_BYTES of the file
};

// Sums of objects that were lately read.
enum { PART_SLOTS = 256, PART_CACHE_BYTES = 16 << 20 };
struct part_cache {
    pthread_mutex_t lock;
    struct part_sums *slots[PART_SLOTS];
    size_t bytes;
    unsigned hand; // where room is made next
};
void part_cache_init(struct part_cache *c);
void part_cache_deinit(struct part_cache *c);

// The sums of an object as it lies: from memory, the index, or made here. ERR_CORRUPT when its bytes are not those that were stored.
bool parts_sums(struct archive *ar, const struct instance_ref *ref, struct part_sums **out, struct err *e);
void parts_release(struct part_sums *s);
// n bytes of the file from an offset; every block that they touch is checked.
bool parts_read(struct archive *ar, const struct instance_ref *ref, const struct part_sums *s, uint64_t from, void *p, size_t n, struct err *e);

// The packed sums as the index keeps them: bound to the object's digest, so that those of other bytes are no sums of it. list: sums_final's.
bool parts_pack_sums(const uint8_t digest[VOL_DIGEST_BYTES], struct str list, struct buf *to, struct err *e);

// What ingest found out of an object.
struct part_facts {
    struct str sums;   // list of sums_final; {NULL, 0}: none
    struct str frames; // packed; {NULL, 0}: not encapsulated, or not known
    struct str frames_trouble;
};
// Within the writer's transaction. put replaces what there is, for the instance; 0: for the one that was inserted just before.
bool parts_put(struct db *w, int64_t instance, const uint8_t digest[VOL_DIGEST_BYTES], const struct part_facts *f, struct buf *scratch, struct err *e);
bool parts_forget(struct db *w, int64_t instance, struct err *e);

// The frame table as it is kept; *kept false when it is to be made.
bool parts_frames(struct archive *ar, struct arena *a, const struct instance_ref *ref, struct str *packed, struct str *trouble, bool *kept, struct err *e);
// Keeps what was made of an object; that it cannot be kept is no failure. NULL or {NULL, 0}: that part is left as it is.
void parts_keep(struct archive *ar, const struct instance_ref *ref, const struct part_facts *f);

#endif
