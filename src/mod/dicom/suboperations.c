// What C-MOVE and C-GET have in common: which objects, counts, the final answer (PS3.4 C.4.2, C.4.3).
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "dicom/charset.h"
#include "dimse/scu.h"
#include "mod/dicom/internal.h"

// The unique keys of the level and above (PS3.4 C.4.2.2.1). Keys below the level are not looked at.
static bool read_keys(struct arena *a, const struct dcm_dataset *ds, enum model model, struct retrieve_query *out, struct err *e) {
    enum qr_level level;
    unsigned flags;
    *out = (struct retrieve_query){0};
    if (!dicom_level_of(ds, model, &level, e)) return false;
    if (model != MODEL_STUDY_ROOT && !dcm_text_utf8(a, ds, DCM_PatientID, true, &out->patient_id, &flags, e)) return false;
    out->patient_id = str_trim(out->patient_id);
    if (out->patient_id.n) out->issuer = dcm_text(ds, DCM_IssuerOfPatientID);
    if (level >= QR_STUDY) out->study_uids = dcm_text(ds, DCM_StudyInstanceUID);
    if (level >= QR_SERIES) out->series_uids = dcm_text(ds, DCM_SeriesInstanceUID);
    if (level >= QR_IMAGE) out->sop_instance_uids = dcm_text(ds, DCM_SOPInstanceUID);
    const struct str own[] = {out->patient_id, out->study_uids, out->series_uids, out->sop_instance_uids};
    static const char *const NAMES[] = {"Patient ID", "Study Instance UID", "Series Instance UID", "SOP Instance UID"};
    if (own[level].n) return true;
    return err_set(e, ERR_BAD_INPUT, "dicom", "the unique key of the level, %s, is missing", NAMES[level]);
}

bool suboperations_plan(const struct dicom_module *m, struct scp_request *rq, struct arena *a, struct suboperations *out, bool *ok, struct err *e) {
    const struct actor who = dicom_actor(rq);
    struct dcm_dataset *identifier;
    struct retrieve_query query;
    struct err why = {0};
    *out = (struct suboperations){0};
    if (!dicom_identifier(rq, a, &identifier, ok, e)) return false;
    uint16_t status = DIMSE_MISMATCH;
    bool good = read_keys(a, identifier, dicom_model_of(rq->context->abstract_syntax), &query, &why);
    query.permission = rq->command.field == DIMSE_C_MOVE ? ACCESS_STUDY_SEND : ACCESS_STUDY_READ;
    if (good) {
        good = retrieve_list(m->archive, &who, a, &query, &out->list, &why);
        status = why.kind == ERR_BAD_INPUT ? DIMSE_MISMATCH : DIMSE_CANNOT_COUNT;
    }
    if (good) {
        out->failures = arena_zero(a, out->list.count, sizeof(void *), &why);
        out->queue = arena_zero(a, out->list.count, sizeof(void *), &why);
        good = out->failures && out->queue;
    }
    for (size_t i = 0; good && i < out->list.count; i++) out->queue[out->queued++] = &out->list.refs[i];
    if (why.kind == ERR_FORBIDDEN || why.kind == ERR_UNAUTHORIZED) status = DIMSE_NOT_AUTHORIZED;
    const struct dicom_noted noted = {.type = rq->command.field == DIMSE_C_MOVE ? "study.sent" : "study.read",
                                      .keys = identifier,
                                      .list = good ? &out->list : NULL,
                                      .status = good ? DIMSE_SUCCESS : status};
    if (!dicom_note(m->archive, rq, &noted, ok, e)) return false;
    if (!good) *ok = scp_finish(rq, status, why.message, e);
    return good;
}

void suboperations_count(struct suboperations *s, bool sent, uint16_t status, const char *reason) {
    const struct instance_ref *ref = s->queue[s->at++];
    if (sent && status == DIMSE_SUCCESS) {
        s->completed++;
    } else if (sent && dimse_is_warning(status)) {
        s->warning++;
    } else {
        s->failures[s->failed++] = ref;
        snprintf(s->reason, sizeof s->reason, "%s", sent ? dimse_status_text(status) : reason);
    }
}

void suboperations_converted(struct suboperations *s, const struct dcm_ts *to) {
    if (!to) return;
    s->converted++;
    s->converted_to = to;
}

void suboperations_defer(struct suboperations *s, const struct instance_ref **deferred, size_t *count) {
    deferred[(*count)++] = s->queue[s->at++];
}

size_t suboperations_remaining(const struct suboperations *s) {
    return s->list.count - s->completed - s->failed - s->warning;
}

static uint16_t clamp(size_t n) {
    return n > 0xFFFF ? 0xFFFF : (uint16_t)n;
}

static void put_counts(struct dimse_command *rsp, const struct suboperations *s) {
    rsp->completed = clamp(s->completed);
    rsp->failed = clamp(s->failed);
    rsp->warning = clamp(s->warning);
    rsp->has |= DIMSE_HAS_SUBOPERATIONS;
}

static void put_remaining(struct dimse_command *rsp, const struct suboperations *s) {
    rsp->remaining = clamp(suboperations_remaining(s));
    rsp->has |= DIMSE_HAS_REMAINING;
}

void suboperations_refuse(struct suboperations *s, const char *reason) {
    while (s->at < s->queued) suboperations_count(s, false, 0, reason);
}

bool suboperations_pending(struct scp_request *rq, const struct suboperations *s, struct err *e) {
    struct dimse_command rsp = dimse_response(&rq->command, DIMSE_PENDING);
    put_counts(&rsp, s);
    put_remaining(&rsp, s);
    return scp_respond(rq, &rsp, NULL, 0, e);
}

// Failed SOP Instance UID List (0008,0058); {NULL, 0} when nothing failed or it cannot be made.
static struct str failed_list(const struct scp_request *rq, const struct suboperations *s, struct arena *a, struct buf *bytes) {
    struct buf uids;
    struct dcm_dataset *ds = s->failed ? dcm_dataset_new(a, NULL) : NULL;
    buf_init(&uids, DIMSE_IDENTIFIER_BYTES_MAX);
    for (size_t i = 0; i < s->failed; i++) {
        if (i) buf_addc(&uids, '\\');
        buf_add_str(&uids, s->failures[i]->sop_instance_uid);
    }
    bool ok = ds && buf_ok(&uids, NULL) && dcm_put_text(ds, DCM_FailedSOPInstanceUIDList, DCM_VR_UI, buf_str(&uids), NULL) &&
              dimse_encode(ds, rq->context->transfer_syntax, bytes, NULL);
    buf_deinit(&uids);
    return ok ? buf_str(bytes) : (struct str){NULL, 0};
}

// PS3.4 C.4.2.3.1: a failure when not one sub-operation was successful.
static uint16_t final_status(const struct suboperations *s) {
    if (s->failed && s->completed + s->warning == 0) return DIMSE_CANNOT_SUBOPERATE;
    return s->failed || s->warning ? DIMSE_SUBOPERATIONS_WARNING : DIMSE_SUCCESS;
}

// What happened that the counts do not tell: into the Error Comment, which goes with success too (PS3.7 C), and into the log.
static void tell(struct dimse_command *rsp, const struct scp_request *rq, const struct suboperations *s) {
    char text[65];
    if (s->converted)
        log_line(LOG_INFO, "dicom", "%s of %s: %u of %zu objects were converted (the last to %s)", rq->command.field == DIMSE_C_MOVE ? "C-MOVE" : "C-GET",
                 rq->session->d.ul.calling, s->converted, s->list.count, s->converted_to->name);
    if (s->failed) {
        dimse_comment(rsp, s->reason);
    } else if (s->converted) {
        snprintf(text, sizeof text, "%u converted to %.40s", s->converted, s->converted_to->name);
        dimse_comment(rsp, text);
    }
}

bool suboperations_finish(struct scp_request *rq, struct suboperations *s, struct arena *a, struct err *e) {
    bool cancelled = suboperations_remaining(s) && (rq->cancelled || rq->gone || scp_stopping(rq->session));
    uint16_t status = cancelled ? DIMSE_CANCEL : final_status(s);
    struct dimse_command rsp = dimse_response(&rq->command, status);
    struct buf bytes;
    buf_init(&bytes, DIMSE_IDENTIFIER_BYTES_MAX);
    put_counts(&rsp, s);
    if (cancelled) put_remaining(&rsp, s);
    tell(&rsp, rq, s);
    struct str list = failed_list(rq, s, a, &bytes);
    bool ok = scp_respond(rq, &rsp, list.p, list.n, e);
    buf_deinit(&bytes);
    return ok;
}
