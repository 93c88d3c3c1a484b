// Start, admission and the table of services.
#include "mod/dicom/dicom.h"

#include <stdlib.h>
#include <string.h>

#include "core/access.h"
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

// Every SOP class but those of storage, which are in the UID registry.
static const struct offered {
    const char *uid;
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
};
enum { OFFERED_COUNT = sizeof OFFERED / sizeof *OFFERED };

static const struct offered *find_offered(struct str uid) {
    for (unsigned i = 0; i < OFFERED_COUNT; i++)
        if (str_eqz(uid, OFFERED[i].uid)) return &OFFERED[i];
    return NULL;
}

enum model dicom_model_of(const char *sop_class_uid) {
    const struct offered *o = find_offered(str_of(sop_class_uid));
    return o ? o->model : MODEL_STUDY_ROOT;
}

bool dicom_extended(const struct ul_context *c, unsigned byte) {
    return byte < c->extended.n && c->extended.p[byte] == 1;
}

const struct dicom_peer *dicom_peer_find(const struct dicom_config *config, const char *aet) {
    for (unsigned i = 0; i < config->peer_count; i++)
        if (strcmp(config->peers[i].aet, aet) == 0) return &config->peers[i];
    return NULL;
}

struct actor dicom_actor(const struct scp_request *rq) {
    const struct scp_session *s = rq->session;
    return (struct actor){.door = DOOR_DIMSE,
                          .aet = str_of(s->d.ul.calling),
                          .called = str_of(s->d.ul.called),
                          .address = str_of(s->d.ul.conn.address),
                          .user = {"", 0}, // a user identity that nobody has checked is no user
                          .principal = &PRINCIPAL_OF_LOCAL};
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
    take(out, &STORAGE, ts >= 0 ? ts : first_known(proposed));
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

static bool admit(void *ctx, struct scp_session *s, const struct pdu_associate *rq, struct pdu_reject *why, struct err *e) {
    const struct dicom_config *config = ((const struct dicom_module *)ctx)->config;
    (void)s;
    if (!config->any_called && !str_eqz(rq->called, config->aet)) {
        *why = PDU_REJECT_CALLED;
        return err_set(e, ERR_FORBIDDEN, "dicom", "the called AE title is not %s", config->aet);
    }
    if (!config->known_callers_only) return true;
    for (unsigned i = 0; i < config->peer_count; i++)
        if (str_eqz(rq->calling, config->peers[i].aet)) return true;
    *why = PDU_REJECT_CALLING;
    return err_set(e, ERR_FORBIDDEN, "dicom", "the calling AE title is no known peer's; name it with --peer");
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

bool dicom_start(const struct dicom_config *config, struct archive *archive, struct dicom_module **out, struct err *e) {
    struct dicom_module *m = calloc(1, sizeof *m);
    if (!m) return err_nomem(e, "dicom");
    m->config = config;
    m->archive = archive;
    const struct scp_config scp = {.bind = config->bind,
                                   .port = config->port,
                                   .timers = config->timers,
                                   .associations_max = config->associations_max,
                                   .per_peer_max = config->per_peer_max,
                                   .async_max = ASYNC_MAX,
                                   .drain_ms = config->drain_ms,
                                   .handlers = {.ctx = m, .admit = admit, .choose = dicom_choose}};
    bool ok = commit_queue_start(m, &m->commits, e);
    if (ok && !scp_start(&scp, &m->scp, e)) {
        commit_queue_stop(m->commits);
        ok = false;
    }
    if (!ok) {
        free(m);
        return false;
    }
    *out = m;
    return true;
}

uint16_t dicom_port(const struct dicom_module *m) {
    return scp_port(m->scp);
}

void dicom_figures(struct dicom_module *m, struct scp_figures *out) {
    scp_figures_get(m->scp, out);
}

void dicom_stop(struct dicom_module *m) {
    scp_stop(m->scp);
    commit_queue_stop(m->commits);
    free(m);
}
