// Keeping volumes in order as a module of the server.
#ifndef GANTRY_APP_SERVE_KEEP_H
#define GANTRY_APP_SERVE_KEEP_H

#include "app/modules.h"

bool serve_keep_start(struct server *s, void **state, struct err *e);
void serve_keep_stop(struct server *s, void *state);

#endif
