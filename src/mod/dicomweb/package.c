// Answering with an archive file of objects.
#include "mod/dicomweb/package.h"

#include <stdio.h>

#include "core/scope.h"

size_t dw_entry_name(const struct instance_ref *ref, char out[DW_ENTRY_NAME]) {
    int n = snprintf(out, DW_ENTRY_NAME, "%.*s/%.*s/%.*s.dcm", STR_FMT(ref->study_uid), STR_FMT(ref->series_uid), STR_FMT(ref->sop_instance_uid));
    return n < 0 ? 0 : (size_t)n < DW_ENTRY_NAME ? (size_t)n : DW_ENTRY_NAME - 1;
}

// What may be read may be taken away as files only with a permission of its own.
static bool may_export(struct http_request *rq, const struct dw_target *t, const struct instance_list *list, struct err *e) {
    struct dw_target exported = *t;
    struct instance_list found;
    if (scope_everywhere(&t->actor, ACCESS_STUDY_EXPORT, NULL)) return true;
    exported.permission = ACCESS_STUDY_EXPORT;
    if (!dw_list(&exported, rq->arena, &found, e)) return false;
    return found.count == list->count || err_set(e, ERR_FORBIDDEN, "dicomweb", "part of this may be looked at, but not exported");
}

bool dw_reply_package(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_list *list, bool zip, struct err *e) {
    if (!may_export(rq, t, list, e)) return false;
    struct dw_version v;
    struct dw_body *b = arena_zero(rq->arena, 1, sizeof *b, e);
    struct str uid = t->instance.p ? t->instance : t->series.p ? t->series : t->study;
    char *name = arena_printf(rq->arena, e, "attachment; filename=\"%.*s.%s\"", STR_FMT(uid), zip ? "zip" : "tar");
    if (!b || !name || !dw_version_of(list, zip ? "zip 1" : "tar 1", &v, e)) return false;
    if (!(zip ? dw_zip_body : dw_tar_body)(b, rq->arena, t->archive, list, e)) return false;
    http_setz(rs, "Content-Disposition", name);
    return dw_body_reply(rq, rs, b, zip ? "application/zip" : "application/x-tar", &v, e);
}
