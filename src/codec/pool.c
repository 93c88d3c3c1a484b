// The parent's side of the workers: who has which, jobs to them and results back, replacing those that die.
//
// A worker belongs to one job from codec_job_begin until its result has been copied out. Whoever waits for a worker and finds one whose job is done but not yet
// waited for copies that result aside, so that nobody waits for somebody who waits for him. A thread of its own, the keeper, starts workers (they end with the
// thread that started them), ends those that are overdue, and gives memory back.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "codec/perform.h"
#include "codec/wire.h"
#include "sys/child.h"

enum {
    TICK_MS = 100,
    IDLE_FORGET_MS = 1000,
    KEPT_BYTES = 4 * 1024 * 1024, // of input and of output that stay when a worker rests
    SEND_TRIES = 3,
    SANITIZER_TIMES = 10,
};

enum worker_state { DOWN, WANTED, IDLE, BUSY, DEAD };

// A job that was begun. Its worker, until the result is copied aside.
struct slot {
    struct worker *worker;
    enum { GIVING, RUNNING, REPLIED, MOVING, ASIDE, FAILED } state;
    bool awaited; // its owner is in codec_job_wait
    struct wire_reply reply;
    uint8_t *aside;
    uint64_t frame_bytes;
    bool lied; // its worker is not to be trusted with another job
    struct err err;
};

struct worker {
    enum worker_state state;
    pid_t pid;
    int socket;
    struct wire *shared;
    struct slot *slot;
    int64_t deadline_ms, allowed_ms, idle_ms;
    uint64_t memory_bytes; // address space that it may have
    uint64_t touched[2];   // of input and output, by the jobs so far
    bool overdue;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed, keeper_wakes;
    char *program;
    struct worker *workers;
    unsigned count;
    unsigned waiting; // for a worker
    uint64_t ticket, serving;
    unsigned slots; // jobs begun and not yet waited for
    bool keeper_rests, stopping;
    int bell; // rung for whoever is next when a worker may have become free
    pthread_t keeper;
    struct err start_error;
    int64_t deadline_ms;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .keeper_wakes = PTHREAD_COND_INITIALIZER, .bell = -1};

// ---- small things, under the lock ----

static bool is_large(const struct worker *w) {
    return w->touched[0] > KEPT_BYTES || w->touched[1] > KEPT_BYTES;
}

static void notify(void) {
    const uint64_t one = 1;
    pthread_cond_broadcast(&pool.changed);
    if (pool.waiting && write(pool.bell, &one, sizeof one) < 0) return; // full: it has rung
}

static void wake_keeper(void) {
    if (pool.keeper_rests) pthread_cond_signal(&pool.keeper_wakes);
}

static void release(struct worker *w) {
    if (w->slot) w->slot->worker = NULL;
    w->slot = NULL;
    if (w->state != DEAD) {
        w->state = IDLE;
        w->idle_ms = clock_mono_ms();
        if (is_large(w)) wake_keeper();
    }
    notify();
}

static void lost(struct worker *w) {
    struct slot *s = w->slot;
    const struct wire_request *r = &w->shared->request;
    if (s && s->state == RUNNING) {
        s->state = FAILED;
        if (pool.stopping)
            err_set(&s->err, ERR_BUSY, "codec", "this process is ending");
        else if (w->overdue)
            err_set(&s->err, ERR_UNDECODABLE, "codec", "the decoder took longer than %lld s", (long long)(w->allowed_ms + 999) / 1000);
        else
            err_set(&s->err, ERR_UNDECODABLE, "codec", "the decoder crashed");
        char image[96];
        snprintf(image, sizeof image, "%u x %u, %u x %u bits, %llu bytes", r->image.columns, r->image.rows, r->image.samples, r->image.bits_allocated,
                 (unsigned long long)r->input_bytes);
        if (!pool.stopping)
            log_line(LOG_WARN, "codec", "worker %d: %s (task %u, %.64s, %s)", (int)w->pid, s->err.message, r->task, r->task == CODEC_ENCODE ? r->to : r->from,
                     image);
    }
    w->state = DEAD;
    if (s) s->worker = NULL;
    w->slot = NULL;
    wake_keeper();
    notify();
}

// Looks whether the worker has answered.
static void take_reply(struct worker *w) {
    char byte;
    ssize_t n = recv(w->socket, &byte, 1, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n != 1) return lost(w);
    w->slot->reply = w->shared->reply; // once: what is checked is what is used
    w->slot->state = REPLIED;
}

// ---- results, which nobody trusts ----

static bool told_failure(const struct slot *s, struct err *e) {
    char text[ERR_MESSAGE_MAX];
    size_t n = 0;
    for (; n + 1 < sizeof text && s->reply.message[n]; n++) text[n] = s->reply.message[n] >= ' ' && s->reply.message[n] <= '~' ? s->reply.message[n] : '?';
    text[n] = '\0';
    if (s->reply.kind == ERR_NOMEM)
        return err_set(e, ERR_UNDECODABLE, "codec", "the decoder needed more memory than a frame of %llu bytes may take", (unsigned long long)s->frame_bytes);
    return err_set(e, s->reply.kind == ERR_UNSUPPORTED ? ERR_UNSUPPORTED : ERR_UNDECODABLE, "codec", "%s", text);
}

static bool reply_lies(struct err *e) {
    return err_set(e, ERR_UNDECODABLE, "codec", "the decoder crashed: its answer makes no sense");
}

// Everything but the bytes. out: what the job's result will be, with bytes still where the worker put them.
static bool check_reply(const struct codec_job *job, const struct slot *s, const uint8_t *bytes, struct px_frame *frame, struct px_image *result,
                        struct err *e) {
    const struct wire_reply *r = &s->reply;
    if (r->ok > 1) return reply_lies(e);
    if (!r->ok) return told_failure(s, e);
    if (r->offset > CODEC_OUTPUT_BYTES_MAX || r->bytes == 0 || r->bytes > CODEC_OUTPUT_BYTES_MAX - r->offset) return reply_lies(e);
    struct px_image image = job->image;
    if (!wire_image_take(&r->image, &image)) return reply_lies(e);
    image.frames = job->image.frames;
    image.big_endian = false;
    image.encapsulated = job->task != CODEC_DECODE && job->to && job->to->encapsulated;
    *frame = (struct px_frame){.image = image, .bytes = bytes, .n = (size_t)r->bytes, .bit_offset = r->bit_offset};
    *result = image;
    return job->task == CODEC_DECODE ? codec_frame_check(&job->image, frame, e) : codec_image_check(&job->image, result, e);
}

static bool finish(struct codec_job *job, struct slot *s, const uint8_t *bytes, struct arena *a, struct err *e) {
    struct px_frame frame = {0};
    struct px_image result = {0};
    if (s->state == FAILED) {
        if (e) *e = s->err;
        return false;
    }
    if (!check_reply(job, s, bytes, &frame, &result, e)) {
        s->lied = s->reply.ok != 0;
        return false;
    }
    uint8_t *copy = arena_alloc(a, frame.n, e);
    if (!copy) return false;
    memcpy(copy, bytes, frame.n);
    frame.bytes = copy;
    if (job->task == CODEC_DECODE) job->frame = frame;
    job->codestream = job->task == CODEC_DECODE ? (struct str){NULL, 0} : (struct str){(const char *)copy, frame.n};
    job->result_image = result;
    return true;
}

// A result that its owner does not yet wait for goes aside. The lock is let go meanwhile.
static void move_aside(struct worker *w) {
    struct slot *s = w->slot;
    const struct wire_reply *r = &s->reply;
    uint64_t n = r->ok == 1 && r->offset <= CODEC_OUTPUT_BYTES_MAX && r->bytes <= CODEC_OUTPUT_BYTES_MAX - r->offset ? r->bytes : 0;
    s->state = MOVING;
    pthread_mutex_unlock(&pool.lock);
    uint8_t *aside = malloc(n ? n : 1);
    if (aside && n) memcpy(aside, w->shared->output + r->offset, n);
    pthread_mutex_lock(&pool.lock);
    s->aside = aside;
    s->state = ASIDE;
    if (!aside) {
        s->state = FAILED;
        err_nomem(&s->err, "codec");
    } else if (!n) {
        s->reply.bytes = 0;
    }
    release(w);
}

// ---- getting a worker ----

static struct worker *find(enum worker_state state) {
    for (unsigned i = 0; i < pool.count; i++)
        if (pool.workers[i].state == state) return &pool.workers[i];
    return NULL;
}

// Until something happens: the bell, or an answer to a job that nobody waits for.
static void await_any(void) {
    struct pollfd fds[CODEC_WORKERS_MAX + 1] = {{.fd = pool.bell, .events = POLLIN}};
    struct worker *whose[CODEC_WORKERS_MAX + 1] = {NULL};
    nfds_t n = 1;
    for (unsigned i = 0; i < pool.count; i++) {
        struct worker *w = &pool.workers[i];
        if (w->state != BUSY || !w->slot || w->slot->awaited || w->slot->state != RUNNING) continue;
        whose[n] = w;
        fds[n++] = (struct pollfd){.fd = w->socket, .events = POLLIN};
    }
    pthread_mutex_unlock(&pool.lock);
    poll(fds, n, -1);
    pthread_mutex_lock(&pool.lock);
    uint64_t rung;
    if (fds[0].revents && read(pool.bell, &rung, sizeof rung) < 0) return;
    for (nfds_t i = 1; i < n; i++)
        if (fds[i].revents && whose[i]->state == BUSY && whose[i]->slot && !whose[i]->slot->awaited && whose[i]->slot->state == RUNNING) take_reply(whose[i]);
}

static struct worker *take_done(void) {
    for (unsigned i = 0; i < pool.count; i++) {
        struct worker *w = &pool.workers[i];
        if (w->state == BUSY && w->slot && w->slot->state == REPLIED && !w->slot->awaited) return w;
    }
    return NULL;
}

// For whoever is served now. NULL with *e: none can be had.
static struct worker *next_worker(struct err *e) {
    for (;;) {
        struct worker *w = find(IDLE), *done;
        if (pool.stopping) return err_set(e, ERR_BUSY, "codec", "this process is ending"), NULL;
        if (w) return w;
        if ((done = take_done()) != NULL) {
            move_aside(done);
            continue;
        }
        w = find(DOWN);
        if (w && pool.start_error.kind != ERR_NONE && !find(BUSY) && !find(WANTED) && !find(DEAD)) {
            if (e) *e = pool.start_error;
            pool.start_error.kind = ERR_NONE;
            return NULL;
        }
        if (w && !find(WANTED) && pool.start_error.kind == ERR_NONE) {
            w->state = WANTED;
            wake_keeper();
        }
        await_any();
    }
}

// First come, first served.
static struct worker *get_worker(struct slot *s, struct err *e) {
    uint64_t mine = pool.ticket++;
    pool.waiting++;
    while (pool.serving != mine) pthread_cond_wait(&pool.changed, &pool.lock);
    struct worker *w = next_worker(e);
    pool.serving++;
    pool.waiting--;
    if (w) {
        w->state = BUSY;
        w->slot = s;
        w->overdue = false;
        pool.start_error.kind = ERR_NONE;
        s->worker = w;
        s->state = GIVING;
        if (pool.keeper_rests) pthread_cond_signal(&pool.keeper_wakes);
    }
    notify();
    return w;
}

// ---- jobs ----

static uint64_t up(uint64_t bytes) {
    uint64_t step = 64 << 20; // limits are set in steps, so that most jobs need no call for it
    return (bytes + step - 1) / step * step;
}

static void bound(struct worker *w, const struct codec_job *job, const struct slot *s) {
    uint64_t threads = job->options.threads > 1 ? job->options.threads : 0, larger = s->frame_bytes > job->input.n ? s->frame_bytes : job->input.n;
    uint64_t bytes = up(sizeof(struct wire) + CODEC_WORKER_BASE_BYTES + larger * CODEC_WORKER_FRAME_TIMES + threads * CODEC_WORKER_THREAD_BYTES);
    if (bytes == w->memory_bytes) return;
    w->memory_bytes = bytes;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // whose shadows are terabytes of address space
    child_bound_memory(w->pid, bytes);
#endif
}

static int64_t allowed_ms(const struct codec_job *job, const struct slot *s) {
    if (pool.deadline_ms) return pool.deadline_ms;
    int64_t ms = CODEC_JOB_MS + (int64_t)((s->frame_bytes + job->input.n) / CODEC_JOB_BYTES_PER_MS);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    ms *= SANITIZER_TIMES;
#endif
    return ms;
}

static void put_uid(char to[WIRE_UID_BYTES], const struct dcm_ts *ts) {
    snprintf(to, WIRE_UID_BYTES, "%s", ts ? ts->uid : "");
}

static void write_request(struct wire *to, const struct codec_job *job, const struct slot *s) {
    struct wire_request *r = &to->request;
    uint64_t room = s->frame_bytes * 3 + (1 << 20);
    *r = (struct wire_request){.task = (uint32_t)job->task,
                               .image = wire_image_of(&job->image),
                               .input_bytes = job->input.n,
                               .room_bytes = room < CODEC_OUTPUT_BYTES_MAX ? room : CODEC_OUTPUT_BYTES_MAX,
                               .bit_offset = job->bit_offset,
                               .quality = job->options.quality,
                               .near = job->options.near,
                               .threads = job->options.threads};
    put_uid(r->from, job->from);
    put_uid(r->to, job->to);
    if (job->input.n) memcpy(to->input, job->input.p, job->input.n);
}

static bool give(struct worker *w, const struct codec_job *job, struct slot *s) {
    write_request(w->shared, job, s);
    bound(w, job, s);
    pthread_mutex_lock(&pool.lock);
    uint64_t room = w->shared->request.room_bytes;
    if (job->input.n > w->touched[0]) w->touched[0] = job->input.n;
    if (room > w->touched[1]) w->touched[1] = room;
    w->allowed_ms = allowed_ms(job, s);
    w->deadline_ms = clock_mono_ms() + w->allowed_ms;
    bool given = send(w->socket, "j", 1, MSG_NOSIGNAL) == 1;
    if (given) {
        s->state = RUNNING;
        if (pool.waiting) notify(); // now its answer can be waited for
    } else {
        lost(w); // it had died at rest: that costs nobody his job
    }
    pthread_mutex_unlock(&pool.lock);
    return given;
}

static bool begin(const struct codec_job *job, struct slot *s, struct err *e) {
    for (unsigned tries = 0; tries < SEND_TRIES; tries++) {
        pthread_mutex_lock(&pool.lock);
        struct worker *w = get_worker(s, e);
        pthread_mutex_unlock(&pool.lock);
        if (!w) return false;
        if (give(w, job, s)) return true;
    }
    return err_set(e, ERR_INTERNAL, "codec", "the worker processes end at once");
}

static bool is_native(const struct dcm_ts *ts) {
    return ts && !ts->encapsulated && !ts->video;
}

bool codec_job_begin(struct codec_job *job, struct err *e) {
    job->slot = NULL;
    if (job->input.n > CODEC_INPUT_BYTES_MAX || px_frame_bits(&job->image) / 8 > PX_FRAME_BYTES_MAX)
        return err_set(e, ERR_TOO_LARGE, "codec", "a frame of %llu bytes, compressed to %zu", (unsigned long long)(px_frame_bits(&job->image) / 8),
                       job->input.n);
    bool copies = (job->task == CODEC_ENCODE || is_native(job->from)) && (job->task == CODEC_DECODE || is_native(job->to));
    pthread_mutex_lock(&pool.lock);
    bool started = pool.count, stopping = pool.stopping;
    if (started && !copies && !stopping) pool.slots++;
    pthread_mutex_unlock(&pool.lock);
    if (!started || copies) return true; // in codec_job_wait, on the caller's thread
    if (stopping) return err_set(e, ERR_BUSY, "codec", "this process is ending");
    struct slot *s = calloc(1, sizeof *s);
    if (s) s->frame_bytes = px_frame_bits(&job->image) / 8;
    if (s ? begin(job, s, e) : err_nomem(e, "codec")) return job->slot = s, true;
    free(s);
    pthread_mutex_lock(&pool.lock);
    pool.slots--;
    notify();
    pthread_mutex_unlock(&pool.lock);
    return false;
}

// Until the result is there, in the worker's memory or aside.
static void await(struct slot *s) {
    s->awaited = true;
    while (s->state == RUNNING || s->state == MOVING) {
        if (s->state == MOVING) {
            pthread_cond_wait(&pool.changed, &pool.lock);
            continue;
        }
        struct worker *w = s->worker;
        struct pollfd fd = {.fd = w->socket, .events = POLLIN};
        pthread_mutex_unlock(&pool.lock);
        poll(&fd, 1, -1);
        pthread_mutex_lock(&pool.lock);
        if (s->state == RUNNING) take_reply(w);
    }
}

bool codec_job_wait(struct codec_job *job, struct arena *a, struct err *e) {
    struct slot *s = job->slot;
    if (!s) return job->ok = codec_perform(job, a, e);
    job->slot = NULL;
    pthread_mutex_lock(&pool.lock);
    await(s);
    pthread_mutex_unlock(&pool.lock);
    const uint8_t *bytes = s->aside;
    if (s->state == REPLIED) bytes = s->worker->shared->output + (s->reply.offset < CODEC_OUTPUT_BYTES_MAX ? s->reply.offset : 0);
    job->ok = finish(job, s, bytes, a, e);
    pthread_mutex_lock(&pool.lock);
    if (s->worker && s->lied) lost(s->worker);
    if (s->worker) release(s->worker);
    pool.slots--;
    notify();
    pthread_mutex_unlock(&pool.lock);
    free(s->aside);
    free(s);
    return job->ok;
}

bool codec_job_run(struct codec_job *job, struct arena *a, struct err *e) {
    return codec_job_begin(job, e) && codec_job_wait(job, a, e);
}

// ---- the keeper ----

static bool start_worker(struct worker *w, struct err *e) {
    int ends[2], memory;
    if (!child_channel(ends, e)) return false;
    if (!child_memory(sizeof *w->shared, &memory, e)) return close(ends[0]), close(ends[1]), false;
    w->shared = child_map(memory, sizeof *w->shared, e);
    const int theirs[] = {ends[1], memory};
    bool ok = w->shared && child_start(pool.program, CODEC_WORKER_ARGUMENT, theirs, 2, &w->pid, e);
    close(ends[1]);
    close(memory);
    w->socket = ends[0];
    w->memory_bytes = 0;
    w->touched[0] = w->touched[1] = 0;
    if (ok) return true;
    close(ends[0]);
    child_unmap(w->shared, sizeof *w->shared);
    return false;
}

static void end_worker(struct worker *w) {
    child_kill(w->pid);
    child_reap(w->pid);
    close(w->socket);
    child_unmap(w->shared, sizeof *w->shared);
}

static void forget(struct worker *w) {
    if (w->touched[0] > KEPT_BYTES) child_forget(w->shared->input + KEPT_BYTES, w->touched[0] - KEPT_BYTES);
    if (w->touched[1] > KEPT_BYTES) child_forget(w->shared->output + KEPT_BYTES, w->touched[1] - KEPT_BYTES);
    w->touched[0] = w->touched[1] = 0;
}

// One worker's turn. Starting and ending take their time and go without the lock: nobody else touches a worker that is WANTED or DEAD.
static void tend(struct worker *w, int64_t now) {
    if (w->state == WANTED || w->state == DEAD) {
        struct err e = {0};
        bool start = w->state == WANTED, ok = true;
        pthread_mutex_unlock(&pool.lock);
        if (start)
            ok = start_worker(w, &e);
        else
            end_worker(w);
        pthread_mutex_lock(&pool.lock);
        w->state = start && ok ? IDLE : DOWN;
        if (!ok) pool.start_error = e;
        if (!ok) log_err(&e, "a worker process for pixels");
        w->idle_ms = now;
        notify();
    } else if (w->state == BUSY && w->slot && w->slot->state == RUNNING && now >= w->deadline_ms && !w->overdue) {
        w->overdue = true; // whoever waits for it sees its end
        child_kill(w->pid);
    } else if (w->state == IDLE && is_large(w) && now - w->idle_ms >= IDLE_FORGET_MS) {
        forget(w);
    }
}

static bool has_work(void) {
    for (unsigned i = 0; i < pool.count; i++) {
        const struct worker *w = &pool.workers[i];
        if (w->state == WANTED || w->state == DEAD || w->state == BUSY || (w->state == IDLE && is_large(w))) return true;
    }
    return false;
}

static bool is_urgent(void) {
    return find(WANTED) || find(DEAD);
}

static void rest(void) {
    pool.keeper_rests = true;
    if (!has_work()) {
        pthread_cond_wait(&pool.keeper_wakes, &pool.lock);
    } else if (!is_urgent()) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
        pthread_cond_timedwait(&pool.keeper_wakes, &pool.lock, &until);
    }
    pool.keeper_rests = false;
}

static void *keep(void *ignored) {
    (void)ignored;
    pthread_mutex_lock(&pool.lock);
    while (!pool.stopping) {
        for (unsigned i = 0; i < pool.count; i++) tend(&pool.workers[i], clock_mono_ms());
        if (!pool.stopping) rest();
    }
    // every worker ends; jobs that run see that, and their owners come for them
    for (unsigned i = 0; i < pool.count; i++)
        if (pool.workers[i].state == IDLE)
            pool.workers[i].state = DEAD;
        else if (pool.workers[i].state == BUSY)
            child_kill(pool.workers[i].pid);
    notify();
    while (pool.slots || pool.waiting) pthread_cond_wait(&pool.changed, &pool.lock);
    for (unsigned i = 0; i < pool.count; i++)
        if (pool.workers[i].state >= IDLE) end_worker(&pool.workers[i]);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

// ---- starting and stopping ----

static bool set_up(const char *program, unsigned count, struct err *e) {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (count == 0) count = online < 1 ? 1 : (unsigned)online;
    if (count > CODEC_WORKERS_MAX) count = CODEC_WORKERS_MAX;
    pool.program = strdup(program);
    pool.workers = calloc(count, sizeof *pool.workers);
    pool.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!pool.program || !pool.workers) return err_nomem(e, "codec");
    if (pool.bell < 0) return err_errno(e, ERR_IO, "codec", "cannot make an event descriptor");
    pool.stopping = false;
    pool.start_error = (struct err){0};
    pool.ticket = pool.serving = 0;
    pool.count = count;
    return thread_start(&pool.keeper, "codec", keep, NULL, e);
}

static void tear_down(void) {
    free(pool.program);
    free(pool.workers);
    if (pool.bell >= 0) close(pool.bell);
    pool.program = NULL;
    pool.workers = NULL;
    pool.bell = -1;
    pool.count = 0;
}

bool codec_pool_start(const char *program, unsigned count, struct err *e) {
    pthread_mutex_lock(&pool.lock);
    bool before = pool.count, ok = !before && set_up(program, count, e);
    if (!ok && !before) tear_down();
    pthread_mutex_unlock(&pool.lock);
    return before ? err_set(e, ERR_CONFLICT, "codec", "the workers have been started before") : ok;
}

void codec_pool_stop(void) {
    pthread_mutex_lock(&pool.lock);
    bool started = pool.count && !pool.stopping;
    pool.stopping = started || pool.stopping;
    pthread_cond_signal(&pool.keeper_wakes);
    notify();
    pthread_mutex_unlock(&pool.lock);
    if (!started) return;
    pthread_join(pool.keeper, NULL);
    pthread_mutex_lock(&pool.lock);
    tear_down();
    pool.stopping = false;
    pthread_mutex_unlock(&pool.lock);
}

unsigned codec_pool_size(void) {
    pthread_mutex_lock(&pool.lock);
    unsigned n = pool.count;
    pthread_mutex_unlock(&pool.lock);
    return n;
}

void codec_pool_set_deadline(int64_t ms) {
    pthread_mutex_lock(&pool.lock);
    pool.deadline_ms = ms;
    pthread_mutex_unlock(&pool.lock);
}
