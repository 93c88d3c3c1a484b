// What the files of the DICOM door share.
#ifndef GANTRY_MOD_DICOM_INTERNAL_H
#define GANTRY_MOD_DICOM_INTERNAL_H

#include <pthread.h>

#include "core/access.h"
#include "core/accounts.h"
#include "core/archive.h"
#include "core/retrieve.h"
#include "dicom/dataset.h"
#include "dimse/scp.h"
#include "dimse/send.h"
#include "mod/dicom/dicom.h"

struct commit_queue;
struct dicom_session;
struct peer_destination;

struct dicom_module {
    const struct dicom_config *config;
    struct archive *archive;
    struct scp_server *scp;
    struct commit_queue *commits;
    pthread_mutex_t lock; // of sessions
    struct dicom_session *sessions;
};

#define UID_VERIFICATION "1.2.840.10008.1.1"
#define UID_STORAGE_COMMITMENT "1.2.840.10008.1.20.1"
#define UID_STORAGE_COMMITMENT_INSTANCE "1.2.840.10008.1.20.1.1"

enum { DICOM_REQUEST_ARENA_BYTES = 256 * 1024 * 1024 }; // ceiling of one request's work; a list of instances is most of it

// The information model of a context's SOP class.
enum model { MODEL_PATIENT_ROOT, MODEL_STUDY_ROOT, MODEL_PATIENT_STUDY_ONLY };
enum model dicom_model_of(const char *sop_class_uid);
enum qr_level { QR_PATIENT, QR_STUDY, QR_SERIES, QR_IMAGE };
// Query/Retrieve Level of an identifier, as its model allows. ERR_BAD_INPUT.
bool dicom_level_of(const struct dcm_dataset *identifier, enum model model, enum qr_level *out, struct err *e);

struct actor dicom_actor(const struct scp_request *rq);
// Whom an association stands for, until its next request.
const struct principal *dicom_principal(const struct scp_session *s);
// The peer alone, whoever uses it.
const struct principal *dicom_peer(const struct scp_session *s);
bool dicom_admit(void *ctx, struct scp_session *s, const struct pdu_associate *rq, struct pdu_reject *why, struct err *e);
uint16_t dicom_permit(void *ctx, struct scp_request *rq, struct err *e);
void dicom_ended(void *ctx, struct scp_session *s);
// A user that an association has identified, beside the peer that it comes from.
struct dicom_user {
    enum { DICOM_USER_NONE, DICOM_USER_SESSION, DICOM_USER_TOKEN, DICOM_USER_JWT } how;
    struct arena arena;                  // of principal
    char secret[ACCOUNT_SECRET_HEX + 1]; // of the session, or the token
    const struct principal *principal;   // NULL: nobody
};
// ERR_UNAUTHORIZED: an identity was given, and is not taken.
bool dicom_identify(const struct dicom_module *m, const struct scp_session *s, struct dicom_user *out, struct err *e);
// Before each request: whether it still counts.
bool dicom_user_now(const struct dicom_module *m, struct dicom_user *u, struct err *e);
void dicom_user_end(const struct dicom_module *m, struct dicom_user *u);

// Of the table of services; every SOP class of storage has that of storage.
enum permission dicom_permission_of(struct str sop_class_uid);
// Where and how a peer is called; borrows to.
struct scu_target dicom_target(const struct dicom_config *config, const struct peer_destination *to);
// The request's identifier, in a. false: it was answered (A900 and why); *ok is whether the association goes on.
bool dicom_identifier(struct scp_request *rq, struct arena *a, struct dcm_dataset **out, bool *ok, struct err *e);

// One event of a request, before anything of what it asked for goes out.
struct dicom_noted {
    const char *type;                 // of audit_note; with DIMSE_NOT_AUTHORIZED it is access.denied
    const struct dcm_dataset *keys;   // its identifier; may be NULL
    const struct instance_list *list; // what it reaches; may be NULL
    uint64_t count;                   // of objects, without a list
    uint16_t status;                  // what it is refused with; DIMSE_SUCCESS: it is done
};
// false: it was answered instead, since it could not be noted; *ok is whether the association goes on.
bool dicom_note(struct archive *ar, struct scp_request *rq, const struct dicom_noted *what, bool *ok, struct err *e);
// The same of what is refused anyway, whether it can be noted or not: a request, and an association.
void dicom_note_refusal(struct archive *ar, struct scp_request *rq, const struct err *why);
void dicom_note_stranger(struct archive *ar, const struct scp_session *s, const struct pdu_associate *rq, const struct err *why);

// Extended negotiation answers (PS3.4 C.5.1.1, C.5.2.1, B.3.1) that were agreed on.
enum { EXT_RELATIONAL, EXT_COMBINED_DATETIME, EXT_FUZZY };
bool dicom_extended(const struct ul_context *c, unsigned byte);

void dicom_choose(void *ctx, struct scp_session *s, const struct pdu_context *proposed, const struct pdu_role *role, struct str extended,
                  struct ul_choice *out);

extern const struct scp_sink DICOM_STORE_SINK;
scp_handler dicom_find, dicom_move, dicom_get, dicom_commit;

bool commit_queue_start(struct dicom_module *m, struct commit_queue **out, struct err *e);
void commit_queue_stop(struct commit_queue *q);

// ---- sub-operations of C-MOVE and C-GET ----

// Counts and failed instances of a retrieve.
struct suboperations {
    struct instance_list list;
    const struct instance_ref **queue; // what this round sends
    size_t queued, at;                 // at: the next of it
    uint32_t completed, failed, warning;
    const struct instance_ref **failures; // as many as the list has room for
    char reason[65];                      // of the last failure
    uint32_t converted;                   // of those completed
    const struct dcm_ts *converted_to;    // the last one's
};
// What to send, from the identifier. false: it was answered; *ok as above.
bool suboperations_plan(const struct dicom_module *m, struct scp_request *rq, struct arena *a, struct suboperations *out, bool *ok, struct err *e);
// Puts the next off to a later round.
void suboperations_defer(struct suboperations *s, const struct instance_ref **deferred, size_t *count);
size_t suboperations_remaining(const struct suboperations *s);
// One outcome: status of the C-STORE-RSP, or a failure when sent is false.
void suboperations_count(struct suboperations *s, bool sent, uint16_t status, const char *reason);
// The object that was counted last went out in another transfer syntax than it is stored in (NULL: it did not).
void suboperations_converted(struct suboperations *s, const struct dcm_ts *to);
// None of those left can be tried: the destination cannot be reached.
void suboperations_refuse(struct suboperations *s, const char *reason);
bool suboperations_pending(struct scp_request *rq, const struct suboperations *s, struct err *e);
// The final response: success, B000, A702 or cancelled, with the list of failed instances.
bool suboperations_finish(struct scp_request *rq, struct suboperations *s, struct arena *a, struct err *e);

// As send_object.
enum send_result instance_send(struct archive *ar, struct dimse *d, const struct instance_ref *ref, const char *originator, uint16_t originator_id,
                               struct send_report *report, struct err *e);

#endif
