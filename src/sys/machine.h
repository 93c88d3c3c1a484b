// What the machine tells about itself, for a look at a set-up: the clock, who may read a file, which ports are open.
#ifndef GANTRY_SYS_MACHINE_H
#define GANTRY_SYS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// Whether the kernel's clock is kept by a time server; false also where the kernel does not tell.
bool sys_clock_kept(void);

struct sys_rights {
    unsigned mode; // 0 to 07777
    unsigned uid, gid;
    bool directory;
    uint64_t device; // two files of one value lie on one disk
};
bool sys_rights_of(const char *path, struct sys_rights *out, struct err *e);
// The name of a user, or its number.
void sys_user_name(unsigned uid, char *out, size_t n);
unsigned sys_own_user(void);

// TCP ports that are open to others than this machine, ascending, each once; how many of max.
unsigned sys_open_ports(uint16_t *out, unsigned max);

#endif
