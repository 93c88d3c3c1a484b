// Preparation as a module of the server.
#include "app/serve_prepare.h"

#include "core/prepare.h"

bool serve_prepare_start(struct server *s, void **state, struct err *e) {
    struct preparer *p = NULL;
    if (!prepare_start(s->archive, 0, &p, e)) return false;
    *state = p;
    return true;
}

void serve_prepare_stop(struct server *s, void *state) {
    (void)s;
    prepare_stop(state);
}
