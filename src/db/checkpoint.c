// The checkpoint thread: most of the log beside the commits, the rest while they are held, so that the log can begin anew.
#include "db/checkpoint.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/thread.h"

enum { CHECKPOINT_PAGES = 4000 }; // written since the last one

// PASSIVE waits for nobody: what a reader still needs is left for the next time.
static const char COPY[] = "PRAGMA wal_checkpoint(PASSIVE)";

struct checkpoint {
    struct db_pool *pool;
    int pages, since; // in the log at the last commit, and at the last checkpoint; guarded by the writer's connection
    pthread_t thread;
    pthread_mutex_t lock; // of what follows
    pthread_cond_t wake;
    bool due, stopping;
};

static bool copy_with(struct db_pool *pool, struct db *d, struct err *e) {
    bool ok = d && db_exec(d, COPY, e);
    db_return(pool, d);
    return ok;
}

static void copy_log(struct db_pool *pool) {
    struct err e = {0};
    if (copy_with(pool, db_reader(pool, &e), &e) && copy_with(pool, db_writer(pool, &e), &e)) return;
    log_err(&e, "copy the index's log into its file: tried again later");
}

static void *run(void *arg) {
    struct checkpoint *c = arg;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!c->due && !c->stopping) pthread_cond_wait(&c->wake, &c->lock);
        if (c->stopping) break; // closing the last connection copies what is left
        c->due = false;
        pthread_mutex_unlock(&c->lock);
        copy_log(c->pool);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void checkpoint_note(struct checkpoint *c, int pages) {
    if (pages < c->pages) c->since = 0; // the log began anew
    c->pages = pages;
    if (pages - c->since < CHECKPOINT_PAGES) return;
    c->since = pages;
    pthread_mutex_lock(&c->lock);
    c->due = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

bool checkpoint_start(struct db_pool *pool, struct checkpoint **out, struct err *e) {
    struct checkpoint *c = calloc(1, sizeof *c);
    if (!c) return err_nomem(e, "db");
    c->pool = pool;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    if (thread_start(&c->thread, "db-checkpoint", run, c, e)) {
        *out = c;
        return true;
    }
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
    return false;
}

void checkpoint_stop(struct checkpoint *c) {
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
