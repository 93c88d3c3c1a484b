// gantry echo: is a DICOM peer there, and does it answer.
#include <stdio.h>

#include "app/commands.h"
#include "app/dimse_cli.h"
#include "base/clock.h"

static bool echo(const struct dimse_cli *c, struct arena *a, struct err *e) {
    static const char *const CLASSES[] = {"1.2.840.10008.1.1", NULL};
    struct dimse d;
    uint16_t status = 0;
    int64_t begin_us = clock_mono_us();
    bool ok = dimse_cli_open(c, &d, a, CLASSES, (struct str){NULL, 0}, e) && scu_echo(&d, &status, e);
    if (ok && status != DIMSE_SUCCESS) ok = err_set(e, ERR_PEER, "dimse", "%s answers with status %04X, %s", c->to.aet, status, dimse_status_text(status));
    if (ok)
        printf("%s at %s port %u answers in %.1f ms (%s %s)\n", c->to.aet, d.ul.conn.address, c->to.port, (double)(clock_mono_us() - begin_us) / 1000,
               d.ul.implementation_version, d.ul.implementation_uid);
    scu_close(&d);
    return ok;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct dimse_cli c;
    if (!dimse_cli_read(args, &c, &e) || !echo(&c, args->arena, &e)) return cli_fail(args, &e);
    return 0;
}

static const struct cli_option OPTIONS[] = {DIMSE_CLI_OPTIONS, {0}};

const struct cli_command CMD_ECHO = {
    .name = "echo",
    .synopsis = "AET@HOST:PORT [--calling AET]",
    .summary = "Ask a DICOM peer whether it is there (C-ECHO)",
    .permission = ACCESS_LOCAL,
    .group = "Network",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};
