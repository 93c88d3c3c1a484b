// One association (PS3.8 7, 9): established as requestor or acceptor, P-DATA both ways, released or aborted; every step goes through the table of fsm.h.
//
// Straight-line use: a thread owns the association and calls in order. Received P-DATA is handed out as it lies in the receive buffer, a run at a time, so
// that memory does not depend on the size of PDUs or messages; a resting association holds no buffer at all.
#ifndef GANTRY_DIMSE_ASSOC_H
#define GANTRY_DIMSE_ASSOC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "dicom/uid.h"
#include "dimse/fsm.h"
#include "dimse/pdu.h"
#include "net/socket.h"
#include "net/tls.h"

enum {
    UL_OFFERED_PDU_BYTES = 256 * 1024, // maximum length that is offered: P-DATA is passed on as it comes, so this costs no memory
    UL_SENT_PDU_BYTES = 256 * 1024,    // largest P-DATA-TF sent to a peer that would take more
    UL_LEAST_PDU_BYTES = 8,            // a peer that takes less cannot be sent a PDV with two bytes in it
};

struct ul_timers { // milliseconds; 0 takes the named limit
    int connect, artim, pdu, idle;
};

// Where an association is asked for.
struct ul_address {
    const char *host;
    uint16_t port;
    struct net_tls *tls;           // NULL: plain
    const char *tls_name;          // that must stand in the peer's certificate; NULL: host
    const struct net_guard *guard; // where it may lead (net/guard.h); NULL: anywhere
};

// A presentation context that was proposed, and what became of it.
struct ul_context {
    uint8_t id;
    uint8_t result;              // enum pdu_context_result
    bool scu, scp;               // what the requestor of the association may be for this abstract syntax
    const char *abstract_syntax; // in the association's arena
    const char *transfer_syntax; // "" when not accepted
    struct str extended;         // service class application information agreed on (PS3.7 D.3.3.5); {NULL, 0} when none
    const void *service;         // acceptor: what choose gave
};

struct ul_assoc {
    struct net_conn conn;
    struct arena arena; // what was negotiated
    enum ul_state state;
    bool requestor;
    struct ul_timers timers;
    char calling[PDU_AE_MAX + 1], called[PDU_AE_MAX + 1];
    char implementation_uid[DCM_UID_MAX + 1], implementation_version[PDU_AE_MAX + 1]; // the peer's
    struct ul_context *contexts;
    unsigned context_count;
    uint32_t fragment_max;      // bytes of a PDV's value that the peer takes; even
    uint16_t async_invoked;     // operations that the requestor may have under way; 1 unless negotiated; 0 unlimited
    struct pdu_reject rejected; // requestor: why, when result is not 0
    // private
    int64_t artim_ms; // when ARTIM expires; 0 when it is stopped
    uint8_t *in;      // lent while bytes are under way
    size_t in_at, in_end;
    uint32_t pdu_left, pdv_left; // of the P-DATA-TF PDU and of the PDV's value being read
    int64_t pdu_ms;              // by when the PDU must be whole
    bool deaf;                   // the framing is lost: what follows is not read as PDUs
    uint8_t abort_reason;        // of an A-ABORT that AA-8 sends
    struct pdu_reject reject;    // that AE-8 sends
    const struct buf *out;       // A-ASSOCIATE PDU that AE-2 or AE-7 sends
    const struct ul_address *to; // AE-1
};

// What choose decides for one proposed context.
struct ul_choice {
    uint8_t result; // enum pdu_context_result
    unsigned ts;    // index into the proposed transfer syntaxes
    bool scu, scp;  // granted of what the role selection item proposed
    struct str extended;
    char extended_bytes[8]; // room for it, where it depends on what was proposed
    const void *service;
};

struct ul_acceptor {
    // role: NULL when none was proposed. extended: {NULL, 0} when none. *out comes in as rejected for its abstract syntax, roles as by default.
    void (*choose)(void *ctx, const struct pdu_associate *rq, const struct pdu_context *proposed, const struct pdu_role *role, struct str extended,
                   struct ul_choice *out);
    void *ctx;
    uint16_t async_max; // operations that a requestor may have under way when it asks for more than one
};

// ---- acceptor ----

// Takes over an accepted connection (Evt5).
void ul_init_acceptor(struct ul_assoc *a, const struct net_conn *conn, const struct ul_timers *timers);
// Waits for A-ASSOCIATE-RQ; rq and its body are in scratch. On success ul_accept or ul_reject must follow. On failure *e says what came instead.
bool ul_receive_request(struct ul_assoc *a, struct arena *scratch, struct pdu_associate *rq, struct err *e);
// Negotiates and answers. Refuses with the standard's reason what cannot be (version, application context, AE titles that are none, a maximum length under
// UL_LEAST_PDU_BYTES) and returns false.
bool ul_accept(struct ul_assoc *a, const struct pdu_associate *rq, const struct ul_acceptor *how, struct err *e);
void ul_reject(struct ul_assoc *a, struct pdu_reject why);

// ---- requestor ----

// rq: called, calling, contexts, roles, extended and identity; the rest is filled here. ERR_PEER (or ERR_BUSY when transient) with the reason when rejected.
// a must be deinitialised whatever happens.
bool ul_connect(struct ul_assoc *a, const struct ul_address *to, const struct pdu_associate *rq, const struct ul_timers *timers, struct err *e);

// ---- data ----

struct ul_pdv {
    uint8_t context_id;
    uint8_t flags; // PDV_COMMAND, PDV_LAST
    uint32_t length;
};

enum ul_got {
    UL_PDV,     // a PDV begins: ul_bytes until it is used up
    UL_RELEASE, // the peer asks for release: ul_release answers it
    UL_WOKEN,   // conn.wake, before anything came
    UL_IDLE,    // the deadline, before anything came
    UL_OVER     // the association is over; *e says why
};

// The next PDV. deadline_ms bounds the wait for the first byte of a PDU; a PDU that has begun must be whole within timers.pdu.
enum ul_got ul_next(struct ul_assoc *a, int64_t deadline_ms, bool wakeable, struct ul_pdv *pdv, struct err *e);
// A run of the PDV's value, borrowed until the next call; *n is 0 when all of it was handed out. false: the association is over.
bool ul_bytes(struct ul_assoc *a, const uint8_t **p, size_t *n, struct err *e);
// Whether something has come (or the connection has ended) without waiting.
bool ul_readable(struct ul_assoc *a);

// Bytes of P-DATA-TF PDUs made by the caller. iov is used up. more: the rest of the PDU follows.
bool ul_send(struct ul_assoc *a, struct iovec *iov, int count, bool more, struct err *e);
bool ul_sendfile(struct ul_assoc *a, int fd, uint64_t offset, uint64_t n, struct err *e);

const struct ul_context *ul_context_by_id(const struct ul_assoc *a, uint8_t id);

// ---- end ----

// Asks for release and waits for the answer, or answers the peer's request; then waits until the connection is closed.
bool ul_release(struct ul_assoc *a, struct err *e);
// The peer broke the protocol (Evt19): A-ABORT with the reason (PDU_ABORT_...).
void ul_protocol_error(struct ul_assoc *a, uint8_t reason);
void ul_abort(struct ul_assoc *a);
// Aborts when still established; waits for the peer to close (ARTIM) unless hurry; closes and frees.
void ul_deinit(struct ul_assoc *a, bool hurry);

#endif
