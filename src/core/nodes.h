// The nodes of one archive: who serves it, and leases for what one of them does at a time. All times are the database's.
#ifndef GANTRY_CORE_NODES_H
#define GANTRY_CORE_NODES_H

#include "base/arena.h"
#include "core/archive.h"

struct db;

enum node_state { NODE_STARTING, NODE_READY, NODE_DRAINING, NODE_STOPPED };

struct node_options {
    const char *name;  // of struct archive_options
    const char *dicom; // "address:port" as the balancer reaches it
    const char *http;
    const char *version;
};

// Says every few seconds that this node is there, with its figures; takes over nothing by itself. A name that a living node has is ERR_CONFLICT.
struct node;
bool node_join(struct archive *ar, const struct node_options *o, struct node **out, struct err *e);
void node_set_state(struct node *n, enum node_state state);
void node_leave(struct node *n); // stopped; its leases and jobs are given back. NULL is fine
// Whether a balancer may send requests here, and if not, why not: the database answers, the bucket was not away too long, the schema fits, not draining.
bool node_is_ready(struct node *n, struct err *why);

// The state of all nodes, queues, leases and volumes as one JSON object in a: what `gantry cluster status` and /api/cluster show.
bool cluster_status_json(struct archive *ar, struct arena *a, struct str *out, struct err *e);
// How many nodes live (seen lately, not stopped), and the name of one.
bool cluster_living(struct archive *ar, unsigned *n, char name[64], struct err *e);

// Names of what one node at a time does. A lease lasts NODE_LEASE_MS and is kept alive by a thread of the archive until it is dropped.
struct lease {
    char name[64];
    int64_t token;
    bool held;
};
// *taken false: another node has it.
bool lease_take(struct archive *ar, const char *name, struct lease *out, bool *taken, struct err *e);
void lease_drop(struct archive *ar, struct lease *l);
// Inside the transaction whose effect hangs on it: ERR_CONFLICT when another has taken it since.
bool lease_check(struct db *w, const struct lease *l, struct err *e);

#endif
