// Base URLs.
#include "http/base_url.h"

#include <string.h>

enum { HOST_MAX = 255 + 6, PREFIX_MAX = 256 };

static bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(".-_:[]", c));
}

static bool host_fits(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!is_host_char(s.p[i])) return false;
    return s.n > 0 && s.n <= HOST_MAX;
}

// An absolute path of plain characters; "//" at its begin would name another host.
static bool path_fits(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("/-._~%+:@", c));
        if (!plain || (c == '/' && i + 1 < s.n && s.p[i + 1] == '/')) return false;
    }
    return s.n == 0 || (s.p[0] == '/' && s.n <= PREFIX_MAX);
}

static struct str without_slash(struct str s) {
    while (s.n && s.p[s.n - 1] == '/') s.n--;
    return s;
}

bool http_base_parse(struct str text, struct http_place *out, struct err *e) {
    bool tls = str_starts(text, STR_LIT("https://"));
    size_t at = tls ? 8 : 7;
    struct str all = without_slash(text);
    size_t slash = str_find(all, '/', at);
    *out = (struct http_place){.base = all, .prefix = str_sub(all, slash, all.n)};
    bool fits = (tls || str_starts(text, STR_LIT("http://"))) && slash > at && host_fits(str_sub(all, at, slash - at)) && path_fits(out->prefix);
    return fits || err_set(e, ERR_USAGE, "http", "'%.*s' is not a base URL such as https://pacs.example.org/gantry", STR_FMT(str_sub(text, 0, 200)));
}

// The first of a list: what the proxy next to the client said.
static struct str first_of(struct str list) {
    return str_trim(str_sub(list, 0, str_find(list, ',', 0)));
}

static struct str unquoted(struct str s) {
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    return quoted ? str_sub(s, 1, s.n - 2) : s;
}

// A parameter of the first element of a Forwarded header: host, proto.
static struct str forwarded_param(struct str header, const char *name) {
    struct str rest = first_of(header);
    while (rest.p) {
        struct str part = str_trim(str_split(&rest, ';'));
        size_t eq = str_find(part, '=', 0);
        if (eq < part.n && str_eq_nocase(str_sub(part, 0, eq), str_of(name))) return unquoted(str_sub(part, eq + 1, part.n));
    }
    return (struct str){NULL, 0};
}

static bool has_port(struct str host) {
    size_t bracket = str_find(host, ']', 0);
    return str_find(host, ':', bracket < host.n ? bracket : 0) < host.n;
}

static bool port_fits(struct str port, bool tls) {
    uint64_t v;
    return str_to_u64(port, &v) && v > 0 && v < 65536 && v != (tls ? 443 : 80);
}

static struct str pick(struct str a, struct str b) {
    return a.n ? a : b;
}

bool http_base_make(struct arena *a, struct str configured, bool trusted, const struct http_forwarded *f, struct http_place *out, struct err *e) {
    if (configured.n && http_base_parse(configured, out, e)) return true;
    struct str host = f->host, prefix = {"", 0}, proto = {"", 0};
    bool own_host = true;
    if (trusted) {
        struct str outer = pick(forwarded_param(f->forwarded, "host"), first_of(f->x_host)), path = without_slash(first_of(f->prefix));
        proto = pick(forwarded_param(f->forwarded, "proto"), first_of(f->proto));
        own_host = !host_fits(outer);
        if (!own_host) host = outer;
        if (path_fits(path)) prefix = path;
    }
    bool tls = proto.n ? str_eq_nocase(proto, STR_LIT("https")) : f->tls;
    struct str port = first_of(f->port);
    bool add_port = trusted && host_fits(host) && !has_port(host) && port_fits(port, tls);
    if (!host_fits(host)) host = STR_LIT("localhost");
    char *base = arena_printf(a, e, "%s://%.*s%s%.*s%.*s", tls ? "https" : "http", STR_FMT(host), add_port ? ":" : "", add_port ? (int)port.n : 0,
                              add_port ? port.p : "", STR_FMT(prefix));
    if (!base) return false;
    out->base = str_of(base);
    out->prefix = str_sub(out->base, out->base.n - prefix.n, prefix.n);
    return true;
}
