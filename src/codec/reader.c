// Reading frames of compressed and native objects alike.
#include "codec/reader.h"

#include "base/limits.h"
#include "codec/pool.h"

static bool frame_bytes(const struct codec_frames *f, uint32_t frame, uint64_t *out, struct err *e) {
    if (!f || frame >= f->count)
        return err_set(e, ERR_NOT_FOUND, "codec", "there is no frame %llu: the object has %u", (unsigned long long)frame + 1, f ? f->count : 0);
    *out = 0;
    for (uint32_t i = f->first[frame]; i < f->first[frame + 1]; i++)
        if (__builtin_add_overflow(*out, f->runs[i].length, out) || *out > PX_FRAME_BYTES_MAX)
            return err_set(e, ERR_TOO_LARGE, "codec", "frame %u is compressed to more than %d bytes", frame + 1, PX_FRAME_BYTES_MAX);
    return true;
}

bool codec_read_frame(struct arena *a, const struct codec_object *o, uint32_t frame, struct str *out, struct err *e) {
    uint64_t n = 0;
    if (!frame_bytes(o->frames, frame, &n, e)) return false;
    char *p = arena_alloc(a, (size_t)n, e);
    size_t at = 0;
    if (!p) return false;
    for (uint32_t i = o->frames->first[frame]; i < o->frames->first[frame + 1]; i++) {
        const struct codec_run *run = &o->frames->runs[i];
        if (run->length && !o->source->read_at(o->source->ctx, run->offset, p + at, (size_t)run->length, e)) return err_wrap(e, "reading frame %u", frame + 1);
        at += (size_t)run->length;
    }
    *out = (struct str){p, (size_t)n};
    return true;
}

static bool read_encapsulated(const struct codec_object *o, struct arena *a, const struct px_image *image, uint32_t frame, struct px_frame *out,
                              struct err *e) {
    if (!codec_of(o->ts)) return err_set(e, ERR_UNSUPPORTED, "codec", "there is no decoder for %s", o->ts ? o->ts->name : "its transfer syntax");
    struct codec_job job = {.task = CODEC_DECODE, .from = o->ts, .image = *image, .options = o->options};
    if (!codec_read_frame(a, o, frame, &job.input, e)) return false;
    if (!codec_job_run(&job, a, e)) return err_wrap(e, "frame %u", frame + 1);
    *out = job.frame;
    return true;
}

static bool read_frame(void *ctx, struct arena *a, const struct px_image *image, uint32_t frame, struct px_frame *out, struct err *e) {
    const struct codec_object *o = ctx;
    if (image->encapsulated) return read_encapsulated(o, a, image, frame, out, e);
    const struct px_reader native = px_reader_native(o->source);
    return native.read(native.ctx, a, image, frame, out, e);
}

struct px_reader codec_reader(const struct codec_object *o) {
    return (struct px_reader){read_frame, (void *)(uintptr_t)o};
}
