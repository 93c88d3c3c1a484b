// gantry cluster: the nodes of an archive, its queues and volumes, from anywhere that reaches the database.
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/opening.h"
#include "core/accounts_manage.h"
#include "core/jobs.h"
#include "core/nodes.h"

enum { JOBS_MAX = 1000 };

// ---- status ----

static struct str text_of(const struct json *row, const char *key) {
    return json_text(json_get(row, key));
}

static long long number_of(const struct json *row, const char *key) {
    int64_t v = 0;
    const struct json *at = json_get(row, key);
    if (at) json_to_i64(at, &v);
    return v;
}

// 5 s, 3 min, 2 h, 4 days.
static const char *span(int64_t ms, char out[32]) {
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "days"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};
    for (unsigned i = 0; i < 4; i++)
        if (ms >= 2 * units[i].ms || i == 3) return snprintf(out, 32, "%lld %s", (long long)(ms / units[i].ms), units[i].name), out;
    return out;
}

static void print_nodes(const struct json *status) {
    char up[32], seen[32];
    const struct json *nodes = json_get(status, "nodes");
    printf("%-24s %-9s %-10s %-8s %-10s %-6s %-13s %s\n", "NODE", "STATE", "VERSION", "UP", "HEARD OF", "LAG", "ASSOCIATIONS", "DICOM AND HTTP");
    for (const struct json *n = nodes ? nodes->first : NULL; n; n = n->next) {
        const struct json *f = json_get(n, "figures");
        snprintf(seen, sizeof seen, "%lld s ago", number_of(n, "seen_ms_ago") / 1000);
        printf("%-24.*s %-9.*s %-10.*s %-8s %-10s %-6lld %-13lld %.*s %.*s\n", STR_FMT(text_of(n, "name")), STR_FMT(text_of(n, "state")),
               STR_FMT(text_of(n, "version")), span(number_of(n, "up_ms"), up), seen, number_of(f, "event_lag"), number_of(f, "associations"),
               STR_FMT(text_of(n, "dicom")), STR_FMT(text_of(n, "http")));
    }
}

static void print_leases(const struct json *status) {
    const struct json *leases = json_get(status, "leases");
    if (!leases || !leases->first) return;
    printf("\n%-24s %-24s %s\n", "LEASE", "NODE", "LEFT");
    for (const struct json *l = leases->first; l; l = l->next)
        printf("%-24.*s %-24.*s %lld s\n", STR_FMT(text_of(l, "name")), STR_FMT(text_of(l, "node")), number_of(l, "left_ms") / 1000);
}

static void print_jobs(const struct json *status) {
    const struct json *jobs = json_get(status, "jobs");
    if (!jobs || !jobs->first) return;
    printf("\n%-24s %8s %8s %8s %8s\n", "JOBS", "DUE", "WAITING", "RUNNING", "DEAD");
    for (const struct json *j = jobs->first; j; j = j->next)
        printf("%-24.*s %8lld %8lld %8lld %8lld\n", STR_FMT(text_of(j, "kind")), number_of(j, "due"), number_of(j, "waiting"), number_of(j, "leased"),
               number_of(j, "dead"));
}

static void print_volumes(const struct json *status) {
    const struct json *volumes = json_get(status, "volumes");
    if (!volumes || !volumes->first) return;
    printf("\n%-24s %-14s %10s %12s %10s %10s\n", "VOLUMES", "CLASS", "NUMBER", "MIB", "TO MERGE", "REMOVED");
    for (const struct json *v = volumes->first; v; v = v->next)
        printf("%-24.*s %-14.*s %10lld %12.1f %10lld %10lld\n", STR_FMT(text_of(v, "place")), STR_FMT(text_of(v, "class")), number_of(v, "volumes"),
               (double)number_of(v, "bytes") / (1 << 20), number_of(v, "to_merge"), number_of(v, "removed"));
}

static void print_text(const struct json *status) {
    char ago[32];
    const struct json *events = json_get(status, "events"), *warnings = json_get(status, "warnings");
    printf("%.*s, schema %lld, %lld events", STR_FMT(text_of(status, "engine")), number_of(status, "schema"), number_of(events, "last"));
    if (number_of(events, "last")) printf(", the last %s ago", span(number_of(events, "last_ms_ago"), ago));
    printf("\n\n");
    print_nodes(status);
    print_leases(status);
    print_jobs(status);
    print_volumes(status);
    if (warnings && warnings->first) printf("\n");
    for (const struct json *w = warnings ? warnings->first : NULL; w; w = w->next) printf("warning: %.*s\n", STR_FMT(json_text(w)));
}

static bool show_status(struct cli_args *args, struct archive *ar, int *code, struct err *e) {
    struct str text;
    if (!cluster_status_json(ar, args->arena, &text, e)) return false;
    const struct json *status = json_read(args->arena, text, 0, e);
    if (!status) return false;
    if (cli_flag(args, "json"))
        printf("%.*s\n", STR_FMT(text));
    else
        print_text(status);
    const struct json *warnings = json_get(status, "warnings");
    *code = warnings && warnings->first ? 1 : 0;
    return true;
}

// ---- jobs ----

static bool show_jobs(struct cli_args *args, struct archive *ar, struct err *e) {
    struct str text;
    if (!jobs_dead_json(ar, args->arena, JOBS_MAX, &text, e)) return false;
    const struct json *jobs = json_read(args->arena, text, 0, e);
    if (!jobs) return false;
    if (cli_flag(args, "json")) return printf("%.*s\n", STR_FMT(text)), true;
    for (const struct json *j = jobs->first; j; j = j->next)
        printf("%lld %.*s %.*s (%lld attempts): %.*s\n", number_of(j, "id"), STR_FMT(text_of(j, "kind")), STR_FMT(text_of(j, "subject")),
               number_of(j, "attempts"), STR_FMT(text_of(j, "trouble")));
    if (!jobs->first) printf("no dead jobs\n");
    return true;
}

static bool retry(struct cli_args *args, struct archive *ar, struct err *e) {
    int64_t id;
    const char *text = cli_text(args, "retry", "");
    if (!str_to_i64(str_of(text), &id)) return err_set(e, ERR_USAGE, "cluster", "--retry takes a job's number, not '%s'", text);
    return job_retry(ar, id, e);
}

static bool new_token(struct archive *ar, struct err *e) {
    static const struct actor WHO = {.door = DOOR_COMMAND};
    char token[ACCOUNT_SECRET_HEX + 1];
    struct accounts *accounts;
    if (!accounts_open(ar, NULL, &accounts, e)) return false;
    bool ok = account_first_token(accounts, &WHO, 0, token, e);
    accounts_close(accounts);
    if (ok) printf("token %s\n", token);
    return ok;
}

static bool act(struct cli_args *args, struct archive *ar, int *code, struct err *e) {
    const char *what = args->positional[0], *name = args->positional_count > 1 ? args->positional[1] : NULL;
    bool forget = strcmp(what, "forget") == 0;
    if (forget != (name != NULL)) return err_set(e, ERR_USAGE, "cluster", forget ? "forget takes a node's name" : "'%s' is one argument too many", name);
    if (strcmp(what, "status") == 0) return show_status(args, ar, code, e);
    if (strcmp(what, "jobs") == 0) return cli_text(args, "retry", NULL) ? retry(args, ar, e) : show_jobs(args, ar, e);
    if (strcmp(what, "token") == 0) return new_token(ar, e);
    if (forget) return cluster_forget(ar, str_of(name), e);
    return err_set(e, ERR_USAGE, "cluster", "'%s' is none of status, jobs, token and forget", what);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct opening o;
    int code = 0;
    if (!opening_begin(args, OPENING_INDEX_ONLY, &o, &e)) return cli_fail(args, &e);
    bool ok = act(args, o.archive, &code, &e);
    opening_end(&o);
    return ok ? code : cli_fail(args, &e);
}

static const struct cli_option OPTIONS[] = {
    OPENING_OPTIONS,
    {"json", NULL, "print JSON"},
    {"retry", "ID", "with jobs: try this dead one again"},
    {0},
};

const struct cli_command CMD_CLUSTER = {
    .name = "cluster",
    .synopsis = "[--config FILE] [--json] status | jobs [--retry ID] | token | forget NODE",
    .summary = "Show the nodes of an archive, its queues and volumes",
    .permission = ACCESS_CLUSTER_READ,
    .group = "Server",
    .details =
        "status: nodes with what they tell of themselves, leases, jobs by kind, volumes by place and storage class, events. Exits 1 when something needs a\n"
        "look: a dead node, a dead job, a bucket that is away. LAG is how many events a node had not yet heard of.\n"
        "jobs: what could not be done in all its attempts. token: makes a new administrator's token and prints it; the old one ends within seconds. forget: "
        "takes a node off the list that will not come back.\n"
        "A server on its own shows the same under /api/cluster; this command must wait until it has stopped.",
    .options = OPTIONS,
    .positional_min = 1,
    .positional_max = 2,
    .run = run,
};
