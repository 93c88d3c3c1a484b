// What the page asks for: figures, conflicts and quarantine.
#include "core/nodes.h"
#include "core/scope.h"
#include "core/service.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "text/json.h"

enum { LIST_MAX = 500 };

static bool reply_list(struct http_request *rq, struct http_response *rs,
                       bool (*list)(struct archive *ar, const struct actor *who, struct arena *a, unsigned limit, struct str *out, struct err *e),
                       struct err *e) {
    const struct web *web = rq->context;
    const struct actor who = session_actor(rq);
    struct str json;
    if (!list(web->archive, &who, rq->arena, LIST_MAX, &json, e)) return false;
    http_reply_text(rs, 200, "application/json", json);
    rs->compress = true;
    return true;
}

bool web_conflicts(struct http_request *rq, struct http_response *rs, struct err *e) {
    return reply_list(rq, rs, archive_conflicts_json, e);
}

bool web_quarantine(struct http_request *rq, struct http_response *rs, struct err *e) {
    return reply_list(rq, rs, archive_quarantine_json, e);
}

bool web_cluster(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const struct actor who = session_actor(rq);
    struct str json;
    if (!scope_everywhere(&who, ACCESS_CLUSTER_READ, e)) return false;
    if (!cluster_status_json(web->archive, rq->arena, &json, e)) return false;
    http_reply_text(rs, 200, "application/json", json);
    rs->compress = true;
    return true;
}

bool web_figures(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const struct actor who = session_actor(rq);
    struct archive_figures f = {0};
    struct buf b;
    struct json_writer w;
    if (!archive_figures_get(web->archive, &who, &f, e)) return false;
    buf_init(&b, 4096);
    json_init(&w, &b, false);
    json_begin_object(&w);
    json_put_uint(&w, "patients", f.patients);
    json_put_uint(&w, "studies", f.studies);
    json_put_uint(&w, "series", f.series);
    json_put_uint(&w, "instances", f.instances);
    json_put_uint(&w, "bytes", f.bytes);
    json_put_uint(&w, "conflicts", f.conflicts);
    json_put_uint(&w, "quarantined", f.quarantined);
    json_put_uint(&w, "disk_free_bytes", f.disk_free);
    json_put_bool(&w, "read_only", f.read_only);
    json_put_bool(&w, "full", f.full);
    json_end_object(&w);
    http_reply_buf(rs, 200, "application/json", &b);
    return true;
}
