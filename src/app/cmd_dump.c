// gantry dump: objects as a listing.
#include <stdio.h>

#include "app/commands.h"
#include "app/input.h"
#include "dicom/dump.h"

enum { BUFFER_BYTES = 1024 * 1024 };

static void add_header(struct cli_args *args, const struct input *in, struct buf *b) {
    const struct dcm_object *o = &in->object;
    if (args->positional_count > 1) buf_addf(b, "# file %s\n", in->name);
    if (!o->dataset) return;
    buf_addf(b, "# %s%s\n", o->ts ? o->ts->name : "unknown transfer syntax", o->preamble ? "" : o->meta ? ", without preamble" : ", without meta header");
}

static bool print_one(struct cli_args *args, struct input *in, const struct err *why, void *ctx, struct err *e) {
    struct dcm_dump_options o = {
        .repair = cli_flag(args, "repair"), .full = cli_flag(args, "full"), .offsets = cli_flag(args, "offsets"), .source = &in->source, .drain = output_drain};
    struct buf b;
    (void)ctx;
    buf_init(&b, BUFFER_BYTES);
    add_header(args, in, &b);
    bool ok = dcm_dump_write(&in->object, &o, args->arena, &b, e);
    if (why) buf_addf(&b, "# %s\n", why->message);
    ok = output_drain(NULL, &b, ok ? e : NULL) && ok;
    buf_deinit(&b);
    return ok;
}

static int run(struct cli_args *args) {
    return input_each(args, print_one, NULL);
}

static const struct cli_option OPTIONS[] = {
    {"full", NULL, "whole values, however long", false},
    {"offsets", NULL, "begin each line with the byte offset of its value", false},
    {"repair", NULL, "text that is not in its declared character set as the archive would answer it", false},
    {0},
};

const struct cli_command CMD_DUMP = {
    .name = "dump",
    .synopsis = "[--full] [--offsets] [--repair] FILE...",
    .summary = "List the elements of objects",
    .permission = ACCESS_LOCAL,
    .group = "Files",
    .details =
        "One line per element: tag, VR, length in bytes (u/l: undefined), name, value. Lines that begin with # are remarks. For machines see 'gantry json'.\n"
        "A FILE of - is standard input. The exit code is 65 when a file could not be read.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = UINT32_MAX,
    .run = run,
};
