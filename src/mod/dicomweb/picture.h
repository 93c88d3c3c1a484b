// What a compressed picture, film or document says of itself: transfer syntax, size, samples (PS3.18 10.5.2).
#ifndef GANTRY_MOD_DICOMWEB_PICTURE_H
#define GANTRY_MOD_DICOMWEB_PICTURE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "dicom/write.h"

struct dw_picture {
    const char *ts_uid;
    uint32_t rows, columns;
    unsigned samples, bits; // per pixel; stored of each
    uint64_t frames;        // 0: one per part
    const char *photometric;
    const char *lossy_method; // defined term of Lossy Image Compression Method; NULL when reversible
    double frame_ms;          // of a film; 0 when it does not say
    uint64_t offset, length;  // of the codestream in the source
    bool png;                 // to be unpacked: no transfer syntax holds it
};

// Media types of pixels that dw_picture_read understands.
bool dw_picture_is(struct str media_type);
// ERR_UNSUPPORTED: a kind that no transfer syntax has; ERR_BAD_INPUT: it is not what its media type says. scratch may be used and is not kept.
bool dw_picture_read(struct arena *scratch, const struct dcm_source *source, uint64_t offset, uint64_t length, struct str media_type, struct dw_picture *out,
                     struct err *e);

// film.c: MP4, QuickTime and MPEG-2 streams.
bool dw_film_read(struct arena *scratch, const struct dcm_source *source, struct dw_picture *p, bool mpeg2, struct err *e);

#endif
