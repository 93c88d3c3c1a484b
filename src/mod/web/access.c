// /api/access: who the asker is to this server, what it may do, and its broken glass.
#include "core/access.h"
#include "core/glass.h"
#include "mod/web/handlers.h"
#include "mod/web/web.h"
#include "text/json.h"

enum { ANSWER_BYTES_MAX = 256 * 1024 };

static bool put_grants(struct http_request *rq, struct json_writer *j, const struct principal *p, struct err *e) {
    struct str scope;
    json_key(j, "grants");
    json_begin_array(j);
    for (unsigned i = 0; i < p->grant_count; i++) {
        if (!access_scope_format(rq->arena, &p->grants[i].scope, &scope, e)) return false;
        json_begin_object(j);
        json_put_str(j, "role", p->grants[i].role);
        json_put_str(j, "scope", scope);
        json_put_int(j, "until_ms", p->grants[i].until_ms);
        json_end_object(j);
    }
    json_end_array(j);
    return true;
}

// What it may do anywhere at all: which of its panels a page shows.
static void put_permissions(struct json_writer *j, const struct principal *p) {
    uint64_t all = 0;
    for (unsigned i = 0; i < p->grant_count; i++) all |= p->grants[i].permissions;
    json_key(j, "permissions");
    json_begin_array(j);
    for (unsigned i = ACCESS_LOCAL + 1; i < ACCESS_PERMISSIONS; i++)
        if (all & ACCESS_BIT(i)) json_strz(j, access_permission_name((enum permission)i));
    json_end_array(j);
}

static bool put_waiting(const struct web *web, const struct actor *who, struct json_writer *j, struct err *e) {
    unsigned waiting = 0;
    if (access_require(who, ACCESS_REVIEW, NULL) && !glasses_waiting(web->archive, who, &waiting, e)) return false;
    json_put_uint(j, "glasses_waiting", waiting);
    return true;
}

static bool put_all(struct http_request *rq, struct json_writer *j, struct err *e) {
    const struct web *web = rq->context;
    const struct principal *p = rq->principal;
    const struct actor who = session_actor(rq);
    char home[REALM_BYTES];
    struct access_reach reach;
    if (!realm_format(&p->home, home, e) || !access_reach_of(&who, ACCESS_STUDY_READ, rq->arena, &reach, e)) return false;
    json_begin_object(j);
    json_put_str(j, "name", p->name);
    json_put_str(j, "display", p->display.n ? p->display : p->name);
    json_put_bool(j, "person", p->kind == PRINCIPAL_USER);
    json_put_strz(j, "home", home);
    json_put_bool(j, "sees_all", reach.everywhere); // no glass is left to break
    put_permissions(j, p);
    bool ok = put_grants(rq, j, p, e);
    json_key(j, "glass");
    ok = ok && glass_own_json(web->archive, &who, j, e) && put_waiting(web, &who, j, e);
    json_end_object(j);
    return ok;
}

bool web_access(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct buf b;
    struct json_writer j;
    buf_init(&b, ANSWER_BYTES_MAX);
    json_init(&j, &b, false);
    return http_reply_json(rs, &b, put_all(rq, &j, e), e);
}
