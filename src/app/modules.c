// The table of modules.
#include "app/modules.h"

#include "app/control.h"
#include "app/serve_audit.h"
#include "app/serve_dicom.h"
#include "app/serve_http.h"
#include "app/serve_keep.h"
#include "app/serve_prepare.h"
#include "base/thread.h"

const struct module MODULES[] = {
    {"audit", serve_audit_start, serve_audit_stop}, {"dicom", serve_dicom_start, serve_dicom_stop},       {"http", serve_http_start, serve_http_stop},
    {"control", control_start, control_stop},       {"prepare", serve_prepare_start, serve_prepare_stop}, {"keep", serve_keep_start, serve_keep_stop},
};
const unsigned MODULE_COUNT = sizeof MODULES / sizeof MODULES[0];
_Static_assert(sizeof MODULES / sizeof MODULES[0] <= MODULES_MAX, "the server has a place for each module's state");

static void stop_first(struct server *s, unsigned n) {
    while (n-- > 0) MODULES[n].stop(s, s->state[n]);
}

bool modules_start(struct server *s, struct err *e) {
    for (unsigned i = 0; i < MODULE_COUNT; i++) {
        if (MODULES[i].start(s, &s->state[i], e)) continue;
        stop_first(s, i);
        return false;
    }
    return true;
}

struct stopping {
    struct server *server;
    unsigned module;
};

static void *stop_one(void *arg) {
    const struct stopping *one = arg;
    MODULES[one->module].stop(one->server, one->server->state[one->module]);
    return NULL;
}

// Side by side: while one door finishes what is under way, the others refuse new work too.
void modules_stop(struct server *s) {
    struct stopping all[MODULES_MAX];
    pthread_t threads[MODULES_MAX];
    bool started[MODULES_MAX];
    for (unsigned i = 0; i < MODULE_COUNT; i++) {
        all[i] = (struct stopping){s, i};
        started[i] = thread_start(&threads[i], "stop", stop_one, &all[i], NULL);
    }
    for (unsigned i = MODULE_COUNT; i-- > 0;) {
        if (started[i])
            pthread_join(threads[i], NULL);
        else
            stop_one(&all[i]);
    }
}
