// Threads with a known stack, and the process-wide names they carry.
#ifndef GANTRY_BASE_THREAD_H
#define GANTRY_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

// Starts run(arg) on a thread with THREAD_STACK_BYTES of stack. name: at most 15 bytes, seen in ps and gdb.
// thread may be NULL: the thread is detached.
bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg, struct err *e);

#endif
