// Decoding, encoding and transcoding of one frame, each result checked before it counts.
#include "codec/perform.h"

#include "base/limits.h"
#include "dicom/uids.h"

static bool is_native(const struct dcm_ts *ts) {
    return ts && !ts->encapsulated && !ts->video;
}

static bool bits_can_be(const struct px_image *image) {
    unsigned bits = image->bits_allocated;
    bool width = image->kind == PX_INTEGER ? bits == 1 || bits == 8 || bits == 16 || bits == 32 : bits == (image->kind == PX_FLOAT ? 32 : 64);
    return width && image->bits_stored >= 1 && image->bits_stored <= bits && image->high_bit < bits && image->high_bit + 1 >= image->bits_stored;
}

// What whoever shows the pixels relies on (pixel/frame.c checks the same of native ones).
static bool colours_can_be(const struct px_image *image) {
    if (image->samples == 3 && (image->bits_allocated == 1 || image->photometric < PX_RGB)) return false;
    if (image->samples != 3 && image->photometric >= PX_RGB) return false;
    if (image->photometric == PX_YBR_PARTIAL_420 || image->photometric == PX_YBR_PARTIAL_422) return false; // of video only
    if (image->photometric == PX_PALETTE_COLOR && image->bits_allocated > 16) return false;
    return image->photometric != PX_YBR_FULL_422 || image->columns % 2 == 0;
}

bool codec_image_check(const struct px_image *declared, const struct px_image *image, struct err *e) {
    bool same = image->rows == declared->rows && image->columns == declared->columns && image->samples == declared->samples && image->kind == declared->kind;
    if (same && bits_can_be(image) && colours_can_be(image)) return true;
    return err_set(e, ERR_UNDECODABLE, "codec", "the decoder gave %u x %u pixels of %u x %u bits, %s, for %u x %u of %u x %u, %s", image->columns, image->rows,
                   image->samples, image->bits_allocated, px_photometric_name(image->photometric), declared->columns, declared->rows, declared->samples,
                   declared->bits_allocated, px_photometric_name(declared->photometric));
}

bool codec_frame_check(const struct px_image *declared, const struct px_frame *frame, struct err *e) {
    if (!codec_image_check(declared, &frame->image, e)) return false;
    if (frame->image.photometric > PX_YBR_FULL_422)
        return err_set(e, ERR_UNDECODABLE, "codec", "%s is no colour model of uncompressed pixels", px_photometric_name(frame->image.photometric));
    uint64_t bytes = (px_frame_bits(&frame->image) + frame->bit_offset + 7) / 8;
    if (frame->bit_offset < 8 && bytes <= PX_FRAME_BYTES_MAX && frame->n >= bytes && frame->bytes) return true;
    return err_set(e, ERR_UNDECODABLE, "codec", "the decoder gave %zu bytes of a frame of %llu", frame->n, (unsigned long long)bytes);
}

static bool native_frame(const struct codec_job *job, struct px_frame *out, struct err *e) {
    *out = (struct px_frame){.image = job->image, .bytes = (const uint8_t *)job->input.p, .n = job->input.n, .bit_offset = job->bit_offset};
    return codec_frame_check(&job->image, out, e);
}

static bool decode(const struct codec_job *job, const struct dcm_ts *ts, const struct px_image *declared, struct str codestream, struct arena *a,
                   struct px_frame *out, struct err *e) {
    const struct codec_family *family = codec_of(ts);
    if (!family) return err_set(e, ERR_UNSUPPORTED, "codec", "there is no decoder for %s", ts ? ts->name : "an unknown transfer syntax");
    if (px_frame_bits(declared) / 8 > PX_FRAME_BYTES_MAX)
        return err_set(e, ERR_UNDECODABLE, "codec", "a frame of more than %d bytes is declared", PX_FRAME_BYTES_MAX);
    if (codestream.n == 0) return err_set(e, ERR_UNDECODABLE, "codec", "the codestream is empty");
    *out = (struct px_frame){0};
    if (!family->decode(a, ts, declared, (const uint8_t *)codestream.p, codestream.n, &job->options, out, e)) return err_wrap(e, "%s", family->name);
    out->image.frames = declared->frames;
    return codec_frame_check(declared, out, e);
}

static struct codec_tolerance tolerance_of(const struct codec_job *job) {
    bool near = strcmp(job->to->uid, DCM_UID_JPEGLSNearLossless) == 0;
    return (struct codec_tolerance){.exact = !job->to->lossy,
                                    .near = !near               ? 0
                                            : job->options.near ? job->options.near
                                                                : CODEC_NEAR_DEFAULT,
                                    .quality = job->options.quality};
}

static bool verify(const struct codec_job *job, const struct px_frame *in, struct arena *a, struct err *e) {
    struct arena_mark mark = arena_mark(a);
    struct px_frame again;
    const struct codec_tolerance tolerance = tolerance_of(job);
    bool ok = decode(job, job->to, &job->result_image, job->codestream, a, &again, e) && codec_same(in, &again, &tolerance, e);
    arena_rewind(a, mark);
    return ok || err_wrap(e, "the encoded frame, decoded again");
}

static bool encode(struct codec_job *job, const struct px_frame *in, struct arena *a, struct err *e) {
    const struct codec_family *family = codec_of(job->to);
    struct buf to;
    if (!family || !family->encode)
        return err_set(e, ERR_UNSUPPORTED, "codec", "there is no encoder for %s", job->to ? job->to->name : "an unknown transfer syntax");
    buf_init(&to, (size_t)PX_FRAME_BYTES_MAX);
    job->result_image = in->image;
    job->result_image.encapsulated = true;
    bool ok = family->encode(in, job->to, &job->options, &to, &job->result_image, e) && buf_ok(&to, e);
    ok = ok ? arena_dup(a, buf_str(&to), &job->codestream, e) : err_wrap(e, "%s", family->name);
    buf_deinit(&to);
    return ok && verify(job, in, a, e);
}

static bool put(struct codec_job *job, const struct px_frame *in, struct arena *a, struct err *e) {
    if (!is_native(job->to)) return encode(job, in, a, e);
    if (in->bit_offset) return err_set(e, ERR_UNSUPPORTED, "codec", "a native frame that does not begin at a byte is written with its neighbours");
    job->codestream = (struct str){(const char *)in->bytes, (size_t)((px_frame_bits(&in->image) + 7) / 8)};
    job->result_image = in->image;
    job->result_image.encapsulated = false;
    return true;
}

bool codec_perform(struct codec_job *job, struct arena *a, struct err *e) {
    struct px_frame frame;
    bool native = job->task == CODEC_ENCODE || is_native(job->from);
    if (native ? !native_frame(job, &frame, e) : !decode(job, job->from, &job->image, job->input, a, &frame, e)) return false;
    if (job->task != CODEC_DECODE) return put(job, &frame, a, e);
    job->frame = frame;
    return true;
}
