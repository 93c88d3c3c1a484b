// STOW-RS (PS3.18 10.5): the parts of a multipart body as they come. Part 10 parts are streamed to ingest one by one; metadata waits in memory and
// bulk data in a spool until the body is whole.
#include <stdio.h>

#include "base/limits.h"
#include "dicom/uid.h"
#include "http/media.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/stow.h"

// ---- instances ----

struct stored *stow_new(struct stow *s, struct err *e) {
    s->current = arena_zero(s->arena, 1, sizeof *s->current, e);
    if (!s->current) return NULL;
    *s->last = s->current;
    s->last = &s->current->next;
    return s->current;
}

static void fail(struct stored *p, uint16_t reason, enum err_kind kind) {
    if (p->failure) return;
    p->failure = reason ? reason : FAILURE_PROCESSING;
    p->kind = kind;
}

static void take_uid(const struct dcm_dataset *ds, uint32_t tag, char to[65]) {
    snprintf(to, 65, "%.*s", STR_FMT(str_sub(dcm_uid_trim(dcm_text(ds, tag)), 0, 64)));
}

static void take_uids(struct stored *p, const struct dcm_dataset *ds) {
    take_uid(ds, DCM_SOPClassUID, p->sop_class_uid);
    take_uid(ds, DCM_SOPInstanceUID, p->sop_instance_uid);
    take_uid(ds, DCM_StudyInstanceUID, p->study_uid);
    take_uid(ds, DCM_SeriesInstanceUID, p->series_uid);
}

static void note_refused(const struct stow *s, const struct err *why) {
    struct ingest_result of = {0};
    memcpy(of.sop_class_uid, s->current->sop_class_uid, sizeof of.sop_class_uid);
    memcpy(of.sop_instance_uid, s->current->sop_instance_uid, sizeof of.sop_instance_uid);
    memcpy(of.study_uid, s->current->study_uid, sizeof of.study_uid);
    memcpy(of.series_uid, s->current->series_uid, sizeof of.series_uid);
    ingest_note_refused(s->target.archive, &s->target.actor, &of, why);
}

void stow_fail(struct stow *s, uint16_t reason, const struct err *why) {
    if (s->ingest) ingest_abort(s->ingest);
    s->ingest = NULL;
    if (!s->current->failure) note_refused(s, why);
    fail(s->current, reason, why->kind);
}

static void refuse(struct stow *s, uint16_t reason, enum err_kind kind, const char *why) {
    struct err e = {0};
    err_set(&e, kind, "dicomweb", "%s", why);
    stow_fail(s, reason, &e);
}

// What is registered, but not for storage, is nothing to store; what is not registered may be somebody's own storage class.
static bool is_storage(const char *sop_class_uid) {
    const struct dcm_uid_entry *u = dcm_uid_find(str_of(sop_class_uid));
    return !u || u->storage || u->kind != DCM_UID_SOP_CLASS;
}

void stow_check(struct stow *s, const struct dcm_dataset *ds) {
    struct stored *p = s->current;
    take_uids(p, ds);
    if (s->target.study.p && p->study_uid[0] && !str_eqz(s->target.study, p->study_uid))
        refuse(s, FAILURE_OTHER_STUDY, ERR_CONFLICT, "it is of another study than the one that the path names");
    if (p->sop_class_uid[0] && !is_storage(p->sop_class_uid)) refuse(s, FAILURE_SOP_CLASS, ERR_UNSUPPORTED, "its SOP class is none of storage");
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

void stow_commit(struct stow *s) {
    if (s->ingest) {
        s->current->ingest = s->ingest;
        s->ingest = NULL;
        crew_give(&s->crew, commit, s->current);
    }
    s->current = NULL;
}

// ---- parts ----

static bool begin_object(struct stow *s, bool is_dicom, struct err *e) {
    struct err why = {0};
    struct ingest_hint hint = {0};
    if (!stow_new(s, e)) return false;
    s->in = STOW_IN_OBJECT;
    if (!is_dicom) {
        refuse(s, FAILURE_NOT_UNDERSTOOD, ERR_UNSUPPORTED, "a part that is not application/dicom");
        return true;
    }
    s->ingest = ingest_begin(s->target.archive, &s->target.actor, &hint, &why);
    if (!s->ingest) stow_fail(s, err_class_of(why.kind)->dimse, &why);
    arena_reset(&s->builder_arena);
    s->builder_done = false;
    s->builder = dcm_builder_new(&s->builder_arena, NULL, DCM_STOP_AT_PIXELS, NULL);
    return true;
}

static bool begin_document(struct stow *s, enum stow_form form, struct err *e) {
    struct stow_document *d = arena_zero(s->arena, 1, sizeof *d, e);
    if (!d) return false;
    *d = (struct stow_document){.form = form, .offset = s->documents.n};
    *s->last_document = s->document = d;
    s->last_document = &d->next;
    s->in = STOW_IN_DOCUMENT;
    return true;
}

// "<a@b>" of a Content-ID is what a cid: URI names.
static struct str location_of(const struct multipart_headers *h) {
    struct str location = str_trim(multipart_header(h, "Content-Location")), id = str_trim(multipart_header(h, "Content-ID"));
    if (location.n) return location;
    return str_starts(id, STR_LIT("<")) && str_ends(id, STR_LIT(">")) ? str_sub(id, 1, id.n - 2) : id;
}

static bool begin_bulk(struct stow *s, const struct multipart_headers *h, const struct http_media *m, struct err *e) {
    struct stow_bulk *b = arena_zero(s->arena, 1, sizeof *b, e);
    if (!b || (!s->spool && !vol_spool_open(archive_volumes(s->target.archive), &s->spool, e))) return false;
    if (!arena_dup(s->arena, location_of(h), &b->location, e) || !arena_dup(s->arena, m->type, &b->type, e)) return false;
    if (!arena_dup(s->arena, http_media_param(m, "transfer-syntax"), &b->ts_uid, e)) return false;
    b->offset = vol_spool_size(s->spool);
    *s->last_bulk = s->bulk = b;
    s->last_bulk = &b->next;
    s->in = STOW_IN_BULK;
    return true;
}

static bool on_begin(void *context, const struct multipart_headers *h, struct err *e) {
    struct stow *s = context;
    struct http_media m = {.type = STR_LIT("application/octet-stream")};
    struct str type = multipart_header(h, "Content-Type");
    bool said = type.n > 0 && http_media_parse(s->arena, type, &m, NULL);
    bool dicom = said ? str_eq_nocase(m.type, STR_LIT("application/dicom")) : type.n == 0 && s->form == STOW_PART10;
    if (s->form == STOW_PART10 || dicom) return begin_object(s, dicom, e);
    if (str_eq_nocase(m.type, STR_LIT("application/dicom+json")) || (s->form == STOW_JSON && str_eq_nocase(m.type, STR_LIT("application/json"))))
        return begin_document(s, STOW_JSON, e);
    if (str_eq_nocase(m.type, STR_LIT("application/dicom+xml"))) return begin_document(s, STOW_XML, e);
    return begin_bulk(s, h, &m, e);
}

static bool on_data(void *context, const void *p, size_t n, struct err *e) {
    struct stow *s = context;
    struct err why = {0};
    if (s->in == STOW_IN_BULK) return vol_spool_write(s->spool, p, n, e);
    if (s->in == STOW_IN_DOCUMENT) {
        buf_add(&s->documents, p, n);
        return buf_ok(&s->documents, e);
    }
    if (s->builder && !s->builder_done) s->builder_done = dcm_builder_feed(s->builder, p, n, NULL) != DCM_MORE;
    if (s->ingest && !ingest_write(s->ingest, p, n, &why)) {
        const struct dcm_object *o = s->builder && s->builder_done ? dcm_builder_object(s->builder) : NULL;
        if (o && o->dataset) take_uids(s->current, o->dataset); // as far as they have come
        stow_fail(s, err_class_of(why.kind)->dimse, &why);
    }
    return true;
}

static bool on_end(void *context, struct err *e) {
    struct stow *s = context;
    unsigned in = s->in;
    s->in = STOW_IN_NOTHING;
    if (in == STOW_IN_DOCUMENT) s->document->length = s->documents.n - s->document->offset;
    if (in == STOW_IN_BULK) {
        s->bulk->length = vol_spool_size(s->spool) - s->bulk->offset;
        return s->bulk->length % 2 == 0 || vol_spool_write(s->spool, "", 1, e);
    }
    if (in != STOW_IN_OBJECT) return true;
    // What cannot be read is for ingest to judge.
    struct dcm_object object = {0};
    if (s->ingest && s->builder) dcm_builder_end(s->builder, &object, NULL); // those without pixel data are done here
    if (object.dataset) stow_check(s, object.dataset);
    stow_commit(s);
    return true;
}

// ---- the request ----

static bool form_of(struct str inner, enum stow_form *form) {
    static const char *const TYPES[] = {[STOW_PART10] = "application/dicom", [STOW_JSON] = "application/dicom+json", [STOW_XML] = "application/dicom+xml"};
    *form = STOW_PART10;
    if (!inner.p) return true;
    for (unsigned i = 0; i < 3; i++) {
        if (!str_eq_nocase(inner, str_of(TYPES[i]))) continue;
        *form = (enum stow_form)i;
        return true;
    }
    return false;
}

static bool read_type(struct http_request *rq, enum stow_form *form, struct str *boundary, struct err *e) {
    struct http_media m;
    struct str type = http_header(rq, "Content-Type"), coding = http_header(rq, "Content-Encoding");
    if (coding.n && !str_eq_nocase(coding, STR_LIT("identity")))
        return err_set(e, ERR_UNSUPPORTED, "dicomweb", "a body in Content-Encoding %.*s is not taken", STR_FMT(str_sub(coding, 0, 40)));
    if (!type.n) return err_set(e, ERR_UNSUPPORTED, "dicomweb", "send multipart/related; type=\"application/dicom\"; boundary=...");
    if (!http_media_parse(rq->arena, type, &m, e)) return false;
    if (!str_eq_nocase(m.type, STR_LIT("multipart/related")) || !form_of(http_media_param(&m, "type"), form))
        return err_set(
            e, ERR_UNSUPPORTED, "dicomweb",
            "send multipart/related; boundary=... with type=\"application/dicom\", \"application/dicom+json\" or \"application/dicom+xml\", not %.*s",
            STR_FMT(str_sub(type, 0, 160)));
    *boundary = http_media_param(&m, "boundary");
    return true;
}

static bool choose_answer(const struct http_request *rq, const char **type, struct err *e) {
    static const char *const OFFERS[] = {"application/dicom+json", "application/json", "application/dicom+xml", "application/xml", NULL};
    struct str query = dw_accept_parameter(rq);
    int chosen = query.n ? http_accept_choose(rq->arena, query, OFFERS) : -1;
    if (chosen < 0 && (!query.n || http_header(rq, "Accept").n)) chosen = http_accept_choose(rq->arena, http_header(rq, "Accept"), OFFERS);
    if (chosen < 0) return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "the answer to a store can be had as application/dicom+json or application/dicom+xml");
    *type = OFFERS[chosen];
    return true;
}

bool dw_store_begin(struct http_request *rq, struct err *e) {
    struct str boundary;
    struct stow *s = arena_zero(rq->arena, 1, sizeof *s, e);
    if (!s || !read_type(rq, &s->form, &boundary, e) || !dw_target_of(rq, &s->target, e) || !choose_answer(rq, &s->type, e)) return false;
    struct multipart_events on = {on_begin, on_data, on_end, s};
    if (!multipart_init(&s->multipart, boundary, &on, e)) return false;
    arena_init(&s->builder_arena, DCM_HEADER_BYTES_MAX);
    buf_init(&s->documents, HTTP_JSON_BYTES_MAX);
    s->rq = rq;
    s->arena = rq->arena;
    s->last = &s->first;
    s->last_document = &s->first_document;
    s->last_bulk = &s->first_bulk;
    crew_init(&s->crew);
    rq->state = s;
    return true;
}

bool dw_store_body(struct http_request *rq, const void *p, size_t n, struct err *e) {
    struct stow *s = rq->state;
    (void)e;
    // A body that breaks in the middle still gets an answer about the parts before.
    if (!s->broken) s->broken = !multipart_feed(&s->multipart, p, n, &s->broken_why);
    return true;
}

void dw_store_end(struct http_request *rq) {
    struct stow *s = rq->state;
    if (s->ingest) ingest_abort(s->ingest);
    crew_finish(&s->crew);
    multipart_deinit(&s->multipart);
    arena_deinit(&s->builder_arena);
    buf_deinit(&s->documents);
    vol_spool_drop(s->spool);
}

// Waits for the last commits. A part whose end never came does not count.
static void finish(struct stow *s) {
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
    struct stow *s = rq->state;
    if (!s->broken) s->broken = !multipart_finish(&s->multipart, &s->broken_why);
    if (!s->broken) s->broken = !stow_metadata(s, &s->broken_why);
    finish(s);
    if (s->broken) {
        *e = s->broken_why;
        if (s->ok) err_wrap(e, "%u parts before this are stored", s->ok);
        return false;
    }
    if (!s->first) return err_set(e, ERR_BAD_INPUT, "dicomweb", "the body has no %s", s->form == STOW_PART10 ? "parts" : "metadata part");
    return stow_answer(s, rs, e);
}
