// gantry move: have a DICOM peer send studies, series or images to another (C-MOVE).
#include <stdio.h>

#include "app/commands.h"
#include "app/dimse_cli.h"

static bool on_pending(void *ctx, const struct dimse_command *rsp, const struct dcm_dataset *data, struct err *e) {
    (void)ctx, (void)data, (void)e;
    if (rsp->has & DIMSE_HAS_REMAINING) {
        uint64_t done = (uint64_t)rsp->completed + rsp->failed + rsp->warning;
        cli_progress("move", done, done + rsp->remaining);
    }
    return true;
}

static bool move(struct cli_args *args, const struct dimse_cli *c, struct scu_result *result, struct err *e) {
    const char *classes[2] = {NULL, NULL}, *destination = cli_text(args, "to", NULL);
    struct dcm_dataset *identifier;
    struct dimse d;
    uint16_t id;
    if (!destination || !pdu_ae_valid(str_of(destination)))
        return err_set(e, ERR_USAGE, "dimse", "--to takes the AE title to which the peer is to send; the peer must know it");
    if (!dimse_cli_model(args, DIMSE_CLI_MOVE, &classes[0], e) || !dimse_cli_identifier(args, &identifier, e)) return false;
    bool ok = dimse_cli_open(c, &d, args->arena, classes, (struct str){"\1\0", 2}, e); // relational retrieval (PS3.4 C.5.2.1)
    const struct ul_context *context = ok ? scu_context(&d, classes[0], e) : NULL;
    struct dimse_command rq = dimse_request(DIMSE_C_MOVE, 0, classes[0]);
    snprintf(rq.move_destination, sizeof rq.move_destination, "%s", destination);
    rq.has |= DIMSE_HAS_MOVE_DESTINATION;
    ok = context && scu_send(&d, context, &rq, identifier, &id, e) && scu_run(&d, context, id, &(struct scu_events){.on_pending = on_pending}, result, e);
    scu_close(&d);
    return ok;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct dimse_cli c;
    struct scu_result r = {0};
    if (!dimse_cli_read(args, &c, &e) || !move(args, &c, &r, &e)) return cli_fail(args, &e);
    printf("%u sent, %u with a warning, %u failed\n", r.completed, r.warning, r.failed);
    return dimse_cli_result(&r, "C-MOVE", &e) ? 0 : cli_fail(args, &e);
}

static const struct cli_option OPTIONS[] = {{"to", "AET", "destination AE title, which the peer must know"}, DIMSE_CLI_QUERY_OPTIONS, DIMSE_CLI_OPTIONS, {0}};

const struct cli_command CMD_MOVE = {
    .name = "move",
    .synopsis = "AET@HOST:PORT --to AET --key NAME=VALUE... [--level LEVEL]",
    .summary = "Have a DICOM peer send objects to another (C-MOVE)",
    .permission = ACCESS_LOCAL,
    .group = "Network",
    .details = "Example: gantry move PACS@10.0.0.5:104 --to WORKSTATION --key StudyInstanceUID=1.2.840...",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};
