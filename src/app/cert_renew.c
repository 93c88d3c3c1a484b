// gantry cert renew: the same certificates, for longer.
#include <stdio.h>
#include <string.h>

#include "app/cert.h"
#include "base/clock.h"
#include "sys/file.h"

enum { WITHIN_DAYS = 60, NAMES_MAX = 256, CERTIFICATE_MODE = 0644 };

#define DAY_MS (24LL * 3600 * 1000)

struct renewal {
    struct cli_args *args;
    const char *dir;
    struct cert_pair by;
    int64_t days, within;
    unsigned done;
};

static bool is_authority(const char *stem) {
    return strcmp(stem, "ca") == 0;
}

static bool renew(struct renewal *r, const char *stem, struct err *e) {
    struct arena *a = r->args->arena;
    struct str text;
    struct cert_pair old = r->by;
    bool top = is_authority(stem);
    const char *path = cert_path(a, r->dir, stem, ".crt", e);
    int64_t days = r->days ? r->days : top ? CERT_CA_DAYS : CERT_DAYS;
    if (!path || !cert_read_pem(a, path, &old.cert, e)) return false;
    if (!cert_renew(a, &old, top ? NULL : &r->by, (unsigned)days, &text, e)) return err_wrap(e, "%s", path);
    if (!sys_put_file(path, text.p, text.n, CERTIFICATE_MODE, true, e)) return false;
    if (top) r->by.cert = text;
    r->done++;
    return cert_tell(a, "renewed", path, text, e);
}

// A name or a path of the folder: "server", "server.crt", "tls/server.crt".
static const char *stem_of(struct arena *a, const char *name, struct err *e) {
    const char *slash = strrchr(name, '/');
    struct str s = str_of(slash ? slash + 1 : name);
    if (str_ends(s, STR_LIT(".crt"))) s.n -= 4;
    return arena_strz(a, s, e);
}

// ---- all that run out ----

struct names {
    struct arena *arena;
    const char *all[NAMES_MAX];
    unsigned count;
};

static bool gather(void *ctx, const char *name, struct err *e) {
    struct names *n = ctx;
    if (!str_ends(str_of(name), STR_LIT(".crt")) || n->count == NAMES_MAX) return true;
    return (n->all[n->count++] = stem_of(n->arena, name, e)) != NULL;
}

static bool renew_if_near(struct renewal *r, const char *stem, struct err *e) {
    struct cert *c;
    unsigned n;
    const char *path = cert_path(r->args->arena, r->dir, stem, ".crt", e);
    if (!path || !cert_read_file(r->args->arena, path, &c, &n, e)) return false;
    return c->until_ms - clock_wall_ms() > r->within * DAY_MS || renew(r, stem, e);
}

static bool renew_near(struct renewal *r, struct err *e) {
    struct names n = {.arena = r->args->arena};
    if (!sys_list_dir(r->dir, gather, &n, e)) return false;
    for (unsigned i = 0; i < n.count; i++) // nothing outlasts the authority
        if (is_authority(n.all[i]) && !renew_if_near(r, n.all[i], e)) return false;
    for (unsigned i = 0; i < n.count; i++)
        if (!is_authority(n.all[i]) && !renew_if_near(r, n.all[i], e)) return false;
    if (!r->done) printf("no certificate ends within %lld days\n", (long long)r->within);
    return true;
}

static bool renew_all(struct renewal *r, struct err *e) {
    struct cli_args *args = r->args;
    if (!cli_int(args, "days", 0, 1, CERT_DAYS_MAX, &r->days) || !cli_int(args, "within", WITHIN_DAYS, 0, CERT_DAYS_MAX, &r->within))
        return err_set(e, ERR_USAGE, "cert", "see --help");
    if (!cert_place(args, false, &r->dir, e) || !cert_authority(args->arena, r->dir, &r->by, e)) return false;
    for (unsigned i = 0; i < args->positional_count; i++) {
        const char *stem = stem_of(args->arena, args->positional[i], e);
        if (!stem || !renew(r, stem, e)) return false;
    }
    return args->positional_count > 0 || renew_near(r, e);
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct renewal r = {.args = args};
    return renew_all(&r, &e) ? 0 : cli_fail(args, &e);
}

static const struct cli_option OPTIONS[] = {
    CERT_PLACE_OPTIONS,
    {"days", "N", "how long they last from now (default: 825, of the authority 3650)"},
    {"within", "DAYS", "without names: those that end within so many days (default: 60)"},
    {0},
};

const struct cli_command CERT_RENEW = {
    .name = "renew",
    .synopsis = "[--dir DIR] [--days N] [--within DAYS] [NAME]...",
    .summary = "Make certificates last longer: those named, or all that end soon",
    .permission = ACCESS_LOCAL,
    .group = "Keep",
    .details = "Subject, names, uses and key stay as they are, so that a peer that trusts the authority notices nothing; one that was told the certificate's "
               "fingerprint must be\n"
               "told the new one. A running server takes the new file by itself. 'ca' renews the authority: bring its new ca.crt to the machines before the "
               "old one ends.",
    .options = OPTIONS,
    .positional_max = NAMES_MAX,
    .run = run,
};
