// Ranges of bytes.
#include "http/range.h"

static bool digits(struct str s, uint64_t *out) {
    if (s.n == 0) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    if (!str_to_u64(s, out)) *out = UINT64_MAX; // beyond any length
    return true;
}

// "a-b", "a-" or "-n". false: malformed. Nothing within: *out has length 0.
static bool parse_one(struct str spec, uint64_t length, struct http_range *out) {
    struct str last = spec;
    struct str first = str_split(&last, '-');
    uint64_t from = 0, to = UINT64_MAX;
    *out = (struct http_range){0};
    if (!last.p || (first.n == 0 && last.n == 0)) return false;
    if (last.n && !digits(last, &to)) return false;
    if (first.n && !digits(first, &from)) return false;
    if (first.n && from > to) return false;
    if (first.n == 0) {
        out->length = to < length ? to : length;
        out->from = length - out->length;
        return true;
    }
    if (from >= length) return true;
    *out = (struct http_range){from, (to < length ? to : length - 1) - from + 1};
    return true;
}

// Many small or overlapping ranges cost more than they are worth: the whole is cheaper for both.
static bool worthwhile(const struct http_range *r, unsigned n, uint64_t length) {
    uint64_t left = length;
    for (unsigned i = 0; i < n; i++) {
        if (r[i].length > left) return false;
        left -= r[i].length;
    }
    return true;
}

enum http_range_kind http_range_parse(struct str header, uint64_t length, struct http_range *out, unsigned *n) {
    struct str rest = header, unit = str_split(&rest, '=');
    bool any = false;
    *n = 0;
    if (!rest.p || !str_eq_nocase(str_trim(unit), STR_LIT("bytes"))) return HTTP_RANGE_WHOLE;
    while (rest.p) {
        struct str spec = str_trim(str_split(&rest, ','));
        struct http_range one;
        if (spec.n == 0) continue; // empty members of a list do not count (RFC 9110 5.6.1)
        if (!parse_one(spec, length, &one)) return HTTP_RANGE_WHOLE;
        any = true;
        if (one.length == 0) continue;
        if (*n == HTTP_RANGES_MAX) return HTTP_RANGE_WHOLE;
        out[(*n)++] = one;
    }
    if (!any) return HTTP_RANGE_WHOLE;
    if (*n == 0) return HTTP_RANGE_OUTSIDE;
    return worthwhile(out, *n, length) ? HTTP_RANGE_SOME : HTTP_RANGE_WHOLE;
}
