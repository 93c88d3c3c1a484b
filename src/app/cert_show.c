// gantry cert show: what certificates say, for people and for programs.
#include <stdio.h>
#include <string.h>

#include "app/cert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "sys/file.h"
#include "text/json.h"

enum { FILES_MAX = 256 };

#define DAY_MS (24LL * 3600 * 1000)

static const char *use_of(const struct cert *c) {
    if (c->authority) return "authority";
    if (c->for_server && c->for_client) return "server and client";
    return c->for_server ? "server" : c->for_client ? "client" : "neither server nor client";
}

static int64_t days_left(const struct cert *c) {
    return (c->until_ms - clock_wall_ms()) / DAY_MS;
}

static void print_one(const char *path, const struct cert *c) {
    char from[16], until[16];
    int64_t left = days_left(c);
    cert_day(c->from_ms, from);
    cert_day(c->until_ms, until);
    printf("%s\n  subject   %s\n  issuer    %s%s\n  names    ", path, c->subject, c->issuer, c->own_issuer ? " (itself)" : "");
    for (unsigned i = 0; i < c->name_count; i++) printf(" %s", c->names[i]);
    printf("%s\n  valid     %s to %s (%lld days %s)\n", c->name_count ? "" : " -", from, until, (long long)(left < 0 ? -left : left),
           left < 0 ? "ago" : "left");
    printf("  for       %s\n  key       %s, signed with %s%s\n  serial    %s\n  SHA-256   %s\n", use_of(c), c->key, c->signature,
           c->weak ? " (too weak for today)" : "", c->serial, c->fingerprint);
}

static void write_one(struct json_writer *j, const char *path, const struct cert *c) {
    json_begin_object(j);
    json_put_strz(j, "file", path);
    json_put_strz(j, "subject", c->subject);
    json_put_strz(j, "issuer", c->issuer);
    json_key(j, "names");
    json_begin_array(j);
    for (unsigned i = 0; i < c->name_count; i++) json_strz(j, c->names[i]);
    json_end_array(j);
    json_put_int(j, "from_ms", c->from_ms);
    json_put_int(j, "until_ms", c->until_ms);
    json_put_int(j, "days_left", days_left(c));
    json_put_bool(j, "authority", c->authority);
    json_put_bool(j, "server", c->for_server);
    json_put_bool(j, "client", c->for_client);
    json_put_strz(j, "key", c->key);
    json_put_strz(j, "signature", c->signature);
    json_put_bool(j, "weak", c->weak);
    json_put_strz(j, "serial", c->serial);
    json_put_strz(j, "sha256", c->fingerprint);
    json_end_object(j);
}

struct files {
    struct arena *arena;
    const char *dir;
    const char *all[FILES_MAX];
    unsigned count;
};

static bool gather(void *ctx, const char *name, struct err *e) {
    struct files *f = ctx;
    if (!str_ends(str_of(name), STR_LIT(".crt")) || f->count == FILES_MAX) return true;
    return (f->all[f->count++] = cert_path(f->arena, f->dir, name, "", e)) != NULL;
}

static bool show(struct cli_args *args, const struct files *f, struct json_writer *j, struct err *e) {
    for (unsigned i = 0; i < f->count; i++) {
        struct cert *all;
        unsigned n;
        if (!cert_read_file(args->arena, f->all[i], &all, &n, e)) return false;
        for (unsigned k = 0; k < n; k++) {
            if (cli_flag(args, "json"))
                write_one(j, f->all[i], &all[k]);
            else
                print_one(f->all[i], &all[k]);
        }
    }
    return true;
}

static bool find(struct cli_args *args, struct files *f, struct err *e) {
    for (; f->count < args->positional_count; f->count++) f->all[f->count] = args->positional[f->count];
    return f->count > 0 || (cert_place(args, false, &f->dir, e) && sys_list_dir(f->dir, gather, f, e));
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct files f = {.arena = args->arena};
    struct buf b;
    struct json_writer j;
    buf_init(&b, CERT_FILE_BYTES_MAX);
    json_init(&j, &b, false);
    json_begin_array(&j);
    bool ok = find(args, &f, &e) && show(args, &f, &j, &e);
    json_end_array(&j);
    ok = ok && buf_ok(&b, &e);
    if (ok && cli_flag(args, "json")) printf("%.*s\n", STR_FMT(buf_str(&b)));
    buf_deinit(&b);
    return ok ? 0 : cli_fail(args, &e);
}

static const struct cli_option OPTIONS[] = {
    CERT_PLACE_OPTIONS,
    {"json", NULL, "print as JSON"},
    {0},
};

const struct cli_command CERT_SHOW = {
    .name = "show",
    .synopsis = "[--dir DIR] [--json] [FILE]...",
    .summary = "Show what certificates say: those of the files (PEM), or of the folder",
    .permission = ACCESS_LOCAL,
    .group = "Keep",
    .options = OPTIONS,
    .positional_max = FILES_MAX,
    .run = run,
};
