// Frames of any object, decoded: the reader that rendering and conversion take (struct px_reader).
#ifndef GANTRY_CODEC_READER_H
#define GANTRY_CODEC_READER_H

#include "codec/codec.h"
#include "codec/frames.h"

// An object's pixels; everything borrowed.
struct codec_object {
    const struct dcm_ts *ts;           // that the pixel data is in (deflated data sets: as source gives it, explicit VR little endian)
    const struct dcm_source *source;   // offsets as the data set and frames have them
    const struct codec_frames *frames; // encapsulated ones
    struct codec_options options;
};

// The codestream of a frame: its runs, joined, in a. ERR_NOT_FOUND beyond the last; ERR_TOO_LARGE beyond PX_FRAME_BYTES_MAX.
bool codec_read_frame(struct arena *a, const struct codec_object *o, uint32_t frame, struct str *out, struct err *e);

// Decodes in the worker processes when they are started (codec/pool.h), else here. o must outlive it.
struct px_reader codec_reader(const struct codec_object *o);

#endif
