// Threads started when there is work for one more of them.
#include "mod/dicomweb/crew.h"

#include <string.h>

#include "base/thread.h"

void crew_init(struct crew *c) {
    *c = (struct crew){.ending = false};
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
}

static bool take(struct crew *c, struct crew_job *job) {
    pthread_mutex_lock(&c->lock);
    c->idle++;
    while (c->queued == 0 && !c->ending) pthread_cond_wait(&c->changed, &c->lock);
    c->idle--;
    bool there = c->queued > 0;
    if (there) {
        *job = c->queue[0];
        memmove(c->queue, c->queue + 1, --c->queued * sizeof c->queue[0]);
    }
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return there;
}

static void *work(void *arg) {
    struct crew *c = arg;
    struct crew_job job;
    while (take(c, &job)) job.run(job.arg);
    return NULL;
}

// Under the lock.
static void start_thread(struct crew *c) {
    if (c->idle > c->queued || c->thread_count == CREW_THREADS) return;
    if (thread_start(&c->threads[c->thread_count], "stow", work, c, NULL)) c->thread_count++;
}

void crew_give(struct crew *c, void (*run)(void *arg), void *arg) {
    pthread_mutex_lock(&c->lock);
    start_thread(c);
    bool given = c->thread_count > 0;
    while (given && c->queued == CREW_THREADS) pthread_cond_wait(&c->changed, &c->lock);
    if (given) c->queue[c->queued++] = (struct crew_job){run, arg};
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (!given) run(arg);
}

void crew_finish(struct crew *c) {
    pthread_mutex_lock(&c->lock);
    c->ending = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < c->thread_count; i++) pthread_join(c->threads[i], NULL);
    c->thread_count = 0;
}
