// Known peers of a server, from its configuration and its archive.
#ifndef GANTRY_APP_SERVE_PEERS_H
#define GANTRY_APP_SERVE_PEERS_H

#include "app/modules.h"

bool serve_peers_open(struct server *s, struct err *e);
void serve_peers_close(struct server *s);

#endif
