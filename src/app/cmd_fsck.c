// gantry fsck: volumes against index, both ways.
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/opening.h"
#include "base/buf.h"
#include "core/audit.h"
#include "core/service.h"
#include "text/json.h"

struct report {
    bool json;
    struct json_writer *j;
};

static void on_finding(void *ctx, const struct fsck_finding *f) {
    struct report *r = ctx;
    if (!r->json) {
        printf("%s %.*s %.*s\n", f->what, STR_FMT(f->sop_instance_uid.n ? f->sop_instance_uid : STR_LIT("-")), STR_FMT(f->detail));
        return;
    }
    json_begin_object(r->j);
    json_put_strz(r->j, "what", f->what);
    json_put_str(r->j, "sop_instance_uid", f->sop_instance_uid);
    json_put_str(r->j, "detail", f->detail);
    json_end_object(r->j);
}

static void on_progress(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    cli_progress("fsck", done, total);
}

static void print_summary(const struct fsck_report *n, bool json, struct json_writer *j, bool repair) {
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {{"objects", n->objects}, {"bytes", n->bytes},     {"damaged", n->damaged},
                   {"orphans", n->orphans}, {"missing", n->missing}, {"other", n->other}};
    for (unsigned i = 0; json && i < 6; i++) json_put_uint(j, figures[i].name, figures[i].value);
    if (json) return;
    printf("%llu objects, %llu bytes: ", (unsigned long long)n->objects, (unsigned long long)n->bytes);
    if (n->damaged + n->orphans + n->missing + n->other == 0)
        printf("all is well\n");
    else
        printf("%llu damaged, %llu orphaned, %llu missing, %llu other%s\n", (unsigned long long)n->damaged, (unsigned long long)n->orphans,
               (unsigned long long)n->missing, (unsigned long long)n->other, repair ? "; repaired what could be" : "");
}

static bool note(struct archive *ar, const struct fsck_report *n, bool repair, struct err *e) {
    static const struct actor WHO = {.door = DOOR_COMMAND, .user = STR_LIT("fsck")};
    char detail[200];
    snprintf(detail, sizeof detail, "\"damaged\":%llu,\"orphans\":%llu,\"missing\":%llu,\"other\":%llu,\"repair\":%s", (unsigned long long)n->damaged,
             (unsigned long long)n->orphans, (unsigned long long)n->missing, (unsigned long long)n->other, repair ? "true" : "false");
    return audit_note(ar, &WHO, &(struct audit_note){.type = "archive.checked", .count = n->objects, .detail = str_of(detail)}, e);
}

static int check(struct cli_args *args, struct archive *ar) {
    struct err e = {0};
    struct fsck_report n;
    struct buf b;
    struct json_writer j;
    struct report r = {cli_flag(args, "json"), &j};
    bool repair = cli_flag(args, "repair");
    buf_init(&b, 1UL << 30);
    json_init(&j, &b, false);
    json_begin_object(&j);
    json_key(&j, "findings");
    json_begin_array(&j);
    bool ok = archive_fsck(ar, repair, on_finding, on_progress, &r, &n, &e) && note(ar, &n, repair, &e);
    json_end_array(&j);
    if (ok) print_summary(&n, r.json, &j, repair);
    json_end_object(&j);
    if (ok && r.json) printf("%.*s\n", STR_FMT(buf_str(&b)));
    buf_deinit(&b);
    if (!ok) return cli_fail(args, &e);
    return n.damaged + n.orphans + n.missing + n.other ? 1 : 0;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    if (!opening_begin(args, 0, &o, &e)) return cli_fail(args, &e);
    int code = check(args, o.archive);
    opening_end(&o);
    return code;
}

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {"repair", NULL, "index orphans, drop rows without bytes, mark damaged objects so that sending them again heals them"},
    {"json", NULL, "print findings and figures as JSON"},
    {0},
};

const struct cli_command CMD_FSCK = {
    .name = "fsck",
    .synopsis = "[--data DIR | --config FILE] [--repair] [--json]",
    .summary = "Compare volumes and index both ways, reading every byte",
    .permission = ACCESS_KEEP,
    .group = "Keeping",
    .details =
        "One line for each object that is damaged (its bytes or its headers are not what was stored), orphaned (in a volume, not in the index) or missing\n"
        "(in the index, not in a volume), with its SOP Instance UID. Exits 0 when all is well, 1 when not.",
    .options = OPTIONS,
    .run = run,
};
