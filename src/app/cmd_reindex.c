// gantry reindex: a new index from the volumes alone.
#include <stdio.h>

#include "app/commands.h"
#include "app/settings.h"
#include "core/service.h"

static void on_progress(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    cli_progress("reindex", done, total);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    uint64_t entries;
    const char *dir = cli_text(args, "data", NULL);
    if (!dir) dir = settings_default_data(args->arena, &e);
    if (!dir || !archive_reindex(dir, on_progress, NULL, &entries, &e)) return cli_fail(args, &e);
    printf("%llu entries of the volumes indexed\n", (unsigned long long)entries);
    return 0;
}

static const struct cli_option OPTIONS[] = {
    {"data", "DIR", "data directory (default: gantry under XDG data); no server may be using it"},
    {0},
};

const struct cli_command CMD_REINDEX = {
    .name = "reindex",
    .synopsis = "[--data DIR]",
    .summary = "Build the index anew from the volumes alone",
    .group = "Keeping",
    .details = "Objects, conflicting copies, quarantine and deletions are found again in the volumes; the event log is carried over when it can be read. The "
               "old index\n"
               "is replaced only when the new one is whole.",
    .options = OPTIONS,
    .run = run,
};
