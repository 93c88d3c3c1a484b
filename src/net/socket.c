// TCP sockets behind net_conn.
#include "net/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/guard.h"

enum { BACKLOG = 1024, SENDFILE_STEP = 1 << 20, COPY_STEP = 16 * 1024 };

static void set_int(int fd, int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof value); // an option that is refused costs speed only
}

// Descriptors below 0 are not waited for.
static enum net_status poll_until(int fd, short events, int wake, int halt, int64_t deadline_ms) {
    struct pollfd fds[3] = {{.fd = fd, .events = events}, {.fd = halt, .events = POLLIN}, {.fd = wake, .events = POLLIN}};
    for (;;) {
        int64_t left = deadline_ms - clock_mono_ms();
        if (left < 0) left = 0;
        int n = poll(fds, wake >= 0 ? 3 : 2, left > 3600000 ? 3600000 : (int)left);
        if (n < 0 && errno != EINTR) return NET_FAIL;
        if (n > 0 && fds[1].revents) {
            errno = ESHUTDOWN;
            return NET_FAIL;
        }
        if (n > 0 && fds[0].revents) return NET_OK; // bytes that are there come before being woken
        if (n > 0 && fds[2].revents) return NET_WOKEN;
        if (n == 0 && clock_mono_ms() >= deadline_ms) return NET_TIMEOUT;
    }
}

static ssize_t tcp_read(struct net_conn *c, void *p, size_t n) {
    return recv(c->fd, p, n, 0);
}

static ssize_t tcp_writev(struct net_conn *c, const struct iovec *iov, int count, bool more) {
    struct msghdr m = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
    return sendmsg(c->fd, &m, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

static ssize_t tcp_sendfile(struct net_conn *c, int fd, uint64_t offset, size_t n) {
    off_t at = (off_t)offset;
    return sendfile(c->fd, fd, &at, n);
}

static enum net_status tcp_wait(struct net_conn *c, bool writable, int64_t deadline_ms, bool wakeable) {
    // Renewed before each wait for bytes: a peer with Nagle's algorithm may hold its next segment until what it sent is acknowledged.
    if (!writable) set_int(c->fd, IPPROTO_TCP, TCP_QUICKACK, 1);
    return poll_until(c->fd, writable ? POLLOUT : POLLIN, wakeable ? c->wake : -1, c->halt, deadline_ms);
}

static void tcp_close(struct net_conn *c) {
    close(c->fd);
}

static const struct net_ops TCP = {.read = tcp_read, .writev = tcp_writev, .sendfile = tcp_sendfile, .wait = tcp_wait, .close = tcp_close};

static void name_peer(struct net_conn *c, const struct sockaddr_storage *sa) {
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        inet_ntop(AF_INET, &in->sin_addr, c->address, sizeof c->address);
        c->port = ntohs(in->sin_port);
    } else if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        c->port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], c->address, sizeof c->address);
        else
            inet_ntop(AF_INET6, &in6->sin6_addr, c->address, sizeof c->address);
    }
}

static bool resolve(const char *host, uint16_t port, bool passive, struct addrinfo **out, struct err *e) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = passive ? AI_PASSIVE : AI_ADDRCONFIG};
    int code = getaddrinfo(host, service, &hints, out);
    if (code == 0) return true;
    return err_set(e, ERR_NET, "net", "the name '%s' does not resolve: %s", host, gai_strerror(code));
}

bool net_resolves(const char *host) {
    struct addrinfo *list;
    if (!resolve(host, 0, false, &list, NULL)) return false;
    freeaddrinfo(list);
    return true;
}

static int listen_at(const struct addrinfo *ai) {
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

int net_listen(const char *address, uint16_t port, uint16_t *port_out, struct err *e) {
    struct addrinfo *list;
    if (!resolve(address, port, true, &list, e)) return -1;
    int fd = -1;
    for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) fd = listen_at(ai);
    freeaddrinfo(list);
    if (fd < 0) return err_errno(e, ERR_NET, "net", "cannot listen on %s port %u", address, port), -1;
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;
    struct net_conn bound = {0};
    if (getsockname(fd, (struct sockaddr *)&sa, &n) == 0) name_peer(&bound, &sa);
    if (port_out) *port_out = bound.port;
    return fd;
}

static void tcp_init(struct net_conn *c, int fd, int wake, const struct sockaddr_storage *sa) {
    *c = (struct net_conn){.ops = &TCP, .fd = fd, .wake = wake, .halt = -1};
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    name_peer(c, sa);
}

enum net_status net_accept(int listener, int wake, struct net_conn *c, struct err *e) {
    for (;;) {
        struct sockaddr_storage sa = {0};
        socklen_t n = sizeof sa;
        int fd = accept4(listener, (struct sockaddr *)&sa, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            tcp_init(c, fd, wake, &sa);
            return NET_OK;
        }
        if (errno == ECONNABORTED || errno == EINTR) continue;
        if (errno != EAGAIN) {
            bool busy = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            err_errno(e, busy ? ERR_BUSY : ERR_NET, "net", "accept a connection");
            return NET_FAIL;
        }
        enum net_status s = poll_until(listener, POLLIN, wake, -1, INT64_MAX);
        if (s != NET_OK) return s;
    }
}

// Connects one address; false leaves errno, ETIMEDOUT at the deadline.
static bool connect_at(const struct addrinfo *ai, int64_t deadline_ms, struct net_conn *c) {
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    int code = connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 ? 0 : errno;
    if (code == EINPROGRESS) {
        socklen_t n = sizeof code;
        enum net_status s = poll_until(fd, POLLOUT, -1, -1, deadline_ms);
        code = ETIMEDOUT;
        if (s == NET_OK) getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &n);
    }
    if (code) {
        close(fd);
        errno = code;
        return false;
    }
    struct sockaddr_storage sa = {0};
    memcpy(&sa, ai->ai_addr, ai->ai_addrlen < sizeof sa ? ai->ai_addrlen : sizeof sa);
    tcp_init(c, fd, -1, &sa);
    return true;
}

bool net_connect_guarded(struct net_conn *c, const char *host, uint16_t port, const struct net_guard *guard, int64_t deadline_ms, struct err *e) {
    struct addrinfo *list;
    struct err refused = {0};
    bool ok = false, tried = false;
    if (!resolve(host, port, false, &list, e)) return false;
    for (const struct addrinfo *ai = list; ai && !ok; ai = ai->ai_next) {
        if (!net_guard_allows_socket(guard, ai->ai_addr, &refused)) continue;
        tried = true;
        ok = connect_at(ai, deadline_ms, c);
    }
    int code = errno;
    freeaddrinfo(list);
    errno = code;
    if (ok) return true;
    if (!tried && refused.kind) return err_set(e, refused.kind, "net", "%s port %u: %s", host, port, refused.message);
    return err_errno(e, code == ETIMEDOUT ? ERR_TIMEOUT : ERR_NET, "net", "connect to %s port %u", host, port);
}

bool net_connect(struct net_conn *c, const char *host, uint16_t port, int64_t deadline_ms, struct err *e) {
    return net_connect_guarded(c, host, port, NULL, deadline_ms, e);
}

void net_own_address(const struct net_conn *c, char out[NET_ADDRESS_MAX]) {
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;
    struct net_conn own = {0};
    if (getsockname(c->fd, (struct sockaddr *)&sa, &n) == 0) name_peer(&own, &sa);
    memcpy(out, own.address, NET_ADDRESS_MAX);
}

void net_close(struct net_conn *c) {
    if (c->ops) c->ops->close(c);
    c->ops = NULL;
    c->fd = -1;
}

static enum net_status failed(struct net_conn *c, const char *what, struct err *e) {
    const char *why = c->ops->why ? c->ops->why(c) : NULL;
    if (why)
        err_set(e, ERR_PEER, "net", "%s %s: %s", what, c->address, why);
    else
        err_errno(e, ERR_NET, "net", "%s %s", what, c->address);
    return NET_FAIL;
}

static enum net_status waited(struct net_conn *c, bool writable, bool wakeable, int64_t deadline_ms, struct err *e) {
    enum net_status s = c->ops->wait(c, writable, deadline_ms, wakeable);
    if (s == NET_TIMEOUT) err_set(e, ERR_TIMEOUT, "net", "%s did not %s in time", c->address, writable ? "take what was sent" : "send");
    if (s == NET_FAIL) return failed(c, "wait for", e);
    return s;
}

enum net_status net_wait(struct net_conn *c, bool wakeable, int64_t deadline_ms, struct err *e) {
    return waited(c, false, wakeable, deadline_ms, e);
}

enum net_status net_read_now(struct net_conn *c, void *p, size_t n, size_t *got, struct err *e) {
    for (;;) {
        ssize_t k = c->ops->read(c, p, n);
        *got = k > 0 ? (size_t)k : 0;
        if (k > 0) return NET_OK;
        if (k == 0) return NET_EOF;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return NET_TIMEOUT;
        if (errno != EINTR) return failed(c, "read from", e);
    }
}

enum net_status net_read(struct net_conn *c, void *p, size_t n, bool wakeable, int64_t deadline_ms, size_t *got, struct err *e) {
    for (;;) {
        enum net_status s = net_read_now(c, p, n, got, e);
        if (s != NET_TIMEOUT) return s;
        s = waited(c, false, wakeable, deadline_ms, e);
        if (s != NET_OK) return s;
    }
}

// Skips n written bytes.
static void advance(struct iovec **iov, int *count, size_t n) {
    while (*count && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        ++*iov;
        --*count;
    }
    if (*count) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

bool net_writev(struct net_conn *c, struct iovec *iov, int count, bool more, int64_t deadline_ms, struct err *e) {
    advance(&iov, &count, 0);
    while (count) {
        ssize_t k = c->ops->writev(c, iov, count, more);
        if (k >= 0) {
            advance(&iov, &count, (size_t)k);
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return failed(c, "write to", e), false;
        if (waited(c, true, false, deadline_ms, e) != NET_OK) return false;
    }
    return true;
}

bool net_write(struct net_conn *c, const void *p, size_t n, int64_t deadline_ms, struct err *e) {
    struct iovec iov = {.iov_base = (void *)p, .iov_len = n};
    return net_writev(c, &iov, 1, false, deadline_ms, e);
}

static bool copy_file(struct net_conn *c, int fd, uint64_t offset, uint64_t n, int64_t deadline_ms, struct err *e) {
    char chunk[COPY_STEP];
    while (n) {
        ssize_t k = pread(fd, chunk, n < sizeof chunk ? (size_t)n : sizeof chunk, (off_t)offset);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_errno(e, ERR_IO, "net", "read what is to be sent");
        if (k == 0) return err_set(e, ERR_CORRUPT, "net", "the file to be sent is shorter than was known");
        if (!net_write(c, chunk, (size_t)k, deadline_ms, e)) return false;
        offset += (uint64_t)k;
        n -= (uint64_t)k;
    }
    return true;
}

bool net_sendfile(struct net_conn *c, int fd, uint64_t offset, uint64_t n, int64_t deadline_ms, struct err *e) {
    if (!c->ops->sendfile) return copy_file(c, fd, offset, n, deadline_ms, e);
    while (n) {
        ssize_t k = c->ops->sendfile(c, fd, offset, n < SENDFILE_STEP ? (size_t)n : SENDFILE_STEP);
        if (k > 0) {
            offset += (uint64_t)k;
            n -= (uint64_t)k;
            continue;
        }
        if (k == 0) return err_set(e, ERR_CORRUPT, "net", "the file to be sent is shorter than was known");
        if (errno == EINTR) continue;
        if (errno == EINVAL || errno == ENOSYS) return copy_file(c, fd, offset, n, deadline_ms, e);
        if (errno != EAGAIN && errno != EWOULDBLOCK) return failed(c, "send to", e), false;
        if (waited(c, true, false, deadline_ms, e) != NET_OK) return false;
    }
    return true;
}

void net_linger(struct net_conn *c, int64_t deadline_ms) {
    char nowhere[4096];
    size_t got;
    shutdown(c->fd, SHUT_WR);
    while (net_read(c, nowhere, sizeof nowhere, false, deadline_ms, &got, NULL) == NET_OK && clock_mono_ms() < deadline_ms) continue;
}

int net_wake_open(struct err *e) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) err_errno(e, ERR_IO, "net", "make a wake descriptor");
    return fd;
}

void net_wake(int wake) {
    uint64_t one = 1;
    ssize_t ignored = write(wake, &one, sizeof one);
    (void)ignored;
}
