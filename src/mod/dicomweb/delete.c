// Deleting a study, series or instance, for a reason that is kept.
#include "core/service.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/resource.h"

bool dw_delete(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    uint64_t count;
    if (!dw_target_of(rq, &t, e)) return false;
    t.permission = ACCESS_STUDY_DELETE;
    struct err none = {0};
    bool listed = dw_list(&t, rq->arena, &list, &none);
    if (!listed && none.kind != ERR_NOT_FOUND) return *e = none, false;
    struct str reason = str_trim(http_query(rq, "reason"));
    if (reason.n == 0) return listed ? err_set(e, ERR_USAGE, "dicomweb", "say why: ?reason=...") : (*e = none, false);
    // What is not listed may be a copy that was kept aside.
    if (!archive_delete(t.archive, &t.actor, t.study, t.series, t.instance, reason, &count, e)) {
        if (!listed && e->kind == ERR_NOT_FOUND) *e = none;
        return false;
    }
    http_reply_status(rs, 204);
    return true;
}
