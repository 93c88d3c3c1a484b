// Service class provider: a listener, one thread per association, and a table of services that answer (PS3.7 9, 10).
//
// The services know DIMSE, not sockets: a handler gets a request with its identifier and answers with scp_respond; a C-STORE goes into a sink as it comes.
// Stopping is orderly: new associations are rejected (transient, local limit), those that are at work go on until they release, rest for a moment or the
// time is over, what is under way then is finished and answered, then they are aborted.
#ifndef GANTRY_DIMSE_SCP_H
#define GANTRY_DIMSE_SCP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "dimse/message.h"

struct scp_server;

// One association as its services see it.
struct scp_session {
    struct dimse d;        // d.ul: calling, called, conn.address, contexts
    uint8_t identity_type; // PDU_IDENTITY_..., as the peer gave it
    struct str identity_primary, identity_secondary;
    bool identity_known; // set by admit when it has checked it: only then a positive response is sent (PS3.7 D.3.3.7)
    void *own;           // of the handlers
    // private
    struct scp_server *server;
    struct net_tls *tls; // of the listener that it came to
    struct scp_session *prev, *next;
    bool admitted; // ended is owed
    bool refuse;   // more associations than are allowed: it is told so
    bool serving;  // counted among those that stopping waits for
};

struct scp_request {
    struct scp_session *session;
    const struct ul_context *context;
    struct dimse_command command;
    struct str identifier; // data set in the context's transfer syntax; {NULL, 0} when the request has none
    bool cancelled;        // C-CANCEL-RQ came
    bool gone;             // the peer released, aborted or closed
    int64_t polled_ms;     // private
};

// Answers with scp_respond. false: the association cannot go on.
typedef bool scp_handler(void *ctx, struct scp_request *rq, struct err *e);

// Where the data set of a C-STORE goes. All are called on the association's thread.
struct scp_sink {
    bool (*begin)(void *ctx, struct scp_request *rq, void **object, struct err *e);
    bool (*write)(void *ctx, void *object, const void *p, size_t n, struct err *e);
    // Consumes the object. The status to answer; *e is its Error Comment and is logged when it is a failure.
    uint16_t (*commit)(void *ctx, struct scp_request *rq, void *object, struct err *e);
    // The object will not be whole, or a write failed. Consumes it.
    void (*abort)(void *ctx, void *object);
};

// What is offered for an abstract syntax; a NULL operation is answered with 0211 (unrecognised operation). C-ECHO is always answered.
struct scp_service {
    const char *name;
    const struct scp_sink *store;
    scp_handler *find, *move, *get, *action, *event_report;
};

struct scp_handlers {
    void *ctx; // of everything below, sinks and handlers included
    // Whether the peer may associate: else *why (called AE title not recognised, ...).
    bool (*admit)(void *ctx, struct scp_session *s, const struct pdu_associate *rq, struct pdu_reject *why, struct err *e);
    // Before each request, once it is known to be offered: 0, or the status that it is refused with, and *e, its comment. NULL: everything is permitted.
    uint16_t (*permit)(void *ctx, struct scp_request *rq, struct err *e);
    // As ul_acceptor.choose; out->service is a const struct scp_service *.
    void (*choose)(void *ctx, struct scp_session *s, const struct pdu_context *proposed, const struct pdu_role *role, struct str extended,
                   struct ul_choice *out);
    void (*ended)(void *ctx, struct scp_session *s); // after each admit that said yes, whatever came of it; may be NULL
};

struct scp_config {
    const char *bind;
    uint16_t port;       // 0: any free one
    struct net_tls *tls; // NULL: plain
    bool plain_too;      // beside it, without TLS, ...
    uint16_t plain_port; // ... on this port
    struct ul_timers timers;
    unsigned associations_max; // 0: UL_ASSOCIATIONS_MAX
    unsigned per_peer_max;     // of one address; 0: three quarters of associations_max
    unsigned per_second;       // new connections of one address; 0: net/pace.h's
    uint16_t async_max;        // operations that a requestor may have under way (they are still answered in order)
    int drain_ms;              // how long stopping waits for associations at work; 0: 20 s
    struct scp_handlers handlers;
};

bool scp_start(const struct scp_config *config, struct scp_server **out, struct err *e);
uint16_t scp_port(const struct scp_server *server);
uint16_t scp_plain_port(const struct scp_server *server); // 0: there is none
// Blocks until every association has ended.
void scp_stop(struct scp_server *server);

struct scp_figures {
    unsigned active;
    uint64_t accepted, rejected, failed; // since start
};
void scp_figures_get(struct scp_server *server, struct scp_figures *out);

// ---- for handlers ----

// One response (pending or final), in one write. rsp comes from dimse_response(&rq->command, status). data NULL: none.
bool scp_respond(struct scp_request *rq, struct dimse_command *rsp, const void *data, size_t n, struct err *e);
// A final response of a status alone, with a comment (NULL: none).
bool scp_finish(struct scp_request *rq, uint16_t status, const char *comment, struct err *e);
// Whether work on the request should end: C-CANCEL came, the peer is gone. Cheap to call often: the connection is looked at every 20 ms.
bool scp_cancelled(struct scp_request *rq);
// Whether anything at all has come from the peer, looked at once.
bool scp_interrupted(struct scp_request *rq);
// The time for what is under way is over.
bool scp_stopping(const struct scp_session *s);

// The response to a request that this side sent on the session's association (C-STORE of a C-GET, N-EVENT-REPORT), its data set skipped. A C-CANCEL in between
// sets rq->cancelled.
bool scp_await_response(struct scp_request *rq, uint16_t message_id, int64_t deadline_ms, struct dimse_command *rsp, struct err *e);

#endif
