// Doing a job in this process: decode, encode, decode again, compare. The workers run it, and whoever has no workers.
#ifndef GANTRY_CODEC_PERFORM_H
#define GANTRY_CODEC_PERFORM_H

#include "codec/pool.h"

// Fills the job's result; its bytes live in a (or are borrowed from the job's input when there is nothing to do). Native transfer syntaxes are taken too.
bool codec_perform(struct codec_job *job, struct arena *a, struct err *e);

// Whether a frame that was decoded again is the one that was encoded. exact: every stored bit, and no bit outside the stored ones that means something is
// lost. Otherwise: within near (greatest difference of a sample) when it is not 0, else the root of the mean square within what quality allows; and never one
// flat area where there was a picture. ERR_UNDECODABLE: damaged. ERR_UNSUPPORTED: pixels that the transfer syntax has no place for.
struct codec_tolerance {
    bool exact;
    unsigned near;
    int quality;
};
bool codec_same(const struct px_frame *in, const struct px_frame *again, const struct codec_tolerance *t, struct err *e);

// What a result says of itself must fit what was declared and the bytes that are there: nobody reads beyond them.
bool codec_image_check(const struct px_image *declared, const struct px_image *image, struct err *e);
bool codec_frame_check(const struct px_image *declared, const struct px_frame *frame, struct err *e);

#endif
