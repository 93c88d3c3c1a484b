// Operations on borrowed text.
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int str_cmp(struct str a, struct str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c) return c;
    return a.n < b.n ? -1 : a.n > b.n;
}

static char ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_eq_nocase(struct str a, struct str b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i])) return false;
    return true;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

struct str str_trim(struct str s) {
    while (s.n && is_blank(s.p[0])) s.p++, s.n--;
    while (s.n && is_blank(s.p[s.n - 1])) s.n--;
    return s;
}

size_t str_find(struct str s, char c, size_t from) {
    if (from >= s.n) return s.n;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit ? (size_t)(hit - s.p) : s.n;
}

struct str str_split(struct str *rest, char sep) {
    size_t at = str_find(*rest, sep, 0);
    struct str part = str_sub(*rest, 0, at);
    *rest = at < rest->n ? (struct str){rest->p + at + 1, rest->n - at - 1} : (struct str){NULL, 0};
    return part;
}

bool str_to_u64(struct str s, uint64_t *out) {
    s = str_trim(s);
    if (s.n && s.p[0] == '+') s.p++, s.n--;
    if (s.n == 0) return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10U, &v)) return false;
        if (__builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) return false;
    }
    *out = v;
    return true;
}

bool str_to_i64(struct str s, int64_t *out) {
    s = str_trim(s);
    bool negative = s.n && s.p[0] == '-';
    if (negative) {
        s.p++, s.n--;
        if (s.n && s.p[0] == '+') return false;
    }
    uint64_t v;
    if (!str_to_u64(s, &v)) return false;
    if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0)) return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool str_to_f64(struct str s, double *out) {
    char z[64];
    s = str_trim(s);
    if (s.n == 0 || s.n >= sizeof z) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789+-.eE", s.p[i]) || s.p[i] == '\0') return false;
    memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    char *end;
    errno = 0;
    double v = strtod(z, &end);
    if (*end != '\0' || !isfinite(v)) return false;
    *out = v;
    return true;
}
