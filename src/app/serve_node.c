// From settings to the node's row, and its way out.
#include "app/serve_node.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/serve_dicom.h"
#include "app/version.h"
#include "base/log.h"
#include "core/nodes.h"

static void figures(void *ctx, struct json_writer *w) {
    json_put_uint(w, "associations", serve_dicom_active(ctx));
}

bool serve_node_join(struct server *s, struct err *e) {
    const struct node_options o = {.name = s->settings->node, .dicom = "", .http = "", .version = GANTRY_VERSION, .figures = figures, .figures_ctx = s};
    return node_join(s->archive, &o, &s->node, e);
}

static void address(char out[80], const char *bind, unsigned port) {
    snprintf(out, 80, strchr(bind, ':') ? "[%s]:%u" : "%s:%u", bind, port);
}

void serve_node_ready(struct server *s) {
    char dicom[80], http[80];
    address(dicom, s->settings->bind, s->dicom_port);
    address(http, s->settings->bind, s->http_port);
    node_set_doors(s->node, dicom, http);
    node_set_state(s->node, NODE_READY);
}

void serve_node_drain(struct server *s) {
    const struct timespec grace = {.tv_sec = s->settings->drain_ms / 1000, .tv_nsec = s->settings->drain_ms % 1000 * 1000000L};
    node_set_state(s->node, NODE_DRAINING);
    if (s->settings->drain_ms) log_line(LOG_INFO, "serve", "not ready any more; requests are taken for %u s yet", s->settings->drain_ms / 1000);
    nanosleep(&grace, NULL);
}

void serve_node_leave(struct server *s) {
    node_leave(s->node);
    s->node = NULL;
}
