// Which fragments make which frame: the part that data sets in memory and streams have in common (codec/frames.h).
#ifndef GANTRY_CODEC_FRAMES_FIND_H
#define GANTRY_CODEC_FRAMES_FIND_H

#include "codec/frames.h"

// One fragment, the offset table left out.
struct frames_piece {
    uint64_t offset; // of the first value byte in the source
    uint32_t length;
    uint32_t start; // enum frames_start
};

// What the first bytes of a fragment are the beginning of.
enum frames_start { FRAMES_START_NONE, FRAMES_START_JPEG, FRAMES_START_J2K, FRAMES_START_JP2, FRAMES_START_JXL, FRAMES_START_RLE };
enum { FRAMES_HEAD_BYTES = 64 }; // that it takes to tell

enum frames_start frames_start_of(const uint8_t *p, size_t n);

struct frames_find {
    struct frames_piece *pieces;
    uint32_t count;
    uint64_t frames; // as declared, at least 1
    bool video;
    struct str basic;                      // offset table: 32-bit little endian words
    struct str extended, extended_lengths; // 64-bit ones
    const struct dcm_source *source;       // where the starts of pieces are read from when they are needed; NULL: pieces have them
};

// Number of Frames as the header says it.
bool frames_declared(const struct dcm_dataset *header, uint64_t *out, struct err *e);
bool frames_find(struct arena *a, const struct frames_find *f, struct codec_frames *out, struct err *e);

#endif
