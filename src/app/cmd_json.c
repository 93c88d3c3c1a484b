// gantry json: objects as DICOM JSON or XML.
#include "app/commands.h"
#include "app/input.h"
#include "base/limits.h"
#include "dicom/json.h"
#include "dicom/xml.h"

enum { BUFFER_BYTES = 1024 * 1024, XML_INLINE_MAX = DCM_VALUE_IN_MEMORY_MAX };

static bool print_object(struct cli_args *args, struct input *in, const struct err *why, struct buf *b, struct err *e) {
    struct dcm_json_options o = {.repair = cli_flag(args, "repair"), .pretty = cli_flag(args, "pretty"), .source = &in->source, .drain = output_drain};
    bool xml = cli_flag(args, "xml");
    if (xml && (!in->object.dataset || in->object.dataset->count == 0)) return true;
    if (!in->object.dataset || (why && in->object.dataset->count == 0 && !in->object.truncated)) {
        buf_addz(b, "null");
        return true;
    }
    o.inline_max = xml ? XML_INLINE_MAX : 0;
    o.bulk_uri_prefix = xml ? "" : NULL;
    if (xml) return dcm_xml_write(in->object.dataset, &o, args->arena, b, e);
    return dcm_json_write(in->object.dataset, &o, args->arena, b, e);
}

static bool print_one(struct cli_args *args, struct input *in, const struct err *why, void *ctx, struct err *e) {
    struct buf b;
    (void)ctx;
    buf_init(&b, cli_flag(args, "xml") ? HTTP_JSON_BYTES_MAX : BUFFER_BYTES);
    bool ok = print_object(args, in, why, &b, e);
    buf_addc(&b, '\n');
    ok = output_drain(NULL, &b, ok ? e : NULL) && ok;
    buf_deinit(&b);
    return ok;
}

static int run(struct cli_args *args) {
    return input_each(args, print_one, NULL);
}

static const struct cli_option OPTIONS[] = {
    {"xml", NULL, "the Native DICOM Model of PS3.19 instead; long binary values become BulkData", false},
    {"pretty", NULL, "one member a line", false},
    {"repair", NULL, "text that is not in its declared character set as the archive would answer it", false},
    {0},
};

const struct cli_command CMD_JSON = {
    .name = "json",
    .synopsis = "[--xml] [--pretty] [--repair] FILE...",
    .summary = "Print objects as DICOM JSON or XML",
    .permission = ACCESS_LOCAL,
    .group = "Files",
    .details =
        "The DICOM JSON model of PS3.18 Annex F with every value inline, one object a line in the order of the files; null stands for a file that cannot\n"
        "be read. What is whole of a file that was cut short is printed. A FILE of - is standard input. The exit code is 65 when a file could not be read.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = UINT32_MAX,
    .run = run,
};
