// Answers with renderings: which media type each object is had in, one picture by itself, several as the parts of a stream.
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "http/media.h"
#include "http/multipart.h"
#include "mod/dicomweb/recent.h"
#include "mod/dicomweb/rendered_part.h"
#include "pixel/presentation.h"
#include "sys/digest.h"

enum {
    PART_BYTES_MAX = 256 * 1024 * 1024,
    PARTS_MAX = 65536,
    LOCATION_BYTES_MAX = 2048, // the header of an answer shares its buffer with that of the request
    RENDERING_VERSION = 2,     // to be raised when the same request gives other pictures, which browsers keep
    ANIMATION_FRAMES_MAX = 4096,
    ANIMATION_PIXELS_MAX = 128 * 1024 * 1024, // beyond it an animation takes too long to be made while somebody waits
};

struct negotiation {
    struct http_media *ranges;
    unsigned n;
    bool any;        // no Accept at all
    bool parts_only; // "expected to ignore single part Media Types for other resources" (10.4.4)
};

// ---- media types ----

// A range as it goes for one rendering: the type parameter of multipart/related (PS3.18 8.7.3.4), which is unquoted already.
static struct http_media inner_range(const struct http_media *range, bool *multipart) {
    struct http_media m = *range;
    *multipart = str_eq_nocase(range->type, STR_LIT("multipart/related"));
    if (!*multipart) return m;
    struct str type = http_media_param(range, "type");
    m.type = type.n ? type : STR_LIT("*/*");
    return m;
}

static int specificity(const struct http_media *m) {
    return str_eqz(m->type, "*/*") ? 0 : str_ends(m->type, STR_LIT("/*")) ? 1 : 2;
}

// The weight of the most specific range that takes the type, -1 when none does. *multipart: that one speaks of multipart/related.
static double weight(const struct negotiation *g, const char *content_type, bool *multipart) {
    char type[32];
    double best = -1;
    int most = -1;
    snprintf(type, sizeof type, "%.*s", (int)strcspn(content_type, ";"), content_type);
    for (unsigned i = 0; i < g->n; i++) {
        bool parts;
        struct http_media m = inner_range(&g->ranges[i], &parts);
        if (!http_media_takes(&m, type) || specificity(&m) <= most) continue;
        if (g->parts_only && !parts && specificity(&m) > 0) continue;
        most = specificity(&m);
        best = m.q;
        *multipart = parts;
    }
    return best;
}

// The best of the offers, or DW_PART_MEDIA.
static enum dw_part_media choose(const struct negotiation *g, const enum dw_part_media *offers, bool *multipart) {
    enum dw_part_media chosen = DW_PART_MEDIA;
    double best = 0;
    *multipart = false;
    for (; *offers != DW_PART_MEDIA; offers++) {
        bool parts = false;
        double w = g->any ? 1 : weight(g, DW_PART_TYPES[*offers], &parts);
        if (w <= best) continue;
        best = w;
        chosen = *offers;
        *multipart = parts;
    }
    return chosen;
}

// ---- parts ----

struct rendering {
    const struct dw_target *target;
    const struct dw_render *wish;
    struct arena *arena;
    struct str prefix;
    struct negotiation accept;
    struct dw_part *parts;
    size_t count, capacity;
    bool multipart;                         // asked for, or needed
    const enum dw_part_media *last_refused; // what could have been had
    // sending
    char boundary[MULTIPART_MADE_BOUNDARY];
    size_t next;
    bool began, ended;
    struct buf bytes;
    size_t at;
};

static const enum dw_part_media STILL[] = {DW_JPEG, DW_PNG, DW_GIF, DW_PART_MEDIA};
static const enum dw_part_media MOVING[] = {DW_GIF, DW_JPEG, DW_PNG, DW_PART_MEDIA};
static const enum dw_part_media LONG[] = {DW_JPEG, DW_PNG, DW_PART_MEDIA};

static bool add_part(struct rendering *r, const struct dw_part *part, struct err *e) {
    if (r->count == PARTS_MAX) return err_set(e, ERR_TOO_LARGE, "dicomweb", "more than %d pictures in one answer: ask for a series or an instance", PARTS_MAX);
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? 2 * r->capacity : 16;
        struct dw_part *grown = arena_grow(r->arena, r->parts, r->capacity * sizeof *part, capacity * sizeof *part, e);
        if (!grown) return false;
        r->parts = grown;
        r->capacity = capacity;
    }
    r->parts[r->count++] = *part;
    return true;
}

static uint32_t frames_of(const struct instance_ref *ref) {
    return ref->frames < 1 ? 1 : ref->frames > UINT32_MAX ? UINT32_MAX : (uint32_t)ref->frames;
}

static bool add_frames(struct rendering *r, struct dw_part part, struct err *e) {
    for (unsigned i = 0; i < r->wish->frame_count; i++) {
        part.frame = r->wish->frames[i];
        if (part.frame >= frames_of(part.ref))
            return err_set(e, ERR_NOT_FOUND, "dicomweb", "there is no frame %llu of %u", (unsigned long long)part.frame + 1, frames_of(part.ref));
        if (!add_part(r, &part, e)) return false;
    }
    return true;
}

static bool short_enough(const struct instance_ref *ref, const struct px_options *o) {
    double pixels = o->width && o->height ? (double)o->width * o->height : (double)ref->rows * (double)ref->columns;
    return frames_of(ref) <= ANIMATION_FRAMES_MAX && pixels * (double)frames_of(ref) <= ANIMATION_PIXELS_MAX;
}

static bool add_image(struct rendering *r, const struct instance_ref *ref, const struct instance_ref *presentation, uint32_t frame, struct err *e) {
    const struct dw_render *wish = r->wish;
    bool multipart, as_a_whole = !wish->frame_count && !wish->single && !wish->thumbnail && !presentation && frames_of(ref) > 1;
    const enum dw_part_media *offers = !as_a_whole ? STILL : short_enough(ref, &wish->options) ? MOVING : LONG;
    struct dw_part part = {.ref = ref, .presentation = presentation, .frame = frame, .media = choose(&r->accept, offers, &multipart)};
    if (part.media == DW_PART_MEDIA) {
        r->last_refused = offers;
        return true;
    }
    r->multipart |= multipart;
    if (wish->frame_count) return add_frames(r, part, e);
    if (as_a_whole && part.media == DW_GIF) part.frames = frames_of(ref);
    if (!as_a_whole || part.frames || !multipart) return add_part(r, &part, e); // one picture that stands for the whole where one was asked for
    for (; part.frame < frames_of(ref); part.frame++)
        if (!add_part(r, &part, e)) return false;
    return true;
}

static bool add_offered(struct rendering *r, const struct instance_ref *ref, const enum dw_part_media *offers, struct err *e) {
    bool multipart;
    struct dw_part part = {.ref = ref, .media = choose(&r->accept, offers, &multipart)};
    if (part.media == DW_PART_MEDIA) {
        if (*offers != DW_PART_MEDIA) r->last_refused = offers;
        return true;
    }
    r->multipart |= multipart;
    return add_part(r, &part, e);
}

// Stored video is had as it is and as a whole: nothing here takes pictures out of it.
static bool add_video(struct rendering *r, const struct instance_ref *ref, struct err *e) {
    if (!r->wish->thumbnail && !r->wish->frame_count) return add_offered(r, ref, dw_video_media(ref), e);
    return err_set(e, ERR_UNDECODABLE, "dicomweb", "pictures are not taken out of video here: ask for the instance as %s", DW_PART_TYPES[*dw_video_media(ref)]);
}

static bool add_document(struct rendering *r, const struct instance_ref *ref, struct err *e) {
    return r->wish->thumbnail || r->wish->frame_count || add_offered(r, ref, dw_document_media(ref), e);
}

// ---- presentation states: the images that they are for (10.4.1.1.3) ----

static bool add_referenced(struct rendering *r, const struct instance_ref *ps, const struct px_reference *reference, struct err *e) {
    struct retrieve_query q = {.study_uids = ps->study_uid, .sop_instance_uids = reference->sop_instance_uid};
    struct instance_list list;
    if (!dcm_uid_valid(reference->sop_instance_uid, false)) return true;
    if (!retrieve_list(r->target->archive, &r->target->actor, r->arena, &q, &list, e)) return false;
    return list.count == 0 || !dw_has_image(&list.refs[0]) || add_image(r, &list.refs[0], ps, reference->frame, e);
}

static bool add_presentation(struct rendering *r, const struct instance_ref *ps, struct err *e) {
    struct dcm_dataset *header;
    struct px_reference *references;
    size_t n, before = r->count;
    if (!retrieve_header(r->target->archive, r->arena, ps, &header, e) || !px_presentation_references(r->arena, header, &references, &n, e)) return false;
    for (size_t i = 0; i < n; i++)
        if (!add_referenced(r, ps, &references[i], e)) return false;
    if (r->count == before && !r->last_refused) return err_set(e, ERR_NOT_FOUND, "dicomweb", "none of the images that the presentation state is for is here");
    return true;
}

static bool add_all(struct rendering *r, const struct instance_ref *refs, size_t count, struct err *e) {
    size_t images = 0;
    for (size_t i = 0; i < count; i++) images += dw_has_image(&refs[i]);
    for (size_t i = 0; i < count; i++) {
        bool ok = true;
        if (dw_video_media(&refs[i]))
            ok = add_video(r, &refs[i], e);
        else if (dw_has_image(&refs[i]))
            ok = add_image(r, &refs[i], r->wish->presentation, 0, e);
        else if (px_is_presentation(refs[i].sop_class_uid))
            ok = images > 0 || add_presentation(r, &refs[i], e); // beside images it would show them once more
        else
            ok = add_document(r, &refs[i], e);
        if (!ok) return false;
    }
    return true;
}

static bool refuse(const struct rendering *r, struct err *e) {
    char had[128] = "";
    if (!r->last_refused) return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "there is nothing in it that can be rendered");
    for (const enum dw_part_media *m = r->last_refused; *m != DW_PART_MEDIA; m++)
        snprintf(had + strlen(had), sizeof had - strlen(had), "%s%s", *had ? ", " : "", DW_PART_TYPES[*m]);
    return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "this can be had as %s%s", r->wish->many ? "multipart/related with a type of " : "", had);
}

// ---- sending ----

static struct str location_of(struct rendering *r, const struct dw_part *part) {
    struct str url = dw_place(r->arena, r->prefix, part->ref);
    if (!url.p) return url;
    if (part->frames || (frames_of(part->ref) == 1 && !r->wish->frame_count)) return str_of(arena_printf(r->arena, NULL, "%s/rendered", url.p));
    return str_of(arena_printf(r->arena, NULL, "%s/frames/%llu/rendered", url.p, (unsigned long long)part->frame + 1));
}

// The next part that can be made, into r->bytes. False at the end; *e has the last failure.
static bool make_next(struct rendering *r, struct err *e) {
    struct buf made;
    while (r->next < r->count) {
        const struct dw_part *part = &r->parts[r->next++];
        buf_init(&made, PART_BYTES_MAX);
        err_clear(e);
        bool ok = dw_make_part(r->target->archive, part, r->wish, &made, e);
        if (ok) {
            buf_clear(&r->bytes);
            r->at = 0;
            multipart_write_begin(&r->bytes, r->boundary, !r->began, DW_PART_TYPES[part->media], location_of(r, part));
            buf_add(&r->bytes, made.p, made.n);
            r->began = true;
        } else {
            log_err(e, "%.*s is left out of a rendered answer", STR_FMT(part->ref->sop_instance_uid));
        }
        buf_deinit(&made);
        if (ok) return true;
    }
    return false;
}

static int64_t generate(void *context, uint64_t position, void *p, size_t n) {
    struct rendering *r = context;
    struct err e = {0};
    (void)position;
    if (r->at == r->bytes.n) {
        if (r->ended) return 0;
        if (!make_next(r, &e)) {
            buf_clear(&r->bytes);
            r->at = 0;
            multipart_write_end(&r->bytes, r->boundary);
            r->ended = true;
        }
        if (!buf_ok(&r->bytes, &e)) return -1;
    }
    size_t take = r->bytes.n - r->at < n ? r->bytes.n - r->at : n;
    memcpy(p, r->bytes.p + r->at, take);
    r->at += take;
    return (int64_t)take;
}

static void generate_end(void *context) {
    struct rendering *r = context;
    buf_deinit(&r->bytes);
}

static bool reply_multipart(struct rendering *r, struct http_response *rs, struct err *e) {
    struct err why = {0};
    if (!multipart_make_boundary(r->boundary, e)) return false;
    buf_init(&r->bytes, (size_t)PART_BYTES_MAX + 4096);
    if (!make_next(r, &why)) {
        buf_deinit(&r->bytes);
        if (e) *e = why;
        return false;
    }
    const char *inner = DW_PART_TYPES[r->parts[r->next - 1].media];
    const char *type = arena_printf(r->arena, e, "multipart/related; type=\"%.*s\"; boundary=%s", (int)strcspn(inner, ";"), inner, r->boundary);
    if (!type) {
        buf_deinit(&r->bytes);
        return false;
    }
    http_reply_stream(rs, 200, type, HTTP_LENGTH_UNKNOWN, generate, r, generate_end);
    return true;
}

static bool reply_single(struct rendering *r, struct http_response *rs, const uint8_t key[DIGEST_BYTES], struct err *e) {
    struct buf b;
    buf_init(&b, PART_BYTES_MAX);
    bool kept = dw_recent_find(key, &b), ok = kept || dw_make_part(r->target->archive, &r->parts[0], r->wish, &b, e);
    if (ok && !kept) dw_recent_keep(key, buf_str(&b));
    if (ok) http_reply_buf(rs, 200, DW_PART_TYPES[r->parts[0].media], &b);
    buf_deinit(&b);
    return ok;
}

// Of everything that decides what comes out: the objects' bytes, what was asked for, and the version that makes it.
static bool etag(const struct http_request *rq, const struct rendering *r, uint8_t digest[DIGEST_BYTES], struct err *e) {
    struct buf b;
    buf_init(&b, 64 * 1024 * 1024);
    buf_addf(&b, "rendering %d %d %d %d", RENDERING_VERSION, r->multipart, r->wish->thumbnail, r->wish->chinese);
    buf_add_str(&b, rq->uri.raw_path);
    for (unsigned i = 0; i < rq->uri.param_count; i++) buf_addf(&b, "&%.*s=%.*s", STR_FMT(rq->uri.params[i].name), STR_FMT(rq->uri.params[i].value));
    for (size_t i = 0; i < r->count; i++) {
        const struct dw_part *p = &r->parts[i];
        buf_addf(&b, "|%d %u %u", p->media, p->frame, p->frames);
        buf_add(&b, p->ref->digest, sizeof p->ref->digest);
        if (p->presentation) buf_add(&b, p->presentation->digest, sizeof p->presentation->digest);
    }
    bool ok = buf_ok(&b, e) && digest_of(b.p, b.n, digest, e);
    buf_deinit(&b);
    return ok;
}

// ---- all of it ----

static bool negotiate(struct rendering *r, struct str ranges, struct err *e) {
    struct str accept = str_trim(ranges);
    r->accept = (struct negotiation){.any = accept.n == 0, .parts_only = r->wish->many};
    return r->accept.any || http_media_parse_list(r->arena, accept, &r->accept.ranges, &r->accept.n, e);
}

// What the accept parameter names, and where nothing of that can be had, the header (8.7.8.1).
static bool add_accepted(struct rendering *r, const struct instance_ref *refs, size_t count, struct err *e) {
    if (!negotiate(r, r->wish->accept, e) || !add_all(r, refs, count, e)) return false;
    if (r->count > 0 || !r->wish->accept_after.n) return true;
    return negotiate(r, r->wish->accept_after, e) && add_all(r, refs, count, e);
}

// Of the request as it was made: with parameters it is another resource, which the path alone does not name.
static void set_location(const struct http_request *rq, struct http_response *rs) {
    bool told = rq->uri.param_count == 0 && rq->uri.raw_path.n <= LOCATION_BYTES_MAX;
    char *path = !told ? NULL : arena_printf(rq->arena, NULL, "%.*s%.*s", STR_FMT(http_prefix(rq)), STR_FMT(rq->uri.raw_path));
    if (path) http_setz(rs, "Content-Location", path);
}

static struct dw_render *copy_wish(struct arena *a, const struct dw_render *wish, struct err *e) {
    struct dw_render *copy = arena_alloc(a, sizeof *copy, e);
    if (!copy) return NULL;
    *copy = *wish;
    if (wish->options.window == &wish->window) copy->options.window = &copy->window;
    return copy;
}

bool dw_render_reply(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_ref *refs, size_t count,
                     const struct dw_render *wish, struct err *e) {
    struct rendering *r = arena_zero(rq->arena, 1, sizeof *r, e);
    struct dw_target *target = r ? arena_alloc(rq->arena, sizeof *target, e) : NULL;
    uint8_t digest[DIGEST_BYTES];
    if (!target || !(r->wish = copy_wish(rq->arena, wish, e))) return false;
    *target = *t;
    r->target = target;
    r->arena = rq->arena;
    r->prefix = http_prefix(rq);
    if (!add_accepted(r, refs, count, e)) return false;
    http_setz(rs, "Vary", "Accept, Accept-Language");
    if (r->count == 0) return refuse(r, e);
    r->multipart = !wish->single && (r->multipart || r->wish->many || r->count > 1);
    if (!etag(rq, r, digest, e)) return false;
    bool unchanged = dw_not_modified(rq, rs, digest);
    http_setz(rs, "Cache-Control", "private, max-age=600"); // a browser that turns its pages to and fro need not ask again
    if (unchanged) return true;
    set_location(rq, rs);
    return r->multipart ? reply_multipart(r, rs, e) : reply_single(r, rs, digest, e);
}
