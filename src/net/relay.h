// Bytes to and fro between a connection and a local socket, until one side ends: for a library that wants a plain socket where the peer speaks TLS.
#ifndef GANTRY_NET_RELAY_H
#define GANTRY_NET_RELAY_H

#include "net/socket.h"

// Blocks. What the local side sent last reaches the peer before the connection is closed; a half-close is passed on. Bytes that cannot be delivered for
// stall_ms end it, and so does c->halt. inner stays the caller's, c is closed. A connection at rest holds no buffers.
void net_relay(struct net_conn *c, int inner, int stall_ms);

#endif
