// Request targets.
#include "http/uri.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool decode_into(char *to, size_t *n, struct str raw, bool plus, struct err *e) {
    *n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c == '%') {
            bool whole = raw.n - i > 2;
            int high = whole ? hex_digit(raw.p[i + 1]) : -1;
            int low = whole ? hex_digit(raw.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return err_set(e, ERR_BAD_INPUT, "http", "broken percent-encoding at byte %zu of '%.*s'", i, STR_FMT(str_sub(raw, 0, 100)));
            c = (char)(high << 4 | low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        if (c == '\0') return err_set(e, ERR_BAD_INPUT, "http", "a NUL in '%.*s'", STR_FMT(str_sub(raw, 0, 100)));
        to[(*n)++] = c;
    }
    return true;
}

bool uri_decode(struct arena *a, struct str raw, bool plus, struct str *out, struct err *e) {
    char *to = arena_alloc(a, raw.n + 1, e);
    if (!to) return false;
    size_t n;
    if (!decode_into(to, &n, raw, plus, e)) return false;
    to[n] = '\0';
    *out = (struct str){to, n};
    return true;
}

static bool add_segment(struct arena *a, struct str raw, struct uri *out, struct err *e) {
    if (out->segment_count == URI_SEGMENTS_MAX) return err_set(e, ERR_BAD_INPUT, "http", "the path has more than %d segments", URI_SEGMENTS_MAX);
    struct str *to = &out->segment[out->segment_count];
    if (!uri_decode(a, raw, false, to, e)) return false;
    if (str_eqz(*to, ".") || str_eqz(*to, "..")) return err_set(e, ERR_BAD_INPUT, "http", "the path has a '%.*s' segment", STR_FMT(*to));
    out->segment_count++;
    return true;
}

static bool parse_path(struct arena *a, struct uri *out, struct err *e) {
    struct str rest = out->raw_path;
    if (rest.n == 0 || rest.p[0] != '/') return err_set(e, ERR_BAD_INPUT, "http", "the path does not begin with '/'");
    rest = str_sub(rest, 1, rest.n);
    while (rest.p) {
        struct str part = str_split(&rest, '/');
        if (part.n == 0 && (!rest.p || rest.n == 0)) continue; // trailing slash
        if (!add_segment(a, part, out, e)) return false;
    }
    return true;
}

bool uri_parse_query(struct arena *a, struct str raw, struct uri_param **out, unsigned *n, struct err *e) {
    *out = NULL;
    *n = 0;
    if (raw.n == 0) return true;
    unsigned most = 1;
    for (size_t i = 0; i < raw.n; i++) most += raw.p[i] == '&';
    if (most > URI_PARAMS_MAX) return err_set(e, ERR_BAD_INPUT, "http", "more than %d query parameters", URI_PARAMS_MAX);
    *out = arena_zero(a, most, sizeof **out, e);
    if (!*out) return false;
    struct str rest = raw;
    while (rest.p) {
        struct str part = str_split(&rest, '&');
        if (part.n == 0) continue;
        size_t eq = str_find(part, '=', 0);
        struct uri_param *p = &(*out)[*n];
        if (!uri_decode(a, str_sub(part, 0, eq), true, &p->name, e)) return false;
        if (!uri_decode(a, eq < part.n ? str_sub(part, eq + 1, part.n) : (struct str){"", 0}, true, &p->value, e)) return false;
        ++*n;
    }
    return true;
}

bool uri_parse(struct arena *a, struct str raw, struct uri *out, struct err *e) {
    *out = (struct uri){0};
    size_t mark = str_find(raw, '?', 0);
    out->raw_path = str_sub(raw, 0, mark);
    if (!parse_path(a, out, e)) return false;
    if (mark == raw.n) return true;
    return uri_parse_query(a, str_sub(raw, mark + 1, raw.n), &out->params, &out->param_count, e);
}

bool http_host_is_loopback(struct str host) {
    bool bracketed = str_starts(host, STR_LIT("["));
    size_t end = bracketed ? str_find(host, ']', 0) : str_find(host, ':', 0);
    struct str name = str_sub(host, bracketed, end - bracketed), port = str_sub(host, end + bracketed, host.n);
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;
    if ((port.n && port.p[0] != ':') || (bracketed && end == host.n)) return false;
    if (!bracketed && str_eq_nocase(name, STR_LIT("localhost"))) return true;
    if (name.n == 0 || name.n >= sizeof text) return false;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    if (bracketed) return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
}
