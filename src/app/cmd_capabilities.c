// gantry capabilities: what the DICOMweb side can do, without a server.
#include <stdio.h>

#include "app/commands.h"
#include "mod/dicomweb/capabilities.h"
#include "mod/dicomweb/dicomweb.h"

enum { CAPABILITIES_BYTES_MAX = 4 * 1024 * 1024 };

static int run(struct cli_args *args) {
    struct err e = {0};
    struct buf b;
    const char *base = cli_text(args, "base", DICOMWEB_ROOT);
    buf_init(&b, CAPABILITIES_BYTES_MAX);
    bool ok = cli_flag(args, "wadl") ? dw_capabilities_wadl(base, &b, &e) : dw_capabilities_json(base, &b, &e);
    if (ok) printf("%.*s\n", STR_FMT(buf_str(&b)));
    buf_deinit(&b);
    return ok ? 0 : cli_fail(args, &e);
}

static const struct cli_option OPTIONS[] = {
    {"wadl", NULL, "as WADL, application/vnd.sun.wadl+xml", false},
    {"base", "URL", "the URL of the service (default: /dicom-web)", false},
    {0},
};

const struct cli_command CMD_CAPABILITIES = {
    .name = "capabilities",
    .synopsis = "[--wadl] [--base URL]",
    .summary = "Print what the DICOMweb services can do",
    .permission = ACCESS_LOCAL,
    .group = "Server",
    .details = "The Capabilities Description of PS3.18 Annex H, made of the tables that the server runs on: resources, methods, media types, parameters and "
               "statuses, and\n"
               "(in JSON) transfer syntaxes and query attributes. The conformance statement is made of it.",
    .options = OPTIONS,
    .run = run,
};
