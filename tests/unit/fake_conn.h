// A connection made of bytes: what the peer "sends" is given, what is sent to it is kept. For tests and fuzz targets of the network layers.
#ifndef GANTRY_TESTS_FAKE_CONN_H
#define GANTRY_TESTS_FAKE_CONN_H

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "net/socket.h"

struct fake_conn {
    struct net_conn conn;
    const uint8_t *in;
    size_t in_n, in_at;
    size_t step; // bytes that one read gives at most
    struct buf out;
};

static inline ssize_t fake_read(struct net_conn *c, void *p, size_t n) {
    struct fake_conn *f = c->layer;
    size_t left = f->in_n - f->in_at;
    if (n > left) n = left;
    if (n > f->step) n = f->step;
    if (n) memcpy(p, f->in + f->in_at, n);
    f->in_at += n;
    return (ssize_t)n; // 0: the peer has closed
}

static inline ssize_t fake_writev(struct net_conn *c, const struct iovec *iov, int count, bool more) {
    struct fake_conn *f = c->layer;
    ssize_t n = 0;
    (void)more;
    for (int i = 0; i < count; i++) {
        buf_add(&f->out, iov[i].iov_base, iov[i].iov_len);
        n += (ssize_t)iov[i].iov_len;
    }
    return n;
}

static inline enum net_status fake_wait(struct net_conn *c, bool writable, int64_t deadline_ms, bool wakeable) {
    (void)c, (void)writable, (void)deadline_ms, (void)wakeable;
    return NET_OK;
}

static inline void fake_close(struct net_conn *c) {
    (void)c;
}

static inline void fake_conn_init(struct fake_conn *f, const void *in, size_t n, size_t step) {
    static const struct net_ops OPS = {.read = fake_read, .writev = fake_writev, .wait = fake_wait, .close = fake_close};
    *f = (struct fake_conn){.in = in, .in_n = n, .step = step};
    f->conn = (struct net_conn){.ops = &OPS, .fd = -1, .wake = -1, .halt = -1, .layer = f, .address = "test"};
    buf_init(&f->out, 64 << 20);
}

#endif
