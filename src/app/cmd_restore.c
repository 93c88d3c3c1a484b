// gantry restore: asks an archived study back ahead of its reading.
#include <stdio.h>
#include <sysexits.h>

#include "app/commands.h"
#include "app/opening.h"
#include "core/merge.h"

static int run(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    int64_t days;
    unsigned asked = 0;
    const char *study = cli_text(args, "study", NULL);
    if (!cli_int(args, "days", 7, 1, 365, &days)) return EX_USAGE;
    if (!study) {
        err_set(&e, ERR_USAGE, "restore", "--study names the Study Instance UID to ask for");
        return cli_fail(args, &e);
    }
    if (!opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    bool ok = tiers_restore(o.archive, str_of(study), (unsigned)days, &asked, &e);
    opening_end(&o);
    if (!ok) return cli_fail(args, &e);
    if (asked)
        printf("%u volumes were asked for: they can be read in some hours\n", asked);
    else
        printf("nothing of this study is archived\n");
    return 0;
}

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {"study", "UID", "Study Instance UID"},
    {"days", "N", "how long it can be read when it is back (default: 7)"},
    {0},
};

const struct cli_command CMD_RESTORE = {
    .name = "restore",
    .synopsis = "--config FILE --study UID [--days N]",
    .summary = "Ask the bucket for a study whose volumes are archived",
    .permission = ACCESS_KEEP,
    .group = "Keeping",
    .details = "A reader that meets an archived volume asks for it by itself, and is told to come again later. This asks ahead.",
    .options = OPTIONS,
    .run = run,
};
