// gantry render: frames of an object as a picture.
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "app/cli.h"
#include "app/commands.h"
#include "app/input.h"
#include "base/buf.h"
#include "base/limits.h"
#include "codec/pool.h"
#include "codec/reader.h"
#include "pixel/gif.h"
#include "pixel/render.h"

static const struct cli_option OPTIONS[] = {
    {"out", "FILE", "where the picture goes: .png, .jpg, .jpeg or .gif", false},
    {"frame", "N|A-B", "which frame, from 1 (default: 1); several for an animated GIF", false},
    {"window", "C,W[,FN]", "window center, width and function (LINEAR, LINEAR_EXACT, SIGMOID) in place of the object's own", false},
    {"function", "NAME", "the window's function, when --window does not say it (default: LINEAR)", false},
    {"voi", "N", "which of the object's VOI LUTs and windows, from 1", false},
    {"region", "X,Y,W,H", "the part of the image to show, in pixels; a negative width or height turns it over", false},
    {"viewport", "W,H", "the size that the picture is to fill in its own proportions", false},
    {"size", "N|W,H", "the picture's longest side in pixels (default: the image's own size), or as --viewport", false},
    {"aspect", "on|off", "make pixels square that are not (default: on)", false},
    {"overlays", "on|off", "show the object's overlays and shutters (default: on)", false},
    {"presentation-state", "FILE", "a softcopy presentation state to show the image by", false},
    {"annotate", "LIST", "text burnt in: patient, technique or both, with a comma", false},
    {"quality", "N", "of JPEG, 1 to 100 (default: 90)", false},
    {"icc", "no|yes|srgb", "the profile of a colour picture: none, the object's, or sRGB with the colours converted (default: no)", false},
    {0},
};

enum format { PNG, JPEG, GIF };

struct request {
    const char *out, *state;
    enum format format;
    uint32_t first, last; // frames, from 0
    int64_t quality;
    struct px_window window;
    struct px_options options;
};

static int usage(const char *what) {
    fprintf(stderr, "gantry render: %s\n", what);
    return EX_USAGE;
}

// ---- options ----

static bool parse_function(struct str name, enum px_voi_function *out) {
    static const char *const names[] = {[PX_LINEAR] = "LINEAR", [PX_LINEAR_EXACT] = "LINEAR_EXACT", [PX_SIGMOID] = "SIGMOID"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_eqz(name, names[i])) return *out = (enum px_voi_function)i, true;
    return false;
}

static int parse_window(const struct cli_args *args, struct request *r) {
    const char *text = cli_text(args, "window", NULL);
    if (!text) return 0;
    struct str rest = str_of(text), center = str_split(&rest, ','), width = str_split(&rest, ',');
    struct str function = rest.p ? rest : str_of(cli_text(args, "function", "LINEAR"));
    if (!str_to_f64(center, &r->window.center) || !str_to_f64(width, &r->window.width)) return usage("--window takes center and width, such as 40,400");
    if (!parse_function(function, &r->window.function)) return usage("a window's function is LINEAR, LINEAR_EXACT or SIGMOID");
    r->options.window = &r->window;
    return 0;
}

static int parse_format(struct request *r) {
    static const struct {
        const char *end;
        enum format format;
    } names[] = {{".png", PNG}, {".jpg", JPEG}, {".jpeg", JPEG}, {".gif", GIF}};
    for (size_t i = 0; r->out && i < sizeof names / sizeof names[0]; i++)
        if (str_ends(str_of(r->out), str_of(names[i].end))) return r->format = names[i].format, 0;
    return usage(r->out ? "--out takes a name that ends in .png, .jpg, .jpeg or .gif" : "--out FILE is needed");
}

static int parse_frames(const struct cli_args *args, struct request *r) {
    struct str rest = str_of(cli_text(args, "frame", "1")), first = str_split(&rest, '-');
    uint64_t a, b;
    if (!str_to_u64(first, &a) || a < 1 || a > INT32_MAX) return usage("--frame takes a number from 1, or two with a dash");
    b = a;
    if (rest.p && (!str_to_u64(rest, &b) || b < a || b > INT32_MAX)) return usage("--frame takes a number from 1, or two with a dash");
    if (a != b && r->format != GIF) return usage("several frames need --out with a name that ends in .gif");
    r->first = (uint32_t)(a - 1);
    r->last = (uint32_t)(b - 1);
    return 0;
}

static bool pair_of(const char *text, uint32_t *a, uint32_t *b) {
    struct str rest = str_of(text), first = str_split(&rest, ',');
    uint64_t x, y;
    if (!str_to_u64(first, &x) || x < 1 || x > PX_VIEWPORT_MAX) return false;
    y = x;
    if (rest.p && (!str_to_u64(rest, &y) || y < 1 || y > PX_VIEWPORT_MAX)) return false;
    *a = (uint32_t)x;
    *b = (uint32_t)y;
    return true;
}

static int parse_size(const struct cli_args *args, struct request *r) {
    const char *text = cli_text(args, "viewport", cli_text(args, "size", NULL)), *region = cli_text(args, "region", NULL);
    struct px_options *o = &r->options;
    if (text && !pair_of(text, &o->width, &o->height)) return usage("--size and --viewport take one or two numbers from 1 to 16384");
    if (!region) return 0;
    struct str rest = str_of(region);
    double v[4];
    for (unsigned i = 0; i < 4; i++)
        if (!str_to_f64(str_split(&rest, ','), &v[i])) return usage("--region takes x,y,width,height");
    o->flip_x = v[2] < 0;
    o->flip_y = v[3] < 0;
    o->region = (struct px_region){v[0], v[1], v[2] < 0 ? -v[2] : v[2], v[3] < 0 ? -v[3] : v[3]};
    o->has_region = true;
    return rest.p ? usage("--region takes x,y,width,height") : 0;
}

static int parse_switch(const struct cli_args *args, const char *name, bool *off) {
    const char *text = cli_text(args, name, "on");
    *off = strcmp(text, "off") == 0;
    return *off || strcmp(text, "on") == 0 ? 0 : usage("--overlays and --aspect take on or off");
}

static int parse_annotation(const struct cli_args *args, struct request *r) {
    struct str rest = str_of(cli_text(args, "annotate", NULL));
    while (rest.p) {
        struct str one = str_split(&rest, ',');
        if (str_eqz(one, "patient"))
            r->options.annotation |= PX_ANNOTATE_PATIENT;
        else if (str_eqz(one, "technique"))
            r->options.annotation |= PX_ANNOTATE_TECHNIQUE;
        else
            return usage("--annotate takes patient, technique or both, with a comma");
    }
    return 0;
}

static int parse_icc(const struct cli_args *args, struct request *r) {
    static const char *const names[] = {[PX_ICC_NO] = "no", [PX_ICC_YES] = "yes", [PX_ICC_SRGB] = "srgb"};
    const char *text = cli_text(args, "icc", "no");
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) return r->options.icc = (enum px_icc)i, 0;
    return usage("--icc takes no, yes or srgb");
}

static int parse_request(const struct cli_args *args, struct request *r) {
    int64_t voi;
    int code;
    r->out = cli_text(args, "out", NULL);
    r->state = cli_text(args, "presentation-state", NULL);
    if ((code = parse_format(r)) || (code = parse_frames(args, r)) || (code = parse_size(args, r)) || (code = parse_annotation(args, r)) ||
        (code = parse_icc(args, r)) || (code = parse_switch(args, "overlays", &r->options.no_overlays)) ||
        (code = parse_switch(args, "aspect", &r->options.stored_pixels)))
        return code;
    if (!cli_int(args, "quality", 90, 1, 100, &r->quality) || !cli_int(args, "voi", 1, 1, 65535, &voi)) return EX_USAGE;
    r->options.voi = (unsigned)voi - 1;
    return parse_window(args, r);
}

// ---- pictures ----

static bool render_frames(struct cli_args *args, const struct input *in, const struct request *r, const struct px_reader *reader, struct buf *to,
                          struct err *e) {
    struct px_gif gif = {0};
    bool ok = true;
    for (uint32_t i = r->first; ok && i <= r->last; i++) {
        struct arena_mark mark = arena_mark(args->arena);
        struct px_picture picture;
        double ms = r->first == r->last ? 0 : px_frame_ms(in->object.dataset, i);
        ok = px_render(args->arena, in->object.dataset, reader, i, &r->options, &picture, e);
        if (ok && r->format == GIF) ok = px_gif_frame(&gif, &picture, ms, to, e);
        if (ok && r->format == JPEG) ok = px_write_jpeg(&picture, (int)r->quality, to, e);
        if (ok && r->format == PNG) ok = px_write_png(&picture, to, e);
        arena_rewind(args->arena, mark);
    }
    return px_gif_end(&gif, to, e) && ok;
}

static bool render(struct cli_args *args, struct input *in, struct request *r, struct buf *to, struct err *e) {
    struct codec_frames frames = {0};
    struct px_image image;
    const struct dcm_ts *ts = in->object.ts;
    if (!px_image_of(in->object.dataset, &image, e)) return false;
    if (image.encapsulated && !codec_frames_of(args->arena, in->object.dataset, ts, image.frames, &in->source, &frames, e)) return false;
    const struct codec_object object = {.ts = ts, .source = &in->source, .frames = &frames};
    const struct px_reader reader = codec_reader(&object);
    r->options.source = &in->source;
    return render_frames(args, in, r, &reader, to, e);
}

static bool render_file(struct cli_args *args, struct request *r, struct buf *to, struct err *e) {
    struct input in, state = {.fd = -1};
    const char *path = args->positional[0];
    bool ok = input_open(&in, path, e) || err_wrap(e, "%s", path);
    if (ok && r->state) {
        ok = input_open(&state, r->state, e) || err_wrap(e, "%s", r->state);
        r->options.presentation = state.object.dataset;
        r->options.presentation_source = &state.source;
    }
    ok = ok && (render(args, &in, r, to, e) || err_wrap(e, "%s", path));
    r->options.source = r->options.presentation_source = NULL;
    r->options.presentation = NULL;
    if (r->state) input_close(&state);
    input_close(&in);
    return ok;
}

static int run(struct cli_args *args) {
    struct request r = {0};
    struct err e = {0};
    struct buf to;
    int code = parse_request(args, &r);
    if (code) return code;
    buf_init(&to, (size_t)PX_OUTPUT_BYTES_MAX * 2);
    bool ok = codec_pool_start("/proc/self/exe", 1, &e) && render_file(args, &r, &to, &e);
    codec_pool_stop();
    if (ok) ok = output_file(r.out, buf_str(&to), &e);
    buf_deinit(&to);
    return ok ? 0 : cli_fail(args, &e);
}

const struct cli_command CMD_RENDER = {
    .name = "render",
    .synopsis = "FILE --out PICTURE [--frame N|A-B] [--window C,W[,FN]] [--viewport W,H] [--presentation-state FILE]",
    .summary = "Show a frame as PNG, JPEG or GIF, with its own window or another",
    .permission = ACCESS_LOCAL,
    .group = "Files",
    .details = "Without --window the object's VOI LUT or window is used, and without these the smallest and largest value of the frame\n"
               "(pixel padding left out). Enhanced objects' windows are taken from the frame's functional groups. With --presentation-state\n"
               "the state's transformations, shutters, overlays and annotations are all that is shown.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};
