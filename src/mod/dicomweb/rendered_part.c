// Making of renderings: pictures, animations and documents.
#include "mod/dicomweb/rendered_part.h"

#include <pthread.h>
#include <unistd.h>

#include "base/limits.h"
#include "codec/reader.h"
#include "mod/dicomweb/report.h"
#include "pixel/gif.h"
#include "pixel/video.h"

enum { RENDER_ARENA_BYTES = 512 * 1024 * 1024, CHUNK_BYTES = 256 * 1024 };

const char *const DW_PART_TYPES[DW_PART_MEDIA] = {
    [DW_JPEG] = "image/jpeg",
    [DW_PNG] = "image/png",
    [DW_GIF] = "image/gif",
    [DW_MP4] = "video/mp4",
    [DW_MPEG] = "video/mpeg",
    [DW_HTML] = "text/html; charset=utf-8",
    [DW_TEXT] = "text/plain; charset=utf-8",
    [DW_PDF] = "application/pdf",
};

// ---- at most as many at once as there are processors, so that a crowd of them takes bounded memory ----

enum { SLOTS_MAX = 64, WARM_BYTES = 2 * 1024 * 1024 };

// Their memory stays, as much as an ordinary image needs, so that it need not be had from the system each time.
struct slot {
    struct arena work, scratch;
    bool warm;
    struct slot *next;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct slot all[SLOTS_MAX];
    struct slot *free;
    long made, most;
} slots = {.lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER};

static struct slot *slot_take(void) {
    pthread_mutex_lock(&slots.lock);
    if (slots.most == 0) { // asked once: the answer is read from a file each time
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        slots.most = online < 1 ? 1 : online > SLOTS_MAX ? SLOTS_MAX : online;
    }
    while (!slots.free && slots.made >= slots.most) pthread_cond_wait(&slots.freed, &slots.lock);
    struct slot *s = slots.free ? slots.free : &slots.all[slots.made++];
    if (s == slots.free) slots.free = s->next;
    pthread_mutex_unlock(&slots.lock);
    if (s->warm) return s;
    arena_init(&s->work, RENDER_ARENA_BYTES);
    arena_init(&s->scratch, (size_t)PX_FRAME_BYTES_MAX + PX_SCRATCH_BYTES_MAX);
    s->warm = arena_alloc(&s->work, WARM_BYTES, NULL) && arena_alloc(&s->scratch, WARM_BYTES, NULL);
    arena_reset(&s->work);
    arena_reset(&s->scratch);
    return s;
}

static void slot_give(struct slot *s) {
    arena_reset(&s->work);
    arena_reset(&s->scratch);
    pthread_mutex_lock(&slots.lock);
    s->next = slots.free;
    slots.free = s;
    pthread_cond_signal(&slots.freed);
    pthread_mutex_unlock(&slots.lock);
}

// ---- pictures ----

struct making {
    struct arena *arena;
    struct retrieve_object object, presentation;
    struct codec_object pixels;
    struct px_reader reader;
    struct px_options options;
};

static bool making_open(struct archive *ar, const struct dw_part *part, const struct dw_render *wish, struct making *m, struct err *e) {
    m->options = wish->options;
    if (!retrieve_open(ar, m->arena, part->ref, &m->object, e)) return false;
    if (m->object.ts && m->object.ts->encapsulated && m->object.frames.count == 0 && m->object.frames_err.kind != ERR_NONE) {
        if (e) *e = m->object.frames_err;
        return false;
    }
    m->pixels = (struct codec_object){.ts = m->object.ts, .source = &m->object.source, .frames = &m->object.frames};
    m->reader = codec_reader(&m->pixels);
    m->options.source = &m->object.source;
    if (!part->presentation) return true;
    if (!retrieve_open(ar, m->arena, part->presentation, &m->presentation, e)) return false;
    m->options.presentation = m->presentation.header;
    m->options.presentation_source = &m->presentation.source;
    return true;
}

static void making_close(struct making *m) {
    if (m->object.ref) retrieve_close(&m->object);
    if (m->presentation.ref) retrieve_close(&m->presentation);
}

static bool still(struct making *m, const struct dw_part *part, const struct dw_render *wish, struct buf *to, struct err *e) {
    struct px_picture picture;
    if (!px_render(m->arena, m->object.header, &m->reader, part->frame, &m->options, &picture, e)) return false;
    if (part->media == DW_PNG) return px_write_png(&picture, to, e);
    if (part->media == DW_JPEG) return px_write_jpeg(&picture, wish->quality, to, e);
    return px_write_gif(&picture, to, e);
}

static bool animation(struct making *m, const struct dw_part *part, struct buf *to, struct err *e) {
    struct px_gif gif = {0};
    bool ok = true;
    for (uint32_t i = 0; ok && i < part->frames; i++) {
        struct arena_mark mark = arena_mark(m->arena);
        struct px_picture picture;
        ok = px_render(m->arena, m->object.header, &m->reader, i, &m->options, &picture, e) &&
             px_gif_frame(&gif, &picture, px_frame_ms(m->object.header, i), to, e);
        arena_rewind(m->arena, mark);
    }
    return px_gif_end(&gif, to, e) && ok;
}

static bool picture(struct archive *ar, struct slot *slot, const struct dw_part *part, const struct dw_render *wish, struct buf *to, struct err *e) {
    struct making m = {.arena = &slot->work};
    bool ok = making_open(ar, part, wish, &m, e);
    m.options.scratch = &slot->scratch;
    ok = ok && (part->frames ? animation(&m, part, to, e) : still(&m, part, wish, to, e));
    making_close(&m);
    // Pixels that nobody can decode are the object's fault, not the asker's (HTTP 422).
    if (!ok && e && e->kind == ERR_UNSUPPORTED) e->kind = ERR_UNDECODABLE;
    return ok;
}

// ---- video ----

static const enum dw_part_media MPEG4[] = {DW_MP4, DW_PART_MEDIA}, MPEG2[] = {DW_MPEG, DW_PART_MEDIA};

static bool is_mpeg2(struct str ts_uid) {
    return str_starts(ts_uid, STR_LIT("1.2.840.10008.1.2.4.100")) || str_starts(ts_uid, STR_LIT("1.2.840.10008.1.2.4.101"));
}

const enum dw_part_media *dw_video_media(const struct instance_ref *ref) {
    const struct dcm_ts *ts = dcm_ts_find(ref->ts_uid);
    if (!ts || !ts->video) return NULL;
    return is_mpeg2(ref->ts_uid) ? MPEG2 : MPEG4;
}

static bool is_h264(struct str ts_uid) {
    return !is_mpeg2(ts_uid) && !str_starts(ts_uid, STR_LIT("1.2.840.10008.1.2.4.107")) && !str_starts(ts_uid, STR_LIT("1.2.840.10008.1.2.4.108"));
}

static bool video_of(struct making *m, const struct dw_part *part, struct buf *to, struct err *e) {
    struct str stream;
    struct px_image image;
    if (!codec_read_frame(m->arena, &m->pixels, 0, &stream, e)) return false;
    if (part->media == DW_MPEG || px_is_mp4(stream)) {
        buf_add_str(to, stream);
        return buf_ok(to, e);
    }
    if (!is_h264(part->ref->ts_uid))
        return err_set(e, ERR_UNDECODABLE, "dicomweb", "the video is HEVC without an MP4 container, which is not laid into one here");
    return px_image_of(m->object.header, &image, e) && px_write_mp4(m->arena, stream, image.columns, image.rows, px_frame_ms(m->object.header, 0), to, e);
}

static bool video(struct archive *ar, struct slot *slot, const struct dw_part *part, const struct dw_render *wish, struct buf *to, struct err *e) {
    struct making m = {.arena = &slot->work};
    bool ok = making_open(ar, part, wish, &m, e) && video_of(&m, part, to, e);
    making_close(&m);
    return ok;
}

// ---- documents ----

static const enum dw_part_media NOTHING[] = {DW_PART_MEDIA}, PDF[] = {DW_PDF, DW_PART_MEDIA}, REPORT[] = {DW_HTML, DW_TEXT, DW_PART_MEDIA};

static bool is_pdf(const struct instance_ref *ref) {
    return str_eqz(ref->sop_class_uid, "1.2.840.10008.5.1.4.1.1.104.1");
}

const enum dw_part_media *dw_document_media(const struct instance_ref *ref) {
    return is_pdf(ref) ? PDF : dw_is_report(ref->sop_class_uid) ? REPORT : NOTHING;
}

static bool copy_value(const struct dcm_source *source, const struct dcm_element *el, uint64_t n, struct buf *to, struct err *e) {
    for (uint64_t at = 0; at < n;) {
        size_t take = n - at < CHUNK_BYTES ? (size_t)(n - at) : CHUNK_BYTES;
        char *p = buf_reserve(to, take);
        if (!p) return buf_ok(to, e);
        if (!source->read_at(source->ctx, el->offset + at, p, take, e)) return false;
        to->n += take;
        at += take;
    }
    return true;
}

static bool pdf(struct archive *ar, struct slot *slot, const struct dw_part *part, struct buf *to, struct err *e) {
    struct retrieve_object object;
    bool ok = retrieve_open(ar, &slot->work, part->ref, &object, e);
    if (ok) {
        const struct dcm_element *el = dcm_find(object.header, DCM_EncapsulatedDocument);
        int64_t length;
        uint64_t n = el ? el->length : 0;
        if (dcm_i64(object.header, DCM_EncapsulatedDocumentLength, 0, &length) && length > 0 && (uint64_t)length <= n) n = (uint64_t)length; // without padding
        if (!n)
            ok = err_set(e, ERR_UNDECODABLE, "dicomweb", "the object has no document in it");
        else if (el->value)
            buf_add(to, el->value, (size_t)n);
        else
            ok = copy_value(&object.source, el, n, to, e);
        retrieve_close(&object);
    }
    return ok && buf_ok(to, e);
}

static bool report(struct archive *ar, struct slot *slot, const struct dw_part *part, const struct dw_render *wish, struct buf *to, struct err *e) {
    struct retrieve_object object;
    if (!retrieve_open(ar, &slot->work, part->ref, &object, e)) return false;
    bool ok = dw_write_report(&slot->work, object.header, part->media == DW_HTML, wish->chinese, to, e);
    retrieve_close(&object);
    return ok;
}

bool dw_make_part(struct archive *ar, const struct dw_part *part, const struct dw_render *wish, struct buf *to, struct err *e) {
    struct slot *slot = slot_take();
    bool ok;
    if (part->media == DW_PDF)
        ok = pdf(ar, slot, part, to, e);
    else if (part->media == DW_HTML || part->media == DW_TEXT)
        ok = report(ar, slot, part, wish, to, e);
    else if (part->media == DW_MP4 || part->media == DW_MPEG)
        ok = video(ar, slot, part, wish, to, e);
    else
        ok = picture(ar, slot, part, wish, to, e);
    slot_give(slot);
    return ok;
}
