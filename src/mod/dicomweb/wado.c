// WADO-RS retrieval of studies, series and instances (PS3.18 10.4): stored bytes to the socket, or converted to the transfer syntax that the asker takes.
#include <unistd.h>

#include "codec/codec.h"
#include "core/convert.h"
#include "dicom/uids.h"
#include "mod/dicomweb/accept.h"
#include "mod/dicomweb/package.h"
#include "mod/dicomweb/bulk.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/parts.h"
#include "mod/dicomweb/resource.h"
#include "mod/dicomweb/wado.h"

// ---- in which transfer syntax each object goes ----

// NULL: as it is stored, in a transfer syntax that is not known here.
static const struct dcm_ts *ts_of(const struct dw_choice *c, const struct instance_ref *ref) {
    const struct dcm_ts *stored = dcm_ts_find(ref->ts_uid);
    if (!stored) return c->named_ts ? c->ts : NULL;
    if (c->any_ts || !c->ts) return stored; // also one that may not be named: whoever takes everything gets the very bytes that were stored
    // "unless the origin server has only access to the pixel data in lossy compressed form" (8.7.3), or in one that it cannot decode
    if (!c->named_ts && ref->pixel_offset && !codec_can_decode(stored)) return stored;
    return c->ts;
}

static bool as_stored(const struct dw_choice *c, const struct instance_ref *ref) {
    const struct dcm_ts *ts = ts_of(c, ref);
    return !ts || str_eqz(dcm_uid_trim(ref->ts_uid), ts->uid);
}

static struct convert_options options_of(const struct dw_choice *c) {
    return (struct convert_options){.lossy = c->named_ts && c->ts && c->ts->lossy};
}

struct asked {
    const struct dw_target *target;
    const struct instance_list *list;
};

// One object of each stored transfer syntax speaks for the others of it.
static bool objects_fit(const struct asked *q, const struct dw_choice *c) {
    const struct convert_options o = options_of(c);
    struct str last = {0};
    for (size_t i = 0; i < q->list->count; i++) {
        const struct instance_ref *ref = &q->list->refs[i];
        if (as_stored(c, ref) || (last.p && str_eq(last, ref->ts_uid))) continue;
        last = ref->ts_uid;
        if (!convert_possible(q->target->archive, ref, ts_of(c, ref), &o, NULL)) return false;
    }
    return true;
}

static bool all_stored_as(const struct instance_list *list, const struct dcm_ts *ts) {
    for (size_t i = 0; i < list->count; i++)
        if (!str_eqz(dcm_uid_trim(list->refs[i].ts_uid), ts->uid)) return false;
    return true;
}

static bool fits(void *context, struct dw_choice *c) {
    const struct asked *q = context;
    if (!c->offer->ts) return !c->named_ts || all_stored_as(q->list, c->ts); // archives hold objects as they are stored
    if (!str_eqz(str_of(c->offer->media), "application/dicom")) return true;
    return objects_fit(q, c);
}

// ---- as they are stored ----

// The transfer syntax that all objects go in, when it is not the default.
static const char *common_ts(const struct dw_choice *c, const struct instance_list *list) {
    const struct dcm_ts *first = ts_of(c, &list->refs[0]);
    if (!first || first == dcm_ts_explicit_le) return NULL;
    for (size_t i = 1; i < list->count; i++)
        if (ts_of(c, &list->refs[i]) != first) return NULL;
    return first->uid;
}

static struct str part_ts(const struct dw_choice *c, const struct instance_ref *ref) {
    const struct dcm_ts *ts = ts_of(c, ref);
    return ts ? str_of(ts->uid) : ref->ts_uid;
}

static bool reply_stored(struct http_request *rq, struct http_response *rs, const struct asked *q, const struct dw_choice *c, struct err *e) {
    struct dw_version v;
    struct dw_body *b = arena_zero(rq->arena, 1, sizeof *b, e);
    char boundary[DW_BOUNDARY];
    struct str prefix = http_prefix(rq);
    char *form = arena_printf(rq->arena, e, "multipart %.*s", STR_FMT(prefix));
    if (!b || !form || !dw_version_of(q->list, form, &v, e) || !dw_body_init(b, rq->arena, q->target->archive, 2 * q->list->count + 1, e)) return false;
    dw_boundary_of(&v, boundary);
    for (size_t i = 0; i < q->list->count; i++) {
        const struct instance_ref *ref = &q->list->refs[i];
        struct str url = dw_place(rq->arena, prefix, ref);
        if (!dw_body_printf(b, e, "%s--%s\r\nContent-Type: application/dicom; transfer-syntax=%.*s\r\nContent-Length: %llu\r\nContent-Location: %.*s\r\n\r\n",
                            i ? "\r\n" : "", boundary, STR_FMT(part_ts(c, ref)), (unsigned long long)ref->loc.length, STR_FMT(url)))
            return false;
        dw_body_object(b, ref, 0, ref->loc.length);
    }
    char *type = dw_parts_type(rq->arena, "application/dicom", common_ts(c, q->list), boundary, e);
    return type && dw_body_printf(b, e, "\r\n--%s--\r\n", boundary) && dw_body_reply(rq, rs, b, type, &v, e);
}

static bool reply_one_stored(struct http_request *rq, struct http_response *rs, const struct asked *q, const char *type, const struct dw_version *v,
                             struct err *e) {
    const struct instance_ref *ref = &q->list->refs[0];
    struct dw_body *b = arena_zero(rq->arena, 1, sizeof *b, e);
    if (!b || !dw_body_init(b, rq->arena, q->target->archive, 1, e)) return false;
    dw_body_object(b, ref, 0, ref->loc.length);
    return dw_body_reply(rq, rs, b, type, v, e);
}

// ---- converted ----

// An unlinked file that holds one converted object.
struct spooled {
    int fd;
    uint64_t length;
    struct dcm_source source;
};

static void end_spooled(void *context) {
    struct spooled *s = context;
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

// *b: the whole object, which goes with it.
static bool spool(struct arena *a, struct archive *ar, const struct dw_choice *c, const struct instance_ref *ref, struct dw_body *b, struct err *e) {
    const struct convert_options o = options_of(c);
    struct spooled *s = arena_zero(a, 1, sizeof *s, e);
    if (!s || !dw_body_init(b, a, ar, 1, e)) return false;
    if (!convert_spooled(ar, ref, ts_of(c, ref), &o, &s->fd, &s->length, e)) {
        if (e && e->kind == ERR_UNSUPPORTED) e->kind = ERR_NOT_ACCEPTABLE; // no fault of a request's payload: 415 is for those
        return dw_stored_err(e);
    }
    s->source = dcm_source_fd(&s->fd);
    b->context = s;
    b->end = end_spooled;
    dw_body_add(b, &(struct dw_piece){.kind = DW_SOURCE, .source = &s->source, .length = s->length});
    return true;
}

struct converting {
    struct archive *archive;
    struct instance_list list;
    struct dw_choice choice;
    struct str prefix;
    size_t next;
};

static enum dw_part_step next_object(void *context, struct arena *a, struct dw_part *out, struct err *e) {
    struct converting *v = context;
    if (v->next == v->list.count) return DW_PARTS_END;
    const struct instance_ref *ref = &v->list.refs[v->next++];
    out->type = arena_printf(a, e, "application/dicom; transfer-syntax=%.*s", STR_FMT(part_ts(&v->choice, ref)));
    out->location = dw_place(a, v->prefix, ref);
    if (!out->type) return DW_PART_FAILED;
    if (!as_stored(&v->choice, ref)) return spool(a, v->archive, &v->choice, ref, &out->body, e) ? DW_PART : DW_PART_FAILED;
    if (!dw_body_init(&out->body, a, v->archive, 1, e)) return DW_PART_FAILED;
    dw_body_object(&out->body, ref, 0, ref->loc.length);
    return DW_PART;
}

static bool reply_converted(struct http_request *rq, struct http_response *rs, const struct asked *q, const struct dw_choice *c, struct err *e) {
    struct converting *v = arena_zero(rq->arena, 1, sizeof *v, e);
    if (!v) return false;
    *v = (struct converting){q->target->archive, *q->list, *c, http_prefix(rq), 0};
    v->choice.offer = NULL; // the caller's
    struct dw_parts parts = {.next = next_object, .context = v, .type = "application/dicom", .ts = common_ts(c, q->list), .archive = v->archive};
    return dw_parts_reply(rq, rs, &parts, e);
}

// ---- one object alone ----

static bool reply_alone(struct http_request *rq, struct http_response *rs, const struct asked *q, const struct dw_choice *c, bool plain_type, struct err *e) {
    const struct instance_ref *ref = &q->list->refs[0];
    struct dw_version v;
    bool done = false;
    char *form = arena_printf(rq->arena, e, "application/dicom; transfer-syntax=%.*s", STR_FMT(part_ts(c, ref)));
    char *name = arena_printf(rq->arena, e, "attachment; filename=\"%.*s.dcm\"", STR_FMT(ref->sop_instance_uid));
    const char *type = plain_type ? "application/dicom" : form;
    if (!form || !name || !dw_version_of(q->list, form, &v, e)) return false;
    http_setz(rs, "Content-Disposition", name);
    http_set(rs, "Content-Location", dw_place(rq->arena, http_prefix(rq), ref));
    if (as_stored(c, ref)) return reply_one_stored(rq, rs, q, type, &v, e);
    struct dw_body *b = arena_zero(rq->arena, 1, sizeof *b, e);
    if (!b || !dw_conditions(rq, rs, &v, &done, e)) return false;
    return done || (spool(rq->arena, q->target->archive, c, ref, b, e) && dw_body_reply(rq, rs, b, type, &v, e));
}

static bool reply_objects(struct http_request *rq, struct http_response *rs, const struct asked *q, const struct dw_choice *c, struct err *e) {
    if (!c->multipart) return reply_alone(rq, rs, q, c, false, e);
    for (size_t i = 0; i < q->list->count; i++)
        if (!as_stored(c, &q->list->refs[i])) return reply_converted(rq, rs, q, c, e);
    return reply_stored(rq, rs, q, c, e);
}

bool dw_reply_instance(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_list *list, const struct dcm_ts *ts,
                       bool named, struct err *e) {
    static const struct dw_offer offer = {"application/dicom", DCM_UID_ExplicitVRLittleEndian, false, true};
    const struct asked q = {t, list};
    const struct dw_choice c = {.offer = &offer, .ts = ts, .named_ts = named};
    if (!objects_fit(&q, &c))
        return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "this object is stored as %.*s and cannot be had as %s", STR_FMT(list->refs[0].ts_uid), ts->uid);
    return reply_alone(rq, rs, &q, &c, true, e); // 8.7.3.5.2: no transfer-syntax parameter in the URI service
}

bool dw_retrieve(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct dw_choice c;
    if (!dw_target_of(rq, &t, e) || !dw_accept_is_pure(rq, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    bool one = t.instance.p && list.count == 1;
    const struct dw_offer offers[] = {
        {"application/dicom", DCM_UID_ExplicitVRLittleEndian, true, one},
        {"application/octet-stream", DCM_UID_ExplicitVRLittleEndian, true, false},
        {"application/zip", NULL, false, true},
        {"application/x-tar", NULL, false, true},
        {NULL, NULL, false, false},
    };
    struct asked q = {&t, &list};
    char *more = arena_printf(rq->arena, e, "transfer-syntax: * (as stored: %.*s) or one that it can be converted to", STR_FMT(list.refs[0].ts_uid));
    http_setz(rs, "Vary", "Accept");
    if (!more || !dw_choose(rq, offers, fits, &q, more, &c, e)) return false;
    if (!c.offer->ts) return dw_reply_package(rq, rs, &t, &list, c.offer == &offers[2], e);
    if (c.offer == &offers[1]) return dw_reply_bulk(rq, rs, &t, &list, &c, false, e);
    return reply_objects(rq, rs, &q, &c, e);
}
