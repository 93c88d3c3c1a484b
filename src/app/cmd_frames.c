// gantry frames: where the frames of an object lie, and each of them as it is stored or decoded.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/commands.h"
#include "app/input.h"
#include "base/limits.h"
#include "codec/pool.h"
#include "codec/reader.h"
#include "dicom/uids.h"
#include "sys/file.h"

static const struct cli_option OPTIONS[] = {
    {"list", NULL, "only tell of each frame where it lies and what it is (the default without --out)", false},
    {"frame", "N|A-B", "which frames, from 1 (default: all)", false},
    {"decode", NULL, "pixels, little endian and colour by pixel, in place of what is stored", false},
    {"workers", "N", "processes that decode side by side, 1 to 256 (default: one per processor; 0: this one does it)", false},
    {"threads", "N", "that one frame may be worked on by, where its encoding allows (default: 1)", false},
    {"out", "DIR", "folder for a file per frame; - for standard output, one after the other", false},
    {0},
};

enum { AHEAD_MAX = 512, MORE_ROOM_BYTES = 64 * 1024, DECODE_ARENA_BYTES = 4 * (PX_FRAME_BYTES_MAX / 4) + (64 << 20) };

struct work {
    struct cli_args *args;
    struct input *in;
    struct codec_frames frames;
    struct px_image image;
    struct codec_object object;
    uint32_t first, last; // from 0, last included
    bool decode;
    unsigned threads;
    const char *out;
};

// ---- what a codestream is ----

static bool is_video_of(const char *uid, const char *prefix) {
    return strncmp(uid, prefix, strlen(prefix)) == 0;
}

static const char *video_extension(const struct dcm_ts *ts) {
    if (is_video_of(ts->uid, DCM_UID_MPEG2MPML) || is_video_of(ts->uid, DCM_UID_MPEG2MPHL)) return "mpg";
    return is_video_of(ts->uid, DCM_UID_HEVCMP51) || is_video_of(ts->uid, DCM_UID_HEVCM10P51) ? "h265" : "h264";
}

static bool starts(const uint8_t *p, size_t n, const char *with, size_t with_n) {
    return n >= with_n && memcmp(p, with, with_n) == 0;
}

// By its first bytes, and by the transfer syntax where these do not tell.
static const char *extension_of(const struct dcm_ts *ts, const uint8_t *p, size_t n) {
    if (!ts || !(ts->encapsulated || ts->video)) return "raw";
    bool jls = strcmp(ts->uid, DCM_UID_JPEGLSLossless) == 0 || strcmp(ts->uid, DCM_UID_JPEGLSNearLossless) == 0;
    if (starts(p, n, "\xFF\xD8\xFF", 3)) return jls ? "jls" : "jpg";
    if (starts(p, n, "\xFF\x4F\xFF\x51", 4)) return "j2k";
    if (starts(p, n, "\0\0\0\x0CjP  ", 8)) return "jp2";
    if (starts(p, n, "\xFF\x0A", 2) || starts(p, n, "\0\0\0\x0CJXL ", 8)) return "jxl";
    if (strcmp(ts->uid, DCM_UID_RLELossless) == 0) return "rle";
    if (strcmp(ts->uid, DCM_UID_DeflatedImageFrameCompression) == 0) return "deflate";
    if (strcmp(ts->uid, DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian) == 0) return "raw";
    if (n > 8 && memcmp(p + 4, "ftyp", 4) == 0) return "mp4";
    return ts->video ? video_extension(ts) : "bin";
}

// ---- finding ----

// Native frames are runs too, of one bit a pixel from the byte in which they begin.
static bool native_frames(struct arena *a, const struct px_image *image, struct codec_frames *out, struct err *e) {
    uint64_t bits = px_frame_bits(image), there = bits ? image->pixels->length * 8 / bits : 0;
    uint32_t count = there < image->frames ? (uint32_t)there : image->frames;
    uint32_t *first = arena_alloc(a, ((size_t)count + 1) * sizeof *first, e);
    struct codec_run *runs = first ? arena_alloc(a, (size_t)count * sizeof *runs, e) : NULL;
    if (!runs) return false;
    for (uint32_t i = 0; i <= count; i++) first[i] = i;
    for (uint32_t i = 0; i < count; i++) runs[i] = (struct codec_run){image->pixels->offset + bits * i / 8, (bits * i % 8 + bits + 7) / 8};
    *out = (struct codec_frames){count, first, runs};
    return true;
}

static bool find_frames(struct work *w, struct err *e) {
    const struct dcm_object *o = &w->in->object;
    if (!px_image_of(o->dataset, &w->image, e)) return false;
    bool ok = w->image.encapsulated ? codec_frames_of(w->args->arena, o->dataset, o->ts, w->image.frames, &w->in->source, &w->frames, e)
                                    : native_frames(w->args->arena, &w->image, &w->frames, e);
    w->object = (struct codec_object){.ts = o->ts, .source = &w->in->source, .frames = &w->frames, .options = {.threads = w->threads}};
    return ok;
}

// "7" or "3-9".
static bool parse_range(struct work *w, struct err *e) {
    const char *text = cli_text(w->args, "frame", NULL);
    w->first = 0;
    w->last = w->frames.count - 1;
    if (w->frames.count == 0) return err_set(e, ERR_UNDECODABLE, "frames", "no whole frame is there");
    if (!text) return true;
    struct str rest = str_of(text), from = str_split(&rest, '-');
    uint64_t a, b;
    if (!str_to_u64(from, &a) || a < 1 || (rest.p && (!str_to_u64(rest, &b) || b < a)))
        return err_set(e, ERR_USAGE, "frames", "--frame takes a number from 1, or two such as 3-9, not '%s'", text);
    if (!rest.p) b = a;
    if (b > w->frames.count)
        return err_set(e, ERR_NOT_FOUND, "frames", "there is no frame %" PRIu64 ": the object has %u%s", b, w->frames.count,
                       w->frames.count < w->image.frames && !(w->in->object.ts && w->in->object.ts->video) ? ", fewer than it declares" : "");
    w->first = (uint32_t)(a - 1);
    w->last = (uint32_t)(b - 1);
    return true;
}

// ---- listing ----

static bool list(struct work *w, struct err *e) {
    const struct dcm_ts *ts = w->in->object.ts;
    printf("%s, %u of %u frames\n", ts ? ts->name : "unknown transfer syntax", w->frames.count, w->image.frames);
    printf("%8s %14s %12s %9s  %s\n", "frame", "offset", "bytes", "fragments", "content");
    for (uint32_t i = w->first; i <= w->last; i++) {
        const struct codec_run *runs = w->frames.runs + w->frames.first[i];
        uint32_t n = w->frames.first[i + 1] - w->frames.first[i];
        uint64_t bytes = 0;
        uint8_t head[16];
        size_t head_n = n && runs[0].length < sizeof head ? (size_t)runs[0].length : n ? sizeof head : 0;
        for (uint32_t k = 0; k < n; k++) bytes += runs[k].length;
        if (head_n && w->image.encapsulated && !w->in->source.read_at(w->in->source.ctx, runs[0].offset, head, head_n, e)) return false;
        printf("%8u %14" PRIu64 " %12" PRIu64 " %9u  %s\n", i + 1, n ? runs[0].offset : 0, bytes, w->image.encapsulated ? n : 0,
               extension_of(ts, head, head_n));
    }
    return true;
}

// ---- writing ----

static bool put(const struct work *w, uint32_t frame, struct str bytes, const char *extension, struct err *e) {
    if (strcmp(w->out, "-") == 0) return fwrite(bytes.p, 1, bytes.n, stdout) == bytes.n || err_errno(e, ERR_IO, "frames", "write to standard output");
    char path[4096];
    int fd, n = snprintf(path, sizeof path, "%s/frame-%06u.%s", w->out, frame + 1, extension);
    if (n < 0 || (size_t)n >= sizeof path) return err_set(e, ERR_USAGE, "frames", "the name of the folder is too long");
    if (!sys_open(NULL, path, O_WRONLY | O_CREAT | O_TRUNC, 0666, &fd, e)) return false;
    bool ok = sys_write_at(NULL, fd, bytes.p, bytes.n, 0, e);
    sys_close(NULL, fd);
    if (ok) printf("%s\n", path);
    return ok || err_wrap(e, "%s", path);
}

static bool write_stored(struct work *w, struct err *e) {
    for (uint32_t i = w->first; i <= w->last; i++) {
        struct arena_mark mark = arena_mark(w->args->arena);
        struct str bytes;
        if (!codec_read_frame(w->args->arena, &w->object, i, &bytes, e)) return false;
        if (!put(w, i, bytes, extension_of(w->in->object.ts, (const uint8_t *)bytes.p, bytes.n), e)) return false;
        arena_rewind(w->args->arena, mark);
    }
    return true;
}

// ---- decoding: as many frames at once as there are workers, written in order ----

struct ahead {
    struct codec_job job;
    struct arena arena;
    bool begun;
    void *memory; // that the arena begins in, so that each frame does not fault its pages in again
};

static bool put_decoded(struct work *w, uint32_t frame, const struct px_frame *f, struct err *e) {
    struct px_image image = f->image;
    struct str bytes = {(const char *)f->bytes, (size_t)((px_frame_bits(&image) + f->bit_offset + 7) / 8)};
    return put(w, frame, bytes, "raw", e);
}

static bool begin_frame(struct work *w, struct ahead *slot, uint32_t frame, struct err *e) {
    arena_reset(&slot->arena);
    slot->job = (struct codec_job){.task = CODEC_DECODE, .from = w->object.ts, .image = w->image, .options = w->object.options};
    slot->begun = codec_read_frame(&slot->arena, &w->object, frame, &slot->job.input, e) && codec_job_begin(&slot->job, e);
    return slot->begun;
}

static bool end_frame(struct work *w, struct ahead *slot, uint32_t frame, struct err *e) {
    slot->begun = false;
    if (!codec_job_wait(&slot->job, &slot->arena, e)) return err_wrap(e, "frame %u", frame + 1);
    return put_decoded(w, frame, &slot->job.frame, e);
}

// count: of slots, at least 1.
static bool decode_all(struct work *w, struct ahead *slots, uint32_t count, struct err *e) {
    uint64_t begun = w->first;
    bool ok = count > 0;
    for (uint64_t i = w->first; ok && i <= w->last; i++) {
        for (; ok && begun <= w->last && begun < i + count; begun++) ok = begin_frame(w, &slots[begun % count], (uint32_t)begun, e);
        ok = ok && end_frame(w, &slots[i % count], (uint32_t)i, e);
    }
    for (uint32_t i = 0; i < count; i++)
        if (slots[i].begun) codec_job_wait(&slots[i].job, &slots[i].arena, NULL);
    return ok;
}

static bool write_decoded(struct work *w, struct err *e) {
    uint32_t count = codec_pool_size() + 1;
    if (count > AHEAD_MAX) count = AHEAD_MAX;
    if (!codec_of(w->object.ts)) return err_set(e, ERR_UNSUPPORTED, "frames", "there is no decoder for %s", w->object.ts ? w->object.ts->name : "this");
    struct ahead *slots = arena_zero(w->args->arena, count, sizeof *slots, e);
    if (!slots) return false;
    size_t room = (size_t)(px_frame_bits(&w->image) / 8) * 2 + MORE_ROOM_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        slots[i].memory = malloc(room);
        arena_init_in(&slots[i].arena, DECODE_ARENA_BYTES, slots[i].memory, slots[i].memory ? room : 0);
    }
    bool ok = decode_all(w, slots, count, e);
    for (uint32_t i = 0; i < count; i++) {
        arena_deinit(&slots[i].arena);
        free(slots[i].memory);
    }
    return ok;
}

static bool write_native(struct work *w, struct err *e) {
    struct px_reader reader = codec_reader(&w->object);
    for (uint32_t i = w->first; i <= w->last; i++) {
        struct arena_mark mark = arena_mark(w->args->arena);
        struct px_frame frame;
        if (!reader.read(reader.ctx, w->args->arena, &w->image, i, &frame, e) || !put_decoded(w, i, &frame, e)) return false;
        arena_rewind(w->args->arena, mark);
    }
    return true;
}

static bool make_folder(const char *out, struct err *e) {
    if (strcmp(out, "-") == 0 || mkdir(out, 0777) == 0 || errno == EEXIST) return true;
    return err_errno(e, ERR_IO, "frames", "cannot create %s", out);
}

static bool start_workers(const struct cli_args *args, struct err *e) {
    int64_t n;
    if (!cli_int(args, "workers", -1, 0, 256, &n)) return err_set(e, ERR_USAGE, "frames", "--workers is wrong");
    return n == 0 || codec_pool_start("/proc/self/exe", n < 0 ? 0 : (unsigned)n, e);
}

static bool work(struct work *w, struct err *e) {
    int64_t threads;
    if (!cli_int(w->args, "threads", 1, 1, 64, &threads)) return err_set(e, ERR_USAGE, "frames", "--threads is wrong");
    w->threads = (unsigned)threads;
    w->out = cli_text(w->args, "out", NULL);
    w->decode = cli_flag(w->args, "decode");
    if (w->decode && !w->out) return err_set(e, ERR_USAGE, "frames", "--decode needs --out, a folder or -");
    if (!find_frames(w, e) || !parse_range(w, e)) return false;
    if (!w->out || cli_flag(w->args, "list")) return list(w, e);
    if (!make_folder(w->out, e)) return false;
    if (!w->decode) return write_stored(w, e);
    return w->image.encapsulated ? start_workers(w->args, e) && write_decoded(w, e) : write_native(w, e);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct input in;
    struct work w = {.args = args, .in = &in};
    bool ok = (input_open(&in, args->positional[0], &e) && work(&w, &e)) || (e.kind == ERR_USAGE ? false : err_wrap(&e, "%s", args->positional[0]));
    codec_pool_stop();
    input_close(&in);
    return ok ? 0 : cli_fail(args, &e);
}

const struct cli_command CMD_FRAMES = {
    .name = "frames",
    .synopsis = "FILE [--list] [--frame N|A-B] [--decode] [--out DIR|-]",
    .summary = "List the frames of an object, or take them out as stored or decoded",
    .permission = ACCESS_LOCAL,
    .group = "Files",
    .details = "Compressed frames come out as .jpg, .jls, .j2k, .jp2, .jxl, .rle, .deflate or video; native and decoded ones as .raw.\n"
               "A video is one frame here: its stream.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};
