// A look at this server's own set-up: what it is told, where its data lie, who may read them, what is open, whether the clock is right.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "app/doctor.h"
#include "app/settings.h"
#include "base/clock.h"
#include "sys/file.h"
#include "sys/machine.h"

enum { OTHERS = 0007, LOW_PERCENT = 5, PORTS_MAX = 32, ASKED_MS = 1000, FILE_BYTES_MAX = 1024 * 1024, NAME_BYTES = 64 };

#define LOW_BYTES (2ULL << 30)

// ---- configuration ----

static bool read_text(struct arena *a, const char *path, struct str *out) {
    int fd;
    size_t n = 0;
    char *p = arena_alloc(a, FILE_BYTES_MAX, NULL);
    if (!p || !sys_open(NULL, path, O_RDONLY, 0, &fd, NULL)) return false;
    bool ok = sys_read_upto(NULL, fd, p, FILE_BYTES_MAX, 0, &n, NULL);
    sys_close(NULL, fd);
    *out = (struct str){p, n};
    return ok;
}

// Whether a line sets a secret in so many letters: not by ${NAME}, not by naming a file.
static bool holds_secret(struct str text) {
    static const char *const KEYS[] = {"password:", "secret-key:", "session-token:", "key-password:", "client-secret:"};
    while (text.p) {
        struct str line = str_trim(str_split(&text, '\n'));
        for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
            const char *at = line.n && line.p[0] != '#' ? memmem(line.p, line.n, KEYS[i], strlen(KEYS[i])) : NULL;
            if (at && !memmem(at, line.n - (size_t)(at - line.p), "${", 2)) return true;
        }
        const char *scheme = line.n ? memmem(line.p, line.n, "://", 3) : NULL, *host = scheme ? memchr(scheme, '@', line.n - (size_t)(scheme - line.p)) : NULL;
        if (host && memchr(scheme + 3, ':', (size_t)(host - scheme) - 3) && !memmem(scheme, line.n - (size_t)(scheme - line.p), "${", 2)) return true;
    }
    return false;
}

static void look_at_file(struct doctor *d, const char *path) {
    struct sys_rights r;
    struct str text;
    SAY(d, DOC_CONFIG_GOOD, path);
    if (sys_rights_of(path, &r, NULL) && (r.mode & OTHERS) && read_text(d->arena, path, &text) && holds_secret(text)) SAY(d, DOC_CONFIG_SECRET, path);
}

// ---- data ----

static const char *size_text(struct doctor *d, uint64_t bytes) {
    if (bytes >= 1ULL << 40) return doctor_value(d, "%.1f TiB", (double)bytes / (double)(1ULL << 40));
    return doctor_value(d, "%.1f GiB", (double)bytes / (double)(1ULL << 30));
}

static void look_at_data(struct doctor *d, const char *dir) {
    struct sys_rights r;
    uint64_t available, total;
    if (!sys_rights_of(dir, &r, NULL)) return SAY(d, DOC_DATA_ABSENT, dir);
    if (r.mode & OTHERS) SAY(d, DOC_DATA_OPEN, dir);
    if (r.uid != sys_own_user()) {
        char owner[NAME_BYTES], own[NAME_BYTES];
        sys_user_name(r.uid, owner, sizeof owner);
        sys_user_name(sys_own_user(), own, sizeof own);
        SAY(d, DOC_DATA_FOREIGN, dir, doctor_value(d, "%s", owner), doctor_value(d, "%s", own));
    }
    if (!sys_room(NULL, dir, &available, &total, NULL) || total == 0) return;
    if (available < LOW_BYTES || available * 100 / total < LOW_PERCENT)
        SAY(d, DOC_DISK_LOW, dir, size_text(d, available), doctor_value(d, "%llu", (unsigned long long)(available * 100 / total)));
    else if (!(r.mode & OTHERS))
        SAY(d, DOC_DATA_GOOD, dir, size_text(d, available));
}

// ---- what is set ----

static bool to_anybody(const char *network) {
    size_t n = strlen(network);
    return n >= 2 && strcmp(network + n - 2, "/0") == 0;
}

static void look_at_http(struct doctor *d, const struct settings *s) {
    if (!s->auth) SAY(d, DOC_AUTH_NONE, NULL);
    for (unsigned i = 0; i < s->cors_origins.count; i++)
        if (strcmp(s->cors_origins.all[i], "*") == 0) SAY(d, DOC_CORS_ANY, NULL);
    for (unsigned i = 0; i < s->trusted_proxies.count; i++)
        if (to_anybody(s->trusted_proxies.all[i])) SAY(d, DOC_PROXY_ANY, s->trusted_proxies.all[i]);
    if (s->base_url && strncmp(s->base_url, "http://", 7) == 0) SAY(d, DOC_BASE_URL_PLAIN, s->base_url);
}

// The host of a URL without user and password, so that no secret is printed.
static const char *host_of(struct doctor *d, const char *url) {
    const char *at = strstr(url, "://"), *host = at ? at + 3 : url, *user = strchr(host, '@');
    if (user) host = user + 1;
    return doctor_value(d, "%.*s", (int)strcspn(host, "/?"), host);
}

static bool is_near(const char *host) {
    struct str s = str_of(host);
    return s.n == 0 || str_starts(s, STR_LIT("localhost")) || str_starts(s, STR_LIT("127.")) || str_starts(s, STR_LIT("[::1]"));
}

static void look_at_engines(struct doctor *d, const struct settings *s) {
    const char *host = s->database_url ? host_of(d, s->database_url) : "";
    bool sure = s->database_url && (strstr(s->database_url, "sslmode=verify") || strstr(s->database_url, "sslmode=require"));
    if (s->database_url && !sure && !is_near(host)) SAY(d, DOC_DATABASE_PLAIN, host);
    if (s->has_store && s->s3.endpoint && strncmp(s->s3.endpoint, "http://", 7) == 0 && !is_near(host_of(d, s->s3.endpoint)))
        SAY(d, DOC_BUCKET_PLAIN, host_of(d, s->s3.endpoint));
}

// ---- encryption at rest ----

static void look_at_master(struct doctor *d, const char *key, const char *data) {
    struct sys_rights r, at;
    struct err e = {0};
    if (strncmp(key, "pkcs11:", 7) == 0) return;
    if (!sys_rights_of(key, &r, &e)) return SAY(d, DOC_KEY_FILE, e.message);
    if (r.mode & OTHERS) SAY(d, DOC_KEY_OPEN, key);
    if (sys_rights_of(data, &at, NULL) && at.device == r.device) SAY(d, DOC_KEY_BESIDE_DATA, key);
    SAY(d, DOC_KEY_COPY, key);
}

static void look_at_rest(struct doctor *d, const struct settings *s) {
    unsigned n = s->encryption.master_count;
    for (unsigned i = 0; i < n; i++) look_at_master(d, s->masters[i], s->data_dir);
    if (n == 0) SAY(d, DOC_REST_NONE, NULL);
}

// ---- ports and clock ----

static void look_at_port(struct doctor *d, const struct settings *s, const char *what, uint16_t port) {
    struct net_conn c;
    const char *address = strcmp(s->bind, "0.0.0.0") == 0 ? "127.0.0.1" : strcmp(s->bind, "::") == 0 ? "::1" : s->bind;
    if (port == 0) return;
    bool open = net_connect(&c, address, port, clock_mono_ms() + ASKED_MS, NULL);
    if (open) net_close(&c);
    SAY(d, open ? DOC_SERVER_RUNS : DOC_SERVER_RESTS, what, doctor_value(d, "%u", port));
}

static bool is_own_port(const struct settings *s, uint16_t port) {
    return port == s->dicom_port || port == s->http_port || (s->dicom.plain_too && port == s->dicom.plain_port) ||
           (s->http.plain_too && port == s->http.plain_port);
}

static void look_at_other_ports(struct doctor *d, const struct settings *s) {
    uint16_t ports[PORTS_MAX];
    unsigned n = sys_open_ports(ports, PORTS_MAX);
    const char *text = "";
    for (unsigned i = 0; i < n; i++)
        if (!is_own_port(s, ports[i])) text = doctor_value(d, "%s%s%u", text, *text ? ", " : "", ports[i]);
    if (*text) SAY(d, DOC_OTHER_PORTS, text);
}

void doctor_own(struct doctor *d, struct cli_args *args) {
    struct err e = {0};
    const char *config = cli_text(args, "config", NULL);
    struct settings *s = arena_zero(d->arena, 1, sizeof *s, &e);
    if (!s || !settings_read_file(config, cli_text(args, "data", NULL), d->arena, s, &e)) return SAY(d, DOC_CONFIG_BAD, doctor_value(d, "%s", e.message));
    if (config) look_at_file(d, config);
    if (!settings_check(s, &e)) SAY(d, DOC_OWN_REFUSED, doctor_value(d, "%s", e.message));
    look_at_data(d, s->data_dir);
    if (settings_is_loopback(s->bind)) SAY(d, DOC_LOOPBACK, s->bind);
    doctor_own_tls(d, s);
    look_at_http(d, s);
    look_at_engines(d, s);
    look_at_rest(d, s);
    look_at_port(d, s, "DICOM", s->dicom_port);
    look_at_port(d, s, "HTTP", s->http_port);
    if (s->dicom.plain_too) look_at_port(d, s, "DICOM (plain)", s->dicom.plain_port);
    if (s->http.plain_too) look_at_port(d, s, "HTTP (plain)", s->http.plain_port);
    look_at_other_ports(d, s);
    SAY(d, sys_clock_kept() ? DOC_CLOCK_GOOD : DOC_CLOCK_ALONE, NULL);
}
