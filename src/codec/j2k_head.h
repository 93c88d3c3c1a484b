// The headers of a JPEG 2000 codestream (ITU-T T.800 Annex A), read by us before a library sees them.
//
// Everything that decides how much memory and time a decoder will take is checked here: sizes against the declared image and the ceilings of base/limits.h,
// and that no tile-part is cut off or missing.
#ifndef GANTRY_CODEC_J2K_HEAD_H
#define GANTRY_CODEC_J2K_HEAD_H

#include "base/err.h"
#include "base/str.h"
#include "pixel/frame.h"

struct j2k_component {
    unsigned precision; // 1..38
    bool is_signed;
    unsigned dx, dy; // one sample per dx x dy points of the grid
};

struct j2k_head {
    const struct px_image *declared;
    uint32_t x0, y0, x1, y1;                     // the image on the reference grid
    uint32_t tile_x0, tile_y0, tile_dx, tile_dy; // tiles on it
    uint32_t tiles;
    unsigned components;
    struct j2k_component component[4];
    bool high_throughput; // a CAP marker or a coding style says so (ITU-T T.814)
    bool transformed;     // the first three components were decorrelated (COD: MCT)
    bool irreversible;    // by the 9-7 wavelet
    unsigned layers, levels;
    // JP2 boxes around the codestream, which PS3.5 A.4.4 does not allow and the field knows
    bool boxed;
    bool palette;       // a palette box
    struct str stream;  // the codestream alone
    size_t header_size; // of the main header
};

// Reads and checks. ERR_UNDECODABLE says what is wrong and where.
bool j2k_head_read(const uint8_t *p, size_t n, const struct px_image *declared, struct j2k_head *out, struct err *e);

#endif
