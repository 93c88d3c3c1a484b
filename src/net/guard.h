// Where connections that somebody else has named may lead: the guard against being sent to addresses that only this machine reaches (SSRF).
//
// It judges addresses, never names, at the moment of connecting: a name that leads elsewhere the second time (DNS rebinding) gains nothing.
#ifndef GANTRY_NET_GUARD_H
#define GANTRY_NET_GUARD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct sockaddr;

// From the widest to the closest.
enum net_place {
    NET_PLACE_PUBLIC,
    NET_PLACE_PRIVATE,  // RFC 1918, RFC 4193, RFC 6598
    NET_PLACE_LOOPBACK, // this machine
    NET_PLACE_NEVER,    // link-local with the metadata services of clouds, multicast, unspecified, reserved
};
// Of a numeric address, without port; of IPv6 addresses that hold an IPv4 one (mapped, NAT64, 6to4, Teredo) the closer of the two. What is no address
// is NET_PLACE_NEVER.
enum net_place net_place_of(struct str address);

struct net_guard {
    enum net_place closest;  // what lies closer is refused
    const char *const *only; // networks that the administrator allows: with any, they alone, whatever place they are; NULL: none given
    unsigned only_count;
};

// The one question before every connection whose address came from outside. ERR_FORBIDDEN with what to do.
bool net_guard_allows(const struct net_guard *g, struct str address, struct err *e);
// The same of what connect(2) is about to be given.
bool net_guard_allows_socket(const struct net_guard *g, const struct sockaddr *to, struct err *e);

#endif
