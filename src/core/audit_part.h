// What the files of the audit trail share. Private to core/audit*.c.
#ifndef GANTRY_CORE_AUDIT_PART_H
#define GANTRY_CORE_AUDIT_PART_H

#include "core/audit.h"
#include "core/audit_spool.h"
#include "core/index.h"
#include "core/nodes.h"

enum { AUDIT_BATCH = 1024, AUDIT_BLOCK = 256 };

struct audit {
    struct archive *ar;
    struct audit_spool spool;
    pthread_t thread;
    int64_t moved_seq; // the last event that came from the spool
    _Atomic bool stopping;
};

// Moves what the spool has into the log. *moved: how many.
bool audit_move(struct audit *a, unsigned *moved, struct err *e);
// An event in a transaction of its own.
bool audit_append(struct archive *ar, struct event *ev, struct err *e);

// Of the search: the sum that stands for a name, and how far the runs are noted.
int64_t audit_key_of(char kind, struct str name);
// The last event before a time; 0: none.
bool audit_last_before(struct archive *ar, int64_t at_ms, int64_t *out, struct err *e);
bool audit_index_cursor(struct archive *ar, int64_t *cursor, int64_t *last, struct err *e);

#endif
