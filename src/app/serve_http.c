// The HTTP side of a server.
#include "app/serve_http.h"

#include <stdlib.h>

#include "http/server.h"
#include "mod/web/web.h"

enum { DRAIN_MS = 20 * 1000 };

struct serve_http {
    struct web web;
    struct http_mount mounts[4];
    struct http_server *http;
};

bool serve_http_start(struct server *s, void **state, struct err *e) {
    struct serve_http *h = calloc(1, sizeof *h);
    if (!h) return err_nomem(e, "http");
    h->web.archive = s->archive;
    h->mounts[0] = (struct http_mount){"", WEB_ROUTES, &h->web};
    struct http_options o = {.address = s->settings->bind, .port = s->settings->http_port, .mounts = h->mounts, .loopback_host_only = !s->settings->auth};
    if (!http_server_start(&o, &h->http, e)) {
        free(h);
        return false;
    }
    h->web.http = h->http;
    s->http_port = http_server_port(h->http);
    *state = h;
    return true;
}

void serve_http_stop(struct server *s, void *state) {
    struct serve_http *h = state;
    (void)s;
    http_server_stop(h->http, DRAIN_MS);
    free(h);
}
