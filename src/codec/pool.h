// Worker processes that decode and encode: sandboxed (seccomp, rlimits, no files, no network), so that a hostile codestream costs one request, and one per
// processor, so that frames are worked on side by side.
//
// A worker that dies, hangs or runs out of memory is replaced; its job fails with ERR_UNDECODABLE (its message says "the decoder crashed", "took longer than",
// "needed more memory than"). Frames go to and fro in shared memory.
#ifndef GANTRY_CODEC_POOL_H
#define GANTRY_CODEC_POOL_H

#include "codec/codec.h"

// Starts the workers of this process: program is executed with the one argument CODEC_WORKER_ARGUMENT (gantry itself: "/proc/self/exe"). count 0: one per
// processor. Called once, early; without it jobs run in this process, on the caller's thread. Workers are started when the first job comes.
bool codec_pool_start(const char *program, unsigned count, struct err *e);
void codec_pool_stop(void);
unsigned codec_pool_size(void); // 0: not started

#define CODEC_WORKER_ARGUMENT "--codec-worker"
// What the program does when it is executed so; returns its exit code.
int codec_worker_main(void);

// One frame's work. Input is borrowed until codec_job_wait returns.
enum codec_task {
    CODEC_DECODE,   // codestream -> frame
    CODEC_ENCODE,   // frame -> codestream, decoded again and compared (lossless: equal; lossy: not blank and within the declared bound) before it counts
    CODEC_TRANSCODE // codestream -> codestream of another transfer syntax, verified likewise
};
struct codec_job {
    enum codec_task task;
    const struct dcm_ts *from, *to; // from: of the codestream (DECODE, TRANSCODE); to: of the result (ENCODE, TRANSCODE)
    struct px_image image;          // declared for the codestream, or of the frame (ENCODE)
    struct str input;               // codestream or frame bytes
    unsigned bit_offset;            // of the first pixel (ENCODE of 1 bit)
    struct codec_options options;
    // result
    bool ok;
    struct px_frame frame;        // DECODE: bytes in the arena given to wait
    struct str codestream;        // ENCODE, TRANSCODE: in that arena
    struct px_image result_image; // ENCODE, TRANSCODE: what the data set has to say now
    struct err err;
    void *slot; // private
};

// Waits for a free worker, then gives it the job. Each job that was begun must be waited for, in any order, by the same thread.
bool codec_job_begin(struct codec_job *job, struct err *e);
bool codec_job_wait(struct codec_job *job, struct arena *a, struct err *e);
// Both.
bool codec_job_run(struct codec_job *job, struct arena *a, struct err *e);

#endif
