// Copies the index's write-ahead log into its file on a thread of its own, so that no commit waits for that.
#ifndef GANTRY_DB_CHECKPOINT_H
#define GANTRY_DB_CHECKPOINT_H

#include "db/db.h"

struct checkpoint;

bool checkpoint_start(struct db_pool *pool, struct checkpoint **out, struct err *e);
void checkpoint_stop(struct checkpoint *c); // NULL is fine
// After each commit, with the writer's connection held: pages that the log has.
void checkpoint_note(struct checkpoint *c, int pages);

#endif
