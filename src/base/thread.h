// Threads with a known stack, and the process-wide names they carry.
#ifndef GANTRY_BASE_THREAD_H
#define GANTRY_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

// Starts run(arg) on a thread with THREAD_STACK_BYTES of stack, which must be joined. name: at most 15 bytes, static; seen in ps and gdb.
bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg, struct err *e);

// Threads that end by themselves and that nobody waits for one by one: each joins the one that ended before it, and whoever stops them joins the last. None is
// detached: such a thread could still be at its end, in what libraries do there, while the process takes those libraries down. Under a lock of its owner's.
struct thread_trail {
    pthread_t last;
    bool any;
};
// By the thread that ends, with the lock held: puts itself in the place of the one before it. true: *before is to be joined, without the lock.
bool thread_trail_pass(struct thread_trail *t, pthread_t *before);
// When all have passed: returns when all have ended.
void thread_trail_join(struct thread_trail *t);

#endif
