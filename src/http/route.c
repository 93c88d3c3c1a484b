// Matching a path against the tables of routes.
#include "http/route.h"

#include <string.h>

static const char *const METHODS[HTTP_METHODS] = {"GET", "POST", "PUT", "DELETE", "OPTIONS"};

int http_method_of(struct str name) {
    if (str_eqz(name, "HEAD")) return HTTP_GET;
    for (int i = 0; i < HTTP_METHODS; i++)
        if (str_eqz(name, METHODS[i])) return i;
    return -1;
}

const char *http_method_name(enum http_method method) {
    return METHODS[method];
}

// Everything from the segment on, as it came (still encoded).
static struct str raw_tail(const struct uri *uri, unsigned segment) {
    struct str s = uri->raw_path;
    size_t at = 0;
    for (unsigned i = 0; i <= segment && at < s.n; i++) at = str_find(s, '/', at) + 1;
    return str_sub(s, at, s.n);
}

// Most routes are told apart by a byte.
static bool starts_otherwise(struct str pattern, const struct uri *uri, unsigned at) {
    return at >= uri->segment_count || uri->segment[at].n == 0 || uri->segment[at].p[0] != pattern.p[0];
}

// Matches the segments of a pattern from *at; captures go to m.
static bool match_pattern(struct str pattern, const struct uri *uri, unsigned *at, struct http_match *m) {
    struct str rest = pattern.n ? str_sub(pattern, 1, pattern.n) : (struct str){0};
    while (rest.p && rest.n) {
        if (rest.p[0] != '{' && starts_otherwise(rest, uri, *at)) return false;
        struct str part = str_split(&rest, '/');
        bool named = part.n > 2 && part.p[0] == '{';
        bool tail = named && part.p[part.n - 2] == '*';
        if (!tail && *at >= uri->segment_count) return false;
        if (!named && !str_eq(part, uri->segment[*at])) return false;
        if (named && m->capture_count < HTTP_CAPTURES_MAX)
            m->capture[m->capture_count++] = (struct uri_param){str_sub(part, 1, part.n - (tail ? 3 : 2)), tail ? raw_tail(uri, *at) : uri->segment[*at]};
        if (tail) {
            *at = uri->segment_count;
            return true;
        }
        ++*at;
    }
    return true;
}

// behind: what the mount's prefix has taken; prefixes capture nothing.
static bool match_route(const struct http_route *route, const struct uri *uri, unsigned behind, struct http_match *m) {
    unsigned at = behind;
    m->capture_count = 0;
    return match_pattern(str_of(route->pattern), uri, &at, m) && at == uri->segment_count;
}

void http_route_find(const struct http_mount *mounts, enum http_method method, const struct uri *uri, struct http_match *out) {
    *out = (struct http_match){0};
    for (const struct http_mount *mount = mounts; mount->routes; mount++) {
        unsigned behind = 0;
        struct http_match m = {0};
        if (!match_pattern(str_of(mount->prefix), uri, &behind, &m)) continue;
        for (const struct http_route *route = mount->routes; route->pattern; route++) {
            if (!match_route(route, uri, behind, &m)) continue;
            unsigned methods = out->methods | 1u << route->method;
            if (route->method == method && !out->route) {
                *out = m;
                out->route = route;
                out->mount = mount;
            }
            out->methods = methods;
        }
    }
}
