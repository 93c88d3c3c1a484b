// Services of the archive beside in, find and out: deletion, integrity, conflicts, quarantine and figures.
#ifndef GANTRY_CORE_SERVICE_H
#define GANTRY_CORE_SERVICE_H

#include "base/arena.h"
#include "core/archive.h"

// Marks a study, series or instance deleted (deepest UID given) with a reason; the bytes stay until compaction.
// Of a study that the asker does not reach: its own copies that were kept aside under these UIDs, of which nobody else hears.
bool archive_delete(struct archive *ar, const struct actor *who, struct str study_uid, struct str series_uid, struct str sop_uid, struct str reason,
                    uint64_t *count, struct err *e);
// Gives the space of deleted objects back: live entries of volumes with more than the given share of dead bytes are appended anew, then the volume is removed.
bool archive_compact(struct archive *ar, double dead_share, uint64_t *bytes_freed, struct err *e);
// Builds volumes anew that lie otherwise than they would be written now: in the open or encrypted; all: every one, under keys of its own.
bool archive_rewrite(struct archive *ar, bool all, uint64_t *volumes, struct err *e);

struct fsck_finding {
    const char *what; // "damaged", "orphan", "missing", "chain", "volume"
    struct str sop_instance_uid, detail;
};
struct fsck_report {
    uint64_t objects, bytes, damaged, orphans, missing, other;
};
// Volumes against index, both ways, every digest re-read. repair: orphans are indexed, rows without bytes are dropped with an event, damaged objects are marked, and healed when they come again; what is damaged of them is never served.
bool archive_fsck(struct archive *ar, bool repair, void (*on_finding)(void *ctx, const struct fsck_finding *f),
                  void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct fsck_report *out, struct err *e);
// A new index from the volumes alone, put in place of the old when it is whole; the event log is carried over when it can be read.
bool archive_reindex(const char *dir, const struct vol_encryption *encryption, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
                     uint64_t *objects, struct err *e);
// The same for an archive of several nodes, from what lies in its bucket and what the old index keeps of small volumes. ERR_BUSY while nodes are at work.
bool archive_reindex_shared(const struct archive_options *o, void (*on_progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, uint64_t *objects,
                            struct err *e);

struct archive_figures {
    uint64_t patients, studies, series, instances, bytes, conflicts, quarantined, events;
    uint64_t disk_free;
    bool read_only, full;
    uint64_t stored_total, known_total, conflict_total, quarantined_total, failed_total, flushes_total; // since start
};
// Of all that the asker reaches; what is of the server itself (since start, disk) is told only to who reaches everything.
bool archive_figures_get(struct archive *ar, const struct actor *who, struct archive_figures *out, struct err *e);

// Conflicting copies and quarantined objects that the asker reaches, newest first, as a JSON array in a.
bool archive_conflicts_json(struct archive *ar, const struct actor *who, struct arena *a, unsigned limit, struct str *out, struct err *e);
bool archive_quarantine_json(struct archive *ar, const struct actor *who, struct arena *a, unsigned limit, struct str *out, struct err *e);

#endif
