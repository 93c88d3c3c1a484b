// gantry cert ca, server, client, sign: what an authority makes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cert.h"
#include "app/secret.h"
#include "base/clock.h"
#include "sys/file.h"

enum { HOST_BYTES = 256, NAMES_MAX = 64 };

static const char *host_name(struct arena *a, struct err *e) {
    char host[HOST_BYTES];
    if (gethostname(host, sizeof host) != 0) return err_errno(e, ERR_IO, "cert", "the name of this machine"), NULL;
    host[sizeof host - 1] = '\0';
    return arena_strz(a, str_of(host), e);
}

static bool make_authority(struct cli_args *args, const char *dir, const char *name, int64_t days, struct cert_pair *out, struct err *e) {
    struct cert_order o = {.use = CERT_FOR_AUTHORITY, .organisation = cli_text(args, "organisation", NULL), .days = (unsigned)days};
    const char *host = name ? name : host_name(args->arena, e);
    if (!host) return false;
    char day[16]; // two authorities of one machine are told apart
    cert_day(clock_wall_ms(), day);
    o.common_name = name ? name : arena_printf(args->arena, e, "Gantry authority of %.24s %s", host, day);
    if (!o.common_name || !cert_order(args, days, &o, e)) return false;
    o.days = (unsigned)days;
    return cert_authority_make(args, dir, &o, out, e);
}

static int run_ca(struct cli_args *args) {
    struct err e = {0};
    const char *dir;
    struct cert_pair made;
    int64_t days;
    if (!cli_int(args, "days", CERT_CA_DAYS, 1, CERT_DAYS_MAX, &days)) return cli_fail(args, (err_set(&e, ERR_USAGE, "cert", "--days"), &e));
    if (!cert_place(args, true, &dir, &e) || !make_authority(args, dir, cli_text(args, "name", NULL), days, &made, &e)) return cli_fail(args, &e);
    return 0;
}

static const struct cli_option CA_OPTIONS[] = {
    CERT_PLACE_OPTIONS,
    CERT_KEY_OPTION,
    {"name", "NAME", "what it is called (default: after this machine)"},
    {"organisation", "NAME", "whose it is"},
    {"days", "N", "how long it lasts (default: 3650)"},
    {0},
};

const struct cli_command CERT_CA = {
    .name = "ca",
    .synopsis = "[--dir DIR] [--name NAME] [--organisation NAME] [--key KIND] [--days N]",
    .summary = "Make the authority: ca.crt for everyone, ca.key for a safe",
    .permission = ACCESS_LOCAL,
    .group = "Make",
    .options = CA_OPTIONS,
    .run = run_ca,
};

// ---- signed by it ----

// The folder's authority; of a folder that has neither of its files, a new one.
static bool authority_or_new(struct cli_args *args, const char *dir, struct cert_pair *by, struct err *e) {
    if (cert_authority(args->arena, dir, by, e)) return true;
    if (e->kind != ERR_NOT_FOUND || !cert_absent(args->arena, dir, "ca", NULL)) return false;
    err_clear(e);
    return make_authority(args, dir, NULL, CERT_CA_DAYS, by, e);
}

// What can be known before anything is made.
static bool may_issue(struct cli_args *args, const char *dir, const char *stem, const struct cert_order *o, struct err *e) {
    for (unsigned i = 0; i < o->name_count; i++)
        if (!cert_name_valid(o->names[i], e)) return false;
    return cert_stem_valid(stem, e) && cert_absent(args->arena, dir, stem, e);
}

static bool issue(struct cli_args *args, const char *dir, const char *stem, const struct cert_order *o, const struct cert_pair *by, struct cert_pair *out,
                  struct err *e) {
    return cert_make(args->arena, o, by, out, e) && cert_save(args->arena, dir, stem, out, e) &&
           cert_tell(args->arena, "certificate", cert_path(args->arena, dir, stem, ".crt", e), out->cert, e);
}

// Without names: what this machine is called.
static bool server_names(struct cli_args *args, struct cert_order *o, struct err *e) {
    static const char *names[] = {NULL, "localhost", "127.0.0.1", "::1"};
    o->names = (const char *const *)args->positional;
    o->name_count = args->positional_count;
    if (o->name_count == 0) {
        names[0] = host_name(args->arena, e);
        if (!names[0]) return false;
        o->names = names;
        o->name_count = sizeof names / sizeof *names;
    }
    o->common_name = cli_text(args, "name", o->names[0]);
    return true;
}

// What to write into the configuration.
static bool tell_use(struct cli_args *args, const char *dir, const char *stem, struct err *e) {
    char *whole = realpath(dir, NULL);
    const char *where = whole ? arena_strz(args->arena, str_of(whole), e) : dir;
    free(whole);
    if (!where) return false;
    printf("  In the server's configuration, to encrypt both ports and take modalities with a certificate of this authority alone:\n"
           "    tls: {cert: %s/%s.crt, key: %s/%s.key, ca: %s/ca.crt}\n",
           where, stem, where, stem, where);
    return true;
}

static int run_server(struct cli_args *args) {
    struct err e = {0};
    const char *dir, *stem = cli_text(args, "file", "server");
    struct cert_pair by, made;
    struct cert_order o = {.use = CERT_FOR_SERVER, .organisation = cli_text(args, "organisation", NULL)};
    if (!cert_place(args, true, &dir, &e) || !cert_order(args, CERT_DAYS, &o, &e) || !server_names(args, &o, &e) || !may_issue(args, dir, stem, &o, &e) ||
        !authority_or_new(args, dir, &by, &e) || !issue(args, dir, stem, &o, &by, &made, &e) || !tell_use(args, dir, stem, &e))
        return cli_fail(args, &e);
    return 0;
}

#define ISSUE_OPTIONS                                                                       \
    CERT_PLACE_OPTIONS, CERT_KEY_OPTION, {"organisation", "NAME", "whose machine it is"}, { \
        "days", "N", "how long it lasts (default: 825)"                                     \
    }

static const struct cli_option SERVER_OPTIONS[] = {
    ISSUE_OPTIONS,
    {"name", "NAME", "what the machine is called (default: the first host)"},
    {"file", "NAME", "names of the files, without .crt and .key (default: server)"},
    {0},
};

const struct cli_command CERT_SERVER = {
    .name = "server",
    .synopsis = "[--dir DIR] [HOST|ADDRESS]...",
    .summary = "Make the server's certificate, and an authority when there is none",
    .permission = ACCESS_LOCAL,
    .group = "Make",
    .details =
        "Name every host name and address by which others reach the server: a peer that calls it by another name refuses it. Without any, the name of this\n"
        "machine and its loopback addresses are taken. It also serves where this server calls others.",
    .options = SERVER_OPTIONS,
    .positional_max = NAMES_MAX,
    .run = run_server,
};

static bool save_pkcs12(struct cli_args *args, const char *dir, const char *stem, const struct cert_pair *pair, const struct cert_pair *by, struct err *e) {
    const char *file = cli_text(args, "pkcs12", NULL), *password = NULL;
    struct str bytes;
    if (!file) return true;
    if (!secret_read(args->arena, "pkcs12", NULL, file, &password, e)) return false;
    const char *path = cert_path(args->arena, dir, stem, ".p12", e);
    if (!path || !cert_pkcs12(args->arena, pair, by->cert, stem, password, &bytes, e) || !sys_put_file(path, bytes.p, bytes.n, 0600, false, e)) return false;
    printf("  %s has the certificate, its key and the authority, under the password of %s.\n", path, file);
    return true;
}

static int run_client(struct cli_args *args) {
    struct err e = {0};
    const char *dir, *name = args->positional[0], *stem = cli_text(args, "file", name);
    struct cert_pair by, made;
    struct cert_order o = {.use = CERT_FOR_CLIENT,
                           .common_name = name,
                           .organisation = cli_text(args, "organisation", NULL),
                           .names = (const char *const *)args->positional + 1,
                           .name_count = args->positional_count - 1};
    if (!cert_place(args, false, &dir, &e) || !cert_order(args, CERT_DAYS, &o, &e) || !may_issue(args, dir, stem, &o, &e) ||
        !cert_authority(args->arena, dir, &by, &e) || !issue(args, dir, stem, &o, &by, &made, &e) || !save_pkcs12(args, dir, stem, &made, &by, &e))
        return cli_fail(args, &e);
    printf("  Bring %s.crt, %s.key and ca.crt to the machine, by a way that nobody else reads, and remove %s.key here.\n", stem, stem, stem);
    return 0;
}

static const struct cli_option CLIENT_OPTIONS[] = {
    ISSUE_OPTIONS,
    {"file", "NAME", "names of the files, without .crt and .key (default: NAME)"},
    {"pkcs12", "FILE", "also write a .p12 file, under the password in FILE"},
    {0},
};

const struct cli_command CERT_CLIENT = {
    .name = "client",
    .synopsis = "[--dir DIR] [--pkcs12 PASSWORD_FILE] NAME [HOST|ADDRESS]...",
    .summary = "Make a certificate for a modality, a workstation or a program",
    .permission = ACCESS_LOCAL,
    .group = "Make",
    .details = "NAME says who it is, for instance its AE title. A machine that this server also calls (storage commitment, C-MOVE) needs its host name or "
               "address, too.",
    .options = CLIENT_OPTIONS,
    .positional_min = 1,
    .positional_max = NAMES_MAX,
    .run = run_client,
};

// ---- requests ----

// "ct1" of "/media/usb/ct1.csr"
static const char *stem_of(struct arena *a, const char *path, struct err *e) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return arena_strz(a, (struct str){name, dot && dot > name ? (size_t)(dot - name) : strlen(name)}, e);
}

static int run_sign(struct cli_args *args) {
    struct err e = {0};
    const char *dir, *path = args->positional[0], *stem = cli_text(args, "file", NULL);
    struct cert_pair by, made = {0};
    struct str request;
    struct cert_order o = {.use = cli_flag(args, "server") ? CERT_FOR_SERVER : CERT_FOR_CLIENT,
                           .names = (const char *const *)args->positional + 1,
                           .name_count = args->positional_count - 1};
    int64_t days;
    if (!stem) stem = stem_of(args->arena, path, &e);
    if (!cli_int(args, "days", CERT_DAYS, 1, CERT_DAYS_MAX, &days)) return cli_fail(args, (err_set(&e, ERR_USAGE, "cert", "--days"), &e));
    o.days = (unsigned)days;
    if (!stem || !cert_stem_valid(stem, &e) || !cert_place(args, false, &dir, &e) || !cert_authority(args->arena, dir, &by, &e) ||
        !cert_absent(args->arena, dir, stem, &e) || !cert_read_pem(args->arena, path, &request, &e) ||
        !cert_sign_request(args->arena, request, &o, &by, &made.cert, &e) || !cert_save(args->arena, dir, stem, &made, &e) ||
        !cert_tell(args->arena, "certificate", cert_path(args->arena, dir, stem, ".crt", &e), made.cert, &e))
        return cli_fail(args, &e);
    return 0;
}

static const struct cli_option SIGN_OPTIONS[] = {
    CERT_PLACE_OPTIONS,
    {"server", NULL, "for a machine that others call"},
    {"file", "NAME", "name of the file, without .crt (default: the request's)"},
    {"days", "N", "how long it lasts (default: 825)"},
    {0},
};

const struct cli_command CERT_SIGN = {
    .name = "sign",
    .synopsis = "[--dir DIR] [--server] REQUEST [HOST|ADDRESS]...",
    .summary = "Sign the request (CSR) of a machine that made its own key",
    .permission = ACCESS_LOCAL,
    .group = "Make",
    .details = "This is the better way where a machine offers it: its key never travels. Its subject stands in the certificate as it asks; names that are "
               "given here take the\n"
               "place of those in the request. Look at the request first: openssl req -in REQUEST -noout -text.",
    .options = SIGN_OPTIONS,
    .positional_min = 1,
    .positional_max = NAMES_MAX,
    .run = run_sign,
};
