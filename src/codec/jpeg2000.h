// JPEG 2000 (ITU-T T.800, T.801) and the decoding of HTJ2K (T.814), by OpenJPEG.
#ifndef GANTRY_CODEC_JPEG2000_H
#define GANTRY_CODEC_JPEG2000_H

#include "codec/codec.h"

// Decoding, of any JPEG 2000 transfer syntax:
// - The data set decides: sizes must be its own, and where the codestream's sign differs from Pixel Representation the latter holds (codec/samples.h).
// - The multiple component transform is always undone. YBR_RCT, YBR_ICT: RGB. YBR_FULL without a transform in the codestream stays YBR_FULL, as does the
//   wrong YBR_FULL_422; with one the components are what the transform was applied to, which is RGB only if the data set says so.
// - JP2 boxes around the codestream are passed over, but for a palette where the data set declares three samples and the codestream has one.
// - Part 2 codestreams are taken when each component is a sample of the frame, not when they join frames.
//
// Encoding of .90 and .91: one tile, one layer, code-blocks of 64 x 64, LRCP. RGB is transformed: YBR_RCT (lossless), YBR_ICT (lossy); other colour is written as
// it is. Lossy: the 9-7 wavelet to a peak signal-to-noise ratio of about 25 dB + quality / 4 (quality 90: 47.5 dB, an RMS error of 0.42 % of the range of
// values that the frame has; 50: 37.5 dB; 1: 25 dB).
extern const struct codec_family codec_jpeg2000;
extern const struct codec_family codec_jpeg2000_part2; // .92 and .93: read only

// The decoder alone: HTJ2K shares it.
bool jpeg2000_decode(struct arena *a, const struct dcm_ts *ts, const struct px_image *declared, const uint8_t *p, size_t n, const struct codec_options *o,
                     struct px_frame *out, struct err *e);

#endif
