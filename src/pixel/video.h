// Stored video as a browser takes it: H.264 elementary streams and transport streams laid into an MP4 file, without a pixel decoded (PS3.5 8.2.5 to 8.2.8).
#ifndef GANTRY_PIXEL_VIDEO_H
#define GANTRY_PIXEL_VIDEO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

// One picture in coded order.
struct px_sample {
    uint32_t first, count; // of px_h264.nal
    bool key;
    int64_t order; // pictures are shown by it, within what lies between two key pictures that begin anew
    uint32_t group;
};

struct px_h264 {
    const struct str *nal; // NAL units without start codes, parameter sets and delimiters left out
    uint32_t nal_count;
    struct px_sample *samples;
    uint32_t sample_count;
    struct str sps, pps[32];
    unsigned pps_count;
};

// A byte stream (ISO/IEC 14496-10 Annex B). ERR_UNDECODABLE: no pictures or no parameter sets in it.
bool px_h264_parse(struct arena *a, struct str stream, struct px_h264 *out, struct err *e);
// The H.264 stream in an MPEG-2 transport stream (ISO/IEC 13818-1); out is in a.
bool px_ts_h264(struct arena *a, struct str ts, struct str *out, struct err *e);

bool px_is_mp4(struct str stream);
// stream: as stored, in whichever of the three forms. frame_ms: how long each picture is shown.
bool px_write_mp4(struct arena *a, struct str stream, uint32_t width, uint32_t height, double frame_ms, struct buf *to, struct err *e);

#endif
