// Frames of an object (PS3.18 10.4.1.1.6): stored, decoded or compressed anew, each a part of its own or one alone.
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/pixels.h"
#include "mod/dicomweb/parts.h"
#include "mod/dicomweb/resource.h"

enum { FRAMES_AT_ONCE_MAX = 4096 };

static bool parse_frames(struct arena *a, struct str list, uint32_t frames, struct dw_pixels *p, struct err *e) {
    struct str rest = list;
    uint32_t *order = arena_zero(a, FRAMES_AT_ONCE_MAX, sizeof *order, e);
    size_t n = 0;
    if (!order) return false;
    while (rest.p) {
        struct str one = str_split(&rest, ',');
        uint64_t v;
        if (n == FRAMES_AT_ONCE_MAX) return err_set(e, ERR_TOO_LARGE, "dicomweb", "more than %d frames at once", FRAMES_AT_ONCE_MAX);
        if (!str_to_u64(one, &v) || v == 0)
            return err_set(e, ERR_BAD_INPUT, "dicomweb", "'%.*s' is not a list of frame numbers from 1", STR_FMT(str_sub(list, 0, 80)));
        if (v > frames) return err_set(e, ERR_NOT_FOUND, "dicomweb", "there is no frame %.*s: the object has %u", STR_FMT(str_sub(one, 0, 20)), frames);
        order[n++] = (uint32_t)(v - 1);
    }
    p->order = order;
    p->count = n;
    return true;
}

// ---- lengths are known: everything has its place ----

static bool add_frame(struct dw_pixels *p, struct dw_body *b, size_t i, const char *boundary, struct str url, struct err *e) {
    uint64_t length;
    bool ok;
    if (boundary && dw_pixels_length(p, i, &length))
        ok = dw_body_printf(b, e, "%s--%s\r\nContent-Type: %s\r\nContent-Length: %llu\r\nContent-Location: %.*s/frames/%u\r\n\r\n", i ? "\r\n" : "", boundary,
                            p->type, (unsigned long long)length, STR_FMT(url), p->order[i] + 1);
    else
        ok = !boundary || dw_body_printf(b, e, "%s--%s\r\nContent-Type: %s\r\nContent-Location: %.*s/frames/%u\r\n\r\n", i ? "\r\n" : "", boundary, p->type,
                                         STR_FMT(url), p->order[i] + 1);
    return ok && dw_pixels_add(p, b, i, e);
}

static bool reply_body(struct http_request *rq, struct http_response *rs, struct dw_pixels *p, bool multipart, struct err *e) {
    const struct instance_ref *ref = p->object.ref;
    const struct instance_list list = {(struct instance_ref *)(uintptr_t)ref, 1};
    struct str url = dw_place(rq->arena, http_prefix(rq), ref);
    struct dw_body *b = arena_zero(rq->arena, 1, sizeof *b, e);
    char *form = arena_printf(rq->arena, e, "frames %.*s%.*s %d %s %d", STR_FMT(http_prefix(rq)), STR_FMT(rq->uri.raw_path), multipart, p->type, (int)p->form);
    char boundary[DW_BOUNDARY];
    struct dw_version v;
    bool done = false;
    if (!b || !form || !dw_version_of(&list, form, &v, e) || !dw_conditions(rq, rs, &v, &done, e)) return dw_pixels_close(p), false;
    if (done) return dw_pixels_close(p), true;
    dw_boundary_of(&v, boundary);
    bool ok = dw_body_init(b, rq->arena, p->archive, dw_pixels_pieces(p) + p->count + 1, e);
    b->context = p;
    b->end = dw_pixels_end;
    for (size_t i = 0; ok && i < p->count; i++) ok = add_frame(p, b, i, multipart ? boundary : NULL, url, e);
    ok = ok && (!multipart || dw_body_printf(b, e, "\r\n--%s--\r\n", boundary));
    const char *media = p->type, *type = media;
    if (ok && !multipart) http_set(rs, "Content-Location", str_of(arena_printf(rq->arena, NULL, "%.*s/frames/%u", STR_FMT(url), p->order[0] + 1)));
    if (ok && multipart) {
        struct str name = {media, str_find(str_of(media), ';', 0)};
        char *z = arena_strz(rq->arena, name, e);
        type = z ? dw_parts_type(rq->arena, z, dw_pixels_outer_ts(p), boundary, e) : NULL;
    }
    if (ok && type && dw_body_reply(rq, rs, b, type, &v, e)) return true;
    dw_body_deinit(b);
    return false;
}

// ---- frames that are coded anew: their lengths are known when they are there ----

struct coding {
    struct dw_pixels *pixels;
    size_t next;
    struct str url;
};

static enum dw_part_step next_coded(void *context, struct arena *a, struct dw_part *out, struct err *e) {
    struct coding *c = context;
    struct dw_pixels *p = c->pixels;
    if (c->next == p->count) return DW_PARTS_END;
    out->type = p->type;
    out->location = str_of(arena_printf(a, e, "%.*s/frames/%u", STR_FMT(c->url), p->order[c->next] + 1));
    struct str made;
    if (!out->location.p || !dw_body_init(&out->body, a, p->archive, 1, e) || !dw_pixels_make(p, c->next++, &made, e)) return DW_PART_FAILED;
    dw_body_text(&out->body, made);
    return DW_PART;
}

static void end_coding(void *context) {
    struct coding *c = context;
    dw_pixels_close(c->pixels);
}

static bool reply_coded(struct http_request *rq, struct http_response *rs, struct dw_pixels *p, struct err *e) {
    const struct instance_ref *ref = p->object.ref;
    struct coding *c = arena_zero(rq->arena, 1, sizeof *c, e);
    if (!c) return dw_pixels_close(p), false;
    *c = (struct coding){p, 0, dw_place(rq->arena, http_prefix(rq), ref)};
    const struct dw_parts parts = {.next = next_coded, .end = end_coding, .context = c, .type = dw_media_of(p->to), .ts = p->to->uid, .archive = p->archive};
    return dw_parts_reply(rq, rs, &parts, e);
}

// ---- the requests ----

bool dw_reply_frames(struct http_request *rq, struct http_response *rs, struct dw_pixels *p, bool multipart, struct err *e) {
    if (p->form == DW_PIXELS_STORED)
        for (size_t i = 0; i < p->count; i++)
            if (p->order[i] >= p->object.frames.count) return dw_pixels_close(p), dw_no_frames(p, e);
    if (p->form != DW_PIXELS_CODED && p->form != DW_PIXELS_STORED && p->frame_bytes == 0) {
        struct err why = p->image_err;
        dw_pixels_close(p);
        return err_set(e, ERR_UNDECODABLE, "dicomweb", "the size of a frame cannot be told: %s", why.kind ? why.message : "its attributes are not valid");
    }
    if (p->form == DW_PIXELS_CODED && p->count > 1) return reply_coded(rq, rs, p, e);
    return reply_body(rq, rs, p, multipart, e);
}

static bool choose(const struct http_request *rq, struct dw_pixels *p, bool single, struct dw_choice *c, struct err *e) {
    struct dw_offer *offers = arena_zero(rq->arena, DW_PIXEL_OFFERS, sizeof *offers, e);
    char *more = arena_printf(rq->arena, e, "stored as %s", p->object.ts->uid);
    if (!offers || !more) return false;
    dw_pixels_offers(p, single, offers);
    return dw_choose(rq, offers, dw_pixels_fit, p, more, c, e);
}

bool dw_frames(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct dw_choice c;
    struct dw_pixels *p = arena_zero(rq->arena, 1, sizeof *p, e);
    http_setz(rs, "Vary", "Accept");
    if (!p || !dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    if (!dw_pixels_open(p, t.archive, rq->arena, &list.refs[0], e)) return false;
    if (parse_frames(rq->arena, http_capture(rq, "frames"), p->frames, p, e) && choose(rq, p, p->count == 1, &c, e))
        return dw_reply_frames(rq, rs, p, c.multipart, e);
    dw_pixels_close(p);
    return false;
}
