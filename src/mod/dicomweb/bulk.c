// Bulk data (PS3.18 10.4.1.1.5): the value that a BulkDataURI of the metadata names.
#include "base/limits.h"
#include "dicom/uids.h"
#include "mod/dicomweb/bulk.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/parts.h"
#include "mod/dicomweb/pixels.h"

// ---- finding the element ----

// "00420011", "00540016/1/00189346": the element that the path names; items count from 1, as in the metadata.
static const struct dcm_element *find_element(const struct dcm_dataset *ds, struct str path) {
    struct str rest = path;
    for (unsigned depth = 0; ds && rest.p && depth <= DCM_DEPTH_MAX; depth++) {
        uint32_t tag;
        uint64_t item;
        if (!dcm_tag_parse(str_split(&rest, '/'), &tag)) return NULL;
        if (!rest.p) return dcm_find(ds, tag);
        if (!str_to_u64(str_split(&rest, '/'), &item) || item == 0 || item > UINT32_MAX) return NULL;
        ds = dcm_item(ds, tag, (unsigned)item - 1);
    }
    return NULL;
}

unsigned dw_value_unit(const struct dcm_dataset *ds, const struct dcm_element *el) {
    int64_t bits;
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    if (!ds->big_endian || !info) return 1;
    bool pixels = el->tag >= DCM_FloatPixelData && el->tag <= DCM_PixelData;
    if (pixels && dcm_i64(ds, DCM_BitsAllocated, 0, &bits) && bits > 8 && bits <= 64 && bits % 8 == 0) return (unsigned)bits / 8;
    return info->unit;
}

bool dw_value_add(struct dw_body *b, const struct retrieve_object *o, const struct dcm_element *el, uint64_t length, struct err *e) {
    struct dw_piece piece = {.length = length, .swap = dw_value_unit(o->header, el)};
    const struct dcm_ts *stored = dcm_ts_find(o->ref->ts_uid);
    if (el->value || el->length == 0) {
        piece.kind = DW_TEXT;
        piece.text = (const char *)el->value;
    } else if (stored && stored->deflated) {
        piece.kind = DW_SOURCE;
        piece.source = &o->source;
        piece.offset = el->offset;
    } else {
        uint64_t whole = o->ref->loc.length, from = o->ref->dataset_offset + el->offset;
        if (from > whole || length > whole - from)
            return err_set(e, ERR_UNDECODABLE, "dicomweb", "the object ends before the %llu bytes that it declares", (unsigned long long)length);
        piece.kind = DW_OBJECT;
        piece.ref = o->ref;
        piece.offset = from;
    }
    dw_body_add(b, &piece);
    return true;
}

// ---- one value ----

struct value {
    struct retrieve_object object;
    const struct dcm_element *element;
    uint64_t length;
    struct str location;
};

static void end_value(void *context) {
    struct value *v = context;
    retrieve_close(&v->object);
}

static bool value_fits(void *context, struct dw_choice *c) {
    (void)context;
    if (!c->offer->ts) return !c->named_ts;
    return c->any_ts || c->ts == dcm_ts_explicit_le;
}

static bool open_value(struct archive *ar, struct arena *a, const struct instance_ref *ref, struct str path, struct value *v, struct err *e) {
    struct dcm_dataset *whole;
    if (!retrieve_open(ar, a, ref, &v->object, e)) return dw_stored_err(e);
    v->element = find_element(v->object.header, path);
    bool found = v->element && (v->element->value || v->element->flags & DCM_BY_REFERENCE || v->element->length == 0);
    // behind the pixel data, or not in the index
    if (!found && retrieve_dataset(&v->object, a, &whole, e)) v->element = find_element(whole, path);
    if (v->element && v->element->vr != DCM_VR_SQ && !(v->element->flags & DCM_FRAGMENTS)) {
        v->length = v->element->length;
        return true;
    }
    retrieve_close(&v->object);
    return err_set(e, ERR_NOT_FOUND, "dicomweb", "the object has no such bulk data");
}

// An encapsulated document comes as what it is, without its padding (PS3.3 C.24.2).
static struct str document_type(struct arena *a, struct value *v) {
    int64_t length;
    struct str type = dcm_text(v->object.header, DCM_MIMETypeOfEncapsulatedDocument);
    struct http_media m;
    if (v->element->tag != DCM_EncapsulatedDocument || !type.p || !http_media_parse(a, type, &m, NULL) || m.param_count) return (struct str){0};
    if (dcm_i64(v->object.header, DCM_EncapsulatedDocumentLength, 0, &length) && length >= 0 && (uint64_t)length + 1 >= v->length &&
        (uint64_t)length < v->length)
        v->length = (uint64_t)length;
    return type;
}

static bool reply_value(struct http_request *rq, struct http_response *rs, const struct dw_target *t, struct value *v, struct err *e) {
    uint64_t whole = v->length;
    struct str document = document_type(rq->arena, v);
    char *mime = document.p ? arena_strz(rq->arena, document, e) : NULL;
    const struct dw_offer offers[] = {
        {"application/octet-stream", DCM_UID_ExplicitVRLittleEndian, true, true},
        {mime, NULL, true, true},
        {NULL, NULL, false, false},
    };
    const struct instance_list list = {(struct instance_ref *)(uintptr_t)v->object.ref, 1};
    struct dw_choice c;
    struct dw_version version;
    struct dw_body *b = arena_zero(rq->arena, 1, sizeof *b, e);
    char boundary[DW_BOUNDARY];
    if (!b || !dw_body_init(b, rq->arena, t->archive, 3, e)) return false;
    if (!dw_choose(rq, offers, value_fits, NULL, NULL, &c, e)) return false;
    if (c.offer == &offers[0]) v->length = whole;
    char *form = arena_printf(rq->arena, e, "bulk %s %d %.*s", c.offer->media, c.multipart, STR_FMT(v->location));
    if (!form || !dw_version_of(&list, form, &version, e)) return false;
    dw_boundary_of(&version, boundary);
    if (c.multipart && !dw_body_printf(b, e, "--%s\r\nContent-Type: %s\r\nContent-Length: %llu\r\nContent-Location: %.*s\r\n\r\n", boundary, c.offer->media,
                                       (unsigned long long)v->length, STR_FMT(v->location)))
        return false;
    if (!dw_value_add(b, &v->object, v->element, v->length, e)) return false;
    if (c.multipart && !dw_body_printf(b, e, "\r\n--%s--\r\n", boundary)) return false;
    const char *type = c.multipart ? dw_parts_type(rq->arena, c.offer->media, NULL, boundary, e) : c.offer->media;
    if (!type) return false;
    if (!c.multipart) http_setz(rs, "Content-Disposition", "attachment");
    if (!c.multipart) http_set(rs, "Content-Location", v->location);
    b->context = v;
    b->end = end_value;
    return dw_body_reply(rq, rs, b, type, &version, e);
}

// ---- pixel data that is compressed ----

// Alone comes only what is one item: decoded pixel data, or one frame.
static bool pixels_fit(void *context, struct dw_choice *c) {
    struct dw_pixels *p = context;
    if (!dw_pixels_fit(p, c)) return false;
    return c->multipart || p->form == DW_PIXELS_DECODED || p->frames == 1;
}

static bool reply_decoded(struct http_request *rq, struct http_response *rs, struct dw_pixels *p, bool multipart, struct str location, struct err *e) {
    const struct instance_list list = {(struct instance_ref *)(uintptr_t)p->object.ref, 1};
    struct dw_version v;
    struct dw_body *b = arena_zero(rq->arena, 1, sizeof *b, e);
    char boundary[DW_BOUNDARY];
    char *form = arena_printf(rq->arena, e, "pixels %.*s %d %s", STR_FMT(location), multipart, p->type);
    if (!b || !form || !dw_version_of(&list, form, &v, e) || !dw_body_init(b, rq->arena, p->archive, p->count + 2, e)) return false;
    dw_boundary_of(&v, boundary);
    if (multipart && !dw_body_printf(b, e, "--%s\r\nContent-Type: %s\r\nContent-Length: %llu\r\nContent-Location: %.*s\r\n\r\n", boundary, p->type,
                                     (unsigned long long)p->count * p->frame_bytes, STR_FMT(location)))
        return false;
    for (size_t i = 0; i < p->count; i++)
        if (!dw_pixels_add(p, b, i, e)) return false;
    if (multipart && !dw_body_printf(b, e, "\r\n--%s--\r\n", boundary)) return false;
    const char *type = multipart ? dw_parts_type(rq->arena, "application/octet-stream", NULL, boundary, e) : p->type;
    if (!type) return false;
    if (!multipart) http_set(rs, "Content-Location", location);
    b->context = p;
    b->end = dw_pixels_end;
    return dw_body_reply(rq, rs, b, type, &v, e);
}

static bool reply_pixels(struct http_request *rq, struct http_response *rs, struct dw_pixels *p, struct str location, struct err *e) {
    struct dw_offer *offers = arena_zero(rq->arena, DW_PIXEL_OFFERS, sizeof *offers, e);
    char *more = arena_printf(rq->arena, e, "stored as %s", p->object.ts->uid);
    struct dw_choice c;
    if (!offers || !more) return false;
    dw_pixels_offers(p, true, offers);
    if (!dw_choose(rq, offers, pixels_fit, p, more, &c, e) || !dw_pixels_all(p, rq->arena, e)) return false;
    if (p->form != DW_PIXELS_DECODED) return dw_reply_frames(rq, rs, p, c.multipart, e);
    if (p->frame_bytes == 0) return err_set(e, ERR_UNDECODABLE, "dicomweb", "the size of a frame cannot be told: %s", p->image_err.message);
    return reply_decoded(rq, rs, p, c.multipart, location, e);
}

static bool bulk_pixels(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_ref *ref, struct str location,
                        bool *encapsulated, struct err *e) {
    struct dw_pixels *p = arena_zero(rq->arena, 1, sizeof *p, e);
    if (!p || !dw_pixels_open(p, t->archive, rq->arena, ref, e)) return false;
    *encapsulated = p->encapsulated;
    bool ok = !p->encapsulated || reply_pixels(rq, rs, p, location, e);
    if (!ok || !p->encapsulated) dw_pixels_close(p);
    return ok;
}

// ---- requests ----

bool dw_bulkdata(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct str path = http_capture(rq, "path");
    struct value *v = arena_zero(rq->arena, 1, sizeof *v, e);
    bool encapsulated = false;
    uint32_t tag;
    http_setz(rs, "Vary", "Accept");
    if (!v || !dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    const struct instance_ref *ref = &list.refs[0];
    struct str url = dw_place(rq->arena, http_prefix(rq), ref);
    v->location = str_of(arena_printf(rq->arena, e, "%.*s/bulkdata/%.*s", STR_FMT(url), STR_FMT(path)));
    if (!v->location.p) return false;
    bool pixels = dcm_tag_parse(path, &tag) && tag >= DCM_FloatPixelData && tag <= DCM_PixelData;
    if (pixels && ref->pixel_offset && !bulk_pixels(rq, rs, &t, ref, v->location, &encapsulated, e)) return false;
    if (encapsulated) return true;
    if (!open_value(t.archive, rq->arena, ref, path, v, e)) return false;
    if (reply_value(rq, rs, &t, v, e)) return true;
    retrieve_close(&v->object);
    return false;
}
