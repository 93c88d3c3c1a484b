// Markers of JPEG codestreams, and the end of their entropy coded bits.
#include "codec/jpeg_writer.h"

void jpeg_put_marker(struct buf *to, unsigned marker) {
    buf_addc(to, (char)0xFF);
    buf_addc(to, (char)marker);
}

void jpeg_put16(struct buf *to, unsigned v) {
    buf_addc(to, (char)(v >> 8));
    buf_addc(to, (char)v);
}

void jpeg_put_frame(struct buf *to, unsigned process, const struct jpeg_frame *f) {
    jpeg_put_marker(to, 0xC0 + process);
    jpeg_put16(to, 8 + 3 * f->components);
    buf_addc(to, (char)f->precision);
    jpeg_put16(to, f->rows);
    jpeg_put16(to, f->columns);
    buf_addc(to, (char)f->components);
    for (unsigned i = 0; i < f->components; i++) {
        buf_addc(to, (char)f->component[i].id);
        buf_addc(to, (char)(f->component[i].h << 4 | f->component[i].v));
        buf_addc(to, (char)f->component[i].tq);
    }
}

void jpeg_put_table(struct buf *to, unsigned class, unsigned number, const struct jpeg_huffman_spec *spec) {
    jpeg_put_marker(to, 0xC4);
    jpeg_put16(to, 19 + spec->symbols);
    buf_addc(to, (char)(class << 4 | number));
    buf_add(to, spec->count + 1, 16);
    buf_add(to, spec->symbol, spec->symbols);
}

void jpeg_put_scan(struct buf *to, const struct jpeg_frame *f, const struct jpeg_scan *scan) {
    jpeg_put_marker(to, 0xDA);
    jpeg_put16(to, 6 + 2 * scan->components);
    buf_addc(to, (char)scan->components);
    for (unsigned i = 0; i < scan->components; i++) {
        buf_addc(to, (char)f->component[scan->component[i]].id);
        buf_addc(to, (char)(scan->dc[i] << 4 | scan->ac[i]));
    }
    buf_addc(to, (char)scan->ss);
    buf_addc(to, (char)scan->se);
    buf_addc(to, (char)(scan->ah << 4 | scan->al));
}

void jpeg_flush_bits(struct jpeg_bit_writer *b) {
    unsigned fill = (8 - b->n % 8) % 8;
    b->w = b->w << fill | ((1u << fill) - 1);
    for (b->n += fill; b->n; b->n -= 8) {
        *b->p++ = (uint8_t)(b->w >> (b->n - 8));
        if (b->p[-1] == 0xFF) *b->p++ = 0;
    }
}
