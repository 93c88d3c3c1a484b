// /api/holds: studies that must not be deleted, held and released.
#include "core/hold.h"

#include "core/keeper.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "text/json.h"

enum { LIST_BYTES_MAX = 64 << 20 };

static bool add_hold(void *ctx, const struct hold *h, struct err *e) {
    struct json_writer *w = ctx;
    (void)e;
    json_begin_object(w);
    json_put_str(w, "study", h->study_uid);
    json_put_int(w, "since_ms", h->since_ms);
    json_put_str(w, "by", h->source);
    json_put_str(w, "reason", h->reason);
    json_end_object(w);
    return true;
}

bool web_holds(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct web *web = rq->context;
    const struct actor who = session_actor(rq);
    struct buf b;
    struct json_writer w;
    buf_init(&b, LIST_BYTES_MAX);
    json_init(&w, &b, false);
    json_begin_array(&w);
    bool ok = hold_each(web->archive, &who, add_hold, &w, e);
    json_end_array(&w);
    return http_reply_json(rs, &b, ok, e);
}

// The bucket's flags are set in the background: nobody waits for as many requests as the study has volumes.
static bool change(struct http_request *rq, struct str study, bool on, struct str reason, struct err *e) {
    const struct web *web = rq->context;
    const struct actor who = session_actor(rq);
    return hold_set(web->archive, &who, study, on, reason, e) && keeper_soon(web->archive, "holds", e);
}

bool web_hold(struct http_request *rq, struct http_response *rs, struct err *e) {
    const struct json *body = json_read(rq->arena, rq->body, 0, e);
    if (!body || !change(rq, json_text(json_get(body, "study")), true, str_trim(json_text(json_get(body, "reason"))), e)) return false;
    http_reply_status(rs, 204);
    return true;
}

bool web_release(struct http_request *rq, struct http_response *rs, struct err *e) {
    if (!change(rq, http_capture(rq, "study"), false, str_trim(http_query(rq, "reason")), e)) return false;
    http_reply_status(rs, 204);
    return true;
}
