// Sending the event log to a collector as it grows: syslog over TLS (RFC 5424, RFC 5425), one thread for each.
//
// The log is the spool: a cursor in the index tells how far a collector has it, moves only once its system has acknowledged the bytes, and waits while it is
// away. Of several nodes one sends. After a failure what may have been lost is sent again: at least once, in order.
#ifndef GANTRY_MOD_AUDIT_COLLECTOR_H
#define GANTRY_MOD_AUDIT_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct archive;
struct collector;

struct collector_options { // borrowed until collector_stop
    const char *host;
    uint16_t port;                 // 0: 6514, or 514 without TLS
    bool plain;                    // TCP without TLS (RFC 6587 octet counting): on loopback and closed networks
    const char *ca, *cert, *key;   // PEM files; ca NULL: the system's authorities; cert NULL: none is shown
    const char *name;              // that stands in its certificate; NULL: host
    const char *node, *aet, *site; // of this server, in the messages; site may be NULL
};

bool collector_start(struct archive *ar, const struct collector_options *o, struct collector **out, struct err *e);
void collector_stop(struct collector *c); // NULL is fine

#endif
