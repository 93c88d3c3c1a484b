// gantry migrate: an archive to the other engine or another place, while its server goes on.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/commands.h"
#include "app/opening.h"
#include "core/migrate.h"
#include "text/json.h"

enum { PAUSE_S = 2 };

struct side {
    struct opening place;
    struct archive_options archive;
};

struct job {
    struct cli_args *args;
    struct side from, to;
    bool json;
};

static void on_progress(void *ctx, const struct migrate_progress *p) {
    const struct job *j = ctx;
    if (!j->json) cli_progress("migrate: volume", p->volumes_done, p->volumes);
}

static void on_note(void *ctx, const char *text) {
    (void)ctx;
    fprintf(stderr, "gantry migrate: %s\n", text);
}

static bool open_both(struct job *j, bool last, struct migrate **m, struct err *e) {
    const struct migrate_options o = {.from = &j->from.archive, .to = &j->to.archive, .last = last, .on_progress = on_progress, .on_note = on_note, .ctx = j};
    return migrate_open(&o, m, e);
}

// ---- what is told ----

static void put_account(struct json_writer *w, const char *name, const struct migrate_account *a) {
    json_key(w, name);
    json_begin_object(w);
    json_put_uint(w, "patients", a->patients);
    json_put_uint(w, "studies", a->studies);
    json_put_uint(w, "series", a->series);
    json_put_uint(w, "objects", a->objects);
    json_put_uint(w, "bytes", a->bytes);
    json_put_uint(w, "conflicts", a->conflicts);
    json_put_uint(w, "quarantined", a->quarantined);
    json_put_uint(w, "records", a->records);
    json_put_uint(w, "volumes", a->volumes);
    json_put_uint(w, "events", a->events);
    json_put_strz(w, "entries", a->entries);
    json_put_strz(w, "chain", a->chain);
    json_end_object(w);
}

static void print_json(const struct migrate_report *r) {
    struct buf b;
    struct json_writer w;
    buf_init(&b, 64 * 1024);
    json_init(&w, &b, false);
    json_begin_object(&w);
    json_put_bool(&w, "equal", r->equal);
    json_put_uint(&w, "damaged", r->damaged);
    json_put_uint(&w, "unknown", r->unknown);
    json_put_uint(&w, "lost", r->lost);
    put_account(&w, "from", &r->from);
    put_account(&w, "to", &r->to);
    json_end_object(&w);
    printf("%.*s\n", STR_FMT(buf_str(&b)));
    buf_deinit(&b);
}

static void print_line(const char *what, uint64_t from, uint64_t to) {
    printf("%-12s %20" PRIu64 " %20" PRIu64 "%s\n", what, from, to, from == to ? "" : "   differ");
}

static void print_report(const struct migrate_report *r) {
    const struct migrate_account *a = &r->from, *b = &r->to;
    printf("%-12s %20s %20s\n", "", "source", "target");
    print_line("patients", a->patients, b->patients);
    print_line("studies", a->studies, b->studies);
    print_line("series", a->series, b->series);
    print_line("objects", a->objects, b->objects);
    print_line("bytes", a->bytes, b->bytes);
    print_line("conflicts", a->conflicts, b->conflicts);
    print_line("quarantined", a->quarantined, b->quarantined);
    print_line("records", a->records, b->records);
    print_line("volumes", a->volumes, b->volumes);
    print_line("events", a->events, b->events);
    printf("entries      %s (SHA-256 over place, length and digest of each)\n", strcmp(a->entries, b->entries) == 0 ? a->entries : "differ");
    printf("events       %s (hash of the last)\n", strcmp(a->chain, b->chain) == 0 ? a->chain : "differ");
    if (r->damaged) printf("%" PRIu64 " entries were damaged in the source and are so in the target\n", r->damaged);
    if (r->unknown) printf("%" PRIu64 " entries are in no index: 'gantry fsck --repair' in the target finds them\n", r->unknown);
    if (r->lost) printf("%" PRIu64 " rows of the source have no entry in its volumes\n", r->lost);
}

// ---- the two ways ----

static void print_round(const struct job *j, const struct migrate_round *r) {
    if (j->json) return;
    printf("%" PRIu64 " volumes, %" PRIu64 " entries and %" PRIu64 " events came over; %" PRIu64 " volumes are still written or cannot be read now\n",
           r->copied, r->entries, r->events, r->waiting);
    fflush(stdout);
}

static void print_rest(const struct job *j) {
    if (j->json) return;
    printf("The target has what a running source can give, but for what comes to it meanwhile. Stop the source's servers, then run the same with --finish.\n");
    fflush(stdout);
}

// Until nothing more comes, or no less than in the round before: a source that is busy always has something new. Following, until somebody ends it, which does no
// harm at any point.
static bool rounds(struct job *j, struct migrate *m, struct err *e) {
    const struct timespec pause = {.tv_sec = PAUSE_S};
    bool follow = cli_flag(j->args, "follow"), told = false;
    for (uint64_t before = UINT64_MAX;;) {
        struct migrate_round r;
        if (!migrate_round(m, &r, e)) return false;
        uint64_t came = r.copied + r.entries + r.events;
        bool caught_up = came == 0 || (!follow && came >= before);
        if (came) print_round(j, &r);
        if (caught_up && !told) print_rest(j);
        told = caught_up;
        if (caught_up && !follow) return true;
        if (came == 0) nanosleep(&pause, NULL);
        before = came;
    }
}

static int follow(struct job *j) {
    struct err e = {0};
    struct migrate *m;
    if (!open_both(j, false, &m, &e)) return cli_fail(j->args, &e);
    bool ok = rounds(j, m, &e);
    migrate_close(m);
    return ok ? 0 : cli_fail(j->args, &e);
}

static int finish(struct job *j) {
    struct err e = {0};
    struct migrate *m;
    struct migrate_report r = {0};
    if (!open_both(j, true, &m, &e)) return cli_fail(j->args, &e);
    bool ok = migrate_finish(m, &r, &e);
    migrate_close(m);
    bool drawn_up = r.from.entries[0] != '\0';
    if (drawn_up && j->json) print_json(&r);
    if (drawn_up && !j->json) print_report(&r);
    if (!ok) return cli_fail(j->args, &e);
    if (!j->json) printf("Source and target are the same. Start the servers on the target; the source is as it was.\n");
    return 0;
}

static bool read_side(struct job *j, const char *name, struct side *s, struct err *e) {
    const char *where = cli_text(j->args, name, NULL);
    if (!where) return err_set(e, ERR_USAGE, "migrate", "--%s is missing: a data directory, or the configuration file of an archive of several nodes", name);
    return opening_place(j->args, name, where, &s->place, &s->archive, e) || err_wrap(e, "--%s", name);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct job j = {.args = args, .json = cli_flag(args, "json")};
    bool ok = read_side(&j, "from", &j.from, &e) && read_side(&j, "to", &j.to, &e);
    int code = ok ? (cli_flag(args, "finish") ? finish(&j) : follow(&j)) : cli_fail(args, &e);
    opening_end(&j.from.place);
    opening_end(&j.to.place);
    return code;
}

static const struct cli_option OPTIONS[] = {
    {"from", "PLACE", "data directory, or configuration file of an archive of several nodes; its servers may run"},
    {"to", "PLACE", "the same for the target, which is empty or the beginning of this migration"},
    {"follow", NULL, "go on with what the source gets, until a signal"},
    {"finish", NULL, "the source's servers are stopped: take the rest, compare both sides, make the target an archive of its own"},
    {"json", NULL, "print the last report as JSON"},
    {0},
};

const struct cli_command CMD_MIGRATE = {
    .name = "migrate",
    .synopsis = "--from DIR|FILE --to DIR|FILE [--follow | --finish] [--json]",
    .summary = "Copy an archive to the other engine or another place, with its servers up",
    .permission = ACCESS_KEEP,
    .group = "Keeping",
    .details =
        "Volumes are copied as they are and every digest is checked in the target; the index is made of them, the event log is taken over with its chain.\n"
        "Run it as often as you like, and again after whatever cut it short: what is there is not copied twice. Then stop the source's servers and\n"
        "run it with --finish, which takes minutes: it ends with a comparison of both sides. The source is only read.",
    .options = OPTIONS,
    .run = run,
};
