// Thread start.
#include "base/thread.h"

#include <errno.h>

#include "base/limits.h"

bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg, struct err *e) {
    pthread_attr_t attr;
    pthread_t id;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    if (!thread) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int code = pthread_create(&id, &attr, run, arg);
    pthread_attr_destroy(&attr);
    if (code) {
        errno = code;
        return err_errno(e, ERR_BUSY, "thread", "start thread %s", name);
    }
    pthread_setname_np(id, name);
    if (thread) *thread = id;
    return true;
}
