// This server as one of the nodes of its archive: joined before it takes requests, drained before it leaves.
#ifndef GANTRY_APP_SERVE_NODE_H
#define GANTRY_APP_SERVE_NODE_H

#include "app/modules.h"

bool serve_node_join(struct server *s, struct err *e);
// It takes requests from here on: its addresses are known.
void serve_node_ready(struct server *s);
// Not ready any more; waits until a balancer has noticed.
void serve_node_drain(struct server *s);
void serve_node_leave(struct server *s);

#endif
