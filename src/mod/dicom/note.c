// Requests of DIMSE as events of the audit trail: one of each, before it is answered.
#include <stdio.h>

#include "base/log.h"
#include "core/audit.h"
#include "dicom/charset.h"
#include "dicom/dict.h"
#include "mod/dicom/internal.h"
#include "text/json.h"

enum { DETAIL_BYTES = 64 * 1024, QUERY_BYTES = 2048, VALUE_BYTES = 128, STUDIES_MAX = 200 };

// "PatientName=WANG*&StudyDate=20260101-": the keys that are asked by.
static void put_query(struct json_writer *j, struct arena *a, const struct dcm_dataset *keys) {
    struct buf b;
    buf_init(&b, DETAIL_BYTES);
    for (unsigned i = 0; i < keys->count && b.n < QUERY_BYTES; i++) {
        const struct dcm_element *el = &keys->elements[i];
        const struct dcm_dict_entry *entry = dcm_dict_find(el->tag);
        struct str value;
        unsigned flags;
        if (!el->length || !dcm_text_utf8(a, keys, el->tag, true, &value, &flags, NULL) || str_trim(value).n == 0) continue;
        buf_addf(&b, "%s%s=%.*s", b.n ? "&" : "", entry ? entry->keyword : "?", STR_FMT(str_sub(str_trim(value), 0, VALUE_BYTES)));
    }
    if (b.n && buf_ok(&b, NULL)) json_put_str(j, "query", buf_str(&b));
    buf_deinit(&b);
}

static bool is_listed(const struct instance_list *list, size_t before, struct str study) {
    for (size_t i = 0; i < before; i++)
        if (str_eq(list->refs[i].study_uid, study)) return true;
    return false;
}

// One study is the event's own; of several each is named, so that each of them is found by it.
static struct str put_studies(struct json_writer *j, const struct instance_list *list) {
    struct str last = {0};
    unsigned n = 0;
    if (!list || list->count == 0) return last;
    for (size_t i = 0; i < list->count && str_eq(list->refs[i].study_uid, list->refs[0].study_uid); i++) n = i + 1 == list->count;
    if (n) return list->refs[0].study_uid;
    json_key(j, "studies");
    json_begin_array(j);
    for (size_t i = 0; i < list->count && n < STUDIES_MAX; i++) {
        if (str_eq(list->refs[i].study_uid, last) || is_listed(list, i, list->refs[i].study_uid)) continue;
        last = list->refs[i].study_uid;
        json_str(j, last);
        n++;
    }
    json_end_array(j);
    return (struct str){0};
}

static void put_command(struct json_writer *j, const struct scp_request *rq, uint16_t status) {
    char hex[8];
    json_put_strz(j, "service", dimse_field_name(rq->command.field));
    json_put_strz(j, "called", rq->session->d.ul.called);
    if (rq->command.move_destination[0]) json_put_strz(j, "destination", rq->command.move_destination);
    snprintf(hex, sizeof hex, "%04X", status);
    if (status) json_put_strz(j, "status", hex);
}

static void take_keys(struct arena *a, const struct dcm_dataset *keys, struct audit_note *n) {
    unsigned flags;
    if (!n->study_uid.n) n->study_uid = dcm_text(keys, DCM_StudyInstanceUID);
    if (str_find(n->study_uid, '\\', 0) < n->study_uid.n) n->study_uid = (struct str){0};
    if (dcm_text_utf8(a, keys, DCM_PatientID, true, &n->patient_id, &flags, NULL)) n->patient_id = str_trim(n->patient_id);
    if (n->patient_id.n) n->issuer = dcm_text(keys, DCM_IssuerOfPatientID);
}

static struct audit_note note_of(const struct scp_request *rq, struct arena *a, const struct dicom_noted *what, struct buf *b) {
    bool refused = what->status == DIMSE_NOT_AUTHORIZED;
    struct audit_note n = {.type = refused ? "access.denied" : what->type,
                           .outcome = refused        ? AUDIT_DENIED
                                      : what->status ? AUDIT_FAILED
                                                     : AUDIT_SUCCESS,
                           .count = what->list ? what->list->count : what->count};
    struct json_writer j;
    json_init(&j, b, false);
    json_begin_object(&j);
    put_command(&j, rq, what->status);
    if (what->keys) put_query(&j, a, what->keys);
    n.study_uid = put_studies(&j, what->list);
    json_end_object(&j);
    if (what->keys) take_keys(a, what->keys, &n);
    if (buf_ok(b, NULL)) n.detail = str_sub(buf_str(b), 1, b->n - 2);
    return n;
}

bool dicom_note(struct archive *ar, struct scp_request *rq, const struct dicom_noted *what, bool *ok, struct err *e) {
    const struct actor who = dicom_actor(rq);
    struct arena a;
    struct buf b;
    struct err why = {0};
    arena_init(&a, 4 << 20);
    buf_init(&b, DETAIL_BYTES);
    const struct audit_note n = note_of(rq, &a, what, &b);
    bool noted = audit_note(ar, &who, &n, &why);
    buf_deinit(&b);
    arena_deinit(&a);
    if (!noted) *ok = scp_finish(rq, DIMSE_PROCESSING_FAILURE, why.message, e);
    return noted;
}

static struct str reason_of(const char *service, const struct err *why, struct buf *b) {
    struct json_writer j;
    json_init(&j, b, false);
    json_begin_object(&j);
    json_put_strz(&j, "service", service);
    json_put_strz(&j, "reason", why->message);
    json_end_object(&j);
    return buf_ok(b, NULL) ? str_sub(buf_str(b), 1, b->n - 2) : (struct str){0};
}

void dicom_note_refusal(struct archive *ar, struct scp_request *rq, const struct err *why) {
    const struct actor who = dicom_actor(rq);
    struct err e = {0};
    struct buf b;
    buf_init(&b, DETAIL_BYTES);
    const struct audit_note n = {.type = "access.denied",
                                 .outcome = AUDIT_DENIED,
                                 .sop_instance_uid = str_of(rq->command.affected_instance),
                                 .detail = reason_of(dimse_field_name(rq->command.field), why, &b)};
    if (!audit_note(ar, &who, &n, &e)) log_err(&e, "a refusal");
    buf_deinit(&b);
}

void dicom_note_stranger(struct archive *ar, const struct scp_session *s, const struct pdu_associate *rq, const struct err *why) {
    const struct actor who = {.door = DOOR_DIMSE, .aet = str_trim(rq->calling), .called = rq->called, .address = str_of(s->d.ul.conn.address)};
    struct err e = {0};
    struct buf b;
    buf_init(&b, DETAIL_BYTES);
    const struct audit_note n = {.type = "access.denied", .outcome = AUDIT_DENIED, .detail = reason_of("A-ASSOCIATE", why, &b)};
    if (!audit_note(ar, &who, &n, &e)) log_err(&e, "a refusal");
    buf_deinit(&b);
}
