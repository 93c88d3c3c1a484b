// TCP connections with deadlines: every wait ends at a monotonic time, or when the connection is woken.
//
// Sockets are non-blocking and read optimistically: a poll is only spent when there is nothing to read. A struct net_conn goes through its
// operations, so that TLS, or a test's bytes, can take the place of the socket.
#ifndef GANTRY_NET_SOCKET_H
#define GANTRY_NET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/str.h"

enum net_status {
    NET_OK,
    NET_EOF,     // the peer closed
    NET_TIMEOUT, // the deadline passed
    NET_WOKEN,   // the wake descriptor became readable
    NET_FAIL
};

struct net_conn;

// What a kind of connection does. Results are those of the system calls: -1 with errno, EAGAIN when it would block.
struct net_ops {
    ssize_t (*read)(struct net_conn *c, void *p, size_t n);
    ssize_t (*writev)(struct net_conn *c, const struct iovec *iov, int count, bool more);
    ssize_t (*sendfile)(struct net_conn *c, int fd, uint64_t offset, size_t n); // NULL: read and written instead
    // Waits until the connection is readable (or writable), deadline_ms on clock_mono_ms, or woken when wakeable.
    enum net_status (*wait)(struct net_conn *c, bool writable, int64_t deadline_ms, bool wakeable);
    void (*close)(struct net_conn *c);
    const char *(*why)(const struct net_conn *c); // NULL, or words for the last failure that say more than errno; they live as long as the connection
};

struct net_guard;

enum { NET_ADDRESS_MAX = 64 };

struct net_conn {
    const struct net_ops *ops;
    int fd;
    int wake;                      // becomes readable when waits for new work should end; -1 for none. Shared, not owned.
    int halt;                      // becomes readable when every wait should fail; -1 for none. Shared, not owned.
    void *layer;                   // of ops: a TLS session
    char address[NET_ADDRESS_MAX]; // the peer's, numeric, without port
    uint16_t port;                 // the peer's
};

// Listens on a numeric address or a name; port 0 takes a free one, *port_out (may be NULL) tells which. The descriptor, or -1.
int net_listen(const char *address, uint16_t port, uint16_t *port_out, struct err *e);
// Waits for a connection. NET_WOKEN when wake becomes readable. NET_FAIL with ERR_BUSY when descriptors ran out.
enum net_status net_accept(int listener, int wake, struct net_conn *c, struct err *e);
// Whether a host's name has an address (an address has itself).
bool net_resolves(const char *host);
// ERR_NET when refused, ERR_TIMEOUT when the deadline passed.
bool net_connect(struct net_conn *c, const char *host, uint16_t port, int64_t deadline_ms, struct err *e);
// The same to those of its addresses that guard allows (net/guard.h; NULL: all): ERR_FORBIDDEN when it has no other.
bool net_connect_guarded(struct net_conn *c, const char *host, uint16_t port, const struct net_guard *guard, int64_t deadline_ms, struct err *e);
// The address of this side, numeric; "" when it is not known.
void net_own_address(const struct net_conn *c, char out[NET_ADDRESS_MAX]);
void net_close(struct net_conn *c);

// Some bytes, at least one. wakeable: c->wake ends the wait. *e is set for everything but NET_OK, NET_EOF and NET_WOKEN.
enum net_status net_read(struct net_conn *c, void *p, size_t n, bool wakeable, int64_t deadline_ms, size_t *got, struct err *e);
// As net_read, but does not wait: NET_TIMEOUT (without *e) when nothing is there.
enum net_status net_read_now(struct net_conn *c, void *p, size_t n, size_t *got, struct err *e);
// Waits until there is something to read (or the end of it).
enum net_status net_wait(struct net_conn *c, bool wakeable, int64_t deadline_ms, struct err *e);
// All of it, or false. iov is used up. more: further bytes follow at once (they may share a segment).
bool net_writev(struct net_conn *c, struct iovec *iov, int count, bool more, int64_t deadline_ms, struct err *e);
bool net_write(struct net_conn *c, const void *p, size_t n, int64_t deadline_ms, struct err *e);
bool net_sendfile(struct net_conn *c, int fd, uint64_t offset, uint64_t n, int64_t deadline_ms, struct err *e);

// Says that nothing more will be sent and reads on, into nowhere, until the peer has closed or the deadline passes: so what was sent last is not lost to a reset.
void net_linger(struct net_conn *c, int64_t deadline_ms);

// A descriptor that wakes everything that waits on it, until it is closed: net_wake makes it readable.
int net_wake_open(struct err *e);
void net_wake(int wake);

#endif
