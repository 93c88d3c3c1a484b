// The Huffman table that makes a scan shortest, with codes of at most 16 bits (ITU-T T.81 K.2).
#include "codec/jpeg_optimal.h"

#include <string.h>

enum { NODES = 257 }; // every symbol, and one more that keeps the code of ones free

// The rarest tree that is left, -1 when there is none; other: not this one. Of equally rare ones the last.
static int rarest(const uint64_t *frequency, int other) {
    int found = -1;
    for (int i = 0; i < NODES; i++)
        if (frequency[i] && i != other && (found < 0 || frequency[i] <= frequency[found])) found = i;
    return found;
}

// Every symbol of both trees goes one level down; they become one chain.
static void join(int *next, uint16_t *length, int a, int b) {
    for (length[a]++; next[a] >= 0; length[a]++) a = next[a];
    next[a] = b;
    for (length[b]++; next[b] >= 0; length[b]++) b = next[b];
}

// Moves codes that are too long up, two by two, under a shorter one that is split for them (K.2, figure K.3).
static void shorten(unsigned *count) {
    for (unsigned l = NODES - 1; l > 16; l--)
        while (count[l]) {
            unsigned j = l - 2;
            while (!count[j]) j--;
            count[l] -= 2;
            count[l - 1]++;
            count[j + 1] += 2;
            count[j]--;
        }
    unsigned longest = 16;
    while (!count[longest]) longest--;
    count[longest]--; // the one more
}

void jpeg_optimal(const uint64_t count[256], struct jpeg_huffman_spec *to) {
    uint64_t frequency[NODES];
    uint16_t length[NODES] = {0};
    int next[NODES];
    unsigned lengths[NODES + 1] = {0};
    memcpy(frequency, count, 256 * sizeof *count);
    frequency[256] = 1;
    memset(next, -1, sizeof next);
    for (int a = rarest(frequency, -1), b; (b = rarest(frequency, a)) >= 0; a = rarest(frequency, -1)) {
        frequency[a] += frequency[b];
        frequency[b] = 0;
        join(next, length, a, b);
    }
    for (unsigned i = 0; i < NODES; i++) lengths[length[i]]++;
    lengths[0] = 0;
    shorten(lengths);
    *to = (struct jpeg_huffman_spec){.seen = true};
    for (unsigned l = 1; l <= 16; l++) to->count[l] = (uint8_t)lengths[l];
    for (unsigned l = 1; l < NODES; l++)
        for (unsigned i = 0; i < 256; i++)
            if (length[i] == l) to->symbol[to->symbols++] = (uint8_t)i;
}

void jpeg_codes(const struct jpeg_huffman_spec *spec, struct jpeg_codes *to) {
    unsigned code = 0, k = 0;
    memset(to, 0, sizeof *to);
    for (unsigned l = 1; l <= 16; l++, code <<= 1)
        for (unsigned i = 0; i < spec->count[l]; i++, k++, code++) {
            to->code[spec->symbol[k]] = (uint16_t)code;
            to->length[spec->symbol[k]] = (uint8_t)l;
        }
}
