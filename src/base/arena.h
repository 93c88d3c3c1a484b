// One arena per unit of work (request, message, job step, command): everything allocated in it ends with it.
#ifndef GANTRY_BASE_ARENA_H
#define GANTRY_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct arena_block;

// Not thread-safe: one arena belongs to one thread at a time.
struct arena {
    struct arena_block *head;
    size_t used;    // bytes handed out
    size_t ceiling; // bytes that may be handed out
};

// ceiling: bytes after which allocations fail with ERR_TOO_LARGE; no memory is taken before the first allocation.
void arena_init(struct arena *a, size_t ceiling);
// The same, with n bytes of the caller's memory (aligned for any type) to begin in; what does not fit there goes to the heap.
void arena_init_in(struct arena *a, size_t ceiling, void *memory, size_t n);
void arena_deinit(struct arena *a);

// Forgets everything allocated but keeps the first block for the next round.
void arena_reset(struct arena *a);

// Uninitialised memory aligned for any type, or NULL with ERR_NOMEM / ERR_TOO_LARGE in *e. n may be 0.
void *arena_alloc(struct arena *a, size_t n, struct err *e) __attribute__((malloc, alloc_size(2)));
// Zeroed array; count * size is checked for overflow.
void *arena_zero(struct arena *a, size_t count, size_t size, struct err *e) __attribute__((malloc, alloc_size(2, 3)));
// Grows the most recent allocation in place when it can, else copies. old may be NULL.
void *arena_grow(struct arena *a, void *old, size_t old_n, size_t new_n, struct err *e);

// Copies; the copy is NUL-terminated (the NUL is not counted). false (out untouched) on failure.
bool arena_dup(struct arena *a, struct str s, struct str *out, struct err *e);
// NUL-terminated copy, or NULL.
char *arena_strz(struct arena *a, struct str s, struct err *e);
// printf into the arena, NUL-terminated, or NULL.
char *arena_printf(struct arena *a, struct err *e, const char *format, ...) __attribute__((format(printf, 3, 4)));

// A point to go back to: everything allocated after the mark is forgotten.
struct arena_mark {
    struct arena_block *head;
    size_t head_used;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);

#endif
