// Keeping volumes in order as a module of the server.
#include "app/serve_keep.h"

#include "core/keeper.h"

bool serve_keep_start(struct server *s, void **state, struct err *e) {
    struct keeper *k = NULL;
    if (!keeper_start(s->archive, &s->settings->merge, &k, e)) return false;
    *state = k;
    return true;
}

void serve_keep_stop(struct server *s, void *state) {
    (void)s;
    keeper_stop(state);
}
