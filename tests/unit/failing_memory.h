// Allocations that fail: of programs linked with --wrap of malloc, calloc and realloc.
#ifndef GANTRY_TESTS_FAILING_MEMORY_H
#define GANTRY_TESTS_FAILING_MEMORY_H

#include <stdbool.h>

extern _Atomic int fail_in; // the fail_in-th allocation from now fails, on whichever thread; 0: none
extern _Atomic bool failed; // it has

#endif
