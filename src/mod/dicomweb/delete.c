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
    if (!dw_list(&t, rq->arena, &list, e)) return false;
    struct str reason = str_trim(http_query(rq, "reason"));
    if (reason.n == 0) return err_set(e, ERR_USAGE, "dicomweb", "say why: ?reason=...");
    if (!archive_delete(t.archive, &t.actor, t.study, t.series, t.instance, reason, &count, e)) return false;
    http_reply_status(rs, 204);
    return true;
}
