// The table of modules.
#include "app/modules.h"

#include "app/serve_dicom.h"
#include "app/serve_http.h"

const struct module MODULES[] = {
    {"dicom", serve_dicom_start, serve_dicom_stop},
    {"http", serve_http_start, serve_http_stop},
};
const unsigned MODULE_COUNT = sizeof MODULES / sizeof MODULES[0];

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

void modules_stop(struct server *s) {
    stop_first(s, MODULE_COUNT);
}
