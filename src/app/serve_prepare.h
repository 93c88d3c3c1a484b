// The preparation of what will be asked for, while a server runs.
#ifndef GANTRY_APP_SERVE_PREPARE_H
#define GANTRY_APP_SERVE_PREPARE_H

#include "app/modules.h"

bool serve_prepare_start(struct server *s, void **state, struct err *e);
void serve_prepare_stop(struct server *s, void *state);

#endif
