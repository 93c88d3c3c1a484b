// What the archive itself says in the volumes, so that they alone give the index back: a tombstone or a record, a JSON object each.
#ifndef GANTRY_CORE_WORD_H
#define GANTRY_CORE_WORD_H

#include "core/archive.h"
#include "store/volume.h"

struct word {
    enum vol_kind kind; // VOL_TOMBSTONE or VOL_RECORD
    struct str json;
    struct str study; // whose hold is asked for, or changed
    int64_t number;   // of the change of that hold
    bool mark;        // a record of a label or an assignment: no hold is changed
};
// Blocks until it is durable and indexed, or refused.
bool word_append(struct archive *ar, const struct actor *who, const struct word *word, struct err *e);

#endif
