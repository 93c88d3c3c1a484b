// Volumes put together into a batch with its job. Private to merging.
#ifndef GANTRY_CORE_BATCHES_H
#define GANTRY_CORE_BATCHES_H

#include "core/jobs.h"
#include "core/merge.h"
#include "db/db.h"

enum { BATCH_VOLUMES_MAX = 4096 };
// Classes whose volumes are not read before they were asked back.
#define TIERS_ARCHIVED "'GLACIER', 'DEEP_ARCHIVE'"

// A new batch of these volumes, but for those that another has taken or removed meanwhile, and its job of this kind. One transaction of a side connection.
bool batch_put(struct archive *ar, const char *kind, const uint32_t *volumes, size_t n, struct err *e);
// Volumes that are not to be looked at again.
bool batch_leave(struct archive *ar, const uint32_t *volumes, size_t n, struct err *e);
// Takes and does one job of this kind if one is due; *done false: none was. ctx-free, for commands and tests.
bool batch_run_one(struct archive *ar, const struct merge_options *o, const char *kind, bool *done, struct merge_report *out, struct err *e);

#endif
