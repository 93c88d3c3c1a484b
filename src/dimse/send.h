// One stored object onto an association: as it lies, or converted between uncompressed transfer syntaxes when the peer takes no other.
#ifndef GANTRY_DIMSE_SEND_H
#define GANTRY_DIMSE_SEND_H

#include <stdint.h>

#include "base/err.h"
#include "dimse/scu.h"

// A Part 10 object inside a file.
struct send_object {
    const char *sop_class_uid, *sop_instance_uid, *ts_uid;
    int fd;
    uint64_t offset, length; // of the whole object in the file
    uint64_t dataset_offset; // of the data set in the object
};

enum send_result {
    SEND_DONE,       // the C-STORE-RQ is out: its response is due
    SEND_IMPOSSIBLE, // the object cannot be sent on this association; *e says why; the association goes on
    SEND_BROKEN      // the association is over
};

// What is proposed for an object: a context with its own transfer syntax; for uncompressed objects another with the rest of the uncompressed ones.
enum send_how { SEND_AS_IT_LIES = 1, SEND_CONVERTED = 2 };
// false without *e: no room in this association.
bool send_propose_how(struct scu_proposal *p, const char *sop_class_uid, const char *ts_uid, unsigned how, struct err *e);
// Both, in one association.
bool send_propose(struct scu_proposal *p, const char *sop_class_uid, const char *ts_uid, struct err *e);
// Whether objects in a transfer syntax can be converted.
bool send_convertible(const char *ts_uid);

// Sends C-STORE-RQ and the data set. originator (may be NULL): of the C-MOVE that asked for it.
enum send_result send_object(struct dimse *d, const struct send_object *o, const char *originator, uint16_t originator_id, uint16_t *message_id, struct err *e);

#endif
