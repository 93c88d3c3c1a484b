// /healthz and /readyz: is the server able to do its work, and may it be sent more.
#include "core/nodes.h"
#include "core/service.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "text/json.h"

// What failed is told to those who may ask for everything.
static bool not_answering(const struct http_request *rq, struct err *e) {
    return rq->user.n ? false : err_set(e, ERR_BUSY, "web", "the index does not answer: the log says why");
}

bool web_health(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct archive_figures f = {0};
    struct buf b;
    struct json_writer w;
    if (!archive_figures_get(web->archive, &(struct actor){.door = DOOR_JOB}, &f, e)) return not_answering(rq, e);
    bool ok = !f.read_only && !f.full;
    buf_init(&b, 4096);
    json_init(&w, &b, false);
    json_begin_object(&w);
    json_put_bool(&w, "ok", ok);
    json_put_strz(&w, "disk", f.read_only ? "read-only" : f.full ? "full" : "ok");
    json_put_uint(&w, "disk_free_bytes", f.disk_free);
    json_put_uint(&w, "flushes", f.flushes_total);
    json_end_object(&w);
    http_reply_buf(rs, ok ? 200 : 503, "application/json", &b);
    return true;
}

bool web_ready(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    struct buf b;
    if (!web->node) return web_health(rq, rs, e);
    buf_init(&b, 16 * 1024);
    bool ready = node_ready_json(web->node, rq->user.n > 0, &b);
    http_reply_buf(rs, ready ? 200 : 503, "application/json", &b);
    return true;
}
