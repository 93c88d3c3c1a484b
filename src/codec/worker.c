// A worker's side: one job after the other, from shared memory into shared memory, in a box.
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/htj2k.h"
#include "codec/perform.h"
#include "codec/wire.h"
#include "sys/child.h"

enum { CONTROL_FD = 3, MEMORY_FD = 4, TRIM_BYTES = 32 * 1024 * 1024 };

struct wire_image wire_image_of(const struct px_image *i) {
    return (struct wire_image){.rows = i->rows,
                               .columns = i->columns,
                               .frames = i->frames,
                               .samples = i->samples,
                               .bits_allocated = i->bits_allocated,
                               .bits_stored = i->bits_stored,
                               .high_bit = i->high_bit,
                               .is_signed = i->is_signed,
                               .planar = i->planar,
                               .photometric = (uint32_t)i->photometric,
                               .kind = (uint32_t)i->kind};
}

bool wire_image_take(const struct wire_image *w, struct px_image *out) {
    bool possible = w->rows >= 1 && w->rows <= 65535 && w->columns >= 1 && w->columns <= 65535 && (w->samples == 1 || w->samples == 3) &&
                    w->bits_allocated >= 1 && w->bits_allocated <= 64 && w->bits_stored >= 1 && w->bits_stored <= w->bits_allocated &&
                    w->high_bit < w->bits_allocated && w->high_bit + 1 >= w->bits_stored && w->is_signed <= 1 && w->planar <= 1 && w->photometric <= PX_XYB &&
                    w->kind <= PX_DOUBLE;
    if (!possible) return false;
    out->rows = w->rows;
    out->columns = w->columns;
    out->frames = w->frames;
    out->samples = w->samples;
    out->bits_allocated = w->bits_allocated;
    out->bits_stored = w->bits_stored;
    out->high_bit = w->high_bit;
    out->is_signed = w->is_signed;
    out->planar = w->planar;
    out->photometric = (enum px_photometric)w->photometric;
    out->kind = (enum px_samples)w->kind;
    return true;
}

static const struct dcm_ts *ts_of(const char *uid) {
    return *uid ? dcm_ts_find((struct str){uid, strnlen(uid, WIRE_UID_BYTES)}) : NULL;
}

static struct codec_job job_of(const struct wire *w) {
    const struct wire_request *r = &w->request;
    struct codec_job job = {.task = (enum codec_task)r->task,
                            .from = ts_of(r->from),
                            .to = ts_of(r->to),
                            .image = {.encapsulated = r->task != CODEC_ENCODE},
                            .input = {(const char *)w->input, r->input_bytes},
                            .bit_offset = r->bit_offset,
                            .options = {r->quality, r->near, r->threads}};
    wire_image_take(&r->image, &job.image);
    return job;
}

// The result where the parent looks for it; most of the time the arena has put it there already.
static bool deliver(struct wire *w, const void *p, size_t n, struct err *e) {
    uintptr_t begin = (uintptr_t)w->output, at = (uintptr_t)p;
    bool there = at >= begin && at < begin + sizeof w->output;
    if (!there && n > sizeof w->output) return err_set(e, ERR_TOO_LARGE, "codec", "the result has %zu bytes", n);
    if (!there) memcpy(w->output, p, n);
    w->reply.offset = there ? at - begin : 0;
    w->reply.bytes = n;
    return true;
}

static bool answer(struct wire *w, const struct codec_job *job, struct err *e) {
    bool decoded = job->task == CODEC_DECODE;
    w->reply.image = wire_image_of(decoded ? &job->frame.image : &job->result_image);
    w->reply.bit_offset = decoded ? job->frame.bit_offset : 0;
    size_t frame_bytes = decoded ? (size_t)((px_frame_bits(&job->frame.image) + job->frame.bit_offset + 7) / 8) : 0;
    return decoded ? deliver(w, job->frame.bytes, frame_bytes, e) : deliver(w, job->codestream.p, job->codestream.n, e);
}

// Debian's OpenJPEG reads memory that it has not set of damaged HT code-blocks (ht_dec.c): what an earlier frame left there must not be found in this one.
static void fill_memory_for(const struct dcm_ts *from) {
    mallopt(M_PERTURB, from && codec_of(from) == &codec_htj2k ? 0xA5 : 0);
}

static void work(const struct wire_worker *worker, struct wire *w) {
    struct arena a;
    struct err e = {0};
    struct codec_job job = job_of(w);
    fill_memory_for(job.from);
    memset(&w->reply, 0, sizeof w->reply);
    arena_init_in(&a, SIZE_MAX / 2, w->output, (size_t)w->request.room_bytes); // the address space is the bound
    w->reply.ok = worker->perform(&job, &a, &e) && answer(w, &job, &e);
    w->reply.kind = (uint32_t)e.kind;
    memcpy(w->reply.message, e.message, sizeof w->reply.message);
    if (worker->tamper) worker->tamper(w);
    bool large = a.used > TRIM_BYTES;
    arena_deinit(&a);
    if (large) malloc_trim(0);
}

int wire_worker_run(const struct wire_worker *worker) {
    box_prepare();
    struct wire *w = child_map(MEMORY_FD, sizeof *w, NULL);
    close(MEMORY_FD);
    mallopt(M_ARENA_MAX, 2);
    if (!w || !box_close()) {
        log_line(LOG_ERROR, "codec", "a worker process cannot put itself in its box (seccomp), and will not decode outside");
        return EX_OSERR;
    }
    for (;;) {
        char byte;
        ssize_t n = recv(CONTROL_FD, &byte, 1, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n != 1) _exit(0); // the parent has gone
        work(worker, w);
        if (send(CONTROL_FD, "r", 1, MSG_NOSIGNAL) != 1) _exit(0);
    }
}

int codec_worker_main(void) {
    static const struct wire_worker worker = {.perform = codec_perform};
    return wire_worker_run(&worker);
}
