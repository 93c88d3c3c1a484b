// A listener, a list of connections, and a thread for each.
#include "http/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/relay.h"

enum {
    LOCAL_BYTES = 256 * 1024, // of the local socket: a block of a response goes in at once
    SHORT_OF_MS = 100,        // pause when the system has no descriptors or threads left
    PLAIN_MS = 1000,          // to tell a plain client so
    FLUSH_MS = 500,           // for the last bytes when the server stops
};

struct guest {
    struct guest *prev, *next;
    struct http_door *door;
    struct net_conn conn;
    ino_t given;              // of the server's end, which is never another's; 0 before the handshake is done
    struct net_tls_info info; // its own: the server may ask while the connection ends
};

struct http_door {
    struct http_door_options o;
    int listener, wake, halt;
    uint16_t port;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t gone; // a guest, or one that was being handed over
    struct guest *guests;
    struct thread_trail ended;
    uint64_t count, handing;
    bool shut; // nobody is handed over any more
    _Atomic uint64_t handshakes_failed, refused;
};

bool http_door_address(const char *address, uint16_t port, struct sockaddr_storage *out, socklen_t *n) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    *out = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *n = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) != 1) return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    *n = sizeof *v6;
    return true;
}

// ---- one connection ----

// With the lock held.
static void forget(struct guest *g) {
    struct http_door *d = g->door;
    if (g->next) g->next->prev = g->prev;
    *(g->prev ? &g->prev->next : &d->guests) = g->next;
    d->count--;
    pthread_cond_broadcast(&d->gone);
    free(g);
}

// The last that its thread does.
static void leave(struct guest *g) {
    struct http_door *d = g->door;
    pthread_t before;
    pthread_mutex_lock(&d->lock);
    forget(g);
    const bool any = thread_trail_pass(&d->ended, &before);
    pthread_mutex_unlock(&d->lock);
    if (any) pthread_join(before, NULL);
}

// So that whoever typed http:// reads what to do.
static void tell_plain(struct net_conn *c) {
    static const char ANSWER[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: 60\r\n\r\n"
                                 "This port speaks HTTPS: put https:// before the address.    ";
    net_write(c, ANSWER, sizeof ANSWER - 1, clock_mono_ms() + PLAIN_MS, NULL);
}

static bool is_here(const char *address) {
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static bool secure(struct guest *g) {
    struct err e = {0};
    enum net_tls_fault fault;
    if (net_tls_accept(g->door->o.tls, &g->conn, clock_mono_ms() + NET_TLS_HANDSHAKE_MS, &fault, &e)) return true;
    g->door->handshakes_failed++;
    if (fault == NET_TLS_PLAIN_HTTP) tell_plain(&g->conn);
    if (e.kind != ERR_BUSY) net_linger(&g->conn, clock_mono_ms() + PLAIN_MS);
    // Browsers close connections that they opened to be ready, and refuse certificates until somebody trusts them: not worth a warning. A health check of this
    // machine may go on in plain for ever.
    bool expected = fault == NET_TLS_CLOSED || (fault == NET_TLS_PLAIN_HTTP && is_here(g->conn.address));
    log_line(expected ? LOG_DEBUG : LOG_INFO, "http", "%s", e.message);
    return false;
}

static ino_t identity(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

// A server that is being taken down must not be given a connection, nor be in the middle of it. The server's end is known before the server sees it: by its
// descriptor it could be taken for another one that was closed a moment ago.
static bool hand_over_begin(struct guest *g, int fd) {
    struct http_door *d = g->door;
    pthread_mutex_lock(&d->lock);
    const bool ok = !d->shut;
    if (ok) {
        d->handing++;
        g->given = identity(fd);
        g->info = *net_tls_info(&g->conn);
    }
    pthread_mutex_unlock(&d->lock);
    return ok;
}

static void hand_over_end(struct http_door *d) {
    pthread_mutex_lock(&d->lock);
    d->handing--;
    pthread_cond_broadcast(&d->gone);
    pthread_mutex_unlock(&d->lock);
}

static bool hand_over(struct guest *g, int *inner) {
    struct http_door *d = g->door;
    struct sockaddr_storage peer;
    socklen_t n;
    int pair[2], bytes = LOCAL_BYTES;
    if (!http_door_address(g->conn.address, g->conn.port, &peer, &n)) return false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return false;
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (!hand_over_begin(g, pair[1])) {
        close(pair[0]);
        close(pair[1]);
        return false;
    }
    *inner = pair[0];
    const bool ok = d->o.give(d->o.context, pair[1], (const struct sockaddr *)&peer, n); // which closes its end where it fails
    hand_over_end(d);
    if (!ok) close(pair[0]);
    return ok;
}

static void *guest_main(void *arg) {
    struct guest *g = arg;
    int inner;
    if (secure(g) && hand_over(g, &inner)) {
        net_relay(&g->conn, inner, HTTP_IDLE_S * 1000);
        close(inner);
    } else {
        net_close(&g->conn);
    }
    leave(g);
    return NULL;
}

// ---- the listener ----

static bool has_room(const struct http_door *d, const char *address, bool spared) {
    unsigned same = 0;
    for (const struct guest *g = d->guests; g; g = g->next) same += strcmp(g->conn.address, address) == 0;
    return d->count < d->o.connections_max && (spared || same < d->o.per_address_max);
}

static bool enter(struct http_door *d, struct guest *g, bool spared) {
    pthread_mutex_lock(&d->lock);
    bool ok = has_room(d, g->conn.address, spared);
    if (ok) {
        g->next = d->guests;
        if (g->next) g->next->prev = g;
        d->guests = g;
        d->count++;
    }
    pthread_mutex_unlock(&d->lock);
    return ok;
}

static void refuse(struct http_door *d, struct net_conn *c) {
    d->refused++;
    net_close(c);
}

static void start(struct guest *g) {
    struct http_door *d = g->door;
    struct net_conn c = g->conn;
    pthread_t thread; // which is joined by the one that ends after it
    struct err e = {0};
    if (thread_start(&thread, "https", guest_main, g, &e)) return;
    log_err(&e, "connection from %s", c.address);
    pthread_mutex_lock(&d->lock);
    forget(g);
    pthread_mutex_unlock(&d->lock);
    refuse(d, &c);
}

static void take(struct http_door *d, struct net_conn *c) {
    bool tell = false;
    const bool spared = d->o.spare && d->o.spare(d->o.context, c->address);
    if (!spared && !net_pace_take(d->o.pace, c->address, &tell)) {
        if (tell) log_line(LOG_WARN, "http", "%s makes connections faster than is taken: some are refused", c->address);
        refuse(d, c);
        return;
    }
    struct guest *g = calloc(1, sizeof *g);
    if (!g) {
        refuse(d, c);
        return;
    }
    *g = (struct guest){.door = d, .conn = *c};
    g->conn.halt = d->halt;
    if (enter(d, g, spared)) {
        start(g);
    } else {
        free(g);
        refuse(d, c);
    }
}

static void *door_main(void *arg) {
    struct http_door *d = arg;
    for (;;) {
        struct net_conn c;
        struct err e = {0};
        enum net_status s = net_accept(d->listener, d->wake, &c, &e);
        if (s == NET_WOKEN) return NULL;
        if (s == NET_OK) take(d, &c);
        if (s != NET_FAIL) continue;
        log_err(&e, "the HTTPS listener");
        nanosleep(&(struct timespec){.tv_nsec = SHORT_OF_MS * 1000000L}, NULL);
    }
}

// ---- open and close ----

static void free_door(struct http_door *d) {
    if (d->listener >= 0) close(d->listener);
    if (d->wake >= 0) close(d->wake);
    if (d->halt >= 0) close(d->halt);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->gone);
    free(d);
}

bool http_door_open(const struct http_door_options *o, struct http_door **out, struct err *e) {
    struct http_door *d = calloc(1, sizeof *d);
    if (!d) return err_nomem(e, "http");
    d->o = *o;
    d->listener = d->wake = d->halt = -1;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->gone, &attr);
    pthread_condattr_destroy(&attr);
    bool ok = (d->wake = net_wake_open(e)) >= 0 && (d->halt = net_wake_open(e)) >= 0 && (d->listener = net_listen(o->address, o->port, &d->port, e)) >= 0 &&
              (*out = d) && thread_start(&d->thread, "https-listen", door_main, d, e); // who comes first finds the door in its place
    if (!ok) {
        *out = NULL;
        free_door(d);
        return false;
    }
    d->running = true;
    return true;
}

uint16_t http_door_port(const struct http_door *d) {
    return d->port;
}

void http_door_shut(struct http_door *d) {
    if (!d->running) return;
    net_wake(d->wake);
    pthread_join(d->thread, NULL);
    close(d->listener);
    d->listener = -1;
    d->running = false;
    pthread_mutex_lock(&d->lock);
    d->shut = true;
    while (d->handing) pthread_cond_wait(&d->gone, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

// Until no connection is left; ms: at most so long, -1 for ever.
static void wait_gone(struct http_door *d, int64_t ms) {
    struct timespec until;
    int code = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&d->lock);
    while (d->count && code == 0) code = ms < 0 ? pthread_cond_wait(&d->gone, &d->lock) : pthread_cond_timedwait(&d->gone, &d->lock, &until);
    pthread_mutex_unlock(&d->lock);
}

void http_door_close(struct http_door *d) {
    http_door_shut(d);
    wait_gone(d, FLUSH_MS);
    net_wake(d->halt);
    wait_gone(d, -1);
    thread_trail_join(&d->ended);
    free_door(d);
}

bool http_door_info(struct http_door *d, int fd, struct net_tls_info *out) {
    bool found = false;
    const ino_t wanted = identity(fd);
    if (wanted == 0) return false;
    pthread_mutex_lock(&d->lock);
    for (const struct guest *g = d->guests; g && !found; g = g->next) {
        if (g->given != wanted) continue;
        *out = g->info;
        found = true;
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

void http_door_figures(struct http_door *d, struct http_door_figures *out) {
    pthread_mutex_lock(&d->lock);
    *out = (struct http_door_figures){.connections = d->count, .handshakes_failed = d->handshakes_failed, .refused = d->refused};
    pthread_mutex_unlock(&d->lock);
}
