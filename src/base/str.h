// Borrowed text and bytes: a pointer and a length, never NUL-terminated by contract.
#ifndef GANTRY_BASE_STR_H
#define GANTRY_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A view of bytes that somebody else owns. An absent value is {NULL, 0}; an empty one has n == 0.
struct str {
    const char *p;
    size_t n;
};

#define STR_LIT(s) ((struct str){(s), sizeof(s) - 1})
// For printf: printf("%.*s", STR_FMT(s))
#define STR_FMT(s) (int)((s).n > 0x7fffffff ? 0x7fffffff : (s).n), ((s).p ? (s).p : "")

static inline struct str str_of(const char *z) {
    return (struct str){z, z ? strlen(z) : 0};
}

static inline bool str_eq(struct str a, struct str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eqz(struct str a, const char *z) {
    return str_eq(a, str_of(z));
}

static inline struct str str_sub(struct str s, size_t from, size_t n) {
    if (!s.p) return s;
    if (from > s.n) from = s.n;
    if (n > s.n - from) n = s.n - from;
    return (struct str){s.p + from, n};
}

static inline bool str_starts(struct str s, struct str prefix) {
    return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

static inline bool str_ends(struct str s, struct str suffix) {
    return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n, suffix.n), suffix);
}

// <0, 0, >0 by unsigned byte order, shorter first.
int str_cmp(struct str a, struct str b);

// ASCII case-insensitive equality (protocol words, never names of people).
bool str_eq_nocase(struct str a, struct str b);

// Without leading and trailing spaces, tabs, CR, LF and NULs.
struct str str_trim(struct str s);

// Index of the first c at or after from, or s.n when there is none.
size_t str_find(struct str s, char c, size_t from);

// Cuts the part before the first sep from *rest and returns it; *rest is then what follows, or {NULL, 0} at the end.
// Loop as: while (rest.p) { struct str part = str_split(&rest, '\\'); ... }
struct str str_split(struct str *rest, char sep);

// Whole-string decimal integers; false on anything else or out of range. Spaces around are taken.
bool str_to_i64(struct str s, int64_t *out);
bool str_to_u64(struct str s, uint64_t *out);
// Whole-string decimal number in the C locale (DICOM DS, JSON); false on anything else, NaN and infinity included.
bool str_to_f64(struct str s, double *out);

#endif
