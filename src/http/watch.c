// The reaper of slow connections.
#include "http/watch.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/thread.h"

struct http_watched {
    struct http_watched *prev, *next;
    int fd;
    char address[INET6_ADDRSTRLEN];
    bool cut;
    _Atomic bool first; // no request has been served on it yet
    _Atomic int state;
    _Atomic bool busy;
    _Atomic int64_t since_ms; // of the state; for a body of the current window
    _Atomic uint64_t bytes;   // of the current window
};

struct http_watch {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool stopping;
    struct http_watched *head;
    uint64_t now, total, reaped;
};

static bool overdue(struct http_watched *c, int64_t now_ms) {
    int64_t age = now_ms - c->since_ms;
    if (c->state == HTTP_WATCH_HEADER) return age > (c->first ? HTTP_HEADER_MS : HTTP_HEADER_MS + HTTP_IDLE_S * 1000);
    if (c->state != HTTP_WATCH_BODY || age <= HTTP_BODY_MS) return false;
    bool slow = c->bytes < HTTP_BODY_BYTES_MIN && !c->busy;
    c->since_ms = now_ms;
    c->bytes = 0;
    return slow;
}

static void cut(struct http_watched *c) {
    if (!c->cut) shutdown(c->fd, SHUT_RDWR);
    c->cut = true;
}

static void reap(struct http_watch *w) {
    int64_t now_ms = clock_mono_ms();
    for (struct http_watched *c = w->head; c; c = c->next) {
        if (c->cut || !overdue(c, now_ms)) continue;
        cut(c);
        w->reaped++;
    }
}

static void *run(void *arg) {
    struct http_watch *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
        reap(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

bool http_watch_start(struct http_watch **out, struct err *e) {
    struct http_watch *w = calloc(1, sizeof *w);
    if (!w) return err_nomem(e, "http");
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->lock, NULL);
    if (!thread_start(&w->thread, "http-watch", run, w, e)) {
        free(w);
        return false;
    }
    *out = w;
    return true;
}

void http_watch_stop(struct http_watch *w) {
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

struct http_watched *http_watch_add(struct http_watch *w, int fd, const char *address) {
    struct http_watched *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->fd = fd;
    snprintf(c->address, sizeof c->address, "%s", address);
    c->first = true;
    c->since_ms = clock_mono_ms();
    pthread_mutex_lock(&w->lock);
    c->next = w->head;
    if (w->head) w->head->prev = c;
    w->head = c;
    w->now++;
    w->total++;
    pthread_mutex_unlock(&w->lock);
    return c;
}

void http_watch_remove(struct http_watch *w, struct http_watched *c) {
    pthread_mutex_lock(&w->lock);
    if (c->next) c->next->prev = c->prev;
    *(c->prev ? &c->prev->next : &w->head) = c->next;
    w->now--;
    pthread_mutex_unlock(&w->lock);
    free(c);
}

unsigned http_watch_count(struct http_watch *w, const char *address) {
    unsigned n = 0;
    pthread_mutex_lock(&w->lock);
    for (const struct http_watched *c = w->head; c; c = c->next) n += strcmp(c->address, address) == 0;
    pthread_mutex_unlock(&w->lock);
    return n;
}

void http_watch_set(struct http_watched *c, enum http_watch_state state) {
    c->since_ms = clock_mono_ms();
    c->bytes = 0;
    c->busy = false;
    if (state != HTTP_WATCH_HEADER) c->first = false;
    c->state = (int)state;
}

void http_watch_body(struct http_watched *c, size_t n, bool busy) {
    c->bytes += n;
    c->busy = busy;
}

void http_watch_cut_all(struct http_watch *w) {
    pthread_mutex_lock(&w->lock);
    for (struct http_watched *c = w->head; c; c = c->next) cut(c);
    pthread_mutex_unlock(&w->lock);
}

void http_watch_figures(struct http_watch *w, uint64_t *now, uint64_t *total, uint64_t *reaped) {
    pthread_mutex_lock(&w->lock);
    *now = w->now;
    *total = w->total;
    *reaped = w->reaped;
    pthread_mutex_unlock(&w->lock);
}
