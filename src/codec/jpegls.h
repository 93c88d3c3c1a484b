// JPEG-LS (ITU-T T.87): decoded by our own decoder (codec/jpegls_scan.h), encoded by CharLS.
#ifndef GANTRY_CODEC_JPEGLS_H
#define GANTRY_CODEC_JPEGLS_H

#include "codec/codec.h"

// Decoding: 2 to 16 bits, lossless and near-lossless, components by plane, by line and by pixel, preset coding parameters, restart intervals (counted in lines),
// and the colour transforms of HP (in an APP8 segment, "mrfx"). Mapping tables and subsampled components are refused. A codestream has no sign: Pixel
// Representation decides, and samples are extended from the frame header's precision.
//
// Encoding of .80 and .81: colour by line, without a transform; signed samples as two's complement of Bits Stored bits. Lossy: options.near, at most half of the
// largest value.
extern const struct codec_family codec_jpegls;

#endif
