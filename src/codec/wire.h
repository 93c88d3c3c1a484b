// What this process and its workers say to each other: a request and a reply in shared memory, one byte over the channel for each.
//
// The parent believes nothing that it reads here: the reply is copied once, then checked. Everything has a fixed width.
#ifndef GANTRY_CODEC_WIRE_H
#define GANTRY_CODEC_WIRE_H

#include "base/limits.h"
#include "codec/pool.h"

enum { WIRE_UID_BYTES = 72, WIRE_HEAD_BYTES = 8192 };

struct wire_image {
    uint32_t rows, columns, frames, samples, bits_allocated, bits_stored, high_bit;
    uint32_t is_signed, planar, photometric, kind;
};

struct wire_request {
    uint32_t task;
    char from[WIRE_UID_BYTES], to[WIRE_UID_BYTES]; // transfer syntaxes; empty: none
    struct wire_image image;
    uint64_t input_bytes;
    uint64_t room_bytes; // of the output that are given to the job's arena
    uint32_t bit_offset;
    int32_t quality;
    uint32_t near, threads;
};

struct wire_reply {
    uint32_t ok;
    uint32_t kind; // enum err_kind
    char message[ERR_MESSAGE_MAX];
    struct wire_image image; // of the frame, or what the data set has to say now
    uint64_t offset, bytes;  // of the frame or codestream in the output
    uint32_t bit_offset;
};

// The shared memory.
struct wire {
    union {
        struct {
            struct wire_request request;
            struct wire_reply reply;
        };
        uint8_t head[WIRE_HEAD_BYTES];
    };
    uint8_t input[CODEC_INPUT_BYTES_MAX];
    _Alignas(16) uint8_t output[CODEC_OUTPUT_BYTES_MAX];
};

struct wire_image wire_image_of(const struct px_image *image);
// false: no such image can be. What the wire does not carry is as in *out before.
bool wire_image_take(const struct wire_image *w, struct px_image *out);

// The worker's loop: perform does the jobs (codec_perform), and is replaced by tests, as is tamper, which may spoil a reply before it is sent.
struct wire_worker {
    bool (*perform)(struct codec_job *job, struct arena *a, struct err *e);
    void (*tamper)(struct wire *shared);
};
int wire_worker_run(const struct wire_worker *worker);

// Test seam: what any job may take, in place of CODEC_JOB_MS and its bytes; 0: these again.
void codec_pool_set_deadline(int64_t ms);

#endif
