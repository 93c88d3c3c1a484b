// What the files of a migration share. Private to core/migrate*.c.
#ifndef GANTRY_CORE_MIGRATE_PART_H
#define GANTRY_CORE_MIGRATE_PART_H

#include "core/nodes.h"
#include "core/index.h"
#include "core/migrate.h"
#include "sys/digest.h"

// What an index says of an entry. Of two that name one place the later counts.
enum role { ROLE_NONE, ROLE_DEAD, ROLE_RECORD, ROLE_QUARANTINE, ROLE_CONFLICT, ROLE_INSTANCE };

struct role_row {
    uint64_t offset, length;
    enum role role;
    struct str name; // SOP Instance UID; of a record its name
    struct str text; // why it is dead, why it is in quarantine
    uint8_t digest[DIGEST_BYTES];
    bool visited;
};

// All that an index says of a volume, by offset.
struct roles {
    struct role_row *rows;
    size_t n;
    bool known, finished, removed;
    uint64_t indexed_end;
    int64_t created_ms;
};

struct migrate {
    struct archive *from, *to;
    struct lease alone;      // of the source, for the last round
    struct vol_set *headers; // the side that reads headers fastest: offsets are the same
    bool last;
    void (*on_progress)(void *ctx, const struct migrate_progress *p);
    void (*on_note)(void *ctx, const char *text);
    void *ctx;
    struct migrate_progress progress;
    struct arena arena; // of one volume's rows
    uint64_t damaged, unknown, lost;
};

void migrate_note(struct migrate *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
void migrate_tell(struct migrate *m);

// All that the source has, ascending; *out is malloc'ed for the caller. A list of a bucket that lacks one is not believed.
bool migrate_volumes(struct migrate *m, uint32_t **out, size_t *n, struct err *e);

// A consistent view; the strings are in a.
bool roles_read(struct archive *ar, struct arena *a, uint32_t volume, struct roles *out, struct err *e);
struct role_row *roles_find(const struct roles *r, uint64_t offset);
static inline bool role_lives(enum role role) {
    return role > ROLE_DEAD;
}

// Rows for the entries of a volume that lies in the target, as the source's index has them. whole: from its start, and what is there otherwise is put right;
// else from where the target's index has seen it to. *all false: entries follow that the source's index has not seen yet.
bool migrate_rows(struct migrate *m, uint32_t volume, const struct roles *source, bool whole, bool *all, struct err *e);

// What only the end can tell: every row compared and put right, volumes that the source has no more removed, settings and declared attributes.
bool migrate_settle(struct migrate *m, struct migrate_report *out, struct err *e);

#endif
