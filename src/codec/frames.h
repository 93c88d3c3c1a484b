// Where the frames of encapsulated pixel data lie (PS3.5 A.4): from the basic or extended offset table, or from the fragments themselves.
//
// Fragments need not be frames: one frame may take several of them. When there are as many fragments as frames each is one; else the offset tables say which
// begin a frame when they are right, else the first bytes of the codestreams do. What cannot be told is ERR_UNDECODABLE.
#ifndef GANTRY_CODEC_FRAMES_H
#define GANTRY_CODEC_FRAMES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "dicom/dataset.h"
#include "dicom/uid.h"
#include "dicom/write.h"

struct codec_run {
    uint64_t offset, length; // bytes of the source
};

// Frame i (from 0) is runs[first[i]] to runs[first[i + 1] - 1], one after the other.
struct codec_frames {
    uint32_t count;        // less than declared when the data has fewer frames
    const uint32_t *first; // count + 1 of them
    const struct codec_run *runs;
};

// From a data set that was read whole: its fragments, and its offset tables. frames: as declared. For video all of the fragments are one run of bytes: count is 1.
bool codec_frames_of(struct arena *a, const struct dcm_dataset *ds, const struct dcm_ts *ts, uint32_t frames, const struct dcm_source *source,
                     struct codec_frames *out, struct err *e);

// ---- as the object streams by (ingest) ----

struct codec_scan;
// header: the data set up to the pixel data (frames, extended offset table); offset: of the first byte that will be fed (the first item tag) in the source.
// The header is not needed any more afterwards. NULL on ERR_NOMEM. Memory is 16 bytes per fragment, at most DCM_FRAGMENTS_MAX of them.
struct codec_scan *codec_scan_new(const struct dcm_dataset *header, const struct dcm_ts *ts, uint64_t offset, struct err *e);
// Takes bytes as they come, any sizes. Never fails: what is wrong shows at the end.
void codec_scan_feed(struct codec_scan *s, const void *p, size_t n);
// The table; false with ERR_UNDECODABLE when frames cannot be told (the object is kept all the same).
bool codec_scan_end(struct codec_scan *s, struct arena *a, struct codec_frames *out, struct err *e);
void codec_scan_free(struct codec_scan *s);

// ---- as it is kept in the index ----

bool codec_frames_pack(const struct codec_frames *f, struct buf *to, struct err *e);
// ERR_CORRUPT when it is no packed table.
bool codec_frames_unpack(struct arena *a, struct str packed, struct codec_frames *out, struct err *e);

#endif
