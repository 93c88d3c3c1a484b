// Base64 both ways.
#include "text/base64.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_groups(const uint8_t *p, size_t groups, char *to) {
    for (; groups; groups--, p += 3, to += 4) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        to[0] = ALPHABET[v >> 18];
        to[1] = ALPHABET[v >> 12 & 63];
        to[2] = ALPHABET[v >> 6 & 63];
        to[3] = ALPHABET[v & 63];
    }
}

// Whole groups of three, a bounded piece at a time so that the size arithmetic cannot overflow.
static void add_groups(const uint8_t *p, size_t groups, struct buf *to) {
    enum { PIECE = 1 << 20 };
    while (groups) {
        size_t now = groups < PIECE ? groups : PIECE;
        char *out = buf_reserve(to, now * 4);
        if (!out) return;
        encode_groups(p, now, out);
        to->n += now * 4;
        p += now * 3;
        groups -= now;
    }
}

void base64_feed(struct base64_stream *s, const void *p, size_t n, struct buf *to) {
    const uint8_t *u = p;
    while (n && s->held_count) {
        s->held[s->held_count++] = *u++;
        n--;
        if (s->held_count < 3) continue;
        add_groups(s->held, 1, to);
        s->held_count = 0;
    }
    add_groups(u, n / 3, to);
    for (size_t i = n - n % 3; i < n; i++) s->held[s->held_count++] = u[i];
}

void base64_end(struct base64_stream *s, struct buf *to) {
    if (s->held_count == 0) return;
    char last[4];
    for (unsigned i = s->held_count; i < 3; i++) s->held[i] = 0;
    encode_groups(s->held, 1, last);
    memset(last + s->held_count + 1, '=', 3 - s->held_count);
    buf_add(to, last, sizeof last);
    s->held_count = 0;
}

void base64_encode(const void *p, size_t n, struct buf *to) {
    struct base64_stream s = {.held_count = 0};
    base64_feed(&s, p, n, to);
    base64_end(&s, to);
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool bad_at(struct err *e, size_t at, const char *why) {
    return err_set(e, ERR_BAD_INPUT, "text", "base64: %s at character %zu", why, at + 1);
}

bool base64_decode(struct arena *a, struct str text, struct str *out, struct err *e) {
    char *to = arena_alloc(a, text.n / 4 * 3 + 3, e);
    if (!to) return false;
    size_t n = 0;
    uint32_t v = 0;
    unsigned digits = 0, pads = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (is_blank(c)) continue;
        int d = c == '=' ? 0 : value_of(c);
        if (d < 0) return bad_at(e, i, "a character that does not belong");
        if (c == '=' ? digits < 2 : pads != 0) return bad_at(e, i, "padding in the wrong place");
        pads += c == '=';
        v = v << 6 | (uint32_t)d;
        if (++digits < 4) continue;
        if (v & (pads == 2 ? 0xFFFFU : pads == 1 ? 0xFFU : 0U)) return bad_at(e, i, "set bits after the end");
        for (unsigned k = 0; k < 3 - pads; k++) to[n++] = (char)(v >> (16 - 8 * k));
        digits = 0;
        v = 0;
    }
    if (digits) return bad_at(e, text.n, "the text ends inside a group of four");
    *out = (struct str){to, n};
    return true;
}
