// Base32, five bits at a time.
#include "text/base32.h"

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void base32_encode(const uint8_t *p, size_t n, char *out) {
    uint32_t held = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < n; i++) {
        held = held << 8 | p[i];
        for (bits += 8; bits >= 5; bits -= 5) *out++ = DIGITS[held >> (bits - 5) & 31];
        held &= (UINT32_C(1) << bits) - 1;
    }
    if (bits) *out++ = DIGITS[held << (5 - bits) & 31];
    *out = '\0';
}

static int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a';
    if (c >= '2' && c <= '7') return c - '2' + 26;
    return -1;
}

bool base32_decode(struct str text, uint8_t *out, size_t room, size_t *n) {
    uint32_t held = 0;
    unsigned bits = 0;
    *n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == ' ' || text.p[i] == '-' || text.p[i] == '=') continue;
        int v = value_of(text.p[i]);
        if (v < 0) return false;
        held = (held << 5 | (uint32_t)v) & 0xfff;
        bits += 5;
        if (bits < 8) continue;
        if (*n == room) return false;
        bits -= 8;
        out[(*n)++] = (uint8_t)(held >> bits);
    }
    return true;
}
