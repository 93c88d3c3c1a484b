// Checked UTF-8.
#include "text/utf8.h"

static bool tail(unsigned char c) {
    return (c & 0xC0) == 0x80;
}

unsigned utf8_next(const char *p, size_t n, uint32_t *cp) {
    const unsigned char *u = (const unsigned char *)p;
    if (n == 0) return 0;
    if (u[0] < 0x80) return *cp = u[0], 1;
    if (u[0] < 0xC2 || u[0] > 0xF4) return 0;
    if (u[0] < 0xE0) {
        if (n < 2 || !tail(u[1])) return 0;
        return *cp = (uint32_t)(u[0] & 0x1F) << 6 | (u[1] & 0x3F), 2;
    }
    if (n < 3 || !tail(u[1]) || !tail(u[2])) return 0;
    if (u[0] < 0xF0) {
        *cp = (uint32_t)(u[0] & 0x0F) << 12 | (uint32_t)(u[1] & 0x3F) << 6 | (u[2] & 0x3F);
        return *cp < 0x800 || (*cp >= 0xD800 && *cp <= 0xDFFF) ? 0 : 3;
    }
    if (n < 4 || !tail(u[3])) return 0;
    *cp = (uint32_t)(u[0] & 0x07) << 18 | (uint32_t)(u[1] & 0x3F) << 12 | (uint32_t)(u[2] & 0x3F) << 6 | (u[3] & 0x3F);
    return *cp < 0x10000 || *cp > 0x10FFFF ? 0 : 4;
}

unsigned utf8_put(char out[4], uint32_t cp) {
    unsigned char *u = (unsigned char *)out;
    if (cp < 0x80) return u[0] = (unsigned char)cp, 1;
    if (cp < 0x800) {
        u[0] = (unsigned char)(0xC0 | cp >> 6);
        u[1] = (unsigned char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        u[0] = (unsigned char)(0xE0 | cp >> 12);
        u[1] = (unsigned char)(0x80 | (cp >> 6 & 0x3F));
        u[2] = (unsigned char)(0x80 | (cp & 0x3F));
        return 3;
    }
    u[0] = (unsigned char)(0xF0 | cp >> 18);
    u[1] = (unsigned char)(0x80 | (cp >> 12 & 0x3F));
    u[2] = (unsigned char)(0x80 | (cp >> 6 & 0x3F));
    u[3] = (unsigned char)(0x80 | (cp & 0x3F));
    return 4;
}

// Bytes at the beginning, in whole words, that are ASCII.
static size_t ascii_words(const char *p, size_t n) {
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= n; i += sizeof word) {
        memcpy(&word, p + i, sizeof word);
        if (word & 0x8080808080808080u) break;
    }
    return i;
}

bool utf8_valid(struct str s) {
    uint32_t cp;
    for (size_t i = 0; i < s.n;) {
        i += ascii_words(s.p + i, s.n - i);
        if (i == s.n) break;
        unsigned n = utf8_next(s.p + i, s.n - i, &cp);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

bool utf8_is_ascii(struct str s) {
    for (size_t i = ascii_words(s.p, s.n); i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80) return false;
    return true;
}

// Length of the ill-formed run at s: the lead byte and what could have continued it (n > 0).
static size_t ill_formed(struct str s) {
    const unsigned char *u = (const unsigned char *)s.p;
    if (u[0] < 0xC2 || u[0] > 0xF4) return 1;
    unsigned char low = u[0] == 0xE0 ? 0xA0 : u[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = u[0] == 0xED ? 0x9F : u[0] == 0xF4 ? 0x8F : 0xBF;
    if (s.n < 2 || u[1] < low || u[1] > high) return 1;
    return u[0] >= 0xF0 && s.n > 2 && tail(u[2]) ? 3 : 2;
}

bool utf8_take(struct str *rest, uint32_t *cp) {
    if (rest->n == 0) return false;
    size_t n = utf8_next(rest->p, rest->n, cp);
    if (n == 0) {
        n = ill_formed(*rest);
        *cp = UTF8_REPLACEMENT;
    }
    *rest = (struct str){rest->p + n, rest->n - n};
    return true;
}

void utf8_add(struct buf *to, uint32_t cp) {
    char b[4];
    buf_add(to, b, utf8_put(b, cp));
}

void utf8_add_clean(struct buf *to, struct str s, unsigned *bad) {
    while (s.n) {
        uint32_t cp;
        size_t n = utf8_next(s.p, s.n, &cp);
        if (n) {
            buf_add(to, s.p, n);
        } else {
            n = ill_formed(s);
            utf8_add(to, UTF8_REPLACEMENT);
            ++*bad;
        }
        s = (struct str){s.p + n, s.n - n};
    }
}
