// DIMSE messages (PS3.7 6, PS3.8 E): a command set and, perhaps, a data set, in P-DATA fragments; data sets are streamed both ways.
#ifndef GANTRY_DIMSE_MESSAGE_H
#define GANTRY_DIMSE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "dimse/assoc.h"
#include "dimse/command.h"

struct dimse {
    struct ul_assoc ul;
    uint16_t next_id; // of the next request
    // private
    struct buf command;      // being gathered
    bool data_left;          // the data set of the message received last is not read to its end
    uint8_t data_context;    // its presentation context
    bool pdv_open, pdv_last; // a PDV of the data set is being handed out; it is the last
    bool held;               // a message that dimse_poll met: the next dimse_receive gives it
    struct dimse_command held_command;
    uint8_t held_context;
    uint8_t *out; // lent while a data set is streamed out
    size_t out_n;
    uint8_t out_context;
    bool out_marked; // the last fragment is out
};

enum dimse_got {
    DIMSE_MESSAGE,
    DIMSE_RELEASE, // the peer asks for release
    DIMSE_WOKEN,
    DIMSE_IDLE,
    DIMSE_OVER // *e says why
};

void dimse_init(struct dimse *d); // before ul_init_acceptor or ul_connect of d->ul
void dimse_deinit(struct dimse *d, bool hurry);

// The next message's command set; what is left of the data set before it is skipped. When it has a data set, dimse_data gives it.
enum dimse_got dimse_receive(struct dimse *d, int64_t deadline_ms, bool wakeable, struct dimse_command *c, uint8_t *context_id, struct err *e);
// A run of the data set's bytes, borrowed until the next call; *n is 0 at its end. false: the association is over.
bool dimse_data(struct dimse *d, const uint8_t **p, size_t *n, struct err *e);
// All of it into to, up to to's ceiling: ERR_TOO_LARGE then, and the rest is skipped (*over false) while the association goes on.
bool dimse_data_all(struct dimse *d, struct buf *to, bool *over, struct err *e);
bool dimse_data_skip(struct dimse *d, struct err *e);

// Without waiting: whether a C-CANCEL-RQ for the request has come. Another message that comes is kept for dimse_receive. DIMSE_OVER and DIMSE_RELEASE: nobody waits
// for answers any more. DIMSE_IDLE: nothing; DIMSE_WOKEN: another message is waiting; DIMSE_MESSAGE: cancelled.
enum dimse_got dimse_poll(struct dimse *d, uint16_t message_id, struct err *e);

// One message with a data set in memory (data NULL: none), in one write. c->data_set is set accordingly.
bool dimse_send(struct dimse *d, uint8_t context_id, struct dimse_command *c, const void *data, size_t n, struct err *e);

// A message whose data set is streamed: begin, any number of writes or files, end. last: nothing follows the file, so that its last fragment carries the mark
// (without it an empty one follows, which some peers do not take).
bool dimse_stream_begin(struct dimse *d, uint8_t context_id, struct dimse_command *c, struct err *e);
bool dimse_stream_write(struct dimse *d, const void *p, size_t n, struct err *e);
bool dimse_stream_file(struct dimse *d, int fd, uint64_t offset, uint64_t n, bool last, struct err *e);
bool dimse_stream_end(struct dimse *d, struct err *e);

// The message ID for a new request; never 0.
uint16_t dimse_next_id(struct dimse *d);

// A C-STORE-RQ with a new message ID. originator (may be NULL): AE title and message ID of the C-MOVE-RQ that it serves.
struct dimse_command dimse_store_request(struct dimse *d, const struct ul_context *c, const char *sop_instance_uid, const char *originator,
                                         uint16_t originator_id);

// Accepted context for an abstract syntax (and transfer syntax unless NULL), or NULL. as_scp: this side is the SCP of it.
const struct ul_context *dimse_context(const struct dimse *d, const char *abstract_syntax, const char *transfer_syntax, bool as_scp);

#endif
