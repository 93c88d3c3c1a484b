// gantry compact: gives the space of deleted objects back.
#include <stdio.h>
#include <sysexits.h>

#include "app/commands.h"
#include "app/opening.h"
#include "core/service.h"

static int run(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    uint64_t freed = 0;
    int64_t percent;
    if (!cli_int(args, "dead", 30, 0, 100, &percent)) return EX_USAGE;
    if (!opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    bool ok = archive_compact(o.archive, (double)percent / 100, &freed, &e);
    opening_end(&o);
    if (!ok) return cli_fail(args, &e);
    printf("%llu bytes given back\n", (unsigned long long)freed);
    return 0;
}

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {"dead", "PERCENT", "volumes with at least this share of deleted bytes are done (default: 30)"},
    {0},
};

const struct cli_command CMD_COMPACT = {
    .name = "compact",
    .synopsis = "[--data DIR | --config FILE] [--dead PERCENT]",
    .summary = "Give the space of deleted objects back",
    .permission = ACCESS_KEEP,
    .group = "Keeping",
    .details =
        "What still lives in such volumes is built into new ones before they are removed, so that it may be interrupted at any moment. A server does the\n"
        "same by itself. Where several nodes work on the archive they go on meanwhile, and removed volumes are kept for their readers for some time.",
    .options = OPTIONS,
    .run = run,
};
