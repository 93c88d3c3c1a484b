// Service class user: an association to a peer and the operations on it, one at a time (PS3.7 9.1, 10.1).
#ifndef GANTRY_DIMSE_SCU_H
#define GANTRY_DIMSE_SCU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "dicom/dataset.h"
#include "dimse/message.h"

// An application entity somewhere: AET@HOST:PORT.
struct scu_target {
    char aet[PDU_AE_MAX + 1];
    char host[256];
    uint16_t port;
    struct net_tls *tls;           // NULL: plain
    const char *tls_name;          // that must stand in its certificate; NULL: host
    const struct net_guard *guard; // where it may lead; NULL: anywhere
};
// "AET@host:port", "AET@[::1]:port"; port defaults to 11112. ERR_USAGE says what is wrong.
bool scu_target_parse(struct str text, struct scu_target *out, struct err *e);

// What is proposed: filled step by step, then scu_open. Up to 128 contexts; identifiers are given in order.
struct scu_proposal {
    struct arena *arena;
    struct pdu_context contexts[UL_CONTEXTS_MAX];
    struct pdu_role roles[UL_CONTEXTS_MAX];
    struct pdu_extended extended[8];
    unsigned context_count, role_count, extended_count;
};
void scu_proposal_init(struct scu_proposal *p, struct arena *a);
// One context with up to n transfer syntaxes (strings must outlive the proposal). false when 128 are there already.
bool scu_propose(struct scu_proposal *p, const char *abstract_syntax, const char *const *ts, unsigned n, struct err *e);
// Role selection for an abstract syntax, once.
bool scu_propose_role(struct scu_proposal *p, const char *abstract_syntax, bool scu, bool scp, struct err *e);
void scu_propose_extended(struct scu_proposal *p, const char *abstract_syntax, struct str info);

// The uncompressed transfer syntaxes, explicit little endian first: for identifiers.
extern const char *const SCU_TS_PLAIN[2];

// d is initialised here and must be deinitialised by scu_close whatever happens.
bool scu_open(struct dimse *d, const struct scu_target *to, const char *calling, const struct scu_proposal *p, const struct ul_timers *timers, struct err *e);
// Releases (or, when that fails, aborts) and frees.
void scu_close(struct dimse *d);

// Context for an operation, or NULL with ERR_UNSUPPORTED that names the SOP class and why it was refused.
const struct ul_context *scu_context(struct dimse *d, const char *abstract_syntax, struct err *e);

// The next response to message_id; data (may be NULL) takes its data set.
bool scu_response(struct dimse *d, uint16_t message_id, struct dimse_command *rsp, struct buf *data, struct err *e);

bool scu_echo(struct dimse *d, uint16_t *status, struct err *e);

// C-STORE of a data set that lies in a file: n bytes from offset, in the context's transfer syntax. originator: of the C-MOVE that asked for it, or NULL.
bool scu_store_file(struct dimse *d, const struct ul_context *c, const char *sop_instance_uid, const char *originator, uint16_t originator_id, int fd,
                    uint64_t offset, uint64_t n, uint16_t *status, struct err *e);

// Sends C-FIND, C-MOVE, C-GET, N-ACTION or N-EVENT-REPORT with its data set (encoded in the context's transfer syntax); the message ID is in *id.
bool scu_send(struct dimse *d, const struct ul_context *c, struct dimse_command *rq, const struct dcm_dataset *data, uint16_t *id, struct err *e);
bool scu_cancel(struct dimse *d, const struct ul_context *c, uint16_t message_id, struct err *e);

// What a C-FIND, C-MOVE or C-GET came to.
struct scu_result {
    uint16_t status;
    char comment[65];
    uint16_t remaining, completed, failed, warning;
    uint64_t answers; // pending responses with an identifier
};
// Reads responses to the end. on_pending: a pending response (data may be NULL); false sends C-CANCEL. on_store: a C-STORE-RQ of a C-GET has come, its data set is
// read by dimse_data: the status to answer (NULL: answered 0211).
struct scu_events {
    bool (*on_pending)(void *ctx, const struct dimse_command *rsp, const struct dcm_dataset *data, struct err *e);
    bool (*on_store)(void *ctx, struct dimse *d, const struct ul_context *c, const struct dimse_command *rq, uint16_t *status, struct err *e);
    void *ctx;
};
bool scu_run(struct dimse *d, const struct ul_context *c, uint16_t message_id, const struct scu_events *events, struct scu_result *out, struct err *e);

// A data set from bytes in a context's transfer syntax, in a.
bool dimse_decode(struct arena *a, const char *transfer_syntax, struct str bytes, struct dcm_dataset **out, struct err *e);
bool dimse_encode(const struct dcm_dataset *ds, const char *transfer_syntax, struct buf *to, struct err *e);

#endif
