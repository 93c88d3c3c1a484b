// Random bytes for secrets, and handling these without telling by time what they are.
#ifndef GANTRY_SYS_SECRET_H
#define GANTRY_SYS_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

// n (at most 256) bytes of the kernel's.
bool random_bytes(void *p, size_t n, struct err *e);
// Takes the same time wherever they differ.
bool secret_equal(const void *a, const void *b, size_t n);

#endif
