// A lock file: one process at a time owns a directory.
#ifndef GANTRY_SYS_LOCKFILE_H
#define GANTRY_SYS_LOCKFILE_H

#include <stdbool.h>

#include "base/err.h"

// Takes the lock and writes our pid into the file; the lock ends with the process or with lockfile_drop, the file stays.
// ERR_BUSY naming the owner's pid when another process (or another holder in this one) has it.
bool lockfile_take(const char *path, int *fd, struct err *e);
void lockfile_drop(int fd);

// Waits until nobody else, in this process or another, has locked an open file that lines are added to, and locks it until it is closed. Where the file system
// has no locks it goes without.
void lockfile_wait(int fd);

#endif
