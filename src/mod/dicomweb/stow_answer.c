// The answer of STOW-RS: the Store Instances Response Module (PS3.18 Annex I), in JSON or XML, and the status of PS3.18 table 10.5.3-1.
#include "base/limits.h"
#include "dicom/json.h"
#include "dicom/xml.h"
#include "mod/dicomweb/stow.h"

static bool put_referenced(struct dcm_dataset *item, const struct stored *p, struct err *e) {
    if (!dcm_putz(item, DCM_ReferencedSOPClassUID, p->sop_class_uid, e)) return false;
    return dcm_putz(item, DCM_ReferencedSOPInstanceUID, p->sop_instance_uid, e);
}

static bool put_stored(const struct http_request *rq, struct dcm_dataset *ds, const struct stored *p, struct err *e) {
    struct dcm_dataset *item = dcm_put_item(ds, DCM_ReferencedSOPSequence, e);
    if (!item || !put_referenced(item, p, e)) return false;
    if (p->warning && !dcm_put_int(item, DCM_WarningReason, p->warning, e)) return false;
    struct str url = dw_link(rq, str_of(p->study_uid), str_of(p->series_uid), str_of(p->sop_instance_uid));
    return dcm_put_text(item, DCM_RetrieveURL, DCM_VR_UR, url, e);
}

// Without a SOP Instance UID to name it by, a failure is one of the others (PS3.18 I.2).
static bool put_failed(struct dcm_dataset *ds, const struct stored *p, struct err *e) {
    bool named = p->sop_instance_uid[0] != '\0';
    struct dcm_dataset *item = dcm_put_item(ds, named ? DCM_FailedSOPSequence : DCM_OtherFailuresSequence, e);
    if (!item || (named && !put_referenced(item, p, e))) return false;
    return dcm_put_int(item, DCM_FailureReason, p->failure, e);
}

// The one study of all that was stored, or {NULL, 0}.
static struct str study_of(const struct stow *s) {
    struct str study = {0};
    for (const struct stored *p = s->first; p; p = p->next) {
        if (p->failure || !p->study_uid[0]) continue;
        if (study.p && !str_eqz(study, p->study_uid)) return (struct str){0};
        study = str_of(p->study_uid);
    }
    return study;
}

static bool write_module(struct stow *s, struct buf *to, struct err *e) {
    struct dcm_dataset *ds = dcm_dataset_new(s->arena, e);
    struct str study = study_of(s), none = {NULL, 0};
    if (!ds) return false;
    // Type 2: empty where there is no one study (PS3.18 table I.1-1).
    if (!dcm_put_text(ds, DCM_RetrieveURL, DCM_VR_UR, study.p ? dw_link(s->rq, study, none, none) : STR_LIT(""), e)) return false;
    for (const struct stored *p = s->first; p; p = p->next)
        if (!(p->failure ? put_failed(ds, p, e) : put_stored(s->rq, ds, p, e))) return false;
    struct dcm_json_options o = {0};
    bool xml = str_ends(str_of(s->type), STR_LIT("xml"));
    return (xml ? dcm_xml_write(ds, &o, s->arena, to, e) : dcm_json_write(ds, &o, s->arena, to, e)) && buf_ok(to, e);
}

// 200 all stored, 202 some or with warnings, 409 none; when all failed for reasons that pass, 503, or 507 for want of room.
static unsigned status_of(const struct stow *s) {
    if (s->failed == 0) return s->warned ? 202 : 200;
    if (s->ok) return 202;
    unsigned passing = 409;
    for (const struct stored *p = s->first; p; p = p->next) {
        if (!err_class_of(p->kind)->retry) return 409;
        passing = p->kind == ERR_FULL ? 507 : 503;
    }
    return passing;
}

bool stow_answer(struct stow *s, struct http_response *rs, struct err *e) {
    struct buf b;
    buf_init(&b, HTTP_JSON_BYTES_MAX);
    bool ok = write_module(s, &b, e);
    unsigned status = status_of(s);
    if (ok) http_reply_buf(rs, status, s->type, &b);
    if (ok && status > 500) http_setz(rs, "Retry-After", "5");
    buf_deinit(&b);
    // What the standard's answer has no place for, and 'gantry import' counts.
    char *outcome = arena_printf(s->arena, NULL, "stored=%u, known=%u, conflicting=%u, quarantined=%u", s->of[INGEST_STORED], s->of[INGEST_KNOWN],
                                 s->of[INGEST_CONFLICT], s->of[INGEST_QUARANTINED]);
    if (ok && outcome) http_setz(rs, "Gantry-Outcome", outcome);
    return ok;
}
