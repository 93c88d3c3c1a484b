// What the files of the conversion share: frames through the workers into a spool, and the attributes that follow from them.
#ifndef GANTRY_CODEC_TRANSCODE_PART_H
#define GANTRY_CODEC_TRANSCODE_PART_H

#include "codec/transcode.h"
#include "sys/spool.h"

// Offsets from here on are those of the spool; the source's own never get near.
#define TRANSCODE_SPOOL_BASE (1ULL << 62)

// The pixel data of one data set (the object's own, or an icon's) on its way.
struct transcode_pixels {
    const struct dcm_dataset *dataset;
    struct px_image was; // as declared
    const struct codec_object *source;
    const struct dcm_ts *to;
    struct spool *spool;
    // result
    struct px_image now;
    uint64_t offset, length;        // in the spool: the native value, padded to even length, or all codestreams
    struct dcm_fragment *fragments; // encapsulated: one per frame, offsets from TRANSCODE_SPOOL_BASE; fragments[0] is left for the basic offset table
    uint64_t codestream_bytes;      // of the source, 0 when it was native
};

// Every frame, decoded and encoded; p->was, dataset, source, to and spool are filled. Lives in a what is not in the spool.
bool transcode_frames(struct transcode_pixels *p, struct arena *a, struct err *e);

// The copy of p->dataset's elements in which the pixel data and what tells of it are changed; values borrowed. Lossy history is not part of it.
bool transcode_describe(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e);
// Lossy Image Compression, its ratio and method; for a source that was lossy and did not say so, too (only of codings that never are lossless).
bool transcode_tell_loss(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e);
// A new SOP Instance UID made of the spool's content and the old one, Image Type and Frame Types, and where it comes from.
bool transcode_derive(const struct transcode_pixels *p, struct dcm_dataset *copy, struct err *e);
// A new SOP Instance UID where no pixel was converted.
bool transcode_renew(struct arena *a, const struct dcm_dataset *ds, struct dcm_dataset **out, struct err *e);

// A data set with the same elements in a, of which some may then be replaced.
struct dcm_dataset *transcode_copy(struct arena *a, const struct dcm_dataset *ds, struct err *e);

#endif
