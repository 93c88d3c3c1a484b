// The families that need no library of codecs, and what they share: a frame as plain bytes.
#ifndef GANTRY_CODEC_FAMILIES_H
#define GANTRY_CODEC_FAMILIES_H

#include "codec/codec.h"

extern const struct codec_family codec_rle;      // PS3.5 Annex G
extern const struct codec_family codec_plain;    // Encapsulated Uncompressed, PS3.5 A.4.11
extern const struct codec_family codec_deflated; // Deflated Image Frame Compression, PS3.5 8.2.16

// Bytes of one frame that begins at a byte.
size_t codec_plain_bytes(const struct px_image *image);
// The frame's bytes from its first pixel on: of one-bit pixels that do not begin at a byte a shifted copy in *room (which the caller has set up and ends),
// with nothing in the bits behind the last pixel. NULL on ERR_NOMEM.
const uint8_t *codec_plain_begin(const struct px_frame *in, struct buf *room, struct err *e);
// What a frame of whole planes is, whatever is declared: JPEG 2000's own colour models have been undone by whoever wrote it so, and left in the declaration.
enum px_photometric codec_plain_photometric(const struct px_image *declared);
// Plain bytes as decoders hand them on: colour by pixel, YBR_FULL_422 widened. bytes live in a already and may become out->bytes.
bool codec_plain_frame(struct arena *a, const struct px_image *declared, const uint8_t *bytes, struct px_frame *out, struct err *e);

#endif
