// STOW-RS (PS3.18 10.5): Part 10 parts of a multipart body, streamed to ingest one by one, and what became of each.
#include <stdio.h>

#include "base/limits.h"
#include "core/ingest.h"
#include "dicom/json.h"
#include "dicom/read.h"
#include "http/media.h"
#include "http/multipart.h"
#include "mod/dicomweb/crew.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/resource.h"

// Failure reasons of PS3.18 table I.2-2 and PS3.7 C.
enum {
    FAILURE_PROCESSING = 0x0110,
    FAILURE_NOT_UNDERSTOOD = 0xC000,
    FAILURE_OTHER_STUDY = 0xC409, // of the Cxxx family: the instance is not of the study that the path names
};

// One part and its fate.
struct stored {
    char sop_class_uid[65], sop_instance_uid[65], study_uid[65], series_uid[65];
    uint16_t failure; // 0: stored
    uint16_t warning;
    enum err_kind kind;
    enum ingest_outcome outcome;
    struct ingest *ingest; // to be committed
    struct stored *next;
};

struct store {
    struct dw_target target;
    struct arena *arena;
    const char *type;
    struct multipart multipart;
    struct ingest *ingest;       // of the part that is under way
    struct dcm_builder *builder; // of the same, when its study must be checked
    struct arena builder_arena;
    bool builder_done;
    struct crew crew; // commits the parts that are whole while later ones come
    struct stored *current, *first, **last;
    unsigned ok, failed, warned; // counted at the end
    unsigned of[INGEST_QUARANTINED + 1];
    bool broken; // the body itself: what follows is not looked at
    struct err broken_why;
};

// ---- parts ----

static void fail(struct stored *p, uint16_t reason, enum err_kind kind) {
    if (p->failure) return;
    p->failure = reason ? reason : FAILURE_PROCESSING;
    p->kind = kind;
}

// The part that is under way will not be kept; what still comes of it is dropped.
static void fail_part(struct store *s, uint16_t reason, enum err_kind kind) {
    if (s->ingest) ingest_abort(s->ingest);
    s->ingest = NULL;
    fail(s->current, reason, kind);
}

static bool part_is_dicom(struct arena *a, struct str type) {
    struct http_media m;
    return type.n == 0 || (http_media_parse(a, type, &m, NULL) && str_eq_nocase(m.type, STR_LIT("application/dicom")));
}

static bool on_begin(void *context, const struct multipart_headers *h, struct err *e) {
    struct store *s = context;
    struct err why = {0};
    s->current = arena_zero(s->arena, 1, sizeof *s->current, e);
    if (!s->current) return false;
    *s->last = s->current;
    s->last = &s->current->next;
    if (!part_is_dicom(s->arena, multipart_header(h, "Content-Type"))) {
        fail_part(s, FAILURE_NOT_UNDERSTOOD, ERR_UNSUPPORTED);
        return true;
    }
    struct ingest_hint hint = {0};
    s->ingest = ingest_begin(s->target.archive, &s->target.actor, &hint, &why);
    if (!s->ingest) fail_part(s, err_class_of(why.kind)->dimse, why.kind);
    arena_reset(&s->builder_arena);
    s->builder_done = false;
    s->builder = s->target.study.p ? dcm_builder_new(&s->builder_arena, NULL, DCM_STOP_AT_PIXELS, NULL) : NULL;
    return true;
}

static bool on_data(void *context, const void *p, size_t n, struct err *e) {
    struct store *s = context;
    struct err why = {0};
    (void)e;
    if (s->builder && !s->builder_done) s->builder_done = dcm_builder_feed(s->builder, p, n, NULL) != DCM_MORE;
    if (s->ingest && !ingest_write(s->ingest, p, n, &why)) fail_part(s, err_class_of(why.kind)->dimse, why.kind);
    return true;
}

// Whether the part belongs to the study that the path names; what cannot be read is for ingest to judge.
static bool of_study(struct store *s) {
    if (!s->builder) return true;
    const struct dcm_object *object = dcm_builder_object(s->builder);
    struct str uid = object && object->dataset ? dcm_text(object->dataset, DCM_StudyInstanceUID) : (struct str){0};
    if (!uid.n || str_eq(uid, s->target.study)) return true;
    snprintf(s->current->sop_class_uid, sizeof s->current->sop_class_uid, "%.*s", STR_FMT(dcm_text(object->dataset, DCM_SOPClassUID)));
    snprintf(s->current->sop_instance_uid, sizeof s->current->sop_instance_uid, "%.*s", STR_FMT(dcm_text(object->dataset, DCM_SOPInstanceUID)));
    return false;
}

static void take_result(struct stored *to, bool ok, const struct ingest_result *r, const struct err *why) {
    to->outcome = r->outcome;
    memcpy(to->sop_class_uid, r->sop_class_uid, sizeof to->sop_class_uid);
    memcpy(to->sop_instance_uid, r->sop_instance_uid, sizeof to->sop_instance_uid);
    memcpy(to->study_uid, r->study_uid, sizeof to->study_uid);
    memcpy(to->series_uid, r->series_uid, sizeof to->series_uid);
    if (ok && r->dimse_status >> 12 == 0xB) to->warning = r->dimse_status;
    if (!ok) fail(to, r->dimse_status ? r->dimse_status : err_class_of(why->kind)->dimse, why->kind ? why->kind : ERR_BAD_INPUT);
}

static void commit(void *arg) {
    struct stored *to = arg;
    struct ingest_result result = {0};
    struct err why = {0};
    bool ok = ingest_commit(to->ingest, &result, &why);
    to->ingest = NULL;
    take_result(to, ok, &result, &why);
}

static bool on_end(void *context, struct err *e) {
    struct store *s = context;
    (void)e;
    if (s->ingest && !of_study(s)) fail_part(s, FAILURE_OTHER_STUDY, ERR_CONFLICT);
    if (s->ingest) {
        s->current->ingest = s->ingest;
        s->ingest = NULL;
        crew_give(&s->crew, commit, s->current);
    }
    s->current = NULL;
    return true;
}

// ---- the request ----

static bool boundary_of(struct http_request *rq, struct str *out, struct err *e) {
    struct http_media m;
    struct str type = http_header(rq, "Content-Type"), coding = http_header(rq, "Content-Encoding");
    if (coding.n && !str_eq_nocase(coding, STR_LIT("identity")))
        return err_set(e, ERR_UNSUPPORTED, "dicomweb", "a body in Content-Encoding %.*s is not taken", STR_FMT(str_sub(coding, 0, 40)));
    if (!type.n) return err_set(e, ERR_UNSUPPORTED, "dicomweb", "send multipart/related; type=\"application/dicom\"; boundary=...");
    if (!http_media_parse(rq->arena, type, &m, e)) return false;
    struct str inner = http_media_param(&m, "type");
    bool fits = str_eq_nocase(m.type, STR_LIT("multipart/related")) && (!inner.p || str_eq_nocase(inner, STR_LIT("application/dicom")));
    if (!fits)
        return err_set(e, ERR_UNSUPPORTED, "dicomweb", "send multipart/related; type=\"application/dicom\"; boundary=..., not %.*s",
                       STR_FMT(str_sub(type, 0, 200)));
    *out = http_media_param(&m, "boundary");
    return true;
}

bool dw_store_begin(struct http_request *rq, struct err *e) {
    struct str boundary;
    struct store *s = arena_zero(rq->arena, 1, sizeof *s, e);
    if (!s || !boundary_of(rq, &boundary, e) || !dw_target_of(rq, &s->target, e) || !dw_wants_json(rq, &s->type, e)) return false;
    struct multipart_events on = {on_begin, on_data, on_end, s};
    if (!multipart_init(&s->multipart, boundary, &on, e)) return false;
    arena_init(&s->builder_arena, DCM_HEADER_BYTES_MAX);
    s->arena = rq->arena;
    s->last = &s->first;
    crew_init(&s->crew);
    rq->state = s;
    return true;
}

bool dw_store_body(struct http_request *rq, const void *p, size_t n, struct err *e) {
    struct store *s = rq->state;
    (void)e;
    // A body that breaks in the middle still gets an answer about the parts before.
    if (!s->broken) s->broken = !multipart_feed(&s->multipart, p, n, &s->broken_why);
    return true;
}

void dw_store_end(struct http_request *rq) {
    struct store *s = rq->state;
    if (s->ingest) ingest_abort(s->ingest);
    crew_finish(&s->crew);
    multipart_deinit(&s->multipart);
    arena_deinit(&s->builder_arena);
}

// ---- the answer ----

static bool put_referenced(struct dcm_dataset *item, const struct stored *p, struct err *e) {
    if (!dcm_putz(item, DCM_ReferencedSOPClassUID, p->sop_class_uid, e)) return false;
    return dcm_putz(item, DCM_ReferencedSOPInstanceUID, p->sop_instance_uid, e);
}

static bool put_stored(struct arena *a, struct dcm_dataset *ds, const struct stored *p, struct err *e) {
    struct dcm_dataset *item = dcm_put_item(ds, DCM_ReferencedSOPSequence, e);
    if (!item || !put_referenced(item, p, e)) return false;
    if (p->warning && !dcm_put_int(item, DCM_WarningReason, p->warning, e)) return false;
    struct str url = dw_url(a, str_of(p->study_uid), str_of(p->series_uid), str_of(p->sop_instance_uid));
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
static struct str study_of(const struct store *s) {
    struct str study = {0};
    for (const struct stored *p = s->first; p; p = p->next) {
        if (p->failure || !p->study_uid[0]) continue;
        if (study.p && !str_eqz(study, p->study_uid)) return (struct str){0};
        study = str_of(p->study_uid);
    }
    return study;
}

static bool write_answer(struct store *s, struct buf *to, struct err *e) {
    struct dcm_dataset *ds = dcm_dataset_new(s->arena, e);
    if (!ds) return false;
    struct str study = study_of(s);
    if (study.p && !dcm_put_text(ds, DCM_RetrieveURL, DCM_VR_UR, dw_url(s->arena, study, (struct str){0}, (struct str){0}), e)) return false;
    for (const struct stored *p = s->first; p; p = p->next)
        if (!(p->failure ? put_failed(ds, p, e) : put_stored(s->arena, ds, p, e))) return false;
    struct dcm_json_options o = {0};
    return dcm_json_write(ds, &o, s->arena, to, e) && buf_ok(to, e);
}

// PS3.18 10.5.3: 200 all stored, 202 some or with warnings, 409 none; when all failed for one passing reason, that.
static unsigned status_of(const struct store *s) {
    if (s->failed == 0) return s->warned ? 202 : 200;
    if (s->ok) return 202;
    unsigned passing = 409;
    for (const struct stored *p = s->first; p; p = p->next) {
        if (p->kind != ERR_FULL && p->kind != ERR_BUSY && p->kind != ERR_NOMEM) return 409;
        passing = err_class_of(p->kind)->http;
    }
    return passing;
}

// Waits for the last commits. A part whose end never came does not count.
static void finish(struct store *s) {
    crew_finish(&s->crew);
    for (const struct stored *p = s->first; p; p = p->next) {
        if (p == s->current) continue;
        s->ok += p->failure == 0;
        s->failed += p->failure != 0;
        s->warned += p->warning != 0;
        if (!p->failure || p->outcome == INGEST_QUARANTINED) s->of[p->outcome]++;
    }
}

bool dw_store(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct store *s = rq->state;
    struct buf b;
    if (!s->broken) s->broken = !multipart_finish(&s->multipart, &s->broken_why);
    finish(s);
    if (s->broken) {
        *e = s->broken_why;
        if (s->ok) err_wrap(e, "%u parts before this are stored", s->ok);
        return false;
    }
    if (!s->first) return err_set(e, ERR_BAD_INPUT, "dicomweb", "the body has no parts");
    buf_init(&b, HTTP_JSON_BYTES_MAX);
    bool ok = write_answer(s, &b, e);
    if (ok) http_reply_buf(rs, status_of(s), s->type, &b);
    // What the standard's answer has no place for, and 'gantry import' counts.
    char *outcome = arena_printf(rq->arena, NULL, "stored=%u, known=%u, conflicting=%u, quarantined=%u", s->of[INGEST_STORED], s->of[INGEST_KNOWN],
                                 s->of[INGEST_CONFLICT], s->of[INGEST_QUARANTINED]);
    if (ok && outcome) http_setz(rs, "Gantry-Outcome", outcome);
    buf_deinit(&b);
    return ok;
}
