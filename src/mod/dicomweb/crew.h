// A few threads that do one request's waiting: the objects of a STOW-RS body are committed side by side, so that one flush serves many of them.
#ifndef GANTRY_MOD_DICOMWEB_CREW_H
#define GANTRY_MOD_DICOMWEB_CREW_H

#include <pthread.h>
#include <stdbool.h>

enum { CREW_THREADS = 8 };

struct crew_job {
    void (*run)(void *arg);
    void *arg;
};

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t threads[CREW_THREADS];
    unsigned thread_count;
    struct crew_job queue[CREW_THREADS];
    unsigned queued, idle;
    bool ending;
};

void crew_init(struct crew *c);
// Runs the job on one of the threads; waits for room. Where no thread can be had it runs here.
void crew_give(struct crew *c, void (*run)(void *arg), void *arg);
// Every job that was given is done, the threads are gone. May be called twice.
void crew_finish(struct crew *c);

#endif
