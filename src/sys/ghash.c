// GHASH by a table of sixteen multiples of its key (four bits at a time, as in McGrew and Viega's paper on GCM, section 4.1).
#include "sys/ghash.h"

#include <string.h>

static uint64_t load(const uint8_t *p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    return v;
}

static void save(uint8_t *p, uint64_t v) {
    for (int i = 7; i >= 0; i--, v >>= 8) p[i] = (uint8_t)v;
}

void ghash_init(struct ghash *g, const uint8_t h[16]) {
    uint64_t high = load(h), low = load(h + 8);
    memset(g, 0, sizeof *g);
    g->high[8] = high, g->low[8] = low; // bits run from the left: 8 is 1
    for (int i = 4; i > 0; i >>= 1) {
        uint64_t carry = (low & 1) * 0xe100000000000000ULL; // x^128 + x^7 + x^2 + x + 1
        low = high << 63 | low >> 1;
        high = high >> 1 ^ carry;
        g->high[i] = high, g->low[i] = low;
    }
    for (int i = 2; i < 16; i <<= 1)
        for (int j = 1; j < i; j++) {
            g->high[i + j] = g->high[i] ^ g->high[j];
            g->low[i + j] = g->low[i] ^ g->low[j];
        }
}

// What four bits that fall off the right come back as, on the left.
static const uint16_t BACK[16] = {0x0000, 0x1c20, 0x3840, 0x2460, 0x7080, 0x6ca0, 0x48c0, 0x54e0,
                                  0xe100, 0xfd20, 0xd940, 0xc560, 0x9180, 0x8da0, 0xa9c0, 0xb5e0};

static void multiply(struct ghash *g) {
    uint64_t high = 0, low = 0;
    for (int word = 1; word >= 0; word--) {
        uint64_t y = g->y[word];
        for (int i = 0; i < 16; i++, y >>= 4) {
            unsigned off = (unsigned)(low & 15);
            low = high << 60 | low >> 4;
            high = high >> 4 ^ (uint64_t)BACK[off] << 48;
            high ^= g->high[y & 15];
            low ^= g->low[y & 15];
        }
    }
    g->y[0] = high;
    g->y[1] = low;
}

static void block(struct ghash *g, const uint8_t *p) {
    g->y[0] ^= load(p);
    g->y[1] ^= load(p + 8);
    multiply(g);
}

static void pad(struct ghash *g, uint64_t n) {
    size_t held = (size_t)(n % 16);
    if (held == 0) return;
    memset(g->held + held, 0, 16 - held);
    block(g, g->held);
}

static void add(struct ghash *g, uint64_t before, const uint8_t *p, size_t n) {
    size_t held = (size_t)(before % 16);
    if (held) {
        size_t k = 16 - held < n ? 16 - held : n;
        memcpy(g->held + held, p, k);
        p += k, n -= k;
        if (held + k < 16) return;
        block(g, g->held);
    }
    for (; n >= 16; p += 16, n -= 16) block(g, p);
    if (n) memcpy(g->held, p, n);
}

void ghash_begin(struct ghash *g, const void *aad, size_t n) {
    g->y[0] = g->y[1] = 0;
    g->aad_n = n;
    g->n = 0;
    if (n) add(g, 0, aad, n);
    pad(g, n);
}

void ghash_add(struct ghash *g, const void *p, size_t n) {
    if (n) add(g, g->n, p, n);
    g->n += n;
}

void ghash_end(struct ghash *g, uint8_t out[16]) {
    pad(g, g->n);
    g->y[0] ^= g->aad_n * 8;
    g->y[1] ^= g->n * 8;
    multiply(g);
    save(out, g->y[0]);
    save(out + 8, g->y[1]);
}
