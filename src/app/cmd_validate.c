// gantry validate: what is wrong with objects.
#include <inttypes.h>
#include <stdio.h>

#include "app/commands.h"
#include "app/input.h"
#include "dicom/validate.h"
#include "text/json.h"

enum { BUFFER_BYTES = 1024 * 1024, DRAIN_BYTES = 256 * 1024 };

static const char *const SEVERITIES[] = {[DCM_SEVERITY_WARNING] = "warning", [DCM_SEVERITY_ERROR] = "error"};

struct report {
    struct buf b;
    struct json_writer json;
    const char *name;
    uint64_t errors, warnings;
    bool as_json;
    bool any_error; // in any file
};

static void add_text(struct report *r, const struct dcm_finding *f) {
    buf_addf(&r->b, "%s: %s at byte %" PRIu64 ": %s%s%s [%s]\n", r->name, SEVERITIES[f->severity], f->offset, f->place, f->place[0] ? " " : "", f->message,
             f->code);
}

static void add_json(struct report *r, const struct dcm_finding *f) {
    struct json_writer *j = &r->json;
    json_begin_object(j);
    json_put_strz(j, "severity", SEVERITIES[f->severity]);
    json_put_strz(j, "code", f->code);
    json_put_strz(j, "place", f->place);
    json_put_uint(j, "offset", f->offset);
    json_put_strz(j, "message", f->message);
    json_end_object(j);
}

static void on_finding(void *ctx, const struct dcm_finding *f) {
    struct report *r = ctx;
    if (f->severity == DCM_SEVERITY_ERROR)
        r->errors++;
    else
        r->warnings++;
    if (r->as_json)
        add_json(r, f);
    else
        add_text(r, f);
    if (r->b.n > DRAIN_BYTES) output_drain(NULL, &r->b, NULL);
}

static void begin_file(struct report *r, const char *name) {
    r->name = name;
    r->errors = r->warnings = 0;
    json_init(&r->json, &r->b, false);
    if (!r->as_json) return;
    json_begin_object(&r->json);
    json_put_strz(&r->json, "file", name);
    json_key(&r->json, "findings");
    json_begin_array(&r->json);
}

static void end_file(struct report *r, const struct err *why) {
    r->any_error |= r->errors > 0;
    if (!r->as_json) {
        if (!why) buf_addf(&r->b, "%s: %" PRIu64 " errors, %" PRIu64 " warnings\n", r->name, r->errors, r->warnings);
        return;
    }
    json_end_array(&r->json);
    json_put_uint(&r->json, "errors", r->errors);
    json_put_uint(&r->json, "warnings", r->warnings);
    if (why) json_put_strz(&r->json, "unreadable", why->message);
    json_end_object(&r->json);
    buf_addc(&r->b, '\n');
}

static bool check_one(struct cli_args *args, struct input *in, const struct err *why, void *ctx, struct err *e) {
    struct report *r = ctx;
    struct dcm_validate_options o = {.source = &in->source, .size = in->size, .repair = cli_flag(args, "repair"), .report = on_finding, .ctx = r};
    begin_file(r, in->name);
    bool ok = !in->object.dataset || dcm_validate(&in->object, &o, args->arena, e);
    end_file(r, why);
    return output_drain(NULL, &r->b, ok ? e : NULL) && ok;
}

static int run(struct cli_args *args) {
    struct report r = {.as_json = cli_flag(args, "json")};
    buf_init(&r.b, BUFFER_BYTES);
    int code = input_each(args, check_one, &r);
    buf_deinit(&r.b);
    return code ? code : r.any_error;
}

static const struct cli_option OPTIONS[] = {
    {"json", NULL, "one JSON object a file: file, findings, errors, warnings, unreadable", false},
    {"repair", NULL, "text that the archive would answer repaired is a warning, not an error", false},
    {0},
};

const struct cli_command CMD_VALIDATE = {
    .name = "validate",
    .synopsis = "[--json] [--repair] FILE...",
    .summary = "Check objects and name each fault and its place",
    .permission = ACCESS_LOCAL,
    .group = "Files",
    .details =
        "Checks the meta header, tag order, VRs, lengths, value syntax and multiplicity, character sets, UIDs, private blocks, group lengths, pixel data\n"
        "against the image attributes, and Type 1 and 2 attributes that the mandatory modules of the SOP class ask for without a condition.\n"
        "A FILE of - is standard input. Exit code 0: no errors; 1: errors were found; 65: a file could not be read.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = UINT32_MAX,
    .run = run,
};
