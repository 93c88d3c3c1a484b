// The background work on volumes of a server: threads that take its jobs, and the jobs that come again by themselves.
#ifndef GANTRY_CORE_KEEPER_H
#define GANTRY_CORE_KEEPER_H

#include "core/merge.h"

struct keeper;
// Any number of nodes of one archive may have one each. options are copied.
bool keeper_start(struct archive *ar, const struct merge_options *o, struct keeper **out, struct err *e);
void keeper_stop(struct keeper *k); // a batch under way stops between two entries, and is begun again by whoever takes it. NULL is fine
// A piece of the work that comes again by itself ("holds", ...) is done now, by whichever node; nothing of what a directory has no need of.
bool keeper_soon(struct archive *ar, const char *name, struct err *e);

// What this process did since its start.
struct keeper_figures {
    uint64_t batches, volumes_in, volumes_out, bytes_in, bytes_out, entries, damaged, reaped, orphans, failures;
};
void keeper_figures_get(struct archive *ar, struct keeper_figures *out);

#endif
