// A disk that fails on purpose: the n-th call fails, writes come short, or the power is cut with whatever was not flushed lost, torn or reordered.
//
// Files are real ones in a directory, which shows what a running system would see; beside each file the fake keeps what the disk surely has.
#ifndef GANTRY_TESTS_FAKE_DISK_H
#define GANTRY_TESTS_FAKE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "sys/file.h"

enum disk_call {
    DISK_OPEN = 1,
    DISK_WRITE = 2,
    DISK_FLUSH = 4,
    DISK_RESERVE = 8,
    DISK_RESIZE = 16,
    DISK_RENAME = 32,
    DISK_UNLINK = 64,
    DISK_FLUSH_DIR = 128,
    DISK_READ = 256
};
enum { DISK_CHANGES = DISK_WRITE | DISK_FLUSH | DISK_RESERVE | DISK_RESIZE | DISK_RENAME | DISK_UNLINK | DISK_FLUSH_DIR };

struct disk;

struct disk *disk_new(unsigned seed);
void disk_free(struct disk *d);
const struct sys_file_ops *disk_ops(struct disk *d);

// The n-th call from now of one of the kinds (a mask of enum disk_call) fails with the code, and with `sticky` all such calls after it. n 0: none.
void disk_fail(struct disk *d, unsigned n, unsigned kinds, int code, bool sticky);
bool disk_failed(struct disk *d); // the failure asked for has happened
// Every write takes only part of what it is given.
void disk_short_writes(struct disk *d, bool on);
// What disk_ops(d)->room says; UINT64_MAX: plenty. Reservations and growing files take from it.
void disk_set_room(struct disk *d, uint64_t bytes);
// Before the n-th changing call from now the power goes: every later call fails with EIO.
void disk_cut(struct disk *d, unsigned n);
bool disk_is_cut(struct disk *d);
unsigned disk_changes(struct disk *d); // changing calls so far
// What the disk holds after the cut, under `to` instead of `from`. The directories must be there.
bool disk_image(struct disk *d, const char *from, const char *to);

#endif
