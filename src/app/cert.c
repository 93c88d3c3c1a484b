// The folder of certificates: where it is, its authority, what is written into it.
#include "app/cert.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/settings.h"
#include "sys/file.h"

enum { CERTIFICATE_MODE = 0644, KEY_MODE = 0600, STEM_MAX = 100 };

#define AUTHORITY "ca"

bool cert_place(struct cli_args *args, bool make, const char **dir, struct err *e) {
    *dir = cli_text(args, "dir", NULL);
    bool own = !*dir;
    const char *data = *dir ? *dir : cli_text(args, "data", NULL);
    if (!data) data = settings_default_data(args->arena, e);
    if (data && own) *dir = arena_printf(args->arena, e, "%s/tls", data);
    if (!data || !*dir) return false;
    int fd;
    bool there = sys_open(NULL, *dir, O_RDONLY | O_DIRECTORY, 0, &fd, NULL);
    if (there) sys_close(NULL, fd);
    if (there || !make) return there || err_set(e, ERR_NOT_FOUND, "cert", "%s is no folder: 'gantry cert server' makes certificates there", *dir);
    return sys_mkdirs(*dir, e) && sys_own_as_directory(*dir, e);
}

bool cert_order(struct cli_args *args, int64_t days, struct cert_order *o, struct err *e) {
    static const char *const KINDS[] = {[CERT_KEY_EC] = "ec", [CERT_KEY_RSA] = "rsa", [CERT_KEY_SM2] = "sm2"};
    const char *kind = cli_text(args, "key", "ec");
    unsigned i = 0;
    while (i < 3 && strcmp(kind, KINDS[i]) != 0) i++;
    if (i == 3) return err_set(e, ERR_USAGE, "cert", "--key takes ec, rsa or sm2, not '%s'", kind);
    if (!cli_int(args, "days", days, 1, CERT_DAYS_MAX, &days)) return err_set(e, ERR_USAGE, "cert", "--days");
    o->key = (enum cert_key_kind)i;
    o->days = (unsigned)days;
    return true;
}

// ---- files ----

bool cert_stem_valid(const char *stem, struct err *e) {
    bool good = *stem && *stem != '.' && strlen(stem) <= STEM_MAX;
    for (const char *p = stem; good && *p; p++) good = (unsigned char)*p > ' ' && *p != '/' && *p != 0x7f;
    return good || err_set(e, ERR_USAGE, "cert", "'%s' cannot name a file: give one without spaces and slashes with --file", stem);
}

const char *cert_path(struct arena *a, const char *dir, const char *stem, const char *suffix, struct err *e) {
    return arena_printf(a, e, "%s/%s%s", dir, stem, suffix);
}

static bool is_there(const char *path) {
    int fd;
    if (!sys_open(NULL, path, O_RDONLY, 0, &fd, NULL)) return false;
    sys_close(NULL, fd);
    return true;
}

bool cert_absent(struct arena *a, const char *dir, const char *stem, struct err *e) {
    static const char *const SUFFIXES[] = {".crt", ".key"};
    for (unsigned i = 0; i < 2; i++) {
        const char *path = cert_path(a, dir, stem, SUFFIXES[i], e);
        if (!path) return false;
        if (is_there(path))
            return err_set(e, ERR_CONFLICT, "cert", "%s is there already: 'gantry cert renew %s' makes it last longer, --file NAME makes another", path, stem);
    }
    return true;
}

bool cert_save(struct arena *a, const char *dir, const char *stem, const struct cert_pair *pair, struct err *e) {
    const char *cert = cert_path(a, dir, stem, ".crt", e), *key = cert ? cert_path(a, dir, stem, ".key", e) : NULL;
    if (!key) return false;
    // the key first: a certificate without its key is of no use
    if (pair->key.n && !sys_put_file(key, pair->key.p, pair->key.n, KEY_MODE, false, e)) return false;
    if (pair->key.n && strcmp(stem, AUTHORITY) != 0 && !sys_own_as_directory(key, e)) return false;
    return sys_put_file(cert, pair->cert.p, pair->cert.n, CERTIFICATE_MODE, false, e);
}

static bool read_all(struct arena *a, const char *dir, const char *suffix, struct str *out, struct err *e) {
    const char *path = cert_path(a, dir, AUTHORITY, suffix, e);
    return path && cert_read_pem(a, path, out, e);
}

bool cert_authority(struct arena *a, const char *dir, struct cert_pair *out, struct err *e) {
    return (read_all(a, dir, ".crt", &out->cert, e) && read_all(a, dir, ".key", &out->key, e)) || err_wrap(e, "the authority of this folder");
}

bool cert_authority_make(struct cli_args *args, const char *dir, const struct cert_order *o, struct cert_pair *out, struct err *e) {
    struct arena *a = args->arena;
    if (!cert_absent(a, dir, AUTHORITY, e) || !cert_make(a, o, NULL, out, e) || !cert_save(a, dir, AUTHORITY, out, e)) return false;
    if (!cert_tell(a, "authority", cert_path(a, dir, AUTHORITY, ".crt", e), out->cert, e)) return false;
    printf(
        "  Give ca.crt to every machine that is to trust this server. Keep ca.key secret and copy it to a safe place: who has it can pose as any machine.\n");
    return true;
}

// ---- words ----

void cert_day(int64_t ms, char out[16]) {
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    out[0] = '\0';
    if (gmtime_r(&t, &tm)) strftime(out, 16, "%Y-%m-%d", &tm);
}

bool cert_tell(struct arena *a, const char *what, const char *path, struct str pem, struct err *e) {
    struct cert *c;
    unsigned n;
    char day[16];
    if (!path || !cert_from_pem(a, pem, &c, &n, e)) return false;
    cert_day(c->until_ms, day);
    printf("%s %s: %s", what, path, c->subject);
    for (unsigned i = 0; i < c->name_count; i++) printf("%s%s", i ? ", " : " for ", c->names[i]);
    printf(", %s, until %s\n  SHA-256 %s\n", c->key, day, c->fingerprint);
    return true;
}
