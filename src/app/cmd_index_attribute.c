// gantry index-attribute: make any attribute a quick search key, from the headers in the index.
#include <stdio.h>
#include <sysexits.h>

#include "app/commands.h"
#include "app/opening.h"
#include "core/query_match.h"
#include "core/searchable.h"
#include "dicom/dict.h"

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {"remove", NULL, "take the attributes out again", false},
    {"list", NULL, "print those that are in", false},
    {0},
};

static void show(void *ctx, uint64_t done, uint64_t total) {
    cli_progress(ctx, done, total);
}

static bool list(struct cli_args *args, struct archive *ar, struct err *e) {
    uint32_t *tags;
    unsigned n;
    char name[80];
    if (!searchable_list(ar, args->arena, &tags, &n, e)) return false;
    for (unsigned i = 0; i < n; i++) printf("%s\n", qmatch_attribute_name(tags[i], name));
    return true;
}

static bool change(struct cli_args *args, struct archive *ar, const char *text, struct err *e) {
    uint32_t tag;
    char name[80];
    if (!dcm_tag_parse(str_of(text), &tag)) return err_set(e, ERR_USAGE, "index-attribute", "'%s' is neither a keyword nor a tag like 00180015", text);
    qmatch_attribute_name(tag, name);
    if (cli_flag(args, "remove") ? !searchable_withdraw(ar, tag, e) : !searchable_declare(ar, tag, show, name, e)) return false;
    printf("%s %s\n", name, cli_flag(args, "remove") ? "removed" : "searchable");
    return true;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    if (!cli_flag(args, "list") && args->positional_count == 0) {
        fprintf(stderr, "gantry index-attribute: name attributes by keyword or tag, or give --list\n");
        return EX_USAGE;
    }
    if (!opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    bool ok = true;
    for (unsigned i = 0; i < args->positional_count && ok; i++) ok = change(args, o.archive, args->positional[i], &e);
    if (ok && cli_flag(args, "list")) ok = list(args, o.archive, &e);
    opening_end(&o);
    return ok ? 0 : cli_fail(args, &e);
}

const struct cli_command CMD_INDEX_ATTRIBUTE = {
    .name = "index-attribute",
    .synopsis = "[--data DIR | --config FILE] [--remove] [--list] TAG...",
    .summary = "Make any attribute a quick search key",
    .permission = ACCESS_KEEP,
    .group = "Keeping",
    .details = "Every attribute can be searched by C-FIND and QIDO-RS; one that is no column of the index is looked up in stored headers, one study after the\n"
               "other. This makes it a key, from the headers that the index keeps: objects are not read. TAG is a keyword (BodyPartExamined) or 00180015.",
    .options = OPTIONS,
    .positional_max = 256,
    .run = run,
};
