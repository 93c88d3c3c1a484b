// What is found damaged or missing is said in the index, so that the same object, sent again, takes its place.
//
// An instance whose bytes are damaged has state 1. A volume that is not where the index has it has the batch VOLUME_MISSING: all that lies in it is taken
// anew like damaged bytes (index_compare), and the volume counts again when it is found there again.
#ifndef GANTRY_CORE_DAMAGE_H
#define GANTRY_CORE_DAMAGE_H

#include "core/retrieve.h"

struct db;

#define VOLUME_MISSING "-3" // volumes.batch
#define VOLUME_LEFT "-2"    // left as it is
// Of a row that names a volume.
#define IN_MISSING_VOLUME(table) "EXISTS (SELECT 1 FROM volumes mv WHERE mv.volume = " table ".volume AND mv.batch = " VOLUME_MISSING ")"

// After a read failed with *why: when the bytes as they are stored, asked once more, are damaged (ERR_CORRUPT) or their volume is not there (ERR_NOT_FOUND), this
// is said once, with an event. Any thread that holds no writer. That it cannot be said now harms nothing.
void damage_found(struct archive *ar, const struct instance_ref *ref, const struct err *why);
// These volumes are missing: marked, and told by one alarm.
bool damage_tell_missing(struct archive *ar, const uint32_t *volumes, size_t n, struct err *e);
// An event for whoever looks after the archive, in the writing transaction.
bool damage_alarm(struct archive *ar, struct db *w, const char *message, struct err *e);
// They are there again.
bool damage_found_again(struct archive *ar, const uint32_t *volumes, size_t n, struct err *e);
// Whether a volume's bytes can be had at all: true unless it is known not to be there.
bool damage_is_there(struct archive *ar, uint32_t volume);

#endif
