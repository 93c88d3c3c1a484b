// How far something that follows the event log has come, kept in the index: a collector goes on from there after a restart.
#ifndef GANTRY_CORE_AUDIT_CURSOR_H
#define GANTRY_CORE_AUDIT_CURSOR_H

#include "core/archive.h"

bool audit_cursor_get(struct archive *ar, const char *name, int64_t *seq, struct err *e); // 0: it has nothing yet
// trouble: what keeps it back, for people; "" when nothing does.
bool audit_cursor_set(struct archive *ar, const char *name, int64_t seq, const char *trouble, struct err *e);

#endif
