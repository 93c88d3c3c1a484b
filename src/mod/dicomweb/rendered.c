// Rendered resources and thumbnails (PS3.18 10.4.1.1.3, 8.3.5): a frame as JPEG or PNG, with the window and viewport asked for.
#include <pthread.h>
#include <unistd.h>

#include "base/limits.h"
#include "dicom/uid.h"
#include "http/media.h"
#include "mod/dicomweb/handlers.h"
#include "mod/dicomweb/resource.h"
#include "pixel/render.h"
#include "sys/digest.h"

enum {
    QUALITY_DEFAULT = 90,
    THUMBNAIL_PIXELS = 128,
    VIEWPORT_MAX = 16384,
    RENDER_ARENA_BYTES = 256 * 1024 * 1024,
    PICTURE_BYTES_MAX = 256 * 1024 * 1024,
};

struct wish {
    struct px_options options;
    struct px_window window;
    int quality;
    bool png;
};

// ---- at most as many at once as there are processors, so that a crowd of them takes bounded memory ----

static struct {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    long taken;
} slots = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void slot_take(void) {
    long most = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_mutex_lock(&slots.lock);
    while (slots.taken >= (most > 1 ? most : 1)) pthread_cond_wait(&slots.freed, &slots.lock);
    slots.taken++;
    pthread_mutex_unlock(&slots.lock);
}

static void slot_give(void) {
    pthread_mutex_lock(&slots.lock);
    slots.taken--;
    pthread_cond_signal(&slots.freed);
    pthread_mutex_unlock(&slots.lock);
}

// ---- parameters ----

// "center,width[,function]" (8.3.5.1.3)
static bool take_window(struct str text, struct wish *out, struct err *e) {
    struct str rest = text;
    struct str center = str_split(&rest, ','), width = str_split(&rest, ','), function = rest.p ? rest : STR_LIT("linear");
    struct px_window *w = &out->window;
    bool known = true;
    if (str_eq_nocase(function, STR_LIT("linear")))
        w->function = PX_LINEAR;
    else if (str_eq_nocase(function, STR_LIT("linear-exact")))
        w->function = PX_LINEAR_EXACT;
    else if (str_eq_nocase(function, STR_LIT("sigmoid")))
        w->function = PX_SIGMOID;
    else
        known = false;
    if (!known || !str_to_f64(center, &w->center) || !str_to_f64(width, &w->width) || !px_window_valid(w))
        return err_set(e, ERR_BAD_INPUT, "dicomweb", "window takes center,width,function (linear, linear-exact or sigmoid), not '%.*s'",
                       STR_FMT(str_sub(text, 0, 60)));
    out->options.window = w;
    return true;
}

static bool take_side(struct str text, uint32_t *out) {
    double v;
    if (!str_to_f64(text, &v) || v < 1 || v > VIEWPORT_MAX) return false;
    *out = (uint32_t)v;
    return true;
}

// "width,height" (8.3.5.1.4); a region of the source is not taken yet.
static bool take_viewport(struct str text, struct wish *out, struct err *e) {
    struct str rest = text;
    struct str width = str_split(&rest, ','), height = str_split(&rest, ',');
    if (rest.p) return err_set(e, ERR_BAD_INPUT, "dicomweb", "viewport takes width,height here: a region of the source cannot be had yet");
    if (take_side(width, &out->options.width) && take_side(height, &out->options.height)) return true;
    return err_set(e, ERR_BAD_INPUT, "dicomweb", "viewport takes width,height from 1 to %d, not '%.*s'", VIEWPORT_MAX, STR_FMT(str_sub(text, 0, 60)));
}

static bool take_quality(struct str text, struct wish *out, struct err *e) {
    int64_t v;
    if (!str_to_i64(text, &v) || v < 1 || v > 100) return err_set(e, ERR_BAD_INPUT, "dicomweb", "quality takes a number from 1 to 100");
    out->quality = (int)v;
    return true;
}

static bool read_wish(const struct http_request *rq, bool thumbnail, struct wish *out, struct err *e) {
    static const char *const offers[] = {"image/jpeg", "image/png", NULL};
    int chosen = http_accept_choose(rq->arena, dw_accept(rq), offers);
    if (chosen < 0) return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "this can be had as image/jpeg or image/png");
    *out = (struct wish){.quality = QUALITY_DEFAULT, .png = chosen == 1};
    if (thumbnail) out->options.width = out->options.height = THUMBNAIL_PIXELS;
    struct str window = http_query(rq, "window"), viewport = http_query(rq, "viewport"), quality = http_query(rq, "quality");
    if (window.p && !take_window(window, out, e)) return false;
    if (viewport.p && !take_viewport(viewport, out, e)) return false;
    return !quality.p || take_quality(quality, out, e);
}

// ---- rendering ----

struct object_source {
    struct archive *archive;
    const struct instance_ref *ref;
};

static bool read_at(void *ctx, uint64_t offset, void *p, size_t n, struct err *e) {
    const struct object_source *s = ctx;
    return retrieve_read(s->archive, s->ref, s->ref->dataset_offset + offset, p, n, e);
}

static bool write_picture(const struct px_picture *picture, const struct wish *wish, struct buf *to, struct err *e) {
    return wish->png ? px_write_png(picture, to, e) : px_write_jpeg(picture, wish->quality, to, e);
}

static bool render(struct archive *ar, const struct instance_ref *ref, uint32_t frame, const struct wish *wish, struct arena *a, struct buf *to,
                   struct err *e) {
    struct object_source object = {ar, ref};
    struct dcm_source source = {read_at, &object};
    struct px_reader reader = px_reader_native(&source);
    struct dcm_dataset *header;
    struct px_picture picture;
    const struct dcm_ts *ts = dcm_ts_find(ref->ts_uid);
    if (!ts || ts->encapsulated || ts->deflated)
        return err_set(e, ERR_NOT_ACCEPTABLE, "dicomweb", "pixels stored as %s cannot be rendered yet", ts ? ts->name : "an unknown transfer syntax");
    if (!retrieve_header(ar, a, ref, &header, e)) return false;
    return px_render(a, header, &reader, frame, &wish->options, &picture, e) && write_picture(&picture, wish, to, e);
}

static bool reply_rendered(struct http_request *rq, struct http_response *rs, const struct dw_target *t, const struct instance_ref *ref, uint32_t frame,
                           const struct wish *wish, struct err *e) {
    struct arena a;
    struct buf b;
    uint8_t digest[DIGEST_BYTES];
    arena_init(&a, RENDER_ARENA_BYTES);
    buf_init(&b, PICTURE_BYTES_MAX);
    slot_take();
    bool ok = render(t->archive, ref, frame, wish, &a, &b, e);
    slot_give();
    arena_deinit(&a);
    if (ok && digest_of(b.p, b.n, digest, e) && !dw_not_modified(rq, rs, digest)) http_reply_buf(rs, 200, wish->png ? "image/png" : "image/jpeg", &b);
    // An object never changes: a browser that turns its pages to and fro need not ask again.
    if (ok) http_setz(rs, "Cache-Control", "private, max-age=600");
    http_setz(rs, "Vary", "Accept");
    buf_deinit(&b);
    return ok;
}

bool dw_rendered(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct wish wish;
    struct str number = http_capture(rq, "frame");
    uint64_t frame = 1;
    if (!read_wish(rq, false, &wish, e) || !dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    if (number.p && (!str_to_u64(number, &frame) || frame == 0 || frame > UINT32_MAX))
        return err_set(e, ERR_BAD_INPUT, "dicomweb", "'%.*s' is not a frame number from 1", STR_FMT(str_sub(number, 0, 40)));
    return reply_rendered(rq, rs, &t, &list.refs[0], (uint32_t)(frame - 1), &wish, e);
}

// The object that stands for many: the one in the middle of the first series that has images.
static const struct instance_ref *representative(const struct instance_list *list) {
    size_t first = 0, n = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct instance_ref *ref = &list->refs[i];
        if (!ref->pixel_offset || (n > 0 && !str_eq(ref->series_uid, list->refs[first].series_uid))) continue;
        if (n++ == 0) first = i;
    }
    if (n == 0) return NULL;
    const struct instance_ref *middle = &list->refs[first + n / 2];
    return middle->pixel_offset ? middle : &list->refs[first];
}

bool dw_thumbnail(struct http_request *rq, struct http_response *rs, struct err *e) {
    struct dw_target t;
    struct instance_list list;
    struct wish wish;
    if (!read_wish(rq, true, &wish, e) || !dw_target_of(rq, &t, e) || !dw_list(&t, rq->arena, &list, e)) return false;
    const struct instance_ref *ref = representative(&list);
    if (!ref) return err_set(e, ERR_NOT_FOUND, "dicomweb", "there is no image to make a thumbnail of");
    uint32_t frame = ref->frames > 1 ? (uint32_t)(ref->frames / 2) : 0;
    return reply_rendered(rq, rs, &t, ref, frame, &wish, e);
}
