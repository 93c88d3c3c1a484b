// gantry hold: studies that nobody deletes until they are released.
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "app/commands.h"
#include "app/opening.h"
#include "core/hold.h"

static const struct actor HOLDER = {.door = DOOR_COMMAND, .user = {"hold", 4}};

static bool print_hold(void *ctx, const struct hold *h, struct err *e) {
    char since[32] = "";
    time_t t = (time_t)(h->since_ms / 1000);
    struct tm tm;
    (void)ctx, (void)e;
    if (gmtime_r(&t, &tm)) strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm);
    printf("%.*s\t%s\t%.*s\t%.*s\n", STR_FMT(h->study_uid), since, STR_FMT(h->source), STR_FMT(h->reason));
    return true;
}

static void print_flags(const struct hold_flags *f, bool on) {
    if (f->lockless)
        printf("there is no object lock under this archive: the hold is Gantry's alone\n");
    else if (f->unfinished)
        printf("some volumes of the bucket could not be flagged now: a server does it later\n");
    else
        printf("legal hold of the bucket: %s on %u volumes\n", on ? "on" : "off", on ? f->set : f->taken);
}

static bool change(struct cli_args *args, struct archive *ar, bool on, struct err *e) {
    struct hold_flags flags;
    const char *study = cli_text(args, "study", ""), *reason = cli_text(args, "reason", "");
    if (!hold_set(ar, &HOLDER, str_of(study), on, str_of(reason), e)) return false;
    printf("study %s is %s\n", study, on ? "under legal hold" : "released");
    if (!hold_settle(ar, &flags, e)) return err_wrap(e, "the hold itself is done; the bucket's flags are not, a server does them later");
    print_flags(&flags, on);
    return true;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    const char *what = args->positional[0];
    bool on = strcmp(what, "on") == 0, list = strcmp(what, "list") == 0;
    if (!on && !list && strcmp(what, "off") != 0) {
        err_set(&e, ERR_USAGE, "hold", "'%s': on, off or list", what);
        return cli_fail(args, &e);
    }
    if (!opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    bool ok = list ? hold_each(o.archive, &HOLDER, print_hold, NULL, &e) : change(args, o.archive, on, &e);
    opening_end(&o);
    return ok ? 0 : cli_fail(args, &e);
}

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {"study", "UID", "Study Instance UID"},
    {"reason", "TEXT", "why: it is kept, and told to whoever wants to delete"},
    {0},
};

const struct cli_command CMD_HOLD = {
    .name = "hold",
    .synopsis = "[--data DIR | --config FILE] --study UID --reason TEXT on|off\n       gantry hold [--data DIR | --config FILE] list",
    .summary = "Hold studies that must not be deleted, release them, list them",
    .permission = ACCESS_STUDY_HOLD,
    .group = "Keeping",
    .details =
        "Nothing of a study under legal hold is deleted, by whatever door. The hold is written to the volumes: a rebuilt or migrated archive has it. In a\n"
        "bucket with object lock the volumes that its objects lie in carry the bucket's legal-hold flag as well. Servers of several nodes go on meanwhile;\n"
        "the server of one data directory must be stopped first. list prints study, since when, by whom and why, between tabs.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 1,
    .run = run,
};
