// Moving an archive to the other engine, or to another place of the same, while its server goes on.
//
// Volumes are the same tar files on both engines: they are copied byte for byte under their own numbers, so that offsets and the places that tombstones
// name stay right, and each entry's digest is recomputed from what lies in the target. The target's rows are made from the copied entries by the code of
// every commit; what an entry is (served, a conflicting copy, deleted, ...) is what the source's index says of it. The event log is taken over as
// it is, its chain checked. The source is only read, beside its server; what it does meanwhile comes with the next round. Until migrate_finish
// the target is marked as arriving and nobody else opens it; a process that dies leaves nothing that the next one does not go on with.
#ifndef GANTRY_CORE_MIGRATE_H
#define GANTRY_CORE_MIGRATE_H

#include "core/archive.h"

struct migrate_progress {
    uint64_t volumes, volumes_done; // of this round, those that were there already included
    uint64_t bytes_copied;          // since migrate_open
    uint64_t entries, events;
    uint32_t volume; // at which it is
};

struct migrate_options {
    const struct archive_options *from, *to;
    bool last; // the source's servers have stopped: it is opened as theirs, nobody else has it until the end
    void (*on_progress)(void *ctx, const struct migrate_progress *p);
    // Something that an administrator should know and that is no failure: a damaged entry, bytes that no index knows.
    void (*on_note)(void *ctx, const char *text);
    void *ctx;
};

struct migrate;
// ERR_CONFLICT: the target holds an archive that is not this one on its way. ERR_BUSY: last, and the source is still served.
bool migrate_open(const struct migrate_options *o, struct migrate **out, struct err *e);
void migrate_close(struct migrate *m); // NULL is fine

struct migrate_round {
    uint64_t copied;  // volumes that came in this round
    uint64_t entries; // rows that came
    uint64_t events;
    uint64_t waiting; // volumes that still grow or cannot be read now: for a later round, or the last
};
// All that can be taken over now.
bool migrate_round(struct migrate *m, struct migrate_round *out, struct err *e);

enum { MIGRATE_HEX = 64 };

// What an archive holds, told so that two are equal when these are.
struct migrate_account {
    uint64_t patients, studies, series, objects, bytes, conflicts, quarantined, records, volumes, events;
    char entries[MIGRATE_HEX + 1]; // SHA-256 over place, length and digest of everything that lives
    char chain[MIGRATE_HEX + 1];   // hash of the last event
};
struct migrate_report {
    struct migrate_account from, to;
    uint64_t damaged; // entries that were damaged in the source and are so in the target
    uint64_t unknown; // entries that no row of the source knows; gantry fsck --repair in the target finds them
    uint64_t lost;    // rows of the source whose entry cannot be found in its volume
    bool equal;
};
// Of a migration opened with last: the rest, then both are compared, and the target is an archive of its own. ERR_CORRUPT when they differ: it stays marked.
bool migrate_finish(struct migrate *m, struct migrate_report *out, struct err *e);

#endif
