// Results of storage commitment that a peer waits for (PS3.4 J): kept from before the request is answered until they were delivered, by whichever node.
#ifndef GANTRY_CORE_COMMITMENTS_H
#define GANTRY_CORE_COMMITMENTS_H

#include "base/arena.h"
#include "core/archive.h"

#define COMMITMENT_JOBS "commitment" // their kind; the subject is the row's number

enum { COMMITMENTS_MAX = 100 * 1000 }; // that wait at once

struct commitment {
    int64_t id;
    struct str peer, address, transaction_uid;
    struct str asker; // the principal's name
    struct str items; // JSON array of texts: class, instance, class, instance, ...
};

// Keeps it and puts its job, due in so many milliseconds; sets id. ERR_BUSY when too many wait.
bool commitment_keep(struct archive *ar, struct commitment *c, int64_t delay_ms, struct err *e);
// Moves its job.
bool commitment_again(struct archive *ar, int64_t id, int64_t delay_ms, struct err *e);
// In a. ERR_NOT_FOUND: it was delivered.
bool commitment_read(struct archive *ar, struct arena *a, int64_t id, struct commitment *out, struct err *e);
// Delivered or given up: row and job go.
bool commitment_drop(struct archive *ar, int64_t id, struct err *e);

#endif
