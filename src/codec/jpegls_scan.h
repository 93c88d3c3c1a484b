// Entropy decoding of one JPEG-LS scan (ITU-T T.87 Annex A): lines of samples out of bits.
//
// Ours and not a library's for its speed; CharLS judges it in the tests.
#ifndef GANTRY_CODEC_JPEGLS_SCAN_H
#define GANTRY_CODEC_JPEGLS_SCAN_H

#include "base/arena.h"
#include "base/err.h"

// What decides the coding of a scan (T.87 C.2), checked by jls_scan_init.
struct jls_coding {
    uint32_t width;
    unsigned precision;                 // 2..16
    unsigned near;                      // 0: lossless
    unsigned maxval, t1, t2, t3, reset; // 0: the default (T.87 C.2.4.1.1.1)
};

// A context of regular mode, with what follows from its counters kept ready for its next use.
struct jls_context {
    uint32_t a;
    int32_t b;
    int16_t c;
    uint16_t n;
    uint8_t k;   // Golomb parameter
    int8_t flip; // -1: errors are mapped the other way round (A.5.2)
};

struct jls_run_context {
    uint32_t a;
    unsigned n, nn, type;
};

// Bits of one stretch of entropy coded bytes, which holds no marker. acc is left-aligned; what stands below its first `have` bits is true or zero.
struct jls_bits {
    uint64_t acc;
    unsigned have;
    bool after_ff; // the last byte that was taken is FF: the next one has seven bits
    const uint8_t *p, *end;
    uint64_t overrun; // bits that were made up beyond the end
};

struct jls_scan {
    struct jls_coding coding;
    unsigned range, bpp, qbpp, limit, step; // step: 2 * near + 1
    uint64_t mapped_max;                    // no mapped error of a valid stream is larger
    const int8_t *quantized;                // of a gradient; points at that of 0
    struct jls_bits bits;
    unsigned run_index[3];
    bool failed;
    struct jls_run_context run[2];
    struct jls_context context[365];
};

// Tables live in a. ERR_UNDECODABLE when the parameters cannot be.
bool jls_scan_init(struct jls_scan *s, struct arena *a, const struct jls_coding *coding, struct err *e);
// The beginning of the scan, or of a restart interval: all counters anew.
void jls_scan_begin(struct jls_scan *s, const uint8_t *p, size_t n);

// One line of one component. previous and current hold width samples and one more on each side; those outside are set here.
void jls_scan_line(struct jls_scan *s, uint16_t *previous, uint16_t *current, unsigned component);
// One line of three components by pixel (sample interleaved); three more on each side.
void jls_scan_line3(struct jls_scan *s, uint16_t *previous, uint16_t *current);

// Whether all so far was in the bits.
bool jls_scan_ok(const struct jls_scan *s);

#endif
