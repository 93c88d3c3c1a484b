// The control socket: commands of administration reach a running server through a Unix socket in its data directory.
//
// Only whoever runs the server, and root, can open it (mode 0600, checked again by SO_PEERCRED). One JSON object per line: a request with noun, verb and in,
// an answer with out, or with kind and message of an error.
#ifndef GANTRY_APP_CONTROL_H
#define GANTRY_APP_CONTROL_H

#include "app/modules.h"
#include "text/json.h"

// A server's side, as one of its modules.
bool control_start(struct server *s, void **state, struct err *e);
void control_stop(struct server *s, void *state);

// A command's side: whether a server answers at the socket of this data directory, and then what it answers. *there false: nobody listens.
bool control_ask(const char *data_dir, struct arena *a, const char *noun, const char *verb, struct str in, bool *there, const struct json **out, struct err *e);

#endif
