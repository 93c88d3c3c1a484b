// The generator and UIDs made from it.
#include "mod/synth/random.h"

#include <stdio.h>
#include <string.h>

uint64_t synth_random_next(struct synth_random *r) {
    uint64_t z = r->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

double synth_random_unit(struct synth_random *r) {
    return (double)(synth_random_next(r) >> 11) * 0x1p-53;
}

unsigned synth_random_below(struct synth_random *r, unsigned n) {
    return (unsigned)(synth_random_next(r) % n);
}

double synth_random_normal(struct synth_random *r) {
    // Twelve 10-bit uniforms from two draws: deviation 1, and symmetric about 0.
    uint64_t x = synth_random_next(r), y = synth_random_next(r);
    int sum = 0;
    for (int i = 0; i < 6; i++, x >>= 10, y >>= 10) sum += (int)(x & 1023) + (int)(y & 1023);
    return (sum - 12 * 511.5) / 1024.0;
}

void synth_uid(uint64_t seed, uint32_t a, uint32_t b, uint32_t c, char out[65]) {
    struct synth_random r = {seed * 0x9E3779B97F4A7C15u ^ (uint64_t)a << 40 ^ (uint64_t)b << 20 ^ c};
    synth_random_next(&r);
    // A version 4 UUID as PS3.5 B.2 wants it, in decimal.
    uint64_t high = (synth_random_next(&r) & ~0xF000ULL) | 0x4000;
    uint64_t low = (synth_random_next(&r) & 0x3FFFFFFFFFFFFFFFULL) | 0x8000000000000000ULL;
    unsigned __int128 v = (unsigned __int128)high << 64 | low;
    char digits[40];
    int n = 0;
    for (; v; v /= 10) digits[n++] = (char)('0' + (int)(v % 10));
    memcpy(out, "2.25.", 5);
    for (int i = 0; i < n; i++) out[5 + i] = digits[n - 1 - i];
    out[5 + n] = '\0';
}
