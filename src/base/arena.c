// A chain of growing blocks; freed memory is poisoned under AddressSanitizer.
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 16, FIRST_BLOCK = 4096 - 64, LARGEST_STEP = 1 << 20 };

struct arena_block {
    struct arena_block *prev;
    size_t cap;
    size_t used;
    bool borrowed; // the caller's memory
    _Alignas(ALIGN) char data[];
};

void arena_init(struct arena *a, size_t ceiling) {
    *a = (struct arena){.ceiling = ceiling};
}

void arena_init_in(struct arena *a, size_t ceiling, void *memory, size_t n) {
    arena_init(a, ceiling);
    if (n < sizeof(struct arena_block)) return;
    a->head = memory;
    *a->head = (struct arena_block){.cap = n - sizeof(struct arena_block), .borrowed = true};
    POISON(a->head->data, a->head->cap);
}

static void free_block(struct arena_block *b) {
    UNPOISON(b->data, b->cap);
    if (!b->borrowed) free(b);
}

void arena_deinit(struct arena *a) {
    while (a->head) {
        struct arena_block *prev = a->head->prev;
        free_block(a->head);
        a->head = prev;
    }
    a->used = 0;
}

void arena_reset(struct arena *a) {
    while (a->head && a->head->prev) {
        struct arena_block *prev = a->head->prev;
        free_block(a->head);
        a->head = prev;
    }
    if (a->head) {
        a->head->used = 0;
        POISON(a->head->data, a->head->cap);
    }
    a->used = 0;
}

static bool add_block(struct arena *a, size_t need, struct err *e) {
    size_t cap = a->head && !a->head->borrowed ? a->head->cap * 2 : FIRST_BLOCK;
    if (cap > LARGEST_STEP) cap = LARGEST_STEP;
    if (cap < need) cap = need;
    struct arena_block *b = malloc(sizeof *b + cap);
    if (!b) return err_nomem(e, "arena");
    b->prev = a->head;
    b->cap = cap;
    b->used = 0;
    b->borrowed = false;
    POISON(b->data, b->cap);
    a->head = b;
    return true;
}

void *arena_alloc(struct arena *a, size_t n, struct err *e) {
    size_t size = (n + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
    if (size < n || size > a->ceiling - a->used) {
        err_set(e, ERR_TOO_LARGE, "arena", "needs %zu bytes more than the %zu that this work may take", n, a->ceiling);
        return NULL;
    }
    if (!a->head || size > a->head->cap - a->head->used)
        if (!add_block(a, size, e)) return NULL;
    void *p = a->head->data + a->head->used;
    a->head->used += size;
    a->used += size;
    UNPOISON(p, n);
    return p;
}

void *arena_zero(struct arena *a, size_t count, size_t size, struct err *e) {
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        err_set(e, ERR_TOO_LARGE, "arena", "%zu items of %zu bytes", count, size);
        return NULL;
    }
    void *p = arena_alloc(a, n, e);
    if (p) memset(p, 0, n);
    return p;
}

void *arena_grow(struct arena *a, void *old, size_t old_n, size_t new_n, struct err *e) {
    size_t old_size = (old_n + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
    size_t new_size = (new_n + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
    struct arena_block *b = a->head;
    bool last = old && b && (char *)old + old_size == b->data + b->used && new_size >= new_n;
    if (last && new_size >= old_size && new_size - old_size <= b->cap - b->used && new_size - old_size <= a->ceiling - a->used) {
        b->used += new_size - old_size;
        a->used += new_size - old_size;
        UNPOISON(old, new_n);
        return old;
    }
    void *p = arena_alloc(a, new_n, e);
    if (p && old && old_n) memcpy(p, old, old_n < new_n ? old_n : new_n);
    return p;
}

char *arena_strz(struct arena *a, struct str s, struct err *e) {
    char *p = arena_alloc(a, s.n + 1, e);
    if (!p) return NULL;
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

bool arena_dup(struct arena *a, struct str s, struct str *out, struct err *e) {
    char *p = arena_strz(a, s, e);
    if (!p) return false;
    *out = (struct str){p, s.n};
    return true;
}

char *arena_printf(struct arena *a, struct err *e, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1, e);
    if (p) vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return p;
}

struct arena_mark arena_mark(const struct arena *a) {
    return (struct arena_mark){a->head, a->head ? a->head->used : 0, a->used};
}

void arena_rewind(struct arena *a, struct arena_mark m) {
    while (a->head != m.head) {
        assert(a->head);
        struct arena_block *prev = a->head->prev;
        free_block(a->head);
        a->head = prev;
    }
    if (a->head) {
        a->head->used = m.head_used;
        POISON(a->head->data + m.head_used, a->head->cap - m.head_used);
    }
    a->used = m.used;
}
