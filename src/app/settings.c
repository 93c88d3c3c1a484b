// Settings from the command line and the environment.
#include "app/settings.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/config.h"
#include "http/base_url.h"
#include "net/network.h"
#include "http/cors.h"

const struct cli_option SETTINGS_OPTIONS[] = {
    {"config", "FILE", "YAML file with the same settings and more"},
    {"data", "DIR", "data directory (default: gantry under XDG data)"},
    {"bind", "ADDR", "numeric address to listen on (default: 127.0.0.1)"},
    {"dicom-port", "N", "DICOM port, 0 for any free one (default: 11112)"},
    {"http-port", "N", "HTTP port, 0 for any free one (default: 8080)"},
    {"aet", "NAME", "AE title (default: GANTRY)"},
    {"peer", "AET@HOST:PORT", "a known peer", true},
    {"base-url", "URL", "where HTTP is seen from outside, behind a proxy"},
    {"trusted-proxy", "ADDRESS", "address or network whose X-Forwarded-* count (default: loopback)", true},
    {"cors-origin", "ORIGIN", "a site whose pages may use the server, * for any", true},
    {"tls-cert", "FILE", "PEM: the server's certificate; both ports then speak TLS"},
    {"tls-key", "FILE", "PEM: its key"},
    {"tls-ca", "FILE", "PEM: the authorities of peers' certificates; DICOM then asks for one"},
    {"plaintext", "dicom|http", "take it without TLS on an address that is not loopback", true},
    {"auth", "none", "ask for no token; on a loopback address only"},
    {0},
};

enum {
    AET_MAX = 16, // PS3.5 6.2
    HOST_MAX = 48,
    DEADLINE_MS = 20 * 1000
};

const char *settings_default_data(struct arena *a, struct err *e) {
    const char *xdg = getenv("XDG_DATA_HOME");
    if (xdg && xdg[0] == '/') return arena_printf(a, e, "%s/gantry", xdg);
    const char *home = getenv("HOME");
    if (home && home[0]) return arena_printf(a, e, "%s/.local/share/gantry", home);
    err_set(e, ERR_USAGE, "settings", "neither HOME nor XDG_DATA_HOME is set: name a data directory with --data");
    return NULL;
}

bool settings_is_loopback(const char *address) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool settings_aet_valid(struct str aet) {
    if (str_trim(aet).n == 0 || aet.n > AET_MAX) return false;
    for (size_t i = 0; i < aet.n; i++)
        if (aet.p[i] < 0x20 || aet.p[i] > 0x7e || aet.p[i] == '\\') return false;
    return true;
}

static bool parse_peer(struct arena *a, const char *text, struct setting_peer *out, struct err *e) {
    struct str all = str_of(text);
    size_t at = str_find(all, '@', 0);
    size_t colon = all.n;
    while (colon > at && all.p[colon - 1] != ':') colon--;
    uint64_t port = 0;
    bool fits =
        at < all.n && colon > at + 2 && settings_aet_valid(str_sub(all, 0, at)) && str_to_u64(str_sub(all, colon, all.n), &port) && port > 0 && port < 65536;
    if (!fits) return err_set(e, ERR_USAGE, "settings", "--peer takes AET@HOST:PORT, not '%s'", text);
    out->aet = arena_strz(a, str_sub(all, 0, at), e);
    out->host = arena_strz(a, str_sub(all, at + 1, colon - 1 - (at + 1)), e);
    out->port = (uint16_t)port;
    return out->aet && out->host;
}

static bool read_peers(struct cli_args *args, struct arena *a, struct settings *out, struct err *e) {
    const char *text;
    for (unsigned i = 0; (text = cli_text_at(args, "peer", i)); i++) {
        if (out->peer_count == SETTINGS_PEERS_MAX) return err_set(e, ERR_USAGE, "settings", "more than %d peers", SETTINGS_PEERS_MAX);
        if (!parse_peer(a, text, &out->peers[out->peer_count++], e)) return false;
    }
    return true;
}

static bool read_port(struct cli_args *args, const char *name, uint16_t *port, struct err *e) {
    const char *text = cli_text(args, name, NULL);
    uint64_t v;
    if (!text) return true;
    if (!str_to_u64(str_of(text), &v) || v > 65535) return err_set(e, ERR_USAGE, "settings", "--%s takes a port from 0 to 65535, not '%s'", name, text);
    *port = (uint16_t)v;
    return true;
}

static bool read_list(struct cli_args *args, const char *name, struct setting_list *out, struct err *e) {
    const char *text;
    for (unsigned i = 0; (text = cli_text_at(args, name, i)); i++) {
        if (i == 0) out->count = 0; // the command line goes before the file
        if (out->count == SETTINGS_LIST_MAX) return err_set(e, ERR_USAGE, "settings", "more than %d of --%s", SETTINGS_LIST_MAX, name);
        out->all[out->count++] = text;
    }
    return true;
}

static bool read_http(struct cli_args *args, struct settings *out, struct err *e) {
    static const char *const LOOPBACK[] = {"127.0.0.0/8", "::1"};
    out->base_url = cli_text(args, "base-url", out->base_url);
    if (!read_list(args, "trusted-proxy", &out->trusted_proxies, e) || !read_list(args, "cors-origin", &out->cors_origins, e)) return false;
    if (out->trusted_proxies.count > 0) return true;
    for (unsigned i = 0; i < sizeof LOOPBACK / sizeof LOOPBACK[0]; i++) out->trusted_proxies.all[out->trusted_proxies.count++] = LOOPBACK[i];
    return true;
}

static bool check_http(const struct settings *s, struct err *e) {
    struct http_place place;
    if (s->base_url && !http_base_parse(str_of(s->base_url), &place, e)) return err_wrap(e, "base-url");
    for (unsigned i = 0; i < s->trusted_proxies.count; i++)
        if (!net_network_valid(s->trusted_proxies.all[i]))
            return err_set(e, ERR_USAGE, "settings", "trusted-proxies: '%s' is neither an address nor a network such as 10.0.0.0/8", s->trusted_proxies.all[i]);
    for (unsigned i = 0; i < s->cors_origins.count; i++)
        if (!http_cors_origin_valid(s->cors_origins.all[i]))
            return err_set(e, ERR_USAGE, "settings", "cors: '%s' is neither * nor an origin such as https://viewer.example.org", s->cors_origins.all[i]);
    return true;
}

static bool check_cluster(const struct settings *s, struct err *e) {
    if (s->has_store && !s->database_url)
        return err_set(e, ERR_USAGE, "settings", "store: a bucket is for the volumes of several nodes, and these need one index: name it under database:");
    if (s->database_url && !s->has_store)
        return err_set(e, ERR_USAGE, "settings",
                       "database: an index on a server is for several nodes, and these need volumes that all of them reach: name a bucket under store: s3:");
    for (const char *p = s->node ? s->node : ""; *p; p++)
        if (*p <= ' ' || *p > '~') return err_set(e, ERR_USAGE, "settings", "node: '%s' is not a name: printable ASCII without spaces", s->node);
    return true;
}

// Host name and port: unique as long as nobody gives two machines one name.
static const char *default_node(struct arena *a, const struct settings *s, struct err *e) {
    char host[HOST_MAX];
    if (gethostname(host, sizeof host) != 0) return err_errno(e, ERR_IO, "settings", "the host's name"), NULL;
    host[sizeof host - 1] = '\0';
    if (s->dicom_port == 0) return arena_printf(a, e, "%s-%ld", host, (long)getpid()); // any free port
    return arena_printf(a, e, "%s:%u", host, s->dicom_port);
}

static bool check(const struct settings *s, struct err *e) {
    struct in6_addr any;
    if (inet_pton(AF_INET, s->bind, &any) != 1 && inet_pton(AF_INET6, s->bind, &any) != 1)
        return err_set(e, ERR_USAGE, "settings", "'%s' is not a numeric address to listen on", s->bind);
    if (!settings_aet_valid(str_of(s->aet))) return err_set(e, ERR_USAGE, "settings", "'%s' is not an AE title (1 to 16 characters, no backslash)", s->aet);
    if (!s->auth && !settings_is_loopback(s->bind))
        return err_set(e, ERR_USAGE, "settings",
                       "--auth none on %s would give every image to whoever reaches this address, in plain text. Leave --auth out (a token is then asked for), "
                       "or bind to 127.0.0.1",
                       s->bind);
    return true;
}

static bool begin(const char *config, const char *data, struct arena *a, struct settings *out, struct err *e) {
    *out = (struct settings){.bind = "127.0.0.1", .dicom_port = 11112, .http_port = 8080, .aet = "GANTRY", .auth = true, .deadline_ms = DEADLINE_MS};
    if (config && !config_read(config, a, out, e)) return false;
    out->remote.s3 = &out->s3;
    out->encryption.masters = out->masters;
    if (data) out->data_dir = data;
    if (!out->data_dir) out->data_dir = settings_default_data(a, e);
    return out->data_dir;
}

static bool read_tls(struct cli_args *args, struct settings *out, struct err *e) {
    const char *name;
    out->tls.cert = cli_text(args, "tls-cert", out->tls.cert);
    out->tls.key = cli_text(args, "tls-key", out->tls.key);
    out->tls.ca = cli_text(args, "tls-ca", out->tls.ca);
    for (unsigned i = 0; (name = cli_text_at(args, "plaintext", i)); i++)
        if (!settings_allow_plaintext(out, name)) return err_set(e, ERR_USAGE, "settings", "--plaintext takes dicom or http, not '%s'", name);
    return true;
}

bool settings_read_file(const char *config, const char *data, struct arena *a, struct settings *out, struct err *e) {
    return begin(config, data, a, out, e);
}

bool settings_check(const struct settings *s, struct err *e) {
    return check(s, e) && settings_check_tls(s, e) && check_cluster(s, e) && check_http(s, e);
}

bool settings_read(struct cli_args *args, struct arena *a, struct settings *out, struct err *e) {
    if (!begin(cli_text(args, "config", NULL), cli_text(args, "data", NULL), a, out, e)) return false;
    out->bind = cli_text(args, "bind", out->bind);
    out->aet = cli_text(args, "aet", out->aet);
    const char *auth = cli_text(args, "auth", NULL);
    if (auth && strcmp(auth, "none") != 0) return err_set(e, ERR_USAGE, "settings", "--auth takes 'none', not '%s'", auth);
    if (auth) out->auth = false;
    if (!read_port(args, "dicom-port", &out->dicom_port, e) || !read_port(args, "http-port", &out->http_port, e)) return false;
    if (!read_peers(args, a, out, e) || !read_http(args, out, e) || !read_tls(args, out, e)) return false;
    if (!out->node) out->node = default_node(a, out, e);
    return out->node && settings_check(out, e);
}

struct net_guard settings_guard(const struct settings *s) {
    return (struct net_guard){.closest = NET_PLACE_LOOPBACK, .only = s->outgoing.all, .only_count = s->outgoing.count};
}

struct archive_options settings_archive(const struct settings *s) {
    return (struct archive_options){.dir = s->data_dir,
                                    .volume_bytes = s->volume_bytes,
                                    .database_url = s->database_url,
                                    .database_schema = s->database_schema,
                                    .database_connections = s->database_connections,
                                    .database_statement_ms = s->database_statement_ms,
                                    .encryption = s->encryption.master_count ? &s->encryption : NULL,
                                    .remote = s->has_store ? &s->remote : NULL,
                                    .node = s->node};
}
