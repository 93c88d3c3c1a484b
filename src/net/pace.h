// How fast an address may make connections: a bucket of so many a second for each, with room for a few seconds' worth at once.
#ifndef GANTRY_NET_PACE_H
#define GANTRY_NET_PACE_H

#include <stdbool.h>

#include "base/err.h"

// The memory is fixed; of more addresses than it has room for, those that were seen longest ago are forgotten. An IPv6 address counts with its /64, which one
// machine has to itself.
enum { NET_PACE_BURST_S = 4, NET_PACE_DEFAULT = 100 };

struct net_pace;

// per_second 0: NET_PACE_DEFAULT, from which loopback is exempt: who calls from this machine is a proxy or a test.
bool net_pace_open(unsigned per_second, struct net_pace **out, struct err *e);
void net_pace_close(struct net_pace *p); // NULL is fine
// Takes one connection of a numeric address. false: too fast; *tell then says whether that is worth a line of log, once in a minute for an address.
bool net_pace_take(struct net_pace *p, const char *address, bool *tell);

#endif
