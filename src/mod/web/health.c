// /healthz: is the server able to do its work.
#include "mod/web/health.h"

#include "mod/web/web.h"
#include "text/json.h"

bool web_health(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct buf b;
    struct json_writer w;
    (void)rq, (void)e;
    buf_init(&b, 4096);
    json_init(&w, &b, false);
    json_begin_object(&w);
    json_put_bool(&w, "ok", true);
    json_end_object(&w);
    http_setz(rs, "Cache-Control", "no-store");
    http_reply_buf(rs, 200, "application/json", &b);
    return true;
}
