// The HTTP side of a server.
#include "app/serve_http.h"

#include <stdlib.h>

#include "app/serve_dicom.h"
#include "http/server.h"
#include "mod/admin/http.h"
#include "mod/audit/doors.h"
#include "mod/dicomweb/dicomweb.h"
#include "mod/web/oidc.h"
#include "mod/web/session.h"
#include "mod/web/web.h"

struct serve_http {
    struct web web;
    struct dicomweb dicomweb;
    struct admin_door admin;
    struct web_oidc oidc;
    struct http_mount mounts[6];
    struct http_server *http;
};

static void add_metrics(void *context, struct buf *to) {
    const struct server *s = context;
    serve_dicom_metrics(context, to);
    serve_tls_metrics(&s->tls, to);
}

static bool start(struct server *s, struct serve_http *h, struct err *e) {
    h->dicomweb.archive = s->archive;
    h->web = (struct web){
        .archive = s->archive, .node = s->node, .accounts = s->accounts, .sessions = h->web.sessions, .more_metrics = add_metrics, .more_context = s};
    h->mounts[0] = (struct http_mount){DICOMWEB_ROOT, DICOMWEB_ROUTES, &h->dicomweb};
    h->mounts[1] = (struct http_mount){"", WADO_URI_ROUTES, &h->dicomweb};
    h->mounts[2] = (struct http_mount){"", WEB_ROUTES, &h->web};
    h->admin = (struct admin_door){.archive = s->archive, .accounts = s->accounts, .peers = s->peers};
    h->mounts[3] = (struct http_mount){"", ADMIN_ROUTES, &h->admin};
    h->oidc = (struct web_oidc){.archive = s->archive, .oidc = s->oidc, .accounts = s->accounts};
    h->mounts[4] = (struct http_mount){"", WEB_OIDC_ROUTES, &h->oidc};
    sessions_set_bearer(h->web.sessions, web_oidc_bearer, &h->oidc);
    struct http_options o = {.address = s->settings->bind,
                             .port = s->settings->http_port,
                             .tls = s->tls.http,
                             .plain_too = s->settings->http.plain_too,
                             .plain_port = s->settings->http.plain_port,
                             .connections_max = s->settings->http_connections_max,
                             .per_address_max = s->settings->http_per_peer_max,
                             .per_second = s->settings->http.per_second,
                             .mounts = h->mounts,
                             .authorise = sessions_authorise,
                             .authorise_context = h->web.sessions,
                             .audit = audit_of_http,
                             .audit_context = s->archive,
                             .loopback_host_only = !s->settings->auth,
                             .base_url = s->settings->base_url,
                             .trusted_proxies = s->settings->trusted_proxies.all,
                             .trusted_proxy_count = s->settings->trusted_proxies.count,
                             .cors_origins = s->settings->cors_origins.all,
                             .cors_origin_count = s->settings->cors_origins.count};
    if (!http_server_start(&o, &h->http, e)) return false;
    s->http_port = http_server_port(h->http);
    s->http_plain_port = http_server_plain_port(h->http);
    return true;
}

bool serve_http_start(struct server *s, void **state, struct err *e) {
    struct serve_http *h = calloc(1, sizeof *h);
    if (!h) return err_nomem(e, "http");
    bool opened = sessions_open(s->accounts, s->settings->auth, &h->web.sessions, e);
    if (opened && start(s, h, e)) {
        *state = h;
        return true;
    }
    if (opened) sessions_close(h->web.sessions);
    free(h);
    return false;
}

void serve_http_stop(struct server *s, void *state) {
    struct serve_http *h = state;
    http_server_stop(h->http, (int)s->settings->deadline_ms);
    sessions_close(h->web.sessions);
    free(h);
}
