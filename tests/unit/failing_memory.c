// The linker sends the program's allocations here.
#include "failing_memory.h"

#include <stdatomic.h>
#include <stddef.h>

_Atomic int fail_in;
_Atomic bool failed;

static bool fails(void) {
    if (fail_in == 0 || atomic_fetch_sub(&fail_in, 1) != 1) return false;
    failed = true;
    return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n) {
    return fails() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n) {
    return fails() ? NULL : __real_realloc(p, n);
}
