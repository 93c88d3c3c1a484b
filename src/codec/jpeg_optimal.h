// Huffman tables made for a scan.
#ifndef GANTRY_CODEC_JPEG_OPTIMAL_H
#define GANTRY_CODEC_JPEG_OPTIMAL_H

#include "codec/jpeg_stream.h"

// count: how often each symbol comes. At least one must.
void jpeg_optimal(const uint64_t count[256], struct jpeg_huffman_spec *to);

struct jpeg_codes {
    uint16_t code[256];
    uint8_t length[256]; // 0: no code
};
void jpeg_codes(const struct jpeg_huffman_spec *spec, struct jpeg_codes *to);

#endif
