// All bulk data, or all pixel data, of a study, series or instance (PS3.18 10.4.1.1.5, 10.4.1.1.6): one object open at a time.
#include <stdio.h>

#include "base/limits.h"
#include "dicom/uids.h"
#include "mod/dicomweb/bulk.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/parts.h"
#include "mod/dicomweb/pixels.h"

enum { PATH_MAX_BYTES = (DCM_DEPTH_MAX + 1) * 20, OBJECT_ARENA_BYTES = 192 * 1024 * 1024, INLINE_MAX = 1024 };

// A value of the object that is open.
struct found {
    const struct dcm_element *element;
    struct str path; // "00540016/1/00189346"
    struct found *next;
};

struct walk {
    struct archive *archive;
    struct instance_list list;
    struct dw_choice choice;
    bool pixels_only;
    struct str prefix;
    size_t next;        // object
    struct arena arena; // of the open object
    bool open;
    struct retrieve_object object;
    struct found *first, **last, *at;
    struct dw_pixels pixels; // compressed ones that are under way
    bool pixels_open;
    size_t frame; // of their stored frames
};

// ---- what of an object is bulk data ----

// As the metadata has it: see dicom/json.h.
static bool is_bulk(const struct walk *w, const struct dcm_element *el, unsigned depth) {
    const struct dcm_vr_info *info = dcm_vr_find(el->vr);
    bool pixels = depth == 0 && el->tag >= DCM_FloatPixelData && el->tag <= DCM_PixelData;
    if (w->pixels_only || pixels) return pixels;
    if (el->vr == DCM_VR_SQ || el->length == 0 || el->flags & DCM_FRAGMENTS) return false;
    bool bytes = info && !info->text &&
                 (el->vr == DCM_VR_UN || el->vr == DCM_VR_OB || el->vr == DCM_VR_OW || el->vr == DCM_VR_OF || el->vr == DCM_VR_OD || el->vr == DCM_VR_OL ||
                  el->vr == DCM_VR_OV);
    return el->flags & DCM_BY_REFERENCE || (bytes && el->length > INLINE_MAX);
}

static bool add_found(struct walk *w, const struct dcm_element *el, const char *path, size_t n, struct err *e) {
    struct found *f = arena_zero(&w->arena, 1, sizeof *f, e);
    char *text = f ? arena_printf(&w->arena, e, "%.*s%08X", (int)n, path, el->tag) : NULL;
    if (!text) return false;
    *f = (struct found){el, str_of(text), NULL};
    *w->last = f;
    w->last = &f->next;
    return true;
}

// Bounded by DCM_DEPTH_MAX, which the reader of the data set kept to.
static bool collect(struct walk *w, const struct dcm_dataset *ds, char *path, size_t n, unsigned depth, struct err *e) {
    for (uint32_t i = 0; i < ds->count; i++) {
        const struct dcm_element *el = &ds->elements[i];
        if (is_bulk(w, el, depth) && !add_found(w, el, path, n, e)) return false;
        if (w->pixels_only || el->vr != DCM_VR_SQ || depth >= DCM_DEPTH_MAX) continue;
        for (uint32_t k = 0; k < el->item_count; k++) {
            int more = snprintf(path + n, PATH_MAX_BYTES - n, "%08X/%u/", el->tag, k + 1);
            if (more < 0 || (size_t)more >= PATH_MAX_BYTES - n) continue;
            if (!collect(w, el->items[k], path, n + (size_t)more, depth + 1, e)) return false;
        }
    }
    return true;
}

static void close_object(struct walk *w) {
    if (w->pixels_open) dw_pixels_close(&w->pixels);
    if (w->open) retrieve_close(&w->object);
    w->pixels_open = w->open = false;
    w->first = w->at = NULL;
    arena_reset(&w->arena);
}

static bool open_object(struct walk *w, const struct instance_ref *ref, struct err *e) {
    struct dcm_dataset *whole;
    char path[PATH_MAX_BYTES];
    close_object(w);
    w->last = &w->first;
    if (!retrieve_open(w->archive, &w->arena, ref, &w->object, e)) return dw_stored_err(e);
    w->open = true;
    if (w->pixels_only) whole = w->object.header;
    if (!w->pixels_only && !retrieve_dataset(&w->object, &w->arena, &whole, e)) return dw_stored_err(e);
    if (!collect(w, whole, path, 0, 0, e)) return false;
    w->at = w->first;
    return true;
}

// ---- its parts ----

static struct str url_of(const struct walk *w, struct arena *a) {
    return dw_place(a, w->prefix, w->object.ref);
}

static bool begin_pixels(struct walk *w, struct err *e) {
    struct dw_choice c = w->choice;
    if (!dw_pixels_open(&w->pixels, w->archive, &w->arena, w->object.ref, e)) return false;
    w->pixels_open = true;
    w->frame = 0;
    bool fits = dw_pixels_fit(&w->pixels, &c);
    if (!fits && !c.named_ts) { // 8.7.3.3: what is to be had in compressed form only (video) goes so, and says it
        c.any_ts = true;
        fits = dw_pixels_fit(&w->pixels, &c);
    }
    if (!fits) return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "pixel data stored as %s can be had with transfer-syntax=* only", w->object.ts->uid);
    if (w->pixels.form == DW_PIXELS_DECODED && w->pixels.frame_bytes == 0) return err_set(e, ERR_UNDECODABLE, "dicomweb", "the size of a frame cannot be told");
    if (w->pixels.form == DW_PIXELS_STORED && w->pixels.object.frames.count == 0) return dw_no_frames(&w->pixels, e);
    return dw_pixels_all(&w->pixels, &w->arena, e);
}

// Decoded: all of it is one part. As stored: each frame is one.
static bool pixel_part(struct walk *w, struct arena *a, struct dw_part *out, struct err *e) {
    struct dw_pixels *p = &w->pixels;
    struct str url = url_of(w, a);
    bool stored = p->form == DW_PIXELS_STORED;
    if (stored && p->object.frames.count < p->count) p->count = p->object.frames.count;
    out->type = p->type;
    out->location = str_of(stored ? arena_printf(a, e, "%.*s/frames/%zu", STR_FMT(url), w->frame + 1)
                                  : arena_printf(a, e, "%.*s/bulkdata/%.*s", STR_FMT(url), STR_FMT(w->at->path)));
    if (!out->location.p || !dw_body_init(&out->body, a, w->archive, dw_pixels_pieces(p), e)) return false;
    bool ok = true;
    size_t to = stored ? w->frame + 1 : p->count;
    for (; ok && w->frame < to && w->frame < p->count; w->frame++) ok = dw_pixels_add(p, &out->body, w->frame, e);
    if (w->frame >= p->count) w->at = w->at->next; // the pixels stay open until the object is closed
    return ok;
}

static bool value_part(struct walk *w, struct arena *a, struct dw_part *out, struct err *e) {
    struct str url = url_of(w, a);
    const struct dcm_element *el = w->at->element;
    out->type = "application/octet-stream";
    out->location = str_of(arena_printf(a, e, "%.*s/bulkdata/%.*s", STR_FMT(url), STR_FMT(w->at->path)));
    if (!out->location.p || !dw_body_init(&out->body, a, w->archive, 1, e) || !dw_value_add(&out->body, &w->object, el, el->length, e)) return false;
    w->at = w->at->next;
    return true;
}

static bool is_compressed(const struct dcm_element *el) {
    return el->tag >= DCM_FloatPixelData && el->tag <= DCM_PixelData && el->flags & (DCM_FRAGMENTS | DCM_UNDEFINED_LENGTH);
}

static enum dw_part_step next_value(void *context, struct arena *a, struct dw_part *out, struct err *e) {
    struct walk *w = context;
    while (!w->at) {
        if (w->next == w->list.count) return DW_PARTS_END;
        if (!open_object(w, &w->list.refs[w->next++], e)) return DW_PART_FAILED;
    }
    if (!is_compressed(w->at->element)) return value_part(w, a, out, e) ? DW_PART : DW_PART_FAILED;
    if (!w->pixels_open && !begin_pixels(w, e)) return DW_PART_FAILED;
    return pixel_part(w, a, out, e) ? DW_PART : DW_PART_FAILED;
}

static void end_walk(void *context) {
    struct walk *w = context;
    close_object(w);
    arena_deinit(&w->arena);
}

bool dw_reply_bulk(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_list *list, const struct dw_choice *c,
                   bool pixels_only, struct err *e) {
    static const struct dw_offer octets = {"application/octet-stream", DCM_UID_ExplicitVRLittleEndian, true, false};
    struct walk *w = arena_zero(rq->arena, 1, sizeof *w, e);
    if (!w) return false;
    *w = (struct walk){.archive = t->archive, .list = *list, .choice = *c, .pixels_only = pixels_only, .prefix = http_prefix(rq)};
    w->choice.offer = &octets;
    arena_init(&w->arena, OBJECT_ARENA_BYTES);
    const struct dw_parts parts = {.next = next_value,
                                   .end = end_walk,
                                   .context = w,
                                   .type = "application/octet-stream",
                                   .none = pixels_only ? "there is no pixel data" : "there is no bulk data",
                                   .archive = t->archive};
    return dw_parts_reply(rq, rs, &parts, e);
}

static bool octets_fit(void *context, struct dw_choice *c) {
    (void)context;
    return c->any_ts || !c->named_ts || c->ts == dcm_ts_explicit_le;
}

static bool reply_all(struct http_request *rq, struct http_response *rs, bool pixels_only, struct err *e) {
    static const struct dw_offer offers[] = {{"application/octet-stream", DCM_UID_ExplicitVRLittleEndian, true, false}, {NULL, NULL, false, false}};
    struct dw_target t;
    struct instance_list list;
    struct dw_choice c;
    http_setz(rs, "Vary", "Accept");
    if (!dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    return dw_choose(rq, offers, octets_fit, NULL, NULL, &c, e) && dw_reply_bulk(rq, rs, &t, &list, &c, pixels_only, e);
}

bool dw_bulkdata_all(struct http_request *rq, struct http_response *rs, struct err *e) {
    return reply_all(rq, rs, false, e);
}

bool dw_pixeldata_all(struct http_request *rq, struct http_response *rs, struct err *e) {
    return reply_all(rq, rs, true, e);
}
