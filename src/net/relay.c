// Two pipes and a poll.
#include "net/relay.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/iobuf.h"
#include "net/tls.h"

enum { LINGER_MS = 2000 };

// One direction.
struct pipe {
    uint8_t *p; // lent while bytes are under way
    size_t at, end;
    bool ended; // nothing more comes
    bool lost;  // nothing more is taken
};

struct relay {
    struct net_conn *c;
    int inner;
    struct pipe up, down; // from the peer, to the peer
    int64_t moved_ms;     // when bytes were last delivered, or none were waiting
};

static bool is_empty(const struct pipe *p) {
    return p->at == p->end;
}

static bool lend(struct pipe *p) {
    if (!p->p) p->p = net_iobuf_get();
    return p->p != NULL;
}

static void rest(struct pipe *p) {
    net_iobuf_put(p->p);
    p->p = NULL;
}

// ---- each returns whether something changed ----

static bool fill_up(struct relay *r) {
    struct pipe *p = &r->up;
    if (p->ended || !is_empty(p)) return false;
    if (!lend(p)) return r->down.lost = true;
    size_t got = 0;
    enum net_status s = net_read_now(r->c, p->p, NET_IOBUF_BYTES, &got, NULL);
    p->at = 0;
    p->end = got;
    if (s == NET_TIMEOUT) return false;
    if (s != NET_OK) {
        p->ended = true;
        shutdown(r->inner, SHUT_WR);
    }
    if (s == NET_FAIL) r->down.lost = true;
    return true;
}

static bool drain_up(struct relay *r) {
    struct pipe *p = &r->up;
    if (is_empty(p)) return false;
    ssize_t k = send(r->inner, p->p + p->at, p->end - p->at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    p->at = k < 0 ? p->end : p->at + (size_t)k; // the local side is done with reading: what comes is thrown away
    return true;
}

static bool fill_down(struct relay *r) {
    struct pipe *p = &r->down;
    if (p->ended || !is_empty(p)) return false;
    if (!lend(p)) return p->lost = true;
    ssize_t k = recv(r->inner, p->p, NET_IOBUF_BYTES, MSG_DONTWAIT);
    p->at = 0;
    p->end = k > 0 ? (size_t)k : 0;
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (k <= 0) p->ended = true;
    return true;
}

static bool drain_down(struct relay *r) {
    struct pipe *p = &r->down;
    if (is_empty(p)) return false;
    struct iovec iov = {.iov_base = p->p + p->at, .iov_len = p->end - p->at};
    ssize_t k = p->lost ? -1 : r->c->ops->writev(r->c, &iov, 1, false);
    if (!p->lost && k < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (k < 0) p->lost = true;
    p->at = k < 0 ? p->end : p->at + (size_t)k;
    return true;
}

// ----

// false: it is over.
static bool wait_both(struct relay *r, int stall_ms) {
    bool waiting = !is_empty(&r->up) || !is_empty(&r->down);
    short outer = 0, inner = 0;
    if (is_empty(&r->up) && !r->up.ended) outer |= net_tls_events(r->c, false);
    if (!is_empty(&r->down)) outer |= net_tls_events(r->c, true);
    if (is_empty(&r->down) && !r->down.ended) inner |= POLLIN;
    if (!is_empty(&r->up)) inner |= POLLOUT;
    // A socket that nothing is wanted of would go on saying that it was hung up.
    struct pollfd fds[3] = {
        {.fd = outer ? r->c->fd : -1, .events = outer}, {.fd = inner ? r->inner : -1, .events = inner}, {.fd = r->c->halt, .events = POLLIN}};
    int64_t left = waiting ? r->moved_ms + stall_ms - clock_mono_ms() : -1;
    if (waiting && left <= 0) return false;
    if (is_empty(&r->up)) rest(&r->up);
    if (is_empty(&r->down)) rest(&r->down);
    int n = poll(fds, 3, waiting ? (int)left : -1);
    return (n >= 0 || errno == EINTR) && !(n > 0 && fds[2].revents);
}

void net_relay(struct net_conn *c, int inner, int stall_ms) {
    struct relay r = {.c = c, .inner = inner, .moved_ms = clock_mono_ms()};
    bool cut = false;
    while (!cut && !r.down.lost && !(r.down.ended && is_empty(&r.down))) {
        bool moved = fill_up(&r);
        moved |= drain_up(&r);
        moved |= fill_down(&r);
        moved |= drain_down(&r);
        if (moved || (is_empty(&r.up) && is_empty(&r.down))) r.moved_ms = clock_mono_ms();
        if (!moved) cut = !wait_both(&r, stall_ms);
    }
    rest(&r.up);
    rest(&r.down);
    net_tls_shutdown(c);
    if (!cut && !r.down.lost && !r.up.ended) net_linger(c, clock_mono_ms() + LINGER_MS);
    net_close(c);
}
