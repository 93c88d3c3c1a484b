// Base64 for URLs, both ways.
#include "text/base64url.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(const void *p, size_t n, struct buf *to) {
    const uint8_t *u = p;
    for (size_t i = 0; i < n; i += 3) {
        size_t here = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)u[i] << 16 | (here > 1 ? (uint32_t)u[i + 1] << 8 : 0) | (here > 2 ? u[i + 2] : 0);
        for (size_t k = 0; k <= here; k++) buf_addc(to, ALPHABET[v >> (18 - 6 * k) & 63]);
    }
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(struct arena *a, struct str text, struct str *out, struct err *e) {
    if (text.n % 4 == 1) return err_set(e, ERR_BAD_INPUT, "text", "base64url: no text has a length of %zu", text.n);
    char *to = arena_alloc(a, text.n / 4 * 3 + 3, e);
    if (!to) return false;
    size_t n = 0;
    uint32_t v = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text.n; i++) {
        int d = value_of(text.p[i]);
        if (d < 0) return err_set(e, ERR_BAD_INPUT, "text", "base64url: a character that does not belong at %zu", i + 1);
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        to[n++] = (char)(v >> bits);
        v &= (1U << bits) - 1;
    }
    if (v) return err_set(e, ERR_BAD_INPUT, "text", "base64url: set bits after the end");
    *out = (struct str){to, n};
    return true;
}
