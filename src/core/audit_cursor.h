// How far something that follows the event log has come, kept in the index: a collector goes on from there after a restart.
#ifndef GANTRY_CORE_AUDIT_CURSOR_H
#define GANTRY_CORE_AUDIT_CURSOR_H

#include "core/archive.h"

// Where it has none yet, it begins at the beginning, and nothing of the log is taken away before it has it.
bool audit_cursor_begin(struct archive *ar, const char *name, struct err *e);
bool audit_cursor_get(struct archive *ar, const char *name, int64_t *seq, struct err *e); // 0: it has nothing yet
// trouble: what keeps it back, for people; "" when nothing does.
bool audit_cursor_set(struct archive *ar, const char *name, int64_t seq, const char *trouble, struct err *e);

// The collector that is furthest behind; name is empty when there is none.
bool audit_cursor_last(struct archive *ar, char *name, size_t room, int64_t *seq, struct err *e);
// Of a collector that is no more, by its name: "syslog host:port" or the part behind the space. An event says who did it. ERR_NOT_FOUND.
bool audit_cursor_forget(struct archive *ar, const struct actor *who, struct str name, struct err *e);

#endif
