// HTJ2K codestreams cut at their resolutions: a tile-part for each, and a TLM marker segment that tells where they are (PS3.5 10.18, T.800 A.7.1).
#ifndef GANTRY_CODEC_HTJ2K_PARTS_H
#define GANTRY_CODEC_HTJ2K_PARTS_H

#include "base/buf.h"
#include "codec/j2k_head.h"

// The codestream from begin on, as the encoder left it: one tile, one tile-part, one layer, RPCL, code-blocks of 64 x 64. Its packets' headers are read to find
// the resolutions; where they cannot be (an image of several precincts) the one tile-part stays.
bool htj2k_cut(struct buf *stream, size_t begin, const struct j2k_head *head, struct err *e);

#endif
