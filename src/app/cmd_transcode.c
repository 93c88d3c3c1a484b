// gantry transcode: files in another transfer syntax.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/input.h"
#include "base/thread.h"
#include "codec/perform.h"
#include "codec/transcode.h"
#include "dicom/uids.h"

enum { PATH_BYTES = 4096, THREADS_MAX = 16, VERIFY_ARENA_BYTES = 1024 * 1024 * 1024 };

static const struct {
    const char *name, *uid;
} NAMES[] = {
    {"implicit-le", DCM_UID_ImplicitVRLittleEndian},
    {"explicit-le", DCM_UID_ExplicitVRLittleEndian},
    {"big-endian", DCM_UID_ExplicitVRBigEndian},
    {"deflated", DCM_UID_DeflatedExplicitVRLittleEndian},
    {"encapsulated", DCM_UID_EncapsulatedUncompressedExplicitVRLittleEndian},
    {"deflated-frame", DCM_UID_DeflatedImageFrameCompression},
    {"rle", DCM_UID_RLELossless},
    {"jpeg", DCM_UID_JPEGBaseline8Bit},
    {"jpeg-lossless", DCM_UID_JPEGLossless},
    {"jpeg-lossless-sv1", DCM_UID_JPEGLosslessSV1},
    {"jpeg-ls", DCM_UID_JPEGLSLossless},
    {"jpeg-ls-near", DCM_UID_JPEGLSNearLossless},
    {"j2k", DCM_UID_JPEG2000},
    {"j2k-lossless", DCM_UID_JPEG2000Lossless},
    {"htj2k", DCM_UID_HTJ2K},
    {"htj2k-lossless", DCM_UID_HTJ2KLossless},
    {"htj2k-rpcl", DCM_UID_HTJ2KLosslessRPCL},
};
#define NAMES_TEXT                                                                                                                                       \
    "implicit-le, explicit-le, big-endian, deflated, encapsulated, deflated-frame, rle, jpeg, jpeg-lossless, jpeg-lossless-sv1, jpeg-ls, jpeg-ls-near, " \
    "j2k, j2k-lossless, htj2k, htj2k-lossless, htj2k-rpcl"

struct conversion {
    struct cli_args *args;
    const struct dcm_ts *to;
    enum transcode_uid uid;
    struct codec_options options;
    bool into_folder, verify;
    const char *out;
    pthread_mutex_t lock; // of what follows, and of standard error
    unsigned next, done, failed;
    int code;
};

// ---- writing ----

static bool write_stream(void *ctx, const void *p, size_t n, struct err *e) {
    return fwrite(p, 1, n, ctx) == n || err_errno(e, ERR_IO, "transcode", "cannot write");
}

// An object that does not say what it is may do so in its meta header.
static bool write_by_meta(const struct transcode *t, const struct dcm_dataset *meta, struct dcm_sink to, struct err *e) {
    struct buf b;
    struct str class = dcm_text(meta, DCM_MediaStorageSOPClassUID), instance = dcm_text(meta, DCM_MediaStorageSOPInstanceUID);
    if (str_eqz(class, DCM_UID_MediaStorageDirectoryStorage))
        return err_set(e, ERR_UNSUPPORTED, "transcode", "a DICOMDIR refers to itself by byte offsets, which would change: it stays as it is");
    buf_init(&b, PATH_BYTES);
    bool ok = dcm_write_meta(class, instance, str_of(t->to->uid), (struct str){0}, &b, e) && to.write(to.ctx, b.p, b.n, e) && transcode_write(t, to, e);
    buf_deinit(&b);
    return ok;
}

static bool write_object(const struct transcode *t, const struct dcm_dataset *meta, struct dcm_sink to, struct err *e) {
    bool says = dcm_text(t->dataset, DCM_SOPClassUID).n && dcm_text(t->dataset, DCM_SOPInstanceUID).n;
    bool meta_says = meta && dcm_text(meta, DCM_MediaStorageSOPClassUID).n && dcm_text(meta, DCM_MediaStorageSOPInstanceUID).n;
    return says || !meta_says ? transcode_part10(t, to, e) : write_by_meta(t, meta, to, e);
}

// Under a temporary name beside the last one, so that no half of a file is ever seen under it.
static bool write_file(const struct transcode *t, const struct dcm_dataset *meta, const char *temporary, struct err *e) {
    int fd = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!f) {
        err_errno(e, ERR_IO, "transcode", "cannot create %s", temporary);
        if (fd >= 0) close(fd);
        return false;
    }
    bool ok = write_object(t, meta, (struct dcm_sink){write_stream, f}, e);
    if (fclose(f) != 0 && ok) ok = err_errno(e, ERR_IO, "transcode", "cannot write %s", temporary);
    return ok;
}

static struct codec_object pixels_of(const struct input *in) {
    const struct dcm_ts *ts = in->object.ts;
    return (struct codec_object){.ts = ts->deflated ? dcm_ts_explicit_le : ts, .source = &in->source};
}

// ---- reading what was written ----

static bool frame_of(struct arena *a, const struct input *in, const struct px_image *image, uint32_t i, struct px_frame *out, struct err *e) {
    struct codec_object o = pixels_of(in);
    struct codec_frames frames;
    if (!image->encapsulated) {
        struct px_reader reader = px_reader_native(&in->source);
        return reader.read(reader.ctx, a, image, i, out, e);
    }
    if (!codec_frames_of(a, in->object.dataset, o.ts, image->frames, &in->source, &frames, e)) return false;
    o.frames = &frames;
    struct px_reader reader = codec_reader(&o);
    return reader.read(reader.ctx, a, image, i, out, e);
}

static bool same_layout(const struct px_image *a, const struct px_image *b) {
    return a->photometric == b->photometric && a->planar == b->planar && a->bits_allocated == b->bits_allocated;
}

static bool compare_frame(const struct input *a, const struct px_image *ia, const struct input *b, const struct px_image *ib, uint32_t i, bool exact,
                          struct err *e) {
    struct arena arena;
    struct px_frame fa, fb;
    const struct codec_tolerance tolerance = {.exact = true};
    arena_init(&arena, VERIFY_ARENA_BYTES);
    struct err cut = {0};
    bool there = frame_of(&arena, a, ia, i, &fa, &cut); // of what is not there in the source nothing can be lost
    bool ok = !there || frame_of(&arena, b, ib, i, &fb, e);
    if (there && ok && exact && same_layout(&fa.image, &fb.image)) ok = codec_same(&fa, &fb, &tolerance, e);
    arena_deinit(&arena);
    return ok || err_wrap(e, "verifying frame %u", i + 1);
}

static bool compare(const struct input *in, const struct input *again, bool exact, struct err *e) {
    struct px_image a, b;
    struct err why = {0};
    if (!px_image_of(in->object.dataset, &a, &why)) return true; // nothing was decoded
    if (!px_image_of(again->object.dataset, &b, e)) return false;
    for (uint32_t i = 0; i < a.frames; i++)
        if (!compare_frame(in, &a, again, &b, i, exact, e)) return false;
    return true;
}

static bool verify(const struct conversion *c, const struct input *in, const char *path, struct err *e) {
    struct input again;
    bool lossy = c->to->encapsulated && c->to->lossy && strcmp(in->object.ts->uid, c->to->uid) != 0;
    bool ok = input_open(&again, path, e) && compare(in, &again, !lossy, e);
    input_close(&again);
    return ok || err_wrap(e, "verifying");
}

// ---- one file ----

static bool convert_to(const struct conversion *c, struct input *in, const char *path, struct err *e) {
    char temporary[PATH_BYTES + 64];
    static atomic_uint number;
    struct transcode t = {.dataset = in->object.dataset, .pixels = pixels_of(in), .to = c->to, .uid = c->uid};
    t.pixels.options = c->options;
    snprintf(temporary, sizeof temporary, "%s.%ld-%u.part", path, (long)getpid(), atomic_fetch_add(&number, 1));
    bool ok = write_file(&t, in->object.meta, temporary, e) && (!c->verify || verify(c, in, temporary, e));
    if (ok && rename(temporary, path) != 0) ok = err_errno(e, ERR_IO, "transcode", "cannot name %s", path);
    if (!ok) unlink(temporary);
    return ok;
}

static bool path_for(const struct conversion *c, const char *name, char path[PATH_BYTES], struct err *e) {
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : strcmp(name, "-") == 0 ? "stdin.dcm" : name;
    int n = c->into_folder ? snprintf(path, PATH_BYTES, "%s/%s", c->out, base) : snprintf(path, PATH_BYTES, "%s", c->out);
    return n < PATH_BYTES || err_set(e, ERR_USAGE, "transcode", "the path %s/%s is too long", c->out, base);
}

static bool convert(const struct conversion *c, const char *name, struct err *e) {
    struct input in;
    char path[PATH_BYTES];
    bool ok = path_for(c, name, path, e) && input_open(&in, name, e);
    if (ok && !in.object.ts) ok = err_set(e, ERR_BAD_INPUT, "transcode", "its transfer syntax cannot be told");
    ok = ok && convert_to(c, &in, path, e);
    input_close(&in);
    return ok || (strstr(e->message, name) ? false : err_wrap(e, "%s", name));
}

// ---- all of them, on a few threads ----

static void count(struct conversion *c, bool ok, const struct err *e) {
    pthread_mutex_lock(&c->lock);
    c->done++;
    if (!ok) {
        int code = cli_fail(c->args, e);
        c->failed++;
        if (!c->code) c->code = code;
    }
    cli_progress("transcode", c->done, c->args->positional_count);
    pthread_mutex_unlock(&c->lock);
}

static void *work(void *arg) {
    struct conversion *c = arg;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        unsigned i = c->next++;
        pthread_mutex_unlock(&c->lock);
        if (i >= c->args->positional_count) return NULL;
        struct err e = {0};
        bool ok = convert(c, c->args->positional[i], &e);
        count(c, ok, &e);
    }
}

static int run_all(struct conversion *c) {
    pthread_t threads[THREADS_MAX];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned started = 0, wanted = c->args->positional_count;
    if (wanted > THREADS_MAX) wanted = THREADS_MAX;
    if (processors > 0 && wanted > (unsigned long)processors) wanted = (unsigned)processors;
    pthread_mutex_init(&c->lock, NULL);
    while (started + 1 < wanted && thread_start(&threads[started], "transcode", work, c, NULL)) started++;
    work(c); // this one too
    while (started) pthread_join(threads[--started], NULL);
    pthread_mutex_destroy(&c->lock);
    return c->code;
}

// ---- the command line ----

__attribute__((format(printf, 1, 2))) static int usage(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "gantry transcode: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return EX_USAGE;
}

static const struct dcm_ts *ts_named(const char *text) {
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (strcmp(text, NAMES[i].name) == 0) return dcm_ts_find(str_of(NAMES[i].uid));
    return dcm_ts_find(str_of(text));
}

// Two inputs of one name would end in one file.
static const char *twice(const struct cli_args *args) {
    for (unsigned i = 0; i < args->positional_count; i++)
        for (unsigned k = 0; k < i; k++) {
            const char *a = strrchr(args->positional[i], '/'), *b = strrchr(args->positional[k], '/');
            if (strcmp(a ? a + 1 : args->positional[i], b ? b + 1 : args->positional[k]) == 0) return args->positional[i];
        }
    return NULL;
}

static int read_destination(struct conversion *c) {
    struct stat st;
    size_t n = strlen(c->out);
    bool there = stat(c->out, &st) == 0;
    c->into_folder = c->args->positional_count > 1 || (n && c->out[n - 1] == '/') || (there && S_ISDIR(st.st_mode));
    if (!c->into_folder) return 0;
    if (there && !S_ISDIR(st.st_mode)) return usage("--out %s is a file; several inputs need a folder", c->out);
    if (!there && mkdir(c->out, 0777) != 0 && errno != EEXIST) return usage("cannot make the folder %s", c->out);
    const char *name = twice(c->args);
    return name ? usage("two inputs would be written to the same name (%s)", name) : 0;
}

static int read_options(struct cli_args *args, struct conversion *c) {
    const char *to = cli_text(args, "to", NULL);
    int64_t quality, near;
    c->out = cli_text(args, "out", NULL);
    if (!to || !c->out) return usage("--to and --out are needed");
    c->to = ts_named(to);
    if (!c->to) return usage("--to %s is no transfer syntax; it takes a UID or one of: " NAMES_TEXT, to);
    if (!cli_int(args, "quality", 0, 1, 100, &quality) || !cli_int(args, "near", 0, 1, 255, &near)) return EX_USAGE;
    if (cli_flag(args, "new-uid") && cli_flag(args, "keep-uid")) return usage("--new-uid and --keep-uid exclude each other");
    c->options = (struct codec_options){.quality = (int)quality, .near = (unsigned)near};
    c->uid = cli_flag(args, "new-uid") ? TRANSCODE_UID_NEW : cli_flag(args, "keep-uid") ? TRANSCODE_UID_KEPT : TRANSCODE_UID_STANDARD;
    c->verify = cli_flag(args, "verify");
    return read_destination(c);
}

static int run(struct cli_args *args) {
    struct conversion c = {.args = args};
    struct err e = {0};
    int code = read_options(args, &c);
    if (code) return code;
    if (!codec_pool_start("/proc/self/exe", 0, &e)) return cli_fail(args, &e);
    code = run_all(&c);
    codec_pool_stop();
    return code;
}

static const struct cli_option OPTIONS[] = {
    {"to", "NAME|UID", "the transfer syntax", false},
    {"out", "FILE|DIR", "where the result goes; a folder for several files", false},
    {"quality", "N", "of lossy JPEG and JPEG 2000, 1 to 100 (default: 90)", false},
    {"near", "N", "of jpeg-ls-near: the largest difference of a sample, 1 to 255 (default: 2)", false},
    {"new-uid", NULL, "a new SOP Instance UID, for lossless results too", false},
    {"keep-uid", NULL, "the same SOP Instance UID, for lossy results too", false},
    {"verify", NULL, "read the written file again and compare every frame before it gets its name", false},
    {0},
};

const struct cli_command CMD_TRANSCODE = {
    .name = "transcode",
    .synopsis = "FILE... --to NAME|UID --out FILE|DIR [--quality N] [--near N] [--new-uid] [--verify]",
    .summary = "Convert objects to another transfer syntax",
    .permission = ACCESS_LOCAL,
    .group = "Files",
    .details = "NAME is one of " NAMES_TEXT ".\n"
               "Every encoded frame is decoded again and compared before it counts. Attributes change only where they tell of the pixel data's form. A lossy "
               "result is\n"
               "a new image: it gets a SOP Instance UID of its own (the same for the same conversion), Image Type DERIVED and a reference to its source, as\n"
               "PS3.3 C.7.6.1.1.5 has it; --keep-uid is for those who know better. What cannot be converted is said and nothing is written for it; the exit "
               "code is then\n"
               "that of the first failure: 65 when its bytes or pixels are damaged or the transfer syntax has no place for them.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = UINT32_MAX,
    .run = run,
};
