// The JPEG family: processes of ITU-T T.81 with Huffman codes, 8 and 12 bits lossy, 2 to 16 bits lossless.
#ifndef GANTRY_CODEC_JPEG_H
#define GANTRY_CODEC_JPEG_H

#include "codec/codec.h"

extern const struct codec_family codec_jpeg;

#endif
