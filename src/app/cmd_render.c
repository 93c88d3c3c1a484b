// gantry render: a frame of an object as PNG or JPEG.
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "app/cli.h"
#include "app/commands.h"
#include "app/input.h"
#include "base/buf.h"
#include "base/limits.h"
#include "pixel/render.h"

static const struct cli_option OPTIONS[] = {
    {"out", "FILE", "where the picture goes: .png, .jpg or .jpeg", false},
    {"frame", "N", "which frame, from 1 (default: 1)", false},
    {"window", "C,W", "window center and width in place of the object's own", false},
    {"function", "NAME", "LINEAR, LINEAR_EXACT or SIGMOID, with --window (default: LINEAR)", false},
    {"size", "N", "the picture's longest side in pixels (default: the image's own size)", false},
    {"quality", "N", "of JPEG, 1 to 100 (default: 90)", false},
    {0},
};

struct request {
    const char *out;
    bool jpeg;
    int64_t frame, size, quality;
    struct px_window window;
    struct px_options options;
};

static int usage(const char *what) {
    fprintf(stderr, "gantry render: %s\n", what);
    return EX_USAGE;
}

static bool parse_function(const char *name, enum px_voi_function *out) {
    static const char *const names[] = {[PX_LINEAR] = "LINEAR", [PX_LINEAR_EXACT] = "LINEAR_EXACT", [PX_SIGMOID] = "SIGMOID"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return *out = (enum px_voi_function)i, true;
    return false;
}

static int parse_window(const struct cli_args *args, struct request *r) {
    const char *text = cli_text(args, "window", NULL);
    if (!text) return 0;
    struct str rest = str_of(text), center = str_split(&rest, ',');
    if (!str_to_f64(center, &r->window.center) || !str_to_f64(rest, &r->window.width)) return usage("--window takes center and width, such as 40,400");
    if (!parse_function(cli_text(args, "function", "LINEAR"), &r->window.function)) return usage("--function takes LINEAR, LINEAR_EXACT or SIGMOID");
    r->options.window = &r->window;
    return 0;
}

static int parse_request(const struct cli_args *args, struct request *r) {
    r->out = cli_text(args, "out", NULL);
    if (!r->out) return usage("--out FILE is needed");
    struct str name = str_of(r->out);
    r->jpeg = str_ends(name, STR_LIT(".jpg")) || str_ends(name, STR_LIT(".jpeg"));
    if (!r->jpeg && !str_ends(name, STR_LIT(".png"))) return usage("--out takes a name that ends in .png, .jpg or .jpeg");
    if (!cli_int(args, "frame", 1, 1, INT32_MAX, &r->frame) || !cli_int(args, "size", 0, 1, PX_VIEWPORT_MAX, &r->size) ||
        !cli_int(args, "quality", 90, 1, 100, &r->quality))
        return EX_USAGE;
    r->options.width = r->options.height = (uint32_t)r->size;
    return parse_window(args, r);
}

static bool write_file(const char *path, struct str bytes, struct err *e) {
    FILE *f = fopen(path, "wb");
    if (!f) return err_errno(e, ERR_IO, "render", "cannot create %s", path);
    bool ok = fwrite(bytes.p, 1, bytes.n, f) == bytes.n;
    if (fclose(f) != 0) ok = false;
    return ok || err_errno(e, ERR_IO, "render", "cannot write %s", path);
}

static bool render(struct cli_args *args, const struct input *in, const struct request *r, struct buf *to, struct err *e) {
    struct px_picture picture;
    const struct px_reader reader = px_reader_native(&in->source);
    if (!px_render(args->arena, in->object.dataset, &reader, (uint32_t)r->frame - 1, &r->options, &picture, e)) return false;
    return r->jpeg ? px_write_jpeg(&picture, (int)r->quality, to, e) : px_write_png(&picture, to, e);
}

static int run(struct cli_args *args) {
    struct request r = {0};
    struct err e = {0};
    struct input in;
    struct buf to;
    int code = parse_request(args, &r);
    if (code) return code;
    buf_init(&to, (size_t)PX_OUTPUT_BYTES_MAX * 2);
    bool ok = (input_open(&in, args->positional[0], &e) && render(args, &in, &r, &to, &e)) || err_wrap(&e, "%s", args->positional[0]);
    input_close(&in);
    if (ok) ok = write_file(r.out, buf_str(&to), &e);
    buf_deinit(&to);
    return ok ? 0 : cli_fail(args, &e);
}

const struct cli_command CMD_RENDER = {
    .name = "render",
    .synopsis = "FILE --out PICTURE [--frame N] [--window C,W] [--size N]",
    .summary = "Show a frame as PNG or JPEG, with its own window or another",
    .group = "Files",
    .details = "Without --window the object's VOI LUT or window is used, and without these the smallest and largest value of the frame\n"
               "(pixel padding left out). Enhanced objects' windows are taken from the frame's functional groups.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};
