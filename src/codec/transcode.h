// Converting an object to another transfer syntax: pixel data frame by frame over the workers, the attributes that say what was done, nothing else changed.
#ifndef GANTRY_CODEC_TRANSCODE_H
#define GANTRY_CODEC_TRANSCODE_H

#include "codec/pool.h"
#include "codec/reader.h"

// PS3.3 C.7.6.1.1.5: a lossy compressed version of an image "shall receive a new SOP Instance UID" and Image Type DERIVED; it gets Derivation Description,
// Derivation Code Sequence and Source Image Sequence (C.12.4) too. Lossless conversion changes no pixel value: the UID stays.
enum transcode_uid {
    TRANSCODE_UID_STANDARD, // new when the conversion is lossy
    TRANSCODE_UID_NEW,      // new in any case
    TRANSCODE_UID_KEPT      // even when it is lossy: only for those who answer for it
};

struct transcode {
    const struct dcm_dataset *dataset; // read whole; large values by reference, fragments
    struct codec_object pixels;        // frames may be NULL: found here. options: quality of what is encoded
    const struct dcm_ts *to;
    enum transcode_uid uid;
};

// Whether it can be done, without decoding anything: ERR_UNSUPPORTED says why not, also where the pixels are none that the transfer syntax has a place for. dataset may be a header only (up to the pixel data).
bool transcode_possible(const struct dcm_dataset *dataset, const struct dcm_ts *from, const struct dcm_ts *to, struct err *e);

// Whether the encoder of a transfer syntax takes pixels of this depth, sign and colour: ERR_UNSUPPORTED says why not. True where nothing is encoded.
bool codec_has_place(const struct px_image *image, const struct dcm_ts *to, struct err *e);

// Writes the converted data set (no meta header; not deflated unless to is) to the sink. Frames are worked on side by side and at most a few per
// worker are in memory; what is made of them waits in an unlinked temporary file until the header, which tells of them, is known. A failure of any frame fails the
// whole before the first byte goes to the sink (ERR_UNDECODABLE, ERR_UNSUPPORTED).
// Native pixel data that has more than its declared frames take goes into no encapsulated form (ERR_UNSUPPORTED), but for zeros of less than a frame, which go.
// Lossy results carry Lossy Image Compression, its ratio and method (PS3.3 C.7.6.1.1.5), appended to what was there.
bool transcode_write(const struct transcode *t, struct dcm_sink to, struct err *e);

// As a Part 10 file.
bool transcode_part10(const struct transcode *t, struct dcm_sink to, struct err *e);

#endif
