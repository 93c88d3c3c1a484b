// The thread that takes and runs jobs of one kind.
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/thread.h"
#include "core/jobs.h"
#include "sys/file.h"

enum { IDLE_MS = 1000, TROUBLED_MS = 5000 };

struct job_worker {
    struct archive *ar;
    struct job_kind kind;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    bool troubled; // the queue could not be asked: said once
};

static bool is_stopping(struct job_worker *w) {
    pthread_mutex_lock(&w->lock);
    bool stopping = w->stopping;
    pthread_mutex_unlock(&w->lock);
    return stopping;
}

static void rest(struct job_worker *w, int ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&w->lock);
    if (!w->stopping) pthread_cond_timedwait(&w->stop, &w->lock, &until);
    pthread_mutex_unlock(&w->lock);
}

static void work(struct job_worker *w, const struct job *j) {
    struct err why = {0}, e = {0};
    bool good = w->kind.run(w->kind.ctx, j, &why);
    if (!good) log_line(LOG_WARN, "jobs", "%s job %lld, attempt %u: %s", w->kind.name, (long long)j->id, j->attempts, why.message);
    // When this fails too, the lease runs out and the job is taken again.
    if (good ? !job_done(w->ar, j, &e) : !job_failed(w->ar, j, &why, &e)) log_err(&e, "%s job %lld", w->kind.name, (long long)j->id);
}

static void *run(void *arg) {
    struct job_worker *w = arg;
    sys_be_background();
    while (!is_stopping(w)) {
        struct job j;
        struct err e = {0};
        bool found = false, asked = job_take(w->ar, w->kind.name, &j, &found, &e);
        if (!asked && !w->troubled) log_err(&e, "the queue of %s jobs", w->kind.name);
        w->troubled = !asked;
        if (found)
            work(w, &j);
        else if (asked && w->kind.idle)
            w->kind.idle(w->kind.ctx);
        if (!found) rest(w, asked ? IDLE_MS : TROUBLED_MS);
    }
    return NULL;
}

static void free_worker(struct job_worker *w) {
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->stop);
    free(w);
}

bool job_worker_start(struct archive *ar, const struct job_kind *kind, struct job_worker **out, struct err *e) {
    struct job_worker *w = calloc(1, sizeof *w);
    if (!w) return err_nomem(e, "jobs");
    w->ar = ar;
    w->kind = *kind;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->stop, &attr);
    pthread_condattr_destroy(&attr);
    if (!thread_start(&w->thread, "jobs", run, w, e)) {
        free_worker(w);
        return false;
    }
    *out = w;
    return true;
}

void job_worker_stop(struct job_worker *w) {
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->stop);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    free_worker(w);
}
