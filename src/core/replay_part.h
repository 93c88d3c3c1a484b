// A batch of entries on their way from a volume into rows: read first, written after. Private to replaying (core/replay*.c).
#ifndef GANTRY_CORE_REPLAY_PART_H
#define GANTRY_CORE_REPLAY_PART_H

#include "core/index.h"

enum { REPLAY_ASKED = 1024 };

struct replay_source {
    struct vol_set *vs;
    struct vol_loc loc;
};

struct replay_entry {
    struct replay_entry *next;
    struct vol_entry en; // its texts in the batch's arena
    bool damaged;
    bool is_new;               // nothing lies there as far as the index says
    struct err why;            // it could not be read as what it is; ERR_NONE: it was
    struct replay_source from; // objects and conflicting copies
    struct dcm_source source;
    struct index_put put;
    struct str json; // of a tombstone or a record
    // Whether the volume of what is kept under its name is no more: asked before the batch is written. asked 0: it was not.
    uint32_t asked;
    bool gone;
    bool later; // something must be read before it can be written
};

struct replay {
    struct index *ix;
    struct db *w;       // while something is written
    struct arena arena; // of the batch
    struct replay_entry *first, **last;
    unsigned batch, batch_max;
    uint32_t volume;
    char *chunk; // room to read through
    bool apart;  // others wait for their turn to write: nothing is read from the volumes meanwhile, but apart, and the batch is tried again
    bool again;  // it is to be
    uint32_t gone[REPLAY_ASKED], there[REPLAY_ASKED]; // volumes of rows that were asked for, by their numbers
    uint64_t count;
};

// Whether a volume that rows refer to is no more. It is asked for its bytes.
bool replay_is_gone(struct replay *r, uint32_t volume, bool *gone, struct err *e);
// Failures that say nothing of the entry: another time it may go well.
bool replay_is_of_the_moment(enum err_kind kind);
// Writes what the batch holds and how far the volume is indexed then. replay_rows.c
bool replay_write(struct replay *r, uint64_t end, struct err *e);

#endif
