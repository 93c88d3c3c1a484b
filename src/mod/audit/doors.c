// Requests of HTTP as events.
#include "mod/audit/doors.h"

#include "core/access.h"
#include "core/audit.h"
#include "text/json.h"

enum { UID_BYTES = 64, TEXT_BYTES = 1024, DETAIL_BYTES = 16 * 1024, DETAIL_USUAL_BYTES = 1024, ROUTE_BYTES = 512 };

// What is noted of a request that did what it asked for, and of one that failed. NULL: nothing, as the change itself is an event, or nothing of a patient is told.
static const struct meaning {
    enum permission permission;
    const char *done, *failed;
} MEANINGS[] = {
    {ACCESS_STUDY_FIND, "study.queried", "study.queried"},
    {ACCESS_STUDY_READ, "study.read", "study.read"},
    {ACCESS_STUDY_SEND, "study.sent", "study.sent"},
    {ACCESS_STUDY_EXPORT, "study.exported", "study.exported"},
    {ACCESS_STUDY_COMMIT, "study.verified", "study.verified"},
    {ACCESS_FAULTS_READ, "faults.read", "faults.read"},
    {ACCESS_EVENTS_READ, "events.read", "events.read"},
    {ACCESS_USER_READ, "accounts.read", "accounts.read"},
    {ACCESS_PEER_READ, "accounts.read", "accounts.read"},
    {ACCESS_REVIEW, NULL, "change.failed"},
    {ACCESS_AUDIT_READ, "audit.read", "audit.read"},
    {ACCESS_AUDIT_EXPORT, "audit.exported", "audit.exported"},
    {ACCESS_STUDY_DELETE, NULL, "change.failed"},
    {ACCESS_STUDY_HOLD, NULL, "change.failed"},
    {ACCESS_STUDY_LABEL, NULL, "change.failed"},
    {ACCESS_STUDY_ASSIGN, NULL, "change.failed"},
    {ACCESS_KEEP, NULL, "change.failed"},
    {ACCESS_USER_WRITE, NULL, "change.failed"},
    {ACCESS_ROLE_WRITE, NULL, "change.failed"},
    {ACCESS_TOKEN_WRITE, NULL, "change.failed"},
    {ACCESS_PEER_WRITE, NULL, "change.failed"},
    {ACCESS_SITE_WRITE, NULL, "change.failed"},
    {ACCESS_KEY_WRITE, NULL, "change.failed"},
    {ACCESS_BREAK_GLASS, NULL, "change.failed"},
    {ACCESS_AUDIT_WRITE, NULL, "change.failed"},
};

static const char *type_of(const struct http_request *rq, unsigned status, enum audit_outcome *outcome) {
    enum permission permission = (enum permission)rq->match.route->permission;
    bool own_business = permission == ACCESS_OPEN || permission == ACCESS_SELF; // signing in and the like note what came of it
    *outcome = status < 400 ? AUDIT_SUCCESS : AUDIT_FAILED;
    if (rq->refused || (!own_business && (status == 401 || status == 403))) return *outcome = AUDIT_DENIED, "access.denied";
    if (permission == ACCESS_STUDY_HOLD && rq->method == HTTP_GET) return "holds.read";
    for (size_t i = 0; i < sizeof MEANINGS / sizeof *MEANINGS; i++)
        if (MEANINGS[i].permission == permission) return *outcome == AUDIT_SUCCESS ? MEANINGS[i].done : MEANINGS[i].failed;
    return NULL;
}

static struct str uid_of(const struct http_request *rq, const char *capture, const char *parameter) {
    struct str uid = http_capture(rq, capture);
    if (!uid.p) uid = http_query(rq, parameter);
    return str_sub(uid, 0, UID_BYTES);
}

static struct str either(struct str a, struct str b) {
    return a.n ? a : b;
}

static struct actor actor_of(const struct http_request *rq) {
    bool dicomweb = str_starts(str_of(rq->match.mount->prefix), STR_LIT("/dicom-web")) || str_eqz(str_of(rq->match.route->pattern), "/wado");
    return (struct actor){
        .door = dicomweb ? DOOR_DICOMWEB : DOOR_PAGE, .address = rq->address, .user = rq->user, .principal = rq->principal, .trace = rq->trace};
}

// What was asked for, as far as it is short.
static struct str query_of(const struct http_request *rq, struct buf *b) {
    for (unsigned i = 0; i < rq->uri.param_count && b->n < TEXT_BYTES; i++) {
        const struct uri_param *p = &rq->uri.params[i];
        bool secret = str_eqz(p->name, "access_token") || str_eqz(p->name, "code") || str_eqz(p->name, "state");
        buf_addf(b, "%s%.*s=%.*s", b->n ? "&" : "", STR_FMT(str_sub(p->name, 0, UID_BYTES)),
                 STR_FMT(secret ? STR_LIT("...") : str_sub(p->value, 0, 4 * UID_BYTES)));
    }
    return buf_ok(b, NULL) ? buf_str(b) : (struct str){0};
}

static struct str route_of(const struct http_request *rq, char out[ROUTE_BYTES]) {
    struct str prefix = str_sub(str_of(rq->match.mount->prefix), 0, ROUTE_BYTES / 2), pattern = str_sub(str_of(rq->match.route->pattern), 0, ROUTE_BYTES / 2);
    if (prefix.n) memcpy(out, prefix.p, prefix.n);
    if (pattern.n) memcpy(out + prefix.n, pattern.p, pattern.n);
    return (struct str){out, prefix.n + pattern.n};
}

// Members without the braces.
static struct str detail_of(const struct http_request *rq, unsigned status, struct buf *b) {
    struct json_writer j;
    const char *permission = access_permission_name((enum permission)rq->match.route->permission);
    char route[ROUTE_BYTES];
    struct buf asked;
    buf_init(&asked, DETAIL_BYTES);
    buf_reserve(b, DETAIL_USUAL_BYTES); // at once
    struct str query = query_of(rq, &asked);
    json_init(&j, b, false);
    json_begin_object(&j);
    json_put_strz(&j, "method", rq->head ? "HEAD" : http_method_name(rq->method));
    json_put_str(&j, "route", route_of(rq, route));
    json_put_uint(&j, "status", status);
    if (query.n) json_put_str(&j, "query", query);
    if (status >= 400 && permission) json_put_strz(&j, "permission", permission);
    json_end_object(&j);
    buf_deinit(&asked);
    return buf_ok(b, NULL) ? str_sub(buf_str(b), 1, b->n - 2) : (struct str){0};
}

bool audit_of_http(void *archive, struct http_request *rq, unsigned status, struct err *e) {
    enum audit_outcome outcome;
    const char *type = rq->match.route && !rq->noted ? type_of(rq, status, &outcome) : NULL;
    if (!type) return true;
    const struct actor who = actor_of(rq);
    struct buf b;
    buf_init(&b, DETAIL_BYTES);
    const struct audit_note n = {.type = type,
                                 .outcome = outcome,
                                 .study_uid = either(uid_of(rq, "study", "studyUID"), str_sub(http_query(rq, "StudyInstanceUID"), 0, UID_BYTES)),
                                 .series_uid = uid_of(rq, "series", "seriesUID"),
                                 .sop_instance_uid = uid_of(rq, "instance", "objectUID"),
                                 .patient_id = str_sub(either(http_query(rq, "PatientID"), http_query(rq, "00100020")), 0, UID_BYTES),
                                 .issuer = str_sub(either(http_query(rq, "IssuerOfPatientID"), http_query(rq, "00100021")), 0, UID_BYTES),
                                 .detail = detail_of(rq, status, &b)};
    bool ok = audit_note(archive, &who, &n, e);
    buf_deinit(&b);
    return ok;
}
