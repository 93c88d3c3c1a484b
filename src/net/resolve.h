// Names and addresses of hosts.
#ifndef GANTRY_NET_RESOLVE_H
#define GANTRY_NET_RESOLVE_H

#include <stdbool.h>

#include "base/str.h"

// 127.0.0.0/8, ::1, and the first written as IPv6 (::ffff:127.0.0.1).
bool net_is_loopback(struct str address);
// Whether a name, or a numeric address, is that of this numeric address. Asks the resolver, and may wait for it; a name that nobody knows is none.
bool net_host_is(const char *host, struct str address);

#endif
