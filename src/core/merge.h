// What happens to volumes after ingest: small ones are merged into series-sized ones, mostly dead ones are made anew without the dead, and what
// nothing refers to any more is removed when those who may still read it are done.
//
// Merging and compaction are one thing: a batch of volumes (volumes.batch) whose living entries are built into new volumes (vol_build) by a job;
// one transaction, which begins with job_check, moves the rows from the old places to the new ones. What was deleted meanwhile is dead at its new
// place as well. Old volumes with nothing alive in them get removed_ms and are kept for their readers (core/moved.h) and for a database that is restored to an
// earlier time. A volume whose transaction never came is known to nobody: replay (at start, or of the bucket's orphans) finds all its entries alive
// elsewhere or named by a tombstone, and it goes as any other dead one.
#ifndef GANTRY_CORE_MERGE_H
#define GANTRY_CORE_MERGE_H

#include "core/archive.h"

struct job;

#define MERGE_JOB "merge"
#define COMPACT_JOB "compact"

// Volumes whose objects came longer ago go to this class of the bucket: whole, when all of their series are of this modality (NULL: of any).
struct tier_rule {
    int64_t after_ms;
    const char *storage_class, *modality;
};
enum { TIER_RULES_MAX = 16 };

// 0 is the default of each.
struct merge_options {
    uint64_t target_bytes;    // of a volume that is built
    uint64_t small_bytes;     // volumes of the bucket below this are merged
    uint64_t index_bytes_max; // that small volumes may take in the index; at half of it they are merged whatever their age
    int64_t quiet_ms;         // a study that nothing was added to for this long is merged
    int64_t age_ms;           // a small volume that is older is merged in any case
    int64_t removed_ms;       // how long removed volumes are kept that were in the index or a directory
    int64_t removed_bucket_ms;
    int64_t tombstone_ms;          // how long a tombstone is kept at least
    int64_t orphan_ms;             // longer than a put to the bucket may take
    int64_t compact_ms;            // how often volumes are looked through for dead bytes
    unsigned dead_percent;         // of a volume: made anew by itself from this share on; above 100: never
    const struct tier_rule *tiers; // by after_ms, youngest first; borrowed
    unsigned tier_count;
    const _Atomic bool *stopping; // private to the keeper
};
void merge_defaults(struct merge_options *o);

// What is done with one batch.
struct merge_report {
    uint64_t volumes_in, volumes_out, bytes_in, bytes_out, entries, damaged;
    uint64_t left; // volumes that could not be read
};
// Builds a batch anew. job: in whose name, checked in each transaction; NULL: nobody else can (tests).
bool merge_batch(struct archive *ar, const struct merge_options *o, const struct job *job, int64_t batch, struct merge_report *out, struct err *e);

// Makes batches, with their jobs, of small volumes that are due; of volumes with at least this share of dead bytes. *batches: how many.
bool merge_plan(struct archive *ar, const struct merge_options *o, unsigned *batches, struct err *e);
bool compact_plan(struct archive *ar, unsigned dead_percent, unsigned *batches, struct err *e);

// Removes volumes that nothing refers to and whose time is over; all of them when at_once.
bool reap_volumes(struct archive *ar, const struct merge_options *o, bool at_once, unsigned *removed, uint64_t *bytes, struct err *e);

// Moves volumes between the bucket's classes as the rules say.
bool tiers_apply(struct archive *ar, const struct merge_options *o, unsigned *moved, struct err *e);
// Asks the bucket for all archived volumes that a study lies in; they can be read for so many days when they are back. *asked: how many.
bool tiers_restore(struct archive *ar, struct str study_uid, unsigned days, unsigned *asked, struct err *e);

// Compares the bucket with the index: volumes that no row knows are indexed (*found: how many), rows without their volume are told by an event.
bool orphans_find(struct archive *ar, const struct merge_options *o, unsigned *found, struct err *e);
// Aborts puts in parts to the bucket that were begun more than a day ago and never finished: what nobody sees costs room.
bool orphans_abort(struct archive *ar, unsigned *aborted, struct err *e);

#endif
