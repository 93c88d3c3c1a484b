// Bytes that are made before they can go out, whatever their number: a few in memory, more in a temporary file that has no name.
#ifndef GANTRY_SYS_SPOOL_H
#define GANTRY_SYS_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { SPOOL_MEMORY_BYTES = 4 * 1024 * 1024 };

struct spool {
    uint64_t n;        // bytes in it
    struct buf memory; // while they are few
    int fd;            // -1: all in memory
};

// A temporary file without a name in TMPDIR, else in /var/tmp (which is a disk, where /tmp may be memory), else in /tmp.
bool sys_temp(int *fd, struct err *e);

void spool_init(struct spool *s); // takes nothing yet
void spool_deinit(struct spool *s);
bool spool_add(struct spool *s, const void *p, size_t n, struct err *e);
// All n bytes from at; ERR_INTERNAL beyond the end.
bool spool_read(const struct spool *s, uint64_t at, void *p, size_t n, struct err *e);
// Everything in the file, which is then the caller's to close.
bool spool_take_fd(struct spool *s, int *fd, struct err *e);

#endif
