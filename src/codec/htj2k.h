// High-throughput JPEG 2000 (ITU-T T.814): decoded by OpenJPEG, encoded by OpenJPH.
#ifndef GANTRY_CODEC_HTJ2K_H
#define GANTRY_CODEC_HTJ2K_H

#include "codec/codec.h"

// Decoding as JPEG 2000 (codec/jpeg2000.h).
//
// Encoding: one tile, code-blocks of 64 x 64, at most 16 bits. RGB is transformed: YBR_RCT (.201, .202), YBR_ICT (.203). All in RPCL order, a tile-part for each
// resolution, with a TLM marker and so many decompositions that the lowest resolution is at most 64 x 64, which PS3.5 10.18 wants of .202 and which harms nobody
// in the others. Lossy: the 9-7 wavelet, its quantization step set for the ratio that codec/jpeg2000.h gives for a quality: as good or better up to 45 dB, and a
// few dB less above on 8 bits.
extern const struct codec_family codec_htj2k;

#endif
