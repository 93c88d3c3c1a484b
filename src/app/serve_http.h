// The HTTP side of a server: its routes, who may use them, start and stop.
#ifndef GANTRY_APP_SERVE_HTTP_H
#define GANTRY_APP_SERVE_HTTP_H

#include "app/modules.h"

bool serve_http_start(struct server *s, void **state, struct err *e);
void serve_http_stop(struct server *s, void *state);

#endif
