// Start, admission and the table of services.
#include "mod/dicom/dicom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/trace.h"
#include "core/peers.h"
#include "dicom/uid.h"
#include "dimse/scu.h"
#include "mod/dicom/internal.h"

enum { ASYNC_MAX = 16 };

static const struct scp_service VERIFICATION = {.name = "Verification"};
static const struct scp_service STORAGE = {.name = "Storage", .store = &DICOM_STORE_SINK};
static const struct scp_service FIND = {.name = "Query", .find = dicom_find};
static const struct scp_service MOVE = {.name = "Retrieve by C-MOVE", .move = dicom_move};
static const struct scp_service GET = {.name = "Retrieve by C-GET", .get = dicom_get};
static const struct scp_service COMMITMENT = {.name = "Storage Commitment Push Model", .action = dicom_commit};

static const struct offered {
    const char *uid; // NULL: every SOP class of storage in the UID registry
    const struct scp_service *service;
    enum permission permission; // what each of its requests needs
    enum model model;
    const char *extended; // what of the service class application information is taken, byte by byte
    uint8_t extended_n;   // at most what struct ul_choice has room for
} OFFERED[] = {
    {UID_VERIFICATION, &VERIFICATION, ACCESS_OPEN, 0, "", 0},
    {"1.2.840.10008.5.1.4.1.2.1.1", &FIND, ACCESS_STUDY_FIND, MODEL_PATIENT_ROOT, "\1\1\1\0\0", 5},
    {"1.2.840.10008.5.1.4.1.2.1.2", &MOVE, ACCESS_STUDY_SEND, MODEL_PATIENT_ROOT, "\1\0", 2},
    {"1.2.840.10008.5.1.4.1.2.1.3", &GET, ACCESS_STUDY_READ, MODEL_PATIENT_ROOT, "\1\0", 2},
    {"1.2.840.10008.5.1.4.1.2.2.1", &FIND, ACCESS_STUDY_FIND, MODEL_STUDY_ROOT, "\1\1\1\0\0", 5},
    {"1.2.840.10008.5.1.4.1.2.2.2", &MOVE, ACCESS_STUDY_SEND, MODEL_STUDY_ROOT, "\1\0", 2},
    {"1.2.840.10008.5.1.4.1.2.2.3", &GET, ACCESS_STUDY_READ, MODEL_STUDY_ROOT, "\1\0", 2},
    {"1.2.840.10008.5.1.4.1.2.3.1", &FIND, ACCESS_STUDY_FIND, MODEL_PATIENT_STUDY_ONLY, "\1\1\1\0\0", 5},
    {"1.2.840.10008.5.1.4.1.2.3.2", &MOVE, ACCESS_STUDY_SEND, MODEL_PATIENT_STUDY_ONLY, "\1\0", 2},
    {"1.2.840.10008.5.1.4.1.2.3.3", &GET, ACCESS_STUDY_READ, MODEL_PATIENT_STUDY_ONLY, "\1\0", 2},
    {UID_STORAGE_COMMITMENT, &COMMITMENT, ACCESS_STUDY_COMMIT, 0, "", 0},
    {NULL, &STORAGE, ACCESS_STUDY_STORE, 0, "", 0},
};
enum { OFFERED_COUNT = sizeof OFFERED / sizeof *OFFERED };

static const struct offered *find_offered(struct str uid) {
    for (unsigned i = 0; i < OFFERED_COUNT; i++)
        if (OFFERED[i].uid && str_eqz(uid, OFFERED[i].uid)) return &OFFERED[i];
    return NULL;
}

static const struct offered *offered_storage(void) {
    const struct offered *o = OFFERED;
    while (o->service != &STORAGE) o++;
    return o;
}

enum permission dicom_permission_of(struct str sop_class_uid) {
    const struct offered *o = find_offered(sop_class_uid);
    return o ? o->permission : offered_storage()->permission;
}

bool dicom_service_at(unsigned i, const char **uid, unsigned *permission) {
    if (i >= OFFERED_COUNT) return false;
    *uid = OFFERED[i].uid;
    *permission = OFFERED[i].permission;
    return true;
}

enum model dicom_model_of(const char *sop_class_uid) {
    const struct offered *o = find_offered(str_of(sop_class_uid));
    return o ? o->model : MODEL_STUDY_ROOT;
}

bool dicom_extended(const struct ul_context *c, unsigned byte) {
    return byte < c->extended.n && c->extended.p[byte] == 1;
}

struct scu_target dicom_target(const struct dicom_config *config, const struct peer_destination *to) {
    struct scu_target t = {.port = to->port, .guard = config->guard, .tls = to->tls ? config->calls : NULL, .tls_name = *to->tls_name ? to->tls_name : NULL};
    snprintf(t.aet, sizeof t.aet, "%s", to->aet);
    snprintf(t.host, sizeof t.host, "%s", to->host);
    return t;
}

struct actor dicom_actor(const struct scp_request *rq) {
    const struct scp_session *s = rq->session;
    const struct principal *p = dicom_principal(s);
    bool user = p && p != dicom_peer(s); // one that was checked
    return (struct actor){.door = DOOR_DIMSE,
                          .aet = str_of(s->d.ul.calling),
                          .called = str_of(s->d.ul.called),
                          .address = str_of(s->d.ul.conn.address),
                          .user = user ? p->name : (struct str){"", 0},
                          .principal = p,
                          .purpose = user ? p->glass : (struct str){"", 0},
                          .trace = trace_id()};
}

// ---- negotiation ----

// The first of the proposed transfer syntaxes in our order, or -1.
static int prefer(const struct pdu_context *c, const char *const *order, unsigned n) {
    for (unsigned k = 0; k < n; k++)
        for (unsigned i = 0; i < c->ts_count; i++)
            if (str_eqz(c->ts[i], order[k])) return (int)i;
    return -1;
}

static int first_known(const struct pdu_context *c) {
    for (unsigned i = 0; i < c->ts_count; i++)
        if (dcm_ts_find(c->ts[i])) return (int)i;
    return -1;
}

static void take(struct ul_choice *out, const struct scp_service *service, int ts) {
    out->result = ts < 0 ? PDU_CONTEXT_TRANSFER_SYNTAXES : PDU_CONTEXT_ACCEPTED;
    out->ts = ts < 0 ? 0 : (unsigned)ts;
    out->service = service;
}

static const char *const PLAIN[] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"};

// A behaviour is negotiated when it was asked for and is offered (PS3.4 C.5.1.1): who asks for relational queries alone gets no fuzzy matching.
static void choose_extended(const struct offered *o, struct str asked, struct ul_choice *out) {
    size_t n = asked.n < o->extended_n ? asked.n : o->extended_n;
    for (size_t i = 0; i < n; i++) out->extended_bytes[i] = asked.p[i] == 1 ? o->extended[i] : 0;
    out->extended = (struct str){out->extended_bytes, n};
}

static void choose_storage(const struct pdu_context *proposed, const struct pdu_role *role, struct str extended, struct ul_choice *out) {
    // What is to be received is taken as the sender likes it best. What is to be sent (C-GET) is best taken uncompressed: objects that lie so can be converted
    // between the three, and no peer proposes that context alone for a compressed one.
    int ts = role && role->scp ? prefer(proposed, PLAIN, 3) : -1;
    take(out, offered_storage()->service, ts >= 0 ? ts : first_known(proposed));
    out->scu = role ? role->scu : true;
    out->scp = role && role->scp;
    if (extended.n) out->extended = (struct str){"\2\0\3\0\0\0", 6}; // level 2 (full), bit preserving, no coercion
}

void dicom_choose(void *ctx, struct scp_session *s, const struct pdu_context *proposed, const struct pdu_role *role, struct str extended,
                  struct ul_choice *out) {
    const struct dicom_module *m = ctx;
    const struct offered *o = find_offered(proposed->abstract_syntax);
    const struct dcm_uid_entry *entry = o ? NULL : dcm_uid_find(proposed->abstract_syntax);
    (void)s;
    if (o) {
        take(out, o->service, prefer(proposed, PLAIN, 3));
        choose_extended(o, extended, out);
    } else if (entry ? entry->storage : m->config->accept_unknown_storage && dcm_uid_valid(proposed->abstract_syntax, false)) {
        choose_storage(proposed, role, extended, out);
    }
}

// ---- identifiers ----

bool dicom_level_of(const struct dcm_dataset *identifier, enum model model, enum qr_level *out, struct err *e) {
    static const char *const LEVELS[] = {"PATIENT", "STUDY", "SERIES", "IMAGE"};
    struct str level = dcm_text(identifier, DCM_QueryRetrieveLevel);
    for (int i = 0; i < 4; i++) {
        if (!str_eq_nocase(level, str_of(LEVELS[i]))) continue;
        *out = (enum qr_level)i;
        bool allowed = model == MODEL_PATIENT_ROOT || (model == MODEL_STUDY_ROOT ? i > QR_PATIENT : i < QR_SERIES);
        return allowed || err_set(e, ERR_BAD_INPUT, "dicom", "Query/Retrieve Level %s is not in this model", LEVELS[i]);
    }
    return err_set(e, ERR_BAD_INPUT, "dicom", level.n ? "Query/Retrieve Level '%.*s' is none" : "Query/Retrieve Level is missing%.*s",
                   STR_FMT(str_sub(level, 0, 16)));
}

bool dicom_identifier(struct scp_request *rq, struct arena *a, struct dcm_dataset **out, bool *ok, struct err *e) {
    struct err why = {0};
    if (!rq->identifier.p)
        err_set(&why, ERR_BAD_INPUT, "dicom", "the request has no identifier");
    else if (dimse_decode(a, rq->context->transfer_syntax, rq->identifier, out, &why))
        return true;
    *ok = scp_finish(rq, DIMSE_MISMATCH, why.message, e);
    return false;
}

// ---- start and stop ----

static bool all_declared(struct err *e) {
    for (unsigned i = 0; i < OFFERED_COUNT; i++)
        if (OFFERED[i].permission == ACCESS_UNDECLARED)
            return err_set(e, ERR_INTERNAL, "dicom", "a service declares no permission: %s", OFFERED[i].service->name);
    return true;
}

static void free_module(struct dicom_module *m) {
    pthread_mutex_destroy(&m->lock);
    free(m);
}

bool dicom_start(const struct dicom_config *config, struct archive *archive, struct dicom_module **out, struct err *e) {
    if (!all_declared(e)) return false;
    struct dicom_module *m = calloc(1, sizeof *m);
    if (!m) return err_nomem(e, "dicom");
    pthread_mutex_init(&m->lock, NULL);
    m->config = config;
    m->archive = archive;
    const struct scp_config scp = {.bind = config->bind,
                                   .port = config->port,
                                   .tls = config->tls,
                                   .plain_too = config->plain_too,
                                   .plain_port = config->plain_port,
                                   .timers = config->timers,
                                   .associations_max = config->associations_max,
                                   .per_peer_max = config->per_peer_max,
                                   .per_second = config->per_second,
                                   .async_max = ASYNC_MAX,
                                   .drain_ms = config->drain_ms,
                                   .handlers = {.ctx = m, .admit = dicom_admit, .permit = dicom_permit, .choose = dicom_choose, .ended = dicom_ended}};
    bool ok = commit_queue_start(m, &m->commits, e);
    if (ok && !scp_start(&scp, &m->scp, e)) {
        commit_queue_stop(m->commits);
        ok = false;
    }
    if (ok)
        *out = m;
    else
        free_module(m);
    return ok;
}

uint16_t dicom_port(const struct dicom_module *m) {
    return scp_port(m->scp);
}

uint16_t dicom_plain_port(const struct dicom_module *m) {
    return scp_plain_port(m->scp);
}

void dicom_figures(struct dicom_module *m, struct scp_figures *out) {
    scp_figures_get(m->scp, out);
}

void dicom_stop(struct dicom_module *m) {
    scp_stop(m->scp);
    commit_queue_stop(m->commits);
    free_module(m);
}
