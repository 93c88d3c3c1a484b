// gantry reindex: a new index from the volumes alone.
#include <stdio.h>

#include "app/commands.h"
#include "app/opening.h"
#include "core/service.h"

static void on_progress(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    cli_progress("reindex", done, total);
}

static bool rebuild(struct cli_args *args, struct opening *place, uint64_t *entries, struct err *e) {
    struct archive_options o;
    const char *where = cli_text(args, "config", cli_text(args, "data", NULL));
    if (!where) where = settings_default_data(args->arena, e);
    if (!where || !opening_place(args, "reindex", where, place, &o, e)) return false;
    if (o.database_url) return archive_reindex_shared(&o, on_progress, NULL, entries, e);
    return archive_reindex(o.dir, o.encryption, on_progress, NULL, entries, e);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct opening place = {.lock_fd = -1};
    uint64_t entries = 0;
    bool ok = rebuild(args, &place, &entries, &e);
    opening_end(&place);
    if (!ok) return cli_fail(args, &e);
    printf("%llu entries of the volumes indexed\n", (unsigned long long)entries);
    return 0;
}

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {0},
};

const struct cli_command CMD_REINDEX = {
    .name = "reindex",
    .synopsis = "[--data DIR | --config FILE]",
    .summary = "Build the index anew from the volumes alone",
    .permission = ACCESS_KEEP,
    .group = "Keeping",
    .details = "Objects, conflicting copies, quarantine and deletions are found again in the volumes; the event log is carried over when it can be read. The "
               "old index\n"
               "is replaced only when the new one is whole. No server and no node may be at work meanwhile.",
    .options = OPTIONS,
    .run = run,
};
