// Thread start and end.
#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"

struct start {
    const char *name;
    void *(*run)(void *);
    void *arg;
};

// The thread names itself: to whoever started it, it may be gone already.
static void *begin(void *arg) {
    const struct start s = *(struct start *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), s.name);
    return s.run(s.arg);
}

bool thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg, struct err *e) {
    pthread_attr_t attr;
    struct start *s = malloc(sizeof *s);
    if (!s) return err_nomem(e, "thread");
    *s = (struct start){name, run, arg};
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    int code = pthread_create(thread, &attr, begin, s);
    pthread_attr_destroy(&attr);
    if (code == 0) return true;
    free(s);
    errno = code;
    return err_errno(e, ERR_BUSY, "thread", "start thread %s", name);
}

bool thread_trail_pass(struct thread_trail *t, pthread_t *before) {
    const bool any = t->any;
    *before = t->last;
    t->last = pthread_self();
    t->any = true;
    return any;
}

void thread_trail_join(struct thread_trail *t) {
    if (t->any) pthread_join(t->last, NULL);
    t->any = false;
}
