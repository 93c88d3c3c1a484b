// The door of an HTTP server that speaks TLS: accepts, shakes hands in a thread of the connection's own, and gives the server a local socket with the plain
// bytes.
#ifndef GANTRY_HTTP_DOOR_H
#define GANTRY_HTTP_DOOR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "net/pace.h"
#include "net/tls.h"

struct http_door;

struct http_door_options {
    const char *address;
    uint16_t port; // 0: any free one
    struct net_tls *tls;
    struct net_pace *pace; // of new connections of an address
    unsigned connections_max, per_address_max;
    // Whether an address may do as it likes (a proxy for many); may be NULL.
    bool (*spare)(void *context, const char *address);
    // Takes fd over, whatever it answers; the address is the peer's own.
    bool (*give)(void *context, int fd, const struct sockaddr *peer, socklen_t n);
    void *context;
};

bool http_door_open(const struct http_door_options *o, struct http_door **out, struct err *e);
uint16_t http_door_port(const struct http_door *d);
// Takes no more connections; those that are there go on.
void http_door_shut(struct http_door *d);
// Waits for the last bytes, a moment, and ends what is left. The server has closed its local sockets.
void http_door_close(struct http_door *d);

// What is known of the connection whose local socket is fd; false: it is none of this door's.
bool http_door_info(struct http_door *d, int fd, struct net_tls_info *out);

struct http_door_figures {
    uint64_t connections;                // now
    uint64_t handshakes_failed, refused; // since start: TLS failed; too many, too fast
};
void http_door_figures(struct http_door *d, struct http_door_figures *out);

// "1.2.3.4", "::1" and a port as a socket address; false when it is none.
bool http_door_address(const char *address, uint16_t port, struct sockaddr_storage *out, socklen_t *n);

#endif
