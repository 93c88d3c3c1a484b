// gantry key: master keys of encrypted volumes, and what is wrapped under them.
#include "app/commands.h"

#include <stdio.h>
#include <string.h>

#include "app/opening.h"
#include "core/service.h"
#include "store/volume.h"

// ---- new ----

static int run_new(struct cli_args *args) {
    struct err e = {0};
    if (!vol_master_new(args->positional[0], &e)) return cli_fail(args, &e);
    printf("a new master key is in %s, for its owner alone\n"
           "Name it under encryption: master-key: in the configuration, and keep a copy where a fire here does not reach it, apart from the backups of the\n"
           "archive: without it nothing that is encrypted under it can ever be read again.\n",
           args->positional[0]);
    return 0;
}

static const struct cli_command KEY_NEW = {
    .name = "new",
    .synopsis = "FILE",
    .summary = "Make a master key",
    .permission = ACCESS_LOCAL,
    .details = "256 random bits as one line of hexadecimal digits in a new file of mode 0600. A file that is there is never written over.",
    .positional_min = 1,
    .positional_max = 1,
    .run = run_new,
};

// ---- list ----

struct listing {
    uint64_t runs, unknown, older;
    const char *current;
};

static bool print_run(void *ctx, const struct vol_key_info *info, struct err *e) {
    struct listing *l = ctx;
    (void)e;
    l->runs++;
    l->unknown += !info->master_place;
    l->older += info->master_place && l->current && strcmp(info->master_place, l->current) != 0;
    printf("%u-%u\t%s\t%s\t%s\n", info->first, info->first + info->n - 1, info->cipher, info->master, info->master_place ? info->master_place : "-");
    return true;
}

static int run_list(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    struct settings *s;
    struct listing l = {0};
    if (!opening_settings(args, &s, &e) || !opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    l.current = s->encryption.master_count ? s->encryption.masters[0] : NULL;
    bool ok = vol_keys_each(archive_volumes(o.archive), print_run, &l, &e);
    opening_end(&o);
    if (!ok) return cli_fail(args, &e);
    fprintf(stderr, "%llu runs of keys", (unsigned long long)l.runs);
    if (l.older) fprintf(stderr, ", %llu of them under an older master key: 'gantry key rotate'", (unsigned long long)l.older);
    if (l.unknown) fprintf(stderr, ", %llu of them under a master key that the configuration does not name", (unsigned long long)l.unknown);
    fprintf(stderr, "\n");
    return 0;
}

static const struct cli_option OPEN[] = {OPENING_OPTIONS, {0}};

static const struct cli_command KEY_LIST = {
    .name = "list",
    .synopsis = "--config FILE",
    .summary = "Which volumes' keys are wrapped under which master key",
    .permission = ACCESS_KEEP,
    .details =
        "One line for each run of keys, between tabs: its volumes, their cipher, the master key's identifier and where the configuration has it (- : nowhere).",
    .options = OPEN,
    .run = run_list,
};

// ---- rotate ----

static int run_rotate(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    struct vol_key_report r;
    if (!opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    bool ok = vol_keys_rotate(archive_volumes(o.archive), &r, &e);
    opening_end(&o);
    if (!ok) return cli_fail(args, &e);
    printf("%llu keys in %llu runs are wrapped anew under the first master key; %llu runs were under another\n", (unsigned long long)r.keys,
           (unsigned long long)r.runs, (unsigned long long)r.rewrapped);
    return 0;
}

static const struct cli_command KEY_ROTATE = {
    .name = "rotate",
    .synopsis = "--config FILE",
    .summary = "Wrap all keys anew under the master key that is named first",
    .permission = ACCESS_KEEP,
    .details =
        "Make a new master key, name it as master-key and the old one under older-keys, restart the servers, run this, and take the old one out of the\n"
        "configuration. No volume is written; it may be interrupted and run again. When the old master key is then destroyed, so is for good whatever was\n"
        "wrapped under it alone: keys of removed volumes in old backups.",
    .options = OPEN,
    .run = run_rotate,
};

// ---- renew ----

static int run_renew(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    uint64_t volumes = 0;
    bool all = cli_flag(args, "all");
    if (!opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    bool ok = archive_rewrite(o.archive, all, &volumes, &e);
    opening_end(&o);
    if (!ok) return cli_fail(args, &e);
    printf("%llu volumes were written anew\n", (unsigned long long)volumes);
    return 0;
}

static const struct cli_option RENEW_OPTIONS[] = {OPENING_OPTIONS, {"all", NULL, "encrypted ones too, under keys of their own"}, {0}};

static const struct cli_command KEY_RENEW = {
    .name = "renew",
    .synopsis = "--config FILE [--all]",
    .summary = "Write volumes anew as the configuration has it now",
    .permission = ACCESS_KEEP,
    .details = "Volumes that are not encrypted become encrypted ones (the other way round with new-volumes: plain); --all: all of them, under fresh keys. "
               "Objects are\n"
               "copied and checked as by 'gantry compact', and the old volumes are removed with their keys. It may be interrupted and run again.",
    .options = RENEW_OPTIONS,
    .run = run_renew,
};

// ---- erase ----

static int run_erase(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    struct vol_key_report r;
    if (!cli_flag(args, "everything") || !cli_flag(args, "yes")) {
        err_set(&e, ERR_USAGE, "key", "this destroys every object of the archive for good: say --everything --yes");
        return cli_fail(args, &e);
    }
    if (!opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    bool ok = vol_keys_erase(archive_volumes(o.archive), &r, &e);
    opening_end(&o);
    if (!ok) return cli_fail(args, &e);
    printf("%llu runs of keys are destroyed: nothing that was encrypted can be read any more\n", (unsigned long long)r.runs);
    return 0;
}

static const struct cli_option ERASE_OPTIONS[] = {OPENING_OPTIONS, {"everything", NULL, "all volumes"}, {"yes", NULL, "it is meant"}, {0}};

static const struct cli_command KEY_ERASE = {
    .name = "erase",
    .synopsis = "--config FILE --everything --yes",
    .summary = "Destroy all keys: before disks are given away",
    .permission = ACCESS_KEEP,
    .details = "The keys of single volumes are destroyed when these are removed: delete studies, then 'gantry compact --dead 0'.\n"
               "Copies of keys in backups end with the master key: destroy that, too.",
    .options = ERASE_OPTIONS,
    .run = run_erase,
};

static const struct cli_command *const SUBCOMMANDS[] = {&KEY_NEW, &KEY_LIST, &KEY_ROTATE, &KEY_RENEW, &KEY_ERASE, NULL};

const struct cli_command CMD_KEY = {
    .name = "key",
    .synopsis = "COMMAND [options]",
    .summary = "Keys of encrypted volumes",
    .permission = ACCESS_LOCAL,
    .group = "Keeping",
    .details = "Volumes are encrypted when the configuration names a master key (encryption: master-key). Each volume has a key of its own, wrapped under it.",
    .subcommands = SUBCOMMANDS,
};
