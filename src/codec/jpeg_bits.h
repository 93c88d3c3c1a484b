// Bits of a JPEG scan and its Huffman codes: wide look-ups that give a code and the bits that follow it in one step.
#ifndef GANTRY_CODEC_JPEG_BITS_H
#define GANTRY_CODEC_JPEG_BITS_H

#include <string.h>

#include "codec/jpeg_stream.h"

#define JPEG_INLINE static inline __attribute__((always_inline))

// The next bits stand at the top of w. Behind the end come zeros, and jpeg_bits_over tells.
struct jpeg_bits {
    uint64_t w;
    unsigned n; // that are valid, at least
    bool bad;   // a code that the table has not
    const uint8_t *begin, *p, *end;
    size_t beyond; // bytes taken behind the end
};

// p: n bytes and JPEG_SEGMENT_PAD zeros.
static inline struct jpeg_bits jpeg_bits_of(const uint8_t *p, size_t n) {
    return (struct jpeg_bits){.begin = p, .p = p, .end = p + n};
}

// At least 56 bits are there afterwards.
JPEG_INLINE void jpeg_refill(struct jpeg_bits *b) {
    unsigned take = (63 - b->n) >> 3;
    if (__builtin_expect(b->p <= b->end, 1)) {
        uint64_t v;
        memcpy(&v, b->p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        v = __builtin_bswap64(v);
#endif
        b->w |= v >> b->n;
        b->p += take;
    } else
        b->beyond += take;
    b->n |= 56;
}

JPEG_INLINE void jpeg_skip(struct jpeg_bits *b, unsigned n) {
    b->w <<= n;
    b->n -= n;
}

// n: 0..16, of the bits that are there.
JPEG_INLINE unsigned jpeg_take(struct jpeg_bits *b, unsigned n) {
    unsigned v = (unsigned)((b->w >> 32) >> (32 - n));
    jpeg_skip(b, n);
    return v;
}

// More was taken than there is.
static inline bool jpeg_bits_over(const struct jpeg_bits *b) {
    uint64_t taken = ((uint64_t)(b->p - b->begin) + b->beyond) * 8 - b->n;
    return taken > (uint64_t)(b->end - b->begin) * 8;
}

// T.81 F.2.2.1: the value that n bits stand for.
JPEG_INLINE int jpeg_extend(unsigned v, unsigned n) {
    return n && v < 1u << (n - 1) ? (int)v - (int)(1u << n) + 1 : (int)v;
}

enum { JPEG_LOOK_BITS = 12 };
// What follows a code: so many bits as its symbol says (DC and lossless differences), as the symbol's low half says (AC), or what only the decoder knows.
enum jpeg_extra { JPEG_EXTRA_SYMBOL, JPEG_EXTRA_LOW, JPEG_EXTRA_NONE };

struct jpeg_huffman {
    // By the next JPEG_LOOK_BITS bits, see JPEG_ENTRY below: bits of code and value together (0: they are more), bits of the code (0: they are more), symbol, value.
    uint32_t entry[1 << JPEG_LOOK_BITS];
    uint32_t limit[17]; // the code behind the last one of this length, of 16 bits
    int32_t first[17];  // what turns a code of this length into the index of its symbol
    uint8_t symbol[256];
};

// The bits to skip stand lowest, six of them: a 64-bit shift takes them as they are.
#define JPEG_ENTRY(length, code, symbol, value) ((uint32_t)(value) << 18 | (uint32_t)(symbol) << 10 | (uint32_t)(code) << 6 | (uint32_t)(length))
#define JPEG_ENTRY_LENGTH(t) ((t)&63)
#define JPEG_ENTRY_CODE(t) ((t) >> 6 & 15)
#define JPEG_ENTRY_SYMBOL(t) ((t) >> 10 & 255)
#define JPEG_ENTRY_VALUE(t) ((int32_t)(t) >> 18)

// Up to three values by one look-up: bits of them all (0: not even one fits) | how many << 8 | the first << 16 | the second << 32 | the third << 48.
struct jpeg_runs {
    uint64_t entry[1 << JPEG_LOOK_BITS];
};
#define JPEG_RUN_COUNT(t) ((t) >> 8 & 3)
void jpeg_runs_make(struct jpeg_runs *r, const struct jpeg_huffman *h);

// symbol_max: larger ones are refused. ERR_UNDECODABLE: no such table was sent, or its codes cannot be.
bool jpeg_huffman_make(struct jpeg_huffman *h, const struct jpeg_huffman_spec *spec, enum jpeg_extra extra, unsigned symbol_max, struct err *e);

// The next code's symbol; takes up to 16 of the bits that are there.
JPEG_INLINE unsigned jpeg_symbol(const struct jpeg_huffman *h, struct jpeg_bits *b) {
    uint32_t t = h->entry[b->w >> (64 - JPEG_LOOK_BITS)];
    if (__builtin_expect(JPEG_ENTRY_CODE(t) != 0, 1)) {
        jpeg_skip(b, JPEG_ENTRY_CODE(t));
        return JPEG_ENTRY_SYMBOL(t);
    }
    uint32_t code = (uint32_t)(b->w >> 48);
    for (unsigned l = JPEG_LOOK_BITS + 1; l <= 16; l++) {
        if (code >= h->limit[l]) continue;
        jpeg_skip(b, l);
        return h->symbol[h->first[l] + (int32_t)(code >> (16 - l))];
    }
    b->bad = true;
    return 0;
}

#endif
