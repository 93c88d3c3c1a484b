// Small JPEG codestreams made for tests, by the plainest reading of ITU-T T.81.
#ifndef GANTRY_TESTS_JPEG_MADE_H
#define GANTRY_TESTS_JPEG_MADE_H

#include "base/buf.h"
#include "codec/jpeg_stream.h"

struct made {
    unsigned rows, columns, components, precision;
    unsigned predictor, point_transform;
    unsigned restart_rows;  // 0: no restart intervals
    bool apart;             // one scan per component
    bool late_rows;         // DNL says how many rows there are
    bool long_codes;        // the commonest symbols have the longest codes
    bool tables_apart;      // each component has its own table
    const uint16_t *sample; // by pixel
};

// SOF3.
void made_lossless(const struct made *m, struct buf *to);
// SOF1 with 12 bits: every coefficient of a floating-point DCT rounded to a whole number (quantisation by 1). Restart intervals of restart_rows rows of MCUs,
// components subsampled by h[c], v[c] by taking every so-manieth sample.
void made_dct12(const struct made *m, const unsigned *h, const unsigned *v, struct buf *to);

#endif
