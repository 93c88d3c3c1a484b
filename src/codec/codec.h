// Compressed transfer syntaxes: one struct per family, each of them decodes and encodes single frames in memory (PS3.5 8.2, A.4).
//
// What comes in is hostile: a decoder checks the codestream's own sizes against the declared image before it allocates, writes every byte of what it hands on,
// and fails with ERR_UNDECODABLE, saying what is wrong and where. Decoders keep no state between calls and may run on several threads.
#ifndef GANTRY_CODEC_CODEC_H
#define GANTRY_CODEC_CODEC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "dicom/uid.h"
#include "pixel/frame.h"

struct codec_options {
    int quality;      // lossy JPEG and JPEG 2000: 1..100; 0: CODEC_QUALITY_DEFAULT
    unsigned near;    // JPEG-LS near-lossless: largest difference of a sample, 1..255; 0: CODEC_NEAR_DEFAULT
    unsigned threads; // that one frame may be worked on by; 0 and 1: the caller's alone
};

enum { CODEC_QUALITY_DEFAULT = 90, CODEC_NEAR_DEFAULT = 2 };

struct codec_family {
    const char *name; // "JPEG 2000"
    // One frame. declared: what the data set says (photometric interpretation and planar configuration as declared for the codestream). out->image: what
    // the bytes are: native, little endian, colour by pixel (planar false), YBR_RCT, _ICT, _422 and _420 undone: RGB, or YBR_FULL where the
    // codestream kept that; bits allocated 8, 16 or 32 as the declared ones unless the codestream needs more. Bytes live in a.
    bool (*decode)(struct arena *a, const struct dcm_ts *ts, const struct px_image *declared, const uint8_t *p, size_t n, const struct codec_options *o,
                   struct px_frame *out, struct err *e);
    // NULL: this family is not written. *image: what the data set has to say of the result (photometric interpretation, planar configuration, bits);
    // everything else as in->image. ERR_UNSUPPORTED when the family or ts has no place for such pixels (depth, colour, float); the message says why.
    bool (*encode)(const struct px_frame *in, const struct dcm_ts *ts, const struct codec_options *o, struct buf *to, struct px_image *image, struct err *e);
};

// NULL: no decoder for it (video, unknown, or nothing to decode: native ones).
const struct codec_family *codec_of(const struct dcm_ts *ts);
bool codec_can_decode(const struct dcm_ts *ts); // true for native ones too
bool codec_can_encode(const struct dcm_ts *ts); // true for native ones too

#endif
