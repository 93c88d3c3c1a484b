// Addresses and networks as people write them: "10.0.0.1", "::1", "10.0.0.0/8", "fd00::/8".
#ifndef GANTRY_NET_NETWORK_H
#define GANTRY_NET_NETWORK_H

#include <stdbool.h>

#include "base/str.h"

// A numeric address, or one with the number of its leading bits that count.
bool net_network_valid(const char *network);
// Whether a numeric address is in one of the networks. An IPv4 address in IPv6 form (::ffff:10.0.0.1) counts as IPv4.
bool net_address_in(struct str address, const char *const *networks, unsigned count);

#endif
