// A batch under way: which entries are to be copied, in which order. Private to merging (core/build*.c).
#ifndef GANTRY_CORE_BUILD_H
#define GANTRY_CORE_BUILD_H

#include "base/arena.h"
#include "core/graves.h"
#include "core/jobs.h"
#include "core/merge.h"
#include "db/db.h"
#include "store/volume.h"

struct build_entry {
    struct vol_entry en; // kind, sop, digest and loc of it
    int64_t study, series, number;
    struct vol_loc to;
    bool copied, damaged;
};

// A tombstone that nothing needs any more.
struct build_drop {
    struct vol_loc loc;
    struct grave *graves;
    size_t grave_count;
    struct build_drop *next;
};

struct build_left {
    uint32_t volume;
    struct err why;
    struct build_left *next;
};

struct build {
    struct archive *ar;
    const struct merge_options *options;
    const struct job *job;
    int64_t batch;
    int64_t kept_ms; // when the job's lease was made longer
    uint32_t *volumes;
    size_t volume_count;
    struct build_entry *entries; // by study, series, number
    size_t count, cap, copied;
    struct build_drop *drops;
    struct build_left *left; // volumes that could not be read: they stay as they are
    struct arena arena;
    struct merge_report *report;
};

// build_gather.c: what lives in the batch's volumes. ERR_BUSY: one of them grows.
bool build_gather(struct build *b, struct err *e);
// build_left.c: after reading a volume failed with *why. True: it is left out, and the others go on. False: *e, the batch is tried again later: the failure
// says nothing of the volume, or all of them fail.
bool build_leave(struct build *b, uint32_t volume, const struct err *why, struct err *e);
bool build_is_left(const struct build *b, uint32_t volume);
// At the end of the batch, in its transaction: told. Afterwards: those that are not there are marked as missing.
bool build_tell_left(struct build *b, struct db *w, struct err *e);
bool build_mark_left(struct build *b, struct err *e);
// build_rows.c: where the copied ones of entries [from, to) come from, noted beforehand; and forgotten, of this whole batch.
bool build_note(struct build *b, size_t from, size_t to, struct err *e);
bool build_forget(struct build *b, struct err *e);
// Of a volume that came to nothing; that it fails costs some rows until they are swept.
void build_forget_moves(struct build *b, uint32_t volume);
// Notes of batches that are over: of builds that were overtaken, or died.
bool build_sweep(struct archive *ar, struct err *e);
// The transaction that makes a volume count.
bool build_commit(struct build *b, const struct vol_info *v, struct err *e);
// The end of a batch: what is empty now is removed, what is not is left as it is.
bool build_settle(struct build *b, struct err *e);
// Gives a volume up in which nothing is alive.
bool build_remove_empty(struct archive *ar, uint32_t volume, struct err *e);
// Whether the index knows a volume.
bool build_is_there(struct build *b, uint32_t volume, bool *there, struct err *e);
// Makes the job's lease longer when it is time.
bool build_keep(struct build *b, struct err *e);

#endif
