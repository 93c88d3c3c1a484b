// The nodes of one archive: who serves it, and leases for what one of them does at a time. All times are the database's.
//
// A node says every NODE_BEAT_MS that it is there; one that was not heard of for NODE_DEAD_MS is dead for the others. A dead node may still run (its
// network is cut): so nothing is decided by who lives, but by leases, whose token grows with each holder and is checked in the transaction whose
// effect hangs on it.
#ifndef GANTRY_CORE_NODES_H
#define GANTRY_CORE_NODES_H

#include <stdatomic.h>

#include "base/arena.h"
#include "core/archive.h"
#include "text/json.h"

struct db;

enum {
    NODE_NAME_MAX = 64,
    NODE_BEAT_MS = 3 * 1000,
    NODE_DEAD_MS = 15 * 1000,
    NODE_LEASE_MS = 15 * 1000,
};

enum node_state { NODE_STARTING, NODE_READY, NODE_DRAINING, NODE_STOPPED };

struct node_options {
    const char *name;  // of struct archive_options
    const char *dicom; // "address:port" as the balancer reaches it
    const char *http;
    const char *version;
    // Adds members of its own to what the node tells of itself; may be NULL. On the node's thread.
    void (*figures)(void *ctx, struct json_writer *w);
    void *figures_ctx;
};

// Says every few seconds that this node is there, with its figures; takes over nothing by itself. A name that a living node has is ERR_CONFLICT; one that
// was seen a moment ago and may be dead is waited for. The same data directory is the same node started again. ERR_BUSY while a command works alone;
// so is whatever a node would write that comes back, after it was not heard of for long, while one does: it waits by itself until that is done.
struct node;
bool node_join(struct archive *ar, const struct node_options *o, struct node **out, struct err *e);
// The addresses, once they are known.
void node_set_doors(struct node *n, const char *dicom, const char *http);
void node_set_state(struct node *n, enum node_state state);
enum node_state node_get_state(struct node *n);
const char *node_name(const struct node *n);
const char *node_version(const struct node *n);
void node_leave(struct node *n); // stopped; its leases and jobs are given back. NULL is fine
// Whether a balancer may send requests here, and if not, why not: the database answers within a second, the bucket was not away too long, the schema fits,
// not draining, not read-only.
bool node_is_ready(struct node *n, struct err *why);
// The same as a JSON object with all reasons; to_insiders: in the words of what failed.
bool node_ready_json(struct node *n, bool to_insiders, struct buf *to);

// The state of all nodes, queues, leases and volumes as one JSON object in a: what `gantry cluster status` and /api/cluster show.
bool cluster_status_json(struct archive *ar, struct arena *a, struct str *out, struct err *e);
// How many nodes live (seen lately, not stopped), and the name of one.
bool cluster_living(struct archive *ar, unsigned *n, char name[NODE_NAME_MAX], struct err *e);
// Takes a node that is dead or stopped off the list. ERR_CONFLICT: it lives; ERR_NOT_FOUND.
bool cluster_forget(struct archive *ar, struct str name, struct err *e);

// What one node at a time does. A lease lasts NODE_LEASE_MS and is kept alive by a thread of the archive until it is dropped: it must stay where it is.
#define LEASE_ALONE "alone" // of a command that no node may work beside: every writing transaction looks for it
struct lease {
    char name[64];
    int64_t token;
    bool held;                  // taken and not dropped
    _Atomic int64_t believe_ms; // private: until when, by our own monotonic clock; 0: lost
    struct lease *next;         // private
};
// *taken false: another node has it.
bool lease_take(struct archive *ar, const char *name, struct lease *out, bool *taken, struct err *e);
void lease_drop(struct archive *ar, struct lease *l);
// Whether we may believe to have it still: it was renewed lately, as far as we know. What hangs on it is checked by lease_check.
bool lease_held(const struct lease *l);
// Inside the transaction whose effect hangs on it: ERR_CONFLICT when another has taken it since. Nobody takes it before the transaction has ended.
bool lease_check(struct db *w, const struct lease *l, struct err *e);
// False: ERR_BUSY, since this command works on the archive alone.
bool lease_refuse(struct str command, struct err *e);
// LEASE_ALONE for a command: no node may live, and what one that was lost had begun to write has ended. ERR_BUSY.
bool lease_take_alone(struct archive *ar, struct lease *out, struct err *e);

#endif
