// One stored object onto an association: as it lies, or converted when the peer takes no such transfer syntax.
//
// Only lossless conversions are made here, since the SOP Instance UID stays (PS3.3 C.7.6.1.1.5): to an uncompressed transfer syntax, or to a lossless
// compressed one when the peer takes nothing else. What is stored lossy goes out as it is or decompressed.
#ifndef GANTRY_DIMSE_SEND_H
#define GANTRY_DIMSE_SEND_H

#include <stdint.h>

#include "base/err.h"
#include "codec/frames.h"
#include "dimse/scu.h"

// A whole object for conversion; large values by reference to the source.
struct send_whole {
    const struct dcm_ts *ts; // as the source gives it: that of a deflated object is explicit VR little endian
    const struct dcm_dataset *dataset;
    struct dcm_source source;
    const struct codec_frames *frames; // NULL: not known
};

// How the sender's caller opens the object for conversion, when it can do better than reading the file; everything in a.
struct send_opener {
    bool (*open)(void *ctx, struct arena *a, struct send_whole *out, struct err *e);
    void (*close)(void *ctx); // only after an open that succeeded
    void *ctx;
};

// A Part 10 object inside a file.
struct send_object {
    const char *sop_class_uid, *sop_instance_uid, *ts_uid;
    int fd;
    uint64_t offset, length;          // of the whole object in the file
    const struct dcm_source *source;  // in the place of fd, its offsets those of the object; NULL: fd is sent
    uint64_t dataset_offset;          // of the data set in the object
    const struct send_opener *opener; // NULL: the file is read
};

enum send_result {
    SEND_DONE,       // the C-STORE-RQ is out: its response is due
    SEND_IMPOSSIBLE, // the object cannot be sent on this association; *e says why; the association goes on
    SEND_BROKEN      // the association is over
};

struct send_report {
    uint16_t message_id;
    const struct dcm_ts *converted_to; // NULL: went as it lies
};

// What is proposed for an object, a context for each: its own transfer syntax; the uncompressed ones; lossless compressed ones, for peers that take nothing else.
enum send_how { SEND_AS_IT_LIES = 1, SEND_CONVERTED = 2, SEND_COMPRESSED = 4 };
// false without *e: no room in this association.
bool send_propose_how(struct scu_proposal *p, const char *sop_class_uid, const char *ts_uid, unsigned how, struct err *e);
// The first two, in one association.
bool send_propose(struct scu_proposal *p, const char *sop_class_uid, const char *ts_uid, struct err *e);
// Whether objects in a transfer syntax may be converted; an object may still turn out not to be.
bool send_convertible(const char *ts_uid);
// Of SEND_IMPOSSIBLE: whether another association with other proposals may help.
bool send_may_propose_more(const struct err *why);

// Sends C-STORE-RQ and the data set. originator (may be NULL): of the C-MOVE that asked for it.
enum send_result send_object(struct dimse *d, const struct send_object *o, const char *originator, uint16_t originator_id, struct send_report *report,
                             struct err *e);

#endif
