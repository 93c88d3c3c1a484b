// The mapping of event types to the audit events of PS3.15 A.5.3, and the parts of a message.
#include "mod/audit/message.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sys/digest.h"
#include "text/base64.h"
#include "text/xml.h"

enum { MESSAGE_BYTES_MAX = 1 << 20, TIME_BYTES = 40, SYSLOG_NOTICE = 10 * 8 + 5 /* security/authorization, notice (PS3.15 A.6) */ };

struct code {
    const char *value, *meaning;
};

// PS3.16 CID 400 and 401.
static const struct code ACTIVITY = {"110100", "Application Activity"}, LOG_USED = {"110101", "Audit Log Used"},
                         BEGIN = {"110102", "Begin Transferring DICOM Instances"}, ACCESSED = {"110103", "DICOM Instances Accessed"},
                         TRANSFERRED = {"110104", "DICOM Instances Transferred"}, DELETED = {"110105", "DICOM Study Deleted"}, EXPORT = {"110106", "Export"},
                         IMPORT = {"110107", "Import"}, QUERY = {"110112", "Query"}, ALERT = {"110113", "Security Alert"},
                         AUTHENTICATION = {"110114", "User Authentication"};
static const struct code START = {"110120", "Application Start"}, STOP = {"110121", "Application Stop"}, LOGIN = {"110122", "Login"},
                         LOGOUT = {"110123", "Logout"}, OVERRIDE = {"110127", "Emergency Override Started"},
                         OVERRIDE_END = {"110138", "Emergency Override Stopped"}, NETWORK = {"110128", "Network Configuration"},
                         SECURITY = {"110129", "Security Configuration"}, SOFTWARE = {"110131", "Software Configuration"},
                         RESTRICTED = {"110132", "Use of Restricted Function"}, OBJECT_SECURITY = {"110135", "Object Security Attributes Changed"},
                         ROLES = {"110136", "Security Roles Changed"}, USER_SECURITY = {"110137", "User security Attributes Changed"};

// By the longest beginning of the type. sends: this server is the source of what goes over.
static const struct meaning {
    const char *type;
    const struct code *event, *kind;
    char action;
    bool sends;
} MEANINGS[] = {
    {"", &ACTIVITY, NULL, 'E', false},
    {"instance.", &TRANSFERRED, NULL, 'C', false},
    {"instance.deleted", &DELETED, NULL, 'D', false},
    {"instance.known", &TRANSFERRED, NULL, 'R', false},
    {"series.deleted", &DELETED, NULL, 'D', false},
    {"study.deleted", &DELETED, NULL, 'D', false},
    {"study.read", &ACCESSED, NULL, 'R', true},
    {"study.verified", &ACCESSED, NULL, 'R', true},
    {"study.queried", &QUERY, NULL, 'E', true},
    {"study.sent", &BEGIN, NULL, 'E', true},
    {"study.exported", &EXPORT, NULL, 'R', true},
    {"study.", &ALERT, &OBJECT_SECURITY, 'U', false},
    {"object.", &IMPORT, NULL, 'C', false},
    {"faults.read", &ACCESSED, NULL, 'R', true},
    {"holds.read", &ACCESSED, NULL, 'R', true},
    {"events.read", &LOG_USED, NULL, 'R', true},
    {"audit.", &LOG_USED, NULL, 'R', true},
    {"audit.alarm", &ALERT, &SECURITY, 'E', false},
    {"audit.cut", &LOG_USED, NULL, 'D', false},
    {"session.begun", &AUTHENTICATION, &LOGIN, 'E', false},
    {"session.refused", &AUTHENTICATION, &LOGIN, 'E', false},
    {"session.", &AUTHENTICATION, &LOGOUT, 'E', false},
    {"access.denied", &ALERT, &RESTRICTED, 'E', false},
    {"glass.", &ALERT, &OVERRIDE, 'E', false},
    {"glass.ended", &ALERT, &OVERRIDE_END, 'E', false},
    {"server.started", &ACTIVITY, &START, 'E', false},
    {"server.stopped", &ACTIVITY, &STOP, 'E', false},
    {"user.", &ALERT, &USER_SECURITY, 'U', false},
    {"account.", &ALERT, &USER_SECURITY, 'U', false},
    {"token.", &ALERT, &USER_SECURITY, 'U', false},
    {"role.", &ALERT, &ROLES, 'U', false},
    {"peer.", &ALERT, &NETWORK, 'U', false},
    {"site.", &ALERT, &SECURITY, 'U', false},
    {"key.", &ALERT, &SECURITY, 'U', false},
    {"attribute.", &ALERT, &SOFTWARE, 'U', false},
};

static const struct meaning *meaning_of(struct str type) {
    const struct meaning *best = &MEANINGS[0];
    for (size_t i = 1; i < sizeof MEANINGS / sizeof *MEANINGS; i++)
        if (str_starts(type, str_of(MEANINGS[i].type)) && str_of(MEANINGS[i].type).n > str_of(best->type).n) best = &MEANINGS[i];
    return best;
}

struct message {
    const struct audit_source *source;
    const struct audit_hit *h;
    const struct meaning *meaning;
    struct str patient, issuer;
    struct xml_writer w;
    struct buf *to;
};

// ---- parts ----

static void put_code(struct xml_writer *w, const char *name, const char *value, const char *system, const char *meaning) {
    xml_begin(w, name);
    xml_attrz(w, "csd-code", value);
    xml_attrz(w, "codeSystemName", system);
    xml_attrz(w, "originalText", meaning);
    xml_end(w);
}

static void put_base64(struct xml_writer *w, struct str bytes) {
    struct buf b;
    buf_init(&b, MESSAGE_BYTES_MAX);
    base64_encode(bytes.p, bytes.n, &b);
    xml_plain(w, buf_str(&b));
    buf_deinit(&b);
}

static void put_detail(struct xml_writer *w, const char *type, struct str value) {
    struct buf b;
    if (value.n == 0) return;
    buf_init(&b, MESSAGE_BYTES_MAX);
    base64_encode(value.p, value.n, &b);
    xml_begin(w, "ParticipantObjectDetail");
    xml_attrz(w, "type", type);
    xml_attr(w, "value", buf_str(&b));
    xml_end(w);
    buf_deinit(&b);
}

static void format_time(int64_t ms, char out[TIME_BYTES]) {
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, TIME_BYTES - n, ".%03dZ", (int)(ms % 1000));
}

static struct str member(const struct message *m, const char *name) {
    return json_text(json_get(m->h->detail, name));
}

static const char *outcome_of(const struct message *m) {
    struct str outcome = member(m, "outcome");
    return str_eqz(outcome, "denied") || str_eqz(outcome, "failed") || str_ends(m->h->event->type, STR_LIT(".refused")) ? "8" : "0";
}

static void put_event(struct message *m) {
    struct xml_writer *w = &m->w;
    const struct event *ev = m->h->event;
    char at[TIME_BYTES], action[2] = {m->meaning->action, '\0'}, type[96];
    struct str reason = member(m, "reason");
    format_time(ev->time_ms, at);
    snprintf(type, sizeof type, "%.*s", STR_FMT(ev->type));
    xml_begin(w, "EventIdentification");
    xml_attrz(w, "EventActionCode", action);
    xml_attrz(w, "EventDateTime", at);
    xml_attrz(w, "EventOutcomeIndicator", outcome_of(m));
    put_code(w, "EventID", m->meaning->event->value, "DCM", m->meaning->event->meaning);
    if (m->meaning->kind) put_code(w, "EventTypeCode", m->meaning->kind->value, "DCM", m->meaning->kind->meaning);
    put_code(w, "EventTypeCode", type, "99GANTRY", type);
    if (reason.n) xml_put(w, "EventOutcomeDescription", reason);
    xml_end(w);
}

static void put_address(struct xml_writer *w, struct str address) {
    if (address.n == 0) return;
    xml_attr(w, "NetworkAccessPointID", address);
    xml_attrz(w, "NetworkAccessPointTypeCode", "2");
}

static void put_role(struct xml_writer *w, bool source) {
    put_code(w, "RoleIDCode", source ? "110153" : "110152", "DCM", source ? "Source Role ID" : "Destination Role ID");
}

static void put_alternative(struct message *m, struct str aet) {
    struct buf b;
    buf_init(&b, 256);
    buf_addf(&b, "AETITLES=%.*s", STR_FMT(aet));
    xml_attr(&m->w, "AlternativeUserID", buf_str(&b));
    buf_deinit(&b);
}

// Who asked, and this server. A requestor over DIMSE is a process with an AE title.
static void put_participants(struct message *m) {
    struct xml_writer *w = &m->w;
    const struct event *ev = m->h->event;
    struct str user = audit_user_of(ev, m->h->detail), called = member(m, "called");
    xml_begin(w, "ActiveParticipant");
    xml_attr(w, "UserID", user.n ? user : ev->actor);
    if (str_starts(ev->actor, STR_LIT("dimse:"))) put_alternative(m, audit_user_of(ev, NULL));
    xml_attrz(w, "UserIsRequestor", "true");
    put_address(w, audit_address_of(ev, m->h->detail));
    put_role(w, !m->meaning->sends);
    xml_end(w);
    xml_begin(w, "ActiveParticipant");
    xml_attrz(w, "UserID", m->source->id);
    put_alternative(m, called.n ? called : str_of(m->source->aet));
    xml_attrz(w, "UserIsRequestor", "false");
    put_role(w, m->meaning->sends);
    xml_end(w);
    if (member(m, "destination").n) {
        xml_begin(w, "ActiveParticipant");
        xml_attr(w, "UserID", member(m, "destination"));
        put_alternative(m, member(m, "destination"));
        xml_attrz(w, "UserIsRequestor", "false");
        put_role(w, false);
        xml_end(w);
    }
}

static void begin_object(struct message *m, struct str id, const char *type, const char *role) {
    xml_begin(&m->w, "ParticipantObjectIdentification");
    xml_attr(&m->w, "ParticipantObjectID", id);
    xml_attrz(&m->w, "ParticipantObjectTypeCode", type);
    if (role) xml_attrz(&m->w, "ParticipantObjectTypeCodeRole", role);
}

static void put_instances(struct message *m) {
    struct xml_writer *w = &m->w;
    const struct event *ev = m->h->event;
    struct str sop_class = member(m, "sop_class");
    int64_t count = 0;
    char number[24];
    if (!json_to_i64(json_get(m->h->detail, "count"), &count)) count = ev->sop_instance_uid.n > 0;
    if (count == 0) return;
    snprintf(number, sizeof number, "%lld", (long long)count);
    xml_begin(w, "ParticipantObjectDescription");
    xml_begin(w, "SOPClass");
    if (sop_class.n) xml_attr(w, "UID", sop_class);
    xml_attrz(w, "NumberOfInstances", number);
    if (ev->sop_instance_uid.n) {
        xml_begin(w, "Instance");
        xml_attr(w, "UID", ev->sop_instance_uid);
        xml_end(w);
    }
    xml_end(w);
    xml_end(w);
}

static void put_study(struct message *m, struct str uid, bool own) {
    if (uid.n == 0) return;
    begin_object(m, uid, "2", "3");
    put_code(&m->w, "ParticipantObjectIDTypeCode", "110180", "DCM", "Study Instance UID");
    xml_put(&m->w, "ParticipantObjectName", uid);
    if (own) put_instances(m);
    xml_end(&m->w);
}

static void put_patient(struct message *m) {
    struct str id = member(m, "patient"), issuer = member(m, "issuer");
    struct buf b;
    if (!id.n) id = m->patient, issuer = m->issuer;
    if (!id.n) return;
    buf_init(&b, 4096);
    buf_add_str(&b, id);
    if (issuer.n) buf_addf(&b, "^^^%.*s", STR_FMT(issuer)); // CX (HL7)
    begin_object(m, buf_str(&b), "1", "1");
    put_code(&m->w, "ParticipantObjectIDTypeCode", "2", "RFC-3881", "Patient Number");
    xml_put(&m->w, "ParticipantObjectName", id);
    xml_end(&m->w);
    buf_deinit(&b);
}

static void put_query(struct message *m) {
    struct str query = member(m, "query");
    if (m->meaning->event != &QUERY) return;
    begin_object(m, member(m, "service").n ? member(m, "service") : STR_LIT("QIDO-RS"), "2", "24");
    put_code(&m->w, "ParticipantObjectIDTypeCode", "110181", "DCM", "SOP Class UID");
    xml_begin(&m->w, "ParticipantObjectQuery");
    put_base64(&m->w, query);
    xml_end(&m->w);
    put_detail(&m->w, "TransferSyntax", STR_LIT("1.2.840.10008.1.2.1"));
    xml_end(&m->w);
}

// The event itself, so that a message leads back to its place in the log.
static void put_self(struct message *m) {
    const struct event *ev = m->h->event;
    char seq[24], hash[DIGEST_HEX];
    snprintf(seq, sizeof seq, "%lld", (long long)ev->seq);
    hex_encode(ev->hash, sizeof ev->hash, hash);
    begin_object(m, str_of(seq), "2", "13");
    put_code(&m->w, "ParticipantObjectIDTypeCode", "event", "99GANTRY", "Event of the log");
    xml_put(&m->w, "ParticipantObjectName", ev->type);
    put_detail(&m->w, "hash", (struct str){hash, sizeof hash});
    put_detail(&m->w, "actor", ev->actor);
    put_detail(&m->w, "role", member(m, "role"));
    put_detail(&m->w, "purpose", member(m, "purpose"));
    put_detail(&m->w, "trace", member(m, "trace"));
    put_detail(&m->w, "series", ev->series_uid);
    put_detail(&m->w, "detail", ev->detail);
    xml_end(&m->w);
}

static void put_source(struct message *m) {
    xml_begin(&m->w, "AuditSourceIdentification");
    if (m->source->site) xml_attrz(&m->w, "AuditEnterpriseSiteID", m->source->site);
    xml_attrz(&m->w, "AuditSourceID", m->source->id);
    xml_begin(&m->w, "AuditSourceTypeCode");
    xml_attrz(&m->w, "csd-code", "4");
    xml_end(&m->w);
    xml_end(&m->w);
}

bool audit_message(const struct audit_source *source, const struct audit_hit *h, struct str patient, struct str issuer, struct buf *to, struct err *e) {
    struct message m = {.source = source, .h = h, .meaning = meaning_of(h->event->type), .patient = patient, .issuer = issuer, .to = to};
    const struct json *studies = json_get(h->detail, "studies");
    size_t from = to->n;
    xml_init(&m.w, to, false);
    if (!source->declaration) to->n = from;
    xml_begin(&m.w, "AuditMessage");
    put_event(&m);
    put_participants(&m);
    put_source(&m);
    put_study(&m, h->event->study_uid, true);
    for (const struct json *one = studies ? studies->first : NULL; one; one = one->next) put_study(&m, json_text(one), false);
    put_patient(&m);
    put_query(&m);
    put_self(&m);
    xml_end(&m.w);
    return buf_ok(to, e);
}

bool audit_syslog(const struct audit_source *source, const char *host, const struct audit_hit *h, struct str patient, struct str issuer, struct buf *to,
                  struct err *e) {
    struct buf line;
    char at[TIME_BYTES];
    buf_init(&line, MESSAGE_BYTES_MAX);
    format_time(h->event->time_ms, at);
    buf_addf(&line, "<%d>1 %s %s gantry %ld DICOM+RFC3881 - \xEF\xBB\xBF", SYSLOG_NOTICE, at, host, (long)getpid());
    bool ok = audit_message(source, h, patient, issuer, &line, e) && buf_ok(&line, e);
    if (ok) {
        buf_addf(to, "%zu ", line.n);
        buf_add_str(to, buf_str(&line));
        ok = buf_ok(to, e);
    }
    buf_deinit(&line);
    return ok;
}
