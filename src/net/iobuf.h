// I/O buffers that are lent while bytes are under way and given back to the system when a connection rests.
#ifndef GANTRY_NET_IOBUF_H
#define GANTRY_NET_IOBUF_H

#include <stdint.h>

enum { NET_IOBUF_BYTES = 64 * 1024 };

// NET_IOBUF_BYTES of memory of which only what is touched counts, or NULL. A few returned ones are kept for the next borrower.
uint8_t *net_iobuf_get(void);
void net_iobuf_put(uint8_t *p); // NULL is fine

#endif
