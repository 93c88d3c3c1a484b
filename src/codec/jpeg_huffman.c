// Look-up tables of JPEG Huffman codes.
#include "codec/jpeg_bits.h"

// Every entry that begins with the code.
static void fill(struct jpeg_huffman *h, unsigned code, unsigned length, unsigned symbol, enum jpeg_extra extra) {
    unsigned rest = JPEG_LOOK_BITS - length, bits = extra == JPEG_EXTRA_SYMBOL ? symbol : extra == JPEG_EXTRA_LOW ? symbol & 15 : 0;
    bool whole = bits <= rest;
    for (unsigned i = 0; i < 1u << rest; i++) {
        int value = whole ? jpeg_extend(i >> (rest - bits), bits) : 0;
        h->entry[(code << rest) + i] = JPEG_ENTRY(whole ? length + bits : 0, length, symbol, value);
    }
}

bool jpeg_huffman_make(struct jpeg_huffman *h, const struct jpeg_huffman_spec *spec, enum jpeg_extra extra, unsigned symbol_max, struct err *e) {
    if (!spec->seen) return err_set(e, ERR_UNDECODABLE, "codec", "JPEG: a scan names a Huffman table that was not sent");
    memset(h->entry, 0, sizeof h->entry);
    memcpy(h->symbol, spec->symbol, sizeof h->symbol);
    unsigned code = 0, k = 0;
    for (unsigned l = 1; l <= 16; l++, code <<= 1) {
        h->first[l] = (int32_t)k - (int32_t)code;
        if (code + spec->count[l] > 1u << l) return err_set(e, ERR_UNDECODABLE, "codec", "JPEG: a Huffman table with more codes than there can be");
        for (unsigned i = 0; i < spec->count[l]; i++, k++, code++) {
            if (spec->symbol[k] > symbol_max)
                return err_set(e, ERR_UNDECODABLE, "codec", "JPEG: a Huffman table with symbol %u; the largest of this process is %u", spec->symbol[k],
                               symbol_max);
            if (l <= JPEG_LOOK_BITS) fill(h, code, l, spec->symbol[k], extra);
        }
        h->limit[l] = code << (16 - l);
    }
    return true;
}

void jpeg_runs_make(struct jpeg_runs *r, const struct jpeg_huffman *h) {
    for (unsigned i = 0; i < 1u << JPEG_LOOK_BITS; i++) {
        unsigned used = 0, count = 0;
        uint64_t values = 0;
        while (count < 3) {
            uint32_t t = h->entry[i << used & ((1u << JPEG_LOOK_BITS) - 1)];
            if (!JPEG_ENTRY_LENGTH(t) || used + JPEG_ENTRY_LENGTH(t) > JPEG_LOOK_BITS) break;
            used += JPEG_ENTRY_LENGTH(t);
            values |= (uint64_t)(uint16_t)JPEG_ENTRY_VALUE(t) << (16 + 16 * count++);
        }
        r->entry[i] = values | (uint64_t)count << 8 | used;
    }
}
