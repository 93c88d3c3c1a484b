// Writing of JPEG markers and entropy coded bits.
#ifndef GANTRY_CODEC_JPEG_WRITER_H
#define GANTRY_CODEC_JPEG_WRITER_H

#include <string.h>

#include "base/buf.h"
#include "codec/jpeg_stream.h"

void jpeg_put_marker(struct buf *to, unsigned marker);
void jpeg_put16(struct buf *to, unsigned v);
void jpeg_put_frame(struct buf *to, unsigned process, const struct jpeg_frame *f);
void jpeg_put_table(struct buf *to, unsigned class, unsigned number, const struct jpeg_huffman_spec *spec);
void jpeg_put_scan(struct buf *to, const struct jpeg_frame *f, const struct jpeg_scan *scan);

struct jpeg_bit_writer {
    uint64_t w; // the last n bits are waiting
    unsigned n;
    uint8_t *p; // room there must be: 8 bytes for every 32 bits
};

// Four bytes, a zero behind each FF (T.81 F.1.2.3).
static inline void jpeg_put_word(struct jpeg_bit_writer *b, uint32_t v) {
    if (v & 0x80808080 & ~(v + 0x01010101)) { // perhaps one of them is FF
        for (int shift = 24; shift >= 0; shift -= 8) {
            *b->p++ = (uint8_t)(v >> shift);
            if (b->p[-1] == 0xFF) *b->p++ = 0;
        }
        return;
    }
    v = __builtin_bswap32(v);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    memcpy(b->p, &v, 4);
    b->p += 4;
}

// n: 0..32; v has no more bits than that.
static inline void jpeg_put_bits(struct jpeg_bit_writer *b, uint32_t v, unsigned n) {
    b->w = b->w << n | v;
    b->n += n;
    if (b->n < 32) return;
    b->n -= 32;
    jpeg_put_word(b, (uint32_t)(b->w >> b->n));
}

// The last byte is filled up with ones. At most 8 bytes.
void jpeg_flush_bits(struct jpeg_bit_writer *b);

#endif
