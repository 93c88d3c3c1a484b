// gantry doctor: why a connection fails, what a peer offers, what is wrong here, and what to do about it.
#include <stdlib.h>
#include <string.h>

#include "app/commands.h"
#include "app/doctor.h"
#include "app/settings.h"
#include "dimse/scu.h"

enum { TIMEOUT_S = 10, TIMEOUT_MAX_S = 600, HTTP_PORT = 80, HTTPS_PORT = 443 };

static bool read_language(const struct cli_args *args, bool *chinese, struct err *e) {
    const char *told = cli_text(args, "lang", NULL), *text = told;
    const char *const places[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (unsigned i = 0; i < 3 && (!text || !*text); i++) text = getenv(places[i]);
    *chinese = text && strncmp(text, "zh", 2) == 0;
    if (!told || *chinese || strncmp(told, "en", 2) == 0) return true;
    return err_set(e, ERR_USAGE, "doctor", "--lang takes en or zh-CN, not '%s'", told);
}

static bool read_options(const struct cli_args *args, struct doctor_peer *p, struct err *e) {
    int64_t seconds;
    if (!cli_int(args, "timeout", TIMEOUT_S, 1, TIMEOUT_MAX_S, &seconds)) return err_set(e, ERR_USAGE, "doctor", "--timeout");
    *p = (struct doctor_peer){.calling = cli_text(args, "calling", "GANTRY"),
                              .plain = cli_flag(args, "plain"),
                              .ca = cli_text(args, "tls-ca", NULL),
                              .cert = cli_text(args, "tls-cert", NULL),
                              .key = cli_text(args, "tls-key", NULL),
                              .name = cli_text(args, "tls-name", NULL),
                              .timeout_ms = (int)seconds * 1000};
    p->tls = cli_flag(args, "tls") || p->ca || p->cert || p->name;
    if (p->tls && p->plain) return err_set(e, ERR_USAGE, "doctor", "--plain and TLS exclude each other");
    if (!p->cert != !p->key) return err_set(e, ERR_USAGE, "doctor", "--tls-cert and --tls-key go together");
    return pdu_ae_valid(str_of(p->calling)) ||
           err_set(e, ERR_USAGE, "doctor", "--calling '%s' is not an AE title (1 to 16 characters, no backslash)", p->calling);
}

// "https://host:port/path"
static bool read_url(struct arena *a, struct str url, struct doctor_peer *p, struct err *e) {
    p->tls = str_starts(url, STR_LIT("https://"));
    p->plain = !p->tls;
    struct str rest = str_sub(url, p->tls ? 8 : 7, url.n);
    size_t slash = str_find(rest, '/', 0);
    struct scu_target t;
    const char *place = arena_printf(a, e, "X@%.*s", (int)slash, rest.p);
    bool bare = place && place[strlen(place) - 1] != ']' && str_find(str_of(place), ':', 0) == strlen(place);
    if (!place || !scu_target_parse(str_of(place), &t, e)) return err_set(e, ERR_USAGE, "doctor", "'%.*s' is no web address", STR_FMT(url));
    bool told = !bare && place[strlen(place) - 1] != ']';
    p->host = arena_strz(a, str_of(t.host), e);
    p->port = told ? t.port : p->tls ? HTTPS_PORT : HTTP_PORT;
    p->path = arena_strz(a, slash < rest.n ? str_sub(rest, slash, rest.n) : STR_LIT("/"), e);
    return p->host && p->path;
}

static bool read_target(struct arena *a, struct str text, struct doctor_peer *p, struct err *e) {
    if (str_starts(text, STR_LIT("https://")) || str_starts(text, STR_LIT("http://"))) return read_url(a, text, p, e);
    struct scu_target *t = arena_zero(a, 1, sizeof *t, e);
    if (!t || !scu_target_parse(text, t, e)) return false;
    p->called = t->aet;
    p->host = t->host;
    p->port = t->port;
    return true;
}

// What the options leave open is as the server has it: its certificate is shown to peers, its authorities are trusted.
static bool read_server(struct cli_args *args, struct doctor_peer *p, struct err *e) {
    struct settings *s = arena_zero(args->arena, 1, sizeof *s, e);
    const char *config = cli_text(args, "config", NULL);
    if (!config) return true;
    if (!s || !settings_read_file(config, NULL, args->arena, s, e)) return false;
    if (!p->ca) p->ca = s->tls.ca;
    if (!p->cert && s->tls.cert) {
        p->cert = s->tls.cert;
        p->key = s->tls.key;
    }
    if (!cli_flag(args, "calling")) p->calling = s->aet;
    return true;
}

static int run(struct cli_args *args) {
    struct err e = {0};
    struct doctor_peer p;
    struct doctor *d = arena_zero(args->arena, 1, sizeof *d, &e);
    if (!d || !read_language(args, &d->chinese, &e) || !read_options(args, &p, &e)) return cli_fail(args, &e);
    d->arena = args->arena;
    const char *target = args->positional_count ? args->positional[0] : NULL;
    if (target && (!read_target(args->arena, str_of(target), &p, &e) || !read_server(args, &p, &e))) return cli_fail(args, &e);
    if (!target)
        doctor_own(d, args);
    else if (p.called)
        doctor_dicom(d, &p);
    else
        doctor_http(d, &p);
    return doctor_print(d, target ? target : "self", cli_flag(args, "json"));
}

static const struct cli_option OPTIONS[] = {
    {"config", "FILE", "this server's configuration; a peer is called as this server would"},
    {"data", "DIR", "its data directory (default: gantry under XDG data)"},
    {"calling", "AET", "our AE title (default: GANTRY)"},
    {"tls", NULL, "the peer has to speak TLS"},
    {"plain", NULL, "try without TLS only"},
    {"tls-ca", "FILE", "authorities to trust (default: the system's)"},
    {"tls-cert", "FILE", "our certificate"},
    {"tls-key", "FILE", "its key"},
    {"tls-name", "NAME", "name in the peer's certificate (default: the host; * for any)"},
    {"timeout", "SECONDS", "for each step (default: 10)"},
    {"lang", "en|zh-CN", "language of the words (default: that of the locale)"},
    {"json", NULL, "print as JSON"},
    {0},
};

const struct cli_command CMD_DOCTOR = {
    .name = "doctor",
    .synopsis = "[--config FILE | --data DIR] [--json] [--lang LANG]\n       gantry doctor [options] AET@HOST:PORT | https://HOST[:PORT] | http://HOST[:PORT]",
    .summary = "Find out why a connection fails, or what is wrong here, in plain words",
    .permission = ACCESS_LOCAL,
    .group = "Network",
    .details = "Without an argument it looks at this server's own set-up: configuration, certificates, keys, ports, rights of files, disk, clock.\n"
               "With a DICOM peer it tries the way there, TLS, the certificates of both sides, and an association; with a web address the same for HTTP. Each "
               "finding\n"
               "comes with what to do about it. Nothing is changed, and nothing of patients is sent or read. Exits 1 when there is something to mend.",
    .options = OPTIONS,
    .positional_max = 1,
    .run = run,
};
